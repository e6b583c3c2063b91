import networkx as nx
import pytest

import causalkit as ck
from causalkit.identification.admg import admg, relevant
from causalkit.identification.complete import Hedge, formula
from causalkit.identification.estimand import Estimand
from causalkit.identification.expressions import Probability, evaluate, free
from causalkit.identification.verify import TooLarge, gap, law, random_discrete

from .made_questions import drawn

parse, textbook = ck.graphs.parse, ck.graphs.textbook
P = Probability


@pytest.mark.parametrize("bows", [True, False])
def test_every_estimand_is_right_and_what_is_not_identifiable_says_why(bows):
    strategies, hedges = set(), 0
    for seed in range(50):
        graph, question = drawn(1000 + seed, bows=bows)
        part = relevant(graph, {*question.of, *question.do, *question.given})
        try:
            found = ck.identify(graph, question.of, question.do, question.given)
        except ck.NotIdentifiable as error:
            hedges += 1
            assert isinstance(formula(admg(part), question.of, question.do, question.given), Hedge)
            check_hedge(part, question, error)
            continue
        strategies.add(found.strategy)
        assert found.verified < 1e-9 and set(found.question.of) == set(question.of)
        assert not {v for v, hidden in graph.nodes(data="hidden") if hidden} & free(found.expression)
        for levels in (2, dict.fromkeys(list(part)[::2], 3)):  # tables that it has not been verified on
            assert found.verify(random_discrete(part, levels=levels, seed=100 + seed)) < 1e-9
        assert found.steps and found.steps[-1].expression == found.expression
    assert {"back-door", "id", "idc"} <= strategies and hedges >= 5


def check_hedge(graph, question, error):
    larger, smaller = map(set, error.hedge)
    mixed = admg(graph)
    assert smaller < larger and larger - smaller
    for part in (larger, smaller):
        assert mixed.district(min(part), part) == part  # held together by hidden common causes
    assert larger & {*question.do, *question.given} and not smaller & set(question.do)
    for hidden in error.measure:
        seen = nx.DiGraph(graph)
        seen.nodes[hidden]["hidden"] = False
        ck.identify(seen, question.of, question.do, question.given)  # does not raise


@pytest.mark.parametrize(
    ("name", "strategy", "using", "text"),
    [
        ("confounder", "back-door", ("z",), "sum_{z} P(y | x, z) P(z)"),
        ("mediator", "back-door", (), "P(y | x)"),
        ("front_door", "front-door", ("m",), "sum_{m} P(m | x) sum_{x'} P(y | m, x') P(x')"),
        ("napkin", "id", (), "[sum_{w} P(w) P(y, x | w, z)] / [sum_{w} P(w) P(x | w, z)]"),
        ("m_bias", "no effect", (), "P(y)"),
        ("collider", "no effect", (), "P(y)"),
    ],
)
def test_textbook_graphs(name, strategy, using, text):
    found = ck.identify(textbook(name), outcome="y", do=["x"])
    assert (found.strategy, found.using, str(found.expression)) == (strategy, using, text)


@pytest.mark.parametrize("name", ["bow", "instrument"])
def test_the_bow_is_not_identifiable_with_or_without_an_instrument(name):
    with pytest.raises(ck.NotIdentifiable, match="not identifiable") as caught:
        ck.identify(textbook(name), "y", "x")
    assert caught.value.hedge == (("x", "y"), ("y",)) and caught.value.measure == ("u_x_y",)
    assert "measure u_x_y" in str(caught.value) and "an experiment on x" in str(caught.value)
    assert ("z is an instrument" in str(caught.value)) == (name == "instrument")


def test_a_strategy_may_be_asked_for():
    graph = parse("c -> x -> m -> y; c -> y")
    texts = {m: str(ck.identify(graph, "y", "x", method=m).expression) for m in ("back-door", "front-door", "id")}
    assert texts["back-door"] == "sum_{c} P(y | x, c) P(c)"
    assert texts["front-door"] == "sum_{m} P(m | x) sum_{x'} P(y | m, x') P(x')"
    assert texts["id"] == "sum_{c, m} P(c) P(m | x) P(y | c, m)"
    with pytest.raises(ck.NotIdentifiable, match="it is identifiable otherwise, drop method='front-door'"):
        ck.identify(textbook("napkin"), "y", "x", method="front-door")
    with pytest.raises(ck.NotIdentifiable, match="no front-door formula"):
        ck.identify(parse("y -> x"), "y", "x", method="front-door")
    with pytest.raises(ValueError, match="unknown method 'backdoor'; did you mean 'back-door'"):
        ck.identify(graph, "y", "x", method="backdoor")


def test_several_outcomes_treatments_and_conditions():
    graph = parse("a -> x1 -> y1; x1 -> x2 -> y2; a -> y1; x1 <-> y2; g -> y1; g <-> y2")
    found = ck.identify(graph, ["y2", "y1"], ["x2", "x1"], ["g"])
    assert found.do == ("x1", "x2") and set(found.outcome) == {"y1", "y2"}
    assert found.verify(random_discrete(graph, seed=9)) < 1e-9


def test_what_is_known_may_be_an_effect_of_what_is_set():
    graph = parse("x -> y -> g; c -> x; c -> y")
    found = ck.identify(graph, "y", "x", given="g")
    assert found.strategy == "idc" and found.verify(random_discrete(graph, levels=3, seed=2)) < 1e-9


