"""tci_kernel.py - ipykernel's classes with what TCI needs of them; launch.py starts them.

One client sends one request at a time, and wants the answer whatever the code has done to the interpreter that
both it and the kernel run in.  Messages and hand-overs between threads that such a client has no use for are
left out: together they would be half of what a short execution costs.
"""

import asyncio
import builtins
import json
import sys
import threading
import traceback
from signal import SIG_IGN, SIGINT, signal

import zmq
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.jsonutil import json_clean
from ipykernel.zmqshell import ZMQInteractiveShell
from jupyter_client.jsonutil import json_default
from traitlets import Type

BUILTINS = dict(builtins.__dict__)
PIECE = 1 << 15  # characters of a stream in one message: of one beyond the limits, nothing would arrive
MAX_PIECES = 100  # at a time
MAX_WAITING = 1 << 20  # characters of a stream that may wait to be published
LARGE = 1 << 16  # bytes of a message that is worth waiting for
QUEUE = 64  # messages that wait for the worker to read them
MAX_ERROR = 100_000  # characters of an error's parts; a reply beyond the limits would end the session

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=json_default).encode
decode = json.JSONDecoder().decode


def pack(part):
    """A part of a message as JSON.  Lone surrogates, which UTF-8 cannot hold, become JSON's escapes of them."""
    try:
        text = encode(part)
    except (TypeError, ValueError):  # something that only user code puts into a message
        text = encode(json_clean(part))
    return text.encode("utf-8", "backslashreplace")


def unpack(part):
    """Without the date of a header: parsing it would take longer than running short code."""
    value = decode(part.decode("utf-8", "replace"))
    if "msg_type" in value:
        value.pop("date", None)
    return value


class Publisher(IOPubThread):
    """The thread that publishes, at the speed at which it is read: who is faster waits, and needs no memory for it."""

    def is_current(self):
        return self.thread.ident == threading.get_ident()

    def schedule(self, f):
        """Others come through a queue of bounded length.  On the thread itself, waiting there would be for ever."""
        if self.is_current():
            self._events.append(f)
            self.io_loop.asyncio_loop.call_soon(self._handle_event, None)
        else:
            super().schedule(f)

    def send_multipart(self, msg, *args, **kwargs):
        super().send_multipart(msg, *args, **kwargs)
        if sum(map(len, msg)) > LARGE:
            self.catch_up(None)

    def catch_up(self, seconds):
        """Waits until all that was handed over so far is published; False after so many seconds, None being no limit."""
        if self.is_current() or not self.thread.is_alive():
            return True
        done = threading.Event()
        self.schedule(done.set)
        return done.wait(seconds)


