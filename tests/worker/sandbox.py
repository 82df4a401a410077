"""Tests of tci-worker: a stand-in for the container, and the gateway's side of the link.

A Sandbox is a root directory in mount, pid, ipc, uts and net namespaces of its own, entered with the few
capabilities that a container gives to its first process; the paths inside are those of worker/protocol.h.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import types

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDS = b"<IDS|MSG>"
UID = 1000
MAX_FRAMES = 64
EXIT_OK, EXIT_BOOT, EXIT_SYSTEM, EXIT_ORPHANED, EXIT_PROTOCOL = 0, 64, 65, 66, 67

KERNELS = {
    "ipykernel": ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "{connection_file}",
                  "--IPKernelApp.capture_fd_output=False"],
    "xpython": ["/usr/bin/xpython", "-f", "{connection_file}", "--raw"],
}

ENTER = r"""
set -e
root=$1 work=$2 binary=$3 capabilities=$4
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr proc dev etc/alternatives etc/skel tmp run/kernel run/tci/link home/sandbox workspace
ln -s usr/bin usr/sbin usr/lib usr/lib64 .
mount --bind -o ro /usr usr
mount -t proc proc proc
for d in null zero urandom; do touch dev/$d; mount --bind /dev/$d dev/$d; done
[ ! -d /etc/alternatives ] || mount --bind /etc/alternatives etc/alternatives
cp /etc/ld.so.cache etc/
echo 'sandbox:x:1000:1000::/home/sandbox:/bin/sh' > etc/passwd
cp -a "$work/skel/." etc/skel/
chown 1000:1000 run/kernel home/sandbox workspace
chmod 0700 run/kernel run/tci
chmod 1777 tmp
mount --bind "$work/link" run/tci/link
cp "$binary" tci-worker
exec chroot "$root" /usr/bin/setpriv --inh-caps=-all \
    --bounding-set="-all,$capabilities" /tci-worker
"""


def binary():
    """tci-worker of TCI_BUILD_DIR, else of ./build, else of the source tree."""
    named = os.environ.get("TCI_BUILD_DIR")
    for path in [named] if named else ["build", os.path.join(SOURCE_DIR, "build"), SOURCE_DIR]:
        candidate = os.path.join(path, "worker", "tci-worker")
        if os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    raise FileNotFoundError("no worker/tci-worker: build first, or set TCI_BUILD_DIR")


def sanitized():
    with open(binary(), "rb") as f:
        return b"__asan_init" in f.read()


def slack():
    return float(os.environ.get("TCI_TEST_SLACK", "1")) * (4 if sanitized() else 1)


class Message(types.SimpleNamespace):
    """verb, and the frames behind it."""

    @property
    def json(self):
        return json.loads(self.frames[0])


class Jupyter(types.SimpleNamespace):
    """channel, header, parent, content of a RELAY whose signature was right."""

    @property
    def type(self):
        return self.header["msg_type"]

    @property
    def parent_id(self):
        return self.parent.get("msg_id")


def split(frames):
    """The messages in a RELAY."""
    while frames:
        n = 1 + frames[0][0]
        yield frames[1:1 + n]
        frames = frames[1 + n:]


def framed(frames):
    """Those frames as a message of the link (worker/framing.h)."""
    return b"".join([bytes([len(frames)]), *(len(f).to_bytes(4, "big") for f in frames), *frames])


class Connection:
    """A worker's: takes its routing id and bids it welcome."""

    def __init__(self, sock):
        self.socket = sock
        self.bytes = bytearray()
        self.identity = None

    def message(self):
        """The frames of the next message that is here whole; None if there is none."""
        if not self.bytes or len(self.bytes) < 1 + 4 * self.bytes[0]:
            return None
        end = 1 + 4 * self.bytes[0]
        assert 0 < self.bytes[0] <= MAX_FRAMES
        lens = [int.from_bytes(self.bytes[i:i + 4], "big") for i in range(1, end, 4)]
        if len(self.bytes) < end + sum(lens):
            return None
        frames = []
        for n in lens:
            frames.append(bytes(self.bytes[end:end + n]))
            end += n
        del self.bytes[:end]
        return frames

    def read(self):
        """What has come, as messages behind the first; False when the connection is lost."""
        try:
            some = self.socket.recv(1 << 18)
        except ConnectionError:
            some = b""
        self.bytes += some
        while (frames := self.message()) is not None:
            if self.identity is None:
                (identity,) = frames
                self.identity = identity.decode()
                self.socket.sendall(framed([b"W"]))
            else:
                yield frames
        if not some:
            self.socket.close()


