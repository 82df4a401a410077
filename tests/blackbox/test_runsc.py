"""test_runsc.py - what is different under gVisor: how the sandbox looks from outside, and what its /proc gives away."""
import os
import subprocess

import pytest

import harness
from harness import eventually

pytestmark = pytest.mark.skipif(harness.runtime() != "runsc", reason="TCI_TEST_RUNTIME is not runsc")

NOBODY = 65534


def uid(pid):
    numbers = set(harness.status_field(pid, "Uid").split())
    assert len(numbers) == 1
    return int(numbers.pop())


def gofer_of(container):
    found = [pid for pid in container.processes() if harness.arguments_of(pid)[0] == "runsc-gofer"]
    assert len(found) == 1
    return found[0]


def test_it_is_gvisor(gateway, user):
    assert gateway.text(user, "open('/proc/version').read().startswith('Linux version 4.4.0 ')") == "True"
    assert gateway.status()["runtime"] == "runsc"


def test_the_host_sees_a_sandbox_of_nobody(gateway, users):
    """The program that runs users' code: no user of the host's, filtered, no file system, and of no other session."""
    seen = set()
    for container in [gateway.container_of(users(gateway)) for _ in range(2)]:
        init = container.init
        assert uid(init) == NOBODY
        assert harness.status_field(init, "Seccomp") == "2"
        assert len(harness.read_text(f"/proc/{init}/mountinfo").splitlines()) == 1
        assert os.listdir(f"/proc/{init}/root") in ([], ["proc"], ["etc", "proc"], ["proc", "etc"])
        for name in ("user", "mnt", "ipc", "uts", "net"):
            namespace = os.readlink(f"/proc/{init}/ns/{name}")
            assert namespace != os.readlink(f"/proc/{gateway.pid}/ns/{name}"), name
            assert namespace not in seen
            seen.add(namespace)


def test_the_gofer_is_the_containers_root(gateway, users):
    """It opens files and dials the link: a uid of no account and of no other session, the group that the link lets in."""
    containers = [gateway.container_of(users(gateway)) for _ in range(2)]
    uids = {uid(gofer_of(container)) for container in containers}
    assert len(uids) == 2 and min(uids) >= 65536
    assert {container.link_group() for container in containers} == {0x3fffffff}


def test_all_processes_are_limited(gateway, user):
    """Sandbox, gofer and what runs the code are in the container's cgroups, and no process of the container's is elsewhere."""
    container = gateway.container_of(user)
    processes = container.processes()
    assert container.init in processes and gofer_of(container) in processes
    for pid in processes:
        assert harness.cgroups_of(pid) == container.cgroups
    for child in harness.children_of(container.init):
        assert child in processes


def test_the_pids_limit_cannot_be_left(gateway, user):
    """Sandboxed code cannot write to gVisor's cgroup, not as the root of a user namespace of its own either."""
    code = ("import ctypes, os\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "def leave():\n"
            "    for top in '/sys/fs/cgroup', '/tmp/cg':\n"
            "        for path, _, names in os.walk(top):\n"
            "            for name in names:\n"
            "                try: open(os.path.join(path, name), 'w').write(str(os.getpid()))\n"
            "                except OSError: pass\n"
            "    return open('/proc/self/cgroup').read()\n"
            "kept = open('/proc/self/cgroup').read()\n"
            "assert ':pids:/' in kept and not kept.strip().endswith(':pids:/')\n"
            "assert leave() == kept\n"
            "os.makedirs('/tmp/cg', exist_ok=True)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    libc.unshare(0x10000000 | 0x20000)\n"
            "    try:\n"
            "        for name, text in ('setgroups', 'deny'), ('uid_map', '0 1000 1'), ('gid_map', '0 1000 1'):\n"
            "            open('/proc/self/' + name, 'w').write(text)\n"
            "    except OSError: pass\n"
            "    libc.mount(b'none', b'/tmp/cg', b'cgroup', 0, b'pids')\n"
            "    os._exit(0 if leave() == kept else 1)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))")
    assert gateway.text(user, code) == "0\n"


def test_what_is_shown_of_pid_1_is_no_secret(gateway, user):
    """Its environment is the same for all; of its descriptors none but /dev/null can be opened again."""
    names = gateway.value(user, "import json; print(json.dumps([line.split('=')[0] for line in "
                                "open('/proc/1/environ').read().split('\\0') if line]))")
    assert set(names) == {"PATH", "HOME", "LANG", "TCI_PIDS"}
    code = ("import json, os\nopened = []\n"
            "for name in os.listdir('/proc/1/fd'):\n"
            "    for mode in os.O_RDONLY, os.O_WRONLY:\n"
            "        try: os.close(os.open('/proc/1/fd/' + name, mode | os.O_NONBLOCK)); opened.append(os.readlink('/proc/1/fd/' + name))\n"
            "        except OSError: pass\n"
            "print(json.dumps(opened))")
    assert set(gateway.value(user, code)) <= {"/dev/null"}


def test_memory_is_told_as_such(make_gateway, users):
    """The host's kernel ends the sandbox as a whole; the answer is the same as elsewhere."""
    gateway = make_gateway(worker_memory_mb=256, min_idle_workers=1)
    user = users()
    gateway.ok(user, "1")
    for code in ("held = bytearray(b'x') * (400 * 2**20)", "held = [bytearray(b'x') * 2**20 for _ in range(400)]",
                 "open('/workspace/f', 'wb').write(bytearray(400 * 2**20))"):
        answer = gateway.execute(user, code)
        assert answer.status_code == 503
        assert answer.json()["detail"] == "The worker ran out of memory (limit: 256 MB)"
        assert gateway.ok(user, "1")["restarted"] is True


def test_a_sandbox_that_ends_takes_all_with_it(gateway, user):
    container = gateway.container_of(user)
    os.kill(container.init, 9)
    eventually(lambda: not container.processes(), 30)
    eventually(lambda: not [path for path in container.cgroups if os.path.isdir(path)], 30)
    eventually(lambda: not [name for name in os.listdir(os.path.join(gateway.state_dir, "runsc")) if name.startswith(container.id)], 30)


def test_containers_of_the_other_runtime_are_taken_over(make_gateway, users):
    """The setting changes between two starts: sessions live on, and can be ended."""
    gateway = make_gateway(runtime="crun", min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    assert gateway.stop() == 0
    gateway.settings["runtime"] = "runsc"
    gateway.start()
    assert gateway.ok(user, "kept")["result_text"] == "1"
    assert gateway.release(user).status_code == 200
    eventually(lambda: not os.listdir(os.path.join(gateway.state_dir, "crun")), 60, "crun's notes are gone")
    assert gateway.text(user, "'kept' in globals()") == "False"


def test_no_program_no_start(state_dir, tmp_path):
    done = harness.run_gateway("--state-dir", state_dir, "--runtime", "runsc", env={"PATH": str(tmp_path)})
    assert done.returncode != 0
    assert "The program runsc" in done.stderr and "TCI_RUNTIME" in done.stderr and "PATH" in done.stderr


def test_a_platform_that_does_not_work_is_told(make_gateway):
    """A program that cannot start a container is no silent failure: /status says what it said."""
    if "systrap" in subprocess.run(["runsc", "flags"], capture_output=True, text=True).stdout:
        pytest.skip("this gVisor has systrap")
    gateway = make_gateway(runsc_platform="systrap", min_idle_workers=1, ready=False)
    error = eventually(lambda: gateway.status()["last_start_error"], 60)
    assert "systrap" in str(error)
