"""tci-worker and the session's files: operations, their flow control, and what planted files and killed processes do to them."""

import json
import os

import pytest

WINDOW = 512 << 10


class Operation:
    """One operation: what it said, and what was granted to us."""

    def __init__(self, worker, number, request):
        self.worker, self.id = worker, number.to_bytes(4, "big")
        self.said, self.room, self.why = bytearray(), WINDOW, None
        worker.send("F", self.id, json.dumps(request).encode())

    def step(self, grant=True, timeout=20.0):
        message = self.worker.receive(timeout)
        assert message.verb in "DGZ" and message.frames[0] == self.id, message
        if message.verb == "D":
            self.said += message.frames[1]
            if grant:
                self.worker.send("G", self.id, len(message.frames[1]).to_bytes(4, "big"))
        elif message.verb == "G":
            self.room += int.from_bytes(message.frames[1], "big")
        else:
            self.why = message.frames[1].decode()
        return message.verb

    def put(self, data):
        view = memoryview(data)
        while view and self.why is None:
            while self.room < 65536 and self.why is None:
                self.step()
            self.worker.send("D", self.id, bytes(view[:65536]))
            self.room -= len(view[:65536])
            view = view[65536:]
        return self

    def close(self):
        self.worker.send("D", self.id, b"")
        return self

    def end(self):
        """(reply, bytes) once it is over."""
        while self.why is None:
            self.step()
        size = 4 + int.from_bytes(self.said[:4], "big")
        return (json.loads(self.said[4:size]) if self.said else None), bytes(self.said[size:])


class Files:
    def __init__(self, worker):
        self.worker, self.n = worker, 0

    def begin(self, op, **request):
        self.n += 1
        return Operation(self.worker, self.n, {"op": op, **request})

    def run(self, op, body=None, **request):
        operation = self.begin(op, **request)
        if body is not None:
            operation.put(body).close()
        reply, data = operation.end()
        assert operation.why == "", operation.why
        return (reply, data) if data else reply

    def error(self, op, body=None, **request):
        return self.run(op, body, **request)["error"]["code"]

    def write(self, path, body, **request):
        return self.run("write", body, path=path, **request)

    def list(self, path="", **request):
        request = {"recursive": False, "limit": 1000, "after": "", **request}
        return self.run("list", path=path, **request)


@pytest.fixture
def files(worker):
    worker.start("ipykernel")
    return Files(worker)


def test_write_and_read(files):
    data = os.urandom(3 << 20)
    reply = files.write("a/b/c.bin", data, length=len(data))
    assert reply["created"] and reply["entry"]["size"] == len(data) and reply["entry"]["path"] == "a/b/c.bin"
    again, got = files.run("read", path="a/b/c.bin")
    assert got == data and again["entry"] == reply["entry"] and again["length"] == len(data)
    assert files.worker.text("print(len(open('/workspace/a/b/c.bin','rb').read()))") == f"{len(data)}\n"
    assert files.worker.text("import os; print(os.stat('a/b/c.bin').st_uid)") == "1000\n"
    assert not files.write("a/b/c.bin", b"")["created"]
    assert files.run("read", path="a/b/c.bin")["length"] == 0


@pytest.mark.parametrize("range_, first, length", [
    ({"first": 0, "last": 0}, 0, 1), ({"first": 5}, 5, 995), ({"last": 10}, 990, 10), ({"last": 5000}, 0, 1000),
    ({"first": 990, "last": 5000}, 990, 10), ({"first": 1000}, None, 0), ({"last": 0}, None, 0),
])
def test_ranges(files, range_, first, length):
    data = bytes(i % 251 for i in range(1000))
    files.write("f", data)
    got = files.run("read", path="f", range=range_)
    if first is None:
        assert got["error"]["code"] == "range" and got["size"] == 1000
        assert got["entry"] == files.run("read", path="f")[0]["entry"]
        return
    reply, part = got
    assert (reply["first"], reply["length"], reply["partial"]) == (first, length, True)
    assert part == data[first:first + length]


def test_conditions(files):
    etag = files.write("f", b"one", if_none_match=True)["entry"]["etag"]
    assert files.error("write", b"two", path="f", if_none_match=True) == "precondition"
    assert files.error("write", b"two", path="f", if_match=["other"]) == "precondition"
    assert files.error("write", b"two", path="g", if_match=True) == "precondition"
    new = files.write("f", b"two", if_match=["other", etag])["entry"]["etag"]
    assert new != etag
    reply, data = files.run("read", path="f", range={"first": 1}, if_range=etag)
    assert data == b"two" and not reply["partial"]
    assert files.error("delete", path="f", if_match=[etag]) == "precondition"
    assert files.run("delete", path="f", if_match=[new]) == {}
    assert files.error("read", path="f") == "not_found"


