"""Graphs: parsing, equivalence classes against pgmpy, d-separation, and bad input."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalkit import graphs

dags = st.builds(
    lambda n, share, seed: graphs.erdos_renyi(n, share * (n - 1), seed=seed),
    st.integers(2, 7),
    st.floats(0, 1),
    st.integers(0, 10**6),
)


@given(dags)
def test_cpdag_keeps_skeleton_and_v_structures_and_agrees_over_the_class(graph):
    learned = graphs.cpdag(graph)
    assert learned.graph["kind"] == "cpdag" and set(learned.nodes) == set(graph.nodes)
    assert nx.utils.graphs_equal(nx.Graph(learned.edges), nx.Graph(graph.edges))
    directed = {e for e in learned.edges if not learned.has_edge(*e[::-1])}
    assert directed <= set(graph.edges)
    # a covered edge may be turned without leaving the class (Chickering 1995), and the CPDAG must not notice
    for a, b in graph.edges:
        if set(graph.predecessors(a)) == set(graph.predecessors(b)) - {a}:
            turned = graphs.dag([e for e in graph.edges if e != (a, b)] + [(b, a)], graph.nodes)
            assert set(graphs.cpdag(turned).edges) == set(learned.edges)
            assert (a, b) not in directed


def test_cpdag_agrees_with_pgmpy():
    from pgmpy.base import DAG

    for seed in range(40):
        graph = graphs.erdos_renyi(7, 3.0, seed=seed)
        theirs = DAG(graph.edges)
        theirs.add_nodes_from(graph.nodes)
        pdag = theirs.to_pdag()
        both = {(a, b) for u in pdag.undirected_edges for a, b in (u, u[::-1])}
        assert set(graphs.cpdag(graph).edges) == set(pdag.directed_edges) | both


@given(dags, st.data())
def test_the_markov_blanket_separates_and_is_the_class_property_it_claims(graph, data):
    node = data.draw(st.sampled_from(list(graph.nodes)))
    blanket = graphs.markov_blanket(graph, node)
    for other in set(graph.nodes) - {node, *blanket}:
        assert graphs.d_separated(graph, node, other, blanket)
    assert set(graphs.markov_blanket(graphs.cpdag(graph), node)) == set(blanket)


@given(dags, st.data())
def test_parents_are_among_the_possible_parents(graph, data):
    node = data.draw(st.sampled_from(list(graph.nodes)))
    learned = graphs.cpdag(graph)
    certain, possible = graphs.parents_of(learned, node), graphs.possible_parents(learned, node)
    assert set(certain) <= set(graphs.parents_of(graph, node)) <= set(possible)


def test_expected_degree():
    graphs_drawn = [graphs.erdos_renyi(20, 3.0, seed=s) for s in range(200)]
    mean = sum(2 * g.number_of_edges() / 20 for g in graphs_drawn) / 200
    assert abs(mean - 3.0) < 0.1  # sd of the mean is about 0.03


def test_parse_reads_chains_lists_and_hidden_causes():
    graph = graphs.parse("a, b -> y -> c\n d <- c; x <-> y; lonely")
    assert set(graph.edges) == {("a", "y"), ("b", "y"), ("y", "c"), ("c", "d"), ("u_x_y", "x"), ("u_x_y", "y")}
    assert graph.nodes["u_x_y"]["hidden"] and "lonely" in graph


@pytest.mark.parametrize(
    ("text", "message"),
    [("x -> y; y -> x", "cycle, x -> y -> x"), ("x --> y", "cannot read"), ("x -> ", "cannot read ''")],
)
def test_parse_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        graphs.parse(text)


def test_invariant_sets_by_hand():
    graph = graphs.parse("x -> y -> z; w -> z")
    assert graphs.invariant_sets(graph, "y", ["x"], ["x", "z", "w"])[0] == ("x",)
    assert graphs.invariant_sets(graph, "y", ["z"]) == [(), ("x",), ("w",), ("x", "w")]
    assert graphs.invariant_sets(graph, "y", ["y"]) == []


def test_unknown_names_get_the_closest_known_one():
    graph = graphs.parse("income -> health")
    with pytest.raises(ValueError, match="did you mean 'health'"):
        graphs.parents_of(graph, "helth")
    with pytest.raises(ValueError, match="did you mean 'income'"):
        graphs.d_separated(graph, "incom", "health")
    with pytest.raises(ValueError, match=r"2\^16"):
        graphs.invariant_sets(graphs.dag([], [f"v{i}" for i in range(17)]), "v0", [])


def test_a_cpdag_is_no_dag():
    with pytest.raises(ValueError, match="undirected: x - y"):
        graphs.check_dag(graphs.cpdag(graphs.parse("x -> y")))


def test_a_graph_that_no_dag_has_as_its_cpdag_has_no_member():

    impossible = nx.DiGraph([("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("d", "a")], kind="cpdag")
    with pytest.raises(ValueError, match="contradict"):
        graphs.member(impossible)
