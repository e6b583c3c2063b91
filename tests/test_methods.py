"""The catalogue of discovery: laws for every method, each against what it must find, and what it must refuse."""

import importlib.util
import inspect
import logging
import random
import sys
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.datasets import teaching_scm
from causalkit.discovery import ABOUT, METHODS, catalogue, discover, methods
from causalkit.discovery.constraints import pc
from causalkit.discovery.discrete import _score
from causalkit.discovery.frames import LEVELS, codes, discrete_columns
from causalkit.discovery.knowledge import Knowledge
from causalkit.graphs import cpdag, parse

PEERS = {"notears": "castle", "dagma": "dagma"}
SCALED = ("var_sort", "notears", "dagma")
ONE_FRAME = [name for name, about in ABOUT.items() if not about.environments]
TEACHING = teaching_scm()
FRAME = TEACHING.sample(500, seed=0)
EARTHQUAKE = ck.load_network("earthquake")  # burglary -> alarm <- earthquake, alarm -> two callers


def available(names):
    missing = {name for name, module in PEERS.items() if importlib.util.find_spec(module) is None}
    skip = pytest.mark.skip(reason='needs the extra: pip install "causalkit-lab[peers]"')
    return [pytest.param(name, marks=skip if name in missing else ()) for name in names]


def frame_for(method):
    rows = ck.random_scm(6, degree=2.0, mechanism="categorical", seed=4).sample(400, seed=1)
    return rows if ABOUT[method].data == "discrete" else FRAME


def _global_state():
    root = logging.getLogger()
    return random.getstate(), np.random.get_state()[1].tolist(), root.level, root.handlers[:], root.manager.disable


def edges(graph):
    return set(graph.edges)


def test_every_method_says_what_it_is():
    assert list(ABOUT) == list(METHODS)
    table = methods()
    assert list(table.columns) == ["data", "assumes", "returns", "wall", "knowledge", "library"]
    assert list(table.index) == list(METHODS)
    for name, function in METHODS.items():
        parameters = inspect.signature(function).parameters
        assert parameters["seed"].kind is parameters["knowledge"].kind is inspect.Parameter.KEYWORD_ONLY
        assert table.loc[name, "assumes"] and table.loc[name, "library"]
        assert function.__name__ == name and "Args:" in function.__doc__


@pytest.mark.parametrize("method", available(ONE_FRAME))
def test_laws_of_every_method(method, capfd):
    """Same in, same out: whatever the order of the columns and the global generators, which stay as they are."""
    frame = frame_for(method)
    random.seed(1)
    np.random.seed(1)
    before = _global_state()
    first = discover(frame, method, seed=3, limit=100.0 if method in PEERS else None)  # imports before it forks
    assert _global_state() == before
    random.seed(2)
    np.random.seed(2)
    assert edges(discover(frame[frame.columns[::-1]], method, seed=3)) == edges(first)
    if ABOUT[method].data != "discrete" and method not in SCALED:
        assert edges(discover(frame * 100.0 + 3.0, method, seed=3)) == edges(first)
    assert list(first.nodes) == list(frame.columns) and first.graph["kind"] == ABOUT[method].returns
    arrows = nx.DiGraph((a, b) for a, b in first.edges if not first.has_edge(b, a))
    assert nx.is_directed_acyclic_graph(first if first.graph["kind"] == "dag" else arrows)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["flop", "boss", "grasp", "ges"])
@pytest.mark.parametrize("rows", [50, 400])
def test_a_penalty_means_the_same_everywhere(method, rows):
    """An edge between two variables pays as long as -n log(1 - r^2) > lambda log(n), in all libraries' conventions."""
    draw = np.random.default_rng(rows)
    frame = pd.DataFrame({"x": draw.normal(size=rows)}).assign(y=lambda f: f.x + draw.normal(size=rows))
    most = -rows * np.log(1 - frame.corr().loc["x", "y"] ** 2) / np.log(rows)
    assert edges(discover(frame, method, lambda_bic=0.98 * most)) == {("x", "y"), ("y", "x")}
    assert not edges(discover(frame, method, lambda_bic=1.02 * most))


