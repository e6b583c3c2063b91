"""Linear Gaussian methods: FLOP and GES by the BIC, PC by partial correlations. All return a CPDAG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import named, numbered
from causalkit.graphs import member
from causalkit.seeds import Seed

__all__ = ["flop", "ges", "pc"]


def pc(frame: pd.DataFrame, *, seed: Seed, alpha: float = 0.01, max_condition: int = 5) -> nx.DiGraph:
    """PC: remove an edge where some set makes its ends independent, then orient v-structures and what they force.

    On finite samples the tests can contradict each other, and the arrows they imply then fit no DAG. The graph is
    then returned with `graph.graph["valid"] = False`: the skeleton and arrows as found, save that arrows on a
    directed cycle come back as undirected edges. Otherwise `valid` is True and the graph is the CPDAG of a DAG.

    Source: Spirtes, Glymour and Scheines (2000), section 5.4.2; order-independent ("stable") after Colombo and
    Maathuis (2014); pgmpy's implementation, with the t-test of partial correlation.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        alpha: Level of each test of independence; smaller means fewer edges.
        max_condition: The most variables that a test conditions on.

    Raises:
        ValueError: alpha outside (0, 1), or max_condition < 0.
    """
    if not 0 < alpha < 1 or max_condition < 0:
        raise ValueError(f"alpha {alpha}, max_condition {max_condition}: give alpha in (0, 1), max_condition >= 0")
    from pgmpy.causal_discovery import PC

    settings = {"variant": "stable", "ci_test": "pearsonr", "return_type": "pdag", "n_jobs": 1, "show_progress": False}
    search = PC(significance_level=alpha, max_cond_vars=max_condition, **settings)
    graph = named(search.fit(numbered(frame)).causal_graph_.edges, frame)
    try:
        graph.graph["valid"] = bool(member(graph))
    except ValueError:
        graph.graph["valid"] = False
    arrows = nx.DiGraph((a, b) for a, b in graph.edges if not graph.has_edge(b, a))
    for group in list(nx.strongly_connected_components(arrows)):
        graph.add_edges_from([(b, a) for a, b in arrows.subgraph(group).edges])
    return graph


def ges(frame: pd.DataFrame, *, seed: Seed, lambda_bic: float = 1.0) -> nx.DiGraph:
    """GES: add, remove and turn edges of the equivalence class greedily while the BIC (see `flop`) falls.

    Source: Chickering (2002), section 4; turning after Hauser and Buehlmann (2012); pgmpy's search, slow beyond some
    20 variables, on a score from the covariance (its own fits a regression each time).

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written.

    Raises:
        ValueError: A penalty that is not positive.
    """
    _check_penalty(lambda_bic)
    from pgmpy.causal_discovery import GES
    from pgmpy.structure_score import BaseStructureScore

    class GaussianBIC(BaseStructureScore):
        def _local_score(self, variable: int, parents: tuple[int, ...]) -> float:
            return -_local_bic(covariance, len(frame), lambda_bic, variable, parents) / 2

    values = numbered(frame)
    covariance = values.cov(ddof=0).to_numpy()
    found = GES(scoring_method=GaussianBIC(values), return_type="pdag").fit(values).causal_graph_
    return named(found.edges, frame)


def flop(
    frame: pd.DataFrame, *, seed: Seed, lambda_bic: float = 2.0, restarts: int | None = None, rounds: int | None = None
) -> nx.DiGraph:
    """FLOP: iterated local search over orders of the variables for the graph of least BIC.

    BIC = sum_j n log(residual variance of x_j on its parents) + lambda_bic log(n) * edges.

    The library takes no seed, so one run need not repeat itself. Here it runs until the best BIC so far has come up
    three times, which makes the answer repeat wherever the best graph is found with fair odds. That is no proof:
    dense graphs on few rows (12 variables of degree 6 on 100 rows) leave many near-best graphs, and the answer can
    then vary; beyond 50 variables there is one run only, for time. `rounds=1` is FLOP as its authors publish it.

    Source: Wienoebst, Henckel and Weichwald (2025), arXiv 2510.04970; the authors' implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, see above.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written, 2 the authors' choice.
        restarts: Of the search in each run; unless given 100 up to 15 variables, 20 up to 200, 0 beyond.
        rounds: The most runs; unless given 10 up to 50 variables, 1 beyond.

    Raises:
        ValueError: Negative restarts, rounds below 1, or a penalty that is not positive.
    """
    import flopsearch

    _check_penalty(lambda_bic)
    d = frame.shape[1]
    restarts = (100 if d <= 15 else 20 if d <= 200 else 0) if restarts is None else restarts
    rounds = (10 if d <= 50 else 1) if rounds is None else rounds
    if restarts < 0 or rounds < 1:
        raise ValueError(f"restarts {restarts}, rounds {rounds}: give restarts >= 0, rounds >= 1")
    values = np.ascontiguousarray(numbered(frame).to_numpy())
    covariance = np.cov(values.T, bias=True)
    seen: Counter[tuple[float, tuple[tuple[int, int], ...]]] = Counter()
    while seen.total() < rounds and (not seen or seen[min(seen)] < 3):
        matrix = flopsearch.flop(values, float(lambda_bic), restarts=int(restarts))
        edges = tuple((int(i), int(j)) for i, j in np.argwhere(matrix > 0))
        seen[_bic(edges, covariance, len(values), lambda_bic), edges] += 1
    return named(min(seen)[1], frame)


def _bic(edges: Iterable[tuple[int, int]], covariance: np.ndarray, n: int, penalty: float) -> float:
    """BIC of a CPDAG over 0..d-1, to a millionth: the same for each member of the class, so any one will do."""
    graph = nx.DiGraph(kind="cpdag")
    graph.add_nodes_from(range(len(covariance)))
    graph.add_edges_from(edges)
    one = member(graph)
    return round(sum(_local_bic(covariance, n, penalty, j, one.predecessors(j)) for j in one), 6)


def _local_bic(covariance: np.ndarray, n: int, penalty: float, node: int, parents: Iterable[int]) -> float:
    """n log(residual variance of the node on its parents) + penalty log(n) * parents."""
    pa = sorted(parents)
    explained = covariance[node, pa] @ np.linalg.solve(covariance[np.ix_(pa, pa)], covariance[pa, node])
    return float(n * np.log(covariance[node, node] - explained) + penalty * np.log(n) * len(pa))


def _check_penalty(lambda_bic: float) -> None:
    if not 0 < lambda_bic < float("inf"):
        raise ValueError(f"lambda_bic {lambda_bic} is not a positive number: give 2.0, say")
