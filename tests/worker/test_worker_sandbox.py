"""What the kernel has in its hands when tci-worker starts it, and what hostile code can do to the worker."""

import json
import os
import time

import pytest

import sandbox
from sandbox import raw, replies, streams

STATUS = "print(open('/proc/self/status').read())"


def status_of(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.mark.parametrize("more", ["", ",+setpcap"])
def test_no_privileges(worker, more):
    worker.capabilities += more
    worker.start("xpython")
    status = status_of(worker.text(STATUS))
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert status["Groups"].strip() == ""
    assert status["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert (int(status["CapBnd"], 16) == 0) == bool(more)  # emptying it takes CAP_SETPCAP
    assert int(status["SigBlk"], 16) == 0


def test_surroundings(worker):
    worker.start("ipykernel", env={"PATH": "/usr/bin:/bin", "HOME": "/home/sandbox", "A": "b=c"})
    text = worker.text(
        "import os, resource, json\n"
        "print(json.dumps({'env': sorted(set(os.environ) - {'LC_CTYPE', 'JPY_PARENT_PID', 'PYDEVD_USE_FRAME_EVAL',"
        " 'CLICOLOR', 'CLICOLOR_FORCE', 'FORCE_COLOR', 'PAGER', 'GIT_PAGER', 'TERM', 'MPLBACKEND',"
        " 'PYDEVD_USE_CYTHON'}),\n"
        " 'a': os.environ['A'], 'cwd': os.getcwd(), 'sid': os.getsid(0) == os.getpid(),\n"
        " 'stdin': os.readlink('/proc/self/fd/0'), 'core': resource.getrlimit(resource.RLIMIT_CORE),\n"
        " 'oom': open('/proc/self/oom_score_adj').read().strip(),\n"
        " 'file': oct(os.stat('/run/kernel/connection.json').st_mode & 0o777)}))")
    assert json.loads(text) == {
        "env": ["A", "HOME", "PATH"], "a": "b=c", "cwd": "/workspace", "sid": True, "stdin": "/dev/null",
        "core": [1, 1], "oom": "1000", "file": "0o600"}


def test_no_descriptor_is_inherited(worker):
    worker.run()
    worker.configure(["/bin/ls", "-l", "/proc/self/fd"])
    worker.expect("S")
    listing = worker.until("O").frames[1].decode()
    numbers = [line.split(" -> ")[0].split()[-1] for line in listing.splitlines() if " -> " in line]
    assert numbers == ["0", "1", "2", "3"]  # 3 is what ls reads


def test_worker_is_out_of_reach(worker):
    worker.start("xpython")
    seen = worker.text(
        "import os, glob\n"
        "def attempt(f, *a):\n"
        "    try: f(*a); print('possible:', f, a)\n"
        "    except OSError as e: pass\n"
        "attempt(os.kill, 1, 9)\n"
        "attempt(os.listdir, '/proc/1/fd')\n"
        "attempt(os.readlink, '/proc/1/exe')\n"
        "attempt(open, '/proc/1/mem')\n"
        "attempt(open, '/proc/1/environ')\n"
        "attempt(os.listdir, '/run/tci')\n"
        "attempt(os.stat, '/run/tci/link/gateway.sock')\n"
        "import socket\n"
        "attempt(socket.socket(socket.AF_UNIX).connect, '/run/tci/link/gateway.sock')\n")
    assert seen == ""


def test_skeleton_is_copied(worker):
    os.makedirs(os.path.join(worker.skel, "sub/deeper"))
    for path, content in (("a", "A"), ("sub/b", "B"), ("sub/deeper/c", "C")):
        with open(os.path.join(worker.skel, path), "w", encoding="ascii") as f:
            f.write(content)
    os.utime(os.path.join(worker.skel, "a"), (1000, 2000))
    os.symlink("a", os.path.join(worker.skel, "link"))
    os.mkfifo(os.path.join(worker.skel, "fifo"))
    worker.start("xpython")
    assert worker.text("import os\nos.chdir('/home/sandbox')\n"
                       "print(open('link').read(), open('sub/b').read(), open('sub/deeper/c').read(),"
                       " os.stat('a').st_uid, int(os.stat('a').st_mtime), os.readlink('link'),"
                       " os.path.exists('fifo'))") == "A B C 1000 2000 a False\n"




# Sends frames as they are, from the thread that the socket belongs to.
PUBLISH = """
from ipykernel.kernelapp import IPKernelApp
def publish(*messages):
    t = IPKernelApp.instance().iopub_thread
    for frames in messages: t.schedule(lambda frames=frames: t.socket.send_multipart(frames))
"""


@pytest.mark.parametrize("content", [b"{}", b"x" * 60000], ids=len)
def test_status_flood(worker, content):
    """Messages that look like status pass the output limits, but not without end."""
    worker.start("ipykernel")
    worker.execute(PUBLISH + "while True: publish([b'<IDS|MSG>', b'', b'{\"msg_type\": \"status\"}', b'{}', b'{}',"
                   f" {content[:1]} * {len(content)}])")
    assert "status" in worker.exited(30)["reason"]


def test_reply_flood(worker):
    worker.start("ipykernel")
    worker.execute("from ipykernel.kernelapp import IPKernelApp\n"
                   "s = IPKernelApp.instance().shell_socket\n"
                   "while True: s.send_multipart([b'tci', b'<IDS|MSG>', b'', b'{}', b'{}', b'{}', b'{}'])")
    assert "replies" in worker.exited(30)["reason"]


def test_huge_reply(worker):
    worker.start("ipykernel")
    worker.execute("raise ValueError('x' * 50_000_000)")
    assert "replies" in worker.exited(60)["reason"]


def test_malformed_messages_are_dropped(worker):
    """No delimiter, too few frames, too many: none reaches the gateway, and the worker lives."""
    worker.start("ipykernel")
    seen = worker.run_code(PUBLISH + """
publish([b''], [b'no delimiter'] * 10, [b'<IDS|MSG>'], [b'a', b'<IDS|MSG>', b'', b'', b'', b''],
        [b'x'] * 10000, [b'<IDS|MSG>'] + [b'{}'] * 29, [b'x', b'<IDS|MSG>'] + [b''] * 30)
""")
    assert replies(seen)
    assert worker.text("print('alive')") == "alive\n"
    assert worker.errors().count("dropped bad message") == 7


def test_most_frames_that_pass(worker):
    """29 frames from the delimiter on are as many as one message of the link may have."""
    worker.start("ipykernel")
    worker.execute(PUBLISH + "publish([b'topic', b'<IDS|MSG>', b'', b'{\"n\": 29}'] + [b'{}'] * 26)")
    while True:
        message = worker.until("R")
        if message.frames[3] == b'{"n": 29}':
            break
    assert len(message.frames) == 30


def test_fake_kernel_sockets(worker):
    """The kernel's sockets replaced by others, by files, by links to the gateway's socket."""
    worker.start("ipykernel")
    worker.execute("import os, time\n"
                   "from ipykernel.kernelapp import IPKernelApp\n"
                   "for i, what in ((1, 'link'), (2, 'file'), (3, 'dir'), (4, 'none')):\n"
                   "    p = '/run/kernel/kernel-%d' % i\n"
                   "    os.unlink(p)\n"
                   "    if what == 'link': os.symlink('/run/tci/link/gateway.sock', p)\n"
                   "    if what == 'file': open(p, 'w').close()\n"
                   "    if what == 'dir': os.mkdir(p)\n"
                   "for s in (IPKernelApp.instance().shell_socket, IPKernelApp.instance().stdin_socket,\n"
                   "          IPKernelApp.instance().iopub_socket.io_thread.socket):\n"
                   "    s.close()\n"
                   "time.sleep(2)\n"
                   "os._exit(9)")
    end = time.monotonic() + 30 * sandbox.slack()
    while True:
        got = worker.gateway.receive(max(0, end - time.monotonic()))
        assert got, worker.errors()
        identity, message = got
        assert identity == worker.id or message.verb not in "HSROTX", got
        if message.verb == "X":
            break
    assert message.json == {"exit": 9}
    assert worker.wait(5) == 0  # nobody told it to quit


def test_endless_message(worker):
    """A message that never ends is never relayed; the worker's end is that of its memory limit, or the kernel's."""
    worker.start("ipykernel")
    worker.execute("import zmq, time, os\n"
                   "from ipykernel.kernelapp import IPKernelApp\n"
                   "s = IPKernelApp.instance().shell_socket\n"
                   "s.send(b'tci', zmq.SNDMORE)\n"
                   "for i in range(200000): s.send(b'x', zmq.SNDMORE)\n"
                   "os._exit(4)")
    assert worker.exited(30) == {"exit": 4}


def test_pipe_made_larger_keeps_the_order(worker):
    worker.start("xpython")
    seen = worker.run_code("import fcntl, os\nfcntl.fcntl(1, 1031, 1 << 20)\nos.write(1, b'x' * 1000000)")
    assert len(raw(seen[:seen.index(replies(seen)[0])])) == 1000000


def test_closed_descriptors(worker):
    worker.start("xpython")
    assert streams(worker.run_code("import os\nos.close(1); os.close(2)\nprint('still here')")) == "still here\n"
    before = cpu_ticks(worker)
    time.sleep(1)
    assert cpu_ticks(worker) - before < 20
    assert worker.text("print('and here')") == "and here\n"


def cpu_ticks(worker):
    with open(f"/proc/{worker.pid()}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().split()[13:15]))


def test_idle_worker_sleeps(worker):
    worker.start("xpython")
    time.sleep(0.5)
    before = cpu_ticks(worker)
    time.sleep(2)
    assert cpu_ticks(worker) - before <= 1
