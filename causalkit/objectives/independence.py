"""An objective that wants what is left over to be noise: hsic."""

from __future__ import annotations

import torch

from causalkit.objectives.alignment import thinned
from causalkit.objectives.base import Batch, Objective, Penalty, State, check_number

__all__ = ["dependence", "hsic"]

MOST_ROWS = 256  # of an environment, as the cost grows with their square


def hsic(weight: float = 10.0, *, alone: bool = False) -> Objective:
    """Residuals that are independent of the inputs: mean_e R_e + weight * mean_e HSIC_e(x, y - f(x)).

    Where y = f(x) + noise with noise independent of x, the true f has penalty 0 whatever the distribution of x, so
    that it is still right when that shifts. x are the inputs that the encoder lets through; of an effect of y the
    residual is never independent. The penalty is blind to an offset of f, for which the risk is there.

    Source: the residuals' independence Mooij et al. (2009); as a loss Greenfeld and Shalit (2020), who train by it
    alone, with bandwidths 2 for x and 1 for residuals; here as in `dependence`, independent of units.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.
        alone: As in the paper, in place of the risk, of which the offset is left: mean_e E_e[y - f]^2.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, a classification, whose residuals are never
            independent of the inputs.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> x, y = (torch.linspace(-1, 1, 50),), (torch.linspace(-1, 1, 50) ** 3,)
        >>> flat, right = (Batch((torch.zeros(50),), (f,), y, inputs=x) for f in (torch.zeros(50), x[0] ** 3 - 1))
        >>> hsic(1.0)(flat) > 0.01, hsic(1.0)(right) < 1e-4
        (tensor(True), tensor(True))
    """
    check_number("hsic", "weight", weight)
    penalty = Penalty(weight, residual_dependence, kind="regression")
    if alone:
        return Objective(f"hsic alone(weight={weight:g})", (penalty,), risk=squared_offset)
    return Objective(f"hsic(weight={weight:g})", (penalty,))


def squared_offset(batch: Batch, state: State) -> torch.Tensor:
    """sum_e q_e (E_e[y - f])^2, what is left of the risk in `hsic` alone."""
    left = [batch.mean(y - f, e) for e, (y, f) in enumerate(zip(batch.targets, batch.predictions, strict=True))]
    return (state["weights"].to(left[0]) * torch.stack(left).square()).sum()


def residual_dependence(batch: Batch) -> torch.Tensor:
    """mean_e HSIC_e(x, y - f(x)), the penalty of `hsic`; of large environments 256 evenly spaced rows."""
    found = []
    for e, inputs in enumerate(batch.inputs):
        inputs = thinned(inputs, MOST_ROWS).reshape(-1, 1 if inputs.ndim == 1 else inputs.shape[1])
        width = torch.tensor(float(inputs.shape[1])).to(inputs)
        if batch.mask is not None:
            inputs, width = torch.where(batch.mask != 0, inputs, 0.0), (batch.mask != 0).sum().to(inputs)
        residuals = thinned(batch.targets[e] - batch.predictions[e], MOST_ROWS)
        load = thinned(batch.weights[e], MOST_ROWS) if batch.weights else torch.ones_like(residuals)
        found.append(dependence(inputs / width.sqrt(), residuals, load / load.sum()))
    return torch.stack(found).mean()


def dependence(inputs: torch.Tensor, residuals: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The Hilbert-Schmidt independence criterion of inputs [n, d] and residuals [n], at least 0.

    E k l + E k E l - 2 E (E' k E' l), for the kernels k = exp(-|x - x'|^2 / 2) and l = exp(-(r - r')^2 / (2 v)), v the
    variance of r; means as in trace(K H L H) / n^2. 0 in the population if and only if they are independent.

    Source: Gretton et al. (2005), whose estimate divides by (n - 1)^2.

    Args:
        inputs, residuals: See above.
        share: What each row counts [n], with sum 1.

    Example:
        >>> x, half = torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.full((4,), 0.25)
        >>> dependence(x, torch.tensor([0.0, 1.0, 0.0, 1.0]), half)  # all four pairs alike
        tensor(0.)
        >>> round(float(dependence(x, x[:, 0], half)), 4)
        0.0851
    """
    square = inputs.square().sum(1)
    k = torch.exp(-(square[:, None] + square - 2 * inputs @ inputs.mT).clamp_min(0.0) / 2)
    away = residuals - share @ residuals
    scaled = away / (share @ away**2 + 1e-12).sqrt()
    l = torch.exp(-((scaled[:, None] - scaled) ** 2) / 2)  # noqa: E741 - the field's letter
    k_mean, l_mean = k @ share, l @ share
    return share @ (k * l) @ share + (share @ k_mean) * (share @ l_mean) - 2 * share @ (k_mean * l_mean)
