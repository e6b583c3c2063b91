"""The divergence of a shifted SCM against closed forms, quadrature and enumeration; and the dial that is set in it."""

import importlib.util
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import causalkit as ck
from causalkit.divergence import conditional_kl, noise_kl, terms
from causalkit.mechanisms import (
    DISTORTIONS,
    Additive,
    Linear,
    LocationScale,
    Noise,
    PostNonlinear,
    function,
    linear,
    mlp,
    softmax,
    table,
)
from causalkit.shifts import Unreachable
from tests.test_laws import moments

PRECISION = 0.005
"""What the dial promises of its own Monte Carlo error; the tests leave it four of them, 2%."""


def total(shifted, scm, seed=0):
    """KL in nats, and its standard error."""
    table = ck.kl(shifted, scm, seed=seed)
    return table["nats"].sum(), np.hypot.reduce(table["se"])


def column(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


# --- the joint, linear and Gaussian: two multivariate normals


def chain(noise="gaussian"):
    return ck.SCM(
        {
            "x": linear(intercept=2.0, noise=noise),
            "w": linear({"x": -0.5}, noise=noise),
            "y": linear({"x": 1.0, "w": 0.7}, noise=noise),
            "z": linear({"y": 0.8, "x": 0.4}, scale=0.5, noise=noise),
        }
    )


def normal_kl(shifted, scm):
    """KL between the multivariate normals that two linear-Gaussian SCMs imply."""
    (m1, s1), (m0, s0) = moments(shifted), moments(scm)
    precision, gap = np.linalg.inv(s0), m0 - m1
    logdet = np.linalg.slogdet(s0)[1] - np.linalg.slogdet(s1)[1]
    return 0.5 * (np.trace(precision @ s1) + gap @ precision @ gap - len(m0) + logdet)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: ck.shifts.covariate("y", strength=0.8, **o),
        lambda **o: ck.shifts.covariate("y", strength=0.4, on=["x", "w"], how="scale", **o),
        lambda **o: ck.shifts.concept("y", strength=0.6, **o),
        lambda **o: ck.shifts.concept("y", strength=0.6, how="location", **o),
        lambda **o: ck.shifts.spurious("y", strength=1.3, **o),
        lambda **o: ck.shifts.spurious("y", strength=0.2, how="scale", **o),
        lambda **o: ck.shifts.soft(["w", "z"], strength=0.5, how="gain", **o),
        lambda **o: ck.shifts.soft(["x", "y", "z"], strength=0.5, how="scale", **o),
    ],
)
def test_linear_gaussian_shifts_have_the_divergence_of_two_multivariate_normals(make, direction):
    scm = chain()
    shifted = make(direction=direction)(scm)
    nats, se = total(shifted, scm)
    exact = normal_kl(shifted, scm)
    assert se <= PRECISION * nats
    assert nats == pytest.approx(exact, rel=1e-12 if se == 0 else None, abs=4 * se + 1e-12)


def test_shifts_one_after_the_other_are_compared_with_the_first_scm():
    scm = chain()
    shifted = ck.shifts.compose(
        ck.shifts.covariate("y", strength=1.0),
        ck.shifts.concept("y", strength=0.5),
        ck.shifts.spurious("y", strength=0.7, direction=-1),
    )(scm)
    nats, se = total(shifted, scm)
    assert se > 0 and nats == pytest.approx(normal_kl(shifted, scm), abs=4 * se)


def test_the_parents_are_drawn_under_the_shifted_scm():
    """Moved causes make a turned gain cost more: E x^2 is 1 before and 10 after they move by 3."""
    scm = ck.SCM({"x": linear(), "y": linear({"x": 1.0})})
    shifted = scm.replace({"x": linear(intercept=3.0), "y": linear({"x": 2.0})})
    nats = ck.kl(shifted, scm, seed=0)
    assert nats.loc["x", "nats"] == pytest.approx(4.5) and nats.loc["x", "se"] == 0
    assert nats.loc["y", "nats"] == pytest.approx(5.0, abs=4 * nats.loc["y", "se"])
    assert list(nats["how"]) == ["closed form", "closed form"]


