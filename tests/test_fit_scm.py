"""fit_scm: laws of what it learns, oracles for each mechanism, and each bad input by name."""

import pickle
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import causalkit as ck
from causalkit.estimation import FITS, LEARNERS, REGRESSIONS, ExtrapolationWarning, LearnedSCM, fit_scm
from causalkit.estimation.regressions import law_of, simplest
from causalkit.mechanisms import Empirical, Noise, Table, softmax, table
from causalkit.mechanisms.empirical import Shape

QUICK = ["linear", "mlp", "splines", "bumps", "boosting"]


@pytest.fixture(autouse=True)
def each_regression(monkeypatch):
    for name in REGRESSIONS:
        monkeypatch.setitem(FITS, name, ((name,),))


def learned(seed, size, kind, noise, discrete):
    """A random SCM, rows of it, some cut into two levels, and what is learned from them, a regression a variable."""
    scm = ck.random_scm(size, degree=2.0, mechanism=kind, noise=noise, seed=seed)
    frame = scm.sample(120, seed=seed)
    for name in scm.variables[-discrete:] if discrete else ():
        frame[name] = (frame[name] > frame[name].median()).astype(int)
    fits = {v: "categorical" if frame[v].dtype.kind == "i" else QUICK[(seed + i) % 5] for i, v in enumerate(frame)}
    return fit_scm(scm.graph, frame, mechanism=fits, seed=seed), frame


@settings(max_examples=15)
@given(
    st.integers(0, 1000),
    st.integers(3, 5),
    st.sampled_from(["linear", "mlp"]),
    st.sampled_from(["gaussian", "exponential"]),
    st.integers(0, 2),
    st.integers(0, 4),
)
def test_a_learned_scm_keeps_the_axioms(seed, size, kind, noise, discrete, place):
    scm, frame = learned(seed, size, kind, noise, discrete)
    noise = scm.abduct(frame, seed=1)
    unit = frame.std(ddof=0)
    assert ((scm.push(noise) - frame).abs().max() <= 1e-9 * unit).all()
    name = scm.variables[place % size]
    value = float(frame[name].iloc[3])
    twin = scm.counterfactual(frame, {name: value}, seed=1)
    assert (twin[name] == value).all()
    others = [v for v in scm.variables if v not in nx.descendants(scm.graph, name) | {name}]
    alone = scm.push(noise)
    assert twin[others].equals(alone[others])  # bit for bit
    kept = scm.counterfactual(frame, {name: frame[name]}, seed=1)
    assert ((kept - frame).abs().max() <= 1e-9 * unit).all()


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_log_prob_of_linear_is_the_sum_of_normal_densities(seed):
    scm = ck.random_scm(4, degree=2.0, seed=seed)
    frame = scm.sample(100, seed=seed)
    total = np.zeros(100)
    for v in scm.variables:
        parents = list(scm.graph.predecessors(v))
        design = np.column_stack([frame[parents], np.ones(100)])
        rest = frame[v] - design @ np.linalg.lstsq(design, frame[v], rcond=None)[0]
        total += norm.logpdf(rest, scale=rest.std(ddof=0))
    assert np.allclose(fit_scm(scm.graph, frame, noise="gaussian", seed=0).log_prob(frame), total)


@pytest.mark.parametrize("shift", ["covariate", "concept", "spurious"])
def test_a_learned_scm_can_be_shifted_compared_and_pickled(shift):
    truth = ck.teaching_scm(noise="exponential")
    scm = fit_scm(truth.graph, truth.sample(2000, seed=0), mechanism="mlp", seed=0)
    assert isinstance(scm.mechanisms["y"].noise, Empirical)
    moved = ck.SHIFTS[shift]("y", strength=0.5)(scm)
    assert isinstance(moved, LearnedSCM) and moved.report is scm.report
    assert not moved.sample(100, seed=1).equals(scm.sample(100, seed=1))
    again = pickle.loads(pickle.dumps(scm))
    frame = truth.sample(50, seed=3)
    assert again.counterfactual(frame, {"x1": 0.5}).equals(scm.counterfactual(frame, {"x1": 0.5}))
    assert again.graph.edges == scm.graph.edges and dict(again.ranges) == dict(scm.ranges)
    assert ck.compare(scm.graph, truth.graph)["shd"] == 0


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


