"""The stacked trainer: statistics for rows, dials that differ between replicates, phases, rules, reports, stopping."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit.environments import Environment, Task
from causalkit.mechanisms import linear
from causalkit.model import dense
from causalkit.objectives import (
    Objective,
    Penalty,
    Phase,
    Rule,
    and_mask,
    erm,
    group_dro,
    hsic,
    irm,
    irmx,
    pair,
    vrex,
)  # fmt: skip
from causalkit.scm import SCM
from causalkit.training import fit, fit_many
from causalkit.training.condense import condense
from causalkit.training.optimisers import adam

TASK = Task(("x", "z"), "y")
LINEAR = [erm(), irm(100.0), vrex(50.0), irmx(10.0, 10.0), group_dro(0.1)]


def chains(seed: int = 0, n: int = 300, weights: tuple[float, ...] = (2.0, 1.0, 0.2)) -> list[Environment]:
    scms = [SCM({"x": linear(), "y": linear({"x": 1.0}), "z": linear({"y": w})}) for w in weights]
    return [Environment(f"e{i}", scm.sample(n, seed=10 * seed + i)) for i, scm in enumerate(scms)]


def weights_of(model) -> np.ndarray:
    return torch.cat([p.flatten() for p in model.network.parameters()]).double().numpy()


# Sufficient statistics.


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.booleans())
def test_condensed_rows_have_the_means_and_covariances(seed: int, columns: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = torch.tensor(rng.normal(size=(50, columns)) @ rng.normal(size=(columns, columns)) + rng.normal(size=columns))
    weights = torch.tensor(rng.exponential(size=50)) if weighted else None
    few = condense(rows, weights)
    assert few.shape == (columns + 1, columns)
    expected = np.cov(rows.numpy().T, ddof=0, aweights=None if weights is None else weights.numpy())
    np.testing.assert_allclose(few.mean(0), np.average(rows, axis=0, weights=weights), atol=1e-10)
    np.testing.assert_allclose(np.cov(few.numpy().T, ddof=0), expected, atol=1e-9)


def test_a_constant_column_stays_constant() -> None:
    rows = torch.tensor(np.random.default_rng(0).normal(size=(20, 3)))
    rows[:, 1] = 2.0
    torch.testing.assert_close(condense(rows)[:, 1], torch.full((4,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("objective", LINEAR, ids=lambda o: o.name)
def test_statistics_train_the_same_model_as_rows(objective) -> None:
    """The same objective that is not said to see moments only is fed all rows."""
    blind = replace(objective, moments=False)
    # raw and off centre: where a gradient is 0 but for rounding, Adam makes steps of the rounding
    train = [Environment(e.name, e.frame + 1.0) for e in chains()]
    options = {"backbone": "linear", "steps": 60, "standardise": False, "dtype": torch.float64, "seed": 0}
    few, all_rows = (fit(train, TASK, objective=o, **options) for o in (objective, blind))
    np.testing.assert_allclose(weights_of(few), weights_of(all_rows), atol=1e-8)
    np.testing.assert_allclose(few.history, all_rows.history, atol=1e-8)


def test_weighted_rows_and_their_statistics_agree_with_repeated_rows() -> None:
    train = chains(n=40)
    counts = [np.random.default_rng(e).integers(0, 4, 40).astype(float) for e in range(3)]
    repeated = [
        Environment(e.name, e.frame.loc[e.frame.index.repeat(c.astype(int))])
        for e, c in zip(train, counts, strict=True)
    ]
    options = {"steps": 400, "standardise": False, "dtype": torch.float64, "seed": 0, "objective": irm(1.0)}
    for backbone in ("linear", "mlp"):
        weighted = fit(train, TASK, weights=counts, backbone=backbone, **options)
        expected = fit(repeated, TASK, backbone=backbone, **options)
        np.testing.assert_allclose(weights_of(weighted), weights_of(expected), atol=1e-6)


# Replicates that differ in their dials.


@pytest.mark.parametrize("backbone", ["linear", "mlp"])
def test_replicates_may_differ_in_weights_rates_and_decay(backbone: str) -> None:
    goals = [irm(0.0) + vrex(5.0), irm(10.0) + vrex(1.0), irm(1e4) + vrex(0.0)]
    rates, decays = [0.01, 0.02, 0.05], [0.0, 0.1, 0.01]
    options = {"backbone": backbone, "steps": 40, "dtype": torch.float64}
    together = fit_many(
        [chains()] * 3, TASK, objective=goals, learning_rate=rates, weight_decay=decays, seeds=[1, 2, 3], **options
    )
    for model, goal, rate, decay, seed in zip(together, goals, rates, decays, [1, 2, 3], strict=True):
        alone = fit(chains(), TASK, objective=goal, learning_rate=rate, weight_decay=decay, seed=seed, **options)
        np.testing.assert_allclose(weights_of(model), weights_of(alone), atol=1e-7)
        assert model.objective == goal.name


def test_replicates_of_different_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in more than their weights"):
        fit_many([chains()] * 2, TASK, objective=[irm(1.0), vrex(1.0)], seeds=[0, 1])
    with pytest.raises(ValueError, match="3 values of learning_rate for 2 seeds"):
        fit_many([chains()] * 2, TASK, learning_rate=[0.1, 0.2, 0.3], seeds=[0, 1])


@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.9, 0.999)])
def test_adam_is_torchs(betas) -> None:
    train = [Environment(e.name, e.frame + 1.0) for e in chains()]
    options = {"steps": 50, "learning_rate": 0.03, "weight_decay": 0.1, "schedule": "constant", "standardise": False}
    optimiser = functools.partial(adam, betas=betas)
    model = fit(train, TASK, backbone="linear", optimiser=optimiser, dtype=torch.float64, seed=0, **options)
    rows = torch.tensor(pd.concat([e.frame for e in train]).to_numpy())
    layer = torch.nn.Linear(2, 1, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
    torchs = torch.optim.Adam(layer.parameters(), lr=0.03, weight_decay=0.1, betas=betas)
    for _ in range(50):
        torchs.zero_grad()
        (rows[:, 1] - layer(rows[:, [0, 2]])[:, 0]).square().mean().backward()
        torchs.step()
    found = torch.cat([p.flatten() for p in layer.parameters()]).detach().numpy()
    np.testing.assert_allclose(weights_of(model), found, atol=1e-6)


# Annealing, phases, rules, companions, modules.


def test_annealed_penalties_wait() -> None:
    """Before its start a penalty moves nothing; after it the model moves on."""
    options = {"backbone": "linear", "steps": 40, "schedule": "constant", "dtype": torch.float64, "seed": 0}
    plain, late, never = (
        fit(chains(), TASK, objective=o, **options)
        for o in (erm(), irm(100.0).anneal(start=30), irm(100.0).anneal(start=40))
    )
    assert np.abs(weights_of(plain) - weights_of(late)).max() > 0.05
    np.testing.assert_allclose(weights_of(plain), weights_of(never), atol=1e-9)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 120))
def test_the_ramp_is_a_line(start: int, ramp: int, step: int) -> None:
    from causalkit.objectives import Batch

    goal = Objective("one", ((2.0, lambda batch: batch.risks.sum() * 0 + 1.0),)).anneal(start, ramp)
    state = goal.start(1) | {"step": torch.tensor(float(step))}
    value = goal(Batch(losses=(torch.zeros(1),)), state)
    expected = 2.0 * (float(step >= start) if ramp == 0 else min(max((step - start) / ramp, 0.0), 1.0))
    assert float(value) == pytest.approx(expected, abs=1e-6)


def test_annealing_is_checked() -> None:
    with pytest.raises(ValueError, match="no penalty to anneal"):
        erm().anneal(start=3)
    with pytest.raises(ValueError, match="start -1 is not a number of steps"):
        irm(1.0).anneal(start=-1)


def test_phases_follow_one_another_and_the_head_can_be_trained_alone() -> None:
    two = Objective("two", phases=(Phase(irm(10.0), steps=20), Phase(erm(), trains="head", learning_rate=0.05)))
    first = fit(chains(), TASK, objective=irm(10.0), steps=20, dtype=torch.float64, seed=0)
    both = fit(chains(), TASK, objective=two, steps=60, dtype=torch.float64, seed=0)
    for (name, a), (_, b) in zip(first.network.named_parameters(), both.network.named_parameters(), strict=True):
        if not name.startswith("head"):
            torch.testing.assert_close(a, b)
    assert both.history["step"].iloc[-1] == 60
    assert both.history["risk"].iloc[-1] < first.history["risk"].iloc[-1]
    with pytest.raises(ValueError, match="two takes 20 steps before its last phase"):
        fit(chains(), TASK, objective=two, steps=20, seed=0)
    with pytest.raises(ValueError, match="nothing can be added"):
        two + irm(1.0)


def test_a_rule_makes_the_step() -> None:
    """The mean of the environments' gradients is the gradient of the mean."""
    rule = Rule(lambda batch, state: batch.risks, lambda gradients, values, head: gradients.mean(1))
    options = {"steps": 40, "dtype": torch.float64, "seed": 0}
    ruled, plain = (fit(chains(), TASK, objective=o, **options) for o in (Objective("mean", rule=rule), erm()))
    np.testing.assert_allclose(weights_of(ruled), weights_of(plain), atol=1e-9)
    assert np.isnan(ruled.report["left"])


