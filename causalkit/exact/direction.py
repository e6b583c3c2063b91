"""Invariance in all directions of the features but one, whatever the coordinates."""

from __future__ import annotations

import numpy as np

from causalkit.exact.moments import Moments, covariances, inverses, widest_pair

__all__ = ["one_direction"]

Found = tuple[np.ndarray, float, float]
"""Intercept and weights [d + 1], p-value, statistic per degree of freedom."""


def one_direction(data: Moments) -> list[Found]:
    """Linear rules b whose residuals go along with the features in one direction u alone: E_e[(y - a - b'x) x] = l_e u.

    The direction is the same in all environments, how far they go along differs, and b does not use it: u'b = 0. This
    is so where an effect of y moves, alone or with its own effects, and nothing else depends on the noise of y. The
    conditions hold or fail whatever the coordinates. There are (d - 1)(environments - 2) + environments - 1 more of
    them than unknowns, which makes a test; with two environments they can always be met, and nothing is returned.

    A rule that meets them in two environments has (C_1 - l C_0) b = c_1 - l c_0 for some l, C and c being the
    covariances of x with itself and with y, and b'(c_0 - C_0 b) = 0: an equation in l alone, whose roots are where the
    search for the smallest weighted sum of squares over all environments starts.

    Source: our own; with l = 1 the first step is the causal Dantzig of Rothenhaeusler, Buehlmann and Meinshausen
    (2019), and the statistic is that of Hansen (1982), lemma 4.2.

    Example:
        >>> import causalkit as ck
        >>> causes, effects = ck.shifts.covariate("y", strength=2.0), ck.shifts.spurious("y", strength=2.0)
        >>> shifts = {"a": None, "b": causes, "c": effects}
        >>> train = ck.sample_environments(ck.teaching_scm(), shifts, 2000, seed=0)
        >>> data = ck.exact.moments(train, ck.Task(("x1", "x2", "x3", "x4", "x5"), "y"))
        >>> [bool(abs(weights[3]) < 0.05 and p > 0.01) for weights, p, _ in one_direction(data)][0]
        True
    """
    if len(data.rows) < 3 or data.second.shape[1] < 4:
        return []
    return [_polished(data, start) for start in _starts(data)]


def _starts(data: Moments, grid: int = 400) -> list[np.ndarray]:
    """Weights [d] at the roots of the equation in l = tan(angle), by a change of sign on a grid of angles."""
    square, cross = covariances(data)
    a, b = widest_pair(data)

    def at(angle: float) -> tuple[float, np.ndarray]:
        p, q = np.cos(angle), np.sin(angle)
        beta = np.linalg.lstsq(p * square[a] - q * square[b], p * cross[a] - q * cross[b], rcond=None)[0]
        return float(beta @ (q * (cross[a] - square[a] @ beta) + p * (cross[b] - square[b] @ beta))), beta

    angles = np.linspace(0.0, np.pi, grid)
    values = np.array([at(angle)[0] for angle in angles])
    found = []
    for i in np.flatnonzero(values[1:] * values[:-1] < 0):
        share = abs(values[i]) / (abs(values[i]) + abs(values[i + 1]))
        found.append(at(angles[i] * (1 - share) + angles[i + 1] * share)[1])
    return found


def _polished(data: Moments, start: np.ndarray) -> Found:
    """The nearest minimum of the weighted sum of squares, the weights taken at the round before."""
    from scipy.optimize import least_squares
    from scipy.special import chdtrc

    count, width = len(data.rows), data.second.shape[1] - 2
    square, cross = data.second[:, :-1, :-1], data.second[:, :-1, -1]
    beta = np.append(np.mean(cross[:, 0] - square[:, 0, 1:] @ start), start)
    root, heavy = np.empty(0), 1e3  # u'b = 0 is a condition like the others, without noise
    for _ in range(3):
        gap = cross - square @ beta
        values, vectors = np.linalg.eigh(inverses(data, np.append(-beta, 1.0), gap)[0])
        root = np.sqrt(data.rows[:, None] * np.maximum(values, 0.0))[:, :, None] * vectors.swapaxes(1, 2)
        left, sizes, right = np.linalg.svd(gap[:, 1:])

        def residuals(at: np.ndarray, root: np.ndarray = root) -> np.ndarray:
            own, along, far = at[: width + 1], at[width + 1 : 2 * width + 1], at[2 * width + 1 :]
            rest = cross - square @ own
            rest[:, 1:] -= far[:, None] * along
            return np.append(np.einsum("eij,ej->ei", root, rest).ravel(), heavy * (along @ own[1:]))

        begin = np.concatenate([beta, right[0], left[:, 0] * sizes[0]])
        end = least_squares(residuals, begin, max_nfev=60)
        beta = end.x[: width + 1]
    free, statistic = (width - 1) * (count - 2) + count - 1, 2.0 * float(end.cost)
    return beta, float(chdtrc(free, statistic)), statistic / free