def test_tables_are_counts_with_half_a_row_more_a_cell():
    truth = ck.SCM({"a": table({}, [0.5, 0.3, 0.2]), "b": table({"a": 3}, [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])})
    frame = truth.sample(2000, seed=0)
    scm = fit_scm(truth.graph, frame, seed=0)
    counts = pd.crosstab(frame["a"], frame["b"]).to_numpy() + 0.5
    assert isinstance(scm.mechanisms["b"], Table)
    assert np.allclose(scm.mechanisms["b"].log_table.exp(), counts / counts.sum(1, keepdims=True))
    assert scm.sample(5, seed=0).dtypes.eq(np.int64).all()
    with pytest.raises(ValueError, match=r"do\(a = \.\.\.\)"):
        scm.do({"a": 3})


def test_a_level_that_occurs_once_is_learned_from():
    frame = pd.DataFrame({"a": [0, 1] * 99 + [0, 2], "y": np.random.default_rng(0).standard_normal(200)})
    scm = fit_scm(ck.graphs.parse("a -> y"), frame, mechanism="auto", seed=0)
    assert scm.mechanisms["a"].levels == 3 and np.isfinite(scm.log_prob(frame)).all()
    assert np.isfinite(scm.do({"a": 2}).sample(10, seed=0)["y"]).all()


def test_softmax_of_real_and_discrete_parents_comes_near_the_truth():
    slopes = {"x": [0.0, 1.0, -1.0], "k": [0.0, 0.5, 1.0]}
    truth = ck.SCM({"x": ck.linear(), "k": ck.logistic(), "c": softmax(slopes, [0.0, 0.2, 0.1])})
    frame = truth.sample(10_000, seed=0)
    scm = fit_scm(truth.graph, frame, mechanism={"x": "linear", "k": "categorical", "c": "categorical"}, seed=0)
    assert scm.fitted.table["mechanism"].to_dict() == {"x": "linear", "k": "table", "c": "softmax"}
    new = truth.sample(5000, seed=1)
    assert abs((truth.log_prob(new) - scm.log_prob(new)).mean()) < 0.002
    up = ck.shifts.soft("c", strength=1.0)(scm).sample(5000, seed=2)["c"].mean()
    assert up > scm.sample(5000, seed=2)["c"].mean() + 0.1
    deaf = scm.mechanisms["c"].with_gain({"x": 0.0, "k": 0.0}, {"x": 1.0, "k": 1.0})
    anywhere = torch.tensor([[-3.0, 0.0], [1.0, 1.0]]).double()
    assert torch.allclose(deaf.log_probs(anywhere)[0], scm.mechanisms["c"].log_probs(anywhere)[1])


def test_a_network_is_taken_where_odds_bend():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3000)
    frame = pd.DataFrame({"x": x, "c": (rng.random(3000) < np.where(abs(x) > 0.7, 0.9, 0.1)).astype(int)})
    assert fit_scm(ck.graphs.parse("x -> c"), frame, seed=0).fitted.table.loc["c", "mechanism"] == "network"


def test_many_cells_get_a_softmax_in_place_of_a_table():
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 3, (300, 5)), columns=list("abcde"))
    scm = fit_scm(ck.graphs.parse("a, b, c, d -> e"), frame, seed=0)
    assert scm.fitted.table.loc["e", "mechanism"] in ("softmax", "network")
    assert dict(scm.mechanisms["e"].parent_levels) == {"a": 3, "b": 3, "c": 3, "d": 3}


def test_additive_takes_the_line_where_it_is_straight_and_bends_where_not():
    truth = ck.SCM(
        {
            "x": ck.linear(),
            "y": ck.linear({"x": 2.0}),
            "z": ck.additive(["x", "y"], lambda v: v[:, 0] * v[:, 1], scale=0.3),
        }
    )
    frame, new = truth.sample(1000, seed=0), truth.sample(200, seed=1)
    scm = fit_scm(truth.graph, frame, mechanism="additive", seed=0)
    taken = scm.fitted.table["mechanism"]
    assert taken["x"] == taken["y"] == "linear" and taken["z"] not in ("linear", "splines")
    error = (scm.counterfactual(new, {"x": 1.0}) - truth.counterfactual(new, {"x": 1.0}))["z"].abs().mean()
    assert error < 0.2


@pytest.mark.parametrize("name", REGRESSIONS)
def test_every_regression_finds_a_smooth_function_and_takes_a_constant_parent(name):
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.standard_normal(800), np.ones(800)])
    y = (x[:, 0] if name == "linear" else np.sin(2 * x[:, 0])) + 0.1 * rng.standard_normal(800)
    f = REGRESSIONS[name](x, y, 0)
    assert float((f(torch.from_numpy(x)) - torch.from_numpy(y)).std()) < 0.2
    assert torch.equal(f(torch.from_numpy(x)), pickle.loads(pickle.dumps(f))(torch.from_numpy(x)))


