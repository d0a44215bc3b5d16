/* The bearer token, where the daemon wants one. It is kept for this tab alone and goes with
 * it; it is never part of an address. */
const NAME = 'kvfs-token';

let asking = null;  /* one question for all the requests that were refused */
let declined = false;
let ask = async () => null;
let accept = () => {};

export const token = () => sessionStorage.getItem(NAME);

let last = token(); /* that the daemon took */

/** asks(message) gives a token, or null when the user has none. */
export function onTokenWanted(asks) {
    ask = asks;
}

/** accepts() whenever the daemon took another token than before: what it shows differs. */
export function onTokenAccepted(accepts) {
    accept = accepts;
}

export function accepted(used) {
    if (used === last)
        return;
    last = used;
    accept();
}

export function authorized(headers) {
    return token() ? {...headers, Authorization: `Bearer ${token()}`} : headers;
}

/** Ask for one; true: there is one to try. Whoever said no is not asked again but by
 * wish (true). */
export async function askForToken(message, wish = false) {
    if (declined && !wish)
        return false;
    asking ??= ask(message).finally(() => {
        asking = null;
    });
    const given = await asking;
    declined = !given;
    if (given)
        sessionStorage.setItem(NAME, given);
    return Boolean(given);
}

/** After 401: whether to try again. used: the token of the request that was refused. */
export async function renewToken(used, message) {
    return token() !== used || askForToken(message);
}

export function forgetToken() {
    sessionStorage.removeItem(NAME);
    declined = false;
}
