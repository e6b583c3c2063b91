"""Controls: every option of each is tried, errors are raised, the sentence says what the figure shows."""

from inspect import signature

import numpy as np
import pytest
from matplotlib.figure import Figure

import causalkit as ck
from causalkit.widgets import DIAL, choice, crossing, explore, shift_lab, slider, workbench
from causalkit.widgets.workbench import options


def draw(strength, edge):
    if strength == 13:
        raise RuntimeError("no thirteen")
    figure = Figure()
    figure.subplots().plot([0, strength])
    return figure, f"strength {strength}, edge {edge} & <b>"


def test_every_option_redraws():
    controls = {"strength": slider("Strength", [0, 1, 2], 1), "edge": choice("Edge", ["none", "x -> y"], "none")}
    box = explore(draw, **controls)
    _, picture, words = box.children
    seen = {bytes(picture.value)}
    for name, control in controls.items():
        for option in control.options:
            control.value = option
            assert f"{name} {option}".replace(">", "&gt;") in words.value
            seen.add(bytes(picture.value))
    assert all(png.startswith(b"\x89PNG") for png in seen) and len(seen) == 3  # one a strength
    assert "&lt;b&gt;" in words.value  # escaped


def test_an_error_is_raised_and_not_swallowed():
    control = slider("Strength", [0, 13], 0)
    explore(lambda strength: draw(strength, "none"), strength=control)
    with pytest.raises(RuntimeError, match="no thirteen"):
        control.value = 13


def test_no_figure_is_left_open():
    import matplotlib.pyplot as plt

    plt.close("all")
    control = slider("x", [0, 1], 0)
    explore(lambda x: (plt.subplots()[0], str(x)), x=control)
    control.value = 1
    assert plt.get_fignums() == []


def test_bad_input():
    with pytest.raises(ValueError, match="at least one control"):
        explore(draw)
    with pytest.raises(ValueError, match="not among its options"):
        slider("x", [0, 1], 2)
    with pytest.raises(ValueError, match="not among its options"):
        choice("x", ["a"], "b")


def test_a_png_is_shown_as_it_is_and_nothing_where_there_is_nothing_to_draw():
    control = slider("x", [0, 1], 0)
    _, picture, words = explore(lambda x: (b"png" if x == 0 else None, f"x is {x}"), x=control).children
    assert (picture.value, picture.layout.display) == (b"png", None)
    control.value = 1
    assert (picture.value, picture.layout.display) == (b"", "none") and "x is 1" in words.value
    control.value = 0
    assert (picture.value, picture.layout.display) == (b"png", None)


def lab(kind="spurious", direction=-1, n=2000, scm=None, **options):
    return shift_lab(scm or TEACHING, "y", kind, direction, n=n, seed=0, **options)


TEACHING = ck.teaching_scm()


def test_the_crossing_is_where_the_closed_form_has_it():
    # y = s + u, var s = 2, var u = 0.49; x3 = (1 - d) y + v, var v = 0.25; all features predict s + k (x3 - s)
    k = 0.49 / (0.49 + 0.25)
    squares = [k**2 * (2 + 0.49), 2 * 0.49 * (1 - k) * k, 0.49 * (1 - k) ** 2 + 0.25 * k**2 - 0.49]
    d = max(np.roots(squares))
    assert lab(n=100_000).crossing == pytest.approx(d**2 * 2.49 / 2 / 0.25, rel=0.03)


def test_every_position_has_the_nats_that_it_says():
    for kind in ("covariate", "label", "concept", "spurious", "selection"):
        made = lab(kind)
        assert list(made.strengths) == list(made.frames) == list(DIAL) and made.limit is None
        for nats in (0.01, 1.0):
            shifted = ck.SHIFTS[kind]("y", strength=made.strengths[nats], direction=-1)(TEACHING)
            assert ck.kl(shifted, TEACHING, seed=5)["nats"].sum() == pytest.approx(nats, rel=0.05), kind


def test_errors_are_those_of_least_squares_on_the_frames():
    from sklearn.linear_model import LinearRegression

    made, fitted = lab("concept"), TEACHING.sample(2000, seed=0)
    for name, columns in made.predictors.items():
        model = LinearRegression().fit(fitted[list(columns)], fitted["y"])
        for nats, frame in made.frames.items():
            rmse = np.sqrt(np.mean((model.predict(frame[list(columns)]) - frame["y"]) ** 2))
            assert made.curve.loc[made.curve["nats"] == nats, name].item() == pytest.approx(rmse)
    assert made.curve["nats"].is_monotonic_increasing


