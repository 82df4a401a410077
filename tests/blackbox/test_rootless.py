"""test_rootless.py - the gateway of an ordinary user: his containers, what limits them, and what is said of the rest.

It takes root to make that user, and to look at what he does.
"""
import contextlib
import errno
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

import harness
from harness import eventually

pytestmark = [
    pytest.mark.skipif(harness.runtime() != "crun", reason="runsc takes root"),
    pytest.mark.skipif(harness.sanitized(), reason="AddressSanitizer reserves more memory than a process may have"),
]

NOT_ENFORCED = ("TCI_WORKER_CPU", "TCI_WORKER_MEMORY_MB", "sockets and pipes")
LIMITS = {"cpu": "nothing", "disk": "container", "memory": "process", "pids": "user", "socket_memory": "nothing"}


@pytest.fixture(scope="module")
def account():
    one = harness.Account.get()
    if not one.may_run(harness.gateway_binary()):
        pytest.skip(f"an ordinary user may not pass to {harness.gateway_binary()}")
    return one


@pytest.fixture(scope="module")
def gateway(make_module_gateway, account):
    return make_module_gateway(account=account, min_idle_workers=2, max_total_workers=8, exec_timeout=int(10 * harness.slack()),
                               worker_memory_mb=512, worker_disk_mb=64, worker_pids=40)


def host_ids(pid, field):
    """The one id of a process that the host sees as real, effective, saved and file system's."""
    numbers = set(harness.status_field(pid, field).split())
    assert len(numbers) == 1
    return int(numbers.pop())


def test_it_is_no_root(gateway, account):
    assert host_ids(gateway.pid, "Uid") == account.uid
    assert int(harness.status_field(gateway.pid, "CapEff"), 16) == 0


def test_hello_world_and_state(gateway, users):
    user = users(gateway)
    assert gateway.text(user, "print('hello world')") == "hello world\n"
    gateway.ok(user, "kept = 41")
    assert gateway.text(user, "kept + 1") == "42"


def test_plot(gateway, users):
    answer = gateway.ok(users(gateway), "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()")
    assert len(answer["images"]) == 1


def test_timeout(gateway, users):
    user = users(gateway)
    gateway.ok(user, "kept = 1")
    answer = gateway.execute(user, "while True: pass", timeout=1)
    assert answer.status_code == 504
    after = gateway.ok(user, "print('kept' in globals())")
    assert after["restarted"] is True and after["result_text"] == "False\n"


def test_death_of_the_kernel(gateway, users):
    user = users(gateway)
    answer = gateway.execute(user, "import os; os._exit(3)")
    assert answer.status_code == 503 and "exited with status 3" in answer.json()["detail"]
    assert gateway.ok(user, "1")["restarted"] is True


def test_death_of_the_worker(gateway, users):
    user = users(gateway)
    gateway.ok(user, "1")
    os.kill(gateway.init_of(user), signal.SIGKILL)
    eventually(lambda: (gateway.session(user) or {"state": "waiting"})["state"] == "waiting", 30)
    assert gateway.ok(user, "1")["restarted"] is True


def test_host_ids_are_subordinate_and_of_one_container(gateway, account, users):
    """Neither the kernel nor the worker is the gateway's user, or another session's; the roots share the link's group."""
    ids = range(account.first_id, account.first_id + 200)
    seen, groups = set(), set()
    for user in (users(gateway), users(gateway)):
        init, kernel = gateway.init_of(user), gateway.kernel_of(user)
        own = {host_ids(init, "Uid"), host_ids(kernel, "Uid")}
        assert len(own) == 2 and all(one in ids for one in own) and not own & seen
        seen |= own
        assert host_ids(kernel, "Gid") in ids
        groups.add(host_ids(init, "Gid"))
        assert not set(harness.status_field(kernel, "Groups").split())
        assert not set(harness.status_field(init, "Groups").split())
    assert groups == {account.first_id}


