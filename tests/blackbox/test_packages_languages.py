"""test_packages_languages.py - packages of JavaScript and R, from an operator's directory.

They are made here (tarballs.py).  From an index: test_packages_index.py.
"""
import os

import pytest

import tarballs
from test_v1_packages import add
from test_v1_sessions import error, get, make

needs_deno = pytest.mark.skipif(not os.path.exists("/usr/local/lib/tci/deno/deno"), reason="needs Deno")
needs_r = pytest.mark.skipif(not os.path.exists("/usr/lib/R/site-library/IRkernel"), reason="needs IRkernel")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The operator's directory."""
    directory = tmp_path_factory.mktemp("packages")
    for one in (directory, directory.parent, directory.parent.parent):
        os.chmod(one, 0o755)
    npm = directory / "npm"
    npm.mkdir()
    tarballs.npm(npm, "alpha", "1.2.0")
    tarballs.npm(npm, "alpha", "2.0.0")
    tarballs.npm(npm, "beta", files={"index.js": "exports.text = 'beta with ' + require('alpha').version;\n"},
                 dependencies={"alpha": "^1.0.0"}, scripts={"install": "touch /workspace/was-run"})
    tarballs.npm(npm, "@scope/gamma", type="module", exports={".": {"import": "./main.js"}, "./part": "./part.js"},
                 dependencies={"alpha": "^2.0.0"},
                 files={"main.js": "import alpha from 'alpha';\nexport default 'gamma with ' + alpha.version;\n",
                        "part.js": "export const part = 'é';\n"})
    contrib = directory / "src" / "contrib"
    contrib.mkdir(parents=True)
    tarballs.r(contrib, "tciA", "1.0")
    tarballs.r(contrib, "tciA", "2.0")
    tarballs.r(contrib, "tciB", code='tciB <- function() paste("B with", tciA())\n', imports=["tciA"])
    tarballs.r_repository(contrib)
    return directory


@pytest.fixture(scope="module")
def served(make_module_gateway, house):
    return make_module_gateway(min_idle_workers=1, max_total_workers=8, packages_dir=str(house))


@pytest.fixture
def session(served):
    made = []

    def new(**terms):
        made.append(make(served, **terms)["id"])
        return made[-1]

    yield new
    for one in made:
        served.client.delete(f"/v1/sessions/{one}")


def run(gateway, session, code):
    answer = gateway.client.post(f"/v1/sessions/{session}/executions", json={"code": code})
    assert answer.status_code == 200, answer.text
    return answer.json()


def said(gateway, session, code):
    got = run(gateway, session, code)
    assert got["error"] is None, got
    return got["stdout"]


# -------------------------------------------------------------------------------------------------------- JavaScript


@needs_deno
def test_npm(served, session):
    one = session(language="javascript")
    missing = run(served, one, 'import beta from "npm:beta";')
    assert "does not have this package" in missing["error"]["evalue"]
    added = add(served, one, "beta")
    assert not added["cached"] and "Installed beta 1.0.0" in added["stdout"]
    assert said(served, one, 'import beta from "npm:beta@1"; console.log(beta.text)') == "beta with 1.2.0\n"
    assert "'was-run'" not in said(served, one, "console.log([...Deno.readDirSync('.')].map((f) => f.name))")
    # A package more needs another version of what is there already.
    add(served, one, "@scope/gamma")
    code = 'import gamma from "npm:@scope/gamma";\nimport { part } from "npm:@scope/gamma@^1.0.0/part";\nconsole.log(gamma, part)'
    assert said(served, one, code) == "gamma with 2.0.0 é\n"
    code = 'console.log(require("beta").text, "-", (await import("npm:beta")).default.text)'
    assert said(served, one, code) == "beta with 1.2.0 - beta with 1.2.0\n"
    assert get(served, one)["packages"] == ["beta", "@scope/gamma"]
    wrong = run(served, one, 'import beta from "npm:beta@^3";')
    assert wrong["error"]["evalue"] == "npm:beta@^3: the session has 1.0.0"


@needs_deno
def test_npm_versions(served, session):
    one = session(language="javascript", packages=["alpha>=1,<2"])
    assert said(served, one, 'import { version } from "alpha"; console.log(version)') == "1.2.0\n"
    assert said(served, one, 'import { version } from "npm:alpha@~1.2"; console.log(version)') == "1.2.0\n"
    said(served, one, 'import * as path from "node:path"; console.log(path.basename("/a/b"))')


@needs_deno
def test_npm_not_to_be_had(served, session):
    one = session(language="javascript")
    assert "nowhere" in error(add(served, one, "nowhere", status=422), 422, "install_failed")["message"]
    assert "matching '7'" in error(add(served, one, "alpha==7", status=422), 422, "install_failed")["message"]
    assert "~=1" in error(add(served, one, "alpha~=1", status=422), 422, "install_failed")["message"]


# ------------------------------------------------------------------------------------------------------------ R


@needs_r
def test_r(served, session):
    one = session(language="r")
    assert "tciB" in run(served, one, "library(tciB)")["error"]["evalue"]
    added = add(served, one, "tciB")
    assert not added["cached"] and "Installed tciB 1.0" in added["stdout"]
    assert said(served, one, "library(tciB); cat(tciB())") == "B with 2.0"
    other = session(language="r", packages=["tciB"])
    assert said(served, other, "cat(tciB::tciB())") == "B with 2.0"
    assert said(served, session(language="r", packages=["tciA<2"]), "cat(tciA::tciA())") == "1.0"


@needs_r
def test_r_not_to_be_had(served, session):
    one = session(language="r")
    for wanted in ("tciA>=3", "tciA[x]"):
        assert wanted in error(add(served, one, wanted, status=422), 422, "install_failed")["message"]


# ------------------------------------------------------------------------------------------------------- neither


@needs_r
def test_no_source_for_that_language(make_gateway, tmp_path):
    """A directory that has nothing for a language."""
    gateway = make_gateway(min_idle_workers=0, max_total_workers=3, packages_dir=str(tmp_path))
    error(gateway.client.post("/v1/sessions", json={"language": "r", "packages": ["tciA"]}), 422, "unsupported", "packages")
