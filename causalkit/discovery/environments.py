"""Invariant causal prediction: the causes of one variable, from data sets between which other mechanisms moved.

Given all its causes, a variable is distributed in the same way in every environment, as long as its own mechanism does
not move. So each set of candidates is tested for that, and what all accepted sets share must be causes: with a
probability of at least 1 - alpha, nothing else is named. Where the environments differ too little, many sets are
accepted that share nothing, and no cause is named; this is the price of the guarantee.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.knowledge import Knowledge
from causalkit.errors import check_frame, unknown
from causalkit.seeds import Seed, integer

__all__ = ["check_environments", "icp", "icp_nonlinear"]

Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From the regressors [n, k] and the target [n] of all environments together to the residuals [n] of a regression."""


def icp(
    environments: Sequence[Any],
    *,
    seed: Seed,
    target: str | None = None,
    knowledge: Knowledge | None = None,
    alpha: float = 0.05,
    test: str = "normal",
    most: int = 10,
) -> nx.DiGraph:
    """Linear invariant causal prediction: the target's causes that all invariant sets share.

    For every set of candidates the target is regressed on them, all environments together; the set is accepted if the
    residuals of no environment differ from those of the others in mean or variance, at level alpha (Bonferroni).

    It assumes linear effects on the target, no hidden cause of it, that its own mechanism is the same everywhere, and,
    with test="normal", Gaussian noise. 2^candidates regressions: 10 candidates on 1,000 rows take about two seconds.

    Source: Peters, Buehlmann and Meinshausen (2016), section 3.1.2, method II.

    Args:
        environments: Two or more `ck.Environment`s over the same columns.
        seed: Not used, nothing is drawn.
        target: The variable whose causes are looked for; it must be given.
        knowledge: Candidates are what it does not forbid as a cause of the target; what it requires is in all sets.
        alpha: The probability allowed of naming something that is no cause.
        test: "normal" (Welch's t and the F-test) or "ranks" (Mann and Whitney's and Levene's).
        most: The most candidates; if there are more, those that enter first along the Lasso's path.

    Returns:
        A graph of kind "dag" over all columns with the arrows found, into the target alone: of the others it says
        nothing. In `graph.graph`: `target`; `accepted`, the sets; `pvalues`, candidate -> p-value of its being no
        cause; `intervals`, candidate -> (low, high) of its coefficient, which hold together with probability
        1 - 2 alpha; `valid`, False where no set was accepted: then an assumption fails, and no arrow is drawn.

    Raises:
        ValueError: Fewer than two environments, other columns in one of them, too few rows, a target or option that
            is unknown, alpha outside (0, 1).

    Example:
        >>> import causalkit as ck
        >>> causes, effects = ck.shifts.covariate("y", strength=2.0), ck.shifts.spurious("y", strength=2.0)
        >>> shifts = {"a": None, "b": causes, "c": effects}
        >>> environments = ck.sample_environments(ck.teaching_scm(), shifts, 500, seed=0)
        >>> sorted(icp(environments, seed=0, target="y").edges)
        [('x1', 'y'), ('x2', 'y')]
    """
    graph = _predict(environments, target, knowledge, alpha, test, most, _least_squares)
    graph.graph["intervals"] = _intervals(check_environments(environments)[0], graph, alpha)
    return graph


def icp_nonlinear(
    environments: Sequence[Any],
    *,
    seed: Seed,
    target: str | None = None,
    knowledge: Knowledge | None = None,
    alpha: float = 0.05,
    test: str = "ranks",
    most: int = 6,
) -> nx.DiGraph:
    """Nonlinear invariant causal prediction by the test of invariant residual distributions.

    As `icp`, with a regression that bends and lets candidates work together: a ridge regression on random features of a
    Gaussian kernel. It assumes additive noise, no hidden cause of the target, and that its own mechanism is the same
    everywhere. A function that the regression cannot follow where environments differ makes true sets fail.

    Source: Heinze-Deml, Peters and Meinshausen (2018), section 3.1.2 (invariant residual distribution test).

    Args:
        environments: Two or more `ck.Environment`s over the same columns.
        seed: Of the random features.
        target: The variable whose causes are looked for; it must be given.
        knowledge: As in `icp`.
        alpha: As in `icp`.
        test: As in `icp`.
        most: The most candidates, at the cost of 2^most regressions; if there are more, those that enter first along
            the Lasso's path.

    Returns:
        As `icp`, without `intervals`.

    Raises:
        ValueError: As `icp`.

    Example:
        >>> import causalkit as ck
        >>> bend = ck.additive(["x"], lambda x: 2 * x[:, 0].sin(), scale=0.5)
        >>> scm = ck.SCM({"x": ck.linear(), "y": bend, "z": ck.linear({"y": 1.0})})
        >>> causes, effects = ck.shifts.covariate("y", strength=1.0), ck.shifts.spurious("y", strength=1.0)
        >>> shifts = {"a": None, "b": causes, "c": effects}
        >>> list(icp_nonlinear(ck.sample_environments(scm, shifts, 300, seed=0), seed=0, target="y").edges)
        [('x', 'y')]
    """
    base = integer(seed, "icp_nonlinear")

    def residuals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _kernel_ridge(x, y, base)

    return _predict(environments, target, knowledge, alpha, test, most, residuals)


