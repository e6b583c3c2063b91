"""Quick-check questions on graphs and do-calculus, which mark themselves and say why.

A question is drawn from a seed, on a random graph or on one of your own: `draw("rule", seed=0)`. Half of the questions
with the answers yes and no have the answer yes; those whose answer can be seen without the graph's hidden or blocked
paths are drawn again.
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from causalkit.do_rules.paths import dag_of
from causalkit.errors import unknown
from causalkit.graphs import confounded, erdos_renyi
from causalkit.questions.kinds import KINDS
from causalkit.questions.question import Marked, Question, Sheet, sheet
from causalkit.seeds import Seed, integer, stream

__all__ = ["KINDS", "Marked", "Question", "Sheet", "draw", "sheet"]

TRIES = 300  # draws of variables, and of a random graph, for one setting


def draw(kind: str, *, seed: Seed, graph: nx.DiGraph | None = None) -> Question:
    """A question of this kind, the same one for the same seed.

    Args:
        kind: A key of `KINDS`: "rule" (may this rule of do-calculus be used?), "adjustment" (which set is a valid
            adjustment set?), "identifiable" (can the effect be computed from what is observed?).
        seed: Of the draw.
        graph: A DAG, hidden variables as nodes with hidden=True; a random one of four or five observed variables if
            None.

    Raises:
        ValueError: An unknown kind; no DAG; a graph about which no question of this kind was found that is not trivial.

    Example:
        >>> question = draw("rule", seed=3)
        >>> question.options, question.mark(question.answer).correct
        (('yes', 'no'), True)
    """
    if kind not in KINDS:
        raise unknown("kind of question", kind, KINDS)
    graph = None if graph is None else dag_of(graph)
    random = stream(integer(seed, "question", kind))
    settings, make = KINDS[kind]
    settings = [settings[i] for i in random.permutation(len(settings))]
    for setting in settings[:1] * 30 if graph is None else settings:
        for _ in range(TRIES):
            found = make(_random_graph(random) if graph is None else graph, setting, random)
            if found is not None:
                return found
    raise ValueError(
        f"no {kind!r} question was found on this graph that is not trivial: give a larger one, or another kind"
    )


def _random_graph(random: np.random.Generator) -> nx.DiGraph:
    """An ADMG over a, b, ...: names say nothing about the causal order."""
    size, seed = int(random.integers(4, 6)), int(random.integers(2**31))
    plain = erdos_renyi(size, 2.5, seed=seed)
    plain = nx.relabel_nodes(plain, dict(zip(plain, "abcde", strict=False)))
    return confounded(plain, int(random.integers(0, 3)), seed=seed)
