"""Sweeps: draw hyper-parameters, train them all as one program, and select by every rule, side by side.

Which hyper-parameters are taken is part of a method's result: the same models look good or bad depending on who
chooses. So a table of methods has a row for every rule, with the number of looks at the test data that it took.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from causalkit.environments import Environment, Task
from causalkit.errors import unknown
from causalkit.model import Model, check_environments
from causalkit.objectives import OBJECTIVES, Objective
from causalkit.seeds import integer
from causalkit.training.fit import fit_many

__all__ = ["RULES", "SPACE", "choose", "sweep", "trials"]

RULES = ("train_domain", "leave_one_out", "oracle")
"""How a draw is selected. "train_domain": least error on unseen rows of the training environments. "leave_one_out":
least error on an environment left out of training, the mean over which one. "oracle": least error on the test
environments, which nobody has."""

SPACE: dict[str, Any] = {"learning_rate": (1e-3, 1e-1), "weight_decay": (1e-6, 1e-2), "weight": (1.0, 1e4)}
"""What is drawn by default, log-uniform between two bounds; "weight" for objectives that take one."""

Data = Callable[[int], Sequence[Sequence[Environment]]]


def sweep(
    data: Data,
    task: Task,
    objectives: Iterable[str] | Mapping[str, Callable[..., Objective]] = ("erm", "irm", "vrex"),
    *,
    draws: int = 10,
    seeds: int | Sequence[int] = 5,
    space: Mapping[str, Any] | None = None,
    rules: Sequence[str] = RULES,
    per: str = "seed",
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Trains every objective with every draw on every data set, and selects by each rule.

    Source: Gulrajani and Lopez-Paz (2021), section 3, whose three rules these are.

    Args:
        data: Data seed -> training, validation and test environments. Validation environments are further rows of the
            training ones, in the same order.
        task: What to predict from what.
        objectives: Names in `ck.OBJECTIVES`, or name -> function that returns an objective.
        draws: Of hyper-parameters for each objective; the first has the defaults. Shared by the data seeds.
        seeds: Of the data: how many, or which.
        space: Hyper-parameter -> (low, high), log-uniform; a list to pick from; or a function of a NumPy generator.
            "learning_rate", "weight_decay", and the arguments of the objectives that have them. Default: `SPACE`.
        rules: Of `RULES`.
        per: "seed" selects a draw for each data seed, "sweep" one draw for all, by the mean over data seeds.
        seed: Of the draws and the initial weights.
        **options: Of `fit_many`: graphs are not among them, `encoder`, `backbone`, `steps` and the like are.

    Returns:
        A row an objective and rule: error (mean squared error, or share of wrong labels, the mean over test
        environments, then over data seeds), sd over data seeds, low and high (95 % interval of the mean over data
        seeds, Student's t), seeds, draw (the chosen one, where it is one), test_queries (looks at test data that the
        rule took, a data seed), diverged (share of trainings).

    Raises:
        ValueError: An unknown rule or objective; "leave_one_out" with fewer environments than it takes; what `fit`
            raises.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> moved = {s: ck.shifts.spurious("y", strength=s) for s in (0.5, 1.0, 3.0)}
        >>> def data(seed):
        ...     some = {"a": None, "b": moved[0.5], "c": moved[1.0]}
        ...     parts = [ck.sample_environments(scm, some, 100, seed=3 * seed + k) for k in range(2)]
        ...     return *parts, ck.sample_environments(scm, {"t": moved[3.0]}, 100, seed=3 * seed + 2)
        >>> table = ck.sweep(data, ck.Task(("x", "z"), "y"), ["erm", "irm"], draws=2, seeds=2, steps=20)
        >>> table[["objective", "rule", "test_queries"]].head(3).to_string(index=False, header=False).split()
        ['erm', 'train_domain', '0', 'erm', 'leave_one_out', '0', 'erm', 'oracle', '2']
    """
    if per not in ("seed", "sweep"):
        raise unknown("scope of selection", per, ["seed", "sweep"])
    for rule in rules:
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
    left_out = "leave_one_out" in rules
    runs = trials(
        data, task, objectives, draws=draws, seeds=seeds, space=space, leave_one_out=left_out, seed=seed, **options
    )
    return pd.concat([choose(runs, rule, per) for rule in rules]).sort_values("objective", kind="stable", key=_as_given)


