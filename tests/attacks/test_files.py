"""test_files.py - attacks on the file operations of /v1: by what lies in the workspace, by paths, by archives."""
import io
import re
import tarfile
import time
import zipfile

import pytest

import harness
from arena import ANSWER_SECONDS, attack, needs_x86_64
from rawhttp import Connection


def call(arena, method, path="", **more):
    client = arena.gateway.client
    answer = client.post("/v1/sessions", json={"user_uuid": arena.user})
    assert answer.status_code in (200, 201), answer.text
    return client.request(method, f"/v1/sessions/{arena.user}/files{path}", **more)


def code(arena, text):
    return arena.gateway.ok(arena.user, text)


@attack("files", "has a file of the host or the worker read or written through a symbolic link in the workspace", runsc=True)
def test_symbolic_links(arena):
    code(arena, """
import os
for name, to in (('shadow', '/etc/shadow'), ('link', '/run/tci/link'), ('up', '../../../../etc'), ('root', '/proc/1/root'),
                 ('env', '/proc/1/environ'), ('key', '/run/kernel/connection.json'), ('self', '/proc/self/environ'), ('home', '/home')):
    os.symlink(to, name)
os.mkdir('d'); os.symlink('../shadow', 'd/chain')
""")
    for path in ("shadow", "link/gateway.sock", "up/passwd", "root/etc/passwd", "env", "key", "self", "d/chain", "home/sandbox/x"):
        assert call(arena, "GET", "/" + path).status_code in (403, 404, 409), path
    for path in ("up/new", "root/tmp/new", "home/sandbox/new", "link/new"):
        assert call(arena, "PUT", "/" + path, content=b"x").status_code in (403, 404, 409), path
    assert call(arena, "GET", params={"path": "up"}).status_code in (403, 409)
    refusals = (403, 404) if harness.runtime() == "crun" else (403, 404, 409)  # gVisor does not say that it is a link
    assert call(arena, "DELETE", "/up/passwd").status_code in refusals
    archive = call(arena, "GET", ":archive")
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        assert all(m.issym() or m.isdir() for m in tar.getmembers())


@attack("files", "leaves the workspace by a path with dots, in any spelling", runsc=True)
def test_paths_with_dots(arena):
    spellings = ["..", "../..", "a/../../b", "/etc/passwd", "./x", "a//b", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
                 "%252e%252e%252fetc", "..%c0%af..%c0%afetc", "%00", "a%00b", "..%5c..%5cetc", "%uff0e%uff0e/x"]
    for spelling in spellings:
        for method in ("GET", "PUT", "DELETE"):
            answer = call(arena, method, "/" + spelling.replace("../", "%2e%2e%2f"), content=b"x" if method == "PUT" else None)
            assert answer.status_code in (201, 204, 400, 404), (method, spelling)
    for body in ({"from": "../x", "to": "y"}, {"from": "x", "to": "/tmp/y"}, {"from": "x", "to": "a/../../y"}):
        assert call(arena, "POST", ":move", json=body).status_code == 400
    assert call(arena, "GET", params={"path": "../.."}).status_code == 400
    assert call(arena, "GET", params={"path": "", "cursor": "../x"}).status_code == 400
    assert set(arena.gateway.value(arena.user, "import json, os; print(json.dumps(os.listdir('/tmp')))")) & {"x", "y", "passwd"} == set()


@attack("files", "has an operation wait for ever, or the gateway with it, by a FIFO, socket or device in a file's place", runsc=True)
def test_fifos_sockets_and_devices(arena):
    code(arena, """
import os, socket
os.mkfifo('fifo'); s = socket.socket(socket.AF_UNIX); s.bind('sock')
for n, dev in enumerate(('zero', 'full', 'random', 'tty')):
    os.symlink(f'/dev/{dev}', dev)
""")
    begun = time.monotonic()
    for name in ("fifo", "sock", "zero", "full", "random", "tty"):
        assert call(arena, "GET", "/" + name).status_code in (403, 409), name
    assert call(arena, "GET", ":archive").status_code == 200
    assert call(arena, "PUT", "/fifo", content=b"x").status_code in (200, 201)
    assert time.monotonic() - begun < 30 * harness.slack()


@attack("files", "makes the gateway hold a listing of a directory of very many names", runsc=True)
def test_very_many_names(arena):
    code(arena, "import os\nfor i in range(15000): open(f'{i:0200}', 'w').close()")
    page = call(arena, "GET")
    assert page.status_code == 200 and 0 < len(page.json()["files"]) <= 1000 and len(page.content) < 1 << 20
    n, cursor = 0, None
    while n == 0 or cursor:
        page = call(arena, "GET", params={"cursor": cursor} if cursor else {}).json()
        n, cursor = n + len(page["files"]), page["next_cursor"]
    assert n == 15000


