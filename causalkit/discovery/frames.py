"""What goes into every method and what comes out: checked frames of numbered columns, graphs over their names."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame

__all__ = ["check", "named", "numbered"]


def check(frame: pd.DataFrame) -> None:
    """The doors of `discover`: what a correlation matrix needs in order to have an inverse."""
    d = len(check_frame(frame).columns)
    if d < 2:
        raise ValueError(f"discovery needs at least 2 columns, the frame has {d}: give more variables")
    if len(frame) <= d + 3:
        raise ValueError(f"{len(frame)} rows of {d} columns are too few: give more than d + 3 = {d + 3} rows")
    values = frame.to_numpy(dtype=np.float64)
    constant = values.std(0) <= 1e-12 * np.abs(values).max(0)
    if constant.any():
        raise ValueError(
            f"column {frame.columns[constant.argmax()]!r} is constant: it has no correlation, leave it out"
        )
    shares, directions = np.linalg.eigh(np.corrcoef(values.T))
    if shares[0] < 1e-10:
        group = [repr(frame.columns[i]) for i in np.flatnonzero(np.abs(directions[:, 0]) > 1e-5)]
        raise ValueError(f"columns {', '.join(group)} are collinear (one is a linear sum of others): leave one out")


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The standardised data under the names 0, 1, ...: a set of integers has one order in every process."""
    values = frame.to_numpy(dtype=np.float64)
    return pd.DataFrame((values - values.mean(0)) / values.std(0))


def named(edges: Iterable[tuple[int, int]], frame: pd.DataFrame) -> nx.DiGraph:
    """The CPDAG over the frame's columns from edges between their numbers."""
    graph = nx.DiGraph(kind="cpdag")
    graph.add_nodes_from(frame.columns)
    graph.add_edges_from((frame.columns[i], frame.columns[j]) for i, j in sorted(edges))
    return graph
