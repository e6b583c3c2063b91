"""Noise families: every one has mean 0 and the standard deviation that is asked for, an exact density, and draws by
its inverse distribution function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Gumbel, Laplace, MixtureSameFamily, Normal, StudentT, Uniform

from causalkit.errors import unknown
from causalkit.seeds import Seed, stream

__all__ = ["NOISES", "Noise", "bisect", "exponential", "gumbel", "mixture", "student_t"]


def bisect(function: Callable[[Tensor], Tensor], target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The x [n] within [low, high] at which an increasing function is the target [n], to the last bits, by halving.

    Example:
        >>> two = torch.tensor([2.0]).double()
        >>> bisect(lambda x: x**2, two, 0 * two, two)
        tensor([1.4142], dtype=torch.float64)
    """
    for _ in range(64):
        middle = (low + high) / 2
        below = function(middle) < target
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


class _Exponential(Distribution):
    """E - scale for an exponential E of mean `scale`: skewed to the right, support from -scale on."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__(validate_args=False)
        self.scale = scale

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * (-torch.log1p(-value) - 1)

    def cdf(self, value: Tensor) -> Tensor:
        return -torch.expm1(-(value / self.scale + 1).clamp_min(0))

    def log_prob(self, value: Tensor) -> Tensor:
        z = value / self.scale + 1
        return torch.where(z >= 0, -z - self.scale.log(), -torch.inf)


class _StudentT(StudentT):
    """Student's t with a distribution function and its inverse."""

    def icdf(self, value: Tensor) -> Tensor:
        from scipy.special import stdtrit

        quantile = torch.as_tensor(stdtrit(self.df.numpy(), value.numpy()), dtype=value.dtype)
        return self.loc + self.scale * quantile

    def cdf(self, value: Tensor) -> Tensor:
        from scipy.special import stdtr

        share = stdtr(self.df.numpy(), ((value - self.loc) / self.scale).numpy())
        return torch.as_tensor(share, dtype=value.dtype)


class _Mixture(MixtureSameFamily):
    """Two normals of equal weight and sd at -mean and +mean, with an inverse distribution function."""

    def icdf(self, value: Tensor) -> Tensor:
        parts = self.component_distribution
        # the quantile lies between those of the two components
        ends = parts.icdf(value.unsqueeze(-1))
        return bisect(self.cdf, value, ends[..., 0], ends[..., 1])


def exponential(scale: Tensor) -> Distribution:
    """Centred exponential noise of this standard deviation: f(u) = exp(-(u / scale + 1)) / scale for u >= -scale.

    Example:
        >>> float(exponential(torch.ones(())).icdf(torch.zeros(())))
        -1.0
    """
    return _Exponential(scale)


def student_t(scale: Tensor, df: float = 5.0) -> Distribution:
    """Student's t with df degrees of freedom, scaled by sqrt((df - 2) / df) to this standard deviation: heavy tails.

    Example:
        >>> student_t(torch.tensor(2.0)).variance.round()
        tensor(4.)
    """
    width = scale * math.sqrt((df - 2) / df)
    return _StudentT(torch.full_like(scale, df), torch.zeros_like(scale), width, validate_args=False)


def gumbel(scale: Tensor) -> Distribution:
    """Centred Gumbel noise of this standard deviation: width b = scale sqrt(6) / pi, mode at -0.5772 b.

    Example:
        >>> gumbel(torch.tensor(1.0)).variance.round()
        tensor(1.)
    """
    width = scale * math.sqrt(6) / math.pi
    return Gumbel(-0.5772156649015329 * width, width, validate_args=False)  # minus Euler's constant times the width


