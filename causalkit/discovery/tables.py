"""Order search on discrete data: the graph of tables that the data make most probable (BDeu)."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import codes
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.orders import Local, Score, best_class
from causalkit.seeds import Seed, integer

__all__ = ["Tables", "orders_discrete"]


def orders_discrete(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    sample_size: float = 1.0,
    restarts: int = 5,
    report: Callable[[nx.DiGraph], None] | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """Order search for the class of graphs under which discrete data are most probable: BDeu.

    P(data | graph) = prod over x_j and the levels i of its parents of
        G(a) / G(a + N_i) * prod over the levels k of x_j of G(a / r + N_ik) / G(a / r),

    G the gamma function, N_ik the rows with x_j = k, N_i those with the parents at i, r the levels of x_j, q the number
    of the i's, a = sample_size / q.

    Assumes discrete data and no hidden common cause.

    Source: Heckerman, Geiger and Chickering (1995), equation 35 (BDeu); causalkit.discovery.orders for the search.

    Args:
        frame: The data [n, d], discrete.
        seed: Of the orders that the search starts from.
        knowledge: Edges known to be there or not.
        sample_size: Equivalent sample size of the prior: rows that it counts for, spread evenly over a table. More
            rows, more edges.
        restarts: Searches from near the best graph, after the first, in a row without finding a better one.
        report: Called with the best graph so far, after each search.
        progress: Show the searches done and the best score.

    Returns:
        A graph of kind "cpdag"; `graph.graph["score"]` is -2 log P(data | graph).

    Raises:
        ValueError: A sample size that is not positive, negative restarts.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.load_network("asia")
        >>> graph = orders_discrete(scm.sample(5000, seed=0), seed=0)
        >>> graph.has_edge("either", "xray"), graph.graph["kind"]
        (True, 'cpdag')
    """
    if not 0 < sample_size < float("inf") or restarts < 0:
        raise ValueError(
            f"sample_size {sample_size}, restarts {restarts}: give a positive number of rows, no negative restarts"
        )
    score = Tables(frame, sample_size, knowledge or Knowledge())
    draw = np.random.default_rng(integer(seed, "orders_discrete"))
    return best_class(score, list(frame.columns), knowledge, restarts, draw, report, progress)


class Tables(Score):
    """-2 log of the BDeu score of a variable given its parents, from counts."""

    def __init__(self, frame: pd.DataFrame, sample_size: float, knowledge: Knowledge) -> None:
        super().__init__(list(frame.columns), knowledge)
        self.columns = codes(frame).to_numpy(np.int64).T
        self.levels, self.sample_size = self.columns.max(1) + 1, sample_size
        self.values: dict[tuple[int, frozenset[int]], float] = {}

    def local(self, j: int, parents: frozenset[int]) -> Local:
        """The scores of x_j with these parents, one more, and one less, each counted anew."""
        more = np.full(len(self.columns), np.inf)
        for k in sorted(set(range(len(self.columns))) - parents - {j}):
            more[k] = self._value(j, parents | {k})
        return Local(self._value(j, parents), more, {k: self._value(j, parents - {k}) for k in sorted(parents)})

    def _value(self, j: int, parents: frozenset[int]) -> float:
        if (j, parents) not in self.values:
            counts = self._counts(j, sorted(parents))
            r, q = int(self.levels[j]), float(np.prod(self.levels[sorted(parents)], dtype=np.float64))
            self.values[j, parents] = -2 * _log_probability(counts, self.sample_size / q, self.sample_size / q / r)
        return self.values[j, parents]

    def _counts(self, j: int, parents: list[int]) -> np.ndarray:
        """N_ik, a row for each level i of the parents that occurs."""
        index, cells = np.zeros(self.columns.shape[1], np.int64), 1
        for k in parents:
            index, cells = index * self.levels[k] + self.columns[k], cells * int(self.levels[k])
            if cells > 20 * len(index):  # most levels do not occur
                seen, index = np.unique(index, return_inverse=True)
                cells = len(seen)
        r = int(self.levels[j])
        table = np.bincount(index * r + self.columns[j], minlength=cells * r).reshape(cells, r)
        return table[table.any(1)]


def _log_probability(counts: np.ndarray, a: float, b: float) -> float:
    """The log of G(a) / G(a + N_i) * prod_k G(b + N_ik) / G(b), over all i."""
    from scipy.special import gammaln

    filled = counts[counts > 0]
    rows = gammaln(a) * len(counts) - gammaln(a + counts.sum(1)).sum()
    return float(rows + gammaln(b + filled).sum() - gammaln(b) * len(filled))
