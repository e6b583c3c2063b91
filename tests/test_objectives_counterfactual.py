"""counterfactual_invariance; and all that train on counterfactual reasoning, by a true or learned SCM."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.environments import Environment, Task
from causalkit.objectives import Batch, counterfactual_invariance, do_calculus
from causalkit.objectives.alignment import GAMMAS
from causalkit.objectives.counterfactual_invariance import Cells, implied_forms
from causalkit.objectives.counterfactual_invariance import trace as trace_of
from causalkit.training import evaluate, fit, fit_many

parse = ck.graphs.parse
# y causes both; z moves x, and a common cause of z and y makes them go together
ANTI_CAUSAL = ck.SCM(
    {"h": ck.linear(), "z": ck.logistic({"h": 2.0}), "y": ck.linear({"h": 1.0}, scale=0.7),
     "x": ck.linear({"y": 1.0, "z": 2.0}, scale=0.5), "w": ck.linear({"y": 1.0}, scale=0.5)},
    hidden=["h"],
)  # fmt: skip
PAIR = Task(("x", "w"), "y")
TEACHING = ck.teaching_scm()
FIVE = Task(("x1", "x2", "x3", "x4", "x5"), "y")


QUICK = {"backbone": "linear", "steps": 150, "learning_rate": 0.05, "seed": 0}


def rows_of(scm: ck.SCM, n: int = 1000, seed: int = 0) -> list[Environment]:
    return [Environment("a", scm.sample(n, seed=seed))]


def trace(predictions, cells, within, weights=None) -> float:
    f = torch.tensor(predictions).double()
    load = torch.ones(len(f)).double() if weights is None else torch.tensor(weights).double()
    return float(trace_of(f[:, None], load / load.sum(), torch.tensor(cells), torch.tensor(within)))


# counterfactual_invariance: laws and closed forms.


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_z_that_has_nothing_to_do_with_f_leaves_no_trace_on_average(seed: int) -> None:
    """Without bias however small the cells are; with the rows themselves as pairs it would be near .5."""
    draw = np.random.default_rng(seed)
    f, y = draw.standard_normal(40), np.arange(40) // 4
    found = [trace(f, draw.permuted(np.tile([0, 0, 1, 1], (10, 1)), axis=1).ravel() + 2 * y, y) for _ in range(60)]
    assert abs(np.mean(found)) < 5 * np.std(found) / np.sqrt(60) + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_trace_has_no_order_and_is_0_for_a_constant(seed: int, values: int) -> None:
    draw = np.random.default_rng(seed)
    f, z, y = draw.standard_normal(20), draw.integers(values, size=20), draw.integers(2, size=20)
    order = draw.permutation(20)
    found = trace(f, z + values * y, y)
    assert found == pytest.approx(trace(f[order], (z + values * y)[order], y[order]), abs=1e-12)
    assert found == pytest.approx(trace(f, (z + values * y) * 7 + 1, y + 3, np.ones(20)), abs=1e-12)  # names are names
    assert trace(np.ones(20), z + values * y, y) == pytest.approx(0.0, abs=1e-12)


def test_the_trace_of_two_values_in_closed_form() -> None:
    f = np.array([0.0, 0.0, 1.5, 1.5])
    mmd = 2 * sum(1 - np.exp(-gamma * 1.5**2) for gamma in GAMMAS)
    assert trace(f, [0, 0, 1, 1], [0, 0, 0, 0]) == pytest.approx(mmd / 4 * 4 / 3)  # n / (n - 1) of P(0) P(1) MMD^2
    assert trace(f, [0, 0, 1, 1], [0, 0, 1, 1]) == pytest.approx(0.0, abs=1e-12)  # y explains all of it
    assert trace([0.0, 0.0, 1.5, 1.5, 9.0], [0, 0, 1, 1, 2], [0, 0, 0, 0, 2]) == pytest.approx(mmd / 3)  # alone: no say
    weighed = trace([0.0, 0.0, 1.5, 1.5, 9.0], [0, 0, 1, 1, 1], [0] * 5, [1.25, 1.25, 1.25, 1.25, 0.0])
    assert weighed == pytest.approx(mmd / 3)


@pytest.mark.parametrize(
    ("text", "features", "forms"),
    [
        ("z -> x -> y", ["x"], {"causal"}),  # conditioning on y opens the collider z -> x <- noise
        ("z -> x -> y; z <-> y", ["x"], {"causal"}),  # Veitch et al., causal direction, confounded
        ("z -> x; y -> x; z <-> y", ["x"], {"anti_causal"}),  # Veitch et al., anti-causal
        ("z -> x; y -> x", ["x"], {"causal", "anti_causal"}),  # z goes with y for no reason
        ("w -> y; z -> x; y -> x; z <-> y", ["x"], {"anti_causal"}),
        ("w -> y; z -> x; y -> x; z <-> y", ["x", "w"], {"causal"} & {"anti_causal"}),  # y is a collider of w and z
        ("w -> z; w -> y; z -> x; y -> x", ["x", "w"], set()),  # w itself goes with z
        ("y -> z -> x", ["x"], {"causal", "anti_causal"}),  # x with z held is noise
        ("z -> v -> x; y -> x; z <-> y", ["x", "v", "z"], {"anti_causal"}),  # z among the features is a constant
    ],
)
def test_the_graph_says_which_form_is_implied(text: str, features: list[str], forms: set[str]) -> None:
    assert set(implied_forms(parse(text), "z", "y", features)) == forms


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_implied_independences_hold_in_counterfactuals(seed: int) -> None:
    """Linear-Gaussian: the features with z held at 0 are uncorrelated with z, given y or not, where it says so."""
    graph = ck.graphs.erdos_renyi(5, 2.0, seed=seed)
    order = list(ck.graphs.check_dag(graph).nodes)
    z, y, features = order[0], order[1], order[2:]
    draw = np.random.default_rng(seed)
    mechanisms = {v: ck.linear({p: float(draw.uniform(0.5, 1.5)) for p in graph.predecessors(v)}) for v in order}
    scm = ck.SCM(mechanisms)
    frame = scm.sample(4000, seed=seed)
    held = scm.counterfactual(frame, {z: 0.0})
    forms = implied_forms(scm.graph, z, y, features)
    for form, given_y in (("causal", False), ("anti_causal", True)):
        left = pd.DataFrame({"z": frame[z], **{v: held[v] for v in features}})
        if given_y:
            left = left - np.outer(frame[y] - frame[y].mean(), [left[c].cov(frame[y]) / frame[y].var() for c in left])
        largest = left.corr().loc["z", features].abs().max()
        assert (largest < 5 / np.sqrt(4000)) == (form in forms), (form, largest)


def test_cells_number_pairs_and_bins() -> None:
    frame = pd.DataFrame({"x": 0.0, "w": 0.0, "z": np.arange(40) % 2, "y": np.arange(40.0)})
    found = Cells("m", "z", "anti_causal", 4)([Environment("a", frame)], PAIR, 0)
    y, both = found["m, y"][0], found["m, z and y"][0]
    assert y.value_counts().to_dict() == dict.fromkeys(range(4), 10)  # quantile bins
    assert both.nunique() == 8 and (both // 4 == frame["z"]).all()
    assert Cells("m", "z", "causal", 4)([Environment("a", frame)], PAIR, 0)["m, y"][0].eq(0).all()


# counterfactual_invariance: what it is for.


TURNED = ANTI_CAUSAL.replace({"z": ck.logistic({"h": -2.0})})  # z goes with y the other way


def of_two(goal):
    return fit(rows_of(ANTI_CAUSAL), PAIR, objective=goal, **QUICK)


def share_of_x(model) -> float:
    """How much z's effect x counts beside its sibling w; the invariant linear predictor has 0."""
    weight = model.network.head.weight[0]
    return float(weight[0] / weight[1])