def test_a_stable_set_keeps_its_error_and_the_words_say_what_crosses():
    made = lab()
    stable = made.curve["the stable set {x1, x2}"]
    assert np.ptp(stable) < 0.01 * stable.mean() and f"The two cross at {made.crossing:.2g} nats." in made.words(0.3)
    assert "stay within 1% of each other up to 3 nats" in lab("covariate").words(0.3)
    assert "do not cross" in lab("concept").words(3.0) and "not promised" in lab("concept").words(3.0)
    every = ck.random_scm(graph=ck.graphs.textbook("case_control"), mechanism="linear", seed=0)
    assert "All features are the stable set." in lab("covariate", scm=every).words(1.0)
    assert lab("covariate", scm=every).crossing is None


def test_a_move_shows_what_a_fresh_figure_shows():
    made = lab()
    first = made.draw(1.0)
    others = {made.draw(nats)[0] for nats in DIAL}
    assert len(others) == len(DIAL) and made.draw(1.0) == first and lab() is made
    assert all(png.startswith(b"\x89PNG") for png in others)
    figure = made.figure(1.0)
    shown = [axes.get_xlabel() for axes in figure.axes]
    assert shown[1:] == ["shift, nats", "y", "x3", "x5"]


def test_a_laboratory_says_why_it_does_not_open():
    with pytest.raises(ValueError, match="unknown target 'z'"):
        shift_lab(TEACHING, "z", "spurious", n=100, seed=0)
    with pytest.raises(ValueError, match="unknown shift 'spurios'"):
        lab("spurios")
    with pytest.raises(ValueError, match="no observed effects"):
        shift_lab(TEACHING, "x5", "spurious", n=100, seed=0)
    with pytest.raises(ck.shifts.Unreachable, match="uniform noise"):
        lab("covariate", scm=ck.teaching_scm(noise="uniform"))
    for dial in [(0.0,), (0.1, 1.0), (0.0, 1.0, 0.1), (0.0, 0.0, 1.0)]:
        with pytest.raises(ValueError, match="must begin at 0 and rise"):
            lab(dial=dial)
    with pytest.raises(ValueError, match="2 nats is no position of the dial"):
        lab().draw(2.0)
    coded = ck.random_scm(graph=ck.graphs.parse("x -> y"), mechanism={"x": "categorical", "y": "linear"}, seed=1)
    with pytest.raises(ValueError, match="'x' is discrete with"):
        shift_lab(coded, "x", "spurious", n=100, seed=0)


def test_a_dial_that_ends_early_says_so_where_it_ends():
    scm = ck.random_scm(graph=ck.graphs.textbook("front_door"), mechanism="linear", seed=0)
    made = shift_lab(scm, "y", "selection", n=500, seed=0)
    last = max(made.strengths)
    assert 0 < last < 3.0 and made.curve["nats"].max() == last
    assert made.crossing is not None or f"up to {last:g} nats" in made.words(last)
    with pytest.raises(ck.shifts.Unreachable, match="at most"):
        made.draw(3.0)


def test_a_discrete_target_of_two_levels_has_a_laboratory():
    families = {"x": "linear", "y": "logistic", "z": "categorical"}
    scm = ck.random_scm(graph=ck.graphs.parse("x -> y -> z"), mechanism=families, seed=1)
    made = shift_lab(scm, "y", "spurious", n=500, seed=0, dial=(0, 0.01, 0.1))
    assert made.draw(0.1)[0] != made.draw(0.0)[0] and [*made.predictors][1] == "the stable set {x}"


def bench(frame=None, truth=None, rows=(100, 1000, 2000), seed=0):
    return workbench(truth or ck.teaching_scm().graph, frame, rows=rows, seed=seed)


def test_a_workbench_shows_what_the_method_finds_on_its_data_and_what_the_baselines_do():
    made = bench()
    frame = made.data("linear", "gaussian", "standardised", 1000)
    np.testing.assert_allclose([frame.mean(), frame.std(ddof=0)], [[0] * 6, [1] * 6], atol=1e-9)
    figure, words = made.draw(scale="standardised", method="ges", rows=1000)
    shd = ck.compare(ck.discover(frame, "ges"), made.graph)["shd_cpdag"]
    sorting = ck.compare(ck.discover(frame, "r2_sort"), made.graph)["shd_cpdag"]
    _, right = figure.axes
    shown = dict(
        zip([t.get_text() for t in right.get_yticklabels()], [b.get_width() for b in right.patches], strict=True)
    )
    assert (shown["ges"], shown["r2_sort"], shown["empty"]) == (shd, sorting, 5)
    assert ck.plotting.describe(ck.discover(frame, "ges"), made.graph) in words and f"ges {shd:g};" in words
    by_r2 = ck.sortability(frame, made.graph)["r2"]
    assert f"by R2 {by_r2:.2f}" in words and f"R2 {by_r2:.2f}" in right.get_title()
    ticks = made.draw(method="var_sort")[0].axes[1].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["var_sort", "empty", "random_order", "r2_sort"]


