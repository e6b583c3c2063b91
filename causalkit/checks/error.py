"""How far counterfactuals are from the true ones, between references: zero, no abduction, additive-noise regression."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.checks.units import Case, Line, Units, drawn, gaps
from causalkit.estimation import fit_scm
from causalkit.scm import SCM
from causalkit.seeds import integer

__all__ = ["additive_reference", "errors"]


def errors(units: Units, asked: list[Case], references: Mapping[str, SCM]) -> list[Line]:
    """The root mean square error of each descendant's counterfactuals, in sds, a line a reference.

    "no abduction" draws new noise: the truth's own draws under do(), which know everything but the unit. Of a discrete
    variable the value is the share of units whose level is wrong.
    """
    if units.truth is None:
        return [Line.unknown("error", "all", "no data can show it: it takes the SCM that made the rows (truth=)")]
    lines = []
    for case in asked:
        others = {"no abduction": drawn(units.truth, case.do, len(units.frame), seed=integer(units.seed, "anew"))}
        for name, scm in references.items():
            others[name] = Units(scm, units.frame[list(scm.variables)], units.seed).imagined(case.do)
        moved = units.descendants(list(case.do)) | units.descendants(list(case.do), truly=True)
        for name in (v for v in units.learned.variables if v in moved):
            value = _error(units, case.imagined, case.true, name)
            for against, answer in others.items():
                if name in answer.columns:
                    lines.append(_line(units, case, name, value, against, _error(units, answer, case.true, name)))
    return lines


def _error(units: Units, answer: pd.DataFrame, true: pd.DataFrame | None, name: str) -> float:
    if true is None:
        return float("nan")
    distance = gaps(answer, true, units.sd, [name])[name].to_numpy()  # where NaN is not left out
    return float((distance > 0).mean()) if name in units.discrete else float(np.sqrt((distance**2).mean()))


def _line(units: Units, case: Case, name: str, value: float, against: str, reference: float) -> Line:
    part = f"{value / reference:.2g} of it" if reference > 0 else "it has none"
    where = "" if case.inside else "; outside the data"
    if _drawn_between(units, case, name):
        where += "; not identified: other discrete mechanisms with the same probabilities answer otherwise"
    unit = "share wrong" if name in units.discrete else "sd"
    why = f"between zero and {against}: {part}{where}"
    return Line("error", name, case.label, value, unit, against, reference, why=why)


def _drawn_between(units: Units, case: Case, name: str) -> bool:
    """Whether a discrete variable that the intervention moves is this one, or one of its causes."""
    graph = units.learned.graph if units.truth is None else units.truth.graph
    moved = units.descendants(list(case.do), truly=True)
    return bool(units.discrete & moved & ({name} | nx.ancestors(graph, name)))


def additive_reference(units: Units, n: int, seed: int) -> dict[str, SCM]:
    """An additive-noise regression along the learned SCM's graph, fitted to n fresh rows of the truth.

    Empty without a truth, or where a variable is discrete (it has no additive noise).
    """
    if units.truth is None or units.discrete:
        return {}
    rows = units.truth.sample(n, seed=integer(seed, "reference rows"), hidden=True)[list(units.learned.variables)]
    return {"additive regression": fit_scm(units.learned.graph, rows, mechanism="mlp", seed=integer(seed, "reference"))}
