"""Adjustment and front door on real-valued or mixed data, by smooth regressions and weights.

Every estimator here is made once for a frame and gives a function from the rows' weights [n] to the means [targets]: a
bootstrap resample is the rows' counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from causalkit.identification.overlap import at_level
from causalkit.identification.results import PositivityError
from causalkit.identification.smooth import is_discrete, smooth

__all__ = ["Estimator", "adjusted", "front_door", "leading", "linear", "mean_given", "transported", "weighted_curve"]

Estimator = Callable[[np.ndarray], np.ndarray]
LEAST = 0.01
"""Propensities below count as this, so that no single row carries more than the weight of a hundred."""
FEWEST = 20.0
"""The least effective number of treated rows for which weights are believed."""
POINTS = 20
"""How many values stand for a real treatment's distribution where it is averaged over."""


def leading(targets: np.ndarray) -> np.ndarray:
    """The target [n] by which a surface's penalty is chosen: the value, or the last level of several outcomes."""
    return targets[:, -1] if np.isnan(targets[:, 0]).any() else targets[:, 0]


def mean_given(frame: pd.DataFrame, given: Mapping[str, float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(targets [n, k], weights [n]) -> their weighted means [k]; at `given` (by a smooth regression), if any."""
    if not given:
        return lambda targets, weights: weights @ targets / weights.sum()
    at = frame.iloc[:1].assign(**given)

    def conditional(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return (there @ curve.fit(design, targets, weights))[0]

    curve = smooth(frame, list(given), np.zeros(len(frame)))
    curve = replace(curve, penalty=1.0)
    design, there = curve.design(frame), curve.design(at)
    return conditional


def adjusted(
    frame: pd.DataFrame,
    targets: np.ndarray,
    do: Mapping[str, float],
    covariates: Sequence[str],
    given: Mapping[str, float],
    method: str,
) -> tuple[Estimator, str]:
    """E[target | do(x = a), w] by adjusting for z, and a note.

    "regression": the mean over z of the fitted E[target | x = a, z, w] (the g-formula; Robins 1986). "weighting": of
    the rows at x = a, each weighted with 1 / P(x = a | z, w) (Hajek 1971). "doubly-robust": the regression's mean plus
    the weighted mean of its residuals, right if either model is (Robins, Rotnitzky and Zhao 1994); P(x = a | z, w) is
    a logistic regression on the same features.

    Raises:
        PositivityError: The weights leave fewer than 20 effective rows.
    """
    average, besides = mean_given(frame, given), [*covariates, *given]
    surface = smooth(frame, [*do, *besides], leading(targets))
    design, moved = surface.design(frame), surface.design(frame.assign(**do))
    if method == "regression":
        return lambda weights: average(moved @ surface.fit(design, targets, weights), weights), ""
    near = at_level(frame, do)
    propensity = _propensity(frame, near, besides)
    inverse = near / propensity(np.ones(len(frame)))
    size = inverse.sum() ** 2 / (inverse**2).sum()
    note = f"effective number of rows at do: {size:.0f} of {near.sum()}"
    if size < FEWEST:
        raise PositivityError(
            f"{note}: a few rows with P({', '.join(do)} | {', '.join(besides)}) near 0 carry the estimate; ask about "
            "values that occur everywhere, or assume a smooth surface with method='regression'"
        )
    if method == "weighting":
        return lambda weights: average(targets, weights * near / propensity(weights)), note

    def robust(weights: np.ndarray) -> np.ndarray:
        fitted = moved @ surface.fit(design, targets, weights)
        return average(fitted + (near / propensity(weights))[:, None] * (targets - fitted), weights)

    return robust, note


def _propensity(frame: pd.DataFrame, near: np.ndarray, covariates: Sequence[str]) -> Estimator:
    """Rows' weights -> P(near | covariates) [n]."""
    from sklearn.linear_model import LogisticRegression

    if not covariates:
        return lambda weights: np.full(len(near), max(weights @ near / weights.sum(), LEAST))
    design = smooth(frame, covariates, near.astype(float)).design(frame)[:, 1:]

    def probabilities(weights: np.ndarray) -> np.ndarray:
        model = LogisticRegression(solver="newton-cholesky").fit(design, near, sample_weight=weights)
        return model.predict_proba(design)[:, 1].clip(LEAST)

    return probabilities


def weighted_curve(
    frame: pd.DataFrame,
    targets: np.ndarray,
    do: Mapping[str, float],
    covariates: Sequence[str],
    given: Mapping[str, float],
) -> tuple[Estimator, str]:
    """E[target | do(x = a), w] for one real x: a smooth curve in x on rows weighted with p(x | w) / p(x | z, w).

    Both densities are normal around smooth means (stabilised weights; Robins, Hernan and Brumback 2000).

    Raises:
        PositivityError: The weights leave fewer than 20 effective rows.
    """
    (x,) = do
    treated = frame[[x]].to_numpy(np.float64)
    curve = smooth(frame, [x, *given], leading(targets))
    design, there = curve.design(frame), curve.design(frame.iloc[:1].assign(**do, **given))
    models = [
        (m, m.design(frame))
        for m in (smooth(frame, c, treated[:, 0]) for c in (list(given), [*covariates, *given]) if c)
    ]

    def ratios(weights: np.ndarray) -> np.ndarray:
        logs = [_log_normal(treated - weights @ treated / weights.sum(), weights)] if not given else []
        logs += [_log_normal(treated - d @ m.fit(d, treated, weights), weights) for m, d in models]
        ratio = np.exp(np.clip(logs[0] - logs[-1], -10, 10))
        return ratio.clip(max=np.quantile(ratio, 0.995))

    ones = ratios(np.ones(len(frame)))
    size = ones.sum() ** 2 / (ones**2).sum()
    note = f"effective number of rows after weighting: {size:.0f} of {len(frame)}; {x} taken as normal around its mean"
    if size < FEWEST:
        raise PositivityError(f"{note}: a few rows carry the estimate; use method='regression', which assumes more")
    return lambda weights: (there @ curve.fit(design, targets, weights * ratios(weights)))[0], note


def _log_normal(residual: np.ndarray, weights: np.ndarray) -> np.ndarray:
    variance = weights @ residual[:, 0] ** 2 / weights.sum()
    return -0.5 * (residual[:, 0] ** 2 / variance + np.log(variance))


def linear(
    frame: pd.DataFrame,
    targets: np.ndarray,
    do: Mapping[str, float],
    covariates: Sequence[str],
    given: Mapping[str, float],
) -> Estimator:
    """E[target | do(x = a), w] by one linear regression on x, z and w: extrapolates wherever it is asked to."""
    surface, average = (
        smooth(frame, [*do, *covariates, *given], leading(targets), linear=True),
        mean_given(frame, given),
    )
    design, moved = surface.design(frame), surface.design(frame.assign(**do))
    return lambda weights: average(moved @ surface.fit(design, targets, weights), weights)


def front_door(
    frame: pd.DataFrame,
    targets: np.ndarray,
    do: Mapping[str, float],
    mediators: Sequence[str],
    *,
    straight: bool = False,
) -> Estimator:
    """E[target | do(x = a)] = E[h(m) | x = a] with h(m) = E_x'[E[target | m, x']]: two smooth (or linear) regressions.

    The mean over x' is over its levels, or over 20 equally filled bins of a real x. Source: Pearl (2009), equation
    3.29; the two regressions as in Fulcher et al. (2020).
    """
    inner = smooth(frame, [*mediators, *do], leading(targets), linear=straight)
    design = inner.design(frame)
    bins, points = _bins(frame[list(do)])
    moved = [inner.design(frame.assign(**dict(zip(do, point, strict=True)))).astype(np.float32) for point in points]
    means = [inner_mean @ inner.fit(design, targets, np.ones(len(frame))) for inner_mean in moved]
    outer = smooth(frame, list(do), leading(np.mean(means, axis=0)), linear=straight)
    outside, there = outer.design(frame), outer.design(frame.iloc[:1].assign(**do))

    def estimator(weights: np.ndarray) -> np.ndarray:
        coefficients = inner.fit(design, targets, weights)
        shares = np.bincount(bins, weights, minlength=len(points)) / weights.sum()
        h = sum(share * (made @ coefficients) for share, made in zip(shares, moved, strict=True))
        return (there @ outer.fit(outside, h, weights))[0]

    return estimator


def transported(
    lab: pd.DataFrame,
    target: pd.DataFrame,
    targets: np.ndarray,
    do: Mapping[str, float],
    covariates: Sequence[str],
    given: Mapping[str, float],
    *,
    straight: bool = False,
) -> Estimator:
    """E[target | do(x = a), w] elsewhere: the experiment's regression on x, z and w, averaged over the z seen there.

    The weights are of the experiment's rows, then of the target's, if these are others. Source: Pearl and Bareinboim
    (2014), corollary 1.
    """
    surface, average = (
        smooth(lab, [*do, *covariates, *given], leading(targets), linear=straight),
        mean_given(target, given),
    )
    design, moved = surface.design(lab), surface.design(target.assign(**do))

    def estimator(weights: np.ndarray) -> np.ndarray:
        own = weights[: len(lab)]
        return average(moved @ surface.fit(design, targets, own), own if target is lab else weights[len(lab) :])

    return estimator


def _bins(treatments: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Each row's bin [n], and a bin's values [bins, treatments]: a bin a level, or 20 along a real treatment."""
    if all(is_discrete(treatments[c]) for c in treatments):
        points, bins = np.unique(treatments.to_numpy(), axis=0, return_inverse=True)
        return bins.ravel(), points
    if treatments.shape[1] > 1:
        raise ValueError(
            "the front door for several treatments wants integer codes for all of them: cut the real ones into levels"
        )
    values = treatments.to_numpy(np.float64)[:, 0]
    bins = np.minimum(values.argsort().argsort() * POINTS // len(values), POINTS - 1)
    return bins, np.array([[values[bins == k].mean()] for k in range(POINTS) if (bins == k).any()])
