"""Every DAG of a Markov equivalence class: what an analysis that wants a DAG can be run on, all of them in turn."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from causalkit.graphs.basics import check_dag, undirected_edges
from causalkit.graphs.classes import member, orient

__all__ = ["consistent_dags"]


def consistent_dags(graph: nx.DiGraph, *, limit: int = 1000) -> list[nx.DiGraph]:
    """All DAGs that a CPDAG leaves open, each once: its Markov equivalence class.

    An undirected edge is put each way in turn, with what that forces (Meek's rules 1-4, which leave nothing
    undirected that could go one way only), so no branch ends without a DAG. A class that knowledge has narrowed down
    (`orient`, `ck.discover(..., knowledge=...)`) gives the DAGs that agree with it. A DAG is consistent with itself
    alone; its class is `consistent_dags(cpdag(dag))`.

    The data cannot say which of them is right. What they all agree on does not depend on the choice; the spread over
    them is what the choice is worth (`ck.fit_ensemble` takes the CPDAG and shows it).

    Source: Meek (1995), theorem 4; Chickering (1995) for what the members have in common.

    Args:
        graph: A CPDAG, narrowed down or not, or a DAG.
        limit: The most DAGs that are wanted; a complete graph of n variables has n!.

    Returns:
        DAGs over the nodes of the graph, in a fixed order.

    Raises:
        ValueError: More DAGs than the limit (nothing is left out in silence); a PAG; a graph that no DAG has as its
            CPDAG; undirected edges or a cycle in what is called a DAG.

    Example:
        >>> from causalkit.graphs import cpdag, parse
        >>> [sorted(dag.edges) for dag in consistent_dags(cpdag(parse("x -> y -> z")))]
        [[('x', 'y'), ('y', 'z')], [('y', 'x'), ('y', 'z')], [('y', 'x'), ('z', 'y')]]
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"limit = {limit!r}: give the most DAGs that you want, a whole number from 1 on")
    kind = graph.graph.get("kind", "dag") if isinstance(graph, nx.DiGraph) else "dag"
    if kind == "pag":
        raise ValueError("a PAG stands for graphs with hidden variables, not for a class of DAGs: give a CPDAG")
    if kind == "dag":
        check_dag(graph)
        return [nx.DiGraph(graph)]
    member(graph)  # raises where the class is empty
    found: list[nx.DiGraph] = []
    for dag in _members(graph):
        if len(found) == limit:
            raise ValueError(
                f"this class has more than {limit} DAGs ({len(undirected_edges(graph))} undirected edges): orient some "
                f"by what you know, ck.graphs.orient(graph, [('a', 'b')]), or raise limit={limit}"
            )
        found.append(dag)
    return found


def _members(graph: nx.DiGraph) -> Iterator[nx.DiGraph]:
    """The DAGs of a class that is not empty, one after the other."""
    edges = undirected_edges(graph)
    if edges:
        for arrow in (edges[0], edges[0][::-1]):
            yield from _members(orient(graph, [arrow]))
        return
    dag = nx.DiGraph(kind="dag")
    dag.add_nodes_from(graph.nodes(data=True))
    dag.add_edges_from(graph.edges)
    yield dag
