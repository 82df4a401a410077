"""kernelspecs/javascript by itself: the Deno that tci-kernel's session mode runs."""

import os
import time

import pytest
from lonekernel import Kernel, Spec

SPEC = Spec("javascript")
if not all(os.path.exists(path) for path in SPEC.tci["needs"]):
    pytest.skip("Deno is not installed: sh start.sh --with javascript", allow_module_level=True)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    kernel = Kernel(SPEC, tmp_path_factory.mktemp("k"))
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(started):
    started.raw()
    return started


def test_start_is_silent(started):
    assert started.raw() == ""
    assert started.run("typeof taken + typeof session + Object.getOwnPropertySymbols(globalThis).length")["result"]
    assert started.run("typeof session")["result"] == '"undefined"'


@pytest.mark.parametrize("code, result", [
    ("const a = 41; a + 1", "42"),
    ("const a = 1; a", "1"),  # declared again
    ("await Promise.resolve(7)", "7"),
    ("let n: number = 3; enum E { One, Two } n + E.Two", "4"),
    ("interface I { x: number }\nconst i: I = { x: 1 }; i", "{ x: 1 }"),
    ("'text'", '"text"'),
    ("10n ** 20n", "100000000000000000000n"),
    ("undefined", None),
    ("import { join as j } from 'node:path';\nimport * as p from \"node:path\"\nimport q from 'node:path'\n"
     "j('a', 'b') + p.join('c', 'd') + q.sep", '"a/bc/d/"'),
    ("import 'node:fs'; 1", "1"),
    ("Deno.writeTextFileSync('m.mjs', 'export default 9');\n0", "0"),
    ("import nine, * as all from './m.mjs'\nnine + all.default", "18"),
    ("const fs = require('fs'); fs.writeFileSync('c.cjs', 'module.exports = 6')\nrequire('./c.cjs') * 2", "12"),
    ("prompt('nobody is there')", "null"),
])
def test_values(kernel, code, result):
    answer = kernel.run(code)
    assert (answer["status"], answer["result"]) == ("ok", result)


@pytest.fixture(scope="module")
def modules(started):
    """Files to import."""
    for name, text in {"d.json": '{"six": 6}',
                       "m.ts": "export interface T { x: number }; export const seven = 7, type = 8; export default 9",
                       "side.mjs": "globalThis.sides = (globalThis.sides ?? 0) + 1"}.items():
        (started.workspace / name).write_text(text)


@pytest.mark.parametrize("code, result", [
    ('import d from "./d.json" with { type: "json" };\nd.six', "6"),
    ("import d, * as all from './d.json' with { type: 'json' }\nd.six + all.default.six", "12"),
    ('import { type T, seven } from "./m.ts";\nseven', "7"),
    ('import { seven as s, type T as U, type T } from "./m.ts";\nconst u: U = { x: s }; u.x', "7"),
    ('import nine, { type T } from "./m.ts";\nnine', "9"),
    ('import { type } from "./m.ts";\ntype', "8"),
    ('import { type as kind } from "./m.ts";\nkind', "8"),
])
def test_imports(kernel, modules, code, result):
    answer = kernel.run(code)
    assert (answer["status"], answer["result"]) == ("ok", result), kernel.raw()


@pytest.mark.parametrize("text", [
    "`\nimport './side.mjs'\n`", "`${`}`}\nimport './side.mjs'\n`", "`${{}}\nimport('./side.mjs')`", "\"import('./side.mjs')\"",
    "'\\\nimport \"./side.mjs\"\\\n'", "(/`/, `\nimport './side.mjs'\n`)",
])
def test_what_only_looks_like_an_import(kernel, modules, text):
    kernel.run("globalThis.sides = 0")
    answer = kernel.run(f"/*\nimport './side.mjs'\n*/ // import('./side.mjs')\n[({text}).includes('./side.mjs'), sides]")
    assert (answer["status"], answer["result"]) == ("ok", "[ true, 0 ]"), kernel.raw()


@pytest.mark.parametrize("code", [
    "/`/.test('')\nimport './side.mjs'\n/`/.test('')", "`${typeof await import('./side.mjs')}`", "if (1) /`/.test(1)\nimport './side.mjs'",
    "const a = `'`\nimport './side.mjs' // `", "1 / (await import('./side.mjs') && 2) / 3",
])
def test_imports_beside_what_looks_like_text(kernel, modules, code):
    kernel.run("globalThis.sides = 0")
    assert kernel.run(code.replace("side.mjs", f"side.mjs?{abs(hash(code))}"))["status"] == "ok", kernel.raw()
    assert kernel.run("sides")["result"] == "1"


