"""interventional: the risk under a treatment that is set at random, from rows in which it was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import unknown
from causalkit.graphs import d_separated, parents_of
from causalkit.objectives.base import Batch, Objective, Penalty, check_number
from causalkit.seeds import stream

if TYPE_CHECKING:
    from causalkit.environments import Environment, Task

__all__ = ["Propensities", "interventional"]

LEVELS = 20  # whole numbers of at most so many values are a discrete variable's codes
COPIES = 5  # shuffled copies of the rows, for a density ratio


def interventional(
    graph: Any = None,
    treatment: str | None = None,
    weight: float = 1.0,
    *,
    adjust: Sequence[str] | None = None,
    clip: float = 0.999,
) -> Objective:
    """The risk under do(t drawn from P(t)): mean_e E_e[w loss], with w = P(t) / P(t | z), z the adjustment set.

    In the weighted rows the treatment no longer follows from its causes, so the fit finds what t does to the target
    rather than what it tells about it. A feature that is an effect of the target can be the treatment too: its weights
    free it from its causes, the target among them, and what it told about the target is gone. `weight` goes from the
    observed risk, 0, to the interventional one, 1: mean_e ((1 - weight) R_e + weight E_e[w loss]).

    Both probabilities are estimated from each environment's own rows, since environments may differ in just these: of a
    treatment in codes, by frequencies and a logistic regression on z, squares and products; of a real one, as the odds
    of a logistic regression on (t, z), squares and products, that tells the rows from rows with t shuffled (right for
    Gaussian variables, an approximation for others). Weights above their quantile `clip` are set to it, which trades
    bias for variance; they have mean 1 in each environment. A real treatment that z determines to a half or more has
    weights without a variance, and much of the confounding stays.

    Source: Pearl (2009), equation 3.10 (parents) and theorem 3.3.2 (back-door sets); Robins, Hernan and Brumback
    (2000), stabilised weights; Cole and Hernan (2008), clipping.

    Args:
        graph: A graph, or an SCM for its graph.
        treatment: The variable that is set, a column of the environments.
        weight: From 0 (erm) to 1.
        adjust: z, columns of the environments that meet the back-door criterion; the treatment's parents if None.
        clip: A quantile, above 0; 1 clips nothing.

    Raises:
        ValueError: No graph or treatment; a treatment or parent that is hidden or no column; undirected edges at the
            treatment; an `adjust` that leaves a back door open; a treatment that hardly varies given z (positivity).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"z": ck.logistic(), "t": ck.logistic({"z": 2.0}), "y": ck.linear({"t": 1.0, "z": 3.0})})
        >>> train, task = [ck.Environment("a", scm.sample(5000, seed=0))], ck.Task(("t",), "y")
        >>> probe = pd.DataFrame({"t": [0.0, 1.0]})
        >>> for goal in ("erm", interventional(scm, "t")):  # t does 1.0
        ...     print(np.diff(ck.fit(train, task, objective=goal, backbone="linear", seed=0).predict(probe)).round(1))
        [2.4]
        [1.]
    """
    name = "interventional"
    check_number(name, "weight", weight, most=1.0)
    check_number(name, "clip", clip, most=1.0)
    if not clip:
        raise ValueError(f"{name}: clip 0 leaves no weights: give a quantile such as 0.999, or 1 to clip nothing")
    graph = graph if isinstance(graph, nx.DiGraph) else getattr(graph, "graph", None)
    if not isinstance(graph, nx.DiGraph) or treatment is None:
        raise ValueError(
            f"{name} needs a graph (or an SCM) and a treatment, to know what to adjust for: call it, "
            "ck.objectives.interventional(graph, treatment='x')"
        )
    given = None if adjust is None else ((adjust,) if isinstance(adjust, str) else tuple(adjust))
    found = _parents(graph, treatment) if given is None else given
    prepare = Propensities(treatment, found, float(clip), None if given is None else graph)
    return Objective(f"{name}({treatment}, weight={weight:g})", (Penalty(weight, _correction, prepare=prepare),))


def _correction(batch: Batch) -> torch.Tensor:
    """The interventional risk less the observed one: added with weight 1, it leaves the former."""
    if "interventional" not in batch.companions:
        raise ValueError("the batch has no weights for interventional: train with ck.fit, which estimates them")
    weights = batch.companions["interventional"]
    each = [batch.mean((w - 1.0) * loss, e) for e, (w, loss) in enumerate(zip(weights, batch.losses, strict=True))]
    return torch.stack(each).mean()


def _parents(graph: nx.DiGraph, treatment: str) -> tuple[str, ...]:
    if graph.graph.get("kind", "dag") not in ("dag", "cpdag"):
        raise ValueError(f"interventional reads a DAG or CPDAG, and got a {str(graph.graph['kind']).upper()}")
    parents = parents_of(graph, treatment)
    undirected = [v for v in graph.predecessors(treatment) if v not in parents]
    if undirected:
        raise ValueError(
            f"interventional: the graph leaves {treatment} - {undirected[0]} undirected, so its parents are not "
            "known: orient the edge, or name a back-door set in a DAG, adjust=[...]"
        )
    hidden = [v for v in parents if graph.nodes[v].get("hidden")]
    if hidden:
        raise ValueError(
            f"interventional: {hidden[0]!r}, a parent of the treatment {treatment!r}, is hidden: name a back-door set "
            "of observed variables, adjust=[...], if there is one"
        )
    return tuple(parents)


@dataclass(frozen=True)
class Propensities:
    """Estimates w = P(t) / P(t | z) for each row of each environment, clipped, with mean 1.

    Attributes:
        treatment, adjust: t and z.
        clip: The quantile above which weights are set to it.
        graph: Where given, z is checked to meet the back-door criterion in it.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"z": ck.logistic(), "t": ck.logistic({"z": 2.0}), "y": ck.linear({"t": 1.0})})
        >>> train = [ck.Environment("a", scm.sample(5000, seed=0))]
        >>> w = Propensities("t", ("z",), 1.0)(train, ck.Task(("t",), "y"), 0)["interventional"][0]
        >>> frame = train[0].frame
        >>> groups = frame.assign(w=w, wt=w * frame.t).groupby("z")  # weighted, t is as likely whatever z
        >>> (groups.wt.sum() / groups.w.sum()).round(2).nunique()
        1
    """

    treatment: str
    adjust: tuple[str, ...]
    clip: float
    graph: nx.DiGraph | None = None

    def __call__(self, train: Sequence[Environment], task: Task, seed: int) -> dict[str, list[pd.Series]]:
        """ "interventional" -> the weights of each environment's rows."""
        if self.graph is not None:
            _check_back_door(self.graph, self.treatment, task.target, self.adjust)
        found = []
        for environment in train:
            for name in (self.treatment, *self.adjust):
                if name not in environment.frame.columns:
                    raise unknown(f"column of environment {environment.name!r}", name, environment.frame.columns)
            found.append(pd.Series(self._weights(environment, stream(seed, "treatment", environment.name))))
        return {"interventional": found}

    def _weights(self, environment: Environment, draw: np.random.Generator) -> np.ndarray:
        frame, where = environment.frame, f"treatment {self.treatment!r} in environment {environment.name!r}"
        t = frame[self.treatment]
        if t.nunique() < 2:
            raise ValueError(f"{where} has one value only: leave the environment out, its rows tell nothing of effects")
        if not self.adjust:
            return np.ones(len(frame))
        known = _design(frame, self.adjust)
        if _discrete(t):
            weights = _of_codes(t.to_numpy(), known)
        else:
            weights = _of_numbers(_design(frame, [self.treatment]), known, draw)
        total, kept = float(weights.mean()), np.minimum(weights, np.quantile(weights, self.clip))
        effective = float(kept.sum() ** 2 / (kept**2).sum())
        if not 0.8 <= total <= 1.25 or effective < 0.02 * len(frame):
            raise ValueError(
                f"{where} hardly varies given {', '.join(self.adjust)} (positivity): the weights have mean {total:.2f} "
                f"in place of 1, and {effective:.0f} effective rows of {len(frame)}. Adjust for less, if the graph "
                "allows it, or leave the treatment alone"
            )
        return kept / kept.mean()


