"""What environments add: invariant causal prediction and the pooled search, against known causes, and their doors."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.datasets import load_sachs, teaching_scm
from causalkit.discovery.environments import check_environments, icp, icp_nonlinear
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.linear import flop
from causalkit.discovery.pooled import pooled
from causalkit.graphs import cpdag, member, orient

TEACHING = teaching_scm()
SHIFTS = {
    "a": None,
    "b": ck.shifts.covariate("y", strength=1.0),
    "c": ck.shifts.spurious("y", strength=1.0),
}
ENVIRONMENTS = ck.sample_environments(TEACHING, SHIFTS, 400, seed=0)
BENT = ck.SCM(
    {
        "x": ck.linear(),
        "w": ck.linear(),
        "y": ck.additive(["x", "w"], lambda v: 2 * (1.5 * v[:, 0]).sin() + 0.7 * v[:, 0] * v[:, 1], scale=0.5),
        "z": ck.linear({"y": 1.0}, scale=0.5),
    }
)


def edges(graph):
    return set(graph.edges)


# invariant causal prediction


def test_icp_finds_the_causes_and_nothing_else():
    graph = icp(ENVIRONMENTS, seed=0, target="y")
    assert edges(graph) == {("x1", "y"), ("x2", "y")} and list(graph.nodes) == list(ENVIRONMENTS[0].frame)
    known = graph.graph
    assert known["kind"] == "dag" and known["valid"] and known["target"] == "y"
    assert all({"x1", "x2"} <= set(names) for names in known["accepted"]) and ("x1", "x2") in known["accepted"]
    for cause in ("x1", "x2"):
        low, high = known["intervals"][cause]
        assert low < 1.0 < high and low > 0.7 and high < 1.3
    assert known["intervals"]["x4"][0] <= 0 <= known["intervals"]["x4"][1]


def test_icp_is_the_paper_by_hand():
    """Two environments, two candidates: the four p-values written out (Peters et al. 2016, method II)."""
    from scipy import stats

    one, two = (e.frame[["x1", "x3", "y"]] for e in ENVIRONMENTS[::2])
    graph = icp([ck.Environment("one", one), ck.Environment("two", two)], seed=0, target="y")
    pvalues = {}
    for names in [(), ("x1",), ("x3",), ("x1", "x3")]:
        both = pd.concat([one, two])
        design = np.column_stack([both[list(names)], np.ones(len(both))])
        residuals = both["y"] - design @ np.linalg.lstsq(design, both["y"], rcond=None)[0]
        a, b = residuals[: len(one)], residuals[len(one) :]
        f = stats.f.cdf(a.var() / b.var(), len(a) - 1, len(b) - 1)
        pvalues[names] = min(1, 2 * min(stats.ttest_ind(a, b, equal_var=False).pvalue, 2 * min(f, 1 - f)))
    assert graph.graph["pvalues"]["x1"] == pytest.approx(max(pvalues[()], pvalues[("x3",)]), abs=1e-9)
    assert graph.graph["pvalues"]["x3"] == pytest.approx(max(pvalues[()], pvalues[("x1",)]), abs=1e-9)


def test_icp_keeps_its_level():
    """No more than alpha of the answers name what is no cause: 60 small data sets at alpha = 0.1."""
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 0.5}), "z": ck.linear({"y": 0.5})})
    shifts = {"a": None, "b": ck.shifts.covariate("y", strength=0.5), "c": ck.shifts.spurious("y", strength=0.3)}
    wrong = 0
    for seed in range(60):
        environments = ck.sample_environments(scm, shifts, 100, seed=seed)
        wrong += ("z", "y") in icp(environments, seed=0, target="y", alpha=0.1).edges
    assert wrong <= 12  # Binomial(60, 0.1): more with probability 0.006


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_without_a_difference_no_cause_is_named(seed):
    """Environments from one distribution: the empty set is invariant, so that nothing may be named."""
    environments = ck.sample_environments(TEACHING, {"a": None, "b": None}, 200, seed=seed)
    graph = icp(environments, seed=0, target="y", alpha=0.0005)
    assert not graph.number_of_edges() and () in graph.graph["accepted"]


def test_a_target_whose_own_mechanism_moves_has_no_invariant_set():
    shifts = {"a": None, "b": ck.shifts.concept("y", strength=1.0, how="scale")}
    for method in (icp, icp_nonlinear):
        environments = ck.sample_environments(TEACHING, shifts, 500, seed=0)
        environments = [ck.Environment(e.name, e.frame[["x1", "x2", "x4", "y"]]) for e in environments]
        graph = method(environments, seed=0, target="y")
        assert graph.graph["valid"] is False and not graph.number_of_edges() and graph.graph["accepted"] == []
        assert set(graph.graph["pvalues"].values()) == {1.0}


def test_nonlinear_icp_finds_causes_that_work_together_where_linear_icp_fails():
    environments = ck.sample_environments(BENT, SHIFTS, 400, seed=1)
    assert edges(icp_nonlinear(environments, seed=0, target="y")) == {("x", "y"), ("w", "y")}
    assert edges(icp(environments, seed=0, target="y")) != {("x", "y"), ("w", "y")}
    again = icp_nonlinear(environments, seed=0, target="y").graph["pvalues"]
    assert icp_nonlinear(environments, seed=0, target="y").graph["pvalues"] == again


def test_knowledge_names_the_candidates():
    known = Knowledge(required=[("x2", "y")], forbidden=[("x4", "y")], tiers=[("x1", "x2", "x4", "y"), ("x3", "x5")])
    graph = icp(ENVIRONMENTS, seed=0, target="y", knowledge=known)
    assert set(graph.graph["pvalues"]) == {"x1", "x2"} and edges(graph) == {("x1", "y"), ("x2", "y")}


def test_many_candidates_are_screened():
    rng = np.random.default_rng(0)
    wide = []
    for e in ENVIRONMENTS:
        noise = pd.DataFrame(rng.normal(size=(len(e.frame), 12))).add_prefix("n")
        wide.append(ck.Environment(e.name, pd.concat([e.frame, noise], axis=1)))
    graph = icp(wide, seed=0, target="y", most=5)
    assert len(graph.graph["pvalues"]) == 5 and edges(graph) == {("x1", "y"), ("x2", "y")}


@pytest.mark.parametrize("method", [icp, icp_nonlinear, pooled])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda es: es[0].frame, "give a list"),
        (lambda es: [e.frame for e in es], "give a list"),
        (lambda es: es[:1], "give two or more"),
        (lambda es: [es[0], es[0]], "two have the same name"),
        (lambda es: [es[0], ck.Environment("d", es[1].frame.drop(columns="x4"))], "'d' has other columns than 'a'.*x4"),
        (lambda es: [es[0], ck.Environment("d", es[1].frame.head(5))], "5 rows, at least 9"),
    ],
)
def test_bad_environments_are_turned_away(method, change, message):
    with pytest.raises(ValueError, match=message):
        method(change(ENVIRONMENTS), seed=0, **({} if method is pooled else {"target": "y"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "x"}, "unknown target 'x'"),
        ({}, "the causes of which variable"),
        ({"target": "y", "test": "rank"}, "did you mean 'ranks'"),
        ({"target": "y", "alpha": 1.0}, "alpha 1.0"),
        ({"target": "y", "most": 0}, "most 0"),
        ({"target": "y", "knowledge": Knowledge(roots=["x6"])}, "background knowledge 'x6'"),
    ],
)
def test_bad_options_are_turned_away(options, message):
    for method in (icp, icp_nonlinear):
        with pytest.raises(ValueError, match=message):
            method(ENVIRONMENTS, seed=0, **options)


def test_columns_in_another_order_are_the_same_columns():
    first, *rest = ENVIRONMENTS
    turned = [first, *(ck.Environment(e.name, e.frame[e.frame.columns[::-1]]) for e in rest)]
    frame, number = check_environments(turned)
    pd.testing.assert_frame_equal(frame, check_environments(ENVIRONMENTS)[0])
    assert number.tolist() == [0] * 400 + [1] * 400 + [2] * 400


def test_discover_takes_environments():
    """Through the verb: the order of columns does not matter, knowledge and options arrive, one frame is refused."""
    graph = ck.discover(
        [ck.Environment(e.name, e.frame[e.frame.columns[::-1]]) for e in ENVIRONMENTS], "icp", target="y"
    )
    assert edges(graph) == {("x1", "y"), ("x2", "y")} and graph.graph["pvalues"].keys() == {
        "x1",
        "x2",
        "x3",
        "x4",
        "x5",
    }
    assert edges(ck.discover(ENVIRONMENTS, "icp_nonlinear", target="y", most=3)) <= {("x1", "y"), ("x2", "y")}
    known = Knowledge(forbidden=[("y", "x3"), ("x3", "y")])
    assert known.agrees(ck.discover(ENVIRONMENTS, "pooled", knowledge=known))
    assert edges(ck.discover(ENVIRONMENTS, "pooled", limit=60)) == edges(TEACHING.graph)
    for method in ("icp", "icp_nonlinear", "pooled"):
        with pytest.raises(ValueError, match="compares environments: give a list"):
            ck.discover(ENVIRONMENTS[0].frame, method)
    with pytest.raises(ValueError, match="at least 2"):
        ck.discover(ENVIRONMENTS[:1], "pooled")


# pooled search


def interventional_class(scm, changed):
    """What a perfect pooled search knows: the class of the graph with the environment in it, without it."""
    wide = nx.DiGraph(scm.graph)
    wide.add_edges_from(("E", v) for v in changed)
    wide = orient(cpdag(nx.DiGraph(wide.edges)), [("E", v) for v in changed])
    return {edge for edge in wide.edges if "E" not in edge}


@pytest.mark.parametrize(
    ("shifts", "changed"),
    [
        ([ck.shifts.covariate("y", strength=1.0, on=["x1"])], ["x1"]),
        ([ck.shifts.spurious("y", strength=1.0)], ["x3"]),
        ([ck.shifts.covariate("y", strength=1.0), ck.shifts.spurious("y", strength=1.0)], ["x1", "x2", "x3"]),
        ([ck.shifts.soft("x4", strength=1.0, how="gain")], ["x4"]),
        ([ck.shifts.soft("x5", strength=1.0, how="scale")], ["x5"]),
    ],
)
def test_the_environment_orients_what_it_can(shifts, changed):
    environments = ck.sample_environments(
        TEACHING, {"a": None, **{f"b{i}": shift for i, shift in enumerate(shifts)}}, 1000, seed=1
    )
    graph = pooled(environments, seed=0)
    assert graph.graph["changed"] == changed
    assert edges(graph) == interventional_class(TEACHING, changed)
    assert edges(member(graph)) <= edges(graph) and edges(cpdag(graph)) == edges(cpdag(TEACHING.graph))


def test_a_chain_is_oriented_by_an_environment_and_not_without():
    chain = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
    moved = ck.sample_environments(chain, {"a": None, "b": ck.shifts.soft("x", strength=1.0)}, 500, seed=0)
    assert edges(pooled(moved, seed=0)) == {("x", "y"), ("y", "z")}
    same = ck.sample_environments(chain, {"a": None, "b": None}, 500, seed=0)
    assert edges(pooled(same, seed=0)) == edges(cpdag(chain.graph)) and pooled(same, seed=0).graph["changed"] == []
    assert "knowledge" not in pooled(same, seed=0).graph


def test_pooled_rows_mislead_a_method_that_does_not_look_at_environments():
    truth = TEACHING.graph
    frame = pd.concat([e.frame for e in ENVIRONMENTS], ignore_index=True)
    blind, seeing = ck.compare(flop(frame, seed=0), truth), ck.compare(pooled(ENVIRONMENTS, seed=0), truth)
    assert seeing["shd"] == 0 and blind["shd"] >= 3


def test_on_random_graphs_the_class_found_has_a_member_and_no_fewer_arrows():
    for seed in range(4):
        scm = ck.random_scm(8, degree=2.0, mechanism="linear", seed=seed)
        shifts = {"a": None, "b": ck.shifts.soft(scm.order[3], strength=1.0)}
        graph = pooled(ck.sample_environments(scm, shifts, 1000, seed=seed), seed=0)
        assert set(graph.nodes) == set(scm.variables) and edges(cpdag(graph)) == edges(cpdag(member(graph)))
        assert ck.compare(graph, scm.graph)["shd_cpdag"] <= 2


def test_known_changes_are_used_and_a_variable_that_was_set_says_nothing_of_its_mechanism():
    names = ["x1", "x2", "y"]
    environments = [
        ck.Environment("seen", TEACHING.sample(500, seed=0)[names]),
        ck.Environment("set", TEACHING.do({"x1": 2.0}).sample(500, seed=1)[names]),
    ]
    graph = pooled(environments, seed=0, changes={"set": ["x1"]})
    assert graph.graph["changed"] == ["x1"] and edges(graph) == {("x1", "y"), ("x2", "y")}
    with pytest.raises(ValueError, match=r"'x1' is constant in environment 'set'.*changes"):
        pooled(environments, seed=0)
    with pytest.raises(ValueError, match="'x1' is constant in all"):
        pooled([environments[1], ck.Environment("b", environments[1].frame)], seed=0, changes={"b": ["x1"]})


def test_knowledge_is_held_while_searching():
    known = Knowledge(required=[("x5", "x4")], tiers=[("x1", "x2"), ("y",)])
    graph = pooled(ENVIRONMENTS, seed=0, knowledge=known)
    assert known.agrees(graph) and ("x5", "x4") in graph.edges


def test_the_same_graph_for_the_same_seed():
    first, *others = (pooled(ENVIRONMENTS, seed=3) for _ in range(3))
    assert all(edges(one) == edges(first) and one.graph == first.graph for one in others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"changes": {"d": ["x1"]}}, "unknown environment in changes 'd'"),
        ({"changes": {"b": ["x11"]}}, "unknown variable changed in 'b' 'x11'; did you mean 'x1'"),
        ({"lambda_bic": 0.0}, "lambda_bic 0.0"),
        ({"restarts": -1}, "restarts -1"),
        ({"knowledge": Knowledge(roots=["x6"])}, "background knowledge 'x6'"),
    ],
)
def test_bad_options_of_the_pooled_search_are_turned_away(options, message):
    with pytest.raises(ValueError, match=message):
        pooled(ENVIRONMENTS, seed=0, **options)


def test_on_cells_pooling_with_environments_misleads_less_than_pooling_blindly():
    environments, truth = load_sachs()
    few = [ck.Environment(e.name, e.frame.head(200)) for e in environments[:5]]
    frame = pd.concat([e.frame for e in few], ignore_index=True)
    blind = ck.compare(flop(frame, seed=0), truth)
    seeing = ck.compare(pooled(few, seed=0, restarts=5), truth)
    assert seeing["skeleton_precision"] > blind["skeleton_precision"]
    assert all(0 <= c["shd"] <= len(list(itertools.combinations(truth, 2))) for c in (blind, seeing))