@attack("files", "makes the gateway hold, or the host's memory fill with, a file that has a terabyte of nothing", runsc=True)
def test_a_sparse_terabyte(arena):
    code(arena, "open('big', 'wb').truncate(1 << 40)")
    with arena.gateway.client.stream("GET", f"/v1/sessions/{arena.user}/files/big") as answer:
        if answer.status_code == 200:
            got = 0
            for piece in answer.iter_bytes(1 << 20):
                got += len(piece)
                if got > 64 << 20:
                    break
    part = call(arena, "GET", "/big", headers={"Range": f"bytes={(1 << 40) - 5}-"})
    assert part.status_code in (206, 409, 416) and len(part.content) < 1000
    begun = time.monotonic()
    assert arena.gateway.ok(arena.stage.bystander, "1 + 1")
    assert time.monotonic() - begun < ANSWER_SECONDS * harness.slack()


@attack("files", "makes the worker, and with it every answer, wait for a look at a tree that was made for it", runsc=True)
def test_hostile_trees(arena):
    """What each execution of /v1 is asked for: which files it has changed."""
    def run(source, **body):
        answer = arena.gateway.client.post(f"/v1/sessions/{arena.user}/executions", json={"code": source, **body},
                                           timeout=60 * harness.slack())
        assert answer.status_code == 200 and answer.json()["status"] == "ok", answer.text
        return answer.json()

    code(arena, "1")
    assert run("1")["files"] is not None
    run("import os\nfor i in range(100): open(b'\\xff\\xfe' * 126 + b'%03d' % i, 'w').close()")
    files = run("open('mine', 'w').close()\nfor i in range(100): os.remove(b'\\xff\\xfe' * 126 + b'%03d' % i)")["files"]
    assert "mine" in files["created"] and len(files["deleted"]) == 100 and all(re.fullmatch(r"\?{252}\d{3}", p) for p in files["deleted"])
    run("""
os.symlink('/', 'root'); os.symlink('.', 'loop'); os.mkfifo('fifo'); os.mkdir('closed', 0)
import threading
def swap():
    while not done:
        os.mkdir('x'); os.rename('x', 'y'); os.symlink('/usr', 'x'); os.rename('x', 'z'); os.remove('z'); os.rmdir('y')
done = []
t = threading.Thread(target=swap); t.start()""")
    for _ in range(20):
        files = run("1")["files"]
        assert files is None or not [p for p in files["created"] if p.startswith(("root/", "loop/", "x/", "z/"))], files
    run("done.append(1); t.join()")
    run("""
fd = os.open('.', os.O_RDONLY)
for _ in range(1000):
    os.mkdir('d', dir_fd=fd); below = os.open('d', os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below
os.close(fd)
for i in range(10000): open(f"{i:0200}", "w").close()""")
    begun = time.monotonic()
    for _ in range(20):
        assert run("1")["files"] is None
    assert time.monotonic() - begun < 20 * 0.1 * harness.slack()


@attack("files", "has a write or deletion go out of the workspace by exchanging a directory for a link meanwhile", runsc=True)
def test_rename_races(arena):
    code(arena, """
import os, threading, time
os.mkdir('a'); os.symlink('/tmp', 'evil'); os.makedirs('/tmp/victim', exist_ok=True); open('/tmp/victim/f', 'w').write('kept')
def swap():
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            os.rename('a', 'b'); os.rename('evil', 'a'); os.rename('a', 'evil'); os.rename('b', 'a')
        except OSError: pass
threading.Thread(target=swap, daemon=True).start()
""")
    for i in range(40):
        call(arena, "PUT", f"/a/new{i}", content=b"x")
        call(arena, "DELETE", "/a/victim", params={"recursive": True})
    assert "new" not in arena.gateway.text(arena.user, "print([n for n in os.listdir('/tmp') if n.startswith('new')])")
    assert arena.gateway.text(arena.user, "print(open('/tmp/victim/f').read())") == "kept\n"


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(value)
                t.addfile(info, io.BytesIO(value))
            else:
                info.linkname = value
                info.devmajor, info.devminor = 1, 1
                t.addfile(info)
    return out.getvalue()


@attack("files", "has an archive unpacked outside of where it was to be (zip slip), by names or by links in it", runsc=True)
def test_zip_slip(arena):
    for name in ("../x", "/tmp/x", "a/../../x", "..", "//x"):
        assert call(arena, "POST", ":archive", params={"path": "in"}, content=tar((name, tarfile.REGTYPE, b"x"))).status_code == 400, name
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            z.writestr(name, "x")
        assert call(arena, "POST", ":archive", params={"path": "in"}, content=out.getvalue()).status_code == 400, name
    for link in ("/tmp", "../../tmp", "/"):
        packed = tar(("l", tarfile.SYMTYPE, link), ("l/slipped", tarfile.REGTYPE, b"x"))
        assert call(arena, "POST", ":archive", params={"path": "in"}, content=packed).status_code in (400, 403, 409)
    packed = tar(("h", tarfile.LNKTYPE, "/etc/passwd"), ("h2", tarfile.LNKTYPE, "../../etc/passwd"), ("dev", tarfile.CHRTYPE, ""))
    answer = call(arena, "POST", ":archive", params={"path": "in2"}, content=packed)
    assert answer.status_code == 200 and answer.json()["files"] == 0 and answer.json()["skipped"] == 3
    assert arena.gateway.text(arena.user, "import os; print([n for n in os.listdir('/tmp') if n in ('x', 'slipped')])") == "[]\n"


