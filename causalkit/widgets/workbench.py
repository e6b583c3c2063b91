"""A workbench for discovery: one graph, data made from it in many ways, a method, and what sorting alone would find."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.discovery import ABOUT, METHODS, Knowledge, discover
from causalkit.errors import unknown
from causalkit.metrics import compare, sortability, standardise
from causalkit.plotting import COLOURS, describe, layout, plot_comparison
from causalkit.random_models import random_scm
from causalkit.seeds import integer
from causalkit.widgets.explore import choice, slider

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Workbench", "workbench"]

GENERATORS = {"linear": "linear", "mlp": "mlp", "gp": "gp", "quadratic": "polynomial"}
"""Name on the menu -> family of mechanisms."""
SCALES = ("raw", "standardised", "internal")
PRICES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Positions of the price of an edge, in log n; the methods' own defaults are at 2."""
BASELINES = ("empty", "random_order", "var_sort", "r2_sort")
KNOWN = ("nothing", "two tiers", "two tiers, wrong")


@dataclass(frozen=True, eq=False)
class Workbench:
    """One true graph, and everything that can be tried on data from it. Made by `workbench`.

    Attributes:
        graph: The true DAG.
        frame: The data; None where an SCM with this graph makes them.
        seed: Of mechanisms, data and methods.
        rows: The numbers of rows to choose from.
        called: The word for the graph, such as "true".
    """

    graph: nx.DiGraph
    frame: pd.DataFrame | None
    seed: int
    rows: tuple[int, ...]
    called: str
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def methods(self) -> list[str]:
        """The methods on the menu: those that read one continuous frame, return a DAG or CPDAG, and are installed."""
        first = ("flop", "cam", "pc", "ges", "boss", "grasp", "direct_lingam", "auto", "notears", "dagma")
        installed = [m for m in first if not ABOUT[m].module or find_spec(ABOUT[m].module.split(".")[0]) is not None]
        return [*installed, *(m for m in BASELINES if m != "empty")]

    @property
    def controls(self) -> dict[str, Any]:
        """Keyword of `draw` -> its control: `ck.widgets.explore(bench.draw, **bench.controls)`."""
        scales = SCALES if self.frame is None else SCALES[:2]
        made = {
            "generator": choice("Mechanisms", list(GENERATORS), "linear"),
            "noise": choice("Noise", ["gaussian", "laplace"], "gaussian"),
        }
        return {
            **(made if self.frame is None else {}),
            "scale": choice("Scale", list(scales), "raw"),
            "rows": slider("Rows", list(self.rows), self.rows[-2]),
            "method": choice("Method", self.methods, "flop"),
            "price": slider("Price of an edge, log n", list(PRICES), 2.0),
            "known": choice("Known beforehand", list(KNOWN), "nothing"),
        }

    def data(self, generator: str, noise: str, scale: str, rows: int) -> pd.DataFrame:
        """The data set [rows, d] of these settings; of a frame of one's own, the first rows.

        Raises:
            ValueError: A generator, scale or number of rows that is not on offer.
        """
        for name, value, known in (("generator", generator, GENERATORS), ("scale", scale, SCALES)):
            if value not in known:
                raise unknown(name, value, known)
        if rows not in self.rows:
            raise unknown("number of rows", rows, map(str, self.rows))
        if self.frame is not None:
            frame = self.frame.iloc[:rows]
        else:
            way: dict[str, Any] = {"mechanism": GENERATORS[generator], "noise": noise, "seed": self.seed}
            scm = random_scm(graph=self.graph, standardise="internal" if scale == "internal" else None, **way)
            frame = scm.sample(rows, seed=integer(self.seed, "workbench"))
        return frame if scale == "raw" else standardise(frame)

    def knowledge(self, known: str) -> Knowledge | None:
        """Two tiers: the first half of a causal order comes before the rest; or, wrongly, after it.

        Raises:
            ValueError: Something else that is known.
        """
        if known not in KNOWN:
            raise unknown("knowledge", known, KNOWN)
        if known == "nothing":
            return None
        order = list(nx.lexicographical_topological_sort(self.graph, key=str))
        tiers = tuple(order[: len(order) // 2]), tuple(order[len(order) // 2 :])
        return Knowledge(tiers=tiers if known == "two tiers" else tiers[::-1])

    def draw(
        self,
        generator: str = "linear",
        noise: str = "gaussian",
        scale: str = "raw",
        rows: int | None = None,
        method: str = "flop",
        price: float = 2.0,
        known: str = "nothing",
    ) -> tuple[Figure, str]:
        """Learned over true, beside the distance that baselines reach on the same data; and the same in words.

        Args:
            generator: "linear", "mlp", "gp" (Gaussian process) or "quadratic"; not read with a frame of one's own.
            noise: "gaussian" or "laplace"; likewise.
            scale: "raw"; "standardised", after sampling; "internal", each variable as it is made (see `ck.random_scm`).
            rows: One of `self.rows`; the last but one if None.
            method: A key of `ck.METHODS` that reads one continuous frame and returns a DAG or CPDAG.
            price: What an edge must gain, in log n (`options` translates it for the method).
            known: "nothing", "two tiers" or "two tiers, wrong".

        Raises:
            ValueError: A setting that is not on offer, or what `ck.discover` raises.
        """
        from matplotlib.figure import Figure

        rows = self.rows[-2] if rows is None else rows
        made = (generator, noise, scale, rows) if self.frame is None else ("", "", scale, rows)
        if made not in self._kept:
            frame = self.data(generator, noise, scale, rows)
            self._kept[made] = frame, sortability(frame, self.graph), self._baselines(frame)
        frame, sorts, shds = self._kept[made]
        given, said = options(method, price, rows)
        knowledge = self.knowledge(known)
        learned = discover(frame, method, self.seed, knowledge=knowledge, **given)
        shd = compare(learned, self.graph)["shd_cpdag"]
        figure = Figure(figsize=(10.5, 4.4))  # no automatic layout: bent edges fit the axes they are drawn into
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        figure.subplots_adjust(left=0.01, right=0.98, top=0.93, bottom=0.12, wspace=0.24)
        if "places" not in self._kept:
            self._kept["places"] = layout(self.graph)
        plot_comparison(learned, self.graph, ax=left, positions=self._kept["places"])
        left.set_title(f"{said if given else method}; against the {self.called} graph", fontsize=10)
        _bars(right, method, shd, shds)
        right.set_title(f"Sortability: variance {sorts['var']:.2f}, R2 {sorts['r2']:.2f}", fontsize=10)
        source = f"{generator}, {noise} noise, " if self.frame is None else ""
        words = f"{rows} rows, {source}{scale}; {said}; known beforehand: {known}"
        if knowledge is not None:
            words += f" ({', '.join(map(str, knowledge.tiers[0]))} before the rest)"
        why = f" It chose {learned.graph['chosen']}: {learned.graph['why']}." if "why" in learned.graph else ""
        sorted_by = f"Sortability by variance is {sorts['var']:.2f}, by R2 {sorts['r2']:.2f}."
        described = describe(learned, self.graph, self.called)
        return figure, f"{words}.{why} {described} {_verdict(method, shd, shds)} {sorted_by}"

    def _baselines(self, frame: pd.DataFrame) -> dict[str, float]:
        """SHD of classes of each baseline on these data; of random orders, the mean over five."""
        found = {name: [discover(frame, name, self.seed)] for name in BASELINES}
        found["random_order"] += [discover(frame, "random_order", self.seed + k) for k in range(1, 5)]
        return {
            name: float(np.mean([compare(graph, self.graph)["shd_cpdag"] for graph in graphs]))
            for name, graphs in found.items()
        }


def workbench(
    truth: nx.DiGraph, frame: pd.DataFrame | None = None, *, rows: tuple[int, ...], seed: int, called: str = "true"
) -> Workbench:
    """A workbench on a graph: of data that SCMs with this graph make, or of a frame of one's own.

    Args:
        truth: The true DAG, without hidden variables.
        frame: The data, for a true graph that somebody else knows; None: SCMs with this graph make them.
        rows: Numbers of rows to choose from, at least two, in order.
        seed: Of mechanisms, data and methods.
        called: The word for the graph.

    Raises:
        ValueError: Hidden variables, fewer than two numbers of rows, more rows than the frame has.

    Example:
        >>> import causalkit as ck
        >>> bench = workbench(ck.teaching_scm().graph, rows=(100, 1000, 3000), seed=0)
        >>> figure, sentence = bench.draw(scale="raw", method="var_sort", rows=1000)
        >>> box = ck.widgets.explore(bench.draw, **bench.controls)
    """
    hidden = [v for v, is_hidden in truth.nodes(data="hidden") if is_hidden]
    if hidden:
        raise ValueError(f"variable {hidden[0]!r} is hidden: give a graph over observed variables alone")
    if len(rows) < 2 or list(rows) != sorted(set(rows)):
        raise ValueError(f"rows {rows}: give at least two numbers, in rising order")
    if frame is not None and rows[-1] > len(frame):
        raise ValueError(f"{rows[-1]} rows of a frame that has {len(frame)}: give fewer")
    return Workbench(truth, frame, seed, tuple(rows), called)


def options(method: str, price: float, rows: int) -> tuple[dict[str, Any], str]:
    """The method's own option at a price of an edge, and that in words; no option where a method has no such price.

    A score buys an edge where n log(1 - r^2) falls by more than price * log n, r the partial correlation; a test at
    level alpha = P(chi2_1 > price * log n) keeps one at the same r, up to terms of order 1/n. A spline has several
    parameters, and each costs a sixth of the price (a third of log n at price 2, which is the default of "cam").

    Raises:
        ValueError: An unknown method.

    Example:
        >>> options("ges", 2.0, 1000)
        ({'lambda_bic': 2.0}, 'ges, 2 log n an edge')
        >>> options("pc", 1.0, 1000)[1]
        'pc, 1 log n an edge: tests at level 0.0086'
    """
    import math

    if method not in METHODS:
        raise unknown("method", method, METHODS)
    said = f"{method}, {price:g} log n an edge"
    if method == "pc":
        alpha = math.erfc(math.sqrt(price * math.log(rows) / 2))
        return {"alpha": alpha}, f"{said}: tests at level {alpha:.2g}"
    if method == "cam":
        return {"lambda_bic": price / 6}, f"{said}: a sixth of that for each parameter of a spline"
    if method in ("flop", "ges", "boss", "grasp"):
        return {"lambda_bic": price}, said
    return {}, f"{method}, which has no such price"


def _bars(ax: Axes, method: str, shd: float, shds: dict[str, float]) -> None:
    """The distance of the method and of each baseline, a bar each."""
    from matplotlib.ticker import MaxNLocator

    bars = {method: shd, **{name: value for name, value in shds.items() if name != method}}
    for row, (name, value) in enumerate(bars.items()):
        own: dict[str, Any] = {"color": COLOURS[0]} if name == method else {"color": "0.8", "hatch": "//"}
        ax.barh(row, value, edgecolor="white" if name == method else "0.5", **own)
        ax.annotate(f"{value:g}", (value, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(range(len(bars)), list(bars))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.12 * max(*bars.values(), 1.0)), xlabel="SHD of classes (less is better)")
    ax.spines[["top", "right"]].set_visible(False)


def _verdict(method: str, shd: float, shds: dict[str, float]) -> str:
    """Whether the method beats what one gets for nothing, in words."""
    rest = {name: value for name, value in shds.items() if name != method}
    best = min(rest, key=rest.__getitem__)
    said = f"SHD of classes: {method} {shd:g}; {best}, the best of the baselines, which learn no order, {rest[best]:g}"
    if shd < rest[best]:
        return f"{said}."
    return f"{said}, so the method is {'no better' if shd == rest[best] else 'worse'}."
