"""How far a learned graph is from the true one: edges, arrows, and the causal effects read off them.

Three questions, three kinds of numbers: are the right pairs joined (skeleton), do arrows point the right way
(arrows, Hamming distances), and would adjusting by the learned graph give the right effects (adjustment distances)?
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.graphs import adjacency, check_dag, cpdag

__all__ = ["compare", "differences"]


def compare(learned: nx.DiGraph, truth: nx.DiGraph) -> pd.Series:
    """The distances between a learned graph and the true one, both DAG or CPDAG, over the same observed variables.

    - shd: pairs whose edge differs; reversed, or directed against undirected, counts once. It is the sum of
      missing, extra, reversed and unoriented (see `differences`).
    - shd_cpdag: the same between the CPDAGs of both; a learned CPDAG is used as it is.
    - skeleton_precision, skeleton_recall, skeleton_f1: of joined pairs, whatever the direction.
    - arrow_precision, arrow_recall, arrow_f1: of directed edges; undirected ones carry no arrowhead. Against a true
      DAG, the recall of a perfect CPDAG is the share of arrows that data can orient.
    - parent_aid, ancestor_aid: share in [0, 1] of ordered pairs (cause, outcome) whose effect is got wrong by
      adjusting for the learned graph's parents (ancestors) of the cause; `..._mistakes` is their count.
    - sid: the structural intervention distance, the same between DAGs alone; `sid_mistakes` is the count.

    Precision with nothing claimed, and recall with nothing to find, are 1. Adjustment distances are not symmetric:
    the true graph judges. They are NaN where they have no meaning: sid with undirected edges on either side; all
    of them for a graph with one node, and for one whose `graph.graph["valid"]` is False (see `ck.discovery.pc`: its
    arrows contradict each other, so it stands for no class of DAGs).

    Hidden variables (attribute hidden=True) are projected out: their causes become causes of their effects. Two
    effects of one hidden cause, not otherwise joined, are joined by a bidirected edge: in the skeleton an edge like
    any other, but no direction of the learned graph is right there (unoriented). Where one effect also causes the
    other, the arrow stands for both. Either way no DAG over the observed variables says the same as such a truth, so
    shd_cpdag and the adjustment distances are NaN.

    Source: Tsamardinos, Brown and Aliferis (2006), section 5.2 (shd); Peters and Buehlmann (2015) (sid); Henckel,
    Wuertzen and Weichwald (2024) (aid; computed by their gadjid); Verma (1993) (latent projection).

    Raises:
        ValueError: The observed variables differ (named), a DAG has a cycle, a graph is a PAG.

    Example:
        >>> from causalkit import graphs
        >>> truth = graphs.parse("x -> y -> z")
        >>> compare(graphs.parse("x -> y <- z"), truth)[["shd", "shd_cpdag", "reversed", "skeleton_f1"]].tolist()
        [1.0, 2.0, 1.0, 1.0]
    """
    table = differences(learned, truth)
    verdicts = Counter(table["verdict"])
    mistakes = ("missing", "extra", "reversed", "unoriented")
    result: dict[str, float] = {"shd": sum(verdicts[kind] for kind in mistakes), "shd_cpdag": np.nan}
    result.update({kind: verdicts[kind] for kind in mistakes})
    result.update(_rates("skeleton", table["learned"] != "", table["truth"] != "", True))
    arrows = ("->", "<-")
    found, there = table["learned"].isin(arrows), table["truth"].isin(arrows)
    result.update(_rates("arrow", found, there, table["learned"] == table["truth"]))
    (left, left_confounded), (right, right_confounded) = _project(learned), _project(truth)
    known = not left_confounded and not right_confounded
    if known:
        result["shd_cpdag"] = int((differences(cpdag(left), cpdag(right))["verdict"] != "right").sum())
    return pd.Series({**result, **_adjustment(left, right, known)}, dtype=np.float64)


def differences(learned: nx.DiGraph, truth: nx.DiGraph) -> pd.DataFrame:
    """Pair by pair, what the learned graph says, what is true, and the verdict.

    Returns:
        A row per pair joined in either graph, in the true graph's node order: a, b; `learned` and `truth`, one of
        "->", "<-", "--" (undirected), "<>" (a hidden common cause) and "" (not joined), read from a to b; `verdict`:
        "right", "missing", "extra", "reversed", or "unoriented" (joined in both, but one of them gives no direction).

    Raises:
        ValueError: As `compare`.

    Example:
        >>> from causalkit import graphs
        >>> truth = graphs.parse("x -> y -> z")
        >>> differences(graphs.parse("x <- y; x -> z"), truth)[["a", "b", "verdict"]].agg(" ".join, axis=1).tolist()
        ['x y reversed', 'x z extra', 'y z missing']
    """
    left, left_confounded = _project(learned)
    right, right_confounded = _project(truth)
    nodes = list(right.nodes)
    odd = [f"{n!r} is only in the learned graph" for n in left.nodes if n not in right]
    odd += [f"{n!r} is only in the true graph" for n in nodes if n not in left]
    if odd:
        raise ValueError(f"the graphs are over different observed variables: {'; '.join(odd)}. Use the same columns")
    rows = []
    for a, b in combinations(nodes, 2):
        one, two = _mark(left, left_confounded, a, b), _mark(right, right_confounded, a, b)
        if one or two:
            rows.append((a, b, one, two, _verdict(one, two)))
    return pd.DataFrame(rows, columns=["a", "b", "learned", "truth", "verdict"])


def _mark(graph: nx.DiGraph, confounded: set[frozenset], a: str, b: str) -> str:
    mark = {(True, True): "--", (True, False): "->", (False, True): "<-", (False, False): ""}
    return mark[graph.has_edge(a, b), graph.has_edge(b, a)] or ("<>" if frozenset((a, b)) in confounded else "")


def _verdict(learned: str, truth: str) -> str:
    if learned == truth:
        return "right"
    if not learned or not truth:
        return "extra" if learned else "missing"
    return "reversed" if {learned, truth} == {"->", "<-"} else "unoriented"


def _rates(name: str, found: pd.Series, there: pd.Series, same: pd.Series | bool) -> dict[str, float]:
    """Precision, recall and F1 = 2 hits / (found + there) of the pairs found among those that are there."""
    hits, claimed, true = (int(np.sum(mask)) for mask in (found & there & same, found, there))
    return {
        f"{name}_precision": hits / claimed if claimed else 1.0,
        f"{name}_recall": hits / true if true else 1.0,
        f"{name}_f1": 2 * hits / (claimed + true) if claimed + true else 1.0,
    }


def _project(graph: nx.DiGraph) -> tuple[nx.DiGraph, set[frozenset]]:
    """The graph over its observed nodes, and the pairs of them with a hidden common cause (latent projection)."""
    kind = graph.graph.get("kind", "dag") if isinstance(graph, nx.DiGraph) else None
    if kind == "pag":
        raise ValueError("a PAG cannot be compared: its edges' marks have no counterpart in a DAG. Give a DAG or CPDAG")
    arrows = [(a, b) for a, b in graph.edges if not graph.has_edge(b, a)] if kind == "cpdag" else None
    check_dag(graph if arrows is None else nx.DiGraph(arrows))
    hidden = [node for node, is_hidden in graph.nodes(data="hidden") if is_hidden]
    if hidden and kind == "cpdag":
        raise ValueError(f"hidden variable {hidden[0]!r} in a CPDAG: only a DAG can be projected, give the DAG")
    result, confounded = nx.DiGraph(graph), set()
    for node in (n for n in nx.topological_sort(graph) if n in set(hidden)) if hidden else ():
        children = list(result.successors(node))
        # causes before effects: what confounds a hidden node confounds each of its children
        result.add_edges_from((p, c) for p in result.predecessors(node) for c in children)
        confounded |= {frozenset(pair) for pair in combinations(children, 2)}
        for other in [p for pair in confounded if node in pair for p in pair - {node}]:
            confounded |= {frozenset((other, c)) for c in children if c != other}
        result.remove_node(node)
        confounded = {pair for pair in confounded if node not in pair}
    return result, confounded


def _adjustment(learned: nx.DiGraph, truth: nx.DiGraph, known: bool) -> dict[str, float]:
    """gadjid's distances, normalised and as counts; NaN where they have no meaning."""
    import gadjid

    nodes = list(truth.nodes)
    left, right = (_coded(graph, nodes) for graph in (learned, truth))
    result: dict[str, float] = {}
    usable = known and len(nodes) > 1 and all(graph.graph.get("valid", True) for graph in (learned, truth))
    for name in ("parent_aid", "ancestor_aid", "sid"):
        known = usable and (name != "sid" or max(left.max(), right.max()) < 2)
        # the true graph comes first; rows point at columns
        distance = getattr(gadjid, name)
        share, count = distance(right, left, edge_direction="from row to column") if known else (np.nan, np.nan)
        result |= {name: share, f"{name}_mistakes": count}
    return result


def _coded(graph: nx.DiGraph, nodes: list[str]) -> np.ndarray:
    """gadjid's matrix [d, d]: 1 for i -> j, 2 (both ways) for i - j."""
    matrix = adjacency(graph, nodes)
    return np.where(matrix & matrix.T, 2, matrix).astype(np.int8)
