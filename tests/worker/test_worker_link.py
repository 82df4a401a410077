"""tci-worker and its link: HELLO, a gateway that goes and comes back, protocol errors, start-up errors."""

import json
import time

import pytest

import sandbox
from sandbox import raw, replies, streams


def test_hello_new(worker):
    worker.run()
    assert worker.expect("H").json == {"protocol": 4, "state": "new"}


def test_new_gateway_hears_hello_new_until_config(worker):
    worker.run()
    worker.expect("H")
    worker.gateway.stop()
    worker.gateway.start()
    assert worker.expect("H").json["state"] == "new"


def test_gateway_may_come_later(worker):
    worker.gateway.stop()
    worker.run()
    time.sleep(1)
    worker.gateway.start()
    assert worker.expect("H", 2).json["state"] == "new"


def test_restarted_gateway_finds_the_session(kernel):
    kernel.run_code("a = 41")
    kernel.gateway.stop()
    time.sleep(0.5)
    began = time.monotonic()
    kernel.gateway.start()
    assert kernel.expect("H").json == {"protocol": 4, "state": "running"}
    assert time.monotonic() - began < 1 * sandbox.slack()
    assert kernel.text("print(a + 1)") == "42\n"


def test_execution_without_gateway_comes_to_its_end(kernel):
    kernel.execute("import os, time\n"
                   "for i in range(20000):\n"
                   "    os.write(1, b'x' * 1000)\n"
                   "    if i % 200 == 0: print('y' * 1000, flush=True)\n"
                   "done = 'done'")
    kernel.receive()
    kernel.gateway.stop()
    time.sleep(2)
    kernel.gateway.start()
    assert kernel.expect("H").json["state"] == "running"
    kernel.probe()
    assert kernel.text("print(done)") == "done\n"


def test_hello_is_first_whatever_is_going_on(worker):
    """A kernel that floods while the gateway comes and goes: each connection begins with HELLO."""
    worker.start("xpython")
    worker.execute("import os, time\n"
                   "end = time.time() + 120\n"
                   "while time.time() < end:\n"
                   "    os.write(1, b'x' * 100)\n"
                   "    print('y', flush=True)\n"
                   "    time.sleep(0.0005)", max_bytes=1 << 40, max_messages=1 << 31)
    for _ in range(15):
        worker.until("O")
        worker.gateway.stop()
        worker.gateway.start()
        assert worker.expect("H").json["state"] == "running"


def test_orphan_ends(worker):
    worker.boot["orphan_timeout"] = 1
    worker.start("xpython")
    began = time.monotonic()
    worker.gateway.stop()
    assert worker.wait() == sandbox.EXIT_ORPHANED
    assert 0.9 < time.monotonic() - began < 3 * sandbox.slack()


def test_orphan_that_never_had_a_gateway_ends(worker):
    worker.boot["orphan_timeout"] = 0.5
    worker.gateway.stop()
    worker.run()
    assert worker.wait() == sandbox.EXIT_ORPHANED


def test_a_link_found_again_stops_the_orphan_clock(worker):
    worker.boot["orphan_timeout"] = 8
    worker.start("xpython")
    for _ in range(3):
        worker.gateway.stop()
        time.sleep(3)
        worker.gateway.start()
        worker.expect("H")
    time.sleep(8.5)
    assert worker.text("print('alive')") == "alive\n"


@pytest.mark.parametrize("record", [
    b"", b"{}", b"[]", b"nonsense", b"\0" * 5000,
    json.dumps({"endpoint": "tcp://1.2.3.4:5", "routing_id": "ab", "orphan_timeout": 1}).encode(),
    json.dumps({"endpoint": "unix:///a", "routing_id": "", "orphan_timeout": 1}).encode(),
    json.dumps({"endpoint": "unix:///a", "routing_id": "ab", "orphan_timeout": 0}).encode(),
    json.dumps({"endpoint": "unix:///a", "routing_id": "ab", "orphan_timeout": 1, "more": 1}).encode(),
])
def test_bad_boot_record(worker, record):
    worker.run(record)
    assert worker.wait() == sandbox.EXIT_BOOT
    assert "the boot record" in worker.errors()


