"""Comparing graphs: laws over random DAGs, other libraries and hand-worked examples as oracles, the doors."""

from itertools import permutations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.estimation import effect_errors
from causalkit.graphs import adjacency, cpdag, erdos_renyi, orient, parse
from causalkit.metrics import compare, differences

ERRORS = ["shd", "shd_cpdag", "missing", "extra", "reversed", "unoriented"]
RATES = [f"{what}_{rate}" for what in ("skeleton", "arrow") for rate in ("precision", "recall", "f1")]
DISTANCES = [f"{name}{end}" for name in ("parent_aid", "ancestor_aid", "oset_aid", "sid") for end in ("", "_mistakes")]

dags = st.builds(
    lambda seed, degree: erdos_renyi(6, degree, seed=seed), st.integers(0, 10**6), st.sampled_from([1.0, 2.0, 4.0])
)


@given(dags)
def test_a_graph_is_at_no_distance_from_itself(graph):
    result = compare(graph, graph)
    assert list(result.index) == [*ERRORS, *RATES, *DISTANCES]
    assert (result[ERRORS + DISTANCES] == 0).all() and (result[RATES] == 1).all()


@given(dags)
def test_the_class_of_the_truth_is_the_best_that_can_be_learned(graph):
    result = compare(cpdag(graph), graph)
    open_edges = cpdag(graph).number_of_edges() - graph.number_of_edges()
    assert result["shd_cpdag"] == 0 and result["skeleton_f1"] == 1 and result["arrow_precision"] == 1
    assert result["shd"] == result["unoriented"] == open_edges
    assert compare(cpdag(graph), cpdag(graph))[["shd", "parent_aid", "ancestor_aid"]].tolist() == [0, 0, 0]


@given(dags, dags)
def test_distances_between_two_graphs(one, two):
    forth, back = compare(one, two), compare(two, one)
    assert forth["shd"] == back["shd"] == forth[["missing", "extra", "reversed", "unoriented"]].sum()
    assert forth["shd_cpdag"] == back["shd_cpdag"]
    assert (forth["missing"], forth["skeleton_precision"]) == (back["extra"], back["skeleton_recall"])
    assert forth["arrow_f1"] <= forth["skeleton_f1"] and forth[RATES].between(0, 1).all()
    # between DAGs the parent adjustment distance is the structural intervention distance
    assert forth["parent_aid_mistakes"] == forth["sid_mistakes"] == round(forth["sid"] * 30)


@given(dags, dags)
def test_shd_is_pgmpys_on_dags(one, two):
    from pgmpy.base import DAG
    from pgmpy.metrics import SHD

    def as_pgmpy(graph):
        result = DAG()
        result.add_nodes_from(graph.nodes)
        result.add_edges_from(graph.edges)
        return result

    assert compare(one, two)["shd"] == SHD().evaluate(true_causal_graph=as_pgmpy(two), est_causal_graph=as_pgmpy(one))


def adjusts(truth, x, y, given):
    """Whether adjusting for a set gives the effect of x on y in a DAG (Shpitser et al. 2010), y not in the set."""
    on_path = {v for v in nx.descendants(truth, x) if y in nx.descendants(truth, v) or v == y}
    bad = set().union(*({v} | nx.descendants(truth, v) for v in on_path), set())
    back = truth.copy()
    back.remove_edges_from([(x, v) for v in on_path if truth.has_edge(x, v)])
    return not given & bad and nx.is_d_separator(back, {x}, {y}, given)


def structural_intervention_distance(learned, truth):
    """Peters and Buehlmann (2015), by its proposition 6: do the learned parents adjust rightly?"""
    mistakes = 0
    for x, y in permutations(truth.nodes, 2):
        parents = set(learned.predecessors(x))
        mistakes += y in nx.descendants(truth, x) if y in parents else not adjusts(truth, x, y, parents)
    return mistakes


def optimal_set_distance(learned, truth):
    """Henckel et al. (2024), with the optimal set of Henckel et al. (2022), definition 3.12."""
    mistakes = 0
    for x, y in permutations(truth.nodes, 2):
        below = nx.descendants(learned, x)
        if y not in below:
            mistakes += y in nx.descendants(truth, x)
            continue
        causal = {v for v in below if v == y or y in nx.descendants(learned, v)}
        forbidden = {x}.union(*({v} | nx.descendants(learned, v) for v in causal))
        optimal = {p for v in causal for p in learned.predecessors(v)} - forbidden
        mistakes += not adjusts(truth, x, y, optimal)
    return mistakes


@given(dags, dags)
def test_sid_counts_wrong_adjustments_and_rows_point_at_columns(one, two):
    assert compare(one, two)["sid_mistakes"] == structural_intervention_distance(one, two)
    assert compare(one, two)["oset_aid_mistakes"] == optimal_set_distance(one, two)