class Stream(OutStream):
    """sys.stdout and sys.stderr.

    A message that waits in the publishing thread's queue is sent before all that are put there later.  Flushing
    a stream from which everything is in that queue therefore need not wait for the thread.
    """

    # Seconds that an answer waits for output, in all: threads that print without end may keep the publishing one from it.
    flush_timeout = 4
    gave_up = False

    def set_parent(self, parent):
        super().set_parent(parent)
        self.gave_up = False

    def fileno(self):
        """For children: subprocess.run(..., stdout=sys.stdout)."""
        return getattr(sys, f"__{self.name}__").fileno()

    def close(self):
        """Not for user code to do; later answers come this way too."""
        self.flush()

    def waiting(self):
        with self._buffer_lock:
            return self._buffer.tell()

    def write(self, string):
        n = super().write(string)
        if self.waiting() > MAX_WAITING:
            self.pub_thread.schedule(self._flush)
            self.pub_thread.catch_up(None)
        return n

    def flush(self):
        if self.waiting() > 0:
            self.pub_thread.schedule(self._flush)
            in_time = self.pub_thread.catch_up(0 if self.gave_up else self.flush_timeout)
            self.gave_up = self.gave_up or not in_time

    def _flush(self):
        with self._buffer_lock:  # what is neither in the buffer nor in the queue would be missed by flush()
            text = self._flush_buffer()
            size = max(PIECE, len(text) // MAX_PIECES)
            for start in range(0, len(text), size) or [0]:
                self._buffer.write(text[start : start + size])
                super()._flush()


class Unhurried:
    """Publishes with whatever is published next: for a cell's value, which the reply and the idle status follow."""

    def __init__(self, thread):
        self.thread = thread

    def send_multipart(self, *args, **kwargs):
        self.thread._events.append(lambda: self.thread._really_send(*args, **kwargs))


class Shell(ZMQInteractiveShell):
    # `!command` writes to descriptor 1 itself: a terminal in between would add carriage returns.
    system = ZMQInteractiveShell.system_raw

    transformed = None

    def ask_exit(self):
        """exit() and quit() end the code, as sys.exit() does; they do not end the kernel behind its back."""
        raise SystemExit

    def transform_cell(self, raw_cell):
        """The kernel asks for this to see whether the cell awaits something, and the shell to run it."""
        known, self.transformed = self.transformed, None
        if known and known[0] is raw_cell:
            return known[1]
        cell = super().transform_cell(raw_cell)
        self.transformed = raw_cell, cell
        return cell

    def showtraceback(self, *args, **kwargs):
        self.kernel.mend()
        super().showtraceback(*args, **kwargs)


def error_reply(error):
    """The reply to code that could not be run, or left the interpreter in pieces."""
    lines = traceback.format_exception_only(error)
    return {
        "status": "error",
        "ename": type(error).__name__,
        "evalue": lines[-1].partition(": ")[2].rstrip(),
        "traceback": [line.rstrip("\n") for line in lines],
        "user_expressions": {},
        "payload": [],
    }


def ignore_interrupts():
    """Until the next request: the code is over.  One in the midst of the reply's frames would leave it without its end."""
    signal(SIGINT, SIG_IGN)


def shorten(reply):
    if reply["status"] == "error":
        reply["evalue"] = reply["evalue"][:MAX_ERROR]
        reply["traceback"] = [line[:MAX_ERROR] for line in reply["traceback"]]
    return reply


class App(IPKernelApp):
    def init_iopub(self, context):
        """As ipykernel's own, but that the socket waits when its queue is full, where it would drop what comes then.

        That may be the idle status, without which an execution lasts until its time limit.
        """
        socket = self.iopub_socket = context.socket(zmq.PUB)
        socket.sndhwm = QUEUE
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        self.iopub_port = self._bind_socket(socket, self.iopub_port)
        self.iopub_thread = Publisher(socket, pipe=True)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket


class Kernel(IPythonKernel):
    shell_class = Type(Shell)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self.shell.displayhook.pub_socket = Unhurried(self.iopub_thread)

    def set_parent(self, ident, parent, channel="shell"):
        """Tells the streams too, whatever sys.stdout is now: the code may put them back before it prints."""
        super().set_parent(ident, parent, channel)
        if channel == "shell":
            for stream in self.streams.values():
                stream.set_parent(parent)

    async def execute_request(self, stream, ident, parent):
        """Replies before the idle status is published, which would else be first, and of no use yet."""
        await super().execute_request(stream, ident, parent)
        stream.flush(zmq.POLLOUT)

    async def do_execute(self, *args, **kwargs):
        self.shell.transformed = None
        try:
            try:
                reply = await super().do_execute(*args, **kwargs)
            finally:
                ignore_interrupts()
        except BaseException as error:  # also what would end the event loop
            ignore_interrupts()
            builtins.__dict__.update(BUILTINS)
            reply = error_reply(error)
        self.mend()
        return shorten(reply)

    def mend(self):
        """Puts back what an answer needs: builtin names, and a sys.stdout and sys.stderr that can be flushed."""
        for name in BUILTINS.keys() - builtins.__dict__.keys():
            builtins.__dict__[name] = BUILTINS[name]
        for name, stream in self.streams.items():
            try:
                getattr(sys, name).flush()
            except BaseException:
                setattr(sys, name, stream)

    async def dispatch_queue(self):
        """In a task of its own, which code may cancel with all others: the next requests are for another one."""
        try:
            await super().dispatch_queue()
        except asyncio.CancelledError:
            self.io_loop.add_callback(self.dispatch_queue)
            raise

    async def _flush_control_queue(self):
        """Nothing on the control socket is of importance to the next execution."""

    def _publish_execute_input(self, code, parent, execution_count):
        """The only client knows what it has sent."""

    def _publish_status(self, status, channel, parent=None):
        if status != "busy":
            super()._publish_status(status, channel, parent)
