"""Fixtures of the tests of tci-worker; they need root, for namespaces."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sandbox  # noqa: E402


@pytest.fixture
def worker():
    """A worker that has not been started; ended and removed afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    w = sandbox.Worker()
    yield w
    w.close()


@pytest.fixture(params=sorted(sandbox.KERNELS))
def kernel(request, worker):
    """A worker with a kernel that answers, for each kernel there is."""
    program = sandbox.KERNELS[request.param][0]
    if not os.access(program, os.X_OK):
        pytest.skip(f"no {program}")
    return worker.start(request.param)
