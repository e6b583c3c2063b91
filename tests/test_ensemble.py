"""Ensembles: coverage of the truth, the graph's share, discrete variables, bad input (the sums: test_spread)."""

import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

import causalkit as ck
from causalkit.estimation import Ensemble, fit_ensemble

PAIR = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
OPEN = ck.graphs.cpdag(PAIR.graph)
LINEAR = {"mechanism": "linear", "seed": 0}


# fitted ensembles


@pytest.fixture(scope="module")
def fitted():
    return fit_ensemble(OPEN, PAIR.sample(400, seed=0), **LINEAR)


def test_where_the_graph_alone_decides_its_share_is_near_one(fitted):
    """Under x -> y, y follows do(x); under y -> x it stays. The rows hardly move either answer."""
    unit = pd.DataFrame({"x": [0.0, 1.0], "y": [0.5, -1.0]})
    found = fitted.counterfactual(unit, {"x": 2.0}).set_index(["row", "variable"])
    assert (found.loc[(slice(None), "y"), "graph_share"] > 0.95).all()
    for row, (follows, stays) in enumerate([(2.5, 0.5), (0.0, -1.0)]):
        one = found.loc[(row, "y")]
        assert one["mean"] == pytest.approx((follows + stays) / 2, abs=0.1)
        assert one["low"] < min(follows, stays) + 0.1 and one["high"] > max(follows, stays) - 0.1
        assert one["factual"] == stays
    set_ = found.loc[(slice(None), "x"), :]
    assert (set_["mean"] == 2).all() and (set_["sd"] == 0).all() and set_["graph_share"].isna().all()
    effect = fitted.effect({"x": 2.0}, seed=0, n=2000)
    assert list(effect.index) == ["y"] and effect.loc["y", "graph_share"] > 0.9


def test_where_the_graphs_agree_their_share_is_small():
    """x -> y is all that the two graphs share; the edge that differs has no weight on what is asked."""
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "a": ck.linear(), "b": ck.linear({"a": 1.0})})
    graphs = [ck.graphs.parse("x -> y; a -> b"), ck.graphs.parse("x -> y; b -> a")]
    ensemble = fit_ensemble(graphs, scm.sample(300, seed=0), mechanism="linear", members=20, seed=0)
    found = ensemble.counterfactual(scm.sample(50, seed=1), {"x": 1.0}).query("variable == 'y'")
    assert found["graph_share"].median() < 0.1
    assert ensemble.effect({"x": 1.0}, "y", n=500, seed=0).loc["y", "graph_share"] < 0.3


def test_members_are_counted_graph_by_graph(fitted):
    assert isinstance(fitted, Ensemble) and len(fitted.members) == 10 and fitted.weights == (0.5, 0.5)
    for k, scm in enumerate(fitted.members):
        assert set(scm.graph.edges) == set(fitted.graphs[k // 5].edges)
    assert repr(fitted) == "Ensemble(10 members over 2 graphs)"
    slopes = {scm.mechanisms["y"].function.weights for scm in fitted.members[:5]}
    assert len(slopes) == 5  # each has rows of its own


def test_equal_graphs_are_fitted_once_and_weigh_more():
    x_y, y_x = PAIR.graph, ck.graphs.parse("y -> x")
    frame = PAIR.sample(100, seed=0)
    ensemble = fit_ensemble([x_y, y_x, x_y], frame, members=2, **LINEAR)
    assert ensemble.weights == pytest.approx((2 / 3, 1 / 3)) and len(ensemble.members) == 4
    weighed = fit_ensemble([x_y, y_x], frame, members=2, weights=[30, 0], **LINEAR)
    assert weighed.weights == (1.0,) and len(weighed.graphs) == 1


@pytest.fixture(scope="module")
def coverage():
    """Over 120 data sets: how often 80% intervals hold E[y | do(x = 1)] and E[z | do(x = 1)]."""
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"x": 0.5, "y": -1.0})})
    truth, held = {"y": 1.0, "z": -0.5}, []
    for seed in range(120):
        ensemble = fit_ensemble(scm.graph, scm.sample(100, seed=seed), mechanism="linear", noise="gaussian", seed=seed)
        found = ensemble.effect({"x": 1.0}, ["y", "z"], n=2000, level=0.8, seed=seed)
        held.append([found.loc[v, "low"] < truth[v] < found.loc[v, "high"] for v in truth])
    return np.array(held).sum(0)


@pytest.mark.parametrize("outcome", [0, 1])
def test_intervals_of_do_means_cover_as_often_as_they_say(coverage, outcome):
    assert 1e-3 < binom.cdf(coverage[outcome], 120, 0.8) < 1 - 1e-3


