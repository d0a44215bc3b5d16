/* The page: what is where, what the address names, and what the keyboard does. The address
 * is #/KEY for a path, #live for the overview, and empty or #keys for the tree, beside
 * which a wide screen has the overview. */
import {create, remove} from './actions.js';
import {ask} from './dialog.js';
import {el, find, icon} from './dom.js';
import {Entry} from './entry.js';
import {Feed} from './feed.js';
import {count} from './format.js';
import {keyFromUrl, keyToUrl, parentOf, show} from './key.js';
import {overview, Samples} from './overview.js';
import {Search} from './search.js';
import {theme} from './theme.js';
import {attempt, failed} from './toast.js';
import {askForToken, forgetToken, onTokenAccepted, onTokenWanted, token} from './token.js';
import {Tree} from './tree.js';
import {Watch} from './watch.js';

const feed = new Feed();
let samples = null;
let entry = null;  /* of the path that is shown, or null */
let home = null;   /* the overview, when that is */
let address = null;
let empty = false;

const opens = (key) => {
    location.hash = `#/${keyToUrl(key)}`;
};

const tree = new Tree(find('tree'), {opened: opens, failed, emptied: (isEmpty) => {
    empty = isEmpty;
    find('tree').classList.toggle('empty', isEmpty);
    home?.emptied(isEmpty);
}});

const search = new Search({input: find('search'), results: find('found'), tree: find('tree'),
    opened: opens, failed});

/* -- What the address names -- */

const keyOfAddress = () => location.hash.startsWith('#/') ? keyFromUrl(location.hash.slice(2))
    : null;

async function showAddress() {
    if (location.hash === address || location.hash === '#detail')
        return;
    const wanted = location.hash;
    if (entry && !await entry.mayLeave()) {
        history.replaceState(null, '', address);
        return;
    }
    address = wanted;
    const key = keyOfAddress();
    document.body.dataset.pane = key !== null || wanted === '#live' ? 'detail' : 'tree';
    document.title = key === null ? 'kvfs' : `${show(key)} – kvfs`;
    find('nav-live').setAttribute('aria-current', String(wanted === '#live'));
    find('nav-keys').setAttribute('aria-current', String(wanted !== '#live'));
    entry?.close();
    entry = null;
    home = null;
    if (key) {
        entry = new Entry(find('detail'), key, {opens, feed});
        attempt(() => tree.reveal(key));
    } else {
        tree.select(null);
        samples ??= new Samples();
        home = overview(find('detail'), {samples, feed, empty});
    }
    find('detail').scrollTop = 0;
}

/* -- The daemon -- */

const WORDS = {live: 'live', away: 'reconnecting', refused: 'no access'};
let revision = 0; /* to be told in the next frame; 0: none is */

const watch = new Watch({
    begin: (now) => {
        tellRevision(now);
        attempt(readAll);
    },
    changed: (change) => {
        tree.changed(change);
        feed.add(change);
        entry?.changed(change);
        tellRevision(change.revision);
    },
    state: (state, why = '') => {
        find('status').dataset.state = state;
        find('status').title = why;
        find('status-text').textContent = WORDS[state];
        find('token').hidden = !token() && state !== 'refused';
    },
});

async function readAll() {
    entry?.refresh();
    await tree.reload();
    if (entry)
        await tree.reveal(entry.key);
}

/* Once in a frame, however many changes come. */
function tellRevision(now) {
    if (!revision)
        requestAnimationFrame(() => {
            find('revision').textContent = `rev ${count(revision)}`;
            revision = 0;
        });
    revision = now;
}

onTokenWanted(async (message) => {
    const field = el('input.mono', {type: 'password', autocomplete: 'current-password',
        required: true, 'aria-label': 'Token'});
    const answer = await ask({title: 'A token, please', body: [
        el('p', {}, `This daemon wants one: ${message}. “kv token create” makes them.`), field],
    buttons: [{value: 'no', label: 'Not now'}, {value: 'use', label: 'Use it', kind: 'main'}]});
    return answer === 'use' ? field.value.trim() : null;
});

onTokenAccepted(() => watch.startOver());

async function changeToken() {
    forgetToken();
    if (await askForToken('choose the one to use', true))
        watch.startOver();
}

/* -- Doing -- */

/** The path that an action is about: what has the focus in the tree, or what is shown. */
function chosen() {
    if (tree.focused)
        return {key: tree.focused.key, directory: tree.focused.directory};
    return entry ? {key: entry.key, directory: entry.isDirectory} : null;
}

async function createHere() {
    const at = chosen();
    const made = await create(at ? (at.directory ? at.key : parentOf(at.key)) : '');
    if (made)
        opens(made.replace(/\/$/, ''));
}

function removeChosen() {
    const at = chosen();
    if (at)
        remove(at.key, at.directory);
}

/* On what is shown; from the tree it is shown first. */
async function onEntry(method) {
    const at = chosen();
    if (!at)
        return;
    if (entry?.key !== at.key) {
        opens(at.key);
        await showAddress();
        await entry.ready;
    }
    entry[method]();
}

const SHORTCUTS = [
    {keys: ['/'], label: 'search', run: () => find('search').focus()},
    {keys: ['n'], label: 'new key', run: createHere},
    {keys: ['e'], label: 'edit the value', run: () => onEntry('edit')},
    {keys: ['r', 'F2'], label: 'rename', run: () => onEntry('rename')},
    {keys: ['Delete'], label: 'delete', run: removeChosen},
    {keys: ['t'], label: 'go to the tree', run: () => tree.focus()},
    {keys: ['v'], label: 'go to the value', run: () => find('detail').focus()},
    {keys: ['l'], label: 'overview', run: () => {
        location.hash = '#live';
    }},
    {keys: ['?'], label: 'these shortcuts', run: help},
];
const ELSEWHERE = [['↑ ↓', 'move in the tree and in what was found'],
    ['→ ←', 'open and close a directory'], ['Enter', 'show what has the focus'],
    ['Ctrl S', 'save what is edited'], ['Esc', 'leave the editor, the search, a dialog']];

function help() {
    const rows = [...SHORTCUTS.map(({keys, label}) => [keys.join(' '), label]), ...ELSEWHERE];
    ask({title: 'Keyboard', body: [el('dl.shortcuts', {}, ...rows.flatMap(([keys, label]) => [
        el('dt', {}, ...keys.split(' ').map((key) => el('kbd', {}, key))), el('dd', {}, label)]))],
    buttons: [{value: 'close', label: 'Close', kind: 'main'}]});
}

function pressed(event) {
    const typing = event.target.closest('input, textarea, select, dialog');
    if (typing || event.ctrlKey || event.metaKey || event.altKey)
        return;
    const shortcut = SHORTCUTS.find(({keys}) => keys.includes(event.key));
    if (!shortcut)
        return;
    event.preventDefault();
    shortcut.run();
}

document.addEventListener('keydown', pressed);
find('new').addEventListener('click', createHere);
find('help').addEventListener('click', help);
find('token').addEventListener('click', changeToken);
find('skip').addEventListener('click', (event) => {
    event.preventDefault();
    find('detail').focus();
});
theme(find('theme'), icon);
addEventListener('hashchange', showAddress);
addEventListener('beforeunload', (event) => {
    if (entry?.unsaved)
        event.preventDefault();
});
showAddress();
watch.run();
