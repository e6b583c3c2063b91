"""The Causal Structure Encoder: what a graph lets a network see.

An encoding is a mask over the task's features, 1 for what the network may use and 0 for what it may not. Which
features those are is a claim about the world, read off the graph: causes alone (`parents`), causes as far as the
data can tell (`possible_parents`), everything that carries information (`markov_blanket`), or all of it (`none`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import networkx as nx
import torch

from causalkit import graphs
from causalkit.environments import Task
from causalkit.errors import unknown

__all__ = ["ENCODERS", "StructureEncoder", "encode", "markov_blanket", "none", "parents", "possible_parents"]


class StructureEncoder(torch.nn.Module):
    """Multiplies inputs with a mask, so that nothing behind it depends on a feature whose mask is 0.

    The mask is a buffer: it is saved with the network, is never trained, and differs between stacked replicates.

    Args:
        mask: One number a feature [features], 1 to keep and 0 to hide.

    Example:
        >>> StructureEncoder(torch.tensor([1.0, 0.0]))(torch.tensor([[2.0, 3.0]]))
        tensor([[2., 0.]])
    """

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs [n, features], with the hidden features at 0."""
        return inputs * self.mask


def none(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """Every feature is kept [features]; the graph, if there is one, is not read.

    Example:
        >>> none(None, Task(features=("x", "z"), target="y"))
        tensor([1., 1.])
    """
    return torch.ones(len(task.features))


def parents(graph: nx.DiGraph, task: Task) -> torch.Tensor:
    """The target's direct causes [features]: P(target | parents) stands until the target's own mechanism changes.

    Parents that are not among the task's features are hidden from the network, as any hidden cause is.

    Source: Peters, Buehlmann and Meinshausen (2016), section 2.

    Raises:
        ValueError: The graph leaves an edge of the target undirected, so that its parents are not known (the
            edges are named); it is a PAG; a name is not in the graph; no parent is among the features.

    Example:
        >>> parents(graphs.parse("x -> y -> z"), Task(features=("x", "z"), target="y"))
        tensor([1., 0.])
    """
    _check(graph, task)
    open_edges = [pair for pair in graphs.undirected_edges(graph) if task.target in pair]
    if open_edges:
        pairs = ", ".join(f"{a} - {b}" for a, b in open_edges)
        raise ValueError(
            f"encoder 'parents' cannot tell causes of {task.target!r} from effects: the graph leaves {pairs} "
            "undirected. Use encoder='possible_parents', which keeps both, or orient these edges by expert knowledge"
        )
    return _mask("parents", graphs.parents_of(graph, task.target), task)


def possible_parents(graph: nx.DiGraph, task: Task) -> torch.Tensor:
    """Parents and undirected neighbours [features]: all that may be causes in some DAG of the class.

    No cause is lost if the graph is right; effects may come along with the undirected edges. On a DAG, `parents`.

    Raises:
        ValueError: The graph is a PAG; a name is not in the graph; none of them is among the features.

    Example:
        >>> possible_parents(graphs.cpdag(graphs.parse("x -> y -> z")), Task(features=("x", "z"), target="y"))
        tensor([1., 1.])
    """
    _check(graph, task)
    return _mask("possible_parents", graphs.possible_parents(graph, task.target), task)


def markov_blanket(graph: nx.DiGraph, task: Task) -> torch.Tensor:
    """Parents, children and the children's other parents [features]: all that helps where nothing shifts.

    In a CPDAG an undirected neighbour counts as neighbour whichever way it points, and a child is what the target
    certainly points at; every DAG of the class has this same blanket.

    Source: Pearl (1988), section 3.3.

    Raises:
        ValueError: The graph is a PAG; a name is not in the graph; none of them is among the features.

    Example:
        >>> markov_blanket(graphs.parse("x -> y -> z <- w; v -> x"), Task(features=("v", "w", "x", "z"), target="y"))
        tensor([0., 1., 1., 1.])
    """
    _check(graph, task)
    return _mask("markov_blanket", graphs.markov_blanket(graph, task.target), task)


ENCODERS: dict[str, Callable[[nx.DiGraph, Task], torch.Tensor]] = {
    "none": none,
    "parents": parents,
    "possible_parents": possible_parents,
    "markov_blanket": markov_blanket,
}
"""Encoders: name -> function(graph, task) -> mask [features]. Add your own with `ENCODERS["mine"] = function`."""


def encode(graph: nx.DiGraph | None, task: Task, encoder: str | None = None) -> torch.Tensor:
    """The mask [features] of a named encoder; without a name, "parents" if there is a graph, else "none".

    Raises:
        ValueError: An unknown encoder; one that needs a graph has none; what the encoder itself refuses.

    Example:
        >>> encode(graphs.parse("x -> y -> z"), Task(features=("x", "z"), target="y"))
        tensor([1., 0.])
    """
    name = ("none" if graph is None else "parents") if encoder is None else encoder
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    if graph is None and name != "none":
        raise ValueError(f"encoder {name!r} reads a graph, and none is given: pass graph=..., or encoder='none'")
    return ENCODERS[name](graph, task)  # type: ignore[arg-type]


def _check(graph: nx.DiGraph, task: Task) -> None:
    """The door of every encoder that reads the graph."""
    if not isinstance(graph, nx.DiGraph):
        raise ValueError(f"expected a networkx.DiGraph, got {type(graph).__name__}: build one with ck.graphs.parse")
    if graph.graph.get("kind", "dag") not in ("dag", "cpdag"):
        raise ValueError(
            f"the graph is a {str(graph.graph['kind']).upper()}, and nothing trains on one: its edges may stand for "
            "hidden causes. Use a method that returns a DAG or CPDAG, or encoder='none'"
        )
    for name in (task.target, *task.features):
        if name not in graph:
            raise unknown("variable of the graph", name, graph.nodes)


def _mask(encoder: str, kept: Iterable[str], task: Task) -> torch.Tensor:
    kept = set(kept)
    mask = torch.tensor([float(feature in kept) for feature in task.features])
    if not mask.any():
        among = f" ({', '.join(sorted(kept))} are not features)" if kept else ""
        raise ValueError(
            f"encoder {encoder!r} leaves no feature to predict {task.target!r} from{among}: use "
            "encoder='markov_blanket' or 'none', or add features to the task"
        )
    return mask