def check_environments(environments: Sequence[Any], *, target: str | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """All rows in one frame [n, d], and the number of the environment [n] that each comes from.

    Raises:
        ValueError: Fewer than two environments, one name twice, columns that differ, too few rows, an unknown target.
    """
    if isinstance(environments, pd.DataFrame) or not all(hasattr(e, "frame") for e in environments):
        raise ValueError("this method compares environments: give a list, [ck.Environment('a', frame), ...]")
    if len(environments) < 2:
        raise ValueError(f"{len(environments)} environment: this method compares environments, give two or more")
    names = [e.name for e in environments]
    if len(set(names)) < len(names):
        raise ValueError(f"environments {names}: two have the same name, rename one")
    columns = list(environments[0].frame.columns)
    if target is not None and target not in columns:
        raise unknown("target", target, columns)
    frames = []
    for environment in environments:
        if set(environment.frame.columns) != set(columns):
            odd = set(environment.frame.columns) ^ set(columns)
            raise ValueError(
                f"environment {environment.name!r} has other columns than {names[0]!r} (only one of them has "
                f"{', '.join(sorted(map(repr, odd)))}): give all the same columns"
            )
        frames.append(check_frame(environment.frame, columns, min_rows=len(columns) + 3))
    return pd.concat(frames, ignore_index=True), np.repeat(np.arange(len(frames)), [len(f) for f in frames])


def _predict(
    environments: Sequence[Any],
    target: str | None,
    knowledge: Knowledge | None,
    alpha: float,
    test: str,
    most: int,
    fit: Fit,
) -> nx.DiGraph:
    """Every set of candidates tested for invariance; what all accepted ones share."""
    if test not in TESTS:
        raise unknown("test of residuals", test, TESTS)
    if not 0 < alpha < 1 or most < 1:
        raise ValueError(f"alpha {alpha}, most {most}: give alpha in (0, 1) and at least one candidate")
    knowledge = knowledge or Knowledge()
    frame, number = check_environments(environments, target=target)
    if target is None:
        raise ValueError(f"the causes of which variable? give target=, one of {', '.join(map(str, frame.columns))}")
    knowledge.check(frame.columns)
    known = [c for c in frame.columns if knowledge.requires(c, target)]
    free = [c for c in frame.columns if c != target and c not in known and not knowledge.forbids(c, target)]
    free = _screened(frame, target, free, most)
    y = frame[target].to_numpy(np.float64)
    pvalues: dict[tuple[str, ...], float] = {}
    for chosen in _subsets(free):
        names = (*known, *chosen)
        residuals = fit(frame[list(names)].to_numpy(np.float64), y)
        pvalues[names] = _invariance(residuals, number, test)
    accepted = [names for names, p in pvalues.items() if p > alpha]
    graph = nx.DiGraph(kind="dag", target=target, accepted=accepted, valid=bool(accepted))
    graph.add_nodes_from(frame.columns)
    # no cause: some set without it is invariant
    without = {c: max((p for names, p in pvalues.items() if c not in names), default=0.0) for c in [*known, *free]}
    graph.graph["pvalues"] = without if accepted else dict.fromkeys(without, 1.0)
    graph.add_edges_from((c, target) for c, p in graph.graph["pvalues"].items() if p <= alpha)
    return graph


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(names, k) for k in range(len(names) + 1))


