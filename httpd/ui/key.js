/* Keys. A key is bytes, nearly always UTF-8. Here it is a string in which each byte that is
 * not UTF-8 stands as a lone surrogate, U+DC80 to U+DCFF (as in Python's surrogateescape):
 * every key has exactly one string, and the string gives back its bytes. */
import {fromBase64, toBase64} from './bytes.js';

const strict = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
const encoder = new TextEncoder();

function characterAt(bytes, at) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    try {
        return [strict.decode(bytes.subarray(at, at + length)), length];
    } catch {
        return [String.fromCharCode(0xdc00 + first), 1];
    }
}

export function keyFromBytes(bytes) {
    let key = '';
    for (let at = 0; at < bytes.length;) {
        const [character, length] = characterAt(bytes, at);
        key += character;
        at += length;
    }
    return key;
}

const escapedByte = (character) =>
    /^[\udc80-\udcff]$/.test(character) ? character.charCodeAt(0) - 0xdc00 : null;

export function keyBytes(key) {
    if (key.isWellFormed())
        return encoder.encode(key);
    return Uint8Array.from(Array.from(key).flatMap((character) => {
        const byte = escapedByte(character);
        return byte === null ? Array.from(encoder.encode(character)) : [byte];
    }));
}

/** The member NAME of an answer, which the API writes as base64 when it is not UTF-8. */
export function keyFromJson(object, name = 'key') {
    return object[`${name}_encoding`] === 'base64' ? keyFromBytes(fromBase64(object[name]))
        : object[name];
}

/** The same for a request: {NAME: ...} or {NAME: base64, NAME_encoding: 'base64'}. */
export function keyToJson(key, name = 'key') {
    return key.isWellFormed() ? {[name]: key}
        : {[name]: toBase64(keyBytes(key)), [`${name}_encoding`]: 'base64'};
}

/** For one component of a path or one value of a query. */
export function percent(text) {
    if (text.isWellFormed())
        return encodeURIComponent(text);
    return Array.from(keyBytes(text),
        (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

export const keyToUrl = (key) => key.split('/').map(percent).join('/');

export function keyFromUrl(text) {
    const pieces = text.split(/(%[0-9a-f]{2})/i).filter(Boolean);
    return keyFromBytes(Uint8Array.from(pieces.flatMap((piece) =>
        /^%[0-9a-f]{2}$/i.test(piece) ? [parseInt(piece.slice(1), 16)]
            : Array.from(encoder.encode(piece)))));
}

/** The directory that a key is in; '' is the root. */
export const parentOf = (key) => key.slice(0, Math.max(0, key.lastIndexOf('/')));

export const nameOf = (key) => key.slice(key.lastIndexOf('/') + 1);

export const join = (directory, name) => directory ? `${directory}/${name}` : name;

export const isBelow = (key, directory) => directory === '' || key.startsWith(`${directory}/`);

/** Byte order, as the API sorts. */
export function compareKeys(a, b) {
    const left = keyBytes(a), right = keyBytes(b);
    const length = Math.min(left.length, right.length);
    for (let i = 0; i < length; i++)
        if (left[i] !== right[i])
            return left[i] - right[i];
    return left.length - right.length;
}

/* Control characters, those that turn the direction of text round, and bytes that are not
 * UTF-8: what could make one name look like another. */
const UNSEEN = new RegExp('[\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e'
    + '\\u2060-\\u2069\\ufeff\\udc80-\\udcff]', 'gu');

/** A key for people: nothing invisible in it. */
export function show(key) {
    return key.replace(UNSEEN, (character) => {
        const byte = escapedByte(character);
        const code = byte ?? character.codePointAt(0);
        return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}`
            : `\\u{${code.toString(16)}}`;
    });
}
