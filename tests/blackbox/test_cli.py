"""test_cli.py - the terminal client tci against a real gateway: what it prints, where, and with which exit status."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading
import time

import pytest

import harness
from harness import eventually, patience

PNG = "from IPython.display import display\ndisplay({'image/png': 'iVBORw0KGgo=\\n', 'text/plain': 'p'}, raw=True)"


class Running:
    """tci as it runs, with a pipe to each of its ends; what it has printed so far."""

    def __init__(self, gateway, *args):
        env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir}
        self.process = subprocess.Popen([os.path.join(harness.build_dir(), "cli", "tci"), *args], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **gateway.identity())
        self.out, self.err = bytearray(), bytearray()
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(pipe, into):
        while chunk := os.read(pipe.fileno(), 65536):
            into += chunk

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        code = self.process.wait(patience())
        for reader in self.readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return code


@pytest.fixture
def running(gateway):
    made = []

    def start(*args):
        made.append(Running(gateway, *args))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.end()


def sessions(gateway):
    return gateway.client.get("/v1/sessions").json()["sessions"]


# --------------------------------------------------------------------------------------------------- exec and run


def test_output_goes_where_the_code_sent_it(gateway):
    ran = gateway.tci("exec", "-c", "import sys\nprint('ä')\nprint('b', file=sys.stderr)\n[1, 2]")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ä\n[1, 2]\n", "b\n")
    assert sessions(gateway) == []


def test_an_exception(gateway):
    ran = gateway.tci("exec", "-c", "print('before')\n1/0")
    assert ran.returncode == 1 and ran.stdout == "before\n"
    assert "ZeroDivisionError: division by zero" in ran.stderr and "\x1b" not in ran.stderr
    assert sessions(gateway) == []


def test_other_endings(gateway):
    ran = gateway.tci("exec", "--timeout", "0.5", "-c", "import time; time.sleep(60)")
    assert ran.returncode == 4 and "0.5 s" in ran.stderr
    ran = gateway.tci("exec", "-c", "import os; os._exit(3)")
    assert ran.returncode == 5 and "status 3" in ran.stderr


def test_output_comes_as_it_is_printed(running):
    tci = running("exec", "-c", "print('one', flush=True)\ninput('more? ')\nprint('two')")
    eventually(lambda: bytes(tci.out) == b"one\n" and bytes(tci.err) == b"more? ")
    tci.say("yes\n")
    assert tci.end() == 0 and bytes(tci.out) == b"one\ntwo\n"


def test_input(running):
    tci = running("exec", "-c", "print(input('? ') + input() + '!')\ninput()")
    tci.say("ä\nb\n")
    eventually(lambda: b"!" in tci.out)
    tci.process.stdin.close()
    assert tci.end() == 1
    assert tci.out.decode() == "äb!\n" and b"EOFError" in tci.err


def test_input_is_the_line_but_for_its_end(running):
    tci = running("exec", "-c", "print([input() for _ in range(4)])")
    tci.say("50%\r100%\n\ra\r\r\nnul\0l\n\r\n")
    assert tci.end() == 0 and tci.out.decode() == repr(["50%\r100%", "\ra\r", "nul\0l", ""]) + "\n"


def test_interrupt(gateway, users, running):
    one = users(gateway)
    gateway.tci("exec", "-s", one, "-c", "1/0")  # the first traceback takes its time
    tci = running("exec", "-s", one, "-c",
                  "import time\ntry:\n    print('x', flush=True)\n    time.sleep(60)\nfinally:\n    print('finally')")
    eventually(lambda: tci.out == b"x\n")
    tci.interrupt()
    assert tci.end() == 130
    assert tci.out == b"x\nfinally\n" and b"KeyboardInterrupt" in tci.err
    assert [s["state"] for s in sessions(gateway)] == ["idle"]


def test_a_second_interrupt_leaves(gateway, running):
    tci = running("exec", "-c", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('x', flush=True)\n"
                                "time.sleep(60)")
    eventually(lambda: tci.out == b"x\n")
    tci.interrupt()
    eventually(lambda: [s["state"] for s in sessions(gateway)] == ["busy"])
    time.sleep(patience(0.3))  # two that come at once are one
    tci.interrupt()
    assert tci.end() == 130 and bytes(tci.err) == b"tci exec: interrupted\n"  # and not the end that it has after the grace
    eventually(lambda: sessions(gateway) == [])


def shell(gateway, command):
    """The command in a shell, whose $TCI is tci and where no core is written."""
    env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir,
           "TCI": os.path.join(harness.build_dir(), "cli", "tci")}
    return subprocess.run(["bash", "-c", f"ulimit -c 0; {command}"], env=env, capture_output=True, text=True, timeout=patience(),
                          **gateway.identity())


@pytest.mark.parametrize("command", ["exec -c -", "repl"])
def test_who_reads_no_further_ends_the_code(gateway, command):
    """Its session does not stay behind, and nothing is said of what was wanted."""
    ran = shell(gateway, f"echo \"while True: print('x' * 1000)\" | $TCI {command} | head -c 3; echo ${{PIPESTATUS[1]}}")
    assert (ran.stdout, ran.stderr) == (f"xxx{128 + signal.SIGPIPE}\n", "")
    assert sessions(gateway) == []


def wait_until_stuck(pid):
    """Until tci has not run for longer than it ever waits for the server."""
    last, since = None, time.monotonic()

    def stands():
        nonlocal last, since
        runs = [harness.status_field(pid, name) for name in ("State", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")]
        if runs != last or runs[0].startswith("R"):
            last, since = runs, time.monotonic()
        return time.monotonic() > since + 1 + patience(0.5)

    eventually(stands, 60, "tci waits for room")


@pytest.fixture
def unread(gateway):
    """unread(words) starts tci, into a pipe that nobody reads; it is full, and tci waits for room, when this returns."""
    made = []

    def start(*words):
        env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir}
        tci = subprocess.Popen([os.path.join(harness.build_dir(), "cli", "tci"), *words], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **gateway.identity())
        made.append(tci)
        eventually(lambda: int.from_bytes(fcntl.ioctl(tci.stdout, termios.FIONREAD, bytes(4)), "little") > 32_000)
        wait_until_stuck(tci.pid)
        return tci

    yield start
    for tci in made:
        tci.kill()
        tci.wait()
        tci.stdout.close()
        tci.stderr.close()


@pytest.mark.parametrize("words", [["exec", "-c", "print('x' * 1000000); import time; time.sleep(60)"],
                                   ["exec", "-c", "'x' * 1000000"], ["exec", "--json", "-c", "print('x' * 1000000)"]])
def test_who_does_not_read_keeps_nobody(gateway, unread, words):
    tci = unread(*words)
    tci.send_signal(signal.SIGTERM)
    assert tci.wait(20 * harness.slack()) == 130
    assert sessions(gateway) == []


def test_an_interrupt_while_nobody_reads(gateway, unread):
    """The first one is the code's; what there is no room for is not there, which is said."""
    tci = unread("exec", "-c", "import time\ntry:\n    print('x' * 1000000, flush=True)\n    time.sleep(60)\n"
                               "except KeyboardInterrupt:\n    pass")
    tci.send_signal(signal.SIGINT)
    eventually(lambda: tci.poll() is not None or [s["state"] for s in sessions(gateway)] == ["idle"])
    threading.Thread(target=tci.stdout.read, daemon=True).start()
    assert (tci.wait(patience()), tci.stderr.read()) == (0, b"tci exec: not all output is here\n")


