"""Run again what was run, as it was run, and say which number moved, by how much, and what is different around it.

On the machine, versions, lock and code of the record every metric must come out identical; elsewhere it may deviate
by the tolerance that the suite states. Times and sizes of memory are shown and never count.
"""

from __future__ import annotations

import random
import shlex
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from causalkit.bench.engines import Job, run_job, run_local
from causalkit.bench.results import read_results, read_sweep
from causalkit.runs.manifest import source_sha256
from causalkit.runs.parameters import find_notebook, read_notebook
from causalkit.runs.run import Run, load_run
from causalkit.runs.warm import Warm

__all__ = ["Reproduction", "reproduce_run", "reproduce_suite"]

TOLERANCE = 0.01  # relative, where no suite states one
SMALLEST = 1e-9  # absolute deviation that is always allowed elsewhere: a relative one of 0 is 0
LONGEST = 7 * 86400.0  # seconds, where no time limit is known
MOST = 20  # moved numbers that the summary names
IDENTICAL, WITHIN, MOVED, MISSING = "identical", "within tolerance", "moved", "missing"
NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Reproduction:
    """What came out again.

    frame: a row a run for its verdict, and one for each of its metrics: run (its setting), metric, before, now,
    difference (now - before), relative (to before), allowed (absolute), verdict ("identical", "within tolerance",
    "moved", "missing": not recorded on one of the two sides, "not compared": a time or memory).
    environment: what differs around the runs: what, before, now.
    notes: what else there is to know.
    """

    frame: pd.DataFrame
    environment: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every number that counts came out again."""
        return not self.frame["verdict"].isin([MOVED, MISSING]).any()

    def summary(self) -> str:
        """The outcome in lines of text: counts, every number that moved, what differs in the environment."""
        runs = self.frame["run"].nunique()
        bad = self.frame[self.frame["verdict"].isin([MOVED, MISSING])]
        counts = Counter(self.frame.loc[self.frame["metric"] != "verdict", "verdict"])
        numbers = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common()) or "none"
        lines = [f"{runs - bad['run'].nunique()} of {runs} run{'s' * (runs != 1)} came out again; numbers: {numbers}."]
        lines += [_said(row) for _, row in bad.head(MOST).iterrows()]
        lines += [f"... and {len(bad) - MOST} more"] if len(bad) > MOST else []
        if self.environment.empty:
            lines.append("The environment is that of the record: every number has to be identical.")
        else:
            lines.append("The environment differs from that of the record:")
            lines += [f"  {row['what']}: {row['before']} -> {row['now']}" for _, row in self.environment.iterrows()]
        return "\n".join([*lines, *self.notes])


def reproduce_run(
    directory: str | Path,
    *,
    warm: Warm | None = None,
    timeout: float | None = None,
    stop: threading.Event | None = None,
) -> Reproduction:
    """Run a run's notebook again, with its parameters and thread cap, in a temporary directory; compare all metrics.

    Args:
        directory: A run that `causalkit run` or a sweep wrote; in a sweep, its suite's tolerances and limits hold.
        warm: A warm parent to fork the kernel from; None for a fresh kernel.
        timeout: Seconds for the run; None for the suite's, or none.
        stop: An event that ends it when it is set, as Ctrl-C does.

    Raises:
        ValueError: No run there; its executed notebook is not what the record says, so it cannot be run again.
        OutputError: Nothing can be written.
        KeyboardInterrupt: Ctrl-C; nothing is kept.
    """
    run = load_run(directory)
    place = Path(directory).resolve()
    experiment: dict[str, Any] = {}
    if place.parent.name == "runs" and (place.parents[1] / "sweep.json").is_file():
        sweep = read_sweep(place.parents[1])
        entries = {each["name"]: each for each in sweep["suite"]["experiments"]}
        experiment = entries.get(run.record.get("experiment"), {})
    job = _job(run, experiment, timeout)
    with tempfile.TemporaryDirectory(prefix="causalkit-") as folder:
        now = run_job(job, Path(folder), warm, stop or threading.Event())
    return _reproduction([(run.notebook, experiment, run, now)], _changed_since([(run, experiment)]))


def reproduce_suite(
    directory: str | Path,
    *,
    workers: int = 1,
    sample: int | None = None,
    timeout: float | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reproduction:
    """Run a sweep's runs again, and compare all metrics.

    Args:
        directory: A sweep's directory; nothing in it is changed.
        workers: How many run at once.
        sample: How many runs to draw, the same ones each time; None for all.
        timeout: Seconds a run; None for the suite's.
        stop: An event that ends it when it is set, as Ctrl-C does.
        progress: Called with (runs done, runs in all).

    Raises:
        ValueError: No sweep there, no run in it, or sample or workers below 1.
        OutputError: Nothing can be written.
        KeyboardInterrupt: `stop` was set; nothing is kept.
    """
    for name, value in (("workers", workers), ("sample", sample)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}: expected 1 or more")
    results = read_results(directory)
    experiments = {e["address"]: results.experiment(e["experiment"]) for e in reversed(results.plan)}
    runs = {address: run for address, run in results.runs.items() if not (run.killed or run.never_started)}
    if not runs:
        raise ValueError(f"{directory} holds no finished run: sweep first, then reproduce")
    if sample is not None and sample < len(runs):
        drawn = set(random.Random(0).sample(sorted(runs), sample))
        runs = {address: run for address, run in runs.items() if address in drawn}
    notes = _changed_since([(run, experiments[address]) for address, run in runs.items()])
    notes += [f"{len(results.missing)} planned runs were not run, and are not compared."] if results.missing else []
    jobs: list[Job] = []
    pairs: list[tuple[str, Mapping[str, Any], Run, Run | None]] = []
    for address, run in runs.items():
        try:
            jobs.append(_job(run, experiments[address], timeout))
        except ValueError as error:
            pairs.append((_setting(run, experiments[address]), experiments[address], run, None))
            notes.append(str(error))
    for address, now in _again(jobs, results.sweep["threads"], workers, stop or threading.Event(), progress):
        pairs.append((_setting(runs[address], experiments[address]), experiments[address], runs[address], now))
    order = {address: i for i, address in enumerate(runs)}
    return _reproduction(sorted(pairs, key=lambda pair: order[pair[2].directory.name]), notes)


def _again(
    jobs: list[Job], threads: int, workers: int, stop: threading.Event, progress: Callable[[int, int], None] | None
) -> list[tuple[str, Run]]:
    """Address and new run of every job; the runs' directories are gone, what is compared is in their records."""
    found: list[tuple[str, Run]] = []
    with tempfile.TemporaryDirectory(prefix="causalkit-", ignore_cleanup_errors=True) as folder:
        try:
            ended = run_local(
                jobs, Path(folder), workers=workers, threads=threads, stop=stop, began=lambda address: None
            )
            for outcome in ended:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.run is None:
                    raise KeyboardInterrupt
                found.append((outcome.job.address, outcome.run))
                if progress is not None:
                    progress(len(found), len(jobs))
        finally:
            stop.set()  # whatever ended the loop early also ends what is running
    return found


