// app.js - the page: who is let in, which sessions there are, and which is looked at.
import { $, announce, button, el, icon, forgetKept, keep, kept, randomHex } from "./dom.js";
import { Panel } from "./panel.js";
import { complaint, Refused, server, Unreachable } from "./server.js";
import { Session, STATES } from "./session.js";

const POLL_MS = 2000;           // and up to 30 times that where the key's rate is used up
const PATIENCE_MS = 10000;
const MAX_SHOWN = 100;          // sessions in the list

const { theme } = window;

/* --- sessions ------------------------------------------------------------------------------------ */

function nameOf(about) {
    return `${about.key ?? ""}/${about.id}`;
}

const sessions = {
    known: new Map(),            // what the server lists, by name
    open: new Map(),             // Sessions that have been looked at
    current: null,
    changedAt: 0,                // by this page

    hooks: {
        changed: (session) => sessions.mark(session),
        outdated() {
            sessions.changedAt = performance.now();
        },
        ran(session) {
            this.outdated();
            app.panel.ran(session);
        },
        closed: (session) => sessions.drop(session),
        freed: () => sessions.pump(),
    },

    // Starts what may start: one run of a session at a time.
    pump() {
        for (const session of this.open.values())
            session.runNext();
    },

    // all: these are all that there are.
    take(list, all) {
        this.known = new Map(list.map((about) => [nameOf(about), about]));
        for (const [name, session] of this.open) {
            const about = this.known.get(name);
            if (about)
                session.update(about);
            else if (all)
                session.missing();
        }
        this.draw();
    },

    // What the server has listed before is not so any more.
    outdate() {
        this.changedAt = performance.now();
        app.pollSoon();
    },

    draw() {
        const list = $("session-list");
        const focused = list.contains(document.activeElement) ? document.activeElement.dataset.name : null;
        const rows = new Map([...list.querySelectorAll("button")].map((row) => [row.dataset.name, row]));
        const lines = [...this.known.values()].reverse().slice(0, MAX_SHOWN).map((about) => this.line(about, rows.get(nameOf(about))));
        if (!lines.length)
            lines.push(list.querySelector(".none") ?? el("li", { class: "quiet none", text: "None yet." }));
        if (lines.length === list.childElementCount && lines.every((line, i) => line === list.children[i]))
            return;
        list.replaceChildren(...lines);
        if (focused)
            [...list.querySelectorAll("button")].find((one) => one.dataset.name === focused)?.focus();
    },

    // row: of that session, where there is one; what has not changed is not drawn anew.
    line(about, row = this.row(about)) {
        const name = nameOf(about);
        if (this.current && nameOf(this.current) === name)
            row.setAttribute("aria-current", "true");
        else
            row.removeAttribute("aria-current");
        const session = this.open.get(name);
        this.tellState(row, about, session?.running ? "busy" : (session ?? about).state);
        return row.parentNode;
    },

    row(about) {
        const name = nameOf(about);
        const row = el("button", { type: "button", class: "session-row", "data-name": name, onclick: () => this.choose(this.known.get(name) ?? about) },
            el("span", { class: "dot", "aria-hidden": "true" }), el("b", { text: about.id, title: about.id }),
            el("span", { class: "quiet" }));
        el("li", {}, row);
        return row;
    },

    tellState(row, about, state) {
        const text = [about.kernel, STATES[state] ?? state, about.key ? `key ${about.key}` : ""].filter(Boolean).join(" · ");
        row.dataset.state = state;
        if (row.lastChild.textContent !== text)
            row.lastChild.textContent = text;
    },

    mark(session) {
        const row = [...$("session-list").querySelectorAll("button")].find((one) => one.dataset.name === nameOf(session));
        if (row)
            this.tellState(row, session.about, session.running ? "busy" : session.state);
        if (session === this.current)
            document.title = session.running ? "● The Code Interpreter" : "The Code Interpreter";
    },

    choose(about, focus = true) {
        const name = nameOf(about);
        if (!this.open.has(name))
            this.open.set(name, new Session(about, this.hooks));
        const session = this.open.get(name);
        this.current?.show(false);
        this.current = session;
        session.show(true);
        $("work").replaceChildren(session.node);
        session.load();
        session.toEnd();
        app.remember(about);
        app.panel.show(session);
        this.draw();
        drawers.shut();
        if (focus)
            session.focusEditor();
    },

    drop(session) {
        session.forget();
        this.open.delete(nameOf(session));
        this.known.delete(nameOf(session));
        announce("The session is closed");
        this.outdate();
        const next = [...this.open.values()].at(-1);
        this.current = null;
        if (next)
            this.choose(next.about);
        else
            this.showEmpty();
    },

    showEmpty() {
        this.current = null;
        app.remember(null);
        app.panel.show(null);
        const first = button("New session", { class: "main" }, () => maker.quick());
        const text = this.known.size ? "Choose one from the list, or begin another."
            : "A session is an interpreter with its own files, in a container of its own. It stays until you close it, or leave it idle for long.";
        $("work").replaceChildren(el("div", { class: "empty" }, el("h2", { text: "No session is open" }), el("p", { class: "quiet", text }),
            el("div", { class: "chips" }, first, button("Choose a language …", {}, () => maker.open())), el("p", { class: "problem", role: "alert", id: "empty-problem" })));
        this.draw();
        first.focus();
    },

    tick() {
        for (const session of this.open.values())
            session.running?.tick();
    },
};

