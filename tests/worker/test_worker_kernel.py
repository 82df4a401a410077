"""tci-worker with real kernels: executions, raw output, order, interrupts, ends."""

import os
import time

import sandbox
from sandbox import raw, replies, streams


def test_execution(kernel):
    seen = kernel.run_code("print('hello'); 6 * 7")
    assert streams(seen) == "hello\n"
    assert [r.content["status"] for r in replies(seen)] == ["ok"]
    assert any(getattr(m, "type", "") == "execute_result" for m in seen if hasattr(m, "header"))


def test_state_is_kept(kernel):
    kernel.run_code("a = 20")
    assert kernel.text("print(a + 1)") == "21\n"


def test_raw_output_comes_before_reply_and_idle(kernel):
    for i in range(30):
        seen = kernel.run_code(f"import os; os.write(1, b'out{i}.'); os.write(2, b'err{i}.')")
        at = {kind: n for n, m in enumerate(seen) for kind in kinds(m)}
        assert raw(seen, "1") == b"out%d." % i and raw(seen, "2") == b"err%d." % i
        assert at["raw1"] < at["reply"] and at["raw2"] < at["reply"]
        assert at["raw1"] < at["idle"] and at["raw2"] < at["idle"]


def kinds(m):
    if not hasattr(m, "header"):
        return ["raw" + m.frames[0].decode()]
    if m.channel == "s":
        return ["reply"]
    return [m.content.get("execution_state", m.type)]


def test_output_of_children(kernel):
    seen = kernel.run_code("import subprocess; subprocess.run(['/bin/echo', 'from a child'])")
    assert raw(seen) == b"from a child\n"


def test_interrupt(worker):
    """ipykernel only: xpython ends on SIGINT."""
    worker.start("ipykernel")
    msg_id = worker.execute("import os, time\nos.write(1, b'on')\nwhile True: time.sleep(0.01)")
    worker.until("O")
    worker.send("I")
    reply = replies(worker.finish(msg_id))[0]
    assert reply.content["status"] == "error"
    assert reply.content["ename"] == "KeyboardInterrupt"


def test_interrupt_reaches_children(worker):
    """os.system() ignores the signal while its child runs; the child must get it."""
    worker.start("ipykernel")
    began = time.monotonic()
    msg_id = worker.execute("import os; print(os.system('echo on; exec sleep 60'))")
    worker.until("O")
    worker.send("I")
    assert streams(worker.finish(msg_id)) == "2\n"
    assert time.monotonic() - began < 30


def test_exit_status(kernel):
    kernel.execute("import os; os._exit(7)")
    assert kernel.exited() == {"exit": 7}


def test_killed_by_signal(kernel):
    kernel.execute("import os; os.kill(os.getpid(), 9)")
    assert kernel.exited() == {"signal": 9}


def test_last_words_are_heard(kernel):
    kernel.execute("import os; os.write(2, b'last words'); os._exit(3)")
    output = b""
    while True:
        message = kernel.receive()
        if message.verb == "O":
            output += message.frames[1]
        if message.verb == "X":
            break
    assert message.json == {"exit": 3}
    assert output == b"last words"


def test_end_is_told_soon_though_a_child_holds_the_pipes(kernel):
    kernel.run_code("import subprocess; subprocess.Popen(['/bin/sleep', '1000'])")
    began = time.monotonic()
    kernel.execute("import os; os._exit(0)")
    assert kernel.exited() == {"exit": 0}
    assert time.monotonic() - began < 2 * sandbox.slack()


def test_input_request_comes_on_stdin(worker):
    worker.start("ipykernel")
    msg_id = worker.execute("print('got', input('? '))", allow_stdin=True)
    while True:
        m = worker.gateway.decode(worker.until("R").frames)
        if m.channel == "n":
            break
    assert m.type == "input_request" and m.parent_id == msg_id
    worker.relay("n", "input_reply", {"value": "an answer"})
    assert "got an answer" in streams(worker.finish(msg_id))


def test_control_channel(worker):
    worker.start("ipykernel")
    msg_id = worker.relay("c", "kernel_info_request", {})
    while True:
        m = worker.gateway.decode(worker.until("R").frames)
        if m.channel == "c":
            break
    assert m.type == "kernel_info_reply" and m.parent_id == msg_id


def test_orphans_are_reaped(worker):
    worker.start("xpython")
    worker.run_code("import os\n"
                    "for i in range(20):\n"
                    "    if os.fork() == 0:\n"
                    "        os.fork()\n"
                    "        os._exit(0)\n"
                    "for i in range(20): os.wait()\n")
    worker.run_code("import glob, time\n"  # comes to its end when no zombie is left
                    "while any(open(f).read().rsplit(')', 1)[1].split()[0] == 'Z'\n"
                    "          for f in glob.glob('/proc/[0-9]*/stat')): time.sleep(0.01)\n")


def test_end_is_told_after_all_output(worker):
    """A gateway that is thousands of messages behind still gets to hear how the kernel ended."""
    worker.start("ipykernel")
    worker.execute("import os, time\n"
                   "for i in range(3000): os.write(1, b'x' * 10); time.sleep(0.0001)\n"
                   "os._exit(6)")
    sandbox.wait_until_gone(worker.kernel_pid())
    assert worker.exited() == {"exit": 6}


def test_quit(kernel):
    kernel.send("Q")
    assert kernel.wait(5) == 0


def test_sigterm(kernel):
    os.kill(kernel.pid(), 15)
    assert kernel.wait(5) == 0


def test_changes_come_before_the_end(kernel):
    """... where they are asked for; what is used of the disk is said with them."""
    seen = kernel.run_code("open('a', 'w').write('x')", watch=True)
    at = [i for i, m in enumerate(seen) if getattr(m, "verb", None) == "V"]
    assert len(at) == 1 and seen[at[0]].frames == [b".", b"ca\0"]
    idle = [i for i, m in enumerate(seen) if getattr(m, "content", {}).get("execution_state") == "idle"]
    assert at[0] < idle[-1]
    used, size = kernel.gateway.disk
    assert 0 < used <= size
    assert not [m for m in kernel.run_code("open('b', 'w').write('x')") if getattr(m, "verb", None) == "V"]
