"""Where the runs of a sweep happen: in threads on this machine (joblib), or on the workers of a Dask cluster.

Every run is a process of its own whatever the engine; `run_job` does one, for both. An engine takes jobs and yields
outcomes as they come in.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import queue
import shutil
import tarfile
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from causalkit.runs import environment
from causalkit.runs.execute import run_notebook
from causalkit.runs.results import OutputError
from causalkit.runs.run import Run, load_run
from causalkit.runs.warm import Warm, warm_parent

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["TRIES", "Job", "Outcome", "connect", "run_job", "run_local", "run_on_dask"]

TRIES = 3  # how often a run is started until a kernel answers
ANSWER = 5.0  # seconds that a scheduler has to answer
LOOK = 0.3  # seconds between looks whether a run is still wanted
_WARMING = threading.Lock()


@dataclass(frozen=True)
class Job:
    """All that one run needs, wherever it happens: `notebook` is the text of the file, `stem` its name."""

    address: str
    stem: str
    notebook: str
    parameters: dict[str, Any]
    timeout: float
    memory: float | None
    threads: int
    about: dict[str, Any]


class Outcome(NamedTuple):
    """What became of a job: a run, an error that ends the sweep, `lost` (why it has no run), or none if stopped."""

    job: Job
    run: Run | None = None
    error: ValueError | None = None
    lost: str = ""


def run_job(job: Job, folder: Path, warm: Warm | None, stop: threading.Event) -> Run:
    """Run one job into folder/ADDRESS, and again if no kernel started.

    Raises:
        OutputError: The results cannot be written.
        KeyboardInterrupt: `stop` was set; nothing was kept.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{job.address}.notebook-", dir=folder) as name:
            notebook = Path(name, f"{job.stem}.ipynb")
            notebook.write_text(job.notebook, encoding="utf-8")
            for attempt in range(1, TRIES + 1):
                run = run_notebook(
                    notebook,
                    folder / job.address,
                    job.parameters,
                    timeout=job.timeout,
                    memory=job.memory,
                    threads=job.threads,
                    warm=warm,
                    about={**job.about, "attempts": attempt},
                    replace=True,
                    stop=stop,
                )
                if not run.never_started:
                    break
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}): free some space") from error
    return run


def run_local(
    jobs: Iterable[Job],
    folder: Path,
    *,
    workers: int,
    threads: int,
    stop: threading.Event,
    began: Callable[[str], None],
) -> Iterator[Outcome]:
    """Run jobs on this machine, several at once, with kernels forked from one warm process.

    Args:
        jobs: The jobs.
        folder: Where the runs land, each under its address.
        workers: How many run at once.
        threads: Cap on the threads of numerical libraries in each run.
        stop: Once set, running jobs are ended and no further one begins.
        began: Called with the address of each job that begins, from several threads.
    """
    from joblib import Parallel, delayed

    with warm_parent(threads) as warm:

        def one(job: Job) -> Outcome:
            if stop.is_set():
                return Outcome(job)
            began(job.address)
            try:
                return Outcome(job, run_job(job, folder, warm, stop))
            except KeyboardInterrupt:
                return Outcome(job)
            except ValueError as error:
                return Outcome(job, error=error)

        # The threads only wait for processes. Errors travel as values: joblib would drop what else is running.
        parallel = Parallel(
            n_jobs=workers, backend="threading", batch_size=1, pre_dispatch=workers, return_as="generator_unordered"
        )
        yield from parallel(delayed(one)(job) for job in jobs)


