"""A sweep: the runs of a suite that are not done yet, landed one by one in a directory that can be picked up again.

At any moment the directory is whole: sweep.json is written before the first run, every run is there with its record or
not at all, and the tables and the report are made from both. So a killed sweep loses the runs in flight alone.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from causalkit.bench.directory import check_directory, hashes, locked, prepare, resume_command, unwritable
from causalkit.bench.engines import Job, Outcome, connect, run_local, run_on_dask
from causalkit.bench.plan import Plan, is_result, plan_suite
from causalkit.bench.results import read_results, write_results
from causalkit.bench.suite import Suite
from causalkit.runs import environment
from causalkit.runs.manifest import command_line
from causalkit.runs.results import OutputError
from causalkit.runs.run import Run

__all__ = ["Count", "Status", "run_suite", "stoppable"]


@dataclass(frozen=True)
class Count:
    """Runs of one experiment: done includes failed."""

    planned: int
    done: int
    running: int
    failed: int


@dataclass(frozen=True)
class Status:
    """Where a sweep stands.

    `total` counts a run once that several experiments share; `fresh` is how many of the done ones this sweep ran since
    `start` (on the clock time.monotonic); `runs` are the done ones by address; `lost` maps the address of a run without
    a record to the reason, `damaged` the name of a record that was set aside.
    """

    plan: Plan
    counts: dict[str, Count]
    total: Count
    fresh: int
    start: float
    runs: dict[str, Run]
    damaged: dict[str, str]
    lost: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every planned run is done and none failed."""
        return self.total.done == self.total.planned and not self.total.failed


def run_suite(
    suite: Suite,
    directory: str | Path | None = None,
    *,
    workers: int = 1,
    threads: int = 1,
    dask: str | None = None,
    again_failed: bool = False,
    progress: Callable[[Status], None] | None = None,
) -> Status:
    """Run what is not done yet of a suite, and write its tables and report.

    Args:
        suite: From `load_suite`, or `recorded_suite`.
        directory: The sweep's directory; default: results/SUITE.
        workers: How many runs at once on this machine.
        threads: Cap on the threads of numerical libraries in each run.
        dask: Address of a Dask scheduler, whose workers run instead of this machine.
        again_failed: Run failed ones once more.
        progress: Called with the status whenever it changes, from several threads.

    Returns:
        The status at the end; failed runs are results.

    Raises:
        ValueError: The directory is of another sweep or version, or in use; no scheduler answers or a worker has
            other versions; a run does not report a metric that the suite lists. What ran is kept.
        OutputError: The disk is full, or cannot be written. What ran is kept.
        KeyboardInterrupt: Ctrl-C or SIGTERM: no kernel is left, what ran is kept.
    """
    if not workers > 0:
        raise ValueError(f"workers is {workers}: expected a number above 0")
    plan = plan_suite(suite, directory, threads=threads)
    with contextlib.ExitStack() as stack:
        check_directory(plan)
        client = stack.enter_context(connect(dask)) if dask is not None else None
        stack.enter_context(locked(plan.directory))
        check_directory(plan)
        try:
            prepare(plan, {"workers": workers, "threads": threads, "dask": dask})
        except OSError as error:
            raise unwritable(plan, error) from error
        sweep = _Sweep(plan, again_failed, progress or (lambda status: None))
        jobs = sweep.jobs()
        if not jobs:
            outcomes: Iterator[Outcome] = iter(())
        elif client is not None:
            outcomes = run_on_dask(
                jobs, sweep.folder, client=client, basis=plan.basis, stop=sweep.stop, began=sweep.began
            )
        else:
            outcomes = run_local(
                jobs, sweep.folder, workers=workers, threads=threads, stop=sweep.stop, began=sweep.began
            )
        with stoppable(sweep.stop):
            sweep.follow(outcomes)
        return sweep.finish()


