"""Confidence by resampling: the consensus graph, calibration against the truth, processes."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.datasets import teaching_scm
from causalkit.discovery import ABOUT, METHODS, bootstrap, calibration, consensus
from causalkit.graphs import cpdag, erdos_renyi, parse
from causalkit.plotting import plot_calibration

COLUMNS = ["a", "b", "present", "forward", "backward", "undirected"]


def table_of(*graphs):
    """The table that `bootstrap` would make of these graphs."""
    nodes, rows = list(graphs[0]), []
    for i, a in enumerate(nodes):
        for b in nodes[i + 1 :]:
            ways = [(g.has_edge(a, b), g.has_edge(b, a)) for g in graphs]
            shares = [ways.count(way) / len(graphs) for way in [(True, False), (False, True), (True, True)]]
            rows.append((a, b, sum(shares), *shares))
    return pd.DataFrame(rows, columns=COLUMNS)


dags = st.builds(lambda seed: erdos_renyi(6, 2.0, seed=seed), st.integers(0, 10**6))


@given(dags)
def test_resamples_that_agree_are_the_consensus(graph):
    for one in (graph, cpdag(graph)):
        agreed = consensus(table_of(one, one, one))
        assert set(agreed.edges) == set(one.edges) and list(agreed.nodes) == list(one.nodes)
        assert agreed.graph.get("valid", True)


@given(st.lists(dags, min_size=2, max_size=7), st.booleans(), st.sampled_from([0.2, 0.5, 0.8]))
def test_a_consensus_is_acyclic_and_joins_what_enough_resamples_join(graphs, classes, threshold):
    graphs = [cpdag(g) if classes else g for g in graphs]
    table = table_of(*graphs)
    found = consensus(table, threshold)
    arrows = nx.DiGraph((a, b) for a, b in found.edges if not found.has_edge(b, a))
    assert nx.is_directed_acyclic_graph(arrows)
    joined = {frozenset(edge) for edge in found.edges}
    wanted = {frozenset((row.a, row.b)) for row in table.itertuples() if row.present >= threshold}
    assert joined <= wanted
    undirected = {frozenset(edge) for edge in found.edges if found.has_edge(*edge[::-1])}
    if nx.is_directed_acyclic_graph(nx.compose_all([nx.DiGraph(arrows), *graphs])):
        assert joined == wanted  # nothing closes a cycle, so that nothing goes
    if not table["undirected"].any():
        assert found.graph["kind"] == "dag" and nx.is_directed_acyclic_graph(found) and not undirected


def test_the_weakest_edge_of_a_cycle_goes():
    x_y, y_z, z_x = parse("x -> y; z"), parse("y -> z; x"), parse("z -> x; y")
    graphs = [nx.DiGraph(kind="dag") for _ in range(10)]
    for i, graph in enumerate(graphs):
        graph.add_nodes_from("xyz")
        for arrows, upto in ((x_y, 9), (y_z, 7), (z_x, 8)):
            graph.add_edges_from(arrows.edges if i < upto else [])
    assert set(consensus(table_of(*graphs)).edges) == {("x", "y"), ("z", "x")}


def test_a_direction_needs_more_than_half_of_what_joins_the_pair():
    shares = [("a", "b", 0.9, 0.5, 0.1, 0.3), ("a", "c", 0.9, 0.4, 0.1, 0.4), ("b", "c", 0.4, 0.4, 0.0, 0.0)]
    graph = consensus(pd.DataFrame(shares, columns=COLUMNS))
    assert set(graph.edges) == {("a", "b"), ("a", "c"), ("c", "a")} and graph.graph["valid"] is False


def test_a_consensus_of_bootstraps_can_be_compared():
    frame = teaching_scm().sample(300, seed=0)
    graph = consensus(bootstrap(frame, n=20))
    assert ck.compare(graph, teaching_scm().graph)["shd_cpdag"] == 0 and graph.graph["valid"] is True


def test_shares_that_are_probabilities_are_calibrated():
    """Each pair is joined with a probability of its own, which the table states: the intervals hold the diagonal."""
    rng, names = np.random.default_rng(0), [f"v{i}" for i in range(8)]
    tables, truths = [], []
    for _ in range(60):
        rows, truth = [], nx.DiGraph()
        truth.add_nodes_from(names)
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                share = rng.random()
                rows.append((a, b, share, share, 0.0, 0.0))
                truth.add_edges_from([(a, b)] if rng.random() < share else [])
        tables.append(pd.DataFrame(rows, columns=COLUMNS))
        truths.append(truth)
    table = calibration(tables, truths)
    edges = table[table["claim"] == "edge"]
    assert edges["n"].sum() == 60 * 28 and table["n"].sum() == 3 * 60 * 28
    assert edges["claimed"].between(edges["low"], edges["high"]).all()
    inside = edges["claimed"].between(edges["true_low"], edges["true_high"])
    assert inside.sum() >= 8  # of 10 intervals of 95%
    lying = calibration([t.assign(present=t["present"] ** 3) for t in tables], truths)
    lying = lying[lying["claim"] == "edge"]
    assert lying["claimed"].between(lying["true_low"], lying["true_high"]).sum() <= 5


def test_calibration_by_hand():
    rows = [("x", "y", 1.0, 0.75, 0.25, 0.0), ("x", "z", 0.25, 0.0, 0.0, 0.25), ("y", "z", 0.5, 0.5, 0.0, 0.0)]
    table = calibration(pd.DataFrame(rows, columns=COLUMNS), parse("x -> y; x <-> z"), bins=2)
    assert table["claim"].tolist() == ["edge", "edge", "arrow", "arrow"]
    assert table["n"].tolist() == [1, 2, 4, 2] and table["true"].tolist() == [1.0, 0.5, 0.0, 0.5]
    assert table["claimed"].tolist() == [0.25, 0.75, 0.0625, 0.625]
    # Wilson (1927) for 1 of 2: centre 1/2, half-width z sqrt(1/8 + z^2/16) / (1 + z^2/2)
    z2 = 1.959963984540054**2
    half = (z2 * (1 / 8 + z2 / 16)) ** 0.5 / (1 + z2 / 2)
    assert table.loc[1, ["true_low", "true_high"]].tolist() == pytest.approx([0.5 - half, 0.5 + half])


def test_the_figure_shows_what_the_table_holds():
    table = calibration(table_of(parse("x -> y; z"), parse("x; z -> y")), parse("x -> y; z"), bins=4)
    ax = plot_calibration(table)
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["edge (3 claims)"].get_ydata().tolist() == table.loc[table["claim"] == "edge", "true"].tolist()
    assert lines["arrow (6 claims)"].get_xdata().tolist() == table.loc[table["claim"] == "arrow", "claimed"].tolist()
    with pytest.raises(ValueError, match="unknown column 'claim'"):
        plot_calibration(table.drop(columns="claim"))


def test_environments_are_resampled_each_by_itself():
    shifts = {"a": None, "b": ck.shifts.covariate("y", strength=1.0)}
    environments = ck.sample_environments(teaching_scm(), shifts, 300, seed=0)
    seen = []

    def spy(environments, *, seed, target):
        seen.append([e.frame for e in environments])
        return METHODS["icp"](environments, seed=seed, target=target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "spy", spy)
        patch.setitem(ABOUT, "spy", ABOUT["icp"])
        table = bootstrap(environments, "spy", n=4, target="y")
    assert list(table.columns) == COLUMNS and len(table) == 15
    causes = table[table["b"] == "y"].set_index("a")
    assert causes["forward"].max() > 0 and (table[(table["a"] != "y") & (table["b"] != "y")]["present"] == 0).all()
    for drawn in seen:
        for frame, environment in zip(drawn, environments, strict=True):
            whole = {tuple(row) for row in environment.frame[frame.columns].to_numpy()}
            assert len(frame) == 300 and {tuple(row) for row in frame.to_numpy()} < whole
    assert not seen[0][0].index.equals(seen[1][0].index) and not seen[0][0].index.equals(seen[0][1].index)


@pytest.mark.parametrize("threshold", [0.0, 1.1, -1.0])
def test_bad_thresholds_are_turned_away(threshold):
    with pytest.raises(ValueError, match="share in \\(0, 1\\]"):
        consensus(table_of(parse("x -> y")), threshold)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, g: (t.drop(columns="forward"), g), "expected a table of ck.bootstrap"),
        (lambda t, g: ([t, t], g), "2 tables and 1 truths"),
        (lambda t, g: ([], []), "0 tables"),
        (lambda t, g: (t, parse("x -> y; w")), "'?w'?.*only in one of them"),
        (lambda t, g: (t, cpdag(g)), "Orient them first"),
    ],
)
def test_what_cannot_be_calibrated_is_turned_away(change, message):
    with pytest.raises(ValueError, match=message):
        calibration(*change(table_of(parse("x -> y")), parse("x -> y")))
    with pytest.raises(ValueError, match="bins = 0"):
        calibration(table_of(parse("x -> y")), parse("x -> y"), bins=0)


def test_processes_are_chosen_by_the_time_that_a_resample_takes(monkeypatch):
    import joblib

    from causalkit.discovery import resampling

    asked = []

    class Spy(joblib.Parallel):
        def __init__(self, n_jobs, **settings):
            asked.append(n_jobs)
            super().__init__(n_jobs=1, **settings)

    monkeypatch.setattr(joblib, "Parallel", Spy)
    clock = iter(range(1000))
    monkeypatch.setitem(METHODS, "nothing", lambda frame, *, seed: nx.DiGraph(kind="dag"))
    frame = teaching_scm().sample(50, seed=0)
    for seconds in (0.01, 1.0):
        monkeypatch.setattr(resampling.time, "perf_counter", lambda step=seconds: next(clock) * step)
        bootstrap(frame, "nothing", n=20)
    bootstrap(frame, "nothing", n=3, n_jobs=2)
    assert asked == [1, -1, 2]


def test_processes_that_do_not_start_in_time_are_a_time_out(monkeypatch):
    import joblib

    waits = []

    class Stuck(joblib.Parallel):
        def __init__(self, n_jobs, return_as, timeout):
            waits.append(timeout)
            super().__init__(n_jobs=n_jobs, return_as=return_as, timeout=0 if timeout else None)  # as if it had passed

    monkeypatch.setattr(joblib, "Parallel", Stuck)
    frame = teaching_scm().sample(50, seed=0)
    with pytest.raises(ck.DiscoveryTimeout, match="0 of 3 resamples were done within 60 seconds") as late:
        bootstrap(frame, "empty", n=3, n_jobs=2, limit=60.0)
    assert late.value.best is None and 0 < waits[0] <= 60
    for settings in ({"n_jobs": 1, "limit": 60.0}, {"n_jobs": 2}):
        bootstrap(frame, "empty", n=3, **settings)
    assert waits[1:] == [None, None]
