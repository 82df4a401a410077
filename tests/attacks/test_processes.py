"""test_processes.py - attacks on the worker and on the end of an execution: signals, tracing, processes that will not end."""
import json
import os
import time

import pytest

import harness
from arena import attack, runtime
from harness import eventually
from rawhttp import Connection


@attack("namespaces", "kills or stops the worker, and with it the session, from inside", runsc=True)
def test_signals_to_the_worker(arena):
    init = arena.gateway.init_of(arena.user)
    won = arena.tries("""
for number in range(1, 65):
    if number in (32, 33): continue
    attempt(f'kill {number}', os.kill, 1, number)
    attempt(f'tgkill {number}', lambda: call(234 if os.uname().machine == 'x86_64' else 131, 1, 1, number))
    attempt(f'group {number}', lambda: call('killpg', 1, number))
try: fd = os.pidfd_open(1)
except OSError: fd = None
if fd is not None: attempt('pidfd', signal.pidfd_send_signal, fd, signal.SIGKILL)
attempt('sigqueue', lambda: call('sigqueue', 1, 9, None))
""")
    assert won == []
    assert harness.process_exists(init) and harness.process_state(init) not in ("T", "t")
    assert arena.gateway.ok(arena.user, "1")["restarted"] is False


@attack("supervision", "takes more than its own session down by a signal to every process", runsc=True)
def test_a_signal_to_everybody(arena):
    init = arena.gateway.init_of(arena.user)
    answer = arena.gateway.execute(arena.user, "import os, time\nif os.fork() == 0: os.kill(-1, 9)\ntime.sleep(20)", timeout=10)
    assert answer.status_code == 503 and "signal 9" in answer.json()["detail"]
    arena.gone(init)
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("seccomp", "traces the worker or reads and writes its memory", runsc=True)
def test_tracing_the_worker(arena):
    won = arena.tries("""
buffer = ctypes.create_string_buffer(64)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
for request in (16, 0x4206): attempt(f'ptrace {request:x}', lambda: call('ptrace', request, 1, 0, 0))
for name in ('process_vm_readv', 'process_vm_writev'): attempt(name, lambda: call(name, 1, vector, 1, vector, 1, 0))
attempt('mem', lambda: os.open('/proc/1/mem', os.O_RDWR))
attempt('pidfd_getfd', lambda: call(438, os.pidfd_open(1), 0, 0))
attempt('kcmp', lambda: call(312 if os.uname().machine == 'x86_64' else 272, 1, os.getpid(), 1, 0, 0))
attempt('gdb', lambda: subprocess.run(['strace', '-p', '1'], check=True, capture_output=True, timeout=5))
""")
    assert won == []


@attack("namespaces", "slows the worker down or takes its limits away", runsc=True)
def test_steering_the_worker(arena):
    before = {pid: (os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid)) for pid in arena.host_processes()}
    won = arena.tries("""
import resource
attempt('nice', lambda: call('setpriority', 0, 1, 19))
attempt('affinity', os.sched_setaffinity, 1, {0})
attempt('scheduler', os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0))
for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU): attempt(f'limit {what}', resource.prlimit, 1, what, (1, 1))
attempt('ioprio', lambda: call(251 if os.uname().machine == 'x86_64' else 30, 1, 1, 3 << 13))
attempt('oom', lambda: open('/proc/1/oom_score_adj', 'w').write('1000'))
attempt('coredump', lambda: open('/proc/1/coredump_filter', 'w').write('ff'))
attempt('comm', lambda: open('/proc/1/comm', 'w').write('x'))
attempt('setpgid', os.setpgid, 1, 0)
attempt('migrate', lambda: call('migrate_pages', 1, 0, None, None))
""", gvisor="nice|affinity")
    assert won == []
    for pid, (nice, processors) in before.items():  # gVisor keeps numbers of its own
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice and os.sched_getaffinity(pid) == processors


