"""README's Python runs as it stands, and the commands that it names exist."""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parent.parent
TEXT = (TOP / "README.md").read_text()


def test_the_twenty_lines_run(capsys):
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL).group(1)
    namespace: dict = {}
    exec(code, namespace)
    erm, causal = (
        float(namespace["ck"].evaluate(namespace[m], namespace["test"], namespace["task"])["rmse"].iloc[0])
        for m in ("erm", "causal")
    )
    assert causal < 0.8 * erm  # what the lines are there to show
    assert "spurious shift of y" in capsys.readouterr().out


def test_the_truths_to_experiment_with_run(capsys):
    code = re.search(r"## Truths.*?```python\n(.*?)```", TEXT, re.DOTALL).group(1)
    namespace: dict = {}
    exec(code, namespace)
    assert "composed shift of y" in capsys.readouterr().out
    assert len(namespace["weights"]) == 1000 and namespace["weights"].std() > 0.1


def test_the_make_targets_exist():
    wanted = set(re.findall(r"^make (\w+)", TEXT, re.MULTILINE)) | set(re.findall(r"`make (\w+)`", TEXT))
    assert {"run", "test", "wheelhouse", "offline"} <= wanted
    assert wanted <= set(re.findall(r"^(\w+):", (TOP / "Makefile").read_text(), re.MULTILINE))


def test_the_parameters_of_the_commands_exist():
    from causalkit.runs import notebook_parameters

    for line in re.findall(r"causalkit run .*", TEXT):
        notebook, options = line.split()[2], re.findall(r"-p (\w+)=", line)
        assert set(options) <= set(notebook_parameters(str(TOP / notebook) if "/" in notebook else notebook)), line


def test_both_commands_stand_at_the_top():
    head = TEXT[: TEXT.index("##")]
    assert "make run" in head and "make test" in head


def test_help_of_the_command_line():
    done = subprocess.run([sys.executable, "-m", "causalkit.cli", "--help"], capture_output=True, text=True)
    assert all(verb in done.stdout for verb in ("run", "study", "compare", "report", "doctor"))


def test_the_suite_that_the_benchmarks_explain_is_one(tmp_path):
    from causalkit.bench import load_suite

    example = re.search(r"```toml\n(.*?)```", (TOP / "benchmarks" / "README.md").read_text(), re.DOTALL).group(1)
    place = tmp_path / "benchmarks" / "suites" / "mine.toml"
    place.parent.mkdir(parents=True)
    (tmp_path / "benchmarks" / "published").symlink_to(TOP / "benchmarks" / "published")
    place.write_text(example)
    first, *included = load_suite(place).experiments
    assert len(first.runs) == 2 * 2 * 2 * 2 * 5 and {"two_bit", "sortability_er"} <= {e.name for e in included}


def test_the_options_of_bench_exist():
    done = subprocess.run([sys.executable, "-m", "causalkit.cli", "bench", "--help"], capture_output=True, text=True)
    for option in set(re.findall(r"--[a-z-]+", "".join(re.findall(r"causalkit bench .*", TEXT)))):
        assert option in done.stdout, option


def test_the_lines_on_counterfactuals_and_identification_run(capsys):
    code = re.search(r"## What would have been.*?```python\n(.*?)```", TEXT, re.DOTALL).group(1)
    namespace: dict = {}
    exec(code, namespace)
    printed = capsys.readouterr().out
    assert "rule 3" in printed and "graph_share" in printed
    effect = namespace["estimand"].estimate(namespace["frame"], do={"x": 1.0}, bootstrap=50, seed=1)
    assert effect.low < 1.0 < effect.high
    assert namespace["checks"].passed
