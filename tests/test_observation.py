"""Measurement error and selection as nodes: closed forms of what they do to data, and the truth that stays behind."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck

seeds = st.integers(0, 10**6)
scms = st.builds(
    ck.random_scm,
    st.integers(2, 5),
    degree=st.just(1.0),
    mechanism=st.sampled_from(["linear", "mlp"]),
    seed=seeds,
)
LINE = ck.SCM({"x": ck.linear(scale=2.0), "y": ck.linear({"x": 1.5})})


def slope(frame, cause, effect="y"):
    return frame[cause].cov(frame[effect]) / frame[cause].var()


@given(scms, st.sampled_from(["gaussian", "laplace"]), st.floats(0.01, 10), seeds)
def test_measuring_leaves_the_truth_alone_and_hides_it(scm, noise, scale, seed):
    blurred = ck.measured(scm, "x1", scale=scale, noise=noise)
    assert blurred.variables == (*scm.variables, "x1_measured")
    assert blurred.observed == (*(v for v in scm.variables if v != "x1"), "x1_measured")
    assert set(blurred.graph.edges) == {*scm.graph.edges, ("x1", "x1_measured")}
    frame = blurred.sample(50, seed=seed, hidden=True)
    pd.testing.assert_frame_equal(frame[list(scm.variables)], scm.sample(50, seed=seed))
    error = frame["x1_measured"] - frame["x1"]
    np.testing.assert_allclose(error, blurred.abduct(frame)["x1_measured"])


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_regression_dilution(scale):
    """The slope on a measurement is the true one times var(x) / (var(x) + scale^2), whatever the noise's family."""
    for noise in ("gaussian", "uniform"):
        frame = ck.measured(LINE, "x", scale=scale, noise=noise).sample(100_000, seed=0)
        assert slope(frame, "x_measured") == pytest.approx(1.5 * 4 / (4 + scale**2), abs=0.02)


def test_an_effect_measured_with_error_keeps_its_slope():
    frame = ck.measured(LINE, "y", scale=3.0).sample(100_000, seed=0)
    assert slope(frame, "x", "y_measured") == pytest.approx(1.5, abs=0.02)


def test_two_measurements_undo_the_dilution():
    """One measurement as the instrument of the other: cov(m2, y) / cov(m2, m1) is the slope on the truth."""
    twice = ck.measured(ck.measured(LINE, "x", scale=2.0, called="m1"), "x", scale=1.0, called="m2")
    assert twice.hidden == ("x",) and twice.observed == ("y", "m1", "m2")
    frame = twice.sample(100_000, seed=0)
    assert frame["m2"].cov(frame["y"]) / frame["m2"].cov(frame["m1"]) == pytest.approx(1.5, abs=0.03)


def test_counterfactuals_and_interventions_are_about_the_truth():
    blurred = ck.measured(LINE, "x", scale=1.0)
    frame = blurred.sample(20, seed=0, hidden=True)
    other = blurred.counterfactual(frame, {"x": 1.0})
    np.testing.assert_allclose(other["y"] - frame["y"], 1.5 * (1.0 - frame["x"]))
    np.testing.assert_allclose(other["x_measured"] - 1.0, frame["x_measured"] - frame["x"])  # the same error
    tampered = blurred.counterfactual(frame, {"x_measured": 1.0})
    pd.testing.assert_series_equal(tampered["y"], frame["y"], atol=1e-12)
    with pytest.raises(ValueError, match="hidden variable 'x'"):
        blurred.counterfactual(frame[["y", "x_measured"]], {"x": 1.0})


def test_berkson_two_causes_of_selection_become_dependent():
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear()})
    wider = ck.selected(scm, ck.logistic({"x": 3.0, "y": 3.0}))
    everyone, seen = wider.sample(20_000, seed=0), ck.kept(wider).sample(20_000, seed=0)
    assert abs(everyone["x"].corr(everyone["y"])) < 0.03 and set(everyone["selected"]) == {0, 1}
    assert list(seen.columns) == ["x", "y"] and seen["x"].corr(seen["y"]) < -0.25
    assert abs(ck.kept(wider.do({"x": 0.0})).sample(5_000, seed=0)["y"].mean()) > 0.5


def test_selection_by_the_outcome_biases_the_slope_and_by_the_cause_does_not():
    by_outcome, by_cause = (ck.kept(ck.selected(LINE, ck.logistic({v: 2.0}))) for v in ("y", "x"))
    assert slope(by_outcome.sample(50_000, seed=0), "x") < 1.4
    assert slope(by_cause.sample(50_000, seed=0), "x") == pytest.approx(1.5, abs=0.02)


def cut(threshold=0.0):
    """A selection without stated chances: 1 where y and noise together exceed a threshold."""
    return ck.mechanisms.function(lambda parents, u: (parents[:, 0] + u > threshold).double(), ["y"])


def test_chances_and_drawn_values_select_alike():
    """P(y + u > 0) with logistic u is the logistic function: both ways of keeping rows make the same population."""
    drawn = ck.mechanisms.function(
        lambda p, u: (u > -2 * p[:, 0]).double(), ["y"], noise="gaussian", scale=1.702
    )  # the logistic function is about the normal distribution's with this standard deviation, within 0.01
    frames = [ck.kept(ck.selected(LINE, m)).sample(50_000, seed=0) for m in (ck.logistic({"y": 2.0}), drawn)]
    assert list(frames[0].columns) == list(frames[1].columns) == ["x", "y"]
    np.testing.assert_allclose(frames[0].mean(), frames[1].mean(), atol=0.06)
    np.testing.assert_allclose(frames[0].cov(), frames[1].cov(), atol=0.12)


