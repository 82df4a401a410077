"""harness.py - starts real gateways with real containers for the black-box suites and looks at them from outside.

Everything here waits on conditions with generous deadlines: the suites must hold on a busy machine, in any
order, and under the sanitizers.  TCI_TEST_SLACK (a factor, 1 by default) widens the few figures that tests assert.
TCI_TEST_RUNTIME is the runtime of all gateways that are started here, crun by default.  With TCI_TEST_ROOTLESS=1 they
are started by an ordinary user, who is made for the test run and removed after it; it takes root all the same.
"""
import concurrent.futures
import contextlib
import copy
import errno
import glob
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid

import httpx

import openapi

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE_PREFIX = "tci-bb."
OWNER_FILE = "owner"
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "AddressSanitizer:DEADLYSIGNAL")


def build_dir():
    """The build tree: TCI_BUILD_DIR, else ./build, else build/ in the source tree."""
    named = os.environ.get("TCI_BUILD_DIR")
    for path in [named] if named else ["build", os.path.join(SOURCE_DIR, "build"), SOURCE_DIR]:
        if os.access(os.path.join(path, "gateway", "tci-gateway"), os.X_OK):
            return os.path.abspath(path)
    raise FileNotFoundError("no gateway/tci-gateway: build first, or set TCI_BUILD_DIR")


def gateway_binary():
    return os.path.join(build_dir(), "gateway", "tci-gateway")


def sanitized():
    """Whether the gateway under test was built with AddressSanitizer."""
    with open(gateway_binary(), "rb") as f:
        return b"__asan_init" in f.read()


def runtime():
    """The runtime under test."""
    return os.environ.get("TCI_TEST_RUNTIME", "crun")


def rootless():
    """Whether gateways are an ordinary user's."""
    return os.environ.get("TCI_TEST_ROOTLESS", "") not in ("", "0")


def slack():
    """Factor for figures that are asserted: 1 on a quiet machine with a plain build and crun."""
    return float(os.environ.get("TCI_TEST_SLACK", "1")) * (4 if sanitized() else 1) * (1 if runtime() == "crun" else 4)


def eventually(condition, deadline=60.0, what=None, interval=0.02):
    """Polls until condition() is truthy and returns its value; fails after `deadline` seconds.  What has not come for long is
    looked for less often: looking takes the processor from it."""
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        if waited >= deadline:
            raise AssertionError(f"not within {deadline:g} s: {what or condition}; last value {value!r}")
        time.sleep(max(interval, min(waited / 10, 0.25)))


def read_text(path, default=None):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        if default is None:
            raise
        return default


def clean_environment():
    """This process's environment without anything that would set up a gateway or a proxy."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith("TCI_") and not k.lower().endswith("_proxy")}


# ---------------------------------------------------------------------------------------------- /proc, from outside


def process_exists(pid):
    return process_state(pid) not in (None, "Z", "X")


def process_state(pid):
    """The letter of /proc/pid/stat, None if there is no such process."""
    text = read_text(f"/proc/{pid}/stat", "")
    return text.rpartition(")")[2].split()[0] if text else None


def status_field(pid, field):
    for line in read_text(f"/proc/{pid}/status", "").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    return None


def rss_kib(pid):
    return int(status_field(pid, "VmRSS").split()[0])


def descriptors_of(pid):
    """How many it has; 0 when it has just ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def children_of(pid):
    found = []
    for entry in glob.glob("/proc/[0-9]*/stat"):
        fields = read_text(entry, "").rpartition(")")[2].split()
        if len(fields) > 1 and int(fields[1]) == pid:
            found.append(int(entry.split("/")[2]))
    return found


