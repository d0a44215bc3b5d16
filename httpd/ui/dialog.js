/* Questions. Each is a native modal dialog, which keeps the focus and ends with Escape. */
import {el} from './dom.js';

/** Ask; the value of the button that was pressed, null for Escape. buttons: [{value, label,
 * kind}], the last is the one that Enter presses. check(value), when given, may throw or
 * reject: what it says is shown and the question stays. */
export function ask({title, body = [], buttons, check = () => {}, wide = false}) {
    return new Promise((resolve) => {
        const said = el('p.problem', {role: 'alert'});
        const dialog = el(wide ? 'dialog.wide' : 'dialog', {'aria-label': title});
        const end = (value) => {
            resolve(value); /* the first counts: close() comes here again */
            dialog.close(); /* gives the focus back */
            dialog.remove();
        };
        const press = async (value) => {
            try {
                said.textContent = '';
                await check(value);
                end(value);
            } catch (error) {
                said.textContent = error.message;
                dialog.querySelector('input, textarea')?.focus();
            }
        };
        const form = el('form', {method: 'dialog', onsubmit: (event) => {
            event.preventDefault();
            press(event.submitter?.value ?? buttons.at(-1).value);
        }}, el('h2', {}, title), ...body, said, el('div.buttons', {}, ...buttons.map(
            ({value, label, kind}) => el(kind ? `button.${kind}` : 'button', {
                type: kind === 'main' || kind === 'danger' ? 'submit' : 'button', value,
                onclick: kind === 'main' || kind === 'danger' ? null : () => press(value),
            }, label))));
        dialog.addEventListener('close', () => end(null));
        dialog.append(form);
        document.body.append(dialog);
        dialog.showModal();
    });
}

export const CANCEL = {value: 'cancel', label: 'Cancel'};

/** True when it is to be done. */
export async function confirm(title, text, label) {
    return await ask({title, body: [el('p', {}, text)],
        buttons: [CANCEL, {value: 'yes', label, kind: 'danger'}]}) === 'yes';
}

let fields = 0;

/** A labelled field: an input, textarea or select. note says what it is for. */
export function field(label, control, note) {
    control.id = `field-${++fields}`;
    return el('p.field', {}, el('label', {for: control.id}, label), control,
        note ? el('small', {}, note) : null);
}
