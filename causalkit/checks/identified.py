"""The model's effects against what identification says: two ways from one graph and the same rows to one number."""

from __future__ import annotations

import networkx as nx
import numpy as np

from causalkit.checks.axioms import LIMIT
from causalkit.checks.units import Case, Line, Units
from causalkit.identification import identify
from causalkit.seeds import integer

__all__ = ["identified"]

PAIRS = 6  # at most, spread over all: each needs as many regressions as it has bootstrap resamples
BOOTSTRAP = 40


def identified(units: Units, asked: list[Case], level: float) -> list[Line]:
    """E[y | do(x = upper quartile)] - E[y | do(x = lower quartile)]: the model's, against the identified estimand's.

    The estimand is identified in the true graph, with what the model leaves out hidden; without a truth in the model's
    own, so that a wrong graph is then wrong twice, the same way. The limit is passed by chance with probability
    level / number of pairs, if the model learned from as many rows as it is asked about.
    """
    whole = units.learned.graph if units.truth is None else units.truth.graph
    graph = nx.DiGraph(whole)
    nx.set_node_attributes(graph, {v: True for v in graph if v not in units.learned.variables}, "hidden")
    causes = dict.fromkeys(v for case in asked for v in case.do)
    pairs = [(x, y) for x in causes for y in units.learned.variables
             if y in units.descendants([x]) | units.descendants([x], truly=True)]  # fmt: skip
    chosen = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, PAIRS).astype(int))] if pairs else []
    return [_compared(units, graph, x, y, level / len(chosen)) for x, y in chosen]


def _compared(units: Units, graph: nx.DiGraph, x: str, y: str, level: float) -> Line:
    from scipy.stats import norm

    low, high = (float(units.frame[x].quantile(q, interpolation="nearest")) for q in (0.25, 0.75))
    if low == high:
        low, high = (float(v) for v in (units.frame[x].min(), units.frame[x].max()))
    what, where = f"effect of {x} on {y}", f"{x} from {low:.3g} to {high:.3g}"
    seed = integer(units.seed, "identified", x, y)
    try:
        estimand = identify(graph, y, x)
        found = estimand.estimate(units.frame, {x: high}, versus={x: low}, bootstrap=BOOTSTRAP, seed=seed)
    except ValueError as error:  # not identifiable, or no overlap in the rows: the error says which
        return Line.unknown("population", what, str(error), where, "sd")
    said = float((units.imagined({x: high})[y] - units.imagined({x: low})[y]).mean())
    # twice the variance: of the estimate, and of the model, which learned from rows as well
    limit = max(float(norm.isf(level / 2)) * 2**0.5 * found.se / units.sd[y], LIMIT)  # where no path is, se is 0
    why = f"model {said:.3g}, estimand {found.value:.3g} ({estimand.strategy}, {found.method})"
    why += "" if units.truth is not None else "; by the model's own graph"
    return Line.judged("population", what, where, abs(said - found.value) / units.sd[y], limit, "sd",
                       against="size of the identified effect", reference=abs(found.value) / units.sd[y],
                       why=why)  # fmt: skip
