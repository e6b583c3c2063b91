"""Certificates: what the graph promises, on graphs whose answer is known; and how it reads."""

import re

import numpy as np
import pytest

import causalkit as ck
from causalkit.mechanisms import function, linear
from causalkit.shifts.stable import information


def drawn(text, seed=0, mechanism="linear"):
    """A random SCM on this graph; h, h1, h2, ... are hidden."""
    graph = ck.graphs.parse(text)
    hidden = [v for v in graph if re.fullmatch(r"h\d*", v)]
    return ck.random_scm(len(graph), graph=graph, mechanism=mechanism, hidden=hidden, seed=seed)


def sets(certificate):
    return {frozenset(s) for s in certificate.invariant_sets}


def of(*names):
    return {frozenset(n) for n in names}


# --- known graphs


@pytest.mark.parametrize(
    ("text", "shift", "stable_sets", "best", "suffice"),
    [
        # the fork, the chain and the collider
        ("x -> y; y -> z", ck.shifts.spurious("y", strength=1.0), of("", "x"), ("x",), True),
        ("x -> y; y -> z", ck.shifts.covariate("y", strength=1.0), of("x", "xz"), ("x", "z"), True),
        ("x -> y; y -> z", ck.shifts.concept("y", strength=1.0), of(), None, False),
        # b points at the moved child: conditioning on the child opens nothing that leads away from E
        ("y -> c; b -> c", ck.shifts.spurious("y", strength=1.0), of("", "b"), (), True),
        # a moved variable that y does not hear of, but for their common effect
        ("x -> c; y -> c", ck.shifts.soft("x", strength=1.0, target="y"), of("", "x", "cx"), ("x", "c"), True),
        # M-bias: z and x are harmless apart; together they open the way from E through the hidden h1 and h2 to y
        ("h1 -> x; h1 -> z; h2 -> z; h2 -> y", ck.shifts.soft("x", strength=1.0, target="y"), of("", "z", "x"),
         ("z",), False),
        ("h1 -> x; h1 -> z; h2 -> z; h2 -> y; x -> y", ck.shifts.soft("x", strength=1.0, target="y"), of("x"),
         ("x",), False),
        # a confounder that cannot be seen: the cause alone is not enough, for it is a collider of E and h
        ("x -> y; h -> x; h -> y", ck.shifts.soft("x", strength=1.0, target="y"), of(), None, False),
        # ... but a moved cause further up is, if something that can be seen shuts its way
        ("w -> x; x -> y; h -> x; h -> y", ck.shifts.covariate("y", strength=1.0), of("w", "wx"), ("w", "x"), False),
        # the front door: m alone is a collider of E and x, behind which the hidden h waits
        ("x -> m; m -> y; h -> x; h -> y", ck.shifts.soft("m", strength=1.0, target="y"), of("mx"),
         ("x", "m"), False),
        ("x -> y; h -> x; h -> y; z -> y", ck.shifts.confounding("y", strength=1.0), of(), None, False),
    ],
)  # fmt: skip
def test_graphs_whose_answer_is_known(text, shift, stable_sets, best, suffice):
    certificate = shift.certificate(drawn(text))
    assert sets(certificate) == stable_sets
    assert certificate.stable is best or set(certificate.stable) == set(best)
    assert certificate.parents_suffice is suffice
    table = certificate.table()
    assert list(table.columns) == ["S", "size", "stable"] and len(table) == 2 ** len(certificate.features)
    assert list(table["size"]) == sorted(table["size"]) and table["stable"].sum() == len(stable_sets)
    assert ("{" + ", ".join(certificate.features) + "}") == table["S"].iloc[-1]


def test_sampling_is_a_child_of_what_drives_it():
    scm = drawn("x -> y; y -> z; z -> w")
    label = ck.shifts.label("y", nats=0.1).certificate(scm)
    assert label.drivers == ("y",) and label.invariant_sets == () and label.stable is None
    assert not label.parents_suffice and label.keeps == "P(x, z, w | y)" and list(label.nats.index) == ["selection"]
    by_w = ck.shifts.selection("y", nats=0.1, on=["w"]).certificate(scm)
    assert sets(by_w) == of("w", "z", "xw", "xz", "zw", "xzw") and set(by_w.stable) == {"x", "z"}
    assert not by_w.parents_suffice and by_w.graph.has_edge("w", "selected")
    by_x = ck.shifts.selection("y", nats=0.1, on=["x"]).certificate(scm)
    assert by_x.parents_suffice and sets(by_x) == of("x", "xz", "xw", "xzw")
    # Berkson: cause and target are independent before they are selected together
    apart = ck.SCM({"x": linear(), "y": linear()})
    assert ck.shifts.selection("y", nats=0.3, on=["x", "y"]).certificate(apart).invariant_sets == ()


