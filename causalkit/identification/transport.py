"""Transport: an effect in a target population from what is seen there and what experiments elsewhere show.

A selection diagram is the causal graph with a node S that points at every mechanism in which source and target differ
(Pearl and Bareinboim 2014); the certificate of a shift lists these mechanisms. First an S-admissible set is looked
for: P(y | do(x)) = sum_z P_source(y | do(x), z) P_target(z). Where there is none, a formula over the target alone will
do; where there is none either, TRSO decides (Tikka and Karvanen 2019, as the library y0 has it), which combines several
sources and partial experiments.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx

from causalkit.errors import unknown
from causalkit.identification.adjustment import Names, names, question
from causalkit.identification.admg import admg, relevant
from causalkit.identification.complete import Hedge, formula
from causalkit.identification.estimand import Estimand, Step
from causalkit.identification.expressions import (
    Expression,
    Joint,
    Probability,
    Product,
    Ratio,
    Sum,
    evaluate,
    latex_name,
)
from causalkit.identification.simplify import simplify
from causalkit.identification.verify import TooLarge, gap, interventional, random_discrete
from causalkit.scm import SCM

__all__ = ["NotTransportable", "Source", "TransportError", "selection_diagram", "transport", "verify_transport"]

TARGET = "target"
"""What the population is called in which the effect is asked for."""
CANDIDATES = 12
"""The most variables of which all sets are looked at."""


class NotTransportable(ValueError):
    """What the target shows and the sources' experiments do not determine the effect in the target."""


class TransportError(RuntimeError):
    """The library for transport stopped on this question, or gave a formula that enumeration refutes."""


@dataclass(frozen=True)
class Source:
    """A population to learn from: how it differs from the target, and which experiments were done there.

    Args:
        changed: The variables whose mechanisms differ (hidden ones too), or the certificate of the shift that makes
            the source out of the target (or the other way round: what differs is the same).
        experiments: The variables that were set at random there, together or in part; none: it was only observed.

    Raises:
        ValueError: A certificate of a shift that selects rows: what differs is then no mechanism.

    Example:
        >>> Source("z", experiments=["x"])
        Source(changed=('z',), experiments=('x',))
    """

    changed: Any = ()
    experiments: Names = ()

    def __post_init__(self) -> None:
        if getattr(self.changed, "drivers", ()):
            by = ", ".join(self.changed.drivers)
            raise ValueError(
                f"the certificate is of a selection of rows by {by}: transport is between populations whose mechanisms "
                "differ"
            )
        object.__setattr__(self, "changed", names(getattr(self.changed, "changed", self.changed)))
        object.__setattr__(self, "experiments", names(self.experiments))


def transport(graph: nx.DiGraph, asked: Probability, sources: Mapping[str, Source]) -> Estimand:
    """P(y | do(x), w) in the target, as a formula over P_target and the sources' experiments.

    The target is observed (all but the hidden variables); P_name(... | do(x)) is what the source of that name shows
    where x was set at random.

    Args:
        graph: The causal graph that source and target share; hidden nodes carry hidden=True.
        asked: The question, P(y | do(x), w).
        sources: Name -> `Source`.

    Returns:
        An `Estimand` with strategy "transport", checked by enumeration on two random discrete SCMs a population that
        differ in the changed mechanisms alone. `.estimate` takes a mapping population -> frame, where the frame of a
        source is of its experiment.

    Raises:
        NotTransportable: No formula was found. TRSO is complete; that y0 is right where it says no is not checked.
        TransportError: The library y0 stopped, or its formula was refuted.
        ValueError: Unknown names; neither of the first two ways leads there, and y0 is not installed (the extra
            `transport`).

    Example:
        >>> from causalkit.graphs import parse
        >>> graph = parse("z -> x, y; x -> y; x <-> y")
        >>> found = transport(graph, Probability(("y",), do=("x",)), {"lab": Source("z", experiments="x")})
        >>> print(found.expression)
        sum_{z} P_lab(y | do(x), z) P_target(z)
    """
    do, outcome = question(graph, asked.do, asked.of)
    given = asked.given
    _check(graph, do, outcome, given, sources)
    found, steps, using = _admissible(graph, do, outcome, given, sources)
    if found is None:
        alone = formula(admg(relevant(graph, {*do, *outcome, *given})), outcome, do, given)
        found = _by_trso(graph, asked, sources) if isinstance(alone, Hedge) else _of_target(alone)
    estimand = Estimand(graph, outcome, do, given, found, "transport", steps, using)
    error = _verified(estimand, sources)
    if error is not None and error > 1e-8:
        raise TransportError(f"{found} is wrong by {error:.2g} on a random SCM, so it is not shown: report the graph")
    return replace(estimand, verified=error)


