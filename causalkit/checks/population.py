"""Rung three against rung two: over a population, counterfactuals have to make up the distribution under do()."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import torch

from causalkit.checks.units import Case, Line, Units, drawn
from causalkit.scm import SCM
from causalkit.seeds import generator, integer

__all__ = ["mmd", "mmd_limit", "populations"]

ROWS = 500  # of either sample: the kernel matrix grows with their square
PERMUTATIONS = 200


def mmd(one: np.ndarray, other: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two samples [n, d], Gaussian kernel, the median distance its width.

    The V-statistic (Gretton et al. 2012, equation 5): never negative, and about 2/n (1 - mean kernel) where both
    samples come from one distribution, so that a floor has to stand beside it.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> mmd(rows[:100], rows[100:]) < 0.02 < mmd(rows[:100], rows[100:] + 1)
        True
    """
    kernel, n = _kernel(one, other), len(one)
    return float(kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean())


def mmd_limit(one: np.ndarray, other: np.ndarray, level: float, *, seed: int) -> tuple[float, float]:
    """`mmd` of two samples, and what it exceeds with this probability where both come from one distribution.

    Rows change sides at random, 200 times over; a gamma distribution with the mean and variance of what comes out
    reaches levels far below 1/200 (Gretton et al. 2009).
    """
    from scipy.stats import gamma

    kernel, n, m = _kernel(one, other), len(one), len(other)
    sides, draw = np.r_[np.full(n, 1 / n), np.full(m, -1 / m)], generator(seed, "permutations")
    signs = np.stack([sides[torch.randperm(n + m, generator=draw).numpy()] for _ in range(PERMUTATIONS)], 1)
    null = (signs * (kernel @ signs)).sum(0)
    mean, variance = null.mean(), max(null.var(), 1e-300)
    found = float(sides @ (kernel @ sides))
    return found, float(gamma.isf(level, mean**2 / variance, scale=variance / mean))


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist, squareform

    distance = pdist(np.concatenate([one, other]), "sqeuclidean")
    median = float(np.median(distance))
    return np.exp(-squareform(distance) / (median if median > 0 else 1.0))


def populations(units: Units, asked: list[Case], level: float) -> list[Line]:
    """The units' counterfactuals against draws under do(): the model's own, and with a truth the true ones.

    The reference is the floor: the same measure, against the very same draws, for rows that follow their distribution
    for certain (the true counterfactuals of the same units; of the model's own, fresh draws). The limit is passed by
    chance with probability level / number of comparisons.
    """
    each, lines = level / max(1, 2 * len(asked)), []
    for k, case in enumerate(asked):
        seed = integer(units.seed, "population", k)
        fresh = drawn(units.learned, case.do, len(units.frame), seed=integer(seed, "own floor"))
        lines.append(_against(units, case, "own", units.learned, fresh, each, seed))
        if units.truth is not None and case.true is not None:
            lines.append(_against(units, case, "true", units.truth, case.true, each, seed))
            lines += _means(units, case, case.true)
    if units.truth is None:
        lines.append(Line.unknown("population", "MMD to true do()", "without the truth (truth=) or an experiment, "
                                  "nothing is known of the world under do()"))  # fmt: skip
    return lines


def _against(units: Units, case: Case, whose: str, scm: SCM, alike: pd.DataFrame, level: float, seed: int) -> Line:
    """The units' counterfactuals against draws of an SCM under do(); rows that are alike for certain are the floor."""
    names = [v for v in units.learned.variables if v not in case.do]
    draws = drawn(scm, case.do, min(ROWS, len(units.frame)), seed=integer(seed, "draws"))
    rows = np.linspace(0, len(units.frame) - 1, len(draws)).astype(int)
    found, floor, other = (
        (frame[names] / units.sd[names]).to_numpy(np.float64)
        for frame in (case.imagined.iloc[rows], alike.iloc[rows], draws)
    )
    bottom, limit = mmd_limit(floor, other, level, seed=seed)
    line = Line.judged(
        "population", f"MMD to {whose} do()", case.label, mmd(found, other), limit, "MMD²",
        against="floor: the SCM itself", reference=bottom,
        why=f"{len(draws)} rows against {len(draws)} draws",
    )  # fmt: skip
    if case.inside or whose == "own":
        return line
    return dataclasses.replace(line, verdict="no verdict", why="outside the data, where a model can but guess")


def _means(units: Units, case: Case, true: pd.DataFrame) -> list[Line]:
    """The mean over the population beside the true one, of the same units; the reference is its Monte-Carlo error."""
    lines = []
    where = "" if case.inside else "; outside the data"
    moved = units.descendants(list(case.do)) | units.descendants(list(case.do), truly=True)
    for name in (v for v in units.learned.variables if v in moved):
        value = abs(float(case.imagined[name].mean() - true[name].mean())) / units.sd[name]
        floor = float(true[name].std(ddof=1)) / len(true) ** 0.5 / units.sd[name]
        unit = "codes" if name in units.discrete else "sd"
        why = f"distance from the true mean of the same units{where}"
        lines.append(
            Line("population", f"mean of {name}", case.label, value, unit, "1 se of the true mean", floor, why=why)
        )
    return lines
