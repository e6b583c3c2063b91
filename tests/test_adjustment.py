"""Adjustment sets, the front door and instruments: the graph functions against brute force, truth and pgmpy."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import parse
from causalkit.identification.adjustment import adjustment_sets, is_adjustment_set, optimal_adjustment
from causalkit.identification.expressions import Probability, Product, Sum, evaluate
from causalkit.identification.front_door import front_door_sets
from causalkit.identification.instruments import instruments, two_stage_least_squares
from causalkit.identification.verify import gap, law, random_discrete


@st.composite
def questions(draw, treatments=2, outcomes=2):
    """A random DAG of 3 to 6 observed variables and up to 2 hidden ones, with treatments and outcomes."""
    n, seed = draw(st.integers(3, 6)), draw(st.integers(0, 10_000))
    graph = ck.graphs.erdos_renyi(n, draw(st.floats(1.0, min(n - 1.0, 3.5))), seed=seed)
    free = n * (n - 1) // 2
    graph = ck.graphs.confounded(graph, draw(st.integers(0, min(2, free))), seed=seed)
    order = draw(st.permutations(_observed(graph)))
    k = draw(st.integers(1, min(treatments, n - 2)))
    m = draw(st.integers(1, min(outcomes, n - k - 1)))
    return graph, tuple(order[:k]), tuple(order[k : k + m])


def _observed(graph):
    return [v for v, hidden in graph.nodes(data="hidden") if not hidden]


def _subsets(graph, x, y):
    rest = [v for v in _observed(graph) if v not in (*x, *y)]
    return itertools.chain.from_iterable(itertools.combinations(rest, k) for k in range(len(rest) + 1))


def _adjusted_error(graph, x, y, z, seed):
    """How far sum_z P(y | x, z) P(z) is from P(y | do(x)) on a random discrete SCM."""
    source = law(random_discrete(graph, seed=seed))
    main = Probability(y, (*x, *z))
    formula = Sum(z, Product((main, Probability(z)))) if z else main
    return gap(evaluate(formula, source((), "")), evaluate(Probability(y, (), x), source))


@settings(max_examples=80, deadline=None)
@given(questions())
def test_all_minimal_sets_are_listed_and_no_other(question):
    graph, x, y = question
    valid = [set(s) for s in _subsets(graph, x, y) if is_adjustment_set(graph, x, y, s)]
    minimal = [s for s in valid if not any(other < s for other in valid)]
    assert sorted(map(sorted, adjustment_sets(graph, x, y))) == sorted(map(sorted, minimal))


@settings(max_examples=30, deadline=None)
@given(questions())
def test_adjusting_gives_the_effect_if_and_only_if_the_set_is_valid(question):
    graph, x, y = question
    for s in itertools.islice(_subsets(graph, x, y), 8):
        errors = [_adjusted_error(graph, x, y, s, seed) for seed in (0, 1)]
        assert (max(errors) < 1e-9) == is_adjustment_set(graph, x, y, s), (s, errors)


@settings(max_examples=40, deadline=None)
@given(questions(treatments=1, outcomes=1))
def test_where_pgmpy_adjusts_otherwise_the_truth_sides_with_us(question):
    """Its minimal separator may be an effect of the treatment, or a variable beside a mediator: enumeration decides."""
    graph, (x,), (y,) = question
    theirs = _with_roles(graph, x, y)
    if x in nx.descendants(graph, y):
        return  # an arrow from y to x makes pgmpy raise
    from pgmpy.identification import Adjustment

    found, success = Adjustment(variant="minimal").identify(theirs)
    if success:
        z = tuple(sorted(found.get_role("adjustment")))
        right = max(_adjusted_error(graph, (x,), (y,), z, seed) for seed in (0, 1)) < 1e-9
        assert is_adjustment_set(graph, x, y, z) == right
    else:
        assert not adjustment_sets(graph, x, y)


def _with_roles(graph, x, y):
    """The graph as pgmpy wants it."""
    from pgmpy.base import DAG

    theirs = DAG(list(graph.edges), latents={v for v, hidden in graph.nodes(data="hidden") if hidden})
    theirs.add_nodes_from(graph.nodes)
    return theirs.with_role("exposures", {x}).with_role("outcomes", {y})


def _total_effect(scm, frame, z):
    design = np.column_stack([np.ones(len(frame)), frame[["x", *z]]])
    return np.linalg.lstsq(design, frame["y"].to_numpy(), rcond=None)[0][1]


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("x -> y; a -> x; a -> b -> y; c -> y", ("b", "c")),
        ("x -> m -> y; a -> x, m; b -> x", ("a",)),
        ("a -> x -> y; a -> b; b -> y; x -> s", ("b",)),
    ],
)
def test_the_optimal_set_has_the_least_variance_of_all_valid_ones(text, best):
    graph = parse(text)
    assert set(optimal_adjustment(graph, "x", "y")) == set(best)
    valid = [s for s in _subsets(graph, ("x",), ("y",)) if is_adjustment_set(graph, "x", "y", s)]
    assert len(valid) > 1
    scm = ck.random_scm(graph=graph, mechanism="linear", standardise=None, seed=3)
    frames = [scm.sample(200, seed=k) for k in range(150)]
    spread = {s: np.std([_total_effect(scm, frame, s) for frame in frames]) for s in valid}
    assert spread[optimal_adjustment(graph, "x", "y")] <= 1.05 * min(spread.values())


@settings(max_examples=60, deadline=None)
@given(questions())
def test_an_optimal_set_is_valid_and_without_hidden_variables_there_is_one(question):
    graph, x, y = question
    best = optimal_adjustment(graph, x, y)
    assert best is None or is_adjustment_set(graph, x, y, best)
    affected = set(y) & set().union(*(nx.descendants(graph, v) for v in x))
    if affected and set(y) <= affected and len(x) == 1 and not any(h for _, h in graph.nodes(data="hidden")):
        assert best is not None or not adjustment_sets(graph, x, y)


def test_hidden_variables_can_leave_no_best_set_or_one():
    graph = parse("x -> y; b -> x; b <-> a; a -> y")
    assert adjustment_sets(graph, "x", "y") == [("b",), ("a",)]
    assert optimal_adjustment(graph, "x", "y") == ("a",)
    assert optimal_adjustment(parse("x -> y; x <-> y"), "x", "y") is None
    assert optimal_adjustment(parse("x -> y; x <-> a; a <-> y"), "x", "y") == ()
    # {a, b} explains more of y than {} and more of x: which one is better depends on the weights
    graph = parse("x -> y; y <-> a; x <-> b; b -> a")
    assert is_adjustment_set(graph, "x", "y", ()) and is_adjustment_set(graph, "x", "y", ("a", "b"))
    assert optimal_adjustment(graph, "x", "y") is None
    assert optimal_adjustment(parse("y -> x"), "x", "y") is None


@settings(max_examples=60, deadline=None)
@given(questions(treatments=1, outcomes=1))
def test_every_front_door_set_gives_the_effect_and_none_is_larger_than_needed(question):
    graph, x, y = question
    found = front_door_sets(graph, x, y)
    assert not any(set(a) < set(b) for a in found for b in found)
    for m in found[:3]:
        again = Sum(x, Product((Probability(y, (*m, *x)), Probability(x))))
        formula = Sum(m, Product((Probability(m, x), again))) if m else again
        source = law(random_discrete(graph, seed=1))
        assert gap(evaluate(formula, source((), "")), evaluate(Probability(y, (), x), source)) < 1e-9


@settings(max_examples=60, deadline=None)
@given(questions(treatments=1, outcomes=1))
def test_pgmpy_finds_a_front_door_only_where_we_do(question):
    from pgmpy.identification import Frontdoor

    graph, (x,), (y,) = question
    _, success = Frontdoor().identify(_with_roles(graph, x, y))
    assert not success or front_door_sets(graph, x, y)


def test_a_front_door_through_two_mediators():
    graph = parse("x -> a -> y; x -> b -> y; x <-> y; c -> y")
    assert front_door_sets(graph, "x", "y") == [("a", "b")]
    assert front_door_sets(parse("x -> y; x <-> y"), "x", "y") == []


def _slope(cov, z, s):
    """cov(z, y | s) / cov(z, x | s)."""
    names = ["x", "y", z]
    part = cov.loc[names, names]
    if s:
        cross, own = cov.loc[list(s), names].to_numpy(), cov.loc[list(s), list(s)].to_numpy()
        part = part - cross.T @ np.linalg.solve(own, cross)
    return part.loc[z, "y"] / part.loc[z, "x"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 6), st.integers(1, 3))
def test_in_a_linear_scm_every_instrument_gives_the_total_effect(seed, n, pairs):
    graph = ck.graphs.confounded(ck.graphs.erdos_renyi(n, 2.5, seed=seed), pairs, seed=seed)
    order = [v for v in nx.topological_sort(graph) if v in _observed(graph)]
    x, y = order[n // 2], order[-1]
    graph = nx.relabel_nodes(graph, {x: "x", y: "y"})
    weights = {
        (a, b): w for (a, b), w in zip(graph.edges, np.random.default_rng(seed).uniform(0.5, 2, 99), strict=False)
    }
    nodes = list(graph)
    b = np.array([[weights.get((i, j), 0.0) for i in nodes] for j in nodes])
    total = np.linalg.inv(np.eye(len(nodes)) - b)
    cov = pd.DataFrame(total @ total.T, nodes, nodes)
    effect = total[nodes.index("y"), nodes.index("x")]
    for z, s in instruments(graph, "x", "y"):
        assert np.isclose(_slope(cov, z, s), effect), (z, s)


def test_textbook_instruments():
    assert instruments(parse("z -> x -> y; x <-> y"), "x", "y") == [("z", ())]
    assert instruments(parse("z -> x -> y; x <-> y; z <- a -> y"), "x", "y") == [("z", ("a",))]
    assert instruments(parse("z -> x -> y; x <-> y; z -> y"), "x", "y") == []
    assert instruments(parse("x -> z; x <-> y"), "x", "y") == []  # an effect of x tells of y through x's causes
    assert instruments(parse("z -> x -> m -> y; x <-> y"), "x", "y") == [("z", ())]  # the total effect, not the direct


@pytest.fixture(scope="module")
def confounded():
    return ck.SCM(
        {
            "u": ck.linear(),
            "z": ck.linear(),
            "x": ck.linear({"z": 1.0, "u": 1.0}),
            "y": ck.linear({"x": 2.0, "u": -3.0}),
        },
        hidden=["u"],
    )


def test_two_stage_intervals_cover_the_effect_that_regression_misses(confounded):
    covered = 0
    for k in range(30):
        frame = confounded.sample(400, seed=k)
        found = two_stage_least_squares(
            confounded.graph, frame, {"x": 1.0}, "y", versus={"x": 0.0}, bootstrap=100, seed=k
        )
        covered += found.low < 2.0 < found.high
    assert covered >= 25
    assert np.polyfit(frame["x"], frame["y"], 1)[0] < 1.5
    mean = two_stage_least_squares(confounded.graph, frame, {"x": 1.0}, "y", instrument="z", bootstrap=20, seed=0)
    assert abs(mean.value - 2.0) < 0.7 and "F" in mean.note


def test_bad_input_is_named(confounded):
    graph = parse("z -> x -> y; x <-> y")
    with pytest.raises(ValueError, match="unknown variable of the graph"):
        adjustment_sets(graph, "q", "y")
    with pytest.raises(ValueError, match="hidden"):
        adjustment_sets(graph, "u_x_y", "y")
    with pytest.raises(ValueError, match="both in do and an outcome"):
        adjustment_sets(graph, ["x", "y"], "y")
    with pytest.raises(ValueError, match="empty"):
        adjustment_sets(graph, [], "y")
    with pytest.raises(ValueError, match="undirected"):
        adjustment_sets(ck.graphs.cpdag(parse("x -> y")), "x", "y")
    with pytest.raises(ValueError, match="one treatment"):
        instruments(graph, ["x", "z"], "y")
    frame = confounded.sample(50, seed=0)
    with pytest.raises(ValueError, match="no instrument"):
        two_stage_least_squares(parse("x -> y; x <-> y"), frame, {"x": 1.0}, "y", seed=0)
    with pytest.raises(ValueError, match="'z' is no instrument"):
        two_stage_least_squares(parse("z -> x -> y; z -> y"), frame, {"x": 1.0}, "y", instrument="z", seed=0)
    with pytest.raises(ValueError, match="without variation"):
        two_stage_least_squares(confounded.graph, frame.assign(z=1.0), {"x": 1.0}, "y", seed=0)
    with pytest.raises(ValueError, match="searched"):
        names = ", ".join(f"a{i}" for i in range(13))
        optimal_adjustment(parse(f"x -> y; {names} -> x; h <-> y"), "x", "y")
    for value in ("1", np.nan):
        with pytest.raises(ValueError, match="finite number"):
            two_stage_least_squares(graph, frame, {"x": value}, "y", seed=0)
