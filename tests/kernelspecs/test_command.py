"""tci-kernel by itself, with the kernelspecs of languages that are only a command: no worker and no container."""

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import time

import pytest
from lonekernel import Kernel, Spec

def spec_of(name, **command):
    """A kernelspec; command: what is different in its metadata.tci.command."""
    spec = Spec(name)
    if command:
        spec.change(command)
    return spec


@pytest.fixture
def make(tmp_path):
    made = []

    def start(name, **command):
        top = tmp_path / str(len(made))
        top.mkdir()
        made.append(Kernel(spec_of(name, **command), top))
        return made[-1]

    yield start
    for kernel in made:
        kernel.close()


@pytest.fixture
def bash(make):
    return make("bash")


def output(kernel, code):
    """What code writes, in all: it must end well."""
    kernel.raw()  # an interrupted bash ends its line
    answer = kernel.run(code)
    assert answer["status"] == "ok", answer
    return kernel.raw()


def request(kernel, kind, **content):
    """The reply's content."""
    message = kernel.client.session.msg(kind + "_request", content)
    kernel.client.shell_channel.send(message)
    while True:
        reply = kernel.client.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return reply["content"]


def answer_input(kernel, *lines):
    for line in lines:
        asked = kernel.client.get_stdin_msg(timeout=30)
        assert asked["msg_type"] == "input_request"
        kernel.client.input(line)


def run_with_input(kernel, code, *lines):
    """What it writes, when it is given these lines as it asks for them."""
    msg_id = kernel.client.execute(code, allow_stdin=True, stop_on_error=False)
    answer_input(kernel, *lines)
    reply = {"parent_header": {}}
    while reply["parent_header"].get("msg_id") != msg_id:
        reply = kernel.client.get_shell_msg(timeout=30)
    return kernel.raw()


# --- any language


def test_start_is_silent_and_leaves_nothing(make, tmp_path):
    kernel = make("perl")
    assert kernel.raw() == ""
    output(kernel, "1;")
    assert not os.listdir(kernel.workspace)
    left = set(os.listdir(kernel.tmp))
    assert len(left) == 1
    kernel.client.shutdown()
    assert kernel.process.wait(30) == 0
    assert not os.listdir(kernel.tmp)


def test_kernel_info(make):
    info = request(make("c"), "kernel_info")
    assert info["status"] == "ok" and info["protocol_version"] == "5.3"
    language = info["language_info"]
    assert (language["name"], language["file_extension"], language["mimetype"]) == ("c", ".c", "text/x-csrc")
    assert language["version"] == subprocess.check_output(["gcc", "-dumpfullversion"], text=True).strip()


def test_messages_of_one_execution(make):
    kernel = make("perl")
    assert kernel.run("print 1;")["types"] == ["status", "execute_input", "status"]
    assert kernel.run("print 1;", silent=True)["types"] == ["status", "status"]
    assert kernel.run(" \n")["types"] == ["status", "execute_input", "status"]
    assert request(kernel, "execute", code="1;", silent=False, allow_stdin=False)["execution_count"] == 2