def test_the_scale_takes_away_what_variance_sorting_lives_on():
    made = bench(truth=ck.graphs.erdos_renyi(10, 2.0, seed=1))
    raw = made.data("linear", "gaussian", "raw", 2000)
    assert ck.sortability(raw, made.graph)["var"] > 0.85
    assert ck.sortability(made.data("linear", "gaussian", "standardised", 2000), made.graph)["var"] == 0.5
    assert ck.metrics.standardise(raw).equals(made.data("linear", "gaussian", "standardised", 2000))
    assert np.ptp(made.data("linear", "gaussian", "internal", 2000).std()) < 0.2 < np.ptp(raw.std())


def test_knowledge_on_the_workbench_is_right_or_wrong_on_purpose():
    made = bench()
    place = {v: k for k, v in enumerate(["x1", "x2", "x4", "y", "x3", "x5"])}
    right, wrong = made.knowledge("two tiers"), made.knowledge("two tiers, wrong")
    assert made.knowledge("nothing") is None and right.tiers == wrong.tiers[::-1]
    assert {place[v] for v in right.tiers[0]} == {0, 1, 2} and not any(right.forbids(*e) for e in made.graph.edges)
    assert any(wrong.forbids(*e) for e in made.graph.edges)
    assert "(x1, x2, x4 before the rest)" in made.draw(known="two tiers")[1]


def test_a_price_means_the_same_for_scores_and_tests():
    from scipy.stats import chi2

    for price in (0.5, 2.0, 8.0):
        given, said = options("pc", price, 500)
        assert given["alpha"] == pytest.approx(chi2.sf(price * np.log(500), 1)) and f"{given['alpha']:.2g}" in said
        assert options("boss", price, 500)[0] == {"lambda_bic": price}
    for name in ("flop", "cam", "ges", "boss", "grasp"):  # the slider starts at every method's default
        default = signature(ck.METHODS[name]).parameters["lambda_bic"].default
        assert options(name, 2.0, 500)[0]["lambda_bic"] == pytest.approx(default)
    assert options("auto", 2.0, 500) == ({}, "auto, which has no such price")


def test_a_workbench_on_a_frame_of_ones_own_makes_no_data():
    frame = ck.teaching_scm().sample(300, seed=0)
    made = bench(frame, rows=(100, 300))
    assert "generator" not in made.controls and made.data("linear", "gaussian", "raw", 100).equals(frame.head(100))
    assert "100 rows, raw; pc" in made.draw(method="pc")[1]
    assert set(made.methods) <= set(ck.METHODS) and {"cam", "pc", "r2_sort"} <= set(made.methods)


def test_a_control_of_the_workbench_redraws():
    made = bench(rows=(50, 100))
    control = made.controls["generator"]
    _, picture, words = explore(made.draw, generator=control).children
    seen = set()
    for option in control.options:
        control.value = option
        assert f"50 rows, {option}, gaussian noise" in words.value
        seen.add(bytes(picture.value))
    assert len(seen) == len(control.options) == 4


def test_a_workbench_refuses_what_it_does_not_offer():
    with pytest.raises(ValueError, match="'u_x_y' is hidden"):
        bench(truth=ck.graphs.parse("x <-> y"))
    for rows in [(100,), (300, 100)]:
        with pytest.raises(ValueError, match="rising order"):
            bench(rows=rows)
    with pytest.raises(ValueError, match="2000 rows of a frame that has 100"):
        bench(ck.teaching_scm().sample(100, seed=0))
    for setting in [{"generator": "liner"}, {"scale": "rw"}, {"rows": 7}, {"known": "all"}, {"method": "flp"}]:
        with pytest.raises(ValueError, match="unknown"):
            bench().draw(**setting)


VIEW = crossing(TEACHING, "y", n=2000, seed=0)


