"""One run of one notebook: a process and a directory of its own, a verdict, a record.

A run is one function call, (notebook, directory, parameters) -> Run. It lands whole: everything is written into a
hidden directory beside the final one, which is renamed at the end.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from causalkit.runs import environment
from causalkit.runs.parameters import Given, check_parameters, find_notebook, notebook_parameters, read_notebook
from causalkit.runs.results import RESULT_VARIABLE, OutputError, write_text
from causalkit.runs.run import SCHEMA, Run
from causalkit.runs.verdict import Evidence, first_line, judge

__all__ = ["Progress", "command_line", "new_directory", "run_notebook"]

Progress = Callable[[str, int, int], None]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}
POLL = 0.05  # seconds between looks at the worker


def run_notebook(
    notebook: str | Path,
    directory: str | Path,
    parameters: Given | None = None,
    *,
    timeout: float | None = None,
    threads: int = 1,
    study: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Execute a notebook headless, and keep what it recorded.

    Args:
        notebook: A path, or a shipped notebook's name such as "02_discovery".
        directory: Where the run goes; it must not exist yet. It gets record.json, executed.ipynb, and files/, the
            notebook's working directory, if the notebook wrote any.
        parameters: Values by name, or texts "name=value".
        timeout: Seconds for the whole run, kernel start included; None for no limit.
        threads: Cap on the threads of numerical libraries; results may depend on it in the last digits.
        study: The study it belongs to, for the record.
        progress: Called with (notebook, code cells done, code cells in all).

    Returns:
        The run. A notebook that fails is a result too: look at `run.ok`, `run.verdict`, `run.why`.

    Raises:
        ValueError: The notebook, a parameter, the timeout or the directory is no good; nothing is left behind.
        OutputError: The results cannot be written; nothing is left behind.
        KeyboardInterrupt: Ctrl-C; the kernel is gone and nothing is left behind.
    """
    path = find_notebook(notebook)
    given = check_parameters(path, parameters or {})
    for name, number in (("timeout", timeout), ("threads", threads)):
        if number is not None and not number > 0:
            raise ValueError(f"{name} is {number}: expected a number above 0")
    directory = new_directory(directory)
    source = read_notebook(path)
    partial: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.partial-", dir=directory.parent))
        partial.chmod(0o755)
        total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in source.cells)
        evidence = _execute(
            source,
            given,
            partial,
            timeout,
            threads,
            lambda done: progress and progress(path.stem, min(done, total), total),
        )
        record = _record(path, source, given, evidence, study)
        record["machine"] = environment.machine(threads)
        record["command"] = command_line(notebook, given, timeout=timeout, threads=threads)
        write_text(partial / "record.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
        os.rename(partial, directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return Run(directory, record)


def new_directory(directory: str | Path) -> Path:
    """The absolute path of a directory that does not exist yet.

    Raises:
        ValueError: It exists.
    """
    path = Path(directory).expanduser().absolute()
    if os.path.lexists(path):
        raise ValueError(f"{path} exists already: choose another --output or remove it")
    return path


def command_line(notebook: str | Path, parameters: dict[str, Any], **options: Any) -> str:
    """The shell command that runs a notebook with these parameters; options that are None or default are left out."""
    name = str(find_notebook(notebook)) if str(notebook).endswith(".ipynb") else str(notebook)
    words = ["causalkit", "run", name]
    for key, value in parameters.items():
        words += ["-p", f"{key}={value}"]
    for key, value in options.items():
        if value is not None and (key, value) != ("threads", 1):
            words += [f"--{key}", str(value)]
    return shlex.join(words)


def _execute(
    source: Any,
    given: dict[str, Any],
    partial: Path,
    timeout: float | None,
    threads: int,
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
        began = time.time()
        process = _start(scratch, partial / "files", threads)
        try:
            late = _wait(process, events, began, timeout, progress)
        finally:
            _stop(process, _read_events(events))
        recorded = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else None
        words = log.read_text(encoding="utf-8", errors="replace")
        evidence = Evidence(_executed(partial, source), _read_events(events), recorded, late, began, time.time(), words)
    ending = evidence.ending
    if ending.get("reason") == "error" and ending["errno"] in UNWRITABLE:
        raise OSError(ending["errno"], os.strerror(ending["errno"]))
    with contextlib.suppress(OSError):
        (partial / "files").rmdir()  # kept if the notebook wrote files
    nbformat.write(evidence.notebook, partial / "executed.ipynb")
    return evidence


def _start(scratch: Path, cwd: Path, threads: int) -> subprocess.Popen[bytes]:
    """Start the worker in a session of its own, so that Ctrl-C in the terminal reaches us alone."""
    variables = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONHASHSEED": "0"}
    variables[RESULT_VARIABLE] = str(scratch / "result.json")
    variables.pop("MPLBACKEND", None)  # the kernel's own choice: inline
    command = [sys.executable, "-P", str(Path(__file__).with_name("worker.py")), str(scratch), "../executed.ipynb"]
    with open(scratch / "log.txt", "wb") as log:
        return subprocess.Popen(
            command, cwd=cwd, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )


def _wait(
    process: subprocess.Popen[bytes],
    events: Path,
    began: float,
    timeout: float | None,
    progress: Callable[[int], object],
) -> float | None:
    """The timeout if it was over before the worker was, else None."""
    while process.poll() is None:
        if timeout is not None and time.time() - began > timeout:
            return timeout
        progress(sum(event["event"] == "end" for event in _read_events(events)))
        time.sleep(POLL)
    return None


def _stop(process: subprocess.Popen[bytes], events: list[dict[str, Any]]) -> None:
    """End the worker, its kernel, and whatever they started and left running."""
    import psutil

    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    for event in events:
        if event["event"] == "kernel" and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(event["pid"], signal.SIGKILL)  # a kernel leads a group of its own
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


def _record(path: Path, source: Any, given: dict[str, Any], evidence: Evidence, study: str | None) -> dict[str, Any]:
    verdict, failure = judge(evidence)
    parameters = {**notebook_parameters(path), **given}
    seeds = {k: v for k, v in parameters.items() if re.fullmatch("(.*_)?seeds?", k)}
    cells = json.dumps([[cell.cell_type, cell.source] for cell in source.cells])
    seconds = evidence.cell_seconds()
    record = {
        "schema": SCHEMA,
        "verdict": verdict,
        "failure": failure,
        "notebook": path.stem,
        "study": study,
        "source_sha256": hashlib.sha256(cells.encode()).hexdigest(),
        "parameters": parameters,
        "seeds": seeds,
        "metrics": {},  # numbers of a notebook that failed are no results
        "tables": {},
        "started": datetime.fromtimestamp(evidence.began, UTC).isoformat(),
        "finished": datetime.fromtimestamp(evidence.ended, UTC).isoformat(),
        "timings": {
            "total": evidence.ended - evidence.began,
            "kernel_start": evidence.kernel_start(),
            "cells": [
                {"cell": i, "line": first_line(cell), "seconds": seconds[at]}
                for at, (i, cell) in evidence.placed()
                if at in seconds
            ],
        },
        "versions": environment.versions(),
        "git": environment.git_state(path),
    }
    return {**record, **(evidence.recorded or {})} if verdict == "ok" else record


def _unwritable(directory: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{directory} cannot be written ({reason}): free some space, or choose another --output; nothing was kept"
    )
