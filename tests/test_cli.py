"""The command line: exit codes, one-line errors, Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat.v4 as v4
import psutil
import pytest
from typer.testing import CliRunner

from causalkit.cli import app
from causalkit.runs import STUDIES, load_run
from causalkit.runs.environment import diagnose

RECORD = "from causalkit.runs import metric, record\nrecord({'seed': metric(seed, 'the seed', unit='1', truth=2)})"
DRIVER = """
import sys
from causalkit.cli import app
from causalkit.runs import STUDIES
STUDIES["mine"] = {name: {} for name in ("one.ipynb", "two.ipynb", "three.ipynb")}
app(sys.argv[1:])
"""


def write_notebook(path, *cells):
    made = [v4.new_code_cell(text) for text in ("seed = 0\nbudget = 'fast'", *cells)]
    made[0].metadata["tags"] = ["parameters"]
    path.write_text(v4.writes(v4.new_notebook(cells=made)), encoding="utf-8")
    return path


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_run_and_report_and_compare(invoke, tmp_path):
    write_notebook(tmp_path / "one.ipynb", RECORD)
    done = invoke("run", "one.ipynb", "-p", "seed=3")
    assert done.exit_code == 0 and "truth" in done.output and "seed" in done.output
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.endswith("-one") and len(directory.name) == len("2026-01-01-00-00-00-one")
    assert load_run(directory).record["metrics"]["seed"]["value"] == 3
    done = invoke("report", directory)
    assert done.exit_code == 0 and Path(done.output.strip()).is_file()
    done = invoke("compare", directory, directory)
    assert done.exit_code == 0 and "Same notebook" in done.output and "ratio" in done.output


def test_a_study_stops_at_the_first_failure(invoke, tmp_path, monkeypatch):
    names = [str(write_notebook(tmp_path / f"{n}.ipynb", *cells)) for n, cells in
             (("one", [RECORD]), ("two", ["# here\n1 / 0", RECORD]), ("three", [RECORD]))]  # fmt: skip
    monkeypatch.setitem(STUDIES, "mine", {name: {"budget": "full"} for name in names})
    done = invoke("study", "mine", "-o", "out", "-p", "seed=7")
    assert done.exit_code == 1
    assert "two (mine), cell 1 (# here): ZeroDivisionError" in done.output
    assert "Times" in done.output and str(tmp_path / "out" / "report.html") in done.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["one", "report.html", "two"]
    first = load_run(tmp_path / "out" / "one")
    assert first.ok and first.record["study"] == "mine" and first.record["parameters"] == {"seed": 7, "budget": "full"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1 of 2 notebooks" in page and "ZeroDivisionError" in page


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "no.ipynb"], "there is no notebook"),
        (["run", "one.ipynb", "-p", "sed=3"], "did you mean 'seed'"),
        (["run", "one.ipynb", "-p", "seed=x"], "a whole number"),
        (["run", "one.ipynb", "-o", "."], "exists already"),
        (["run", "one.ipynb", "-o", "/proc/nothing/run"], "cannot be written"),
        (["run", "one.ipynb", "--timeout", "0"], "timeout is 0"),
        (["study", "synthetc"], "did you mean 'synthetic'"),
        (["compare", ".", "."], "not a run directory"),
        (["report", "."], "holds no run"),
    ],
)
def test_bad_input_is_one_message(invoke, tmp_path, words, message):
    write_notebook(tmp_path / "one.ipynb", RECORD)
    done = invoke(*words)
    assert done.exit_code == 2
    assert message in done.output and done.output.count("error:") == 1 and "Traceback" not in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["one.ipynb"]


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_no_kernel_outlives_an_interrupted_study(tmp_path, sent, code):
    os.mkfifo(tmp_path / "ready")
    ready = f"import time\nwith open({str(tmp_path / 'ready')!r}, 'w') as f:\n    f.write('ready')\ntime.sleep(600)"
    write_notebook(tmp_path / "two.ipynb", ready, RECORD)
    write_notebook(tmp_path / "three.ipynb", RECORD)
    write_notebook(tmp_path / "one.ipynb", RECORD if sent == signal.SIGINT else ready)  # a finished one, once
    command = [sys.executable, "-c", DRIVER, "study", "mine", "-o", "out", "-p", "seed=5"]
    study = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # tests that run as a background job inherit an ignored SIGINT, which a terminal's programs do not have
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (tmp_path / "ready").read_text() == "ready"  # blocks until the notebook is there
    family = psutil.Process(study.pid).children(recursive=True)
    assert len(family) >= 2  # the run and its kernel, and the warm process that they were forked from
    study.send_signal(sent)
    output, _ = study.communicate(timeout=60)
    assert study.returncode == code, output
    assert not psutil.wait_procs(family, timeout=30)[1]
    if sent == signal.SIGINT:
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["one"]  # no partial directory, one finished
        assert load_run(tmp_path / "out" / "one").ok
        assert "Traceback" not in output
        for name in ("two", "three"):
            assert f"causalkit run {tmp_path / name}.ipynb -p seed=5 --output {tmp_path / 'out' / name}" in output
    elif sent == signal.SIGTERM:
        assert not (tmp_path / "out").exists()


def test_doctor(invoke, monkeypatch):
    checks = {check.name: check for check in diagnose()}
    assert "runs a notebook" in checks["kernel"].found and not checks["kernel"].mend
    assert not checks["output"].mend and not checks["torch"].mend
    monkeypatch.setattr("causalkit.runs.environment.PACKAGES", ("torch", "no-such-package"))
    monkeypatch.setattr("causalkit.runs.environment._check_kernel", lambda: checks["kernel"])
    done = invoke("doctor", "-o", "/proc/nothing")
    assert done.exit_code == 1
    assert "pip install 'no-such-package'" in done.output and "choose another directory" in done.output


def test_doctor_speaks_where_torch_cannot_be_imported():
    code = "import sys; sys.modules['torch'] = None; from causalkit.cli import app; app(['doctor'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "torch" in done.stdout and "kernel" in done.stdout and "Traceback" not in done.stderr