class _Sweep:
    """The state of a sweep while it runs; its methods may be called from several threads."""

    def __init__(self, plan: Plan, again_failed: bool, progress: Callable[[Status], None]):
        results = read_results(plan.directory)  # sets damaged records aside
        self.plan, self.folder, self.stop = plan, plan.directory / "runs", threading.Event()
        self._progress, self._damaged, self._lost = progress, results.damaged, dict[str, str]()
        self._done: dict[str, Run] = {
            key: run for key, run in results.runs.items() if is_result(run) and (run.ok or not again_failed)
        }
        self._running: set[str] = set()
        self._fresh, self._start, self._lock = 0, time.monotonic(), threading.Lock()
        for run in self._done.values():
            self._check_metrics(run)

    def jobs(self) -> list[Job]:
        """A job for every address that is not done."""
        plan, suite = self.plan, self.plan.suite
        experiments = {experiment.name: experiment for experiment in suite.experiments}
        texts = {path: path.read_text(encoding="utf-8") for path in plan.sources}
        states = {path: environment.git_state(path) for path in plan.sources}
        shared = {"suite": suite.name, "budget": suite.budget, **hashes(plan)}
        jobs: dict[str, Job] = {}
        for run in plan.runs:
            if run.address in self._done or run.address in jobs:
                continue
            given = experiments[run.experiment]
            threads = plan.basis["threads"]
            command = command_line(
                given.notebook, run.parameters, timeout=given.timeout, memory=given.memory, threads=threads
            )
            about = {"experiment": run.experiment, "address": run.address, "git": states[given.notebook]}
            jobs[run.address] = Job(
                run.address, given.notebook.stem, texts[given.notebook], run.parameters, given.timeout, given.memory,
                threads, {**shared, **about, "command": command},
            )  # fmt: skip
        self._tell()
        return list(jobs.values())

    def began(self, address: str) -> None:
        """A run has begun."""
        with self._lock:
            self._running.add(address)
        self._tell()

    def follow(self, outcomes: Iterator[Outcome]) -> None:
        """Take in outcomes to the end; after an error the engine is stopped, and what it still hands over is kept."""
        problem: ValueError | None = None
        for outcome in outcomes:
            address = outcome.job.address
            with self._lock:
                self._running.discard(address)
                if outcome.run is not None:
                    self._done[address] = outcome.run
                    self._fresh += 1
                if outcome.lost:
                    self._lost[address] = outcome.lost
            try:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.run is not None:
                    self._check_metrics(outcome.run)
            except ValueError as error:
                problem = problem or error
                self.stop.set()
            self._tell()
        if problem is not None:
            kind = OutputError if isinstance(problem, OutputError) else ValueError
            words = str(problem).removesuffix("; nothing was kept")  # of that run
            raise kind(f"{words}. {self._so_far()}") from problem
        if self.stop.is_set():
            write_results(self.plan.directory)
            raise KeyboardInterrupt(self._so_far())

    def finish(self) -> Status:
        """Write tables and report."""
        from causalkit.bench.report import write_suite_report

        write_results(self.plan.directory)
        write_suite_report(self.plan.directory)
        return self._status()

    def _check_metrics(self, run: Run) -> None:
        """A metric that no run will ever report is found out after the first, not after the last."""
        if not run.ok:
            return
        here = {planned.experiment for planned in self.plan.runs if planned.address == run.directory.name}
        for experiment in self.plan.suite.experiments:
            for name in experiment.metrics:
                if experiment.name in here and name not in run.record["metrics"]:
                    raise ValueError(
                        f"experiment {experiment.name!r} lists the metric {name!r}, and run {run.directory.name} "
                        f"reports {', '.join(run.record['metrics'])}: mend the suite or the notebook"
                    )

    def _so_far(self) -> str:
        total = self._status().total
        return f"{total.done} of {total.planned} runs are done and kept; go on with: {resume_command(self.plan)}"

    def _tell(self) -> None:
        self._progress(self._status())

    def _status(self) -> Status:
        with self._lock:
            done, running = dict(self._done), set(self._running)
            fresh, lost = self._fresh, dict(self._lost)
        groups: dict[str, list[str]] = {experiment.name: [] for experiment in self.plan.suite.experiments}
        for run in self.plan.runs:
            groups[run.experiment].append(run.address)

        def count(addresses: list[str]) -> Count:
            ended = [done[each] for each in addresses if each in done]
            return Count(
                len(addresses), len(ended), sum(each in running for each in addresses), sum(not r.ok for r in ended)
            )

        counts = {name: count(addresses) for name, addresses in groups.items()}
        total = count(self.plan.addresses)
        return Status(self.plan, counts, total, fresh, self._start, done, self._damaged, lost)


@contextlib.contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """For the time of a `with` block, Ctrl-C and SIGTERM set `stop`: work ends in one place, not in mid-line."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
