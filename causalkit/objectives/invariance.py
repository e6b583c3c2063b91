"""Objectives that want the same predictor to be right in every environment: irm, irm_pairs, vrex, irmx."""

from __future__ import annotations

from dataclasses import replace

import torch

from causalkit.objectives.base import Batch, Objective, Penalty, check_number, squared_error

__all__ = ["irm", "irm_pairs", "irmx", "vrex"]


def irm(weight: float = 100.0, offset: bool = False) -> Objective:
    """Invariant risk minimisation, version 1: mean_e R_e + weight * mean_e (d/dw R_e(w f) at w = 1)^2.

    The penalty is 0 where no environment would gain by rescaling the prediction f (all logits alike). It looks for
    predictors that are right, on average, in every environment; risks may differ.

    Source: Arjovsky, Bottou, Gulrajani and Lopez-Paz (2019), equation IRMv1, which sums risks and penalties over
    environments: the same weight. Code that takes the mean risk and sums penalties (Chen et al. 2023) has this
    weight divided by the number of environments. Code that divides the total by the weight changes the step size alone,
    to which Adam is blind as long as the weight stays; where it jumps (`anneal`), Adam's memory makes a difference.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.
        offset: Add the squared slopes of an added constant, (d/db R_e(f + b) at b = 0)^2, as the linear unit tests for
            invariance do (Aubin et al. 2021); for classes b is added to one logit at a time, and halves are summed.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.ones(1), torch.ones(1)), (torch.ones(1), 2 * torch.ones(1))
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> irm(weight=1.0)(batch)  # risks 0 and 1; slopes 0 and -2
        tensor(2.5000)
    """
    check_number("irm", "weight", weight)
    penalty = Penalty(weight, squared_slope_and_offset if offset else squared_slope, moments=True)
    return Objective(f"irm(weight={weight:g}{', offset=True' if offset else ''})", (penalty,), min_environments=2)


def squared_slope(batch: Batch) -> torch.Tensor:
    """mean_e (d/dw R_e(w f) at w = 1)^2, the penalty of `irm`."""
    return torch.stack([batch.mean(each, e) ** 2 for e, each in enumerate(slopes(batch))]).mean()


def squared_slope_and_offset(batch: Batch) -> torch.Tensor:
    """The penalty of `irm` with its offset."""
    rows = _derivatives(batch)
    means = [batch.mean(each.reshape(len(each), -1), e) for e, each in enumerate(rows)]
    shares = 1.0 if rows[0].ndim == 1 else 0.5
    return squared_slope(batch) + torch.stack([shares * (mean**2).sum() for mean in means]).mean()


def slopes(batch: Batch) -> tuple[torch.Tensor, ...]:
    """d/dw loss(w f, y) at w = 1 of each row, one tensor an environment [n_e]: the loss's derivative along f itself."""
    rows = zip(_derivatives(batch), batch.predictions, strict=True)
    return tuple((derivative * f).reshape(len(f), -1).sum(1) for derivative, f in rows)


def _derivatives(batch: Batch) -> tuple[torch.Tensor, ...]:
    """d loss / d f of each row, one tensor an environment, of the predictions' shape."""
    if batch.loss is squared_error:
        return tuple(2 * (f - y) for f, y in zip(batch.predictions, batch.targets, strict=True))
    targets = torch.cat(batch.targets)  # all rows in one pass
    found = torch.func.grad(lambda f: batch.loss(f, targets).sum())(torch.cat(batch.predictions))
    return found.split([len(each) for each in batch.targets])


def irm_pairs(weight: float = 100.0) -> Objective:
    """IRMv1 with an unbiased estimate of its penalty: mean_e slope(odd rows of e) * slope(even rows of e).

    The square of a slope that is estimated from n rows is too large by its variance, of order 1 / n; the product of
    two slopes from separate rows has no such bias. It may be negative, so that a large weight rewards noise: for
    small minibatches, not for full batches.

    Source: Arjovsky, Bottou, Gulrajani and Lopez-Paz (2019), section 3.2.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.ones(2),), (torch.tensor([0.0, 2.0]),)  # slopes 2 and -2: in the mean, 0
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> irm(1.0)(batch), irm_pairs(1.0)(batch)
        (tensor(1.), tensor(-3.))
    """
    check_number("irm_pairs", "weight", weight)
    return Objective(f"irm_pairs(weight={weight:g})", (Penalty(weight, _product_of_slopes),), min_environments=2)


def _product_of_slopes(batch: Batch) -> torch.Tensor:
    rows = slopes(batch)
    if min(len(each) for each in rows) < 2:
        raise ValueError(
            "irm_pairs splits each environment in two, and one has a single row: give more, or a batch of 2"
        )
    if batch.weights:
        rows = tuple(load * each for load, each in zip(batch.weights, rows, strict=True))
    return torch.stack([each[::2].mean() * each[1::2].mean() for each in rows]).mean()


def vrex(weight: float = 100.0) -> Objective:
    """Risk extrapolation by variance: mean_e R_e + weight * mean_e (R_e - mean R)^2.

    The penalty is 0 where the risks are equal. It fails where the target's noise itself differs between
    environments, since then the invariant predictor has unequal risks.

    Source: Krueger et al. (2021), the objective R_V-REx, which sums the risks: its weight is this one times the number
    of environments. Code that takes torch.var (ddof 1) has this weight times (E - 1)/E, for E environments.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> vrex(weight=1.0)(Batch(losses=(torch.zeros(1), torch.full((1,), 4.0))))
        tensor(6.)
    """
    check_number("vrex", "weight", weight)
    return Objective(
        f"vrex(weight={weight:g})", (Penalty(weight, variance_of_risks, moments=True),), min_environments=2
    )


def variance_of_risks(batch: Batch) -> torch.Tensor:
    """mean_e (R_e - mean R)^2, the penalty of `vrex`."""
    return batch.risks.var(correction=0)


def irmx(irm_weight: float = 100.0, vrex_weight: float = 100.0) -> Objective:
    """IRMv1 and V-REx together: mean_e R_e + irm_weight * squared slopes + vrex_weight * variance of the risks.

    In the two-bit environments IRMv1 alone has a spurious minimiser; with V-REx beside it the invariant one is left.

    Source: Chen et al. (2023), IRMX, with the weights summed in a line; `pair` finds them step by step instead.

    Args:
        irm_weight, vrex_weight: At least 0.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.ones(1), torch.ones(1)), (torch.ones(1), 2 * torch.ones(1))
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> irmx(1.0, 1.0)(batch)  # 0.5 + 2 + 0.25
        tensor(2.7500)
    """
    check_number("irmx", "irm_weight", irm_weight)
    check_number("irmx", "vrex_weight", vrex_weight)
    name = f"irmx(irm_weight={irm_weight:g}, vrex_weight={vrex_weight:g})"
    return replace(irm(irm_weight) + vrex(vrex_weight), name=name)