def processes_mounting(name):
    """Pids of all processes whose mount namespace shows a directory `name` as the root or the point of a mount."""
    seen, found = {}, []
    needle = f"/{name}/"
    for entry in glob.glob("/proc/[0-9]*"):
        pid = int(entry.rsplit("/", 1)[1])
        try:
            namespace = os.readlink(f"{entry}/ns/mnt")
            if namespace not in seen:
                seen[namespace] = any(needle in line for line in open(f"{entry}/mountinfo"))
        except OSError:
            continue
        if seen[namespace]:
            found.append(pid)
    return found


def processes_naming(name):
    """Pids of all processes with a path below a directory `name` in their command line."""
    return [int(entry.split("/")[2]) for entry in glob.glob("/proc/[0-9]*/cmdline")
            if f"/{name}/" in read_text(entry, "") and int(entry.split("/")[2]) != os.getpid()]


def arguments_of(pid):
    return read_text(f"/proc/{pid}/cmdline", "").split("\0")


def runsc_processes(state_dir, role):
    """Pids of the gVisor sandboxes ("runsc-sandbox") or gofers ("runsc-gofer") of that state directory."""
    return [int(entry.split("/")[2]) for entry in glob.glob("/proc/[0-9]*/cmdline")
            if (arguments := arguments_of(entry.split("/")[2]))[0] == role
            and f"--root={state_dir}/runsc" in arguments]


def is_container_init(pid):
    inner = (status_field(pid, "NSpid") or "").split()
    return len(inner) > 1 and inner[-1] == "1"


def cgroups_of(pid):
    """Absolute cgroup directories of a process, as the host mounts them; the hierarchies' roots are left out."""
    mounts = {}
    for line in read_text("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fstype, _, options = right.split()[:3]
        point = left.split()[4]
        if fstype == "cgroup2":
            mounts[""] = point
        elif fstype == "cgroup":
            for option in options.split(","):
                mounts[option] = point
    found = set()
    for line in read_text(f"/proc/{pid}/cgroup", "").splitlines():
        _, controllers, path = line.split(":", 2)
        point = mounts.get(controllers.split(",")[0])
        if point and path != "/" and not path.startswith("/.."):
            found.add(point + path)
    return found


class Container:
    """One container as the host sees it; it may have ended."""

    def __init__(self, gateway, init):
        self.gateway = gateway
        self.init = init
        self.cgroups = cgroups_of(init)

    def processes(self):
        """Host pids of all that is left of it.  A cgroup that is not there any more was empty."""
        found = set()
        for path in self.cgroups:
            found |= {int(pid) for pid in read_text(os.path.join(path, "cgroup.procs"), "").split()}
        return {pid for pid in found if process_exists(pid)}

    def group_file(self, *names):
        """The first line of a file of its control groups, which has one of these names."""
        for path in self.cgroups:
            for name in names:
                text = read_text(os.path.join(path, name), "")
                if text:
                    return text.splitlines()[0]
        raise AssertionError(f"none of {names} in {self.cgroups}")

    def memory_limit(self):
        """MiB."""
        return int(self.group_file("memory.limit_in_bytes", "memory.max")) / 2**20

    def memory_used(self):
        """MiB."""
        return int(self.group_file("memory.usage_in_bytes", "memory.current")) / 2**20

    def cores(self):
        """The limit of its processor time."""
        return int(self.group_file("cpu.cfs_quota_us", "cpu.max").split()[0]) / 1e5

    def cpu_periods(self):
        """How many periods of the processor limit, of 100 ms, it has been running in."""
        for path in self.cgroups:
            for line in read_text(os.path.join(path, "cpu.stat"), "").splitlines():
                if line.startswith("nr_periods "):
                    return int(line.split()[1])
        raise AssertionError(f"no periods in {self.cgroups}")

    def cpu_seconds(self):
        """The processor time of all its processes, and of what makes them."""
        for path in self.cgroups:
            usage = read_text(os.path.join(path, "cpuacct.usage"), "")
            if usage:
                return int(usage) / 1e9
            for line in read_text(os.path.join(path, "cpu.stat"), "").splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        raise AssertionError(f"no processor time in {self.cgroups}")


class CrunContainer(Container):
    """Its files and processes are the host's."""

    def link_user(self):
        """The host's user of who dials the link."""
        return int(status_field(self.init, "Uid").split()[0])

    def link_group(self):
        """The host's group of who dials the link."""
        return int(status_field(self.init, "Gid").split()[0])

    def exists(self, path):
        return os.path.exists(f"/proc/{self.init}/root{path}")

    def size(self, path):
        return os.stat(f"/proc/{self.init}/root{path}").st_size

    def read(self, path):
        return read_text(f"/proc/{self.init}/root{path}")

    def append(self, path, text):
        with open(f"/proc/{self.init}/root{path}", "a") as f:
            f.write(text)

    def kill(self, inner):
        """SIGKILL to the process with that pid inside."""
        pid = self.find(inner)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not process_exists(pid), 30)

    def find(self, inner):
        """Its host pid."""
        namespace = os.readlink(f"/proc/{self.init}/ns/pid")
        found = [pid for pid in self.gateway.container_processes()
                 if (status_field(pid, "NSpid") or "").split()[-1:] == [str(inner)]
                 and os.readlink(f"/proc/{pid}/ns/pid") == namespace]
        assert len(found) == 1, found
        return found[0]