def test_hidden_variables_count_too():
    scm = replace(chain(), hidden=("x",))
    shifted = ck.shifts.soft("x", strength=1.0)(scm)
    assert total(shifted, scm) == pytest.approx((0.5, 0.0))


# --- one noise against another


def density(noise):
    """The scipy distribution of a `Noise`, or its mixture's density."""
    m, s = noise.location, noise.scale
    return {
        "gaussian": lambda: stats.norm(m, s),
        "laplace": lambda: stats.laplace(m, s / 2**0.5),
        "uniform": lambda: stats.uniform(m - s * 3**0.5, 2 * s * 3**0.5),
        "exponential": lambda: stats.expon(m - s, s),
        "student_t": lambda: stats.t(noise.df, m, s * ((noise.df - 2) / noise.df) ** 0.5),
        "gumbel": lambda: stats.gumbel_r(m - np.euler_gamma * s * 6**0.5 / np.pi, s * 6**0.5 / np.pi),
        "mixture": lambda: stats.Mixture(
            [stats.Normal(mu=m + sign * 0.9 * s, sigma=s * (1 - 0.81) ** 0.5) for sign in (-1, 1)]
        ),
    }[noise.family]()


def by_quad(new, old):
    """KL(new || old) of two noises by adaptive quadrature, cut where almost nothing is left."""
    p, q = density(new), density(old)

    def logs(law, x):
        return law.logpdf(x)

    def integrand(x):
        log_p = logs(p, x)
        return np.exp(log_p) * (log_p - logs(q, x)) if np.isfinite(log_p) else 0.0

    reach = 400 if new.family == "student_t" else 60
    kinks = sorted({new.location, old.location, new.location - new.scale, old.location - old.scale})
    ends = [new.location - reach * new.scale, *kinks, new.location + reach * new.scale]
    pieces = [np.linspace(a, b, 9) for a, b in itertools.pairwise(ends)]
    return sum(integrate.quad(integrand, a, b, limit=200)[0] for part in pieces for a, b in itertools.pairwise(part))


def roots(new, old):
    return (ck.SCM({"x": Additive((), noise, Linear(()))}) for noise in (new, old))


@pytest.mark.parametrize(("by", "factor"), [(0.3, 1.0), (-1.2, 1.0), (0.0, 1.6), (0.0, 0.5), (0.7, 1.3)])
@pytest.mark.parametrize("family", ["gaussian", "laplace", "student_t", "gumbel", "mixture"])
def test_a_noise_moved_and_scaled_against_adaptive_quadrature(family, by, factor):
    old = Noise(family, scale=1.5, location=0.4)
    new = replace(old, scale=old.scale * factor, location=old.location + by)
    nats, se = total(*roots(new, old))
    assert se == 0 and nats == pytest.approx(by_quad(new, old), rel=1e-4)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("gaussian", "laplace"),
        ("gaussian", "student_t"),
        ("laplace", "gaussian"),
        ("laplace", "mixture"),
        ("student_t", "laplace"),
        ("mixture", "student_t"),
        ("gumbel", "gaussian"),
        ("uniform", "gaussian"),
        ("uniform", "laplace"),
        ("exponential", "gumbel"),
        ("exponential", "laplace"),
    ],
)
def test_a_noise_of_another_family_against_adaptive_quadrature(one, two):
    new, old = Noise(one, location=0.2, scale=0.9), Noise(two)
    assert total(*roots(new, old))[0] == pytest.approx(by_quad(new, old), rel=1e-3)


def test_degrees_of_freedom_are_part_of_the_noise():
    new, old = Noise("student_t", df=12.0), Noise("student_t", df=3.5)
    assert total(*roots(new, old))[0] == pytest.approx(by_quad(new, old), rel=1e-4)


