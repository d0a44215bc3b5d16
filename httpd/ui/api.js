/* The HTTP API (docs/http.md), as this page uses it. */
import {fromBase64, fromText} from './bytes.js';
import {keyFromJson, keyToJson, keyToUrl, percent} from './key.js';
import {accepted, authorized, renewToken, token} from './token.js';

/** What the daemon refuses: status, code and message as it said them. */
export class ApiError extends Error {
    constructor(status, {code, message} = {}) {
        super(message ?? `the daemon answered ${status}`);
        this.name = 'ApiError';
        this.status = status;
        this.code = code;
    }
}

async function refusal(response) {
    const body = await response.json().catch(() => ({}));
    return new ApiError(response.status, body.error);
}

function queryOf(parameters) {
    const pairs = Object.entries(parameters)
        .filter(([, value]) => value !== undefined && value !== null)
        .map(([name, value]) => `${name}=${percent(String(value))}`);
    return pairs.length ? `?${pairs.join('&')}` : '';
}

/** A Response that is ok, or an ApiError; a TypeError of fetch when nobody answers. Where a
 * token is wanted it is asked for. */
export async function call(path, {query = {}, headers = {}, ...options} = {}) {
    for (;;) {
        const used = token();
        const response = await fetch(path + queryOf(query), {
            ...options, headers: authorized(headers), cache: 'no-store',
            credentials: 'omit', redirect: 'error'});
        if (response.ok) {
            accepted(used);
            return response;
        }
        const error = await refusal(response);
        if (response.status !== 401 || !await renewToken(used, error.message))
            throw error;
    }
}

const callJson = async (path, options) => (await call(path, options)).json();

const keyPath = (key) => `v1/keys/${keyToUrl(key)}`;

const tagOf = (revision) => `"${revision}"`;

/* -- Listing -- */

/** A page of what is directly in a directory: {revision, rows: [{key, directory}], next}.
 * next, when there is more, is what to give as after. */
export async function list(directory, {after, limit}) {
    const page = await callJson('v1/keys', {query: {
        dir: directory || undefined, delimiter: '/', after: after || undefined, limit}});
    return {
        revision: page.revision,
        rows: [...page.keys.map((row) => ({key: keyFromJson(row), directory: false})),
            ...page.directories.map((row) => ({key: directoryName(row), directory: true}))],
        next: page.more ? keyFromJson(page, 'next') : null,
    };
}

const directoryName = (row) => typeof row === 'string' ? row : keyFromJson(row);

/** A page of all keys, those of every directory: {keys, next}. */
export async function scan({prefix, after, limit, signal}) {
    const page = await callJson('v1/keys', {
        query: {prefix, after: after || undefined, limit}, signal});
    return {keys: page.keys.map((row) => keyFromJson(row)),
        next: page.more ? keyFromJson(page, 'next') : null};
}

/* -- One key -- */

/** All that is known of a key or directory. bytes is null for what has no value, or one that
 * is too large to come along (omitted); skew is our clock's lead over the daemon's in ms. */
export async function read(key) {
    const response = await call(keyPath(key), {headers: {Accept: 'application/json'}});
    const meta = await response.json();
    return {...meta, key, json: meta, tag: tagOf(meta.mod_revision), bytes: valueOf(meta),
        skew: Date.now() - Date.parse(response.headers.get('Date'))};
}

function valueOf(row) {
    if (row.value === undefined)
        return null;
    return row.encoding === 'base64' ? fromBase64(row.value) : fromText(row.value);
}

/** The first bytes of a value, of just the version that the tag names. */
export async function readStart(key, tag, length) {
    const response = await call(keyPath(key), {
        headers: {Range: `bytes=0-${length - 1}`, 'If-Match': tag}});
    return new Uint8Array(await response.arrayBuffer());
}

export async function download(key) {
    return (await call(keyPath(key))).blob();
}

/** Store a value. tag: only over that version; without one only where no key is. type and
 * ttl (ms) are kept with it; what is not given is cleared. Its new tag is returned. */
export async function write(key, bytes, {tag, type, ttl} = {}) {
    const headers = tag ? {'If-Match': tag} : {'If-None-Match': '*'};
    if (type)
        headers['Content-Type'] = type;
    const response = await call(keyPath(key), {
        method: 'PUT', body: bytes, headers, query: {ttl: ttl && `${Math.ceil(ttl)}ms`}});
    return response.headers.get('ETag');
}

export async function remove(key, {tag, recursive} = {}) {
    const response = await call(keyPath(key), {
        method: 'DELETE', headers: tag ? {'If-Match': tag} : {},
        query: {recursive: recursive ? 1 : undefined}});
    return Number(response.headers.get('X-Kv-Deleted') ?? 1);
}

function transact(...then) {
    return callJson('v1/txn', {method: 'POST', body: JSON.stringify({then})});
}

/** Refused with 409 when something has the new name. */
export function rename(key, to) {
    return transact({op: 'rename', ...keyToJson(key), ...keyToJson(to, 'to'),
        no_replace: true});
}

export function makeDirectory(key) {
    return transact({op: 'mkdir', ...keyToJson(key)});
}

/** A page of what happened to a key, newest first: {versions, next, oldest}. */
export async function history(key, before) {
    const page = await callJson('v1/history', {query: {key, before, limit: 50}});
    return {oldest: page.oldest_revision, next: page.more ? page.next : null,
        versions: page.versions.map((version) => ({...change(version),
            bytes: valueOf(version)}))};
}

/** An event of the stream or of a history, its keys decoded. */
export function change(event) {
    return {...event, key: keyFromJson(event),
        from: event.from === undefined ? undefined : keyFromJson(event, 'from')};
}

/* -- Whole keys and trees, as lines -- */

/** The lines of a directory, itself first, or null when they are longer than max bytes. */
export async function exportLines(directory, max) {
    const response = await call('v1/export', {query: {dir: directory}});
    const chunks = [];
    let length = 0;
    for await (const chunk of response.body) {
        length += chunk.length;
        if (length > max)
            return null; /* which ends the request, too */
        chunks.push(chunk);
    }
    return new Blob(chunks);
}

export function importLines(lines) {
    return callJson('v1/import', {method: 'POST', body: lines});
}

/** The line of one key, from what read() gave. */
export function lineOf(found) {
    return new Blob([JSON.stringify({...found.json, ...keyToJson(found.key)}), '\n']);
}

export async function exists(key) {
    try {
        await call(keyPath(key), {headers: {Accept: 'application/json'}, method: 'HEAD'});
        return true;
    } catch (error) {
        if (error.status === 404)
            return false;
        throw error;
    }
}

/* -- The daemon -- */

export const status = () => callJson('v1/status');

/** Its metrics by name; those that differ in labels only are added up. */
export async function metrics() {
    const text = await (await call('metrics')).text();
    const sums = {};
    for (const [, name, value] of text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm))
        sums[name] = (sums[name] ?? 0) + Number(value);
    return sums;
}

/** The change stream after a revision, without values. */
export function watchFrom(since, signal) {
    return call('v1/watch', {query: {since, values: 0}, signal});
}