def _by_trso(graph: nx.DiGraph, asked: Probability, sources: Mapping[str, Source]) -> Expression:
    """TRSO's formula; one with conditions is the joint's over its sum, which is right and may miss a formula."""
    from causalkit.identification.trso import trso

    joint = trso(graph, (*asked.of, *asked.given), asked.do, sources)
    if joint is None:
        y, x = ", ".join(asked.of), ", ".join(asked.do)
        raise NotTransportable(
            f"P({y} | do({x})) in the target is not determined by what is seen there and by the experiments in "
            f"{', '.join(sources)}: experiment on {x} in a source whose mechanisms from {x} to {y} are the target's"
        )
    return simplify(Ratio(joint, Sum(asked.of, joint)) if asked.given else joint)


def _of_target(expression: Expression) -> Expression:
    """The formula with P_target for P."""
    if isinstance(expression, Probability):
        return replace(expression, population=TARGET)
    if isinstance(expression, Sum):
        return Sum(expression.over, _of_target(expression.term))
    if isinstance(expression, Product):
        return Product(tuple(map(_of_target, expression.terms)))
    return Ratio(_of_target(expression.top), _of_target(expression.bottom))


def selection_diagram(graph: nx.DiGraph, changed: Iterable[str]) -> tuple[nx.DiGraph, str]:
    """The graph with a node that points at what differs, and that node's name (S, or S with primes).

    Example:
        >>> from causalkit.graphs import parse
        >>> diagram, node = selection_diagram(parse("z -> x -> y"), ["z"])
        >>> sorted(diagram.edges)
        [('S', 'z'), ('x', 'y'), ('z', 'x')]
    """
    diagram, node = nx.DiGraph(graph), "S"
    while node in diagram:
        node += "'"
    diagram.add_node(node)
    diagram.add_edges_from((node, v) for v in changed)
    return diagram, node


def verify_transport(estimand: Estimand, populations: Mapping[str, SCM]) -> float:
    """The formula's largest error over all values, by exact enumeration: "target" -> SCM, and each source's SCM.

    Example:
        >>> from causalkit.graphs import parse
        >>> graph = parse("z -> x, y; x -> y; x <-> y")
        >>> found = transport(graph, Probability(("y",), do=("x",)), {"lab": Source("z", experiments="x")})
        >>> target, other = (random_discrete(graph, seed=k) for k in (0, 1))
        >>> verify_transport(found, {"target": target, "lab": target.replace({"z": other.mechanisms["z"]})}) < 1e-12
        True
    """

    def law(do: tuple[str, ...], population: str) -> Joint:
        if population not in populations:
            raise unknown("population", population, populations)
        return interventional(populations[population], do)

    asked = Probability(estimand.outcome, estimand.given, estimand.do, TARGET)
    return gap(evaluate(estimand.expression, law), evaluate(asked, law))


def _verified(estimand: Estimand, sources: Mapping[str, Source]) -> float | None:
    """The larger error on two random SCMs; None where the graph is too large to enumerate."""
    try:
        errors = []
        for seed in (0, 1):
            target = random_discrete(estimand.graph, seed=seed)
            populations = {TARGET: target}
            for k, (name, source) in enumerate(sources.items()):
                other = random_discrete(estimand.graph, seed=100 + 10 * k + seed)
                populations[name] = target.replace({v: other.mechanisms[v] for v in source.changed})
            errors.append(verify_transport(estimand, populations))
        return max(errors)
    except TooLarge:
        return None


