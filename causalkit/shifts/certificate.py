"""What the graph proves about a shift: an environment node E points at what moves, and d-separation does the rest.

P(y | S) is the same before and after a shift if S d-separates y from E (Pearl and Bareinboim 2014; Peters, Buehlmann
and Meinshausen 2016). A selection of rows is a child of the variables that drive it; there S must d-separate y from
that node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, combinations

import networkx as nx
import pandas as pd

from causalkit.divergence import kl
from causalkit.environments import Task
from causalkit.errors import unknown
from causalkit.graphs import check_dag, parents_of, separating_sets
from causalkit.mechanisms import NotInvertible
from causalkit.scm import SCM
from causalkit.selection import Selected
from causalkit.shifts.stable import most_informative, pool

__all__ = ["Certificate", "certify"]

FEATURES = 15
"""The most features for which all sets are looked at: 2^15."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What the graph proves about a shift of an SCM, and how large the shift is.

    Attributes:
        kind: The shift's name.
        target: The variable to predict.
        changed: The variables whose mechanisms moved; empty where rows were selected.
        drivers: The variables on which the selection of rows depends; empty where mechanisms moved.
        keeps: The factor that is promised to stand, as a formula.
        strength: The raw parameter; NaN where there is none.
        nats: A row a changed mechanism (and "selection"): nats, se, how; see `ck.kl`. NaN where no density is known.
        features: What the sets S may hold.
        searched: The features of which all sets were looked at: all of them up to 15, else those of the Markov
            boundary that the shift leaves alone (see `stable.pool`).
        max_size: The size of the largest sets looked at; None for all.
        invariant_sets: Those for which P(target | S) stays the same, smallest first.
        stable: The most informative of them, without what it does not need; None if there is none.
        chosen: How `stable` was found: "d-separation", or "estimate" where the graph leaves several (see
            `stable.most_informative`).
        parents_suffice: Whether P(target | its causes) stands, all of them being features.
        graph: The selection diagram: the causal graph with an environment node E that points at what changed (at
            the node `selected`, a child of the drivers, where rows were selected).
    """

    kind: str
    target: str
    changed: tuple[str, ...]
    drivers: tuple[str, ...]
    keeps: str
    strength: float
    nats: pd.DataFrame
    features: tuple[str, ...]
    searched: tuple[str, ...]
    max_size: int | None
    invariant_sets: tuple[tuple[str, ...], ...]
    stable: tuple[str, ...] | None
    chosen: str
    parents_suffice: bool
    graph: nx.DiGraph

    @property
    def total(self) -> float:
        """KL(shifted || original) of the joint, nats; NaN where a density is not known."""
        return float(self.nats["nats"].sum(skipna=False)) if len(self.nats) else 0.0

    def table(self) -> pd.DataFrame:
        """A row a feature set that was looked at, smallest first: S, size, stable."""
        stable, sizes = set(self.invariant_sets), range(self._largest() + 1)
        looked_at = chain.from_iterable(combinations(self.searched, k) for k in sizes)
        return pd.DataFrame([(_set(s), len(s), s in stable) for s in looked_at], columns=["S", "size", "stable"])

    def __str__(self) -> str:
        y = self.target
        strength = "" if math.isnan(self.strength) else f", strength {self.strength:.3g}"
        lines = [f"{self.kind} shift of {y}{strength}: {_nats(self.total, self._error())}"]
        if self.changed:
            lines.append(f"  changed mechanisms: {', '.join(f'{v} {self._of(v)}' for v in self.changed)}")
        if self.drivers:
            before = "" if self.changed else "changed mechanisms: none; "
            lines.append(f"  {before}rows are selected by {', '.join(self.drivers)}")
        lines.append(f"  keeps: {self.keeps}")
        among = f" of the {len(self.features)} features' Markov boundary that the shift leaves alone"
        size = "" if self.max_size is None or self.max_size >= len(self.searched) else f" of up to {self.max_size}"
        count = sum(math.comb(len(self.searched), k) for k in range(self._largest() + 1))
        named = ", ".join(map(_set, self.invariant_sets[:4])) + (", ..." if len(self.invariant_sets) > 4 else "")
        lines.append(
            f"  P({y} | S) stands for {len(self.invariant_sets)} of the {count} sets S{size}"
            f"{among if len(self.searched) < len(self.features) else ''}{': ' if named else ''}{named}"
        )
        if self.stable is not None:
            by = "" if self.chosen == "d-separation" else " (by an estimate)"
            causes = f"P({y} | its causes) {'stands' if self.parents_suffice else 'is not promised'}"
            lines.append(f"  most informative of them{by}: {_set(self.stable)}; {causes}")
        return "\n".join(lines)

    def _largest(self) -> int:
        return len(self.searched) if self.max_size is None else min(self.max_size, len(self.searched))

    def _of(self, name: str) -> str:
        row = self.nats.loc[name] if name in self.nats.index else None
        return "0" if row is None else f"{row['nats']:.3g}"

    def _error(self) -> float:
        return float((self.nats["se"] ** 2).sum() ** 0.5) if len(self.nats) else 0.0


def certify(
    kind: str,
    scm: SCM,
    shifted: SCM | Selected,
    target: str,
    changed: Iterable[str],
    drivers: Iterable[str],
    *,
    task: Task | None = None,
    max_size: int | None = None,
    strength: float = math.nan,
) -> Certificate:
    """The certificate of what turned one SCM into another: the mechanisms in `changed`, or rows kept by `drivers`.

    Raises:
        ValueError: The target or a feature is unknown or hidden; arrows before and after that make a cycle together.
    """
    changed, drivers = tuple(changed), tuple(drivers)
    features = tuple(task.features if task is not None else (v for v in scm.observed if v != target))
    for name in (target, *features):
        if name not in scm.variables:
            raise unknown("target" if name == target else "feature", name, scm.variables)
        if name in scm.hidden:
            role = "target" if name == target else "feature"
            raise ValueError(
                f"the {role} {name!r} is hidden, so P({target} | S) is not to be seen: take an observed one"
            )
    diagram, sources = _diagram(nx.compose(scm.graph, shifted.graph), changed, drivers)
    searched = features if len(features) <= FEATURES else tuple(pool(diagram, target, sources, features, FEATURES))
    sets = tuple(separating_sets(diagram, target, sources, searched, max_size=max_size))
    stable, chosen = most_informative(diagram, scm, target, sets)
    parents = set(parents_of(scm.graph, target))
    suffice = parents <= set(features) and bool(nx.is_d_separator(diagram, {target}, sources, parents))
    try:
        nats = kl(shifted, scm, seed=0)
    except NotInvertible:
        names = list(changed) if changed else ["selection"]
        nats = pd.DataFrame({"nats": math.nan, "se": math.nan, "how": "no density is known"}, index=names)
    return Certificate(
        kind, target, changed, drivers, _keeps(kind, scm, target, changed, drivers), strength, nats, features,
        searched, max_size, sets, stable, chosen, suffice, nx.freeze(diagram),
    )  # fmt: skip


def _diagram(graph: nx.DiGraph, changed: tuple[str, ...], drivers: tuple[str, ...]) -> tuple[nx.DiGraph, set[str]]:
    """The selection diagram, and the nodes from which the target must be separated.

    The graph has the arrows before and those after: a new mechanism may hear other causes than the old one did.
    """
    diagram = nx.DiGraph(check_dag(graph))
    environment = "E" if "E" not in graph else "E*"
    diagram.add_edges_from((environment, v) for v in changed)
    sources = {environment} if changed else set()
    if drivers:
        seen = "selected" if "selected" not in graph else "selected*"
        diagram.add_edges_from([*((v, seen) for v in drivers), (environment, seen)])
        sources |= {seen}
    return diagram, sources


def _keeps(kind: str, scm: SCM, target: str, changed: tuple[str, ...], drivers: tuple[str, ...]) -> str:
    others = ", ".join(v for v in scm.observed if v != target)
    moved = f"every mechanism but {'that' if len(changed) == 1 else 'those'} of {', '.join(changed)}"
    if drivers and changed:
        return f"{moved}, before selection"
    if drivers == (target,) or (kind == "label" and changed == (target,)):
        return f"P({others} | {target})"
    if drivers:
        return f"P(all other variables | {', '.join(drivers)})"
    if target in changed:
        return moved
    parents = ", ".join(parents_of(scm.graph, target))
    return f"P({target} | {parents})" if parents else f"P({target})"


def _set(names: Iterable[str]) -> str:
    return "{" + ", ".join(names) + "}"


def _nats(nats: float, se: float) -> str:
    """In words, with as many digits as the error lets stand."""
    if math.isnan(nats):
        return "nats not known"
    return f"{nats:.3g} nats" + (f" (se {se:.1g})" if se else "")
