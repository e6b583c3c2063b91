"""Estimates of identified effects: against closed forms and exact enumeration, their coverage, and each bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import parse
from causalkit.identification.estimate import PositivityError, estimate
from causalkit.identification.expressions import Probability, evaluate
from causalkit.identification.verify import law, random_discrete

GRAPHS = {
    "back-door": parse("z -> x -> y; z -> y"),
    "two confounders": parse("z -> x -> y; z -> y; w -> x, y"),
    "front-door": parse("x -> m -> y; x <-> y"),
    "napkin": parse("w -> z -> x -> y; w <-> x; w <-> y"),
    "no effect": parse("y -> x; y <-> z"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_plug_in_is_near_the_truth_for_every_form_of_formula(name):
    scm, estimand = random_discrete(GRAPHS[name], seed=4), ck.identify(GRAPHS[name], "y", "x")
    truth = evaluate(Probability(("y",), (), ("x",)), law(scm)).over("x", "y").array
    found = estimand.estimate(scm.sample(100_000, seed=0), {"x": 1}, bootstrap=20, seed=1)
    assert np.isclose(found.value, truth[1, 1], atol=0.02)
    assert np.allclose(found.table["probability"], truth[1], atol=0.02)
    assert (found.table["low"] <= found.table["high"]).all() and found.method == "plug-in"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_the_plug_in_of_an_exact_sample_is_the_formula(seed):
    """Rows in exact proportion to the joint: the estimate is the effect to the proportions' rounding."""
    scm = random_discrete(GRAPHS["back-door"], seed=seed)
    joint = law(scm)((), "")
    counts = np.round(joint.array * 1_000_000).astype(int).ravel()
    cells = np.array(list(np.ndindex(joint.array.shape)))
    frame = pd.DataFrame(np.repeat(cells, counts, axis=0), columns=list(joint.names))
    truth = evaluate(Probability(("y",), (), ("x",)), law(scm)).over("x", "y").array
    found = estimate(ck.identify(scm, "y", "x"), frame, {"x": 1}, versus={"x": 0}, bootstrap=0, seed=0)
    assert np.isclose(found.value, truth[1, 1] - truth[0, 1], atol=1e-4)


def test_plug_in_intervals_cover():
    scm = random_discrete(GRAPHS["front-door"], seed=2)
    truth = evaluate(Probability(("y",), (), ("x",)), law(scm)).over("x", "y").array
    estimand = ck.identify(scm, "y", "x")
    hits = 0
    for k in range(60):
        found = estimand.estimate(scm.sample(1000, seed=k), {"x": 1}, bootstrap=100, seed=k)
        hits += found.low <= truth[1, 1] <= found.high
    assert hits >= 50


def test_given_and_several_outcomes_on_discrete_data():
    scm = random_discrete(parse("z -> x -> y; z -> y; z -> w; y -> v"), seed=1)
    frame = scm.sample(50_000, seed=0)
    truth = evaluate(Probability(("y",), ("w",), ("x",)), law(scm)).over("x", "w", "y").array
    found = ck.identify(scm, "y", "x", given="w").estimate(frame, {"x": 1}, {"w": 0}, bootstrap=0, seed=0)
    assert np.isclose(found.value, truth[1, 0, 1], atol=0.02) and np.isnan(found.se)
    both = ck.identify(scm, ["y", "v"], "x").estimate(frame, {"x": 1}, bootstrap=10, seed=0)
    assert np.isnan(both.value) and both.table.index.names == ["y", "v"]
    assert np.isclose(both.table["probability"].sum(), 1.0)


@pytest.fixture(scope="module")
def straight():
    scm = ck.SCM({"z": ck.linear(), "x": ck.linear({"z": 0.5}), "y": ck.linear({"x": 2.0, "z": 3.0})})
    return scm, ck.identify(scm, "y", "x")


