"""benchmarks/peers: the script runs without peers, names those that are not there, and its check of the laws bites."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PEERS = Path(__file__).parents[1] / "benchmarks" / "peers"


def load(name):
    spec = importlib.util.spec_from_file_location(name, PEERS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def samplers():
    module = load("samplers")
    sys.modules["samplers"] = module
    yield module
    del sys.modules["samplers"]


@pytest.fixture(scope="module")
def sampling(samplers):
    path = list(sys.path)
    module = load("sampling")
    sys.path[:] = path
    return module


def test_the_script_runs_without_peers_and_names_what_is_missing(tmp_path):
    absent = tmp_path / "python"  # an interpreter without NumPy or any peer: it answers nothing
    absent.write_text("#!/bin/sh\nexit 1\n")
    absent.chmod(0o755)
    command = [sys.executable, PEERS / "sampling.py", "--d", "5", "--n", "100", "--repeats", "2", "--seconds", "0"]
    command += ["--only", "dowhy", "--python", f"dowhy={absent}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "linear: dowhy is left out: its interpreter ended" in done.stdout
    for title in ("linear, sample", "linear, counterfactual", "linear, log_prob", "mlp, log_prob", "table, sample"):
        table = done.stdout.split(f"{title}\n\n")[1].split("\n\n")[0].splitlines()
        assert table[0] == "| d | n | causalkit, s | rows/s | floor |"
        cells = [cell.strip() for cell in table[2].strip("|").split("|")]
        assert cells[:2] == ["5", "100"]
        assert float(cells[2]) > 0 and float(cells[4].split()[0]) > 0


@pytest.mark.parametrize("family", ["linear", "mlp", "table"])
def test_causalkit_and_the_floor_have_the_law_that_they_should(samplers, sampling, family):
    problem, n = samplers.make_problem(family, 6), 20_000
    floor = samplers.law(samplers.floor(problem)["sample"](n, 1), problem["names"])
    for contender in (samplers.causalkit, samplers.floor, samplers.floor_torch)[: 3 if family == "linear" else 2]:
        law = samplers.law(contender(problem)["sample"](n, 2), problem["names"])
        assert sampling.law_error(law, family, False, floor) < 5


def test_the_law_check_sees_a_wrong_weight_a_wrong_scale_and_a_wrong_mean(samplers, sampling):
    problem, n = samplers.make_problem("linear", 6), 20_000
    wrong_weight, wrong_scale = problem["weights"].copy(), problem["scale"].copy()
    i, j = np.argwhere(wrong_weight)[0]
    wrong_weight[i, j] *= -1
    wrong_scale[0] *= 1.1
    slopes = [wrong_weight[pa, k] for k, pa in enumerate(problem["parents"])]
    for wrong in ({"slopes": slopes}, {"scale": wrong_scale}):
        law = samplers.law(samplers.floor(problem | wrong)["sample"](n, 0), problem["names"])
        assert sampling.law_error(law, "linear", False, {}) > 8
    frame = samplers.floor(problem)["sample"](n, 0)
    assert sampling.law_error(samplers.law(frame + 0.1, problem["names"]), "linear", False, {}) > 8
    # a contender with weights of its own has to have independent noise of variance 1, and nothing else
    free = samplers.floor(problem | {"scale": np.ones(6)})["sample"](n, 0)
    assert sampling.law_error(samplers.law(free, problem["names"]), "linear", True, {}) < 5
    assert sampling.law_error(samplers.law(1.1 * free, problem["names"]), "linear", True, {}) > 8


@pytest.mark.parametrize("family", ["linear", "mlp"])
def test_counterfactuals_and_densities_are_the_floors(samplers, family):
    problem = samplers.make_problem(family, 6)
    ours, floor = samplers.causalkit(problem), samplers.floor(problem)
    frame = floor["sample"](50, 0)
    np.testing.assert_allclose(ours["counterfactual"](frame), floor["counterfactual"](frame), atol=1e-12)
    np.testing.assert_allclose(ours["log_prob"](frame), floor["log_prob"](frame), atol=1e-10)


def test_every_variance_of_a_linear_problem_is_one(samplers):
    problem = samplers.make_problem("linear", 30)
    path = np.linalg.inv(np.eye(30) - problem["weights"].T)
    np.testing.assert_allclose(np.diag(path @ np.diag(problem["scale"] ** 2) @ path.T), 1)


def test_a_contender_that_takes_too_long_is_ended_and_says_so(sampling, tmp_path):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    contender = sampling.Contender("dowhy", str(slow), 1)
    assert contender.ask({}, 0.2) == {"error": "> 0.2 s"}
    assert contender.process is None
