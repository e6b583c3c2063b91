"""diagnose: calibrated under the truth, fires where the model is wrong, says what it cannot look at; bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import binom, kstest, spearmanr, zscore

import causalkit as ck
from causalkit.estimation.independence import Kernel, independent, least, scores
from causalkit.mechanisms import (
    NOISES,
    Additive,
    Empirical,
    LocationScale,
    Noise,
    function,
    location_scale,
    post_nonlinear,
    softmax,
)

TESTS = ["hsic_p", "pit_p", "dependence_p"]
MIXED = ck.SCM(
    {
        "x": ck.linear(noise="student_t"),
        "k": softmax({"x": [0.0, 1.0, -1.0]}, [0.0, 0.5, 0.0]),
        "y": location_scale(["x", "k"], noise="laplace", seed=1),
        "z": ck.linear({"x": 1.0, "y": -1.0}, noise="exponential"),
    }
)


def chain(noise="gaussian", **linear):
    return ck.SCM({"x": ck.linear(noise=noise), "y": ck.linear({"x": 1.0}, noise=noise, **linear)})


# laws


@pytest.fixture(scope="module")
def under_the_truth():
    """The three p-values of each variable of a mixed SCM, on 200 samples of its own of 100 rows."""
    return np.array([ck.diagnose(MIXED, MIXED.sample(100, seed=s), seed=s)[TESTS].to_numpy() for s in range(200)])


@pytest.mark.parametrize("test", range(3))
@pytest.mark.parametrize("variable", range(4))
def test_p_values_are_uniform_under_the_truth(under_the_truth, variable, test):
    found = under_the_truth[:, variable, test]
    if variable == 0 and test == 0:
        assert np.isnan(found).all()  # a root has no parents
        return
    assert kstest(found, "uniform").pvalue > 1e-3
    assert binom.cdf(199 - (found < 0.05).sum(), 200, 0.95) > 1e-3  # the share below .05 is not too large


@given(st.sampled_from(sorted(NOISES)), st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 10**6))
def test_the_distribution_function_makes_draws_uniform(family, scale, location, seed):
    noise = Noise(family, scale, location)
    u = noise.sample(500, seed=seed)
    assert kstest(noise.cdf(u).numpy(), "uniform").pvalue > 1e-5
    ends = noise.cdf(torch.tensor([-1e9, 1e9], dtype=torch.float64))
    assert ends.numpy() == pytest.approx([0, 1]) and (noise.cdf(u.sort().values).diff() >= 0).all()


def test_empirical_noise_has_a_distribution_function_too():
    values = Noise("mixture").sample(2000, seed=0)
    noise = Empirical(shape=Empirical.of(values).shape)
    assert kstest(noise.cdf(Noise("mixture").sample(500, seed=1)).numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_the_null_has_the_moments_that_permutations_show(k):
    draw = np.random.default_rng(0)
    one, other = Kernel.of(scores(draw.normal(size=(40, k)))), Kernel.of(scores(draw.normal(size=(40, 1))))
    orders = [draw.permutation(40) for _ in range(4000)]
    permuted = np.array([(one.values * other.values[np.ix_(order, order)]).sum() for order in orders])
    for order in orders[:5]:
        turned = Kernel(other.values[np.ix_(order, order)])
        share = (permuted >= (one.values * turned.values).sum() - 1e-12).mean()
        assert independent([one], [turned])[0, 0] == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.2])
def test_independence_agrees_with_causal_learn(strength):
    from causallearn.utils.KCI.KCI import KCI_UInd

    draw = np.random.default_rng(1)
    for _ in range(5):
        x = draw.normal(size=(300, 1))
        y = strength * x**2 + draw.normal(size=(300, 1))
        x, y = zscore(scores(x)), zscore(scores(y))
        width = {f"kwidth{name}": np.median(pdist(values)) for name, values in {"x": x, "y": y}.items()}
        theirs = KCI_UInd(est_width="manual", approx=True, **width).compute_pvalue(x, y)[0]
        ours = independent([Kernel.of(x)], [Kernel.of(y)])[0, 0]
        assert ours == pytest.approx(theirs, abs=0.03)


@given(st.integers(0, 10**6))
def test_independence_knows_neither_units_nor_order(seed):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(50, 2)), draw.normal(size=(50, 1))
    order = draw.permutation(50)
    first = independent([Kernel.of(scores(x))], [Kernel.of(scores(y))])
    again = independent([Kernel.of(scores(np.exp(x[order]) * 1e3))], [Kernel.of(scores(y[order] ** 3))])
    assert np.allclose(first, again) and np.allclose(first, independent([Kernel.of(scores(y))], [Kernel.of(scores(x))]))


def test_the_least_of_independent_p_values_is_uniform():
    draws = np.random.default_rng(0).random((2000, 5))
    assert kstest([least(row) for row in draws], "uniform").pvalue > 1e-3
    assert np.isnan(least(np.array([np.nan]))) and least(np.array([0.2, np.nan])) == pytest.approx(0.2)


def test_log_likelihoods_sum_to_that_of_the_scm():
    frame = MIXED.sample(300, seed=0)
    assert ck.diagnose(MIXED, frame, seed=0)["log_likelihood"].sum() == pytest.approx(MIXED.log_prob(frame).mean())


def test_same_seed_same_table_and_more_columns_do_not_matter():
    frame = MIXED.sample(700, seed=0)
    one = ck.diagnose(MIXED, frame, seed=3)
    assert one.equals(ck.diagnose(MIXED, frame.assign(more=1.0), seed=3)) and (one["note"] == "").all()
    assert not one.equals(ck.diagnose(MIXED, frame, seed=4))  # other rows of the 700


# what fires


@pytest.mark.parametrize("seed", range(3))
def test_an_additive_fit_of_a_location_scale_mechanism(seed):
    wide = LocationScale(("x",), Noise(), lambda x: x[:, 0], log_scale=lambda x: 0.7 * x[:, 0])
    truth = ck.SCM({"x": ck.linear(), "y": wide})
    even = truth.replace({"y": ck.linear({"x": 1.0}, scale=float(truth.sample(10_000, seed=0).eval("y - x").std()))})
    right, wrong = (ck.diagnose(scm, truth.sample(500, seed=seed), seed=seed).loc["y"] for scm in (truth, even))
    assert wrong["hsic_p"] < 1e-3 and wrong["log_likelihood"] < right["log_likelihood"] - 0.1
    assert right["hsic_p"] > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_reversed_edge_where_the_data_can_tell(seed):
    truth = chain("uniform", scale=0.5)
    wrong = ck.fit_scm(ck.graphs.parse("y -> x"), truth.sample(2000, seed=10), mechanism="linear", seed=0)
    assert ck.diagnose(wrong, truth.sample(500, seed=seed), seed=seed).loc["x", "hsic_p"] < 1e-3
    # and where they cannot: Markov equivalent linear-Gaussian models pass alike
    truth = chain()
    alike = ck.fit_scm(ck.graphs.parse("y -> x"), truth.sample(5000, seed=10), mechanism="linear", seed=0)
    assert ck.diagnose(alike, truth.sample(500, seed=seed), seed=seed)[TESTS].min(axis=None) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_an_omitted_confounder_and_a_missing_edge(seed):
    truth = ck.SCM({"h": ck.linear(), "x": ck.linear({"h": 1.0}), "y": ck.linear({"h": 1.0}), "z": ck.linear()})
    blind = ck.SCM({"x": ck.linear(scale=2**0.5), "y": ck.linear(scale=2**0.5), "z": ck.linear()})
    found = ck.diagnose(blind, truth.sample(500, seed=seed), seed=seed)
    assert (found.loc[["x", "y"], "dependence_p"] < 1e-3).all() and found.loc["z", "dependence_p"] > 1e-3
    assert (found["pit_p"] > 1e-3).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_wrong_noise(seed):
    found = ck.diagnose(chain(), chain("exponential").sample(500, seed=seed), seed=seed)
    assert (found["pit_p"] < 1e-3).all() and (found["hsic_p"].dropna() > 1e-3).all()


@pytest.mark.parametrize("seed", range(3))
def test_wrong_probabilities_of_a_discrete_variable(seed):
    truth = ck.SCM({"x": ck.linear(), "k": softmax({"x": [0.0, 2.0, 0.0]}, [0.0, 0.0, 0.0])})
    frame = truth.sample(500, seed=seed)
    deaf = truth.replace({"k": softmax({"x": [0.0, 0.0, 0.0]}, [0.0, 0.4, 0.0])})
    other = truth.replace({"k": softmax({"x": [0.0, 2.0, 0.0]}, [0.0, 0.0, 1.5])})
    assert ck.diagnose(truth, frame, seed=0)[["hsic_p", "pit_p"]].min(axis=None) > 1e-3
    assert ck.diagnose(deaf, frame, seed=0).loc["k", "hsic_p"] < 1e-3
    assert ck.diagnose(other, frame, seed=0).loc["k", "pit_p"] < 1e-3


def test_a_discrete_parent_is_no_number():
    """The middle level moves the noise: no line in the codes sees it, indicators of the levels do."""
    coin = softmax({}, [0.0, 0.0, 0.0])
    truth = ck.SCM({"k": coin, "y": ck.additive(["k"], lambda k: (k[:, 0] == 1).double())})
    wrong = truth.replace({"y": ck.linear({"k": 0.0}, intercept=1 / 3, scale=(1 + 2 / 9) ** 0.5)})
    frame = truth.sample(500, seed=0)
    assert abs(spearmanr(frame["k"], frame["y"]).statistic) < 0.1
    assert ck.diagnose(wrong, frame, seed=0).loc["y", "hsic_p"] < 1e-3


def test_a_learned_scm_passes_on_fresh_rows_if_its_form_is_right():
    truth = chain("laplace")
    learned = ck.fit_scm(truth.graph, truth.sample(3000, seed=0), mechanism="linear", seed=0)
    assert ck.diagnose(learned, truth.sample(500, seed=1), seed=0)[TESTS].min(axis=None) > 1e-2
    assert set(TESTS) <= set(learned.report.columns)


# what cannot be looked at is said


def test_what_cannot_be_turned_round_is_named_and_the_rest_is_diagnosed():
    scm = ck.SCM({"x": ck.linear(), "y": function(lambda x, u: u**2, ["x"]), "z": ck.linear({"x": 1.0})})
    found = ck.diagnose(scm, scm.sample(100, seed=0), seed=0)
    assert "inverse" in found.loc["y", "note"] and found.loc["y", ["log_likelihood", *TESTS]].isna().all()
    assert found.loc["z", ["log_likelihood", *TESTS]].notna().all() and found.loc["z", "note"] == ""


def test_hidden_variables():
    scm = ck.SCM({"h": ck.linear(), "x": ck.linear({"h": 1.0}), "y": ck.linear()}, hidden=["h"])
    found = ck.diagnose(scm, scm.sample(100, seed=0), seed=0)
    assert found["note"].str.contains("'h' is hidden").tolist() == [True, True, False]
    shown = ck.diagnose(scm, scm.sample(100, seed=0, hidden=True), seed=0)
    assert (shown["note"] == "").all() and shown["pit_p"].notna().all()


def test_after_do_a_variable_has_no_noise_and_a_parent_no_variation():
    done = chain().do({"x": 1.0})
    found = ck.diagnose(done, done.sample(100, seed=0), seed=0)
    assert "do()" in found.loc["x", "note"] and np.isnan(found.loc["y", "hsic_p"]) and found.loc["y", "pit_p"] > 1e-3


def test_values_that_no_noise_makes():
    short = ck.SCM({"x": Additive((), Noise("uniform", 0.5), lambda x: torch.zeros(len(x), dtype=torch.float64))})
    found = ck.diagnose(short, ck.SCM({"x": ck.linear()}).sample(200, seed=0), seed=0).loc["x"]
    assert found["log_likelihood"] == -np.inf and found["pit_p"] < 1e-3
    steep = ck.SCM({"x": ck.linear(), "y": post_nonlinear(["x"], distortion="asinh", seed=0)})
    frame = steep.sample(50, seed=0)
    frame.loc[3, "y"] = 1000.0  # sinh(1000) is more than a float can be
    found = ck.diagnose(steep, frame, seed=0).loc["y"]
    assert "infinite in 1 of 50 rows" in found["note"] and np.isnan(found["pit_p"])


def test_one_variable_has_no_others():
    scm = ck.SCM({"x": ck.linear()})
    assert np.isnan(ck.diagnose(scm, scm.sample(50, seed=0), seed=0).loc["x", "dependence_p"])


# bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="y"), "unknown column 'y'"),
        (lambda f: f.head(19), "19 rows, at least 20"),
        (lambda f: f.assign(k=7), "column 'k' has the value 7, none of the codes 0 ... 2"),
        (lambda f: f.assign(k=0.5), "column 'k' has the value 0.5"),
        (lambda f: f.assign(y=np.nan), "NaN"),
        (lambda f: f.to_numpy(), "expected a pandas DataFrame"),
    ],
)
def test_frames_that_cannot_be_read(change, message):
    with pytest.raises(ValueError, match=message):
        ck.diagnose(MIXED, change(MIXED.sample(100, seed=0)), seed=0)


@pytest.mark.parametrize(("rows", "seed", "message"), [(10, 0, "rows = 10"), (True, 0, "rows"), (100, -1, "seed -1")])
def test_arguments_that_are_none(rows, seed, message):
    with pytest.raises(ValueError, match=message):
        ck.diagnose(MIXED, MIXED.sample(100, seed=0), rows=rows, seed=seed)


def test_no_scm():
    with pytest.raises(ValueError, match="needs an SCM, got DiGraph"):
        ck.diagnose(MIXED.graph, MIXED.sample(100, seed=0), seed=0)


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ck.diagnose(MIXED, MIXED.sample(100, seed=0), seed=0)
        ck.diagnose(MIXED, pd.concat([MIXED.sample(30, seed=0)] * 2, ignore_index=True), seed=0)
