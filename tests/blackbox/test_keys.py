"""test_keys.py - API keys: made, listed and revoked with tci, their limits, and what is whose."""
import concurrent.futures
import json
import os
import re
import sqlite3
import time
import uuid

import pytest

import harness
from harness import eventually

KEY = re.compile(r"tci_([0-9a-f]{12})_[0-9a-f]{64}\n")


def id_of(key):
    return key.split("_")[1]


def rows(gateway):
    """ID → line of `tci keys list`."""
    lines = gateway.tci("keys", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "CREATED", "EXPIRES", "RATE", "SESSIONS", "NAME"]
    return {line.split()[0]: line for line in lines[1:]}


def denied(gateway, reason):
    return gateway.metrics()[f'tci_denied_requests_total{{reason="{reason}"}}']


def check_refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer" and "Retry-After" not in answer.headers
    else:
        assert int(answer.headers["Retry-After"]) >= 1


@pytest.fixture(scope="module")
def keyed(make_module_gateway):
    """A gateway for the tests here that need no other settings."""
    return make_module_gateway(min_idle_workers=1, max_total_workers=8)


# -------------------------------------------------------------------------------------------------- the program


def test_create_list_revoke(keyed):
    made = keyed.tci("keys", "create", "--name", "nightly tests", "--expires", "2h", "--rate", "90/min", "--sessions", "3")
    assert made.returncode == 0 and KEY.fullmatch(made.stdout), made
    key = made.stdout.strip()
    assert key not in made.stderr and id_of(key) in made.stderr
    line = rows(keyed)[id_of(key)]
    assert re.fullmatch(r"\w+ +active +\S+Z +\S+Z +90/min +3 +nightly tests", line)
    assert key.split("_")[2] not in line
    for _ in range(2):
        assert keyed.tci("keys", "revoke", id_of(key)).returncode == 0
        assert " revoked " in rows(keyed)[id_of(key)]


@pytest.mark.parametrize("args, words", [
    (["keys"], "say create, list or revoke"),
    (["keys", "make"], "say create, list or revoke"),
    (["keys", "create", "more"], "a word too many"),
    (["keys", "revoke"], "takes the ID"),
    (["keys", "revoke", "xyz"], "12 characters"),
    (["keys", "list", "--rate", "1/min"], "only create"),
    (["keys", "create", "--rate", "60"], "--rate"),
    (["keys", "create", "--expires", "tomorrow"], "--expires"),
    (["keys", "create", "--sessions", "0"], "--sessions"),
    (["keys", "create", "--name", "a\nb"], "--name"),
    (["keys", "create", "--nam"], "--name"),
    (["keys", "create", "--frob", "1"], "--frob"),
    (["frobnicate"], "no command"),
    ([], "Usage"),
])
def test_wrong_usage(keyed, args, words):
    before = rows(keyed)
    done = keyed.tci(*args)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""
    assert rows(keyed) == before


@pytest.mark.parametrize("args, words", [(["--help"], "Commands:"), (["--version"], "tci "), (["keys", "--help"], "revoke ID")])
def test_help(args, words):
    done = harness.run_tci(*args)
    assert done.returncode == 0 and words in done.stdout and done.stderr == ""


def test_what_cannot_be_done(keyed, tmp_path):
    done = keyed.tci("keys", "revoke", "0123456789ab")
    assert done.returncode == 1 and "no key 0123456789ab" in done.stderr
    done = harness.run_tci("keys", "create", "--state-dir", str(tmp_path / "typo"))
    assert done.returncode == 1 and "typo" in done.stderr and not (tmp_path / "typo").exists()
    (tmp_path / "keys.db").write_text("no database at all, and long enough to be seen as such")
    done = harness.run_tci("keys", "list", "--state-dir", str(tmp_path))
    assert done.returncode == 1 and "not a database" in done.stderr


def test_only_a_hash_is_kept(keyed):
    key = keyed.make_key()
    secret = key.split("_")[2]
    path = os.path.join(keyed.state_dir, "keys.db")
    assert os.stat(path).st_mode & 0o777 == 0o600
    content = open(path, "rb").read()
    assert id_of(key).encode() in content
    assert secret.encode() not in content and bytes.fromhex(secret) not in content
    assert secret not in keyed.log()


