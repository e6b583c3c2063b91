"""FeAT: rounds of training that look for features beyond the easiest ones, then an objective for the head alone.

Risk minimisation learns the strongest feature and is content. Feature augmented training asks again, on the rows that
the first answer got wrong; a penalty such as `irm`, which hardly learns features, then chooses among those found.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch

from causalkit.errors import unknown
from causalkit.objectives.base import Batch, Objective, Phase, State, check_number, check_steps
from causalkit.objectives.invariance import irm

__all__ = ["feat"]

Parameters = dict[str, torch.Tensor]

WEIGHT, BIAS = "network.head.weight", "network.head.bias"


def feat(
    then: Objective | None = None,
    *,
    rounds: int = 2,
    round_steps: int = 150,
    retain: float = 0.01,
    floor: float = 1.3,
    head: Literal["mean", "fresh"] = "mean",
) -> Objective:
    """Feature augmented training (FeAT): `rounds` of looking for features, then `then` for the head on frozen ones.

    Each round trains the network with a new head, to minimise

        max(R(all rows), R(augmentation rows)) + retain * R_old(retention rows),

    R being the mean cross-entropy, in which environments count the same, and R_old that of the mean of the earlier
    rounds' heads on the present features. After a round the rows are split by the mean of all heads so far: those that
    it gets right with a probability above 1/2 are the retention rows, the others the augmentation rows; in the first
    round there are neither. A later round is undone, and the rounds after it too, if its accuracy on all rows and
    the old head's on the retention rows sum to less than `floor`: the new features cost too much of the old ones.
    (Its steps are taken all the same, as replicates train together, and come to nothing.)

    Source: Chen et al. (2023), Understanding and improving feature learning, algorithm 1, with the numbers of its code
    for coloured digits. That code differs in three points: it sums the heads where the paper, and this, takes their
    mean; it divides the accuracy on the retention rows by the number of the round; and it applies the floor to the
    first round too, which has no retention rows, where it would end every run.

    Args:
        then: What the head is trained for afterwards, with what is left of fit's steps; None for irm(1e4). A penalty
            that looks at the features alone has nothing to move there.
        rounds: At least 1; 1 is erm, then `then` on frozen features.
        round_steps: Of each round, with fit's optimiser, learning rate and weight decay.
        retain: Weight of the retention rows, at least 0.
        floor: Of the sum of two accuracies, from 0, which keeps every round, to 2.
        head: What `then` begins with: "mean", the mean of the rounds' heads, or "fresh", one drawn at random, from
            which a heavy penalty may lead to the head that predicts nothing. Both were published.

    Raises:
        ValueError: A number out of its range; a `then` that cannot be trained like that; in `fit`, a regression,
            batches, fewer environments than `then` compares, no more steps than the rounds take.

    Example:
        >>> [(phase.objective.name, phase.steps, phase.trains) for phase in feat(irm(1e4)).phases]
        [('round', 150, 'all'), ('round', 150, 'all'), ('irm(weight=10000)', None, 'head')]
    """
    then = irm(1e4) if then is None else then
    if not isinstance(then, Objective) or any(phase.enter for phase in then.phases):
        raise ValueError(f"feat: then={then!r} is not an objective for a head: give one like irm(1e4) or vrex(1e4)")
    check_steps("feat", "rounds", rounds, least=1)
    check_steps("feat", "round_steps", round_steps, least=1)
    check_number("feat", "retain", retain)
    check_number("feat", "floor", floor, most=2.0)
    if head not in _LAST:
        raise unknown("head", head, _LAST)
    each = Objective("round", risk=_round_risk, dials={"retain": retain, "floor": floor}, kind="classification")
    searches = [Phase(each, round_steps, enter=_next_round if k else _first_round) for k in range(rounds)]
    first, *others = then.phases or (Phase(then),)
    last = [replace(first, trains="head", enter=_LAST[head]), *(replace(phase, trains="head") for phase in others)]
    return replace(
        then,
        name=f"feat({then.name}, rounds={rounds})",
        rule=None,
        phases=(*searches, *last),
        moments=False,
        kind="classification",
        whole_batches=True,
    )


def _round_risk(batch: Batch, state: State) -> torch.Tensor:
    losses = torch.cat(batch.losses)
    share, retained = _share(batch), state["feat/retained"].to(losses)
    left = share * state["feat/split"].to(losses) * (1 - retained)
    old = torch.cat(batch.features) @ state["feat/weight"].mT + state["feat/bias"]
    kept = _mean(batch.loss(old, torch.cat(batch.targets)), share * retained)
    return torch.maximum(_mean(losses, share), _mean(losses, left)) + state["retain"].to(losses) * kept


def _share(batch: Batch) -> torch.Tensor:
    """What each row counts in a mean over environments [n]."""
    weights = batch.weights or tuple(torch.ones_like(losses) for losses in batch.losses)
    return torch.cat([weight / len(weight) for weight in weights]) / len(weights)


def _mean(values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The mean of some rows; 0 where there are none."""
    total = share.sum()
    return (values * share).sum() / torch.where(total > 0, total, 1.0)


