"""What fit_scm refuses: each named, with the remedy."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.estimation import fit_scm

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