def test_namespaces_are_its_own(gateway, users):
    kernels = [gateway.kernel_of(users(gateway)) for _ in range(2)]
    for name in ("user", "pid", "mnt", "ipc", "uts", "net", "cgroup"):
        seen = [os.readlink(f"/proc/{pid}/ns/{name}") for pid in (os.getpid(), *kernels)]
        assert len(set(seen)) == 3, name


def test_the_kernel_has_no_privileges(gateway, users):
    kernel = gateway.kernel_of(users(gateway))
    for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
        assert int(harness.status_field(kernel, name), 16) == 0
    assert harness.status_field(kernel, "NoNewPrivs") == "1"
    assert harness.status_field(kernel, "Seccomp") == "2"


def test_the_hosts_files_are_closed(gateway, account, users):
    """Root and home are read-only, and what is the gateway's user's alone is not there."""
    user = users(gateway)
    code = ("import json\nfound = []\n"
            f"for path in ('/usr/x', '/etc/x', '/x', '{gateway.state_dir}/x', '/proc/sys/kernel/core_pattern'):\n"
            "    try: open(path, 'w'); found.append(path)\n"
            "    except OSError: pass\n"
            f"for path in ('{gateway.state_dir}/auth_token', '/proc/kcore', '/proc/1/environ'):\n"
            "    try: found += [path] if open(path, 'rb').read(1) else []\n"
            "    except OSError: pass\n"
            "print(json.dumps(found))")
    assert gateway.value(user, code) == []


def test_the_link_takes_no_process_of_the_user(gateway, account):
    """Not his own and nobody else's: only the containers' roots have the group."""
    path = os.path.join(gateway.state_dir, "link", "gateway.sock")
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect(sys.argv[1])\n"
            "print(s.recv(1) == b'')")
    for identity in (account.process(), {}):
        done = subprocess.run(["/usr/bin/python3", "-c", code, path], capture_output=True, text=True, **identity)
        assert done.stdout == "True\n", done.stderr


def test_pids_limit_bites(gateway, users):
    """For each container by itself: while one is at its limit, another starts processes and threads."""
    full, other = users(gateway), users(gateway)
    gateway.ok(other, "1")
    code = ("import os, time\nchildren = []\n"
            "try:\n"
            "    while len(children) < 200:\n"
            "        pid = os.fork()\n"
            "        if pid == 0: time.sleep(60); os._exit(0)\n"
            "        children.append(pid)\n"
            "except OSError as e: print([e.errno, len(children)])")
    number, count = gateway.value(full, code)
    assert number == errno.EAGAIN and 5 < count < 40
    assert gateway.text(other, "import subprocess, threading\nt = threading.Thread(target=print)\nt.start(); t.join()\n"
                               "print(subprocess.run(['echo', 'here'], capture_output=True).stdout)") == "\nb'here\\n'\n"
    assert gateway.text(full, "for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)\nprint(os.waitpid(os.fork() or os._exit(0), 0)[1])") == "0\n"


def test_the_pids_limit_cannot_be_raised(gateway, users):
    user = users(gateway)
    assert gateway.value(user, "import resource\nprint(list(resource.getrlimit(resource.RLIMIT_NPROC)))") == [40, 40]
    assert gateway.run(user, "resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))")["error"]["ename"] == "ValueError"


@pytest.mark.parametrize("path, mib", [("/workspace", 64), ("/tmp", 16), ("/home/sandbox", 16)])
def test_disk_limit_bites(gateway, users, path, mib):
    code = ("total = 0\ntry:\n"
            f"    with open('{path}/fill', 'wb', buffering=0) as f:\n"
            "        while total < 2**28: total += f.write(b'x' * 2**18)\n"
            "except OSError as e: print([e.errno, total])")
    number, total = gateway.value(users(gateway), code)
    assert number == errno.ENOSPC and total <= mib * 2**20


