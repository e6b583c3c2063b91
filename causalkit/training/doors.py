"""The doors of training: what `fit` is given is checked here, and every refusal says what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any

import networkx as nx
import numpy as np
import torch

from causalkit.environments import Environment, Task
from causalkit.errors import unknown
from causalkit.model import check_environments
from causalkit.objectives import OBJECTIVES, Batch, Objective
from causalkit.seeds import Seed
from causalkit.training.optimisers import OPTIMISERS, Optimiser

__all__ = ["AnyObjective", "check_budget", "check_classes", "check_replicates", "each_of", "objectives_of", "seeds_of"]

AnyObjective = Objective | Callable[[Batch], torch.Tensor] | str


def objectives_of(objective: Any, replicates: int) -> list[Objective]:
    """One objective a replicate, all made of the same functions."""
    if not isinstance(objective, list | tuple):
        return [_objective(objective)] * max(replicates, 1)
    goals = [_objective(each) for each in objective]
    if len(goals) != replicates:
        raise ValueError(f"{len(goals)} objectives for {replicates} seeds: give one for all, or one a replicate")
    for goal in goals:
        if _functions(goal) != _functions(goals[0]):
            raise ValueError(
                f"replicates' objectives {goals[0].name} and {goal.name} differ in more than their weights: "
                "fit them one by one"
            )
    return goals


def _functions(goal: Objective) -> list[object]:
    """What two objectives must share to be one program."""
    own: list[object] = [goal.risk, goal.reweigh, goal.rule, sorted(goal.dials), len(goal.phases)]
    own += [(p.function, p.start, p.ramp, p.prepare) for p in goal.penalties]
    for p in goal.phases:
        own.append((p.steps, p.optimiser, p.learning_rate, p.weight_decay, p.trains, p.enter, _functions(p.objective)))
    return own


def _objective(objective: AnyObjective) -> Objective:
    """An Objective from itself, from a name (with its default weight), or from any function batch -> scalar."""
    if isinstance(objective, str):
        if objective not in OBJECTIVES:
            raise unknown("objective", objective, OBJECTIVES)
        return OBJECTIVES[objective]()
    if isinstance(objective, Objective):
        return objective
    if not callable(objective) or objective in OBJECTIVES.values():
        raise ValueError(
            f"{objective!r} is not an objective: call it, as in objective=irm(weight=100.0), or give its name"
        )
    name = getattr(objective, "__name__", "objective")
    return Objective(name, risk=lambda batch, state: objective(batch), moments=False)


def seeds_of(seeds: Any) -> list[Seed]:
    """The seeds as a list, one a replicate."""
    if isinstance(seeds, int | torch.Generator) or not isinstance(seeds, Iterable):
        raise ValueError(f"seeds {seeds!r}: give one for every replicate, in a list, or range(10) for ten")
    return list(seeds)


def each_of(name: str, value: Any, seeds: list[Seed]) -> list[float]:
    """The value of each replicate."""
    if isinstance(value, torch.Tensor | np.ndarray):
        value = value.tolist()
    values = list(value) if isinstance(value, list | tuple) else [value] * len(seeds)
    if len(values) != len(seeds):
        raise ValueError(f"{len(values)} values of {name} for {len(seeds)} seeds: give one for all, or one a replicate")
    for each in values:
        if isinstance(each, bool) or not isinstance(each, Real):
            raise ValueError(f"{name} {each!r} is not a number: give one for all replicates, or a list of one each")
    return values


def check_replicates(
    trains: list[Sequence[Environment]], maps: list[nx.DiGraph | None], loads: Sequence[object], seeds: list[Seed],
    task: Task, goal: Objective,
) -> None:  # fmt: skip
    """One of everything a replicate, all of one shape, and what the objective needs."""
    if not seeds or not len(trains) == len(maps) == len(loads) == len(seeds):
        raise ValueError(
            f"{len(trains)} training sets, {len(maps)} graphs, {len(loads)} sets of weights and {len(seeds)} seeds: "
            "give one of each for every replicate, [train] * 10 for ten seeds on one data set"
        )
    shapes: list[list[tuple[str, int]]] = []
    for train, load in zip(trains, loads, strict=True):
        check_environments(train, task)
        shapes.append([(environment.name, len(environment.frame)) for environment in train])
        if shapes[-1] != shapes[0]:
            raise ValueError(f"replicates differ in shape, {shapes[0]} and {shapes[-1]}: fit them one by one")
        if load is not None:
            _check_weights(load, train)
    if len(shapes[0]) < goal.min_environments:
        raise ValueError(
            f"objective {goal.name} compares environments: it needs at least {goal.min_environments}, and "
            f"{shapes[0][0][0]!r} is alone. Give more environments, or use erm()"
        )
    for kind in (goal.kind, *(penalty.kind for penalty in goal.penalties)):
        if kind not in (None, task.kind):
            raise ValueError(
                f"objective {goal.name} is defined for a {kind}, and the task is a {task.kind}: choose another "
                f"objective, or Task(..., kind={kind!r})"
            )


def check_classes(train: Sequence[Environment], task: Task, classes: np.ndarray | None, goal: Objective) -> None:
    """Every class in every environment, where the objective compares environments.

    Otherwise it would compare what cannot be: a rule that always answers with an environment's only class is perfect
    there, and an aligned representation would have to forget the class.
    """
    if classes is None or goal.min_environments < 2:
        return
    for environment in train:
        missing = np.setdiff1d(classes, environment.frame[task.target].to_numpy())
        if len(missing):
            raise ValueError(
                f"environment {environment.name!r} has no row of class {missing[0]} of {task.target!r}, and objective "
                f"{goal.name} compares environments: give rows of every class in each, leave the environment out, or "
                "use erm()"
            )


def _check_weights(load: object, train: Sequence[Environment]) -> None:
    if not isinstance(load, list | tuple) or len(load) != len(train):
        raise ValueError(
            f"weights: expected {len(train)} arrays in a list, one an environment, as ck.reweighting makes"
        )
    for each, environment in zip(load, train, strict=True):
        try:
            values = np.asarray(each, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"weights of environment {environment.name!r} are not numbers: {error}") from error
        if values.shape != (len(environment.frame),):
            raise ValueError(
                f"weights of environment {environment.name!r} have the shape {values.shape}: give one number for each "
                f"of its {len(environment.frame)} rows"
            )
        if not np.isfinite(values).all() or (values < 0).any() or not values.sum():
            raise ValueError(
                f"weights of environment {environment.name!r} are negative, NaN or all 0: give numbers of at least 0"
            )


def check_budget(
    goal: Objective, steps: int, rates: list[float], decays: list[float], batch: int | None, hold_out: float,
    patience: int | None, optimiser: str | Optimiser, schedule: str, device: str, dtype: torch.dtype, least: int,
) -> None:  # fmt: skip
    """Steps, rates and rules; `least` is the number of rows of the smallest environment."""
    if batch is not None and goal.whole_batches:
        raise ValueError(f"objective {goal.name} remembers something of every row: leave batch out")
    for name, value, fine in (
        ("steps", steps, isinstance(steps, int) and steps >= 1),
        *(("learning_rate", rate, 0 < rate < math.inf) for rate in rates),
        *(("weight_decay", decay, 0 <= decay < math.inf) for decay in decays),
        ("batch", batch, batch is None or (isinstance(batch, int) and batch >= 1)),
        ("patience", patience, patience is None or (isinstance(patience, int) and patience >= 1)),
    ):
        if not fine:
            raise ValueError(f"{name} {value!r}: give a positive number (weight_decay may be 0, batch None)")
    if not isinstance(hold_out, Real) or not 0 <= hold_out < 1:
        raise ValueError(f"hold_out {hold_out!r} is no share of the rows: give a number from 0 to below 1, 0.2 say")
    if hold_out and not 1 <= round(hold_out * least) < least:
        raise ValueError(
            f"hold_out {hold_out!r} splits {least} rows, the fewest of an environment, into {round(hold_out * least)} "
            "and the rest: on each side there must be one"
        )
    if patience is not None and not hold_out:
        raise ValueError("patience watches the held-out risk, and no rows are held out: give hold_out=0.2, say")
    if not callable(optimiser) and optimiser not in (*OPTIMISERS, "lbfgs"):
        raise unknown("optimiser", optimiser, [*OPTIMISERS, "lbfgs"])
    if optimiser == "lbfgs" and hold_out:
        raise ValueError("optimiser 'lbfgs' goes to the minimum and looks at no held-out rows: leave hold_out out")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype {dtype!r} is no floating-point type of torch: give torch.float32 or torch.float64")
    if schedule not in ("cosine", "constant"):
        raise unknown("schedule", schedule, ["cosine", "constant"])
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {error}. device='cpu' works everywhere") from error
