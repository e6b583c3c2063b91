"""What a sweep left in its directory: read with care, and written again as one tidy table.

The truth is sweep.json (the plan) and runs/ADDRESS/record.json (a record a run); results.jsonl, table.csv and
table.parquet are derived from them and can be written again at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from causalkit.errors import unknown
from causalkit.runs.results import OutputError, write_text
from causalkit.runs.run import Run, load_run

__all__ = [
    "NOT_RUN",
    "Results",
    "axis_column",
    "metric_column",
    "read_results",
    "read_sweep",
    "read_tables",
    "results_table",
    "write_results",
]

SCHEMA = 1
NOT_RUN = "not run"
FIRST = ("suite", "experiment", "address", "verdict", "seed")
LAST = ("total_seconds", "peak_memory_mib", "attempts")
NEEDED: dict[str, type] = {
    "verdict": str, "notebook": str, "parameters": dict, "metrics": dict, "tables": dict, "timings": dict,
    "versions": dict, "machine": dict, "started": str, "finished": str, "source_sha256": str,
}  # fmt: skip


@dataclass(frozen=True)
class Results:
    """A sweep as it stands: sweep.json, address -> run in the order of the plan, name -> why it was set aside."""

    directory: Path
    sweep: dict[str, Any]
    runs: dict[str, Run]
    damaged: dict[str, str]

    @property
    def suite(self) -> dict[str, Any]:
        """The suite's entry of sweep.json: name, title, about, experiments."""
        suite: dict[str, Any] = self.sweep["suite"]
        return suite

    @property
    def plan(self) -> list[dict[str, Any]]:
        """The planned runs: address, experiment, parameters."""
        plan: list[dict[str, Any]] = self.sweep["plan"]
        return plan

    @property
    def missing(self) -> list[dict[str, Any]]:
        """The planned runs that there is no record of."""
        return [entry for entry in self.plan if entry["address"] not in self.runs]

    def experiment(self, name: str) -> dict[str, Any]:
        """The entry of an experiment: question, axes, metrics, baseline, ...

        Raises:
            ValueError: The suite has no such experiment.
        """
        experiments: dict[str, dict[str, Any]] = {each["name"]: each for each in self.suite["experiments"]}
        if name not in experiments:
            raise unknown("experiment", name, experiments)
        return experiments[name]

    def frame(self, experiment: str | None = None) -> pd.DataFrame:
        """The tidy table of all planned runs (or of one experiment's), those that are not run yet included.

        Returns:
            The columns of `results_table`; the verdict of a run without a record is "not run".
        """
        return _frame(
            [
                _line(self, entry, self.runs.get(entry["address"]))
                for entry in self.plan
                if experiment in (None, entry["experiment"])
            ]
        )


def axis_column(axis: str) -> str:
    """The column of a swept parameter: its name, or NAME_parameter where the table has a column of that name anyway."""
    return f"{axis}_parameter" if axis in (*FIRST, *LAST) else axis


def metric_column(table: pd.DataFrame, metric: str) -> str:
    """The column of a metric: its name, or NAME_measured where a parameter or another column has that name."""
    return f"{metric}_measured" if f"{metric}_measured" in table.columns else metric


def read_sweep(directory: str | Path) -> dict[str, Any]:
    """The sweep.json of a sweep's directory.

    Raises:
        ValueError: There is none; it cannot be read; it is of another version.
    """
    path = Path(directory) / "sweep.json"
    if not path.is_file():
        raise ValueError(f"{directory} holds no sweep: expected a directory that `causalkit bench` wrote")
    try:
        sweep = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): sweep into another --output, or remove the file") from error
    known: dict[str, type] = {"suite": dict, "plan": list, "budget": str}
    if not isinstance(sweep, dict) or sweep.get("schema") != SCHEMA or _absent(sweep, known):
        raise ValueError(
            f"{path} is not of version {SCHEMA}: another version of causalkit wrote it; read it with that version, or "
            "sweep into another --output"
        )
    return sweep


def read_results(directory: str | Path) -> Results:
    """Read a sweep's plan and every planned run.

    A damaged record (cut off, of another version, with parts missing) is named, and its run moved to damaged/ with
    the reason in why.txt; it counts as not run, so that the next sweep runs it again.

    Raises:
        ValueError: The directory holds no sweep, or its sweep.json is no good.
    """
    root = Path(directory)
    sweep = read_sweep(root)
    runs: dict[str, Run] = {}
    damaged = {p.parent.name: p.read_text(encoding="utf-8") for p in sorted(root.glob("damaged/*/why.txt"))}
    for address in dict.fromkeys(entry["address"] for entry in sweep["plan"]):
        place = root / "runs" / address
        if os.path.lexists(place):
            try:
                runs[address] = _read_run(place)
            except ValueError as error:
                damaged[_set_aside(place, root / "damaged", str(error))] = str(error)
    return Results(root, sweep, runs, damaged)


def results_table(directory: str | Path) -> pd.DataFrame:
    """The tidy table of a sweep: one row a run that has a record, in the order of the plan.

    Returns:
        Columns suite, experiment, address, verdict, seed; every swept parameter (`axis_column`; lists and dicts as
        JSON text); every recorded metric (`metric_column`; missing where a run failed); total_seconds,
        peak_memory_mib, attempts.

    Raises:
        ValueError: The directory holds no sweep.
    """
    return _frame(_lines(read_results(directory)))


