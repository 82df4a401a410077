// ansi.js - text with terminal colours, as nodes.
import { el } from "./dom.js";

const ESCAPES = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^[\]]?/g;

export function plainText(text) {
    return text.replace(ESCAPES, "");
}

// Where that begins what is seen of a line that was written over: a progress bar.
export function lineStart(line) {
    let end = line.length;
    while (line[end - 1] === "\r")
        end -= 1;
    return line.lastIndexOf("\r", end - 1) + 1;
}

// The escapes of a text that set colours.
export function coloursOf(text) {
    return (text.match(/\x1b\[[0-9;:]*m/g) ?? []).join("");
}

// What a terminal would show of lines that were written over, with all their colours.
export function settleLines(text) {
    if (!text.includes("\r"))
        return text;
    return text.split("\n").map((line) => {
        const start = lineStart(line);
        return coloursOf(line.slice(0, start)) + line.slice(start).replace(/\r+$/, "");
    }).join("\n");
}

function xtermColour(n) {
    if (n >= 232)
        return Array(3).fill(8 + (n - 232) * 10);
    const level = (v) => v ? 55 + v * 40 : 0;
    return [level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)];
}

// Appends text as nodes and keeps the colours from one piece to the next.
export class AnsiWriter {
    constructor() {
        this.reset();
    }

    reset() {
        this.fg = this.bg = null;
        this.bold = this.faint = this.italic = this.under = this.inverse = false;
    }

    copy() {
        return Object.assign(new AnsiWriter(), this);
    }

    write(text, parent) {
        let from = 0;
        for (const match of text.matchAll(ESCAPES)) {
            this.put(text.slice(from, match.index), parent);
            from = match.index + match[0].length;
            if (match[2] === "m")
                this.style(match[1]);
        }
        this.put(text.slice(from), parent);
    }

    style(list) {
        const codes = list.split(/[;:]/).slice(0, 32).map(Number);
        while (codes.length)
            this.code(codes.shift(), codes);
    }

    code(c, rest) {
        const flags = { 1: ["bold", true], 2: ["faint", true], 3: ["italic", true], 4: ["under", true], 7: ["inverse", true],
                        23: ["italic", false], 24: ["under", false], 27: ["inverse", false] };
        if (c === 0)
            this.reset();
        else if (flags[c])
            this[flags[c][0]] = flags[c][1];
        else if (c === 22)
            this.bold = this.faint = false;
        else if (c === 38 || c === 48)
            this[c === 38 ? "fg" : "bg"] = this.extended(rest);
        else if (c === 39 || c === 49)
            this[c === 39 ? "fg" : "bg"] = null;
        else if (c >= 30 && c <= 37)
            this.fg = c - 30;
        else if (c >= 40 && c <= 47)
            this.bg = c - 40;
        else if (c >= 90 && c <= 97)
            this.fg = c - 82;
        else if (c >= 100 && c <= 107)
            this.bg = c - 92;
    }

    // A number from 0 to 15 for the theme's own colours, or red, green, blue.
    extended(rest) {
        const byte = (v) => Math.min(255, Math.max(0, v | 0));
        const kind = rest.shift();
        if (kind === 2)
            return rest.splice(0, 3).concat(0, 0, 0).slice(0, 3).map(byte);
        const n = kind === 5 ? byte(rest.shift()) : 7;
        return n < 16 ? n : xtermColour(n);
    }

    put(text, parent) {
        if (!text)
            return;
        const [fg, bg] = this.inverse ? [this.bg, this.fg ?? 7] : [this.fg, this.bg];
        const names = ["bold", "faint", "italic", "under"].filter((name) => this[name]);
        if (fg === null && bg === null && !names.length) {
            parent.append(text);
            return;
        }
        const span = el("span", { text });
        if (Array.isArray(fg))
            span.style.setProperty("--rgb", `rgb(${fg.join(" ")})`);
        if (Array.isArray(bg))
            span.style.setProperty("--back", `rgb(${bg.join(" ")})`);
        if (fg !== null)
            names.push(Array.isArray(fg) ? "rgb" : `fg${fg}`);
        if (bg !== null)
            names.push("lit", ...(Array.isArray(bg) ? [] : [`bg${bg}`]));
        span.className = ["ansi", ...names].join(" ");
        parent.append(span);
    }
}

// An escape that is cut in two by the end of a piece of text: where it begins, or the text's length.
export function unfinishedEscape(text) {
    const at = text.lastIndexOf("\x1b");
    return at >= 0 && text.length - at < 40 && !/^\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[^[\]])/.test(text.slice(at)) ? at : text.length;
}
