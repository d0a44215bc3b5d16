/* The latest changes of the store, and lists of them that go on by themselves. */
import {relativeTime} from './clock.js';
import {el} from './dom.js';
import {keyToUrl, show} from './key.js';

const KEPT = 200, SHOWN = 50;

export class Feed {
    changes = []; /* newest first */
    #lists = new Set();
    #drawing = false;

    add(change) {
        this.changes.unshift(change);
        if (this.changes.length > KEPT)
            this.changes.pop();
        if (this.#drawing)
            return;
        this.#drawing = true;
        requestAnimationFrame(() => {
            this.#drawing = false;
            this.#draw();
        });
    }

    show(list) {
        this.#lists.add(list);
        list.draw(this.changes);
    }

    #draw() {
        for (const list of this.#lists)
            if (list.element.isConnected)
                list.draw(this.changes);
            else
                this.#lists.delete(list);
    }
}

function row(change) {
    const link = (key) => el('a', {href: `#/${keyToUrl(key)}`}, el('bdi', {}, show(key)));
    const keys = change.from === undefined ? [link(change.key)]
        : [el('bdi', {}, show(change.from)), ' → ', link(change.key)];
    return el('li', {}, el(`span.what.${change.type}`, {}, change.type),
        el('span.keys', {}, ...keys), el('span.by', {}, change.origin),
        relativeTime(change.time));
}

/** {element}: the newest changes that match, newest first, kept up to date. */
export function changesList(feed, matches = () => true) {
    const rows = el('ol.changes', {'aria-label': 'Changes, newest first'});
    const empty = el('p.empty', {},
        'Nothing has changed since this page was opened. What does, shows here at once.');
    const drawn = new Map(); /* change -> its row */
    const list = {element: el('div', {}, rows, empty), draw(changes) {
        const shown = changes.filter(matches).slice(0, SHOWN);
        for (const [change, element] of drawn)
            if (!shown.includes(change)) {
                element.remove();
                drawn.delete(change);
            }
        shown.toReversed().forEach((change) => {
            if (!drawn.has(change)) {
                drawn.set(change, row(change));
                rows.prepend(drawn.get(change));
            }
        });
        empty.hidden = shown.length > 0;
    }};
    feed.show(list);
    return list;
}