@pytest.mark.parametrize("resample", [True, "half"])
def test_the_sd_of_a_counterfactual_is_the_standard_error_of_the_slope(resample):
    """It would be that of the slope times the way from 0 to 2, under both ways of drawing rows anew."""
    frame = PAIR.sample(400, seed=5)
    ensemble = fit_ensemble(PAIR.graph, frame, mechanism="linear", members=40, resample=resample, seed=0)
    unit = pd.DataFrame({"x": [0.0], "y": [0.5]})
    found = ensemble.counterfactual(unit, {"x": 2.0}).set_index("variable").loc["y"]
    slope, error = np.polyfit(frame["x"], frame["y"], 1)[0], 1 / (frame["x"].std() * 400**0.5)
    assert found["mean"] == pytest.approx(0.5 + 2 * slope, abs=0.05)
    assert found["sd"] == pytest.approx(2 * error, rel=0.35)
    assert found["low"] == pytest.approx(found["mean"] + norm.ppf(0.05) * found["sd"], abs=0.02)


def test_against_another_intervention_noise_is_shared():
    frame = PAIR.sample(400, seed=0)
    ensemble = fit_ensemble(PAIR.graph, frame, **LINEAR)
    slopes = [scm.mechanisms["y"].function.weights[0] for scm in ensemble.members]
    found = ensemble.effect({"x": 1.0}, "y", against={"x": -1.0}, n=100, seed=0).loc["y"]
    assert found["mean"] == pytest.approx(2 * np.mean(slopes)) and found["sd"] == pytest.approx(
        2 * np.std(slopes, ddof=1)
    )
    plain = ensemble.effect({}, n=500, seed=0)
    assert list(plain.index) == ["x", "y"] and plain["mean"].abs().max() < 0.3


def test_without_resampling_least_squares_does_not_vary():
    ensemble = fit_ensemble(PAIR.graph, PAIR.sample(100, seed=0), resample=False, members=2, **LINEAR)
    found = ensemble.counterfactual(PAIR.sample(3, seed=1), {"x": 1.0})
    assert (found["sd"] == 0).all() and found["graph_share"].isna().all()


def test_same_seed_same_ensemble():
    frame, new = PAIR.sample(100, seed=0), PAIR.sample(3, seed=1)
    one, two = (fit_ensemble(OPEN, frame, members=2, **LINEAR).counterfactual(new, {"x": 1.0}) for _ in range(2))
    assert one.equals(two)


def test_one_value_a_row_and_the_index_of_the_frame(fitted):
    units = PAIR.sample(3, seed=2).set_axis(["ann", "bob", "cleo"])
    found = fitted.counterfactual(units, {"x": np.array([0.0, 1.0, 2.0])})
    assert found.query("variable == 'x'")["mean"].tolist() == [0, 1, 2]
    assert found["row"].tolist() == ["ann", "ann", "bob", "bob", "cleo", "cleo"]
    columns = ["row", "variable", "factual", "mean", "low", "high", "sd", "graph_share"]
    assert list(found.columns) == columns and found["factual"].tolist() == units.to_numpy().ravel().tolist()


def test_discrete_variables_give_a_probability_and_rare_codes_stay_known():
    scm = ck.SCM({"x": ck.linear(), "k": ck.logistic({"x": 2.0}, intercept=-1.0)})
    frame = scm.sample(300, seed=0)
    ensemble = fit_ensemble(scm.graph, frame, mechanism={"x": "linear", "k": "categorical"}, seed=0)
    units = pd.DataFrame({"x": [-1.0, 0.0], "k": [0, 1]})
    found = ensemble.counterfactual(units, {"x": 2.0}, seed=1).query("variable == 'k'")
    assert found["mean"].iloc[0] > 0.9 and found["mean"].iloc[1] == 1  # stability: what was 1 stays so as odds rise
    with pytest.raises(ValueError, match="give a seed"):
        ensemble.counterfactual(units, {"x": 2.0})
    rare = frame.assign(k=[2] + [0, 1] * 149 + [0])
    many = fit_ensemble(ck.graphs.dag([], ["x", "k"]), rare, mechanism={"x": "linear", "k": "categorical"}, seed=0)
    assert {scm.mechanisms["k"].levels for scm in many.members} == {3}