def test_an_upload_that_is_not_finished_is_nothing(files):
    operation = files.begin("write", path="f", length=100)
    operation.put(b"some")
    files.worker.send("B", operation.id)
    short = files.begin("write", path="f", length=100).put(b"some").close().end()[0]
    assert short["error"]["code"] == "invalid"
    assert files.list()["entries"] == []


def test_list(files):
    names = sorted(f"d{i % 3}/f{i:04}" for i in range(40)) + ["e", "z"]
    for name in names:
        files.write(name, b"x")
    files.worker.run_code("import os; os.symlink('/etc/passwd', 'z-link'); os.mkfifo('z-pipe')")
    top = files.list()
    assert [e["path"] for e in top["entries"]] == ["d0", "d1", "d2", "e", "z", "z-link", "z-pipe"]
    assert [e["type"] for e in top["entries"]] == ["directory"] * 3 + ["file"] * 2 + ["symlink", "other"]
    assert top["entries"][5]["target"] == "/etc/passwd" and top["next"] is None
    found, after = [], ""
    while after is not None:
        page = files.list(recursive=True, limit=7, after=after)
        assert len(page["entries"]) <= 7
        found += [e["path"] for e in page["entries"]]
        after = page["next"]
    assert found == [e["path"] for e in files.list(recursive=True)["entries"]] and len(found) == 47
    assert [e["path"] for e in files.list("d1", recursive=True)["entries"]] == [n for n in names if n.startswith("d1/")]
    assert files.error("list", path="e", recursive=False, limit=10, after="") == "conflict"


def test_a_directory_of_many(files):
    """However many names there are, pages are complete and in order."""
    files.worker.run_code("for i in range(3000): open(f'{i * 7919 % 3000:05}', 'w').close()")
    found, after = [], ""
    while after is not None:
        page = files.list(after=after)
        found += [e["path"] for e in page["entries"]]
        after = page["next"]
    assert found == [f"{i:05}" for i in range(3000)]


def pages(files, **request):
    """Of all pages the paths, one list each."""
    after = ""
    while after is not None:
        page = files.list(after=after, **request)
        after = page["next"]
        yield [e["path"] for e in page["entries"]]


def test_names_that_are_no_utf8(files):
    """A page may end with any of them."""
    files.worker.run_code("import os; os.mkdir(b'd\\xff'); [open(b, 'w').close() for b in"
                          " (b'a\\xff', b'a~', b'\\xc3\\xa4\\xc3', b'd\\xff/f', b'd\\xff/\\xfe~41', b'e')]")
    expected = ["a~", "a?", "d?", "d?/f", "d?/?~41", "e", "???"]
    assert list(pages(files, recursive=True)) == [expected]
    assert sum(pages(files, recursive=True, limit=1), []) == expected
    assert sum(pages(files, recursive=True, limit=2), []) == expected
    for cursor in ["/", "/a~f", "/a~zz", "/..", "/a~2f~2f", "/~2e~2e", "/a~00"]:
        assert files.error("list", path="", recursive=False, limit=10, after=cursor) == "invalid", cursor


def test_times_that_no_calendar_has(files):
    times = {253402300799: "9999-12-31T23:59:59", 253402300800: "9999-12-31T23:59:59", 1 << 60: "9999-12-31T23:59:59",
             -62135596800: "0001-01-01T00:00:00", -62135596801: "0001-01-01T00:00:00",
             -42000000000: "0639-01-27T21:20:00"}
    files.worker.run_code(f"import os\nfor t in {list(times)}: open(str(t), 'w').close(); os.utime(str(t), (t, t))")
    assert {int(e["path"]): e["modified_at"] for e in files.list()["entries"]} == {
        seconds: text + ".000Z" for seconds, text in times.items()}


def test_a_page_is_as_large_as_its_json(files):
    """Links' targets, and characters that JSON escapes."""
    files.worker.run_code("import os; [os.symlink('x' * 4000, f'l{i:03}') for i in range(150)]")
    assert sum(pages(files), []) == [f"l{i:03}" for i in range(150)]
    files.worker.run_code("import os; [os.unlink(f'l{i:03}') for i in range(150)];"
                          "[open(chr(1) * 250 + f'{i:03}', 'w').close() for i in range(500)]")
    assert sum(pages(files), []) == ["\x01" * 250 + f"{i:03}" for i in range(500)]


