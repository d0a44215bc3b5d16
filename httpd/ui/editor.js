/* The editor. It saves over the version that was read and no other (If-Match), so nobody's
 * change is lost; when there was one, both are shown and a person decides. Media type and
 * expiry stay as they are. What cannot go through a text field unharmed is edited as
 * hexadecimal. */
import * as api from './api.js';
import {fromHex, fromText, lineEnd, toHex, toText} from './bytes.js';
import {ask, confirm} from './dialog.js';
import {el} from './dom.js';
import {size} from './format.js';
import {formatJson} from './json.js';
import {show} from './key.js';
import {attempt, toast} from './toast.js';
import {excerpt} from './value.js';

const EDIT_MAX = 256 << 10;

/** Why a key cannot be edited here, or null. */
export function whyNot(found) {
    if (found.type === 'symlink')
        return 'This is a symbolic link; its value is the path it leads to.';
    if (found.size > EDIT_MAX)
        return `Values over ${size(EDIT_MAX)} are not edited in a browser: open the file in the `
            + 'mount, or use “kv edit”.';
    return null;
}

/** Whether a text field would give back the same bytes. */
export function editableAsText(bytes) {
    const text = toText(bytes);
    return text !== null && lineEnd(text) !== null;
}

const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/* What is to be kept with the value. */
const kept = (found) => ({type: found.content_type, ttl: found.expires
    && Math.max(1, Date.parse(found.expires) - Date.now() + found.skew)});

export class Editor {
    /** found: what read() gave; ended() when it is saved or given up. */
    constructor(found, {hex, ended}) {
        this.found = found;
        this.ended = ended;
        this.hex = hex || !editableAsText(found.bytes);
        this.field = el('textarea.value', {spellcheck: 'false', wrap: this.hex ? 'off' : 'soft',
            'aria-label': this.hex ? 'Value in hexadecimal' : 'Value', autocapitalize: 'off',
            onkeydown: (event) => this.#pressed(event)});
        this.field.value = this.hex ? toHex(found.bytes) : toText(found.bytes);
        this.#begin = this.field.value;
        this.notice = el('p.notice', {role: 'status', hidden: true});
        this.element = el('form.editor', {onsubmit: (event) => {
            event.preventDefault();
            attempt(() => this.#save());
        }}, this.notice, this.field, this.#buttons());
    }

    #begin; /* the field as it was */

    get dirty() {
        return this.field.value !== this.#begin;
    }

    focus() {
        this.field.focus();
        this.field.setSelectionRange(0, 0);
    }

    /** Somebody else wrote the key. */
    tellChanged(text) {
        this.notice.textContent = `${text} since you began to edit. Saving will show both.`;
        this.notice.hidden = false;
    }

    /** True when nothing is lost by leaving. */
    async mayLeave() {
        return !this.dirty || confirm('Leave without saving?',
            `Your changes to ${show(this.found.key)} would be lost.`, 'Discard');
    }

    #buttons() {
        const format = el('button', {type: 'button', onclick: () => this.#format()}, 'Format JSON');
        const isJson = !this.hex && formatJson(this.field.value) !== null;
        return el('div.buttons', {}, isJson ? format : null, el('span.grow'),
            el('button', {type: 'button', onclick: () => this.#cancel()}, 'Cancel'),
            el('button.main', {title: 'Save (Ctrl+S)'}, 'Save'));
    }

    #pressed(event) {
        const save = (event.ctrlKey || event.metaKey) && ['s', 'Enter'].includes(event.key);
        if (!save && event.key !== 'Escape')
            return;
        event.preventDefault();
        event.stopPropagation();
        if (save)
            this.element.requestSubmit();
        else
            this.#cancel();
    }

    async #cancel() {
        if (await this.mayLeave())
            this.ended();
    }

    #format() {
        const text = formatJson(this.field.value);
        if (text === null)
            toast('This is not JSON as it stands', {kind: 'problem'});
        else
            this.field.value = `${text}\n`;
    }

    #bytes() {
        if (this.hex)
            return fromHex(this.field.value);
        const end = lineEnd(toText(this.found.bytes));
        return fromText(this.field.value.replaceAll('\n', end));
    }

    async #save() {
        const bytes = this.#bytes();
        let base = this.found;
        for (;;) {
            try {
                const tag = await api.write(base.key, bytes, {...kept(base), tag: base.tag});
                this.#offerBack(base, tag);
                this.ended();
                return;
            } catch (error) {
                if (error.status !== 412)
                    throw error;
            }
            base = await this.#settle(bytes);
            if (!base)
                return;
        }
    }

    #offerBack(base, tag) {
        const back = () => api.write(base.key, base.bytes, {...kept(base), tag});
        toast(`Saved ${show(base.key)}`, base.bytes
            ? {action: {label: 'Undo', run: () => attempt(back)}} : {});
    }

    /** What to save over after a conflict, or null to save nothing. */
    async #settle(mine) {
        const theirs = await api.read(this.found.key).catch((error) => {
            if (error.status !== 404)
                throw error;
            return {key: this.found.key, bytes: null, tag: null};
        });
        if (theirs.bytes && sameBytes(theirs.bytes, this.found.bytes))
            return theirs; /* mode, times or the like */
        const answer = await askWhose(theirs, mine);
        if (answer === 'mine')
            return theirs;
        if (answer === 'theirs')
            this.ended();
        return null;
    }
}

const side = (title, bytes, gone) => el('section', {}, el('h3', {}, title),
    bytes ? el('pre.value', {tabindex: 0, 'aria-label': title}, toText(bytes) ?? excerpt(bytes))
        : el('p.empty', {}, gone));

function askWhose(theirs, mine) {
    const gone = theirs.tag ? 'It is too large to be shown.' : 'It was deleted.';
    return ask({title: 'Somebody else changed it', wide: true,
        body: [el('p', {}, `${show(theirs.key)} is no longer what you began with.`),
            el('div.sides', {}, side('Theirs, stored now', theirs.bytes, gone),
                side('Yours, not saved', mine))],
        buttons: [{value: 'back', label: 'Keep editing'}, {value: 'theirs', label: 'Take theirs'},
            {value: 'mine', label: 'Save mine over it', kind: 'danger'}]});
}
