"""Background knowledge: the graphs it leaves, against all DAGs over four variables; its doors; what libraries get."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit.discovery.knowledge import Knowledge, to_pgmpy
from causalkit.graphs import check_dag, cpdag, erdos_renyi, member, orient, parse
from causalkit.metrics import compare

NAMES = "abcd"
PAIRS = list(itertools.permutations(NAMES, 2))


def over(edges, kind="dag"):
    graph = nx.DiGraph(kind=kind)
    graph.add_nodes_from(NAMES)
    graph.add_edges_from(edges)
    return graph


def all_dags():
    ways = [((), (pair,), (pair[::-1],)) for pair in itertools.combinations(NAMES, 2)]
    graphs = (over(itertools.chain(*choice)) for choice in itertools.product(*ways))
    return [graph for graph in graphs if nx.is_directed_acyclic_graph(graph)]


CLASSES: dict[frozenset, list[nx.DiGraph]] = {}
for dag in all_dags():
    CLASSES.setdefault(frozenset(cpdag(dag).edges), []).append(dag)


def union(dags):
    return {edge for graph in dags for edge in graph.edges}


def satisfies(graph, known):
    """The definition, from the fields of the knowledge alone."""
    tier = {name: i for i, names in enumerate(known.tiers) for name in names}
    return (
        set(known.required) <= set(graph.edges)
        and not set(known.forbidden) & set(graph.edges)
        and not any(graph.in_degree(root) for root in known.roots)
        and all(tier.get(a, -1) <= tier.get(b, len(tier)) for a, b in graph.edges if a in tier and b in tier)
    )


@st.composite
def knowledge(draw):
    """Knowledge that agrees with itself: all of it is true of one DAG."""
    truth = draw(st.sampled_from([graph for graphs in CLASSES.values() for graph in graphs]))
    absent = [pair for pair in PAIRS if pair not in truth.edges]
    order = list(nx.topological_sort(truth))
    cuts = sorted(draw(st.sets(st.integers(1, 3), max_size=2)))
    tiers = [tuple(order[i:j]) for i, j in itertools.pairwise([0, *cuts, 4])] if cuts else []
    roots = [v for v in truth if not truth.in_degree(v)]
    return Knowledge(
        required=draw(st.lists(st.sampled_from(list(truth.edges)), max_size=2)) if truth.edges else (),
        forbidden=draw(st.lists(st.sampled_from(absent), max_size=2)),
        tiers=draw(st.sampled_from([(), tiers])),
        roots=draw(st.lists(st.sampled_from(roots), max_size=1)),
    )


def test_there_are_as_many_dags_and_classes_over_four_variables_as_there_should_be():
    assert len(CLASSES) == 185 and sum(map(len, CLASSES.values())) == 543


@pytest.mark.parametrize("count", [1, 2, 3])
def test_orient_leaves_what_the_dags_that_are_left_have_in_common(count):
    """Every class over four variables, every set of so many arrows: rules 1-4 against enumeration (Meek 1995)."""
    seen = 0
    for edges, dags in CLASSES.items():
        open_arrows = [(a, b) for a, b in edges if (b, a) in edges]
        for arrows in itertools.combinations(open_arrows, count):
            left = [graph for graph in dags if set(arrows) <= set(graph.edges)]
            if left:
                narrowed = orient(over(edges, "cpdag"), arrows)
                assert set(narrowed.edges) == union(left)
                assert set(member(narrowed).edges) in [set(graph.edges) for graph in left]
                assert set(cpdag(narrowed).edges) == edges
                seen += 1
            else:
                with pytest.raises(ValueError, match="no DAG of this class has the arrow"):
                    orient(over(edges, "cpdag"), arrows)
    assert seen > 100


def test_rule_four_is_needed():
    """a - b, a - c, a - d, c - d, d - b and c, b not joined: c -> d -> b forces a -> b, which rules 1-3 do not see."""
    whole = cpdag(over([("a", "b"), ("a", "c"), ("a", "d"), ("c", "d"), ("d", "b")]))
    narrowed = orient(whole, [("c", "d")])
    assert narrowed.has_edge("d", "b") and not narrowed.has_edge("b", "d")
    assert narrowed.has_edge("a", "b") and not narrowed.has_edge("b", "a")


@settings(max_examples=300)
@given(st.sampled_from(list(CLASSES)), knowledge())
def test_a_class_is_narrowed_down_to_the_members_that_agree(edges, known):
    result = known.apply(over(edges, "cpdag"))
    left = [graph for graph in CLASSES[edges] if satisfies(graph, known)]
    assert result.graph["kind"] == "cpdag" and known.agrees(result)
    if left:
        assert set(result.edges) == union(left)
    else:  # another class, but whatever it is, it is narrowed down to its members that agree
        others = CLASSES[frozenset(cpdag(result).edges)]
        assert set(result.edges) == union([graph for graph in others if satisfies(graph, known)])


@settings(max_examples=300)
@given(st.sampled_from([graph for graphs in CLASSES.values() for graph in graphs]), knowledge())
def test_a_dag_stays_a_dag_and_what_agrees_stays_as_it_is(graph, known):
    result = known.apply(graph)
    assert satisfies(check_dag(result), known) and known.agrees(result) and list(result.nodes) == list(NAMES)
    if satisfies(graph, known):
        assert set(result.edges) == set(graph.edges)
    assert set(known.apply(result).edges) == set(result.edges)


@given(st.integers(0, 10**6))
def test_true_knowledge_never_hurts(seed):
    """On a larger graph: the true class with true tiers keeps its skeleton, and all arrows are right."""
    truth = erdos_renyi(9, 3.0, seed=seed)
    order = list(nx.topological_sort(truth))
    known = Knowledge(tiers=[order[:3], order[3:6], order[6:]], required=list(truth.edges)[:1])
    before, after = compare(cpdag(truth), truth), compare(known.apply(cpdag(truth)), truth)
    assert after["skeleton_f1"] == after["arrow_precision"] == 1 and after["arrow_recall"] >= before["arrow_recall"]
    assert after["shd_cpdag"] == 0 and after["parent_aid"] <= before["parent_aid"]


@given(st.integers(0, 10**6))
def test_all_arrows_known_is_the_dag(seed):
    truth = erdos_renyi(8, 3.0, seed=seed)
    assert set(Knowledge(required=list(truth.edges)).apply(cpdag(truth)).edges) == set(truth.edges)


def test_what_is_forbidden_both_ways_goes_and_what_is_required_comes():
    found = cpdag(parse("x -> y -> z; w"))
    gone = Knowledge(forbidden=[("x", "y"), ("y", "x")]).apply(found)
    assert set(gone.edges) == {("y", "z"), ("z", "y")}
    come = Knowledge(required=[("w", "y"), ("x", "y")]).apply(found)
    # w -> y <- x is a v-structure now, so that y -> z is forced
    assert set(come.edges) == {("x", "y"), ("w", "y"), ("y", "z")}


def test_an_arrow_turns_only_where_it_closes_no_cycle():
    graph = parse("x -> y -> z; x -> z")
    assert set(Knowledge(forbidden=[("x", "y")]).apply(graph).edges) == {("y", "x"), ("y", "z"), ("x", "z")}
    assert set(Knowledge(forbidden=[("x", "z")]).apply(graph).edges) == {("x", "y"), ("y", "z")}


def test_a_graph_that_stands_for_no_class_obeys_and_stays_invalid():
    graph = nx.DiGraph([("x", "y"), ("y", "x"), ("y", "z"), ("w", "z"), ("z", "w"), ("v", "y")], kind="cpdag")
    graph.graph["valid"] = False
    result = Knowledge(roots=("x",), forbidden=[("v", "y"), ("y", "v")], required=[("v", "w")]).apply(graph)
    assert set(result.edges) == {("x", "y"), ("y", "z"), ("w", "z"), ("z", "w"), ("v", "w")}
    assert result.graph["valid"] is False


def test_a_graph_that_agrees_comes_back_as_it_is():
    graph = parse("x -> y")
    assert Knowledge(roots=("x",)).apply(graph) is graph
    assert Knowledge().apply(cpdag(graph)).graph == {"kind": "cpdag"}


def test_a_cycle_with_required_edges_is_forbidden_however_long():
    known = Knowledge(required=[("a", "b"), ("b", "c")])
    assert known.forbids("c", "a") and not known.forbids("a", "c") and known.forbids("d", "d")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"required": [("a", "b"), ("b", "c"), ("c", "a")]}, "a cycle, a -> b -> c -> a"),
        ({"required": [("a", "b")], "forbidden": [("a", "b")]}, "a -> b is required, but forbidden too"),
        ({"required": [("a", "b")], "roots": ["b"]}, "a -> b is required, but b is a root"),
        ({"required": [("a", "b")], "tiers": [["b"], ["a"]]}, "a is in a later tier than b"),
        ({"tiers": [["a", "b"], ["a"]]}, "'a' is named in the tiers more than once"),
        ({"required": ["ab"]}, "required edge 'ab' is no pair"),
        ({"required": [("a", "b", "c")]}, "is no pair"),
        ({"forbidden": [("a", "a")]}, "forbidden edge \\('a', 'a'\\) is no pair of two variables"),
        ({"roots": "abc"}, "roots='abc' is one name"),
    ],
)
def test_contradictions_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Knowledge(**fields)


@pytest.mark.parametrize(
    "known",
    [
        Knowledge(required=[("alpha", "y")]),
        Knowledge(forbidden=[("y", "alpha")]),
        Knowledge(tiers=[("alpha",), ("y",)]),
        Knowledge(roots=["alpha"]),
    ],
)
def test_unknown_names_are_turned_away(known):
    with pytest.raises(ValueError, match="background knowledge 'alpha'; did you mean 'alpha1'"):
        known.apply(parse("alpha1 -> y"))
    with pytest.raises(ValueError, match="background knowledge 'alpha'"):
        to_pgmpy(known, ["alpha1", "y"])


def test_a_pag_is_turned_away():
    with pytest.raises(ValueError, match="cannot be put into a PAG"):
        Knowledge(roots=["x"]).apply(nx.DiGraph([("x", "y")], kind="pag"))


def test_orient_names_what_does_not_fit():
    with pytest.raises(ValueError, match="the graph says y -> w"):
        orient(cpdag(parse("x -> y <- z; y -> w")), [("w", "y")])
    with pytest.raises(ValueError, match="does not join the two"):
        orient(cpdag(parse("x -> y <- z")), [("x", "z")])


def test_a_graph_that_says_it_was_narrowed_but_is_no_class_has_no_member():
    graph = nx.DiGraph([("x", "y"), ("z", "y"), ("y", "x")], kind="cpdag", knowledge=True)
    with pytest.raises(ValueError, match="contradict"):
        member(graph)


def test_pgmpy_searches_with_it():
    from pgmpy.causal_discovery import HillClimbSearch

    rng = np.random.default_rng(0)
    x = rng.integers(2, size=500)
    frame = pd.DataFrame({0: x, 1: x ^ (rng.random(500) < 0.2), 2: rng.integers(2, size=500)}).astype("category")
    known = Knowledge(required=[("c", "a")], tiers=[("b",), ("a",)])
    search = HillClimbSearch(scoring_method="bic-d", expert_knowledge=to_pgmpy(known, list("abc")), show_progress=False)
    edges = set(search.fit(frame).causal_graph_.edges)
    assert {(2, 0), (1, 0)} <= edges
