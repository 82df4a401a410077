"""test_cli_files.py - tci files against a real gateway: up, down, resumed, directories, and what does not belong on a terminal."""
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import tarfile
import termios
import threading

import pytest

import harness
from cutting import Relay
from harness import eventually, patience

STRANGE = "a b\x1b[2J\u009bü&+%#?.txt"


@pytest.fixture(scope="module")
def disk(make_module_gateway):
    """Its sessions have room for more than they are asked to hold here."""
    return make_module_gateway(min_idle_workers=1, max_total_workers=4)


@pytest.fixture
def session(disk, users):
    one = users(disk)
    made = disk.client.post("/v1/sessions", json={"user_uuid": one})
    assert made.status_code == 201, made.text
    return one


@pytest.fixture
def files(disk, session):
    """files(verb, words) runs tci files in that session."""

    def run(*words, **more):
        return harness.run_tci("files", "-s", session, *words, state_dir=disk.state_dir, **{**harness.identity(), **more})

    return run


@pytest.fixture
def here(tmp_path):
    """A directory of this machine, of whose gateways are tested; directories that a test makes in it are, too."""
    if not harness.rootless():
        yield tmp_path
        return
    tmp_path.chmod(0o777)
    mask = os.umask(0)
    yield tmp_path
    os.umask(mask)


def ok(ran):
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    return ran.stdout


def test_a_file_up_and_down(files, here):
    content = os.urandom(300_000)
    (here / "x.bin").write_bytes(content)
    assert ok(files("put", str(here / "x.bin"))) == ""
    assert ok(files("put", str(here / "x.bin"), "deep/er/")) == ""
    assert ok(files("put", str(here / "x.bin"), "/workspace/deep/y.bin")) == ""
    listed = json.loads(ok(files("ls", "-r", "--json")))["files"]
    assert [f["path"] for f in listed] == ["deep", "deep/er", "deep/er/x.bin", "deep/y.bin", "x.bin"]
    assert {f["size"] for f in listed if f["type"] == "file"} == {len(content)}
    told = json.loads(ok(files("get", "--json", "deep/y.bin", str(here))))
    assert told == {"path": "deep/y.bin", "local": str(here / "y.bin"), "type": "file", "bytes": len(content)}
    assert (here / "y.bin").read_bytes() == content
    assert sorted(os.listdir(here)) == ["x.bin", "y.bin"]
    (here / "y.bin").write_bytes(b"old")
    ok(files("get", "x.bin", str(here / "y.bin")))
    assert (here / "y.bin").read_bytes() == content


def test_standard_streams(disk, session, here):
    program = os.path.join(harness.build_dir(), "cli", "tci")
    env = {**harness.clean_environment(), "TCI_STATE_DIR": disk.state_dir}
    content = os.urandom(200_000)

    def run(*words, **more):
        return subprocess.run([program, "files", *words, "-s", session], env=env, capture_output=True, timeout=patience(),
                              **harness.identity(), **more)

    ran = run("put", "-", "in/pipe", input=content)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    ran = run("get", "in/pipe", "-")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, content, b"")
    ran = run("put", "-", input=b"x")
    assert ran.returncode == 2 and b"has no name" in ran.stderr
    ran = run("get", "in/pipe", "/dev/null")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_what_has_no_size_or_is_begun(disk, session, files, here):
    """A file of the kernel's, whose size is 0, and one of which somebody has read already."""
    told = json.loads(ok(files("put", "--json", "/proc/sys/kernel/ostype", "os")))
    assert told["size"] == len("Linux\n")
    (here / "x").write_text("one\ntwo\n")
    command = f"exec <{here}/x; read line; $TCI files -s {session} put - x; $TCI files -s {session} put - none"
    env = {**harness.clean_environment(), "TCI_STATE_DIR": disk.state_dir, "TCI": harness.build_dir() + "/cli/tci"}
    ran = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=patience(), **harness.identity())
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert [ok(files("get", name, "-")) for name in ("os", "x", "none")] == ["Linux\n", "two\n", ""]


def test_empty_files(files, here):
    (here / "empty").write_bytes(b"")
    ok(files("put", str(here / "empty")))
    (here / "empty").unlink()
    ok(files("get", "empty", str(here)))
    assert (here / "empty").read_bytes() == b"" and os.listdir(here) == ["empty"]


