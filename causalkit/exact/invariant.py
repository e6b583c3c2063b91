"""One procedure for invariant prediction: try the candidates, best first, until one is not found to vary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.environments import Environment, Task
from causalkit.exact.build import Arrays, arrays, check, linear_model
from causalkit.exact.classes import Outcome, residual_test, score_test
from causalkit.exact.direction import one_direction
from causalkit.exact.isr import moving, too_few
from causalkit.exact.linear import converged
from causalkit.exact.moments import Moments, contrasts, invariance, moments
from causalkit.exact.subsets import MOST, pooled
from causalkit.model import Model

__all__ = ["Candidate", "invariant"]

NOTHING = "no candidate is invariant: the target's own mechanism may move, or invariance lies in other directions"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A linear rule that may be invariant.

    Attributes:
        name: What it predicts from.
        risk: Of validation, mean over environments.
        weights: In the units of the data [features] or [classes, features].
        intercept: A number, or [classes].
        test: () -> how it fares in a test of its invariance.
    """

    name: str
    risk: float
    weights: np.ndarray
    intercept: np.ndarray | float
    test: Callable[[], Outcome]


def invariant(
    train: Sequence[Environment],
    task: Task,
    *,
    valid: Sequence[Environment] | None = None,
    alpha: float = 0.01,
) -> Model:
    """The linear rule of least validation risk among those whose invariance is not rejected at level alpha.

    A regression's candidates are least squares on every set of features (along backward elimination beyond 12), and on
    every set of the directions that are uncorrelated in the two environments that differ most (`contrasts`): what is a
    set of features before coordinates are scrambled is one of these directions after. A candidate is invariant if one
    regression holds in all environments: the residuals' mean and their covariance with the chosen features are 0 in
    each of them, tested robustly to noise that differs (`invariance`).

    A classification's candidates are converged logistic regressions on all features; on what is left when the first,
    second, ... direction is dropped in which class means move (`moving`); and on the features left by backward
    elimination. A candidate is invariant if its log-odds given the class have the same mean in all environments, or
    if the class given its features does, tested as in a regression; the second counts only where each environment has
    errors enough to show a difference.

    Candidates are tested in the order of their validation risk, which is that of the training distribution, up to the
    first that is not rejected. Neither the number of invariant features nor the kind of shift is asked for.

    Where all of a regression's candidates are rejected, and there are three environments or more, rules are tried that
    are invariant in all directions but one (`one_direction`). What this does not reach: scrambled features of which
    more than one direction moves, where environments do not tell the others apart by variance (in a regression) or
    class means; then nothing passes or, with two environments or few rows, a wrong candidate may.

    Args:
        train: Two environments or more.
        task: What is predicted from what.
        valid: Rows for the validation risk, the same environments or others; those of `train` if None.
        alpha: The level of the tests. The larger, the fewer candidates pass.

    Returns:
        A model; in `report`: "chosen"; "why"; "tested", how many candidates were; "pvalue"; "rejected", True if none
        passed, and the one of least risk is returned; and "note", which is not empty where the result is not
        identified or nothing is invariant.

    Raises:
        ValueError: One environment; alpha outside (0, 1); labels of `valid` that `train` has not; what every method's
            door refuses.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("1s", rows=2000, seed=0)
        >>> model = invariant(example.train, example.task, valid=example.valid)
        >>> ck.evaluate(model, example.test, example.task)["rmse"].pow(2).mean() / example.floor < 1.02
        np.True_
    """
    check(train, task, "invariant", environments=2)
    valid = train if valid is None else valid
    check(valid, task, "invariant")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}: give a level in (0, 1)")
    families = (_regressions, _directed) if task.kind == "regression" else (_classifiers,)
    candidates: list[Candidate] = []
    outcomes: list[Outcome] = []
    for propose in families:
        candidates += sorted(propose(train, valid, task, alpha), key=lambda candidate: candidate.risk)
        while len(outcomes) < len(candidates) and not (outcomes and outcomes[-1].pvalue > alpha):
            outcomes.append(candidates[len(outcomes)].test())
        if outcomes[-1].pvalue > alpha:
            break
    passed = outcomes[-1].pvalue > alpha
    place = (
        len(outcomes) - 1 if passed else int(np.argmin([candidate.risk for candidate in candidates]))
    )  # nothing invariant: no reason to give up any risk
    chosen, outcome = candidates[place], outcomes[place]
    told: dict[str, Any] = {
        "chosen": chosen.name,
        "why": _why(len(candidates), len(outcomes), chosen, outcome, alpha),
        "note": outcome.note if passed else NOTHING,
        "tested": len(outcomes),
        "pvalue": outcome.pvalue,
        "rejected": not passed,
    }
    return linear_model(train, task, chosen.weights, chosen.intercept, "invariant", **told)


def _why(candidates: int, tested: int, chosen: Candidate, outcome: Outcome, alpha: float) -> str:
    risk = f"validation risk {chosen.risk:.4g}, that of the training distribution"
    if outcome.pvalue <= alpha:
        return f"all {candidates} candidates are rejected at level {alpha:g}; this one has the least risk ({risk})"
    return (
        f"of {candidates} candidates in the order of their risk, {tested - 1} are rejected at level {alpha:g}, and "
        f"this is the first that is not ({outcome.what}: p = {outcome.pvalue:.2g}; {risk})"
    )


