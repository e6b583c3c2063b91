"""The data that ship: cells a condition, what the experiments did to them, and the teaching SCM."""

import numpy as np
import pandas as pd
import pytest

from causalkit.datasets import SACHS_EXPERIMENTS, load_sachs, teaching_scm
from causalkit.graphs import check_dag, children_of, cpdag, undirected_edges

COUNTS = [853, 902, 911, 723, 810, 799, 848, 913, 707]


@pytest.fixture(scope="module")
def sachs():
    return load_sachs()


def median(sachs, condition, node):
    return next(e.frame[node].median() for e in sachs[0] if e.name == condition)


def test_every_cell_of_every_condition_is_there(sachs, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", None)  # a download would fail
    environments, graph = load_sachs()
    assert [e.name for e in environments] == list(SACHS_EXPERIMENTS)
    assert [len(e.frame) for e in environments] == COUNTS and sum(COUNTS) == 7466
    for environment in environments:
        assert list(environment.frame.columns) == list(graph.nodes)
        assert list(environment.frame.index) == list(range(len(environment.frame)))
        assert (environment.frame.dtypes == np.float64).all() and np.isfinite(environment.frame).all(axis=None)


def test_the_consensus_has_its_17_edges(sachs):
    graph = check_dag(sachs[1])
    assert graph.graph["kind"] == "dag" and graph.number_of_edges() == 17 and len(graph) == 11
    assert set(children_of(graph, "PKA")) == {"Akt", "Erk", "Jnk", "Mek", "P38", "Raf"}
    assert set(children_of(graph, "PKC")) == {"Jnk", "Mek", "P38", "PKA", "Raf"}
    assert {("Raf", "Mek"), ("Mek", "Erk"), ("Erk", "Akt"), ("Plcg", "PIP3"), ("PIP3", "PIP2")} <= set(graph.edges)


def test_values_are_logs_of_the_fluorescence(sachs):
    raw = load_sachs(log=False)[0][0].frame
    assert raw.loc[0, ["Raf", "Mek", "PKA"]].tolist() == [26.4, 13.2, 414.0]
    assert np.allclose(np.log(raw), sachs[0][0].frame)


def test_experiments_say_what_the_graph_expects(sachs):
    graph = sachs[1]
    for condition, experiment in SACHS_EXPERIMENTS.items():
        assert set(experiment.changes) <= set(graph.nodes), condition
        if experiment.kind == "activity" and experiment.node:
            assert set(experiment.changes) == set(children_of(graph, experiment.node)), condition
        if experiment.kind == "level":
            assert experiment.changes == (experiment.node,), condition
        if experiment.kind in ("observational", "stimulus"):
            assert experiment.node is None and experiment.changes == (), condition
    assert SACHS_EXPERIMENTS["cd3cd28+ly"].changes == ("Akt",)
    with pytest.raises(TypeError):
        SACHS_EXPERIMENTS["new"] = SACHS_EXPERIMENTS["pma"]  # type: ignore[index]


def test_the_cells_show_what_was_done_to_them(sachs):
    assert median(sachs, "cd3cd28+psitect", "PIP2") < median(sachs, "cd3cd28", "PIP2")  # its level was lowered
    assert median(sachs, "cd3cd28+u0126", "Mek") > median(sachs, "cd3cd28", "Mek")  # Mek is blocked, and piles up,
    assert median(sachs, "cd3cd28+u0126", "Erk") < median(sachs, "cd3cd28", "Erk")  # while Erk no longer hears it


@pytest.mark.parametrize("mechanism", ["linear", "mlp"])
@pytest.mark.parametrize("noise", ["gaussian", "laplace", "uniform"])
def test_teaching_scm(mechanism, noise):
    scm = teaching_scm(mechanism, noise)
    assert set(scm.graph.edges) == {("x1", "y"), ("x2", "y"), ("y", "x3"), ("x3", "x5"), ("x1", "x4")}
    assert undirected_edges(cpdag(scm.graph)) == [("x1", "x4")]
    frame = scm.sample(4000, seed=0)
    assert {m.noise.family for m in scm.mechanisms.values()} == {noise}
    assert frame.equals(teaching_scm(mechanism, noise).sample(4000, seed=0))
    strength = frame.corr().abs()
    for cause, effect in scm.graph.edges:
        assert strength.loc[cause, effect] > 0.35, (cause, effect)
    assert strength.loc["x3", "y"] > strength.loc[["x1", "x2", "x4", "x5"], "y"].max()  # the tempting feature


def test_the_linear_scm_is_the_one_in_the_lessons():
    frame = teaching_scm().sample(100_000, seed=0)
    weights = np.linalg.lstsq(frame[["x1", "x2"]].to_numpy(), frame["y"].to_numpy(), rcond=None)[0]
    assert np.allclose(weights, 1.0, atol=0.02)
    assert frame["y"].var() == pytest.approx(1 + 1 + 0.7**2, rel=0.02)


def test_an_unknown_mechanism_is_turned_away():
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        teaching_scm("linaer")
    with pytest.raises(ValueError, match="noise"):
        teaching_scm(noise="cauchy")


@pytest.mark.parametrize(
    ("target", "condition", "everything", "causes"),
    [
        ("Erk", "cd3cd28", 0.56, 0.84),
        ("Erk", "cd3cd28+g0076", 1.31, 4.35),
        ("Erk", "cd3cd28+u0126", 2.08, 2.45),
        ("Akt", "cd3cd28", 0.50, 0.55),
        ("Akt", "pma", 0.43, 0.48),
        ("Mek", "cd3cd28", 0.63, 0.59),
        ("Mek", "cd3cd28+g0076", 0.81, 0.32),
        ("Mek", "b2camp", 2.75, 2.88),
    ],
)
def test_leave_one_condition_out_by_least_squares(target, condition, everything, causes):
    """Figures that were computed independently of this package, on log values: RMSE on the condition left out."""
    environments, graph = load_sachs()
    test = next(e.frame for e in environments if e.name == condition)
    rest = pd.concat([e.frame for e in environments if e.name != condition])
    for columns, wanted in (
        ([v for v in graph if v != target], everything),
        (list(graph.predecessors(target)), causes),
    ):
        design, held_out = (np.column_stack([f[columns], np.ones(len(f))]) for f in (rest, test))
        weights = np.linalg.lstsq(design, rest[target], rcond=None)[0]
        assert np.sqrt(np.mean((held_out @ weights - test[target]) ** 2)) == pytest.approx(wanted, abs=0.006)
