// markdown.js - Markdown as nodes.  Markup in it is text, links lead to http, https and mailto only, pictures are those of data:.
import { el } from "./dom.js";
import { codeNodes } from "./code.js";
import { formula } from "./math.js";

const MAX_LENGTH = 2_000_000;   // characters, pictures included
const MAX_TEXT = 50_000;        // of a paragraph, and of all of it without pictures
const MAX_NODES = 5000, MAX_DEPTH = 8;
const MAX_MATH_LINES = 100;

// Bounded, so that none takes long over a text that was made for it.
const INLINE = [
    ["code", /`+/y],
    ["math", /\$\$?(?=\S)/y],
    ["image", /!\[([^\]\n]{0,300})\]\(/y],
    ["link", /\[((?:[^[\]\n]|\[[^\]\n]{0,100}\]){0,300})\]\(\s{0,9}<?([^\s)>]{0,2000})>?(?:\s{1,9}"[^"\n]{0,300}")?\s{0,9}\)/y],
    ["auto", /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y],
    ["url", /https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"]/y],
    ["strong", /(\*\*|__)(?=\S)/y],
    ["strike", /~~(?=\S)/y],
    ["em", /([*_])(?=\S)/y],
    ["escape", /\\([\\`*_{}[\]()#+\-.!~$|<>])/y],
    ["break", / {2,20}\n|\\\n/y],
];

function link(target, ...children) {
    const safe = /^(?:https?:\/\/|mailto:)/i.test(target);
    return safe ? el("a", { href: target, rel: "noopener noreferrer", target: "_blank" }, ...children) : el("span", { title: target }, ...children);
}

function image(alt, source) {
    return /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/.test(source) ? el("img", { src: source, alt }) : el("span", { class: "quiet", text: `[picture: ${alt || source}]` });
}

class Inline {
    constructor(text, depth) {
        this.text = text;
        this.depth = depth;
        this.nodes = [];
        this.plain = "";
    }

    parse() {
        let at = 0;
        while (at < this.text.length && this.nodes.length < MAX_NODES) {
            const end = /[`$!\[<h*_~\\ ]/.test(this.text[at]) ? this.special(at) : 0;
            if (!end)
                this.plain += this.text[at];
            at = end || at + 1;
        }
        this.put(this.text.slice(at));
        return this.nodes;
    }

    put(...nodes) {
        if (this.plain)
            this.nodes.push(this.plain);
        this.plain = "";
        this.nodes.push(...nodes);
    }

    inner(text) {
        return this.depth < MAX_DEPTH ? new Inline(text, this.depth + 1).parse() : [text];
    }

    // Where it ends, or 0: it is nothing special.
    special(at) {
        for (const [kind, pattern] of INLINE) {
            pattern.lastIndex = at;
            const match = pattern.exec(this.text);
            const end = match ? this[kind](match, at + match[0].length) : 0;
            if (end)
                return end;
        }
        return 0;
    }

    // Text up to the mark that ends it, and where that ends.
    until(mark, from) {
        const to = this.text.indexOf(mark, from);
        return to <= from ? null : [this.text.slice(from, to), to + mark.length];
    }

    code(match, from) {
        const found = this.until(match[0], from);
        if (found)
            this.put(el("code", { text: found[0].trim() }));
        return found?.[1] ?? 0;
    }

    math(match, from) {
        const found = this.until(match[0], from);
        const node = found && !(match[0] === "$" && /\s$|\n\n/.test(found[0])) && formula(found[0], match[0] === "$$");
        if (node)
            this.put(node);
        return node ? found[1] : 0;
    }

    wrapped(tag, mark, from) {
        const found = this.until(mark, from);
        if (!found || /\s$/.test(found[0]))
            return 0;
        this.put(el(tag, {}, ...this.inner(found[0])));
        return found[1];
    }

    strong(match, from) {
        return this.wrapped("strong", match[1], from);
    }

    strike(match, from) {
        return this.wrapped("s", "~~", from);
    }

    em(match, from) {
        const inWord = match[1] === "_" && /\w/.test(this.text[from - 2] ?? "");
        return inWord ? 0 : this.wrapped("em", match[1], from);
    }

    image(match, from) {
        const found = this.until(")", from);
        if (found)
            this.put(image(match[1], found[0].trim().replace(/\s[^]*/, "")));
        return found?.[1] ?? 0;
    }

    link(match, end) {
        this.put(link(match[2], ...this.inner(match[1])));
        return end;
    }

    auto(match, end) {
        this.put(link(match[1], match[1]));
        return end;
    }

    url(match, end) {
        this.put(link(match[0], match[0]));
        return end;
    }

    escape(match, end) {
        this.plain += match[1];
        return end;
    }

    break(match, end) {
        this.put(el("br"));
        return end;
    }
}

function inline(text) {
    return new Inline(text, 0).parse();
}

// What stands below a table's head: | --- | :-: |
function isTableRule(line) {
    return line.trim().replace(/^\||\|$/g, "").split("|").every((cell) => /^:?-+:?$/.test(cell.trim()));
}

const LIST = /^(\s*)([-*+]|\d{1,9}[.)])\s+/;

class Blocks {
    constructor(lines, depth) {
        this.lines = lines;
        this.depth = depth;
        this.at = 0;
        this.out = [];
    }

    parse() {
        while (this.at < this.lines.length) {
            const line = this.lines[this.at];
            if (!line.trim())
                this.at += 1;
            else if (/^\s{0,3}(```|~~~)/.test(line))
                this.fence(line);
            else if (/^\s{0,3}#{1,6}\s/.test(line))
                this.heading(line);
            else if (/^\s{0,3}([-*_])\s*(\1\s*){2,}$/.test(line))
                this.rule();
            else if (/^\s{0,3}>/.test(line))
                this.quote();
            else if (LIST.test(line))
                this.list(line);
            else if (line.includes("|") && isTableRule(this.lines[this.at + 1] ?? ""))
                this.table();
            else if (/^\s*\$\$/.test(line))
                this.math();
            else
                this.paragraph();
        }
        return this.out;
    }

    inner(lines) {
        return this.depth < MAX_DEPTH ? new Blocks(lines, this.depth + 1).parse() : [lines.join("\n")];
    }

    takeWhile(test) {
        const from = this.at;
        while (this.at < this.lines.length && test(this.lines[this.at], this.at - from))
            this.at += 1;
        return this.lines.slice(from, this.at);
    }

    fence(line) {
        const [, mark, language] = /^\s*(`{3,}|~{3,})\s*([\w+-]*)/.exec(line);
        this.at += 1;
        const code = this.takeWhile((one) => !one.trim().startsWith(mark)).join("\n");
        this.at += 1;
        this.out.push(el("pre", { class: "code" }, ...codeNodes(code, language || "text")));
    }

    heading(line) {
        const level = line.trimStart().search(/[^#]/);
        const words = line.trimStart().slice(level).trim();
        let end = words.length;
        while (words[end - 1] === "#")
            end -= 1;
        this.at += 1;
        this.out.push(el(`h${Math.min(6, level + 2)}`, { class: `md-h${level}` }, ...inline(words.slice(0, end).trimEnd())));
    }

    rule() {
        this.at += 1;
        this.out.push(el("hr"));
    }

    quote() {
        const lines = this.takeWhile((line) => /^\s{0,3}>/.test(line)).map((line) => line.replace(/^\s*> ?/, ""));
        this.out.push(el("blockquote", {}, ...this.inner(lines)));
    }

    list(line) {
        const [, indent, mark] = LIST.exec(line);
        const ordered = /\d/.test(mark);
        const list = el(ordered ? "ol" : "ul", ordered ? { start: String(parseInt(mark, 10)) } : {});
        for (let match; (match = LIST.exec(this.lines[this.at] ?? "")) && match[1].length <= indent.length + 1 && /\d/.test(match[2]) === ordered;)
            list.append(this.item(match[0].length, match[1].length));
        this.out.push(list);
    }

    item(width, indent) {
        const lines = this.takeWhile((line, n) => n === 0 || (line.trim() ? /^\s*/.exec(line)[0].length > indent : LIST.test(this.lines[this.at + 1] ?? "") || /^\s{2,}\S/.test(this.lines[this.at + 1] ?? "")));
        const text = lines.map((line, n) => n === 0 ? line.slice(width) : line.replace(new RegExp(`^\\s{0,${width}}`), ""));
        const first = text[0].replace(/^\[( |x|X)\]\s/, (box) => box[1] === " " ? "☐ " : "☑ ");
        const plain = text.length === 1 || text.slice(1).every((line) => line.trim() && !LIST.test(line));
        return el("li", {}, ...(plain ? inline([first, ...text.slice(1)].join("\n")) : this.inner([first, ...text.slice(1)])));
    }

    table() {
        const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => inline(cell.trim().replaceAll("\\|", "|")));
        const head = cells(this.lines[this.at]);
        this.at += 2;
        const rows = this.takeWhile((line) => line.includes("|"));
        this.out.push(el("div", { class: "table-out" }, el("table", { class: "data" },
            el("thead", {}, el("tr", {}, ...head.map((cell) => el("th", { scope: "col" }, ...cell)))),
            el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row).map((cell) => el("td", {}, ...cell))))))));
    }

    math() {
        const from = this.at;
        const text = [];
        const ends = (line) => line.trimEnd().endsWith("$$");
        do
            text.push(this.lines[this.at++]);
        while (this.at < this.lines.length && text.length < MAX_MATH_LINES && !ends(text.length > 1 ? text.at(-1) : text[0].trimStart().slice(2)));
        const source = text.join("\n").trim();
        const node = /^\$\$[^]*\$\$$/.test(source) && formula(source.slice(2, -2), true);
        if (node) {
            this.out.push(node);
            return;
        }
        this.at = from;
        this.paragraph();
    }

    paragraph() {
        const lines = this.takeWhile((line, n) => n === 0 || (line.trim() && !/^\s{0,3}(```|~~~|#{1,6}\s|>)/.test(line) && !LIST.test(line)));
        this.out.push(el("p", {}, ...inline(lines.join("\n"))));
    }
}

// Too much of it is text: no formatting that somebody made up may hold the page.
export function markdown(text) {
    const bare = text.length > MAX_TEXT ? text.replace(/\(data:image\/[a-z]+;base64,[A-Za-z0-9+/=]*/g, "") : text;
    if (text.length > MAX_LENGTH || bare.length > MAX_TEXT)
        return el("pre", { class: "wrap", text: text.slice(0, MAX_LENGTH) });
    return el("div", { class: "md-out" }, ...new Blocks(text.split(/\r?\n/), 0).parse().slice(0, MAX_NODES));
}