def test_memory_of_a_process_is_limited(gateway, users):
    """It is told so, and goes on; the limit cannot be raised."""
    user = users(gateway)
    gateway.ok(user, "kept = 1")
    answer = gateway.run(user, "big = bytearray(600 * 2**20)")
    assert answer["error"]["ename"] == "MemoryError"
    answer = gateway.run(user, "many = []\nwhile True: many.append(bytearray(2**20))")
    assert answer["error"]["ename"] == "MemoryError"
    assert gateway.value(user, "del many\nimport numpy\nprint(int(numpy.ones((1000, 1000)).sum()) + kept)") == 1000001
    answer = gateway.run(user, "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))")
    assert answer["error"]["ename"] == "ValueError"


def test_what_is_not_enforced_is_said(gateway):
    """A line for each in the log at the start, and all limits in /status."""
    lines = [line for line in gateway.log().splitlines() if " warn " in line and "not enforced: " in line]
    assert len(lines) == len(NOT_ENFORCED)
    for word in NOT_ENFORCED:
        assert sum(word in line for line in lines) == 1, word
    assert gateway.status()["limits"] == LIMITS
    assert "subordinate ids are enough" not in gateway.log()


# ------------------------------------------------------------------------------------------- starts and ends


def test_sessions_survive_a_kill(make_gateway, account, users):
    gateway = make_gateway(account=account, min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 'still here'")
    gateway.kill9()
    gateway.start()
    answer = gateway.ok(user, "print(kept)")
    assert answer["result_text"] == "still here\n" and answer["restarted"] is False
    assert gateway.execute(user, "import os; os._exit(0)").status_code == 503, "its end is seen"
    assert gateway.ok(user, "1")["restarted"] is True


def descendants_of(pid):
    """By the kernel's lists: harness.children_of, which looks through all of /proc, takes longer than crun gives us."""
    found = [pid]
    for one in found:
        found += [int(child) for child in harness.read_text(f"/proc/{one}/task/{one}/children", "").split()]
    return found[1:]


def stop_before_the_note(gateway):
    """Stops a crun that has an init run the worker, and has not written down yet that it is one.  Its processes; none: it was
    quicker."""
    def init():
        return next((pid for pid in descendants_of(gateway.pid) if (harness.status_field(pid, "NSpid") or "").endswith("\t1")), None)

    pid = eventually(init, 30, "a container is started", interval=0.0005)
    stopped = [other for other in descendants_of(gateway.pid) if other != pid and harness.arguments_of(other)[0] == "crun"]
    while harness.arguments_of(pid)[0] == "crun":
        pass
    for one in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGSTOP)
    notes = os.path.join(gateway.state_dir, "crun")
    if not any("status" in os.listdir(os.path.join(notes, name)) for name in os.listdir(notes)):
        return stopped
    resume(stopped)
    return []


def resume(stopped):
    for one in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGCONT)


def test_nothing_is_left_of_a_start_that_is_cut_off(make_gateway, account, users):
    """A container's init is known by what crun notes, which it does last."""
    gateway = make_gateway(account=account, min_idle_workers=0)
    for _ in range(20):
        user = users()
        waits = gateway.spawn(user, "1")
        stopped = stop_before_the_note(gateway)
        if stopped:
            break
        waits.result()
        gateway.release(user)
        gateway.quiet()
    else:
        pytest.skip("crun was quicker every time")
    gateway.kill9()
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(gateway.run_again, "--remove-containers")
        wait([removal], 1)
        assert not removal.done(), "it waits for what is going on"
        resume(stopped)
        assert removal.result().returncode == 0, removal.result().stderr
    assert gateway.container_processes() == []


