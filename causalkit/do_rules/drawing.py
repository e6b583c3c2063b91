"""A rule of do-calculus as a figure, and a graph with the parts that its variables have in a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causalkit.do_rules.rules import Application

__all__ = ["draw_parts", "draw_rule"]

KEPT, OPEN, CUT = ("#333333", "-"), ("#D55E00", "-"), ("#AAAAAA", (0, (1, 1.6)))
WIDTHS = {KEPT: 1.8, OPEN: 3.0, CUT: 1.3}
GIVEN, OUTCOME, CROSS = "#B0B0B0", "#F0E442", "#0072B2"


def draw_rule(rule: Application, ax: Axes | None = None) -> Axes:
    """The mutilated graph: removed arrows faint and crossed, what is given shaded, an open path in bold orange.

    Example:
        >>> import causalkit as ck
        >>> axes = draw_rule(ck.do_rules.applies(ck.graphs.textbook("bow"), 2, y="y", z="x"))
    """
    parts = {"Y": rule.y, "X": rule.x, "Z": rule.z, "W": rule.w}
    cut = [edge for edge in rule.whole.edges if not rule.graph.has_edge(*edge)]
    return draw_parts(rule.whole, parts, ax, given=(*rule.x, *rule.w), cut=cut, path=rule.open_path)


def draw_parts(
    graph: nx.DiGraph,
    parts: Mapping[str, Iterable[str]],
    ax: Axes | None = None,
    *,
    given: Iterable[str] = (),
    cut: Iterable[tuple[str, str]] = (),
    path: tuple[str, ...] = (),
) -> Axes:
    """A graph in which a letter beside a variable says its part; the outcomes, Y, are yellow.

    Args:
        graph: A DAG.
        parts: Letter -> the variables with this part.
        ax: Where to draw; new axes if None.
        given: Variables to shade.
        cut: Arrows that are drawn faint, and crossed.
        path: Variables along a path that is drawn in bold orange.

    Example:
        >>> from causalkit.graphs import parse
        >>> axes = draw_parts(parse("x -> y <- z"), {"X": ["x"], "Y": ["y"]}, cut=[("z", "y")])
    """
    from causalkit.plotting.graphs import draw_lines, layout

    looks: dict[Any, dict[str, Any]] = {v: {"badge": part} for part, names in parts.items() for v in names}
    given = tuple(given)
    for v in given:
        looks[v] = looks.get(v, {}) | {"facecolor": GIVEN}
    cut, joined = set(cut), {frozenset(pair) for pair in pairwise(path)}
    kinds = [CUT if edge in cut else OPEN if frozenset(edge) in joined else KEPT for edge in graph.edges]
    lines: list[tuple[Any, Any, str, str, Any]] = [
        (a, b, "->", *kind) for (a, b), kind in zip(graph.edges, kinds, strict=True)
    ]
    places = layout(graph)
    ax = draw_lines(graph, lines, ax, parts.get("Y", ()), places, below=26.0, looks=looks)
    arrows = [patch for patch in ax.patches if hasattr(patch, "get_connectionstyle")][-len(lines) or None :]
    for (a, b, *_), kind, patch in zip(lines, kinds, arrows, strict=True):
        patch.set_linewidth(WIDTHS[kind])
        if kind == CUT:
            _cross(ax, places[a], places[b], patch.get_connectionstyle().rad)
    _legend(ax, kinds, bool(given))
    return ax


def _legend(ax: Axes, kinds: list[tuple[str, Any]], given: bool) -> None:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=kind[0], ls=kind[1], lw=WIDTHS[kind], marker=m, mec=CROSS, mew=1.8, ms=7, label=label)
        for kind, m, label in ((CUT, "x", "removed"), (OPEN, "", "open path"))
        if kind in kinds
    ]
    if given:
        handles.append(ax.scatter([], [], s=70, fc=GIVEN, ec="black", lw=1.2, label="given"))
    handles.append(ax.scatter([], [], s=70, fc=OUTCOME, ec="black", lw=2.2, label="Y, outcome"))
    ax.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=8, borderpad=0)


def _cross(ax: Axes, a: tuple[float, float], b: tuple[float, float], rad: float) -> None:
    """A cross on the middle of an arrow that is bent so far."""
    from causalkit.plotting.marks import curve

    start, end = ax.transData.transform([a, b])
    middle = curve(start, end, rad)[20]
    x, y = ax.transData.inverted().transform(middle)
    ax.scatter(x, y, marker="x", s=60, color=CROSS, linewidths=1.8, zorder=2.5)
