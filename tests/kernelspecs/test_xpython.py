"""kernelspecs/xpython by itself: what its kernel.json adds to the xpython that is installed."""

import os
import pathlib
import tempfile

import pytest
from lonekernel import PNG, Kernel, Spec

if not os.access("/usr/bin/xpython", os.X_OK):
    pytest.skip("xpython is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def kernel():
    with tempfile.TemporaryDirectory(prefix="xpython") as top:  # xpython fails on a path with a hyphen
        kernel = Kernel(Spec("xpython"), pathlib.Path(top))
        kernel.raw()  # how it is, and where
        yield kernel
        kernel.close()


def test_start_leaves_no_names(kernel):
    assert kernel.run("%who_ls")["result"] == "[]"


def test_state(kernel):
    kernel.run("a = 41")
    assert kernel.run("a + 1")["result"] == "42"


def test_error(kernel):
    answer = kernel.run("1 / 0")
    assert answer["status"] == "error" and "ZeroDivisionError" in answer["ename"]


@pytest.mark.parametrize("code", ["exit()", "quit()", "import sys; sys.exit(1)"])
def test_exit_ends_the_code_only(kernel, code):
    kernel.run("kept = 1")
    answer = kernel.run(code)
    assert "SystemExit" in answer["ename"]
    assert kernel.run("kept")["result"] == "1"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)"])
def test_interrupt_ends_the_code_only(kernel, code):
    kernel.run("kept = 1")
    assert "KeyboardInterrupt" in kernel.run("print('begun', flush=True)\n" + code, interrupt=kernel.interrupt)["ename"]
    assert kernel.run("kept")["result"] == "1"


def test_shell_command(kernel):
    assert kernel.run("!echo one")["text"] + kernel.raw() == "one\n"


def test_plot(kernel):
    answer = kernel.run("import matplotlib.pyplot as plt\nplt.title('简体 한국어'); plt.plot([1, 2]); plt.show()")
    assert len(answer["images"]) == 1 and answer["images"][0].startswith(PNG)
    assert answer["text"] == "" and kernel.raw() == ""
