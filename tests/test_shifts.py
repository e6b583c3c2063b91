"""Shifts, environments and tasks: what each promises, in numbers; and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck
from causalkit.selection import Selected


@pytest.fixture
def scm():
    """x1, x2 -> y -> z -> w; y has causes and effects, so all four shifts apply."""
    return ck.SCM(
        {
            "x1": ck.linear(),
            "x2": ck.linear(),
            "y": ck.linear({"x1": 1.0, "x2": 1.0}),
            "z": ck.linear({"y": 1.0}, scale=0.5),
            "w": ck.linear({"z": 0.8}),
        }
    )


@pytest.fixture
def root():
    """y -> z: the target is a root."""
    return ck.SCM({"y": ck.linear(), "z": ck.linear({"y": 1.0}), "e": ck.linear()})


def slopes(frame, target, on):
    design = np.column_stack([frame[list(on)], np.ones(len(frame))])
    return np.linalg.lstsq(design, frame[target], rcond=None)[0]


def test_covariate_moves_the_root_causes_and_leaves_y_given_its_causes(scm):
    shift = ck.shifts.covariate("y", strength=2.0, direction=-1)
    assert shift.changed(scm) == ("x1", "x2")
    frame = shift(scm).sample(50_000, seed=0)
    assert frame["x1"].mean() == pytest.approx(-2, abs=0.03)
    np.testing.assert_allclose(slopes(frame, "y", ["x1", "x2"]), [1, 1, 0], atol=0.05)
    assert ck.shifts.covariate("y", strength=1.0, on=["x2"]).changed(scm) == ("x2",)


def test_concept_moves_y_given_its_causes(scm):
    frame = ck.shifts.concept("y", strength=2.0, direction=-1)(scm).sample(50_000, seed=0)
    np.testing.assert_allclose(slopes(frame, "y", ["x1", "x2"]), [-1, -1, 0], atol=0.03)


def test_concept_and_spurious_turn_slopes_about_the_means():
    """With means far from 0, only the dependence turns: the means of target and child stay where they are."""
    scm = ck.SCM({"x": ck.linear(intercept=5.0), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
    before = scm.sample(20_000, seed=1).mean()
    for kind, cause, effect in (("concept", "x", "y"), ("spurious", "y", "z")):
        shift = ck.SHIFTS[kind]("y", strength=1.5, direction=-1)
        frame = shift(scm).sample(20_000, seed=1)
        assert slopes(frame, effect, [cause])[0] == pytest.approx(-0.5, abs=0.03)
        np.testing.assert_allclose(frame.mean(), before, atol=0.03)
        twice = shift(shift(scm)).sample(20_000, seed=1)
        assert slopes(twice, effect, [cause])[0] == pytest.approx(0.25, abs=0.03)


def test_spurious_moves_the_effects_and_leaves_y_given_its_causes(scm):
    shift = ck.shifts.spurious("y", strength=0.5)
    assert shift.changed(scm) == ("z",)
    frame = shift(scm).sample(50_000, seed=0)
    np.testing.assert_allclose(slopes(frame, "z", ["y"]), [1.5, 0], atol=0.02)
    np.testing.assert_allclose(slopes(frame, "y", ["x1", "x2"]), [1, 1, 0], atol=0.03)
    before = slopes(scm.sample(50_000, seed=0), "y", ["x1", "x2", "z"])
    assert np.abs(slopes(frame, "y", ["x1", "x2", "z"]) - before).max() > 0.1  # P(y | all) moves


def test_label_on_a_target_with_causes_moves_its_mean_and_keeps_the_rest_given_it(scm):
    shift = ck.shifts.label("y", strength=1.0)
    selected = shift(scm)
    assert isinstance(selected, Selected)
    frame, original = selected.sample(20_000, seed=0), scm.sample(20_000, seed=1)
    sd = original["y"].std()
    assert (frame["y"].mean() - original["y"].mean()) / sd == pytest.approx(1.0, abs=0.1)
    for v in ("x1", "x2", "z", "w"):  # P(v | y) stands: same slope, same distribution of residuals
        fitted = slopes(original, v, ["y"])
        np.testing.assert_allclose(slopes(frame, v, ["y"]), fitted, atol=0.04)
        residuals = [f[v] - fitted[0] * f["y"] - fitted[1] for f in (frame, original)]
        assert stats.ks_2samp(*residuals).pvalue > 1e-3
    assert abs(frame["y"].skew()) < 0.2


def test_label_on_a_root_is_a_mechanism_change(root):
    shifted = ck.shifts.label("y", strength=1.5)(root)
    assert isinstance(shifted, ck.SCM)
    frame = shifted.sample(50_000, seed=0)
    assert frame["y"].mean() == pytest.approx(1.5, abs=0.02)
    np.testing.assert_allclose(slopes(frame, "z", ["y"]), [1, 0], atol=0.03)
    assert "P(z, e | y)" in ck.shifts.label("y", strength=1.5).certificate(root).keeps


def test_selected_density_and_weights_agree_with_its_sample(scm):
    selected = ck.shifts.label("y", strength=0.7, direction=-1)(scm)
    frame, original = selected.sample(20_000, seed=0), scm.sample(100_000, seed=1)
    assert selected.weights(original).mean() == pytest.approx(1.0, abs=0.02)
    reweighted = (selected.weights(original) * original["z"]).mean()
    assert frame["z"].mean() == pytest.approx(reweighted, abs=0.05)
    ratio = selected.log_prob(frame) - scm.log_prob(frame)
    np.testing.assert_allclose(ratio, np.log(selected.weights(frame)), rtol=1e-9)
    pd.testing.assert_frame_equal(selected.sample(50, seed=3), selected.sample(50, seed=3), check_exact=True)


def test_selected_has_no_counterfactuals(scm):
    selected = ck.shifts.label("y", strength=1.0)(scm)
    frame = selected.sample(5, seed=0)
    for call in (
        lambda: selected.do({"x1": 0.0}),
        lambda: selected.abduct(frame),
        lambda: selected.counterfactual(frame, {}),
    ):
        with pytest.raises(ValueError, match="no SCM"):
            call()
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        Selected(scm, lambda f: 2 + 0 * f["y"].to_numpy()).sample(5, seed=0)
    with pytest.raises(ValueError, match="weaken it"):
        Selected(scm, lambda f: (f["y"] > 99).to_numpy(float)).sample(5, seed=0)


def test_certificates(scm, root):
    spurious = ck.shifts.spurious("y", strength=1.0).certificate(scm)
    assert spurious.changed == ("z",) and spurious.keeps == "P(y | x1, x2)"
    assert ("x1", "x2") in spurious.invariant_sets
    assert not any("z" in s or "w" in s for s in spurious.invariant_sets)
    assert spurious.graph.has_edge("E", "z")
    covariate = ck.shifts.covariate("y", strength=1.0).certificate(scm)
    assert ("x1", "x2", "z", "w") in covariate.invariant_sets and ("x1",) not in covariate.invariant_sets
    assert ck.shifts.concept("y", strength=1.0).certificate(scm).invariant_sets == ()
    label = ck.shifts.label("y", strength=1.0).certificate(scm)
    assert label.changed == () and label.graph.has_edge("y", "selected") and "rows are selected" in str(label)
    assert ck.shifts.spurious("y", strength=1.0).certificate(root).keeps == "P(y)"


def test_many_variables_still_get_a_certificate_over_the_markov_blanket():
    scm = ck.SCM(
        {
            **{f"v{i}": ck.linear() for i in range(30)},
            "y": ck.linear({"v0": 1.0}),
            "c": ck.linear({"y": 1.0, "b": 1.0}),
            "b": ck.linear(),
        }
    )
    sets = ck.shifts.covariate("y", strength=1.0).certificate(scm).invariant_sets
    assert ("v0",) in sets and {"v0", "c", "b"} in map(set, sets)  # b, the effect's other cause, is in the blanket
    assert not any("v1" in s for s in sets)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("concept", {}, "'y' is a root.*label shift"),
        ("covariate", {}, "no observed root among its causes.*one or more of: e"),
        ("covariate", {"on": ["z"]}, "child of the target"),
        ("covariate", {"on": ["y"]}, "the target"),
        ("covariate", {"on": ["q"]}, "unknown variable in `on` 'q'"),
        ("spurious", {"on": ["e"]}, "no observed child"),
    ],
)
def test_shifts_that_the_graph_does_not_allow(root, kind, options, message):
    shift = ck.SHIFTS[kind]("y", strength=1.0, **options)
    with pytest.raises(ValueError, match=message):
        shift(root)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.shifts.spurious("y", strength=-1.0), "direction"),
        (lambda: ck.shifts.spurious("y", strength=float("nan")), "strength nan"),
        (lambda: ck.shifts.spurious("y", strength=1.0, direction=0), "direction 0"),
        (lambda: ck.shifts.Shift("spuriuos", "y", 1.0), "did you mean 'spurious'"),
    ],
)
def test_bad_shifts(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_shift_of_an_unknown_target_or_of_no_effects(scm, root):
    with pytest.raises(ValueError, match="unknown target 'yy'; did you mean 'y'"):
        ck.shifts.label("yy", strength=1.0)(scm)
    with pytest.raises(ValueError, match="no observed effects"):
        ck.shifts.spurious("w", strength=1.0)(scm)
    with pytest.raises(ValueError, match="does not listen"):
        ck.shifts.spurious("y", strength=1.0)(scm.do({"z": 0.0}).replace({"z": _constant_child(scm)}))


def _constant_child(scm):
    from dataclasses import replace

    return replace(scm.do({"z": 0.0}).mechanisms["z"], parents=("y",))


def test_environments_have_streams_of_their_own(scm):
    shifts = {"a": None, "b": None, "c": ck.shifts.spurious("y", strength=1.0)}
    a, b, c = ck.sample_environments(scm, shifts, 200, seed=0)
    assert not a.frame.equals(b.frame)
    again = ck.sample_environments(scm, {"b": None}, 200, seed=0)[0]
    assert again.frame.equals(b.frame)  # an environment does not depend on which others there are
    a, b, c = ck.sample_environments(scm, shifts, 200, seed=0, paired=True)
    assert a.frame.equals(b.frame)
    assert a.frame[["x1", "x2", "y"]].equals(c.frame[["x1", "x2", "y"]]) and not a.frame["z"].equals(c.frame["z"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.Task((), "y"), "at least one feature"),
        (lambda: ck.Task(("x", "x"), "y"), "twice"),
        (lambda: ck.Task(("x", "y"), "y"), "among the features"),
        (lambda: ck.Task(("x",), "y", kind="ranking"), "ranking"),
        (lambda: ck.Environment("a", pd.DataFrame({"x": ["1"]})), "environment 'a': column 'x' is not numeric"),
        (lambda: ck.Environment("a", pd.DataFrame({"x": []})), "environment 'a'"),
        (lambda: ck.Environment("a", None), "expected a pandas DataFrame"),
        (lambda: ck.sample_environments(ck.SCM({"x": ck.linear()}), {}, 10, seed=0), "map environment names"),
    ],
)
def test_bad_tasks_and_environments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