def test_hand_worked_chain():
    truth = parse("x -> y -> z")
    result = compare(parse("x -> y <- z"), truth)
    assert result[ERRORS].tolist() == [1, 2, 0, 0, 1, 0]
    assert result["arrow_precision"] == result["arrow_recall"] == 0.5 and result["skeleton_f1"] == 1
    table = differences(parse("x <- y; x -> z"), truth)
    assert table.to_numpy().tolist() == [
        ["x", "y", "<-", "->", "reversed"],
        ["x", "z", "->", "", "extra"],
        ["y", "z", "", "->", "missing"],
    ]


def test_nothing_claimed_is_nothing_wrong():
    empty, truth = parse("x; y"), parse("x -> y")
    result = compare(empty, truth)
    assert result["skeleton_precision"] == 1 and result["skeleton_recall"] == 0 and result["skeleton_f1"] == 0
    # the empty graph gets one effect wrong, that of y on x is none either way; a superfluous edge adjusts rightly
    assert result["sid_mistakes"] == 1 and compare(truth, empty)["sid_mistakes"] == 0
    assert compare(empty, empty)[RATES].eq(1).all()


def test_undirected_edges_have_no_sid_but_an_aid():
    result = compare(cpdag(parse("x -> y -> z")), parse("x -> y -> z"))
    assert result[["sid", "sid_mistakes"]].isna().all() and result["parent_aid"] == 1.0
    assert result["arrow_recall"] == 0 and result["unoriented"] == 2


def test_an_invalid_pdag_has_no_adjustment_distance():
    graph = cpdag(parse("x -> y -> z")).copy()
    graph.graph["valid"] = False
    result = compare(graph, parse("x -> y -> z"))
    assert result[DISTANCES].isna().all() and result[["shd", "shd_cpdag"]].tolist() == [2, 0]


def test_a_hidden_variable_in_between_is_projected_out():
    truth = parse("x -> h -> y")
    truth.nodes["h"]["hidden"] = True
    result = compare(parse("x -> y"), truth)
    assert result["shd"] == 0 and result["parent_aid"] == 0


@pytest.mark.parametrize("text", ["x <-> y", "h -> x, g; g -> y"])
def test_a_hidden_common_cause_joins_its_effects_and_no_direction_is_right(text):
    truth = parse(text)
    for name in ("h", "g"):
        if name in truth:
            truth.nodes[name]["hidden"] = True
    result = compare(parse("x -> y"), truth)
    assert result[["shd", "unoriented", "skeleton_f1", "arrow_precision"]].tolist() == [1, 1, 1, 0]
    assert result[["shd_cpdag", *DISTANCES]].isna().all()
    assert compare(parse("x; y"), truth)["missing"] == 1
    assert differences(parse("x -> y"), truth)["truth"].tolist() == ["<>"]
    assert compare(truth, truth)["shd"] == 0


def test_causes_of_a_hidden_common_cause_reach_both_effects():
    truth = parse("z -> h -> x, y")
    truth.nodes["h"]["hidden"] = True
    assert differences(parse("z -> x, y"), truth)["verdict"].tolist() == ["right", "right", "missing"]


def test_one_variable_has_no_effects_to_get_wrong():
    graph = parse("x")
    assert compare(graph, graph)["shd"] == 0 and compare(graph, graph)[DISTANCES].isna().all()


def test_the_order_of_nodes_does_not_matter():
    one, two = parse("a -> b; c -> b; b -> d"), parse("d; c -> b; a -> b; b -> d")
    assert not np.array_equal(adjacency(one), adjacency(two))
    pd.testing.assert_series_equal(compare(one, two), compare(one, one))


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        (parse("x -> y"), "'z' is only in the true graph"),
        (parse("x -> y -> z; w"), "'w' is only in the learned graph"),
        (nx.DiGraph([("x", "y"), ("y", "z"), ("z", "x")]), "cycle"),
        (nx.DiGraph([("x", "y"), ("y", "z"), ("z", "x")], kind="cpdag"), "cycle"),
        (nx.DiGraph([("x", "y"), ("y", "z")], kind="pag"), "PAG"),
        (nx.Graph([("x", "y"), ("y", "z")]), "DiGraph"),
    ],
)
def test_what_cannot_be_compared_is_turned_away(learned, message):
    with pytest.raises(ValueError, match=message):
        compare(learned, parse("x -> y -> z"))


@given(dags, dags)
def test_the_mask_of_a_target_is_what_the_encoder_shows(one, two):
    for learned in (one, cpdag(one)):
        result = compare(learned, two, target="x3")
        assert list(result.index)[-2:] == ["mask_missing", "mask_extra"]
        names = tuple(f"x{i}" for i in (1, 2, 4, 5, 6))
        shown = {v for v in names if learned.has_edge(v, "x3")}
        assert result["mask_missing"] == len(set(two.predecessors("x3")) - shown)
        assert result["mask_extra"] == len(shown - set(two.predecessors("x3")))


