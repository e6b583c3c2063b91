"""What is written down about a run: its verdict and results, and all that they hang on."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from causalkit.runs import environment
from causalkit.runs.parameters import find_notebook, notebook_parameters
from causalkit.runs.run import SCHEMA
from causalkit.runs.verdict import Evidence, first_line, judge

__all__ = ["artefacts", "command_line", "make_record", "source_sha256"]


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


def source_sha256(notebook: Any) -> str:
    """The hash of a notebook's cells, their kinds and texts: outputs, ids and papermill's own cell do not count."""
    cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    return hashlib.sha256(json.dumps([[c.cell_type, c.source] for c in cells]).encode()).hexdigest()


def make_record(
    path: Path, source: Any, given: dict[str, Any], evidence: Evidence, threads: int, about: dict[str, Any]
) -> dict[str, Any]:
    """The record of a run, ready for record.json.

    Args:
        path: The notebook.
        source: Its content, as it was run.
        given: The parameters that were given; the others have their defaults.
        evidence: What the run left.
        threads: The thread cap.
        about: Further entries, which win over those found here.
    """
    verdict, failure = judge(evidence)
    parameters = {**notebook_parameters(path), **given}
    seconds = evidence.cell_seconds()
    # Numbers of a notebook that failed are no results.
    recorded = (evidence.recorded or {}) if verdict == "ok" else {}
    seeds = {k: v for k, v in parameters.items() if re.fullmatch("(.*_)?seeds?", k)}
    return {
        "schema": SCHEMA,
        "verdict": verdict,
        "failure": failure,
        "notebook": path.stem,
        "source_sha256": source_sha256(source),
        "parameters": parameters,
        "seeds": {**seeds, **recorded.get("derived_seeds", {})},
        "metrics": recorded.get("metrics", {}),
        "tables": recorded.get("tables", {}),
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
        "peak_memory": evidence.peak,
        "attempts": 1,
        "warm": evidence.warm,
        "versions": environment.versions(),
        "machine": environment.machine(threads),
        "code_sha256": environment.code_sha256(),
        "lock_sha256": environment.lock_sha256(),
        **({} if "git" in about else {"git": environment.git_state(path)}),
        **about,
    }


def artefacts(directory: Path) -> dict[str, str]:
    """Path within a run's directory -> hash, for the executed notebook and each file that the notebook wrote."""
    files = sorted(p for p in directory.rglob("*") if p.is_file() and not p.is_symlink())
    return {p.relative_to(directory).as_posix(): _sha256(p) for p in files}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
