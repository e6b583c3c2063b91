"""What a sweep left: read with care, tabulated, and summed up by statistics that agree with other libraries."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from causalkit.bench import results as reading
from causalkit.bench.published import check_published
from causalkit.bench.results import read_results, read_sweep, read_tables, results_table, write_results
from causalkit.bench.statistics import compare_to_baseline, effects, fit_exponent, summarise
from causalkit.runs import OutputError
from tests.made_sweep import experiment, grid, write_sweep


def outcome(p):
    return {"rmse": p["x"] + 0.1 * p["seed"] - 0.3 * (p["method"] == "irm"), "fits": p["x"] > 1}


@pytest.fixture
def sweep(tmp_path):
    """Two experiments; run 1 failed, run 3 was not run."""
    first = [(p, outcome(p)) for p in grid(2, x=[1, 2], method=["erm", "irm"])]
    first[1] = (first[1][0], ("failed", "ValueError", "no <b> | luck"))
    first[3] = (first[3][0], None)
    second = [({"seed": s, "sizes": [8, 8], "rows": 5.0, "verdict": "a"}, {"seed": s + 0.5, "rmse": 2}) for s in (0, 1)]
    entries = [
        experiment("one", axes=("x", "method")),
        experiment("two", axes=("sizes", "verdict"), metrics={"seed": None, "rmse": "lower"}),
    ]
    plan = write_sweep(tmp_path / "made", [(entries[0], first), (entries[1], second)])
    return tmp_path / "made", plan


# Reading


def test_every_planned_run_is_read_or_missing(sweep):
    root, plan = sweep
    results = read_results(root)
    assert [entry["address"] for entry in results.missing] == [plan[3]["address"]]
    assert list(results.runs) == [entry["address"] for entry in plan if entry not in results.missing]
    assert results.damaged == {} and results.suite["title"] == "A made-up sweep"
    assert results.experiment("one")["axes"] == ["x", "method"]
    with pytest.raises(ValueError, match="unknown experiment 'onne'; did you mean 'one'"):
        results.experiment("onne")


def test_runs_outside_the_plan_are_no_part_of_it(sweep):
    root, plan = sweep
    shutil.copytree(root / "runs" / plan[0]["address"], root / "runs" / "0123456789abcdef")
    assert "0123456789abcdef" not in read_results(root).runs


def spoil(**changes):
    def write(path):
        record = json.loads(path.read_text())
        record |= {key: value for key, value in changes.items() if value is not None}
        path.write_text(json.dumps({key: value for key, value in record.items() if changes.get(key, 0) is not None}))

    return write


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: path.write_text(path.read_text()[:200]), "cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read"),
        (lambda path: path.write_text("[1, 2]"), "not a record of version"),
        (lambda path: path.unlink(), "not a run directory"),
        (spoil(schema=1), "not a record of version"),
        (spoil(metrics=None), "lacks metrics"),
        (spoil(metrics={"rmse": {"unit": "1"}}), "lacks metric rmse"),
        (spoil(metrics={"rmse": 3}), "lacks metric rmse"),
        (spoil(timings=3), "lacks timings"),
        (spoil(failure=None), "lacks failure"),
        (spoil(address="another"), "record of another run, another"),
    ],
)
def test_a_damaged_record_is_named_and_set_aside_and_the_rest_is_read(sweep, damage, words):
    root, plan = sweep
    address = plan[2]["address"]
    before = set(read_results(root).runs)
    damage(root / "runs" / address / "record.json")
    results = read_results(root)
    assert set(results.runs) == before - {address}
    assert words in results.damaged[address] and address in {entry["address"] for entry in results.missing}
    assert not (root / "runs" / address).exists() and (root / "damaged" / address / "executed.ipynb").is_file()
    assert read_results(root).damaged == results.damaged  # it stays named
    assert address not in set(results_table(root)["address"])


def test_a_second_damaged_record_of_one_address_keeps_the_first(sweep):
    root, plan = sweep
    place = root / "runs" / plan[0]["address"]
    for text in ("first", "second"):
        place.mkdir(exist_ok=True)
        (place / "record.json").write_text(text)
        results = read_results(root)
    kept = [(root / "damaged" / name / "record.json").read_text() for name in results.damaged]
    assert kept == ["first", "second"]


def test_a_damaged_record_that_cannot_be_moved_is_only_named(sweep):
    root, plan = sweep
    address = plan[0]["address"]
    (root / "runs" / address / "record.json").write_text("{")
    (root / "damaged").write_text("in the way")
    results = read_results(root)
    assert address in results.damaged and (root / "runs" / address).is_dir()


@pytest.mark.parametrize(
    "text, words",
    [("{", "cannot be read"), ("[]", "not of version 1"), ('{"schema": 2}', "not of version 1"),
     ('{"schema": 1, "suite": {}}', "not of version 1")],
)  # fmt: skip
def test_a_sweep_of_another_version_or_damaged_is_refused(sweep, text, words):
    (sweep[0] / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_sweep(sweep[0])


def test_a_directory_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no sweep"):
        results_table(tmp_path)


# The tidy table


def test_one_row_a_run_with_axes_and_metrics(sweep):
    table = results_table(sweep[0])
    assert list(table.columns) == [
        "suite", "experiment", "address", "verdict", "seed", "x", "method", "sizes", "verdict_parameter", "rmse",
        "fits", "seed_measured", "total_seconds", "peak_memory_mib", "attempts",
    ]  # fmt: skip
    assert list(table["verdict"]) == ["ok", "failed", *["ok"] * 7]
    assert table["rmse"].isna().tolist() == [False, True, *[False] * 7]
    assert table["fits"].dtype == "float64" and set(table["fits"].dropna()) == {0.0, 1.0}
    two = table[table["experiment"] == "two"]
    assert list(two["sizes"]) == ["[8, 8]"] * 2 and list(two["verdict_parameter"]) == ["a", "a"]
    assert list(two["seed_measured"]) == [0.5, 1.5] and list(two["seed"]) == [0, 1]


def test_the_frame_of_an_experiment_has_its_missing_runs(sweep):
    frame = read_results(sweep[0]).frame("one")
    assert len(frame) == 8 and frame["verdict"].tolist()[3] == "not run" and math.isnan(frame["rmse"].tolist()[3])


def test_two_experiments_may_share_a_run(tmp_path):
    runs = [({"x": 1, "seed": 0}, {"rmse": 1.0})]
    plan = write_sweep(tmp_path, [(experiment("one", axes=("x",)), runs)])
    sweep = json.loads((tmp_path / "sweep.json").read_text())
    sweep["suite"]["experiments"].append(experiment("two", axes=("x",)))
    sweep["plan"].append({**plan[0], "experiment": "two"})
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    assert list(results_table(tmp_path)["experiment"]) == ["one", "two"]


def test_what_is_written_says_the_same(sweep):
    root = sweep[0]
    paths = write_results(root)
    table = results_table(root)
    assert [path.name for path in paths[:2]] == ["results.jsonl", "table.csv"]
    for found in (pd.read_csv(paths[1]), read_tables([root]), read_tables([root.parent])):
        pd.testing.assert_frame_equal(found, table, check_dtype=False)
    lines = [json.loads(line) for line in paths[0].read_text().splitlines()]
    assert [line["address"] for line in lines] == list(table["address"])
    assert all("cells" not in line["timings"] and line["schema"] == 2 for line in lines)
    assert sorted(p.name for p in root.iterdir()) == sorted(["sweep.json", "runs", *(p.name for p in paths)])


def test_axes_of_several_types_can_be_written(tmp_path):
    runs = [({"x": x, "seed": 0}, {"rmse": 1.0}) for x in (1, "two", None, 0.5, True)]
    write_sweep(tmp_path, [(experiment("one", axes=("x",)), runs)])
    write_results(tmp_path)
    assert pd.read_csv(tmp_path / "table.csv")["x"].tolist()[:2] == ["1", "two"]


def test_parquet_says_the_same_where_pyarrow_is_there(sweep, tmp_path):
    pytest.importorskip("pyarrow")
    assert [path.name for path in write_results(sweep[0])][2:] == ["table.parquet"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(sweep[0] / "table.parquet"), results_table(sweep[0]), check_dtype=False
    )
    runs = [({"x": x, "seed": 0}, {"rmse": 1.0}) for x in (1, "two", None, 0.5, True)]
    write_sweep(tmp_path / "mixed", [(experiment("one", axes=("x",)), runs)])
    write_results(tmp_path / "mixed")
    assert pd.read_parquet(tmp_path / "mixed" / "table.parquet")["x"].tolist()[:2] == ["1", "two"]


def test_without_pyarrow_there_is_no_parquet(sweep, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [path.name for path in write_results(sweep[0])] == ["results.jsonl", "table.csv"]


def test_a_full_disk_is_told_and_leaves_the_old_tables(sweep, monkeypatch):
    root = sweep[0]
    write_results(root)
    before = (root / "table.csv").read_text()

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading, "write_text", full)
    with pytest.raises(OutputError, match=r"No space left on device.*the runs are kept"):
        write_results(root)
    assert (root / "table.csv").read_text() == before


def test_tables_of_several_sweeps_are_joined_and_bad_lines_named(sweep, tmp_path):
    root = sweep[0]
    write_results(root)
    file = root / "results.jsonl"
    assert len(read_tables([root, file])) == 2 * len(results_table(root))
    file.write_text(file.read_text() + '{"suite": ')
    with pytest.raises(ValueError, match=r"results\.jsonl, line 10 is no JSON"):
        read_tables([file])
    file.write_text('{"suite": "made"}\n')
    with pytest.raises(ValueError, match="line 1 is not the record of a run"):
        read_tables([file])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no results"):
        read_tables([tmp_path / "empty"])


# Statistics: laws


runs_of = st.lists(st.floats(-100, 100), min_size=12, max_size=12)
LEVELS = pd.DataFrame(grid(3, x=[1, 2], method=["erm", "irm"]))


@settings(max_examples=8)  # statsmodels collects garbage at every call
@given(values=runs_of, shift=st.floats(-50, 50), order=st.permutations(range(12)))
def test_the_order_of_rows_is_irrelevant_and_a_constant_leaves_differences(values, shift, order):
    table = LEVELS.assign(rmse=np.round(values, 3))
    args = (["x", "method"], "rmse", {"method": "erm"}, "lower")
    found = compare_to_baseline(table, *args)
    mixed = compare_to_baseline(table.iloc[list(order)], *args).reindex(found.index)
    pd.testing.assert_frame_equal(found, mixed)
    moved = compare_to_baseline(table.assign(rmse=table["rmse"] + shift), *args)
    for column in ("n", "wins", "losses"):
        if (np.abs(np.diff(table["rmse"].to_numpy().reshape(2, 2, 3), axis=1)) > 1e-9).all():
            assert (found[column] == moved[column]).all()
    np.testing.assert_allclose(found["difference"], moved["difference"], atol=1e-9)
    np.testing.assert_allclose(found["high"] - found["low"], moved["high"] - moved["low"], atol=1e-9)
    a, b = (summarise(t, ["x", "method"], "rmse") for t in (table, table.iloc[list(order)]))
    pd.testing.assert_frame_equal(a, b.reindex(a.index))


@settings(max_examples=8)
@given(values=runs_of)
def test_better_turns_wins_into_losses(values):
    table = LEVELS.assign(rmse=np.round(values, 3))
    low, high = (compare_to_baseline(table, ["x", "method"], "rmse", {"method": "erm"}, b) for b in ("lower", "higher"))
    assert (low["wins"] == high["losses"]).all() and (low["losses"] == high["wins"]).all()
    assert low["p_holm"].dropna().between(low["p"].dropna(), 1).all()


# Statistics: oracles


def test_summaries_agree_with_scipy():
    values = np.random.default_rng(0).normal(size=7)
    table = pd.DataFrame({"seed": range(7), "rmse": values})
    found = summarise(table, [], "rmse").iloc[0]
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    np.testing.assert_allclose(
        found[["n", "lost", "mean", "sd", "low", "high", "median"]].astype(float),
        [7, 0, values.mean(), values.std(ddof=1), low, high, np.median(values)],
    )


def test_seeds_are_averaged_first_and_a_seed_with_a_lost_run_is_left_out():
    table = pd.DataFrame({"seed": [0, 1, 2] * 2, "x": [1] * 3 + [2] * 3, "rmse": [1.0, 2.0, 3.0, 3.0, 6.0, None]})
    found = summarise(table, [], "rmse").iloc[0]
    assert (found["n"], found["lost"], found["mean"]) == (2, 1, 3.0)
    one = summarise(table[table["seed"] == 0], ["x"], "rmse")
    assert one["n"].tolist() == [1, 1] and one[["sd", "low", "high"]].isna().all(axis=None)
    none = summarise(table[table["seed"] == 2], ["x"], "rmse")
    assert none["n"].tolist() == [1, 0] and math.isnan(none["mean"].iloc[1])


def test_an_axis_may_have_the_name_of_a_statistic():
    table = pd.DataFrame({"seed": [0, 1] * 2, "n": [10, 10, 20, 20], "mean": "a", "rmse": [1.0, 2.0, 3.0, 5.0]})
    assert summarise(table, ["n", "mean"], "rmse")["mean"].tolist() == [1.5, 4.0]
    assert compare_to_baseline(table, ["n", "mean"], "rmse", {"n": 10}, "lower")["difference"].tolist() == [2.5]


def test_comparisons_agree_with_scipy_and_holm_by_hand():
    rng = np.random.default_rng(1)
    methods = {"erm": rng.normal(1.0, 0.1, 6), "irm": rng.normal(0.8, 0.1, 6), "vrex": rng.normal(0.95, 0.1, 6)}
    table = pd.DataFrame([(m, s, v) for m, values in methods.items() for s, v in enumerate(values)])
    table.columns = ["method", "seed", "rmse"]
    found = compare_to_baseline(table, ["method"], "rmse", {"method": "erm"}, "lower")
    p = [stats.ttest_rel(methods[m], methods["erm"]).pvalue for m in ("irm", "vrex")]
    np.testing.assert_allclose(found["p"], p)
    small, large = sorted(p)
    by_hand = {small: min(1, 2 * small), large: min(1, max(2 * small, large))}
    np.testing.assert_allclose(found["p_holm"], [by_hand[each] for each in p])
    difference = methods["irm"] - methods["erm"]
    interval = stats.t.interval(0.95, 5, difference.mean(), stats.sem(difference))
    row = found.iloc[0]
    np.testing.assert_allclose(row[["difference", "low", "high"]].astype(float), [difference.mean(), *interval])
    assert row["ratio"] == pytest.approx(methods["irm"].mean() / methods["erm"].mean())
    assert (row["wins"], row["losses"]) == ((difference < 0).sum(), (difference > 0).sum())


def test_pairs_without_a_partner_are_counted_and_nothing_is_tested_on_one():
    table = pd.DataFrame(grid(3, x=[1, 2, 3], method=["erm", "irm"])).assign(rmse=np.arange(18.0) ** 1.5)
    table.loc[(table["x"] == 1) & (table["method"] == "erm") & (table["seed"] == 2), "rmse"] = None
    table.loc[(table["x"] == 2) & (table["seed"] > 0), "rmse"] = None
    table = table[~((table["x"] == 3) & (table["method"] == "erm"))]
    found = compare_to_baseline(table, ["x", "method"], "rmse", {"method": "erm"}, None)
    assert found["n"].tolist() == [2, 1, 0] and found["unpaired"].tolist() == [1, 2, 3]
    assert found["note"].tolist() == ["", "one pair: no test", "no pair"]
    assert found["p"].notna().tolist() == found["p_holm"].notna().tolist() == [True, False, False]
    assert found["wins"].isna().all()


def test_without_spread_there_is_no_p():
    table = pd.DataFrame(grid(3, method=["erm", "same", "more"]))
    table["rmse"] = 0.1 * table["seed"] + 1.0 + 0.3 * (table["method"] == "more")
    found = compare_to_baseline(table, ["method"], "rmse", {"method": "erm"}, "lower")
    assert found["note"].tolist() == ["equal in every pair: no test", "no spread: no test"]
    assert found["p"].isna().all() and found["losses"].tolist() == [0, 3]


def test_a_baseline_may_fix_several_axes():
    table = pd.DataFrame(grid(2, a=[0, 1], b=[0, 1])).assign(rmse=lambda t: t["a"] + 2.0 * t["b"] + 0.1 * t["seed"])
    found = compare_to_baseline(table, ["a", "b"], "rmse", {"a": 0, "b": 0}, "lower")
    assert found["difference"].round(9).to_dict() == {(0, 1): 2.0, (1, 0): 1.0, (1, 1): 3.0}


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda t: compare_to_baseline(t, ["method"], "rmse", {}, "lower"), "no baseline"),
        (lambda t: compare_to_baseline(t, ["method"], "rmse", {"method": "emr"}), "level of baseline 'method' 'emr'"),
        (lambda t: compare_to_baseline(t, ["metod"], "rmse", {"method": "erm"}), "did you mean 'method'"),
        (lambda t: summarise(t, ["method"], "rmes"), "unknown column 'rmes'; did you mean 'rmse'"),
        (lambda t: effects(t, ["x", "metho"], "rmse"), "did you mean 'method'"),
        (lambda t: effects(t[t["x"] == 1], ["x", "method"], "rmse"), "factor 'x' has one level, 1"),
        (lambda t: effects(t.iloc[:-1], ["x", "method"], "rmse"), "not complete: x=2, method=irm lack runs"),
        (lambda t: effects(t.assign(rmse=None), ["x", "method"], "rmse"), "x=1, method=erm; x=1, method=irm"),
        (lambda t: fit_exponent([1, 2], [1, -2]), "y holds numbers that are not positive"),
        (lambda t: fit_exponent([1, 1], [1, 2]), "fewer than two different values"),
        (lambda t: fit_exponent([1, 2, 3], [1, 2]), r"shape \[3\] and y \[2\]"),
    ],
)
def test_bad_input_is_named(call, words):
    table = LEVELS.assign(rmse=np.arange(12.0))
    with pytest.raises(ValueError, match=words):
        call(table)


def test_effects_agree_with_the_closed_form():
    rng = np.random.default_rng(2)
    table = pd.DataFrame(grid(4, a=["p", "q", "r"], b=[0, 1]))
    table["y"] = rng.normal(size=24) + table["b"]
    cube = table["y"].to_numpy().reshape(3, 2, 4)
    grand, a, b, s = cube.mean(), cube.mean((1, 2)), cube.mean((0, 2)), cube.mean((0, 1))
    sums = {
        "a": 8 * ((a - grand) ** 2).sum(),
        "b": 12 * ((b - grand) ** 2).sum(),
        "a x b": 4 * ((cube.mean(2) - a[:, None] - b + grand) ** 2).sum(),
        "seed": 6 * ((s - grand) ** 2).sum(),
    }
    total = ((cube - grand) ** 2).sum()
    sums["residual"] = total - sum(sums.values())
    found = effects(table.sample(frac=1, random_state=0), ["a", "b"], "y").set_index("effect")
    assert list(found.index) == ["a", "b", "a x b", "seed", "residual"]
    assert found["df"].tolist() == [2, 1, 2, 3, 15]
    np.testing.assert_allclose(found["sum_sq"], list(sums.values()))
    np.testing.assert_allclose(found["share"].sum(), 1)
    partial = [value / (value + sums["residual"]) for name, value in sums.items() if name != "residual"]
    np.testing.assert_allclose(found["partial"], [*partial, np.nan])
    ratio = (sums["b"] / 1) / (sums["residual"] / 15)
    assert found.loc["b", "F"] == pytest.approx(ratio) and found.loc["b", "p"] == pytest.approx(
        stats.f.sf(ratio, 1, 15)
    )


def test_effects_with_one_seed_and_of_a_constant_are_honest():
    table = pd.DataFrame(grid(1, a=[0, 1], b=[0, 1])).assign(y=[1.0, 2.0, 3.0, 5.0])
    found = effects(table, ["a", "b"], "y").set_index("effect")
    assert found["share"].sum() == pytest.approx(1) and found[["partial", "F", "p"]].isna().all(axis=None)
    assert found.loc["a", "sum_sq"] == pytest.approx(6.25)
    still = effects(pd.DataFrame(grid(2, a=[0, 1], b=[0, 1])).assign(y=3.0), ["a", "b"], "y")
    assert still[["share", "partial", "F", "p"]].isna().all(axis=None)


def test_effects_average_over_the_axes_that_are_left_out():
    table = pd.DataFrame(grid(3, a=[0, 1], b=[0, 1], c=[0, 1]))
    table["y"] = table["a"] + 10.0 * table["c"] + np.random.default_rng(0).normal(size=24)
    mean = table.groupby(["a", "b", "seed"], as_index=False)["y"].mean()
    pd.testing.assert_frame_equal(effects(table, ["a", "b"], "y"), effects(mean, ["a", "b"], "y"))


@given(slope=st.floats(-4, 4), factor=st.floats(1e-3, 1e3))
def test_power_laws_are_found_exactly(slope, factor):
    x = np.array([1.0, 3.0, 10.0, 30.0])
    found = fit_exponent(x, factor * x**slope)
    assert found.slope == pytest.approx(slope, abs=1e-9) and found.factor == pytest.approx(factor, rel=1e-6)
    assert found.low <= found.slope <= found.high and found.high - found.low < 1e-6


def test_the_interval_of_an_exponent_agrees_with_statsmodels():
    import statsmodels.api as models

    rng = np.random.default_rng(3)
    x = np.repeat([10.0, 20.0, 50.0], 4)
    y = x**1.5 * np.exp(rng.normal(0, 0.2, 12))
    oracle = models.OLS(np.log(y), models.add_constant(np.log(x))).fit()
    found = fit_exponent(x, y)
    np.testing.assert_allclose([found.slope, found.se], [oracle.params[1], oracle.bse[1]])
    np.testing.assert_allclose([found.low, found.high], oracle.conf_int()[1])
    assert math.isnan(fit_exponent([1, 2], [1, 2]).se)


# Published figures


@pytest.mark.parametrize(
    "ours, figure, verdict, allowed",
    [
        ([1.001], {"value": 1.0, "tolerance": 0.001}, "match", 0.001),
        ([1.0011], {"value": 1.0, "tolerance": 0.001}, "no match", 0.001),
        ([0.5, 1.5], {"value": 1.0, "tolerance": 0.0, "sd": 5.0, "n": 1}, "match", 0.0),
        ([1.5, 1.6, 1.7, 1.8], {"value": 1.0, "sd": 0.5, "n": 4}, "match", 1.5 * math.sqrt(0.5)),
        ([2.0, 2.1, 2.1, 2.1], {"value": 1.0, "sd": 0.5, "n": 4}, "no match", 1.5 * math.sqrt(0.5)),
        ([None], {"value": 1.0, "tolerance": 1.0}, "not run", 1.0),
    ],
)
def test_published_figures_follow_the_rule(tmp_path, ours, figure, verdict, allowed):
    runs = [({"x": 1, "seed": s}, None if y is None else {"rmse": y}) for s, y in enumerate(ours)]
    runs += [({"x": 2, "seed": 0}, {"rmse": 99.0})]
    figures = [{"label": "ERM", "where": {"x": 1}, "metric": "rmse", "reason": "known", **figure}]
    write_sweep(tmp_path, [(experiment("one", axes=("x",), figures=figures, source="A (2020)"), runs)])
    (row,) = check_published(read_results(tmp_path)).to_dict("records")
    assert (row["verdict"], row["source"], row["reason"], row["label"]) == (verdict, "A (2020)", "known", "ERM")
    assert row["tolerance"] == pytest.approx(allowed)
    if verdict != "not run":
        assert row["ours"] == pytest.approx(np.mean(ours)) and row["our_n"] == len(ours)
        assert row["difference"] == pytest.approx(row["ours"] - 1.0)


def test_a_figure_of_a_setting_that_this_budget_leaves_out_is_not_run(tmp_path):
    figures = [{"label": "big", "where": {"x": 1000}, "metric": "rmse", "value": 1.0, "tolerance": 1.0}]
    entry = experiment("one", axes=("x",), figures=figures)
    write_sweep(tmp_path, [(entry, [({"x": 1, "seed": 0}, {"rmse": 1.0})])])
    assert check_published(read_results(tmp_path))["verdict"].tolist() == ["not run"]
