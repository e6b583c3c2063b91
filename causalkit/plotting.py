"""Figures: graphs, learned over true, data by environment, curves, effects. Each has its meaning in words beside it.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; line style or marker says the same again.
Every function draws into the axes it is given (or new ones) and returns them; none shows or changes global settings.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.graphs import undirected_edges
from causalkit.metrics import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "describe",
    "draw_graph",
    "layout",
    "plot_comparison",
    "plot_curves",
    "plot_edge_frequencies",
    "plot_effects",
    "plot_environments",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette, in the order in which series take their colours."""

Places = Mapping[Hashable, tuple[float, float]]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 4)))

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
    best = _tangle(_places(layers), edges)
    improved = len(edges) <= 60
    while improved and best > 0:
        improved = False
        for layer in layers:
            for i, j in combinations(range(len(layer)), 2):
                layer[i], layer[j] = layer[j], layer[i]
                score = _tangle(_places(layers), edges)
                if score < best:
                    best, improved = score, True
                else:
                    layer[i], layer[j] = layer[j], layer[i]
    places = _places(layers)
    return {node: places[node] for node in graph.nodes}


def _places(layers: list[list[Hashable]]) -> dict[Hashable, tuple[float, float]]:
    """Layers from left to right, each one centred, its first node on top."""
    return {v: (float(x), (len(layer) - 1) / 2 - k) for x, layer in enumerate(layers) for k, v in enumerate(layer)}


def _tangle(places: Places, edges: list[tuple[Hashable, Hashable]]) -> float:
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

    Args:
        graph: A DAG or CPDAG.
        ax: Where to draw; new axes if None.
        highlight: Nodes to fill and outline boldly, such as the target.
        positions: Node -> (x, y), so that graphs can be compared side by side; `layout(graph)` if None.

    Raises:
        ValueError: A highlighted node is not in the graph, or a node has no position.

    Example:
        >>> from causalkit.graphs import parse
        >>> axes = draw_graph(parse("x -> y <- z"), highlight=["y"])
    """
    lines = [(a, b, "->", "#333333", "-") for a, b in graph.edges if not graph.has_edge(b, a)]
    lines += [(a, b, "-", "#333333", "-") for a, b in undirected_edges(graph)]
    return _draw(graph, lines, ax, highlight, positions)


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
    shown = {"->": "->", "<-": "<-", "--": "-", "<>": "<->"}
    marks = table["learned"].where(table["verdict"] != "missing", table["truth"]).map(shown)
    lines = [(a, b, mark, *VERDICTS[v]) for a, b, mark, v in zip(table.a, table.b, marks, table.verdict, strict=True)]
    counts = table["verdict"].value_counts()
    handles = [
        Line2D([], [], color=colour, ls=style, lw=2, label=f"{verdict} ({counts[verdict]})")
        for verdict, (colour, style) in VERDICTS.items()
        if verdict in counts
    ]
    observed = truth.subgraph([node for node in truth.nodes if node in learned])
    ax = _draw(observed, lines, ax, (), positions, below=13.0 * ((len(handles) + 1) // 2))
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


def _draw(
    graph: nx.DiGraph,
    lines: list[tuple[Hashable, Hashable, str, str, Any]],
    ax: Axes | None,
    highlight: Iterable[Hashable],
    positions: Places | None,
    below: float = 0.0,
) -> Axes:
    """Nodes as circles of a size that fits the axes, edges (a, b, arrow, colour, style) bent around them.

    The lowest `below` points (1/72 inch) of the axes are left free.
    """
    ax = _axes(ax)
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
    scale = (page - [0, min(below, page[1] / 2)]) / (high - low)
    ax.set(xlim=(low[0], high[0]), ylim=(high[1] - page[1] / scale[1], high[1]))
    ax.set_axis_off()
    centres = {node: place * scale for node, place in places.items()}
    near = min((float(np.linalg.norm(centres[a] - centres[b])) for a, b in combinations(centres, 2)), default=99.0)
    radius = float(np.clip(0.3 * near, 7, 17))
    for line in lines:
        _edge(ax, places, centres, radius, line)
    for node, place in places.items():
        _node(ax, node, place, radius, node in highlight, bool(graph.nodes[node].get("hidden")))
    return ax


def _edge(
    ax: Axes,
    places: Mapping[Hashable, np.ndarray],
    centres: Mapping[Hashable, np.ndarray],
    radius: float,
    line: tuple[Hashable, Hashable, str, str, Any],
) -> None:
    """One edge, straight if that clears all other nodes, otherwise bent as little as does."""
    from matplotlib.patches import FancyArrowPatch

    a, b, arrow, colour, style = line
    start, end = centres[a], centres[b]
    others = [centre for node, centre in centres.items() if node not in (a, b)]
    t = np.linspace(0, 1, 40)[:, None]

    def clearance(bend: float) -> float:
        delta = end - start
        # the control point of matplotlib's arc3
        control = (start + end) / 2 + bend * np.array([delta[1], -delta[0]])
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        return min((float(np.linalg.norm(curve - other, axis=1).min()) for other in others), default=np.inf)

    bends = (0.0, 0.12, -0.12, 0.22, -0.22, 0.32, -0.32, 0.45, -0.45, 0.6, -0.6)
    bend = next((b for b in bends if clearance(b) > radius + 4), max(bends, key=clearance))
    heads = {"-": "-", "->": "-|>", "<-": "<|-", "<->": "<|-|>"}
    path: dict[str, Any] = {"posA": tuple(places[a]), "posB": tuple(places[b]), "connectionstyle": f"arc3,rad={bend}"}
    patch = FancyArrowPatch(**path, arrowstyle=heads[arrow], shrinkA=radius + 1.5, shrinkB=radius + 1.5, zorder=1)
    patch.set(color=colour, linestyle=style, linewidth=1.8, mutation_scale=min(13.0, radius))
    ax.add_patch(patch)


def _node(ax: Axes, node: Hashable, place: np.ndarray, radius: float, bold: bool, hidden: bool) -> None:
    """A circle with its name inside, or below it where the name is too long to read inside."""
    face = "#F0E442" if bold else "#EEEEEE" if hidden else "white"
    outline: dict[str, Any] = {"linewidth": 2.4 if bold else 1.2, "linestyle": "--" if hidden else "-"}
    x, y = place
    ax.scatter(x, y, s=(2 * radius) ** 2, facecolor=face, edgecolor="black", zorder=2, **outline)
    name = str(node)
    size = min(10.0, 2.9 * radius / max(len(name), 1))
    inside = size >= 6.3
    text: dict[str, Any] = {"ha": "center", "va": "center_baseline" if inside else "top", "zorder": 3}
    offset = (0, 0 if inside else -radius - 2)
    ax.annotate(name, (x, y), offset, textcoords="offset points", fontsize=size if inside else 8, **text)


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    return ax


def plot_environments(environments: Iterable[Any], x: str, y: str, ax: Axes | None = None) -> Axes:
    """y against x in every environment, with each one's least-squares line: a shift of the relation turns the line.

    At most the first 300 rows of an environment are drawn; the lines use all.

    Example:
        >>> import causalkit as ck
        >>> shifts = {"before": None, "after": ck.shifts.spurious("y", strength=1.0)}
        >>> axes = plot_environments(ck.sample_environments(ck.teaching_scm(), shifts, 200, seed=0), "x3", "y")
    """
    ax = _axes(ax)
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
    ax = _axes(ax)
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
    ax = _axes(ax)
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
    ax = _axes(ax)
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