def companions(train, task, seed):
    return {
        "twin": [e.frame.assign(z=0.0) for e in train],
        "age": [pd.Series(np.full(len(e.frame), 2.0)) for e in train],
    }


def unmoved(batch):
    twins = [batch.predict(c.inputs)[0] for c in batch.companions["twin"]]
    ages = torch.stack([age.mean() for age in batch.companions["age"]]).mean()
    return ages * torch.stack([(t - p).square().mean() for t, p in zip(twins, batch.predictions, strict=True)]).mean()


@pytest.mark.parametrize("batch", [None, 32])
def test_companions_stand_beside_their_rows(batch) -> None:
    goal = Objective("still", (Penalty(50.0, unmoved, prepare=companions),))
    model = fit(chains(), TASK, objective=goal, batch=batch, steps=300, seed=0)
    frame = chains(3)[0].frame
    moved = np.abs(model.predict(frame) - model.predict(frame.assign(z=0.0))).mean()
    plain = fit(chains(), TASK, batch=batch, steps=300, seed=0)
    assert moved < 0.1 * np.abs(plain.predict(frame) - plain.predict(frame.assign(z=0.0))).mean()


def shadow(batch):
    both = zip(batch.features, batch.targets, strict=True)
    return torch.stack([(batch.modules["critic"](f)[:, 0] - y).square().mean() for f, y in both]).mean()


