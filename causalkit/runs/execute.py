"""One run of one notebook: a process and a directory of its own, a verdict, a record.

A run is one function call, (notebook, directory, parameters) -> Run. It lands whole: everything is written into a
hidden directory beside the final one, which is renamed at the end.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causalkit.runs.manifest import artefacts, command_line, make_record
from causalkit.runs.parameters import Given, check_parameters, find_notebook, read_notebook
from causalkit.runs.results import RESULT_VARIABLE, OutputError, write_text
from causalkit.runs.run import Run
from causalkit.runs.verdict import Evidence
from causalkit.runs.warm import Child, Warm, thread_caps

__all__ = ["Progress", "new_directory", "run_notebook"]

Progress = Callable[[str, int, int], None]
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}
POLL = 0.02  # seconds between looks at the worker
SAMPLE = (0.1, 0.5)  # seconds between looks at its memory, at first and later: each reads the list of all processes
MIB, GIB = 2.0**20, 2.0**30


@dataclass
class _Limits:
    """What ends a run from outside, and the most memory that it was seen to hold, in bytes."""

    timeout: float | None
    memory: float | None
    stop: threading.Event
    peak: float = 0.0
    broken: tuple[str, float] | None = None
    sampled: float = field(default_factory=time.time)


def run_notebook(
    notebook: str | Path,
    directory: str | Path,
    parameters: Given | None = None,
    *,
    timeout: float | None = None,
    memory: float | None = None,
    threads: int = 1,
    study: str | None = None,
    warm: Warm | None = None,
    about: Mapping[str, Any] | None = None,
    replace: bool = False,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Run:
    """Execute a notebook headless, and keep what it recorded.

    Args:
        notebook: A path, or a shipped notebook's name such as "02_discovery".
        directory: Where the run goes; it must not exist yet. It gets record.json, executed.ipynb, and files/, the
            notebook's working directory, if the notebook wrote any.
        parameters: Values by name, or texts "name=value".
        timeout: Seconds for the whole run, kernel start included; None for no limit.
        memory: GiB that the kernel, and what it starts, may hold together, looked at twice a second or more often;
            None for no limit.
        threads: Cap on the threads of numerical libraries; results may depend on it in the last digits.
        study: The study it belongs to, for the record.
        warm: The process to fork the kernel from (see `warm_parent`); None for a fresh kernel.
        about: Further entries of the record.
        replace: Whether a run that is there already gives way to this one, once it is done.
        stop: An event that ends the run when it is set, as Ctrl-C does.
        progress: Called with (notebook, code cells done, code cells in all).

    Returns:
        The run. A notebook that fails is a result too: look at `run.ok`, `run.verdict`, `run.why`.

    Raises:
        ValueError: The notebook, a parameter, a limit or the directory is no good; nothing is left behind.
        OutputError: The results cannot be written; nothing is left behind.
        KeyboardInterrupt: Ctrl-C; the kernel is gone and nothing is left behind.
    """
    path = find_notebook(notebook)
    given = check_parameters(path, parameters or {})
    for name, number in (("timeout", timeout), ("threads", threads), ("memory", memory)):
        if number is not None and not number > 0:
            raise ValueError(f"{name} is {number}: expected a number above 0")
    if warm is not None and warm.threads != threads:
        raise ValueError(f"threads is {threads}, and {warm.threads} in the warm process: give both the same number")
    directory = Path(directory).expanduser().absolute() if replace else new_directory(directory)
    source = read_notebook(path)
    command = command_line(notebook, given, timeout=timeout, memory=memory, threads=threads)
    entries = {"study": study, "command": command, **(about or {})}
    limits = _Limits(timeout, memory, stop or threading.Event())
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in source.cells)

    def tell(done: int) -> None:
        if progress is not None:
            progress(path.stem, min(done, total), total)

    partial: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.partial-", dir=directory.parent))
        partial.chmod(0o755)
        evidence = _execute(source, given, partial, limits, threads, warm, tell)
        record = make_record(path, source, given, evidence, threads, entries)
        record["artefacts"] = artefacts(partial)
        write_text(partial / "record.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
        _land(partial, directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return Run(directory, record)


def _land(partial: Path, directory: Path) -> None:
    """Rename a whole run into place; what stood there makes way, or comes back if that fails."""
    old = partial.with_name(f"{partial.name}-old")
    with contextlib.suppress(FileNotFoundError):
        os.rename(directory, old)
    try:
        os.rename(partial, directory)
    except OSError:
        if old.exists():
            os.rename(old, directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def new_directory(directory: str | Path) -> Path:
    """The absolute path of a directory that does not exist yet.

    Raises:
        ValueError: It exists.
    """
    path = Path(directory).expanduser().absolute()
    if os.path.lexists(path):
        raise ValueError(f"{path} exists already: choose another --output or remove it")
    return path


def _execute(
    source: Any,
    given: dict[str, Any],
    partial: Path,
    limits: _Limits,
    threads: int,
    warm: Warm | None,
    progress: Callable[[int], object],
) -> Evidence:
    """Run the worker until it ends, by itself or by us, and gather what it left."""
    import nbformat

    (partial / "files").mkdir()
    with tempfile.TemporaryDirectory(prefix="causalkit-") as name:
        scratch = Path(name)
        events, result, log = scratch / "events.jsonl", scratch / "result.json", scratch / "log.txt"
        nbformat.write(source, scratch / "source.ipynb")
        (scratch / "parameters.json").write_text(json.dumps(given), encoding="utf-8")
        if warm is not None:
            with contextlib.suppress(OSError):  # it is gone: the fork will say so
                warm.wait()  # its start is no part of the run
        began = time.time()
        process = _start(scratch, partial / "files", threads, warm)
        try:
            _wait(process, events, began, limits, progress)
        finally:
            _stop(process, _read_events(events))
        recorded = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else None
        words = log.read_text(encoding="utf-8", errors="replace")
        evidence = Evidence(
            _executed(partial, source), _read_events(events), recorded, limits.broken, began, time.time(), words,
            round(limits.peak / MIB, 1) or None, isinstance(process, Child),
        )  # fmt: skip
    ending = evidence.ending
    if ending.get("reason") == "error" and ending["errno"] in UNWRITABLE:
        raise OSError(ending["errno"], os.strerror(ending["errno"]))
    with contextlib.suppress(OSError):
        (partial / "files").rmdir()  # kept if the notebook wrote files
    nbformat.write(evidence.notebook, partial / "executed.ipynb")
    return evidence


def _start(scratch: Path, cwd: Path, threads: int, warm: Warm | None) -> subprocess.Popen[bytes] | Child:
    """Start the worker in a session of its own, so that Ctrl-C in the terminal reaches us alone."""
    variables = {**thread_caps(threads), RESULT_VARIABLE: str(scratch / "result.json")}
    variables.pop("MPLBACKEND", None)  # the kernel's own choice: inline
    arguments = [str(scratch), "../executed.ipynb"]
    with open(scratch / "log.txt", "wb") as log:
        if warm is not None:
            reading, writing = os.pipe()
            stdin = os.fdopen(writing, "wb")
            files = [reading, log.fileno(), log.fileno()]
            try:
                return warm.fork("run", [*arguments, warm.address], files, cwd=str(cwd), env=variables, stdin=stdin)
            except OSError as error:  # it is gone, or has no room: a fresh kernel will do
                stdin.close()
                log.write(f"{error}\n".encode())
            finally:
                os.close(reading)
        command = [sys.executable, "-P", str(Path(__file__).with_name("worker.py")), *arguments]
        return subprocess.Popen(
            command, cwd=cwd, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )


def _wait(
    process: subprocess.Popen[bytes] | Child,
    events: Path,
    began: float,
    limits: _Limits,
    progress: Callable[[int], object],
) -> None:
    """Until the worker ends, or a limit is broken."""
    while process.poll() is None:
        now, happened = time.time(), _read_events(events)
        if limits.stop.is_set():
            raise KeyboardInterrupt
        if limits.timeout is not None and now - began > limits.timeout:
            limits.broken = ("timeout", limits.timeout)
            return
        if now - limits.sampled > min(SAMPLE[1], max(SAMPLE[0], (now - began) / 10)):
            limits.sampled = now
            limits.peak = max(limits.peak, _held(happened))
            if limits.memory is not None and limits.peak > limits.memory * GIB:
                limits.broken = ("memory", limits.memory)
                return
        progress(sum(event["event"] == "end" for event in happened))
        time.sleep(POLL)


def _held(events: list[dict[str, Any]]) -> float:
    """Bytes of memory that the kernel and what it started hold; of a forked one, what it shares counts too."""
    import psutil

    held = 0.0
    for pid in _kernels(events):
        with contextlib.suppress(psutil.Error):
            kernel = psutil.Process(pid)
            for each in [kernel, *kernel.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    held += each.memory_info().rss
    return held


def _kernels(events: list[dict[str, Any]]) -> list[int]:
    return [event["pid"] for event in events if event["event"] == "kernel"]


def _stop(process: subprocess.Popen[bytes] | Child, events: list[dict[str, Any]]) -> None:
    """End the worker, its kernel, and whatever they started and left running."""
    import psutil

    family = []
    for pid in (process.pid, *_kernels(events)):
        with contextlib.suppress(psutil.NoSuchProcess):
            family += psutil.Process(pid).children(recursive=True)
    process.kill()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    for pid in _kernels(events):
        with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):
            os.killpg(pid, signal.SIGKILL)  # a kernel leads a group of its own
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    psutil.wait_procs(family, timeout=5)


def _read_events(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last newline is half written
    return [json.loads(line) for line in lines]


def _executed(partial: Path, source: Any) -> Any:
    """The executed notebook without papermill's marks, which cannot be trusted; the source if there is none."""
    try:
        notebook = read_notebook(partial / "executed.ipynb")
    except ValueError:  # killed before, or in the middle of, the first writing
        notebook = source
    notebook.metadata.pop("papermill", None)
    notebook.cells = [
        cell for cell in notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
    return notebook


def _unwritable(directory: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{directory} cannot be written ({reason}): free some space, or choose another --output; nothing was kept"
    )
