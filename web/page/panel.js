// panel.js - beside the transcript: files, variables, packages, what the session uses, its history.
import { ago, el, humanMemory, humanTime, iconButton, svg } from "./dom.js";
import { Files } from "./files.js";
import { Packages } from "./packages.js";
import { complaint, server } from "./server.js";

const SAMPLES = 60;
const PAGE = 50;

/* --- variables ------------------------------------------------------------------------------------ */

class Variables {
    constructor() {
        this.rows = el("tbody");
        this.note = el("p", { class: "quiet" });
        this.table = el("table", { class: "data variables" }, el("thead", {}, el("tr", {}, ...["Name", "Type", "Value"].map((text) => el("th", { scope: "col", text })))), this.rows);
        this.node = el("div", {}, this.note, el("div", { class: "table-out" }, this.table));
    }

    show(session) {
        if (session !== this.session)
            this.say("");
        this.session = session;
        this.refresh();
    }

    async refresh() {
        const session = this.session;
        if (!session?.isPython || session.about.strategy === "execution")
            return this.say(session ? "Variables are listed of Python sessions that keep them." : "");
        if (session.state === "stopped" || session.gone)
            return this.say("There is no container now; the next run has a new one.");
        if (session.state === "starting")
            return this.say("The list is drawn when the kernel is ready.");
        if (session.running || session.state === "busy")
            return this.say("The list is drawn anew when the code has ended.", false);
        if (!session.about.executions && !session.cells.length)
            return this.say("Nothing is defined yet. A run that assigns something shows it here.");
        try {
            const { variables, truncated } = await session.inquire("GET", "variables");
            if (session === this.session)
                this.draw(variables, truncated);
        } catch (e) {
            if (session === this.session)
                this.say(complaint(e), false);
        }
        return undefined;
    }

    say(text, empty = true) {
        this.note.textContent = text;
        if (empty)
            this.rows.replaceChildren();
        this.table.hidden = !this.rows.childElementCount;
    }

    draw(variables, truncated) {
        this.rows.replaceChildren(...variables.map((one) => {
            const size = one.shape ? ` ${one.shape.join(" × ")}` : Number.isInteger(one.size) ? ` ${one.size}` : "";
            return el("tr", {}, el("th", { scope: "row", text: one.name }), el("td", { class: "type", text: one.type + size, title: one.module }), el("td", {}, el("code", { text: one.text, title: one.text })));
        }));
        this.say(variables.length ? truncated ? "The first 500 by name." : "" : "Nothing is defined yet. A run that assigns something shows it here.", false);
    }
}

/* --- what it uses --------------------------------------------------------------------------------- */

function spark(values, most) {
    const points = values.map((value, i) => `${(i + SAMPLES - values.length) / (SAMPLES - 1) * 100},${(30 - Math.min(1, value / most) * 28).toFixed(1)}`);
    return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
}

class Usage {
    constructor() {
        this.gauges = el("div", { class: "gauges" });
        this.facts = el("dl", { class: "facts" });
        this.past = el("ul", { class: "past" });
        this.node = el("div", {}, this.gauges, this.facts, this.past);
        this.cpu = [];
        this.memory = [];
    }

    show(session) {
        if (session !== this.session) {
            this.cpu = [];
            this.memory = [];
            this.last = null;
            for (const part of [this.gauges, this.facts, this.past])
                part.replaceChildren();
        }
        this.session = session;
        this.refresh();
    }

    async refresh() {
        const session = this.session;
        if (!session || session.gone || this.asking === session)
            return;
        this.asking = session;
        try {
            const about = await server.json("GET", session.path());
            if (session === this.session)
                this.draw(about);
        } catch (e) {
            if (e.status === 404)
                session.missing();
        } finally {
            if (this.asking === session)
                this.asking = null;
        }
    }

    sample(about) {
        const now = performance.now() / 1000;
        const { usage, container } = about;
        if (!usage)
            return;
        if (this.last?.container === container?.id && now > this.last.now)
            this.cpu.push(Math.max(0, (usage.cpu_seconds - this.last.seconds) / (now - this.last.now)));
        this.memory.push(usage.memory_bytes);
        this.last = { now, seconds: usage.cpu_seconds, container: container?.id };
        this.cpu.splice(0, this.cpu.length - SAMPLES);
        this.memory.splice(0, this.memory.length - SAMPLES);
    }

    draw(about) {
        const { usage, limits, container } = about;
        this.sample(about);
        const cores = limits?.cpu ?? 1, most = (limits?.memory_mb ?? 1024) * 1048576;
        const now = this.cpu.at(-1) ?? 0;
        this.gauges.replaceChildren(
            this.gauge("Processor", usage ? `${Math.round(100 * now)} %` : "–", usage ? `${usage.cpu_seconds.toFixed(1)} s in all, ${cores} ${cores === 1 ? "core" : "cores"} at most` : "no container now", this.cpu, cores),
            this.gauge("Memory", usage ? humanMemory(usage.memory_bytes) : "–", usage ? `${humanMemory(usage.memory_peak_bytes)} at its peak, ${humanMemory(most)} at most` : "no container now", this.memory, most));
        this.drawFacts(about, limits, container);
    }

    gauge(name, value, detail, values, most) {
        return el("div", { class: "gauge", role: "group", "aria-label": name }, el("span", { class: "quiet", text: name }), el("b", { text: value }), spark(values, most), el("span", { class: "quiet", text: detail }));
    }

