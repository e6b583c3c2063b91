"""Adjustment sets: which variables to hold fixed, so that comparing treated with untreated rows gives the effect.

A set Z is valid for P(y | do(x)) if (i) no member is *forbidden*, an effect of a variable on a causal path from x to
y, and (ii) Z d-separates x from y once the first edge of every causal path is removed, which leaves the non-causal
paths alone (the generalised adjustment criterion; Shpitser et al. 2010, Perkovic et al. 2018). Then, and only then,
P(y | do(x)) = sum_z P(y | x, z) P(z) in every SCM with this graph. Pearl's back-door criterion finds fewer sets.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator

import networkx as nx

from causalkit.do_rules.paths import dag_of
from causalkit.errors import unknown

__all__ = ["adjustment_sets", "is_adjustment_set", "optimal_adjustment"]

Names = str | Iterable[str]
SEARCHED = 12
"""The most variables of which all subsets are compared, where hidden variables leave the best set to a search."""


def adjustment_sets(graph: nx.DiGraph, do: Names, outcome: Names, *, at_most: int = 1000) -> list[tuple[str, ...]]:
    """All minimal valid adjustment sets of observed variables, smallest first; none of their subsets is valid.

    A minimal set lies among the ancestors of x and y, so it is a minimal separator of the two in one undirected graph:
    the moral graph of these ancestors, in which what may not be adjusted for is passed through (van der Zander,
    Liskiewicz and Textor 2019). The separators are listed from those near x to those near y (Shen and Liang 1997).

    Args:
        graph: A DAG; hidden nodes carry hidden=True and are never in a set.
        do: The treatment, or several.
        outcome: The outcome, or several.
        at_most: How many sets are listed; there can be exponentially many.

    Returns:
        The sets, each in the order of the graph's nodes; [()] where nothing need be adjusted for, [] where no set is
        valid (the effect may be identifiable all the same: by the front door, say).

    Raises:
        ValueError: An unknown or hidden name, an outcome that is a treatment, a graph that is no DAG.

    Example:
        >>> from causalkit.graphs import parse
        >>> adjustment_sets(parse("x -> y; a -> x; a -> b -> y"), "x", "y")
        [('a',), ('b',)]
        >>> adjustment_sets(parse("x -> y; x <-> y"), "x", "y")
        []
    """
    do, outcome = question(graph, do, outcome)
    cut, allowed = _non_causal(graph, do, outcome), _allowed(graph, do, outcome)
    return minimal_separators(cut, do, outcome, allowed, at_most=at_most)


def is_adjustment_set(graph: nx.DiGraph, do: Names, outcome: Names, adjustment: Names) -> bool:
    """Whether the set is valid: P(y | do(x)) = sum_z P(y | x, z) P(z) in every SCM with this graph.

    Raises:
        ValueError: As `adjustment_sets`; an unknown name in the set.

    Example:
        >>> from causalkit.graphs import parse
        >>> graph = parse("a -> x -> y; a -> y; y -> s")
        >>> is_adjustment_set(graph, "x", "y", ["a"]), is_adjustment_set(graph, "x", "y", ["a", "s"])
        (True, False)
    """
    do, outcome = question(graph, do, outcome)
    chosen = names(adjustment)
    for name in chosen:
        if name not in graph:
            raise unknown("variable of the graph", name, graph.nodes)
    return set(chosen) <= _allowed(graph, do, outcome) and bool(
        nx.is_d_separator(_non_causal(graph, do, outcome), set(do), set(outcome), set(chosen))
    )


def optimal_adjustment(graph: nx.DiGraph, do: Names, outcome: Names) -> tuple[str, ...] | None:
    """The valid adjustment set whose estimate has the least asymptotic variance, whatever the SCM with this graph.

    Without hidden variables it is O = pa(cn) minus the forbidden ones, cn being the variables on causal paths from x to
    y, treatments left out (Henckel, Perkovic and Maathuis 2022, definition 3.12, for linear models; Rotnitzky and
    Smucler 2020 for all others): it explains the outcome, and little of the treatment. Where a variable of O is hidden,
    there may be no such set; then all valid sets are compared, Z being at least as good as W if y is d-separated from
    W - Z given Z and x, and x from Z - W given W (theorem 3.1 there), and a set is returned if it is at least as good
    as every other.

    Returns:
        The set in the order of the graph's nodes; None where no set is valid, where which one is best depends on the
        SCM, and where no outcome is an effect of a treatment (P(y | do(x)) is P(y) then).

    Raises:
        ValueError: As `adjustment_sets`; more than 12 observed variables to compare all subsets of, which happens
            only where O holds a hidden variable.

    Example:
        >>> from causalkit.graphs import parse
        >>> optimal_adjustment(parse("x -> y; a -> x; a -> b -> y; c -> y"), "x", "y")
        ('b', 'c')
    """
    do, outcome = question(graph, do, outcome)
    causal = _causal(graph, do, outcome)
    if not causal or not adjustment_sets(graph, do, outcome, at_most=1):
        return None
    parents = set().union(*(graph.predecessors(v) for v in causal)) - _forbidden(graph, do, outcome)
    allowed = _allowed(graph, do, outcome)
    if parents <= allowed:
        return _ordered(graph, parents)
    if len(allowed) > SEARCHED:
        raise ValueError(
            f"with {_list(parents - allowed)} hidden, the best of the sets among {len(allowed)} variables would have "
            f"to be searched for; that stops at {SEARCHED}: take one of adjustment_sets(...)"
        )
    return _best(graph, set(do), set(outcome), _ordered(graph, allowed))


def _best(graph: nx.DiGraph, do: set[str], outcome: set[str], allowed: tuple[str, ...]) -> tuple[str, ...] | None:
    """The valid set that is at least as good as every other by theorem 3.1, larger ones tried first."""
    cut = _non_causal(graph, tuple(do), tuple(outcome))
    sizes = range(len(allowed), -1, -1)
    sets = [set(s) for s in itertools.chain.from_iterable(itertools.combinations(allowed, k) for k in sizes)]
    valid = [s for s in sets if nx.is_d_separator(cut, do, outcome, s)]

    def as_good(z: set[str], w: set[str]) -> bool:
        explains = not w - z or nx.is_d_separator(graph, outcome, w - z, z | do)
        return bool(explains and (not z - w or nx.is_d_separator(graph, do, z - w, w)))

    return next((_ordered(graph, z) for z in valid if all(as_good(z, w) for w in valid)), None)


def minimal_separators(
    graph: nx.DiGraph, x: Collection[str], y: Collection[str], allowed: Collection[str], *, at_most: int = 1000
) -> list[tuple[str, ...]]:
    """The minimal sets of allowed variables that d-separate x from y, smallest first."""
    near = set(x) | set(y)
    moral = nx.moral_graph(graph.subgraph(near.union(*(nx.ancestors(graph, v) for v in near))))
    for v in set(moral) - near - set(allowed):  # what may not be held fixed lets everything through
        moral.add_edges_from(itertools.combinations(list(moral[v]), 2))
        moral.remove_node(v)
    start, end = object(), object()  # all of x as one node, all of y as another
    moral = nx.relabel_nodes(moral, {**dict.fromkeys(x, start), **dict.fromkeys(y, end)})
    found = itertools.islice(_separators(moral, start, end), at_most)
    return sorted((_ordered(graph, s) for s in found), key=lambda s: (len(s), [list(graph).index(v) for v in s]))


def _separators(graph: nx.Graph, start: object, end: object) -> Iterator[frozenset]:
    """Every minimal vertex separator once: from the one near `start`, each variable in turn moved to start's side."""

    def beyond(side: set) -> frozenset | None:
        """What of the border of `side` the end's component touches; None if the end itself is on the border."""
        border = set().union(*(graph[v] for v in side)) - side
        if end in border:
            return None
        far = nx.node_connected_component(graph.subgraph(set(graph) - side - border), end)
        return frozenset(v for v in border if any(w in far for w in graph[v]))

    first = beyond({start})
    queue, seen = [first] if first is not None else [], {first}
    while queue:
        separator = queue.pop(0)
        yield separator
        side = nx.node_connected_component(graph.subgraph(set(graph) - separator), start)
        for v in sorted(separator, key=str):
            following = beyond(side | {v})
            if following is not None and following not in seen:
                seen.add(following)
                queue.append(following)


