"""Search over causal orders: each variable in turn is moved to the place in the order at which the score is least.

Given an order, each variable's parents are chosen among those before it, by growing and shrinking while its score
falls; so a search over orders is one over DAGs, with fewer traps on the way. `cam`, `orders`, `orders_discrete` and
`pooled` differ in their score only. Sources: Teyssier and Koller (2005), Ordering-based search, UAI; Andrews et al.
(2023), BOSS, and Wienoebst, Henckel and Weichwald (2025), FLOP, for moves of one variable and for restarts near the
best order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import networkx as nx
import numpy as np
from threadpoolctl import threadpool_limits

from causalkit.discovery.knowledge import Knowledge
from causalkit.graphs import cpdag

__all__ = ["Found", "Local", "Score", "arranged", "best_class", "restarted", "search"]

LESS = 1e-6
"""What counts as a fall of the score; rounding is below it."""
KEPT = 2.5e7
"""Numbers that a score remembers before it starts anew: 200 MB."""


class Local(NamedTuple):
    """Scores of a variable given its parents: with these, with each other variable too [d], without each of them."""

    here: float
    more: np.ndarray
    less: dict[int, float]


class Score(ABC):
    """The score of each variable given parents, less is better; each is computed once.

    Args:
        names: Of the variables 0 ... d - 1.
        knowledge: Edges that the parents hold, and such that they do not.
    """

    def __init__(self, names: Sequence[str], knowledge: Knowledge) -> None:
        self.needed = [frozenset(k for k, a in enumerate(names) if knowledge.requires(a, b)) for b in names]
        self.never = [frozenset(k for k, a in enumerate(names) if knowledge.forbids(a, b)) for b in names]
        self.known: dict[tuple[int, frozenset[int]], Local] = {}

    @abstractmethod
    def local(self, j: int, parents: frozenset[int]) -> Local:
        """The scores of x_j around these parents; more[k] is not read where k is j or a parent."""

    def __call__(self, j: int, parents: frozenset[int]) -> Local:
        """`local`, remembered; infinite where a variable can be no parent, and none without a parent that must be."""
        found = self.known.get((j, parents))
        if found is None:
            if len(self.known) * len(self.needed) > KEPT:
                self.known.clear()
            found = self.local(j, parents)
            found.more[[j, *parents, *self.never[j]]] = np.inf
            for k in self.needed[j]:
                found.less.pop(k, None)
            self.known[j, parents] = found
        return found

    def chosen(self, j: int, parents: frozenset[int], before: np.ndarray) -> frozenset[int]:
        """The parents of x_j among those before it [d, boolean]: from these, grown and shrunk while the score falls."""
        parents = frozenset(k for k in parents if before[k] and k not in self.never[j]) | self.needed[j]
        while True:
            start, now = parents, self(j, parents)
            more = np.where(before, now.more, np.inf)
            if more[k := int(more.argmin())] < now.here - LESS:
                parents = parents | {k}
                now = self(j, parents)
            if now.less and now.less[k := min(now.less, key=now.less.__getitem__)] < now.here - LESS:
                parents = parents - {k}
            if parents == start:
                return parents


class Found:
    """A graph: an order, and for each variable its parents among those before it, with its score `here` and `more`."""

    def __init__(self, score: Score, order: list[int], parents: Sequence[frozenset[int]]) -> None:
        self.order, self.parents = order, list(parents)
        local = [score(j, pa) for j, pa in enumerate(self.parents)]
        self.here = np.array([one.here for one in local])
        self.more = np.stack([one.more for one in local])

    @property
    def total(self) -> float:
        """The score of the graph."""
        return float(self.here.sum())

    def graph(self, names: Sequence[str]) -> nx.DiGraph:
        """The graph over the variables' names, with its score as `graph.graph["score"]`."""
        graph = nx.DiGraph(kind="dag", score=self.total)
        graph.add_nodes_from(names)
        graph.add_edges_from((names[k], names[j]) for j, pa in enumerate(self.parents) for k in sorted(pa))
        return graph

    def put(self, score: Score, j: int, parents: frozenset[int]) -> None:
        """Give x_j these parents."""
        self.parents[j] = parents
        self.here[j], self.more[j], _ = score(j, parents)


def arranged(score: Score, order: Iterable[int], start: Sequence[frozenset[int]] | None = None) -> Found:
    """The parents that an order gives, chosen from those in `start`; first what must be a cause precedes its effect."""
    order = list(order)
    if any(score.needed):
        must = nx.DiGraph((k, j) for j, needed in enumerate(score.needed) for k in needed)
        must.add_nodes_from(order)
        place = {j: i for i, j in enumerate(order)}
        order = list(nx.lexicographical_topological_sort(must, key=place.__getitem__))
    parents = list(start or [frozenset[int]()] * len(order))
    before = np.zeros(len(order), bool)
    for j in order:
        parents[j] = score.chosen(j, parents[j], before)
        before[j] = True
    return Found(score, order, parents)


def search(score: Score, found: Found, draw: np.random.Generator) -> Found:
    """Each variable in turn to its best place in the order, until no move lowers the score."""
    improved = True
    while improved:
        improved = False
        for v in draw.permutation(len(found.order)).tolist():
            improved = _moved(score, found, v) or improved
    return found