# ------------------------------------------------------------------------------------------------ who may come in


def test_a_key_opens_what_the_token_opens(keyed, users):
    mine = keyed.as_key(keyed.make_key())
    user = users()
    assert mine.text(user, "print(6 * 7)") == "42\n"
    assert [s["user_uuid"] for s in mine.status()["sessions"]] == [user]
    assert mine.metrics()["tci_sessions"] >= 1
    assert mine.release(user).status_code == 200


def test_bearer(keyed):
    key = keyed.make_key()
    for token in (key, keyed.token):
        for scheme in ("Bearer ", "bearer ", "BEARER   "):
            with keyed.new_client(headers={"Authorization": scheme + token}) as client:
                assert client.get("/status").status_code == 200
    for value in ("Basic " + key, key, "Bearer", "Bearer x", "Bearer" + key):
        with keyed.new_client(headers={"Authorization": value}) as client:
            check_refused(client.get("/status"), 401, "missing or wrong")
    with keyed.new_client(headers={"Authorization": "Basic abc", "X-Auth-Token": key}) as client:
        assert client.get("/status").status_code == 200


def test_what_is_no_key(keyed):
    key = keyed.make_key()
    other = keyed.make_key()
    id_, secret = key.split("_")[1:]
    before = denied(keyed, "token")
    wrong = [key[:-1], key + "0", key.upper(), f"tci_{id_}_{'0' * 64}", f"tci_{id_}_", f"tci_{id_of(other)}_{secret}",
             f"tci_{'0' * 12}_{secret}", "tci__", secret, id_, f"tci_{id_}_{secret[:-1]}g"]
    for token in wrong:
        with keyed.new_client(headers={"X-Auth-Token": token}) as client:
            check_refused(client.get("/status"), 401, "missing or wrong")
    assert denied(keyed, "token") == before + len(wrong)


def test_a_new_key_is_known_at_once(keyed):
    for _ in range(10):
        assert keyed.as_key(keyed.make_key()).client.get("/status").status_code == 200


def test_a_revoked_key_is_refused(keyed):
    key = keyed.make_key()
    mine, before = keyed.as_key(key), denied(keyed, "revoked")
    assert mine.client.get("/status").status_code == 200
    assert keyed.tci("keys", "revoke", id_of(key)).returncode == 0
    eventually(lambda: mine.client.get("/status").status_code == 401, 10 * harness.slack(), "the key is refused")
    check_refused(mine.client.post("/execute", json={"user_uuid": "u", "code": "1"}), 401, "revoked")
    assert denied(keyed, "revoked") > before


def test_an_expired_key_is_refused(keyed):
    mine, before = keyed.as_key(keyed.make_key("--expires", "1s")), denied(keyed, "expired")
    eventually(lambda: mine.client.get("/status").status_code == 401, 10, "the key has expired")
    check_refused(mine.client.get("/status"), 401, "expired")
    assert denied(keyed, "expired") > before


def test_keys_outlive_the_gateway_and_may_come_before_it(make_gateway):
    gateway = make_gateway(start=False, min_idle_workers=0)
    os.makedirs(gateway.state_dir, mode=0o711)
    key, gone = gateway.make_key(), gateway.make_key()
    gateway.tci("keys", "revoke", id_of(gone))
    gateway.start()
    assert gateway.as_key(key).client.get("/status").status_code == 200
    check_refused(gateway.as_key(gone).client.get("/status"), 401, "revoked")
    gateway.restart()
    assert gateway.as_key(key).client.get("/status").status_code == 200


def test_a_locked_file_of_keys_blocks_nobody(make_gateway):
    """Known keys go on; a change is seen once the lock is gone."""
    gateway = make_gateway(min_idle_workers=0)
    key = gateway.make_key()
    mine = gateway.as_key(key)
    assert mine.client.get("/status").status_code == 200
    path = os.path.join(gateway.state_dir, "keys.db")
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    locker.execute("UPDATE keys SET revoked = 1")
    end = time.monotonic() + 3
    slowest = 0.0
    while time.monotonic() < end:
        begun = time.monotonic()
        assert mine.client.get("/healthz").status_code == 200
        assert mine.client.get("/status").status_code == 200
        slowest = max(slowest, time.monotonic() - begun)
    print(f"slowest pair of requests: {slowest * 1000:.1f} ms")
    assert slowest < 1 * harness.slack()
    locker.execute("COMMIT")
    locker.close()
    eventually(lambda: mine.client.get("/status").status_code == 401, 10 * harness.slack(), "the revocation is seen")


