"""Figures: what is drawn says what the graphs say, nothing overlaps or leaves the axes, nothing global changes."""

import matplotlib
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

import causalkit as ck
from causalkit.datasets import load_sachs, teaching_scm
from causalkit.graphs import cpdag, erdos_renyi, parse
from causalkit.metrics import differences
from causalkit.plotting import (
    COLOURS,
    VERDICTS,
    describe,
    describe_densities,
    describe_selection_diagram,
    draw_densities,
    draw_errors,
    draw_graph,
    draw_selection_diagram,
    edge_marks,
    layout,
    mark_errors,
    plot_comparison,
    plot_curves,
    plot_edge_frequencies,
    plot_effects,
    plot_environments,
    turn_densities,
)


@pytest.fixture(autouse=True)
def nothing_global_changes(monkeypatch):
    before = dict(matplotlib.rcParams)
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("a plotting function called show"))
    yield
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


@given(st.integers(0, 10**6), st.booleans())
def test_layout_puts_causes_left_and_no_two_nodes_together(seed, as_class):
    dag = erdos_renyi(9, 3.0, seed=seed)
    graph = cpdag(dag) if as_class else dag
    places = layout(graph)
    assert list(places) == list(graph.nodes) and len(set(places.values())) == 9
    assert places == layout(graph.copy())
    for a, b in graph.edges:
        if not graph.has_edge(b, a):
            assert places[a][0] < places[b][0]


def test_layout_stands_a_graph_without_edges_or_with_a_cycle_of_arrows():
    assert len(layout(parse("x; y; z"))) == 3
    assert len(layout(nx.DiGraph([("x", "y"), ("y", "z"), ("z", "x")]))) == 3
    assert layout(nx.DiGraph()) == {}


def test_directed_edges_have_a_head_undirected_ones_none():
    ax = draw_graph(cpdag(parse("x -> y <- z; x -> w")))
    heads = [type(patch.get_arrowstyle()).__name__ for patch in arrows(ax)]
    assert sorted(heads) == ["Curve", "CurveFilledB", "CurveFilledB"]


def test_hidden_variables_are_dashed_and_highlights_are_filled():
    ax = draw_graph(parse("x -> y; x <-> y"), highlight=["y"])
    circles = dict(zip([text.get_text() for text in ax.texts], ax.collections, strict=True))
    assert circles["u_x_y"].get_linestyle()[0][1] is not None and circles["x"].get_linestyle()[0][1] is None
    yellow, white = (circles[name].get_facecolor()[0] for name in ("y", "x"))
    assert not np.allclose(yellow, white) and circles["y"].get_linewidth()[0] > circles["x"].get_linewidth()[0]


@pytest.mark.parametrize("size", [(7.5, 4.6), (3.6, 4.4), (11.0, 3.0)])
@pytest.mark.parametrize("text", ["sachs", "a -> b -> c -> d; a -> d; a -> c", "x -> y <- z"])
def test_no_edge_runs_through_a_node_and_no_node_leaves_the_axes(size, text):
    graph = load_sachs()[1] if text == "sachs" else parse(text)
    figure, ax = plt.subplots(figsize=size)
    draw_graph(graph, ax=ax)
    figure.canvas.draw()
    places = layout(graph)
    radius = np.sqrt(ax.collections[0].get_sizes()[0]) / 2 * figure.dpi / 72
    box = ax.get_window_extent()
    centres = {node: ax.transData.transform(place) for node, place in places.items()}
    for centre in centres.values():
        assert box.contains(*(centre - radius)) and box.contains(*(centre + radius))
    for patch in arrows(ax):
        curve = patch._get_path_in_displaycoord()[0][0]
        points = np.concatenate([Path(p).interpolated(50).vertices for p in curve.to_polygons(closed_only=False)])
        for node, centre in centres.items():
            gap = np.linalg.norm(points - centre, axis=1).min()
            assert gap > radius, (node, gap, radius)  # heads end outside the circles, all others are passed by


