"""Sweeps: draws, rules and what they cost."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.training import choose, fit, sweep, trials

TASK = ck.Task(("x", "z"), "y")
OPTIONS = {"backbone": "linear", "steps": 60}


def data(seed: int) -> tuple[list[ck.Environment], ...]:
    """x -> y -> z, the effect's weight moves; at test it points the other way."""
    parts = []
    for part, weights in enumerate([(2.0, 1.0, 0.5)] * 2 + [(-1.0, -2.0)]):
        scms = [ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": w})}) for w in weights]
        parts.append(
            [ck.Environment(f"e{i}", scm.sample(200, seed=100 * seed + 10 * part + i)) for i, scm in enumerate(scms)]
        )
    return tuple(parts)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return trials(data, TASK, ["erm", "irm"], draws=4, seeds=3, **OPTIONS)


def test_every_run_is_there_once_and_the_first_draw_has_the_defaults(runs) -> None:
    assert len(runs) == 2 * 3 * 4
    assert not runs.duplicated(["objective", "seed", "draw"]).any()
    first = runs[runs["draw"] == 0]
    assert (first["learning_rate"] == 0.02).all() and (first["weight_decay"] == 0.0).all()
    drawn = runs[runs["draw"] > 0]
    assert drawn["learning_rate"].between(1e-3, 1e-1).all()
    assert drawn.loc[drawn["objective"] == "irm", "weight"].between(1.0, 1e4).all()
    assert drawn.groupby(["objective", "draw"])["learning_rate"].nunique().eq(1).all()  # shared by the data seeds


def test_a_run_is_the_training_alone(runs) -> None:
    from causalkit.seeds import integer

    row = runs[(runs["objective"] == "irm") & (runs["seed"] == 2) & (runs["draw"] == 3)].iloc[0]
    train, valid, test = data(2)
    model = fit(train, TASK, objective=ck.objectives.irm(row["weight"]), learning_rate=row["learning_rate"],
                weight_decay=row["weight_decay"], seed=integer(0, "model", 2, 3), **OPTIONS)  # fmt: skip
    mse = [np.mean((e.frame["y"] - model.predict(e.frame)) ** 2) for part in (valid, test) for e in part]
    assert row["train_domain"] == pytest.approx(np.mean(mse[:3]), rel=1e-4)
    assert row["test"] == pytest.approx(np.mean(mse[3:]), rel=1e-4)
    assert row["test_e1"] == pytest.approx(mse[4], rel=1e-4)


def test_leave_one_out_is_the_mean_over_who_is_left_out(runs) -> None:
    from causalkit.seeds import integer

    row = runs[(runs["objective"] == "erm") & (runs["seed"] == 1) & (runs["draw"] == 0)].iloc[0]
    train, valid, _ = data(1)
    errors = []
    for e in range(3):
        model = fit(train[:e] + train[e + 1 :], TASK, seed=integer(0, "model", 1, 0), **OPTIONS)
        errors.append(np.mean((valid[e].frame["y"] - model.predict(valid[e].frame)) ** 2))
    assert row["leave_one_out"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_the_oracle_is_never_beaten_and_pays_in_queries(runs) -> None:
    tables = {rule: choose(runs, rule).set_index("objective") for rule in ck.training.RULES}
    for name in ("erm", "irm"):
        assert tables["oracle"].loc[name, "error"] <= min(t.loc[name, "error"] for t in tables.values())
        assert tables["oracle"].loc[name, "test_queries"] == 4
        assert (
            tables["train_domain"].loc[name, "test_queries"] == tables["leave_one_out"].loc[name, "test_queries"] == 0
        )


def test_the_interval_is_students(runs) -> None:
    row = choose(runs[runs["draw"] == 0], "train_domain").iloc[0]
    errors = runs[(runs["draw"] == 0) & (runs["objective"] == "erm")]["test"]
    half = 4.302652729911275 * errors.std(ddof=1) / np.sqrt(3)  # t with 2 degrees of freedom, 97.5 %
    assert (row["low"], row["high"]) == pytest.approx((errors.mean() - half, errors.mean() + half))


def test_one_draw_for_all_seeds_or_one_each(runs) -> None:
    together = choose(runs, "oracle", per="sweep").set_index("objective")
    apart = choose(runs, "oracle", per="seed").set_index("objective")
    assert (apart["error"] <= together["error"] + 1e-12).all()
    best = runs[runs["objective"] == "irm"].groupby("draw")["test"].mean()
    assert together.loc["irm", "draw"] == best.idxmin() and together.loc["irm", "error"] == pytest.approx(best.min())


def test_what_selection_knows_decides() -> None:
    """In the training domain the effect pays: its rule takes weak penalties, the oracle strong ones."""
    space = {"weight": [1e-3, 1e3]}
    table = sweep(data, TASK, ["irm"], draws=6, seeds=3, space=space, backbone="linear", steps=300)
    errors = table.set_index("rule")["error"]
    assert errors["oracle"] < 0.7 * errors["train_domain"]


def test_a_space_of_ones_own(runs) -> None:
    space = {"weight": lambda rng: 7.0, "learning_rate": (0.5, 0.5)}
    mine = trials(
        data, TASK, {"mine": ck.objectives.irm}, draws=2, seeds=[5], space=space, leave_one_out=False, steps=3
    )
    assert mine["objective"].unique() == ["mine"] and mine["seed"].tolist() == [5, 5]
    assert mine.loc[1, "weight"] == 7.0 and mine.loc[1, "learning_rate"] == pytest.approx(0.5)
    assert "leave_one_out" not in mine
    with pytest.raises(ValueError, match="'leave_one_out' was not measured"):
        choose(mine, "leave_one_out")


def test_a_diverged_run_is_counted_and_never_chosen() -> None:
    space = {"learning_rate": [1e30]}
    mine = trials(data, TASK, ["erm"], draws=2, seeds=2, space=space, leave_one_out=False, optimiser="sgd", steps=20)
    assert mine["diverged"].tolist() == [False, True, False, True] and np.isinf(mine.loc[1, "test"])
    row = choose(mine, "oracle").iloc[0]
    assert np.isfinite(row["error"]) and row["diverged"] == 0.5 and row["draw"] == 0


def test_classes_are_scored_by_wrong_labels() -> None:
    def coin(seed: int):
        return [
            [ck.Environment("a", e.frame.assign(y=(e.frame["y"] > 0).astype(int))) for e in part[:1]]
            for part in data(seed)
        ]

    task = ck.Task(("x", "z"), "y", "classification")
    row = trials(coin, task, ["erm"], draws=1, seeds=1, leave_one_out=False, **OPTIONS).iloc[0]
    assert 0.0 < row["train_domain"] < 0.3 and 0.3 < row["test"] < 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": ["orcale"]}, "unknown rule 'orcale'; did you mean 'oracle'"),
        ({"per": "sed"}, "did you mean 'seed'"),
        ({"objectives": ["irn"]}, "unknown objective 'irn'; did you mean 'irm'"),
        ({"draws": 0}, "at least one of each"),
        ({"seeds": []}, "at least one of each"),
        ({"data": lambda seed: data(seed)[:2]}, "2 lists of environments: return three"),
        ({"data": lambda seed: (data(seed)[0], data(seed)[2], data(seed)[2])}, "are not the training ones"),
        ({"data": lambda seed: [part[:2] for part in data(seed)]}, "trains irm on 1 environments, and it needs 2"),
    ],
)
def test_what_is_refused(change, message) -> None:
    options = {"data": data, "task": TASK, "objectives": ["irm"], "draws": 2, "seeds": 1, "steps": 2} | change
    with pytest.raises(ValueError, match=message):
        sweep(**options)
