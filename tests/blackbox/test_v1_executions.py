"""test_v1_executions.py - executions of /v1: answers, input, interrupts, history, tests with rewards, questions to the kernel.

Every answer is also held against web/openapi.json (openapi.py).
"""
import base64
import concurrent.futures
import contextlib
import os
import re
import threading
import time

import httpx
import pytest

import harness
from executions import Session
from harness import eventually

DISPLAYS = """
from IPython.display import display, HTML, SVG, Latex, Markdown, JSON
"""


@pytest.fixture
def session(gateway):
    one = Session(gateway)
    yield one
    one.close()


def error(answer, status, code, field=None):
    assert answer.status_code == status, answer.text
    said = answer.json()["error"]
    assert said["code"] == code and said.get("field") == field, said
    return said


# ----------------------------------------------------------------------------------------------------------- answers


def test_streams_and_result(session):
    answer = session.ok("import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')\n[1, {'x': 2}, None][:1]")
    assert re.fullmatch("x-[0-9a-f]{32}", answer["id"]) and answer["session_id"] == session.id
    assert (answer["stdout"], answer["stderr"]) == ("a\nc\n", "b\n")
    assert answer["result"] == {"text": "[1]", "value": [1]}
    assert answer["error"] is None and answer["truncated"] is False and answer["restarted"] is False
    assert answer["execution_count"] == 1 and answer["duration_ms"] > 0
    assert "".join(o["text"] for o in answer["outputs"] if o["type"] == "stdout") == "a\nc\n"
    assert answer["outputs"][-1]["type"] == "result"


@pytest.mark.parametrize("code, text, value", [
    ("1 + 1", "2", 2), ("1.5", "1.5", 1.5), ("'a'", "'a'", ...), ("None", ..., ...), ("True", "True", ...),
    ("{'a': [1]}", "{'a': [1]}", ...), ("x = 1", ..., ...), ("float('nan')", "nan", ...),
])
def test_value_of_the_last_expression(session, code, text, value):
    result = session.ok(code)["result"]
    if text is ...:
        assert result is None
    else:
        assert result["text"] == text and result.get("value", ...) == value


def test_displays_in_order_with_complete_bundles(session):
    answer = session.ok(DISPLAYS + """
print('one')
display(HTML('<b>x</b>'), metadata={'text/html': {'isolated': True}})
display({'image/png': 'iVBORw0KGgo=\\n', 'text/plain': 'p', 'application/vnd.vega.v5+json': {'a': [1]}}, raw=True)
print('two')
h = display(Latex('$x$'), display_id='l')
h.update(Markdown('**y**'))
display(JSON({'k': 1}))
""")
    kinds = [o["type"] for o in answer["outputs"]]
    assert kinds == ["stdout", "display", "display", "stdout", "display", "display"]
    html, png, late, js = [o for o in answer["outputs"] if o["type"] == "display"]
    assert html["data"]["text/html"] == "<b>x</b>" and html["metadata"] == {"text/html": {"isolated": True}}
    assert png["data"] == {"image/png": "iVBORw0KGgo=", "text/plain": "p", "application/vnd.vega.v5+json": {"a": [1]}}
    assert late["data"]["text/markdown"] == "**y**" and late["display_id"] == "l"
    assert js["data"]["application/json"] == {"k": 1}