def test_exponential_noise_to_the_right_and_narrower_is_finite():
    old = Noise("exponential", scale=2.0)
    for by, factor, exact in ((0.5, 1.0, 0.5), (0.0, 0.5, None)):  # by is in sds: log ratio = by everywhere
        new = replace(old, location=by * old.scale, scale=factor * old.scale)
        nats = total(*roots(new, old))[0]
        assert nats == pytest.approx(by_quad(new, old), rel=1e-6)
        assert exact is None or nats == pytest.approx(exact)


@pytest.mark.parametrize("family", ["uniform", "exponential"])
def test_what_the_original_cannot_make_is_infinitely_far(family):
    bounded = Noise(family)
    for new in (replace(bounded, location=-0.01), replace(bounded, scale=1.01), Noise("gaussian")):
        assert total(*roots(new, bounded)) == (np.inf, 0.0)
    inside = replace(bounded, scale=0.5)
    assert np.isfinite(total(*roots(inside, bounded))[0])


@pytest.mark.parametrize("family", ["uniform", "exponential"])
def test_noise_of_unbounded_support_in_place_of_bounded_noise_is_infinitely_far_given_any_parents(family):
    scm = ck.SCM({"x": linear(), "y": linear({"x": 1.0}, noise=family)})
    shifted = scm.replace({"y": linear({"x": 0.9})})
    assert total(shifted, scm) == (np.inf, 0.0)


def test_heavier_tails_than_gumbel_noise_allows_are_infinitely_far():
    """Gumbel's left tail falls like exp(-exp(-x)): E exp(-x) has to be finite for the other noise."""
    for new in (Noise("student_t"), Noise("laplace", scale=1.2)):
        assert total(*roots(new, Noise("gumbel"))) == (np.inf, 0.0)
    light = Noise("laplace", scale=0.5)
    assert total(*roots(light, Noise("gumbel")))[0] == pytest.approx(by_quad(light, Noise("gumbel")), rel=1e-4)


# --- given the parents


@pytest.mark.parametrize("family", ["student_t", "mixture"])
def test_rows_far_out_do_not_blur_the_others(family):
    """Where only the distance counts, it is looked up on a grid, which one huge value must not stretch."""
    near = torch.cat([torch.linspace(-3, 3, 500), torch.tensor([1e3, -1e4])]).double()
    one = torch.ones_like(near)
    nats = noise_kl(Noise(family), Noise(family), near, one, one)[0]
    each = torch.cat([noise_kl(Noise(family), Noise(family), m, *[one[:1]] * 2)[0] for m in near.split(1)])
    torch.testing.assert_close(nats, each, rtol=1e-4, atol=1e-6)


def test_location_scale_mechanisms_against_the_formula_for_two_normals():
    x = column(-1.0, 0.0, 2.0)
    old = LocationScale(("x",), Noise(), lambda x: x[:, 0], log_scale=lambda x: 0.3 * x[:, 0], spread=2.0, centre=1.0)
    new = old.with_gain({"x": 1.5}).moved(0.4)
    m0, s0 = x[:, 0], (0.3 * x[:, 0]).exp()
    m1, s1 = 1.5 * x[:, 0] + 0.4 * (0.45 * x[:, 0]).exp(), (0.45 * x[:, 0]).exp()
    exact = (s0 / s1).log() + (s1**2 + (m1 - m0) ** 2) / (2 * s0**2) - 0.5
    nats, how = conditional_kl(new, old, x, x)
    torch.testing.assert_close(nats, exact)
    assert how == "closed form"


