"""The notebooks: paired with their sources, well formed, and executed with tiny parameters, twice."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from causalkit.runs import STUDIES, run_notebook

TOP = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(TOP.glob("*.ipynb"))
ALL = [*LESSONS, *sorted((TOP / "exercises").glob("*.ipynb"))]  # what students open
EXPERIMENTS = sorted((TOP / "experiments").glob("*.ipynb"))  # what suites run, see test_suites_shipped.py


def code_of(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_notebooks_agree_with_their_sources():
    done = subprocess.run([sys.executable, TOP / "pair.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_change_on_one_side_is_noticed(tmp_path):
    for name in ("pair.py", "01_scm_and_shifts.ipynb", "src/01_scm_and_shifts.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((TOP / name).read_text())
    notebook = json.loads((tmp_path / "01_scm_and_shifts.ipynb").read_text())
    notebook["cells"][3]["source"] = "x = 1"
    (tmp_path / "01_scm_and_shifts.ipynb").write_text(json.dumps(notebook))
    done = subprocess.run([sys.executable, tmp_path / "pair.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "01_scm_and_shifts.ipynb differs" in done.stdout


def test_the_six_lessons_are_there_and_in_both_studies():
    assert [p.stem[:2] for p in LESSONS] == ["01", "02", "03", "04", "05", "06"]
    for study in STUDIES.values():
        assert list(study) == [p.stem for p in LESSONS]


@pytest.mark.parametrize("path", [*ALL, *EXPERIMENTS], ids=lambda p: p.stem)
def test_a_notebook_is_well_formed(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert not any(c.outputs or c.execution_count for c in code)
    assert [i for i, c in enumerate(code) if "parameters" in c.metadata.get("tags", [])] == [0]
    titles = [line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert sum(line.startswith("# ") for line in titles) == 1
    assert "ck.runs.record(" in code[-1].source
    source = "\n".join(c.source for c in code)
    assert ("ck.widgets.explore(" in source) == (path not in EXPERIMENTS)
    assert "pip install" not in source and "http" not in source
    assert sum(isinstance(n, ast.FunctionDef) for n in ast.walk(ast.parse(source))) <= 6
    assert max(len(c.source.splitlines()) for c in code) <= 45, "no cell is longer than a screen"


@pytest.mark.parametrize("path", [*ALL, *EXPERIMENTS], ids=lambda p: p.stem)
def test_every_parameter_is_a_literal_and_is_read(path):
    code = code_of(path)
    names = set()
    for node in ast.parse(code[0].source).body:
        assert isinstance(node, ast.Assign)
        ast.literal_eval(node.value)
        names.add(node.targets[0].id)
    rest = ast.parse("\n".join(c.source for c in code[1:]))
    read = {n.id for n in ast.walk(rest) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert names <= read, names - read


@pytest.mark.parametrize("data", ["synthetic", "sachs"])
@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_runs_and_gives_the_same_numbers_again(path, data, tmp_path, warm):
    """Same seed, same machine, same numbers: once on a forked kernel, once on a fresh one, and compared exactly."""
    given = {"data": data, "budget": "tiny"}
    runs = [
        run_notebook(path, tmp_path / name, given, timeout=300, warm=w) for name, w in (("one", warm), ("two", None))
    ]
    for run in runs:
        assert run.ok, run.why
    first, second = (
        {name: entry["value"] for name, entry in run.record["metrics"].items() if "second" not in entry["unit"]}
        for run in runs
    )
    assert first and first == second
    outputs = [o for c in code_of(runs[0].directory / "executed.ipynb") for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "stream" and o.name == "stderr"], "a clean run prints no warning"
    assert any("image/png" in o.get("data", {}) for o in outputs)


BEFORE = """
import causalkit as ck
boxes, explore = [], ck.widgets.explore
ck.widgets.explore = lambda *args, **controls: boxes.append(explore(*args, **controls)) or boxes[-1]
"""
AFTER = """
moves = 0
for box in boxes:
    controls, picture, words = box.children
    for control in controls.children:
        start = control.value
        for option in [value for value in dict(control._options_full).values() if value != start] + [start]:
            before = bytes(picture.value), words.value
            control.value = option
            moves += 1
            assert (bytes(picture.value), words.value) != before, (control.description, option)
assert moves
"""


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_every_control_redraws_for_every_option(path, tmp_path, warm):
    notebook = nbformat.read(path, as_version=4)
    code = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code"]
    notebook.cells.insert(code[-1], nbformat.v4.new_code_cell(AFTER))
    notebook.cells.insert(code[0] + 1, nbformat.v4.new_code_cell(BEFORE))
    nbformat.write(notebook, tmp_path / path.name)
    given = {} if path.parent != TOP else {"budget": "tiny"}
    run = run_notebook(tmp_path / path.name, tmp_path / "run", given, warm=warm)
    assert run.ok, run.why


def test_the_exercise_runs_unsolved_and_solved(tmp_path):
    from causalkit.course import adjustment_exercise
    from tests.test_course import solve

    path = TOP / "exercises" / "adjustment.ipynb"
    unsolved = run_notebook(path, tmp_path / "unsolved", {"student_id": "007"}, timeout=300)
    assert unsolved.ok and unsolved.record["metrics"]["points"]["value"] == 0
    assert unsolved.record["parameters"]["student_id"] == "007"
    answers = solve(adjustment_exercise("007").frame)
    given = {"student_id": "007"} | {f"answer_{k.replace(' ', '_')}": v for k, v in answers.items()}
    solved = run_notebook(path, tmp_path / "solved", given, timeout=300)
    assert solved.ok and solved.record["metrics"]["points"]["value"] == 3
