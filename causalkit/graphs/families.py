"""Families of random DAGs, by name.

Every family draws a causal order first, so that the names x1, x2, ... say nothing about causes and effects. `degree`
is the expected number of neighbours of a node, in + out: a DAG of n nodes has n * degree / 2 edges on average.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import networkx as nx
import numpy as np
import torch

from causalkit.errors import unknown
from causalkit.graphs.basics import dag
from causalkit.seeds import Seed, generator

__all__ = ["GRAPHS", "complete", "erdos_renyi", "layered", "scale_free"]


def erdos_renyi(nodes: int, degree: float, *, seed: Seed) -> nx.DiGraph:
    """A random DAG over x1, ..., xn: a uniformly drawn causal order, each forward pair joined independently.

    Args:
        nodes: Number of variables, n.
        degree: Expected number of neighbours of a node, in + out; each pair is joined with probability degree/(n-1).
        seed: Of the draw.

    Raises:
        ValueError: Fewer than one node, or a degree outside [0, n-1].

    Example:
        >>> erdos_renyi(4, degree=3.0, seed=0).number_of_edges()
        6
    """
    _check_size(nodes, degree)
    draw = generator(seed, "erdos_renyi")
    order = torch.randperm(nodes, generator=draw).tolist()
    joined = torch.rand(nodes, nodes, generator=draw, dtype=torch.float64) < degree / max(nodes - 1, 1)
    names = [f"x{i + 1}" for i in range(nodes)]
    edges = [(names[order[i]], names[order[j]]) for i in range(nodes) for j in range(i + 1, nodes) if joined[i, j]]
    return dag(edges, names)


def scale_free(nodes: int, degree: float, *, hubs: str = "sources", seed: Seed) -> nx.DiGraph:
    """A random DAG over x1, ..., xn with a few hubs: nodes arrive in turn and are joined to well-joined ones.

    A newcomer is joined to k different earlier nodes, each drawn with a probability proportional to the neighbours
    that it has so far (at least 1). k has the mean m, or is the number of earlier nodes where that is less, and is m
    rounded up or down at random; m is what makes the expected degree right. Source: Barabasi and Albert (1999).

    Args:
        nodes: Number of variables, n.
        degree: Expected number of neighbours of a node, in + out, averaged over the nodes.
        hubs: "sources": earlier nodes are the causes, so hubs have many effects, and no node has more causes than m
            rounded up. "sinks": newcomers are the causes, so hubs have many causes; benchmarks of discovery often
            draw this kind (as Zheng et al. 2018 did), and there R^2 alone gives much of the order away (see
            `ck.sortability`).
        seed: Of the draw. The same seed gives the same skeleton for both kinds of hubs, with all arrows turned round.

    Raises:
        ValueError: Fewer than one node, a degree outside [0, n-1], or unknown `hubs`.

    Example:
        >>> graph = scale_free(50, degree=2.0, seed=0)
        >>> max(dict(graph.out_degree).values()) > 3 * max(dict(graph.in_degree).values())
        True
    """
    _check_size(nodes, degree)
    if hubs not in ("sources", "sinks"):
        raise unknown("hubs", hubs, ["sources", "sinks"])
    draw = generator(seed, "scale_free")
    names = _order(nodes, draw)
    # j earlier nodes for each newcomer, where there are as many, make sum_t min(t, j) edges; between two j, linear
    edges_made = [sum(min(t, j) for t in range(nodes)) for j in range(nodes)]
    mean = float(np.interp(nodes * degree / 2, edges_made, range(nodes)))
    neighbours = torch.zeros(nodes, dtype=torch.float64)
    edges = []
    for t in range(1, nodes):
        count = min(t, int(mean) + int(torch.rand((), generator=draw, dtype=torch.float64) < mean % 1))
        if count:
            earlier = torch.multinomial(neighbours[:t].clamp(min=1), count, generator=draw)
            neighbours[earlier] += 1
            neighbours[t] = count
            edges += [(names[i], names[t]) for i in earlier.tolist()]
    return dag(edges if hubs == "sources" else [edge[::-1] for edge in edges], _named(nodes))


def layered(nodes: int, degree: float, *, layers: int | None = None, seed: Seed) -> nx.DiGraph:
    """A random DAG over x1, ..., xn in layers: each variable may cause those of the next layer, and no others.

    Args:
        nodes: Number of variables, n. Layers are as equal in size as can be, the earlier ones not the smaller.
        degree: Expected number of neighbours of a node, in + out, averaged over the nodes; each pair of successive
            layers' variables is joined with the same probability, n * degree / 2 over the number of such pairs.
        layers: Number of layers; the root of n, rounded and at least 2, if None.
        seed: Of the draw.

    Returns:
        The DAG; the node attribute `layer` counts from 0.

    Raises:
        ValueError: Fewer than one node, layers outside [1, n], a degree that so few pairs cannot make (the most
            is named).

    Example:
        >>> graph = layered(9, degree=2.0, layers=3, seed=0)
        >>> {graph.nodes[b]["layer"] - graph.nodes[a]["layer"] for a, b in graph.edges}
        {1}
    """
    _check_size(nodes, degree)
    layers = min(nodes, max(2, round(nodes**0.5))) if layers is None else layers
    if not 1 <= layers <= nodes:
        raise ValueError(f"{layers} layers with {nodes} nodes: give at least one layer, and at most one a node")
    sizes = [nodes // layers + (i < nodes % layers) for i in range(layers)]
    pairs = sum(a * b for a, b in itertools.pairwise(sizes))
    if nodes * degree / 2 > pairs:
        raise ValueError(
            f"degree {degree} with {nodes} nodes in {layers} layers: successive layers have {pairs} pairs, so give a "
            f"degree of at most {2 * pairs / nodes:g}, or other layers"
        )
    draw = generator(seed, "layered")
    names = _order(nodes, draw)
    layer = [i for i, size in enumerate(sizes) for _ in range(size)]
    joined = torch.rand(nodes, nodes, generator=draw, dtype=torch.float64) * pairs < nodes * degree / 2
    next_to = [(i, j) for i in range(nodes) for j in range(nodes) if layer[j] == layer[i] + 1]
    edges = [(names[i], names[j]) for i, j in next_to if joined[i, j]]
    graph = dag(edges, _named(nodes))
    nx.set_node_attributes(graph, dict(zip(names, layer, strict=True)), "layer")
    return graph


def complete(nodes: int, degree: float | None = None, *, seed: Seed) -> nx.DiGraph:
    """The DAG over x1, ..., xn in which each pair is joined, along a uniformly drawn causal order.

    No two variables are independent given any others, so independences in data orient no edge of it.

    Args:
        nodes: Number of variables, n.
        degree: Not read, since every variable has n - 1 neighbours; here so that all families are called alike.
        seed: Of the order.

    Raises:
        ValueError: Fewer than one node.

    Example:
        >>> complete(4, seed=0).number_of_edges()
        6
    """
    _check_size(nodes, 0)
    names = _order(nodes, generator(seed, "complete"))
    return dag([(a, b) for i, a in enumerate(names) for b in names[i + 1 :]], _named(nodes))


GRAPHS: dict[str, Callable[..., nx.DiGraph]] = {
    "erdos_renyi": erdos_renyi,
    "scale_free": scale_free,
    "layered": layered,
    "complete": complete,
}
"""Families of random DAGs: name -> function(nodes, degree, seed=)."""


def _check_size(nodes: int, degree: float) -> None:
    if nodes < 1 or not 0 <= degree <= max(nodes - 1, 0):
        raise ValueError(f"degree {degree} with {nodes} nodes: give at least one node and 0 <= degree <= nodes - 1")


def _named(nodes: int) -> list[str]:
    return [f"x{i + 1}" for i in range(nodes)]


def _order(nodes: int, draw: torch.Generator) -> list[str]:
    """The names in a uniformly drawn order, causes (or those that arrive first) before effects."""
    names = _named(nodes)
    return [names[i] for i in torch.randperm(nodes, generator=draw).tolist()]
