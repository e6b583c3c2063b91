"""TRSO of the library y0, in this one place: our graphs and sources in, our formula out.

Only its transport algorithm is used. Its way from data to experiments of the same population is not: every formula is
checked by enumeration before it is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import networkx as nx

from causalkit.graphs import project
from causalkit.identification.expressions import Expression, Probability, Product, Ratio, Sum

if TYPE_CHECKING:
    from causalkit.identification.transport import Source

__all__ = ["trso"]


def trso(
    graph: nx.DiGraph, outcome: Collection[str], do: Collection[str], sources: Mapping[str, Source]
) -> Expression | None:
    """P_target(outcome | do(do)), or None where it is not transportable.

    Source: Tikka and Karvanen (2019), algorithm TRSO.

    Raises:
        TransportError: y0 stopped with an error of its own.
        ValueError: y0 is not installed.
    """
    try:
        from y0 import dsl
        from y0.algorithm import transport as y0
        from y0.graph import NxMixedGraph
    except ImportError as error:
        raise ValueError(
            "neither an S-admissible set nor the target alone gives this effect, and for all else the library y0 is "
            "needed: install the extra, pip install 'causalkit-lab[transport]'"
        ) from error
    directed, pairs = project(graph)
    code = {name: dsl.Variable(f"V{i}") for i, name in enumerate(directed)}
    back = {variable.name: name for name, variable in code.items()}
    mixed = NxMixedGraph.from_edges(
        nodes=list(code.values()),
        directed=[(code[a], code[b]) for a, b in directed.edges],
        undirected=[(code[a], code[b]) for a, b in sorted(map(sorted, pairs))],
    )
    domains = {name: dsl.Population(f"D{i}") for i, name in enumerate(sources)}
    diagrams = {
        domains[n]: y0.create_transport_diagram(
            nodes_to_transport=[code[v] for v in _observed(graph, s.changed)], graph=mixed
        )
        for n, s in sources.items()
    }
    query = y0.TRSOQuery(
        target_interventions={code[v] for v in do},
        target_outcomes={code[v] for v in outcome},
        expression=dsl.PopulationProbability(
            population=dsl.TARGET_DOMAIN, distribution=dsl.Distribution.safe(list(code.values()))
        ),
        active_interventions=set(),
        domain=dsl.TARGET_DOMAIN,
        domains=set(domains.values()),
        graphs={dsl.TARGET_DOMAIN: mixed, **diagrams},
        surrogate_interventions={domains[n]: {code[v] for v in s.experiments} for n, s in sources.items()},
    )
    known = {domain.name: name for name, domain in domains.items()}
    try:
        with _quiet(y0.__name__):
            found = y0.trso(query)
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        from causalkit.identification.transport import TransportError

        raise TransportError(f"y0 stopped on this question with {type(error).__name__}: {error}") from error
    return None if found is None else _converted(found, back, known)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Without the log line that more than one source would do."""
    log, reject = logging.getLogger(name), lambda record: False
    log.addFilter(reject)
    try:
        yield
    finally:
        log.removeFilter(reject)


def _observed(graph: nx.DiGraph, changed: Collection[str]) -> list[str]:
    """What differs as seen from the observed variables: a hidden cause's mechanism shows in what it reaches."""
    found, hidden = [], nx.get_node_attributes(graph, "hidden")
    edge = list(changed)
    while edge:
        v = edge.pop()
        if hidden.get(v):
            edge += graph.successors(v)
        elif v not in found:
            found.append(v)
    return found


def _converted(expression: Any, back: Mapping[str, str], populations: Mapping[str, str]) -> Expression:
    """y0's expression as ours."""
    from y0 import dsl

    if isinstance(expression, dsl.Probability):
        population = populations.get(expression.population.name, "target")
        do = {i.name for v in expression.children for i in getattr(v, "interventions", ())}
        of, given, acting = (
            tuple(name for code, name in back.items() if code in wanted)
            for wanted in ({v.name for v in expression.children}, {v.name for v in expression.parents}, do)
        )
        return Probability(of, given, acting, population)
    if isinstance(expression, dsl.Sum):
        over = tuple(name for code, name in back.items() if code in {v.name for v in expression.ranges})
        return Sum(over, _converted(expression.expression, back, populations))
    if isinstance(expression, dsl.Product):
        return Product(tuple(_converted(e, back, populations) for e in expression.expressions))
    if isinstance(expression, dsl.Fraction):
        return Ratio(
            _converted(expression.numerator, back, populations), _converted(expression.denominator, back, populations)
        )
    if isinstance(expression, dsl.One):
        return Product(())
    raise ValueError(f"y0's formula has a part that is not known here: {expression}")
