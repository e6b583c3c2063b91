"""What all shift correctors share: the check of the two frames, and the scale of the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalkit.errors import check_frame

__all__ = ["MIN_ROWS", "mean_one", "rows"]

MIN_ROWS = 10


def rows(frame: pd.DataFrame, columns: Sequence[str], name: str) -> np.ndarray:
    """The wanted columns [n, columns] as float64, once they are known to be there and finite.

    Raises:
        ValueError: What `check_frame` says, after the frame's name; under 10 rows.

    Example:
        >>> rows(pd.DataFrame({"x": [0.0, 1.0]}), ["x"], "target")
        Traceback (most recent call last):
            ...
        ValueError: target: the frame has 2 rows, at least 10 are needed: give more data
    """
    try:
        return check_frame(frame, columns, min_rows=MIN_ROWS).to_numpy(np.float64)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def mean_one(weights: np.ndarray, method: str) -> np.ndarray:
    """The weights [n] divided by their mean.

    Raises:
        ValueError: They are all 0: nothing of the source is like the target.

    Example:
        >>> mean_one(np.array([1.0, 3.0]), "kmm")
        array([0.5, 1.5])
    """
    if not weights.sum() > 0.0:
        raise ValueError(f"{method} gave every row the weight 0: source and target do not overlap")
    return weights / weights.mean()
