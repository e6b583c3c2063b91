"""Pooled search: one graph from all environments, with the environment itself as a variable that nothing causes.

A mechanism that moves between environments is an effect of the environment. What is upstream of it stays as it was,
and what is downstream follows it: this orients edges that one environment alone leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.environments import check_environments
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.orders import Local, Score, restarted
from causalkit.errors import unknown
from causalkit.graphs import cpdag, orient
from causalkit.seeds import Seed, integer

__all__ = ["pooled"]


def pooled(
    environments: Sequence[Any],
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    changes: Mapping[str, Iterable[str]] | None = None,
    lambda_bic: float = 2.0,
    restarts: int = 20,
    progress: bool = False,
) -> nx.DiGraph:
    """The graph of least BIC over all environments, where a mechanism may stay, move its level, or move altogether.

    Each variable is regressed on its parents in one of three ways, whichever has the least BIC: alike in all
    environments; with a level of its own in each; with level, weights and noise of its own in each. In the last two,
    the environment is one of its causes. The orders of the variables are searched as `cam` does.

    It assumes linear relations, Gaussian noise, no hidden causes, and that the environments differ in mechanisms rather
    than by a choice of rows: a shift by selection makes false edges.

    Source: Mooij, Magliacane and Claassen (2020), JCI, sections 3 and 4 (the environment as a variable without causes);
    Hauser and Buehlmann (2012), section 4 (the score where it is known what was changed).

    Args:
        environments: Two or more `ck.Environment`s over the same columns.
        seed: Of the orders that the search starts from.
        knowledge: Used while searching.
        changes: If it is known: environment -> the variables whose mechanisms were changed there, nothing for one
            that is left out. The three ways above are then replaced by this. A variable that is constant in such an
            environment was set, and its rows there say nothing of its mechanism.
        lambda_bic: Penalty of a parameter; 1 is the BIC as usually written, 2 found fewer false arrows.
        restarts: Searches from near the best graph, after the first, in a row without finding a better one.
        progress: Show the searches done and the best BIC.

    Returns:
        A graph of kind "cpdag" over the columns: of the class of graphs with the environment in it, narrowed down by
        its arrows, without the environment. `graph.graph["changed"]` holds the variables that it acts on, in order.

    Raises:
        ValueError: What `icp` says of environments; an environment or a column in `changes` that there is none of;
            a column that is constant everywhere, or in an environment where `changes` says nothing of it.

    Example:
        >>> import causalkit as ck
        >>> shifts = {"a": None, "b": ck.shifts.covariate("y", strength=1.0, on=["x1"])}
        >>> graph = pooled(ck.sample_environments(ck.teaching_scm(), shifts, 500, seed=0), seed=0)
        >>> graph.has_edge("x1", "x4"), graph.has_edge("x4", "x1"), graph.graph["changed"]
        (True, False, ['x1'])
    """
    if not 0 < lambda_bic < float("inf") or restarts < 0:
        raise ValueError(f"lambda_bic {lambda_bic}, restarts {restarts}: give a positive penalty, no negative number")
    frame, number = check_environments(environments)
    groups = _groups(environments, list(frame.columns), changes)
    _check_varying(environments, frame, groups)
    knowledge = knowledge or Knowledge()
    knowledge.check(frame.columns)
    score = _Moving(frame, number, groups, lambda_bic, knowledge)
    best = restarted(score, restarts, np.random.default_rng(integer(seed, "pooled")), progress=progress)
    names = list(frame.columns)
    changed = [names[j] for j, parents in enumerate(best.parents) if score.moves(j, parents)]
    return _class(names, list(best.graph(names).edges), changed, knowledge)


def _class(names: list[str], edges: list[tuple[str, str]], changed: list[str], knowledge: Knowledge) -> nx.DiGraph:
    """The class of the DAG with the environment in it, narrowed down by its arrows, without it."""
    environment: Any = object()  # a node of its own, whatever the variables are called
    wide = nx.DiGraph(kind="dag")
    wide.add_nodes_from([*names, environment])
    wide.add_edges_from([*edges, *((environment, c) for c in changed)])
    found = orient(cpdag(wide), [(environment, c) for c in changed])
    found.remove_node(environment)
    result = nx.DiGraph(kind="cpdag")
    result.add_nodes_from(names)
    result.add_edges_from(found.edges)
    if set(cpdag(nx.DiGraph(edges)).edges) != set(result.edges):
        result.graph["knowledge"] = True  # narrower than the class of these variables alone
    result = knowledge.apply(result)
    result.graph["changed"] = changed
    return result


class _Moving(Score):
    """The BIC of a variable given its parents where its mechanism may differ between environments."""

    def __init__(
        self,
        frame: pd.DataFrame,
        number: np.ndarray,
        groups: list[list[list[int]]] | None,
        penalty: float,
        knowledge: Knowledge,
    ) -> None:
        super().__init__(list(frame.columns), knowledge)
        values = frame.to_numpy(np.float64)
        values = np.column_stack([(values - values.mean(0)) / values.std(0), np.ones(len(values))])
        self.n, self.d, self.price, self.groups = len(values), frame.shape[1], penalty * np.log(len(values)), groups
        parts = [values[number == e] for e in range(number.max() + 1)]
        self.rows = [len(part) for part in parts]
        self.moments = [part.T @ part for part in parts]
        centred = [part[:, :-1] - part[:, :-1].mean(0) for part in parts]
        self.within = sum(part.T @ part for part in centred)
        self.best: dict[tuple[int, frozenset[int]], float] = {}

    def local(self, j: int, parents: frozenset[int]) -> Local:
        """The least BIC of the ways in which the mechanism of x_j may differ, for each set of parents one by one."""
        allowed = sorted(set(range(self.d)) - {j} - parents - self.never[j])
        more = np.full(self.d, np.inf)
        more[allowed] = [self._least(j, parents | {k}) for k in allowed]
        return Local(self._least(j, parents), more, {k: self._least(j, parents - {k}) for k in sorted(parents)})

    def _least(self, j: int, parents: frozenset[int]) -> float:
        if (j, parents) not in self.best:
            self.best[j, parents] = min(self._ways(j, parents))
        return self.best[j, parents]

    def moves(self, j: int, parents: frozenset[int]) -> bool:
        """Whether the environment is a cause of x_j beside these parents."""
        if self.groups is not None:
            return len(self.groups[j]) > 1
        ways = self._ways(j, parents)
        return min(ways) < ways[0]

    def _ways(self, j: int, parents: frozenset[int]) -> list[float]:
        """BICs: the mechanism is the same everywhere; has levels of its own; is another in each environment."""
        everywhere = list(range(len(self.rows)))
        if self.groups is not None:
            return [self._apart(j, parents, self.groups[j])]
        pa = sorted(parents)
        levels = self._fit(self.within, j, pa, self.n) + self.price * (len(pa) + len(everywhere) + 1)
        return [self._apart(j, parents, [everywhere]), levels, self._apart(j, parents, [[e] for e in everywhere])]

    def _apart(self, j: int, parents: frozenset[int], groups: list[list[int]]) -> float:
        """One regression for each group of environments, with weights, a level and a variance of its own."""
        regressors = [*sorted(parents), self.d]
        total = 0.0
        for group in groups:
            moments = sum(self.moments[e] for e in group)
            n = sum(self.rows[e] for e in group)
            if moments[j, j] / n - (moments[j, -1] / n) ** 2 > 1e-10:  # a variable that was set has no mechanism here
                total += self._fit(moments, j, regressors, n) + self.price * (len(regressors) + 1)
        return total

    @staticmethod
    def _fit(moments: np.ndarray, j: int, regressors: list[int], n: int) -> float:
        """n log(residual variance), from the sums of squares and products."""
        square = moments[np.ix_(regressors, regressors)] + 1e-9 * n * np.eye(len(regressors))
        left = moments[j, j] - moments[j, regressors] @ np.linalg.solve(square, moments[regressors, j])
        return float(n * np.log(max(left / n, 1e-9)))


def _groups(
    environments: Sequence[Any], columns: list[str], changes: Mapping[str, Iterable[str]] | None
) -> list[list[list[int]]] | None:
    """For each column the groups of environments between which its mechanism differs; None if that is not known."""
    if changes is None:
        return None
    names = [environment.name for environment in environments]
    changed = {name: {c} if isinstance(c, str) else set(c) for name, c in changes.items()}
    for name, variables in changed.items():
        if name not in names:
            raise unknown("environment in changes", name, names)
        for variable in sorted(variables, key=str):
            if variable not in columns:
                raise unknown(f"variable changed in {name!r}", variable, columns)
    result = []
    for c in columns:
        own = [[e] for e, name in enumerate(names) if c in changed.get(name, ())]
        rest = [e for e in range(len(names)) if [e] not in own]
        result.append([*([rest] if rest else []), *own])
    return result


def _check_varying(environments: Sequence[Any], frame: pd.DataFrame, groups: list[list[list[int]]] | None) -> None:
    for j, c in enumerate(frame.columns):
        if np.ptp(frame[c].to_numpy(np.float64)) == 0:
            raise ValueError(f"column {c!r} is constant in all environments: leave it out")
        for e, environment in enumerate(environments):
            known = groups is not None and [e] in groups[j] and len(groups[j]) > 1
            if not known and np.ptp(environment.frame[c].to_numpy(np.float64)) == 0:
                raise ValueError(
                    f"column {c!r} is constant in environment {environment.name!r}: if it was set there, say so with "
                    f"changes={{{environment.name!r}: [{c!r}], ...}}"
                )
