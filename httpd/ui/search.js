/* Search: keys that begin with what was typed, which the store finds at once, and then those
 * that hold it somewhere, for which keys are read page by page until enough are found or
 * enough were looked at. */
import {scan} from './api.js';
import {el, icon} from './dom.js';
import {count, plural} from './format.js';
import {show} from './key.js';

const FOUND_MAX = 200;
const LOOKED_AT_MAX = 100000;
const PAGE = 5000;

/** Keys in an order that serves: found(key) for each, progress(looked at); resolves to
 * 'all', 'enough' or 'bounded'. */
async function searchKeys(text, {found, progress, signal}) {
    const seen = new Set();
    const take = (key) => {
        if (!seen.has(key) && seen.size < FOUND_MAX) {
            seen.add(key);
            found(key);
        }
    };
    (await scan({prefix: text, limit: FOUND_MAX, signal})).keys.forEach(take);
    const wanted = text.toLowerCase();
    let after = null, looked = 0;
    do {
        const page = await scan({after, limit: PAGE, signal});
        page.keys.filter((key) => key.toLowerCase().includes(wanted)).forEach(take);
        looked += page.keys.length;
        progress(looked);
        after = page.next;
    } while (after !== null && seen.size < FOUND_MAX && looked < LOOKED_AT_MAX);
    return after === null ? 'all' : seen.size < FOUND_MAX ? 'bounded' : 'enough';
}

/** The key with the part that matched marked. */
function marked(key, text) {
    const name = show(key);
    const at = name.toLowerCase().indexOf(text.toLowerCase());
    if (at < 0)
        return [name];
    return [name.slice(0, at), el('mark', {}, name.slice(at, at + text.length)),
        name.slice(at + text.length)];
}

export class Search {
    #abort = null;

    /** opened(key) when someone chooses one; the tree is hidden while results show. */
    constructor({input, results, tree, opened, failed}) {
        Object.assign(this, {input, results, tree, opened, failed});
        input.addEventListener('input', () => this.#search(input.value));
        input.addEventListener('keydown', (event) => this.#pressed(event));
        results.addEventListener('keydown', (event) => this.#pressed(event));
    }

    close() {
        this.input.value = '';
        this.#search('');
    }

    async #search(text) {
        this.#abort?.abort();
        this.results.hidden = text === '';
        this.tree.hidden = text !== '';
        if (text === '')
            return;
        const abort = this.#abort = new AbortController();
        const said = el('p.said', {role: 'status'}, 'searching …');
        const rows = el('ul', {'aria-label': 'Keys found'});
        this.results.replaceChildren(said, rows);
        const found = (key) => rows.append(this.#row(key, text));
        const progress = (looked) => {
            const matches = plural(rows.childElementCount, 'match', 'matches');
            said.textContent = `${matches} in ${plural(looked, 'key')}`;
        };
        try {
            const end = await searchKeys(text, {found, progress, signal: abort.signal});
            if (end === 'bounded')
                said.append(`; the first ${count(LOOKED_AT_MAX)} keys were looked at, `
                    + 'and those that begin so');
            if (end === 'enough')
                said.append('; here are the first');
        } catch (error) {
            if (!abort.signal.aborted)
                this.failed(error);
        }
    }

    #row(key, text) {
        return el('li', {}, el('button.row', {type: 'button', title: show(key),
            onclick: () => this.opened(key)}, icon('file'),
        el('span.name', {}, ...marked(key, text))));
    }

    #pressed(event) {
        const buttons = [...this.results.querySelectorAll('button')];
        const at = buttons.indexOf(document.activeElement);
        const to = {ArrowDown: at + 1, ArrowUp: at - 1}[event.key];
        if (event.key === 'Escape')
            this.#leave();
        else if (event.key === 'Enter' && at < 0)
            buttons[0]?.click();
        else if (to !== undefined)
            (buttons[to] ?? (to < 0 ? this.input : null))?.focus();
        else
            return;
        event.preventDefault();
        event.stopPropagation();
    }

    #leave() {
        this.close();
        this.input.blur();
    }
}