def test_a_plot_is_a_png(session):
    answer = session.ok("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    pngs = [o["data"]["image/png"] for o in answer["outputs"] if "image/png" in o.get("data", {})]
    assert len(pngs) == 1 and base64.b64decode(pngs[0], validate=True).startswith(b"\x89PNG")


def test_clear_output(session):
    answer = session.ok("from IPython.display import clear_output\nprint('a')\nclear_output()\nprint('b')")
    assert answer["stdout"] == "b\n" and len(answer["outputs"]) == 1


def test_exceptions(session):
    answer = session.run("print('before')\n1/0")
    assert answer["status"] == "error" and answer["stdout"] == "before\n"
    assert answer["error"]["ename"] == "ZeroDivisionError" and answer["error"]["traceback"]
    assert answer["outputs"][-1]["type"] == "error"
    assert session.run("def f(:")["error"]["ename"] == "SyntaxError"


def test_state_is_shared_with_execute(gateway, session):
    session.ok("a = 100")
    assert gateway.text(session.id, "a + 1") == "101"
    gateway.ok(session.id, "b = 2")
    assert session.ok("a + b")["result"]["value"] == 102


def test_what_processes_write(session):
    answer = session.ok("import os, subprocess\nos.write(2, b'\\xc3')\nos.write(2, b'\\xa4\\xff')\n"
                        "subprocess.run(['echo', 'child'])\nNone")
    assert answer["stderr"] == "ä\ufffd" and answer["stdout"] == "child\n"


def test_silent_and_history(session):
    assert session.ok("1")["execution_count"] == 1
    quiet = session.ok("x = 5\nx", silent=True)
    assert quiet["result"] is None
    session.ok("2", store_history=False)
    assert session.ok("x")["execution_count"] == 2
    assert session.ok("In[1:]")["result"]["text"] == "['1', 'x', 'In[1:]']"


def test_user_expressions(session):
    answer = session.ok("a = 2", user_expressions={"double": "a * 2", "bad": "nothing"})
    assert answer["user_expressions"]["double"]["data"]["text/plain"] == "4"
    assert answer["user_expressions"]["bad"]["ename"] == "NameError"


def test_environment_of_one_execution(session):
    session.ok("import os\nos.environ['KEPT'] = 'old'")
    assert session.ok("os.environ['NEW'] + os.environ['KEPT']", env={"NEW": "ä\"'\\", "KEPT": "x"})["result"]["text"] \
        == repr("ä\"'\\x")
    assert session.ok("[os.environ.get('NEW'), os.environ['KEPT']]")["result"]["text"] == "[None, 'old']"
    session.run("1/0", env={"NEW": "1"})
    assert session.ok("[os.environ.get('NEW'), os.environ['KEPT']]")["result"]["text"] == "[None, 'old']"


@pytest.mark.parametrize("last_words", ["start", "stdout"])
@pytest.mark.parametrize("more", [
    pytest.param({}, id="alone"),
    pytest.param({"memory_mb": 400}, id="limited", marks=pytest.mark.root_only("it has no control groups")),
    pytest.param({"tests": [{"condition": "True"}]}, id="tested"),
])
def test_environment_of_one_that_is_cancelled(session, more, last_words):
    """It is taken back before anything else runs, also what waits already; wherever it was when its client hung up."""
    session.ok("import os, time\nos.environ['KEPT'] = 'old'")
    with session.stream("try:\n    print('x', flush=True)\n    time.sleep(60)\nfinally:\n    time.sleep(0.1)",
                        env={"NEW": "1", "KEPT": "x"}, **more) as stream:
        for _, name, data in stream:
            if name == "start":
                execution = data["id"]
            if name == last_words:
                break
        queued = session.begin("[os.environ.get('NEW'), os.environ['KEPT']]")
    answer = eventually(lambda: (a := session.get(queued))["state"] == "done" and a)
    assert session.get(execution)["status"] == "cancelled"
    assert answer["result"]["text"] == "[None, 'old']" and answer["restarted"] is False
    assert session.ok("[os.environ.get('NEW'), os.environ['KEPT']]", env={"KEPT": "y"})["result"]["text"] == "[None, 'y']"
    assert session.ok("os.environ['KEPT']")["result"]["text"] == "'old'"


def test_output_is_bounded(make_gateway):
    gateway = make_gateway(max_output_bytes=20000, exec_timeout=int(30 * harness.slack()))
    session = Session(gateway)
    answer = session.ok("for i in range(3000): print('line', i, flush=True)\nfrom IPython.display import display\n"
                        "display({'text/plain': 'x' * 100000}, raw=True)\nprint('last')")
    assert answer["truncated"] and answer["stdout"].startswith("line 0\nline 1\n") and len(answer["stdout"]) <= 20000
    assert "output left out" in answer["stdout"] and answer["stdout"].endswith("last\n")
    assert session.ok("'after'")["result"]["text"] == "'after'"


# -------------------------------------------------------------------------------------------------- how it can end


def test_timeout(session):
    answer = session.run("print('partly', flush=True)\nimport time\ntime.sleep(60)", timeout=3)
    assert answer["status"] == "timeout" and answer["error"]["ename"] == "Timeout"
    assert answer["stdout"] == "partly\n"
    after = session.ok("1")
    assert after["restarted"] is True and after["execution_count"] == 1


def test_a_kernel_that_dies(session):
    answer = session.run("import os\nprint('x', flush=True)\nos._exit(3)")
    assert answer["status"] == "died" and "status 3" in answer["error"]["evalue"]
    assert session.ok("1")["restarted"] is True


def test_a_client_that_hangs_up_cancels(gateway, session):
    with gateway.new_client() as client:
        with pytest.raises(Exception, match="timed out"):
            client.post(f"{session.path}/executions", json={"code": "import time\ntime.sleep(60)"},
                        timeout=httpx.Timeout(60, read=1))
    eventually(lambda: session.client.get(f"{session.path}/executions").json()["executions"][:1] and
               session.client.get(f"{session.path}/executions").json()["executions"][0]["status"] == "cancelled")
    assert session.ok("'alive'")["restarted"] is False


def test_release_answers_what_runs(gateway, session):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(session.post, "import time\ntime.sleep(60)")
        eventually(lambda: gateway.session(session.id)["state"] == "busy")
        assert session.client.delete(session.path).status_code == 204
        assert running.result().json()["status"] == "died"
    error(session.client.get(f"{session.path}/executions"), 404, "not_found")


def test_sessions_are_not_made_here(gateway):
    error(gateway.client.post("/v1/sessions/nobody/executions", json={"code": "1"}), 404, "not_found")


@pytest.mark.parametrize("body, field", [
    ({}, "code"), ({"code": 1}, "code"), ({"code": "", "more": 1}, "more"), ({"code": "", "stream": "yes"}, "stream"),
    ({"code": "", "timeout": 0}, "timeout"), ({"code": "", "timeout": 31}, "timeout"), ({"code": "", "cpu": -1}, "cpu"),
    ({"code": "", "env": {"A": 1}}, "env"), ({"code": "", "env": {"A=": "x"}}, "env"), ({"code": "", "stdin": 1}, "stdin"),
    ({"code": "", "stdin": [1]}, "stdin"), ({"code": "", "tests": {}}, "tests"), ({"code": "", "tests": [{}]}, "tests"),
    ({"code": "", "user_expressions": {"a": 1}}, "user_expressions"), ({"code": "", "user_uuid": "x"}, "user_uuid"),
])
def test_bad_requests(session, body, field):
    error(session.client.post(f"{session.path}/executions", json=body), 400, "invalid_request", field)


@pytest.mark.root_only("it has no control groups; test_rootless.py has what is answered there")
def test_limits_of_one_execution(session):
    answer = session.run("x = bytearray(400 << 20)", memory_mb=200)
    assert answer["status"] in ("died", "error")


def test_the_scan_blocks(make_gateway):
    gateway = make_gateway(scan="block")
    session = Session(gateway)
    code = "import ctypes; ctypes.CDLL(None)"
    said = error(session.post(code), 422, "blocked")
    assert said["findings"][0]["line"] == 1
    error(session.post("1", tests=[{"code": code}]), 422, "blocked")


def test_limits_of_the_session(gateway):
    session = Session(gateway, limits={"timeout": 1})
    error(session.post("1", timeout=2), 400, "invalid_request", "timeout")
    error(session.post("1", tests=[{"code": "1", "timeout": 2}]), 400, "invalid_request", "tests")
    assert session.run("import time\ntime.sleep(60)")["status"] == "timeout"
    session.close()


# ------------------------------------------------------------------------------------------------------ background


def test_background(session):
    execution = session.begin("import time\ntime.sleep(5)\nprint('done')\n7")
    assert session.get(execution)["state"] in ("queued", "running")
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a)
    assert answer["stdout"] == "done\n" and answer["result"]["value"] == 7