def test_learners_are_chosen_once_for_each_variable_and_its_parents(monkeypatch):
    """x - y - z has three DAGs, in which x and z have two sets of parents each, and y three."""
    asked = []

    def fit(graph, frame, *, mechanism, seed):
        asked.append((set(graph.edges), mechanism))
        return ck.fit_scm(graph, frame, mechanism=mechanism, seed=seed)

    monkeypatch.setattr("causalkit.estimation.ensemble.fit_scm", fit)
    line = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
    frame = line.sample(200, seed=0)
    ensemble = fit_ensemble(ck.graphs.cpdag(line.graph), frame, mechanism="additive", members=2, seed=0)
    choices = [new for k, new in enumerate(asked) if k % 3 == 0]
    assert len(asked) == 9 and [list(names.values()).count("additive") for _, names in choices] == [3, 2, 2]
    for edges, names in choices:
        assert edges and all(names[b] == "additive" for _, b in edges)
    assert all(set(asked[k + 1][0]) == set(ensemble.graphs[k // 3].edges) for k in (0, 3, 6))
    assert all(names["x"] == "linear" for k, (_, names) in enumerate(asked) if k % 3)  # it has no parents, or a line


def test_curves_are_followed():
    curve = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: 2 * x[:, 0].sin(), scale=0.3)})
    ensemble = fit_ensemble(
        curve.graph, curve.sample(300, seed=0), mechanism={"x": "linear", "y": "additive"}, members=2, seed=0
    )
    new = curve.sample(100, seed=1)
    found = ensemble.counterfactual(new, {"x": 1.0}).query("variable == 'y'")["mean"].to_numpy()
    truth = curve.counterfactual(new, {"x": 1.0})["y"].to_numpy()
    assert np.abs(found - truth).mean() < 0.25


def test_beyond_the_data_is_warned_of_once(fitted):
    with pytest.warns(UserWarning, match=r"in the ensemble: do\(x = 50\)") as caught:
        fitted.counterfactual(PAIR.sample(2, seed=0), {"x": 50.0})
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.counterfactual(PAIR.sample(2, seed=0), {"x": 0.5})


# bad input


@pytest.mark.parametrize(
    ("graphs", "options", "message"),
    [
        (PAIR.graph, {"members": 1}, "members = 1: at least 2"),
        (PAIR.graph, {"members": 2.0}, "members = 2.0"),
        ([], {}, "no graph"),
        ([PAIR.graph, ck.graphs.parse("x -> y; z -> y")], {}, "different variables: z"),
        ([OPEN], {}, "leaves edges undirected: x - y"),
        (OPEN, {"limit": 1}, "more than 1 DAGs"),
        ([PAIR.graph, ck.graphs.parse("y -> x")], {"limit": 1}, "2 different graphs"),
        (OPEN, {"weights": [0.5, 0.5]}, "weights belong to a list"),
        ([PAIR.graph], {"weights": [0.5, 0.5]}, "for 1 graphs"),
        ([PAIR.graph], {"weights": [-1.0]}, "none of them below 0"),
        ([PAIR.graph], {"weights": [0.0]}, "none of them below 0"),
        ([PAIR.graph], {"weights": [np.nan]}, "weights"),
        (nx.DiGraph([("x", "y")], kind="pag"), {}, "PAG"),
        (ck.graphs.parse("x -> yy"), {}, "unknown column 'yy'; did you mean 'y'"),
        (PAIR.graph, {"mechanism": "liner"}, "did you mean 'linear'"),
        ("x -> y", {}, "graph"),
        (PAIR.graph, {"resample": "third"}, "resample = 'third'"),
    ],
)
def test_ensembles_that_cannot_be(graphs, options, message):
    with pytest.raises(ValueError, match=message):
        fit_ensemble(graphs, PAIR.sample(50, seed=0), **{**LINEAR, **options})


@pytest.mark.parametrize("level", [0.0, 1.0, 90, -0.5])
def test_levels_that_are_none(fitted, level):
    with pytest.raises(ValueError, match="level"):
        fitted.counterfactual(PAIR.sample(2, seed=0), {"x": 0.0}, level=level)
    with pytest.raises(ValueError, match="level"):
        fitted.effect({"x": 0.0}, level=level, seed=0)


def test_questions_that_cannot_be_asked(fitted):
    with pytest.raises(ValueError, match=r"unknown outcome 'yy'; did you mean 'y'"):
        fitted.effect({"x": 0.0}, "yy", seed=0)
    with pytest.raises(ValueError, match="unknown variable 'z'"):
        fitted.counterfactual(PAIR.sample(2, seed=0), {"z": 0.0})
    with pytest.raises(ValueError, match="unknown column 'y'"):
        fitted.counterfactual(PAIR.sample(2, seed=0)[["x"]], {"x": 0.0})
    with pytest.raises(ValueError, match="draws = 0"):
        fitted.counterfactual(PAIR.sample(2, seed=0), {"x": 0.0}, draws=0)


def test_the_members_share_the_regression_that_was_chosen():
    scm = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: (2 * x[:, 0]).sin(), scale=0.3)})
    several = ck.fit_ensemble(scm.graph, scm.sample(200, seed=0), mechanism="additive", members=4, seed=1)
    assert len({m.fitted.table.loc["y", "mechanism"] for m in several.members}) == 1
    alone = ck.fit_scm(scm.graph, scm.sample(200, seed=0), mechanism={"x": "linear", "y": "bumps"}, seed=0)
    assert alone.fitted.table.loc["y", "mechanism"] == "bumps"