class RootlessContainer(CrunContainer):
    """It has no cgroups: what belongs to it is what is in its pid namespace."""

    def __init__(self, gateway, init):
        super().__init__(gateway, init)
        self.cgroups = set()
        self.namespace = os.readlink(f"/proc/{init}/ns/pid")

    def processes(self):
        found = set()
        for entry in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(f"{entry}/ns/pid") == self.namespace:
                    found.add(int(entry.rsplit("/", 1)[1]))
        return {pid for pid in found if process_exists(pid)}


class RunscContainer(Container):
    """Only its own kernel knows its files and processes: a shell is run in it."""

    def __init__(self, gateway, init):
        super().__init__(gateway, init)
        self.id = os.path.basename(next(iter(self.cgroups), ""))

    def gofer(self):
        return next(pid for pid in self.processes() if arguments_of(pid)[0] == "runsc-gofer")

    def link_user(self):
        return int(status_field(self.gofer(), "Uid").split()[0])

    def link_group(self):
        return int(status_field(self.gofer(), "Gid").split()[0])

    def shell(self, *arguments):
        command = ["runsc", "--root", os.path.join(self.gateway.state_dir, "runsc"), "exec", self.id, "/bin/sh", "-c"]
        return subprocess.run(command + list(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def exists(self, path):
        return self.shell('test -e "$0"', path).returncode == 0

    def size(self, path):
        done = self.shell('wc -c < "$0"', path)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def read(self, path):
        done = self.shell('cat "$0"', path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def append(self, path, text):
        done = self.shell('printf %s "$1" >> "$0"', path, text)
        if done.returncode != 0:
            raise FileNotFoundError(path)

    def kill(self, inner):
        done = self.shell('kill -9 "$0"; while kill -0 "$0"; do :; done', str(inner))
        assert done.returncode == 0, done.stderr


def container(gateway, init):
    if runtime() == "runsc":
        return RunscContainer(gateway, init)
    return (RootlessContainer if gateway.account else CrunContainer)(gateway, init)


# -------------------------------------------------------------------------------------------------- ordinary users


class Account:
    """An ordinary user of the host with subordinate ids, made for this test run."""

    PREFIX = "tci-t"
    the_one = None  # of this run

    def __init__(self, name, subordinate_ids):
        self.name = name
        run_tool("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name)
        if subordinate_ids:
            first = self._free_ids()
            ids = f"{first}-{first + subordinate_ids - 1}"
            run_tool("usermod", "--add-subuids", ids, "--add-subgids", ids, name)
            self.first_id = first
        entry = pwd.getpwnam(name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    @staticmethod
    def _free_ids():
        """Behind those of all others."""
        ends = [300_000_000]
        for path in ("/etc/subuid", "/etc/subgid"):
            ends += [int(first) + int(count) for _, first, count in
                     (line.split(":") for line in read_text(path, "").splitlines() if line.count(":") == 2)]
        return max(ends)

    @classmethod
    def get(cls):
        if cls.the_one is None:
            cls.the_one = cls(f"{cls.PREFIX}{os.getpid()}", 200)
        return cls.the_one

    def may_run(self, program):
        return subprocess.run(["test", "-x", program], **self.process(), check=False).returncode == 0

    def remove(self):
        if Account.the_one is self:
            Account.the_one = None
        run_tool("userdel", self.name)

    @classmethod
    def sweep(cls):
        """Removes those of test runs that were killed."""
        for entry in pwd.getpwall():
            owner = entry.pw_name[len(cls.PREFIX):]
            if entry.pw_name.startswith(cls.PREFIX) and owner.isdigit() and not process_exists(int(owner)):
                subprocess.run(["userdel", entry.pw_name], check=False, capture_output=True)

    def give(self, path):
        """Makes it the owner of a file or a tree."""
        found = [path] + [os.path.join(top, name) for top, dirs, files in os.walk(path) for name in dirs + files]
        for one in found:
            os.lchown(one, self.uid, self.gid)

    def process(self):
        """Arguments of subprocess.Popen for a process of this user, with no group but his own."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/"}


def identity():
    """Arguments of subprocess.Popen for a process of whose gateways are tested."""
    return Account.get().process() if rootless() else {}


def give(path):
    """Makes whose gateways are tested the owner of what a test has made for them."""
    if rootless():
        Account.get().give(path)


def run_tool(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"

# -------------------------------------------------------------------------------------------------------- gateways


class Gateway:
    """One gateway program on one state directory, which it may be started on several times."""

    registry = []  # every gateway of this test run, for the reports and the clean-up
    prepared = None  # a copy of what the first one has prepared for the homes of its workers

    def __init__(self, env=None, binary=None, prefix=(), account=None, **settings):
        self.account = account or (Account.get() if rootless() else None)  # whose it is; None: root's
        self.base = tempfile.mkdtemp(prefix=BASE_PREFIX, dir="/tmp")
        os.chmod(self.base, 0o711)  # containers pass through it with host uids of their own
        self.name = os.path.basename(self.base)
        with open(os.path.join(self.base, OWNER_FILE), "w") as f:
            f.write(str(os.getpid()))
        if self.account:
            self.account.give(self.base)
        self.state_dir = settings.pop("state_dir", os.path.join(self.base, "s"))
        self.log_path = os.path.join(self.base, "stderr")
        self.binary = binary or gateway_binary()
        self.prefix = list(prefix)  # a program that becomes the gateway, such as prlimit
        self.env = dict(env or {})
        self.settings = {"listen": "127.0.0.1:0", "min_idle_workers": 1, "max_total_workers": 12, "exec_timeout": 30}
        if runtime() != "crun":  # the default
            self.settings["runtime"] = runtime()
        self.settings.update(settings)
        self.process = None
        self.url = None
        self.verify = True       # what httpx is to trust
        self.client = None
        self.exit_code = None    # of the last run
        self.cgroups = set()     # every cgroup that any container of it was seen in
        self._threads = concurrent.futures.ThreadPoolExecutor(max_workers=64)
        Gateway.registry.append(self)

    # --- running it

    def command(self, *more):
        args = [self.binary]
        for key, value in {"state_dir": self.state_dir, **self.settings}.items():
            if value is not None:
                args += ["--" + key.replace("_", "-"), str(value)]
        return args + list(more)

    def environment(self):
        env = clean_environment()
        env["ASAN_OPTIONS"] = f"log_path={self.base}/sanitizer:exitcode=99:detect_leaks=1"
        env["UBSAN_OPTIONS"] = f"log_path={self.base}/sanitizer:print_stacktrace=1"
        env.update(self.env)
        return env

    def launch(self):
        """Starts the program and waits for nothing."""
        assert self.process is None
        for stale in ("address", "gateway.pid"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.state_dir, stale))
        self._take_prepared()
        self._give_base()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.prefix + self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, **self.identity())
        self.exit_code = None

    def identity(self):
        """Arguments of subprocess.Popen for a process of whose it is."""
        return self.account.process() if self.account else {}

    def await_start(self):
        self.url = eventually(self._listening, 60, "the gateway writes its address")
        self.client = self.new_client()

    def start(self, ready=True):
        """Starts it and waits until it listens, and until the pool is warm unless told otherwise."""
        self.launch()
        self.await_start()
        if ready:
            self.wait_ready()
            self._give_prepared()
        return self

    def _take_prepared(self):
        """Saves every gateway but the first the seconds in which fonts are indexed."""
        skel = os.path.join(self.state_dir, "skel")
        if Gateway.prepared and not os.path.exists(skel):
            os.makedirs(self.state_dir, mode=0o711, exist_ok=True)
            shutil.copytree(Gateway.prepared, skel)

    def _give_prepared(self):
        skel = os.path.join(self.state_dir, "skel")
        if Gateway.prepared is None and self.settings["min_idle_workers"] != 0 and os.path.isdir(skel):
            base = tempfile.mkdtemp(prefix=BASE_PREFIX, dir="/tmp")
            with open(os.path.join(base, OWNER_FILE), "w") as f:
                f.write(str(os.getpid()))
            Gateway.prepared = os.path.join(base, "skel")
            shutil.copytree(skel, Gateway.prepared)

    def _give_base(self):
        """What a test has put there before the first start is as if whose gateway it is had."""
        if self.account and not os.path.exists(os.path.join(self.state_dir, "lock")):
            self.account.give(self.base)

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        if read_text(os.path.join(self.state_dir, "gateway.pid"), "").strip() != str(self.process.pid):
            return None
        address = read_text(os.path.join(self.state_dir, "address"), "")
        return address.strip() if address.endswith("\n") else None

    def wait_ready(self, deadline=180):
        eventually(self.is_ready, deadline, "the pool is warm (/readyz)")
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}"
        return self.client.get("/readyz").status_code == 200

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self._ended(self.process.wait(30))

    def stop(self, deadline=120):
        """SIGTERM, and waits for its end; the exit code is returned."""
        self.note_cgroups()
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end(deadline)

    def wait_end(self, deadline=120):
        """Waits until it ends, which something else has asked for."""
        return self._ended(self.process.wait(deadline))

    def _ended(self, code):
        self.exit_code, self.process = code, None
        if self.client:
            self.client.close()
        return code

    def restart(self, ready=True):
        """An orderly stop, and a new start on the same state directory."""
        assert self.stop() == 0
        return self.start(ready)

    def run_again(self, *more, timeout=120):
        """Runs the program with the same settings and more arguments to its end; stdout and stderr as text."""
        return subprocess.run(self.command(*more), env=self.environment(), stdin=subprocess.DEVNULL, timeout=timeout,
                              capture_output=True, text=True, **self.identity())

    def limit(self, what, n):
        """Sets a soft limit of the running program by its name for prlimit(1), as whose it is: root may not be let."""
        subprocess.run(["prlimit", f"--pid={self.pid}", f"--{what}={n}:"], check=True, **self.identity())

    # --- its keys

    def tci(self, *args):
        """Runs `tci` on its state directory, as whose it is."""
        self._give_base()
        return run_tci(*args, state_dir=self.state_dir, **self.identity())

    def make_key(self, *limits):
        """A new API key with options of `tci keys create`: its text."""
        made = self.tci("keys", "create", *limits)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def as_key(self, key):
        """A view of the gateway whose requests are sent with that key."""
        view = copy.copy(self)
        view.client = self.new_client(headers={"X-Auth-Token": key})
        return view

    # --- what it says

    @property
    def token(self):
        if "auth_token" in self.settings:
            return self.settings["auth_token"]
        if "TCI_AUTH_TOKEN" in self.env:
            return self.env["TCI_AUTH_TOKEN"]
        return read_text(os.path.join(self.state_dir, "auth_token")).strip()

    @property
    def address(self):
        """(host, port) it listens on."""
        url = httpx.URL(self.url)
        return url.host, url.port

    def new_client(self, **options):
        options.setdefault("headers", {"X-Auth-Token": self.token})
        options.setdefault("event_hooks", {"response": [openapi.check]})
        return httpx.Client(base_url=self.url, trust_env=False, verify=self.verify, timeout=180,
                            limits=httpx.Limits(max_connections=None), **options)

    def log(self):
        return read_text(self.log_path, "")

    def status(self):
        answer = self.client.get("/status")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def session(self, user):
        """That user's entry of /status, None if there is none."""
        return next((s for s in self.status()["sessions"] if s["user_uuid"] == user), None)

    def metrics(self):
        """Name with labels as in the exposition → value."""
        answer = self.client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in answer.text.splitlines() if line and not line.startswith("#")}

    # --- work

    def execute(self, user, code, timeout=None, **more):
        body = {"user_uuid": user, "code": code, **more}
        if timeout is not None:
            body["timeout"] = timeout
        return self.client.post("/execute", json=body)

    def run(self, user, code, timeout=None):
        """execute, which must be answered with 200; the answer's fields."""
        answer = self.execute(user, code, timeout)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:2000]}"
        return answer.json()

    def ok(self, user, code, timeout=None):
        """run, whose code must not raise; the answer's fields."""
        answer = self.run(user, code, timeout)
        assert answer["error"] is None, answer["result_text"]
        return answer

    def text(self, user, code, timeout=None):
        return self.ok(user, code, timeout)["result_text"]

    def value(self, user, code, timeout=None):
        """Runs code that prints one JSON document at the end, and returns it."""
        return json.loads(self.text(user, code, timeout).strip().splitlines()[-1])

    def spawn(self, user, code, timeout=None, **more):
        """execute in a thread: a future of the response."""
        return self._threads.submit(self.execute, user, code, timeout, **more)

    def release(self, user):
        return self.client.post("/release", json={"user_uuid": user})

    def hold(self, user, **more):
        """Keeps the user's session busy until free() is called on what is returned."""
        return Hold(self, user, **more)

    # --- from outside

    def container_processes(self):
        """Host pids of all processes inside containers of it, or of the programs that these are for the host."""
        found = self._runsc_processes() if runtime() == "runsc" else self._crun_processes()
        for pid in found if not self.account else ():  # who is not root has no cgroups, but is in root's
            self.cgroups |= cgroups_of(pid)
        return found

    def _crun_processes(self):
        own = {self.process.pid} if self.process else set()
        return [pid for pid in processes_mounting(self.name)
                if pid not in own and len((status_field(pid, "NSpid") or "").split()) > 1]

    def _runsc_processes(self):
        found = set(runsc_processes(self.state_dir, "runsc-gofer"))
        for init in runsc_processes(self.state_dir, "runsc-sandbox"):
            found |= {init} | Container(self, init).processes()
        return sorted(pid for pid in found if arguments_of(pid)[0] != "runsc")  # which is there only while it starts them

    def note_cgroups(self):
        self.container_processes()

    def inits(self):
        found = self.container_processes()
        if runtime() == "runsc":
            return [pid for pid in found if arguments_of(pid)[0] == "runsc-sandbox"]
        return [pid for pid in found if is_container_init(pid)]

    def container_of(self, user):
        """The container in which the user's code runs."""
        mark = "/workspace/mark-" + uuid.uuid4().hex
        self.ok(user, f"open({mark!r}, 'w').close()")
        return self.container_with(mark)

    def container_with(self, path):
        """The one container that has a file of that name."""
        found = [one for one in (container(self, init) for init in self.inits()) if one.exists(path)]
        assert len(found) == 1, found
        return found[0]

    def init_of(self, user):
        """Host pid of the init of the container in which the user's code runs."""
        return self.container_of(user).init

    def kernel_of(self, user):
        """Host pid of the user's kernel."""
        return self.container_of(user).find(self.kernel_pid(user))

    def kernel_pid(self, user):
        """The kernel's pid as it knows it itself."""
        return self.value(user, "import os; print(os.getpid())")

    def zombies(self):
        return [pid for pid in children_of(self.pid) if process_state(pid) == "Z"]

    def descriptors_of(self, name):
        """Its descriptors of files of that name in the state directory."""
        found = []
        for entry in glob.glob(f"/proc/{self.pid}/fd/*"):
            with contextlib.suppress(OSError):
                found += [entry] if os.readlink(entry) == os.path.join(self.state_dir, name) else []
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def mounts(self, pid=None):
        """Mounts that the process sees (the gateway), but for those that other suites make at the same time."""
        lines = read_text(f"/proc/{pid or self.pid}/mountinfo").splitlines()
        return sum(self.name in line or BASE_PREFIX not in line and "/run/netns/" not in line for line in lines)

    def state_entries(self):
        """Paths below the state directory, without descending into mounted file systems of another device."""
        device, found = os.stat(self.state_dir).st_dev, []
        for path, dirs, files in os.walk(self.state_dir):
            found += [os.path.relpath(os.path.join(path, name), self.state_dir) for name in dirs + files]
            dirs[:] = [d for d in dirs if os.lstat(os.path.join(path, d)).st_dev == device]
        return sorted(found)

    def quiet(self):
        """Waits until nothing is starting, dying or queued, and the pool is full."""
        def settled():
            s, m = self.status(), self.metrics()
            return (s["starting_workers"] == 0 and m['tci_workers{state="dying"}'] == 0
                    and s["idle_workers_in_pool"] >= min(s["min_idle_workers"],
                                                         s["max_total_workers"] - s["busy_workers"]))
        eventually(settled, 120, "pool full and nothing on the move")

    # --- the end

    def sanitizer_reports(self):
        """Reports that the gateway or a worker has written."""
        found = [read_text(path) for path in glob.glob(os.path.join(self.base, "sanitizer*"))]
        for path, _, files in os.walk(self.base):
            for name in files:
                full = os.path.join(path, name)
                if not stat.S_ISREG(os.lstat(full).st_mode) or os.path.getsize(full) > 2**26:
                    continue
                text = read_text(full, "")
                if any(mark in text for mark in SANITIZER_MARKS) and text not in found:
                    found.append(f"{full}:\n{text[-8000:]}")
        return found

    def leftovers(self):
        """What should not be there once it has ended and its containers are removed."""
        pids = processes_mounting(self.name)
        for role in ("runsc-sandbox", "runsc-gofer"):
            pids += [pid for pid in runsc_processes(self.state_dir, role) if pid not in pids]
        found = [f"process {pid}: {read_text(f'/proc/{pid}/cmdline', '')!r}" for pid in pids]
        found += [f"mount {line}" for line in read_text("/proc/self/mountinfo").splitlines() if f"/{self.name}/" in line]
        found += [f"cgroup {path}" for path in sorted(self.cgroups) if os.path.isdir(path)]
        containers = os.path.join(self.state_dir, "containers")
        if os.path.isdir(containers):
            found += [f"directory {entry}" for entry in os.listdir(containers)]
        return found

    def finish(self):
        """Stops it if need be, removes its containers, and fails if anything is wrong or left."""
        problems = []
        try:
            if self.process is not None:
                code = self.stop() if self.alive() else self._ended(self.process.wait())
                if code != 0:
                    problems.append(f"the gateway ended with {code}")
            if os.path.isdir(self.state_dir):
                self.note_cgroups()
                removal = self.run_again("--remove-containers")
                if removal.returncode != 0:
                    problems.append(f"--remove-containers ended with {removal.returncode}: {removal.stderr[-2000:]}")
            with contextlib.suppress(AssertionError):  # a process that was killed may take a moment to vanish
                eventually(lambda: not self.leftovers(), 10)
            problems += self.leftovers()
            problems += self.sanitizer_reports()
        finally:
            self._threads.shutdown(wait=False)
            tail = self.log()[-4000:]
            self.destroy()
        assert not problems, "\n".join(problems) + "\n--- gateway log ---\n" + tail

    def destroy(self):
        """Takes everything away by force, whatever state it is in."""
        if self in Gateway.registry:
            Gateway.registry.remove(self)
        if self.process is not None:
            self.process.kill()
            self._ended(self.process.wait())
        remove_base(self.base, self.cgroups)


class Hold:
    """Code that runs in a user's session until it is told to end from outside the container."""

    def __init__(self, gateway, user, **more):
        self.path = "/workspace/hold-" + uuid.uuid4().hex
        gateway.ok(user, f"open({self.path!r}, 'w').close()")
        self.container = gateway.container_with(self.path)
        self.future = gateway.spawn(user, f"""
import os as _os, time as _time
while _os.stat({self.path!r}).st_size == 0:
    _time.sleep(0.01)
print('held')""", **more)
        eventually(lambda: gateway.session(user)["state"] == "busy", 60, "the session is busy")

    def free(self):
        self.container.append(self.path, "go")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.free()


def remove_base(base, cgroups=()):
    """Removes all that belongs to a base directory by force: processes, cgroups, mounts, files."""
    name = os.path.basename(base)
    for _ in range(100):
        pids = processes_mounting(name) + processes_naming(name)  # the second: a preparation outlives its gateway
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            break
        time.sleep(0.05)
    points = [line.split()[4] for line in read_text("/proc/self/mountinfo").splitlines() if f"/{name}/" in line]
    points += [base] if os.path.ismount(base) else []
    for point in sorted(points, reverse=True):
        subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)
    for path in sorted(cgroups, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(path)
    shutil.rmtree(base, ignore_errors=True)


def forget_prepared():
    if Gateway.prepared:
        shutil.rmtree(os.path.dirname(Gateway.prepared), ignore_errors=True)
        Gateway.prepared = None


def sweep_stale():
    """Removes what test runs that were killed have left."""
    for base in glob.glob(f"/tmp/{BASE_PREFIX}*"):
        owner = read_text(os.path.join(base, OWNER_FILE), "")
        if not owner.isdigit() or process_exists(int(owner)):
            continue
        pid = read_text(os.path.join(base, "s", "gateway.pid"), "").strip()
        if pid.isdigit() and os.path.basename(base) in read_text(f"/proc/{pid}/cmdline", ""):
            os.kill(int(pid), signal.SIGKILL)
        remove_base(base)


def run_gateway(*args, env=None, timeout=60):
    """Runs the program to its end, outside any fixture: for --help, errors at start and the like."""
    return subprocess.run([gateway_binary(), *args], env={**clean_environment(), **(env or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **identity())


def run_tci(*args, state_dir=None, env=None, timeout=60, **process):
    """Runs the command line program to its end; process: arguments of subprocess.run."""
    env = {**clean_environment(), **({"TCI_STATE_DIR": state_dir} if state_dir else {}), **(env or {})}
    return subprocess.run([os.path.join(build_dir(), "cli", "tci"), *args], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, **process)


def plain(text):
    """Without ANSI escape sequences."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def is_errno(error, *names):
    return error in [getattr(errno, name) for name in names]
