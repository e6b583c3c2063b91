"""Forked kernels: the same results as fresh ones, nothing shared between siblings, nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest

from causalkit.runs import run_notebook, warm_parent
from causalkit.runs.warm import Warm
from tests.test_runs import RECORD, write_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
PARAMETERS = "seed = 0"


@pytest.fixture(scope="module")
def light():
    """A warm process with few imports, for tests that end it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUSALKIT_PRELOAD", "numpy,ipykernel.kernelapp,papermill,jupyter_client.manager")
        parent = Warm()
        parent.wait()
        yield parent
        parent.close()


def texts(directory):
    """All outputs of an executed notebook but the numbers of their execution."""
    cells = nbformat.read(directory / "executed.ipynb", as_version=4).cells
    return [
        {k: v for k, v in output.items() if k != "execution_count"} for c in cells for output in c.get("outputs", [])
    ]


def answer(directory):
    """What a notebook put into answer.json."""
    return json.loads((directory / "files" / "answer.json").read_text())


def answering(path, code):
    """A notebook that stores what `answer` is, then records."""
    lines = f"import json\n{code}\nwith open('answer.json', 'w') as file:\n    json.dump(answer, file)"
    return write_notebook(path, lines, RECORD, parameters=PARAMETERS)


# The same results


def test_a_fork_gives_what_a_fresh_kernel_gives(warm, tmp_path):
    train = """
        import matplotlib.pyplot as plt
        import causalkit as ck
        from causalkit.runs import metric, record
        scm = ck.random_scm(5, degree=2.0, seed=seed)
        frame = scm.sample(200, seed=seed)
        graph = ck.discover(frame, "pc")
        train = ck.sample_environments(scm, {"a": None, "b": None}, 200, seed=seed)
        task = ck.Task(tuple(frame.columns[1:]), frame.columns[0])
        model = ck.fit(train, task, objective="irm", seed=seed, steps=30)
        ck.evaluate(model, train, task)
    """
    wide = "import pandas as pd\npd.DataFrame([range(30)] * 100)"
    figure = "fig, ax = plt.subplots()\nax.plot(frame.iloc[:20, 0], model.predict(frame[:20]))\nplt.show()"
    last = """
        value = float(ck.evaluate(model, train, task)["rmse"].iloc[0])
        record({"rmse": metric(value, "error", unit="sd"), "edges": metric(graph.size(), "edges", unit="edges")},
               seeds={"data": seed + 1})
    """
    cells = [textwrap.dedent(train).strip(), wide, figure, textwrap.dedent(last).strip()]
    notebook = write_notebook(tmp_path / "lesson.ipynb", *cells, parameters="seed = 3")
    forked = run_notebook(notebook, tmp_path / "forked", warm=warm)
    fresh = run_notebook(notebook, tmp_path / "fresh")
    assert forked.ok and fresh.ok, forked.why or fresh.why
    assert (forked.record["warm"], fresh.record["warm"]) == (True, False)
    assert forked.record["metrics"] == fresh.record["metrics"]
    assert forked.record["seeds"] == {"seed": 3, "data": 4}
    # pictures included, to the bit
    assert texts(forked.directory) == texts(fresh.directory)
    assert forked.record["artefacts"].keys() == {"executed.ipynb"}


def test_python_sees_the_same_process(warm, tmp_path):
    code = """
        import os, sys, threading
        answer = {
            "path": sys.path, "argv": len(sys.argv), "main": sys.modules["__main__"].__name__,
            "flags": str(sys.flags), "executable": sys.executable, "hash": hash("causalkit"),
            "threads": os.environ["OMP_NUM_THREADS"], "backend": os.environ.get("MPLBACKEND"),
            "running": sorted(t.name.split("-")[0] for t in threading.enumerate()),
            "leads": os.getpgid(0) == os.getpid(),
        }
    """
    notebook = answering(tmp_path / "lesson.ipynb", textwrap.dedent(code))
    runs = [run_notebook(notebook, tmp_path / name, warm=parent) for name, parent in (("a", warm), ("b", None))]
    forked, fresh = (answer(run.directory) for run in runs)
    assert {**forked, "running": 0} == {**fresh, "running": 0}
    assert set(forked["running"]) <= set(fresh["running"]) | {"Thread"}


# Nothing shared


def test_siblings_share_no_random_state(warm, tmp_path):
    code = """
        import random, tempfile, uuid
        import numpy as np, torch
        answer = [random.random(), float(np.random.rand()), float(torch.rand(1)), str(uuid.uuid4()), tempfile.mktemp(),
                  int(np.random.default_rng().integers(2**40)), torch.initial_seed()]
    """
    notebook = answering(tmp_path / "lesson.ipynb", textwrap.dedent(code))
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda i: run_notebook(notebook, tmp_path / f"run{i}", warm=warm), range(4)))
    for drawn in zip(*(answer(run.directory) for run in runs), strict=True):
        assert len(set(drawn)) == 4, drawn


