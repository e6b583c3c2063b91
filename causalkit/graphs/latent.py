"""DAGs with hidden causes, at random: what a graph over observed variables alone cannot say."""

from __future__ import annotations

import itertools

import networkx as nx
import torch

from causalkit.graphs.separation import project
from causalkit.seeds import Seed, generator

__all__ = ["confounded"]


def confounded(graph: nx.DiGraph, pairs: int, *, bow_free: bool = False, seed: Seed) -> nx.DiGraph:
    """The DAG with hidden common causes of so many randomly drawn pairs of its observed variables.

    Each drawn pair a, b gets a node `u_a_b` of its own with hidden=True and an edge to either, as `a <-> b` does in
    `parse`. All sets of so many pairs are equally likely; pairs that have a hidden common cause already are not drawn.

    Args:
        graph: A DAG, drawn at random or by hand; it is left as it is.
        pairs: Number of pairs.
        bow_free: Draw only pairs that no edge joins, as a *bow* is an edge beside a hidden common cause of its ends.
            In a linear SCM without bows, the covariances of the observed variables determine all weights, except for
            weights that form a set of measure 0 (Brito and Pearl 2002); a bow alone leaves its weight open. Without
            this, pairs are drawn with and without an edge.
        seed: Of the draw. More pairs with the same seed are these pairs and others.

    Raises:
        ValueError: No DAG, pairs that is no whole number from 0 to the number of such pairs (named), or a name `u_a_b`
            that another variable has.

    Example:
        >>> import causalkit as ck
        >>> graph = confounded(ck.graphs.erdos_renyi(8, 2.0, seed=0), 3, seed=1)
        >>> scm = ck.random_scm(graph=graph, mechanism="linear", seed=2)
        >>> len(scm.observed), scm.hidden
        (8, ('u_x6_x7', 'u_x3_x5', 'u_x2_x3'))
    """
    projected, known = project(graph)
    free = [
        (a, b)
        for a, b in itertools.combinations(projected, 2)
        if frozenset((a, b)) not in known and not (bow_free and (projected.has_edge(a, b) or projected.has_edge(b, a)))
    ]
    if pairs not in range(len(free) + 1):
        which = "that no edge joins" if bow_free else "of observed variables"
        raise ValueError(
            f"pairs = {pairs}: the graph has {len(free)} pairs {which} and no hidden common cause yet, so give a "
            f"whole number from 0 to {len(free)}"
        )
    drawn = torch.randperm(len(free), generator=generator(seed, "confounded")).tolist()[: int(pairs)]
    result = nx.DiGraph(graph)
    result.graph["kind"] = "dag"
    for a, b in (free[k] for k in drawn):
        name = f"u_{a}_{b}"
        if name in result:
            raise ValueError(f"the hidden common cause of {a!r} and {b!r} would be called {name!r}, and so is another "
                             "variable: rename that one")  # fmt: skip
        result.add_node(name, hidden=True)
        result.add_edges_from([(name, a), (name, b)])
    return result
