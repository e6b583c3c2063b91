"""Tables of the suites `shift_matrix` and `sachs_training` from their runs, as Markdown: nothing is run.

    python benchmarks/shift_tables.py results/shift_matrix
    python benchmarks/shift_tables.py results/sachs_training

The first prints three. *The promise*: where the graph proves that P(y | S) is the same in training and test, the excess
of least squares on S over the same fitted in the test distribution, as a share of its risk; mean and standard error
over seeds (each has its own training, test and oracle rows), and p of a mean of 0 by Student's t, Holm over all cells
that are promised and overlap. "kept" means p above 0.0027, the level of 3 standard errors; cells in which nothing is
promised stand beside, as the control that the test can see. *Every objective*: the excess risk over the best linear
predictor of the test by shift, objective and graph, the sizes in nats one after the other. *What helps*: a row a shift
and size. What the shift costs ERM on the true parents, above the same features' oracle and as a share of its risk; how
many of all models are above the oracle with all features, and how many better than ERM without a graph, of all and of
those that were told the true graph (paired by seed, one-sided, Holm within the row, 0.05); and a verdict.

The second prints, for each target, objective and features, the RMSE in the condition left out: mean over the nine,
after the mean over seeds, with Student's 95 % interval over conditions, and the paired difference from ERM without a
graph.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from causalkit.bench import read_results

LEVEL = 0.0027  # two-sided, of 3 standard errors
FINITE = 0.02  # of the risk: what so few training rows may cost by themselves
PLAIN, PARENTS = ("linear", "erm", "none"), ("linear", "erm", "true")
REACH = 0.95  # the least share of test rows within reach of the training rows, for supports to overlap


def holm(p: pd.Series) -> pd.Series:
    """The p values adjusted by Holm (1979); missing ones stay missing and do not count."""
    found, there = pd.Series(np.nan, p.index), p.notna()
    if there.any():
        found[there] = multipletests(p[there], method="holm")[1]
    return found


def mean_and_se(values: pd.Series) -> pd.Series:
    """n, mean, standard error of the mean, and their ratio z."""
    values = values.dropna()
    se = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    middle = values.mean() if len(values) else np.nan
    return pd.Series({"n": len(values), "mean": middle, "se": se, "z": middle / se if se else np.nan})


def recorded(directory: str | Path, experiment: str, table: str) -> pd.DataFrame:
    """The rows of a recorded table from all runs of an experiment, with what was swept in front."""
    results = read_results(directory)
    if experiment not in {each["name"] for each in results.suite["experiments"]}:
        return pd.DataFrame()
    axes, parts = results.experiment(experiment)["axes"], []
    for entry in results.plan:
        run = results.runs.get(entry["address"])
        if entry["experiment"] == experiment and run is not None and table in run.tables:
            swept = {axis: entry["parameters"][axis] for axis in [*axes, "backbone", "seed"]}
            parts.append(run.tables[table].assign(**swept))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def promise(directory: str | Path, experiment: str = "promise") -> pd.DataFrame:
    """A row a cell: n, mean (the excess as a share of the oracle's risk), se, z, p (Holm), overlap, verdict."""
    results = read_results(directory)
    if experiment not in {each["name"] for each in results.suite["experiments"]}:
        return pd.DataFrame()
    table = results.frame(experiment)
    table = table[table["verdict"] == "ok"]
    axes = [axis for axis in ("variables", "train_shift", "shift", "nats") if axis in table]
    table = table.assign(share=table["excess_risk"] / table["risk_same"])
    cells = table.groupby([*axes, "promised"], sort=False)
    found = cells["share"].apply(mean_and_se).unstack().assign(overlap=cells["overlap"].min()).reset_index()
    tested = (found["promised"] == 1) & (found["overlap"] >= REACH)
    p = pd.Series(2 * student.sf(found["z"].abs(), found["n"] - 1), found.index)
    found["p"] = holm(p.where(tested))
    found["verdict"] = [_promise_in_words(row) for _, row in found.iterrows()]
    return found


def _promise_in_words(row: pd.Series) -> str:
    if row["promised"] != 1:
        return "nothing is promised"
    if row["overlap"] < REACH:
        return "promised, out of reach"
    if np.isnan(row["p"]):
        return "promised, too few seeds"
    return "kept" if row["p"] > LEVEL else "BROKEN"


def objectives(cells: pd.DataFrame, shift: str) -> pd.DataFrame:
    """A row an objective (and backbone), a column a kind of graph knowledge: mean excess over seeds, by nats."""
    part, nats = cells[cells["shift"] == shift], sorted(cells["nats"].unique())
    rows = list(dict.fromkeys(zip(part["backbone"], part["objective"], strict=True)))
    means = part.groupby(["backbone", "objective", "graph", "nats"])["excess"].mean()
    least = means.xs(nats[-1], level="nats").min()
    found = {}
    for backbone, objective in rows:
        line = {}
        for graph in dict.fromkeys(part["graph"]):
            values = [means.get((backbone, objective, graph, size), np.nan) for size in nats]
            text = " / ".join("-" if np.isnan(v) else f"{v:.2g}" for v in values)
            line[graph] = "-" if np.isnan(values).all() else f"**{text}**" if values[-1] <= least else text
        found[f"{objective}, {backbone}"] = line
    return pd.DataFrame.from_dict(found, orient="index")


def what_helps(cells: pd.DataFrame) -> pd.DataFrame:
    """A row a shift and size: what the shift costs the true parents, who is least above the oracle, and a verdict."""
    found = []
    for (shift, nats), part in cells.groupby(["shift", "nats"], sort=False):
        wide = part.pivot_table("excess", "seed", ["backbone", "objective", "graph"], sort=False)
        plain, told = wide[PLAIN], wide[PARENTS]
        own = part[(part["backbone"] == "linear") & (part["objective"] == "erm") & (part["graph"] == "true")]
        cost = mean_and_se(own["same"] / (own["risk"] - own["same"]))
        others = -wide.drop(columns=[PLAIN]).sub(plain, axis=0)  # by how much each is better
        invariant = others.loc[:, others.columns.get_level_values("graph") == "true"]
        found.append(
            {
                "shift": shift, "nats": nats, "erm": plain.mean(), "erm, true parents": told.mean(),
                "cost of the shift to these": cost["mean"], "least": wide.mean().min(),
                "of": ", ".join(wide.mean().idxmin()[::-1]), "models": wide.shape[1],
                "above the oracle": _above_0(wide),
                "better than erm": _above_0(others), "of them on the true graph": _above_0(invariant),
                "verdict": _help_in_words(cost, mean_and_se(plain - told), _above_0(invariant)),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def _above_0(wide: pd.DataFrame) -> int | None:
    """In how many columns the mean over seeds is above 0, by Holm; None where there are too few seeds to tell."""
    stats = wide.apply(mean_and_se)
    p = pd.Series(student.sf(stats.loc["z"].astype(float), stats.loc["n"] - 1), stats.columns)
    return int((holm(p) < 0.05).sum()) if p.notna().any() else None


def _help_in_words(cost: pd.Series, gain: pd.Series, invariant: int | None) -> str:
    if invariant is None:
        return "too few seeds"
    if cost["mean"] > FINITE and cost["z"] > 3:
        return "nothing invariant helps" if invariant == 0 else f"parents are moved; {invariant} on the true graph help"
    if abs(gain["z"]) <= 3:
        return "parents are safe, and no worse than ERM"
    return "parents are safe, and better than ERM" if gain["mean"] > 0 else "parents are safe, and know less than ERM"


def left_out(conditions: pd.DataFrame, target: str) -> pd.DataFrame:
    """A row an objective and features: RMSE (mean over conditions), half its interval, and the same beside ERM."""
    part = conditions[conditions["target"] == target]
    means = part.groupby(["objective", "graph", "left_out"])["rmse"].mean()
    plain, found = means["erm", "none"], {}
    for objective in dict.fromkeys(part["objective"]):
        for graph in ("none", "parents", "blanket"):
            if (objective, graph) not in means.index.droplevel(2):
                continue
            rmse = means[objective, graph]
            found[f"{objective}, {graph}"] = _line(rmse, rmse - plain)
    for name in ("mean", "inside"):
        rmse = means["erm", name]
        found[name] = _line(rmse, rmse - plain)
    table = pd.DataFrame.from_dict(found, orient="index")
    table["p"] = holm(table["p"].where(~table.index.isin(["mean", "inside"])))
    return table


def _line(rmse: pd.Series, apart: pd.Series) -> dict[str, float | str]:
    """A mean over fewer conditions (a training diverged) is no mean of nine: only the paired difference is told."""
    stats = mean_and_se(apart)
    n = int(stats["n"])
    half = student.ppf(0.975, n - 1) / np.sqrt(n)
    whole = n == len(apart)
    return {
        "rmse": rmse.mean() if whole else np.nan, "+-": half * rmse.std(ddof=1) if whole else np.nan,
        "worst": rmse.max() if whole else np.nan, "less erm": stats["mean"], "+- ": half * apart.std(ddof=1),
        "better in": f"{(apart < 0).sum()} of {n}",
        "p": 2 * student.sf(abs(stats["z"]), n - 1) if stats["se"] else np.nan,
    }  # fmt: skip


def markdown(table: pd.DataFrame, index: bool = True) -> str:
    """A frame as a Markdown table, numbers with three digits."""
    table = table.reset_index(names="") if index else table
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|---" * len(table.columns) + "|"]
    lines += ["| " + " | ".join(map(_text, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def report(directory: str | Path) -> None:
    """Print all tables of a sweep."""
    table = promise(directory)
    if len(table):
        kept = table["verdict"].value_counts()
        words = ", ".join(f"{n} {verdict}" for verdict, n in kept.items())
        print(f"The promise, excess as a share of the oracle's risk: {words}\n\n{markdown(table, index=False)}\n")
    cells = pd.concat([recorded(directory, name, "cells") for name in ("every_objective", "networks")])
    for shift in dict.fromkeys(cells["shift"]) if len(cells) else ():
        nats = " / ".join(f"{size:g}" for size in sorted(cells["nats"].unique()))
        print(f"Excess risk under a {shift} shift of {nats} nats\n\n{markdown(objectives(cells, shift))}\n")
    if len(cells):
        print(f"What helps\n\n{markdown(what_helps(cells), index=False)}\n")
    conditions = recorded(directory, "left_out", "conditions")
    for target in dict.fromkeys(conditions["target"]) if len(conditions) else ():
        print(f"{target}, RMSE in the condition left out\n\n{markdown(left_out(conditions, target))}\n")


if __name__ == "__main__":
    report(sys.argv[1])
