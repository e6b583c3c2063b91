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

from collections.abc import Callable, Iterable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import discrete_columns
from causalkit.discovery.knowledge import Knowledge
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
        restarts: Searches from a shuffled best order, after the first; 3 up to 50 variables, 1 up to 100, 0 beyond
            if None.
        report: Called with the best graph so far, after each search.

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
    restarts = (3 if d <= 50 else 1 if d <= 100 else 0) if restarts is None else restarts
    if not 0 < lambda_bic < float("inf") or basis < 1 or restarts < 0:
        raise ValueError(
            f"lambda_bic {lambda_bic}, basis {basis}, restarts {restarts}: give a positive penalty, at least one "
            "function and no negative number of restarts"
        )
    score = _Score(frame, basis, lambda_bic, knowledge or Knowledge())
    draw = np.random.default_rng(integer(seed, "cam"))
    best = _search(score, score.arranged(draw.permutation(d).tolist()), draw)
    for _ in range(restarts):
        if report is not None:
            report(_graph(frame, best))
        order = list(best[1])
        for _ in range(max(2, d // 5)):
            order.insert(int(draw.integers(d)), order.pop(int(draw.integers(d))))
        best = min(best, _search(score, score.arranged(order), draw), key=lambda found: found[0])
    return _graph(frame, best)


def _graph(frame: pd.DataFrame, found: Found) -> nx.DiGraph:
    total, _, parents = found
    names = list(frame.columns)
    graph = nx.DiGraph(kind="dag", score=total)
    graph.add_nodes_from(names)
    graph.add_edges_from((names[k], names[j]) for j, pa in enumerate(parents) for k in sorted(pa))
    return graph


Found = tuple[float, list[int], list[frozenset[int]]]
"""A BIC, an order of the variables, and the parents of each variable 0 ... d - 1, all before it in the order."""


class _Score:
    """The BIC of a variable given its parents, from one Gram matrix; each is computed once."""

    def __init__(self, frame: pd.DataFrame, basis: int, penalty: float, knowledge: Knowledge) -> None:
        levels = discrete_columns(frame)
        columns = [_basis(frame[name].to_numpy(np.float64), basis, name in levels) for name in frame]
        self.n, self.width = len(frame), max(c.shape[1] for c in columns)
        # narrower bases are filled up with zeros, to blocks of one width
        blocks = [np.pad(c, ((0, 0), (0, self.width - c.shape[1]))) for c in columns]
        stacked = np.concatenate(blocks, 1)
        self.gram = stacked.T @ stacked / self.n + RIDGE * np.eye(stacked.shape[1])
        self.own = np.stack(
            [self.gram[i : i + self.width, i : i + self.width] for i in range(0, len(self.gram), self.width)]
        )
        # a variable is the first function of its own basis, so the Gram matrix also holds what explains it
        self.response = self.gram[:, :: self.width]
        self.cost = [penalty * np.log(self.n) * c.shape[1] + 4 * np.log(len(columns)) for c in columns]
        names = list(frame.columns)
        self.needed = [frozenset(k for k, a in enumerate(names) if knowledge.requires(a, b)) for b in names]
        self.never = [frozenset(k for k, a in enumerate(names) if knowledge.forbids(a, b)) for b in names]
        self.known: dict[tuple[int, frozenset[int]], float] = {}

    def __call__(self, j: int, parents: frozenset[int]) -> float:
        """n log(residual variance of x_j on the splines of its parents) + the price of these."""
        if (j, parents) not in self.known:
            pa = self._columns(parents)
            explained = 0.0
            if parents:
                explained = self.response[pa, j] @ np.linalg.solve(self.gram[np.ix_(pa, pa)], self.response[pa, j])
            self.known[j, parents] = self._bic(explained, parents)
        return self.known[j, parents]

    def _bic(self, explained: np.ndarray | float, parents: Iterable[int]) -> float:
        return float(self.n * np.log(max(1 - float(explained), 1e-9)) + sum(self.cost[k] for k in parents))

    def _columns(self, variables: Iterable[int]) -> np.ndarray:
        return (np.array(sorted(variables), dtype=int)[:, None] * self.width + np.arange(self.width)).ravel()

    def best_addition(self, j: int, parents: frozenset[int], candidates: list[int]) -> frozenset[int]:
        """The parents and the one candidate that explains most beside them for its price; all of them in one solve."""
        pa, new, b = self._columns(parents), self._columns(candidates), self.width
        residual = self.response[new, j].reshape(-1, b)
        left = self.own[candidates]
        explained = 0.0
        if parents:
            across = self.gram[np.ix_(pa, new)]
            solved = np.linalg.solve(self.gram[np.ix_(pa, pa)], np.column_stack([across, self.response[pa, j]]))
            explained = self.response[pa, j] @ solved[:, -1]
            residual = residual - (across.T @ solved[:, -1]).reshape(-1, b)
            pieces = across.reshape(len(pa), -1, b), solved[:, :-1].reshape(len(pa), -1, b)
            left = left - np.einsum("pkb,pkc->kbc", *pieces)
        gains = np.einsum("kb,kb->k", residual, np.linalg.solve(left, residual[..., None])[..., 0])
        prices = np.array([self.cost[k] for k in candidates])
        place = int(np.argmin(self.n * np.log(np.maximum(1 - explained - gains, 1e-9)) + prices))
        return parents | {candidates[place]}

    def chosen(self, j: int, parents: frozenset[int], before: Iterable[int]) -> frozenset[int]:
        """The parents of x_j among the variables before it: grown, then shrunk, from these, while the BIC falls."""
        allowed = frozenset(before) - self.never[j]
        parents = (parents & allowed) | self.needed[j]
        while True:
            start = parents
            candidates = sorted(allowed - parents)
            if candidates:
                parents = min(parents, self.best_addition(j, parents, candidates), key=lambda pa: self(j, pa))
            fewer = [parents - {k} for k in sorted(parents - self.needed[j])]
            parents = min([parents, *fewer], key=lambda pa: self(j, pa))
            if parents == start:
                return parents

    def with_one_more(self, j: int, parents: frozenset[int], v: int, before: Iterable[int]) -> frozenset[int]:
        """The parents of x_j once v has come before it: as they were, unless v helps."""
        if v in self.never[j] or self(j, parents | {v}) >= self(j, parents):
            return parents
        return self.chosen(j, parents | {v}, before)

    def arranged(self, order: list[int]) -> Found:
        """The parents and the BIC of an order, first made one that puts what must be a cause before its effect."""
        must = nx.DiGraph((k, j) for j, needed in enumerate(self.needed) for k in needed)
        must.add_nodes_from(order)
        place = {j: i for i, j in enumerate(order)}
        order = list(nx.lexicographical_topological_sort(must, key=place.__getitem__))
        parents = [frozenset[int]()] * len(order)
        for i, j in enumerate(order):
            parents[j] = self.chosen(j, frozenset(), order[:i])
        return sum(self(j, pa) for j, pa in enumerate(parents)), order, parents


def _search(score: _Score, found: Found, draw: np.random.Generator) -> Found:
    """Each variable in turn moved to its best place in the order, until no move lowers the BIC."""
    improved = True
    while improved:
        improved = False
        for v in draw.permutation(len(found[1])).tolist():
            moved = _moved(score, found, v)
            if moved[0] < found[0] - 1e-6:
                found, improved = moved, True
    return found


def _moved(score: _Score, found: Found, v: int) -> Found:
    """The best of the orders in which v stands elsewhere and the others stay in theirs."""
    _, order, parents = found
    rest = [j for j in order if j != v]
    # the others' parents with v after them, and with v before them; v's own at every place
    after = [score.chosen(j, parents[j], rest[:i]) if v in parents[j] else parents[j] for i, j in enumerate(rest)]
    before = [score.with_one_more(j, after[i], v, [*rest[:i], v]) for i, j in enumerate(rest)]
    own = [score.chosen(v, frozenset(), [])] if not score.needed[v] else [score.needed[v]]
    for i, j in enumerate(rest):
        own.append(score.with_one_more(v, own[-1], j, rest[: i + 1]))
    costs = [
        np.cumsum([0.0, *(score(j, after[i]) for i, j in enumerate(rest))]),
        np.cumsum([0.0, *(score(j, before[i]) for i, j in reversed(list(enumerate(rest))))])[::-1],
    ]
    totals = costs[0] + costs[1] + [score(v, pa) for pa in own]
    first = max((i + 1 for i, j in enumerate(rest) if j in score.needed[v]), default=0)
    last = min((i for i, j in enumerate(rest) if v in score.needed[j]), default=len(rest))
    place = first + int(np.argmin(totals[first : last + 1]))
    result = list(parents)
    result[v] = own[place]
    for i, j in enumerate(rest):
        result[j] = after[i] if i < place else before[i]
    return float(totals[place]), [*rest[:place], v, *rest[place:]], result


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
