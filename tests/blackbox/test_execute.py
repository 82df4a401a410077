"""test_execute.py - POST /execute: what code shows and how the answer is composed of it."""
import base64
import concurrent.futures
import io
import re

import pytest
from PIL import Image

import harness

FIELDS = {"result_text", "result_base64", "images", "displays", "execution_count", "duration_ms", "restarted",
          "truncated", "error"}


def pictures(answer):
    """Every image of an answer, opened, after checking how the fields fit together."""
    found = []
    for image in answer["images"]:
        assert image["type"] == "image/png"
        picture = Image.open(io.BytesIO(base64.b64decode(image["data"], validate=True)))
        picture.load()
        assert picture.format == "PNG"
        found.append(picture.convert("RGB"))
    assert answer["result_base64"] == (answer["images"][-1]["data"] if found else None)
    return found


def colour(picture):
    return picture.getpixel((picture.width // 2, picture.height // 2))


PNG_OF = """
import base64 as _b, struct as _s, zlib as _z
from IPython.display import Image, display
def png_of(r, g, b):
    def chunk(kind, data):
        return _s.pack('>I', len(data)) + kind + data + _s.pack('>I', _z.crc32(kind + data))
    return Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', _s.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))
                 + chunk(b'IDAT', _z.compress(bytes([0, r, g, b]))) + chunk(b'IEND', b''))
"""


# ------------------------------------------------------------------------------------------------ composition


def test_answer_has_exactly_the_documented_fields(gateway, user):
    answer = gateway.run(user, "1")
    assert set(answer) == FIELDS
    assert answer["restarted"] is False and answer["truncated"] is False


@pytest.mark.parametrize("code, text", [
    ("x = 1", None),
    ("", None),
    ("# nothing but a comment", None),
    ("   \n\n", None),
    ("None", None),
    ("1 + 1", "2"),
    ("1 + 1;", None),
    ("'a'", "'a'"),
    ("print('a')", "a\n"),
    ("print('a', end='')", "a"),
    ("print('a')\n2", "a\n2"),
    ("print('a')\nprint('b')", "a\nb\n"),
    ("import sys\nprint('e', file=sys.stderr)", "e\n"),
    ("for i in range(3): print(i)", "0\n1\n2\n"),
    ("1\n2\n3", "3"),
])
def test_text(gateway, user, code, text):
    answer = gateway.ok(user, code)
    assert answer["result_text"] == text
    assert answer["result_base64"] is None and answer["images"] == [] and answer["displays"] == []


def test_stdout_and_stderr_in_order(gateway, user):
    code = ("import sys\n"
            "for i in range(5):\n"
            "    print('out', i, flush=True)\n"
            "    print('err', i, file=sys.stderr, flush=True)\n"
            "'last'")
    expected = "".join(f"out {i}\nerr {i}\n" for i in range(5)) + "'last'"
    assert gateway.text(user, code) == expected


def test_state_across_calls(gateway, user):
    gateway.ok(user, "import math\na = 100\ndef f(x):\n    return math.sqrt(x) + a")
    gateway.ok(user, "class C:\n    n = 3")
    assert gateway.text(user, "f(9) + C.n") == "106.0"
    gateway.ok(user, "a += 1")
    assert gateway.text(user, "print(f'The value of a is {a}')") == "The value of a is 101\n"
    assert gateway.text(user, "_ = None\na") == "101"


def test_users_have_sessions_of_their_own(gateway, users):
    a, b = users(gateway), users(gateway)
    gateway.ok(a, "x = 'of a'")
    answer = gateway.run(b, "x")
    assert answer["error"]["ename"] == "NameError"
    assert gateway.text(a, "x") == "'of a'"


def test_execution_count(gateway, user):
    assert [gateway.ok(user, "1")["execution_count"] for _ in range(3)] == [1, 2, 3]
    assert gateway.run(user, "1/0")["execution_count"] == 4
    assert gateway.text(user, "In[1]") == "'1'"


def test_duration(gateway, user):
    answer = gateway.ok(user, "import time; time.sleep(0.5)")
    assert 500 <= answer["duration_ms"] < 60000
    assert gateway.ok(user, "1")["duration_ms"] >= 0


# ------------------------------------------------------------------------------------------------------- errors


def test_exception(gateway, user):
    answer = gateway.run(user, "print('before')\n1/0")
    text, error = answer["result_text"], answer["error"]
    assert text.startswith("before\n")
    assert "Traceback" in text and "ZeroDivisionError: division by zero" in text and "\x1b" not in text
    assert error["ename"] == "ZeroDivisionError" and error["evalue"] == "division by zero"
    assert set(error) == {"ename", "evalue", "traceback"}
    assert all(isinstance(line, str) for line in error["traceback"])
    coloured = "\n".join(error["traceback"])
    assert "\x1b[" in coloured
    assert harness.plain(coloured) in text
    assert answer["result_base64"] is None


def test_state_survives_an_exception(gateway, user):
    gateway.ok(user, "a = 5")
    gateway.run(user, "a = 6\nraise ValueError('no')")
    assert gateway.text(user, "a") == "6"


@pytest.mark.parametrize("code, ename", [
    ("def", "SyntaxError"),
    ("  x = 1\n y = 2", "IndentationError"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("raise SystemExit(3)", "SystemExit"),
    ("import sys; sys.exit()", "SystemExit"),
    ("raise Exception", "Exception"),
    ("def f(): f()\nf()", "RecursionError"),
    ("raise BaseException('x')", "BaseException"),
    ("import no_such_module", "ModuleNotFoundError"),
    ("assert False, 'no'", "AssertionError"),
])
def test_exceptions_leave_the_session_alive(gateway, user, code, ename):
    gateway.ok(user, "kept = 'yes'")
    answer = gateway.run(user, code)
    assert answer["error"]["ename"] == ename
    assert answer["error"]["ename"] in answer["result_text"]
    again = gateway.ok(user, "kept")
    assert again["result_text"] == "'yes'" and again["restarted"] is False


def test_long_message_of_an_exception(gateway, user):
    """As long as an error may be: its head is kept, and what is cut falls between characters."""
    answer = gateway.run(user, "raise ValueError('é' * 1_000_000)")
    evalue = answer["error"]["evalue"]
    assert len(evalue) > 1000 and set(evalue.rstrip(".…")) == {"é"}
    assert gateway.run(user, "raise ValueError('é' * 1000)")["error"]["evalue"] == "é" * 1000


@pytest.mark.parametrize("code", ["exit()", "quit()"])
def test_exit_of_ipython_ends_the_session_cleanly(gateway, user, code):
    """exit() asks the kernel to end: that call is answered, and the next ones find a session again."""
    gateway.ok(user, "kept = 1")
    assert gateway.execute(user, code).status_code in (200, 503)

    def works():
        answer = gateway.execute(user, "print('alive')")
        return answer.status_code == 200 and answer.json()["result_text"] == "alive\n"

    harness.eventually(works, 60, "the user has a working session again")


def test_input_fails_at_once(gateway, user):
    answer = gateway.run(user, "name = input('who? ')", timeout=20)
    assert "StdinNotImplementedError" in answer["error"]["ename"]
    assert "input" in answer["error"]["evalue"]
    answer = gateway.run(user, "import getpass; getpass.getpass()", timeout=20)
    assert answer["error"] is not None
    assert gateway.text(user, "1") == "1"


def test_reading_stdin_is_at_its_end(gateway, user):
    assert gateway.text(user, "import os; os.read(0, 10)", timeout=20) == "b''"
    code = "import subprocess; print(subprocess.run(['cat'], capture_output=True, timeout=10).stdout)"
    assert gateway.text(user, code, timeout=20) == "b''\n"


# ----------------------------------------------------------------------------------------------------- pictures


def test_plot_with_show(gateway, user):
    answer = gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.title('t')\nplt.show()")
    (picture,) = pictures(answer)
    assert picture.width > 100 and picture.height > 100
    assert len(picture.getcolors(1 << 24)) > 2
    assert answer["result_text"] is None


def test_plot_without_show_or_any_setup(gateway, user):
    answer = gateway.ok(user, "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2, 3])")
    assert len(pictures(answer)) == 1


def test_plot_as_last_expression_comes_with_its_text(gateway, user):
    answer = gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])")
    assert len(pictures(answer)) == 1
    assert "Line2D" in answer["result_text"]


def test_several_plots(gateway, user):
    code = ("import matplotlib.pyplot as plt\n"
            "for c in ('red', 'lime', 'blue'):\n"
            "    plt.figure().add_axes([0, 0, 1, 1]).set_facecolor(c)\n"
            "    plt.show()\n"
            "    print(c)")
    answer = gateway.ok(user, code)
    assert [colour(p) for p in pictures(answer)] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert answer["result_text"] == "red\nlime\nblue\n"


def test_plots_do_not_leak_into_the_next_call(gateway, user):
    gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1]);")
    assert pictures(gateway.ok(user, "1")) == []


