"""The axioms of counterfactuals, which every SCM keeps and a learned imitation may not.

Composition W_x(u) = w => Y_xw(u) = Y_x(u); effectiveness X_xw(u) = x; reversibility (Galles and Pearl 1998; Halpern
2000). Necessary, not sufficient: a wrong graph keeps them all. As checks of models: Monteiro et al. (2023).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.checks.units import Case, Line, Units, gaps

__all__ = ["LIMIT", "axioms"]

LIMIT = 1e-6  # standard deviations


def axioms(units: Units, asked: list[Case]) -> list[Line]:
    """A line an axiom: the largest violation over rows, variables and interventions, in sds."""
    lines = [*_null(units), _composition(units, asked), *_effectiveness(units, asked), _reversibility(units, asked)]
    return lines + _untouched(units, asked)


def _worst(what: str, intervention: str, found: Iterable[pd.DataFrame]) -> Line:
    """The line of the greatest of these distances, which names the variable it was found in; NaN is the greatest."""
    value, name, typical = 0.0, "", 0.0
    for distance in found:
        lost = distance.isna().any()
        if lost.any():
            why = f"{int(distance.isna().any(axis=1).sum())} of {len(distance)} rows have no answer for {lost.idxmax()}"
            return Line.judged("axiom", what, intervention, float("nan"), LIMIT, "sd", why=why)
        largest = distance.max()
        if len(largest) and largest.max() > value:
            value, name = float(largest.max()), str(largest.idxmax())
            typical = float(np.sqrt((distance[name] ** 2).mean()))
    why = f"largest in {name}, where the root mean square is {typical:.2g}" if name else "exactly"
    return Line.judged("axiom", what, intervention, value, LIMIT, "sd", why=why)


def _null(units: Units) -> list[Line]:
    """Composition in its plainest form: do(x := its own value) changes nothing, once and ten times over."""
    lines = []
    for cycles in (1, 10):
        found = []
        for name in [None, *units.learned.variables]:
            rows = units.frame
            for _ in range(cycles):
                rows = units.imagined({} if name is None else {name: rows[name].to_numpy()}, rows)
            found.append(gaps(rows, units.frame, units.sd))
        word = "cycle" if cycles == 1 else "cycles"
        lines.append(_worst(f"composition, {cycles} {word}", "each variable at its own value", found))
    return lines


def _composition(units: Units, asked: list[Case]) -> Line:
    """Y_xw = Y_x where w is what W would have been: setting a child as well, to what it does anyway."""

    def found() -> Iterable[pd.DataFrame]:
        for case in asked:
            for child in {c for v in case.do for c in units.learned.graph.successors(v)} - set(case.do):
                both = units.pushed({**case.do, child: case.imagined[child].to_numpy()})
                yield gaps(both, case.imagined, units.sd)

    return _worst("composition, joint", "and a child at what it would be", found())


def _effectiveness(units: Units, asked: list[Case]) -> list[Line]:
    """What is set has the value that it is set to: alone, jointly, nested; nested and joint agree."""
    lines = [_worst("effectiveness, single", "all", (_missed(units, c.imagined, c.do) for c in asked))]
    pairs = list(_pairs(units))
    if not pairs:
        return [*lines, Line.unknown("axiom", "effectiveness, joint and nested", "there is one variable alone")]
    joint, nested, agree = [], [], []
    for first, second in pairs:
        both, chain = units.pushed({**first, **second}), units.pushed(first, second)
        joint.append(_missed(units, both, {**first, **second}))
        nested.append(_missed(units, chain, {**first, **second}))
        nested.append(_missed(units, units.pushed(second, first, second), {**first, **second}))
        agree.append(gaps(chain, both, units.sd))
    lines.append(_worst("effectiveness, joint", f"{len(pairs)} pairs", joint))
    lines.append(_worst("effectiveness, nested", f"{len(pairs)} pairs", nested))
    return [*lines, _worst("nested is joint", f"{len(pairs)} pairs", agree)]


def _missed(units: Units, answer: pd.DataFrame, do: Mapping[str, float]) -> pd.DataFrame:
    return gaps(answer, answer.assign(**do), units.sd, list(do))


def _pairs(units: Units) -> Iterable[tuple[dict[str, float], dict[str, float]]]:
    """Two variables, one set to its lower and one to its upper quartile: every edge, and neighbours in causal order."""
    order = list(nx.lexicographical_topological_sort(units.learned.graph))
    low, high = (units.frame.quantile(q, interpolation="nearest") for q in (0.25, 0.75))
    wanted = dict.fromkeys([*units.learned.graph.edges, *itertools.pairwise(order)])
    for first, second in wanted:
        yield {first: float(low[first])}, {second: float(high[second])}


def _reversibility(units: Units, asked: list[Case]) -> Line:
    """There and back: set x, take the answer for a fact, set x to what it was, and the unit is what it was."""
    graph = units.learned.graph
    drawn = set().union(*({v} | nx.descendants(graph, v) for v in units.learned.levels))
    kept = [v for v in units.learned.variables if v not in drawn]
    what, where = "reversibility", "there and back"
    if not kept:
        why = "noise of discrete variables is drawn anew from its posterior, so that no unit comes back for certain"
        return Line.unknown("axiom", what, why, where)

    def found() -> Iterable[pd.DataFrame]:
        for case in asked:
            back = units.imagined({v: units.frame[v].to_numpy() for v in case.do}, case.imagined)
            yield gaps(back, units.frame, units.sd, kept)

    return _worst(what, where + (f", {', '.join(kept)}" if drawn else ""), found())


def _untouched(units: Units, asked: list[Case]) -> list[Line]:
    """What x does not cause stays as it was: bit for bit within the model, and by the true graph."""
    plain, count, moved = units.pushed(), 0, []
    for case in asked:
        still = [v for v in plain.columns if v not in {*case.do, *units.descendants(list(case.do))}]
        count += int((case.imagined[still].to_numpy() != plain[still].to_numpy()).sum())
        moved.append(gaps(case.imagined, units.frame, units.sd, still))
    own = Line.judged("axiom", "non-descendants, bit for bit", "all", count, 0.0, "values",
                      why="values that differ from those under no intervention; own graph")  # fmt: skip
    lines = [own, _worst("non-descendants, from the facts", "all", moved)]
    what = "non-descendants in the true graph"
    if units.truth is None:
        return [*lines, Line.unknown("axiom", what, "it takes the true graph (truth=)")]
    by_truth = []
    for case in asked:
        still = [v for v in plain.columns if v not in {*case.do, *units.descendants(list(case.do), truly=True)}]
        by_truth.append(gaps(case.imagined, units.frame, units.sd, still))
    return [*lines, _worst(what, "all", by_truth)]
