// chart.js - figures of Vega-Lite and Plotly drawn in their simple forms, lines, points and bars, with the data below.  What it
// cannot draw is the data and the specification to look into.
import { el, svg } from "./dom.js";
import { dataTable, jsonTree } from "./tree.js";

const WIDTH = 640, HEIGHT = 300, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 40;
const MAX_POINTS = 5000, MAX_SERIES = 12, MAX_TICKS = 6, MAX_NAMES = 12;

function finite(value) {
    return typeof value === "number" && Number.isFinite(value);
}

// Plotly's typed arrays: {dtype, bdata}.
function listOf(values) {
    if (Array.isArray(values))
        return values;
    const kinds = { f8: Float64Array, f4: Float32Array, i1: Int8Array, i2: Int16Array, i4: Int32Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };
    const kind = kinds[values?.dtype];
    try {
        const bytes = Uint8Array.from(atob(values.bdata), (c) => c.charCodeAt(0));
        return [...new kind(bytes.buffer)];
    } catch {
        return [];
    }
}

// → {series: [{name, mark, points: [[x, y]]}], x, y, title, rows}
function ofPlotly(figure) {
    const series = (Array.isArray(figure?.data) ? figure.data : []).map((trace, i) => {
        const y = listOf(trace?.y);
        const x = trace?.x === undefined ? y.map((_, n) => n) : listOf(trace.x);
        const lines = String(trace?.mode ?? "lines").includes("lines");
        const flat = trace?.orientation === "h";
        const drawn = { scatter: lines ? "line" : "point", scattergl: lines ? "line" : "point", bar: "bar" }[trace?.type ?? "scatter"];
        return { name: String(trace?.name ?? `trace ${i}`), mark: flat ? undefined : drawn, points: x.map((value, n) => [value, y[n]]) };
    });
    const title = (node) => String(node?.title?.text ?? node?.title ?? "");
    return { series, x: title(figure?.layout?.xaxis), y: title(figure?.layout?.yaxis), title: title(figure?.layout),
             rows: series.flatMap((one) => one.points.map(([x, y]) => ({ ...(series.length > 1 ? { trace: one.name } : {}), x, y }))) };
}

function ofVegaLite(spec) {
    const named = spec?.datasets?.[spec?.data?.name];
    const rows = Array.isArray(spec?.data?.values) ? spec.data.values : Array.isArray(named) ? named : [];
    const { x, y, color } = spec?.encoding ?? {};
    const mark = { line: "line", area: "line", point: "point", circle: "point", bar: "bar" }[spec?.mark?.type ?? spec?.mark];
    const groups = new Map();
    for (const row of rows) {
        const name = String(row?.[color?.field] ?? "");
        if (!groups.has(name))
            groups.set(name, []);
        groups.get(name).push([row?.[x?.field], row?.[y?.field]]);
    }
    const plain = x?.field && y?.field && !x.aggregate && !y.aggregate && !x.bin && !spec.transform;
    return { series: plain ? [...groups].map(([name, points]) => ({ name, mark, points })) : [], x: x?.field ?? "", y: y?.field ?? "",
             title: String(spec?.title?.text ?? spec?.title ?? ""), rows };
}

function niceTicks(low, high) {
    const rough = (high - low) / MAX_TICKS || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
    const ticks = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6 && ticks.length < 20; at += step)
        ticks.push(Number(at.toPrecision(12)));
    return ticks;
}

class Scale {
    constructor(values, from, to, { zero = false, names = false } = {}) {
        this.from = from;
        this.to = to;
        this.names = names || !values.every(finite) ? [...new Set(values.map(String))] : null;
        const low = Math.min(...values, ...(zero ? [0] : [])), high = Math.max(...values, ...(zero ? [0] : []));
        this.low = low === high ? low - 1 : low;
        this.high = low === high ? high + 1 : high;
    }

    get band() {
        return Math.abs(this.to - this.from) / this.names.length;
    }