@pytest.mark.parametrize("distortion", sorted(DISTORTIONS))
def test_a_distortion_common_to_both_changes_no_divergence(distortion):
    x, f = column(-1.0, 0.5, 2.0), Linear((1.0,))
    plain = Additive(("x",), Noise("student_t"), f)
    seen = PostNonlinear(("x",), Noise("student_t"), f, 0.3, 2.0, distortion=DISTORTIONS[distortion])
    for turn in (lambda m: m.with_gain({"x": 0.4}), lambda m: m.scaled(1.5), lambda m: m.moved(-0.7)):
        expected, _ = conditional_kl(turn(plain), plain, x, x)
        torch.testing.assert_close(conditional_kl(turn(seen), seen, x, x)[0], expected)


@pytest.mark.parametrize("family", ["gaussian", "laplace", "student_t", "gumbel", "mixture"])
def test_a_function_of_the_users_own_by_quadrature(family):
    """x = 2 x_pa + exp(x_pa / 2) u, once as a function, once as the family that knows its closed form."""
    x = column(-1.0, 0.1, 1.5)
    known = LocationScale(("x",), Noise(family), lambda x: 2 * x[:, 0], log_scale=lambda x: x[:, 0] / 2)
    own = function(
        lambda x, u: 2 * x[:, 0] + (x[:, 0] / 2).exp() * u,
        ["x"],
        inverse=lambda x, v: (v - 2 * x[:, 0]) * (-x[:, 0] / 2).exp(),
        noise=family,
    )
    for gain in (1.1, 1.5, 0.3):
        expected, _ = conditional_kl(known.with_gain({"x": gain}), known, x, x)
        many = x.repeat_interleave(160, 0)  # rows share what the kinks of Laplace noise cost the quadrature
        nats, how = conditional_kl(own.with_gain({"x": gain}), own, many, many)
        assert how == "quadrature"
        torch.testing.assert_close(nats.reshape(3, -1).mean(1), expected, rtol=1e-3, atol=1e-6)


def test_a_function_of_the_users_own_moved_as_its_noise_moves_needs_nothing_but_an_inverse():
    own = function(lambda x, u: u.sinh(), inverse=lambda x, v: v.asinh())
    scm = ck.SCM({"x": own})
    assert total(ck.shifts.soft("x", nats=0.3)(scm), scm)[0] == pytest.approx(0.3, rel=1e-6)
    deaf = ck.SCM({"x": function(lambda x, u: u.sinh())})
    with pytest.raises(ck.NotInvertible, match="inverse"):
        ck.kl(ck.shifts.soft("x", strength=0.3)(deaf), deaf, seed=0)


# --- discrete variables


def discrete():
    return ck.SCM(
        {
            "a": table({}, [0.2, 0.5, 0.3]),
            "b": table({"a": 3}, [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]),
            "c": softmax({"a": [0.0, 0.5, -0.5], "b": [0.0, 1.0, 2.0]}, [0.0, -0.3, 0.2]),
        }
    )


def cells(scm):
    """Every combination of levels, a row each."""
    levels = [range(m.levels) for m in scm.mechanisms.values()]
    return pd.DataFrame(list(itertools.product(*levels)), columns=list(scm.variables))


def enumerated(shifted, scm):
    """The divergence of the joint as a sum over all cells."""
    log_p, log_q = shifted.log_prob(cells(scm)), scm.log_prob(cells(scm))
    return float(np.sum(np.exp(log_p) * (log_p - log_q)))


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: ck.shifts.covariate("c", on=["a"], **o),
        lambda **o: ck.shifts.concept("c", **o),
        lambda **o: ck.shifts.concept("b", how="location", **o),
        lambda **o: ck.shifts.spurious("a", **o),
        lambda **o: ck.shifts.soft(["a", "b", "c"], **o),
        lambda **o: ck.shifts.soft(["b", "c"], how="gain", **o),
    ],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_discrete_shifts_against_the_sum_over_all_cells(make, direction):
    scm = discrete()
    shifted = make(strength=0.7, direction=direction)(scm)
    nats, se = total(shifted, scm)
    assert nats == pytest.approx(enumerated(shifted, scm), abs=4 * se + 1e-12)
    dialled = make(nats=0.02, direction=direction)(scm)
    assert enumerated(dialled, scm) == pytest.approx(0.02, rel=4 * PRECISION)


