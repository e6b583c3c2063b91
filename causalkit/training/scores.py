"""How well a trained model predicts, environment by environment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalkit.environments import Environment, Task
from causalkit.model import Model, check_environments

__all__ = ["evaluate"]


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
