"""Markov equivalence classes: the CPDAG of a DAG, and a DAG of a CPDAG."""

from __future__ import annotations

import itertools

import networkx as nx

from causalkit.graphs.basics import check_dag, parents_of, undirected_edges

__all__ = ["cpdag", "member"]


def cpdag(graph: nx.DiGraph) -> nx.DiGraph:
    """The CPDAG of a DAG's Markov equivalence class: v-structures, then Meek's rules 1-3 until nothing changes.

    A graph that is a CPDAG already is returned as it is.

    Source: Verma and Pearl (1990), theorem 1; Meek (1995), section 2.1.

    Raises:
        ValueError: The graph has a cycle.

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(cpdag(parse("x -> y <- z; y -> w")).edges)
        [('x', 'y'), ('y', 'w'), ('z', 'y')]
    """
    if graph.graph.get("kind") == "cpdag":
        return graph
    check_dag(graph)
    result = nx.DiGraph(kind="cpdag")
    result.add_nodes_from(graph.nodes(data=True))
    result.add_edges_from(graph.edges)
    result.add_edges_from((b, a) for a, b in graph.edges)
    for c in graph.nodes:
        for a, b in itertools.combinations(graph.predecessors(c), 2):
            if not graph.has_edge(a, b) and not graph.has_edge(b, a):
                result.remove_edges_from([edge for edge in ((c, a), (c, b)) if result.has_edge(*edge)])
    _meek(result)
    return result


def _meek(graph: nx.DiGraph) -> None:
    """Orients in place what the directed edges force: remove b -> a where a - b must be a -> b."""
    changed = True
    while changed:
        changed = False
        for a, b in [edge for pair in undirected_edges(graph) for edge in (pair, pair[::-1])]:
            if not graph.has_edge(b, a) or not graph.has_edge(a, b):
                continue
            into_a, into_b = parents_of(graph, a), parents_of(graph, b)
            open_a = [c for c in graph.successors(a) if graph.has_edge(c, a)]
            chain = any(not graph.has_edge(c, b) and not graph.has_edge(b, c) for c in into_a)  # rule 1: c -> a - b
            path = any(graph.has_edge(a, c) and not graph.has_edge(c, a) for c in into_b)  # rule 2: a -> c -> b
            kite = any(  # rule 3: a - c -> b and a - d -> b, c and d not adjacent
                c in into_b and d in into_b and not graph.has_edge(c, d) and not graph.has_edge(d, c)
                for c, d in itertools.combinations(open_a, 2)
            )
            if chain or path or kite:
                graph.remove_edge(b, a)
                changed = True


def member(graph: nx.DiGraph) -> nx.DiGraph:
    """One DAG of a CPDAG's class: its undirected edges point along an order of maximum cardinality search.

    The undirected parts of a CPDAG are chordal, and this order makes no new v-structure there. Which DAG of the class
    is right, data cannot say: to use one is an assumption. Source: Tarjan and Yannakakis (1984); Andersson, Madigan
    and Perlman (1997), theorem 4.1.

    Raises:
        ValueError: No DAG has this graph as its CPDAG (PC may return such graphs on finite samples).

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(member(cpdag(parse("x -> y -> z"))).edges)
        [('x', 'y'), ('y', 'z')]
    """
    joined = {node: {b for b in graph.successors(node) if graph.has_edge(b, node)} for node in graph.nodes}
    place: dict[str, int] = {}
    while len(place) < len(joined):
        rest = [node for node in joined if node not in place]
        place[max(rest, key=lambda node: len(joined[node] & place.keys()))] = len(place)
    result = nx.DiGraph(kind="dag")
    result.add_nodes_from(graph.nodes(data=True))
    result.add_edges_from((a, b) for a, b in graph.edges if b not in joined[a] or place[a] < place[b])
    given = graph.graph.get("kind") == "cpdag"
    if not nx.is_directed_acyclic_graph(result) or (given and set(cpdag(result).edges) != set(graph.edges)):
        raise ValueError("no DAG has this graph as its CPDAG: its arrows contradict each other, so orient it by hand")
    return result
