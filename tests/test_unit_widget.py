"""One unit: its answers are those of `counterfactual` and `do`, the words say them, every control moves the picture."""

import warnings

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.widgets import explore, unit

TRUTH = ck.teaching_scm(mechanism="mlp")
ROWS = TRUTH.sample(100, seed=1)
LEARNED = ck.fit_scm(TRUTH.graph, TRUTH.sample(300, seed=2), mechanism="linear", seed=0)


@pytest.fixture(scope="module")
def view():
    return unit({"the true SCM": TRUTH, "linear": LEARNED}, ROWS, "y", rows=[3, 0, 7], draws=200, seed=0)


def test_imagined_is_the_counterfactual_of_that_row(view):
    sd = ROWS.std()
    for variable, change, row in [("x1", 1.0, 3), ("x2", -2.5, 0), ("y", 0.5, 7)]:
        value = ROWS[variable].iloc[row] + change * sd[variable]
        for label, scm in view.scms.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ck.ExtrapolationWarning)
                expected = scm.counterfactual(ROWS.iloc[[row]], {variable: value})
            found = view.table(variable=variable, change=change, row=row, model="linear").loc[("imagined", label)]
            np.testing.assert_allclose(found, expected[list(found.index)].iloc[0], atol=1e-12)


def test_done_is_about_everybody_and_not_about_the_unit():
    # two rows that differ in all but x1: what is imagined differs, what is done does not
    twins = pd.concat([ROWS.iloc[[0]], ROWS.iloc[[1]].assign(x1=ROWS["x1"].iloc[0])], ignore_index=True)
    frame = pd.concat([twins, ROWS.iloc[2:]], ignore_index=True)
    view = unit(TRUTH, frame, "y", rows=2, draws=4000, seed=0)
    one, two = (view.table(variable="x1", change=1.0, row=row) for row in (0, 1))
    np.testing.assert_array_equal(one.loc["done"], two.loc["done"])
    assert abs(one.loc[("imagined", "the SCM"), "y"] - two.loc[("imagined", "the SCM"), "y"]) > 0.1
    value = frame["x1"].iloc[0] + frame["x1"].std()
    many = TRUTH.do({"x1": value}).sample(20_000, seed=5)["y"]
    assert one.loc[("done", "the SCM"), "y"] == pytest.approx(many.mean(), abs=5 * many.std() / 4000**0.5)


def test_what_changes_nothing_gives_the_unit_back_and_causes_stay(view):
    for variable in view.variables:
        table = view.table(variable=variable, change=0.0, row=7, model="linear")
        np.testing.assert_allclose(table.loc["imagined"], np.tile(ROWS.iloc[7], (2, 1)), atol=1e-9)
    table = view.table(variable="x3", change=2.0, row=0)
    np.testing.assert_allclose(table.loc[("imagined", "the true SCM"), ["x1", "x2", "y", "x4"]],
                               ROWS.iloc[0][["x1", "x2", "y", "x4"]], atol=1e-9)  # fmt: skip


def test_the_words_say_the_numbers(view):
    at = {"variable": "x1", "change": 1.0, "row": 3, "model": "linear"}
    table, words = view.table(**at), view.words(**at)
    assert words.startswith(f"Row 3 has x1 = {ROWS['x1'].iloc[3]:.2f} and y = {ROWS['y'].iloc[3]:.2f}. Had x1 been")
    for kind in ("imagined", "done"):
        for label in view.scms:
            assert f"{table.loc[(kind, label), 'y']:.2f} by {label}" in words
    assert "has to come back as it was" in view.words(variable="x1", change=0.0)
    assert "no effect of x3, and has to stay" in view.words(variable="x3", change=1.0)
    assert "y is what is set" in view.words(variable="y", change=1.0)


def test_beyond_the_data_the_words_say_so_and_nothing_else_warns(view):
    far = max(view.rows, key=lambda row: ROWS["x1"].iloc[row])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = view.words(variable="x1", change=3.0, row=far)
    low, high = LEARNED.ranges["x1"]
    assert f"linear never saw such a value: in its data x1 runs from {low:.2f} to {high:.2f}" in words


def test_every_control_moves_the_picture(view):
    view = unit({**view.scms, "the same again": LEARNED}, ROWS, "y", rows=[3, 0], draws=50, seed=0)
    assert set(view.controls) == {"variable", "change", "row", "model"}
    box = explore(view.draw, **view.controls)
    picture, words = box.children[1:]
    for control in box.children[0].children:
        start = control.value
        for option in [o for o in control.options if o != start] + [start]:
            before = bytes(picture.value), words.value
            control.value = option
            assert (bytes(picture.value), words.value) != before, (control.description, option)
    assert bytes(picture.value).startswith(b"\x89PNG")


def test_a_move_shows_what_a_fresh_picture_shows(view):
    first = view.draw(change=2.0)
    view.draw(change=-3.0, row=0)
    again = unit(view.scms, ROWS, "y", rows=[3, 0, 7], draws=200, seed=0)
    assert view.draw(change=2.0) == first == again.draw(change=2.0)


def test_the_static_form_has_three_panels_and_stars_on_effects(view):
    seen, done, imagined = view.figure(variable="y").axes
    assert [ax.get_title().split(":")[0] for ax in (seen, done, imagined)] == ["seen", "done", "imagined"]
    labels = {tick.get_text() for tick in imagined.get_xticklabels()}
    assert labels == {"x1", "x2", "y", "x3*", "x4", "x5*"}


def test_one_scm_alone_and_one_row_leave_no_choice_of_them():
    view = unit(TRUTH, ROWS, "y", rows=1, draws=50, seed=0)
    assert set(view.controls) == {"variable", "change"} and "by the SCM" in view.words()
    assert view.draw()[0].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"scms": {}}, "scms is empty"),
        ({"outcome": "z"}, "unknown outcome 'z'"),
        ({"rows": [100]}, "between 0 and 99"),
        ({"rows": 0}, "give a number of rows"),
        ({"changes": ()}, "changes is empty"),
        ({"draws": 0}, "draws = 0"),
        ({"frame": ROWS.drop(columns="x2")}, "x2"),
        ({"scms": {"a": TRUTH, "b": ck.triangle("lin")}}, "'b' is over other variables"),
        (
            {"scms": ck.SCM({"x": ck.linear(), "y": ck.linear()}), "frame": ROWS.rename(columns={"x1": "x"})},
            "nothing to move",
        ),
        ({"scms": ck.random_scm(graph=ck.graphs.parse("x -> y"), mechanism="categorical", seed=0)}, "is discrete"),
    ],
)
def test_bad_input(given, match):
    scms, frame, outcome = (given.pop(k, d) for k, d in (("scms", TRUTH), ("frame", ROWS), ("outcome", "y")))
    with pytest.raises(ValueError, match=match):
        unit(scms, frame, outcome, **{"seed": 0, **given})


def test_what_is_not_on_offer(view):
    for chosen, match in [
        ({"variable": "x5"}, "unknown variable 'x5'"),
        ({"change": 0.3}, "unknown change"),
        ({"row": 1}, "unknown row"),
        ({"model": "mlp"}, "unknown model"),
        ({"size": 1}, "unknown control 'size'"),
    ]:
        with pytest.raises(ValueError, match=match):
            view.words(**chosen)
