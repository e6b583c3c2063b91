"""fit_ensemble: many learned SCMs in place of one, so that an answer comes with how far rows and graphs let it vary."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame, unknown
from causalkit.estimation.doors import is_discrete, mechanism_names
from causalkit.estimation.fit import FITS, fit_scm
from causalkit.estimation.spread import check_level, spread
from causalkit.graphs import check_dag, consistent_dags
from causalkit.mechanisms import Categorical
from causalkit.scm import SCM
from causalkit.seeds import Seed, generator, integer

__all__ = ["Ensemble", "fit_ensemble"]

Values = Mapping[str, float | np.ndarray | pd.Series]


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """Learned SCMs that differ in the rows they were fitted to, in their seeds, and in their graphs.

    Each answer is a mean over the members, graphs weighted, with a standard deviation, an interval, and the share of
    the variance that lies between graphs: `causalkit.estimation.spread` has the formulas.

    What an interval does not cover: graphs that are not among these (a hidden common cause, a wrong class), mechanisms
    that the chosen form cannot make, and counterfactuals that no data decide, since several mechanisms make the same
    distribution. Graphs of one equivalence class count alike unless weights say otherwise, which is an assumption.

    Attributes:
        members: The SCMs, graph by graph, as many for each.
        graphs: The DAGs [K].
        weights: Of the graphs [K], sum 1.
    """

    members: tuple[SCM, ...]
    graphs: tuple[nx.DiGraph, ...]
    weights: tuple[float, ...]

    def __repr__(self) -> str:
        return f"Ensemble({len(self.members)} members over {len(self.graphs)} graph{'s' * (len(self.graphs) > 1)})"

    def counterfactual(
        self, frame: pd.DataFrame, do: Values, *, level: float = 0.9, seed: Seed | None = None, draws: int = 20
    ) -> pd.DataFrame:
        """What these rows would have been under do, with intervals: abduct, act and predict, by each member.

        Args:
            frame: The factual rows [n, d].
            do: Variable -> value, or one value a row.
            level: Share that an interval is to cover.
            seed: Where variables are discrete, for their noise, which is drawn from its posterior.
            draws: How many such draws a member's answer is the mean of (a mean code, P(x = 1) for codes 0 and 1), so
                that what differs between members is what is not known of the SCM, not the draw.

        Returns:
            A row a unit and variable: row (the frame's index), variable, factual, mean, low, high, sd, graph_share.

        Raises:
            ValueError: A level that is not between 0 and 1, fewer than one draw, and what `SCM.counterfactual` raises.
        """
        check_level(level)
        discrete = any(isinstance(m, Categorical) for scm in self.members for m in scm.mechanisms.values())
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise ValueError(f"draws = {draws!r}: give the number of posterior draws, a whole number from 1 on")
        variables = list(self.members[0].variables)
        factual = check_frame(frame, variables)
        # all members hear the same noise, which is then no part of their differences
        seeds = [None] if seed is None else [integer(seed, "ensemble", k) for k in range(draws if discrete else 1)]

        def answer(scm: SCM, k: int) -> np.ndarray:
            return np.mean([scm.counterfactual(factual, do, seed=s)[variables].to_numpy(float) for s in seeds], axis=0)

        table = self._summary(_once(answer, self.members), level)
        rows = {"row": np.repeat(frame.index, len(variables)), "variable": np.tile(variables, len(frame))}
        return pd.DataFrame({**rows, "factual": factual.to_numpy(float).ravel()} | table)

    def effect(
        self,
        do: Values,
        outcome: str | Sequence[str] | None = None,
        *,
        against: Values | None = None,
        n: int = 10_000,
        level: float = 0.9,
        seed: Seed,
    ) -> pd.DataFrame:
        """The mean of outcomes under do, E[y | do(x)], with intervals; or how far it lies from that of another do.

        Each member draws its own n rows, so the interval holds the draws' error too; within a member the two
        interventions share their noise.

        Args:
            do: Variable -> value.
            outcome: One variable or several; None: all that are not set.
            against: The intervention whose means are taken off; None: nothing is. {}: the means without one.
            n: Rows a member draws.
            level: Share that an interval is to cover.
            seed: Of the draws.

        Returns:
            A row an outcome (the index): mean, low, high, sd, graph_share.

        Raises:
            ValueError: An unknown outcome, a level that is not between 0 and 1, and what `SCM.do` raises.

        Example:
            >>> import causalkit as ck
            >>> rows = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(500, seed=0)
            >>> either = fit_ensemble(ck.graphs.cpdag(ck.graphs.parse("x -> y")), rows, mechanism="linear", seed=1)
            >>> either.effect({"x": 2.0}, "y", seed=2)[["mean", "graph_share"]].round(1)
               mean  graph_share
            y   1.0          1.0
        """
        check_level(level)
        variables = self.members[0].variables
        chosen = [v for v in variables if v not in do] if outcome is None else outcome
        chosen = [chosen] if isinstance(chosen, str) else list(chosen)
        for name in chosen:
            if name not in variables:
                raise unknown("outcome", name, variables)
        base = integer(seed, "effect")

        def answer(scm: SCM, k: int) -> np.ndarray:
            both = [do] if against is None else [do, against]
            means = [scm.do(values).sample(n, seed=integer(base, k))[chosen].to_numpy(float).mean(0) for values in both]
            return means[0] if against is None else means[0] - means[1]

        return pd.DataFrame(self._summary(_once(answer, self.members), level), index=chosen)

    def _summary(self, answers: Sequence[np.ndarray], level: float) -> dict[str, np.ndarray]:
        """The columns mean ... graph_share, each flat, of the members' answers [...]."""
        flat = np.stack(answers).reshape(len(self.graphs), -1, answers[0].size)
        return spread(flat, np.asarray(self.weights), level)


def fit_ensemble(
    graphs: nx.DiGraph | Sequence[nx.DiGraph],
    frame: pd.DataFrame,
    *,
    mechanism: str | Mapping[str, str] = "auto",
    members: int = 5,
    weights: Sequence[float] | None = None,
    resample: bool | str = True,
    limit: int = 50,
    seed: Seed,
    **options: Any,
) -> Ensemble:
    """Learned SCMs over resampled rows, seeds and graphs, so that counterfactuals and effects come with intervals.

    Each member is fitted to as many rows as there are, drawn with replacement (Efron 1979), with a seed of its own
    (seeds alone: Lakshminarayanan et al. 2017). `resample="half"` draws half of the rows without replacement, which
    moves an estimate as much where its variance falls as 1/n (Efron 1982, chapter 3): no row is there twice, on both
    sides of a learner's own split, but learners that need many rows see fewer.

    Where a mechanism stands for several learners ("auto" above all) one is chosen once for each variable and set of
    parents, on all rows; so the interval does not cover that choice.

    The graphs' own uncertainty comes with several of them: a CPDAG stands for all its DAGs, and resampled discovery
    gives a list in which what comes back often weighs more (equal graphs are counted together):

        found = [ck.discover(frame.sample(frac=1.0, replace=True, random_state=k)) for k in range(20)]
        ensemble = ck.fit_ensemble([ck.graphs.member(graph) for graph in found], frame, seed=0)

    Args:
        graphs: A DAG; a CPDAG (each of its DAGs counts alike); or a list of DAGs over the same variables.
        frame: The data [n, columns].
        mechanism: As for `ck.fit_scm`: a name, or variable -> name.
        members: How many for each graph, at least 2.
        weights: A number for each graph of a list, in any unit; None: all count alike.
        resample: True: rows with replacement; "half": half of them, without; False: all members are fitted to the same
            rows, so that seeds alone differ.
        limit: The most different graphs that are fitted.
        seed: Of rows and models.
        **options: Further ones of `ck.fit_scm`.

    Raises:
        ValueError: More graphs than the limit, none, or graphs over different variables; fewer than 2 members; weights
            that are negative, all 0 or too few; and what `ck.fit_scm` raises.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> ensemble = fit_ensemble(scm.graph, scm.sample(500, seed=0), mechanism="linear", seed=1)
        >>> ensemble
        Ensemble(5 members over 1 graph)
        >>> unit = pd.DataFrame({"x": [0.0], "y": [0.5]})
        >>> ensemble.counterfactual(unit, {"x": 1.0}).round(1)[["variable", "factual", "mean", "graph_share"]]
          variable  factual  mean  graph_share
        0        x      0.0   1.0          NaN
        1        y      0.5   1.5          0.0
    """
    if isinstance(members, bool) or not isinstance(members, int) or members < 2:
        raise ValueError(f"members = {members!r}: at least 2 a graph, since one alone does not vary")
    if not (isinstance(resample, bool) or resample == "half"):
        raise ValueError(f"resample = {resample!r}: give True (with replacement), 'half' (without) or False")
    dags, shares = _graphs(graphs, weights, limit)
    frame, base = check_frame(frame, dags[0].nodes), integer(seed, "ensemble")
    fitted: list[SCM] = []
    known: dict[tuple[str, frozenset[str]], str] = {}
    for g, dag in enumerate(dags):
        names = _chosen(dag, frame, mechanism, known, seed=integer(base, "chosen", g), **options)
        for k in range(members):
            rows = _drawn(frame, resample, generator(base, "rows", g, k))
            fitted.append(fit_scm(dag, rows, mechanism=names, seed=integer(base, "model", g, k), **options))
    return Ensemble(tuple(fitted), tuple(dags), shares)


def _graphs(
    graphs: nx.DiGraph | Sequence[nx.DiGraph], weights: Sequence[float] | None, limit: int
) -> tuple[list[nx.DiGraph], tuple[float, ...]]:
    """The different DAGs and their weights, of sum 1."""
    if isinstance(graphs, nx.DiGraph):
        if weights is not None:
            raise ValueError("weights belong to a list of graphs: list those of a CPDAG, ck.consistent_dags(graph)")
        graphs = consistent_dags(graphs, limit=limit)
    graphs = list(graphs)
    if not graphs:
        raise ValueError("there is no graph in this list: give at least one DAG")
    given = np.ones(len(graphs)) if weights is None else np.asarray(list(weights), dtype=float)
    if given.shape != (len(graphs),) or not np.isfinite(given).all() or (given < 0).any() or given.sum() == 0:
        raise ValueError(f"weights {weights!r} for {len(graphs)} graphs: give one number a graph, none of them below 0")
    kept: dict[frozenset, tuple[nx.DiGraph, float]] = {}
    for dag, weight in zip(graphs, given, strict=True):
        check_dag(dag)
        if set(dag.nodes) != set(graphs[0].nodes):
            odd = sorted(map(str, set(dag.nodes) ^ set(graphs[0].nodes)))
            raise ValueError(f"the graphs are over different variables: {', '.join(odd)} is not in all of them")
        if weight > 0:
            first, so_far = kept.get(frozenset(dag.edges), (dag, 0.0))
            kept[frozenset(dag.edges)] = (first, so_far + weight)
    if len(kept) > limit:
        raise ValueError(f"{len(kept)} different graphs, more than limit={limit}: leave out unlikely ones, or raise it")
    dags, shares = zip(*kept.values(), strict=True)
    return list(dags), tuple(float(w / given.sum()) for w in shares)


def _chosen(
    dag: nx.DiGraph,
    frame: pd.DataFrame,
    mechanism: str | Mapping[str, str],
    known: dict[tuple[str, frozenset[str]], str],
    *,
    seed: int,
    **options: Any,
) -> dict[str, str]:
    """Variable -> the mechanism to fit, chosen where one stands for several; `known` keeps it for further graphs."""
    names = mechanism_names(dag, frame, mechanism, FITS)
    family = {v: (v, frozenset(dag.predecessors(v))) for v in names}
    new = [v for v, kind in names.items() if sum(map(len, FITS[kind])) > 1 and family[v] not in known]
    if new:
        needed = set(new).union(*(family[v][1] for v in new))
        part = nx.DiGraph([(p, v) for v in new for p in dag.predecessors(v)])
        part.add_nodes_from(needed)
        plain = {v: "categorical" if is_discrete(frame[v]) else "linear" for v in needed}
        found = fit_scm(part, frame, mechanism=plain | {v: names[v] for v in new}, seed=seed, **options)
        known |= {family[v]: _name(found.fitted.table.loc[v, "mechanism"]) for v in new}
    return {v: known.get(family[v], kind) for v, kind in names.items()}


def _name(learner: str) -> str:
    """What `fit_scm` calls a learner: by its own name, or the first mechanism that may choose it."""
    return learner if learner in FITS else next(name for name, steps in FITS.items() if learner in sum(steps, ()))


def _drawn(frame: pd.DataFrame, resample: bool | str, draw: torch.Generator) -> pd.DataFrame:
    """A member's rows; and one of each code that was not drawn, so that all members know it."""
    n = len(frame)
    if resample is False:
        return frame
    drawn = (
        torch.randperm(n, generator=draw)[: n // 2] if resample == "half" else torch.randint(n, (n,), generator=draw)
    )
    rows = drawn.numpy()
    for name in (v for v in frame.columns if is_discrete(frame[v])):
        codes, first = np.unique(frame[name].to_numpy(), return_index=True)
        rows = np.append(rows, first[~np.isin(codes, frame[name].to_numpy()[rows])])
    return frame.iloc[rows].reset_index(drop=True)


def _once(answer: Callable[[SCM, int], np.ndarray], members: Sequence[SCM]) -> list[np.ndarray]:
    """Each member's answer; what they warn of is said once, as the first member says it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = [answer(scm, k) for k, scm in enumerate(members)]
    for kind in {w.category for w in caught}:
        first = next(w for w in caught if w.category is kind)
        warnings.warn(f"in the ensemble: {first.message}", kind, stacklevel=3)
    return answers