def test_a_broken_file_of_keys_keeps_nobody_out(make_gateway):
    gateway = make_gateway(start=False, min_idle_workers=0)
    os.makedirs(gateway.state_dir, mode=0o711)
    path = os.path.join(gateway.state_dir, "keys.db")
    with open(path, "w") as f:
        f.write("no database at all, and long enough to be seen as such")
    gateway.start()
    assert gateway.client.get("/status").status_code == 200  # the master token
    assert "not a database" in gateway.log()
    os.unlink(path)
    assert gateway.as_key(gateway.make_key()).client.get("/status").status_code == 200


# ------------------------------------------------------------------------------------------------------- limits


def test_rate(keyed):
    mine, other = (keyed.as_key(keyed.make_key("--rate", "5/min")) for _ in range(2))
    before = denied(keyed, "rate")
    codes = [mine.client.get("/status").status_code for _ in range(8)]
    assert codes == [200] * 5 + [429] * 3
    answer = mine.client.get("/status")
    check_refused(answer, 429, "requests per minute")
    assert 1 <= int(answer.headers["Retry-After"]) <= 12
    assert denied(keyed, "rate") == before + 4
    assert other.client.get("/status").status_code == 200
    assert keyed.client.get("/status").status_code == 200


def test_the_rate_comes_back(keyed):
    mine = keyed.as_key(keyed.make_key("--rate", "60/min"))
    while (answer := mine.client.get("/status")).status_code == 200:
        pass
    assert int(answer.headers["Retry-After"]) == 1
    begun = time.monotonic()
    eventually(lambda: mine.client.get("/status").status_code == 200, 30, "one more request is welcome")
    assert time.monotonic() - begun < 2 * harness.slack()


def test_sessions(keyed, users):
    mine, before = keyed.as_key(keyed.make_key("--sessions", "2")), denied(keyed, "sessions")
    names = [users() for _ in range(3)]
    for name in names[:2]:
        mine.ok(name, "x = 1")
    check_refused(mine.execute(names[2], "1"), 429, "limit of 2 sessions")
    assert denied(keyed, "sessions") == before + 1
    assert mine.text(names[0], "print(x)") == "1\n"
    assert mine.release(names[0]).status_code == 200
    assert mine.text(names[2], "print('in')") == "in\n"
    for name in names[1:]:
        mine.release(name)


def test_the_limit_of_sessions_holds_when_all_come_at_once(keyed, users):
    mine = keyed.as_key(keyed.make_key("--sessions", "2"))
    names = [users() for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda name: mine.execute(name, "1").status_code, names))
    assert sorted(codes) == [200] * 2 + [429] * 6
    for name in names:
        mine.release(name)


# ----------------------------------------------------------------------------------------------------- ownership


def test_the_same_user_uuid_of_two_keys(keyed, users):
    user = users()
    one, two = (keyed.as_key(keyed.make_key()) for _ in range(2))
    everyone = {"one": one, "two": two, "master": keyed}
    for name, view in everyone.items():
        view.ok(user, f"who = {name!r}; open('/workspace/f', 'w').write(who)")
    for name, view in everyone.items():
        assert view.text(user, "print(who, open('/workspace/f').read())") == f"{name} {name}\n"
    one.release(user)
    assert one.session(user) is None
    assert one.run(user, "print(who)")["error"]["ename"] == "NameError"
    for name in ("two", "master"):
        assert everyone[name].text(user, "print(who)") == f"{name}\n"
        assert everyone[name].release(user).status_code == 200
    one.release(user)


