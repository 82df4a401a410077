"""harness.py - starts real gateways with real containers for the black-box suites and looks at them from outside.

Everything here waits on conditions with generous deadlines: the suites must hold on a busy machine, in any
order, and under the sanitizers.  What is tested, and how, is tested.py's; its names, and those of the other parts, are to be had
from here.
"""
import concurrent.futures
import contextlib
import copy
import errno
import glob
import json
import os
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
from accounts import Account, give, identity, run_tool  # noqa: F401 - some are only handed on
from containers import Container, CrunContainer, RootlessContainer, RunscContainer, container  # noqa: F401 - some are only handed on
from procfs import (  # noqa: F401 - some are only handed on
    arguments_of, cgroups_of, children_of, descriptors_of, is_container_init, peak_kib, process_exists, process_state,
    processes_mounting, processes_naming, rss_kib, runsc_processes, status_field)
from tested import (  # noqa: F401 - some are only handed on
    SOURCE_DIR, build_dir, clean_environment, eventually, gateway_binary, patience, read_text, rootless, runtime, sanitized,
    slack)

BASE_PREFIX = "tci-bb."
OWNER_FILE = "owner"
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "AddressSanitizer:DEADLYSIGNAL")


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
        others = (BASE_PREFIX, "/run/netns", " audit-test ", " tci-faults ")
        return sum(self.name in line or not any(other in line for other in others) for line in lines)

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
                eventually(lambda: not self.leftovers(), 5)
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


def run_tci(*args, state_dir=None, env=None, timeout=None, **process):
    """Runs the command line program to its end; process: arguments of subprocess.run."""
    env = {**clean_environment(), **({"TCI_STATE_DIR": state_dir} if state_dir else {}), **(env or {})}
    return subprocess.run([os.path.join(build_dir(), "cli", "tci"), *args], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout or patience(), **process)


def plain(text):
    """Without ANSI escape sequences."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def is_errno(error, *names):
    return error in [getattr(errno, name) for name in names]
