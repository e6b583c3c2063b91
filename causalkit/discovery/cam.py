"""CAM: the causal additive model x_j = sum_k f_jk(x_k) + u_j, its graph by the least BIC over additive cubic splines.

The equation of each variable given its parents is a regression on spline bases. All bases of all variables are made
once, orthonormal within each variable, and so is their Gram matrix; every regression is then a small solve in it, never
a pass over the rows. The search is over causal orders: each variable in turn is moved to the place in the order at
which the BIC is least, its own parents and those of the variables it passes chosen anew by growing and shrinking.

Nonlinear functions give the direction of an arrow away where linear ones do not, so that a DAG comes back, not a
class. Sources: Buehlmann, Peters and Ernest (2014), CAM: causal additive models, Annals of Statistics 42 (the model and
its score); Teyssier and Koller (2005) and Andrews et al. (2023), BOSS (moving one variable through an order).
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import discrete_columns
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.orders import Local, Score, restarted
from causalkit.seeds import Seed, integer

__all__ = ["cam"]

RIDGE = 1e-6
"""Added to the Gram matrix, whose diagonal is 1, so that every solve is well posed."""


def cam(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 1 / 3,
    basis: int | None = None,
    restarts: int | None = None,
    report: Callable[[nx.DiGraph], None] | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """The DAG of the causal additive model with the least BIC that the search finds.

    BIC = sum_j n log(residual variance of x_j on splines of its parents) + lambda_bic log(n) * (basis functions used)
        + 4 log(d) * edges,

    the last term being that of the extended BIC, which pays for choosing among d variables (Foygel and Drton 2010).

    It assumes additive noise, effects of the parents that add up, and no hidden causes. A linear Gaussian pair fits
    both ways equally well: there, its arrow is a guess.

    Args:
        frame: The data [n, d]. Integer columns with few values are parents through their levels.
        seed: Of the orders that the search starts from.
        knowledge: Edges known to be there or not.
        lambda_bic: Penalty of a basis function; 1 is the BIC as usually written. Splines as wide as these rarely need
            all their freedom.
        basis: Functions a parent; n^0.3 if None, between 3 and 12 (8 for 1,000 rows).
        restarts: Searches from near the best graph, after the first, in a row without finding a better one; 20 up to 30
            variables, 10 up to 200, 0 beyond if None.
        report: Called with the best graph so far, after each search.
        progress: Show the searches done and the best BIC.

    Returns:
        A graph of kind "dag" over the frame's columns; `graph.graph["score"]` is its BIC.

    Raises:
        ValueError: A penalty that is not positive, a basis below 1, negative restarts.

    Example:
        >>> import causalkit as ck
        >>> bend = ck.additive(["x"], lambda x: 2 * x[:, 0].sin())
        >>> frame = ck.SCM({"y": bend, "x": ck.linear()}).sample(500, seed=0)
        >>> list(cam(frame, seed=0).edges)
        [('x', 'y')]
    """
    n, d = frame.shape
    basis = min(max(round(n**0.3), 3), 12) if basis is None else basis
    restarts = (20 if d <= 30 else 10 if d <= 200 else 0) if restarts is None else restarts
    if not 0 < lambda_bic < float("inf") or basis < 1 or restarts < 0:
        raise ValueError(
            f"lambda_bic {lambda_bic}, basis {basis}, restarts {restarts}: give a positive penalty, at least one "
            "function and no negative number of restarts"
        )
    score = Splines(frame, basis, lambda_bic, knowledge or Knowledge())
    draw = np.random.default_rng(integer(seed, "cam"))
    names = list(frame.columns)
    said = report and (lambda found: report(found.graph(names)))
    return restarted(score, restarts, draw, said, progress).graph(names)


class Splines(Score):
    """The BIC of a variable given its parents, from one Gram matrix of all spline bases."""

    def __init__(self, frame: pd.DataFrame, basis: int, penalty: float, knowledge: Knowledge) -> None:
        super().__init__(list(frame.columns), knowledge)
        levels = discrete_columns(frame)
        columns = [_basis(frame[name].to_numpy(np.float64), basis, name in levels) for name in frame]
        self.n, self.width = len(frame), max(c.shape[1] for c in columns)
        # narrower bases are filled up with zeros, to blocks of one width
        stacked = np.concatenate([np.pad(c, ((0, 0), (0, self.width - c.shape[1]))) for c in columns], 1)
        self.gram = stacked.T @ stacked / self.n + RIDGE * np.eye(stacked.shape[1])
        # a variable is the first function of its own basis, so the Gram matrix also holds what explains it
        self.response = self.gram[:, :: self.width].copy()
        self.own = np.stack(
            [self.gram[i : i + self.width, i : i + self.width] for i in self.width * np.arange(len(columns))]
        )
        self.cost = np.array([penalty * np.log(self.n) * c.shape[1] + 4 * np.log(len(columns)) for c in columns])

    def local(self, j: int, parents: frozenset[int]) -> Local:
        """n log(residual variance of x_j on the splines of its parents) + their price; and with one more, or less."""
        d, b, p, members = len(self.cost), self.width, len(parents), sorted(parents)
        pa = (np.array(members, int)[:, None] * b + np.arange(b)).ravel()
        inverse, across = np.linalg.inv(self.gram[np.ix_(pa, pa)]), self.gram[pa]
        weights = inverse @ self.response[pa, j]
        explained, price = self.response[pa, j] @ weights, self.cost[members].sum()
        # one more: what the parents leave of x_j, on what they leave of the functions of x_k
        residual = (self.response[:, j] - weights @ across).reshape(d, b, 1)
        pieces = (
            across.reshape(p * b, d, b).transpose(1, 2, 0),
            (inverse @ across).reshape(p * b, d, b).transpose(1, 0, 2),
        )
        left = self.own - pieces[0] @ pieces[1]
        left[members] = np.eye(b)
        gain = (residual * np.linalg.solve(left, residual)).sum((1, 2))
        # one less: the price in fit of forcing its weights to 0
        each = range(p)
        blocks, own = inverse.reshape(p, b, p, b)[each, :, each], weights.reshape(p, b, 1)
        loss = (own * np.linalg.solve(blocks, own)).sum((1, 2))
        return Local(
            float(self._bic(explained, price)),
            self._bic(explained + gain, price + self.cost),
            dict(zip(members, self._bic(explained - loss, price - self.cost[members]).tolist(), strict=True)),
        )

    def bend(self, j: int, parents: frozenset[int], tried: list[int]) -> float:
        """How much the BIC of x_j on straight lines of its parents falls at most by the bends of one of those tried."""
        d, b = len(self.cost), self.width
        pa = np.array(sorted(parents), int) * b
        inverse, across = np.linalg.inv(self.gram[np.ix_(pa, pa)]), self.gram[pa]
        weights = inverse @ self.response[pa, j]
        pieces = across.reshape(len(pa), d, b), (inverse @ across).reshape(len(pa), d, b)
        left = self.own - np.einsum("pkb,pkc->kbc", *pieces)
        residual = (self.response[:, j] - weights @ across).reshape(d, b, 1)[:, 1:]
        gain = (residual * np.linalg.solve(left[:, 1:, 1:], residual)).sum((1, 2))
        explained = self.response[pa, j] @ weights
        falls = self._bic(explained, 0.0) - self._bic(explained + gain, self.cost)
        return float(falls[tried].max(initial=-np.inf))

    def _bic(self, explained: np.ndarray, price: np.ndarray | float) -> np.ndarray:
        return self.n * np.log(np.maximum(1 - explained, 1e-9)) + price


def _basis(x: np.ndarray, count: int, discrete: bool) -> np.ndarray:
    """Orthonormal functions [n, at most count] of x with mean 0: natural cubic splines, knots at quantiles.

    The first is x itself, standardised. A discrete x has an indicator a level but one, so any function of it.
    """
    x = (x - x.mean()) / x.std()
    if discrete:
        columns = [x, *(x == level for level in np.unique(x)[2:])]
    else:
        knots = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)))
        # cubic pieces that are straight beyond the outer knots (Hastie, Tibshirani and Friedman 2009, equation 5.5)
        cubes = np.maximum(x[:, None] - knots, 0) ** 3
        bends = (cubes[:, :-1] - cubes[:, -1:]) / (knots[-1] - knots[:-1])
        columns = [x, *(bends[:, :-1] - bends[:, -1:]).T]
    q, r = np.linalg.qr(np.stack(columns, 1) - np.mean(columns, 1))
    kept = np.abs(np.diag(r)) > 1e-8 * np.abs(r[0, 0])
    return q[:, kept] * np.sign(np.diag(r))[kept] * np.sqrt(len(x))
