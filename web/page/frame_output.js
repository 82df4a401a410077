// frame_output.js - HTML that code has shown, in a frame without an origin: it can neither reach the page nor the network.
import { button, el } from "./dom.js";

const MAX_HEIGHT = 800;         // pixels; what is higher scrolls
const frames = new Set();

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
        this.given = false;
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
        if (data?.ready === true && !this.given) {
            this.given = true;
            this.frame.contentWindow.postMessage({ html: this.html, colours: colours() }, "*");
        } else if (Number.isFinite(data?.height)) {
            this.grow(`${Math.min(MAX_HEIGHT, Math.max(24, data.height)) + 2}px`);
        }
    }

    // Whoever scrolls around it does this himself, at the right time.
    grow(height) {
        const change = () => { this.frame.style.height = height; };
        if (this.frame.style.height !== height && this.node.dispatchEvent(new CustomEvent("grow", { bubbles: true, cancelable: true, detail: change })))
            change();
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
        if (one.given)
            one.frame.contentWindow?.postMessage({ colours: colours() }, "*");
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
