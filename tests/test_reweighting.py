"""Shift correctors: laws of the weights, exact ratios of kit shifts, other libraries, harm, bad input."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import causalkit as ck
from causalkit.reweighting import WEIGHTS, bbse, discriminative, effective_sample_size, em, kmm, ulsif, weigh
from causalkit.reweighting.covariate import _features, _median_distance
from causalkit.reweighting.label import _calibrated, _probabilities

COVARIATE, LABEL = ("kmm", "ulsif", "discriminative"), ("bbse", "em")
CAUSES = ck.SCM({"a": ck.linear(), "b": ck.linear(), "y": ck.logistic({"a": 1.0, "b": -1.0})})
EFFECTS = ck.SCM({"y": ck.logistic(), "a": ck.linear({"y": 1.5}), "b": ck.linear({"y": 1.0})})
TASK = ck.Task(("a", "b"), "y", "classification")


def scm_of(method):
    return CAUSES if method in COVARIATE else EFFECTS


def shift_of(method, strength):
    shifts = ck.shifts
    return shifts.covariate("y", strength=strength) if method in COVARIATE else shifts.label("y", strength=strength)


def drawn(method, strength, n, seed):
    """Source, target, and the exact weights q / p of the source's rows."""
    scm = scm_of(method)
    shifted = shift_of(method, strength)(scm)
    source, target = scm.sample(n, seed=2 * seed), shifted.sample(n, seed=2 * seed + 1)
    return source, target, np.exp(shifted.log_prob(source) - scm.log_prob(source))


def standard_error(values, weights):
    """Of the weighted mean, the weights taken as given."""
    centred = values - np.average(values, weights=weights)
    return np.sqrt((weights**2 * centred**2).sum()) / weights.sum()


def sharpened(power, fitted_on, task=TASK):
    """An over-confident classifier: a logistic regression's probabilities to a power, as a model looks."""
    features = list(task.features)
    inner = LogisticRegression().fit(fitted_on[features], fitted_on[task.target])
    proba = lambda frame: softmax(power * np.log(inner.predict_proba(frame[features])), axis=1)  # noqa: E731
    return SimpleNamespace(classes=inner.classes_, predict_proba=proba)


# ---- laws


@pytest.mark.parametrize("method", WEIGHTS)
@settings(max_examples=6)
@given(seed=st.integers(0, 1000), strength=st.floats(0.0, 1.0))
def test_weights_are_nonnegative_of_mean_one_and_belong_to_their_seed(method, seed, strength):
    source, target, _ = drawn(method, strength, 150, seed)
    before = np.random.get_state()[1].copy()
    w = WEIGHTS[method](source, target, TASK, seed=seed)
    assert w.shape == (150,) and w.dtype == np.float64
    assert (w >= 0.0).all() and np.isfinite(w).all() and w.mean() == pytest.approx(1.0, abs=1e-12)
    assert np.array_equal(w, WEIGHTS[method](source, target, TASK, seed=seed))
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("method", WEIGHTS)
def test_no_shift_leaves_the_rows_almost_even(method):
    sizes = []
    for seed in range(5):
        source, target, exact = drawn(method, 0.0, 600, seed)
        assert np.allclose(exact, 1.0)
        sizes.append(effective_sample_size(WEIGHTS[method](source, target, TASK, seed=seed)) / 600)
    assert min(sizes) > 0.9


@pytest.mark.parametrize("method", WEIGHTS)
def test_the_targets_labels_are_never_read(method):
    source, target, _ = drawn(method, 0.5, 200, 0)
    blind = target[["b", "a"]]
    assert np.array_equal(WEIGHTS[method](source, target, TASK, seed=1), WEIGHTS[method](source, blind, TASK, seed=1))