@pytest.mark.parametrize(
    ("method", "within"),
    [("auto", 0.15), ("regression", 0.15), ("linear", 0.1), ("weighting", 0.4), ("simulation", 0.15)],
)
def test_every_method_finds_a_linear_effect(straight, method, within):
    scm, estimand = straight
    found = estimate(
        estimand, scm.sample(1500, seed=3), {"x": 1.0}, versus={"x": 0.0}, method=method, bootstrap=10, seed=0
    )
    assert abs(found.value - 2.0) < within and found.low < found.high
    assert found.method == ("regression" if method == "auto" else method)


def _crooked(n, seed):
    """y has a curved surface, the effect of x is 1 + z^2: 2 on average. A line is wrong here."""
    draws = np.random.default_rng(seed)
    z = draws.normal(size=n)
    x = (draws.random(n) < 1 / (1 + np.exp(-1.2 * z))).astype(int)
    y = np.sin(2 * z) + x * (1 + z**2) + 2 * z + draws.normal(size=n)
    return pd.DataFrame({"z": z, "x": x, "y": y})


@pytest.mark.parametrize("method", ["doubly-robust", "regression", "weighting"])
def test_curved_surfaces_are_followed_where_a_line_is_wrong(method):
    estimand, frame = ck.identify(GRAPHS["back-door"], "y", "x"), _crooked(8000, 0)
    found = estimate(estimand, frame, {"x": 1}, versus={"x": 0}, method=method, bootstrap=5, seed=0)
    line = estimate(estimand, frame, {"x": 1}, versus={"x": 0}, method="linear", bootstrap=5, seed=0)
    assert abs(found.value - 2.0) < 0.12 < abs(line.value - 2.0)


def test_regression_intervals_cover():
    estimand, hits = ck.identify(GRAPHS["back-door"], "y", "x"), 0
    for k in range(40):
        frame = _crooked(800, k)
        hits += _covers(
            estimate(estimand, frame, {"x": 1}, versus={"x": 0}, method="regression", bootstrap=80, seed=k), 2.0
        )
    assert hits >= 32


def _covers(found, truth):
    return found.low <= truth <= found.high


def _front_door(n, seed):
    draws = np.random.default_rng(seed)
    u = draws.normal(size=n)
    x = u + draws.normal(size=n)
    m = np.tanh(x) + 0.8 * draws.normal(size=n)
    return pd.DataFrame({"x": x, "m": m, "y": 1.5 * m + 2 * u + draws.normal(size=n)})


def test_the_front_door_by_two_regressions():
    estimand, truth = ck.identify(GRAPHS["front-door"], "y", "x"), 1.5 * np.tanh(1.0)
    found = estimate(estimand, _front_door(4000, 0), {"x": 1.0}, versus={"x": 0.0}, bootstrap=20, seed=0)
    assert abs(found.value - truth) < 0.15 and found.method == "regression"
    line = estimate(estimand, _front_door(4000, 0), {"x": 1.0}, versus={"x": 0.0}, method="linear", bootstrap=5, seed=0)
    assert abs(line.value - truth) > 0.2


def test_front_door_intervals_cover():
    estimand, truth, hits = ck.identify(GRAPHS["front-door"], "y", "x"), 1.5 * np.tanh(1.0), 0
    for k in range(20):
        found = estimate(estimand, _front_door(600, k), {"x": 1.0}, versus={"x": 0.0}, bootstrap=40, seed=k)
        hits += _covers(found, truth)
    assert hits >= 15


def test_the_napkin_on_real_data_by_simulation():
    draws = np.random.default_rng(0)
    a, b, c, d, e, f = draws.normal(size=(6, 3000))
    w = a + b + 0.5 * c
    z = 0.5 * w + d
    x = z + a + e
    frame = pd.DataFrame({"w": w, "z": z, "x": x, "y": 1.5 * x + 2 * b + f})
    found = estimate(ck.identify(GRAPHS["napkin"], "y", "x"), frame, {"x": 1.0}, versus={"x": 0.0}, bootstrap=5, seed=0)
    assert abs(found.value - 1.5) < 0.15 and found.method == "simulation"
    assert abs(np.polyfit(x, frame["y"], 1)[0] - 1.5) > 0.2


