"""One unit, three questions: what was seen, what do() does to everybody, and what this unit would have been."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.estimation import ExtrapolationWarning, LearnedSCM
from causalkit.scm import SCM
from causalkit.seeds import integer
from causalkit.widgets.explore import choice, slider
from causalkit.widgets.stage import Paper
from causalkit.widgets.unit_figure import marks, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Unit", "unit"]

CHANGES = tuple(k / 2 for k in range(-6, 7))
"""Positions of the slider: by how many standard deviations the variable is moved from the unit's own value."""


@dataclass(frozen=True, eq=False)
class Unit:
    """Units, an intervention on each, and what one or several SCMs answer. Made by `unit`.

    Attributes:
        scms: Label -> SCM; the first is the one that others are held against, and whose graph says what can move.
        frame: The factual rows; their means and standard deviations are the units of the figure.
        outcome: The variable that the sentence is about.
        rows: The rows on offer, by place in the frame.
        changes: Positions of the slider, in standard deviations.
        draws: Rows that stand for everybody.
        seed: Of these draws.
    """

    scms: dict[str, SCM]
    frame: pd.DataFrame
    outcome: str
    rows: tuple[int, ...]
    changes: tuple[float, ...]
    draws: int
    seed: int
    _answers: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)
    _kept: dict[tuple[str, str], tuple[list[Axes], Paper]] = field(default_factory=dict, repr=False)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Those that can be set: they have effects in the first SCM's graph."""
        first = self.scms[self.first]
        return tuple(v for v in first.observed if any(True for _ in first.graph.successors(v)))

    @property
    def first(self) -> str:
        """The label of the SCM that the others are held against."""
        return next(iter(self.scms))

    @cached_property
    def controls(self) -> dict[str, Any]:
        """Keyword of `draw` -> its control: `ck.widgets.explore(view.draw, **view.controls)`. The slider of the change
        acts as it is dragged."""
        start = self._start()
        drag = slider("Change, sd", self.changes, start["change"])
        drag.continuous_update = True
        controls = {
            "variable": choice("Had it been otherwise:", self.variables, start["variable"]),
            "change": drag,
        }
        if len(self.rows) > 1:
            controls["row"] = slider("Unit (row)", self.rows, start["row"])
        if len(self.scms) > 2:
            controls["model"] = choice(f"Beside {self.first}", list(self.scms)[1:], start["model"])
        return controls

    def draw(self, **chosen: Any) -> tuple[bytes, str]:
        """The figure as a PNG image, and its meaning in words. Made for dragging: what stays is painted once.

        Args:
            **chosen: `variable`, `change`, `row`, `model`; those left out are where the controls start.

        Raises:
            ValueError: Something that is not on offer.
        """
        at = self._at(chosen)
        key = (at["variable"], at["model"])
        if key not in self._kept:
            axes, still = panels(self, *key)
            self._kept[key] = axes, Paper(still, [])
        axes, paper = self._kept[key]
        moving = marks(self, axes, **at)
        image = paper.png(moving)
        for artist in moving:
            artist.remove()
        return image, self.words(**at)

    def figure(self, **chosen: Any) -> Figure:
        """The static form: the same figure, as one of matplotlib's.

        Raises:
            ValueError: Something that is not on offer.
        """
        at = self._at(chosen)
        axes, figure = panels(self, at["variable"], at["model"])
        marks(self, axes, **at)
        return figure

    def table(self, **chosen: Any) -> pd.DataFrame:
        """The numbers in the figure: a row for what was seen, and two an SCM, "imagined" and "done" (its mean).

        Raises:
            ValueError: Something that is not on offer.
        """
        at = self._at(chosen)
        lines = {("seen", ""): self.fact(at["row"])}
        for label in dict.fromkeys((self.first, at["model"])):
            imagined, done = self.said(label, at["variable"], at["change"], at["row"])
            lines |= {("imagined", label): imagined, ("done", label): done[0]}
        return pd.DataFrame(lines, index=self.names).T.rename_axis(["", "by"])

    def words(self, **chosen: Any) -> str:
        """What the figure shows: the unit, what it would have been, and what everybody is under the same do().

        Raises:
            ValueError: Something that is not on offer.
        """
        at = self._at(chosen)
        variable, change, row, model = (at[key] for key in ("variable", "change", "row", "model"))
        y, place, fact = self.outcome, self.names.index(self.outcome), self.fact(row)
        value = self._value(variable, change, row)
        labels = list(dict.fromkeys((self.first, model)))
        said = {label: self.said(label, variable, change, row) for label in labels}
        own = fact[self.names.index(variable)]
        seen = f"Row {row} has {variable} = {own:.2f}" + (f" and {y} = {fact[place]:.2f}. " if variable != y else ". ")
        if variable == y:
            return f"{seen}{y} is what is set, to {value:.2f} ({change:+g} sd): look at its effects."
        unit = ", and ".join(f"{said[k][0][place]:.2f} by {k}" for k in labels)
        everybody = ", and ".join(f"{said[k][1][0][place]:.2f} by {k}" for k in labels)
        low, high = said[self.first][1][1:, place]
        if change == 0:
            imagined = f"Set to what it is, nothing changes, and {y} has to come back as it was: {unit}. "
        else:
            imagined = f"Had {variable} been {value:.2f} ({change:+g} sd), its {y} would have been {unit}. "
        still = "" if self.moves(variable, y) else f"In the graph {y} is no effect of {variable}, and has to stay. "
        return (
            f"{seen}{imagined}{still}Under do({variable} = {value:.2f}) everybody's mean {y} is {everybody}; nine in "
            f"ten lie between {low:.2f} and {high:.2f}.{self._beyond(variable, value, model)}"
        )

    def _beyond(self, variable: str, value: float, model: str) -> str:
        """What is to be said of a value that a learned SCM has not seen."""
        scm = self.scms[model]
        low, high = scm.ranges[variable] if isinstance(scm, LearnedSCM) else (-np.inf, np.inf)
        if low <= value <= high:
            return ""
        return f" {model} never saw such a value: in its data {variable} runs from {low:.2f} to {high:.2f}."

    @cached_property
    def names(self) -> list[str]:
        """The variables of the figure, d of them, in order."""
        return list(self.scms[self.first].observed)

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of the variables."""
        columns = self.frame[self.names]
        return columns.mean().to_numpy(), columns.std().to_numpy()

    def _start(self) -> dict[str, Any]:
        causes = [v for v in self.variables if v != self.outcome and self.moves(v, self.outcome)]
        change = min(self.changes, key=lambda c: abs(c - 1.0))
        return {
            "variable": (causes or self.variables)[0],
            "change": change,
            "row": self.rows[0],
            "model": list(self.scms)[-1] if len(self.scms) == 1 else list(self.scms)[1],
        }

    def _at(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """All four choices, checked."""
        offered = {"variable": self.variables, "change": self.changes, "row": self.rows, "model": list(self.scms)}
        for key, value in chosen.items():
            if key not in offered:
                raise unknown("control", key, offered)
            if value not in offered[key]:
                raise unknown(key, value, map(str, offered[key]))
        return self._start() | dict(chosen)

    def moves(self, cause: str, effect: str) -> bool:
        """Whether the first SCM's graph has a path from cause to effect."""
        return bool(nx.has_path(self.scms[self.first].graph, cause, effect))

    def fact(self, row: int) -> np.ndarray:
        """The unit as it was seen [d]."""
        return self.frame[self.names].iloc[row].to_numpy(float)

    def _value(self, variable: str, change: float, row: int) -> float:
        place = self.names.index(variable)
        return float(self.fact(row)[place] + change * self.scale[1][place])

    def said(self, label: str, variable: str, change: float, row: int) -> tuple[np.ndarray, np.ndarray]:
        """What the unit would have been [d], and everybody's mean, 5 and 95 % quantile under the same do() [3, d]."""
        key = (label, variable)
        if key not in self._answers:
            self._answers[key] = self._asked(label, variable)
        at = self.rows.index(row), self.changes.index(change)
        imagined, done = self._answers[key]
        return imagined[at], done[at]

    def _asked(self, label: str, variable: str) -> tuple[np.ndarray, np.ndarray]:
        """The answers for all rows and changes at once: imagined [rows, changes, d] and done [rows, changes, 3, d]."""
        scm, names, shape = self.scms[label], self.names, (len(self.rows), len(self.changes))
        values = np.array([[self._value(variable, c, r) for c in self.changes] for r in self.rows]).ravel()
        facts = self.frame.iloc[np.repeat(self.rows, shape[1])].reset_index(drop=True)
        noise = scm.sample_noise(self.draws, seed=self.seed)
        with warnings.catch_warnings():  # the sentence says so
            warnings.simplefilter("ignore", ExtrapolationWarning)
            imagined = scm.counterfactual(facts, {variable: values})[names].to_numpy(float)
            many = pd.concat([noise] * len(values), ignore_index=True)
            drawn = scm.do({variable: np.repeat(values, self.draws)}).push(many)[names].to_numpy(float)
        drawn = drawn.reshape(len(values), self.draws, len(names))
        done = np.stack([drawn.mean(1), *np.quantile(drawn, [0.05, 0.95], axis=1)], 1)
        return imagined.reshape(*shape, -1), done.reshape(*shape, 3, -1)


