// editor.js - where code is written: completion by Tab, what a name is by Shift-Tab, earlier code, indentation.
import { announce, el } from "./dom.js";
import { AnsiWriter } from "./ansi.js";

const MAX_MATCHES = 200;
const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta"]);

// Through the browser's own editing where there is one, so that undo knows of it.
function typeInto(area, text) {
    area.focus();
    if (!document.execCommand("insertText", false, text))
        area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
}

// The API counts characters, JavaScript halves of some.
function characters(text) {
    return [...text].length;
}

function units(text, n) {
    return [...text].slice(0, n).join("").length;
}

let editors = 0;

export class Editor {
    // hooks: submit(), interrupt() → whether there was something, complete(code, at), inspect(code, at): promises of the kernel's
    // replies, or null.
    constructor(language, hooks) {
        this.hooks = hooks;
        this.python = language === "python";
        this.history = [];
        this.at = 0;
        this.draft = "";
        this.tabLeaves = false;
        this.matches = null;
        this.id = `editor-${++editors}`;
        this.build(language);
    }

    build(language) {
        this.list = el("ul", { class: "matches", role: "listbox", id: `${this.id}-matches`, "aria-label": "Completions", hidden: true });
        this.about = el("div", { class: "about", role: "status", hidden: true });
        this.area = el("textarea", {
            class: "editor", rows: "3", spellcheck: "false", autocapitalize: "off", autocomplete: "off", autocorrect: "off", id: this.id,
            "aria-label": `Code, ${language || "any language"}`, "aria-autocomplete": "list", "aria-description": "Tab completes; after Escape it leaves the editor", "aria-controls": `${this.id}-matches`,
            placeholder: `${language ? language[0].toUpperCase() + language.slice(1) : "Code"} …`,
            onkeydown: (event) => this.key(event), oninput: () => { this.fit(); this.closeHelp(); }, onblur: () => this.closeHelp(),
        });
        this.node = el("div", { class: "editor-box" }, this.list, this.about, this.area);
    }

    get value() {
        return this.area.value;
    }

    set(text) {
        this.area.value = text;
        this.fit();
        this.closeHelp();
        this.area.setSelectionRange(text.length, text.length);
        this.area.scrollTop = this.area.scrollHeight;
    }

    fit() {
        this.area.rows = Math.min(14, Math.max(3, this.area.value.split("\n").length));
    }

    remember(code) {
        if (this.history.at(-1) !== code)
            this.history.push(code);
        this.at = this.history.length;
    }

    recall(step) {
        const to = this.at + step;
        if (to < 0 || to > this.history.length)
            return;
        if (this.at === this.history.length)
            this.draft = this.value;
        this.at = to;
        this.set(to === this.history.length ? this.draft : this.history[to]);
    }

    key(event) {
        if (MODIFIERS.has(event.key))        // of the key that follows
            return;
        const leaving = this.tabLeaves;
        this.tabLeaves = event.key === "Escape" && !this.helping;
        if (!event.isComposing && (this.matchKey(event) || this.commandKey(event) || this.typingKey(event, leaving)))
            event.preventDefault();
    }

    commandKey(event) {
        const command = event.ctrlKey || event.metaKey;
        const selected = this.area.selectionStart !== this.area.selectionEnd;
        if (event.key === "Enter" && (command || event.shiftKey))
            this.hooks.submit();
        else if (command && (event.key === "ArrowUp" || event.key === "ArrowDown"))
            this.recall(event.key === "ArrowUp" ? -1 : 1);
        else if (event.ctrlKey && event.key === "c" && !selected)
            return this.hooks.interrupt();
        else if (event.key === "Escape" && this.helping)
            this.closeHelp();
        else
            return false;
        return true;
    }

    typingKey(event, leaving) {
        if (event.key === "Tab" && !leaving)
            event.shiftKey ? this.shiftTab() : this.tab();
        else if (event.key === "Enter" && !event.altKey && this.indentation())
            typeInto(this.area, "\n" + this.indentation());
        else
            return false;
        return true;
    }

    /* indentation */

    get before() {
        return this.area.value.slice(0, this.area.selectionStart);
    }

    get lineBefore() {
        return this.before.slice(this.before.lastIndexOf("\n") + 1);
    }

