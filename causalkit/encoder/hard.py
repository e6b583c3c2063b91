"""Masks of 0 and 1 that a DAG or CPDAG says at once: none, causes, possible causes, the blanket, or the names given."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import networkx as nx
import torch

from causalkit import graphs
from causalkit.encoder.base import check_graph, mask_of
from causalkit.environments import Task
from causalkit.errors import unknown

__all__ = ["keep", "markov_blanket", "none", "parents", "possible_parents"]


def none(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """Every feature is kept [features]; the graph, if there is one, is not read.

    Example:
        >>> none(None, Task(features=("x", "z"), target="y"))
        tensor([1., 1.])
    """
    return torch.ones(len(task.features))


def parents(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """The target's direct causes [features]: P(target | parents) stands until the target's own mechanism changes.

    Parents that are not among the task's features are hidden from the network, as any hidden cause is.

    Undirected and uncertain edges: an undirected edge of the target is refused; other edges are not read. An arrow is
    taken as certain, however it was learned.

    Source: Peters, Buehlmann and Meinshausen (2016), section 2.

    Raises:
        ValueError: The graph leaves an edge of the target undirected, so that its parents are not known (the
            edges are named); it is a PAG; a name is not in the graph; no parent is among the features.

    Example:
        >>> parents(graphs.parse("x -> y -> z"), Task(features=("x", "z"), target="y"))
        tensor([1., 0.])
    """
    graph = check_graph(graph, task)
    open_edges = [pair for pair in graphs.undirected_edges(graph) if task.target in pair]
    if open_edges:
        pairs = ", ".join(f"{a} - {b}" for a, b in open_edges)
        raise ValueError(
            f"encoder 'parents' cannot tell causes of {task.target!r} from effects: the graph leaves {pairs} "
            "undirected. Use encoder='possible_parents', which keeps both, or orient these edges by expert knowledge"
        )
    return mask_of("parents", graphs.parents_of(graph, task.target), task)


def possible_parents(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """Parents and undirected neighbours [features]: all that may be causes in some DAG of the class.

    No cause is lost if the graph is right; effects may come along with the undirected edges. On a DAG, `parents`.

    Undirected and uncertain edges: an undirected edge counts as an arrow into the target; an arrow is taken as certain.

    Raises:
        ValueError: The graph is a PAG; a name is not in the graph; none of them is among the features.

    Example:
        >>> possible_parents(graphs.cpdag(graphs.parse("x -> y -> z")), Task(features=("x", "z"), target="y"))
        tensor([1., 1.])
    """
    graph = check_graph(graph, task)
    return mask_of("possible_parents", graphs.possible_parents(graph, task.target), task)


def markov_blanket(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """Parents, children and the children's other parents [features]: all that helps where nothing shifts.

    Undirected and uncertain edges: in a CPDAG an undirected neighbour counts as neighbour whichever way it points, and
    a child is what the target certainly points at; every DAG of the class has this same blanket. An arrow is taken as
    certain.

    Source: Pearl (1988), section 3.3.

    Raises:
        ValueError: The graph is a PAG; a name is not in the graph; none of them is among the features.

    Example:
        >>> markov_blanket(graphs.parse("x -> y -> z <- w; v -> x"), Task(features=("v", "w", "x", "z"), target="y"))
        tensor([0., 1., 1., 1.])
    """
    graph = check_graph(graph, task)
    return mask_of("markov_blanket", graphs.markov_blanket(graph, task.target), task)


def keep(names: Iterable[str] | None) -> Callable[[nx.DiGraph | None, Task], torch.Tensor]:
    """An encoder that keeps the features you name, such as `shift.certificate(scm, task).stable`; no graph is read.

    Args:
        names: The features to keep.

    Returns:
        An encoder, a function(graph, task) -> mask [features].

    Raises:
        ValueError: No names; in the encoder, a name that is not a feature of the task.

    Example:
        >>> keep(["x"])(None, Task(features=("x", "z"), target="y"))
        tensor([1., 0.])
    """
    kept = [names] if isinstance(names, str) else list(names or ())
    if not kept:
        raise ValueError(
            f"keep({names!r}) names no feature to keep: name at least one (a certificate's `stable` is None where no "
            "set of features is stable, and () where none of them helps)"
        )

    def encoder(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
        for name in kept:
            if name not in task.features:
                raise unknown("feature of the task", name, task.features)
        return mask_of("keep", kept, task)

    encoder.__name__ = f"keep({', '.join(map(str, kept))})"
    return encoder
