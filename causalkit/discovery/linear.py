"""Causal discovery: a graph read off one data set. Module of the paper: Causal Discovery Module.

Observational data can show a Markov equivalence class at best, so `discover` returns a CPDAG: i -> j where every
member of the class has that arrow, i -> j and j -> i together (one undirected edge) where members differ. All three
methods here assume linear relations, Gaussian noise and no hidden common cause.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame, unknown
from causalkit.graphs import member
from causalkit.seeds import Seed, generator, integer

__all__ = ["METHODS", "bootstrap", "discover", "flop", "ges", "pc"]


def discover(frame: pd.DataFrame, method: str = "flop", seed: Seed = 0, **options: Any) -> nx.DiGraph:
    """The graph that a method reads off a data set; neither the order nor the units of the columns matter.

    Args:
        frame: The data [n, d], numeric; all columns take part. n > d + 3, what the tests and scores need.
        method: A key of `ck.METHODS`: "flop", "ges" or "pc".
        seed: For methods that draw; the three here take none (see `flop`).
        **options: Of the method, such as alpha=0.05 for "pc".

    Returns:
        A graph over all columns, in their order (isolated ones too); kind "cpdag".

    Raises:
        ValueError: An unknown method or option; fewer than 2 columns, too few rows, values that are not finite
            numbers, a constant column, collinear columns (named).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0, "z": 1.0}), "z": ck.linear()})
        >>> sorted(discover(scm.sample(1000, seed=1)).edges)
        [('x', 'y'), ('z', 'y')]
    """
    return _learn(frame, _method(method, options), integer(seed, "discover"), options)


def _method(name: str, options: Iterable[str]) -> Callable[..., nx.DiGraph]:
    """The catalogue's function, once it is known to take these options."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    parameters = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    known = [p.name for p in parameters if p.name != "seed"]
    for option in options:
        if option not in known and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise unknown(f"option of method {name!r}", option, known)
    return METHODS[name]


def _learn(frame: pd.DataFrame, function: Callable[..., nx.DiGraph], seed: int, options: dict) -> nx.DiGraph:
    """Check the frame, run the method on sorted columns (so that their order cannot matter), name all nodes."""
    _check(frame)
    found = function(frame[sorted(frame.columns, key=str)], seed=seed, **options)
    graph = nx.DiGraph(**{"kind": "cpdag", **found.graph})
    graph.add_nodes_from(frame.columns)
    graph.add_edges_from(found.edges(data=True))
    return graph


def _check(frame: pd.DataFrame) -> None:
    """The doors of `discover`: what a correlation matrix needs in order to have an inverse."""
    d = len(check_frame(frame).columns)
    if d < 2:
        raise ValueError(f"discovery needs at least 2 columns, the frame has {d}: give more variables")
    if len(frame) <= d + 3:
        raise ValueError(f"{len(frame)} rows of {d} columns are too few: give more than d + 3 = {d + 3} rows")
    values = frame.to_numpy(dtype=np.float64)
    constant = values.std(0) <= 1e-12 * np.abs(values).max(0)
    if constant.any():
        raise ValueError(
            f"column {frame.columns[constant.argmax()]!r} is constant: it has no correlation, leave it out"
        )
    shares, directions = np.linalg.eigh(np.corrcoef(values.T))
    if shares[0] < 1e-10:
        group = [repr(frame.columns[i]) for i in np.flatnonzero(np.abs(directions[:, 0]) > 1e-5)]
        raise ValueError(f"columns {', '.join(group)} are collinear (one is a linear sum of others): leave one out")


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
    graph = _named(search.fit(_numbered(frame)).causal_graph_.edges, frame)
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

    values = _numbered(frame)
    covariance = values.cov(ddof=0).to_numpy()
    found = GES(scoring_method=GaussianBIC(values), return_type="pdag").fit(values).causal_graph_
    return _named(found.edges, frame)


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
    values = np.ascontiguousarray(_numbered(frame).to_numpy())
    covariance = np.cov(values.T, bias=True)
    seen: Counter[tuple[float, tuple[tuple[int, int], ...]]] = Counter()
    while seen.total() < rounds and (not seen or seen[min(seen)] < 3):
        matrix = flopsearch.flop(values, float(lambda_bic), restarts=int(restarts))
        edges = tuple((int(i), int(j)) for i, j in np.argwhere(matrix > 0))
        seen[_bic(edges, covariance, len(values), lambda_bic), edges] += 1
    return _named(min(seen)[1], frame)


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


METHODS: dict[str, Callable[..., nx.DiGraph]] = {"flop": flop, "ges": ges, "pc": pc}
"""Name -> function(frame, *, seed, **options) -> graph. A user adds one in a line."""


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The standardised data under the names 0, 1, ...: a set of integers has one order in every process."""
    values = frame.to_numpy(dtype=np.float64)
    return pd.DataFrame((values - values.mean(0)) / values.std(0))


def _named(edges: Iterable[tuple[int, int]], frame: pd.DataFrame) -> nx.DiGraph:
    """The CPDAG over the frame's columns from edges between their numbers."""
    graph = nx.DiGraph(kind="cpdag")
    graph.add_nodes_from(frame.columns)
    graph.add_edges_from((frame.columns[i], frame.columns[j]) for i, j in sorted(edges))
    return graph


def bootstrap(
    frame: pd.DataFrame, method: str = "flop", n: int = 100, *,
    seed: Seed = 0, n_jobs: int = 1, progress: bool = False, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """How often each edge comes back when the rows are drawn anew, with replacement: a measure of confidence.

    A resample repeats rows, so weak edges come a little more often than with fresh data.
    Source: Friedman, Goldszmidt and Wyner (1999), section 3.

    Args:
        frame: The data [rows, d].
        method: A key of `ck.METHODS`.
        n: Number of resamples.
        seed: Of the resamples.
        n_jobs: Processes; 1 runs in this one. The result does not depend on it.
        progress: Show a progress bar.
        **options: Of the method.

    Returns:
        A row per unordered pair in column order: a, b, and the share of resamples in [0, 1] with any edge
        (`present`), with a -> b (`forward`), b -> a (`backward`) and a - b (`undirected`).

    Raises:
        ValueError: n < 1, or what `discover` raises.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(200, seed=0)
        >>> bootstrap(frame, n=5)
           a  b  present  forward  backward  undirected
        0  x  y      1.0      0.0       0.0         1.0
    """
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    if n < 1:
        raise ValueError(f"n = {n} resamples: ask for at least 1")
    function, base = _method(method, options), integer(seed, "bootstrap")
    _check(frame)

    def one(i: int) -> nx.DiGraph:
        rows = torch.randint(len(frame), (len(frame),), generator=generator(base, "rows", i)).numpy()
        return _learn(frame.iloc[rows], function, integer(base, "method", i), options)

    runs = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(one)(i) for i in range(n))
    graphs = list(tqdm(runs, total=n, desc=f"bootstrap {method}", disable=not progress))
    return pd.DataFrame([_frequencies(graphs, a, b) for a, b in combinations(frame.columns, 2)])


def _frequencies(graphs: list[nx.DiGraph], a: Hashable, b: Hashable) -> dict[str, Any]:
    """One row of `bootstrap`."""
    ways = Counter((g.has_edge(a, b), g.has_edge(b, a)) for g in graphs)
    names = {"forward": (True, False), "backward": (False, True), "undirected": (True, True)}
    present = 1 - ways[False, False] / len(graphs)
    return {"a": a, "b": b, "present": present, **{name: ways[way] / len(graphs) for name, way in names.items()}}