def test_who_sees_what(keyed, users):
    user, other = users(), users()
    keys = [keyed.make_key() for _ in range(2)]
    one, two = (keyed.as_key(key) for key in keys)
    one.ok(user, "1")
    two.ok(user, "1")
    two.ok(other, "1")
    assert [(s["user_uuid"], s["key"]) for s in one.status()["sessions"]] == [(user, id_of(keys[0]))]
    assert {(s["user_uuid"], s["key"]) for s in two.status()["sessions"]} == {(user, id_of(keys[1])), (other, id_of(keys[1]))}
    seen = {(s["user_uuid"], s["key"]) for s in keyed.status()["sessions"]}
    assert seen >= {(user, id_of(keys[0])), (user, id_of(keys[1])), (other, id_of(keys[1]))}
    assert keys[1] not in json.dumps(keyed.status()) and id_of(keys[1]) not in json.dumps(one.status())
    assert one.status()["busy_workers"] == two.status()["busy_workers"] >= 3  # the pool is everybody's
    for view, name in ((one, user), (two, user), (two, other)):
        view.release(name)


def test_a_user_uuid_cannot_be_forged_into_another_keys(keyed):
    key, victim = keyed.make_key(), keyed.make_key()
    for name in (f"{id_of(victim)}/u", f"/{id_of(victim)}/u", f"../{id_of(victim)}/u"):
        for view in (keyed, keyed.as_key(key)):
            assert view.execute(name, "1").status_code == 400
            assert view.release(name).status_code == 400


def test_the_master_token_releases_sessions_of_a_key(keyed, users):
    user, keys = users(), [keyed.make_key() for _ in range(2)]
    one, two = (keyed.as_key(key) for key in keys)
    for view in (keyed, one, two):
        view.ok(user, "x = 1")
    answer = two.client.post("/release", json={"user_uuid": user, "key": id_of(keys[0])})
    assert answer.status_code == 400 and answer.json()["field"] == "key"
    assert one.session(user) and two.session(user)
    assert keyed.client.post("/release", json={"user_uuid": user, "key": id_of(keys[0])}).status_code == 200
    assert one.session(user) is None
    assert two.text(user, "print(x)") == keyed.text(user, "print(x)") == "1\n"
    assert two.client.post("/release", json={"user_uuid": user, "key": id_of(keys[1])}).status_code == 200
    assert two.session(user) is None
    keyed.release(user)


def test_owners_survive_a_restart(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=6)
    user = users()
    keys = [gateway.make_key("--sessions", "1") for _ in range(2)]
    for i, key in enumerate(keys):
        gateway.as_key(key).ok(user, f"mine = {i}")
    gateway.ok(user, "mine = 'master'")
    gateway.kill9()
    gateway.start()

    def answered(view):
        answer = view.execute(user, "print(mine)")
        return answer.json() if answer.status_code == 200 else None

    for i, key in enumerate(keys):
        view = gateway.as_key(key)
        answer = eventually(lambda: answered(view), 60, "the session is back")
        assert answer["result_text"] == f"{i}\n" and answer["restarted"] is False
        check_refused(view.execute(user + "x", "1"), 429, "limit of 1 session ")
        assert [s["key"] for s in view.status()["sessions"]] == [id_of(key)]
    assert eventually(lambda: answered(gateway), 60)["result_text"] == "master\n"


def test_sessions_of_an_earlier_version_are_the_masters(make_gateway, users):
    """A bare user_uuid in tci.db is the master token's, as it was before there were keys."""
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "x = 1")
    with sqlite3.connect(os.path.join(gateway.state_dir, "tci.db")) as db:
        assert db.execute("SELECT user FROM sessions").fetchall() == [(user,)]


def test_a_lost_session_is_told_to_its_owner_only(keyed, users):
    user = users()
    one, two = (keyed.as_key(keyed.make_key()) for _ in range(2))
    one.ok(user, "x = 1")
    two.ok(user, "x = 2")
    assert one.execute(user, "import os; os._exit(1)").status_code == 503
    assert two.run(user, "print(x)")["restarted"] is False
    assert one.run(user, "1")["restarted"] is True
    one.release(user)
    two.release(user)


def test_keys_of_any_shape_do_no_harm(keyed):
    """Headers that are nearly keys, in numbers; the gateway is asked afterwards whether it still is there."""
    with keyed.new_client(headers={}) as client:
        for i in range(300):
            token = f"tci_{uuid.uuid4().hex[:12]}_{uuid.uuid4().hex * 2}"[:i % 90]
            assert client.get("/status", headers={"X-Auth-Token": token}).status_code == 401
    assert keyed.client.get("/healthz").status_code == 200
