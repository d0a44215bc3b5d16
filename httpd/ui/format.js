/* Numbers, sizes and times for people. */
const plain = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export const count = (number) => plain.format(number);

export function plural(number, noun, nouns = `${noun}s`) {
    return `${count(number)} ${number === 1 ? noun : nouns}`;
}

export function size(bytes) {
    let unit = 0;
    for (; bytes >= 1024 && unit < UNITS.length - 1; unit++)
        bytes /= 1024;
    return `${Math.round(bytes * 10) / 10} ${UNITS[unit]}`;
}

/** A rate or another small figure: three digits. */
export const figure = (number) => number >= 100 ? count(number)
    : String(Number(number.toPrecision(3)));

export function duration(seconds) {
    if (seconds < 1e-3)
        return `${figure(seconds * 1e6)} µs`;
    if (seconds < 1)
        return `${figure(seconds * 1e3)} ms`;
    return `${figure(seconds)} s`;
}

const STEPS = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600],
    ['minute', 60], ['second', 1]];
const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto'});

/** '3 minutes ago', 'in 2 hours'. */
export function fromNow(time, now = Date.now()) {
    const seconds = (time - now) / 1000;
    const [unit, length] = STEPS.find((step) => Math.abs(seconds) >= step[1]) ?? STEPS.at(-1);
    return relative.format(Math.trunc(seconds / length), unit);
}

const clock = new Intl.DateTimeFormat('en-GB', {timeStyle: 'medium'});
const full = new Intl.DateTimeFormat('en-GB', {dateStyle: 'medium', timeStyle: 'long'});

export const timeOfDay = (time) => clock.format(time);
export const fullTime = (time) => full.format(time);
