"""The method that chooses a method, and says which and why."""

from __future__ import annotations

import networkx as nx
import pandas as pd

from causalkit.discovery.cam import cam
from causalkit.discovery.discrete import hill_climb
from causalkit.discovery.frames import discrete_columns, numbered
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import bic, flop
from causalkit.seeds import Seed, integer

__all__ = ["auto"]

MOST = 200
"""The most variables for which splines are tried; beyond, that takes minutes."""
PENALTY = 2.0
"""FLOP's price of an edge, in log n."""


def auto(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """The graph of the method that suits the data: by their kind, their number of variables, and a test of linearity.

    - All columns discrete: "hill_climb" on tables.
    - Some discrete: "cam", whose causes may be discrete.
    - All continuous: "flop" and "cam" both, and the graph with the lower BIC. That is a test of linearity: splines must
      explain more than their price. Beyond 200 variables "flop" alone.

    `graph.graph["chosen"]` is the method, `graph.graph["why"]` the reason in a sentence.

    Args:
        frame: The data [n, d].
        seed: Of what the method draws.
        knowledge: Edges known to be there or not.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(1000, seed=0)
        >>> graph = ck.discover(frame)
        >>> graph.graph["chosen"]
        'flop'
    """
    base, discrete = integer(seed, "auto"), discrete_columns(frame)
    if len(discrete) == frame.shape[1]:
        return _said(hill_climb(frame, seed=base, knowledge=knowledge), "hill_climb", "all columns are discrete")
    if discrete:
        return _said(cam(frame, seed=base, knowledge=knowledge), "cam", f"{len(discrete)} columns are discrete")
    linear = flop(frame, seed=base, knowledge=knowledge, lambda_bic=PENALTY)
    if frame.shape[1] > MOST:
        return _said(linear, "flop", f"{frame.shape[1]} columns are too many for splines")
    bent = cam(frame, seed=base, knowledge=knowledge)
    values, place = numbered(frame), {name: i for i, name in enumerate(frame.columns)}
    edges = [(place[a], place[b]) for a, b in linear.edges]
    gain = bic(edges, values.cov(ddof=0).to_numpy(), len(frame), PENALTY) - bent.graph["score"]
    if gain > 0:
        return _said(bent, "cam", f"splines lower the BIC of lines by {gain:.0f}: the relations bend")
    return _said(linear, "flop", f"splines raise the BIC of lines by {-gain:.0f}: the relations are straight")


def _said(graph: nx.DiGraph, chosen: str, why: str) -> nx.DiGraph:
    graph.graph.update(chosen=chosen, why=why)
    return graph
