"""tested.py - what is tested, and how: the build tree, the runtime, as whom, with how much patience.

TCI_TEST_SLACK (a factor, 1 by default) widens the few figures that tests assert.  TCI_TEST_RUNTIME is the runtime of all gateways
that are started, crun by default.  With TCI_TEST_ROOTLESS=1 they are started by an ordinary user (accounts.py).
"""
import os
import time

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


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


def patience(seconds=60):
    """How long to wait for what takes less than so many seconds on a quiet machine."""
    return seconds * min(max(slack(), 1), 4)


def eventually(condition, deadline=60.0, what=None, interval=0.02):
    """Polls until condition() is truthy and returns its value; fails after `deadline` seconds, which are those of a quiet
    machine.  What has not come for long is looked for less often: looking takes the processor from it."""
    deadline = patience(deadline)
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