def test_more_starts_never_end_at_a_worse_graph():
    scm = ck.random_scm(10, degree=2.0, mechanism="linear", seed=0, standardise=None)
    frame = scm.sample(1000, seed=1)
    shd = [ck.compare(discover(frame, "grasp", seed=s, starts=1), scm.graph)["shd_cpdag"] for s in range(6)]
    many = ck.compare(discover(frame, "grasp", starts=8), scm.graph)["shd_cpdag"]
    assert max(shd) > 0 and many == min(shd) == 0


def test_fci_tells_a_hidden_cause_by_its_marks():
    scm = ck.SCM(
        {
            "h": ck.linear(),
            "a": ck.linear(),
            "b": ck.linear(),
            "x": ck.linear({"a": 1.0, "h": 1.5}),
            "y": ck.linear({"b": 1.0, "h": 1.5}),
        },
        hidden=("h",),
    )
    graph = discover(scm.sample(2000, seed=0), "fci")
    assert graph.graph["kind"] == "pag"
    circle, arrow = "circle", "arrow"
    marks = {(a, b): (m["mark_a"], m["mark_b"]) for a, b, m in graph.edges(data=True)}
    assert marks == {
        ("a", "x"): (circle, arrow), ("x", "a"): (arrow, circle), ("b", "y"): (circle, arrow),
        ("y", "b"): (arrow, circle), ("x", "y"): (arrow, arrow), ("y", "x"): (arrow, arrow),
    }  # fmt: skip


def test_a_definite_arrow_of_a_pag_stands_once():
    graph = discover(TEACHING.sample(1000, seed=0), "fci")
    assert graph.edges["y", "x3"] == {"mark_a": "tail", "mark_b": "arrow"} and not graph.has_edge("x3", "y")
    for a, b, m in graph.edges(data=True):
        if graph.has_edge(b, a):
            assert (graph.edges[b, a]["mark_b"], graph.edges[b, a]["mark_a"]) == (m["mark_a"], m["mark_b"])
    with pytest.raises(ValueError, match="PAG"):
        ck.compare(graph, TEACHING.graph)


def test_lingam_finds_the_dag_under_noise_that_is_not_gaussian_and_guesses_otherwise():
    chain = {"x": {}, "y": {"x": 1.0}, "z": {"y": 1.0}}
    laplace = ck.SCM({name: ck.linear(parents, noise="laplace") for name, parents in chain.items()})
    graph = discover(laplace.sample(2000, seed=0), "direct_lingam")
    assert edges(graph) == {("x", "y"), ("y", "z")} and graph.graph["kind"] == "dag"
    gaussian = ck.SCM({name: ck.linear(parents) for name, parents in chain.items()})
    guesses = {frozenset(discover(gaussian.sample(200, seed=s), "direct_lingam").edges) for s in range(6)}
    assert len(guesses) > 1 and all(len(guess) >= 2 for guess in guesses)


@pytest.mark.parametrize("method", ["orders_discrete", "hill_climb", "ges_discrete", "pc"])
def test_discrete_methods_find_the_class_of_a_network(method):
    frame = ck.random_scm(graph=parse("a -> c <- b; c -> d"), mechanism="categorical", seed=5).sample(5000, seed=0)
    truth = cpdag(parse("a -> c <- b; c -> d"))
    assert edges(discover(frame, method)) == edges(truth)


def test_the_score_of_tables_is_pgmpys():
    from pgmpy.structure_score import BIC

    frame = codes(ck.load_network("asia").sample(300, seed=0))
    own, theirs = _score(frame, 1.0), BIC(frame)
    for variable, parents in [(0, ()), (3, (1,)), (7, (5, 4)), (2, (6, 3, 1))]:
        assert own.local_score(variable, parents) == pytest.approx(theirs.local_score(variable, parents))
    free = 2 * np.log(300) / 2  # of x_3 given one parent of two levels: two probabilities
    assert own.local_score(3, (1,)) - _score(frame, 2.0).local_score(3, (1,)) == pytest.approx(free)


def test_max_parents_holds():
    frame = ck.random_scm(6, degree=4.0, mechanism="categorical", seed=1).sample(3000, seed=0)
    assert max(dict(discover(frame, "hill_climb").in_degree).values()) > 1
    skeleton = discover(frame, "hill_climb", max_parents=1).to_undirected()
    assert nx.is_forest(skeleton)


