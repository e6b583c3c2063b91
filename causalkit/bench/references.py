"""What an experiment says about its own axes and metrics: baseline, plots, effects and published figures, checked.

A name that is not swept, a metric that is not listed or a level that no run has would be found out only after hours
of runs; here it is an error before the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causalkit.errors import unknown

if TYPE_CHECKING:
    from causalkit.bench.suite import Experiment

__all__ = ["COSTS", "check_references", "matches"]

COSTS = ("total_seconds", "peak_memory_mib")  # every run has these, whatever its notebook records
NUMBER = (int, float)
SCALES = ("linear", "log", "log_x")
PLOT = {"x": str, "y": str, "by": str, "facet": str, "where": dict, "scale": str}
FIGURE = {"label": str, "where": dict, "metric": str, "value": NUMBER, "sd": NUMBER, "n": int, "tolerance": NUMBER,
          "reason": str}  # fmt: skip


def check_references(
    experiment: Experiment, runs: Sequence[Mapping[str, Any]], either: Sequence[Mapping[str, Any]]
) -> None:
    """Check what an experiment names.

    Args:
        experiment: The experiment.
        runs: All parameters of each of its runs, defaults included.
        either: The same for the fast and the full budget together: published figures may belong to one of them.

    Raises:
        ValueError: A name that is not swept, a metric that is not listed, a level that no run has, effects that are
            no full factorial, a figure without a rule.
    """
    _check_levels("baseline", experiment.baseline, experiment.axes, runs)
    for plot in experiment.plot:
        _check_plot(plot, experiment, runs)
    _names("effects", experiment.effects, experiment.axes)
    present = {tuple(map(repr, (run[name] for name in experiment.effects))) for run in runs}
    levels = [dict.fromkeys(repr(run[name]) for run in runs) for name in experiment.effects]
    for combination in itertools.product(*levels):
        if combination not in present:
            cell = ", ".join(f"{name} = {level}" for name, level in zip(experiment.effects, combination, strict=True))
            raise ValueError(f"effects want every combination of {', '.join(experiment.effects)}: none has {cell}")
    for figure in experiment.figures:
        _check_figure(figure, experiment, either)


def matches(run: Mapping[str, Any], levels: Mapping[str, Any]) -> bool:
    """Whether a run's parameters have these levels; True is not 1."""
    return all(name in run and run[name] == level and (run[name] is True) == (level is True)
               for name, level in levels.items())  # fmt: skip


def _check_plot(plot: Mapping[str, Any], experiment: Experiment, runs: Sequence[Mapping[str, Any]]) -> None:
    _keys("plot", plot, PLOT, ("x", "y"))
    _names("plot", [plot[key] for key in ("x", "by", "facet") if key in plot], experiment.axes)
    _check_levels("plot", plot.get("where", {}), experiment.axes, runs)
    if plot["y"] not in (*experiment.metrics, *COSTS):
        raise unknown("metric of a plot", plot["y"], [*experiment.metrics, *COSTS])
    if plot.get("scale", "linear") not in SCALES:
        raise unknown("scale of a plot", plot["scale"], SCALES)


def _check_figure(figure: Mapping[str, Any], experiment: Experiment, runs: Sequence[Mapping[str, Any]]) -> None:
    _keys("figure", figure, FIGURE, ("label", "metric", "value"))
    if figure["metric"] not in experiment.metrics:
        raise unknown(f"metric of figure {figure['label']!r}:", figure["metric"], experiment.metrics)
    if "tolerance" not in figure and not {"sd", "n"} <= figure.keys():
        raise ValueError(f"figure {figure['label']!r} has no rule: give its tolerance, or its sd and n")
    for key in ("tolerance", "sd", "n"):
        if figure.get(key, 1) < 0 or figure.get("n", 1) == 0:
            raise ValueError(f"figure {figure['label']!r} has {key} = {figure[key]}: expected a positive number")
    _check_levels(f"figure {figure['label']!r}", figure.get("where", {}), experiment.axes, runs)


def _check_levels(kind: str, levels: Mapping[str, Any], axes: Iterable[str], runs: Iterable[Mapping[str, Any]]) -> None:
    _names(kind, levels, axes)
    if levels and not any(matches(run, levels) for run in runs):
        text = ", ".join(f"{name} = {level!r}" for name, level in levels.items())
        raise ValueError(f"{kind} names {text}: no run has that")


def _names(kind: str, names: Iterable[str], axes: Iterable[str]) -> None:
    for name in names:
        if name not in axes:
            raise unknown(f"axis in {kind}:", name, axes)


def _keys(kind: str, table: Mapping[str, Any], keys: Mapping[str, Any], needed: Iterable[str]) -> None:
    for key, value in table.items():
        if key not in keys:
            raise unknown(f"key of a {kind}", key, keys)
        if not isinstance(value, keys[key]) or isinstance(value, bool):
            raise ValueError(f"{kind} has {key} = {value!r}: expected another type")
    for key in needed:
        if key not in table:
            raise ValueError(f"{kind} {dict(table)} lacks {key!r}")