def test_the_right_form_takes_z_away_and_the_wrong_one_costs_more() -> None:
    tests = [Environment("same", ANTI_CAUSAL.sample(4000, seed=1)), Environment("turned", TURNED.sample(4000, seed=2))]
    goals = {f: counterfactual_invariance(form=f, weight=30.0, z="z") for f in ("causal", "anti_causal")}
    models = {name: of_two(goal) for name, goal in {"erm": "erm", **goals}.items()}
    same, turned = pd.DataFrame({k: evaluate(m, tests, PAIR)["rmse"] for k, m in models.items()}).to_numpy()
    assert abs(share_of_x(models["anti_causal"])) < 0.3 < 0.4 < share_of_x(models["erm"])
    assert (
        turned[0] > same[0] + 0.08 and turned[2] < turned[0] - 0.02 and turned[2] < same[2] + 0.06
    )  # erm, causal, anti_causal
    assert min(same[1], turned[1]) > max(same[2], turned[2]) + 0.05


@pytest.mark.parametrize("make", [lambda scm: scm, lambda scm: scm.graph], ids=["scm", "graph"])
def test_an_scm_or_a_graph_picks_the_form(make) -> None:
    train, options = rows_of(ANTI_CAUSAL, 100), {"steps": 10, "dtype": torch.float64, "seed": 0}
    goals = counterfactual_invariance(make(ANTI_CAUSAL), z="z"), counterfactual_invariance(form="anti_causal", z="z")
    one, two = (fit(train, PAIR, objective=goal, **options).predict(train[0].frame) for goal in goals)
    np.testing.assert_allclose(one, two)