def test_erm_and_the_causes_cross_where_the_closed_form_has_it():
    # y = s + u, var s = 2, var u = 0.49; x3 = g y + v, var v = 0.25, and g is 1.3 or 0.7 in training; s is known
    law, noise, gains = np.diag([2.0, 0.49]), 0.25, np.array([1.3, 0.7])
    y = np.ones(2)  # its weights on s and u
    cov = np.zeros((2, 2))
    cross = np.zeros(2)
    for g in gains:  # features s and x3
        features = np.array([[1.0, 0.0], g * y])
        cov += (features @ law @ features.T + np.diag([0.0, noise])) / 2
        cross += features @ law @ y / 2
    b = np.linalg.solve(cov, cross)
    # E[(y - b0 s - b1 ((1 + d) y + v))^2] = 0.49, a quadratic in c = b1 (1 + d)
    squares = [2.49, -2 * (2 * (1 - b[0]) + 0.49), 2 * (1 - b[0]) ** 2 + 0.49 + b[1] ** 2 * noise - 0.49]
    expected = sorted(np.roots(squares) / b[1] - 1)
    view = crossing(TEACHING, "y", objectives={}, kinds=["spurious"], n=50_000, seed=1)
    assert view.crossings("spurious") == pytest.approx(expected, abs=0.03)


def test_the_certificate_keeps_its_promise_and_says_where_it_has_none():
    for kind in ("spurious", "covariate"):
        causes = VIEW.curves[kind]["causes"]
        assert np.ptp(causes) < 0.02 * causes.mean() and "stands at every strength" in VIEW.words(kind, 2.0)
    concept = VIEW.curves["concept"].set_index("shift")["causes"]
    assert concept[-2.0] > 3 * concept[0.0] and "may move" in VIEW.words("concept", -2.0)
    assert VIEW.crossings("concept") == VIEW.crossings("covariate") == []
    assert "erm is ahead. They do not cross between -2 and +2" in VIEW.words("concept", -2.0)


def test_errors_of_the_crossing_are_those_of_its_models():
    frame = ck.shifts.spurious("y", strength=1.5, direction=-1)(TEACHING).sample(50_000, seed=7)
    here = VIEW.curves["spurious"].set_index("shift").loc[-1.5]
    for name, model in VIEW.models.items():
        assert np.sqrt(np.mean((model.predict(frame) - frame["y"]) ** 2)) == pytest.approx(here[name], rel=0.05)
        assert f"{here[name]:.2f} for {name}" in VIEW.words("spurious", -1.5)
    assert "x3 hears y times -0.5" in VIEW.words("spurious", -1.5)
    assert "the mean of x1, x2 moves by -1.5 sd" in VIEW.words("covariate", -1.5)


def test_dragging_redraws_and_a_move_back_shows_the_same():
    box = explore(VIEW.draw, **VIEW.controls)
    row, picture, words = box.children
    kind, drag = row.children
    assert drag.continuous_update
    seen = {}
    for option in kind.options:
        kind.value = option
        for shift in (-2.0, 0.0, 2.0):
            drag.value = shift
            seen[option, shift] = bytes(picture.value)
            assert f"{option.capitalize()} shift {shift:+g}:".replace("+0", "0") in words.value
    assert len(set(seen.values())) == 9 and all(png.startswith(b"\x89PNG") for png in seen.values())
    assert VIEW.draw("spurious", 0.0)[0] == seen["spurious", 0.0]
    names = [text.get_text() for text in VIEW.figure("spurious", 0.0).axes[0].get_legend().get_texts()]
    assert names == ["erm", "irm", "causes", "erm and causes cross", "range of the training shifts"]


def test_a_crossing_says_why_it_cannot_be_drawn():
    good = {"n": 100, "seed": 0}
    with pytest.raises(ValueError, match="unknown target 'z'"):
        crossing(TEACHING, "z", **good)
    with pytest.raises(ValueError, match="'x5' needs observed causes and observed effects"):
        crossing(TEACHING, "x5", **good)
    coded = ck.random_scm(graph=ck.graphs.parse("x -> y -> z"), mechanism=dict.fromkeys("xyz", "categorical"), seed=1)
    with pytest.raises(ValueError, match="'y' is discrete"):
        crossing(coded, "y", **good)
    with pytest.raises(ValueError, match="unknown kind of shift 'label'"):
        crossing(TEACHING, "y", kinds=["label"], **good)
    for shifts in [(1.0, 2.0), (0.0, -1.0), (0.0, 0.0, 1.0)]:
        with pytest.raises(ValueError, match="that rise and pass 0"):
            crossing(TEACHING, "y", shifts=shifts, **good)
    with pytest.raises(ValueError, match="objectives has 'erm'"):
        crossing(TEACHING, "y", objectives={"erm": ck.objectives.erm()}, **good)
    with pytest.raises(ValueError, match=r"0.3 is no position of the slider"):
        VIEW.draw("spurious", 0.3)
    with pytest.raises(ValueError, match="unknown kind of shift 'spurios'"):
        VIEW.draw("spurios", 0.0)