def test_rows_are_those_in_which_the_node_is_one():
    wider = ck.selected(LINE, cut(), called="s")
    rows = ck.kept(wider, "s").sample(500, seed=0, hidden=True)
    assert (rows["s"] == 1).all() and ck.kept(wider, "s").mass == pytest.approx(0.5, abs=0.005)
    listened = ck.selected(ck.selected(LINE, ck.logistic({"y": 1.0})), ck.logistic({"selected": 1.0}), called="later")
    assert (ck.kept(listened).sample(500, seed=0, hidden=True)["selected"] == 1).all()


@settings(max_examples=10)
@given(st.floats(-2, 2), st.floats(-1, 1), seeds)
def test_the_density_of_what_is_kept(weight, intercept, seed):
    """log p(x | s = 1) = log p(x) + log P(s = 1 | x) - log P(s = 1), and the last is the share of ones."""
    wider = ck.selected(LINE, ck.logistic({"y": weight}, intercept=intercept))
    seen, frame = ck.kept(wider), LINE.sample(200, seed=seed)
    joint = wider.log_prob(frame.assign(selected=1))
    np.testing.assert_allclose(seen.log_prob(frame), joint - np.log(seen.mass), atol=1e-9)
    assert seen.mass == pytest.approx(wider.sample(50_000, seed=seed)["selected"].mean(), abs=0.012)


def test_inverse_weights_bring_the_population_back():
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.5})})
    seen = ck.kept(ck.selected(scm, ck.logistic({"y": 1.0})))
    frame = seen.sample(100_000, seed=0)
    assert frame["y"].mean() > 0.8
    weights = 1 / seen.weights(frame)
    assert np.average(frame["y"], weights=weights) == pytest.approx(0, abs=0.06)
    assert np.polyfit(frame["x"], frame["y"], 1, w=np.sqrt(weights))[0] == pytest.approx(1.5, abs=0.05)


def test_the_population_behind_the_selection_answers_counterfactuals():
    wider = ck.selected(LINE, ck.logistic({"y": 2.0}))
    frame = wider.sample(200, seed=0)
    same = wider.counterfactual(frame, {"x": frame["x"]}, seed=1)
    pd.testing.assert_frame_equal(same, frame, check_dtype=False)
    high = wider.counterfactual(frame, {"x": 100.0}, seed=1)
    assert (high["selected"] == 1).all(), "with y so high everyone is selected"
    with pytest.raises(ValueError, match="before selection"):
        ck.kept(wider).counterfactual(frame, {"x": 0.0})


def test_measured_selected_and_hidden_work_together():
    scm = ck.random_scm(4, graph=ck.graphs.parse("a -> x -> y; x <-> y"), mechanism="linear", seed=0)
    seen = ck.kept(ck.selected(ck.measured(scm, "x", scale=0.5), ck.logistic({"x_measured": 1.0})))
    assert list(seen.sample(10, seed=0).columns) == ["a", "y", "x_measured"]
    assert {"x", "u_x_y"} <= set(seen.sample(10, seed=0, hidden=True).columns)
    coin = ck.kept(ck.selected(scm, ck.logistic({}, intercept=-1.0)))
    assert coin.mass == pytest.approx(1 / (1 + np.e), abs=1e-9)
    environments = ck.sample_environments(scm, {"all": None, "some": lambda world: seen}, 50, seed=0)
    assert len(environments[1].frame) == 50


@pytest.mark.parametrize(
    "act, words",
    [
        (lambda: ck.measured(LINE, "z", scale=1.0), "unknown variable 'z'"),
        (lambda: ck.measured(LINE, "x", scale=0.0), "scale 0.0 is not a positive"),
        (lambda: ck.measured(LINE, "x", scale=-1.0), "is not a positive"),
        (lambda: ck.measured(LINE, "x", scale=1.0, noise="gausian"), "did you mean 'gaussian'"),
        (lambda: ck.measured(LINE, "x", scale=1.0, called="y"), "has a variable 'y' already"),
        (lambda: ck.measured(ck.SCM({"x": ck.logistic()}), "x", scale=1.0), "'x' is discrete"),
        (lambda: ck.measured(LINE.graph, "x", scale=1.0), "expected an SCM, got DiGraph"),
        (lambda: ck.selected(LINE, ck.logistic({"z": 1.0})), "unknown parent of 'selected' 'z'"),
        (lambda: ck.selected(LINE, ck.logistic({"y": 1.0}), called="x"), "has a variable 'x' already"),
        (lambda: ck.selected(LINE, ck.linear({"y": 1.0})), "a selection node is 0 or 1"),
        (lambda: ck.selected(LINE, ck.mechanisms.softmax({}, [9.0, 0.0, -9.0])), "'selected' has 3 levels"),
        (lambda: ck.selected(ck.kept(ck.selected(LINE, cut())), cut()), "got Selected: add nodes before"),
        (lambda: ck.kept(LINE), "unknown selection node 'selected'"),
        (lambda: ck.kept(LINE, "y"), "a selection node is 0 or 1"),
        (lambda: ck.kept(LINE.graph), "expected an SCM"),
    ],
)
def test_bad_input_is_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()


def test_a_selection_that_keeps_nobody_says_so():
    with pytest.raises(ValueError, match="weaken it"):
        ck.kept(ck.selected(LINE, cut(1e6))).sample(1, seed=0)
