"""test_cli_repl.py - tci repl in a real pseudo-terminal: editing, history, completion, several lines, interrupts."""
import codecs
import contextlib
import glob
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

import harness
from harness import eventually, patience


class Terminal:
    """tci at the other end of a pseudo-terminal."""

    def __init__(self, gateway, home, *args, before=(), command="repl"):
        self.gateway = gateway
        env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir, "XDG_STATE_HOME": home, "HOME": home,
               "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.screen = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        program = os.path.join(harness.build_dir(), "cli", "tci")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGQUIT, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                account = gateway.identity()
                if account:
                    os.setgroups([])
                    os.setgid(account["group"])
                    os.setuid(account["user"])
                words = [*before, program, command, *args]
                os.execve(words[0], words, env)
            finally:
                os._exit(127)

    def read(self, seconds=0.0):
        """What has come is added to the screen; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:
            return False
        self.screen += self.decoder.decode(chunk)
        return bool(chunk)

    def expect(self, pattern):
        """Waits for a match in what has not been expected yet, and drops that up to its end."""
        end = time.monotonic() + patience()
        while True:
            found = re.search(pattern, harness.plain(self.screen))
            if found:
                self.screen = harness.plain(self.screen)[found.end():]
                return found
            assert time.monotonic() < end and self.read(0.2), f"no {pattern!r} in {self.screen!r}"

    def expect_raw(self, text):
        """The same of a text with its escape sequences."""
        end = time.monotonic() + patience()
        while text not in self.screen:
            assert time.monotonic() < end and self.read(0.2), f"no {text!r} in {self.screen!r}"
        self.screen = self.screen.partition(text)[2]

    def type(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def end(self):
        """Its exit status."""
        deadline = time.monotonic() + patience()
        while self.read(1):
            assert time.monotonic() < deadline, f"it does not end: {self.screen!r}"
        os.close(self.fd)
        self.fd = -1
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def destroy(self):
        if self.fd >= 0:
            os.kill(self.pid, signal.SIGKILL)
            self.end()


@pytest.fixture
def terminal(gateway, tmp_path):
    made = []
    if harness.rootless():
        tmp_path.chmod(0o777)

    def start(*args, **how):
        made.append(Terminal(gateway, str(tmp_path), *args, **how))
        made[-1].expect(">>> ")
        return made[-1]

    yield start
    for one in made:
        one.destroy()


def sessions(gateway):
    return gateway.client.get("/v1/sessions").json()["sessions"]


def test_what_a_terminal_is_not_told(terminal):
    """Code has its colours; it does not get at the clipboard, the title or what the terminal would type as an answer."""
    one = terminal()
    orders = r"\x1b]52;c;eA==\x07\x1b]0;title\x1b\\\x1b[c\x1b[6n\x1b[21t\x1bP$qm\x1b\\\x05"
    one.line(f"import sys; print('<' + '{orders}' + '\\x1b[31mred\\x1b[0m>')")
    one.expect_raw("<\x1b[31mred\x1b[0m>")
    one.line(f"print('<{orders}>', file=sys.stderr)")
    one.expect_raw("<>")
    one.line(f"raise type('<{orders}>', (Exception,), {{}})('<{orders}>')")
    one.expect("<>: <>")
    one.line(f"input('<{orders}?')")
    one.expect_raw("<?")
    one.line("")
    one.expect(">>> ")
    one.line(":quit")
    assert one.end() == 0


def test_a_sequence_without_an_end(terminal):
    """It hides what the code prints after it, and nothing else."""
    one = terminal()
    for begin in "]PX^_":
        one.line(f"import sys; print('\\x1b{begin}', file=sys.stderr); print('\\x1b{begin}'); 6 * 7")
        one.expect(r"42\r\n>>> ")
        one.line("print('se' + 'en')")
        one.expect(r"\nseen\r\n>>> ")
        one.line("print('al' + 'so', file=sys.stderr)")
        one.expect(r"\nalso\r\n>>> ")
    one.line("print('\\x1b]', file=sys.stderr); 1/0")
    one.expect(r"ZeroDivisionError: division by zero\r\n>>> ")


def test_a_conversation(gateway, terminal):
    one = terminal()
    one.line("x = 20")
    one.expect(">>> ")
    one.line("x * 2 + 2")
    one.expect(r"\n42\r\n>>> ")
    one.line("print('ä' + '你')")
    one.expect(r"\nä你\r\n>>> ")
    one.line("1/0")
    one.expect(r"ZeroDivisionError: division by zero\r\n>>> ")
    assert len(sessions(gateway)) == 1
    one.line(":quit")
    assert one.end() == 0 and sessions(gateway) == []


def test_the_end_of_input_leaves(gateway, terminal):
    one = terminal()
    one.type("\x04")
    assert one.end() == 0 and sessions(gateway) == []


def test_several_lines(terminal):
    one = terminal()
    one.line("for i in range(3):")
    one.expect(r"\.\.\. ")
    one.line("print('n', i)")  # the indent is there
    one.expect(r"\.\.\. ")
    one.line("")
    one.expect(r"n 0\r\nn 1\r\nn 2\r\n>>> ")


def test_what_is_pasted_keeps_its_meaning(terminal):
    """It brings its own indent."""
    one = terminal()
    one.type("for i in range(3):\r    if i:\r        print('yes', i)\r    print('n', i)\r\r")
    one.expect(r"\nn 0\r\nyes 1\r\nn 1\r\nyes 2\r\nn 2\r\n>>> ")


def begin_block(one, path):
    """Types all of a block but the empty line that ends it."""
    one.line("for name in ['" + path + "']:")
    one.expect(r"\.\.\. ")
    one.line("open(name, 'w')")
    one.expect(r"\.\.\. ")


def exists(gateway, session, path):
    return gateway.client.get(f"/v1/sessions/{session}/files/{path}").status_code == 200


@pytest.mark.parametrize("how", ["hangup", "terminate", "control-d", "in the code"])
def test_a_block_that_is_not_finished_never_runs(gateway, terminal, how):
    one = terminal("--session", "unfinished")
    if how == "in the code":  # which has the signal while it runs, and ends the conversation
        one.line("import time; print('be' + 'gun', flush=True); time.sleep(60)")
        one.expect(r"\nbegun")
    else:
        begin_block(one, "ran")
    if how == "hangup":
        os.close(one.fd)
        one.fd = -1
        os.waitpid(one.pid, 0)
    elif how == "control-d":
        one.type("\x15\x04")  # without the indent
        assert one.end() == 0
    else:
        os.kill(one.pid, signal.SIGTERM)
        assert one.end() == 130
    gateway.client.put("/v1/sessions/unfinished/files/other", content=b"")
    assert exists(gateway, "unfinished", "other") and not exists(gateway, "unfinished", "ran")
    eventually(lambda: [s["state"] for s in sessions(gateway)] == ["idle"])


def test_an_interrupt_while_the_kernel_judges_a_block(gateway, terminal):
    """Its answer, which is not waited for any more, was not that the block be run."""
    one = terminal("--session", "judged")
    url = "/v1/sessions/judged/executions"
    one.line("for name in ['ran']:")
    one.expect(r"\.\.\. ")
    code = "open('on', 'w').close(); import time; time.sleep(60)"
    busy = gateway.client.post(url, json={"code": code, "background": True}).json()["id"]
    eventually(lambda: exists(gateway, "judged", "on"))
    one.line("open(name, 'w')")  # the question waits behind that
    eventually(lambda: connections(one))
    one.type("\x03")
    one.expect(r"tci repl: interrupted\r\n>>> ")
    gateway.client.delete(f"{url}/{busy}")
    one.line("'still ' + 'here'")
    one.expect("'still here'\r\n>>> ")
    assert not exists(gateway, "judged", "ran")


def connections(one):
    """The sockets that it has."""
    found = set()
    for fd in glob.glob(f"/proc/{one.pid}/fd/*"):
        with contextlib.suppress(OSError):
            found |= {name for name in [os.readlink(fd)] if name.startswith("socket:")}
    return found


def test_a_signal_while_an_answer_is_sent(gateway, terminal):
    """It is not for that request alone, but for the code, and for all of the conversation."""
    one = terminal("--session", "asked")
    one.line("import time; input('na' + 'me? '); time.sleep(60)")
    one.expect("name\\? ")
    before = connections(one)
    os.kill(gateway.pid, signal.SIGSTOP)
    try:
        one.line("x")
        eventually(lambda: connections(one) > before)
        sending = connections(one) - before
        os.kill(one.pid, signal.SIGTERM)
        eventually(lambda: not connections(one) & sending)
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    assert one.end() == 130
    eventually(lambda: [s["state"] for s in sessions(gateway)] == ["idle"])


def test_quitting_leaves_the_terminal_as_it_was(terminal):
    one = terminal()
    editing = termios.ICANON | termios.ECHO
    assert termios.tcgetattr(one.fd)[3] & editing == 0
    os.kill(one.pid, signal.SIGQUIT)
    assert os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1]) == -signal.SIGQUIT
    assert termios.tcgetattr(one.fd)[3] & editing == editing
    os.close(one.fd)
    one.fd = -1


# A shell with job control, of one job that it has go on when it is told to.
SHELL = """
import os, signal, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
before = termios.tcgetattr(0)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
    as_before = termios.tcgetattr(0) == before
    termios.tcsetattr(0, termios.TCSANOW, before)
    os.tcsetpgrp(0, os.getpgrp())
    print("as before:", as_before, flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, pid)
    os.kill(pid, signal.SIGCONT)
