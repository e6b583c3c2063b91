"""Noises and mechanism families: laws for every name, then each one against a closed form or scipy, then bad input."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

import causalkit as ck
from causalkit.mechanisms import (
    DISTORTIONS,
    MECHANISMS,
    NOISES,
    Distortion,
    LocationScale,
    Noise,
    NotInvertible,
    PostNonlinear,
    function,
)
from causalkit.mechanisms.noises import bisect

seeds = st.integers(0, 2**31 - 1)
EQUATIONS = [family for family in MECHANISMS if family not in ("logistic", "categorical")]  # see test_categorical.py
families = st.sampled_from(sorted(EQUATIONS))
EULER = np.euler_gamma * 6**0.5 / np.pi
THEIRS = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(0, 0.5**0.5),
    "uniform": stats.uniform(-(3**0.5), 12**0.5),
    "exponential": stats.expon(-1),
    "student_t": stats.t(5, 0, 0.6**0.5),
    "gumbel": stats.gumbel_r(-EULER, 6**0.5 / np.pi),
}


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def own(**keywords):
    """y := exp(x / 2) u + x, written as the user's own function, turned round by hand."""
    return function(
        lambda x, u: (x[:, 0] / 2).exp() * u + x[:, 0],
        ["x"],
        inverse=lambda x, v: (v - x[:, 0]) * (-x[:, 0] / 2).exp(),
        **keywords,
    )


# ---- noises


@pytest.mark.parametrize("family", NOISES)
def test_a_noise_has_mean_0_and_the_scale_by_quadrature(family):
    noise = Noise(family, scale=1.7, location=0.4)

    def moment(k):
        def density(u):
            return (u - 0.4) ** k * float(noise.log_prob(tensor([u])).exp())

        edges = [-np.inf, 0.4 - 1.7 * 3**0.5, 0.4 - 1.7, 0.4, 0.4 + 1.7 * 3**0.5, np.inf]  # where a density may jump
        return sum(integrate.quad(density, a, b, epsabs=1e-10)[0] for a, b in itertools.pairwise(edges))

    assert moment(0) == pytest.approx(1, abs=1e-7)
    assert moment(1) == pytest.approx(0, abs=1e-7)
    assert moment(2) == pytest.approx(1.7**2, rel=1e-6)


@pytest.mark.parametrize("family", THEIRS)
def test_quantiles_are_scipys_far_into_the_tails(family):
    unit = tensor([1e-9, 1e-6, 0.01, 0.3, 0.5, 0.8, 0.999, 1 - 1e-6])
    ours = Noise(family).standard(tensor(1.0)).icdf(unit)
    np.testing.assert_allclose(ours.numpy(), THEIRS[family].ppf(unit.numpy()), rtol=1e-8, atol=1e-9)


def test_quantiles_of_the_mixture_invert_its_distribution_function():
    mixture, unit = NOISES["mixture"](tensor(2.0)), tensor([1e-12, 0.01, 0.3, 0.5, 0.8, 0.999])
    np.testing.assert_allclose(mixture.cdf(mixture.icdf(unit)).numpy(), unit.numpy(), rtol=1e-9, atol=1e-15)
    assert mixture.log_prob(tensor(0.0)) < mixture.log_prob(tensor(1.8)) - 1  # two humps


@pytest.mark.parametrize("df", [2.5, 3.0, 30.0])
def test_student_t_takes_its_degrees_of_freedom(df):
    noise, theirs = Noise("student_t", scale=2.0, df=df), stats.t(df, 0, 2 * ((df - 2) / df) ** 0.5)
    grid = tensor(np.linspace(-9, 9, 30))
    np.testing.assert_allclose(noise.log_prob(grid).numpy(), theirs.logpdf(grid.numpy()), rtol=1e-9)
    assert stats.kstest(noise.sample(20_000, seed=0).numpy(), theirs.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("gaussian", [0.8343821088708788, -0.7164190335762552, -0.7079755416377359]),
        ("laplace", [0.15041145587846624, 0.3004753105973796, 0.06903518541563937]),
        ("uniform", [0.3318828158681537, 0.5996161435118164, 0.16110847860395494]),
    ],
)
def test_noise_streams_stay_as_they_are(family, values):
    assert Noise(family).sample(3, seed=0).tolist() == values


# ---- laws of the families


