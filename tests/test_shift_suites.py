"""The suites `shift_matrix` and `sachs_training`: promises are kept, what is out of reach is said, tables add up."""

import importlib.util
from functools import cache

import jupytext
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.bench.suite import load_suite
from tests.made_sweep import experiment, write_sweep
from tests.test_notebooks import TOP

LARGE = {"graph": "true", "encoder": "stable", "backbone": "linear", "rows": 20_000, "oracle_rows": 40_000,
         "optimiser": "lbfgs", "weight_decay": 0.0}  # fmt: skip


def run(notebook, **given):
    """What an experiment leaves with these parameters: its numbers, its tables and its variables."""
    numbers, tables, space = {}, {}, {}

    def record(metrics, tables_=None, seeds=None, **more):
        numbers.update({name: entry["value"] for name, entry in metrics.items()})
        tables.update(tables_ or more.get("tables") or {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ck.runs, "record", record)
        for cell in jupytext.read(TOP / "src" / "experiments" / f"{notebook}.py", fmt="py:percent").cells:
            if cell.cell_type == "code":
                exec(cell.source, space)
            if "parameters" in cell.metadata.get("tags", []):
                assert given.keys() <= space.keys()
                space.update(given)
    return numbers, tables, space


@cache
def shift_tables():
    path = TOP.parent / "benchmarks" / "shift_tables.py"
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("shift_tables", path))
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("suite", ["shift_matrix", "sachs_training"])
def test_every_objective_of_the_kit_is_swept(suite):
    swept = [run["objective"] for e in load_suite(suite, "full").experiments for run in e.runs if "objective" in run]
    assert set(swept) == set(ck.OBJECTIVES)


@pytest.mark.parametrize(
    "train_shift, shift, wanted",
    [
        ("none", "covariate", {"x1", "x2", "x3"}),  # the effect's mechanism stands, so it may help
        ("none", "spurious", {"x1", "x2"}),
        ("spurious", "covariate", {"x1", "x2"}),  # training itself moves the effect
    ],
)
def test_a_promise_is_kept(train_shift, shift, wanted):
    numbers, _, space = run("shift", train_shift=train_shift, shift=shift, nats=2.0, **LARGE)
    assert set(space["kept"]) == wanted and numbers["promised"] == 1 and numbers["overlap"] > 0.95
    if train_shift == "none":
        certificate = space["moved"].certificate(space["scm"], space["task"])
        assert wanted == set(certificate.stable)
    assert abs(numbers["excess_risk"]) < 0.003 * numbers["risk_same"]
    assert abs(numbers["excess_risk"]) < 5 * numbers["excess_risk_se"]


@pytest.mark.parametrize("nats", [0.1, 1.0])
def test_under_a_concept_shift_nothing_is_promised_and_the_causes_lose_twice_the_nats(nats):
    numbers, _, space = run("shift", train_shift="none", shift="concept", nats=nats, **LARGE)
    assert numbers["promised"] == 0 and set(space["kept"]) == {"x1", "x2"}
    # KL = E[(change of the mean)^2] / (2 sigma^2), and the excess is that change
    assert numbers["excess_risk"] / numbers["risk_same"] == pytest.approx(2 * nats, rel=0.1)


def test_a_label_shift_promises_nothing_either():
    numbers, _, _ = run("shift", train_shift="none", shift="label", nats=1.0, **LARGE)
    assert numbers["promised"] == 0 and numbers["excess_risk"] > 10 * numbers["excess_risk_se"]


def test_reach_is_the_share_of_rows_within_the_farthest_known_one():
    reach = run("shift", shift="none", steps=5)[2]["reach"]
    known = np.array([[-1.0], [1.0], [0.5], [-0.5]])
    assert reach(known, np.array([[0.0], [0.9], [3.0], [-0.9]])) == 0.75
    assert reach(np.empty((4, 0)), np.empty((9, 0))) == 1.0


def test_wrong_graphs_are_as_wrong_as_they_say():
    for seed in range(4):
        _, _, space = run("shift", graph="reversed", steps=5, seed=seed)
        truth, told = space["scm"].graph, space["told"]
        turned = [edge for edge in told.edges if edge not in truth.edges]
        assert len(turned) == 1 and turned[0][::-1] in truth.edges and space["target"] in turned[0]
        _, _, space = run("shift", graph="random", steps=5, seed=seed)
        assert space["told"].number_of_edges() == truth.number_of_edges()


