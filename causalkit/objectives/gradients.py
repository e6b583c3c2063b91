"""Objectives that compare the environments' gradients: fishr, iga, and the rule and_mask."""

from __future__ import annotations

import torch

from causalkit.objectives.base import Batch, Objective, Penalty, Rule, State, check_number

__all__ = ["agreed", "and_mask", "fishr", "iga"]


def fishr(weight: float = 1.0) -> Objective:
    """Equal variances of gradients: mean_e R_e + weight * mean_e ||v_e - mean v||^2.

    v_e holds the variance over environment e's rows (ddof 0) of each component of the row's gradient by the output
    layer's weights and bias. That gradient is (slope of the loss) x (last hidden layer, 1), so no row needs a backward
    pass of its own. Like `vrex`, it fails where the target's noise itself differs between environments.

    Source: Rame, Dancette and Cord (2022), the penalty L_Fishr. Code takes the mean over the P parameters of the output
    layer where this is the sum (its weight is P times this one), and a running mean of v_e over minibatches, which is
    left out here.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.zeros(2), torch.zeros(2)), (torch.tensor([1.0, -1.0]), torch.zeros(2))
        >>> h = (torch.zeros(2, 1), torch.zeros(2, 1))  # gradients by the bias -2 and 2; 0 and 0
        >>> fishr(1.0)(Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y, features=h))
        tensor(4.5000)
    """
    check_number("fishr", "weight", weight)
    return Objective(f"fishr(weight={weight:g})", (Penalty(weight, distance_of_variances),), min_environments=2)


def distance_of_variances(batch: Batch) -> torch.Tensor:
    """mean_e ||v_e - mean v||^2, the penalty of `fishr`."""
    variances = torch.stack([_gradient_variances(batch, e).flatten() for e in range(len(batch.losses))])
    return variances.var(0, correction=0).sum()


def _gradient_variances(batch: Batch, environment: int) -> torch.Tensor:
    """v_e [outputs, width + 1]."""
    targets, features = batch.targets[environment], batch.features[environment]
    slopes = torch.func.grad(lambda f: batch.loss(f, targets).sum())(batch.predictions[environment])
    n = len(targets)
    slopes, hidden = slopes.reshape(n, -1), features.reshape(n, -1)
    hidden = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
    load = batch.weights[environment][:, None] if batch.weights else 1.0
    return (load * slopes**2).mT @ hidden**2 / n - ((load * slopes).mT @ hidden / n) ** 2


def iga(weight: float = 100.0) -> Objective:
    """Inter-environmental gradient alignment: mean_e R_e + weight * mean_e ||g_e - mean g||^2, g_e the gradient of R_e.

    The penalty is 0 where a step that helps one environment helps all. It depends on how the network is parametrised,
    and on how long it has been trained, as gradients do.

    Source: Koyama and Yamaguchi (2020), the trace of the gradients' variance. Code for the linear unit
    tests sums over environments, so that its weight is this one divided by their number; it also has one logit for
    two classes where there are two here, which doubles the penalty of the same log odds.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> batch = Batch(losses=(torch.ones(1),) * 2, gradients=lambda: torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        >>> iga(weight=1.0)(batch)
        tensor(2.)
    """
    check_number("iga", "weight", weight)
    penalty = Penalty(weight, variance_of_gradients, moments=True)
    return Objective(f"iga(weight={weight:g})", (penalty,), min_environments=2)


def variance_of_gradients(batch: Batch) -> torch.Tensor:
    """mean_e ||g_e - mean g||^2, the penalty of `iga`."""
    return _gradients(batch, "iga").var(0, correction=0).sum()


def and_mask(tau: float = 0.9, normalise: bool = False) -> Objective:
    """A step only along coordinates on which environments agree: mean_e g_e, where |mean_e sign g_e| >= tau, else 0.

    A rule for the step, no function that is minimised: where all coordinates disagree, training stands still. It
    depends on the coordinates, and fails once they are rotated.

    Source: Parascandolo et al. (2021), the AND-mask. The linear unit tests' code has > in place of >=, normalises as
    below and steps by plain descent: `fit(..., optimiser="sgd", schedule="constant")`. It has one logit for two
    classes where there are two here: of a normalised gradient, the log odds move sqrt(2) times as far at the same
    learning rate (of a plain one, twice).

    Args:
        tau: The agreement that is wanted, from 0 to 1; 1 wants all environments on one side, 0 is erm.
        normalise: Divide each environment's gradient of a weight matrix by its norm first, so that no environment
            outweighs another; biases keep theirs.

    Raises:
        ValueError: A tau outside these limits; in `fit`, fewer than 2 environments.

    Example:
        >>> agreed(torch.tensor([[1.0, 2.0], [3.0, -1.0]]), 0.9)
        tensor([2., 0.])
    """
    check_number("and_mask", "tau", tau, most=1.0)
    if not isinstance(normalise, bool):
        raise ValueError(f"and_mask: normalise {normalise!r} is neither True nor False")
    return Objective(
        f"and_mask(tau={tau:g}{', normalise=True' if normalise else ''})",
        rule=_AND,
        dials={"tau": tau, "normalise": float(normalise)},
        min_environments=2,
    )


def agreed(gradients: torch.Tensor, tau: torch.Tensor | float) -> torch.Tensor:
    """The mean gradient [parameters] of gradients [environments, parameters], 0 where |mean sign| < tau.

    Example:
        >>> agreed(torch.tensor([[1.0, 2.0], [3.0, -1.0], [2.0, 2.0]]), 0.3)
        tensor([2., 1.])
    """
    together = gradients.sign().sum(0).abs()
    return torch.where(together >= tau * len(gradients), gradients.mean(0), 0.0)


def _along_what_is_agreed(batch: Batch, state: State) -> torch.Tensor:
    """One number [1] whose gradient by the parameters is the step of `and_mask`."""
    gradients = _gradients(batch, "and_mask").detach()
    parameters = list(batch.parameters.values())
    pieces = []
    for piece, parameter in zip(gradients.split([p.numel() for p in parameters], 1), parameters, strict=True):
        norms = piece.norm(dim=1, keepdim=True).clamp_min(1e-30)
        pieces.append(piece / norms if parameter.ndim > 1 else piece)
    gradients = torch.where(state["normalise"] > 0, torch.cat(pieces, 1), gradients)
    flat = torch.cat([parameter.flatten() for parameter in parameters])
    return (flat * agreed(gradients, state["tau"])).sum()[None]


def _as_it_is(gradients: torch.Tensor, values: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    return gradients[:, 0]


_AND = Rule(_along_what_is_agreed, _as_it_is, moments=True)


def _gradients(batch: Batch, objective: str) -> torch.Tensor:
    if batch.gradients is None:
        raise ValueError(f"{objective} reads the batch's gradients, and this batch has none: train by ck.fit")
    return batch.gradients()
