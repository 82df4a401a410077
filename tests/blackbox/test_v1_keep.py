"""test_v1_keep.py - files of sessions that end are kept where that is asked for, and come back to whoever has the right to them.

Every answer is also held against web/openapi.json (openapi.py).
"""
import os
import uuid

import pytest

from harness import eventually
from test_v1_sessions import error, make

SETTINGS = {"min_idle_workers": 2, "max_total_workers": 8, "exec_timeout": 30, "keep_sessions": 3, "keep_mb": 8, "worker_disk_mb": 64}


@pytest.fixture(scope="module")
def gateway(make_module_gateway):
    return make_module_gateway(**SETTINGS)


@pytest.fixture
def name(gateway):
    one = "k-" + uuid.uuid4().hex
    yield one
    for _ in range(2):  # the session, and what is kept of it
        gateway.client.delete(f"/v1/sessions/{one}")


def end(gateway, session, status=204, keep="true", client=None):
    answer = (client or gateway.client).delete(f"/v1/sessions/{session}", params={"keep_files": keep} if keep else {})
    assert answer.status_code == status, answer.text
    return answer


def kept(gateway):
    return sorted(os.listdir(os.path.join(gateway.state_dir, "kept")))


def test_there_and_back(gateway, name):
    make(gateway, user_uuid=name)
    gateway.ok(name, "import os\nos.makedirs('d')\nopen('d/a', 'w').write('kept')\nos.symlink('d/a', 'l')\nx = 1")
    end(gateway, name)
    assert gateway.client.get(f"/v1/sessions/{name}").status_code == 404 and len(kept(gateway)) == 1
    again = make(gateway, user_uuid=name)
    assert again["state"] in ("idle", "busy") and again["usage"]["disk"]["bytes"] > 0
    assert gateway.text(name, "print(open('l').read(), 'x' in globals())") == "kept False\n"
    assert kept(gateway) == []
    end(gateway, name, keep=None)
    make(gateway, user_uuid=name)
    assert gateway.text(name, "import os; print(os.listdir('.'))") == "[]\n"


def test_no_history_comes_back(gateway, name):
    """What ran when the session ended is not the new one's."""
    make(gateway, user_uuid=name)
    path = f"/v1/sessions/{name}/executions"
    begun = gateway.client.post(path, json={"code": "import time; time.sleep(60)", "background": True})
    eventually(lambda: gateway.client.get(f"{path}/{begun.json()['id']}").json()["state"] == "running")
    end(gateway, name)
    make(gateway, user_uuid=name)
    assert gateway.client.get(path).json()["executions"] == []


def test_files_of_another_session(gateway, name):
    make(gateway, user_uuid=name)
    gateway.ok(name, "open('a', 'w').write('1')")
    error(gateway.client.post("/v1/sessions", json={"files_from": name}), 404, "not_found", "files_from")
    end(gateway, name)
    ids = [make(gateway, files_from=name)["id"] for _ in range(2)]
    for one in ids:
        assert gateway.text(one, "print(open('a').read())") == "1\n"
        error(gateway.client.post("/v1/sessions", json={"user_uuid": one, "files_from": name}), 409, "conflict", "files_from")
        end(gateway, one, keep=None)
    error(gateway.client.post("/v1/sessions", json={"files_from": name, "strategy": "pool"}), 400, "invalid_request", "files_from")
    end(gateway, name, keep=None)  # what is kept
    end(gateway, name, keep=None, status=404)
    error(gateway.client.post("/v1/sessions", json={"files_from": name}), 404, "not_found", "files_from")


