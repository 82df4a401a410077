"""test_settings.py - settings from options, environment and file; the token; the log; help and errors at start."""
import json
import os
import re
import stat
import subprocess

import httpx
import pytest

import harness
from harness import eventually, run_gateway

SETTINGS = {
    "TCI_LISTEN": "127.0.0.1:3874", "TCI_STATE_DIR": "/var/lib/tci", "TCI_AUTH_TOKEN": None, "TCI_MIN_IDLE_WORKERS": "5",
    "TCI_MAX_TOTAL_WORKERS": "30", "TCI_EXEC_TIMEOUT": "30", "TCI_WORKER_IDLE_TIMEOUT": "3600", "TCI_WORKER_CPU": "1.0",
    "TCI_WORKER_MEMORY_MB": "1024", "TCI_WORKER_DISK_MB": "500", "TCI_WORKER_PIDS": "128", "TCI_RUNTIME": "crun",
    "TCI_KERNEL": "python3", "TCI_MAX_CODE_BYTES": "1048576", "TCI_MAX_OUTPUT_BYTES": "10485760", "TCI_QUEUE_LIMIT": "16",
    "TCI_TLS_CERT": None, "TCI_TLS_KEY": None, "TCI_LOG_LEVEL": "info", "TCI_LOG_FORMAT": "text", "TCI_CORS_ORIGIN": None,
    "TCI_ORPHAN_TIMEOUT": "900", "TCI_SCAN": "warn", "TCI_SCAN_RULES": None,
}


def option(name):
    return "--" + name[4:].lower().replace("_", "-")


# ---------------------------------------------------------------------------------------------- help and version


def test_help_names_every_setting_with_its_default():
    done = run_gateway("--help")
    assert done.returncode == 0 and done.stderr == ""
    for name, default in SETTINGS.items():
        assert option(name) in done.stdout, name
        if default is not None:
            part = done.stdout[done.stdout.index(option(name)):][:400]
            assert default in part, f"{name}: its default {default} is not beside it"
    for extra in ("--config", "--help", "--version", "--remove-containers"):
        assert extra in done.stdout


def test_help_needs_no_sound_settings():
    assert run_gateway("--help", env={"TCI_LISTEN": "nonsense"}).returncode in (0, 1)  # told or shown, never a crash


def test_readme_has_the_same_table():
    """The table in the README is what the program prints."""
    readme = harness.read_text(os.path.join(harness.SOURCE_DIR, "README.md"))
    for name in SETTINGS:
        assert name in readme, name
    table = run_gateway("--help-markdown")
    assert table.returncode == 0 and table.stdout.strip() in readme


