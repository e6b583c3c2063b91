"""What an objective is: a batch goes in, a scalar comes out; and the pieces that objectives are made of.

Conventions, one for all: R_e is environment e's mean loss; the squared loss is (y - f)^2, the loss of classes the
cross-entropy in nats; risks and penalties are means over environments; variances have ddof 0. The docstrings say
by what factor a paper differs. In a regression `fit` hands over standardised targets and predictions, so that a
weight means the same whatever the target's units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import torch

from causalkit.objectives.batch import LOSSES, Batch, Companion, cross_entropy, squared_error

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LOSSES",
    "Batch",
    "Companion",
    "Objective",
    "Penalty",
    "Phase",
    "Rule",
    "check_number",
    "check_steps",
    "cross_entropy",
    "squared_error",
    "weighted_risk",
]


State = dict[str, torch.Tensor]
"""What an objective remembers between steps; `fit` carries it."""

Function = Callable[[Batch], torch.Tensor]


def weighted_risk(batch: Batch, state: State) -> torch.Tensor:
    """sum_e q_e R_e, with the environments' weights q [environments] from the state; uniform unless reweighed."""
    risks = batch.risks
    return (state["weights"].to(risks) * risks).sum()


@dataclass(frozen=True, eq=False)
class Penalty:
    """One weighted term of an objective, and what it needs.

    Attributes:
        weight: At least 0.
        function: Of the batch, a scalar.
        start: It counts from this step on, and ...
        ramp: ... reaches its weight after so many more, along a line; 0 is a jump.
        kind: The kind of task that it is defined for; None for any.
        moments: For a linear network, it depends on the data through means and covariances of an environment alone.
        prepare: (training environments, task, seed) -> name -> a frame an environment that holds the task's columns
            row by row (it becomes a Companion), or a series, a number a row.
        module: Name -> function(width of the last hidden layer, or of the output where there is none, inputs,
            environments) -> a network of its own, trained along with the first.
        game: The step is along no function's gradient, since two networks play against each other: there is no
            minimum for the convergence report or for "lbfgs" to look for.
    """

    weight: float
    function: Function
    start: int = 0
    ramp: int = 0
    kind: Literal["regression", "classification"] | None = None
    moments: bool = False
    prepare: Callable[[Sequence[Any], Any, int], dict[str, list[pd.DataFrame]] | dict[str, list[pd.Series]]] | None = (
        None
    )
    module: Mapping[str, Callable[[int, int, int], torch.nn.Module]] = field(default_factory=dict)
    game: bool = False


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule that makes one step out of several gradients, in place of the gradient of a sum.

    Attributes:
        terms: (batch, state) -> what is differentiated [terms].
        combine: (gradients [replicates, terms, parameters], values [replicates, terms], which parameters are the
            head's [parameters]) -> the direction that the optimiser takes for a gradient [replicates, parameters].
        moments: As in Penalty, of the terms' gradients.
    """

    terms: Callable[[Batch, State], torch.Tensor]
    combine: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    moments: bool = False


@dataclass(frozen=True, eq=False)
class Phase:
    """A stretch of training with an objective of its own.

    Attributes:
        objective: What is minimised in it.
        steps: How many; None takes what the other phases leave of fit's steps.
        optimiser, learning_rate, weight_decay: In place of those that fit was given; None keeps them.
        trains: "all" parameters, or the "head" alone.
        enter: (batch of all rows, state, parameters by name, generator) -> state and parameters at its begin; called
            for each replicate. The state is the objective's at its start, and what the phase before left under other
            names. None keeps both.
    """

    objective: Objective
    steps: int | None = None
    optimiser: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    trains: Literal["all", "head"] = "all"
    enter: Callable[..., tuple[State, dict[str, torch.Tensor]]] | None = None


@dataclass(frozen=True, eq=False)
class Objective:
    """sum_e q_e R_e + sum_i weight_i penalty_i(batch): called with a batch, it returns that scalar.

    The weights q are uniform, the mean over environments, unless `reweigh` moves them between steps. They are the
    objective's state: `start` makes it, `update` returns the next one, and `fit` carries it; nothing is stored here.

    Attributes:
        name: What tables and errors call it.
        penalties: Each a Penalty, or a pair (weight, function of the batch); counted in order.
        reweigh: (state, risks [environments]) -> the weights q, before every step; None keeps them.
        risk: What the penalties are added to, a function (batch, state) -> scalar.
        rule: How the step is made, where it is not along the gradient of the sum.
        phases: Stretches of training, one after the other; empty for one stretch with this objective.
        dials: Numbers that `risk` and `reweigh` read from the state by name; they may differ between replicates.
        min_environments: The fewest environments for which it is defined.
        moments, kind: As in Penalty, of the risk.
        whole_batches: It remembers something of every row, so that all of them must be in every step.

    Example:
        >>> worst = Objective("worst", penalties=((0.5, lambda batch: batch.risks.max()),))
        >>> worst(Batch(losses=(torch.zeros(2), torch.full((2,), 4.0))))
        tensor(4.)
    """

    name: str
    penalties: tuple[Penalty, ...] = ()
    reweigh: Callable[[State, torch.Tensor], torch.Tensor] | None = None
    risk: Callable[[Batch, State], torch.Tensor] = weighted_risk
    rule: Rule | None = None
    phases: tuple[Phase, ...] = ()
    dials: Mapping[str, float] = field(default_factory=dict)
    min_environments: int = 1
    moments: bool = True
    kind: Literal["regression", "classification"] | None = None
    whole_batches: bool = False

    def __post_init__(self) -> None:
        pairs = [p if isinstance(p, Penalty) else Penalty(*p) for p in self.penalties]
        for penalty in pairs:
            check_number(self.name, "weight", penalty.weight)
        object.__setattr__(self, "penalties", tuple(pairs))

    def start(self, environments: int) -> State:
        """The state before the first step: q uniform [environments], the penalties' weights, the dials, step 0."""
        return {
            "weights": torch.full((environments,), 1.0 / environments, dtype=torch.float64),
            "penalties": torch.tensor([float(p.weight) for p in self.penalties], dtype=torch.float64),
            "step": torch.zeros((), dtype=torch.float64),
            **{name: torch.tensor(float(value), dtype=torch.float64) for name, value in self.dials.items()},
        }

    def update(self, batch: Batch, state: State) -> State:
        """The state for this step; no gradient flows through it."""
        if self.reweigh is None:
            return state
        return {**state, "weights": self.reweigh(state, batch.risks.detach())}

    def __call__(self, batch: Batch, state: State | None = None) -> torch.Tensor:
        """The scalar to minimise; without a state, at the state of the start."""
        state = self.start(len(batch.losses)) if state is None else state
        total = self.risk(batch, state)
        for penalty, weight in zip(self.penalties, state["penalties"], strict=True):
            if penalty.start or penalty.ramp:
                grown = (state["step"] - penalty.start + (penalty.ramp == 0)) / max(penalty.ramp, 1)
                weight = weight * grown.clamp(0.0, 1.0)
            total = total + weight.to(total) * penalty.function(batch)
        if not isinstance(total, torch.Tensor) or total.ndim:
            got = f"a tensor of shape {list(total.shape)}" if isinstance(total, torch.Tensor) else type(total).__name__
            raise ValueError(f"objective {self.name} gave {got}: it must be one number, a tensor without axes")
        return total

    def anneal(self, start: int, ramp: int = 0) -> Objective:
        """The same with every penalty at 0 before step `start`, and at its weight after `ramp` further steps.

        Raises:
            ValueError: A number of steps that is negative or no integer; there is no penalty.

        Example:
            >>> irm_later = Objective("mine", ((2.0, lambda batch: batch.risks.max()),)).anneal(start=100)
            >>> irm_later(Batch(losses=(torch.ones(1),)))  # step 0: the risk alone
            tensor(1.)
        """
        check_steps(self.name, "start", start)
        check_steps(self.name, "ramp", ramp)
        if not self.penalties:
            raise ValueError(f"{self.name} has no penalty to anneal: add one, as in erm() + irm(100.0)")
        later = tuple(replace(penalty, start=start, ramp=ramp) for penalty in self.penalties)
        return replace(self, name=f"{self.name} from step {start}", penalties=later)

    def __add__(self, other: Objective) -> Objective:
        """Both sides' penalties on one risk.

        Raises:
            ValueError: Both sides weigh the environments or bring a risk, a rule or phases of their own.
        """
        if not isinstance(other, Objective):
            return NotImplemented
        own = [side for side in (self, other) if side._replaces_the_mean]
        if len(own) > 1:
            raise ValueError(
                f"{self.name} and {other.name} both replace the mean risk: keep one of them, add penalties to it"
            )
        if own and (own[0].rule or own[0].phases):
            raise ValueError(
                f"{own[0].name} makes its steps by a rule or in phases of its own, to which nothing can be added: "
                "hand the penalties to it, where it takes some, or leave it out"
            )
        return replace(
            own[0] if own else self,
            name=" + ".join(side.name for side in (self, other) if side.penalties or side in own) or self.name,
            penalties=self.penalties + other.penalties,
            min_environments=max(self.min_environments, other.min_environments),
        )

    @property
    def _replaces_the_mean(self) -> bool:
        return bool(self.reweigh or self.rule or self.phases or self.risk is not weighted_risk)


def check_number(owner: str, name: str, value: float, least: float = 0.0, most: float = math.inf) -> None:
    """The door of every weight: a finite number from `least` to `most`.

    Raises:
        ValueError: It is not one.

    Example:
        >>> check_number("irm", "weight", -1.0)
        Traceback (most recent call last):
            ...
        ValueError: irm: weight -1.0 is not a finite number of at least 0: pass weight=1.0, say
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or not least <= value <= most:
        bound = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        hint = max(least, min(1.0, most))
        raise ValueError(f"{owner}: {name} {value!r} is not a finite number {bound}: pass {name}={hint}, say")


def check_steps(owner: str, name: str, steps: int, least: int = 0) -> None:
    """The door of every number of steps.

    Raises:
        ValueError: It is not an integer, or less than `least`.

    Example:
        >>> check_steps("irm", "start", -1)
        Traceback (most recent call last):
            ...
        ValueError: irm: start -1 is not a number of steps: give 0, 1, 2, ...
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < least:
        numbers = ", ".join(str(least + k) for k in range(3))
        raise ValueError(f"{owner}: {name} {steps!r} is not a number of steps: give {numbers}, ...")
