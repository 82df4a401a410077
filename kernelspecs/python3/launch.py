"""launch.py CONNECTION_FILE - starts ipykernel as a worker of TCI wants it.

The same kernel as `python3 -m ipykernel_launcher`, but started sooner and quietly: nothing of this file is
left in the user's namespace, and nothing is written to descriptors 1 and 2, which belong to the user's code.
"""

import gc
import importlib
import sys
import types
import warnings

TERMINAL = "IPython.terminal.embed"
CHILD_STARTS = {"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"}


def import_kernel():
    """ipykernel without what a worker never uses: the debug adapter, static completion, and IPython's terminal.

    The first two are optional for their importers, the third is there for one name in IPython, and all are a half of
    the start.  User code can import them as ever.
    """
    absent = ("debugpy", "jedi")
    for name in absent:
        sys.modules[name] = None
    terminal = sys.modules[TERMINAL] = types.ModuleType(TERMINAL)
    terminal.embed = embed
    import tci_kernel

    for name in (*absent, TERMINAL):
        del sys.modules[name]
    return tci_kernel


def embed(*args, **settings):
    """IPython.embed, loaded when it is called."""
    return importlib.import_module(TERMINAL).embed(*args, **settings)


def unbuffer_descriptors():
    """Lines written below sys.stdout, by Python or by C, leave the process when they are complete."""
    import ctypes

    line_buffered = 1  # _IOLBF
    sys.__stdout__.reconfigure(line_buffering=True)
    libc = ctypes.CDLL(None)
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, line_buffered, 0)


def flush_before_children(event, _):
    """An audit hook: what was printed before a child starts comes before what the child writes."""
    if event in CHILD_STARTS:
        for stream in sys.stdout, sys.stderr:
            try:
                stream.flush()
            except Exception:  # the user may have put anything there
                pass


def settings(kernel_class):
    from traitlets.config import Config

    config = Config()
    config.IPKernelApp.kernel_class = kernel_class
    config.IPKernelApp.outstream_class = "tci_kernel.Stream"
    config.IPKernelApp.capture_fd_output = False  # the worker reads the descriptors
    config.IPKernelApp.log_level = 50  # silence on standard error
    config.HistoryManager.enabled = False  # no database, no thread that writes it
    config.IPythonKernel._execute_sleep = 0  # our client waits for the streams as well as for the reply
    config.Session.packer = "tci_kernel.pack"
    config.Session.unpacker = "tci_kernel.unpack"
    return config


def warm(shell):
    """What the first value shown and the first traceback would load, loaded before there is a user.

    A traceback reads the source of all its files; ev() has it pass through the shell's, as every one does.
    """
    shell.display_formatter.format(0)
    try:
        shell.ev("1 / 0")
    except ZeroDivisionError:
        shell.InteractiveTB.structured_traceback(*sys.exc_info(), tb_offset=0)


def main():
    gc.disable()
    connection_file = sys.argv[1]
    tci_kernel = import_kernel()
    del sys.path[0]  # this file's directory; IPython puts '' there, the current directory
    sys.argv = [""]  # user code that parses arguments finds none
    warnings.filterwarnings("ignore", "Output cache limit")  # of Out[]: once in every 200 values of a long session
    warnings.filterwarnings("ignore", "To exit: use")
    unbuffer_descriptors()
    app = tci_kernel.App.instance(config=settings(tci_kernel.Kernel), connection_file=connection_file)
    app.initialize([])
    app.log.setLevel(app.log_level)  # or each message would be made, and dropped where it is written
    sys.addaudithook(flush_before_children)
    warm(app.shell)
    gc.freeze()  # all this stays: no collection need ever look at it, and the user's imports trigger many
    gc.enable()
    app.start()


main()
