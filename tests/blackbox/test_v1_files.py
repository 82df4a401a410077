"""test_v1_files.py - /v1/sessions/{id}/files: written, read in parts, listed, moved, packed and deleted.

Every answer is also held against web/openapi.json (openapi.py).
"""
import base64
import concurrent.futures
import io
import json
import os
import socket
import tarfile
import zipfile

import pytest

import harness
import rawhttp
from harness import eventually, rss_kib, sanitized
from test_v1_sessions import error


class Files:
    """The files of a session on the shared gateway."""

    def __init__(self, gateway, user):
        self.gateway, self.user = gateway, user
        answer = gateway.client.post("/v1/sessions", json={"user_uuid": user})
        assert answer.status_code in (200, 201), answer.text
        self.base = f"/v1/sessions/{user}/files"

    def call(self, method, path="", **kw):
        return self.gateway.client.request(method, self.base + path, **kw)

    def put(self, path, data, status=201, **headers):
        answer = self.call("PUT", "/" + path, content=data, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path, status=200, **headers):
        answer = self.call("GET", "/" + path, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def list(self, **params):
        answer = self.call("GET", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def names(self, **params):
        return [f["path"] for f in self.list(**params)["files"]]

    def text(self, code):
        return self.gateway.text(self.user, code)


@pytest.fixture
def files(gateway, user):
    return Files(gateway, user)


# ------------------------------------------------------------------------------------------------------ up and down


def test_a_csv_goes_up_and_a_sum_comes_out(files):
    made = files.put("data/table.csv", b"a,b\n1,2\n3,4\n")
    assert made["path"] == "data/table.csv" and made["size"] == 12 and made["type"] == "file"
    assert files.text("import csv; print(sum(int(r['b']) for r in csv.DictReader(open('data/table.csv'))))") == "6\n"
    files.text("open('out.txt', 'w').write('é' * 10); print()")
    answer = files.get("out.txt")
    assert answer.text == "é" * 10 and answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert files.names() == ["data", "out.txt"] and files.names(recursive=True) == ["data", "data/table.csv", "out.txt"]


def test_it_belongs_to_the_sandbox_user(files):
    files.put("f", b"x")
    assert files.text("import os; s = os.stat('f'); print(s.st_uid, s.st_gid, oct(s.st_mode))") == "1000 1000 0o100644\n"


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 1 << 20, (5 << 20) + 17])
def test_sizes(files, size):
    data = os.urandom(size)
    files.put("f", data)
    answer = files.get("f")
    assert answer.content == data and answer.headers["content-length"] == str(size)


def test_chunks_of_unknown_length(files):
    pieces = [os.urandom(n) for n in (1, 100000, 5, 1 << 20)]
    assert files.call("PUT", "/f", content=iter(pieces)).status_code == 201
    assert files.get("f").content == b"".join(pieces)


def test_one_connection_for_many(files):
    """What follows a body on the same connection is the next request."""
    for i in range(20):
        data = os.urandom(i * 5000)
        assert files.call("PUT", f"/f{i}", content=data).status_code == 201
        assert files.get(f"f{i}").content == data


def test_types(files):
    for name, kind in (("a.png", "image/png"), ("b.CSV", "text/csv; charset=utf-8"), ("c", "application/octet-stream")):
        files.put(name, b"x")
        answer = files.get(name)
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-security-policy"].startswith("sandbox") and answer.headers["x-content-type-options"] == "nosniff"
    answer = files.call("GET", "/a.png", params={"download": "true"})
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a.png"


def test_names(files):
    for name in ("ä ö.txt", "a%2Fb", "x?y#z", "quote\"'", "+ &=", "." * 3, "-rf", "new\nline"):
        answer = files.gateway.client.put(files.base + "/" + rawhttp_quote(name), content=b"1")
        assert answer.status_code == 201 and answer.json()["path"] == name
        answer = files.gateway.client.get(files.base + "/" + rawhttp_quote(name), params={"download": 1})
        assert answer.status_code == 200 and "\n" not in answer.headers["content-disposition"]


def rawhttp_quote(name):
    import urllib.parse
    return urllib.parse.quote(name, safe="")


def test_head(files):
    files.put("f", b"x" * 1000)
    answer = files.call("HEAD", "/f")
    assert answer.status_code == 200 and answer.headers["content-length"] == "1000" and answer.content == b""
    assert files.call("HEAD", "/none").status_code == 404


