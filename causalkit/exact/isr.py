"""Invariant-feature subspace recovery: classes predicted from the directions whose class means stand still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.environments import Environment, Task
from causalkit.exact.build import arrays, check, linear_model
from causalkit.exact.linear import converged, whitening
from causalkit.model import Model

__all__ = ["isr_mean", "moving"]


def isr_mean(
    train: Sequence[Environment], task: Task, *, invariant: int | None = None, alpha: float = 0.01, ridge: float = 1e-6
) -> Model:
    """ISR-mean: drops the directions in which class means differ between environments, and classifies by the others.

    Where the features given the class are Gaussian, and only the spurious ones' means move, these directions span the
    spurious ones as soon as there are more environments than spurious dimensions; with fewer, no method can tell.

    The published method takes the principal components of one class's means. Here all classes are used, and directions
    are told apart in units of the deviation within class and environment, so that rotations and units do not matter.

    Source: Wang, Si, Li and Zhao (2022), "Provable domain generalization via invariant-feature subspace recovery",
    algorithm 1; the number of directions by Bartlett's (1947) sequence of tests.

    Args:
        train: Two environments or more, with all classes in each.
        task: What is predicted from what.
        invariant: How many directions are kept; if None, all but those that a test finds moving.
        alpha: The level of that test.
        ridge: As in `logistic`.

    Returns:
        A model; `report` has "moving", the number of directions dropped, and "note", which says if the
        environments are too few to know.

    Raises:
        ValueError: A regression; one environment; a class that is missing in one; `invariant` out of range.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("3s", environments=6, rows=2000, seed=0)
        >>> isr_mean(example.train, example.task).report["moving"]
        5
    """
    check(train, task, "isr_mean", "classification", environments=2)
    basis, found = moving(train, task, alpha)
    count = found if invariant is None else basis.shape[1] - invariant
    if not 0 <= count <= basis.shape[1]:
        raise ValueError(f"invariant {invariant}: give a number of directions from 0 to {basis.shape[1]}")
    weights, intercept = converged(arrays(train, task), basis[:, count:], ridge)
    return linear_model(train, task, weights, intercept, "isr_mean", moving=count, note=too_few(train, found))


def too_few(train: Sequence[Environment], found: int) -> str:
    """What there is to say if as many directions move as the environments can show, and "" otherwise.

    Example:
        >>> too_few([], 0)
        ''
    """
    if found < len(train) - 1 or not found:
        return ""
    return (
        f"{found} directions move, which is all that {len(train)} environments can show: identified only if no other "
        "direction moves, and more environments would tell"
    )


def moving(train: Sequence[Environment], task: Task, alpha: float = 0.01) -> tuple[np.ndarray, int]:
    """Directions of the features, those first in which class means differ most between environments.

    Returns:
        basis [features, k], uncorrelated and of variance 1 within class and environment, by falling difference; and how
        many of them move: the first r at which the rest's sum of squares, which is chi-squared with
        (k - r)(classes * (environments - 1) - r) degrees of freedom if nothing more moves, is not rejected.

    Raises:
        ValueError: A class that is missing in an environment, or has fewer than 2 rows there; alpha outside (0, 1).

    Example:
        >>> import causalkit as ck
        >>> cows = ck.unit_tests.environments("2", rows=2000, seed=0)
        >>> moving(cows.train, cows.task)[1]
        1
    """
    from scipy.special import chdtrc

    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}: give a level in (0, 1)")
    features = list(task.features)
    classes = np.unique(np.concatenate([environment.frame[task.target].to_numpy() for environment in train]))
    scatter, shifts = np.zeros((len(features), len(features))), []
    for label in classes:
        own = [e.frame.loc[e.frame[task.target] == label, features].to_numpy(np.float64) for e in train]
        for environment, rows in zip(train, own, strict=True):
            if len(rows) < 2:
                raise ValueError(
                    f"environment {environment.name!r} has {len(rows)} rows of class {label}: class means are "
                    "compared, give 2 or more of each class, or leave the environment out"
                )
        means, counts = np.stack([rows.mean(0) for rows in own]), np.array([len(rows) for rows in own])
        scatter += sum((rows - mean).T @ (rows - mean) for rows, mean in zip(own, means, strict=True))
        shifts.append(np.sqrt(counts)[:, None] * (means - counts @ means / counts.sum()))
    free = sum(len(e.frame) for e in train) - len(classes) * len(train)
    white = whitening(scatter / max(free, 1))
    _, singular, turn = np.linalg.svd(np.concatenate(shifts) @ white, full_matrices=True)
    width, contrasts = white.shape[1], len(classes) * (len(train) - 1)
    squares = np.concatenate([singular, np.zeros(width)])[:width] ** 2
    found = 0
    while found < min(width, contrasts):
        if chdtrc((width - found) * (contrasts - found), float(squares[found:].sum())) > alpha:
            break
        found += 1
    return white @ turn.T, found