def test_a_ratio_within_the_conditional_formula():
    # the library's own IDC writes its denominator over the one that ID's ratio has
    graph = parse("w -> z -> x -> y; w <-> x; w <-> y")
    found = formula(admg(graph), ["y"], ["x", "w"], ["z"])
    source = law(random_discrete(graph, seed=0))
    assert gap(evaluate(found, source((), "")), evaluate(P(("y",), ("z",), ("x", "w")), source)) < 1e-9


def test_an_scm_is_asked_like_its_graph_and_any_name_will_do():
    names = {"x": "blood pressure", "y": "P(y | x)", "h": "U_1"}
    coin = ck.mechanisms.table({}, [0.3, 0.7])
    copy = ck.mechanisms.table({names["h"]: 2}, [[0.9, 0.1], [0.4, 0.6]])
    both = ck.mechanisms.table({names["h"]: 2, names["x"]: 2}, [[[0.9, 0.1], [0.4, 0.6]], [[0.2, 0.8], [0.5, 0.5]]])
    scm = ck.SCM({names["h"]: coin, names["x"]: copy, names["y"]: both})
    found = ck.identify(scm, names["y"], names["x"])
    assert found.using == ("U_1",) and found.verify(scm) < 1e-9
    with pytest.raises(ck.NotIdentifiable):
        ck.identify(ck.SCM(dict(scm.mechanisms), hidden=["U_1"]), names["y"], names["x"])


def test_the_same_question_has_the_same_answer_whatever_the_order():
    graph, question = drawn(7)
    first = ck.identify(graph, question.of, question.do)
    assert repr(first) == repr(ck.identify(graph, list(question.of)[::-1], list(question.do)[::-1]))


def test_a_large_graph_is_answered_but_not_verified():
    graph = parse("; ".join(f"z{i} -> x; z{i} -> y" for i in range(16)) + "; x -> y")
    found = ck.identify(graph, "y", "x")
    assert found.verified is None and "Not verified" in repr(found) and len(found.using) == 16


def test_a_wrong_formula_is_caught(monkeypatch):
    import sys

    import causalkit.identification.identify  # noqa: F401

    module = sys.modules["causalkit.identification.identify"]
    monkeypatch.setattr(module, "back_door", lambda *_: (P(("y",), ("x",)), ()))
    with pytest.raises(ck.identification.WrongFormula, match="is off by 0"):
        ck.identify(textbook("confounder"), "y", "x")


def test_verify_sees_what_is_wrong():
    graph = textbook("confounder")
    naive = Estimand(graph, ("y",), ("x",), (), P(("y",), ("x",)), "back-door")
    assert naive.verify(random_discrete(graph, seed=0)) > 1e-3
    right = ck.identify(graph, "y", "x")
    # an SCM of another graph, in which z is an effect of both
    assert right.verify(random_discrete(parse("x -> y -> z; x -> z"), seed=0)) > 1e-3
    with pytest.raises(ValueError, match="'z' is not discrete"):
        right.verify(ck.SCM({"z": ck.linear(), "x": ck.linear({"z": 1.0}), "y": ck.linear({"x": 1.0})}))
    with pytest.raises(TooLarge):
        long = parse("x -> y -> " + " -> ".join(f"z{i}" for i in range(20)))
        ck.identify(long, "y", "x").verify(random_discrete(long, seed=0))


def test_estimands_read_well():
    found = ck.identify(textbook("napkin"), "y", "x")
    assert found.arbitrary == ("z",) and "z may take any value" in repr(found)
    assert found.latex.startswith(r"P(y \mid \mathrm{do}(x)) = \frac{\sum_{w}")
    shown = found._repr_markdown_()
    assert shown.startswith("$$P(y") and "\n1. $" in shown and "rule 2" in shown and "\n8. $" in shown
    assert "Adjustment for z:" in ck.identify(textbook("confounder"), "y", "x")._repr_markdown_()
    assert "[front-door: the front door through m]" in repr(ck.identify(textbook("front_door"), "y", "x"))


@pytest.mark.parametrize(
    ("graph", "question", "message"),
    [
        ("x -> y", {"outcome": "x", "do": "x"}, "'x' is in outcome and in do"),
        ("x -> y", {"outcome": "y", "do": "x", "given": ["y"]}, "'y' is in outcome and in given"),
        ("x -> y; z -> y", {"outcome": "y", "do": ["x", "z"], "given": "z"}, "'z' is in do and in given"),
        ("x -> y", {"outcome": "y", "do": "xx"}, "unknown variable in do 'xx'; did you mean 'x'"),
        ("x -> y; x <-> y", {"outcome": "y", "do": "x", "given": "u_x_y"}, "'u_x_y' in given is hidden"),
        ("x -> y", {"outcome": [], "do": "x"}, "outcome is empty"),
        ("x -> y", {"outcome": "y", "do": ()}, "do is empty"),
    ],
)
def test_bad_questions_are_named(graph, question, message):
    with pytest.raises(ValueError, match=message):
        ck.identify(parse(graph), **question)


def test_bad_graphs_are_named():
    cycle = nx.DiGraph([("x", "y"), ("y", "x")])
    with pytest.raises(ValueError, match="cycle"):
        ck.identify(cycle, "y", "x")
    cycle.graph["kind"] = "cpdag"
    with pytest.raises(ValueError, match="undirected: x - y"):
        ck.identify(cycle, "y", "x")
    with pytest.raises(ValueError, match="this is a PAG"):
        ck.identify(nx.DiGraph([("x", "y")], kind="pag"), "y", "x")
    with pytest.raises(ValueError, match="got str: build one with ck"):
        ck.identify("x -> y", "y", "x")
