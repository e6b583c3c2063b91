"""A part of a suite: some of its experiments, the first seeds of each, or the runs with some values of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from causalkit.bench.suite import Suite
from causalkit.errors import unknown

__all__ = ["part_of"]


def part_of(
    suite: Suite,
    only: Sequence[str] = (),
    seeds: int | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
) -> Suite:
    """The suite with fewer runs. Those that are left keep their addresses, so that the whole suite finds them done.

    Args:
        suite: From `load_suite`.
        only: Names of experiments; none: all.
        seeds: How many seeds of each experiment, the first ones; an experiment with fewer keeps them all. None: all.
        where: Parameter -> the values of it to run, as text; a run that does not set the parameter is left out.

    Raises:
        ValueError: No such experiment, parameter or value (with the closest name); a number of seeds below 1; no run
            is left.

    Example:
        >>> from causalkit.bench import load_suite
        >>> [e.name for e in part_of(load_suite("ablation"), ["concept_shift"], seeds=1).experiments]
        ['concept_shift']
    """
    names = [experiment.name for experiment in suite.experiments]
    for name in only:
        if name not in names:
            raise unknown(f"experiment of suite {suite.name!r}:", name, names)
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds is {seeds}: expected a number above 0")
    where = dict(where or {})
    _check_where(suite, where)
    chosen = []
    for experiment in suite.experiments:
        kept = experiment.seeds[:seeds]
        runs = tuple(run for run in experiment.runs if run["seed"] in kept and _matches(run, where))
        if runs and (not only or experiment.name in only):
            there = all(any(run.get(k) == v for run in runs) for k, v in experiment.baseline.items())
            chosen.append(replace(experiment, seeds=kept, runs=runs, baseline=experiment.baseline if there else {}))
    if not chosen:
        raise ValueError(f"suite {suite.name!r} has no run with all of this: ask for less")
    said = [f"--only={','.join(only)}"] if only else []
    said += [] if seeds is None else [f"--seeds={seeds}"]
    said += [f"--where={name}={','.join(values)}" for name, values in where.items()]
    return replace(suite, experiments=tuple(chosen), part=tuple(said))


def _check_where(suite: Suite, where: Mapping[str, Sequence[str]]) -> None:
    """Nothing, once every parameter and value is known to be one of some run."""
    runs = [run for experiment in suite.experiments for run in experiment.runs]
    for name, values in where.items():
        known = list(dict.fromkeys(_text(run[name]) for run in runs if name in run))
        if not known:
            raise unknown(
                f"parameter of suite {suite.name!r}:", name, dict.fromkeys(key for run in runs for key in run)
            )
        for value in values:
            if value not in known:
                raise unknown(f"value of {name!r}:", value, known)


def _matches(run: Mapping[str, Any], where: Mapping[str, Sequence[str]]) -> bool:
    return all(name in run and _text(run[name]) in values for name, values in where.items())


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
