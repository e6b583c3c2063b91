"""One edge: what stands at its ends (an arrowhead, a circle, nothing), in text and drawn; and how far it bends."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import networkx as nx
import numpy as np

from causalkit.errors import unknown

__all__ = ["bend", "curve", "edge_marks", "ends"]

_LEFT, _RIGHT = {"arrow": "<", "circle": "o", "tail": "-"}, {"arrow": ">", "circle": "o", "tail": "-"}
_HEADS = {"--": "-", "->": "-|>", "<-": "<|-", "<>": "<|-|>"}


def edge_marks(graph: nx.DiGraph, a: Hashable, b: Hashable) -> str:
    """How a graph joins two variables, the mark at a first and that at b last; "" if it does not.

    "->" or "<-" is an arrow, "--" an undirected edge of a CPDAG. A PAG's edges have a mark at either end: an
    arrowhead says that this end is no cause of the other, "-" that it is one, "o" that the data do not say; so "<>" is
    a hidden common cause, and "o>" either that or an arrow.

    Raises:
        ValueError: A variable that is not in the graph.

    Example:
        >>> from causalkit.graphs import cpdag, parse
        >>> edge_marks(parse("x -> y"), "y", "x"), edge_marks(cpdag(parse("x -> y")), "x", "y")
        ('<-', '--')
    """
    for node in (a, b):
        if node not in graph:
            raise unknown("node of the graph", node, map(str, graph.nodes))
    forth, back = graph.has_edge(a, b), graph.has_edge(b, a)
    if graph.graph.get("kind") == "pag" and forth:
        edge = graph.edges[a, b]
        return _LEFT[edge["mark_a"]] + _RIGHT[edge["mark_b"]]
    if graph.graph.get("kind") == "pag" and back:
        edge = graph.edges[b, a]
        return _LEFT[edge["mark_b"]] + _RIGHT[edge["mark_a"]]
    return {(True, True): "--", (True, False): "->", (False, True): "<-", (False, False): ""}[forth, back]


def ends(marks: str) -> Any:
    """An arrow style for matplotlib's patches, from two marks such as "o>": heads and open circles, as `edge_marks`."""
    from matplotlib.patches import ArrowStyle
    from matplotlib.path import Path

    heads: Any = ArrowStyle(_HEADS[marks.replace("o", "-")])
    if "o" not in marks:
        return heads

    def style(path: Path, size: float, width: float, aspect: float = 1.0) -> tuple[list[Any], list[bool]]:
        """The line, cut short by the circles, with its heads; then the circles. All in pixels."""
        line, radius = path.deepcopy(), 0.32 * size
        points: Any = line.vertices  # a copy, changed in place
        circles = []
        for mark, tip, inner in ((marks[0], 0, 1), (marks[1], -1, -2)):
            if mark == "o":
                along = points[inner] - points[tip]
                along = along / np.linalg.norm(along) * radius
                circles.append(Path.circle(points[tip] + along, radius))
                points[tip] = points[tip] + 2 * along
        drawn, filled = heads(line, size, width, aspect)
        return [*drawn, *circles], [*filled, *[False] * len(circles)]

    return style


def curve(start: np.ndarray, end: np.ndarray, rad: float) -> np.ndarray:
    """Points [40, 2] along matplotlib's arc3."""
    t, delta = np.linspace(0, 1, 40)[:, None], end - start
    control = (start + end) / 2 + rad * np.array([delta[1], -delta[0]])
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def bend(centres: Mapping[Hashable, np.ndarray], radius: float, a: Hashable, b: Hashable) -> float:
    """How far to bend an edge: none if that clears all other nodes, otherwise as little as does."""
    others = [centre for node, centre in centres.items() if node not in (a, b)]

    def clearance(rad: float) -> float:
        line = curve(centres[a], centres[b], rad)
        return min((float(np.linalg.norm(line - other, axis=1).min()) for other in others), default=np.inf)

    bends = (0.0, 0.12, -0.12, 0.22, -0.22, 0.32, -0.32, 0.45, -0.45, 0.6, -0.6)
    return next((rad for rad in bends if clearance(rad) > radius + 4), max(bends, key=clearance))
