"""Losses, and what an objective sees of the data and the network: the batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["LOSSES", "Batch", "Companion", "cross_entropy", "squared_error"]


def squared_error(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(y - f)^2 for each row [n].

    Example:
        >>> squared_error(torch.tensor([1.0]), torch.tensor([3.0]))
        tensor([4.])
    """
    difference = targets - predictions
    return difference * difference


def cross_entropy(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log softmax(logits)[class] for each row [n], in nats, from logits [n, classes] and class numbers [n].

    Example:
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([1]))
        tensor([0.6931])
    """
    return predictions.logsumexp(-1) - predictions.gather(-1, targets[:, None])[:, 0]


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "regression": squared_error,
    "classification": cross_entropy,
}
"""The loss of each kind of task: kind -> function(predictions, targets) -> [n]."""


@dataclass(frozen=True, eq=False)
class Companion:
    """Further rows that stand beside an environment's own, one for one: its twins under an intervention, say.

    Attributes:
        inputs: As the network sees its inputs [n_e, features].
        targets: In the units of the loss [n_e]; class numbers in a classification.
    """

    inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """What an objective sees: one tensor an environment in every field, in the same order.

    Attributes:
        losses: The loss of each row [n_e].
        predictions: Of a regression [n_e], logits of a classification [n_e, classes].
        targets: [n_e]; class numbers from 0 in a classification.
        features: The last hidden layer [n_e, width].
        inputs: What entered the network [n_e, features].
        loss: The function (predictions, targets) -> [n_e] behind `losses`, for penalties that take its derivative.
        weights: What each row counts [n_e], with mean 1 in each environment; empty where all count the same.
        companions: Name -> what the objective's `prepare` made: a Companion an environment, or a number a row [n_e].
        predict: The network as it is now: inputs [n, features] -> predictions and last hidden layer, as above.
        gradients: () -> the gradient of each R_e by all parameters [environments, parameters], itself differentiable.
        parameters: The network's parameters by name, as tensors.
        modules: Name -> the objective's own network, as it is now, where it brings one.
        mask: What the encoder lets through of each input [features]; 0 is hidden. None if all of them.

    Example:
        >>> Batch(losses=(torch.tensor([1.0, 3.0]), torch.zeros(5))).risks
        tensor([2., 0.])
    """

    losses: tuple[torch.Tensor, ...]
    predictions: tuple[torch.Tensor, ...] = ()
    targets: tuple[torch.Tensor, ...] = ()
    features: tuple[torch.Tensor, ...] = ()
    inputs: tuple[torch.Tensor, ...] = ()
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = squared_error
    weights: tuple[torch.Tensor, ...] = ()
    companions: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    predict: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None
    gradients: Callable[[], torch.Tensor] | None = None
    parameters: Mapping[str, torch.Tensor] = field(default_factory=dict)
    modules: Mapping[str, Callable[..., torch.Tensor]] = field(default_factory=dict)
    mask: torch.Tensor | None = None

    @functools.cached_property
    def risks(self) -> torch.Tensor:
        """R_e, the mean loss of each environment [environments]; the weighted mean where rows have weights."""
        return torch.stack([self.mean(losses, e) for e, losses in enumerate(self.losses)])

    def mean(self, values: torch.Tensor, environment: int) -> torch.Tensor:
        """The mean over an environment's rows, the first axis, as its rows count."""
        if not self.weights:
            return values.mean(0)
        weights = self.weights[environment]
        return (values * weights.reshape(-1, *[1] * (values.ndim - 1))).mean(0)
