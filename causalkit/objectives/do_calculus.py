"""do_calculus: a network whose adjusted mean agrees with what is known of the treatment's effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame, unknown
from causalkit.objectives.base import Batch, Objective, Penalty, check_number, check_steps
from causalkit.seeds import integer, stream

if TYPE_CHECKING:
    from causalkit.environments import Environment, Task

__all__ = ["Adjusted", "do_calculus"]

CODES = 20  # whole numbers of at most so many values are a discrete variable's codes, each of them a level
DRAWS = 10_000  # of an SCM under do(), for a mean


def do_calculus(
    scm: Any = None, treatment: str | Sequence[str] | None = None, weight: float = 10.0, *, levels: int = 9
) -> Objective:
    """The do-calculus loss: mean_e R_e + weight * mean over levels x of (mean_e E_e[f(x, z)] - E[y | do(x)])^2.

    z are the other features, as they are in the rows; E_e[f(x, z)] is the adjusted mean of the network, what it says
    on average if the treatment is set to x and nothing else changes. E[y | do(x)] is what an SCM has, or an identified
    estimand makes of the training rows, or you know from an experiment. Of a cause of the target, the network
    learns its effect and not its association; of an effect of the target, that setting it does nothing. It is a
    constraint on means alone: with an effect of the target in an interaction, f can still use it.

    z must hold no variable on a causal path from the treatment to the target, since f(x, z) would leave out what goes
    through it; where a graph is known, this is checked. A shift of P(z) between the training rows and the SCM moves
    E[y | do(x)], and then both sides differ for the right f.

    Source: the constraint Xia, Lee, Bengio and Bareinboim (2021), section 4, who bound a neural causal model's query;
    on a predictor, and by squares, this kit's. The adjusted mean is the back-door formula, Pearl (2009), equation 3.19.

    Args:
        scm: What knows E[y | do(x)]: an SCM, true or learned, or a function (training environments) -> SCM; an Estimand
            of `ck.identify` for this outcome and treatment; or a DataFrame with a column for each treatment and one
            for the target, a row a level.
        treatment: The feature that is set; several are set at once, to independent draws of their values.
        weight: In units of the target's variance over the training rows; at least 0, 0 is erm.
        levels: How many values of the treatment, quantiles of the training rows; a discrete treatment has all of its.

    For classes, f is the vector of probabilities and E[y | do(x)] that of the classes; from an estimand or a table,
    whose means are P(y = 1), for the classes 0 and 1.

    Raises:
        ValueError: No SCM or estimand, or one for something else; no treatment, one that is no feature or never varies;
            a mediator among the features; a bad weight or number of levels.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"z": ck.logistic(), "t": ck.logistic({"z": 2.0}), "y": ck.linear({"t": 1.0, "z": 3.0})})
        >>> train, task = [ck.Environment("a", scm.sample(5000, seed=0))], ck.Task(("t",), "y")
        >>> probe = pd.DataFrame({"t": [0.0, 1.0]})
        >>> for goal in ("erm", do_calculus(scm, "t", weight=1000.0)):  # t does 1.0
        ...     print(np.diff(ck.fit(train, task, objective=goal, backbone="linear", seed=0).predict(probe)).round(1))
        [2.4]
        [1.]
    """
    name = "do_calculus"
    check_number(name, "weight", weight)
    check_steps(name, "levels", levels, 2)
    if scm is None or treatment is None:
        raise ValueError(
            f"{name} needs what knows E[y | do(x)] and the name of x: an SCM, true or learned, or an estimand, "
            "ck.objectives.do_calculus(ck.fit_scm(graph, frame, seed=0), treatment='x')"
        )
    names = (treatment,) if isinstance(treatment, str) else tuple(treatment)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{name}: treatment={treatment!r} should name each variable to set once: treatment='x', say")
    if not callable(scm):
        _check_source(scm)
    made = f"{name} {', '.join(names)}"
    penalty = Penalty(weight, _Gap(made), prepare=Adjusted(made, scm, names, levels))
    return Objective(f"{name}({', '.join(names)}, weight={weight:g})", (penalty,))


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Sets the treatment of every row to each level in turn, beside the mean of the target under that do().

    Attributes:
        name: Under which the batch holds them, "name, level 0" and so on.
        source: What knows the means, see `do_calculus`.
        treatment, levels: As in `do_calculus`.

    Example:
        >>> import causalkit as ck
        >>> table = pd.DataFrame({"t": [0.0, 1.0], "y": [2.0, 5.0]})
        >>> frame = pd.DataFrame({"t": [7.0, 8.0], "z": [3.0, 4.0], "y": [9.0, 9.5]})
        >>> made = Adjusted("mine", table, ("t",), 2)
        >>> made([ck.Environment("a", frame)], ck.Task(("t", "z"), "y"), 0)["mine, level 1"][0].to_numpy().tolist()
        [[1.0, 3.0, 5.0], [1.0, 4.0, 5.0]]
    """

    name: str
    source: Any
    treatment: tuple[str, ...]
    levels: int

    def __eq__(self, other: object) -> bool:
        mine = (self.name, id(self.source), self.treatment, self.levels)
        return isinstance(other, Adjusted) and mine == (other.name, id(other.source), other.treatment, other.levels)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, train: Sequence[Environment], task: Task, seed: int) -> dict[str, Any]:
        """Name -> the rows of each environment at a level; for classes also "name, level 0, class 0" and so on."""
        source = self.source(train) if callable(self.source) else self.source
        _check_source(source)
        for name in self.treatment:
            if name not in task.features:
                raise unknown("treatment of do_calculus among the features", name, task.features)
        _check_graph(source, self.treatment, task)
        rows = pd.concat([e.frame for e in train], ignore_index=True)
        settings = self._settings(source, rows, task.target, seed)
        labels = np.unique(rows[task.target]) if task.kind == "classification" else None
        found: dict[str, Any] = {}
        for k, setting in enumerate(settings):
            means = _means(source, setting, rows, task.target, labels, integer(seed, "do"))
            set_to = [e.frame[[*task.features, task.target]].assign(**setting) for e in train]
            if labels is None:
                found[f"{self.name}, level {k}"] = [frame.assign(**{task.target: means[0]}) for frame in set_to]
                continue
            found[f"{self.name}, level {k}"] = set_to
            for c, mean in enumerate(means):
                found[f"{self.name}, level {k}, class {c}"] = [pd.Series(np.full(len(f), mean)) for f in set_to]
        return found

    def _settings(self, source: Any, rows: pd.DataFrame, target: str, seed: int) -> list[dict[str, float]]:
        """The treatment's values at each level."""
        if isinstance(source, pd.DataFrame):
            for name in (*self.treatment, target):
                if name not in source.columns:
                    raise unknown("column of the table of do_calculus", name, source.columns)
            check_frame(source, [*self.treatment, target])
            twice = source.duplicated(list(self.treatment))
            if twice.any():
                level = ", ".join(f"{v} = {source.loc[twice, v].iloc[0]:g}" for v in self.treatment)
                raise ValueError(f"the table of do_calculus has {level} twice: give one mean a level")
            return [{v: row[v] for v in self.treatment} for _, row in source.iterrows()]
        for name in self.treatment:
            if rows[name].nunique() < 2:
                raise ValueError(
                    f"do_calculus: treatment {name!r} has one value only in the training rows: they tell nothing of "
                    "what setting it does. Give a table of levels and means, or another treatment"
                )
        if len(self.treatment) > 1:
            draw = stream(seed, "levels")
            drawn = {v: draw.choice(rows[v].to_numpy(), self.levels) for v in self.treatment}
            return [{v: values[k] for v, values in drawn.items()} for k in range(self.levels)]
        column = rows[self.treatment[0]]
        discrete = not pd.api.types.is_float_dtype(column) and column.nunique() <= CODES
        values = np.unique(column) if discrete else np.quantile(column, (np.arange(self.levels) + 0.5) / self.levels)
        return [{self.treatment[0]: value} for value in values]


