"""Shift correctors: weights of the source's rows, to train with for a target whose labels are unknown.

| name           | assumes that stays | weight             | how                                             |
|----------------|--------------------|--------------------|-------------------------------------------------|
| kmm            | P(y | x)           | w(x) = q(x) / p(x) | kernel means match (SciPy's L-BFGS-B)           |
| ulsif          | P(y | x)           | w(x) = q(x) / p(x) | least squares on the ratio (densratio)          |
| discriminative | P(y | x)           | w(x) = q(x) / p(x) | odds of a source-or-target classifier (sklearn) |
| bbse           | P(x | y)           | w(y) = q(y) / p(y) | inverts the confusion matrix                    |
| em             | P(x | y)           | w(y) = q(y) / p(y) | maximum likelihood, calibrated probabilities    |

p is the source, q the target. Nothing in the source and the target's features tells which assumption holds: where
P(y | x) moves the first three do nothing for it, and where P(x | y) moves the last two may help, do nothing or harm:
a covariate shift of the target's causes is the case in which they harm most.

KMM, BBSE and EM are written here. skada's KMM has no ridge, and its weights are far from the ratio (see `kmm`); quapy's
EM calibrates by a package of 2020, and says what this one says. The tests compare with both where they are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from causalkit.environments import Environment, Task
from causalkit.errors import unknown
from causalkit.model import check_environments
from causalkit.reweighting.covariate import discriminative, kmm, ulsif
from causalkit.reweighting.label import bbse, em
from causalkit.seeds import Seed, integer

__all__ = ["WEIGHTS", "bbse", "discriminative", "effective_sample_size", "em", "kmm", "ulsif", "weigh"]

WEIGHTS: dict[str, Callable[..., np.ndarray]] = {
    "kmm": kmm,
    "ulsif": ulsif,
    "discriminative": discriminative,
    "bbse": bbse,
    "em": em,
}
"""Shift correctors: name -> function(source, target, task, *, seed) -> weights of the source's rows [n], mean 1."""


def weigh(
    train: Sequence[Environment], target: pd.DataFrame, task: Task, method: str, *, seed: Seed
) -> list[np.ndarray]:
    """The weights of each training environment's rows for one target: what `fit(..., weights=)` takes.

    Args:
        train: The environments; each is weighed by itself, so that its weights have mean 1.
        target: Rows of where the model will be used; only the features are read.
        task: What is predicted from what.
        method: A name in WEIGHTS.
        seed: Each environment has a stream of its own, keyed by its name.

    Returns:
        One array [n] an environment.

    Raises:
        ValueError: An unknown method; what the method raises, with the environment's name; for a label shift, an
            environment that lacks a class of another.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> train = ck.sample_environments(scm, {"a": None, "b": ck.shifts.covariate("y", strength=1.0)}, 500, seed=0)
        >>> target = scm.sample(500, seed=1)
        >>> weights = weigh(train, target, Task(("x",), "y"), "discriminative", seed=2)
        >>> [bool(effective_sample_size(w) > 400) for w in weights]  # of 500: "a" is like the target, "b" is not
        [True, False]
    """
    check_environments(train, task)
    if method not in WEIGHTS:
        raise unknown("weights", method, WEIGHTS)
    if method in ("bbse", "em") and task.kind == "classification":
        _check_classes(train, task)
    base, weights = integer(seed, "weigh"), []
    for environment in train:
        try:
            weights.append(WEIGHTS[method](environment.frame, target, task, seed=integer(base, environment.name)))
        except ValueError as error:
            raise ValueError(f"environment {environment.name!r}: {error}") from error
    return weights


def effective_sample_size(weights: np.ndarray) -> float:
    """How many even rows the weighted ones are worth, (sum w)^2 / sum w^2: n for even weights, 1 for a single row.

    A small share of n says that few rows carry the target: estimates with these weights are noisy.

    Raises:
        ValueError: Weights that are negative, not finite, or all 0.

    Source: Kish (1965), section 11.7.

    Example:
        >>> effective_sample_size(np.array([1.0, 1.0, 2.0, 0.0]))
        2.6666666666666665
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or not np.isfinite(w).all() or (w < 0.0).any() or not w.any():
        raise ValueError("weights must be one finite number a row, none negative and not all 0")
    return float(w.sum() ** 2 / (w**2).sum())


def _check_classes(train: Sequence[Environment], task: Task) -> None:
    """Every environment has every class: a class without rows cannot be weighed up."""
    seen = {environment.name: set(environment.frame[task.target]) for environment in train}
    for name, labels in seen.items():
        missing = set().union(*seen.values()) - labels
        if missing:
            raise ValueError(
                f"environment {name!r} has no row of class {min(missing)} of {task.target!r}: what is not there "
                "cannot be weighed; leave the environment out, or pool it with another"
            )
