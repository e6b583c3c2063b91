"""The failure signatures and the ablation: what fails does so in the stated direction, and beside what does not."""

import numpy as np
import pytest

from tests.test_suites_shipped import metrics


def mean(metric, seeds=2, notebook="signatures", **given):
    return np.mean([metrics(notebook, seed=seed, **given)[metric] for seed in range(seeds)])


def test_equal_risks_are_the_wrong_thing_to_ask_for_where_the_noise_differs():
    alike, unequal = (
        {m: mean("ratio", method=m, level=level) for m in ("erm", "irm", "vrex", "irmx", "fishr", "eqrm", "eills")}
        for level in (0.0, 1.0)
    )
    assert alike["vrex"] < 1.05 * alike["erm"] and alike["fishr"] < 1.1 * alike["erm"]
    assert unequal["vrex"] > 3 * unequal["erm"]
    for method in ("irmx", "fishr", "eqrm"):
        assert unequal[method] > 1.05 * unequal["erm"], method
    assert max(unequal["irm"], unequal["eills"], mean("ratio", method="invariant", level=1.0)) < 0.95 * unequal["erm"]


def test_what_chooses_features_fails_on_rotated_ones():
    straight, turned = (
        {
            "eills": mean("ratio", method="eills", level=1.0, scrambled=scrambled),
            "icp": mean("ratio", method="icp", level=0.0, scrambled=scrambled),
            "invariant": mean("ratio", method="invariant", level=1.0, scrambled=scrambled),
            "erm": mean("ratio", method="erm", level=1.0, scrambled=scrambled),
        }
        for scrambled in (False, True)
    )
    assert turned["eills"] > 1.05 * straight["eills"] and turned["icp"] > 1.2 * straight["icp"]
    for method in ("invariant", "erm"):
        assert turned[method] == pytest.approx(straight[method], rel=0.01), method


def test_what_steps_along_coordinates_fails_on_rotated_ones():
    given = {"example": "3", "environments": 8, "steps": 500, "seeds": 1}
    error = {
        (m, scrambled): mean("error", method=m, scrambled=scrambled, **given)
        for m in ("and_mask", "isr_mean")
        for scrambled in (False, True)
    }
    assert error["and_mask", False] < 0.03 and error["and_mask", True] > 0.4
    assert error["isr_mean", True] == pytest.approx(error["isr_mean", False], abs=0.005) and (
        error["isr_mean", True] < 0.03
    )


def test_as_many_environments_as_spurious_dimensions_are_one_too_few():
    for method in ("isr_mean", "invariant"):
        few, enough = (
            mean("error", method=method, example="3", scrambled=True, environments=n, seeds=3) for n in (5, 6)
        )
        assert few > 0.2 and enough < 0.03, method
    assert mean("error", method="logistic", example="3", scrambled=True, environments=6, seeds=3) > 0.2


def test_the_unit_test_is_the_unit_test():
    """At level 1 the oracle has the published risk, 10.43 on average over rows."""
    assert mean("error_oracle", method="least_squares", level=1.0, rows=10_000, seeds=1) == pytest.approx(
        10.43, rel=0.02
    )


def test_a_structure_that_over_fits_50_rows_takes_its_advantage_back():
    intact, broken = (
        [metrics("failure", assumption="parsimony", level=level, seed=seed) for seed in range(6)]
        for level in (0.0, 1.0)
    )
    assert all(run["graph_error"] == run["extra_edges"] == 0 and run["advantage"] > 0.2 for run in intact)
    assert all(run["extra_edges"] >= 3 for run in broken)
    assert np.mean([run["advantage"] for run in broken]) < 0.1
    assert np.mean([run["effect_error"] for run in broken]) > 2 * np.mean([run["effect_error"] for run in intact])


def test_a_graph_that_is_right_helps_who_reads_it_and_one_at_random_hurts():
    given = {"notebook": "ablation", "metric": "rmse_shifted", "rows": 200, "draws": 4, "seeds": 1}
    none, true, random = (
        mean(encoder=e, graph=g, **given)
        for e, g in (("none", "true"), ("possible_parents", "true"), ("possible_parents", "random"))
    )
    assert true < none < random
    assert mean(encoder="none", graph="random", **given) == none  # who does not read it does not care
    assert true < mean(encoder="soft_gates", graph="true", **given) < none
    assert mean(encoder="soft_gates", graph="random", **given) < random


@pytest.mark.parametrize("encoder", ["markov_blanket", "stable_set", "dag_layers"])
def test_an_encoder_that_is_left_nothing_makes_a_constant(encoder):
    told = [metrics("ablation", encoder=encoder, graph="random", rows=50, steps=20, seed=seed) for seed in range(3)]
    assert np.isfinite([run["rmse_shifted"] for run in told]).all()


@pytest.mark.parametrize(
    "notebook, given, words",
    [
        ("signatures", {"method": "eill"}, "did you mean 'eills'"),
        ("signatures", {"example": "2"}, "example '2'"),
        ("signatures", {"level": -0.1}, "from 0, noise alike, to 1"),
        ("ablation", {"graph": "randum"}, "did you mean 'random'"),
        ("ablation", {"encoder": "parents"}, "encoder 'parents'"),
        ("ablation", {"shift": "label"}, "shift 'label'"),
        ("ablation", {"draws": 0}, "at least 4 and 1"),
    ],
)
def test_a_setting_that_cannot_be_is_named(notebook, given, words):
    with pytest.raises(ValueError, match=words):
        metrics(notebook, **given)
