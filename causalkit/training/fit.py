"""fit and fit_many: from environments to trained models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.encoder import encode
from causalkit.environments import Environment, Task
from causalkit.model import Diverged, Model, Network, initialise, read
from causalkit.objectives import LOSSES, Objective
from causalkit.seeds import Seed, generator
from causalkit.training.doors import (
    AnyObjective,
    check_budget,
    check_classes,
    check_replicates,
    each_of,
    objectives_of,
    seeds_of,
)
from causalkit.training.loop import Outcome, Plan, train
from causalkit.training.optimisers import OPTIMISERS, Optimiser, lbfgs
from causalkit.training.report import left_to_gain, report
from causalkit.training.rows import gather
from causalkit.training.stacked import Rows, Stacked, stream

__all__ = ["fit", "fit_many"]

AnyEncoder = str | Callable[[nx.DiGraph, Task], Any]


def fit(
    train: Sequence[Environment],
    task: Task,
    *,
    objective: AnyObjective = "erm",
    graph: nx.DiGraph | None = None,
    encoder: AnyEncoder | None = None,
    backbone: str = "mlp",
    steps: int = 400,
    learning_rate: float = 0.02,
    weight_decay: float = 0.0,
    batch: int | None = None,
    weights: Sequence[np.ndarray] | None = None,
    hold_out: float = 0.0,
    patience: int | None = None,
    optimiser: str | Optimiser = "adam",
    schedule: str = "cosine",
    device: str = "cpu",
    standardise: bool = True,
    dtype: torch.dtype = torch.float32,
    seed: Seed,
) -> Model:
    """Trains a network on several environments to minimise an objective.

    Where the backbone is linear, the task a regression, the batch whole, and the objective one that sees means and
    covariances alone (`erm`, `irm`, `vrex`, ...), each environment's rows give way to a handful with the same ones:
    the result is the same to rounding, and no longer costs more for more rows.

    Args:
        train: The training environments.
        task: What to predict from what.
        objective: One of `ck.objectives`, its name (with its default weight), or any function batch -> scalar of
            torch operations (it is mapped over replicates: no .item(), no branch on a value).
        graph: What the encoder reads; None if it reads none.
        encoder: A name in `ck.ENCODERS`, or a function like those; None means "parents" with a graph and "none"
            without one.
        backbone: A name in `ck.model.BACKBONES`: "mlp" or "linear", say.
        steps: Steps of the optimiser; the most iterations of "lbfgs".
        learning_rate: Of the first step.
        weight_decay: Weight of sum theta^2 / 2 (L2, as in torch.optim.Adam).
        batch: Rows drawn (with replacement) from each environment at every step; None takes all of them.
        weights: What each row counts in its environment's risk, an array an environment; `ck.reweighting` makes some.
        hold_out: Share of each environment's rows, drawn by the seed, that is looked at only; the history has its risk.
        patience: With hold_out: training stops when the held-out risk (the mean over environments) has not fallen by
            0.1 % of its best for so many steps, and the parameters of the best look are returned. The objective's
            annealing comes first. None trains for all steps.
        optimiser: "adam", "sgd" or "momentum" (0.9); "lbfgs" for smooth objectives on whole batches; or a function
            as in `ck.training.OPTIMISERS`.
        schedule: "cosine", the learning rate falls to 0 along a half cosine, or "constant".
        device: Where to train, "cpu" or as PyTorch calls it; the model comes back to the CPU.
        standardise: Train on features and target with mean 0 and standard deviation 1 over all training rows.
            Penalty weights then do not depend on units; False is for published protocols on raw data.
        dtype: Of the training.
        seed: Of the initial weights, the batches and the rows held out.

    Raises:
        ValueError: What the environments, task, objective, graph or encoder lack (named); a bad budget.
        Diverged: A risk or penalty is no longer finite.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> train = ck.sample_environments(scm, {"a": None, "b": ck.shifts.spurious("y", strength=0.5)}, 200, seed=0)
        >>> ck.fit(train, ck.Task(("x", "z"), "y"), objective="irm", graph=scm.graph, steps=20, seed=1)
        Model(y from x, z; irm(weight=100))
    """
    models = fit_many(
        [train], task, objective=objective, graphs=None if graph is None else [graph], encoder=encoder,
        backbone=backbone, steps=steps, learning_rate=learning_rate, weight_decay=weight_decay, batch=batch,
        weights=None if weights is None else [weights], hold_out=hold_out, patience=patience, optimiser=optimiser,
        schedule=schedule, device=device, standardise=standardise, dtype=dtype, seeds=[seed],
    )  # fmt: skip
    if models[0].diverged:
        raise Diverged(f"{models[0].diverged}. Lower learning_rate or the objective's weight, or keep standardise=True")
    return models[0]


def fit_many(
    trains: Sequence[Sequence[Environment]],
    task: Task,
    *,
    objective: AnyObjective | Sequence[AnyObjective] = "erm",
    graphs: Sequence[nx.DiGraph | None] | None = None,
    encoder: AnyEncoder | None = None,
    backbone: str = "mlp",
    steps: int = 400,
    learning_rate: float | Sequence[float] = 0.02,
    weight_decay: float | Sequence[float] = 0.0,
    batch: int | None = None,
    weights: Sequence[Sequence[np.ndarray] | None] | None = None,
    hold_out: float = 0.0,
    patience: int | None = None,
    optimiser: str | Optimiser = "adam",
    schedule: str = "cosine",
    device: str = "cpu",
    standardise: bool = True,
    dtype: torch.dtype = torch.float32,
    seeds: Sequence[Seed],
) -> list[Model]:
    """Trains replicates together: the same as `fit` one by one, up to rounding, in far less time where data are small.

    A replicate that diverges stops there: its model says so in `diverged` and refuses to predict; the others go on.

    Args:
        trains: The training environments of each replicate [replicates]; names and numbers of rows are the same in
            all of them. `[train] * 10` for ten seeds on one data set.
        objective: One for all, or one a replicate: the same function with other weights, `[irm(w) for w in (1, 10)]`.
        graphs: What the encoder reads in each replicate [replicates].
        learning_rate, weight_decay: A number for all, or one a replicate.
        weights: The rows' weights of each replicate.
        seeds: Of each replicate [replicates].

    The other arguments, shared by all replicates, and what is raised are those of `fit`.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(100, seed=0)
        >>> train = [ck.Environment("a", frame)]
        >>> len(ck.training.fit_many([train] * 3, ck.Task(("x",), "y"), steps=10, seeds=range(3)))
        3
    """
    once = {id(train): list(train) if isinstance(train, list | tuple) else train for train in trains}
    trains, seeds = [once[id(train)] for train in trains], seeds_of(seeds)
    maps: list[nx.DiGraph | None] = [None] * len(seeds) if graphs is None else list(graphs)
    loads = [None] * len(seeds) if weights is None else list(weights)
    goals = objectives_of(objective, len(seeds))
    rates, decays = each_of("learning_rate", learning_rate, seeds), each_of("weight_decay", weight_decay, seeds)
    check_replicates(trains, maps, loads, seeds, task, goals[0])
    least = min(len(environment.frame) for environment in trains[0])
    check_budget(goals[0], steps, rates, decays, batch, hold_out, patience, optimiser, schedule, device, dtype, least)
    sets = {key: read(train, task, standardise, dtype) for key, train in {id(t): t for t in trains}.items()}
    for key, one in {id(t): t for t in trains}.items():
        check_classes(one, task, sets[key].classes, goals[0])
    data = [sets[id(train)] for train in trains]
    classes = {None if each.classes is None else len(each.classes) for each in data}
    if len(classes) > 1:
        raise ValueError(
            f"replicates have different numbers of classes, {sorted(map(str, classes))}: fit them one by one"
        )
    networks = [
        Network(encode(graph, task, encoder), next(iter(classes)), backbone, seed=seed).to(dtype)
        for graph, seed in zip(maps, seeds, strict=True)
    ]
    plan = Plan(
        steps, torch.tensor(rates, dtype=dtype, device=device)[:, None],
        torch.tensor(decays, dtype=dtype, device=device)[:, None],
        OPTIMISERS[optimiser] if isinstance(optimiser, str) and optimiser != "lbfgs" else optimiser,
        schedule == "cosine", patience, seeds,
    )  # fmt: skip
    few = batch is None and backbone == "linear" and task.kind == "regression" and _sees_moments(goals[0])
    masks = torch.stack([network.encoder.mask for network in networks])
    rows, held = gather(trains, data, loads, task, goals[0], seeds, hold_out, masks if few else None)
    names = [environment.name for environment in trains[0]]
    stacked = Stacked(networks, _modules(goals[0], networks, seeds, len(names)), LOSSES[task.kind], names, device)
    rows, held = rows.to(device), None if held is None else held.to(device)
    outcomes = (
        _by_lbfgs(stacked, rows, goals, plan, batch)
        if plan.optimiser == "lbfgs"
        else train(stacked, stream(rows, batch, seeds), held, goals, plan)
    )
    left = left_to_gain(stacked, goals, rows, plan.decay)
    stacked.give_back()
    return [
        Model(
            task, network.eval().requires_grad_(False), each.location, each.scale, each.classes, goal.name,
            outcome.history, report(outcome, float(gain)), outcome.diverged,
        )
        for network, each, goal, outcome, gain in zip(networks, data, goals, outcomes, left, strict=True)
    ]  # fmt: skip


def _sees_moments(goal: Objective) -> bool:
    rule = goal.rule is None or goal.rule.moments
    return goal.moments and rule and not goal.phases and all(p.moments for p in goal.penalties)


def _modules(
    goal: Objective, networks: list[Network], seeds: list[Seed], environments: int
) -> list[dict[str, torch.nn.Module]]:
    """The networks that the objective brings along, their weights drawn as a backbone's."""
    found = []
    for network, seed in zip(networks, seeds, strict=True):
        mine: dict[str, torch.nn.Module] = {}
        hidden = any(True for _ in network.backbone.parameters())
        width = network.head.in_features if hidden else network.head.out_features
        for penalty in goal.penalties:
            for name, make in penalty.module.items():
                mine[name] = make(width, len(network.encoder.mask), environments)
                initialise(mine[name], generator(seed, "init", name))
        found.append({name: module.to(network.head.weight.dtype) for name, module in mine.items()})
    return found


