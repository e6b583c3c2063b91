"""What an estimate of an effect is, its bootstrap interval, and the doors that all estimators share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import pandas as pd

__all__ = ["Estimate", "PositivityError", "check_number", "check_resamples", "interval", "varies"]


class PositivityError(ValueError):
    """The data never show the treatment level that is asked about in a part of the population; the part is named."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """An interventional mean, or a difference of two, with its bootstrap interval.

    Attributes:
        value: E[y | do(x), given], or that minus the same under `versus`; for an outcome of codes 0 and 1 it is
            P(y = 1 | do(x), given). NaN where there are several outcomes, which have no one mean: read `table`.
        low: Lower end of the percentile interval.
        high: Upper end.
        se: Standard deviation of the bootstrap estimates; NaN without them.
        method: How it was estimated.
        n: Rows of data.
        level: Of the interval.
        note: The assumptions that the method makes beside the graph's, and what the data made hard.
        table: For discrete data, a row a level of the outcome (a combination, of several outcomes): probability (or
            difference), low, high. Empty for real outcomes.
    """

    value: float
    low: float
    high: float
    se: float
    method: str
    n: int
    level: float = 0.95
    note: str = ""
    table: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __str__(self) -> str:
        width = f"{100 * self.level:g}%"
        return f"{self.value:.4g} ({width} interval {self.low:.4g} to {self.high:.4g}; {self.method}, n = {self.n})"


def interval(
    values: np.ndarray,
    resampled: np.ndarray,
    *,
    method: str,
    n: int,
    level: float,
    note: str = "",
    levels: pd.Index | None = None,
) -> Estimate:
    """The estimate with its percentile bootstrap interval (Efron and Tibshirani 1993, section 13.3).

    Args:
        values: The mean, then the probabilities of the levels where there are some [1 + levels].
        resampled: The same a bootstrap resample [bootstrap, 1 + levels]; a row with NaN is one in which the estimate
            did not exist, and is left out.
        method: How it was estimated.
        n: Rows of data.
        level: Of the interval, between 0 and 1.
        note: Assumptions and what was hard.
        levels: The outcome's levels.

    Raises:
        ValueError: A level that is not between 0 and 1.
        PositivityError: The estimate did not exist in more than half of the resamples.
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level!r}: give the interval's coverage, between 0 and 1, such as 0.95")
    fine = (
        resampled[~np.isnan(resampled[:, 1:] if len(values) > 1 else resampled).any(1)] if len(resampled) else resampled
    )
    if len(fine) < len(resampled) / 2:
        raise PositivityError(
            f"in {len(resampled) - len(fine)} of {len(resampled)} bootstrap resamples some stratum lacks the treatment "
            "level: the data are too thin there; merge levels, or gather more rows"
        )
    if len(fine) < len(resampled):
        missing = f"{len(resampled) - len(fine)} of {len(resampled)} resamples left out (a stratum was empty)"
        note = f"{note}; {missing}" if note else missing
    nothing = np.full(len(values), np.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(fine, tails, axis=0) if len(fine) else (nothing, nothing)
    se = fine.std(0, ddof=1) if len(fine) > 1 else nothing
    columns = {"probability": values[1:], "low": low[1:], "high": high[1:]}
    table = pd.DataFrame() if levels is None else pd.DataFrame(columns, index=levels)
    return Estimate(float(values[0]), float(low[0]), float(high[0]), float(se[0]), method, n, level, note, table)


def check_number(value: object, what: str = "do or versus") -> None:
    """Nothing, once the value that something is set to is known to be a finite number.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, (Real, np.bool_)) or not np.isfinite(float(value)):
        raise ValueError(f"{what} has {value!r}: give a finite number")


def check_resamples(bootstrap: int) -> None:
    """Nothing, once the number of resamples is known to be a count.

    Raises:
        ValueError: It is none.
    """
    if isinstance(bootstrap, bool) or not isinstance(bootstrap, int) or bootstrap < 0:
        raise ValueError(f"bootstrap = {bootstrap!r}: give a number of resamples, such as 200, or 0 for no interval")


def varies(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Nothing, once these columns are known to take more than one value.

    Raises:
        PositivityError: One is constant.
    """
    for name in columns:
        if frame[name].nunique() < 2:
            raise PositivityError(
                f"{name!r} is {frame[name].iloc[0]:g} in all {len(frame)} rows: without variation the data say nothing "
                "about its effect; gather rows with other values"
            )
