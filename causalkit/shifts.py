"""Distribution shifts, relative to the causal graph and a target y: functions SCM -> SCM with a certificate.

| shift     | what moves                                       | what stays                                      |
|-----------|--------------------------------------------------|-------------------------------------------------|
| covariate | mechanisms of neither y nor its children         | y's mechanism, and its children's               |
| label     | P(y)                                             | P(x | y)                                        |
| concept   | y's own mechanism                                | all others                                      |
| spurious  | the mechanisms of y's observed children          | y's own mechanism, though P(y | x) moves        |

`strength` 0 is no shift at all; `direction` +1 or -1 says which way. Location shifts (covariate, label) move a mean
by `strength` standard deviations; the others multiply what a mechanism hears of its parents, their deviations from
their means, by 1 + direction * strength: direction -1 weakens, cuts (strength 1) and turns round (strength 2) the
dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import unknown
from causalkit.graphs import children_of, invariant_sets, markov_blanket, parents_of
from causalkit.mechanisms import Mechanism
from causalkit.scm import SCM
from causalkit.selection import Selected

__all__ = ["SHIFTS", "Certificate", "Selected", "Shift", "concept", "covariate", "label", "spurious"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """What the graph proves about a shift.

    Attributes:
        kind: The shift's name.
        target: The variable to predict.
        changed: The variables whose mechanisms moved; empty where rows were selected by the target's value.
        keeps: The factor that is promised to stand, as a formula.
        invariant_sets: The sets S of observed variables for which P(target | S) stays the same, smallest first.
        graph: The causal graph with an environment node E that points at what changed (at the node `selected`,
            a child of the target, where rows were selected).
    """

    kind: str
    target: str
    changed: tuple[str, ...]
    keeps: str
    invariant_sets: tuple[tuple[str, ...], ...]
    graph: nx.DiGraph

    def __str__(self) -> str:
        largest = max(self.invariant_sets, key=len, default=None)
        known = (
            "no set S"
            if largest is None
            else f"{len(self.invariant_sets)} sets S, the largest {{{', '.join(largest)}}}"
        )
        moved = ", ".join(self.changed) or f"no mechanism (rows are selected by {self.target})"
        return (
            f"{self.kind} shift of {self.target}\n  changed: {moved}\n  keeps: {self.keeps}\n"
            f"  P({self.target} | S) stands for: {known}"
        )


@dataclass(frozen=True)
class Shift:
    """A shift of a kind, relative to a target: call it with an SCM to get the shifted one.

    Attributes:
        kind: A key of `SHIFTS`.
        target: The variable to predict, y.
        strength: How far, from 0 (not at all); the unit is the kind's, see the module.
        direction: +1 or -1.
        on: The variables it acts on, None for the kind's own choice.
    """

    kind: str
    target: str
    strength: float
    direction: int = 1
    on: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in SHIFTS:
            raise unknown("shift", self.kind, SHIFTS)
        if not 0 <= self.strength < float("inf"):
            raise ValueError(f"strength {self.strength}: give a number >= 0, and the sign as direction=+1 or -1")
        if self.direction not in (1, -1):
            raise ValueError(f"direction {self.direction}: give +1 or -1")
        if self.on is not None:
            object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))

    @property
    def amount(self) -> float:
        """direction * strength."""
        return self.direction * self.strength

    def __call__(self, scm: SCM) -> SCM | Selected:
        """The shifted SCM (the same object at strength 0); a `Selected` where the shift is made by sampling.

        Raises:
            ValueError: The target or a variable of `on` is unknown, or the graph does not allow the shift.
        """
        changed = self.changed(scm)
        if self.strength == 0:
            return scm
        if self.selects(scm):
            return Selected(scm, _Tilt.of(scm, self.target, self.amount))
        means = _reference(scm).mean() if self.kind in ("concept", "spurious") else {}
        return scm.replace({v: self._turned(scm.mechanisms[v], means) for v in changed})

    def _turned(self, mechanism: Mechanism, means: Mapping[str, float]) -> Mechanism:
        if self.kind in ("covariate", "label"):
            return mechanism.moved(self.amount)
        hears = mechanism.parents if self.kind == "concept" else (self.target,)
        return mechanism.with_gain(dict.fromkeys(hears, 1 + self.amount), means)

    def selects(self, scm: SCM) -> bool:
        """Whether it is made by outcome-dependent sampling: a label shift of a target that has causes."""
        return self.kind == "label" and bool(parents_of(scm.graph, self.target))

    def changed(self, scm: SCM) -> tuple[str, ...]:
        """The variables whose mechanisms it moves in this SCM.

        Raises:
            ValueError: An unknown variable, or a graph that does not allow the shift: the message says why.
        """
        if self.target not in scm.variables:
            raise unknown("target", self.target, scm.variables)
        for name in self.on or ():
            if name not in scm.variables:
                raise unknown("variable in `on`", name, scm.variables)
        if self.kind == "covariate":
            return self._covariates(scm)
        if self.kind == "spurious":
            return self._effects(scm)
        if self.on not in (None, (self.target,)):
            raise ValueError(f"a {self.kind} shift acts on the target {self.target!r} alone: leave `on` out")
        if self.kind == "concept" and not parents_of(scm.graph, self.target):
            raise ValueError(
                f"{self.target!r} is a root: it has no causes whose effect on it could move, and moving its own "
                f"distribution would be a label shift: use ck.shifts.label({self.target!r}, ...)"
            )
        return () if self.selects(scm) else (self.target,)

    def _covariates(self, scm: SCM) -> tuple[str, ...]:
        children = children_of(scm.graph, self.target)
        allowed = [v for v in scm.variables if v != self.target and v not in children]
        if self.on is None:
            causes = nx.ancestors(scm.graph, self.target)
            roots = tuple(v for v in scm.observed if v in causes and not parents_of(scm.graph, v))
            if not roots:
                raise ValueError(
                    f"{self.target!r} has no observed root among its causes: name what should move in `on`, "
                    f"one or more of: {', '.join(allowed) or 'none'}"
                )
            return roots
        for name in self.on:
            if name not in allowed:
                role = "the target" if name == self.target else f"a child of the target {self.target!r}"
                raise ValueError(
                    f"a covariate shift cannot move {name!r}, {role}. Allowed: {', '.join(allowed) or 'none'}"
                )
        return self.on

    def _effects(self, scm: SCM) -> tuple[str, ...]:
        children = tuple(v for v in children_of(scm.graph, self.target) if v in scm.observed)
        if not children:
            raise ValueError(
                f"{self.target!r} has no observed effects, so there is nothing spurious to move: use another shift"
            )
        for name in self.on or ():
            if name not in children:
                raise ValueError(
                    f"{name!r} is no observed child of {self.target!r}: a spurious shift moves {', '.join(children)}"
                )
        return self.on or children

    def certificate(self, scm: SCM) -> Certificate:
        """What the graph of this SCM proves about the shift: changed mechanisms, and the sets S with P(y | S) intact.

        The sets come from d-separation of the target from an environment node that points at what changed
        (Peters, Buehlmann and Meinshausen 2016). With more than 15 observed variables besides the target, only
        sets from its Markov blanket (the first 15 of it) are listed, which hold the best predictors.

        Example:
            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
            >>> print(spurious("y", strength=1.0).certificate(scm))
            spurious shift of y
              changed: z
              keeps: P(y | x)
              P(y | S) stands for: 2 sets S, the largest {x}
        """
        changed, y = self.changed(scm), self.target
        environment = "E" if "E" not in scm.variables else "E*"
        graph = nx.DiGraph(scm.graph)
        graph.add_edges_from((environment, v) for v in changed)
        features = [v for v in scm.observed if v != y]
        if len(features) > 15:
            features = [v for v in markov_blanket(scm.graph, y) if v in scm.observed][:15]
        if self.kind == "label":
            # selection makes y and E dependent whatever is known; a moved root is E's own child: no set either way
            if not changed:
                graph.add_edges_from([(y, "selected"), (environment, "selected")])
            sets: Iterable[tuple[str, ...]] = ()
            keeps = f"P({', '.join(v for v in scm.observed if v != y)} | {y})"
        else:
            sets = invariant_sets(scm.graph, y, changed, features)
            parents = ", ".join(parents_of(scm.graph, y))
            own = f"P({y} | {parents})" if parents else f"P({y})"
            keeps = own if self.kind != "concept" else "every mechanism but that of " + y
        return Certificate(self.kind, y, changed, keeps, tuple(sets), nx.freeze(graph))


def _reference(scm: SCM) -> pd.DataFrame:
    """Draws of a fixed stream [20,000, d], from which a shift takes the means and sds that it is relative to."""
    return scm.sample(20_000, seed=0, hidden=True)


@dataclass(frozen=True)
class _Tilt:
    """w(y) = exp(t clip(z, -3, 3) - 3 |t|), z = (y - mean) / sd: exponential tilting, bounded for rejection."""

    target: str
    mean: float
    sd: float
    amount: float

    @classmethod
    def of(cls, scm: SCM, target: str, amount: float) -> _Tilt:
        y = _reference(scm)[target]
        return cls(target, float(y.mean()), float(y.std(ddof=0)), amount)

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        z = ((frame[self.target] - self.mean) / self.sd).clip(-3, 3)
        return np.exp(self.amount * z.to_numpy() - 3 * abs(self.amount))


def covariate(target: str, *, strength: float, direction: int = 1, on: Iterable[str] | None = None) -> Shift:
    """The causes move: the noise mean of each variable in `on` by `strength` of its standard deviations.

    Mechanisms of neither the target nor its children change, so P(y | parents) stands. By default `on` is every
    observed root among the target's ancestors.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> shifted = covariate("y", strength=2.0)(scm)
        >>> round(float(shifted.sample(10_000, seed=0)["x"].mean()), 1)
        2.0
    """
    return Shift("covariate", target, strength, direction, on)  # type: ignore[arg-type]


def label(target: str, *, strength: float, direction: int = 1) -> Shift:
    """P(y) moves while P(x | y) stands.

    A root target's own noise mean moves by `strength` standard deviations. A target with causes is shifted by
    outcome-dependent sampling: rows are kept with weight exp(+-strength z), z = (y - mean) / sd clipped at +-3; for
    a Gaussian y that is a move of its mean by about `strength` standard deviations. The result is a `Selected`.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> bool(label("y", strength=1.0)(scm).sample(1000, seed=0)["y"].mean() > 1.2)
        True
    """
    return Shift("label", target, strength, direction)


def concept(target: str, *, strength: float, direction: int = 1) -> Shift:
    """The target's own mechanism moves: what it hears of its causes is multiplied by 1 + direction * strength.

    The causes' deviations from their means are multiplied, so the target's mean moves little.

    Raises:
        ValueError: When called on an SCM in which the target is a root: that would be a label shift.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}, scale=0.1)})
        >>> frame = concept("y", strength=2.0, direction=-1)(scm).sample(1000, seed=0)
        >>> round(float(frame.corr().loc["x", "y"]), 1)
        -1.0
    """
    return Shift("concept", target, strength, direction)


def spurious(target: str, *, strength: float, direction: int = 1, on: Iterable[str] | None = None) -> Shift:
    """The target's effects move: each observed child hears its deviation from the mean times 1 + direction * strength.

    The target's own mechanism stands, and so does P(y | parents); P(y | all features) does not.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"y": ck.linear(), "z": ck.linear({"y": 1.0}, scale=0.1)})
        >>> frame = spurious("y", strength=1.0, direction=-1)(scm).sample(1000, seed=0)
        >>> bool(abs(frame.corr().loc["y", "z"]) < 0.1)
        True
    """
    return Shift("spurious", target, strength, direction, on)  # type: ignore[arg-type]


SHIFTS: dict[str, Callable[..., Shift]] = {
    "covariate": covariate,
    "label": label,
    "concept": concept,
    "spurious": spurious,
}
"""Kinds of shift: name -> function(target, strength=, direction=)."""
