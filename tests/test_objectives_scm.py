"""Objectives made of an SCM: twins; and how all that need a graph or an SCM train."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.environments import Environment, Task
from causalkit.objectives import (
    Batch,
    Companion,
    castle,
    counterfactual_augmentation,
    counterfactual_consistency,
    erm,
    interventional,
    squared_error,
)
from causalkit.objectives.counterfactual import Twins, inconsistency
from causalkit.training import evaluate, fit, fit_many

SCM = ck.teaching_scm()
TASK = Task(("x1", "x2", "x3", "x4", "x5"), "y")
WRONG = ck.graphs.parse("x1 -> x4; x5 -> x3 -> y; x1, x2 -> y")  # the effect x3 is called a cause
MAKERS = {"consistency": counterfactual_consistency, "augmentation": counterfactual_augmentation}


def environments(n: int = 500, seed: int = 0) -> list[Environment]:
    shifts = {"a": None, "b": ck.shifts.spurious("y", strength=0.5)}
    return ck.sample_environments(SCM, shifts, n, seed=seed)


def under_shift(n: int = 2000) -> list[Environment]:
    return ck.sample_environments(SCM, {"turned": ck.shifts.spurious("y", strength=2.0, direction=-1)}, n, seed=9)


def penalty(scm, frame: pd.DataFrame, task: Task, predict, seed: int = 0, **options) -> float:
    """The inconsistency of a predictor, frame -> [n], in the units of the data."""
    twins = Twins("counterfactual_consistency", scm, options.get("do"), options.get("together", False))
    twin = twins([Environment("a", frame)], task, seed)["counterfactual_consistency"][0]

    def numbers(rows: pd.DataFrame) -> torch.Tensor:
        return torch.tensor(rows[list(task.features)].to_numpy())

    def network(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(predict(pd.DataFrame(inputs.numpy(), columns=list(task.features)))), inputs

    f, y = network(numbers(frame))[0], torch.tensor(frame[task.target].to_numpy())
    companion = Companion(numbers(twin), torch.tensor(twin[task.target].to_numpy()))
    batch = Batch(
        (squared_error(f, y),),
        (f,),
        (y,),
        inputs=(numbers(frame),),
        companions={"counterfactual_consistency": (companion,)},
        predict=network,
    )
    return float(inconsistency(batch))


# Twins: laws.


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_the_true_mechanism_is_consistent_and_one_with_an_effect_is_not(seed: int, together: bool) -> None:
    scm = ck.random_scm(5, degree=2.0, mechanism="mlp", seed=seed)
    target = next((v for v in scm.variables if list(scm.graph.successors(v))), scm.variables[0])
    effects = list(scm.graph.successors(target))
    frame, task = scm.sample(200, seed=seed), Task(tuple(v for v in scm.variables if v != target), target)
    mechanism = scm.mechanisms[target]

    def truth(rows: pd.DataFrame) -> np.ndarray:
        parents = torch.tensor(rows[list(mechanism.parents)].to_numpy(copy=True))
        return mechanism.push(parents, torch.zeros(len(rows), dtype=torch.float64)).numpy()

    assert penalty(scm, frame, task, truth, seed, together=together) < 1e-12
    if effects:
        assert penalty(scm, frame, task, lambda rows: truth(rows) + 0.5 * rows[effects[0]].to_numpy(), seed) > 1e-3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_twins_of_what_is_no_cause_keep_the_target_and_other_rows_their_order(seed: int) -> None:
    train = environments(60, seed)
    found = Twins("t", SCM, ("x3", "x4", "x5"), False)(train, TASK, seed)["t"]
    for twins, environment in zip(found, train, strict=True):
        frame = environment.frame
        np.testing.assert_allclose(twins[["x1", "x2", "y"]], frame[["x1", "x2", "y"]], atol=1e-12)
        moved = ~np.isclose(twins[["x3", "x4", "x5"]], frame[["x3", "x4", "x5"]])
        assert (moved[:, 0] <= moved[:, 2]).all()  # x5 follows x3 ...
        assert (moved[:, 1] <= ~moved[:, 0]).all()  # ... and x4 stands alone
        assert 0.1 < moved[:, 1].mean() < 0.6  # one of three variables a row
        values = pd.concat([e.frame for e in train])["x4"].to_numpy()
        assert np.isin(twins["x4"][moved[:, 1]], values).all()


def test_the_same_seed_draws_the_same_twins_and_another_one_others() -> None:
    train = environments(50)
    one, two, other = (Twins("t", SCM, None, False)(train, TASK, seed)["t"][0] for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, two)
    assert not np.allclose(one, other)


def test_equal_arguments_make_equal_twins_so_that_a_sweep_over_weights_is_one_program() -> None:
    train = environments(50)
    goals = [counterfactual_consistency(SCM, weight) for weight in (0.0, 100.0)]
    models = fit_many([train] * 2, TASK, objective=goals, steps=50, backbone="linear", seeds=[0, 0])
    assert abs(models[1].network.head.weight[0, 2]) < abs(models[0].network.head.weight[0, 2])
    with pytest.raises(ValueError, match="differ in more than their weights"):
        fit_many([train] * 2, TASK, objective=[goals[0], counterfactual_consistency(SCM, do="x3")], seeds=[0, 0])


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_weight_0_is_erm(name: str) -> None:
    train = environments(50)
    options = {"steps": 20, "seed": 0, "dtype": torch.float64}
    one, two = (fit(train, TASK, objective=goal, **options) for goal in (MAKERS[name](SCM, 0.0), erm()))
    np.testing.assert_allclose(one.predict(train[0].frame), two.predict(train[0].frame), atol=1e-9)


def test_augmentation_is_erm_on_the_doubled_data() -> None:
    train = environments(200)
    exactly = {"backbone": "linear", "optimiser": "lbfgs", "steps": 500, "dtype": torch.float64, "seed": 3}
    one = fit(train, TASK, objective=counterfactual_augmentation(SCM, 1.0), **exactly)
    twins = Twins("counterfactual_augmentation", SCM, None, False)(train, TASK, ck.seeds.integer(3, "prepare"))
    pairs = zip(train, twins["counterfactual_augmentation"], strict=True)
    doubled = [Environment(e.name, pd.concat([e.frame, twin], ignore_index=True)) for e, twin in pairs]
    two = fit(doubled, TASK, objective="erm", **exactly)
    np.testing.assert_allclose(one.predict(train[0].frame), two.predict(train[0].frame), atol=1e-5)


# Twins: what they are for.


@pytest.mark.parametrize("backbone", ["linear", "mlp"])
def test_a_true_or_learned_scm_takes_the_effect_away_and_a_wrong_one_does_not(backbone: str) -> None:
    train, test = environments(300), under_shift()
    frame = pd.concat([e.frame for e in train])
    learned, wrong = (ck.fit_scm(graph, frame, seed=0) for graph in (SCM.graph, WRONG))

    def rmse(objective, **options) -> float:
        model = fit(train, TASK, objective=objective, backbone=backbone, steps=250, seed=0, **options)
        return float(evaluate(model, test, TASK)["rmse"].iloc[0])

    plain, oracle = rmse("erm"), rmse("erm", graph=SCM.graph)
    assert plain > 1.5
    assert oracle < 0.8
    for scm in (SCM, learned, lambda train: ck.fit_scm(SCM.graph, pd.concat([e.frame for e in train]), seed=0)):
        assert rmse(counterfactual_consistency(scm, 100.0)) < oracle + 0.05
    assert rmse(counterfactual_consistency(wrong, 100.0)) > 1.5
    assert rmse(counterfactual_augmentation(SCM, 100.0, do=["x3", "x5"], together=True)) < oracle + 0.1
    assert oracle + 0.1 < rmse(counterfactual_augmentation(SCM)) < plain - 0.1  # one variable a row: weaker


def test_classes_follow_their_probabilities() -> None:
    scm = ck.SCM({"x": ck.linear(), "y": ck.logistic({"x": 2.0}), "z": ck.linear({"y": 2.0}, scale=0.5)})
    task, train = Task(("x", "z"), "y", "classification"), [Environment("a", scm.sample(1000, seed=0))]
    turned = scm.replace({"z": ck.linear({"y": -2.0}, scale=0.5)}).sample(2000, seed=1)
    for goal, least, most in (
        ("erm", 0.0, 0.6),
        (counterfactual_consistency(scm, 100.0), 0.75, 1.0),
        (counterfactual_augmentation(scm, 100.0, do="z"), 0.75, 1.0),
    ):
        model = fit(train, task, objective=goal, backbone="linear", learning_rate=0.05, seed=0)
        accuracy = evaluate(model, [Environment("turned", turned)], task)["accuracy"].iloc[0]
        assert least <= accuracy <= most, model.objective


def test_classes_that_the_scm_has_not_are_named() -> None:
    train = [Environment("a", SCM.sample(50, seed=0).assign(y=np.arange(50) % 2))]
    task = Task(TASK.features, "y", "classification")
    with pytest.raises(ValueError, match="'y' has the classes 0, 1, and in the SCM it is a real number"):
        fit(train, task, objective=counterfactual_consistency(SCM), steps=2, seed=0)


# Twins: bad input.


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_without_an_scm_the_remedy_is_named(name: str) -> None:
    full = f"counterfactual_{name}"
    for scm in (None, SCM.graph, environments(5)):
        with pytest.raises(ValueError, match=f"{full} draws twins from an SCM.*fit_scm"):
            MAKERS[name](scm)
    with pytest.raises(ValueError, match=f"{full} draws twins from an SCM"):
        fit(environments(5), TASK, objective=full, seed=0)
    with pytest.raises(ValueError, match="draws twins from an SCM"):
        fit(environments(5), TASK, objective=MAKERS[name](lambda train: None), seed=0)


@pytest.mark.parametrize("name", sorted(MAKERS))
@pytest.mark.parametrize("weight", [-1.0, float("nan"), "3"])
def test_twins_with_weights_that_are_refused(name: str, weight) -> None:
    with pytest.raises(ValueError, match="finite number of at least 0"):
        MAKERS[name](SCM, weight)


@pytest.mark.parametrize(
    ("goal", "task", "message"),
    [
        (lambda: counterfactual_consistency(SCM, do="x9"), TASK, "variable to set .* 'x9'.*mean 'x"),
        (lambda: counterfactual_consistency(SCM, do=["x3", "y"]), TASK, "sets the target itself"),
        (lambda: counterfactual_consistency(SCM, do=[]), TASK, "at least one"),
        (lambda: counterfactual_consistency(SCM, do=["x1", "x1"]), TASK, "each variable to set once"),
        (lambda: counterfactual_augmentation(SCM.marginal(["y"])), TASK, "variable of the SCM of .* 'x3'"),
    ],
)
def test_what_twins_cannot_be_drawn_of_is_named(goal, task, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(environments(20), task, objective=goal(), steps=2, seed=0)


def test_an_scm_that_cannot_recover_its_noise_is_named_with_the_remedy() -> None:
    def forget(parents, u):
        return parents[:, 0] + u.square()

    scm = ck.SCM({"x": ck.linear(), "y": ck.mechanisms.function(forget, ["x"])})
    train = [Environment("a", scm.sample(20, seed=0))]
    with pytest.raises(ck.NotInvertible, match=r"environment 'a' has none: the noise of 'y'.*fit_scm"):
        fit(train, Task(("x",), "y"), objective=counterfactual_consistency(scm), steps=2, seed=0)


def test_a_hidden_variable_has_no_column() -> None:
    scm = ck.SCM({"h": ck.linear(), "x": ck.linear({"h": 1.0}), "y": ck.linear({"h": 1.0, "x": 1.0})}, hidden=["h"])
    task = Task(("x",), "y")
    with pytest.raises(ValueError, match="environment 'a' has no column 'h'"):
        fit([Environment("a", scm.sample(20, seed=0))], task, objective=counterfactual_consistency(scm), seed=0)
    shown = [Environment("a", scm.sample(20, seed=0, hidden=True))]
    assert not fit(shown, task, objective=counterfactual_consistency(scm), steps=2, seed=0).diverged


def test_a_batch_by_hand_without_companions_is_named() -> None:
    batch = Batch((torch.zeros(2),), (torch.zeros(2),), (torch.zeros(2),))
    for goal in (
        counterfactual_consistency(SCM),
        counterfactual_augmentation(SCM),
        interventional(SCM, "x3"),
        castle(),
        ck.objectives.anchor(2.0, "x1"),
    ):
        with pytest.raises(ValueError, match=r"train with ck\.fit"):
            goal(batch)


# All: replicates and minibatches.

GOALS = {
    "consistency": lambda: counterfactual_consistency(SCM),
    "augmentation": lambda: counterfactual_augmentation(SCM),
    "interventional": lambda: interventional(SCM, "x4"),
    "castle": castle,
}


@pytest.mark.parametrize("name", sorted(GOALS))
@pytest.mark.parametrize("batch", [None, 16])
def test_a_stacked_replicate_is_the_replicate_alone(name: str, batch: int | None) -> None:
    trains, seeds = [environments(80, seed) for seed in range(2)], [5, 6]
    options = {"objective": GOALS[name](), "steps": 15, "batch": batch, "dtype": torch.float64}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = fit_many(trains, TASK, seeds=seeds, **options)
    for model, train, seed in zip(together, trains, seeds, strict=True):
        alone = fit(train, TASK, seed=seed, **options)
        np.testing.assert_allclose(model.predict(train[0].frame), alone.predict(train[0].frame), rtol=1e-6, atol=1e-8)


def test_they_add_to_each_other() -> None:
    train = environments(80)
    goal = counterfactual_consistency(SCM) + counterfactual_augmentation(SCM, do="x3") + interventional(SCM, "x4")
    model = fit(train, TASK, objective=goal + castle() + ck.objectives.irm(1.0), steps=5, seed=0)
    assert not model.diverged