@pytest.mark.parametrize("header, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=10-", 10, 999), ("bytes=-10", 990, 999), ("bytes=500-5000", 500, 999), ("bytes=-5000", 0, 999)])
def test_ranges(files, header, first, last):
    data = os.urandom(1000)
    files.put("f", data)
    answer = files.get("f", 206, Range=header)
    assert answer.content == data[first:last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1000"


@pytest.mark.parametrize("header, status", [("bytes=1000-", 416), ("bytes=-0", 416), ("bytes=5-2", 200), ("lines=1-2", 200),
                                            ("bytes=0-1,5-6", 200), ("bytes=-", 200), ("bytes=99999999999999999999-", 416)])
def test_ranges_that_are_none(files, header, status):
    files.put("f", b"x" * 1000)
    answer = files.get("f", status, Range=header)
    if status == 416:
        error(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == "bytes */1000"
    else:
        assert len(answer.content) == 1000


def test_conditions(files):
    old = files.put("f", b"one", **{"If-None-Match": "*"})["etag"]
    error(files.call("PUT", "/f", content=b"2", headers={"If-None-Match": "*"}), 412, "precondition_failed")
    error(files.call("PUT", "/f", content=b"2", headers={"If-Match": '"other"'}), 412, "precondition_failed")
    error(files.call("PUT", "/new", content=b"2", headers={"If-Match": "*"}), 412, "precondition_failed")
    new = files.put("f", b"two", 200, **{"If-Match": f'"x", "{old}"'})["etag"]
    assert files.get("f", 304, **{"If-None-Match": f'"{new}"'}).content == b""
    assert files.get("f", **{"If-None-Match": f'"{old}"'}).content == b"two"
    error(files.get("f", 412, **{"If-Match": f'"{old}"'}), 412, "precondition_failed")
    assert files.get("f", 206, **{"If-Range": f'"{new}"', "Range": "bytes=1-"}).content == b"wo"
    assert files.get("f", 200, **{"If-Range": f'"{old}"', "Range": "bytes=1-"}).content == b"two"
    error(files.call("DELETE", "/f", headers={"If-Match": f'"{old}"'}), 412, "precondition_failed")
    error(files.call("PUT", "/f", content=b"", headers={"If-Match": "nonsense"}), 400, "invalid_request")
    assert files.call("DELETE", "/f", headers={"If-Match": f'"{new}"'}).status_code == 204


def test_conditions_come_before_the_range(files):
    old = files.put("f", b"longer")["etag"]
    new = files.put("f", b"two", 200)["etag"]
    past = {"Range": "bytes=3-"}
    same = files.get("f", 304, **past, **{"If-None-Match": f'"{new}"'})
    assert same.content == b"" and same.headers["etag"] == f'"{new}"' and "content-range" not in same.headers
    error(files.get("f", 412, **past, **{"If-Match": f'"{old}"'}), 412, "precondition_failed")
    assert files.call("HEAD", "/f", headers={**past, "If-None-Match": "*"}).status_code == 304
    for headers in ({"If-None-Match": f'"{old}"'}, {"If-Match": f'"{new}"'}, {"If-Match": "*"}):
        assert files.get("f", 416, **past, **headers).headers["content-range"] == "bytes */3"
    assert files.get("f", 200, **past, **{"If-Range": f'"{old}"'}).content == b"two"


def test_headers_that_are_no_text(files):
    files.put("f", b"one")
    for name in (b"If-Match", b"If-None-Match", b"If-Range", b"Range", b"Content-Type"):
        for method in ("GET", "PUT", "DELETE"):
            answer = files.gateway.client.request(method, files.base + "/f", headers={name: b'"\xff\xfe"'})
            assert answer.status_code in (200, 201, 204, 400, 404, 412), (name, method, answer.text)


def test_it_can_be_read_while_code_runs(files):
    with files.gateway.hold(files.user):
        files.put("f", b"beside")
        assert files.get("f").content == b"beside"


def test_many_at_once(files):
    data = [os.urandom(200000 + i) for i in range(24)]

    def there_and_back(i):
        while (answer := files.call("PUT", f"/f{i}", content=data[i])).status_code == 429:
            assert answer.headers["retry-after"]
        assert answer.status_code == 201, answer.text
        while (answer := files.call("GET", f"/f{i}")).status_code == 429:
            pass
        return answer.content == data[i]

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        assert all(threads.map(there_and_back, range(24)))


# ----------------------------------------------------------------------------------------------- forms, and JSON


def test_a_form_of_files(files):
    data = {f"n{i}": os.urandom(i * 40000) for i in range(8)}
    answer = files.call("POST", params={"path": "up"},
                        files=[("file", (name, content)) for name, content in data.items()])
    assert answer.status_code == 201, answer.text
    assert [f["path"] for f in answer.json()["files"]] == [f"up/{name}" for name in data]
    for name, content in data.items():
        assert files.get(f"up/{name}").content == content


def test_a_form_says_where_to(files):
    body = b"".join(b"--B\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n" % part for part in
                    ((b"path", b"a/b"), (b'f"; filename="one', b"1"), (b"path", b""), (b'f"; filename="sub/two', b"\r\n--A"))) + b"--B--\r\n"
    answer = files.call("POST", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.status_code == 201, answer.text
    assert [f["path"] for f in answer.json()["files"]] == ["a/b/one", "sub/two"]
    assert files.get("sub/two").content == b"\r\n--A"


@pytest.mark.parametrize("part", [b'name="f"; filename="../x"', b'name="f"; filename="/x"', b'name="f"; filename=""',
                                  b'name="other"', b"x=y", b'name="f"; filename="\xff\xfe"'])
def test_forms_that_are_refused(files, part):
    body = b"--B\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n--B--\r\n" % (part, b"x" * 200000)
    answer = files.call("POST", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_request", answer.text
    assert files.names(recursive=True) == []


def test_a_form_that_ends_early(files):
    body = b"--B\r\nContent-Disposition: form-data; name=f; filename=g\r\n\r\nhalf of it"
    error(files.call("POST", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"}), 400, "invalid_request")
    error(files.call("POST", content=b"", headers={"Content-Type": "multipart/form-data"}), 400, "invalid_request")
    assert files.names() == []


def test_json(files):
    answer = files.call("POST", json={"path": "a/t.txt", "content": "é\0"})
    assert answer.status_code == 201 and answer.json()["files"][0]["size"] == 3
    data = os.urandom(1500000)
    answer = files.call("POST", json={"path": "b", "content_base64": base64.b64encode(data).decode()})
    assert answer.status_code == 201, answer.text
    assert files.get("b").content == data and files.get("a/t.txt").text == "é\0"


@pytest.mark.parametrize("body, field", [
    ({"path": "a"}, "content"), ({"path": "a", "content": "", "content_base64": ""}, "content"), ({"path": 1, "content": ""}, "path"),
    ({"path": "../a", "content": ""}, "path"), ({"path": "", "content": ""}, "path"), ({"path": "a", "content_base64": "?"}, "content_base64"),
    ({"path": "a", "content": "", "x": 1}, None), ([], None), ({"content": ""}, None), ({"path": "a", "content": 1}, "content")])
def test_json_that_is_refused(files, body, field):
    error(files.call("POST", json=body), 400, "invalid_request", field)


# ----------------------------------------------------------------------------------------------------- what is there


def test_list_in_pages(files):
    files.text("for i in range(2500): open(f'{i:04}', 'w').close()\nprint()")
    found, cursor = [], None
    while True:
        page = files.list(limit=700, **({"cursor": cursor} if cursor else {}))
        found += [f["path"] for f in page["files"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [f"{i:04}" for i in range(2500)]


def test_list_of_what_is_no_file(files):
    files.text("import os; os.symlink('/etc/passwd', 'l'); os.mkfifo('p'); open(b'\\xff\\xfe', 'w').close(); print()")
    page = {f["path"]: f for f in files.list()["files"]}
    assert page["l"]["type"] == "symlink" and page["l"]["target"] == "/etc/passwd"
    assert page["p"]["type"] == "other" and page["??"]["unreachable"]
    error(files.call("GET", "/p"), 409, "conflict")
    error(files.call("GET", "/l"), 403, "forbidden")


def test_odd_files_do_not_hide_the_others(files):
    """Of a time that no calendar has, of a name that is no text, and with long targets, each where a page ends."""
    files.text("import os; [open(b, 'w').close() for b in (b'a\\xff', b'b', b'late')]; os.utime('late', (1 << 40, 1 << 40));"
               "[os.symlink('x' * 4000, f'link{i:03}') for i in range(150)]; print()")
    found, cursor = [], None
    for limit in [1, 1, 1, 1000, 1000, 1000, 1000, 1000]:
        page = files.list(limit=limit, **({"cursor": cursor} if cursor else {}))
        found += [f["path"] for f in page["files"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ["a?", "b", "late"] + [f"link{i:03}" for i in range(150)]
    assert files.get("late").content == b""
    error(files.call("GET", params={"cursor": "/~2e~2e"}), 400, "invalid_request", "cursor")


def test_directories(files):
    answer = files.call("POST", ":mkdir", json={"path": "a/b"})
    assert answer.status_code == 201 and answer.json()["type"] == "directory"
    assert files.call("POST", ":mkdir", json={"path": "a/b"}).status_code == 200
    error(files.call("POST", ":mkdir", json={"path": "x/y", "parents": False}), 404, "not_found")
    error(files.call("POST", ":mkdir", json={"path": "../y"}), 400, "invalid_request", "path")
    error(files.call("POST", ":mkdir", json={"path": 1}), 400, "invalid_request", "path")
    error(files.call("POST", ":mkdir", json={"pth": "y"}), 400, "invalid_request")
    files.put("a/b/f", b"1")
    error(files.call("DELETE", "/a"), 409, "conflict")
    moved = files.call("POST", ":move", json={"from": "a/b/f", "to": "c/g"})
    assert moved.status_code == 200 and moved.json()["path"] == "c/g"
    error(files.call("POST", ":move", json={"from": "a/b/f", "to": "c/g"}), 404, "not_found")
    files.put("h", b"2")
    error(files.call("POST", ":move", json={"from": "h", "to": "c/g"}), 409, "conflict")
    assert files.call("POST", ":move", json={"from": "h", "to": "c/g", "overwrite": True}).status_code == 200
    assert files.call("DELETE", "/c", params={"recursive": True}).status_code == 204
    assert files.names(recursive=True) == ["a", "a/b"]


def test_usage(files):
    before = files.call("GET", ":usage").json()
    files.put("f", b"x" * (1 << 20))
    after = files.call("GET", ":usage").json()
    assert after["bytes_used"] - before["bytes_used"] == 1 << 20
    if harness.runtime() == "crun":
        assert after["files"] == before["files"] + 1
    else:
        assert after["files"] is None  # gVisor counts none


def test_a_chunk_that_is_too_large(make_gateway):
    """Each is kept whole before it goes on; there is a bound for that."""
    files = Files(make_gateway(min_idle_workers=1, max_total_workers=2, max_code_bytes=10000), "chunks")
    bound = 6 * 10000 + (64 << 10)
    for size, status in ((bound, 201), (bound + (80 << 10), 413), (2 << 20, 413)):
        with rawhttp.Connection(files.gateway) as connection:
            connection.send(connection.request("PUT", f"{files.base}/{size}", headers=["Transfer-Encoding: chunked"], length=False))
            connection.send(b"a\r\n0123456789\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
            answer = connection.response()
            assert answer.status == status, answer.body
            if status == 413:
                assert "chunk" in answer.json()["error"]["message"] and str(bound) in answer.json()["error"]["message"]
    assert files.names() == [str(bound)]


def test_watch(files):
    """Each change is told once, in the order of time."""
    seen = []
    with files.gateway.client.stream("GET", files.base + ":watch", params={"recursive": True}) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        for what, change in (("start", lambda: files.put("d/f", b"1")), ("created", lambda: files.put("d/f", b"22", 200)),
                             ("changed", lambda: files.call("DELETE", "/d/f")), ("deleted", None)):
            for line in lines:
                if line.startswith("event:"):
                    event = line.partition(": ")[2].strip()
                elif line.startswith("data:") and (event == "start" or json.loads(line[5:])["path"] == "d/f"):
                    seen.append(event)
                    break
            assert seen[-1] == what
            if change:
                change()
    eventually(lambda: files.call("GET", ":usage").status_code == 200)


def test_watching_by_head(files):
    """It ends with the headers, and the connection goes on."""
    with rawhttp.Connection(files.gateway) as connection:
        answer = connection.ask("HEAD", files.base + ":watch")
        assert answer.status == 200 and answer.header("content-type") == "text/event-stream"
        assert connection.ask("GET", files.base).status == 200


# --------------------------------------------------------------------------------------------------------- archives


def test_a_tar_in_and_a_zip_out(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("a/b.txt", "./c.txt"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    answer = files.call("POST", ":archive", params={"path": "in"}, content=packed.getvalue())
    assert answer.status_code == 200 and answer.json() == {"files": 2, "directories": 0, "skipped": 0, "bytes": 6}
    answer = files.call("GET", ":archive", params={"format": "zip"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as z:
        assert sorted(z.namelist()) == ["in/", "in/a/", "in/a/b.txt", "in/c.txt"] and z.read("in/a/b.txt") == b"abc"


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_archives_of_much(files, kind):
    """Larger than what is under way at a time, in both directions."""
    data = os.urandom(3 << 20)
    files.put("d/big", data)
    packed = files.call("GET", ":archive", params={"format": kind, "path": "d"}).content
    assert files.call("POST", ":archive", params={"path": "e"}, content=packed).json()["bytes"] == len(data)
    assert files.get("e/big").content == data


def test_no_archive(files):
    error(files.call("POST", ":archive", content=b"no archive at all" * 100), 400, "invalid_request")
    error(files.call("GET", ":archive", params={"format": "rar"}), 400, "invalid_request", "format")
    error(files.call("GET", ":archive", params={"path": "none"}), 404, "not_found")


# ------------------------------------------------------------------------------------------------------ what is not


def test_paths_that_are_none(files):
    for path in ("..%2Fx", "%2e%2e%2fx", "a%2F..%2Fb", "a//b", "%2Fetc%2Fpasswd", "a/", "%2e%2fa", "x" * 256, ""):
        for method in ("GET", "PUT", "DELETE"):
            answer = files.gateway.client.request(method, f"{files.base}/{path}")
            assert answer.status_code == 400 and answer.json()["error"]["field"] == "path", (method, path, answer.text)
    assert files.gateway.client.get(files.base + "/a%00b").status_code == 400


def test_nobody_elses(gateway, user, files):
    error(gateway.client.get(f"/v1/sessions/{user}x/files"), 404, "not_found")
    error(gateway.client.put(f"/v1/sessions/{user}x/files/f", content=b"x" * 10000), 404, "not_found")


def test_no_room(make_gateway):
    gateway = make_gateway(worker_disk_mb=16)
    files = Files(gateway, "u")
    error(files.call("PUT", "/f", content=b"x" * (16 << 20 | 1)), 507, "no_space")
    answer = files.call("PUT", "/g", content=iter([b"x" * (1 << 20)] * 17))
    error(answer, 507, "no_space")
    assert files.names() == []
    error(files.call("PUT", "/h", content=b"x" * (18 << 20)), 413, "too_large")


def test_strangers_are_refused_before_the_body(files):
    """Nothing of it is read, and there is an answer at once."""
    host, port = files.gateway.url.rpartition("/")[2].split(":")
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f"PUT {files.base}/f HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n".encode())
        s.settimeout(20)
        assert s.recv(4096).startswith(b"HTTP/1.1 401")
    assert files.names() == []


def test_an_upload_that_breaks_off_leaves_nothing(files):
    count = '''
import os
n = 0
for p in os.listdir('/proc'):
    try:
        n += p.isdigit() and b'--file-op' in open(f'/proc/{p}/cmdline', 'rb').read()
    except OSError:
        pass  # it has ended meanwhile
print(n)'''
    host, port = files.gateway.url.rpartition("/")[2].split(":")
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f"PUT {files.base}/f HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {files.gateway.token}\r\n"
                  "Content-Length: 100000000\r\n\r\n".encode() + b"x" * 1000000)
        eventually(lambda: files.text(count) != "0\n")
    eventually(lambda: files.text(count) == "0\n")
    assert files.names() == [] and files.put("f", b"1")


def test_a_client_that_stops_reading_holds_little(files):
    files.text("open('big', 'wb').truncate(100 << 20); print()")
    before = rss_kib(files.gateway.pid)
    host, port = files.gateway.url.rpartition("/")[2].split(":")
    stopped = []
    for _ in range(4):
        s = socket.create_connection((host, int(port)))
        s.sendall(f"GET {files.base}/big HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {files.gateway.token}\r\n\r\n".encode())
        stopped.append(s)
    for s in stopped:
        assert s.recv(10).startswith(b"HTTP/1.1")
    assert files.text("print('still quick')") == "still quick\n"
    if not sanitized():
        assert rss_kib(files.gateway.pid) - before < 16 << 10
    for s in stopped:
        s.close()
    eventually(lambda: files.call("GET", ":usage").status_code == 200)


def test_a_session_without_a_worker_gets_one(files):
    files.gateway.execute(files.user, "import os; os._exit(3)")
    assert files.names() == []
    files.put("f", b"1")
    assert files.text("print(open('f').read())") == "1\n"


def test_the_end_of_the_session_ends_transfers(files):
    files.text("open('big', 'wb').truncate(100 << 20); print()")
    host, port = files.gateway.url.rpartition("/")[2].split(":")
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f"GET {files.base}/big HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {files.gateway.token}\r\n\r\n".encode())
        assert s.recv(10).startswith(b"HTTP/1.1")
        assert files.gateway.client.delete(f"/v1/sessions/{files.user}").status_code == 204
        got = 10
        s.settimeout(60)
        try:
            while piece := s.recv(1 << 20):
                got += len(piece)
        except ConnectionResetError:
            pass
        assert got < 100 << 20
