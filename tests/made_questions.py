"""Random causal questions: graphs with hidden variables, and what is asked of them."""

import itertools

import networkx as nx
import numpy as np

from causalkit.identification.expressions import Probability


def drawn(seed, most=5, *, conditional=0.4, bows=True):
    """A random DAG with hidden variables (common causes alone, or anywhere), and a question about an effect in it."""
    rng = np.random.default_rng(seed)
    while True:
        graph = _common_causes(rng, int(rng.integers(3, most + 1))) if bows else _anywhere(rng, most)
        seen = [v for v, hidden in graph.nodes(data="hidden") if not hidden]
        shuffled = list(rng.permutation(seen))
        sizes = 1 + (rng.random(3) < 0.3)
        y, x, z = (tuple(map(str, shuffled[sum(sizes[:i]) : sum(sizes[: i + 1])])) for i in range(3))
        z = z if rng.random() < conditional else ()
        if x and any(nx.has_path(graph, a, b) for a in x for b in y):
            return graph, Probability(y, z, x)


def _common_causes(rng, n):
    names = [f"x{i}" for i in rng.permutation(n)]
    graph, arrows, pairs = nx.DiGraph(), rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.5)
    graph.add_nodes_from(names)
    for a, b in itertools.combinations(names, 2):
        if rng.random() < arrows:
            graph.add_edge(a, b)
        if rng.random() < pairs:
            graph.add_node(f"u_{a}_{b}", hidden=True)
            graph.add_edges_from([(f"u_{a}_{b}", a), (f"u_{a}_{b}", b)])
    return graph


def _anywhere(rng, n):
    hidden = int(rng.integers(1, 4))
    names = [f"x{i}" for i in rng.permutation(n + hidden)]
    graph, arrows = nx.DiGraph(), rng.uniform(0.3, 0.7)
    graph.add_nodes_from(names)
    graph.add_edges_from(e for e in itertools.combinations(names, 2) if rng.random() < arrows)
    for name in rng.permutation(names)[:hidden]:
        graph.nodes[str(name)]["hidden"] = True
    return graph
