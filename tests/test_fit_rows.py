"""fit_scm does not care for units, and does not take a copy of a row for evidence; its report is of rows held out."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.estimation import fit_scm
from causalkit.estimation.fit import _split
from causalkit.estimation.regressions import law_of, least_squares
from causalkit.mechanisms import Noise
from causalkit.mechanisms.empirical import Shape

EDGE = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})


@given(st.sampled_from([1e-12, 1e-6, 1.0, 1e9]), st.sampled_from([0.0, 1.0, -1e8]), st.integers(0, 100))
def test_least_squares_is_the_same_in_any_unit_and_from_any_zero(unit, zero, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((50, 2))
    y = x @ [1.0, -2.0] + rng.standard_normal(50)
    other = x * [unit, 1e3] + [zero * unit, 0.0]
    plain, moved = least_squares(x, y, 0)(torch.from_numpy(x)), least_squares(other, y, 0)(torch.from_numpy(other))
    assert torch.allclose(plain, moved, atol=1e-5)


def test_an_exact_function_is_refused_in_any_unit():
    frame = EDGE.sample(100, seed=0)
    frame = pd.DataFrame({"x": frame.x * 1e-12, "w": frame.y * 1e9, "y": 2 * frame.x + frame.y})
    with pytest.raises(ValueError, match=r"'y' is an exact function of its parents \['x', 'w'\]"):
        fit_scm(ck.graphs.parse("x, w -> y"), frame, seed=0)


@given(st.integers(0, 1000), st.integers(50, 300))
def test_rows_drawn_twice_are_on_one_side_of_the_split(seed, n):
    rows = EDGE.sample(n, seed=seed).sample(frac=1.0, replace=True, random_state=seed)
    train, held = _split(rows, seed)
    assert len(held) and len(train) + len(held) == n and len(held) <= n // 5
    assert not set(map(tuple, train.to_numpy())) & set(map(tuple, held.to_numpy()))


def test_few_different_rows_are_split_one_by_one():
    codes = pd.DataFrame({"a": [0, 1] * 100, "b": [0, 1, 1, 0] * 50})
    train, held = _split(codes, 0)
    assert len(held) == 40 and len(train.drop_duplicates()) == 4


def test_noise_of_rows_drawn_twice_is_no_rougher():
    """A copy says nothing of the density beside it: the bandwidth is that which other values call for."""
    chosen = []
    for seed in range(20):
        residual = Noise().sample(400, seed=seed)
        draw = torch.randint(400, (400,), generator=ck.seeds.generator(seed, "draw"))
        chosen.append(law_of(residual[draw], None, seed=seed).family)
    assert "empirical" not in chosen
    residual = Noise("mixture").sample(300, seed=0)
    roughness = [float(Shape.of(values).density.diff().abs().sum()) for values in (residual, residual.repeat(2))]
    assert roughness[1] == pytest.approx(roughness[0], rel=0.1)


def test_a_family_is_chosen_from_few_rows_as_well_as_they_allow():
    right = [law_of(Noise("laplace").sample(100, seed=s), None, seed=s) for s in range(40)]
    assert sum(law.family in ("laplace", "student_t") for law in right) >= 28
    few = [law_of(Noise().sample(20, seed=s), None, seed=s).family for s in range(40)]
    assert few.count("gaussian") >= 14  # by chance 10


@pytest.mark.parametrize("mechanism", ["mlp", "location_scale", "flow", "vae"])
def test_a_network_is_not_learned_from_fewer_than_50_rows(mechanism):
    with pytest.raises(ValueError, match=rf"{mechanism!r} \(of 'y'\) .* 49 rows.*'linear'.*'auto'"):
        fit_scm(EDGE.graph, EDGE.sample(49, seed=0), mechanism={"x": "linear", "y": mechanism}, seed=0)
    assert (
        fit_scm(EDGE.graph, EDGE.sample(12, seed=0), mechanism="auto", seed=0).fitted.table.mechanism["y"] == "linear"
    )


def test_a_root_whose_mechanism_is_a_constant_may_be_called_a_network():
    alone = nx.DiGraph()
    alone.add_node("x")
    rows = EDGE.sample(12, seed=0)
    assert fit_scm(alone, rows, mechanism="mlp", seed=0).fitted.table.loc["x", "mechanism"] == "linear"
    with pytest.raises(ValueError, match=r"'flow' \(of 'x'\)"):
        fit_scm(alone, rows, mechanism="flow", seed=0)


def test_the_report_tests_rows_that_its_mechanisms_did_not_see():
    """Boosting bends to the rows that it learns from; what the report tests has not seen its rows."""
    truth = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: (3 * x[:, 0]).sin())})
    learned = fit_scm(truth.graph, truth.sample(1500, seed=0), mechanism="additive", seed=0)
    tested = ck.SCM(learned.fitted.mechanisms)
    rows = learned.fitted.rows
    assert len(rows) == 300
    found = ck.diagnose(tested, rows, seed=0).loc["y", "log_likelihood"]
    assert found == pytest.approx(learned.report.loc["y", "log_likelihood"], abs=1e-9)
