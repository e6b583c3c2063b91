"""What a plot shows, as numbers: panels, lines, fitted power laws, and the sentence that says it.

A further axis makes small multiples; whatever is averaged over, or has no value, is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from causalkit.bench.statistics import Exponent, fit_exponent, summarise

__all__ = ["ENDINGS", "Layout", "Line", "endings", "lay_out", "level_text", "number", "sentence"]

#: Metrics by which a notebook says that its method came to no end, though the run itself is ok: 1 for yes.
ENDINGS = {"timed_out": "timed out", "refused": "refused"}
MOST_PANELS = 6
MOST_NAMED = 6  # lines, or settings without a value, that a sentence goes through one by one


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    name and number (its style); rows: summary by x, with the columns level, at (its place) and late (runs with a
    value that timed out); gone: places without any value; fit: the power law, fitted to settings of which no run is
    lost or late, between the two x of `fitted`.
    """

    name: str
    number: int
    rows: pd.DataFrame
    gone: list[float]
    fit: Exponent | None
    fitted: tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """A plot's columns (by and facet may be missing), levels of x, names of the lines, and panels: title -> lines."""

    x: str
    y: str
    by: str | None
    facet: str | None
    averaged: list[str]
    numeric: bool
    log: bool
    log_x: bool
    wanted_log: bool
    levels: list[Any]
    names: list[str]
    panels: dict[str, list[Line]]


def number(value: float | None) -> str:
    """A number with three digits, as sentences and tables show it; a dash for a missing one.

    Example:
        >>> number(1234.5), number(0.012345), number(2.001), number(2.0), number(None)
        ('1234', '0.0123', '2.00', '2', '–')
    """
    if value is None or value != value:
        return "–"
    if abs(value) < 1e5 and float(value).is_integer():
        return f"{value:.0f}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def level_text(level: Any) -> str:
    """A level of a swept parameter in words: 2 for 2.0.

    Example:
        >>> level_text(2.0), level_text("erm"), level_text(None)
        ('2', 'erm', 'none')
    """
    if level is None or level != level:
        return "none"
    return f"{level:g}" if isinstance(level, float) else str(level)


def endings(table: pd.DataFrame) -> pd.Series:
    """How each run ended: its verdict, or what an ok run says of its method (`ENDINGS`)."""
    words = table["verdict"].astype(object)
    for metric, word in ENDINGS.items():
        if metric in table.columns:
            words = words.mask(table[metric].eq(1).fillna(False).astype(bool), word)
    return words


def lay_out(table: pd.DataFrame, axes: Sequence[str], plot: Mapping[str, Any]) -> Layout:
    """Sort a table into panels and lines; see `causalkit.bench.figures.draw_plot` for the arguments."""
    x, y, by = plot["x"], plot["y"], plot.get("by")
    rest = [axis for axis in axes if axis not in (x, by) and table[axis].nunique(dropna=False) > 1]
    few = (axis for axis in rest if table[axis].nunique(dropna=False) <= MOST_PANELS)
    facet = plot["facet"] if plot.get("facet") in rest else next(few, None)
    numeric = pd.api.types.is_numeric_dtype(table[x]) and not pd.api.types.is_bool_dtype(table[x])
    wanted, above = plot.get("scale") == "log", numeric and bool((table[x] > 0).all())
    log = wanted and above and bool((table[y].dropna() > 0).all())
    log_x = log or (plot.get("scale") == "log_x" and above)
    levels = sorted(table[x].dropna().unique()) if numeric else list(table[x].unique())
    lines = list(table[by].unique()) if by else [None]
    panels: dict[str, list[Line]] = {}
    for panel, part in table.groupby(facet, sort=False, dropna=False) if facet else [("", table)]:
        title = f"{facet} = {level_text(panel)}" if facet else ""
        chosen = [(k, part[part[by] == level] if by else part) for k, level in enumerate(lines)]
        panels[title] = [
            _line(rows, x, y, level_text(lines[k]) if by else "", k, levels, numeric, log)
            for k, rows in chosen
            if len(rows)
        ]
    averaged = [axis for axis in rest if axis != facet]
    names = [level_text(level) for level in lines] if by else [""]
    return Layout(x, y, by, facet, averaged, numeric, log, log_x, wanted, levels, names, panels)


