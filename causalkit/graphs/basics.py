"""DAGs drawn by hand, their matrices, and who is whose cause."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

import networkx as nx
import numpy as np

from causalkit.errors import unknown

__all__ = [
    "adjacency",
    "check_dag",
    "check_node",
    "children_of",
    "dag",
    "markov_blanket",
    "parents_of",
    "parse",
    "possible_parents",
    "undirected_edges",
]


def dag(edges: Iterable[tuple[str, str]], nodes: Iterable[str] = ()) -> nx.DiGraph:
    """A DAG with these edges (cause, effect), and perhaps further nodes; nodes keep the order of `nodes`.

    Raises:
        ValueError: The edges make a cycle, or one is there twice.

    Example:
        >>> sorted(dag([("x", "y"), ("y", "z")]).edges)
        [('x', 'y'), ('y', 'z')]
    """
    graph = nx.DiGraph(kind="dag")
    graph.add_nodes_from(nodes)
    for a, b in edges:
        _add_once(graph, a, b)
    return check_dag(graph)


def _add_once(graph: nx.DiGraph, a: str, b: str) -> None:
    if graph.has_edge(a, b):
        raise ValueError(f"the edge {a} -> {b} is there twice: write it once")
    graph.add_edge(a, b)


def check_dag(graph: nx.DiGraph) -> nx.DiGraph:
    """The graph itself, once it is known to be a DAG.

    Raises:
        ValueError: It is not a DiGraph, is marked as a CPDAG or PAG with undirected edges, or has a cycle (named).

    Example:
        >>> check_dag(nx.DiGraph([("x", "y"), ("y", "z"), ("z", "x")]))
        Traceback (most recent call last):
            ...
        ValueError: the graph has a cycle, x -> y -> z -> x: a causal graph here is acyclic, remove one of these edges
    """
    if not isinstance(graph, nx.DiGraph):
        raise ValueError(f"expected a networkx.DiGraph, got {type(graph).__name__}: build one with ck.graphs.parse")
    if graph.graph.get("kind", "dag") != "dag" and undirected_edges(graph):
        pairs = ", ".join(f"{a} - {b}" for a, b in undirected_edges(graph))
        raise ValueError(f"a DAG is needed, but the graph leaves edges undirected: {pairs}. Orient them first")
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        path = " -> ".join(map(str, [*cycle, cycle[0]]))
        raise ValueError(f"the graph has a cycle, {path}: a causal graph here is acyclic, remove one of these edges")
    return graph


def parse(text: str) -> nx.DiGraph:
    """A DAG from text: statements `a -> b`, split by `;` or new lines; chains and lists are allowed.

    `x <-> y` is a hidden common cause: it adds a node `u_x_y` with the attribute hidden=True and an edge to each.

    Raises:
        ValueError: A statement that cannot be read (shown), an edge that is there twice, or a cycle.

    Example:
        >>> graph = parse("x -> y -> z; h -> x, z; y <-> w")
        >>> sorted(graph.edges)
        [('h', 'x'), ('h', 'z'), ('u_y_w', 'w'), ('u_y_w', 'y'), ('x', 'y'), ('y', 'z')]
        >>> [node for node, hidden in graph.nodes(data="hidden") if hidden]
        ['u_y_w']
    """
    graph = nx.DiGraph(kind="dag")
    for statement in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        parts = re.split(r"\s*(<->|->|<-)\s*", statement)
        groups = [[name.strip() for name in part.split(",")] for part in parts[::2]]
        for name in itertools.chain.from_iterable(groups):
            if not re.fullmatch(r"\w+", name):
                raise ValueError(f"cannot read {name!r} in {statement!r}: write 'x -> y', 'h -> x, y' or 'x <-> y'")
            graph.add_node(name)
        for left, arrow, right in zip(groups, parts[1::2], groups[1:], strict=False):
            for a, b in itertools.product(left, right):
                if arrow == "<->":
                    if {f"u_{a}_{b}", f"u_{b}_{a}"} & set(graph):
                        raise ValueError(f"{a} <-> {b} is there twice: write it once")
                    graph.add_node(f"u_{a}_{b}", hidden=True)
                    graph.add_edges_from([(f"u_{a}_{b}", a), (f"u_{a}_{b}", b)])
                else:
                    _add_once(graph, *((a, b) if arrow == "->" else (b, a)))
    return check_dag(graph)


def adjacency(graph: nx.DiGraph, order: Sequence[str] | None = None) -> np.ndarray:
    """The matrix A [d, d] of 0 and 1 with A[i, j] = 1 for i -> j, in the graph's node order unless told otherwise.

    Example:
        >>> adjacency(parse("x -> y")).tolist()
        [[0, 1], [0, 0]]
    """
    return nx.to_numpy_array(graph, nodelist=list(order or graph.nodes), weight=None, dtype=np.int8)


def undirected_edges(graph: nx.DiGraph) -> list[tuple[str, str]]:
    """The pairs joined in both directions: the edges that a CPDAG leaves open, in the order of the graph's nodes.

    Example:
        >>> from causalkit.graphs import cpdag
        >>> undirected_edges(cpdag(parse("x -> y -> z")))
        [('x', 'y'), ('y', 'z')]
    """
    place = {node: i for i, node in enumerate(graph.nodes)}
    return sorted(
        ((a, b) for a, b in graph.edges if graph.has_edge(b, a) and place[a] < place[b]),
        key=lambda pair: (place[pair[0]], place[pair[1]]),
    )


def parents_of(graph: nx.DiGraph, node: str) -> list[str]:
    """The causes a with a -> node (undirected neighbours left out), in the order of the graph's nodes.

    Raises:
        ValueError: The node is not in the graph.

    Example:
        >>> parents_of(parse("a, b -> y -> c"), "y")
        ['a', 'b']
    """
    check_node(graph, node)
    return [a for a in graph.nodes if graph.has_edge(a, node) and not graph.has_edge(node, a)]


def children_of(graph: nx.DiGraph, node: str) -> list[str]:
    """The effects c with node -> c (undirected neighbours left out), in the order of the graph's nodes.

    Example:
        >>> children_of(parse("a, b -> y -> c"), "y")
        ['c']
    """
    check_node(graph, node)
    return [c for c in graph.nodes if graph.has_edge(node, c) and not graph.has_edge(c, node)]


def possible_parents(graph: nx.DiGraph, node: str) -> list[str]:
    """Parents and undirected neighbours: every variable that may be a cause in some member of the class.

    Example:
        >>> from causalkit.graphs import cpdag
        >>> possible_parents(cpdag(parse("x -> y -> z")), "y")
        ['x', 'z']
    """
    check_node(graph, node)
    return [a for a in graph.nodes if graph.has_edge(a, node)]


def markov_blanket(graph: nx.DiGraph, node: str) -> list[str]:
    """Neighbours and the children's other parents; in a DAG, given these, the node is independent of all else.

    In a CPDAG a child is what the node certainly points at; the blanket is the same for every member of the class,
    since a co-parent that is not a neighbour makes a v-structure, whose arrows are always directed.

    Example:
        >>> markov_blanket(parse("a -> y -> c <- b; d -> a"), "y")
        ['a', 'c', 'b']
    """
    check_node(graph, node)
    coparents = {a for child in children_of(graph, node) for a in parents_of(graph, child)}
    near = set(graph.predecessors(node)) | set(graph.successors(node)) | coparents
    return [a for a in graph.nodes if a in near and a != node]


def check_node(graph: nx.DiGraph, node: str) -> None:
    """Nothing, once the node is known to be in the graph.

    Raises:
        ValueError: It is not (the closest name is given).
    """
    if node not in graph:
        raise unknown("variable of the graph", node, graph.nodes)