def test_what_is_discrete():
    frame = pd.DataFrame({"f": [0.0, 1.0] * 20, "i": [0, 1] * 20, "b": [True, False] * 20, "many": range(40)})
    assert discrete_columns(frame) == ["i", "b"]
    assert discrete_columns(pd.DataFrame({"x": range(LEVELS), "y": range(LEVELS)})) == ["x", "y"]
    nullable = pd.DataFrame({"x": pd.array([1, 2, 3], dtype="Int64"), "y": [1, 2, 3]})
    assert discrete_columns(nullable) == ["x", "y"]


def test_sorting_by_variance_lives_on_the_scale():
    """Equal noise, no scaling: variance gives the order away. Standardised, nothing is left of it; R^2 stays."""
    scm = ck.random_scm(12, degree=4.0, mechanism="linear", seed=3, standardise=None)
    raw = scm.sample(1000, seed=1)
    fair = ck.metrics.standardise(raw)
    shd = {
        name: [ck.compare(discover(f, name), scm.graph)["shd"] for f in (raw, fair)] for name in ("var_sort", "r2_sort")
    }
    assert shd["var_sort"][0] < shd["var_sort"][1] / 2 and shd["r2_sort"][0] == shd["r2_sort"][1]
    assert discover(fair, "empty").number_of_edges() == 0
    assert len({frozenset(discover(fair, "random_order", seed=s).edges) for s in range(4)}) == 4


@pytest.mark.parametrize("method", available(PEERS))
def test_continuous_optimisation_falls_on_standardised_data(method):
    scm = ck.random_scm(12, degree=2.0, mechanism="linear", seed=3, standardise=None)
    raw = scm.sample(1000, seed=1)
    fair = ck.metrics.standardise(raw)
    on_raw, on_fair = (ck.compare(discover(f, method), scm.graph)["shd"] for f in (raw, fair))
    assert on_raw <= 2 and on_fair >= on_raw + 5
    flop = ck.compare(discover(fair, "flop"), scm.graph)["shd_cpdag"]
    assert flop < ck.compare(discover(fair, method), scm.graph)["shd_cpdag"]


@pytest.mark.parametrize("method", PEERS)
def test_a_library_that_is_missing_is_named_with_its_extra(method, monkeypatch):
    for module in list(sys.modules):
        if module.split(".")[0] == PEERS[method]:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, PEERS[method], None)
    with pytest.raises(ValueError, match=f"'{method}' needs {PEERS[method]}.*causalkit-lab\\[peers\\]"):
        discover(FRAME, method)
    with pytest.raises(ValueError, match="causalkit-lab"):
        discover(FRAME, method, limit=60.0)


def test_pc_does_with_fewer_rows_than_variables():
    frame = ck.random_scm(30, degree=1.0, mechanism="linear", seed=0).sample(25, seed=1)
    with pytest.warns(UserWarning, match="number of features"):
        assert discover(frame, "pc", max_condition=2).number_of_nodes() == 30
    with pytest.raises(ValueError, match="25 rows of 30 columns"):
        discover(frame, "flop")
    with pytest.raises(ValueError, match="8 rows are too few to condition on 5"):
        discover(frame.head(8), "pc")