def sentence(table: pd.DataFrame, layout: Layout, better: str | None) -> str:
    """What a plot shows, in words and numbers."""
    n = table["seed"].nunique(dropna=False)
    head = f"Mean and 95 % interval over {n} seed{'s' * (n != 1)}"
    head += f", each seed averaged over {' and '.join(layout.averaged)}" if layout.averaged else ""
    head += f"; {better} is better." if better else "."
    if layout.wanted_log and not layout.log:
        head += " The axes are linear, since not all values are positive numbers."
    said = []
    for title, lines in layout.panels.items():
        text = _said(layout, [line for line in lines if len(line.rows)])
        said.append(f"{title}: {text}" if title else text[0].upper() + text[1:])
    return " ".join([head, *said, *_lost(table, layout)])


def _line(
    rows: pd.DataFrame, x: str, y: str, name: str, number: int, levels: list[Any], numeric: bool, log: bool
) -> Line:
    found = summarise(rows, [x], y)
    found["level"] = found.index.get_level_values(0)
    found["at"] = found["level"] if numeric else [levels.index(level) for level in found["level"]]
    late = endings(rows).eq("timed out") & rows[y].notna()
    found["late"] = [int(late[rows[x] == level].sum()) for level in found["level"]]
    whole = rows[rows[x].isin(found["level"][(found["lost"] == 0) & (found["late"] == 0)])]
    fit = fit_exponent(whole[x], whole[y]) if log and whole[x].nunique() > 1 else None
    ends = (float(whole[x].min()), float(whole[x].max())) if fit else (math.nan, math.nan)
    valued = found["mean"].notna()
    return Line(name, number, found[valued].sort_values("at"), found["at"][~valued].tolist(), fit, ends)


def _said(layout: Layout, lines: list[Line]) -> str:
    """A panel in words: where each line starts and ends, or the lowest and the highest where there are many."""
    if not lines:
        return "no values."
    if not layout.numeric:
        words = [" ".join(filter(None, [line.name, ", ".join(_values(line))])) for line in lines]
        return f"{layout.y} of {'; '.join(_shortened(lines, words))}."
    ends = [layout.levels[0], layout.levels[-1]]
    words = []
    for line in lines:
        own = [line.rows["level"].iloc[0], line.rows["level"].iloc[-1]]
        means = f"{number(line.rows['mean'].iloc[0])} to {number(line.rows['mean'].iloc[-1])}"
        apart = f" ({layout.x} {level_text(own[0])} to {level_text(own[1])} alone)" if own != ends else ""
        fit = line.fit
        power = f", exponent {number(fit.slope)}" if fit else ""
        power += f" [{number(fit.low)}, {number(fit.high)}]" if fit and fit.low == fit.low else ""
        words.append(f"{line.name or layout.y} {means}{apart}{power}")
    about = f"{layout.y} of " if lines[0].name else ""
    return (
        f"from {layout.x} {level_text(ends[0])} to {level_text(ends[1])}: {about}{'; '.join(_shortened(lines, words))}."
    )


def _values(line: Line) -> list[str]:
    return [
        f"{level_text(level)} {number(mean)}" for level, mean in zip(line.rows["level"], line.rows["mean"], strict=True)
    ]


def _shortened(lines: list[Line], words: list[str]) -> list[str]:
    if len(lines) <= MOST_NAMED:
        return words
    order = sorted(range(len(lines)), key=lambda i: float(lines[i].rows["mean"].iloc[-1]))
    return [f"{words[order[0]]} (lowest at the end)", f"{words[order[-1]]} (highest)", f"{len(lines) - 2} between them"]


def _lost(table: pd.DataFrame, layout: Layout) -> list[str]:
    """Runs that timed out or have no value, by setting: a line that ends early must not look like a choice."""
    ends, valued = endings(table), table[layout.y].notna()
    open_ = any(line.gone for lines in layout.panels.values() for line in lines)
    mark = " (an open marker at the top edge where all are lost)" if open_ else ""
    said = _settings(table[~valued], ends[~valued], layout)
    words = [f"Runs without a value{mark}: {said}."] if said else []
    late = valued & ends.eq("timed out")
    said = _settings(table[late], ends[late], layout)
    return words + ([f"Timed out, and counted with what they had by then (open markers): {said}."] if said else [])


def _settings(table: pd.DataFrame, ends: pd.Series, layout: Layout) -> str:
    """How many runs of each setting ended how."""
    names = [axis for axis in (layout.facet, layout.by, layout.x) if axis]
    counts = table.groupby([*(table[name] for name in names), ends], sort=False, dropna=False).size()
    words = []
    for key, n in list(counts.items())[:MOST_NAMED]:
        setting = ", ".join(f"{name} {level_text(level)}" for name, level in zip(names, key, strict=False))
        words.append(f"{setting} ({n} {'not defined' if key[-1] == 'ok' else key[-1]})")
    more = [f"{len(counts) - MOST_NAMED} more settings"] if len(counts) > MOST_NAMED else []
    return "; ".join([*words, *more])
