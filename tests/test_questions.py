"""Questions: every key is right by enumeration, answers are balanced, marks say why, and the sheet is complete."""

from functools import cache

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
import torch

import causalkit as ck
from causalkit.questions import KINDS, draw, sheet
from tests.test_do_rules import conditional, differ, law, logits, observed

NUMBER = 120


@cache
def some(kind):
    return [draw(kind, seed=seed) for seed in range(NUMBER)]


def test_the_keys_on_rules_are_right_on_random_scms():
    random = np.random.default_rng(0)
    for question in some("rule"):
        gap = differ(question.graph, question.solution, random, draws=3)
        assert (gap < 1e-12) == (question.answer == "yes") and (gap < 1e-12 or gap > 1e-7), question.text


def adjusted(graph, joint, x, y, chosen):
    """sum_z P(y | x, z) P(z)"""
    names = observed(graph)
    given = conditional(graph, joint, [y], given=[x, *chosen])
    weights = conditional(graph, joint, chosen) if chosen else torch.ones([1] * joint.ndim)
    return (given * weights).sum([names.index(v) for v in chosen], keepdim=True) if chosen else given


def test_the_keys_on_adjustment_sets_are_right_on_random_scms():
    random = np.random.default_rng(1)
    for question in some("adjustment"):
        graph, (x,), (y,) = question.graph, question.parts["X"], question.parts["Y"]
        right = []
        for option in question.options[:-1]:
            chosen = [] if option == "the empty set" else option.strip("{}").split(", ")
            gaps = []
            for _ in range(3):
                tables = logits(graph, random)
                truth = conditional(graph, law(graph, tables, [x]), [y], do=[x])
                gaps.append(float((adjusted(graph, law(graph, tables), x, y, chosen) - truth).abs().max()))
            assert max(gaps) < 1e-12 or max(gaps) > 1e-7
            right += [option] if max(gaps) < 1e-12 else []
        assert (right or ["none of these"]) == [question.answer], question.text


def freedom(graph, of, do, random, given=(), levels=4):
    """How far P(of | do, given) can move while the distribution of what is observed stands still, at a random SCM.

    The share of its gradient, in the SCM's parameters, that is not in the span of the gradients of P(observed): 0 where
    the effect is a function of it, and otherwise not. So this decides identifiability without any graph algorithm.
    """
    tables = logits(graph, random, levels)

    def told(*parts):
        found = dict(zip(tables, parts, strict=True))
        effect = conditional(graph, law(graph, found, do), of, do, given)
        return torch.cat([law(graph, found).flatten(), effect.flatten()])

    parts = torch.autograd.functional.jacobian(told, tuple(tables.values()), vectorize=True)
    gradients = torch.cat([part.flatten(1) for part in parts], 1)
    seen, effect = gradients.split([2 ** len(observed(graph)), len(gradients) - 2 ** len(observed(graph))])
    basis, size, _ = torch.linalg.svd(seen.T, full_matrices=False)
    basis = basis[:, size > 1e-9 * size[0]]
    return float((effect.T - basis @ (basis.T @ effect.T)).norm() / effect.norm())


def test_the_keys_on_identifiability_are_right_by_the_gradients_of_what_is_observed():
    random = np.random.default_rng(2)
    for question in some("identifiable"):
        free = freedom(question.graph, question.parts["Y"], question.parts["X"], random)
        assert free < 1e-6 if question.answer == "yes" else free > 1e-4, (question.text, question.arrows, free)


def test_the_gradients_know_the_textbook():
    random = np.random.default_rng(3)
    known = {"bow": False, "instrument": False, "front_door": True, "napkin": True, "back_door": True, "m_bias": True}
    for name, identifiable in known.items():
        free = freedom(ck.graphs.textbook(name), ["y"], ["x"], random)
        assert (free < 1e-6) == identifiable, (name, free)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_balanced_and_do_not_give_themselves_away(kind):
    questions = some(kind)
    places = [question.options.index(question.answer) for question in questions]
    share = np.bincount(places, minlength=len(questions[0].options)) / NUMBER
    assert abs(share - 1 / len(share)).max() < 0.12, share
    assert len({(q.text, q.arrows) for q in questions}) > 0.95 * NUMBER
    for question in questions[:10]:
        assert "answer" not in repr(question) and "why" not in repr(question)


