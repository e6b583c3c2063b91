"""Graphs as figures: one alone, or a learned one over the truth."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from causalkit.errors import unknown
from causalkit.graphs import undirected_edges
from causalkit.metrics import differences
from causalkit.plotting.marks import bend, curve, edge_marks, ends
from causalkit.plotting.style import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VERDICTS", "Places", "describe", "draw_graph", "draw_lines", "layout", "plot_comparison", "tangle"]

Places = Mapping[Hashable, tuple[float, float]]

VERDICTS: Mapping[str, tuple[str, Any]] = {
    "right": ("#009E73", "-"),
    "missing": ("#E69F00", (0, (1, 1.4))),
    "extra": ("#D55E00", (0, (4, 2))),
    "reversed": ("#CC79A7", (0, (7, 2, 1.2, 2))),
    "unoriented": ("#0072B2", (0, (11, 1.5))),
}
"""Verdict of `ck.metrics.differences` -> colour and line style."""


def layout(graph: nx.DiGraph) -> dict[Hashable, tuple[float, float]]:
    """Node -> (x, y): causes left of effects, in layers; nothing is drawn at random, so the same graph looks the same.

    A node's layer is the longest path that leads to it; undirected edges take the direction of the node order where
    that makes no cycle. Within a layer, neighbours swap places while that leaves fewer edges crossing each other or
    running through a node (Sugiyama, Tagawa and Toda 1981).

    Example:
        >>> from causalkit.graphs import parse
        >>> layout(parse("x -> y -> z"))
        {'x': (0.0, 0.0), 'y': (1.0, 0.0), 'z': (2.0, 0.0)}
    """
    acyclic = nx.DiGraph()
    acyclic.add_nodes_from(graph.nodes)
    arrows = [(a, b) for a, b in graph.edges if not graph.has_edge(b, a)]
    for a, b in [*arrows, *undirected_edges(graph)]:
        acyclic.add_edge(*((b, a) if nx.has_path(acyclic, b, a) else (a, b)))
    layers = [list(layer) for layer in nx.topological_generations(acyclic)]
    edges = list(acyclic.edges)
    best = tangle(_places(layers), edges)
    improved = len(edges) <= 60
    while improved and best > 0:
        improved = False
        for layer in layers:
            for i, j in combinations(range(len(layer)), 2):
                layer[i], layer[j] = layer[j], layer[i]
                score = tangle(_places(layers), edges)
                if score < best:
                    best, improved = score, True
                else:
                    layer[i], layer[j] = layer[j], layer[i]
    places = _places(layers)
    return {node: places[node] for node in graph.nodes}


def _places(layers: list[list[Hashable]]) -> dict[Hashable, tuple[float, float]]:
    """Layers from left to right, each one centred, its first node on top."""
    return {v: (float(x), (len(layer) - 1) / 2 - k) for x, layer in enumerate(layers) for k, v in enumerate(layer)}


def tangle(places: Places, edges: list[tuple[Hashable, Hashable]]) -> float:
    """Crossings of straight edges, plus 3 for each node that one runs through, plus a little for their length."""
    if not edges:
        return 0.0
    start, end = (np.array([places[edge[k]] for edge in edges]) for k in (0, 1))
    nodes = np.array(list(places.values()))

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        u, v = q - p, r - p
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    crossing = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    along = ((nodes - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1)
    gap = np.linalg.norm(a + along[..., None] * (b - a) - nodes, axis=-1)
    through = (gap < 0.25) & (along > 0.01) & (along < 0.99)
    return float(crossing.sum() / 2 + 3 * through.sum() + 0.01 * np.abs(end - start)[:, 1].sum())


def draw_graph(
    graph: nx.DiGraph, ax: Axes | None = None, highlight: Iterable[Hashable] = (), positions: Places | None = None
) -> Axes:
    """A graph: arrows for directed edges, plain lines for undirected ones, dashed outlines for hidden variables.

    In a PAG, an end of an edge of which the data do not say whether it is a cause carries an open circle (see
    `edge_marks`).

    Args:
        graph: A DAG, CPDAG or PAG.
        ax: Where to draw; new axes if None.
        highlight: Nodes to fill and outline boldly, such as the target.
        positions: Node -> (x, y), so that graphs can be compared side by side; `layout(graph)` if None.

    Raises:
        ValueError: A highlighted node is not in the graph, or a node has no position.

    Example:
        >>> from causalkit.graphs import parse
        >>> axes = draw_graph(parse("x -> y <- z"), highlight=["y"])
    """
    pairs = [(a, b) for a, b in graph.edges if not graph.has_edge(b, a)] + undirected_edges(graph)
    lines = [(a, b, edge_marks(graph, a, b), "#333333", "-") for a, b in pairs]
    return draw_lines(graph, lines, ax, highlight, positions)


def plot_comparison(
    learned: nx.DiGraph, truth: nx.DiGraph, ax: Axes | None = None, positions: Places | None = None
) -> Axes:
    """A learned graph over the true one: each edge by its verdict (see `ck.metrics.differences`), counted in a legend.

    Missing edges point as in truth, all others as learned; a double-headed one is a hidden common cause.

    Example:
        >>> from causalkit.graphs import parse
        >>> axes = plot_comparison(parse("x -> y <- z"), parse("x -> y -> z"))
    """
    from matplotlib.lines import Line2D

    table = differences(learned, truth)
    marks = table["learned"].where(table["verdict"] != "missing", table["truth"])
    lines = [(a, b, mark, *VERDICTS[v]) for a, b, mark, v in zip(table.a, table.b, marks, table.verdict, strict=True)]
    counts = table["verdict"].value_counts()
    handles = [
        Line2D([], [], color=colour, ls=style, lw=2, label=f"{verdict} ({counts[verdict]})")
        for verdict, (colour, style) in VERDICTS.items()
        if verdict in counts
    ]
    observed = truth.subgraph([node for node in truth.nodes if node in learned])
    ax = draw_lines(observed, lines, ax, (), positions, below=13.0 * ((len(handles) + 1) // 2))
    if handles:
        ax.legend(
            handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=8, handlelength=4.5, borderpad=0
        )
    return ax


def describe(learned: nx.DiGraph, truth: nx.DiGraph, called: str = "true") -> str:
    """What `plot_comparison` shows, in a sentence; `called` is the word for the reference, such as "consensus".

    Example:
        >>> from causalkit.graphs import parse
        >>> describe(parse("x -> y <- z; w"), parse("x -> y -> z; x -> w"))
        'Of 3 true edges, 1 is right (x -> y), 1 is reversed (z -> y) and 1 is missing (x -> w); no edge is extra.'
    """
    table = differences(learned, truth)
    pairs: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
    for a, b, left, right, verdict in table.itertuples(index=False):
        mark = right if verdict == "missing" or right == "<>" else left
        pairs[verdict].append(f"{b} -> {a}" if mark == "<-" else f"{a} {mark.replace('<>', '<->')} {b}")

    def said(verdict: str) -> str:
        found = pairs[verdict]
        return f"{len(found)} {'is' if len(found) == 1 else 'are'} {verdict} ({', '.join(found)})"

    parts = [said(verdict) for verdict in ("right", "unoriented", "reversed", "missing") if pairs[verdict]]
    extra = said("extra").replace("1 is extra", "1 edge is extra").replace(" are extra", " edges are extra")
    true = len(table) - len(pairs["extra"])
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    head = f"Of {true} {called} edge{'s' * (true != 1)}, {listed}" if parts else f"The {called} graph has no edge"
    return f"{head}; {extra if pairs['extra'] else 'no edge is extra'}."


def draw_lines(
    graph: nx.DiGraph,
    lines: list[tuple[Hashable, Hashable, str, str, Any]],
    ax: Axes | None,
    highlight: Iterable[Hashable],
    positions: Places | None,
    below: float = 0.0,
    looks: Mapping[Hashable, Mapping[str, Any]] = MappingProxyType({}),
) -> Axes:
    """Nodes as circles of a size that fits the axes, edges (a, b, marks, colour, style) bent around them.

    The lowest `below` points (1/72 inch) of the axes are left free. `looks` gives a node another look: what `scatter`
    takes, and "ring", the colour of a second, dashed outline, and "badge", a letter beside it.
    """
    ax = axes_or_new(ax)
    positions, highlight = layout(graph) if positions is None else positions, set(highlight)
    for node in [*highlight, *graph.nodes]:
        if node not in graph or node not in positions:
            raise unknown("node of the graph" if node not in graph else "position of node", node, map(str, positions))
    places = {node: np.array(positions[node], dtype=float) for node in graph.nodes}
    points = np.array([*places.values(), *([] if places else [np.zeros(2)])])
    low, high = points.min(0), points.max(0)
    margin = np.maximum(0.07 * (high - low), 0.35)
    low, high = low - margin, high + margin
    # sizes are in points of the page, so that circles are round and bends are judged as they look
    page = np.array(ax.get_window_extent().size) * 72 / ax.figure.dpi
    free = page - [0, min(below, page[1] / 2)]
    low, high, radius, bends = _fitted(places, lines, free, low, high)
    ax.set(xlim=(low[0], high[0]), ylim=(high[1] - (high - low)[1] * page[1] / free[1], high[1]))
    ax.set_axis_off()
    for line, rad in zip(lines, bends, strict=True):
        _edge(ax, places, radius, line, rad)
    for node, place in places.items():
        hidden = bool(graph.nodes[node].get("hidden"))
        _node(ax, node, place, radius, node in highlight, hidden, looks.get(node, {}))
    return ax


def _fitted(
    places: Mapping[Hashable, np.ndarray],
    lines: list[tuple[Hashable, Hashable, str, str, Any]],
    page: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float, list[float]]:
    """The corners, moved out as far as bent edges reach on a page of so many points; the nodes' radius; the bends."""
    for _ in range(8):  # room for one bent edge makes the others bend more
        scale = page / (high - low)
        centres = {node: place * scale for node, place in places.items()}
        near = min((float(np.linalg.norm(centres[a] - centres[b])) for a, b in combinations(centres, 2)), default=99.0)
        radius = float(np.clip(0.3 * near, 7, 17))
        bends = [bend(centres, radius, a, b) for a, b, *_ in lines]
        curves = [curve(centres[a], centres[b], k) for (a, b, *_), k in zip(lines, bends, strict=True) if k]
        reached = np.vstack([low * scale + 3, high * scale - 3, *curves])
        if (reached.min(0) >= low * scale + 2).all() and (reached.max(0) <= high * scale - 2).all():
            break
        low, high = np.minimum(low, (reached.min(0) - 3) / scale), np.maximum(high, (reached.max(0) + 3) / scale)
    return low, high, radius, bends


