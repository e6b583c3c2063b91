"""The sigmoidal family: x_j := sum_i s_i(x_i) + u_j, a scaled sigmoid a parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalkit.mechanisms.affine import linear, uniform_weights
from causalkit.mechanisms.base import Additive, names
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["Sigmoids", "sigmoidal"]


@dataclass(frozen=True, eq=False)
class Sigmoids:
    """f(x_pa) = sum_i a_i z_i / (1 + |z_i|), z_i = b_i (x_i + c_i), [n, p] -> [n]; a, b, c [p]."""

    height: Tensor
    slope: Tensor
    offset: Tensor

    def __call__(self, parents: Tensor) -> Tensor:
        z = self.slope * (parents + self.offset)
        return (z / (1 + z.abs())) @ self.height


def sigmoidal(parents: Sequence[str] = (), *, noise: str = "gaussian", scale: float = 1.0, seed: Seed) -> Additive:
    """A mechanism x_j := sum_i a_i z_i / (1 + |z_i|) + u_j with z_i = b_i (x_i + c_i): monotone in every parent.

    a_i is 1 + an exponential draw of mean 1/4, b_i uniform in +-[0.5, 2], c_i uniform in [-2, 2]. Source: Buehlmann,
    Peters and Ernest (2014), Annals of Statistics 42, section on simulations with sigmoidal functions.

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of a, b and c.

    Raises:
        ValueError: An unknown noise, a scale that is not positive.

    Example:
        >>> bool(sigmoidal(["x"], seed=0).function(torch.tensor([[1e9]]).double()).abs() > 1)
        True
    """
    parents = names(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    draw = generator(seed, "sigmoidal")
    slope = uniform_weights((len(parents),), draw)
    height = 1 - 0.25 * torch.log1p(-torch.rand(len(parents), generator=draw, dtype=torch.float64))
    offset = 4 * torch.rand(len(parents), generator=draw, dtype=torch.float64) - 2
    return Additive(parents, Noise(noise, float(scale)), Sigmoids(height, slope, offset))
