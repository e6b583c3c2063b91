"""Weights for a covariate shift, w(x) = q(x) / p(x), from the features of source and target alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalkit.environments import Task
from causalkit.reweighting.rows import mean_one, rows
from causalkit.seeds import Seed, integer, stream

__all__ = ["discriminative", "kmm", "ulsif"]

KMM_ROWS = 10_000


def kmm(
    source: pd.DataFrame, target: pd.DataFrame, task: Task, *, seed: Seed, bound: float = 1000.0, ridge: float = 1.0
) -> np.ndarray:
    """Kernel mean matching, for a covariate shift: the weighted source has the kernel mean of the target.

    min_w w'(K + ridge I)w / 2 - kappa'w, 0 <= w_i <= bound, with K_ij = k(x_i, x_j) [n, n] over source rows, and
    kappa_i = n / m sum_j k(x_i, x'_j) [n] over the target's m rows; then w is scaled to mean 1, in place of the
    published |mean(w) - 1| <= eps. k is Gaussian on standardised features, its bandwidth the median distance.

    The published problem is ridge = 0. K has a few large eigenvalues and thousands near 0, so that many w solve it
    almost alike: means of smooth functions match, single weights are noise. The ridge picks the most even of them.

    Args:
        source: The rows to weigh; only the features are read.
        target: The rows to weigh them for; only the features are read.
        task: Names the features.
        seed: Of the rows that the bandwidth is taken from.
        bound: The largest weight before scaling.
        ridge: Weight of the squared weights, in units of k(x, x) = 1.

    Returns:
        Weights [n], mean 1.

    Raises:
        ValueError: A frame that lacks a feature or has under 10 rows; over 10,000 source rows (K is n x n); bound or
            ridge not positive.

    Source: Huang, Smola, Gretton, Borgwardt and Schoelkopf (2006).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> source, target = scm.sample(300, seed=0), ck.shifts.covariate("y", strength=1.0)(scm).sample(300, seed=1)
        >>> w = kmm(source, target, Task(("x",), "y"), seed=0)
        >>> bool(abs(np.average(source["x"], weights=w) - target["x"].mean()) < 0.1)
        True
    """
    from scipy.optimize import minimize
    from sklearn.metrics.pairwise import rbf_kernel

    x, z = _features(source, target, task)
    n = len(x)
    if n > KMM_ROWS:
        raise ValueError(f"kmm holds a kernel of {n:,} x {n:,} rows: weigh at most {KMM_ROWS:,}, or use 'ulsif'")
    if not (0.0 < bound < np.inf and 0.0 < ridge < np.inf):
        raise ValueError(f"kmm with bound = {bound}, ridge = {ridge}: both must be positive and finite")
    gamma = 0.5 / _median_distance(x, z, seed) ** 2
    kernel, kappa = rbf_kernel(x, gamma=gamma), n * rbf_kernel(x, z, gamma=gamma).mean(1)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        pull = kernel @ w + ridge * w
        return float(w @ (pull / 2 - kappa)) / n, (pull - kappa) / n

    options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-12, "gtol": 1e-7}
    found = minimize(objective, np.ones(n), jac=True, method="L-BFGS-B", bounds=[(0.0, bound)] * n, options=options)
    return mean_one(found.x, "kmm")


def ulsif(source: pd.DataFrame, target: pd.DataFrame, task: Task, *, seed: Seed, kernels: int = 100) -> np.ndarray:
    """Unconstrained least-squares importance fitting, for a covariate shift, by the library densratio.

    w(x) = sum_l a_l k(x, c_l), with c_l drawn from the target's rows; a = (H + lambda I)^-1 h, negative ones set to 0,
    H = mean over the source of k(x) k(x)', h = mean over the target of k(x). Bandwidth (within a factor 4 of the median
    distance) and lambda are chosen by leave-one-out cross-validation on at most 1,000 rows a side, since its cost grows
    with the square of them. Kernels fade away from their centres: rows at the edges get weights that are too small, and
    means of what is largest there, a squared loss say, can come out worse than with no weights at all.

    Args:
        source, target, task: As in `kmm`.
        seed: Of the centres.
        kernels: How many centres.

    Returns:
        Weights [n], mean 1.

    Raises:
        ValueError: A frame that lacks a feature or has under 10 rows; fewer than 1 kernel; no overlap.

    Source: Kanamori, Hido and Sugiyama (2009).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> source, target = scm.sample(300, seed=0), ck.shifts.covariate("y", strength=1.0)(scm).sample(300, seed=1)
        >>> w = ulsif(source, target, Task(("x",), "y"), seed=0)
        >>> bool(np.average(source["x"], weights=w) > 0.5)
        True
    """
    import densratio

    x, z = _features(source, target, task)
    if kernels < 1:
        raise ValueError(f"ulsif with kernels = {kernels}: give at least 1")
    draw = stream(seed, "ulsif")
    x_few, z_few = (side[draw.permutation(len(side))[:1000]] for side in (x, z))
    widths = _median_distance(x, z, seed) * np.geomspace(0.25, 4.0, 9)
    state = np.random.get_state()  # densratio draws its centres from the global generator, which is given back below
    np.random.seed(integer(seed, "centres"))
    try:
        with np.errstate(divide="ignore"):  # it also logs ratios, which may be 0
            chosen = densratio.uLSIF(z_few, x_few, sigma=widths, kernel_num=kernels, verbose=False)
            spread, ridge = float(chosen.kernel_info.sigma), float(chosen.lambda_)
            if not spread > 0.0:
                raise ValueError("ulsif found no ratio better than 0: source and target do not overlap in the features")
            ratio = densratio.uLSIF(z, x, sigma=spread, lambda_=ridge, kernel_num=kernels, verbose=False)
    finally:
        np.random.set_state(state)
    return mean_one(np.asarray(ratio.compute_density_ratio(x), dtype=np.float64), "ulsif")


def discriminative(
    source: pd.DataFrame, target: pd.DataFrame, task: Task, *, seed: Seed, degree: int = 2
) -> np.ndarray:
    """A classifier's odds of target against source, for a covariate shift: w(x) ~ P(target | x) / P(source | x).

    The classifier is sklearn's logistic regression on polynomials of the standardised features: with degree 2 the log
    of the ratio is a quadratic, which is exact for any two Gaussians; with 1, for two of one covariance.

    Args:
        source, target, task: As in `kmm`.
        seed: Not used: nothing is drawn.
        degree: Of the polynomials.

    Returns:
        Weights [n], mean 1.

    Raises:
        ValueError: A frame that lacks a feature or has under 10 rows; a degree under 1.

    Source: Bickel, Brueckner and Scheffer (2009); Qin (1998).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> source, target = scm.sample(500, seed=0), ck.shifts.covariate("y", strength=1.0)(scm).sample(500, seed=1)
        >>> w = discriminative(source, target, Task(("x",), "y"), seed=0)
        >>> bool(np.corrcoef(np.log(w), source["x"])[0, 1] > 0.95)  # the log ratio of the two is x - 1/2
        True
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import PolynomialFeatures

    x, z = _features(source, target, task)
    if degree < 1:
        raise ValueError(f"discriminative with degree = {degree}: give at least 1")
    inputs = PolynomialFeatures(degree, include_bias=False).fit_transform(np.concatenate([x, z]))
    labels = np.repeat([0, 1], [len(x), len(z)])
    odds = LogisticRegression(max_iter=5000).fit(inputs, labels).decision_function(inputs[: len(x)])
    return mean_one(np.exp(odds - odds.max()), "discriminative")


def _features(source: pd.DataFrame, target: pd.DataFrame, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Both frames' features, standardised by the mean and deviation of all rows: [n, features] and [m, features]."""
    x, z = (rows(frame, task.features, name) for frame, name in ((source, "source"), (target, "target")))
    both = np.concatenate([x, z])
    location, scale = both.mean(0), both.std(0)
    scale[scale == 0.0] = 1.0  # a constant column stays one
    return (x - location) / scale, (z - location) / scale


def _median_distance(x: np.ndarray, z: np.ndarray, seed: Seed) -> float:
    """The median of the positive distances between 1,000 rows of both; 1 where all rows are the same."""
    from scipy.spatial.distance import pdist

    both = np.concatenate([x, z])
    distances = pdist(both[stream(seed, "bandwidth").permutation(len(both))[:1000]])
    return float(np.median(distances[distances > 0.0])) if distances.any() else 1.0