def test_directories(files, here):
    tree = here / "tree"
    (tree / "sub" / "none").mkdir(parents=True)
    (tree / "a ü.txt").write_text("a")
    (tree / "sub" / "b").write_bytes(b"\0" * 70_000)
    (tree / "link").symlink_to("sub/b")
    told = json.loads(ok(files("put", "--json", str(tree), "to/there")))
    assert told["files"] == 3 and told["skipped"] == 0  # a link counts as one
    ok(files("get", "to/there", str(here / "back")))
    back = here / "back"
    assert (back / "a ü.txt").read_text() == "a" and (back / "sub" / "b").read_bytes() == b"\0" * 70_000
    assert os.readlink(back / "link") == "sub/b" and (back / "sub" / "none").is_dir()
    ok(files("put", str(tree) + "/"))
    assert "tree/sub/b" in {f["path"] for f in json.loads(ok(files("ls", "-r", "--json")))["files"]}
    (here / "all").mkdir()
    ok(files("get", ".", str(here / "all")))
    assert (here / "all" / "workspace" / "to" / "there" / "sub" / "b").stat().st_size == 70_000


def test_moving_and_removing(files, here):
    (here / "x").write_text("x")
    (here / "y").write_text("y")
    ok(files("put", str(here / "x"), str(here / "y"), "d/"))
    ok(files("mkdir", "e", "f/g"))
    ok(files("mv", "d/x", "e/"))
    assert files("mv", "d/y", "e/x").returncode == 3
    ok(files("mv", "-f", "d/y", "e/x"))
    assert re.fullmatch(r" +1  \S+  e/x\n", ok(files("ls", "e")))
    assert files("rm", "e").returncode == 3
    ok(files("rm", "-r", "e", "d", "f/g"))
    assert ok(files()).split()[-1] == "f/"
    ran = files("rm", "none", "f")
    assert ran.returncode == 3 and ran.stderr.startswith("tci files: ") and ok(files("ls")) == ""


def test_names_do_not_drive_the_terminal(disk, session, files, here):
    code = f"for n in ({STRANGE!r}, '\\udcff'): open(n, 'w').write('x')"
    ran = disk.client.post(f"/v1/sessions/{session}/executions", json={"code": code})
    assert ran.json()["status"] == "ok", ran.text
    shown = ok(files("ls"))
    assert "\x1b" not in shown and "\u009b" not in shown and "a b?[2J??ü&+%#?.txt" in shown
    told = ok(files("ls", "--json"))
    assert told.isascii() and "\x1b" not in told and STRANGE in {f["path"] for f in json.loads(told)["files"]}
    ok(files("get", STRANGE, str(here / "strange")))
    assert (here / "strange").read_text() == "x"
    ran = files("get", STRANGE + "2", str(here))
    assert ran.returncode == 3 and "\x1b" not in ran.stderr


def test_an_archive_cannot_lead_out(disk, session, files, here):
    """The directory that it is unpacked to has a link in it already, which leads out of it."""
    (here / "in").mkdir()
    (here / "out").mkdir()
    (here / "in" / "sub").symlink_to(here / "out")
    code = "import os\nos.makedirs('t/sub')\nopen('t/sub/x', 'w').write('x')\nos.chmod('t/sub/x', 0o4755)"
    assert disk.client.post(f"/v1/sessions/{session}/executions", json={"code": code}).json()["status"] == "ok"
    ok(files("get", "t/", str(here / "in2")))
    assert (here / "in2" / "sub" / "x").stat().st_mode & 0o7000 == 0
    ok(files("get", "t", str(here / "in" / "t")))
    (here / "in" / "t" / "sub" / "x").unlink()
    (here / "in" / "t" / "sub").rmdir()
    (here / "in" / "t" / "sub").symlink_to(here / "out")
    ok(files("get", "t", str(here / "in")))
    assert os.listdir(here / "out") == [] and (here / "in" / "t" / "sub" / "x").read_text() == "x"


def test_what_is_a_directory_here(disk, session, files, here):
    """One of the session comes into it, as often as it is asked for; a file does not take its place."""
    code = "import os\nos.makedirs('t/sub')\nfor n in ('t/x', 't/sub/y', 'f', 'empty'): open(n, 'w').write('' if n == 'empty' else n)"
    assert disk.client.post(f"/v1/sessions/{session}/executions", json={"code": code}).json()["status"] == "ok"
    (here / "t").mkdir()
    (here / "t" / "mine").write_text("mine")
    for _ in range(2):
        ok(files("get", "t", str(here)))
    assert (here / "t" / "sub" / "y").read_text() == "t/sub/y" and (here / "t" / "mine").read_text() == "mine"
    for name in ("f", "empty"):
        (here / name).mkdir()
        ran = files("get", name, str(here))
        assert (ran.returncode, ran.stderr) == (1, f"tci files: {here / name}: Is a directory\n")


