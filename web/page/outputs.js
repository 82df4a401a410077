// outputs.js - what an execution shows, in order, as it comes.
import { button, el } from "./dom.js";
import { forgetFrames } from "./frame_output.js";
import { bundle, forgetPictures } from "./mime.js";
import { TextOutput, textBlock } from "./text.js";

const MAX_OUTPUTS = 400;        // of one execution, in the document

function errorBlock(error) {
    const trace = (Array.isArray(error.traceback) ? error.traceback : []).map(String);
    const box = el("div", { class: "trace", role: "group", "aria-label": "Error" });
    box.append(trace.length ? textBlock(trace.join("\n"), "traceback") : el("strong", { text: `${error.ename}: ${error.evalue}` }));
    return box;
}

export class Outputs {
    // displays: those of the session by their display_id, for later ones that change them.
    constructor(displays) {
        this.displays = displays;
        this.node = el("div", { class: "out" });
        this.text = null;        // the TextOutput that is written to
        this.clearing = false;   // before the next output
        this.left = 0;
    }

    get isEmpty() {
        return !this.node.childElementCount;
    }

    // Whether there is a line to be filled in.
    get isAsking() {
        return this.node.contains(this.form ?? null) && this.form.said === undefined;
    }

    // An event, or an output of an answer.
    show(name, data) {
        if (name === "clear_output")
            this.clearing = data.wait ? true : this.clear();
        else if (name === "update_display")
            this.update(data);
        else if (name === "stdout" || name === "stderr")
            this.print(name, String(data.text ?? ""));
        else if (name === "result" || name === "display")
            this.display(data, name);
        else if (name === "error")
            this.add(errorBlock(data));
    }

    print(name, text) {
        if (this.clearing || this.text?.name !== name) {
            const out = new TextOutput(name);
            this.add(out.node);
            this.text = out;
        }
        this.text.append(text);
    }

    display(data, name) {
        const holder = el("div", { class: `shown ${name}` }, bundle(data.data));
        if (data.display_id)
            this.displays.set(data.display_id, [...this.shown(data.display_id), holder]);
        this.add(holder);
    }

    // Where a display is; the whole session may be out of sight.
    shown(id) {
        return (this.displays.get(id) ?? []).filter((holder) => holder.parentNode);
    }

    update(data) {
        for (const holder of this.shown(data.display_id)) {
            forget(holder);
            holder.replaceChildren(bundle(data.data));
        }
    }

    add(node) {
        this.settle();
        if (this.clearing)
            this.clearing = this.clear();
        this.node.append(node);
        if (this.node.childElementCount > MAX_OUTPUTS)
            this.leaveOut();
    }

    // Drops the oldest, and says how many are not shown, in one line at the beginning.
    leaveOut() {
        if (!this.more) {
            this.more = el("div", { class: "more" });
            this.node.prepend(this.more);
        }
        while (this.node.childElementCount > MAX_OUTPUTS + 1) {
            const oldest = [...this.node.children].find((node) => node !== this.more && node !== this.form);
            forget(oldest);
            oldest.remove();
            this.left += 1;
        }
        this.more.textContent = `${this.left} earlier outputs are not shown.`;
    }

    // Draws what has been written, and takes no more of it into the same block.
    settle() {
        this.text?.flush();
        this.text = null;
    }

    clear() {
        this.text = null;
        forget(this.node);
        this.node.replaceChildren();
        this.more = undefined;
        this.left = 0;
        return false;
    }

    // A line for input(); send gives it, or null for the end of input, and says whether that was taken.
    ask(prompt, password, send) {
        this.settle();
        this.unask();
        const input = el("input", { type: password ? "password" : "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
                                    "aria-label": prompt || "Input for the code" });
        const problem = el("span", { class: "problem", role: "alert" });
        const form = el("form", { class: "stdin" }, el("span", { class: "prompt", text: prompt || "Input" }), input,
            el("button", { class: "small main", text: "Send" }),
            button("End of input", { class: "small", title: "The code's input() fails" }, () => answer(null)), problem);
        const answer = async (text) => {
            if (form.said !== undefined)
                return;          // it is on its way
            form.said = `${prompt}${text === null ? "" : password ? "•".repeat(8) : text}`;
            const why = await send(text);
            problem.textContent = why ?? "";
            if (why === undefined)
                this.unask(form);
            else
                form.said = undefined;
        };
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            answer(input.value);
        });
        this.node.append(form);
        this.form = form;
        return input;
    }

    // Nobody waits for that input any more; what was said stays.
    unask(form = this.form) {
        if (form?.said !== undefined)
            form.replaceWith(el("pre", { class: "answered wrap", text: form.said }));
        else
            form?.remove();
        if (this.form === form)
            this.form = null;
    }
}

function forget(node) {
    forgetPictures(node);
    forgetFrames(node);
}
