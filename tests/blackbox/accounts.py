"""accounts.py - the ordinary user of whom gateways are with TCI_TEST_ROOTLESS=1: made for the test run and removed after it."""
import os
import pwd
import subprocess

from procfs import process_exists
from tested import read_text, rootless


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
