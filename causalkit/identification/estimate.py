"""From an estimand and data to a number with an interval.

Discrete data (integer columns): the estimand's own formula on the rows' frequencies, whatever its form. Otherwise the
form decides: adjustment by regression, weighting or both; the front door by two regressions; other formulas by
simulating their factors one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.identification import adjusting
from causalkit.identification.overlap import check_mediators, check_overlap, check_seen, check_shared
from causalkit.identification.plug_in import PlugIn, Regime, regimes
from causalkit.identification.results import Estimate, PositivityError, check_number, check_resamples, interval, varies
from causalkit.identification.simulation import simulated
from causalkit.identification.smooth import codes_as_reals, is_discrete
from causalkit.seeds import Seed, stream

if TYPE_CHECKING:
    from causalkit.identification.estimand import Estimand

__all__ = ["Estimate", "PositivityError", "estimate"]

METHODS = ("auto", "plug-in", "doubly-robust", "regression", "weighting", "linear", "simulation")


def estimate(
    estimand: Estimand,
    frame: pd.DataFrame | Mapping[str, pd.DataFrame],
    do: Mapping[str, float],
    given: Mapping[str, float] | None = None,
    *,
    versus: Mapping[str, float] | None = None,
    method: str = "auto",
    bootstrap: int = 200,
    level: float = 0.95,
    seed: Seed,
) -> Estimate:
    """E[y | do(x = a), w], or its difference from do(x = a'), from data, with a bootstrap interval.

    Args:
        estimand: From `identify`.
        frame: The data [n, columns]; integer columns are discrete. For transport, population -> frame.
        do: Treatment -> value, for each of the estimand's treatments.
        given: Condition -> value, for each of the estimand's conditions.
        versus: Treatment -> the value to compare with; None for the mean under `do` itself.
        method: "plug-in": the formula on frequencies; all columns discrete. "doubly-robust" (discrete treatments),
            "regression", "weighting": adjustment on smooth surfaces, see `adjusting.adjusted`; regression is also the
            front door's. "linear": the same with straight lines, which alone may be drawn beyond the data.
            "simulation": any formula of sums and products, see `simulation`. "auto": plug-in for discrete data, else
            the first of doubly-robust, regression and simulation that fits.
        bootstrap: How many resamples of the rows make the interval.
        level: Of the interval.
        seed: Of the resampling.

    Returns:
        The `Estimate`; for a discrete outcome its `table` has the distribution over the levels.

    Raises:
        PositivityError: A treatment without variation, a value never seen, a part of the population (named) where the
            treatment level does not occur.
        ValueError: Missing or bad columns, do or given that do not fit the estimand, a method that does not fit the
            data or the formula (with those that do).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"z": ck.linear(), "x": ck.linear({"z": 1.0}), "y": ck.linear({"x": 2.0, "z": 3.0})})
        >>> estimand, frame = ck.identify(scm, "y", "x"), scm.sample(1000, seed=0)
        >>> effect = estimate(estimand, frame, {"x": 1.0}, versus={"x": 0.0}, seed=1)
        >>> effect.low < 2.0 < effect.high
        True
    """
    given = dict(given or {})
    _check_question(estimand, do, given, versus, method)
    check_resamples(bootstrap)
    frames = _frames(estimand, frame)
    real = [c for data in frames.values() for c in data if not is_discrete(data[c])]
    if method == "plug-in" or (method == "auto" and not real):
        if real:
            raise ValueError(f"the plug-in wants integer codes, and {real[0]!r} is real: cut it into levels (pd.qcut)")
        return _plug_in(estimand, frames, dict(do), given, versus, bootstrap, level, seed)
    return _smoothed(estimand, frames, dict(do), given, versus, method, bootstrap, level, seed)


def _plug_in(
    estimand: Estimand,
    frames: Mapping[Regime, pd.DataFrame],
    do: dict[str, float],
    given: dict[str, float],
    versus: Mapping[str, float] | None,
    bootstrap: int,
    level: float,
    seed: Seed,
) -> Estimate:
    for frame in frames.values():
        for at in filter(None, (do, versus)):
            check_seen(frame, {n: v for n, v in at.items() if n in frame})
    tables = PlugIn.of(estimand.expression, estimand.outcome, frames, estimand.given)
    found, resampled = tables.resampled({**do, **given}, versus and {**versus, **given}, bootstrap, seed)
    n = sum(map(len, frames.values()))
    return interval(found, resampled, method="plug-in", n=n, level=level, levels=tables.index)


def _smoothed(
    estimand: Estimand,
    frames: Mapping[Regime, pd.DataFrame],
    do: dict[str, float],
    given: dict[str, float],
    versus: Mapping[str, float] | None,
    method: str,
    bootstrap: int,
    level: float,
    seed: Seed,
) -> Estimate:
    data, *others = sorted(frames.values(), key=lambda frame: -len(set(estimand.outcome) & set(frame)))
    targets, levels = _targets(data, estimand.outcome)
    method, estimators, notes = _chosen(estimand, data, method), [], [codes_as_reals(data)]
    for at in filter(None, (do, versus)):
        if estimand.strategy == "transport":
            one, note = _transported(estimand, data, others, targets, dict(at), given, method)
        else:
            one, note = _estimator(estimand, data, targets, dict(at), given, method, seed)
        estimators.append(one)
        notes += [n for n in note if n and n not in notes]
    draws, sizes = stream(seed, "bootstrap"), [len(frame) for frame in (data, *others)]

    def contrast(weights: np.ndarray) -> np.ndarray:
        found = [one(weights) for one in estimators]
        return found[0] - found[1] if versus is not None else found[0]

    def counts() -> np.ndarray:  # how often a resample has each row; the populations are resampled apart
        return np.concatenate([draws.multinomial(n, np.full(n, 1 / n)) for n in sizes]).astype(np.float64)

    resampled = np.array([contrast(counts()) for _ in range(bootstrap)]).reshape(bootstrap, targets.shape[1])
    found = contrast(np.ones(sum(sizes)))
    told = "; ".join(filter(None, notes))
    return interval(found, resampled, method=method, n=sum(sizes), level=level, note=told, levels=levels)


def _chosen(estimand: Estimand, data: pd.DataFrame, method: str) -> str:
    """The method that fits the formula and the treatments, or the one asked for once it is known to fit."""
    treatments = all(is_discrete(data[c]) for c in estimand.do)
    if estimand.strategy == "back-door":
        fitting = ["doubly-robust"] * treatments + ["regression", "linear"]
        fitting += ["weighting"] * (treatments or len(estimand.do) == 1)
    elif estimand.strategy in ("front-door", "no effect"):
        fitting = ["regression", "linear"]
    elif estimand.strategy == "transport":
        if not estimand.steps:
            raise ValueError(
                f"only one S-admissible set is transported on real-valued data, and this is {estimand.expression}"
                ": cut the columns into levels (pd.qcut)"
            )
        fitting = ["regression", "linear"]
    else:
        fitting = []
    fitting += ["simulation"] * (estimand.strategy != "transport")
    if method == "auto":
        return fitting[0]
    if method not in fitting:
        kind = "discrete" if treatments else "real"
        raise ValueError(
            f"method {method!r} does not fit a {estimand.strategy} formula with {kind} treatments; these do: "
            f"{', '.join(fitting)}"
        )
    return method


def _estimator(
    estimand: Estimand,
    data: pd.DataFrame,
    targets: np.ndarray,
    do: dict[str, float],
    given: dict[str, float],
    method: str,
    seed: Seed,
) -> tuple[adjusting.Estimator, list[str]]:
    using, notes = list(estimand.using), []
    if method == "linear":
        varies(data, do)
        notes.append("assumes straight lines, drawn beyond the data where need be")
    else:
        check_seen(data, do)
        check_seen(data, given, "given")
        if estimand.strategy == "back-door":
            notes.append(check_overlap(data, do, [*using, *given]))
        elif estimand.strategy == "front-door":
            notes.append(check_mediators(data, do, using))
    if method == "simulation":
        at = {**do, **given}
        notes.append("real factors drawn as a smooth mean plus a residual")
        return simulated(estimand.expression, data, estimand.outcome, targets, at, seed=seed), notes
    if estimand.strategy == "no effect":
        average = adjusting.mean_given(data, given)
        return lambda weights: average(targets, weights), notes
    if estimand.strategy == "front-door":
        return adjusting.front_door(data, targets, do, using, straight=method == "linear"), notes
    if method == "linear":
        return adjusting.linear(data, targets, do, using, given), notes
    if method == "weighting" and not all(is_discrete(data[c]) for c in do):
        one, note = adjusting.weighted_curve(data, targets, do, using, given)
    else:
        one, note = adjusting.adjusted(data, targets, do, using, given, method)
    return one, [*notes, note]


def _transported(
    estimand: Estimand,
    lab: pd.DataFrame,
    others: list[pd.DataFrame],
    targets: np.ndarray,
    do: dict[str, float],
    given: dict[str, float],
    method: str,
) -> tuple[adjusting.Estimator, list[str]]:
    target, z, notes = (others[0] if others else lab), [*estimand.using, *given], []
    if method == "linear":
        notes.append("assumes straight lines, drawn beyond the data where need be")
    else:
        check_seen(lab, do)
        check_seen(lab, given, "given")
        notes.append(check_overlap(lab, do, z))
        if others:
            notes.append(check_shared(lab, target, z, "the experiment"))
    one = adjusting.transported(lab, target, targets, do, estimand.using, given, straight=method == "linear")
    return one, notes


def _targets(data: pd.DataFrame, outcome: tuple[str, ...]) -> tuple[np.ndarray, pd.Index | None]:
    """The outcome's values, then an indicator a level of a discrete one: [n, 1 + levels]; and the levels."""
    columns = data[list(outcome)]
    if len(outcome) == 1:
        values = columns.to_numpy(np.float64)
        if not is_discrete(columns[outcome[0]]):
            return values, None
        levels = pd.Index(np.unique(columns[outcome[0]]), name=outcome[0])
        return np.column_stack([values, values == levels.to_numpy()]), levels
    if not all(is_discrete(columns[c]) for c in columns):
        raise ValueError(f"the outcomes {', '.join(outcome)} are not all discrete: estimate real ones one at a time")
    levels = pd.MultiIndex.from_product([np.unique(columns[c]) for c in columns], names=list(outcome))
    indicators = [(columns == list(one)).all(axis=1).to_numpy() for one in levels]
    return np.column_stack([np.full(len(data), np.nan), *indicators]), levels