def test_siblings_share_no_files_threads_or_modules(warm, tmp_path):
    code = """
        import os, sys, time, threading
        import numpy as np
        answer = {"before": hasattr(np, "mine"), "thread": any(t.name == "mine" for t in threading.enumerate())}
        np.mine = open("mine.txt", "w")
        threading.Thread(target=time.sleep, args=(60,), name="mine", daemon=True).start()
        open("ready", "w").close()
        other = os.path.join("..", "..", ".*")
        import glob
        while len(glob.glob("../../.run*/files/ready")) < 2:  # until the sibling holds its file too
            time.sleep(0.01)
        fds = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
               if os.path.lexists(f"/proc/self/fd/{fd}")}
        answer["files"] = [name for fd, name in fds.items() if not name.startswith(("anon_inode:", "/proc/"))]
    """
    notebook = answering(tmp_path / "lesson.ipynb", textwrap.dedent(code))
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda i: run_notebook(notebook, tmp_path / f"run{i}", warm=warm, timeout=60), range(2)))
    assert all(run.ok for run in runs), [run.why for run in runs]
    first, second = (answer(run.directory) for run in runs)
    for each in (first, second):
        assert not each["before"] and not each["thread"]
        assert sum("mine.txt" in name for name in each["files"]) == 1
    assert not (set(first["files"]) & set(second["files"])) - {"/dev/null"}  # sockets and pipes have their own numbers


def test_forks_from_many_threads_keep_their_directories(warm, tmp_path):
    notebook = answering(tmp_path / "lesson.ipynb", "import os\nanswer = [seed, os.getcwd()]")
    with ThreadPoolExecutor(4) as pool:
        make = lambda i: run_notebook(notebook, tmp_path / f"run{i}", {"seed": i}, warm=warm)  # noqa: E731
        runs = list(pool.map(make, range(8)))
    for i, run in enumerate(runs):
        seed, place = answer(run.directory)
        assert seed == i and f".run{i}.partial" in place


# How they end


@pytest.mark.parametrize(
    "code, verdict, killed",
    [
        ("raise ValueError('no')", "failed", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "died", True),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died", False),
        ("import sys; sys.exit(0)", "exited", False),
        ("import os; os._exit(0)", "exited", False),
    ],
)
def test_verdicts_of_forked_kernels(light, tmp_path, code, verdict, killed):
    notebook = write_notebook(tmp_path / "lesson.ipynb", code, RECORD)
    run = run_notebook(notebook, tmp_path / "run", warm=light)
    assert (run.verdict, run.killed, run.never_started) == (verdict, killed, False), run.why
    assert run.record["failure"]["cell"] == 1


@pytest.mark.parametrize("forked", [True, False])
def test_too_much_memory_ends_a_run(light, tmp_path, forked):
    greedy = "kept = []\nwhile True:\n    kept.append(bytearray(b'1' * 20_000_000))"
    notebook = write_notebook(tmp_path / "lesson.ipynb", greedy, RECORD)
    run = run_notebook(notebook, tmp_path / "run", memory=0.5, warm=light if forked else None)
    assert run.verdict == "memory" and "0.5 GiB are allowed" in run.why
    assert 0.5 * 1024 < run.record["peak_memory"] < 4 * 1024


def test_a_time_out_and_a_stop_leave_no_process(light, tmp_path):
    notebook = write_notebook(tmp_path / "lesson.ipynb", "import time, os\nopen('up', 'w')\ntime.sleep(600)")
    assert run_notebook(notebook, tmp_path / "run", timeout=2, warm=light).verdict == "timeout"
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_notebook, notebook, tmp_path / "stopped", warm=light, stop=stop)
        while not list(tmp_path.glob(".stopped*/files/up")):
            assert not future.done()
        stop.set()
        with pytest.raises(KeyboardInterrupt):
            future.result()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lesson.ipynb", "run"]
    assert not _with(light.address)[1:]


