/* The change stream of the whole store. It is read with fetch, because EventSource cannot
 * send a token. It ends and is resumed where it ended: when the connection breaks, when
 * nothing comes for longer than heartbeats are apart, and while the page is hidden, since a
 * browser has few connections for all its tabs. */
import {change, status, watchFrom} from './api.js';

const SILENCE_MS = 40000; /* heartbeats come after 15 s */
const PAUSE_MS = [500, 1000, 2000, 5000];

/* Why we end the stream ourselves. */
const HIDDEN = 'hidden', SILENT = 'silent', ANEW = 'anew';

/** The frames of Server-Sent Events in a stream of text: {id, event, data}. Comments are
 * frames without members. */
async function* frames(chunks) {
    let rest = '';
    for await (const chunk of chunks) {
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks)
            yield Object.fromEntries(block.split('\n')
                .filter((line) => !line.startsWith(':'))
                .map((line) => [line.slice(0, line.indexOf(':')),
                    line.slice(line.indexOf(':') + 2)]));
    }
}

const visible = () => new Promise((resolve) => {
    if (!document.hidden)
        resolve();
    else
        document.addEventListener('visibilitychange', () => resolve(), {once: true});
});

export class Watch {
    #id = null;      /* the last one seen */
    #tries = 0;
    #abort = null;
    #timer = 0;
    #wake = () => {};

    /** begin(revision) when all must be read, at first and whenever events were missed: from
     * then on changed(change) comes for each event, in order. state('live' | 'away' |
     * 'refused', why) tells how it goes. */
    constructor({begin, changed, state}) {
        Object.assign(this, {begin, changed, state});
        document.addEventListener('visibilitychange', () => {
            if (document.hidden)
                this.#abort?.abort(HIDDEN);
        });
    }

    /** Never ends. */
    async run() {
        for (;;) {
            await visible();
            try {
                await this.#read();
            } catch (error) {
                this.#failed(error);
            }
            clearTimeout(this.#timer);
            if (!document.hidden)
                await this.#pause(PAUSE_MS[Math.min(this.#tries++, PAUSE_MS.length - 1)]);
        }
    }

    /* For so long, until the network is back, or until something else wakes us. */
    #pause(ms) {
        return new Promise((resolve) => {
            this.#wake = resolve;
            setTimeout(resolve, ms);
            addEventListener('online', resolve, {once: true});
        });
    }

    /** Begin again, as what is shown may differ now. */
    startOver() {
        this.#id = null;
        this.#abort?.abort(ANEW);
        this.#wake();
    }

    async #read() {
        this.#abort = new AbortController();
        if (this.#id === null) {
            this.#id = (await status()).revision;
            this.begin(this.#id);
        }
        const response = await watchFrom(this.#id, this.#abort.signal);
        this.#tries = 0;
        this.state('live');
        this.#heard();
        const text = response.body.pipeThrough(new TextDecoderStream());
        for await (const frame of frames(text)) {
            this.#heard();
            if (frame.event === 'compacted') {
                this.#id = null;
                return;
            }
            this.#id = frame.id ?? this.#id;
            if (frame.data)
                this.changed(change(JSON.parse(frame.data)));
        }
        this.state('away', 'the daemon ended the stream');
    }

    #heard() {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#abort.abort(SILENT), SILENCE_MS);
    }

    #failed(error) {
        if (error === HIDDEN || error === ANEW)
            return;
        /* 410: the log no longer goes so far back; 400: it is another store. */
        if (error.status === 410 || error.status === 400)
            this.#id = null;
        else if (error.status === 401 || error.status === 403)
            this.state('refused', error.message);
        else if (error.name === 'ApiError')
            this.state('away', error.message);
        else
            this.state('away', error === SILENT ? 'nothing was heard for 40 s'
                : 'the daemon does not answer');
    }
}
