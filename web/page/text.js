// text.js - what a program prints, as it comes: bounded, with colours, and with lines that are written over.
import { button, el, grow, humanSize, saveAs } from "./dom.js";
import { AnsiWriter, coloursOf, lineStart, plainText, settleLines, unfinishedEscape } from "./ansi.js";

const SHOWN_CHARS = 100_000;    // in the document, at most
const KEPT_CHARS = 4_000_000;   // for the download, at most
const FLUSH_MS = 30;            // text is laid out so often at most
const LONG_LINE = 8192;         // characters from which on an unfinished line is not drawn anew
const WRAP_FROM = 300;          // characters in a line, from which on lines are wrapped
const PIECE = 20_000;           // characters of a piece of which the oldest go first

export class TextOutput {
    constructor(name) {
        this.name = name;
        this.tail = el("span");
        this.pre = el("pre", { tabindex: "0", "aria-label": name === "stderr" ? "Standard error" : "Output" }, this.tail);
        this.above = el("div", { class: "more", hidden: true });
        this.node = el("div", { class: `text-out ${name}` }, this.above, this.pre);
        this.writer = new AnsiWriter();
        this.line = "";          // the unfinished one
        this.waiting = "";       // not drawn yet
        this.shown = this.gone = this.keptChars = this.lost = 0;
        this.kept = [];
    }

    append(text) {
        this.keep(text);
        this.waiting += text;
        if (this.waiting.length > 4 * SHOWN_CHARS)      // it could not be seen anyway
            this.skip(this.waiting.length - 2 * SHOWN_CHARS);
        this.timer ??= setTimeout(() => grow(this.node, () => this.flush()), FLUSH_MS);
    }

    keep(text) {
        this.kept.push(text);
        this.keptChars += text.length;
        while (this.keptChars > KEPT_CHARS && this.kept.length > 1) {
            const first = this.kept.shift();
            this.keptChars -= first.length;
            this.lost += first.length;
        }
    }

    skip(n) {
        this.gone += n;
        this.waiting = this.waiting.slice(n);
    }

    flush() {
        clearTimeout(this.timer);
        this.timer = undefined;
        const text = this.line + this.waiting;
        const end = text.lastIndexOf("\n") + 1;
        this.waiting = "";
        this.write(text.slice(0, end));
        this.line = this.uncovered(text.slice(end));
        if (this.line.length > LONG_LINE) {
            const cut = unfinishedEscape(this.line);
            this.write(this.line.slice(0, cut));
            this.line = this.line.slice(cut);
        }
        this.tail.replaceChildren();
        this.writer.copy().write(settleLines(this.line), this.tail);
        if (this.line.length > WRAP_FROM)
            this.pre.classList.add("wrap");
        this.trim();
    }

    // What is left of a line that is written over; of the rest, the colours stay.
    uncovered(line) {
        const start = lineStart(line);
        this.writer.write(coloursOf(line.slice(0, start)), this.tail);
        return line.slice(start);
    }

    write(raw) {
        const text = settleLines(raw);
        for (let from = 0; from < text.length;) {
            let to = text.length - from <= PIECE ? text.length : text.lastIndexOf("\n", from + PIECE) + 1;
            if (to <= from)
                to = Math.min(text.length, from + PIECE);
            this.piece(text.slice(from, to));
            from = to;
        }
    }

    piece(text) {
        const last = this.tail.previousSibling;
        const open = last && last.chars + text.length < PIECE ? last : el("span");
        open.chars = (open.chars ?? 0) + text.length;
        this.shown += text.length;
        if (text.split("\n").some((line) => line.length > WRAP_FROM))
            this.pre.classList.add("wrap");
        this.writer.write(text, open);
        this.tail.before(open);
    }

    // Of much, the end is what is looked at.
    trim() {
        while (this.shown > SHOWN_CHARS && this.pre.firstChild !== this.tail) {
            this.shown -= this.pre.firstChild.chars;
            this.gone += this.pre.firstChild.chars;
            this.pre.firstChild.remove();
        }
        if (!this.gone)
            return;
        if (this.above.hidden) {
            this.above.hidden = false;
            this.above.append(el("span"), button("Download all", { class: "small" }, () => this.save()));
        }
        this.above.firstChild.textContent = `${humanSize(this.gone)} above are not shown.`;
        this.above.lastChild.textContent = this.lost ? `Download the last ${humanSize(this.keptChars)}` : "Download all";
    }

    save() {
        saveAs(new Blob(this.kept.map(plainText), { type: "text/plain" }), `${this.name}.txt`);
    }
}

// A text that is there as a whole.
export function textBlock(text, name = "text") {
    const out = new TextOutput(name);
    out.append(text.replace(/\n+$/, ""));
    out.flush();
    return out.node;
}
