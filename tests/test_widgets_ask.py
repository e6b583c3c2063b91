"""The widget that answers causal questions on a graph drawn from a list or typed in."""

import html
from types import SimpleNamespace

import networkx as nx
import pytest

import causalkit as ck


def parts(box):
    row, text, picture, words = box.children
    named, outcome, do, given = row.children
    return SimpleNamespace(named=named, outcome=outcome, do=do, given=given, text=text, picture=picture, words=words)


def test_it_says_what_identify_says():
    it = parts(ck.widgets.ask("front_door"))
    found = ck.identify(ck.graphs.textbook("front_door"), "y", "x")
    assert html.escape(found.latex) in it.words.value and bytes(it.picture.value).startswith(b"\x89PNG")
    assert it.words.value.count("<p>") == 3 + len(found.steps)
    assert (it.outcome.value, it.do.value, it.given.value, it.text.value) == (
        "y",
        "x",
        "(nothing)",
        "x -> m -> y; x <-> y",
    )


def test_choosing_a_graph_and_changing_the_question_changes_the_answer():
    it = parts(ck.widgets.ask("front_door"))
    said = [it.words.value]
    it.named.value = "bow"
    said.append(it.words.value)
    assert "not identifiable" in it.words.value and it.text.value == ck.graphs.TEXTBOOK["bow"]
    it.named.value = "confounder"
    said.append(it.words.value)
    it.given.value = "z"
    said.append(it.words.value)
    it.do.value, it.given.value = "z", "(nothing)"
    said.append(it.words.value)
    assert len(set(said)) == len(said)


def test_a_typed_graph_keeps_the_question_and_is_nobodys_by_name():
    it = parts(ck.widgets.ask("confounder"))
    it.text.value = "z -> x -> y; z <-> y; z -> k"
    assert it.named.value == "(typed below)" and (it.outcome.value, it.do.value) == ("y", "x")
    assert it.given.options == ("(nothing)", "z", "x", "y", "k")
    it.text.value = "a -> b"  # y and x are gone
    assert (it.outcome.value, it.do.value) == ("b", "a") and "P(b \\mid a)" in it.words.value


@pytest.mark.parametrize(
    ("typed", "said"),
    [("x -> ", "x -"), ("x -> y -> x", "cycle"), ("x", "two variables"), ("", "")],
)
def test_what_is_wrong_with_a_typed_graph_is_said_and_can_be_mended(typed, said):
    it = parts(ck.widgets.ask("confounder"))
    before = it.words.value
    it.text.value = typed
    assert (
        'role="status"' in it.words.value and it.words.value != before and said in it.words.value.replace("&gt;", ">")
    )
    it.text.value = "x -> y; x <-> y"
    assert "not identifiable" in it.words.value and it.picture.layout.display is None


def test_a_question_that_makes_no_sense_is_refused_in_words():
    it = parts(ck.widgets.ask("confounder"))
    it.do.value = "y"
    assert "in outcome and in do" in it.words.value
    it.do.value = "x"
    assert "Adjustment for z" in it.words.value


def test_a_dag_is_taken_with_its_hidden_causes_and_its_lone_variables():
    graph = ck.graphs.parse("x -> y; x <-> y")
    graph.add_node("k")
    it = parts(ck.widgets.ask(graph))
    again = ck.graphs.parse(it.text.value)
    assert ck.graphs.project(again)[1] == {frozenset("xy")} and "k" in again and "not identifiable" in it.words.value


def test_what_is_typed_cannot_write_html():
    it = parts(ck.widgets.ask("confounder"))
    it.text.value = "<b>x</b> -> y"
    assert "<b>" not in it.words.value


@pytest.mark.parametrize(
    ("graph", "options", "said"),
    [("bow", {"outcome": "z"}, "no observed variable"), ("bow", {"do": "u_x_y"}, "no observed variable")],
)
def test_bad_arguments_are_refused(graph, options, said):
    with pytest.raises(ValueError, match=said):
        ck.widgets.ask(graph, **options)
    with pytest.raises(ValueError):
        ck.widgets.ask(nx.DiGraph([("x", "y"), ("y", "x")]))
