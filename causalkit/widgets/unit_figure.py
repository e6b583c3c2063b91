"""The picture of one unit: what was seen, what do() makes of everybody, what the unit would have been, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.plotting.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalkit.widgets.unit import Unit

__all__ = ["marks", "panels"]

SEEN, FIRST, SECOND = "0.6", COLOURS[6], COLOURS[0]


def panels(view: Unit, variable: str, model: str) -> tuple[list[Axes], Figure]:
    """All that stands still as slider and row move: three axes over the variables, in standard deviations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    axes = list(figure.subplots(1, 3, sharey=True))
    titles = ("seen: this unit", f"done: everybody under do({variable})", f"imagined: this unit, {variable} otherwise")
    ticks = [f"{v}*" if v != variable and view.moves(variable, v) else v for v in view.names]
    place = view.names.index(variable)
    for ax, title in zip(axes, titles, strict=True):
        ax.set_xticks(range(len(ticks)), ticks, rotation=0 if len(ticks) < 8 else 60)
        ax.set_xlim(-0.6, len(ticks) - 0.4)
        ax.axhline(0, color="0.8", lw=1, zorder=0)
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        if ax is not axes[0]:
            ax.axvspan(place - 0.4, place + 0.4, color=COLOURS[4], alpha=0.25, lw=0, zorder=0)
    mean, sd = view.scale
    said = np.stack([view.said(view.first, variable, c, r)[0] for c in view.changes for r in view.rows])
    limit = 1.1 * float(np.abs((said - mean) / sd).max().clip(3.0, 8.0))
    axes[0].set(ylim=(-limit, limit), ylabel="sd from the mean")
    _legend(figure, view.first, model, variable)
    return axes, figure


def _legend(figure: Figure, first: str, model: str, variable: str) -> None:
    from matplotlib.lines import Line2D

    looks = [("o", SEEN, "seen"), ("D", FIRST, first)] + [("s", SECOND, model)] * (model != first)
    handles = [Line2D([], [], ls="", marker=m, color=c, mfc="none", mew=1.8, label=k) for m, c, k in looks]
    note = Line2D([], [], ls="", label=f"orange: set; *: effect of {variable}; bars: nine in ten")
    figure.legend(handles=[*handles, note], loc="outside lower center", ncols=4, fontsize=9, frameon=False)


def marks(view: Unit, axes: list[Axes], variable: str, change: float, row: int, model: str) -> list[Any]:
    """The unit, its answers and everybody's; what lies beyond the axes is put on their edge."""
    mean, sd = view.scale
    spots, limit = np.arange(len(view.names)), axes[0].get_ylim()[1]

    def high(values: np.ndarray) -> np.ndarray:
        return np.clip((values - mean) / sd, -limit, limit)

    style: dict[str, Any] = {"ls": "", "mfc": "none", "mew": 1.8, "clip_on": False}
    fact = high(view.fact(row))
    made: list[Any] = []
    made += axes[0].plot(spots, fact, "o", color=SEEN, ms=9, **style)
    made += axes[2].plot(spots, fact, "o", color=SEEN, ms=9, **style)
    looks = {view.first: ("D", FIRST, -0.13), model: ("s", SECOND, 0.13)}
    if model == view.first:
        looks = {view.first: ("D", FIRST, 0.0)}
    for label, (marker, colour, shift) in looks.items():
        imagined, done = view.said(label, variable, change, row)
        middle, low, top = (high(line) for line in done)
        answer, at = high(imagined), spots + shift
        made.append(axes[1].vlines(at, low, top, color=colour, lw=1.8))
        made += axes[1].plot(at, middle, marker, color=colour, ms=6.5, **style)
        made.append(axes[2].vlines(at, fact, answer, color=colour, lw=1, alpha=0.6))  # from what was to what would be
        made += axes[2].plot(at, answer, marker, color=colour, ms=6.5, **style)
    return made