@pytest.mark.parametrize("method", COVARIATE)
def test_covariate_weights_read_features_alone_in_any_units(method):
    source, target, _ = drawn(method, 0.5, 200, 0)
    w = WEIGHTS[method](source, target, TASK, seed=1)
    assert np.array_equal(w, WEIGHTS[method](source.drop(columns="y"), target, TASK, seed=1))
    feet, other = (frame.assign(a=3.0 * frame["a"] - 7.0) for frame in (source, target))
    assert np.allclose(w, WEIGHTS[method](feet, other, TASK, seed=1), atol=1e-3)


@pytest.mark.parametrize("method", ["kmm", "discriminative"])
def test_weights_follow_their_rows(method):
    source, target, _ = drawn(method, 0.5, 200, 0)
    turned = WEIGHTS[method](source.iloc[::-1], target, TASK, seed=1)
    assert np.allclose(WEIGHTS[method](source, target, TASK, seed=1), turned[::-1], atol=1e-3)


@pytest.mark.parametrize("method", LABEL)
def test_label_weights_are_one_number_a_class(method):
    source, target, _ = drawn(method, 1.0, 400, 0)
    w = WEIGHTS[method](source, target, TASK, seed=0)
    assert (pd.Series(w).groupby(source["y"].to_numpy()).std() < 1e-12).all()


# ---- exact ratios, which the two SCMs know


@pytest.mark.parametrize(
    ("method", "error", "rank"), [("kmm", 0.4, 0.95), ("ulsif", 0.65, 0.85), ("discriminative", 0.4, 0.97)]
)
def test_covariate_weights_are_near_the_exact_ratio(method, error, rank):
    found = []
    for seed in range(3):
        source, target, exact = drawn(method, 0.5, 1000, seed)
        exact /= exact.mean()
        w = WEIGHTS[method](source, target, TASK, seed=seed)
        spread = exact.std()  # what weights of 1 are off by
        found.append((np.sqrt(np.mean((w - exact) ** 2)) / spread, spearmanr(w, exact)[0]))
    errors, ranks = np.mean(found, axis=0)
    assert errors < error and ranks > rank


@pytest.mark.parametrize("method", COVARIATE)
def test_the_weighted_risk_is_the_targets_risk(method):
    source, target, exact = drawn(method, 0.7, 2000, 3)
    loss = lambda frame: (frame["y"] - (frame["a"] > 0.0)) ** 2 + np.tanh(frame["a"])  # noqa: E731
    here, there = loss(source).to_numpy(), loss(target).to_numpy()
    w = WEIGHTS[method](source, target, TASK, seed=0)
    error = np.hypot(standard_error(here, exact), standard_error(there, np.ones(2000)))
    assert abs(here.mean() - there.mean()) > 8 * error  # so there is something to correct
    assert abs(np.average(here, weights=w) - there.mean()) < 3 * error


@pytest.mark.parametrize("method", LABEL)
def test_label_weights_recover_the_exact_ratio_of_a_root_target(method):
    errors = []
    for seed in range(5):
        source, target, exact = drawn(method, 1.0, 2000, seed)
        errors.append(np.abs(WEIGHTS[method](source, target, TASK, seed=seed) - exact).max())
    assert np.mean(errors) < 0.1 and np.abs(exact - 1.0).max() > 0.3


@pytest.mark.parametrize("method", LABEL)
def test_label_weights_recover_a_selection_by_outcome(method):
    scm = ck.SCM({"a": ck.linear(), "y": ck.logistic({"a": 1.0}), "b": ck.linear({"y": 2.0})})
    selected = ck.Selected(scm, lambda frame: np.where(frame["y"] == 1, 1.0, 0.3), on=("y", "a"))
    errors = []
    for seed in range(5):
        source, target = scm.sample(3000, seed=2 * seed), selected.sample(3000, seed=2 * seed + 1)
        errors.append(np.abs(WEIGHTS[method](source, target, TASK, seed=seed) - selected.weights(source)).max())
    assert np.mean(errors) < 0.1


