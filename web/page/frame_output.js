// frame_output.js - HTML that code has shown, in a frame without an origin: it can neither reach the page nor the network.
import { button, el, grow } from "./dom.js";

const MAX_HEIGHT = 800;         // pixels; what is higher scrolls
const frames = new Set();
const given = new WeakSet();     // windows that have their HTML; a frame that is put into the page again has another

function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { scheme: document.documentElement.dataset.theme, ink: of("ink"), soft: of("soft"), line: of("line"), accent: of("accent") };
}

class FrameOutput {
    constructor(html) {
        this.html = html;
        this.node = el("div", { class: "html-out" });
        this.frame = this.open("frame.html");
        this.node.append(this.frame);
        if (/<script|\son[a-z]+\s*=/i.test(html))
            this.node.append(el("div", { class: "more" }, el("span", { text: "Its scripts do not run." }),
                button("Run them", { class: "small", title: "Without a network, and apart from this page" }, (event) => this.enliven(event))));
        frames.add(this);
    }

    open(name) {
        return el("iframe", { src: `page/${name}`, sandbox: "allow-scripts", title: "HTML output", referrerpolicy: "no-referrer", loading: "lazy" });
    }

    enliven(event) {
        event.target.parentNode.remove();
        const live = this.open("live.html");
        this.frame.replaceWith(live);
        this.frame = live;
    }

    // Whatever the frame says, it can do no more than have a height.
    said(data) {
        const to = this.frame.contentWindow;
        if (data?.ready === true && !given.has(to)) {
            given.add(to);
            to.postMessage({ html: this.html, colours: colours() }, "*");
        } else if (Number.isFinite(data?.height)) {
            this.grow(`${Math.min(MAX_HEIGHT, Math.max(24, data.height)) + 2}px`);
        }
    }

    grow(height) {
        if (this.frame.style.height !== height)
            grow(this.node, () => { this.frame.style.height = height; });
    }
}

addEventListener("message", (event) => {
    for (const one of frames) {
        if (!one.node.isConnected && !one.frame.contentWindow)
            continue;
        if (event.source === one.frame.contentWindow)
            one.said(event.data);
    }
});

document.addEventListener("themechange", () => {
    for (const one of frames)
        if (given.has(one.frame.contentWindow))
            one.frame.contentWindow.postMessage({ colours: colours() }, "*");
});

export function htmlOutput(html) {
    return new FrameOutput(html).node;
}

// The frames below a node that is thrown away.
export function forgetFrames(node) {
    for (const one of frames)
        if (node.contains(one.node))
            frames.delete(one);
}
