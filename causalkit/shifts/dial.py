"""The dial: the strength at which a shift is so many nats from the original.

KL(shifted || original) is computed on the same rows for every strength, so that it is a smooth function of it. The
first strength on a doubling grid that reaches the wanted value, on few rows, says where to look; there the root is
found (Brent's method, by SciPy), and with more rows again, until the divergence is known to 0.5%.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from causalkit.divergence import BLOCK, BLOCKS, standard_error, terms, tilted_kl
from causalkit.scm import SCM
from causalkit.seeds import integer
from causalkit.shifts.tilt import Tilt

if TYPE_CHECKING:
    from causalkit.shifts.shift import Shift

__all__ = ["Unreachable", "solve"]

GRID = tuple(2.0**k for k in range(-10, 11))
"""Strengths at which the dial looks for the wanted divergence, from 1/1024 to 1024."""
WIDEST = 256.0
"""The largest strength of how="scale", whose factor exp(256) squared is still a number."""
KEPT = 1e-3
"""The smallest share of rows that a selection made by the dial keeps: with less, few rows decide its divergence."""


class Unreachable(ValueError):
    """No strength of this shift gives the nats that were asked for."""


Measure = Callable[[float, int], tuple[float, float]]
"""From a strength and a number of blocks of rows to the divergence and its standard error, both in nats."""


def solve(shift: Shift, scm: SCM, precision: float = 0.005) -> float:
    """The least strength found at which KL(shift.by(scm, strength) || scm) is shift.nats.

    Args:
        shift: One that was made with nats=.
        scm: What it is applied to.
        precision: Rows are added until the standard error of the divergence is this share of it, or BLOCKS are used.

    Raises:
        Unreachable: The divergence stays below the wanted one (the largest is named), or is infinite however small
            the strength (the noise is named, and an alternative), or has tails so heavy that its standard error is
            still over four times what it should be when all BLOCKS are used.
    """
    nats = float(shift.nats)  # type: ignore[arg-type]
    if nats == 0:
        return 0.0
    curve, limit = _of_selection(shift, scm) if shift.selects(scm) else _of_mechanisms(shift, scm)
    measure = lru_cache(maxsize=None)(curve)
    if math.isinf(measure(GRID[0], 0)[0]):
        raise _infinite(shift, scm)
    grid = [*(s for s in GRID if s < limit), limit]
    near = next((s for s in grid if measure(s, 0)[0] >= nats), None)
    near = max(grid, key=lambda s: measure(s, 0)[0]) if near is None else near
    blocks, strength = 1, _root(measure, nats, near, limit, 1, step=2.0)
    # a selection is judged by one score a row, so more of them cost little
    wanted = precision / 2 if shift.selects(scm) else precision
    while (needed := _blocks(*measure(near if strength is None else strength, blocks), blocks, wanted)) > 1.5 * blocks:
        blocks = needed  # where tails are heavy, few rows think too well of themselves: look again with more
        strength = _root(measure, nats, near if strength is None else strength, limit, blocks, step=1.05)
    if strength is None:
        raise Unreachable(
            f"{nats:g} nats are out of reach: a {shift.kind} shift of direction {shift.direction:+d} gives at most "
            f"{measure(near, blocks)[0]:.3g} nats on this SCM (looked at up to strength {limit:.4g}): ask for less, "
            f"or turn the direction"
        )
    if blocks == BLOCKS and measure(strength, blocks)[1] > 4 * precision * nats:
        raise _heavy(shift, scm, strength, measure(strength, blocks)[1] / nats)
    return strength


def _blocks(value: float, se: float, blocks: int, precision: float) -> int:
    """The blocks of rows with which the standard error is this share of the value, judged by so many."""
    return min(BLOCKS, math.ceil(blocks * (se / (precision * value)) ** 2)) if se else blocks


def _root(measure: Measure, nats: float, near: float, limit: float, blocks: int, *, step: float) -> float | None:
    """The strength at which the divergence is `nats`, looked for from `near` on in growing steps; None if too far."""
    from scipy.optimize import brentq

    low = high = near
    while measure(high, blocks)[0] < nats:
        if high >= limit:
            return None
        low, high, step = high, min(high * step, limit), step**1.5
    while measure(low, blocks)[0] >= nats:
        low, high, step = low / step, low, step**1.5

    def excess(strength: float) -> float:
        # far up, it may be larger than the largest number
        return min(measure(strength, blocks)[0] / nats, 1e6) - 1

    return float(brentq(excess, low, high, rtol=1e-7 if blocks == 1 else 1e-4))


def _of_mechanisms(shift: Shift, scm: SCM) -> tuple[Measure, float]:
    """The divergence as a function of the strength and the blocks of rows, and the largest strength."""

    def measure(strength: float, blocks: int) -> tuple[float, float]:
        total, _ = _terms(shift, scm, strength, blocks)
        return float(total.mean()), standard_error(total)

    return measure, WIDEST if shift.how == "scale" else GRID[-1]


def _terms(shift: Shift, scm: SCM, strength: float, blocks: int) -> tuple[Tensor, dict[str, float]]:
    """The divergence given the parents [n], on rows that are the same for all strengths, and its mean a mechanism."""
    shifted = shift.moved(scm, shift.direction * strength)
    fixed, drawn, how = terms(shifted, scm, integer(0, "dial"), max(blocks, 1), BLOCK if blocks else 2_000)
    means = zip((v for v in how if v not in fixed), drawn.mean(0).tolist(), strict=True)
    return drawn.sum(1) + sum(fixed.values()), {**fixed, **dict(means)}


def _of_selection(shift: Shift, scm: SCM) -> tuple[Measure, float]:
    """As `_of_mechanisms`; the largest strength is the one at which a share KEPT of the rows is kept."""
    from scipy.optimize import brentq

    tilt = Tilt.of(scm, shift.drivers(scm), shift.direction)
    source = scm.marginal(tilt.on)
    scores: list[np.ndarray] = []

    def log_weights(strength: float, blocks: int) -> tuple[np.ndarray, float]:
        while len(scores) < max(blocks, 1):
            scores.append(tilt.score(source.sample(BLOCK, seed=integer(0, "dial", len(scores)), hidden=True)))
        log_weight = shift.direction * strength * np.concatenate(scores[: max(blocks, 1)])
        return log_weight, float(np.logaddexp.reduce(log_weight) - math.log(len(log_weight)))

    def measure(strength: float, blocks: int) -> tuple[float, float]:
        log_weight, log_mass = log_weights(strength, blocks)
        return tilted_kl(log_weight - log_mass)

    def spare(strength: float) -> float:
        return log_weights(strength, 1)[1] - 3 * strength - math.log(KEPT)

    return measure, GRID[-1] if spare(GRID[-1]) > 0 else float(brentq(spare, 0, GRID[-1]))


def _infinite(shift: Shift, scm: SCM) -> Unreachable:
    name = next(v for v, nats in _terms(shift, scm, GRID[0], 0)[1].items() if math.isinf(nats))
    family = scm.mechanisms[name].noise.family
    return Unreachable(
        f"the divergence is infinite at any strength: {name!r} has {family} noise, and the shift makes values that "
        f"the original cannot make. Let how='scale', direction=-1 narrow its noise, give it noise with unbounded "
        f"support (gaussian, laplace), or set strength= and do without nats"
    )


def _heavy(shift: Shift, scm: SCM, strength: float, error: float) -> Unreachable:
    start = f"{shift.nats:g} nats cannot be told: {BLOCK * BLOCKS:,} draws leave a standard error of {error:.0%}, for "
    if shift.selects(scm):
        return Unreachable(f"{start}too few of them are kept: ask for less, or set strength= and do without nats")
    of = _terms(shift, scm, strength, 1)[1]
    name = max(of, key=of.__getitem__)
    return Unreachable(
        f"{start}what the shift costs at {name!r}, which has {scm.mechanisms[name].noise.family} noise, has tails so "
        f"heavy over its parents that the mean may be infinite. Use how='scale', noise with heavier tails there or "
        f"lighter ones upstream, or set strength= and do without nats"
    )
