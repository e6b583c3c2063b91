"""The method that chooses a method, and says which and why."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.cam import Splines, cam
from causalkit.discovery.frames import discrete_columns
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import orders
from causalkit.discovery.tables import orders_discrete
from causalkit.graphs import member
from causalkit.seeds import Seed, integer

__all__ = ["auto"]

MOST = 200
"""The most variables for which splines are tried; beyond, that takes minutes."""


def auto(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None, progress: bool = False) -> nx.DiGraph:
    """The graph of the method that suits the data: by their kind, their number of variables, and a test of linearity.

    - All columns discrete: "orders_discrete".
    - Some discrete: "cam", whose causes may be discrete.
    - All continuous: "orders" first. If bends beside its straight lines lower the BIC to speak of, "cam" too,
      and the graph with the lower BIC of the two. Beyond 200 variables "orders" alone.

    Where noise is not Gaussian, relations are linear and all arrows are wanted, "direct_lingam" says more.

    `graph.graph["chosen"]` is the method, `graph.graph["why"]` the reason in a sentence.

    Args:
        frame: The data [n, d].
        seed: Of what the method draws.
        knowledge: Edges known to be there or not.
        progress: Show that of the method.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(1000, seed=0)
        >>> graph = ck.discover(frame)
        >>> graph.graph["chosen"]
        'orders'
    """
    discrete = discrete_columns(frame)
    given: dict[str, Any] = {"seed": integer(seed, "auto"), "knowledge": knowledge, "progress": progress}
    if len(discrete) == frame.shape[1]:
        return _said(orders_discrete(frame, **given), "orders_discrete", "all columns are discrete")
    if discrete:
        return _said(cam(frame, **given), "cam", f"{len(discrete)} columns are discrete")
    values = (frame - frame.mean()) / frame.std(ddof=0)
    linear = orders(values, **given)
    if frame.shape[1] > MOST:
        return _said(linear, "orders", f"{frame.shape[1]} columns are too many for splines")
    if not _bends(values, linear):
        return _said(linear, "orders", "bends hardly lower the BIC of straight lines: the relations are straight")
    bent = cam(frame, **given)
    gain = linear.graph["score"] - bent.graph["score"]
    if gain > 0:
        return _said(bent, "cam", f"splines lower the BIC of lines by {gain:.0f}: the relations bend")
    return _said(linear, "orders", f"splines raise the BIC of lines by {-gain:.0f}: the relations are straight")


def _bends(frame: pd.DataFrame, graph: nx.DiGraph) -> bool:
    """Whether bends lower the BIC, summed over the variables, by a fifth of what splines on all edges cost more.

    Those of a parent or of a variable not joined, beside straight lines of the parents; not of a child, as a cause
    bends with its effect where noise is not Gaussian, though their relation is straight. A fifth: on random models of
    20 and 100 variables straight relations gave 0 to .06 of it (with uniform noise once .36), bent ones .6 or more.
    """
    score, names, one = Splines(frame, 8, 1 / 3, Knowledge()), list(frame.columns), member(graph)
    place = {name: k for k, name in enumerate(names)}
    falls = 0.0
    for j, name in enumerate(names):
        children = {place[b] for b in one.successors(name)}
        tried = [k for k in range(len(names)) if k != j and k not in children]
        falls += max(score.bend(j, frozenset(place[a] for a in one.predecessors(name)), tried), 0.0)
    line = np.log(len(frame)) + 4 * np.log(len(names))
    return falls > 0.2 * sum(score.cost[place[a]] - line for a, _ in one.edges)


def _said(graph: nx.DiGraph, chosen: str, why: str) -> nx.DiGraph:
    graph.graph.update(chosen=chosen, why=why)
    return graph
