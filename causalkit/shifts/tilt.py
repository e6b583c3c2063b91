"""Exponential tilting, by which rows are selected; and the means and sds that shifts are relative to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from causalkit.errors import check_frame
from causalkit.scm import SCM

__all__ = ["Tilt", "moments"]


@lru_cache(maxsize=64)
def moments(scm: SCM, names: tuple[str, ...]) -> pd.DataFrame:
    """Means and sds of draws of a fixed stream [20,000], which a shift is relative to."""
    frame = scm.marginal(names).sample(20_000, seed=0, hidden=True)[list(names)]
    return pd.DataFrame({"mean": frame.mean(), "sd": frame.std(ddof=0)})


@dataclass(frozen=True)
class Tilt:
    """w(x) = exp(t clip(z, -3, 3) - 3 |t|): exponential tilting, bounded for rejection.

    z is the sum of (x_i - mean_i) / sd_i over the variables that drive it, divided by the root of their number.
    """

    on: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    amount: float

    @classmethod
    def of(cls, scm: SCM, on: tuple[str, ...], amount: float) -> Tilt:
        """The tilt by these variables, standardised by draws of this SCM."""
        known = moments(scm, on)
        for name in known.index[known["sd"] == 0]:
            raise ValueError(f"{name!r} never varies, so no row can be selected by it: select by another variable")
        return cls(on, tuple(known["mean"]), tuple(known["sd"]), amount)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """z clipped to +-3, [n]."""
        standard = (check_frame(frame, self.on).to_numpy(np.float64) - self.mean) / self.sd
        return np.clip(standard.sum(1) / math.sqrt(len(self.on)), -3, 3)

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        return np.exp(self.amount * self.score(frame) - 3 * abs(self.amount))