@pytest.mark.parametrize("words", [["get"], ["put"], ["mv", "a"], ["what"], ["ls", "a", "b"], ["--force=x"], ["rm"], ["mkdir"]])
def test_wrong_usage(files, words):
    ran = files(*words)
    assert ran.returncode == 2 and ran.stdout == "" and "Try 'tci files --help'" in ran.stderr


def test_what_is_wrong_is_said(files, here):
    ran = files("get", "none", str(here / "none"))
    assert ran.returncode == 3 and ran.stderr.startswith("tci files: ") and os.listdir(here) == []
    ran = files("put", str(here / "none"))
    assert ran.returncode == 1 and "No such file" in ran.stderr
    ran = files("get", "../x", str(here))
    assert ran.returncode == 3 and "below the workspace" in ran.stderr
    ran = files("get", "--json", "none", str(here))
    assert ran.returncode == 3 and ran.stderr == "" and json.loads(ran.stdout)["error"]["code"] == "not_found"
    (here / "no").mkdir(mode=0o555)
    ran = files("get", "none", str(here / "no" / "where" / "x"))
    assert ran.returncode == 3


# ------------------------------------------------------------------------------------------------ cut connections


@pytest.fixture
def much(disk, session):
    """A file of the session: its bytes."""
    content = os.urandom(3 << 20)
    put = disk.client.put(f"/v1/sessions/{session}/files/much", content=content)
    assert put.status_code == 201
    return content


def test_a_download_goes_on_after_a_cut(disk, session, much, here):
    line = Relay(disk, lambda n: 500_000 + 70_000 * n)
    ran = harness.run_tci("files", "-s", session, "get", "much", str(here / "got"), env={"TCI_URL": line.url,
                          "TCI_AUTH_TOKEN": disk.token}, **harness.identity())
    line.close()
    assert (ran.returncode, ran.stderr, line.cuts > 2) == (0, "", True)
    assert (here / "got").read_bytes() == much and os.listdir(here) == ["got"]
    line = Relay(disk, lambda n: 900_000)
    ran = subprocess.run([harness.build_dir() + "/cli/tci", "files", "-s", session, "get", "much", "-"], capture_output=True,
                         env={**harness.clean_environment(), "TCI_URL": line.url, "TCI_AUTH_TOKEN": disk.token}, timeout=patience())
    line.close()
    assert ran.returncode == 0 and ran.stdout == much and line.cuts >= 3


def test_a_file_that_is_emptied_meanwhile(disk, session, much, here):
    """What has come of its old bytes is not what the file is."""
    def empty_it(n):
        if n > 0:
            disk.client.put(f"/v1/sessions/{session}/files/much", content=b"")
        return 900_000 if n == 0 else None

    ran = {}
    for target in (str(here / "got"), "-"):
        disk.client.put(f"/v1/sessions/{session}/files/much", content=much)
        line = Relay(disk, empty_it)
        ran[target] = subprocess.run([harness.build_dir() + "/cli/tci", "files", "-s", session, "get", "much", target],
                                     capture_output=True, env={**harness.clean_environment(), "TCI_URL": line.url,
                                                               "TCI_AUTH_TOKEN": disk.token}, timeout=patience(), **harness.identity())
        line.close()
        assert line.cuts == 1
    assert ran[str(here / "got")].returncode == 0 and (here / "got").read_bytes() == b"" and os.listdir(here) == ["got"]
    assert ran["-"].returncode == 1 and ran["-"].stderr == b"tci files: The file has changed meanwhile\n"


def test_the_next_one_goes_on_where_the_last_was(disk, session, files, much, here):
    etag = disk.client.head(f"/v1/sessions/{session}/files/much").headers["etag"].strip('"')
    part = here / f"got.{etag}.part"
    part.write_bytes(b"P" * 1000 + much[1000:2_000_000])  # what is there is not fetched again
    harness.give(str(part))
    ok(files("get", "much", str(here / "got")))
    assert (here / "got").read_bytes() == b"P" * 1000 + much[1000:] and os.listdir(here) == ["got"]
    part.write_bytes(much)  # all of it is there
    harness.give(str(part))
    ok(files("get", "much", str(here / "got")))
    assert (here / "got").read_bytes() == much and os.listdir(here) == ["got"]
    other = here / "got.0-0-0.part"  # of what the file was once
    other.write_bytes(b"old" * 1000)
    harness.give(str(other))
    ok(files("get", "much", str(here / "got")))
    assert (here / "got").read_bytes() == much and os.listdir(here) == ["got"]


