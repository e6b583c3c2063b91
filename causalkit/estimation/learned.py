"""What fit_scm returns: an SCM that remembers what it was learned from, and how well it fits there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from causalkit.mechanisms import Mechanism
from causalkit.scm import SCM

__all__ = ["ExtrapolationWarning", "Fitted", "LearnedSCM"]


class ExtrapolationWarning(UserWarning):
    """do() sets a variable to a value that the data it was learned from do not reach."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """How an SCM was fitted.

    Attributes:
        table: A row a variable: mechanism, the learner; noise, its family; log_likelihood, the held-out mean in nats
            (NaN below 50 rows).
        mechanisms: Those that the diagnostics test: as they were before they saw `rows`, where rows were held out.
        rows: Rows for the diagnostics: those held out, if there are 200; else (the first 2,000 of) those learned from.
        ranges: Variable -> (least, greatest) of its data.
        seed: Of the diagnostics.
    """

    table: pd.DataFrame
    mechanisms: dict[str, Mechanism]
    rows: pd.DataFrame
    ranges: dict[str, tuple[float, float]]
    seed: int

    @cached_property
    def report(self) -> pd.DataFrame:
        """The table beside the diagnostics of `ck.diagnose`, which are computed when they are first asked for."""
        from causalkit.estimation.diagnostics import diagnose

        found = diagnose(SCM(self.mechanisms), self.rows, seed=self.seed)
        return self.table.join(found[[c for c in found.columns if c not in self.table.columns]])


@dataclass(frozen=True, eq=False, repr=False)
class LearnedSCM(SCM):
    """An SCM whose mechanisms were learned: it does what any SCM does, warns beyond its data, and has a `report`.

    What do(), `replace` or a shift makes of it is a LearnedSCM too, with the report of the fit.

    Attributes:
        fitted: How it was fitted.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> learned = ck.fit_scm(scm.graph, scm.sample(1000, seed=0), seed=0)
        >>> list(learned.report.index), learned.report.loc["y", "mechanism"]
        (['x', 'y'], 'linear')
    """

    fitted: Fitted = field(kw_only=True)

    @property
    def report(self) -> pd.DataFrame:
        """A row a variable: mechanism, noise, log_likelihood (held-out mean, nats), and the columns of `ck.diagnose`.

        It is about the fit, whatever was done to the SCM since. The tests are of rows held out; below 1,000 rows, of
        the rows that were learned from, which pass too easily.
        """
        return self.fitted.report

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Variable -> (least, greatest) value in the data that it was learned from."""
        return MappingProxyType(self.fitted.ranges)

    def do(self, values: Mapping[str, float | np.ndarray | pd.Series]) -> SCM:
        """As `SCM.do`; warns where a value lies outside the data's range, for there mechanisms are guesses.

        Warns:
            ExtrapolationWarning: The variable, the value and the range are named.
        """
        changed = super().do(values)
        for name, value in values.items():
            if self.mechanisms[name].levels is not None:
                continue
            (low, high), given = self.ranges[name], np.asarray(value, dtype=np.float64)
            if given.size and (given.min() < low or given.max() > high):
                worst = given.min() if low - given.min() > given.max() - high else given.max()
                warnings.warn(
                    f"do({name} = {worst:.4g}) is outside the data that this SCM was learned from, where {name} runs "
                    f"from {low:.4g} to {high:.4g}: what follows is extrapolated, and nothing in the data supports it",
                    ExtrapolationWarning,
                    stacklevel=2,
                )
        return changed

    # read-only mappings and the frozen graph cannot be pickled: the one travels as a dict, the other is made anew
    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key not in ("graph", "order")}
        return kept | {"mechanisms": dict(self.mechanisms)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, mechanisms=MappingProxyType(state["mechanisms"]))
