"""lonekernel.py - a kernel as its kernel.json starts it, without worker and container, and its client."""

import base64
import json
import os
import queue
import secrets
import signal
import subprocess
import tempfile
import threading
import time

from jupyter_client.blocking import BlockingKernelClient

# Seconds after which code can be taken to run that its kernel has told of.
UNDER_WAY = 0.5 * float(os.environ.get("TCI_TEST_SLACK", "1")) ** 2

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TCI_KERNEL = os.path.join(os.environ.get("TCI_BUILD_DIR", os.path.join(SOURCE_DIR, "build")), "kernel", "tci-kernel")
PNG = b"\x89PNG\r\n\x1a\n"


class Spec:
    """A directory of kernelspecs/."""

    def __init__(self, name):
        self.directory = os.path.join(SOURCE_DIR, "kernelspecs", name)
        with open(os.path.join(self.directory, "kernel.json"), encoding="utf-8") as f:
            kernel_json = json.load(f)
        self.json = kernel_json
        self.argv = [TCI_KERNEL if arg == "/tci-kernel" else arg for arg in kernel_json["argv"]]
        self.env = kernel_json.get("env", {})
        self.tci = kernel_json["metadata"]["tci"]

    def fill(self, argv, **values):
        """argv with its placeholders replaced."""
        values["resource_dir"] = self.directory
        for name, value in values.items():
            argv = [arg.replace("{" + name + "}", str(value)) for arg in argv]
        return argv

    def change(self, command):
        """Goes on in a directory of its own, with these members of metadata.tci.command."""
        self.tci["command"].update(command)
        self.own = tempfile.TemporaryDirectory(prefix="kernelspec")
        self.directory = self.own.name
        with open(os.path.join(self.directory, "kernel.json"), "w", encoding="utf-8") as f:
            json.dump(self.json, f)

    def prepare(self, skel):
        if "prepare" not in self.tci:
            skel.mkdir()
            return
        subprocess.run(self.fill(self.tci["prepare"], skel_dir=skel), check=True, timeout=120)


class Kernel:
    """A kernel that has been warmed up, and its client."""

    def __init__(self, spec, top):
        self.home = top / "home"
        spec.prepare(self.home)
        self.workspace = top / "workspace"
        self.workspace.mkdir()
        self.tmp = top / "tmp"
        self.tmp.mkdir()
        connection = top / "connection.json"
        connection.write_text(json.dumps({
            "transport": "ipc", "ip": str(top / "k"), "key": secrets.token_hex(32),
            "shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5,
            "signature_scheme": "hmac-sha256", "kernel_name": "python3"}))
        self.raw_fd, write_fd = os.pipe()
        os.set_blocking(self.raw_fd, False)
        env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": str(self.tmp), **spec.env}
        self.process = subprocess.Popen(
            spec.fill(spec.argv, connection_file=connection), env=env, cwd=self.workspace,
            stdin=subprocess.DEVNULL, stdout=write_fd, stderr=write_fd)
        os.close(write_fd)
        self.client = BlockingKernelClient()
        self.client.load_connection_file(str(connection))
        self.client.start_channels(hb=False)  # on a busy machine a starting kernel may not beat in time
        self.wait_for_ready(60)
        for code in spec.tci.get("warmup", []):
            assert self.run(code, silent=True)["status"] == "ok"

    def wait_for_ready(self, seconds):
        """Until a request has been answered, on both sockets."""
        deadline = time.monotonic() + seconds
        while True:
            asked = self.client.kernel_info()
            try:
                while self.client.get_shell_msg(timeout=1)["parent_header"].get("msg_id") != asked:
                    pass  # the answer to one that was asked before
                self.client.get_iopub_msg(timeout=1)
                return
            except queue.Empty:
                assert self.process.poll() is None and time.monotonic() < deadline, self.raw()

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGINT)

    def run(self, code, silent=False, interrupt=None):
        """Status, text by stream, results, images and error of one execution.  interrupt: called once it is under way, which the
        kernel tells with what it is to run, or the code with what it prints."""
        msg_id = self.client.execute(code, silent=silent, allow_stdin=False, stop_on_error=False)
        answer = {"text": "", "result": None, "images": [], "ename": None, "evalue": None,
                  "types": []}
        while True:
            msg = self.client.get_iopub_msg(timeout=60)
            content = msg["content"]
            if msg["parent_header"].get("msg_id") != msg_id:
                continue
            answer["types"].append(msg["msg_type"])
            if interrupt and msg["msg_type"] in ("execute_input", "stream"):
                threading.Timer(UNDER_WAY, interrupt).start()
                interrupt = None
            if msg["msg_type"] == "status" and content["execution_state"] == "idle":
                break
            if msg["msg_type"] == "stream":
                answer["text"] += content["text"]
            elif msg["msg_type"] == "execute_result":
                answer["result"] = content["data"].get("text/plain")
            elif msg["msg_type"] == "error":
                answer["ename"], answer["evalue"] = content["ename"], content["evalue"]
            if "image/png" in content.get("data", {}):
                answer["images"].append(base64.b64decode(content["data"]["image/png"]))
        reply = {"parent_header": {}}
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = self.client.get_shell_msg(timeout=60)
        answer["status"] = reply["content"]["status"]
        answer["reply_size"] = len(json.dumps(reply["content"]))
        answer["reply_ename"] = reply["content"].get("ename")
        return answer

    def raw(self):
        """What has come from descriptors 1 and 2 since the last call."""
        try:
            return os.read(self.raw_fd, 1 << 20).decode()
        except BlockingIOError:
            return ""

    def close(self):
        self.client.stop_channels()
        self.process.kill()
        self.process.wait()
        os.close(self.raw_fd)