def test_no_room_for_the_output(gateway):
    """The code does not go on for nothing."""
    ran = shell(gateway, "$TCI exec -c 'import time\nfor _ in range(200):\n    print(1, flush=True)\n    time.sleep(0.1)' >/dev/full")
    assert (ran.returncode, ran.stderr) == (1, "tci: cannot write: No space left on device\n")
    assert sessions(gateway) == []


def test_streams_that_are_closed(gateway):
    """Nothing of its own takes their place."""
    ran = shell(gateway, "$TCI exec -c 'input()' <&-")
    assert ran.returncode == 1 and "EOFError" in ran.stderr
    ran = shell(gateway, "$TCI exec -c 'print(1)' >&-")
    assert (ran.returncode, ran.stdout) == (1, "") and re.fullmatch("tci: cannot write.*\n", ran.stderr)
    ran = shell(gateway, "$TCI exec -c 'print(1); import sys; print(2, file=sys.stderr)' 2>&-")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1\n", "")
    ran = shell(gateway, "$TCI repl <&-")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert sessions(gateway) == []


def test_a_session_stays(gateway, users):
    one = users()
    assert gateway.tci("exec", "--session", one, "-c", "x = 41").returncode == 0
    assert gateway.tci("exec", "-s", one, "-c", "x + 1").stdout == "42\n"
    assert [s["id"] for s in sessions(gateway)] == [one]
    assert gateway.tci("sessions", "delete", one).returncode == 0
    assert sessions(gateway) == []


