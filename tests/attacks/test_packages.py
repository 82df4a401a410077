"""test_packages.py - attacks by packages, on those who have others, and on what is kept of them."""
import glob
import os
import stat

import pytest

import wheels
from arena import Arena, Stage, attack

RUNS = "open('/workspace/packages/ran.py', 'w'); open('/opt/wheels/ran', 'w')\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The operator's directory, in which not all is as it should be."""
    directory = wheels.house(tmp_path_factory)
    wheels.wheel(directory, "good", files={"good.py": "WHO = 'good'\n"})
    wheels.wheel(directory, "climber", files={"../../../../../../home/sandbox/up.py": "", "../up.py": "", "climber.py": ""})
    wheels.source(directory, "runner", setup=RUNS)
    return str(directory)


@pytest.fixture(scope="module")
def house_stage(house):
    with Stage(packages_dir=house) as stage:
        yield stage


@pytest.fixture
def arena(house_stage):
    one = Arena(house_stage)
    yield one
    one.leave()


def want(arena, *packages, user=None):
    client, user = arena.gateway.client, user or arena.user
    answer = client.post("/v1/sessions", json={"user_uuid": user})
    assert answer.status_code in (200, 201), answer.text
    return client.post(f"/v1/sessions/{user}/packages", json={"packages": list(packages)})


def kept(arena):
    return glob.glob(os.path.join(arena.gateway.state_dir, "packages", "*"))


@attack("packages", "has a file written outside of the packages by a wheel whose names climb", runsc=True)
def test_a_wheel_that_climbs(arena):
    answer = want(arena, "climber")
    if answer.status_code != 200:
        assert answer.json()["error"]["code"] == "install_failed"
    found = arena.gateway.value(arena.user, "import json, os; print(json.dumps([os.path.exists(p) for p in ("
                                            "'/home/sandbox/up.py', '/opt/up.py', '/workspace/up.py', '/up.py')]))")
    assert found == [False] * 4


@attack("packages", "has its setup.py run by the installation", runsc=True)
def test_a_package_that_would_have_to_be_built(arena, house):
    assert want(arena, "runner").json()["error"]["code"] == "install_failed"
    assert not os.path.exists(os.path.join(house, "ran"))
    assert not any(name.endswith(".new") for name in kept(arena))


@attack("packages", "gives the tool an option, a path or an address in a package's place", runsc=True)
def test_options_for_packages(arena):
    for wanted in ("--find-links=/", "-r/etc/passwd", "-e/workspace", "--target=/", "/opt/wheels/good-1.0-py3-none-any.whl", "./x",
                   "good@file:///etc", "https://example.org/x.whl", "good --pre", "good\n--pre", "good;os_name>''", "$(id)", "`id`"):
        assert want(arena, wanted).status_code == 400, wanted


@attack("packages", "changes what another session gets, by writing to its own", runsc=True)
def test_what_a_session_has_is_its_own(arena):
    assert want(arena, "good").status_code == 200
    arena.gateway.ok(arena.user, """
import os
open('/opt/packages/good.py', 'w').write("WHO = 'bent'")
os.makedirs('/opt/packages/json'); open('/opt/packages/json/__init__.py', 'w').write('raise SystemExit')
for d in ('/opt', '/opt/wheels', '/usr/lib/python3/dist-packages'):
    try:
        open(d + '/evil.pth', 'w')
    except OSError:
        continue
    raise AssertionError(d)
""")
    victim = arena.another()
    assert want(arena, "good", user=victim).json()["cached"]
    assert arena.gateway.text(victim, "import good, json; print(good.WHO, json.dumps(1))") == "good 1\n"


@attack("packages", "has an archive used that was changed on disk", runsc=True)
def test_a_bent_archive(arena):
    assert want(arena, "good").status_code == 200
    paths = [path for path in kept(arena) if b"WHO = 'good'" in open(path, "rb").read()]
    assert paths and all(stat.S_IMODE(os.stat(path).st_mode) == 0o600 for path in paths)
    for path in paths:
        with open(path, "r+b") as f:
            data = f.read()
            f.seek(0)
            f.write(data.replace(b"WHO = 'good'", b"WHO = 'bent'"))
    victim = arena.another()
    answer = want(arena, "good", user=victim)
    assert answer.status_code == 200 and not answer.json()["cached"]
    assert arena.gateway.text(victim, "import good; print(good.WHO)") == "good\n"
    assert "is not what was put there" in arena.gateway.log()


@attack("packages", "reaches the sources of packages from a session", runsc=True)
def test_sources_are_the_installers_alone(arena):
    assert arena.tries("""
attempt('wheels', lambda: os.listdir('/opt/wheels')[0])
attempt('proxy', lambda: socket.create_connection(('127.0.0.1', 3128), 2))
""") == []
