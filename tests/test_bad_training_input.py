"""What training is given and cannot use: each is refused by a ValueError that names the offender and the remedy."""

import inspect

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

import causalkit as ck
from causalkit.exact import EXACT
from causalkit.objectives import irm
from causalkit.training import fit, fit_many, sweep

TASK = ck.Task(("x", "z"), "y")
CLASSES = ck.Task(("x", "z"), "y", "classification")
CHAIN = ck.graphs.parse("x -> y -> z")
COMPARE = [  # objectives that compare environments
    "irm", "irm_pairs", "vrex", "irmx", "pair", "feat", "group_dro", "eqrm", "ib_irm", "fishr", "iga", "and_mask",
    "coral", "mmd", "dann", "anchor", "drig",
]  # fmt: skip


def environment(name: str, seed: int, classes: tuple[int, ...] = (), rows: int = 30) -> ck.Environment:
    draw = np.random.default_rng(seed)
    x, z = draw.normal(size=(2, rows))
    y = np.resize(classes, rows) if classes else x + draw.normal(size=rows)
    return ck.Environment(name, pd.DataFrame({"x": x, "y": y, "z": z}))


NUMBERS = [environment("a", 0), environment("b", 1)]
LABELS = [environment("a", 0, (0, 1)), environment("b", 1, (0, 1))]
LACKING = [LABELS[0], environment("b", 1, (1,))]


def refused(message: str, train=NUMBERS, task=TASK, **options) -> None:
    with pytest.raises(ValueError, match=message):
        fit(train, task, **({"steps": 400, "seed": 0} | options))


# What an objective needs and does not get.


@pytest.mark.parametrize("name", COMPARE)
def test_one_environment_where_several_are_compared(name: str) -> None:
    train, task = (LABELS, CLASSES) if name == "feat" else (NUMBERS, TASK)
    refused(rf"objective {name}.*needs at least 2, and 'a' is alone. Give more", train[:1], task, objective=name)


@pytest.mark.parametrize("name", sorted(set(COMPARE) - {"anchor", "drig"}))
def test_a_class_that_an_environment_lacks(name: str) -> None:
    refused(r"environment 'b' has no row of class 0 of 'y'.*give rows of every class", LACKING, CLASSES, objective=name)


def test_an_objective_that_compares_nothing_takes_what_classes_there_are() -> None:
    assert fit(LACKING, CLASSES, steps=5, seed=0).classes.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["hsic", "castle", "anchor", "drig"])
def test_classes_for_an_objective_of_numbers(name: str) -> None:
    refused(rf"objective {name}.*for a regression.*kind='regression'", LABELS, CLASSES, objective=name)


def test_numbers_for_an_objective_of_classes() -> None:
    refused(r"objective feat.*for a classification.*kind='classification'", objective="feat")


@pytest.mark.parametrize("name", ["counterfactual_consistency", "counterfactual_augmentation"])
def test_no_scm_for_an_objective_that_is_made_of_one(name: str) -> None:
    refused(rf"{name} draws twins from an SCM, and got None.*fit_scm", objective=name)


def test_no_graph_for_an_objective_that_adjusts() -> None:
    refused(r"interventional needs a graph.*and a treatment", objective="interventional")


def test_a_penalty_that_needs_two_rows() -> None:
    refused("irm_pairs splits each environment in two.*a single row", objective="irm_pairs", batch=1)


@pytest.mark.parametrize(
    ("objective", "got"),
    [(lambda batch: 1.0, "float"), (lambda batch: batch.risks, r"shape \[2\]")],
)
def test_an_objective_of_ones_own_that_is_not_one_number(objective, got: str) -> None:
    refused(f"<lambda> gave .*{got}: it must be one number", objective=objective)


@pytest.mark.parametrize("name", sorted(set(ck.OBJECTIVES) - {"erm", "feat", "pair"}))
@pytest.mark.parametrize("weight", [-1.0, float("nan"), "1", None])
def test_weights_are_numbers_of_at_least_0(name: str, weight) -> None:
    make = ck.OBJECTIVES[name]
    first = next(p for p in inspect.signature(make).parameters if p not in ("scm", "graph", "treatment"))
    with pytest.raises(ValueError, match=f"{name}: {first} .* is not a finite number"):
        make(**{first: weight})


# Environments, tasks, graphs.


def test_environments_of_different_columns() -> None:
    short = ck.Environment("b", NUMBERS[1].frame.drop(columns="z"))
    refused("environment 'b': unknown column 'z'. Known: x, y", [NUMBERS[0], short])


def test_a_target_among_the_features() -> None:
    with pytest.raises(ValueError, match="the target 'y' is among the features: leave it out"):
        ck.Task(("x", "y"), "y")


