"""A part of a suite: some of its experiments, or the first seeds of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from causalkit.bench.suite import Suite
from causalkit.errors import unknown

__all__ = ["part_of"]


def part_of(suite: Suite, only: Sequence[str] = (), seeds: int | None = None) -> Suite:
    """The suite with fewer runs. Those that are left keep their addresses, so that the whole suite finds them done.

    Args:
        suite: From `load_suite`.
        only: Names of experiments; none: all.
        seeds: How many seeds of each experiment, the first ones; an experiment with fewer keeps them all. None: all.

    Raises:
        ValueError: No such experiment (with the closest name); a number of seeds below 1.

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
    chosen = []
    for experiment in suite.experiments:
        kept = experiment.seeds[:seeds]
        if not only or experiment.name in only:
            runs = tuple(run for run in experiment.runs if run["seed"] in kept)
            chosen.append(replace(experiment, seeds=kept, runs=runs))
    said = [f"--only={','.join(only)}"] if only else []
    said += [] if seeds is None else [f"--seeds={seeds}"]
    return replace(suite, experiments=tuple(chosen), part=tuple(said))