def _by_lbfgs(stacked: Stacked, rows: Rows, goals: list[Objective], plan: Plan, batch: int | None) -> list[Outcome]:
    """Each replicate to its minimum, one after the other."""
    goal = goals[0]
    moving = goal.rule or goal.phases or goal.reweigh or any(p.start or p.ramp or p.game for p in goal.penalties)
    if batch is not None or moving:
        raise ValueError(
            f"optimiser 'lbfgs' wants one smooth function of the parameters, and {goal.name} is not that here (a "
            "batch, a rule, a game, phases, annealing or moving weights): use optimiser='adam'"
        )
    outcomes = []
    for r, each in enumerate(goals):
        state = {key: value.to(stacked.flat.device) for key, value in each.start(len(stacked.names)).items()}
        tensors, buffers, decay = rows.replicate(r), stacked.buffer(r), plan.decay[r, 0]

        def value(flat: torch.Tensor) -> torch.Tensor:
            seen = stacked.batch(flat, buffers, tensors, rows.sizes)  # noqa: B023 - called before the next r
            return each(seen, state) + decay * flat.square().sum() / 2  # noqa: B023

        stacked.flat[r], course = lbfgs(value, stacked.flat[r].clone(), plan.steps)
        with torch.no_grad():
            risks = stacked.batch(stacked.flat[r], buffers, tensors, rows.sizes).risks.double()
        history = pd.DataFrame(course, columns=["objective", "gradient"])
        history.insert(0, "step", range(len(history)))
        history = history.iloc[:: max(1, len(history) // 100)] if len(history) > 100 else history
        history["risk"] = np.nan
        history.loc[history.index[-1], "risk"] = float(risks.mean())
        bad = f"objective {each.name} diverged in replicate {r}" if not torch.isfinite(risks).all() else ""
        outcomes.append(Outcome(history, bad))
    return outcomes
