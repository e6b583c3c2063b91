"""Suites and plans: the law of their size, addresses, budgets, every way to write one wrong, the dry run."""

import json
import os
from dataclasses import replace
from pathlib import Path

import nbformat.v4 as v4
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from causalkit.bench import list_suites, load_suite, part_of, plan_suite
from causalkit.bench.plan import address, estimate
from causalkit.cli import app
from causalkit.runs.run import Run

PARAMETERS = "x = 1\nrate = 0.5\nname = 'a'\nseed = 0\nbudget = 'fast'"
RECORD = (
    "from causalkit.runs import metric, record\n"
    "record({'y': metric(10 * x + seed, 'ten x and the seed', unit='1', better='lower')})"
)
SUITE = """
title = "Does ten x grow?"
about = "A suite\\nfor tests."

[[experiment]]
name = "growth"
question = "Does it?"
notebook = "tiny.ipynb"
seeds = { fast = 2, full = [5, 7, 9] }
timeout = 60
product = { x = [1, 2, 3] }
zip = { rate = [0.1, 1] }
metrics = { y = "lower" }
baseline = { x = 1 }
plot = [ { x = "x", y = "y", by = "rate", scale = "log" }, { x = "x", y = "total_seconds" } ]
effects = ["x", "rate"]
figures = [ { label = "f", where = { x = 2 }, metric = "y", value = 20.5, sd = 0.5, n = 3 } ]
"""


def write_notebook(path, *cells, parameters=PARAMETERS):
    made = [v4.new_code_cell(text) for text in (parameters, *(cells or [RECORD]))]
    made[0].metadata["tags"] = ["parameters"]
    path.write_text(v4.writes(v4.new_notebook(cells=made)), encoding="utf-8")
    return path


def write_suite(folder, text=SUITE, name="growth.toml"):
    write_notebook(folder / "tiny.ipynb")
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def minimal(**tables):
    """A suite with one experiment, its tables given as TOML values."""
    lines = {"name": '"one"', "question": '"?"', "notebook": '"tiny.ipynb"', "seeds": "1", "metrics": '{ y = "lower" }'}
    return "[[experiment]]\n" + "\n".join(f"{key} = {value}" for key, value in {**lines, **tables}.items() if value)


# Laws


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 4))
def test_runs_are_product_times_zip_times_cases_times_seeds(tmp_path_factory, a, b, side, cases, seeds):
    folder = tmp_path_factory.getbasetemp()
    write_notebook(folder / "tiny.ipynb", parameters="a = 0\nb = 0.0\nc = 0\nd = ''\ne = 0\nseed = 0")
    text = minimal(
        seeds=str(seeds),
        product=f"{{ a = {list(range(a))}, b = {list(map(float, range(b)))} }}",
        zip=f"{{ c = {list(range(side))}, d = {[str(i) for i in range(side)]} }}" if side else None,
        cases="[" + ", ".join(f"{{ e = {i} }}" for i in range(cases)) + "]",
    )
    (folder / "law.toml").write_text(text)
    experiment = load_suite(folder / "law.toml").experiments[0]
    assert len(experiment.runs) == a * b * max(side, 1) * cases * seeds
    assert [run["seed"] for run in experiment.runs[:seeds]] == list(range(seeds))
    assert set(experiment.axes) == {"a", "b", "e"} | ({"c", "d"} if side else set())
    plan = plan_suite(load_suite(folder / "law.toml"), folder / "out")
    assert len(set(plan.addresses)) == len(plan.runs) == len(experiment.runs)


VALUES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.booleans() | st.floats(0, 2) | st.text("x"))


def _said(parameters):
    return {name: (type(value), value) for name, value in parameters.items()}


@given(VALUES, VALUES, st.sampled_from("st"), st.sampled_from("st"), st.integers(1, 2), st.integers(1, 2))
def test_addresses_are_equal_where_all_is_equal_and_only_there(first, second, s, t, one, two):
    same = _said(first) == _said(second) and s == t and one == two
    found = [address(s, first, {"threads": one}), address(t, dict(reversed(second.items())), {"threads": two})]
    assert (found[0] == found[1]) == same
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in found)