MIXED = FRAME.assign(x4=(FRAME.x4 > 0).astype(int))


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (FRAME, {"method": "hill_climb"}, "'x1' is continuous.*discrete ones"),
        (MIXED, {"method": "hill_climb"}, "'x1' is continuous"),
        (MIXED, {"method": "flop"}, r"'x4' is discrete.*frame.astype\(float\)"),
        (MIXED, {"method": "pc"}, "'x4' is discrete and others are not"),
        (MIXED, {"method": "pc", "test": "gsq"}, "'x1' is continuous, and test 'gsq'"),
        (MIXED, {"method": "fci", "test": "fisherz"}, "'x4' is discrete, and test 'fisherz'"),
        (FRAME, {"method": "pc", "test": "fischer"}, "did you mean 'fisherz'"),
        (FRAME, {"method": "fci", "max_condition": -2}, "max_condition"),
        (FRAME, {"method": "boss", "starts": 0}, "starts 0"),
        (FRAME, {"method": "grasp", "depth": 0}, "depth 0"),
        (FRAME, {"method": "boss", "lambda_bic": -1.0}, "not a positive number"),
        (FRAME, {"method": "boss", "report": print}, "unknown option of method 'boss' 'report'"),
        (FRAME, {"method": "notears", "threshold": -1.0}, "threshold -1.0"),
        (FRAME, {"method": "dagma", "lambda_l1": -1.0}, "lambda_l1 -1.0"),
        (FRAME.assign(x9=2 - 3 * FRAME.y), {"method": "pc"}, "'y', 'x9' are collinear"),
        ([ck.Environment("a", FRAME)], {"method": "flop"}, "reads one frame, and here is a list"),
        (FRAME, {"method": "fci", "knowledge": Knowledge(roots=("x1",))}, "cannot use background knowledge"),
        (FRAME, {"method": "flop", "knowledge": Knowledge(roots=("x9",))}, "'x9'"),
    ],
)
def test_bad_input_is_turned_away(frame, arguments, message):
    with pytest.raises(ValueError, match=message):
        discover(frame, **arguments)


@pytest.mark.parametrize("columns", [["a", "b", "b2"], ["a", "c", "b"]])
def test_discrete_columns_that_say_nothing_are_named(columns):
    rows = np.random.default_rng(0).integers(0, 3, size=(100, 2))
    frame = pd.DataFrame(rows, columns=["a", "b"]).assign(b2=lambda f: f.b, c=1)[columns]
    with pytest.raises(ValueError, match="'b', 'b2' are collinear" if "b2" in columns else "'c' is constant"):
        discover(frame, "hill_climb")


def test_too_many_columns_are_refused_with_an_estimate_of_the_time(monkeypatch):
    monkeypatch.setitem(ABOUT, "empty", replace(ABOUT["empty"], wall=50))
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2000))).add_prefix("v")
    with pytest.raises(ValueError, match="'empty' does 50 variables in a minute, and 2000 take about 44 days or more"):
        discover(frame, "empty")
    assert len(discover(frame, "empty", force=True)) == 2000
    assert len(discover(frame, "empty", limit=60.0)) == 2000
    assert len(discover(frame.iloc[:, :100], "empty")) == 100


def test_knowledge_is_held_by_search_or_afterwards():
    frame = EARTHQUAKE.sample(5000, seed=0)
    for method in ("orders_discrete", "hill_climb", "ges_discrete"):
        known = Knowledge(required=[("JohnCalls", "MaryCalls")], forbidden=[("Alarm", "JohnCalls")])
        graph = discover(frame, method, knowledge=known)
        assert graph.has_edge("JohnCalls", "MaryCalls") and not graph.has_edge("MaryCalls", "JohnCalls")
        assert not graph.has_edge("Alarm", "JohnCalls")
    graph = discover(FRAME, "flop", knowledge=Knowledge(roots=("x1",)))
    assert ("x1", "x4") in graph.edges and ("x4", "x1") not in graph.edges


def test_a_method_of_ones_own_needs_no_entry_beside_it(monkeypatch):
    monkeypatch.setitem(METHODS, "own", lambda frame, *, seed, depth=1: nx.DiGraph([("x1", "y")], kind="dag"))
    assert edges(discover(MIXED, "own", depth=2)) == {("x1", "y")}
    assert methods().loc["own", "data"] == "any"
    assert discover(FRAME, "own", knowledge=Knowledge(forbidden=[("x1", "y")])).number_of_edges() <= 1
    with pytest.raises(ValueError, match="Known: depth"):
        discover(FRAME, "own", dept=2)


def test_kernel_test_reads_any_data():
    chain = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: x[:, 0] ** 2, scale=0.3)})
    frame = chain.sample(120, seed=0).assign(z=np.random.default_rng(0).integers(0, 2, 120))
    assert edges(pc(frame, seed=0, test="kci")) == {("x", "y"), ("y", "x")}


def test_the_walls_are_sizes_that_were_tried():
    assert {about.wall for about in catalogue.ABOUT.values()} <= {10, 20, 50, 100, 200, 500, None}
