"""Learned SCMs: against least squares, against the true SCM, and where the promise ends."""

import numpy as np
import pytest

import causalkit as ck
from causalkit.estimation import fit_scm
from causalkit.mechanisms import NOISES


def test_linear_is_least_squares_and_recovers_the_weights():
    scm = ck.SCM({"x": ck.linear(intercept=1.0), "y": ck.linear({"x": 2.0}, intercept=-1.0, scale=0.5)})
    frame = scm.sample(20_000, seed=0)
    learned = fit_scm(scm.graph, frame, seed=0).mechanisms["y"]
    slope, intercept = np.polyfit(frame["x"], frame["y"], 1)
    assert learned.function.weights[0] == pytest.approx(slope) == pytest.approx(2.0, abs=0.02)
    assert learned.function.intercept == pytest.approx(intercept) == pytest.approx(-1.0, abs=0.03)
    assert learned.noise.scale == pytest.approx(0.5, rel=0.02)


def test_counterfactuals_come_close_to_the_true_ones_and_mlp_beats_linear_on_curves():
    scm = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: x[:, 0] ** 2, scale=0.3)})
    frame, new = scm.sample(2000, seed=0), scm.sample(500, seed=1)
    truth = scm.counterfactual(new, {"x": 1.0})["y"]
    error = {
        kind: float(
            (fit_scm(scm.graph, frame, mechanism=kind, seed=0).counterfactual(new, {"x": 1.0})["y"] - truth).std()
        )
        for kind in ("linear", "mlp")
    }
    assert error["mlp"] < 0.15 and error["linear"] > 5 * error["mlp"]


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
def test_the_noise_family_is_found(family):
    scm = ck.SCM({"x": ck.linear(noise=family), "y": ck.linear({"x": 1.0}, noise=family)})
    learned = fit_scm(scm.graph, scm.sample(3000, seed=0), seed=0)
    assert {m.noise.family for m in learned.mechanisms.values()} == {family}
    assert "uniform" in NOISES  # on request
    assert (
        fit_scm(scm.graph, scm.sample(3000, seed=0), noise="uniform", seed=0).mechanisms["y"].noise.family == "uniform"
    )


def test_wrong_graph_gives_wrong_counterfactuals():
    """The axioms hold for every SCM; only the truth tells a wrong graph from a right one."""
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    frame = scm.sample(5000, seed=0)
    wrong = fit_scm(ck.graphs.parse("y -> x"), frame, seed=0)
    truth = scm.counterfactual(frame, {"x": 0.0})["y"]
    assert (wrong.counterfactual(frame, {"x": 0.0})["y"] - truth).std() > 0.9


def test_same_seed_same_scm():
    scm = ck.random_scm(5, degree=2.0, seed=0)
    frame = scm.sample(300, seed=0)
    one, two = (fit_scm(scm.graph, frame, mechanism="mlp", seed=4).sample(50, seed=1) for _ in range(2))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("graph", "change", "options", "message"),
    [
        (ck.graphs.cpdag(ck.graphs.parse("x -> y -> z")), {}, {}, "undirected: x - y, y - z"),
        (ck.graphs.parse("x -> y; x <-> y"), {}, {}, "unknown column 'u_x_y'|hidden variable"),
        (ck.graphs.parse("x -> y -> w"), {}, {}, "unknown column 'w'"),
        (ck.graphs.parse("x -> y"), {"y": 1.0}, {}, "'y' is constant"),
        (ck.graphs.parse("x -> y"), {"y": np.nan}, {}, "NaN"),
        (ck.graphs.parse("x -> y"), {"y": "a"}, {}, "not numeric"),
        (ck.graphs.parse("x -> y"), {"y": range(50)}, {}, r"'y' holds integers.*astype\({'y': float}\)"),
        (ck.graphs.parse("x -> y"), {}, {"mechanism": "lineer"}, "did you mean 'linear'"),
        (ck.graphs.parse("x -> y"), {}, {"noise": "gauss"}, "unknown noise 'gauss'"),
    ],
)
def test_bad_input(graph, change, options, message):
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear()})
    with pytest.raises(ValueError, match=message):
        fit_scm(graph, scm.sample(50, seed=0).assign(**change), seed=0, **options)


def test_too_few_rows_and_exact_functions():
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    with pytest.raises(ValueError, match="5 rows, at least 10"):
        fit_scm(scm.graph, scm.sample(5, seed=0), seed=0)
    frame = scm.sample(50, seed=0)
    with pytest.raises(ValueError, match="exact function"):
        fit_scm(scm.graph, frame.assign(y=2 * frame["x"]), seed=0)