def test_in_order_of_arrival(session):
    ids = [session.begin(f"import time\ntime.sleep(0.1)\n{i}") for i in range(4)]
    assert session.ok("'last'")["execution_count"] == 5
    assert [session.get(i)["execution_count"] for i in ids] == [1, 2, 3, 4]


def test_history(session):
    ids = [session.ok(str(i))["id"] for i in range(5)]
    first = session.client.get(f"{session.path}/executions", params={"limit": 2}).json()
    assert [e["id"] for e in first["executions"]] == ids[:2:-1] and first["executions"][0]["code"] == "4"
    rest = session.client.get(f"{session.path}/executions", params={"cursor": first["next_cursor"]}).json()
    assert [e["id"] for e in rest["executions"]] == ids[2::-1] and rest["next_cursor"] is None
    assert session.get(ids[0])["result"]["value"] == 0
    error(session.client.get(f"{session.path}/executions", params={"cursor": "x-1"}), 400, "invalid_request", "cursor")
    assert session.client.delete(f"{session.path}/executions/{ids[0]}").status_code == 204
    session.get(ids[0], 404)


def test_code_that_is_kept_in_part_is_said_to_be(session):
    for code, kept, cut in ("#" * 4096, 4096, None), ("#" * 4097, 4096, True), ("#" + "é" * 2048, 4095, True):
        answer = session.ok(code)
        listed = session.client.get(f"{session.path}/executions").json()["executions"][0]
        for one in answer, session.get(answer["id"]), listed:
            assert code.startswith(one["code"]) and len(one["code"].encode()) == kept
            assert one.get("code_truncated") is cut