def test_an_objective_brings_a_network_along() -> None:
    make = {"critic": lambda width, inputs, environments: dense(width, 1)}
    goal = Objective("critic", (Penalty(1.0, shadow, module=make),))
    one, two = fit_many([chains()] * 2, TASK, objective=goal, steps=200, dtype=torch.float64, seeds=[0, 1])
    alone = fit(chains(), TASK, objective=goal, steps=200, dtype=torch.float64, seed=1)
    np.testing.assert_allclose(weights_of(two), weights_of(alone), atol=1e-6)
    assert one.history["objective"].iloc[-1] < 2.2 * one.history["risk"].iloc[-1]  # it has learned as much as the head


def test_gradients_of_the_risks_can_be_differentiated() -> None:
    goal = Objective("spread", ((10.0, lambda batch: batch.gradients().var(0, correction=0).sum()),), moments=False)
    model, plain = (fit(chains(), TASK, objective=o, backbone="linear", steps=200, seed=0) for o in (goal, erm()))
    assert model.history["risk"].iloc[-1] > plain.history["risk"].iloc[-1]
    assert model.history["objective"].iloc[-1] < model.history["objective"].iloc[0]


# Reports and stopping.


def test_the_report_tells_a_minimum_from_too_few_steps() -> None:
    options = {"backbone": "linear", "seed": 0}
    short, long = (fit(chains(), TASK, steps=steps, **options) for steps in (3, 600))
    assert short.report["verdict"].startswith("under-trained: one Newton step") and short.report["left"] > 0.01
    assert long.report["verdict"] == "converged" and long.report["left"] < 1e-6
    large = fit(chains(), TASK, steps=40, learning_rate=1e-3, schedule="constant", seed=0)
    assert large.report["verdict"].startswith("under-trained: the last tenth") and np.isnan(large.report["left"])


def test_a_newton_step_from_the_start_finds_all_there_is_to_gain() -> None:
    """For least squares the report is exact: the objective at the start less that of the closed form."""
    begin = fit(chains(), TASK, backbone="linear", steps=1, learning_rate=1e-12, dtype=torch.float64, seed=0)
    end = fit(chains(), TASK, backbone="linear", optimiser="lbfgs", dtype=torch.float64, seed=0)
    gained = begin.history["objective"].iloc[-1] - end.history["objective"].iloc[-1]
    assert begin.report["left"] == pytest.approx(gained, rel=1e-6)


def test_weight_decay_belongs_to_what_is_left() -> None:
    model = fit(chains(), TASK, backbone="linear", weight_decay=0.5, optimiser="lbfgs", dtype=torch.float64, seed=0)
    assert model.report["left"] < 1e-9 and model.report["verdict"] == "converged"