def test_figure_object_as_value(gateway, user):
    code = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.close(fig)\nfig"
    assert len(pictures(gateway.ok(user, code))) == 1


def test_plot_before_an_exception(gateway, user):
    answer = gateway.run(user, "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n1/0")
    assert len(pictures(answer)) == 1
    assert answer["error"]["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize("characters", ["你好世界", "日本語かな", "한국어가"])
def test_wide_scripts_render(gateway, user, characters):
    """No warning about missing glyphs, and two different characters give two different pictures."""
    code = ("import matplotlib.pyplot as plt\n"
            "def glyph(c):\n"
            "    plt.subplots(figsize=(2, 2))[1].text(0.2, 0.3, c, fontsize=60); plt.show()\n")
    gateway.ok(user, code)
    answer = gateway.ok(user, f"for c in {characters!r}: glyph(c)")
    assert answer["result_text"] is None, "a warning about a missing glyph"
    found = [picture.tobytes() for picture in pictures(answer)]
    assert len(found) == len(characters)
    assert len(set(found)) == len(found), "different characters look the same"


def test_wide_scripts_in_titles_and_labels(gateway, user):
    code = ("import matplotlib.pyplot as plt\n"
            "plt.plot([-1, 2]); plt.title('销售额'); plt.xlabel('时间'); plt.ylabel('−5 ¥'); plt.show()")
    answer = gateway.ok(user, code)
    assert answer["result_text"] is None and len(pictures(answer)) == 1


def test_pillow_image_is_a_picture(gateway, user):
    answer = gateway.ok(user, "from PIL import Image\nImage.new('RGB', (8, 8), (1, 2, 3))")
    (picture,) = pictures(answer)
    assert colour(picture) == (1, 2, 3)


def test_update_display_data_replaces_in_place(gateway, user):
    gateway.ok(user, PNG_OF)
    answer = gateway.ok(user, "h = display(png_of(255, 0, 0), display_id=True)\n"
                              "display(png_of(0, 255, 0))\n"
                              "h.update(png_of(0, 0, 255))")
    assert [colour(p) for p in pictures(answer)] == [(0, 0, 255), (0, 255, 0)]


def test_displays_without_a_picture(gateway, user):
    answer = gateway.ok(user, "from IPython.display import HTML, display\n"
                              "display('first')\ndisplay(HTML('<b>x</b>'))\nprint('text')")
    assert answer["displays"] == ["'first'", "<IPython.core.display.HTML object>"]
    assert answer["result_text"] == "text\n"


def test_clear_output(gateway, user):
    answer = gateway.ok(user, "from IPython.display import clear_output\n"
                              "print('a')\nclear_output()\nprint('b')")
    assert answer["result_text"] == "b\n"


def test_clear_output_takes_pictures_too(gateway, user):
    gateway.ok(user, PNG_OF)
    answer = gateway.ok(user, "from IPython.display import clear_output\n"
                              "display(png_of(255, 0, 0))\nclear_output()\ndisplay(png_of(0, 0, 255))")
    assert [colour(p) for p in pictures(answer)] == [(0, 0, 255)]


def test_clear_output_that_waits(gateway, user):
    code = ("from IPython.display import clear_output\nimport sys\n"
            "print('a'); sys.stdout.flush()\nclear_output(wait=True)\n")
    assert gateway.ok(user, code + "print('b')")["result_text"] == "b\n"
    assert gateway.ok(user, code)["result_text"] == "a\n"


def test_dataframe(gateway, user):
    answer = gateway.ok(user, "import pandas as pd\npd.DataFrame({'name': ['a', 'b'], 'n': [1, 2]})")
    assert answer["result_text"].split() == ["name", "n", "0", "a", "1", "1", "b", "2"]
    assert answer["images"] == []


def test_dataframe_with_wide_text(gateway, user):
    answer = gateway.ok(user, "import pandas as pd\npd.DataFrame({'城市': ['北京', '上海']})")
    assert "北京" in answer["result_text"]


# ------------------------------------------------------------------------- children, descriptors, threads, async


def test_output_of_a_child_process(gateway, user):
    code = "import subprocess\nsubprocess.run(['echo', 'from a child'], check=True).returncode"
    text = gateway.text(user, code)
    assert text.count("from a child\n") == 1
    assert sorted(text.splitlines()) == ["0", "from a child"]


def test_error_output_of_a_child_process(gateway, user):
    text = gateway.text(user, "import subprocess\n_ = subprocess.run('echo out; echo err >&2', shell=True)")
    assert sorted(text.splitlines()) == ["err", "out"]


def test_output_of_descriptors(gateway, user):
    assert gateway.text(user, "import os\n_ = os.write(1, b'one\\n')") == "one\n"
    assert gateway.text(user, "import os\n_ = os.write(2, b'two\\n')") == "two\n"


def test_output_of_a_shell_command(gateway, user):
    answer = gateway.ok(user, "!echo hello; echo more")
    assert answer["result_text"].replace("\r\n", "\n") == "hello\nmore\n"
    assert gateway.text(user, "x = !echo captured\nprint(list(x))") == "['captured']\n"


def test_os_system(gateway, user):
    text = gateway.text(user, "import os\nos.system('echo via system')")
    assert sorted(text.splitlines()) == ["0", "via system"]


def test_output_of_descriptors_belongs_to_its_own_call(gateway, user):
    """What was written before a cell ended is in that cell's answer, each time."""
    gateway.ok(user, "import os")
    for i in range(40):
        assert gateway.text(user, f"_ = os.write(1, b'raw {i}\\n')") == f"raw {i}\n"


def test_descriptors_and_print_in_order_of_time(gateway, user):
    gap = min(4, harness.slack())
    code = ("import os, time\n"
            "for i in range(2):\n"
            f"    os.write(1, b'raw %d\\n' % i); time.sleep({gap})\n"
            f"    print('print', i, flush=True); time.sleep({gap})\n")
    assert gateway.text(user, code) == "".join(f"raw {i}\nprint {i}\n" for i in range(2))


def test_large_output_of_a_child(gateway, user):
    text = gateway.text(user, "import subprocess\n_ = subprocess.run(['seq', '1', '100000'])")
    assert text == "".join(f"{i}\n" for i in range(1, 100001))


def test_invalid_bytes_from_a_descriptor(gateway, user):
    assert gateway.text(user, "import os\n_ = os.write(1, b'a\\xff\\xfeb\\n')") in ("a\ufffd\ufffdb\n", "a\ufffdb\n")


def test_characters_split_over_two_writes(gateway, user):
    code = ("import os, time\nraw = '你好€😀'.encode()\n"
            "for i in range(len(raw)):\n    os.write(1, raw[i:i + 1]); time.sleep(0.01)")
    assert gateway.text(user, code) == "你好€😀"


def test_thread_printing_between_executions(gateway, user):
    """It disturbs neither the session nor any answer's structure, and stops when told."""
    gateway.ok(user, "import threading, time\nrun = True\n"
                     "def talk():\n    while run:\n        print('noise'); time.sleep(0.01)\n"
                     "t = threading.Thread(target=talk); t.start()")
    for i in range(20):
        answer = gateway.ok(user, f"{i}")
        assert answer["execution_count"] == i + 2
        assert str(i) in answer["result_text"].replace("noise\n", "")
    gateway.ok(user, "run = False; t.join()")
    assert gateway.text(user, "'quiet'") == "'quiet'"


def test_thread_that_ends_within_the_call(gateway, user):
    code = ("import threading\nts = [threading.Thread(target=print, args=(f'{i}\\n',), kwargs={'end': ''})\n"
            "      for i in range(8)]\n"
            "for t in ts: t.start()\nfor t in ts: t.join()")
    assert sorted(gateway.text(user, code).split()) == [str(i) for i in range(8)]


def test_top_level_await(gateway, user):
    code = ("import asyncio\nasync def f(x):\n    await asyncio.sleep(0.05)\n    return x * 2\n"
            "print(await asyncio.gather(f(1), f(2)))\nawait f(21)")
    assert gateway.text(user, code) == "[2, 4]\n42"


def test_multiprocessing(gateway, user):
    code = "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, -2, 3]))"
    assert gateway.text(user, code) == "[1, 2, 3]\n"


def test_numpy(gateway, user):
    assert gateway.text(user, "import numpy as np\nprint((np.arange(9).reshape(3, 3) @ np.eye(3)).sum())") == "36.0\n"


# ------------------------------------------------------------------------------------------------------- magics


def test_magics(gateway, user):
    assert re.search(r"per loop", gateway.text(user, "%timeit -n 1 -r 1 1 + 1"))
    assert "2" in gateway.text(user, "%%time\nprint(2)")
    assert gateway.text(user, "%pwd") == "'/workspace'"
    assert gateway.text(user, "%%bash\necho from bash") == "from bash\n"
    assert gateway.text(user, "%%capture out\nprint('x')") is None
    assert gateway.text(user, "out.stdout") == "'x\\n'"
    assert gateway.run(user, "%no_such_magic")["result_text"] is not None
    assert gateway.text(user, "1") == "1"


def test_writefile_and_read_back(gateway, user):
    gateway.ok(user, "%%writefile note.txt\nline 你好")
    assert gateway.text(user, "print(open('/workspace/note.txt').read(), end='')") == "line 你好\n"


def test_module_written_by_the_user_is_importable(gateway, user):
    gateway.ok(user, "open('mine.py', 'w').write('VALUE = 7\\n');")
    assert gateway.text(user, "import mine; mine.VALUE") == "7"


# ------------------------------------------------------------------------------------------- awkward characters


@pytest.mark.parametrize("text", ["ünïcödé", "你好，世界", "😀👩‍👩‍👧‍👦", "\u202eright to left", "tab\tand\x0bmore", "\x01\x02\x1b[31mred\x1b[0m",
                                  "quote \" back \\ slash", "\ufeffbom", "\U0010ffff", "</script>"])
def test_characters_go_and_come_back(gateway, user, text):
    assert gateway.text(user, f"print({text!r}, end='')") == text
    assert gateway.text(user, f"s = '''{text}'''".replace("\\", "\\\\").replace('"', '\\"') + "\nprint(s, end='')") == text


def test_nul_in_output(gateway, user):
    assert gateway.text(user, "print('a\\0b', end='')") == "a\0b"
    assert gateway.text(user, "import os\n_ = os.write(1, b'a\\0b\\n')") == "a\0b\n"


def test_nul_in_code(gateway, user):
    answer = gateway.execute(user, "x = 'a\0b'\nlen(x)")
    if answer.status_code == 200:  # the kernel was asked and may dislike it, but must have seen all of it
        assert answer.json()["error"] is not None or answer.json()["result_text"] == "3"
    else:
        assert answer.status_code == 400 and answer.json()["field"] == "code"
    assert gateway.text(user, "1") == "1"


def test_lone_surrogates_in_output(gateway, user):
    """Such text cannot be UTF-8: whatever is shown of it, the call ends and the session goes on."""
    gateway.ok(user, "kept = 1")
    assert gateway.execute(user, "print('a\\ud800b')", timeout=20).status_code == 200
    assert gateway.execute(user, "'\\udcff'", timeout=20).status_code == 200
    assert gateway.execute(user, "raise ValueError('\\ud800')", timeout=20).status_code == 200
    again = gateway.ok(user, "kept")
    assert again["result_text"].strip().endswith("1") and again["restarted"] is False


def test_not_a_number_in_display_data(gateway, user):
    code = ("from IPython.display import display\n"
            "display({'application/json': {'x': float('nan')}, 'text/plain': 'n'}, raw=True)")
    assert gateway.execute(user, code).status_code == 200
    assert gateway.text(user, "float('nan')") == "nan"


def test_carriage_returns_are_kept(gateway, user):
    assert gateway.text(user, "print('10%\\r20%\\r\\n', end='')") == "10%\r20%\r\n"


# ------------------------------------------------------------------------------------------------------- timing


def test_timeout_of_a_request(gateway, user):
    gateway.ok(user, "import time")
    assert gateway.ok(user, "time.sleep(0.3)", timeout=20)
    answer = gateway.execute(user, "time.sleep(60)", timeout=1)
    assert answer.status_code == 504 and answer.json()["detail"]


@pytest.mark.parametrize("timeout", [0.001, 0.5, 1, 29.5, 30])
def test_timeouts_that_are_allowed(gateway, user, timeout):
    gateway.ok(user, "1")
    answer = gateway.execute(user, "1", timeout=timeout)
    assert answer.status_code in ((200,) if timeout > 1 else (200, 504))


def test_many_calls_in_a_row(gateway, user):
    gateway.ok(user, "a = 0")
    for i in range(1, 101):
        assert gateway.text(user, "a += 1\nprint(a)") == f"{i}\n"


def test_many_users_at_once(gateway, users):
    """Eight users with state of their own at the same time: no answer goes to another."""
    names = [users(gateway) for _ in range(8)]
    for name in names:
        gateway.ok(name, "1")

    def work(n):
        gateway.ok(names[n], f"mine = {n}; count = 0")
        return [gateway.text(names[n], "count += 1\nprint(mine, count)") for _ in range(15)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        results = list(threads.map(work, range(8)))
    for n, lines in enumerate(results):
        assert lines == [f"{n} {i}\n" for i in range(1, 16)]


# ------------------------------------------------------------------------------------- messages that do not fit


def dropped(gateway, reason):
    return gateway.metrics()[f'tci_kernel_messages_dropped_total{{reason="{reason}"}}']


def test_wrongly_signed_messages_are_dropped(gateway, user):
    """A kernel whose signatures do not fit is not believed; it is replaced, and the user told."""
    gateway.ok(user, "kept = 1")
    before = dropped(gateway, "invalid")
    code = "get_ipython().kernel.session.key = b'another key'\nprint('forged')"
    answer = gateway.execute(user, code, timeout=5)
    assert answer.status_code in (503, 504) and "forged" not in answer.text
    assert dropped(gateway, "invalid") > before
    answer = gateway.ok(user, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is True


def test_messages_with_a_foreign_parent_are_dropped(gateway, user):
    before = dropped(gateway, "stray")
    code = ("k = get_ipython().kernel\n"
            "parent = k.session.msg('execute_request')\n"
            "k.session.send(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'stray'}, parent=parent)\n"
            "k.session.send(k.iopub_socket, 'status', {'execution_state': 'idle'}, parent=parent)\n"
            "k.session.send(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'no parent'})\n"
            "import time; time.sleep(0.3)\n"
            "print('real')")
    assert gateway.text(user, code) == "real\n"
    assert dropped(gateway, "stray") >= before + 1
    assert gateway.text(user, "1") == "1"


@pytest.mark.parametrize("content", [
    "{'name': 5, 'text': 7}", "{'name': 'stdout'}", "{'text': ['a']}", "{}", "{'name': 'stdout', 'text': None}",
    "{'name': 'stdout', 'text': {'deep': [[[[[[1]]]]]]}}",
])
def test_messages_of_a_wrong_shape_are_harmless(gateway, user, content):
    code = ("k = get_ipython().kernel\n"
            f"for kind in ('stream', 'execute_result', 'display_data', 'update_display_data', 'clear_output', 'error', 'status', 'x'):\n"
            f"    k.session.send(k.iopub_socket, kind, {content}, parent=k.get_parent('shell'))\n"
            "print('real')")
    answer = gateway.execute(user, code, timeout=20)
    assert answer.status_code == 200
    assert "real\n" in (answer.json()["result_text"] or "")
    assert gateway.text(user, "1") == "1"


def test_pictures_that_are_none(gateway, user):
    """Data under the name of a PNG that is not base64 is no image of the answer, or at least nothing breaks."""
    code = ("from IPython.display import publish_display_data\n"
            "publish_display_data({'image/png': '%%% not base64 %%%', 'text/plain': 'a'})\n"
            "publish_display_data({'image/png': 12, 'text/plain': 'b'})\n"
            "publish_display_data({'text/plain': ['c', 'd']})\n"
            "print('after')")
    answer = gateway.ok(user, code)
    assert "after\n" in answer["result_text"]
    for image in answer["images"]:
        base64.b64decode(image["data"], validate=True)