def test_json_is_the_servers(gateway):
    ran = gateway.tci("exec", "--json", "-c", "print('\\x1b[2Jä')\n1/0")
    assert ran.returncode == 1 and ran.stderr == "" and "\x1b" not in ran.stdout and ran.stdout.isascii()
    answer = json.loads(ran.stdout)
    assert answer["stdout"] == "\x1b[2Jä\n" and answer["error"]["ename"] == "ZeroDivisionError"


def test_run(gateway, tmp_path):
    file = tmp_path / "a b.py"
    file.write_text("import sys\nprint(sys.argv[1:], 'ü')\n1/0")
    ran = gateway.tci("run", str(file), "--json", "-c", "😀'\"\\")
    assert ran.returncode == 1 and ran.stdout == "['--json', '-c', '😀\\'\"\\\\'] ü\n"
    assert "line 3" in ran.stderr
    script = tmp_path / "x.sh"
    script.write_text("echo $((6 * 7))\n")
    assert gateway.tci("run", str(script)).stdout == "42\n"
    assert gateway.tci("run", str(script), "word").returncode == 2
    assert gateway.tci("run", str(tmp_path / "none.py")).returncode == 1


def test_images(gateway, tmp_path):
    if harness.rootless():
        tmp_path.chmod(0o777)
    for n in (1, 2):
        ran = gateway.tci("exec", "--images", str(tmp_path), "-c", PNG)
        path = re.fullmatch(r"\[image: (.*)\]\n", ran.stderr).group(1)
        assert ran.returncode == 0 and ran.stdout == "" and path == str(tmp_path / f"tci-{n}.png")
        with open(path, "rb") as f:
            assert f.read() == b"\x89PNG\r\n\x1a\n"
    ran = gateway.tci("exec", "--images", str(tmp_path / "none"), "-c", PNG)
    assert "could not be written" in ran.stderr


def test_an_image_without_room(gateway, tmp_path):
    """Half of it does not stay."""
    if harness.rootless():
        tmp_path.chmod(0o777)
    (tmp_path / "code").write_text(PNG)
    ran = shell(gateway, f"trap '' XFSZ; ulimit -f 0; $TCI exec --images {tmp_path} -c - < {tmp_path}/code")
    assert (ran.returncode, ran.stderr) == (0, f"[an image could not be written to {tmp_path}: File too large]\n")
    assert os.listdir(tmp_path) == ["code"]


def test_much_output_arrives_whole(gateway):
    ran = gateway.tci("exec", "-c", "for i in range(20000): print(i)")
    assert ran.returncode == 0 and ran.stdout == "".join(f"{i}\n" for i in range(20000))


# --------------------------------------------------------------------------------------------------- where, and who


def test_what_is_wrong_is_said(gateway, state_dir):
    ran = harness.run_tci("status", state_dir=state_dir)
    assert ran.returncode == 3 and "No gateway is running" in ran.stderr
    ran = harness.run_tci("status", "--url", "http://127.0.0.1:1", state_dir=state_dir)
    assert ran.returncode == 3 and ran.stderr.startswith("tci status: http://127.0.0.1:1 cannot be reached: ")
    assert harness.run_tci("status", "--url", "ftp://x", state_dir=state_dir).returncode == 2
    ran = harness.run_tci("status", "--url", gateway.url, "--token", "wrong", state_dir=state_dir)
    assert ran.returncode == 3 and ran.stderr.count("\n") == 1
    ran = gateway.tci("exec", "--language", "klingon", "-c", "1")
    assert ran.returncode == 3 and "klingon" in ran.stderr
    ran = gateway.tci("sessions", "show", "nobody")
    assert ran.returncode == 3 and ran.stderr == "tci sessions: There is no such session\n"


def test_the_token_goes_to_its_own_gateway_only(gateway):
    """The master token of the state directory is not for whoever --url names."""
    elsewhere = gateway.url.replace("127.0.0.1", "localhost")
    assert elsewhere != gateway.url
    ran = gateway.tci("status", "--url", elsewhere)
    assert ran.returncode == 3 and "wants a token" in ran.stderr
    assert gateway.tci("token", "--url", elsewhere).returncode == 1
    assert gateway.tci("token").stdout == gateway.token + "\n"


