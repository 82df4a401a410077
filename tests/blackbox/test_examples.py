"""test_examples.py - the scripts of examples/, run as their readers run them."""
import json
import os
import subprocess

from harness import SOURCE_DIR
from languages import skip_unless_tested


def run(gateway, name):
    """The JSON documents and the text between and behind them that the example prints, in order."""
    done = subprocess.run(["sh", os.path.join(SOURCE_DIR, "examples", name)], capture_output=True, text=True, timeout=120,
                          check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], "NO_PROXY": "*", "TCI_URL": gateway.url, "TCI_AUTH_TOKEN": gateway.token})
    assert done.returncode == 0, done.stderr
    assert gateway.status()["sessions"] == []  # it has closed its own
    return list(parts(done.stdout))


def parts(text):
    """Objects of JSON as such, and what is no such thing as text."""
    while text:
        if text[0] == "{":
            value, end = json.JSONDecoder().raw_decode(text)
        else:
            end = text.find("{") if "{" in text else len(text)
            value = text[:end].strip()
        text = text[end:]
        if value:
            yield value


def test_data(gateway):
    session, file, answer, back = run(gateway, "data.sh")
    assert session["language"] == "python" and session["id"].startswith("example-")
    assert (file["path"], file["size"]) == ("data.csv", 18)
    assert answer["stdout"] == "The sum is 4\n" and answer["result"]["value"] == 4
    (test,) = answer["tests"]
    assert (test["name"], test["passed"], test["reward"]) == ("Check sum", True, 1.0)
    assert answer["reward"] == answer["score"] == 1.0
    assert back == "col1,col2\n1,2\n3,4"


def test_download(gateway):
    skip_unless_tested("javascript")
    session, answer, file = run(gateway, "download.sh")
    assert session["kernel"] == "javascript"
    assert answer["status"] == "ok" and answer["result"]["text"] == "20"
    assert file == "Hello from TCI!"