def test_directories(files):
    assert files.run("mkdir", path="a/b/c", parents=True)["created"]
    assert not files.run("mkdir", path="a/b/c", parents=True)["created"]
    assert files.error("mkdir", path="a/b/c", parents=False) == "conflict"
    assert files.error("mkdir", path="x/y", parents=False) == "not_found"
    files.write("a/b/c/f", b"1")
    assert files.error("delete", path="a", recursive=False) == "conflict"
    assert files.error("write", b"1", path="a/b") == "conflict"
    assert files.error("read", path="a/b") == "conflict"
    assert files.run("move", **{"from": "a/b", "to": "n/m", "overwrite": False, "parents": True})["entry"]["type"] == "directory"
    files.write("g", b"2")
    assert files.error("move", **{"from": "g", "to": "n/m/c/f", "overwrite": False, "parents": False}) == "conflict"
    files.run("move", **{"from": "g", "to": "n/m/c/f", "overwrite": True, "parents": False})
    assert files.run("read", path="n/m/c/f")[1] == b"2"
    assert files.run("delete", path="n", recursive=True) == {}
    assert [e["path"] for e in files.list()["entries"]] == ["a"]


def test_a_tree_deeper_than_paths(files):
    files.worker.run_code("import os\nfor i in range(700): os.mkdir('d' * 20); os.chdir('d' * 20)\nos.chdir('/workspace')")
    page = files.list(recursive=True)
    while page["next"] is not None:
        page = files.list(recursive=True, after=page["next"])
    assert page["truncated"]
    assert files.run("delete", path="d" * 20, recursive=True) == {}
    assert files.list()["entries"] == []


@pytest.mark.parametrize("path", ["..", "a/../b", "/etc/passwd", ".", "a//b", "a/", "a/.", "x" * 256, "a/" * 3000 + "a"])
def test_paths_that_are_none(files, path):
    for op in ("read", "write", "delete", "stat", "mkdir"):
        assert files.error(op, b"" if op == "write" else None, path=path) == "invalid", op


def test_links_do_not_lead_out(files):
    files.worker.run_code("""
import os
os.symlink('/etc', 'abs'); os.symlink('../etc', 'rel'); os.symlink('/etc/passwd', 'file'); os.symlink('loop', 'loop')
os.mkdir('in'); open('in/f', 'w').write('inside'); os.symlink('in', 'ok'); os.symlink('/proc/self/root/etc', 'magic')
""")
    for path in ("abs/passwd", "rel/passwd", "file", "loop", "magic/passwd"):
        assert files.error("read", path=path) == "forbidden", path
    for path in ("abs/new", "rel/new", "magic/new"):
        assert files.error("write", b"x", path=path) == "forbidden", path
    assert files.run("read", path="ok/f")[1] == b"inside"
    files.write("file", b"replaced")  # the link, not what it leads to
    assert files.run("read", path="file")[1] == b"replaced"
    assert files.run("delete", path="abs", recursive=True) == {}


def test_what_is_no_file_is_not_waited_for(files):
    files.worker.run_code("import os, socket; os.mkfifo('p'); s = socket.socket(socket.AF_UNIX); s.bind('s')")
    for path in ("p", "s"):
        assert files.error("read", path=path) == "conflict"
    files.write("p", b"now it is one")
    assert files.run("read", path="p")[1] == b"now it is one"


def test_a_reader_that_stops_holds_nothing_up(files):
    """What is not granted is not sent, and the kernel's messages pass."""
    files.worker.run_code("open('big', 'wb').truncate(50 << 20)")
    operation = files.begin("read", path="big")
    got = 0
    while got < WINDOW:
        assert operation.step(grant=False) == "D"
        got = len(operation.said)
    assert got == WINDOW
    assert files.worker.text("print('still here')") == "still here\n"
    assert len(operation.said) == WINDOW
    files.worker.send("B", operation.id)
    assert files.run("usage")["bytes_total"] > 0


def test_a_killed_operation_fails_alone(files):
    operation = files.begin("write", path="f")
    operation.put(b"x" * 100)
    files.worker.run_code("""
import os, signal, threading, time
def kill():
    killed = False
    while not killed:
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if b'--file-operation' in open(f'/proc/{pid}/cmdline', 'rb').read():
                    time.sleep(3)  # after this cell's end: the message is not one of the cell's
                    os.kill(int(pid), signal.SIGKILL)
                    killed = True
            except OSError: pass
threading.Thread(target=kill).start()
""")
    reply, _ = operation.end()
    assert reply is None and operation.why == "it was killed"
    assert files.write("f", b"again")["created"]


def test_a_stopped_operation_can_be_aborted(files):
    operation = files.begin("write", path="f")
    operation.put(b"x" * 100)
    files.worker.run_code("""
import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if b'--file-operation' in open(f'/proc/{pid}/cmdline', 'rb').read(): os.kill(int(pid), signal.SIGSTOP)
    except OSError: pass
""")
    files.worker.send("B", operation.id)
    assert files.write("g", b"1")["created"]


