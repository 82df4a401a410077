// session.js - a session as it is worked in: its transcript and its editor.
import { announce, ask, button, el, iconButton, keep, kept, notice } from "./dom.js";
import { Cell } from "./cell.js";
import { Editor } from "./editor.js";
import { EXAMPLES, HELLO } from "./examples.js";
import { complaint, Refused, server } from "./server.js";
import { TestEditor } from "./tests.js";

const PAST = 20;                // executions of the history that are shown at first
const MAX_CELLS = 200;          // of one transcript
const QUESTION_MS = 12000;
const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);
export const STATES = { starting: "starting", idle: "ready", busy: "running", stopped: "asleep" };

export class Session {
    // about: as the API has it.  hooks: changed(session), outdated(), ran(session), closed(session), freed().
    constructor(about, hooks) {
        this.hooks = hooks;
        this.displays = new Map();
        this.cells = [];
        this.active = new Set();     // cells that are under way
        this.inquiries = 0;          // of the page, to the kernel, which have no answer yet
        this.gone = false;
        this.isShown = false;
        this.id = about.id;
        this.key = about.key;
        this.language = about.language;
        this.kernel = about.kernel;
        this.editor = new Editor(about.language, {
            submit: () => this.submit(), interrupt: () => this.interrupt(),
            complete: (code, at) => this.question("complete", code, at), inspect: (code, at) => this.question("inspect", code, at),
        });
        this.unrestored = this.readWaiting(about);
        this.build();
        this.update(about);
    }

    // Relative to where the page came from.
    path(rest = "", query = {}) {
        const words = new URLSearchParams({ ...(this.key ? { key: this.key } : {}), ...query }).toString();
        return `v1/sessions/${encodeURIComponent(this.id)}${rest ? `/${rest}` : ""}${words ? `?${words}` : ""}`;
    }

    get name() {
        return this.id;
    }

    // What runs, or is the first to.
    get running() {
        return this.active.values().next().value ?? null;
    }

    get isPython() {
        return this.language === "python";
    }

    /* what it looks like */

