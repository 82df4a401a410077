// math.js - TeX as MathML, as far as code shows it: fractions, roots, scripts, Greek, sums, matrices, accents.  What it does not know it
// shows as it is written.

const NS = "http://www.w3.org/1998/Math/MathML";
const MAX_LENGTH = 20000, MAX_DEPTH = 120;    // rows and arguments in each other

const LETTERS = Object.fromEntries(("alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν "
    + "xi ξ pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ "
    + "Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ emptyset ∅ varnothing ∅ imath ı jmath ȷ "
    + "ldots … dots … cdots ⋯ vdots ⋮ ddots ⋱ prime ′ degree °").split(" ").flatMap((x, i, all) => i % 2 ? [] : [[x, all[i + 1]]]));
const OPERATORS = Object.fromEntries(("cdot ⋅ times × div ÷ pm ± mp ∓ ast ∗ star ⋆ circ ∘ bullet • oplus ⊕ otimes ⊗ cap ∩ cup ∪ wedge ∧ vee ∨ land ∧ lor ∨ "
    + "neg ¬ lnot ¬ setminus ∖ le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ equiv ≡ approx ≈ sim ∼ simeq ≃ cong ≅ propto ∝ ll ≪ gg ≫ in ∈ notin ∉ ni ∋ subset ⊂ "
    + "subseteq ⊆ supset ⊃ supseteq ⊇ to → rightarrow → leftarrow ← Rightarrow ⇒ Leftarrow ⇐ leftrightarrow ↔ Leftrightarrow ⇔ iff ⇔ implies ⟹ mapsto ↦ "
    + "uparrow ↑ downarrow ↓ forall ∀ exists ∃ perp ⊥ parallel ∥ mid ∣ vert | Vert ‖ lvert | rvert | lVert ‖ rVert ‖ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ "
    + "lceil ⌈ rceil ⌉ lbrace { rbrace } { { } } | ‖ colon : % % # # & & _ _ $ $").split(" ").flatMap((x, i, all) => i % 2 ? [] : [[x, all[i + 1]]]));
const LARGE = { sum: "∑", prod: "∏", coprod: "∐", int: "∫", iint: "∬", iiint: "∭", oint: "∮", bigcup: "⋃", bigcap: "⋂", bigoplus: "⨁", bigotimes: "⨂" };
const FUNCTIONS = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp det dim ker deg gcd hom arg min max sup inf lim limsup liminf Pr".split(" ");
const ABOVE_BELOW = new Set(["∑", "∏", "∐", "⋃", "⋂", "⨁", "⨂", "lim", "max", "min", "sup", "inf", "limsup", "liminf"]);
const ACCENTS = { hat: "^", widehat: "^", bar: "¯", overline: "¯", tilde: "~", widetilde: "~", vec: "→", dot: "˙", ddot: "¨", check: "ˇ", overrightarrow: "→" };
const FONTS = { mathbf: "bold", boldsymbol: "bold", bm: "bold", mathcal: "script", mathscr: "script", mathfrak: "script" };
const DOUBLE = { C: "ℂ", E: "𝔼", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ", 1: "𝟙" };
const UPRIGHT = new Set(["text", "mathrm", "textrm", "operatorname", "mathit", "textbf", "textit", "mbox", "mathsf", "mathtt", "texttt"]);
const SPACES = { ",": ".17em", ":": ".22em", ";": ".28em", "!": "0", " ": ".25em", quad: "1em", qquad: "2em", thinspace: ".17em", enspace: ".5em" };
const NOTHING = new Set(["displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "left.", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr"]);
const FENCES = { matrix: ["", ""], pmatrix: ["(", ")"], bmatrix: ["[", "]"], Bmatrix: ["{", "}"], vmatrix: ["|", "|"], Vmatrix: ["‖", "‖"],
                 cases: ["{", ""], array: ["", ""], aligned: ["", ""], align: ["", ""], "align*": ["", ""], smallmatrix: ["", ""],
                 equation: ["", ""], "equation*": ["", ""], gathered: ["", ""], split: ["", ""] };

class Unknown {}        // no Error: many may be thrown, and a stack is dear

function m(tag, attributes, ...children) {
    const node = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes ?? {}))
        node.setAttribute(key, value);
    node.append(...children);
    return node;
}

class Parser {
    constructor(text) {
        this.tokens = text.match(/\\[A-Za-z]+\*?|\\[^]|[0-9]+(?:\.[0-9]+)?|\s+|[^]/gu) ?? [];
        this.at = 0;
        this.depth = 0;
    }

    // Space means something in texts only.
    get next() {
        while (this.tokens[this.at]?.trim() === "")
            this.at += 1;
        return this.tokens[this.at];
    }

    take(expected) {
        const token = this.next;
        this.at += 1;
        if (token === undefined || (expected && token !== expected))
            throw new Unknown();
        return token;
    }

    // As far as one of these tokens, which is left.
    row(...ends) {
        if (++this.depth > MAX_DEPTH)
            throw new Unknown();
        const row = m("mrow");
        while (this.next !== undefined && !ends.includes(this.next)) {
            const node = this.scripted();
            if (node)
                row.append(node);
        }
        this.depth -= 1;
        return row;
    }

    scripted() {
        const base = this.atom();
        let sub, sup;
        while (this.next === "_" || this.next === "^" || this.next === "'") {
            const kind = this.take();
            if (kind === "_") {
                sub = this.argument();
                continue;
            }
            sup ??= m("mrow");
            sup.append(kind === "'" ? m("mo", {}, "′") : this.argument());
        }
        if (!sub && !sup)
            return base;
        const around = ABOVE_BELOW.has(base?.textContent) ? ["munder", "mover", "munderover"] : ["msub", "msup", "msubsup"];
        const tag = sub && sup ? around[2] : sub ? around[0] : around[1];
        return m(tag, {}, base ?? m("mrow"), ...[sub, sup].filter(Boolean));
    }