@attack("files", "fills the host's memory by a small archive that unpacks to very much (zip bomb)", runsc=True)
def test_zip_bomb(arena):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(3):
            z.writestr(f"{i}", b"\0" * (100 << 20))
    assert len(out.getvalue()) < 1 << 20
    answer = call(arena, "POST", ":archive", content=out.getvalue())
    assert answer.status_code in (503, 507), answer.text
    assert arena.gateway.ok(arena.stage.bystander, "1 + 1")


@attack("files", "answers in an operation's place, and so has the gateway say what it should not", runsc=False)
@pytest.mark.crun_only("gVisor lets no process write to the memory of another")
def test_an_operation_that_is_taken_over(arena):
    """Code of the same user writes what it likes to the operation's socket."""
    code(arena, """
import os, threading, time
open('big', 'wb').truncate(1 << 30)
def meddle():
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if b'--file-operation' not in open(f'/proc/{pid}/cmdline', 'rb').read(): continue
                fd = os.open(f'/proc/{pid}/fd/0', os.O_RDWR)
                os.write(fd, b'HTTP/1.1 200 OK\\r\\nX-Evil: 1\\r\\n\\r\\n' * 100)
            except OSError: pass
            try:
                with open(f'/proc/{pid}/mem', 'r+b', 0) as mem, open(f'/proc/{pid}/maps') as maps:
                    for line in maps:
                        area, rights = line.split()[:2]
                        if 'w' in rights and 'stack' in line:
                            start, end_ = (int(x, 16) for x in area.split('-'))
                            mem.seek(start); mem.write(b'\\xff' * (end_ - start))
            except OSError: pass
threading.Thread(target=meddle, daemon=True).start()
""")
    for _ in range(10):
        answer = call(arena, "GET", "")
        assert answer.status_code in (200, 429, 503, 504) and "x-evil" not in answer.headers
        answer = call(arena, "PUT", "/f", content=b"x" * 100000)
        assert answer.status_code in (200, 201, 429, 500, 503, 504) and "x-evil" not in answer.headers


# Writes, into the memory of the operation that reads its socket, what answers in its place and ends it in good order.  It does
# so when the operation is given more bytes, as x86-64 instructions in place of those behind its system call.
IMPERSONATION = """
import json, os, struct, time
entry = {"path": "f", "type": "file", "size": 1, "mode": "0644", "modified_at": "2020-01-01T00:00:00.000Z", "etag": ETAG}
text = json.dumps({"entry": entry, "created": True}).encode()
answer = struct.pack(">I", len(text)) + text
program = (b"\\x31\\xff\\xb8\\x01\\0\\0\\0\\xba" + struct.pack("<I", len(answer)) + b"\\x48\\x8d\\x35\\x0b\\0\\0\\0"  # write(0, answer, ...
           b"\\x0f\\x05\\x31\\xff\\xb8\\xe7\\0\\0\\0\\x0f\\x05" + answer)  # exit_group(0)
def is_reading(pid):
    return b'--file-operation' in open(f'/proc/{pid}/cmdline', 'rb').read() and open(f'/proc/{pid}/syscall').read().startswith('0 0x0 ')
def find():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if is_reading(pid): return pid
        except OSError: pass
    time.sleep(0.01)
while not (pid := find()): pass
with open(f'/proc/{pid}/mem', 'r+b', 0) as mem:
    mem.seek(int(open(f'/proc/{pid}/syscall').read().split()[-1], 16))
    mem.write(program)
print('taken over')
"""


@attack("files", "crashes the gateway by the answer of an operation, and its end, before the file that a form brings has ended", runsc=False)
@needs_x86_64
@pytest.mark.crun_only("gVisor lets no process write to the memory of another")
def test_an_answer_before_the_end_of_a_form(arena):
    assert call(arena, "PUT", "/f", content=b"x").status_code == 201
    etag = call(arena, "GET", "/f", headers={"Range": "bytes=0-0"}).headers["etag"].strip('"')
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * 100
    rest = b"x" * 100
    end = b"\r\n--b--\r\n"
    with Connection(arena.gateway) as form:
        head = form.request("POST", f"/v1/sessions/{arena.user}/files", length=False,
                            headers=["Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(part + rest + end)}"])
        form.send(head + part)
        assert arena.gateway.text(arena.user, IMPERSONATION.replace("ETAG", repr(etag))) == "taken over\n"
        form.send(rest)
        code(arena, "while os.path.exists(f'/proc/{pid}'): time.sleep(0.01)")
        form.send(end)
        answer = form.response()
        assert answer.status == 503 and answer.json()["error"]["message"] == "The file operation answered what is no reply"
