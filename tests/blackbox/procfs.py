"""procfs.py - processes as /proc shows them from outside."""
import glob
import os

from tested import read_text


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


def peak_kib(pid):
    """The most that rss_kib has been."""
    return int(status_field(pid, "VmHWM").split()[0])


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
