"""Regularized Optimization: the one training loop, and how a trained model is judged.

`fit_many` trains replicates (seeds, data sets of one shape, graphs) as one program: their parameters are stacked
along a leading axis, the objective is mapped over it, and Adam, which works element by element, moves them all.
Replicates never touch each other; `fit` is the case of one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.encoder import encode
from causalkit.environments import Environment, Task
from causalkit.errors import unknown
from causalkit.model import Model, Network, TrainingData, check_environments, read
from causalkit.objectives import LOSSES, OBJECTIVES, Batch, Objective
from causalkit.seeds import Seed, generator

__all__ = ["Diverged", "evaluate", "fit", "fit_many"]

AnyObjective = Objective | Callable[[Batch], torch.Tensor] | str


class Diverged(ValueError):
    """Training left the finite numbers; the message names the objective, the replicate and the step."""


def fit(
    train: Sequence[Environment],
    task: Task,
    *,
    objective: AnyObjective = "erm",
    graph: nx.DiGraph | None = None,
    encoder: str | None = None,
    backbone: str = "mlp",
    steps: int = 400,
    learning_rate: float = 0.02,
    weight_decay: float = 0.0,
    batch: int | None = None,
    standardise: bool = True,
    dtype: torch.dtype = torch.float32,
    seed: Seed,
) -> Model:
    """Trains a network on several environments to minimise an objective.

    Args:
        train: The training environments.
        task: What to predict from what.
        objective: One of `ck.objectives`, its name (with its default weight), or any function batch -> scalar of
            torch operations (it is mapped over replicates: no .item(), no branch on a value).
        graph: What the encoder reads; None if it reads none.
        encoder: A name in `ck.ENCODERS`; None means "parents" with a graph and "none" without one.
        backbone: A name in `ck.model.BACKBONES`: "mlp" or "linear".
        steps: Steps of Adam.
        learning_rate: Of the first step; it falls to 0 along a half cosine.
        weight_decay: Weight of sum theta^2 / 2 (L2, as in torch.optim.Adam).
        batch: Rows drawn (with replacement) from each environment at every step; None takes all of them.
        standardise: Train on features and target with mean 0 and standard deviation 1 over all training rows.
            Penalty weights then do not depend on units; False is for published protocols on raw data.
        dtype: Of the training.
        seed: Of the initial weights and the batches.

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
        standardise=standardise, dtype=dtype, seeds=[seed],
    )  # fmt: skip
    return models[0]


def fit_many(
    trains: Sequence[Sequence[Environment]],
    task: Task,
    *,
    objective: AnyObjective = "erm",
    graphs: Sequence[nx.DiGraph] | None = None,
    encoder: str | None = None,
    backbone: str = "mlp",
    steps: int = 400,
    learning_rate: float = 0.02,
    weight_decay: float = 0.0,
    batch: int | None = None,
    standardise: bool = True,
    dtype: torch.dtype = torch.float32,
    seeds: Sequence[Seed],
) -> list[Model]:
    """Trains replicates together: the same as `fit` one by one, up to rounding, in less time where data are small.

    Args:
        trains: The training environments of each replicate [replicates]; names and numbers of rows are the same in
            all of them. `[train] * 10` for ten seeds on one data set.
        graphs: What the encoder reads in each replicate [replicates].
        seeds: Of each replicate [replicates].

    The other arguments, shared by all replicates, and what is raised are those of `fit`.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(100, seed=0)
        >>> train = [ck.Environment("a", frame)]
        >>> len(ck.training.fit_many([train] * 3, ck.Task(("x",), "y"), steps=10, seeds=range(3)))
        3
    """
    goal = _objective(objective)
    trains, seeds = [list(train) if isinstance(train, list | tuple) else train for train in trains], list(seeds)
    maps: list[nx.DiGraph | None] = [None] * len(seeds) if graphs is None else list(graphs)
    _check_replicates(trains, maps, seeds, task, goal)
    _check_budget(steps, learning_rate, weight_decay, batch)
    sets = [read(train, task, standardise, dtype) for train in trains]
    classes = {None if data.classes is None else len(data.classes) for data in sets}
    if len(classes) > 1:
        raise ValueError(
            f"replicates have different numbers of classes, {sorted(map(str, classes))}: fit them one by one"
        )
    networks = [
        Network(encode(graph, task, encoder), next(iter(classes)), backbone, seed=seed).to(dtype)
        for graph, seed in zip(maps, seeds, strict=True)
    ]
    histories = _train(
        networks,
        _rows(sets, [len(environment.frame) for environment in trains[0]], batch, seeds),
        goal,
        LOSSES[task.kind],
        [environment.name for environment in trains[0]],
        steps,
        # penalties start large and fall far: with the usual 0.999 Adam would remember the start and stall
        lambda parameters: torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=weight_decay),
    )
    return [
        Model(task, network.eval().requires_grad_(False), data.location, data.scale, data.classes, goal.name, history)
        for network, data, history in zip(networks, sets, histories, strict=True)
    ]