def mixture(scale: Tensor) -> Distribution:
    """Half N(-0.9, 0.19) and half N(0.9, 0.19), times scale: two humps, symmetric, standard deviation `scale`.

    Example:
        >>> mixture(torch.tensor(1.0)).variance.round()
        tensor(1.)
    """
    means = scale.unsqueeze(-1) * torch.tensor([-0.9, 0.9], dtype=scale.dtype)
    widths = (scale * math.sqrt(1 - 0.9**2)).unsqueeze(-1).expand_as(means)
    weights = Categorical(probs=torch.full_like(means, 0.5))
    return _Mixture(weights, Normal(means, widths, validate_args=False), validate_args=False)


NOISES: Mapping[str, Callable[[Tensor], Distribution]] = MappingProxyType(
    {
        "gaussian": lambda scale: Normal(torch.zeros_like(scale), scale, validate_args=False),
        "laplace": lambda scale: Laplace(torch.zeros_like(scale), scale / 2**0.5, validate_args=False),
        "uniform": lambda scale: Uniform(-scale * 3**0.5, scale * 3**0.5, validate_args=False),
        "exponential": exponential,
        "student_t": student_t,
        "gumbel": gumbel,
        "mixture": mixture,
    }
)
"""Noise families: name -> torch distribution of mean 0 whose standard deviation is the given scale."""


@dataclass(frozen=True)
class Noise:
    """Noise u of a family, with standard deviation `scale` and mean `location`.

    Attributes:
        family: A key of `NOISES`.
        scale: Standard deviation; positive.
        location: Mean.
        df: Degrees of freedom of "student_t", above 2 (from 2 down, there is no variance); others do not read it.

    Raises:
        ValueError: An unknown family, a scale that is not positive, df of 2 or less.

    Example:
        >>> noise = Noise("laplace", scale=2.0)
        >>> noise.sample(3, seed=0).shape
        torch.Size([3])
    """

    family: str = "gaussian"
    scale: float = 1.0
    location: float = 0.0
    df: float = 5.0

    def __post_init__(self) -> None:
        if self.family not in NOISES:
            raise unknown("noise", self.family, NOISES)
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"noise scale {self.scale} is not a positive number: give a standard deviation > 0")
        if not 2 < self.df < float("inf"):
            raise ValueError(f"df = {self.df} degrees of freedom: give a number above 2, so that there is a variance")

    def standard(self, scale: Tensor) -> Distribution:
        """The family's distribution of mean 0 and this standard deviation."""
        return student_t(scale, self.df) if self.family == "student_t" else NOISES[self.family](scale)

    def sample(self, n: int, *, seed: Seed) -> Tensor:
        """n independent values [n], float64. The same seed gives the same standard draw, then scaled and moved."""
        draw = stream(seed)
        if self.family == "gaussian":
            standard = torch.from_numpy(draw.standard_normal(n))
        else:
            # the open unit interval, so that the inverse distribution function stays finite
            unit = torch.from_numpy(draw.random(n)).clamp_(1e-12, 1 - 1e-12)
            standard = self.standard(torch.ones((), dtype=torch.float64)).icdf(unit)
        if self.scale != 1.0:
            standard *= self.scale
        return standard if self.location == 0.0 else standard.add_(self.location)

    def log_prob(self, u: Tensor) -> Tensor:
        """Log-density [n] in nats of the values u [n]; -inf outside the support."""
        if self.family == "gaussian":  # written out: it takes half the time of torch's
            z = (u - self.location) / self.scale
            return z.square().mul_(-0.5).sub_(math.log(self.scale * math.sqrt(2 * math.pi)))
        scale = torch.as_tensor(self.scale, dtype=u.dtype)
        return self.standard(scale).log_prob(u - self.location)

    def cdf(self, u: Tensor) -> Tensor:
        """P(noise <= u) [n] for the values u [n]: uniform on [0, 1] where u is a draw of this noise.

        Example:
            >>> Noise("uniform").cdf(torch.tensor([-2.0, 0.0, 2.0]))
            tensor([0.0000, 0.5000, 1.0000])
        """
        return self.standard(torch.as_tensor(self.scale, dtype=u.dtype)).cdf(u - self.location)
