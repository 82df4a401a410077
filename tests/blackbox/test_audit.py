"""test_audit.py - the audit log: a record of each execution, release and denied request, whatever the disk does."""
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

import harness
from harness import eventually, read_text
from rawhttp import Connection

FIELDS = {"time", "request_id", "action", "who", "address", "user_uuid", "code_sha256", "code_bytes", "outcome", "status",
          "duration_ms", "detail"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def sha256(code):
    return hashlib.sha256(code.encode()).hexdigest()


def lines(path):
    text = read_text(path, "")
    records = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]  # not one that is being written
    assert all(set(r) == FIELDS and TIME.fullmatch(r["time"]) for r in records)
    return records


def rows(path):
    """As lines(), from the database."""
    if not os.path.exists(path):
        return []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as db:
        db.row_factory = sqlite3.Row
        return [{k: row[k] for k in row.keys() if k != "id"} for row in db.execute("SELECT * FROM audit ORDER BY id")]


def wait_for(read, condition, n=1):
    """The records that satisfy the condition, once there are n."""
    return eventually(lambda: (lambda found: found if len(found) >= n else None)([r for r in read() if condition(r)]), 30,
                      "the record is written")


def dropped(gateway, reason):
    return gateway.metrics()[f'tci_audit_dropped_total{{reason="{reason}"}}']


class Audited:
    """A gateway with both kinds of audit log."""

    def __init__(self, make, **settings):
        self.gateway = make(start=False, **{"min_idle_workers": 1, "max_total_workers": 6, **settings})
        self.log = os.path.join(self.gateway.base, "audit.jsonl")
        self.gateway.settings["audit_log"] = self.log
        self.db = os.path.join(self.gateway.state_dir, "audit.db")
        self.gateway.start()

    def of(self, user, n=1):
        """The n records about a user, which file and database must agree on."""
        found = wait_for(lambda: lines(self.log), lambda r: r["user_uuid"] == user, n)
        assert wait_for(lambda: rows(self.db), lambda r: r["user_uuid"] == user, n) == [
            {**r, "duration_ms": pytest.approx(r["duration_ms"])} for r in found]
        assert len(found) == n, found
        return found


@pytest.fixture(scope="module")
def audited(make_module_gateway):
    return Audited(make_module_gateway)


# ------------------------------------------------------------------------------------------------- what is recorded


def test_an_execution(audited, users):
    user, code = users(), "secret_of_the_code = 'ä'\nprint(1)"
    audited.gateway.ok(user, code)
    (record,) = audited.of(user)
    assert record["action"] == "execute" and record["who"] == "master" and record["address"] == "127.0.0.1"
    assert record["code_sha256"] == sha256(code) and record["code_bytes"] == len(code.encode())
    assert record["outcome"] == "ok" and record["status"] == 200 and record["detail"] is None
    assert 0 < record["duration_ms"] < 60000
    for path in (audited.log, audited.db, audited.db + "-wal"):
        assert b"secret_of_the_code" not in open(path, "rb").read() if os.path.exists(path) else True
    for path in (audited.log, audited.db):
        assert os.stat(path).st_mode & 0o777 == 0o600
    audited.gateway.release(user)


def test_the_time_is_now(audited, users):
    user = users()
    before = time.time()
    audited.gateway.ok(user, "1")
    (record,) = audited.of(user)
    assert record["time"][:19] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before - 1))
    assert record["time"][:19] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    audited.gateway.release(user)


def test_outcomes(audited, users):
    user, gateway = users(), audited.gateway
    gateway.ok(user, "1")
    assert gateway.run(user, "1 / 0")["error"]
    assert gateway.execute(user, "while True: pass", timeout=0.3).status_code == 504
    assert gateway.execute(user, "import os; os._exit(3)").status_code == 503
    gateway.release(user)
    records = audited.of(user, 5)
    assert [(r["action"], r["outcome"], r["status"]) for r in records] == [
        ("execute", "ok", 200), ("execute", "error", 200), ("execute", "timeout", 504), ("execute", "died", 503),
        ("release", "ok", 200)]
    assert records[2]["duration_ms"] > 250 and "longer than 0.3 s" in records[2]["detail"]
    assert records[3]["detail"] and records[4]["code_sha256"] is None


