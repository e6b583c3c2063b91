"""The reference SCMs of counterfactual estimation, and how far a learned SCM is from the truth."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.checks.distance import counterfactual_error, divergence_from


@pytest.mark.parametrize("name", ["nlin", "lin", "vaca"])
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_triangles_are_the_published_equations(name, seed):
    scm = ck.triangle(name)
    u, rows = scm.sample_noise(20, seed=seed), scm.sample(20, seed=seed)
    if name == "nlin":
        x1 = u.x1
        x2 = 2 * x1**2 + u.x2
        x3 = 20 / (1 + np.exp(-(x2**2) + x1)) + u.x3
    elif name == "lin":
        x1 = u.x1 + 1
        x2 = 10 * x1 - u.x2
        x3 = 0.5 * x2 + x1 + u.x3
    else:
        x1 = rows.x1
        x2 = -x1 + u.x2
        x3 = x1 + 0.25 * x2 + u.x3
    np.testing.assert_allclose(rows, pd.DataFrame({"x1": x1, "x2": x2, "x3": x3}), atol=1e-9)
    np.testing.assert_allclose(scm.abduct(rows), u, atol=1e-6)


def test_the_root_of_vaca_has_the_mixtures_density_and_its_do_means_are_the_papers():
    scm = ck.triangle("vaca")
    grid = np.linspace(-6, 5, 23)
    normal = lambda x, mean, variance: np.exp(-((x - mean) ** 2) / 2 / variance) / math.sqrt(2 * math.pi * variance)  # noqa: E731
    density = (normal(grid, -2, 1.5) + normal(grid, 1.5, 1)) / 2
    found = scm.marginal(["x1"]).log_prob(pd.DataFrame({"x1": grid}))
    np.testing.assert_allclose(np.exp(found), density, rtol=1e-6)
    for a in (-1.0, 0.0, 3.0):
        mean = scm.do({"x2": a}).sample(200_000, seed=0).x3.mean()
        assert mean == pytest.approx(-0.25 + 0.25 * a, abs=0.02)
    with pytest.raises(ValueError, match="did you mean 'nlin'"):
        ck.triangle("nonlin")


def test_the_counterfactual_error_is_that_of_the_closed_form():
    truth = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    off = truth.replace({"y": ck.linear({"x": 1.5})})  # under do(x = a): y differs by 0.5 |a - x|
    assert counterfactual_error(truth, truth, seed=0) == 0.0
    a = float(truth.sample(10_000, seed=ck.seeds.integer(0, "quantiles")).x.quantile(0.75))
    # E|a - x| for a standard normal x
    expected = 0.5 * (2 * math.exp(-(a**2) / 2) / math.sqrt(2 * math.pi) + a * math.erf(a / math.sqrt(2)))
    found = counterfactual_error(off, truth, quantiles=[0.75], n=100_000, seed=0)
    assert found == pytest.approx(expected, rel=0.02)
    assert counterfactual_error(off.counterfactual, truth, quantiles=[0.75], n=100_000, seed=0) == found
    assert counterfactual_error(off, truth, quantiles=[0.75], n=100_000, scaled=True, seed=0) == pytest.approx(
        expected / math.sqrt(2), rel=0.03
    )


def test_the_divergence_is_that_of_two_normals():
    truth = ck.SCM({"x": ck.linear()})
    wide = ck.SCM({"x": ck.linear(intercept=1.0, scale=2.0)})
    kl, error = divergence_from(wide, truth, n=100_000, seed=0)
    assert abs(kl - (math.log(2) + 2 / 8 - 0.5)) < 4 * error
    assert error < 0.005