/* --- the drawers of a narrow page ---------------------------------------------------------------- */

const drawers = {
    start() {
        $("show-sessions").append(icon("menu"));
        $("show-panel").append(icon("panel"));
        $("show-sessions").addEventListener("click", () => this.toggle("sidebar", "show-sessions"));
        $("show-panel").addEventListener("click", () => this.toggle("panel", "show-panel"));
        $("scrim").addEventListener("click", () => this.shut());
        document.addEventListener("keydown", (event) => event.key === "Escape" && this.shut());
    },

    toggle(id, opener) {
        const opening = !$(id).classList.contains("open");
        this.shut();
        $(id).classList.toggle("open", opening);
        $(opener).setAttribute("aria-expanded", String(opening));
        $("scrim").hidden = !opening;
        if (opening)
            $(id).querySelector("button:not([tabindex='-1'])")?.focus();
    },

    shut() {
        for (const [id, opener] of [["sidebar", "show-sessions"], ["panel", "show-panel"]]) {
            if ($(id).classList.contains("open") && $(id).contains(document.activeElement))
                $(opener).focus();
            $(id).classList.remove("open");
            $(opener).setAttribute("aria-expanded", "false");
        }
        $("scrim").hidden = true;
    },
};

/* --- a new session -------------------------------------------------------------------------------- */

const maker = {
    start() {
        $("new-session").addEventListener("click", () => this.open());
        $("new-cancel").addEventListener("click", () => $("new-dialog").close());
        $("new-kernel").addEventListener("change", () => this.note());
        $("new-form").addEventListener("submit", (event) => {
            event.preventDefault();
            this.make();
        });
    },

    async open() {
        $("new-problem").textContent = "";
        $("new-name").value = "";
        $("new-dialog").showModal();
        try {
            this.kernels = (await server.json("GET", "v1/kernels")).kernels;
            const label = (one) => `${one.display_name || one.name}${one.available ? one.default ? " (default)" : "" : " – not available"}`;
            const order = [...this.kernels].sort((a, b) => b.default - a.default || b.available - a.available || a.name.localeCompare(b.name));
            $("new-kernel").replaceChildren(...order.map((one) => el("option", { value: one.name, text: label(one), disabled: !one.available, selected: one.default })));
            this.note();
            $("new-kernel").focus();
        } catch (e) {
            $("new-problem").textContent = complaint(e);
        }
    },

    note() {
        const missing = this.kernels.filter((one) => !one.available);
        const names = missing.slice(0, 4).map((one) => `${one.name}: ${one.why_not}`);
        $("new-kernel-note").textContent = missing.length ? `Not available: ${names.join("; ")}${missing.length > 4 ? ` and ${missing.length - 4} more` : ""}.` : "";
    },

    body() {
        const number = (id) => {
            const text = $(id).value.trim().replace(",", ".");
            return text === "" ? undefined : Number.isNaN(Number(text)) ? text : Number(text);
        };
        const limits = { memory_mb: number("new-memory"), cpu: number("new-cpu"), timeout: number("new-timeout") };
        const body = { kernel: $("new-kernel").value, strategy: $("new-strategy").value, user_uuid: $("new-name").value.trim() || drawnName(), ttl: number("new-ttl") };
        return Object.values(limits).some((one) => one !== undefined) ? { ...body, limits } : body;
    },

    async make() {
        await this.ask(this.body(), $("new-problem"));
    },

    // Of the default kernel, with nothing asked.
    async quick() {
        await this.ask({ user_uuid: drawnName() }, $("empty-problem"));
    },

    async ask(json, problem) {
        if (this.asking)
            return;              // twice is a slip
        this.asking = true;
        problem.textContent = "";
        try {
            const about = await server.json("POST", "v1/sessions", { json });
            $("new-dialog").close();
            sessions.known.set(nameOf(about), about);
            sessions.choose(about);
            sessions.outdate();
        } catch (e) {
            problem.textContent = (e instanceof Refused && e.field ? `${e.field}: ` : "") + complaint(e);
        } finally {
            this.asking = false;
        }
    },
};