def test_a_client_that_went_away(audited, users):
    user, gateway = users(), audited.gateway
    gateway.ok(user, "1")
    with harness.subprocess.Popen(["curl", "-s", "-H", f"X-Auth-Token: {gateway.token}", gateway.url + "/execute", "-d",
                                   json.dumps({"user_uuid": user, "code": "while True: pass"})]) as curl:
        eventually(lambda: gateway.session(user)["state"] == "busy", 30)
        curl.kill()
    record = audited.of(user, 2)[1]
    assert record["outcome"] == "cancelled" and record["status"] is None
    gateway.release(user)


def test_what_is_rejected(make_gateway, users):
    audited = Audited(make_gateway, max_total_workers=1, queue_limit=1)
    gateway, first, second = audited.gateway, users(), users()
    with gateway.hold(first):
        assert gateway.execute(first, "1").status_code == 429
        assert gateway.execute(second, "2").status_code == 503
        (record,) = audited.of(second)
        assert record["outcome"] == "rejected" and record["status"] == 503 and record["code_sha256"] == sha256("2")
        record = audited.of(first, 2)[1]
        assert record["outcome"] == "rejected" and record["status"] == 429


def test_who(audited, users):
    user, gateway = users(), audited.gateway
    key = gateway.make_key("--sessions", "1")
    mine = gateway.as_key(key)
    mine.ok(user, "1")
    assert mine.execute(user + "x", "2").status_code == 429
    (record,) = audited.of(user)
    assert record["who"] == key.split("_")[1]
    (record,) = audited.of(user + "x")
    assert record["outcome"] == "rejected" and record["status"] == 429 and "limit of 1 session" in record["detail"]
    mine.release(user)


def test_denied_requests(audited):
    gateway = audited.gateway
    key = gateway.make_key("--rate", "1/min")
    id_ = key.split("_")[1]
    mine = gateway.as_key(key)
    assert [mine.client.get("/status").status_code for _ in range(2)] == [200, 429]
    assert gateway.tci("keys", "revoke", id_).returncode == 0
    eventually(lambda: mine.client.get("/status").status_code == 401, 30)
    token = "a-token-that-nobody-has"
    with gateway.new_client(headers={"X-Auth-Token": token}) as client:
        assert client.get("/status").status_code == 401
    wait_for(lambda: lines(audited.log), lambda r: r["outcome"] == "denied" and r["who"] is None)
    denied = wait_for(lambda: lines(audited.log), lambda r: r["who"] == id_, 2)
    assert {(r["action"], r["outcome"], r["user_uuid"], r["code_sha256"]) for r in denied} == {("request", "denied", None, None)}
    assert {r["status"] for r in denied} == {429, 401}
    assert "revoked" in denied[-1]["detail"] and "per minute" in denied[0]["detail"]
    for secret in (key.split("_")[2], token, gateway.token):
        assert secret not in read_text(audited.log)
        assert secret.encode() not in open(audited.db, "rb").read()


def test_every_execution_is_there_once(audited, users):
    names = [users() for _ in range(4)]

    def work(user):
        for i in range(50):
            audited.gateway.ok(user, f"x = {i}")
        audited.gateway.release(user)

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(work, names))
    for user in names:
        records = audited.of(user, 51)
        assert [r["code_sha256"] for r in records[:50]] == [sha256(f"x = {i}") for i in range(50)]


def test_records_are_counted(audited, users):
    user, before = users(), audited.gateway.metrics()
    audited.gateway.ok(user, "1")
    audited.gateway.release(user)
    audited.of(user, 2)
    after = audited.gateway.metrics()
    for sink in ("log", "database"):
        name = f'tci_audit_records_total{{sink="{sink}"}}'
        assert after[name] >= before[name] + 2