@pytest.mark.parametrize("code, ename", [
    ("throw new TypeError('no')", "TypeError"),
    ("throw 5", "Uncaught"),
    ("nonsense", "ReferenceError"),
    ("function f( {", "SyntaxError"),
    ("Deno.exit(3)", "SystemExit"),
    ("await Promise.reject(new RangeError('no'))", "RangeError"),
    ("null.x", "TypeError"),
    ("class Odd extends Error { get message() { throw new Error('odd') } }; throw new Odd()", "Error"),
])
def test_errors(kernel, code, ename):
    kernel.run("kept = 41")
    assert kernel.run(code)["ename"] == ename
    assert kernel.run("kept + 1")["result"] == "42"


@pytest.mark.parametrize("end, status", [("return o", "ok"), ("throw o", "error"), ("return Promise.reject(o)", "error")])
def test_what_a_cell_ends_with_is_not_held(kernel, end, status):
    kernel.run("const collect = (require('node:v8').setFlagsFromString('--expose-gc'), require('node:vm').runInNewContext('gc'))")
    answer = kernel.run("(() => { const o = { error: new Error('no') }; globalThis.held = new WeakRef(o); %s; })()" % end)
    assert answer["status"] == status
    kernel.client.complete("held.deref().error.")
    for _ in range(3):
        kernel.run("await new Promise((done) => setTimeout(done, 1)); collect()")
    assert kernel.run("typeof held.deref()")["result"] == '"undefined"'


def test_stack_is_of_the_code_alone(kernel):
    kernel.run("function f() {\n  throw new Error('no')\n}\nf()")
    text = kernel.raw()
    assert text.startswith("Error: no\n    at f (") and "session.js" not in text and "ext:" not in text


@pytest.mark.parametrize("code", ["Promise.reject(new Error('late'))", "setTimeout(() => { throw new Error('late') }, 1)"])
def test_errors_that_nobody_awaits_are_told_and_survived(kernel, code):
    kernel.run(code + "\nawait new Promise((done) => setTimeout(done, 50))")
    assert "late" in kernel.raw()
    assert kernel.run("1")["result"] == "1"


def test_all_that_is_printed_is_there(kernel):
    for i in range(20):
        assert kernel.run(f"console.log('line {i}')")["status"] == "ok"
        assert kernel.raw() == f"line {i}\n"
    kernel.run("console.table([{ a: 1 }]); console.error('err'); new Deno.Command('echo', { args: ['child'], "
               "stdout: 'inherit' }).outputSync()")
    text = kernel.raw()
    assert "(idx)" in text and "err\n" in text and text.endswith("child\n")


def test_displays(kernel):
    assert kernel.run("await Deno.jupyter.display({ 'text/html': '<b>x</b>' }, { raw: true })")["types"] == [
        "status", "execute_input", "display_data", "status"]
    assert "execute_result" in kernel.run("Deno.jupyter.html`<b>${1}</b>`")["types"]
    picture = "new Uint8Array([0x89, 80, 78, 71, 13, 10, 26, 10])"
    assert kernel.run(f"Deno.jupyter.image({picture})")["images"] == [b"\x89PNG\r\n\x1a\n"]


def test_interrupt_of_what_waits_keeps_the_state(kernel):
    kernel.run("kept = 41")
    assert kernel.run("await new Promise((done) => setTimeout(done, 600000))", interrupt=kernel.interrupt)["ename"] == "KeyboardInterrupt"
    assert kernel.run("kept + 1")["result"] == "42"


def test_interrupt_of_what_computes_loses_it_and_says_so(kernel):
    answer = kernel.run("while (true);", interrupt=kernel.interrupt)
    assert answer["ename"] == "KeyboardInterrupt" and "lost" in answer["evalue"]
    assert kernel.run("1")["result"] == "1"


def test_completion(kernel):
    kernel.run("const longName = { inner: 1, innermost: 2 }; let called = 0; function sideEffect() { called = 1; return {} }")

    def complete(code):
        kernel.client.complete(code)
        while True:
            reply = kernel.client.get_shell_msg(timeout=30)
            if reply["msg_type"] == "complete_reply":
                return [code[:reply["content"]["cursor_start"]] + match for match in reply["content"]["matches"]]

    assert complete("longN") == ["longName"]
    assert complete("1 + longName.inner") == ["1 + longName.inner", "1 + longName.innermost"]
    assert "Math.max" in complete("Math.ma")
    assert complete("sideEffect().x") == [] and kernel.run("called")["result"] == "0"


def test_it_ends_with_its_kernel(tmp_path):
    kernel = Kernel(SPEC, tmp_path)
    pid = int(kernel.run("Deno.pid")["result"])
    kernel.close()  # by SIGKILL
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")