@dataclass(frozen=True)
class _Gap:
    """mean over levels of (mean_e E_e[f(x, z)] - E[y | do(x)])^2, the penalty of `do_calculus`."""

    name: str

    def __call__(self, batch: Batch) -> torch.Tensor:
        start = f"{self.name}, level "
        levels = [key for key in batch.companions if key.startswith(start) and key[len(start) :].isdigit()]
        if not levels or batch.predict is None:
            raise ValueError("the batch has no levels for do_calculus: train with ck.fit, which sets them")
        rows = [companion for key in levels for companion in batch.companions[key]]
        said = batch.predict(torch.cat([row.inputs for row in rows]))[0]
        parts = said.split([len(row.inputs) for row in rows])
        count, gaps = len(batch.losses), []
        for k, key in enumerate(levels):
            here = parts[k * count : (k + 1) * count]
            if said.ndim == 1:
                wrong = [f - row.targets for f, row in zip(here, batch.companions[key], strict=True)]
            else:
                chances = [batch.companions[f"{key}, class {c}"] for c in range(said.shape[-1])]
                wrong = [f.softmax(-1) - torch.stack([each[e] for each in chances], -1) for e, f in enumerate(here)]
            gaps.append(torch.stack([batch.mean(gap, e) for e, gap in enumerate(wrong)]).mean(0).square().sum())
        return torch.stack(gaps).mean()


