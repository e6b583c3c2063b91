"""Where ERM and the causal model cross: models trained once, and their errors as one drags a shift to and fro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from causalkit.environments import Environment, Task, sample_environments
from causalkit.errors import unknown
from causalkit.graphs import children_of, parents_of
from causalkit.model import Model
from causalkit.objectives import Objective, irm
from causalkit.plotting.style import COLOURS, LINES, MARKERS
from causalkit.scm import SCM
from causalkit.seeds import integer
from causalkit.shifts import SHIFTS, Certificate
from causalkit.training import fit
from causalkit.widgets.explore import choice, slider
from causalkit.widgets.stage import Paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Crossing", "crossing"]

KINDS = ("spurious", "covariate", "concept")
DRAG = tuple(float(k) / 8 for k in range(-16, 17))
"""Positions of the slider: strength times direction of the shift, from -2 to 2."""
EQUAL = 0.01
"""Errors within so large a share of each other are called equal."""


@dataclass(frozen=True, eq=False)
class Crossing:
    """Models that were trained once, and their errors under shifts of every strength. Made by `crossing`.

    Attributes:
        scm: What is shifted.
        target: The variable to predict.
        strength: Of the spurious shifts, up and down, between the two training environments.
        models: "erm", the objectives that were asked for, and "causes" (erm on the target's observed causes).
        curves: Kind of shift -> a row a position: "shift", strength times direction, and each model's RMSE.
        certificates: Kind of shift -> what the graph says of it.
    """

    scm: SCM
    target: str
    strength: float
    models: dict[str, Model]
    curves: dict[str, pd.DataFrame]
    certificates: dict[str, Certificate]
    _kept: dict[str, tuple[Axes, Paper]] = field(default_factory=dict, repr=False)

    @cached_property
    def controls(self) -> dict[str, Any]:
        """Keyword of `draw` -> its control: `ck.widgets.explore(view.draw, **view.controls)`. The slider acts as it is
        dragged."""
        positions = list(next(iter(self.curves.values()))["shift"])
        drag = slider("Shift at test", positions, 0.0)
        drag.continuous_update = True
        return {"kind": choice("What moves", list(self.curves), next(iter(self.curves))), "shift": drag}

    def crossings(self, kind: str) -> list[float]:
        """Shifts at which erm and the causes change places, in order, by lines between positions.

        Where they only come within 1 % of each other and part again, or touch, they do not cross.

        Raises:
            ValueError: A kind that is not on offer.
        """
        curve = self._curve(kind)
        x, gap = curve["shift"].to_numpy(), curve["erm"].to_numpy() - curve["causes"].to_numpy()
        clear = np.flatnonzero(np.abs(gap) > EQUAL * curve["causes"].to_numpy())
        found = []
        for a, b in pairwise(clear):
            if gap[a] * gap[b] < 0:
                k = a + int(np.flatnonzero(np.sign(gap[a : b + 1]) != np.sign(gap[a]))[0])
                found.append(float(x[k - 1] + (x[k] - x[k - 1]) * gap[k - 1] / (gap[k - 1] - gap[k])))
        return found

    def draw(self, kind: str = "spurious", shift: float = 0.0) -> tuple[bytes, str]:
        """The figure at this shift as a PNG image, and its meaning in words. Made for dragging:
        what stays is painted once.

        Args:
            kind: What moves: "spurious", the target's effects; "covariate", its causes; "concept", its own mechanism.
            shift: A position of the slider.

        Raises:
            ValueError: A kind or position that is not on offer.
        """
        words = self.words(kind, shift)
        if kind not in self._kept:
            ax, still = self._axes(kind)
            self._kept[kind] = ax, Paper(still, [])
        ax, paper = self._kept[kind]
        moving = self._marks(ax, kind, shift)
        image = paper.png(moving)
        for artist in moving:
            artist.remove()
        return image, words

    def figure(self, kind: str, shift: float) -> Figure:
        """The models' errors under all shifts of a kind, marked where the slider stands, as a figure of its own.

        Raises:
            ValueError: A kind or position that is not on offer.
        """
        self._row(kind, shift)
        ax, figure = self._axes(kind)
        self._marks(ax, kind, shift)
        return figure

    def _axes(self, kind: str) -> tuple[Axes, Figure]:
        """All that stands still as the slider moves."""
        from matplotlib.figure import Figure

        curve, figure = self._curve(kind), Figure(figsize=(9.4, 3.9), layout="constrained")
        ax = figure.subplots()
        for k, name in enumerate(self.models):
            ax.plot(curve["shift"], curve[name], ls=LINES[k % 8], lw=2, label=name, color=COLOURS[k % 8])
        for k, place in enumerate(self.crossings(kind)):
            ax.axvline(place, color="black", ls=":", lw=1.2, label="erm and causes cross" if k == 0 else None)
            ax.annotate(f" {place:+.2f}", (place, 0.99), xycoords=("data", "axes fraction"), va="top", fontsize=9)
        if kind == "spurious":
            ax.axvspan(-self.strength, self.strength, color="0.92", zorder=-1, label="range of the training shifts")
        ax.set(
            xmargin=0.02,
            ylim=(0.0, 1.08 * curve[[*self.models]].max(axis=None)),
        )
        heard = {
            "spurious": f"what the effects hear of {self.target} is multiplied by 1 + shift",
            "covariate": "the means of the causes move by so many standard deviations",
            "concept": f"what {self.target} hears of its causes is multiplied by 1 + shift",
        }
        ax.set(xlabel=f"{kind} shift at test: {heard[kind]}", ylabel=f"RMSE of {self.target}")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3)
        return ax, figure

    def _marks(self, ax: Axes, kind: str, shift: float) -> list[Any]:
        """A grey bar where the slider stands, and on it a point with its number for each model."""
        here = self._row(kind, shift)
        marks: list[Any] = [ax.axvline(shift, color="0.5", lw=6, alpha=0.3, zorder=0)]
        for k, name in enumerate(self.models):
            look: dict[str, Any] = {"color": COLOURS[k % 8], "mec": "white", "ls": "", "zorder": 4}
            marks += ax.plot([shift], [here[name]], marker=MARKERS[k % 8], ms=10, **look)
        return marks

    def words(self, kind: str, shift: float) -> str:
        """What the figure shows: the shift, the errors, who is ahead, where they cross, and what the graph promises.

        Raises:
            ValueError: A kind or position that is not on offer.
        """
        here = self._row(kind, shift)
        errors = ", ".join(f"{here[name]:.2f} for {name}" for name in self.models)
        gap = here["erm"] / here["causes"] - 1
        ahead = "erm and the causes are within 1% of each other"
        if abs(gap) > EQUAL:
            ahead = "the causes are ahead" if gap > 0 else "erm is ahead"
        places = " and ".join(f"{place:+.2f}" for place in self.crossings(kind))
        curve = self._curve(kind)
        far = f"between {curve['shift'].iloc[0]:+g} and {curve['shift'].iloc[-1]:+g}"
        meet = f"They cross at {places}" if places else f"They do not cross {far}"
        causes = tuple(self.models["causes"].task.features)
        stands = any(set(kept) == set(causes) for kept in self.certificates[kind].invariant_sets)
        law = f"P({self.target} | {', '.join(causes)})"
        promise = f"{law} stands at every strength" if stands else f"{law} may move, and the causes with it"
        size = f"{shift:+g}" if shift else "0"
        return (
            f"{kind.capitalize()} shift {size}: {self._said(kind, shift)}. RMSE of {self.target}: {errors}; {ahead}. "
            f"{meet}. By the graph, {promise}."
        )

    def _said(self, kind: str, shift: float) -> str:
        """What a shift of this size does, in words."""
        moved = ", ".join(self.certificates[kind].changed)
        if kind == "covariate":
            return f"the mean of {moved} moves by {shift:+g} sd"
        heard = f"{self.target} hears its causes"
        if kind == "spurious":
            heard = f"{moved} hear{'' if ',' in moved else 's'} {self.target}"
        return f"{heard} times {1 + shift:g}"

    def _curve(self, kind: str) -> pd.DataFrame:
        if kind not in self.curves:
            raise unknown("kind of shift", kind, self.curves)
        return self.curves[kind]

    def _row(self, kind: str, shift: float) -> pd.Series:
        curve = self._curve(kind)
        row = curve[curve["shift"] == shift]
        if row.empty:
            raise ValueError(f"{shift:g} is no position of the slider: {', '.join(f'{x:g}' for x in curve['shift'])}")
        return row.iloc[0]


def crossing(
    scm: SCM,
    target: str,
    *,
    objectives: Mapping[str, Objective] | None = None,
    strength: float = 0.3,
    kinds: Sequence[str] = KINDS,
    shifts: Sequence[float] = DRAG,
    n: int,
    seed: int,
    **options: Any,
) -> Crossing:
    """Trains models, linear ones by default, in two environments, and tests them under shifts of every strength.

    The target's effects hear it 1 + strength times as loudly in one training environment and 1 - strength in the
    other. Tests are drawn with the same noise at all positions, so that differences are effects of the shift.

    Args:
        scm: What is shifted.
        target: The variable to predict; it needs observed causes and effects.
        objectives: Name -> objective, trained on all features beside "erm" and "causes"; {"irm": irm(100.0)} if None.
        strength: Of the spurious shifts in training.
        kinds: Keys of `ck.SHIFTS`, of "spurious", "covariate" and "concept".
        shifts: Positions, strength times direction, in rising order, with 0.
        n: Rows of each training environment, and of each test.
        seed: Of the rows and the initial weights.
        **options: Of `ck.fit`, for all models: `steps`, say, or backbone="mlp" in place of "linear".

    Raises:
        ValueError: A target without observed causes or effects; a kind that is not on offer; positions that do not rise
            or lack 0; an objective called "erm" or "causes".

    Example:
        >>> import causalkit as ck
        >>> view = crossing(ck.teaching_scm(), "y", n=2000, seed=0)
        >>> [round(place, 1) for place in view.crossings("spurious")]
        [-0.5, 0.9]
        >>> box = ck.widgets.explore(view.draw, **view.controls)
    """
    objectives, positions = {"irm": irm(100.0)} if objectives is None else dict(objectives), tuple(map(float, shifts))
    causes = _check(scm, target, objectives, kinds, positions)
    both = {
        name: SHIFTS["spurious"](target, strength=strength, direction=way) for name, way in (("up", 1), ("down", -1))
    }
    train = sample_environments(scm, both, n, seed=integer(seed, "train"))
    every = Task(tuple(v for v in scm.observed if v != target), target)
    fitted: dict[str, tuple[Task, Objective | str]] = {
        "erm": (every, "erm"),
        **{name: (every, o) for name, o in objectives.items()},
    }
    fitted["causes"] = (Task(causes, target), "erm")
    weights, options = integer(seed, "weights"), {"backbone": "linear", **options}
    models = {name: fit(train, task, objective=o, seed=weights, **options) for name, (task, o) in fitted.items()}
    curves, certificates = {}, {}
    for kind in kinds:
        certificates[kind] = SHIFTS[kind](target, strength=1.0).certificate(scm)
        rows = []
        for x in positions:
            test = SHIFTS[kind](target, strength=abs(x), direction=1 if x >= 0 else -1)(scm)
            frame = test.sample(n, seed=integer(seed, "test"))
            rows.append([x, *(_rmse(model, Environment("test", frame)) for model in models.values())])
        curves[kind] = pd.DataFrame(rows, columns=["shift", *models])
    return Crossing(scm, target, strength, models, curves, certificates)


def _check(
    scm: SCM, target: str, objectives: Mapping[str, Objective], kinds: Sequence[str], positions: tuple[float, ...]
) -> tuple[str, ...]:
    """The door; the target's observed causes come back."""
    if target not in scm.observed:
        raise unknown("target", target, scm.observed)
    causes = tuple(v for v in parents_of(scm.graph, target) if v in scm.observed)
    if not causes or not any(v in scm.observed for v in children_of(scm.graph, target)):
        raise ValueError(f"{target!r} needs observed causes and observed effects, or nothing crosses: choose another")
    if target in scm.levels:
        raise ValueError(f"{target!r} is discrete: least squares compares continuous targets; choose another")
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of shift", kind, KINDS)
    if 0.0 not in positions or list(positions) != sorted(set(positions)) or not kinds:
        raise ValueError(f"kinds {list(kinds)}, shifts {positions}: give a kind, and shifts that rise and pass 0")
    taken = {"erm", "causes"} & set(objectives)
    if taken:
        raise ValueError(f"objectives has {sorted(taken)[0]!r}, which is trained anyway: give it another name")
    return causes


def _rmse(model: Model, test: Environment) -> float:
    truth = test.frame[model.task.target].to_numpy()
    return float(np.sqrt(np.mean((model.predict(test.frame) - truth) ** 2)))