    // Of one that is an argument itself, and so on, as of a row.
    argument() {
        if (++this.depth > MAX_DEPTH)
            throw new Unknown();
        const node = this.argumentHere();
        this.depth -= 1;
        return node;
    }

    argumentHere() {
        if (this.next === "{") {
            this.take();
            const row = this.row("}");
            this.take("}");
            return row;
        }
        if (/^[0-9]{2}/.test(this.next ?? ""))          // \frac12
            this.tokens.splice(this.at, 1, this.next[0], this.next.slice(1));
        return this.atom() ?? m("mrow");
    }

    atom() {
        const token = this.take();
        if (token === "{") {
            this.at -= 1;
            return this.argument();
        }
        if (token.startsWith("\\"))
            return this.command(token.slice(1));
        if (/^[0-9]/.test(token))
            return m("mn", {}, token);
        if (/^\p{L}$/u.test(token))
            return m("mi", {}, token);
        if (token === "~")
            return m("mspace", { width: ".25em" });
        if ("}&_^".includes(token))
            throw new Unknown();
        return m("mo", "()[]|".includes(token) ? { stretchy: "false" } : {}, token === "-" ? "−" : token === "*" ? "∗" : token);
    }

    command(name) {
        if (Object.hasOwn(LETTERS, name))
            return m("mi", {}, LETTERS[name]);
        if (Object.hasOwn(OPERATORS, name))
            return m("mo", {}, OPERATORS[name]);
        if (Object.hasOwn(LARGE, name))
            return m("mo", { largeop: "true" }, LARGE[name]);
        if (FUNCTIONS.includes(name))
            return m("mi", {}, name);
        if (Object.hasOwn(SPACES, name))
            return m("mspace", { width: SPACES[name] });
        if (NOTHING.has(name))
            return null;
        if (Object.hasOwn(ACCENTS, name))
            return m("mover", { accent: "true" }, this.argument(), m("mo", {}, ACCENTS[name]));
        if (Object.hasOwn(FONTS, name))
            return m("mstyle", { class: `tex-${FONTS[name]}` }, this.argument());
        if (name === "mathbb") {
            const text = this.argument().textContent;
            return m("mi", {}, DOUBLE[text] ?? text);
        }
        return UPRIGHT.has(name) ? m("mtext", {}, this.plain()) : this.structure(name);
    }

    structure(name) {
        switch (name) {
        case "frac": case "dfrac": case "tfrac":
            return m("mfrac", {}, this.argument(), this.argument());
        case "binom":
            return m("mrow", {}, m("mo", {}, "("), m("mfrac", { linethickness: "0" }, this.argument(), this.argument()), m("mo", {}, ")"));
        case "sqrt":
            return this.root();
        case "underline":
            return m("munder", {}, this.argument(), m("mo", {}, "_"));
        case "left":
            return this.fenced();
        case "begin":
            return this.environment();
        default:
            throw new Unknown();
        }
    }

    root() {
        if (this.next !== "[")
            return m("msqrt", {}, this.argument());
        this.take();
        const degree = this.row("]");
        this.take("]");
        return m("mroot", {}, this.argument(), degree);
    }

    plain() {
        let text = "", depth = 0;
        this.take("{");
        for (;;) {
            const token = this.tokens[this.at++];
            if (token === undefined)
                throw new Unknown();
            depth += token === "{" ? 1 : token === "}" ? -1 : 0;
            if (depth < 0)
                return text;
            if (token !== "{" && token !== "}")
                text += token.replace(/^\\(?=.)/, "").replace(/\s+/, "\u00a0");
        }
    }

    fence() {
        const token = this.take();
        if (token === ".")
            return "";
        return token.startsWith("\\") ? OPERATORS[token.slice(1)] ?? "" : token;
    }

    fenced() {
        const open = this.fence();
        const inside = this.row("\\right");
        this.take("\\right");
        return this.between(open, inside, this.fence());
    }

    between(open, inside, close) {
        const fence = (text) => text ? [m("mo", { fence: "true", stretchy: "true" }, text)] : [];
        return m("mrow", {}, ...fence(open), inside, ...fence(close));
    }

    environment() {
        const name = this.plain();
        const fences = Object.hasOwn(FENCES, name) ? FENCES[name] : null;
        if (!fences)
            throw new Unknown();
        if (name === "array")
            this.plain();
        const table = m("mtable", {}, m("mtr"));
        for (;;) {
            table.lastChild.append(m("mtd", {}, this.row("&", "\\\\", "\\end")));
            const end = this.take();
            if (end === "\\end")
                break;
            if (end === "\\\\" && this.next !== "\\end")
                table.append(m("mtr"));
        }
        this.plain();
        return this.between(fences[0], table, fences[1]);
    }
}

// The formula between $ signs, or in an environment of its own: a node, or null where something in it is not known.
export function formula(text, block) {
    if (text.length > MAX_LENGTH)
        return null;
    try {
        const parser = new Parser(text);
        const row = parser.row();
        return m("math", block ? { display: "block" } : {}, row);
    } catch (e) {
        if (e instanceof Unknown)
            return null;
        throw e;
    }
}

// What stands around a formula in text/latex: $$, $, \[ or \(; "" where nothing does.
export function unwrap(text) {
    const trimmed = text.trim();
    const match = /^(?:\$\$([^]*)\$\$|\$([^$]*)\$|\\\[([^]*)\\\]|\\\(([^]*)\\\))$/.exec(trimmed);
    return match ? match.slice(1).find((part) => part !== undefined) : trimmed;
}
