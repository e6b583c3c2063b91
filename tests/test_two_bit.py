"""The two-bit environments: what the kit's objectives choose is what the closed forms say, for any alpha and betas."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from causalkit import two_bit
from causalkit.objectives import Objective, erm, irm, irmx, vrex

MAKE = {"erm": erm(), "irm": irm(1.0), "vrex": vrex(1.0), "irmx": irmx(1.0, 1.0)}
probability = st.floats(0.02, 0.98)


@st.composite
def worlds(draw) -> tuple[float, list[float]]:
    alpha = draw(probability)
    betas = [draw(probability), draw(probability)]
    assume(abs(betas[0] - betas[1]) >= 0.05 and abs(alpha - 0.5) >= 0.02)
    return alpha, betas


@settings(max_examples=40, deadline=None)
@given(worlds(), st.floats(-1, 2), st.floats(-1, 2))
def test_the_batch_has_the_risks_of_the_formula(world, f1: float, f2: float) -> None:
    f = np.array([f1, f2])
    np.testing.assert_allclose(two_bit.batch(torch.tensor(f), *world).risks, two_bit.risks(f, *world), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_invariant_solutions_have_no_slope_and_hold_the_invariant_predictor(world) -> None:
    found = two_bit.invariant_solutions(*world)
    for f in found:
        slopes = irm(1.0)(two_bit.batch(torch.tensor(f), *world)) - erm()(two_bit.batch(torch.tensor(f), *world))
        assert float(slopes) < 1e-10
    assert np.abs(found - (1 - 2 * world[0])).max(1).min() < 1e-6 and np.abs(found).max(1).min() == 0.0


@pytest.mark.parametrize("name", MAKE)
@settings(max_examples=40, deadline=None)
@given(world=worlds())
def test_minimisers_come_out(name: str, world) -> None:
    """To 1e-3. Where two minima are as good as one another, either may come out."""
    alpha, betas = world
    expected, found = two_bit.minimiser(name, alpha, betas), two_bit.minimise(MAKE[name], alpha, betas)
    risk = [float(two_bit.risks(f, alpha, betas).mean()) for f in (expected, found)]
    if name == "irm":
        others = two_bit.invariant_solutions(alpha, betas)
        others = others[np.abs(two_bit.risks(others, alpha, betas).mean(1) - risk[0]) < 1e-5]
    else:
        others = expected[None]
    assert np.abs(others - found).max(1).min() < 1e-3, (world, expected, found, risk)


def test_published_values() -> None:
    world = 0.1, [0.11, 0.4]
    np.testing.assert_allclose(two_bit.minimiser("erm", *world), [0.9267, 0.5099], atol=1e-4)
    np.testing.assert_allclose(two_bit.minimiser("irm", *world), [(5 + 7**0.5) / 8, (5 - 7**0.5) / 8], atol=1e-9)
    for name in ("vrex", "irmx", "invariant"):
        np.testing.assert_allclose(two_bit.minimiser(name, *world), [0.8, 0.8], atol=1e-12)
    assert two_bit.risks(two_bit.minimiser("irm", *world), *world).mean() == pytest.approx(0.16897, abs=1e-5)


group_dro_like = Objective("worst", penalties=((1.0, lambda batch: batch.risks.max()),))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_bit.minimiser("irn", 0.1, [0.2, 0.3]), "did you mean 'irm'"),
        (lambda: two_bit.minimiser("erm", 0.5, [0.2, 0.3]), "alpha not 0.5"),
        (lambda: two_bit.minimiser("erm", 0.1, [0.2, 1.3]), "between 0 and 1"),
        (lambda: two_bit.minimiser("vrex", 0.1, [0.2, 0.3, 0.4]), "for two environments, and these are 3"),
        (lambda: two_bit.invariant_solutions(0.1, [0.2]), "two or more betas"),
        (lambda: two_bit.minimise(group_dro_like, 0.1, [0.2, 0.3]), "no polynomial of degree 4"),
    ],
)
def test_what_is_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
