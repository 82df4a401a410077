// execution.js - code that is run on the server, followed by its events; a connection that breaks is taken up where it broke.
import { pause, randomHex } from "./dom.js";
import { Refused, server, Unreachable } from "./server.js";

const FIRST_PAUSE_MS = 300, LONGEST_PAUSE_MS = 5000, POLL_MS = 1000;
const EVENTS = { Accept: "text/event-stream" };

// to: event(name, data), answer(data) where the events are not to be had, broken(), joined().
export class Execution {
    constructor(session, to) {
        this.session = session;
        this.to = to;
        this.id = null;
        this.last = 0;           // the event that was seen last
        this.over = false;
        this.abort = new AbortController();
    }

    get path() {
        return this.session.path(`executions/${this.id}`);
    }

    // To its end; throws Refused.  With a key, so that the request can be repeated.
    async run(body) {
        const headers = { ...EVENTS, "Idempotency-Key": randomHex(16) };
        const json = { ...body, background: true, stream: true };
        await this.follow(() => server.ask("POST", this.session.path("executions"), { json, headers, signal: this.abort.signal }));
    }

    // One that is under way, or over.
    async attach(id) {
        this.id = id;
        await this.follow(null);
    }

    // The page does not look any more; the code goes on.
    leave() {
        this.abort.abort();
    }

    async follow(begin) {
        let wait = FIRST_PAUSE_MS;
        while (!this.over) {
            try {
                const answer = this.id || !begin ? await this.resume() : await begin();
                wait = FIRST_PAUSE_MS;
                this.to.joined();
                if (answer)
                    await this.read(answer);
            } catch (e) {
                if (!(e instanceof Unreachable))
                    throw e;
            }
            if (this.over)
                return;
            this.to.broken();
            await pause(wait);
            wait = Math.min(LONGEST_PAUSE_MS, 2 * wait);
        }
    }

    // The events after the last; null where they are not kept any more, and what there is has been told.
    async resume() {
        try {
            return await server.ask("GET", this.path, { headers: { ...EVENTS, "Last-Event-ID": String(this.last) }, signal: this.abort.signal });
        } catch (e) {
            if (!(e instanceof Refused) || e.status !== 409)
                throw e;
            await this.poll();
            return null;
        }
    }

    async poll() {
        for (let asked = false; ;) {
            const state = await server.json("GET", this.path, { signal: this.abort.signal });
            if (state.state === "waiting" && !asked)
                this.to.event("stdin", { prompt: "" });
            asked = state.state === "waiting";
            if (state.state === "done") {
                this.over = true;
                this.to.answer(state);
                return;
            }
            await pause(POLL_MS);
        }
    }

    async read(answer) {
        for await (const { id, name, data } of server.events(answer, this.abort.signal)) {
            if (id <= this.last)
                continue;
            this.last = id;
            if (name === "start")
                this.id = data.id;
            this.over = name === "end";
            this.to.event(name, data);
            if (this.over)
                return;
        }
    }

    /* what is done to it */

    async interrupt() {
        await server.json("POST", `${this.session.path(`executions/${await this.findId()}/interrupt`)}`, { json: {} });
    }

    async cancel() {
        await server.json("DELETE", this.session.path(`executions/${await this.findId()}`));
    }

    async input(text) {
        await server.json("POST", this.session.path(`executions/${this.id}/stdin`), { json: text === null ? { eof: true } : { text } });
    }

    // One that waits behind another client's has not said its name yet.
    async findId() {
        if (this.id)
            return this.id;
        const page = await server.json("GET", this.session.path("executions", { limit: "20" }));
        return page.executions.find((one) => one.state !== "done")?.id ?? "x-0";
    }
}
