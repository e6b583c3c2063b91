"""Searches of causal-learn: BOSS, GRaSP and GES for the class of least BIC, DirectLiNGAM for a DAG.

The library draws from Python's global generator, prints, and shows bars: here it draws by the seed, and is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import named, numbered, quiet
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import bic, check_penalty
from causalkit.seeds import Seed, integer

__all__ = ["boss", "direct_lingam", "ges", "grasp"]

_SCORE = "local_score_BIC_from_cov"  # of one covariance matrix; the library's other ones go over the rows each time


def boss(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 2.0,
    starts: int = 3,
    report: Callable[[nx.DiGraph], None] | None = None,
) -> nx.DiGraph:
    """BOSS: move one variable after another to the place in a causal order where the BIC (see `flop`) is least.

    Assumes linear relations, Gaussian noise, no hidden common cause. Returns a CPDAG.

    Source: Andrews, Ramsey, Sanchez-Romero, Camchong and Kummerfeld (2023), algorithm 2; causal-learn's
    implementation.

    Args:
        frame: The data [n, d].
        seed: Of the order in which variables are moved.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written (causal-learn's lambda is half of it).
        starts: Searches, of which the best counts; 1 is BOSS as published, and often stops short of the best.
        report: Called with the best graph so far, after each search.

    Raises:
        ValueError: A penalty that is not positive, or starts < 1.
    """
    from causallearn.search.PermutationBased.BOSS import boss as search

    return _best(search, {}, frame, integer(seed, "boss"), lambda_bic, starts, report)


def grasp(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 2.0,
    depth: int = 3,
    starts: int = 3,
    report: Callable[[nx.DiGraph], None] | None = None,
) -> nx.DiGraph:
    """GRaSP: turn covered edges of the DAG that a causal order implies, some deep, while the BIC (see `flop`) falls.

    Assumes linear relations, Gaussian noise, no hidden common cause. Returns a CPDAG.

    Source: Lam, Andrews and Ramsey (2022), algorithm 2; causal-learn's implementation.

    Args:
        frame: The data [n, d].
        seed: Of the first orders and the order of the turns.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written (causal-learn's lambda is half of it).
        depth: The most turns that are tried in a row before one must pay.
        starts: Searches from random orders, of which the best counts; 1 is GRaSP as published.
        report: Called with the best graph so far, after each search.

    Raises:
        ValueError: A penalty that is not positive, depth < 1 or starts < 1.
    """
    from causallearn.search.PermutationBased.GRaSP import grasp as search

    if depth < 1:
        raise ValueError(f"depth {depth}: give depth >= 1")
    return _best(search, {"depth": int(depth)}, frame, integer(seed, "grasp"), lambda_bic, starts, report)


def ges(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None, lambda_bic: float = 2.0) -> nx.DiGraph:
    """GES: add, then remove edges of the equivalence class greedily while the BIC (see `flop`) falls.

    Assumes linear relations, Gaussian noise, no hidden common cause. Returns a CPDAG.

    Source: Chickering (2002), section 4; causal-learn's implementation, which finds the graphs that pgmpy's finds at
    a twentieth of its time.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_bic: Penalty of an edge; 1 is the BIC as usually written (causal-learn's lambda is half of it).

    Raises:
        ValueError: A penalty that is not positive.
    """
    from causallearn.search.ScoreBased.GES import ges as search

    settings = {"score_func": _SCORE, "parameters": {"lambda_value": _penalty(lambda_bic)}}
    with quiet(integer(seed, "ges")):
        found = search(numbered(frame).to_numpy(), **settings)["G"]
    return named(_tails(found.graph), frame)


def direct_lingam(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None) -> nx.DiGraph:
    """DirectLiNGAM: find the variable most independent of its residuals, take it out of the others, repeat.

    Assumes linear relations, no hidden common cause, and noise that is **not Gaussian** (all but one variable's). Then
    the whole DAG can be told. With Gaussian noise it cannot: the order found is a guess, and arrows that the data leave
    open come back oriented all the same, with nothing that says so. Returns a DAG.

    Source: Shimizu et al. (2011), algorithm 1, with the measure of Hyvaerinen and Smith (2013), equation 8;
    causal-learn's implementation; edges by the adaptive lasso.

    Args:
        frame: The data [n, d].
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
    """
    from causallearn.search.FCMBased.lingam import DirectLiNGAM

    with quiet(integer(seed, "direct_lingam")):
        weights = DirectLiNGAM().fit(numbered(frame).to_numpy()).adjacency_matrix_
    return named(((int(j), int(i)) for i, j in np.argwhere(weights != 0)), frame, kind="dag")


def _best(
    search: Callable[..., Any],
    settings: dict[str, int],
    frame: pd.DataFrame,
    seed: int,
    lambda_bic: float,
    starts: int,
    report: Callable[[nx.DiGraph], None] | None,
) -> nx.DiGraph:
    """The graph of least BIC that so many searches find."""
    if starts < 1:
        raise ValueError(f"starts {starts}: give at least 1")
    values, penalty = numbered(frame).to_numpy(), _penalty(lambda_bic)
    covariance, found = np.cov(values.T, bias=True), []
    with quiet(seed):
        for _ in range(starts):
            graph = search(values, _SCORE, parameters={"lambda_value": penalty}, verbose=False, **settings)
            edges = tuple(_tails(graph.graph))
            found.append((bic(edges, covariance, len(values), lambda_bic), edges))
            if report:
                report(named(min(found)[1], frame))
    return named(min(found)[1], frame)


def _penalty(lambda_bic: float) -> float:
    """The library's lambda: it writes the score as log-likelihood - lambda log(n), half of what the BIC is here."""
    check_penalty(lambda_bic)
    return float(lambda_bic) / 2


def _tails(marks: np.ndarray) -> list[tuple[int, int]]:
    """Edges i -> j of the library's matrix: -1 at [i, j] is a tail at i; i - j has a tail at both ends."""
    return [(int(i), int(j)) for i, j in np.argwhere(marks == -1)]
