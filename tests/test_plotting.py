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
    draw_graph,
    layout,
    plot_comparison,
    plot_curves,
    plot_edge_frequencies,
    plot_effects,
    plot_environments,
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
