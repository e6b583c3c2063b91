"""Mutilated graphs, the open paths in them, and both as text."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import networkx as nx

from causalkit.graphs import check_dag

__all__ = ["Names", "dag_of", "describe_path", "mutilated", "names_of", "open_path", "path_text", "probability", "tex"]

Names = str | Iterable[str]
ESCAPED = {"\\": r"{\backslash}", "^": r"{\wedge}", "~": r"{\sim}", "<": r"{\lt}", ">": r"{\gt}"}
ESCAPED |= {sign: "\\" + sign for sign in "_%#&${} "}
"""What LaTeX would take for more than a character of a name, and how to write it there."""


def dag_of(graph: Any) -> nx.DiGraph:
    """The DAG itself, or that of an SCM; of several edges between the same two variables one is left.

    Raises:
        ValueError: No DAG, or a graph that says of itself that it is a PAG: its edges are no claims of a DAG's.

    Example:
        >>> list(dag_of(nx.MultiDiGraph([("x", "y"), ("x", "y")])).edges)
        [('x', 'y')]
    """
    dag = check_dag(graph if isinstance(graph, nx.DiGraph) else getattr(graph, "graph", graph))
    if dag.graph.get("kind") == "pag":
        raise ValueError("a DAG is needed, and this is a PAG: choose a DAG of its class, hidden variables as nodes")
    return nx.DiGraph(dag) if dag.is_multigraph() else dag


def names_of(value: Names) -> tuple[str, ...]:
    """One name or several as a tuple, each once.

    Example:
        >>> names_of("x"), names_of(["x", "y", "x"])
        (('x',), ('x', 'y'))
    """
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def mutilated(graph: nx.DiGraph, into: Iterable[str] = (), out_of: Iterable[str] = ()) -> nx.DiGraph:
    """The graph without the arrows into some variables, and out of others (hidden causes' arrows included).

    Example:
        >>> from causalkit.graphs import parse
        >>> list(mutilated(parse("z -> x -> y; x <-> y"), into=["x"]).edges)
        [('x', 'y'), ('u_x_y', 'y')]
    """
    into, out_of = set(into), set(out_of)
    cut = nx.DiGraph(kind="dag")
    cut.add_nodes_from(graph.nodes(data=True))
    cut.add_edges_from((a, b) for a, b in graph.edges if b not in into and a not in out_of)
    return cut


def open_path(graph: nx.DiGraph, start: Names, end: Names, given: Collection[str] = ()) -> tuple[str, ...]:
    """A shortest path that is open given these variables, from one of `start` to one of `end`; () if d-separated.

    A path is open where each collider of it, -> v <-, is given or has a given descendant, and no other variable between
    its ends is given (Pearl 2009, definition 1.2.3).

    Example:
        >>> from causalkit.graphs import textbook
        >>> graph = textbook("m_bias")
        >>> open_path(graph, "x", "y"), open_path(graph, "x", "y", ["z"])
        ((), ('x', 'u_x_z', 'z', 'u_z_y', 'y'))
    """
    given, targets = set(given), set(names_of(end))
    opened = given.union(*(nx.ancestors(graph, v) for v in given))
    # a place is a variable and how one came to it: along an arrow ("head"), against one ("tail"), or from nowhere
    came: dict[tuple[str, str], tuple[str, str] | None] = {(v, ""): None for v in names_of(start)}
    queue = deque(came)
    while queue:
        place = queue.popleft()
        node, end_mark = place
        if node in targets:
            return _traced(came, place)
        free = end_mark == "" or node not in given
        steps = [(child, "head") for child in graph.successors(node)] if free else []
        if (node in opened) if end_mark == "head" else free:
            steps += [(parent, "tail") for parent in graph.predecessors(node)]
        for step in steps:
            if step not in came:
                came[step] = place
                queue.append(step)
    return ()


def _traced(came: dict[tuple[str, str], tuple[str, str] | None], last: tuple[str, str]) -> tuple[str, ...]:
    found, place = [], came[last]
    while place is not None:
        found.append(place[0])
        place = came[place]
    return (*reversed(found), last[0])


def path_text(graph: nx.DiGraph, path: Sequence[str]) -> str:
    """A path with its arrows.

    Example:
        >>> from causalkit.graphs import parse
        >>> path_text(parse("x <- z -> y"), ["x", "z", "y"])
        'x <- z -> y'
    """
    steps = [f"{'->' if graph.has_edge(a, b) else '<-'} {b}" for a, b in itertools.pairwise(path)]
    return " ".join([*path[:1], *steps])


def describe_path(graph: nx.DiGraph, path: Sequence[str], given: Collection[str] = ()) -> str:
    """A path with its arrows, and by what its colliders are open.

    Example:
        >>> from causalkit.graphs import parse
        >>> describe_path(parse("x -> z <- y; z -> w"), ["x", "z", "y"], ["w"])
        'x -> z <- y (open at z, where two arrows meet, since its effect w is given)'
    """
    notes = []
    for a, v, b in zip(path, path[1:], path[2:], strict=False):
        if graph.has_edge(a, v) and graph.has_edge(b, v):
            known = v if v in given else next((d for d in given if d in nx.descendants(graph, v)), None)
            if known is not None:
                reason = "it is given" if known == v else f"its effect {known} is given"
                notes.append(f"open at {v}, where two arrows meet, since {reason}")
    return path_text(graph, path) + (f" ({'; '.join(notes)})" if notes else "")


def probability(of: Iterable[str], do: Iterable[str] = (), given: Iterable[str] = (), *, latex: bool = False) -> str:
    """P(of | do(...), given) as text or LaTeX.

    Example:
        >>> probability(["y"], do=["x1"], given=["w"]), probability(["y"], ["x1"], latex=True)
        ('P(y | do(x1), w)', 'P(y \\\\mid \\\\operatorname{do}(x_{1}))')
    """
    join = tex if latex else ", ".join
    do, given = tuple(do), tuple(given)
    acts = [rf"\operatorname{{do}}({join(do)})" if latex else f"do({join(do)})"] if do else []
    behind = ", ".join([*acts, *([join(given)] if given else [])])
    bar = r" \mid " if latex else " | "
    return f"P({join(tuple(of))}{bar + behind if behind else ''})"


def tex(names: Iterable[str]) -> str:
    """Names in LaTeX: one letter and a number as x_{1}, longer ones upright.

    Example:
        >>> tex(["x1", "rain"])
        'x_{1}, \\\\mathrm{rain}'
    """
    shown = []
    for name in names:
        letter = re.fullmatch(r"([A-Za-z])(?:_?(\d+))?", name)
        plain = "".join(ESCAPED.get(sign, sign) for sign in name)
        shown.append(
            rf"\mathrm{{{plain}}}" if letter is None else letter[1] + (f"_{{{letter[2]}}}" if letter[2] else "")
        )
    return ", ".join(shown)
