"""Sweeps: what is done is skipped, what changed runs again, and every way in which one can end."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from causalkit.bench import engines, load_suite, results_table, run_suite
from causalkit.bench.directory import recorded_suite
from causalkit.cli import app
from causalkit.runs import OutputError, Run, load_run
from tests.test_suite import RECORD, minimal, write_notebook, write_suite

LIGHT = (
    "numpy,pandas,psutil,IPython,ipykernel.kernelapp,ipykernel.ipkernel,nbformat,nbclient,papermill,"
    "jupyter_client.asynchronous,jupyter_client.manager,jupyter_client.provisioning"
)
FOUR = minimal(seeds="2", product="{ x = [1, 2] }")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty directory, and a warm process that imports little."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAUSALKIT_PRELOAD", LIGHT)
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def fake(monkeypatch):
    """Runs without kernels: `calls` has the parameters of each, `then` may change its record or raise."""

    class Fake:
        def __init__(self):
            self.calls, self.texts, self.then = [], [], lambda record, count: None

        def __call__(self, notebook, directory, parameters, *, about, replace, stop, **options):
            if stop.is_set():
                raise KeyboardInterrupt
            assert replace and options["timeout"] > 0 and options["threads"] == 1
            self.calls.append(parameters)
            self.texts.append(Path(notebook).read_text())
            value = 10 * parameters["x"] + parameters["seed"]
            entry = {"value": value, "meaning": "m", "unit": "1", "better": "lower", "truth": None, "repeats": True}
            record = {
                "schema": 2, "verdict": "ok", "failure": None, "notebook": Path(notebook).stem, "study": None,
                "source_sha256": "", "parameters": parameters, "seeds": {}, "metrics": {"y": entry}, "tables": {},
                "started": f"2026-01-01T00:00:{len(self.calls):02}+00:00", "finished": "2026-01-01T00:01:00+00:00",
                "timings": {"total": 1.0, "kernel_start": 0.5, "cells": []}, "peak_memory": 100.0, "warm": False,
                "versions": {}, "machine": {}, "git": None, "command": "", "artefacts": {}, **about,
            }  # fmt: skip
            self.then(record, len(self.calls))
            Path(directory).mkdir(exist_ok=True)
            (Path(directory) / "record.json").write_text(json.dumps(record))
            return Run(Path(directory), record)

    made = Fake()
    monkeypatch.setattr(engines, "run_notebook", made)
    monkeypatch.setattr(engines, "warm_parent", lambda threads: engines.contextlib.nullcontext())
    monkeypatch.setattr("causalkit.bench.report.write_suite_report", lambda directory: Path(directory, "report.html"))
    return made


def invoke(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def died(record, ename, evalue="", kernel=0.5):
    record |= {
        "verdict": "died",
        "metrics": {},
        "failure": {"cell": None, "line": "", "ename": ename, "evalue": evalue},
    }
    record["timings"]["kernel_start"] = kernel


def landed(root="results/growth"):
    """Address -> when the run there started; nothing hidden may be left beside them."""
    places = list(Path(root, "runs").iterdir())
    assert not [place for place in places if place.name.startswith(".")]
    return {place.name: load_run(place).record["started"] for place in places}


# With real kernels


def test_a_sweep_from_the_first_call_to_the_third(tmp_path):
    cells = ["assert not (x == 2 and seed == 1), 'this one fails'", RECORD]
    path = write_suite(tmp_path, FOUR)
    write_notebook(tmp_path / "tiny.ipynb", *cells)
    done = invoke("bench", path, "--workers", 2)
    assert done.exit_code == 1, done.output
    assert "3 of 4 runs ok, 1 failed; 4 were run now" in done.output
    assert "4 of 4 runs done, 0 running, 1 failed" in done.output and "this one fails" in done.output
    root = tmp_path / "results" / "growth"
    names = {"sweep.json", "runs", "results.jsonl", "table.csv", "report.html", "report.md", ".lock"}
    assert names <= {p.name for p in root.iterdir()} | {".lock"}
    table = results_table(root)
    assert table["y"].tolist()[:3] == [10, 11, 20] and table["verdict"].tolist() == ["ok"] * 3 + ["failed"]
    sweep = json.loads((root / "sweep.json").read_text())
    assert [entry["address"] for entry in sweep["plan"]] == table["address"].tolist()
    run = load_run(root / "runs" / sweep["plan"][0]["address"])
    for key in ("code_sha256", "lock_sha256", "versions", "budget"):
        assert run.record[key] == sweep[key]
    assert (run.record["suite"], run.record["experiment"], run.record["attempts"]) == ("growth", "one", 1)
    assert run.record["address"] == run.directory.name and run.record["notebook"] == "tiny"
    assert run.record["command"].startswith(f"causalkit run {tmp_path / 'tiny.ipynb'} -p x=1")
    before = landed()
    done = invoke("bench", path)
    assert done.exit_code == 1 and "0 were run now" in done.output and landed() == before
    done = invoke("report", "growth")
    assert done.exit_code == 0 and "report.html" in done.output
    done = invoke("bench", path, "--dry-run")
    assert "one: 4 runs, 4 done" in done.output and "0 to run" in done.output
    path.write_text(FOUR.replace("[1, 2]", "[1, 3]"))
    done = invoke("bench", path, "--dry-run", "--workers", 2)
    assert "4 runs, 2 done" in done.output and "with 2 workers; 2 guessed" in done.output
    done = invoke("bench", path, "--workers", 1)
    assert done.exit_code == 0 and "4 of 4 runs ok, 0 failed; 2 were run now" in done.output
    assert before.items() <= landed().items() and len(landed()) == 6
    assert results_table(root)["y"].tolist() == [10, 11, 30, 31]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_interrupted_says_how_to_go_on(tmp_path, sent):
    os.mkfifo(tmp_path / "ready")
    wait = f"import os, time\nif os.path.exists({str(tmp_path / 'ready')!r}) and x == 2:\n    "
    wait += f"open({str(tmp_path / 'ready')!r}, 'w').write('ready')\n    time.sleep(600)"
    path = write_suite(tmp_path, FOUR)
    write_notebook(tmp_path / "tiny.ipynb", wait, RECORD)
    command = [sys.executable, "-m", "causalkit.cli", "bench", str(path), "--workers", "1"]
    sweep = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (tmp_path / "ready").read_text() == "ready"
    family = psutil.Process(sweep.pid).children(recursive=True)
    assert len(family) >= 2
    sweep.send_signal(sent)
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, output
    assert not psutil.wait_procs(family, timeout=30)[1]
    assert "2 of 4 runs are done" in output and "Traceback" not in output
    before = landed()
    assert len(before) == 2 and len((tmp_path / "results/growth/results.jsonl").read_text().splitlines()) == 2
    (tmp_path / "ready").unlink()
    words = shlex.split(output.split("go on with: ")[1])
    assert words[:3] == ["causalkit", "bench", str(path)] and words[-1] == "--resume"
    done = invoke(*words[1:])
    assert done.exit_code == 0 and "4 of 4 runs ok, 0 failed; 2 were run now" in done.output, done.output
    assert before.items() <= landed().items()


# What runs and what does not


def test_workers_and_order_change_no_number(tmp_path, fake):
    suite = load_suite(write_suite(tmp_path, FOUR))
    tables = []
    for workers in (1, 3):
        status = run_suite(suite, tmp_path / f"out{workers}", workers=workers)
        assert status.ok and status.fresh == 4 and status.counts["one"].done == 4
        tables.append(results_table(tmp_path / f"out{workers}").drop(columns="total_seconds"))
    assert tables[0].equals(tables[1])


def test_only_what_changed_runs_again(tmp_path, fake):
    text = FOUR + "\n" + minimal(name='"two"', notebook='"other.ipynb"', seeds="3")
    write_notebook(tmp_path / "other.ipynb", "other = True", RECORD)
    path = write_suite(tmp_path, text)
    assert run_suite(load_suite(path)).fresh == 7
    assert run_suite(load_suite(path)).fresh == 0
    write_notebook(tmp_path / "other.ipynb", "changed = True", RECORD)
    status = run_suite(load_suite(path))
    assert status.fresh == 3 and status.ok and len(landed()) == 10
    assert len(results_table("results/growth")) == 7


def test_a_run_that_two_experiments_share_runs_once(tmp_path, fake):
    path = write_suite(tmp_path, FOUR + "\n" + minimal(name='"two"', product="{ x = [2, 3] }"))
    status = run_suite(load_suite(path))
    assert status.fresh == 5 and status.total.planned == 5
    assert [status.counts[name].done for name in ("one", "two")] == [4, 2]


def test_a_notebook_that_is_edited_meanwhile_runs_as_it_was_planned(tmp_path, fake):
    path = write_suite(tmp_path, FOUR)
    planned = (tmp_path / "tiny.ipynb").read_text()
    fake.then = lambda record, count: write_notebook(tmp_path / "tiny.ipynb", "edited = True", RECORD)
    run_suite(load_suite(path))
    assert fake.texts == [planned] * 4


def test_failed_runs_stay_until_they_are_asked_for_again(tmp_path, fake):
    def fail(record, count):
        if count in (2, 3):
            record |= {"verdict": "failed", "metrics": {}}
            record["failure"] = {"cell": 1, "line": "x", "ename": "E", "evalue": "e"}

    fake.then = fail
    path = write_suite(tmp_path, FOUR)
    assert run_suite(load_suite(path)).total.failed == 2
    assert run_suite(load_suite(path)).fresh == 0
    assert "2 done" in invoke("bench", path, "--dry-run", "--again-failed").output
    status = run_suite(load_suite(path), again_failed=True)
    assert status.fresh == 2 and status.ok


@pytest.mark.parametrize("starts, tries, verdict", [(1, 1, "ok"), (3, 3, "ok"), (9, 3, "died")])
def test_a_kernel_that_never_started_is_tried_again(tmp_path, fake, starts, tries, verdict):
    fake.then = lambda record, count: count < starts and died(record, "RuntimeError", kernel=None)
    status = run_suite(load_suite(write_suite(tmp_path, minimal())))
    (run,) = status.runs.values()
    assert len(fake.calls) == run.record["attempts"] == tries and run.verdict == verdict
    assert len(landed()) == 1 and run_suite(load_suite("growth.toml")).fresh == (verdict == "died")


def test_a_cell_that_fails_is_not_tried_again_and_a_kill_is_by_the_next_sweep(tmp_path, fake):
    fake.then = lambda record, count: count == 1 and died(record, "DeadKernel", "the kernel died (SIGKILL)")
    path = write_suite(tmp_path, FOUR)
    assert run_suite(load_suite(path)).total.failed == 1 and len(fake.calls) == 4
    status = run_suite(load_suite(path))
    assert status.fresh == 1 and status.ok and len(landed()) == 4


def test_what_a_killed_sweep_left_half_done_is_removed(tmp_path, fake):
    path = write_suite(tmp_path, minimal())
    status = run_suite(load_suite(path))
    (address,) = status.runs
    partial = tmp_path / "results/growth/runs" / f".{address}.partial-x"
    partial.mkdir()
    (partial / "record.json").write_text("{}")
    (tmp_path / "results/growth/.sweep.json.123").write_text("{")
    (tmp_path / "results/growth/.mine").write_text("")
    assert run_suite(load_suite(path)).fresh == 0 and list(landed()) == [address]
    hidden = {p.name for p in (tmp_path / "results/growth").glob(".*")}
    assert hidden - {".lock"} == {".mine"}


@pytest.mark.parametrize("text", ["", '{"schema": 2, "verd', '{"schema": 1, "verdict": "ok"}', "[]"])
def test_a_damaged_record_is_named_set_aside_and_run_again(tmp_path, fake, text):
    path = write_suite(tmp_path, FOUR)
    address = next(iter(run_suite(load_suite(path)).runs))
    (tmp_path / "results/growth/runs" / address / "record.json").write_text(text)
    done = invoke("bench", path)
    assert done.exit_code == 0 and f"set aside: damaged/{address}" in done.output
    assert "1 were run now" in done.output and len(landed()) == 4
    assert (tmp_path / "results/growth/damaged" / address / "record.json").read_text() == text


# How a sweep is stopped


def test_a_second_sweep_is_told_who_is_at_work(tmp_path, fake):
    suite = load_suite(write_suite(tmp_path, minimal()))
    told = []

    def again(record, count):
        with pytest.raises(ValueError, match=f"another sweep is at work in .*process {os.getpid()} on .*, since 20"):
            run_suite(suite)
        told.append(count)

    fake.then = again
    assert run_suite(suite).ok and told == [1]
    assert not (tmp_path / "results/growth/.holder").exists()


def test_a_metric_that_no_run_reports_stops_after_the_first(tmp_path, fake):
    path = write_suite(tmp_path, FOUR)
    assert run_suite(load_suite(path)).ok
    path.write_text(FOUR.replace('y = "lower"', 'y = "lower", z = "lower"').replace("[1, 2]", "[3, 4]"))
    fake.calls.clear()
    with pytest.raises(
        ValueError, match=r"experiment 'one' lists the metric 'z', and run \w{16} reports y:.*go on with"
    ):
        run_suite(load_suite(path))
    assert len(fake.calls) == 1 and len(landed()) == 5
    with pytest.raises(ValueError, match="lists the metric 'z'"):  # known before anything runs
        run_suite(load_suite(path))
    assert len(fake.calls) == 1


def test_a_disk_that_fills_up(tmp_path, fake):
    def full(record, count):
        if count == 3:
            raise OutputError("the disk is full")

    fake.then = full
    path = write_suite(tmp_path, FOUR)
    done = invoke("bench", path, "--workers", 1)
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert f"the disk is full. 2 of 4 runs are done and kept; go on with: causalkit bench {path} --resume" in (
        done.output
    )
    done = invoke("bench", path, "--resume")
    assert done.exit_code == 0 and "2 were run now" in done.output


def test_a_directory_that_cannot_be_made(tmp_path, fake):
    path = write_suite(tmp_path, FOUR)
    done = invoke("bench", path, "--output", "/proc/nothing/here")
    assert done.exit_code == 2 and "cannot be written" in done.output


def test_stopping_from_another_thread_of_a_program(tmp_path, fake):
    """Without the main thread there are no signals; the sweep still runs."""
    suite = load_suite(write_suite(tmp_path, FOUR))
    found = []
    thread = threading.Thread(target=lambda: found.append(run_suite(suite)))
    thread.start()
    thread.join()
    assert found[0].ok


# Directories and resuming


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("sweep.json", '{"schema": 99, "suite": {"name": "growth"}}', "not of version 1"),
        ("sweep.json", '{"schema": 1, "sui', "cannot be read"),
        ("other.txt", "mine", "is not empty, and holds no sweep"),
    ],
)
def test_a_directory_of_something_else(tmp_path, fake, name, text, words):
    path = write_suite(tmp_path, FOUR)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(text)
    for more in ([], ["--dry-run"]):
        done = invoke("bench", path, "--output", "out", *more)
        assert done.exit_code == 2 and words in done.output and done.output.count("error:") == 1
    assert not fake.calls and [p.name for p in (tmp_path / "out").iterdir()] == [name]


def test_a_directory_of_another_suite(tmp_path, fake):
    run_suite(load_suite(write_suite(tmp_path, FOUR)), "out")
    with pytest.raises(ValueError, match="holds the sweep of suite 'growth'"):
        run_suite(load_suite(write_suite(tmp_path, FOUR, "b.toml")), "out")


def test_resume_goes_on_with_what_was_begun(tmp_path, fake):
    def stop(record, count):
        if count == 2:
            raise OutputError("full")

    fake.then = stop
    path = write_suite(tmp_path, FOUR.replace("seeds = 2", "seeds = { fast = 2, full = 3 }"))
    assert invoke("bench", path, "--budget", "full", "-o", "out", "--workers", 1).exit_code == 2
    path.unlink()  # its definition is in sweep.json
    suite, options = recorded_suite("out")
    assert suite.budget == "full" and options == {"workers": 1, "threads": 1, "dask": None}
    done = invoke("bench", "growth", "--resume", "-o", "out")
    assert done.exit_code == 0 and "6 of 6 runs ok, 0 failed; 5 were run now" in done.output, done.output
    assert recorded_suite("out")[0] == suite


def test_resume_refuses_what_would_not_be_the_same(tmp_path, fake, monkeypatch):
    path = write_suite(tmp_path, FOUR)
    assert "holds no sweep" in invoke("bench", path, "--resume").output
    run_suite(load_suite(path))
    assert "has --budget fast: leave out" in invoke("bench", path, "--resume", "--budget", "full").output
    assert "has --threads 1: leave out" in invoke("bench", path, "--resume", "--threads", "2").output
    assert "holds the sweep of suite 'growth'" in invoke("bench", "x", "--resume", "-o", "results/growth").output
    with monkeypatch.context() as patch:
        patch.setattr("causalkit.runs.environment.versions", lambda: {"torch": "0"})
        patch.setattr("causalkit.runs.environment.lock_sha256", lambda: "another")
        done = invoke("bench", path, "--resume")
        assert done.exit_code == 2 and "has changed: requirements.lock, version of torch" in done.output
    write_notebook(tmp_path / "tiny.ipynb", "changed = True", RECORD)
    done = invoke("bench", path, "--resume")
    assert done.exit_code == 2 and "has changed: tiny.ipynb; leave out --resume" in done.output
    assert run_suite(load_suite(path)).fresh == 4


def test_a_part_first_and_then_the_rest(tmp_path, fake):
    path = write_suite(tmp_path, FOUR + "\n" + FOUR.replace('"one"', '"two"').replace("[1, 2]", "[3, 4]"))
    words = ("bench", path, "--workers", 1, "-o", "out")
    done = invoke(*words, "--only", "two", "--seeds", 1)
    assert done.exit_code == 0 and "2 of 2 runs ok, 0 failed; 2 were run now" in done.output, done.output
    sweep = json.loads(Path("out", "sweep.json").read_text())
    assert sweep["part"] == ["--only=two", "--seeds=1"] and " --only=two --seeds=1 " in sweep["command"]
    assert recorded_suite("out")[0].part == ("--only=two", "--seeds=1")
    done = invoke("bench", "growth", "--resume", "-o", "out")
    assert "2 of 2 runs ok, 0 failed; 0 were run now" in done.output, done.output
    assert "is not PARAMETER=VALUE" in invoke(*words, "--where", "seed").output
    for given in (["--only", "one"], ["--seeds", 2], ["--where", "seed=1"]):
        assert (
            "leave out --only, --seeds and --where" in invoke("bench", "growth", "--resume", "-o", "out", *given).output
        )
    assert "8 of 8 runs ok, 0 failed; 6 were run now" in invoke(*words).output
    assert "did you mean 'two'" in invoke(*words, "--only", "one,twoo").output
    assert "seeds is 0" in invoke(*words, "--seeds", 0).output
    assert json.loads(Path("out", "sweep.json").read_text())["part"] == []


def test_numbers_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="workers is 0"):
        run_suite(load_suite(write_suite(tmp_path, FOUR)), workers=0)
