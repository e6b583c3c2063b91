"""Layer masks that follow the DAG: each hidden unit belongs to a variable and hears only that variable's parents."""

from __future__ import annotations

import networkx as nx
import torch

from causalkit import graphs
from causalkit.encoder.base import check_graph, mask_of
from causalkit.environments import Task

__all__ = ["MaskedLinear", "dag_layers", "masked_mlp", "reach"]


def dag_layers(graph: nx.DiGraph | None, task: Task) -> torch.Tensor:
    """Who may hear whom in an "mlp" [features + 1, features]: a row a feature, and the target's as the last one.

    Every hidden unit belongs to a variable. The units of a feature, in the first hidden layer, see that feature and its
    parents; those of the target, in the second, see the units of the target's parents and nothing else; the head sees
    the target's units. So the prediction depends on the parents and the parents' parents, and on nothing else; effects
    of the target never come in. Given all parents, their parents tell nothing more (the Markov condition), so that
    P(target | parents, their parents) stands as long as the target's own mechanism does; they help where a parent is
    measured with error. Parents that are not among the features are left out, and with them what is behind them.

    Undirected and uncertain edges: an undirected edge counts as an arrow into either end, as in `possible_parents`, so
    that effects may come along; an arrow is taken as certain.

    Source: Chen, Shi, Gao, Baptista and Krishnan (2023), weights masked along a DAG; Germain, Gregor, Murray and
    Larochelle (2015), section 3: an output depends on an input only where the product of the masks is not 0. Layers of
    variables in place of a factorised matrix are a choice of this kit.

    Raises:
        ValueError: The graph is a PAG; a name is not in the graph; the target has no (possible) parent among the
            features. The backbone "linear" has no hidden units, and is refused by `ck.fit`.

    Example:
        >>> dag_layers(graphs.parse("w -> x -> y -> z"), Task(features=("w", "x", "z"), target="y"))
        tensor([[1., 0., 0.],
                [1., 1., 0.],
                [0., 0., 1.],
                [0., 1., 0.]])
    """
    graph = check_graph(graph, task)
    rows = [[float(v == w or graph.has_edge(w, v)) for w in task.features] for v in task.features]
    last = mask_of("dag_layers", graphs.possible_parents(graph, task.target), task)
    return torch.cat([torch.tensor(rows), last[None]])


def reach(connections: torch.Tensor) -> torch.Tensor:
    """The inputs [features] on which the target's units depend, 1 or 0: those that a path of connections joins to them.

    Example:
        >>> reach(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])), reach(torch.tensor([[1.0, 0], [1, 1], [1, 0]]))
        (tensor([1., 1.]), tensor([1., 0.]))
    """
    return (connections[-1] @ connections[:-1] > 0).to(connections.dtype)


class MaskedLinear(torch.nn.Linear):
    """A linear layer y = (W * mask) x + b: where the mask is 0, an output does not hear an input.

    The mask is a buffer, like that of `StructureEncoder`. Weights start at 0; `ck.model.Network` draws them.

    Args:
        mask: From inputs to outputs [outputs, inputs].

    Example:
        >>> layer = MaskedLinear(torch.tensor([[1.0, 0.0]]))
        >>> weight = torch.nn.init.ones_(layer.weight)
        >>> layer(torch.tensor([[2.0, 3.0]])).tolist()
        [[2.0]]
    """

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def reset_parameters(self) -> None:
        """Weights and biases at 0: the global random state is left alone."""
        torch.nn.init.zeros_(self.weight)
        torch.nn.init.zeros_(self.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """From inputs [n, inputs] to [n, outputs]."""
        return torch.nn.functional.linear(inputs, self.weight * self.mask, self.bias)


def masked_mlp(connections: torch.Tensor, each: int = 8, hidden: int = 16) -> torch.nn.Module:
    """The network of `dag_layers`: `each` rectified units a feature, then `hidden` of the target.

    Args:
        connections: Who may hear whom [features + 1, features].

    Example:
        >>> masked_mlp(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))(torch.zeros(5, 2)).shape
        torch.Size([5, 16])
    """
    features = connections[:-1].repeat_interleave(each, 0)
    target = connections[-1].repeat_interleave(each).repeat(hidden, 1)
    return torch.nn.Sequential(MaskedLinear(features), torch.nn.ReLU(), MaskedLinear(target), torch.nn.ReLU())
