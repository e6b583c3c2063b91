"""Tasks and environments: what to predict from what, and the data sets between which the distribution moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from causalkit.errors import check_frame
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer
from causalkit.selection import Selected

__all__ = ["Environment", "Task", "sample_environments"]


@dataclass(frozen=True)
class Task:
    """What is predicted from what.

    Args:
        features: The columns a model may see.
        target: The column it predicts.
        kind: "regression" (squared loss) or "classification" (integer codes, log-loss).

    Raises:
        ValueError: No features, one named twice, the target among them, or another kind.

    Example:
        >>> Task(features=("x", "z"), target="y").kind
        'regression'
    """

    features: tuple[str, ...]
    target: str
    kind: Literal["regression", "classification"] = "regression"

    def __post_init__(self) -> None:
        features = (self.features,) if isinstance(self.features, str) else tuple(self.features)
        object.__setattr__(self, "features", features)
        if not features:
            raise ValueError("a task needs at least one feature: Task(features=('x',), target='y')")
        if len(set(features)) < len(features):
            raise ValueError(f"features {features} name one variable twice: name each once")
        if self.target in features:
            raise ValueError(f"the target {self.target!r} is among the features: leave it out of them")
        if self.kind not in ("regression", "classification"):
            raise ValueError(f"task kind {self.kind!r}: give 'regression' or 'classification'")


@dataclass(frozen=True, eq=False)
class Environment:
    """A named data set: rows [n, columns] from one distribution, from an SCM or the user's own.

    Raises:
        ValueError: The frame is empty, or holds text, NaN or infinite values (the column is named).

    Example:
        >>> Environment("clinic a", pd.DataFrame({"x": [0.0, 1.0]}))
        Environment('clinic a': 2 rows of x)
    """

    name: str
    frame: pd.DataFrame

    def __post_init__(self) -> None:
        try:
            check_frame(self.frame, min_rows=1)
        except ValueError as error:
            raise ValueError(f"environment {self.name!r}: {error}") from error

    def __repr__(self) -> str:
        return f"Environment({self.name!r}: {len(self.frame)} rows of {', '.join(map(str, self.frame.columns))})"


def sample_environments(
    scm: SCM | Selected,
    shifts: Mapping[str, Callable[[SCM], SCM | Selected] | None],
    n: int,
    *,
    seed: Seed,
    paired: bool = False,
) -> list[Environment]:
    """One environment for each shift: n rows each of the shifted SCM, from streams keyed by (seed, name).

    Args:
        scm: What is shifted.
        shifts: Environment name -> a shift, any other function SCM -> SCM, or None for no shift.
        n: Rows an environment.
        seed: Of the data.
        paired: Give all environments the same noise, so that rows are comparable one by one.

    Raises:
        ValueError: No environment, n < 1, or what a shift raises.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> shifts = {"before": None, "after": ck.shifts.spurious("y", strength=0.5)}
        >>> sample_environments(scm, shifts, 100, seed=0)
        [Environment('before': 100 rows of x, y, z), Environment('after': 100 rows of x, y, z)]
    """
    if not isinstance(shifts, Mapping) or not shifts:
        raise ValueError(f"shifts must map environment names to shifts, got {shifts!r}: write {{'a': None}}, say")
    base = integer(seed, "environments")
    streams = {name: integer(base, *(() if paired else (name,))) for name in shifts}
    return [
        Environment(name, (shift(scm) if shift is not None else scm).sample(n, seed=streams[name]))  # type: ignore[arg-type]
        for name, shift in shifts.items()
    ]
