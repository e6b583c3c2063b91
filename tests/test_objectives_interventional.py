"""interventional: weights against counts, causal slopes against closed forms, and bad input."""

import numpy as np
import pandas as pd
import pytest
import torch

import causalkit as ck
from causalkit.environments import Environment, Task
from causalkit.objectives import interventional
from causalkit.objectives.interventional import Propensities
from causalkit.training import fit


def clinic(n: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Severity z in {0, 1} decides on the treatment t; y = t + 3 z + noise."""
    scm = ck.SCM({"z": ck.logistic(), "t": ck.logistic({"z": 2.0}), "y": ck.linear({"t": 1.0, "z": 3.0})})
    return scm.sample(n, seed=seed)


GRAPH = ck.graphs.parse("z -> t -> y; z -> y")
TREATED = Task(("t",), "y")


def slope(model) -> float:
    return float(np.diff(model.predict(pd.DataFrame({"t": [0.0, 1.0]})))[0])


def test_weights_are_those_of_the_counts() -> None:
    frame = clinic(5000)
    found = Propensities("t", ("z",), 1.0)([Environment("a", frame)], TREATED, 0)["interventional"][0]
    share = frame.groupby(["z", "t"]).size() / len(frame)
    t, z = share.groupby("t").sum(), share.groupby("z").sum()
    exact = [t[a] * z[b] / share[b, a] for a, b in zip(frame.t, frame.z, strict=True)]
    np.testing.assert_allclose(found, np.array(exact) / np.mean(exact), rtol=1e-3)


def test_a_confounded_treatment_has_its_causal_slope() -> None:
    frame = clinic()
    train = [Environment("a", frame[:12_000]), Environment("b", frame[12_000:].reset_index(drop=True))]
    exactly = {"backbone": "linear", "optimiser": "lbfgs", "steps": 100, "dtype": torch.float64, "seed": 0}
    # closed form of least squares: 1 + 3 (P(z = 1 | t = 1) - P(z = 1 | t = 0)), z a fair coin, t | z logistic
    one, two = 0.5, 1.0 / (1.0 + np.exp(-2.0))
    biased = 1.0 + 3.0 * (two / (one + two) - (1.0 - two) / (2.0 - one - two))
    assert slope(fit(train, TREATED, objective="erm", **exactly)) == pytest.approx(biased, abs=0.08)
    for goal in (interventional(GRAPH, "t"), interventional(GRAPH, "t", adjust=["z"])):
        assert slope(fit(train, TREATED, objective=goal, **exactly)) == pytest.approx(1.0, abs=0.08)
    half = slope(fit(train, TREATED, objective=interventional(GRAPH, "t", 0.5), **exactly))
    assert 1.2 < half < biased - 0.2
    none = slope(fit(train, TREATED, objective=interventional(GRAPH, "t", 0.0), **exactly))
    assert none == pytest.approx(slope(fit(train, TREATED, objective="erm", **exactly)), abs=1e-5)


def test_a_real_treatment_and_one_of_three_levels() -> None:
    scm = ck.SCM({"z": ck.linear(), "t": ck.linear({"z": 0.5}), "y": ck.linear({"t": 1.0, "z": 2.0})})
    train = [Environment("a", scm.sample(5000, seed=0))]
    assert slope(fit(train, TREATED, backbone="linear", seed=0)) > 1.7
    goal = interventional(scm, "t")
    assert slope(fit(train, TREATED, objective=goal, backbone="linear", seed=0)) == pytest.approx(1.0, abs=0.15)
    three = scm.replace({"t": ck.mechanisms.softmax({"z": [0.0, 0.5, 1.0]}, [0.0, 0.0, 0.0])})
    train = [Environment("a", three.sample(5000, seed=0))]
    assert slope(fit(train, TREATED, backbone="linear", seed=0)) > 1.4
    goal = interventional(three, "t")
    assert slope(fit(train, TREATED, objective=goal, backbone="linear", seed=0)) == pytest.approx(1.0, abs=0.15)


def test_an_effect_of_the_target_as_the_treatment_tells_less() -> None:
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 0.6})})
    train, task = [Environment("a", scm.sample(4000, seed=0))], Task(("x", "z"), "y")
    plain, weighted = (
        fit(train, task, objective=goal, backbone="linear", seed=0).network.head.weight[0].abs()
        for goal in ("erm", interventional(scm, "z"))
    )
    assert weighted[1] < 0.4 * plain[1]
    assert weighted[0] > plain[0]


def test_a_treatment_without_causes_has_weights_of_1() -> None:
    train = [Environment("a", clinic(20))]
    found = Propensities("t", (), 0.9)(train, TREATED, 0)["interventional"]
    assert all((weights == 1.0).all() for weights in found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: interventional(), "needs a graph .* and a treatment"),
        (lambda: interventional(GRAPH), "needs a graph .* and a treatment"),
        (lambda: interventional("z -> t", "t"), "needs a graph .* and a treatment"),
        (lambda: interventional(GRAPH, "tt"), "unknown variable of the graph 'tt'"),
        (lambda: interventional(GRAPH, "t", 1.5), "finite number from 0 to 1"),
        (lambda: interventional(GRAPH, "t", clip=0.0), "clip 0 leaves no weights"),
        (lambda: interventional(ck.graphs.cpdag(GRAPH), "t"), "undirected"),
        (lambda: interventional(ck.graphs.parse("t <-> y; t -> y"), "t"), "'u_t_y', a parent of .* is hidden"),
        (lambda: interventional(GRAPH, "t", adjust=["q"]), "unknown variable of the graph 'q'"),
        (lambda: interventional(GRAPH, "t", adjust=[]), "a back-door path stays open"),
        (lambda: interventional(ck.graphs.parse("t -> m -> y"), "t", adjust=["m"]), "'m' is an effect of the treat"),
        (lambda: interventional(ck.graphs.parse("zz -> t -> y"), "t"), "environment 'a'.* 'zz'"),
    ],
)
def test_interventions_that_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit([Environment("a", clinic(100))], TREATED, objective=make(), steps=2, seed=0)


def test_a_treatment_that_its_causes_decide_is_refused_by_name() -> None:
    frame = clinic(1000)
    decided = [Environment("a", frame), Environment("b", frame.assign(t=frame.z))]
    with pytest.raises(ValueError, match=r"'t' in environment 'b' hardly varies given z \(positivity\)"):
        fit(decided, TREATED, objective=interventional(GRAPH, "t"), steps=2, seed=0)
    constant = [Environment("c", frame.assign(t=1))]
    with pytest.raises(ValueError, match="'t' in environment 'c' has one value only"):
        fit(constant, TREATED, objective=interventional(GRAPH, "t"), steps=2, seed=0)