def restarted(
    score: Score,
    restarts: int,
    draw: np.random.Generator,
    report: Callable[[Found], None] | None = None,
    progress: bool = False,
) -> Found:
    """The best of a search from a random order and of more, until `restarts` in a row have found nothing better.

    Each starts from the best graph so far, walked through its equivalence class and then shuffled a little.
    """
    from tqdm.auto import tqdm

    d, bar = len(score.needed), tqdm(disable=not progress, desc="order search", unit=" searches")
    with bar, threadpool_limits(1):  # the matrices are small: threads would wait for each other
        best = search(score, arranged(score, draw.permutation(d).tolist()), draw)
        left = restarts
        while left:
            bar.set_postfix(score=round(best.total, 1), refresh=False)
            bar.update()
            if report is not None:
                report(best)
            order = _elsewhere(best.parents, draw)
            for _ in range(max(2, d // 10)):
                order.insert(int(draw.integers(d)), order.pop(int(draw.integers(d))))
            found = search(score, arranged(score, order, best.parents), draw)
            left = restarts if found.total < best.total - LESS else left - 1
            best = min(best, found, key=lambda one: one.total)
        bar.update()
    return best


def best_class(
    score: Score,
    names: Sequence[str],
    knowledge: Knowledge | None,
    restarts: int,
    draw: np.random.Generator,
    report: Callable[[nx.DiGraph], None] | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """The class of the best DAG, for a score that is the same for all its members, narrowed down by the knowledge."""

    def narrowed(found: Found) -> nx.DiGraph:
        graph = cpdag(found.graph(names))
        graph = graph if knowledge is None else knowledge.apply(graph)
        graph.graph["score"] = found.total
        return graph

    return narrowed(restarted(score, restarts, draw, report and (lambda found: report(narrowed(found))), progress))


def _elsewhere(parents: Sequence[frozenset[int]], draw: np.random.Generator) -> list[int]:
    """An order of another DAG of the class, by a walk that turns covered edges round (Chickering 1995, theorem 2).

    Within a class all linear scores are the same, so that single moves see no way from one member to a better graph
    near another.
    """
    pa = list(parents)
    for _ in range(2 * len(pa)):
        covered = [(k, j) for j in range(len(pa)) for k in sorted(pa[j]) if pa[j] == pa[k] | {k}]
        if covered:
            k, j = covered[int(draw.integers(len(covered)))]
            pa[k], pa[j] = pa[k] | {j}, pa[j] - {k}
    graph = nx.DiGraph((k, j) for j in range(len(pa)) for k in pa[j])
    graph.add_nodes_from(range(len(pa)))
    shuffled = draw.permutation(len(pa)).tolist()
    return list(nx.lexicographical_topological_sort(graph, key=shuffled.__getitem__))


def _moved(score: Score, found: Found, v: int) -> bool:
    """Whether v has a better place in the order, the others staying in theirs; if so, it is put there."""
    d = len(found.order)
    rest = np.array([j for j in found.order if j != v])
    place = np.full(d, d)
    place[rest] = np.arange(d - 1)
    # what the others' parents would be with v after them, and with v before them, where these are not as now
    after = {j: score.chosen(j, pa, place < place[j]) for j, pa in enumerate(found.parents) if v in pa}
    here, gain = found.here.copy(), found.more[:, v].copy()
    for j, pa in after.items():
        here[j], gain[j] = score(j, pa).here, score(j, pa).more[v]
    before = {}
    later = here.copy()
    for j in np.flatnonzero(gain < here - LESS).tolist():
        ahead = place < place[j]
        ahead[v] = True
        before[j] = score.chosen(j, after.get(j, found.parents[j]) | {v}, ahead)
        later[j] = score(j, before[j]).here
    own = _own(score, v, rest, place)
    totals = np.array([score(v, pa).here for pa in own])
    totals += np.concatenate([[0.0], here[rest].cumsum()]) + np.concatenate([later[rest][::-1].cumsum()[::-1], [0.0]])
    first = max((int(place[k]) + 1 for k in score.needed[v]), default=0)
    last = min((int(place[j]) for j in rest if v in score.needed[j]), default=d - 1)
    best = first + int(totals[first : last + 1].argmin())
    if totals[best] >= found.total - LESS:
        return False
    for j in after.keys() | before.keys():
        found.put(score, j, after.get(j, found.parents[j]) if place[j] < best or j not in before else before[j])
    found.put(score, v, own[best])
    found.order = [*rest[:best].tolist(), v, *rest[best:].tolist()]
    return True


def _own(score: Score, v: int, rest: np.ndarray, place: np.ndarray) -> list[frozenset[int]]:
    """The parents of v at each of its places 0 ... d - 1 among the rest, each chosen from those one place before."""
    parents = score.needed[v]
    own: list[frozenset[int]] = []
    while True:
        local = score(v, parents)
        helps = np.flatnonzero(local.more[rest[len(own) :]] < local.here - LESS)
        if not len(helps):
            return own + [parents] * (len(rest) + 1 - len(own))
        own += [parents] * (int(helps[0]) + 1)
        parents = score.chosen(v, parents | {int(rest[len(own) - 1])}, place < len(own))
