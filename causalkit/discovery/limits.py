"""A time limit that holds: the call runs in a process of its own, which is killed when the time is up.

Libraries of compiled code can hold the interpreter's lock for minutes, so that no alarm, thread or flag of this process
ends them. A forked process shares this one's data and costs some hundredths of a second. Where there is no safe fork
(Windows, macOS) a new process is started; its start does not count against the limit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

__all__ = ["DiscoveryTimeout", "check_limit", "within"]


class DiscoveryTimeout(TimeoutError, ValueError):
    """The time limit was reached. `best` is the best graph until then, None where the method reports none."""

    best: Any = None


def check_limit(seconds: float) -> None:
    """Nothing, once a limit is known to be a positive number of seconds."""
    if not 0 < seconds < float("inf"):
        raise ValueError(f"limit {seconds}: give a positive number of seconds, or None for no limit")


def within(seconds: float, call: Callable[..., Any], /, *args: Any, reports: bool = False, **options: Any) -> Any:
    """What call(*args, **options) returns, if it does so in time; its errors and warnings come through.

    Args:
        seconds: The limit, of wall-clock time.
        call: Runs in a process of its own with one thread, so what it changes in memory is lost.
        *args: Its arguments.
        reports: The call takes `report`, a function that it calls with its best result so far.
        **options: Its keyword arguments.

    Raises:
        DiscoveryTimeout: Time is up; the process has been killed.
        ValueError: The limit is not a positive number.
        MemoryError: The process was ended from outside, most often for want of memory.

    Example:
        >>> within(10.0, divmod, 7, 2)
        (3, 1)
    """
    check_limit(seconds)
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, seconds, call, args, options, reports), daemon=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child starts none
        process.start()
    try:
        there.close()
        return _outcome(here, seconds)
    except EOFError:
        process.join()
        raise MemoryError(
            f"the process of the method ended without a result (exit code {process.exitcode}), most likely killed for "
            "want of memory: give fewer variables or rows"
        ) from None
    finally:
        _end(process)
        here.close()


def _outcome(here: Connection, seconds: float) -> Any:
    """The result that comes through the pipe, or the error; reports on the way are kept for the time-out."""
    best, end = None, None
    while here.poll(None if end is None else max(end - time.monotonic(), 0.0)):
        kind, value, told = here.recv()
        for message, category, file, line in told:
            warnings.warn_explicit(message, category, file, line)
        if kind == "ready":
            end = time.monotonic() + seconds
        elif kind == "report":
            best = value
        elif kind == "error":
            raise value
        else:
            return value
    late = DiscoveryTimeout(
        f"the method did not end within {seconds:g} seconds: raise the limit, give fewer variables or a faster method"
        + ("" if best is None else " (the best graph until then is this error's .best)")
    )
    late.best = best
    raise late


def _work(there: Connection, seconds: float, call: Callable, args: tuple, options: dict, reports: bool) -> None:
    """The life of the child: its own process group, one thread, a result, an error or reports into the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears the interrupt, and kills
    if hasattr(os, "setsid"):
        os.setsid()
    if sys.platform != "win32":
        import resource

        most = int(seconds) + 10  # should the parent be killed, the system ends the child
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    _one_thread()
    there.send(("ready", None, []))
    if reports:
        options = {**options, "report": lambda best: there.send(("report", best, []))}
    with warnings.catch_warnings(record=True) as told:
        try:
            kind, value = "result", call(*args, **options)
        except Exception as error:
            kind, value = "error", error
    raised = [(w.message, w.category, w.filename, w.lineno) for w in told]
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        kind, value = "error", RuntimeError(f"{type(value).__name__} cannot be sent between processes: {value}")
    there.send((kind, value, raised))
    there.close()


def _one_thread() -> None:
    """A pool of threads does not survive a fork, and one core is what the limit is about."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _end(process: BaseProcess) -> None:
    """Kills the child and whatever it started, and waits until it is gone."""
    if process.pid is not None:
        kill_group = getattr(os, "killpg", None)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if kill_group and os.getpgid(process.pid) == process.pid:
                kill_group(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    process.close()
