"""Graphs with drawn hidden causes: what projecting them gives back, and how often each pair is drawn."""

import itertools
from collections import Counter

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import confounded, parse, project

dags = st.builds(
    lambda family, nodes, seed: ck.graphs.GRAPHS[family](nodes, 1.5, seed=seed),
    st.sampled_from(["erdos_renyi", "scale_free", "layered"]),
    st.integers(4, 9),
    st.integers(0, 10**6),
)
seeds = st.integers(0, 10**6)


def free_pairs(graph, bow_free):
    joined = {frozenset(edge) for edge in graph.edges}
    return {p for p in map(frozenset, itertools.combinations(graph, 2)) if not bow_free or p not in joined}


@given(dags, st.integers(0, 6), st.booleans(), seeds)
def test_projecting_gives_back_the_graph_and_so_many_pairs(graph, pairs, bow_free, seed):
    before = nx.DiGraph(graph)
    pairs = min(pairs, len(free_pairs(graph, bow_free)))
    drawn = confounded(graph, pairs, bow_free=bow_free, seed=seed)
    assert nx.utils.graphs_equal(before, graph), "the graph that was given is left as it is"
    projected, found = project(drawn)
    assert list(projected.nodes) == list(graph.nodes) and set(projected.edges) == set(graph.edges)
    hidden = [node for node, is_hidden in drawn.nodes(data="hidden") if is_hidden]
    assert len(hidden) == len(found) == pairs and found <= free_pairs(graph, bow_free)
    assert sorted(f"u_{a}_{b}" for a, b in (sorted(pair, key=list(graph).index) for pair in found)) == sorted(hidden)
    again = confounded(graph, pairs, bow_free=bow_free, seed=seed)
    assert list(again.edges) == list(drawn.edges)


@given(dags, seeds)
def test_a_second_draw_adds_other_pairs(graph, seed):
    once = confounded(graph, 2, seed=seed)
    twice = confounded(once, 2, seed=seed)
    assert project(once)[1] < project(twice)[1] and len(project(twice)[1]) == 4
    most = len(free_pairs(graph, False))
    assert project(confounded(once, most - 2, seed=seed))[1] == free_pairs(graph, False)


@given(dags, seeds)
def test_more_pairs_with_the_same_seed_are_these_and_others(graph, seed):
    sets = [project(confounded(graph, k, seed=seed))[1] for k in range(5)]
    assert all(a < b for a, b in itertools.pairwise(sets))


def test_it_is_written_as_parse_writes_it():
    drawn = confounded(parse("x -> y"), 1, seed=0)
    assert nx.utils.graphs_equal(drawn, parse("x -> y; x <-> y"))


def test_all_pairs_are_drawn_about_equally_often():
    graph = parse("a -> b -> c; d -> e")
    count = Counter(frozenset(pair) for s in range(1000) for pair in project(confounded(graph, 2, seed=s))[1])
    # each of 10 pairs is in 2 of 10 draws; binomial standard deviation 12.6
    assert len(count) == 10 and all(abs(n - 200) < 4 * 12.7 for n in count.values())


def test_hidden_variables_of_the_graph_count_as_what_they_hide():
    graph = parse("x -> h -> y -> z")
    graph.nodes["h"]["hidden"] = True
    free = project(confounded(graph, 1, bow_free=True, seed=0))[1]
    assert free == {frozenset("xz")}, "x -> h -> y is an edge, and h is no end of a pair"


def test_a_random_scm_hides_the_drawn_causes():
    graph = confounded(ck.graphs.erdos_renyi(6, 2.0, seed=0), 2, bow_free=True, seed=1)
    scm = ck.random_scm(graph=graph, mechanism="linear", seed=2)
    assert len(scm.hidden) == 2 and list(scm.sample(5, seed=0).columns) == [f"x{i}" for i in range(1, 7)]
    with pytest.raises(ValueError, match="needs a number of variables"):
        ck.random_scm(seed=0)
    learned = ck.discover(scm.sample(200, seed=3))
    assert ck.compare(learned, scm.graph)[["missing", "extra"]].notna().all()


@pytest.mark.parametrize(
    "graph, pairs, bow_free, words",
    [
        (parse("x -> y"), 2, False, "has 1 pairs of observed variables"),
        (parse("x -> y; z"), 3, True, "has 2 pairs that no edge joins"),
        (parse("x -> y; x <-> y"), 1, False, "from 0 to 0"),
        (parse("x -> y"), -1, False, "pairs = -1"),
        (parse("x -> y"), 0.5, False, "pairs = 0.5"),
        (nx.DiGraph([("x", "y"), ("y", "x")]), 1, False, "cycle"),
        (parse("a, u_a_b; b"), 3, False, "is another variable"),
    ],
)
def test_bad_input_is_named(graph, pairs, bow_free, words):
    with pytest.raises(ValueError, match=words):
        confounded(graph, pairs, bow_free=bow_free, seed=0)
