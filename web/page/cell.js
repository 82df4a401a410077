// cell.js - one execution in the transcript: its code, what it shows, how it stands, and what can be done with it.
import { announce, button, el, humanMemory, humanTime, notice } from "./dom.js";
import { codeNodes } from "./code.js";
import { Execution } from "./execution.js";
import { Outputs } from "./outputs.js";
import { complaint, Refused } from "./server.js";
import { TestResults } from "./tests.js";

const STATUS = { ok: "", error: "error", timeout: "timed out", died: "environment ended", cancelled: "cancelled", rejected: "not run" };
const ENDINGS = {
    timeout: ["warn", "Timed out", "The environment was ended with it; the next run has a fresh one."],
    died: ["bad", "Environment ended", "The next run has a fresh one."],
    cancelled: ["info", "Cancelled", "It was not run to its end."],
    rejected: ["warn", "Not run", ""],
};
const REFUSALS = { 403: "Not permitted", 404: "No such session", 409: "Not possible now", 413: "Too large", 422: "Not run", 429: "Too many", 503: "No environment" };

export class Cell {
    // session: what it runs in; hooks of it are changed(), showed(change), edit(code), again(cell).  partial: there is more of the code.
    // key: of its execution, where that has one already.
    constructor(session, { code, timeout, tests = [], partial = false, key }) {
        Object.assign(this, { session, code, timeout, tests, partial });
        this.count = el("span", { class: "count", text: "[ ]" });
        this.time = el("span", { class: "time" });
        this.actions = el("span", { class: "actions" });
        this.outputs = new Outputs(session.displays);
        this.notes = el("div", { class: "notes" });
        this.source = el("pre", { class: "code", tabindex: "0", "aria-label": "Code" }, ...codeNodes(code, session.language));
        this.node = el("article", { class: "cell", "aria-label": "Run" },
            el("div", { class: "cell-head" }, this.count, el("span", { class: "spin", "aria-hidden": "true" }), this.time, this.actions),
            this.source, partial ? el("div", { class: "more", text: "Only the first 4 KiB of this code are kept." }) : null, this.notes, this.outputs.node);
        this.shown = new Set();  // the kinds of what it has told
        this.execution = new Execution(session, this, key);
        this.setState("waiting", "waiting");
    }

    get isOver() {
        return this.state === "done" || this.state === "failed";
    }

    // Whether the server may not have it.
    get isUnsent() {
        return !this.isOver && !this.execution.id;
    }

    setState(state, text) {
        this.state = state;
        this.node.dataset.state = state;
        this.node.setAttribute("aria-busy", String(!this.isOver && state !== "waiting"));
        this.time.textContent = text;
        this.drawActions();
        this.session.changed();
    }

    // The focus goes to the same button, if there is one, or to the code, which does nothing by itself.
    drawActions() {
        const focused = this.actions.contains(document.activeElement) ? document.activeElement.textContent : null;
        this.actions.replaceChildren(...this.buttons());
        if (focused !== null)
            ([...this.actions.children].find((one) => one.textContent === focused) ?? this.source).focus({ preventScroll: true });
    }

    buttons() {
        const small = (text, action, props = {}) => button(text, { class: "small plain", ...props }, action);
        if (this.state === "waiting")
            return [small("Remove", () => this.session.withdraw(this))];
        if (this.state === "queued")
            return [small("Cancel", () => this.attempt(() => this.execution.cancel()))];
        if (!this.isOver)
            return [small("Interrupt", () => this.interrupt(), { class: "small stop" })];
        if (this.partial)
            return [];
        return [small("Edit", () => this.session.edit(this.code), { "aria-label": "Put this code into the editor" }),
                small("Run again", () => this.session.again(this))];
    }

    /* how it goes */

    async run() {
        this.begun = performance.now();
        this.setState("queued", "sent");
        const body = { code: this.code, stdin: true };
        if (this.timeout !== undefined)
            body.timeout = this.timeout;
        if (this.tests.length)
            body.tests = this.tests;
        await this.finish(() => this.execution.run(body));
    }

    // One that another page, or this one before it was loaded anew, has begun.
    async attach({ id, state }) {
        this.begun = performance.now();
        this.setState(state === "queued" ? "queued" : "running", state);
        await this.finish(() => this.execution.attach(id));
    }

    async finish(follow) {
        try {
            await follow();
        } catch (e) {
            if (e.name === "AbortError")
                return;
            this.fail(e);
        }
    }

    fail(e) {
        const lost = e instanceof Refused && e.status === 404 && this.execution.id;
        const title = lost ? "Lost" : REFUSALS[e.status] ?? "Not run";
        this.end("failed", lost ? "lost" : "not run");
        this.outputs.add(notice("bad", title, lost ? "The server knows nothing of this run any more; it may have ended or not." : complaint(e)));
        if (lost)
            this.session.lookAfter();
        else if (e instanceof Refused && e.status === 404)
            this.session.missing();
    }

    async interrupt() {
        await this.attempt(() => this.state === "queued" ? this.execution.cancel() : this.execution.interrupt());
    }

    async attempt(action) {
        try {
            await action();
        } catch (e) {
            if (!(e instanceof Refused && e.status === 409))     // it has ended meanwhile
                this.say("warn", "Not done", complaint(e));
        }
    }

    tick() {
        if (this.state === "running" || this.state === "input")
            this.time.textContent = `${this.state === "input" ? "waits for input" : "running"} ${((performance.now() - this.begun) / 1000).toFixed(1)} s`;
    }

    /* what the execution tells */

    named() {
        this.session.named(this);
    }

