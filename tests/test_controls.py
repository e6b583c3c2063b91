"""Negative controls: each broken model is noticed by the check that is there for it, or by none, and that is said."""

import pytest
import torch

import causalkit as ck
from causalkit.checks import caught, negative_controls

TRIANGLE = ck.SCM(
    {
        "x": ck.linear(),
        "y": ck.additive(["x"], lambda p: p[:, 0] + 0.5 * p[:, 0] ** 2),
        "z": ck.additive(["x", "y"], lambda p: 1.5 * torch.tanh(p[:, 1]) - p[:, 0], scale=0.5),
    }
)


@pytest.fixture(scope="module")
def table():
    return negative_controls(TRIANGLE, n=1500, seed=1)


@pytest.mark.parametrize(
    ("control", "blind", "seeing"),
    [
        ("reversed edge", "noise independent of the parents (HSIC)", "non-descendants in the true graph"),
        ("missing confounder", "noise independent of the other variables' noise", "error of a counterfactual"),
        ("not monotone", "noise independent of the parents (HSIC)", "error of a counterfactual"),
        ("variational autoencoder", "composition, 1 cycle", "error of a counterfactual"),
    ],
)
def test_a_control_is_noticed_by_the_check_that_is_there_for_it(table, control, blind, seeing):
    fired = table[(table["control"] == control) & table["fires"]]
    assert {blind, seeing} <= set(fired["what"])
    assert fired.set_index("what")["needs_truth"][[blind, seeing]].tolist() == [False, True]


def test_two_worlds_are_told_apart_by_the_truth_alone(table):
    row = caught(table).loc["two worlds"]
    assert not row["without the truth"] and row["with the truth"] and row["by"].startswith("nothing")


def test_a_line_along_a_turned_arrow_is_seen_by_no_check_of_rows():
    """Markov equivalent and linear-Gaussian: the data are as likely either way round."""
    line = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
    row = caught(negative_controls(line, ["reversed edge"], n=1500, mechanism="linear", seed=0)).iloc[0]
    assert not row["without the truth"] and row["with the truth"]


def test_what_did_not_fire_is_in_the_table_too(table):
    assert set(table.groupby("control")["fires"].any()) == {True}
    quiet = table[~table["fires"]]
    assert len(quiet) > len(table) / 3 and quiet["value"].notna().any()


@pytest.mark.parametrize(
    ("scm", "controls", "message"),
    [
        (ck.SCM({"x": ck.linear()}), None, "at least one edge"),
        (ck.SCM({"x": ck.linear(), "t": ck.logistic({"x": 1.0})}), None, "real variables"),
        (TRIANGLE, ["reversed edg"], "did you mean 'reversed edge'"),
    ],
)
def test_bad_input(scm, controls, message):
    with pytest.raises(ValueError, match=message):
        negative_controls(scm, controls, n=100, seed=0)