def test_pages_of_what_is_deleted_meanwhile(session):
    """The next page is what is older, whatever has become of the page before."""
    ids = [session.ok(str(i))["id"] for i in range(5)]
    page = session.client.get(f"{session.path}/executions", params={"limit": 2}).json()
    for one in page["executions"]:
        assert session.client.delete(f"{session.path}/executions/{one['id']}").status_code == 204
    session.ok("'newer'")
    rest = session.client.get(f"{session.path}/executions", params={"cursor": page["next_cursor"], "limit": 3})
    assert rest.status_code == 200, rest.text
    assert [e["id"] for e in rest.json()["executions"]] == ids[2::-1] and rest.json()["next_cursor"] is None


def test_history_is_bounded(session):
    first = session.ok("0")["id"]
    for i in range(101):
        session.ok("1")
    assert session.get(first, 404)["error"]["code"] == "not_found"
    page = session.client.get(f"{session.path}/executions", params={"limit": 100}).json()
    assert len(page["executions"]) == 100


def test_history_is_ones_own(gateway, session):
    execution = session.ok("1")["id"]
    other = Session(gateway)
    error(other.client.get(f"{other.path}/executions/{execution}"), 404, "not_found")
    other.close()
    key = gateway.as_key(gateway.make_key())
    error(key.client.get(f"{session.path}/executions/{execution}"), 404, "not_found")


def test_location_of_what_runs_in_the_session_of_a_key(gateway):
    """By the master token, whose own session of that name is another."""
    view = gateway.as_key(gateway.make_key())
    session = Session(view)
    key = view.client.get(session.path).json()["key"]
    request = {"params": {"key": key}, "headers": {"Idempotency-Key": "k"}, "json": {"code": "input()", "background": True, "stdin": True}}
    made, again = (gateway.client.post(f"{session.path}/executions", **request) for _ in range(2))
    assert made.status_code == again.status_code == 202 and made.json()["id"] == again.json()["id"]
    for answer in (made, again):
        found = gateway.client.get(answer.headers["location"])
        assert found.status_code == 200 and found.json()["id"] == made.json()["id"]
    assert gateway.client.delete(made.headers["location"]).status_code in (200, 202)
    with gateway.client.stream("POST", f"{session.path}/executions", params={"key": key}, json={"code": "1", "stream": True}) as streamed:
        streamed.read()
    assert gateway.client.get(streamed.headers["location"]).status_code == 200
    with_own = view.client.post(f"{session.path}/executions", params={"key": key}, json={"code": "1", "background": True})
    assert view.client.get(with_own.headers["location"]).status_code == 200
    session.close()


@pytest.mark.parametrize("change", [{"ttl": 1}, {"idle_timeout": 1}])
def test_a_session_made_anew_has_no_history(session, change):
    """Neither what the old one ran is to be seen, nor is it an answer to what the new one is asked to run."""
    request = {"code": "x = 1", "headers": {"Idempotency-Key": "k"}}
    old = session.post(**request).json()
    assert session.client.patch(session.path, json=change).status_code == 200
    eventually(lambda: session.client.get(session.path).status_code == 404)
    assert session.client.post("/v1/sessions", json={"user_uuid": session.id}).status_code == 201
    session.get(old["id"], 404)
    new = session.post(**request)
    assert "idempotent-replayed" not in new.headers and new.json()["id"] != old["id"]
    assert session.ok("x")["result"]["value"] == 1
    assert len(session.client.get(f"{session.path}/executions").json()["executions"]) == 2