def test_nothing_is_left(make_gateway, account, users):
    """Containers of a gateway that was killed are removed by --remove-containers, with all that was kept of them."""
    gateway = make_gateway(account=account, min_idle_workers=2)
    gateway.ok(users(), "import os, time\nif os.fork() == 0: time.sleep(1000)")
    gateway.quiet()
    inits = gateway.inits()
    assert len(inits) == 3
    gateway.kill9()
    done = gateway.run_again("--remove-containers")
    assert done.returncode == 0 and "3 containers removed" in done.stdout, done.stderr
    assert not [pid for pid in inits if harness.process_exists(pid)]
    assert gateway.container_processes() == []
    for name in ("containers", "crun"):
        assert os.listdir(os.path.join(gateway.state_dir, name)) == []


def test_a_home_that_is_closed(make_gateway, account, users):
    """Without any setting state is in the user's home; others may not pass there, and after all the containers run."""
    gateway = make_gateway(start=False, account=account, min_idle_workers=1)
    home = os.path.join(gateway.base, "home")
    os.mkdir(home, 0o700)
    with open(os.path.join(home, "private"), "w") as f:
        f.write("private")
    account.give(home)
    gateway.env["HOME"] = home
    gateway.state_dir = os.path.join(home, ".local", "state", "tci")
    command = gateway.command
    gateway.command = lambda *more: [word for word in command(*more) if word not in ("--state-dir", gateway.state_dir)]
    gateway.start()
    assert os.path.exists(os.path.join(gateway.state_dir, "tci.db"))
    user = users()
    assert gateway.text(user, "6 * 7") == "42"
    assert os.stat(home).st_mode & 0o777 == 0o700
    assert gateway.value(user, f"import json, os\nprint(json.dumps(os.path.exists({home!r})))") is False


def start_fails(gateway):
    gateway.launch()
    assert gateway.process.wait(60) not in (0, None)
    gateway._ended(gateway.process.returncode)
    return gateway.log()


def test_without_subordinate_ids(make_gateway, account):
    """No start: with one id, code would run as the user himself.  What to do is said."""
    poor = harness.Account(f"{harness.Account.PREFIX}{os.getpid()}-poor", 0)
    gateway = make_gateway(start=False, account=poor)
    try:
        log = start_fails(gateway)
        assert f"User {poor.name} has no subordinate ids" in log and "usermod --add-subuids" in log
    finally:
        gateway.destroy()
        poor.remove()


def test_few_subordinate_ids(make_gateway, account, users):
    """Seven are enough for two workers; the third is refused, and the start has said how many it takes."""
    poor = harness.Account(f"{harness.Account.PREFIX}{os.getpid()}-few", 7)
    gateway = make_gateway(start=False, account=poor, min_idle_workers=0, max_total_workers=12)
    try:
        gateway.start(ready=False)
        assert "are enough for 2 workers" in gateway.log() and "takes 37 ids" in gateway.log()
        for user in [users(), users()]:
            assert gateway.text(user, "1") == "1"
        answer = gateway.execute(users(), "1")
        assert answer.status_code == 503
        assert "subordinate ids for 2 containers only" in gateway.status()["last_start_error"]
        gateway.finish()
    finally:
        gateway.destroy()
        poor.remove()


def test_a_network_takes_root(make_gateway, account):
    gateway = make_gateway(start=False, account=account, network="allowlist", network_allow="one.test")
    assert "TCI_NETWORK=allowlist and TCI_PACKAGES_INDEX need root" in start_fails(gateway)
    gateway.destroy()


def test_runsc_takes_root(make_gateway, account):
    gateway = make_gateway(start=False, account=account, runtime="runsc")
    assert "needs root" in start_fails(gateway)
    gateway.destroy()


@pytest.mark.parametrize("field, value", [("cpu", 0.5), ("memory_mb", 100), ("cpu", "x")])
def test_an_execution_cannot_be_limited(gateway, users, field, value):
    """Rather than to run without the limit that was asked for, it is refused."""
    user = users(gateway)
    answer = gateway.execute(user, "1", **{field: value})
    assert answer.status_code == 400 and answer.json()["field"] == field
    assert "without root" in answer.json()["detail"]
    assert gateway.execute(user, "1", **{field: None}).status_code == 200
