"""The experiments on doubt, calibration and hidden causes: methods whose answers are known in advance."""

from itertools import combinations

import networkx as nx
import pytest

from causalkit.discovery import ABOUT, METHODS
from causalkit.discovery.catalogue import About
from tests.test_suites_shipped import metrics


def test_the_empty_graph_is_as_wrong_as_there_are_edges():
    found = metrics("calibration", method="empty", variables=6, rows=100, resamples=3, systems=2)
    density = found["brier_edge"]
    assert 0 < density < 1 and density * 15 * 2 == pytest.approx(round(density * 15 * 2))  # two systems of 15 pairs
    for way in ("", "_consensus", "_single"):
        assert found[f"ece_edge{way}"] == found[f"brier_edge{way}"] == pytest.approx(density)
        assert found[f"ece_arrow{way}"] == found[f"brier_arrow{way}"] == pytest.approx(density / 2)
        assert found[f"excess_edge{way}"] is None


def test_a_method_that_is_always_sure_of_everything_promises_too_much(monkeypatch):
    def sure(frame, *, seed):
        graph = nx.DiGraph(kind="dag")
        graph.add_edges_from(combinations(frame.columns, 2))
        return graph

    monkeypatch.setitem(METHODS, "sure", sure)
    found = metrics("calibration", method="sure", variables=6, rows=100, resamples=3, systems=2, degree=2.0)
    density = 1 - found["excess_edge"]
    assert 0 < density < 1 and found["ece_edge"] == found["brier_edge"] == pytest.approx(1 - density)
    # every pair has an arrow, in column order: as wrong where there is none as where it points the other way
    assert found["excess_arrow"] >= found["excess_edge"] and found["excess_arrow"] <= 1


def test_shares_lie_between_none_and_one_and_the_bootstrap_is_no_worse_than_its_worst():
    found = metrics("calibration", variables=6, rows=300, resamples=5, systems=2)
    assert all(0 <= value <= 1 for name, value in found.items() if not name.startswith("excess"))
    assert found["brier_edge"] < 0.2


def joins_all(first, second):
    """A method that joins every pair, with these marks at the ends, in both directions unless it is an arrow."""

    def method(frame, *, seed):
        graph = nx.DiGraph(kind="pag")
        for a, b in combinations(frame.columns, 2):
            graph.add_edge(a, b, mark_a=first, mark_b=second)
            if (first, second) != ("tail", "arrow"):
                graph.add_edge(b, a, mark_a=second, mark_b=first)
        return graph

    return method


@pytest.mark.parametrize(
    ("marks", "way"),
    [
        (("arrow", "arrow"), "both_headed"),
        (("circle", "arrow"), "as_half"),
        (("circle", "circle"), "as_line"),
        (("tail", "arrow"), "as_arrow"),
    ],
)
def test_each_way_to_join_a_confounded_pair_is_told(marks, way, monkeypatch):
    monkeypatch.setitem(METHODS, "all", joins_all(*marks))
    monkeypatch.setitem(ABOUT, "all", About(returns="pag"))
    found = metrics.__wrapped__("hidden_causes", method="all", hidden=3, variables=7, rows=100)
    ways = ("as_arrow", "as_line", "as_half", "both_headed")
    assert {name: found[name] for name in ways} == {name: float(name == way) for name in ways}
    assert found["joined"] == 1 and found["missing"] == 0 and found["shd"] is None
    assert found["heads_right"] == (pytest.approx(3 / 21) if way == "both_headed" else None)


def test_the_empty_graph_joins_nothing_and_misses_all():
    found = metrics("hidden_causes", method="empty", hidden=2, variables=7, rows=100)
    assert found["joined"] == found["extra"] == 0
    assert found["shd"] == found["missing"] + 2 > 2  # the two confounded pairs are no "no edge" either
    alone = metrics("hidden_causes", method="empty", hidden=0, variables=7, rows=100)
    assert alone["joined"] is None and alone["both_headed"] is None
