"""How many variables does each method of discovery do within a minute? The walls that `ck.methods()` shows.

    python benchmarks/discovery_walls.py [method ...]
    python benchmarks/discovery_walls.py results/discovery    # the same, from a sweep's runs: nothing is run

One data set a size: Erdos-Renyi graph of degree 2, 1,000 rows, linear Gaussian (discrete methods: tables of two or
three levels), default options, one thread. Seconds are of processor time, so that what else the machine does counts
little. Sizes go up until a method needs more than 60 seconds, or would if its time grew with the square of the size.
About 15 minutes for all on one core.

Read from a sweep, the wall of a method is the largest size all of whose runs in the experiment `scale` ended within
the sweep's limit (wall clock; the fast budget's is shorter than a minute). Below the walls stand the cells in which
"auto" has more than 1.1 times the SHD (CPDAG) of the best single method there, both averaged over the seeds.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pandas as pd

import causalkit as ck
from causalkit.bench import read_results, results_table
from causalkit.discovery import ABOUT, DiscoveryTimeout

SIZES, LIMIT, ROWS = (10, 20, 50, 100, 200, 500), 60.0, 1000


def data(d: int, discrete: bool):
    """The data set of a size."""
    mechanism = "categorical" if discrete else "linear"
    return ck.random_scm(d, degree=2.0, mechanism=mechanism, seed=0).sample(ROWS, seed=1)


def used() -> float:
    """Seconds of processor time of all processes started and ended so far: a limit runs a method in one."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


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
    return pd.DataFrame.from_dict(rows, orient="index").astype({"wall": "Int64"})


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


def report(directory: str | Path) -> None:
    """Print the walls, and the cells in which "auto" chose badly."""
    print(swept(directory).round(2).to_string(na_rep="-"))
    cells = auto_beside_best(directory)
    beyond = cells[~(cells["auto"] <= 1.1 * cells["best"])]  # without a value: it timed out or refused
    within = f"{len(cells) - len(beyond)} of {len(cells)} cells"
    print(f"\nauto is within 10 % of the best single method in {within}; not in:")
    print(beyond.round(2).to_string(index=False) if len(beyond) else "none.")


def main(names: list[str]) -> None:
    """Print a line a method: the seconds at each size, and the wall."""
    for name in names:
        seconds: dict[int, float] = {}
        for d in SIZES:
            if seconds and seconds[max(seconds)] * (d / max(seconds)) ** 2 > LIMIT:
                break
            frame, before = data(d, ABOUT[name].data == "discrete"), used()
            try:
                ck.discover(frame, name, limit=5 * LIMIT)  # of wall-clock time
            except DiscoveryTimeout:
                break
            except ValueError as refused:
                print(f"{name}: {refused}")
                break
            if used() - before > LIMIT:
                break
            seconds[d] = used() - before
        times = "  ".join(f"{d}: {s:.2f} s" for d, s in seconds.items())
        print(f"{name:14s} wall {max(seconds, default=0):4d}   {times}", flush=True)


if __name__ == "__main__" and len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():
    report(sys.argv[1])
elif __name__ == "__main__":
    main(sys.argv[1:] or [name for name, about in ABOUT.items() if not about.environments])
