// session.js - the Deno that a session's cells share: kernel/session.h says how it is spoken to.
//
// V8's own inspector evaluates them, in the mode that is made for this: `const` may be declared again, `await` stands
// anywhere.  Deno has a Jupyter kernel as well (`deno jupyter`), which publishes what a cell prints without regard to its
// end: under load the last lines come when nobody listens any more.  Here the console writes to the descriptors.

import inspector from "node:inspector";
import { createRequire, stripTypeScriptTypes } from "node:module";

const TAKE = Symbol("take"); // the name under which evaluated values get here
const encoder = new TextEncoder();
const status = Deno.openSync(Deno.env.get("TCI_STATUS"), { write: true });
const session = new inspector.Session();
const end = Deno.exit;
let cell = { number: 0, dir: "", shown: 0, interrupt: () => {} };
let taken;

Deno.env.delete("TCI_STATUS");
session.connect();

function writeAll(file, text) {
  for (let left = encoder.encode(text); left.length > 0;) left = left.subarray(file.writeSync(left));
}

function say(line) {
  writeAll(status, line.replaceAll("\n", " ") + "\n");
}

function post(method, parameters = {}) {
  return new Promise((resolve, reject) =>
    session.post(method, parameters, (error, answer) => error ? reject(error) : resolve(answer))
  );
}

// --- values

globalThis[TAKE] = (value) => taken = value;
Object.defineProperty(globalThis, TAKE, { enumerable: false });

const taker = await post("Runtime.evaluate", {
  expression: `(() => {
    const take = globalThis[Object.getOwnPropertySymbols(globalThis).find((s) => s.description === "take")];
    return (value) => { take(value); };
  })()`,
});
delete globalThis[TAKE];

// What the inspector only describes, as the value that it is.
async function valueOf({ objectId, unserializableValue, value }) {
  const argument = objectId ? { objectId } : unserializableValue ? { unserializableValue } : { value };
  await post("Runtime.callFunctionOn", {
    functionDeclaration: "function (value) { this(value); }",
    objectId: taker.result.objectId,
    arguments: [argument],
  });
  return taken;
}

// --- what is shown

function show(kind, bundle) {
  const path = `${cell.dir}/shown-${++cell.shown}.json`;
  Deno.writeTextFileSync(path, JSON.stringify(bundle));
  say(`${kind} ${path}`);
}

async function bundleOf(value) {
  const display = value?.[Symbol.for("Jupyter.display")];
  if (typeof display === "function") return await display.call(value);
  return { "text/plain": typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value) };
}

// As `deno jupyter` has it.
function makeJupyter() {
  const $display = Symbol.for("Jupyter.display");
  const as = (type) => (strings, ...values) => ({ [$display]: () => ({ [type]: String.raw({ raw: strings }, ...values) }) });
  return {
    $display,
    display: async (value, { raw = false } = {}) => show("show", raw ? value : await bundleOf(value)),
    html: as("text/html"),
    md: as("text/markdown"),
    svg: as("image/svg+xml"),
    image: (bytes) => {
      const data = typeof bytes === "string" ? Deno.readFileSync(bytes) : bytes;
      const type = data[0] === 0xff ? "image/jpeg" : "image/png";
      return { [$display]: () => ({ [type]: data.toBase64() }) };
    },
  };
}

// --- packages

// npm's, where the gateway has them installed.  Deno finds one only from a file that is below node_modules, and remembers what it has
// not found, so that we look first.
const modules = Deno.env.get("TCI_NODE_MODULES"); // undefined: there are none
const PACKAGE = /^(npm:\/?)?((?:@[\w-][\w.-]*\/)?[\w-][\w.-]*)(?:@([^/]+))?(\/.*)?$/;

async function makeResolver() {
  const dir = `${modules}/.tci`;
  Deno.mkdirSync(dir, { recursive: true });
  Deno.writeTextFileSync(`${dir}/package.json`, '{"name": "tci"}');
  Deno.writeTextFileSync(`${dir}/resolve.mjs`, "export const resolve = (name) => import.meta.resolve(name);");
  return (await import(`file://${dir}/resolve.mjs`)).resolve;
}

const resolve = modules && await makeResolver().catch(() => undefined); // undefined: there is no place for any

// undefined: there is no such package.
function versionOf(name) {
  try {
    return JSON.parse(Deno.readTextFileSync(`${modules}/${name}/package.json`)).version;
  } catch {
    return undefined;
  }
}

