"""test_limits.py - bounds on code, output, memory of the gateway and number of connections."""
import concurrent.futures
import json
import os
import time

import pytest

import harness
from harness import eventually


@pytest.fixture(scope="module")
def small(make_module_gateway):
    """A gateway that takes little code and little output."""
    return make_module_gateway(min_idle_workers=2, max_total_workers=8, exec_timeout=60, max_code_bytes=2000,
                               max_output_bytes=100000)


def test_code_at_and_over_the_limit(small, users):
    user = users(small)
    for padding in ("#" * 1999 + "\n", "#" * 1997 + "é\n"):  # bytes count, not characters
        assert len(padding.encode()) == 2000
        assert small.execute(user, padding).status_code == 200
    for code in ("#" * 2001, "#" * 1999 + "é", "é" * 1001):
        answer = small.execute(user, code)
        assert answer.status_code == 413 and answer.json()["detail"] and answer.json()["field"] == "code"
    assert small.ok(user, "1")["execution_count"] == 3


def test_a_megabyte_of_code(gateway, user):
    """The default limit, used to the last byte, with a body that is longer still for its escapes."""
    code = "x = '''" + "\\n" * 100 + "a" * 100
    code += "\"" * (2**20 - len(code) - 10) + "'''\nlen(x)"
    code += "#" * (2**20 - len(code))
    assert len(code) == 2**20
    answer = gateway.ok(user, code)
    assert int(answer["result_text"]) > 1_000_000
    answer = gateway.execute(user, code + "#")
    assert answer.status_code == 413 and answer.json()["field"] == "code"


def test_code_that_is_all_escapes(gateway, user):
    """Six bytes of body for each byte of code still fit."""
    code = "#" + "\x01" * (2**20 - 1)
    body = json.dumps({"user_uuid": user, "code": code})
    assert len(body) > 6 * 2**20
    assert gateway.client.post("/execute", content=body).status_code == 200
    code = "#" + "é" * (2**19 - 1)
    assert gateway.execute(user, code).status_code == 200


def test_deep_code(gateway, user):
    """Deeply nested code fails or kills that kernel, and hurts nothing else."""
    gateway.ok(user, "1")
    assert gateway.execute(user, "(" * 100000).status_code in (200, 503)
    assert gateway.execute(user, "-" * 200000 + "1").status_code in (200, 503)
    assert gateway.text(user, "2") == "2"


@pytest.mark.parametrize("code", [
    "print('x' * 1_000_000)",
    "for i in range(30_000): print(i)",
    "import os\n_ = os.write(1, b'x' * 1_000_000)",
    "import subprocess\n_ = subprocess.run(['seq', '1', '1000000'])",
    "import sys\nprint('é' * 1_000_000, file=sys.stderr)",
    "'x' * 1_000_000",
    "from IPython.display import display\nfor i in range(50): display('y' * 10_000)",
    "raise ValueError('z' * 1_000_000)",
    "import numpy as np, matplotlib.pyplot as plt\nplt.imshow(np.random.rand(1500, 1500)); plt.gcf().set_size_inches(20, 20); plt.show()",
    "from IPython.display import display\nh = display('a', display_id=True)\nfor i in range(1000): h.update('y' * 1000)",
])
def test_output_over_the_limit(small, users, code):
    """The answer is 200 with truncated, of bounded size, and the session goes on unhurt."""
    user = users(small)
    small.ok(user, "kept = 1")
    answer = small.execute(user, code)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["truncated"] is True
    assert len(answer.content) < 1_500_000
    error = 300_000 if answer.json()["error"] else 0  # an error has bounds of its own
    assert len((answer.json()["result_text"] or "").encode()) <= 100_000 + error
    again = small.ok(user, "kept")
    assert again["result_text"] == "1" and again["restarted"] is False and again["truncated"] is False


