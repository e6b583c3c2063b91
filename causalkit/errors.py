"""What every door of the package checks: names that exist, frames that hold finite numbers.

An error here names the offender, says what was expected, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import pandas as pd

__all__ = ["check_frame", "unknown"]


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not in a catalogue, with the closest known one.

    Args:
        kind: What the name should have been: "method", "target", "parent of 'y'".
        name: The offender.
        known: The names that would have been accepted.

    Returns:
        A ValueError to raise.

    Example:
        >>> print(unknown("method", "flopp", ["flop", "pc"]))
        unknown method 'flopp'; did you mean 'flop'? Known: flop, pc
    """
    known = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known) or 'none'}")


def check_frame(frame: pd.DataFrame, columns: Iterable[str] | None = None, *, min_rows: int = 1) -> pd.DataFrame:
    """The wanted columns of a frame, once they are known to be numeric and finite.

    Args:
        frame: The data [n, columns].
        columns: Which columns are needed, in which order; all of them if None.
        min_rows: The fewest rows that will do.

    Returns:
        The frame restricted to `columns` (not a copy where pandas can avoid it).

    Raises:
        ValueError: Not a frame; a missing or repeated column; a column that is not numeric, or holds NaN
            or infinity; too few rows.

    Example:
        >>> check_frame(pd.DataFrame({"x": [1.0, np.nan]}))
        Traceback (most recent call last):
            ...
        ValueError: column 'x' has 1 value that is NaN or infinite (first at row 1): drop or impute such rows first
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"expected a pandas DataFrame, got {type(frame).__name__}: wrap it, pd.DataFrame(values, columns=...)"
        )
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"column {repeated[0]!r} occurs more than once: rename one of them")
    if columns is not None:
        columns = list(columns)
        for name in columns:
            if name not in frame.columns:
                raise unknown("column", name, frame.columns)
        if columns != list(frame.columns):
            frame = frame[columns]
    if len(frame) < min_rows:
        raise ValueError(f"the frame has {len(frame)} rows, at least {min_rows} are needed: give more data")
    if (frame.dtypes == np.float64).all() and np.isfinite(frame.to_numpy()).all():
        return frame  # the usual case, at once; column by column it takes longer than sampling a small SCM
    for name in frame.columns:
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            raise ValueError(
                f"column {name!r} is not numeric (dtype {column.dtype}): encode it as numbers, or leave it out"
            )
        bad = ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if bad.any():
            count = int(bad.sum())
            raise ValueError(
                f"column {name!r} has {count} value{'s' * (count > 1)} that {'are' if count > 1 else 'is'} NaN or "
                f"infinite (first at row {int(bad.argmax())}): drop or impute such rows first"
            )
    return frame
