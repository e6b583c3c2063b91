"""Invariant prediction by sets of features: EILLS, and a regression on what invariant causal prediction names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from causalkit.discovery import METHODS
from causalkit.environments import Environment, Task
from causalkit.exact.build import check, linear_model
from causalkit.exact.moments import Moments, moments
from causalkit.graphs import dag
from causalkit.model import Model
from causalkit.seeds import Seed

__all__ = ["MOST", "eills", "icp", "icp_nonlinear", "pooled"]

MOST = 12  # features up to which all sets are gone through


def eills(train: Sequence[Environment], task: Task, *, gamma: float = 20.0) -> Model:
    """EILLS: argmin_{S, b in R^S} mean_e E_e[(y - b'x)^2] + gamma mean_e sum_{j in S} E_e[(y - b'x) x_j]^2.

    A set of features is paid for where its residuals go along with them in some environment; given S, b is in closed
    form, and all 2^features sets are gone through. Features and target are standardised over all rows, so that gamma
    has no unit; an intercept belongs to every set, and to the sum. It needs coordinates in which the invariant features
    are features: on scrambled ones it chooses among wrong sets, and loses.

    Source: Fan, Fang, Gu and Zhang (2024), "Environment invariant linear least squares", equation 1.9.

    Args:
        train: Two environments or more.
        task: What is predicted from what, at most 12 features.
        gamma: The price, at least 0; at 0, least squares.

    Returns:
        A model whose encoder masks what is not chosen; `report["chosen"]` names what is.

    Raises:
        ValueError: More than 12 features; gamma negative or infinite; one environment; a classification.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("1", seed=0)
        >>> eills(example.train, example.task).report["chosen"]
        'x0, x1, x2, x3, x4'
    """
    check(train, task, "eills", "regression", environments=2)
    width = len(task.features)
    if width > MOST:
        raise ValueError(
            f"eills goes through all sets of features, and {width} make 2^{width}: choose at most {MOST}, or "
            "use invariant, which searches"
        )
    if not 0 <= gamma < np.inf:
        raise ValueError(f"gamma {gamma}: give a finite number of at least 0")
    data = moments(train, task, order=2)
    sets = (chosen for size in range(width + 1) for chosen in itertools.combinations(range(width), size))
    _, weights, chosen = min(((*_priced(data, chosen, gamma), chosen) for chosen in sets), key=lambda one: one[0])
    return in_units(train, task, data, weights, chosen, f"eills({gamma:g})")


def _priced(data: Moments, chosen: Sequence[int], gamma: float) -> tuple[float, np.ndarray]:
    """EILLS at one set: its value, and the intercept and weights on all features [d + 1]."""
    used = np.array([0, *(i + 1 for i in chosen)])
    square, cross = data.second[:, used[:, None], used], data.second[:, used, -1]
    left = square.mean(0) + gamma * (square @ square).mean(0)
    right = cross.mean(0) + gamma * np.einsum("eij,ej->ei", square, cross).mean(0)
    beta = np.linalg.lstsq(left, right, rcond=None)[0]
    residual = np.zeros(data.second.shape[1])
    residual[used], residual[-1] = -beta, 1.0
    gap = (data.second @ residual)[:, used]
    value = float((data.second @ residual @ residual).mean() + gamma * (gap**2).sum(1).mean())
    return value, -residual[:-1]


def pooled(data: Moments, chosen: Sequence[int]) -> np.ndarray:
    """Least squares on the chosen features, environments counting the same: intercept and weights [d + 1].

    Example:
        >>> frame = pd.DataFrame({"x": [-1.0, 1.0], "y": [-1.0, 1.0]})
        >>> pooled(moments([Environment("a", frame)], Task(("x",), "y")), [0])
        array([0., 1.])
    """
    used = np.array([0, *(i + 1 for i in chosen)])
    mean = data.second.mean(0)
    weights = np.zeros(data.second.shape[1] - 1)
    weights[used] = np.linalg.lstsq(mean[used[:, None], used], mean[used, -1], rcond=None)[0]
    return weights


def in_units(
    train: Sequence[Environment],
    task: Task,
    data: Moments,
    weights: np.ndarray,
    chosen: Sequence[int],
    name: str,
    **told: object,
) -> Model:
    """The model of standardised weights [d + 1], the intercept first, on the chosen features."""
    raw = weights[1:] * data.scale[-1] / data.scale[:-1]
    intercept = data.location[-1] + weights[0] * data.scale[-1] - raw @ data.location[:-1]
    text = ", ".join(task.features[i] for i in chosen) or "no feature"
    return linear_model(train, task, raw, intercept, name, chosen, chosen=text, **told)


def icp(train: Sequence[Environment], task: Task, *, alpha: float = 0.05, **options: Any) -> Model:
    """Least squares on the causes that invariant causal prediction names: features that all invariant sets share.

    The set is that of `ck.METHODS["icp"]`, and so are its assumptions: noise of equal variance in all environments
    among them, without which no set is accepted. Where nothing is named, the model predicts the mean, and
    `report["note"]` says so.

    Source: Peters, Buehlmann and Meinshausen (2016), section 3.1.2.

    Args:
        train: Two environments or more.
        task: What is predicted from what.
        alpha: The probability allowed of naming something that is no cause.
        **options: Of the discovery method.

    Raises:
        ValueError: A classification; one environment; what the discovery method refuses.

    Example:
        >>> import causalkit as ck
        >>> causes, effects = ck.shifts.covariate("y", strength=2.0), ck.shifts.spurious("y", strength=2.0)
        >>> shifts = {"a": None, "b": causes, "c": effects}
        >>> train = ck.sample_environments(ck.teaching_scm(), shifts, 500, seed=0)
        >>> icp(train, ck.Task(("x1", "x2", "x3", "x4", "x5"), "y")).report["chosen"]
        'x1, x2'
    """
    check(train, task, "icp", "regression", environments=2)
    chosen, note = _causes("icp", train, task, alpha=alpha, seed=0, **options)
    data = moments(train, task, order=2)
    return in_units(train, task, data, pooled(data, chosen), chosen, f"icp({alpha:g})", note=note)


def icp_nonlinear(
    train: Sequence[Environment], task: Task, *, seed: Seed, alpha: float = 0.05, steps: int = 500, **options: Any
) -> Model:
    """A small network on the causes that nonlinear invariant causal prediction names, trained on the pooled risk.

    Source: Heinze-Deml, Peters and Meinshausen (2018), section 3.1.2.

    Args:
        train: Two environments or more.
        task: What is predicted from what.
        seed: Of the test's random features, and of the network.
        alpha: The probability allowed of naming something that is no cause.
        steps: Of training.
        **options: Of the discovery method, `ck.METHODS["icp_nonlinear"]`.

    Raises:
        ValueError: A classification; one environment; what the discovery method refuses.

    Example:
        >>> import causalkit as ck
        >>> bend = ck.additive(["x"], lambda x: 2 * x[:, 0].sin(), scale=0.5)
        >>> scm = ck.SCM({"x": ck.linear(), "y": bend, "z": ck.linear({"y": 1.0})})
        >>> causes, effects = ck.shifts.covariate("y", strength=1.0), ck.shifts.spurious("y", strength=1.0)
        >>> shifts = {"a": None, "b": causes, "c": effects}
        >>> train = ck.sample_environments(scm, shifts, 300, seed=0)
        >>> icp_nonlinear(train, ck.Task(("x", "z"), "y"), seed=0, steps=5).report["chosen"]
        'x'
    """
    from causalkit.training import fit

    check(train, task, "icp_nonlinear", "regression", environments=2)
    chosen, note = _causes("icp_nonlinear", train, task, alpha=alpha, seed=seed, **options)
    if not chosen:
        data = moments(train, task, order=2)
        return in_units(train, task, data, pooled(data, ()), (), f"icp_nonlinear({alpha:g})", note=note)
    names = [task.features[i] for i in chosen]
    graph = dag([(name, task.target) for name in names], [*task.features, task.target])
    model = fit(train, task, graph=graph, encoder="parents", steps=steps, seed=seed)
    told = pd.Series({"chosen": ", ".join(names), "note": note}, dtype=object)
    return replace(model, objective=f"icp_nonlinear({alpha:g})", report=pd.concat([model.report, told]))


def _causes(
    method: str, train: Sequence[Environment], task: Task, *, seed: Seed, **options: Any
) -> tuple[list[int], str]:
    """Which features the discovery method names, and what there is to say if it is none."""
    columns = [*task.features, task.target]
    narrow = [Environment(environment.name, environment.frame[columns]) for environment in train]
    graph = METHODS[method](narrow, seed=seed, target=task.target, **options)
    chosen = [i for i, feature in enumerate(task.features) if graph.has_edge(feature, task.target)]
    note = "" if chosen else "no feature is in all invariant sets: the mean is predicted"
    if not graph.graph["valid"]:
        note = "no set of features is invariant, so an assumption fails: the mean is predicted"
    return chosen, note