@pytest.mark.parametrize("code", [
    "for i in range(60_000): print(i)",
    "import os, sys\nfor i in range(60_000): os.write(1, b'%d\\n' % i)",
    "import os\n_ = os.system('seq 0 59999')",
])
def test_head_and_tail_of_the_output_are_kept(make_gateway, users, code):
    """The last lines of a long run tell how it ended."""
    gateway = make_gateway(max_output_bytes=200_000, exec_timeout=60)
    answer = gateway.run(users(gateway), code)
    assert answer["truncated"] is True
    head, mark, tail = answer["result_text"].partition("\n[… output left out …]\n")
    assert mark
    head, tail = head.splitlines(), tail.splitlines()
    assert len(head) > 10_000 and head[:-1] == [str(i) for i in range(len(head) - 1)]
    assert len(tail) > 600 and tail[1:] == [str(i) for i in range(60_000 - len(tail) + 1, 60_000)]


def test_tail_follows_pictures_too(small, users):
    answer = small.run(users(small), "from IPython.display import display\n"
                                     "for i in range(200): display({'text/plain': 'x' * 1000 + str(i)}, raw=True)")
    assert answer["truncated"] is True
    assert answer["displays"][0] == "x" * 1000 + "0" and answer["displays"][-1] == "x" * 1000 + "199"


def test_output_at_the_limit_is_whole(small, users):
    user = users(small)
    answer = small.ok(user, "print('x' * 90_000, end='')")
    assert answer["result_text"] == "x" * 90_000 and answer["truncated"] is False


def test_error_after_truncated_output(small, users):
    """That the code raised is told even when there was no room for what it printed."""
    user = users(small)
    answer = small.run(user, "print('x' * 1_000_000)\n1/0")
    assert answer["truncated"] is True
    assert answer["error"] is not None and answer["error"]["ename"] == "ZeroDivisionError"


def test_limit_counts_anew_for_each_call(small, users):
    user = users(small)
    for _ in range(5):
        assert small.run(user, "print('x' * 90_000)")["truncated"] is False


def test_default_limit_of_output(gateway, user):
    answer = gateway.ok(user, "print('x' * 10_000_000, end='')")
    assert len(answer["result_text"]) == 10_000_000 and answer["truncated"] is False
    answer = gateway.ok(user, "print('x' * 12_000_000, end='')")
    assert answer["truncated"] is True and len(answer["result_text"]) <= 10_485_760
    assert gateway.text(user, "1") == "1"


def test_very_many_small_messages(gateway, users):
    """A hundred thousand prints with a flush each end in a truncated answer or at the time limit, and another user's calls
    go on meanwhile."""
    user, other = users(gateway), users(gateway)
    flood = gateway.spawn(user, "for i in range(100_000): print(i, flush=True)", timeout=10)
    gateway.ok(other, "x = 1")
    while not flood.done():
        assert gateway.text(other, "x") == "1"
    answer = flood.result()
    assert answer.status_code in (200, 504)
    if answer.status_code == 200:
        assert answer.json()["truncated"] is True
        assert gateway.ok(user, "1")["restarted"] is False


@pytest.mark.parametrize("code", [
    "while True: print('x' * 1000)",
    "line = 'x' * 100_000\nwhile True: print(line)",
    "while True: print(1, flush=True)",
    "import os\nwhile True: os.write(1, b'x' * 65536)",
    "import os\nwhile True: os.write(2, b'x')",
    "from IPython.display import display\nwhile True: display('x' * 10000)",
    "from IPython.display import display\nwhile True: display('x' * 1_000_000)",
    "from IPython.display import display\nwhile True: display(1)",
    "import subprocess; subprocess.run(['yes'])",
    "import sys\nwhile True: sys.stderr.write('y' * 10_000_000)",
])
def test_endless_output(gateway, users, code):
    """504 at the limit, no growth of the gateway beyond what one answer may hold, others served meanwhile."""
    user, other = users(gateway), users(gateway)
    gateway.ok(user, "1")
    gateway.ok(other, "1")
    before = harness.rss_kib(gateway.pid)
    flood = gateway.spawn(user, code, timeout=4)
    peak, slowest, answers = before, 0.0, 0
    while not flood.done():
        start = time.monotonic()
        assert gateway.text(other, "1") == "1"
        slowest, answers = max(slowest, time.monotonic() - start), answers + 1
        peak = max(peak, harness.rss_kib(gateway.pid))
    end = flood.result()
    assert end.status_code == 504, end.text
    print(f"gateway {before} -> {peak} KiB; slowest of {answers} calls of another user {slowest:.3f} s")
    assert peak - before < 96 * 1024 * harness.slack()
    assert gateway.text(user, "2") == "2"


