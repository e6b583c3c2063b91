"""Order search: its linear score against regression, its answer against all DAGs, and the same seed, the same graph."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.discovery.frames import codes
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import Lines, bic, local_bic, orders
from causalkit.discovery.orders import arranged, restarted, search
from causalkit.discovery.tables import Tables, orders_discrete
from causalkit.graphs import cpdag


def world(seed, d=8, degree=2.0, n=500):
    scm = ck.random_scm(d, degree=degree, mechanism="linear", seed=seed)
    frame = scm.sample(n, seed=seed)
    return scm, frame, np.cov(frame.to_numpy().T, bias=True)


def lines(frame, covariance, knowledge=None):
    return Lines(covariance, len(frame), 2.0 * np.log(len(frame)), list(frame.columns), knowledge)


@settings(max_examples=20)
@given(st.integers(0, 2**31 - 1), st.sets(st.integers(1, 5), max_size=4))
def test_the_linear_score_is_that_of_the_regression_with_one_more_and_one_less_too(seed, parents):
    _, frame, covariance = world(seed, d=6, n=200)
    score, pa = lines(frame, covariance), frozenset(parents)
    local = score(0, pa)
    assert local.here == pytest.approx(local_bic(covariance, 200, 2.0, 0, pa), abs=1e-6)
    for k in set(range(1, 6)) - pa:
        assert local.more[k] == pytest.approx(local_bic(covariance, 200, 2.0, 0, pa | {k}), abs=1e-6)
    assert {k: pytest.approx(local_bic(covariance, 200, 2.0, 0, pa - {k}), abs=1e-6) for k in pa} == local.less
    assert local.more[0] == np.inf and all(local.more[k] == np.inf for k in pa)


@settings(max_examples=15)
@given(st.integers(0, 2**31 - 1))
def test_what_a_search_holds_is_consistent(seed):
    _, frame, covariance = world(seed)
    score, draw = lines(frame, covariance), np.random.default_rng(seed)
    start = arranged(score, draw.permutation(8))
    before = start.total
    found = search(score, start, draw)
    assert found.total <= before + 1e-6
    place = {j: i for i, j in enumerate(found.order)}
    assert sorted(found.order) == list(range(8))
    for j, pa in enumerate(found.parents):
        assert all(place[k] < place[j] for k in pa)
        assert found.here[j] == score(j, pa).here and (found.more[j] == score(j, pa).more).all()


@pytest.mark.parametrize("seed", range(4))
def test_no_graph_of_four_variables_has_a_lower_bic(seed):
    _, frame, covariance = world(seed, d=4, degree=2.5, n=300)
    lowest = np.inf
    for order in itertools.permutations(range(4)):
        pairs = list(itertools.combinations(order, 2))
        for kept in itertools.product([False, True], repeat=len(pairs)):
            edges = [pair for pair, one in zip(pairs, kept, strict=True) if one]
            lowest = min(
                lowest, sum(local_bic(covariance, 300, 2.0, j, [a for a, b in edges if b == j]) for j in order)
            )
    found = orders(frame, seed=seed, lambda_bic=2.0, gamma=0.0)
    assert found.graph["score"] == pytest.approx(lowest, abs=1e-5)
    place = {name: i for i, name in enumerate(frame.columns)}
    edges = [(place[a], place[b]) for a, b in found.edges]
    assert bic(edges, covariance, 300, 2.0) == pytest.approx(lowest, abs=1e-5)


def test_the_bic_is_at_least_as_good_as_that_of_flop_and_of_the_true_graph():
    for seed in range(3):
        scm, frame, covariance = world(seed, d=30, degree=3.0, n=1000)
        place = {name: i for i, name in enumerate(frame.columns)}

        def score(graph, covariance=covariance, place=place):
            return bic([(place[a], place[b]) for a, b in graph.edges], covariance, 1000, 2.0)

        ours = score(orders(frame, seed=seed, lambda_bic=2.0, gamma=0.0))
        assert ours <= score(ck.discover(frame, "flop", rounds=1)) + 1e-3
        assert ours <= score(cpdag(scm.graph)) + 1e-3


@pytest.mark.parametrize("d", [10, 60])
def test_the_same_seed_gives_the_same_graph_and_neither_order_nor_units_matter(d):
    _, frame, _ = world(d, d=d)
    first = ck.discover(frame, "orders", seed=3)
    assert first.graph["kind"] == "cpdag"
    assert set(ck.discover(frame, "orders", seed=3).edges) == set(first.edges)
    moved = (frame * 1000 + 7)[frame.columns[::-1]]
    assert set(ck.discover(moved, "orders", seed=3).edges) == set(first.edges)


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1))
def test_knowledge_is_kept_by_the_search_itself(seed):
    _, frame, covariance = world(seed % 1000, d=6)
    draw = np.random.default_rng(seed)
    names = list(draw.permutation(list(frame.columns)))
    knowledge = Knowledge(required=[(names[0], names[1])], forbidden=[(names[2], names[3])], roots=[names[4]])
    found = restarted(lines(frame, covariance, knowledge), 3, draw).graph(list(frame.columns))
    assert nx.is_directed_acyclic_graph(found) and knowledge.agrees(found)
    assert knowledge.agrees(orders(frame, seed=seed, knowledge=knowledge))


def test_the_extended_bic_invents_fewer_edges_among_many_variables():
    scm, frame, _ = world(0, d=60, degree=2.0, n=300)
    extra = {g: ck.compare(orders(frame, seed=0, gamma=g), scm.graph)["extra"] for g in (0.0, 1.0)}
    assert extra[1.0] < extra[0.0] / 4


def test_knowledge_orients_what_data_leave_open():
    frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(300, seed=0)
    assert orders(frame, seed=0).number_of_edges() == 2
    assert list(orders(frame, seed=0, knowledge=Knowledge(roots=["x"])).edges) == [("x", "y")]


def test_the_best_graph_so_far_is_reported():
    _, frame, _ = world(0)
    heard = []
    orders(frame, seed=0, restarts=2, report=heard.append)
    assert len(heard) >= 2 and all(graph.graph["kind"] == "cpdag" for graph in heard)
    totals = [graph.graph["score"] for graph in heard]
    assert totals == sorted(totals, reverse=True)


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1), st.sampled_from([0.5, 1.0, 10.0]))
def test_the_score_of_tables_is_pgmpys_bdeu_with_one_more_and_one_less_too(seed, rows):
    from pgmpy.structure_score import BDeu

    frame = codes(ck.load_network("asia").sample(200, seed=seed))
    own, theirs = Tables(frame, rows, Knowledge()), BDeu(frame, equivalent_sample_size=rows)
    j, parents = 7, frozenset({4, 5})
    local = own(j, parents)
    assert local.here == pytest.approx(-2 * theirs.local_score(j, (4, 5)), abs=1e-6)
    assert local.less[4] == pytest.approx(-2 * theirs.local_score(j, (5,)), abs=1e-6)
    assert local.more[1] == pytest.approx(-2 * theirs.local_score(j, (1, 4, 5)), abs=1e-6)


def test_tables_with_more_levels_than_rows_are_counted_the_same():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"v{i}": draw.integers(0, 20, 60) for i in range(4)})
    score, parents = Tables(frame, 1.0, Knowledge()), [1, 2, 3]
    counts = score._counts(0, parents)
    joint = frame.groupby(["v1", "v2", "v3"]).size()
    assert len(counts) == len(joint) and counts.sum() == 60 and sorted(counts.sum(1)) == sorted(joint)


def test_discrete_order_search_needs_at_most_half_the_mistakes_of_hill_climbing():
    mistakes = {"orders_discrete": 0.0, "hill_climb": 0.0}
    scm = ck.load_network("child")
    for seed in range(2):
        frame = scm.sample(5000, seed=seed)
        for method in mistakes:
            mistakes[method] += ck.compare(ck.discover(frame, method), scm.graph)["shd_cpdag"]
    assert mistakes["orders_discrete"] <= 0.5 * mistakes["hill_climb"]


def test_discrete_data_are_searched_alike_for_the_same_seed_and_any_order_of_columns():
    frame = ck.load_network("asia").sample(1000, seed=1)
    first = ck.discover(frame)
    assert first.graph["chosen"] == "orders_discrete" and first.graph["kind"] == "cpdag"
    assert set(ck.discover(frame[frame.columns[::-1]]).edges) == set(first.edges)


@pytest.mark.parametrize("options", [{"sample_size": 0.0}, {"sample_size": float("inf")}, {"restarts": -1}])
def test_bad_options_for_tables_are_turned_away(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} "):
        orders_discrete(pd.DataFrame({"x": [0, 1], "y": [1, 0]}), seed=0, **options)


@pytest.mark.parametrize(
    "options", [{"lambda_bic": 0.0}, {"lambda_bic": float("nan")}, {"restarts": -1}, {"gamma": -1.0}]
)
def test_bad_options_are_turned_away(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} "):
        orders(pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 0.0]}), seed=0, **options)


@pytest.mark.parametrize("method", ["auto", "orders", "cam", "pc", "fci"])
def test_progress_is_shown_where_it_is_asked_for(method, capfd):
    _, frame, _ = world(0, d=5)
    quiet = ck.discover(frame, method)
    assert capfd.readouterr() == ("", "")
    shown = ck.discover(frame, method, progress=True)
    assert set(shown.edges) == set(quiet.edges)
    assert ("search" if method not in ("pc", "fci") else "%") in capfd.readouterr().err
