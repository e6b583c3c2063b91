"""Discrete mechanisms: probabilities, the posterior of Gumbel noise against rejection sampling, shifts, bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import causalkit as ck
from causalkit.mechanisms import NotInvertible, logistic, softmax, table
from causalkit.mechanisms.tables import FLOOR

seeds = st.integers(0, 2**31 - 1)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@st.composite
def tables(draw):
    """A random table over up to two discrete parents, with zeros in it."""
    sizes = draw(st.lists(st.integers(1, 3), max_size=2))
    levels, rng = draw(st.integers(2, 4)), np.random.default_rng(draw(seeds))
    p = rng.exponential(size=(*sizes, levels)) * (rng.random((*sizes, levels)) < 0.7)
    p[..., 0] += (p.sum(-1) == 0) * 1.0
    return table({f"x{i}": size for i, size in enumerate(sizes)}, p / p.sum(-1, keepdims=True))


def codes(mechanism, n, seed):
    """Random values of a table's parents [n, p]."""
    rng = np.random.default_rng(seed)
    return tensor(np.array([rng.integers(0, k, n) for k in mechanism.parent_levels.values()]).reshape(-1, n).T)


@pytest.fixture
def mixed():
    """Discrete and real variables that cause each other."""
    return ck.SCM(
        {
            "a": table({}, [0.2, 0.3, 0.5]),
            "x": ck.linear(),
            "b": table({"a": 3}, [[0.1, 0.9], [0.0, 1.0], [0.5, 0.5]], level_names=["no", "yes"]),
            "c": softmax({"a": [0.0, 1.0, 2.0], "x": [1.0, -1.0, 0.0]}, [0.0, 0.5, 0.0]),
            "y": ck.linear({"c": 1.0, "x": 0.5}),
            "d": logistic({"y": 1.0, "b": -2.0}, intercept=0.3),
        }
    )


# ---- laws


@given(tables(), seeds)
def test_noise_from_the_posterior_makes_the_value_again(mechanism, seed):
    parents = codes(mechanism, 200, seed)
    x = mechanism.push(parents, mechanism.sample_noise(200, seed=seed))
    u = mechanism.sample_posterior(parents, x, seed=seed)
    assert mechanism.push(parents, u).equal(x) and torch.isfinite(u).all()
    assert torch.isfinite(mechanism.log_prob(parents, x)).all()


@given(tables(), seeds, st.floats(-3, 3), st.floats(-3, 3))
def test_shifted_tables_are_distributions_with_the_same_zeros(mechanism, seed, gain, by):
    parents = codes(mechanism, 50, seed)
    before = mechanism.log_probs(parents)
    for shifted in (
        mechanism.with_gain({"x0": gain}),
        mechanism.moved(by),
        mechanism.with_gain({"x1": gain}).moved(by),
    ):
        after = shifted.log_probs(parents)
        np.testing.assert_allclose(after.exp().sum(1), 1, rtol=1e-12)
        assert after.isneginf().equal(before.isneginf())
        terms = torch.where(before.isneginf(), 0.0, after.exp() * (after - before))
        assert torch.isfinite(terms).all() and (terms.sum(1) > -1e-12).all()  # KL(shifted || original)
    assert mechanism.with_gain({"x0": 1.0, "other": 3.0}) is mechanism


@given(tables(), seeds, st.floats(-2, 2), st.floats(-2, 2))
def test_moves_add_up_and_tilt_the_odds(mechanism, seed, first, second):
    parents = codes(mechanism, 20, seed)
    twice, once = mechanism.moved(first).moved(second), mechanism.moved(first + second)
    np.testing.assert_allclose(twice.log_probs(parents), once.log_probs(parents), atol=1e-9)
    before, after = mechanism.log_probs(parents), mechanism.moved(first).log_probs(parents)
    gain = torch.where(before.isneginf(), torch.nan, after - before)
    by_level = gain - first * torch.arange(mechanism.levels, dtype=torch.float64)
    spread = np.nanmax(by_level.numpy(), 1) - np.nanmin(by_level.numpy(), 1)
    np.testing.assert_allclose(spread, 0, atol=1e-9)


