"""pair: its linear programme against a grid of the simplex, what the weights promise, the two-bit environments."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.model import Model
from causalkit.objectives import Batch, Objective, erm, irm, irmx, pair, squared_error, vrex
from causalkit.objectives.pareto import epo_weights, pair_score


def problem(seed: int, m: int, parameters: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(m, parameters)), draw.exponential(size=m), 10.0 ** draw.uniform(-2, 2, size=m)


def parts(gradients: np.ndarray, values: np.ndarray, preference: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """mu, C and C a by the formulas, step by step."""
    r = preference / preference.sum()
    share = r * values / (r * values).sum()
    mu = sum(p * np.log(len(r) * p) for p in share)
    products = gradients @ gradients.T
    return mu, products, products @ (r * (np.log(len(r) * share) - mu))


def simplex(m: int, steps: int) -> np.ndarray:
    grid = [c for c in itertools.product(range(steps + 1), repeat=m - 1) if sum(c) <= steps]
    return np.array([(*c, steps - sum(c)) for c in grid]) / steps


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([(2, 2000), (3, 150)]), st.sampled_from([0.0, 0.1, 50.0]))
def test_weights_are_the_best_of_a_grid(seed: int, size: tuple[int, int], eps: float) -> None:
    m, steps = size
    gradients, values, preference = problem(seed, m)
    alpha = epo_weights(gradients, values, preference, eps)
    mu, products, towards = parts(gradients, values, preference)
    grid = simplex(m, steps)
    if mu > eps:
        worst = (preference * values).argmax()
        least = np.where(towards > 0, -np.inf, towards)
        least[worst] = 0.0
        fine, target = (grid @ products >= least).all(1), towards
        kept = (products @ alpha >= least - 1e-6).all()
    else:
        bound, down = min(0.0, towards.max()), (grid @ products >= 0).all(1)
        fine, target = down & (grid @ towards >= bound), products.sum(0)
        kept = (products @ alpha >= -1e-6).all() and alpha @ towards >= bound - 1e-6
        if not kept:  # the second condition cannot be kept: the best without it
            fine, kept = down, not fine.any() and (products @ alpha >= -1e-6).all()
    assert alpha.sum() == pytest.approx(1.0) and (alpha >= 0).all()
    if fine.any():
        assert kept
        assert alpha @ target >= (grid @ target)[fine].max() - 1e-6 * np.abs(target).max()
    elif not kept:  # no solution: the preference
        np.testing.assert_allclose(alpha, preference / preference.sum())


@given(st.integers(0, 10_000))
def test_in_descent_no_term_grows(seed: int) -> None:
    gradients, values, preference = problem(seed, 3)
    alpha = epo_weights(gradients, values, preference, eps=1e9)
    assert (gradients @ (alpha @ gradients) >= -1e-6 * np.abs(gradients @ gradients.T).max()).all()


@given(st.integers(0, 10_000), st.floats(-12, 12))
def test_the_gradients_common_size_does_not_matter(seed: int, power: float) -> None:
    gradients, values, preference = problem(seed, 3)
    small = epo_weights(10.0**power * gradients, values, preference)
    np.testing.assert_allclose(small, epo_weights(gradients, values, preference), atol=1e-5)


@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_the_order_of_terms_does_not_matter(seed: int, order: list[int]) -> None:
    gradients, values, preference = problem(seed, 3)
    moved = epo_weights(gradients[order], values[order], preference[order])
    np.testing.assert_allclose(moved, epo_weights(gradients, values, preference)[order], atol=1e-6)


def test_weights_where_there_is_nothing_to_weigh() -> None:
    preference = np.array([1.0, 3.0])
    np.testing.assert_allclose(epo_weights(np.zeros((2, 4)), np.ones(2), preference), [0.25, 0.75])
    np.testing.assert_allclose(epo_weights(np.eye(2), np.zeros(2), preference), [0.25, 0.75])


def test_a_term_that_is_zero_leaves_the_weights_finite() -> None:
    assert np.isfinite(epo_weights(np.eye(3), np.array([1.0, 0.0, 1e-9]), np.array([1.0, 1e10, 1e12]))).all()


@pytest.mark.parametrize(
    ("gradients", "values", "preference", "match"),
    [
        (np.eye(2), np.ones(3), np.ones(3), "do not match"),
        (np.ones(2), np.ones(2), np.ones(2), "do not match"),
        (np.eye(2), np.array([1.0, -1.0]), np.ones(2), "at least 0"),
        (np.eye(2), np.array([1.0, np.nan]), np.ones(2), "finite"),
        (np.eye(2), np.ones(2), np.array([1.0, 0.0]), "positive"),
    ],
)
def test_weights_refused(gradients, values, preference, match) -> None:
    with pytest.raises(ValueError, match=match):
        epo_weights(gradients, values, preference)


def test_the_score_is_the_weighted_sum_of_irmx_terms() -> None:
    f, y = ((torch.tensor([1.0, 0.5]), torch.tensor([2.0])), (torch.tensor([1.0, 1.0]), torch.tensor([0.0])))
    batch = Batch(tuple(map(squared_error, f, y)), f, y)
    expected = 0.5 * erm()(batch) + 2.0 * (irm(1.0)(batch) - erm()(batch)) + 3.0 * (vrex(1.0)(batch) - erm()(batch))
    torch.testing.assert_close(pair_score(batch, (0.5, 2.0, 3.0)), expected)


ALPHA, BETAS = 0.1, (0.11, 0.4)
TASK = ck.Task(("x1", "x2"), "y")


def two_bit() -> tuple[list[ck.Environment], list[np.ndarray]]:
    """Kamath et al. (2021): every row once, weighed by its probability; published minimisers are in test_objectives."""
    train, loads = [], []
    for name, beta in zip("ab", BETAS, strict=True):
        signs = list(itertools.product([1.0, -1.0], repeat=3))
        frame = pd.DataFrame([(y * s1, y * s2, y) for s1, s2, y in signs], columns=["x1", "x2", "y"])
        train.append(ck.Environment(name, frame))
        share = [(ALPHA if s1 < 0 else 1 - ALPHA) * (beta if s2 < 0 else 1 - beta) for s1, s2, _ in signs]
        loads.append(np.array(share))
    return train, loads


def trained(objectives: list, seeds: range = range(1), **options) -> list[Model]:
    train, loads = two_bit()
    options = {"steps": 550, "schedule": "constant", "dtype": torch.float64, "backbone": "linear"} | options
    n = len(seeds)
    return ck.training.fit_many(
        [train] * n, TASK, objective=objectives, weights=[loads] * n, standardise=False, seeds=seeds, **options
    )


def curve(model: Model) -> np.ndarray:
    """f(1, 1) and f(1, -1); the invariant predictor has 0.8 and 0.8."""
    return model.predict(pd.DataFrame({"x1": [1.0, 1.0], "x2": [1.0, -1.0]}))


def test_pair_finds_the_invariant_predictor_of_two_bits_where_irm_does_not() -> None:
    (found,) = trained([pair((1.0, 1e4, 1e4), learning_rate=0.2)])
    np.testing.assert_allclose(curve(found), 0.8, atol=0.03)
    (lost,) = trained([irm(1e4).anneal(150)])
    assert np.abs(curve(lost) - 0.8).max() > 0.2
    (summed,) = trained([irmx(1e4, 1e4).anneal(150)])
    np.testing.assert_allclose(curve(summed), 0.8, atol=0.01)


def test_pair_stalls_with_two_parameters_and_its_default_preference() -> None:
    # a known wall: risk and variance cancel each other, and the slopes, all but left out, wait
    (found,) = trained([pair()], steps=450)
    np.testing.assert_allclose(curve(found), [0.914, 0.569], atol=0.01)


def test_replicates_together_are_replicates_alone() -> None:
    together = trained([pair(descent=20)] * 3, range(3), steps=50, backbone="mlp")
    for seed, model in enumerate(together):
        (alone,) = trained([pair(descent=20)], range(seed, seed + 1), steps=50, backbone="mlp")
        np.testing.assert_allclose(curve(model), curve(alone), atol=1e-6)
        assert alone.history["step"].iloc[-1] == 50


def test_the_first_steps_are_those_of_erm() -> None:
    (paired,), (plain,) = (
        trained([pair(descent=30)], steps=31),
        trained([Objective("erm, all rows", moments=False)], steps=30),
    )
    before = paired.history.set_index("step")["risk_a"].loc[:30]
    np.testing.assert_allclose(before, plain.history.set_index("step")["risk_a"], atol=1e-9)


def test_weight_decay_ends_with_erm() -> None:
    (free,), (decayed,) = (trained([pair(descent=0)], steps=20, weight_decay=decay) for decay in (0.0, 10.0))
    np.testing.assert_allclose(curve(free), curve(decayed))


def test_a_replicate_that_diverges_leaves_the_others() -> None:
    train, loads = two_bit()
    wild = [ck.Environment(e.name, e.frame * [1e30, 1.0, 1.0]) for e in train]
    calm, lost = ck.training.fit_many(
        [train, wild],
        TASK,
        objective=pair(descent=5),
        weights=[loads, loads],
        standardise=False,
        steps=30,
        seeds=[0, 0],
    )
    assert lost.diverged and not calm.diverged
    assert np.isfinite(curve(calm)).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"preference": (1.0, 1.0)}, "three numbers"),
        ({"preference": 3.0}, "three numbers"),
        ({"preference": (1.0, -1.0, 1.0)}, "preference of irm"),
        ({"preference": (1.0, float("nan"), 1.0)}, "preference of irm"),
        ({"preference": (0.0, 1.0, 1.0)}, "preference of erm is 0"),
        ({"descent": -1}, "number of steps"),
        ({"descent": 1.5}, "number of steps"),
        ({"eps": -0.1}, "eps"),
        ({"learning_rate": float("inf")}, "learning_rate"),
    ],
)
def test_pair_refused(options, match) -> None:
    with pytest.raises(ValueError, match=match):
        pair(**options)


def test_pair_in_fit_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        ck.fit(two_bit()[0][:1], TASK, objective=pair(), seed=0)
    with pytest.raises(ValueError, match="150 steps before its last phase"):
        trained([pair()], steps=150)
    with pytest.raises(ValueError, match="lbfgs"):
        trained([pair()], optimiser="lbfgs")
    with pytest.raises(ValueError, match="one by one"):
        trained([pair((1.0, 1.0, 1.0)), pair((1.0, 2.0, 2.0))], range(2))
    with pytest.raises(ValueError, match="nothing can be added"):
        pair() + irmx(1.0, 1.0)