def trials(
    data: Data,
    task: Task,
    objectives: Iterable[str] | Mapping[str, Callable[..., Objective]] = ("erm", "irm", "vrex"),
    *,
    draws: int = 10,
    seeds: int | Sequence[int] = 5,
    space: Mapping[str, Any] | None = None,
    leave_one_out: bool = True,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Every training of a sweep: a row an objective, data seed and draw; arguments as in `sweep`.

    Returns:
        objective, seed, draw, the hyper-parameters, train_domain and leave_one_out (validation errors), test (error,
        the mean over test environments), test_<environment>, diverged, verdict (the convergence report's). Errors of
        what diverged are infinite.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> def data(seed):
        ...     return [ck.sample_environments(scm, {"a": None}, 50, seed=3 * seed + k) for k in range(3)]
        >>> runs = trials(data, ck.Task(("x",), "y"), ["erm"], draws=2, seeds=2, leave_one_out=False, steps=5)
        >>> runs[["seed", "draw"]].values.tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    makers = _makers(objectives)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or not isinstance(draws, int) or draws < 1:
        raise ValueError(f"{draws!r} draws and seeds {seeds!r}: give at least one of each")
    sets = [_parts(data(number), task) for number in numbers]
    tables = []
    for name, make in makers.items():
        dials = [_draw(make, SPACE if space is None else space, seed, name, k) for k in range(draws)]
        tables.append(_train_and_score(name, make, dials, numbers, sets, task, leave_one_out, seed, options))
    return pd.concat(tables, ignore_index=True)


def choose(runs: pd.DataFrame, rule: str, per: str = "seed") -> pd.DataFrame:
    """Selects by one rule from what `trials` returned: a row an objective, as `sweep` has them.

    Example:
        >>> runs = pd.DataFrame({"objective": "erm", "seed": [0, 0], "draw": [0, 1], "train_domain": [0.2, 0.1],
        ...                      "test": [0.3, 0.9], "diverged": False})
        >>> choose(runs, "train_domain")["error"].item(), choose(runs, "oracle")["error"].item()
        (0.9, 0.3)
    """
    from scipy import stats

    score = "test" if rule == "oracle" else rule
    if score not in runs:
        raise ValueError(f"rule {rule!r} was not measured in these runs: they have {', '.join(runs.columns)}")
    rows = []
    for name, mine in runs.groupby("objective", sort=False):
        if per == "sweep":
            best = mine.groupby("draw")[score].mean().idxmin()
            taken = mine[mine["draw"] == best]
        else:
            taken = mine.loc[mine.groupby("seed")[score].idxmin()]
        errors, draws = taken["test"].to_numpy(), mine["draw"].nunique()
        sd = float(errors.std(ddof=1)) if len(errors) > 1 else math.nan
        half = float(stats.t.ppf(0.975, len(errors) - 1)) * sd / math.sqrt(len(errors)) if len(errors) > 1 else math.nan
        rows.append(
            {
                "objective": name, "rule": rule, "error": float(errors.mean()), "sd": sd,
                "low": float(errors.mean()) - half, "high": float(errors.mean()) + half, "seeds": len(errors),
                "draw": int(taken["draw"].iloc[0]) if taken["draw"].nunique() == 1 else None,
                "test_queries": draws if rule == "oracle" else 0, "diverged": float(mine["diverged"].mean()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _as_given(names: pd.Series) -> pd.Series:
    """Sorts as the names first came."""
    return names.map({name: k for k, name in enumerate(dict.fromkeys(names))})


def _makers(objectives: Iterable[str] | Mapping[str, Callable[..., Objective]]) -> dict[str, Callable[..., Objective]]:
    if isinstance(objectives, Mapping):
        return dict(objectives)
    names = [objectives] if isinstance(objectives, str) else list(objectives)
    for name in names:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
    return {name: OBJECTIVES[name] for name in names}


def _parts(parts: Sequence[Sequence[Environment]], task: Task) -> tuple[list[Environment], ...]:
    if len(parts) != 3:
        raise ValueError(
            f"data(seed) returned {len(parts)} lists of environments: return three, for training, validation and test"
        )
    for part in parts:
        check_environments(part, task)
    train, valid, test = (list(part) for part in parts)
    if [e.name for e in train] != [e.name for e in valid]:
        raise ValueError(
            f"validation environments {[e.name for e in valid]} are not the training ones, {[e.name for e in train]}: "
            "return further rows of each, in the same order"
        )
    return train, valid, test


def _draw(make: Callable[..., Objective], space: Mapping[str, Any], seed: int, name: str, k: int) -> dict[str, Any]:
    """The k-th draw of an objective's hyper-parameters; none for the first, which has the defaults."""
    rng = np.random.default_rng(integer(seed, "draw", name, k))
    known = {"learning_rate", "weight_decay", *inspect.signature(make).parameters}
    drawn = {}
    for dial, values in space.items():
        if callable(values):
            value = values(rng)
        elif isinstance(values, list):
            value = values[rng.integers(len(values))]
        else:
            value = float(math.exp(rng.uniform(math.log(values[0]), math.log(values[1]))))
        if dial in known and k > 0:
            drawn[dial] = value
    return drawn


def _train_and_score(
    name: str, make: Callable[..., Objective], dials: list[dict[str, Any]], numbers: list[int],
    sets: list[tuple[list[Environment], ...]], task: Task, leave_one_out: bool, seed: int, options: dict[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """All draws on all data sets for one objective: a stacked training, and one more for each environment left out."""
    cells = [(s, k) for s in range(len(numbers)) for k in range(len(dials))]
    rates = {"learning_rate": options.get("learning_rate", 0.02), "weight_decay": options.get("weight_decay", 0.0)}
    given: dict[str, Any] = {
        "objective": [make(**{a: v for a, v in dials[k].items() if a not in rates}) for _, k in cells],
        **{rate: [dials[k].get(rate, default) for _, k in cells] for rate, default in rates.items()},
        "seeds": [integer(seed, "model", numbers[s], k) for s, k in cells],
    }
    rest = {key: value for key, value in options.items() if key not in rates}
    models = fit_many([sets[s][0] for s, _ in cells], task, **given, **rest)
    table = pd.DataFrame({"objective": name, "seed": [numbers[s] for s, _ in cells], "draw": [k for _, k in cells]})
    for dial in {dial: None for drawn in dials for dial in drawn}:
        table[dial] = [dials[k].get(dial, rates.get(dial, np.nan)) for _, k in cells]
    table["train_domain"] = _errors(models, [sets[s][1] for s, _ in cells]).mean(1)
    if leave_one_out:
        table["leave_one_out"] = _left_out(name, cells, sets, task, given, rest)
    tests = _errors(models, [sets[s][2] for s, _ in cells])
    table["test"] = tests.mean(1)
    for e, environment in enumerate(sets[0][2]):
        table[f"test_{environment.name}"] = tests[:, e]
    table["diverged"] = [bool(model.diverged) for model in models]
    table["verdict"] = [model.report["verdict"] for model in models]
    return table


def _left_out(
    name: str, cells: list[tuple[int, int]], sets: list[tuple[list[Environment], ...]], task: Task,
    given: dict[str, Any], rest: dict[str, Any],
) -> np.ndarray:  # fmt: skip
    """The error on an environment that was left out, the mean over which one [cells]."""
    count, least = len(sets[0][0]), given["objective"][0].min_environments
    if count - 1 < least:
        raise ValueError(
            f"rule 'leave_one_out' trains {name} on {count - 1} environments, and it needs {least}: give more "
            "environments, or rules=('train_domain', 'oracle')"
        )
    errors = []
    for e in range(count):
        kept = [train[:e] + train[e + 1 :] for train, _, _ in sets]
        models = fit_many([kept[s] for s, _ in cells], task, **given, **rest)
        errors.append(_errors(models, [[sets[s][1][e]] for s, _ in cells])[:, 0])
    return np.mean(errors, axis=0)


def _errors(models: Sequence[Model], tests: Sequence[Sequence[Environment]]) -> np.ndarray:
    """Mean squared error, or share of wrong labels, of each model in its environments [models, environments]."""
    frames: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    table = np.full((len(models), len(tests[0])), np.inf)
    for m, (model, test) in enumerate(zip(models, tests, strict=True)):
        features, target = list(model.task.features), model.task.target
        for e, environment in enumerate(test):
            if id(environment) not in frames:
                frame = environment.frame
                frames[id(environment)] = frame[features].to_numpy(np.float64), frame[target].to_numpy()
            inputs, truth = frames[id(environment)]
            if model.diverged:
                continue
            moved = (inputs - model.location[features].to_numpy()) / model.scale[features].to_numpy()
            outputs = model.network(torch.tensor(moved, dtype=model.network.head.weight.dtype))[0].double().numpy()
            if model.classes is None:
                table[m, e] = np.mean((truth - outputs * model.scale[target] - model.location[target]) ** 2)
            else:
                table[m, e] = np.mean(model.classes[outputs.argmax(1)] != truth)
    return table
