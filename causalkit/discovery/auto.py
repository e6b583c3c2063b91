"""The method that chooses a method, and says which and why."""

from __future__ import annotations

from typing import Any

import networkx as nx
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
    - All continuous: "orders" first. If beside the straight lines of its graph a spline lowers the BIC of any variable,
      "cam" too, and the graph with the lower BIC of the two. Beyond 200 variables "orders" alone.

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
        return _said(linear, "orders", "no spline lowers the BIC of straight lines: the relations are straight")
    bent = cam(frame, **given)
    gain = linear.graph["score"] - bent.graph["score"]
    if gain > 0:
        return _said(bent, "cam", f"splines lower the BIC of lines by {gain:.0f}: the relations bend")
    return _said(linear, "orders", f"splines raise the BIC of lines by {-gain:.0f}: the relations are straight")


def _bends(frame: pd.DataFrame, graph: nx.DiGraph) -> bool:
    """Whether the bends of some variable lower the BIC of another beside its parents' straight lines."""
    score, names, one = Splines(frame, 8, 1 / 3, Knowledge()), list(frame.columns), member(graph)
    place = {name: k for k, name in enumerate(names)}
    parents = [frozenset(place[a] for a in one.predecessors(name)) for name in names]
    return any(score.bend(j, pa) > 0 for j, pa in enumerate(parents))


def _said(graph: nx.DiGraph, chosen: str, why: str) -> nx.DiGraph:
    graph.graph.update(chosen=chosen, why=why)
    return graph