def test_discriminative_weights_of_two_gaussians_are_the_closed_form():
    rng = np.random.default_rng(0)
    source, target = (pd.DataFrame({"a": rng.normal(m, s, 20_000), "b": 1.0}) for m, s in ((0.0, 1.0), (0.4, 0.8)))
    log_ratio = -((source["a"] - 0.4) ** 2) / (2 * 0.64) + source["a"] ** 2 / 2
    w = np.log(discriminative(source, target, TASK, seed=0))
    assert np.corrcoef(w, log_ratio)[0, 1] > 0.995
    assert np.corrcoef(np.log(discriminative(source, target, TASK, seed=0, degree=1)), log_ratio)[0, 1] < 0.9


def test_three_classes_and_codes_that_are_not_0_to_k():
    rng = np.random.default_rng(0)
    p, q, codes, places = [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], np.array([2, 5, 9]), np.array([[2, 0], [-1, 2], [-1, -2]])

    def draw(shares):
        y = rng.choice(3, 4000, p=shares)
        return pd.DataFrame(rng.normal(size=(4000, 2)) + places[y], columns=["a", "b"]).assign(y=codes[y])

    source, target = draw(p), draw(q)
    ratios = target["y"].value_counts(normalize=True) / source["y"].value_counts(normalize=True)
    for method in LABEL:
        w = pd.Series(WEIGHTS[method](source, target, TASK, seed=0)).groupby(source["y"].to_numpy()).first()
        assert np.allclose(w, ratios, atol=0.1) and list(w.index) == [2, 5, 9]


# ---- what the methods promise


def test_kmm_matches_kernel_means_and_solves_its_problem():
    from sklearn.metrics.pairwise import rbf_kernel

    source, target, _ = drawn("kmm", 0.7, 300, 0)
    x, z = _features(source, target, TASK)
    gamma = 0.5 / _median_distance(x, z, 0) ** 2
    k, kappa, own = rbf_kernel(x, gamma=gamma), 300 * rbf_kernel(x, z, gamma=gamma).mean(1), rbf_kernel(z, gamma=gamma)

    def discrepancy(w):  # squared MMD
        return (w @ k @ w - 2 * w @ kappa) / 300**2 + own.mean()

    assert discrepancy(kmm(source, target, TASK, seed=0)) < 0.05 * discrepancy(np.ones(300))
    solution = np.linalg.solve(k + 100.0 * np.eye(300), kappa)
    assert (solution > 0.0).all()  # the bounds do not bind here, so that the minimiser has a closed form
    assert np.allclose(kmm(source, target, TASK, seed=0, ridge=100.0), solution / solution.mean(), atol=1e-3)


def test_the_bound_of_kmm_holds_before_scaling():
    source, target, _ = drawn("kmm", 0.7, 300, 0)
    loose, tight = (kmm(source, target, TASK, seed=0, bound=bound) for bound in (1000.0, 1.5))
    assert tight.max() < loose.max() and (np.isclose(tight, tight.max())).sum() > 1


def test_calibration_saves_em_from_an_over_confident_classifier_and_bbse_does_not_need_it():
    errors = []
    for seed in range(5):
        source, target, exact = drawn("em", 1.0, 2000, seed)
        model = sharpened(4.0, EFFECTS.sample(2000, seed=100 + seed))
        ways = (em, lambda *a, **k: em(*a, **k, calibrate=False), bbse, lambda *a, **k: bbse(*a, **k, hard=True))
        errors.append([np.abs(way(source, target, TASK, seed=0, model=model) - exact).mean() for way in ways])
    calibrated, raw, soft, hard = np.mean(errors, axis=0)
    assert calibrated < 0.06 < 0.1 < raw and soft < 0.06 and hard < 0.06


def test_temperature_and_bias_are_recovered():
    frame = EFFECTS.sample(20_000, seed=0)
    true = softmax(np.column_stack([np.zeros(len(frame)), 1.5 * frame["a"] + frame["b"] - (1.5**2 + 1.0) / 2]), axis=1)
    wrong = softmax(3.0 * np.log(true) + [0.0, 1.0], axis=1)
    mended, _ = _calibrated(wrong, frame["y"].to_numpy(), wrong)
    assert np.abs(mended - true).max() < 0.03 < 0.2 < np.abs(wrong - true).max()


