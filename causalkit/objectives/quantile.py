"""An objective on the distribution of risks over environments: eqrm."""

from __future__ import annotations

import math

import torch

from causalkit.objectives.base import Batch, Objective, State, check_number

__all__ = ["eqrm", "quantile"]

POINTS, ROUNDS = 32, 4  # 32^4 parts of the line, then Newton


def eqrm(alpha: float = 0.75) -> Objective:
    """Empirical quantile risk minimisation: the risk that a share alpha of all environments stays below.

    The training environments' risks are seen as draws from a distribution, estimated by Gaussian kernels; its
    alpha-quantile takes the place of the mean risk. At 1/2 and with risks that lie symmetrically it is the mean, so
    erm; towards 1 it goes to the worst risk plus a growing multiple of their spread, so to `vrex` with a large weight.

    Source: Eastwood et al. (2022), algorithm 1, whose code begins with a stretch of ERM. With alpha near 1 begin with
    a lower learning rate instead.

    Args:
        alpha: The probability of doing no worse, from 0 to 1, both excluded.

    Raises:
        ValueError: An alpha outside these limits; in `fit`, fewer than 2 environments.

    Example:
        >>> batch = Batch(losses=(torch.zeros(1), torch.ones(1)))
        >>> eqrm(alpha=0.5)(batch), eqrm(alpha=0.9)(batch)
        (tensor(0.5000), tensor(1.5683))
    """
    check_number("eqrm", "alpha", alpha, most=1.0)
    if alpha in (0.0, 1.0):
        raise ValueError(f"eqrm: the quantile at alpha={alpha:g} is infinite: give a number inside, 0.75 or 0.99, say")
    return Objective(f"eqrm(alpha={alpha:g})", risk=_quantile_of_risks, dials={"alpha": alpha}, min_environments=2)


def _quantile_of_risks(batch: Batch, state: State) -> torch.Tensor:
    return quantile(batch.risks, state["alpha"])


def quantile(risks: torch.Tensor, alpha: torch.Tensor | float) -> torch.Tensor:
    """The alpha-quantile q of a Gaussian kernel density estimate: mean_e Phi((q - R_e) / h) = alpha.

    The bandwidth h is 1.06 s E^(-1/5), where s is the standard deviation of the E risks with ddof 1. To have a
    gradient where all risks are the same, s^2 is taken as at least 1e-8 times the mean risk squared.

    Source: the bandwidth is Silverman's (1986) rule for a normal distribution, as Eastwood et al. (2022) take it.

    Args:
        risks: [environments].
        alpha: Between 0 and 1.

    Example:
        >>> round(float(quantile(torch.tensor([1.0, 2.0, 3.0]), 0.5)), 4)
        2.0
    """
    values = risks.double()
    mean = values.mean()
    spread = (values.var(correction=1) + 1e-8 * mean**2 + 1e-30).sqrt()
    places, width = (values - mean) / spread, 1.06 * len(values) ** -0.2
    # bracket by bracket on fixed values; below, Newton's steps bring the derivatives (the first step the first, the
    # second the next two)
    still = places.detach()
    low, high = still.min() - 9 * width, still.max() + 9 * width
    for _ in range(ROUNDS):
        step = (high - low) / POINTS
        line = low + step * torch.arange(1, POINTS, dtype=still.dtype, device=still.device)
        below = (_normal((line[:, None] - still) / width).mean(1) < alpha).sum()
        low, high = low + step * below, low + step * (below + 1)
    found = (low + high) / 2
    for _ in range(2):
        z = (found - places) / width
        density = (torch.exp(-(z**2) / 2) / (math.sqrt(2 * math.pi) * width)).mean()
        found = found - (_normal(z).mean() - alpha) / density
    return (mean + spread * found).to(risks)


def _normal(z: torch.Tensor) -> torch.Tensor:
    """The normal distribution function, without loss in the lower tail."""
    return torch.erfc(-z / math.sqrt(2)) / 2
