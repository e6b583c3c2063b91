"""Tables of the suite `discovery` from its runs, as Markdown: nothing is run.

    python benchmarks/discovery_tables.py results/discovery [metric ...]    # shd_cpdag and parent_aid unless named

For each experiment a row a cell (all that is swept but method and seed) and a column a method: the metrics one after
the other, means over the seeds; bold is the best method by the first, a stroke is no value (a time-out, a refusal, a
PAG). Below stand the walls: for each method the largest size all of whose runs in the experiment `scale` ended within
the sweep's limit (wall clock; shorter than a minute at the fast budget). Last the cells in which "auto" has more than
1.1 times the SHD (CPDAG) of the best single method there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from causalkit.bench import read_results, results_table

CONTROLS = ("random", "auto")
"""Columns that are never bold: no method, and one of the others."""


def cells(directory: str | Path, experiment: str, metric: str) -> pd.DataFrame:
    """A row a cell, a column a method: the mean over the seeds."""
    results = read_results(directory)
    (plan,) = (one for one in results.suite["experiments"] if one["name"] == experiment)
    table = results.frame(experiment)
    axes = [axis for axis in plan["axes"] if axis != "method" and table[axis].nunique() > 1]
    table["cell"] = [", ".join(_text(axis, row[axis]) for axis in axes) for _, row in table.iterrows()]
    order = dict.fromkeys(table["method"])
    return table.groupby(["cell", "method"], sort=False)[metric].mean().unstack()[list(order)]


def _text(axis: str, value: object) -> str:
    return str(value) if isinstance(value, str) else f"{axis} {value:g}"


def markdown(tables: list[pd.DataFrame]) -> str:
    """The tables in one, their values beside each other; the least of each row of the first in bold, ties and all."""
    first = tables[0].dropna(axis="columns", how="all")
    lines = ["| " + " | ".join(["", *first.columns]) + " |", "|---" * (len(first.columns) + 1) + "|"]
    for cell, row in first.iterrows():
        least = row.drop([name for name in CONTROLS if name in row]).min()
        shown = []
        for method, value in row.items():
            text = " / ".join(f"{table.loc[cell, method]:.2g}" for table in tables) if value == value else "-"
            shown.append(f"**{text}**" if value <= least else text)
        lines.append(f"| {cell} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def swept(directory: str | Path, experiment: str = "scale") -> pd.DataFrame:
    """A row a method: its wall, the mean seconds there, and the sizes with a time-out or without an answer."""
    table = results_table(directory)
    table = table[(table["experiment"] == experiment) & (table["verdict"] == "ok")]
    rows = {}
    for name, runs in table.groupby("method", sort=False):
        ended = runs.assign(ended=(runs["timed_out"] == 0) & (runs["refused"] == 0)).groupby("variables")["ended"].all()
        beyond = ended[~ended].index.min()  # a method that ends by luck beyond its first time-out has its wall there
        wall = ended.index[ended.index < beyond].max() if beyond == beyond else ended.index.max()
        late = sorted({int(d) for d in runs.loc[runs["timed_out"] == 1, "variables"]})
        refused = sorted({int(d) for d in runs.loc[runs["refused"] == 1, "variables"]})
        seconds = runs.loc[runs["variables"] == wall, "seconds"].mean()
        rows[name] = {"wall": wall, "seconds": seconds, "timed out": late, "refused": refused}
    columns = ["wall", "seconds", "timed out", "refused"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"wall": "Int64"})


def auto_beside_best(directory: str | Path) -> pd.DataFrame:
    """A row a cell (all that is swept but method and seed): SHD (CPDAG) of "auto", of the best method, and which."""
    results = read_results(directory)
    tables = []
    for experiment in results.suite["experiments"]:
        table, axes = results.frame(experiment["name"]), [axis for axis in experiment["axes"] if axis != "method"]
        if "method" not in table or "shd_cpdag" not in table or "auto" not in set(table["method"]):
            continue
        table["cell"] = ["; ".join(f"{axis} {row[axis]}" for axis in axes) for _, row in table.iterrows()]
        scores = table.groupby(["cell", "method"], sort=False)["shd_cpdag"].mean().unstack()
        single = scores.drop(columns=["auto"]).dropna(how="all")
        found = pd.DataFrame(
            {"auto": scores["auto"].reindex(single.index), "best": single.min(axis=1), "which": single.idxmin(axis=1)}
        )
        tables.append(found.reset_index().assign(experiment=experiment["name"]))
    return pd.concat(tables, ignore_index=True)


def report(directory: str | Path, metrics: list[str]) -> None:
    """Print all tables of a sweep."""
    for experiment in read_results(directory).suite["experiments"]:
        if "method" in experiment["axes"]:
            tables = [cells(directory, experiment["name"], metric) for metric in metrics]
            print(f"{experiment['name']}: {' / '.join(metrics)}\n\n{markdown(tables)}\n")
    walls = swept(directory)
    if len(walls):
        print(walls.round(2).to_string(na_rep="-"), "\n")
    compared = auto_beside_best(directory)
    beyond = compared[~(compared["auto"] <= 1.1 * compared["best"])]  # without a value: it timed out or refused
    within = f"{len(compared) - len(beyond)} of {len(compared)} cells"
    print(f"auto is within 10 % of the best single method in {within}; not in:")
    print(beyond.round(2).to_string(index=False) if len(beyond) else "none.")


if __name__ == "__main__":
    report(sys.argv[1], sys.argv[2:] or ["shd_cpdag", "parent_aid"])