    build() {
        this.stateText = el("span");
        this.stateNode = el("span", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), this.stateText);
        this.transcript = el("div", { class: "transcript", role: "log", "aria-label": "Transcript", "aria-live": "off", tabindex: "0" });
        this.node = el("section", { class: "session", "aria-label": `Session ${this.name}` }, this.head(), this.transcript, this.composer());
        this.transcript.append(this.welcome());
        this.transcript.addEventListener("grow", (event) => {
            event.preventDefault();
            this.showed(event.detail);
        });
    }

    head() {
        this.interruptButton = iconButton("stop", "Interrupt", () => this.interrupt(), { hidden: true });
        return el("div", { class: "session-head" },
            el("div", { class: "session-title" }, el("h2", { text: this.name, title: this.name }), el("span", { class: "quiet", text: this.kernel })),
            this.stateNode, this.interruptButton,
            iconButton("restart", "Restart: variables go, files stay", () => this.restart()),
            iconButton("close", "Close: end the session", () => this.close()));
    }

    welcome() {
        const lead = this.isPython ? "A Python of your own" : `A session of ${this.language || this.kernel}`;
        const node = el("div", { class: "welcome" }, el("b", { text: lead }),
            el("p", { text: "What you run here stays from one run to the next, in a container that nobody else can see. Write code below, or begin with one of these." }));
        const chips = this.isPython ? EXAMPLES : HELLO[this.language] ? [{ name: "Hello", about: "A first run", code: HELLO[this.language] }] : [];
        node.append(el("div", { class: "chips" }, ...chips.map((one) => button(one.name, { title: one.about }, () => this.example(one)))));
        return node;
    }

    composer() {
        this.limit = el("input", { inputmode: "decimal", placeholder: "auto", "aria-label": "Time limit in seconds, empty for the session's own" });
        this.tests = new TestEditor(() => this.showTests());
        this.tests.node.hidden = true;
        this.testsButton = button("Tests", { class: "plain", "aria-expanded": "false" }, () => this.toggleTests());
        this.testsButton.hidden = !this.isPython;
        const run = button("Run", { class: "main run" }, () => this.submit());
        run.append(el("kbd", { text: APPLE ? "⌘ ↵" : "Ctrl ↵", "aria-hidden": "true" }));
        const key = (text) => el("kbd", { text });
        return el("div", { class: "composer" }, this.tests.node, this.editor.node, el("div", { class: "actions-row" }, run,
            el("label", { class: "limit" }, "Limit", this.limit, "s"), this.testsButton,
            el("span", { class: "hint" }, key("Tab"), " completes · ", key("⇧ Tab"), " explains · ", key("Ctrl C"), " interrupts")));
    }

    toggleTests() {
        this.tests.node.hidden = !this.tests.node.hidden;
        if (!this.tests.node.hidden && !this.tests.count)
            this.tests.add();
        this.showTests();
    }

    showTests() {
        if (!this.testsButton)
            return;
        const on = !this.tests.node.hidden;
        this.testsButton.setAttribute("aria-expanded", String(on));
        this.testsButton.textContent = on && this.tests.count ? `Tests (${this.tests.count})` : "Tests";
    }

    // What the list of sessions says of it.
    update(about) {
        const before = this.state;
        this.about = about;
        if (about.state !== "busy" || this.running || !this.inquiries)      // else it is busy with these
            this.state = about.state;
        if (this.gone) {
            this.gone = false;
            this.goneNotice?.remove();
        }
        this.changed();
        if (before === "starting" && this.state !== "starting")
            this.started();
    }

    started() {
        if (this.state === "idle")
            announce("The session is ready");
        for (const cell of this.active)
            cell.tellWait();
        this.hooks.ran(this);
    }

    changed() {
        if (!this.stateText)
            return;
        const waiting = this.cells.filter((cell) => cell.state === "waiting").length;
        const state = this.gone ? "gone" : this.running ? "busy" : this.state;
        const text = this.gone ? "ended" : this.running?.state === "input" ? "waits for input" : STATES[state] ?? state;
        this.stateNode.dataset.state = state;
        this.stateText.textContent = waiting ? `${text}, ${waiting} waiting` : text;
        this.interruptButton.hidden = !this.running;
        this.hooks.changed(this);
    }

    // Who reads the end of the transcript stays at its end.
    showed(change) {
        const { scrollTop, clientHeight, scrollHeight } = this.transcript;
        const following = scrollHeight - scrollTop - clientHeight < 120;
        change();
        if (following)
            this.toEnd();
    }

    toEnd() {
        this.scrolling ??= requestAnimationFrame(() => {
            this.scrolling = undefined;
            this.transcript.scrollTop = this.transcript.scrollHeight;
        });
    }

    // below: what is to be below it; null: it is the last.
    append(node, below = null) {
        this.transcript.querySelector(".welcome")?.remove();
        this.transcript.insertBefore(node, below);
        this.toEnd();
    }

    // Whether it is the one that is looked at.
    show(on) {
        this.isShown = on;
        for (const cell of on ? this.active : [])
            cell.execution.wake();
    }

    focusEditor() {
        if (this.isShown)
            this.editor.area.focus({ preventScroll: true });
    }

    /* what was run before */

    async load() {
        if (this.loaded)
            return;
        this.loaded = true;
        try {
            const page = await server.json("GET", this.path("executions", { limit: String(PAST) }));
            for (const past of page.executions.reverse())
                if (!this.cells.some((cell) => cell.execution.id === past.id))
                    await this.loadPast(past);
        } catch (e) {
            this.loaded = false;
            if (e instanceof Refused && e.status === 404)
                this.missing();
            else
                this.append(notice("warn", "History", complaint(e)));
        }
        this.restoreWaiting();
    }

    // Above what was begun meanwhile.
    async loadPast(past) {
        const cell = this.addPast(past, this.cells.find((one) => !one.isLoaded));
        cell.isLoaded = true;
        await this.showPast(cell, past);
    }

    addPast(past, below) {
        const cell = new Cell(this, { code: past.code, partial: past.code_truncated === true });
        cell.execution.know(past.id);
        this.cells.splice(below ? this.cells.indexOf(below) : this.cells.length, 0, cell);
        this.append(cell.node, below?.node);
        if (!cell.partial)
            this.editor.remember(past.code);
        return cell;
    }

    async showPast(cell, past) {
        if (past.state !== "done") {
            this.follow(cell, () => cell.attach(past));
            return;
        }
        cell.setState("running", "loading");
        try {
            cell.answer(await server.json("GET", this.path(`executions/${past.id}`)));
        } catch (e) {
            cell.end("failed", "");
            cell.say("warn", "Not shown", complaint(e));
        }
    }

    // One of the history: in sight, with its place in the transcript.
    async reveal(past) {
        let cell = this.cells.find((one) => one.execution.id === past.id);
        if (!cell) {
            cell = this.addPast(past);
            await this.showPast(cell, past);
        }
        cell.node.scrollIntoView({ block: "start" });
        cell.source.focus({ preventScroll: true });
    }

    /* Code that waits for its turn outlives that the page is loaded anew; so does what was just sent, of which the server may not know.
       It keeps its key, with which it is not run twice. */

    get waitingKey() {
        return `tci-waiting-${this.key ?? ""}/${this.id}`;
    }

    // Of this session, not of another that had its name.
    readWaiting(about) {
        try {
            const { made, waiting } = JSON.parse(kept(this.waitingKey));
            return made === about.created_at ? waiting : [];
        } catch {
            return [];           // nothing, or not ours
        }
    }

    async restoreWaiting() {
        const waiting = this.unrestored;
        const made = await Promise.all(waiting.map(({ key }) => this.madeWith(key)));
        if (waiting !== this.unrestored)
            return;              // forgotten, or restored already
        this.unrestored = [];
        for (const [i, one] of waiting.entries())
            if (!made[i])
                this.add(one);
            else if (!this.cells.some((cell) => cell.execution.id === made[i].id))
                this.loadPast(made[i]);
        this.saveWaiting();
    }

    // The execution that the server has with that key, as far as it says so.
    async madeWith(key) {
        const page = await server.json("GET", this.path("executions", { idempotency_key: key })).catch(() => null);
        return page?.executions[0];
    }

    saveWaiting() {
        const unsent = this.cells.filter((cell) => cell.isUnsent).map(({ code, timeout, tests, execution }) => ({ code, timeout, tests, key: execution.key }));
        const waiting = [...this.unrestored, ...unsent];
        keep(this.waitingKey, waiting.length ? JSON.stringify({ made: this.about.created_at, waiting }) : null);
    }

    // The server has it.  What was restored may be in the history as well.
    named(cell) {
        if (this.cells.some((one) => one !== cell && one.execution.id === cell.execution.id))
            this.withdraw(cell);
        else
            this.saveWaiting();
    }

    /* runs */

    submit() {
        const code = this.editor.value;
        const limit = this.limit.value.trim().replace(",", ".");
        const timeout = limit === "" ? undefined : Number(limit);
        if (!code.trim())
            return;
        if (Number.isNaN(timeout)) {
            this.limit.focus();
            this.limit.select();
            return;
        }
        this.editor.remember(code);
        this.editor.set("");
        this.add({ code, timeout, tests: this.tests.node.hidden ? [] : this.tests.tests });
    }

    example(one) {
        if (one.tests) {
            this.tests.list.replaceChildren();
            for (const test of one.tests)
                this.tests.add(test);
            this.tests.node.hidden = false;
            this.showTests();
        }
        this.editor.remember(one.code);
        this.add({ code: one.code, tests: one.tests ? this.tests.tests : [] });
        this.focusEditor();
    }

    edit(code) {
        this.editor.set(code);
        this.focusEditor();
    }

    again({ code, timeout, tests }) {
        this.add({ code, timeout, tests });
    }

    add(what) {
        const cell = new Cell(this, what);
        this.cells.push(cell);
        this.append(cell.node);
        while (this.cells.length > MAX_CELLS && this.cells[0].isOver)
            this.cells.shift().forget();
        this.saveWaiting();
        this.hooks.freed();
    }

    withdraw(cell) {
        this.cells = this.cells.filter((one) => one !== cell);
        cell.forget();
        this.saveWaiting();
        this.changed();
        this.focusEditor();
    }

    get next() {
        return this.running || this.gone ? undefined : this.cells.find((cell) => cell.state === "waiting");
    }

    // The first that waits, if nothing runs.
    runNext() {
        const cell = this.next;
        if (cell)
            this.follow(cell, () => cell.run());
    }

    async follow(cell, work) {
        this.active.add(cell);
        this.changed();
        try {
            await work();
        } finally {
            this.active.delete(cell);
            if (!this.running)
                this.state = this.stateAfter(cell);      // what the list says is older
            this.saveWaiting();
            this.changed();
            this.hooks.ran(this);
            this.hooks.freed();
        }
    }

    stateAfter(cell) {
        const { status } = cell.node.dataset;
        if (status === "died" || status === "timeout")
            return this.about.strategy === "execution" ? "idle" : "stopped";
        return this.state === "stopped" && status !== "ok" && status !== "error" ? "stopped" : "idle";
    }

    // Whether there was something.
    interrupt() {
        this.running?.interrupt();
        return this.running !== null;
    }

    // A question to the kernel, which answers none while code runs.
    async question(what, code, at) {
        if (this.running || this.state === "busy") {
            announce("The kernel is busy");
            return null;
        }
        try {
            return await this.inquire("POST", what, { code, cursor_pos: at });
        } catch {
            announce("The kernel has no answer");
            return null;
        }
    }

    // What the kernel says of its state.  A list of sessions that was asked for meanwhile may have it as busy.
    async inquire(method, what, json) {
        this.inquiries += 1;
        try {
            return await server.json(method, this.path(what), { json, patience: QUESTION_MS });
        } finally {
            this.inquiries -= 1;
            this.hooks.outdated();
        }
    }

    /* its life */

    async restart() {
        if (!await ask({ title: "Restart the kernel?", text: "Variables are lost, and what runs is ended. Files stay.", yes: "Restart" }))
            return;
        try {
            this.update(await server.json("POST", this.path("restart")));
            this.append(notice("info", "Restarted", "Variables are gone, files are still here."));
            this.hooks.ran(this);
        } catch (e) {
            this.append(notice("bad", "Not restarted", complaint(e)));
        }
        this.focusEditor();
    }

    async close() {
        if (!this.gone && !await ask({ title: "Close the session?", text: "Its container ends, with all variables and files in it.", yes: "Close" }))
            return;
        try {
            await server.json("DELETE", this.path());
        } catch (e) {
            if (!(e instanceof Refused && e.status === 404)) {
                this.append(notice("bad", "Not closed", complaint(e)));
                return;
            }
        }
        this.hooks.closed(this);
    }

    // Something of it was not found.
    async lookAfter() {
        try {
            await server.json("GET", this.path());
        } catch (e) {
            if (e instanceof Refused && e.status === 404)
                this.missing();
        }
    }

    // The server knows nothing of it any more.
    missing() {
        if (this.gone)
            return;
        this.gone = true;
        const again = button("Begin anew", { class: "small" }, () => this.revive());
        this.goneNotice = notice("warn", "Session ended", "It was closed elsewhere, or was idle for too long. Its variables and files are gone.", again);
        this.append(this.goneNotice);
        this.changed();
    }

    async revive() {
        try {
            const about = await server.json("POST", "v1/sessions", { json: { user_uuid: this.id, kernel: this.kernel } });
            this.key = about.key;
            this.update(about);
            this.focusEditor();
            this.hooks.ran(this);
        } catch (e) {
            this.append(notice("bad", "Not made", complaint(e)));
        }
    }

    // Nothing of it stays, nor does what waits for it.
    forget() {
        for (const cell of this.cells)
            cell.forget();
        this.cells = this.unrestored = [];
        this.saveWaiting();
        this.node.remove();
    }
}
