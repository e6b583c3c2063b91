"""Discovery: laws (same in, same out; classes come back), other implementations as oracles, and the doors."""

import os
import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.datasets import teaching_scm
from causalkit.discovery import METHODS, bootstrap, discover, linear
from causalkit.discovery.frames import numbered
from causalkit.graphs import cpdag, erdos_renyi, member, parse

CLASSES = ["flop", "boss", "grasp", "ges", "pc"]
"""The methods for linear Gaussian data that return a CPDAG; test_methods.py has the others."""
TEACHING = teaching_scm()
FRAME = TEACHING.sample(1000, seed=0)


def edges(graph):
    return set(graph.edges)


@pytest.mark.parametrize("method", CLASSES)
def test_finds_the_class_of_the_teaching_scm(method):
    graph = discover(FRAME, method)
    assert graph.graph["kind"] == "cpdag"
    assert list(graph.nodes) == list(FRAME.columns)
    assert edges(graph) == edges(cpdag(TEACHING.graph))


@pytest.mark.parametrize("method", CLASSES)
@pytest.mark.parametrize("rows", [60, 300])
def test_neither_column_order_nor_units_nor_repetition_matter(method, rows):
    frame = ck.random_scm(8, degree=3.0, mechanism="linear", seed=rows).sample(rows, seed=1)
    first = edges(discover(frame, method))
    assert edges(discover(frame, method)) == first
    assert edges(discover(frame[frame.columns[::-1]], method)) == first
    assert edges(discover(frame * 1000.0 + 7.0, method)) == first
    assert edges(discover(frame.set_index(np.arange(rows)[::-1]), method)) == first


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_graph_whatever_the_hash_seed(seed):
    methods = [*CLASSES, "fci", "direct_lingam", "random_order", "r2_sort"]
    code = (
        "import causalkit as ck; from causalkit.discovery import discover\n"
        "f = ck.random_scm(9, degree=4.0, mechanism='linear', seed=2).sample(150, seed=1).add_prefix('var')\n"
        f"print([sorted(discover(f, m).edges) for m in {methods}])"
    )
    here = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": str(seed)}
    )
    frame = ck.random_scm(9, degree=4.0, mechanism="linear", seed=2).sample(150, seed=1).add_prefix("var")
    assert here.stdout.strip() == str([sorted(discover(frame, m).edges) for m in methods]), here.stderr


@given(st.integers(0, 10**6))
def test_a_member_of_a_class_has_that_class(seed):
    graph = erdos_renyi(7, 3.0, seed=seed)
    one = member(cpdag(graph))
    assert edges(cpdag(one)) == edges(cpdag(graph))


@given(st.integers(0, 10**6))
def test_the_bic_is_the_same_for_all_members_of_a_class(seed):
    graph = nx.convert_node_labels_to_integers(erdos_renyi(6, 3.0, seed=seed))
    values = np.random.default_rng(seed).normal(size=(50, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    covariance = np.cov(values.T, bias=True)
    of_dag = sum(linear.local_bic(covariance, 50, 2.0, j, graph.predecessors(j)) for j in graph)
    assert linear.bic(tuple(cpdag(graph).edges), covariance, 50, 2.0) == pytest.approx(of_dag, abs=1e-4)


def test_flop_finds_the_least_bic_of_all_graphs_over_four_variables():
    frame = ck.random_scm(4, degree=2.0, mechanism="linear", seed=3).sample(80, seed=1)
    values = numbered(frame).to_numpy()
    covariance = np.cov(values.T, bias=True)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    best = np.inf
    for chosen in range(2**12):
        graph = nx.DiGraph([pair for k, pair in enumerate(pairs) if chosen >> k & 1])
        if nx.is_directed_acyclic_graph(graph):
            parents = {j: list(graph.predecessors(j)) if j in graph else [] for j in range(4)}
            best = min(best, sum(linear.local_bic(covariance, 80, 2.0, j, parents[j]) for j in range(4)))
    place = {name: i for i, name in enumerate(frame.columns)}
    found = [(place[a], place[b]) for a, b in discover(frame, "flop").edges]
    assert linear.bic(found, covariance, 80, 2.0) == pytest.approx(best, abs=1e-4)


def test_ges_is_pgmpys_own_with_its_gaussian_bic():
    from pgmpy.causal_discovery import GES

    for seed in range(3):
        frame = ck.random_scm(6, degree=3.0, mechanism="linear", seed=seed).sample(200, seed=1)
        own = GES(scoring_method="bic-g", return_type="pdag").fit(frame).causal_graph_
        assert edges(discover(frame, "ges", lambda_bic=1.0)) == edges(own)


def test_pc_says_where_its_arrows_contradict_each_other():
    frames = [ck.random_scm(8, degree=4.0, mechanism="linear", seed=s).sample(60, seed=1) for s in range(40)]
    bad = [graph for graph in (discover(f, "pc", alpha=0.1) for f in frames) if not graph.graph["valid"]]
    assert 0 < len(bad) < len(frames)
    for graph in bad:
        arrows = nx.DiGraph((a, b) for a, b in graph.edges if not graph.has_edge(b, a))
        assert nx.is_directed_acyclic_graph(arrows)
        with pytest.raises(ValueError, match="no DAG"):
            member(graph)
    assert discover(FRAME, "pc").graph["valid"] is True


def test_directed_cycles_do_not_come_back_from_pc(monkeypatch):
    """Three colliders around a triangle, each with a parent of its own: the arrows close a cycle."""
    from types import SimpleNamespace

    from causallearn.search.ConstraintBased import PC

    names = ["a", "b", "c", "p", "q", "r"]
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 6)), columns=names)

    marks = np.zeros((6, 6), dtype=int)
    for i, j in [(0, 1), (1, 2), (2, 0), (3, 1), (4, 2), (5, 0)]:
        marks[i, j], marks[j, i] = -1, 1
    found = SimpleNamespace(G=SimpleNamespace(graph=marks))
    monkeypatch.setattr(PC, "pc", lambda values, **settings: found)
    graph = discover(frame, "pc")
    assert graph.graph["valid"] is False
    assert {("b", "a"), ("a", "b"), ("p", "b")} <= edges(graph) and ("b", "p") not in graph.edges