    indentation() {
        const line = this.lineBefore;
        return line.match(/^[ \t]*/)[0] + ((this.python ? /:\s*$/ : /[{([]\s*$/).test(line) ? "    " : "");
    }

    tab() {
        const { value, selectionStart: from, selectionEnd: to } = this.area;
        if (value.slice(from, to).includes("\n"))
            this.changeLines((lines) => lines.replace(/^(?=.)/gm, "    "));
        else if (from === to && /[\w.'"/)\]]$/.test(this.lineBefore))
            this.complete();
        else
            typeInto(this.area, "    ");
    }

    shiftTab() {
        const { value, selectionStart: from, selectionEnd: to } = this.area;
        if (value.slice(from, to).includes("\n") || /^\s+$/.test(this.lineBefore))
            this.changeLines((lines) => lines.replace(/^(?: {1,4}|\t)/gm, ""));
        else if (this.before.trim())
            this.inspect();
    }

    changeLines(change) {
        const { value, selectionStart: from, selectionEnd: to } = this.area;
        const first = value.lastIndexOf("\n", from - 1) + 1;
        const lines = change(value.slice(first, to));
        this.area.setSelectionRange(first, to);
        typeInto(this.area, lines);
        this.area.setSelectionRange(value.slice(from, to).includes("\n") ? first : first + lines.length, first + lines.length);
    }

    /* what the kernel knows */

    // The kernel's reply, unless something was typed meanwhile.
    async asked(ask) {
        const { value, selectionStart } = this.area;
        this.area.classList.add("asking");
        const reply = await ask(value, characters(this.before));
        this.area.classList.remove("asking");
        return reply && this.area.value === value && this.area.selectionStart === selectionStart ? reply : null;
    }

    async complete() {
        const reply = await this.asked(this.hooks.complete);
        if (!reply)
            return;
        const value = this.area.value;
        const [from, to] = [units(value, Number(reply.cursor_start)), units(value, Number(reply.cursor_end))];
        const matches = (Array.isArray(reply.matches) ? reply.matches : []).map(String).slice(0, MAX_MATCHES);
        this.from = from;
        this.to = to;
        if (matches.length === 1)
            this.insert(matches[0]);
        else if (matches.length)
            this.openMatches(matches);
        else
            this.tell("The kernel has no completions here.");
    }

    insert(text) {
        this.area.setSelectionRange(this.from, this.to);
        typeInto(this.area, text);
        this.closeHelp();
    }

    openMatches(matches) {
        this.closeHelp();
        this.matches = matches;
        this.list.replaceChildren(...matches.map((text, i) => el("li", {
            role: "option", id: `${this.id}-match-${i}`, text, onmousedown: (event) => { event.preventDefault(); this.insert(text); },
        })));
        this.list.hidden = false;
        this.choose(0);
        announce(`${matches.length} completions`);
    }

    choose(i) {
        this.chosen = (i + this.matches.length) % this.matches.length;
        for (const [n, item] of [...this.list.children].entries())
            item.setAttribute("aria-selected", String(n === this.chosen));
        this.list.children[this.chosen].scrollIntoView({ block: "nearest" });
        this.area.setAttribute("aria-activedescendant", `${this.id}-match-${this.chosen}`);
    }

    matchKey(event) {
        if (!this.matches || event.ctrlKey || event.metaKey)
            return false;
        const step = { ArrowDown: 1, ArrowUp: -1, Tab: event.shiftKey ? -1 : 1, PageDown: 8, PageUp: -8 }[event.key];
        if (step)
            this.choose(this.chosen + step);
        else if (event.key === "Enter")
            this.insert(this.matches[this.chosen]);
        else
            return false;
        return true;
    }

    async inspect() {
        const reply = await this.asked(this.hooks.inspect);
        if (!reply)
            return;
        this.tell(reply.found ? String(reply.data?.["text/plain"] ?? "") : "The kernel knows nothing of this.");
    }

    // Above the editor, until something is typed.
    tell(text) {
        this.closeHelp();
        const pre = el("pre", { class: "wrap" });
        new AnsiWriter().write(text.slice(0, 20000), pre);
        this.about.replaceChildren(pre);
        this.about.hidden = false;
    }

    get helping() {
        return !this.list.hidden || !this.about.hidden;
    }

    closeHelp() {
        this.matches = null;
        this.list.hidden = this.about.hidden = true;
        this.area.removeAttribute("aria-activedescendant");
    }
}