    drawFacts(about, limits, container) {
        const facts = {
            State: about.state, Kernel: about.kernel, Strategy: about.strategy, Network: about.network, Runs: String(about.executions),
            Container: container ? container.id : "none", Started: container ? ago(container.started_at) : "",
            Created: ago(about.created_at), "Last used": ago(about.last_used_at), Ends: about.expires_at ? new Date(about.expires_at).toLocaleString() : `after ${humanTime((about.idle_timeout ?? 0) * 1000)} without use`,
            Files: about.usage?.disk ? `${humanMemory(about.usage.disk.bytes)} of ${humanMemory(about.usage.disk.bytes_total)}` : "",
            Limits: limits ? `${limits.disk_mb} MiB of files, ${limits.pids} processes, ${limits.timeout} s a run` : "",
            Variables: about.env?.length ? about.env.join(", ") : "", "API key": about.key ?? "",
        };
        this.facts.replaceChildren(...Object.entries(facts).filter(([, value]) => value).flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));
        this.past.replaceChildren(...(about.history ?? []).toReversed().map((one) => el("li", {}, el("b", { text: `Container ended ${ago(one.ended_at)}` }), el("span", { class: "quiet", text: one.reason }))));
    }
}

/* --- its history ---------------------------------------------------------------------------------- */

class History {
    constructor(reveal) {
        this.reveal = reveal;
        this.list = el("ul", { class: "history" });
        this.note = el("p", { class: "quiet" });
        this.node = el("div", {}, this.note, this.list);
    }

    show(session) {
        if (session !== this.session) {
            this.note.textContent = "";
            this.list.replaceChildren();
        }
        this.session = session;
        this.refresh();
    }

    async refresh() {
        const session = this.session;
        if (!session || session.gone)
            return;
        try {
            const page = await server.json("GET", session.path("executions", { limit: String(PAGE) }));
            if (session !== this.session)
                return;
            this.note.textContent = page.executions.length ? "" : "Nothing has run yet. The last 100 runs are kept, by whomever they were made.";
            this.list.replaceChildren(...page.executions.map((past) => this.row(session, past)));
        } catch (e) {
            if (session === this.session)
                this.note.textContent = complaint(e);
        }
    }

    row(session, past) {
        const state = past.state === "done" ? past.status : past.state;
        const first = past.code.trim().split("\n", 1)[0].slice(0, 120);
        const took = Number.isFinite(past.duration_ms) ? humanTime(past.duration_ms) : "";
        return el("li", {}, el("button", { type: "button", class: "past-run", onclick: () => this.reveal(session, past) },
            el("span", { class: `badge ${state}`, text: state }), el("code", { text: first }), el("span", { class: "quiet", text: [took, ago(past.created_at)].filter(Boolean).join(" · ") })));
    }
}

/* --- all of them ---------------------------------------------------------------------------------- */

export class Panel {
    constructor(node, reveal) {
        this.node = node;
        this.files = new Files();
        this.tabs = [["files", "Files", this.files], ["variables", "Variables", new Variables()], ["packages", "Packages", new Packages()], ["usage", "Session", new Usage()], ["history", "History", new History(reveal)]];
        this.strip = el("div", { class: "tabs", role: "tablist", "aria-label": "About the session" });
        this.body = el("div", { class: "panel-body", role: "tabpanel", tabindex: "0", id: "panel-body" });
        this.nothing = el("div", {}, el("p", { class: "quiet", text: "Files, variables and the rest of a session are here once one is open." }));
        this.build();
        this.choose("files");
    }

    build() {
        for (const [id, label] of this.tabs)
            this.strip.append(el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel-body", text: label, onclick: () => this.choose(id) }));
        this.strip.addEventListener("keydown", (event) => this.arrow(event));
        this.node.append(el("div", { class: "panel-head" }, this.strip, iconButton("close", "Close", () => this.onClose(), { class: "plain icon drawer-close" })), this.body);
    }

    onClose() {}

    arrow(event) {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step)
            return;
        event.preventDefault();
        const at = this.tabs.findIndex(([id]) => id === this.chosen) + step + this.tabs.length;
        this.choose(this.tabs[at % this.tabs.length][0]);
        this.strip.querySelector("[aria-selected=true]").focus();
    }

    choose(chosen) {
        this.chosen = chosen;
        for (const tab of this.strip.children) {
            const on = tab.id === `tab-${chosen}`;
            tab.setAttribute("aria-selected", String(on));
            tab.tabIndex = on ? 0 : -1;
        }
        this.body.setAttribute("aria-labelledby", `tab-${chosen}`);
        this.show(this.session);
    }

    get part() {
        return this.tabs.find(([id]) => id === this.chosen)[2];
    }

    show(session) {
        const node = session ? this.part.node : this.nothing;
        this.session = session;
        if (this.body.firstChild !== node)
            this.body.replaceChildren(node);
        if (session)
            this.part.show(session);
    }

    // Code has ended in a session.
    ran(session) {
        if (session === this.session)
            this.part.show(session);
    }

    // Every now and then; what it uses is looked at always, the other things when there was a run.
    tick() {
        if (this.session && this.chosen === "usage")
            this.part.refresh();
    }
}
