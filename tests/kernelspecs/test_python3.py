"""kernelspecs/python3 by itself: the kernel as its kernel.json starts it, without worker and container."""

import time

import pytest
from lonekernel import PNG, UNDER_WAY, Kernel, Spec

SPEC = Spec("python3")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    kernel = Kernel(SPEC, tmp_path_factory.mktemp("k"))
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(started):
    yield started
    started.run("%reset -f")
    started.raw()


# The first two need the kernel as it is after its start.

def test_start_is_silent(started):
    assert started.raw() == ""


def test_namespace_is_ipythons_own(started):
    assert started.run("%who")["text"] == "Interactive namespace is empty.\n"
    names = started.run("sorted(n for n in dir() if not n.startswith('_'))")["result"]
    assert names == "['In', 'Out', 'exit', 'get_ipython', 'quit']"
    assert started.run("import sys; sys.argv, __name__")["result"] == "([''], '__main__')"
    assert started.run("get_ipython().execution_count")["result"] == "4"


def test_modules_of_the_workspace_are_found(kernel):
    (kernel.workspace / "mine.py").write_text("value = 7\n")
    assert kernel.run("import mine; mine.value")["result"] == "7"


def test_what_the_launcher_hid_is_there(kernel):
    for name in "debugpy", "jedi":
        found = kernel.run(f"import importlib.util; importlib.util.find_spec('{name}') is not None")
        assert found["status"] == "ok"
    assert kernel.run("import sys; 'prompt_toolkit' in sys.modules")["result"] == "False"
    assert kernel.run("from IPython import embed\nfrom IPython.terminal.embed import InteractiveShellEmbed as shell\n"
                      "callable(embed) and isinstance(shell, type)")["result"] == "True"


def test_output_below_sys_stdout(kernel):
    for code in ("import os; _ = os.write(1, b'one\\n')",
                 "import os; _ = os.system('echo one')",
                 "!echo one",
                 "word = 'one'\n!echo {word}",
                 "import sys; _ = sys.__stdout__.write('one\\n')",
                 "import ctypes; _ = ctypes.CDLL(None).puts(b'one')",
                 "import subprocess; _ = subprocess.run(['echo', 'one'])",
                 "import subprocess, sys; _ = subprocess.run(['echo', 'one'], stdout=sys.stdout)",
                 "import subprocess, sys; _ = subprocess.run('echo one >&2', shell=True, stderr=sys.stderr)"):
        answer = kernel.run(code)
        assert (answer["status"], answer["text"], kernel.raw()) == ("ok", "", "one\n"), code


def test_printed_text_is_sent_before_a_child_starts(kernel):
    for start in "os.system('true')", "subprocess.run('true')", "os.waitpid(os.fork() or os._exit(0), 0)":
        kernel.run("import os, subprocess")
        msg_id = kernel.client.execute(f"print('before', end='')\n_ = {start}\nprint('after', end='')")
        texts = []
        while True:
            msg = kernel.client.get_iopub_msg(timeout=60)
            if msg["msg_type"] == "stream":
                texts.append(msg["content"]["text"])
            if (msg["parent_header"].get("msg_id") == msg_id and msg["msg_type"] == "status"
                    and msg["content"]["execution_state"] == "idle"):
                break
        kernel.client.get_shell_msg(timeout=60)
        assert texts == ["before", "after"], start


@pytest.mark.parametrize("code", ["exit", "exit()", "quit()\nprint('not reached')", "import sys; sys.exit(1)"])
def test_exit_ends_the_code_only(kernel, code):
    kernel.run("kept = 1")
    answer = kernel.run(code)
    assert answer["ename"] == "SystemExit" and answer["text"] == ""
    time.sleep(0.3)
    assert kernel.run("kept")["result"] == "1"


def test_input_fails_at_once(kernel):
    assert kernel.run("input()")["ename"] == "StdinNotImplementedError"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)"])
def test_interrupt(kernel, code):
    assert kernel.run("print('begun', flush=True)\n" + code, interrupt=kernel.interrupt)["ename"] == "KeyboardInterrupt"
    time.sleep(UNDER_WAY)
    kernel.interrupt()  # while idle
    assert kernel.run("1")["result"] == "1"