class Retagging(http.server.BaseHTTPRequestHandler):
    """Gives the server's content away, as a proxy does that makes ETags of its own; without all of it at first, if so asked."""

    content, etag, cut = b"", None, False
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(self.content)))
        if self.etag:
            self.send_header("ETag", self.etag)
        self.end_headers()
        self.wfile.write(self.content[:1000] if self.cut else self.content)
        self.close_connection = True
        type(self).cut = False

    def log_message(self, format, *args):
        pass


@pytest.mark.parametrize("etag", ['"abc"', 'W/"1-2-3"', None])
def test_the_parts_of_others_stay(here, etag):
    """With a tag that is not the gateway's a download begins anew each time, and has no name that anybody else has."""
    one = type("One", (Retagging,), {"content": os.urandom(5000), "etag": etag, "cut": etag is not None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), one)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    others = ("got.part", "got.abc.part", "got.old-draft.part", "got.1-2.part", "got.1-2-3-4.part", "got.A-B-C.part")
    for name in others:
        (here / name).write_text("mine")
        harness.give(str(here / name))
    try:
        ran = harness.run_tci("files", "-s", "s", "get", "x", str(here / "got"), env={
            "TCI_URL": "http://127.0.0.1:%d" % server.server_address[1], "TCI_AUTH_TOKEN": "t"}, **harness.identity())
    finally:
        server.shutdown()
        server.server_close()
    ok(ran)
    assert (here / "got").read_bytes() == one.content and not one.cut
    assert sorted(os.listdir(here)) == sorted([*others, "got"]) and {(here / name).read_text() for name in others} == {"mine"}


def test_the_mode_of_a_file_stays(disk, session, much, here):
    """What was private stays so, and is so while it comes."""
    modes = {}

    def look(n):
        if n == 1:
            modes.update({name: stat.S_IMODE((here / name).stat().st_mode) for name in os.listdir(here)})
        return 900_000 if n == 0 else None

    mask = os.umask(0)
    os.umask(mask)
    for before in (None, 0o600, 0o640):
        if before is not None:
            (here / "got").write_text("old")
            (here / "got").chmod(before)
            harness.give(str(here / "got"))
        modes.clear()
        line = Relay(disk, look)
        ok(harness.run_tci("files", "-s", session, "get", "much", str(here / "got"),
                           env={"TCI_URL": line.url, "TCI_AUTH_TOKEN": disk.token}, **harness.identity()))
        line.close()
        parts = [mode for name, mode in modes.items() if name.endswith(".part")]
        assert parts == [0o600] and modes.get("got") == before, modes
        assert stat.S_IMODE((here / "got").stat().st_mode) == (0o666 & ~mask if before is None else before)
        (here / "got").unlink()


def test_a_part_is_no_link(disk, session, files, much, here):
    etag = disk.client.head(f"/v1/sessions/{session}/files/much").headers["etag"].strip('"')
    (here / "precious").write_text("precious")
    (here / f"got.{etag}.part").symlink_to(here / "precious")
    assert files("get", "much", str(here / "got")).returncode == 1
    assert (here / "precious").read_text() == "precious"


# ---------------------------------------------------------------------------------------------------- named pipes


def test_interrupts_at_a_named_pipe(disk, session, much, here):
    """That nobody reads or writes, or reads any further, keeps nobody."""
    os.mkfifo(here / "pipe", 0o666)
    catching = 1 << (signal.SIGTERM - 1)
    env = {**harness.clean_environment(), "TCI_STATE_DIR": disk.state_dir}
    for words, reads in ((["get", "much", str(here / "pipe")], False), (["put", str(here / "pipe"), "up"], False),
                         (["get", "much", str(here / "pipe")], True)):
        ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "files", "-s", session, *words], stderr=subprocess.PIPE, env=env,
                               **harness.identity())
        caught = re.compile(r"SigCgt:\s*(\w+)")
        reader = None
        try:
            eventually(lambda: int(caught.search(harness.read_text(f"/proc/{ran.pid}/status")).group(1), 16) & catching)
            if reads:
                reader = os.open(here / "pipe", os.O_RDONLY)
                eventually(lambda: int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), "little") > 32768)
            ran.send_signal(signal.SIGTERM)
            assert (ran.wait(patience(20)), ran.stderr.read()) == (130, b"tci files: interrupted\n")
        finally:
            ran.kill()
            ran.wait()
            ran.stderr.close()
            if reader is not None:
                os.close(reader)


def test_an_archive_that_nobody_reads(disk, session, much, here):
    ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "files", "-s", session, "get", ".", "-"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env={**harness.clean_environment(), "TCI_STATE_DIR": disk.state_dir},
                           **harness.identity())
    try:
        eventually(lambda: int.from_bytes(fcntl.ioctl(ran.stdout, termios.FIONREAD, bytes(4)), "little") > 32_000)
        ran.send_signal(signal.SIGTERM)
        assert (ran.wait(20 * harness.slack()), ran.stderr.read()) == (130, b"tci files: interrupted\n")
    finally:
        ran.kill()
        ran.wait()
        ran.stdout.close()
        ran.stderr.close()