def unit(
    scms: SCM | Mapping[str, SCM],
    frame: pd.DataFrame,
    outcome: str,
    *,
    rows: int | Sequence[int] = 8,
    changes: Sequence[float] = CHANGES,
    draws: int = 400,
    seed: int,
) -> Unit:
    """One unit at three rungs, side by side: as it was seen, everybody under do(), and the unit had it been otherwise.

    The student moves the intervention (which variable, and by how much), the unit, and the SCM that answers beside the
    first. Show it by `ck.widgets.explore(view.draw, **view.controls)`; `view.figure()` and `view.words()` are what is
    printed.

    Args:
        scms: An SCM, true or learned; or label -> SCM, the first of which the others are held against.
        frame: Factual rows [n, variables], more than one: their spread is the unit of the figure.
        outcome: The variable that the sentence is about.
        rows: How many of the first rows are on offer, or which, by place.
        changes: Positions of the slider, in standard deviations from the unit's own value.
        draws: Rows that stand for everybody under do(); all positions share their noise.
        seed: Of these draws.

    Raises:
        ValueError: No SCM; a discrete variable (a change in standard deviations would mean nothing); SCMs over other
            variables; a frame that lacks a column; an outcome or row that is not there; no changes or draws.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.teaching_scm()
        >>> view = unit({"the true SCM": scm}, scm.sample(100, seed=0), "y", seed=1)
        >>> view.words(variable="x3", change=1.0).split(". ")[2]
        'In the graph y is no effect of x3, and has to stay'
        >>> box = ck.widgets.explore(view.draw, **view.controls)
    """
    scms = {"the SCM": scms} if isinstance(scms, SCM) else dict(scms)
    if not scms:
        raise ValueError("scms is empty: give an SCM, or label -> SCM")
    first = next(iter(scms.values()))
    for label, scm in scms.items():
        if scm.levels:
            raise ValueError(f"{next(iter(scm.levels))!r} is discrete in {label!r}: real variables can be moved by sds")
        if set(scm.variables) != set(first.variables):
            odd = sorted(set(scm.variables) ^ set(first.variables))
            raise ValueError(f"{label!r} is over other variables: {', '.join(odd)} is in one of them alone")
    frame = check_frame(frame, first.variables, min_rows=2)
    if outcome not in first.observed:
        raise unknown("outcome", outcome, first.observed)
    if not any(True for v in first.observed for _ in first.graph.successors(v)):
        raise ValueError("no variable has an effect in this graph: there is nothing to move")
    chosen = tuple(range(min(rows, len(frame)))) if isinstance(rows, int) else tuple(rows)
    if not chosen or any(not 0 <= row < len(frame) for row in chosen):
        raise ValueError(f"rows = {rows!r}: give a number of rows, or places between 0 and {len(frame) - 1}")
    if draws < 1:
        raise ValueError(f"draws = {draws}: everybody is at least one row")
    if not changes:
        raise ValueError("changes is empty: give positions for the slider, such as (-1.0, 0.0, 1.0)")
    return Unit(scms, frame, outcome, chosen, tuple(map(float, changes)), draws, integer(seed, "unit"))
