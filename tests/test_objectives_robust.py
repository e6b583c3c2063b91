"""anchor and drig: their closed forms, the special cases of gamma, replicates, and bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit import exact
from causalkit.environments import Environment, Task
from causalkit.objectives import Batch, anchor, drig, erm, squared_error
from causalkit.objectives.anchored import Anchors
from causalkit.training import fit, fit_many

TASK = Task(("x1", "x3", "x4"), "y")


def environments(seed: int = 0, n: int = 200) -> list[Environment]:
    """The reference first: the others vary more, so that drig has a minimum."""
    shifts = {
        "reference": None,
        "moved": ck.shifts.covariate("y", strength=2.0),
        "wide": ck.shifts.soft(["x1", "x2", "x3", "x4"], strength=1.0, how="scale"),
    }
    return ck.sample_environments(ck.teaching_scm(), shifts, n, seed=seed)


def exactly(train, task, objective):
    return fit(
        train, task, objective=objective, backbone="linear", optimiser="lbfgs", steps=500, dtype=torch.float64, seed=0
    )


def batch_of(seed: int, sizes: tuple[int, ...] = (7, 5, 9)) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    f, y = (tuple(torch.randn(n, generator=draw, dtype=torch.float64) for n in sizes) for _ in range(2))
    return Batch(tuple(map(squared_error, f, y)), f, y)


# Laws.


@given(st.integers(0, 10_000))
def test_gamma_1_is_erm_and_more_is_more(seed: int) -> None:
    batch = batch_of(seed)
    torch.testing.assert_close(anchor(1.0)(batch), erm()(batch))
    values = [float(anchor(gamma)(batch)) for gamma in (0.0, 1.0, 2.0, 10.0)]
    assert values == sorted(values)
    assert values[0] >= 0.0


@given(st.integers(0, 10_000), st.floats(0.0, 100.0), st.floats(-5.0, 5.0))
def test_drig_does_not_see_where_the_residuals_lie_but_in_the_reference(seed: int, gamma: float, by: float) -> None:
    batch = batch_of(seed)
    moved = tuple(y + by for y in batch.targets)
    other = Batch(tuple(map(squared_error, batch.predictions, moved)), batch.predictions, moved)
    difference = other.risks[0] - batch.risks[0]
    torch.testing.assert_close(drig(gamma)(other) - drig(gamma)(batch), difference)


@given(st.integers(0, 10_000), st.permutations([1, 2]))
def test_drig_knows_the_first_environment_alone(seed: int, others: list[int]) -> None:
    batch, order = batch_of(seed), [0, *others]
    other = Batch(*(tuple(part[i] for i in order) for part in (batch.losses, batch.predictions, batch.targets)))
    torch.testing.assert_close(drig(3.0)(other), drig(3.0)(batch))


def test_drig_0_is_the_risk_of_the_reference() -> None:
    batch = batch_of(0)
    torch.testing.assert_close(drig(0.0)(batch), batch.risks[0])


def test_anchors_are_orthonormal_and_leave_out_what_is_said_twice() -> None:
    draw = np.random.default_rng(0)
    train = []
    for name, n in (("a", 30), ("b", 70)):
        frame = pd.DataFrame(draw.normal(size=(n, 3)), columns=["u", "v", "y"])
        train.append(Environment(name, frame.assign(w=3.0 - frame.u + 2.0 * frame.v, x=0.0)))
    found = Anchors(("u", "v", "w"))(train, Task(("x",), "y"), 0)
    assert sorted(found) == ["anchor 0", "anchor 1"]
    table = [np.column_stack([found[k][e] for k in found]) for e in range(2)]
    gram = np.mean([a.T @ a / len(a) for a in table], 0)
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(np.mean([a.mean(0) for a in table], 0), 0.0, atol=1e-12)


# Oracles: the closed forms, which know nothing of batches.


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100), st.sampled_from([0.0, 0.5, 1.0, 5.0, 100.0]))
def test_anchor_by_environments_is_its_closed_form(seed: int, gamma: float) -> None:
    train = environments(seed)
    frame = pd.concat([e.frame for e in train])
    expected = exact.anchor(train, TASK, gamma=gamma).predict(frame)
    np.testing.assert_allclose(exactly(train, TASK, anchor(gamma)).predict(frame), expected, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 5.0, 100.0])
@pytest.mark.parametrize("anchors", [["x2"], ["x2", "x5"]])
def test_anchor_by_columns_is_its_closed_form(gamma: float, anchors: list[str]) -> None:
    train = environments(3)
    frame = pd.concat([e.frame for e in train])
    expected = exact.anchor(train, TASK, gamma=gamma, anchors=anchors).predict(frame)
    np.testing.assert_allclose(exactly(train, TASK, anchor(gamma, anchors)).predict(frame), expected, atol=1e-5)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100), st.sampled_from([0.0, 0.5, 1.0, 2.0, 10.0]))
def test_drig_is_its_closed_form(seed: int, gamma: float) -> None:
    train = environments(seed)
    frame = pd.concat([e.frame for e in train])
    expected = exact.drig(train, TASK, gamma=gamma).predict(frame)
    np.testing.assert_allclose(exactly(train, TASK, drig(gamma)).predict(frame), expected, atol=1e-5)


def test_a_minimum_that_is_not_there_is_not_called_converged() -> None:
    train = environments()[::-1]  # the reference now varies most
    with pytest.raises(ValueError, match="no minimum"):
        exact.drig(train, TASK, gamma=50.0)
    model = fit(train, TASK, objective=drig(50.0), backbone="linear", steps=200, seed=0)
    assert model.report["verdict"] != "converged"


def test_a_large_gamma_finds_the_effect_behind_a_hidden_cause() -> None:
    # a -> x -> y with h behind both: an instrument; the effect of x is 1, least squares says more
    scm = ck.SCM(
        {
            "a": ck.linear(),
            "h": ck.linear(),
            "x": ck.linear({"a": 1.0, "h": 1.0}),
            "y": ck.linear({"x": 1.0, "h": 2.0}),
        },
        hidden=["h"],
    )
    train = [Environment("all", scm.sample(5000, seed=0))]
    probe = pd.DataFrame({"x": [0.0, 1.0]})
    slope = {
        name: float(np.diff(exactly(train, Task(("x",), "y"), goal).predict(probe))[0])
        for name, goal in {"erm": erm(), "anchor": anchor(1e4, "a")}.items()
    }
    assert slope["erm"] > 1.5
    assert slope["anchor"] == pytest.approx(1.0, abs=0.1)


# In fit: replicates, networks, batches.


@pytest.mark.parametrize(
    ("goal", "backbone"),
    [*((goal, kind) for goal in (anchor(5.0), anchor(5.0, "x2")) for kind in ("linear", "mlp")), (drig(3.0), "linear")],
)
@pytest.mark.parametrize("batch", [None, 16])
def test_a_stacked_replicate_is_the_replicate_alone(goal, backbone, batch) -> None:
    trains, seeds = [environments(seed, 60) for seed in range(2)], [5, 6]
    options = {"objective": goal, "backbone": backbone, "steps": 20, "batch": batch, "dtype": torch.float64}
    together = fit_many(trains, TASK, seeds=seeds, **options)
    for model, train, seed in zip(together, trains, seeds, strict=True):
        alone = fit(train, TASK, seed=seed, **options)
        np.testing.assert_allclose(model.predict(train[0].frame), alone.predict(train[0].frame), rtol=1e-6, atol=1e-8)


def test_replicates_may_have_their_own_gammas() -> None:
    train, gammas = environments(n=60), (0.0, 5.0)
    for make in (anchor, drig, lambda gamma: anchor(gamma, "x2")):
        options = {"backbone": "linear", "steps": 50, "dtype": torch.float64}
        models = fit_many([train] * 2, TASK, objective=[make(gamma) for gamma in gammas], seeds=[0, 0], **options)
        alone = [fit(train, TASK, objective=make(gamma), seed=0, **options) for gamma in gammas]
        for one, other in zip(models, alone, strict=True):
            np.testing.assert_allclose(one.predict(train[0].frame), other.predict(train[0].frame), atol=1e-8)


# Bad input.


@pytest.mark.parametrize("make", [anchor, drig])
@pytest.mark.parametrize("gamma", [-1.0, float("nan"), float("inf"), "5", None])
def test_gammas_that_are_refused(make, gamma) -> None:
    with pytest.raises(ValueError, match=r"gamma .* is not a finite number of at least 0"):
        make(gamma)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (lambda: anchor(2.0, "x9"), "environment 'reference': unknown column 'x9'"),
        (lambda: anchor(2.0, "x1"), "'x1' is the target or a feature"),
        (lambda: anchor(2.0, ["y"]), "'y' is the target or a feature"),
        (lambda: anchor(2.0, []), "should name columns"),
        (lambda: anchor(2.0, ["x2", "x2"]), "should name columns, each once"),
    ],
)
def test_anchors_that_are_refused(goal, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(environments(n=20), TASK, objective=goal(), steps=2, seed=0)


def test_a_constant_anchor_is_named() -> None:
    train = [Environment(e.name, e.frame.assign(c=1.0)) for e in environments(n=20)]
    with pytest.raises(ValueError, match="'c' is constant"):
        fit(train, TASK, objective=anchor(2.0, "c"), steps=2, seed=0)


@pytest.mark.parametrize("make", [anchor, drig])
def test_one_environment_or_classes_are_refused(make) -> None:
    train = environments(n=20)
    with pytest.raises(ValueError, match="at least 2"):
        fit(train[:1], TASK, objective=make(), steps=2, seed=0)
    coded = [Environment(e.name, e.frame.assign(y=(e.frame.y > 0).astype(int))) for e in train]
    with pytest.raises(ValueError, match="defined for a regression"):
        fit(coded, Task(TASK.features, "y", "classification"), objective=make(), steps=2, seed=0)


def test_drig_wants_a_linear_network() -> None:
    """A network with hidden layers gains without end by being wrong in the reference, whose rows count negatively."""
    with pytest.raises(ValueError, match="drig has no minimum for a network with hidden layers: use backbone='linear'"):
        fit(environments(n=20), TASK, objective="drig", steps=2, seed=0)
