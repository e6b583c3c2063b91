"""Soft gates: a feature comes through as far as the resamples believe it to be a cause of the target."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import torch

from causalkit.encoder.base import check_names, nothing_left
from causalkit.environments import Task

__all__ = ["gates", "soft_gates"]


def gates(table: pd.DataFrame) -> nx.DiGraph:
    """The shares of `ck.bootstrap` as a graph: the edge a -> b has `probability`, that a is a parent of b.

    The probability is the share of a -> b and half the share of a - b: where the resample leaves the direction open,
    either is taken to be as likely as the other. So the two directions and "no edge" sum to 1. Edges of probability 0
    are left out. The graph has the kind "shares", which `soft_gates` reads and every other encoder refuses.

    Source: Friedman, Goldszmidt and Wyner (1999), section 3, for the shares; the half is a choice of this kit.

    Raises:
        ValueError: No table of `ck.bootstrap`; a share outside [0, 1] (named).

    Example:
        >>> row = {"a": "x", "b": "y", "present": 1.0, "forward": 0.5, "backward": 0.0, "undirected": 0.5}
        >>> list(gates(pd.DataFrame([row])).edges(data="probability"))
        [('x', 'y', 0.75), ('y', 'x', 0.25)]
    """
    wanted = ["a", "b", "forward", "backward", "undirected"]
    if not isinstance(table, pd.DataFrame) or not set(wanted) <= set(table.columns):
        raise ValueError(f"expected a table of ck.bootstrap, with the columns {', '.join(wanted)}")
    graph = nx.DiGraph(kind="shares")
    graph.add_nodes_from(dict.fromkeys([*table["a"], *table["b"]]))
    for row in table.itertuples(index=False):
        for cause, effect, share in ((row.a, row.b, row.forward), (row.b, row.a, row.backward)):
            probability = round(float(share + row.undirected / 2), 12)  # 0.1 + 0.2 is 0.3, and no sum is above 1
            _check_probability(cause, effect, probability)
            if probability > 0:
                graph.add_edge(cause, effect, probability=probability)
    return graph


def soft_gates(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """The probability that a feature is a parent of the target [features], by which its input is multiplied.

    A gate that is exactly 0 hides its feature; a gate between 0 and 1 makes it dear, no more: the network can undo it
    with larger weights, and without `weight_decay` it ends where a mask of the open gates does. With L2 on a linear
    network, a gate g costs a slope b its weight (b / g)^2, a ridge penalty 1 / g^2 times as large.

    Undirected and uncertain edges: the attribute `probability` of the edge feature -> target is read, and nothing else.
    `gates(table)` makes such a graph from `ck.bootstrap`, with half of the undirected share for each direction. In a
    graph of your own, every edge into the target needs the attribute; an edge that is not there has probability 0.

    Source: Zou (2006), algorithm 1, scales columns so that a penalty weighs them; shares of resamples for weights are a
    choice of this kit.

    Raises:
        ValueError: An edge into the target without a probability, or with one outside [0, 1]; a name that is not in the
            graph; all gates shut.

    Example:
        >>> graph = nx.DiGraph(kind="shares")
        >>> graph.add_edge("x", "y", probability=0.9)
        >>> graph.add_edge("z", "y", probability=0.25)
        >>> soft_gates(graph, Task(features=("x", "z"), target="y"))
        tensor([0.9000, 0.2500])
    """
    if not isinstance(graph, nx.DiGraph) or graph.graph.get("kind") == "pag":
        got = "a PAG" if isinstance(graph, nx.DiGraph) else f"{type(graph).__name__}, not a networkx.DiGraph"
        raise ValueError(f"encoder 'soft_gates' got {got}: give graph=ck.encoder.gates(ck.bootstrap(frame))")
    check_names(graph, task)
    into = {cause: probability for cause, _, probability in graph.in_edges(task.target, data="probability")}
    for cause, probability in into.items():
        _check_probability(cause, task.target, probability)
    mask = torch.tensor([float(into.get(feature, 0.0)) for feature in task.features])
    if not mask.any():
        raise nothing_left("soft_gates", (cause for cause, probability in into.items() if probability > 0), task)
    return mask


def _check_probability(cause: str, effect: str, probability: float | None) -> None:
    if probability is None:
        raise ValueError(
            f"the edge {cause} -> {effect} has no probability, and encoder 'soft_gates' reads nothing else: give "
            "graph=ck.encoder.gates(ck.bootstrap(frame)), or set the edge's attribute `probability`"
        )
    if not 0 <= probability <= 1:  # NaN fails too
        raise ValueError(f"the edge {cause} -> {effect} has probability {probability}: give a number in [0, 1]")