def test_the_order_in_which_axes_are_written_changes_no_address(tmp_path):
    path = write_suite(tmp_path, minimal(product="{ x = [1, 2], rate = [0.1, 0.2] }"))
    first = plan_suite(load_suite(path), tmp_path / "out").addresses
    path = write_suite(tmp_path, minimal(product="{ rate = [0.2, 0.1], x = [2, 1] }"))
    assert set(plan_suite(load_suite(path), tmp_path / "out").addresses) == set(first)


# What a plan hangs on


def test_what_changes_an_address_and_what_does_not(tmp_path, monkeypatch):
    path = write_suite(tmp_path)
    suite = load_suite(path)
    before = plan_suite(suite, tmp_path / "out").addresses
    notebook = json.loads((tmp_path / "tiny.ipynb").read_text())
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    notebook["metadata"]["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    (tmp_path / "tiny.ipynb").write_text(json.dumps(notebook))
    assert plan_suite(suite, tmp_path / "elsewhere").addresses == before
    assert not set(plan_suite(suite, tmp_path / "out", threads=2).addresses) & set(before)
    for name in ("code_sha256", "lock_sha256"):
        with monkeypatch.context() as patch:
            patch.setattr(f"causalkit.runs.environment.{name}", lambda: "another")
            assert not set(plan_suite(suite, tmp_path / "out").addresses) & set(before)
    notebook["cells"][1]["source"] = RECORD + "  # why"
    (tmp_path / "tiny.ipynb").write_text(json.dumps(notebook))
    assert not set(plan_suite(suite, tmp_path / "out").addresses) & set(before)


def test_experiments_that_share_a_run_share_its_address(tmp_path):
    text = minimal() + "\n" + minimal(name='"two"', product="{ x = [1, 2] }")
    plan = plan_suite(load_suite(write_suite(tmp_path, text)), tmp_path / "out")
    assert len(plan.runs) == 3 and len(plan.addresses) == 2


def _earlier(plan, seconds):
    """Runs as if they had taken so long: seconds by number of the planned run."""
    made = []
    for i, time in seconds.items():
        record = {"verdict": "ok", "notebook": "tiny", "parameters": plan.runs[i].parameters}
        made.append(Run(Path(plan.runs[i].address), {**record, "timings": {"total": time}}))
    return made


def test_the_estimate_takes_the_same_parameters_first_and_says_what_it_guessed(tmp_path):
    plan = plan_suite(load_suite(write_suite(tmp_path)), tmp_path / "out")
    assert estimate(plan, plan.addresses, []).unknown == 12
    known = estimate(plan, [plan.runs[1].address], _earlier(plan, {0: 10.0, 2: 30.0}))
    assert known == (10.0, 0, 0)
    guessed = estimate(plan, [plan.runs[11].address, plan.runs[1].address], _earlier(plan, {0: 10.0, 2: 30.0}), 2)
    assert guessed == ((20.0 + 10.0) / 2, 1, 0)


# Reading


def test_a_suite_as_it_is_written(tmp_path):
    suite = load_suite(write_suite(tmp_path))
    (experiment,) = suite.experiments
    assert (suite.name, suite.title, suite.about) == ("growth", "Does ten x grow?", "A suite for tests.")
    assert experiment.seeds == (0, 1) and experiment.axes == ("x", "rate")
    assert (experiment.timeout, experiment.memory) == (60.0, None)
    assert experiment.runs[0] == {"x": 1, "rate": 0.1, "seed": 0, "budget": "fast"}
    assert type(experiment.runs[2]["rate"]) is float
    assert experiment.metrics == {"y": {"better": "lower", "tolerance": 0.01}}
    full = load_suite(suite.path, "full")
    assert full.experiments[0].seeds == (5, 7, 9) and full.experiments[0].runs[0]["budget"] == "full"


def test_a_budget_that_the_suite_sets_stands(tmp_path):
    path = write_suite(tmp_path, minimal(parameters='{ budget = "full", rate = { fast = 0.1, full = 0.9 } }'))
    runs = [load_suite(path, budget).experiments[0].runs[0] for budget in ("fast", "full")]
    assert [run["budget"] for run in runs] == ["full", "full"] and [run["rate"] for run in runs] == [0.1, 0.9]


def test_metrics_with_tolerance_and_without_direction(tmp_path):
    path = write_suite(tmp_path, minimal(metrics='{ y = { better = "higher", tolerance = 0 }, z = {} }'))
    metrics = load_suite(path).experiments[0].metrics
    assert metrics["y"] == {"better": "higher", "tolerance": 0.0}
    assert metrics["z"] == {"better": None, "tolerance": 0.01}


def test_included_files_bring_experiments_and_find_their_own_notebooks(tmp_path):
    (tmp_path / "more [1]").mkdir()
    for name in "ba":
        write_suite(tmp_path / "more [1]", minimal(name=f'"{name}"'), f"{name}.toml")
    path = write_suite(tmp_path, 'include = ["more [[]1]/*.toml"]\n' + minimal())
    suite = load_suite(path)
    assert [experiment.name for experiment in suite.experiments] == ["one", "a", "b"]
    assert suite.experiments[1].notebook.parent.name == "more [1]"


def test_a_published_figure_of_the_full_budget_is_no_error_in_the_fast_one(tmp_path):
    figure = '[ { label = "f", where = { x = 3 }, metric = "y", value = 1, tolerance = 0.1 } ]'
    path = write_suite(tmp_path, minimal(product="{ x = { fast = [1], full = [1, 3] } }", figures=figure))
    assert len(load_suite(path).experiments[0].figures) == 1


def test_suites_of_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "benchmarks" / "suites").mkdir(parents=True)
    write_suite(tmp_path / "benchmarks" / "suites")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("causalkit.bench.suite.__file__", str(tmp_path / "a" / "b" / "suite.py"))
    assert list(list_suites()) == ["growth"]
    assert load_suite("growth").name == "growth"
    with pytest.raises(ValueError, match="unknown suite 'grwth'; did you mean 'growth'"):
        load_suite("grwth")
    done = CliRunner().invoke(app, ["bench", "list"])
    assert done.exit_code == 0 and "Does ten x grow?" in done.output and "12" in done.output and "18" in done.output
    write_suite(tmp_path / "benchmarks" / "suites", "x = ")
    done = CliRunner().invoke(app, ["bench", "list"], env={"COLUMNS": "200"})
    assert done.exit_code == 0 and "broken: " in done.output


