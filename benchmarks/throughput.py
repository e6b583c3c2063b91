"""How many small runs a minute: plain papermill in a shell loop, a sweep with one and two workers, a sweep on Dask.

`python benchmarks/throughput.py [RUNS] [PLAIN]`: RUNS runs of a sweep (200), PLAIN runs of the shell loop (20), which
is given the same two cores (xargs -P 2) as well as one.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat.v4 as v4

EMPTY = "from causalkit.runs import metric, record\nrecord({'seed': metric(seed, 'the seed', unit='1')})"
# What every experiment imports, one way or another.
USUAL = "import torch, pgmpy.causal_discovery, sklearn.linear_model, scipy.stats, matplotlib.pyplot, causalkit"
SUITE = """
title = "Throughput"
[[experiment]]
name = "small"
question = "How long does nothing take?"
notebook = "small.ipynb"
seeds = {seeds}
metrics = {{ seed = "lower" }}
"""


def write_notebook(path: Path, *lines: str) -> Path:
    """A notebook with a parameter `seed`."""
    cells = [v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}), *map(v4.new_code_cell, lines)]
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(v4.writes(notebook), encoding="utf-8")
    return path


def seconds(command: list[str], folder: Path, **options: object) -> float:
    """Wall-clock seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - began


def shell_loop(notebook: Path, folder: Path, runs: int, workers: int) -> float:
    """Plain papermill, once a run, `workers` at a time."""
    line = f"seq {runs} | xargs -P {workers} -I@ {sys.executable} -m papermill {notebook} out-@.ipynb -p seed @"
    return seconds(["bash", "-c", line], folder, env={**os.environ, "OMP_NUM_THREADS": "1"})


def sweep(folder: Path, runs: int, *options: str) -> float:
    """`causalkit bench` on a suite of that many runs."""
    name = "-".join(["out", *(o.strip("-").replace(":", "").replace("/", "") for o in options)])
    (folder / "small.toml").write_text(SUITE.format(seeds=runs), encoding="utf-8")
    taken = seconds(
        [str(Path(sys.executable).with_name("causalkit")), "bench", "small.toml", "--output", name, *options], folder
    )
    done = [json.loads(line)["verdict"] for line in (folder / name / "results.jsonl").read_text().splitlines()]
    assert done == ["ok"] * runs, done
    return taken


def with_dask(folder: Path, runs: int) -> float:
    """A sweep on a scheduler and two worker processes of this machine; their start is not counted."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        return sweep(folder, runs, "--dask", cluster.scheduler_address)


def main() -> None:
    """Prints the table."""
    runs, plain = (int(text) for text in (sys.argv[1:] + ["200", "20"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for label, lines in (("an empty notebook", [EMPTY]), ("one with the usual imports", [USUAL, EMPTY])):
            notebook = write_notebook(folder / "small.ipynb", *lines)
            for workers in (1, 2):
                taken = shell_loop(notebook, folder, plain, workers)
                rows.append((label, f"shell loop over papermill, {workers} at a time", plain, taken))
            for workers in (1, 2):
                taken = sweep(folder, runs, "--workers", str(workers))
                rows.append((label, f"causalkit bench, {workers} at a time", runs, taken))
                subprocess.run(["rm", "-rf", *map(str, folder.glob("out-*"))], check=True)
            rows.append((label, "causalkit bench, Dask with 2 workers", runs, with_dask(folder, runs)))
            subprocess.run(["rm", "-rf", *map(str, folder.glob("out-*"))], check=True)
    print("| notebook | how | runs | seconds | seconds a run | times the shell loop's rate |")
    print("|---|---|---|---|---|---|")
    for label, how, count, taken in rows:
        loop = next(t / c for what, _, c, t in rows if what == label)
        print(f"| {label} | {how} | {count} | {taken:.1f} | {taken / count:.2f} | {loop * count / taken:.1f} |")


if __name__ == "__main__":
    main()
