"""What fit_scm refuses, with the remedy: graphs that leave something open, and data that cannot say what is asked."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.graphs import check_dag, undirected_edges

__all__ = ["MOST_LEVELS", "check_columns", "check_graph", "check_networks", "is_discrete", "mechanism_names"]

MOST_LEVELS = 20
"""The most levels of a discrete variable."""

FEWEST_ROWS = 50
"""For a network: about as many as the smallest has parameters (16 units, one parent: 49)."""


def check_graph(graph: nx.DiGraph) -> None:
    """Nothing, once the graph is known to be a DAG without hidden nodes.

    Raises:
        ValueError: No DiGraph, a CPDAG (its undirected edges are named), a PAG, a cycle, a hidden node.
    """
    kind = graph.graph.get("kind", "dag") if isinstance(graph, nx.DiGraph) else "dag"
    if kind == "pag":
        raise ValueError("fit_scm needs a DAG, not a PAG: decide on the hidden variables and the edges first")
    if kind != "dag" and undirected_edges(graph):
        pairs = ", ".join(f"{a} - {b}" for a, b in undirected_edges(graph))
        a, b = undirected_edges(graph)[0]
        raise ValueError(
            f"fit_scm needs a DAG, but this CPDAG leaves edges undirected: {pairs}. Observational data cannot orient "
            f"them. Orient them by what you know, ck.graphs.orient(graph, [({a!r}, {b!r})]) or ck.discover(..., "
            f"knowledge=ck.Knowledge(...)); or by environments that differ; or fit every DAG of the class, "
            f"ck.consistent_dags(graph), and look at the spread over them, ck.fit_ensemble(graph, frame, ...)"
        )
    check_dag(graph)
    hidden = [v for v, is_hidden in graph.nodes(data="hidden") if is_hidden]
    if hidden:
        raise ValueError(
            f"the graph has the hidden variable {hidden[0]!r}, and fit_scm can fit what was observed only: ck.identify "
            f"says which effects the observed variables tell all the same"
        )
    if not graph:
        raise ValueError("the graph has no variables: give a DAG over columns of the frame")


def is_discrete(column: pd.Series) -> bool:
    """Whether a column holds integers (or booleans), which are read as the codes of a discrete variable."""
    return not pd.api.types.is_float_dtype(column)


def check_columns(graph: nx.DiGraph, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the graph's variables, once they are known to be data that a mechanism can be learned from.

    Raises:
        ValueError: No frame, missing columns, text, NaN, fewer than 10 rows; a constant column; codes of a discrete
            variable other than 0 ... K - 1, or too many; fewer rows than parameters; an exact function of parents.
    """
    frame = check_frame(frame, graph.nodes, min_rows=10)
    values = {name: frame[name].to_numpy(np.float64) for name in graph.nodes}
    for name, y in values.items():
        if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
            of = f", a parent of {next(graph.successors(name))!r}," if graph.out_degree(name) else ""
            raise ValueError(f"column {name!r}{of} is constant: there is nothing to learn, leave it out of the graph")
        if is_discrete(frame[name]):
            _check_codes(name, y)
    for name, y in values.items():
        _check_rows(graph, frame, name, y, values)
    return frame


def _check_codes(name: str, y: np.ndarray) -> None:
    levels = np.unique(y)
    real = f"or, if it is a quantity, call it a real number, frame.astype({{{name!r}: float}})"
    if len(levels) > MOST_LEVELS:
        raise ValueError(
            f"column {name!r} holds integers, which are the codes of a discrete variable, and has {len(levels)} "
            f"different ones, more than {MOST_LEVELS}: merge levels, {real}"
        )
    if not np.array_equal(levels, np.arange(len(levels))):
        seen = ", ".join(f"{v:g}" for v in levels)
        raise ValueError(
            f"column {name!r} holds the integers {seen}, and codes of a discrete variable are 0 ... K - 1 without "
            f"gaps: frame[{name!r}].astype('category').cat.codes makes such codes; {real}"
        )


