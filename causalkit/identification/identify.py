"""identify(): a causal question and a graph in, a formula with its derivation out, or why there is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx

from causalkit.do_rules.paths import dag_of
from causalkit.errors import unknown
from causalkit.identification.adjustment import adjustment_sets
from causalkit.identification.admg import admg, relevant
from causalkit.identification.complete import Hedge, formula
from causalkit.identification.derivation import Derivation, back_door, derive, front_door
from causalkit.identification.estimand import Estimand
from causalkit.identification.expressions import Probability
from causalkit.identification.front_door import front_door_sets
from causalkit.identification.instruments import instruments
from causalkit.identification.proof import RuleDoesNotApply
from causalkit.identification.verify import TooLarge, random_discrete
from causalkit.scm import SCM

__all__ = ["METHODS", "NotIdentifiable", "WrongFormula", "identify"]

METHODS = ("auto", "back-door", "front-door", "id")
"""The strategies to choose from."""
ENUMERATED = 2**16
"""The most joint states of observed variables for which a formula is verified before it is returned."""
SEARCHED = 10
"""The most other variables among which the sets of a strategy are searched for, where all subsets may be looked at."""
TOLERANCE = 1e-9

Names = str | Iterable[str]


class NotIdentifiable(ValueError):
    """The graph and what is observed do not determine the effect; the message says why, and what would.

    Attributes:
        question: The effect that was asked for.
        hedge: The larger and the smaller set of variables that forbid it (Shpitser and Pearl 2006): (larger, smaller).
            Empty where a strategy was asked for that does not fit, as another one may.
        measure: The hidden variables of which measuring one alone would make the effect identifiable.
    """

    def __init__(
        self,
        message: str,
        question: Probability,
        hedge: tuple[tuple[str, ...], ...] = (),
        measure: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.question, self.hedge, self.measure = question, hedge, measure


class WrongFormula(RuntimeError):
    """A formula that does not give the effect on a random SCM of its graph: a fault of this package; report it."""


def identify(
    graph: nx.DiGraph | SCM,
    outcome: Names,
    do: Names,
    given: Names | None = None,
    sources: Mapping[str, Any] | None = None,
    *,
    method: str = "auto",
) -> Estimand:
    """P(outcome | do(do), given) as a formula over what is observed, with its derivation in do-calculus.

    "auto" takes the first that fits: no effect, P(y | do(x)) = P(y); adjustment for a minimal set ("back-door"); the
    front door; else the complete algorithms ("id", "idc" with `given`), which find a formula if and only if there is
    one. Before a formula is returned it is verified: on two random discrete SCMs of this graph it gives the effect to
    1e-9, by exact enumeration.

    Args:
        graph: A DAG whose hidden variables are nodes with hidden=True (`ck.graphs.parse("x <-> y")` makes them), or an
            SCM.
        outcome: The outcome, or several.
        do: What is set, one variable or several.
        given: What is known beside, P(outcome | do(do), given); one variable or several.
        sources: Other populations and what is known from them, name -> `ck.identification.Source`: transport.
        method: One of `METHODS`, to have a strategy and no other.

    Returns:
        The estimand: print it, `.estimate(frame, do={"x": 1.0}, seed=0)`, `.verify(scm)`.

    Raises:
        NotIdentifiable: No formula exists (with the hedge that says so), or none of the strategy asked for.
        ValueError: An empty outcome or do, unknown or hidden names, a name in two roles, a graph that is no DAG, an
            unknown method.
        WrongFormula: The formula failed its verification.

    Source: Pearl (2009), sections 3.3 and 3.4; Shpitser and Pearl (2006a, b).

    Example:
        >>> import causalkit as ck
        >>> print(ck.identify(ck.graphs.parse("z -> x -> y; z -> y"), outcome="y", do="x").expression)
        sum_{z} P(y | x, z) P(z)
        >>> print(ck.identify(ck.graphs.textbook("napkin"), "y", "x").expression)
        [sum_{w} P(w) P(y, x | w, z)] / [sum_{w} P(w) P(x | w, z)]
        >>> try:
        ...     ck.identify(ck.graphs.textbook("bow"), "y", "x")
        ... except ck.NotIdentifiable as error:
        ...     print(error.hedge, error.measure)
        (('x', 'y'), ('y',)) ('u_x_y',)
    """
    graph = dag_of(graph)
    question = _question(graph, outcome, do, given)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if sources is not None:
        from causalkit.identification.transport import transport

        return transport(graph, question, sources)
    part = relevant(graph, {*question.of, *question.do, *question.given})
    hedge = formula(admg(part), question.of, question.do, question.given)
    if isinstance(hedge, Hedge):
        raise _not_identifiable(part, question, hedge)
    for found in _candidates(graph, part, question, method):
        return replace(found, verified=_verified(found, part))
    raise NotIdentifiable(
        f"no {method} formula for {question}: it is identifiable otherwise, drop method={method!r}", question
    )


def _question(graph: nx.DiGraph, outcome: Names, do: Names, given: Names | None) -> Probability:
    """The question as a probability, once the names are known to make sense."""
    roles: dict[str, str] = {}
    seen = [v for v, hidden in graph.nodes(data="hidden") if not hidden]
    sets = {"outcome": _names(outcome), "do": _names(do), "given": _names(given or ())}
    for role, names in sets.items():
        for name in names:
            if name not in graph:
                raise unknown(f"variable in {role}", name, seen)
            if name not in seen:
                raise ValueError(f"{name!r} in {role} is hidden: ask about observed variables, {', '.join(seen)}")
            if name in roles:
                raise ValueError(f"{name!r} is in {roles[name]} and in {role}: a question has it in one of them")
            roles[name] = role
    for role in ("outcome", "do"):
        if not sets[role]:
            what = "whose distribution is asked for" if role == "outcome" else "that are set"
            raise ValueError(f"{role} is empty: name the variables {what}")
    y, z, x = (admg(graph).in_order(sets[role]) for role in ("outcome", "given", "do"))
    return Probability(y, z, x)


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _candidates(graph: nx.DiGraph, part: nx.DiGraph, question: Probability, method: str) -> Iterator[Estimand]:
    """The estimands of the strategies that fit, in the order in which they are preferred."""

    def made(found: Derivation, strategy: str, using: Iterable[str] = ()) -> Estimand:
        answer, steps = found
        return Estimand(graph, question.of, question.do, question.given, answer, strategy, steps, tuple(using))

    acts = set(question.do) & set().union(*(nx.ancestors(part, v) for v in (*question.of, *question.given)))
    if method == "auto" and not acts:
        yield made(derive(part, question), "no effect")
    if method in ("auto", "back-door"):
        for using in _adjustments(part, question):
            try:
                yield made(back_door(part, question, using), "back-door", using)
            except RuleDoesNotApply:
                continue  # valid, but by more than the two rules of the back door
    observed = [v for v, hidden in part.nodes(data="hidden") if not hidden]
    if method == "front-door" or (method == "auto" and len(observed) <= SEARCHED):
        for using in filter(None, front_door_sets(part, question.do, question.of) if not question.given else []):
            try:
                yield made(front_door(part, question, using), "front-door", using)
            except RuleDoesNotApply:
                continue
    if method in ("auto", "id"):
        yield made(derive(part, question), "idc" if question.given else "id")


def _adjustments(part: nx.DiGraph, question: Probability) -> Iterator[tuple[str, ...]]:
    """Minimal adjustment sets; beside what is given, all small sets of non-effects of do."""
    if not question.given:
        yield from adjustment_sets(part, question.do, question.of, at_most=20)
        return
    taken = {*question.of, *question.do, *question.given}.union(*(nx.descendants(part, x) for x in question.do))
    free = [v for v, hidden in part.nodes(data="hidden") if not hidden and v not in taken]
    for size in range(len(free) + 1 if len(free) <= SEARCHED else 2):
        yield from itertools.combinations(free, size)


def _verified(found: Estimand, part: nx.DiGraph) -> float | None:
    """The largest error on two random SCMs, the second with three levels here and there; None if they are too large."""
    observed = [v for v, hidden in part.nodes(data="hidden") if not hidden]
    if 2 ** len(observed) > ENUMERATED:
        return None
    threes = len(observed) // 2 if 6 ** (len(observed) // 2) * 2 <= ENUMERATED else 0
    levels: tuple[int | dict[str, int], ...] = (2, dict.fromkeys(observed[:threes], 3))
    try:
        error = max(found.verify(random_discrete(part, levels=k, seed=i)) for i, k in enumerate(levels))
    except TooLarge:
        return None
    if not error <= TOLERANCE:
        raise WrongFormula(
            f"{found.question} = {found.expression} ({found.strategy}) is off by {error:.2g} on a random discrete SCM "
            f"of the graph with edges {sorted(found.graph.edges)}: this is a fault of causalkit, please report it"
        )
    return error


def _not_identifiable(part: nx.DiGraph, question: Probability, hedge: Hedge) -> NotIdentifiable:
    larger, smaller = (", ".join(names) for names in (hedge.larger, hedge.smaller))
    meets = ", ".join(v for v in hedge.larger if v in (*question.do, *question.given) and v not in hedge.smaller)
    hidden = [v for v, is_hidden in part.nodes(data="hidden") if is_hidden]
    measure = [v for v in hidden[:SEARCHED] if not isinstance(formula(_measured(part, v), *_sides(question)), Hedge)]
    ways = [f"measure {' or '.join(measure)}" if measure else "measure more than one of the hidden variables"]
    ways.append(f"an experiment on {', '.join(question.do)}")
    if len(question.do) == len(question.of) == 1 and not question.given:
        found = instruments(part, question.do[0], question.of[0])[:1]
        given = f" given {', '.join(found[0][1])}" if found and found[0][1] else ""
        ways += [f"if all mechanisms are linear, {z} is an instrument{given} (ck.identification.instruments)"
                 for z, _ in found]  # fmt: skip
    return NotIdentifiable(
        f"{question} is not identifiable. {{{larger}}} is held together by hidden common causes, and so is "
        f"{{{smaller}}} within it, which leaves out {meets}: a hedge, so two SCMs of this graph "
        f"agree on all that is observed and disagree on the effect. Ways out: {'; '.join(ways)}",
        question,
        (hedge.larger, hedge.smaller),
        tuple(measure),
    )


def _measured(graph: nx.DiGraph, name: str) -> Any:
    seen = nx.DiGraph(graph)
    seen.nodes[name]["hidden"] = False
    return admg(seen)


def _sides(question: Probability) -> tuple[tuple[str, ...], ...]:
    return question.of, question.do, question.given
