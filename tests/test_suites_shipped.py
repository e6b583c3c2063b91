"""The shipped suites: they load and plan, their experiments run and report, and what they are there to show holds."""

import signal
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


def test_the_suites_are_there():
    wanted = {"first_experiments", "shift_matrix", "ablation", "failure_signatures", "published", "scale", "discovery"}
    assert wanted <= set(SUITES)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", SUITES)
def test_a_suite_loads_and_says_what_it_is_for(name, budget):
    suite = load(name, budget)
    assert suite.about and suite.title.endswith(("?", "experiments"))
    for experiment in suite.experiments:
        assert experiment.question.endswith("?") and experiment.metrics
        assert experiment.timeout <= {"fast": 180, "full": 7200}[budget]
        assert len(experiment.seeds) >= {"fast": 1, "full": 2}[budget] or not experiment.runs[0].get("seed")


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
    elsewhere = metrics("two_bit", method="irmx", alpha=0.12345, worlds=3)
    assert elsewhere["f_same"] == pytest.approx(1 - 2 * 0.12345, abs=1e-3) and elsewhere["from_closed_form"] < 1e-3
    with pytest.raises(ValueError, match="probabilities between 0 and 1"):
        metrics("two_bit", method="erm", alpha=1.5)


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


def test_every_method_of_a_benchmark_sees_the_same_data():
    for given in ({}, {"graph": "scale_free", "standardise": "raw", "mechanism": "gp"}):
        runs = [metrics("discovery", method=m, **given) for m in ("empty", "random", "var_sort")]
        data = [[run[f"{name}_sortability"] for name in ("var", "r2", "relatives")] for run in runs]
        assert data[0] == data[1] == data[2] and None not in data[0]
    assert metrics("discovery", method="empty", standardise="standardised")["var_sortability"] == 0.5
    assert metrics("discovery", method="empty", standardise="raw")["var_sortability"] > 0.6


def test_a_method_that_does_not_end_has_timed_out_and_its_best_graph_counts(monkeypatch):
    def endless(frame, *, seed, report=None):
        graph = ck.METHODS["empty"](frame, seed=seed)
        if report:
            (report if reports else list)(graph)
            signal.pause()
        return graph

    monkeypatch.setitem(ck.METHODS, "endless", endless)
    reports, empty = False, metrics("discovery", method="empty")
    late = metrics("discovery", method="endless", limit=0.2)
    assert (late["timed_out"], late["refused"], late["shd_cpdag"], late["edges_found"]) == (1, 0, None, None)
    assert late["seconds"] >= 0.2 and late["memory_mib"] > 1
    reports = True
    late = metrics("discovery", method="endless", limit=0.25)
    assert late["timed_out"] == 1 and late["edges_found"] == 0 and late["shd_cpdag"] == empty["shd_cpdag"] > 0


def test_a_method_that_says_no_is_recorded_as_one_that_refused(monkeypatch, capsys):
    few = metrics("discovery", method="direct_lingam", rows=6)
    assert few["refused"] == 1 and few["timed_out"] == 0
    assert {few[name] for name in ("shd_cpdag", "seconds", "edges_found", "bic_gap")} == {None}
    assert "direct_lingam: refused, 6 rows" in capsys.readouterr().out


def test_a_price_of_edges_is_the_methods_own_times_the_penalty():
    for method in ("flop", "pc"):
        found = [metrics("discovery", method=method, penalty=p, degree=4.0)["edges_found"] for p in (0.1, 1.0, 10.0)]
        assert found[0] >= found[1] >= found[2] and found[0] > found[2], method
    with pytest.raises(ValueError, match="'empty' has no price of an edge"):
        metrics("discovery", method="empty", penalty=2.0)


def test_random_graphs_of_the_same_density_do_not_beat_a_method():
    runs = [metrics("discovery", method="flop", seed=s) for s in range(3)]
    assert all(run["shd_cpdag"] < 0.5 * run["shd_random"] for run in runs)
    assert all(run["bic_gap"] < 1e-6 for run in runs)  # the search finds what scores no worse than the truth
    control = [metrics("discovery", method="random", seed=s) for s in range(3)]
    assert np.mean([r["shd_cpdag"] - r["shd_random"] for r in control]) == pytest.approx(0, abs=4)


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
        ("discovery", {"graph": "scale_fre"}, "did you mean 'scale_free'"),
        ("discovery", {"standardise": "standardized"}, "did you mean 'standardised'"),
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
