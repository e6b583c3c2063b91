"""Discrete data: hill climbing over DAGs and GES over their classes, by the BIC of tables. Both return a CPDAG.

The searches are pgmpy's; the score is counted here, since pgmpy's makes a DataFrame of each table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.frames import codes, named
from causalkit.discovery.knowledge import Knowledge, to_pgmpy
from causalkit.discovery.linear import check_penalty
from causalkit.graphs import cpdag
from causalkit.seeds import Seed

if TYPE_CHECKING:
    from pgmpy.structure_score import BaseStructureScore

__all__ = ["ges_discrete", "hill_climb"]


def hill_climb(
    frame: pd.DataFrame,
    *,
    seed: Seed,
    knowledge: Knowledge | None = None,
    lambda_bic: float = 1.0,
    max_parents: int | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """Hill climbing: add, remove or turn the one edge of a DAG that lowers the BIC most, until none does.

    BIC = -2 sum_j log-likelihood of x_j's table given its parents + lambda_bic log(n) * free probabilities.

    Assumes discrete data and no hidden common cause. Returns a CPDAG, that of the DAG found.

    Source: Koller and Friedman (2009), section 18.4.3; pgmpy's implementation, with a tabu list of 100 steps.

    Args:
        frame: The data [n, d], discrete.
        seed: Not used, nothing is drawn.
        knowledge: Held at every step.
        lambda_bic: Penalty of a free probability; 1 is the BIC as usually written.
        max_parents: The most parents of a variable; unless given any number.
        progress: Show the library's bar.

    Raises:
        ValueError: A penalty that is not positive, or max_parents < 1.
    """
    if max_parents is not None and max_parents < 1:
        raise ValueError(f"max_parents {max_parents}: give at least 1")
    from pgmpy.causal_discovery import HillClimbSearch

    score = _score(frame, lambda_bic)
    known = None if knowledge is None else to_pgmpy(knowledge, frame.columns)
    settings = {"max_indegree": max_parents, "expert_knowledge": known, "return_type": "dag"}
    found = HillClimbSearch(scoring_method=score, show_progress=progress, **settings).fit(score.data).causal_graph_
    return cpdag(named(found.edges, frame, kind="dag"))


def ges_discrete(
    frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None, lambda_bic: float = 1.0
) -> nx.DiGraph:
    """GES on discrete data: add, remove and turn edges of the class greedily while the BIC (see `hill_climb`) falls.

    Assumes discrete data and no hidden common cause. Returns a CPDAG.

    Source: Chickering (2002), section 4; turning after Hauser and Buehlmann (2012); pgmpy's implementation.

    Args:
        frame: The data [n, d], discrete.
        seed: Not used, nothing is drawn.
        knowledge: Not read here: `discover` applies it to the graph found.
        lambda_bic: Penalty of a free probability; 1 is the BIC as usually written.

    Raises:
        ValueError: A penalty that is not positive.
    """
    from pgmpy.causal_discovery import GES

    score = _score(frame, lambda_bic)
    return named(GES(scoring_method=score, return_type="pdag").fit(score.data).causal_graph_.edges, frame)


def _score(frame: pd.DataFrame, lambda_bic: float) -> BaseStructureScore:
    """pgmpy's kind of score, to be maximised: -BIC / 2 of numbered columns; parents in any order are one entry."""
    check_penalty(lambda_bic)
    from pgmpy.structure_score import BaseStructureScore

    data = codes(frame)
    columns, levels = data.to_numpy().T, (data.max() + 1).to_numpy()
    known: dict[tuple[int, frozenset], float] = {}

    class TableBIC(BaseStructureScore):
        def local_score(self, variable: int, parents: tuple[int, ...]) -> float:
            key = (variable, frozenset(parents))
            if key not in known:
                free = float(np.prod(levels[list(parents)], dtype=np.float64)) * (levels[variable] - 1)
                known[key] = _fit(columns, variable, sorted(parents)) - lambda_bic / 2 * np.log(len(data)) * free
            return known[key]

    return TableBIC(data)


def _fit(columns: np.ndarray, variable: int, parents: list[int]) -> float:
    """The log-likelihood of a variable's table: sum N_jk log(N_jk / N_j), level k, parents' levels j."""
    groups = np.zeros(columns.shape[1], dtype=np.int64)
    for p in parents:  # numbered anew after each parent, so that the numbers stay below n
        groups = np.unique(groups * (columns[p].max() + 1) + columns[p], return_inverse=True)[1]
    table = np.bincount(groups * (columns[variable].max() + 1) + columns[variable])
    cells, rows = table[table > 0], np.bincount(groups)
    return float((cells * np.log(cells)).sum() - (rows * np.log(rows)).sum())