@pytest.mark.parametrize("objective", [erm(), irm(3.0), vrex(3.0)], ids=lambda o: o.name)
def test_lbfgs_ends_where_long_training_ends(objective) -> None:
    options = {"backbone": "linear", "objective": objective, "dtype": torch.float64, "seed": 0}
    quick, slow = fit(chains(), TASK, optimiser="lbfgs", **options), fit(chains(), TASK, steps=3000, **options)
    assert quick.history["objective"].iloc[-1] <= slow.history["objective"].iloc[-1] + 1e-7
    assert quick.report["verdict"] == "converged" and quick.report["steps"] < 200


def test_early_stopping_keeps_the_best_look() -> None:
    """A large network on 12 rows overfits; the held-out risk says when."""
    train = chains(n=16)
    options = {
        "objective": "erm",
        "steps": 2000,
        "learning_rate": 0.02,
        "hold_out": 0.25,
        "schedule": "constant",
        "seed": 1,
    }
    stopped, full = fit(train, TASK, patience=200, **options), fit(train, TASK, **options)
    best = full.history["held_out"].min()
    assert stopped.report["verdict"].startswith("stopped early: the held-out risk was lowest at step")
    assert stopped.report["steps"] < 2000 and full.report["steps"] == 2000
    assert stopped.history["held_out"].min() == pytest.approx(best, rel=1e-2)
    assert full.history["held_out"].iloc[-1] > 1.05 * best
    test = pd.concat([e.frame for e in chains(7, n=4000)])
    errors = [np.mean((test["y"] - model.predict(test)) ** 2) for model in (stopped, full)]
    assert errors[0] < errors[1]


def test_stopped_replicates_wait_for_the_others() -> None:
    options = {"steps": 600, "hold_out": 0.25, "patience": 60, "dtype": torch.float64}
    together = fit_many([chains(s, n=16) for s in range(3)], TASK, seeds=[4, 5, 6], **options)
    for s, model in enumerate(together):
        alone = fit(chains(s, n=16), TASK, seed=4 + s, **options)
        np.testing.assert_allclose(weights_of(model), weights_of(alone), atol=1e-6)
        assert model.report["verdict"] == alone.report["verdict"]


def test_held_out_rows_are_never_trained_on() -> None:
    """Their targets may be anything."""
    train = chains(n=40)
    one = fit(train, TASK, hold_out=0.5, standardise=False, steps=20, seed=0)
    draw = [np.random.default_rng(0).permutation(40)]
    assert draw and len(one.history["held_out"]) == len(one.history)
    from causalkit.seeds import generator

    source = generator(0, "hold_out")
    spoiled = []
    for e in train:
        rest = torch.randperm(40, generator=source)[20:].numpy()
        frame = e.frame.copy()
        frame.loc[frame.index[rest], "y"] = 1e6
        spoiled.append(Environment(e.name, frame))
    two = fit(spoiled, TASK, hold_out=0.5, standardise=False, steps=20, seed=0)
    np.testing.assert_array_equal(weights_of(one), weights_of(two))


# What does not concern a replicate, or a phase, leaves it alone.


def test_weight_decay_leaves_alone_what_a_phase_does_not_train() -> None:
    two = Objective("two", phases=(Phase(erm(), steps=20), Phase(erm(), trains="head")))
    models = [fit(chains(), TASK, objective=two, steps=n, weight_decay=0.5, seed=0) for n in (21, 60)]
    first, last = ({k: v for k, v in m.network.named_parameters() if "head" not in k} for m in models)
    for name in first:
        torch.testing.assert_close(first[name], last[name], rtol=0, atol=0)


def test_a_phase_begins_with_an_optimiser_that_remembers_nothing() -> None:
    """Momentum would carry the head on, where the second phase has no gradient at all."""
    still = Objective("still", risk=lambda batch, state: 0.0 * batch.risks.mean(), moments=False)
    options = {
        "optimiser": "momentum",
        "learning_rate": 0.01,
        "dtype": torch.float64,
        "seed": 0,
        "schedule": "constant",
    }
    two = Objective("two", phases=(Phase(erm(), steps=20), Phase(still)))
    np.testing.assert_array_equal(
        weights_of(fit(chains(), TASK, objective=two, steps=60, **options)),
        weights_of(fit(chains(), TASK, objective=erm(), steps=20, **options)),
    )


