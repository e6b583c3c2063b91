import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.identification.expressions import (
    Joint,
    Probability,
    Product,
    Ratio,
    Sum,
    evaluate,
    free,
    latex,
)
from causalkit.identification.simplify import product, simplify, total
from causalkit.identification.verify import TooLarge, gap, interventional, law, observational, random_discrete

NAMES = ("a", "b", "c", "d")
P = Probability


@st.composite
def probabilities(draw):
    names = draw(st.permutations(NAMES))
    of = draw(st.integers(1, 3))
    return P(tuple(names[:of]), tuple(names[of : draw(st.integers(of, 4))]))


def nested(inner):
    over = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(tuple)
    return st.one_of(
        st.builds(Sum, over, inner),
        st.builds(lambda terms: Product(tuple(terms)), st.lists(inner, max_size=3)),
        st.builds(Ratio, inner, inner),
    )


expressions = st.recursive(probabilities(), nested, max_leaves=6)


def joint(seed):
    p = np.random.default_rng(seed).uniform(0.1, 1.0, (2, 3, 2, 2))
    return Joint(NAMES, p / p.sum())


@given(expressions, st.integers(0, 5))
@settings(max_examples=200)
def test_a_simplified_formula_has_the_same_values_and_no_new_names(expression, seed):
    shorter = simplify(expression)
    assert free(shorter) <= free(expression)
    left, right = evaluate(shorter, joint(seed)), evaluate(expression, joint(seed))
    scale = 1 + np.abs(right.array).max()
    assert max(gap(left, right), gap(right, left)) < 1e-9 * scale


@given(expressions)
def test_a_formula_has_an_axis_for_each_free_name(expression):
    found = evaluate(expression, joint(0))
    assert found.names == tuple(n for n in NAMES if n in free(expression))
    assert found.array.shape == tuple(joint(0).levels[n] for n in found.names)


def test_probabilities_are_those_of_the_joint():
    p = joint(1)
    expected = p.array.sum((2, 3)) / p.array.sum((0, 2, 3))
    assert np.allclose(evaluate(P(("a",), ("b",)), p).array, expected)
    assert np.allclose(evaluate(P(("b",), ("a",)), p).array, p.array.sum((2, 3)) / p.array.sum((1, 2, 3))[:, None])


def test_a_sum_binds_its_names_and_counts_levels_of_what_is_not_there():
    p = joint(2)
    inner = Sum(("a",), Product((P(("b",), ("a",)), P(("a",)))))  # this a is not the a outside
    whole = evaluate(Product((P(("a",)), inner)), p)
    assert np.allclose(whole.array, np.outer(p.over("a").array, p.over("b").array))
    assert evaluate(Sum(("b",), P(("a",))), p).array == pytest.approx(3 * p.over("a").array)
    assert evaluate(Sum(("b",), Product(())), p).array == pytest.approx(3.0)


def test_what_never_occurs_does_no_harm_and_what_is_not_known_shows():
    p = np.array([[[0.2, 0.1], [0.3, 0.4]], [[0.0, 0.0], [0.0, 0.0]]])  # z, x, y: z = 1 never occurs
    adjusted = Sum(("z",), Product((P(("y",), ("x", "z")), P(("z",)))))
    assert np.isfinite(evaluate(adjusted, Joint(("z", "x", "y"), p)).array).all()
    p[1, 0] = 0.1, 0.1  # now it occurs, but never with x = 1
    found = evaluate(adjusted, Joint(("z", "x", "y"), p)).array
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_formulas_in_words_and_latex():
    front = Sum(("m",), Product((P(("m",), ("x",)), Sum(("x",), Product((P(("y",), ("m", "x")), P(("x",))))))))
    assert str(front) == "sum_{m} P(m | x) sum_{x'} P(y | m, x') P(x')"
    assert latex(front) == r"\sum_{m} P(m \mid x) \, \sum_{x'} P(y \mid m, x') \, P(x')"
    swapped = Sum(("m",), Product(front.term.terms[::-1]))
    assert str(swapped) == "sum_{m} (sum_{x'} P(y | m, x') P(x')) P(m | x)"
    assert latex(Ratio(P(("x1",)), P(("blood_sugar",)))) == r"\frac{P(x_{1})}{P(\mathrm{blood\_sugar})}"
    assert latex(P(("y",), ("z",), ("x",), "lab")) == r"P^{\mathrm{lab}}(y \mid \mathrm{do}(x), z)"
    assert str(P(("y",), (), ("x",), "lab")) == "P_lab(y | do(x))" and str(Product(())) == "1"


@pytest.mark.parametrize(
    ("expression", "shorter"),
    [
        (Product((P(("a",), ("b", "c")), P(("b",), ("c",)))), P(("a", "b"), ("c",))),
        (Sum(("a",), P(("a", "b"), ("c",))), P(("b",), ("c",))),
        (Sum(("a",), P(("a",), ("c",))), Product(())),
        (Ratio(P(("a", "b"), ("c",)), P(("b",), ("c",))), P(("a",), ("b", "c"))),
        (Sum(("a",), Product((P(("a",), ("b",)), P(("b",))))), P(("b",))),
        (Ratio(Product((P(("a",)), P(("b",)))), P(("a",))), P(("b",))),
        (Product((P(("a",), ("b",), ("d",)), P(("b",)))), Product((P(("a",), ("b",), ("d",)), P(("b",))))),
    ],
)
def test_simplification(expression, shorter):
    assert simplify(expression) == shorter


