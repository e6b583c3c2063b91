"""The shipped suites: they load and plan, their experiments run and report, and what they are there to show holds."""

import statistics
from functools import cache

import jupytext
import numpy as np
import pytest

import causalkit as ck
from causalkit.bench.suite import BUDGETS, list_suites, load_suite
from causalkit.runs import run_notebook
from tests.test_notebooks import EXPERIMENTS, TOP

SUITES = sorted(list_suites())
load = cache(load_suite)


@cache
def metrics(notebook, **given):
    """What an experiment records with these parameters, its cells executed in this process."""
    recorded, space = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ck.runs, "record", lambda metrics, tables=None, seeds=None: recorded.update(metrics))
        for cell in jupytext.read(TOP / "src" / "experiments" / f"{notebook}.py", fmt="py:percent").cells:
            if cell.cell_type == "code":
                exec(cell.source, space)
            if "parameters" in cell.metadata.get("tags", []):
                assert given.keys() <= space.keys()
                space.update(given)
    return {name: entry["value"] for name, entry in recorded.items()}


def test_the_six_suites_are_there():
    wanted = {"first_experiments", "shift_matrix", "ablation", "failure_signatures", "published", "scale"}
    assert wanted <= set(SUITES)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", SUITES)
def test_a_suite_loads_and_says_what_it_is_for(name, budget):
    suite = load(name, budget)
    assert suite.about and suite.title.endswith(("?", "experiments"))
    for experiment in suite.experiments:
        assert experiment.question.endswith("?") and experiment.metrics and experiment.timeout <= 120
        assert len(experiment.seeds) >= {"fast": 1, "full": 3}[budget] or not experiment.runs[0].get("seed")


def test_every_experiment_notebook_is_in_a_suite():
    used = {e.notebook for suite in SUITES for e in load(suite, "fast").experiments}
    assert used == {path.resolve() for path in EXPERIMENTS}


@pytest.mark.parametrize("suite", SUITES)
def test_every_experiment_runs_and_reports_its_metrics(suite, warm, tmp_path):
    for experiment in load(suite, "fast").experiments:
        run = run_notebook(experiment.notebook, tmp_path / experiment.name, experiment.runs[0], timeout=120, warm=warm)
        assert run.ok, (experiment.name, run.why)
        reported = run.record["metrics"]
        assert experiment.metrics.keys() <= reported.keys(), experiment.name
        for metric, entry in experiment.metrics.items():
            assert entry["better"] in (None, reported[metric]["better"]), (experiment.name, metric)
        assert run.record["seeds"]


@pytest.mark.parametrize("method", ["erm", "irm_s", "irmv1", "vrex", "irmx"])
def test_the_two_bit_figures_come_out(method):
    two_bit = next(e for e in load("published", "fast").experiments if e.name == "two_bit")
    figures = [figure for figure in two_bit.figures if figure["where"] == {"method": method}]
    ours = metrics("two_bit", method=method)
    assert len(figures) >= 2
    for figure in figures:
        assert ours[figure["metric"]] == pytest.approx(figure["value"], abs=figure["tolerance"], rel=0), figure["label"]


def test_two_bit_penalties_are_fooled_in_this_order():
    """IRMv1 has less risk than the invariant predictor in training, and more where the second bit turns round."""
    irm, invariant = metrics("two_bit", method="irmv1"), metrics("two_bit", method="invariant")
    assert irm["risk"] < invariant["risk"] and irm["risk_test"] > 2 * invariant["risk_test"]
    with pytest.raises(ValueError, match="two decimals"):
        metrics("two_bit", method="erm", alpha=0.12345)


def test_the_chain_sorts_as_its_closed_form_says():
    runs = [metrics("sortability", graph="chain", rows=10_000, seed=seed) for seed in range(10)]
    assert {run["var_sortability"] for run in runs} == {1.0}
    assert statistics.mean(run["r2_sortability"] for run in runs) == pytest.approx(0.9, abs=0.0112)


