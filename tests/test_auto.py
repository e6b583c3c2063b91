"""The method that chooses: what it takes for straight and for bent under any noise, and the likelihood that judges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.discovery.auto import _apart, _rest, _surprise
from causalkit.discovery.cam import cam
from causalkit.discovery.knowledge import Knowledge
from causalkit.graphs import cpdag, parse

FEW_EDGES = parse("a -> b -> c; b -> d; e -> f")


def world(mechanism, noise, seed=0, d=10, n=1000):
    scm = ck.random_scm(d, degree=2.0, mechanism=mechanism, noise=noise, seed=seed)
    return scm, scm.sample(n, seed=seed)


@pytest.mark.parametrize("noise", ["laplace", "uniform"])
def test_it_orients_by_noise_that_is_not_gaussian(noise):
    scm = ck.random_scm(6, graph=FEW_EDGES, mechanism="linear", noise=noise, seed=1)
    found = ck.discover(scm.sample(1000, seed=0))
    assert found.graph["kind"] == "dag" and "not Gaussian" in found.graph["why"]
    assert set(found.edges) == set(scm.graph.edges)


def test_it_leaves_open_what_gaussian_noise_leaves_open():
    scm = ck.random_scm(6, graph=FEW_EDGES, mechanism="linear", seed=1)
    found = ck.discover(scm.sample(1000, seed=0))
    assert found.graph["chosen"] == "orders" and set(found.edges) == set(cpdag(scm.graph).edges)


def test_it_holds_knowledge_whatever_it_chooses():
    scm = ck.random_scm(6, graph=FEW_EDGES, mechanism="linear", noise="laplace", seed=1)
    for knowledge in (Knowledge(forbidden=[("a", "b")]), Knowledge(required=[("b", "a")])):
        assert knowledge.agrees(ck.discover(scm.sample(1000, seed=0), knowledge=knowledge))
    scm, frame = world("linear", "exponential")
    knowledge = Knowledge(forbidden=[next(iter(scm.graph.edges))])
    assert knowledge.agrees(ck.discover(frame, knowledge=knowledge))


@pytest.mark.parametrize("noise", ["exponential", "gumbel"])
@pytest.mark.parametrize("seed", [1, 2])
def test_skewed_noise_does_not_pass_for_bends(noise, seed):
    scm, frame = world("linear", noise, seed)
    found = ck.discover(frame)
    assert "are straight" in found.graph["why"] and set(found.edges) == set(scm.graph.edges)


@pytest.mark.parametrize("noise", ["gaussian", "laplace", "exponential"])
def test_bends_are_seen_under_any_noise(noise):
    for seed in range(2):
        _, frame = world("polynomial", noise, seed)
        found = ck.discover(frame)
        assert found.graph["chosen"] == "cam" and "the relations bend" in found.graph["why"]
        # only noise that is not Gaussian calls for a second judge
        assert ("not Gaussian" in found.graph["why"]) == (noise != "gaussian")


def test_rounded_data_are_judged_as_those_that_they_stand_for():
    scm, frame = world("linear", "exponential", 1)
    found = ck.discover((frame / frame.std()).round(1))
    assert found.graph["chosen"] != "cam" and ck.compare(found, scm.graph)["shd_cpdag"] <= 1
    assert "nan" not in found.graph["why"] and "inf" not in found.graph["why"]


@pytest.mark.parametrize(("noise", "entropy"), [("gaussian", 1.4189), ("uniform", 1.2425), ("exponential", 1.0)])
def test_the_surprise_is_twice_the_entropy_a_row(noise, entropy):
    # of unit variance: log(2 pi e) / 2, log(12) / 2, 1; scaled by 3, log 3 more
    u = ck.SCM({"u": ck.linear(noise=noise)}).sample(5000, seed=0).to_numpy()
    assert _surprise(3 * u, 7.0) == pytest.approx(2 * 5000 * (entropy + np.log(3)) + 7.0, abs=2 * 5000 * 0.03)


def test_what_splines_leave_is_what_the_score_of_cam_says():
    _, frame = world("gp", "gaussian", d=6)
    values = (frame - frame.mean()) / frame.std(ddof=0)
    graph = cam(values, seed=0, basis=8)
    rest, cost = _rest(values, graph, 8, 1 / 3)
    assert len(values) * np.log(rest.var(0)).sum() + cost == pytest.approx(graph.graph["score"], abs=0.5)


def test_what_lines_leave_is_what_a_regression_leaves():
    scm, frame = world("linear", "gaussian", d=6)
    rest, cost = _rest(frame, scm.graph)
    assert cost == pytest.approx((np.log(1000) + 4 * np.log(6)) * scm.graph.number_of_edges())
    for j, name in enumerate(frame.columns):
        causes = frame[list(scm.graph.predecessors(name))].to_numpy()
        design = np.column_stack([np.ones(1000), causes])
        fit = design @ np.linalg.lstsq(design, frame[name], rcond=None)[0]
        assert rest[:, j] == pytest.approx(frame[name] - fit, abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 3), min_size=8, max_size=30).filter(lambda x: len(set(x)) > 1))
def test_equal_values_are_spread_half_way_to_the_next(x):
    frame = pd.DataFrame({"rounded": np.array(x, float), "apart": np.arange(len(x)) ** 1.5})
    spread = _apart(frame, 0)
    assert spread["apart"].equals(frame["apart"]) and spread["rounded"].is_unique
    levels = np.unique(x)
    for value, moved in zip(x, spread["rounded"], strict=True):
        assert abs(moved - value) <= np.abs(levels - moved).min() + 1e-12  # the nearest level is still its own