# --------------------------------------------------------------------------------------------------- how it is kept


def test_what_waits_is_written_at_the_end(make_gateway, users):
    audited = Audited(make_gateway)
    user = users()
    for i in range(20):
        audited.gateway.ok(user, str(i))
    assert audited.gateway.stop() == 0
    assert len(audited.of(user, 20)) == 20


def test_rotation(make_gateway, users):
    audited = Audited(make_gateway)
    user, moved = users(), audited.log + ".1"
    audited.gateway.ok(user, "1")
    audited.of(user)
    os.rename(audited.log, moved)
    os.kill(audited.gateway.pid, signal.SIGHUP)
    eventually(lambda: os.path.exists(audited.log), 30, "the file is made anew")
    audited.gateway.ok(user, "2")
    wait_for(lambda: lines(audited.log), lambda r: r["user_uuid"] == user)
    assert [r["code_sha256"] for r in lines(moved) + lines(audited.log)] == [sha256("1"), sha256("2")]


def test_off(make_gateway, users):
    gateway = make_gateway(audit_db="off")
    gateway.ok(users(), "1")
    assert gateway.metrics()['tci_audit_records_total{sink="database"}'] == 0
    assert gateway.stop() == 0
    assert not os.path.exists(os.path.join(gateway.state_dir, "audit.db"))


def test_old_records_go(make_gateway, users):
    audited = Audited(make_gateway, audit_days=7, min_idle_workers=0)
    gateway, user = audited.gateway, users()
    assert gateway.stop() == 0
    with sqlite3.connect(audited.db) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        for days in (6, 8):
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - days * 86400))
            db.executemany("INSERT INTO audit (time, action, user_uuid, address, outcome, duration_ms)"
                           " VALUES (?, 'release', ?, '', 'ok', 0)", [(when, f"{user}{days}")] * 700)
    gateway.start(ready=False)
    eventually(lambda: len(rows(audited.db)) == 700, 30, "the old records are removed")
    assert {r["user_uuid"] for r in rows(audited.db)} == {f"{user}6"}


@pytest.mark.parametrize("settings", [{"audit_log": "/nonexistent/audit.jsonl"}, {"audit_db": "/nonexistent/audit.db"}])
def test_a_place_that_cannot_be_used_stops_the_start(make_gateway, settings):
    gateway = make_gateway(start=False, min_idle_workers=0, **settings)
    done = gateway.run_again()
    assert done.returncode != 0 and "/nonexistent/audit" in done.stderr


