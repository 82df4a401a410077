"""test_sandbox_secrets.py - what a sandbox must not come to: the link, process 1, what the gateway knows."""
import errno

import pytest

from harness import eventually
from test_sandbox import CRUN, attempt, refused


def test_the_link_cannot_be_reached(gateway, user):
    for path in ("/run/tci", "/run/tci/link"):
        assert refused(attempt(gateway, user, f"result = os.listdir('{path}')"))
    for path in ("/run/tci/link/gateway.sock", "/proc/1/root/run/tci/link/gateway.sock"):
        result = attempt(gateway, user, f"import socket\nsocket.socket(socket.AF_UNIX).connect('{path}')\nresult = 'in'")
        assert refused(result), result
        assert refused(attempt(gateway, user, f"os.stat('{path}')\nresult = 'there'"))


SHOWN = pytest.mark.crun_only("Debian's gVisor shows it of any process; test_runsc.py looks at what is in it")


@pytest.mark.parametrize("name", [pytest.param(name, marks=SHOWN if name in ("environ", "maps", "fd", "auxv") else ()) for name in (
    "environ", "mem", "maps", "fd", "root", "cwd", "exe", "ns/mnt", "auxv", "stack", "map_files")])
def test_pid_1_is_closed(gateway, user, name):
    code = (f"p = '/proc/1/{name}'\n"
            "result = (os.readlink(p) if os.path.islink(p) else\n"
            "          os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(10).hex())")
    result = attempt(gateway, user, code)
    assert refused(result) or result == "" and name in ("maps", "environ"), result


def test_pid_1_cannot_be_signalled(gateway, user):
    gateway.ok(user, "kept = 1")
    for number in ("SIGKILL", "SIGTERM", "SIGSTOP", "SIGHUP", "SIGSEGV"):
        assert attempt(gateway, user, f"import signal\nos.kill(1, signal.{number})\nresult = 'sent'") == ["PermissionError", errno.EPERM]
    assert gateway.ok(user, "kept")["restarted"] is False


def test_secrets_of_the_gateway_are_nowhere(gateway, user):
    """The token is not in any file, environment or command line that user code can read."""
    encoded = gateway.token[::-1]  # so that the code itself is no find
    code = f"""
needle = {encoded!r}[::-1].encode()
result = []
def look(path):
    try:
        with open(path, 'rb') as f:
            if needle in f.read(2**22): result.append(path)
    except OSError: pass
for top in ('/proc/self', '/etc', '/run', '/kernelspec', '/home', '/var', '/opt', '/srv', '/root'):
    for path, dirs, files in os.walk(top):
        dirs[:] = [d for d in dirs if d not in ('task', 'fd', 'map_files', 'net', 'attr', 'ns')]
        for name in files:
            if name not in ('mem', 'kmsg', 'pagemap', 'clear_refs'): look(os.path.join(path, name))
for pid in filter(str.isdigit, os.listdir('/proc')):
    for name in ('environ', 'cmdline'): look(f'/proc/{{pid}}/{{name}}')
""".strip("\n")
    assert attempt(gateway, user, code) == []
    names = attempt(gateway, user, "result = list(os.environ)")
    assert not [name for name in names if "TOKEN" in name or name.startswith("TCI_")]


def test_environment_is_not_the_gateways(make_gateway, users):
    gateway = make_gateway(env={"SECRET_OF_THE_HOST": "do-not-tell"})
    user = users(gateway)
    seen = attempt(gateway, user, "result = dict(os.environ)")
    assert "SECRET_OF_THE_HOST" not in seen and "do-not-tell" not in str(seen)
    assert len(seen) < 40
    assert "do-not-tell" not in attempt(gateway, user, "import subprocess\nresult = subprocess.run('cat /proc/*/environ', shell=True, "
                                                       "capture_output=True).stdout.decode(errors='replace')")


