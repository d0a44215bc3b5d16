/* What can be done to keys and directories, each with its question and the way back. */
import * as api from './api.js';
import {fromText} from './bytes.js';
import {ask, CANCEL, confirm, field} from './dialog.js';
import {el} from './dom.js';
import {plural} from './format.js';
import {show} from './key.js';
import {attempt, toast} from './toast.js';

/* What of a directory is kept to undo its deletion. */
const UNDO_BYTES = 4 << 20;

const pathInput = (value) => el('input.mono', {value, autocomplete: 'off', required: true,
    autocapitalize: 'off', spellcheck: 'false'});

/* -- Create -- */

function newForm(directory) {
    const path = pathInput(directory ? `${directory}/` : '');
    const value = el('textarea.mono', {rows: 6, spellcheck: 'false'});
    const ttl = el('input', {placeholder: '90s, 15m, 12h, 7d', autocomplete: 'off'});
    return {path, value, ttl, body: [
        field('Path', path, 'Directories on the way are made; a / at its end makes a directory.'),
        field('Value', value), field('Time to live', ttl, 'Empty: it stays.')]};
}

const TTL_UNITS = {ms: 1, '': 1e3, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7};

/** Milliseconds of '15m', undefined for nothing. */
function parseTtl(text) {
    if (text.trim() === '')
        return undefined;
    const match = text.trim().match(/^(\d+)(ms|s|m|h|d|)$/);
    if (!match || Number(match[1]) === 0)
        throw new Error('a time to live is a number and a unit: 90s, 15m, 12h, 7d');
    return Number(match[1]) * TTL_UNITS[match[2]];
}

/** The key that was made, with a / behind a directory, or null. */
export async function create(directory) {
    const {path, value, ttl, body} = newForm(directory);
    const make = async () => {
        const isDirectory = path.value.endsWith('/');
        const ms = parseTtl(ttl.value);
        if (isDirectory && (value.value || ms))
            throw new Error('a directory has no value; without the / at the end it is a key');
        await (isDirectory ? api.makeDirectory(path.value.slice(0, -1))
            : api.write(path.value, fromText(value.value), {ttl: ms})).catch(explainTaken);
    };
    queueMicrotask(() => path.setSelectionRange(path.value.length, path.value.length));
    const answer = await ask({title: 'New key', body, check: (pressed) =>
        pressed === 'make' ? make() : null,
    buttons: [CANCEL, {value: 'make', label: 'Create', kind: 'main'}]});
    return answer === 'make' ? path.value : null;
}

function explainTaken(error) {
    if (error.status === 412 || error.code === 'exists')
        throw new Error('there is something of that name already');
    throw error;
}

/* -- Rename -- */

/** The new name, or null. */
export async function rename(key) {
    const path = pathInput(key);
    const move = () => api.rename(key, path.value).catch(explainTaken);
    queueMicrotask(() => path.setSelectionRange(key.lastIndexOf('/') + 1, key.length));
    const answer = await ask({title: `Rename ${show(key)}`, body: [field('New path', path)],
        check: (pressed) => pressed === 'move' && path.value !== key ? move() : null,
        buttons: [CANCEL, {value: 'move', label: 'Rename', kind: 'main'}]});
    const to = path.value;
    if (answer !== 'move' || to === key)
        return null;
    toast(`Renamed to ${show(to)}`, {action: {label: 'Undo', run: () => attempt(() =>
        api.rename(to, key).catch(explainTaken))}});
    return to;
}

/* -- Delete -- */

function offerBack(text, key, lines) {
    const back = async () => {
        if (await api.exists(key))
            throw new Error(`${show(key)} is there again; nothing was changed`);
        await api.importLines(lines);
        toast(`Restored ${show(key)}`);
    };
    toast(text, lines ? {action: {label: 'Undo', run: () => attempt(back)}} : {});
}

/* Just the version that was read is deleted, so what Undo brings back is what went, with
 * its mode, owner, attributes and expiry. */
async function removeKey(key) {
    const found = await api.read(key);
    if (found.omitted && !await confirm(`Delete ${show(key)}?`,
        'Its value is too large to be kept for Undo.', 'Delete'))
        return false;
    try {
        await api.remove(key, {tag: found.tag});
    } catch (error) {
        throw error.status === 412
            ? new Error(`${show(key)} was changed a moment ago; look at it first`) : error;
    }
    offerBack(`Deleted ${show(key)}`, key, found.omitted ? null : api.lineOf(found));
    return true;
}

async function removeDirectory(key) {
    const lines = await api.exportLines(key, UNDO_BYTES);
    const inside = lines ? (await lines.text()).split('\n').length - 2 : null;
    const text = lines ? `${plural(inside, 'entry', 'entries')} below it will go with it.`
        : 'Everything below it will go with it. That is too much to be kept for Undo.';
    if (inside !== 0 && !await confirm(`Delete ${show(key)}/?`, text, 'Delete all'))
        return false;
    await api.remove(key, {recursive: true});
    offerBack(`Deleted ${show(key)}/`, key, lines);
    return true;
}

/** True when it is gone. */
export function remove(key, directory) {
    return attempt(() => directory ? removeDirectory(key) : removeKey(key));
}
