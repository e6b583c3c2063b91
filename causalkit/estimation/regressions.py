"""Regressions: the f of x_j := f(x_pa) + u_j, by least squares or a well-kept scikit-learn regressor; and u_j's law."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalkit.mechanisms import Empirical, Function, Linear, Noise, Perceptron
from causalkit.seeds import stream

__all__ = ["FAMILIES", "REGRESSIONS", "Bumps", "Regressor", "held_out", "law_of", "simplest"]

FAMILIES = ("gaussian", "laplace", "student_t", "gumbel")
"""The noise families among which one is chosen; each is possible everywhere, so no value has probability 0."""
ODD = 5.0
"""Nats: a row that a candidate makes less likely than this below the best candidate counts as this much below it."""


@dataclass(frozen=True, eq=False)
class Regressor:
    """f(x_pa) by a fitted scikit-learn regressor, [n, p] -> [n], float64."""

    estimator: Any

    def __call__(self, parents: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(self.estimator.predict(parents.numpy()), dtype=np.float64))


def least_squares(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) = x w + b by ordinary least squares; x [n, p], y [n]."""
    # in sds from the means: a column in small units, or far from 0, is lost in the rounding of the others otherwise
    centre, scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    weights = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0] / scale
    return Linear(tuple(weights.tolist()), float(y.mean() - centre @ weights))


def splines(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) = sum_i s_i(x_i), cubic splines with knots at quantiles, straight beyond the data; ridge by generalised CV.

    Source: Hastie and Tibshirani (1990), Generalized additive models; scikit-learn's SplineTransformer and RidgeCV.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    knots = int(np.clip(len(x) // 20, 4, 12))
    bases = SplineTransformer(knots, knots="quantile", extrapolation="linear", include_bias=False)
    return Regressor(make_pipeline(bases, RidgeCV(np.logspace(-6, 3, 10))).fit(x, y))


@dataclass(frozen=True, eq=False)
class Bumps:
    """f(x_pa) = b + z w + sum_k c_k exp(-width |z - z_k|^2), z = (x_pa - centre) / scale; [n, p] -> [n].

    Attributes:
        centre: Of each parent [p].
        scale: Of each parent [p].
        places: z_k [m, p].
        width: Of the kernels.
        heights: c_k [m].
        slopes: w [p].
        level: b.
    """

    centre: Tensor
    scale: Tensor
    places: Tensor
    width: float
    heights: Tensor
    slopes: Tensor
    level: float

    def __call__(self, parents: Tensor) -> Tensor:
        z = (parents - self.centre) / self.scale
        near = (z**2).sum(1, keepdim=True) + (self.places**2).sum(1) - 2 * z @ self.places.T
        return self.level + z @ self.slopes + near.mul_(-self.width).exp_() @ self.heights


def bumps(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x): ridge regression on Gaussian kernels around 300 of the rows, beside a linear term.

    The kernels' width, of three, and the ridge are those of the least leave-one-out error. Source: Williams and Seeger
    (2001), the Nystroem method; scikit-learn's Nystroem.
    """
    from sklearn.kernel_approximation import Nystroem

    centre, scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    z, found = (x - centre) / scale, []
    for width in np.array([0.05, 0.3, 1.5]) / x.shape[1]:
        kernels = Nystroem(gamma=width, n_components=min(300, len(x)), random_state=seed).fit(z)
        error, weights, level = _ridge(np.hstack([z, kernels.transform(z)]), y)
        found.append((error, width, kernels, weights, level))
    _, width, kernels, weights, level = min(found, key=lambda one: one[0])
    slopes, heights = weights[: x.shape[1]], kernels.normalization_.T @ weights[x.shape[1] :]
    return Bumps(
        torch.from_numpy(centre),
        torch.from_numpy(scale),
        torch.from_numpy(np.ascontiguousarray(kernels.components_)),
        float(width),
        torch.from_numpy(heights),
        torch.from_numpy(slopes),
        level,
    )


def _ridge(z: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, float]:
    """The least leave-one-out mean square error over ridges from 1e-6 to 1e3, with the weights [q] and intercept.

    By the eigenvectors of z'z, so the time is one product: with many rows a tenth of scikit-learn's RidgeCV.
    """
    middle, level = z.mean(0), float(y.mean())
    sizes, axes = np.linalg.eigh((z - middle).T @ (z - middle))
    turned, found = (z - middle) @ axes, []
    shares, products = turned**2, turned.T @ (y - level)
    for ridge in np.logspace(-6, 3, 10):
        weights = products / (sizes.clip(0) + ridge)
        leverage = 1 / len(y) + shares @ (1 / (sizes.clip(0) + ridge))
        found.append((float((((y - level - turned @ weights) / (1 - leverage)) ** 2).mean()), weights))
    error, weights = min(found, key=lambda one: one[0])
    return error, axes @ weights, level - float(middle @ axes @ weights)


def perceptron(x: np.ndarray, y: np.ndarray, seed: int, *, units: int = 16, ridge: float = 0.01) -> Function:
    """f(x) by scikit-learn's MLPRegressor on standardised data, its scaling folded into the first and last layer."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    # a constant parent gets scale 1 and so weight nothing; it carries no information
    centre, scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    middle, unit = y.mean(), y.std()
    net = MLPRegressor(
        hidden_layer_sizes=(units,), activation="tanh", solver="lbfgs", alpha=ridge, max_iter=500, random_state=seed
    )
    with warnings.catch_warnings():
        # L-BFGS may stop at max_iter within rounding of the optimum; the residual noise absorbs what is left
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit((x - centre) / scale, (y - middle) / unit)
    first = net.coefs_[0] / scale[:, None]
    bias = net.intercepts_[0] - centre @ first
    return Perceptron(
        torch.from_numpy(first),
        torch.from_numpy(bias),
        torch.from_numpy(net.coefs_[1][:, 0] * unit),
        float(net.intercepts_[1][0] * unit + middle),
    )