def test_source_probabilities_are_for_rows_that_the_classifier_has_not_seen():
    rng = np.random.default_rng(0)
    wide = ck.Task(tuple(f"x{i}" for i in range(40)), "y", "classification")
    noise = pd.DataFrame(rng.normal(size=(60, 40)), columns=wide.features).assign(y=np.arange(60) % 2)
    labels, here, there = _probabilities(noise, noise, wide, None, 0)
    share_right = [(p.argmax(1) == labels).mean() for p in (here, there)]
    assert share_right[0] < 0.7 < 0.9 < share_right[1]  # a classifier of noise is right on rows that it has learnt


def test_a_causalkit_model_can_be_the_classifier():
    source, target, exact = drawn("bbse", 1.0, 2000, 0)
    train = [ck.Environment("other", EFFECTS.sample(2000, seed=50))]
    model = ck.fit(train, TASK, backbone="linear", steps=200, seed=0)
    for method in (bbse, em):
        assert np.abs(method(source, target, TASK, seed=0, model=model) - exact).max() < 0.15


# ---- other libraries, where they are installed


def test_em_and_bbse_agree_with_quapy():
    aggregative = pytest.importorskip("quapy.method.aggregative")
    pytest.importorskip("abstention")
    source, target, _ = drawn("em", 1.0, 2000, 0)
    x, y, z = source[["a", "b"]].to_numpy(), source["y"].to_numpy(), target[["a", "b"]].to_numpy()
    shares = np.bincount(y) / len(y)
    for ours, theirs in (
        (em, aggregative.EMQ.EMQ_BCTS(LogisticRegression())),
        (bbse, aggregative.PACC(LogisticRegression())),
    ):
        w = ours(source, target, TASK, seed=0)
        assert np.allclose([w[y == k][0] for k in (0, 1)], theirs.fit(x, y).predict(z) / shares, atol=0.02)


def test_kmm_is_nearer_to_the_ratio_than_that_of_skada():
    reweight = pytest.importorskip("skada._reweight")
    source, target, exact = drawn("kmm", 0.5, 600, 0)
    x, z = _features(source, target, TASK)
    adapter = reweight.KMMReweightAdapter(gamma=0.5 / _median_distance(x, z, 0) ** 2)
    adapter.fit(np.concatenate([x, z]), sample_domain=np.repeat([1, -2], [len(x), len(z)]))
    theirs = adapter.source_weights_ / adapter.source_weights_.mean()
    ours = kmm(source, target, TASK, seed=0)
    assert np.mean((ours - exact) ** 2) < 0.2 * np.mean((theirs - exact) ** 2)


# ---- harm: a corrector is only as good as its assumption


def excess(scm, shift, method, task, seeds=5, n=4000):
    """Log-loss in the target with weights less that without, and what fitting there would gain: [seeds] each."""
    features, rows = list(task.features), []
    for seed in range(seeds):
        source, target, test = (s.sample(n, seed=3 * seed + i) for i, s in enumerate((scm, shift(scm), shift(scm))))

        def loss(frame, w=None, test=test):
            fitted = LogisticRegression().fit(frame[features], frame["y"], sample_weight=w)
            return log_loss(test["y"], fitted.predict_proba(test[features])[:, 1])

        plain = loss(source)
        w = WEIGHTS[method](source, target, task, seed=seed)
        rows.append((loss(source, w) - plain, plain - loss(target)))
    return np.array(rows).T


def beyond_error(values, errors=3.0):
    return values.mean() - errors * values.std(ddof=1) / len(values) ** 0.5


@pytest.mark.parametrize("method", LABEL)
def test_label_correctors_harm_under_a_concept_shift_that_turns_the_cause_round(method):
    scm = ck.SCM({"x": ck.linear(intercept=1.0), "y": ck.logistic({"x": 2.0}), "z": ck.linear({"y": 2.0})})
    harm, _ = excess(
        scm,
        ck.shifts.concept("y", strength=2.0, how="gain", direction=-1),
        method,
        ck.Task(("x", "z"), "y", "classification"),
    )
    assert beyond_error(harm) > 0.0


