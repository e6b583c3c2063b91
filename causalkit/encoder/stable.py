"""The features that tell most about the target among those sets S for which P(target | S) survives the shift."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import networkx as nx
import torch

from causalkit import graphs
from causalkit.encoder.base import check_graph, mask_of
from causalkit.environments import Task
from causalkit.errors import unknown

__all__ = ["stable_set"]

Sources = set[Hashable]


def stable_set(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """The most informative features S that d-separate the target from the environment [features].

    P(target | S) is then the same before and after the shift, and no other set that it leaves alone tells more. Effects
    of the target whose mechanisms stay are kept, so that S holds more than the parents where the shift allows it.

    The graph must say what the environment acts on, in one of two ways:

    - `graph.graph["changed"]`, the variables whose mechanisms move between environments: `ck.discover(train, "pooled")`
      writes it, and for any other graph you do, `graph.graph["changed"] = ["x3"]`;
    - a node E (or E*) without causes that points at them, as in `shift.certificate(scm, task).graph`, where `selected`
      is the node of a selection of rows.

    Undirected and uncertain edges: the members of a class agree on every d-separation, so that a CPDAG is read by one
    of them. An arrow, and an arrow that is missing, are taken as certain.

    Source: Pfister, Williams, Peters, Aebersold and Buehlmann (2021), section 3 (the stable blanket). With hidden
    variables there may be several best sets, among which the graph alone cannot choose.

    Raises:
        ValueError: The graph does not say what moves; no set is stable (as where the target's own mechanism moves); the
            graph leaves several best sets (named: choose with `keep`); what the other encoders refuse.

    Example:
        >>> task, graph = Task(features=("x", "z", "w"), target="y"), graphs.parse("x -> y -> z; y -> w")
        >>> graph.graph["changed"] = ["z"]
        >>> stable_set(graph, task)
        tensor([1., 0., 1.])
        >>> import causalkit as ck
        >>> scm, shift = ck.teaching_scm(), ck.shifts.spurious("y", strength=1.0)
        >>> stable_set(shift.certificate(scm).graph, Task(features=("x1", "x2", "x3", "x5"), target="y"))
        tensor([1., 1., 0., 0.])
    """
    graph = check_graph(graph, task)
    diagram, sources = _diagram(graph, task)
    return mask_of("stable_set", _most_informative(diagram, task, sources), task)


def _diagram(graph: nx.DiGraph, task: Task) -> tuple[nx.DiGraph, Sources]:
    """A DAG with the environment in it, and the nodes from which the target must be separated."""
    own = {task.target, *task.features}
    diagram = graphs.member(graph) if graphs.undirected_edges(graph) else nx.DiGraph(graphs.check_dag(graph))
    if "changed" in graph.graph:
        changed = graph.graph["changed"]
        for name in changed:
            if name not in graph:
                raise unknown("changed variable of the graph", name, graph.nodes)
        environment: Hashable = object()  # a node of its own, whatever the variables are called
        diagram.add_node(environment)
        diagram.add_edges_from((environment, name) for name in changed)
        return diagram, {environment}
    found = [v for v in ("E", "E*") if v in graph and v not in own and not graph.in_degree(v)]
    if not found:
        raise ValueError(
            "encoder 'stable_set' reads what the shift moves, and the graph does not say it: give "
            "graph=shift.certificate(scm, task).graph or graph=ck.discover(train, 'pooled'), or name the variables "
            "whose mechanisms move, graph.graph['changed'] = ['x3']"
        )
    environment = found[-1]
    # rows that are selected: there the target must be separated from the selection itself
    chosen = {v for v in ("selected", "selected*") if v not in own and graph.has_edge(environment, v)}
    return diagram, {environment, *chosen}


def _most_informative(diagram: nx.DiGraph, task: Task, sources: Sources) -> list[str]:
    """The stable features that tell most, without those that add nothing."""
    reached = sources.union(*(diagram.successors(s) for s in sources))
    moved = [c for c in graphs.children_of(diagram, task.target) if c in reached]
    # conditioning on a moved child, or on what follows from it, opens the path from the target to the environment
    spoilt = set(moved).union(*(nx.descendants(diagram, c) for c in moved))
    rest = [v for v in task.features if v not in spoilt]
    if nx.is_d_separator(diagram, {task.target}, sources, set(rest)):
        return _boundary(diagram, task.target, rest)
    joined = any(diagram.has_edge(s, task.target) or diagram.has_edge(task.target, s) for s in sources)
    if not joined and len(rest) > 15:
        raise ValueError(
            f"some of what matters is hidden or no feature, and {len(rest)} features make 2^{len(rest)} sets to look "
            "at: name at most 15 features in the task, or the set itself, encoder=ck.encoder.keep([...])"
        )
    sets = [] if joined else graphs.separating_sets(diagram, task.target, sources, rest)
    best = _undominated(diagram, task.target, sets)
    if not best:
        raise ValueError(
            f"no set of features S keeps P({task.target} | S) under what moves (the target's own mechanism, or a "
            "hidden cause): no encoder makes this shift harmless. Use encoder='parents' or 'markov_blanket'"
        )
    if len(best) > 1:
        named = " or ".join("{" + ", ".join(map(str, s)) + "}" for s in best)
        raise ValueError(
            f"the graph cannot say which stable set tells most about {task.target!r}, {named}: choose with "
            "encoder=ck.encoder.keep(shift.certificate(scm, task).stable), which estimates it, or name one"
        )
    return best[0]


def _undominated(diagram: nx.DiGraph, target: str, sets: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """The sets that no other is known to tell as much as: no larger one, and none that separates the target from it."""
    largest = [s for s in sets if not any(set(s) < set(other) for other in sets)]
    lean = sorted({tuple(_boundary(diagram, target, s)) for s in largest})

    def tells_as_much(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
        more = set(two) - set(one)
        return not more or bool(nx.is_d_separator(diagram, {target}, more, set(one)))

    return [list(two) for two in lean if not any(one != two and tells_as_much(one, two) for one in lean)]


def _boundary(diagram: nx.DiGraph, target: str, features: Sequence[str]) -> list[str]:
    """The features less those that, given the others, say nothing of the target: a Markov boundary among them."""
    kept = list(features)
    for v in features:
        if nx.is_d_separator(diagram, {target}, {v}, set(kept) - {v}):
            kept.remove(v)
    return kept
