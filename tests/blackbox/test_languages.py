"""Every language of kernelspecs/ but Python: what a session of it does.  languages.py says which are tested."""
import json
import os
import subprocess

import pytest

from harness import SOURCE_DIR, eventually
from languages import LANGUAGES, skip_unless_tested

PNG = "iVBORw0KGgo"  # as base64


@pytest.fixture(params=sorted(LANGUAGES))
def name(request):
    skip_unless_tested(request.param)
    return request.param


@pytest.fixture
def language(name):
    return LANGUAGES[name]


@pytest.fixture
def on(name, gateway, user):
    """on(code, ...) runs code in one session of the language."""
    answer = gateway.client.post("/v1/sessions", json={"user_uuid": user, "kernel": name})
    assert answer.status_code == 201, answer.text

    def run(code, **more):
        answer = gateway.execute(user, code, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    run.gateway, run.user = gateway, user
    return run


def needs(value, what):
    if value is None:
        pytest.skip(f"the language has no {what}")
    return value


def shown(answer):
    """Its text, wherever the kernel has put a value."""
    return "\n".join([answer["result_text"] or "", *answer["displays"]])


def test_each_directory_has_its_code():
    found = {name for name in os.listdir(os.path.join(SOURCE_DIR, "kernelspecs")) if name[0] not in "._"}
    assert found - set(LANGUAGES) == {"python3", "python3-fast", "xpython"}


def test_listed(name, gateway):
    listed = {one["name"]: one for one in gateway.client.get("/v1/kernels").json()["kernels"]}
    assert listed[name]["available"], listed[name]


def test_hello(on, language):
    for _ in range(2):
        answer = on(language.hello)
        assert answer["error"] is None and answer["result_text"] == "hello\n"
    assert answer["execution_count"] == 2 and not answer["restarted"]


def test_what_start_sh_suggests(on, name):
    told = subprocess.run(["sh", "-c", '. ./common.sh; hello "$(kernel_language "$1")"', "sh", name], cwd=SOURCE_DIR,
                          capture_output=True, text=True, check=True).stdout
    answer = on(json.loads(f'"{told}"'))
    assert answer["error"] is None and shown(answer).strip() == "42", told


def test_standard_error(on, language):
    answer = on(needs(language.writes, "such code here"))
    assert answer["error"] is None and answer["result_text"] == "err\n"


def test_error_and_life_after_it(on, language):
    answer = on(language.fails)
    assert language.ename in answer["error"]["ename"]
    assert answer["result_text"].strip()
    assert on(language.hello)["result_text"] == "hello\n"


def test_code_that_cannot_be_built(on, language):
    answer = on(needs(language.invalid, "compiler"))
    assert answer["error"]["ename"] == "CompileError"
    assert "/tmp/" not in answer["result_text"]  # where the cell was is of no interest
    assert on(language.hello)["error"] is None


def test_state(on, language):
    on(needs(language.keep, "state between cells"))
    assert "42" in shown(on(language.kept))


def test_input_is_refused(on, language):
    assert on(needs(language.reads, "such code here"))["result_text"] == "[]\n"


def v1(on, call, **body):
    """The answer of a call of the session under /v1."""
    answer = on.gateway.client.post(f"/v1/sessions/{on.user}/{call}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.crun_only("gVisor's /proc does not tell who waits for input: there is none")
def test_input_by_v1(on, language):
    answer = v1(on, "executions", code=needs(language.reads, "such code here"), stdin="some line\n")
    assert (answer["status"], answer["stdout"]) == ("ok", "[some line]\n")


def test_streams_and_values_by_v1(on, language):
    assert v1(on, "executions", code=language.hello)["stdout"] == "hello\n"
    if language.writes:
        assert v1(on, "executions", code=language.writes)["stderr"] == "err\n"
    if language.keep:
        v1(on, "executions", code=language.keep)
        answer = v1(on, "executions", code=language.kept)
        assert answer["status"] == "ok" and "42" in json.dumps([answer["stdout"], answer["outputs"]])


def test_completion(on, language):
    typed, whole = needs(language.completes, "completion here")
    answer = v1(on, "complete", code=typed, cursor_pos=len(typed))
    assert whole in [typed[:answer["cursor_start"]] + match for match in answer["matches"]]


def test_interrupt(on, language):
    """A client that hangs up: its code ends, and its session lives on."""
    if language.keep:
        on(language.keep)
    else:
        on(language.hello)
    with on.gateway.new_client() as client, pytest.raises(Exception, match="timed out"):
        client.post("/execute", json={"user_uuid": on.user, "code": language.forever}, timeout=2)
    eventually(lambda: on.gateway.session(on.user)["state"] == "idle", 30, "the code has ended")
    answer = on(language.kept if language.keep else language.hello)
    assert ("42" if language.keep else "hello") in shown(answer) and not answer["restarted"]


def test_time_limit(on, language):
    assert on.gateway.execute(on.user, language.forever, timeout=2).status_code == 504
    answer = on(language.hello)
    assert answer["result_text"] == "hello\n" and answer["restarted"]


def test_plot(on, language):
    answer = on(needs(language.plot, "plots here"))
    assert answer["error"] is None and len(answer["images"]) == 1
    assert answer["images"][0]["data"].startswith(PNG)