def _first_round(batch: Batch, state: State, parameters: Parameters, draw: torch.Generator) -> tuple[State, Parameters]:
    """No split yet, no old head."""
    parameters = _new_head(parameters, draw)
    weight, bias, rows = parameters[WEIGHT], parameters[BIAS], torch.cat(batch.losses)
    state = state | {
        "feat/retained": torch.zeros_like(rows),
        "feat/split": rows.new_zeros(()),
        "feat/stopped": rows.new_zeros(()),
        "feat/heads": rows.new_zeros(()),
        "feat/weight": torch.zeros_like(weight),
        "feat/bias": torch.zeros_like(bias),
    }
    return state | _noted(parameters), parameters


def _next_round(batch: Batch, state: State, parameters: Parameters, draw: torch.Generator) -> tuple[State, Parameters]:
    """Judges the round that ended, splits the rows anew, and puts a new head on the features."""
    state, parameters = _judged(batch, state, parameters)
    parameters = _new_head(parameters, draw)
    return state | _noted(parameters), parameters


def _to_fresh(batch: Batch, state: State, parameters: Parameters, draw: torch.Generator) -> tuple[State, Parameters]:
    """Judges the last round; the objective that follows begins with a new head."""
    state, parameters = _judged(batch, state, parameters)
    return _without(state), _new_head(parameters, draw)


def _to_mean(batch: Batch, state: State, parameters: Parameters, draw: torch.Generator) -> tuple[State, Parameters]:
    """Judges the last round; the objective that follows begins with the mean of the heads."""
    state, parameters = _judged(batch, state, parameters)
    return _without(state), parameters | {WEIGHT: state["feat/weight"], BIAS: state["feat/bias"]}


_LAST = {"mean": _to_mean, "fresh": _to_fresh}


def _judged(batch: Batch, state: State, parameters: Parameters) -> tuple[State, Parameters]:
    """The state after a round, or, if the round or one before it cost too much, everything as before it."""
    share, features, targets = _share(batch), torch.cat(batch.features), torch.cat(batch.targets)
    retained = state["feat/retained"]
    right = (torch.cat(batch.predictions).argmax(-1) == targets).to(share)
    still = ((features @ state["feat/weight"].mT + state["feat/bias"]).argmax(-1) == targets).to(share)
    costly = state["feat/split"] * (_mean(right, share) + _mean(still, share * retained) < state["floor"])
    stopped = torch.maximum(state["feat/stopped"], costly)
    heads = state["feat/heads"] + 1
    weight = state["feat/weight"] + (parameters[WEIGHT] - state["feat/weight"]) / heads
    bias = state["feat/bias"] + (parameters[BIAS] - state["feat/bias"]) / heads
    sure, guess = torch.softmax(features @ weight.mT + bias, -1).max(-1)
    after = {
        "feat/retained": ((guess == targets) & (sure > 0.5)).to(share),
        "feat/split": torch.ones_like(heads),
        "feat/heads": heads,
        "feat/weight": weight,
        "feat/bias": bias,
    }
    after = {key: torch.where(stopped > 0, state[key], value) for key, value in after.items()}
    parameters = {key: torch.where(stopped > 0, state[f"feat/{key}"], value) for key, value in parameters.items()}
    return state | after | {"feat/stopped": stopped}, parameters


def _noted(parameters: Parameters) -> State:
    """The parameters at the begin of a round, to go back to."""
    return {f"feat/{key}": value.clone() for key, value in parameters.items()}


def _without(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("feat/")}


def _new_head(parameters: Parameters, draw: torch.Generator) -> Parameters:
    """Weights uniform in +-sqrt(6 / (inputs + outputs)), biases 0 (Glorot and Bengio 2010), as published."""
    bound = math.sqrt(6 / sum(parameters[WEIGHT].shape))
    drawn = (2 * torch.rand(parameters[WEIGHT].shape, generator=draw, dtype=torch.float64) - 1) * bound
    return parameters | {WEIGHT: drawn.to(parameters[WEIGHT]), BIAS: torch.zeros_like(parameters[BIAS])}
