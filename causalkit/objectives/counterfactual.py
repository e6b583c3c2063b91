"""Objectives made of an SCM: each training row gets a twin, the same unit under an intervention.

A twin is what the SCM says the row would have been under do(v = value): abduct the noise, act, predict (Pearl 2009,
theorem 7.1.7). Twins of causes move the target, twins of its effects do not; a predictor can be asked to do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from causalkit.errors import unknown
from causalkit.objectives.base import Batch, Objective, Penalty, check_number
from causalkit.seeds import integer, stream

if TYPE_CHECKING:
    from causalkit.environments import Environment, Task
    from causalkit.scm import SCM

__all__ = ["Twins", "counterfactual_augmentation", "counterfactual_consistency"]

AnySCM = Any  # an SCM, or a function of the training environments that learns one


@dataclass(frozen=True)
class Twins:
    """Draws a twin for each training row; equal to another one with the same arguments, so that sweeps share it.

    For each row one variable is drawn from `do` (all of them are set with `together`), and its value from that
    variable's values in all training rows, as if it had been shuffled. The twin's target is the SCM's answer.

    Attributes:
        name: Of the objective, under which the batch holds the twins.
        scm: What answers; or a function (training environments) -> SCM, called at the begin of training.
        do: The variables to set; None for every feature of the task.
        together: Whether all are set at once.
        changes: For classes, add "name, class k": by how much the twin's P(k | causes) exceeds the row's.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0}), "z": ck.linear({"y": 1.0})})
        >>> train = [ck.Environment("a", scm.sample(50, seed=0))]
        >>> twins = Twins("mine", scm, ("z",), False)(train, ck.Task(("x", "z"), "y"), 0)["mine"][0]
        >>> {name: bool(np.allclose(twins[name], train[0].frame[name])) for name in ("x", "y", "z")}
        {'x': True, 'y': True, 'z': False}
    """

    name: str
    scm: AnySCM
    do: tuple[str, ...] | None
    together: bool
    changes: bool = False

    def __call__(self, train: Sequence[Environment], task: Task, seed: int) -> dict[str, Any]:
        """Name -> the twins of each environment, row by row, with the task's columns."""
        scm = self.scm(train) if callable(self.scm) else self.scm
        _check_scm(self.name, scm)
        for column in (*task.features, task.target):
            if column not in scm.variables:
                raise unknown(f"variable of the SCM of {self.name}", column, scm.variables)
        names = task.features if self.do is None else self.do
        for variable in names:
            if variable not in scm.variables:
                raise unknown(f"variable to set in {self.name}", variable, scm.variables)
        if task.target in names:
            raise ValueError(
                f"{self.name}: do={task.target!r} sets the target itself, which no predictor can follow: name features"
            )
        for environment in train:
            _check_columns(self.name, scm, environment)
        pool = {v: np.concatenate([e.frame[v].to_numpy() for e in train]) for v in names}
        twins = [self._draw(scm, e, pool, integer(seed, "twins", e.name)) for e in train]
        found: dict[str, Any] = {self.name: [twin[[*task.features, task.target]] for twin in twins]}
        if self.changes and task.kind == "classification":
            labels = np.unique(np.concatenate([e.frame[task.target].to_numpy() for e in train])).astype(int)
            pairs = zip(twins, train, strict=True)
            moved = [_chances(scm, twin, task, labels) - _chances(scm, e.frame, task, labels) for twin, e in pairs]
            found |= {f"{self.name}, class {k}": [pd.Series(m[:, k]) for m in moved] for k in range(len(labels))}
        return found

    def _draw(self, scm: SCM, environment: Environment, pool: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
        frame = environment.frame[list(scm.variables)].reset_index(drop=True)
        draw = stream(seed)
        values = pd.DataFrame({v: draw.choice(each, len(frame)) for v, each in pool.items()})
        chosen = draw.integers(len(pool), size=len(frame))
        groups = [(list(pool), chosen >= 0)] if self.together else [([v], chosen == k) for k, v in enumerate(pool)]
        parts = []
        for k, (names, rows) in enumerate(groups):
            if not rows.any():
                continue
            do = {v: values.loc[rows, v].to_numpy() for v in names}
            try:
                parts.append(scm.counterfactual(frame[rows], do, seed=integer(seed, k)))
            except ValueError as error:  # NotInvertible is one, and stays one
                raise type(error)(
                    f"{self.name} draws twins, and environment {environment.name!r} has none: {error}. Give an SCM "
                    "that can recover its noise from these rows, such as ck.fit_scm(graph, frame, seed=0)"
                ) from error
        return pd.concat(parts).sort_index()


def counterfactual_consistency(
    scm: AnySCM = None, weight: float = 10.0, *, do: str | Sequence[str] | None = None, together: bool = False
) -> Objective:
    """The prediction moves under do() as the SCM says: mean_e R_e + weight * mean_e E_e[|f(x') - f(x) - (y' - y)|^2].

    (x', y') is the row's twin, see `Twins`. Under an intervention on what is no cause of the target y' = y, and the
    prediction must not move; under one on a cause it must move as much as y does. With additive noise of y the penalty
    is 0 for the mechanism of y, and for no predictor that uses an effect. It teaches what the SCM believes: a wrong
    SCM teaches its mistakes, and no data correct them at a large weight. Where y's mechanism differs between
    environments (a concept shift), it holds one SCM against all of them.

    For classes, f is the vector of probabilities, and y' - y the change of the SCM's P(y | causes), which unlike the
    twin's class, a draw, is known: again 0 for the mechanism of y.

    Source: for interventions on non-causes, Veitch, D'Amour, Yadlowsky and Eisenstein (2021), definition 1.1
    (counterfactual invariance), as a penalty; for causes, this kit's extension.

    Args:
        scm: Over the features and the target (and whatever else it needs, as columns of the environments): the true
            one, or a learned one, `ck.fit_scm(graph, frame, seed=0)`. A function (training environments) -> SCM
            learns one for each data set.
        weight: Of the penalty, in units of the target's variance over the training rows; at least 0, 0 is erm.
        do: The variables that are set; all features if None.
        together: Set them all at once, in place of one a row.

    Raises:
        ValueError: No SCM; a bad weight; a variable that the SCM or the frames have not; the target in `do`.
        NotInvertible: The SCM cannot recover its noise.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0}, scale=0.3)})
        >>> train, task = [ck.Environment("a", scm.sample(500, seed=0))], ck.Task(("x", "z"), "y")
        >>> goal = counterfactual_consistency(scm, weight=1000.0)
        >>> model = ck.fit(train, task, objective=goal, backbone="linear", seed=0)
        >>> still, moved = model.predict(pd.DataFrame({"x": [0.0, 0.0], "z": [0.0, 1.0]}))  # z is an effect
        >>> bool(abs(moved - still) < 0.05)
        True
    """
    name = "counterfactual_consistency"
    twins = replace(_twins(name, scm, weight, do, together), changes=True)
    return Objective(f"{name}(weight={weight:g})", (Penalty(weight, inconsistency, prepare=twins),))


def inconsistency(batch: Batch) -> torch.Tensor:
    """mean_e E_e[|f(x') - f(x) - (y' - y)|^2], the penalty of `counterfactual_consistency`."""
    found, name = [], "counterfactual_consistency"
    for e, twin in enumerate(_companions(batch, name)):
        before, after = batch.predictions[e], _predict(batch, twin.inputs)
        if before.ndim == 1:
            wrong = (after - before - (twin.targets - batch.targets[e]))[:, None]
        else:
            moved = [batch.companions[f"{name}, class {k}"][e] for k in range(before.shape[-1])]
            wrong = after.softmax(-1) - before.softmax(-1) - torch.stack(moved, -1)
        found.append(batch.mean(wrong.square().sum(-1), e))
    return torch.stack(found).mean()


def counterfactual_augmentation(
    scm: AnySCM = None, weight: float = 1.0, *, do: str | Sequence[str] | None = None, together: bool = False
) -> Objective:
    """Twins as further training rows: mean_e R_e + weight * mean_e E_e[loss(f(x'), y')].

    (x', y') is the row's twin, see `Twins`; with weight 1 it is erm on the doubled data, times 2. In the twins what
    is set no longer follows from its causes, so an effect of the target tells less about it; in the rows themselves
    it still does, and in twins of other variables too. So it weakens such reliance, and removes it only for large
    weights with `do` naming the effects and together=True. It teaches what the SCM believes, right or wrong.

    Source: Kaushik, Hovy and Lipton (2020), with people as the SCM; Pitis, Creager and Garg (2020), algorithm 1, with
    a learned model.

    Args:
        scm, do, together: As in `counterfactual_consistency`.
        weight: Of the twins' risk, at least 0; 0 is erm.

    Raises:
        ValueError: As `counterfactual_consistency`.
        NotInvertible: The SCM cannot recover its noise.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> train, task = [ck.Environment("a", scm.sample(100, seed=0))], ck.Task(("x", "z"), "y")
        >>> ck.fit(train, task, objective=counterfactual_augmentation(scm, do="z"), steps=10, seed=0)
        Model(y from x, z; counterfactual_augmentation(weight=1))
    """
    name = "counterfactual_augmentation"
    twins = _twins(name, scm, weight, do, together)
    return Objective(f"{name}(weight={weight:g})", (Penalty(weight, risk_of_twins, prepare=twins),))


def risk_of_twins(batch: Batch) -> torch.Tensor:
    """mean_e E_e[loss(f(x'), y')], the penalty of `counterfactual_augmentation`."""
    twins = _companions(batch, "counterfactual_augmentation")
    losses = (batch.loss(_predict(batch, twin.inputs), twin.targets) for twin in twins)
    return torch.stack([batch.mean(each, e) for e, each in enumerate(losses)]).mean()


def _twins(name: str, scm: AnySCM, weight: float, do: str | Sequence[str] | None, together: bool) -> Twins:
    check_number(name, "weight", weight)
    if not callable(scm):
        _check_scm(name, scm)
    names = None if do is None else ((do,) if isinstance(do, str) else tuple(do))
    if names is not None and (not names or len(set(names)) < len(names)):
        raise ValueError(f"{name}: do={do!r} should name each variable to set once, at least one: do=['x'], say")
    return Twins(name, scm, names, bool(together))


def _check_scm(name: str, scm: object) -> None:
    if not (hasattr(scm, "counterfactual") and hasattr(scm, "variables")):
        raise ValueError(
            f"{name} draws twins from an SCM, and got {scm!r}: call it with the true one or a learned one, "
            f"ck.objectives.{name}(ck.fit_scm(graph, frame, seed=0))"
        )


def _check_columns(name: str, scm: SCM, environment: Environment) -> None:
    missing = [v for v in scm.variables if v not in environment.frame.columns]
    if missing:
        raise ValueError(
            f"{name}: environment {environment.name!r} has no column {missing[0]!r}, whose noise the SCM needs for a "
            "twin: give frames that have it, or an SCM over the columns there are, as ck.fit_scm makes it"
        )


def _companions(batch: Batch, name: str) -> tuple[Any, ...]:
    if name not in batch.companions:
        raise ValueError(f"the batch has no twins for {name}: train with ck.fit, which draws them")
    return batch.companions[name]


def _predict(batch: Batch, inputs: torch.Tensor) -> torch.Tensor:
    predict: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]] = batch.predict  # type: ignore[assignment]
    return predict(inputs)[0]


def _chances(scm: SCM, frame: pd.DataFrame, task: Task, labels: np.ndarray) -> np.ndarray:
    """P(label | causes of the target) of each row and label [n, labels], as the SCM has it."""
    mechanism: Any = scm.mechanisms[task.target]
    if mechanism.levels is None or labels.min() < 0 or labels.max() >= mechanism.levels:
        there = "a real number" if mechanism.levels is None else f"one of {mechanism.levels} levels"
        raise ValueError(
            f"counterfactual_consistency: {task.target!r} has the classes {', '.join(map(str, labels))}, and in the "
            f"SCM it is {there}: give an SCM with a discrete mechanism for it, ck.logistic say, or "
            "Task(..., kind='regression')"
        )
    parents = torch.tensor(frame[list(mechanism.parents)].to_numpy(np.float64, copy=True))
    return mechanism.log_probs(parents).exp()[:, labels].numpy()  # type: ignore[no-any-return]
