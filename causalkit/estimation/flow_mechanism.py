"""The mechanism that a causal flow learns for one variable: affine, and its noise's shape by a monotone spline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from causalkit.estimation.stacked import Network
from causalkit.mechanisms import Equation

__all__ = ["Flow", "Location", "LogScale", "log_density", "log_scale", "shape", "width"]

_BINS = 5


def width(spline: bool) -> int:
    """How many numbers a network gives: location, log-scale and, with a spline, its widths, heights and slopes."""
    return 2 + (3 * _BINS - 1) * spline


def log_scale(numbers: Tensor) -> Tensor:
    """log s [...] from a network's numbers [..., 2 or more]: the second, kept within +-log 1000."""
    raw = numbers[..., 1]
    return raw / (1 + raw.abs() / math.log(1000))


def shape(numbers: Tensor) -> MonotonicRQSTransform:
    """The increasing spline from (g - l) / s to the standard normal noise that a network's numbers [..., 16] make.

    It bends within [-5, 5] and is the identity outside; its slopes are within [1/1000, 1000]; numbers that are 0 make
    the identity. Source: Durkan et al. (2019), Neural spline flows, section 3.1, with zuko's transform.
    """
    return MonotonicRQSTransform(*numbers[..., 2:].split([_BINS, _BINS, _BINS - 1], -1))


def log_density(numbers: Tensor, value: Tensor) -> Tensor:
    """log p(g | x_pa) [...], nats, for the value g [...] and a network's numbers [..., 2 or 16], u standard normal."""
    size = log_scale(numbers)
    u, slope = (value - numbers[..., 0]) * (-size).exp(), -size
    if numbers.shape[-1] > 2:
        u, bent = shape(numbers).call_and_ladj(u)
        slope = slope + bent
    return slope - 0.5 * u.square() - 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Location:
    """l(x_pa) [n], the first of the numbers that a network gives."""

    network: Network

    def __call__(self, parents: Tensor) -> Tensor:
        return self.network(parents)[:, 0].expand(len(parents))


@dataclass(frozen=True, eq=False)
class LogScale:
    """log s(x_pa) [n], from the second of the numbers that a network gives."""

    network: Network

    def __call__(self, parents: Tensor) -> Tensor:
        return log_scale(self.network(parents)).expand(len(parents))


@dataclass(frozen=True, eq=False)
class Flow(Equation):
    """x_j := (l(x_pa) + s(x_pa) q(u_j; x_pa) - centre) / spread, q an increasing spline, u_j standard normal.

    One network, `function`, gives l, log s and q from the parents' values, so noise of any shape, which may depend on
    the parents, is in reach. That x_j increases in u_j is an assumption that no data can check: a mechanism which is
    not monotone in its noise has the same distribution under every do(), and other counterfactuals.

    Source: Javaloy, Sanchez-Martin and Valera (2023), Causal normalizing flows, section 4 (one layer, from data to
    noise).
    """

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        numbers = self.function(parents)
        return numbers[:, 0] + log_scale(numbers).exp() * shape(numbers).inv(u)

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        numbers = self.function(parents)
        return shape(numbers)((value - numbers[:, 0]) * (-log_scale(numbers)).exp())

    def log_slope(self, parents: Tensor, value: Tensor) -> Tensor:
        numbers = self.function(parents)
        size = log_scale(numbers)
        return shape(numbers).call_and_ladj((value - numbers[:, 0]) * (-size).exp())[1] - size
