// tests.js - tests of what code has made: those that go with a run, and how they went.
import { button, el, humanTime, icon } from "./dom.js";

const MAX_TESTS = 200;
const OUTCOMES = { passed: "passed", failed: "failed", error: "error", timeout: "timed out", died: "died", not_run: "not run" };

function points(n) {
    return Number(n.toFixed(4)).toString();
}

// How the tests of a run went.
export class TestResults {
    constructor() {
        this.rows = el("tbody");
        this.total = el("div", { class: "score", hidden: true });
        this.node = el("div", { class: "tests-out" }, el("table", { class: "data" }, el("caption", { text: "Tests" }),
            el("thead", {}, el("tr", {}, ...["Test", "Outcome", "Reward", "Time"].map((text) => el("th", { scope: "col", text })))), this.rows), this.total);
    }

    add(test) {
        const name = el("td", {}, el("b", { text: test.name }), test.hidden ? el("span", { class: "quiet", text: " hidden" }) : null);
        if (test.error)
            name.append(el("pre", { class: "wrap why", text: [test.error.ename, test.error.evalue].filter(Boolean).join(": ") }));
        if (test.output)
            name.append(el("pre", { class: "wrap", text: test.output }));
        this.rows.append(el("tr", {}, name, el("td", {}, el("span", { class: `outcome ${test.outcome}`, text: OUTCOMES[test.outcome] ?? test.outcome })),
            el("td", { class: "number", text: points(Number(test.reward)) }), el("td", { class: "number", text: humanTime(Number(test.duration_ms)) })));
    }

    // The answer knows all of them.
    end(answer) {
        this.rows.replaceChildren();
        for (const test of answer.tests)
            this.add(test);
        const share = Math.min(1, Math.max(0, Number(answer.score)));
        const bar = el("meter", { min: "0", max: "1", value: String(share), "aria-label": "Score" });
        const passed = answer.tests.filter((test) => test.passed).length;
        this.total.hidden = false;
        this.total.replaceChildren(bar, el("span", {}, el("b", { text: `Reward ${points(answer.reward)} of ${points(answer.max_reward)}` }),
            `, score ${points(share)}, ${passed} of ${answer.tests.length} passed`));
    }
}

// The tests that the next runs have.
export class TestEditor {
    constructor(changed) {
        this.list = el("div", { class: "test-list" });
        this.node = el("fieldset", { class: "tests" }, el("legend", { text: "Tests, after each run" }), this.list,
            el("div", { class: "more" }, button("Add a test", { class: "small" }, () => this.add().querySelector("textarea").focus()),
                el("span", { text: "A condition passes if it is true, code if it raises nothing." })));
        this.changed = changed;
    }

    add({ name = "", kind = "condition", text = "", reward = 1, hidden = false } = {}) {
        const n = this.list.childElementCount + 1;
        const choice = (value, label) => el("option", { value, text: label, selected: value === kind });
        const row = el("div", { class: "test", role: "group", "aria-label": `Test ${n}` },
            el("input", { class: "t-name", "aria-label": "Name", placeholder: `test ${n}`, maxlength: "200", value: name }),
            el("select", { class: "t-kind", "aria-label": "Kind" }, choice("condition", "condition"), choice("code", "code")),
            el("input", { class: "t-reward", "aria-label": "Reward", inputmode: "decimal", value: String(reward) }),
            el("label", { class: "t-hidden" }, el("input", { type: "checkbox", checked: hidden }), "hidden"));
        const area = el("textarea", { class: "t-text", rows: "1", "aria-label": "Condition or code", spellcheck: "false", placeholder: "mean([1, 3]) == 2", autocapitalize: "off" });
        area.value = text;
        const remove = el("button", { type: "button", class: "plain icon", "aria-label": `Remove test ${n}`, title: "Remove", onclick: () => this.remove(row) });
        remove.append(icon("close"));
        row.append(remove, area);
        area.addEventListener("input", () => { area.rows = Math.min(8, area.value.split("\n").length); });
        if (n <= MAX_TESTS)
            this.list.append(row);
        this.changed();
        return row;
    }

    remove(row) {
        row.remove();
        this.changed();
    }

    get count() {
        return this.list.childElementCount;
    }

    // As the API takes them; what has no text is none.
    get tests() {
        return [...this.list.children].map((row) => {
            const of = (name) => row.querySelector(`.t-${name}`);
            const reward = Number(of("reward").value.trim().replace(",", "."));
            return { ...(of("name").value.trim() ? { name: of("name").value.trim() } : {}), [of("kind").value]: of("text").value,
                     reward: Number.isFinite(reward) ? reward : 1, hidden: row.querySelector("[type=checkbox]").checked };
        }).filter((test) => (test.condition ?? test.code).trim());
    }
}
