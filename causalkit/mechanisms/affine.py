"""The linear family: x_j := intercept + sum_i w_i x_i + u_j."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from causalkit.mechanisms.base import Additive
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["Linear", "linear", "random_linear", "uniform_weights"]


@dataclass(frozen=True, eq=False)
class Linear:
    """f(x_pa) = x_pa w + intercept, [n, p] -> [n]; w [p]."""

    weights: tuple[float, ...]
    intercept: float = 0.0

    def __call__(self, parents: Tensor) -> Tensor:
        value = parents @ torch.as_tensor(self.weights, dtype=parents.dtype)
        return value if self.intercept == 0.0 else value + self.intercept


def linear(
    weights: Mapping[str, float] = MappingProxyType({}),
    *,
    intercept: float = 0.0,
    noise: str = "gaussian",
    scale: float = 1.0,
) -> Additive:
    """A linear mechanism x_j := intercept + sum_i w_i x_i + u_j.

    Args:
        weights: Parent -> weight w_i (units of x_j per unit of x_i). Empty: a root.
        intercept: In the units of x_j.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.

    Raises:
        ValueError: An unknown noise, a scale that is not positive, a weight that is not a finite number.

    Example:
        >>> linear({"x": 1.0}).parents
        ('x',)
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights are a mapping from parent to number, got {weights!r}: write linear({{'x': 1.0}})")
    values = torch.tensor([float(w) for w in weights.values()] + [float(intercept)])
    if not torch.isfinite(values).all():
        raise ValueError(f"weights {dict(weights)} and intercept {intercept} must be finite numbers")
    function = Linear(tuple(float(w) for w in weights.values()), float(intercept))
    return Additive(tuple(weights), Noise(noise, float(scale)), function)


def uniform_weights(shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Weights uniform in +-[0.5, 2], float64: bounded away from 0, so that no edge is there in name only."""
    size = 0.5 + 1.5 * torch.rand(shape, generator=draw, dtype=torch.float64)
    return size * (2.0 * torch.randint(2, shape, generator=draw) - 1.0)


def random_linear(parents: Sequence[str], *, noise: str = "gaussian", scale: float = 1.0, seed: Seed) -> Additive:
    """A linear mechanism with weights uniform in +-[0.5, 2], as `random_scm(mechanism="linear")` draws it.

    Example:
        >>> random_linear(["x"], seed=0).parents
        ('x',)
    """
    weights = uniform_weights((len(parents),), generator(seed, "linear")).tolist()
    return linear(dict(zip(parents, weights, strict=True)), noise=noise, scale=scale)
