"""SCMs and mechanisms: worked examples from books, hidden variables, internal standardisation, bad input."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import causalkit as ck
from causalkit.mechanisms import NOISES, Mechanism, Noise, NotInvertible


@pytest.fixture
def chain():
    return ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})


def test_joe_of_the_primer():
    """Pearl, Glymour and Jewell (2016), section 4.2.3: Y under H = 2 is 1.90 for Joe, 0.8 for E[Y | do(H = 2)]."""
    scm = ck.SCM({"x": ck.linear(), "h": ck.linear({"x": 0.5}), "y": ck.linear({"x": 0.7, "h": 0.4})})
    joe = pd.DataFrame({"x": [0.5], "h": [1.0], "y": [1.5]})
    np.testing.assert_allclose(scm.abduct(joe).to_numpy(), [[0.5, 0.75, 0.75]])
    assert scm.counterfactual(joe, {"h": 2.0})["y"][0] == pytest.approx(1.9)
    assert scm.do({"h": 2.0}).sample(100_000, seed=0)["y"].mean() == pytest.approx(0.8, abs=0.02)


def two_humps(mean, sd):
    parts = [stats.norm(mean + m * sd, 0.19**0.5 * sd) for m in (-0.9, 0.9)]
    return SimpleNamespace(
        cdf=lambda u: sum(p.cdf(u) for p in parts) / 2, logpdf=lambda u: np.log(sum(p.pdf(u) for p in parts) / 2)
    )


@pytest.mark.parametrize("family", NOISES)
def test_noise_has_its_family_scale_and_density(family):
    noise = Noise(family, scale=2.0, location=1.0)
    u = noise.sample(50_000, seed=0)
    assert float(u.mean()) == pytest.approx(1.0, abs=0.03) and float(u.std()) == pytest.approx(2.0, rel=0.02)
    theirs = {
        "gaussian": stats.norm(1, 2),
        "laplace": stats.laplace(1, 2**0.5),
        "uniform": stats.uniform(1 - 12**0.5, 2 * 12**0.5),
        "exponential": stats.expon(-1, 2),
        "student_t": stats.t(5, 1, 2 * 0.6**0.5),
        "gumbel": stats.gumbel_r(1 - np.euler_gamma * 2 * 6**0.5 / np.pi, 2 * 6**0.5 / np.pi),
        "mixture": two_humps(1, 2),
    }[family]
    assert stats.kstest(u.numpy(), theirs.cdf).pvalue > 1e-3
    grid = torch.linspace(-2.3, 4.3, 50, dtype=torch.float64)
    np.testing.assert_allclose(noise.log_prob(grid).numpy(), theirs.logpdf(grid.numpy()), rtol=1e-9)


def test_log_prob_is_the_gaussian_density(chain):
    frame = chain.sample(20, seed=0)
    covariance = np.array([[1, 1, 1], [1, 2, 2], [1, 2, 3]])
    expected = stats.multivariate_normal(np.zeros(3), covariance).logpdf(frame.to_numpy())
    np.testing.assert_allclose(chain.log_prob(frame), expected)


def test_do_in_the_density(chain):
    done = chain.do({"y": 1.0})
    frame = done.sample(5, seed=0)
    assert np.isfinite(done.log_prob(frame)).all()
    assert np.isneginf(done.log_prob(frame.assign(y=0.0))).all()


def test_internal_standardisation_survives_do_and_shifts():
    scm = ck.random_scm(8, degree=3.0, mechanism="mlp", seed=1)
    frame = scm.sample(20_000, seed=2)
    np.testing.assert_allclose(frame.mean(), 0, atol=0.05)
    np.testing.assert_allclose(frame.std(), 1, atol=0.05)
    leaf = scm.order[-1]
    shifted = ck.shifts.concept(leaf, strength=0.5)(scm) if scm.mechanisms[leaf].parents else scm
    done = shifted.do({scm.order[0]: 0.0})
    assert all(done.mechanisms[v].spread == scm.mechanisms[v].spread for v in scm.variables if v != scm.order[0])


def test_random_scm_draws_weights_away_from_zero():
    scm = ck.random_scm(12, degree=4.0, mechanism="linear", seed=0)
    weights = np.abs([w for m in scm.mechanisms.values() for w in m.function.weights])
    assert len(weights) > 10 and weights.min() >= 0.5 and weights.max() <= 2


def test_hidden_variables_are_sampled_and_not_shown():
    scm = ck.random_scm(1, graph=ck.graphs.parse("x -> y; x <-> y"), mechanism="linear", seed=0)
    assert tuple(scm.sample(5, seed=0).columns) == ("x", "y")
    full = scm.sample(5, seed=0, hidden=True)
    pd.testing.assert_frame_equal(scm.counterfactual(full, {"x": full["x"]}), full)
    assert scm.graph.nodes["u_x_y"]["hidden"]
    with pytest.raises(ValueError, match="hidden variable 'u_x_y'"):
        scm.log_prob(scm.sample(5, seed=0))


def test_counterfactual_takes_one_value_a_row_and_keeps_the_index(chain):
    frame = chain.sample(3, seed=0).set_index(pd.Index([7, 8, 9]))
    result = chain.counterfactual(frame, {"x": frame["x"] + 1})
    pd.testing.assert_frame_equal(result, frame + 1)
    with pytest.raises(ValueError, match="3 values for 5 rows"):
        chain.do({"x": np.zeros(3)}).sample(5, seed=0)


def test_values_are_frozen_and_do_returns_a_new_one(chain):
    with pytest.raises(TypeError):
        chain.mechanisms["x"] = ck.linear()
    with pytest.raises(AttributeError):
        chain.hidden = ("x",)
    import networkx as nx

    with pytest.raises(nx.NetworkXError):
        chain.graph.add_edge("z", "x")
    assert chain.do({"x": 0.0}) is not chain and chain.mechanisms["x"].parents == ()


def test_a_generator_is_a_seed_and_moves_on(chain):
    draw = torch.Generator().manual_seed(0)
    first, second = chain.sample(5, seed=draw), chain.sample(5, seed=draw)
    assert not first.equals(second)
    assert first.equals(chain.sample(5, seed=torch.Generator().manual_seed(0)))


def test_not_invertible_names_the_variable(chain):
    class Coin(Mechanism):
        def push(self, parents, u):
            return (u > 0).to(u.dtype)

    scm = chain.replace({"y": Coin(("x",), Noise())})
    with pytest.raises(NotInvertible, match="noise of 'y' cannot be recovered"):
        scm.counterfactual(scm.sample(5, seed=0), {"x": 0.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ck.SCM({"x": ck.linear({"y": 1.0}), "y": ck.linear({"x": 1.0})}), "cycle"),
        (
            lambda: ck.SCM({"age": ck.linear(), "y": ck.linear({"agee": 1.0})}),
            "parent of 'y' 'agee'; did you mean 'age'",
        ),
        (lambda: ck.SCM({}), "at least one variable"),
        (lambda: ck.SCM({"x": lambda u: u}), "mechanism of 'x'"),
        (lambda: ck.SCM({"x": ck.linear()}, hidden=("h",)), "hidden variable 'h'"),
        (lambda: ck.linear({"x": float("nan")}), "finite"),
        (lambda: ck.linear(["x"]), "mapping from parent"),
        (lambda: ck.linear(noise="gausian"), "did you mean 'gaussian'"),
        (lambda: ck.linear(scale=0.0), "scale 0.0"),
        (lambda: ck.mlp(["x"], hidden=0, seed=0), "at least 1"),
        (lambda: ck.random_scm(4, mechanism="mpl", seed=0), "did you mean 'mlp'"),
        (lambda: ck.random_scm(4, graph="erdos", seed=0), "did you mean 'erdos_renyi'"),
        (lambda: ck.random_scm(4, degree=9.0, seed=0), "degree 9.0"),
        (lambda: ck.random_scm(4, standardise="sample", seed=0), "standardise 'sample'"),
        (lambda: ck.random_scm(4, seed=-1), "seed -1"),
        (lambda: ck.random_scm(4, seed="0"), "seed '0'"),
    ],
)
def test_bad_models_are_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda scm, f: scm.sample(0, seed=0), "n = 0"),
        (lambda scm, f: scm.do({"w": 0.0}), "unknown variable 'w'"),
        (lambda scm, f: scm.do({"x": float("inf")}), "finite number"),
        (lambda scm, f: scm.do("x"), "mapping from variable"),
        (lambda scm, f: scm.do({"x": "high"}), r"do\(x = 'high'\): give a finite number"),
        (
            lambda scm, f: scm.log_prob(f.assign(w=0.0, v=1.0)),
            r"no variables of this SCM: w, v\. Leave them out: frame\[",
        ),
        (lambda scm, f: scm.counterfactual(f.assign(w=0.0), {"x": 0.0}), "no variables of this SCM: w"),
        (lambda scm, f: scm.push(f.assign(w=0.0)), "the noise has columns .* w"),
        (lambda scm, f: scm.abduct(f.drop(columns="y")), "unknown column 'y'"),
        (lambda scm, f: scm.abduct(f.assign(y=np.nan)), "'y' has 5 values that are NaN"),
        (lambda scm, f: scm.log_prob(f.assign(y=[np.inf, 0, 0, 0, 0])), r"'y' has 1 value .* row 0"),
        (lambda scm, f: scm.abduct(f.assign(y="text")), "'y' is not numeric"),
        (lambda scm, f: scm.abduct(f.to_numpy()), "expected a pandas DataFrame, got ndarray"),
        (lambda scm, f: scm.abduct(f.iloc[:0]), "0 rows"),
        (lambda scm, f: scm.abduct(f.set_axis(["x", "x", "z"], axis=1)), "'x' occurs more than once"),
    ],
)
def test_bad_calls_are_refused_at_the_door(chain, call, message):
    with pytest.raises(ValueError, match=message):
        call(chain, chain.sample(5, seed=0))