def test_products_are_flat_and_empty_sums_vanish():
    a, b = P(("a",)), P(("b",))
    assert product([a]) == a and product([product([a, b]), a]) == Product((a, b, a)) and total((), a) == a


def test_populations_and_do_need_their_source():
    p = joint(3)
    moved = P(("a",), population="lab")
    assert np.allclose(evaluate(moved, {"lab": joint(4), "": p}).array, joint(4).over("a").array)
    with pytest.raises(ValueError, match="no joint of population 'lab'"):
        evaluate(moved, {"": p})
    with pytest.raises(ValueError, match=r"does not say what do\(b\) does"):
        evaluate(P(("a",), do=("b",)), p)
    with pytest.raises(ValueError, match="has 'q', but the joint is over a, b, c, d"):
        evaluate(P(("q",)), p)
    with pytest.raises(ValueError, match="an array with 1 axes"):
        Joint(("a", "b"), np.ones(2))


def test_enumeration_agrees_with_sampling_seen_and_done():
    scm = random_discrete(ck.graphs.parse("x -> m -> y; x <-> y; x -> y"), levels={"m": 3}, seed=0)
    for model, truth in ((scm, observational(scm)), (scm.do({"x": 1.0}), interventional(scm, ["x"]))):
        rows = model.sample(40_000, seed=1)
        share = (rows[["m", "y"]] == [2, 1]).all(axis=1).mean()
        both = truth.over("x", "m", "y").array
        expected = both[:, 2, 1].sum() if model is scm else both[1, 2, 1]
        assert abs(share - expected) < 0.01
    assert interventional(scm, ["x"]).array.sum() == pytest.approx(2.0)  # 1 for each value that x is set to
    assert observational(scm.do({"x": 1.0})).over("m").array == pytest.approx(
        interventional(scm, ["x"]).over("x", "m").array[1]
    )


def test_hidden_variables_are_summed_out_wherever_they_are():
    graph = ck.graphs.parse("x -> h -> y; h -> z; k -> h; k -> z; x -> y")
    shown = random_discrete(graph, seed=3)
    hidden = ck.SCM(dict(shown.mechanisms), hidden=["h", "k"])
    for do in ((), ("x",), ("x", "z")):
        assert gap(interventional(hidden, do), interventional(shown, do).over("x", "y", "z")) < 1e-12


def test_random_tables_do_not_depend_on_each_other():
    one = random_discrete(ck.graphs.parse("x -> y"), seed=5)
    more = random_discrete(ck.graphs.parse("x -> y -> z; w -> z"), seed=5)
    assert gap(observational(one), observational(more).over("x", "y")) < 1e-12
    assert gap(observational(one), observational(random_discrete(ck.graphs.parse("x -> y"), seed=6))) > 0.01


def test_enumeration_names_what_it_cannot_do():
    with pytest.raises(ValueError, match="'y' is not discrete"):
        observational(ck.SCM({"x": ck.mechanisms.table({}, [0.5, 0.5]), "y": ck.linear({"x": 1.0})}))
    with pytest.raises(TooLarge, match="2097152 joint states"):
        observational(random_discrete(ck.graphs.dag([], nodes=[f"x{i}" for i in range(21)]), seed=0))
    scm = random_discrete(ck.graphs.parse("x -> y; x <-> y"), seed=0)
    for name in ("u_x_y", "q"):
        with pytest.raises(ValueError, match="unknown observed variable in do"):
            interventional(scm, [name])
    with pytest.raises(ValueError, match="one value a row"):
        observational(scm.do({"x": np.zeros(3)}))


def test_the_gap_is_over_all_variables_of_either():
    a = Joint(("x",), np.array([0.2, 0.8]))
    b = Joint(("z", "x"), np.array([[0.2, 0.8], [0.2, 0.5]]))
    assert gap(a, b) == pytest.approx(0.3) and gap(b, a) == pytest.approx(0.3)
    assert gap(Joint(("x",), np.array([np.nan, 0.8])), a) == np.inf
    assert gap(a, Joint(("x",), np.array([np.nan, 0.8]))) == 0.0


def test_a_scm_answers_do_terms():
    scm = random_discrete(ck.graphs.parse("z -> x -> y; z -> y"), seed=1)
    source = law(scm)
    done, seen = evaluate(P(("y",), do=("x",)), source), evaluate(P(("y",), ("x",)), source)
    adjusted = evaluate(Sum(("z",), Product((P(("y",), ("x", "z")), P(("z",))))), source)
    assert gap(done, adjusted) < 1e-12 and gap(done, seen) > 1e-3


def test_a_bound_name_gets_primes_until_no_other_name_is_like_it():
    inner = Sum(("x",), Product((P(("y",), ("x", "x'")), P(("x",)))))
    assert str(Product((P(("x'",), ("x",)), inner))) == "P(x' | x) sum_{x''} P(y | x'', x') P(x'')"
    both = Sum(("x",), Product((P(("x",)), Sum(("x'",), P(("y",), ("x", "x'"))))))
    assert str(Product((P(("x",)), both))) == "P(x) sum_{x'} P(x') sum_{x''} P(y | x', x'')"
