"""Shifts as figures: the selection diagram, and errors as the dial turns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.plotting.graphs import Places, draw_lines, layout, tangle
from causalkit.plotting.style import COLOURS, LINES, MARKERS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "describe_selection_diagram",
    "draw_errors",
    "draw_selection_diagram",
    "mark_errors",
]

MOVED, STABLE = "#D55E00", "#56B4E9"
"""The colours of what E points at, and of the stable set; each is said by a line or a mark as well."""
DASHED = (0, (4, 1.6))


def draw_selection_diagram(certificate: Any, ax: Axes | None = None, positions: Places | None = None) -> Axes:
    """The causal graph of a shift's certificate with its environment node E.

    E and `selected` are squares at the rim of the graph; the arrows from and to them are dashed. A variable whose
    mechanism changed has a second, dashed ring; the target is yellow and bold; the variables of the most informative
    stable set are blue and carry an S; hidden variables have a dashed outline.

    Args:
        certificate: What `shift.certificate(scm)` returns.
        ax: Where to draw; new axes if None.
        positions: Variable -> (x, y) without E and `selected`; `layout` of the causal graph if None, so that the same
            variables stand in the same places under every shift.

    Source: Pearl and Bareinboim (2014), definition 4.

    Example:
        >>> import causalkit as ck
        >>> certificate = ck.shifts.spurious("y", nats=0.5).certificate(ck.teaching_scm())
        >>> axes = draw_selection_diagram(certificate)
    """
    from matplotlib.lines import Line2D

    diagram, added = certificate.graph, _added(certificate)
    causal = diagram.subgraph([v for v in diagram if v not in added])
    places = _with_added(certificate, causal, layout(causal) if positions is None else positions)
    lines: list[tuple[Hashable, Hashable, str, str, Any]] = []
    for a, b in diagram.edges:
        new = a in added or b in added
        lines.append((a, b, "->", MOVED if new else "#333333", DASHED if new else "-"))
    square: dict[str, Any] = {"marker": "s", "facecolor": "#FBE3D0", "edgecolor": MOVED}
    looks: dict[Hashable, dict[str, Any]] = dict.fromkeys(added, square)
    for v in certificate.stable or ():
        looks[v] = {"facecolor": STABLE, "badge": "S"}
    for v in certificate.changed:
        looks[v] = {**looks.get(v, {}), "ring": MOVED}
    ax = draw_lines(diagram, lines, ax, [certificate.target], places, below=26.0, looks=looks)
    handles: list[Any] = [ax.scatter([], [], s=70, fc="#F0E442", ec="black", lw=2.2, label="target")]
    if certificate.changed:
        ring: dict[str, Any] = {"fc": "none", "ec": MOVED, "lw": 1.8, "ls": (0, (3, 1.5))}
        handles.append(ax.scatter([], [], s=90, label="mechanism changed", **ring))
    if certificate.stable:
        handles.append(ax.scatter([], [], s=70, fc=STABLE, ec="black", lw=1.2, label="S, the stable set"))
    handles.append(Line2D([], [], color=MOVED, ls=DASHED, lw=1.8, label="what the shift touches"))
    ax.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=8, handlelength=2.4, borderpad=0)
    return ax


def _added(certificate: Any) -> list[str]:
    """The nodes of the diagram that are no variables: E, and `selected`, in this order."""
    environment = [v for v in certificate.graph if str(v).rstrip("*") == "E" and not certificate.graph.in_degree(v)]
    return [*environment[-1:], *([_selected(certificate)] if certificate.drivers else [])]


def _selected(certificate: Any) -> str:
    return "selected*" if "selected*" in certificate.graph else "selected"


def _with_added(certificate: Any, causal: nx.DiGraph, places: Places) -> dict[Hashable, tuple[float, float]]:
    """The places with those of `selected` and E: on the rim, where their arrows are short and tangle least.

    `selected` has its name below it, so E stands beside it."""
    found, edges, selected = dict(places), list(causal.edges), (0.0, 0.0)
    for node in reversed(_added(certificate)):  # `selected` first, at which E points
        (left, low), (right, high) = (np.min([*found.values()], axis=0), np.max([*found.values()], axis=0))
        below = [(float(x), low - 1.0) for x in np.arange(left, right + 0.25, 0.5)]
        above = [(x, high + 1.0) for x, _ in below]
        rim = [*((left - 1.0, float(y)) for y in np.arange(low, high + 0.25, 0.5)), *above, *below]
        if certificate.drivers:
            rim = below if len(found) == len(places) else [(selected[0] + side, selected[1]) for side in (-1.0, 1.0)]
        own = [(a, b) for a, b in certificate.graph.edges if node in (a, b) and {a, b} <= {*found, node}]
        edges += own

        def cost(place: tuple[float, float], node: Any = node, own: Any = own, edges: Any = tuple(edges)) -> float:
            spots = {**found, node: place}
            lengths = [np.hypot(*np.subtract(spots[a], spots[b])) for a, b in own]
            return tangle(spots, list(edges)) + 0.2 * float(np.sum(lengths))

        found[node] = selected = min(rim, key=cost)
    return found


def describe_selection_diagram(certificate: Any) -> str:
    """What `draw_selection_diagram` shows, in words.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> certificate = ck.shifts.spurious("y", nats=0.5).certificate(scm)
        >>> print(describe_selection_diagram(certificate).replace(". ", ".\\n"))
        Arrows: x -> y, y -> z.
        E points at z, whose mechanism changed.
        S = {x} separates the target y from E: P(y | x) stands.
    """
    y, graph, added = certificate.target, certificate.graph, _added(certificate)
    arrows = [f"{a} -> {b}" for a, b in graph.edges if a not in added and b not in added]
    said = f"Arrows: {', '.join(arrows[:20])}{', ...' if len(arrows) > 20 else ''}. " if arrows else "No arrows. "
    hidden = [str(v) for v, is_hidden in graph.nodes(data="hidden") if is_hidden]
    if hidden:
        said += f"Hidden: {', '.join(hidden)}. "
    changed = certificate.changed
    if changed:
        said += f"E points at {_listed(changed)}, whose mechanism{'s' * (len(changed) > 1)} changed. "
    if certificate.drivers:
        said += f"Rows are selected by {_listed(certificate.drivers)}. "
    source = _selected(certificate) if certificate.drivers else "E"
    if certificate.stable is None:
        return said + f"No set of features separates the target {y} from {source}: no P({y} | S) is promised to stand."
    of = f" | {', '.join(certificate.stable)}" if certificate.stable else ""
    return said + f"S = {{{', '.join(certificate.stable)}}} separates the target {y} from {source}: P({y}{of}) stands."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def draw_errors(
    curve: pd.DataFrame, nats: float | None = None, crossing: float | None = None, ax: Axes | None = None
) -> Axes:
    """Prediction errors as the dial turns: a line for each predictor over the nats of the shift.

    The nats have a logarithmic axis, with 0 at its left end. A grey line marks where the dial stands, a dotted one
    where the first two lines cross.

    Args:
        curve: A row a position of the dial, ascending: a column "nats", and a column of errors a predictor.
        nats: Where the dial stands.
        crossing: Nats at which the first two lines cross.
        ax: Where to draw; new axes if None.

    Raises:
        ValueError: No column "nats", no other column, a column that is not numeric.

    Example:
        >>> curve = pd.DataFrame({"nats": [0.0, 0.1, 1.0], "all": [1.0, 1.2, 2.0], "causes": [1.5, 1.5, 1.5]})
        >>> axes = draw_errors(curve, nats=0.1, crossing=0.3)
    """
    if "nats" not in curve.columns:
        raise unknown("column", "nats", map(str, curve.columns))
    names = [c for c in curve.columns if c != "nats"]
    if not names:
        raise ValueError("the curve has no column of errors beside 'nats': give one a predictor")
    check_frame(curve, ["nats", *names])
    ax = axes_or_new(ax)
    x = curve["nats"].to_numpy(np.float64)
    for k, name in enumerate(names):
        ax.plot(x, curve[name].to_numpy(np.float64), lw=2.0, label=str(name), color=COLOURS[k % 8], ls=LINES[k % 8])
    if nats is not None:
        mark_errors(ax, curve, nats)
    if crossing is not None:
        ax.axvline(crossing, color="black", ls=":", lw=1.2)
        words = f" cross at {crossing:.2g} nats"
        left = bool(_axis(crossing) > (_axis(x[0]) + _axis(x[-1])) / 2)
        side: dict[str, Any] = {"ha": "right" if left else "left", "va": "top", "fontsize": 8}
        ax.annotate(f"{words} " if left else words, (crossing, 0.99), xycoords=("data", "axes fraction"), **side)
    ax.set_xscale("function", functions=(_axis, _from_axis))
    ticks = [t for t in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0) if x[0] <= t <= x[-1]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set(xlabel="shift, nats", xlim=(x[0], x[-1]))
    # noise that is small beside the errors should look small
    low, high = float(curve[names].min(axis=None)), float(curve[names].max(axis=None))
    room = max(0.12 * (high - low), 0.1 * high - 0.5 * (high - low))
    ax.set_ylim(low - room, high + room)
    ax.legend(fontsize=8, frameon=False, loc="best", handlelength=3)
    return ax


def mark_errors(ax: Axes, curve: pd.DataFrame, nats: float) -> list[Any]:
    """The marks of where the dial stands, in axes that `draw_errors` made of the same curve.

    Returns:
        The artists that were added: a grey line, and a point on each line of errors.

    Example:
        >>> curve = pd.DataFrame({"nats": [0.0, 0.1, 1.0], "all": [1.0, 1.2, 2.0]})
        >>> len(mark_errors(draw_errors(curve), curve, 0.1))
        2
    """
    x = _axis(curve["nats"])
    marks: list[Any] = [ax.axvline(nats, color="0.7", lw=5, alpha=0.4, zorder=0)]
    for k, name in enumerate(c for c in curve.columns if c != "nats"):
        at = float(np.interp(_axis(nats), x, curve[name]))
        marks += ax.plot([nats], [at], marker=MARKERS[k % 8], ms=8, color=COLOURS[k % 8], mec="white", ls="", zorder=4)
    return marks


LEAST = 0.002
"""Below so many nats the axis of `draw_errors` is linear."""


def _axis(nats: Any) -> Any:
    return np.arcsinh(np.asarray(nats, dtype=np.float64) / LEAST)


def _from_axis(position: Any) -> Any:
    return LEAST * np.sinh(np.asarray(position, dtype=np.float64))
