/* The page that is there first: how the daemon does, in charts, and what changes. */
import {metrics, status} from './api.js';
import {Chart} from './charts.js';
import {el} from './dom.js';
import {changesList} from './feed.js';
import {count, duration, figure, fromNow, size} from './format.js';

const EVERY_MS = 2000, SPAN_MS = 240000;

/* -- Samples -- */

const sumOf = (found, ...names) => names.reduce((sum, name) => sum + (found[name] ?? 0), 0);

/** What happened between two readings, a second; null where nothing tells. */
function sampleOf(now, before) {
    const seconds = (now.time - before.time) / 1000;
    const grown = (...names) => Math.max(0, sumOf(now.found, ...names)
        - sumOf(before.found, ...names));
    const hits = grown('kvfs_cache_hits_total'), misses = grown('kvfs_cache_misses_total');
    const commits = grown('kvfs_commits_total');
    return {
        time: now.time,
        http: grown('kvfs_http_responses_total') / seconds,
        mount: grown('kvfs_mount_requests_total') / seconds,
        writes: grown('kvfs_transactions_total') / seconds,
        commit: commits ? grown('kvfs_commit_seconds_total') / commits : null,
        hits: hits + misses ? hits / (hits + misses) : null,
        watches: sumOf(now.found, 'kvfs_http_watches'),
        connections: sumOf(now.found, 'kvfs_http_connections'),
        used: sumOf(now.found, 'kvfs_store_used_bytes'),
        keys: sumOf(now.found, 'kvfs_keys'),
    };
}

/** Reads the metrics as long as the page is seen, and keeps a few minutes of them. */
export class Samples {
    all = [];
    #before = null;
    #heard = new Set();

    constructor() {
        setInterval(() => this.#take(), EVERY_MS);
        document.addEventListener('visibilitychange', () => this.#take());
        this.#take();
    }

    /** heard() after each sample, until it returns false. */
    listen(heard) {
        this.#heard.add(heard);
    }

    async #take() {
        if (document.hidden)
            return;
        try {
            const now = {time: Date.now(), found: await metrics()};
            if (this.#before && now.time > this.#before.time)
                this.all.push(sampleOf(now, this.#before));
            this.#before = now;
        } catch {
            return; /* the change stream tells that the daemon is away */
        }
        while (this.all.length && this.all[0].time < Date.now() - SPAN_MS)
            this.all.shift();
        for (const heard of this.#heard)
            if (!heard())
                this.#heard.delete(heard);
    }
}

/* -- The page -- */

const percent = (part) => `${Math.round(part * 100)} %`;

const charts = () => [
    new Chart({title: 'Operations a second', format: figure, series: [
        {name: 'HTTP', of: (sample) => sample.http},
        {name: 'mount', of: (sample) => sample.mount}]}),
    new Chart({title: 'Writes a second', format: figure, series: [
        {name: '', of: (sample) => sample.writes}]}),
    new Chart({title: 'Latency of a commit', format: duration, series: [
        {name: 'on average', of: (sample) => sample.commit}]}),
    new Chart({title: 'Cache hits', format: percent, scaleOf: () => 1, series: [
        {name: '', of: (sample) => sample.hits}]}),
    new Chart({title: 'Watchers', format: count, series: [
        {name: 'watching', of: (sample) => sample.watches},
        {name: 'connections', of: (sample) => sample.connections}]}),
    new Chart({title: 'Size of the store', format: size,
        scaleOf: (most) => 2 ** Math.ceil(Math.log2(most)), series: [
            {name: '', of: (sample) => sample.used}]}),
];

/** What to try first, with the mount's own path. */
function lesson(mount) {
    const line = (text) => el('code', {}, text);
    const shell = mount ? [line(`echo hi > ${mount}/hello`), line(`cat ${mount}/hello`)]
        : [line(`curl -X PUT -d hi ${location.origin}/v1/keys/hello`)];
    return el('div.lesson', {}, el('h2', {}, 'No keys yet'),
        el('p', {}, 'Every key is a file. Write one, and it appears here at once:'),
        el('pre', {}, ...shell.flatMap((code) => [code, '\n'])),
        el('p', {}, 'or press ', el('kbd', {}, 'n'), ' to make one on this page.'));
}

const daemonLine = (found) => [`kvfs ${found.version}`,
    ...(found.mounts ?? []).map((mount) => `mounted at ${mount.path}`),
    `started ${fromNow(Date.now() - found.uptime_seconds * 1000)}`].join(' · ');

/** emptied(bool) of what it returns tells whether to teach. */
export function overview(place, {samples, feed, empty}) {
    const drawn = charts();
    const facts = el('p.facts');
    const lessonPlace = el('div', {hidden: !empty});
    const grid = el('div.charts', {}, ...drawn.map((chart) => chart.element));
    let at;
    const draw = () => {
        drawn.forEach((chart) => chart.draw(samples.all, SPAN_MS, at));
        return grid.isConnected;
    };
    grid.addEventListener('pointermove', (event) => {
        const plot = event.target.closest('.plot')?.getBoundingClientRect();
        at = plot && nearest(samples.all, (event.clientX - plot.left) / plot.width);
        draw();
    });
    grid.addEventListener('pointerleave', () => {
        at = undefined;
        draw();
    });
    place.replaceChildren(el('div.head', {}, el('h1', {}, el('a.back', {href: '#keys',
        'aria-label': 'Back to the keys'}, '‹'), 'Overview')), facts, lessonPlace, grid,
    el('h2', {}, 'Changes'), changesList(feed).element);
    status().then((found) => {
        facts.textContent = daemonLine(found);
        lessonPlace.replaceChildren(lesson(found.mounts?.[0]?.path));
    }, () => {}); /* the change stream tells that the daemon is away */
    samples.listen(draw);
    draw();
    return {emptied: (isEmpty) => {
        lessonPlace.hidden = !isEmpty;
    }};
}

/** The sample at a part of the width, 0 to 1. */
function nearest(samples, part) {
    if (!samples.length)
        return undefined;
    const time = samples.at(-1).time - (1 - part) * SPAN_MS;
    return samples.reduce((best, sample, i) => Math.abs(sample.time - time)
        < Math.abs(samples[best].time - time) ? i : best, 0);
}