// Whether it is one of those: 1.2.3, 1.x, ^1.2, ~1.2, ">=1 <2", "1 || 2"; of a tag nobody knows here.
function satisfies(version, range) {
  const numbers = (text) => text.split(/[-+]/)[0].split(".").filter((part) => /^\d+$/.test(part)).map(Number);
  const have = numbers(version);
  const holds = (comparator) => {
    const [, operator, text] = comparator.match(/^([<>]=?|[=^~]?)v?(.*)$/);
    const want = numbers(text);
    const differences = want.map((part, i) => have[i] - part);
    const first = differences.findIndex((difference) => difference !== 0);
    const order = first < 0 ? 0 : differences[first];
    const lead = want.findIndex((part) => part !== 0);
    const fixed = { "^": lead < 0 ? want.length : lead + 1, "~": Math.min(want.length, 2) }[operator] ?? want.length;
    if (/^[<>]/.test(operator)) return order === 0 ? operator.endsWith("=") : (order > 0) === (operator[0] === ">");
    return order >= 0 && (first < 0 || first >= fixed);
  };
  return range.split("||").some((all) => all.replace(/([<>=^~])\s+/g, "$1").split(/\s+/).filter(Boolean).every(holds));
}

// Where code that names a package finds it; text of other things stays what it is.
function packageUrl(text) {
  const [, npm, name, range, path = ""] = text.match(PACKAGE) ?? [];
  const version = name && versionOf(name);
  if (version === undefined && !npm) return text;
  if (version === undefined) throw new Error(`${text}: the session does not have this package`);
  if (range && !satisfies(version, range)) throw new Error(`${text}: the session has ${version}`);
  return resolve(name + path);
}

function makeRequire() {
  const own = createRequire(`file://${Deno.cwd()}/`);
  if (!resolve) return own;
  const packages = createRequire(`file://${modules}/`);
  const has = (name) => versionOf(name.match(PACKAGE)?.[2]) !== undefined;
  return Object.assign((name) => has(name) ? packages(name) : own(name), own);
}

class SystemExit extends Error {
  name = "SystemExit";
}

function prepareGlobals() {
  const { Console } = Deno[Deno.internal];
  const print = (text, level) => writeAll(level > 1 ? Deno.stderr : Deno.stdout, text);
  const property = (value) => ({ value, writable: true, configurable: true, enumerable: false });
  const exit = (code = 0) => {
    throw new SystemExit(String(code)); // ends the code, and not what it has made
  };
  Object.defineProperty(globalThis, "console", property(new Console(print)));
  const ours = Object.create(Deno, { jupyter: property(makeJupyter()), exit: property(exit) });
  Object.defineProperty(globalThis, "Deno", property(ours));
  Object.defineProperty(globalThis, "require", property(makeRequire())); // as code for Node has it
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    console.error("Uncaught (in promise)", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    console.error("Uncaught", event.error);
  });
}

// --- code