@pytest.mark.parametrize("method", COVARIATE)
def test_covariate_correctors_do_nothing_for_a_concept_shift(method):
    shift = ck.shifts.concept("y", strength=1.0, how="gain", direction=-1)
    change, gap = excess(CAUSES, shift, method, TASK, seeds=3, n=1000)
    assert beyond_error(gap) > 0.05  # fitting in the target would gain this much
    assert np.abs(change).max() < 0.1 * gap.mean()


@pytest.mark.parametrize("method", LABEL)
def test_label_correctors_harm_under_a_covariate_shift(method):
    scm = ck.SCM({"x": ck.linear(), "y": ck.logistic({"x": 2.0}), "z": ck.linear({"y": 1.0})})
    harm, gap = excess(scm, ck.shifts.covariate("y", strength=1.0), method, ck.Task(("x", "z"), "y", "classification"))
    assert beyond_error(harm) > 0.1 and abs(gap.mean()) < 0.01  # there was nothing to correct


# ---- weigh, effective_sample_size


def test_weigh_does_each_environment_by_itself():
    train = ck.sample_environments(EFFECTS, {"a": None, "b": ck.shifts.label("y", strength=1.0)}, 800, seed=0)
    target = EFFECTS.sample(800, seed=9)[["a", "b"]]
    weights = weigh(train, target, TASK, "em", seed=1)
    assert [len(w) for w in weights] == [800, 800] and all(w.mean() == pytest.approx(1.0) for w in weights)
    assert np.array_equal(weigh(train[::-1], target, TASK, "em", seed=1)[0], weights[1])
    shares = [np.average(e.frame["y"], weights=w) for e, w in zip(train, weights, strict=True)]
    assert np.allclose(shares, 0.5, atol=0.06) and train[1].frame["y"].mean() > 0.65


def test_fit_takes_the_weights():
    rng = np.random.default_rng(
        0
    )  # the mean is a curve, the model a line: which line is best depends on where the rows are
    source, target = (
        pd.DataFrame({"a": rng.normal(m, 1.0, 2000)}).assign(y=lambda f: f["a"] ** 2 + rng.normal(0.0, 0.1, 2000))
        for m in (0.0, 1.0)
    )
    train, task = [ck.Environment("source", source)], ck.Task(("a",), "y")
    weights = weigh(train, target, task, "kmm", seed=0)
    plain, weighted = (ck.fit(train, task, backbone="linear", weights=w, seed=0) for w in (None, weights))
    risk = [float(((model.predict(target) - target["y"]) ** 2).mean()) for model in (plain, weighted)]
    best = np.polyfit(target["a"], target["y"], 1)
    floor = float(((np.polyval(best, target["a"]) - target["y"]) ** 2).mean())
    assert risk[1] - floor < 0.1 * (risk[0] - floor)


def test_a_corrector_of_ones_own_is_one_line(monkeypatch):
    monkeypatch.setitem(WEIGHTS, "even", lambda source, target, task, *, seed: np.ones(len(source)))
    train = [ck.Environment("a", EFFECTS.sample(20, seed=0))]
    assert weigh(train, train[0].frame, TASK, "even", seed=0)[0].tolist() == [1.0] * 20


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=30), st.floats(0.1, 10.0))
def test_effective_sample_size_lies_between_one_and_n_and_has_no_scale(weights, scale):
    size = effective_sample_size(np.array(weights))
    assert 1.0 - 1e-9 <= size <= len(weights) + 1e-9
    assert effective_sample_size(scale * np.array(weights)) == pytest.approx(size)


# ---- bad input

FRAME = EFFECTS.sample(60, seed=0)
REGRESSION = ck.Task(("a", "b"), "y")


