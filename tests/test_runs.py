"""Headless runs: parameters, verdicts with real kernels, what is left on disk, the report."""

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import nbformat.v4 as v4
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from causalkit.runs import (
    STUDIES,
    OutputError,
    compare_runs,
    load_run,
    metric,
    notebook_parameters,
    record,
    run_notebook,
    run_study,
    write_report,
)
from causalkit.runs import execute as execution
from causalkit.runs.parameters import check_parameters, find_notebook, read_notebook
from causalkit.runs.results import RESULT_VARIABLE
from causalkit.runs.verdict import Evidence, judge

PARAMETERS = 'seed = 0\nname = "a"\nrate: float = 0.5\nfast = True\nsizes = [1, 2]\ntarget: str | None = None'
RECORD = (
    "from causalkit.runs import metric, record\n"
    "record({'seed': metric(seed, 'the seed <b>', unit='1', truth=2, better='lower')})"
)


def write_notebook(path, *cells, parameters=PARAMETERS):
    """Texts become code cells, or markdown where they begin with '#' and a space."""
    first = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    make = {True: v4.new_markdown_cell, False: v4.new_code_cell}
    rest = [make[text.startswith("# ")](text) if isinstance(text, str) else text for text in cells]
    path.write_text(v4.writes(v4.new_notebook(cells=[first, *rest])), encoding="utf-8")
    return path


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "lesson.ipynb", RECORD)


# Parameters


def test_defaults_are_read_with_their_types(notebook):
    expected = {"seed": 0, "name": "a", "rate": 0.5, "fast": True, "sizes": [1, 2], "target": None}
    assert notebook_parameters(notebook) == expected


@given(
    seed=st.integers(),
    name=st.text(st.characters(codec="utf-8")),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    fast=st.booleans(),
    sizes=st.lists(st.integers(), min_size=1),
    target=st.none() | st.text("abc0 =", min_size=1),
)
def test_texts_and_values_say_the_same(tmp_path_factory, **values):
    path = tmp_path_factory.getbasetemp() / "round.ipynb"
    if not path.exists():
        write_notebook(path)
    texts = [f"{name}={value}" for name, value in values.items()]
    parsed = check_parameters(path, texts)
    assert parsed == values == check_parameters(path, values)
    assert {name: type(value) for name, value in parsed.items()} == {n: type(v) for n, v in values.items()}


@pytest.mark.parametrize("text", ["007", "00123", "1e3", "True", "None", "", "a=b", "[1]"])
def test_a_text_parameter_stays_text(notebook, text):
    assert check_parameters(notebook, [f"name={text}"]) == {"name": text}


@pytest.mark.parametrize(
    "texts, words",
    [
        (["sed=1"], "did you mean 'seed'"),
        (["seed=1.5"], "a whole number"),
        (["seed=one"], "a whole number"),
        (["seed=1_0"], "a whole number"),
        (["seed="], "a whole number"),
        (["rate=nan"], "a finite number"),
        (["rate=1e999"], "a finite number"),
        (["fast=1"], "true or false"),
        (["sizes=[a]"], "a list"),
        (["sizes=['a']"], "a list"),
        (["sizes=3"], "a list"),
        (["seed"], "has no '='"),
        (["seed=1", "seed=2"], "2 times"),
        (["seed; import os=1"], "unknown parameter"),
        ({"seed": True}, "a whole number"),
        ({"seed": "1"}, "a whole number"),
        ({"seed": None}, "a whole number"),
        ({"rate": math.inf}, "a finite number"),
        ({"name": 7}, "a text"),
        ("seed=1", "one text"),
    ],
)
def test_refused_parameters(notebook, tmp_path, texts, words):
    with pytest.raises(ValueError, match=words):
        run_notebook(notebook, tmp_path / "run", texts)
    assert [p.name for p in tmp_path.iterdir()] == ["lesson.ipynb"]


def test_an_int_will_do_for_a_float(notebook):
    assert type(check_parameters(notebook, {"rate": 1})["rate"]) is float