def test_the_environment_is_a_node_that_the_user_adds() -> None:
    train = ck.sample_environments(TEACHING, {"a": None, "b": ck.shifts.spurious("y", strength=1.0)}, 100, seed=0)
    graph = TEACHING.graph.copy()
    with pytest.raises(ValueError, match=r"'environment'.*Add edges from it to what differs"):
        counterfactual_invariance(graph)
    graph.add_edge("environment", "x3")
    assert implied_forms(graph, "environment", "y", FIVE.features) == ("causal", "anti_causal")
    one, two = (
        fit(train, FIVE, objective=goal, steps=10, dtype=torch.float64, seed=0).predict(train[0].frame)
        for goal in (counterfactual_invariance(graph), counterfactual_invariance(form="anti_causal"))
    )
    np.testing.assert_allclose(one, two)


def test_classes_and_both_forms_together() -> None:
    frame = rows_of(ANTI_CAUSAL, 300)[0].frame
    train = [Environment("a", frame.assign(y=(frame["y"] > 0).astype(int)))]
    task = Task(("x", "w"), "y", "classification")
    goal = counterfactual_invariance(form="causal", z="z") + counterfactual_invariance(form="anti_causal", z="z")
    assert not fit(train, task, objective=goal, steps=5, batch=32, seed=0).diverged


# All: with the true and with a learned SCM, stacked, in sums, and weight 0.

MADE_OF = {
    "counterfactual_augmentation": lambda make, scm, weight: make(scm, weight, do="x3"),
    "counterfactual_consistency": lambda make, scm, weight: make(scm, weight),
    "counterfactual_invariance": lambda make, scm, weight: make(scm, weight, z="c"),
    "castle": lambda make, scm, weight: make(weight),
    "do_calculus": lambda make, scm, weight: make(scm, "x3", weight),
    "hsic": lambda make, scm, weight: make(weight),
}
BINARY = ck.SCM(
    {"c": ck.logistic(), "x1": ck.linear(), "y": ck.linear({"x1": 1.0}), "x3": ck.linear({"y": 1.0, "c": 1.0})}
)
THREE = Task(("x1", "x3"), "y")


def goal_of(name: str, weight: float, scm=BINARY):
    return MADE_OF[name](ck.OBJECTIVES[name], scm, weight)