def test_a_session_that_goes_on_keeps_its_history(gateway):
    """One that /execute made, which has lost its container: until it is made anew."""
    session = Session(gateway)
    assert session.client.delete(session.path).status_code == 204
    gateway.ok(session.id, "1")
    died = session.run("import os; os._exit(1)")
    assert gateway.run(session.id, "2")["restarted"] is True
    assert session.get(died["id"])["status"] == "died"
    gateway.execute(session.id, "import os; os._exit(1)")
    assert session.client.get(session.path).json()["state"] == "stopped"
    assert session.client.post("/v1/sessions", json={"user_uuid": session.id}).status_code == 201
    assert session.client.get(f"{session.path}/executions").json()["executions"] == []
    session.close()


def test_interrupt(session):
    session.run("1/0")  # the first traceback takes its time
    execution = session.begin("import time\ntry:\n    print('on it', flush=True)\n    time.sleep(60)\nfinally:\n    print('finally')")
    error(session.client.post(f"{session.path}/executions/{execution}/interrupt", json={"grace": 61}), 400,
          "invalid_request", "grace")
    session.printed(execution)
    session.do(execution, "interrupt", 202)
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a)
    assert answer["status"] == "error" and answer["error"]["ename"] == "KeyboardInterrupt"
    assert answer["stdout"] == "on it\nfinally\n"
    error(session.client.post(f"{session.path}/executions/{execution}/interrupt"), 409, "conflict")
    assert session.ok("1")["restarted"] is False


def test_interrupt_that_is_ignored(session):
    execution = session.begin("import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('x', flush=True)\n"
                              "time.sleep(60)")
    session.printed(execution)
    session.do(execution, "interrupt", 202, grace=0.5)
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a, 20)
    assert answer["status"] == "timeout" and "interrupted" in answer["error"]["evalue"]
    assert session.ok("1")["restarted"] is True


@contextlib.contextmanager
def others_compute(gateway):
    """More sessions than processors run one short computation after another, none for long enough to stand back."""
    code = "import time\nend = time.monotonic() + 0.2\nwhile time.monotonic() < end: pass"
    sessions = [Session(gateway) for _ in range(min(10, 3 * len(os.sched_getaffinity(0))))]
    over = threading.Event()

    def work(one):
        while not over.is_set():
            one.ok(code)

    with concurrent.futures.ThreadPoolExecutor(len(sessions)) as threads:
        working = [threads.submit(work, one) for one in sessions]
        try:
            yield
        finally:
            over.set()
            for one in working:
                one.result(60)


@pytest.mark.root_only("it takes a control group to stand back")
def test_interrupt_while_others_compute(session, gateway):
    """What is interrupted has been in the background for long, and gets to its exception all the same."""
    session.run("1/0")  # the first traceback takes its time
    with others_compute(gateway):
        answer = session.ok("x = 1", tests=[{"code": "while True: pass", "timeout": 1}, {"condition": "x == 1"}])
        assert [t["outcome"] for t in answer["tests"]] == ["timeout", "passed"]
        execution = session.begin("print('on it', flush=True)\nwhile True: pass")
        session.printed(execution)
        time.sleep(1)
        session.do(execution, "interrupt", 202, grace=2 * min(harness.slack(), 4))
        answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a)
        assert answer["status"] == "error" and session.ok("x")["restarted"] is False


def test_delete(session):
    session.run("1/0")  # as above
    running = session.begin("import time\nprint('on it', flush=True)\ntime.sleep(60)")
    queued = session.begin("1")
    answer = session.client.delete(f"{session.path}/executions/{queued}")
    assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
    session.printed(running)
    assert session.client.delete(f"{session.path}/executions/{running}").status_code == 202
    answer = eventually(lambda: (a := session.get(running))["state"] == "done" and a)
    assert answer["error"]["ename"] == "KeyboardInterrupt"
    assert session.ok("2")["execution_count"] == 3


def test_the_queue_has_a_bound(make_gateway):
    gateway = make_gateway(queue_limit=2)
    session = Session(gateway)
    session.begin("import time\ntime.sleep(60)")
    session.begin("1")
    error(session.post("2"), 429, "queue_full")
    assert session.client.delete(session.path).status_code == 204  # the gateway would wait for them at its end