@pytest.mark.parametrize("method", CLASSES)
def test_isolated_variables_stay(method):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["c", "a", "b"])
    graph = discover(frame, method)
    assert list(graph.nodes) == ["c", "a", "b"]


def test_options_reach_the_method():
    few = discover(FRAME, "flop", lambda_bic=1e6)
    assert few.number_of_edges() == 0
    assert discover(FRAME, "ges", lambda_bic=1e6).number_of_edges() == 0
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 6))).add_prefix("v")
    assert discover(noise, "pc", alpha=0.5).number_of_edges() > discover(noise, "pc", alpha=1e-6).number_of_edges()
    with pytest.raises(ValueError, match="rounds 0"):
        discover(FRAME, "flop", restarts=5, rounds=0)


def test_a_method_of_ones_own_is_one_line(monkeypatch):
    monkeypatch.setitem(METHODS, "nothing", lambda frame, *, seed: nx.DiGraph(kind="dag"))
    graph = discover(FRAME, "nothing")
    assert graph.graph["kind"] == "dag" and len(graph) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[["x1"]], "at least 2 columns"),
        (lambda f: f.head(9), "more than d \\+ 3 = 9 rows"),
        (lambda f: f.assign(x2=1.5), "'x2' is constant"),
        (lambda f: f.assign(x6=f.x1), "'x1', 'x6' are collinear \\(each is"),
        (lambda f: f.assign(x6=f.x1 - 2 * f.y + 3), "'x1', 'y', 'x6' are collinear"),
        (lambda f: f.assign(x2=np.nan), "'x2' has 1000 values"),
        (lambda f: f.assign(x2="a"), "'x2' is not numeric"),
        (lambda f: f.to_numpy(), "expected a pandas DataFrame"),
    ],
)
def test_bad_frames_are_turned_away(change, message):
    with pytest.raises(ValueError, match=message):
        discover(change(FRAME))
    with pytest.raises(ValueError, match=message):
        bootstrap(change(FRAME), n=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "flopp"}, "did you mean 'flop'"),
        ({"method": "pc", "alhpa": 0.1}, "unknown option of method 'pc' 'alhpa'; did you mean 'alpha'"),
        ({"method": "flop", "timeout": 1.0}, "unknown option of method 'flop' 'timeout'"),
        ({"method": "pc", "alpha": 0.0}, "alpha 0.0"),
        ({"method": "pc", "max_condition": -1}, "max_condition -1"),
        ({"method": "ges", "lambda_bic": 0.0}, "not a positive number"),
        ({"method": "flop", "lambda_bic": -1.0}, "not a positive number"),
        ({"method": "flop", "restarts": -1}, "restarts -1"),
        ({"method": "flop", "rounds": 0}, "rounds 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_bad_arguments_are_turned_away(arguments, message):
    with pytest.raises(ValueError, match=message):
        discover(FRAME, **arguments)


def test_bootstrap_counts_what_each_resample_shows():
    frame = teaching_scm().sample(150, seed=0)
    table = bootstrap(frame, "flop", n=20, seed=1)
    assert list(table.columns) == ["a", "b", "present", "forward", "backward", "undirected"]
    assert len(table) == 15 and table.loc[0, ["a", "b"]].tolist() == ["x1", "x2"]
    parts = table[["forward", "backward", "undirected"]]
    assert np.allclose(parts.sum(axis=1), table["present"]) and parts.to_numpy().min() >= 0
    strong = table.set_index(["a", "b"]).loc[("y", "x3")]
    assert strong["present"] == 1.0
    pd.testing.assert_frame_equal(table, bootstrap(frame, "flop", n=20, seed=1))
    assert not table.equals(bootstrap(frame, "flop", n=20, seed=2))
    with pytest.raises(ValueError, match="n = 0"):
        bootstrap(frame, n=0)


def test_bootstrap_does_not_depend_on_the_number_of_processes():
    frame = teaching_scm().sample(100, seed=0)
    pd.testing.assert_frame_equal(bootstrap(frame, n=6, n_jobs=2), bootstrap(frame, n=6))


def test_nothing_is_printed(capfd, recwarn):
    for method in [*CLASSES, "fci", "direct_lingam", "random_order", "var_sort", "r2_sort", "empty"]:
        discover(FRAME, method)
    assert capfd.readouterr() == ("", "") and not recwarn.list


def test_a_chain_is_left_open():
    """x -> y -> z is equivalent to its reversals: no method may orient it."""
    chain = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
    for method in CLASSES:
        assert edges(discover(chain.sample(1000, seed=0), method)) == edges(cpdag(parse("x -> y -> z")))
