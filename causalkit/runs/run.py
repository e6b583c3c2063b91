"""A finished run, read from its directory, and the comparison of two."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

__all__ = ["SCHEMA", "Run", "Verdict", "compare_runs", "find_runs", "load_run"]

SCHEMA = 2
Verdict = Literal["ok", "failed", "widget_error", "died", "exited", "timeout", "interrupted", "memory"]


@dataclass(frozen=True)
class Run:
    """One execution of one notebook: its directory and what record.json says."""

    directory: Path
    record: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """How it ended; "ok" alone means that the numbers can be used."""
        verdict: Verdict = self.record["verdict"]
        return verdict

    @property
    def ok(self) -> bool:
        """Whether the whole notebook ran and recorded its results."""
        return self.verdict == "ok"

    @property
    def never_started(self) -> bool:
        """Whether it died before a kernel answered: no fault of the notebook, so it may be tried again."""
        return self.verdict == "died" and self.record["timings"]["kernel_start"] is None

    @property
    def killed(self) -> bool:
        """Whether something outside killed it (SIGKILL, too little memory): no result, so it may be run again."""
        failure = self.record["failure"]
        return self.verdict == "died" and (failure["ename"] == "DeadProcess" or "SIGKILL" in failure["evalue"])

    @property
    def notebook(self) -> str:
        """The notebook's name, without .ipynb."""
        return str(self.record["notebook"])

    @property
    def title(self) -> str:
        """The notebook's name, and the study's if it belongs to one."""
        study = self.record["study"]
        return f"{self.notebook} ({study})" if study else self.notebook

    @property
    def why(self) -> str:
        """Why it failed, in one line: which cell (counted from 0), its first source line, what happened."""
        failure = self.record["failure"]
        if failure is None:
            return ""
        place = "" if failure["cell"] is None else f"cell {failure['cell']} ({failure['line']}): "
        return f"{place}{failure['ename']}: {failure['evalue']}"

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics, a row each: metric, value, truth, unit, better, meaning."""
        columns = ["metric", "value", "truth", "unit", "better", "meaning"]
        rows = [{"metric": name, **entry} for name, entry in self.record["metrics"].items()]
        return pd.DataFrame(rows, columns=columns)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The recorded tables by name."""
        return {name: pd.DataFrame(t["rows"], columns=t["columns"]) for name, t in self.record["tables"].items()}


def load_run(directory: str | Path) -> Run:
    """The run that a directory holds.

    Raises:
        ValueError: The directory is no run directory, or its record is damaged or of another version.
    """
    path = Path(directory) / "record.json"
    hint = "expected a directory that `causalkit run` wrote, with a record.json"
    if not path.is_file():
        raise ValueError(f"{directory} is not a run directory: {hint}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): {hint}; run the notebook again") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} is not a record of version {SCHEMA}: {hint}; run the notebook again with this version"
        )
    return Run(Path(directory), record)


def find_runs(directory: str | Path) -> list[Run]:
    """All runs in a directory (a run, a study, or several studies), in the order in which they started.

    Raises:
        ValueError: There is none.
    """
    root = Path(directory)
    found = [p.parent for pattern in ("", "*/", "*/*/") for p in root.glob(f"{pattern}record.json")]
    runs = [load_run(p) for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    if not runs:
        raise ValueError(
            f"{directory} holds no run: expected a directory that `causalkit run` or `causalkit study` wrote"
        )
    return sorted(runs, key=lambda run: str(run.record["started"]))


def compare_runs(first: Run | str | Path, second: Run | str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What differs between two runs.

    Args:
        first: A run, or its directory.
        second: Another one.

    Returns:
        The settings that differ (setting, first, second: notebook, source, verdict, versions and each parameter),
        and the metrics side by side (metric, unit, first, second, difference, ratio); difference is second - first,
        ratio second / first, missing where it is not defined.

    Raises:
        ValueError: One of them is not a run directory.
    """
    runs = [r if isinstance(r, Run) else load_run(r) for r in (first, second)]
    settings = [_settings(run) for run in runs]
    names = list(dict.fromkeys([*settings[0], *settings[1]]))
    rows = [(n, settings[0].get(n, "absent"), settings[1].get(n, "absent")) for n in names]
    differ = pd.DataFrame(
        [row for row in rows if row[1] != row[2]], columns=["setting", "first", "second"], dtype=object
    )
    metrics: list[dict[str, Any]] = [run.record["metrics"] for run in runs]
    lines = []
    for name in dict.fromkeys([*metrics[0], *metrics[1]]):
        entries = [m.get(name) for m in metrics]
        a, b = [None if entry is None else entry["value"] for entry in entries]
        unit = next(entry["unit"] for entry in entries if entry is not None)
        if a is None or b is None:
            lines.append((name, unit, a, b, None, None))
        else:
            lines.append((name, unit, a, b, b - a, b / a if a != 0 else None))
    return differ, pd.DataFrame(lines, columns=["metric", "unit", "first", "second", "difference", "ratio"])


def _settings(run: Run) -> dict[str, Any]:
    record = run.record
    parameters = {f"parameter {name}": value for name, value in record["parameters"].items()}
    versions = {f"version {name}": value for name, value in record["versions"].items()}
    source = {"notebook": record["notebook"], "source": record["source_sha256"][:12], "verdict": record["verdict"]}
    return {**source, **parameters, **versions}
