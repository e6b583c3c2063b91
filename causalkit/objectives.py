"""The Causal Regularization Layer: what a network is asked to minimise over several environments.

An objective is a small function, `objective(batch) -> scalar`: the mean risk over environments plus weighted
penalties. `irm(100.0) + vrex(1.0)` joins the penalties and counts the risk once. A penalty is a function of the
batch alone; whoever has another one writes `Objective("mine", penalties=((weight, function),))`.

Conventions, one for all: R_e is environment e's mean loss; the squared loss is (y - f)^2, the loss of classes the
cross-entropy in nats; risks and penalties are means over environments; variances have ddof 0. The docstrings say
by what factor a paper differs. In a regression `fit` hands over standardised targets and predictions, so that a
weight means the same whatever the target's units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

import torch

__all__ = [
    "LOSSES",
    "OBJECTIVES",
    "Batch",
    "Objective",
    "cross_entropy",
    "erm",
    "group_dro",
    "irm",
    "squared_error",
    "vrex",
]


def squared_error(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(y - f)^2 for each row [n].

    Example:
        >>> squared_error(torch.tensor([1.0]), torch.tensor([3.0]))
        tensor([4.])
    """
    return (targets - predictions) ** 2


def cross_entropy(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log softmax(logits)[class] for each row [n], in nats, from logits [n, classes] and class numbers [n].

    Example:
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([1]))
        tensor([0.6931])
    """
    return predictions.logsumexp(-1) - predictions.gather(-1, targets[:, None])[:, 0]


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "regression": squared_error,
    "classification": cross_entropy,
}
"""The loss of each kind of task: kind -> function(predictions, targets) -> [n]."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What an objective sees: one tensor an environment in every field, in the same order.

    Attributes:
        losses: The loss of each row [n_e].
        predictions: Of a regression [n_e], logits of a classification [n_e, classes].
        targets: [n_e]; class numbers from 0 in a classification.
        features: The last hidden layer [n_e, width].
        inputs: What entered the network [n_e, features].
        loss: The function (predictions, targets) -> [n_e] behind `losses`, for penalties that take its derivative.

    Example:
        >>> Batch(losses=(torch.tensor([1.0, 3.0]), torch.zeros(5))).risks
        tensor([2., 0.])
    """

    losses: tuple[torch.Tensor, ...]
    predictions: tuple[torch.Tensor, ...] = ()
    targets: tuple[torch.Tensor, ...] = ()
    features: tuple[torch.Tensor, ...] = ()
    inputs: tuple[torch.Tensor, ...] = ()
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = squared_error

    @property
    def risks(self) -> torch.Tensor:
        """R_e, the mean loss of each environment [environments]."""
        return torch.stack([losses.mean() for losses in self.losses])


State = dict[str, torch.Tensor]
"""What an objective remembers between steps; `fit` carries it."""

Penalty = Callable[[Batch], torch.Tensor]


def weighted_risk(batch: Batch, state: State) -> torch.Tensor:
    """sum_e q_e R_e, with the environments' weights q [environments] from the state; uniform unless reweighed."""
    return (state["weights"].to(batch.risks) * batch.risks).sum()


@dataclass(frozen=True, eq=False)
class Objective:
    """sum_e q_e R_e + sum_i weight_i penalty_i(batch): called with a batch, it returns that scalar.

    The weights q are uniform, the mean over environments, unless `reweigh` moves them between steps. They are the
    objective's state: `start` makes it, `update` returns the next one, and `fit` carries it; nothing is stored here.

    Attributes:
        name: What tables and errors call it.
        penalties: Pairs (weight, function of the batch); counted in order.
        reweigh: (weights [environments], risks [environments]) -> weights, before every step; None keeps them.
        risk: What the penalties are added to, a function (batch, state) -> scalar.
        min_environments: The fewest environments for which it is defined.

    Example:
        >>> worst = Objective("worst", penalties=((0.5, lambda batch: batch.risks.max()),))
        >>> (erm() + worst)(Batch(losses=(torch.zeros(2), torch.full((2,), 4.0))))
        tensor(4.)
    """

    name: str
    penalties: tuple[tuple[float, Penalty], ...] = ()
    reweigh: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    risk: Callable[[Batch, State], torch.Tensor] = weighted_risk
    min_environments: int = 1

    def __post_init__(self) -> None:
        for weight, _ in self.penalties:
            _check_number(self.name, "weight", weight)

    def start(self, environments: int) -> State:
        """The state before the first step: uniform weights [environments]."""
        return {"weights": torch.full((environments,), 1.0 / environments, dtype=torch.float64)}

    def update(self, batch: Batch, state: State) -> State:
        """The state for this step; no gradient flows through it."""
        if self.reweigh is None:
            return state
        return {**state, "weights": self.reweigh(state["weights"], batch.risks.detach())}

    def __call__(self, batch: Batch, state: State | None = None) -> torch.Tensor:
        """The scalar to minimise; without a state, at the state of the start."""
        state = self.start(len(batch.losses)) if state is None else state
        total = self.risk(batch, state)
        for weight, penalty in self.penalties:
            total = total + weight * penalty(batch)
        return total

    def __add__(self, other: Objective) -> Objective:
        """Both sides' penalties on one risk.

        Raises:
            ValueError: Both sides weigh the environments or bring a risk of their own.
        """
        if not isinstance(other, Objective):
            return NotImplemented
        own = [side for side in (self, other) if side.reweigh is not None or side.risk is not weighted_risk]
        if len(own) > 1:
            raise ValueError(
                f"{self.name} and {other.name} both replace the mean risk: keep one of them, add penalties to it"
            )
        return replace(
            own[0] if own else self,
            name=" + ".join(side.name for side in (self, other) if side.penalties or side in own) or self.name,
            penalties=self.penalties + other.penalties,
            min_environments=max(self.min_environments, other.min_environments),
        )


