"""test_scan.py - the scan of code before it runs, through the API: told, refused, not looked for; its rules and SIGHUP."""
import os
import re
import signal

import pytest

import harness
from harness import eventually, run_gateway

HOSTILE = "import os\n\nif 0: os.setuid(0)"
FINDING = {"rule": "change-identity", "line": 3, "message": "tries to become another user"}
OWN_RULES = "[no-antigravity]\nlanguage = python\nkind = import\npattern = antigravity\nmessage = is for comics\n"
OWN_FINDING = {"rule": "no-antigravity", "line": 1, "message": "is for comics"}


def counts(gateway):
    """Findings by action: warned, blocked."""
    metrics = gateway.metrics()
    return [metrics[f'tci_scan_findings_total{{action="{action}"}}'] for action in ("warn", "block")]


def reload(gateway, word="configuration reloaded"):
    """SIGHUP; waits until the log says that it is done."""
    before = gateway.log().count(word)
    os.kill(gateway.pid, signal.SIGHUP)
    eventually(lambda: gateway.log().count(word) > before, 30, f"{word} in the log")


def cells(name):
    """(title, code) of a corpus of the unit tests."""
    text = harness.read_text(os.path.join(harness.SOURCE_DIR, "tests", "unit", "scan", name))
    return [tuple(cell.split("\n", 1)) for cell in re.split(r"^## %% ", text, flags=re.M)[1:]]


def test_default_tells_and_runs(gateway, user):
    before = counts(gateway)
    answer = gateway.run(user, "print('ran')\nimport os; old = os.setuid\nif 0: old(0)")
    assert answer["findings"] == [FINDING]
    assert answer["result_text"].startswith("ran\n")
    assert counts(gateway) == [before[0] + 1, before[1]]


def test_answer_without_findings_has_no_such_field(gateway, user):
    before = counts(gateway)
    assert "findings" not in gateway.ok(user, "import numpy as np; text = 'os.setuid(0)'  # os.setuid(0)")
    assert counts(gateway) == before


def test_code_that_raises_is_told_too(gateway, user):
    answer = gateway.run(user, "import no_such_module\n\nos.setuid(0)")
    assert answer["error"]["ename"] == "ModuleNotFoundError" and answer["findings"] == [FINDING]


@pytest.mark.parametrize("code, options, status", [
    ("while True: pass", {"timeout": 0.5}, 504), ("os.kill(os.getpid(), 9)", {}, 503)])
def test_code_that_does_not_end_well_is_told_too(gateway, user, code, options, status):
    answer = gateway.execute(user, f"{HOSTILE}\n{code}", **options)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail", "findings"} and answer.json()["findings"] == [FINDING]


def test_errors_without_findings_have_no_such_field(gateway, user):
    answer = gateway.execute(user, "while True: pass", timeout=0.5)
    assert answer.status_code == 504 and set(answer.json()) == {"detail"}


def test_code_that_finds_no_worker_is_told_too(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, max_total_workers=1)
    gateway.ok("one", "1")
    answer = gateway.execute("another", HOSTILE)
    assert answer.status_code == 503 and answer.json()["findings"] == [FINDING] and answer.headers["Retry-After"]


def test_ordinary_code_runs_without_findings(gateway, user):
    """What needs nothing that is not there runs; all of it is looked at by the unit tests."""
    runnable = ("words in strings and comments", "eval and exec of what is plain", "regular expressions", "sqlite",
                "formats of f-strings", "cell magic for time", "fork once", "letters of other alphabets")
    found = dict(cells("ordinary.txt"))
    for title in runnable:
        answer = gateway.run(user, found[title])
        assert "findings" not in answer, title
        assert answer["error"] is None or "helpers.py" in answer["result_text"], answer["result_text"]


def test_magics_and_shell_lines(gateway, user):
    answer = gateway.ok(user, "x = !echo \"it's\"\n!echo 'os.setuid(0)\n%timeit -n1 -r1 pass\nprint(x)")
    assert "findings" not in answer and "it's" in answer["result_text"]
    assert gateway.run(user, "!true /proc/1/environ")["findings"][0]["rule"] == "host-file"


def test_block_runs_nothing_and_makes_no_session(make_gateway, users):
    gateway = make_gateway(scan="block")
    user = users(gateway)
    answer = gateway.execute(user, HOSTILE)
    assert answer.status_code == 422
    body = answer.json()
    assert set(body) == {"detail", "findings"} and body["findings"] == [FINDING]
    assert "change-identity" in body["detail"] and "line 3" in body["detail"]
    assert gateway.session(user) is None and gateway.status()["busy_workers"] == 0
    assert counts(gateway) == [0, 1]
    # A session that is there keeps its state, and its order of executions.
    gateway.ok(user, "a = 1")
    assert gateway.execute(user, "a = 2\n\nimport os; os.setuid(0)").status_code == 422
    answer = gateway.ok(user, "a")
    assert answer["result_text"] == "1" and answer["execution_count"] == 2 and "findings" not in answer
    for title, code in cells("hostile.txt"):
        answer = gateway.execute(user, code)
        assert answer.status_code == 422, title
        found = sorted(f"{f['rule']}:{f['line']}" for f in answer.json()["findings"])
        assert found == sorted(title.split()), title