def test_a_label_shift_of_a_discrete_target_against_the_sum_over_all_cells():
    scm = discrete()
    for nats in (0.01, 0.1):
        selected = ck.shifts.label("c", nats=nats)(scm)
        chance, w = np.exp(scm.log_prob(cells(scm))), selected.weigh(cells(scm))
        a = w / (chance @ w)
        assert selected.mass == pytest.approx(chance @ w, rel=1e-3)
        assert float(np.sum(chance * a * np.log(a))) == pytest.approx(nats, rel=4 * PRECISION)
        measured, se = total(selected, scm)
        assert measured == pytest.approx(float(np.sum(chance * a * np.log(a))), abs=4 * se)


def test_a_level_of_probability_zero_costs_nothing_after_and_everything_before():
    never = ck.SCM({"a": table({}, [0.5, 0.5, 0.0])})
    always = ck.SCM({"a": table({}, [0.4, 0.4, 0.2])})
    assert total(never, always)[0] == pytest.approx(np.log(0.5 / 0.4))
    assert total(always, never) == (np.inf, 0.0)
    moved = ck.shifts.soft("a", strength=1.0)(never)  # log-odds by 1: still never
    p = np.e / (1 + np.e)
    assert total(moved, never)[0] == pytest.approx(p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p)))


def test_a_discrete_mechanism_in_place_of_a_continuous_one_is_infinitely_far():
    scm = ck.SCM({"x": linear(), "y": linear({"x": 1.0}), "z": linear()})
    for new in ({"y": ck.logistic({"x": 1.0})}, {"z": ck.logistic()}):
        shifted = scm.replace(new)
        assert total(shifted, scm) == (np.inf, 0.0)
        assert total(scm, shifted) == (np.inf, 0.0)


# --- interventions


def test_an_intervention_is_infinitely_far_whatever_its_values_are():
    scm = chain()
    for values in ({"x": 0.0}, {"x": np.zeros(5)}, {"x": np.zeros(5), "w": 1.0, "z": np.ones(5)}):
        nats = ck.kl(scm.do(values), scm, seed=0)
        assert list(nats.index) == list(values) and np.isinf(nats["nats"]).all() and (nats["se"] == 0).all()


# --- what is refused


def test_bad_comparisons():
    scm = chain()
    with pytest.raises(ValueError, match="different variables: z is in one of them alone"):
        ck.kl(scm.marginal(["y"]), scm, seed=0)
    with pytest.raises(ValueError, match=r"call it with the SCM"):
        ck.kl(ck.shifts.covariate("y", nats=0.1), scm, seed=0)
    with pytest.raises(ValueError, match="seed"):
        ck.kl(scm, scm, seed=-1)


# --- laws

seeds = st.integers(0, 2**31 - 1)
kinds = st.sampled_from(["covariate", "label", "concept", "spurious"])
FAMILIES = ["linear", "mlp", "sigmoidal", "gp", "location_scale", "post_nonlinear", "logistic", "categorical"]
scms = st.builds(
    ck.random_scm,
    st.integers(3, 6),
    mechanism=st.just(FAMILIES),
    noise=st.sampled_from(["gaussian", "laplace", "student_t", "mixture"]),
    seed=seeds,
)


def applied(scm, kind, target, **options):
    """The shift and what it makes, where the graph allows it and the nats can be had."""
    shift = ck.SHIFTS[kind](target, **options)
    try:
        return shift, shift(scm)
    except ValueError:
        assume(False)


