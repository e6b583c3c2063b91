"""The method that chooses a method, and says which and why."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery.cam import Splines, _basis, cam
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
BASIS = 8
"""Functions of a spline where lines are tested for bends, the line among them."""
PRICE = 1 / 3
"""Of each of them, in log n, as in "cam"."""


def auto(frame: pd.DataFrame, *, seed: Seed, knowledge: Knowledge | None = None, progress: bool = False) -> nx.DiGraph:
    """The graph of the method that suits the data: by their kind, their number of variables, and a test of linearity.

    - All columns discrete: "orders_discrete".
    - Some discrete: "cam", whose causes may be discrete.
    - All continuous: "orders" first. Beyond 200 variables "orders" alone.
    - Bends beside its straight lines lower the BIC to speak of: "cam" too, taken if its BIC is lower. Skewed noise can
      pass for bends there, so that where most of what splines leave is not Gaussian (Jarque and Bera's test at level
      .001), they must also be likelier than straight lines once noise may have any shape.
    - Relations are straight but most of what they leave is not Gaussian, up to 50 variables: "direct_lingam" too, whose
      arrows the noise tells. The likelier DAG of two: its own, or that of "orders" with the open edges in its order.

    It can be wrong: with some 100 rows noise may pass for Gaussian that is not; relations that bend a little, with
    skewed noise, may be called straight (no method here has both in its model); and beyond 50 variables arrows that
    only noise tells stay open.

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
    apart, why = _apart(values, given["seed"]), "bends hardly lower the BIC of straight lines"
    if _bends(values, linear):
        bent = cam(frame, **given)
        gain = linear.graph["score"] - bent.graph["score"]
        if gain > 0:
            return _bent(apart, linear, bent, given, f"splines lower the BIC of lines by {gain:.0f}")
        why = f"splines raise the BIC of lines by {-gain:.0f}"
    return _because(why, _straight(apart, linear, given))


def _bends(frame: pd.DataFrame, graph: nx.DiGraph) -> bool:
    """Whether bends lower the BIC, summed over the variables, by a fifth of what splines on all edges cost more.

    Those of a parent or of a variable not joined, beside straight lines of the parents; not of a child, as a cause
    bends with its effect where noise is not Gaussian, though their relation is straight. A fifth: on random models of
    20 and 100 variables straight relations gave 0 to .06 of it (with uniform noise once .36), bent ones .6 or more.
    """
    score, names, one = Splines(frame, BASIS, PRICE, Knowledge()), list(frame.columns), member(graph)
    place = {name: k for k, name in enumerate(names)}
    falls = 0.0
    for j, name in enumerate(names):
        children = {place[b] for b in one.successors(name)}
        tried = [k for k in range(len(names)) if k != j and k not in children]
        falls += max(score.bend(j, frozenset(place[a] for a in one.predecessors(name)), tried), 0.0)
    line = np.log(len(frame)) + 4 * np.log(len(names))
    return falls > 0.2 * sum(score.cost[place[a]] - line for a, _ in one.edges)


def _bent(frame: pd.DataFrame, linear: nx.DiGraph, bent: nx.DiGraph, given: dict[str, Any], why: str) -> nx.DiGraph:
    """The graph of "cam"; where noise is not Gaussian, that of straight lines if they are likelier with such noise.

    A cause looks bent as a function of its effect where noise is skewed, though the relation is straight. The BIC takes
    all noise for Gaussian, and would rather turn the arrow round and pay for the splines.
    """
    rest, cost = _rest(frame, bent, BASIS, PRICE)
    odd = _odd(rest)
    if 2 * odd <= len(rest.T):
        return _said(bent, "cam", f"{why}: the relations bend")
    lines = _straight(frame, linear, given)
    fall = (_surprise(*_rest(frame, member(lines))) - _surprise(rest, cost)) / 2
    why = f"{why}, but leave noise of {odd} of {len(rest.T)} variables that is not Gaussian, and with such noise"
    if fall > 0:
        return _said(bent, "cam", f"{why} are {fall:.0f} nats likelier: the relations bend")
    return _because(f"{why} lines are {-fall:.0f} nats likelier", lines)


