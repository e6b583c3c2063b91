"""The tables of an experiment in a report: results, comparisons with the baseline, effects, published figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from causalkit.bench.figures import draw_main_effects
from causalkit.bench.render import Block, Cell, Table, Words
from causalkit.bench.series import ENDINGS, endings, level_text, number
from causalkit.bench.statistics import compare_to_baseline, effects, summarise

__all__ = ["Design", "comparisons", "effect_blocks", "p_text", "published_figures", "result_tables"]

ALPHA = 0.05  # of the adjusted p below which a comparison is called better or worse
MOST_COLUMNS = 8  # levels of the compared parameter beside each other
PAIRED = (
    "Pairs share the seed and all other settings. Difference: mean minus baseline, with its 95 % t interval over "
    "seeds; ratio: of the means; p: paired t test, then adjusted by Holm's method over all tests of its table. "
    f"Better or worse: the adjusted p is below {ALPHA:g}."
)
ORDER = ("better", "worse", "unclear", "not tested")


@dataclass(frozen=True)
class Design:
    """An experiment's runs as a table, its axes and metrics (column -> direction), and the baseline's levels.

    `compared` are the axes whose levels are put beside each other: the baseline's, or those that the plots go by.
    """

    table: pd.DataFrame
    axes: list[str]
    metrics: dict[str, str | None]
    baseline: dict[str, Any]
    compared: list[str]

    @property
    def varied(self) -> list[str]:
        """The axes with more than one level, the compared ones last."""
        varied = [axis for axis in self.axes if self.table[axis].nunique(dropna=False) > 1]
        return sorted(varied, key=lambda axis: axis in self.compared)

    @property
    def outer(self) -> list[str]:
        """The varied axes that are not compared."""
        return [axis for axis in self.varied if axis not in self.compared]

    def named(self, metric: str) -> str:
        """A metric with its direction."""
        better = self.metrics[metric]
        return f"{metric} ({better} is better)" if better else metric


def result_tables(design: Design, over: str) -> list[Block]:
    """Mean and 95 % interval of every metric in every setting.

    Levels of the one compared parameter stand beside each other, a table a metric; otherwise all settings stand below
    each other with the metrics beside each other. Where there is a baseline, the best of each group is bold.

    Args:
        design: The experiment.
        over: What the intervals are over, in words.
    """
    note = f"Mean and 95 % t interval {over}."
    fixed = [axis for axis in design.axes if axis not in design.varied]
    if fixed and len(design.table):
        note += f" Always: {', '.join(f'{axis} = {level_text(design.table[axis].iloc[0])}' for axis in fixed)}."
    if design.baseline:
        place = f" at equal {' and '.join(design.outer)}" if design.outer else ""
        note += f" Bold: the best mean{place}."
    inner = [axis for axis in design.varied if axis in design.compared]
    if endings(design.table).eq("timed out").any():
        note += " Timed out: counted with what the method had by then; without a value where it had nothing."
    if len(inner) == 1 and design.outer and design.table[inner[0]].nunique(dropna=False) <= MOST_COLUMNS:
        *first, last = design.metrics
        return [*(_beside(design, metric, inner[0], "") for metric in first), _beside(design, last, inner[0], note)]
    return [_below(design, note)]


def comparisons(design: Design) -> tuple[list[Block], str]:
    """Every metric that has a direction, in every setting, against the baseline; and what was found in a sentence."""
    metrics = [metric for metric, better in design.metrics.items() if better] if design.baseline else []
    base = ", ".join(f"{axis} = {level_text(level)}" for axis, level in design.baseline.items())
    found = [_comparison(design, metric, base, PAIRED if metric == metrics[-1] else "") for metric in metrics]
    said = "; ".join(counts for _, counts in found if counts)
    return [block for block, _ in found], f"Against {base}: {said}." if said else ""


def effect_blocks(design: Design, factors: list[str], metric: str) -> tuple[list[Block], str]:
    """The analysis of variance of a full factorial design, with a figure; and the largest effects in a sentence."""
    try:
        found = effects(design.table, factors, metric)
    except ValueError as error:
        return [Words(f"Effects on {metric}: {error}", alarm=True)], ""
    rows: list[list[Cell]] = [
        [
            str(row["effect"]),
            str(row["df"]),
            _percent(row["share"]),
            _percent(row["partial"]),
            number(row["F"]),
            p_text(row["p"]),
        ]
        for _, row in found.iterrows()
    ]
    rest = [axis for axis in design.varied if axis not in factors]
    note = "Analysis of variance with all interactions and seeds as blocks; share: of the total sum of squares; "
    note += "partial eta²: of what the other effects leave, SS / (SS + residual SS)."
    note += f" Runs are averaged over {' and '.join(rest)} first." if rest else ""
    note += " One seed leaves nothing to test with." if design.table["seed"].nunique(dropna=False) == 1 else ""
    columns = ["effect", "df", "share", "partial eta²", "F", "p"]
    table = Table(f"Effects on {metric}", columns, rows, note, frozenset(range(1, 6)))
    largest = found[~found["effect"].isin(["seed", "residual"])].nlargest(3, "share")
    said = ", ".join(f"{row['effect']} {_percent(row['share'])}" for _, row in largest.iterrows())
    finding = f"Largest effects on {metric}, by share of its variation: {said}." if said else ""
    return [table, draw_main_effects(design.table, factors, metric, design.metrics[metric])], finding


def published_figures(found: pd.DataFrame) -> tuple[Block, str]:
    """Published numbers beside ours, as `check_published` compares them."""
    rows: list[list[Cell]] = []
    for _, row in found.iterrows():
        theirs = (_exact(row["published"]), _spread(row["sd"], row["n"]))
        ours = (_exact(row["ours"]), _spread(row["our_sd"], row["our_n"]))
        numbers = (number(row["difference"]), number(row["tolerance"]))
        rows.append([row["label"], theirs, ours, *numbers, row["verdict"], row["reason"]])
    counts = Counter(found["verdict"])
    sources = "; ".join(dict.fromkeys(filter(None, found["source"])))
    rule = "A figure matches where |difference| is at most the tolerance: the one that the suite states, or otherwise "
    note = rule + "3 sd sqrt(1/n published + 1/n ours)." + (f" Source: {sources}." if sources else "")
    columns = ["figure", "published", "ours", "difference", "tolerance", "verdict", "reason"]
    finding = f"Published figures: {', '.join(f'{n} {verdict}' for verdict, n in counts.most_common())}."
    return Table("Published figures", columns, rows, note, frozenset({1, 2, 3, 4})), finding


def p_text(p: float) -> str:
    """A p value as tables show it."""
    return "–" if p != p else "<0.001" if p < 0.001 else f"{p:.3f}"


def _comparison(design: Design, metric: str, base: str, note: str) -> tuple[Block, str]:
    """One metric against the baseline, and the counts of what was found."""
    try:
        found = compare_to_baseline(design.table, design.axes, metric, design.baseline, design.metrics[metric])
    except ValueError as error:
        return Words(f"{metric} cannot be compared with {base}: {error}", alarm=True), ""
    if found.empty:
        return Words(f"{metric}: there is nothing to compare with {base}."), ""
    lines = [
        (dict(zip(design.axes, key, strict=True)), row)
        for key, (_, row) in zip(found.index, found.iterrows(), strict=True)
    ]
    lines.sort(key=_rank([levels for levels, _ in lines], design.outer))
    rows: list[list[Cell]] = []
    counts: Counter[str] = Counter()
    for levels, row in lines:
        verdict = _verdict(row, design.metrics[metric])
        counts["not tested" if row["note"] else verdict] += 1
        tested = f"{row['wins']:g}–{row['losses']:g}" if row["n"] else "–"
        rows.append(
            [*(level_text(levels[axis]) for axis in design.varied),
             (str(row["n"]), f"{row['unpaired']} unpaired" if row["unpaired"] else ""),
             number(row["mean"]), number(row["baseline"]), (number(row["difference"]), _interval(row)),
             number(row["ratio"]), p_text(row["p"]), p_text(row["p_holm"]), tested, verdict]
        )  # fmt: skip
    columns = [
        *design.varied,
        "pairs",
        "mean",
        "baseline",
        "difference",
        "ratio",
        "p",
        "p (Holm)",
        "wins–losses",
        "finding",
    ]
    said = ", ".join(f"{counts[word]} {word}" for word in ORDER if counts[word])
    right = frozenset(range(len(design.varied), len(columns) - 1))
    caption = f"{design.named(metric)}: against {base}"
    groups = _starts(rows, len(design.outer))
    return Table(caption, columns, rows, note, right, groups=groups, fold=24), f"{metric} {said}"


def _beside(design: Design, metric: str, inner: str, note: str) -> Table:
    """One metric: a row for each setting of the outer axes, a column for each level of the compared one."""
    found = summarise(design.table, [*design.outer, inner], metric)
    planned = _planned(design.table, [*design.outer, inner])
    columns = list(dict.fromkeys(level_text(level) for level in design.table[inner]))
    settings: dict[tuple[str, ...], dict[str, tuple[pd.Series, Sequence[str]]]] = {}
    for key, (_, row), n in zip(found.index, found.iterrows(), planned, strict=True):
        *setting, level = map(level_text, key)
        settings.setdefault(tuple(setting), {})[level] = (row, n)
    rows: list[list[Cell]] = []
    bold = set()
    for r, (levels, cells) in enumerate(settings.items()):
        rows.append([*levels, *(_mean(*cells[level]) if level in cells else "" for level in columns)])
        means = {level: float(row["mean"]) for level, (row, _) in cells.items()}
        chosen = _best(means, design.metrics[metric]) if design.baseline else set()
        bold |= {(r, len(levels) + c) for c, level in enumerate(columns) if level in chosen}
    named = [f"{inner} = {level}" if level.replace(".", "").isdigit() else level for level in columns]
    right = frozenset(range(len(design.outer), len(design.outer) + len(columns)))
    starts = _starts(rows, len(design.outer) - 1)
    caption = f"{design.named(metric)} by {inner}"
    return Table(caption, [*design.outer, *named], rows, note, right, frozenset(bold), starts, stacked=True)


def _below(design: Design, note: str) -> Table:
    """All settings below each other, all metrics beside each other."""
    found = {metric: summarise(design.table, design.varied, metric) for metric in design.metrics}
    first = next(iter(found.values()))
    planned = _planned(design.table, design.varied)
    keys = [list(map(level_text, key)) if design.varied else [] for key in first.index]
    order = sorted(
        range(len(keys)), key=_rank([dict(zip(design.varied, key, strict=True)) for key in keys], design.outer)
    )
    rows: list[list[Cell]] = []
    groups: dict[tuple[str, ...], list[int]] = {}
    for r, i in enumerate(order):
        rows.append([*keys[i], str(len(planned[i])), *(_mean(each.iloc[i], planned[i]) for each in found.values())])
        groups.setdefault(tuple(keys[i][: len(design.outer)]), []).append(r)
    bold = set()
    for column, (metric, better) in enumerate(design.metrics.items(), len(design.varied) + 1):
        for members in groups.values() if design.baseline else ():
            chosen = _best({str(r): float(found[metric]["mean"].iloc[order[r]]) for r in members}, better)
            bold |= {(int(r), column) for r in chosen}
    columns = [*design.varied, "seeds", *map(design.named, design.metrics)]
    right = frozenset(range(len(design.varied), len(columns)))
    return Table("Results", columns, rows, note, right, frozenset(bold), _starts(rows, len(design.outer)))


def _best(means: dict[str, float], better: str | None) -> set[str]:
    """The names with the best mean; none where there is no direction, or nothing to choose from."""
    known = {name: mean for name, mean in means.items() if mean == mean}
    if better is None or len(set(known.values())) < 2:
        return set()
    best = min(known.values()) if better == "lower" else max(known.values())
    return {name for name, mean in known.items() if mean == best}


def _rank(settings: Sequence[Mapping[str, Any]], outer: list[str]) -> Any:
    """A sort key that brings settings with equal outer levels together, in the order in which they appear."""
    seen = list(dict.fromkeys(tuple(level_text(each[axis]) for axis in outer) for each in settings))
    place = {key: i for i, key in enumerate(seen)}

    def rank(item: Any) -> int:
        levels = settings[item] if isinstance(item, int) else item[0]
        return place[tuple(level_text(levels[axis]) for axis in outer)]

    return rank


def _starts(rows: list[list[Cell]], outer: int) -> frozenset[int]:
    """Where a new group of rows begins: one of the first `outer` cells differs; none where every row would."""
    found = frozenset(r for r in range(1, len(rows)) if rows[r][:outer] != rows[r - 1][:outer])
    return found if len(found) < len(rows) - 1 else frozenset()


def _verdict(row: pd.Series, better: str | None) -> str:
    if row["note"]:
        return str(row["note"])
    if not row["p_holm"] < ALPHA:
        return "unclear"
    return "better" if (row["difference"] < 0) == (better == "lower") else "worse"


def _planned(table: pd.DataFrame, by: list[str]) -> list[list[str]]:
    """How the runs of each setting ended, settings in the order of `summarise`."""
    ends = endings(table)
    if not by:
        return [ends.tolist()]
    return [ends[rows.index].tolist() for _, rows in table.groupby(by, sort=False, dropna=False)]


def _mean(row: pd.Series, planned: Sequence[str]) -> Cell:
    """A mean with its interval; how many runs it is over where some are lost, and how many came to no end."""
    few = [f"{row['n']:g} of {len(planned)}"] if row["n"] < len(planned) else []
    few += [f"{planned.count(word)} {word}" for word in ENDINGS.values() if word in planned]
    return number(row["mean"]), " ".join(filter(None, [_interval(row), ", ".join(few)]))


def _interval(row: pd.Series) -> str:
    return "" if row["low"] != row["low"] else f"[{number(row['low'])}, {number(row['high'])}]"


def _exact(value: float) -> str:
    return "–" if value != value else f"{value:.6g}"


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.1f} %"


def _spread(sd: float | None, n: float | None) -> str:
    said = [f"sd {number(sd)}"] if sd is not None and sd == sd else []
    return ", ".join(said + ([f"n = {n:g}"] if n is not None and n == n and n > 0 else []))
