"""All DAGs of a class: against brute force over orientations, known counts, and bad input."""

import itertools
import math

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit import graphs

dags = st.builds(
    lambda n, share, seed: graphs.erdos_renyi(n, share * (n - 1), seed=seed),
    st.integers(2, 5),
    st.floats(0, 1),
    st.integers(0, 10**6),
)


def by_force(graph):
    """The edge sets of all DAGs of this skeleton whose CPDAG has the very edges of this one."""
    wanted, pairs = set(graphs.cpdag(graph).edges), [tuple(edge) for edge in nx.Graph(graph.edges).edges]
    found = set()
    for ways in itertools.product((1, -1), repeat=len(pairs)):
        turned = nx.DiGraph([pair[::way] for pair, way in zip(pairs, ways, strict=True)])
        turned.add_nodes_from(graph.nodes)
        if nx.is_directed_acyclic_graph(turned) and set(graphs.cpdag(turned).edges) == wanted:
            found.add(frozenset(turned.edges))
    return found


@given(dags)
def test_the_members_are_those_that_brute_force_finds_each_once(dag):
    members = ck.consistent_dags(graphs.cpdag(dag))
    edges = [frozenset(one.edges) for one in members]
    assert len(set(edges)) == len(edges) and set(edges) == by_force(dag)
    assert all(list(one.nodes) == list(dag.nodes) and one.graph["kind"] == "dag" for one in members)


@given(dags, st.data())
def test_knowledge_leaves_the_members_that_agree_with_it(dag, data):
    arrows = data.draw(st.lists(st.sampled_from(sorted(dag.edges)), max_size=2, unique=True)) if dag.edges else []
    narrowed = graphs.orient(graphs.cpdag(dag), arrows)
    found = {frozenset(one.edges) for one in ck.consistent_dags(narrowed)}
    assert found == {edges for edges in by_force(dag) if set(arrows) <= edges}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_complete_graph_has_n_factorial_members(n):
    assert len(ck.consistent_dags(graphs.cpdag(graphs.complete(n, seed=0)))) == math.factorial(n)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_tree_has_a_member_a_root(n):
    tree = graphs.dag([(f"x{(i - 1) // 2}", f"x{i}") for i in range(1, n)])
    assert len(ck.consistent_dags(graphs.cpdag(tree))) == n


def test_a_dag_is_consistent_with_itself_alone():
    dag = ck.random_scm(4, degree=2.0, seed=0).graph
    (one,) = ck.consistent_dags(dag)
    assert nx.utils.graphs_equal(one, nx.DiGraph(dag)) and one is not dag


def test_node_attributes_stay():
    graph = graphs.cpdag(graphs.parse("x <-> y"))
    kept = [dict(dag.nodes(data="hidden")) for dag in ck.consistent_dags(graph)]
    assert len(kept) == 3 and all(one == dict(graph.nodes(data="hidden")) for one in kept)


def test_a_class_above_the_limit_is_refused_not_cut_short():
    whole = graphs.cpdag(graphs.complete(4, seed=0))
    assert len(ck.consistent_dags(whole, limit=24)) == 24
    with pytest.raises(ValueError, match=r"more than 23 DAGs \(6 undirected edges\)"):
        ck.consistent_dags(whole, limit=23)


@pytest.mark.parametrize("limit", [0, -1, 2.5, True])
def test_limits_that_are_none(limit):
    with pytest.raises(ValueError, match="limit"):
        ck.consistent_dags(graphs.parse("x -> y"), limit=limit)


def test_graphs_that_stand_for_no_class():
    with pytest.raises(ValueError, match="PAG"):
        ck.consistent_dags(nx.DiGraph([("x", "y")], kind="pag"))
    square = nx.DiGraph([e for a, b in ["ab", "bc", "cd", "da"] for e in [(a, b), (b, a)]], kind="cpdag")
    with pytest.raises(ValueError, match="no DAG has this graph"):
        ck.consistent_dags(square)
    with pytest.raises(ValueError, match="cycle"):
        ck.consistent_dags(nx.DiGraph([("x", "y"), ("y", "x")]))
    with pytest.raises(ValueError, match=r"expected a networkx\.DiGraph"):
        ck.consistent_dags({"x": ["y"]})