@pytest.mark.parametrize("size", [(6.4, 4.8), (3.6, 4.4)])
def test_the_legend_counts_verdicts_and_covers_no_node(size):
    truth = parse("a -> b -> c; a -> d; e -> d; c -> f; e -> f")
    learned = cpdag(parse("a -> b; c -> b; a -> d <- e; f; a -> e"))
    figure, ax = plt.subplots(figsize=size)
    plot_comparison(learned, truth, ax=ax)
    figure.canvas.draw()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    counts = differences(learned, truth)["verdict"].value_counts()
    assert set(labels) == {f"{verdict} ({count})" for verdict, count in counts.items()}
    legend, radius = (
        ax.get_legend().get_window_extent(),
        np.sqrt(ax.collections[0].get_sizes()[0]) / 2 * figure.dpi / 72,
    )
    for place in layout(truth).values():
        assert ax.transData.transform(place)[1] - radius > legend.y1
    assert legend.y0 >= 0


def test_verdicts_differ_in_colour_and_in_line_style():
    assert len({colour for colour, _ in VERDICTS.values()}) == len({str(s) for _, s in VERDICTS.values()}) == 5
    assert {colour for colour, _ in VERDICTS.values()} < set(COLOURS)


def test_comparison_draws_missing_edges_as_in_truth_and_others_as_learned():
    ax = plot_comparison(parse("y -> x; z"), parse("x -> y -> z"))
    styles = {patch.get_edgecolor()[:3]: type(patch.get_arrowstyle()).__name__ for patch in arrows(ax)}
    colour = {verdict: matplotlib.colors.to_rgb(VERDICTS[verdict][0]) for verdict in VERDICTS}
    assert styles == {colour["reversed"]: "CurveFilledA", colour["missing"]: "CurveFilledB"}
    assert plot_comparison(parse("x; y"), parse("x; y")).get_legend() is None
    hidden = plot_comparison(parse("x; y"), parse("x <-> y"))
    assert [type(p.get_arrowstyle()).__name__ for p in arrows(hidden)] == ["CurveFilledAB"] and len(hidden.texts) == 2


def test_describe_says_the_same_in_words():
    truth = parse("x -> y -> z; y -> w")
    assert describe(truth, truth) == "Of 3 true edges, 3 are right (x -> y, y -> z, y -> w); no edge is extra."
    said = describe(cpdag(parse("x -> y; z -> w")), truth)
    assert "1 is unoriented (x -- y)" in said and "2 are missing (y -> z, y -> w)" in said
    assert said.endswith("; 1 edge is extra (z -- w).")
    assert describe(parse("x -> y"), parse("x; y")) == "The true graph has no edge; 1 edge is extra (x -> y)."
    assert "missing (x <-> y)" in describe(parse("x; y"), parse("x <-> y"))


def test_environments_are_told_apart_by_marker_line_and_slope():
    shifts = {"before": None, "after": ck.shifts.spurious("y", strength=2.0, direction=-1)}
    environments = ck.sample_environments(teaching_scm(), shifts, 500, seed=0)
    ax = plot_environments(environments, "x3", "y")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    slope = np.polyfit(environments[1].frame["x3"], environments[1].frame["y"], 1)[0]
    assert labels[1] == f"after (slope {slope:.2f})" and slope < 0
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()
    assert len(ax.collections[0].get_offsets()) == 300
    with pytest.raises(ValueError, match="unknown column 'x9'"):
        plot_environments(environments, "x9", "y")


def test_curves_are_means_with_their_band():
    runs = pd.DataFrame(
        {"n": [10, 10, 20, 20] * 2, "shd": [1.0, 3.0, 0.0, 2.0, 5.0, 5.0, 5.0, 5.0], "method": ["pc"] * 4 + ["ges"] * 4}
    )
    ax = plot_curves(runs.assign(half=0.5), "n", "shd", "method", band="half")
    assert [list(line.get_ydata()) for line in ax.lines] == [[2.0, 1.0], [5.0, 5.0]]
    assert ax.collections[0].get_paths()[0].vertices[:, 1].min() == 0.5
    assert len({line.get_marker() for line in ax.lines}) == len({line.get_linestyle() for line in ax.lines}) == 2
    band = plot_curves(runs, "n", "shd", "method").collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(2 + 1.96 * 1.0)  # standard error of (1, 3) is 1
    with pytest.raises(ValueError, match="did you mean 'method'"):
        plot_curves(runs, "n", "shd", "metod")
    with pytest.raises(ValueError, match="not numeric"):
        plot_curves(runs, "method", "shd", "n")