def test_a_discrete_cause_moves_a_real_effect_by_level_not_by_code():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 2000)
    frame = pd.DataFrame({"a": a, "y": np.array([0.0, 5.0, 1.0])[a] + rng.standard_normal(2000)})
    scm = fit_scm(ck.graphs.parse("a -> y"), frame, seed=0)
    means = [scm.do({"a": k}).sample(4000, seed=1)["y"].mean() for k in range(3)]
    assert np.allclose(means, frame.groupby("a")["y"].mean(), atol=0.06)


def test_auto_works_for_200_mixed_rows_and_mixes_by_name():
    truth = ck.SCM({"x": ck.linear(), "k": ck.logistic({"x": 1.0}), "y": ck.linear({"x": 1.0, "k": 1.0})})
    frame = truth.sample(200, seed=0)
    scm = fit_scm(truth.graph, frame, mechanism="auto", seed=0)
    assert scm.fitted.table["mechanism"].to_dict() == {"x": "linear", "k": "softmax", "y": "linear"}
    assert scm.fitted.table["log_likelihood"].between(-3, 0).all()
    mixed = fit_scm(truth.graph, frame, mechanism={"x": "linear", "k": "auto", "y": "mlp"}, seed=0)
    assert mixed.fitted.table["mechanism"].to_dict() == {"x": "linear", "k": "softmax", "y": "mlp"}


def test_below_50_rows_nothing_is_held_out():
    truth = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    scm = fit_scm(truth.graph, truth.sample(49, seed=0), mechanism="auto", seed=0)
    assert scm.fitted.table["log_likelihood"].isna().all() and (scm.fitted.table["mechanism"] == "linear").all()


def test_held_out_likelihood_is_that_of_rows_not_used():
    """A learner that learns rows by heart is not taken."""
    truth = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    frame = truth.sample(500, seed=0)
    scores = []
    for n in (500, 200):
        scores.append(fit_scm(truth.graph, frame.head(n), seed=0).fitted.table.loc["y", "log_likelihood"])
    assert np.allclose(scores, -0.5 * np.log(2 * np.pi * np.e), atol=0.25)


def test_the_rule_of_one_standard_error():
    same = {k: torch.tensor([0.0, 1.0, 2.0]) + v for k, v in {"a": 0.0, "b": 0.0, "c": 0.1}.items()}
    assert simplest(same, (("a",), ("b",), ("c",))) == "c"  # a gain that is the same in each row is certain
    noisy = {"a": torch.tensor([0.0, 0.0]), "b": torch.tensor([1.0, -0.9])}
    assert simplest(noisy, (("a",), ("b",))) == "a" and simplest(noisy, (("a", "b"),)) == "b"
    broken = {"a": torch.tensor([0.0, -torch.inf]), "b": torch.tensor([-9.0, -9.0])}
    assert simplest(broken, (("a",), ("b",))) == "b"


