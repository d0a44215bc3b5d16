/* The tree of keys. Directories are read when they are opened, a page at a time; what
 * changes later comes with the stream. Each change says how a key is after it, so one that
 * the listing held already does no harm; those that come while a listing is under way wait
 * for it. */
import {list} from './api.js';
import {el, icon} from './dom.js';
import {compareKeys, isBelow, nameOf, parentOf, show} from './key.js';

const PAGE_ROWS = 200;
/* A directory that grows under our eyes shows so many rows; the rest is a page again. */
const LIVE_ROWS = 2000;

class Node {
    rows = [];      /* children shown, in order */
    next = null;    /* behind it there are more */
    loaded = false;
    waiting = null; /* changes that came while a page is under way; null: none is */

    constructor(key, directory, parent) {
        Object.assign(this, {key, directory, parent});
        this.level = parent ? parent.level + 1 : 0;
    }

    get open() {
        return !this.parent || this.item.getAttribute('aria-expanded') === 'true';
    }

    /** Where a child of this key is or would be. */
    place(key) {
        let from = 0, to = this.rows.length;
        while (from < to) {
            const middle = (from + to) >> 1;
            if (compareKeys(this.rows[middle].key, key) < 0)
                from = middle + 1;
            else
                to = middle;
        }
        return from;
    }
}

export class Tree {
    #root;
    #nodes = new Map();        /* by key */
    #byItem = new WeakMap();
    #selected = null;          /* the key of it, there or not */
    #current = null;           /* the one that Tab leads to */
    #follow = null;            /* the key that is to have the focus when it is there */