@attack("supervision", "leaves processes that outlive its session", runsc=True)
def test_daemons(arena):
    container = arena.gateway.container_of(arena.user)
    daemons = 10 if runtime() == "crun" else 3  # gVisor has some 20 MiB for each, and one process for all of them
    arena.gateway.ok(arena.user, f"""
import os, signal, time
for _ in range({daemons}):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for n in range(1, 65):
                try: signal.signal(n, signal.SIG_IGN)
                except (OSError, ValueError): pass
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            while True: time.sleep(1000)
        os._exit(0)
    os.wait()""")
    assert len(container.processes()) >= (2 + daemons if runtime() == "crun" else 2)
    arena.gateway.release(arena.user)
    eventually(lambda: not container.processes(), 30, "no process of that session runs on")


@attack("supervision", "has a process that it left behind spoil its own later answers beyond use, or others'", runsc=True)
def test_children_that_go_on_writing(arena):
    arena.gateway.ok(arena.user, """
import subprocess
children = [subprocess.Popen(['sh', '-c', 'while :; do echo noise; done'], start_new_session=True) for _ in range(3)]""")
    for i in range(3):
        arena.ask_bystander()
        assert arena.gateway.execute(arena.user, f"print('answer {i}')", timeout=10).status_code == 200
    arena.gateway.ok(arena.user, "for c in children: c.kill(); c.wait()", timeout=10)
    eventually(lambda: arena.gateway.run(arena.user, "'quiet'")["result_text"] == "'quiet'", 20)


@attack("supervision", "holds its worker for ever with all signals blocked", runsc=True)
def test_sleeping_with_signals_blocked(arena):
    init = arena.gateway.init_of(arena.user)
    future = arena.start("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
                         "while True:\n    try: time.sleep(1000)\n    except BaseException: pass", timeout=1.5)
    assert arena.bystander_during(future).status_code == 504
    arena.gone(init)
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("supervision", "keeps a worker busy for a client that has gone, by ignoring the interrupt", runsc=True)
def test_ignoring_the_interrupt(arena):
    container = arena.gateway.container_of(arena.user)
    body = json.dumps({"user_uuid": arena.user, "timeout": 5, "code":
                       "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nopen('/workspace/deaf', 'w').close()\n"
                       "while True:\n    try: time.sleep(0.1)\n    except BaseException: pass"}).encode()
    with Connection(arena.gateway) as c:
        c.send(c.request("POST", "/execute", body))
        eventually(lambda: container.exists("/workspace/deaf"), 20, "it ignores the interrupt")
    begin = time.monotonic()
    arena.gone(container.init)
    assert time.monotonic() - begin < 10 * harness.slack()
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("supervision", "keeps a worker whose kernel it has replaced by another program", runsc=True)
def test_exec_in_place_of_the_kernel(arena):
    for program in ("os.execv('/bin/sleep', ['sleep', '1000'])", "os.execv('/usr/bin/yes', ['yes'])"):
        init = arena.gateway.init_of(arena.user)
        answer = arena.bystander_during(arena.start(program, timeout=1.5))
        assert answer.status_code in (503, 504)
        arena.gone(init)
        assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("supervision", "has the gateway wait for, or pile up requests to, a kernel that reads nothing", runsc=True)
def test_a_kernel_that_stops_reading(arena):
    init = arena.gateway.init_of(arena.user)
    future = arena.start("os.kill(os.getpid(), signal.SIGSTOP)", timeout=2)
    more = [arena.gateway.spawn(arena.user, "#" * 500_000, timeout=2) for _ in range(8)]
    assert arena.bystander_during(future).status_code == 504
    assert {f.result().status_code for f in more} <= {200, 429, 503, 504}
    arena.gone(init)


@pytest.mark.root_only("no process is killed for memory: it gets no more")
@attack("supervision", "steers the out-of-memory killer at the worker, or past itself", runsc=True)
def test_steering_the_oom_killer(arena):
    arena.gateway.ok(arena.user, "1")
    answer = arena.gateway.execute(arena.user, """
import os
for value in ('-1000', '-17', '0'):
    try: open('/proc/self/oom_score_adj', 'w').write(value)
    except OSError: pass
for _ in range(8):
    if os.fork() == 0: break
held = []
while True: held.append(bytearray(b'x') * (1 << 22))""", timeout=15)
    assert answer.status_code == 503, answer.text
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True