def test_given_on_real_data(straight):
    scm = ck.SCM({"w": ck.linear(), "z": ck.linear({"w": 1.0}), "x": ck.linear({"z": 0.3}),
                  "y": ck.linear({"x": 2.0, "z": 3.0})})  # fmt: skip
    found = ck.identify(scm, "y", "x", given="w").estimate(
        scm.sample(3000, seed=0), {"x": 1.0}, {"w": 0.5}, bootstrap=10, seed=0
    )
    assert abs(found.value - (2.0 + 3 * 0.5)) < 0.3


def test_the_same_seed_gives_the_same_interval(straight):
    scm, estimand = straight
    one, two, other = (
        estimate(estimand, scm.sample(300, seed=0), {"x": 1.0}, method="linear", bootstrap=20, seed=s)
        for s in (1, 1, 2)
    )
    assert (one.low, one.high) == (two.low, two.high) != (other.low, other.high)
    assert str(one).startswith(f"{one.value:.4g} (95% interval")


def test_a_stratum_without_the_treatment_is_named():
    estimand, draws = ck.identify(GRAPHS["back-door"], "y", "x"), np.random.default_rng(0)
    z = draws.integers(0, 3, 500)
    x = np.where(z == 2, 0, draws.integers(0, 2, 500))
    frame = pd.DataFrame({"z": z, "x": x, "y": draws.integers(0, 2, 500)})
    with pytest.raises(PositivityError, match=r"no row has x = 1 where z = 2 \(\d+ of 500 rows\)"):
        estimand.estimate(frame, {"x": 1}, seed=0)
    assert 0 < estimand.estimate(frame, {"x": 0}, bootstrap=5, seed=0).value < 1
    z = draws.normal(size=2000)
    x = ((z + draws.normal(size=2000) > 0) & (z < 1.3)).astype(int)
    frame = pd.DataFrame({"z": z, "x": x, "y": z + x})
    with pytest.raises(PositivityError, match=r"no row has x = 1 where z > 1\.[23]"):
        estimand.estimate(frame, {"x": 1}, seed=0)
    assert estimand.estimate(frame, {"x": 1}, method="linear", bootstrap=5, seed=0).value > 0


@pytest.mark.parametrize(
    ("change", "do", "options", "message"),
    [
        ({"x": 0}, {"x": 0}, {}, "'x' is 0 in all 200 rows: without variation"),
        ({}, {"x": 2}, {}, "no row has that value; the data show 0, 1"),
        ({}, {"q": 1}, {}, "unknown variable in do 'q'"),
        ({}, {}, {}, "lacks a value of 'x'"),
        ({}, {"x": np.nan}, {}, "finite number"),
        ({}, {"x": "1"}, {}, "finite number"),
        ({}, {"x": 1}, {"bootstrap": -1}, "bootstrap = -1: give"),
        ({}, {"x": 1}, {"bootstrap": 2.5}, "bootstrap = 2.5: give"),
        ({}, {"x": 1}, {"method": "plug_in"}, "did you mean 'plug-in'"),
        ({}, {"x": 1}, {"method": "plug-in"}, "'y' is real"),
        ({}, {"x": 1}, {"level": 95}, "between 0 and 1"),
        ({}, {"x": 1}, {"versus": {"z": 0}}, "unknown variable in versus"),
        ({}, {"x": 1}, {"given": {"z": 0.0}}, "unknown variable in given"),
        ({"y": np.nan}, {"x": 1}, {}, "NaN or infinite"),
        ({"x": np.linspace(0, 1, 200)}, {"x": 0.5}, {"method": "doubly-robust"}, "does not fit a back-door formula"),
        ({"x": np.linspace(0, 1, 200)}, {"x": 7.0}, {}, "outside of the data"),
    ],
)
def test_bad_input_is_named(change, do, options, message):
    estimand, frame = ck.identify(GRAPHS["back-door"], "y", "x"), _crooked(200, 1).assign(**change)
    with pytest.raises(ValueError, match=message):
        estimate(estimand, frame, do, options.pop("given", None), **({"bootstrap": 5} | options), seed=0)