def test_by_the_environment(gateway, state_dir):
    env = {"TCI_URL": gateway.url + "/", "TCI_AUTH_TOKEN": gateway.make_key()}
    ran = harness.run_tci("exec", "-c", "print('in')", state_dir=state_dir, env=env)
    assert (ran.returncode, ran.stdout) == (0, "in\n")


@pytest.mark.parametrize("words", [
    ["exec"], ["exec", "-c"], ["exec", "-c", "1", "2"], ["exec", "--timeout", "x", "-c", "1"], ["run"], ["sessions", "what"],
    ["sessions", "show"], ["sessions", "delete"], ["sessions", "--kernel", "x"], ["sessions", "show", "a/b"], ["status", "x"],
    ["kernels", "--session", "x"], ["token", "--session", "x"], ["files"], ["packages"], ["packages", "-s", "x"], ["exec", "-r", "-c", "1"],
])
def test_wrong_usage(gateway, words):
    ran = gateway.tci(*words)
    assert ran.returncode == 2 and ran.stdout == "" and f"Try 'tci {words[0]} --help'" in ran.stderr


@pytest.mark.parametrize("command", ["exec", "run", "repl", "sessions", "files", "packages", "kernels", "status", "token"])
def test_help(command):
    ran = harness.run_tci(command, "--help")
    assert ran.returncode == 0 and ran.stdout.startswith(f"Usage: tci {command}") and "--url" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 100


# ------------------------------------------------------------------------------------------------ what there is


def test_sessions(gateway):
    made = gateway.tci("sessions", "create", "--session", "mine", "--language", "bash")
    assert (made.returncode, made.stdout) == (0, "mine\n")
    drawn = gateway.tci("sessions", "create").stdout.strip()
    assert re.fullmatch("s-[0-9a-f]{32}", drawn)
    lines = gateway.tci("sessions").stdout.splitlines()
    assert lines[0].startswith("ID ") and {line.split()[0] for line in lines[1:]} == {"mine", drawn}
    assert {s["id"] for s in json.loads(gateway.tci("sessions", "list", "--json").stdout)["sessions"]} == {"mine", drawn}
    assert re.search(r"^language +bash$", gateway.tci("sessions", "show", "mine").stdout, re.M)
    assert gateway.tci("exec", "-s", "mine", "-c", "echo $BASH_VERSION | cut -c1").stdout.strip().isdigit()
    assert gateway.tci("sessions", "delete", "mine", drawn).returncode == 0
    assert sessions(gateway) == []


def test_kernels_and_status(gateway):
    shown = gateway.tci("kernels").stdout
    assert re.search(r"^python3 +python .*the default$", shown, re.M)
    assert json.loads(gateway.tci("kernels", "--json").stdout)["kernels"]
    assert re.search(r"^max_total_workers +12$", gateway.tci("status").stdout, re.M)
    assert json.loads(gateway.tci("status", "--json").stdout)["version"]


def test_every_command_has_json(gateway, users):
    """One shape: the server's answer as it is, and of what goes wrong the server's error."""
    one = users(gateway)

    def told(*words, code=0):
        ran = gateway.tci(words[0], "--json", *words[1:])
        assert (ran.returncode, ran.stderr) == (code, "") and ran.stdout.isascii(), ran
        return json.loads(ran.stdout)

    assert told("sessions", "create", "-s", one)["id"] == one
    assert told("sessions", "show", one)["state"] in ("idle", "starting")
    assert told("exec", "-s", one, "-c", "2")["result"]["text"] == "2"
    assert told("files", "-s", one) == {"files": []}
    assert told("token") == {"token": gateway.token}
    key = told("keys", "create", "--name", "n", "--rate", "5/min")
    assert key["key"].startswith("tci_") and key["name"] == "n" and key["rate"] == 5 and key["expires_at"] is None
    assert told("keys", "revoke", key["id"]) == {"id": key["id"], "revoked": True}
    listed = {k["id"]: k for k in told("keys", "list")["keys"]}
    assert listed[key["id"]]["state"] == "revoked" and "key" not in listed[key["id"]]
    assert told("sessions", "show", "nobody", code=3)["error"] == {"code": "not_found", "message": "There is no such session"}
    assert told("status", "--url", "http://127.0.0.1:1", code=3)["error"]["code"] == "unreachable"
    assert told("run", "/none", code=1)["error"]["code"] == "client_error"
    assert told("keys", "list", "--state-dir", "/none", code=1)["error"]["code"] == "client_error"
    assert gateway.tci("sessions", "delete", one, "--json").stdout == ""