def test_version():
    done = run_gateway("--version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout)


# -------------------------------------------------------------------------------------------------------- errors


BAD = [
    ("TCI_LISTEN", "nonsense"), ("TCI_LISTEN", "127.0.0.1"), ("TCI_LISTEN", "127.0.0.1:99999"), ("TCI_LISTEN", "host.example:1x"),
    ("TCI_STATE_DIR", "relative/path"), ("TCI_STATE_DIR", "/" + "d" * 200),
    ("TCI_MIN_IDLE_WORKERS", "-1"), ("TCI_MIN_IDLE_WORKERS", "five"), ("TCI_MIN_IDLE_WORKERS", "1.5"),
    ("TCI_MAX_TOTAL_WORKERS", "0"), ("TCI_MAX_TOTAL_WORKERS", "99999999999999999999"),
    ("TCI_EXEC_TIMEOUT", "0"), ("TCI_EXEC_TIMEOUT", "nan"), ("TCI_EXEC_TIMEOUT", "inf"), ("TCI_EXEC_TIMEOUT", "10s"),
    ("TCI_WORKER_IDLE_TIMEOUT", "0"), ("TCI_WORKER_CPU", "0"), ("TCI_WORKER_CPU", "1,5"),
    ("TCI_WORKER_MEMORY_MB", "1"), ("TCI_WORKER_DISK_MB", "0"), ("TCI_WORKER_PIDS", "0"), ("TCI_RUNTIME", "docker-in-docker"),
    ("TCI_KERNEL", "../../etc"), ("TCI_KERNEL", ""), ("TCI_MAX_CODE_BYTES", "0"), ("TCI_MAX_OUTPUT_BYTES", "x"),
    ("TCI_QUEUE_LIMIT", "0"), ("TCI_LOG_LEVEL", "loud"), ("TCI_LOG_FORMAT", "xml"), ("TCI_ORPHAN_TIMEOUT", "-5"),
    ("TCI_CORS_ORIGIN", "not an origin"), ("TCI_TLS_CERT", "relative.pem"), ("TCI_SCAN", "on"), ("TCI_SCAN_RULES", "relative.rules"),
]


def check_complaint(done, name, value):
    assert done.returncode not in (0, 99) and done.returncode > 0
    assert name[4:].lower() in done.stderr.lower().replace("-", "_"), done.stderr
    assert value[:40] in done.stderr, done.stderr
    assert done.stderr.count("\n") <= 6


@pytest.mark.parametrize("name, value", BAD)
def test_wrong_values(tmp_path, state_dir, name, value):
    """By each of the three ways: the setting, the value and what is allowed are named, and nothing is started."""
    base = [] if name == "TCI_STATE_DIR" else ["--state-dir", state_dir]
    by_option = run_gateway(*base, option(name), value)
    by_variable = run_gateway(*base, env={name: value})
    config = tmp_path / "conf"
    config.write_text(f"{name[4:].lower()} = {value}\n")
    by_file = run_gateway(*base, "--config", str(config))
    for done in (by_option, by_variable, by_file):
        check_complaint(done, name, value)
        assert "allowed" in done.stderr or "usable" in done.stderr, done.stderr
    assert not os.path.exists(state_dir) or not os.listdir(state_dir)


@pytest.mark.parametrize("args, env, words", [
    (["--no-such-option"], {}, ["no-such-option"]),
    (["--exec-timeout"], {}, ["exec-timeout"]),
    (["surplus"], {}, ["surplus"]),
    (["--exec-timeout", "5", "surplus"], {}, ["surplus"]),
    ([], {"TCI_EXEC_TIMOUT": "5"}, ["TCI_EXEC_TIMOUT", "TCI_EXEC_TIMEOUT"]),
    (["--config", "/no/such/file"], {}, ["/no/such/file"]),
    (["--config", "/"], {}, ["/"]),
    (["--tls-cert", "/no/such/cert.pem"], {}, ["tls"]),
    (["--tls-cert", "/no/such/cert.pem", "--tls-key", "/no/such/key.pem"], {}, ["/no/such/"]),
    (["--min-idle-workers", "5", "--max-total-workers", "3"], {}, ["min_idle_workers", "max_total_workers"]),
])
def test_other_mistakes(state_dir, args, env, words):
    done = run_gateway("--state-dir", state_dir, "--listen", "127.0.0.1:0", *args, env=env)
    assert done.returncode > 0
    text = done.stderr.lower().replace("-", "_")
    assert all(word.lower().replace("-", "_") in text for word in words), done.stderr


@pytest.mark.parametrize("text, words", [
    ("no_such_key = 1\n", ["no_such_key", ":1"]),
    ("# fine\n\nexec_timeout = 5\nexec_timeout = 6\n", ["exec_timeout", ":4"]),
    ("[section]\nexec_timeout = 5\n", ["section"]),
    ("nothing like a setting\n", [":1"]),
    ("exec_timeout = 5\n\x00\x01\x02\n", [":2"]),
    ("kernel = " + "x" * 5000 + "\n", [":1"]),
])
def test_mistakes_in_the_file(tmp_path, state_dir, text, words):
    config = tmp_path / "conf"
    config.write_text(text)
    done = run_gateway("--state-dir", state_dir, "--config", str(config), "--listen", "127.0.0.1:0")
    assert done.returncode > 0
    assert all(word in done.stderr for word in [str(config), *words]), done.stderr


def test_wrong_token_is_not_shown(state_dir):
    secret = "s3cret with spaces"
    for args, env in ((["--auth-token", secret], {}), ([], {"TCI_AUTH_TOKEN": secret})):
        done = run_gateway("--state-dir", state_dir, *args, env=env)
        assert done.returncode > 0 and "auth_token" in done.stderr.lower().replace("-", "_")
        assert secret not in done.stderr + done.stdout


def test_port_in_use(make_gateway, state_dir):
    gateway = make_gateway(ready=False, min_idle_workers=0)
    address = "%s:%d" % gateway.address
    done = run_gateway("--state-dir", state_dir, "--listen", address)
    assert done.returncode > 0 and address in done.stderr


def test_not_root(state_dir):
    """Without root it says what is missing."""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", harness.gateway_binary(),
                           "--state-dir", state_dir, "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, env=harness.clean_environment(), timeout=60)
    assert done.returncode != 0
    assert done.stderr.strip()


# --------------------------------------------------------------------------------------------------- precedence


def test_precedence(make_gateway, tmp_path):
    """Default, file, environment, command line: the later wins."""
    config = tmp_path / "conf"
    config.write_text("# comment\nmax_total_workers = 7\nmin_idle_workers = 0\n; another\n\nqueue_limit=2\n")
    gateway = make_gateway(ready=False, config=config, min_idle_workers=None, max_total_workers=None)
    assert gateway.status()["max_total_workers"] == 7
    assert gateway.status()["min_idle_workers"] == 0
    gateway.env["TCI_MAX_TOTAL_WORKERS"] = "8"
    gateway.restart(ready=False)
    assert gateway.status()["max_total_workers"] == 8
    gateway.settings["max_total_workers"] = 9
    gateway.restart(ready=False)
    assert gateway.status()["max_total_workers"] == 9
    assert gateway.status()["min_idle_workers"] == 0


def test_defaults(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, max_total_workers=None, exec_timeout=None)
    assert gateway.status()["max_total_workers"] == 30
    answer = gateway.execute("nobody", "1", timeout=30.5)
    assert answer.status_code == 400 and answer.json()["field"] == "timeout"


def test_everything_by_environment(make_gateway, users):
    """A whole set of settings through the environment alone."""
    gateway = make_gateway(start=False, min_idle_workers=None, max_total_workers=None, exec_timeout=None, listen=None)
    gateway.env.update(TCI_LISTEN="127.0.0.1:0", TCI_MIN_IDLE_WORKERS="1", TCI_MAX_TOTAL_WORKERS="3", TCI_EXEC_TIMEOUT="7.5",
                       TCI_WORKER_CPU="0.9", TCI_WORKER_MEMORY_MB="300", TCI_WORKER_DISK_MB="40", TCI_WORKER_PIDS="100",
                       TCI_RUNTIME="crun", TCI_KERNEL="python3", TCI_MAX_CODE_BYTES="1000", TCI_LOG_LEVEL="debug",
                       TCI_AUTH_TOKEN="a-token-of-our-own-0123456789")
    gateway.start()
    user = users(gateway)
    assert gateway.text(user, "'works'") == "'works'"
    assert gateway.execute(user, "x" * 1001).status_code == 413
    assert gateway.execute(user, "1", timeout=8).status_code == 400


# ---------------------------------------------------------------------------------------------- token, files, log


def test_token_is_made_once_and_kept(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0)
    path = os.path.join(gateway.state_dir, "auth_token")
    mode = os.stat(path)
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == os.stat(f"/proc/{gateway.pid}").st_uid
    content = harness.read_text(path)
    assert len(content.strip()) >= 32 and content.strip().isascii() and content.count("\n") == 1
    gateway.restart(ready=False)
    assert harness.read_text(path) == content
    assert gateway.client.get("/status").status_code == 200
    gateway.kill9()
    gateway.start(ready=False)
    assert harness.read_text(path) == content


def test_tokens_differ(make_gateway):
    first = make_gateway(ready=False, min_idle_workers=0)
    second = make_gateway(ready=False, min_idle_workers=0)
    assert first.token != second.token
    assert httpx.get(second.url + "/status", headers={"X-Auth-Token": first.token}, trust_env=False).status_code == 401


@pytest.mark.parametrize("by", ["environment", "option"])
def test_token_by_setting(make_gateway, by):
    token = "0123456789-our-own-token"
    if by == "option":
        gateway = make_gateway(ready=False, min_idle_workers=0, auth_token=token)
    else:
        gateway = make_gateway(ready=False, min_idle_workers=0, env={"TCI_AUTH_TOKEN": token})
    assert gateway.client.get("/status").status_code == 200
    assert httpx.get(gateway.url + "/status", headers={"X-Auth-Token": "another"}, trust_env=False).status_code == 401
    path = os.path.join(gateway.state_dir, "auth_token")
    assert not os.path.exists(path) or harness.read_text(path).strip() == token


def test_token_file_of_a_wrong_kind(state_dir):
    """A damaged token file is no reason to let everybody in."""
    os.mkdir(state_dir, 0o711)
    open(os.path.join(state_dir, "auth_token"), "w").close()
    harness.give(state_dir)
    address = os.path.join(state_dir, "address")
    process = subprocess.Popen([harness.gateway_binary(), "--state-dir", state_dir, "--listen", "127.0.0.1:0",
                                "--min-idle-workers", "0"], env=harness.clean_environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **harness.identity())
    try:
        eventually(lambda: process.poll() is not None or os.path.exists(address), 60)
        if process.poll() is None:
            url = eventually(lambda: harness.read_text(address, "").strip(), 30)
            for headers in ({}, {"X-Auth-Token": ""}):
                assert httpx.get(url + "/status", headers=headers, trust_env=False).status_code == 401
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_state_directory_lets_no_ordinary_user_in(make_gateway, users):
    """Whatever modes its parts have, another user of the host reads nothing in it that is secret."""
    gateway = make_gateway()
    gateway.ok(users(gateway), "1")
    code = ("import os, sys\nfound = []\n"
            "for path, dirs, files in os.walk(sys.argv[1]):\n"
            "    for name in files:\n"
            "        try: open(os.path.join(path, name), 'rb').read(1); found.append(os.path.join(path, name))\n"
            "        except OSError: pass\n"
            "print(found)")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code,
                           gateway.state_dir], capture_output=True, text=True, check=True)
    readable = [path for path in eval(done.stdout) if os.path.basename(path) not in ("address", "gateway.pid")]
    assert not [p for p in readable if re.search(r"token|\.db|sqlite|config\.json|key|boot", p)], readable


