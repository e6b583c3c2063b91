"""Two tests of whether a linear classifier is invariant: by its log-odds given the class, by the class given them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from causalkit.exact.build import Arrays

__all__ = ["Outcome", "residual_test", "score_test"]


class Outcome(NamedTuple):
    """What a test of invariance says: the p-value, the statistic per degree of freedom, what was tested, a remark."""

    pvalue: float
    statistic: float
    what: str
    note: str = ""


EVENTS = 10  # wrong labels a moment that an environment must have for its residuals to count (Peduzzi and others 1996)


def score_test(parts: Arrays, classes: np.ndarray, weights: np.ndarray) -> Outcome:
    """Tests that the log-odds have the same mean given the class in every environment.

    For each class, sum_e n_e (m_e - m)' V_e^-1 (m_e - m) with m_e and V_e the mean and covariance of the log-odds in
    environment e and m the mean weighted by n_e V_e^-1; in all chi-squared with classes * (environments - 1) *
    (classes - 1) degrees of freedom.

    Source: Welch (1951), in its limit of many rows, for vectors.

    Example:
        >>> import causalkit as ck
        >>> from causalkit.exact.build import arrays
        >>> cows = ck.unit_tests.environments("2", rows=1000, seed=0)
        >>> ground = np.eye(10)[[0, 9]] * [[0.0], [1.0]]
        >>> score_test(arrays(cows.train, cows.task), np.array([0, 1]), ground)[0] < 0.01
        True
    """
    from scipy.special import chdtrc

    odds = weights[1:] - weights[0]
    statistic, free = 0.0, 0
    for label in classes:
        precisions, means = [], []
        for x, y in parts:
            rows = x[y == label] @ odds.T
            inverse = np.linalg.pinv(np.atleast_2d(np.cov(rows.T)), rcond=1e-10, hermitian=True)
            precisions.append(len(rows) * inverse)
            means.append(rows.mean(0))
        held, mean = np.stack(precisions), np.stack(means)
        centre = np.linalg.pinv(held.sum(0), rcond=1e-10, hermitian=True) @ np.einsum("eij,ej->i", held, mean)
        statistic += float(np.einsum("ei,eij,ej->", mean - centre, held, mean - centre))
        free += sum(np.linalg.matrix_rank(one, hermitian=True) for one in held) - np.linalg.matrix_rank(held.sum(0))
    what = "log-odds given the class"
    return Outcome(float(chdtrc(free, statistic)), statistic / free, what) if free > 0 else Outcome(1.0, 0.0, what)


def residual_test(
    parts: Arrays,
    classes: np.ndarray,
    weights: np.ndarray,
    intercept: np.ndarray,
    basis: np.ndarray,
) -> Outcome:
    """Tests that one logistic regression on x @ basis holds in every environment.

    H0: E_e[(1{y = c} - p_c) z] = 0 in all environments e, for all classes c but the first, z = (1, x @ basis). The
    statistic is the smallest weighted sum of squares of these moments, linear in the coefficients about the fitted ones
    (one Gauss-Newton step). Where some environment has fewer than 10 wrong labels a moment, p is 0: a rule without
    errors says nothing about how it would err elsewhere.

    Source: Hansen (1982), lemma 4.2, for a classifier's scores.

    Example:
        >>> import causalkit as ck
        >>> from causalkit.exact.build import arrays
        >>> example = ck.unit_tests.environments("3", seed=0)
        >>> weights, kept = np.zeros((2, 10)), np.eye(10)[:, :5]
        >>> weights[1, :5] = -20.0  # Bayes' rule on the invariant features
        >>> parts = arrays(example.train, example.task)
        >>> residual_test(parts, np.array([0, 1]), weights, np.zeros(2), kept).pvalue > 0.01
        True
    """
    from scipy.special import chdtrc, softmax

    what, found = "class given the features", []
    turned = np.concatenate([x for x, _ in parts]) @ basis
    location, scale = turned.mean(0), np.maximum(turned.std(0), 1e-300)
    for x, y in parts:
        right = y[:, None] == classes
        share = softmax(x @ weights.T + intercept, axis=1)
        z = np.column_stack([np.ones(len(x)), (x @ basis - location) / scale])
        wrong = int((share.argmax(1) != right.argmax(1)).sum())
        if wrong < EVENTS * z.shape[1] * (len(classes) - 1):
            return Outcome(0.0, np.inf, what)
        found.append(_scores(right, share, z))
    moment, slope, precision, ranks = (np.stack(part) for part in zip(*found, strict=True))
    left = np.einsum("eji,ejk,ekl->il", slope, precision, slope)
    step = np.linalg.lstsq(left, np.einsum("eji,ejk,ek->i", slope, precision, moment), rcond=None)[0]
    rest = moment - slope @ step
    statistic, free = float(np.einsum("ei,eij,ej->", rest, precision, rest)), int(ranks.sum()) - len(step)
    return Outcome(float(chdtrc(free, statistic)), statistic / free, what) if free > 0 else Outcome(1.0, 0.0, what)


def _scores(right: np.ndarray, share: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """One environment's score moments [k], their slope in the coefficients, n times their precision, and its rank.

    k = (classes - 1) * columns of z; slope and precision are [k, k].
    """
    size = (share.shape[1] - 1) * z.shape[1]
    each = ((right - share)[:, 1:, None] * z[:, None, :]).reshape(len(z), size)
    curve = share[:, 1:, None] * (np.eye(share.shape[1] - 1) - share[:, None, 1:])
    slope = np.einsum("nab,ni,nj->aibj", curve, z, z, optimize=True).reshape(size, size) / len(z)
    covariance = np.cov(each.T, ddof=0).reshape(size, size)
    inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    return each.mean(0), slope, len(z) * inverse, int(np.linalg.matrix_rank(inverse, hermitian=True))
