"""Causal graphs: DAGs drawn by hand or at random, their equivalence classes, and what d-separation says of a shift.

A graph is a `networkx.DiGraph` over variable names; `graph.graph["kind"]` says what its edges mean:

- "dag" (also where nothing is said): i -> j, i is a direct cause of j.
- "cpdag": i -> j and j -> i together are one undirected edge i - j, which the data cannot orient.
- "pag": edges carry end marks; nothing here reads one.

A hidden variable is a node with the attribute `hidden=True`. In matrices, A[i, j] != 0 is i -> j.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

import networkx as nx
import numpy as np
import torch

from causalkit.errors import unknown
from causalkit.seeds import Seed, generator

__all__ = [
    "GRAPHS",
    "adjacency",
    "check_dag",
    "children_of",
    "cpdag",
    "d_separated",
    "dag",
    "erdos_renyi",
    "invariant_sets",
    "markov_blanket",
    "member",
    "parents_of",
    "parse",
    "possible_parents",
    "undirected_edges",
]


def dag(edges: Iterable[tuple[str, str]], nodes: Iterable[str] = ()) -> nx.DiGraph:
    """A DAG with these edges (cause, effect), and perhaps further nodes; nodes keep the order of `nodes`.

    Raises:
        ValueError: The edges make a cycle.

    Example:
        >>> sorted(dag([("x", "y"), ("y", "z")]).edges)
        [('x', 'y'), ('y', 'z')]
    """
    graph = nx.DiGraph(kind="dag")
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return check_dag(graph)


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
        ValueError: A statement that cannot be read (shown), or a cycle.

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
                    graph.add_node(f"u_{a}_{b}", hidden=True)
                    graph.add_edges_from([(f"u_{a}_{b}", a), (f"u_{a}_{b}", b)])
                else:
                    graph.add_edge(*((a, b) if arrow == "->" else (b, a)))
    return check_dag(graph)


def erdos_renyi(nodes: int, degree: float, *, seed: Seed) -> nx.DiGraph:
    """A random DAG over x1, ..., xn: a uniformly drawn causal order, each forward pair joined independently.

    Args:
        nodes: Number of variables, n.
        degree: Expected number of neighbours of a node, in + out; each pair is joined with probability degree/(n-1).
        seed: Of the draw.

    Raises:
        ValueError: Fewer than one node, or a degree outside [0, n-1].

    Example:
        >>> erdos_renyi(4, degree=3.0, seed=0).number_of_edges()
        6
    """
    if nodes < 1 or not 0 <= degree <= max(nodes - 1, 0):
        raise ValueError(f"degree {degree} with {nodes} nodes: give at least one node and 0 <= degree <= nodes - 1")
    draw = generator(seed, "erdos_renyi")
    order = torch.randperm(nodes, generator=draw).tolist()
    joined = torch.rand(nodes, nodes, generator=draw, dtype=torch.float64) < degree / max(nodes - 1, 1)
    names = [f"x{i + 1}" for i in range(nodes)]
    edges = [(names[order[i]], names[order[j]]) for i in range(nodes) for j in range(i + 1, nodes) if joined[i, j]]
    return dag(edges, names)


GRAPHS: dict[str, Callable[..., nx.DiGraph]] = {"erdos_renyi": erdos_renyi}
"""Families of random DAGs: name -> function(nodes, degree, seed=)."""


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
    _check_node(graph, node)
    return [a for a in graph.nodes if graph.has_edge(a, node) and not graph.has_edge(node, a)]


def children_of(graph: nx.DiGraph, node: str) -> list[str]:
    """The effects c with node -> c (undirected neighbours left out), in the order of the graph's nodes.

    Example:
        >>> children_of(parse("a, b -> y -> c"), "y")
        ['c']
    """
    _check_node(graph, node)
    return [c for c in graph.nodes if graph.has_edge(node, c) and not graph.has_edge(c, node)]


def possible_parents(graph: nx.DiGraph, node: str) -> list[str]:
    """Parents and undirected neighbours: every variable that may be a cause in some member of the class.

    Example:
        >>> possible_parents(cpdag(parse("x -> y -> z")), "y")
        ['x', 'z']
    """
    _check_node(graph, node)
    return [a for a in graph.nodes if graph.has_edge(a, node)]


def markov_blanket(graph: nx.DiGraph, node: str) -> list[str]:
    """Neighbours and the children's other parents; in a DAG, given these, the node is independent of all else.

    In a CPDAG a child is what the node certainly points at; the blanket is the same for every member of the class,
    since a co-parent that is not a neighbour makes a v-structure, whose arrows are always directed.

    Example:
        >>> markov_blanket(parse("a -> y -> c <- b; d -> a"), "y")
        ['a', 'c', 'b']
    """
    _check_node(graph, node)
    coparents = {a for child in children_of(graph, node) for a in parents_of(graph, child)}
    near = set(graph.predecessors(node)) | set(graph.successors(node)) | coparents
    return [a for a in graph.nodes if a in near and a != node]


def d_separated(graph: nx.DiGraph, x: str, y: str, given: Iterable[str] = ()) -> bool:
    """Whether x and y are d-separated by the given set in the DAG (Pearl 2009, definition 1.2.3).

    Example:
        >>> graph = parse("x -> z <- y")
        >>> d_separated(graph, "x", "y"), d_separated(graph, "x", "y", ["z"])
        (True, False)
    """
    for node in (x, y, *given):
        _check_node(graph, node)
    return bool(nx.is_d_separator(check_dag(graph), {x}, {y}, set(given)))


def cpdag(graph: nx.DiGraph) -> nx.DiGraph:
    """The CPDAG of a DAG's Markov equivalence class: v-structures, then Meek's rules 1-3 until nothing changes.

    A graph that is a CPDAG already is returned as it is.

    Source: Verma and Pearl (1990), theorem 1; Meek (1995), section 2.1.

    Raises:
        ValueError: The graph has a cycle.

    Example:
        >>> sorted(cpdag(parse("x -> y <- z; y -> w")).edges)
        [('x', 'y'), ('y', 'w'), ('z', 'y')]
    """
    if graph.graph.get("kind") == "cpdag":
        return graph
    check_dag(graph)
    result = nx.DiGraph(kind="cpdag")
    result.add_nodes_from(graph.nodes(data=True))
    result.add_edges_from(graph.edges)
    result.add_edges_from((b, a) for a, b in graph.edges)
    for c in graph.nodes:
        for a, b in itertools.combinations(graph.predecessors(c), 2):
            if not graph.has_edge(a, b) and not graph.has_edge(b, a):
                result.remove_edges_from([edge for edge in ((c, a), (c, b)) if result.has_edge(*edge)])
    _meek(result)
    return result


def _meek(graph: nx.DiGraph) -> None:
    """Orients in place what the directed edges force: remove b -> a where a - b must be a -> b."""
    changed = True
    while changed:
        changed = False
        for a, b in [edge for pair in undirected_edges(graph) for edge in (pair, pair[::-1])]:
            if not graph.has_edge(b, a) or not graph.has_edge(a, b):
                continue
            into_a, into_b = parents_of(graph, a), parents_of(graph, b)
            open_a = [c for c in graph.successors(a) if graph.has_edge(c, a)]
            chain = any(not graph.has_edge(c, b) and not graph.has_edge(b, c) for c in into_a)  # rule 1: c -> a - b
            path = any(graph.has_edge(a, c) and not graph.has_edge(c, a) for c in into_b)  # rule 2: a -> c -> b
            kite = any(  # rule 3: a - c -> b and a - d -> b, c and d not adjacent
                c in into_b and d in into_b and not graph.has_edge(c, d) and not graph.has_edge(d, c)
                for c, d in itertools.combinations(open_a, 2)
            )
            if chain or path or kite:
                graph.remove_edge(b, a)
                changed = True


def member(graph: nx.DiGraph) -> nx.DiGraph:
    """One DAG of a CPDAG's class: its undirected edges point along an order of maximum cardinality search.

    The undirected parts of a CPDAG are chordal, and this order makes no new v-structure there. Which DAG of the class
    is right, data cannot say: to use one is an assumption. Source: Tarjan and Yannakakis (1984); Andersson, Madigan
    and Perlman (1997), theorem 4.1.

    Raises:
        ValueError: No DAG has this graph as its CPDAG (PC may return such graphs on finite samples).

    Example:
        >>> sorted(member(cpdag(parse("x -> y -> z"))).edges)
        [('x', 'y'), ('y', 'z')]
    """
    joined = {node: {b for b in graph.successors(node) if graph.has_edge(b, node)} for node in graph.nodes}
    place: dict[str, int] = {}
    while len(place) < len(joined):
        rest = [node for node in joined if node not in place]
        place[max(rest, key=lambda node: len(joined[node] & place.keys()))] = len(place)
    result = nx.DiGraph(kind="dag")
    result.add_nodes_from(graph.nodes(data=True))
    result.add_edges_from((a, b) for a, b in graph.edges if b not in joined[a] or place[a] < place[b])
    given = graph.graph.get("kind") == "cpdag"
    if not nx.is_directed_acyclic_graph(result) or (given and set(cpdag(result).edges) != set(graph.edges)):
        raise ValueError("no DAG has this graph as its CPDAG: its arrows contradict each other, so orient it by hand")
    return result


def invariant_sets(
    graph: nx.DiGraph, target: str, changed: Iterable[str], features: Iterable[str] | None = None
) -> list[tuple[str, ...]]:
    """The feature sets S for which P(target | S) stays the same when the changed mechanisms move.

    An environment node E points at every changed mechanism; P(target | S) is invariant if S d-separates the
    target from E. Source: Peters, Buehlmann and Meinshausen (2016), section 2; Magliacane et al. (2018), section 2.

    Args:
        graph: A DAG.
        target: The variable to predict.
        changed: The variables whose mechanisms differ between environments.
        features: The variables that S may hold; all observed ones but the target if None. At most 15.

    Returns:
        The sets, smallest first, each in the order of `features`.

    Raises:
        ValueError: An unknown name, a cycle, or more than 15 features (2^15 sets).

    Example:
        >>> invariant_sets(parse("x -> y -> z"), "y", changed=["z"])
        [(), ('x',)]
    """
    check_dag(graph)
    changed = list(changed)
    if features is None:
        features = [v for v, hidden in graph.nodes(data="hidden") if not hidden and v != target]
    features = list(features)
    for node in (target, *changed, *features):
        _check_node(graph, node)
    if len(features) > 15:
        raise ValueError(f"{len(features)} features make 2^{len(features)} sets: name at most 15 of them in `features`")
    environment = object()  # a node of its own, whatever the variables are called
    wider = nx.DiGraph(graph.edges)
    wider.add_nodes_from(graph.nodes)
    wider.add_node(environment)
    wider.add_edges_from((environment, node) for node in changed)
    subsets = itertools.chain.from_iterable(itertools.combinations(features, k) for k in range(len(features) + 1))
    return [s for s in subsets if nx.is_d_separator(wider, {target}, {environment}, set(s))]


def _check_node(graph: nx.DiGraph, node: str) -> None:
    if node not in graph:
        raise unknown("variable of the graph", node, graph.nodes)
