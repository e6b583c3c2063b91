"""The verb: a graph read off a data set by a method of the catalogue."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import networkx as nx
import pandas as pd

from causalkit.discovery.catalogue import METHODS
from causalkit.discovery.frames import check
from causalkit.errors import unknown
from causalkit.seeds import Seed, integer

__all__ = ["discover", "learn", "method_named"]


def discover(frame: pd.DataFrame, method: str = "flop", seed: Seed = 0, **options: Any) -> nx.DiGraph:
    """The graph that a method reads off a data set; neither the order nor the units of the columns matter.

    Args:
        frame: The data [n, d], numeric; all columns take part. n > d + 3, what the tests and scores need.
        method: A key of `ck.METHODS`: "flop", "ges" or "pc".
        seed: For methods that draw; the three here take none (see `flop`).
        **options: Of the method, such as alpha=0.05 for "pc".

    Returns:
        A graph over all columns, in their order (isolated ones too); kind "cpdag".

    Raises:
        ValueError: An unknown method or option; fewer than 2 columns, too few rows, values that are not finite
            numbers, a constant column, collinear columns (named).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0, "z": 1.0}), "z": ck.linear()})
        >>> sorted(discover(scm.sample(1000, seed=1)).edges)
        [('x', 'y'), ('z', 'y')]
    """
    return learn(frame, method_named(method, options), integer(seed, "discover"), options)


def method_named(name: str, options: Iterable[str]) -> Callable[..., nx.DiGraph]:
    """The catalogue's function, once it is known to take these options."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    parameters = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    known = [p.name for p in parameters if p.name != "seed"]
    for option in options:
        if option not in known and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise unknown(f"option of method {name!r}", option, known)
    return METHODS[name]


def learn(frame: pd.DataFrame, function: Callable[..., nx.DiGraph], seed: int, options: dict) -> nx.DiGraph:
    """Check the frame, run the method on sorted columns (so that their order cannot matter), name all nodes."""
    check(frame)
    found = function(frame[sorted(frame.columns, key=str)], seed=seed, **options)
    graph = nx.DiGraph(**{"kind": "cpdag", **found.graph})
    graph.add_nodes_from(frame.columns)
    graph.add_edges_from(found.edges(data=True))
    return graph