def test_effects_are_filled_where_the_interval_leaves_out_zero():
    table = pd.DataFrame({"effect": ["a", "b"], "estimate": [0.5, 0.1], "low": [0.2, -0.1], "high": [0.8, 0.3]})
    ax = plot_effects(table)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    points = ax.collections[-1]
    assert points.get_offsets()[:, 0].tolist() == [0.5, 0.1]
    assert matplotlib.colors.to_hex(points.get_facecolor()[0]).upper() == COLOURS[0]
    assert matplotlib.colors.to_hex(points.get_facecolor()[1]) == "#ffffff"
    with pytest.raises(ValueError, match="unknown column 'term'"):
        plot_effects(table, label="term")


def test_edge_frequencies_stack_to_the_share_present():
    table = pd.DataFrame(
        [("x", "y", 0.9, 0.5, 0.3, 0.1), ("x", "z", 0.0, 0.0, 0.0, 0.0), ("y", "z", 0.4, 0.4, 0.0, 0.0)],
        columns=["a", "b", "present", "forward", "backward", "undirected"],
    )
    ax = plot_edge_frequencies(table, truth=parse("x -> y; z"))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["y – z", "x – y"]
    assert [tick.get_fontweight() for tick in ax.get_yticklabels()] == ["normal", "bold"]
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
    assert ends == pytest.approx([0.4, 0.9])


def test_bad_nodes_and_positions_are_turned_away():
    graph = parse("x -> y")
    with pytest.raises(ValueError, match="unknown node of the graph 'z'"):
        draw_graph(graph, highlight=["z"])
    with pytest.raises(ValueError, match="unknown position of node 'y'"):
        draw_graph(graph, positions={"x": (0, 0)})


def test_given_axes_are_used():
    _, ax = plt.subplots()
    assert draw_graph(parse("x -> y"), ax=ax) is ax
    assert draw_graph(parse("x -> y"), positions={"x": (3, 1), "y": (0, 0)}, ax=ax) is ax
    assert len(draw_graph(nx.DiGraph()).texts) == 0


def test_describe_names_a_confounded_pair_and_the_reference():
    from causalkit.graphs import parse
    from causalkit.plotting import describe

    said = describe(parse("x -> y"), parse("x <-> y"), called="consensus")
    assert said == "Of 1 consensus edge, 1 is unoriented (x <-> y); no edge is extra."


def certificate(kind, graph="x1, x2 -> y -> x3 -> x5; x1 -> x4", target="y"):
    scm = ck.random_scm(graph=parse(graph), mechanism="linear", seed=0)
    return ck.SHIFTS[kind](target, strength=0.5).certificate(scm)


CONFOUNDED = "x1, x2 -> y -> x3 -> x5; x1 -> x4; x2 <-> y"


@pytest.mark.parametrize("kind", sorted(ck.SHIFTS))
def test_a_selection_diagram_shows_what_moved_what_stands_and_the_target(kind):
    shown = certificate(kind, CONFOUNDED)
    ax = draw_selection_diagram(shown)
    names = [text.get_text() for text in ax.texts]
    assert sorted(set(names)) == sorted({*shown.graph.nodes, *(["S"] if shown.stable else [])})
    assert names.count("S") == len(shown.stable or ())
    # a variable has one circle, one that moved a ring beside it; the legend's samples have no place
    places = [tuple(c.get_offsets()[0]) for c in ax.collections if len(c.get_offsets())]
    twice = {place for place in places if places.count(place) == 2}
    assert len(places) == len(shown.graph) + len(shown.changed) and len(twice) == len(shown.changed)
    dashed = [patch for patch in arrows(ax) if patch.get_linestyle() not in ("-", "solid")]
    added = [edge for edge in shown.graph.edges if {"E", "selected"} & set(edge)]
    assert len(dashed) == len(added) and len(arrows(ax)) == shown.graph.number_of_edges()
    squares = [c for c in ax.collections if len(c.get_offsets()) and len(c.get_paths()[0].vertices) == 5]
    assert len(squares) == (2 if shown.drivers else 1)