def evaluate(model: Model, test: Sequence[Environment], task: Task) -> pd.DataFrame:
    """How well a model predicts in each environment, in the units of the data.

    Args:
        model: What `fit` returned.
        test: The environments, seen in training or not.
        task: The model's own task.

    Returns:
        A row an environment, in the given order. A regression has the columns environment, n, rmse and se; a
        classification has environment, n, accuracy, log_loss (nats) and se. se is the standard error of rmse (by
        the delta method) or of accuracy over the rows: sampling of the test rows alone, not of training.

    Raises:
        ValueError: Another task than the model's; environments that `fit` would refuse; a label never seen in training.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(500, seed=0)
        >>> train, task = [ck.Environment("a", frame)], ck.Task(("x",), "y")
        >>> evaluate(ck.fit(train, task, backbone="linear", seed=0), train, task).columns.tolist()
        ['environment', 'n', 'rmse', 'se']
    """
    if task != model.task:
        raise ValueError(f"the model was trained for {model.task}, not for {task}: evaluate it on its own task")
    check_environments(test, task)
    return pd.DataFrame([{"environment": e.name, "n": len(e.frame), **_score(model, e)} for e in test])


def _score(model: Model, environment: Environment) -> dict[str, float]:
    truth, classes = environment.frame[model.task.target].to_numpy(), model.classes
    if classes is None:
        squares = (truth - model.predict(environment.frame)) ** 2
        rmse = math.sqrt(squares.mean())
        # delta method: sd(sqrt(m)) = sd(m) / (2 sqrt(m)), m the mean of the squares
        return {"rmse": rmse, "se": _standard_error(squares) / (2 * rmse) if rmse > 0 else 0.0}
    new = np.setdiff1d(truth, classes)
    if len(new):
        raise ValueError(
            f"environment {environment.name!r} has the label {new[0]} of {model.task.target!r}, which training never "
            f"saw (it saw {', '.join(map(str, classes))}): leave these rows out, or train with such rows"
        )
    probability = model.predict_proba(environment.frame)
    hits = (classes[probability.argmax(1)] == truth).astype(float)
    own = np.take_along_axis(probability, np.searchsorted(classes, truth)[:, None], 1)
    with np.errstate(divide="ignore"):  # a label given probability 0 costs infinitely much
        log_loss = float(-np.log(own).mean())
    return {"accuracy": float(hits.mean()), "log_loss": log_loss, "se": _standard_error(hits)}


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _rows(
    sets: Sequence[TrainingData], sizes: list[int], batch: int | None, seeds: Sequence[Seed]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[int]]]:
    """Endlessly, the next step's inputs [replicates, n, features], targets [replicates, n] and environment sizes."""
    inputs, targets = torch.stack([data.inputs for data in sets]), torch.stack([data.targets for data in sets])
    while batch is None:
        yield inputs, targets, sizes
    draws = [generator(seed, "batches") for seed in seeds]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    replicate = torch.arange(len(sets))[:, None]
    while True:
        picks = [
            [start + torch.randint(size, (batch,), generator=draw) for start, size in zip(starts, sizes, strict=True)]
            for draw in draws
        ]
        rows = torch.stack([torch.cat(pick) for pick in picks])
        yield inputs[replicate, rows], targets[replicate, rows], [batch] * len(sizes)