def test_interrupt_between_receipt_and_run(kernel):
    kernel.run("def once(lines):\n    get_ipython().input_transformers_post.clear()\n    raise KeyboardInterrupt\n"
               "get_ipython().input_transformers_post.append(once)")
    answer = kernel.run("1")
    assert (answer["status"], answer["reply_ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.run("1")["result"] == "1"


def test_only_messages_that_say_something(kernel):
    assert kernel.run("kept = 1")["types"] == ["status"]
    assert kernel.run("kept")["types"] == ["execute_result", "status"]


@pytest.mark.parametrize("code", ["x = 'a\0b'", "\0", "x = 1\n\0\n"])
def test_nul_in_code(kernel, code):
    answer = kernel.run(code)
    assert (answer["status"], answer["reply_ename"]) == ("error", "ValueError")
    assert kernel.run("1")["result"] == "1"


def test_lone_surrogates(kernel):
    answer = kernel.run("raise ValueError('\\ud800')")
    assert answer["ename"] == answer["reply_ename"] == "ValueError"
    assert kernel.run("print('a\\ud800b')")["text"] == "a\ud800b\n"
    assert kernel.run("print('a\\udc80b')")["text"] == "a\udc80b\n"
    answer = kernel.run("class Odd:\n    def __repr__(self): return '\\udfff'\nOdd()")
    assert answer["result"] == "\udfff"
    assert kernel.run("1")["result"] == "1" and kernel.raw() == ""


@pytest.mark.parametrize("code, ename", [
    ("sys.stdout = None", None),
    ("sys.stdout = None; 1 / 0", "ZeroDivisionError"),
    ("sys.stderr = None; 1 / 0", "ZeroDivisionError"),
    ("sys.stdout.close()", None),
    ("sys.stdout.close(); sys.stderr.close(); 1 / 0", "ZeroDivisionError"),
    ("del sys.stdout, sys.stderr", None),
    ("f = open('f', 'w'); sys.stdout = f; f.close()", None),
    ("class Bad:\n    def flush(self): raise SystemExit\nsys.stdout = sys.stderr = Bad()", None),
    ("sys.excepthook = None; 1 / 0", "ZeroDivisionError"),
    ("sys.displayhook = None; 5", "TypeError"),
    ("del builtins.len", "NameError"),
    ("del builtins.len; 1 / 0", None),
    ("del builtins.getattr, builtins.super", None),
    ("builtins.isinstance = None", "TypeError"),
    ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "ValueError"),
    ("class E(Exception):\n    def __str__(self): return 5\nraise E", "TypeError"),
    ("class M(type):\n    __name__ = property(lambda self: 1 / 0)\n"
     "class E(Exception, metaclass=M): pass\nraise E", "ZeroDivisionError"),
    ("raise SystemExit(3)", "SystemExit"),
    ("raise GeneratorExit", "GeneratorExit"),
    ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    ("def f(): f()\nf()", "RecursionError"),
])
def test_answer_whatever_the_code_does(kernel, code, ename):
    answer = kernel.run("import builtins, sys\n" + code)
    if ename:
        assert (answer["status"], answer["reply_ename"]) == ("error", ename)
    answer = kernel.run("import sys\nprint('out', len('abc'))\nprint('err', file=sys.stderr)")
    assert sorted(answer["text"].splitlines()) == ["err", "out 3"]
    assert kernel.run("1 / 0")["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize("code", [
    "for task in asyncio.all_tasks(): task.cancel()",
    "_ = asyncio.get_event_loop().call_soon(lambda: [task.cancel() for task in asyncio.all_tasks()])",
])
def test_code_that_cancels_all_tasks(kernel, code):
    for _ in range(2):
        assert kernel.run("import asyncio\n" + code)["status"] == "ok"
        assert kernel.run("await asyncio.sleep(0.01); 42")["result"] == "42"
    failing = "async def fail(): 1 / 0\nasync with asyncio.TaskGroup() as group: _ = group.create_task(fail())"
    assert kernel.run(failing)["ename"] == "ExceptionGroup"


def test_streams_put_back_in_a_later_cell(kernel):
    kernel.run("import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nprint('kept')")
    answer = kernel.run("kept, sys.stdout = sys.stdout.getvalue(), old\nprint('seen', kept, end='')")
    assert answer["text"] == "seen kept\n"