@given(seeds)
def test_counterfactual_stability(seed):
    """Oberst and Sontag (2019), definition 4: from i to k only if the odds of k against i went up."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), size=2)
    scm = ck.SCM({"x": table({}, [0.5, 0.5]), "y": table({"x": 2}, p)})
    frame = scm.do({"x": 0}).sample(300, seed=seed)
    after = scm.counterfactual(frame, {"x": 1}, seed=seed)["y"].to_numpy()
    before = frame["y"].to_numpy()
    turned = before != after
    assert (p[1, after] / p[1, before] > p[0, after] / p[0, before])[turned].all()


# ---- oracles


def test_probabilities_are_those_of_the_formula():
    x = tensor([[0.3, -1.0], [2.0, 0.5]])
    p = logistic({"a": 2.0, "b": -1.0}, intercept=0.5).log_probs(x).exp().numpy()
    np.testing.assert_allclose(p[:, 1], special.expit(0.5 + 2 * x[:, 0] - x[:, 1]))
    w, b = [[0.0, 1.0, 2.0], [1.0, -1.0, 0.0]], [0.1, 0.2, 0.3]
    p = softmax({"a": w[0], "b": w[1]}, b).log_probs(x).exp().numpy()
    np.testing.assert_allclose(p, special.softmax(x.numpy() @ np.array(w) + b, axis=1))
    p = table(
        {"a": 2, "b": 3}, np.arange(1, 13).reshape(2, 3, 2) / (np.arange(1, 13).reshape(2, 3, 2).sum(-1)[..., None])
    )
    np.testing.assert_allclose(p.log_probs(tensor([[1.0, 2.0]])).exp(), [[11 / 23, 12 / 23]])


def test_samples_have_the_probabilities(mixed):
    frame = mixed.sample(200_000, seed=0)
    for name, mechanism in mixed.mechanisms.items():
        if mechanism.levels is None:
            continue
        p = mechanism.log_probs(tensor(frame[list(mechanism.parents)].to_numpy(float))).exp().numpy()
        for k in range(mechanism.levels):
            hit = (frame[name] == k).to_numpy()
            # exact mean given the parents, overall and where a parent is high
            for rows in [np.ones(len(frame), bool), *(frame[q].to_numpy() >= 1 for q in mechanism.parents)]:
                sd = np.sqrt((p[rows, k] * (1 - p[rows, k])).sum()) / rows.sum()
                assert abs(hit[rows].mean() - p[rows, k].mean()) <= 5 * sd + 1e-12


def test_log_prob_sums_to_1_over_all_rows():
    scm = ck.SCM({"a": table({}, [0.2, 0.8]), "b": table({"a": 2}, [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])})
    rows = pd.DataFrame([(a, b) for a in range(2) for b in range(3)], columns=["a", "b"])
    np.testing.assert_allclose(np.exp(scm.log_prob(rows)), [0.1, 0.1, 0, 0.08, 0.16, 0.56], atol=1e-15)
    assert mechanism_log_prob(scm, 3.0) == mechanism_log_prob(scm, 0.5) == mechanism_log_prob(scm, -1.0) == -np.inf


def mechanism_log_prob(scm, value):
    return float(scm.mechanisms["a"].log_prob(torch.zeros(1, 0), tensor([value])))


@pytest.mark.parametrize("p", [[0.2, 0.3, 0.5], [0.999, 0.001], [0.0, 0.6, 0.4], [1.0, 0.0]])
def test_the_posterior_pooled_over_values_is_the_prior(p):
    """If x ~ p and g ~ p(g | x), then g is standard Gumbel again, its coordinates independent."""
    mechanism, nothing = table({}, p), torch.zeros(20_000, 0)
    x = mechanism.push(nothing, mechanism.sample_noise(20_000, seed=0))
    u = mechanism.sample_posterior(nothing, x, seed=1).numpy()
    for k in range(len(p)):
        assert stats.kstest(u[:, k], "gumbel_r").pvalue > 1e-3
    assert abs(stats.spearmanr(u[:, 0], u[:, 1]).statistic) < 0.03
    prior = mechanism.sample_noise(20_000, seed=2)
    assert stats.kstest(prior[:, 0], "gumbel_r").pvalue > 1e-3
    np.testing.assert_allclose(mechanism.noise.log_prob(tensor([0.7])), stats.gumbel_r.logpdf([0.7]))


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_the_posterior_is_that_of_rejection_sampling(seen):
    mechanism = table({}, [0.15, 0.25, 0.6])
    prior, nothing = mechanism.sample_noise(60_000, seed=0), torch.zeros(60_000, 0)
    kept = prior[mechanism.push(nothing, prior) == seen].numpy()
    drawn = mechanism.sample_posterior(nothing[: len(kept)], torch.full((len(kept),), float(seen)).double(), seed=1)
    for k in range(3):
        assert stats.ks_2samp(kept[:, k], drawn[:, k].numpy()).pvalue > 1e-3
    # and jointly: two linear functions of all three
    for weights in ([1.0, 1.0, 1.0], [1.0, -1.0, 0.5]):
        assert stats.ks_2samp(kept @ weights, drawn.numpy() @ weights).pvalue > 1e-3


def test_counterfactual_probabilities_are_those_of_rejection_sampling():
    """P(Y_1 = k | X = 0, Y = i) by brute force over prior noise, in a model with a real variable between."""
    scm = ck.SCM({"x": table({}, [0.5, 0.5]), "y": table({"x": 2}, [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])})
    noise = scm.sample_noise(200_000, seed=0)
    y0, y1 = scm.do({"x": 0}).push(noise)["y"], scm.do({"x": 1}).push(noise)["y"]
    brute = pd.crosstab(y0, y1, normalize="index").to_numpy()
    rows = pd.DataFrame({"x": 0, "y": np.repeat([0, 1, 2], 30_000)})
    drawn = scm.counterfactual(rows, {"x": 1}, seed=1)["y"]
    np.testing.assert_allclose(pd.crosstab(rows["y"], drawn, normalize="index"), brute, atol=0.012)


def test_two_levels_are_a_threshold_on_logistic_noise():
    """Where the answer has a closed form: P(Y_1 = 1 | X = 0, Y = 0) = (p1 - p0) / (1 - p0), monotone in the odds."""
    scm = ck.SCM({"x": logistic(), "y": logistic({"x": 1.5}, intercept=-1.0)})
    p0, p1 = special.expit(-1.0), special.expit(0.5)
    rows = pd.DataFrame({"x": [0] * 40_000, "y": [0, 1] * 20_000})
    after = scm.counterfactual(rows, {"x": 1}, seed=0)["y"].to_numpy()
    assert (after[1::2] == 1).all()
    assert after[::2].mean() == pytest.approx((p1 - p0) / (1 - p0), abs=0.015)


def test_counterfactuals_of_a_population_average_to_the_intervention(mixed):
    frame = mixed.sample(100_000, seed=0)
    imagined, done = mixed.counterfactual(frame, {"a": 0}, seed=1), mixed.do({"a": 0}).sample(100_000, seed=2)
    np.testing.assert_allclose(imagined.mean(), done.mean(), atol=0.02)
    np.testing.assert_allclose(imagined.corr().fillna(0), done.corr().fillna(0), atol=0.02)


def test_the_gain_of_a_softmax_turns_its_slopes_about_a_centre():
    mechanism = softmax({"a": [0.0, 1.0], "b": [0.0, -2.0]}, [0.0, 0.4])
    turned = mechanism.with_gain({"a": -2.0}, {"a": 3.0, "b": 9.0})
    x = tensor([[1.0, 0.5], [3.0, 0.5]])
    heard = tensor([[3.0 - 2.0 * (1.0 - 3.0), 0.5], [3.0, 0.5]])
    np.testing.assert_allclose(turned.log_probs(x), mechanism.log_probs(heard))
    assert mechanism.with_gain({"a": 1.0}).log_probs(x).equal(mechanism.log_probs(x))


def test_the_gain_of_a_table_works_on_logits_along_its_axis():
    p = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    mechanism = table({"x": 3}, p)
    logits = np.log(p) - np.log(p).mean(0)
    by_hand = special.softmax(np.log(p).mean(0) - 0.5 * logits, axis=1)
    np.testing.assert_allclose(mechanism.with_gain({"x": -0.5}).log_table.exp(), by_hand)
    cut = mechanism.with_gain({"x": 0.0}).log_table
    assert cut[0].allclose(cut[1]) and cut[0].allclose(cut[2])
    # a softmax in the parent's code is a table, and the gain about the mean code is the same thing in both
    slopes = softmax({"x": [0.0, 0.7, -1.0]}, [0.1, 0.2, 0.3])
    same = table({"x": 3}, slopes.log_probs(tensor([[0.0], [1.0], [2.0]])).exp().numpy())
    np.testing.assert_allclose(
        same.with_gain({"x": 2.0}).log_table,
        slopes.with_gain({"x": 2.0}, {"x": 1.0}).log_probs(tensor([[0.0], [1.0], [2.0]])),
    )
    # a zero counts as FLOOR in the mean and stays zero
    holed = table({"x": 2}, [[0.0, 0.4, 0.6], [0.2, 0.3, 0.5]]).with_gain({"x": 0.0}).log_table
    mean = (np.log([FLOOR, 0.4, 0.6]) + np.log([0.2, 0.3, 0.5])) / 2
    np.testing.assert_allclose(holed[1].exp(), special.softmax(mean))
    assert holed[0, 0] == -torch.inf


# ---- in an SCM


def test_frames_of_codes_and_of_noise(mixed):
    frame = mixed.sample(50, seed=0)
    assert [str(t) for t in frame.dtypes] == ["int64", "float64", "int64", "int64", "float64", "int64"]
    noise = mixed.abduct(frame, seed=0)
    assert list(noise) == ["a[0]", "a[1]", "a[2]", "x", "b[0]", "b[1]", "c[0]", "c[1]", "c[2]", "y", "d[0]", "d[1]"]
    assert list(mixed.sample_noise(3, seed=0)) == list(noise)
    pd.testing.assert_frame_equal(mixed.push(noise[noise.columns[::-1]]), frame)  # order does not matter
    shuffled = frame[["d", "y", "a", "c", "b", "x"]].astype({"a": float, "d": "int8"})
    pd.testing.assert_frame_equal(mixed.abduct(shuffled, seed=0), noise)
    whole = frame.assign(x=frame["x"].round().astype(int), y=frame["y"].round().astype(int))
    assert np.isfinite(mixed.log_prob(whole)).all()  # whole numbers are numbers
    assert mixed.levels == {"a": ("0", "1", "2"), "b": ("no", "yes"), "c": ("0", "1", "2"), "d": ("0", "1")}
    assert "c := categorical(a, x)" in repr(mixed)


def test_noise_abducted_before_an_intervention_is_pushed_through_after_it(mixed):
    frame = mixed.sample(200, seed=0)
    u = mixed.abduct(frame, seed=3)
    done = mixed.do({"c": 2})
    pd.testing.assert_frame_equal(done.push(u), mixed.counterfactual(frame, {"c": 2}, seed=3))
    pd.testing.assert_frame_equal(done.do({"c": 1, "a": 0}).push(u), mixed.do({"a": 0, "c": 1}).push(u))
    pd.testing.assert_frame_equal(done.push(done.abduct(done.push(u), seed=0)), done.push(u))
    given = mixed.do({"c": frame["c"]})
    pd.testing.assert_frame_equal(given.push(u), frame)
    assert done.sample(5, seed=0)["c"].dtype == np.int64


def test_posterior_streams_are_keyed_by_the_variable(mixed):
    frame = mixed.sample(20, seed=0)
    small = mixed.marginal(["b"])
    whole = mixed.abduct(frame, seed=4)
    pd.testing.assert_frame_equal(
        small.abduct(frame[["a", "b"]], seed=4), whole[["a[0]", "a[1]", "a[2]", "b[0]", "b[1]"]]
    )
    assert not mixed.abduct(frame, seed=5)["b[0]"].equals(whole["b[0]"])


def test_random_scms_may_be_mixed():
    families = {"x1": "linear", "x2": "logistic", "x3": "categorical"}
    scm = ck.random_scm(3, degree=2.0, mechanism=families, hidden=["x2"], seed=0)
    assert [scm.mechanisms[v].levels for v in scm.variables] == [None, 2, 3] and scm.observed == ("x1", "x3")
    several = ck.random_scm(30, mechanism=["mlp", "logistic"], seed=0)
    levels = [m.levels for m in several.mechanisms.values()]
    assert 8 < levels.count(2) < 22 and levels.count(None) + levels.count(2) == 30
    frame = several.sample(20_000, seed=1)
    real = [v for v in several.variables if several.mechanisms[v].levels is None]
    np.testing.assert_allclose(frame[real].std(), 1, atol=0.05)
    # a variable's own family and weights do not depend on who else draws what
    alone = ck.random_scm(30, mechanism="logistic", seed=0)
    for v in set(several.variables) - set(real):
        assert alone.mechanisms[v].weights.equal(several.mechanisms[v].weights)


def test_a_mixed_scm_works_end_to_end(mixed):
    """Sample, shift, train a classifier of a discrete target, and say what is not for discrete columns."""
    shifts = {"before": None, "after": ck.shifts.spurious("c", strength=1.0)}
    train = ck.sample_environments(mixed, shifts, 400, seed=0)
    task = ck.Task(("x", "y", "b"), "d", kind="classification")
    model = ck.fit(train, task, graph=mixed.graph, steps=60, seed=1)
    report = ck.evaluate(model, train, task)
    coin = max(train[0].frame["d"].mean(), 1 - train[0].frame["d"].mean())
    assert report["accuracy"].min() > coin + 0.05
    assert set(model.predict(train[0].frame)) <= {0, 1}


# ---- bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: table({"x": 2}, [0.5, 0.5]), r"shape \(2,\), expected \[2 \(x\), levels"),
        (lambda: table({}, [1.0]), "levels of the variable"),
        (lambda: table(["x"], [[0.5, 0.5]]), "mapping from parent"),
        (lambda: table({"x": 2}, [[0.5, 0.5], [0.5, 0.4]]), "for x = 1 are .*sum 0.9"),
        (lambda: table({"x": 1, "z": 2}, [[[1.0, 0.0], [1.5, -0.5]]]), "for x = 0, z = 1 are"),
        (lambda: table({}, [np.nan, 1.0]), "numbers >= 0"),
        (lambda: table({}, [0.5, 0.5], level_names=["a"]), r"\['a'\] for 2 levels"),
        (lambda: softmax({"x": [1.0]}, [0.0, 0.0]), "'x' has 1 weights for 2 levels"),
        (lambda: softmax({}, [0.0]), "at least 2"),
        (lambda: softmax(["x"], [0.0, 0.0]), "mapping from parent"),
        (lambda: softmax({"x": [0.0, np.inf]}, [0.0, 0.0]), "finite"),
        (lambda: logistic(["x"]), "mapping from parent"),
        (lambda: logistic({"x": np.nan}), "finite"),
        (lambda: ck.SCM({"x": ck.linear(), "y": table({"x": 2}, [[0.5, 0.5]] * 2)}), "'x', which is not discrete"),
        (lambda: ck.SCM({"x": table({}, [1 / 3] * 3), "y": table({"x": 2}, [[0.5, 0.5]] * 2)}), "'x', which has 3"),
        (lambda: ck.SCM({"x": logistic(), "x[0]": ck.linear()}), r"'x\[0\]' names"),
        (lambda: table({}, [0.5, 0.5]).scaled(2.0), "no noise scale"),
        (lambda: table({"x": 2}, [[0.5, 0.5]] * 2).push(tensor([[2.0]]), torch.zeros(1, 2)), "'x' = 2 is none"),
        (lambda: ck.random_scm(3, mechanism={"x1": "mlp", "x2": "mlp"}, seed=0), "says nothing of 'x3'"),
        (lambda: ck.random_scm(3, mechanism=dict.fromkeys(["x1", "x2", "x3", "y"], "mlp"), seed=0), "`mechanism` 'y'"),
        (lambda: ck.random_scm(3, mechanism=["mlp", "logisti"], seed=0), "did you mean 'logistic'"),
        (lambda: ck.random_scm(3, mechanism=[], seed=0), "empty sequence"),
        (lambda: ck.random_scm(3, hidden=["h"], seed=0), "hidden variable 'h'"),
    ],
)
def test_bad_models_are_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda scm, f: scm.do({"c": 3}), r"do\(c = ...\) has the value 3, .*codes 0, 1, 2"),
        (lambda scm, f: scm.do({"c": 1}).do({"c": 0.5}), "do.c = .* the value 0.5"),
        (lambda scm, f: scm.do({"b": [0, 1, 2]}), r"value 2 in row 2, .*codes 0 \(no\), 1 \(yes\)"),
        (lambda scm, f: scm.log_prob(f.assign(b=7)), "column 'b' has the value 7 in row 0"),
        (lambda scm, f: scm.abduct(f.assign(b=0.5), seed=0), "column 'b' has the value 0.5"),
        (lambda scm, f: scm.counterfactual(f.assign(a=-1), {"x": 0.0}, seed=0), "column 'a' has the value -1"),
        (lambda scm, f: scm.abduct(f.assign(b="yes"), seed=0), "'b' is not numeric"),
        (lambda scm, f: scm.abduct(f.assign(a=1, b=0), seed=0), "noise of 'b': the value 0 in row 0 has probability 0"),
        (
            lambda scm, f: scm.abduct(f.assign(e=1), seed=0),
            r"no variables of this SCM: e\. .*frame\[list\(scm.variables\)",
        ),
        (lambda scm, f: scm.push(scm.sample_noise(5, seed=0).drop(columns="b[1]")), r"unknown column 'b\[1\]'"),
        (lambda scm, f: scm.push(scm.sample_noise(5, seed=0).assign(e=0)), "no variables of this SCM: e"),
    ],
)
def test_bad_calls_are_refused_at_the_door(mixed, call, message):
    with pytest.raises(ValueError, match=message):
        call(mixed, mixed.sample(5, seed=0))


def test_without_a_seed_discrete_noise_is_refused(mixed):
    frame = mixed.sample(5, seed=0)
    for call in (mixed.abduct, lambda f: mixed.counterfactual(f, {"x": 0.0})):
        with pytest.raises(NotInvertible, match=r"noise of 'a' cannot be recovered.*seed=0"):
            call(frame)
