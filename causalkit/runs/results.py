"""What a notebook's last cell hands over: named metrics with meaning and unit, and tables.

In a headless run `record` writes them to the file that the run waits for; in JupyterLab it only shows them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from causalkit.errors import unknown

__all__ = ["RESULT_VARIABLE", "OutputError", "metric", "record", "write_text"]

RESULT_VARIABLE = "CAUSALKIT_RESULT"
KEYS = {"value", "meaning", "unit", "better", "truth", "repeats"}


class OutputError(ValueError):
    """A result could not be written: the disk is full, or the place is not writable."""


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: a reader never sees half of it.

    Raises:
        OSError: The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def metric(
    value: object,
    meaning: str,
    *,
    unit: str,
    better: str | None = None,
    truth: object = None,
    repeats: bool = True,
) -> dict[str, Any]:
    """One number of a run, with what it means.

    Args:
        value: A number, a bool, or a numpy or torch scalar; None where it is not defined.
        meaning: What the number says, in words.
        unit: Its unit: "edges", "nats", "share", ...
        better: "lower" or "higher"; None where neither is better.
        truth: The true value, where the simulation knows it.
        repeats: False for a time or a size of memory, which the same run measures otherwise the next time.

    Raises:
        ValueError: A value that is not a single number; no meaning or unit; an unknown `better`.

    Example:
        >>> metric(3, "wrong edges", unit="edges", better="lower", truth=0)["value"]
        3
    """
    for name, text in (("meaning", meaning), ("unit", unit)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"a metric's {name} is {text!r}: say it in words, as in metric(3, 'wrong edges', unit='edges')"
            )
    if better not in (None, "lower", "higher"):
        raise unknown("value of better", better, ["lower", "higher"])
    return {
        "value": _number(value), "meaning": meaning, "unit": unit, "better": better, "truth": _number(truth),
        "repeats": bool(repeats),
    }  # fmt: skip


def record(
    metrics: Mapping[str, dict[str, Any]],
    tables: Mapping[str, pd.DataFrame] | None = None,
    seeds: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Record a notebook's results, and show them; call it once, in the last cell.

    Args:
        metrics: Name -> `metric(...)`.
        tables: Name -> frame; missing and infinite numbers become null.
        seeds: Name -> the seed that the notebook derived for it from its parameters ("data", "model", ...).

    Returns:
        A frame with a row a metric: metric, value, unit, meaning, and truth where one is known.

    Raises:
        ValueError: No metrics; an entry that `metric` did not make; NaN or infinity; a table that is no frame;
            a seed that is no int; a second call in one headless run.
        OutputError: The result file cannot be written.

    Example:
        >>> record({"shd": metric(3, "wrong edges", unit="edges")})
          metric value   unit      meaning
        0    shd     3  edges  wrong edges
    """
    if not metrics:
        raise ValueError('no metrics: record at least one, record({"shd": metric(3, "wrong edges", unit="edges")})')
    for name, entry in metrics.items():
        if not isinstance(entry, dict) or entry.keys() != KEYS:
            raise ValueError(f"metric {name!r} is {entry!r}: make it with metric(value, meaning, unit=...)")
        for part in ("value", "truth"):
            if entry[part] is not None and not math.isfinite(entry[part]):
                raise ValueError(
                    f"metric {name!r} has {part} {entry[part]}: record None where a number is not defined, "
                    "or find out why it is not finite"
                )
    for name, seed in (seeds or {}).items():
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(
                f"seed {name!r} is {seed!r}: expected an int, such as causalkit.seeds.integer(seed, 'data')"
            )
    result = {
        "metrics": dict(metrics),
        "tables": {name: _table(name, table) for name, table in (tables or {}).items()},
        "derived_seeds": dict(seeds or {}),
    }
    if RESULT_VARIABLE in os.environ:
        path = Path(os.environ[RESULT_VARIABLE])
        if path.exists():
            raise ValueError("record was called twice in one run: call it once, in the last cell, with all metrics")
        try:
            write_text(path, json.dumps(result, allow_nan=False))
        except OSError as error:
            raise OutputError(
                f"the result could not be written ({error}): free some space, or choose another place"
            ) from error
    rows = [
        {"metric": name, **{k: entry[k] for k in ("value", "truth", "unit", "meaning")}}
        for name, entry in metrics.items()
    ]
    frame = _Results(rows, dtype=object)
    return frame if frame["truth"].notna().any() else frame.drop(columns="truth")


class _Results(pd.DataFrame):
    """A frame that a notebook shows with its sentences whole."""

    def _repr_html_(self) -> str | None:
        with pd.option_context("display.max_colwidth", None):
            return pd.DataFrame(self.where(self.notna(), ""))._repr_html_()


def _number(value: object) -> int | float | bool | None:
    """A plain Python number; numpy and torch scalars have `item`."""
    plain = value
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        plain = value.item()
    if plain is None or isinstance(plain, int | float):
        return plain
    raise ValueError(f"a metric's value is {value!r}: expected a single number or None; longer things go into tables")


def _table(name: str, table: pd.DataFrame) -> dict[str, Any]:
    if not isinstance(table, pd.DataFrame):
        raise ValueError(
            f"table {name!r} is a {type(table).__name__}: expected a pandas DataFrame; wrap it, pd.DataFrame(...)"
        )
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    columns = [" ".join(map(str, c)).strip() if isinstance(c, tuple) else str(c) for c in table.columns]
    return {"columns": columns, "rows": [[_cell(v) for v in row] for row in table.itertuples(index=False)]}


def _cell(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