def test_idempotency(session):
    headers = {"Idempotency-Key": "k1"}
    session.ok("n = 0")
    first = session.post("n += 1\nn", headers=headers)
    again = session.post("n += 1\nn", headers=headers)
    assert first.json() == again.json() and again.headers["idempotent-replayed"] == "true"
    assert session.ok("n")["result"]["value"] == 1
    error(session.post("n += 2", headers=headers), 409, "conflict", "Idempotency-Key")
    error(session.post("n", headers={"Idempotency-Key": "x" * 129}), 400, "invalid_request", "Idempotency-Key")
    headers = {"Idempotency-Key": "k2"}
    started = session.post("import time\ntime.sleep(6)\nn += 1", background=True, headers=headers)
    again = session.post("import time\ntime.sleep(6)\nn += 1", background=True, headers=headers)
    assert started.status_code == again.status_code == 202 and started.json()["id"] == again.json()["id"]
    made_with = [session.client.get(f"{session.path}/executions", params={"idempotency_key": key}).json() for key in ("k2", "none", "")]
    assert [one["id"] for one in made_with[0]["executions"]] == [started.json()["id"]] and made_with[0]["next_cursor"] is None
    assert made_with[1]["executions"] == made_with[2]["executions"] == []  # those without a key have no empty one
    assert session.ok("n")["result"]["value"] == 2


# ----------------------------------------------------------------------------------------------------------- input


@pytest.mark.parametrize("stdin", ["ä\nzwei\n", ["ä", "zwei"]])
def test_input_given_beforehand(session, stdin):
    answer = session.run("print(input('? '), input())\ninput()", stdin=stdin)
    assert answer["stdout"] == "ä zwei\n"
    assert answer["status"] == "error" and answer["error"]["ename"] == "EOFError"


def test_input_that_nobody_gives(session):
    answer = session.run("input()")
    assert answer["status"] == "error" and answer["error"]["ename"] == "StdinNotImplementedError"


def test_input_by_request(session):
    execution = session.begin("import getpass\na = input('name? ')\nb = getpass.getpass()\nprint(a, b)\ninput()", stdin=True)
    eventually(lambda: session.get(execution)["state"] == "waiting")
    session.do(execution, "stdin", 200, text="x y")
    session.do(execution, "stdin", 200, text="")
    session.do(execution, "stdin", 200, eof=True)
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a)
    assert answer["stdout"] == "x y \n" and answer["error"]["ename"] == "EOFError"
    error(session.client.post(f"{session.path}/executions/{execution}/stdin", json={"text": "x"}), 409, "conflict")


def test_input_after_an_interrupt(session):
    """KeyboardInterrupt is the answer to the question that was open; a line is for the next one, however long that takes."""
    code = "import time\ntry:\n    input()\nexcept KeyboardInterrupt:\n    time.sleep(0.5)\nprint(input())\ninput()"
    execution = session.begin(code, stdin=True, tests=[{"condition": "True"}])
    eventually(lambda: session.get(execution)["state"] == "waiting")
    assert session.do(execution, "interrupt", 202, grace=30)["state"] == "running"
    assert session.do(execution, "stdin", 200, text="line")["state"] == "running"
    eventually(lambda: session.get(execution)["state"] == "waiting")
    session.do(execution, "interrupt", 202, grace=30)
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a)
    assert answer["stdout"] == "line\n" and answer["error"]["ename"] == "KeyboardInterrupt"
    assert answer["tests"][0]["outcome"] == "passed"


def test_input_is_checked(session):
    execution = session.begin("import time\ntime.sleep(60)")
    path = f"{session.path}/executions/{execution}/stdin"
    for body in ({}, {"text": 1}, {"text": "x", "eof": True}, {"eof": False}):
        error(session.client.post(path, json=body), 400, "invalid_request", "text")
    error(session.client.post(path, json={"text": "x"}), 409, "conflict")


@pytest.mark.parametrize("verb", ["stdin", "interrupt"])
def test_what_is_not_there_is_told_nothing(session, verb):
    for path in (session.path, "/v1/sessions/nobody"):
        error(session.client.post(f"{path}/executions/x-{'0' * 32}/{verb}", json={"text": "x"}), 404, "not_found")


# ----------------------------------------------------------------------------------------------------------- tests


