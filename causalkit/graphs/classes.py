"""Markov equivalence classes: the CPDAG of a DAG, a class narrowed down by known arrows, and a DAG of a class."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import networkx as nx

from causalkit.graphs.basics import check_dag, undirected_edges

__all__ = ["cpdag", "member", "orient"]


def cpdag(graph: nx.DiGraph) -> nx.DiGraph:
    """The CPDAG of a DAG's Markov equivalence class: v-structures, then Meek's rules 1-3 until nothing changes.

    A graph that is a CPDAG already is returned as it is; one that knowledge has narrowed down (`orient`) is widened
    again to its whole class.

    Source: Verma and Pearl (1990), theorem 1; Meek (1995), section 2.1.

    Raises:
        ValueError: The graph has a cycle.

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(cpdag(parse("x -> y <- z; y -> w")).edges)
        [('x', 'y'), ('y', 'w'), ('z', 'y')]
    """
    if graph.graph.get("kind") == "cpdag":
        return cpdag(member(graph)) if graph.graph.get("knowledge") else graph
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


def orient(graph: nx.DiGraph, arrows: Iterable[tuple[str, str]]) -> nx.DiGraph:
    """The class narrowed down to the DAGs with these arrows: each is put in, with what it forces (Meek's rules 1-4).

    What stays undirected differs between the DAGs that are left. The graph keeps the kind "cpdag", and has
    `graph.graph["knowledge"] = True` to say that some arrows come from elsewhere than the data.

    Source: Meek (1995), theorem 4; Perkovic, Kalisch and Maathuis (2017), algorithm 1.

    Raises:
        ValueError: No DAG of the class has all these arrows (the one that does not fit is named).

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(orient(cpdag(parse("x -> y -> z")), [("x", "y")]).edges)
        [('x', 'y'), ('y', 'z')]
    """
    result = nx.DiGraph(graph)
    result.graph["knowledge"] = True
    for a, b in arrows:
        if not result.has_edge(a, b):
            says = f"says {b} -> {a}" if result.has_edge(b, a) else "does not join the two"
            raise ValueError(f"no DAG of this class has the arrow {a} -> {b} beside the other arrows: the graph {says}")
        if result.has_edge(b, a):
            result.remove_edge(b, a)
            _meek(result)
    return result


def _meek(graph: nx.DiGraph) -> None:
    """Orients in place what the directed edges force: remove b -> a where a - b must be a -> b."""

    def joined(a: str, b: str) -> bool:
        return graph.has_edge(a, b) or graph.has_edge(b, a)

    def into(b: str) -> list[str]:
        return [c for c in graph.predecessors(b) if not graph.has_edge(b, c)]

    changed = True
    while changed:
        changed = False
        for a, b in [edge for pair in undirected_edges(graph) for edge in (pair, pair[::-1])]:
            if not graph.has_edge(b, a) or not graph.has_edge(a, b):
                continue
            into_b = into(b)
            open_a = [c for c in graph.successors(a) if graph.has_edge(c, a)]
            chain = any(not joined(c, b) for c in into(a))  # rule 1: c -> a - b
            path = any(graph.has_edge(a, c) and not graph.has_edge(c, a) for c in into_b)  # rule 2: a -> c -> b
            kite = any(  # rule 3: a - c -> b and a - d -> b, c and d not adjacent
                c in into_b and d in into_b and not joined(c, d) for c, d in itertools.combinations(open_a, 2)
            )
            round_about = any(  # rule 4: a - c -> d -> b, a and d adjacent, b and c not; only knowledge makes it apply
                c in into(d) and joined(a, d) and not joined(b, c) for c in open_a for d in into_b
            )
            if chain or path or kite or round_about:
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
    if graph.graph.get("knowledge"):
        return _member_of_narrowed(graph)
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


def _member_of_narrowed(graph: nx.DiGraph) -> nx.DiGraph:
    """One DAG of a class that knowledge has narrowed down: its edges are oriented one by one, with what each forces."""
    result = nx.DiGraph(graph)
    while open_edges := undirected_edges(result):
        result.remove_edge(*open_edges[0][::-1])
        _meek(result)
    result.graph.clear()
    result.graph["kind"] = "dag"
    arrows = [(a, b) for a, b in graph.edges if not graph.has_edge(b, a)]
    fits = nx.is_directed_acyclic_graph(result)
    if fits:
        whole = cpdag(result)
        fits = all(whole.has_edge(a, b) for a, b in arrows) and set(orient(whole, arrows).edges) == set(graph.edges)
    if not fits:
        raise ValueError("no DAG has this graph as its class: its arrows contradict each other, so orient it by hand")
    return result