def erm() -> Objective:
    """Empirical risk minimisation: mean_e R_e.

    With environments of one size, the mean over all rows. Source: Vapnik (1992).

    Example:
        >>> erm()(Batch(losses=(torch.zeros(1), torch.ones(1))))
        tensor(0.5000)
    """
    return Objective("erm")


def irm(weight: float = 100.0) -> Objective:
    """Invariant risk minimisation, version 1: mean_e R_e + weight * mean_e (d/dw R_e(w f) at w = 1)^2.

    The penalty is 0 where no environment would gain by rescaling the prediction f (all logits alike). It looks for
    predictors that are right, on average, in every environment; risks may differ.

    Source: Arjovsky, Bottou, Gulrajani and Lopez-Paz (2019), equation IRMv1, which sums risks and penalties over
    environments: the same weight. Code that takes the mean risk and sums penalties (Chen et al. 2023) has this
    weight divided by the number of environments; code that divides the total by the weight changes only the step
    size, to which Adam is blind.

    Args:
        weight: Of the penalty, at least 0; 0 is erm.

    Raises:
        ValueError: A weight that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> f, y = (torch.ones(1), torch.ones(1)), (torch.ones(1), 2 * torch.ones(1))
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> irm(weight=1.0)(batch)  # risks 0 and 1; slopes 0 and -2
        tensor(2.5000)
    """
    return _penalised("irm", weight, _squared_slope)


def _squared_slope(batch: Batch) -> torch.Tensor:
    def slope(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        risk = lambda w: batch.loss(w * predictions, targets).mean()  # noqa: E731 - the formula, as it is written
        return torch.func.grad(risk)(predictions.new_ones(()))

    return torch.stack([slope(p, t) ** 2 for p, t in zip(batch.predictions, batch.targets, strict=True)]).mean()


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
    return _penalised("vrex", weight, lambda batch: batch.risks.var(correction=0))


def group_dro(eta: float = 0.1) -> Objective:
    """Distributionally robust optimisation over environments: min_f max_q sum_e q_e R_e, q on the simplex.

    Before every step q_e is multiplied by exp(eta R_e) and q normalised, so that it moves to the worst environment.
    It guards against any mixture of the training environments, and against nothing beyond them.

    Source: Sagawa, Koh, Hashimoto and Liang (2020), algorithm 1, whose code has eta 0.01 for thousands of
    minibatches; the steps here are hundreds.

    Args:
        eta: Step size of q, at least 0; 0 is erm.

    Raises:
        ValueError: An eta that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> batch = Batch(losses=(torch.zeros(1), torch.ones(1)))
        >>> objective = group_dro(eta=1.0)
        >>> objective.update(batch, objective.start(2))["weights"]
        tensor([0.2689, 0.7311], dtype=torch.float64)
    """
    _check_number("group_dro", "eta", eta)

    def reweigh(weights: torch.Tensor, risks: torch.Tensor) -> torch.Tensor:
        return torch.softmax(weights.clamp_min(1e-30).log() + eta * risks, 0)  # 1e-30: none is lost for good

    return Objective(f"group_dro(eta={eta:g})", reweigh=reweigh, min_environments=2)


OBJECTIVES: dict[str, Callable[..., Objective]] = {"erm": erm, "irm": irm, "vrex": vrex, "group_dro": group_dro}
"""Objectives: name -> function that returns one. Add your own with `OBJECTIVES["mine"] = function`."""


def _penalised(name: str, weight: float, penalty: Penalty) -> Objective:
    """The mean risk plus one penalty that compares environments."""
    _check_number(name, "weight", weight)
    return Objective(f"{name}(weight={weight:g})", ((weight, penalty),), min_environments=2)


def _check_number(owner: str, name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{owner}: {name} {value!r} is not a finite number of at least 0: pass {name}=1.0, say")