def _job(run: Run, experiment: Mapping[str, Any], timeout: float | None) -> Job:
    """The run once more: its notebook is the executed one, without outputs and without papermill's cell."""
    import nbformat

    notebook = read_notebook(run.directory / "executed.ipynb")
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    if source_sha256(notebook) != run.record["source_sha256"]:
        raise ValueError(
            f"{run.directory / 'executed.ipynb'} was changed: its cells are not those of the record, so the run cannot "
            "be repeated as it was; run the notebook anew"
        )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    limit = timeout or experiment.get("timeout") or LONGEST
    if run.verdict == "timeout" and limit == LONGEST:
        raise ValueError(f"{run.directory} ended by its time limit, which is not recorded: give a timeout in seconds")
    record = run.record
    return Job(
        address=run.directory.name, stem=run.notebook, notebook=nbformat.writes(notebook),
        parameters=record["parameters"], timeout=float(limit), memory=experiment.get("memory"),
        threads=record["machine"]["threads"], about={},
    )  # fmt: skip


def _reproduction(pairs: list[tuple[str, Mapping[str, Any], Run, Run | None]], notes: list[str]) -> Reproduction:
    rows: list[tuple[Any, ...]] = []
    differ: dict[tuple[str, str, str], None] = {}
    for setting, experiment, before, now in pairs:
        if now is None:
            rows.append((setting, "verdict", before.verdict, None, None, None, None, MISSING))
            continue
        changes = _changes(before.record, now.record)
        differ |= dict.fromkeys(changes)
        verdict = IDENTICAL if before.verdict == now.verdict else MOVED
        rows.append((setting, "verdict", before.verdict, now.verdict, None, None, None, verdict))
        if verdict == MOVED and not now.ok:  # without numbers: they would all be missing
            notes.append(f"{setting}: {now.why}")
            continue
        tolerances = {name: entry["tolerance"] for name, entry in experiment.get("metrics", {}).items()}
        rows += [(setting, *row) for row in _compare(before, now, not changes, tolerances)]
    columns = ["run", "metric", "before", "now", "difference", "relative", "allowed", "verdict"]
    environment = pd.DataFrame(list(differ), columns=["what", "before", "now"])
    return Reproduction(pd.DataFrame(rows, columns=columns, dtype=object), environment, tuple(dict.fromkeys(notes)))