@pytest.mark.parametrize("change", [
    {"uid": 0}, {"gid": 0}, {"uid": "1000"}, {"argv": []}, {"argv": [1]}, {"cwd": "workspace"}, {"key": ""},
    {"env": {"A=B": "c"}}, {"env": {"A": 1}}, {"more": True},
], ids=str)
def test_bad_config(worker, change):
    worker.run()
    worker.configure(**change)
    assert worker.wait() == sandbox.EXIT_BOOT
    assert "CONFIG" in worker.errors()


@pytest.mark.parametrize("frames", [
    [b""], [b"Z"], [b"CC"], [b"C"], [b"I", b""], [b"E", b"short", b"<IDS|MSG>", b"", b"", b"", b"", b""],
    [b"E", b"123456789012", b"<IDS|MSG>", b"", b"", b"", b"", b""],
    [b"R", b"i", b"<IDS|MSG>", b"", b"", b"", b"", b""], [b"R", b"s", b"no delimiter"], [b"R"] * 100,
], ids=lambda f: str(f)[:30])
def test_protocol_errors_end_it(worker, frames):
    worker.run()
    worker.expect("H")
    worker.gateway.send_bytes(worker.id, sandbox.framed(frames))
    assert worker.wait() == sandbox.EXIT_PROTOCOL
    assert worker.errors().startswith("tci-worker: the gateway sent ")


@pytest.mark.parametrize("data", [b"\0", b"\xff", b"\1\xff\xff\xff\xff", b"\x40" + b"\7\xff\xff\xff" * 64], ids=lambda d: d[:5].hex())
def test_what_is_no_message_ends_it(worker, data):
    worker.run()
    worker.expect("H")
    worker.gateway.send_bytes(worker.id, data)
    assert worker.wait() == sandbox.EXIT_PROTOCOL
    assert worker.errors() == "tci-worker: the gateway sent what is no message\n"


def test_a_message_in_many_pieces(worker):
    worker.run()
    worker.expect("H")
    for byte in sandbox.framed([b"C", json.dumps(worker.config("xpython")).encode()]):
        worker.gateway.send_bytes(worker.id, bytes([byte]))
    worker.expect("S")


def test_large_messages_both_ways(worker):
    """Several times what a socket holds."""
    worker.start("xpython")
    code = "text = '" + "x" * (5 << 20) + "'\nprint(text, end='')"
    assert len(streams(worker.run_code(code, max_bytes=16 << 20))) == 5 << 20


def test_nothing_is_sent_before_the_welcome(worker):
    """A gateway that takes the connection and says nothing is none: the orphan's clock goes on."""
    worker.boot["orphan_timeout"] = 1.5
    worker.run()
    silent, _ = worker.gateway.listener.accept()
    with silent:
        assert worker.wait() == sandbox.EXIT_ORPHANED
        assert silent.recv(1 << 16) == (sandbox.framed([worker.id.encode()]) +
                                        sandbox.framed([b"H", b'{"protocol":4,"state":"new"}']))


def test_config_twice_is_a_protocol_error(worker):
    worker.start("xpython")
    worker.send("C", json.dumps(worker.config()).encode())
    assert worker.wait() == sandbox.EXIT_PROTOCOL


@pytest.mark.parametrize("changes, why", [
    ({"kernel": ["/nonexistent"]}, "cannot run /nonexistent: No such file or directory"),
    ({"kernel": ["/etc/passwd"]}, "cannot run /etc/passwd: Permission denied"),
    ({"cwd": "/nowhere"}, "entering the working directory: No such file or directory"),
], ids=str)
def test_kernel_that_cannot_be_run(worker, changes, why):
    worker.run()
    worker.configure(**changes)
    assert why in worker.exited()["reason"]


