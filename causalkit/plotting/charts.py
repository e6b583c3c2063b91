"""Charts: data by environment, curves over runs, effects with intervals, how often an edge comes back, calibration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.plotting.style import COLOURS, LINES, MARKERS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration", "plot_curves", "plot_edge_frequencies", "plot_effects", "plot_environments"]


def plot_environments(environments: Iterable[Any], x: str, y: str, ax: Axes | None = None) -> Axes:
    """y against x in every environment, with each one's least-squares line: a shift of the relation turns the line.

    At most the first 300 rows of an environment are drawn; the lines use all.

    Example:
        >>> import causalkit as ck
        >>> shifts = {"before": None, "after": ck.shifts.spurious("y", strength=1.0)}
        >>> axes = plot_environments(ck.sample_environments(ck.teaching_scm(), shifts, 200, seed=0), "x3", "y")
    """
    ax = axes_or_new(ax)
    for k, environment in enumerate(environments):
        frame = check_frame(environment.frame, [x, y], min_rows=2)
        colour, marker = COLOURS[k % 8], MARKERS[k % 8]
        shown = frame.head(300)
        ax.scatter(shown[x], shown[y], s=9, alpha=0.35, color=colour, marker=marker, linewidths=0)
        slope, level = np.polyfit(frame[x], frame[y], 1) if np.ptp(frame[x]) else (0.0, frame[y].mean())
        ends = np.array([frame[x].min(), frame[x].max()])
        label = f"{environment.name} (slope {slope:.2f})"
        ax.plot(ends, level + slope * ends, color=colour, ls=LINES[k % 8], lw=2.2, label=label)
    ax.set(xlabel=x, ylabel=y)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.5)
    return ax


def plot_curves(frame: pd.DataFrame, x: str, y: str, by: str, band: str | None = None, ax: Axes | None = None) -> Axes:
    """The mean of y at every x, a line for each value of `by`, with a band around it.

    Args:
        frame: Long table, a row a run.
        x: Numeric column.
        y: Numeric column whose rows are averaged at every x.
        by: Column that names the lines, such as "method".
        band: Column with the half-width of the band; 1.96 standard errors of the mean over the rows if None.
        ax: Where to draw; new axes if None.

    Raises:
        ValueError: A column is missing, not numeric, or not finite.

    Example:
        >>> runs = pd.DataFrame({"n": [10, 10, 20, 20], "shd": [3.0, 4.0, 1.0, 2.0], "method": ["pc"] * 4})
        >>> axes = plot_curves(runs, "n", "shd", "method")
    """
    if by not in frame.columns:
        raise unknown("column", by, map(str, frame.columns))
    check_frame(frame, [x, y, *([band] if band else [])])
    ax = axes_or_new(ax)
    for k, (name, rows) in enumerate(frame.groupby(by, sort=False)):
        at = rows.groupby(x)
        mean = at[y].mean()
        half = (at[band].mean() if band else 1.96 * at[y].sem()).fillna(0.0)
        style: dict[str, Any] = {"color": COLOURS[k % 8], "ls": LINES[k % 8], "marker": MARKERS[k % 8]}
        ax.plot(mean.index, mean, label=str(name), lw=1.8, ms=5, **style)
        ax.fill_between(mean.index, mean - half, mean + half, color=COLOURS[k % 8], alpha=0.18, linewidth=0)
    ax.set(xlabel=x, ylabel=y)
    ax.legend(title=by, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=4)
    return ax


def plot_effects(
    table: pd.DataFrame,
    label: str = "effect",
    estimate: str = "estimate",
    low: str = "low",
    high: str = "high",
    ax: Axes | None = None,
) -> Axes:
    """Effects with their confidence intervals, a row each; filled where the interval leaves out 0, open where not.

    Args:
        table: A row an effect, with the columns that the other arguments name; `label` holds the names.

    Raises:
        ValueError: A column is missing, not numeric, or not finite.

    Example:
        >>> rows = [("objective", -0.4, -0.6, -0.2), ("rows", 0.1, -0.1, 0.3)]
        >>> axes = plot_effects(pd.DataFrame(rows, columns=["effect", "estimate", "low", "high"]))
    """
    if label not in table.columns:
        raise unknown("column", label, map(str, table.columns))
    middle, left, right = (check_frame(table, [estimate, low, high])[c].to_numpy() for c in (estimate, low, high))
    ax = axes_or_new(ax)
    rows = np.arange(len(table))[::-1]
    clear = (left > 0) | (right < 0)
    ax.axvline(0, color="0.5", lw=1, ls=":")
    ax.hlines(rows, left, right, color=COLOURS[0], lw=2)
    ax.scatter(
        middle, rows, s=42, zorder=3, edgecolor=COLOURS[0], facecolor=[COLOURS[0] if c else "white" for c in clear]
    )
    ax.set_yticks(rows, [str(name) for name in table[label]])
    ax.set(xlabel=estimate, ylim=(-0.6, len(table) - 0.4))
    return ax


def plot_edge_frequencies(table: pd.DataFrame, truth: nx.DiGraph | None = None, ax: Axes | None = None) -> Axes:
    """How often each pair came back in `ck.bootstrap`, most frequent on top, split by direction.

    Args:
        table: What `ck.bootstrap` returns; pairs that never came back are left out.
        truth: If given, the pairs that it joins are named in bold, others in grey.
        ax: Where to draw; new axes if None. Some 0.25 inch of height a pair is enough.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(200, seed=0)
        >>> axes = plot_edge_frequencies(ck.bootstrap(frame, n=5), truth=ck.teaching_scm().graph)
    """
    ax = axes_or_new(ax)
    shown = table[table["present"] > 0].sort_values("present", kind="stable")
    left = np.zeros(len(shown))
    parts = [
        ("forward", "first -> second", "", 0),
        ("backward", "second -> first", "///", 4),
        ("undirected", "undirected", "...", 5),
    ]
    for column, words, hatch, k in parts:
        ax.barh(
            range(len(shown)), shown[column], left=left, color=COLOURS[k], hatch=hatch, edgecolor="white", label=words
        )
        left = left + shown[column].to_numpy()
    ax.set_yticks(range(len(shown)), [f"{a} – {b}" for a, b in zip(shown["a"], shown["b"], strict=True)])
    if truth is not None:
        for tick, a, b in zip(ax.get_yticklabels(), shown["a"], shown["b"], strict=True):
            known = truth.has_edge(a, b) or truth.has_edge(b, a)
            tick.set(fontweight="bold" if known else "normal", color="black" if known else "0.45")
    ax.set(xlim=(0, 1), xlabel="share of resamples")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_calibration(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How many of the edges are true against the share of resamples that claimed them, with 95% intervals.

    On the dotted diagonal, shares can be read as probabilities; below it they promise too much. The size of a marker
    grows with the number of claims in its bin.

    Args:
        table: What `ck.calibration` returns.
        ax: Where to draw; new axes if None.

    Raises:
        ValueError: A column is missing, not numeric, or not finite.

    Example:
        >>> import causalkit as ck
        >>> boot = ck.bootstrap(ck.teaching_scm().sample(200, seed=0), n=5)
        >>> axes = plot_calibration(ck.calibration(boot, ck.teaching_scm().graph))
    """
    if "claim" not in table.columns:
        raise unknown("column", "claim", map(str, table.columns))
    check_frame(table, ["n", "claimed", "true", "true_low", "true_high"])
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], color="0.5", lw=1, ls=":")
    for k, (claim, rows) in enumerate(table.groupby("claim", sort=False)):
        x, y = rows["claimed"], rows["true"]
        ax.vlines(x, rows["true_low"], rows["true_high"], color=COLOURS[k % 8], lw=1.2)
        label = f"{claim} ({int(rows['n'].sum())} claims)"
        ax.plot(x, y, color=COLOURS[k % 8], ls=LINES[k % 8], marker=MARKERS[k % 8], ms=3, lw=1.6, label=label)
        ax.scatter(x, y, s=12 + 14 * np.log2(rows["n"]), color=COLOURS[k % 8], marker=MARKERS[k % 8], zorder=3)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="share of resamples with it", ylabel="share that is true")
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.5)
    return ax