def test_without_a_type_a_literal_is_wanted(tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", parameters="x = None")
    assert check_parameters(path, ["x=[1, None]"]) == {"x": [1, None]}
    with pytest.raises(ValueError, match="quotes included"):
        check_parameters(path, ["x=007"])


@pytest.mark.parametrize(
    "cell",
    ["x = 1 + 1", "import os", "x = y = 1", "x = 1\nx = 2", "x, y = 1, 2", "x = (1,)", "x: int", "x = 1e999", "x +"],
)
def test_a_parameters_cell_holds_literals_only(tmp_path, cell):
    with pytest.raises(ValueError, match="parameters cell of n"):
        notebook_parameters(write_notebook(tmp_path / "n.ipynb", parameters=cell))


def test_one_parameters_cell(tmp_path):
    with pytest.raises(ValueError, match="2 cells tagged"):
        again = v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
        notebook_parameters(write_notebook(tmp_path / "n.ipynb", again))


def test_unknown_notebooks(tmp_path):
    (tmp_path / "bad.ipynb").write_text("{", encoding="utf-8")
    for name, words in (("no.ipynb", "no notebook"), ("bad.ipynb", "not a readable notebook")):
        with pytest.raises(ValueError, match=words):
            notebook_parameters(tmp_path / name)
    with pytest.raises(ValueError, match="99_nothing"):
        notebook_parameters("99_nothing")


# What a notebook records


def test_scalars_of_numpy_and_torch():
    values = [metric(v, "m", unit="1")["value"] for v in (np.float32(0.5), np.int64(2), torch.tensor(1.5), True, None)]
    assert values == [0.5, 2, 1.5, True, None]
    assert [type(v) for v in values] == [float, int, float, bool, type(None)]


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64("-inf"), torch.tensor(math.nan)])
def test_numbers_must_be_finite(value):
    for entry in (metric(value, "m", unit="1"), metric(1, "m", unit="1", truth=value)):
        with pytest.raises(ValueError, match="'loss' has"):
            record({"loss": entry})


