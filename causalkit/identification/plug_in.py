"""Discrete data: the estimand's formula, whatever its form, evaluated on the rows' own frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalkit.identification.expressions import Expression, Joint, Probability, Product, Sum, evaluate, free
from causalkit.identification.results import PositivityError
from causalkit.seeds import Seed, stream

__all__ = ["PlugIn", "Regime", "parts_of", "regimes"]

CELLS = 2**20
"""The most combinations of levels that are counted."""

Regime = tuple[str, tuple[str, ...]]
"""A population, and what was set at random there: where rows come from."""


def regimes(expression: Expression) -> dict[Regime, tuple[str, ...]]:
    """Where the formula's probabilities come from, and the columns that it needs of each.

    Example:
        >>> formula = Product((Probability(("y",), ("z",), ("x",), "lab"), Probability(("z",), population="target")))
        >>> regimes(formula)
        {('lab', ('x',)): ('x', 'y', 'z'), ('target', ()): ('z',)}
    """
    if isinstance(expression, Probability):
        return {(expression.population, expression.do): tuple(sorted(free(expression)))}
    found: dict[Regime, tuple[str, ...]] = {}
    for part in parts_of(expression):
        for regime, names in regimes(part).items():
            found[regime] = tuple(sorted({*found.get(regime, ()), *names}))
    return found


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """The formulas that this one is made of."""
    if isinstance(expression, Probability):
        return ()
    if isinstance(expression, Sum):
        return (expression.term,)
    return expression.terms if isinstance(expression, Product) else (expression.top, expression.bottom)


@dataclass(frozen=True, eq=False)
class PlugIn:
    """A formula on the frequencies of discrete data.

    Attributes:
        expression: The formula.
        outcome: Of which it is the distribution.
        frames: Regime -> its rows, integer columns.
        levels: Variable -> its levels, in all of the frames.
        given: What the question conditions on: only strata that occur with it are looked at for what is missing.
    """

    expression: Expression
    outcome: tuple[str, ...]
    frames: Mapping[Regime, pd.DataFrame]
    levels: Mapping[str, np.ndarray]
    given: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        expression: Expression,
        outcome: tuple[str, ...],
        frames: Mapping[Regime, pd.DataFrame],
        given: tuple[str, ...] = (),
    ) -> PlugIn:
        """The formula on these frames, once they have few enough combinations of levels to be counted.

        Raises:
            ValueError: More than 2^20 combinations.
        """
        columns = dict.fromkeys(n for frame in frames.values() for n in frame)
        levels = {n: np.unique(np.concatenate([f[n] for f in frames.values() if n in f])) for n in columns}
        if math.prod(map(len, levels.values())) > CELLS:
            counts = ", ".join(f"{n} {len(values)}" for n, values in levels.items())
            raise ValueError(f"more than {CELLS} combinations of levels ({counts}): merge levels of the largest ones")
        return cls(expression, outcome, frames, levels, given)

    @property
    def index(self) -> pd.Index:
        """The outcome's levels, or the combinations of several outcomes' levels."""
        if len(self.outcome) == 1:
            return pd.Index(self.levels[self.outcome[0]], name=self.outcome[0])
        return pd.MultiIndex.from_product([self.levels[n] for n in self.outcome], names=list(self.outcome))

    def counts(self) -> dict[Regime, np.ndarray]:
        """Regime -> how many rows have each combination of levels; an axis of length 1 for a column that it lacks."""
        result = {}
        for regime, frame in self.frames.items():
            shape = [len(values) if n in frame else 1 for n, values in self.levels.items()]
            cell = np.zeros(len(frame), dtype=np.int64)
            for (name, values), count in zip(self.levels.items(), shape, strict=True):
                cell = cell * count + (np.searchsorted(values, frame[name]) if name in frame else 0)
            result[regime] = np.bincount(cell, minlength=math.prod(shape)).reshape(shape).astype(np.float64)
        return result

    def statistics(self, counts: Mapping[Regime, np.ndarray], at: Mapping[str, float]) -> np.ndarray:
        """The outcome's mean (NaN of several), then the probability of each of its levels; NaN where not defined."""
        found = evaluate(self.expression, lambda do, population: self._joint(counts, do, population))
        array = found.array[tuple(self._place(n, at[n]) if n in at else slice(None) for n in found.names)]
        left = [n for n in found.names if n not in at]
        spare = [n for n in left if n not in self.outcome]
        array = array.transpose([left.index(n) for n in (*self.outcome, *spare)])
        if spare:
            array = self._averaged(array, spare, next(iter(counts)), counts)
        single = len(self.outcome) == 1
        mean = float(array @ self.levels[self.outcome[0]].astype(np.float64)) if single else math.nan
        return np.array([mean, *array.ravel()])

    def resampled(
        self, values: Mapping[str, float], versus: Mapping[str, float] | None, bootstrap: int, seed: Seed
    ) -> tuple[np.ndarray, np.ndarray]:
        """The statistics [1 + levels], and those of bootstrap resamples [bootstrap, 1 + levels]; minus `versus`'s.

        Raises:
            PositivityError: The formula has no value on these data; the stratum that is empty is named.
        """
        counts, draws = self.counts(), stream(seed, "bootstrap")

        def contrast(table: Mapping[Regime, np.ndarray]) -> np.ndarray:
            done = self.statistics(table, values)
            return done if versus is None else done - self.statistics(table, versus)

        found = contrast(counts)
        if np.isnan(found[1:]).any():
            for at in filter(None, (values, versus)):
                self._name_empty(self.expression, at, frozenset())
            raise PositivityError("the formula has no value on these data: a stratum that it conditions on is empty")
        again = []
        for _ in range(bootstrap):  # resampling rows is drawing the counts of the combinations that occur
            again.append(contrast({regime: _redrawn(c, draws) for regime, c in counts.items()}))
        return found, np.array(again).reshape(len(again), len(found))

    def _joint(self, counts: Mapping[Regime, np.ndarray], do: tuple[str, ...], population: str) -> Joint:
        """The counts; where do was set at random, P(v | do) is P(v | what was set), and `evaluate` divides by that."""
        wide = counts.get((population, do), np.ones(()))
        return Joint(tuple(self.levels), np.broadcast_to(wide, [len(values) for values in self.levels.values()]))

    def _averaged(
        self, array: np.ndarray, spare: list[str], regime: Regime, counts: Mapping[Regime, np.ndarray]
    ) -> np.ndarray:
        """A value that the formula leaves open, and on which it does not depend, weighted as it occurs in the data."""
        share = self._joint(counts, regime[1], regime[0]).over(*spare).array.ravel()
        array = array.reshape(*array.shape[: len(self.outcome)], -1)
        weight = share * np.isfinite(array).all(tuple(range(len(self.outcome))))
        if not weight.any():
            return array[..., 0] * np.nan
        return (np.where(weight > 0, array, 0.0) * weight).sum(-1) / weight.sum()

    def _place(self, name: str, value: float) -> int:
        place = np.flatnonzero(self.levels[name] == value)
        if not len(place):
            seen = ", ".join(f"{v:g}" for v in self.levels[name][:10])
            raise PositivityError(f"{name} = {value:g}: no row has that value; the data show {seen}")
        return int(place[0])

    def _name_empty(self, part: Expression, at: Mapping[str, float], bound: frozenset[str]) -> None:
        """Raises for the first condition that the formula needs and no row meets, though the rest of it is met."""
        if not isinstance(part, Probability):
            for inner in parts_of(part):
                self._name_empty(inner, at, bound | set(part.over) if isinstance(part, Sum) else bound)
            return
        frame = self.frames[part.population, part.do]
        fixed = {n: v for n, v in at.items() if n in (*part.given, *part.do) and n not in bound}
        rest = [n for n in part.given if n not in fixed]
        if not fixed or not rest:
            return
        matches = np.logical_and.reduce([frame[n] == v for n, v in fixed.items()])
        known = np.logical_and.reduce([frame[n] == v for n, v in fixed.items() if n in self.given] or [matches | True])
        there = set(map(tuple, frame.loc[matches, rest].to_numpy().tolist()))
        missing = [s for s in sorted(set(map(tuple, frame.loc[known, rest].to_numpy().tolist()))) if s not in there]
        if missing:
            count = int((frame[rest] == list(missing[0])).all(axis=1).sum())
            where, wanted = (
                ", ".join(f"{n} = {v:g}" for n, v in pairs)
                for pairs in (zip(rest, missing[0], strict=True), fixed.items())
            )
            raise PositivityError(
                f"no row has {wanted} where {where} ({count} of {len(frame)} rows): {part} has no value there. Merge "
                "levels, or leave that stratum out and say so"
            )


def _redrawn(counts: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    seen = counts > 0
    result = np.zeros_like(counts)
    result[seen] = draws.multinomial(int(counts.sum()), counts[seen] / counts.sum())
    return result