def test_do_warns_outside_the_data_alone():
    truth = ck.SCM({"x": ck.linear(), "k": ck.logistic({"x": 1.0}), "y": ck.linear({"x": 1.0, "k": 1.0})})
    frame = truth.sample(200, seed=0)
    scm = fit_scm(truth.graph, frame, seed=0)
    low, high = scm.ranges["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside = scm.do({"x": high, "k": 1}).do({"x": frame["x"]})
        scm.counterfactual(frame, {"x": low}, seed=0)
    for values in ({"x": high + 0.01}, {"x": np.where(frame["x"] == low, low - 1, frame["x"])}):
        with pytest.warns(ExtrapolationWarning, match=rf"do\(x = .*from {low:.4g} to {high:.4g}"):
            inside.do(values)
    with pytest.warns(ExtrapolationWarning):
        scm.counterfactual(frame, {"x": low - 1}, seed=0)
    with pytest.raises(ValueError, match="did you mean 'x'"):
        scm.do({"xx": 0.0})


def test_the_report_is_of_the_fit_and_says_what_diagnose_says():
    truth = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    scm = fit_scm(truth.graph, truth.sample(500, seed=0), seed=0)
    assert list(scm.report.columns[:3]) == ["mechanism", "noise", "log_likelihood"]
    assert {"hsic_p", "pit_p", "dependence_p"} <= set(scm.report.columns)
    assert scm.do({"x": 0.0}).report is scm.report


CPDAG, PAG = ck.graphs.cpdag(ck.graphs.parse("x -> y -> z")), nx.DiGraph([("x", "y")], kind="pag")
EDGE = ck.graphs.parse("x -> y")


@pytest.mark.parametrize(
    ("graph", "change", "options", "message"),
    [
        (CPDAG, {}, {}, r"undirected: x - y, y - z.*orient.*Knowledge.*environments.*consistent_dags.*fit_ensemble"),
        (PAG, {}, {}, "not a PAG"),
        (nx.DiGraph([("x", "y"), ("y", "x")]), {}, {}, "cycle, x -> y -> x"),
        (nx.Graph([("x", "y")]), {}, {}, "expected a networkx.DiGraph"),
        (nx.DiGraph(), {}, {}, "no variables"),
        (ck.graphs.parse("x -> y; x <-> y"), {}, {}, "hidden variable 'u_x_y'.*identify"),
        (ck.graphs.parse("w -> y"), {}, {}, "unknown column 'w'"),
        (EDGE, {"x": 1.0}, {}, "'x', a parent of 'y', is constant"),
        (EDGE, {"x": 0}, {}, "'x', a parent of 'y', is constant"),
        (EDGE, {"y": np.inf}, {}, "infinite"),
        (EDGE, {"y": [str(i) for i in range(50)]}, {}, "not numeric"),
        (EDGE, {"y": [0, 2] * 25}, {}, r"integers 0, 2, .*without gaps.*cat\.codes.*astype\({'y': float}\)"),
        (EDGE, {"y": [-1, 0] * 25}, {}, "integers -1, 0"),
        (EDGE, {"y": range(50)}, {}, r"50 different ones, more than 20.*astype\({'y': float}\)"),
        (EDGE, {"y": [0, 1] * 25}, {"mechanism": {"x": "linear", "y": "flow"}}, "'y' holds integers.*cannot be 'flow'"),
        (EDGE, {}, {"mechanism": "categorical"}, r"'x' holds real numbers.*astype\({'x': int}\)"),
        (EDGE, {}, {"mechanism": {"x": "linear"}}, "says nothing of 'y'"),
        (EDGE, {}, {"mechanism": {"x": "linear", "y": "mlp", "q": "mlp"}}, "unknown variable of the graph 'q'"),
        (EDGE, {}, {"mechanism": {"x": "linear", "y": "mpl"}}, "did you mean 'mlp'"),
        (EDGE, {}, {"mechanism": "flow", "noise": "gaussian"}, "'flow' .*learns the noise"),
        (EDGE, {}, {"noise": "gausian"}, "did you mean 'gaussian'"),
    ],
)
def test_bad_input_is_named_with_the_remedy(graph, change, options, message):
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear()})
    with pytest.raises(ValueError, match=message):
        fit_scm(graph, scm.sample(50, seed=0).assign(**change), seed=0, **options)


def test_fewer_rows_than_parameters_are_counted():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((12, 13)), columns=[f"x{i}" for i in range(13)])
    graph = nx.DiGraph([(f"x{i}", "x12") for i in range(12)])
    with pytest.raises(ValueError, match="'x12' has 12 parents and so at least 14 parameters, and there are 12 rows"):
        fit_scm(graph, frame, seed=0)
    codes = pd.DataFrame({"a": np.arange(12) % 4, "b": np.arange(12) % 3, "c": np.arange(12) // 3})
    with pytest.raises(ValueError, match="'c' has 2 parents and so at least 19 parameters, and there are 12 rows"):
        fit_scm(ck.graphs.parse("a, b -> c"), codes, seed=0)


def test_an_exact_function_of_discrete_and_real_parents_is_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 3, 100), "x": rng.standard_normal(100)})
    frame["y"] = np.array([0.0, 7.0, 1.0])[frame["a"]] - 2 * frame["x"]
    with pytest.raises(ValueError, match=r"'y' is an exact function of its parents \['a', 'x'\]"):
        fit_scm(ck.graphs.parse("a, x -> y"), frame, seed=0)


def test_the_catalogues_agree():
    assert {k for steps in FITS.values() for step in steps for k in step} <= set(LEARNERS)
    assert {"linear", "mlp", "additive", "location_scale", "flow", "categorical", "vae", "auto"} <= set(FITS)
