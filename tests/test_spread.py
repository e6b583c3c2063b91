"""What several fits on several graphs say together: the law of total variance, intervals and their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, t

from causalkit.estimation.spread import check_level, spread

answers = st.builds(
    lambda k, m, n, seed: np.random.default_rng(seed).normal(size=(k, m, n)),
    st.integers(1, 4),
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(0, 10**6),
)


def uniform(count):
    return np.full(count, 1 / count)


@given(answers, st.floats(-3, 3), st.floats(0.1, 10))
def test_answers_moved_and_stretched_move_and_stretch_the_spread(values, by, factor):
    one, two = spread(values, uniform(len(values)), 0.9), spread(by + factor * values, uniform(len(values)), 0.9)
    for key in ("mean", "low", "high"):
        assert two[key] == pytest.approx(by + factor * one[key], abs=1e-6 * factor)
    assert two["sd"] == pytest.approx(factor * one["sd"]) and two["graph_share"] == pytest.approx(one["graph_share"])
    assert (one["low"] < one["high"]).all() and ((one["graph_share"] >= 0) & (one["graph_share"] <= 1)).all()


@given(answers)
def test_a_graph_twice_at_half_the_weight_changes_only_what_few_fits_cost(values):
    twice = np.concatenate([values, values])
    one, two = spread(values, uniform(len(values)), 0.8), spread(twice, uniform(2 * len(values)), 0.8)
    for key in ("mean", "low", "high"):
        assert two[key] == pytest.approx(one[key], abs=1e-6)


def test_both_parts_of_the_variance_are_unbiased():
    """Three graphs of unequal weight, whose variances between (0.62) and within (1.7) are known."""
    weights, centres, scales = np.array([0.2, 0.3, 0.5]), np.array([-1.0, 0.0, 1.0]), np.array([0.5, 1.0, 1.64])
    between = float(weights @ centres**2 - (weights @ centres) ** 2)
    within = float(weights @ scales**2)
    for size in (2, 5):
        draws = np.random.default_rng(size).normal(size=(3, size, 5000))
        values = centres[:, None, None] + scales[:, None, None] * draws
        found = spread(values, weights, 0.9)
        # before the cut at 0: total minus within, from the formula's own parts
        means, variances = values.mean(1), values.var(1, ddof=1)
        raw = weights @ (means - weights @ means) ** 2 - (weights * (1 - weights)) @ variances / size
        assert raw.mean() == pytest.approx(between, abs=4 * raw.std() / 5000**0.5)
        assert (weights @ variances).mean() == pytest.approx(within, rel=0.03)
        assert found["sd"] ** 2 == pytest.approx(np.maximum(raw, 0) + weights @ variances)


def test_one_graph_gives_the_interval_of_student_t():
    values = np.random.default_rng(0).normal(size=(1, 6, 4))
    found = spread(values, np.ones(1), 0.9)
    half = t.ppf(0.95, 5) * values[0].std(0, ddof=1) * (1 + 1 / 6) ** 0.5
    assert found["high"] - found["mean"] == pytest.approx(half) and found["mean"] - found["low"] == pytest.approx(half)
    assert (found["graph_share"] == 0).all()


@pytest.mark.parametrize("size", [2, 5, 20])
def test_few_fits_cover_as_often_as_they_say(size):
    """Fits scatter around the estimate as it does around the truth: then coverage is exact, however few they are."""
    draw = np.random.default_rng(size)
    estimate = draw.normal(size=4000)
    found = spread(estimate + draw.normal(size=(1, size, 4000)), np.ones(1), 0.8)
    covered = int(((found["low"] < 0) & (found["high"] > 0)).sum())
    assert 1e-3 < binom.cdf(covered, 4000, 0.8) < 1 - 1e-3


def test_an_interval_over_two_graphs_is_a_quantile_of_their_mixture():
    values = np.array([[0.0, 0.1, 0.2], [9.9, 10.0, 10.1]])[:, :, None]
    found = spread(values, np.array([0.97, 0.03]), 0.9)
    assert found["high"][0] < 1  # the second graph has less weight than is left out on this side
    even = spread(values, np.array([0.5, 0.5]), 0.9)
    assert even["low"][0] < 0 and even["high"][0] > 10
    scale = np.sqrt(values.var(1, ddof=1)[:, 0] * 4 / 3)
    for end, level in ((even["low"], 0.05), (even["high"], 0.95)):
        assert 0.5 * t.cdf((end - values.mean(1)[:, 0]) / scale, 2).sum() == pytest.approx(level, abs=1e-6)


def test_where_nothing_varies_nothing_is_shared():
    found = spread(np.full((2, 3, 1), 0.1 + 0.2), uniform(2), 0.9)
    assert found["sd"][0] == 0 and np.isnan(found["graph_share"][0])
    assert found["low"][0] == pytest.approx(0.3) == found["high"][0]
    apart = spread(np.stack([np.zeros((3, 1)), np.ones((3, 1))]), uniform(2), 0.9)
    assert apart["graph_share"][0] == 1 and apart["sd"][0] == pytest.approx(0.5)
    assert apart["low"][0] == pytest.approx(0) and apart["high"][0] == pytest.approx(1)


@pytest.mark.parametrize("level", [0.0, 1.0, 90, -0.5, float("nan")])
def test_levels_that_are_none(level):
    with pytest.raises(ValueError, match="level = "):
        check_level(level)
