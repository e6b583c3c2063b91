"""The dial: the strength at which a shift is so many nats from the original.

KL(shifted || original) is computed on the same rows for every strength, so that it is a smooth function of it. The
first strength on a doubling grid that reaches the wanted value ends a bracket, in which the root is found (Brent's
method, by SciPy); with more rows again, until the divergence there is known to 0.5%.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from causalkit.divergence import BLOCK, BLOCKS, kl, standard_error, terms, tilted_kl
from causalkit.scm import SCM
from causalkit.seeds import integer
from causalkit.shifts.tilt import Tilt

if TYPE_CHECKING:
    from causalkit.shifts.kinds import Shift

__all__ = ["Unreachable", "solve"]

GRID = tuple(2.0**k for k in range(-10, 11))
"""Strengths at which the dial looks for the wanted divergence, from 1/1024 to 1024."""
KEPT = 1e-4
"""The smallest share of rows that a selection made by the dial keeps."""


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
            the strength (the noise is named, and an alternative).
    """
    nats = float(shift.nats)  # type: ignore[arg-type]
    if nats == 0:
        return 0.0
    measure = _of_selection(shift, scm) if shift.selects(scm) else _of_mechanisms(shift, scm)
    low, high = _bracket(shift, scm, measure, nats)
    strength = _root(measure, nats, low, high, 1)
    _, se = measure(strength, 1)
    # a selection is judged by one score a row, so more of them cost little
    precision = precision / 3 if shift.selects(scm) else precision
    blocks = min(BLOCKS, math.ceil((se / (precision * nats)) ** 2))
    if blocks > 1:
        strength = _root(measure, nats, 0.95 * strength, 1.05 * strength, blocks)
    return strength


def _bracket(shift: Shift, scm: SCM, measure: Measure, nats: float) -> tuple[float, float]:
    """Two neighbours of the grid between which the divergence reaches `nats` for the first time."""
    before, largest = 0.0, 0.0
    for strength in GRID:
        value, _ = measure(strength, 0)
        if math.isinf(value):
            raise _infinite(shift, scm, strength)
        if math.isnan(value):
            break
        if value >= nats:
            return before, strength
        before, largest = strength, max(largest, value)
    raise Unreachable(
        f"{nats:g} nats are out of reach: a {shift.kind} shift of direction {shift.direction:+d} gives at most "
        f"{largest:.3g} nats on this SCM (looked at up to strength {before:g}): ask for less, or turn the direction"
    )


def _root(measure: Measure, nats: float, low: float, high: float, blocks: int) -> float:
    """The strength within (or, should the rows disagree, near) the bracket at which the divergence is `nats`."""
    from scipy.optimize import brentq

    def excess(strength: float) -> float:
        return measure(strength, blocks)[0] - nats if strength else -nats

    while excess(low) > 0:
        low /= 2
    while excess(high) < 0:
        high *= 1.1
    return float(brentq(excess, low, high, rtol=1e-7))


def _of_mechanisms(shift: Shift, scm: SCM) -> Measure:
    def measure(strength: float, blocks: int) -> tuple[float, float]:
        shifted = shift.moved(scm, shift.direction * strength)
        fixed, drawn, _ = terms(shifted, scm, integer(0, "dial"), max(blocks, 1), BLOCK if blocks else 2_000)
        total = drawn.sum(1)
        return sum(fixed.values()) + float(total.mean()), standard_error(total)

    return measure


def _of_selection(shift: Shift, scm: SCM) -> Measure:
    tilt = Tilt.of(scm, shift.drivers(scm), shift.direction)
    scores: list[np.ndarray] = []

    def measure(strength: float, blocks: int) -> tuple[float, float]:
        while len(scores) < max(blocks, 1):
            seed = integer(0, "dial", len(scores))
            scores.append(tilt.score(scm.marginal(tilt.on).sample(BLOCK, seed=seed, hidden=True)))
        log_weight = shift.direction * strength * np.concatenate(scores[: max(blocks, 1)])
        log_mass = float(np.logaddexp.reduce(log_weight) - math.log(len(log_weight)))
        if log_mass - 3 * strength < math.log(KEPT):
            return math.nan, math.nan  # further than rejection sampling goes
        return tilted_kl(log_weight - log_mass)

    return measure


def _infinite(shift: Shift, scm: SCM, strength: float) -> Unreachable:
    table = kl(shift.by(scm, strength), scm, seed=0)
    name = table.index[np.isinf(table["nats"])][0]
    family = scm.mechanisms[name].noise.family
    return Unreachable(
        f"the divergence is infinite at any strength: {name!r} has {family} noise, and the shift makes values that "
        f"the original cannot make. Let how='scale', direction=-1 narrow its noise, give it noise with unbounded "
        f"support (gaussian, laplace), or set strength= and do without nats"
    )
