"""do_calculus: adjusted means against known effects, from every source; and hsic in place of the risk."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import causalkit as ck
from causalkit.environments import Environment, Task
from causalkit.objectives import Batch, do_calculus, hsic, squared_error
from causalkit.objectives.do_calculus import Adjusted
from causalkit.training import fit

# v confounds t and y; w is an effect of y
CLINIC = ck.SCM(
    {"v": ck.linear(), "t": ck.linear({"v": 1.0}), "y": ck.linear({"t": 1.0, "v": 3.0}), "w": ck.linear({"y": 1.0})}
)


QUICK = {"backbone": "linear", "steps": 150, "learning_rate": 0.05, "seed": 0}


def rows_of(scm: ck.SCM, n: int = 1000, seed: int = 0) -> list[Environment]:
    return [Environment("a", scm.sample(n, seed=seed))]


def slope(model, name: str, at: pd.DataFrame) -> float:
    return float(np.mean(model.predict(at.assign(**{name: 1.0})) - model.predict(at.assign(**{name: 0.0}))))


TABLE = pd.DataFrame({"t": [-1.0, 0.0, 1.0], "y": [-1.0, 0.0, 1.0]})
SOURCES = {
    "true": lambda: CLINIC,
    "learned": lambda: ck.fit_scm(CLINIC.graph, rows_of(CLINIC, 5000)[0].frame, mechanism="linear", seed=0),
    "learns": lambda: lambda train: ck.fit_scm(CLINIC.graph, train[0].frame, mechanism="linear", seed=0),
    "table": lambda: TABLE,
    "estimand": lambda: SimpleNamespace(
        outcome=("y",), do=("t",), graph=CLINIC.graph,
        estimate=lambda frame, do, *, bootstrap, seed: SimpleNamespace(value=do["t"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("features", [("t",), ("t", "v", "w")])
def test_the_adjusted_mean_moves_as_the_effect_says(source: str, features: tuple[str, ...]) -> None:
    """t does 1.0; its association is 2.5, and with the effect w in the features its coefficient is .5."""
    train, task = rows_of(CLINIC, 1000), Task(features, "y")
    goal = do_calculus(SOURCES[source](), "t", weight=300.0)
    model = fit(train, task, objective=goal, **QUICK)
    assert slope(model, "t", train[0].frame[list(features)]) == pytest.approx(1.0, abs=0.12)


def test_an_identified_estimand_says_what_the_counts_say() -> None:
    scm = ck.SCM({"z": ck.logistic(), "t": ck.logistic({"z": 2.0}), "y": ck.linear({"t": 1.0, "z": 3.0})})
    estimand = ck.identification.identify(scm.graph, "y", ["t"])
    train, task = rows_of(scm, 5000), Task(("t",), "y")
    model = fit(train, task, objective=do_calculus(estimand, "t", 1000.0), **QUICK)
    frame = train[0].frame
    cells, share = frame.groupby(["t", "z"])["y"].mean(), frame["z"].value_counts(normalize=True)
    counted = sum(share[z] * (cells[1, z] - cells[0, z]) for z in (0, 1))
    assert slope(model, "t", frame[["t"]]) == pytest.approx(counted, abs=0.03)


def test_of_an_effect_it_says_that_setting_it_does_nothing() -> None:
    train, goal = rows_of(CLINIC, 2000), do_calculus(CLINIC, "w", weight=300.0)
    model = fit(train, Task(("t", "v", "w"), "y"), objective=goal, **QUICK)
    assert abs(slope(model, "w", train[0].frame)) < 0.05


def test_several_treatments_are_set_at_once_and_teach_the_mechanism() -> None:
    train, goal = rows_of(CLINIC, 2000), do_calculus(CLINIC, ["t", "v"], weight=300.0)
    model = fit(train, Task(("t", "v", "w"), "y"), objective=goal, **QUICK)
    assert slope(model, "t", train[0].frame) == pytest.approx(1.0, abs=0.1)
    assert slope(model, "v", train[0].frame) == pytest.approx(3.0, abs=0.1)


def test_levels_are_quantiles_or_all_codes() -> None:
    frame = CLINIC.sample(500, seed=0)
    made = Adjusted("m", CLINIC, ("t",), 4)([Environment("a", frame)], Task(("t", "v"), "y"), 0)
    assert list(made) == [f"m, level {k}" for k in range(4)]
    assert [made[f"m, level {k}"][0]["t"].iloc[0] for k in range(4)] == pytest.approx(
        np.quantile(frame["t"], [0.125, 0.375, 0.625, 0.875])
    )
    first, last = (made[f"m, level {k}"][0] for k in (0, 3))
    np.testing.assert_array_equal(first["v"], frame["v"])  # what is not set stays
    # common noise: the means differ by exactly the effect of t
    assert last["y"].iloc[0] - first["y"].iloc[0] == pytest.approx(last["t"].iloc[0] - first["t"].iloc[0])
    scm = ck.SCM({"t": ck.logistic(), "y": ck.linear({"t": 1.0})})
    assert len(Adjusted("m", scm, ("t",), 9)(rows_of(scm, 50), Task(("t",), "y"), 0)) == 2


@pytest.mark.parametrize("source", ["scm", "table"])
def test_classes_have_their_probabilities(source: str) -> None:
    scm = ck.SCM({"v": ck.linear(), "t": ck.linear({"v": 1.0}), "y": ck.logistic({"t": 1.0, "v": 3.0})})
    means = [scm.do({"t": t}).sample(20_000, seed=1)["y"].mean() for t in (-1.0, 1.0)]
    knows = scm if source == "scm" else pd.DataFrame({"t": [-1.0, 1.0], "y": means})
    train, task = rows_of(scm, 2000), Task(("t",), "y", "classification")
    probe = pd.DataFrame({"t": [-1.0, 1.0]})
    plain, taught = (
        fit(train, task, objective=goal, backbone="linear", steps=200, seed=0).predict_proba(probe)[:, 1]
        for goal in ("erm", do_calculus(knows, "t", 300.0))
    )
    assert np.abs(taught - means).max() < 0.05 < np.abs(plain - means).max()


# hsic in place of the risk.


def test_hsic_alone_finds_a_linear_mechanism_and_its_offset_without_the_risk() -> None:
    scm = ck.SCM({"x": ck.linear(noise="uniform"), "y": ck.linear({"x": 2.0}, intercept=5.0, noise="uniform")})
    train, task = rows_of(scm, 500), Task(("x",), "y")
    goal = hsic(10.0, alone=True)
    model = fit(train, task, objective=goal, backbone="linear", steps=200, seed=0)
    assert model.predict(pd.DataFrame({"x": [0.0, 1.0]})) == pytest.approx([5.0, 7.0], abs=0.3)
    f, y = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    batch = Batch((squared_error(f, y),), (f,), (y,), inputs=(torch.tensor([[0.0], [0.0]]),))
    assert float(hsic(0.0, alone=True)(batch)) == pytest.approx(1.5**2)
    with pytest.raises(ValueError, match="both replace the mean risk"):
        goal + ck.objectives.group_dro()


# Bad input.


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: do_calculus(), r"needs what knows E\[y \| do\(x\)\] and the name of x"),
        (lambda: do_calculus(CLINIC), r"the name of x"),
        (lambda: do_calculus(CLINIC.graph, "t"), "got DiGraph: give an SCM"),
        (lambda: do_calculus(CLINIC, ["t", "t"]), "each variable to set once"),
        (lambda: do_calculus(CLINIC, "t", levels=1), "levels 1"),
        (lambda: do_calculus(CLINIC, "t", -1.0), "weight -1.0 is not a finite number"),
    ],
)
def test_what_knows_no_effect_is_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


TWO = Task(("t", "m"), "y")
CHAIN = ck.SCM({"t": ck.linear(), "m": ck.linear({"t": 1.0}), "y": ck.linear({"t": 1.0, "m": 1.0})})


@pytest.mark.parametrize(
    ("goal", "scm", "task", "words"),
    [
        (lambda: do_calculus(CLINIC, "v"), CLINIC, Task(("t", "w"), "y"), "among the features 'v'"),
        (lambda: do_calculus(CHAIN, "t"), CHAIN, TWO, r"'m' is on a causal path from t.*\['t', 'm'\]"),
        (lambda: do_calculus(CLINIC, "m"), CHAIN, TWO, "variable of the SCM of do_calculus 'm'"),
        (lambda: do_calculus(TABLE, "v"), CLINIC, Task(("t", "v"), "y"), "column of the table of do_calculus 'v'"),
        (lambda: do_calculus(lambda train: None, "t"), CLINIC, Task(("t",), "y"), "got NoneType"),
        (
            lambda: do_calculus(SimpleNamespace(outcome=("y",), do=("v",), estimate=None), "t"), CLINIC,
            Task(("t",), "y"), r"is of y under do\(v\), and wanted is y under do\(t\)",
        ),
    ],
)  # fmt: skip
def test_an_effect_that_is_another_question_is_named(goal, scm, task, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(rows_of(scm, 50), task, objective=goal(), steps=2, seed=0)


def test_a_treatment_that_never_varies_is_named() -> None:
    train = [Environment("a", CLINIC.sample(50, seed=0).assign(t=1.0))]
    with pytest.raises(ValueError, match="treatment 't' has one value only"):
        fit(train, Task(("t", "v"), "y"), objective=do_calculus(CLINIC, "t"), steps=2, seed=0)


def test_a_mean_is_no_distribution_over_three_classes() -> None:
    frame = CLINIC.sample(60, seed=0)
    train = [Environment("a", frame.assign(y=np.arange(60) % 3))]
    with pytest.raises(ValueError, match="for the classes 0 and 1, and 'y' has 0, 1, 2"):
        fit(train, Task(("t",), "y", "classification"), objective=do_calculus(TABLE, "t"), steps=2, seed=0)


def test_a_treatment_may_be_called_class() -> None:
    def named(frame):
        return frame.rename(columns={"t": "pclass"})

    models = [
        fit([Environment("a", change(CLINIC.sample(300, seed=0)))], Task((name,), "y"),
            objective=do_calculus(change(TABLE), name, weight=1000.0), **QUICK)
        for name, change in (("t", lambda frame: frame), ("pclass", named))
    ]  # fmt: skip
    assert np.allclose(models[0].predict(TABLE), models[1].predict(named(TABLE)))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"t": [0.0, 1.0], "y": [0.0, np.nan]}), "column 'y' has 1 value that is NaN"),
        (pd.DataFrame({"t": [0.0, 0.0], "y": [0.0, 1.0]}), "the table of do_calculus has t = 0 twice"),
        (pd.DataFrame({"t": [], "y": []}), "at least 1"),
    ],
)
def test_a_bad_table_is_named(table, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(rows_of(CLINIC, 50), Task(("t",), "y"), objective=do_calculus(table, "t"), steps=2, seed=0)