@pytest.mark.parametrize("learned", [False, True], ids=["true", "learned"])
@pytest.mark.parametrize("name", sorted(MADE_OF))
def test_each_trains_with_a_true_or_learned_scm_and_stacked(name: str, learned: bool) -> None:
    trains = [rows_of(BINARY, 80, seed) for seed in range(2)]
    scm = ck.fit_scm(BINARY.graph, BINARY.sample(500, seed=9), mechanism="linear", seed=0) if learned else BINARY
    goal, options = goal_of(name, 1.0, scm), {"steps": 12, "dtype": torch.float64}
    together = fit_many(trains, THREE, objective=goal, seeds=[5, 6], **options)
    for model, train, seed in zip(together, trains, (5, 6), strict=True):
        alone = fit(train, THREE, objective=goal, seed=seed, **options)
        assert np.isfinite(model.history["objective"]).all()
        np.testing.assert_allclose(model.predict(train[0].frame), alone.predict(train[0].frame), rtol=1e-6, atol=1e-8)
    assert not fit(trains[0], THREE, objective=goal, steps=5, batch=16, seed=0).diverged


@pytest.mark.parametrize("name", sorted(set(MADE_OF)))
def test_weight_0_is_erm_and_weights_may_differ_between_replicates(name: str) -> None:
    train, options = rows_of(BINARY, 80), {"steps": 12, "dtype": torch.float64}
    goals = [goal_of(name, weight) for weight in (0.0, 5.0)]
    models = fit_many([train] * 2, THREE, objective=goals, seeds=[0, 0], **options)
    plain = fit(train, THREE, objective="erm", seed=0, **options).predict(train[0].frame)
    np.testing.assert_allclose(models[0].predict(train[0].frame), plain, atol=1e-9)
    assert not np.allclose(models[1].predict(train[0].frame), plain, atol=1e-6)


def test_they_add_to_each_other() -> None:
    goals = [goal_of(name, 1.0) for name in sorted(MADE_OF)]
    both = sum(goals[1:], goals[0]) + do_calculus(BINARY, "x1")
    assert not fit(rows_of(BINARY, 60), THREE, objective=both, steps=5, seed=0).diverged


def test_a_batch_by_hand_is_told_to_train_with_fit() -> None:
    batch = Batch((torch.zeros(2),), (torch.zeros(2),), (torch.zeros(2),))
    for goal in (counterfactual_invariance(form="causal"), do_calculus(BINARY, "x1")):
        with pytest.raises(ValueError, match=r"train with ck\.fit"):
            goal(batch)


# Bad input.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "the wrong one hurts.*form='causal'.*or hand over a graph"),
        ({"form": "causl"}, "unknown form of counterfactual_invariance 'causl'.*did you mean 'causal'"),
        ({"graph": parse("x -> y"), "z": "zz"}, "unknown variable of the graph 'zz'"),
        ({"graph": ck.graphs.cpdag(parse("z -> x -> y")), "z": "z"}, "DAG|cycle"),
        ({"form": "causal", "bins": 1}, "bins 1"),
    ],
)
def test_what_names_no_form_is_refused(given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        counterfactual_invariance(**given)


@pytest.mark.parametrize(
    ("given", "frame", "words"),
    [
        ({"form": "causal", "z": "q"}, {}, "column of environment 'a' 'q'"),
        ({"form": "causal", "z": "z"}, {"z": 1}, "z='z' has 1 value.*tells nothing"),
        ({"form": "causal", "z": "w"}, {}, "cut it into at most 20 bins"),
        ({"form": "anti_causal", "z": "z"}, {"y": lambda f: 1.0 * f["z"]}, "the target determines z='z'"),
        ({"graph": parse("v -> z, y; z -> x; y -> x; v -> w"), "z": "z"}, {}, "implies neither form for z='z'"),
        ({"graph": parse("z -> x -> y"), "z": "z"}, {}, "unknown variable of the graph 'w'"),
        ({"form": "causal"}, {}, "environments"),
    ],
)
def test_what_has_no_trace_to_look_for_is_named(given: dict, frame: dict, words: str) -> None:
    train = [Environment("a", ANTI_CAUSAL.sample(50, seed=0).assign(**frame))]
    with pytest.raises(ValueError, match=words):
        fit(train, PAIR, objective=counterfactual_invariance(**given), steps=2, seed=0)
