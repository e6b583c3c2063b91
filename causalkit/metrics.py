"""How far a learned graph is from the true one: edges, arrows, and the causal effects read off them.

Three questions, three kinds of numbers: are the right pairs joined (skeleton), do arrows point the right way
(arrows, Hamming distances), and would adjusting by the learned graph give the right effects (adjustment distances)?
A fourth is asked of simulated data, before any method is praised for what it learned there: does sorting the variables
by some plain number of theirs give the causal order away (sortability)?
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame
from causalkit.graphs import adjacency, check_dag, cpdag, parents_of, possible_parents, project

__all__ = ["compare", "differences", "sortability", "standardise"]


def compare(learned: nx.DiGraph, truth: nx.DiGraph, target: str | None = None) -> pd.Series:
    """The distances between a learned graph and the true one, both DAG or CPDAG, over the same observed variables.

    - shd: pairs whose edge differs; reversed, or directed against undirected, counts once. It is the sum of
      missing, extra, reversed and unoriented (see `differences`).
    - shd_cpdag: the same between the CPDAGs of both; a learned CPDAG is used as it is.
    - skeleton_precision, skeleton_recall, skeleton_f1: of joined pairs, whatever the direction.
    - arrow_precision, arrow_recall, arrow_f1: of directed edges; undirected ones carry no arrowhead. Against a true
      DAG, the recall of a perfect CPDAG is the share of arrows that data can orient.
    - parent_aid, ancestor_aid, oset_aid: share in [0, 1] of ordered pairs (cause, outcome) whose effect is got wrong
      by adjusting for the learned graph's parents of the cause, its ancestors, or the set that is optimal by that
      graph (the one of least variance); `..._mistakes` is their count.
    - sid: the structural intervention distance, the same between DAGs alone; `sid_mistakes` is the count.
    - mask_missing, mask_extra: only with a target, what the learned graph does to a model that may use the target's
      possible parents alone (encoder "possible_parents"): how many true causes it hides, how many others it shows.

    Precision with nothing claimed, and recall with nothing to find, are 1. Adjustment distances are not symmetric:
    the true graph judges. They are NaN where they have no meaning: sid with undirected edges on either side; all
    of them for a graph with one node, and for one whose `graph.graph["valid"]` is False (see `ck.discovery.pc`: its
    arrows contradict each other, so it stands for no class of DAGs).

    Hidden variables (attribute hidden=True) are projected out: their causes become causes of their effects. Two
    effects of one hidden cause, not otherwise joined, are joined by a bidirected edge: in the skeleton an edge like
    any other, but no direction of the learned graph is right there (unoriented). Where one effect also causes the
    other, the arrow stands for both. Either way no DAG over the observed variables says the same as such a truth, so
    shd_cpdag and the adjustment distances are NaN.

    A class that background knowledge has narrowed down (`graph.graph["knowledge"]`) is widened again for shd_cpdag. The
    adjustment distances read it as they read a CPDAG: now and then they take for open what the knowledge has settled,
    and count an effect too many, never one too few. What a learned graph's effects are, `ck.effect_errors` says.

    Source: Tsamardinos, Brown and Aliferis (2006), section 5.2 (shd); Peters and Buehlmann (2015) (sid); Henckel,
    Wuertzen and Weichwald (2024) (aid; computed by their gadjid); Verma (1993) (latent projection).

    Args:
        learned: What was found.
        truth: What is true.
        target: The variable that a model is to predict.

    Raises:
        ValueError: The observed variables differ (named), a DAG has a cycle, a graph is a PAG, an unknown target.

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
    result |= _adjustment(left, right, known)
    if target is not None:
        shown, causes = set(possible_parents(left, target)), set(parents_of(right, target))
        result |= {"mask_missing": len(causes - shown), "mask_extra": len(shown - causes)}
    return pd.Series(result, dtype=np.float64)


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