@settings(max_examples=10)
@given(scms, kinds, st.sampled_from([1, -1]), st.floats(0.01, 1.0), seeds, st.data())
def test_a_divergence_is_positive_and_zero_for_the_same_scm_alone(scm, kind, direction, strength, seed, data):
    target = data.draw(st.sampled_from(scm.variables))
    _, shifted = applied(scm, kind, target, strength=strength, direction=direction)
    nats = ck.kl(shifted, scm, seed=seed)
    assert (nats["nats"] > 0).all() and (nats["se"] <= 0.02 * nats["nats"].sum()).all()
    assert ck.kl(scm, scm, seed=seed).empty
    assert ck.kl(applied(scm, kind, target, strength=0.0, direction=direction)[1], scm, seed=seed).empty


@settings(max_examples=6)
@given(scms, kinds, st.sampled_from([1, -1]), st.data())
def test_the_dial_gives_what_was_asked_for_and_more_strength_for_more_nats(scm, kind, direction, data):
    target = data.draw(st.sampled_from(scm.variables))
    strengths = []
    for nats in (0.02, 0.1):
        shift, shifted = applied(scm, kind, target, nats=nats, direction=direction)
        measured, se = total(shifted, scm, seed=1)
        assert measured == pytest.approx(nats, rel=4 * PRECISION, abs=4 * se)
        strengths.append(shift.strength_on(scm))
        again = ck.SHIFTS[kind](target, nats=nats, direction=direction)
        assert again.strength_on(replace(scm)) == strengths[-1]  # the dial's stream is its own, always the same
    assert strengths == sorted(strengths)