def test_no_descriptor_is_inherited(gateway, user):
    """The kernel starts with its standard descriptors and what it opens itself: no directory, no foreign socket."""
    links = attempt(gateway, user, "result = []\nfor fd in os.listdir('/proc/self/fd'):\n"
                                   "    try: result.append(os.readlink('/proc/self/fd/' + fd))\n"
                                   "    except OSError: pass")
    assert not [link for link in links if link.startswith("/") and not link.startswith(("/dev/null", "/proc/", "/dev/pts", "/home/sandbox",
                "/dev/urandom", "/dev/random")) and "(deleted)" not in link], links


def test_core_dumps_are_off(gateway, user):
    """One byte is no file, and to Linux the sign not to run a program for it either."""
    assert attempt(gateway, user, "import resource\nresult = resource.getrlimit(resource.RLIMIT_CORE)") == [1, 1]


def test_what_programs_do_for_their_data(gateway, user):
    """What would be disk work on a host, and limits that programs set for themselves: none of it fails."""
    assert attempt(gateway, user, """
import mmap, resource, sqlite3, subprocess
with open('/workspace/f', 'wb') as f:
    f.write(b'x' * 4096); f.flush(); os.fsync(f.fileno()); os.fdatasync(f.fileno())
with open('/workspace/f', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    m[0] = 121; m.flush()
os.sync()
db = sqlite3.connect('/workspace/db')
db.execute('PRAGMA synchronous = FULL'); db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)'); db.commit(); db.close()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
resource.prlimit(0, resource.RLIMIT_CPU, (999, 9999))
shell = subprocess.run(['bash', '-ec', 'ulimit -c 0; ulimit -n 256; ulimit -n; sync; dd if=/dev/zero of=/workspace/g bs=1k count=4 conv=fsync status=none'], capture_output=True, text=True)
result = [open('/workspace/f', 'rb').read(2).decode(), sqlite3.connect('/workspace/db').execute('SELECT x FROM t').fetchone()[0],
          resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft - 1, resource.getrlimit(resource.RLIMIT_CPU), shell.stdout + shell.stderr, shell.returncode]
""") == ["yx", 7, True, [999, 9999], "256\n", 0]


def test_the_clock_and_the_kernel_cannot_be_changed(gateway, user):
    assert attempt(gateway, user, "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)\nresult = 'set'") == ["PermissionError", errno.EPERM]
    assert attempt(gateway, user, "import socket\nsocket.sethostname('x')\nresult = 'set'") == ["PermissionError", errno.EPERM]
    assert refused(attempt(gateway, user, "os.setuid(0)\nresult = 'root'"))
    if CRUN:  # gVisor lets every process be as nice as it likes: it tells nobody
        assert refused(attempt(gateway, user, "os.nice(-5)\nresult = 'nicer'"))


def test_daemons_end_with_the_session(gateway, users):
    user = users(gateway)
    container = gateway.container_of(user)
    gateway.ok(user, "import subprocess\n"
                     "_ = subprocess.run('nohup setsid sh -c \"trap : TERM HUP INT; while :; do sleep 1; done\" >/dev/null 2>&1 &', shell=True)")
    assert len(container.processes()) >= 3
    gateway.release(user)
    eventually(lambda: not container.processes(), 30, "no process of that session runs on")


def test_orphans_inside_are_reaped(gateway, user):
    """PID 1 collects the children of others: no zombies pile up against the pids limit."""
    code = ("import subprocess, time\n"
            "for _ in range(100): subprocess.run(['sh', '-c', 'true & true & exit 0'])\n"
            "def zombies():\n"
            "    n = 0\n"
            "    for pid in filter(str.isdigit, os.listdir('/proc')):\n"
            "        try: n += open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] == 'Z'\n"
            "        except OSError: pass\n"
            "    return n\n"
            "end = time.monotonic() + 10\n"
            "while zombies() and time.monotonic() < end: time.sleep(0.05)\n"
            "result = zombies()")
    assert attempt(gateway, user, code) == 0
