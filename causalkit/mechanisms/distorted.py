"""The post-nonlinear family: x_j := h(f(x_pa) + u_j), an additive mechanism seen through a distorted instrument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from causalkit.errors import unknown
from causalkit.mechanisms.affine import linear
from causalkit.mechanisms.base import Equation, names
from causalkit.mechanisms.noises import Noise, bisect
from causalkit.mechanisms.perceptron import mlp
from causalkit.seeds import Seed, integer

__all__ = ["DISTORTIONS", "Distortion", "PostNonlinear", "post_nonlinear"]


@dataclass(frozen=True)
class Distortion:
    """A strictly increasing h with its inverse and log h', each elementwise [n] -> [n]; log h' in terms of v, not h(v).

    Example:
        >>> twice = Distortion(lambda v: 2 * v, lambda x: x / 2, lambda v: torch.full_like(v, 2.0).log())
        >>> twice.inverse(twice.h(torch.ones(1)))
        tensor([1.])
    """

    h: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    log_derivative: Callable[[Tensor], Tensor]


DISTORTIONS: Mapping[str, Distortion] = MappingProxyType(
    {
        # v + tanh v lies within 1 of v, which brackets the inverse; h' = 2 - tanh^2
        "tanh": Distortion(
            lambda v: v + torch.tanh(v),
            lambda x: bisect(lambda v: v + torch.tanh(v), x, x - 1, x + 1),
            lambda v: torch.log1p(1 - torch.tanh(v) ** 2),
        ),
        # the one real root of v + v^3 = x, by hyperbolic functions (they do not cancel, as Cardano's roots do)
        "cubic": Distortion(
            lambda v: v + v**3,
            lambda x: 2 / 3**0.5 * torch.sinh(torch.asinh(1.5 * 3**0.5 * x) / 3),
            lambda v: torch.log1p(3 * v**2),
        ),
        "asinh": Distortion(torch.asinh, torch.sinh, lambda v: -0.5 * torch.log1p(v**2)),
    }
)
"""Distortions h(v): v + tanh(v), v + v^3, and asinh(v)."""


@dataclass(frozen=True, eq=False)
class PostNonlinear(Equation):
    """x_j := (h(f(x_pa) + u_j) - centre) / spread with a strictly increasing h; f is `function`.

    Attributes:
        distortion: h, with its inverse and derivative.

    Example:
        >>> mechanism = PostNonlinear(("x",), Noise(), lambda x: x[:, 0], distortion=DISTORTIONS["cubic"])
        >>> mechanism.push(torch.ones(1, 1), torch.ones(1))
        tensor([10.])
    """

    distortion: Distortion = field(kw_only=True)

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        return self.distortion.h(self.function(parents) + u)

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        return self.distortion.inverse(value) - self.function(parents)

    def log_slope(self, parents: Tensor, value: Tensor) -> Tensor:
        return -self.distortion.log_derivative(self.distortion.inverse(value))

    def affine(self, parents: Tensor) -> tuple[Tensor, Tensor]:
        signal = self.function(self.heard(parents))
        return signal, torch.ones_like(signal)


def post_nonlinear(
    parents: Sequence[str] = (),
    *,
    distortion: str = "tanh",
    hidden: int = 8,
    noise: str = "gaussian",
    scale: float = 1.0,
    seed: Seed,
) -> Equation:
    """A mechanism x_j := h(f(x_pa) + u_j) with a random network f, as `mlp` draws it, and an increasing h.

    log p(x | x_pa) = log p_u(h^-1(x) - f(x_pa)) - log h'(h^-1(x)). Source: Zhang and Hyvaerinen (2009), On the
    identifiability of the post-nonlinear causal model, equation 1. For your own f and h, make a `PostNonlinear`.

    Args:
        parents: The causes' names; none makes a root, which is noise alone, undistorted.
        distortion: h, a key of `DISTORTIONS`.
        hidden: Width of f's hidden layer.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j, before h.
        seed: Of f.

    Raises:
        ValueError: An unknown distortion or noise, a scale or width that is not positive.

    Example:
        >>> post_nonlinear(["x"], distortion="asinh", seed=0).parents
        ('x',)
    """
    if distortion not in DISTORTIONS:
        raise unknown("distortion", distortion, DISTORTIONS)
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    f = mlp(parents, hidden=hidden, seed=integer(seed, "post_nonlinear")).function
    return PostNonlinear(parents, Noise(noise, float(scale)), f, distortion=DISTORTIONS[distortion])