def _straight(frame: pd.DataFrame, linear: nx.DiGraph, given: dict[str, Any]) -> nx.DiGraph:
    """The graph of "orders"; where noise is not Gaussian, that or "direct_lingam"'s, in the order that it gives."""
    why = "the relations are straight"
    rest, cost = _rest(frame, member(linear))
    odd = _odd(rest)
    if 2 * odd <= len(rest.T) or len(rest.T) > FEW:
        return _said(linear, "orders", why)
    known = given["knowledge"] or Knowledge()
    found = direct_lingam(frame, seed=given["seed"])
    why = f"{why}, and the noise of {odd} of {len(rest.T)} variables is not Gaussian"
    sorted_by_noise = Knowledge(tiers=tuple((name,) for name in nx.topological_sort(found)))
    either = {"direct_lingam": known.apply(found), "orders": member(known.apply(sorted_by_noise.apply(linear)))}
    surprise = {name: _surprise(*_rest(frame, graph)) for name, graph in either.items()}
    chosen = min(surprise, key=surprise.__getitem__)
    fall = (_surprise(rest, cost) - surprise[chosen]) / 2
    if fall < -LESS:
        return _said(linear, "orders", f"{why}, but arrows by it are less likely, by {-fall:.0f} nats")
    dag = nx.DiGraph(kind="dag")
    dag.add_nodes_from(frame.columns)
    dag.add_edges_from(either[chosen].edges)
    return _said(dag, chosen, f"{why}: it gives the order of direct_lingam, {fall:.0f} nats likelier")


def _apart(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The frame with equal values of a column spread over what rounds to them: repeated, they would have no entropy.

    A value stands for all from half way to the next smaller one to half way to the next larger.
    """
    draw, apart = np.random.default_rng(seed), {}
    for name in frame.columns:
        x = frame[name].to_numpy(np.float64)
        levels, place, count = np.unique(x, return_inverse=True, return_counts=True)
        ends = np.concatenate([levels[:1], (levels[1:] + levels[:-1]) / 2, levels[-1:]])
        spread = ends[place] + draw.uniform(size=len(x)) * np.diff(ends)[place]
        apart[name] = np.where(count[place] > 1, spread, x)
    return pd.DataFrame(apart)


def _rest(frame: pd.DataFrame, graph: nx.DiGraph, basis: int = 1, price: float = 1.0) -> tuple[np.ndarray, float]:
    """What so many functions of each parent, 1 for a line, leave of each variable [n, d], and their extended BIC price.

    The price: that of each function in log n, and 4 log d an edge.
    """
    values, names = frame.to_numpy(np.float64), list(frame.columns)
    functions = {name: _basis(x, basis, discrete=False) for name, x in zip(names, values.T, strict=True)}
    rest, cost = values - values.mean(0), 0.0
    for j, name in enumerate(names):
        causes = [functions[a] for a in graph.predecessors(name)]
        if causes:
            design = np.concatenate(causes, 1)
            rest[:, j] -= design @ np.linalg.lstsq(design, rest[:, j], rcond=None)[0]
            cost += price * np.log(len(values)) * design.shape[1] + 4 * np.log(len(names)) * len(causes)
    return rest, cost


def _odd(rest: np.ndarray) -> int:
    """How many of the variables [n, d] are not Gaussian."""
    from scipy.stats import jarque_bera

    return sum(jarque_bera(u).pvalue < 0.001 for u in rest.T)


def _surprise(rest: np.ndarray, cost: float) -> float:
    """An extended BIC for noise of any shape: -2 log-likelihood by the noise's entropy, and what the parents cost.

    The entropy is read off the spaces between the sorted values (Vasicek 1976, A test for normality based on sample
    entropy). Moments such as Hyvaerinen's (1998), which LiNGAM uses, are cheaper, but take the few far outliers that a
    line leaves of a parabola for a great likelihood.
    """
    from scipy.stats import differential_entropy

    scale = rest.std(0)
    return float(2 * len(rest) * (np.log(scale) + differential_entropy(rest / scale)).sum() + cost)


def _said(graph: nx.DiGraph, chosen: str, why: str) -> nx.DiGraph:
    graph.graph.update(chosen=chosen, why=why)
    return graph


def _because(why: str, graph: nx.DiGraph) -> nx.DiGraph:
    """The graph, with a reason before its own."""
    graph.graph["why"] = f"{why}: {graph.graph['why']}"
    return graph
