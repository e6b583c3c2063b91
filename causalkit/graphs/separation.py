"""What a DAG says without data: d-separation, invariance under shifts, and what is left when variables are hidden."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable

import networkx as nx

from causalkit.graphs.basics import check_dag, check_node

__all__ = ["d_separated", "invariant_sets", "project", "separating_sets"]


def d_separated(graph: nx.DiGraph, x: str, y: str, given: Iterable[str] = ()) -> bool:
    """Whether x and y are d-separated by the given set in the DAG (Pearl 2009, definition 1.2.3).

    Example:
        >>> from causalkit.graphs import parse
        >>> graph = parse("x -> z <- y")
        >>> d_separated(graph, "x", "y"), d_separated(graph, "x", "y", ["z"])
        (True, False)
    """
    for node in (x, y, *given):
        check_node(graph, node)
    return bool(nx.is_d_separator(check_dag(graph), {x}, {y}, set(given)))


def invariant_sets(
    graph: nx.DiGraph,
    target: str,
    changed: Iterable[str],
    features: Iterable[str] | None = None,
    *,
    max_size: int | None = None,
) -> list[tuple[str, ...]]:
    """The feature sets S for which P(target | S) stays the same when the changed mechanisms move.

    An environment node E points at every changed mechanism; P(target | S) is invariant if S d-separates the
    target from E. Source: Peters, Buehlmann and Meinshausen (2016), section 2; Magliacane et al. (2018), section 2.

    Args:
        graph: A DAG.
        target: The variable to predict.
        changed: The variables whose mechanisms differ between environments.
        features: The variables that S may hold; all observed ones but the target if None. At most 15.
        max_size: The largest sets that are looked at; None for all.

    Returns:
        The sets, smallest first, each in the order of `features`.

    Raises:
        ValueError: An unknown name, a cycle, or more than 15 features (2^15 sets).

    Example:
        >>> from causalkit.graphs import parse
        >>> invariant_sets(parse("x -> y -> z"), "y", changed=["z"])
        [(), ('x',)]
    """
    check_dag(graph)
    changed = list(changed)
    if features is None:
        features = [v for v, hidden in graph.nodes(data="hidden") if not hidden and v != target]
    features = list(features)
    for node in (target, *changed, *features):
        check_node(graph, node)
    environment = object()  # a node of its own, whatever the variables are called
    wider = nx.DiGraph(graph.edges)
    wider.add_nodes_from(graph.nodes)
    wider.add_node(environment)
    wider.add_edges_from((environment, node) for node in changed)
    return separating_sets(wider, target, [environment], features, max_size=max_size)


def separating_sets(
    graph: nx.DiGraph,
    target: Hashable,
    sources: Iterable[Hashable],
    features: Iterable[str],
    *,
    max_size: int | None = None,
) -> list[tuple[str, ...]]:
    """All sets of at most 15 features that d-separate the target from the sources, smallest first.

    Raises:
        ValueError: More than 15 features (2^15 sets).

    Example:
        >>> from causalkit.graphs import parse
        >>> separating_sets(parse("x -> m -> y; z -> y"), "y", ["x"], ["m", "z"])
        [('m',), ('m', 'z')]
    """
    features, sources = list(features), set(sources)
    if len(features) > 15:
        raise ValueError(f"{len(features)} features make 2^{len(features)} sets: name at most 15 of them in `features`")
    sizes = range((len(features) if max_size is None else min(max_size, len(features))) + 1)
    subsets = itertools.chain.from_iterable(itertools.combinations(features, k) for k in sizes)
    # what is neither an ancestor of one of these nor one of them never opens or shuts a path
    ends = {target, *sources, *features}
    graph = graph.subgraph(ends.union(*(nx.ancestors(graph, v) for v in ends)))
    return [s for s in subsets if nx.is_d_separator(graph, {target}, sources, set(s))]


def project(graph: nx.DiGraph) -> tuple[nx.DiGraph, set[frozenset[str]]]:
    """The DAG over the observed variables, and the pairs of them with a hidden common cause: the latent projection.

    A path of arrows through hidden variables alone becomes an arrow; two observed variables that such paths reach
    from one hidden variable are a pair. Source: Verma (1993); Pearl (2009), section 2.6.

    Raises:
        ValueError: The graph is not a DAG.

    Example:
        >>> from causalkit.graphs import parse
        >>> graph = parse("x -> h -> y; y <-> z")
        >>> graph.nodes["h"]["hidden"] = True
        >>> projected, pairs = project(graph)
        >>> list(projected.edges), sorted(map(sorted, pairs))
        ([('x', 'y')], [['y', 'z']])
    """
    check_dag(graph)
    hidden = {node for node, is_hidden in graph.nodes(data="hidden") if is_hidden}
    result, confounded = nx.DiGraph(graph), set()
    for node in (n for n in nx.topological_sort(graph) if n in hidden) if hidden else ():
        children = list(result.successors(node))
        # causes before effects: what confounds a hidden node confounds each of its children
        result.add_edges_from((p, c) for p in result.predecessors(node) for c in children)
        confounded |= {frozenset(pair) for pair in itertools.combinations(children, 2)}
        for other in [p for pair in confounded if node in pair for p in pair - {node}]:
            confounded |= {frozenset((other, c)) for c in children if c != other}
        result.remove_node(node)
        confounded = {pair for pair in confounded if node not in pair}
    return result, confounded