@pytest.mark.parametrize("kind", sorted(ck.SHIFTS))
@pytest.mark.parametrize("graph", [CONFOUNDED, "sachs"])
def test_no_dashed_edge_runs_through_a_node_of_the_diagram(kind, graph):
    if graph == "sachs" and kind == "confounding":
        pytest.skip("nothing is hidden there")
    if graph == "sachs":
        scm = ck.random_scm(graph=load_sachs()[1], mechanism="linear", seed=0)
        shown = ck.SHIFTS[kind]("Mek", strength=0.5).certificate(scm)
    else:
        shown = certificate(kind, graph)
    figure, ax = plt.subplots(figsize=(5.4, 3.6))
    draw_selection_diagram(shown, ax=ax)
    figure.canvas.draw()
    circles = [c for c in ax.collections if len(c.get_offsets())]
    radius = min(np.sqrt(c.get_sizes()[0]) for c in circles) / 2 * figure.dpi / 72
    centres = {tuple(ax.transData.transform(c.get_offsets()[0]).round(6)) for c in circles}
    assert len(centres) == len(shown.graph), "two nodes in one place"
    assert min(np.linalg.norm(np.subtract(a, b)) for a in centres for b in centres if a != b) > 2 * radius
    for patch in arrows(ax):
        if patch.get_linestyle() in ("-", "solid"):
            continue
        curve = patch._get_path_in_displaycoord()[0][0]
        points = np.concatenate([Path(p).interpolated(50).vertices for p in curve.to_polygons(closed_only=False)])
        assert min(np.linalg.norm(points - centre, axis=1).min() for centre in centres) > radius


def test_the_causal_graph_stands_in_the_same_place_under_every_shift():
    places = {}
    for kind in ("covariate", "concept", "spurious"):
        ax = draw_selection_diagram(certificate(kind))
        for text in ax.texts:
            if text.get_text() not in ("E", "S"):
                places.setdefault(text.get_text(), set()).add(tuple(text.xy))
    assert all(len(found) == 1 for found in places.values()) and len(places) == 6


def test_the_selection_diagram_in_words():
    said = describe_selection_diagram(certificate("spurious"))
    assert said.endswith("E points at x3, whose mechanism changed. S = {x1, x2} separates the target y from E: "
                         "P(y | x1, x2) stands.")  # fmt: skip
    said = describe_selection_diagram(certificate("covariate"))
    assert "E points at x1 and x2, whose mechanisms changed" in said
    said = describe_selection_diagram(certificate("label", CONFOUNDED))
    assert "Hidden: u_x2_y. Rows are selected by y." in said and "from selected: no P(y | S) is promised" in said
    assert "S = {} separates the target y from E: P(y) stands." in describe_selection_diagram(
        certificate("spurious", "y -> z <- x")
    )


def test_densities_before_and_after_are_histograms_of_area_one():
    scm = teaching_scm()
    before, after = (s.sample(5000, seed=0) for s in (scm, ck.shifts.covariate("y", strength=3.0)(scm)))
    axes = draw_densities(before, after, ["x1", "y", "x4"])
    assert [ax.get_xlabel() for ax in axes] == ["x1", "y", "x4"]
    for ax in axes:
        one, two = (patch.get_data() for patch in ax.patches)
        for steps in (one, two):
            assert np.sum(steps.values * np.diff(steps.edges)) == pytest.approx(1, abs=0.01)
        middle = (one.edges[1:] + one.edges[:-1]) / 2
        column = ax.get_xlabel()
        assert np.average(middle, weights=two.values) == pytest.approx(after[column].mean(), abs=0.1)
        assert ax.get_ylim()[1] > max(one.values.max(), two.values.max())
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["before", "after"]


def test_densities_of_codes_are_bars_with_their_names():
    before, after = pd.DataFrame({"c": [0, 0, 1, 1]}), pd.DataFrame({"c": [0, 1, 1, 1]})
    ax = draw_densities(before, after, ["c"], levels={"c": ("no", "yes", "never")})[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["no", "yes", "never"]
    assert [[bar.get_height() for bar in group] for group in ax.containers] == [[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]]
    turn_densities([ax], before)
    assert [bar.get_height() for bar in ax.containers[1]] == [0.5, 0.5, 0.0]


def test_turned_densities_keep_their_bins_and_show_the_new_rows():
    frame = teaching_scm().sample(2000, seed=0)
    (ax,) = draw_densities(frame, frame, ["y"], spans={"y": (-6.0, 6.0)})
    (steps,) = turn_densities([ax], frame * 0.01)
    assert steps.get_data().edges[[0, -1]].tolist() == [-6, 6] and ax.get_xlim() == (-6, 6)
    assert steps.get_data().values.max() < ax.get_ylim()[1] and (steps.get_data().values > 0).sum() <= 2


def test_bad_columns_and_axes_of_densities():
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ValueError, match="'z'"):
        draw_densities(frame, frame, ["z"])
    with pytest.raises(ValueError, match="1 columns and 2 axes"):
        draw_densities(frame, frame, ["x"], list(plt.subplots(1, 2)[1]))
    constant = pd.DataFrame({"x": [1.0, 1.0]})
    assert draw_densities(constant, constant, "x")[0].get_xlim() == (1, 2)
    assert describe_densities(frame, constant, "x") == "x: mean 0.50 -> 1.00, sd 0.50 -> 0.00."