def test_a_task_says_what_the_sets_may_hold():
    scm = drawn("x -> y; w -> y; y -> z")
    certificate = ck.shifts.covariate("y", strength=1.0).certificate(scm, ck.Task(("x", "z"), "y"))
    assert certificate.features == ("x", "z") and certificate.invariant_sets == ()
    assert not certificate.parents_suffice  # w is a cause and no feature
    small = ck.shifts.covariate("y", strength=1.0).certificate(scm, max_size=2)
    assert sets(small) == of("xw") and len(small.table()) == 7 and "of the 7 sets S of up to 2" in str(small)


# --- many features


def many(extra=20):
    """y with two causes, a moved and a standing effect, and a crowd that has nothing to do with it."""
    return ck.SCM(
        {
            **{f"v{i}": linear() for i in range(extra)},
            "a": linear(),
            "b": linear({"v0": 1.0}),
            "y": linear({"a": 1.0, "b": 1.0}),
            "moved": linear({"y": 1.0}),
            "after": linear({"moved": 1.0}),
            "stands": linear({"y": 1.0, "v1": 1.0}),
        }
    )


def test_beyond_15_features_a_markov_boundary_is_searched_and_said_to_be():
    certificate = ck.shifts.spurious("y", strength=1.0, on=["moved"]).certificate(many())
    assert len(certificate.features) == 25 and set(certificate.searched) == {"a", "b", "stands", "v1"}
    assert set(certificate.stable) == {"a", "b", "stands", "v1"} and certificate.chosen == "d-separation"
    assert certificate.parents_suffice and len(certificate.table()) == 16
    assert "16 of the 16 sets S of the 25 features' Markov boundary that the shift leaves alone" in str(certificate)
    moved_cause = ck.shifts.covariate("y", strength=1.0, on=["a"]).certificate(many())
    assert all("a" in s for s in moved_cause.invariant_sets) and "moved" in moved_cause.stable


def test_more_causes_than_can_be_searched_are_cut():
    causes = {f"x{i}": linear() for i in range(18)}
    scm = ck.SCM({**causes, "y": linear(dict.fromkeys(causes, 1.0)), "z": linear({"y": 1.0})})
    certificate = ck.shifts.spurious("y", strength=0.5).certificate(scm, max_size=0)
    assert len(certificate.searched) == 15 and certificate.parents_suffice
    assert certificate.invariant_sets == ((),) and "1 of the 1 sets S of up to 0 of the 19" in str(certificate)


# --- where the graph leaves several


def test_a_tie_is_decided_by_an_estimate():
    """Either cause alone is stable, and the graph does not say which tells more."""
    scm = ck.SCM({"a": linear(), "b": linear(), "y": linear({"a": 0.3, "b": 2.0}), "z": linear({"y": 1.0})})
    certificate = ck.shifts.spurious("y", strength=1.0).certificate(scm, max_size=1)
    assert certificate.chosen == "estimate" and certificate.stable == ("b",)
    assert "most informative of them (by an estimate): {b}" in str(certificate)


def test_information_of_gaussian_and_discrete_targets():
    scm = ck.SCM({"x": linear(), "w": linear(), "y": linear({"x": 1.0}), "c": ck.logistic({"x": 3.0})})
    assert information(scm, "y", ["x"]) == pytest.approx(0.5 * np.log(2), abs=0.05)
    assert information(scm, "y", ["w"]) < 0.02 and information(scm, "y", []) == 0.0
    assert information(scm, "c", ["x"]) > 0.2 > information(scm, "c", ["w"])


# --- how it reads


def test_printed():
    scm = ck.SCM({"x": linear(), "y": linear({"x": 1.0}), "z": linear({"y": 1.0}), "w": linear({"y": 1.0})})
    assert str(ck.shifts.spurious("y", strength=0.5, on=["z"]).certificate(scm)) == (
        "spurious shift of y, strength 0.5: 0.25 nats (se 0.001)\n"
        "  changed mechanisms: z 0.25\n"
        "  keeps: P(y | x)\n"
        "  P(y | S) stands for 4 of the 8 sets S: {}, {x}, {w}, {x, w}\n"
        "  most informative of them: {x, w}; P(y | its causes) stands"
    )


def test_each_mechanism_has_its_nats_and_they_add():
    scm = ck.SCM({"x": linear(), "w": linear(), "y": linear({"x": 1.0, "w": 1.0})})
    certificate = ck.shifts.soft(["x", "w"], nats=0.6, target="y").certificate(scm)
    assert certificate.nats["nats"].tolist() == pytest.approx([0.3, 0.3]) and certificate.total == pytest.approx(0.6)
    assert certificate.strength == pytest.approx(0.6**0.5)
    assert "changed mechanisms: x 0.3, w 0.3" in str(certificate)


