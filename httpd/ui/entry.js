/* The page of one path: a key, a directory, or nothing. It is read when it is opened and
 * again when the stream tells of a change, never twice at a time. */
import * as actions from './actions.js';
import * as api from './api.js';
import {relativeTime} from './clock.js';
import {el} from './dom.js';
import {Editor, editableAsText, whyNot} from './editor.js';
import {changesList} from './feed.js';
import {plural, size} from './format.js';
import {isBelow, keyToUrl, show} from './key.js';
import {attempt, toast} from './toast.js';
import {hexPane, jsonPane, readings, START_BYTES, textPane} from './value.js';
import {versionsPane} from './versions.js';

const VIEWS = [['text', 'Text'], ['json', 'JSON'], ['hex', 'Hex'], ['history', 'History']];

export class Entry {
    #found = null;    /* what was read last; null: there is nothing */
    #bytes = null;    /* of it, or of its beginning */
    #readings = {};
    #view = null;     /* the one that was chosen; null: what fits best */
    #editor = null;
    #reading = false;
    #again = false;
    #closed = false;

    /** opens(key) goes to another path; feed has the latest changes. */
    constructor(place, key, {opens, feed}) {
        Object.assign(this, {key, opens, feed});
        this.meta = el('dl.meta');
        this.buttons = el('div.buttons');
        this.body = el('div.body');
        place.replaceChildren(el('div.head', {}, this.#path(), this.buttons), this.meta,
            this.body);
        this.ready = this.refresh();
    }

    get isDirectory() {
        return this.#found?.type === 'directory';
    }

    close() {
        this.#closed = true;
    }

    /** False when there is something unsaved that is not to be lost. */
    async mayLeave() {
        return !this.#editor || this.#editor.mayLeave();
    }

    get unsaved() {
        return this.#editor?.dirty ?? false;
    }

    changed(change) {
        if (change.key !== this.key && change.from !== this.key)
            return;
        const words = {put: 'It was written', delete: 'It was deleted', rename: 'It was renamed'};
        const mine = change.key === this.key && this.#found?.mod_revision === change.revision;
        if (words[change.type] && !mine)
            this.#editor?.tellChanged(words[change.type]);
        this.refresh();
    }

    async refresh() {
        this.#again = this.#reading;
        if (this.#reading)
            return;
        this.#reading = true;
        await attempt(() => this.#read());
        this.#reading = false;
        if (this.#closed)
            return;
        if (this.#again)
            this.refresh();
        else if (!this.#editor)
            await attempt(() => this.#draw());
    }

    async #read() {
        try {
            const found = await api.read(this.key);
            this.#bytes = found.omitted
                ? await api.readStart(this.key, found.tag, START_BYTES) : found.bytes;
            this.#found = found;
            this.#readings = this.#bytes ? readings(this.#bytes, found.omitted) : {};
        } catch (error) {
            if (error.status === 412) /* it changed in between */
                this.#again = true;
            else if (error.status !== 404)
                throw error;
            else
                this.#found = null;
        }
    }

    /* -- Drawing -- */

    #path() {
        const parts = this.key.split('/');
        const crumbs = parts.slice(0, -1).flatMap((part, i) => {
            const directory = parts.slice(0, i + 1).join('/');
            return [el('a', {href: `#/${keyToUrl(directory)}`}, el('bdi', {}, show(part))),
                el('span.slash', {}, '/')];
        });
        return el('h1', {}, el('a.back', {href: '#keys', 'aria-label': 'Back to the keys'}, '‹'),
            ...crumbs, el('bdi', {}, show(parts.at(-1))));
    }

    async #draw() {
        const found = this.#found;
        this.#drawButtons(found);
        this.meta.replaceChildren(...facts(found).flatMap(([name, value]) =>
            [el('div', {}, el('dt', {}, name), el('dd', {}, value))]));
        if (!found)
            await this.#drawAbsent();
        else if (this.isDirectory)
            this.#drawDirectory();
        else
            await this.#drawValue();
    }

    #drawButtons(found) {
        const button = (label, run, attributes = {}) => el('button', {type: 'button',
            onclick: run, ...attributes}, label);
        if (!found)
            this.buttons.replaceChildren();
        else if (this.isDirectory)
            this.buttons.replaceChildren(
                button('New key here', () => this.create(), {class: 'main'}),
                button('Rename', () => this.rename(), {title: 'Rename (r)'}),
                button('Delete', () => this.remove(), {title: 'Delete (Del)'}));
        else
            this.buttons.replaceChildren(
                button('Edit', () => this.edit(), {class: 'main', title: 'Edit (e)',
                    disabled: whyNot(found) !== null}),
                button('Rename', () => this.rename(), {title: 'Rename (r)'}),
                button('Download', () => attempt(() => this.#download())),
                button('Delete', () => this.remove(), {title: 'Delete (Del)'}));
    }

    async #drawAbsent() {
        const history = await versionsPane(this.key, {tag: null});
        this.body.replaceChildren(el('p.empty', {}, 'There is nothing at this path.'),
            el('h2', {}, 'What was here'), history);
    }

    #drawDirectory() {
        const {element} = changesList(this.feed, (change) => isBelow(change.key, this.key)
            || (change.from && isBelow(change.from, this.key)));
        this.body.replaceChildren(el('h2', {}, 'Changes below it'), element);
    }

    #fits(view) {
        return view === 'hex' || view === 'history' || (this.#readings[view] ?? null) !== null;
    }

    get #shown() {
        if (this.#view && this.#fits(this.#view))
            return this.#view;
        return ['json', 'text'].find((view) => this.#fits(view)) ?? 'hex';
    }

    async #drawValue() {
        const shown = this.#shown;
        if (shown === 'history' && this.body.querySelector('details[open]'))
            return; /* somebody reads a version */
        const pane = el('div', {role: 'tabpanel', id: 'pane', 'aria-labelledby': `tab-${shown}`},
            ...this.#notices(), await this.#pane(shown));
        this.#replaceBody(this.#tabs(shown), pane);
    }

    /* What had the focus, by its id, has it afterwards. */
    #replaceBody(...children) {
        const focused = this.body.contains(document.activeElement) ? document.activeElement.id : '';
        this.body.replaceChildren(...children);
        if (focused)
            document.getElementById(focused)?.focus();
    }

    #notices() {
        const why = whyNot(this.#found);
        return [this.#found.omitted ? el('p.notice', {},
            `These are the first ${size(this.#bytes.length)} of ${size(this.#found.size)}.`) : null,
        why ? el('p.notice', {}, why) : null].filter(Boolean);
    }

    async #pane(view) {
        switch (view) {
        case 'text':
            return textPane(this.#readings.text);
        case 'json':
            return jsonPane(this.#readings.json);
        case 'hex':
            return hexPane(this.#bytes);
        default:
            return versionsPane(this.key, this.#found);
        }
    }

    #tabs(shown) {
        const tab = ([view, label]) => el('button', {type: 'button', role: 'tab',
            id: `tab-${view}`, 'aria-selected': String(view === shown), 'aria-controls': 'pane',
            tabindex: view === shown ? 0 : -1, disabled: !this.#fits(view),
            onclick: () => this.#choose(view)}, label);
        return el('div', {role: 'tablist', 'aria-label': 'Show the value as',
            onkeydown: (event) => this.#tabPressed(event)}, ...VIEWS.map(tab));
    }

    #choose(view) {
        this.#view = view;
        for (const details of this.body.querySelectorAll('details'))
            details.open = false;
        attempt(() => this.#drawValue());
    }

    #tabPressed(event) {
        const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (!step)
            return;
        const fitting = VIEWS.map(([view]) => view).filter((view) => this.#fits(view));
        const at = fitting.indexOf(this.#shown) + step;
        document.getElementById(`tab-${fitting.at(at % fitting.length)}`).click();
    }

    /* -- Doing -- */

    edit() {
        const found = this.#found;
        if (!found || this.#editor || this.isDirectory)
            return;
        const why = whyNot(found);
        if (why) {
            toast(why, {kind: 'problem'});
            return;
        }
        this.#editor = new Editor(found, {hex: this.#shown === 'hex', ended: () => {
            this.#editor = null;
            this.refresh();
            this.buttons.hidden = false;
        }});
        this.buttons.hidden = true;
        const asBytes = this.#fits('text') && !editableAsText(found.bytes);
        this.body.replaceChildren(el('p.notice', {hidden: !asBytes}, 'Its lines end in '
            + 'different ways, which a text field would change: here are its bytes.'),
        this.#editor.element);
        this.#editor.focus();
    }

    async rename() {
        const to = this.#found && await actions.rename(this.key);
        if (to)
            this.opens(to);
    }

    async remove() {
        if (this.#found)
            await actions.remove(this.key, this.isDirectory);
    }

    async create() {
        const made = await actions.create(this.key);
        if (made)
            this.opens(made.replace(/\/$/, ''));
    }

    async #download() {
        const address = URL.createObjectURL(await api.download(this.key));
        el('a', {href: address, download: this.key.split('/').at(-1).toWellFormed()}).click();
        URL.revokeObjectURL(address);
    }
}

/** What is known of it, for the row above the value. */
function facts(found) {
    if (!found)
        return [];
    const directory = found.type === 'directory';
    const all = [
        directory ? ['Kind', 'directory'] : ['Size', sizeInFull(found.size)],
        ['Changed', relativeTime(found.mtime, found.skew)],
        found.expires && ['Expires', relativeTime(found.expires, found.skew)],
        !directory && ['Version', String(found.version)],
        ['Revision', String(found.mod_revision)],
        found.content_type && ['Type', found.content_type],
        found.type === 'symlink' && ['Kind', 'symbolic link'],
        ['Mode', `${found.mode}  ${found.uid}:${found.gid}`],
    ];
    return all.filter(Boolean);
}

function sizeInFull(bytes) {
    return bytes < 1024 ? plural(bytes, 'byte') : size(bytes);
}
