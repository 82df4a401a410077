// mime.js - a bundle of MIME types as what it stands for; where it has several, the richest first, and the others to choose.
import { $, button, el, humanSize, notice, saveAs } from "./dom.js";
import { forgetFrames, htmlOutput } from "./frame_output.js";
import { plotly, vega } from "./chart.js";
import { markdown } from "./markdown.js";
import { formula, unwrap } from "./math.js";
import { jsonTree } from "./tree.js";
import { textBlock } from "./text.js";

const ENDINGS = { "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp" };
const MAX_TYPES = 20;           // of one bundle that are looked at
let pictures = 0;

function bytesOf(base64) {
    try {
        return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    } catch {
        return null;
    }
}

function enlarge(url, name, alt) {
    $("viewer-image").src = url;
    $("viewer-image").alt = alt;
    $("viewer-save").href = url;
    $("viewer-save").download = name;
    $("viewer").showModal();
}

function figure(url, name, size, dimensions = {}) {
    const alt = `Picture ${++pictures}`;
    const img = el("img", { src: url, alt, ...dimensions });
    return el("div", { class: "figure" },
        el("button", { type: "button", "aria-label": `Enlarge ${alt.toLowerCase()}`, onclick: () => enlarge(url, name, alt) }, img),
        el("a", { href: url, download: name, text: `Download (${humanSize(size)})` }));
}

// Width and height from a PNG's header, so that the place is taken before it is decoded.  Screens of twice the density are common.
function pngSize(bytes) {
    if (bytes.length < 24 || bytes[0] !== 0x89 || bytes[1] !== 0x50)
        return {};
    const view = new DataView(bytes.buffer);
    return { width: String(view.getUint32(16)), height: String(view.getUint32(20)) };
}

function raster(data, type) {
    const bytes = bytesOf(String(data));
    if (!bytes)
        return notice("warn", "Picture", "It cannot be shown.");
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    return figure(url, `picture.${ENDINGS[type]}`, bytes.length, type === "image/png" ? pngSize(bytes) : {});
}

// As a picture, in which no script runs; and as data:, which cannot be opened as a page of this origin.
function drawing(data) {
    const text = String(data);
    return figure(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`, "picture.svg", text.length);
}

function latex(data) {
    const source = String(data);
    const node = formula(unwrap(source), true);
    if (!node)
        return el("pre", { class: "tex-source wrap", text: source });
    return el("div", { class: "tex-out", tabindex: "0", role: "region", "aria-label": "Formula" }, node);
}

function attachment(data, type, name) {
    const bytes = bytesOf(String(data));
    return el("div", { class: "more" }, el("span", { text: `${type}, ${humanSize(bytes?.length ?? 0)}` }),
        button("Download", { class: "small" }, () => saveAs(new Blob([bytes ?? ""], { type: "application/octet-stream" }), name)));
}

// In order of preference.
const KINDS = [
    [/^application\/vnd\.plotly\.v1\+json$/, "chart", plotly],
    [/^application\/vnd\.vega(lite)?\.v\d+(\.\d+)*\+json$/, "chart", vega],
    [/^text\/html$/, "HTML", (data) => htmlOutput(String(data))],
    [/^image\/svg\+xml$/, "SVG", drawing],
    [/^image\/(png|jpeg|gif|webp)$/, "picture", raster],
    [/^text\/markdown$/, "Markdown", (data) => markdown(String(data))],
    [/^text\/latex$/, "formula", latex],
    [/^application\/(json|geo\+json)$/, "JSON", (data) => jsonTree(data)],
    [/^application\/pdf$/, "PDF", (data, type) => attachment(data, type, "document.pdf")],
    [/^(audio|video)\//, "media", (data, type) => attachment(data, type, type.replace("/", "."))],
    [/^text\/plain$/, "text", (data) => textBlock(String(data), "result")],
    [/^text\//, "text", (data) => textBlock(String(data), "result")],
    [/\+json$/, "JSON", (data) => jsonTree(data)],
];

// Content that a kernel has cut into lines.
function whole(value, type) {
    return Array.isArray(value) && !/json$/.test(type) ? value.join("") : value;
}

// What a view throws at is its own loss.
function drawn(show, value, type) {
    try {
        return show(whole(value, type), type);
    } catch (e) {
        return notice("warn", type, `It cannot be shown: ${e?.message}`);
    }
}

function viewsOf(data) {
    const views = [];
    const entries = Object.entries(data).slice(0, MAX_TYPES);
    for (const [pattern, label, show] of KINDS)
        for (const [type, value] of entries)
            if (pattern.test(type) && !views.some((view) => view.type === type))
                views.push({ type, label, show: () => drawn(show, value, type) });
    return views;
}

// Plain text of an object that has another form as well says little: <Figure size 640x480 with 1 Axes>.
function chooser(views, holder) {
    const row = el("div", { class: "views", role: "group", "aria-label": "Shown as" });
    for (const view of views) {
        const one = button(view.label, { class: "small plain", "aria-pressed": String(view === views[0]), title: view.type }, () => {
            for (const other of row.children)
                other.setAttribute("aria-pressed", String(other === one));
            forgetPictures(holder);
            forgetFrames(holder);
            holder.replaceChildren(view.show());
        });
        row.append(one);
    }
    return row;
}

export function bundle(data) {
    const views = viewsOf(data ?? {});
    if (!views.length)
        return jsonTree(data ?? {});
    const holder = el("div", { class: "bundle" }, views[0].show());
    return views.length === 1 ? holder : el("div", { class: "bundle-out" }, holder, chooser(views, holder));
}

// Memory of the pictures below a node that is thrown away.
export function forgetPictures(node) {
    for (const img of node.querySelectorAll("img"))
        if (img.src.startsWith("blob:"))
            URL.revokeObjectURL(img.src);
}