def test_off_looks_at_nothing(make_gateway, users):
    gateway = make_gateway(scan="off")
    assert "findings" not in gateway.run(users(gateway), HOSTILE)
    assert counts(gateway) == [0, 0]


def test_findings_are_bounded(make_gateway, users):
    gateway = make_gateway(scan="block", min_idle_workers=0, ready=False)
    answer = gateway.execute(users(), "os.setuid(0)\n" * 80_000)
    assert answer.status_code == 422 and len(answer.json()["findings"]) == 64


def test_log_names_the_rule_and_no_code(make_gateway, users):
    gateway = make_gateway(scan="block", min_idle_workers=0, ready=False)
    gateway.execute("a-certain-user", "secret_name = 1; os.setuid(0)")
    assert re.search(r"scan: blocked: 1 finding, the first is change-identity in line 1", gateway.log())
    assert "secret_name" not in gateway.log()


def test_mode_changes_by_sighup(make_gateway, users, tmp_path):
    config = tmp_path / "conf"
    config.write_text("scan = block\n")
    gateway = make_gateway(config=config)
    user = users(gateway)
    assert gateway.execute(user, HOSTILE).status_code == 422
    config.write_text("scan = warn\n")
    reload(gateway)
    assert gateway.ok(user, HOSTILE)["findings"] == [FINDING]
    config.write_text("scan = off\n")
    reload(gateway)
    assert "findings" not in gateway.run(user, HOSTILE)


def test_rules_of_one_s_own(make_gateway, users, tmp_path):
    """They take the place of the shipped ones; SIGHUP reads them again, and a mistake leaves the old ones."""
    rules, config = tmp_path / "own.rules", tmp_path / "conf"
    rules.write_text(OWN_RULES)
    config.write_text(f"scan = block\nscan_rules = {rules}\n")
    gateway = make_gateway(config=config, min_idle_workers=1)
    user = users(gateway)
    assert gateway.execute(user, "import antigravity").json()["findings"] == [OWN_FINDING]
    assert "findings" not in gateway.ok(user, HOSTILE)

    rules.write_text(OWN_RULES.replace("is for comics", "has gone"))
    reload(gateway)
    assert gateway.execute(user, "import antigravity").json()["findings"][0]["message"] == "has gone"

    rules.write_text(OWN_RULES + "kind = nonsense\n")
    reload(gateway, "rules of the scan not reloaded")
    line = [line for line in gateway.log().splitlines() if "not reloaded" in line][-1]
    assert " error " in line and f"{rules}:6" in line and "allowed: import, call or exec" in line
    assert gateway.execute(user, "import antigravity").json()["findings"][0]["message"] == "has gone"

    rules.unlink()
    reload(gateway, "rules of the scan not reloaded")
    assert gateway.execute(user, "import antigravity").status_code == 422

    config.write_text("scan = block\n")
    reload(gateway)
    assert gateway.execute(user, HOSTILE).status_code == 422


@pytest.mark.parametrize("text, words", [
    (OWN_RULES.replace("import", "imports"), [":3:", "kind = imports", "import, call or exec"]),
    (OWN_RULES.replace("message", "mesage"), [":5:", "mesage", "allowed"]),
    ("", ["no rule"]),
    (None, ["No such file"]),
])
def test_bad_rules_stop_the_start(state_dir, tmp_path, text, words):
    rules = tmp_path / "own.rules"
    if text is not None:
        rules.write_text(text)
    for mode in ("warn", "off"):  # whichever: the next SIGHUP may need them
        done = run_gateway("--state-dir", state_dir, "--listen", "127.0.0.1:0", "--scan", mode, "--scan-rules", str(rules))
        assert done.returncode == 2
        assert all(word in done.stderr for word in [str(rules), *words]), done.stderr


def test_a_fork_bomb_is_told_where_it_is_not_refused(gateway, user):
    answer = gateway.run(user, "if 0:\n    while True:\n        __import__('os').fork()")
    assert [(f["rule"], f["line"]) for f in answer["findings"]] == [("fork-bomb", 3)]


@pytest.mark.skipif(not os.path.exists("/usr/share/jupyter/kernels/xpython/kernel.json"), reason="xeus-python is not installed")
def test_another_kernel_of_the_language(make_gateway, users):
    gateway = make_gateway(kernel="xpython")
    assert gateway.run(users(gateway), HOSTILE)["findings"] == [FINDING]
