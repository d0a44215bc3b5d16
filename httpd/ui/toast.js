/* Short messages at the edge: what was done, with a way to undo it, and what failed. */
import {el, find} from './dom.js';

const SHOWN_MS = 6000, WITH_ACTION_MS = 20000;
const SHOWN_MAX = 4;

/** action, when given, is {label, run}. A message stays while it is pointed at. */
export function toast(text, {action, kind = 'done'} = {}) {
    const element = el(`div.toast.${kind}`, {}, el('span', {}, text));
    const close = () => element.remove();
    let timer;
    const wait = () => {
        timer = setTimeout(close, action ? WITH_ACTION_MS : SHOWN_MS);
    };
    element.addEventListener('pointerenter', () => clearTimeout(timer));
    element.addEventListener('pointerleave', wait);
    if (action)
        element.append(el('button', {type: 'button', onclick: () => {
            close();
            clearTimeout(timer);
            action.run();
        }}, action.label));
    element.append(el('button.quiet.icon', {type: 'button', 'aria-label': 'Dismiss',
        onclick: close}, '×'));
    const shown = find('toasts');
    shown.append(element);
    if (shown.childElementCount > SHOWN_MAX)
        shown.firstChild.remove();
    wait();
}

export function failed(error) {
    toast(error.message, {kind: 'problem'});
}

/** Do it; when it fails say so. */
export async function attempt(action) {
    try {
        return await action();
    } catch (error) {
        failed(error);
        return undefined;
    }
}
