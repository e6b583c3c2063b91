"""Graphs: parsing, equivalence classes against pgmpy, d-separation, and bad input."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
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


families = st.sampled_from(sorted(graphs.GRAPHS))


@given(families, st.integers(5, 25), st.floats(0, 2), st.integers(0, 10**6))
def test_every_family_draws_dags_over_the_same_names_and_again_by_seed(family, n, degree, seed):
    graph = graphs.GRAPHS[family](n, degree, seed=seed)
    assert list(graph.nodes) == [f"x{i + 1}" for i in range(n)] and graph.graph == {"kind": "dag"}
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.utils.graphs_equal(graph, graphs.GRAPHS[family](n, degree, seed=seed))


@pytest.mark.parametrize("family", ["erdos_renyi", "scale_free", "layered"])
@pytest.mark.parametrize(("n", "degree"), [(20, 0.7), (20, 3.0), (7, 2.0)])
def test_the_expected_degree_is_the_one_asked_for(family, n, degree):
    drawn = [2 * graphs.GRAPHS[family](n, degree, seed=s).number_of_edges() / n for s in range(400)]
    assert abs(np.mean(drawn) - degree) <= 4 * np.std(drawn) / 20 + 1e-12  # four standard errors


@pytest.mark.parametrize("family", sorted(graphs.GRAPHS))
def test_names_do_not_give_the_order_away_and_seeds_differ(family):
    drawn = [graphs.GRAPHS[family](8, 2.0, seed=s) for s in range(300)]
    assert len({frozenset(g.edges) for g in drawn}) > 250
    forward = [np.mean([int(a[1:]) < int(b[1:]) for a, b in g.edges]) for g in drawn if g.number_of_edges()]
    assert abs(np.mean(forward) - 0.5) < 4 * np.std(forward) / len(forward) ** 0.5


def test_complete_and_empty_graphs_are_the_ends_of_the_families():
    assert graphs.complete(6, seed=0).number_of_edges() == 15
    assert graphs.scale_free(6, 5.0, seed=0).number_of_edges() == graphs.erdos_renyi(6, 5.0, seed=0).size() == 15
    for family in ("erdos_renyi", "scale_free", "layered"):
        assert graphs.GRAPHS[family](6, 0.0, seed=0).number_of_edges() == 0
        assert list(graphs.GRAPHS[family](1, 0.0, seed=0).nodes) == ["x1"]
    # two layers of three, all nine pairs
    full = graphs.layered(6, 3.0, layers=2, seed=0)
    assert full.size() == 9 and nx.is_bipartite(full.to_undirected())


@given(st.integers(2, 30), st.floats(0, 1), st.integers(0, 10**6))
def test_hubs_are_sources_or_sinks_of_one_skeleton(n, share, seed):
    degree = share * min(4, n - 1)
    sources = graphs.scale_free(n, degree, seed=seed)
    sinks = graphs.scale_free(n, degree, hubs="sinks", seed=seed)
    assert set(sinks.edges) == {(b, a) for a, b in sources.edges}
    made = [sum(min(t, j) for t in range(n)) for j in range(n)]
    most = next(j for j in range(n) if made[j] >= n * degree / 2 - 1e-9)
    assert max(dict(sources.in_degree).values()) <= most


def test_scale_free_is_networkxs_barabasi_albert():
    """With one edge a newcomer, both grow the same random trees: leaves and the largest hub agree on average."""
    n, seeds = 60, range(150)
    ours = [nx.Graph(graphs.scale_free(n, 2 * (n - 1) / n, seed=s).edges) for s in seeds]
    theirs = [nx.barabasi_albert_graph(n, 1, seed=s) for s in seeds]
    assert all(nx.is_tree(g) for g in ours)
    for number in (lambda d: max(d), lambda d: sum(k == 1 for k in d)):
        one, two = ([number(list(dict(g.degree).values())) for g in drawn] for drawn in (ours, theirs))
        assert abs(np.mean(one) - np.mean(two)) < 4 * math.hypot(np.std(one), np.std(two)) / len(seeds) ** 0.5
    # and hubs there are: Erdos-Renyi graphs of the same degree have smaller ones
    plain = [max(dict(graphs.erdos_renyi(n, 2 * (n - 1) / n, seed=s).degree).values()) for s in seeds]
    assert np.mean([max(dict(g.degree).values()) for g in ours]) > 1.5 * np.mean(plain)


@given(st.integers(2, 20), st.data(), st.integers(0, 10**6))
def test_layers_cause_the_next_layer_alone(n, data, seed):
    layers = data.draw(st.integers(2, n))
    graph = graphs.layered(n, 2 * (layers - 1) / n, layers=layers, seed=seed)
    layer = dict(graph.nodes(data="layer"))
    assert all(layer[b] == layer[a] + 1 for a, b in graph.edges)
    sizes = [list(layer.values()).count(i) for i in range(layers)]
    assert sum(sizes) == n and sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1


@pytest.mark.parametrize("family", sorted(graphs.GRAPHS))
def test_random_scm_knows_every_family(family):
    scm = ck.random_scm(6, degree=1.5, graph=family, mechanism="linear", seed=2)
    assert scm.sample(5, seed=0).shape == (5, 6)
    assert (scm.graph.size() == 15) == (family == "complete")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: graphs.scale_free(5, 4.5, seed=0), "degree 4.5 with 5 nodes"),
        (lambda: graphs.scale_free(5, 2.0, hubs="source", seed=0), "unknown hubs 'source'; did you mean 'sources'"),
        (lambda: graphs.layered(6, 3.5, layers=2, seed=0), "have 9 pairs, so give a degree of at most 3,"),
        (lambda: graphs.layered(4, 1.0, layers=5, seed=0), "5 layers with 4 nodes"),
        (lambda: graphs.layered(4, 1.0, layers=0, seed=0), "0 layers with 4 nodes"),
        (lambda: graphs.layered(4, float("nan"), seed=0), "degree nan"),
        (lambda: graphs.complete(0, seed=0), "0 nodes"),
        (lambda: graphs.textbook("mbias"), "unknown textbook graph 'mbias'; did you mean 'm_bias'"),
    ],
)
def test_families_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@given(dags, st.data())
def test_projection_keeps_every_separation_of_the_observed(graph, data):
    for node in data.draw(st.sets(st.sampled_from(list(graph.nodes)), max_size=len(graph) - 2)):
        graph.nodes[node]["hidden"] = True
    projected, pairs = graphs.project(graph)
    seen = [v for v, hidden in graph.nodes(data="hidden") if not hidden]
    assert list(projected.nodes) == seen
    explicit = nx.DiGraph(projected)
    explicit.add_edges_from((pair, node) for pair in pairs for node in pair)  # each pair gets its hidden cause back
    x, y = data.draw(st.lists(st.sampled_from(seen), min_size=2, max_size=2, unique=True))
    for k in range(len(seen) - 1):
        for given_set in itertools.combinations([v for v in seen if v not in (x, y)], k):
            assert nx.is_d_separator(explicit, {x}, {y}, set(given_set)) == graphs.d_separated(graph, x, y, given_set)


ADJUSTMENT = {  # the smallest sets of non-descendants of x that shut all back doors to y; None: there is no such set
    "chain": [()],
    "fork": [("z",)],
    "collider": [()],
    "confounder": [("z",)],
    "back_door": [("x3", "x4"), ("x1", "x4"), ("x4", "x2"), ("x4", "x5")],
    "mediator": [()],
    "m_bias": [()],
    "butterfly_bias": None,
    "selection_bias": [()],
    "case_control": [()],
    "front_door": None,
    "instrument": None,
    "bow": None,
    "napkin": None,
}


@pytest.mark.parametrize("name", sorted(ADJUSTMENT))
def test_textbook_graphs_have_the_back_doors_of_the_books(name):
    graph = graphs.textbook(name)
    behind = nx.DiGraph(graph)
    behind.remove_edges_from(graph.out_edges("x"))
    after = nx.descendants(graph, "x")
    controls = [v for v, hidden in graph.nodes(data="hidden") if not hidden and v not in {"x", "y", *after}]
    sets = [s for k in range(len(controls) + 1) for s in itertools.combinations(controls, k)]
    good = [s for s in sets if nx.is_d_separator(behind, {"x"}, {"y"}, set(s))]
    smallest = {frozenset(s) for s in good if len(s) == len(good[0])} if good else None
    assert smallest == (None if ADJUSTMENT[name] is None else set(map(frozenset, ADJUSTMENT[name])))


@pytest.mark.parametrize(
    ("name", "x", "y", "given_set", "separated"),
    [
        ("chain", "x", "y", [], False),
        ("chain", "x", "y", ["z"], True),
        ("fork", "x", "y", [], False),
        ("fork", "x", "y", ["z"], True),
        ("collider", "x", "y", [], True),
        ("collider", "x", "y", ["z"], False),
        ("simpson", "severity", "recovery", ["treatment"], False),
        ("m_bias", "x", "y", [], True),
        ("m_bias", "x", "y", ["z"], False),
        ("m_bias", "x", "y", ["z", "u_x_z"], True),
        ("berkson", "x", "y", [], True),
        ("berkson", "x", "y", ["hospital"], False),
        ("back_door", "x1", "x2", [], True),
        ("back_door", "x1", "x2", ["x4"], False),
        ("front_door", "x", "y", ["m"], False),
        ("front_door", "m", "u_x_y", ["x"], True),
        ("instrument", "z", "u_x_y", [], True),  # what makes z an instrument: no hidden cause in common with y ...
        ("instrument", "z", "y", ["x", "u_x_y"], True),  # ... and no way to y but by x
        ("instrument", "z", "y", ["x"], False),
        ("napkin", "z", "y", ["x"], False),
        ("napkin", "z", "y", ["x", "w"], False),
        ("case_control", "x", "z", ["y"], True),
        ("sprinkler", "sprinkler", "rain", ["season"], True),
        ("sprinkler", "sprinkler", "rain", ["season", "slippery"], False),
        ("sprinkler", "season", "slippery", ["wet"], True),
    ],
)
def test_textbook_graphs_have_the_separations_of_the_books(name, x, y, given_set, separated):
    assert nx.is_d_separator(graphs.textbook(name), {x}, {y}, set(given_set)) == separated


def test_every_textbook_graph_can_be_read_and_a_user_may_add_one(monkeypatch):
    for name in graphs.TEXTBOOK:
        graph = graphs.textbook(name)
        assert nx.is_directed_acyclic_graph(graph) and nx.is_weakly_connected(graph)
        assert {v for v, hidden in graph.nodes(data="hidden") if hidden} == {v for v in graph if v.startswith("u_")}
    monkeypatch.setitem(graphs.TEXTBOOK, "mine", "a -> b")
    assert list(graphs.textbook("mine").edges) == [("a", "b")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: graphs.dag([("x", "y"), ("y", "z"), ("x", "y")]),
        lambda: graphs.parse("x -> y -> z; y <- x"),
        lambda: graphs.parse("x, w -> y; x -> y"),
        lambda: graphs.parse("x <-> y; y <-> x"),
    ],
)
def test_an_edge_that_is_there_twice_is_named(make):
    with pytest.raises(ValueError, match=r"x (->|<->) y is there twice|y <-> x is there twice"):
        make()
