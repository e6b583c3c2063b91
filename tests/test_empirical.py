"""Empirical noise: a density like any family's, with the shape of what was seen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.estimation import fit_scm
from causalkit.estimation.regressions import law_of
from causalkit.mechanisms import Empirical, Noise
from causalkit.mechanisms.empirical import Shape


def test_empirical_noise_can_be_dialled_in_nats():
    truth = ck.SCM({"x": ck.linear(noise="gumbel"), "y": ck.linear({"x": 1.0}, noise="mixture")})
    scm = fit_scm(truth.graph, truth.sample(3000, seed=0), seed=0)
    assert isinstance(scm.mechanisms["y"].noise, Empirical)
    for how in ("location", "scale"):
        moved = ck.shifts.soft("y", nats=0.2, how=how)(scm)
        rows = moved.sample(50_000, seed=1)
        assert (moved.log_prob(rows) - scm.log_prob(rows)).mean() == pytest.approx(0.2, abs=0.02)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["gaussian", "exponential", "student_t", "mixture", "uniform"]))
def test_a_shape_is_a_standard_density_and_its_quantiles_undo_its_distribution_function(seed, family):
    shape = Shape.of(Noise(family, scale=3.0).sample(60 + seed % 200, seed=seed))
    u = torch.linspace(1e-9, 1 - 1e-9, 1001, dtype=torch.float64)
    z = shape.icdf(u)
    assert (z.diff() > 0).all() and torch.allclose(shape.cdf(z), u, rtol=0, atol=1e-12)
    grid = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    p = shape.log_pdf(grid).exp()
    for power, value in ((0, 1.0), (1, 0.0), (2, 1.0)):
        assert float(torch.trapezoid(p * grid**power, grid)) == pytest.approx(value, abs=2e-4)
    inside = (shape.cdf(grid[1:]) - shape.cdf(grid[:-1])) / grid.diff()
    assert torch.allclose(inside, (p[1:] + p[:-1]) / 2, atol=1e-3)


@pytest.mark.parametrize("family", ["uniform", "exponential", "mixture"])
def test_the_shape_of_odd_noise_is_learned_to_a_few_hundredths_of_a_nat(family):
    new = Noise(family, 2.0).sample(20_000, seed=1)
    law = law_of(Noise(family, 2.0).sample(5000, seed=0), None, seed=0)
    assert isinstance(law, Empirical)
    gap = float((Noise(family, 2.0).log_prob(new) - law.log_prob(new)).mean())
    normal = float((Noise(family, 2.0).log_prob(new) - Noise("gaussian", 2.0).log_prob(new)).mean())
    assert gap < 0.04 and gap < normal / 4
    with pytest.raises(ValueError, match=r"Empirical\.of"):
        Empirical()
    with pytest.raises(ValueError, match="positive"):
        Empirical(scale=-1.0, shape=law.shape)