def connect(address: str) -> Client:
    """A client of the Dask scheduler at an address such as "tcp://host:8786".

    Raises:
        ValueError: Dask is not installed; nothing answers within seconds.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("--dask needs Dask: pip install 'causalkit-lab[dask]'") from error
    try:
        return Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no Dask scheduler answers at {address!r} within {ANSWER:g} s: start one with `dask scheduler`, or check "
            f"the address ({str(error).splitlines()[0]})"
        ) from error


def run_on_dask(
    jobs: Iterable[Job],
    folder: Path,
    *,
    client: Client,
    basis: Mapping[str, Any],
    stop: threading.Event,
    began: Callable[[str], None],
) -> Iterator[Outcome]:
    """Run jobs on the workers of a Dask cluster; a run travels back through the client, no shared disk is needed.

    Args:
        jobs: The jobs.
        folder: Where the runs land on this machine, each under its address.
        client: From `connect`.
        basis: What results hang on here (`Plan.basis`); a worker with other code or versions refuses.
        stop: Once set, running jobs are ended and no further one begins.
        began: Called with the address of each job that begins, and again if another worker takes it over.
    """
    topic = f"causalkit-{uuid.uuid4()}"
    client.subscribe_topic(topic, lambda event: began(event[1]))
    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    pending: dict[Any, Job] = {}
    futures = []
    for job in jobs:
        future = client.submit(_remote_run, job, dict(basis), topic, key=f"{job.address}-{topic}", pure=False)
        pending[future.key] = job
        futures.append(future)
        future.add_done_callback(ended.put)
    try:
        while pending and not stop.is_set():
            try:
                future = ended.get(timeout=LOOK)
            except queue.Empty:
                continue
            yield _landed(pending.pop(future.key), future, folder)
            futures.remove(future)
    finally:
        if client.status == "running":
            client.cancel(futures, force=True)  # the workers see it and end what they run
            client.unsubscribe_topic(topic)
    for job in pending.values():
        yield Outcome(job)


def _landed(job: Job, future: Future, folder: Path) -> Outcome:
    """The outcome of a task that ended, its run unpacked beside its final place and renamed."""
    from distributed import KilledWorker

    if future.cancelled():
        return Outcome(job, error=ValueError("the connection to the Dask scheduler was lost"))
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Outcome(job, lost=f"every worker that took it up died ({error.last_worker.address} was the last)")
    if error is not None:
        return Outcome(job, error=ValueError(f"a Dask worker could not do run {job.address}: {error}"))
    final, partial = folder / job.address, folder / f".{job.address}.partial-{uuid.uuid4()}"
    try:
        with tarfile.open(fileobj=io.BytesIO(future.result())) as archive:
            archive.extractall(partial, filter="data")
        if final.exists():
            os.rename(final, folder / f".{job.address}.old-{uuid.uuid4()}")
        os.rename(partial, final)
    except OSError as problem:
        return Outcome(job, error=OutputError(f"{final} cannot be written ({problem.strerror}): free some space"))
    finally:
        for rest in folder.glob(f".{job.address}.*"):
            shutil.rmtree(rest, ignore_errors=True)
    return Outcome(job, load_run(final))


def _remote_run(job: Job, basis: dict[str, Any], topic: str) -> bytes:
    """On a Dask worker: run a job in a scratch folder, and return the run's directory as a tar archive.

    Raises:
        ValueError: This worker has other code or versions than the client.
    """
    from distributed import get_worker

    worker = get_worker()
    _check_same(worker.address, basis)
    worker.log_event(topic, job.address)
    stop, over = threading.Event(), threading.Event()
    task = worker.get_current_task()

    def watch() -> None:
        """Set `stop` when nobody waits for this task any more: it was cancelled, or client or scheduler are gone."""
        while not over.wait(LOOK):
            state = worker.state.tasks.get(task)
            wanted = state is not None and state.state in ("executing", "long-running")
            if not wanted or worker.status.name not in ("running", "paused"):
                stop.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="causalkit-") as name:
            run = run_job(job, Path(name), _worker_warm(job.threads), stop)
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
                archive.add(run.directory, ".")
            return packed.getvalue()
    except KeyboardInterrupt as error:
        raise ValueError("stopped: nobody waits for it any more") from error
    finally:
        over.set()


def _check_same(worker: str, basis: Mapping[str, Any]) -> None:
    """A number computed by other code under the same address would be a lie."""
    here, there = environment.versions(), basis["versions"]
    differs = [
        f"{name} {here.get(name, 'missing')} instead of {there.get(name, 'none')}"
        for name in dict.fromkeys([*there, *here])
        if here.get(name) != there.get(name)
    ]
    if environment.code_sha256() != basis["code_sha256"]:
        differs.append("other code of causalkit itself")
    if differs:
        raise ValueError(f"worker {worker} has {', '.join(differs)}: install there what is installed here")


def _worker_warm(threads: int) -> Warm | None:
    """One warm process for all runs of this Dask worker process, for as long as it lives."""
    with _WARMING:  # a worker may have several threads
        return _kept_warm(threads)


@lru_cache
def _kept_warm(threads: int) -> Warm | None:
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(warm_parent(threads))
