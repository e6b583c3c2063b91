"""castle: acyclicity against a matrix exponential, who is connected to whom, what it does and does not do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

import causalkit as ck
from causalkit.environments import Environment, Task
from causalkit.objectives import Batch, castle
from causalkit.objectives.castle import acyclicity, connections
from causalkit.training import evaluate, fit

SCM = ck.teaching_scm()
TASK = Task(("x1", "x2", "x3", "x4", "x5"), "y")


def environments(n: int) -> list[Environment]:
    return ck.sample_environments(SCM, {"a": None, "b": ck.shifts.spurious("y", strength=0.5)}, n, seed=0)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_acyclicity_is_0_for_dags_and_positive_with_a_cycle(seed: int, d: int) -> None:
    draw = np.random.default_rng(seed)
    order = draw.permutation(d)
    weights = np.triu(draw.uniform(0.1, 1.0, (d, d)), 1)[np.ix_(order, order)]
    assert abs(float(acyclicity(torch.tensor(weights**2)))) < 1e-10
    i, j = np.argwhere(weights > 0)[0]
    weights[j, i] = 0.5
    value = float(acyclicity(torch.tensor(weights**2)))
    assert value > 1e-4
    assert value == pytest.approx(np.trace(expm(weights**2)) - d)


def test_connections_go_from_row_to_column_and_never_to_themselves() -> None:
    draw = torch.Generator().manual_seed(0)
    parameters = {
        "backbone.0.weight": torch.randn(4, 2, generator=draw),
        "backbone.2.weight": torch.randn(4, 4, generator=draw),
        "castle.first.weight": torch.randn(8, 3, generator=draw),
        "castle.last.weight": torch.randn(2, 4, generator=draw),
    }
    squares = connections(Batch(losses=(), parameters=parameters))
    first = 0.1 * parameters["castle.first.weight"].view(2, 4, 3)
    assert (squares.diagonal() == 0.0).all()
    torch.testing.assert_close(squares[1:, 0], parameters["backbone.0.weight"].square().sum(0))
    torch.testing.assert_close(squares[0, 1], first[0, :, 0].square().sum())
    torch.testing.assert_close(squares[2, 1], first[0, :, 2].square().sum())


def test_castle_rebuilds_features_without_a_cycle() -> None:
    train = environments(300)
    low = fit(train, TASK, objective=castle(10.0), steps=300, seed=0)
    history = low.history
    extra = (history["objective"] - history["risk"]) / 10.0
    assert extra.iloc[0] > 0.9  # nothing is rebuilt at first: variance 1
    assert 0.0 < extra.iloc[-1] < 0.6


def test_castle_does_not_hear_what_the_encoder_hides() -> None:
    train, graph = environments(60), SCM.graph
    model = fit(train, TASK, objective=castle(), graph=graph, steps=20, seed=0)
    other = [Environment(e.name, e.frame.assign(x3=e.frame.x3**2)) for e in train]
    again = fit(other, TASK, objective=castle(), graph=graph, steps=20, seed=0)
    np.testing.assert_array_equal(model.predict(train[0].frame), again.predict(train[0].frame))


def test_castle_is_no_cure_for_a_spurious_effect() -> None:
    """Its graph is acyclic, not causal: the effect stays, and with it the loss under shift."""
    turned = {"turned": ck.shifts.spurious("y", strength=2.0, direction=-1)}
    train, test = environments(300), ck.sample_environments(SCM, turned, 2000, seed=9)
    models = [fit(train, TASK, objective=goal, steps=200, seed=0) for goal in ("erm", castle())]
    plain, own = (float(evaluate(model, test, TASK)["rmse"].iloc[0]) for model in models)
    assert own > 1.5
    assert plain > 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "linear"}, "castle shares the second layer of the backbone 'mlp'"),
        ({"graph": SCM.graph, "encoder": "dag_layers"}, "castle shares the second layer of the backbone 'mlp'"),
    ],
)
def test_castle_with_another_network_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(environments(20), TASK, objective=castle(), steps=2, seed=0, **options)


def test_castle_with_bad_weights_or_classes_is_refused() -> None:
    for weights in ((-1.0, 0.1), (1.0, float("nan"))):
        with pytest.raises(ValueError, match=r"castle: .* is not a finite number of at least 0"):
            castle(*weights)
    train = [Environment("a", SCM.sample(20, seed=0).assign(y=np.arange(20) % 2))]
    with pytest.raises(ValueError, match="defined for a regression"):
        fit(train, Task(TASK.features, "y", "classification"), objective=castle(), seed=0)