def test_rewards(session):
    answer = session.ok("def double(x):\n    return 2 * x", tests=[
        {"name": "two", "condition": "double(1) == 2"},
        {"name": "code", "code": "x = double(3)\nprint('x is', x)\nassert x == 6", "reward": 2.5},
        {"name": "wrong", "condition": "double(1) == 3"},
        {"name": "broken", "code": "raise KeyError('k')", "reward": 3},
        {"name": "secret", "code": "print('seen')\nassert double(2) == 5, 'hint'", "hidden": True, "reward": 0.5},
    ])
    outcomes = [(t["name"], t["outcome"], t["passed"], t["reward"]) for t in answer["tests"]]
    assert outcomes == [("two", "passed", True, 1), ("code", "passed", True, 2.5), ("wrong", "failed", False, 0),
                        ("broken", "error", False, 0), ("secret", "failed", False, 0)]
    assert answer["tests"][1]["output"] == "x is 6\n" and answer["tests"][3]["error"]["ename"] == "KeyError"
    assert answer["tests"][4]["error"] is None and answer["tests"][4]["output"] == ""
    assert (answer["reward"], answer["max_reward"]) == (3.5, 8) and answer["score"] == pytest.approx(3.5 / 8)
    assert "hint" not in str(answer) and "seen" not in str(answer)


def test_tests_leave_no_names(session):
    session.ok("x = 1", tests=[{"code": "x = 2\ny = 3\nimport json"}, {"condition": "x == 1 and 'y' not in globals()"}])
    answer = session.ok("x, 'y' in globals(), 'json' in globals(), len(In)")
    assert answer["result"]["text"] == "(1, False, False, 3)" and answer["execution_count"] == 2
    assert session.client.get(f"{session.path}/variables").json()["variables"][0]["name"] == "x"


def test_tests_of_code_that_failed(session):
    answer = session.run("a = 1\n1/0", tests=[{"condition": "a == 1"}])
    assert answer["status"] == "error" and answer["score"] == 1


def test_a_test_that_hangs_fails_alone(session):
    answer = session.ok("x = 1", tests=[{"condition": "x == 1"}, {"code": "while True: pass", "timeout": 0.3},
                                        {"condition": "x == 1"}])
    assert [t["outcome"] for t in answer["tests"]] == ["passed", "timeout", "passed"]
    assert session.ok("x")["restarted"] is False


def test_a_test_that_cannot_be_stopped(session):
    answer = session.ok("x = 1", tests=[
        {"condition": "x == 1"},
        {"code": "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)", "timeout": 2},
        {"condition": "x == 1"}])
    assert [t["outcome"] for t in answer["tests"]] == ["passed", "timeout", "not_run"]
    assert answer["status"] == "ok" and session.ok("1")["restarted"] is True


def test_a_test_that_kills_the_kernel(session):
    answer = session.ok("x = 1", tests=[{"code": "import os; os._exit(1)"}, {"condition": "x == 1"}])
    assert [t["outcome"] for t in answer["tests"]] == ["died", "not_run"] and answer["score"] == 0


def test_tests_of_code_that_timed_out(session):
    answer = session.run("import time\ntime.sleep(60)", timeout=0.3, tests=[{"condition": "True"}])
    assert answer["status"] == "timeout" and answer["tests"][0]["outcome"] == "not_run"


def test_nothing_runs_between_code_and_tests(session):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: session.run(f"x = {i}", tests=[{"condition": f"x == {i}"}] * 5), range(8)))
    assert [a["score"] for a in answers] == [1] * 8


# ------------------------------------------------------------------------------------------------------- questions


def test_complete(session):
    session.ok("variable_one = 1")
    reply = session.ask("complete", code="variable_")
    assert "variable_one" in reply["matches"] and (reply["cursor_start"], reply["cursor_end"]) == (0, 9)
    assert "variable_one" in session.ask("complete", code="ä = variab + 1", cursor_pos=10)["matches"]


def test_inspect(session):
    session.ok("def f():\n    '''The documentation.'''")
    reply = session.ask("inspect", code="f")
    assert reply["found"] and "The documentation." in reply["data"]["text/plain"]
    assert session.ask("inspect", code="nothing_there")["found"] is False


def test_is_complete(session):
    assert session.ask("is_complete", code="x = 1")["status"] == "complete"
    assert session.ask("is_complete", code="for x in y:")["status"] == "incomplete"
    assert session.ask("is_complete", code="x = = 1")["status"] == "invalid"


def test_questions_are_checked(session):
    error(session.client.post(f"{session.path}/complete", json={}), 400, "invalid_request", "code")
    error(session.client.post(f"{session.path}/complete", json={"code": "a", "cursor_pos": 2}), 400, "invalid_request",
          "cursor_pos")
    error(session.client.post(f"{session.path}/inspect", json={"code": "a", "detail_level": 2}), 400, "invalid_request",
          "detail_level")


