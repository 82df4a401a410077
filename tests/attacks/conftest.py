"""conftest.py - the attack suite: what tests/blackbox has for starting gateways, and the arena in which attacks are made.

    arena    the shared gateway, an attacker with a fresh session and a bystander who must not notice anything

TCI_TEST_RUNTIME is the container runtime to attack (crun); `-m runsc` selects the attacks that make sense under gVisor.
"""
import importlib.util
import os
import sys

import pytest

BLACKBOX = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "blackbox")
sys.path.insert(0, BLACKBOX)


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_shared = _load("blackbox_conftest", os.path.join(BLACKBOX, "conftest.py"))
pytest_configure = _shared.pytest_configure
pytest_sessionstart = _shared.pytest_sessionstart
pytest_sessionfinish = _shared.pytest_sessionfinish
pytest_collection_modifyitems = _shared.pytest_collection_modifyitems
pytest_runtest_makereport = _shared.pytest_runtest_makereport
make_gateway = _shared.make_gateway
make_module_gateway = _shared.make_module_gateway

import arena as _arena  # noqa: E402 - it needs the path above


@pytest.fixture(scope="session")
def _stage():
    with _arena.Stage() as stage:
        yield stage


@pytest.fixture
def arena(_stage):
    one = _arena.Arena(_stage)
    yield one
    one.leave()