def test_ones_own(gateway, name):
    """The same name under another key is another session, and has other files."""
    mine, other = (gateway.as_key(gateway.make_key()).client for _ in range(2))
    assert mine.post("/v1/sessions", json={"user_uuid": name}).status_code == 201
    assert mine.put(f"/v1/sessions/{name}/files/secret", content=b"x").status_code == 201
    end(gateway, name, client=mine)
    for client in (other, gateway.client):
        assert client.delete(f"/v1/sessions/{name}").status_code == 404
        error(client.post("/v1/sessions", json={"files_from": name}), 404, "not_found", "files_from")
        assert client.post("/v1/sessions", json={"user_uuid": name}).status_code == 201
        assert client.get(f"/v1/sessions/{name}/files").json()["files"] == []
        client.delete(f"/v1/sessions/{name}")
    assert mine.post("/v1/sessions", json={"user_uuid": name}).status_code == 201
    assert mine.get(f"/v1/sessions/{name}/files/secret").content == b"x"
    mine.delete(f"/v1/sessions/{name}")


def test_what_does_not_fit(gateway, name):
    make(gateway, user_uuid=name)
    gateway.ok(name, "import os\nopen('a', 'wb').write(os.urandom(10 << 20))")
    error(end(gateway, name, status=507), 507, "no_space", "keep_files")
    assert gateway.text(name, "print(os.path.getsize('a'))") == f"{10 << 20}\n" and kept(gateway) == []
    gateway.ok(name, "os.remove('a')\nopen('a', 'wb').truncate(1 << 40)")
    error(end(gateway, name, status=507), 507, "no_space", "keep_files")
    end(gateway, name, keep=None)


def test_as_many_as_may_be(gateway):
    ids = [make(gateway)["id"] for _ in range(SETTINGS["keep_sessions"] + 1)]
    for one in ids[:-1]:
        end(gateway, one)
    error(end(gateway, ids[-1], status=429), 429, "quota_exceeded", "keep_files")
    end(gateway, ids[0], keep=None)
    end(gateway, ids[-1])
    for one in ids[1:]:
        end(gateway, one, keep=None)
    assert kept(gateway) == []


def test_a_container_that_has_ended(gateway, name):
    """There is nothing to keep, and what was kept before stays."""
    make(gateway, user_uuid=name)
    gateway.ok(name, "open('a', 'w').write('1')")
    end(gateway, name)
    assert gateway.execute(name, "import os; os._exit(1)").status_code == 503
    eventually(lambda: gateway.client.get(f"/v1/sessions/{name}").json().get("state") == "stopped")
    end(gateway, name)
    make(gateway, user_uuid=name)
    assert gateway.text(name, "print(open('a').read())") == "1\n"


def test_no_worker_to_read_them_with(make_gateway):
    """A session whose containers come with what it runs has none when its files are to be kept."""
    gateway = make_gateway(min_idle_workers=0, max_total_workers=1)
    idle = make(gateway, strategy="execution")["id"]
    gateway.ok(make(gateway)["id"], "1")
    for _ in range(3):
        error(end(gateway, idle, status=503), 503, "capacity")
    assert gateway.client.get(f"/v1/sessions/{idle}").json()["state"] == "idle" and kept(gateway) == []


@pytest.mark.parametrize("query, field", [({"keep_files": "maybe"}, "keep_files"), ({"keep": "true"}, "keep")])
def test_queries_that_are_refused(gateway, name, query, field):
    error(gateway.client.delete(f"/v1/sessions/{name}", params=query), 400, "invalid_request", field)


def test_after_a_restart(make_gateway, name):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=3)
    make(gateway, user_uuid=name)
    gateway.ok(name, "open('a', 'w').write('1')")
    end(gateway, name)
    gateway.stop()
    open(os.path.join(gateway.state_dir, "kept", "7.new"), "w", encoding="utf-8").close()
    gateway.start()
    assert len(kept(gateway)) == 1
    make(gateway, user_uuid=name)
    assert gateway.text(name, "print(open('a').read())") == "1\n"


def test_a_server_that_keeps_none(make_gateway, name):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=3, keep_mb=0)
    make(gateway, user_uuid=name)
    error(end(gateway, name, status=403), 403, "forbidden", "keep_files")
    end(gateway, name, keep="false")
