"""The Causal Structure Encoder: what a graph lets a network see.

An encoding is a mask over the task's features, 1 for what the network may use and 0 for what it may not. Which
features those are is a claim about the world, read off the graph:

| encoder            | what comes through                                    | undirected edges         | file      |
|--------------------|-------------------------------------------------------|--------------------------|-----------|
| `none`             | everything                                            | not read                 | hard.py   |
| `parents`          | the causes                                            | refused at the target    |           |
| `possible_parents` | what may be a cause                                   | as causes                |           |
| `markov_blanket`   | all that informs where nothing shifts                 | as neighbours            |           |
| `stable_set`       | all that informs and survives what the shift moves    | the same in every member | stable.py |
| `soft_gates`       | each feature as far as resamples believe it a cause   | half to each direction   | gates.py  |
| `dag_layers`       | the causes and theirs, by layers that follow the DAG  | as causes                | layers.py |

`keep(names)` makes an encoder of the features you name. Any function(graph, task) -> mask [features] is an encoder too.
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import torch

from causalkit.encoder.base import StructureEncoder
from causalkit.encoder.gates import gates, soft_gates
from causalkit.encoder.hard import keep, markov_blanket, none, parents, possible_parents
from causalkit.encoder.layers import MaskedLinear, dag_layers, masked_mlp, reach
from causalkit.encoder.stable import stable_set
from causalkit.environments import Task
from causalkit.errors import unknown

__all__ = [
    "ENCODERS",
    "Encoder",
    "MaskedLinear",
    "StructureEncoder",
    "dag_layers",
    "encode",
    "gates",
    "keep",
    "markov_blanket",
    "masked_mlp",
    "none",
    "parents",
    "possible_parents",
    "reach",
    "soft_gates",
    "stable_set",
]

Encoder = Callable[[nx.DiGraph | None, Task], torch.Tensor]
"""function(graph, task) -> mask [features], or the connections of layers [features + 1, features]; see `dag_layers`."""

ENCODERS: dict[str, Encoder] = {
    "none": none,
    "parents": parents,
    "possible_parents": possible_parents,
    "markov_blanket": markov_blanket,
    "stable_set": stable_set,
    "soft_gates": soft_gates,
    "dag_layers": dag_layers,
}
"""Encoders: name -> function(graph, task) -> mask [features]. Add your own with `ENCODERS["mine"] = function`."""


def encode(graph: nx.DiGraph | None, task: Task, encoder: str | Encoder | None = None) -> torch.Tensor:
    """What an encoder lets through: its mask [features], or its connections [features + 1, features].

    Args:
        graph: What the encoder reads; None if it reads none.
        task: What is predicted from what.
        encoder: A name in `ENCODERS`, or such a function itself. None is "parents" if there is a graph, else "none".

    Raises:
        ValueError: An unknown encoder; one that needs a graph has none; what the encoder itself refuses; a mask of
            another shape than the task's, or with numbers outside [0, 1].

    Example:
        >>> from causalkit.graphs import parse
        >>> encode(parse("x -> y -> z"), Task(features=("x", "z"), target="y"))
        tensor([1., 0.])
        >>> encode(None, Task(features=("x", "z"), target="y"), keep(["z"]))
        tensor([0., 1.])
    """
    if encoder is None:
        encoder = "none" if graph is None else "parents"
    if callable(encoder):
        return _checked(encoder(graph, task), getattr(encoder, "__name__", "encoder"), task)
    if encoder not in ENCODERS:
        raise unknown("encoder", encoder, ENCODERS)
    if graph is None and encoder != "none":
        raise ValueError(f"encoder {encoder!r} reads a graph, and none is given: pass graph=..., or encoder='none'")
    return _checked(ENCODERS[encoder](graph, task), encoder, task)


def _checked(mask: torch.Tensor, encoder: str, task: Task) -> torch.Tensor:
    """The mask, once it is known to fit the task: an encoder may be the user's own."""
    d = len(task.features)
    if not isinstance(mask, torch.Tensor) or mask.shape not in ((d,), (d + 1, d)):
        got = f"a tensor of shape {list(mask.shape)}" if isinstance(mask, torch.Tensor) else type(mask).__name__
        raise ValueError(
            f"encoder {encoder!r} gave {got}: {d} features want a torch tensor of shape [{d}], one number a feature "
            f"(or connections of shape [{d + 1}, {d}], see ck.encoder.dag_layers)"
        )
    mask = mask.to(torch.get_default_dtype())
    if not ((mask >= 0) & (mask <= 1)).all():  # NaN fails too
        raise ValueError(f"encoder {encoder!r} gave {mask.tolist()}: a gate is a number in [0, 1]")
    return mask