// A literal of the code, that of the place where the module is.
function specifier(literal) {
  const text = literal.slice(1, -1);
  if (/^\.{0,2}\//.test(text)) return JSON.stringify(new URL(text, `file://${Deno.cwd()}/`).href);
  return resolve ? JSON.stringify(packageUrl(text)) : literal;
}

const DYNAMIC = /\bimport\s*\(\s*("[^"\n]+"|'[^'\n]+')\s*([,)])/g;
const STATIC =
  /^([ \t]*)import\s+(?!type\b)(?:([\w$*{},\s]+?)\s+from\s+)?("[^"\n]+"|'[^'\n]+')(?:\s+with\s*(\{[^}]*\}))?[ \t]*;?/gm;
const TYPES = /(?<=[{,]\s*)type\s+(?!as\b)[\w$]+(?:\s+as\s+[\w$]+)?\s*(?:,|(?=\}))/g; // what is there for the compiler alone

function toScript(code) {
  return stripTypeScriptTypes(code, { mode: "transform" });
}

function parses(code) {
  try {
    toScript(code);
    return true;
  } catch {
    return false;
  }
}

// As code.replace(), but of what is code: one parenthesis more would be an error there, and is none in a comment or a string.
function replaceInCode(code, pattern, replacement) {
  const sound = pattern.test(code) && parses(code);
  pattern.lastIndex = 0;
  return code.replace(pattern, (match, ...rest) => {
    const at = rest.find((part) => typeof part === "number");
    return sound && parses(`${code.slice(0, at)})${code.slice(at)}`) ? match : replacement(match, ...rest);
  });
}

function dynamicImport(_, from, end) {
  return `import(${specifier(from)}${end}`;
}

function staticImport(_, indent, names, from, attributes) {
  const module = `await import(${specifier(from)}${attributes ? `, { with: ${attributes} }` : ""})`;
  if (names === undefined) return `${indent}${module};`;
  const parts = [];
  const [, first, rest] = names.match(/^(?:([\w$]+)\s*,?\s*)?([^]*)$/);
  if (first) parts.push(`{ default: ${first} } = __module__`);
  if (rest.startsWith("*")) parts.push(`${rest.replace(/^\*\s*as\s+/, "")} = __module__`);
  else if (rest) parts.push(`${rest.replace(TYPES, "").replace(/([\w$]+)\s+as\s+([\w$]+)/g, "$1: $2")} = __module__`);
  const one = parts.length === 1;
  const text = `const ${parts.join(", ").replaceAll("__module__", one ? module : "__module__")};`;
  return indent + (one ? text : `var __module__ = ${module}; ${text}`);
}

// `import` is for modules; what it says can be said in an expression.
function withoutImports(code) {
  return replaceInCode(replaceInCode(code, DYNAMIC, dynamicImport), STATIC, staticImport);
}

// use(its answer): what the inspector holds of that, so that it can be described, is let go of then.
async function evaluate(expression, options, use) {
  const objectGroup = String(cell.number);
  try {
    return await use(await post("Runtime.evaluate", { expression, replMode: true, objectGroup, ...options }));
  } finally {
    taken = undefined;
    await post("Runtime.releaseObjectGroup", { objectGroup });
  }
}

// Without what is ours and the runtime's below it.
function stackOf(error) {
  const lines = String(error.stack ?? error).split("\n");
  const end = lines.findIndex((line) => line.includes(import.meta.url) || /Session\.post|\((?:ext|node):/.test(line));
  return (end < 0 ? lines : lines.slice(0, end)).join("\n");
}

function fail(error) {
  try {
    if (!(error instanceof Error)) return { name: "Uncaught", message: Deno.inspect(error) };
    if (!(error instanceof SystemExit)) console.error(stackOf(error));
    return { name: error.name || "Error", message: error.message };
  } catch {
    return { name: "Error", message: "one that cannot be shown" };
  }
}

async function runCell(file) {
  const code = toScript(withoutImports(Deno.readTextFileSync(file)));
  await evaluate(code, { awaitPromise: true }, async ({ result, exceptionDetails }) => {
    if (exceptionDetails) throw await valueOf(exceptionDetails.exception ?? result);
    if (result.type !== "undefined") show("result", await bundleOf(await valueOf(result)));
  });
}

async function execute(file) {
  const interrupted = new Promise((resolve) => cell.interrupt = () => resolve(130));
  const run = runCell(file).then(() => 0, (error) => {
    const { name, message } = fail(error);
    say(`error ${name}: ${message}`);
    return 1;
  });
  return await Promise.race([run, interrupted]);
}

// --- completion

async function namesIn(path) {
  if (path === "") {
    const { names } = await post("Runtime.globalLexicalScopeNames");
    return [...names, ...Object.getOwnPropertyNames(globalThis)];
  }
  return await evaluate(path, { throwOnSideEffect: true }, async ({ result, exceptionDetails }) => {
    const found = [];
    if (exceptionDetails) return found;
    for (let o = Object(await valueOf(result)); o !== null; o = Object.getPrototypeOf(o)) found.push(...Object.getOwnPropertyNames(o));
    return found;
  });
}

async function complete(file) {
  const [, path, word] = Deno.readTextFileSync(file).match(/((?:[\w$]+\.)*)([\w$]*)$/);
  const names = (await namesIn(path.slice(0, -1))).filter((name) => /^[\w$]+$/.test(name) && name.startsWith(word));
  say(`word ${[...word].length}`);
  for (const name of [...new Set(names)].sort()) say(`match ${name}`);
  return 0;
}

// --- one line after the other: what is to be done, the cell's number, its file, its directory

async function* lines(file) {
  let rest = "";
  for await (const piece of file.readable.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

prepareGlobals();
Deno.addSignalListener("SIGINT", () => cell.interrupt());
for await (const line of lines(Deno.openSync("/proc/self/fd/3"))) {
  const [verb, number, file, dir] = line.split(" ");
  cell = { number, dir, shown: 0, interrupt: () => {} };
  const ended = await (verb === "complete" ? complete : execute)(file).catch((error) => {
    console.error(error);
    return 1;
  });
  say(`exit ${number} ${ended}`);
}
end(0); // the kernel has ended; the listener alone would go on for ever
