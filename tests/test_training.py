"""Training: replicates are apart, closed forms are met, invariance pays under a spurious shift, doors hold."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from causalkit import graphs
from causalkit.environments import Environment, Task
from causalkit.mechanisms import linear
from causalkit.model import BACKBONES
from causalkit.objectives import erm, group_dro, irm, squared_error, vrex
from causalkit.scm import SCM
from causalkit.training import Diverged, evaluate, fit, fit_many

TASK = Task(("x", "z"), "y")
CHAIN = graphs.parse("x -> y -> z")


def chain(name: str, weight: float, seed: int, n: int = 1000) -> Environment:
    """x -> y -> z: the anticausal weight of z is what shifts; the noise of y has standard deviation 1."""
    scm = SCM({"x": linear(), "y": linear({"x": 1.0}), "z": linear({"y": weight})})
    return Environment(name, scm.sample(n, seed=seed))


def chains(seed: int = 0, n: int = 1000, weights: tuple[float, ...] = (2.0, 1.0, 0.2)) -> list[Environment]:
    return [chain(f"e{i}", weight, 10 * seed + i, n) for i, weight in enumerate(weights)]


def blobs(labels: tuple[int, ...], seed: int, n: int = 300) -> Environment:
    rng = np.random.default_rng(seed)
    number = rng.integers(len(labels), size=n)
    centres = np.array([[0.0, 2.0], [2.0, 0.0], [-2.0, -1.0]])
    points = centres[number] + rng.normal(size=(n, 2))
    return Environment(
        f"blobs {seed}", pd.DataFrame({"x": points[:, 0], "z": points[:, 1], "y": np.array(labels)[number]})
    )


def same(a, b) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.network.parameters(), b.network.parameters(), strict=True))


# Laws of replicates and seeds.


@pytest.mark.parametrize("batch", [None, 16])
def test_the_same_seed_gives_the_same_numbers(batch: int | None) -> None:
    train = chains(n=100)
    one, two = (fit(train, TASK, objective="irm", steps=30, batch=batch, seed=5) for _ in range(2))
    assert same(one, two)
    pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
    assert not same(one, fit(train, TASK, objective="irm", steps=30, batch=batch, seed=6))


def test_a_generator_is_a_seed() -> None:
    train = chains(n=50)
    one, two = (fit(train, TASK, steps=5, seed=torch.Generator().manual_seed(3)) for _ in range(2))
    assert same(one, two)


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    train = chains(n=50)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = fit(train, TASK, steps=5, batch=8, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert same(one, fit(train, TASK, steps=5, batch=8, seed=0))


@pytest.mark.parametrize("objective", [erm(), irm(100.0) + vrex(10.0), group_dro(1.0)], ids=lambda o: o.name)
@pytest.mark.parametrize("batch", [None, 16])
def test_a_stacked_replicate_is_the_replicate_alone(objective, batch) -> None:
    """Replicates differ in data, graph and seed; in float64 stacking changes rounding alone."""
    trains, seeds = [chains(seed, n=60) for seed in range(3)], [7, 8, 9]
    maps = [CHAIN, graphs.parse("z -> y; x"), graphs.parse("x, z -> y")]
    settings = {"objective": objective, "steps": 40, "batch": batch, "dtype": torch.float64}
    together = fit_many(trains, TASK, graphs=maps, seeds=seeds, **settings)
    for model, train, graph, seed in zip(together, trains, maps, seeds, strict=True):
        alone = fit(train, TASK, graph=graph, seed=seed, **settings)
        np.testing.assert_allclose(model.predict(train[0].frame), alone.predict(train[0].frame), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(model.history, alone.history, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_excluded_columns_have_no_influence(backbone: str, kind: str) -> None:
    train = [blobs((0, 1, 2), seed) for seed in range(2)]
    task = Task(("x", "z"), "y", kind)
    model = fit(train, task, graph=CHAIN, backbone=backbone, steps=20, seed=0)
    frame = train[0].frame
    changed = frame.assign(z=-1000.0 * frame["z"] + 5.0)
    np.testing.assert_array_equal(model.predict(frame), model.predict(changed))
    retrained = fit([Environment(e.name, e.frame.assign(z=e.frame["z"] ** 2)) for e in train], task, graph=CHAIN,
                    backbone=backbone, steps=20, seed=0)  # fmt: skip
    np.testing.assert_array_equal(model.predict(frame), retrained.predict(frame))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(-1e6, 1e6), st.sampled_from(["erm", "irm", "vrex", "group_dro"]))
def test_predictions_follow_the_units_of_the_target(scale: float, shift: float, objective: str) -> None:
    train = chains(n=40)
    moved = [Environment(e.name, e.frame.assign(y=shift + scale * e.frame["y"])) for e in train]
    options = {"objective": objective, "steps": 10, "dtype": torch.float64, "seed": 0}
    expected = shift + scale * fit(train, TASK, **options).predict(train[0].frame)
    actual = fit(moved, TASK, **options).predict(train[0].frame)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-4 * scale)


# Oracles.


def test_linear_erm_is_least_squares_in_any_units() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(600, 5)) @ rng.normal(size=(5, 5))  # correlated features
    values = mixed * [1.0, 1000.0, 0.01, 1.0, 1.0] + [0.0, 1e5, 0.0, -3.0, 0.0]
    target = 50.0 + mixed @ [1.0, -2.0, 0.0, 0.5, 3.0] + rng.normal(size=600)
    frame = pd.DataFrame(values, columns=list("abcde")).assign(y=target)
    train, task = [Environment("1", frame[:300]), Environment("2", frame[300:])], Task(tuple("abcde"), "y")
    model = fit(train, task, backbone="linear", seed=0)
    design = np.c_[np.ones(600), values]
    expected = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    np.testing.assert_allclose(model.predict(frame), expected, atol=1e-3 * target.std())


def test_linear_erm_with_environments_of_different_size_weighs_environments() -> None:
    small, large = chain("small", 2.0, 0, n=100), chain("large", 0.5, 1, n=900)
    model = fit([small, large], TASK, backbone="linear", seed=0)
    frame = pd.concat([small.frame, large.frame])
    design = np.c_[np.ones(1000), frame[["x", "z"]]] * np.sqrt(np.repeat([1 / 100, 1 / 900], [100, 900]))[:, None]
    target = frame["y"].to_numpy() * np.sqrt(np.repeat([1 / 100, 1 / 900], [100, 900]))
    expected = np.c_[np.ones(1000), frame[["x", "z"]]] @ np.linalg.lstsq(design, target, rcond=None)[0]
    np.testing.assert_allclose(model.predict(frame), expected, atol=1e-3)


def test_linear_classification_is_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    train = [blobs((3, 7, 11), 0), blobs((3, 7, 11), 1)]
    task = Task(("x", "z"), "y", "classification")
    model = fit(train, task, backbone="linear", learning_rate=0.1, seed=0)
    frame = pd.concat([e.frame for e in train])
    oracle = LogisticRegression(C=1e8).fit(frame[["x", "z"]].to_numpy(), frame["y"])
    np.testing.assert_allclose(
        model.predict_proba(frame), oracle.predict_proba(frame[["x", "z"]].to_numpy()), atol=5e-3
    )


def test_classes_keep_their_labels() -> None:
    task = Task(("x", "z"), "y", "classification")
    model = fit([blobs((3, 7, 11), 0)], task, steps=100, seed=0)
    test = blobs((3, 7, 11), 2)
    assert model.classes.tolist() == [3, 7, 11]
    assert set(model.predict(test.frame)) == {3, 7, 11}
    probability = model.predict_proba(test.frame)
    assert probability.shape == (300, 3)
    np.testing.assert_allclose(probability.sum(1), 1.0)
    assert evaluate(model, [test], task)["accuracy"].item() > 0.75


def test_an_mlp_fits_what_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    frame = pd.DataFrame(x, columns=["x", "z"]).assign(y=x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=2000))
    train, test = [Environment("train", frame[:1000])], [Environment("test", frame[1000:])]
    errors = {b: evaluate(fit(train, TASK, backbone=b, seed=0), test, TASK)["rmse"].item() for b in BACKBONES}
    assert errors["mlp"] < 0.3 < 0.8 < errors["linear"]


def test_invariance_pays_under_a_spurious_shift() -> None:
    """Train where z follows y with weights 2, 1, 0.2, test where it is -1: the cause alone has rmse 1."""
    trains, test = [chains(seed) for seed in range(3)], [chain("test", -1.0, 999, 4000)]

    def shifted(**options) -> float:
        models = fit_many(trains, TASK, backbone="linear", seeds=range(3), **options)
        return float(np.mean([evaluate(model, test, TASK)["rmse"] for model in models]))

    spurious = shifted(objective=erm())
    assert spurious > 1.4
    assert shifted(objective=erm(), graphs=[CHAIN] * 3) == pytest.approx(1.0, abs=0.05)
    assert shifted(objective=irm(100.0)) < 1.15
    assert shifted(objective=vrex(100.0)) < 1.15
    assert shifted(graphs=[CHAIN] * 3, encoder="markov_blanket") == pytest.approx(spurious, rel=1e-4)


def test_a_parents_mask_from_the_wrong_member_of_the_class_keeps_the_spurious_child() -> None:
    test = [chain("test", -1.0, 999)]
    wrong = fit(chains(), TASK, graph=graphs.parse("z -> y -> x"), encoder="parents", backbone="linear", seed=0)
    right = fit(chains(), TASK, graph=CHAIN, encoder="parents", backbone="linear", seed=0)
    assert evaluate(wrong, test, TASK)["rmse"].item() > 1.5 * evaluate(right, test, TASK)["rmse"].item()


def test_group_dro_lowers_the_worst_risk() -> None:
    risks = {}
    for objective in (erm(), group_dro(0.1)):
        history = fit(chains(), TASK, objective=objective, backbone="linear", seed=0).history
        risks[objective.name] = history[["risk_e0", "risk_e1", "risk_e2"]].iloc[-1].max()
    assert risks["group_dro(eta=0.1)"] < 0.95 * risks["erm"]


def test_a_function_of_ones_own_is_an_objective() -> None:
    def mine(batch):
        return sum(losses.mean() for losses in batch.losses) / len(batch.losses)

    train = chains(n=50)
    one, two = fit(train, TASK, objective=mine, steps=20, seed=0), fit(train, TASK, steps=20, seed=0)
    assert one.objective == "mine"
    np.testing.assert_allclose(one.predict(train[0].frame), two.predict(train[0].frame), rtol=1e-4, atol=1e-5)


def test_what_an_objective_sees() -> None:
    seen = {}

    def look(batch):
        seen["shapes"] = [tuple(field[1].shape) for field in (batch.predictions, batch.features, batch.inputs)]
        seen["loss"] = batch.loss
        seen["same"] = len(batch.losses) == len(batch.targets) == 2
        return batch.risks.mean()

    fit([chain("a", 1.0, 0, 30), chain("b", 1.0, 1, 20)], TASK, objective=look, steps=1, seed=0)
    assert seen == {"shapes": [(20,), (20, 16), (20, 2)], "loss": squared_error, "same": True}


def test_raw_units_on_request() -> None:
    train = [chain("a", 1.0, 0)]
    raw = fit(train, TASK, standardise=False, steps=1, seed=0)
    assert raw.history["risk"][0] == pytest.approx((train[0].frame["y"] ** 2).mean(), rel=1e-4)  # starts at 0
    assert fit(train, TASK, steps=1, seed=0).history["risk"][0] == pytest.approx(1.0, rel=1e-4)  # starts at the mean


def test_weight_decay_shrinks_predictions() -> None:
    train = [chain("a", 1.0, 0)]
    spreads = [np.std(fit(train, TASK, weight_decay=w, seed=0).predict(train[0].frame)) for w in (0.0, 0.1, 1.0)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.5 * spreads[0]


def test_a_constant_feature_does_no_harm() -> None:
    train = [Environment(e.name, e.frame.assign(z=3.0)) for e in chains(n=50)]
    assert np.isfinite(fit(train, TASK, steps=5, seed=0).predict(train[0].frame)).all()


def test_history_says_how_training_went() -> None:
    model = fit(chains(), TASK, objective=vrex(10.0), backbone="linear", steps=250, seed=0)
    history = model.history
    assert history.columns.tolist() == ["step", "objective", "risk", "gradient", "risk_e0", "risk_e1", "risk_e2"]
    assert history["step"].tolist() == list(range(0, 251, 2))
    assert history["objective"].iloc[-1] < history["objective"].iloc[0]
    risks = history[["risk_e0", "risk_e1", "risk_e2"]]
    np.testing.assert_allclose(history["risk"], risks.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(history["objective"], history["risk"] + 10.0 * risks.var(axis=1, ddof=0), rtol=1e-4)
    assert model.report["gradient"] < 1e-3 and model.report["verdict"] == "converged"
    assert 0 < model.report["settled"] < 250 and model.report["steps"] == 250
    assert repr(model) == "Model(y from x, z; vrex(weight=10))"


# Evaluation.


def test_evaluate_a_regression_by_hand() -> None:
    train = [chain("a", 1.0, 0, 200)]
    model = fit(train, TASK, steps=20, seed=0)
    test = [chain("b", -1.0, 1, 400), train[0]]
    table = evaluate(model, test, TASK)
    assert table.columns.tolist() == ["environment", "n", "rmse", "se"]
    assert table["environment"].tolist() == ["b", "a"]
    assert table["n"].tolist() == [400, 200]
    squares = (test[0].frame["y"].to_numpy() - model.predict(test[0].frame)) ** 2
    assert table["rmse"][0] == pytest.approx(np.sqrt(squares.mean()))
    rng = np.random.default_rng(0)
    bootstrap = np.sqrt(squares[rng.integers(400, size=(4000, 400))].mean(1)).std()
    assert table["se"][0] == pytest.approx(bootstrap, rel=0.1)


def test_evaluate_a_classification_by_hand() -> None:
    task = Task(("x", "z"), "y", "classification")
    train, test = [blobs((2, 5), 0)], blobs((2, 5), 1)
    model = fit(train, task, steps=60, seed=0)
    table = evaluate(model, [test], task)
    assert table.columns.tolist() == ["environment", "n", "accuracy", "log_loss", "se"]
    truth, probability = test.frame["y"].to_numpy(), model.predict_proba(test.frame)
    hits = model.predict(test.frame) == truth
    assert table["accuracy"].item() == hits.mean()
    assert table["log_loss"].item() == pytest.approx(-np.log(np.where(truth == 2, *probability.T)).mean())
    assert table["se"].item() == pytest.approx(hits.std(ddof=1) / np.sqrt(300))


def test_evaluate_refuses_what_the_model_never_saw() -> None:
    task = Task(("x", "z"), "y", "classification")
    model = fit([blobs((0, 1), 0)], task, steps=5, seed=0)
    with pytest.raises(ValueError, match=r"'blobs 1' has the label 9.*never saw \(it saw 0, 1\)"):
        evaluate(model, [blobs((0, 9), 1)], task)
    with pytest.raises(ValueError, match="own task"):
        evaluate(model, [blobs((0, 1), 1)], TASK)
    with pytest.raises(ValueError, match="put it into a list"):
        evaluate(model, blobs((0, 1), 1), task)


# Doors.


def test_predict_checks_the_frame() -> None:
    model = fit([chain("a", 1.0, 0, 50)], TASK, steps=2, seed=0)
    with pytest.raises(ValueError, match="'z'"):
        model.predict(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="NaN"):
        model.predict(pd.DataFrame({"x": [1.0], "z": [np.nan]}))
    with pytest.raises(ValueError, match="regression"):
        model.predict_proba(pd.DataFrame({"x": [1.0], "z": [1.0]}))
    np.testing.assert_array_equal(
        model.predict(pd.DataFrame({"z": [2.0], "other": [9.0], "x": [1.0]})),
        model.predict(pd.DataFrame({"x": [1.0], "z": [2.0]})),
    )


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        (chain("a", 1.0, 0, 20), {}, r"a' alone|list of environments, got Environment\('a'"),
        ([], {}, "at least one Environment"),
        ([chain("a", 1.0, 0, 20).frame], {}, "expected an Environment, got DataFrame"),
        ([chain("a", 1.0, 0, 20)] * 2, {}, "two environments are called 'a'"),
        ([Environment("a", pd.DataFrame({"x": [0.0], "y": [0.0]}))], {}, "environment 'a': unknown column 'z'"),
        ([chain("a", 1.0, 0, 20)], {"objective": irm(1.0)}, r"irm\(weight=1\).*at least 2.*'a' is alone.*erm\(\)"),
        ([chain("a", 1.0, 0, 20)], {"objective": "group_dro"}, "group_dro.*at least 2"),
        ([chain("a", 1.0, 0, 20)], {"objective": erm() + vrex(1.0)}, "vrex.*at least 2"),
        (chains(n=20), {"objective": "irmm"}, "unknown objective 'irmm'; did you mean 'irm'"),
        (chains(n=20), {"objective": irm}, "call it"),
        (chains(n=20), {"objective": 3.0}, "not an objective"),
        (chains(n=20), {"backbone": "mpl"}, "unknown backbone 'mpl'; did you mean 'mlp'"),
        (chains(n=20), {"encoder": "parent", "graph": CHAIN}, "did you mean 'parents'"),
        (chains(n=20), {"encoder": "parents"}, "reads a graph"),
        (chains(n=20), {"steps": 0}, "steps 0"),
        (chains(n=20), {"learning_rate": -1.0}, "learning_rate -1.0"),
        (chains(n=20), {"weight_decay": float("nan")}, "weight_decay nan"),
        (chains(n=20), {"batch": 0}, "batch 0"),
        (chains(n=20), {"hold_out": 1.0}, "hold_out 1.0"),
        (chains(n=20), {"patience": 5}, "give hold_out"),
        (chains(n=20), {"patience": 0, "hold_out": 0.2}, "patience 0"),
        (chains(n=20), {"optimiser": "adm"}, "unknown optimiser 'adm'; did you mean 'adam'"),
        (chains(n=20), {"optimiser": "lbfgs", "batch": 5}, "lbfgs.*use optimiser='adam'"),
        (chains(n=20), {"optimiser": "lbfgs", "objective": "group_dro"}, "lbfgs.*use optimiser='adam'"),
        (chains(n=20), {"schedule": "cosin"}, "did you mean 'cosine'"),
        (chains(n=20), {"device": "gpu"}, "device 'gpu'.*cpu"),
        (chains(n=20), {"weights": [np.ones(20)]}, "3 arrays"),
        (chains(n=20), {"weights": [np.ones(20), np.ones(20), np.ones(19)]}, "'e2'.*of its 20 rows"),
        (chains(n=20), {"weights": [np.ones(20), -np.ones(20), np.ones(20)]}, "'e1' are negative"),
        (chains(n=20), {"weights": [np.ones(20), np.full(20, np.nan), np.ones(20)]}, "'e1' are negative, NaN"),
        (chains(n=20), {"objective": [irm(1.0), irm(2.0)]}, "2 objectives for 1 seeds"),
        (chains(n=20), {"seed": -1}, "seed -1"),
    ],
)
def test_what_fit_refuses(train, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(train, TASK, **({"seed": 0} | options))


def test_tasks_that_are_refused() -> None:
    train = [chain("a", 1.0, 0, 20)]
    with pytest.raises(ValueError, match="expected a Task, got str"):
        fit(train, "y", seed=0)
    with pytest.raises(ValueError, match="unknown column 'w'"):
        fit(train, Task(("x",), "w"), seed=0)
    with pytest.raises(ValueError, match="integer codes"):
        fit(train, Task(("x",), "y", "classification"), seed=0)
    with pytest.raises(ValueError, match="one label only"):
        fit([Environment("a", train[0].frame.assign(y=1))], Task(("x",), "y", "classification"), seed=0)


def test_replicates_must_match() -> None:
    with pytest.raises(ValueError, match="2 training sets, 3 graphs, 3 sets of weights and 3 seeds"):
        fit_many([chains(n=20)] * 2, TASK, seeds=range(3))
    with pytest.raises(ValueError, match="differ in shape"):
        fit_many([chains(n=20), chains(n=21)], TASK, seeds=range(2))
    task = Task(("x", "z"), "y", "classification")
    relabelled = Environment("blobs 0", blobs((0, 1), 0).frame)
    with pytest.raises(ValueError, match="numbers of classes"):
        fit_many([[blobs((0, 1, 2), 0)], [relabelled]], task, seeds=range(2))


def test_divergence_names_the_replicate_the_environment_and_the_step_and_spares_the_others() -> None:
    calm, wild = chains(n=20), [Environment(e.name, 1e30 * e.frame) for e in chains(n=20)]
    options = {"standardise": False, "steps": 30, "learning_rate": 1e-3}
    first, second = fit_many([calm, wild], TASK, seeds=[3, 4], **options)
    assert not first.diverged and first.report["verdict"] != second.report["verdict"]
    expected = fit(calm, TASK, seed=3, **options).predict(calm[0].frame)
    np.testing.assert_allclose(first.predict(calm[0].frame), expected, atol=1e-5)
    assert second.diverged.startswith("objective erm diverged at step 0 in replicate 1: the risk of environment 'e0'")
    assert second.report["verdict"] == second.diverged
    with pytest.raises(Diverged, match=r"replicate 1.*no predictions"):
        second.predict(wild[0].frame)
    with pytest.raises(Diverged, match=r"diverged at step \d+ .*learning_rate"):
        fit(calm, TASK, learning_rate=1e20, seed=0)

    def broken(batch):
        return batch.risks.mean() * float("nan")

    with pytest.raises(Diverged, match="broken diverged at step 0 in replicate 0: a penalty"):
        fit(calm, TASK, objective=broken, seed=0)
