"""Densities of some columns before and after a shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from causalkit.errors import check_frame
from causalkit.plotting.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["describe_densities", "draw_densities", "turn_densities"]

BARS = 20
"""The most levels of a discrete column that are drawn."""


def draw_densities(
    before: pd.DataFrame,
    after: pd.DataFrame,
    columns: Sequence[str],
    axes: Sequence[Axes] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    spans: Mapping[str, tuple[float, float]] | None = None,
) -> list[Axes]:
    """The densities of some columns before (grey, filled) and after a shift (a blue line), axes by axes.

    Histograms for columns of floats; for integer codes the share of each, after the shift as hatched bars.

    Args:
        before: Rows before the shift [n, columns].
        after: Rows after it [m, columns].
        columns: Which columns are drawn.
        axes: One a column; a new row of axes if None.
        levels: Names of the codes, a discrete column (as `scm.levels`).
        spans: Column -> (from, to) of its histogram; the central 99.8% of the rows before and after where not given.

    Raises:
        ValueError: A column that a frame lacks, or that is not numeric; another number of axes than of columns.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.teaching_scm()
        >>> shifted = ck.shifts.covariate("y", nats=0.5)(scm)
        >>> axes = draw_densities(scm.sample(500, seed=0), shifted.sample(500, seed=1), ["x1", "y"])
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    before, after = check_frame(before, columns), check_frame(after, columns)
    if axes is None:
        from matplotlib import pyplot

        size = (2.8 * len(columns), 2.4)
        axes = list(pyplot.subplots(1, len(columns), figsize=size, layout="constrained", squeeze=False)[1][0])
    if len(axes) != len(columns):
        raise ValueError(f"{len(columns)} columns and {len(axes)} axes: give one a column")
    for ax, column in zip(axes, columns, strict=True):
        one, two = before[column], after[column]
        if pd.api.types.is_integer_dtype(one):
            _bars(ax, one, two, (levels or {}).get(column))
        else:
            values = [v.to_numpy(np.float64) for v in (one, two)]
            ends = [np.quantile(v, [0.001, 0.999]) for v in values]
            span = (spans or {}).get(column, (float(np.min(ends)), float(np.max(ends))))
            edges = np.linspace(span[0], span[1] if span[1] > span[0] else span[0] + 1, 36)
            ax.stairs(_heights(values[0], edges), edges, fill=True, color="0.8", label="before")
            ax.stairs(_heights(values[1], edges), edges, color=COLOURS[0], lw=1.8, label="after")
            ax.set_xlim(edges[0], edges[-1])
        ax.set(xlabel=column, yticks=[])
        ax.spines[["left", "right", "top"]].set_visible(False)
        # room for the legend
        ax.set_ylim(0, 1.3 * (ax.dataLim.y1 or 1.0))
    axes[0].legend(fontsize=8, frameon=False, loc="upper left", handlelength=1.4, borderaxespad=0.1)
    return list(axes)


def turn_densities(axes: Sequence[Axes], after: pd.DataFrame) -> list[Any]:
    """Other rows after the shift in axes that `draw_densities` made: bins stay, and an axis grows where it has to.

    Returns:
        What changed: the artists that show the rows after the shift.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(500, seed=0)
        >>> axes = draw_densities(frame, frame, ["y"])
        >>> changed = turn_densities(axes, frame + 1.0)
    """
    from matplotlib.patches import StepPatch

    changed: list[Any] = []
    for ax in axes:
        values = after[ax.get_xlabel()].to_numpy(np.float64)
        steps = [patch for patch in ax.patches if isinstance(patch, StepPatch) and patch.get_label() == "after"]
        for patch in steps:
            edges = patch.get_data()[1]
            heights = _heights(values, edges)
            patch.set_data(heights, edges)
        if not steps:
            bars = next(group for group in ax.containers if group.get_label() == "after")
            heights = np.array([np.mean(values == code) for code in bars.codes])  # type: ignore[attr-defined]
            for bar, height in zip(bars, heights, strict=True):
                bar.set_height(height)
            changed += bars
        changed += steps
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.3 * float(heights.max())))
    return changed


def _heights(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(values, edges)[0] / (len(values) * (edges[1] - edges[0]))


def _bars(ax: Axes, before: pd.Series, after: pd.Series, names: Sequence[str] | None) -> None:
    codes = list(range(len(names)))[:BARS] if names is not None else sorted(set(before) | set(after))[:BARS]
    shares = [np.array([float((v == code).mean()) for code in codes]) for v in (before, after)]
    place = np.arange(len(codes))
    ax.bar(place - 0.2, shares[0], 0.38, color="0.8", label="before")
    style = {"facecolor": "white", "edgecolor": COLOURS[0], "hatch": "///", "label": "after"}
    bars: Any = ax.bar(place + 0.2, shares[1], 0.38, **style)  # type: ignore[arg-type]
    bars.codes = codes  # for `turn_densities`
    ax.set_xticks(place, [names[code] if names is not None else str(code) for code in codes])


def describe_densities(before: pd.DataFrame, after: pd.DataFrame, columns: Sequence[str]) -> str:
    """Means and standard deviations of some columns before and after a shift, in words.

    Example:
        >>> frame = pd.DataFrame({"x": [0.0, 2.0]})
        >>> describe_densities(frame, frame + 1, ["x"])
        'x: mean 1.00 -> 2.00, sd 1.00 -> 1.00.'
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    before, after = check_frame(before, columns), check_frame(after, columns)
    parts = [
        f"{c}: mean {before[c].mean():.2f} -> {after[c].mean():.2f}, "
        f"sd {before[c].std(ddof=0):.2f} -> {after[c].std(ddof=0):.2f}"
        for c in columns
    ]
    return "; ".join(parts) + "."
