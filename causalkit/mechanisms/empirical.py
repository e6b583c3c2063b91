"""Empirical noise: the shape of values that were seen, such as a regression's residuals, in place of a family's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from causalkit.mechanisms.noises import Noise

__all__ = ["Empirical", "Shape"]


@dataclass(frozen=True, eq=False)
class Shape:
    """A density of mean 0 and sd 1: straight lines between knots, exponential tails beyond the first and the last.

    Attributes:
        knots: Where the density is tabled, increasing [k].
        density: Its values there, positive [k].
        tail: The length over which a tail falls by a factor of e.

    Example:
        >>> shape = Shape.of(torch.linspace(-1.0, 1.0, 201).double())
        >>> shape.cdf(shape.icdf(torch.tensor([0.1, 0.5]).double()))
        tensor([0.1000, 0.5000], dtype=torch.float64)
    """

    knots: Tensor
    density: Tensor
    tail: float

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """The shape of these values [n], by a kernel density estimate.

        Gaussian kernels on t = asinh of the values in sds, so that heavy tails are short. Of seven bandwidths, from
        Silverman's rule (1986, equation 3.31) down to a tenth of it, it takes the one under which each value is
        likeliest given those that differ from it: a copy, of drawing with replacement, is no evidence. One part in
        n + 1 is a Laplace distribution, so that nothing is impossible.
        """
        from scipy.ndimage import gaussian_filter1d

        n, t = len(values), np.arcsinh(((values - values.mean()) / values.std(correction=0)).numpy())
        middle = float(np.diff(np.quantile(t, [0.25, 0.75]))[0]) / 1.34
        widest = 0.9 * min(float(t.std()), middle or float(t.std())) * n**-0.2
        step = max(widest / 20, float(np.ptp(t)) / 2000)
        grid = np.arange(t.min() - 5 * widest - step, t.max() + 5 * widest + step, step)
        place = (t - grid[0]) / step  # each value is shared out between the two grid points around it
        left = place.astype(np.int64)
        counts = np.bincount(left, left + 1 - place, len(grid)) + np.bincount(left + 1, place - left, len(grid))
        alike = np.unique(t.round(9), return_inverse=True, return_counts=True)
        copies = alike[2][alike[1]]
        best, density = -np.inf, counts
        for width in widest * np.geomspace(1, 0.1, 7):
            smooth = gaussian_filter1d(counts, width / step, mode="constant", truncate=5) / (n * step)
            own = copies / (width * math.sqrt(2 * math.pi))
            others = (n * np.interp(t, grid, smooth) - own) / (n - copies)
            likely = float(np.log(np.maximum(others, 1e-3 / n)).mean())
            if likely > best:
                best, density = likely, smooth
        z = np.sinh(grid)
        laplace = np.exp(-abs(z) * math.sqrt(2)) / math.sqrt(2)
        mixed = (n * density / np.cosh(grid) + laplace) / (n + 1)
        return cls._standard(torch.from_numpy(z), torch.from_numpy(mixed), 1 / math.sqrt(2))

    @classmethod
    def _standard(cls, x: Tensor, p: Tensor, tail: float) -> Self:
        """The shape of the density p [k] at x [k], divided by its mass, moved and stretched to mean 0 and sd 1."""

        def integral(power: int) -> float:
            # of p x^power: Simpson's rule on each piece, exact for cubics; the tails in closed form
            middle = 2 * (p[1:] + p[:-1]) * ((x[1:] + x[:-1]) / 2) ** power
            inner = (x.diff() * (p[1:] * x[1:] ** power + p[:-1] * x[:-1] ** power + middle)).sum() / 6
            low, high = [
                (torch.ones(()), end + side * tail, end**2 + side * 2 * end * tail + 2 * tail**2)[power]
                for end, side in ((x[0], -1), (x[-1], 1))
            ]
            return float(inner + tail * (p[0] * low + p[-1] * high))

        mass = integral(0)
        centre = integral(1) / mass
        sd = math.sqrt(integral(2) / mass - centre**2)
        return cls((x - centre) / sd, p * (sd / mass), tail / sd)

    def _piece(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The piece [0, k - 2] that z lies in, the first or last one if beyond; and the density's slope there."""
        k = (torch.searchsorted(self.knots, z.contiguous()) - 1).clamp(0, len(self.knots) - 2)
        return k, (self.density[k + 1] - self.density[k]) / (self.knots[k + 1] - self.knots[k])

    def _cumulative(self) -> Tensor:
        """The distribution function at the knots [k]."""
        pieces = (self.density[1:] + self.density[:-1]) / 2 * self.knots.diff()
        return self.tail * self.density[0] + torch.cat([torch.zeros(1, dtype=pieces.dtype), pieces.cumsum(0)])

    def log_pdf(self, z: Tensor) -> Tensor:
        """The log-density at z, of any shape."""
        k, slope = self._piece(z)
        inside = (self.density[k] + slope * (z - self.knots[k])).clamp_min(torch.finfo(z.dtype).tiny).log()
        beyond = torch.maximum(self.knots[0] - z, z - self.knots[-1])
        end = torch.where(z < self.knots[0], self.density[0], self.density[-1]).log()
        return torch.where(beyond > 0, end - beyond / self.tail, inside)

    def cdf(self, z: Tensor) -> Tensor:
        """The distribution function at z, of any shape."""
        k, slope = self._piece(z)
        step = z - self.knots[k]
        inside = self._cumulative()[k] + step * (self.density[k] + slope * step / 2)
        low = self.tail * self.density[0] * ((z - self.knots[0]) / self.tail).clamp(max=0).exp()
        high = 1 - self.tail * self.density[-1] * ((self.knots[-1] - z) / self.tail).clamp(max=0).exp()
        return torch.where(z < self.knots[0], low, torch.where(z > self.knots[-1], high, inside))

    def icdf(self, u: Tensor) -> Tensor:
        """The inverse of the distribution function at u in (0, 1), of any shape."""
        below = self._cumulative()
        k = (torch.searchsorted(below, u.contiguous()) - 1).clamp(0, len(below) - 2)
        slope = (self.density[k + 1] - self.density[k]) / (self.knots[k + 1] - self.knots[k])
        # the root of slope s^2 / 2 + p s = u - below, in the form that does not cancel
        rest, p = u - below[k], self.density[k]
        inside = self.knots[k] + 2 * rest / (p + (p**2 + 2 * slope * rest).clamp_min(0).sqrt())
        low = self.knots[0] + self.tail * (u / below[0]).clamp(max=1).log()
        high = self.knots[-1] - self.tail * ((1 - u) / (1 - below[-1])).clamp(max=1).log()
        return torch.where(u < below[0], low, torch.where(u > below[-1], high, inside))