def question(graph: nx.DiGraph, do: Names, outcome: Names) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Treatments and outcomes as tuples, once they are known to be observed variables of the DAG, and disjoint."""
    dag_of(graph)
    do, outcome = names(do), names(outcome)
    for role, given in (("do", do), ("outcome", outcome)):
        if not given:
            raise ValueError(f"{role} is empty: name at least one variable")
        for name in given:
            if name not in graph:
                raise unknown("variable of the graph", name, graph.nodes)
            if graph.nodes[name].get("hidden"):
                raise ValueError(f"{role} names {name!r}, which is hidden: ask about observed variables")
    both = [name for name in outcome if name in do]
    if both:
        raise ValueError(f"{both[0]!r} is both in do and an outcome: what is set has no effect to estimate")
    return do, outcome


def names(given: Names) -> tuple[str, ...]:
    """One name, or several, as a tuple without repeats."""
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


def _causal(graph: nx.DiGraph, do: Collection[str], outcome: Collection[str]) -> set[str]:
    """cn: the variables, treatments left out, on paths x -> ... -> y that meet the treatments at their start alone."""
    proper = graph.subgraph(set(graph) - set(do))
    before = set(outcome).union(*(nx.ancestors(proper, y) for y in outcome))
    first = {v for x in do for v in graph.successors(x) if v in before}
    return before & first.union(*(nx.descendants(proper, v) for v in first))


def _forbidden(graph: nx.DiGraph, do: Collection[str], outcome: Collection[str]) -> set[str]:
    causal = _causal(graph, do, outcome)
    return causal.union(do, *(nx.descendants(graph, v) for v in causal))


def _allowed(graph: nx.DiGraph, do: Collection[str], outcome: Collection[str]) -> set[str]:
    seen = {v for v, hidden in graph.nodes(data="hidden") if not hidden}
    return seen - _forbidden(graph, do, outcome) - set(outcome)


def _non_causal(graph: nx.DiGraph, do: Collection[str], outcome: Collection[str]) -> nx.DiGraph:
    """The proper back-door graph: without the first edge of every proper causal path."""
    causal = _causal(graph, do, outcome)
    cut = nx.DiGraph(graph)
    cut.remove_edges_from([(x, v) for x in do for v in graph.successors(x) if v in causal])
    return cut


def _ordered(graph: nx.DiGraph, chosen: Collection[str]) -> tuple[str, ...]:
    return tuple(v for v in graph if v in chosen)


def _list(chosen: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, chosen)))
