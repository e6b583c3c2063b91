"""The polynomial family: x_j := sum_i p_i(x_i) + u_j, a polynomial of low degree a parent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalkit.mechanisms.affine import linear, uniform_weights
from causalkit.mechanisms.base import Additive, names
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["Polynomial", "polynomial"]


@dataclass(frozen=True, eq=False)
class Polynomial:
    """f(x_pa) = sum_i sum_k c_ki x_i^k, k = 1 ... degree, [n, p] -> [n]; c [degree, p]."""

    coefficients: Tensor

    def __call__(self, parents: Tensor) -> Tensor:
        value = torch.zeros_like(parents)
        for row in self.coefficients.flip(0):  # Horner's scheme: the highest power first
            value = (value + row) * parents
        return value.sum(1)


def polynomial(
    parents: Sequence[str] = (), *, degree: int = 2, noise: str = "gaussian", scale: float = 1.0, seed: Seed
) -> Additive:
    """A mechanism x_j := sum_i p_i(x_i) + u_j with random polynomials p_i without interactions.

    p_i(x) = sum_k a_ik x^k / k!, k = 1 ... degree, with a_ik uniform in +-[0.5, 2]. Powers multiply along a path
    (degree 2 after 5 edges: 32), standardised or not, so rare draws become huge: use it on shallow graphs.

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        degree: Highest power, 2 or 3.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of the coefficients.

    Raises:
        ValueError: An unknown noise, a scale that is not positive, a degree other than 2 or 3.

    Example:
        >>> polynomial(["x"], degree=3, seed=0).function(torch.zeros(2, 1).double())
        tensor([0., 0.], dtype=torch.float64)
    """
    if degree not in (2, 3):
        raise ValueError(f"degree {degree} of a polynomial mechanism: give 2 or 3 (1 is ck.linear)")
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    weights = uniform_weights((degree, len(parents)), generator(seed, "polynomial"))
    factorials = torch.tensor([[float(math.factorial(k))] for k in range(1, degree + 1)], dtype=torch.float64)
    return Additive(parents, Noise(noise, float(scale)), Polynomial(weights / factorials))