def _check_source(source: object) -> None:
    if not (isinstance(source, pd.DataFrame) or any(hasattr(source, verb) for verb in ("counterfactual", "estimate"))):
        raise ValueError(
            f"do_calculus needs what knows E[y | do(x)], and got {type(source).__name__}: give an SCM, true or "
            "learned, ck.fit_scm(graph, frame, seed=0), an estimand of ck.identify, or a table of levels"
        )


def _check_graph(source: Any, treatment: tuple[str, ...], task: Task) -> None:
    """Raises where the estimand is another's, or a feature stands on the way from the treatment to the target."""
    if hasattr(source, "estimate"):
        outcome, do = ((value,) if isinstance(value, str) else tuple(value) for value in (source.outcome, source.do))
        if outcome != (task.target,) or set(do) != set(treatment):
            raise ValueError(
                f"do_calculus: the estimand is of {', '.join(outcome)} under do({', '.join(do)}), and wanted is "
                f"{task.target} under do({', '.join(treatment)}): ck.identify(graph, {task.target!r}, [...])"
            )
    graph = getattr(source, "graph", None)
    if not isinstance(graph, nx.DiGraph):
        return
    for name in (*treatment, task.target):
        if name not in graph:
            raise unknown("variable of the SCM of do_calculus", name, graph.nodes)
    cut = nx.DiGraph(graph)
    cut.remove_edges_from(list(cut.in_edges(treatment)))
    between = set().union(*(nx.descendants(cut, v) for v in treatment)) & nx.ancestors(cut, task.target)
    held = [v for v in task.features if v in between - set(treatment)]
    if held:
        raise ValueError(
            f"do_calculus: feature {held[0]!r} is on a causal path from {', '.join(treatment)} to {task.target!r}, and "
            "holding it leaves out what goes through it: set it too, treatment="
            f"{[*treatment, *held]}, or leave it out of the features"
        )


def _means(
    source: Any, setting: dict[str, float], rows: pd.DataFrame, target: str, labels: np.ndarray | None, seed: int
) -> list[float]:
    """E[target | do(setting)], or the probability of each label."""
    if isinstance(source, pd.DataFrame):
        there = np.all([source[v] == value for v, value in setting.items()], axis=0)
        mean = float(source.loc[there, target].iloc[0])
    elif hasattr(source, "estimate"):
        mean = float(source.estimate(rows, do=setting, bootstrap=0, seed=seed).value)
    else:
        drawn = source.do(setting).sample(DRAWS, seed=seed)[target].to_numpy()  # one seed: common noise over levels
        return [float(drawn.mean())] if labels is None else [float((drawn == label).mean()) for label in labels]
    if labels is None:
        return [mean]
    if not np.array_equal(labels, [0, 1]):
        raise ValueError(
            f"do_calculus: a mean is the probability of a class for the classes 0 and 1, and {target!r} has "
            f"{', '.join(map(str, labels))}: give an SCM, or code two classes as 0 and 1"
        )
    return [1.0 - mean, mean]
