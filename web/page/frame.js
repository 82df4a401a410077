// frame.js - in the frame: takes the HTML from the page that it is in, and tells how high it is.  Under frame.html the policy keeps
// scripts of that HTML from running; under live.html, which the user asks for, they run, but have no origin and no network.
"use strict";

(() => {
    const live = location.pathname.endsWith("/live.html");
    const base = `
        body { margin: 0; overflow-x: auto; font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: transparent; overflow-wrap: anywhere; }
        table { border-collapse: collapse; border: 0; font-size: 13px; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
        th, td { padding: 4px 10px; text-align: right; border: 0; border-bottom: 1px solid var(--line); }
        thead th { border-bottom: 1px solid var(--soft); } tbody th { color: var(--soft); font-weight: 500; }
        img, svg, video { max-width: 100%; } a { color: var(--accent); } pre, code { font-family: ui-monospace, monospace; }`;

    function tell() {
        parent.postMessage({ height: Math.ceil(document.documentElement.getBoundingClientRect().height) }, "*");
    }

    function style(colours) {
        const root = document.documentElement;
        root.style.colorScheme = colours.scheme;
        for (const name of ["ink", "soft", "line", "accent"])
            root.style.setProperty(`--${name}`, colours[name]);
    }

    // A policy says what may be loaded, not where the browser may connect to before that: by links with rel=preconnect, and for what it
    // then does not load: a frame, or where a link leads.
    function inert(html) {
        const template = document.createElement("template");
        template.innerHTML = html;
        for (const node of template.content.querySelectorAll("link, iframe, frame, fencedframe, object, embed, meta, base"))
            node.remove();
        for (const node of template.content.querySelectorAll("a, area"))
            if (node.getAttribute("href")?.[0] !== "#")
                for (const name of ["href", "xlink:href", "ping"])
                    node.removeAttribute(name);
        return template.content;
    }

    function show(html, colours) {
        const first = `<!DOCTYPE html><style>${base}</style>`;
        if (live) {
            document.open();
            document.write(first + html);
            document.close();
        } else {
            document.documentElement.innerHTML = `<head><style>${base}</style></head><body></body>`;
            document.body.append(inert(html));
        }
        style(colours);
        new ResizeObserver(tell).observe(document.documentElement);
        addEventListener("load", tell);
        tell();
    }

    let shown = false;

    addEventListener("message", (event) => {
        if (event.source !== parent)
            return;
        if (shown) {
            style(event.data.colours);
        } else {
            shown = true;
            show(String(event.data.html), event.data.colours);
        }
    });
    parent.postMessage({ ready: true }, "*");
})();