    at(value) {
        if (this.names)
            return this.from + (this.names.indexOf(String(value)) + .5) * (this.to - this.from) / this.names.length;
        return this.from + (value - this.low) / (this.high - this.low) * (this.to - this.from);
    }

    ticks() {
        if (!this.names)
            return niceTicks(this.low, this.high);
        const every = Math.ceil(this.names.length / MAX_NAMES);
        return this.names.filter((_, i) => i % every === 0);
    }
}

function shortLabel(value) {
    const text = finite(value) && Math.abs(value) >= 1e5 ? value.toExponential(1) : String(value);
    return text.length > 12 ? `${text.slice(0, 11)}…` : text;
}

function axes(x, y, figure) {
    const label = (text, attributes) => svg("text", attributes, shortLabel(text));
    return svg("g", { class: "axes" },
        ...y.ticks().flatMap((tick) => [svg("path", { d: `M${LEFT} ${y.at(tick)}H${WIDTH - RIGHT}` }), label(tick, { x: LEFT - 8, y: y.at(tick) + 4, "text-anchor": "end" })]),
        ...x.ticks().map((tick) => label(tick, { x: x.at(tick), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" })),
        svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, figure.x.slice(0, 60)),
        svg("text", { transform: `translate(12 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, figure.y.slice(0, 40)));
}

function shapes(one, n, all, x, y) {
    const attributes = { class: `series s${n % MAX_SERIES}` };
    if (one.mark === "line")
        return [svg("path", { ...attributes, class: `${attributes.class} line`, d: one.points.map(([a, b], i) => `${i ? "L" : "M"}${x.at(a).toFixed(1)} ${y.at(b).toFixed(1)}`).join("") })];
    if (one.mark === "point")
        return one.points.map(([a, b]) => svg("circle", { ...attributes, cx: x.at(a), cy: y.at(b), r: 3 }));
    const width = x.band * .8 / all;
    return one.points.map(([a, b]) => svg("rect", { ...attributes, x: x.at(a) - x.band * .4 + n * width, width, y: Math.min(y.at(b), y.at(0)), height: Math.abs(y.at(b) - y.at(0)) }));
}

// null: it cannot be drawn.
function draw(figure) {
    const series = figure.series.map((one) => ({ ...one, points: one.points.filter(([x, y]) => finite(y) && x !== undefined && x !== null) }));
    const points = series.flatMap((one) => one.points);
    if (!points.length || points.length > MAX_POINTS || series.length > MAX_SERIES || series.some((one) => !one.mark))
        return null;
    const bars = series.some((one) => one.mark === "bar");
    const x = new Scale(points.map(([value]) => value), LEFT, WIDTH - RIGHT, { names: bars });
    const y = new Scale(points.map(([, value]) => value), HEIGHT - BOTTOM, TOP, { zero: bars });
    const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": figure.title || "Chart" },
        axes(x, y, figure), ...series.flatMap((one, n) => shapes(one, n, series.length, x, y)));
    const key = series.length < 2 ? null : el("p", { class: "chart-key" }, ...series.map((one, n) => el("span", {}, el("i", { class: `s${n % MAX_SERIES}` }), one.name)));
    return el("div", {}, figure.title ? el("p", { class: "chart-title", text: figure.title }) : null, drawing, key);
}

function chart(figure, spec, name) {
    const drawn = draw(figure);
    const more = el("details", { class: "chart-more", open: !drawn && !figure.rows.length }, el("summary", { text: `${name} specification` }), jsonTree(spec, false));
    const table = figure.rows.length ? dataTable(figure.rows, `${figure.rows.length} rows of data`) : null;
    return el("div", { class: "chart-out" }, drawn, drawn && table ? el("details", { class: "chart-more" }, el("summary", { text: "Data" }), table) : table, more);
}

export function plotly(figure) {
    return chart(ofPlotly(figure), figure, "Plotly");
}

export function vega(spec) {
    return chart(ofVegaLite(spec), spec, "Vega");
}