def test_rules_are_asked_equally_often():
    numbers = [question.solution.rule for question in some("rule")]
    assert min(map(numbers.count, (1, 2, 3))) > 0.2 * NUMBER


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_marks_every_option_and_says_why(kind):
    for question in some(kind)[:30]:
        right = question.mark(question.answer)
        assert right and right.correct and right.why
        for option in question.options:
            marked = question.mark(option)
            assert bool(marked) == (option == question.answer) and right.why in marked.why
        with pytest.raises(ValueError, match="unknown answer 'maybe'"):
            question.mark("maybe")


def test_the_reason_names_what_is_wrong_with_a_set():
    said = {mark.why.split(".")[0] for q in some("adjustment") for o in q.options[:3] if not (mark := q.mark(o))}
    for words in ("leaves open a path that is not causal", "is on a causal path", "is an effect of", "the outcome"):
        assert any(words in why for why in said), words


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_asks_the_same(kind):
    one, two = draw(kind, seed=7), draw(kind, seed=7)
    assert (one.text, one.arrows, one.options, one.answer) == (two.text, two.arrows, two.options, two.answer)
    assert one.text != draw(kind, seed=8).text


def test_a_graph_of_ones_own():
    graph = ck.graphs.textbook("back_door")
    for kind in ("rule", "adjustment"):
        texts = {draw(kind, seed=seed, graph=graph).text for seed in range(10)}
        assert len(texts) > 3
        assert all(draw(kind, seed=seed, graph=graph).graph is graph for seed in range(3))
    both = ck.graphs.parse("x -> m -> y; x <-> y; a -> b -> y; a <-> b")
    assert {draw("identifiable", seed=seed, graph=both).answer for seed in range(6)} == {"yes", "no"}
    # the front door has one question of this kind, whatever answer was to be asked for
    assert {draw("identifiable", seed=s, graph=ck.graphs.textbook("front_door")).answer for s in range(4)} == {"yes"}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="unknown kind of question 'rules'; did you mean 'rule'"):
        draw("rules", seed=0)
    for kind in KINDS:
        with pytest.raises(ValueError, match=f"no '{kind}' question was found on this graph that is not trivial"):
            draw(kind, seed=0, graph=ck.graphs.parse("x; y"))
    with pytest.raises(ValueError, match="has a cycle"):
        draw("rule", seed=0, graph=nx.DiGraph([("x", "y"), ("y", "x")]))
    with pytest.raises(ValueError, match="at least one question"):
        sheet([])


def test_the_figure_shows_the_parts_and_once_solved_the_cut_graph():
    question = some("rule")[0]
    ax = question.draw()
    assert {"Y", "Z"} <= {t.get_text() for t in ax.texts}
    plt.close(ax.figure)
    assert question.png() != question.png(solved=True) and question.png().startswith(b"\x89PNG")
    plain = some("adjustment")[0]
    assert plain.png() == plain.png(solved=True)


def test_the_sheet_folds_every_answer():
    questions = [draw(kind, seed=1) for kind in KINDS]
    page = sheet(questions)
    assert page.count("<details><summary>Answer</summary>") == page.count("</details>") == 3
    assert page.count("data:image/png;base64,") == 3 and sheet(questions, figures=False).count("<img") == 0
    for part in page.split("<details>")[1:]:
        assert part.split("</details>")[0].strip()
    assert page._repr_markdown_() == page
    for question in questions:
        assert question.text.replace(">", "&gt;") in page
        assert question.arrows.replace(">", "&gt;").replace("<-&gt;", "&lt;-&gt;") in page
