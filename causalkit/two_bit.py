"""The two-bit environments: the smallest world in which invariance penalties can be told apart, in closed form.

y = +-1 evenly; x1 = y but with probability alpha it is -y, in every environment; x2 = y but with probability beta_e it
is -y, and beta_e moves. The invariant predictor is E[y | x1] = (1 - 2 alpha) x1. A predictor that is odd in x has two
numbers, f1 = f(1, 1) and f2 = f(1, -1). With the loss (f - y)^2 / 2,

    R_e = (s f1^2 + (1 - s) f2^2 - 2 u f1 - 2 v f2 + 1) / 2,
    s = (1 - alpha)(1 - beta_e) + alpha beta_e,   u = 1 - alpha - beta_e,   v = beta_e - alpha.

Source: Kamath, Tangella, Sutherland and Srebro (2021), section 4; Chen et al. (2023), figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.polynomial import polynomial

from causalkit.errors import unknown
from causalkit.objectives import Batch, Objective, erm

__all__ = ["MINIMISERS", "batch", "invariant_solutions", "minimise", "minimiser", "risks"]

MINIMISERS = ("erm", "irm_s", "irm", "vrex", "irmx", "invariant")
"""What `minimiser` knows. Penalties are meant at a weight that goes to infinity; irm is then irm_s, the constraint."""


def risks(f: np.ndarray, alpha: float, betas: Sequence[float]) -> np.ndarray:
    """R_e of the predictors f [..., 2] in each environment [..., environments].

    Example:
        >>> risks(np.array([0.8, 0.8]), 0.1, [0.11, 0.4]).round(3)
        array([0.18, 0.18])
    """
    s, u, v = _terms(alpha, betas)
    f1, f2 = np.asarray(f)[..., :1], np.asarray(f)[..., 1:]
    return (s * f1**2 + (1 - s) * f2**2 - 2 * u * f1 - 2 * v * f2 + 1) / 2


def minimiser(name: str, alpha: float, betas: Sequence[float]) -> np.ndarray:
    """(f1, f2) that minimises an objective, in closed form [2].

    erm: mean u / mean s and mean v / mean (1 - s). irm, irm_s: of all f without a slope in any environment
    (`invariant_solutions`) the one of least mean risk. vrex, two environments: the risks are equal on the lines f1 = f2
    and f1 + f2 = 2 / (1 - 2 alpha); the better of the minima on the two. irmx: of the former those with equal risks,
    which leaves f1 = f2 = 1 - 2 alpha.

    Raises:
        ValueError: An unknown name; probabilities outside (0, 1), or alpha = 1/2; vrex with other than two
            environments.

    Example:
        >>> minimiser("irm", 0.1, [0.11, 0.4]).round(4), minimiser("vrex", 0.1, [0.11, 0.4]).round(4)
        (array([0.9557, 0.2943]), array([0.8, 0.8]))
    """
    if name not in MINIMISERS:
        raise unknown("objective with a closed form", name, MINIMISERS)
    s, u, v = _terms(alpha, betas)
    if name in ("invariant", "irmx"):
        return np.full(2, 1 - 2 * alpha)
    if name == "erm":
        return np.array([u.mean() / s.mean(), v.mean() / (1 - s.mean())])
    if name == "vrex":
        if len(s) != 2:
            raise ValueError(f"the closed form of vrex is for two environments, and these are {len(s)}: use minimise")
        total = 2 / (1 - 2 * alpha)  # on f2 = total - f1 the mean risk is a parabola in f1
        f1 = (u.mean() - v.mean() + total * (1 - s.mean())) / (s.mean() + 1 - s.mean())
        both = np.array([[1 - 2 * alpha, 1 - 2 * alpha], [f1, total - f1]])
    else:
        both = invariant_solutions(alpha, betas)
    return both[risks(both, alpha, betas).mean(-1).argmin()]


def invariant_solutions(alpha: float, betas: Sequence[float]) -> np.ndarray:
    """All f for which no environment would gain by rescaling it, s f1^2 + (1 - s) f2^2 = u f1 + v f2 [solutions, 2].

    Along a ray f = r (1, T) an environment's condition is r = (u + v T) / (s + (1 - s) T^2), or r = 0. Equal r in the
    first two environments is a cubic equation in T.

    Raises:
        ValueError: Fewer than two environments, or probabilities outside (0, 1).

    Example:
        >>> invariant_solutions(0.1, [0.11, 0.4]).round(4)
        array([[0.    , 0.    ],
               [0.2943, 0.9557],
               [0.8   , 0.8   ],
               [0.9557, 0.2943]])
    """
    s, u, v = _terms(alpha, betas)
    if len(s) < 2:
        raise ValueError("with one environment infinitely many f have no slope: give two or more betas")
    # (u_1 + v_1 T)(s_2 + (1 - s_2) T^2) = (u_2 + v_2 T)(s_1 + (1 - s_1) T^2)
    left = np.polymul([v[0], u[0]], [1 - s[1], 0.0, s[1]])
    right = np.polymul([v[1], u[1]], [1 - s[0], 0.0, s[0]])
    roots = np.roots(np.polysub(left, right))
    tangents = roots[np.abs(roots.imag) < 1e-7].real
    r = (u[0] + v[0] * tangents) / (s[0] + (1 - s[0]) * tangents**2)
    upright = [0.0, v[0] / (1 - s[0])]  # the ray of infinite T
    found = np.vstack([[0.0, 0.0], upright, np.stack([r, r * tangents], 1)])
    f1, f2 = found[:, :1], found[:, 1:]
    slopes = s * f1**2 + (1 - s) * f2**2 - u * f1 - v * f2  # more environments than two: all must agree
    found = found[(np.abs(slopes) < 1e-6).all(1)]
    return found[np.lexsort(found.T[::-1])]


def batch(f: torch.Tensor, alpha: float, betas: Sequence[float]) -> Batch:
    """The population as a Batch: four rows an environment, each weighted by its probability, predictions from f [2].

    Any objective of the kit that reads predictions can be called with it; half the squared loss, as in the papers.

    Example:
        >>> batch(torch.tensor([0.8, 0.8]), 0.1, [0.11, 0.4]).risks
        tensor([0.1800, 0.1800])
    """
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0]).to(f)  # (x1, x2, y) = (1, 1, 1), (1, -1, 1), (-1, 1, 1), (-1, -1, 1)
    predictions, ones = sign * f[[0, 1, 1, 0]], torch.ones(4).to(f)

    def loss(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (targets - predictions) ** 2 / 2

    a = alpha
    weights = [torch.tensor([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b]).to(f) * 4 for b in betas]
    count = len(weights)
    return Batch(
        losses=(loss(predictions, ones),) * count,
        predictions=(predictions,) * count,
        targets=(ones,) * count,
        loss=loss,
        weights=tuple(weights),
    )


def minimise(objective: Objective, alpha: float, betas: Sequence[float], weight: float = 1e8) -> np.ndarray:
    """(f1, f2) of least mean risk + weight * penalty [2], the penalty that of an objective of weight 1.

    Risks, their variance and squared slopes are polynomials in (f1, f2) of degree 4 at most: fifteen coefficients, read
    off the objective's own values. The minimum is found by damped Newton steps from a grid of starts, while the weight
    grows tenfold at a time: a large one makes a narrow valley.

    Args:
        objective: Such as `irm(1.0)`, or `irmx(1.0, 1.0)`; `erm()` has no penalty.
        alpha, betas: As above.
        weight: Of the penalty.

    Raises:
        ValueError: Probabilities outside (0, 1); an objective that is no polynomial of degree 4.

    Example:
        >>> from causalkit.objectives import irmx
        >>> minimise(irmx(1.0, 1.0), 0.1, [0.11, 0.4]).round(4)
        array([0.8, 0.8])
    """
    risk = _polynomial(erm(), alpha, betas)
    penalty = _polynomial(objective, alpha, betas) - risk
    side = np.linspace(-1.5, 1.5, 13)
    f = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    for w in [*(10.0**k for k in range(9) if 10.0**k < weight), weight]:
        f = _descend(risk + w * penalty, f)
    return f[_value(risk + weight * penalty, f).argmin()]


def _polynomial(objective: Objective, alpha: float, betas: Sequence[float]) -> np.ndarray:
    """Coefficients c [5, 5] of sum_ij c_ij f1^i f2^j that give the objective's values."""
    _terms(alpha, betas)
    points = np.stack(np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7)), -1).reshape(-1, 2)
    values = torch.func.vmap(lambda f: objective(batch(f, alpha, betas)))(torch.from_numpy(points)).numpy()
    low = np.add.outer(np.arange(5), np.arange(5)) <= 4
    design = np.stack([points[:, 0] ** i * points[:, 1] ** j for i, j in np.argwhere(low)], 1)
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    if np.abs(design @ found - values).max() > 1e-8 * (1 + np.abs(values).max()):
        raise ValueError(
            f"objective {objective.name} is no polynomial of degree 4 in (f1, f2): minimise it by training"
        )
    coefficients = np.zeros((5, 5))
    coefficients[low] = found
    return coefficients


