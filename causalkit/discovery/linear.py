"""The linear Gaussian BIC, and two searches for the graph that has the least: FLOP, and one of our own with a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import named, numbered
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.orders import Local, Score, best_class
from causalkit.graphs import member
from causalkit.seeds import Seed, integer

__all__ = ["Lines", "bic", "check_penalty", "flop", "local_bic", "orders"]


def flop(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 2.0,
    restarts: int | None = None,
    rounds: int | None = None,
    report: Callable[[nx.DiGraph], None] | None = None,
) -> nx.DiGraph:
    """FLOP: iterated local search over orders of the variables for the graph of least BIC.

    BIC = sum_j n log(residual variance of x_j on its parents) + lambda_bic log(n) * edges.

    Assumes linear relations, Gaussian noise, no hidden common cause. Returns a CPDAG.

    The library takes no seed, so one run need not repeat itself. Here it runs until the best BIC so far has come up
    three times, which makes the answer repeat wherever the best graph is found with fair odds. That is no proof:
    dense graphs on few rows (12 variables of degree 6 on 100 rows) leave many near-best graphs, and the answer can
    then vary; from 50 variables on there is one run only, for time, and beyond 200, where it has no restarts, a few
    edges do vary. `rounds=1` is FLOP as its authors publish it.

    Source: Wienoebst, Henckel and Weichwald (2025), arXiv 2510.04970; the authors' implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, see above.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written, 2 the authors' choice.
        restarts: Of the search in each run; unless given 100 up to 15 variables, 20 up to 200, 0 beyond.
        rounds: The most runs; unless given 10 below 50 variables, 1 from there on.
        report: Called with the best graph so far: after a first run without restarts, then after each round. `discover`
            hands it over when there is a time limit.

    Raises:
        ValueError: Negative restarts, rounds below 1, or a penalty that is not positive.
    """
    import flopsearch

    check_penalty(lambda_bic)
    d = frame.shape[1]
    restarts = (100 if d <= 15 else 20 if d <= 200 else 0) if restarts is None else restarts
    rounds = (10 if d < 50 else 1) if rounds is None else rounds
    if restarts < 0 or rounds < 1:
        raise ValueError(f"restarts {restarts}, rounds {rounds}: give restarts >= 0, rounds >= 1")
    values = np.ascontiguousarray(numbered(frame).to_numpy())

    def run(restarts: int) -> tuple[tuple[int, int], ...]:
        matrix = flopsearch.flop(values, float(lambda_bic), restarts=int(restarts))
        return tuple((int(i), int(j)) for i, j in np.argwhere(matrix > 0))

    if report and restarts:
        report(named(run(0), frame))
    if rounds == 1:
        return named(run(restarts), frame)
    covariance = np.cov(values.T, bias=True)
    seen: Counter[tuple[float, tuple[tuple[int, int], ...]]] = Counter()
    while seen.total() < rounds and (not seen or seen[min(seen)] < 3):
        edges = run(restarts)
        seen[bic(edges, covariance, len(values), lambda_bic), edges] += 1
        if report:
            report(named(min(seen)[1], frame))
    return named(min(seen)[1], frame)


def orders(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 1.0,
    gamma: float = 1.0,
    restarts: int | None = None,
    report: Callable[[nx.DiGraph], None] | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """Order search for the linear graph of least extended BIC, with a seed, and with knowledge held in the search.

    BIC = sum_j n log(residual variance of x_j on its parents) + (lambda_bic log(n) + 4 gamma log(d)) * edges.

    The last term pays for choosing among d variables: without it some of the d^2 / 2 pairs look joined by chance.
    FLOP's score is lambda_bic = 2, gamma = 0.

    Assumes linear relations, Gaussian noise, no hidden common cause.

    Source: Foygel and Drton (2010), Extended Bayesian information criteria, for the score; causalkit.discovery.orders
    says which papers the search follows.

    Args:
        frame: The data [n, d].
        seed: Of the orders that the search starts from.
        knowledge: Edges known to be there or not.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written.
        gamma: Of the extended BIC; 0 is the BIC itself.
        restarts: Searches from near the best graph, after the first, in a row without finding a better one; 10 up to
            30 variables, 6 up to 200, 1 beyond if None.
        report: Called with the best graph so far, after each search.
        progress: Show the searches done and the best score.

    Returns:
        A graph of kind "cpdag": the class of the best DAG, narrowed down by the knowledge; `graph.graph["score"]` is
        its BIC.

    Raises:
        ValueError: Negative restarts or gamma, or a penalty that is not positive.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(1000, seed=0)
        >>> sorted(orders(frame, seed=0).predecessors("y"))
        ['x1', 'x2']
    """
    check_penalty(lambda_bic)
    d = frame.shape[1]
    restarts = (10 if d <= 30 else 6 if d <= 200 else 1) if restarts is None else restarts
    if restarts < 0 or not 0 <= gamma < float("inf"):
        raise ValueError(f"restarts {restarts}, gamma {gamma}: give 0 or more")
    names, covariance = list(frame.columns), np.cov(frame.to_numpy(np.float64).T, bias=True)
    price = lambda_bic * np.log(len(frame)) + 4 * gamma * np.log(d)
    score = Lines(covariance, len(frame), price, names, knowledge)
    return best_class(
        score, names, knowledge, restarts, np.random.default_rng(integer(seed, "orders")), report, progress
    )


class Lines(Score):
    """The BIC of a variable given its parents where relations are linear, from the covariance [d, d] of n rows."""

    def __init__(
        self, covariance: np.ndarray, n: int, price: float, names: list[str], knowledge: Knowledge | None
    ) -> None:
        super().__init__(names, knowledge or Knowledge())
        from scipy.linalg.lapack import dpotrf, dtrtri

        self.cholesky, self.triangular_inverse = dpotrf, dtrtri  # LAPACK's own: a third of the time of numpy.linalg's
        scale = np.sqrt(np.diag(covariance))
        self.scale, self.correlation = np.log(scale**2), covariance / np.outer(scale, scale)
        self.n, self.price = n, price

    def local(self, j: int, parents: frozenset[int]) -> Local:
        """n log(residual variance of x_j) + price * parents, with these parents, one more, and one less."""
        c, pa = self.correlation, sorted(parents)
        # parents made uncorrelated, L^-1 x_pa with c_pa = L L^T: what they explain is then a sum of squares
        unmixed = self.triangular_inverse(self.cholesky(c[pa][:, pa], lower=1)[0], lower=1)[0] if pa else np.eye(0)
        across = unmixed @ c[pa]
        own = across[:, j]
        here = 1 - own @ own
        # one more: what the parents leave of x_j, on what they leave of x_k
        more = here - (c[j] - own @ across) ** 2 / np.maximum(1 - (across**2).sum(0), 1e-12)
        less = here + (own @ unmixed) ** 2 / (unmixed**2).sum(0)
        return Local(
            float(self._bic(here, j, len(pa))),
            self._bic(more, j, len(pa) + 1),
            dict(zip(pa, self._bic(less, j, len(pa) - 1).tolist(), strict=True)),
        )

    def _bic(self, variance: np.ndarray, j: int, parents: int) -> np.ndarray:
        return self.n * (np.log(np.maximum(variance, 1e-12)) + self.scale[j]) + self.price * parents


def bic(edges: Iterable[tuple[int, int]], covariance: np.ndarray, n: int, penalty: float) -> float:
    """BIC of a CPDAG over 0..d-1, to a millionth: the same for each member of the class, so any one will do."""
    graph = nx.DiGraph(kind="cpdag")
    graph.add_nodes_from(range(len(covariance)))
    graph.add_edges_from(edges)
    one = member(graph)
    return round(sum(local_bic(covariance, n, penalty, j, one.predecessors(j)) for j in one), 6)


def local_bic(covariance: np.ndarray, n: int, penalty: float, node: int, parents: Iterable[int]) -> float:
    """n log(residual variance of the node on its parents) + penalty log(n) * parents."""
    pa = sorted(parents)
    explained = covariance[node, pa] @ np.linalg.solve(covariance[np.ix_(pa, pa)], covariance[pa, node])
    return float(n * np.log(covariance[node, node] - explained) + penalty * np.log(n) * len(pa))


def check_penalty(lambda_bic: float) -> None:
    """Nothing, once a penalty is known to be a positive number."""
    if not 0 < lambda_bic < float("inf"):
        raise ValueError(f"lambda_bic {lambda_bic} is not a positive number: give 2.0, say")
