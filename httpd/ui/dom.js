/* Elements, made of what is given. Text only ever becomes a text node: nothing on this page
 * is parsed as HTML, so no key or value can be anything but shown. */

/** el('button.quiet', {title: 'x', onclick}, 'text', child...): an element. Attributes that
 * are false, null or undefined are left out, functions are listeners. */
export function el(name, attributes = {}, ...children) {
    const [tag, ...classes] = name.split('.');
    const element = document.createElement(tag);
    if (classes.length)
        element.className = classes.join(' ');
    for (const [attribute, value] of Object.entries(attributes)) {
        if (typeof value === 'function')
            element.addEventListener(attribute.slice(2), value);
        else if (value !== false && value !== null && value !== undefined)
            element.setAttribute(attribute, value === true ? '' : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [attribute, value] of Object.entries(attributes))
        element.setAttribute(attribute, value);
    element.append(...children);
    return element;
}

/** A picture of icon.svg; what it means must be said beside it. */
export function icon(name) {
    return svg('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true', class: 'glyph'},
        svg('use', {href: `ui/icon.svg#${name}`}));
}

export const find = (id) => document.getElementById(id);