# Every way to write one wrong

WRONG = [
    ("title = ", "titel = ", "unknown key of a suite file 'titel'; did you mean 'title'"),
    ('title = "Does ten x grow?"', "title = 3", "'title' is 3: expected a text"),
    ("seeds = {", "seads = {", "growth.toml, experiment 'growth': unknown key of an experiment 'seads'.*'seeds'"),
    ("product = { x = [1, 2, 3] }", "product = { x = [1, 2, 3 }", r"growth.toml is not valid TOML: .*line 11"),
    ("product = { x", "product = { xx", "unknown parameter 'xx'"),
    ("product = { x = [1, 2, 3]", "product = { x = [1, 2.5]", "parameter 'x' got 2.5: expected a whole number"),
    ("product = { x = [1, 2, 3]", "product = { x = []", "at least one level"),
    ("product = { x = [1, 2, 3]", "product = { x = 3", "at least one level"),
    ("product = { x = [1, 2, 3]", "product = { x = [1, 1]", "two runs have the same parameters"),
    ("product = { x = [1, 2, 3]", "product = { seed = [1, 2]", "'seed' is set by 'product' and by 'seeds'"),
    ("zip = { rate = [0.1, 1] }", "zip = { rate = [0.1, 1], name = ['a'] }", "unequal lengths"),
    ("zip = { rate", "zip = { x", "'x' is set by 'product' and by 'zip'"),
    ("zip = { rate = [0.1, 1] }", "cases = [3]", "'cases' holds 3: expected a table"),
    ("full = [5, 7, 9]", "full = [5, 5]", "different whole numbers"),
    ("fast = 2", "fast = 0", "'seeds' is 0"),
    ("timeout = 60", "timeout = 0", "'timeout' is 0: expected a number above 0"),
    ("timeout = 60", "timeout = true", "'timeout' is True: expected a whole number or a number"),
    ("timeout = 60", "memory = -1", "'memory' is -1"),
    ('"tiny.ipynb"', '"tinny.ipynb"', "there is no notebook"),
    ('"tiny.ipynb"', '"02_discovry"', "did you mean '02_discovery'"),
    ('name = "growth"', 'name = "Growth!"', "small letters"),
    ('question = "Does it?"', "", "'question' is missing"),
    ('y = "lower"', 'y = "lowr"', "unknown direction of metric 'y': 'lowr'; did you mean 'lower'"),
    ('y = "lower"', "y = 3", "metric 'y' is 3"),
    ('y = "lower"', "y = { tolerance = -1 }", "expected a number from 0 up"),
    ('y = "lower"', "y = { tolerence = 1 }", "did you mean 'tolerance'"),
    ('metrics = { y = "lower" }', "metrics = {}", "'metrics' is empty"),
    ("baseline = { x = 1 }", "baseline = { x = 7 }", "baseline names x = 7: no run has that"),
    ("baseline = { x = 1 }", "baseline = { name = 'a' }", "unknown axis in baseline: 'name'"),
    ('x = "x", y = "y"', 'x = "xx", y = "y"', "unknown axis in plot: 'xx'"),
    ('x = "x", y = "y"', 'x = "x", y = "yy"', "unknown metric of a plot 'yy'; did you mean 'y'"),
    ('scale = "log"', 'scale = "logg"', "did you mean 'log'"),
    ('scale = "log"', 'facet = "xx"', "unknown axis in plot: 'xx'"),
    ('scale = "log"', "where = { x = 9 }", "plot names x = 9: no run has that"),
    ('scale = "log"', "scale = 1", "plot has scale = 1"),
    ('effects = ["x", "rate"]', 'effects = ["x", "rat"]', "unknown axis in effects: 'rat'; did you mean 'rate'"),
    ("where = { x = 2 }", "where = { x = 9 }", "figure 'f' names x = 9: no run has that"),
    ("where = { x = 2 }", "where = { y = 9 }", "unknown axis in figure 'f': 'y'"),
    ('metric = "y"', 'metric = "z"', "unknown metric of figure 'f': 'z'"),
    ("sd = 0.5, n = 3", "sd = 0.5", "no rule"),
    ("sd = 0.5, n = 3", "sd = -0.5, n = 3", "sd = -0.5"),
    ("[[experiment]]", "[experiment]", "'experiment' is"),
    ('title = "Does ten x grow?"', 'include = ["no*.toml"]', "matches no file"),
]


