"""The kinds of questions: from a graph and a setting to a question, or None where it would be trivial."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np

from causalkit.do_rules import RULES, Application, applies, describe_path, open_path, probability
from causalkit.graphs import project
from causalkit.identification import NotIdentifiable, identify
from causalkit.identification.adjustment import is_adjustment_set
from causalkit.identification.admg import admg
from causalkit.identification.complete import Hedge, formula
from causalkit.questions.question import Question

__all__ = ["KINDS", "Maker"]

YES_NO = ("yes", "no")
NONE = "none of these"
Maker = Callable[[nx.DiGraph, Any, np.random.Generator], Question | None]


def _observed(graph: nx.DiGraph, random: np.random.Generator) -> list[str]:
    names = [v for v, hidden in graph.nodes(data="hidden") if not hidden]
    return [names[i] for i in random.permutation(len(names))]


def _rule(graph: nx.DiGraph, setting: tuple[int, bool], random: np.random.Generator) -> Question | None:
    """Does a rule of do-calculus give this equation?"""
    number, wanted = setting
    names = _observed(graph, random)
    a, b = int(random.integers(2)), int(random.integers(2))
    if len(names) < 2 + a + b or (number == 1 and not a + b):
        return None
    y, z, x, w = names[0], names[1], names[2 : 2 + a], names[2 + a : 2 + a + b]
    rule = applies(graph, number, y, x, z, w)
    if bool(rule) != wanted or _is_trivial(graph, rule):
        return None
    text = f"Does rule {number} of do-calculus ({RULES[number]}) say that {rule.equation} in every SCM with this graph?"
    why = rule.why if rule else f"{rule.why} In almost every SCM with this graph the two sides differ."
    parts = {"Y": rule.y, "X": rule.x, "Z": rule.z, "W": rule.w}
    return Question("rule", text, graph, YES_NO, parts, "yes" if rule else "no", (why, why), rule)


def _is_trivial(graph: nx.DiGraph, rule: Application) -> bool:
    """Whether one sees at a glance that it applies (nothing to cut or to shut), or that it does not (an arrow)."""
    if not rule:
        return len(rule.open_path) == 2
    given = {*rule.x, *rule.w}
    joined = open_path(graph, rule.z, rule.y, given) or (rule.rule == 1 and open_path(graph, rule.z, rule.y))
    return not joined or (rule.rule == 2 and not graph.in_degree(rule.z[0]))


def _adjustment(graph: nx.DiGraph, place: int, random: np.random.Generator) -> Question | None:
    """Which of these three sets is a valid adjustment set? It stands in this place; in none of them if it is 3."""
    names = _observed(graph, random)
    if len(names) < 2 or not nx.has_path(graph, names[0], names[1]):
        return None
    x, y, *others = names
    sets = [s for k in range(min(len(others), 3) + 1) for s in itertools.combinations(sorted(others), k)]
    sets = [sets[i] for i in random.permutation(len(sets))]
    valid = [s for s in sets if is_adjustment_set(graph, x, y, s)]
    shown = [s for s in sets if s not in valid][: 2 + (place == 3)]
    if len(shown) < 2 + (place == 3) or (place < 3 and not valid):
        return None
    if place < 3:
        shown.insert(place, valid[0])
    whys = [_verdict(graph, x, y, s) for s in shown]
    options = (*map(_set, shown), NONE)
    text = f"Which set is valid to adjust for, to get the effect of {x} on {y}, {probability([y], [x])}?"
    last = " ".join(whys) if place == 3 else ""  # otherwise the valid set's reason says all
    return Question("adjustment", text, graph, options, {"X": (x,), "Y": (y,)}, options[place], (*whys, last))


def _set(names: Sequence[str]) -> str:
    return f"{{{', '.join(names)}}}" if names else "the empty set"


def _verdict(graph: nx.DiGraph, x: str, y: str, adjustment: Sequence[str]) -> str:
    """Why an adjustment set is valid, or what is wrong with it."""
    what = _set(adjustment)[:1].upper() + _set(adjustment)[1:]
    if is_adjustment_set(graph, x, y, adjustment):
        return f"{what} is valid: it shuts every path from {x} to {y} that is not causal, and no causal one."
    causal = nx.descendants(graph, x) & (nx.ancestors(graph, y) | {y})
    for v in adjustment:
        if v in causal:
            why = f"{v} is on a causal path from {x} to {y}, and to adjust for it takes away part of the effect"
            return f"{what} is not valid: {why}."
        for cause in (c for c in graph if c in causal & nx.ancestors(graph, v)):
            where = "the outcome" if cause == y else f"which is on a causal path from {x} to {y}"
            return f"{what} is not valid: {v} is an effect of {cause}, {where}."
    others = nx.DiGraph(graph)
    others.remove_edges_from([(x, c) for c in causal if graph.has_edge(x, c)])
    path = describe_path(others, open_path(others, x, y, adjustment), adjustment)
    return f"{what} is not valid: it leaves open a path that is not causal, {path}."


def _identifiable(graph: nx.DiGraph, wanted: bool, random: np.random.Generator) -> Question | None:
    """Is the effect identifiable?"""
    names = _observed(graph, random)
    if len(names) < 2 or not nx.has_path(graph, names[0], names[1]):
        return None
    x, y = names[:2]
    _, pairs = project(graph.subgraph({y, *nx.ancestors(graph, y)}))
    # without hidden causes every effect is identifiable; and nothing to adjust for, or a bow, is seen at a glance
    if not pairs or is_adjustment_set(graph, x, y, ()) or (frozenset((x, y)) in pairs and graph.has_edge(x, y)):
        return None
    if isinstance(formula(admg(graph), (y,), (x,), ()), Hedge) == wanted:
        return None  # decided before the derivation, which takes longer
    effect = probability([y], [x])
    try:
        estimand = identify(graph, y, x)
    except NotIdentifiable as error:
        larger, smaller = (", ".join(part) for part in error.hedge)
        answer = "no"
        why = (
            f"{{{larger}}} is held together by hidden common causes, and so is {{{smaller}}} within it, which lacks "
            f"{x}: a hedge. So two SCMs of this graph can agree on everything that is observed and differ in {effect}."
        )
    else:
        answer, why = "yes", f"{effect} = {estimand.expression} (found by: {estimand.strategy})."
    text = f"Can {effect} be computed from the distribution of the observed variables, in every SCM with this graph?"
    return Question("identifiable", text, graph, YES_NO, {"X": (x,), "Y": (y,)}, answer, (why, why))


KINDS: dict[str, tuple[Sequence[Any], Maker]] = {
    "rule": ([(number, answer) for number in RULES for answer in (True, False)], _rule),
    "adjustment": ([0, 1, 2, 3], _adjustment),
    "identifiable": ([True, False], _identifiable),
}
"""Kind -> its settings, of which one is drawn, and the function from (graph, setting, random) to a question or None."""
