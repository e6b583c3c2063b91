"""The Gaussian-process family: x_j := f(x_pa) + u_j, f a draw of a Gaussian process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalkit.mechanisms.affine import linear
from causalkit.mechanisms.base import Additive, names
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["FourierFeatures", "gp"]


@dataclass(frozen=True, eq=False)
class FourierFeatures:
    """f(x_pa) = cos(x_pa W + b) a, [n, p] -> [n]; W [p, m], b [m], a [m]."""

    frequencies: Tensor
    phases: Tensor
    amplitudes: Tensor

    def __call__(self, parents: Tensor) -> Tensor:
        return torch.cos(parents @ self.frequencies + self.phases) @ self.amplitudes


def gp(
    parents: Sequence[str] = (),
    *,
    lengthscale: float = 1.0,
    amplitude: float = 1.0,
    features: int = 128,
    noise: str = "gaussian",
    scale: float = 1.0,
    seed: Seed,
) -> Additive:
    """A mechanism x_j := f(x_pa) + u_j with f a draw of a Gaussian process with an RBF kernel.

    The kernel is k(x, z) = a^2 exp(-|x - z|^2 / (2 l^2)), and f(x) = a sqrt(2 / m) sum_k c_k cos(w_k x + b_k) with w_k
    standard normal / l, b_k uniform in [0, 2 pi] and c_k standard normal: m random Fourier features, whose covariance
    over seeds is k exactly and which tend to a Gaussian process as m grows (Rahimi and Recht 2007, algorithm 1).

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        lengthscale: l, in the units of the parents: how far f stays alike.
        amplitude: a, the standard deviation of f(x) over seeds, in the units of x_j.
        features: m.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of the function drawn.

    Raises:
        ValueError: An unknown noise, a scale, lengthscale, amplitude or number of features that is not positive.

    Example:
        >>> gp(["x", "z"], seed=0).function(torch.zeros(3, 2).double()).shape
        torch.Size([3])
    """
    for name, value in {"lengthscale": lengthscale, "amplitude": amplitude, "features": features}.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} {value} of a gp mechanism: give a positive number")
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    draw = generator(seed, "gp")
    frequencies = torch.randn(len(parents), features, generator=draw, dtype=torch.float64) / lengthscale
    phases = 2 * math.pi * torch.rand(features, generator=draw, dtype=torch.float64)
    heights = amplitude * math.sqrt(2 / features) * torch.randn(features, generator=draw, dtype=torch.float64)
    return Additive(parents, Noise(noise, float(scale)), FourierFeatures(frequencies, phases, heights))