function drawnName() {
    return `page-${randomHex(5)}`;
}

/* --- the page ------------------------------------------------------------------------------------- */

const app = {
    wait: POLL_MS,
    timer: 0,

    start() {
        this.panel = new Panel($("panel"), (session, past) => {
            drawers.shut();
            session.reveal(past);
        });
        this.panel.onClose = () => drawers.shut();
        server.onReached = () => this.reached();
        server.onUnreachable = () => this.unreachable();
        server.onUnauthorized = () => this.ask("The server does not accept this token.");
        server.token = this.token = this.takeLink() || (kept("tci-token") ?? "");
        keep("tci-token", server.token || null);
        this.wire();
        drawers.start();
        maker.start();
        if (server.token)
            this.poll();
        else
            this.ask("");
    },

    wire() {
        addEventListener("hashchange", () => this.enter(this.takeLink()) || this.chooseByHash());
        document.addEventListener("visibilitychange", () => document.hidden || this.pollSoon());
        document.addEventListener("keydown", (event) => this.key(event));
        for (const what of ["dragover", "drop"])     // beside the files, the browser would leave the page for what was dropped
            document.addEventListener(what, (event) => this.refuseDrop(event));
        setInterval(() => document.hidden || sessions.tick(), 100);
        $("login-form").addEventListener("submit", (event) => {
            event.preventDefault();
            this.submitToken($("token").value);
        });
        $("log-out").append(icon("out"));
        $("log-out").addEventListener("click", () => this.forget());
        $("theme").addEventListener("click", () => { theme.next(); this.labelTheme(); });
        $("viewer-close").addEventListener("click", () => $("viewer").close());
        $("viewer").addEventListener("click", (event) => event.target === $("viewer") && $("viewer").close());
        this.labelTheme();
    },

    labelTheme() {
        const text = `Theme: ${theme.choice === "auto" ? "as the system" : theme.choice}`;
        $("theme").replaceChildren(icon(`theme-${theme.choice}`));
        $("theme").setAttribute("aria-label", text);
        $("theme").title = text;
    },

    refuseDrop(event) {
        if (event.defaultPrevented || !event.dataTransfer.types.includes("Files"))
            return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "none";
    },

    // F6 goes from one part of the page to the next, Ctrl+. interrupts from anywhere.
    key(event) {
        if (event.key === "F6" && !$("app").hidden) {
            event.preventDefault();
            const parts = [$("session-list").querySelector("[aria-current]") ?? $("new-session"), sessions.current?.transcript, sessions.current?.editor.area, $("panel").querySelector("[aria-selected=true]")]
                .filter((part) => part?.checkVisibility());
            const at = parts.findIndex((part) => part === document.activeElement || part.closest("nav, aside")?.contains(document.activeElement));
            parts[(at + (event.shiftKey ? parts.length - 1 : 1)) % parts.length]?.focus();
        } else if (event.ctrlKey && event.key === ".") {
            event.preventDefault();
            sessions.current?.interrupt();
        }
    },

    /* the token */

    // The token of a link, "" without one.  It goes out of the address bar and its history.
    takeLink() {
        if (!location.hash.startsWith("#token="))
            return "";
        const token = tokenOf(location.hash);
        history.replaceState(null, "", location.pathname + location.search);
        return token;
    },

    // What is open is of whoever had the token before.  False: there is none.
    enter(token) {
        if (!token)
            return false;
        const isOther = sessions.open.size > 0 && token !== this.token;
        if (isOther)
            this.clear();
        keep("tci-token", token);
        server.token = this.token = token;
        if (isOther)
            location.reload();
        else
            this.poll();
        return true;
    },

    // Of who was here nothing stays, neither sessions nor what they show.
    forget() {
        this.clear();
        location.reload();
    },

    clear() {
        server.token = "";
        for (const session of sessions.open.values())
            session.forget();
        forgetKept();
        history.replaceState(null, "", location.pathname);
    },

    submitToken(text) {
        const token = tokenOf(text);
        if (!/^[\x21-\x7e]+$/.test(token)) {
            $("login-problem").textContent = token ? "A token has no spaces and no special characters." : "Paste the token first.";
            return;
        }
        $("login-problem").textContent = "";
        this.enter(token);
    },

    ask(problem) {
        server.token = "";
        keep("tci-token", null);
        clearTimeout(this.timer);
        this.show(false);
        this.banner("");
        $("token").value = "";
        $("login-problem").textContent = problem;
        $("token").focus();
    },

    show(inside) {
        $("login").hidden = inside;
        for (const id of ["app", "log-out", "show-sessions", "show-panel"])
            $(id).hidden = !inside;
    },

    /* which session, also after the page was loaded anew */

    remember(about) {
        const words = about ? `#${new URLSearchParams({ session: about.id, ...(about.key ? { key: about.key } : {}) })}` : "";
        history.replaceState(null, "", location.pathname + location.search + words);
        keep("tci-session", words || null);
    },

    chooseByHash() {
        const words = new URLSearchParams((location.hash || kept("tci-session") || "").slice(1));
        const about = sessions.known.get(`${words.get("key") ?? ""}/${words.get("session") ?? ""}`);
        if (about && nameOf(about) !== (sessions.current && nameOf(sessions.current)))
            sessions.choose(about);
        return about !== undefined;
    },

    /* the server's state */

    pollSoon() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.poll(), 50);
    },

    async poll() {
        clearTimeout(this.timer);
        if (!server.token || this.polling)
            return;
        this.polling = true;
        const { token } = server;
        try {
            const asked = performance.now();
            const page = await server.json("GET", "v1/sessions?limit=1000", { patience: PATIENCE_MS });
            this.wait = page.sessions.length > MAX_SHOWN ? 5 * POLL_MS : POLL_MS;
            if (token !== server.token || asked < sessions.changedAt)
                this.wait = 0;
            else
                this.listed(page);
        } catch (e) {
            if (token === server.token)
                this.failed(e);
            else
                this.wait = 0;
        } finally {
            this.polling = false;
            if (server.token)
                this.timer = setTimeout(() => document.hidden || this.poll(), this.wait);
        }
    },

    listed(page) {
        const first = $("app").hidden;
        sessions.take(page.sessions, page.next_cursor === null);
        if (first) {
            this.show(true);
            if (!this.chooseByHash() && !sessions.current)
                sessions.showEmpty();
            this.about();
        }
        this.panel.tick();
        sessions.pump();
    },

    failed(e) {
        if (e instanceof Refused && e.status === 429)
            this.wait = Math.min(30 * POLL_MS, Math.max(POLL_MS, 2 * this.wait, 1000 * e.retryAfter));
        else if (e instanceof Refused && e.status !== 401)
            this.trouble(complaint(e));
        else if (!(e instanceof Refused || e instanceof Unreachable))
            throw e;
    },

    async about() {
        const status = await server.json("GET", "status").catch(() => null);
        if (status)
            $("server-line").textContent = `Version ${status.version}, ${status.runtime ?? ""}: ${status.max_total_workers} containers at most`;
    },

    reached() {
        if (!this.away)
            return;
        this.away = false;
        this.banner("");
        this.pollSoon();
    },

    unreachable() {
        this.trouble("The server cannot be reached. Trying again every two seconds; what waits will run then.");
    },

    // Until the server answers as it should.
    trouble(text) {
        this.away = true;
        this.banner(text, true);
    },

    banner(text, bad = false) {
        const banner = $("banner");
        banner.hidden = !text;
        banner.classList.toggle("bad", bad);
        if (banner.textContent !== text)
            banner.textContent = text;
    },
};

// The token in a link with #token=, or the text itself.
function tokenOf(text) {
    const at = text.indexOf("#token=");
    const raw = (at < 0 ? text : text.slice(at + 7)).trim();
    try {
        return at < 0 ? raw : decodeURIComponent(raw);
    } catch {
        return raw;
    }
}

app.start();
