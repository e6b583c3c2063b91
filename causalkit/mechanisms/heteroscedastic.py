"""The location-scale family: x_j := f(x_pa) + s(x_pa) u_j, noise whose size depends on the causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from causalkit.mechanisms.affine import linear, uniform_weights
from causalkit.mechanisms.base import Equation, Function, names
from causalkit.mechanisms.noises import Noise
from causalkit.mechanisms.perceptron import Perceptron, mlp
from causalkit.seeds import Seed, generator, integer

__all__ = ["LocationScale", "location_scale"]


@dataclass(frozen=True, eq=False)
class LocationScale(Equation):
    """x_j := (f(x_pa) + s(x_pa) u_j - centre) / spread with s = exp(log_scale) > 0; f is `function`.

    Attributes:
        log_scale: log s, from the parents' values [n, p] to [n].

    Example:
        >>> mechanism = LocationScale(("x",), Noise(), lambda x: x[:, 0], log_scale=lambda x: x[:, 0])
        >>> mechanism.push(torch.zeros(1, 1), torch.ones(1))
        tensor([1.])
    """

    log_scale: Function = field(kw_only=True)

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        return self.function(parents) + self.log_scale(parents).exp() * u

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        return (value - self.function(parents)) * (-self.log_scale(parents)).exp()

    def log_slope(self, parents: Tensor, value: Tensor) -> Tensor:
        return -self.log_scale(parents)

    def affine(self, parents: Tensor) -> tuple[Tensor, Tensor]:
        heard = self.heard(parents)
        return self.function(heard), self.log_scale(heard).exp()


def location_scale(
    parents: Sequence[str] = (), *, hidden: int = 8, noise: str = "gaussian", scale: float = 1.0, seed: Seed
) -> Equation:
    """A mechanism x_j := f(x_pa) + s(x_pa) u_j with a random network f, as `mlp` draws it, and a random s > 0.

    log s(x) = tanh(x w + b) log 2 with w uniform in +-[0.5, 2] and b standard normal, so s lies within [1/2, 2]. The
    causal direction is identifiable but for exceptions: Immer et al. (2023), On the identifiability and estimation
    of causal location-scale noise models. For your own f and s, make a `LocationScale`.

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        hidden: Width of f's hidden layer.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of f and s.

    Raises:
        ValueError: An unknown noise, a scale or width that is not positive.

    Example:
        >>> location_scale(["x"], seed=0).push(torch.zeros(2, 1).double(), torch.zeros(2).double()).shape
        torch.Size([2])
    """
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    base = integer(seed, "location_scale")
    draw = generator(base, "scale")
    weights = uniform_weights((len(parents), 1), draw)
    bias = torch.randn(1, generator=draw, dtype=torch.float64)
    log_scale = Perceptron(weights, bias, torch.tensor([2.0], dtype=torch.float64).log())
    f = mlp(parents, hidden=hidden, seed=base).function
    return LocationScale(parents, Noise(noise, float(scale)), f, log_scale=log_scale)
