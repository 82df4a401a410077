// execution.js - code that is run on the server, followed by its events; a connection that breaks is taken up where it broke.
import { randomHex } from "./dom.js";
import { Refused, server, Unreachable } from "./server.js";

const FIRST_PAUSE_MS = 300, LONGEST_PAUSE_MS = 5000, POLL_MS = 1000;
const MAX_STREAMS = 3;          // browsers open six connections to a server; the others are for all else
const EVENTS = { Accept: "text/event-stream" };

const streaming = new Set();    // Executions that have one of these connections

// to: named(), event(name, data), answer(data) where the events are not to be had, broken(), joined().
export class Execution {
    // key: with it the request can be repeated, and is carried out once.
    constructor(session, to, key = randomHex(16)) {
        this.session = session;
        this.to = to;
        this.key = key;
        this.id = null;
        this.named = new Promise((resolve) => { this.isNamed = resolve; });
        this.state = null;       // as the API has it
        this.last = 0;           // the event that was seen last
        this.over = false;
        this.mayBeSent = false;
        this.isDone = false;     // and its events may be left to read
        this.isCut = false;      // its events are not kept any more
        this.replies = 0;
        this.wait = FIRST_PAUSE_MS;
        this.wake = () => {};
        this.abort = new AbortController();
    }

    get path() {
        return this.session.path(`executions/${this.id}`);
    }

    // To its end; throws Refused.
    async run(body) {
        this.body = { ...body, background: true, stream: true };
        await this.follow();
    }

    // One that is under way, or over.
    async attach(id) {
        this.know(id);
        await this.follow();
    }

    // The page does not look any more; the code goes on.
    leave() {
        this.abort.abort();
        this.line?.abort();
        this.wake();
    }

    know(id) {
        if (this.id)
            return;
        this.id = id;
        this.isNamed();
        this.to.named();
    }

    async follow() {
        while (!this.over) {
            let pause = 0;
            try {
                pause = await this.attempt();
            } catch (e) {
                pause = this.bear(e);
            }
            if (!this.over && pause)
                await new Promise((resolve) => { this.wake = resolve; setTimeout(resolve, pause); });
        }
    }

    // Goes on with it as far as one connection goes: the milliseconds until the next.
    async attempt() {
        this.abort.signal.throwIfAborted();
        this.line = new AbortController();
        if (this.isCut || (this.id && !this.takePlace() && !this.isDone))
            return this.poll();
        try {
            const answer = await (this.id ? this.resume() : this.begin());
            this.joined();
            if (answer)
                await this.read(answer);
            return 0;
        } finally {
            streaming.delete(this);
        }
    }

    joined() {
        this.wait = FIRST_PAUSE_MS;
        this.to.joined();
    }

    // What only delays it: by how many milliseconds.  Throws what ends it.
    bear(e) {
        if (e.name === "AbortError" && !this.abort.signal.aborted)
            return 0;            // it gave way
        const passes = e instanceof Refused && (e.status === 429 || e.status >= 500) && (this.id || this.mayBeSent);
        if (!passes && !(e instanceof Unreachable))
            throw e;
        this.to.broken();
        const pause = Math.max(this.wait, 1000 * (e.retryAfter ?? 0));
        this.wait = Math.min(LONGEST_PAUSE_MS, 2 * this.wait);
        return pause;
    }

    // Whether there is a connection for it.  One of a session that is not looked at gives way.
    takePlace() {
        if (streaming.size >= MAX_STREAMS && this.session.isShown)
            [...streaming].find((one) => !one.session.isShown)?.giveWay();
        if (streaming.size < MAX_STREAMS)
            streaming.add(this);
        return streaming.has(this);
    }

    giveWay() {
        streaming.delete(this);
        this.line.abort();
    }

    // Its events; null where these are to be asked for.  What was sent before is answered without them.
    async begin() {
        const headers = { ...EVENTS, "Idempotency-Key": this.key };
        const { signal } = this.line;
        try {
            const answer = await server.ask("POST", this.session.path("executions"), { json: this.body, headers, signal });
            const isStream = answer.headers.get("Content-Type")?.startsWith(EVENTS.Accept);
            const id = answer.headers.get("Location")?.match(/\/executions\/([^/?]+)/)?.[1];
            if (id || !isStream)
                this.know(id ?? (await server.reach(() => answer.json(), signal)).id);
            if (isStream && (this.takePlace() || !this.id))
                return answer;
            answer.body.cancel().catch(() => {});
            return null;
        } catch (e) {
            this.mayBeSent ||= e instanceof Unreachable;
            throw e;
        }
    }

    // The events after the last; null where they are not kept any more.
    async resume() {
        try {
            return await server.ask("GET", this.path, { headers: { ...EVENTS, "Last-Event-ID": String(this.last) }, signal: this.line.signal });
        } catch (e) {
            if (!(e instanceof Refused) || e.status !== 409)
                throw e;
            this.isCut = true;
            return null;
        }
    }

    // Where it stands, without its events.
    async poll() {
        const before = this.replies;
        const now = await server.json("GET", this.path, { signal: this.line.signal });
        this.joined();
        if (now.state === "done") {
            this.isDone = true;
            this.over = this.isCut;
            if (this.over)
                this.to.answer(now);
            return 0;
        }
        if (before === this.replies)
            this.tell(now);
        return this.session.isShown ? POLL_MS : LONGEST_PAUSE_MS;
    }

    tell(now) {
        const before = this.state;
        this.state = now.state;
        if (now.state === before)
            return;
        if (now.state === "waiting")
            this.to.event("stdin", { prompt: "" });
        else if (now.state === "running" && before !== "waiting")
            this.to.event("start", now);
        else
            this.to.event("status", now);
    }

    async read(answer) {
        for await (const { id, name, data } of server.events(answer, this.line.signal)) {
            if (id <= this.last)
                continue;
            this.last = id;
            this.note(name, data);
            this.to.event(name, data);
            if (this.over)
                return;
        }
        throw new Unreachable();
    }

    note(name, data) {
        if (name === "start")
            this.know(data.id);
        if (name === "stdin")
            this.state = "waiting";
        else if (name === "start" || name === "status")
            this.state = name === "start" ? "running" : data.state ?? this.state;
        this.over = name === "end";
    }

    /* what is done to it, once it has a name */

    async interrupt() {
        await this.named;
        await server.json("POST", this.session.path(`executions/${this.id}/interrupt`), { json: {} });
    }

    async cancel() {
        await this.named;
        await server.json("DELETE", this.path);
    }

    async input(text) {
        await server.json("POST", this.session.path(`executions/${this.id}/stdin`), { json: text === null ? { eof: true } : { text } });
        this.replies += 1;
        this.state = "running";
    }
}