def test_patched_builtins_stay(kernel):
    kernel.run("import builtins\nbuiltins.ord, old = (lambda c: -1), builtins.ord")
    assert kernel.run("1 / 0")["ename"] == "ZeroDivisionError"
    assert kernel.run("ord('a')")["result"] == "-1"
    kernel.run("builtins.ord = old")


def test_input_transformers_of_the_user(kernel):
    kernel.run("def six(lines): return [line.replace('?six?', '6') for line in lines]\n"
               "transformers = get_ipython().input_transformers_post\ntransformers.append(six)")
    assert kernel.run("(\n?six?)")["result"] == "6"
    kernel.run("transformers.remove(six)")
    assert kernel.run("(\n?six?)")["ename"] == "SyntaxError"


@pytest.mark.parametrize("flush", [True, False])
def test_all_that_is_printed_is_there(kernel, flush):
    kernel.run("import time")
    for pause in 0, 0.1995, 0.2, 0.2005, 0.25:  # ipykernel's own timer flushes after 0.2 s
        assert kernel.run(f"print('xxx', flush={flush})\ntime.sleep({pause})")["text"] == "xxx\n"


@pytest.mark.parametrize("code", ["print('abcdefghij' * 60000, end='')",
                                  "for _ in range(600): print('abcdefghij' * 100, end='')",
                                  "import sys; sys.stdout.write('abcdefghij' * 60000); None"])
def test_long_output_comes_in_pieces(kernel, code):
    answer = kernel.run(code)
    assert answer["text"] == "abcdefghij" * 60000
    assert answer["types"].count("stream") > 1
    assert kernel.run("print('z' * 60_000_000)")["types"].count("stream") <= 101


def test_long_error_is_cut(kernel):
    answer = kernel.run("raise ValueError('x' * 3_000_000)")
    assert answer["reply_ename"] == "ValueError" and answer["reply_size"] < 1_000_000


def test_history_without_a_database(kernel):
    kernel.run("first_of_all = 1")
    assert "first_of_all = 1" in kernel.run("%history")["text"]
    assert kernel.run("_i")["result"] == "'%history'"
    assert kernel.run("_, len(In) > 2")["result"] == "('%history', True)"
    assert not list(kernel.home.rglob("*.sqlite"))


@pytest.mark.parametrize("code", ["plt.plot([1, 2]);", "plt.plot([1, 2]); plt.show()"])
def test_plot_without_set_up(kernel, code):
    answer = kernel.run("import matplotlib.pyplot as plt\n" + code)
    assert len(answer["images"]) == 1 and answer["images"][0].startswith(PNG)
    assert answer["text"] == "" and kernel.raw() == ""


def test_wide_scripts_have_glyphs(kernel):
    for text in "简体 繁體", "ひらがな カタカナ", "한국어", "Ελληνικά Русский é − ≤":
        answer = kernel.run("import warnings; warnings.simplefilter('error')\n"
                            "import matplotlib.pyplot as plt\n"
                            f"plt.title('{text}', fontweight='bold'); plt.plot([-1, 1], label='{text}')\n"
                            "plt.legend(); plt.show()")
        assert (answer["ename"], answer["text"], kernel.raw()) == (None, "", "")
        assert len(answer["images"]) == 1


def snapshot(top):
    return {path: path.stat().st_mtime_ns for path in top.rglob("*")}


def test_prepare_is_quick_and_repairs(tmp_path):
    skel = tmp_path / "skel"
    SPEC.prepare(skel)
    before = snapshot(skel)
    SPEC.prepare(skel)
    assert snapshot(skel) == before
    assert all(path.stat().st_mode & 0o005 == 0o005 for path in skel.rglob("*") if path.is_dir())
    assert all(path.stat().st_mode & 0o004 for path in skel.rglob("*"))
    (skel / ".cache" / "prepared").write_text("of other fonts")
    (skel / ".config" / "matplotlib" / "matplotlibrc").unlink()
    SPEC.prepare(skel)
    assert set(snapshot(skel)) == set(before)


def test_requests_that_wait_while_one_is_answered(kernel):
    """A reply that is sent must not hide that the next request has come."""
    for pause in range(30):
        ids = {kernel.client.execute(f"import time; time.sleep({pause / 10000})", allow_stdin=False) for _ in range(10)}
        while ids:
            ids.discard(kernel.client.get_shell_msg(timeout=30)["parent_header"]["msg_id"])
