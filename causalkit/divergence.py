"""How far a shifted SCM is from the original: the Kullback-Leibler divergence of the joint, mechanism by mechanism.

The causal factorisation p(x) = prod_j p(x_j | x_pa(j)) splits it into what each changed mechanism adds:

    KL(p' || p) = sum over changed j of E_{x_pa ~ p'} KL( p'(x_j | x_pa) || p(x_j | x_pa) )

with the parents drawn under the shifted SCM p'. The divergence given the parents is in closed form for Gaussian,
Laplace, Gumbel, uniform, exponential and categorical mechanisms, and a quadrature over the noise otherwise; the mean
over parents is a Monte Carlo average with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Distribution, Gumbel, Laplace, MixtureSameFamily, Normal, Uniform, kl_divergence

from causalkit.mechanisms import Categorical, Constant, Equation, Mechanism, Noise, PostNonlinear
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer
from causalkit.selection import Selected

__all__ = ["conditional_kl", "kl", "noise_kl", "standard_error", "terms", "tilted_kl"]

BLOCK = 20_000
"""Rows of parents drawn at a time."""
BLOCKS = 64
"""The most blocks drawn, 1,280,000 rows."""
GRID = 400
"""Distances at which a divergence without a closed form is computed; between them, a spline."""
EULER = 0.5772156649015329

_LOCATED: dict[str, Callable[[Tensor, Tensor], Distribution]] = {
    "gaussian": lambda mean, sd: Normal(mean, sd, validate_args=False),
    "laplace": lambda mean, sd: Laplace(mean, sd / 2**0.5, validate_args=False),
    "uniform": lambda mean, sd: Uniform(mean - sd * 3**0.5, mean + sd * 3**0.5, validate_args=False),
    "gumbel": lambda mean, sd: Gumbel(mean - EULER * sd * 6**0.5 / math.pi, sd * 6**0.5 / math.pi, validate_args=False),
}


def kl(shifted: SCM | Selected, scm: SCM, *, seed: Seed, precision: float = 0.005) -> pd.DataFrame:
    """KL(shifted || scm) of the joint over all variables, hidden ones included, split by changed mechanism.

    Args:
        shifted: What a shift, `do` or `replace` made of the SCM.
        scm: The original, over the same variables.
        seed: Of the parents' draws.
        precision: Rows are drawn in blocks of 20,000 until the standard error of the sum is this share of it, or
            1,280,000 rows are used.

    Returns:
        A row a changed mechanism (and one called "selection" for a `Selected`): `nats`, infinite where the shifted
        mechanism makes what the original cannot; `se`, its Monte Carlo standard error, 0 where nothing was drawn;
        `how`: "closed form", "quadrature" or "Monte Carlo" for what is computed given the parents.

    Raises:
        ValueError: Other variables than the original's, or no SCM at all.
        NotInvertible: A changed mechanism whose density is not known.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> kl(ck.shifts.covariate("y", strength=1.0)(scm), scm, seed=0)
           nats   se          how
        x   0.5  0.0  closed form
    """
    base = integer(seed, "kl")
    if isinstance(shifted, Selected):
        return _selected_kl(shifted, scm, base, precision)
    if not isinstance(shifted, SCM):
        raise ValueError(f"{shifted!r} is no SCM: if it is a shift, call it with the SCM, ck.kl(shift(scm), scm, ...)")
    if set(shifted.variables) != set(scm.variables):
        odd = sorted(set(shifted.variables) ^ set(scm.variables))
        raise ValueError(f"the two SCMs are over different variables: {', '.join(odd)} is in one of them alone")
    blocks, enough = 1, False
    while not enough:
        fixed, drawn, how = terms(shifted, scm, base, blocks)
        total, se = float(drawn.sum(1).mean()) + sum(fixed.values()), standard_error(drawn.sum(1))
        # an infinite sum, whose error is not a number, does not get better
        enough = not se > precision * total or blocks >= BLOCKS
        blocks *= 4
    nats = {**fixed, **dict(zip([v for v in how if v not in fixed], drawn.mean(0).tolist(), strict=True))}
    errors = {v: standard_error(drawn[:, i]) for i, v in enumerate(v for v in how if v not in fixed)}
    rows = {v: (nats[v], errors.get(v, 0.0) if math.isfinite(nats[v]) else 0.0, how[v]) for v in how}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["nats", "se", "how"])


def terms(
    shifted: SCM, scm: SCM, seed: int, blocks: int, rows: int = BLOCK
) -> tuple[dict[str, float], Tensor, dict[str, str]]:
    """What every changed mechanism adds to the divergence: known numbers, and numbers [blocks * rows, m] a draw.

    Returns:
        Variable -> nats where it does not depend on the parents; the m others' nats given the parents that were
        drawn, a column each; variable -> how, all changed ones in the order of the SCM, so the columns' order too.
    """
    fixed, how = {}, {}
    for v in changed_mechanisms(shifted, scm):
        known = _without_parents(shifted.mechanisms[v], scm.mechanisms[v])
        how[v] = known[1] if known else ""
        if known:
            fixed[v] = known[0]
    drawn = [v for v in how if v not in fixed]
    if not drawn:
        return fixed, torch.zeros(1, 0, dtype=torch.float64), how
    parents = tuple({p: None for v in drawn for model in (shifted, scm) for p in model.mechanisms[v].parents})
    kept = tuple(shifted.marginal(parents).mechanisms.items())
    pieces = []
    for block in range(blocks):
        values = _parents_values(kept, parents, integer(seed, block), rows)
        columns = []
        for v in drawn:
            inputs = [
                torch.stack([values[p] for p in model.mechanisms[v].parents], 1)
                if model.mechanisms[v].parents
                else torch.zeros(rows, 0, dtype=torch.float64)
                for model in (shifted, scm)
            ]
            nats, how[v] = conditional_kl(shifted.mechanisms[v], scm.mechanisms[v], *inputs)
            columns.append(nats)
        pieces.append(torch.stack(columns, 1))
    return fixed, torch.cat(pieces), how


@lru_cache(maxsize=BLOCKS + 1)
def _parents_values(
    mechanisms: tuple[tuple[str, Mechanism], ...], names: tuple[str, ...], seed: int, rows: int
) -> dict[str, Tensor]:
    """Draws [rows] of variables of an SCM; kept, since the parents often stay what they are as a dial turns."""
    frame = SCM(dict(mechanisms)).sample(rows, seed=seed)
    return {v: torch.from_numpy(frame[v].to_numpy(np.float64, copy=True)) for v in names}


def standard_error(values: Tensor) -> float:
    """sd / sqrt(n) of values [n]; 0 for a single one."""
    return float(values.std(correction=0)) / math.sqrt(len(values))


def changed_mechanisms(shifted: SCM, scm: SCM) -> list[str]:
    """The variables whose mechanisms are not the very same, in the order of the SCM."""
    return [v for v in scm.variables if shifted.mechanisms[v] is not scm.mechanisms[v]]


def conditional_kl(new: Mechanism, old: Mechanism, parents: Tensor, old_parents: Tensor) -> tuple[Tensor, str]:
    """KL(p'(x_j | x_pa) || p(x_j | x_pa)) [n] given the parents' values [n, p] of each, and how it was computed.

    Example:
        >>> from causalkit.mechanisms import linear
        >>> x = torch.tensor([[1.0], [2.0]]).double()
        >>> conditional_kl(linear({"x": 2.0}), linear({"x": 1.0}), x, x)[0]
        tensor([0.5000, 2.0000], dtype=torch.float64)
    """
    if isinstance(new, Constant) or (new.levels is None) != (old.levels is None):
        # a point, or levels against real numbers: what one of them makes, the other makes with probability 0
        return torch.full((len(parents),), torch.inf, dtype=torch.float64), "closed form"
    if isinstance(new, Categorical) and isinstance(old, Categorical):
        p, q = new.log_probs(parents), old.log_probs(old_parents)
        # 0 log 0 = 0; what only the new mechanism can make is infinitely surprising to the old one
        return torch.where(p.isneginf(), 0.0, p.exp() * (p - q)).sum(1), "closed form"
    if isinstance(new, Equation) and isinstance(old, Equation) and _same_scale(new, old):
        one, two = new.affine(parents), old.affine(old_parents)
        if one is not None and two is not None:
            mean = one[0] + one[1] * new.noise.location - two[0] - two[1] * old.noise.location
            return noise_kl(new.noise, old.noise, mean, one[1] * new.noise.scale, two[1] * old.noise.scale)
    return _by_quadrature(new, old, parents, old_parents), "quadrature"


def noise_kl(new: Noise, old: Noise, mean: Tensor, sd: Tensor, old_sd: Tensor) -> tuple[Tensor, str]:
    """KL [n] from noise of the old family (mean 0, these sds [n]) to the new one (mean [n], sd [n]), and how.

    Source of the closed forms: torch.distributions; for the exponential, with supports from a' = mean - sd and
    a = -old_sd on: log(old_sd / sd) + (sd + a' - a) / old_sd - 1, infinite where a' < a.

    Example:
        >>> one = torch.ones(1).double()
        >>> noise_kl(Noise("laplace"), Noise("laplace"), one, one, one)
        (tensor([0.6573], dtype=torch.float64), 'closed form')
    """
    if new.family == old.family and new.family in _LOCATED:
        located = _LOCATED[new.family]
        return kl_divergence(located(mean, sd), located(torch.zeros_like(mean), old_sd)), "closed form"
    if new.family == old.family == "exponential":
        gap = mean - sd + old_sd
        nats = (old_sd / sd).log() + (sd + gap) / old_sd - 1
        return torch.where(gap >= -1e-12 * old_sd, nats, torch.inf), "closed form"
    if old.family == "gumbel" and new.family in ("student_t", "laplace"):
        # the mean of exp(-x pi / (sqrt 6 old_sd)), to which Gumbel's left tail comes: at sqrt 12 / pi = 1.1027 old
        # standard deviations Laplace noise has none any more, and Student's never has
        heavy = torch.ones_like(sd, dtype=torch.bool) if new.family == "student_t" else sd >= 12**0.5 / math.pi * old_sd
        if heavy.any():
            return torch.where(heavy, torch.inf, _kl_by_quadrature(new, old, mean, sd, old_sd)), "quadrature"
    ratio = sd / old_sd
    if len(mean) > GRID and float(ratio.max() - ratio.min()) <= 1e-12 * float(ratio.max()):
        # one number, the distance in sds, decides: a cubic spline through a grid of it is quicker than every row
        from scipy.interpolate import CubicSpline

        # close together near 0, further apart further out, so that a few far rows do not thin the grid for all
        place = (mean / old_sd).asinh()
        grid = torch.linspace(float(place.min()), float(place.max()) + 1e-9, GRID, dtype=torch.float64)
        ones = torch.ones_like(grid)
        values = _kl_by_quadrature(new, old, grid.sinh(), ratio[0] * ones, ones)
        if values.isfinite().all():
            return torch.from_numpy(CubicSpline(grid, values)(place.numpy())), "quadrature"
    return _kl_by_quadrature(new, old, mean, sd, old_sd), "quadrature"


def _kl_by_quadrature(new: Noise, old: Noise, mean: Tensor, sd: Tensor, old_sd: Tensor) -> Tensor:
    standard, weights = _nodes(new)
    if len(mean) <= GRID and "laplace" in (new.family, old.family):
        standard, weights = standard.reshape(1, -1), weights.reshape(1, -1) / len(weights)  # all shifts for every row
    row, one = torch.arange(len(mean)) % len(standard), torch.ones((), dtype=torch.float64)
    entropy = -(new.standard(one).log_prob(standard) * weights).sum(1)[row] + sd.log()
    x = (mean / old_sd)[:, None] + (sd / old_sd)[:, None] * standard[row]
    return old_sd.log() - (old.standard(one).log_prob(x) * weights[row]).sum(1) - entropy


def _nodes(noise: Noise, count: int = 81, reach: float = 7.0, shifts: int = 16) -> tuple[Tensor, Tensor]:
    """Nodes u [S, K] and weights [S, K] with sum_k w_sk f(u_sk) = E f(u) for the family's noise of mean 0 and sd 1.

    u = F^-1(Phi(v)) turns the mean into an integral over a normal v, and for smooth f that decays as the normal does
    the trapezoidal rule converges faster than any power of the step. A mixture takes the nodes of its two parts. At
    a kink (Laplace) it errs by a few 1e-3, with either sign as the kink lies between nodes; so there are S sets, one
    shifted against the next, for rows to use in turn.
    """
    step = 2 * reach / (count - 1)
    v = torch.linspace(-reach, reach, count, dtype=torch.float64)
    v = v + step * (torch.arange(shifts, dtype=torch.float64)[:, None] + 0.5) / shifts
    weights = torch.exp(-(v**2) / 2)
    law = noise.standard(torch.ones((), dtype=torch.float64))
    if isinstance(law, MixtureSameFamily):
        parts = law.component_distribution
        v = torch.cat([mean + sd * v for mean, sd in zip(parts.mean, parts.stddev, strict=True)], 1)
        weights = torch.cat([share * weights for share in law.mixture_distribution.probs], 1)
        return v, weights / weights.sum(1, keepdim=True)
    return law.icdf(torch.special.ndtr(v)), weights / weights.sum(1, keepdim=True)


def _by_quadrature(new: Mechanism, old: Mechanism, parents: Tensor, old_parents: Tensor) -> Tensor:
    """E_u [log p'(x | pa) - log p(x | pa)], x = f'(pa, u), [n], over the nodes of the new noise."""
    standard, weights = _nodes(new.noise)
    row = torch.arange(len(parents)) % len(standard)
    total = torch.zeros(len(parents), dtype=torch.float64)
    for u, w in zip((new.noise.location + new.noise.scale * standard).T, weights.T, strict=True):
        x = new.push(parents, u[row])
        total = total + w[row] * (new.log_prob(parents, x) - old.log_prob(old_parents, x))
    return total


def _same_scale(new: Equation, old: Equation) -> bool:
    """Whether both see l + s u through the same function: the same centring, and the same distortion if any."""
    same = type(new) is type(old) and (new.centre, new.spread) == (old.centre, old.spread)
    return same and (not isinstance(new, PostNonlinear) or new.distortion is old.distortion)  # type: ignore[attr-defined]


def _without_parents(new: Mechanism, old: Mechanism) -> tuple[float, str] | None:
    """The divergence where it does not depend on the parents: roots, or equations that differ in their noise alone.

    Given the parents, x_j and u_j are one to one, so x_j diverges as u_j does.
    """
    if isinstance(new, Constant):
        return math.inf, "closed form"
    if isinstance(new, Equation) and type(new) is type(old):
        same = all(getattr(new, f.name) is getattr(old, f.name) for f in fields(new) if f.name != "noise")
        if same and getattr(new, "inverse", True) is not None:
            one = torch.ones(1, dtype=torch.float64)
            mean = (new.noise.location - old.noise.location) * one
            nats, how = noise_kl(new.noise, old.noise, mean, new.noise.scale * one, old.noise.scale * one)
            return float(nats), how
    if not new.parents and not old.parents:
        nats, how = conditional_kl(new, old, *[torch.zeros(1, 0, dtype=torch.float64)] * 2)
        return float(nats), how
    return None


def tilted_kl(log_ratio: np.ndarray) -> tuple[float, float]:
    """E[a log a] and its standard error, a = w / Z [n] over rows before selection, whose mean is 1; from log a [n].

    The error comes from the influence function a log a - a nats - a + 1, which knows that Z is a mean of the same rows.

    Example:
        >>> tilted_kl(np.log([0.5, 1.5]))[0].__round__(4)
        0.1308
    """
    a = np.exp(log_ratio)
    own = a * np.where(a > 0, log_ratio, 0.0)
    nats = float(own.mean())
    return nats, float((own - a * nats - a + 1).std()) / math.sqrt(len(a))


def _selected_kl(shifted: Selected, scm: SCM, base: int, precision: float) -> pd.DataFrame:
    """E over the selected rows of log w / Z, and of the log ratio of each mechanism that moved before selection."""
    changed = changed_mechanisms(shifted.scm, scm)
    source = shifted.scm if changed or shifted.on is None else shifted.scm.marginal(shifted.on)
    weights: list[np.ndarray] = []
    ratios: list[np.ndarray] = []
    for block in range(BLOCKS):
        frame = source.sample(BLOCK, seed=integer(base, block), hidden=True)
        weights.append(shifted.weigh(frame))
        each = [scm.log_density_ratio(shifted.scm, frame, only=[v]) for v in changed]
        ratios.append(np.stack(each, 1) if changed else np.zeros((BLOCK, 0)))
        w, r = np.concatenate(weights), np.concatenate(ratios)
        if not w.any():
            continue
        with np.errstate(divide="ignore"):
            nats, se = tilted_kl(np.log(w / w.mean()))
        a = w / w.mean()
        means = (a[:, None] * r).mean(0)
        errors = (a[:, None] * (r - means)).std(0) / math.sqrt(len(a))
        if math.hypot(se, *errors) <= precision * (nats + means.sum()):
            break
    if not w.any():
        raise ValueError(f"the selection kept none of {len(w):,} rows: weaken it")
    table = {"nats": [nats, *means], "se": [se, *errors], "how": "Monte Carlo"}
    return pd.DataFrame(table, index=["selection", *changed])
