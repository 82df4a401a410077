"""containers.py - one container as the host sees it, whatever the runtime."""
import contextlib
import glob
import os
import signal
import subprocess

from procfs import arguments_of, cgroups_of, process_exists, status_field
from tested import eventually, read_text, runtime


def pid_namespace_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:  # it has just ended
        return None


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
        namespace = pid_namespace_of(self.init)
        found = [pid for pid in self.gateway.container_processes()
                 if (status_field(pid, "NSpid") or "").split()[-1:] == [str(inner)]
                 and pid_namespace_of(pid) == namespace is not None]
        assert len(found) == 1, found
        return found[0]


class RootlessContainer(CrunContainer):
    """It has no cgroups: what belongs to it is what is in its pid namespace."""

    def __init__(self, gateway, init):
        super().__init__(gateway, init)
        self.cgroups = set()
        self.namespace = pid_namespace_of(init)

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
        """The container may end with it, and this shell then, too."""
        done = self.shell('kill -9 "$0"; while kill -0 "$0"; do :; done', str(inner))
        assert done.returncode == 0 or "sandbox is not running" in done.stderr, done.stderr


def container(gateway, init):
    if runtime() == "runsc":
        return RunscContainer(gateway, init)
    return (RootlessContainer if gateway.account else CrunContainer)(gateway, init)
