"""Statistics over seeds: means with intervals, paired comparisons with a baseline, factorial effects, exponents.

All take a tidy table of one experiment, a row a run, as `Results.frame(experiment)` gives it; a run that failed or
is not run yet has no value, and is counted, never silently passed over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalkit.errors import unknown

__all__ = ["LEVEL", "Exponent", "compare_to_baseline", "effects", "fit_exponent", "summarise"]

LEVEL = 0.95  # of every interval
SUMMARY = ("n", "lost", "mean", "sd", "low", "high", "median")


def summarise(table: pd.DataFrame, by: Sequence[str], metric: str) -> pd.DataFrame:
    """Mean, spread and 95 % t interval of a metric over seeds, a row for each combination of levels.

    Where several runs of a group share a seed (because an axis is left out of `by`), each seed's runs are averaged
    first, so that the interval is over seeds alone; a seed of which a run is lost is left out whole.

    Args:
        table: A row a run, with the columns seed, those of `by`, and the metric (missing where a run failed).
        by: The columns that make the groups; none for one group of all runs.
        metric: The metric's column.

    Returns:
        Indexed by the levels of `by`: n (seeds), lost (runs without a value), mean, sd (ddof 1), low, high, median.
        With one seed, sd and interval are missing.

    Raises:
        ValueError: A column is not in the table.

    Example:
        >>> runs = pd.DataFrame({"seed": [0, 1, 0, 1], "method": ["a", "a", "b", "b"], "error": [1.0, 3.0, 2.0, 2.0]})
        >>> summarise(runs, ["method"], "error")[["n", "mean", "low", "high"]].round(1).iloc[0].to_dict()
        {'n': 2.0, 'mean': 2.0, 'low': -10.7, 'high': 14.7}
    """
    _check_columns(table, [*by, "seed", metric])
    rows = []
    for levels, group in _groups(table, by):
        seeds = group.groupby("seed", sort=False, dropna=False)[metric].agg(lambda v: v.mean(skipna=False))
        values = np.sort(seeds.dropna().to_numpy(dtype=float))  # sorted: the last digit hangs on no order of rows
        mean, low, high = _interval(values)
        sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        median = float(np.median(values)) if len(values) else math.nan
        rows.append((levels, (len(values), int(group[metric].isna().sum()), mean, sd, low, high, median)))
    return _indexed(rows, by, SUMMARY)


def compare_to_baseline(
    table: pd.DataFrame, axes: Sequence[str], metric: str, baseline: Mapping[str, object], better: str | None = None
) -> pd.DataFrame:
    """Each setting against the baseline, paired by seed and by all other axes.

    A setting's partner has the baseline's levels and is otherwise equal. The paired t test's p is adjusted over all
    comparisons of the table by Holm's method (1979), which bounds the chance of any false finding.

    Args:
        table: A row a run, with the columns seed, the axes and the metric (missing where a run failed).
        axes: All swept parameters.
        metric: The metric's column.
        baseline: Swept parameter -> the level that the others are compared with.
        better: "lower" or "higher"; None where neither is better.

    Returns:
        Indexed by the axes: n (pairs), unpaired (runs of the setting whose own value or whose partner's is lost),
        mean, baseline, difference (setting - baseline), low, high (its 95 % t interval), ratio (of the means; missing
        unless both are above 0), p, p_holm, wins, losses (pairs in which the setting is better, worse), note (why
        there is no p).

    Raises:
        ValueError: A column is not in the table, no baseline, or a level of it that no run has.

    Example:
        >>> runs = pd.DataFrame({"seed": [0, 1, 2] * 2, "method": ["erm"] * 3 + ["irm"] * 3})
        >>> runs["error"] = [1.0, 2.0, 3.0, 0.9, 1.7, 2.8]
        >>> found = compare_to_baseline(runs, ["method"], "error", {"method": "erm"}, "lower")
        >>> found[["n", "difference", "p", "wins"]].round(3).iloc[0].to_dict()
        {'n': 3.0, 'difference': -0.2, 'p': 0.074, 'wins': 3.0}
    """
    from statsmodels.stats.multitest import multipletests

    if not baseline:
        raise ValueError("no baseline: name a swept parameter and its level, such as {'method': 'erm'}")
    _check_columns(table, [*axes, *baseline, "seed", metric])
    for name, level in baseline.items():
        if not (table[name] == level).any():
            raise unknown(f"level of baseline {name!r}", level, map(str, table[name].dropna().unique()))
    is_base = (table[list(baseline)] == pd.Series(dict(baseline))).all(axis=1)
    others = [axis for axis in axes if axis not in baseline]
    partners = {
        levels: group.drop_duplicates("seed").set_index("seed")[metric]
        for levels, group in _groups(table[is_base], others)
    }
    empty = pd.Series(dtype=float)
    rows = []
    for levels, group in _groups(table[~is_base], axes):
        partner = partners.get(tuple(v for axis, v in zip(axes, levels, strict=True) if axis in others), empty)
        own = group.drop_duplicates("seed").set_index("seed")[metric].sort_index()
        rows.append((levels, _pair(own.to_numpy(dtype=float), partner.reindex(own.index).to_numpy(float), better)))
    columns = ["n", "unpaired", "mean", "baseline", "difference", "low", "high", "ratio", "p", "wins", "losses", "note"]
    found = _indexed(rows, axes, columns)
    tested = found["p"].notna().to_numpy()
    found.insert(columns.index("p") + 1, "p_holm", np.nan)
    if tested.any():
        found.loc[tested, "p_holm"] = multipletests(found.loc[tested, "p"].to_numpy(float), method="holm")[1]
    return found


def effects(table: pd.DataFrame, factors: Sequence[str], metric: str) -> pd.DataFrame:
    """Main effects and interactions of a full factorial design, with seeds as blocks.

    Analysis of variance of metric ~ seed + all factors and all their interactions (sums of squares of type 2; in a
    balanced design all types agree). Runs that differ in other axes alone are averaged first.

    Args:
        table: A row a run, with the columns seed, the factors and the metric.
        factors: Swept parameters, two levels or more each.
        metric: The metric's column.

    Returns:
        A row an effect ("a", "b", "a x b", ...), then "seed" and "residual": effect, df, sum_sq, share (of the total
        sum of squares), partial (eta squared, SS / (SS + residual SS): its share of what the other effects leave), F,
        p (the last three are missing where the residual has no degree of freedom, or nothing varies).

    Raises:
        ValueError: A column is not in the table; a factor has one level; a combination of levels lacks runs.

    Example:
        >>> runs = pd.DataFrame([(s, a, b, a + 0.1 * s) for s in (0, 1) for a in (0, 1) for b in (0, 1)])
        >>> runs.columns = ["seed", "a", "b", "error"]
        >>> effects(runs, ["a", "b"], "error")[["effect", "df", "share"]].round(2)
             effect  df  share
        0         a   1   0.99
        1         b   1   0.00
        2     a x b   1   0.00
        3      seed   1   0.01
        4  residual   3   0.00
    """
    import statsmodels.formula.api as formulas
    from statsmodels.stats.anova import anova_lm

    _check_columns(table, [*factors, "seed", metric])
    cells = _balanced(table, factors, metric)
    values = cells["y"].to_numpy(dtype=float)
    total = float(((values - values.mean()) ** 2).sum())
    names = {f"C(f{i})": factor for i, factor in enumerate(factors)} | {"C(block)": "seed", "Residual": "residual"}
    blocks = " + C(block)" if cells["block"].nunique() > 1 else ""
    model = formulas.ols(f"y ~ {' * '.join(list(names)[: len(factors)])}{blocks}", cells).fit()
    with np.errstate(all="ignore"):
        found = anova_lm(model, typ=2) if model.df_resid > 0 else _without_residual(model)
    still = total <= 1e-20 * max(1.0, float((values**2).sum()))
    left = float(found["sum_sq"].get("Residual", math.nan))
    exact = still or not left > 1e-24 * total
    rows = []
    for term, row in found.iterrows():
        effect = " x ".join(names[part] for part in str(term).split(":"))
        own = float(row["sum_sq"])
        partial = own / (own + left) if effect != "residual" and not still else math.nan
        test = (math.nan, math.nan) if exact else (float(row.get("F", math.nan)), float(row.get("PR(>F)", math.nan)))
        rows.append((effect, int(row["df"]), own, math.nan if still else own / total, partial, *test))
    rows.sort(key=lambda row: (row[0] in ("seed", "residual"), row[0] == "residual", row[0].count(" x ")))
    return pd.DataFrame(rows, columns=["effect", "df", "sum_sq", "share", "partial", "F", "p"])


@dataclass(frozen=True)
class Exponent:
    """y ~ factor * x ** slope; se and the 95 % interval are missing (NaN) with two points."""

    slope: float
    se: float
    low: float
    high: float
    factor: float
    n: int


def fit_exponent(x: Sequence[float] | pd.Series, y: Sequence[float] | pd.Series) -> Exponent:
    """The exponent of a power law, by least squares on logarithms.

    Args:
        x: Positive numbers [n], two or more different ones.
        y: Positive numbers [n].

    Raises:
        ValueError: A number is not positive or not finite; fewer than two different x; lengths differ.

    Example:
        >>> round(fit_exponent([1, 2, 4], [3, 12, 48]).slope, 6)
        2.0
    """
    from scipy import stats

    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"x has shape {list(a.shape)} and y {list(b.shape)}: expected two lists of one length")
    for name, values in (("x", a), ("y", b)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"{name} holds numbers that are not positive: a power law has none; leave them out")
    if len(np.unique(a)) < 2:
        raise ValueError("x has fewer than two different values: an exponent needs two or more")
    line = stats.linregress(np.log(a), np.log(b))
    se = (float(line.stderr) if np.ptp(b) else 0.0) if len(a) > 2 else math.nan  # scipy has NaN for equal y
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(a) - 2)) * se if len(a) > 2 else math.nan
    slope = float(line.slope)
    return Exponent(slope, se, slope - half, slope + half, float(np.exp(line.intercept)), len(a))


def _check_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise unknown("column", name, map(str, table.columns))


def _groups(table: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    """(levels, rows) in the order of appearance; a missing level is None."""
    if not by:
        return [((), table)] if len(table) else []
    groups = table.groupby(list(by), sort=False, dropna=False)
    return [(tuple(None if level != level else level for level in levels), rows) for levels, rows in groups]


def _indexed(
    rows: Sequence[tuple[tuple[object, ...], tuple[object, ...]]], names: Sequence[str], columns: Sequence[str]
) -> pd.DataFrame:
    """Rows (levels, values); the levels are the index, so that an axis may be called n or mean."""
    index = pd.MultiIndex.from_tuples([levels for levels, _ in rows], names=names) if names and rows else None
    return pd.DataFrame([values for _, values in rows], columns=list(columns), index=index)


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % t interval; the interval is missing for one value, and of no width where all are equal."""
    from scipy import stats

    if not len(values):
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


def _pair(own: np.ndarray, partner: np.ndarray, better: str | None) -> tuple[object, ...]:
    """One row of `compare_to_baseline`, after the axes."""
    from scipy import stats

    paired = ~(np.isnan(own) | np.isnan(partner))
    a, b = own[paired], partner[paired]
    difference, low, high = _interval(np.sort(a - b))
    mean, base = (float(v.mean()) if len(v) else math.nan for v in (a, b))
    p, note = math.nan, ""
    if len(a) < 2:
        note = "one pair: no test" if len(a) else "no pair"
    elif np.ptp(a - b) <= 1e-12 * max(np.abs(a).max(), np.abs(b).max()):
        note = "equal in every pair: no test" if abs(difference) <= 1e-12 * abs(base) else "no spread: no test"
    else:
        p = float(stats.ttest_rel(a, b).pvalue)
    signs = {"lower": 1, "higher": -1}.get(better or "", 0) * np.sign(b - a)
    wins, losses = (int((signs == s).sum()) if better else None for s in (1, -1))
    ratio = mean / base if mean > 0 and base > 0 else math.nan
    return len(a), int((~paired).sum()), mean, base, difference, low, high, ratio, p, wins, losses, note


def _balanced(table: pd.DataFrame, factors: Sequence[str], metric: str) -> pd.DataFrame:
    """A row a (cell, seed), columns f0, f1, ..., block, y; complete, or it raises."""
    levels = {factor: table[factor].unique().tolist() for factor in factors}
    for factor, found in levels.items():
        if len(found) < 2:
            raise ValueError(f"factor {factor!r} has one level, {found[0] if found else None!r}: expected two or more")
    keys = [*factors, "seed"]
    grid = pd.MultiIndex.from_product([*levels.values(), table["seed"].unique()], names=keys)
    runs = table.groupby(keys, sort=False, dropna=False)[metric]
    counts = runs.count().reindex(grid, fill_value=0)
    wanted = int(runs.size().max())
    lacking = counts[counts < wanted].groupby(level=list(factors), sort=False).size()
    if len(lacking):
        named = [
            ", ".join(f"{f}={v}" for f, v in zip(factors, _tuple(cell), strict=True)) for cell in lacking.index[:5]
        ]
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise ValueError(
            f"the design is not complete: {'; '.join(named)}{more} lack runs with a value of {metric!r}; "
            "sweep again for what is missing, or leave out a level"
        )
    mean = runs.mean().reset_index()
    mean.columns = pd.Index([*(f"f{i}" for i in range(len(factors))), "block", "y"])
    return mean.sort_values(list(mean.columns[:-1]), kind="stable", key=lambda column: column.astype(str))


def _tuple(cell: object) -> tuple[object, ...]:
    return cell if isinstance(cell, tuple) else (cell,)


def _without_residual(model: object) -> pd.DataFrame:
    """Sums of squares of a saturated model (one seed): type 1, which a balanced design shares with type 2."""
    from statsmodels.stats.anova import anova_lm

    with np.errstate(all="ignore"):
        return anova_lm(model, typ=1)[["df", "sum_sq"]].drop(index="Residual")
