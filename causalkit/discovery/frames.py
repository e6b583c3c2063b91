"""What goes into every method and what comes out: checked frames of numbered columns, graphs over their names."""

from __future__ import annotations

import contextlib
import io
import logging
import random
from collections.abc import Iterable, Iterator
from typing import Literal

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame

__all__ = ["LEVELS", "check", "codes", "discrete_columns", "named", "numbered", "quiet"]

LEVELS = 20
"""A column of integers or truth values with at most so many different ones is discrete; every other is continuous."""


def discrete_columns(frame: pd.DataFrame) -> list:
    """The columns that are discrete: of integers or truth values, at most `LEVELS` different ones."""
    kinds = {name: frame[name].dtype for name in frame.columns}
    whole = [
        name for name, kind in kinds.items() if pd.api.types.is_integer_dtype(kind) or pd.api.types.is_bool_dtype(kind)
    ]
    return [name for name in whole if frame[name].nunique() <= LEVELS]


def check(
    frame: pd.DataFrame, data: Literal["continuous", "discrete", "any"] = "continuous", few_rows: bool = False
) -> None:
    """The doors of `discover`: numbers, of the kind that the method reads, that a correlation or a table can hold.

    Args:
        frame: The data [n, d].
        data: What the method reads. A continuous one refuses discrete columns, whose levels need not be numbers.
        few_rows: The method can do with d rows or fewer.
    """
    d = len(check_frame(frame).columns)
    if d < 2:
        raise ValueError(f"discovery needs at least 2 columns, the frame has {d}: give more variables")
    discrete = discrete_columns(frame)
    if data == "discrete" and len(discrete) < d:
        name = next(name for name in frame.columns if name not in discrete)
        raise ValueError(
            f"column {name!r} is continuous, and the method reads discrete ones (integers, at most {LEVELS} levels): "
            "choose a method for continuous data, or cut it into levels"
        )
    if data == "continuous" and discrete:
        raise ValueError(
            f"column {discrete[0]!r} is discrete (integers, at most {LEVELS} levels), and the method reads numbers: "
            "choose a method for discrete data, or frame.astype(float) if the levels are amounts"
        )
    if len(discrete) < d and len(frame) <= d + 3 and not few_rows:
        raise ValueError(f"{len(frame)} rows of {d} columns are too few: give more than d + 3 = {d + 3} rows")
    _check_columns(frame, correlated=len(discrete) < d)


def _check_columns(frame: pd.DataFrame, correlated: bool) -> None:
    """Refuses constant columns, columns that say the same, and, where correlations are read, collinear ones."""
    values = frame.to_numpy(dtype=np.float64)
    constant = values.std(0) <= 1e-12 * np.abs(values).max(0)
    if constant.any():
        raise ValueError(
            f"column {frame.columns[constant.argmax()]!r} is constant: it has no correlation, leave it out"
        )
    correlation = np.corrcoef(values.T)
    for i, j in np.argwhere(np.triu(np.abs(correlation) > 1 - 1e-10, 1)).tolist():
        one, other = frame.columns[i], frame.columns[j]
        raise ValueError(f"columns {one!r}, {other!r} are collinear (each is the other, but for units): leave one out")
    if correlated and len(frame) > len(correlation):
        try:  # a tenth of the time of the eigenvalues, and it fails where one of them is below 1e-10
            np.linalg.cholesky(correlation - 1e-10 * np.eye(len(correlation)))
        except np.linalg.LinAlgError:
            direction = np.linalg.eigh(correlation)[1][:, 0]
            group = [repr(frame.columns[i]) for i in np.flatnonzero(np.abs(direction) > 1e-5)]
            raise ValueError(
                f"columns {', '.join(group)} are collinear (one is a linear sum of others): leave one out"
            ) from None


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The standardised data under the names 0, 1, ...: a set of integers has one order in every process.

    Rounded to a millionth of a standard deviation, so that other units do not leave other last digits, by which
    searches choose among graphs of the same score.
    """
    values = frame.to_numpy(dtype=np.float64)
    return pd.DataFrame(((values - values.mean(0)) / values.std(0)).round(6))


def codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Discrete data as codes 0, 1, ... of the levels that occur, under the names 0, 1, ..."""
    return pd.DataFrame({i: pd.factorize(frame[name], sort=True)[0] for i, name in enumerate(frame.columns)})


def named(edges: Iterable[tuple[int, int]], frame: pd.DataFrame, kind: str = "cpdag") -> nx.DiGraph:
    """The graph over the frame's columns from edges between their numbers."""
    graph = nx.DiGraph(kind=kind)
    graph.add_nodes_from(frame.columns)
    graph.add_edges_from((frame.columns[i], frame.columns[j]) for i, j in sorted(edges))
    return graph


@contextlib.contextmanager
def quiet(seed: int) -> Iterator[None]:
    """Within it, libraries that draw from global states draw by this seed, and what they print or log is dropped.

    Python's and numpy's global generators are given back as they were, and so is the root logger, which gcastle sets up
    for itself when it is imported.
    """
    states, root = (random.getstate(), np.random.get_state()), logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], logging.root.manager.disable
    random.seed(seed)
    np.random.seed(seed)
    logging.disable(max(disabled, logging.INFO))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
