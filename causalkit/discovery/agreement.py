"""What resamples agree on, and what their agreement is worth against the truth."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.graphs import check_dag, member, project

__all__ = ["calibration", "consensus"]


def consensus(table: pd.DataFrame, threshold: float = 0.5) -> nx.DiGraph:
    """The graph that the resamples agree on.

    A pair is joined if at least this share of the resamples joins it. Its edge is an arrow if more than half of those
    have that arrow, and undirected otherwise. Where arrows then close a cycle, the one of them that came back least
    often goes, until none is left.

    Resamples need not agree on one class, so that `graph.graph["valid"]` says whether there is a class with this graph
    (see `ck.compare`). It need not be nearer to the truth than the graph of the data themselves.

    Args:
        table: What `ck.bootstrap` returns.
        threshold: In (0, 1]; above 1/2 fewer edges, and surer ones.

    Returns:
        A graph of kind "dag" if no resample had an undirected edge, else "cpdag".

    Raises:
        ValueError: A threshold outside (0, 1], or no such table.

    Example:
        >>> import causalkit as ck
        >>> table = ck.bootstrap(ck.teaching_scm().sample(300, seed=0), n=10)
        >>> sorted(consensus(table).edges)
        [('x1', 'x4'), ('x1', 'y'), ('x2', 'y'), ('x3', 'x5'), ('x4', 'x1'), ('y', 'x3')]
    """
    _check_table(table)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: give a share in (0, 1], such as 0.5")
    graph = nx.DiGraph(kind="cpdag" if table["undirected"].any() else "dag")
    graph.add_nodes_from(dict.fromkeys([*table["a"], *table["b"]]))
    share: dict[tuple[Hashable, Hashable], float] = {}
    for row in table[table["present"] >= threshold].itertuples(index=False):
        share |= {(row.a, row.b): row.forward, (row.b, row.a): row.backward}
        arrows = [edge for edge in ((row.a, row.b), (row.b, row.a)) if share[edge] > row.present / 2]
        # a tie between the two directions has no undirected edge to fall back on in a DAG: column order decides
        both = [(row.a, row.b), (row.b, row.a)] if graph.graph["kind"] == "cpdag" else []
        graph.add_edges_from(arrows or both or [max(((row.a, row.b), (row.b, row.a)), key=share.__getitem__)])
    directed = nx.DiGraph((a, b) for a, b in graph.edges if not graph.has_edge(b, a))
    while not nx.is_directed_acyclic_graph(directed):
        weakest = min(
            (edge for group in nx.strongly_connected_components(directed) for edge in directed.subgraph(group).edges),
            key=lambda edge: (share[edge], str(edge)),
        )
        directed.remove_edge(*weakest)
        graph.remove_edge(*weakest)
    if graph.graph["kind"] == "cpdag":
        try:
            graph.graph["valid"] = bool(member(graph))
        except ValueError:
            graph.graph["valid"] = False
    return graph


def calibration(
    tables: pd.DataFrame | Sequence[pd.DataFrame], truths: nx.DiGraph | Sequence[nx.DiGraph], bins: int = 10
) -> pd.DataFrame:
    """What the shares of `ck.bootstrap` are worth: of the edges claimed with such a share, how many are true.

    Two claims are judged apart: "edge", that a pair is joined (a hidden common cause joins it too); "arrow", that one
    causes the other, once for each direction. Shares that can be read as probabilities lie on the diagonal.

    Args:
        tables: What `ck.bootstrap` returned on one data set or several.
        truths: The true DAG of each.
        bins: Of equal width, between 0 and 1.

    Returns:
        A row for each claim and bin that is not empty: claim; low, high, the ends of the bin; n, the claims in it;
        claimed, their mean share; true, the share that is right; true_low, true_high, its 95% interval by Wilson
        (1927), which takes the claims for independent.

    Raises:
        ValueError: Not as many truths as tables, other variables, no DAG, bins < 1.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.teaching_scm()
        >>> table = calibration(ck.bootstrap(scm.sample(300, seed=0), n=10), scm.graph, bins=2)
        >>> table.loc[table["claim"] == "edge", ["n", "true"]].to_numpy().tolist()
        [[10.0, 0.0], [5.0, 1.0]]
    """
    from statsmodels.stats.proportion import proportion_confint

    tables = [tables] if isinstance(tables, pd.DataFrame) else list(tables)
    truths = [truths] if isinstance(truths, nx.DiGraph) else list(truths)
    if len(tables) != len(truths) or not tables:
        raise ValueError(f"{len(tables)} tables and {len(truths)} truths: give one true graph for each table")
    if bins < 1:
        raise ValueError(f"bins = {bins}: give at least 1")
    claims = pd.concat([_claims(*pair) for pair in zip(tables, truths, strict=True)], ignore_index=True)
    claims["bin"] = np.minimum((claims["share"] * bins + 1e-9).astype(int), bins - 1)
    rows, parts = [], dict(iter(claims.groupby(["claim", "bin"])))
    for claim, k in sorted(parts, key=lambda key: (key[0] != "edge", key[1])):
        part = parts[claim, k]
        n, hits = len(part), int(part["right"].sum())
        low, high = proportion_confint(hits, n, method="wilson")
        rows.append((claim, k / bins, (k + 1) / bins, n, part["share"].mean(), hits / n, low, high))
    return pd.DataFrame(rows, columns=["claim", "low", "high", "n", "claimed", "true", "true_low", "true_high"])


def _claims(table: pd.DataFrame, truth: nx.DiGraph) -> pd.DataFrame:
    """A row for each claim of a bootstrap: claim, share, right."""
    _check_table(table)
    graph, confounded = project(check_dag(truth))
    if set(graph) != {*table["a"], *table["b"]}:
        odd = sorted(map(str, set(graph) ^ {*table["a"], *table["b"]}))
        raise ValueError(f"table and true graph are over different variables: {', '.join(odd)} only in one of them")
    rows: list[tuple[str, float, bool]] = []
    for row in table.itertuples(index=False):
        forth, back = graph.has_edge(row.a, row.b), graph.has_edge(row.b, row.a)
        rows.append(("edge", row.present, forth or back or frozenset((row.a, row.b)) in confounded))
        rows += [("arrow", row.forward, forth), ("arrow", row.backward, back)]
    return pd.DataFrame(rows, columns=["claim", "share", "right"])


def _check_table(table: pd.DataFrame) -> None:
    wanted = ["a", "b", "present", "forward", "backward", "undirected"]
    if not isinstance(table, pd.DataFrame) or not set(wanted) <= set(table.columns):
        raise ValueError(f"expected a table of ck.bootstrap, with the columns {', '.join(wanted)}")