def test_patience_begins_when_the_objective_has_settled() -> None:
    """Neither an earlier phase nor a penalty that still waits counts."""
    held = {"hold_out": 0.25, "patience": 20, "seed": 0, "schedule": "constant", "learning_rate": 0.1}
    two = Objective("two", phases=(Phase(erm(), steps=300), Phase(erm())))
    for goal in (two, irm(1e3).anneal(start=300)):
        model = fit(chains(n=40), TASK, objective=goal, backbone="linear", steps=400, **held)
        assert model.history["step"].iloc[-1] > 300
        assert model.report["verdict"].startswith("stopped early") and int(model.report["verdict"].split()[-1]) >= 300


def test_an_annealed_penalty_belongs_to_what_is_left() -> None:
    """At step 0 the objective is the risk alone, whose minimum is another one."""
    options = {"backbone": "linear", "dtype": torch.float64, "seed": 0, "steps": 2000, "learning_rate": 0.1}
    late = fit(chains(), TASK, objective=irm(10.0).anneal(start=100, ramp=100), **options)
    assert late.report["left"] < 1e-6 and late.report["verdict"] == "converged"


def test_the_report_is_of_the_last_phase() -> None:
    """A first phase with a far larger objective would make any last phase look settled."""
    huge = Objective("huge", risk=lambda batch, state: 1e6 * batch.risks.mean(), moments=False)
    two = Objective("two", phases=(Phase(huge, steps=20, learning_rate=1e-12), Phase(erm(), learning_rate=1e-3)))
    model = fit(chains(), TASK, objective=two, steps=60, schedule="constant", seed=0)
    assert model.history["objective"].iloc[0] > 1e5
    assert model.report["settled"] >= 20 and model.report["verdict"].startswith("under-trained: the last tenth")


@pytest.mark.parametrize("optimiser", ["adam", "momentum"])
def test_a_gradient_too_large_to_square_is_divergence_and_no_convergence(optimiser: str) -> None:
    """Adam would divide by an infinite root, and stand still for ever."""
    far = [Environment(e.name, e.frame * 1e12) for e in chains(n=20)]
    options = {"standardise": False, "steps": 20, "optimiser": optimiser, "learning_rate": 1e-3}
    wild, calm = fit_many([far, chains(n=20)], TASK, seeds=[0, 1], **options)
    assert "is no longer finite" in wild.diverged and not calm.diverged
    alone = fit(chains(n=20), TASK, seed=1, **options)
    np.testing.assert_allclose(weights_of(calm), weights_of(alone), atol=1e-6)


@pytest.mark.parametrize(
    "goal", [pair(descent=5, learning_rate=1e-3), and_mask(), irm(10.0), hsic()], ids=lambda o: o.name
)
def test_a_replicate_that_leaves_the_numbers_spares_the_others(goal) -> None:
    """By a rule, in phases, with penalties."""
    far = [Environment(e.name, e.frame * 1e100) for e in chains(n=20)]
    options = {"objective": goal, "standardise": False, "steps": 25, "learning_rate": 1e-3, "dtype": torch.float64}
    wild, calm = fit_many([far, chains(n=20)], TASK, seeds=[0, 1], **options)
    assert wild.diverged and not calm.diverged
    alone = fit(chains(n=20), TASK, seed=1, **options)
    np.testing.assert_allclose(weights_of(calm), weights_of(alone), atol=1e-6)


def test_the_last_step_is_on_record_whatever_their_number() -> None:
    model = fit(chains(n=20), TASK, backbone="linear", steps=301, seed=0)
    assert model.history["step"].iloc[-1] == model.report["steps"] == 301 and len(model.history) < 110


@pytest.mark.parametrize("backbone", ["linear", "mlp"])
def test_weights_have_mean_one_in_what_is_trained_on_and_in_what_is_held_out(backbone: str) -> None:
    """The head starts at 0: the first risks are weighted means of y squared, over the rows of either side."""
    from causalkit.seeds import generator

    train = chains(n=40)
    loads = [np.random.default_rng(e).exponential(size=40) for e in range(3)]
    options = {"hold_out": 0.5, "standardise": False, "steps": 1, "dtype": torch.float64, "seed": 0}
    first = fit(train, TASK, weights=loads, backbone=backbone, **options).history.iloc[0]
    source, inside, outside = generator(0, "hold_out"), [], []
    for environment, load in zip(train, loads, strict=True):
        order = torch.randperm(40, generator=source).numpy()
        squares = environment.frame["y"].to_numpy() ** 2
        inside.append(np.average(squares[order[:20]], weights=load[order[:20]]))
        outside.append(np.average(squares[order[20:]], weights=load[order[20:]]))
    assert first["risk"] == pytest.approx(np.mean(inside), rel=1e-9)
    assert first["held_out"] == pytest.approx(np.mean(outside), rel=1e-9)