def test_bad_metrics_and_tables():
    entry = metric(1, "m", unit="1")
    for call, words in [
        (lambda: metric([1, 2], "m", unit="1"), "single number"),
        (lambda: metric(1, " ", unit="1"), "meaning"),
        (lambda: metric(1, "m", unit=""), "unit"),
        (lambda: metric(1, "m", unit="1", better="smaller"), "did you mean|unknown"),
        (lambda: record({}), "no metrics"),
        (lambda: record({"a": 3}), "make it with metric"),
        (lambda: record({"a": entry}, {"t": [1]}), "DataFrame"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()


def test_record_writes_in_a_headless_run_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = {"a": metric(3, "m", unit="1")}
    assert list(record(entry).columns) == ["metric", "value", "unit", "meaning"]
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(RESULT_VARIABLE, str(tmp_path / "result.json"))
    table = pd.DataFrame({"x": [1.5, math.nan], "when": pd.to_datetime(["2020-01-01"] * 2)}, index=["a", "b"])
    record(entry, {"t": table})
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["metrics"] == entry
    assert stored["tables"]["t"]["columns"] == ["index", "x", "when"]
    assert [row[:2] for row in stored["tables"]["t"]["rows"]] == [["a", 1.5], ["b", None]]
    with pytest.raises(ValueError, match="twice"):
        record(entry)
    monkeypatch.setenv(RESULT_VARIABLE, str(tmp_path / "no" / "result.json"))
    with pytest.raises(OutputError, match="could not be written"):
        record(entry)


# Verdicts, each with a real kernel

BROKEN = [
    ("failed", ["x = 1", "\n# why\n1 / 0", RECORD], 2, "ZeroDivisionError"),
    ("died", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", RECORD], 1, "SIGKILL"),
    ("exited", ["import sys\nsys.exit(0)", RECORD], 1, "SystemExit"),
    ("exited", ["x = 1"], None, "NoResult"),
    ("widget_error", ["from ipywidgets import interact\ninteract(lambda a: 1 / 0, a=(0, 3))", RECORD], 1, "ZeroDiv"),
    ("widget_error", ["from ipywidgets import Output\no = Output()\nwith o:\n    1 / 0\no", RECORD], 1, "ZeroDiv"),
]


@pytest.mark.parametrize("verdict, cells, cell, words", BROKEN)
def test_every_way_to_fail(tmp_path, verdict, cells, cell, words):
    path = write_notebook(tmp_path / "lesson.ipynb", *cells)
    run = run_notebook(path, tmp_path / "run", {"seed": 3})  # a parameter is injected, and must not move the index
    assert (run.verdict, run.ok, run.record["failure"]["cell"]) == (verdict, False, cell)
    assert words in run.why
    assert run.metrics.empty
    assert load_run(tmp_path / "run") == run
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lesson.ipynb", "run"]
    page = write_report(tmp_path / "run").read_text()
    assert words in page
    assert ('id="run0-failed"' in page) == (cell is not None)


def test_timeout_is_for_the_whole_run(tmp_path):
    path = write_notebook(tmp_path / "lesson.ipynb", "while True:\n    pass", RECORD)
    run = run_notebook(path, tmp_path / "run", timeout=4)
    assert run.verdict == "timeout"
    assert run.record["failure"]["cell"] in (None, 0, 1)  # a slow machine may still be starting the kernel
    assert (tmp_path / "run" / "executed.ipynb").is_file()


def test_an_interrupted_kernel():
    error = v4.new_output("error", ename="KeyboardInterrupt", evalue="", traceback=[])
    notebook = v4.new_notebook(cells=[v4.new_code_cell("f()", outputs=[error])])
    ended = [{"event": "ended", "time": 1.0, "reason": "finished"}]
    assert judge(Evidence(notebook, ended, None, None, 0.0, 1.0, ""))[0] == "interrupted"


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """One notebook run twice, with different parameters, under a path with braces in it."""
    root = tmp_path_factory.mktemp("{two}")
    look = (
        "import os, sys, matplotlib, pandas as pd\nopen('mine.txt', 'x').close()\n"
        "print(os.getcwd(), sys.executable, os.environ['OMP_NUM_THREADS'], os.environ['PYTHONHASHSEED'])\n"
        "print(repr(name), matplotlib.get_backend(), '<i>')"
    )
    text = "# Why <script>alert(1)</script>?\n## Sums\n$x^2$ [paper](https://example.org/p) ![p](https://example.org/p.png)"
    widget = "from ipywidgets import interact\ninteract(lambda a: print(a), a=(0, 3))\nimport pandas as pd"
    html = 'from IPython.display import HTML\nHTML(\'<img src="http://example.org/a.png" onerror="alert(1)">\')'
    figure = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    table = RECORD.replace("})", "}, {'t': pd.DataFrame({'a': [1, 2]})})")
    broken = v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})  # meant to fail
    path = write_notebook(root / "lesson.ipynb", look, text, widget, html, figure, broken, table)
    progress = []
    first = run_notebook(
        path, root / "runs" / "a", {"name": "007\\\"'"}, progress=lambda *state: progress.append(state)
    )
    return first, run_notebook(path, root / "runs" / "b", ["seed=4"], threads=2), progress


def _printed(run):
    outputs = [o for cell in read_notebook(run.directory / "executed.ipynb").cells for o in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_a_good_run(two_runs):
    first, second, progress = two_runs
    assert first.ok and second.ok
    assert first.record["metrics"]["seed"] == metric(0, "the seed <b>", unit="1", truth=2, better="lower")
    assert first.tables["t"]["a"].tolist() == [1, 2]
    assert first.record["parameters"]["name"] == "007\\\"'" and repr("007\\\"'") in _printed(first)
    assert first.record["seeds"] == {"seed": 0}
    assert first.record["source_sha256"] == second.record["source_sha256"]
    assert first.record["git"] is None
    assert first.record["versions"]["torch"] == torch.__version__
    times = first.record["timings"]
    assert 0 < times["kernel_start"] < times["total"] and len(times["cells"]) == 7
    assert progress[0][0] == "lesson" and progress[-1][2] == 7
    assert load_run(first.directory) == first
    assert "-p seed=4" in second.record["command"] and "--threads 2" in second.record["command"]


def test_own_directory_own_interpreter_capped_threads(two_runs):
    texts = [_printed(run) for run in two_runs[:2]]
    assert texts[0].split()[0] != texts[1].split()[0]
    assert all(f"{sys.executable} " in text for text in texts)
    assert f"{sys.executable} 1 0" in texts[0] and f"{sys.executable} 2 0" in texts[1]
    assert all((run.directory / "files" / "mine.txt").is_file() for run in two_runs[:2])
    assert all("inline" in text for text in texts)


def test_papermills_metadata_is_gone(two_runs):
    text = (two_runs[0].directory / "executed.ipynb").read_text()
    assert '"papermill"' not in text and ".partial-" not in json.dumps(json.loads(text)["metadata"])


def test_compare(two_runs):
    settings, metrics = compare_runs(two_runs[0], two_runs[1].directory)
    assert settings["setting"].tolist() == ["parameter seed", "parameter name"]
    row = metrics.iloc[0]
    assert (row["first"], row["second"], row["difference"]) == (0, 4, 4) and pd.isna(row["ratio"])
    assert compare_runs(two_runs[1], two_runs[1])[1]["ratio"].tolist() == [1]


def test_compare_refuses_other_directories(tmp_path, two_runs):
    with pytest.raises(ValueError, match="not a run directory"):
        compare_runs(two_runs[0], tmp_path)
    for text, words in (("{", "cannot be read"), ('{"schema": 0}', "version 2")):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(ValueError, match=words):
            compare_runs(tmp_path, two_runs[0])


def test_the_report_stands_alone(two_runs, tmp_path):
    from bs4 import BeautifulSoup

    path = write_report(two_runs[0].directory.parent, tmp_path / "page.html")
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for tag in page.find_all(True):
        for name, value in tag.attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("#", "data:image/")), value
    assert not page.find_all(["script", "link", "iframe"])
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.find_all("a", href=True)} <= set(ids)
    assert all(image.get("alt") for image in page.find_all("img"))
    assert "https://example.org/p" in page.get_text() and "the seed <b>" in page.get_text()
    assert "[0, 3]" not in page.get_text() and "interactive control" in page.get_text()
    assert page.find("img", class_="formula")["alt"] == "x^2"


