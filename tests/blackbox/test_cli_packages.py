"""test_cli_packages.py - tci packages: installed from a directory of wheels, while what the tool says is looked at."""
import json

import pytest

import wheels


@pytest.fixture(scope="module")
def served(make_module_gateway, tmp_path_factory):
    directory = wheels.house(tmp_path_factory)
    wheels.wheel(directory, "alpha", "1.0")
    return make_module_gateway(min_idle_workers=1, max_total_workers=4, packages_dir=str(directory))


@pytest.fixture
def session(served, users):
    one = users(served)
    assert served.client.post("/v1/sessions", json={"user_uuid": one}).status_code == 201
    return one


def test_installed_and_told(served, session):
    ran = served.tci("packages", "-s", session, "alpha")
    assert (ran.returncode, ran.stdout) == (0, "") and "alpha" in ran.stderr and "\x1b" not in ran.stderr
    assert served.text(session, "import alpha; print(alpha.VERSION)") == "1.0\n"
    told = served.tci("packages", "-s", session, "--json", "alpha==1.0")
    assert told.returncode == 0 and told.stderr == "" and "alpha" in json.loads(told.stdout)["packages"][0]
    assert served.tci("packages", "-q", "-s", session, "alpha").stderr == ""


def test_what_is_wrong_is_said(served, session):
    ran = served.tci("packages", "-q", "-s", session, "nowhere")
    assert ran.returncode == 3 and ran.stderr.startswith("tci packages: ") and ran.stderr.count("\n") == 1
    ran = served.tci("packages", "--json", "-s", session, "nowhere")
    assert ran.returncode == 3 and ran.stderr == "" and json.loads(ran.stdout)["error"]["code"]
    ran = served.tci("packages", "-s", session, "a b")
    assert ran.returncode == 3
