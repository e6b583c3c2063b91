"""A shift: which mechanisms it moves in an SCM, by how much, and what its certificate says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import networkx as nx

from causalkit.environments import Task
from causalkit.errors import unknown
from causalkit.graphs import children_of, parents_of
from causalkit.mechanisms import Mechanism
from causalkit.scm import SCM
from causalkit.selection import Selected
from causalkit.shifts.certificate import Certificate, certify
from causalkit.shifts.dial import solve
from causalkit.shifts.tilt import Tilt, moments

__all__ = ["HOW", "Shift"]

HOW = {
    "covariate": ("location", "scale"),
    "label": ("location",),
    "concept": ("gain", "location", "scale"),
    "spurious": ("gain", "location", "scale"),
    "confounding": ("gain",),
    "selection": ("location",),
    "soft": ("location", "gain", "scale"),
}
"""What each kind can do to a mechanism; the first is its default."""


@dataclass(frozen=True)
class Shift:
    """A shift of a kind, relative to a target: call it with an SCM to get the shifted one.

    Attributes:
        kind: A key of `SHIFTS`.
        target: The variable to predict, y; None for "soft", which needs none.
        strength: How far, from 0 (not at all); the unit is that of `how`.
        nats: The same as KL(shifted || original) of the joint; give this or `strength`.
        direction: +1 or -1.
        on: The variables it acts on, None for the kind's own choice.
        how: "location", "gain" or "scale" (see the module); None for the kind's own.

    Raises:
        ValueError: Both of strength and nats or neither, one that is negative or not finite, another direction, kind
            or `how`.
    """

    kind: str
    target: str | None
    strength: float | None = None
    nats: float | None = None
    direction: int = 1
    on: tuple[str, ...] | None = None
    how: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in HOW:
            raise unknown("shift", self.kind, HOW)
        if (self.strength is None) == (self.nats is None):
            raise ValueError(f"a {self.kind} shift wants one of nats= and strength=: nats=0.5, say")
        for name in ("strength", "nats"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} {value}: give a finite number >= 0, and the sign as direction=+1 or -1")
        if self.direction not in (1, -1):
            raise ValueError(f"direction {self.direction}: give +1 or -1")
        if self.on is not None:
            object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))
        if self.how is None:
            object.__setattr__(self, "how", HOW[self.kind][0])
        if self.how not in HOW[self.kind]:
            raise unknown(f"way (how) of a {self.kind} shift", self.how, HOW[self.kind])

    def __call__(self, scm: SCM) -> SCM | Selected:
        """The shifted SCM (the same object at strength 0); a `Selected` where the shift is made by sampling.

        Raises:
            ValueError: The target or a variable of `on` is unknown, or the graph does not allow the shift.
            Unreachable: No strength gives the nats that were asked for.
        """
        self.changed(scm)
        return self.by(scm, self.strength_on(scm))

    def strength_on(self, scm: SCM) -> float:
        """The strength on this SCM: the given one, or the one at which KL(shifted || scm) is `nats`.

        Example:
            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
            >>> round(ck.shifts.covariate("y", nats=0.5).strength_on(scm), 6)
            1.0
        """
        return self.strength if self.strength is not None else _solved(self, scm)

    def by(self, scm: SCM, strength: float) -> SCM | Selected:
        """The SCM shifted by this strength, whatever the shift's own."""
        if strength == 0:
            return scm
        amount = self.direction * strength
        if self.selects(scm):
            return Selected(scm, Tilt.of(scm, self.drivers(scm), amount), self.drivers(scm))
        return self.moved(scm, amount)

    def moved(self, scm: SCM, amount: float) -> SCM:
        """The SCM whose changed mechanisms are moved by direction * strength = amount."""
        return scm.replace({v: self._turned(scm, v, amount) for v in self.changed(scm)})

    def _turned(self, scm: SCM, name: str, amount: float) -> Mechanism:
        mechanism = scm.mechanisms[name]
        if self.how == "location":
            return mechanism.moved(amount)
        if self.how == "scale":
            return mechanism.scaled(math.exp(amount))
        heard = mechanism.parents
        if self.kind in ("spurious", "confounding"):
            louder = (self._aim(),) if self.kind == "spurious" else self._causes(scm)
            heard = tuple(p for p in heard if p in louder)
        return mechanism.with_gain(dict.fromkeys(heard, 1 + amount), moments(scm, heard)["mean"].to_dict())

    def selects(self, scm: SCM) -> bool:
        """Whether it is made by sampling: a selection, or a label shift of a target that has causes."""
        return self.kind == "selection" or (self.kind == "label" and bool(parents_of(scm.graph, self._aim())))

    def drivers(self, scm: SCM) -> tuple[str, ...]:
        """The variables on which it depends whether a row is kept: the target of a label shift, or `on`."""
        if self.kind == "label":
            return (self._aim(),)
        if self.on:
            return self.on
        near = [parents_of(scm.graph, self._aim()), children_of(scm.graph, self._aim())]
        causes, effects = ([v for v in several if v in scm.observed] for several in near)
        return (self._aim(), *(causes or effects))

    def changed(self, scm: SCM) -> tuple[str, ...]:
        """The variables whose mechanisms it moves in this SCM.

        Raises:
            ValueError: An unknown or hidden target, an unknown variable, or a graph that does not allow the shift:
                the message says why.
        """
        for name in self.on or ():
            if name not in scm.variables:
                raise unknown("variable in `on`", name, scm.variables)
        if self.kind == "soft":
            return self._named(scm)
        target = self._aim()
        if target not in scm.variables:
            raise unknown("target", target, scm.variables)
        if target in scm.hidden:
            raise ValueError(
                f"the target {target!r} is hidden, so nothing can be predicted or promised: "
                f"take one of {', '.join(scm.observed)}"
            )
        if self.kind == "covariate":
            return self._covariates(scm)
        if self.kind == "spurious":
            return self._effects(scm)
        if self.kind == "confounding":
            return tuple(v for v in scm.variables if set(scm.mechanisms[v].parents) & set(self._causes(scm)))
        if self.kind == "selection":
            return ()
        return self._own(scm)

    def _aim(self) -> str:
        if self.target is None:
            raise ValueError(f"a {self.kind} shift is relative to a target: name it, {self.kind}('y', ...)")
        return self.target

    def _named(self, scm: SCM) -> tuple[str, ...]:
        if not self.on:
            raise ValueError("a soft intervention acts on the variables that it names: ck.shifts.soft('x', nats=0.5)")
        for name in self.on:
            if self.how == "gain" and not parents_of(scm.graph, name):
                raise ValueError(f"{name!r} is a root and hears no causes: give how='location' or how='scale'")
        return self.on

    def _own(self, scm: SCM) -> tuple[str, ...]:
        """The target itself, for concept and label shifts."""
        target = self._aim()
        if self.on not in (None, (target,)):
            raise ValueError(f"a {self.kind} shift acts on the target {target!r} alone: leave `on` out")
        if self.kind == "concept" and not parents_of(scm.graph, target):
            raise ValueError(
                f"{target!r} is a root: it has no causes whose effect on it could move, and moving its own "
                f"distribution would be a label shift: use ck.shifts.label({target!r}, ...)"
            )
        return () if self.selects(scm) else (target,)

    def _covariates(self, scm: SCM) -> tuple[str, ...]:
        target = self._aim()
        children = children_of(scm.graph, target)
        allowed = [v for v in scm.variables if v != target and v not in children]
        if self.on is None:
            causes = nx.ancestors(scm.graph, target)
            roots = tuple(v for v in scm.observed if v in causes and not parents_of(scm.graph, v))
            if not roots:
                raise ValueError(
                    f"{target!r} has no observed root among its causes: name what should move in `on`, "
                    f"one or more of: {', '.join(allowed) or 'none'}"
                )
            return roots
        for name in self.on:
            if name not in allowed:
                role = "the target" if name == target else f"a child of the target {target!r}"
                raise ValueError(
                    f"a covariate shift cannot move {name!r}, {role}. Allowed: {', '.join(allowed) or 'none'}"
                )
        return self.on

    def _effects(self, scm: SCM) -> tuple[str, ...]:
        target = self._aim()
        children = tuple(v for v in children_of(scm.graph, target) if v in scm.observed)
        if not children:
            raise ValueError(
                f"{target!r} has no observed effects, so there is nothing spurious to move: use another shift"
            )
        for name in self.on or ():
            if name not in children:
                raise ValueError(
                    f"{name!r} is no observed child of {target!r}: a spurious shift moves {', '.join(children)}"
                )
        return self.on or children

    def _causes(self, scm: SCM) -> tuple[str, ...]:
        """The hidden common causes that a confounding shift makes louder: of the target and of another variable."""
        target = self._aim()
        confounders = tuple(
            h for h in scm.hidden if scm.graph.has_edge(h, target) and len(children_of(scm.graph, h)) > 1
        )
        if not confounders:
            raise ValueError(
                f"{target!r} shares no hidden cause with another variable, so there is no confounding to move: "
                f"add one, as in ck.graphs.confounded, or use another shift"
            )
        for name in self.on or ():
            if name not in confounders:
                raise ValueError(
                    f"{name!r} is no hidden common cause of {target!r} and another variable. There is: "
                    f"{', '.join(confounders)}"
                )
        return self.on or confounders

    def certificate(self, scm: SCM, task: Task | None = None, *, max_size: int | None = None) -> Certificate:
        """What the graph of this SCM proves about the shift, and how many nats each changed mechanism adds.

        Args:
            scm: What is shifted.
            task: Its features are the ones that the sets S may hold, its target must be the shift's; without one,
                all observed variables but the target.
            max_size: The largest sets S that are looked at; None for all.

        Example:
            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
            >>> print(ck.shifts.spurious("y", nats=0.5).certificate(scm))
            spurious shift of y, strength 0.704: 0.495 nats (se 0.002)
              changed mechanisms: z 0.495
              keeps: P(y | x)
              P(y | S) stands for 2 of the 4 sets S: {}, {x}
              most informative of them: {x}; P(y | its causes) stands
        """
        target = self.target if self.target is not None or task is None else task.target
        if target is None:
            raise ValueError("a soft intervention has no target of its own: give the task, certificate(scm, task)")
        if task is not None and task.target != target:
            raise ValueError(f"the shift is of {target!r}, the task predicts {task.target!r}: name one target")
        changed, strength = self.changed(scm), self.strength_on(scm)
        drivers = self.drivers(scm) if self.selects(scm) else ()
        shifted = self.by(scm, strength)
        return certify(
            self.kind, scm, shifted, target, changed, drivers, task=task, max_size=max_size, strength=strength
        )


@lru_cache(maxsize=64)
def _solved(shift: Shift, scm: SCM) -> float:
    return solve(shift, scm)