def _train(
    networks: list[Network],
    rows: Iterator[tuple[torch.Tensor, torch.Tensor, list[int]]],
    objective: Objective,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    names: list[str],
    steps: int,
    make_optimiser: Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer],
) -> list[pd.DataFrame]:
    """The loop: trains the networks in place, all at once, and returns the history of each."""
    parameters, buffers = torch.func.stack_module_state(networks)  # type: ignore[arg-type]
    optimiser = make_optimiser(parameters.values())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    state = {key: value.expand(len(networks), *value.shape) for key, value in objective.start(len(names)).items()}
    records = []
    for step in range(steps + 1):
        inputs, targets, sizes = next(rows)
        value = functools.partial(_value, networks[0], objective, loss, sizes)
        values, (risks, state) = torch.func.vmap(value)(parameters, buffers, inputs, targets, state)
        _check_finite(values, risks, objective.name, names, step)
        # no replicate's value depends on another's parameters: the gradient of the sum is each one's own
        gradients = torch.autograd.grad(values.sum(), list(parameters.values()), materialize_grads=True)
        if step % max(1, steps // 100) == 0 or step == steps:
            norms = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
            head = torch.stack([torch.full_like(norms, step), values.detach(), risks.mean(1), norms], 1)
            records.append(torch.cat([head, risks], 1).double())
        if step < steps:
            for parameter, gradient in zip(parameters.values(), gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        for r, network in enumerate(networks):
            for name, parameter in network.named_parameters():
                parameter.copy_(parameters[name][r])
    return [_history(table, names) for table in torch.stack(records, 1).numpy()]


def _value(
    network: Network,
    objective: Objective,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    sizes: list[int],
    parameters: dict[str, torch.Tensor],
    buffers: dict[str, torch.Tensor],
    inputs: torch.Tensor,
    targets: torch.Tensor,
    state: dict[str, torch.Tensor],
) -> tuple[torch.Tensor, tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """One replicate's objective at its parameters; beside it, its risks [environments] and its next state."""
    predictions, features = torch.func.functional_call(network, (parameters, buffers), (inputs,))
    batch = Batch(
        losses=loss(predictions, targets).split(sizes),
        predictions=predictions.split(sizes),
        targets=targets.split(sizes),
        features=features.split(sizes),
        inputs=inputs.split(sizes),
        loss=loss,
    )
    state = objective.update(batch, state)
    return objective(batch, state), (batch.risks.detach(), state)


def _history(table: np.ndarray, names: list[str]) -> pd.DataFrame:
    columns = ["step", "objective", "risk", "gradient", *(f"risk_{name}" for name in names)]
    history = pd.DataFrame(table, columns=columns).astype({"step": int})
    lowest = history["objective"].min()
    close = history["objective"] <= lowest + 1e-3 * abs(lowest)
    history.attrs = {"gradient": float(history["gradient"].iloc[-1]), "settled": int(history["step"][close.idxmax()])}
    return history


def _check_finite(values: torch.Tensor, risks: torch.Tensor, objective: str, names: list[str], step: int) -> None:
    if torch.isfinite(values).all() and torch.isfinite(risks).all():
        return
    replicate = int((~torch.isfinite(values) | ~torch.isfinite(risks).all(1)).int().argmax())
    bad = [name for name, risk in zip(names, risks[replicate], strict=True) if not torch.isfinite(risk)]
    where = f"the risk of environment {bad[0]!r}" if bad else "a penalty"
    raise Diverged(
        f"objective {objective} diverged at step {step} in replicate {replicate}: {where} is no longer finite. "
        "Lower learning_rate or the objective's weight, or keep standardise=True"
    )


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
    return Objective(getattr(objective, "__name__", "objective"), risk=lambda batch, state: objective(batch))


def _check_replicates(
    trains: list[Sequence[Environment]], maps: list[nx.DiGraph | None], seeds: list[Seed], task: Task, goal: Objective
) -> None:
    if not seeds or len(trains) != len(seeds) or len(maps) != len(seeds):
        raise ValueError(
            f"{len(trains)} training sets, {len(maps)} graphs and {len(seeds)} seeds: give one of each for every "
            "replicate, [train] * 10 for ten seeds on one data set"
        )
    shapes = []
    for train in trains:
        check_environments(train, task)
        shapes.append([(environment.name, len(environment.frame)) for environment in train])
        if shapes[-1] != shapes[0]:
            raise ValueError(f"replicates differ in shape, {shapes[0]} and {shapes[-1]}: fit them one by one")
    if len(shapes[0]) < goal.min_environments:
        raise ValueError(
            f"objective {goal.name} compares environments: it needs at least {goal.min_environments}, and "
            f"{shapes[0][0][0]!r} is alone. Give more environments, or use erm()"
        )


def _check_budget(steps: int, learning_rate: float, weight_decay: float, batch: int | None) -> None:
    for name, value, fine in (
        ("steps", steps, isinstance(steps, int) and steps >= 1),
        ("learning_rate", learning_rate, 0 < learning_rate < math.inf),
        ("weight_decay", weight_decay, 0 <= weight_decay < math.inf),
        ("batch", batch, batch is None or (isinstance(batch, int) and batch >= 1)),
    ):
        if not fine:
            raise ValueError(f"{name} {value!r}: give a positive number (weight_decay may be 0, batch None)")