def test_program_is_looked_up_in_the_kernels_path(worker):
    worker.run()
    worker.configure(["sh", "-c", "echo $0 {connection_file} x{connection_file}; exit 5"])
    worker.expect("S")
    path = b"/run/kernel/connection.json"
    assert worker.expect("O").frames == [b"1", b"sh " + path + b" x" + path + b"\n"]
    assert worker.exited() == {"exit": 5}


def written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("wchar:"))


def wait_until_stalled(pid):
    """Until a process that wrote without end has got no further for a second."""
    end = time.monotonic() + 60 * sandbox.slack()
    last, since = -1, time.monotonic()
    while time.monotonic() < since + min(sandbox.slack(), 4):
        assert time.monotonic() < end, "still writing"
        if written(pid) != last:
            last, since = written(pid), time.monotonic()
        time.sleep(0.05)


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024


def processor_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().split()[13:15]))


def test_slow_gateway_blocks_without_burning_time(worker):
    """More output than the link holds, unread: the worker waits for the gateway and loses nothing."""
    worker.start("xpython")
    count = 60000
    msg_id = worker.execute("import os, time\n"
                            f"for i in range({count}): os.write(1, b'%08d' % i); time.sleep(0.00002)",
                            max_bytes=1 << 40, max_messages=1 << 31)
    wait_until_stalled(worker.kernel_pid())
    before = processor_ticks(worker.pid())
    time.sleep(2)  # nothing to wait for: this is how long is measured
    after = processor_ticks(worker.pid())
    seen = worker.finish(msg_id, 60)
    assert len(sandbox.raw(seen)) == count * 8
    assert replies(seen) and streams(seen) == ""
    assert after - before < 10


# Writes to descriptor 1 until nobody has taken anything for a second; how much it was comes last, on descriptor 2.
WRITE_ALL_THAT_IS_TAKEN = """
import os, time
os.set_blocking(1, False)
n, since = 0, time.monotonic()
while time.monotonic() < since + 1 and n < 200_000_000:
    try:
        n += os.write(1, b'%04095d\\n' % (n // 4096))
        since = time.monotonic()
    except BlockingIOError:
        time.sleep(0.01)
os.set_blocking(1, True)
os.write(2, b'%d' % n)
"""


def check_all_that_was_taken(seen):
    out, n = raw(seen, "1"), int(raw(seen, "2"))
    assert len(out) == n and out == b"".join(b"%04095d\n" % i for i in range(n // 4096))


def test_output_that_is_not_read_is_not_piled_up(worker):
    """The writer stands still once the link has what it holds, and goes on when it is read."""
    worker.start("xpython")
    msg_id = worker.execute(WRITE_ALL_THAT_IS_TAKEN, max_bytes=1 << 40, max_messages=1 << 31)
    wait_until_stalled(worker.kernel_pid())
    size = resident_mib(worker.pid())
    seen = worker.finish(msg_id, 60)
    check_all_that_was_taken(seen)
    assert len(raw(seen, "1")) < 16 << 20
    if not sandbox.sanitized():
        assert size < 32


def test_last_words_wait_for_a_slow_gateway(worker):
    """The kernel ends while the link is full and more is in the pipes: all of it is told, and its end."""
    worker.start("xpython")
    worker.execute(WRITE_ALL_THAT_IS_TAKEN + "os._exit(6)", max_bytes=1 << 40, max_messages=1 << 31)
    sandbox.wait_until_gone(worker.kernel_pid())
    time.sleep(4)  # longer than a worker waits whose gateway has read all
    seen = []
    while (message := worker.receive()).verb != "X":
        seen.append(message)
    check_all_that_was_taken([m for m in seen if m.verb == "O"])
    assert message.json == {"exit": 6}
    worker.send("Q")
    assert worker.wait(5) == sandbox.EXIT_OK