def test_errors_over_the_dial_mark_where_it_stands_and_the_crossing():
    curve = pd.DataFrame({"nats": [0.0, 0.1, 1.0], "all": [1.0, 1.2, 2.0], "causes": [1.5, 1.5, 1.5]})
    ax = draw_errors(curve, nats=0.1, crossing=0.3)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["all", "causes"]
    assert any("cross at 0.3 nats" in text.get_text() for text in ax.texts)
    points = [line.get_xydata()[0].tolist() for line in ax.lines if line.get_linestyle() == "None"]
    assert points == [[0.1, 1.2], [0.1, 1.5]]
    low, high = ax.get_ylim()
    assert low < 1.0 and high > 2.0
    flat = draw_errors(curve.assign(all=[1.5, 1.501, 1.502]))
    assert np.ptp(flat.get_ylim()) > 0.2, "noise looks small"
    assert len(mark_errors(flat, curve, 1.0)) == 3
    with pytest.raises(ValueError, match="unknown column 'nats'"):
        draw_errors(curve.rename(columns={"nats": "bits"}))
    with pytest.raises(ValueError, match="no column of errors"):
        draw_errors(curve[["nats"]])


def test_bent_edges_stay_inside_the_axes():
    line = {**{v: (float(k), 0.0) for k, v in enumerate("abcdefg")}, "h": (0.0, 4.0)}
    jumps = parse("a -> b -> c -> d -> e -> f -> g; a -> g; b -> f; a -> d; c -> g; h")
    for size in [(8, 2), (3, 4)]:
        ax = draw_graph(jumps, ax=plt.subplots(figsize=size)[1], positions=line)
        box = ax.get_window_extent()
        for patch in arrows(ax):
            reach = patch.get_path().get_extents(patch.get_transform())  # of the line as it is drawn, in pixels
            assert box.y0 - 1 <= reach.y0 and reach.y1 <= box.y1 + 1


def marked(pairs):
    """A PAG from {(a, b): (mark at a, mark at b)}, stored as `ck.discovery.fci` stores it."""
    graph = nx.DiGraph(kind="pag")
    for (a, b), (one, two) in pairs.items():
        graph.add_edge(a, b, mark_a=one, mark_b=two)
        if (one, two) != ("tail", "arrow"):
            graph.add_edge(b, a, mark_a=two, mark_b=one)
    return graph


PAG = {
    ("a", "b"): ("circle", "circle"), ("b", "c"): ("circle", "arrow"), ("c", "d"): ("arrow", "arrow"),
    ("d", "e"): ("tail", "arrow"), ("e", "f"): ("tail", "circle"), ("f", "a"): ("tail", "tail"),
}  # fmt: skip


def test_no_mark_of_a_pag_is_lost():
    shape = {"circle": "o", "tail": "-"}
    graph = marked(PAG)
    for (a, b), (one, two) in PAG.items():
        assert edge_marks(graph, a, b) == shape.get(one, "<") + shape.get(two, ">")
        assert edge_marks(graph, b, a) == shape.get(two, "<") + shape.get(one, ">")
    assert edge_marks(graph, "a", "c") == "" and edge_marks(parse("x -> y"), "y", "x") == "<-"
    with pytest.raises(ValueError, match="unknown node"):
        edge_marks(graph, "a", "g")
    patches = arrows(draw_graph(graph))
    assert len(patches) == len(PAG)  # each pair once, although most stand in the graph both ways
    line, drawn = Path([(0.0, 0.0), (50.0, 20.0), (100.0, 0.0)], [1, 3, 3]), []
    for patch in patches:
        parts, filled = patch.get_arrowstyle()(line, 10.0, 1.0)
        rings = [part for part, full in zip(parts, filled, strict=True) if Path.CURVE4 in list(part.codes)]
        assert not any(
            full for part, full in zip(parts, filled, strict=True) if part in rings
        )  # open, and the line stops before
        assert not any(ring.contains_point(parts[0].vertices[k], radius=-0.1) for ring in rings for k in (0, -1))
        drawn.append((len(rings), sum(filled)))
    assert sorted(drawn) == sorted((m.count("circle"), m.count("arrow")) for m in PAG.values())