def test_without_the_warm_process_a_fresh_kernel_does(tmp_path, monkeypatch):
    monkeypatch.setenv("CAUSALKIT_PRELOAD", "numpy")
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    with warm_parent() as parent:
        parent.wait()
        psutil.Process(parent._process.pid).kill()
        parent._process.wait()
        run = run_notebook(notebook, tmp_path / "run", warm=parent)
    assert run.ok and run.record["warm"] is False


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", (50).to_bytes(8, "big") + b'{"job"', (2).to_bytes(8, "big") + b"no"])
def test_a_request_that_breaks_off_costs_nobody_else_anything(light, tmp_path, sent):
    """Its sender may be killed at any moment."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(light.address)
        connection.sendall(sent)
    run = run_notebook(write_notebook(tmp_path / "lesson.ipynb", RECORD), tmp_path / "run", warm=light)
    assert run.ok and run.record["warm"] is True


def test_a_child_that_nobody_waits_for_is_ended(light, tmp_path):
    request = json.dumps(
        {"job": "kernel", "arguments": ["-f", str(tmp_path / "none.json")], "cwd": str(tmp_path), "env": {}}
    )
    with socket.socket(socket.AF_UNIX) as connection, open(os.devnull, "r+b") as nothing:
        connection.connect(light.address)
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [nothing.fileno()] * 3)
        connection.sendall(request.encode())
    run = run_notebook(write_notebook(tmp_path / "lesson.ipynb", RECORD), tmp_path / "run", warm=light)
    assert run.ok and run.record["warm"] is True
    assert not psutil.wait_procs(psutil.Process(light._process.pid).children(), timeout=10)[1]


def test_a_warm_process_with_a_thread_does_not_fork(tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CAUSALKIT_PRELOAD", "threaded")
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    with warm_parent() as parent:
        run = run_notebook(notebook, tmp_path / "run", warm=parent)
    assert run.ok and run.record["warm"] is False


def test_a_long_path_of_temporary_files_is_no_hindrance(tmp_path, monkeypatch):
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    monkeypatch.setenv("CAUSALKIT_PRELOAD", "numpy,ipykernel.kernelapp,papermill")
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    with warm_parent() as parent:
        run = run_notebook(notebook, tmp_path / "run", warm=parent)
    assert run.ok and run.record["warm"] is True


def test_where_forking_is_not_safe_there_is_no_warm_process(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with warm_parent() as parent:
        assert parent is None


@pytest.mark.parametrize("victim", ["owner", "warm", "worker"])
def test_a_killed_process_takes_the_rest_along(tmp_path, victim):
    write_notebook(tmp_path / "lesson.ipynb", "import time\nopen('up', 'w')\ntime.sleep(600)")
    code = (
        "from causalkit.runs import run_notebook, warm_parent\n"
        f"with warm_parent() as warm:\n    print(run_notebook({str(tmp_path / 'lesson.ipynb')!r}, "
        f"{str(tmp_path / 'run')!r}, warm=warm).verdict)\n"
    )
    environment = {**os.environ, "CAUSALKIT_PRELOAD": "numpy,ipykernel.kernelapp,papermill", "TMPDIR": str(tmp_path)}
    owner = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    while not list(tmp_path.glob(".run*/files/up")):
        assert owner.poll() is None
    family = psutil.Process(owner.pid).children(recursive=True)
    server = next(p for p in family if p.ppid() == owner.pid)
    worker = min((p for p in family if p.ppid() == server.pid), key=lambda p: p.create_time())
    assert len(family) == 3
    {"owner": owner, "warm": server, "worker": worker}[victim].send_signal(signal.SIGKILL)
    said, _ = owner.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, alive
    assert said.strip() == ("" if victim == "owner" else "died")
    assert not list(tmp_path.glob("causalkit-*")) or victim == "owner"


def _with(address):
    """The processes that have a socket's path in their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if address in (p.info["cmdline"] or [])]


# For those who call papermill


def test_the_papermill_engine(tmp_path):
    notebook = write_notebook(tmp_path / "lesson.ipynb", "print(seed, sum(range(seed)))")
    for engine in (None, "causalkit"):
        papermill.execute_notebook(
            str(notebook), str(tmp_path / f"{engine}.ipynb"), {"seed": 4}, engine_name=engine, progress_bar=False,
            cwd=str(tmp_path), kernel_name="python3", language="python",
        )  # fmt: skip
    plain, forked = (nbformat.read(tmp_path / f"{e}.ipynb", as_version=4).cells for e in (None, "causalkit"))
    assert [c.get("outputs") for c in plain] == [c.get("outputs") for c in forked]
    assert forked[-1].outputs[0].text == "4 6\n"


def test_threads_must_agree(light, tmp_path):
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    with pytest.raises(ValueError, match="give both the same number"):
        run_notebook(notebook, tmp_path / "run", warm=light, threads=2)
    assert [p.name for p in tmp_path.iterdir()] == ["lesson.ipynb"]


def test_the_memory_limit_is_a_number_above_0(tmp_path):
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    with pytest.raises(ValueError, match="memory is 0"):
        run_notebook(notebook, tmp_path / "run", memory=0)


def test_a_run_that_is_there_gives_way_only_when_told(light, tmp_path):
    notebook = write_notebook(tmp_path / "lesson.ipynb", RECORD)
    first = run_notebook(notebook, tmp_path / "run", warm=light)
    with pytest.raises(ValueError, match="exists already"):
        run_notebook(notebook, tmp_path / "run", warm=light)
    second = run_notebook(notebook, tmp_path / "run", {"seed": 5}, warm=light, replace=True, about={"suite": "mine"})
    assert second.directory == first.directory and second.record["suite"] == "mine"
    assert json.loads(Path(first.directory, "record.json").read_text())["parameters"]["seed"] == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lesson.ipynb", "run"]
