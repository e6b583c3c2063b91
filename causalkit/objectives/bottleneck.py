"""Objectives with an information bottleneck, predictions that vary little: ib, ib_erm, ib_irm."""

from __future__ import annotations

from dataclasses import replace

import torch

from causalkit.objectives.base import Batch, Objective, Penalty, check_number
from causalkit.objectives.invariance import irm

__all__ = ["ib", "ib_erm", "ib_irm"]


def ib(weight: float = 0.1) -> Objective:
    """Information bottleneck: mean_e R_e + weight * mean_e Var_e(f), to be added: `irm(100.0) + ib(0.1)`.

    Of all predictors with one risk it wants the one whose predictions vary least, and so drops features that repeat
    what others say. In a classification f is the log odds of two classes, in the mean over all pairs of classes.

    Source: Ahuja et al. (2021), who bound the entropy of the representation by its variance. Their
    linear code has the variance of the single logit with ddof 1, which is this one times n/(n - 1); code for deep
    networks takes the variance of the last hidden layer, in the mean over units, instead.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f = y = (torch.tensor([0.0, 2.0]), torch.tensor([5.0, 5.0]))  # variances 1 and 0
        >>> ib(weight=1.0)(Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y))
        tensor(0.5000)
    """
    check_number("ib", "weight", weight)
    return Objective(f"ib(weight={weight:g})", (Penalty(weight, variance_within, moments=True),))


def ib_erm(weight: float = 0.1) -> Objective:
    """Information bottleneck on the pooled rows: mean_e R_e + weight * Var(f), environments mixed in equal parts.

    Unlike in `ib`, differences between the environments' mean predictions count as variance.

    Source: Ahuja et al. (2021), IB-ERM. As in `ib`, their code has ddof 1.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f = y = (torch.tensor([0.0, 2.0]), torch.tensor([5.0, 5.0]))
        >>> ib_erm(weight=1.0)(Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y))
        tensor(4.5000)
    """
    check_number("ib_erm", "weight", weight)
    return Objective(f"ib_erm(weight={weight:g})", (Penalty(weight, variance_in_all, moments=True),))


def ib_irm(irm_weight: float = 100.0, ib_weight: float = 0.1) -> Objective:
    """IRMv1 and the bottleneck together: mean_e R_e + irm_weight * squared slopes + ib_weight * mean_e Var_e(f).

    Source: Ahuja et al. (2021), IB-IRM. Their linear code takes (1 - l) mean_e R_e + l * (sum_e of squared slopes, by
    a scale and by an offset) + b * mean_e Var_e: irm_weight is l E/(1 - l) for E environments, without the offset,
    and ib_weight is b/(1 - l).

    Args:
        irm_weight, ib_weight: At least 0.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> ib_irm(10.0, 1.0).name
        'ib_irm(irm_weight=10, ib_weight=1)'
    """
    check_number("ib_irm", "irm_weight", irm_weight)
    check_number("ib_irm", "ib_weight", ib_weight)
    name = f"ib_irm(irm_weight={irm_weight:g}, ib_weight={ib_weight:g})"
    return replace(irm(irm_weight) + ib(ib_weight), name=name)


def variance_within(batch: Batch) -> torch.Tensor:
    """mean_e Var_e(f), the penalty of `ib`."""
    return _spread(batch, [batch.mean(f, e) for e, f in enumerate(batch.predictions)])


def variance_in_all(batch: Batch) -> torch.Tensor:
    """Var(f) over all environments, each with the same weight, the penalty of `ib_erm`."""
    middle = torch.stack([batch.mean(f, e) for e, f in enumerate(batch.predictions)]).mean(0)
    return _spread(batch, [middle] * len(batch.predictions))


def _spread(batch: Batch, middles: list[torch.Tensor]) -> torch.Tensor:
    """mean_e of the mean square of f - middle_e; of log odds, where f are logits."""
    found = []
    for e, (f, middle) in enumerate(zip(batch.predictions, middles, strict=True)):
        away = f - middle
        if f.ndim == 2:
            # over the pairs of K classes, the mean of (a_k - a_l)^2 is 2 / (K - 1) * sum_k (a_k - mean a)^2
            square = (away - away.mean(1, keepdim=True)).square().sum(1) * 2 / (f.shape[1] - 1)
        else:
            square = away.square()
        found.append(batch.mean(square, e))
    return torch.stack(found).mean()
