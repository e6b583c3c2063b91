"""The checks as one figure: errors between their references, axioms, populations and noise, each against its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from causalkit.plotting.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

LEAST = 1e-17  # where an exact 0 is drawn on a logarithmic axis
LOOKS = {"holds": ("o", COLOURS[0]), "fails": ("X", COLOURS[1]), "no verdict": ("o", "0.6")}


def draw(table: pd.DataFrame) -> Figure:
    """Four panels of a table of checks; what fails is a cross, what has no verdict is grey.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> figure = draw(ck.check_counterfactuals(scm, scm, n=200, seed=0).table)
    """
    from matplotlib import pyplot

    rows = max(4, table.loc[table["check"] == "error", "what"].nunique(), (table["check"] == "axiom").sum() / 1.5)
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 2.5 + 0.62 * rows), layout="constrained")
    _errors(axes[0, 0], table[(table["check"] == "error") & table["value"].notna()])
    _axioms(axes[0, 1], table[(table["check"] == "axiom") & table["value"].notna()])
    _populations(axes[1, 0], table[(table["check"] == "population") & table["limit"].notna()])
    _noises(axes[1, 1], table[(table["check"] == "noise") & table["value"].notna()])
    return figure


def _names(ax: Axes, names: list[str], title: str, xlabel: str) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set(title=title, xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
    ax.title.set(fontsize=10, fontweight="bold", ha="left", position=(0.0, 1.0))
    ax.tick_params(labelsize=8)
    ax.grid(axis="y", color="0.93", lw=0.8)
    ax.set_axisbelow(True)


def _nothing(ax: Axes, title: str, words: str) -> None:
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10, fontweight="bold", loc="left")
    ax.text(0.5, 0.5, words, ha="center", va="center", color="0.4", fontsize=9, transform=ax.transAxes)


def _decades(ax: Axes, least: float, most: float) -> None:
    """A logarithmic axis from one power of ten to another, so that it has labels however near its points lie."""
    from matplotlib.ticker import NullFormatter

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(10.0 ** np.floor(np.log10(min(low, least)) + 1e-9), 10.0 ** np.ceil(np.log10(max(high, most)) - 1e-9))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _legend(ax: Axes) -> None:
    ax.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, handletextpad=0.2)


def _errors(ax: Axes, lines: pd.DataFrame) -> None:
    title = "1  Error of counterfactuals"
    if lines.empty:
        return _nothing(ax, title, "without the truth no error can be known")
    names = list(dict.fromkeys(lines["what"]))
    spots = {name: k for k, name in enumerate(names)}
    inside = lines[~lines["why"].str.contains("outside the data")]
    own, beyond = (some.drop_duplicates(["what", "intervention"]) for some in (inside, lines.drop(inside.index)))
    series = [
        ("this model, inside the data", own, "value", -0.22, "o", COLOURS[0], COLOURS[0]),
        ("this model, outside", beyond, "value", -0.22, "o", "none", COLOURS[0]),
    ]
    for k, (against, some) in enumerate(inside.groupby("against", sort=False)):
        colour = COLOURS[(1, 2, 3, 4)[k % 4]]
        shift, marker = (0.28, 0.06, 0.17)[k % 3], "x^vD"[k % 4]
        series.append((f"{against}, inside", some, "reference", shift, marker, colour, colour))
    for label, some, column, shift, marker, face, edge in series:
        x = np.maximum(some[column].to_numpy(float), 1e-9)
        y = some["what"].map(spots).to_numpy(float) + shift
        ax.scatter(x, y, s=24, marker=marker, facecolor=edge if marker == "x" else face, edgecolor=None if marker == "x"
                   else edge, linewidths=1.0, alpha=0.85, label=label)  # fmt: skip
    _decades(ax, 0.1, 1.0)
    unit = "sd" if set(lines["unit"]) == {"sd"} else "sd, or share of units (discrete)"
    _names(ax, names, title, f"root mean square error, {unit}; a dot an intervention")
    _legend(ax)


def _axioms(ax: Axes, lines: pd.DataFrame) -> None:
    names = [f"{what}" for what in lines["what"]]
    for y, (value, verdict) in enumerate(zip(lines["value"], lines["verdict"], strict=True)):
        marker, colour = LOOKS[verdict]
        ax.scatter(max(value, LEAST), y, s=46, marker=marker, color=colour, zorder=3)
        ax.annotate("exactly 0" if value == 0 else f"{value:.1g}", (max(value, LEAST), y), (7, 0),
                    textcoords="offset points", va="center", fontsize=7.5, color="0.3")  # fmt: skip
    ax.axvline(1e-6, color="0.35", ls="--", lw=1.2)
    ax.set_xscale("log")
    ax.set_xlim(LEAST / 3, max(1e2, 30 * lines["value"].max()))
    _names(ax, names, "2  Axioms: largest violation", "sd; dashed: the limit; cross: fails")


def _populations(ax: Axes, lines: pd.DataFrame) -> None:
    cause = lines["intervention"].str.replace(r"( = | from )[^,]*", "", regex=True)
    names = list(dict.fromkeys(cause))
    spots = cause.map({name: j for j, name in enumerate(names)}).to_numpy(float)
    what = lines["what"].where(~lines["what"].str.startswith("effect of"), "effect, to the identified one")
    words = {"holds": "", "fails": ", fails", "no verdict": ", outside the data"}
    for k, series in enumerate(dict.fromkeys(what)):
        colour = COLOURS[(0, 2, 3)[k % 3]]
        for verdict, (marker, _) in LOOKS.items():
            chosen = ((what == series) & (lines["verdict"] == verdict)).to_numpy()
            if chosen.any():
                x = (lines["value"] / lines["limit"])[chosen].clip(1e-3, 1e3)
                face = "none" if verdict == "no verdict" else colour
                ax.scatter(x, spots[chosen] + 0.22 * (k - 1), s=30, marker=marker, facecolor=face, edgecolor=colour,
                           label=series + words[verdict])  # fmt: skip
    ax.axvline(1.0, color="0.35", ls="--", lw=1.2)
    _decades(ax, 0.1, 10.0)
    _names(ax, names, "3  Population: counterfactuals against do()", "distance / its limit (1, dashed); at most 1000")
    _legend(ax)


def _noises(ax: Axes, lines: pd.DataFrame) -> None:
    names = list(dict.fromkeys(lines["intervention"]))
    spots = {name: k for k, name in enumerate(names)}
    tests = lines[lines["unit"] == "p"]
    short = {what: what.rsplit("(", 1)[-1].rstrip(")") if "(" in what else "others' noise" for what in tests["what"]}
    for k, (what, some) in enumerate(tests.groupby("what", sort=False)):
        for verdict in ("holds", "fails"):
            part = some[some["verdict"] == verdict]
            if len(part):
                y = part["intervention"].map(spots).to_numpy(float) + 0.2 * (k - 1)
                marker = "o^s"[k % 3] if verdict == "holds" else "X"
                label = short[what] + (", fails" if verdict == "fails" else "")
                ax.scatter(np.maximum(part["value"], LEAST), y, s=34, marker=marker, color=COLOURS[(0, 2, 3)[k % 3]],
                           label=label)  # fmt: skip
    near = lines[lines["unit"] == "correlation"]
    for name, value in zip(near["intervention"], near["value"], strict=True):
        words, spot = f"r = {value:.3f}", (1.01, spots[name])
        ax.annotate(words, spot, xycoords=("axes fraction", "data"), va="center", fontsize=7.5)
    if len(tests):
        ax.axvline(tests["limit"].iloc[0], color="0.35", ls="--", lw=1.2)
    ax.set_xscale("log")
    ax.set_xlim(max(LEAST / 3, min(1e-5, 0.3 * max(tests["value"].min(), LEAST))) if len(tests) else 1e-5, 2)
    _names(ax, names, "4  Noise: does it look like noise?", "p-value; dashed: the limit; r: with the true noise")
    _legend(ax)