"""


def test_stopped_and_gone_on_with(terminal):
    """The shell has the terminal as it was, and afterwards a line is edited and a password unseen as before."""
    one = terminal(before=[sys.executable, "-c", SHELL])
    typed = ""
    for key in "'half ' + ":  # each time when it has just shown the key, and may not wait for the next one yet
        typed += key
        one.type(key)
        one.expect(re.escape(key))
        one.type("\x1a")
        one.expect("as before: True\r\n")
        one.line("fg")
        one.expect(re.escape(">>> " + typed))
    one.type("x\x01\x0b'edit' + 'ed'\r")
    one.expect(r"\n'edited'\r\n>>> ")
    one.line("import getpass; len(getpass.getpass('se' + 'cret? '))")
    one.expect(r"\nsecret\? ")
    one.type("\x1a")
    one.expect("as before: True\r\n")
    one.line("fg")
    eventually(lambda: not termios.tcgetattr(one.fd)[3] & termios.ECHO)
    one.line("unseen")
    assert "unseen" not in one.expect(r"(?s).*\n6\r\n>>> ").group()
    one.line(":quit")
    assert one.end() == 0


def test_completion(terminal):
    """The screen shows only what is new, so what was made of a line is seen by what it does."""
    one = terminal()
    one.line("remarkable_thing = 7; word = 'ö'")
    one.expect(">>> ")
    one.type("remarkable_t\t")
    one.line(" + 1")
    one.expect(r"\n8\r\n>>> ")
    one.type("'ää' + wor\t")  # places are counted in characters
    one.line("")
    one.expect(r"\n'ääö'\r\n>>> ")
    one.line("import os.path")
    one.expect(">>> ")
    one.type("os.path.is\t\t")
    one.expect(r"(?s)isabs.*isdir.*isfile")


def test_history_is_kept(terminal, tmp_path):
    one = terminal()
    one.line("print('re' + 'called')")
    one.expect(r"\nrecalled\r\n>>> ")
    one.line(":q")
    one.end()
    history = tmp_path / "tci" / "history"
    assert "called" in history.read_text() and history.stat().st_mode & 0o077 == 0
    one = terminal()
    one.type("\x1b[A\x1b[A")  # up, beyond :q
    one.expect(r"'called'\)")
    one.line("")
    one.expect(r"\nrecalled\r\n>>> ")


def test_interrupts(terminal):
    one = terminal()
    one.line("1/0")  # the first traceback takes its time
    one.expect(r"by zero\r\n>>> ")
    one.type("half a li")
    one.expect("half a li")
    one.type("\x03")
    one.expect(r"\^C\r\n>>> ")
    one.line("import time; print('be' + 'gun', flush=True); time.sleep(60)")
    one.expect(r"\nbegun")
    one.type("\x03")
    one.expect("KeyboardInterrupt")
    one.expect(">>> ")
    one.line("'still ' + 'here'")
    one.expect("'still here'\r\n>>> ")


def test_input_of_the_code(terminal):
    one = terminal()
    one.line("'<' + input('name? ') + '>'")
    one.expect("\r\nname\\? ")
    one.line("ä b")
    one.expect("'<ä b>'\r\n>>> ")


def test_reset_and_info(gateway, terminal):
    one = terminal("--session", "kept")
    one.line("x = 1")
    one.expect(">>> ")
    one.line(":info")
    one.expect(r"id +kept\r\n")
    one.expect(r"language +python\r\n")
    one.expect(">>> ")
    one.line(":reset")
    one.expect("A new kernel")
    one.line("x")
    one.expect("NameError")
    one.line(":quit")
    assert one.end() == 0 and [s["id"] for s in sessions(gateway)] == ["kept"]


def test_files(terminal, tmp_path):
    (tmp_path / "a b").write_text("12345")
    harness.give(str(tmp_path / "a b"))
    one = terminal()
    one.line(f":upload '{tmp_path}/a b' in/")
    one.expect("5 bytes: in/a b\r\n>>> ")
    one.line("open('in/a b').read() + '!'")
    one.expect("'12345!'\r\n>>> ")
    one.line(":files in")
    one.expect(r" 5  \S+  in/a b\r\n>>> ")
    one.line(f':download "in/a b" {tmp_path}/c')
    one.expect(r"5 bytes: .*/c\r\n>>> ")
    assert (tmp_path / "c").read_text() == "12345"
    one.line(":download nothing")
    one.expect("tci repl: .*\r\n>>> ")
    one.line(":upload")
    one.expect(r"tci repl: :upload FILE \[PATH\]")


def test_variables_and_history(terminal):
    one = terminal()
    one.line("remarkable = [1, 2, '\\x1b[31m你']")
    one.expect(">>> ")
    one.line(":vars")
    one.expect(r"\nremarkable +list +\[1, 2, .*你'\]\r\n>>> ")
    one.line(":history 3")
    one.expect(r"\n +\d+  remarkable = .*\r\n +\d+  :vars\r\n +\d+  :history 3\r\n")
    one.type(":hist\t")
    one.line(" 0")
    one.expect("takes a number from 1 to 1000")


def test_what_the_session_uses(terminal):
    one = terminal()
    one.line("1")
    one.expect(r"1\r\n>>> ")
    one.line(":info")
    one.expect(r"state +idle")
    one.expect(r"usage\.cpu_seconds +[\d.]+\r\n")
    one.expect(r"workspace\.bytes_used +\d+\r\n")
    one.expect(">>> ")


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SHOW = f"from IPython.display import display; display({{'image/png': '{PNG}', 'text/plain': 'p'}}, raw=True)"


def test_pictures_in_a_terminal_that_shows_them(terminal, tmp_path):
    """The terminal is asked once, and what is typed meanwhile is not lost."""
    one = terminal()
    one.type(SHOW + "\r40 \x1b_Gi=31;OK\x1b\\\x1b[?62;c+ 2")  # the answers ahead, as they are waited for only briefly
    one.expect_raw("\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[c")
    one.expect_raw(f"\x1b_Ga=T,f=100,q=2,m=0;{PNG}\x1b\\")
    one.line("")
    one.expect(r"\n42\r\n>>> ")
    one.line(SHOW)
    one.expect_raw(f"\x1b_Ga=T,f=100,q=2,m=0;{PNG}\x1b\\")
    one.expect(">>> ")
    assert not list(tmp_path.glob("tci-*"))


def test_pictures_in_one_that_does_not(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = terminal()
    one.line(SHOW)
    one.expect_raw("\x1b[>q\x1b[c")
    one.type("\x1b[?1;2c")
    one.expect(r"\[image: \./tci-1\.png\]\r\n")
    one.expect(">>> ")
    one.line(SHOW)
    one.expect(r"\[image: \./tci-2\.png\]\r\n")


def test_a_terminal_that_answers_nothing(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = terminal()
    one.line(SHOW)
    one.expect(r"\[image: \./tci-1\.png\]\r\n")
    one.expect(">>> ")
    one.line("'still ' + 'here'")
    one.expect("'still here'\r\n>>> ")


ANSWERS = "\x1b_Gi=31;OK\x1b\\\x1bP>|slow(1)\x1b\\\x1b[?62;c"


def test_a_terminal_that_answers_late(terminal, tmp_path, monkeypatch):
    """It is not taken for what the user types, in whatever pieces it comes; keys are."""
    monkeypatch.chdir(tmp_path)
    one = terminal()
    one.line(SHOW)
    one.expect_raw("\x1b[>q\x1b[c")
    one.type(ANSWERS[:6])
    one.expect(r"\[image: \./tci-1\.png\]\r\n")
    one.expect(">>> ")
    one.type(ANSWERS[6:12] + "'stil here'" + "\x1b[D" * 6)
    one.expect_raw("here")
    one.type(ANSWERS[12:20])
    one.type(ANSWERS[20:] + "l")
    one.line("")
    one.expect(r"\n'still here'\r\n>>> ")
    one.line("input() + '!'")
    one.expect("\n")
    one.line("yes")
    one.expect("'yes!'\r\n>>> ")


def test_late_answers_do_not_get_to_the_shell(gateway, user, tmp_path, monkeypatch):
    if harness.rootless():
        tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    code = SHOW + "; import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
    one = Terminal(gateway, str(tmp_path), "-s", user, "-c", code, command="exec")
    try:
        one.expect_raw("\x1b[>q\x1b[c")
        slave = os.open(os.readlink(f"/proc/{one.pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)  # what is left there is the shell's
        one.expect(r"\[image: \./tci-1\.png\]\r\n")
        one.type(ANSWERS)
        assert gateway.client.put(f"/v1/sessions/{user}/files/go", content=b"").status_code == 201
        eventually(lambda: one.read() and os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        mode = termios.tcgetattr(slave)
        termios.tcsetattr(slave, termios.TCSANOW, [*mode[:3], mode[3] & ~termios.ICANON, *mode[4:]])
        left = select.select([slave], [], [], 0)[0]
        os.close(slave)
        assert left == [] and mode[3] & termios.ICANON and mode[3] & termios.ECHO
        assert one.end() == 0
    finally:
        one.destroy()


def test_another_language(terminal):
    one = terminal("--language", "bash")
    one.line("x=40; echo $((x + 2))")
    one.expect(r"\n42\r\n>>> ")


def test_without_a_terminal(gateway):
    env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir}
    ran = subprocess.run([os.path.join(harness.build_dir(), "cli", "tci"), "repl"], env=env, input="x = 6\nif x:\n  print(x * 7)\n",
                         capture_output=True, text=True, timeout=patience(), **gateway.identity())
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "42\n", "")
    eventually(lambda: sessions(gateway) == [])


def test_json(gateway, users):
    one = users(gateway)
    env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir}
    ran = subprocess.run([os.path.join(harness.build_dir(), "cli", "tci"), "repl", "--json", "-s", one], env=env,
                         input="x = 6\nx * 7\n:vars\n1/0\n", capture_output=True, text=True, timeout=patience(), **gateway.identity())
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (ran.returncode, ran.stderr, len(answers)) == (1, "", 4)
    assert answers[1]["result"]["value"] == 42 and answers[2]["variables"][0]["name"] == "x"
    assert answers[3]["error"]["ename"] == "ZeroDivisionError"
