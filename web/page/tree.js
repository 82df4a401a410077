// tree.js - values of JSON to look into, and rows of data as a table.
import { button, el } from "./dom.js";

const STEP = 100;               // entries that are shown at a time
const OPEN_UP_TO = 12;          // entries of the outermost value, up to which it is open
const MAX_STRING = 2000;        // characters

function leaf(value) {
    const kind = value === null ? "null" : typeof value;
    const text = kind === "string" ? JSON.stringify(value.length > MAX_STRING ? `${value.slice(0, MAX_STRING)}…` : value) : String(value);
    return el("span", { class: `json-${kind}`, text });
}

function summary(value) {
    const n = Array.isArray(value) ? value.length : Object.keys(value).length;
    return Array.isArray(value) ? `[${n}]` : `{${n}}`;
}

function fill(list, value, from = 0) {
    const entries = Array.isArray(value) ? value : Object.entries(value);
    for (const [i, entry] of entries.slice(from, from + STEP).entries()) {
        const [key, child] = Array.isArray(value) ? [from + i, entry] : entry;
        list.append(el("li", {}, branch(key, child)));
    }
    const left = entries.length - from - STEP;
    if (left > 0) {
        const more = el("li", {}, button(`${left} more`, { class: "small" }, () => {
            more.remove();
            fill(list, value, from + STEP);
        }));
        list.append(more);
    }
}

function branch(key, value, open = false) {
    const name = key === null ? null : el("span", { class: "json-key", text: `${key}: ` });
    if (value === null || typeof value !== "object")
        return el("span", {}, name, leaf(value));
    const list = el("ul");
    const node = el("details", { open }, el("summary", {}, name, el("span", { class: "json-size", text: summary(value) })), list);
    const once = () => list.childElementCount || fill(list, value);
    node.addEventListener("toggle", once);
    if (open)
        once();
    return node;
}

export function jsonTree(value, open) {
    const few = value !== null && typeof value === "object" && Object.keys(value).length <= OPEN_UP_TO;
    return el("div", { class: "json-out" }, branch(null, value, open ?? few));
}

function cellText(value) {
    return value === undefined ? "" : typeof value === "object" && value !== null ? JSON.stringify(value).slice(0, 200) : String(value).slice(0, 200);
}

// rows: objects; the columns are those of the first hundred.
export function dataTable(rows, caption) {
    const columns = [...new Set(rows.slice(0, STEP).flatMap((row) => Object.keys(row ?? {})))].slice(0, 30);
    const body = el("tbody");
    const show = (from) => body.append(...rows.slice(from, from + STEP).map((row) => el("tr", {},
        ...columns.map((name) => el("td", { class: typeof row?.[name] === "number" ? "number" : "", text: cellText(row?.[name]) })))));
    show(0);
    const table = el("table", { class: "data" }, el("caption", { text: caption }),
        el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col", text: name })))), body);
    const box = el("div", { class: "table-out", tabindex: "0", role: "region", "aria-label": caption }, table);
    if (rows.length <= STEP)
        return box;
    let shown = STEP;
    const rest = el("span");
    const row = el("div", { class: "more" }, rest, button("Show more", { class: "small" }, () => {
        show(shown);
        shown += STEP;
        tell();
    }));
    const tell = () => {
        rest.textContent = `${Math.max(0, rows.length - shown)} of ${rows.length} rows not shown`;
        if (shown >= rows.length)
            row.remove();
    };
    tell();
    return el("div", {}, box, row);
}