def test_variables(session):
    session.ok("import os\na = 'text'\nb = list(range(1000))\n_hidden = 1\n"
               "class Bad:\n    def __repr__(self): raise ValueError\n    __len__ = __repr__\nc = Bad()\n"
               "class Wide:\n    shape = (1 << 70,)\ne = Wide()\n"
               "try:\n    import numpy\n    d = numpy.zeros((2, 3))\nexcept ImportError:\n    pass")
    found = {v["name"]: v for v in session.client.get(f"{session.path}/variables").json()["variables"]}
    assert {"a", "b", "c", "os", "Bad"} <= set(found) and not {"_hidden", "In", "Out", "exit", "get_ipython"} & set(found)
    assert found["a"]["type"] == "str" and found["a"]["size"] == 4 and found["a"]["text"] == "'text'"
    assert found["b"]["size"] == 1000 and len(found["b"]["text"]) < 400
    assert found["c"]["type"] == "Bad" and found["c"]["size"] is None
    assert found["e"]["shape"] is None
    if "d" in found:
        assert found["d"]["shape"] == [2, 3]
    assert session.ok("'show' in globals()")["result"]["text"] == "False"


def test_questions_count_for_nothing(session):
    assert session.ok("1")["execution_count"] == 1
    session.ask("complete", code="a")
    session.client.get(f"{session.path}/variables")
    assert session.client.get(session.path).json()["executions"] == 1
    assert session.ok("1")["execution_count"] == 2


def test_questions_do_not_hide_that_the_state_is_lost(session):
    assert session.run("import os\nos._exit(3)")["status"] == "died"
    assert session.client.get(f"{session.path}/variables").json()["variables"] == []
    for verb in ("complete", "inspect", "is_complete"):
        session.ask(verb, code="a")
    assert session.ok("1")["restarted"] is True
    assert session.ok("1")["restarted"] is False


def test_many_at_once(gateway):
    """Sessions do not wait for each other, and each gets its own answers."""
    sessions = [Session(gateway) for _ in range(3)]
    results = {}

    def work(i):
        results[i] = [sessions[i].ok(f"print({i}, {n})\n{i * 1000 + n}") for n in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(3):
        assert [a["result"]["value"] for a in results[i]] == [i * 1000 + n for n in range(20)]
        assert [a["stdout"] for a in results[i]] == [f"{i} {n}\n" for n in range(20)]
        sessions[i].close()


# ------------------------------------------------------------------------------------------------- other kernels


def test_xeus_python(make_gateway):
    session = Session(make_gateway(kernel="xpython"))
    answer = session.run("print('a')\nprint(input())\n1/0", stdin="line", tests=[
        {"condition": "1 == 1"}, {"condition": "1 == 2"}, {"code": "while True: pass", "timeout": 0.5}, {"code": "assert True"}])
    assert answer["stdout"] == "a\nline\n" and answer["error"]["ename"] == "ZeroDivisionError"
    assert [t["outcome"] for t in answer["tests"]] == ["passed", "failed", "timeout", "passed"]
    with session.stream("for i in range(100): print(i)\n[1]") as stream:
        events = list(stream)
    assert "".join(d["text"] for _, n, d in events if n == "stdout") == "".join(f"{i}\n" for i in range(100))
    assert "print" in session.ask("complete", code="pri")["matches"]
    assert session.client.get(f"{session.path}/variables").json()["variables"][0]["name"] == "i"


def test_a_language_that_is_not_python(make_gateway):
    session = Session(make_gateway(kernel="bash"))
    answer = session.ok("x=1; echo out; echo err >&2", tests=[
        {"code": "test $x = 1"}, {"code": "test $x = 2"}, {"code": "while true; do :; done", "timeout": 0.5},
        {"code": "test $x = 1"}])
    assert answer["stdout"] == "out\n" and answer["stderr"] == "err\n"
    assert [t["outcome"] for t in answer["tests"]] == ["passed", "failed", "timeout", "passed"]
    if harness.runtime() == "crun":  # gVisor does not tell who waits for input
        assert session.ok("read a; echo got $a", stdin="text")["stdout"] == "got text\n"
    assert session.run("false")["status"] == "error"
    error(session.post("", tests=[{"condition": "x"}]), 422, "unsupported", "tests")
    error(session.post("", env={"A": "1"}), 422, "unsupported", "env")
    error(session.client.get(f"{session.path}/variables"), 422, "unsupported")