def _admissible(
    graph: nx.DiGraph,
    do: tuple[str, ...],
    outcome: tuple[str, ...],
    given: tuple[str, ...],
    sources: Mapping[str, Source],
) -> tuple[Expression | None, tuple[Step, ...], tuple[str, ...]]:
    """Transport by the smallest S-admissible set z of variables that x does not affect; None where there is none.

    P_target(y | do(x), w) = sum_z P_target(y | do(x), z, w) P_target(z | w), since x affects neither z nor w (rule 3),
    and P_target(y | do(x), z, w) is the source's if S is d-separated from y given z, w and x in the diagram without the
    edges into x. Source: Pearl and Bareinboim (2014), theorem 2 and corollary 1.
    """
    after = set().union(*(nx.descendants(graph, v) for v in do))
    if set(given) & after:
        return None, (), ()
    free_of_x = [
        v for v, hidden in graph.nodes(data="hidden") if not hidden and v not in {*after, *do, *outcome, *given}
    ]
    diagrams = {}
    for name, source in sources.items():
        if set(do) <= set(source.experiments):
            diagram, node = selection_diagram(graph, source.changed)
            diagram.remove_edges_from(list(diagram.in_edges(do)))
            diagrams[name] = diagram, node
    if len(free_of_x) > CANDIDATES:  # what drives neither the outcome nor what differs is not needed
        near = {*outcome}.union(*(nx.ancestors(graph, y) for y in outcome))
        free_of_x = [v for v in free_of_x if v in near][:CANDIDATES]
    for size, (name, (diagram, node)) in itertools.product(range(len(free_of_x) + 1), diagrams.items()):
        for z in itertools.combinations(free_of_x, size):
            if nx.is_d_separator(diagram, {node}, set(outcome), {*z, *given, *do}):
                return *_adjusted(do, outcome, given, z, name, node), z
    return None, (), ()


def _adjusted(
    do: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...], z: tuple[str, ...], name: str, node: str
) -> tuple[Expression, tuple[Step, ...]]:
    """The formula with an S-admissible set, and its derivation."""
    cut = rf"G_{{\overline{{{', '.join(map(latex_name, do))}}}}}"
    there = ", ".join([*z, *w, *do])
    lent = Probability(y, (*z, *w), do, name)
    moved = f"{node} ⟂ {', '.join(y)} | {there}"
    if not z:
        return lent, (Step(1, lent, "S-admissibility", moved, cut),)
    own = Probability(y, (*z, *w), do, TARGET)
    share, still = Probability(z, w, do, TARGET), Probability(z, w, (), TARGET)
    unmoved = f"{', '.join(z)} ⟂ {', '.join(do)}" + (f" | {', '.join(w)}" if w else "")
    formula = Sum(z, Product((lent, still)))
    return formula, (
        Step(1, Sum(z, Product((own, share))), "total probability"),
        Step(2, Sum(z, Product((own, still))), "rule 3", unmoved, cut),
        Step(3, formula, "S-admissibility", moved, cut),
    )


def _check(
    graph: nx.DiGraph,
    do: tuple[str, ...],
    outcome: tuple[str, ...],
    given: tuple[str, ...],
    sources: Mapping[str, Source],
) -> None:
    if given:
        question(graph, (*do, *outcome), given)
    if not isinstance(sources, Mapping) or not sources:
        raise ValueError("sources is a mapping from name to Source: {'lab': Source('z', experiments='x')}")
    for name, source in sources.items():
        if not isinstance(source, Source):
            raise ValueError(f"source {name!r} is {source!r}: give Source(changed, experiments=...)")
        if name == TARGET:
            raise ValueError(f"a source is called {TARGET!r}, as is the population asked about: rename the source")
        for v in (*source.changed, *source.experiments):
            if v not in graph:
                raise unknown(f"variable of source {name!r}", v, graph.nodes)
            if v in source.experiments and graph.nodes[v].get("hidden"):
                raise ValueError(f"source {name!r} has an experiment on {v!r}, which is hidden")