    joined() {
        this.lost?.remove();
        this.lost = null;
    }

    broken() {
        const detail = this.execution.id ? "The code goes on. Its output will be here once the server can be reached." : "It is sent once the server can be reached.";
        this.lost ??= this.say("warn", "Connection lost", detail);
    }

    event(name, data) {
        this.session.showed(() => this.take(name, data));
    }

    take(name, data) {
        this.shown.add(name);
        if (name === "start")
            this.started(data);
        else if (name === "status")
            this.status(data);
        else if (name === "stdin")
            this.ask(data);
        else if (name === "test")
            this.results().add(data);
        else if (name === "end")
            this.ended(data);
        else if (name !== "error" || data.traceback?.length)
            this.show(name, data);
        // The end says more of an error without a traceback.
    }

    show(name, data) {
        this.toldError ||= name === "error";
        this.outputs.show(name, data);
    }

    started(data) {
        this.begun = performance.now();
        this.setState("running", "running");
        if (data.restarted)
            this.tellRestart();
    }

    tellRestart() {
        if (!this.toldRestart)
            this.say("info restarted", "Fresh environment", "Variables and files of earlier runs are gone.");
        this.toldRestart = true;
    }

    status(data) {
        if (data.truncated)
            this.tellCut();
        if (data.state === "running" && this.state === "input") {
            this.outputs.unask();
            this.setState("running", "running");
        } else if (data.state === "queued") {
            this.tellWait();
        }
    }

    // What it waits for.
    tellWait() {
        if (this.state === "queued")
            this.time.textContent = this.session.state === "starting" ? "the session is starting" : "queued";
    }

    // Only what a stream says while it is read, or an answer of its own outputs: an answer keeps less than its stream had.
    tellCut() {
        this.cut ??= this.say("warn truncated", "Cut", "There is more output than the server's limit.");
    }

    ask({ prompt, password }) {
        const input = this.outputs.ask(String(prompt ?? ""), password === true, (text) => this.reply(text));
        this.setState("input", "waits for input");
        announce(`The code asks: ${prompt}`);
        if (this.session.isShown)
            input.focus();
    }

    // undefined: it was taken; else why not.
    async reply(text) {
        try {
            await this.execution.input(text);
            if (!this.outputs.isAsking)      // the code may have asked again by now
                this.session.focusEditor();
            return undefined;
        } catch (e) {
            return complaint(e);
        }
    }

    results() {
        if (!this.tested) {
            this.tested = new TestResults();
            this.outputs.add(this.tested.node);
        }
        return this.tested;
    }

    ended(data) {
        const error = data.error ? ` with ${data.error.ename}` : "";
        if (data.restarted)
            this.tellRestart();
        if (Number.isInteger(data.execution_count))
            this.count.textContent = `[${data.execution_count}]`;
        for (const finding of data.findings ?? [])
            this.say("warn finding", "Scan", `line ${finding.line}: ${finding.message}`);
        if (data.tests?.length)
            this.results().end(data);
        this.tellEnding(data);
        const took = Number.isFinite(data.duration_ms) ? humanTime(data.duration_ms) : "";
        const peak = Number.isFinite(data.memory_peak_bytes) ? `${humanMemory(data.memory_peak_bytes)} at its peak` : "";
        this.end("done", [STATUS[data.status] ?? data.status, took, peak].filter(Boolean).join(" · "), data.status);
        announce(`Run ${data.status === "ok" ? "finished" : `ended: ${STATUS[data.status] ?? data.status}${error}`}`);
    }

    tellEnding(data) {
        const [kind, title, detail] = ENDINGS[data.status] ?? [];
        if (kind)
            this.say(kind, title, [data.error?.evalue, detail].filter(Boolean).join(". "));
        else if (data.error && !this.toldError)
            this.show("error", data.error);
        this.tellFiles(data.files);
    }

    // Files that the code has made, changed or deleted.
    tellFiles(files) {
        const parts = Object.entries(files ?? {}).filter(([, list]) => Array.isArray(list) && list.length)
            .map(([what, list]) => `${what}: ${list.slice(0, 8).join(", ")}${list.length > 8 ? ` and ${list.length - 8} more` : ""}`);
        if (parts.length)
            this.outputs.add(el("p", { class: "none", text: `Files ${parts.join("; ")}` }));
    }

    // All at once: the events are not to be had any more.
    answer(data) {
        const outputs = data.outputs ?? [];
        this.session.showed(() => {
            if (data.truncated && this.execution.last)
                this.fill(outputs);
            else
                this.replace(outputs, data.truncated);
            this.ended(data);
        });
    }

    replace(outputs, truncated) {
        this.outputs.clear();
        this.tested = null;
        this.toldError = false;
        for (const output of outputs)
            this.take(output.type, output);
        if (truncated)
            this.tellCut();
    }

    // The answer has less than what is here already, but how it ended.
    fill(outputs) {
        this.outputs.add(notice("warn truncated", "Gap", "The server does not have what came next any more."));
        for (const output of outputs.filter(({ type }) => (type === "error" || type === "result") && !this.shown.has(type)))
            this.take(output.type, output);
    }

    end(state, text, status = "") {
        this.outputs.settle();
        this.outputs.unask();
        this.joined();
        this.node.dataset.status = status;
        this.setState(state, text);
        if (this.outputs.isEmpty && !this.notes.childElementCount)
            this.outputs.node.append(el("span", { class: "none", text: "No output" }));
    }

    say(kind, title, detail) {
        return this.notes.appendChild(notice(kind, title, detail));
    }

    forget() {
        this.execution.leave();
        this.outputs.clear();
        this.node.remove();
    }
}
