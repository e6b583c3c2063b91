"""The network family: x_j := f(x_pa) + u_j, f a random network of one hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causalkit.mechanisms.affine import linear, uniform_weights
from causalkit.mechanisms.base import Additive, names
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["Perceptron", "mlp"]


@dataclass(frozen=True, eq=False)
class Perceptron:
    """f(x_pa) = tanh(x_pa W1 + b1) w2 + b2, [n, p] -> [n]; W1 [p, h], b1 [h], w2 [h], b2 a number."""

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: float = 0.0

    def __call__(self, parents: Tensor) -> Tensor:
        hidden = (parents @ self.first).add_(self.first_bias)
        if not hidden.requires_grad:
            values = hidden.numpy()
            np.tanh(values, out=values)  # in float64 a sixth of the time that torch takes
            return hidden @ self.second + self.second_bias
        return hidden.tanh() @ self.second + self.second_bias


def mlp(
    parents: Sequence[str] = (), *, hidden: int = 8, noise: str = "gaussian", scale: float = 1.0, seed: Seed
) -> Additive:
    """A mechanism x_j := f(x_pa) + u_j with a random network f of one hidden layer, tanh.

    f(x) = tanh(x W1 + b1) w2, with W1 and w2 drawn uniformly from +-[0.5, 2] (w2 divided by sqrt(hidden)) and b1
    from a standard normal, so that f bends within the range of unit-scale parents.

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        hidden: Width of the hidden layer.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of the network's weights.

    Raises:
        ValueError: An unknown noise, a scale or width that is not positive.

    Example:
        >>> mlp(["x"], seed=0).function(torch.zeros(2, 1).double()).shape
        torch.Size([2])
    """
    if hidden < 1:
        raise ValueError(f"hidden width {hidden}: give at least 1")
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    draw = generator(seed, "mlp")
    first = uniform_weights((len(parents), hidden), draw)
    second = uniform_weights((hidden,), draw) / hidden**0.5
    bias = torch.randn(hidden, generator=draw, dtype=torch.float64)
    return Additive(parents, Noise(noise, float(scale)), Perceptron(first, bias, second))
