"""Graphs with hidden common causes as ADMGs: arrows among the observed variables, and pairs with a hidden cause.

What hidden variables mean for identification is in their latent projection alone, so all that asks for c-components
(districts) asks an `ADMG`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from causalkit.graphs import project

__all__ = ["ADMG", "admg", "canonical", "relevant"]


@dataclass(frozen=True)
class ADMG:
    """An acyclic directed mixed graph: a DAG over observed variables and its bidirected pairs.

    Source: Richardson (2003), section 2; Tian and Pearl (2002), section 3, for c-components.
    """

    directed: nx.DiGraph
    pairs: frozenset[frozenset[str]]

    def in_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names, causes before effects."""
        wanted = set(names)
        return tuple(n for n in nx.lexicographical_topological_sort(self.directed, self._place) if n in wanted)

    def _place(self, name: str) -> int:
        return list(self.directed).index(name)

    def parents(self, names: Iterable[str]) -> set[str]:
        """The parents of these variables that are not among them."""
        names = set(names)
        return {p for n in names for p in self.directed.predecessors(n)} - names

    def ancestors(self, names: Iterable[str], within: Iterable[str] | None = None) -> set[str]:
        """The names and their ancestors, by arrows among the variables `within` alone (all if None)."""
        graph = self.directed if within is None else self.directed.subgraph(within)
        names = set(names)
        return names.union(*(nx.ancestors(graph, n) for n in names))

    def district(self, name: str, within: Iterable[str]) -> set[str]:
        """The c-component of the variable: what chains of bidirected edges among `within` reach."""
        within, found, edge = set(within), {name}, {name}
        while edge:
            edge = {b for pair in self.pairs if pair & edge for b in pair} & within - found
            found |= edge
        return found

    def districts(self, within: Iterable[str]) -> list[set[str]]:
        """The c-components of the induced graph, by their first variables."""
        result: list[set[str]] = []
        for name in self.in_order(within):
            if not any(name in d for d in result):
                result.append(self.district(name, within))
        return result


def admg(graph: nx.DiGraph) -> ADMG:
    """The ADMG of a DAG with hidden nodes, by latent projection.

    Example:
        >>> from causalkit.graphs import parse
        >>> found = admg(parse("x -> m -> y; x <-> y"))
        >>> sorted(map(sorted, found.districts(["x", "m", "y"])))
        [['m'], ['x', 'y']]
    """
    directed, pairs = project(graph)
    return ADMG(directed, frozenset(pairs))


def canonical(mixed: ADMG) -> nx.DiGraph:
    """The DAG in which each bidirected pair a, b is a hidden root `u_a_b` of the two.

    Example:
        >>> from causalkit.graphs import parse
        >>> sorted(canonical(admg(parse("h -> x, y; x -> y"))).edges), len(admg(parse("x <-> y")).pairs)
        ([('h', 'x'), ('h', 'y'), ('x', 'y')], 1)
    """
    graph = nx.DiGraph(kind="dag")
    graph.add_nodes_from(mixed.directed.nodes)
    graph.add_edges_from(mixed.directed.edges)
    for a, b in sorted(map(sorted, mixed.pairs)):
        name = f"u_{a}_{b}"
        while name in graph:
            name += "_"
        graph.add_node(name, hidden=True)
        graph.add_edges_from([(name, a), (name, b)])
    return graph


def relevant(graph: nx.DiGraph, names: Iterable[str]) -> nx.DiGraph:
    """The subgraph of the names and their ancestors: nothing else bears on the names' distributions, seen or done.

    Example:
        >>> from causalkit.graphs import parse
        >>> list(relevant(parse("x -> y -> z"), ["y"]))
        ['x', 'y']
    """
    names = set(names)
    kept = names.union(*(nx.ancestors(graph, n) for n in names))
    part = nx.DiGraph(graph)  # not a subgraph view: those may lose the nodes' order
    part.remove_nodes_from([n for n in graph if n not in kept])
    return part