def _check_rows(
    graph: nx.DiGraph, frame: pd.DataFrame, name: str, y: np.ndarray, values: Mapping[str, np.ndarray]
) -> None:
    """Enough rows for a linear function of the parents, and something that it leaves over."""
    parents = list(graph.predecessors(name))
    columns = [np.ones((len(y), 1))]
    for p in parents:
        x = values[p][:, None]
        hot = is_discrete(frame[p])
        columns.append((x == np.arange(1, x.max() + 1)).astype(np.float64) if hot else (x - x.mean()) / x.std())
    design = np.hstack(columns)
    times = int(y.max()) if is_discrete(frame[name]) else 1
    if len(y) < design.shape[1] * times + 2:
        raise ValueError(
            f"{name!r} has {len(parents)} parents and so at least {design.shape[1] * times + 1} parameters, and there "
            f"are {len(y)} rows: give more rows, or a graph in which it has fewer parents"
        )
    if times == 1 and not is_discrete(frame[name]) and parents:
        rest = y - y.mean() - design @ np.linalg.lstsq(design, y - y.mean(), rcond=None)[0]
        if rest.std() <= 1e-9 * y.std():
            raise ValueError(f"{name!r} is an exact function of its parents {parents}: leave one of them out")


def check_networks(graph: nx.DiGraph, frame: pd.DataFrame, names: Mapping[str, str]) -> None:
    """Nothing, once there are rows enough for every mechanism that is a network.

    Raises:
        ValueError: One is wanted for fewer than 50 rows.
    """
    for name, kind in names.items():
        # a variable without parents is a mean and its noise, but for flow and vae
        several = ("mlp", "smooth_mlp", "deep_mlp", "location_scale")
        network = kind in ("flow", "vae") or (kind in several and graph.in_degree(name) > 0)
        if network and len(frame) < FEWEST_ROWS:
            raise ValueError(
                f"{kind!r} (of {name!r}) is a network with more parameters than there are rows: {len(frame)} rows, and "
                f"at least {FEWEST_ROWS} are needed. Give more rows, or mechanism='linear' (or 'auto', which takes a "
                f"line for so few)"
            )


def mechanism_names(
    graph: nx.DiGraph, frame: pd.DataFrame, mechanism: str | Mapping[str, str], known: Mapping[str, object]
) -> dict[str, str]:
    """Variable -> the name of its mechanism: that given for all (discrete ones: "categorical"), or the mapping's.

    Raises:
        ValueError: An unknown mechanism or variable; a mapping that leaves a variable out; a discrete mechanism for a
            column of real numbers, or the other way round.
    """
    given = dict(mechanism) if isinstance(mechanism, Mapping) else dict.fromkeys(graph.nodes, mechanism)
    for name, kind in given.items():
        if kind not in known:
            raise unknown("mechanism to fit", kind, known)
        if name not in graph:
            raise unknown("variable of the graph", name, map(str, graph.nodes))
    for name in graph.nodes:
        if name not in given:
            raise ValueError(f"mechanism says nothing of {name!r}: give it one too, {{..., {name!r}: 'auto'}}, say")
        discrete = is_discrete(frame[name])
        if given[name] == "categorical" and not discrete:
            raise ValueError(
                f"column {name!r} holds real numbers, so its mechanism cannot be 'categorical': if they are codes, "
                f"frame.astype({{{name!r}: int}}); otherwise give another one, such as 'auto'"
            )
        if discrete and isinstance(mechanism, Mapping) and given[name] not in ("categorical", "auto"):
            raise ValueError(
                f"column {name!r} holds integers, the codes of a discrete variable, so its mechanism cannot be "
                f"{given[name]!r}: give 'categorical', or call it a real number, frame.astype({{{name!r}: float}})"
            )
        if discrete:
            given[name] = "categorical"
    return {name: given[name] for name in graph.nodes}
