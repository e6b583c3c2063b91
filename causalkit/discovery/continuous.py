"""Continuous optimisation: NOTEARS and DAGMA, least squares under a smooth penalty on cycles. Both return a DAG.

They are here to be looked at, not to be used. Least squares prefers the order in which variances grow, so they order
simulated data on its raw scale, and fall behind PC once the same data are standardised (Reisach, Seiler and Weichwald
2021). The columns are therefore handed over in their own units. The libraries are in the extra `peers`.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import named, quiet
from causalkit.discovery.knowledge import Knowledge
from causalkit.seeds import Seed, integer

__all__ = ["dagma", "notears"]


def notears(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_l1: float = 0.1,
    threshold: float = 0.3,
) -> nx.DiGraph:
    """NOTEARS: min_W |X - X W|^2 / (2 n) + lambda_l1 |W|_1 where tr(exp(W * W)) = d, by an augmented Lagrangian.

    Assumes linear relations and noise of the same variance in the columns' own units. Returns a DAG.

    Source: Zheng, Aragam, Ravikumar and Xing (2018), algorithm 1; gcastle's implementation, its defaults the paper's.

    Args:
        frame: The data [n, d]; the units matter.
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_l1: Penalty of the absolute weights.
        threshold: Edges with a smaller absolute weight are left out; more are, weakest first, while a cycle is left.

    Raises:
        ValueError: A penalty or threshold below 0; gcastle is not installed.
    """
    _check(lambda_l1, threshold)
    with quiet(integer(seed, "notears")):
        model = _peer("castle.algorithms", "notears").Notears(lambda1=float(lambda_l1), w_threshold=float(threshold))
        model.learn(_centred(frame))
    return _acyclic(np.asarray(model.weight_causal_matrix), threshold, frame)


def dagma(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_l1: float = 0.03,
    threshold: float = 0.3,
) -> nx.DiGraph:
    """DAGMA: NOTEARS' least squares with -log det(s I - W * W) + d log s as the penalty on cycles, along a path.

    Assumes linear relations and noise of the same variance in the columns' own units. Returns a DAG.

    Source: Bello, Aragam and Ravikumar (2022), algorithm 1; the authors' implementation and defaults.

    Args:
        frame: The data [n, d]; the units matter.
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_l1: Penalty of the absolute weights.
        threshold: Edges with a smaller absolute weight are left out; more are, weakest first, while a cycle is left.

    Raises:
        ValueError: A penalty or threshold below 0; dagma is not installed.
    """
    _check(lambda_l1, threshold)
    linear: Any = _peer("dagma.linear", "dagma")
    bar = linear.tqdm
    linear.tqdm = lambda *args, **settings: bar(*args, **{**settings, "disable": True})  # it has no switch of its own
    try:
        with quiet(integer(seed, "dagma")):
            weights = linear.DagmaLinear(loss_type="l2").fit(
                _centred(frame), lambda1=float(lambda_l1), w_threshold=float(threshold)
            )
    finally:
        linear.tqdm = bar
    return _acyclic(weights, threshold, frame)


def _check(lambda_l1: float, threshold: float) -> None:
    if lambda_l1 < 0 or threshold < 0:
        raise ValueError(f"lambda_l1 {lambda_l1}, threshold {threshold}: give numbers that are not negative")


def _centred(frame: pd.DataFrame) -> np.ndarray:
    values = frame.to_numpy(dtype=np.float64)
    return values - values.mean(0)


def _peer(module: str, method: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise ValueError(
            f'method {method!r} needs {missing.name}, which is not installed: pip install "causalkit-lab[peers]"'
        ) from missing


def _acyclic(weights: np.ndarray, threshold: float, frame: pd.DataFrame) -> nx.DiGraph:
    """The DAG of the weights W[i, j], i -> j, above the threshold, strongest first, none that would close a cycle."""
    strong = np.argwhere(np.abs(weights) > threshold)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(weights)))
    for i, j in sorted(strong.tolist(), key=lambda pair: -abs(weights[pair[0], pair[1]])):
        if not nx.has_path(graph, j, i):
            graph.add_edge(i, j)
    return named(graph.edges, frame, kind="dag")
