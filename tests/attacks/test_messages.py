"""test_messages.py - attacks on what gateway, worker and kernel say to each other: forged, replayed, misdirected, malformed."""
import functools
import json
import os
import sqlite3
import subprocess
import sys

import harness
from arena import attack
from harness import eventually
from test_output import FORGE


def routing_id(gateway, init):
    """The secret of the worker whose init that is, as only the host's root can read it."""
    with sqlite3.connect(f"file:{gateway.state_dir}/tci.db?mode=ro", uri=True) as db:
        tables = [t for (t,) in db.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            columns = [c[1] for c in db.execute(f"pragma table_info({table})")]
            if "routing_id" in columns and "pid" in columns:
                return db.execute(f"select routing_id from {table} where pid = ?", (init,)).fetchone()[0]
    raise AssertionError("no routing ids in the database")


@attack("messages", "puts words into another session's answer, by its message ids", runsc=True)
def test_replies_with_the_id_of_another(arena):
    """While the victim's request runs, of which the attacker knows the whole header."""
    victim = arena.another()
    container = arena.gateway.container_of(victim)
    running = arena.gateway.spawn(victim, FORGE + """
import os
open('/workspace/go', 'w').close()
open('/workspace/new', 'wb').write(parent); os.rename('/workspace/new', '/workspace/header')
while os.stat('/workspace/go').st_size == 0: time.sleep(0.01)
print('mine')""")
    eventually(lambda: container.exists("/workspace/header"), 20, "the victim's request runs")
    header = container.read("/workspace/header")
    assert json.loads(header)["msg_id"]
    arena.gateway.ok(arena.user, FORGE + f"""
other = {header!r}.encode()
for kind, content in (('stream', b'{{"name":"stdout","text":"forged"}}'), ('display_data', b'{{"data":{{"text/plain":"forged"}},"metadata":{{}}}}'),
                      ('error', b'{{"ename":"forged","evalue":"","traceback":[]}}'), ('status', b'{{"execution_state":"idle"}}')):
    publish(frames(kind, content, parent=other))
reply(frames('execute_reply', b'{{"status":"error","ename":"forged","evalue":"","traceback":[],"execution_count":9}}', parent=other))
time.sleep(0.3)""")
    assert not running.done()
    container.append("/workspace/go", "go")
    answer = running.result().json()
    assert answer["result_text"] == "mine\n" and answer["error"] is None and answer["displays"] == []


@attack("messages", "has an old reply taken for the answer to a later request", runsc=True)
def test_replayed_replies(arena):
    arena.gateway.ok(arena.user, FORGE + """
old = [frames('stream', b'{"name":"stdout","text":"stale"}'), frames('status', b'{"execution_state":"idle"}')]
old_reply = frames('execute_reply', b'{"status":"ok","execution_count":77,"payload":[],"user_expressions":{}}')""")
    for i in range(3):
        answer = arena.gateway.ok(arena.user, f"for f in old * 3: publish(f)\nreply(old_reply)\ntime.sleep(0.2)\nprint('fresh {i}')")
        assert answer["result_text"] == f"fresh {i}\n" and answer["execution_count"] != 77


@attack("messages", "has a message believed that is wrongly signed or not signed", runsc=True)
def test_wrong_signatures(arena):
    bad = 'tci_kernel_messages_dropped_total{reason="invalid"}'
    before = arena.gateway.metrics()[bad]
    answer = arena.gateway.ok(arena.user, FORGE + """
text = b'{"name":"stdout","text":"forged"}'
good = frames('stream', text)
for signature in (b'', b'0' * 64, good[1][:-1], good[1] + b'0', good[1].upper(), good[1][::-1], b'\\0' * 64):
    publish([good[0], signature] + good[2:])
for key in (b'', b'0' * 32, b'x' * 64): publish(frames('stream', text, key=key))
publish(good[:5] + [text.replace(b'forged', b'FORGED')])  # signed, then changed
publish(good[:3] + [good[3].replace(b'msg_id', b'msg_Id')] + good[4:])
time.sleep(0.3)
print('own')""")
    assert answer["result_text"] == "own\n"
    eventually(lambda: arena.gateway.metrics()[bad] > before, 10, "they are counted")


@attack("messages", "ends its execution early, and has the next user of the worker get what it does then", runsc=True)
def test_forged_end_of_an_execution(arena):
    answer = arena.gateway.run(arena.user, FORGE + """
reply(frames('execute_reply', b'{"status":"ok","execution_count":1,"payload":[],"user_expressions":{}}'))
publish(frames('status', b'{"execution_state":"idle"}'))
for _ in range(100): print('late'); time.sleep(0.02)""")
    assert (answer["result_text"] or "").count("late") < 100
    again = arena.gateway.execute(arena.user, "print('mine')", timeout=5)  # nobody but itself is confused
    assert again.status_code in (200, 504)
    arena.gateway.release(arena.user)
    assert arena.gateway.text(arena.user, "print('clean')") == "clean\n"


# No list of variables, each in its way; the last ones are of values that the document promises otherwise.
NO_VARIABLES = ("'boom'", "None", "5", "1.5", "True", "[]", "{}", "{'variables': 'boom', 'truncated': False}",
                "{'variables': [], 'truncated': 0}", "{'variables': [None], 'truncated': False}", "{'variables': [], 'truncated': False, 'more': 1}",
                "dict(variables=[dict(name='x', type='t', module='m', size='1', shape=None, text='')], truncated=False)",
                "dict(variables=[dict(name='x', type='t', module='m', size=1, shape=[1, 1.5], text='')], truncated=False)",
                "dict(variables=[dict(name='x', type='t', module='m', size=1, shape=None, text=None)], truncated=False)",
                "dict(variables=[dict(name='x', type='t', module='m', size=1, shape=None, text='')] * 501, truncated=False)")


@attack("messages", "ends the gateway by variables that are no list of them", runsc=True)
def test_forged_variables(arena):
    """In the place of what the gateway's own code publishes, and in front of it."""
    user, other = arena.user, arena.another()
    ask = functools.partial(arena.gateway.client.get, f"/v1/sessions/{user}/variables")
    arena.gateway.ok(user, "import IPython.display as shown; publish = shown.publish_display_data; x = 1")
    for forged in NO_VARIABLES:
        arena.gateway.ok(user, f"shown.publish_display_data = lambda data, *more: publish({{t: {forged} for t in data}})")
        assert ask().status_code == 422, forged
        assert arena.gateway.text(other, "print(1)") == "1\n", forged
    arena.gateway.ok(user, "shown.publish_display_data = lambda data, *more: (publish({t: 'boom' for t in data}), publish(data))")
    assert "x" in [v["name"] for v in ask().json()["variables"]]


# Dials the link as a worker would, with a routing id that it should not know; says what it hears.
DIAL = """
import os, socket, sys, time
path, ident, uid, gid, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
def framed(*frames): return b''.join([bytes([len(frames)]), *(len(f).to_bytes(4, 'big') for f in frames), *frames])
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.1)
            s.connect(path)
            s.sendall(framed(ident.encode()) + framed(b'H', b'{"protocol":2,"state":"new"}'))
            for frames in ([b'X', b'{"exit":1}'], [b'O', b'1', b'forged'], [b'S'], [b'T']): s.sendall(framed(*frames))
            got = s.recv(100)
            if got: print('heard', got)
    except OSError: pass
    time.sleep(0.01)
"""


@attack("link", "speaks as another session's worker, from a process of the host with another user or group", runsc=True)
def test_impersonation_from_the_host(arena):
    """With the right routing id, which only root can read; even root is refused without the containers' group."""
    victim = arena.another()
    container = arena.gateway.container_of(victim)
    arena.gateway.ok(victim, "kept = 1")
    ident = routing_id(arena.gateway, container.init)
    path = os.path.join(arena.gateway.state_dir, "link", "gateway.sock")
    assert os.path.exists(path)
    owner = container.link_user()
    for uid, gid in ((65534, 65534), (1000, 1000), (0, 0), (owner, 65534), (owner + 1000, owner + 1000)):
        ran = subprocess.run([sys.executable, "-B", "-c", DIAL, path, ident, str(uid), str(gid), "0.7"], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert "heard" not in ran.stdout, (uid, gid)
        answer = arena.gateway.ok(victim, "print(kept)")
        assert answer["result_text"] == "1\n" and answer["restarted"] is False


@attack("link", "speaks as another session's worker, from inside a sandbox", runsc=True)
def test_impersonation_from_a_sandbox(arena):
    victim = arena.another()
    arena.gateway.ok(victim, "kept = 1")
    ident = routing_id(arena.gateway, arena.gateway.init_of(victim))
    heard = arena.gateway.value(arena.user, f"""
import json, os, socket, time
heard = []
def framed(*frames): return b''.join([bytes([len(frames)]), *(len(f).to_bytes(4, 'big') for f in frames), *frames])
try: os.symlink('/run/tci/link/gateway.sock', '/workspace/s')
except OSError: pass
for path in ('/run/tci/link/gateway.sock', '/workspace/s', '/proc/1/root/run/tci/link/gateway.sock', '/proc/self/root/run/tci/link/gateway.sock'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_UNIX, kind) as s:
                s.settimeout(0.2)
                s.connect(path)
                s.sendall(framed({ident!r}.encode()) + framed(b'X', b'{{"exit":1}}'))
                heard.append('sent')
        except OSError: pass
print(json.dumps(heard))""")
    assert heard == []
    answer = arena.gateway.ok(victim, "print(kept)")
    assert answer["result_text"] == "1\n" and answer["restarted"] is False


@attack("link", "keeps workers from reaching the gateway, by connections of another user of the host", runsc=True)
def test_flood_of_the_link(arena):
    path = os.path.join(arena.gateway.state_dir, "link", "gateway.sock")
    code = """
import os, socket, sys, time
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = []
end = time.monotonic() + 4
print('begun', flush=True)
while time.monotonic() < end:
    s = socket.socket(socket.AF_UNIX); s.settimeout(0.2)
    try: s.connect(sys.argv[1]); s.send(b'\\xff' + b'x' * 100)
    except OSError: pass
    held = held[-500:] + [s]
"""
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as flooding:
        assert flooding.stdout.readline() == b"begun\n"
        while flooding.poll() is None:
            user = arena.another()
            assert arena.gateway.text(user, "print(1)", timeout=20) == "1\n"
            arena.gateway.release(user)
            assert arena.ask_bystander() < 5 * harness.slack()


@attack("supervision", "crashes or blocks the worker by what it sends in place of the kernel", runsc=True)
def test_garbage_for_the_worker(arena):
    """The kernel's sockets answered by something that does not speak ZeroMQ, or speaks it without end."""
    for speech in ("b'GET / HTTP/1.1\\r\\n\\r\\n'", "b'\\xff' * 65536", "b'\\xff\\0\\0\\0\\0\\0\\0\\0\\1\\x7f\\3\\0NULL' + b'\\0' * 48 + b'\\4\\x19\\5READY\\x0bSocket-Type\\0\\0\\0\\6ROUTER' + b'\\3\\xff\\xff\\xff\\xff' * 9999", "b''"):
        init = arena.gateway.init_of(arena.user)
        future = arena.start(f"""
import threading
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
for s in (app.shell_socket, app.stdin_socket, app.control_socket, app.iopub_thread.socket): s.close(0)
def serve(path):
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(64)
    while True:
        c = s.accept()[0]
        try:
            while True: c.sendall({speech} or b'' + time.sleep(1000))
        except Exception: pass
for name in os.listdir('/run/kernel'):
    if name.startswith('kernel-'):
        os.unlink('/run/kernel/' + name)
        threading.Thread(target=serve, args=('/run/kernel/' + name,), daemon=True).start()
time.sleep(1000)""", timeout=1.5)
        assert arena.bystander_during(future).status_code in (503, 504)
        arena.gone(init)