def test_without_a_density_the_graph_still_speaks():
    scm = ck.SCM({"x": linear(), "y": function(lambda x, u: x[:, 0] * u.round(), ["x"]), "z": linear({"y": 1.0})})
    certificate = ck.shifts.soft("y", strength=1.0, target="z").certificate(scm)
    assert "nats not known" in str(certificate) and np.isnan(certificate.total)
    assert sets(certificate) == of("y", "yx")


def test_no_strength_no_nats():
    scm = drawn("x -> y; y -> z")
    for kind in ("covariate", "label", "concept", "spurious", "selection"):
        certificate = ck.SHIFTS[kind]("y", strength=0.0).certificate(scm)
        assert certificate.total == 0 and "strength 0: 0 nats" in str(certificate)


# --- do, replace, compose


def test_an_intervention_is_infinitely_far_and_cuts_its_variable_off():
    scm = drawn("x -> y; y -> z")
    certificate = ck.shifts.do({"z": 0.0}).certificate(scm, ck.Task(("x", "z"), "y"))
    assert certificate.total == np.inf and sets(certificate) == of("", "x") and "inf nats" in str(certificate)


def test_a_replacement_with_new_causes_is_judged_by_the_arrows_before_and_after():
    """x and w are causes of y; once x hears w, P(y | x) is another, though x's mechanism alone moved."""
    scm = ck.SCM({"x": linear(), "w": linear(), "y": linear({"x": 1.0, "w": 1.0})})
    shift = ck.shifts.replace({"x": linear({"w": 2.0})})
    certificate = shift.certificate(scm, ck.Task(("x", "w"), "y"))
    assert sets(certificate) == of("xw")
    assert certificate.graph.has_edge("w", "x")
    # and where they make a cycle, no graph says what stands
    turned = ck.shifts.replace({"y": linear(), "x": linear({"y": 1.0})})
    with pytest.raises(ValueError, match="cycle"):
        turned.certificate(scm, ck.Task(("x", "w"), "y"))


def test_a_composed_certificate_promises_no_more_than_its_parts():
    scm = drawn("x -> y; y -> z")
    covariate, spurious = ck.shifts.covariate("y", nats=0.2), ck.shifts.spurious("y", nats=0.2)
    label = ck.shifts.label("y", nats=0.2)
    both = ck.shifts.compose(covariate, spurious).certificate(scm)
    assert both.changed == ("x", "z") and sets(both) == of("x") and both.keeps == "P(y | x)"
    assert both.total == pytest.approx(0.4, rel=0.02) and list(both.nats.index) == ["x", "z"]
    then = ck.shifts.compose(covariate, label).certificate(scm)
    assert then.drivers == ("y",) and then.changed == ("x",) and then.invariant_sets == ()
    assert "P(x, z | y)" not in then.keeps  # a moved P(x) moves it
    assert set(then.nats.index) == {"selection", "x"}
    nested = ck.shifts.compose(covariate, ck.shifts.compose(label))
    assert nested.certificate(scm).drivers == ("y",) and nested.changed(scm) == ("x",)


# --- what is refused


def test_refusals():
    scm = drawn("x -> y; y -> z; h -> y; h -> x")
    task = ck.Task(("x",), "y")
    shifts = ck.shifts
    for make, message in (
        (lambda: shifts.spurious("h", nats=0.1).certificate(scm), "the target 'h' is hidden.*take one of y|x|z"),
        (lambda: shifts.selection("h", nats=0.1).certificate(scm), "the target 'h' is hidden"),
        (lambda: shifts.soft("x", nats=0.1, target="h").certificate(scm), "the target 'h' is hidden.*an observed one"),
        (lambda: shifts.soft("x", nats=0.1).certificate(scm, ck.Task(("h",), "y")), "the feature 'h' is hidden"),
        (lambda: shifts.soft("x", nats=0.1).certificate(scm, ck.Task(("q",), "y")), "unknown feature 'q'"),
        (lambda: shifts.soft("x", nats=0.1).certificate(scm), r"no target of its own: give the task"),
        (lambda: shifts.spurious("y", nats=0.1).certificate(scm, ck.Task(("y",), "z")), "'y', the task predicts 'z'"),
        (lambda: shifts.do({"q": 0.0}).certificate(scm, task), "unknown variable 'q'"),
        (lambda: shifts.replace({"x": linear({"y": 1.0})}).certificate(scm, task), "cycle"),
        (lambda: shifts.compose(shifts.soft("x", nats=0.1), shifts.soft("y", nats=0.1)).certificate(scm),
         "there is none: give the task"),
        (lambda: shifts.compose(shifts.concept("y", nats=0.1), shifts.label("z", nats=0.1)).certificate(scm),
         "one target, and there is y, z"),
        (lambda: shifts.compose(), "at least one shift"),
        (lambda: shifts.compose(shifts.label("y", nats=0.1), shifts.concept("y", nats=0.1))(scm),
         "put the shift that selects last"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            make()