@settings(max_examples=10)
@given(seeds, st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_divergences_of_shifts_of_different_roots_add(seed, one, two):
    scm = ck.random_scm(6, mechanism=FAMILIES, seed=seed)
    roots = [v for v in scm.variables if not scm.mechanisms[v].parents]
    assume(len(roots) > 1)
    first, second = ck.shifts.soft(roots[0], strength=one), ck.shifts.soft(roots[1], strength=two, direction=-1)
    both = ck.shifts.compose(first, second)(scm)
    apart = total(first(scm), scm)[0] + total(second(scm), scm)[0]
    assert total(both, scm) == (pytest.approx(apart), 0.0)


def test_nats_are_computed_on_rows_of_the_seed_and_no_others():
    scm = chain()
    shifted = ck.shifts.concept("y", strength=0.5)(scm)
    one, again, other = (ck.kl(shifted, scm, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert one.loc["y", "nats"] != other.loc["y", "nats"]
    fixed, drawn, how = terms(shifted, scm, 3, 2, rows=50)
    assert fixed == {} and drawn.shape == (100, 1) and how == {"y": "closed form"}


@pytest.mark.slow
def test_the_dial_on_random_scms_of_mixed_families_and_all_kinds():
    """benchmarks/dial.py in small: an estimate from log density ratios that knows nothing of the dial."""
    path = Path(__file__).parents[1] / "benchmarks" / "dial.py"
    spec = importlib.util.spec_from_file_location("dial_benchmark", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.ROWS = 20_000
    found = benchmark.measure(len(benchmark.KINDS), nats=(0.1,), share=2 * PRECISION)
    assert list(found["kind"]) == list(benchmark.KINDS)
    refused = found["reason"] != ""
    assert refused.sum() <= 4 and found["reason"][refused].str.contains("infinite at any strength").all()
    assert (found["error"][~refused].abs() < 0.03).all()
    assert "within 2%" in benchmark.summary(found)


# --- where the dial ends


def saturating(family):
    graph = ck.graphs.parse("x -> y; y -> z")
    return ck.random_scm(3, graph=graph, mechanism=family, seed=4)


@pytest.mark.parametrize(
    ("make", "direction"),
    [
        (lambda **o: ck.shifts.concept("y", **o), 1),
        (lambda **o: ck.shifts.concept("y", **o), -1),
        (lambda **o: ck.shifts.spurious("y", **o), 1),
        (lambda **o: ck.shifts.label("y", **o), 1),
        (lambda **o: ck.shifts.selection("y", **o), -1),
    ],
)
@pytest.mark.parametrize("family", ["mlp", "sigmoidal"])
def test_out_of_reach_names_the_largest_value_and_that_is_within_reach(family, make, direction):
    scm = saturating(family)
    with pytest.raises(Unreachable, match=r"500 nats are out of reach: .*ask for less") as raised:
        make(nats=500.0, direction=direction)(scm)
    largest = float(re.search(r"at most ([\d.e+-]+) nats", str(raised.value)).group(1))
    shifted = make(nats=0.99 * largest, direction=direction)(scm)
    nats, se = total(shifted, scm, seed=1)
    assert nats == pytest.approx(0.99 * largest, rel=4 * PRECISION, abs=4 * se)
    with pytest.raises(Unreachable, match="out of reach"):
        make(nats=1.05 * largest, direction=direction)(scm)


def test_a_cause_that_is_not_heard_cannot_be_made_louder():
    scm = ck.SCM({"x": linear(), "y": linear({"x": 0.0})})
    with pytest.raises(Unreachable, match="gives at most 0 nats"):
        ck.shifts.concept("y", nats=0.1)(scm)


def test_a_saturated_logistic_target_is_out_of_reach():
    scm = ck.SCM({"x": linear(), "y": ck.logistic({"x": 1.0}, intercept=2.0)})
    with pytest.raises(Unreachable, match=r"concept shift of direction \+1 gives at most 0\.\d+ nats"):
        ck.shifts.concept("y", nats=3.0)(scm)


@pytest.mark.parametrize("family", ["uniform", "exponential"])
@pytest.mark.parametrize("kind", ["covariate", "spurious"])
def test_an_infinite_divergence_names_the_noise_and_an_alternative(family, kind):
    scm = chain(noise=family)
    message = rf"infinite at any strength: '[xz]' has {family} noise.*how='scale', direction=-1"
    with pytest.raises(Unreachable, match=message):
        ck.SHIFTS[kind]("y", nats=0.1, direction=-1)(scm)
    narrower = ck.SHIFTS[kind]("y", nats=0.1, how="scale", direction=-1)(scm)  # the way out that it names
    assert total(narrower, scm)[0] == pytest.approx(0.1, rel=1e-3)
    ck.SHIFTS[kind]("y", strength=0.1, direction=-1)(scm)  # and the other one


@pytest.mark.parametrize(("family", "f"), [("gumbel", lambda x: x[:, 0]), ("gaussian", lambda x: x[:, 0] ** 2)])
def test_tails_too_heavy_for_a_mean_are_refused(family, f):
    """A deviation d costs about exp(-d) under Gumbel noise and d^2 under Gaussian: of Student's t, a mean that is
    infinite, and one whose draws have an infinite variance."""
    scm = ck.SCM({"x": linear(noise="student_t"), "y": Additive(("x",), Noise(family), f)})
    message = rf"standard error of \d+%.*at 'y', which has {family} noise, has tails so heavy.*how='scale'.*strength="
    with pytest.raises(Unreachable, match=message):
        ck.shifts.concept("y", nats=0.5)(scm)
    assert ck.shifts.concept("y", nats=0.5, how="scale")(scm) is not scm


def test_far_ends_of_the_dial():
    scm = ck.SCM({"x": linear(), "y": mlp(["x"], seed=0)})
    for make in (
        lambda nats: ck.shifts.soft("x", nats=nats),
        lambda nats: ck.shifts.soft("x", nats=nats, how="scale"),
        lambda nats: ck.shifts.soft("x", nats=nats, how="scale", direction=-1),
    ):
        for nats in (1e-9, 1e-5, 3.0, 200.0):
            assert total(make(nats)(scm), scm)[0] == pytest.approx(nats, rel=1e-4)
    assert ck.shifts.soft("x", nats=0.0)(scm) is scm
    with pytest.raises(Unreachable, match="out of reach"):
        ck.shifts.soft("x", nats=1e9, how="scale", direction=-1)(scm)