def test_link_hears_no_ordinary_user(make_gateway, users):
    """Whoever is not the root of a container may at best connect: the connection ends at once.  The others have time to say who
    they are."""
    gateway = make_gateway()
    group = gateway.container_of(users(gateway)).link_group()
    link = os.path.join(gateway.state_dir, "link", "gateway.sock")
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\n"
            "try:\n    s.connect(sys.argv[1])\n    print('said', s.recv(64))\n"
            "except TimeoutError: print('open')\nexcept (PermissionError, ConnectionResetError): print('said', b'')")

    def greeting(uid, gid):
        done = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "/usr/bin/python3", "-c", code,
                               link], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert greeting(65534, 65534) == "said b''"
    assert greeting(1000, 1000) == "said b''"
    assert greeting(0x40000000, group) == "open"  # as the workers do: so the refusals above are no accident


def test_log_as_json(make_gateway, users):
    gateway = make_gateway(log_format="json", log_level="debug")
    user = users(gateway)
    gateway.ok(user, "print('secret-of-the-user')")
    gateway.execute(user, "import os; os._exit(1)")
    gateway.stop()
    lines = gateway.log().splitlines()
    assert len(lines) > 3
    for line in lines:
        entry = json.loads(line)
        assert set(entry) >= {"time", "level", "msg"}
        assert entry["level"] in ("error", "warn", "info", "debug")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])


