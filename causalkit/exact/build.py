"""From the weights of a linear rule to a `Model`, which predicts and is evaluated like a trained one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from causalkit.environments import Environment, Task
from causalkit.model import Model, Network, check_environments, read

__all__ = ["Arrays", "arrays", "check", "linear_model"]

Arrays = list[tuple[np.ndarray, np.ndarray]]
"""Features [n, d] and target [n] of each environment."""


def arrays(train: Sequence[Environment], task: Task) -> Arrays:
    """The environments' features and targets as float64.

    Example:
        >>> [(x, y)] = arrays([Environment("a", pd.DataFrame({"x": [0.0], "y": [1.0]}))], Task(("x",), "y"))
        >>> x.shape, y.shape
        ((1, 1), (1,))
    """
    features = list(task.features)
    return [(e.frame[features].to_numpy(np.float64), e.frame[task.target].to_numpy(np.float64)) for e in train]


def check(train: Sequence[Environment], task: Task, name: str, kind: str | None = None, environments: int = 1) -> None:
    """The door of every method here.

    Raises:
        ValueError: What `check_environments` raises; another kind of task than the method is for; too few environments.

    Example:
        >>> frame = pd.DataFrame({"x": [0.0], "y": [1.0]})
        >>> check([Environment("a", frame)], Task(("x",), "y"), "least_squares", "regression")
    """
    check_environments(train, task)
    if kind is not None and task.kind != kind:
        other = "logistic or isr_mean" if task.kind == "classification" else "least_squares or eills"
        raise ValueError(f"{name} is for a {kind}, and the task is a {task.kind}: use {other}, say")
    if len(train) < environments:
        raise ValueError(
            f"{name} compares environments: it needs at least {environments}, and {train[0].name!r} is alone. Give more"
        )


def linear_model(
    train: Sequence[Environment],
    task: Task,
    weights: np.ndarray,
    intercept: np.ndarray | float,
    name: str,
    used: Sequence[int] | None = None,
    **told: object,
) -> Model:
    """The model that predicts x @ weights + intercept, or has these logits.

    Args:
        train: What the weights come from: gives the units, the classes and the risks of `history`.
        task: What is predicted.
        weights: In the units of the data [features], or [classes, features].
        intercept: A number, or [classes].
        name: Becomes `model.objective`.
        used: The features that the rule may use, for the encoder's mask; all if None.
        **told: Further entries of `model.report`.

    Example:
        >>> frame = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 3.0]})
        >>> model = linear_model([Environment("a", frame)], Task(("x",), "y"), np.array([2.0]), 1.0, "by hand")
        >>> model.predict(frame)
        array([1., 3.])
    """
    data = read(train, task, True, torch.float64)
    features = list(task.features)
    location, scale = data.location[features].to_numpy(), data.scale[features].to_numpy()
    mask = torch.zeros(len(features))
    mask[list(range(len(features)) if used is None else used)] = 1.0
    network = Network(mask, None if data.classes is None else len(data.classes), "linear", seed=0).double()
    head, start = np.atleast_2d(weights) * scale, np.atleast_1d(intercept + np.atleast_2d(weights) @ location)
    if data.classes is None:
        start = start - data.location[task.target]
        head, start = head / data.scale[task.target], start / data.scale[task.target]
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor(head))
        network.head.bias.copy_(torch.tensor(start))
        outputs = network(data.inputs)[0]
        if data.classes is None:
            losses = (data.targets - outputs).square()
        else:
            losses = torch.nn.functional.cross_entropy(outputs, data.targets, reduction="none")
    sizes = [len(environment.frame) for environment in train]
    risks = [float(part.mean()) for part in losses.split(sizes)]
    mean = float(np.mean(risks))
    row = {"step": 0, "objective": mean, "risk": mean, "gradient": 0.0}
    row |= {f"risk_{environment.name}": risk for environment, risk in zip(train, risks, strict=True)}
    report = {"gradient": 0.0, "left": 0.0, "settled": 0, "steps": 0, "verdict": "exact", **told}
    history, end = pd.DataFrame([row]), pd.Series(report, dtype=object)
    return Model(task, network, data.location, data.scale, data.classes, name, history, end)