@pytest.mark.parametrize("old, new, words", WRONG)
def test_a_wrong_suite_is_named(tmp_path, old, new, words):
    assert SUITE.count(old) == 1
    path = write_suite(tmp_path, SUITE.replace(old, new))
    with pytest.raises(ValueError, match=words) as raised:
        load_suite(path)
    assert "growth.toml" in str(raised.value)


def test_effects_want_a_full_factorial(tmp_path):
    path = write_suite(tmp_path, minimal(zip="{ x = [1, 2], rate = [0.1, 0.2] }", effects='["x", "rate"]'))
    with pytest.raises(ValueError, match=r"every combination of x, rate: none has x = 1, rate = 0.2"):
        load_suite(path)


def test_other_wrong_suites(tmp_path):
    with pytest.raises(ValueError, match="no suite file"):
        load_suite(tmp_path / "no.toml")
    with pytest.raises(ValueError, match="did you mean 'fast'"):
        load_suite(write_suite(tmp_path), "fats")
    with pytest.raises(ValueError, match="2 experiments called 'one'"):
        load_suite(write_suite(tmp_path, minimal() + "\n" + minimal()))
    with pytest.raises(ValueError, match="holds no"):
        load_suite(write_suite(tmp_path, "title = 'x'"))
    with pytest.raises(ValueError, match="includes further files"):
        write_suite(tmp_path, "include = ['growth.toml']", "other.toml")
        load_suite(write_suite(tmp_path, "include = ['other.toml']"))
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe4'")
    with pytest.raises(ValueError, match="UTF-8"):
        load_suite(tmp_path / "latin.toml")
    with pytest.raises(ValueError, match="threads is 0"):
        plan_suite(load_suite(write_suite(tmp_path)), threads=0)


