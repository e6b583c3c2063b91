"""Constraint-based methods: PC, which reads a CPDAG off tests of independence, and FCI, a PAG.

Both are causal-learn's. Tests: "fisherz" (partial correlation; linear Gaussian data), "gsq" and "chisq" (tables;
discrete data), "kci" (kernels; any data and relation, but minutes where the others take a moment).
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import codes, discrete_columns, named, numbered, quiet
from causalkit.discovery.knowledge import Knowledge
from causalkit.errors import unknown
from causalkit.graphs import member
from causalkit.seeds import Seed, integer

__all__ = ["TESTS", "fci", "pc"]

TESTS = {"fisherz": "continuous", "gsq": "discrete", "chisq": "discrete", "kci": "any"}
"""Test -> the data it reads."""
_MARKS = {-1: "tail", 1: "arrow", 2: "circle"}


def pc(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    alpha: float = 0.01,
    max_condition: int = 5,
    test: str | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """PC: remove an edge where some set makes its ends independent, then orient v-structures and what they force.

    Assumes no hidden common cause, faithfulness, and what its test assumes. Returns a CPDAG. On finite samples the
    tests can contradict each other, and the arrows they imply then fit no DAG (where two v-structures disagree on an
    arrow, the one with the clearer tests has it). The graph is then returned with `graph.graph["valid"] = False`: the
    skeleton and arrows as found, save that arrows on a directed cycle come back as undirected edges. Otherwise `valid`
    is True and the graph is the CPDAG of a DAG.

    Source: Spirtes, Glymour and Scheines (2000), section 5.4.2; order-independent ("stable") after Colombo and
    Maathuis (2014); conflicts after Ramsey (2016); causal-learn's implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
        alpha: Level of each test of independence; smaller means fewer edges.
        max_condition: The most variables that a test conditions on.
        test: A key of `TESTS`; unless given "fisherz" for continuous data, "gsq" for discrete data.
        progress: Show the library's bar.

    Raises:
        ValueError: alpha outside (0, 1), max_condition < 0, an unknown test, or one that does not fit the data.
    """
    test = _fitting(frame, test, alpha, max_condition)
    from causallearn.search.ConstraintBased.PC import pc as search

    settings: dict[str, Any] = {"indep_test": test, "max_k": int(max_condition), "uc_priority": 3}
    with quiet(integer(seed, "pc")):
        found = search(_values(frame, test), alpha=float(alpha), show_progress=progress, **settings).G.graph
    joined = [(int(i), int(j)) for i, j in np.argwhere(found != 0) if found[i, j] == -1 or found[j, i] == 1]
    graph = named(joined, frame)
    try:
        graph.graph["valid"] = bool(member(graph))
    except ValueError:
        graph.graph["valid"] = False
    arrows = nx.DiGraph((a, b) for a, b in graph.edges if not graph.has_edge(b, a))
    for group in list(nx.strongly_connected_components(arrows)):
        graph.add_edges_from([(b, a) for a, b in arrows.subgraph(group).edges])
    return graph


def fci(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    alpha: float = 0.01,
    max_condition: int = -1,
    test: str | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """FCI: PC where hidden common causes are allowed; what it can tell is a PAG.

    Assumes faithfulness and what its test assumes; hidden common causes (and selection) may be there. Each edge of a
    PAG has a mark at either end: "tail" (this end causes the other), "arrow" (it does not), "circle" (the data do not
    say). i -> j says that i causes j, perhaps not directly; i <-> j that neither does, so a hidden cause joins them.

    The graph holds an edge (a, b) with the attributes `mark_a` and `mark_b`, the marks at its first and second end.
    i -> j stands in it once, as (i, j); every other edge stands in both directions, as an undirected one of a CPDAG.
    The second stage goes over all subsets of what may separate two variables: dense graphs can take for ever.

    Source: Spirtes, Glymour and Scheines (2000), section 6.7; rules of Zhang (2008); causal-learn's implementation.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Refused by `discover`: the library does not hold what it is told.
        alpha: Level of each test of independence.
        max_condition: The most variables that a test of the first stage conditions on; -1: any number.
        test: As for `pc`.
        progress: Show the library's bar.

    Raises:
        ValueError: alpha outside (0, 1), max_condition < -1, an unknown test, or one that does not fit the data.
    """
    test = _fitting(frame, test, alpha, max_condition + 1)
    from causallearn.search.ConstraintBased.FCI import fci as search

    names = [_Name(f"{i:05d}") for i in range(frame.shape[1])]
    settings: dict[str, Any] = {"depth": int(max_condition), "node_names": names}
    with quiet(integer(seed, "fci")):
        found = search(_values(frame, test), test, alpha=float(alpha), show_progress=progress, **settings)[0].graph
    graph = nx.DiGraph(kind="pag")
    graph.add_nodes_from(frame.columns)
    for i, j in np.argwhere(found != 0).tolist():
        marks = _MARKS[int(found[i, j])], _MARKS[int(found[j, i])]
        if marks != ("arrow", "tail"):
            graph.add_edge(frame.columns[i], frame.columns[j], mark_a=marks[0], mark_b=marks[1])
    return graph


class _Name(str):
    """A node's name of digits that hashes as its number: the library's sets have one order in every process."""

    def __hash__(self) -> int:
        return int(self)


def _fitting(frame: pd.DataFrame, test: str | None, alpha: float, max_condition: int) -> str:
    """The test to use, once it and the settings are known to make sense."""
    if not 0 < alpha < 1 or max_condition < 0:
        raise ValueError(f"alpha {alpha}, max_condition {max_condition}: give alpha in (0, 1), max_condition >= 0")
    discrete = discrete_columns(frame)
    mixed = 0 < len(discrete) < frame.shape[1]
    if test is None:
        if mixed:
            raise ValueError(
                f"column {discrete[0]!r} is discrete and others are not: no table or correlation holds both. Give "
                'test="kci", or frame.astype(float) if the levels are amounts'
            )
        test = "gsq" if discrete else "fisherz"
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    if TESTS[test] == "discrete" and len(discrete) < frame.shape[1]:
        name = next(name for name in frame.columns if name not in discrete)
        raise ValueError(f"column {name!r} is continuous, and test {test!r} counts levels: give test='fisherz'")
    if TESTS[test] == "continuous" and discrete:
        raise ValueError(f"column {discrete[0]!r} is discrete, and test {test!r} reads numbers: give test='gsq'")
    most = min(max_condition, frame.shape[1] - 2)
    if test == "fisherz" and len(frame) <= most + 3:
        raise ValueError(f"{len(frame)} rows are too few to condition on {most} variables: give more than {most + 3}")
    return test


def _values(frame: pd.DataFrame, test: str) -> np.ndarray:
    return (codes if TESTS[test] == "discrete" else numbered)(frame).to_numpy()