def test_what_was_sent_behind_a_failure_is_not_run(make):
    kernel = make("perl")
    first = kernel.client.execute("select undef, undef, undef, 0.3; exit 1;", allow_stdin=False)
    second = kernel.client.execute("print 'not reached';", allow_stdin=False)
    states = {}
    while len(states) < 2:
        reply = kernel.client.get_shell_msg(timeout=30)
        states[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    assert states == {first: "error", second: "aborted"} and kernel.raw() == ""


@pytest.mark.parametrize("code, ename, evalue", [
    ("exit 3;", "ExitStatus", "exit status 3"),
    ("kill 'SEGV', $$; sleep 9;", "SIGSEGV", "ended by signal 11: Segmentation fault"),
])
def test_how_a_program_ends(make, code, ename, evalue):
    kernel = make("perl")
    msg_id = kernel.client.execute(code, allow_stdin=False)
    reply = kernel.client.get_shell_msg(timeout=30)
    assert reply["parent_header"]["msg_id"] == msg_id
    content = reply["content"]
    assert (content["ename"], content["evalue"], content["traceback"]) == (ename, evalue, [f"{ename}: {evalue}"])


@pytest.mark.parametrize("code", ["sleep 600;", "$SIG{INT} = 'IGNORE'; while (1) {}",
                                  "if (fork) { wait } else { sleep 600 }"])
def test_interrupt_ends_the_whole_group(make, code):
    kernel = make("perl")
    kernel.run("print 1;")
    begun = time.monotonic()
    assert kernel.run(code, interrupt=kernel.interrupt)["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - begun < 30
    assert not subprocess.run(["pgrep", "-P", str(kernel.process.pid)], capture_output=True).stdout
    kernel.raw()
    assert output(kernel, "print 2;") == "2"


def test_interrupt_by_message(make):
    kernel = make("perl")
    ask = kernel.client.session.msg("interrupt_request", {})
    assert kernel.run("sleep 600;", interrupt=lambda: kernel.client.control_channel.send(ask))["ename"] == "KeyboardInterrupt"


def test_an_interrupt_while_idle_does_nothing(make):
    kernel = make("perl")
    os.kill(kernel.process.pid, signal.SIGINT)
    assert output(kernel, "print 1;") == "1"


def test_what_is_left_of_a_program_ends_with_it(make):
    kernel = make("perl")
    pid = int(output(kernel, "$| = 1; my $p = fork; if (!$p) { sleep 600; exit } print $p;"))
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")


def test_output_comes_as_it_is_written(make):
    kernel = make("perl")
    kernel.client.execute("$| = 1; print 'first'; sleep 600;", allow_stdin=False)
    deadline = time.monotonic() + 20
    seen = ""
    while seen != "first" and time.monotonic() < deadline:
        seen += kernel.raw()
        time.sleep(0.02)
    assert seen == "first"


def test_compile_error(make):
    kernel = make("c")
    kernel.client.execute("int main(void)\n{\n    return nonsense;\n}\n", allow_stdin=False)
    content = kernel.client.get_shell_msg(timeout=30)["content"]
    assert (content["ename"], content["evalue"]) == ("CompileError", "gcc: exit status 1")
    assert any(line.startswith("main.c:3:") for line in content["traceback"])
    assert kernel.raw() == ""  # it is the error, and not said twice


def test_warnings_are_shown_and_the_program_runs(make):
    text = output(make("c"), '#include <stdio.h>\nint main(void)\n{\n    int unused;\n    puts("ran");\n}\n')
    assert "main.c:4:" in text and "unused" in text and text.endswith("ran\n")


def test_warnings_are_no_part_of_an_error(make):
    kernel = make("c")
    content = request(kernel, "execute", code="int main(void)\n{\n    int unused;\n    return 3;\n}\n",
                      silent=False, allow_stdin=False)
    assert content["ename"] == "ExitStatus" and len(content["traceback"]) == 1, content["traceback"]
    assert kernel.raw().count("[-Wunused-variable]") == 1


def test_errors_of_running_tell_the_two_times_apart(make):
    answer = make("c").run("int main(void) { return 3; }")
    assert answer["ename"] == "ExitStatus" and "built in" in answer["evalue"] and "ran for" in answer["evalue"]


def test_a_compiler_can_be_interrupted(make):
    kernel = make("c", build=["sleep", "600"])
    assert kernel.run("int main(void) {}", interrupt=kernel.interrupt)["ename"] == "KeyboardInterrupt"


def test_a_compiler_that_is_not_there(make):
    kernel = make("c", build=["no-such-compiler"])
    answer = kernel.run("int main(void) {}")
    assert answer["ename"] == "CompileError" and "no-such-compiler" in answer["evalue"]


def test_a_program_that_is_not_there(make):
    kernel = make("perl", run=["no-such-program"])
    assert kernel.run("1;")["ename"] == "NotStarted"


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def descriptors(kernel):
    return set(map(int, os.listdir(f"/proc/{kernel.process.pid}/fd")))


def test_a_program_that_cannot_be_started_keeps_no_input(make):
    kernel = make("perl", run=["no-such-program"])
    before = descriptors(kernel)
    for _ in range(3):
        answer = request(kernel, "execute", code="1;", silent=False, allow_stdin=True, stop_on_error=False)
        assert answer["ename"] == "NotStarted"
    assert descriptors(kernel) == before


def test_without_descriptors_the_kernel_lives_on(make):
    kernel = make("c")
    usual = resource.prlimit(kernel.process.pid, resource.RLIMIT_NOFILE)
    used = descriptors(kernel)
    free = [fd for fd in range(len(used) + 2) if fd not in used]
    resource.prlimit(kernel.process.pid, resource.RLIMIT_NOFILE, (free[1], usual[1]))  # one is enough for a file
    assert "Too many open files" in kernel.run("int main(void) {}")["evalue"]
    resource.prlimit(kernel.process.pid, resource.RLIMIT_NOFILE, usual)
    assert kernel.run("int main(void) {}")["status"] == "ok"


def test_files_beside_the_cell(make):
    kernel = make("c")
    (kernel.workspace / "mine.h").write_text("#define MINE 7\n")
    assert output(kernel, '#include <stdio.h>\n#include "mine.h"\nint main(void) { printf("%d", MINE); }') == "7"


def test_input(make):
    kernel = make("perl")
    code = 'my $a = <STDIN>; my $b = <STDIN>; chomp($a, $b); print "$b$a";'
    assert run_with_input(kernel, code, "one", "two") == "twoone"
    assert run_with_input(kernel, 'print scalar(my @l = <STDIN>);', "one", "two", "\x04") == "2"
    assert output(kernel, 'print defined(<STDIN>) ? 1 : 0;') == "0"  # nobody to ask


def test_input_of_a_child(make):
    assert run_with_input(make("perl"), "$| = 1; system('cat');", "one", "\x04") == "one\n"


def test_code_that_does_not_read_is_asked_nothing(make):
    kernel = make("perl")
    assert run_with_input(kernel, "select undef, undef, undef, 0.3; print 1;") == "1"


@pytest.mark.parametrize("command, word", [
    ({"fiel": "x"}, "fiel"), ({"file": "a/b"}, "file"), ({"run": []}, "run"), ({"feed": "x"}, "feed"),
])
def test_a_wrong_kernel_json_is_refused_by_name(make, tmp_path, command, word):
    spec = spec_of("perl", **command)
    done = subprocess.run(spec.fill(spec.argv, connection_file=tmp_path / "none"), capture_output=True, text=True)
    assert done.returncode == 65 and f"metadata.tci.command.{word}" in done.stderr


# --- what is shown


def test_files_of_what_was_shown_are_removed(flooding):
    assert flooding.run("20")["result"] == "shown"
    assert not [name for name in os.listdir(flooding.tmp) if name.startswith("shown")]


def showing(make, bundle):
    """A session whose only cell shows that, as it is written in a file of JSON."""
    say = r"""cd "$TMPDIR"; printf %s "$BUNDLE" >shown
while read -r number; do printf 'result %s\nexit %d 0\n' "$TMPDIR/shown" "$number" >"$TCI_STATUS"; done"""
    return make("bash", session=["env", f"BUNDLE={bundle}", "bash", "-c", say], feed="{number}")


@pytest.mark.parametrize("text, shown", [
    (r"a\u0000b", "a\0b"), (r"\ud83d", "\ufffd"), (r"\ud83d\ude00", "\U0001f600"), (r"\udc00\u0000", "\ufffd\0")])
def test_shown_text_of_any_characters(make, text, shown):
    assert showing(make, '{"text/plain": "%s"}' % text).run("x")["result"] == shown


# --- a client that does not read what is published


@pytest.fixture
def flooding(make):
    """A session whose cell is how many displays it shows before its value; an interrupt ends it."""
    say = r"""cd "$TMPDIR"; exec 3>"$TCI_STATUS"
trap 'left=0; echo >heeded' INT
show() {
    echo '{"text/plain": "shown"}' >"shown$left"
    echo "$1 $TMPDIR/shown$left" >&3
}
while read -r number file; do
    left=$(<"$file")
    while ((left-- > 0)); do show show; done
    show result
    printf 'exit %d 0\n' "$number" >&3
done"""
    return make("bash", session=["bash", "-c", say], feed="{number} {file}")


def flood(kernel, n):
    """Runs code that shows n displays, of which none is read; returns its id when those that find a place have been sent."""
    msg_id = kernel.client.execute(str(n), allow_stdin=False)
    with pytest.raises(queue.Empty):
        kernel.client.get_shell_msg(timeout=2)
    return msg_id


def published(kernel, msg_id):
    """What an execution publishes: types of messages, or the kernel's states."""
    types = []
    while types[-1:] != ["idle"]:
        msg = kernel.client.get_iopub_msg(timeout=30)
        if msg["parent_header"].get("msg_id") == msg_id:
            types.append(msg["content"].get("execution_state", msg["msg_type"]))
    return types


def test_what_is_read_late_is_not_dropped(flooding):
    msg_id = flood(flooding, 3000)
    assert published(flooding, msg_id) == ["busy", "execute_input"] + 3000 * ["display_data"] + ["execute_result", "idle"]
    assert flooding.client.get_shell_msg(timeout=30)["content"]["status"] == "ok"


@pytest.mark.parametrize("by_message", [False, True])
def test_interrupt_of_what_nobody_reads(flooding, by_message):
    msg_id = flood(flooding, 100000)
    if by_message:
        flooding.client.control_channel.send(flooding.client.session.msg("interrupt_request", {}))
        assert flooding.client.get_control_msg(timeout=30)["content"]["status"] == "ok"
    else:
        flooding.process.send_signal(signal.SIGINT)
    wait_for(lambda: (flooding.tmp / "heeded").exists())
    assert published(flooding, msg_id)[-2:] == ["error", "idle"]
    assert flooding.client.get_shell_msg(timeout=30)["content"]["ename"] == "KeyboardInterrupt"
    answer = flooding.run("1")
    assert (answer["status"], answer["result"]) == ("ok", "shown")


@pytest.mark.parametrize("by_message", [False, True])
def test_end_of_what_nobody_reads(flooding, by_message):
    flood(flooding, 100000)
    if by_message:
        flooding.client.shutdown()
    else:
        flooding.process.terminate()
    assert flooding.process.wait(30) == 0


# --- bash, which has state


def test_state_in_bash(bash):
    output(bash, "kept=41; f() { echo $((kept + $1)); }; cd /usr; export there=1; alias hi='echo hi'")
    assert output(bash, "f 1; pwd; sh -c 'echo $there'; hi") == "42\n/usr\n1\nhi\n"


def test_status_of_the_last_command(bash):
    answer = bash.run("true; (exit 7)")
    assert (answer["ename"], answer["evalue"]) == ("ExitStatus", "exit status 7")
    assert output(bash, "echo $?") == "7\n"
    assert bash.run("nonsense_command")["evalue"] == "exit status 127"
    assert bash.run("if")["ename"] == "ExitStatus"


@pytest.mark.parametrize("code", ["sleep 600", "while :; do :; done", "sleep 600 | cat; echo not reached",
                                  "for i in 1 2 3; do sleep 600; done"])
def test_interrupt_keeps_the_shell(bash, code):
    output(bash, "kept=41")
    assert bash.run(code, interrupt=bash.interrupt)["ename"] == "KeyboardInterrupt"
    assert output(bash, "echo $kept") == "41\n"


def test_a_shell_that_ignores_interrupts_is_replaced(bash):
    assert output(bash, "echo begun") == "begun\n"
    answer = bash.run("trap '' INT; while :; do :; done", interrupt=bash.interrupt)
    assert answer["ename"] == "KeyboardInterrupt" and "lost" in answer["evalue"]
    assert output(bash, "echo new") == "new\n"


@pytest.mark.parametrize("code, status", [
    ("exit 3", 3), ("set -e; false; echo not reached", 1), ("exit", 0), ("set -eu; echo $unset_name", 1)])
def test_exit_ends_the_code_and_not_the_state(bash, code, status):
    output(bash, "kept='a b'; list=(1 '2 3'); f() { echo f; }; cd /usr; declare -A map=([k]=v); set +eu")
    answer = bash.run(code)
    assert answer["evalue"] == (f"exit status {status}" if status else None)
    bash.raw()
    assert output(bash, 'set +eu; echo "$kept" "${list[1]}" "${map[k]}"; f; pwd') == "a b 2 3 v\nf\n/usr\n"


@pytest.mark.parametrize("settings", ["set -e", "set -euo pipefail", "set -eE; trap 'echo trapped' ERR"])
def test_strict_settings_end_nothing_of_ours(bash, settings):
    """The shell's, of which it has learnt that the last cell failed, or that there are no completions."""
    output(bash, f"kept=41; {settings}")
    assert bash.run("sleep 600", interrupt=bash.interrupt)["ename"] == "KeyboardInterrupt"
    assert request(bash, "complete", code="cat no_such_", cursor_pos=12)["matches"] == []
    assert output(bash, 'echo $? $kept; [[ $- == *e* ]] && echo strict') == "130 41\nstrict\n"


def test_a_trap_of_errors_is_told_each_once(bash):
    bash.run("trap 'echo failed' ERR; false")
    assert bash.raw() == "failed\n"
    assert output(bash, "echo $?") == "1\n"


def test_a_shell_without_programs_goes_on(bash):
    for _ in range(2):
        bash.run("kept=41; set -e; PATH=/nowhere; ls")
    bash.raw()
    assert output(bash, "echo $kept") == "41\n"


def test_functions_with_patterns_are_kept(bash):
    bash.run("shopt -s extglob")
    bash.run("f() { case $1 in +([0-9])) echo number ;; esac; }; kept=41; alias hi='echo hi'; cd /usr; exit")
    assert output(bash, "f 12; echo $kept; hi; pwd") == "number\n41\nhi\n/usr\n"


def test_a_shell_that_is_killed_is_replaced(bash):
    answer = bash.run("kept=1; kill -9 $$")
    assert answer["ename"] == "SessionEnded" and "lost" in answer["evalue"]
    assert output(bash, 'echo "[$kept]"') == "[]\n"


@pytest.mark.parametrize("code", ["PROMPT_COMMAND=", "unset PROMPT_COMMAND", "PS1='$ ' PS2='> '", "set -x",
                                  "printf() { :; }", "exec 3>&-", "IFS=x", "set -C", "set -u", "trap 'echo t' DEBUG",
                                  "shopt -s expand_aliases; alias builtin=false"])
def test_what_users_do_to_their_shell(bash, code):
    bash.run(code)
    bash.raw()
    assert "done 1\n" in output(bash, "command echo 'done' 1")


def test_an_error_that_is_no_utf8(make):
    say = r"read -r number file; printf 'error N\351: f\374r\nexit %s 1\n' $number >$TCI_STATUS; sleep 600"
    kernel = make("bash", session=["bash", "-c", say], feed="{number} {file}")
    answer = kernel.run("x")
    assert (answer["ename"], answer["evalue"]) == ("N?", "f?r")
    assert kernel.process.poll() is None


def test_background_jobs_live_on(bash):
    output(bash, "sleep 600 & job=$!")
    bash.run("sleep 600", interrupt=bash.interrupt)
    assert output(bash, "kill -0 $job && echo lives; kill $job") == "lives\n"


def test_cells_do_not_read_the_next_ones(bash):
    assert output(bash, "cat; read -r x; echo \"[$x]\"") == "[]\n"
    assert output(bash, "exec 0</dev/null; echo still here") == "still here\n"


def test_input_in_bash(bash):
    assert run_with_input(bash, 'read -r name; echo "hello $name"', "you") == "hello you\n"
    assert run_with_input(bash, "head -n 1; cat", "one", "two", "\x04") == "one\ntwo\n"


def test_completion(bash):
    output(bash, "long_name_of_a_variable=1; long_function() { :; }; touch long_file; mkdir -p d; touch d/inner")

    def complete(code, cursor=None):
        cursor = len(code) if cursor is None else cursor
        reply = request(bash, "complete", code=code, cursor_pos=cursor)
        assert reply["cursor_end"] == cursor
        return [code[:reply["cursor_start"]] + match for match in reply["matches"]]

    assert complete("echo $long_n") == ["echo $long_name_of_a_variable"]
    assert "long_function" in complete("long_f") and "long_file" in complete("long_f")
    assert complete("cat long_f") == ["cat long_file"]
    assert complete("ls d/i; echo", cursor=6) == ["ls d/inner"]
    assert complete("é; cat long_f") == ["é; cat long_file"]
    assert complete("cat no_such_") == []
    assert output(bash, "echo $?") == "0\n"


@pytest.mark.parametrize("code, status", [
    ("echo 1", "complete"), ("if true; then", "incomplete"), ("echo 'a", "incomplete"), ("fi", "invalid")])
def test_is_complete(bash, code, status):
    assert request(bash, "is_complete", code=code)["status"] == status


def test_languages_without_a_check(make):
    assert request(make("c"), "is_complete", code="int main(")["status"] == "unknown"
    assert request(make("perl"), "complete", code="pri", cursor_pos=3)["matches"] == []


# --- as others see a kernel


def test_jupyter_kernel_test(tmp_path):
    """The suite by which Jupyter's kernels are tested.  What cells write is in no stream message (kernel/main.c), so what
    it says of these is left out."""
    pytest.importorskip("jupyter_kernel_test", reason="python3-jupyter-kernel-test is not installed")
    spec = spec_of("bash")
    home = tmp_path / "kernels" / "bash"
    home.mkdir(parents=True)
    (home / "session.bash").write_text(open(os.path.join(spec.directory, "session.bash"), encoding="utf-8").read())
    text = json.loads(open(os.path.join(spec.directory, "kernel.json"), encoding="utf-8").read())
    text["argv"] = spec.argv
    (home / "kernel.json").write_text(json.dumps(text))
    suite = tmp_path / "suite.py"
    suite.write_text("""
import unittest
import jupyter_kernel_test

class Bash(jupyter_kernel_test.KernelTests):
    kernel_name = "bash"
    language_name = "bash"
    file_extension = ""
    code_generate_error = "false"
    completion_samples = [{"text": "ech", "matches": {"echo"}}]
    complete_code_samples = ["echo 1"]
    incomplete_code_samples = ["if true; then"]
    invalid_code_samples = ["fi"]

unittest.main(verbosity=2)
""")
    done = subprocess.run([sys.executable, str(suite)], env={**os.environ, "JUPYTER_PATH": str(tmp_path)},
                          cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Ran 12 tests" in done.stderr and "OK (skipped=8)" in done.stderr