def _discrete(column: pd.Series) -> bool:
    return not pd.api.types.is_float_dtype(column) and column.nunique() <= LEVELS


def _design(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Standardised columns [n, k]; a discrete variable of more than two levels has one a level."""
    columns = []
    for name in names:
        column = frame[name]
        several = _discrete(column) and column.nunique() > 2
        columns += [(column == level).to_numpy() for level in column.unique()] if several else [column.to_numpy()]
    values = np.column_stack(columns).astype(np.float64)
    spread = values.std(0)
    return (values - values.mean(0)) / np.where(spread > 0.0, spread, 1.0)


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    features = PolynomialFeatures(2, include_bias=False)
    return make_pipeline(features, StandardScaler(), LogisticRegression(C=100.0, max_iter=2000))


def _of_codes(t: np.ndarray, known: np.ndarray) -> np.ndarray:
    """P(t) / P(t | z) [n] by frequencies and a logistic regression."""
    _, code, counts = np.unique(t, return_inverse=True, return_counts=True)
    given = _classifier().fit(known, code).predict_proba(known)
    return (counts / len(t))[code] / given[np.arange(len(t)), code].clip(1e-12)


def _of_numbers(t: np.ndarray, known: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """p(t) p(z) / p(t, z) [n]: the odds of coming from rows with t shuffled, against the rows as they are."""
    rows = np.column_stack([t, known])
    shuffled = [np.column_stack([draw.permutation(t), known]) for _ in range(COPIES)]
    label = np.repeat([0, 1], [len(t), COPIES * len(t)])
    given = _classifier().fit(np.concatenate([rows, *shuffled]), label).predict_proba(rows)
    return given[:, 1] / given[:, 0].clip(1e-12) / COPIES


def _check_back_door(graph: nx.DiGraph, treatment: str, target: str, adjust: Sequence[str]) -> None:
    """Raises where the set does not meet the back-door criterion (Pearl 2009, definition 3.3.1)."""
    for name in (treatment, target, *adjust):
        if name not in graph:
            raise unknown("variable of the graph", name, graph.nodes)
    later = sorted(nx.descendants(graph, treatment).intersection(adjust))
    behind = nx.DiGraph(graph)
    behind.remove_edges_from(list(graph.out_edges(treatment)))
    if later or {treatment, target} & set(adjust) or not d_separated(behind, treatment, target, adjust):
        why = f"{later[0]!r} is an effect of the treatment" if later else "a back-door path stays open"
        raise ValueError(
            f"interventional: adjust={list(adjust)} does not identify the effect of {treatment!r} on {target!r}: "
            f"{why}. Leave adjust out to take the treatment's parents, or name another set"
        )
