"""What linear methods need of the data: each environment's moments, up to the fourth order.

Once they are summed up, a test of any set of features costs some small matrix products, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.environments import Environment, Task

__all__ = ["Moments", "contrasts", "covariances", "invariance", "inverses", "moments", "widest_pair"]

FLOOR = 1e-10  # share of the largest eigenvalue below which a direction counts as not there


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of z = (1, x, y), a regression's features and target, standardised over all environments.

    Attributes:
        rows: Rows of each environment [e].
        second: Means of z z' in each environment [e, p, p]; p is the number of features + 2.
        fourth: Means of vec(z z') vec(z z')' in each environment [e, p * p, p * p].
        location, scale: What x and y were standardised by [p - 1].
    """

    rows: np.ndarray
    second: np.ndarray
    fourth: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    def turned(self, basis: np.ndarray) -> Moments:
        """The moments of the features x @ basis [d, k] in place of x."""
        turn = np.zeros((len(basis) + 2, basis.shape[1] + 2))
        turn[0, 0] = turn[-1, -1] = 1.0
        turn[1:-1, 1:-1] = basis
        twice = np.kron(turn, turn)
        second = turn.T @ self.second @ turn
        fourth = twice.T @ self.fourth @ twice if self.fourth.size else self.fourth
        return Moments(self.rows, second, fourth, self.location, self.scale)


def moments(environments: Sequence[Environment], task: Task, like: Moments | None = None, *, order: int = 4) -> Moments:
    """Sums up environments; in the units of `like`, if given; up to order 2, `fourth` is empty.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"x": [1.0, 3.0], "y": [0.0, 2.0]})
        >>> moments([Environment("a", frame)], Task(("x",), "y")).second[0]
        array([[1., 0., 0.],
               [0., 1., 1.],
               [0., 1., 1.]])
    """
    columns = [*task.features, task.target]
    parts = [environment.frame[columns].to_numpy(np.float64) for environment in environments]
    if like is None:
        pooled = np.concatenate(parts)
        location, scale = pooled.mean(0), pooled.std(0)
        scale = np.where(scale > 0.0, scale, 1.0)
    else:
        location, scale = like.location, like.scale
    full = [np.column_stack([np.ones(len(part)), (part - location) / scale]) for part in parts]
    second = np.stack([z.T @ z / len(z) for z in full])
    fourth = np.stack([_fourth(z) for z in full]) if order == 4 else np.empty((len(full), 0, 0))
    return Moments(np.array([len(z) for z in full]), second, fourth, location, scale)


def _fourth(z: np.ndarray) -> np.ndarray:
    """Mean of vec(z z') vec(z z')' over rows [p * p, p * p], from each product of two columns once."""
    width = z.shape[1]
    first, last = np.triu_indices(width)
    products = z[:, first] * z[:, last]
    place = np.empty((width, width), dtype=int)
    place[first, last] = place[last, first] = np.arange(len(first))
    return (products.T @ products / len(z))[np.ix_(place.ravel(), place.ravel())]