class Gateway:
    """The socket that the worker dials.  stop() and start() make it another process' socket."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "gateway.sock")
        self.listener = None
        self.connections = []
        self.waiting = []  # read and not looked at yet
        self.disk = None  # what DISK said last: (bytes used, bytes)
        self.session = secrets.token_hex(8)
        self.key = secrets.token_hex(32)
        self.n = 0
        self.start()

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()

    def stop(self):
        if self.listener:
            self.listener.close()
        for c in self.connections:
            c.socket.close()
        self.listener, self.connections, self.waiting = None, [], []

    def read(self, timeout):
        """Waits for anything to happen; False if nothing did."""
        self.connections = [c for c in self.connections if c.socket.fileno() >= 0]
        ready, _, _ = select.select([self.listener, *(c.socket for c in self.connections)], [], [], timeout)
        if self.listener in ready:
            self.connections.append(Connection(self.listener.accept()[0]))
        for c in self.connections:
            if c.socket in ready:
                for verb, *frames in c.read():
                    if verb == b"U":  # may come between any two others
                        self.disk = (int.from_bytes(frames[0][:8], "big"), int.from_bytes(frames[0][8:], "big"))
                        continue
                    self.waiting += [(c.identity, Message(verb=verb.decode(), frames=part))
                                     for part in (split(frames) if verb == b"R" else [frames])]
        return bool(ready)

    def receive(self, timeout=10.0):
        """(routing id, Message), each message in a RELAY by itself; or None after the timeout."""
        end = time.monotonic() + timeout
        while not self.waiting:
            if not self.read(max(0.0, end - time.monotonic())):
                return None
        return self.waiting.pop(0)

    def send_bytes(self, identity, data):
        """To the newest connection of that worker."""
        next(c for c in reversed(self.connections) if c.identity == identity).socket.sendall(data)

    def send(self, identity, verb, *frames):
        self.send_bytes(identity, framed([verb.encode(), *frames]))

    def sign(self, parts):
        return hmac.new(self.key.encode(), b"".join(parts), hashlib.sha256).hexdigest().encode()

    def encode(self, msg_type, content):
        self.n += 1
        msg_id = f"{self.session}-{self.n}"
        header = {"msg_id": msg_id, "msg_type": msg_type, "session": self.session, "username": "tci",
                  "date": "2026-01-01T00:00:00Z", "version": "5.3"}
        parts = [json.dumps(p).encode() for p in (header, {}, {}, content)]
        return msg_id, [IDS, self.sign(parts), *parts]

    def decode(self, frames):
        channel, delimiter, signature, *parts = frames
        assert delimiter == IDS
        assert signature == self.sign(parts[:4])
        header, parent, _, content = (json.loads(p) for p in parts[:4])
        return Jupyter(channel=channel.decode(), header=header, parent=parent, content=content)


class Worker:
    """A tci-worker in a Sandbox, and what it has said."""

    def __init__(self, **boot):
        self.dir = tempfile.mkdtemp(prefix="tci-worker-test.")
        for name in ("root", "link", "skel"):
            os.mkdir(os.path.join(self.dir, name))
        self.skel = os.path.join(self.dir, "skel")
        self.id = secrets.token_hex(32)
        self.gateway = Gateway(os.path.join(self.dir, "link"))
        self.boot = {"endpoint": "unix:///run/tci/link/gateway.sock", "routing_id": self.id,
                     "orphan_timeout": 60, **boot}
        self.capabilities = "+dac_override,+setuid,+setgid,+kill"  # all that it needs
        self.process = None
        self.stderr = os.path.join(self.dir, "stderr")

    def run(self, record=None):
        """Starts it; record replaces the bytes of the boot record."""
        record = json.dumps(self.boot).encode() if record is None else record
        with open(self.stderr, "wb") as err:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child",
                 "sh", "-c", ENTER, "sh", os.path.join(self.dir, "root"), self.dir, binary(), self.capabilities],
                stdin=subprocess.PIPE, stdout=err, stderr=err)
        try:
            self.process.stdin.write(record)
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        return self

    def pid(self):
        """Of tci-worker itself, as seen from outside."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def kernel_pid(self):
        with open(f"/proc/{self.pid()}/task/{self.pid()}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def config(self, kernel="ipykernel", **changes):
        return {"argv": KERNELS[kernel] if isinstance(kernel, str) else kernel, "cwd": "/workspace", "uid": UID, "gid": UID,
                "env": {"PATH": "/usr/bin:/bin", "HOME": "/home/sandbox", "LANG": "C.UTF-8"},
                "key": self.gateway.key, "kernel_name": "test", **changes}

    def receive(self, timeout=10.0):
        got = self.gateway.receive(timeout * slack())
        assert got is not None, f"nothing came; stderr: {self.errors()}"
        assert got[0] == self.id
        return got[1]

    def expect(self, verb, timeout=10.0):
        message = self.receive(timeout)
        assert message.verb == verb, f"{message}; stderr: {self.errors()}"
        return message

    def until(self, verb, timeout=10.0):
        """The next message of that verb; those before it are passed over."""
        end = time.monotonic() + timeout * slack()
        while True:
            message = self.receive(max(0.0, end - time.monotonic()) / slack())
            if message.verb == verb:
                return message

    def send(self, verb, *frames):
        self.gateway.send(self.id, verb, *frames)

    def configure(self, kernel="ipykernel", **changes):
        hello = self.expect("H")
        assert hello.json == {"protocol": 4, "state": "new"}
        self.send("C", json.dumps(self.config(kernel, **changes)).encode())

    def relay(self, channel, msg_type, content):
        msg_id, frames = self.gateway.encode(msg_type, content)
        self.send("R", channel.encode(), *frames)
        return msg_id

    def start(self, kernel="ipykernel", **changes):
        """Runs it and waits until its kernel answers."""
        self.run()
        self.configure(kernel, **changes)
        self.expect("S")
        self.probe()
        return self

    def probe(self, timeout=30.0):
        """kernel_info until both the reply and its idle status have come."""
        end = time.monotonic() + timeout * slack()
        while time.monotonic() < end:
            msg_id = self.relay("s", "kernel_info_request", {})
            seen = set()
            while len(seen) < 2:
                got = self.gateway.receive(0.2 if "reply" in seen else 10 * slack())
                if got is None:
                    break
                seen |= self.probe_answer(got[1], msg_id)
            if len(seen) == 2:
                return
        raise AssertionError(f"the kernel does not answer; stderr: {self.errors()}")

    def probe_answer(self, message, msg_id):
        if message.verb != "R":
            assert message.verb in "OT", f"{message}; stderr: {self.errors()}"
            return set()
        m = self.gateway.decode(message.frames)
        if m.parent_id != msg_id:
            return set()
        if m.channel == "s":
            return {"reply"}
        return {"idle"} if m.content.get("execution_state") == "idle" else set()

    def execute(self, code, max_bytes=10 << 20, max_messages=20000, max_message=1 << 40, watch=False, **content):
        """Sends it; returns its id."""
        msg_id, frames = self.gateway.encode(
            "execute_request", {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                                "allow_stdin": False, "stop_on_error": True, **content})
        limits = b"".join(n.to_bytes(size, "big") for n, size in ((max_bytes, 8), (max_messages, 4), (max_message, 8), (watch, 1)))
        self.send("E", limits, *frames)
        return msg_id

    def finish(self, msg_id, timeout=30.0):
        """All there was until reply and idle of that execution had come."""
        seen = []
        end = time.monotonic() + timeout * slack()
        replied = idle = False
        while not (replied and idle):
            message = self.receive(max(0.0, end - time.monotonic()) / slack())
            if message.verb != "R":
                assert message.verb in "OTV", f"{message}; stderr: {self.errors()}"
                seen.append(message)
                continue
            m = self.gateway.decode(message.frames)
            seen.append(m)
            if m.parent_id == msg_id:
                replied |= m.channel == "s"
                idle |= m.channel == "i" and m.content.get("execution_state") == "idle"
        return seen

    def run_code(self, code, **how):
        return self.finish(self.execute(code, **how))

    def text(self, code):
        """What the code printed."""
        return streams(self.run_code(code))

    def exited(self, timeout=10.0):
        """EXITED's content; told to quit, or having waited for that for long enough, the worker must end with 0."""
        content = self.until("X", timeout).json
        with contextlib.suppress(OSError, StopIteration):
            self.send("Q")
        assert self.wait(5) == EXIT_OK
        return content

    def wait(self, timeout=10.0):
        return self.process.wait(timeout * slack())

    def errors(self):
        try:
            with open(self.stderr, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.gateway.stop()
        errors = self.errors()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert "Sanitizer" not in errors and "runtime error:" not in errors, errors


def wait_until_gone(pid, timeout=30.0):
    """Until that process has ended, or is at least a zombie."""
    end = time.monotonic() + timeout * slack()
    while True:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] in "ZX":
                    return
        except OSError:
            return
        assert time.monotonic() < end, f"process {pid} does not end"
        time.sleep(0.01)


def streams(seen):
    return "".join(m.content["text"] for m in seen if isinstance(m, Jupyter) and m.type == "stream")


def raw(seen, fd=None):
    return b"".join(m.frames[1] for m in seen
                    if isinstance(m, Message) and m.verb == "O" and fd in (None, m.frames[0].decode()))


def replies(seen):
    return [m for m in seen if isinstance(m, Jupyter) and m.channel == "s"]
