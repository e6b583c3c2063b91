"""Coloured digits and signals, and the curve to extrapolate: the recipe's laws, and that colour does mislead."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import causalkit as ck
from causalkit import coloured

every_maker = pytest.mark.parametrize("make", [coloured.digits, coloured.signals])


def values(environment):
    """Of the two channels [2, rows, values]."""
    names = [name for name in environment.frame if name[0] == "p"]
    return np.stack(np.split(environment.frame[names].to_numpy(), 2, axis=1))


def plausible(hits, probability):
    """A binomial test that a right recipe fails once in a million times."""
    return binomtest(int(hits.sum()), len(hits), probability).pvalue > 1e-6


@settings(max_examples=15, deadline=None)
@given(flip=st.floats(0, 1), noise=st.floats(0, 1), part=st.sampled_from(["train", "test"]), seed=st.integers(0, 99))
def test_noise_and_flips_come_as_often_as_asked(flip, noise, part, seed):
    frame = coloured.digits({"a": flip}, 2_000, label_noise=noise, part=part, seed=seed)[0].frame
    assert (frame["shape"] == (frame["digit"] < 5)).all()
    wrong, other = frame["y"] != frame["shape"], frame["colour"] != frame["y"]
    assert plausible(wrong, noise) and plausible(other, flip)
    assert plausible((wrong & other), noise * flip)  # the two are drawn apart


@every_maker
def test_the_signals_and_digits_carry_noise_and_flips_alike(make):
    frame = make({"a": 0.2}, 1_000, label_noise=0.25, seed=0)[0].frame
    assert plausible(frame["y"] != frame["shape"], 0.25) and plausible(frame["colour"] != frame["y"], 0.2)
    assert set(frame["digit"]) == set(range(10))


@every_maker
def test_one_channel_holds_the_values_and_the_other_nothing(make):
    (environment,) = make({"a": 0.3}, 300, seed=1)
    first, second = values(environment)
    second_filled = environment.frame["colour"].to_numpy() == 1
    assert not first[second_filled].any() and not second[~second_filled].any()
    assert (first + second).any(1).all()


@every_maker
def test_the_flip_moves_colours_and_nothing_else(make):
    (one,), (other,) = (make({"a": flip}, 300, seed=2) for flip in (0.1, 0.9))
    same = ["y", "shape", "digit"]
    assert one.frame[same].equals(other.frame[same])
    assert np.array_equal(*(coloured.grey([e])[0].frame.filter(like="p") for e in (one, other)))
    moved = one.frame["colour"] != other.frame["colour"]
    assert plausible(moved, 0.8)
    # a moved colour swaps the channels of its row
    assert np.array_equal(values(one)[::-1][:, moved], values(other)[:, moved])
    assert np.array_equal(values(one)[:, ~moved], values(other)[:, ~moved])


@every_maker
def test_label_noise_leaves_the_shapes(make):
    (one,), (other,) = (make({"a": 0.1}, 200, label_noise=noise, seed=2) for noise in (0.0, 0.25))
    assert one.frame[["shape", "digit"]].equals(other.frame[["shape", "digit"]])
    assert np.array_equal(*(coloured.grey([e])[0].frame.filter(like="p") for e in (one, other)))


@every_maker
def test_environments_have_streams_of_their_own(make):
    alone = make({"a": 0.1}, 100, seed=3)[0]
    beside = make({"b": 0.2, "a": 0.1}, 100, seed=3)
    assert alone.frame.equals(beside[1].frame)
    assert not beside[0].frame["digit"].equals(beside[1].frame["digit"])
    assert not alone.frame.equals(make({"a": 0.1}, 100, seed=4)[0].frame)
    assert not alone.frame.equals(make({"a": 0.1}, 100, part="test", seed=3)[0].frame)


def test_no_image_is_in_training_and_in_the_test():
    grey = {
        part: {
            row.tobytes()
            for seed in range(3)
            for row in coloured.grey(coloured.digits({"a": 0.1}, 4_000, part=part, seed=seed))[0]
            .frame.filter(regex=r"^p\d+$")
            .to_numpy()
        }
        for part in ("train", "test")
    }
    assert not grey["train"] & grey["test"]
    assert len(grey["train"]) == 1_198 and len(grey["test"]) == 599  # every image was drawn, each in its part
    assert grey["train"] | grey["test"] == {row.tobytes() for row in load_digits().data / 16}


def test_digits_are_what_the_images_show():
    frame = coloured.grey(coloured.digits({"a": 0.1}, 500, seed=0))[0].frame
    known = {row.tobytes(): number for row, number in zip(load_digits().data / 16, load_digits().target, strict=True)}
    assert [known[row.tobytes()] for row in frame.filter(regex=r"^p\d+$").to_numpy()] == frame["digit"].tolist()


def test_signals_are_the_generators_and_leave_the_global_streams_alone():
    random.seed(5), np.random.seed(5)
    states = random.getstate(), np.random.get_state()[1].tolist()
    (train,), (test,) = (coloured.signals({"a": 0.1}, 95, part=part, seed=0) for part in ("train", "test"))
    assert states == (random.getstate(), np.random.get_state()[1].tolist())
    signals = {part: values(e).sum(0) for part, e in (("train", train), ("test", test))}
    assert signals["train"].shape == (95, 40)
    assert abs(signals["train"].mean() - 1) < 0.05 and abs(signals["train"].std() - 1) < 0.05
    distances = np.abs(signals["train"][:, None] - signals["test"][None]).max(-1)
    assert distances.min() > 0.1  # no signal twice


def test_logistic_regression_falls_for_the_colour_and_without_it_does_not():
    """As published of ERM on Coloured MNIST: right in training by the colour, wrong where it has turned round."""
    train = coloured.digits({"a": 0.1, "b": 0.2}, 3_000, seed=0)
    test = coloured.digits({"turned": 0.9}, 3_000, part="test", seed=0)

    def accuracy(train, test):
        names = list(coloured.task(train).features)
        model = LogisticRegression(C=0.1, max_iter=300)
        model.fit(np.vstack([e.frame[names] for e in train]), np.hstack([e.frame["y"] for e in train]))
        return [model.score(np.asarray(e.frame[names]), e.frame["y"]) for e in (train[0], test[0])]

    misled, oracle = accuracy(train, test), accuracy(coloured.grey(train), coloured.grey(test))
    assert misled[0] > 0.85 and misled[1] < 0.25
    assert min(oracle) > 0.6


def test_the_task_sees_the_values_alone():
    environments = coloured.digits({"a": 0.1}, 20, seed=0)
    assert coloured.task(environments) == ck.Task(tuple(f"p{i}" for i in range(128)), "y", "classification")
    assert coloured.task(coloured.grey(environments)).features == tuple(f"p{i}" for i in range(64))


def test_distinct_rows_carry_the_same_risks():
    environments = coloured.digits({"a": 0.1, "b": 0.2}, 8_000, seed=0)
    few, weights = coloured.distinct(environments)
    for whole, part, counts in zip(environments, few, weights, strict=True):
        assert part.name == whole.name and len(part.frame) == len(counts) < 4_793 and counts.sum() == 8_000
        assert not part.frame.duplicated().any()
        for column in whole.frame:
            assert np.average(part.frame[column], weights=counts) == pytest.approx(whole.frame[column].mean())
    given = {"objective": "vrex", "backbone": "linear", "steps": 20, "standardise": False, "seed": 0}
    one = ck.fit(environments, coloured.task(environments), **given)
    other = ck.fit(few, coloured.task(few), weights=weights, **given)
    frame = environments[0].frame.head(50)
    assert np.allclose(one.predict_proba(frame), other.predict_proba(frame), atol=1e-4)


def test_the_curve_and_where_it_is_seen():
    train, test = coloured.extrapolation(20_000, seed=0)
    for environment in [*train, test]:
        assert np.allclose(environment.frame["y"], np.sin(2 * environment.frame["x1"]) + 1)
    means, covariances = zip(*((e.frame[["x1", "x2"]].mean(), e.frame[["x1", "x2"]].cov()) for e in train), strict=True)
    assert np.allclose(means, [[-0.9, -2.2], [1, 2]], atol=0.03)
    assert np.allclose(covariances, [[[0.9, 0.11], [0.11, 0.1]], [[1, -0.3], [-0.3, 0.1]]], atol=0.03)
    assert len(test.frame) == 1_000
    for name in ("x1", "x2"):
        assert kstest(test.frame[name], "uniform", (-4, 8)).pvalue > 1e-6
    assert not train[0].frame.equals(coloured.extrapolation(20_000, seed=1)[0][0].frame)


@every_maker
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"flips": {}}, "flips must map environment names to probabilities"),
        ({"flips": [0.1, 0.2]}, "flips must map"),
        ({"flips": {"a": 1.1}}, r"flips\['a'\] is 1.1: give a probability"),
        ({"flips": {"a": float("nan")}}, r"flips\['a'\] is nan"),
        ({"flips": {"a": True}}, r"flips\['a'\] is True"),
        ({"label_noise": -0.1}, "label_noise is -0.1"),
        ({"rows": 0}, "rows 0: give the number of rows"),
        ({"rows": 2.5}, "rows 2.5"),
        ({"part": "tests"}, "unknown part 'tests'; did you mean 'test'"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_is_refused(make, given, message):
    with pytest.raises(ValueError, match=message):
        make(**{"flips": {"a": 0.1}, "rows": 10, "seed": 0} | given)


def test_what_else_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="max_translation 0"):
        coloured.signals({"a": 0.1}, 10, max_translation=0, seed=0)
    with pytest.raises(ValueError, match="rows -1"):
        coloured.extrapolation(-1, seed=0)
    with pytest.raises(ValueError, match="no environment"):
        coloured.task([])
    train, _ = coloured.extrapolation(10, seed=0)
    for read in (coloured.task, coloured.grey, coloured.distinct):
        with pytest.raises(ValueError, match="'left' has no columns p0, p1"):
            read(train)
    monkeypatch.setitem(__import__("sys").modules, "mnist1d.data", None)
    with pytest.raises(ValueError, match="not installed"):
        coloured.signals({"a": 0.1}, 10, seed=0)
