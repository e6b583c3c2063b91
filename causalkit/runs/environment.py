"""Where a run happened: versions, machine, commit; and whether this installation can run notebooks at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["Check", "code_sha256", "diagnose", "git_state", "lock_sha256", "machine", "versions"]

PACKAGES = (
    "torch", "pgmpy", "networkx", "papermill", "jupyterlab", "ipywidgets", "matplotlib", "numpy", "pandas", "scipy",
    "scikit-learn", "statsmodels", "flopsearch", "gadjid", "nbclient", "nbconvert", "nbformat",
    "ipykernel", "typer", "rich",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One line of `causalkit doctor`; `mend` says what to do, and is empty where nothing is broken."""

    name: str
    found: str
    wanted: str = ""
    mend: str = ""


def versions() -> dict[str, str]:
    """The version of Python and of each package that a result may hang on; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    distribution = _distribution()
    return found if distribution is None else {"causalkit": distribution.version, **found}


def machine(threads: int) -> dict[str, Any]:
    """The operating system, the processor, the CPUs that this process may use, memory in GiB, the thread cap."""
    import psutil

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return {
        "os": platform.platform(), "architecture": platform.machine(), "cpu": _cpu(), "cpus": cpus, "memory": memory,
        "threads": threads,
    }  # fmt: skip


@lru_cache
def code_sha256() -> str:
    """A hash of all that a notebook can import of causalkit, data included: all but bench/ and the command line.

    It is taken once a process, since what is imported does not change with its file.
    """
    package = Path(__file__).resolve().parents[1]
    files = [p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    inner = {p.relative_to(package).as_posix(): p for p in files}
    kept = {name: p for name, p in inner.items() if not name.startswith(("bench/", "cli/", "."))}
    digest = hashlib.sha256()
    for name in sorted(kept):
        digest.update(name.encode() + b"\0" + hashlib.sha256(kept[name].read_bytes()).digest())
    return digest.hexdigest()


def lock_sha256() -> str | None:
    """The hash of requirements.lock in the project's folder; None where the package was installed without it."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None


def git_state(path: Path) -> dict[str, Any] | None:
    """The commit of the repository around a file, and whether tracked files differ from it; None outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(path.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


@lru_cache
def _cpu() -> str:
    """The processor's name, as the operating system gives it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def diagnose(output: str | Path = ".") -> list[Check]:
    """Check versions, the thread settings, that results can be written, and that a kernel runs a notebook.

    Args:
        output: The directory into which runs will be written.
    """
    return [*_check_packages(), _check_threads(), _check_output(Path(output)), _check_kernel()]


def _distribution() -> importlib.metadata.Distribution | None:
    """The installed distribution that provides the `causalkit` command, whatever it is called."""
    for entry in importlib.metadata.entry_points(group="console_scripts", name="causalkit"):
        if entry.value == "causalkit.cli:app":
            return entry.dist
    return None


def _check_packages() -> list[Check]:
    from packaging.requirements import Requirement

    distribution = _distribution()
    wanted = dict.fromkeys(PACKAGES, "")
    python = "" if distribution is None else str(distribution.metadata["Requires-Python"] or "")
    for line in (distribution.requires or []) if distribution is not None else []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            wanted[requirement.name.lower()] = str(requirement.specifier)
    checks = [_check_version("python", platform.python_version(), python)]
    if distribution is None:
        mend = "run `pip install -e .` in the project's folder"
        checks.append(Check("causalkit", "not installed", "installed", mend))
    else:
        checks.append(Check("causalkit", distribution.version))
    for name, specifier in wanted.items():
        try:
            checks.append(_check_version(name, importlib.metadata.version(name), specifier))
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check(name, "missing", specifier or "any", f"run `pip install '{name}{specifier}'`"))
    return checks


def _check_version(name: str, found: str, specifier: str) -> Check:
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(specifier).contains(found, prereleases=True):
        return Check(name, found, specifier)
    mend = f"use Python {specifier}" if name == "python" else f"run `pip install '{name}{specifier}'`"
    return Check(name, found, specifier, mend)


def _check_threads() -> Check:
    given = os.environ.get("OMP_NUM_THREADS", "not set")
    return Check(
        "threads", f"{machine(1)['cpus']} CPUs; OMP_NUM_THREADS {given}; runs use 1 unless --threads says more"
    )


def _check_output(output: Path) -> Check:
    existing = next(p for p in [output.absolute(), *output.absolute().parents] if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"causalkit")
        return Check("output", f"{existing} can be written")
    except OSError as error:
        return Check("output", f"{existing}: {error.strerror}", "writable", "choose another directory with --output")


def _check_kernel() -> Check:
    """Run a notebook of one line in a scratch directory, the way every run does."""
    import nbformat.v4 as v4

    from causalkit.runs.execute import run_notebook

    lines = ["seed = 0", "from causalkit.runs import metric, record",
             "record({'works': metric(True, 'the kernel runs', unit='yes or no')})"]  # fmt: skip
    cells = [v4.new_code_cell(line) for line in lines]
    cells[0].metadata["tags"] = ["parameters"]
    try:
        with tempfile.TemporaryDirectory(prefix="causalkit-") as folder:
            notebook = Path(folder, "doctor.ipynb")
            notebook.write_text(v4.writes(v4.new_notebook(cells=cells)), encoding="utf-8")
            run = run_notebook(notebook, Path(folder, "run"), timeout=180)
    except (OSError, ValueError, ImportError) as error:
        return Check("kernel", str(error), "runs a notebook", "mend the lines above first, then try again")
    if run.ok:
        return Check(
            "kernel", f"runs a notebook, started in {run.record['timings']['kernel_start']:.1f} s ({sys.executable})"
        )
    mend = "mend the packages above, then try `python -m ipykernel_launcher --version`"
    return Check("kernel", f"{run.verdict}: {run.why}", "runs a notebook", mend)
