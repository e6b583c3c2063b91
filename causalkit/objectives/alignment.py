"""Objectives that want the environments' representations to be distributed alike: coral, mmd, dann.

The representation is the last hidden layer. A network without one, backbone "linear", has nothing but its predictions
to align, and those are aligned. All three suit shifts of the inputs; where P(y) itself differs between environments,
an aligned representation cannot be right in all of them.
"""

from __future__ import annotations

import torch

from causalkit.objectives.base import Batch, Objective, Penalty, check_number, cross_entropy

__all__ = ["coral", "dann", "mmd", "representation", "thinned"]

MOST_ROWS = 128  # of an environment in `mmd`, whose cost grows with their square
GAMMAS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


def representation(batch: Batch, environment: int) -> torch.Tensor:
    """What is aligned [n_e, width]: the last hidden layer, or the predictions of a network without hidden layers.

    Example:
        >>> linear = Batch(losses=(), predictions=(torch.zeros(5),), parameters={"head.weight": torch.zeros(1, 2)})
        >>> representation(linear, 0).shape
        torch.Size([5, 1])
    """
    linear = bool(batch.parameters) and not any(name.startswith("backbone.") for name in batch.parameters)
    values = batch.predictions[environment] if linear else batch.features[environment]
    return values if values.ndim == 2 else values[:, None]


