/* Light, dark, or as the system has it. */
const ORDER = ['system', 'light', 'dark'];
const NAME = 'kvfs-theme';

const current = () => {
    const stored = localStorage.getItem(NAME);
    return ORDER.includes(stored) ? stored : 'system';
};

/** Makes a button switch it, and applies what was chosen before. */
export function theme(button, icon) {
    const apply = () => {
        document.documentElement.dataset.theme = current();
        button.setAttribute('aria-label', `Colours: ${current()}`);
        button.title = `Colours: ${current()}`;
        button.replaceChildren(icon(current()));
    };
    button.addEventListener('click', () => {
        localStorage.setItem(NAME, ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length]);
        apply();
    });
    apply();
}