def test_a_locked_database_blocks_nobody(make_gateway, users):
    """Requests go on as before; the records are written once the lock is gone.  What takes long is printed."""
    audited = Audited(make_gateway)
    gateway, user = audited.gateway, users()
    gateway.ok(user, "1")
    audited.of(user)

    def slowest_of(n):
        slowest = 0.0
        for i in range(n):
            begun = time.monotonic()
            gateway.ok(user, "1")
            slowest = max(slowest, time.monotonic() - begun)
        return slowest

    free = slowest_of(200)
    locker = sqlite3.connect(audited.db, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    noticed = 0
    while "is locked" not in gateway.log():
        gateway.ok(user, "1")
        noticed += 1
        assert noticed < 1000, "the lock is not noticed"
    locked = slowest_of(200)
    written = gateway.metrics()['tci_audit_records_total{sink="database"}']
    gateway.ok(user, "1")
    n = 1 + 200 + noticed + 200 + 1
    wait_for(lambda: lines(audited.log), lambda r: r["user_uuid"] == user, n)  # the file does not wait for it
    assert gateway.metrics()['tci_audit_records_total{sink="database"}'] == written
    locker.execute("ROLLBACK")
    locker.close()
    assert len(wait_for(lambda: rows(audited.db), lambda r: r["user_uuid"] == user, n)) == n
    print(f"slowest of 200 answers: {free * 1000:.1f} ms, with the database locked {locked * 1000:.1f} ms")
    assert locked < max(1.0, 5 * free) * harness.slack()
    eventually(lambda: "audit: database: written again" in gateway.log())
    assert gateway.log().count("is locked") == 1
    assert dropped(gateway, "database") == 0


def test_when_the_queue_is_full_records_are_counted_and_dropped(make_gateway):
    """8192 wait; the rest is lost, and said to be."""
    audited = Audited(make_gateway, min_idle_workers=0)
    gateway = audited.gateway
    locker = sqlite3.connect(audited.db, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")

    def releases(n):
        with gateway.new_client() as client:
            for _ in range(n):
                assert client.post("/release", json={"user_uuid": "nobody"}).status_code == 200

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(releases, [2100] * 4))
    lost = dropped(gateway, "database")
    assert lost == 4 * 2100 - 8192
    eventually(lambda: sum(map(int, re.findall(r"database: (\d+) records are lost", gateway.log()))) == lost, 30)
    locker.execute("ROLLBACK")
    locker.close()
    eventually(lambda: len(rows(audited.db)) == 8192, 60, "what waited is written")
    eventually(lambda: len(lines(audited.log)) == 8400, 60, "the file has it all")


@pytest.fixture
def small_disk(make_gateway, tmp_path):
    """A file system of 1 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "audit-test", str(point)], check=True)
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_full_disk_stops_nobody(small_disk, make_gateway, users):
    """Both files on a disk that fills up: requests are answered; when there is room again all is written, whole."""
    db, log = str(small_disk / "audit.db"), str(small_disk / "audit.jsonl")
    gateway, user = make_gateway(audit_db=db, audit_log=log), users()
    gateway.ok(user, "1")
    wait_for(lambda: rows(db), lambda r: r["user_uuid"] == user)
    filler = small_disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as f:
        while True:
            f.write(b"x" * 4096)
    slowest = 0.0
    for _ in range(300):
        begun = time.monotonic()
        gateway.ok(user, "1")
        slowest = max(slowest, time.monotonic() - begun)
    eventually(lambda: "audit: database: " in gateway.log() and "audit: log: " in gateway.log(), 30, "it is told")
    assert lines(log) is not None  # whole lines only
    print(f"slowest of 300 answers with the disk full: {slowest * 1000:.1f} ms")
    assert slowest < 1 * harness.slack()
    filler.unlink()
    for read in (lambda: rows(db), lambda: lines(log)):
        assert len(wait_for(read, lambda r: r["user_uuid"] == user, 301)) == 301
    assert dropped(gateway, "database") == dropped(gateway, "log") == 0
    assert gateway.stop() == 0


def test_a_limit_on_file_sizes_ends_nobody(make_gateway):
    audited = Audited(make_gateway, min_idle_workers=0)
    gateway = audited.gateway
    gateway.limit("fsize", 1)
    assert gateway.release("limited").status_code == 200
    end = time.monotonic() + 2  # several attempts to write
    while time.monotonic() < end:
        assert gateway.client.get("/healthz").status_code == 200
    assert not any(r["user_uuid"] == "limited" for r in lines(audited.log))
    gateway.limit("fsize", "unlimited")
    audited.of("limited")


def test_a_flood_of_wrong_tokens_is_thinned_out(make_gateway, users):
    audited = Audited(make_gateway)
    gateway, user = audited.gateway, users()
    with Connection(gateway) as c:  # many at once: those of ten seconds, and of any slow machine, are few
        one = c.request("GET", "/status", token=False, headers=["X-Auth-Token: wrong"])
        for _ in range(20):
            c.send(one * 50)
            assert [c.response().status for _ in range(50)] == [401] * 50
    gateway.ok(user, "1")
    audited.of(user)
    denied = [r for r in lines(audited.log) if r["outcome"] == "denied"]
    assert 600 <= len(denied) < 1000
    assert dropped(gateway, "flood") == 1000 - len(denied)
    assert gateway.metrics()['tci_denied_requests_total{reason="token"}'] == 1000