def _compare(before: Run, now: Run, same: bool, tolerances: Mapping[str, float]) -> list[tuple[Any, ...]]:
    """(metric, before, now, difference, relative, allowed, verdict) of every metric of either run."""
    old, new = before.record["metrics"], now.record["metrics"]
    rows: list[tuple[Any, ...]] = []
    for name in dict.fromkeys([*old, *new]):
        a, b = (metrics.get(name, {}).get("value") for metrics in (old, new))
        known = a is not None and b is not None
        difference = b - a if known else None
        relative = difference / abs(a) if known and a else None
        allowed = None if a is None else 0.0 if same else max(tolerances.get(name, TOLERANCE) * abs(a), SMALLEST)
        if name not in old or name not in new:
            verdict = MISSING
        elif not old[name].get("repeats", True):
            verdict, allowed = NOT_COMPARED, None
        elif a == b:
            verdict = IDENTICAL
        else:
            verdict = WITHIN if known and not same and abs(b - a) <= allowed else MOVED
        rows.append((name, a, b, difference, relative, allowed, verdict))
    return rows


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs of all that a number may hang on."""
    sides = []
    for record in (before, now):
        machine = {name: record["machine"].get(name) for name in ("os", "architecture", "cpu")}
        versions = {f"version of {name}": version for name, version in record["versions"].items()}
        hashes = {"code": record.get("code_sha256"), "lock": record.get("lock_sha256")}
        sides.append({**machine, **versions, **{name: value and value[:12] for name, value in hashes.items()}})
    names = dict.fromkeys([*sides[0], *sides[1]])
    rows = [(name, *(str(side.get(name) or "none") for side in sides)) for name in names]
    return [(name, a, b) for name, a, b in rows if a != b]


def _changed_since(runs: list[tuple[Run, Mapping[str, Any]]]) -> list[str]:
    """A note for each notebook whose file is not any more what was run, or is gone."""
    notes: dict[str, None] = {}
    for run, experiment in runs:
        words = shlex.split(run.record.get("command") or "")
        named = experiment.get("notebook") or (words[2] if words[:2] == ["causalkit", "run"] else run.notebook)
        try:
            path = find_notebook(named)
            same = source_sha256(read_notebook(path)) == run.record["source_sha256"]
        except ValueError:
            notes[f"The notebook {named} is not here any more; its recorded cells were run."] = None
            continue
        if not same:
            notes[f"The notebook {named} has changed since; its recorded cells were run."] = None
    return list(notes)


def _setting(run: Run, experiment: Mapping[str, Any]) -> str:
    names = [*experiment["axes"], "seed"]
    levels = ", ".join(f"{name}={run.record['parameters'].get(name)}" for name in names)
    return f"{experiment['name']} ({levels})"


def _said(row: pd.Series) -> str:
    text = f"{row['verdict']}: {row['metric']} of {row['run']}: {_shown(row['before'])} -> {_shown(row['now'])}"
    if row["difference"] is None:
        return text
    share = "" if row["relative"] is None else f", {100 * row['relative']:+.3g} %"
    return f"{text} ({row['difference']:+.3g}{share}; allowed {row['allowed']:.3g})"


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
