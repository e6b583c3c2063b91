"""What the checks of counterfactuals refuse, and what they must not pass over."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.checks import check_counterfactuals, counterfactual_error, divergence_from
from causalkit.checks.axioms import _worst
from causalkit.checks.units import gaps

TRUTH = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})


def test_an_answer_that_is_nan_in_one_row_keeps_no_axiom():
    good = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 2.0]})
    bad = good.assign(y=[1.0, np.nan])
    for order in ([good, bad], [bad, good]):
        line = _worst("composition", "", (gaps(one, good, pd.Series(1.0, good.columns)) for one in order))
        assert line.verdict == "fails" and np.isnan(line.value) and "y" in line.why


def test_an_answer_with_another_index_is_compared_row_by_row_and_nan_is_not_left_out():
    def other(rows, do):
        return TRUTH.counterfactual(rows, do).set_axis(np.arange(len(rows))[::-1])

    assert counterfactual_error(other, TRUTH, seed=0) == 0.0
    assert np.isnan(counterfactual_error(lambda rows, do: rows.mask(rows == rows.iloc[3]), TRUTH, seed=0))


def test_the_divergence_is_of_new_rows_whatever_the_seed():
    """The seed of the rows that were learned from draws others here: no model is scored on what it learned."""
    seen = TRUTH.sample(20_000, seed=5)
    asked = []

    class Spy(ck.SCM):
        def log_prob(self, frame):
            asked.append(frame)
            return super().log_prob(frame)

    divergence_from(Spy(TRUTH.mechanisms), TRUTH, seed=5)
    assert not np.isin(asked[0].x, seen.x).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: counterfactual_error(TRUTH, TRUTH, causes=["q"], seed=0), "unknown cause 'q'. Known: x, y"),
        (lambda: counterfactual_error(TRUTH, TRUTH, causes=[], seed=0), "no cause.*causes="),
        (lambda: counterfactual_error(TRUTH, TRUTH, quantiles=[], seed=0), "no quantile"),
        (lambda: divergence_from(TRUTH.marginal(["x"]), TRUTH, seed=0), "different variables: y is in one"),
        (lambda: check_counterfactuals(TRUTH.graph, TRUTH, seed=0), "got DiGraph.*fit_scm"),
        (lambda: check_counterfactuals(TRUTH, TRUTH.graph, seed=0), "truth.*got DiGraph"),
        (lambda: check_counterfactuals(TRUTH, TRUTH, do={"x": np.zeros(5)}, seed=0), "x.*one number"),
        (lambda: check_counterfactuals(TRUTH, TRUTH, do={"x": np.nan}, seed=0), "x.*one number"),
        (lambda: check_counterfactuals(TRUTH, TRUTH, level=0.0, seed=0), "level = 0.0"),
        (lambda: check_counterfactuals(TRUTH, TRUTH, n=5, seed=0), "5 rows, at least 20"),
    ],
)
def test_bad_input_is_named_with_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_variables_without_edges_and_one_alone_can_be_checked():
    none = nx.DiGraph()
    none.add_nodes_from(["x", "y"])
    frame = TRUTH.sample(300, seed=0)
    assert "axiom" in set(check_counterfactuals(ck.fit_scm(none, frame, seed=0), frame=frame, seed=0).table["check"])
    alone = ck.SCM({"x": ck.linear()})
    assert check_counterfactuals(ck.fit_scm(alone.graph, frame, seed=0), alone, n=200, seed=0).passed
