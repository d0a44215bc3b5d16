/* A value to look at: as text, as JSON laid out, as hexadecimal. */
import {hexDump, toText} from './bytes.js';
import {el} from './dom.js';
import {plural, size} from './format.js';
import {jsonPieces} from './json.js';

/* Of what is too large to come whole, and of one stretch of hexadecimal. */
export const START_BYTES = 64 << 10;
const COLOURED_PIECES = 20000;

/** What the bytes can be shown as: {text, json}, null for what they are not. cut: they are
 * the beginning of more, perhaps up to the middle of a character. */
export function readings(bytes, cut) {
    let text = toText(bytes);
    for (let less = 1; cut && text === null && less < 4; less++)
        text = toText(bytes.subarray(0, bytes.length - less));
    const looksJson = text !== null && /^\s*[[{]/.test(text);
    return {text, json: looksJson && !cut ? jsonPieces(text) : null};
}

export function textPane(text) {
    return text === '' ? el('p.empty', {}, 'The value is empty: 0 bytes.')
        : el('pre.value', {tabindex: 0, 'aria-label': 'Value'}, text);
}

export function jsonPane(pieces) {
    const pane = el('pre.value', {tabindex: 0, 'aria-label': 'Value as JSON'});
    if (pieces.length > COLOURED_PIECES)
        pane.append(pieces.map((piece) => piece.text).join(''));
    else
        pane.append(...pieces.map(({kind, text}) =>
            kind === 'blank' || kind === 'mark' ? text : el(`span.json-${kind}`, {}, text)));
    return pane;
}

export function hexPane(bytes) {
    let shown = START_BYTES;
    const dump = () => hexDump(bytes.subarray(0, shown));
    const pane = el('pre.value.hex', {tabindex: 0, 'aria-label': 'Value in hexadecimal'}, dump());
    const more = el('button', {type: 'button', onclick: () => {
        shown += START_BYTES;
        pane.textContent = dump();
        more.hidden = shown >= bytes.length;
    }}, `${size(START_BYTES)} more`);
    more.hidden = shown >= bytes.length;
    return el('div', {}, pane, more);
}

/** One line about a value, for lists. */
export function excerpt(bytes) {
    const text = toText(bytes.subarray(0, 400)) ?? readings(bytes.subarray(0, 400), true).text;
    if (text === null)
        return `binary, ${plural(bytes.length, 'byte')}`;
    return text === '' ? 'empty' : text.slice(0, 160).replace(/\s+/g, ' ');
}
