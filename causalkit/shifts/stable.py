"""The feature sets that a shift leaves alone, and which of them tells most about the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

import networkx as nx
import numpy as np

from causalkit.graphs import children_of, markov_blanket, parents_of
from causalkit.mechanisms import Categorical
from causalkit.scm import SCM

__all__ = ["information", "most_informative", "pool"]


def pool(diagram: nx.DiGraph, target: str, sources: Iterable[str], features: Sequence[str], most: int) -> list[str]:
    """At most `most` of many features, among which the most informative stable set is looked for.

    The stable blanket (Pfister, Williams, Peters, Aebersold and Buehlmann 2021, section 3): leave out the children of
    the target that the sources point at, with all their descendants; if the target is then separated from the
    sources, a Markov boundary within what is left holds all that a stable set can tell. Found by backward
    elimination with d-separation. If it is not separated (hidden variables), the Markov blanket stands in.
    The causes of the target are always among them.
    """
    sources = set(sources)
    reached = {c for s in sources for c in diagram.successors(s)} | sources
    moved = [c for c in children_of(diagram, target) if c in reached]
    forbidden = set(moved).union(*(nx.descendants(diagram, c) for c in moved))
    kept = [v for v in features if v not in forbidden]
    if nx.is_d_separator(diagram, {target}, sources, set(kept)):
        boundary = _without_idle(diagram, target, kept)
    else:
        boundary = [v for v in markov_blanket(diagram, target) if v in features]
    causes = [v for v in parents_of(diagram, target) if v in features]
    found = [*causes, *(v for v in boundary if v not in causes)][:most]
    return [v for v in features if v in found]


def most_informative(
    diagram: nx.DiGraph, scm: SCM, target: str, sets: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...] | None, str]:
    """The set S with the largest I(y; S), without variables that add nothing, and how it was found.

    A set never tells less than its subsets, and S tells at least as much as T if S d-separates y from the rest of T:
    mostly that leaves one ("d-separation"). Where it leaves several, they are fitted to draws of the SCM ("estimate").
    """
    largest: list[set[str]] = []
    for s in sorted(map(set, sets), key=len, reverse=True):
        if not any(s <= other for other in largest):
            largest.append(s)
    order = {v: i for i, v in enumerate(scm.variables)}
    lean = {tuple(_without_idle(diagram, target, sorted(s, key=order.__getitem__))) for s in largest}
    left = sorted(lean)
    for one, two in permutations(left, 2):
        rest = set(two) - set(one)
        if one in lean and two in lean and (not rest or nx.is_d_separator(diagram, {target}, rest, set(one))):
            lean.discard(two)
    left = sorted(lean)
    if len(left) < 2:
        return (left[0] if left else None), "d-separation"
    return max(left, key=lambda s: information(scm, target, s)), "estimate"


def _without_idle(diagram: nx.DiGraph, target: str, features: Sequence[str]) -> list[str]:
    """The features less those that, given the others, say nothing of the target: a Markov boundary within them."""
    kept = list(features)
    for v in reversed(features):
        others = set(kept) - {v}
        if nx.is_d_separator(diagram, {target}, {v}, others):
            kept.remove(v)
    return kept


def information(scm: SCM, target: str, features: Sequence[str], rows: int = 8_000) -> float:
    """An estimate of I(y; S) in nats, from gradient boosting on half the draws, judged on the other half.

    -log(1 - R^2) / 2 for a continuous target (what it would be if the errors were Gaussian), the gain in log-loss
    over the marginal for a discrete one.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not features:
        return 0.0
    frame = scm.marginal([target, *features]).sample(rows, seed=0, hidden=True)
    x, y, half = frame[list(features)].to_numpy(np.float64), frame[target].to_numpy(np.float64), rows // 2
    if isinstance(scm.mechanisms[target], Categorical):
        model = HistGradientBoostingClassifier(random_state=0).fit(x[:half], y[:half])
        column = {code: i for i, code in enumerate(model.classes_)}
        seen = np.isin(y[half:], model.classes_)
        codes = [column[v] for v in y[half:][seen]]
        chance = model.predict_proba(x[half:][seen])[np.arange(len(codes)), codes]
        share = np.array([np.mean(y[:half] == v) for v in y[half:][seen]])
        return float(np.mean(np.log(chance.clip(1e-9)) - np.log(share)))
    errors = y[half:] - HistGradientBoostingRegressor(random_state=0).fit(x[:half], y[:half]).predict(x[half:])
    return float(-0.5 * np.log(errors.var() / y[half:].var()))
