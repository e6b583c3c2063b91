"""The front door: an effect that runs through mediators which the hidden common cause does not touch."""

from __future__ import annotations

import itertools

import networkx as nx

from causalkit.identification.adjustment import Names, question

__all__ = ["front_door_sets"]

CANDIDATES = 15
"""The most variables of which all sets are looked at: 2^15."""


def front_door_sets(graph: nx.DiGraph, do: Names, outcome: Names) -> list[tuple[str, ...]]:
    """All minimal sets M of observed variables that satisfy the front-door criterion, smallest first.

    (i) M is on every causal path from x to y; (ii) no back-door path from x to M is open; (iii) x closes all back-door
    paths from M to y: M is d-separated from y given x in the graph without the edges out of M. Then
    P(y | do(x)) = sum_m P(m | x) sum_x' P(y | m, x') P(x'). Source: Pearl (2009), definition 3.3.3, in the form for
    sets of Jeong, Tian and Bareinboim (2022), definition 1.

    Args:
        graph: A DAG; hidden nodes carry hidden=True and are never in a set.
        do: The treatment, or several.
        outcome: The outcome, or several.

    Returns:
        The sets, each in the order of the graph's nodes. [()] where no causal path leads from x to y.

    Raises:
        ValueError: An unknown or hidden name, an outcome that is a treatment, a graph that is no DAG; more than 15
            variables that x is not confounded with.

    Example:
        >>> from causalkit.graphs import parse
        >>> front_door_sets(parse("x -> m -> y; x <-> y"), "x", "y")
        [('m',)]
    """
    do, outcome = question(graph, do, outcome)
    x, y = set(do), set(outcome)
    effects_cut = _without_edges_out_of(graph, x)
    candidates = [
        v
        for v, hidden in graph.nodes(data="hidden")
        if not hidden and v not in x | y and nx.is_d_separator(effects_cut, x, {v}, set())
    ]
    if len(candidates) > CANDIDATES:
        raise ValueError(
            f"{len(candidates)} variables have no open back-door path from {', '.join(do)}, which makes "
            f"2^{len(candidates)} sets to look at: leave variables out that are no ancestors of {', '.join(outcome)}"
        )
    found: list[tuple[str, ...]] = []
    sizes = range(len(candidates) + 1)
    for m in itertools.chain.from_iterable(itertools.combinations(candidates, k) for k in sizes):
        if not any(set(smaller) <= set(m) for smaller in found) and _is_front_door(graph, x, y, set(m)):
            found.append(m)
    return found


def _is_front_door(graph: nx.DiGraph, x: set[str], y: set[str], m: set[str]) -> bool:
    """Conditions (i) and (iii); every candidate satisfies (ii)."""
    around = graph.subgraph(set(graph) - m)
    if any(nx.descendants(around, v) & y for v in x):
        return False
    return not m or bool(nx.is_d_separator(_without_edges_out_of(graph, m), m, y, x))


def _without_edges_out_of(graph: nx.DiGraph, nodes: set[str]) -> nx.DiGraph:
    cut = nx.DiGraph(graph)
    cut.remove_edges_from(list(graph.out_edges(nodes)))
    return cut