def test_output_of_background_threads_does_not_pile_up(gateway, user):
    """Noise between calls is nobody's output: the gateway does not keep it, and the session stays usable."""
    gateway.ok(user, "import threading\nrun = True\n"
                     "def talk():\n    while run: print('noise' * 200)\n"
                     "t = threading.Thread(target=talk, daemon=True); t.start()")
    before = peak = harness.rss_kib(gateway.pid)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert gateway.execute(user, "1").status_code == 200
        peak = max(peak, harness.rss_kib(gateway.pid))
    assert peak - before < 96 * 1024 * harness.slack()
    assert gateway.execute(user, "run = False", timeout=20).status_code == 200
    eventually(lambda: gateway.run(user, "'quiet'")["result_text"] == "'quiet'", 30)


def test_large_answers_do_not_stay_in_memory(gateway, user):
    gateway.ok(user, "print('x' * 10_000_000)")
    gateway.ok(user, "print('x' * 10_000_000)")
    before = harness.rss_kib(gateway.pid)
    for _ in range(10):
        gateway.ok(user, "print('x' * 10_000_000)")
    assert harness.rss_kib(gateway.pid) - before < 96 * 1024 * harness.slack()


def test_large_bodies_do_not_stay_in_memory(gateway, user):
    gateway.ok(user, "1")
    code = "#" * (2**20 - 1)
    gateway.ok(user, code)
    before = harness.rss_kib(gateway.pid)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: gateway.execute(user, code).status_code, range(40)))
    assert set(answers) <= {200, 429}
    assert harness.rss_kib(gateway.pid) - before < 96 * 1024 * harness.slack()


def test_users_beyond_the_pool_are_refused_quickly(small):
    """A burst of users beyond the limit: served or refused with the documented answers, nothing else."""
    names = [f"burst-{i}" for i in range(40)]
    try:
        answers = [f.result(180) for f in [small.spawn(name, "print('in')") for name in names]]
        codes = [a.status_code for a in answers]
        assert set(codes) <= {200, 503}
        assert 1 <= codes.count(200) <= 8
        for answer in answers:
            if answer.status_code == 503:
                assert answer.json()["detail"] and int(answer.headers["retry-after"]) >= 1
            else:
                assert answer.json()["result_text"] == "in\n"
        assert small.status()["total_workers"] <= 8
    finally:
        for name in names:
            small.release(name)
    small.quiet()


def test_priority(gateway):
    """The gateway goes first, and what it starts does not; who is not root is not let, and told."""
    gateway.quiet()
    policy = os.sched_getscheduler(gateway.process.pid) & ~os.SCHED_RESET_ON_FORK
    if harness.rootless():
        assert policy == os.SCHED_OTHER and "No real-time priority" in gateway.log()
    else:
        assert policy == os.SCHED_RR
    assert {os.sched_getscheduler(pid) for pid in gateway.container_processes()} == {os.SCHED_OTHER}


@pytest.mark.root_only("it takes a control group to stand back")
def test_long_work_stands_back(gateway, user):
    """What runs for long is in the background, and so are threads that are left behind; the next execution is not."""
    with gateway.hold(user) as hold:
        group = harness.cgroups_of(hold.container.init)

        def is_background():
            idle = [harness.read_text(os.path.join(path, "cpu.idle"), "") for path in group]
            return "1" in "".join(idle)

        eventually(is_background, 30, "the worker stands back")
        hold.free()
        assert hold.future.result(60).status_code == 200
    assert is_background()
    gateway.ok(user, "1")
    eventually(is_background, 30, "an idle one stands back as well")

    def is_foreground_after_an_execution():
        gateway.ok(user, "1")
        return not is_background()

    eventually(is_foreground_after_an_execution, 30, "who is used comes back")