@pytest.mark.parametrize("encoder", sorted(set(ck.ENCODERS) - {"none"}))
def test_a_graph_without_the_target_a_feature_or_at_all(encoder: str) -> None:
    for name in ("y", "z"):
        graph = CHAIN.copy()
        graph.remove_node(name)
        refused(f"unknown variable of the graph '{name}'. Known", graph=graph, encoder=encoder)
    refused(f"encoder '{encoder}' reads a graph, and none is given", encoder=encoder)


def test_a_graph_with_a_cycle() -> None:
    graph = nx.DiGraph([("x", "y"), ("y", "z"), ("z", "x")])
    refused("the graph has a cycle, .*remove one of these edges", graph=graph)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([np.ones(30), np.r_[-1.0, np.ones(29)]], "'b' are negative, NaN"),
        ([np.ones(30), np.r_[np.nan, np.ones(29)]], "'b' are negative, NaN"),
        ([np.ones(30), np.zeros(30)], "'b' are negative, NaN or all 0"),
        ([np.ones(30), ["heavy"] * 30], "'b' are not numbers"),
        ([np.ones(30), np.ones((30, 1))], r"'b' have the shape \(30, 1\)"),
        (np.ones((2, 30)), "2 arrays in a list"),
    ],
)
def test_rows_weights(weights, message: str) -> None:
    refused(message, weights=weights)


# Replicates.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 3}, r"seeds 3: give one for every replicate, in a list, or range"),
        ({"seeds": [0, 1, 2]}, "2 training sets, 3 graphs, 3 sets of weights and 3 seeds"),
        ({"graphs": [CHAIN]}, "1 graphs"),
        ({"weights": [None]}, "1 sets of weights"),
        ({"objective": [irm(1.0)] * 3}, "3 objectives for 2 seeds"),
        ({"learning_rate": [0.1] * 3}, "3 values of learning_rate for 2 seeds"),
        ({"weight_decay": torch.zeros(3)}, "3 values of weight_decay for 2 seeds"),
        ({"learning_rate": [0.1, "fast"]}, "learning_rate 'fast' is not a number"),
        ({"trains": NUMBERS}, r"Environment\('a'.* alone: put it into a list"),
        ({"trains": [NUMBERS, NUMBERS[:1]]}, "replicates differ in shape"),
    ],
)
def test_a_replicate_axis_that_does_not_match(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_many(**({"trains": [NUMBERS] * 2, "task": TASK, "seeds": [0, 1]} | options))


def test_a_tensor_of_rates_is_a_list_of_them() -> None:
    one, other = (
        fit_many([NUMBERS] * 2, TASK, learning_rate=rates, steps=5, seeds=[0, 1])
        for rates in (torch.tensor([0.5, 0.25]), [0.5, 0.25])
    )
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a.history, b.history)


# Budgets.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hold_out": 0.01}, "hold_out 0.01 splits 30 rows, .* into 0 and the rest"),
        ({"hold_out": 0.99}, "hold_out 0.99 splits 30 rows, .* into 30 and the rest"),
        ({"hold_out": "some"}, "hold_out 'some' is no share"),
        ({"hold_out": 0.2, "optimiser": "lbfgs"}, "'lbfgs' .* looks at no held-out rows: leave hold_out out"),
        ({"optimiser": 3}, "unknown optimiser 3"),
        ({"dtype": torch.int64}, "dtype torch.int64 is no floating-point type"),
        ({"dtype": "float64"}, "dtype 'float64' is no floating-point type"),
        ({"learning_rate": "fast"}, "learning_rate 'fast' is not a number"),
        ({"learning_rate": True}, "learning_rate True is not a number"),
    ],
)
def test_budgets(options, message: str) -> None:
    refused(message, **options)


# Exact methods and sweeps have the same door.


@pytest.mark.parametrize("name", sorted(EXACT))
def test_exact_methods_want_the_tasks_columns(name: str) -> None:
    options = {"seed": 0} if "seed" in inspect.signature(EXACT[name]).parameters else {}
    task, train = (CLASSES, LABELS) if name in ("logistic", "isr_mean") else (TASK, NUMBERS)
    short = ck.Environment("b", train[1].frame.drop(columns="z"))
    with pytest.raises(ValueError, match="environment 'b': unknown column 'z'"):
        EXACT[name]([train[0], short], task, **options)


@pytest.mark.parametrize("name", ["isr_mean", "invariant"])
def test_exact_methods_that_compare_classes_want_all_of_them(name: str) -> None:
    with pytest.raises(ValueError, match="environment 'b' has 0 rows of class 0"):
        EXACT[name](LACKING, CLASSES)


def test_a_sweep_over_environments_that_lack_a_class() -> None:
    with pytest.raises(ValueError, match="environment 'b' has no row of class 0"):
        sweep(lambda seed: (LACKING, LACKING, LABELS), CLASSES, ["irm"], draws=1, seeds=1, steps=2, rules=("oracle",))
