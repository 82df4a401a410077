"""conftest.py - fixtures of the black-box suites: a shared gateway, gateways with settings of one's own, users.

    gateway        the session's shared gateway: 2 warm workers, 12 at most, 30 s for an execution
    make_gateway   make_gateway(**settings) starts one of its own; it is finished at the end of the test
    state_dir      path for a state directory
    crun_only      a mark: @pytest.mark.crun_only("why it does not hold under another runtime")
    root_only      a mark: @pytest.mark.root_only("why it does not hold for the gateway of an ordinary user")
    user           a fresh user id, released on the shared gateway at the end
    users          users() makes more of them
    patient        a module's own gateway, whose executions may take longer than a browser is waited for
    driver         a browser for the tests of a module
    open_page      open_page() → browser.Page on the shared gateway; at the end its console must have nothing to complain of
    page           one such

Tests hold in any order: TCI_TEST_SHUFFLE=SEED runs the modules, and the tests in each, in another one.
"""
import atexit
import os
import random
import shutil
import signal
import tempfile
import uuid

import pytest

import harness


def pytest_configure():
    """An ordinary user's gateway has to come to pytest's directories, and so has gVisor's gofer.  Those of all runs have one above
    them, which each run that begins closes again."""
    directory = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix="tci-tmp.")
    os.chmod(directory, 0o755)
    atexit.register(shutil.rmtree, directory)  # after pytest's own look at it, which was registered later


def pytest_sessionstart(session):
    signal.signal(signal.SIGTERM, _interrupt)  # so that fixtures clean up
    harness.sweep_stale()
    harness.Account.sweep()


def pytest_collection_modifyitems(items):
    if harness.runtime() != "crun":
        for item in items:
            for mark in item.iter_markers("crun_only"):
                item.add_marker(pytest.mark.skip(reason=f"not with {harness.runtime()}: {mark.args[0]}"))
    if harness.rootless() and not harness.Account.get().may_run(harness.gateway_binary()):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"an ordinary user may not pass to {harness.gateway_binary()}"))
    if harness.rootless():
        for item in items:
            for mark in item.iter_markers("root_only"):
                item.add_marker(pytest.mark.skip(reason=f"not as an ordinary user: {mark.args[0]}"))
    seed = os.environ.get("TCI_TEST_SHUFFLE")
    if seed:
        dice = random.Random(seed)
        rank = {item.module: dice.random() for item in items}
        items.sort(key=lambda item: (rank[item.module], dice.random()))


def _interrupt(signum, frame):
    raise KeyboardInterrupt


def pytest_sessionfinish(session):
    for left in list(harness.Gateway.registry):
        left.destroy()
    harness.forget_prepared()
    if harness.Account.the_one:
        harness.Account.the_one.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for gateway in harness.Gateway.registry:
            tail = "\n".join(gateway.log().splitlines()[-80:])
            report.sections.append((f"gateway log of {gateway.name}", tail))


@pytest.fixture(scope="session")
def _shared():
    gateway = harness.Gateway(min_idle_workers=2, max_total_workers=12, exec_timeout=30, log_level="debug")
    try:
        gateway.start()
        yield gateway
        assert gateway.alive(), f"the gateway has ended\n{gateway.log()[-4000:]}"
        gateway.finish()
    finally:
        gateway.destroy()


@pytest.fixture
def gateway(_shared):
    """The shared gateway; fails the test after which it is no longer there.  Sessions that a test leaves are released:
    they are workers that the next one cannot have."""
    assert _shared.alive(), f"the shared gateway has ended\n{_shared.log()[-4000:]}"
    yield _shared
    assert _shared.alive(), f"the gateway has ended\n{_shared.log()[-4000:]}"
    for session in _shared.status()["sessions"]:
        _shared.release(session["user_uuid"])


def _factory():
    made = []

    def make(start=True, ready=True, **settings):
        one = harness.Gateway(**settings)
        made.append(one)
        return one.start(ready) if start else one

    yield make
    problems = []
    for one in made:
        try:
            one.finish()
        except Exception as e:  # the others are to be finished all the same
            problems.append(str(e))
        finally:
            one.destroy()
    assert not problems, "\n".join(problems)


make_gateway = pytest.fixture(_factory)
make_module_gateway = pytest.fixture(_factory, scope="module")


@pytest.fixture
def tmp_path(tmp_path):
    """pytest's, which an ordinary user's gateway may pass to as well."""
    if harness.rootless():
        for directory in (tmp_path, *tmp_path.parents):
            if directory.stat().st_uid == os.getuid() and not directory.stat().st_mode & 0o001:
                directory.chmod(directory.stat().st_mode | 0o011)
    return tmp_path


@pytest.fixture
def state_dir():
    """A state directory that does not exist yet, where containers could reach it; for programs that a test runs
    itself."""
    one = harness.Gateway()
    yield one.state_dir
    one.destroy()


@pytest.fixture
def users():
    """users() → a fresh user id; users(gateway) → one that is released on that gateway at the end."""
    made = []

    def make(on=None):
        user = "t-" + uuid.uuid4().hex
        if on is not None:
            made.append((on, user))
        return user

    yield make
    for on, user in made:
        if on.alive():
            on.release(user)


@pytest.fixture
def user(gateway, users):
    return users(gateway)


@pytest.fixture(scope="module")
def driver():
    import browser  # here, since it takes selenium

    one = browser.start()
    yield one
    one.quit()


@pytest.fixture(scope="module")
def _patient(make_module_gateway):
    return make_module_gateway(min_idle_workers=2, max_total_workers=12, exec_timeout=int(120 * harness.slack()), log_level="debug")


@pytest.fixture
def patient(_patient):
    yield _patient
    for session in _patient.status()["sessions"]:
        _patient.release(session["user_uuid"])


@pytest.fixture
def open_page(driver, gateway):
    import browser

    driver.get_log("browser")
    pages = []

    def open_one(**options):
        pages.append(browser.Page(driver, gateway, **options))
        return pages[-1]

    yield open_one
    pages[-1].clear()
    assert pages[-1].problems() == []


@pytest.fixture
def page(open_page):
    return open_page()