@given(families, st.sampled_from(sorted(NOISES)), st.integers(0, 3), st.booleans(), seeds)
def test_abduction_inverts_push_and_nothing_is_nan(family, noise, parents, tuned, seed):
    mechanism = MECHANISMS[family]([f"x{i}" for i in range(parents)], noise=noise, scale=0.7, seed=seed)
    if tuned:
        mechanism = replace(mechanism, centre=0.5, spread=3.0).with_gain({"x0": -2.0}, {"x0": 0.3}).moved(0.5)
    draw = torch.Generator().manual_seed(seed)
    x, u = 3 * torch.randn(40, parents, generator=draw, dtype=torch.float64), mechanism.noise.sample(40, seed=seed)
    value = mechanism.push(x, u)
    np.testing.assert_allclose(mechanism.abduct(x, value).numpy(), u.numpy(), rtol=1e-9, atol=1e-9)
    assert torch.isfinite(value).all() and not torch.isnan(mechanism.log_prob(x, value)).any()
    assert mechanism.push(x, u).equal(value)  # the function was drawn once, not at every call


@pytest.mark.parametrize("noise", ["gaussian", "laplace", "gumbel"])
@pytest.mark.parametrize("family", [*EQUATIONS, "cubic", "asinh", "own"])
def test_log_prob_integrates_to_1_over_x(family, noise):
    if family == "own":
        mechanism = own(noise=noise)
    elif family in DISTORTIONS:
        mechanism = MECHANISMS["post_nonlinear"](["x"], distortion=family, noise=noise, seed=3)
    else:
        mechanism = MECHANISMS[family](["x"], noise=noise, seed=3)
    mechanism = replace(mechanism, centre=0.3, spread=2.0).with_gain({"x": 0.5}, {"x": 0.1})
    steps = torch.linspace(0, 1, 9, dtype=torch.float64)[:-1]
    for parent in (-1.0, 0.8):
        # from u far in one tail to u far in the other, in steps, x being a monotone function of u
        ends = mechanism.push(tensor([[parent]]).expand(1201, 1), tensor(np.linspace(-9, 30, 1201)))
        x = torch.cat([a + (b - a) * steps for a, b in itertools.pairwise(ends)])
        density = mechanism.log_prob(tensor([[parent]]).expand(len(x), 1), x).exp()
        assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("family", EQUATIONS)
def test_random_scms_of_every_family_are_standardised(family):
    frame = ck.random_scm(5, degree=2.0, mechanism=family, seed=1).sample(20_000, seed=2)
    np.testing.assert_allclose(frame.mean(), 0, atol=0.05)
    np.testing.assert_allclose(frame.std(), 1, atol=0.1)


@pytest.mark.parametrize("family", EQUATIONS)
def test_shifts_turn_every_family(family):
    """Strength 1, direction -1 cuts the edge that a concept or spurious shift turns; other noise and values stand."""
    chain = ck.graphs.parse("x -> y; y -> z")
    scm = ck.random_scm(1, graph=chain, mechanism=family, seed=2)
    frame = scm.sample(500, seed=0)
    for shift, cut, stands in [("concept", ("x", "y"), ["x"]), ("spurious", ("y", "z"), ["x", "y"])]:
        shifted = ck.SHIFTS[shift]("y", strength=1.0, direction=-1)(scm)
        after = shifted.sample(500, seed=0)
        pd.testing.assert_frame_equal(after[stands], frame[stands], check_exact=True)
        pd.testing.assert_frame_equal(shifted.abduct(after), scm.sample_noise(500, seed=0), rtol=1e-9, atol=1e-9)
        cause, effect = cut
        np.testing.assert_array_equal(shifted.do({cause: 3.0}).sample(500, seed=0)[effect], after[effect])
    moved = ck.shifts.covariate("y", strength=1.0)(scm).sample(500, seed=0)
    np.testing.assert_allclose(moved["x"] - frame["x"], 1.0, rtol=0.05)


@pytest.mark.parametrize("family", EQUATIONS)
def test_functions_depend_on_the_seed_and_on_every_parent(family):
    first, second = (MECHANISMS[family](["a", "b"], seed=seed) for seed in (0, 1))
    x, u = tensor([[0.4, -0.7]]), tensor([0.5])
    assert first.push(x, u).equal(MECHANISMS[family](["a", "b"], seed=0).push(x, u))
    assert not first.push(x, u).equal(second.push(x, u))
    for i in range(2):
        assert not first.push(x + torch.eye(2).double()[i], u).equal(first.push(x, u))