def test_an_objective_that_is_made_of_a_graph_refuses_without_one_and_sees_all_with_one():
    given = {"objective": "counterfactual_consistency", "backbone": "linear", "steps": 150}
    numbers, _, _ = run("shift", **given)
    assert numbers["refused"] == 1 and numbers["rmse_shifted"] is None and numbers["rmse_oracle"] > 0
    numbers, _, _ = run("shift", graph="true", **given)
    plain, _, _ = run("shift", backbone="linear", steps=150)
    assert numbers["refused"] == 0 and numbers["features_kept"] == 5
    assert numbers["rmse_shifted"] < 0.7 * plain["rmse_shifted"]


@pytest.mark.parametrize(
    "notebook, given, words",
    [
        ("shift", {"objective": "ermm"}, "did you mean 'erm'"),
        ("shift", {"encoder": "stabel"}, "did you mean 'stable'"),
        ("shift", {"train_shift": "non"}, "did you mean 'none'"),
        ("shift_matrix", {"objective": "irn"}, "did you mean 'irm'"),
        ("shift_matrix", {"shown": 3.0}, "none of the sizes"),
        ("sachs_training", {"target": "Erk1"}, "did you mean 'Erk'"),
        ("sachs_training", {"rows": 800}, "the smallest condition has 707"),
    ],
)
def test_a_misspelt_setting_is_named(notebook, given, words):
    with pytest.raises(ValueError, match=words):
        run(notebook, **given)


def test_the_matrix_has_every_graph_shift_and_size():
    numbers, tables, _ = run("shift_matrix", nats=[0.5, 1.0], rows=200, steps=150)
    cells = tables["cells"].set_index(["graph", "shift", "nats"])
    assert len(cells) == 5 * 4 * 2 and numbers["refused"] == 0
    assert (cells["risk"] - cells["oracle"]).to_numpy() == pytest.approx(cells["excess"].to_numpy())
    assert numbers["spurious_none"] == cells.loc[("none", "spurious", 1.0), "excess"]
    # the true parents see what the promise needs; under a concept shift they lose twice the nats
    assert cells.loc[("true", "spurious", 1.0), "same"] < 0.02 < 0.1 < numbers["spurious_none"]
    lost = cells.loc[("true", "concept", 1.0), "same"] / (cells.loc[("true", "concept", 1.0), "risk"] -
                                                         cells.loc[("true", "concept", 1.0), "same"])  # fmt: skip
    assert lost == pytest.approx(2.0, rel=0.15)
    assert numbers["concept_true"] > numbers["concept_none"]


def test_the_matrix_says_which_graphs_an_objective_refuses():
    refused, tables, _ = run("shift_matrix", objective="castle", nats=[1.0], rows=100, steps=5)
    assert refused["refused"] == 1 and refused["concept_none"] is None and tables["cells"]["excess"].isna().all()
    made, _, _ = run("shift_matrix", objective="counterfactual_augmentation", nats=[1.0], rows=100, steps=20)
    assert made["refused"] == 0.2 and made["covariate_none"] is None and made["covariate_true"] > 0


def test_sachs_leaves_each_condition_out():
    numbers, tables, space = run("sachs_training", rows=60, steps=100)
    table = tables["conditions"]
    assert len(table) == 9 * 5 and table["left_out"].nunique() == 9 and (table["se"] < table["rmse"]).all()
    assert numbers["rmse_inside"] < numbers["rmse_none"] < numbers["rmse_mean"]
    for out, train in enumerate(space["folds"]):
        held = set(map(tuple, space["conditions"][out].frame.to_numpy()))
        assert len(train) == 8 and not any(held & set(map(tuple, e.frame.to_numpy())) for e in train)


def test_the_promise_table_tells_kept_from_broken(tmp_path):
    draw = np.random.default_rng(0)
    excess = {"covariate": 0.0, "spurious": 0.1, "concept": 0.5, "selection": 0.0}
    overlap = {"selection": 0.5}
    runs = [
        (
            {"shift": shift, "nats": 1.0, "seed": seed},
            {"excess_risk": 2 * (middle + 0.01 * draw.standard_normal()), "risk_same": 2.0,
             "promised": float(shift != "concept"), "overlap": overlap.get(shift, 1.0)},
        )
        for shift, middle in excess.items() for seed in range(10)
    ]  # fmt: skip
    metrics = {"excess_risk": "lower", "risk_same": None, "promised": None, "overlap": None}
    write_sweep(tmp_path, [(experiment("promise", "?", ("shift", "nats"), metrics), runs)])
    found = shift_tables().promise(tmp_path).set_index("shift")
    assert found["verdict"].to_dict() == {
        "covariate": "kept", "spurious": "BROKEN", "concept": "nothing is promised",
        "selection": "promised, out of reach",
    }  # fmt: skip
    assert found.loc["spurious", "mean"] == pytest.approx(0.1, abs=0.02) and found["p"].isna().sum() == 2


