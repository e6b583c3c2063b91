"""Linear rules in closed form, or converged: least squares, anchor regression, DRIG, logistic regression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from causalkit.environments import Environment, Task
from causalkit.errors import check_frame, unknown
from causalkit.exact.build import Arrays, arrays, check, linear_model
from causalkit.model import Model

__all__ = ["anchor", "converged", "drig", "least_squares", "logistic", "whitening"]


def least_squares(train: Sequence[Environment], task: Task) -> Model:
    """Empirical risk minimisation of a linear regression: argmin_{a, b} mean_e E_e[(y - a - b'x)^2].

    Each environment counts the same, whatever its number of rows. Of several minimisers, the smallest.

    Raises:
        ValueError: The task is a classification, or what every method's door refuses (`causalkit.exact.check`).

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0}, scale=0.1)}).sample(200, seed=0)
        >>> least_squares([ck.Environment("a", frame)], ck.Task(("x",), "y")).predict(frame.head(1)).shape
        (1,)
    """
    check(train, task, "least_squares", "regression")
    parts = arrays(train, task)
    scaled = [part / math.sqrt(len(part)) for part in (np.column_stack([x, np.ones(len(x)), y]) for x, y in parts)]
    pooled = np.concatenate(scaled)
    *weights, intercept = np.linalg.lstsq(pooled[:, :-1], pooled[:, -1], rcond=None)[0]
    return linear_model(train, task, np.array(weights), intercept, "least_squares")


def anchor(
    train: Sequence[Environment], task: Task, *, gamma: float = 5.0, anchors: str | Sequence[str] | None = None
) -> Model:
    """Anchor regression: argmin_b E[((1 - P)(y - b'x))^2] + gamma E[(P(y - b'x))^2], P the projection on anchors.

    gamma = 0 partials the anchors out, 1 is least squares over all rows, math.inf is two-stage least squares with the
    anchors as instruments. It is robust to shifts of the means that the anchors cause, up to sqrt(gamma) times those
    seen; to nothing else. All variables are centred over all rows first.

    Source: Rothenhaeusler, Meinshausen, Buehlmann and Peters (2021), equations 4 and 9.

    Args:
        train: The environments.
        task: What is predicted.
        gamma: From 0 to math.inf.
        anchors: Columns that are causes of the system, of no use to the prediction itself; the environment if None.

    Raises:
        ValueError: gamma < 0 or NaN; an anchor that is not a column, or is the target or a feature; one environment
            and no anchors; a classification.

    Example:
        >>> import causalkit as ck
        >>> shifts = {"a": None, "b": ck.shifts.covariate("y", strength=2.0)}
        >>> train = ck.sample_environments(ck.teaching_scm(), shifts, 500, seed=0)
        >>> anchor(train, ck.Task(("x1", "x2", "x3"), "y"), gamma=10.0)
        Model(y from x1, x2, x3; anchor(10))
    """
    check(train, task, "anchor", "regression", environments=2 if anchors is None else 1)
    if not gamma >= 0:
        raise ValueError(f"gamma {gamma}: give a number from 0 (partialling out) to math.inf (instruments)")
    if anchors is None:
        number = np.repeat(np.arange(len(train)), [len(environment.frame) for environment in train])
        exogenous = np.eye(len(train))[number]
    else:
        anchors = [anchors] if isinstance(anchors, str) else list(anchors)
        for name in anchors:
            if name in (task.target, *task.features):
                raise ValueError(
                    f"anchor {name!r} is the target or a feature: leave it out of the task, or the anchors"
                )
        exogenous = np.concatenate([check_frame(e.frame, anchors).to_numpy(np.float64) for e in train])
    x, y = (np.concatenate(part) for part in zip(*arrays(train, task), strict=True))
    data = np.column_stack([x, y])
    centre = data.mean(0)
    data = data - centre
    exogenous = exogenous - exogenous.mean(0)
    projected = exogenous @ np.linalg.lstsq(exogenous, data, rcond=None)[0]
    mixed = projected if math.isinf(gamma) else data + (math.sqrt(gamma) - 1.0) * projected
    weights = np.linalg.lstsq(mixed[:, :-1], mixed[:, -1], rcond=None)[0]
    return linear_model(train, task, weights, centre[-1] - weights @ centre[:-1], f"anchor({gamma:g})")


def drig(train: Sequence[Environment], task: Task, *, gamma: float = 5.0, reference: str | None = None) -> Model:
    """DRIG: argmin_b E_0[r^2] + gamma mean_e (E_e[r^2] - E_0[r^2]), r = y - b'x, centred at the reference's means.

    b = G^-1 g with G = (1 - gamma) G_0 + gamma mean_e G_e, G_e = E_e[x x'], and g likewise of E_e[x y]; the mean is
    over all environments, the reference among them. gamma = 0 is least squares on the reference, 1 over all. It is
    robust to additive interventions on means and variances up to gamma times those seen, relative to the reference,
    which must be the one of least variation.

    Source: Shen, Buehlmann and Taeb (2023), "Causality-oriented robustness", equations 6 and 7.

    Args:
        train: Two environments or more.
        task: What is predicted.
        gamma: At least 0.
        reference: The name of the environment without interventions; the first if None.

    Raises:
        ValueError: gamma is negative or infinite; an unknown reference; G is not positive definite, because another
            environment varies less than the reference in some direction; one environment; a classification.

    Example:
        >>> import causalkit as ck
        >>> example = ck.unit_tests.environments("1", rows=1000, seed=0)
        >>> drig(example.train, example.task, gamma=2.0).objective
        'drig(2)'
    """
    check(train, task, "drig", "regression", environments=2)
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma {gamma}: give a finite number of at least 0")
    names = [environment.name for environment in train]
    if reference is not None and reference not in names:
        raise unknown("environment", reference, names)
    parts = [np.column_stack(part) for part in arrays(train, task)]
    first = parts[0 if reference is None else names.index(reference)]
    centre = first.mean(0)
    grams = [(part - centre).T @ (part - centre) / len(part) for part in parts]
    base = (first - centre).T @ (first - centre) / len(first)
    gram = (1.0 - gamma) * base + gamma * np.mean(grams, 0)
    smallest = float(np.linalg.eigvalsh(gram[:-1, :-1])[0])
    if smallest <= 0.0:
        raise ValueError(
            f"drig with gamma {gamma:g} has no minimum: in some direction the reference "
            f"{reference or names[0]!r} varies more than the others do on average. Name another reference, or "
            "lower gamma"
        )
    weights = np.linalg.solve(gram[:-1, :-1], gram[:-1, -1])
    return linear_model(train, task, weights, centre[-1] - weights @ centre[:-1], f"drig({gamma:g})")


def logistic(train: Sequence[Environment], task: Task, *, ridge: float = 1e-6) -> Model:
    """Empirical risk minimisation of a linear classifier, run to its end: argmin mean_e E_e[-log p(y | x)].

    The ridge acts in whitened coordinates (identity covariance over all rows), so that neither units nor rotations of
    the features matter; it is there for classes that a plane separates, where no minimum exists without it. Gradient
    descent on raw features may need millions of steps to get here: Example 2 of the unit tests, with a feature a
    hundredth in size of the others, is "failed" by such runs, and solved by this one.

    Source: Hastie, Tibshirani and Friedman (2009), section 4.4; Newton's steps by scikit-learn.

    Raises:
        ValueError: The task is a regression; the target has one class only, or is not made of codes; ridge <= 0.

    Example:
        >>> import causalkit as ck
        >>> cows = ck.unit_tests.environments("2", rows=1000, seed=0)
        >>> float(ck.evaluate(logistic(cows.train, cows.task), cows.test, cows.task)["accuracy"].min())
        1.0
    """
    check(train, task, "logistic", "classification")
    weights, intercept = converged(arrays(train, task), np.eye(len(task.features)), ridge)
    return linear_model(train, task, weights, intercept, "logistic")


def converged(parts: Arrays, basis: np.ndarray, ridge: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    """Converged logistic regression on x @ basis [features, k]: weights [classes, features], intercepts [classes].

    Example:
        >>> parts = [(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))]
        >>> converged(parts, np.eye(1))[0].shape
        (2, 1)
    """
    from sklearn.linear_model import LogisticRegression

    if not 0 < ridge < math.inf:
        raise ValueError(f"ridge {ridge}: give a small positive number, 1e-6 say")
    y = np.concatenate([part[1] for part in parts])
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"the target has one label only, {classes[0]:g}: a classification needs 2 or more")
    if not basis.shape[1]:
        counts = np.mean([[np.mean(labels == c) for c in classes] for _, labels in parts], 0)
        return np.zeros((len(classes), len(basis))), np.log(counts)
    x = np.concatenate([part[0] for part in parts]) @ basis
    centre, white = x.mean(0), whitening(np.atleast_2d(np.cov(x.T, ddof=0)))
    share = np.concatenate([np.full(len(labels), 1.0 / len(labels) / len(parts)) for _, labels in parts])
    fitted = LogisticRegression(C=1.0 / ridge, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    fitted.fit((x - centre) @ white, y, sample_weight=share)
    own, start = fitted.coef_, fitted.intercept_
    if len(classes) == 2:  # scikit-learn gives the second class's logit alone, the first one's is 0
        own, start = np.concatenate([0 * own, own]), np.concatenate([0 * start, start])
    return own @ (basis @ white).T, start - own @ white.T @ centre


def whitening(covariance: np.ndarray) -> np.ndarray:
    """The matrix [d, k] that gives features of this covariance the covariance 1; k < d where some do not vary.

    Example:
        >>> whitening(np.array([[4.0, 0.0], [0.0, 0.0]]))
        array([[0.5],
               [0. ]])
    """
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    there = values > 1e-12 * max(values[-1], 1e-300)
    return vectors[:, there] / np.sqrt(values[there]) / scale[:, None]
