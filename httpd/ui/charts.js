/* Figures over the last minutes, drawn by hand as SVG. */
import {el, svg} from './dom.js';
import {timeOfDay} from './format.js';

const WIDTH = 300, HEIGHT = 72; /* of the drawing; it is stretched to its place */

/** The next 1, 2 or 5 times a power of ten: where a scale ends. */
function roundUp(number) {
    const power = 10 ** Math.floor(Math.log10(number));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= number);
}

/** A line chart of one series or two. format(number) writes a figure; scaleOf(most) is where
 * the scale ends; series: [{name, of(sample)}], numbers or null where there is none. */
export class Chart {
    constructor({title, series, format, scaleOf = roundUp}) {
        Object.assign(this, {series, format, scaleOf});
        this.figures = series.map(() => el('b'));
        this.lines = series.map((_, i) => svg('path', {class: `line line-${i}`,
            'vector-effect': 'non-scaling-stroke'}));
        this.area = svg('path', {class: 'area'});
        this.cursor = svg('line', {class: 'cursor', y1: 0, y2: HEIGHT, x1: -9, x2: -9,
            'vector-effect': 'non-scaling-stroke'});
        this.top = el('span.top', {title: 'where the scale ends'});
        this.drawing = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
            preserveAspectRatio: 'none', 'aria-hidden': 'true'},
        this.area, ...this.lines, this.cursor);
        this.element = el('figure.chart', {}, el('figcaption', {}, el('h3', {}, title, this.top),
            el('p', {}, ...this.figures.map((figure, i) => this.#legend(figure, i)))),
        el('div.plot', {}, this.drawing));
    }

    #legend(figure, i) {
        return el('span.figure', {}, this.series.length > 1 ? el(`i.line-${i}`) : null, figure,
            this.series[i].name ? ` ${this.series[i].name}` : '');
    }

    /** samples: oldest first, each with its time in ms; span: how much time is shown; at:
     * the sample pointed at, else the last is told. */
    draw(samples, span, at) {
        const end = samples.at(-1)?.time ?? 0;
        const x = (sample) => WIDTH - (end - sample.time) / span * WIDTH;
        const all = this.series.map(({of}) => samples.map(of));
        const most = Math.max(...all.flat().filter((number) => number !== null), 0);
        const scale = most > 0 ? this.scaleOf(most) : 1;
        const y = (number) => HEIGHT - number / scale * (HEIGHT - 2) - 1;
        const paths = all.map((numbers) => path(samples.map(x), numbers, y));
        paths.forEach((text, i) => this.lines[i].setAttribute('d', text));
        this.area.setAttribute('d', area(samples.map(x), all[0], y));
        this.top.textContent = most > 0 ? `↥ ${this.format(scale)}` : '';
        this.#tell(all, at ?? samples.length - 1);
        this.cursor.setAttribute('x1', at === undefined ? -9 : x(samples[at]));
        this.cursor.setAttribute('x2', at === undefined ? -9 : x(samples[at]));
        this.element.title = at === undefined ? '' : timeOfDay(samples[at].time);
    }

    #tell(all, at) {
        this.figures.forEach((figure, i) => {
            const number = all[i][at] ?? null;
            figure.textContent = number === null ? '–' : this.format(number);
        });
    }
}

/** Gaps where there is no number. */
function path(xs, numbers, y) {
    let down = false;
    return numbers.map((number, i) => {
        const command = down ? 'L' : 'M';
        down = number !== null;
        return down ? `${command}${xs[i].toFixed(1)} ${y(number).toFixed(1)}` : '';
    }).join('');
}

function area(xs, numbers, y) {
    const from = numbers.findIndex((number) => number !== null);
    if (from < 0)
        return '';
    const filled = numbers.map((number) => number ?? 0).slice(from);
    const bottom = `L${WIDTH} ${HEIGHT}L${xs[from].toFixed(1)} ${HEIGHT}Z`;
    return path(xs.slice(from), filled, y) + bottom;
}