def backward(width: int, statistic: Callable[[list[int]], float]) -> list[list[int]]:
    """Nested sets from all of `width` down to none, each time without what leaves the smallest statistic.

    Example:
        >>> backward(2, lambda chosen: float(sum(chosen)))
        [[0, 1], [0], []]
    """
    path = [list(range(width))]
    while path[-1]:
        path.append(min(([i for i in path[-1] if i != out] for out in path[-1]), key=statistic))
    return path


def _regressions(
    train: Sequence[Environment], valid: Sequence[Environment], task: Task, alpha: float
) -> Iterable[Candidate]:
    """Least squares on sets of features, and of directions."""
    data = moments(train, task)
    held = moments(valid, task, data, order=2)
    for kind, basis in (("features", np.eye(len(task.features))), ("directions", contrasts(data))):
        turned = data.turned(basis)
        for chosen in _sets(turned):
            name = ", ".join(task.features[i] for i in chosen) or "no feature"
            if kind == "directions":
                name = f"{len(chosen)} of {basis.shape[1]} directions that environments tell apart"

            def test(turned: Moments = turned, chosen: Sequence[int] = chosen) -> Outcome:
                pvalue, statistic = invariance(turned, chosen)
                note = "" if chosen else "no invariant relation to the target is found: its mean is predicted"
                if not statistic:
                    note = "not tested: the environments give no more conditions than the rule has coefficients"
                return Outcome(pvalue, statistic, "one regression in all environments", note)

            yield _candidate(name, data, held, basis, pooled(turned, chosen), test)


def _directed(
    train: Sequence[Environment], valid: Sequence[Environment], task: Task, alpha: float
) -> Iterable[Candidate]:
    """Rules that are invariant in all directions of the features but one."""
    data = moments(train, task)
    held = moments(valid, task, data, order=2)
    for standard, pvalue, statistic in one_direction(data):

        def test(pvalue: float = pvalue, statistic: float = statistic) -> Outcome:
            return Outcome(pvalue, statistic, "one regression in all directions but one")

        yield _candidate("all directions but one", data, held, np.eye(len(task.features)), standard, test)


def _candidate(
    name: str, data: Moments, held: Moments, basis: np.ndarray, standard: np.ndarray, test: Callable[[], Outcome]
) -> Candidate:
    """From standardised weights on x @ basis, the intercept first."""
    raw = basis @ standard[1:] * data.scale[-1] / data.scale[:-1]
    intercept = data.location[-1] + standard[0] * data.scale[-1] - raw @ data.location[:-1]
    residual = np.concatenate([-standard[:1], -basis @ standard[1:], [1.0]])
    risk = data.scale[-1] ** 2 * float((held.second @ residual @ residual).mean())
    return Candidate(name, risk, raw, intercept, test)


def _sets(data: Moments) -> Iterable[Sequence[int]]:
    """All sets of features, or those along backward elimination where there are too many."""
    width = data.second.shape[1] - 2
    if width > MOST:
        return backward(width, lambda chosen: invariance(data, chosen)[1])
    return (chosen for size in range(width + 1) for chosen in itertools.combinations(range(width), size))


def _classifiers(
    train: Sequence[Environment], valid: Sequence[Environment], task: Task, alpha: float
) -> Iterable[Candidate]:
    """Logistic regressions on all features, on fewer directions, on fewer features."""
    eye = np.eye(len(task.features))
    directions, found = moving(train, task, alpha)
    note = too_few(train, found)
    options = [("all features", eye)]
    for dropped in range(1, directions.shape[1] + 1):
        name = f"what is left without {dropped} direction{'s' * (dropped > 1)} in which class means move"
        options.append((name, directions[:, dropped:]))
    for chosen in _features(train, task)[1:-1]:
        options.append((", ".join(task.features[i] for i in chosen), eye[:, chosen]))
    parts, held = arrays(train, task), arrays(valid, task)
    classes = np.unique(np.concatenate([y for _, y in parts]))
    new = np.setdiff1d(np.concatenate([y for _, y in held]), classes)
    if len(new):
        raise ValueError(
            f"valid has the label {new[0]:g} of {task.target!r}, which train has not: leave these rows out"
        )
    for name, basis in options:
        weights, intercept = converged(parts, basis)

        def test(
            weights: np.ndarray = weights, intercept: np.ndarray = intercept, basis: np.ndarray = basis
        ) -> Outcome:
            means = score_test(parts, classes, weights)._replace(note=note)
            return max(means, residual_test(parts, classes, weights, intercept, basis))

        yield Candidate(name, _log_loss(held, classes, weights, intercept), weights, intercept, test)


def _features(train: Sequence[Environment], task: Task) -> list[list[int]]:
    """Backward elimination of features by linear regressions of each class's indicator, which are quick to test."""
    labels = np.unique(np.concatenate([e.frame[task.target].to_numpy() for e in train]))[1:]
    tables = []
    for label in labels:
        coded = [Environment(e.name, e.frame.assign(**{task.target: e.frame[task.target] == label})) for e in train]
        tables.append(moments(coded, task))
    return backward(len(task.features), lambda chosen: max(invariance(table, chosen)[1] for table in tables))


def _log_loss(parts: Arrays, classes: np.ndarray, weights: np.ndarray, intercept: np.ndarray) -> float:
    """Mean over environments of the mean negative log-probability of the label."""
    from scipy.special import log_softmax

    losses = []
    for x, y in parts:
        own = np.searchsorted(classes, y)
        losses.append(-np.take_along_axis(log_softmax(x @ weights.T + intercept, 1), own[:, None], 1).mean())
    return float(np.mean(losses))