    /** opened(key, directory) when someone chooses one; emptied(bool) as the root is;
     * failed(error). */
    constructor(element, {opened, emptied, failed}) {
        Object.assign(this, {element, opened, emptied, failed});
        this.#root = new Node('', true, null);
        this.#root.group = element;
        this.#nodes.set('', this.#root);
        this.seen = new IntersectionObserver((entries) => {
            for (const entry of entries)
                if (entry.isIntersecting)
                    this.#load(this.#byItem.get(entry.target));
        });
        element.addEventListener('click', (event) => this.#clicked(event));
        element.addEventListener('keydown', (event) => this.#pressed(event));
        element.addEventListener('focusin', (event) => {
            const node = this.#byItem.get(event.target);
            if (node)
                this.#makeCurrent(node);
        });
    }

    /** Read everything anew that is open. */
    async reload() {
        const open = [...this.#nodes.values()].filter((node) => node.open && node.parent)
            .map((node) => node.key).sort(compareKeys);
        this.#root.next = null;
        await this.#load(this.#root, true);
        for (const key of open)
            if (this.#nodes.get(key)?.directory)
                await this.#expand(this.#nodes.get(key));
        this.select(this.#selected);
    }

    /** Show where a key is: open what it is in. The focus, if it is in the tree, goes there. */
    async reveal(key) {
        this.#follow = this.focused ? key : null;
        this.select(key);
        for (let at = key.indexOf('/'); at > 0; at = key.indexOf('/', at + 1)) {
            const node = this.#nodes.get(key.slice(0, at));
            if (!node?.directory)
                return;
            await this.#expand(node);
        }
        this.#nodes.get(key)?.item.scrollIntoView({block: 'nearest'});
        this.#focusFollowed();
    }

    #focusFollowed() {
        const node = this.#nodes.get(this.#follow);
        if (!node?.parent || !this.focused)
            return;
        this.#follow = null;
        node.item.focus();
    }

    select(key) {
        this.#nodes.get(this.#selected)?.item?.setAttribute('aria-selected', 'false');
        this.#selected = key;
        const node = this.#nodes.get(key);
        node?.item?.setAttribute('aria-selected', 'true');
        if (node?.parent)
            this.#makeCurrent(node);
    }

    focus() {
        (this.#current ?? this.#root.rows[0])?.item.focus();
    }

    /** The key or directory that has the focus, if one has. */
    get focused() {
        return this.#byItem.get(document.activeElement);
    }

    /** Whether it is shown as a directory. */
    isDirectory(key) {
        return this.#nodes.get(key)?.directory ?? false;
    }

    /* -- Changes -- */

    changed(change) {
        if (change.type === 'rename')
            this.#apply(change.from, {...change, type: 'gone'});
        this.#apply(change.key, change);
    }

    #apply(key, change) {
        const parent = this.#nodes.get(parentOf(key));
        if (parent?.waiting) {
            parent.waiting.push([key, change]);
        } else if (parent?.loaded) {
            this.#applyTo(parent, key, change);
            if (parent === this.#root)
                this.emptied(this.#root.rows.length === 0);
        }
    }

    #applyTo(parent, key, change) {
        const node = this.#nodes.get(key);
        if (['gone', 'delete', 'rmdir'].includes(change.type)) {
            if (node)
                this.#remove(node);
        } else if (change.type === 'meta') {
            return;
        } else if (node || parent.next === null || compareKeys(key, parent.next) <= 0) {
            const directory = change.type === 'mkdir' || Boolean(change.directory);
            this.#flash(this.#add(parent, key, directory));
            this.#trim(parent);
        }
    }

    #flash(node) {
        const row = node.item.firstChild;
        row.classList.add('flash');
        row.addEventListener('animationend', () => row.classList.remove('flash'),
            {once: true});
    }

    /** A directory that got too many rows ends earlier. */
    #trim(parent) {
        if (parent.rows.length <= LIVE_ROWS)
            return;
        this.#remove(parent.rows.at(-1));
        parent.next = parent.rows.at(-1).key;
        this.#showMore(parent);
    }

    /* -- Reading -- */

    async #load(node, anew = false) {
        if (node.waiting)
            return;
        node.waiting = [];
        const after = anew || !node.loaded ? null : node.next;
        try {
            const page = await list(node.key, {after, limit: PAGE_ROWS});
            if (after === null)
                [...node.rows].forEach((row) => this.#remove(row));
            page.rows.forEach((row) => this.#add(node, row.key, row.directory));
            node.next = page.next;
            node.loaded = true;
        } catch (error) {
            if (error.status !== 404) /* it went, which the stream tells */
                this.failed(error);
        }
        const changes = node.waiting;
        node.waiting = null;
        changes.forEach(([key, change]) => this.#apply(key, change));
        this.#showMore(node);
        if (node === this.#root && node.loaded)
            this.emptied(node.rows.length === 0);
    }

    /** A last row that asks for the next page as soon as it is seen. */
    #showMore(node) {
        if (node.more) {
            this.seen.unobserve(node.more);
            node.more.remove();
            node.more = null;
        }
        if (node.next === null)
            return;
        node.more = el('li.more', {role: 'none'}, 'more …');
        node.more.style.setProperty('--level', node.level);
        this.#byItem.set(node.more, node);
        node.group.append(node.more);
        this.seen.observe(node.more);
    }

    /* -- Rows -- */

    #add(parent, key, directory) {
        const there = this.#nodes.get(key);
        if (there?.directory === directory)
            return there;
        if (there)
            this.#remove(there);
        const node = new Node(key, directory, parent);
        this.#draw(node);
        const place = parent.place(key);
        parent.group.insertBefore(node.item, parent.rows[place]?.item ?? parent.more ?? null);
        parent.rows.splice(place, 0, node);
        this.#nodes.set(key, node);
        this.#byItem.set(node.item, node);
        if (key === this.#selected)
            this.select(key);
        if (key === this.#follow)
            this.#focusFollowed();
        if (!this.#current)
            this.#makeCurrent(node);
        return node;
    }

    #draw(node) {
        const name = show(nameOf(node.key));
        const row = el('div.row', {title: name},
            node.directory ? icon('chevron') : el('span.glyph'),
            icon(node.directory ? 'folder' : 'file'), el('span.name', {}, name));
        row.style.setProperty('--level', node.level - 1);
        node.item = el('li', {role: 'treeitem', tabindex: -1, 'aria-label': name,
            'aria-level': node.level, 'aria-selected': 'false',
            'aria-expanded': node.directory ? 'false' : null}, row);
        if (node.directory) {
            node.group = el('ul', {role: 'group', hidden: true});
            node.item.append(node.group);
        }
    }

    #remove(node) {
        const rows = node.parent.rows;
        const place = rows.indexOf(node);
        if (node.item.contains(document.activeElement))
            (rows[place + 1] ?? rows[place - 1] ?? node.parent).item?.focus();
        rows.splice(place, 1);
        node.item.remove();
        this.#forget(node);
        if (!this.#nodes.has(this.#current?.key))
            this.#makeCurrent(rows[place] ?? rows[place - 1] ?? this.#root.rows[0] ?? null);
    }

    #forget(node) {
        this.#nodes.delete(node.key);
        if (node.more)
            this.seen.unobserve(node.more);
        node.rows.forEach((row) => this.#forget(row));
    }

    async #expand(node) {
        node.item.setAttribute('aria-expanded', 'true');
        node.group.hidden = false;
        if (!node.loaded)
            await this.#load(node);
    }

    #collapse(node) {
        node.item.setAttribute('aria-expanded', 'false');
        node.group.hidden = true;
        if (isBelow(this.#current?.key ?? '', node.key))
            this.#makeCurrent(node);
    }

    /* -- Mouse and keyboard, as the tree pattern of ARIA has them -- */

    #makeCurrent(node) {
        this.#current?.item?.setAttribute('tabindex', '-1');
        this.#current = node?.parent ? node : null;
        this.#current?.item.setAttribute('tabindex', '0');
    }

    #choose(node) {
        this.#makeCurrent(node);
        this.opened(node.key, node.directory);
    }

    #clicked(event) {
        const node = this.#byItem.get(event.target.closest('[role=treeitem]'));
        if (!node)
            return;
        const wasChosen = node.key === this.#selected;
        const chevron = event.target.closest('.glyph') === node.item.firstChild.firstChild;
        node.item.focus({preventScroll: true});
        if (node.directory && (chevron || !node.open || wasChosen))
            node.open ? this.#collapse(node) : this.#expand(node);
        if (!(node.directory && chevron))
            this.#choose(node);
    }

    #after(node) {
        if (node.open && node.rows.length)
            return node.rows[0];
        for (; node.parent; node = node.parent) {
            const next = node.parent.rows[node.parent.rows.indexOf(node) + 1];
            if (next)
                return next;
        }
        return null;
    }

    #before(node) {
        let previous = node.parent.rows[node.parent.rows.indexOf(node) - 1];
        if (!previous)
            return node.parent;
        while (previous.directory && previous.open && previous.rows.length)
            previous = previous.rows.at(-1);
        return previous;
    }

    #last() {
        let node = this.#root;
        while (node.directory && node.open && node.rows.length)
            node = node.rows.at(-1);
        return node;
    }

    #pressed(event) {
        const node = this.focused;
        if (!node || event.altKey || event.ctrlKey || event.metaKey)
            return;
        const moves = {
            ArrowDown: () => this.#after(node),
            ArrowUp: () => this.#before(node),
            Home: () => this.#root.rows[0],
            End: () => this.#last(),
            ArrowRight: () => this.#inward(node),
            ArrowLeft: () => this.#outward(node),
            Enter: () => this.#choose(node),
            ' ': () => this.#choose(node),
        };
        if (!Object.hasOwn(moves, event.key))
            return;
        event.preventDefault();
        moves[event.key]()?.item?.focus();
    }

    #inward(node) {
        if (!node.directory)
            return null;
        if (node.open)
            return node.rows[0];
        this.#expand(node);
        return null;
    }

    #outward(node) {
        if (!node.directory || !node.open)
            return node.parent;
        this.#collapse(node);
        return null;
    }
}
