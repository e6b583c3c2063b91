"""Sweeps on a Dask cluster: a real scheduler and two worker processes on loopback, one of which is killed."""

import contextlib
import os
import signal
import time

import psutil
import pytest

from causalkit.bench import engines, load_suite, results_table, run_suite
from causalkit.bench.plan import plan_suite
from tests.test_suite import RECORD, minimal, write_notebook, write_suite
from tests.test_sweep import LIGHT, invoke, landed

distributed = pytest.importorskip("distributed")
EIGHT = minimal(seeds="4", product="{ x = [1, 2] }")


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUSALKIT_PRELOAD", LIGHT)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as made:
            yield made


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAUSALKIT_PRELOAD", LIGHT)


def pids(cluster):
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def kernels(pid):
    """What runs under a worker process, besides its warm process and Python's own helpers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(pid).children(recursive=True)
        return [child for child in family if "forkserver" in " ".join(child.cmdline())]
    return []


def test_a_killed_worker_costs_nothing_but_time(cluster, tmp_path):
    path = write_suite(tmp_path, EIGHT)
    write_notebook(tmp_path / "tiny.ipynb", "import time\ntime.sleep(0.3)", RECORD)
    suite, killed, family = load_suite(path), [], []

    def kill(status):
        if status.total.done == 3 and status.total.running and not killed:
            killed.append(pids(cluster)[0])
            family.extend(psutil.Process(killed[0]).children(recursive=True))
            os.kill(killed[0], signal.SIGKILL)

    status = run_suite(suite, "out", dask=cluster.scheduler_address, progress=kill)
    assert killed and status.ok and status.fresh == 8
    assert not psutil.wait_procs(family, timeout=10)[1]  # its warm process and its kernel went with it
    local = run_suite(suite, "local", workers=2)
    assert landed("out").keys() == landed("local").keys() == local.runs.keys()
    tables = [results_table(root).drop(columns=["total_seconds", "peak_memory_mib"]) for root in ("out", "local")]
    assert tables[0].equals(tables[1])
    for address, run in status.runs.items():
        other, path = local.runs[address].record, run.directory
        assert {p.name for p in path.iterdir()} == {p.name for p in local.runs[address].directory.iterdir()}
        assert run.record["command"] == other["command"] and run.record["source_sha256"] == other["source_sha256"]
        assert run.record["notebook"] == "tiny" and run.record["warm"] == other["warm"]


def test_results_travel_with_their_files_and_failures(cluster, tmp_path):
    path = write_suite(tmp_path, minimal(product="{ x = [1, 2] }"))
    write_notebook(tmp_path / "tiny.ipynb", "open('mine.txt', 'w').write(str(x))", "assert x == 1", RECORD)
    done = invoke("bench", path, "--dask", cluster.scheduler_address)
    assert done.exit_code == 1 and "1 of 2 runs ok, 1 failed" in done.output, done.output
    found = sorted(p.read_text() for p in (tmp_path / "results/growth/runs").glob("*/files/mine.txt"))
    assert found == ["1", "2"]
    assert invoke("bench", path, "--resume", "--dry-run").exit_code == 0


def test_a_worker_with_other_versions_refuses(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("causalkit.runs.environment.versions", lambda: {"torch": "9.9"})
    monkeypatch.setattr("causalkit.runs.environment.code_sha256", lambda: "another")
    suite = load_suite(write_suite(tmp_path, EIGHT))
    with pytest.raises(ValueError, match=r"worker tcp:.* has torch .* instead of 9.9.*other code of causalkit itself"):
        run_suite(suite, "out", dask=cluster.scheduler_address)
    assert not landed("out")


def test_stopping_ends_the_kernels_on_the_workers(cluster, tmp_path):
    path = write_suite(tmp_path, minimal(product="{ x = [1, 2] }"))
    write_notebook(tmp_path / "tiny.ipynb", "import time\ntime.sleep(600)", RECORD)
    suite, workers, family = load_suite(path), pids(cluster), []

    def stop(status):
        if status.total.running == 2 and not family:
            deadline = time.monotonic() + 60
            while len(family) < 6 and time.monotonic() < deadline:  # a warm process, a run and a kernel each
                family[:] = [child for pid in workers for child in kernels(pid)]
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="0 of 2 runs are done and kept; go on with: causalkit bench"):
        run_suite(suite, "out", dask=cluster.scheduler_address, progress=stop)
    warm = [child for pid in workers for child in psutil.Process(pid).children()]
    gone = [child for child in family if child not in warm]
    assert len(gone) >= 4 and not psutil.wait_procs(gone, timeout=20)[1]
    assert not landed("out")


def test_a_run_that_kills_every_worker_is_named_and_the_others_are_done(cluster, tmp_path):
    path = write_suite(tmp_path, minimal(product="{ x = [1, 2, 3] }"))
    bomb = f"import os\nif x == 2:\n    os.kill(int(open({str(tmp_path / 'pid')!r}).read()), 9)"
    write_notebook(tmp_path / "tiny.ipynb", bomb, RECORD)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as alone:
        alone.scheduler.allowed_failures = 0
        (tmp_path / "pid").write_text(str(pids(alone)[0]))
        done = run_suite(load_suite(path), "out", dask=alone.scheduler_address)
    assert done.total.done == 2 and not done.ok and len(landed("out")) == 2
    (why,) = done.lost.values()
    assert "every worker that took it up died" in why


def test_nobody_answers_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "ANSWER", 1.0)
    path = write_suite(tmp_path, EIGHT)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        began = time.monotonic()
        done = invoke("bench", path, "--dask", address)
        assert done.exit_code == 2 and "no Dask scheduler answers" in done.output.replace("\n", " ")
        assert time.monotonic() - began < 30  # seconds, not the minutes of a scheduler that is waited for
    assert not (tmp_path / "results").exists()


def test_without_dask_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'causalkit-lab\[dask\]'"):
        run_suite(load_suite(write_suite(tmp_path, EIGHT)), dask="tcp://127.0.0.1:1")
    assert plan_suite(load_suite(tmp_path / "growth.toml")).addresses