# ------------------------------------------------------------------------------------------- manual and completion

COMMANDS = ["exec", "run", "repl", "sessions", "files", "packages", "kernels", "status", "token", "keys"]


def options_of(command):
    """The long options that its help begins a line with."""
    return set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", harness.run_tci(command, "--help").stdout, re.M))


def source(name):
    return harness.read_text(os.path.join(harness.SOURCE_DIR, "cli", name))


def test_the_manual_has_every_option():
    usage = harness.run_tci("--help").stdout
    assert re.findall(r"^  (\w+) ", usage, re.M) and set(re.findall(r"^  (\w+) ", usage, re.M)) == set(COMMANDS)
    page = source("tci.1").replace("\\-", "-")
    for command in COMMANDS:
        assert f".B {command}\n" in page
        for option in options_of(command):
            assert re.search(rf"^\.(B|BI|BR) .*{option}\b", page, re.M), option


def completions(*words, before=""):
    """What bash offers in place of the last of them; before: shell commands that come first."""
    script = (f"source {harness.SOURCE_DIR}/cli/tci.bash; {before}\n"
              "COMP_LINE=\"tci $*\"; COMP_WORDS=(tci \"$@\"); COMP_CWORD=$#; _tci; printf '%s\\n' \"${COMPREPLY[@]}\"")
    ran = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=patience())
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split("\n")) - {""}


def test_completion_in_bash():
    assert completions("") == {*COMMANDS, "--help", "--version"}
    assert completions("se") == {"sessions"}
    for command in COMMANDS:
        assert {word for word in completions(command, "") if word.startswith("--")} == options_of(command), command
    assert completions("sessions", "cr") == {"create"}
    assert completions("files", "mk") == {"mkdir"}
    assert completions("files", "put", "/us") == {"/usr"}


def test_completion_takes_names_as_text(tmp_path):
    """They are what a server says they are."""
    trap = f"$(touch${{IFS}}{tmp_path}/hit)"
    lists = f"tci() {{ printf '%s\\n' 'ID KERNEL' 'fine {trap}' '{trap} `touch${{IFS}}{tmp_path}/hit`'; }}"
    assert completions("sessions", "show", "", before=lists) == {"fine", trap}
    assert completions("exec", "-s", "f", before=lists) == {"fine"}
    assert completions("exec", "--kernel", "", before=lists) == {"fine", trap}
    assert completions("exec", "-l", "$", before=lists) == {trap}
    assert os.listdir(tmp_path) == []


def completed(keys, ids):
    """What tci is called with, after those keys in an interactive bash, at a server with those sessions."""
    screen = b""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**os.environ, "PS1": "$ ", "HISTFILE": "", "TERM": "dumb"})
    lists = "".join(f"echo {one} x; " for one in ["ID", *ids])
    script = f"source {harness.SOURCE_DIR}/cli/tci.bash; tci() {{ if [ \"$1\" = sessions ]; then {lists} else echo \"<$*>\"; fi; }}\n"
    os.write(fd, f"{script}tci {keys}\nexit\n".encode())
    try:
        while select.select([fd], [], [], patience())[0]:
            screen += os.read(fd, 65536)
    except OSError:
        pass  # it has ended
    finally:
        os.close(fd)
        os.waitpid(pid, 0)
    return re.findall(r"^<(.*)>\r", screen.decode(), re.M)


def test_completion_of_ids_that_bash_breaks():
    ids = ["ann@host:one", "ann@host:two", "ben"]
    assert completed("exec -s b\t", ids) == ["exec -s ben"]
    assert completed("exec -s ann@host:o\t", ids) == ["exec -s ann@host:one"]
    assert completed("exec -s ann@\tt\t", ids) == ["exec -s ann@host:two"]
    assert completed("exec -s a\to\t", ids) == ["exec -s ann@host:one"]
    assert completed("exec -s ann@host:two --js\t", ids) == ["exec -s ann@host:two --json"]