# ---- each family against a closed form


@pytest.mark.parametrize("degree", [2, 3])
def test_polynomials_are_numpys(degree):
    mechanism = ck.mechanisms.polynomial(["a", "b"], degree=degree, seed=0)
    x, c = np.random.default_rng(0).normal(size=(20, 2)), mechanism.function.coefficients.numpy()
    expected = sum(np.polynomial.polynomial.polyval(x[:, i], [0, *c[:, i]]) for i in range(2))
    np.testing.assert_allclose(mechanism.function(tensor(x)).numpy(), expected)
    assert (np.abs(c[0]) >= 0.5).all() and (np.abs(c[1]) <= 1).all()


def test_sigmoids_are_monotone_bounded_and_centred_at_minus_c():
    f = ck.mechanisms.sigmoidal(["x"], seed=0).function
    line = f(torch.linspace(-50, 50, 999, dtype=torch.float64).unsqueeze(1))
    steps = line.diff() * f.slope.sign()
    assert (steps > 0).all() and (line.abs() < f.height).all()
    assert float(f(-f.offset.unsqueeze(1))) == 0 and float(f(1 / f.slope.unsqueeze(1) - f.offset)) == f.height / 2


def test_gp_draws_have_the_covariance_of_the_kernel():
    x = tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    draws = torch.stack(
        [
            ck.mechanisms.gp(["a", "b"], lengthscale=1.5, amplitude=2.0, features=20, seed=seed).function(x)
            for seed in range(4000)
        ]
    )
    kernel = 4 * torch.exp(-(torch.cdist(x, x) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose((draws.T @ draws / len(draws)).numpy(), kernel.numpy(), atol=0.3)


def test_location_scale_is_a_normal_with_its_own_sd_a_row():
    mechanism = ck.mechanisms.location_scale(["a", "b"], scale=1.3, seed=0)
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, sd = mechanism.function(x), mechanism.log_scale(x).exp()
    value = mechanism.push(x, mechanism.noise.sample(30, seed=1))
    theirs = stats.norm(mean.numpy(), 1.3 * sd.numpy()).logpdf(value.numpy())
    np.testing.assert_allclose(mechanism.log_prob(x, value).numpy(), theirs)
    assert float(sd.max()) <= 2 and float(sd.min()) >= 0.5 and float(sd.std()) > 0.05
    yours = LocationScale(("x",), Noise(), lambda x: x[:, 0], log_scale=lambda x: x[:, 0])
    assert yours.push(tensor([[0.0]]), tensor([2.0])).tolist() == [2.0]


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_are_inverted_and_differentiated(name):
    distortion = DISTORTIONS[name]
    v = torch.linspace(-8, 8, 201, dtype=torch.float64, requires_grad=True)
    h = distortion.h(v)
    np.testing.assert_allclose(distortion.inverse(h.detach()).numpy(), v.detach().numpy(), rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(h.sum(), v)
    np.testing.assert_allclose(distortion.log_derivative(v.detach()).numpy(), slope.log().numpy(), atol=1e-9)
    assert (slope > 0).all()


def test_a_distortion_of_ones_own_the_log_normal():
    exp = Distortion(torch.exp, torch.log, lambda v: v)
    mechanism = PostNonlinear(("x",), Noise(scale=0.5), lambda x: x[:, 0], distortion=exp)
    x, value = tensor([[0.3]] * 4), tensor([0.2, 1.0, 2.0, 5.0])
    theirs = stats.lognorm(0.5, scale=np.exp(0.3)).logpdf(value.numpy())
    np.testing.assert_allclose(mechanism.log_prob(x, value).numpy(), theirs)


def test_bisection_finds_the_root_to_the_last_bits():
    target = tensor(np.linspace(0, 27, 10))
    np.testing.assert_allclose(bisect(lambda v: v**3, target, target * 0 - 1, target * 0 + 4) ** 3, target, atol=1e-13)


# ---- the user's own function


def test_own_function_with_an_inverse_is_the_location_scale_that_it_writes_out():
    same = LocationScale(("x",), Noise("laplace"), lambda x: x[:, 0], log_scale=lambda x: x[:, 0] / 2)
    scm = ck.SCM({"x": ck.linear(), "y": own(noise="laplace"), "z": ck.linear({"y": 1.0})})
    frame = scm.sample(50, seed=0)
    for shift in (None, ck.shifts.concept("y", strength=0.5), ck.shifts.spurious("x", strength=0.5)):
        a, b = (s if shift is None else shift(s) for s in (scm, scm.replace({"y": same})))
        np.testing.assert_allclose(a.log_prob(frame), b.log_prob(frame))
        pd.testing.assert_frame_equal(a.counterfactual(frame, {"x": 1.0}), b.counterfactual(frame, {"x": 1.0}))
    pd.testing.assert_frame_equal(scm.counterfactual(frame, {}), frame)
    assert "y := f(x, u)" in repr(scm)


def test_own_function_has_density_0_where_it_has_no_value():
    mechanism = function(lambda x, u: u.exp(), inverse=lambda x, v: v.log())
    density = mechanism.log_prob(torch.zeros(3, 0).double(), tensor([-1.0, 0.5, 2.0])).numpy()
    np.testing.assert_allclose(density, stats.lognorm(1).logpdf([-1.0, 0.5, 2.0]))
    with pytest.raises(ValueError, match=r"does not undo .* in 1 of 3 rows, first in row 0"):
        mechanism.abduct(torch.zeros(3, 0).double(), tensor([-1.0, 0.5, 2.0]))


def test_own_function_without_an_inverse_samples_and_shifts_and_says_what_it_cannot():
    square = function(lambda x, u: x[:, 0] * u**2, ["x"])
    scm = ck.SCM({"x": ck.linear(), "y": square})
    frame = ck.shifts.concept("y", strength=1.0)(scm).sample(20, seed=0)
    assert np.isfinite(frame.to_numpy()).all()
    assert (scm.do({"x": 0.0}).sample(20, seed=0)["y"] == 0).all()
    with pytest.raises(NotInvertible, match=r"noise of 'y' cannot be recovered: .*inverse="):
        scm.counterfactual(frame, {"x": 0.0})
    with pytest.raises(NotInvertible, match=r"density of 'y' is not known: .*inverse="):
        scm.log_prob(frame)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise("cauchy"), "unknown noise 'cauchy'"),
        (lambda: Noise("student-t"), "did you mean 'student_t'"),
        (lambda: Noise("student_t", df=2.0), "df = 2.0"),
        (lambda: Noise("gumbel", scale=float("nan")), "scale nan"),
        (lambda: ck.mechanisms.polynomial(["x"], degree=4, seed=0), "degree 4"),
        (lambda: ck.mechanisms.gp(["x"], lengthscale=0.0, seed=0), "lengthscale 0.0"),
        (lambda: ck.mechanisms.gp(["x"], amplitude=-1.0, seed=0), "amplitude -1.0"),
        (lambda: ck.mechanisms.gp(["x"], features=0, seed=0), "features 0"),
        (lambda: ck.mechanisms.location_scale(["x"], hidden=0, seed=0), "at least 1"),
        (lambda: ck.mechanisms.post_nonlinear(["x"], distortion="tan", seed=0), "did you mean 'tanh'"),
        (lambda: function("x + u", ["x"]), "f = 'x . u' is no function"),
        (lambda: function(lambda x, u: u, ["x"], inverse=3), "inverse = 3 is no function"),
        (lambda: ck.SCM({"y": function(lambda x, u: u[:1])}).sample(5, seed=0), r"returned \(1,\), expected .*\(5,\)"),
        (lambda: ck.SCM({"y": function(lambda x, u: 1.0)}).sample(5, seed=0), "returned float"),
        (
            lambda: function(lambda x, u: 2 * u, inverse=lambda x, v: v).abduct(torch.zeros(2, 0), torch.ones(2)),
            "correct the inverse",
        ),
        (
            lambda: function(lambda x, u: u, inverse=lambda x, v: v.detach()).log_prob(
                torch.zeros(2, 0), torch.ones(2)
            ),
            "torch operations",
        ),
        *[
            (lambda family=family: MECHANISMS[family](["x"], noise="gausian", seed=0), "did you mean 'gaussian'")
            for family in MECHANISMS
        ],
        *[(lambda family=family: MECHANISMS[family](["x"], scale=-1.0, seed=0), "scale -1.0") for family in MECHANISMS],
    ],
)
def test_bad_input_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