def test_formulas_and_prices():
    from causalkit.runs.page import MATHS, _formula

    assert MATHS.sub(_formula, "costs $5 and $6") == "costs $5 and $6"
    assert MATHS.sub(_formula, r"$\nosuchthing$") == r'<code class="formula">\nosuchthing</code>'
    assert MATHS.sub(_formula, r"$$\begin{aligned}a &= b \\ c &= d\end{aligned}$$").count("<img") == 2


# Directories


def test_an_existing_directory_is_refused(notebook, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        run_notebook(notebook, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_unwritable_output(notebook, tmp_path):
    for place in (notebook / "run", Path("/proc/nothing/run")):
        with pytest.raises(OutputError, match="cannot be written"):
            run_notebook(notebook, place)
    with pytest.raises(ValueError, match="timeout is 0"):
        run_notebook(notebook, tmp_path / "run", timeout=0)


def test_a_disk_that_fills_up_at_the_end(notebook, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def done(source, *_):
        return Evidence(source, [{"event": "ended", "time": 1.0, "reason": "finished"}], None, None, 0.0, 1.0, "")

    monkeypatch.setattr(execution, "_execute", done)
    for name in ("replace", "rename"):
        with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
            patch.setattr(os, name, full)
            run_notebook(notebook, tmp_path / "run")
        assert [p.name for p in tmp_path.iterdir()] == ["lesson.ipynb"]
    assert run_notebook(notebook, tmp_path / "run").verdict == "exited"


def test_a_disk_that_fills_up_in_the_middle(tmp_path):
    write_notebook(tmp_path / "lesson.ipynb", "print('x' * 50_000)", RECORD)
    code = (
        "import resource, sys\nfrom causalkit.runs import OutputError, run_notebook\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n    run_notebook('lesson.ipynb', 'run')\n"
        "except OutputError as error:\n    print('refused:', error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "refused:" in done.stdout and "too large" in done.stdout, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["lesson.ipynb"]


# Studies


def test_a_study_is_checked_before_it_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.setitem(STUDIES, "mine", {str(notebook): {"seed": 1}})
    for name, parameters, words in [
        ("mine", {"sed": 1}, "lesson: unknown parameter"),
        ("mine", ["seed=2"], "set by the study"),
        ("main", None, "did you mean 'mine'"),
    ]:
        with pytest.raises(ValueError, match=words):
            run_study(name, tmp_path / "study", parameters)
    with pytest.raises(OutputError, match="cannot be made"):
        run_study("mine", notebook / "study")
    assert not (tmp_path / "study").exists()


def test_the_two_studies_run_the_same_notebooks():
    assert list(STUDIES["synthetic"]) == list(STUDIES["sachs"])
    assert {p["data"] for study in STUDIES.values() for p in study.values()} == {"synthetic", "sachs"}


def test_a_killed_worker_is_a_verdict():
    notebook = v4.new_notebook(cells=[v4.new_code_cell("x = 1")])
    events = [{"event": "start", "cell": 0, "time": 1.0}]
    verdict, failure = judge(Evidence(notebook, events, {"metrics": {}}, None, 0.0, 2.0, "noise\nKilled\n"))
    assert verdict == "died" and failure["cell"] == 0 and "Killed" in failure["evalue"]


def test_an_empty_directory_has_no_report(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report(tmp_path)


def test_a_notebook_full_of_widgets_ends(tmp_path):
    """A client that may miss a reply hangs in about every second such run; one that cannot never does."""
    many = ["from ipywidgets import interact\ninteract(lambda a: a, a=(0, 3));"] * 200
    write_notebook(tmp_path / "many.ipynb", *many, RECORD)
    run = run_notebook(tmp_path / "many.ipynb", tmp_path / "run", timeout=240)
    assert run.ok, run.why


def test_shipped_notebooks_are_found_by_name_in_their_folders_too():
    assert find_notebook("02_discovery").name == "02_discovery.ipynb"
    assert find_notebook("experiments/shift").parent.name == "experiments"
    with pytest.raises(ValueError, match="did you mean 'experiments/shift'"):
        find_notebook("experiments/shfit")
    with pytest.raises(ValueError, match="there is no notebook"):
        find_notebook("experiments/shift_not_there.ipynb")