def test_too_many_at_a_time(files):
    running = [files.begin("write", path=f"f{i}") for i in range(16)]
    extra = files.begin("usage")
    while extra.why is None:
        message = files.worker.receive()
        if message.frames[0] == extra.id:
            assert message.verb == "Z"
            extra.why = message.frames[1].decode()
    assert "run already" in extra.why
    for operation in running:
        files.worker.send("B", operation.id)


def test_the_operation_has_no_secret(files):
    """No descriptor of the worker's, no environment, the sandbox's ids, no capabilities."""
    files.worker.run_code("open('big', 'wb').truncate(50 << 20)")
    operation = files.begin("read", path="big")
    while len(operation.said) < WINDOW:
        operation.step(grant=False)
    text = files.worker.text("""
import os
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if b'--file-operation' not in open(f'/proc/{pid}/cmdline', 'rb').read(): continue
    except OSError: continue
    status = dict(line.split(':', 1) for line in open(f'/proc/{pid}/status').read().splitlines())
    print(status['Uid'].split(), status['CapEff'].strip(), status['CapPrm'].strip(), status['NoNewPrivs'].strip(), status['Groups'].strip())
    print(open(f'/proc/{pid}/environ').read() == '', sorted(os.listdir(f'/proc/{pid}/fd'), key=int))
""")
    assert text.splitlines()[0] == "['1000', '1000', '1000', '1000'] 0000000000000000 0000000000000000 1 "
    assert text.splitlines()[1].startswith("True ['0', '1', '2', ")
    files.worker.send("B", operation.id)


def test_both_ways_at_once(files):
    """Transfers in both directions side by side, with the kernel printing meanwhile."""
    data = os.urandom(2 << 20)
    files.write("in", data)
    read = files.begin("read", path="in")
    write = files.begin("write", path="out")
    sent = 0
    while read.why is None or write.why is None:
        while sent < len(data) and write.room >= 65536:
            files.worker.send("D", write.id, data[sent:sent + 65536])
            write.room -= 65536
            sent += 65536
            if sent >= len(data):
                write.close()
        message = files.worker.receive()
        operation = read if message.frames[0] == read.id else write
        if message.verb == "D":
            operation.said += message.frames[1]
            files.worker.send("G", operation.id, len(message.frames[1]).to_bytes(4, "big"))
        elif message.verb == "G":
            operation.room += int.from_bytes(message.frames[1], "big")
        else:
            operation.why = message.frames[1].decode()
    assert read.end()[1] == data and write.end()[0]["entry"]["size"] == len(data)


def archive(files, **request):
    return files.run("archive", path="", **request)[1]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_archives(files, kind):
    data = os.urandom(300000)
    files.write("a/b.bin", data)
    files.write("a/é ü.txt", "text".encode())
    files.worker.run_code("import os; os.mkdir('a/empty'); os.chmod('a/b.bin', 0o755); os.symlink('b.bin', 'a/link')")
    packed = archive(files, format=kind)
    files.run("wipe")
    assert files.list()["entries"] == []
    counts = files.run("extract", packed, path="x/y")
    assert "error" not in counts, counts
    assert counts["bytes"] >= len(data) and counts["files"] == 3
    entries = {e["path"]: e for e in files.list(recursive=True)["entries"]}
    assert set(entries) == {"x", "x/y", "x/y/a", "x/y/a/b.bin", "x/y/a/empty", "x/y/a/link", "x/y/a/é ü.txt"}
    assert entries["x/y/a/b.bin"]["mode"] == "0755" and entries["x/y/a/link"]["target"] == "b.bin"
    assert files.run("read", path="x/y/a/b.bin")[1] == data


def test_watch(files):
    operation = files.begin("watch", path="", recursive=True)

    def events():
        out, at = [], 0
        while at + 4 <= len(operation.said):
            size = int.from_bytes(operation.said[at:at + 4], "big")
            if at + 4 + size > len(operation.said):
                break
            out.append(json.loads(operation.said[at + 4:at + 4 + size]))
            at += 4 + size
        return out

    while not events():
        operation.step()
    assert events()[0] == {"files": 0, "truncated": False}
    for op, body, what in (("write", b"1", "created"), ("write", b"22", "changed"), ("delete", None, "deleted")):
        n = len(events())
        other = files.begin(op, path="w/f", **({"recursive": True} if op == "delete" else {}))
        if body:
            other.put(body).close()
        while other.why is None or not any((e["event"], e["path"]) == (what, "w/f") for e in events()[n:]):
            message = files.worker.receive()
            target = operation if message.frames[0] == operation.id else other
            if message.verb == "D":
                target.said += message.frames[1]
            elif message.verb == "Z":
                target.why = message.frames[1].decode()
    assert [e["event"] for e in events() if e.get("path") == "w/f"] == ["created", "changed", "deleted"]
    files.worker.send("B", operation.id)