def _check_question(
    estimand: Estimand,
    do: Mapping[str, float],
    given: Mapping[str, float],
    versus: Mapping[str, float] | None,
    method: str,
) -> None:
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    asked = (("do", do, estimand.do), ("given", given, estimand.given), ("versus", versus, estimand.do))
    for role, values, wanted in asked:
        if values is None:
            continue
        if not isinstance(values, Mapping):
            raise ValueError(f"{role} takes a mapping from variable to value, got {values!r}: write {{'x': 1.0}}")
        for name in values:
            if name not in wanted:
                raise unknown(f"variable in {role}", name, wanted)
        for name in wanted:
            if name not in values:
                raise ValueError(f"{role} lacks a value of {name!r}: the estimand is {estimand.question}")
        for name, value in values.items():
            check_number(value, f"{role} of {name!r}")


def _frames(estimand: Estimand, frame: pd.DataFrame | Mapping[str, pd.DataFrame]) -> dict[Regime, pd.DataFrame]:
    """Regime -> its rows, the columns that the formula needs of it."""
    wanted = regimes(estimand.expression) or {("", ()): estimand.outcome}
    if set(wanted) == {("", ())}:
        if isinstance(frame, Mapping) and not isinstance(frame, pd.DataFrame):
            raise ValueError("this estimand is about one population: give its frame, not a mapping of frames")
        asked = [*estimand.outcome, *estimand.do, *estimand.given, *wanted["", ()], *estimand.using]
        return {("", ()): check_frame(frame, list(dict.fromkeys(asked)), min_rows=10)}
    if isinstance(frame, pd.DataFrame) or not isinstance(frame, Mapping):
        raise ValueError(f"transport needs a frame a population: give a mapping with {', '.join(map(_named, wanted))}")
    result = {}
    for (population, do), columns in wanted.items():
        alone = sum(other == population for other, _ in wanted) == 1
        name = population if alone and population in frame else _named((population, do))
        if name not in frame:
            raise unknown("population; the formula needs one called", name, frame)
        result[population, do] = check_frame(frame[name], columns, min_rows=10)
    return result


def _named(regime: Regime) -> str:
    """What a population's frame is called: "lab", or "lab do(x)" where one needs to be told from the other."""
    population, do = regime
    return f"{population} do({', '.join(do)})" if do else population
