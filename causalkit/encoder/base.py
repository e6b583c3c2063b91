"""What all encoders share: the module that hides features, the door for graphs, and masks from names."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import torch

from causalkit.environments import Task
from causalkit.errors import unknown
from causalkit.graphs import check_dag

__all__ = ["StructureEncoder", "check_graph", "mask_of"]


class StructureEncoder(torch.nn.Module):
    """Multiplies inputs with a mask, so that nothing behind it depends on a feature whose mask is 0.

    The mask is a buffer: it is saved with the network, is never trained, and differs between stacked replicates.

    Args:
        mask: One number a feature [features], 1 to keep and 0 to hide; between them, a gate that is partly open.

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


def check_graph(graph: nx.DiGraph | None, task: Task) -> nx.DiGraph:
    """The graph itself, once it is known to be one that an encoder can read: the door of every encoder that does.

    Raises:
        ValueError: None; not a DiGraph; a PAG; shares of resamples; a DAG with a cycle; a graph without the target or a
            feature (named).

    Example:
        >>> check_graph(nx.DiGraph([("x", "z")]), Task(features=("x",), target="y"))
        Traceback (most recent call last):
            ...
        ValueError: unknown variable of the graph 'y'. Known: x, z
    """
    if graph is None:
        raise ValueError("this encoder reads a graph, and none is given: pass graph=..., or encoder='none'")
    if not isinstance(graph, nx.DiGraph):
        raise ValueError(f"expected a networkx.DiGraph, got {type(graph).__name__}: build one with ck.graphs.parse")
    kind = graph.graph.get("kind", "dag")
    if kind == "shares":
        raise ValueError(
            "the graph holds the shares of resamples, however small: use encoder='soft_gates', or give the one graph "
            "that they agree on, ck.consensus(table)"
        )
    if kind not in ("dag", "cpdag"):
        raise ValueError(
            f"the graph is a {str(kind).upper()}, and nothing trains on one: its edges may stand for "
            "hidden causes. Use a method that returns a DAG or CPDAG, or encoder='none'"
        )
    check_names(graph, task)
    return check_dag(graph) if kind == "dag" else graph


def check_names(graph: nx.DiGraph, task: Task) -> None:
    """Nothing, once the target and all features are in the graph."""
    for name in (task.target, *task.features):
        if name not in graph:
            raise unknown("variable of the graph", name, graph.nodes)


def mask_of(encoder: str, kept: Iterable[str], task: Task) -> torch.Tensor:
    """The mask [features] with 1 for the kept variables.

    Raises:
        ValueError: None of them is among the features.

    Example:
        >>> mask_of("parents", ["z"], Task(features=("x", "z"), target="y"))
        tensor([0., 1.])
    """
    kept = set(kept)
    mask = torch.tensor([float(feature in kept) for feature in task.features])
    if not mask.any():
        raise nothing_left(encoder, kept, task)
    return mask


def nothing_left(encoder: str, kept: Iterable[str], task: Task) -> ValueError:
    """The error for an encoder that hides every feature."""
    kept = sorted(map(str, kept))
    among = f" ({', '.join(kept)} are not features)" if kept else ""
    return ValueError(
        f"encoder {encoder!r} leaves no feature to predict {task.target!r} from{among}: use "
        "encoder='markov_blanket' or 'none', or add features to the task"
    )
