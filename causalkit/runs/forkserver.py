"""The warm process: `python -m causalkit.runs.forkserver SOCKET` imports the heavy packages once, then forks.

Each connection to its socket asks for one child: a function of this file by name, its arguments, working directory,
environment, and three file descriptors for standard input, output and error. The answer is the child's process id,
later its exit status. What a fork inherits is a process that has imported and done nothing else: one thread, no open
file, no random number drawn.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["PRELOAD", "main"]

# What notebooks import, and what running them takes. Left out: ipywidgets, which at import looks for the kernel that
# it is in, and matplotlib's inline backend, likewise.
PRELOAD = (
    "numpy", "pandas", "torch", "torch._dynamo", "scipy.stats", "scipy.optimize", "scipy.linalg", "networkx",
    "matplotlib.pyplot", "sklearn.linear_model", "sklearn.neural_network", "pgmpy.causal_discovery",
    "pgmpy.structure_score", "flopsearch", "gadjid", "joblib", "statsmodels.formula.api", "statsmodels.stats.anova",
    "psutil", "IPython", "ipykernel.kernelapp", "ipykernel.ipkernel", "nbformat", "nbclient",
    "papermill", "jupyter_client.asynchronous", "jupyter_client.manager", "jupyter_client.provisioning",
)  # fmt: skip


def main(address: str) -> None:
    """Serve until standard input closes, which the death of the process at its other end does; or, in a fork, work."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as a kernel sets it
    del sys.path[0]  # the directory that `python -m` starts in; a kernel drops it too
    _preload()
    job = _serve(address)
    if job is not None:
        _work(job)


def run(scratch: str, output: str, address: str) -> None:
    """Execute a notebook, on a kernel that is forked too."""
    from causalkit.runs import worker

    worker.main(Path(scratch), output, address)


def kernel(*arguments: str) -> None:
    """Be a kernel, for as long as the warm process lives."""
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    random.seed()
    np.random.seed()  # from the operating system, as at a start
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    if "pandas" in sys.modules:  # which looks at its import whether it is in a terminal
        sys.modules["pandas"].set_option("display.max_columns", 20)
    os.environ.pop("MPLBACKEND", None)  # for the kernel to set
    sys.argv = ["ipykernel_launcher", *arguments]
    IPKernelApp.launch_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
    # It ends by itself. Closing the output thread before, as ipykernel does, lets it wait ten seconds now and then.
    IPKernelApp.instance().control_thread.join(5)


def _work(job: Callable[[], None]) -> None:
    """Do a fork's work and leave; taking down all that was imported, object by object, would take a third of a second.

    What asked to be called at the exit is called, temporary directories included.
    """
    status = 0
    try:
        job()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


JOBS: dict[str, Callable[..., None]] = {"run": run, "kernel": kernel}


def _preload() -> None:
    wanted = os.environ.get("CAUSALKIT_PRELOAD", ",".join(PRELOAD)).split(",")  # tests of the engine take fewer
    for name in filter(None, wanted):
        try:
            importlib.import_module(name)
        except ImportError:  # an optional package; the notebook that needs it will say so
            continue
    import causalkit

    if "torch" in sys.modules:
        for module in pkgutil.iter_modules(causalkit.__path__):
            if not module.ispkg:
                importlib.import_module(f"causalkit.{module.name}")
    import causalkit.runs.results
    import causalkit.runs.worker

    gc.collect()
    gc.freeze()  # so that collections in the forks do not touch, and copy, what they share


def _serve(address: str) -> Callable[[], None] | None:
    """Answer until standard input closes; in a fork, return what it is there for."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)  # once it is there, it answers
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that owns this one
    signal.set_wakeup_fd(woken)
    selector = selectors.DefaultSelector()
    for file in (0, listener, wake):
        selector.register(file, selectors.EVENT_READ)
    children: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                return None
            if key.fileobj is listener:
                connection, _ = listener.accept()
                try:
                    request, files = _receive(connection)
                except (OSError, ValueError):  # whoever asked was killed in mid-sentence
                    connection.close()
                    continue
                pid = _fork(connection)
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    selector.close()  # all by their objects, or their ends would close these numbers once more
                    for each in (listener, connection, *children.values()):
                        each.close()
                    return _become(request, files)
                for file in files:
                    os.close(file)
                if pid is not None:
                    children[pid] = connection
                    selector.register(connection, selectors.EVENT_READ)
            elif key.fileobj == wake:
                os.read(wake, 1024)
                _reap(children, selector)
            else:  # whoever asked for this child is gone
                selector.unregister(key.fileobj)
                _end(key.fileobj, children)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and its three files; OSError or ValueError if it breaks off."""
    header, files, _, _ = socket.recv_fds(connection, 8, 3)
    try:
        size, text = int.from_bytes(header, "big"), b""
        while len(text) < size:
            part = connection.recv(size - len(text))
            if not part:
                raise ConnectionError("the request broke off")
            text += part
        return json.loads(text), files
    except (OSError, ValueError):
        for file in files:
            os.close(file)
        raise


def _fork(connection: socket.socket) -> int | None:
    """0 in the child, its id in the parent, None if there is no room for another process."""
    threads = Path("/proc/self/task")
    try:
        if threads.is_dir() and len(list(threads.iterdir())) > 1:
            raise OSError(0, "a thread runs in the warm process: a fork of it would not be clean")
        pid = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            connection.sendall(f"! {error.strerror}\n".encode())
        connection.close()
        return None
    if pid:
        with contextlib.suppress(OSError):  # whoever asked is gone: its end of the connection will say so
            connection.sendall(f"{pid}\n".encode())
    return pid


def _become(request: dict[str, Any], files: list[int]) -> Callable[[], None]:
    """Make a fork look like a process that was started: own session, files, directory, environment, signals."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.default_int_handler)
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd")), default=1024) + 1)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    return partial(JOBS[request["job"]], *request["arguments"])


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            connection = children.pop(pid)
            selector.unregister(connection)
            with contextlib.suppress(OSError):  # it may not want to know
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            connection.close()


def _end(connection: Any, children: dict[int, socket.socket]) -> None:
    """Kill a child that nobody waits for any more, with all that it started."""
    connection.close()
    for pid in [pid for pid, other in children.items() if other is connection]:
        children.pop(pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it may not lead its group yet
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1])
