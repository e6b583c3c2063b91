"""Baselines that keep the others honest: what one gets for nothing, and what sorting by a variance alone gives.

A method that does no better than these on simulated data has learned from how the data were made (see
`ck.sortability`). All return a DAG.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import named, numbered
from causalkit.discovery.knowledge import Knowledge
from causalkit.graphs import dag
from causalkit.seeds import Seed, integer

__all__ = ["empty", "one_reversed", "r2_sort", "random_dag", "random_order", "var_sort"]


def empty(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """The graph without edges. Its SHD is the number of true edges: what a method must beat.

    Args:
        frame: The data [n, d], any.
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
    """
    return named([], frame, kind="dag")


def random_order(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """A random causal order; each variable is then regressed on those before it (see `r2_sort`).

    Source: Reisach, Seiler and Weichwald (2021), section 3.3; CausalDisco's implementation.

    Args:
        frame: The data [n, d].
        seed: Of the order.
        knowledge: Not read here: `discover` applies it to the graph found.
    """
    from CausalDisco.baselines import random_sort_regress

    return _regressed(random_sort_regress(numbered(frame).to_numpy(), seed=integer(seed, "random_order")), frame)


def random_dag(names: Sequence[str], edges: int, draw: np.random.Generator) -> nx.DiGraph:
    """A random DAG with so many edges (or all pairs): a control as dense as the graph it is held beside.

    Source: Petersen (2025), on density-matched random controls.

    Args:
        names: Of the variables.
        edges: How many.
        draw: Moves on with each graph.

    Example:
        >>> random_dag(["x", "y", "z"], 2, np.random.default_rng(0)).number_of_edges()
        2
    """
    order = draw.permutation(names)
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    return dag([pairs[k] for k in draw.permutation(len(pairs))[:edges]], names)


def one_reversed(graph: nx.DiGraph, target: str, draw: np.random.Generator) -> nx.DiGraph:
    """The DAG with one edge of the target reversed, drawn from those that make no cycle: a graph that is nearly right.

    Args:
        graph: A DAG.
        target: Of whose edges one is reversed.
        draw: Moves on with each graph.

    Raises:
        ValueError: Each of the target's edges makes a cycle when it is reversed, or it has none.

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(one_reversed(parse("x -> y; w -> x"), "y", np.random.default_rng(0)).edges)
        [('w', 'x'), ('y', 'x')]
    """
    for a, b in draw.permutation([*graph.in_edges(target), *graph.out_edges(target)]).tolist():
        other = nx.DiGraph(graph)
        other.remove_edge(a, b)
        other.add_edge(b, a)
        if nx.is_directed_acyclic_graph(other):
            return other
    raise ValueError(f"every edge of {target} makes a cycle when it is reversed: choose another graph or target")


def var_sort(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """The causal order is that of the variances, least first; then as `r2_sort`. The units of the columns matter.

    Assumes that variance grows along the causal order, as it does in most simulated data left on their raw scale.

    Source: Reisach, Seiler and Weichwald (2021), section 3.3; CausalDisco's implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
    """
    from CausalDisco.baselines import var_sort_regress

    return _regressed(var_sort_regress(_centred(frame)), frame)


def r2_sort(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """The causal order is that of the R^2 of each variable given all others, least first.

    Each variable is then regressed on those before it by an adaptive lasso whose penalty is chosen by the BIC; what
    gets a weight is a parent. Assumes that R^2 grows along the causal order; units do not matter.

    Source: Reisach et al. (2023), section 3.2; CausalDisco's implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
    """
    from CausalDisco.baselines import r2_sort_regress

    return _regressed(r2_sort_regress(numbered(frame).to_numpy()), frame)


def _centred(frame: pd.DataFrame) -> np.ndarray:
    values = frame.to_numpy(dtype=np.float64)
    return values - values.mean(0)


def _regressed(weights: np.ndarray, frame: pd.DataFrame) -> nx.DiGraph:
    """The DAG of a matrix of weights: W[i, j] != 0 is i -> j."""
    return named(((int(i), int(j)) for i, j in np.argwhere(weights != 0)), frame, kind="dag")
