"""Background knowledge: what is known of the graph before the data are seen, in one form for all methods.

A method that can use it while it searches takes it from here (`forbids`, `requires`, `to_pgmpy`); for the others,
`apply` puts it into the graph that they found.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx

from causalkit.errors import unknown
from causalkit.graphs import cpdag, member, orient, undirected_edges

__all__ = ["Knowledge", "to_pgmpy"]


@dataclass(frozen=True)
class Knowledge:
    """Edges that are known to be there or not.

    All of it is about direct causes among the variables in the data: a forbidden a -> b leaves a -> c -> b open.

    Args:
        required: Pairs (cause, effect) that the graph must have.
        forbidden: Pairs (cause, effect) that it must not have; the effect may still be the cause.
        tiers: Groups of variables, earliest first: no arrow from a later tier to an earlier one. Within a tier, and
            for variables in no tier, all is open.
        roots: Variables without causes.

    Raises:
        ValueError: A pair that is none; a variable in two tiers; a required edge that is forbidden too, or points at
            a root or an earlier tier; required edges that make a cycle (named).

    Example:
        >>> known = Knowledge(required=[("x", "y")], tiers=[("x",), ("y", "z")])
        >>> known.forbids("z", "x"), known.forbids("x", "z"), known.forbids("y", "x")
        (True, False, True)
    """

    required: tuple[tuple[str, str], ...] = ()
    forbidden: tuple[tuple[str, str], ...] = ()
    tiers: tuple[tuple[str, ...], ...] = ()
    roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("required", "forbidden"):
            object.__setattr__(self, name, tuple(_pair(name, edge) for edge in getattr(self, name)))
        for name in ("tiers", "roots"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name}={getattr(self, name)!r} is one name: give a tuple, such as {name}=('x',)")
        object.__setattr__(self, "tiers", tuple((t,) if isinstance(t, str) else tuple(t) for t in self.tiers))
        object.__setattr__(self, "roots", tuple(self.roots))
        placed = list(itertools.chain(*self.tiers))
        twice = [name for name in placed if placed.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is named in the tiers more than once: leave it in one place")
        for a, b in self.required:
            why = self._against(a, b)
            if why:
                raise ValueError(f"the edge {a} -> {b} is required, but {why}: leave one of the two out")
        graph = nx.DiGraph(self.required)
        if not nx.is_directed_acyclic_graph(graph):
            cycle = [edge[0] for edge in nx.find_cycle(graph)]
            path = " -> ".join(map(str, [*cycle, cycle[0]]))
            raise ValueError(f"the required edges make a cycle, {path}: leave one of them out")

    @cached_property
    def _tier(self) -> dict[str, int]:
        return {name: i for i, tier in enumerate(self.tiers) for name in tier}

    @cached_property
    def _above(self) -> dict[str, set[str]]:
        """Variable -> its ancestors by the required edges."""
        graph = nx.DiGraph(self.required)
        return {name: nx.ancestors(graph, name) for name in graph}

    @cached_property
    def _sets(self) -> tuple[frozenset, frozenset, frozenset]:
        return frozenset(self.required), frozenset(self.forbidden), frozenset(self.roots)

    def _against(self, a: Hashable, b: Hashable) -> str:
        """What forbids a -> b, in words; nothing where nothing does."""
        _, forbidden, roots = self._sets
        if (a, b) in forbidden:
            return "forbidden too"
        if b in roots:
            return f"{b} is a root"
        tier: dict[Any, int] = self._tier
        return f"{a} is in a later tier than {b}" if a in tier and b in tier and tier[a] > tier[b] else ""

    def forbids(self, a: Hashable, b: Hashable) -> bool:
        """Whether a -> b cannot be: by a pair, a tier or a root, or because it closes a cycle of required edges."""
        return bool(self._against(a, b)) or a == b or b in self._above.get(a, ())  # type: ignore[call-overload]

    def requires(self, a: Hashable, b: Hashable) -> bool:
        """Whether a -> b must be in the graph."""
        return (a, b) in self._sets[0]

    def check(self, columns: Iterable[str]) -> None:
        """Nothing, once every name is known to be a column.

        Raises:
            ValueError: A name that is none (the closest one is given).
        """
        columns = list(columns)
        for name in itertools.chain(*self.required, *self.forbidden, *self.tiers, self.roots):
            if name not in columns:
                raise unknown("variable in the background knowledge", name, columns)

    def agrees(self, graph: nx.DiGraph) -> bool:
        """Whether a DAG or CPDAG says nothing against it and leaves nothing open that it settles."""
        wrong = any(self.forbids(a, b) for a, b in graph.edges)
        return not wrong and all(graph.has_edge(a, b) and not graph.has_edge(b, a) for a, b in self.required)

    def apply(self, graph: nx.DiGraph) -> nx.DiGraph:
        """The graph changed as little as this knowledge wants: for methods that cannot use it themselves.

        - A DAG stays a DAG: required edges come in, forbidden ones turn round if that is allowed and makes no cycle,
          and go if not; so do others that would close a cycle with them.
        - A CPDAG is narrowed down to the members of the class that agree with the knowledge: undirected edges that
          can go one way only are oriented, and those that these force (Meek 1995, rules 1-4). If no member agrees,
          the one that comes closest is changed like a DAG, and its class is narrowed down.
        - A graph that stands for no class (`graph.graph["valid"]` is False) is changed like a DAG, mark by mark; its
          undirected edges stay so where both ways are allowed, and it stays invalid.

        An edge that goes in this way leaves a dependence in the data unexplained, and one that comes in is there
        whatever the data say: a method that knows beforehand can do better.

        Returns:
            A new graph over the same nodes, of the same kind; a changed CPDAG has `graph.graph["knowledge"] = True`.

        Raises:
            ValueError: A PAG, or a name that is not in the graph.

        Example:
            >>> from causalkit.graphs import cpdag, parse
            >>> found = cpdag(parse("x -> y -> z"))
            >>> list(Knowledge(roots=("x",)).apply(found).edges)
            [('x', 'y'), ('y', 'z')]
        """
        self.check(graph.nodes)
        kind = graph.graph.get("kind", "dag")
        if kind == "pag":
            raise ValueError(
                "background knowledge cannot be put into a PAG afterwards, whose arrows may pass over variables: leave "
                "it out, or choose a method that returns a DAG or CPDAG"
            )
        if self.agrees(graph):
            return graph
        if kind == "dag" or not graph.graph.get("valid", True):
            return self._settled(graph)
        narrowed = self._narrowed(graph)
        if not self.agrees(narrowed):
            narrowed = self._narrowed(cpdag(self._settled(member(narrowed))))
        result = nx.DiGraph(**{**graph.graph, "knowledge": True})
        result.add_nodes_from(graph.nodes(data=True))
        result.add_edges_from(narrowed.edges)
        return result

    def _narrowed(self, graph: nx.DiGraph) -> nx.DiGraph:
        """The class with every undirected edge oriented that can go one way only, and what that forces."""
        for a, b in undirected_edges(graph):
            one_way = self.forbids(a, b) != self.forbids(b, a) or self.requires(a, b) or self.requires(b, a)
            if one_way and graph.has_edge(a, b) and graph.has_edge(b, a):
                graph = orient(graph, [(b, a) if self.forbids(a, b) else (a, b)])
        return graph

    def _settled(self, graph: nx.DiGraph) -> nx.DiGraph:
        """What is required, then arrows as they are, then those that must turn, each where it closes no cycle."""
        acyclic = nx.DiGraph(**graph.graph)
        acyclic.add_nodes_from(graph.nodes(data=True))
        acyclic.add_edges_from(edge for edge in self.required)
        both = undirected_edges(graph)
        free = [(a, b) for a, b in both if not self.forbids(a, b) and not self.forbids(b, a)]
        arrows = [(a, b) for a, b in graph.edges if not graph.has_edge(b, a)]
        arrows += [pair for pair in both if pair not in free]
        for a, b in sorted(arrows, key=lambda edge: self.forbids(*edge)):
            for u, v in ((a, b), (b, a)):
                if not self.forbids(u, v) and not nx.has_path(acyclic, v, u):
                    acyclic.add_edge(u, v)
                    break
        acyclic.add_edges_from(edge for a, b in free if not acyclic.has_edge(a, b) for edge in ((a, b), (b, a)))
        return acyclic


def to_pgmpy(knowledge: Knowledge, columns: Iterable[str]) -> Any:
    """The `ExpertKnowledge` of pgmpy, over the numbers 0, 1, ... of the columns, as hill climbing uses it.

    pgmpy's PC reads it otherwise: it drops an edge that is forbidden one way only, or sets knowledge aside with a
    warning where the data speak against it; use `Knowledge.apply` on its graph.

    Example:
        >>> expert = to_pgmpy(Knowledge(required=[("x", "y")], roots=("x",)), ["y", "x"])
        >>> expert.required_edges, expert.forbidden_edges
        ({(1, 0)}, {(0, 1)})
    """
    from pgmpy.causal_discovery import ExpertKnowledge

    names = list(columns)
    knowledge.check(names)
    pairs = list(itertools.permutations(range(len(names)), 2))
    required = [(i, j) for i, j in pairs if knowledge.requires(names[i], names[j])]
    forbidden = [(i, j) for i, j in pairs if knowledge.forbids(names[i], names[j])]
    return ExpertKnowledge(required_edges=required, forbidden_edges=forbidden)


def _pair(name: str, edge: Any) -> tuple[str, str]:
    if isinstance(edge, str) or not isinstance(edge, Iterable) or len(pair := tuple(edge)) != 2 or pair[0] == pair[1]:
        raise ValueError(f"{name} edge {edge!r} is no pair of two variables: give (cause, effect), such as ('x', 'y')")
    return pair
