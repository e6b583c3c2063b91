"""Tests of independence by HSIC, whose p-values cost no permutations: the null's first moments are known.

The statistic is sum_ij K_ij L_ij of the centred kernels K, L [n, n] of the two samples, n^2 times the biased HSIC of
Gretton et al. (2008). Its mean and variance over all n! permutations of one sample are exact (Kazi-Aoual, Hitier,
Sabatier and Lebreton 1995, whose formulas Josse, Pages and Husson 2008 give in this form), its skewness is that of the
limit, a sum of weighted chi-squares; the p-value is that of a Pearson type III distribution with these three moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

__all__ = ["Kernel", "independent", "least", "scores"]


def scores(values: np.ndarray) -> np.ndarray:
    """The columns' normal scores [n, k]: the normal quantiles of their ranks, so that tails and units do not matter.

    Example:
        >>> scores(np.array([[1.0], [1000.0], [10.0]])).round(2).ravel().tolist()
        [-0.97, 0.97, 0.0]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri((rankdata(values, axis=0) - 0.5) / len(values))


@dataclass(frozen=True, eq=False)
class Kernel:
    """The centred Gaussian kernel exp(-d^2 / 2 w^2) of n points, d their distances, w the median of those that are > 0.

    Example:
        >>> sample = Kernel.of(np.arange(5.0)[:, None])
        >>> bool(np.allclose(sample.values.sum(0), 0))
        True
    """

    values: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> Self:
        """The kernel [n, n] of points [n, k]."""
        from scipy.spatial.distance import pdist, squareform

        squared = pdist(points, "sqeuclidean")
        apart = squared[squared > 0]
        values = np.exp(-squareform(squared) / (2 * np.median(apart) if len(apart) else 1.0))
        rows = values.mean(0)
        return cls(values - rows - rows[:, None] + rows.mean())

    @cached_property
    def moments(self) -> tuple[float, float, float, float]:
        """What the null's moments are made of, from the n - 1 eigenvalues l_i, whose mean is l, and the diagonal.

        l, sum (l_i - l)^2, what the diagonal adds to a variance, and sum (l_i - l)^3.
        """
        n, values = len(self.values), self.values
        trace, square = float(np.trace(values)), float((values * values).sum())
        middle = trace / (n - 1)
        edge = n * (n + 1) * float((np.diagonal(values) ** 2).sum()) - (n - 1) * (trace**2 + 2 * square)
        single = values.astype(np.float32)  # enough for a skewness, in half the time
        cube = float(((single @ single) * single).sum(dtype=np.float64))
        return middle, square - (n - 1) * middle**2, edge, cube - 3 * middle * square + 2 * (n - 1) * middle**3


def independent(one: Sequence[Kernel], other: Sequence[Kernel]) -> np.ndarray:
    """p-values [a, b] of independence, of a samples of n rows against b.

    Returns:
        Small where the two depend on each other; NaN where one of them is constant.

    Example:
        >>> x = np.linspace(-1.0, 1.0, 100)[:, None]
        >>> bool(independent([Kernel.of(x)], [Kernel.of(x**2)])[0, 0] < 1e-6)
        True
    """
    from scipy.stats import pearson3

    n = len(one[0].values)
    statistic = np.array([[float(np.vdot(k.values, sample.values)) for sample in other] for k in one])
    parts = [np.array([k.moments for k in kernels]).T for kernels in (one, other)]
    means, rests, edges, cubes = (np.multiply.outer(*both) for both in zip(*parts, strict=True))
    variance = 2 * rests / ((n + 1) * (n - 2)) + edges / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = 8 * cubes / n**3 / variance**1.5
        return pearson3.sf((statistic - (n - 1) * means) / variance**0.5, skew)


def least(p_values: np.ndarray) -> float:
    """The p-value of the least of several p-values [k], exact where these are independent (Sidak 1967); NaNs are none.

    Example:
        >>> round(least(np.array([0.01, 0.5])), 4)
        0.0199
    """
    known = p_values[~np.isnan(p_values)]
    return float(-np.expm1(len(known) * np.log1p(-min(known.min(), 1 - 1e-15)))) if len(known) else float("nan")
