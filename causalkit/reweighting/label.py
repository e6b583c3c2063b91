"""Weights for a label shift, w(y) = q(y) / p(y), from a classifier's outputs on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalkit.environments import Task
from causalkit.model import Model
from causalkit.reweighting.rows import mean_one, rows
from causalkit.seeds import Seed, integer

__all__ = ["bbse", "em"]

FOLDS = 5


def bbse(
    source: pd.DataFrame,
    target: pd.DataFrame,
    task: Task,
    *,
    seed: Seed,
    model: Model | None = None,
    hard: bool = False,
) -> np.ndarray:
    """Black-box shift estimation, for a label shift: w = C^-1 mu, negative entries set to 0.

    C_ij = P_source(f = i, y = j) [classes, classes] is the confusion matrix of a classifier f on rows that it has not
    seen, mu_i = P_target(f = i). Consistent for any f whose C is invertible, however wrong its probabilities are.

    Args:
        source: The rows to weigh: features and target are read.
        target: The rows to weigh them for; only the features are read.
        task: A classification.
        seed: Of the folds.
        model: The classifier; it must not have been trained on `source`. None: a logistic regression, cross-fitted in
            5 folds.
        hard: Count f's labels, as published; else average its probabilities, which wastes less.

    Returns:
        Weights w(y_i) [n], mean 1.

    Raises:
        ValueError: A regression; a frame that lacks a column or has under 10 rows; one class only, or under 5 rows of
            one; a model of other classes; C singular within two standard errors, so that f does not tell classes apart.

    Source: Lipton, Wang and Smola (2018).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"y": ck.logistic(), "x": ck.linear({"y": 2.0})})
        >>> source, target = scm.sample(2000, seed=0), ck.shifts.label("y", strength=1.0)(scm).sample(2000, seed=1)
        >>> w = bbse(source, target, Task(("x",), "y", "classification"), seed=0)
        >>> bool(abs(w[source["y"] == 1].mean() / target["y"].mean() - 2.0) < 0.2)  # w(1) = q(1) / 0.5
        True
    """
    labels, here, there = _probabilities(source, target, task, model, seed)
    if hard:
        here, there = (np.eye(here.shape[1])[p.argmax(1)] for p in (here, there))
    member = np.eye(here.shape[1])[labels]
    confusion = here.T @ member / len(member)
    within = here - (confusion / member.mean(0)).T[labels]
    noise = float(np.sqrt((within**2).sum(1).mean() / len(here)))  # Frobenius norm of C's sampling error, labels given
    if np.linalg.svd(confusion, compute_uv=False)[-1] <= 2 * noise:
        raise ValueError(
            f"bbse: the classifier does not tell the classes of {task.target!r} apart (its confusion matrix is "
            "singular within two standard errors): give more rows, features that depend on the label, or a better model"
        )
    ratios = np.linalg.solve(confusion, there.mean(0)).clip(min=0.0)
    return mean_one(ratios[labels], "bbse")


def em(
    source: pd.DataFrame,
    target: pd.DataFrame,
    task: Task,
    *,
    seed: Seed,
    model: Model | None = None,
    calibrate: bool = True,
) -> np.ndarray:
    """Maximum likelihood of the target's class shares q by EM, for a label shift, with calibrated probabilities.

    q_k <- mean over target rows of q_k / p_k P(k | x) / sum_j q_j / p_j P(j | x), to a change below 1e-7; w = q / p.
    Calibration is by bias-corrected temperature scaling, P(k | x) ~ exp(a log f_k(x) + b_k), with a and b of least
    log-loss on source rows that f has not seen. Without it, an over-confident f makes EM worse than BBSE.

    Args:
        source, target, task, seed, model: As in `bbse`.
        calibrate: False: take f's probabilities as they are.

    Returns:
        Weights w(y_i) [n], mean 1.

    Raises:
        ValueError: As `bbse`, but for the confusion matrix.

    Source: Saerens, Latinne and Decaestecker (2002); Alexandari, Kundaje and Shrikumar (2020).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"y": ck.logistic(), "x": ck.linear({"y": 2.0})})
        >>> source, target = scm.sample(2000, seed=0), ck.shifts.label("y", strength=1.0)(scm).sample(2000, seed=1)
        >>> w = em(source, target, Task(("x",), "y", "classification"), seed=0)
        >>> bool(abs(w[source["y"] == 1].mean() / target["y"].mean() - 2.0) < 0.2)
        True
    """
    labels, here, there = _probabilities(source, target, task, model, seed)
    if calibrate:
        here, there = _calibrated(here, labels, there)
    shares = np.bincount(labels, minlength=here.shape[1]) / len(labels)
    now = shares
    for _ in range(10_000):  # at the edge of the simplex a round's change shrinks like 1/t^2: about 3,000 will do
        joint = there * (now / shares)
        last, now = now, (joint / joint.sum(1, keepdims=True)).mean(0)
        if np.abs(now - last).max() < 1e-7:
            break
    return mean_one((now / shares)[labels], "em")


def _probabilities(
    source: pd.DataFrame, target: pd.DataFrame, task: Task, model: Model | None, seed: Seed
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The source's labels as class numbers [n], and the classifier's probabilities on source and target [., classes].

    Those on the source are for rows that the classifier was not trained on.
    """
    features = list(task.features)
    if task.kind != "classification":
        raise ValueError(
            f"bbse and em weigh classes, and {task.target!r} is a regression's target: use 'kmm', 'ulsif' or "
            "'discriminative', or code its classes and set kind='classification'"
        )
    rows(source, [*features, task.target], "source"), rows(target, features, "target")
    values = source[task.target].to_numpy()
    classes, labels, counts = np.unique(values, return_inverse=True, return_counts=True)
    if (classes != np.round(classes)).any():
        raise ValueError(f"source: target {task.target!r} is not made of integer codes: code its classes")
    if len(classes) < 2:
        raise ValueError(f"source: target {task.target!r} has one class only, {classes[0]}: two are needed to weigh")
    if counts.min() < FOLDS:
        raise ValueError(
            f"source: class {classes[counts.argmin()]} of {task.target!r} has {counts.min()} rows, at least {FOLDS} "
            "are needed: give more rows, or leave the class out"
        )
    if model is None:
        return labels, *_cross_fitted(source[features], labels, target[features], seed)
    if model.classes is None or not np.array_equal(model.classes, classes):
        raise ValueError(
            f"the model's classes are {model.classes}, and the source has {classes}: weigh with a model of the same "
            "classes, and source rows of each"
        )
    return labels, model.predict_proba(source), model.predict_proba(target)