def test_a_missing_column_and_too_few_rows():
    estimand, frame = ck.identify(GRAPHS["back-door"], "y", "x"), _crooked(200, 1)
    with pytest.raises(ValueError, match="unknown column 'z'"):
        estimate(estimand, frame[["x", "y"]], {"x": 1}, seed=0)
    with pytest.raises(ValueError, match="at least 10"):
        estimate(estimand, frame.head(5), {"x": 1}, seed=0)
    with pytest.raises(ValueError, match="one population"):
        estimate(estimand, {"lab": frame}, {"x": 1}, seed=0)


def test_a_value_in_the_tail_of_the_treatment_is_refused_from_both_sides():
    scm = ck.SCM({"z": ck.linear(), "t": ck.linear({"z": 1.0}), "y": ck.linear({"t": 1.0, "z": 2.0})})
    estimand, frame = ck.identify(scm, "y", "t"), scm.sample(2000, seed=0)
    for value in (-4.0, -3.0, 3.0, 4.0):
        with pytest.raises(PositivityError, match=r"near -?[34]"):
            estimand.estimate(frame, do={"t": value}, bootstrap=2, seed=0)
        assert abs(estimand.estimate(frame, do={"t": value}, method="linear", bootstrap=2, seed=0).value - value) < 0.5


@pytest.mark.parametrize("method", ["auto", "regression", "weighting", "linear", "simulation"])
def test_several_discrete_outcomes_beside_real_variables(method):
    """The levels' probabilities add up, and their margin is the estimate of one outcome alone."""
    graph = parse("z -> x, y, w; x -> y, w")
    frame = random_discrete(graph, seed=0).sample(1000, seed=1)
    frame["z"] = frame["z"] + np.random.default_rng(0).normal(scale=0.3, size=1000)
    found = ck.identify(graph, ["w", "y"], "x").estimate(frame, {"x": 1}, method=method, bootstrap=10, seed=0)
    alone = ck.identify(graph, "y", "x").estimate(frame, {"x": 1}, method=method, bootstrap=10, seed=0)
    assert np.isnan(found.value) and np.isclose(found.table["probability"].sum(), 1.0, atol=0.02)
    assert np.isclose(found.table["probability"].xs(1, level="y").sum(), alone.value, atol=0.05)
    assert (found.table["low"] < found.table["high"]).all()


def test_the_empty_stratum_that_is_named_occurs_with_what_is_given():
    draws, n = np.random.default_rng(0), 600
    g, x, y = draws.integers(0, 2, (3, n))
    z = g + draws.integers(0, 2, n)  # 0 or 1 where g = 0, 1 or 2 where g = 1
    x[(g == 1) & (z == 2)] = 0
    estimand = ck.identify(parse("g -> z, x, y; z -> x, y; x -> y"), "y", "x", given="g")
    with pytest.raises(PositivityError, match="no row has x = 1, g = 1 where z = 2"):
        estimand.estimate(pd.DataFrame({"g": g, "z": z, "x": x, "y": y}), {"x": 1}, {"g": 1}, bootstrap=5, seed=0)


def test_codes_that_are_typed_as_reals_are_pointed_out():
    frame = _crooked(200, 1)
    estimand = ck.identify(GRAPHS["back-door"], "y", "x")
    assert "astype" not in estimand.estimate(frame, {"x": 1}, bootstrap=5, seed=0).note
    found = estimand.estimate(frame.astype({"x": float}), {"x": 1}, bootstrap=5, seed=0)
    assert found.note.startswith("x taken as real")