def invariance(data: Moments, chosen: Sequence[int]) -> tuple[float, float]:
    """Tests that one linear regression of y on the chosen features holds in every environment.

    H0: some b has E_e[(y - b'z) z] = 0 in all environments e, z = (1, chosen features). The statistic is
    J = min_b sum_e n_e g_e(b)' W_e(b) g_e(b), with g_e the mean of (y - b'z) z and W_e the inverse of its covariance:
    neither the noise's variance nor its distribution need be the same in the environments. Under H0 it is chi-squared.

    Source: Hansen (1982), theorem 3.1 and lemma 4.2.

    Returns:
        The p-value, and J per degree of freedom. 1 and 0 where there is nothing to test: one environment, or as many
        coefficients as moments, as where each environment holds the feature at a constant.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("1", rows=1000, seed=0)
        >>> data = moments(example.train, example.task)
        >>> invariance(data, range(5))[0] > 0.01, invariance(data, range(10))[0] < 0.01
        (True, True)
    """
    from scipy.special import chdtrc  # what scipy.stats.chi2.sf calls

    used = np.array([0, *(i + 1 for i in chosen)])
    square, cross = data.second[:, used[:, None], used], data.second[:, used, -1]
    weights = data.rows[:, None, None] * np.eye(len(used))
    for _ in range(4):  # the weights at the b of the round before, least squares first
        left = square @ weights
        beta, _, known, _ = np.linalg.lstsq((left @ square).sum(0), (left @ cross[..., None]).sum(0)[:, 0], rcond=None)
        gap = cross - square @ beta
        residual = np.zeros(data.second.shape[1])
        residual[used], residual[-1] = -beta, 1.0
        inverse, ranks = inverses(data, residual, gap, used)
        weights = data.rows[:, None, None] * inverse
    free = int(ranks.sum()) - int(known)
    statistic = float(np.einsum("ei,eij,ej->", gap, weights, gap))
    return (float(chdtrc(free, statistic)), statistic / free) if free > 0 else (1.0, 0.0)


def inverses(
    data: Moments, residual: np.ndarray, gap: np.ndarray, used: np.ndarray | slice = slice(-1)
) -> tuple[np.ndarray, np.ndarray]:
    """Of the moments r z, r = residual'z [p], means `gap` [e, k] over the used z: inverse covariances, ranks.

    Returns:
        Inverses [e, k, k] on the directions that vary, and how many these are [e].
    """
    covariance = (data.fourth @ np.outer(residual, residual).ravel()).reshape(data.second.shape)
    covariance = covariance[:, used][:, :, used] - gap[:, :, None] * gap[:, None, :]
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-24))
    outer = deviation[:, :, None] * deviation[:, None, :]
    values, vectors = np.linalg.eigh(covariance / outer)
    there = values > FLOOR * np.maximum(values.max(1, keepdims=True), 1.0)
    inverse = (vectors * np.where(there, 1 / np.where(there, values, 1.0), 0.0)[:, None, :]) @ vectors.swapaxes(1, 2)
    return inverse / outer, there.sum(1)


def contrasts(data: Moments) -> np.ndarray:
    """Directions of the features [d, d] that are uncorrelated in each of the two environments that differ most.

    They are the generalised eigenvectors of the two covariance matrices: where environments move independent parts of
    the system by different factors, these parts come apart, whatever the coordinates. Of all pairs of environments,
    that one is taken whose eigenvalues spread most. The columns have variance 1 over all environments.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("1s", rows=1000, seed=0)
        >>> contrasts(moments(example.train, example.task)).shape
        (10, 10)
    """
    from scipy.linalg import eigh

    covariance = covariances(data)[0]
    a, b = widest_pair(data)
    basis = eigh(covariance[a], covariance[b])[1]
    return basis / np.sqrt(np.einsum("ij,ik,kj->j", basis, covariance.mean(0), basis))


def covariances(data: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of the features in each environment [e, d, d], made definite by a little more, and with y [e, d]."""
    mean, last = data.second[:, 0, 1:-1], data.second[:, 0, -1]
    square = data.second[:, 1:-1, 1:-1] - mean[:, :, None] * mean[:, None, :]
    return square + FLOOR * np.eye(square.shape[1]), data.second[:, 1:-1, -1] - mean * last[:, None]


def widest_pair(data: Moments) -> tuple[int, int]:
    """The two environments the logarithms of whose covariances' generalised eigenvalues spread most."""
    from scipy.linalg import eigh

    covariance = covariances(data)[0]

    def spread(pair: tuple[int, int]) -> float:
        values = eigh(covariance[pair[0]], covariance[pair[1]], eigvals_only=True)
        return float(np.ptp(np.log(np.maximum(values, FLOOR))))

    return max(((a, b) for a in range(len(covariance)) for b in range(a)), key=spread)