def test_log_as_text(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0)
    gateway.stop()
    for line in gateway.log().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) ", line), line


def test_log_has_no_secrets_and_no_code(make_gateway, users):
    gateway = make_gateway(log_level="debug")
    user = users(gateway)
    gateway.ok(user, "print('the-code-of-the-user')")
    gateway.client.post("/execute", content=b'{"user_uuid": "the-code-of-the-user')
    httpx.get(gateway.url + "/status", headers={"X-Auth-Token": "the-wrong-token"}, trust_env=False)
    token = gateway.token
    gateway.stop()
    for secret in (token, "the-code-of-the-user", "the-wrong-token"):
        assert secret not in gateway.log()


def test_log_level(make_gateway, users):
    quiet = make_gateway(log_level="error")
    quiet.ok(users(quiet), "1")
    quiet.stop()
    assert quiet.log() == ""
    loud = make_gateway(log_level="debug")
    assert re.search(r"Z debug ", loud.log())


def test_clients_cannot_forge_log_lines(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, log_level="debug")
    gateway.client.get("/x%0a2026-01-01T00:00:00.000Z%20info%20forged")
    gateway.execute("a\n2026-01-01T00:00:00.000Z info forged", "1")
    gateway.stop()
    assert not [line for line in gateway.log().splitlines() if line.endswith("info forged")]


@pytest.mark.skipif(not os.path.exists("/usr/share/jupyter/kernels/xpython/kernel.json"), reason="xeus-python is not installed")
def test_another_kernel(make_gateway, users):
    """Any Jupyter kernel: state, errors, time limit and death are the same with xeus-python."""
    gateway = make_gateway(kernel="xpython")
    assert gateway.status()["kernel"] == "xpython"
    user = users(gateway)
    gateway.ok(user, "a = 100")
    assert gateway.text(user, "print(f'The value of a is {a}')") == "The value of a is 100\n"
    assert gateway.text(user, "a + 1").strip() == "101"
    answer = gateway.run(user, "1/0")
    assert "ZeroDivisionError" in answer["error"]["ename"] and "ZeroDivisionError" in answer["result_text"]
    assert gateway.text(user, "print(a)") == "100\n"
    assert gateway.execute(user, "while True: pass", timeout=1).status_code == 504
    assert gateway.ok(user, "print(1)")["restarted"] is True
    answer = gateway.execute(user, "import os; os._exit(3)")
    assert answer.status_code == 503 and "exited with status 3" in answer.json()["detail"]
    assert gateway.text(user, "print(2)") == "2\n"
