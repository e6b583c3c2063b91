"""Figures of a sweep's report, each with a sentence that says the same in numbers.

Colours, line styles and markers are those of `causalkit.plotting`. Bars are 95 % intervals over seeds. Nothing touches
pyplot, so that reports can be made in threads.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from causalkit.bench.series import Layout, Line, lay_out, level_text, number, sentence
from causalkit.bench.statistics import summarise
from causalkit.plotting import COLOURS, LINES, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Picture", "draw_main_effects", "draw_plot"]


@dataclass(frozen=True)
class Picture:
    """A figure as SVG text, what it is in a few words, and what it shows in a sentence."""

    svg: str
    title: str
    sentence: str


def draw_plot(table: pd.DataFrame, axes: Sequence[str], plot: Mapping[str, Any], better: str | None) -> Picture:
    """A metric against a swept parameter, a line for each level of another.

    Args:
        table: A row a planned run of one experiment, as `Results.frame` gives it.
        axes: All swept parameters; runs that differ in those that the plot does not name are averaged seed by seed,
            and the sentence says so.
        plot: The columns x and y; perhaps by (a line a level), facet (a panel a level; else the first other parameter
            with at most 6), where (levels to keep), and scale: "linear", "log" for both
            axes with fitted power laws, or "log_x" for the axis of x alone.
        better: "lower", "higher", or None.

    Example:
        >>> runs = pd.DataFrame({"n": [1, 2, 4] * 2, "seed": [0] * 3 + [1] * 3, "verdict": "ok"})
        >>> runs["seconds"] = runs["n"] ** 2.0
        >>> draw_plot(runs, ["n"], {"x": "n", "y": "seconds", "scale": "log"}, "lower").sentence
        'Mean and 95 % interval over 2 seeds; lower is better. From n 1 to 4: seconds 1 to 16, exponent 2 [2, 2].'
    """
    where = plot.get("where", {})
    for name, level in where.items():
        table = table[table[name] == level]
    layout = lay_out(table, axes, plot)
    figure = _figure(len(layout.panels), 5.6 if len(layout.panels) == 1 else 7.4)
    if not layout.numeric and len(layout.levels) > 8:  # room for their names
        figure.set_figheight(1.25 * figure.get_figheight())
    for ax, (title, lines) in zip(figure.axes, layout.panels.items(), strict=False):
        _panel(figure, ax, layout, lines)
        gone = sum(bool(line.gone) for line in lines)
        ax.set_title(title, fontsize=9, pad=6 + (4 + 5 * gone if gone else 0))  # above the markers at the top edge
    _label(figure, layout.x, layout.y)
    if layout.by or layout.log:
        _legend(figure, layout)
    title = f"{layout.y} against {layout.x}" + (f", by {layout.by}" if layout.by else "")
    title += "".join(f", {name} = {level_text(level)}" for name, level in where.items())
    return Picture(_svg(figure), title + (f", a panel for each {layout.facet}" if layout.facet else ""),
                   sentence(table, layout, better))  # fmt: skip


def draw_main_effects(table: pd.DataFrame, factors: Sequence[str], metric: str, better: str | None) -> Picture:
    """What each level of each factor adds to a metric: the mean over all other settings, minus the seed's mean.

    Args:
        table: A row a run of a complete factorial design.
        factors: Swept parameters, a panel each.
        metric: The metric's column.
        better: "lower", "higher", or None.
    """
    figure = _figure(len(factors), 7.4 if len(factors) > 1 else 4.0)
    seeds = table.groupby("seed", sort=False, dropna=False)[metric]
    centred = table.assign(**{metric: table[metric] - seeds.transform("mean")})
    parts = []
    for ax, factor in zip(figure.axes, factors, strict=False):
        rows = summarise(centred, [factor], metric)
        levels = [level_text(level) for level in rows.index.get_level_values(0)]
        at = np.arange(len(rows))
        ax.axhline(0, color="0.5", lw=1, ls=":")
        _bars(ax, at, rows, {"color": COLOURS[0], "marker": "o", "ls": "-", "lw": 1.2})
        ax.set_xticks(at, levels)
        ax.set(xlim=(-0.5, len(rows) - 0.5), xlabel=factor)
        added = ", ".join(f"{a} {b:+.3g}" for a, b in zip(levels, rows["mean"], strict=True))
        parts.append(f"{factor}: {added}")
    _label(figure, None, f"{metric}, minus its\nseed's mean")
    n = table["seed"].nunique(dropna=False)
    head = (
        f"What each level adds to {metric}, averaged over all else, with 95 % intervals over {n} seed{'s' * (n != 1)}"
    )
    head += f"; {better} is better. " if better else ". "
    return Picture(_svg(figure), f"Main effects on {metric}", head + "; ".join(parts) + ".")


def _figure(panels: int, width: float) -> Figure:
    """Empty panels, at most three beside each other, on a common y axis."""
    from matplotlib.figure import Figure

    columns = 2 if panels == 4 else min(3, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(width, (3.2 if panels == 1 else 2.5) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in grid.flat:
        ax.tick_params(labelsize=8)
        ax.grid(axis="y", color="0.9", lw=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in grid.flat[panels:]:
        ax.remove()
    return figure


def _panel(figure: Figure, ax: Axes, layout: Layout, lines: list[Line]) -> None:
    ax.set(xscale="log" if layout.log_x else "linear", yscale="log" if layout.log else "linear")
    many = len(layout.names)
    top, met = 1.0, Counter[tuple[float, str]]()
    for line in lines:
        style = _style(line.number)
        at, gone = (np.array(places, dtype=float) for places in (line.rows["at"], line.gone))
        if not layout.numeric:
            at, gone = (v + (line.number - (many - 1) / 2) * min(0.12, 0.6 / many) for v in (at, gone))
        if line.fit is not None:
            ends = np.array(line.fitted)
            ax.plot(ends, line.fit.factor * ends**line.fit.slope, color=style["color"], ls=style["ls"], lw=1.4)
        if line.fit is not None or not layout.numeric:
            style["ls"] = "none"
        late = line.rows["late"].to_numpy() > 0
        _bars(ax, at, line.rows, {**style, "lw": 1.6, "markevery": np.flatnonzero(~late).tolist()})
        for spot, mean in zip(at[late], line.rows["mean"][late], strict=True):
            _open_marker(figure, ax, spot, mean, style, met[spot, f"{mean:.2g}"])
            met[spot, f"{mean:.2g}"] += 1
        if len(gone):
            place: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(gone, np.full(len(gone), top), **{**style, "ls": "none"}, mfc="white", ms=6, **place)
            top += 0.04  # the next line's markers must not hide these
    texts = [level_text(level) for level in layout.levels]
    if layout.numeric and len(texts) <= 8:
        ax.set_xticks([float(level) for level in layout.levels], texts)
        ax.set_xticks([], minor=True)
    elif not layout.numeric:
        turned: dict[str, Any] = {}
        if max(map(len, texts)) * len(texts) > 40:
            turned = {"rotation": 30 if len(texts) <= 8 else 60, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(texts)), texts, **turned)
        ax.set_xlim(-0.5, len(texts) - 0.5)


def _open_marker(figure: Figure, ax: Axes, x: float, y: float, style: dict[str, Any], others: int) -> None:
    """A time-out. At the limit many meet: each stands 5 points beside the others, right and left in turn."""
    from matplotlib.transforms import offset_copy

    aside = (-1) ** others * ((others + 1) // 2) * 5
    place = offset_copy(ax.transData, figure, x=aside, units="points")
    ax.plot(x, y, **{**style, "ls": "none"}, mfc="white", ms=5, zorder=3, transform=place, clip_on=False)


def _style(k: int) -> dict[str, Any]:
    return {"color": COLOURS[k % 8], "marker": MARKERS[(k + 3 * (k // 8)) % 8], "ls": LINES[(k + k // 8) % 8]}


def _bars(ax: Axes, at: np.ndarray, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    mean = rows["mean"].to_numpy(dtype=float)
    half = np.nan_to_num(np.array([mean - rows["low"], rows["high"] - mean], dtype=float))
    ax.errorbar(at, mean, yerr=half, ms=5, capsize=2.5, elinewidth=1.1, **style)


def _label(figure: Figure, x: str | None, y: str) -> None:
    """Names at the left-most and lowest panels alone."""
    for ax in figure.axes:
        place = ax.get_subplotspec()
        if place is not None and place.is_first_col():
            ax.set_ylabel(y, fontsize=9)
        if x is not None:
            ax.set_xlabel(x, fontsize=9)
        ax.xaxis.label.set_fontsize(9)


def _legend(figure: Figure, layout: Layout) -> None:
    """Below the panels, or at the right of a single one where names are long; exponents stand with the names."""
    from matplotlib.lines import Line2D

    apart = len(layout.panels) > 1
    handles = []
    for name in layout.names:
        lines = [line for lines in layout.panels.values() for line in lines if line.name == name]
        fit = lines[0].fit if lines and not apart else None
        text = " ".join(filter(None, [name, f"(exponent {number(fit.slope)})" if fit else ""]))
        if text:
            handles.append(Line2D([], [], label=text, ms=5, lw=1.6, **_style(lines[0].number)))
    if any(line.rows["late"].any() for lines in layout.panels.values() for line in lines):
        mark: dict[str, Any] = {"color": "0.3", "marker": "o", "ls": "none", "mfc": "white", "ms": 6}
        handles.append(Line2D([], [], label="open: timed out", **mark))
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    beside = not apart and len(handles) > 3 and longest > 12
    if beside:
        figure.set_figwidth(7.4)
    figure.legend(
        handles=handles, title=layout.by, loc="outside right upper" if beside else "outside lower center",
        ncols=1 if beside else max(1, min(5, 80 // (longest + 8))), fontsize=8, title_fontsize=8, frameon=False,
        handlelength=3.5,
    )  # fmt: skip


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "causalkit"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
