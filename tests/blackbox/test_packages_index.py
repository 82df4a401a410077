"""test_packages_index.py - packages from an index, which installers reach through the proxy, and nobody else.

The index is a plain HTTP server in the tests' own network (nets.py).
"""
import shutil
import subprocess
import sys

import pytest

import tarballs
import wheels
from harness import eventually, read_text, rootless
from nets import Net
from test_packages_languages import needs_deno, needs_r, said
from test_v1_packages import add
from test_v1_sessions import delete, error, make

PORT = 8099


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    if not shutil.which("ip"):
        pytest.skip("needs iproute2")
    if rootless():
        pytest.skip("not as an ordinary user: TCI_PACKAGES_INDEX takes root, and says so")
    one = Net(tmp_path_factory.mktemp("net"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="module")
def index(net, tmp_path_factory):
    """A function: the paths that were asked for."""
    directory = tmp_path_factory.mktemp("index")
    wheels.index(directory, [wheels.wheel(directory, "alpha"), wheels.wheel(directory, "beta", requires=["alpha"])])
    tarballs.npm_registry(directory / "npm", f"http://index.test:{PORT}/npm", [
        tarballs.npm(directory, "alpha"), tarballs.npm(directory, "@scope/beta", dependencies={"alpha": "^1.0.0"},
                                                       files={"index.js": "exports.version = require('alpha').version;\n"})])
    contrib = directory / "cran" / "src" / "contrib"
    contrib.mkdir(parents=True)
    tarballs.r(contrib, "tciA")
    tarballs.r_repository(contrib)
    log = directory / "log"
    with open(log, "w", encoding="utf-8") as f:
        process = subprocess.Popen(["ip", "netns", "exec", net.namespace, sys.executable, "-u", "-m", "http.server", str(PORT),
                                    "--bind", net.there, "--directory", str(directory)], stdout=f, stderr=f)
    try:
        eventually(lambda: "Serving HTTP" in read_text(log, ""), 30, "the index serves")
        yield lambda: [line.split()[6] for line in read_text(log).splitlines() if '"GET ' in line]
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(net, index, make_module_gateway):
    settings = {**net.settings("one.test"), "network": "none", "packages_hosts": ""}
    indexes = f"http://index.test:{PORT}/simple,npm=http://index.test:{PORT}/npm,cran=http://index.test:{PORT}/cran"
    return make_module_gateway(min_idle_workers=1, max_total_workers=5, packages_index=indexes, **settings)


def test_from_an_index(net, index, served):
    net.names({"index.test": [net.there], "one.test": [net.there]})
    made = make(served)["id"]
    answer = add(served, made, "beta")
    assert not answer["cached"] and any(path.startswith("/simple/beta/") for path in index())
    assert served.text(made, "import alpha, beta; print(alpha.VERSION)") == "1.0\n"
    asked = len(index())
    other = make(served)["id"]
    assert add(served, other, "beta")["cached"] and len(index()) == asked
    error(add(served, made, "gamma", status=422), 422, "install_failed")
    delete(served, other)
    delete(served, made)


@needs_deno
def test_npm(net, index, served):
    net.names({"index.test": [net.there], "one.test": [net.there]})
    made = make(served, language="javascript", packages=["@scope/beta==1.0.0"])["id"]
    assert said(served, made, 'import beta from "npm:@scope/beta"; console.log(beta.version)') == "1.0.0\n"
    assert any(path.startswith("/npm/files/") for path in index())
    delete(served, made)


@needs_r
def test_r(net, index, served):
    net.names({"index.test": [net.there], "one.test": [net.there]})
    made = make(served, language="r", packages=["tciA"])["id"]
    assert said(served, made, "cat(tciA::tciA())") == "1.0"
    assert "/cran/src/contrib/tciA_1.0.tar.gz" in index()
    delete(served, made)


def test_a_session_does_not_reach_it(net, index, served):
    made = make(served)["id"]
    said = served.text(made, "import urllib.request\nfor proxy in ({}, {'http': 'http://127.0.0.1:3128'}):\n    try:\n"
                             "        urllib.request.build_opener(urllib.request.ProxyHandler(proxy)).open("
                             f"'http://{net.there}:{PORT}/', timeout=5)\n    except OSError as e:\n        print('refused')")
    assert said == "refused\n" * 2
    delete(served, made)


def test_the_lists_are_apart(net, index, make_gateway):
    """A session with a network reaches what is on its list, and not the index; an installer the index, and not that list."""
    net.names({"index.test": [net.there], "one.test": [net.there]})
    gateway = make_gateway(min_idle_workers=1, max_total_workers=5, packages_index=f"http://one.test:{PORT}/simple",
                           packages_hosts="", **net.settings("one.test:80"))
    made = make(gateway, network="allowlist")["id"]
    said = gateway.text(made, "import urllib.request\ntry:\n    print(urllib.request.urlopen("
                              f"'http://one.test:{PORT}/simple/', timeout=10).status)\nexcept OSError as e:\n    print(e.code)")
    assert said == "403\n"
    add(gateway, made, "alpha")
    assert gateway.text(made, "import alpha; print('there')") == "there\n"
    delete(gateway, made)
