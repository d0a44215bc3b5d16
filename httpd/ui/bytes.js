/* Values are bytes. This is how they become text, hexadecimal and base64, and come back as
 * the same bytes or not at all. */
const strict = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
const encoder = new TextEncoder();

export function fromBase64(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function toBase64(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192)
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
}

export const fromText = (text) => encoder.encode(text);

/** The text that bytes are, or null: not UTF-8, or with a NUL in it. */
export function toText(bytes) {
    if (bytes.includes(0))
        return null;
    try {
        return strict.decode(bytes);
    } catch {
        return null;
    }
}

/** How the lines of a text end, '\n' or '\r\n', or null when they differ. A text field
 * makes every line end '\n', so what it gives is only right for texts of one kind. */
export function lineEnd(text) {
    const returns = text.split('\r').length - 1;
    if (returns === 0)
        return '\n';
    const pairs = text.split('\r\n').length - 1;
    const feeds = text.split('\n').length - 1;
    return pairs === returns && pairs === feeds ? '\r\n' : null;
}

const hex = (number, digits) => number.toString(16).padStart(digits, '0');

function hexLine(bytes, at) {
    const line = bytes.subarray(at, at + 16);
    const codes = Array.from(line, (byte) => hex(byte, 2));
    const left = codes.slice(0, 8).join(' ').padEnd(23);
    const right = codes.slice(8).join(' ').padEnd(23);
    const text = Array.from(line, (byte) =>
        byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·').join('');
    return `${hex(at, 8)}  ${left}  ${right}  ${text}`;
}

/** Lines as hexdump -C writes them. */
export function hexDump(bytes) {
    const lines = [];
    for (let at = 0; at < bytes.length; at += 16)
        lines.push(hexLine(bytes, at));
    return lines.join('\n');
}

/** Pairs of digits, sixteen a line: hexadecimal to be edited. */
export function toHex(bytes) {
    const lines = [];
    for (let at = 0; at < bytes.length; at += 16)
        lines.push(Array.from(bytes.subarray(at, at + 16), (byte) => hex(byte, 2)).join(' '));
    return lines.join('\n');
}

/** The bytes of what was edited; blanks mean nothing. Throws an Error that says where. */
export function fromHex(text) {
    text.split('\n').forEach((line, index) => {
        const wrong = line.match(/[^0-9a-f\s]/i);
        if (wrong)
            throw new Error(`line ${index + 1}: '${wrong[0]}' is not a hexadecimal digit`);
    });
    const digits = text.replace(/\s/g, '');
    if (digits.length % 2)
        throw new Error('a byte has two hexadecimal digits; one is missing');
    const bytes = new Uint8Array(digits.length / 2);
    for (let i = 0; i < bytes.length; i++)
        bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
    return bytes;
}
