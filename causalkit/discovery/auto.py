"""The method that chooses a method, and says which and why."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.cam import Splines, cam
from causalkit.discovery.causallearn import direct_lingam
from causalkit.discovery.frames import discrete_columns
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import orders
from causalkit.discovery.orders import LESS
from causalkit.discovery.tables import orders_discrete
from causalkit.graphs import member
from causalkit.seeds import Seed, integer

__all__ = ["auto"]

MOST = 200
"""The most variables for which splines are tried; beyond, that takes minutes."""
FEW = 50
"""The most variables for which "direct_lingam" is tried; beyond, that takes a minute."""


def auto(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None, progress: bool = False) -> nx.DiGraph:
    """The graph of the method that suits the data: by their kind, their number of variables, and a test of linearity.

    - All columns discrete: "orders_discrete".
    - Some discrete: "cam", whose causes may be discrete.
    - All continuous: "orders" first. If bends beside its straight lines lower the BIC to speak of, "cam" too,
      and the graph with the lower BIC of the two. Beyond 200 variables "orders" alone.
    - Relations are straight but most of what they leave is not Gaussian (Jarque and Bera's test at level .001), up to
      50 variables: "direct_lingam" too, whose arrows the noise tells. The likelier DAG of two: its own, or that of
      "orders" with the open edges in its order.

    It can be wrong: noise that is skewed (exponential, say) passes for bends, and "cam" is then taken for relations
    that are straight. Whoever expects such noise names "direct_lingam".

    `graph.graph["chosen"]` is the method, `graph.graph["why"]` the reason in a sentence.

    Args:
        frame: The data [n, d].
        seed: Of what the method draws.
        knowledge: Edges known to be there or not.
        progress: Show that of the method.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.teaching_scm().sample(1000, seed=0)
        >>> graph = ck.discover(frame)
        >>> graph.graph["chosen"]
        'orders'
    """
    discrete = discrete_columns(frame)
    given: dict[str, Any] = {"seed": integer(seed, "auto"), "knowledge": knowledge, "progress": progress}
    if len(discrete) == frame.shape[1]:
        return _said(orders_discrete(frame, **given), "orders_discrete", "all columns are discrete")
    if discrete:
        return _said(cam(frame, **given), "cam", f"{len(discrete)} columns are discrete")
    values = (frame - frame.mean()) / frame.std(ddof=0)
    linear = orders(values, **given)
    if frame.shape[1] > MOST:
        return _said(linear, "orders", f"{frame.shape[1]} columns are too many for splines")
    if not _bends(values, linear):
        return _straight(values, linear, given)
    bent = cam(frame, **given)
    gain = linear.graph["score"] - bent.graph["score"]
    if gain > 0:
        return _said(bent, "cam", f"splines lower the BIC of lines by {gain:.0f}: the relations bend")
    return _said(linear, "orders", f"splines raise the BIC of lines by {-gain:.0f}: the relations are straight")


def _bends(frame: pd.DataFrame, graph: nx.DiGraph) -> bool:
    """Whether bends lower the BIC, summed over the variables, by a fifth of what splines on all edges cost more.

    Those of a parent or of a variable not joined, beside straight lines of the parents; not of a child, as a cause
    bends with its effect where noise is not Gaussian, though their relation is straight. A fifth: on random models of
    20 and 100 variables straight relations gave 0 to .06 of it (with uniform noise once .36), bent ones .6 or more.
    """
    score, names, one = Splines(frame, 8, 1 / 3, Knowledge()), list(frame.columns), member(graph)
    place = {name: k for k, name in enumerate(names)}
    falls = 0.0
    for j, name in enumerate(names):
        children = {place[b] for b in one.successors(name)}
        tried = [k for k in range(len(names)) if k != j and k not in children]
        falls += max(score.bend(j, frozenset(place[a] for a in one.predecessors(name)), tried), 0.0)
    line = np.log(len(frame)) + 4 * np.log(len(names))
    return falls > 0.2 * sum(score.cost[place[a]] - line for a, _ in one.edges)


def _straight(frame: pd.DataFrame, linear: nx.DiGraph, given: dict[str, Any]) -> nx.DiGraph:
    """The graph of "orders"; where noise is not Gaussian, that or "direct_lingam"'s, in the order that it gives."""
    from scipy.stats import jarque_bera

    why = "bends hardly lower the BIC of straight lines: the relations are straight"
    rest, edges = _rest(frame, member(linear))
    odd = sum(jarque_bera(u).pvalue < 0.001 for u in rest.T)
    if 2 * odd <= len(rest.T) or len(rest.T) > FEW:
        return _said(linear, "orders", why)
    known = given["knowledge"] or Knowledge()
    found = direct_lingam(frame, seed=given["seed"])
    why = f"{why}, and the noise of {odd} of {len(rest.T)} variables is not Gaussian"
    sorted_by_noise = Knowledge(tiers=tuple((name,) for name in nx.topological_sort(found)))
    either = {"direct_lingam": known.apply(found), "orders": member(known.apply(sorted_by_noise.apply(linear)))}
    surprise = {name: _surprise(*_rest(frame, graph)) for name, graph in either.items()}
    chosen = min(surprise, key=surprise.__getitem__)
    fall = (_surprise(rest, edges) - surprise[chosen]) / 2
    if fall < -LESS:
        return _said(linear, "orders", f"{why}, but arrows by it are less likely, by {-fall:.0f} nats")
    dag = nx.DiGraph(kind="dag")
    dag.add_nodes_from(frame.columns)
    dag.add_edges_from(either[chosen].edges)
    return _said(dag, chosen, f"{why}: it gives the order of direct_lingam, {fall:.0f} nats likelier")


def _rest(frame: pd.DataFrame, graph: nx.DiGraph) -> tuple[np.ndarray, int]:
    """What lines of the parents leave of each variable [n, d], and the number of edges."""
    values, place = frame.to_numpy(np.float64), {name: k for k, name in enumerate(frame.columns)}
    rest = values - values.mean(0)
    centred = rest.copy()
    for j, name in enumerate(frame.columns):
        pa = [place[a] for a in graph.predecessors(name)]
        if pa:
            rest[:, j] -= centred[:, pa] @ np.linalg.lstsq(centred[:, pa], centred[:, j], rcond=None)[0]
    return rest, graph.number_of_edges()


def _surprise(rest: np.ndarray, edges: int) -> float:
    """An extended BIC for noise of any shape: -2 log-likelihood by the noise's entropy, and a price an edge.

    The entropy is that of a Gaussian less what log cosh u and u exp(-u^2 / 2) tell of the shape of u (Hyvaerinen
    1998, New approximations of differential entropy).
    """
    n, d = rest.shape
    scale = rest.std(0)
    u = rest / scale
    shape = (
        79.047 * ((np.logaddexp(u, -u) - np.log(2)).mean(0) - 0.37457) ** 2
        + 7.4129 * (u * np.exp(-(u**2) / 2)).mean(0) ** 2
    )
    return float(2 * n * (np.log(scale) - shape).sum() + edges * (np.log(n) + 4 * np.log(d)))


def _said(graph: nx.DiGraph, chosen: str, why: str) -> nx.DiGraph:
    graph.graph.update(chosen=chosen, why=why)
    return graph