def test_named_pipes(disk, session, files, here):
    """What goes through them is whole."""
    content = os.urandom(300_000)
    os.mkfifo(here / "pipe", 0o666)
    writer = threading.Thread(target=lambda: (here / "pipe").write_bytes(content))
    writer.start()
    ok(files("put", str(here / "pipe"), "up"))
    writer.join()
    got = []
    reader = threading.Thread(target=lambda: got.append((here / "pipe").read_bytes()))
    reader.start()
    ok(files("get", "up", str(here / "pipe")))
    reader.join()
    assert got == [content]


# ------------------------------------------------------------------------------------------------------- progress


def on_a_terminal(disk, session, *words, columns=80, **relay):
    """What a transfer shows on a terminal of so many columns, over a line that is slow."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(columns)], stdin=slave, check=True)
    line = Relay(disk, lambda n: None, **relay)
    ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "files", "-s", session, *words], stdin=slave, stdout=slave,
                           stderr=slave, env={**harness.clean_environment(), "TCI_URL": line.url, "TCI_AUTH_TOKEN": disk.token})
    os.close(slave)
    shown = b""
    try:
        while True:
            if not select.select([master], [], [], patience())[0]:
                break
            chunk = os.read(master, 65536)
            shown += chunk
    except OSError:
        pass  # the other end is closed
    assert ran.wait(patience()) == 0
    os.close(master)
    line.close()
    return shown.decode()


def test_progress(disk, session, much, here):
    shown = on_a_terminal(disk, session, "get", "much", str(here / "got"), rate=300_000)
    lines = [part.split("\x1b[K")[0] for part in shown.split("\r") if part.strip()]
    drawn = [line for line in lines if line]
    assert len(drawn) >= 3 and all(len(line) <= 79 for line in drawn), drawn
    shape = re.compile(r"much  \[=*>? *\]  *(\d+)%  [\d.]+ [KM]iB of 3.0 MiB  [\d.]+ [KM]iB/s(  \d+ s|  \d+:\d\d)?")
    found = [shape.fullmatch(line) for line in drawn]
    assert all(found), drawn
    percents = [int(one.group(1)) for one in found]
    assert percents == sorted(percents) and 3 < percents[0] < 70 and percents[-1] >= 60
    assert shown.endswith("\r\x1b[K") and (here / "got").read_bytes() == much
    shown = on_a_terminal(disk, session, "get", "-q", "much", str(here / "got"), rate=2_000_000)
    assert shown == ""


def test_progress_of_an_upload(disk, session, here):
    (here / "up").write_bytes(os.urandom(2 << 20))
    shown = on_a_terminal(disk, session, "put", str(here / "up"), rate=1_000_000)
    assert re.search(r"%  [\d.]+ [KM]iB of 2.0 MiB  [\d.]+ [KM]iB/s", shown)


def test_an_archive_for_others(files, here):
    (here / "t").mkdir()
    (here / "t" / "x").write_text("x")
    ok(files("put", str(here / "t")))
    ran = files("get", "t", "-")
    (here / "t.tar").write_bytes(ran.stdout.encode("utf-8", "surrogateescape"))
    with tarfile.open(here / "t.tar") as tar:
        assert tar.getnames() == ["x"]


def test_completion_expands_no_names(disk, session, files, here):
    """Names in a session are anybody's: the shell that completes them runs none."""
    code = "import os\nos.mkdir('d')\nopen('d/$(touch ran)', 'w')\nopen('d/`touch ran`', 'w')\nopen('d/plain', 'w')"
    assert disk.client.post(f"/v1/sessions/{session}/executions", json={"code": code}).json()["status"] == "ok"
    script = (f"PATH={harness.build_dir()}/cli:$PATH; source {harness.SOURCE_DIR}/cli/tci.bash; COMP_WORDS=(tci files -s {session} get d/)"
              "; COMP_CWORD=5; _tci; printf '%s\\n' \"${COMPREPLY[@]}\"")
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=patience(), cwd=here,
                         env={**harness.clean_environment(), "TCI_STATE_DIR": disk.state_dir},
                         **{k: v for k, v in harness.identity().items() if k != "cwd"})
    assert (ran.returncode, ran.stdout) == (0, "d/$(touch ran)\nd/`touch ran`\nd/plain\n"), ran
    assert os.listdir(here) == []