# A part


def test_a_part_has_the_same_addresses_as_the_whole(tmp_path):
    text = SUITE + minimal(name='"again"', seeds="[3]")
    whole = load_suite(write_suite(tmp_path, text), "full")
    addresses = {run.address for run in plan_suite(whole).runs}
    for only, seeds in (((), None), (("growth",), None), (("growth",), 2), ((), 2), (("growth", "again"), 9)):
        part = part_of(whole, only, seeds)
        assert {run.address for run in plan_suite(part).runs} <= addresses
        assert {e.name for e in part.experiments} == set(only or ("growth", "again"))
        for experiment in part.experiments:
            (before,) = (e for e in whole.experiments if e.name == experiment.name)
            assert experiment.seeds == before.seeds[:seeds]
            assert experiment.runs == tuple(run for run in before.runs if run["seed"] in experiment.seeds)
    assert part_of(whole) == whole and part_of(whole, ["again"], 1).part == ("--only=again", "--seeds=1")


def test_a_part_by_values_of_parameters(tmp_path):
    whole = load_suite(write_suite(tmp_path, SUITE + minimal(name='"again"', seeds="[3]")), "full")
    (first, _) = whole.experiments
    axis = next(name for name in first.axes if len({run[name] for run in first.runs}) > 1)
    value = first.runs[0][axis]
    part = part_of(whole, ["growth"], where={axis: [str(value)]})
    assert part.experiments[0].runs == tuple(run for run in first.runs if run[axis] == value)
    assert part.part == ("--only=growth", f"--where={axis}={value}")
    assert {run.address for run in plan_suite(part).runs} <= {run.address for run in plan_suite(whole).runs}
    with pytest.raises(ValueError, match=f"unknown value of '{axis}': 'no'"):
        part_of(whole, where={axis: ["no"]})
    with pytest.raises(ValueError, match="unknown parameter of suite 'growth': 'nowhere'"):
        part_of(whole, where={"nowhere": ["1"]})


def test_a_baseline_that_is_left_out_is_no_baseline(tmp_path):
    text = minimal(name='"one"', product="{ x = [5, 10] }", baseline="{ x = 5 }")
    suite = load_suite(write_suite(tmp_path, "title = 'A part'\n" + text))
    assert part_of(suite, where={"x": ["5", "10"]}).experiments[0].baseline == {"x": 5}
    assert part_of(suite, where={"x": ["10"]}).experiments[0].baseline == {}


def test_a_part_that_is_not_there_is_named(tmp_path):
    suite = load_suite(write_suite(tmp_path))
    with pytest.raises(ValueError, match="unknown experiment of suite 'growth': 'grwth'; did you mean 'growth'"):
        part_of(suite, ["grwth"])
    with pytest.raises(ValueError, match="seeds is 0: expected a number above 0"):
        part_of(suite, seeds=0)


# The dry run


def test_a_dry_run_shows_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    write_suite(tmp_path)
    before = sorted(os.listdir(tmp_path))
    done = CliRunner().invoke(app, ["bench", "growth.toml", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "growth: 12 runs, 0 done" in done.output and "x = 1, rate = 0.1, seed = 0" in done.output
    assert "... and 9 more" in done.output and "time: unknown" in done.output
    assert sorted(os.listdir(tmp_path)) == before


def test_a_frozen_suite_can_be_made_smaller(tmp_path):
    suite = load_suite(write_suite(tmp_path))
    one = replace(suite.experiments[0], runs=suite.experiments[0].runs[:1])
    assert len(plan_suite(replace(suite, experiments=(one,)), tmp_path / "out").runs) == 1