def write_results(directory: str | Path) -> list[Path]:
    """Write results.jsonl, table.csv, and where pyarrow is installed table.parquet; each whole or not at all.

    Returns:
        The files written.

    Raises:
        ValueError: The directory holds no sweep.
        OutputError: A file cannot be written.
    """
    from importlib.util import find_spec

    results = read_results(directory)
    lines = _lines(results)
    root, table = results.directory, _frame(lines)
    written = [root / "results.jsonl", root / "table.csv"]
    try:
        write_text(written[0], "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
        write_text(written[1], table.to_csv(index=False, lineterminator="\n"))
        if find_spec("pyarrow") is not None:
            written.append(root / "table.parquet")
            partial = root / f".table.parquet.{os.getpid()}"
            try:
                table.to_parquet(partial, index=False)
                os.replace(partial, written[-1])
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the tables in {root} cannot be written ({error.strerror or error}): free some space; the runs are kept"
        ) from error
    return written


def read_tables(paths: Iterable[str | Path]) -> pd.DataFrame:
    """One tidy table of several sweeps, with the columns of `results_table`.

    Args:
        paths: Files such as results.jsonl, directories of sweeps, or directories of such directories.

    Raises:
        ValueError: A path without results; a line that is no record, named by file and number.
    """
    lines: list[dict[str, Any]] = []
    for path in map(Path, paths):
        files = [path] if path.is_file() else sorted([*path.glob("*.jsonl"), *path.glob("*/results.jsonl")])
        if not files:
            raise ValueError(
                f"{path} holds no results: expected a results.jsonl of `causalkit bench`, or a directory with some"
            )
        for file in files:
            lines += [_parse(file, i, text) for i, text in enumerate(file.read_text("utf-8").splitlines(), 1)]
    return _frame(lines)


def _absent(record: dict[str, Any], needed: dict[str, type]) -> list[str]:
    """The keys that are not there, or not of the type they should have."""
    return [key for key, kind in needed.items() if not isinstance(record.get(key), kind)]


def _read_run(place: Path) -> Run:
    run = load_run(place)
    absent = _absent(run.record, NEEDED) + ["failure"] * ("failure" not in run.record)
    if not absent:
        metrics = run.record["metrics"].items()
        absent = [f"metric {name}" for name, entry in metrics if not isinstance(entry, dict) or "value" not in entry]
    if absent:
        raise ValueError(f"{place}/record.json lacks {', '.join(absent)}")
    if run.record.get("address", place.name) != place.name:
        raise ValueError(f"{place}/record.json is the record of another run, {run.record['address']}")
    return run


def _set_aside(place: Path, folder: Path, why: str) -> str:
    """Move a run to damaged/ and return its name there; where nothing can be written, it stays and is only named."""
    names = (place.name + suffix for suffix in ("", *(f"-{i}" for i in range(2, 1000))))
    name = next(name for name in names if not os.path.lexists(folder / name))
    try:
        folder.mkdir(exist_ok=True)
        os.rename(place, folder / name)
        if (folder / name).is_dir():
            (folder / name / "why.txt").write_text(why, encoding="utf-8")
    except OSError:
        return place.name
    return name


def _lines(results: Results) -> list[dict[str, Any]]:
    runs = results.runs
    return [_line(results, entry, runs[entry["address"]]) for entry in results.plan if entry["address"] in runs]


def _line(results: Results, entry: dict[str, Any], run: Run | None) -> dict[str, Any]:
    """A line of results.jsonl: the record, without the seconds of each cell, under the names that the plan gives."""
    named = {"suite": results.suite["name"], "experiment": entry["experiment"], "address": entry["address"]}
    plan = {"axes": results.experiment(entry["experiment"])["axes"], "parameters": entry["parameters"]}
    if run is None:
        return {**named, **plan, "verdict": NOT_RUN}
    timings = {key: value for key, value in run.record["timings"].items() if key != "cells"}
    return {**named, **run.record, **named, **plan, "timings": timings}


def _parse(file: Path, number: int, text: str) -> dict[str, Any]:
    needed: dict[str, type] = {
        "suite": str,
        "experiment": str,
        "address": str,
        "verdict": str,
        "axes": list,
        "parameters": dict,
    }
    try:
        line = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{file}, line {number} is no JSON ({error}): write the file again") from error
    if not isinstance(line, dict) or _absent(line, needed):
        raise ValueError(f"{file}, line {number} is not the record of a run: expected a results.jsonl of a sweep")
    return line


def _frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines as a table, each column of one type."""
    axes = dict.fromkeys(axis for line in lines for axis in line["axes"] if axis != "seed")
    metrics = dict.fromkeys(name for line in lines for name in line.get("metrics", {}))
    columns: dict[str, Any] = {name: [line[name] for line in lines] for name in FIRST[:-1]}
    columns["seed"] = [line["parameters"].get("seed") for line in lines]
    for axis in axes:
        values = [line["parameters"].get(axis) for line in lines]
        columns[axis_column(axis)] = _one_type(values)
    taken = {*columns, *LAST}
    for name in metrics:
        values = [line.get("metrics", {}).get(name, {}).get("value") for line in lines]
        columns[f"{name}_measured" if name in taken else name] = pd.array(values, "float64")
    columns["total_seconds"] = pd.array([line.get("timings", {}).get("total") for line in lines], "float64")
    columns["peak_memory_mib"] = pd.array([line.get("peak_memory") for line in lines], "float64")
    columns["attempts"] = pd.array([line.get("attempts") for line in lines], "Int64")
    return pd.DataFrame(columns)


def _one_type(values: list[Any]) -> list[Any]:
    """Values that one column can hold: lists and dicts as JSON text, and all as text where their types differ."""
    values = [json.dumps(value) if isinstance(value, list | dict) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return values
    return [None if value is None else str(value) for value in values]