class _Shaped(Distribution):
    """A shape of mean 0, stretched to this standard deviation."""

    def __init__(self, shape: Shape, scale: Tensor) -> None:
        super().__init__(validate_args=False)
        self.shape, self.scale = shape, scale

    def cdf(self, value: Tensor) -> Tensor:
        return self.shape.cdf(value / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * self.shape.icdf(value)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.shape.log_pdf(value / self.scale) - self.scale.log()


@dataclass(frozen=True)
class Empirical(Noise):
    """Noise u with the shape of values that were seen; the other attributes are those of `Noise`.

    Attributes:
        shape: The density at mean 0 and standard deviation 1.

    Raises:
        ValueError: No shape, a scale that is not positive.

    Example:
        >>> residuals = Noise("exponential", scale=2.0).sample(5000, seed=0)
        >>> noise = Empirical.of(residuals)
        >>> noise, bool(noise.sample(5000, seed=1).min() > -2.5)
        (Empirical(scale=2.00, location=0.00), True)
    """

    family: str = "empirical"
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.shape is None:
            raise ValueError("empirical noise needs the values that it takes its shape from: Empirical.of(values)")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"noise scale {self.scale} is not a positive number: give a standard deviation > 0")

    def __repr__(self) -> str:
        return f"Empirical(scale={self.scale:.2f}, location={self.location:.2f})"

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """Noise with the shape and the standard deviation of these values [n], and mean 0: n >= 2, not all the same."""
        return cls(scale=float(values.std(correction=0)), shape=Shape.of(values))

    def standard(self, scale: Tensor) -> Distribution:
        return _Shaped(self.shape, scale)  # type: ignore[arg-type]
