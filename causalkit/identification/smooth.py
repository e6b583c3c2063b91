"""Smooth regressions for effects: straight lines, cubic splines and their products, ridge, rows that carry weights.

The features are made once for a frame; a bootstrap resample is then a row's count, and a fit one small linear system.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["Smooth", "codes_as_reals", "is_discrete", "smooth"]

JOINT = 3
"""Up to so many variables all products of two variables' splines are features; beyond, products of straight lines."""
STRAIGHT = 30.0
"""What straight columns are multiplied with, so that the ridge penalty spares them and bends the fit towards lines."""


@dataclass(frozen=True, eq=False)
class Smooth:
    """What turns rows into features [n, p], and how strongly the coefficients are shrunk.

    Attributes:
        columns: The variables.
        bases: Variable -> its levels but the first (discrete), or a fitted spline basis (real; None for lines alone).
        places: Variable -> mean and standard deviation of a real one.
        joint: Whether products of splines are features.
        penalty: Of the ridge regression.
    """

    columns: tuple[str, ...]
    bases: Mapping[str, object]
    places: Mapping[str, tuple[float, float]]
    joint: bool
    penalty: float

    def design(self, frame: pd.DataFrame) -> np.ndarray:
        """The features of the rows [n, p], a constant first."""
        straight, bent = {}, {}
        for name in self.columns:
            values, basis = frame[name].to_numpy(np.float64)[:, None], self.bases[name]
            if name not in self.places:
                straight[name] = bent[name] = (values == basis).astype(np.float64)
            else:
                mean, scale = self.places[name]
                straight[name] = (values - mean) / scale
                if basis is not None:
                    bent[name] = basis.transform(values)  # type: ignore[attr-defined]
        curves = [bent[name] for name in self.places if name in bent]
        crossed = (bent if self.joint else straight) if bent else {}
        products = [
            (a[:, :, None] * b[:, None, :]).reshape(len(frame), -1)
            for a, b in itertools.combinations(crossed.values(), 2)
        ]
        lines = [STRAIGHT * block for block in straight.values()]
        return np.concatenate([np.ones((len(frame), 1)), *lines, *curves, *products], axis=1)

    def fit(self, design: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Ridge coefficients [p, targets] of the targets [n, targets] on the design [n, p], rows weighted [n]."""
        weighted = design * weights[:, None]
        gram = weighted.T @ design
        shrink = np.full(len(gram), max(self.penalty, 1e-6) * weights.sum() / len(weights))
        shrink[0] = 1e-9
        return np.linalg.solve(gram + np.diag(shrink), weighted.T @ targets)


def smooth(frame: pd.DataFrame, columns: Sequence[str], target: np.ndarray, *, linear: bool = False) -> Smooth:
    """Features of these columns for a regression of the target [n], its penalty chosen by leave-one-out error.

    Integer columns become one indicator a level; real ones a line and a cubic spline (4 knots at quantiles),
    straight outside their range. The penalty bends the surface towards lines; `linear`: lines are all there is.

    Example:
        >>> x = np.random.default_rng(0).normal(size=500)
        >>> frame, y = pd.DataFrame({"x": x}), np.sin(x)
        >>> curve = smooth(frame, ["x"], y)
        >>> design = curve.design(frame)
        >>> residual = y - (design @ curve.fit(design, y[:, None], np.ones(500)))[:, 0]
        >>> float(residual.std()) < 0.05
        True
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import SplineTransformer

    bases: dict[str, object] = {}
    places = {}
    for name in columns:
        values = frame[name].to_numpy(np.float64)
        if is_discrete(frame[name]):
            bases[name] = np.unique(values)[1:]
            continue
        places[name] = float(values.mean()), float(values.std()) or 1.0
        spline = SplineTransformer(n_knots=4, knots="quantile", extrapolation="linear", include_bias=False)
        bases[name] = None if linear else spline.fit(values[:, None])
    made = Smooth(tuple(columns), bases, places, len(columns) <= JOINT, 0.0)
    if linear or not columns:
        return made
    chosen = RidgeCV(alphas=np.logspace(-2, 4, 7)).fit(made.design(frame)[:, 1:], target)
    return Smooth(made.columns, bases, places, made.joint, float(chosen.alpha_))


def codes_as_reals(frame: pd.DataFrame) -> str:
    """A note on columns that are typed as real numbers and look like codes: at most 10 whole values; empty if none.

    Example:
        >>> codes_as_reals(pd.DataFrame({"x": [0.0, 1.0, 1.0], "y": [0.5, 1.0, 2.0]}))
        'x taken as real, though all values are whole: make codes integers, frame.astype({"x": int})'
    """
    found = [c for c in frame if not is_discrete(frame[c]) and frame[c].nunique() <= 10 and (frame[c] % 1 == 0).all()]
    types = ", ".join(f'"{c}": int' for c in found)
    whole = f"{', '.join(map(str, found))} taken as real, though all values are whole"
    return f"{whole}: make codes integers, frame.astype({{{types}}})" if found else ""


def is_discrete(column: pd.Series) -> bool:
    """Whether a column holds codes: integers or booleans."""
    return bool(pd.api.types.is_integer_dtype(column) or pd.api.types.is_bool_dtype(column))