def sortability(frame: pd.DataFrame, graph: nx.DiGraph) -> pd.Series:
    """How far the causal order can be read off plain numbers of the variables: 1 all of it, 1/2 nothing, 0 backwards.

    Of all directed paths i -> ... -> j (those of one length between the same two variables count once), the share
    along which a score of the variables grows; where it stays the same within 1e-9, one half is counted. The scores:

    - var: the variance. The units decide it, and `standardise` makes it 1/2.
    - r2: the R^2 of the linear regression on all other variables; units do not matter.
    - relatives: the number of variables with a correlation other than 0 (t-test at level 0.05).

    Far from 1/2, simulated data can be sorted instead of understood: a method that scores well there need not do so
    elsewhere. Hidden variables are projected out (`ck.graphs.project`): a path through one counts, a hidden common
    cause joins nothing. A graph without edges has no order, so that all three are NaN.

    Args:
        frame: The data [n, columns], at least two rows more than the graph has observed variables.
        graph: The true DAG over columns of the frame; further columns are ignored.

    Raises:
        ValueError: No DAG; a missing column, text, NaN or too few rows; a column that is constant, or a linear
            function of those before it (R^2 has no meaning then).

    Source: Reisach, Seiler and Weichwald (2021), section 3.1 (var); Reisach, Tami, Seiler, Chambaz and Weichwald
    (2023), equation 3 (r2); computed by their CausalDisco.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> frame = scm.sample(1000, seed=0)
        >>> float(sortability(frame, scm.graph)["var"]), float(sortability(standardise(frame), scm.graph)["var"])
        (1.0, 0.5)
    """
    if isinstance(graph, nx.DiGraph) and graph.graph.get("kind") == "pag":
        raise ValueError("a PAG has no causal order to look for: give the true DAG")
    truth, _ = project(check_dag(graph))
    values = _varying(check_frame(frame, truth.nodes, min_rows=len(truth) + 2)).to_numpy(np.float64)
    _check_independent(values, list(truth.nodes))
    if not truth.number_of_edges():
        return pd.Series({"var": np.nan, "r2": np.nan, "relatives": np.nan})
    from CausalDisco import analytics

    scores = {
        "var": np.log(values.var(0)),  # logarithms keep the order, and make "the same" a matter of proportion
        "r2": analytics.r2coeff(values.T),
        "relatives": analytics.rel_count_emp_hard(values),
    }
    paths = _path_lengths(adjacency(truth))
    shares = {}
    for name, score in scores.items():
        rise = score[None, :] - score[:, None]
        right = np.where(rise > 1e-9, 1.0, np.where(rise >= -1e-9, 0.5, 0.0))
        shares[name] = float((paths * right).sum() / paths.sum())
    return pd.Series(shares, dtype=np.float64)


def _path_lengths(matrix: np.ndarray) -> np.ndarray:
    """How many lengths the directed paths i -> ... -> j have [d, d]: CausalDisco's count, ended with the last path."""
    edges = (matrix != 0).astype(np.float32)
    reached, lengths = edges, np.zeros(matrix.shape)
    while reached.any():
        lengths += reached
        reached = (reached @ edges > 0).astype(np.float32)
    return lengths


def standardise(frame: pd.DataFrame) -> pd.DataFrame:
    """Every column brought to mean 0 and standard deviation 1 (ddof 0), as float64; index and names stay.

    It takes the units out, and with them what variances tell of the causal order; R^2 and correlations stay.

    Raises:
        ValueError: A column that is constant or not numeric, NaN, fewer than two rows.

    Example:
        >>> standardise(pd.DataFrame({"x": [1.0, 3.0], "y": [0, 20]})).to_numpy().tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    frame = _varying(check_frame(frame, min_rows=2)).astype(np.float64)
    return (frame - frame.mean()) / frame.std(ddof=0)


def _varying(frame: pd.DataFrame) -> pd.DataFrame:
    for name in frame.columns:
        column = frame[name].to_numpy(np.float64)
        if np.ptp(column) <= 1e-12 * np.abs(column).max():
            raise ValueError(f"column {name!r} is constant: it has no scale and no place in an order, leave it out")
    return frame


def _check_independent(values: np.ndarray, names: list[str]) -> None:
    """Refuses linearly dependent columns: QR's diagonal is what a standardised column has that none before it has."""
    if not names:
        return
    scaled = (values - values.mean(0)) / values.std(0)
    rest = np.abs(np.diag(np.linalg.qr(scaled, mode="r"))) / len(values) ** 0.5
    if rest.min() <= 1e-6:
        name = names[int((rest <= 1e-6).argmax())]
        raise ValueError(
            f"column {name!r} is a linear function of those before it, so R^2 has no meaning: leave it out"
        )


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
    return project(graph) if hidden else (nx.DiGraph(graph), set())


def _adjustment(learned: nx.DiGraph, truth: nx.DiGraph, known: bool) -> dict[str, float]:
    """gadjid's distances, normalised and as counts; NaN where they have no meaning."""
    import gadjid

    nodes = list(truth.nodes)
    left, right = (_coded(graph, nodes) for graph in (learned, truth))
    result: dict[str, float] = {}
    usable = known and len(nodes) > 1 and all(graph.graph.get("valid", True) for graph in (learned, truth))
    for name in ("parent_aid", "ancestor_aid", "oset_aid", "sid"):
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