def thinned(values: torch.Tensor, most: int) -> torch.Tensor:
    """At most so many rows, evenly spaced, so that sorted frames do no harm.

    Example:
        >>> thinned(torch.arange(10), 4)
        tensor([0, 3, 6, 9])
    """
    return values[:: -(-len(values) // most)]


def coral(weight: float = 1.0) -> Objective:
    """Correlation alignment: mean_e R_e + weight * mean over pairs of (||m_a - m_b||^2 / w + ||C_a - C_b||^2 / w^2).

    m_e is the mean and C_e the covariance (ddof 0) of the representation, w its width.

    Source: Sun and Saenko (2016), who align covariances alone, with the factor 1/4 and ddof 1; the means, and the mean
    over pairs of environments, as in DomainBed (Gulrajani and Lopez-Paz 2021), whose ddof is 1.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> h = (torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [3.0]]))  # means 1 and 3, variances 1 and 0
        >>> coral(weight=1.0)(Batch(losses=(torch.zeros(2), torch.zeros(2)), features=h))
        tensor(5.)
    """
    check_number("coral", "weight", weight)
    penalty = Penalty(weight, distance_of_moments, moments=True)
    return Objective(f"coral(weight={weight:g})", (penalty,), min_environments=2)


def distance_of_moments(batch: Batch) -> torch.Tensor:
    """The mean over pairs of ||m_a - m_b||^2 / w + ||C_a - C_b||^2 / w^2, the penalty of `coral`."""
    means, covariances = [], []
    for e in range(len(batch.losses)):
        hidden = representation(batch, e)
        means.append(batch.mean(hidden, e))
        loaded = hidden * batch.weights[e][:, None] if batch.weights else hidden
        covariances.append(loaded.mT @ hidden / len(hidden) - means[-1].outer(means[-1]))
    m, c = torch.stack(means), torch.stack(covariances)
    total = (m - m.mean(0)).square().sum() / m.shape[1] + (c - c.mean(0)).square().sum() / m.shape[1] ** 2
    return total * 2 / (len(m) - 1)  # over E environments, the mean over pairs of |a - b|^2 is so much


def mmd(weight: float = 1.0) -> Objective:
    """Maximum mean discrepancy: mean_e R_e + weight * mean over pairs of E k(h, h') + E k(g, g') - 2 E k(h, g).

    h and g are rows of the representation of two environments, k the sum of the kernels exp(-gamma |h - g|^2) over
    gamma = 0.001, 0.01, ..., 1000; means over all pairs of rows, a row with itself included, so that it is never
    negative. Its cost grows with the square of the rows: of an environment with more than 128, 128 evenly spaced ones
    are looked at (smaller batches draw new ones at every step).

    Source: Li, Pan, Wang and Kot (2018), with the kernels of DomainBed (Gulrajani and Lopez-Paz 2021).

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> h = (torch.tensor([[0.0]]), torch.tensor([[1.0]]))  # 2 * sum (1 - exp(-gamma))
        >>> mmd(weight=1.0)(Batch(losses=(torch.zeros(1), torch.zeros(1)), features=h))
        tensor(7.4764)
    """
    check_number("mmd", "weight", weight)
    return Objective(f"mmd(weight={weight:g})", (Penalty(weight, discrepancy),), min_environments=2)


def discrepancy(batch: Batch) -> torch.Tensor:
    """The mean over pairs of environments of their squared maximum mean discrepancy, the penalty of `mmd`."""
    count = len(batch.losses)
    parts = [thinned(representation(batch, e), MOST_ROWS) for e in range(count)]
    loads = [thinned(w, MOST_ROWS) for w in batch.weights] or [torch.ones_like(part[:, 0]) for part in parts]
    share = torch.block_diag(*[(load / load.sum())[:, None] for load in loads])  # [rows, environments]
    rows = torch.cat(parts)
    square = rows.square().sum(1)
    apart = (square[:, None] + square - 2 * rows @ rows.mT).clamp_min(0.0)
    kernel = sum((torch.exp(-gamma * apart) for gamma in GAMMAS), start=torch.zeros_like(apart))
    means = share.mT @ kernel @ share  # E k(h, g) of environments a and b [environments, environments]
    # the sum over pairs a < b of M_aa + M_bb - 2 M_ab
    total = count * means.diagonal().sum() - means.sum()
    return total / (count * (count - 1) / 2)


def dann(weight: float = 1.0) -> Objective:
    """Domain-adversarial training: mean_e R_e - weight * min over D of mean_e L(D(representation), e).

    A discriminator D, a network with one hidden layer of 16 units, learns to tell the environments apart from the
    representation, and the representation learns to be of no use to it: on the way back through the representation
    the gradient changes its sign. L is the cross-entropy plus the squared norm of each row's gradient of it by the
    representation, without which the two circle and features grow. Both take their steps together: this is a game, in
    which "settled" says little. Momentum feeds the circling; an Adam without it does better,
    `optimiser=functools.partial(ck.training.optimisers.adam, betas=(0.0, 0.95))`. The recorded objective has L with a
    plus; it is log E where D is lost among E environments.

    Source: Ganin et al. (2016), the gradient reversal layer, which has the weight, while D learns at rate 1; here both
    have it, to which Adam is blind in D. The gradient's norm is DomainBed's (Gulrajani and Lopez-Paz 2021), where its
    weight is a choice from 0 on; here it is 1. The paper's schedule of the weight is `.anneal(start, ramp)`.

    Args:
        weight: Of the game, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> dann(weight=0.5).name
        'dann(weight=0.5)'
    """
    check_number("dann", "weight", weight)
    penalty = Penalty(weight, told_apart, module={"discriminator": discriminator}, game=True)
    return Objective(f"dann(weight={weight:g})", (penalty,), min_environments=2)


def discriminator(width: int, inputs: int, environments: int) -> torch.nn.Module:
    """From a representation [n, width] to logits of its environment [n, environments].

    Example:
        >>> discriminator(4, 10, 3)
        Sequential(
          (0): Linear(in_features=4, out_features=16, bias=True)
          (1): ReLU()
          (2): Linear(in_features=16, out_features=3, bias=True)
        )
    """
    return torch.nn.Sequential(torch.nn.Linear(width, 16), torch.nn.ReLU(), torch.nn.Linear(16, environments))


def told_apart(batch: Batch) -> torch.Tensor:
    """The discriminator's mean loss L, see `dann`; its gradient by the representation has the other sign."""
    parts = [representation(batch, e) for e in range(len(batch.losses))]
    sizes = [len(part) for part in parts]
    hidden = torch.cat(parts)
    turned = 2 * hidden.detach() - hidden  # the same value, minus the gradient
    right = torch.arange(len(sizes), device=hidden.device).repeat_interleave(torch.tensor(sizes, device=hidden.device))

    def losses(values: torch.Tensor) -> torch.Tensor:
        return cross_entropy(batch.modules["discriminator"](values), right)

    slopes = torch.func.grad(lambda values: losses(values).sum())(turned)
    rows = (losses(turned) + slopes.square().sum(1)).split(sizes)
    return torch.stack([batch.mean(each, e) for e, each in enumerate(rows)]).mean()