def _cross_fitted(x: pd.DataFrame, labels: np.ndarray, z: pd.DataFrame, seed: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a logistic regression: on each fifth of the source by the other four, on the target by all."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=integer(seed, "folds"))
    here = cross_val_predict(classifier, x, labels, cv=folds, method="predict_proba")
    return here, classifier.fit(x, labels).predict_proba(z)


def _calibrated(here: np.ndarray, labels: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias-corrected temperature scaling, fitted on the source: P(k | x) ~ exp(a log f_k(x) + b_k), with b_0 = 0."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    logs, member = np.log(here.clip(min=1e-12)), np.eye(here.shape[1])[labels]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * logs + np.append(0.0, parameters[1:])
        residual = softmax(z, axis=1) - member
        slope = np.append((residual * logs).sum(), residual.sum(0)[1:])
        return -float((log_softmax(z, axis=1) * member).sum()) / len(z), slope / len(z)

    bounds = [(1e-3, 1e3)] + [(-50.0, 50.0)] * (here.shape[1] - 1)  # separable classes would push a to infinity
    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8}
    start = np.append(1.0, np.zeros(here.shape[1] - 1))
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    bias = np.append(0.0, best[1:])
    return tuple(softmax(best[0] * np.log(p.clip(min=1e-12)) + bias, axis=1) for p in (here, there))