def _edge(
    ax: Axes,
    places: Mapping[Hashable, np.ndarray],
    radius: float,
    line: tuple[Hashable, Hashable, str, str, Any],
    rad: float,
) -> None:
    """One edge, bent so far, with what stands at its ends."""
    from matplotlib.patches import FancyArrowPatch

    a, b, marks, colour, style = line
    path: dict[str, Any] = {"posA": tuple(places[a]), "posB": tuple(places[b]), "connectionstyle": f"arc3,rad={rad}"}
    patch = FancyArrowPatch(**path, arrowstyle=ends(marks), shrinkA=radius + 1.5, shrinkB=radius + 1.5, zorder=1)
    patch.set(color=colour, linestyle=style, linewidth=1.8, mutation_scale=min(13.0, radius))
    ax.add_patch(patch)


def _node(
    ax: Axes, node: Hashable, place: np.ndarray, radius: float, bold: bool, hidden: bool, look: Mapping[str, Any]
) -> None:
    """A circle with its name inside, or below it where the name is too long to read inside."""
    face = "#F0E442" if bold else "#EEEEEE" if hidden else "white"
    style: dict[str, Any] = {"linewidth": 2.4 if bold else 1.2, "linestyle": "--" if hidden else "-"}
    style |= {"facecolor": face, "edgecolor": "black"} | {k: v for k, v in look.items() if k not in ("ring", "badge")}
    x, y = place
    ax.scatter(x, y, s=(2 * radius) ** 2, zorder=2, **style)
    if "ring" in look:
        ring: dict[str, Any] = {
            "facecolor": "none",
            "edgecolor": look["ring"],
            "linestyle": (0, (3, 1.5)),
            "clip_on": False,
        }
        ax.scatter(x, y, s=(2 * radius + 7) ** 2, linewidth=1.8, zorder=2, **ring)
    name = str(node)
    size = min(10.0, 2.9 * radius / max(len(name), 1))
    inside = size >= 6.3
    text: dict[str, Any] = {"ha": "center", "va": "center_baseline" if inside else "top", "zorder": 3}
    offset = (0.0, 0.0 if inside else -radius - (5.5 if "ring" in look else 2))
    ax.annotate(name, (x, y), offset, textcoords="offset points", fontsize=size if inside else 8, **text)
    if "badge" in look:
        corner: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "fontweight": "bold", "zorder": 4}
        circle = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black", "linewidth": 0.8}
        aside = (0.72 * radius + 4, 0.72 * radius + 4)
        ax.annotate(look["badge"], (x, y), aside, textcoords="offset points", bbox=circle, **corner)