def deep_mlp(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) by an MLPRegressor of two hidden layers of 24 tanh units, a ridge of 0.1, L-BFGS."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    net = MLPRegressor(
        hidden_layer_sizes=(24, 24), activation="tanh", solver="lbfgs", alpha=0.1, max_iter=500, random_state=seed
    )
    scaled = TransformedTargetRegressor(make_pipeline(StandardScaler(), net), transformer=StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Regressor(scaled.fit(x, y))


def boosting(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) by scikit-learn's HistGradientBoostingRegressor with early stopping: trees, for what is not smooth."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return Regressor(HistGradientBoostingRegressor(early_stopping=True, max_iter=300, random_state=seed).fit(x, y))


REGRESSIONS: dict[str, Callable[[np.ndarray, np.ndarray, int], Function]] = {
    "linear": least_squares,
    "splines": splines,
    "bumps": bumps,
    "mlp": perceptron,
    "smooth_mlp": partial(perceptron, units=32, ridge=1.0),
    "deep_mlp": deep_mlp,
    "boosting": boosting,
}
"""Ways to learn f: name -> function(x [n, p], y [n], seed) -> f, from tensors [n, p] to [n]."""


def law_of(residual: Tensor, family: str | None, *, seed: int) -> Noise:
    """The noise with the mean and sd of these residuals [n], of this family; None chooses.

    Of `FAMILIES` the likeliest (each has two parameters, so none is favoured), unless the residuals' own shape
    (`Empirical`) is likelier by more than two standard errors, on a fifth of the rows that is held out; below 50 rows a
    family in any case.
    """
    mean, scale = float(residual.mean()), float(residual.std(correction=0))
    mean = mean if abs(mean) > 1e-9 * scale else 0.0  # rounding, where a regression has an intercept
    if family is not None:
        return Noise(family, scale, mean)
    likeliest = max(FAMILIES, key=lambda name: float(Noise(name, scale, mean).log_prob(residual).mean()))
    if len(residual) >= 50:
        out = torch.from_numpy(held_out((residual / scale).numpy().round(9), len(residual) // 5, stream(seed, "noise")))
        kept, held = residual[~out], residual[out]
        sd, middle = float(kept.std(correction=0)), float(kept.mean())
        own = Empirical(scale=sd, location=middle, shape=Empirical.of(kept).shape).log_prob(held)
        scores = {likeliest: Noise(likeliest, sd, middle).log_prob(held), "own": own}
        if simplest(scores, ((likeliest,), ("own",))) == "own":
            return Empirical(scale=scale, location=mean, shape=Empirical.of(residual).shape)
    return Noise(likeliest, scale, mean)


def held_out(
    rows: np.ndarray, count: int, draw: np.random.Generator, *, needed: np.ndarray | None = None
) -> np.ndarray:
    """Which of these rows [n, ...] to hold out, `count` or a few less, none that is needed [n]: a mask [n].

    Copies of a row, as drawing with replacement makes them, stay on one side: what is scored on a copy of what it
    learned is scored on what it learned. Where fewer than half of the rows differ, or one comes more than ten times
    (codes, rounded numbers), equal rows are no copies, and each goes by itself.
    """
    n = len(rows)
    _, group, times = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(n)
    alone = (times[group] > 10) | (2 * len(times) < n)
    group = np.where(alone, n + np.arange(n), group)
    rank = draw.permutation(2 * n)[group]
    if needed is not None:
        rank[np.isin(group, group[needed])] = 2 * n
    return rank < np.sort(rank)[count]  # a group that is not in whole among the first stays in whole


def simplest(scores: Mapping[str, Tensor], steps: Sequence[Sequence[str]], errors: float = 2.0) -> str:
    """The best of the first step, simplest first, that the best of all beats by at most two standard errors.

    What is compared is how far a row's log-density falls short of the best one's that any of them gives to that row, at
    most 5 nats a row, so that one odd row neither decides nor, by its part in the standard error, forbids to decide.

    Source: Breiman, Friedman, Olshen and Stone (1984), section 3.4.3, with two standard errors (of the gain, on paired
    rows) in place of one: the best of several candidates gains one too often where the simplest is true.

    Args:
        scores: Name -> log-densities of the same held-out rows [n]; one that is not finite everywhere drops out.
        steps: The names, those that are equally simple together; names without a score are passed over.
        errors: So many standard errors.

    Example:
        >>> scores = {"linear": torch.tensor([0.0, 0.1, -0.1]), "flow": torch.tensor([0.1, 0.0, 0.0])}
        >>> simplest(scores, (("linear",), ("flow",)))
        'linear'
    """
    finite = {name: score for name, score in scores.items() if bool(torch.isfinite(score).all())}
    if not finite:
        return next(name for step in steps for name in step if name in scores)
    top = torch.stack(list(finite.values())).amax(0)
    short = {name: (top - score).clamp(max=ODD) for name, score in finite.items()}
    means = {name: float(each.mean()) for name, each in short.items()}
    best = short[min(means, key=means.__getitem__)]
    firsts = [min(known, key=means.__getitem__) for step in steps if (known := [k for k in step if k in means])]
    gains = {name: short[name] - best for name in firsts}
    return next(
        name for name, gain in gains.items() if gain.mean() <= errors * gain.std(correction=0) / len(gain) ** 0.5
    )
