"""A suite's runs by content: what they hang on, which of them are done, how long the rest will take.

A run's address is a hash of everything that its result hangs on. What is done is found again under its address; what
changed (the notebook, a parameter, the code, the lock, a version, the threads) has a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from causalkit.bench.suite import Suite
from causalkit.runs import environment
from causalkit.runs.manifest import source_sha256
from causalkit.runs.parameters import notebook_parameters, read_notebook
from causalkit.runs.run import Run, load_run

__all__ = ["Estimate", "Plan", "Planned", "address", "estimate", "is_result", "plan_suite"]


@dataclass(frozen=True)
class Planned:
    """One run of an experiment: its address and all its parameters, defaults included."""

    address: str
    experiment: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """All runs of a suite in a directory.

    `sources` maps each notebook to the hash of its cells; `basis` is what else every address hangs on.
    """

    suite: Suite
    directory: Path
    basis: dict[str, Any]
    sources: dict[Path, str]
    runs: tuple[Planned, ...]

    @property
    def addresses(self) -> list[str]:
        """The addresses in order, each once: experiments may share a run."""
        return list(dict.fromkeys(run.address for run in self.runs))

    def earlier(self) -> dict[str, Run]:
        """Every run that the directory holds, by address, also of other plans; damaged ones are left out."""
        found = {}
        for path in sorted((self.directory / "runs").glob("[!.]*/record.json")):
            with contextlib.suppress(ValueError):
                found[path.parent.name] = load_run(path.parent)
        return found

    def done(self, earlier: Mapping[str, Run]) -> dict[str, Run]:
        """Of these runs, the planned ones that have a result."""
        return {each: earlier[each] for each in self.addresses if each in earlier and is_result(earlier[each])}


class Estimate(NamedTuple):
    """Seconds for the runs that are left, and for how many of them there is no earlier run to tell from."""

    seconds: float
    guessed: int
    unknown: int


def plan_suite(suite: Suite, directory: str | Path | None = None, *, threads: int = 1) -> Plan:
    """The runs of a suite, with their addresses.

    Args:
        suite: From `load_suite`.
        directory: The sweep's directory; default: results/SUITE.
        threads: Cap on the threads of numerical libraries in each run.

    Raises:
        ValueError: A notebook cannot be read; threads below 1.
    """
    if not threads > 0:
        raise ValueError(f"threads is {threads}: expected a number above 0")
    root = Path(directory if directory is not None else Path("results", suite.name)).expanduser().absolute()
    basis = {
        "code_sha256": environment.code_sha256(),
        "lock_sha256": environment.lock_sha256(),
        "versions": environment.versions(),
        "threads": threads,
    }
    sources = {
        path: source_sha256(read_notebook(path)) for path in dict.fromkeys(e.notebook for e in suite.experiments)
    }
    runs = []
    for experiment in suite.experiments:
        defaults = notebook_parameters(experiment.notebook)
        for given in experiment.runs:
            parameters = {**defaults, **given}
            key = address(sources[experiment.notebook], parameters, basis)
            runs.append(Planned(key, experiment.name, parameters))
    return Plan(suite, root, basis, sources, tuple(runs))


def address(source: str, parameters: Mapping[str, Any], basis: Mapping[str, Any]) -> str:
    """The first 16 hex digits of a SHA-256 over all that a result hangs on, whatever the order of names.

    Args:
        source: The hash of the notebook's cells.
        parameters: All parameters, defaults included.
        basis: Hashes of code and lock, versions, threads.

    Example:
        >>> address("s", {"a": 1, "b": 2}, {}) == address("s", {"b": 2, "a": 1}, {})
        True
        >>> address("s", {"a": 1}, {}) == address("s", {"a": 1.0}, {})
        False
    """
    text = json.dumps({"source": source, "parameters": dict(parameters), **basis}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_result(run: Run) -> bool:
    """Whether a run's ending says something about its notebook: a failing cell does, a kill from outside does not."""
    return not (run.killed or run.never_started or run.verdict == "interrupted")


def estimate(plan: Plan, left: Iterable[str], earlier: Iterable[Run], workers: int = 1) -> Estimate:
    """How long the runs that are left will take, from earlier ones.

    A run takes as long as the median of those with the same notebook and parameters but another seed, or else
    (`guessed`) of all with the same notebook.

    Args:
        plan: The plan.
        left: Addresses of the runs to come.
        earlier: The runs to tell from.
        workers: How many run at once.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for run in earlier:
        if run.ok:
            for key in ((run.notebook, ""), (run.notebook, _but_seed(run.record["parameters"]))):
                times.setdefault(key, []).append(run.record["timings"]["total"])
    notebooks = {experiment.name: experiment.notebook.stem for experiment in plan.suite.experiments}
    planned = {run.address: run for run in plan.runs}
    seconds, guessed, unknown = 0.0, 0, 0
    for each in left:
        name = notebooks[planned[each].experiment]
        exact = times.get((name, _but_seed(planned[each].parameters)))
        known = exact or times.get((name, ""))
        seconds += statistics.median(known) if known else 0.0
        guessed += not exact and bool(known)
        unknown += not known
    return Estimate(seconds / workers, guessed, unknown)


def _but_seed(parameters: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in parameters.items() if name != "seed"}, sort_keys=True)
