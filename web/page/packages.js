// packages.js - the packages of a session: what it has, and one more, while what the tool says is looked at.
import { announce, button, el, humanTime } from "./dom.js";
import { complaint, server } from "./server.js";
import { TextOutput } from "./text.js";

const NO_SOURCE = "This server has no source of packages. Its operator names one: TCI_PACKAGES_DIR or TCI_PACKAGES_INDEX.";

// What a person writes, or pastes of a requirements.txt: an array of requirements.
export function requirementsOf(text) {
    return text.replace(/(^|\s)#.*/gm, " ").replace(/\[[^\]]*\]/g, (extras) => extras.replace(/\s/g, ""))
        .replace(/\s*([<>=!~]=?=?)\s*/g, "$1").split(/\s+|,(?!\s*[<>=!~]|[^[]*\])/).filter(Boolean);
}

// One installation, as a block that says how it goes; ended(it) at its end.
class Installation {
    constructor(session, names, ended) {
        Object.assign(this, { session, names, ended });
        this.abort = new AbortController();
        this.state = el("span", { class: "quiet", role: "status", text: "waits for another one" });
        this.cancel = button("Cancel", { class: "small" }, () => this.stop());
        this.output = new TextOutput("installation");
        this.output.node.hidden = true;
        this.problem = el("p", { class: "problem", role: "alert" });
        this.node = el("div", { class: "installation" }, el("div", { class: "installation-head" }, el("b", { text: names.join(" ") }), this.cancel), this.state, this.problem, this.output.node);
    }

    stop() {
        this.abort.abort();
        this.end("cancelled");
    }

    async run() {
        const { signal } = this.abort;
        if (this.over)
            return;
        this.state.textContent = "installing …";
        try {
            const json = { packages: this.names, stream: true };
            const answer = await server.ask("POST", this.session.path("packages"), { json, headers: { Accept: "text/event-stream" }, signal });
            for await (const { name, data } of server.events(answer, signal))
                this.take(name, data);
        } catch (e) {
            if (!signal.aborted)
                this.fail(complaint(e));
        }
        if (!this.over)
            this.fail("The connection broke before the end.");
    }

    take(name, data) {
        if (name === "end" && data.status === "ok")
            this.succeed(data);
        else if (name === "end")
            this.fail(data.error.message);
        else
            this.print(data.text);
    }

    print(text) {
        const { pre } = this.output;
        const following = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
        this.output.node.hidden = false;
        this.output.append(text);
        this.output.flush();
        if (following)
            pre.scrollTop = pre.scrollHeight;
    }

    succeed({ cached, duration_ms: ms }) {
        this.isDone = true;
        this.end(cached ? `had been installed before; here in ${humanTime(ms)}` : `installed in ${humanTime(ms)}`);
    }

    fail(why) {
        this.problem.textContent = why;
        this.end("not installed");
    }

    end(text) {
        this.over = true;
        this.hadFocus = document.activeElement === this.cancel;
        this.cancel.remove();
        this.state.textContent = text;
        announce(`${this.names.join(" ")}: ${text}`);
        this.ended(this);
    }
}

export class Packages {
    constructor() {
        this.note = el("p", { class: "quiet" });
        this.list = el("ul", { class: "package-list", "aria-label": "Packages of the session" });
        this.area = el("textarea", { class: "requirements", rows: "2", spellcheck: "false", autocapitalize: "off", autocomplete: "off", placeholder: "humanize==4.9.0 tabulate",
                                     onkeydown: (event) => this.key(event) });
        this.go = el("button", { class: "small main", text: "Install" });
        this.form = el("form", { class: "package-form", hidden: true, onsubmit: (event) => { event.preventDefault(); this.install(); } },
            el("label", {}, "Requirements", this.area), this.go);
        this.jobs = el("div");
        this.node = el("div", { class: "packages" }, this.form, this.jobs, this.note, this.list);
        this.seen = new WeakMap();          // Installations, by session
        this.turn = Promise.resolve();      // one at a time: a browser has six connections to a server
    }

    show(session) {
        if (session !== this.session) {
            this.area.value = "";
            this.form.hidden = true;
            this.note.textContent = "";
            this.list.replaceChildren();
        }
        this.session = session;
        this.follow();
        this.refresh();
    }

    // What is installed in the session that is looked at.
    follow() {
        const job = this.seen.get(this.session);
        if (this.jobs.firstChild !== (job?.node ?? null))
            this.jobs.replaceChildren(...(job ? [job.node] : []));
        this.go.disabled = job !== undefined && !job.over;
    }

    async refresh() {
        const { session } = this;
        if (session.gone)
            return;
        try {
            const [about, { kernels }] = await Promise.all([server.json("GET", session.path()), server.json("GET", "v1/kernels")]);
            if (session === this.session)
                this.draw(about.packages ?? [], kernels);
        } catch (e) {
            if (session === this.session)
                this.note.textContent = complaint(e);
        }
    }

    draw(packages, kernels) {
        const able = kernels.find((one) => one.name === this.session.kernel)?.packages === true;
        const why = kernels.some((one) => one.packages) ? `There is no tool here that installs packages for ${this.session.kernel}.` : NO_SOURCE;
        this.form.hidden = !able;
        this.note.textContent = !able ? why : packages.length ? "The session has these, and so has each container that it gets. What is imported already stays as it was until a restart." : "Nothing has been installed for this session yet.";
        this.list.replaceChildren(...packages.map((one) => el("li", {}, el("code", { text: one }))));
    }

    key(event) {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            this.form.requestSubmit(this.go);
        }
    }

    install() {
        const names = requirementsOf(this.area.value);
        const { session } = this;
        if (!names.length) {
            this.area.focus();
            return;
        }
        const job = new Installation(session, names, () => this.ended(job));
        const byButton = document.activeElement === this.go;
        this.seen.set(session, job);
        this.follow();
        if (byButton)
            job.cancel.focus();
        this.turn = this.turn.then(() => job.run());
    }

    // What could not be had stays in the form, to be mended.
    ended(job) {
        if (job.session !== this.session)
            return;
        if (job.isDone)
            this.area.value = "";
        this.follow();
        if (job.hadFocus && this.node.isConnected)
            this.area.focus();
        this.refresh();
    }
}
