"""Instruments: what moves the treatment and, but for the treatment, not the outcome; in linear SCMs that is enough.

No instrument identifies an effect without an assumption on the mechanisms: `identify` says so, and this is the way out
that it names. Here the assumption is that the SCM is linear.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame
from causalkit.identification.adjustment import Names, minimal_separators, names, question
from causalkit.identification.results import Estimate, check_number, check_resamples, interval, varies
from causalkit.seeds import Seed, stream

__all__ = ["instruments", "two_stage_least_squares"]


def instruments(graph: nx.DiGraph, do: str, outcome: str) -> list[tuple[str, tuple[str, ...]]]:
    """The conditional instruments for the total effect of x on y, with the sets that they need.

    z is an instrument given S if neither is, or holds, an effect of x, z is d-separated from y given S once the edges
    into x are removed, and z is not d-separated from x given S in the graph itself (Brito and Pearl 2002; Pearl 2009,
    definition 7.4.1, for the total effect). In a linear SCM the effect is then cov(z, y | S) / cov(z, x | S).

    Args:
        graph: A DAG; hidden nodes carry hidden=True.
        do: The treatment, one.
        outcome: The outcome, one.

    Returns:
        (instrument, conditioning set), smallest sets first: for each z every minimal S that does the separating. What
        is an instrument only given more than that (a collider that joins z to x) is not listed.

    Raises:
        ValueError: An unknown or hidden name, several treatments or outcomes, a graph that is no DAG.

    Example:
        >>> from causalkit.graphs import parse
        >>> instruments(parse("z -> x -> y; x <-> y; z <- a -> y"), "x", "y")
        [('z', ('a',))]
    """
    (x, *more), (y, *others) = question(graph, do, outcome)
    if more or others:
        raise ValueError("an instrument is for one treatment and one outcome: name one of each")
    cut = nx.DiGraph(graph)
    cut.remove_edges_from(list(graph.in_edges(x)))
    seen = {v for v, hidden in graph.nodes(data="hidden") if not hidden}
    allowed = seen - nx.descendants(graph, x) - {x, y}
    return sorted(
        (
            (z, s)
            for z in graph
            if z in allowed
            for s in minimal_separators(cut, {z}, {y}, allowed - {z})
            if not nx.is_d_separator(graph, {z}, {x}, set(s))
        ),
        key=lambda pair: len(pair[1]),
    )


def two_stage_least_squares(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    do: Mapping[str, float],
    outcome: str,
    *,
    versus: Mapping[str, float] | None = None,
    instrument: Names | None = None,
    given: Names = (),
    bootstrap: int = 200,
    level: float = 0.95,
    seed: Seed,
) -> Estimate:
    """E[y | do(x)] by two-stage least squares: y is regressed on what the instruments (and S) predict of x.

    It assumes a linear SCM: y = tau x + (what z does not touch). The mean under do(x = a) is then
    E[y] + tau (a - E[x]), and the contrast with `versus` tau (a - a'). Source: Wooldridge (2010), section 5.1.2.

    Args:
        graph: A DAG; hidden nodes carry hidden=True.
        frame: The data [n, columns].
        do: One treatment -> its value.
        outcome: The outcome.
        versus: The value to compare with; None for the mean under `do` itself.
        instrument: One or several; the first of `instruments(graph, ...)` and its set if None.
        given: The set that all of these need, where they are named.
        bootstrap: How many resamples of the rows make the interval.
        level: Of the interval.
        seed: Of the resampling.

    Raises:
        ValueError: No instrument in this graph, or a named one that is none given this set; a treatment without
            variation; bad columns; fewer rows than regressors.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"u": ck.linear(), "z": ck.linear(), "x": ck.linear({"z": 1.0, "u": 1.0}),
        ...               "y": ck.linear({"x": 2.0, "u": -3.0})}, hidden=["u"])
        >>> frame, one, none = scm.sample(4000, seed=2), {"x": 1.0}, {"x": 0.0}
        >>> tau = two_stage_least_squares(scm.graph, frame, one, "y", versus=none, seed=1)
        >>> tau.low < 2.0 < tau.high
        True
    """
    if len(do) != 1 or (versus is not None and list(versus) != list(do)):
        raise ValueError("two-stage least squares here is for one treatment: do={'x': 1.0}, versus={'x': 0.0}")
    check_resamples(bootstrap)
    for number in (*do.values(), *(versus or {}).values()):
        check_number(number)
    ((x, value),) = do.items()
    chosen, s = _chosen(graph, x, outcome, instrument, names(given))
    data = check_frame(frame, [outcome, x, *chosen, *s], min_rows=len(chosen) + len(s) + 3)
    varies(data, [x, *chosen])
    values = data.to_numpy(np.float64)
    y, treated, outside = values[:, 0], values[:, 1], values[:, 2:]
    common = np.column_stack([np.ones(len(y)), values[:, 2 + len(chosen) :]])

    def mean(rows: np.ndarray) -> np.ndarray:
        first = np.column_stack([np.ones(len(rows)), outside[rows]])
        predicted = first @ np.linalg.lstsq(first, treated[rows], rcond=None)[0]
        second = np.column_stack([predicted, common[rows]])
        tau = np.linalg.lstsq(second, y[rows], rcond=None)[0][0]
        base = y[rows].mean() - tau * treated[rows].mean() if versus is None else -tau * versus[x]
        return np.array([base + tau * value])

    draws, n = stream(seed, "bootstrap"), len(y)
    resampled = np.array([mean(draws.integers(n, size=n)) for _ in range(bootstrap)])
    strength = _first_stage(treated, common, outside)
    weak = "; weak (below 10): the estimate leans towards the confounded slope" if strength < 10 else ""
    by = f"by {', '.join(chosen)}" + (f" given {', '.join(s)}" if s else "")
    note = f"assumes a linear SCM; instrumented {by}; first-stage F {strength:.3g}{weak}"
    return interval(mean(np.arange(n)), resampled, method="two-stage least squares", n=n, level=level, note=note)


def _chosen(
    graph: nx.DiGraph, x: str, y: str, instrument: Names | None, given: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The instruments and their set, once they are known to be valid."""
    question(graph, x, y)
    if instrument is None:
        found = instruments(graph, x, y)
        if not found:
            raise ValueError(f"the graph has no instrument for {x} -> {y}: measure a cause of {x} that the hidden "
                             f"common cause does not touch and that moves {y} through {x} alone")  # fmt: skip
        return (found[0][0],), found[0][1]
    cut = nx.DiGraph(graph)
    cut.remove_edges_from(list(graph.in_edges(x)))
    chosen = names(instrument)
    for z in chosen:
        question(graph, (x, *given), z)
        after = [v for v in (z, *given) if v in nx.descendants(graph, x)]
        if after or not nx.is_d_separator(cut, {z}, {y}, set(given)) or nx.is_d_separator(graph, {z}, {x}, set(given)):
            listed = ", ".join(f"{z} given ({', '.join(s)})" for z, s in instruments(graph, x, y)) or "none"
            raise ValueError(f"{z!r} is no instrument for {x} -> {y} given ({', '.join(given)}). Known: {listed}")
    return chosen, given


def _first_stage(treated: np.ndarray, common: np.ndarray, outside: np.ndarray) -> float:
    """The F statistic of the instruments in the regression of the treatment: above 10, as a rule, they are not weak."""

    def squares(design: np.ndarray) -> float:
        return float(((treated - design @ np.linalg.lstsq(design, treated, rcond=None)[0]) ** 2).sum())

    full = np.column_stack([np.ones(len(treated)), outside])
    added, left = full.shape[1] - common.shape[1], max(len(treated) - full.shape[1], 1)
    return (squares(common) - squares(full)) / added / max(squares(full) / left, 1e-300)
