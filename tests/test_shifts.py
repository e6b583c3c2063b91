"""Shifts, environments and tasks: what each promises, in numbers; and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck
from causalkit.mechanisms import softmax
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


# --- the kinds beside the four


@pytest.fixture
def confounded():
    """A hidden h behind x and y; w is another cause, z an effect, and c a class that both make."""
    return ck.SCM(
        {
            "h": ck.linear(),
            "w": ck.linear(),
            "x": ck.linear({"h": 0.8}),
            "y": ck.linear({"h": 1.0, "w": 0.7, "x": 0.5}),
            "z": ck.linear({"y": 0.6}),
            "c": softmax({"y": [0.0, 0.7, -0.5], "w": [0.0, 0.4, 0.2]}, [0.2, 0.0, -0.3]),
        },
        hidden=["h"],
    )


def test_confounding_turns_what_is_heard_of_the_hidden_cause_alone(confounded):
    for direction, factor in ((1, 1.5), (-1, 0.5)):
        shift = ck.shifts.confounding("y", strength=0.5, direction=direction)
        assert shift.changed(confounded) == ("x", "y")
        shifted = shift(confounded)
        frame = shifted.sample(50_000, seed=0, hidden=True)
        np.testing.assert_allclose(slopes(frame, "x", ["h"]), [0.8 * factor, 0], atol=0.03)
        np.testing.assert_allclose(slopes(frame, "y", ["h", "w", "x"]), [factor, 0.7, 0.5, 0], atol=0.03)
        np.testing.assert_allclose(slopes(frame, "z", ["y"]), [0.6, 0], atol=0.03)
    deaf = ck.shifts.confounding("y", strength=1.0, direction=-1)(confounded).sample(50_000, seed=0)
    np.testing.assert_allclose(slopes(deaf, "y", ["x", "w"]), [0.5, 0.7, 0], atol=0.03)  # no bias is left


def test_selection_depends_on_its_drivers_and_leaves_what_they_do_not_hear(scm):
    selected = ck.shifts.selection("y", strength=1.5)(scm)
    assert isinstance(selected, Selected) and selected.on == ("y", "x1", "x2")
    frame, original = selected.sample(20_000, seed=0), scm.sample(20_000, seed=1)
    # exponential tilting moves the means of Gaussian variables and, but for its clipping, no covariance
    mild = ck.shifts.selection("y", strength=0.3)(scm).sample(20_000, seed=0)
    np.testing.assert_allclose(mild.cov(), original.cov(), atol=0.15)
    skewed = scm.replace({"x1": ck.linear(noise="exponential"), "x2": ck.linear(noise="exponential")})
    before, after = skewed.sample(20_000, seed=0), ck.shifts.selection("y", strength=1.5)(skewed).sample(20_000, seed=0)
    assert abs(np.corrcoef(before["x1"], before["x2"])[0, 1]) < 0.03
    assert np.corrcoef(after["x1"], after["x2"])[0, 1] < -0.1  # Berkson
    assert frame["y"].mean() > 1 and (frame[["x1", "x2"]].mean() > 0.5).all()
    np.testing.assert_allclose(slopes(frame, "z", ["y"]), slopes(original, "z", ["y"]), atol=0.04)  # z is no driver
    fewer = ck.shifts.selection("y", strength=1.5, direction=-1, on=["x1"])(scm).sample(20_000, seed=0)
    assert fewer["x1"].mean() < -1.2
    np.testing.assert_allclose(slopes(fewer, "y", ["x1", "x2"]), [1, 1, 0], atol=0.05)


@pytest.mark.parametrize(("how", "direction"), [("location", 1), ("gain", -1), ("scale", 1), ("scale", -1)])
def test_soft_interventions_move_what_how_says(scm, how, direction):
    shifted = ck.shifts.soft("y", strength=0.5, how=how, direction=direction)(scm)
    frame = shifted.sample(50_000, seed=0)
    slope, moved = (0.5 if how == "gain" else 1.0), (0.5 if how == "location" else 0.0)
    np.testing.assert_allclose(slopes(frame, "y", ["x1", "x2"]), [slope, slope, moved], atol=0.03)
    spread = (frame["y"] - slope * (frame["x1"] + frame["x2"])).std()
    assert spread == pytest.approx(np.exp(0.5 * direction) if how == "scale" else 1.0, rel=0.02)


def test_shifts_of_discrete_mechanisms_move_their_odds(confounded):
    base = confounded.sample(20_000, seed=0)
    up = ck.shifts.concept("c", strength=0.5, how="location")(confounded).sample(20_000, seed=0)
    assert up["c"].mean() > base["c"].mean() + 0.1 and up.drop(columns="c").equals(base.drop(columns="c"))
    deaf = ck.shifts.concept("c", strength=1.0, direction=-1)(confounded).sample(20_000, seed=0)
    assert abs(np.corrcoef(deaf["c"] == 1, deaf["y"])[0, 1]) < 0.03
    with pytest.raises(ValueError, match="discrete mechanism has no noise scale"):
        ck.shifts.concept("c", strength=0.5, how="scale")(confounded)


def test_do_and_replace_are_shifts(scm):
    task = ck.Task(("x1", "x2", "z", "w"), "y")
    fixed, other = ck.shifts.do({"x1": 2.0}), ck.shifts.replace({"z": ck.linear({"y": -1.0})})
    pd.testing.assert_frame_equal(fixed(scm).sample(50, seed=0), scm.do({"x1": 2.0}).sample(50, seed=0))
    assert fixed.changed(scm) == ("x1",) and other.changed(scm) == ("z",)
    frames = ck.sample_environments(scm, {"a": fixed, "b": other}, 2000, seed=0)
    assert (frames[0].frame["x1"] == 2.0).all() and slopes(frames[1].frame, "z", ["y"])[0] == pytest.approx(
        -1, abs=0.05
    )
    assert other.certificate(scm, task).kind == "replace" and fixed.certificate(scm, task).kind == "do"
    with pytest.raises(ValueError, match="unknown variable 'xx'"):
        ck.shifts.do({"xx": 0.0})(scm)


def test_composed_shifts_are_applied_in_turn(scm):
    covariate, spurious = ck.shifts.covariate("y", strength=1.0), ck.shifts.spurious("y", strength=0.5)
    both = ck.shifts.compose(covariate, spurious)
    pd.testing.assert_frame_equal(both(scm).sample(50, seed=0), spurious(covariate(scm)).sample(50, seed=0))
    assert both.changed(scm) == ("x1", "x2", "z")
    last = ck.shifts.compose(covariate, ck.shifts.label("y", strength=0.5))(scm)
    assert (
        isinstance(last, Selected)
        and last.sample(2000, seed=0)["y"].mean() > covariate(scm).sample(2000, seed=0)["y"].mean()
    )


# --- the oracle: weights of source rows


ORACLE = {
    "covariate": lambda s: s.covariate("y", nats=0.1),
    "covariate, scale": lambda s: s.covariate("y", nats=0.1, how="scale", direction=-1),
    "label": lambda s: s.label("y", nats=0.1, direction=-1),
    "label of a class": lambda s: s.label("c", nats=0.1),
    "concept": lambda s: s.concept("y", nats=0.1, direction=-1),
    "concept, location": lambda s: s.concept("y", nats=0.1, how="location"),
    "concept of a class": lambda s: s.concept("c", nats=0.02),
    "spurious": lambda s: s.spurious("y", nats=0.05, on=["z"]),
    "confounding": lambda s: s.confounding("y", nats=0.1, direction=-1),
    "selection": lambda s: s.selection("y", nats=0.1, on=["x", "z"]),
    "soft, gain": lambda s: s.soft("z", nats=0.1, how="gain", direction=-1),
    "soft, a class": lambda s: s.soft("c", nats=0.1, direction=-1),
    "replace": lambda s: s.replace({"z": ck.linear({"y": 0.6}, intercept=0.3, noise="laplace", scale=0.8)}),
    "composed": lambda s: s.compose(s.covariate("y", nats=0.05), s.concept("y", nats=0.05), s.label("y", nats=0.05)),
}


@pytest.mark.parametrize("name", sorted(ORACLE))
def test_weighted_source_rows_have_the_targets_risk(confounded, name):
    """E' loss = E w loss with w = p' / p, for a fixed predictor, within four standard errors; and E w = 1."""
    shifted = ORACLE[name](ck.shifts)(confounded)
    source, target = confounded.sample(60_000, seed=0, hidden=True), shifted.sample(60_000, seed=1, hidden=True)
    ratio, after = (confounded.log_density_ratio(shifted, frame) for frame in (source, target))
    weights = np.exp(ratio)

    def loss(frame):
        return (frame["y"] - 1 - frame["z"] + frame["c"]).to_numpy() ** 2

    weighted, plain = weights * loss(source), loss(target)
    error = np.hypot(weighted.std(), plain.std()) / 60_000**0.5
    assert abs(weighted.mean() - plain.mean()) < 4 * error
    assert abs(weights.mean() - 1) < 4 * weights.std() / 60_000**0.5 + 1e-3
    # where the risk is hardly another without them, another mean is: that of log w, below 0 before, KL > 0 after
    error = np.hypot((weights * ratio).std(), after.std()) / 60_000**0.5
    assert abs((weights * ratio).mean() - after.mean()) < 4 * error
    assert ratio.mean() < -4 * error and after.mean() > 4 * error


def test_log_density_ratio_is_a_difference_of_log_densities(confounded):
    frame = confounded.sample(50, seed=0, hidden=True)
    for name in sorted(ORACLE):
        shifted = ORACLE[name](ck.shifts)(confounded)
        difference = shifted.log_prob(frame) - confounded.log_prob(frame)
        np.testing.assert_allclose(confounded.log_density_ratio(shifted, frame), difference, rtol=1e-6, atol=1e-9)


def test_bad_frames_and_comparisons_for_weights(confounded):
    shifted, selected = (ck.SHIFTS[k]("y", strength=0.5)(confounded) for k in ("concept", "label"))
    frame = confounded.sample(5, seed=0, hidden=True)
    for call, message in (
        (lambda: confounded.log_density_ratio(shifted, frame.drop(columns="h")), "lacks the hidden variable 'h'"),
        (lambda: confounded.log_density_ratio(shifted, frame.assign(c=0.5)), "'c' has the value 0.5"),
        (lambda: confounded.log_density_ratio(confounded.do({"y": 0.0}), frame), r"'y' is under do\(\)"),
        (lambda: confounded.log_density_ratio(ck.shifts.concept("y", nats=0.1), frame), "call it"),
        (lambda: confounded.log_density_ratio(shifted.marginal(["x"]), frame), "different variables"),
        (lambda: selected.weights(frame.drop(columns="y")), "unknown column 'y'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.shifts.concept("y", nats=-0.1), r"nats -0\.1: give a finite number >= 0.*direction"),
        (lambda: ck.shifts.concept("y", nats=float("nan")), "nats nan: give a finite number"),
        (lambda: ck.shifts.concept("y", nats=float("inf")), "nats inf: give a finite number"),
        (lambda: ck.shifts.concept("y"), r"wants one of nats= and strength=: nats=0\.5"),
        (lambda: ck.shifts.concept("y", nats=0.1, strength=0.1), "one of nats= and strength="),
        (
            lambda: ck.shifts.covariate("y", nats=0.1, how="gain"),
            "way .how. of a covariate shift 'gain'.*location, scale",
        ),
        (lambda: ck.shifts.concept("y", nats=0.1, how="scal"), "did you mean 'scale'"),
    ],
)
def test_bad_dials(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.shifts.concept("h", nats=0.1), "the target 'h' is hidden.*take one of w, x, y"),
        (lambda: ck.shifts.confounding("z", nats=0.1), "'z' shares no hidden cause.*ck.graphs.confounded"),
        (lambda: ck.shifts.confounding("y", nats=0.1, on=["w"]), "'w' is no hidden common cause of 'y'.*There is: h"),
        (lambda: ck.shifts.selection("y", nats=0.1, on=["q"]), "unknown variable in `on` 'q'"),
        (lambda: ck.shifts.soft([], nats=0.1), "acts on the variables that it names"),
        (lambda: ck.shifts.soft("q", nats=0.1), "unknown variable in `on` 'q'"),
        (lambda: ck.shifts.soft("w", nats=0.1, how="gain"), "'w' is a root and hears no causes: give how='location'"),
        (lambda: ck.shifts.spurious("y", nats=0.1, on=["w"]), "'w' is no observed child of 'y'.*moves z, c"),
    ],
)
def test_shifts_that_this_graph_does_not_allow(confounded, make, message):
    with pytest.raises(ValueError, match=message):
        make()(confounded)


def test_selection_by_what_never_varies(scm):
    with pytest.raises(ValueError, match=r"'x1' never varies.*select by another variable"):
        ck.shifts.selection("y", strength=0.5, on=["x1"])(scm.do({"x1": 0.0}))
