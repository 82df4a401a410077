"""test_service.py - systemd/tci.service: that the gateway and its containers get along with what it leaves them.

systemd is not needed: of what the unit forbids, capabilities and files are taken away here by setpriv and mount.  What it
does by seccomp (RestrictAddressFamilies, SystemCallFilter and the like) is not tried.
"""
import os
import shutil
import subprocess

import pytest

import harness

UNIT = os.path.join(harness.SOURCE_DIR, "systemd", "tci.service")


def setting(name):
    """The words behind `name=` in the unit."""
    lines = [line.partition("=")[2] for line in harness.read_text(UNIT).splitlines() if line.startswith(name + "=")]
    assert len(lines) == 1, name
    return lines[0].split()


def is_needed(directory):
    """The tree under test may be in a home directory, which it would not be when it is installed."""
    return any(os.path.realpath(path).startswith(directory + "/") for path in (harness.SOURCE_DIR, harness.build_dir(), harness.gateway_binary()))


def confined():
    """A command that runs another as the unit would."""
    script = "set -e; "
    assert setting("ProtectSystem") == ["full"] and setting("ProtectHome") == ["yes"] and setting("ProtectKernelModules") == ["yes"]
    for path in ("/usr", "/etc", "/boot"):
        if os.path.isdir(path):
            script += f"mount --bind {path} {path}; mount -o remount,bind,ro {path}; "
    for path in ("/home", "/root", "/run/user", "/usr/lib/modules"):
        if os.path.isdir(path) and not is_needed(path):
            script += f"mount -t tmpfs -o ro,mode=000 none {path}; "
    capabilities = ",".join("+" + name.removeprefix("CAP_").lower() for name in setting("CapabilityBoundingSet"))
    assert setting("NoNewPrivileges") == ["yes"]
    script += f'umask {setting("UMask")[0]}; exec setpriv --no-new-privs --bounding-set=-all,{capabilities} "$@"'
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh"]


UNIT_IS_ROOTS = pytest.mark.root_only("the unit starts the gateway as root")


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(prefix=confined(), max_total_workers=4)


@UNIT_IS_ROOTS
def test_what_is_left_is_what_the_unit_says(gateway):
    """Less than everything, so that the other tests here mean something."""
    left = int(harness.status_field(gateway.pid, "CapBnd"), 16)
    assert bin(left).count("1") <= len(setting("CapabilityBoundingSet"))
    assert int(harness.status_field(gateway.pid, "CapEff"), 16) == left
    assert harness.status_field(gateway.pid, "NoNewPrivs") == "1"
    with pytest.raises(OSError):
        open(f"/proc/{gateway.pid}/root/usr/written", "w")


@UNIT_IS_ROOTS
def test_a_session_under_the_unit(gateway, users):
    user = users(gateway)
    assert gateway.value(user, "import os\nopen('/workspace/f', 'w').write('kept')\nprint(os.getuid())") == 1000
    assert gateway.text(user, "import subprocess\nprint(subprocess.run(['cat', '/workspace/f'], capture_output=True, text=True).stdout)").strip() == "kept"
    assert "image/png" in str(gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")["images"])
    assert gateway.execute(user, "while True: pass", timeout=0.5).status_code == 504
    assert gateway.ok(user, "1")["restarted"] is True
    gateway.release(user)


@UNIT_IS_ROOTS
def test_a_restart_under_the_unit(gateway, users):
    """Another start has mounts of its own, and takes the containers of the one before."""
    user = users(gateway)
    gateway.ok(user, "a = 41")
    gateway.restart()
    assert gateway.value(user, "print(a + 1)") == 42
    assert gateway.execute(user, "while True: pass", timeout=0.5).status_code == 504  # and can end them


def test_systemd_knows_every_setting(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "tci.service"
    unit.write_text(harness.read_text(UNIT).replace("/usr/local/bin/tci-gateway", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert "tci.service" not in done.stdout + done.stderr
