"""check_counterfactuals: what holds of every SCM, what its measures are, and that it says what it cannot know."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.checks import Checks, check_counterfactuals, joe, mmd, two_worlds
from causalkit.checks.noise import monotone_correlation
from causalkit.checks.population import mmd_limit

CHAIN = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0}), "z": ck.linear({"y": -1.0})})


def rows(checks, check, what=""):
    table = checks.table
    return table[(table["check"] == check) & table["what"].str.contains(what, regex=False)]


@pytest.fixture(scope="module")
def learned():
    """The chain, learned; checked with its truth and without."""
    scm = ck.fit_scm(CHAIN.graph, CHAIN.sample(5000, seed=0), seed=0)
    return check_counterfactuals(scm, CHAIN, n=500, seed=1), check_counterfactuals(
        scm, frame=CHAIN.sample(500, seed=2), seed=1
    )


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mechanism=st.sampled_from(["linear", "mlp", "polynomial", "location_scale", "post_nonlinear"]),
)
def test_the_truth_passes_its_own_checks(seed, mechanism):
    """Every SCM keeps the axioms; the true one has no error, and its noise is the very noise."""
    scm = ck.random_scm(4, degree=2.0, mechanism=mechanism, seed=seed)
    if not scm.graph.edges:
        return
    checks = check_counterfactuals(scm, scm, n=200, references={}, seed=seed)
    assert set(rows(checks, "axiom")["verdict"]) == {"holds"}
    error = rows(checks, "error")["value"]
    assert len(error) and (error < 1e-6).all()
    assert (rows(checks, "noise", "correlation")["value"] > 1 - 1e-6).all()


def test_false_alarms_are_as_rare_as_promised():
    """Populations and noise of the true SCM: 20 x 2 families at level .05 each, 6 alarms or more once in 50 times."""
    alarms = 0
    for seed in range(20):
        table = check_counterfactuals(CHAIN, CHAIN, n=100, level=0.05, references={}, seed=seed).table
        table = table[~table["what"].str.startswith("effect")]
        fails = table[table["verdict"] == "fails"]
        alarms += (fails["check"] == "population").any() + (fails["check"] == "noise").any()
    assert alarms < 6


def test_a_learned_chain_passes_and_lies_far_below_no_abduction(learned):
    checks, blind = learned
    assert checks.passed and blind.passed, (checks, blind)
    error = rows(checks, "error")
    resampled = error[error["against"] == "no abduction"]
    assert (resampled["value"] < 0.1 * resampled["reference"]).all() and len(resampled) == 15
    assert set(error["verdict"]) == {"no verdict"}, "an error has no limit"
    assert set(checks.table["verdict"]) <= {"holds", "fails", "no verdict"}
    assert checks.counts().to_numpy().sum() == len(checks.table)


def test_the_error_is_the_root_mean_square_in_sds():
    steep = CHAIN.replace({"z": ck.linear({"y": -1.5})})
    frame = CHAIN.sample(300, seed=0)
    table = check_counterfactuals(steep, CHAIN, frame, do={"y": 1.0}, references={}, seed=0).table
    found = table[(table["check"] == "error") & (table["what"] == "z")]["value"].iloc[0]
    expected = np.sqrt(((0.5 * (1.0 - frame["y"])) ** 2).mean()) / frame["z"].std(ddof=0)
    assert found == pytest.approx(expected, rel=1e-9)


def test_without_a_truth_it_says_what_it_cannot_know(learned):
    _, blind = learned
    unknown = blind.table[blind.table["value"].isna()]
    assert {"error", "axiom", "population", "noise"} <= set(unknown["check"])
    assert set(unknown["verdict"]) == {"no verdict"} and (unknown["why"].str.len() > 10).all()
    assert rows(blind, "error")["why"].iloc[0].startswith("no data can show it")


def test_what_is_set_outside_the_data_gets_no_verdict_on_the_true_distribution(learned):
    far = rows(learned[0], "population", "MMD to true")
    assert set(far[far["intervention"].str.contains("4 sd")]["verdict"]) == {"no verdict"}
    assert set(far[~far["intervention"].str.contains("4 sd")]["verdict"]) == {"holds"}


def test_discrete_variables_get_shares_and_no_verdict():
    table = {"s": ck.mechanisms.table({}, [0.3, 0.7]), "t": ck.logistic({"s": 1.0}), "y": ck.linear({"t": 2.0})}
    scm = ck.SCM(table)
    checks = check_counterfactuals(scm, scm, n=300, seed=0)
    error = rows(checks, "error", "t")
    assert set(error["unit"]) == {"share wrong"} and error["why"].str.contains("not identified").all()
    assert error["value"].between(0, 1).all()
    assert checks.passed, checks
    assert rows(checks, "axiom", "reversibility")["verdict"].iloc[0] == "no verdict"
    assert rows(checks, "noise", "correlation")["why"].str.contains("posterior").sum() == 2


def test_a_truth_that_cannot_be_turned_round_is_compared_by_its_own_noise():
    folded = ck.mechanisms.function(lambda x, u: (x[:, 0] + u) ** 2, ["x"])
    truth = ck.SCM({"x": ck.linear(), "y": folded})
    learned = ck.fit_scm(truth.graph, truth.sample(1000, seed=0), seed=0)
    checks = check_counterfactuals(learned, truth, n=300, references={}, seed=1)
    assert rows(checks, "error", "y")["value"].min() > 0.1


def test_mmd_and_its_limit():
    draw = np.random.default_rng(0)
    same = [mmd_limit(draw.normal(size=(60, 2)), draw.normal(size=(60, 2)), 0.1, seed=k) for k in range(200)]
    share = np.mean([found > limit for found, limit in same])
    assert 0.04 < share < 0.17  # binomial, 200 draws at .1: four standard errors are .085
    one, two = draw.normal(size=(60, 2)), draw.normal(size=(60, 2)) + 1.5
    found, limit = mmd_limit(one, two, 0.001, seed=0)
    assert found > limit and found == pytest.approx(mmd(one, two), rel=1e-9) and mmd(one, one) == pytest.approx(0)


@pytest.mark.parametrize("change", [lambda u: u**3, lambda u: -np.exp(u), lambda u: 2 * u + 1])
def test_noise_is_compared_up_to_a_monotone_map(change):
    u = np.random.default_rng(0).normal(size=500)
    assert monotone_correlation(change(u), u) == pytest.approx(1.0, abs=1e-9)
    assert monotone_correlation(np.abs(u), u) < 0.5


def test_two_worlds_agree_but_in_what_they_imagine():
    shown = two_worlds(seed=3).table["A and B"]
    assert shown["imagined: correlation of the answers"] == pytest.approx(-1.0, abs=1e-9)
    assert shown["imagined: root mean square difference"] == pytest.approx(2.0, abs=0.1)  # 2 sd of u
    a, b = two_worlds(seed=3).worlds.values()
    frame = a.sample(500, seed=0)
    assert np.allclose(a.log_prob(frame), b.log_prob(frame)), "one density"
    grid = pd.DataFrame({"x": torch.zeros(3).numpy() - 1.0, "y": [-2.0, 0.0, 1.0]})
    assert np.allclose(a.do({"x": -1.0}).log_prob(grid), b.do({"x": -1.0}).log_prob(grid))


def test_joe_would_have_scored_1_90():
    table = joe().table
    assert table.loc["predict: Joe, had h been 2", "y"] == pytest.approx(1.90)
    assert table.loc["mean of all, do(h = 2)", "y"] == pytest.approx(0.80)


def test_the_same_seed_gives_the_same_table():
    one, two = (check_counterfactuals(CHAIN, CHAIN, n=100, references={}, seed=5).table for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_the_figure_has_its_four_panels_and_html_folds_the_rest(learned):
    for checks in learned:
        titles = [ax.get_title() + ax.get_title(loc="left") for ax in checks.plot().axes]
        assert [title[0] for title in titles] == list("1234")
    html = learned[0]._repr_html_()
    assert "<details>" in html and "composition, 10 cycles" in html and "nan" not in html.lower().split("<style")[0]
    summary = learned[0].summary()
    assert len(summary) < 0.4 * len(learned[0].table) and {"worst", "findings"} <= set(summary.columns)


def test_a_failure_is_named():
    table = check_counterfactuals(CHAIN, CHAIN, n=100, references={}, seed=0).table
    table.loc[table["what"] == "reversibility", "verdict"] = "fails"
    checks = Checks(table)
    assert not checks.passed and "axiom, reversibility" in repr(checks) and len(checks.failures) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to ask about"),
        ({"truth": CHAIN.marginal(["y"])}, "unknown variable of the learned SCM"),
        ({"frame": pd.DataFrame({"x": [0.0] * 30, "y": 1.0})}, "unknown column 'z'"),
        ({"frame": CHAIN.sample(5, seed=0)}, "at least 20"),
        ({"truth": CHAIN, "do": {"w": 0.0}}, "unknown variable 'w'"),
        ({"truth": CHAIN, "do": [0.0]}, "give a mapping"),
        ({"truth": CHAIN, "seed": -1}, "seed -1"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        check_counterfactuals(CHAIN, **{"n": 50, "seed": 0} | given)
