"""Shifts that are made of others, or of mechanisms given by hand: compose, do, replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from causalkit.environments import Task
from causalkit.mechanisms import Mechanism
from causalkit.scm import SCM
from causalkit.selection import Selected
from causalkit.shifts.certificate import Certificate, certify
from causalkit.shifts.shift import Shift

__all__ = ["Composed", "Replaced", "compose", "do", "replace"]


@dataclass(frozen=True, eq=False)
class Replaced:
    """An intervention: do() of some variables, other mechanisms for some; call it with an SCM.

    Attributes:
        values: Variable -> the value it is set to, as `SCM.do` takes it.
        mechanisms: Variable -> its new mechanism.
    """

    values: Mapping[str, float | np.ndarray | pd.Series]
    mechanisms: Mapping[str, Mechanism]

    def __call__(self, scm: SCM) -> SCM:
        """The SCM with these mechanisms exchanged and these values set.

        Raises:
            ValueError: An unknown variable, a value that it cannot take, a cycle.
        """
        return scm.replace(self.mechanisms).do(self.values)

    def changed(self, scm: SCM) -> tuple[str, ...]:
        """The variables that it acts on, in the order of the SCM."""
        self(scm)
        return tuple(v for v in scm.variables if v in self.values or v in self.mechanisms)

    def certificate(self, scm: SCM, task: Task, *, max_size: int | None = None) -> Certificate:
        """As `Shift.certificate`; the divergence of a do() is infinite, of a replacement what it is."""
        kind = "do" if not self.mechanisms else "replace"
        return certify(kind, scm, self(scm), task.target, self.changed(scm), (), task=task, max_size=max_size)


@dataclass(frozen=True, eq=False)
class Composed:
    """Shifts one after the other: each is applied to what the ones before it made.

    Attributes:
        shifts: In the order in which they are applied; one that selects rows can only be the last.
    """

    shifts: tuple[Shift | Replaced, ...]

    def __call__(self, scm: SCM) -> SCM | Selected:
        """The SCM after all of them.

        Raises:
            ValueError: What each of them raises; a shift after one that selects rows.
        """
        return self._steps(scm)[-1]

    def _steps(self, scm: SCM) -> list[SCM | Selected]:
        steps: list[SCM | Selected] = [scm]
        for shift in self.shifts:
            before = steps[-1]
            if isinstance(before, Selected):
                raise ValueError("selected rows are no SCM that could be shifted on: put the shift that selects last")
            steps.append(shift(before))
        return steps

    def changed(self, scm: SCM) -> tuple[str, ...]:
        """The variables whose mechanisms any of them moves, in the order of the SCM."""
        steps = zip(self.shifts, self._steps(scm), strict=False)
        moved = {v for shift, before in steps for v in shift.changed(before)}  # type: ignore[arg-type]
        return tuple(v for v in scm.variables if v in moved)

    def certificate(self, scm: SCM, task: Task | None = None, *, max_size: int | None = None) -> Certificate:
        """As `Shift.certificate`, of all of them against the SCM before the first.

        Raises:
            ValueError: No target: neither a task nor a shift that has one, or shifts of several.
        """
        targets = {t for t in (getattr(shift, "target", None) for shift in self.shifts) if t is not None}
        targets |= {task.target} if task is not None else set()
        if len(targets) != 1:
            named = ", ".join(sorted(targets)) or "none"
            raise ValueError(f"a certificate is relative to one target, and there is {named}: give the task")
        steps = self._steps(scm)
        last, before = self.shifts[-1], steps[-2]
        drivers = last.drivers(before) if isinstance(last, Shift) and last.selects(before) else ()  # type: ignore[arg-type]
        return certify(
            "composed", scm, steps[-1], targets.pop(), self.changed(scm), drivers, task=task, max_size=max_size
        )


def compose(*shifts: Shift | Replaced | Composed) -> Composed:
    """The shift that applies these in turn, the first one first.

    Args:
        *shifts: At least one; each asks for its nats on what the ones before it made.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> both = compose(ck.shifts.covariate("y", nats=0.5), ck.shifts.spurious("y", nats=0.5))
        >>> both.changed(scm)
        ('x', 'z')
    """
    if not shifts:
        raise ValueError("compose needs at least one shift: compose(ck.shifts.covariate('y', nats=0.5), ...)")
    return Composed(tuple(s for shift in shifts for s in (shift.shifts if isinstance(shift, Composed) else (shift,))))


def do(values: Mapping[str, float | np.ndarray | pd.Series]) -> Replaced:
    """The intervention do(x = value) as a shift, for `sample_environments`.

    Example:
        >>> import causalkit as ck
        >>> do({"x": 1.0})(ck.SCM({"x": ck.linear()}))
        SCM(x := 1)
    """
    return Replaced(MappingProxyType(dict(values)), MappingProxyType({}))


def replace(mechanisms: Mapping[str, Mechanism]) -> Replaced:
    """Other mechanisms for some variables, as a shift.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> replace({"y": ck.linear({"x": -1.0})}).certificate(scm, ck.Task(("x",), "y")).total.__round__(1)
        2.0
    """
    return Replaced(MappingProxyType({}), MappingProxyType(dict(mechanisms)))