def matrix_cells():
    """Two objectives, two graphs, two shifts: the parents help under one and hurt under the other."""
    draw, means = np.random.default_rng(1), {
        ("spurious", "none"): 0.5, ("spurious", "true"): 0.0, ("concept", "none"): 0.5, ("concept", "true"): 1.0,
    }  # fmt: skip
    return pd.DataFrame(
        [
            {"shift": shift, "graph": graph, "objective": objective, "backbone": "linear", "nats": nats, "seed": seed,
             "excess": nats * middle + (objective == "irm") * 0.3 + 0.01 * draw.standard_normal(), "risk": 1.0,
             "same": 0.5 * (shift == "concept") + 0.001 * draw.standard_normal()}
            for (shift, graph), middle in means.items()
            for objective in ("erm", "irm") for nats in (0.1, 2.0) for seed in range(10)
        ]
    )  # fmt: skip


def test_the_table_says_what_helps():
    found = shift_tables().what_helps(matrix_cells()).set_index(["shift", "nats"])
    verdicts = found["verdict"].to_dict()
    assert verdicts["spurious", 2.0] == "parents are safe, and better than ERM"
    assert verdicts["concept", 2.0] == verdicts["concept", 0.1] == "nothing invariant helps"
    assert found.loc[("concept", 2.0), "cost of the shift to these"] == pytest.approx(1.0, abs=0.01)
    assert found.loc[("spurious", 2.0), "of them on the true graph"] == 2
    assert found.loc[("concept", 2.0), "above the oracle"] == 4 == found.loc[("concept", 2.0), "models"]
    assert found.loc[("concept", 2.0), "better than erm"] == 0
    assert found.loc[("spurious", 2.0), "above the oracle"] == 3
    assert found.loc[("spurious", 2.0), "better than erm"] == 2
    assert found.loc[("spurious", 2.0), "of"] == "true, erm, linear"
    table = shift_tables().objectives(matrix_cells(), "spurious")
    assert list(table.columns) == ["none", "true"] and table.loc["erm, linear", "true"].startswith("**")


def test_one_seed_tells_no_difference():
    found = shift_tables().what_helps(matrix_cells().query("seed == 0"))
    assert set(found["verdict"]) == {"too few seeds"} and found["above the oracle"].isna().all()


def test_the_table_of_conditions_is_paired_with_erm():
    draw = np.random.default_rng(2)
    worlds = draw.standard_normal(9) ** 2 + 1
    apart = {("erm", "none"): 0.0, ("erm", "parents"): 0.2, ("irm", "none"): -0.1, ("erm", "mean"): 0.5,
             ("erm", "inside"): -0.5}  # fmt: skip
    rows = [
        {"target": "Erk", "objective": o, "graph": g, "left_out": f"c{k}", "seed": seed,
         "rmse": world + more + 0.01 * draw.standard_normal()}
        for (o, g), more in apart.items() for k, world in enumerate(worlds) for seed in (0, 1)
    ]  # fmt: skip
    found = shift_tables().left_out(pd.DataFrame(rows), "Erk")
    assert found.loc["erm, parents", "less erm"] == pytest.approx(0.2, abs=0.01)
    assert found.loc["irm, none", "better in"] == "9 of 9" and found.loc["irm, none", "p"] < 1e-3
    assert found.loc["erm, none", "+-"] > 10 * found.loc["irm, none", "+- "]  # pairing takes the worlds away
    assert "| erm, parents |" in shift_tables().markdown(found)
    some = pd.DataFrame(row for row in rows if row["objective"] == "erm" or row["left_out"] < "c4")
    found = shift_tables().left_out(some, "Erk")
    assert np.isnan(found.loc["irm, none", "rmse"]) and found.loc["irm, none", "better in"] == "4 of 4"
