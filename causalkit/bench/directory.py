"""A sweep's directory: whose it is, what was begun there, who is at work in it.

sweep.json says what is swept, with which options, code, lock and versions; it is written before the first run, and is
enough to go on with the sweep without its suite's file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from causalkit.bench.plan import Plan, plan_suite
from causalkit.bench.results import SCHEMA, read_sweep
from causalkit.bench.suite import Experiment, Suite, list_suites
from causalkit.runs import environment
from causalkit.runs.results import OutputError, write_text

__all__ = ["check_directory", "hashes", "locked", "prepare", "recorded_suite", "resume_command", "unwritable"]


def check_directory(plan: Plan) -> dict[str, Any] | None:
    """The sweep.json that a plan's directory holds already, None for a new directory.

    Raises:
        ValueError: The directory is something else, another suite's, or another version's.
    """
    root = plan.directory
    if root.is_dir() and (root / "sweep.json").is_file():
        recorded = read_sweep(root)
        name = recorded["suite"]["name"]
        if name != plan.suite.name:
            raise ValueError(f"{root} holds the sweep of suite {name!r}: choose another --output")
        return recorded
    if root.exists() and (not root.is_dir() or any(not path.name.startswith(".") for path in root.iterdir())):
        raise ValueError(f"{root} is not empty, and holds no sweep: choose another --output")
    return None


def recorded_suite(directory: str | Path) -> tuple[Suite, dict[str, Any]]:
    """The suite and the options (workers, threads, dask) of the sweep in a directory, to go on with exactly it.

    Raises:
        ValueError: There is no sweep; the notebook, the code, the lock, or a version is another one by now.
    """
    recorded = read_sweep(directory)
    about, experiments = recorded["suite"], []
    for entry in about["experiments"]:
        runs = tuple(run["parameters"] for run in recorded["plan"] if run["experiment"] == entry["name"])
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        fields |= {"notebook": Path(entry["notebook"]), "runs": runs}
        experiments.append(Experiment(**fields))
    suite = Suite(
        about["name"], Path(recorded["suite_file"]), about["title"], about["about"], recorded["budget"],
        tuple(experiments), tuple(recorded.get("part", ())),
    )  # fmt: skip
    options = {key: recorded[key] for key in ("workers", "threads", "dask")}
    plan = plan_suite(suite, directory, threads=options["threads"])
    changed = [name for name in ("code_sha256", "lock_sha256") if plan.basis[name] != recorded[name]]
    here, there = plan.basis["versions"], recorded["versions"]
    changed += [f"version of {name}" for name in {**here, **there} if here.get(name) != there.get(name)]
    changed += [path.name for path, source in plan.sources.items() if recorded["sources"].get(str(path)) != source]
    if changed:
        names = {"code_sha256": "the code of causalkit", "lock_sha256": "requirements.lock"}
        raise ValueError(
            f"the sweep in {directory} cannot be resumed as it was, for this has changed: "
            f"{', '.join(names.get(name, name) for name in changed)}; leave out --resume to run what changed again"
        )
    return suite, options


def resume_command(plan: Plan) -> str:
    """The shell command that goes on with a sweep."""
    return shlex.join([*_words(plan), "--resume"])


def prepare(plan: Plan, options: dict[str, Any]) -> None:
    """Remove what dead sweeps left half done (we hold the lock), and write sweep.json."""
    folder = plan.directory / "runs"
    folder.mkdir(exist_ok=True)
    for path in folder.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("sweep.json", "results.jsonl", "table.csv", "table.parquet", "report.html", "report.md", "holder"):
        for path in plan.directory.glob(f".{name}.[0-9]*"):
            path.unlink()
    write_text(plan.directory / "sweep.json", json.dumps(_described(plan, options), indent=1, allow_nan=False) + "\n")


def _described(plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    suite = plan.suite
    experiments = []
    for experiment in suite.experiments:
        entry = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(experiment)}
        del entry["runs"]
        experiments.append({**entry, "notebook": str(experiment.notebook)})
    about = {"name": suite.name, "title": suite.title, "about": suite.about, "experiments": experiments}
    words = [*_words(plan), *suite.part, *(f"--{key}={value}" for key, value in options.items() if value is not None)]
    return {
        "schema": SCHEMA,
        "suite": about,
        "suite_file": str(suite.path),
        "budget": suite.budget,
        "part": list(suite.part),
        "command": shlex.join([*words, f"--budget={suite.budget}"]),
        **options,
        **hashes(plan),
        "versions": plan.basis["versions"],
        "sources": {str(path): source for path, source in plan.sources.items()},
        "git": environment.git_state(suite.path),
        "machine": environment.machine(options["threads"]),
        "started": datetime.now(UTC).isoformat(),
        "plan": [dataclasses.asdict(run) for run in plan.runs],
    }


def hashes(plan: Plan) -> dict[str, Any]:
    """What every run of a plan has in common of that which its address hangs on."""
    return {name: plan.basis[name] for name in ("code_sha256", "lock_sha256")}


def _words(plan: Plan) -> list[str]:
    """The command of a sweep without its options."""
    suite = plan.suite
    words = ["causalkit", "bench", suite.name if list_suites().get(suite.name) == suite.path else str(suite.path)]
    default = Path("results", suite.name).absolute()
    return words if plan.directory == default else [*words, f"--output={plan.directory}"]


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the directory's lock, and say who does; the system lets go of it when the process dies, however."""
    from filelock import FileLock, Timeout

    holder, lock = root / ".holder", FileLock(root / ".lock", timeout=0)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        write_text(holder, f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%F %T} UTC")
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
        raise ValueError(
            f"another sweep is at work in {root} ({who}): wait for it, or choose another --output"
        ) from None
    except OSError as error:
        lock.release()
        raise OutputError(f"{root} cannot be written ({error.strerror}): choose another --output") from error
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def unwritable(plan: Plan, error: OSError) -> OutputError:
    """The error for a directory that cannot be written."""
    return OutputError(f"{plan.directory} cannot be written ({error.strerror}): free some space")
