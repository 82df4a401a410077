"""tci-worker's output limits: what is over them is cut and said so once, and the execution ends as ever."""

import time

import sandbox
from sandbox import Jupyter, raw, replies, streams


def verbs(seen):
    return [m.verb for m in seen if not isinstance(m, Jupyter)]


def test_raw_bytes_are_cut_exactly(kernel):
    seen = kernel.run_code("import os\nfor i in range(100): os.write(1, b'x' * 10000)", max_bytes=300_000)
    assert verbs(seen).count("T") == 1
    assert 290_000 <= len(raw(seen)) <= 300_000
    assert replies(seen)[0].content["status"] == "ok"


def test_stream_is_cut(kernel):
    """Fewer messages than a kernel's PUB socket queues, which drops the rest, the idle status with it."""
    seen = kernel.run_code("for i in range(300): print('y' * 10000, flush=True)", max_bytes=500_000)
    assert verbs(seen).count("T") == 1
    assert 0 < len(streams(seen)) < 500_000
    assert replies(seen)[0].content["status"] == "ok"


def test_one_large_message_is_cut(kernel):
    seen = kernel.run_code("'x' * 20_000_000", max_bytes=1_000_000)
    assert verbs(seen) == ["T"]
    assert replies(seen)[0].content["status"] == "ok"


def test_messages_are_counted(worker):
    worker.start("ipykernel")
    seen = worker.run_code("from IPython.display import display\nfor i in range(200): display(i)", max_messages=50)
    assert verbs(seen) == ["T"]
    assert sum(m.type == "display_data" for m in seen if isinstance(m, Jupyter)) == 49  # and execute_input


def test_next_execution_starts_anew(kernel):
    kernel.run_code("import os\nos.write(1, b'x' * 100000)", max_bytes=1000)
    seen = kernel.run_code("import os\nos.write(1, b'x' * 100000)")
    assert "T" not in verbs(seen)
    assert len(raw(seen)) == 100000


def test_nothing_passes_between_executions_once_cut(worker):
    worker.start("ipykernel")
    worker.run_code("import threading, os, time\n"
                    "def chatter():\n"
                    "    for i in range(100): os.write(1, b'x' * 10000); time.sleep(0.01)\n"
                    "threading.Thread(target=chatter).start()", max_bytes=100_000)
    time.sleep(2.5 * min(sandbox.slack(), 4))
    seen = worker.run_code("None")
    assert len(raw(seen)) <= 100_000


def test_endless_writer_does_not_delay_an_execution(worker):
    worker.start("xpython")
    worker.run_code("import subprocess; p = subprocess.Popen(['/usr/bin/yes'])", max_bytes=100_000)
    began = time.monotonic()
    for i in range(20):
        assert worker.text(f"print({i})") in (f"{i}\n", "")
    assert time.monotonic() - began < 10 * sandbox.slack()
    worker.run_code("p.kill()")


def test_many_messages_arrive_all(kernel):
    """More than the queues on their way hold; with pauses, for a PUB socket drops what is too much at a time."""
    count = 6000
    seen = kernel.run_code("import sys, time\n"
                           f"for i in range({count}):\n"
                           "    sys.stdout.write('%d\\n' % i); sys.stdout.flush()\n"
                           "    if i % 200 == 0: time.sleep(0.1)", timeout=60)
    assert verbs(seen) == []
    assert streams(seen).split() == [str(i) for i in range(count)]