def _value(coefficients: np.ndarray, f: np.ndarray, d1: int = 0, d2: int = 0) -> np.ndarray:
    """The polynomial at f [n, 2], or a derivative of it [n]."""
    return polynomial.polyval2d(
        f[:, 0], f[:, 1], polynomial.polyder(polynomial.polyder(coefficients, d1, axis=0), d2, axis=1)
    )


def _descend(coefficients: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Each start's minimum, by Newton steps with |H|, damped until the value falls."""
    values, damping = _value(coefficients, f), np.full(len(f), 1e-3)
    for _ in range(300):
        gradient = np.stack([_value(coefficients, f, 1, 0), _value(coefficients, f, 0, 1)], 1)
        mixed = _value(coefficients, f, 1, 1)
        hessian = np.stack([_value(coefficients, f, 2, 0), mixed, mixed, _value(coefficients, f, 0, 2)], 1)
        sizes, axes = np.linalg.eigh(hessian.reshape(-1, 2, 2))
        scale = np.abs(sizes) + damping[:, None] * np.abs(sizes).max(1, keepdims=True) + 1e-300
        tried = f - np.einsum("nij,nj,nkj,nk->ni", axes, 1 / scale, axes, gradient)
        after = _value(coefficients, tried)
        better = after < values
        f, values = np.where(better[:, None], tried, f), np.where(better, after, values)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-15, 1e6)
        if not better.any() and damping.min() >= 1e6:
            break
    return f


def _terms(alpha: float, betas: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s, u and v of each environment."""
    beta = np.asarray(betas, dtype=np.float64)
    if not 0 < alpha < 1 or alpha == 0.5 or not ((beta > 0) & (beta < 1)).all() or not len(beta):
        raise ValueError(f"alpha {alpha}, betas {list(betas)}: give probabilities between 0 and 1, and alpha not 0.5")
    return (1 - alpha) * (1 - beta) + alpha * beta, 1 - alpha - beta, beta - alpha
