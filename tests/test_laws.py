"""Laws that hold for every SCM and shift, tried on random ones."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import children_of, parents_of
from causalkit.mechanisms import NOISES
from causalkit.selection import Selected

seeds = st.integers(0, 2**31 - 1)
DISCRETE = ["categorical", "logistic"]


def random_scms(mechanism):
    return st.builds(
        ck.random_scm,
        st.integers(2, 7),
        degree=st.sampled_from([0.5, 1.0]),
        mechanism=mechanism,
        noise=st.sampled_from(sorted(NOISES)),
        standardise=st.sampled_from(["internal", None]),
        seed=seeds,
    )


real = random_scms(st.sampled_from(sorted(set(ck.MECHANISMS) - set(DISCRETE))))
scms = st.one_of(real, random_scms(st.sampled_from([*DISCRETE, ["linear", *DISCRETE], sorted(ck.MECHANISMS)])))
shifts = st.builds(
    lambda kind, strength, direction: lambda target: ck.SHIFTS[kind](target, strength=strength, direction=direction),
    st.sampled_from(["covariate", "label", "concept", "spurious"]),
    st.floats(0.1, 1.5),
    st.sampled_from([1, -1]),
)


def value_of(scm, x, data):
    """A value that x can be set to."""
    levels = scm.mechanisms[x].levels
    return data.draw(st.floats(-3, 3) if levels is None else st.integers(0, levels - 1))


def assert_same(before, after):
    """Real variables up to rounding, discrete ones to the bit, which is within no tolerance of the next level."""
    pd.testing.assert_frame_equal(before, after, rtol=1e-9, atol=1e-9)


@given(scms, seeds)
def test_abduction_inverts_push(scm, seed):
    """Of a discrete variable, the noise that comes back is another that makes the same level."""
    noise = scm.sample_noise(50, seed=seed)
    frame = scm.push(noise)
    again = scm.abduct(frame, seed=seed)
    real = [v for v in scm.variables if scm.mechanisms[v].levels is None]
    assert list(again) == list(noise)
    assert_same(again[real], noise[real])
    assert_same(scm.push(again), frame)


@given(scms, seeds)
def test_a_counterfactual_without_intervention_changes_nothing(scm, seed):
    frame = scm.sample(50, seed=seed)
    assert_same(scm.counterfactual(frame, {}, seed=seed), frame)


@given(scms, seeds, st.data())
def test_do_sets_its_variable_and_leaves_non_descendants_bit_for_bit(scm, seed, data):
    x = data.draw(st.sampled_from(scm.variables))
    value = value_of(scm, x, data)
    before, after = scm.sample(50, seed=seed), scm.do({x: value}).sample(50, seed=seed)
    assert (after[x] == value).all()
    untouched = [v for v in scm.variables if v != x and v not in nx.descendants(scm.graph, x)]
    pd.testing.assert_frame_equal(before[untouched], after[untouched], check_exact=True)


@given(scms, seeds, st.data())
def test_the_axioms_of_counterfactuals(scm, seed, data):
    """Composition, effectiveness and reversibility (Galles and Pearl 1998), joint interventions included."""
    x, w = data.draw(st.lists(st.sampled_from(scm.variables), min_size=2, max_size=2, unique=True))
    a, b = value_of(scm, x, data), value_of(scm, w, data)
    frame = scm.sample(30, seed=seed)
    joint = scm.counterfactual(frame, {x: a, w: b}, seed=seed)
    assert (joint[x] == a).all() and (joint[w] == b).all()  # effectiveness
    single = scm.counterfactual(frame, {x: a}, seed=seed)
    composed = scm.counterfactual(frame, {x: a, w: single[w]}, seed=seed)
    assert_same(single, composed)  # composition
    untouched = [v for v in scm.variables if v != x and v not in nx.descendants(scm.graph, x)]
    assert_same(single[untouched], frame[untouched])
    if all(m.levels is None for m in scm.mechanisms.values()):
        assert_same(scm.counterfactual(single, {x: frame[x]}), frame)  # reversibility: back to the observed value
    # with discrete variables the answer row does not determine the noise, so reversibility holds for a given noise
    assert_same(scm.do({x: frame[x]}).push(scm.abduct(frame, seed=seed)), frame)


@given(scms, seeds, st.data())
def test_nested_do_is_joint_do(scm, seed, data):
    x, w = data.draw(st.lists(st.sampled_from(scm.variables), min_size=2, max_size=2, unique=True))
    a, b = value_of(scm, x, data), value_of(scm, w, data)
    nested, joint = scm.do({x: a}).do({w: b}), scm.do({x: a, w: b})
    pd.testing.assert_frame_equal(nested.sample(20, seed=seed), joint.sample(20, seed=seed), check_exact=True)


@given(scms, seeds, shifts, st.data())
def test_a_shift_changes_what_its_certificate_says_and_nothing_else(scm, seed, make, data):
    target = data.draw(st.sampled_from(scm.variables))
    shift = make(target)
    try:
        certificate = shift.certificate(scm)
    except ValueError:
        assume(False)
    shifted = shift(scm)
    if isinstance(shifted, Selected):
        assert shift.kind == "label" and certificate.changed == ()
        return
    moved = {v for v in scm.variables if shifted.mechanisms[v] is not scm.mechanisms[v]}
    assert moved == set(certificate.changed)
    reached = moved.union(*(nx.descendants(scm.graph, v) for v in moved))
    rest = [v for v in scm.variables if v not in reached]
    before, after = scm.sample(40, seed=seed), shifted.sample(40, seed=seed)
    pd.testing.assert_frame_equal(before[rest], after[rest], check_exact=True)
    # the promised kinds: which mechanisms may move at all
    family = {target, *children_of(scm.graph, target)}
    if shift.kind == "covariate":
        assert not moved & family
    elif shift.kind == "spurious":
        assert moved <= family - {target}
    else:
        assert moved == {target}
    assert nx.utils.graphs_equal(shifted.graph, scm.graph)


@given(scms, seeds, shifts, st.data())
def test_strength_zero_is_the_identity(scm, seed, make, data):
    target = data.draw(st.sampled_from(scm.variables))
    made = make(target)
    shift = ck.SHIFTS[made.kind](target, strength=0.0, direction=made.direction)
    try:
        shifted = shift(scm)
    except ValueError:
        assume(False)
    pd.testing.assert_frame_equal(shifted.sample(20, seed=seed), scm.sample(20, seed=seed), check_exact=True)


@given(real, seeds)
def test_log_prob_integrates_the_change_of_variables(scm, seed):
    """log p(x) = sum_j log p(u_j) + log |du_j/dx_j|, with u by abduction; the Jacobian is triangular."""
    frame = scm.sample(20, seed=seed)
    x, expected = {v: torch.from_numpy(frame[v].to_numpy(copy=True)) for v in frame}, np.zeros(20)
    for v, noise in scm.abduct(frame).items():
        m, u = scm.mechanisms[v], torch.tensor(noise.to_numpy(copy=True), requires_grad=True)
        parents = torch.stack([x[p] for p in m.parents], 1) if m.parents else torch.zeros(20, 0, dtype=torch.float64)
        (slope,) = torch.autograd.grad(m.push(parents, u).sum(), u)  # dx / du, of which log_prob knows nothing
        expected += (m.noise.log_prob(u.detach()) - slope.log()).numpy()
    np.testing.assert_allclose(scm.log_prob(frame), expected, rtol=1e-9)


@given(scms, seeds)
def test_same_seed_same_data_and_the_global_generators_stay_untouched(scm, seed):
    torch_state, numpy_state = torch.get_rng_state().clone(), np.random.get_state()[1].copy()
    pd.testing.assert_frame_equal(scm.sample(20, seed=seed), scm.sample(20, seed=seed), check_exact=True)
    assert (torch.get_rng_state() == torch_state).all() and (np.random.get_state()[1] == numpy_state).all()


@given(scms, seeds, st.data())
def test_invariant_sets_are_invariant_in_the_linear_gaussian_case(scm, seed, data):
    """For a linear-Gaussian SCM, P(y | S) stands exactly when the population regression of y on S and its residual
    variance do; certificates must never promise a set for which they move."""
    scm = ck.random_scm(
        len(scm.variables), degree=1.0, graph=scm.graph, mechanism="linear", standardise=None, seed=seed
    )
    roots = [v for v in scm.variables if not parents_of(scm.graph, v)]
    scm = replace(scm, hidden=tuple(data.draw(st.sets(st.sampled_from(roots), max_size=2))))
    assume(scm.observed)
    target = data.draw(st.sampled_from(scm.observed))
    kind = data.draw(st.sampled_from(["covariate", "concept", "spurious", "confounding", "soft", "composed"]))
    shift = linear_gaussian_shift(kind, scm, target, data)
    try:
        certificate = shift.certificate(scm)
    except ValueError:
        assume(False)
    before, after = moments(scm), moments(shift(scm))
    for subset in certificate.invariant_sets:
        np.testing.assert_allclose(
            conditional(*before, scm.variables, target, subset),
            conditional(*after, scm.variables, target, subset),
            atol=1e-8,
        )
    parents = parents_of(scm.graph, target)
    assert certificate.parents_suffice == (set(parents) in [set(s) for s in certificate.invariant_sets])
    if kind == "spurious" and not set(parents) & set(scm.hidden):
        assert certificate.parents_suffice  # what the theory promises is found


def linear_gaussian_shift(kind, scm, target, data):
    """A shift of the kind that leaves the SCM linear and Gaussian, however it moves its mechanisms."""
    direction = data.draw(st.sampled_from([1, -1]))
    if kind == "composed":
        first, second = (linear_gaussian_shift(k, scm, target, data) for k in ("soft", "spurious"))
        return ck.shifts.compose(first, second)
    if kind == "confounding":
        return ck.shifts.confounding(target, strength=0.7, direction=direction)
    if kind == "soft":
        some = data.draw(st.lists(st.sampled_from(scm.variables), min_size=1, max_size=2, unique=True))
        how = data.draw(st.sampled_from(["location", "scale"]))
        return ck.shifts.soft(some, strength=0.7, direction=direction, how=how, target=target)
    how = data.draw(st.sampled_from([None, "location", "scale"]))
    return ck.SHIFTS[kind](target, strength=0.7, direction=direction, how=how)


def moments(scm):
    """Mean and covariance of a linear-Gaussian SCM: x = (I - B)^-1 u with B[j, i] the weight of i in j's mechanism."""
    d, place = len(scm.variables), {v: i for i, v in enumerate(scm.variables)}
    b, location, variance = np.zeros((d, d)), np.zeros(d), np.zeros(d)
    for v, m in scm.mechanisms.items():
        gain, around = m.gain or (1.0,) * len(m.parents), m.around or (0.0,) * len(m.parents)
        offset = 0.0
        for p, w, g, c in zip(m.parents, m.function.weights, gain, around, strict=True):
            b[place[v], place[p]] = w * g / m.spread
            offset += w * (1 - g) * c
        location[place[v]] = (m.function.intercept + offset + m.noise.location - m.centre) / m.spread
        variance[place[v]] = (m.noise.scale / m.spread) ** 2
    inverse = np.linalg.inv(np.eye(d) - b)
    return inverse @ location, inverse @ np.diag(variance) @ inverse.T


def conditional(mean, covariance, variables, target, subset):
    """Slope, intercept and residual variance of target given subset."""
    y, s = variables.index(target), [variables.index(v) for v in subset]
    slope = np.linalg.solve(covariance[np.ix_(s, s)], covariance[s, y]) if s else np.zeros(0)
    return np.array([*slope, mean[y] - slope @ mean[s], covariance[y, y] - slope @ covariance[s, y]])


@pytest.mark.parametrize("standardise", [None, "internal"])
@pytest.mark.parametrize("noise", sorted(NOISES))
def test_samples_match_the_closed_form_moments(standardise, noise):
    scm = ck.random_scm(6, degree=2.0, mechanism="linear", noise=noise, standardise=standardise, seed=3)
    mean, covariance = moments(scm)
    frame = scm.sample(200_000, seed=1)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((frame.mean() - mean) / sd, 0, atol=0.015)
    np.testing.assert_allclose((frame.cov() - covariance) / np.outer(sd, sd), 0, atol=0.02)
