"""test_cli_repl.py - tci repl in a real pseudo-terminal: editing, history, completion, several lines, interrupts."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import harness
from harness import eventually


class Terminal:
    """tci repl at the other end of a pseudo-terminal."""

    def __init__(self, gateway, home, *args):
        self.gateway = gateway
        env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir, "XDG_STATE_HOME": home, "HOME": home,
               "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.screen = ""
        program = os.path.join(harness.build_dir(), "cli", "tci")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                account = gateway.identity()
                if account:
                    os.setgroups([])
                    os.setgid(account["group"])
                    os.setuid(account["user"])
                os.execve(program, [program, "repl", *args], env)
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
        self.screen += chunk.decode(errors="replace")
        return bool(chunk)

    def expect(self, pattern, deadline=60.0):
        """Waits for a match in what has not been expected yet, and drops that up to its end."""
        end = time.monotonic() + deadline
        while True:
            found = re.search(pattern, harness.plain(self.screen))
            if found:
                self.screen = harness.plain(self.screen)[found.end():]
                return found
            assert time.monotonic() < end and self.read(0.2), f"no {pattern!r} in {self.screen!r}"

    def type(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def end(self):
        """Its exit status."""
        deadline = time.monotonic() + 60
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

    def start(*args):
        made.append(Terminal(gateway, str(tmp_path), *args))
        made[-1].expect(">>> ")
        return made[-1]

    yield start
    for one in made:
        one.destroy()


def sessions(gateway):
    return gateway.client.get("/v1/sessions").json()["sessions"]


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


def test_another_language(terminal):
    one = terminal("--language", "bash")
    one.line("x=40; echo $((x + 2))")
    one.expect(r"\n42\r\n>>> ")


def test_without_a_terminal(gateway):
    env = {**harness.clean_environment(), "TCI_STATE_DIR": gateway.state_dir}
    ran = subprocess.run([os.path.join(harness.build_dir(), "cli", "tci"), "repl"], env=env, input="x = 6\nif x:\n  print(x * 7)\n",
                         capture_output=True, text=True, timeout=60, **gateway.identity())
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "42\n", "")
    eventually(lambda: sessions(gateway) == [])
