"""Sortability and standardising: laws over random SCMs, a count of paths by hand, the library, the doors."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import adjacency, cpdag, dag, parse

scms = st.builds(
    ck.random_scm,
    st.integers(3, 7),
    degree=st.sampled_from([1.0, 2.0]),
    graph=st.sampled_from(["erdos_renyi", "scale_free", "complete"]),
    mechanism=st.sampled_from(["linear", "mlp"]),
    standardise=st.none(),
    seed=st.integers(0, 10**6),
).filter(lambda scm: scm.graph.size() > 0)
seeds = st.integers(0, 10**6)


@given(scms, seeds)
def test_sorting_against_the_arrows_gives_the_rest(scm, seed):
    frame = scm.sample(60, seed=seed)
    forth, back = ck.sortability(frame, scm.graph), ck.sortability(frame, scm.graph.reverse())
    assert list(forth.index) == ["var", "r2", "relatives"] and forth.between(0, 1).all()
    np.testing.assert_allclose(forth + back, 1)


@given(scms, seeds, st.data())
def test_units_and_the_order_of_columns_matter_to_the_variance_alone(scm, seed, data):
    frame = scm.sample(60, seed=seed)
    plain = ck.sortability(frame, scm.graph)
    shuffled = frame[data.draw(st.permutations(list(frame.columns)))]
    pd.testing.assert_series_equal(ck.sortability(shuffled, scm.graph), plain)
    pd.testing.assert_series_equal(ck.sortability(7 + frame * 1e-5, scm.graph), plain)  # one unit for all
    units = 10.0 ** np.array(data.draw(st.lists(st.integers(-6, 6), min_size=len(plain), max_size=len(plain))))
    units = np.resize(units, frame.shape[1])
    moved = ck.sortability(frame * units, scm.graph)
    np.testing.assert_allclose(moved[["r2", "relatives"]], plain[["r2", "relatives"]])
    assert ck.sortability(ck.standardise(frame), scm.graph)["var"] == 0.5


@given(scms, seeds)
def test_the_definition_path_by_path_and_the_library(scm, seed):
    from CausalDisco.analytics import var_sortability

    frame, graph = scm.sample(60, seed=seed), scm.graph
    variance, r2 = frame.var(), {}
    for name in graph.nodes:  # R^2 by least squares, where the library inverts the correlations
        design = np.column_stack([frame.drop(columns=name), np.ones(len(frame))])
        rest = frame[name] - design @ np.linalg.lstsq(design, frame[name], rcond=None)[0]
        r2[name] = 1 - rest.var(ddof=0) / frame[name].var(ddof=0)
    lengths = {
        (a, b, len(path))
        for a in graph.nodes
        for b in nx.descendants(graph, a)
        for path in nx.all_simple_paths(graph, a, b)
    }
    result = ck.sortability(frame, graph)
    for name, score in (("var", variance), ("r2", r2)):
        by_hand = np.mean([1.0 if score[b] - score[a] > 1e-9 else 0.5 * (score[b] >= score[a]) for a, b, _ in lengths])
        assert result[name] == pytest.approx(by_hand)
    assert result["var"] == pytest.approx(var_sortability(frame.to_numpy(), adjacency(graph)))


def test_a_chain_of_unit_weights_grows():
    """Var(x_k) = k, so that sorting by variance gives the whole order away; inner variables have R^2 of their own."""
    chain = ck.SCM({f"x{k}": ck.linear({f"x{k - 1}": 1.0} if k > 1 else {}) for k in range(1, 11)})
    frame = chain.sample(5000, seed=0)
    assert ck.sortability(frame, chain.graph)["var"] == 1
    # population R^2: 1 - 1/2 at the root, 1 - 1/(2 k) inside, 1 - 1/10 at the end. It grows along the chain but for
    # x10, which stands below x6, ..., x9; a chain has one path for each of its 45 pairs
    exact = 1 - 1 / np.array([2.0, *(2.0 * k for k in range(2, 10)), 10.0])
    wrong = sum(exact[i] > exact[j] for i in range(10) for j in range(i + 1, 10))
    ties = 1  # x5 and x10 have the same R^2 in the population
    assert wrong == 4
    assert abs(ck.sortability(frame, chain.graph)["r2"] - (45 - wrong - ties / 2) / 45) <= (ties / 2) / 45 + 1e-12


def test_two_variables_have_one_r2():
    scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
    assert ck.sortability(scm.sample(100, seed=0), scm.graph).tolist() == [1.0, 0.5, 0.5]


def test_internal_standardisation_takes_away_what_variance_tells():
    def mean(standardise):
        scms = [ck.random_scm(10, mechanism="linear", standardise=standardise, seed=s) for s in range(12)]
        return np.mean([ck.sortability(scm.sample(500, seed=0), scm.graph)["var"] for scm in scms])

    assert mean(None) > 0.9 and abs(mean("internal") - 0.5) < 0.15


def test_hidden_variables_are_projected_out():
    graph = parse("x -> h -> y -> z; x <-> z")
    graph.nodes["h"]["hidden"] = True
    scm = ck.random_scm(1, graph=graph, mechanism="linear", standardise=None, seed=0)
    frame = scm.sample(200, seed=0)
    assert list(frame.columns) == ["x", "y", "z"]
    pd.testing.assert_series_equal(
        ck.sortability(frame, scm.graph), ck.sortability(frame, dag([("x", "y"), ("y", "z")]))
    )
    # a hidden common cause alone joins nothing
    assert ck.sortability(frame, parse("x <-> y; z")).isna().all()


def test_without_edges_there_is_no_order():
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, 3.0], "y": [0.0, 1.0, 0.0, 5.0]})
    assert ck.sortability(frame, dag([], ["x", "y"])).isna().all()
    assert ck.sortability(frame, dag([], ["x"])).isna().all()


@given(scms, seeds)
def test_standardise_brings_mean_and_sd_and_leaves_correlations(scm, seed):
    frame = scm.sample(40, seed=seed).set_index(pd.RangeIndex(5, 45))
    result = ck.standardise(frame)
    assert result.index.equals(frame.index) and result.columns.equals(frame.columns)
    np.testing.assert_allclose(result.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(result.std(ddof=0), 1)
    np.testing.assert_allclose(result.corr(), frame.corr(), atol=1e-9)
    pd.testing.assert_frame_equal(ck.standardise(result), result)


X = [1.0, 2.0, 4.0, 3.0, 0.0, 7.0]
FRAME = pd.DataFrame({"x": X, "y": X[::-1], "same": [3.0] * 6, "text": list("abcdef"), "sum": [8.0, 2.0, 7, 7, 2, 8]})


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (parse("x -> w"), "unknown column 'w'"),
        (parse("x -> same"), "column 'same' is constant"),
        (parse("x -> text"), "column 'text' is not numeric"),
        (parse("x -> y -> sum"), "column 'sum' is a linear function of those before it"),
        (cpdag(parse("x -> y")), "undirected: x - y"),
        (nx.DiGraph([("x", "y")], kind="pag"), "a PAG has no causal order"),
        (nx.DiGraph([("x", "y"), ("y", "x")]), "cycle"),
        (nx.Graph([("x", "y")]), "expected a networkx.DiGraph"),
    ],
)
def test_sortability_refuses(graph, message):
    with pytest.raises(ValueError, match=message):
        ck.sortability(FRAME, graph)


def test_more_doors():
    with pytest.raises(ValueError, match="3 rows, at least 4"):
        ck.sortability(FRAME[:3], parse("x -> y"))
    with pytest.raises(ValueError, match="expected a pandas DataFrame"):
        ck.sortability(np.zeros((5, 2)), parse("x -> y"))
    with pytest.raises(ValueError, match="column 'same' is constant"):
        ck.standardise(FRAME[["x", "same"]])
    with pytest.raises(ValueError, match="1 rows, at least 2"):
        ck.standardise(FRAME[["x"]][:1])
    # rounding noise is no scale
    with pytest.raises(ValueError, match="constant"):
        ck.standardise(pd.DataFrame({"x": [0.1 + 0.2, 0.3, 0.3]}))


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_causaldisco(seed):
    from CausalDisco import analytics

    scm = ck.random_scm(15, degree=3.0, mechanism="linear", standardise=None, seed=seed)
    frame = scm.sample(300, seed=seed)
    values, matrix = frame[list(scm.graph.nodes)].to_numpy(), nx.to_numpy_array(scm.graph)
    ours = ck.sortability(frame, scm.graph)
    assert ours["var"] == pytest.approx(analytics.var_sortability(values, matrix))
    assert ours["r2"] == pytest.approx(analytics.r2_sortability(values, matrix))
    assert ours["relatives"] == pytest.approx(analytics.relatives_sortability(values, matrix))