def _screened(frame: pd.DataFrame, target: str, candidates: list[str], most: int) -> list[str]:
    """At most so many candidates, the first along the Lasso's path, in column order."""
    if len(candidates) <= most:
        return candidates
    from sklearn.linear_model import lars_path

    x = frame[candidates].to_numpy(np.float64)
    y = frame[target].to_numpy(np.float64)
    x, y = (x - x.mean(0)) / np.maximum(x.std(0), 1e-300), y - y.mean()
    _, _, path = lars_path(x, y, method="lasso")
    entered = [int(np.flatnonzero(row).min(initial=path.shape[1])) for row in path]
    first = sorted(range(len(candidates)), key=entered.__getitem__)[:most]
    return [candidates[i] for i in sorted(first)]


def _invariance(residuals: np.ndarray, number: np.ndarray, test: str) -> float:
    """p-value of the same mean and variance in all environments: each against the rest, Bonferroni over all tests."""
    count = int(number.max()) + 1
    # with two environments, the first against the rest is the second against the rest
    compared = range(count if count > 2 else 1)
    smallest = min(min(TESTS[test](residuals[number == e], residuals[number != e])) for e in compared)
    return min(1.0, 2 * len(compared) * smallest)


def _normal(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """p-values of equal means (Welch) and of equal variances (F)."""
    from scipy.special import fdtr, fdtrc, stdtr  # what scipy.stats calls in the end; with 2^10 sets, the way counts

    free = len(a) - 1, len(b) - 1
    of_a, of_b = a.var(ddof=1), b.var(ddof=1)
    squared = of_a / len(a), of_b / len(b)
    welch = sum(squared) ** 2 / (squared[0] ** 2 / free[0] + squared[1] ** 2 / free[1])
    place = 2 * stdtr(welch, -abs(a.mean() - b.mean()) / sum(squared) ** 0.5)
    return float(place), float(min(1.0, 2 * min(fdtr(*free, of_a / of_b), fdtrc(*free, of_a / of_b))))


def _ranks(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """p-values of equal places (Mann and Whitney) and of equal spreads about the median (Levene)."""
    from scipy import stats

    return float(stats.mannwhitneyu(a, b).pvalue), float(stats.levene(a, b).pvalue)


TESTS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, float]]] = {"normal": _normal, "ranks": _ranks}
"""How residuals are compared: name -> function(a [n], b [m]) -> p-values of the same place and of the same spread."""


def _least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    design = np.column_stack([x, np.ones(len(y))])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def _kernel_ridge(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Residuals of a ridge regression on random features of a Gaussian kernel, its penalty by leave-one-out."""
    if not x.shape[1]:
        return y - y.mean()
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import RidgeCV

    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-300)
    wide = Nystroem(gamma=0.5 / x.shape[1], n_components=min(100, len(y) // 5), random_state=seed).fit_transform(x)
    fitted = RidgeCV(alphas=np.logspace(-6, 2, 9)).fit(np.column_stack([x, wide]), y)
    return y - fitted.predict(np.column_stack([x, wide]))


def _intervals(frame: pd.DataFrame, graph: nx.DiGraph, alpha: float) -> dict[str, tuple[float, float]]:
    """Candidate -> the union of its confidence intervals over all accepted sets; a set without it says 0."""
    from scipy import stats

    y = frame[graph.graph["target"]].to_numpy(np.float64)
    found: dict[str, list[tuple[float, float]]] = {c: [] for c in graph.graph["pvalues"]}
    for names in graph.graph["accepted"]:
        design = np.column_stack([frame[list(names)].to_numpy(np.float64), np.ones(len(y))])
        weights, free = np.linalg.lstsq(design, y, rcond=None)[0], len(y) - design.shape[1]
        variance = float(((y - design @ weights) ** 2).sum()) / free
        half = stats.t.ppf(1 - alpha / 2, free) * np.sqrt(variance * np.diag(np.linalg.pinv(design.T @ design)))
        ends = {c: (float(w - h), float(w + h)) for c, w, h in zip(names, weights, half, strict=False)}
        for c, pairs in found.items():
            pairs.append(ends.get(c, (0.0, 0.0)))
    return {c: (min(low for low, _ in p), max(high for _, high in p)) for c, p in found.items() if p}
