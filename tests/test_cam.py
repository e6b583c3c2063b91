"""CAM: its score against regression, its search against enumeration, and what it is for."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.discovery.cam import Splines, _basis, cam
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.orders import arranged


def world(seed, d=8, mechanism="gp", n=500):
    scm = ck.random_scm(d, degree=2.0, mechanism=mechanism, seed=seed)
    return scm, scm.sample(n, seed=seed)


def test_a_basis_is_orthonormal_and_starts_with_the_variable_itself():
    x = np.random.default_rng(0).exponential(size=400)
    functions = _basis(x, 8, discrete=False)
    assert functions.shape == (400, 8)
    np.testing.assert_allclose(functions.T @ functions / 400, np.eye(8), atol=1e-8)
    np.testing.assert_allclose(functions.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(functions[:, 0], (x - x.mean()) / x.std(), atol=1e-10)


def test_the_basis_of_a_discrete_variable_holds_every_function_of_it():
    x = np.random.default_rng(0).integers(0, 4, 300).astype(float)
    functions = _basis(x, 8, discrete=True)
    assert functions.shape == (300, 3)
    target = np.array([3.0, -1.0, 5.0, 0.0])[x.astype(int)]
    design = np.column_stack([functions, np.ones(300)])
    np.testing.assert_allclose(design @ np.linalg.lstsq(design, target, rcond=None)[0], target, atol=1e-9)


@settings(max_examples=15)
@given(st.integers(0, 2**31 - 1), st.integers(1, 3))
def test_the_score_from_the_gram_matrix_is_that_of_the_regression_on_all_rows(seed, parents):
    _, frame = world(seed, d=5, n=200)
    score = Splines(frame, 5, 1.0, Knowledge())
    y = frame.iloc[:, 0].to_numpy()
    design = np.column_stack([_basis(frame.iloc[:, k].to_numpy(), 5, False) for k in range(1, parents + 1)])
    y = (y - y.mean()) / y.std()
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    price = design.shape[1] * np.log(200) + 4 * np.log(5) * parents
    assert score(0, frozenset(range(1, parents + 1))).here == pytest.approx(200 * np.log(rest.var()) + price, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_the_scores_with_one_more_and_one_less_are_those_of_the_sets_themselves(seed):
    _, frame = world(seed)
    score = Splines(frame, 6, 0.5, Knowledge())
    for parents in (frozenset(), frozenset({1}), frozenset({1, 4, 6})):
        local = score(0, parents)
        for k in range(1, 8):
            if k not in parents:
                assert local.more[k] == pytest.approx(score(0, parents | {k}).here, abs=1e-6)
        assert set(local.less) == parents
        for k, less in local.less.items():
            assert less == pytest.approx(score(0, parents - {k}).here, abs=1e-6)


def test_straight_relations_do_not_bend_and_others_do():
    for mechanism, bends in (("linear", False), ("gp", True)):
        scm, frame = world(1, mechanism=mechanism, n=1000)
        score, names = Splines(frame, 8, 1 / 3, Knowledge()), list(frame.columns)
        parents = [frozenset(map(names.index, scm.graph.predecessors(v))) for v in names]
        most = max(score.bend(j, pa, [k for k in range(len(names)) if k != j]) for j, pa in enumerate(parents))
        assert (most > 0) == bends
        assert score.bend(0, parents[0], []) == -np.inf


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_the_best_of_all_orders_of_five(seed):
    _, frame = world(seed, d=5)
    columns = frame[sorted(frame.columns)]
    score = Splines(columns, 6, 1 / 3, Knowledge())
    best = min(arranged(score, order).total for order in itertools.permutations(range(5)))
    assert cam(columns, seed=seed, basis=6).graph["score"] <= best + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_graph_and_neither_order_nor_units_matter(seed):
    _, frame = world(seed)
    first = ck.discover(frame, "cam", seed=seed)
    assert first.graph["kind"] == "dag" and nx.is_directed_acyclic_graph(first)
    assert set(ck.discover(frame, "cam", seed=seed).edges) == set(first.edges)
    moved = (frame * 1000 + 7)[frame.columns[::-1]]
    assert set(ck.discover(moved, "cam", seed=seed).edges) == set(first.edges)


def test_it_orients_what_bends_and_needs_at_most_half_the_mistakes_of_a_linear_score():
    mistakes = {"cam": 0.0, "flop": 0.0}
    for seed in range(3):
        scm, frame = world(seed, d=12, n=1000)
        for method in mistakes:
            mistakes[method] += ck.compare(ck.discover(frame, method), scm.graph)["shd_cpdag"]
    assert mistakes["cam"] <= 0.5 * mistakes["flop"]


def test_a_discrete_cause_of_a_real_variable_is_found():
    scm = ck.SCM(
        {
            "group": ck.mechanisms.table({}, [0.3, 0.4, 0.3]),
            "x": ck.linear(),
            "y": ck.additive(["group", "x"], lambda v: 2.0 * (v[:, 0] == 1) + v[:, 1] ** 2),
        }
    )
    frame = scm.sample(1000, seed=0)
    assert set(cam(frame, seed=0).predecessors("y")) == {"group", "x"}


def test_knowledge_is_kept():
    scm, frame = world(3)
    a, b = next(iter(scm.graph.edges))
    without = cam(frame, seed=0, knowledge=Knowledge(forbidden=[(a, b), (b, a)]))
    assert not without.has_edge(a, b) and not without.has_edge(b, a)
    turned = cam(frame, seed=0, knowledge=Knowledge(required=[(b, a)]))
    assert turned.has_edge(b, a) and nx.is_directed_acyclic_graph(turned)
    columns = list(frame.columns)
    tiers = Knowledge(tiers=[columns[4:], columns[:4]])
    assert all(not (u in columns[:4] and v in columns[4:]) for u, v in cam(frame, seed=0, knowledge=tiers).edges)
    rooted = cam(frame, seed=0, knowledge=Knowledge(roots=[columns[0]]))
    assert not list(rooted.predecessors(columns[0]))


@pytest.mark.parametrize("options", [{"lambda_bic": 0.0}, {"lambda_bic": float("nan")}, {"basis": 0}, {"restarts": -1}])
def test_bad_options_are_turned_away(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} "):
        cam(pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 0.0]}), seed=0, **options)
