// dom.js - elements, icons, and figures as people read them.

export const $ = (id) => document.getElementById(id);

// el("p", {class: "x", text: "y", onclick: f, disabled: true}, child...): strings become text nodes.
export function el(tag, props = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(props)) {
        if (value === undefined || value === null)
            continue;
        if (key.startsWith("on"))
            node.addEventListener(key.slice(2), value);
        else if (key === "class")
            node.className = value;
        else if (key === "text")
            node.textContent = value;
        else if (typeof value === "boolean")
            node.toggleAttribute(key, value);
        else
            node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
}

export function button(text, props, onclick) {
    return el("button", { type: "button", text, ...props, onclick });
}

const ICONS = {
    plus: "M10 4v12M4 10h12",
    close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
    stop: "M6 6h8v8H6z",
    restart: "M15.5 10a5.5 5.5 0 11-1.8-4.1M15.5 3v3.5h-3.5",
    menu: "M4 6h12M4 10h12M4 14h12",
    panel: "M3.5 4h13v12h-13zM12.5 4v12",
    out: "M8 3.5H4.5v13H8M12.5 6.5L16 10l-3.5 3.5M16 10H8",
    upload: "M10 13V4M6.5 7.5L10 4l3.5 3.5M4 13v3h12v-3",
    download: "M10 4v9M6.5 9.5L10 13l3.5-3.5M4 13v3h12v-3",
    bin: "M4.5 6h11M8 6V4h4v2M6 6l.7 10h6.6L14 6",
    folder: "M3 5.5h5l1.5 2H17v8.5H3z",
    "folder-up": "M3 5.5h5l1.5 2H17v8.5H3zM10 14V9.8M8 11.5l2-2 2 2",
    file: "M5.5 3h6L15 6.5V17H5.5zM11.5 3v3.5H15",
    link: "M8 12l4-4M7 9.5L5 11.5a2.5 2.5 0 003.5 3.5l2-2M13 10.5l2-2A2.5 2.5 0 0011.5 5l-2 2",
    refresh: "M15.5 10a5.5 5.5 0 11-1.8-4.1M15.5 3v3.5h-3.5",
    "theme-auto": "M10 3.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM10 3.5v13",
    "theme-light": "M10 6.5a3.5 3.5 0 100 7 3.5 3.5 0 000-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M4.3 15.7l1.1-1.1M14.6 5.4l1.1-1.1",
    "theme-dark": "M16.5 12.2A7 7 0 017.8 3.5a7 7 0 108.7 8.7z",
};

export function svg(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes))
        node.setAttribute(key, value);
    node.append(...children);
    return node;
}

export function icon(name) {
    return svg("svg", { class: "icon-svg", viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

// A button with an icon only, which its label names.
export function iconButton(name, label, onclick, props = {}) {
    const node = el("button", { type: "button", class: "plain icon", "aria-label": label, title: label, ...props, onclick });
    node.append(icon(name));
    return node;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function humanSize(n) {
    let i = 0;
    while (n >= 1000 && i < UNITS.length - 1) {
        n /= 1000;
        i += 1;
    }
    return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${n === 1 && !i ? "byte" : UNITS[i]}`;
}

// As limits are given.
export function humanMemory(n) {
    const mebibytes = n / 1048576;
    return `${mebibytes < 10 ? mebibytes.toFixed(1).replace(".0", "") : Math.round(mebibytes)} MiB`;
}

export function humanTime(ms) {
    if (ms < 10)
        return `${ms.toFixed(1)} ms`;
    if (ms < 1000)
        return `${Math.round(ms)} ms`;
    if (ms < 60000)
        return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
    return ms < 3.6e6 ? `${Math.floor(ms / 60000)} min ${Math.floor(ms / 1000) % 60} s` : `${(ms / 3.6e6).toFixed(1).replace(".0", "")} h`;
}

// How long ago, of an RFC 3339 time.
export function ago(time) {
    const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
    if (!Number.isFinite(seconds))
        return "";
    if (seconds < 45)
        return "just now";
    if (seconds < 3600)
        return `${Math.max(1, Math.round(seconds / 60))} min ago`;
    return seconds < 86400 ? `${Math.round(seconds / 3600)} h ago` : new Date(time).toLocaleDateString();
}

export function announce(text) {
    $("announcer").textContent = text;
}

// Makes a node higher, by change().  Whoever scrolls around it does this himself, at the right time.
export function grow(node, change) {
    if (node.dispatchEvent(new CustomEvent("grow", { bubbles: true, cancelable: true, detail: change })))
        change();
}

export function notice(kind, title, detail, ...more) {
    return el("div", { class: `notice ${kind}`, role: "note" }, el("b", { text: title }), el("span", { text: detail }), ...more);
}

export function saveAs(blob, name) {
    const url = URL.createObjectURL(blob);
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// Asks before something that cannot be undone, or for a text: true, the text, or null.
export function ask({ title, text = "", yes, label, value = "" }) {
    const dialog = $("ask-dialog");
    $("ask-title").textContent = title;
    $("ask-text").textContent = text;
    $("ask-yes").textContent = yes;
    $("ask-label").hidden = !label;
    $("ask-label-text").textContent = label ?? "";
    $("ask-input").value = value;
    dialog.returnValue = "";
    $("ask-no").onclick = () => dialog.close();
    dialog.showModal();
    (label ? $("ask-input") : $("ask-yes")).focus();
    return new Promise((resolve) => dialog.addEventListener("close", () => {
        const said = dialog.returnValue === "yes";
        resolve(said ? label ? $("ask-input").value.trim() || null : true : null);
    }, { once: true }));
}

// Storage of this tab; without it, all lives as long as the page.
export function keep(key, value) {
    try {
        if (value === null)
            sessionStorage.removeItem(key);
        else
            sessionStorage.setItem(key, value);
    } catch {                    // switched off, or full: better nothing than what was there before
        forget(key);
    }
}

function forget(key) {
    try {
        sessionStorage.removeItem(key);
    } catch { /* switched off */ }
}

// All that the page has kept.
export function forgetKept() {
    try {
        for (const key of Object.keys(sessionStorage).filter((one) => one.startsWith("tci-")))
            sessionStorage.removeItem(key);
    } catch { /* switched off */ }
}

export function kept(key) {
    try {
        return sessionStorage.getItem(key);
    } catch {
        return null;
    }
}

// Of that many bytes.
export function randomHex(n) {
    return Array.from(crypto.getRandomValues(new Uint8Array(n)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}