@pytest.mark.parametrize("method", WEIGHTS)
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (FRAME, FRAME.drop(columns="b"), "target: unknown column 'b'"),
        (FRAME.drop(columns="a"), FRAME, "source: unknown column 'a'"),
        (FRAME, FRAME[:4], "target: the frame has 4 rows, at least 10"),
        (FRAME[:4], FRAME, "source: the frame has 4 rows, at least 10"),
        (FRAME.assign(a=np.nan), FRAME, "source: column 'a' has 60 values"),
        (FRAME.to_numpy(), FRAME, "source: expected a pandas DataFrame"),
    ],
)
def test_bad_frames_are_named(method, source, target, message):
    with pytest.raises(ValueError, match=message):
        WEIGHTS[method](source, target, TASK, seed=0)


@pytest.mark.parametrize("method", LABEL)
@pytest.mark.parametrize(
    ("source", "task", "model", "message"),
    [
        (FRAME, REGRESSION, None, "'y' is a regression's target: use 'kmm'"),
        (FRAME.assign(y=1), TASK, None, "has one class only, 1"),
        (FRAME.assign(y=FRAME["y"] + 0.5), TASK, None, "not made of integer codes"),
        (FRAME.assign(y=[2, 2] + [0, 1] * 29), TASK, None, "class 2 of 'y' has 2 rows, at least 5"),
        (FRAME.drop(columns="y"), TASK, None, "source: unknown column 'y'"),
        (FRAME, TASK, SimpleNamespace(classes=np.array([0, 1, 2])), "source has .*0 1.*: weigh with a model"),
        (FRAME, TASK, SimpleNamespace(classes=None), "the model's classes are None"),
    ],
)
def test_what_a_label_corrector_cannot_weigh_is_named(method, source, task, model, message):
    with pytest.raises(ValueError, match=message):
        WEIGHTS[method](source, FRAME, task, seed=0, model=model)


def test_bbse_refuses_a_classifier_that_knows_nothing():
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"]).assign(y=np.arange(400) % 2)
    with pytest.raises(ValueError, match="does not tell the classes of 'y' apart"):
        bbse(noise, noise, TASK, seed=0)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (lambda: kmm(FRAME, FRAME, TASK, seed=0, ridge=0.0), "ridge = 0.0: both must be positive"),
        (lambda: kmm(FRAME, FRAME, TASK, seed=0, bound=-1.0), "bound = -1.0"),
        (lambda: kmm(pd.concat([FRAME] * 200), FRAME, TASK, seed=0), "kernel of 12,000 x 12,000 rows"),
        (lambda: ulsif(FRAME, FRAME, TASK, seed=0, kernels=0), "kernels = 0: give at least 1"),
        (lambda: discriminative(FRAME, FRAME, TASK, seed=0, degree=0), "degree = 0: give at least 1"),
        (lambda: kmm(FRAME, FRAME, TASK, seed=-1), "seed -1 is not"),
    ],
)
def test_bad_options_are_named(way, message):
    with pytest.raises(ValueError, match=message):
        way()


@pytest.mark.parametrize(
    ("train", "method", "message"),
    [
        ([ck.Environment("a", FRAME)], "kkm", "unknown weights 'kkm'; did you mean 'kmm'"),
        ([], "kmm", "at least one Environment"),
        ([ck.Environment("a", FRAME[:5])], "kmm", "environment 'a': source: the frame has 5 rows"),
        (
            [ck.Environment("a", FRAME), ck.Environment("b", FRAME[FRAME["y"] == 0])],
            "em",
            "environment 'b' has no row of class 1 of 'y'",
        ),
    ],
)
def test_weigh_names_the_environment(train, method, message):
    with pytest.raises(ValueError, match=message):
        weigh(train, FRAME, TASK, method, seed=0)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [np.nan], [0.0, 0.0], [[1.0]], []])
def test_weights_without_a_size_are_refused(weights):
    with pytest.raises(ValueError, match="one finite number a row"):
        effective_sample_size(np.array(weights))