def test_scale_gives_the_order_away_unless_it_is_taken_away():
    raw, internal = (
        [metrics("sortability", scale=scale, seed=seed) for seed in range(5)] for scale in ("raw", "internal")
    )
    assert min(run["var_sortability"] for run in raw) > 0.85
    assert {run["var_sortability"] for run in internal} == {0.5}
    assert np.mean([r["r2_sortability"] for r in raw]) > 0.15 + np.mean([r["r2_sortability"] for r in internal])


def test_internal_standardisation_helps_on_er_graphs_and_not_on_scale_free_ones():
    runs = [metrics("iscm", repeats=1, seed=seed) for seed in range(3)]
    mean = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    assert abs(mean["r2_internal_er"] - 0.5) < 0.15 < mean["r2_standardised_er_4"] - 0.5
    assert mean["r2_internal_hub_sources"] < 0.3 and mean["r2_internal_hub_sinks"] > 0.7
    assert mean["left_standardised"] < 1e-3 < 0.2 < mean["left_internal"]


@pytest.mark.parametrize(
    "assumption, damaged",
    [
        ("sufficiency", ["graph_error", "effect_error", "rmse_causal"]),
        ("graph", ["graph_error", "effect_error", "rmse_causal"]),
        ("selection", ["graph_error", "effect_error", "rmse_causal"]),
        ("dimension", ["graph_error", "extra_edges", "rmse_erm"]),
        ("sample", ["graph_error", "effect_error", "rmse_causal"]),
    ],
)
def test_a_broken_assumption_does_its_damage(assumption, damaged):
    intact, broken = (
        [metrics("failure", assumption=assumption, level=level, seed=seed) for seed in range(6)] for level in (0.0, 1.0)
    )
    assert all(run["graph_error"] == 0 and run["advantage"] > 0.4 for run in intact)
    for name in damaged:
        assert np.mean([run[name] for run in broken]) > np.mean([run[name] for run in intact]), name


def test_a_wrong_graph_is_worse_than_none():
    assert metrics("failure", assumption="graph", level=1.0)["advantage"] < -0.4


def test_methods_beat_the_controls_that_know_nothing():
    shd = {m: np.mean([metrics("discovery", method=m, seed=s)["shd_cpdag"] for s in range(3)])
           for m in ("flop", "empty", "random")}  # fmt: skip
    assert shd["flop"] < 0.5 * shd["empty"] < shd["random"]


def test_a_graph_helps_under_a_spurious_shift_and_not_under_a_concept_shift():
    error = {
        (shift, graph): metrics("shift", shift=shift, graph=graph)["rmse_shifted"]
        for shift in ("spurious", "concept")
        for graph in ("none", "true", "misspecified")
    }
    assert error["spurious", "true"] < 0.6 * error["spurious", "none"] < error["spurious", "misspecified"]
    assert error["concept", "true"] > error["concept", "none"]


@pytest.mark.parametrize(
    "notebook, given, words",
    [
        ("shift", {"graph": "treu"}, "did you mean 'true'"),
        ("shift", {"shift": "spurios"}, "did you mean 'spurious'"),
        ("shift", {"variables": 1}, "variables=3 or more"),
        ("failure", {"assumption": "sampel"}, "did you mean 'sample'"),
        ("failure", {"level": 1.5}, "from 0, intact, to 1"),
        ("discovery", {"method": "flopp"}, "did you mean 'flop'"),
        ("cost", {"variables": 2}, "variables=3 or more"),
        ("cost", {"step": "train_ermm"}, "did you mean 'train_erm'"),
        ("two_bit", {"method": "irmv2"}, "did you mean 'irmv1'"),
        ("sortability", {"scale": "row"}, "did you mean 'raw'"),
        ("iscm", {"budget": "fats"}, "did you mean 'fast'"),
    ],
)
def test_a_misspelt_setting_is_named(notebook, given, words):
    with pytest.raises(ValueError, match=words):
        metrics(notebook, **given)
