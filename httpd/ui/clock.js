/* Times that are told from now, and go on being right. */
import {el} from './dom.js';
import {fromNow, fullTime} from './format.js';

function tell(element) {
    const text = fromNow(Date.parse(element.dateTime) + Number(element.dataset.skew));
    if (element.textContent !== text)
        element.textContent = text;
}

/** skew: what our clock is ahead of the daemon's, in ms. */
export function relativeTime(time, skew = 0) {
    const element = el('time.relative', {datetime: time, title: fullTime(new Date(time)),
        'data-skew': skew});
    tell(element);
    return element;
}

setInterval(() => document.querySelectorAll('time.relative').forEach(tell), 1000);
