"""Runs repeated: what came out again, what moved and by how much, and what is different around them."""

import copy
import json
import threading

import nbformat.v4 as v4
import pytest

from causalkit.bench import reproduce, reproduce_run, reproduce_suite
from causalkit.bench.engines import Outcome
from causalkit.runs import Run, load_run, run_notebook
from causalkit.runs.manifest import source_sha256
from causalkit.runs.parameters import read_notebook
from tests.made_sweep import experiment, write_sweep

LIGHT = "numpy,pandas,psutil,IPython,ipykernel.kernelapp,ipykernel.ipkernel,nbformat,nbclient,papermill"
NUMBER = {"meaning": "m", "unit": "1", "better": "lower", "truth": None, "repeats": True}
CELLS = (
    "x = 1\nseed = 0\nsteady = True",
    "import time\nfrom causalkit.runs import metric, record",
    "value = x + seed + (0.0 if steady else time.time())\n"
    "record({'rmse': metric(value, 'a number', unit='1'),\n"
    "        'seconds': metric(time.time(), 'a time', unit='s', repeats=False)})",
)


def write_notebook(path, *cells):
    made = [v4.new_code_cell(text) for text in cells or CELLS]
    made[0].metadata["tags"] = ["parameters"]
    path.write_text(v4.writes(v4.new_notebook(cells=made)), encoding="utf-8")
    return path


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of four runs whose notebook is there; `again` says what a repetition records, without any kernel."""
    monkeypatch.chdir(tmp_path)
    path = write_notebook(tmp_path / "lesson.ipynb")
    tolerances = {"rmse": {"better": "lower", "tolerance": 0.05}, "seconds": {"better": None, "tolerance": 0.01}}
    entry = {**experiment("one", axes=("x",), notebook=str(path), timeout=60.0, memory=2.0), "metrics": tolerances}
    runs = [
        ({"x": x, "seed": s, "steady": True}, {"rmse": float(x + s), "seconds": 3.0}) for x in (0, 1) for s in (0, 1)
    ]
    plan = write_sweep(tmp_path / "made", [(entry, runs)])
    for each in plan:
        place = tmp_path / "made" / "runs" / each["address"]
        executed = read_notebook(path)
        executed.cells.insert(1, v4.new_code_cell("x = 1", metadata={"tags": ["injected-parameters"]}))
        executed.cells[-1].outputs = [v4.new_output("stream", text="done")]
        (place / "executed.ipynb").write_text(v4.writes(executed))
        metrics = load_run(place).record["metrics"]
        metrics["seconds"]["repeats"] = False
        change(place, source_sha256=source_sha256(read_notebook(path)), metrics=metrics)

    class Again:
        changes, jobs = {}, []

        def __call__(self, job, folder, warm, stop):
            self.jobs.append(job)
            record = copy.deepcopy(load_run(tmp_path / "made" / "runs" / job.address).record)
            for name, value in self.changes.items():
                if name in ("verdict", "failure", "versions", "machine", "code_sha256", "lock_sha256"):
                    record[name] = value
                elif value is None:
                    record["metrics"].pop(name, None)
                else:
                    record["metrics"][name] = {**NUMBER, **record["metrics"].get(name, {}), "value": value}
            return Run(folder / job.address, record)

    again = Again()
    monkeypatch.setattr(reproduce, "run_job", again)

    def local(jobs, folder, *, workers, threads, stop, began):
        for job in jobs:
            yield Outcome(job) if stop.is_set() else Outcome(job, again(job, folder, None, stop))

    monkeypatch.setattr(reproduce, "run_local", local)
    again.root, again.plan = tmp_path / "made", plan
    again.first = again.root / "runs" / plan[-1]["address"]  # x = 1, seed = 1: rmse 2
    again.jobs = []
    return again


def change(place, **entries):
    record = json.loads((place / "record.json").read_text())
    (place / "record.json").write_text(json.dumps(record | entries))


def rows(found):
    return {row["metric"]: row for row in found.frame.to_dict("records")}


ELSEWHERE = {"versions": {"python": "3.12.0"}}


# What is run


def test_the_recorded_cells_are_run_with_what_was_recorded(sweep):
    found = reproduce_run(sweep.first)
    (job,) = sweep.jobs
    notebook = json.loads(job.notebook)
    assert ["".join(cell["source"]) for cell in notebook["cells"]] == list(CELLS)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in notebook["cells"])
    assert job.parameters == {"x": 1, "seed": 1, "steady": True} and job.threads == 1
    assert (job.timeout, job.memory, job.stem) == (60.0, 2.0, "lesson")
    assert found.ok and found.notes == ()
    reproduce_run(sweep.first, timeout=5)
    assert sweep.jobs[-1].timeout == 5


def test_cells_that_were_changed_since_are_not_run(sweep):
    write_notebook(sweep.first / "executed.ipynb", CELLS[0], "print('another')")
    with pytest.raises(ValueError, match=r"executed.ipynb was changed: its cells are not those of the record"):
        reproduce_run(sweep.first)
    found = reproduce_suite(sweep.root)
    assert not found.ok and len(sweep.jobs) == 3 and found.frame["verdict"].tolist().count("missing") == 1
    assert (
        "executed.ipynb was changed" in found.summary() and "missing: verdict of one (x=1, seed=1)" in found.summary()
    )


def test_a_run_without_a_known_limit_that_was_late_wants_one(sweep):
    late = {"cell": 1, "line": "", "ename": "Timeout", "evalue": "the whole run was not done in 60 s"}
    change(sweep.first, verdict="timeout", failure=late, metrics={})
    (sweep.root / "sweep.json").unlink()
    with pytest.raises(ValueError, match="ended by its time limit, which is not recorded: give a timeout"):
        reproduce_run(sweep.first)
    assert reproduce_run(sweep.first, timeout=3).ok


def test_a_notebook_that_changed_or_went_is_told_and_its_recorded_cells_are_run(sweep, tmp_path):
    write_notebook(tmp_path / "lesson.ipynb", CELLS[0], "print('another')")
    found = reproduce_run(sweep.first)
    assert found.ok and "lesson.ipynb has changed since; its recorded cells were run." in found.notes[0]
    (tmp_path / "lesson.ipynb").unlink()
    assert "is not here any more" in reproduce_suite(sweep.root).summary()


# What is said


def test_the_same_number_is_identical(sweep):
    found = reproduce_run(sweep.first)
    assert {name: row["verdict"] for name, row in rows(found).items()} == {
        "verdict": "identical", "rmse": "identical", "seconds": "not compared",
    }  # fmt: skip
    assert found.environment.empty
    assert found.summary() == (
        "1 of 1 run came out again; numbers: 1 identical, 1 not compared.\n"
        "The environment is that of the record: every number has to be identical."
    )


def test_in_the_same_environment_nothing_may_move(sweep):
    sweep.changes = {"rmse": 2.0 + 1e-15 * 2}
    found = reproduce_run(sweep.first)
    row = rows(found)["rmse"]
    assert not found.ok and row["verdict"] == "moved" and row["allowed"] == 0.0
    sweep.changes = {"rmse": 2.1}
    found = reproduce_run(sweep.first)
    assert rows(found)["rmse"]["relative"] == pytest.approx(0.05)
    assert "moved: rmse of lesson: 2 -> 2.1 (+0.1, +5 %; allowed 0)" in found.summary()


@pytest.mark.parametrize(
    "value, verdict", [(2.0, "identical"), (2.09, "within tolerance"), (1.91, "within tolerance"), (2.11, "moved")]
)
def test_elsewhere_the_tolerance_of_the_suite_counts(sweep, value, verdict):
    sweep.changes = {"rmse": value, **ELSEWHERE}
    found = reproduce_run(sweep.first)
    assert rows(found)["rmse"]["verdict"] == verdict and found.ok == (verdict != "moved")
    assert rows(found)["rmse"]["allowed"] == pytest.approx(0.1)
    assert (
        "version of python: 3.11.7 -> 3.12.0" in found.summary()
        and "version of torch: 2.13.0 -> none" in found.summary()
    )


def test_without_a_suite_one_percent_is_allowed(sweep):
    (sweep.root / "sweep.json").unlink()
    sweep.changes = {"rmse": 2.0, **ELSEWHERE}
    assert rows(reproduce_run(sweep.first))["rmse"]["allowed"] == pytest.approx(0.02)


@pytest.mark.parametrize("name", ["code_sha256", "lock_sha256", "versions", "machine"])
def test_each_part_of_the_environment_counts(sweep, name):
    values = {"versions": {}, "machine": {"os": "Plan 9", "architecture": "x86_64", "cpu": "A CPU", "threads": 1}}
    sweep.changes = {name: values.get(name, "d" * 64), "rmse": 2.01}
    found = reproduce_run(sweep.first)
    assert found.ok and len(found.environment) and rows(found)["rmse"]["verdict"] == "within tolerance"


def test_more_processors_are_no_other_environment(sweep):
    machine = load_run(sweep.first).record["machine"]
    sweep.changes = {"machine": {**machine, "cpus": 64, "memory": 512.0}, "rmse": 2.01}
    assert not reproduce_run(sweep.first).ok


def test_zero_may_move_by_a_rounding_error_elsewhere(sweep):
    place = sweep.root / "runs" / sweep.plan[0]["address"]
    sweep.changes = {"rmse": 1e-12, **ELSEWHERE}
    assert rows(reproduce_run(place))["rmse"]["verdict"] == "within tolerance"
    sweep.changes = {"rmse": 1e-3, **ELSEWHERE}
    assert rows(reproduce_run(place))["rmse"]["verdict"] == "moved"


def test_times_are_shown_and_never_count(sweep):
    sweep.changes = {"seconds": 99.0}
    found = reproduce_run(sweep.first)
    row = rows(found)["seconds"]
    assert found.ok and row["verdict"] == "not compared" and row["difference"] == 96.0 and row["allowed"] is None


def test_a_metric_that_is_gone_or_new_is_missing(sweep):
    sweep.changes = {"rmse": None, "extra": 1.0}
    found = reproduce_run(sweep.first)
    assert [rows(found)[name]["verdict"] for name in ("rmse", "extra")] == ["missing", "missing"] and not found.ok
    assert "missing: rmse of lesson: 2 -> none" in found.summary()


def test_a_metric_without_a_value_stays_so(sweep):
    metrics = load_run(sweep.first).record["metrics"]
    change(sweep.first, metrics={"rmse": {**metrics["rmse"], "value": None}})
    assert rows(reproduce_run(sweep.first))["rmse"]["verdict"] == "identical"
    sweep.changes = {"rmse": 1.0, **ELSEWHERE}
    assert rows(reproduce_run(sweep.first))["rmse"]["verdict"] == "moved"


def test_another_verdict_counts_as_moved(sweep):
    failure = {"cell": 2, "line": "value = x", "ename": "NameError", "evalue": "no x"}
    sweep.changes = {"verdict": "failed", "failure": failure, **ELSEWHERE}
    found = reproduce_run(sweep.first)
    assert rows(found)["verdict"]["verdict"] == "moved" and list(rows(found)) == ["verdict"] and not found.ok
    assert "moved: verdict of lesson: ok -> failed" in found.summary()
    assert "cell 2 (value = x): NameError: no x" in found.summary()


# Suites


def test_a_whole_sweep_comes_out_again(sweep):
    seen = []
    found = reproduce_suite(sweep.root, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert found.ok and seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.frame["run"].unique().tolist() == [f"one (x={x}, seed={s})" for x in (0, 1) for s in (0, 1)]
    assert found.summary().startswith("4 of 4 runs came out again; numbers: 4 identical, 4 not compared.")


def test_a_sample_is_the_same_each_time(sweep):
    drawn = []
    for _ in range(2):
        sweep.jobs = []
        assert reproduce_suite(sweep.root, sample=2).frame["run"].nunique() == 2
        drawn.append([job.address for job in sweep.jobs])
    assert drawn[0] == drawn[1]
    assert reproduce_suite(sweep.root, sample=99).frame["run"].nunique() == 4


def test_the_numbers_that_moved_are_counted_by_run_and_named(sweep):
    sweep.changes = {"rmse": 2.0}  # as recorded for the last run alone
    text = reproduce_suite(sweep.root).summary()
    assert text.startswith("1 of 4 runs came out again; numbers: 4 not compared, 3 moved, 1 identical.")
    assert "moved: rmse of one (x=0, seed=0): 0 -> 2 (+2; allowed 0)" in text


def test_runs_that_are_not_there_are_told(sweep):
    (sweep.first / "record.json").write_text("{")
    assert "1 planned runs were not run, and are not compared." in reproduce_suite(sweep.root).notes
    for entry in sweep.plan[:-1]:
        (sweep.root / "runs" / entry["address"] / "record.json").write_text("{")
    with pytest.raises(ValueError, match="holds no finished run"):
        reproduce_suite(sweep.root)


def test_a_stop_ends_it(sweep):
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        reproduce_suite(sweep.root, stop=stop, progress=lambda done, total: stop.set())
    assert len(sweep.jobs) == 1


def test_an_error_of_a_run_ends_it(sweep, monkeypatch):
    monkeypatch.setattr(
        reproduce, "run_local", lambda jobs, folder, **_: iter([Outcome(jobs[0], error=ValueError("full"))])
    )
    with pytest.raises(ValueError, match="full"):
        reproduce_suite(sweep.root)


@pytest.mark.parametrize("options", [{"workers": 0}, {"sample": 0}, {"sample": -1}])
def test_bad_numbers_are_refused(sweep, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        reproduce_suite(sweep.root, **options)


def test_what_is_no_run_and_no_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a run directory"):
        reproduce_run(tmp_path)
    with pytest.raises(ValueError, match="holds no sweep"):
        reproduce_suite(tmp_path)


# With real kernels


def test_a_real_run_comes_out_again_and_one_that_reads_the_clock_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("CAUSALKIT_PRELOAD", LIGHT)
    path = write_notebook(tmp_path / "tiny.ipynb")
    steady = run_notebook(path, tmp_path / "steady", {"x": 3, "seed": 4})
    assert steady.ok, steady.why
    found = reproduce_run(steady.directory)
    assert found.ok and rows(found)["rmse"]["now"] == 7.0 and found.environment.empty and found.notes == ()
    assert rows(found)["seconds"]["verdict"] == "not compared" and rows(found)["seconds"]["difference"] > 0
    before = steady.record["started"]
    loose = run_notebook(path, tmp_path / "loose", {"steady": False})
    moved = reproduce_run(loose.directory)
    assert not moved.ok and rows(moved)["rmse"]["verdict"] == "moved"
    assert load_run(tmp_path / "steady").record["started"] == before


def test_the_exit_code_tells(tmp_path):
    from typer.testing import CliRunner

    from causalkit.cli import app

    def invoke(place):
        return CliRunner().invoke(app, ["reproduce", str(place)])

    run = run_notebook(write_notebook(tmp_path / "tiny.ipynb"), tmp_path / "run", {"x": 3})
    done = invoke(run.directory)
    assert done.exit_code == 0 and "1 of 1 run came out again" in done.output
    record = copy.deepcopy(run.record)
    record["metrics"]["rmse"]["value"], record["versions"]["torch"] = 2.5, "1.0"
    (run.directory / "record.json").write_text(json.dumps(record))
    done = invoke(run.directory)
    assert done.exit_code == 1
    assert "moved: rmse of tiny: 2.5 -> 3 (+0.5, +20 %; allowed 0.025)" in done.output
    assert "version of torch: 1.0 ->" in done.output
    done = invoke(tmp_path / "nothing")
    assert done.exit_code == 2 and "not a run directory" in done.output


def test_a_real_sweep_comes_out_again(tmp_path, monkeypatch):
    from causalkit.bench import load_suite, run_suite

    monkeypatch.setenv("CAUSALKIT_PRELOAD", LIGHT)
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path / "tiny.ipynb")
    text = (
        '[[experiment]]\nname = "one"\nquestion = "?"\nnotebook = "tiny.ipynb"\nseeds = 2\nproduct = { x = [1, 2] }\n'
    )
    (tmp_path / "small.toml").write_text(text + 'metrics = { rmse = "lower" }\n')
    run_suite(load_suite(tmp_path / "small.toml"), tmp_path / "results", workers=2)
    found = reproduce_suite(tmp_path / "results", workers=2, sample=3)
    assert found.ok and len(found.frame) == 9 and found.environment.empty, found.summary()
