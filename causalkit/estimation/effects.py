"""What a wrong graph costs: the effects that a learned graph leads to, by adjustment, beside the true ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import unknown
from causalkit.graphs import parents_of
from causalkit.scm import SCM
from causalkit.seeds import Seed

__all__ = ["effect_errors"]


def effect_errors(learned: nx.DiGraph, scm: SCM, target: str, *, n: int = 10_000, seed: Seed) -> pd.DataFrame:
    """The effects on a target that a learned graph leads to, beside the true ones: what a wrong edge costs.

    The effect of x is read off a linear regression of the target on x and x's parents in the learned graph, on n
    observed rows; it is 0 where the target is one of these parents. Where edges of x are undirected, each choice of
    parents that makes no new v-structure counts (IDA). The true effect is that of setting x one standard deviation
    above its mean against one below, halved. Both are in standard deviations of the target.

    Even the true graph leaves an error: of the sample, about 1/sqrt(n); where relations are not linear, of the line.

    Source: Maathuis, Kalisch and Buehlmann (2009), algorithm 3; Pearl (2009), theorem 3.2.2 (adjusting for parents).

    Args:
        learned: A DAG or CPDAG over the observed variables of the SCM.
        scm: The truth.
        target: The variable on which effects are looked at.
        n: Rows, for the estimate and for the truth.
        seed: Of the rows.

    Returns:
        A row for each other variable: cause; true; low, high, the least and greatest estimate; error, the mean
        distance of the estimates from the truth. `.error.mean()` is one number for the graph.

    Raises:
        ValueError: Other variables than the SCM's observed ones, an unknown target, discrete variables, a PAG.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> effect_errors(ck.graphs.parse("x -> y <- z"), scm, "y", seed=0).round(1)
          cause  true  low  high  error
        0     x   0.7  0.7   0.7    0.0
        1     z   0.0  0.8   0.8    0.8
    """
    if learned.graph.get("kind") == "pag":
        raise ValueError("a PAG names no parents to adjust for: give a DAG or CPDAG")
    odd = sorted(map(str, set(learned) ^ set(scm.observed)))
    if odd:
        raise ValueError(f"graph and observed variables of the SCM differ: {', '.join(odd)} only in one of them")
    if target not in learned:
        raise unknown("target", target, map(str, learned.nodes))
    frame = scm.sample(n, seed=seed)[list(scm.observed)]
    codes = [str(v) for v in frame.columns if not pd.api.types.is_float_dtype(frame[v])]
    if codes:
        raise ValueError(f"variable {codes[0]!r} is discrete: effects are looked at between real variables only")
    unit, rows = float(frame[target].std(ddof=0)), []
    for cause in (v for v in scm.observed if v != target):
        centre, spread = float(frame[cause].mean()), float(frame[cause].std(ddof=0))
        high, low = (scm.do({cause: centre + s * spread}).sample(n, seed=seed)[target].mean() for s in (1, -1))
        true = float(high - low) / 2 / unit
        found = [_adjusted(frame, cause, target, parents) * spread / unit for parents in _parent_sets(learned, cause)]
        error = float(np.mean([abs(effect - true) for effect in found]))
        rows.append((cause, true, min(found), max(found), error))
    return pd.DataFrame(rows, columns=["cause", "true", "low", "high", "error"])


def _parent_sets(graph: nx.DiGraph, node: str) -> Iterator[list[str]]:
    """The parents of the node in the members of the class: undirected neighbours come in where no v-structure does."""
    parents = parents_of(graph, node)
    open_ones = [v for v in graph.predecessors(node) if v not in parents]
    sizes = range(len(open_ones) + 1)
    for chosen in itertools.chain.from_iterable(itertools.combinations(open_ones, k) for k in sizes):
        pairs = [(v, w) for v in chosen for w in [*parents, *chosen] if v != w]
        if all(graph.has_edge(v, w) or graph.has_edge(w, v) for v, w in pairs):
            yield [*parents, *chosen]


def _adjusted(frame: pd.DataFrame, cause: str, target: str, parents: list[str]) -> float:
    """The slope of the target on the cause beside these parents; 0 if the target is one of them."""
    if target in parents:
        return 0.0
    x, y = frame[[cause, *parents]].to_numpy(np.float64), frame[target].to_numpy(np.float64)
    return float(np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0][0])
