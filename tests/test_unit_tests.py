"""The linear unit tests: published oracles and least squares are met, the test split is as it should be, doors hold."""

import math

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.exact import least_squares, logistic
from causalkit.unit_tests import EXAMPLES, environments


def error(model, test) -> float:
    table = ck.evaluate(model, test.test, test.task)
    return float((table["rmse"] ** 2).mean()) if "rmse" in table else float(1 - table["accuracy"].mean())


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_seed_gives_the_same_rows_and_another_gives_others(example: str) -> None:
    one, two, other = (environments(example, rows=40, seed=seed) for seed in (1, 1, 2))
    for split in ("train", "valid", "test", "oracle"):
        for a, b, c in zip(*(getattr(draw, split) for draw in (one, two, other)), strict=True):
            pd.testing.assert_frame_equal(a.frame, b.frame, check_exact=True)
            assert not a.frame.equals(c.frame)
    assert not one.train[0].frame.equals(one.valid[0].frame)
    assert [e.name for e in one.test] == ["E0", "E1", "E2"]
    assert list(one.train[0].frame) == [*one.task.features, one.task.target]


@pytest.mark.parametrize("example", ["1", "2", "3"])
def test_scrambling_turns_the_features_and_leaves_the_rest(example: str) -> None:
    plain, turned = (environments(name, rows=200, seed=3) for name in (example, example + "s"))
    features = list(plain.task.features)
    for a, b in zip(plain.test, turned.test, strict=True):
        assert (a.frame["y"] == b.frame["y"]).all()
        before, after = a.frame[features].to_numpy(), b.frame[features].to_numpy()
        np.testing.assert_allclose(before @ before.T, after @ after.T, atol=1e-9)
        assert not np.allclose(before, after)
    assert plain.floor == turned.floor


@pytest.mark.parametrize("example", ["1", "2", "3"])
def test_the_test_rows_keep_the_invariant_features_and_lose_the_others(example: str) -> None:
    draw = environments(example, environments=2, rows=5000, seed=0)
    assert draw.train[1].frame.corr()["y"].iloc[5:10].abs().max() > 0.1
    for train, test, oracle in zip(draw.train, draw.test, draw.oracle, strict=True):
        kept = [train.frame.corr()["y"].iloc[:5], test.frame.corr()["y"].iloc[:5]]
        np.testing.assert_allclose(*kept, atol=0.06)
        for shuffled in (test, oracle):
            assert shuffled.frame.corr()["y"].iloc[5:10].abs().max() < 0.06


def test_published_environments_come_first_and_further_ones_stay_in_range() -> None:
    draw = environments("1", environments=10, rows=2000, seed=0)
    spread = [float(e.frame[["x0", "x1", "x2", "x3", "x4"]].to_numpy().std()) for e in draw.train]
    np.testing.assert_allclose(spread[:3], [0.1, 1.5, 2.0], rtol=0.03)
    assert all(0.009 < s < 10.5 for s in spread)
    cows = environments("2", environments=10, rows=5000, seed=0)
    np.testing.assert_allclose([e.frame["y"].mean() for e in cows.train[:3]], [0.3, 0.5, 0.7], atol=0.03)
    usual = [
        (np.sign(e.frame["x9"] + e.frame["x8"] + e.frame["x7"]) == 2 * e.frame["y"] - 1).mean() for e in cows.train
    ]
    np.testing.assert_allclose(usual[:3], [0.95, 0.97, 0.99], atol=0.015)


def test_the_oracle_meets_the_floor_and_the_published_oracle() -> None:
    """Published over 50 data seeds at 3 environments: 10.419 +- .162, .000, .013 +- .001."""
    floors = {"1": 5 * (0.01 + 2.25 + 4.0) / 3, "2": 0.0, "3": 0.5 * math.erfc(math.sqrt(2.5))}
    for example, published, tolerance in (("1", 10.419, 0.25), ("2", 0.0, 1e-12), ("3", 0.013, 0.001)):
        method = least_squares if example == "1" else logistic
        draws = [environments(example, seed=seed) for seed in range(3)]
        found = np.mean([error(method(draw.oracle, draw.task), draw) for draw in draws])
        assert draws[0].floor == pytest.approx(floors[example])
        assert found == pytest.approx(published, abs=tolerance)
        assert found == pytest.approx(draws[0].floor, rel=0.05, abs=1e-12)


def test_least_squares_meets_the_published_figure() -> None:
    """Published for trained ERM, 13.363 +- 1.487 over 50 data seeds; three seeds have a standard error of .86."""
    found = [
        error(least_squares(draw.train, draw.task), draw) for draw in (environments("1", seed=s) for s in range(3))
    ]
    assert np.mean(found) == pytest.approx(13.363, abs=3 * 1.487 / math.sqrt(3))
    assert min(found) > 11.5


def test_converged_logistic_regression_solves_the_cows_that_short_training_fails() -> None:
    for example in ("2", "2s"):
        draw = environments(example, seed=0)
        assert error(logistic(draw.train, draw.task), draw) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"example": "4"}, "unknown unit test '4'"),
        ({"example": 1}, "unknown unit test 1"),
        ({"example": "1", "environments": 1}, "at least 2 environments"),
        ({"example": "1", "rows": 21}, "even number of rows"),
        ({"example": "1", "rows": 10}, "even number of rows"),
        ({"example": "1", "seed": -1}, "seed -1"),
    ],
)
def test_bad_input_is_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        environments(**{"seed": 0, **arguments})
