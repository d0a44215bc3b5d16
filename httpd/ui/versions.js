/* What happened to a key, as far back as the log goes, and the way back to each version. */
import * as api from './api.js';
import {toText} from './bytes.js';
import {el} from './dom.js';
import {size} from './format.js';
import {show} from './key.js';
import {relativeTime} from './clock.js';
import {attempt, toast} from './toast.js';
import {excerpt, hexPane} from './value.js';

const DONE = {put: 'written', delete: 'deleted', rename: 'renamed', meta: 'attributes changed',
    mkdir: 'directory made', rmdir: 'directory removed'};

/* current: the tag of what is there now, null for nothing; type stays as it is. */
async function restore(key, version, current) {
    await api.write(key, version.bytes, {tag: current.tag, type: current.content_type})
        .catch((error) => {
            throw error.status === 412
                ? new Error(`${show(key)} was changed a moment ago; look at it first`) : error;
        });
    toast(`Restored version ${version.version} of ${show(key)}`);
}

function valueOf(version) {
    if (!version.bytes)
        return el('p.empty', {}, 'The log does not hold this value: it was too large.');
    const text = toText(version.bytes);
    return text === null ? hexPane(version.bytes)
        : el('pre.value', {tabindex: 0, 'aria-label': 'Value then'}, text);
}

function row(key, version, current) {
    const what = version.from === undefined ? DONE[version.type]
        : `renamed from ${show(version.from)}`;
    const head = [el('span.what', {}, what), el('span.by', {}, version.origin),
        relativeTime(version.time), el('span.number', {}, `rev ${version.revision}`)];
    if (version.type !== 'put')
        return el('li', {}, el('div.summary', {}, ...head));
    const isCurrent = version.revision >= current.mod_revision;
    const button = isCurrent ? el('span.tag', {}, 'now') : el('button', {type: 'button',
        disabled: !version.bytes, onclick: () => attempt(() => restore(key, version, current)),
    }, 'Restore');
    const summary = el('summary', {}, ...head, el('span.number', {}, size(version.size)),
        el('span.excerpt', {}, version.bytes ? excerpt(version.bytes) : 'too large for the log'));
    const details = el('details', {ontoggle: () =>
        details.replaceChildren(summary, details.open ? valueOf(version) : '')}, summary);
    return el('li', {}, details, button);
}

/** A list that grows by its last button. current: what read() gave, or {tag: null}. */
export async function versionsPane(key, current) {
    const rows = el('ol.versions');
    const more = el('button', {type: 'button'}, 'Older versions');
    const end = el('p.empty');
    let before;
    const load = async () => {
        const page = await api.history(key, before);
        rows.append(...page.versions.map((version) => row(key, version, current)));
        before = page.next;
        more.hidden = before === null;
        end.textContent = before !== null ? ''
            : `The log goes back to revision ${page.oldest}.`;
    };
    more.addEventListener('click', () => attempt(load));
    await load();
    return el('div', {}, rows, more, end);
}