def test_the_mask_of_a_chain_by_hand():
    truth = parse("x -> y -> z")
    assert compare(cpdag(truth), truth, target="y")[["mask_missing", "mask_extra"]].tolist() == [0, 1]
    assert compare(parse("z -> y; x"), truth, target="y")[["mask_missing", "mask_extra"]].tolist() == [1, 1]
    with pytest.raises(ValueError, match="'w'"):
        compare(truth, truth, target="w")


@given(dags)
def test_a_class_narrowed_down_by_true_knowledge_is_no_further_from_the_truth(graph):
    whole = cpdag(graph)
    for edge in [edge for edge in graph.edges if whole.has_edge(*edge[::-1])][:1]:
        narrowed = compare(orient(whole, [edge]), graph)
        before = compare(whole, graph)
        assert narrowed["shd_cpdag"] == 0 and narrowed["shd"] < before["shd"]
        assert narrowed["parent_aid"] <= before["parent_aid"]


# what effects a graph leads to

LINEAR = ck.SCM(
    {
        "z": ck.linear(),
        "x": ck.linear({"z": 0.8}),
        "y": ck.linear({"x": 1.5, "z": -1.0}),
        "w": ck.linear({"y": 1.0, "x": 0.5}),
    }
)


def test_the_true_graph_leads_to_the_true_effects():
    table = effect_errors(LINEAR.graph, LINEAR, "y", n=50_000, seed=0).set_index("cause")
    assert list(table.index) == ["z", "x", "w"] and (table["low"] == table["high"]).all()
    assert table["error"].max() < 0.02
    # y = 1.5 x - z + u and x = 0.8 z + v: Var x = 1.64, and Var y = 0.2^2 + 1.5^2 + 1
    unit = (0.2**2 + 1.5**2 + 1) ** 0.5
    assert table["true"].tolist() == pytest.approx([0.2 / unit, 1.5 * 1.64**0.5 / unit, 0.0], abs=0.03)


def test_a_wrong_graph_leads_to_what_regression_says():
    frame = LINEAR.sample(20_000, seed=3)
    wrong = parse("x -> y; w -> y; z")  # without z, x is confounded; with w -> y, an effect passes for a cause
    table = effect_errors(wrong, LINEAR, "y", n=20_000, seed=3).set_index("cause")
    for cause in ("x", "w"):
        assert table.loc[cause, "low"] == pytest.approx(frame[[cause, "y"]].corr().iloc[0, 1], abs=1e-9)
    assert table.loc["w", "error"] > 0.5 and table.loc["x", "error"] > 0.1
    turned = effect_errors(parse("y -> x; w; z"), LINEAR, "y", seed=3).set_index("cause")
    assert turned.loc["x", "low"] == 0.0 and turned.loc["x", "error"] == turned.loc["x", "true"]


@given(st.integers(0, 10**6))
def test_a_class_leads_to_the_effects_of_its_members(seed):
    """IDA's local sets of parents are those that the node has in some DAG of the class."""
    from causalkit.estimation.effects import _parent_sets

    graph = erdos_renyi(5, 2.5, seed=seed)
    whole = cpdag(graph)
    for node in graph:
        local = {frozenset(parents) for parents in _parent_sets(whole, node)}
        assert local == {frozenset(one.predecessors(node)) for one in members(whole)}


def members(whole):
    """All DAGs of a class, by trying every way to orient its undirected edges."""
    pairs = ck.graphs.undirected_edges(whole)
    for k in range(2 ** len(pairs)):
        graph = nx.DiGraph(whole)
        graph.graph["kind"] = "dag"
        graph.remove_edges_from([pair if k >> i & 1 else pair[::-1] for i, pair in enumerate(pairs)])
        if nx.is_directed_acyclic_graph(graph) and set(cpdag(graph).edges) == set(whole.edges):
            yield graph


@pytest.mark.parametrize(
    ("learned", "scm", "message"),
    [
        (parse("x -> y; z"), LINEAR, "w only in one of them"),
        (nx.DiGraph(LINEAR.graph.edges, kind="pag"), LINEAR, "PAG"),
        (parse("x -> y; z; w; q"), LINEAR, "q only in one"),
        (parse("a -> y"), ck.SCM({"a": ck.MECHANISMS["categorical"]([], seed=0), "y": ck.linear()}), "'a' is discrete"),
    ],
)
def test_what_has_no_effects_to_look_at_is_turned_away(learned, scm, message):
    with pytest.raises(ValueError, match=message):
        effect_errors(learned, scm, "y", seed=0)
    with pytest.raises(ValueError, match="unknown target 'v'"):
        effect_errors(LINEAR.graph, LINEAR, "v", seed=0)
