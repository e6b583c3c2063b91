"""kill -9 at 20 random moments, of the sweep and of its kernels in turn: never half a record, nothing left running."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from causalkit.bench import load_suite, results_table, run_suite
from causalkit.runs import load_run
from tests.test_suite import RECORD, minimal, write_notebook, write_suite
from tests.test_sweep import LIGHT

KILLS = 20
RUNS = 16
MARK = "CAUSALKIT_TEST_KILL"  # in the environment of everything that the sweep starts, so that orphans are found


def start(path, root, mark):
    command = [sys.executable, "-m", "causalkit.cli", "bench", str(path), "--output", str(root), "--workers", "2"]
    environment = {**os.environ, "CAUSALKIT_PRELOAD": LIGHT, MARK: mark}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def marked(mark):
    """Every process of this machine that was started by the sweep, or by what it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def gone(mark, within=10.0):
    deadline = time.monotonic() + within
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not marked(mark)


def finished(root):
    """Address -> record of every run that is there; each must be whole, and no result of a kill."""
    found = {}
    for place in (root / "runs").glob("[!.]*"):
        record = load_run(place).record
        assert (place / "executed.ipynb").is_file()
        found[place.name] = record
    return found


def forks(mark):
    """Kernels, and the processes that run their notebooks: both are children of the warm process."""
    found = []
    for process in marked(mark):
        with contextlib.suppress(psutil.Error):
            if all("forkserver" in " ".join(each.cmdline()) for each in (process, process.parent())):
                found.append(process)
    return found


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_the_runs_in_flight_alone(tmp_path):
    path = write_suite(tmp_path, minimal(seeds=str(RUNS // 4), product="{ x = [1, 2, 3, 4] }", timeout="60"))
    write_notebook(tmp_path / "tiny.ipynb", "import time\ntime.sleep(0.2)", RECORD)
    root, mark, rng = tmp_path / "out", str(tmp_path), random.Random(0)
    kept, most, sweep = {}, 0, None
    for i in range(KILLS):
        if sweep is None or sweep.poll() is not None:
            for address in sorted(kept)[: len(kept) // 2]:  # so that there is something left to do
                shutil.rmtree(root / "runs" / address)
                kept.pop(address)
            sweep = start(path, root, mark)
        if i % 3 == 0:  # the first of them while it still imports, the others at work
            time.sleep(rng.uniform(0.0, 1.5))
            sweep.kill()
            sweep.wait()
            assert gone(mark), marked(mark)
        else:
            while sweep.poll() is None and not forks(mark):
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 1.5))
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):  # too late: it has just ended
                rng.choice(forks(mark)).kill()
        whole = {key: record["started"] for key, record in finished(root).items() if record["verdict"] == "ok"}
        assert kept.items() <= whole.items()  # what was done stays, and is not done again
        kept, most = whole, max(most, len(whole))
    sweep.wait(120)
    assert gone(mark) and most >= 4
    last = run_suite(load_suite(path), root, workers=2)
    assert last.ok and last.total.planned == RUNS and not list((root / "runs").glob(".*"))
    table = results_table(root)
    assert len(table) == RUNS and table["y"].tolist() == (10 * table["x"] + table["seed"]).tolist()
