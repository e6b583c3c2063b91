"""Selection: an SCM seen through a sample in which not every row had the same chance to stand.

A label shift of a target with causes is made this way, by outcome-dependent sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["Selected"]


@dataclass(frozen=True, eq=False)
class Selected:
    """An SCM seen through selection: rows are kept with probability proportional to a weight, p'(x) = p(x) w(x) / Z.

    It samples and has a density; it is no SCM, since selection makes the noises dependent, so the other verbs raise.

    Args:
        scm: What makes the rows.
        weight: Frame (hidden columns included) -> w(x) [n], each within [0, 1].
        on: The variables that `weight` reads, where they are known: Z then needs draws of these alone.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> positive = Selected(scm, lambda frame: (frame["y"] > 0).to_numpy(float))
        >>> bool(positive.sample(100, seed=0)["y"].min() > 0), round(positive.mass, 1)
        (True, 0.5)
    """

    scm: SCM
    weight: Callable[[pd.DataFrame], np.ndarray]
    on: tuple[str, ...] | None = None

    @property
    def graph(self) -> nx.DiGraph:
        """The graph of the SCM that makes the rows (the selection is not drawn)."""
        return self.scm.graph

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the SCM that makes the rows."""
        return self.scm.variables

    @cached_property
    def mass(self) -> float:
        """Z = E[w(x)], the share of rows that is kept, from draws of a fixed stream.

        100,000 at a time, until its relative standard error is 2e-4, or 2,000,000 are drawn.
        """
        source = self.scm if self.on is None else self.scm.marginal(self.on)
        n, total, squares = 0, 0.0, 0.0
        for batch in range(20):
            w = self.weigh(source.sample(100_000, seed=integer(0, "mass", batch), hidden=True))
            n, total, squares = n + len(w), total + float(w.sum()), squares + float((w**2).sum())
            if squares * n - total**2 <= n * (2e-4 * total) ** 2:
                break
        if not total:
            raise ValueError(f"the selection kept none of {n:,} rows: weaken it")
        return total / n

    def sample(self, n: int, *, seed: Seed, hidden: bool = False) -> pd.DataFrame:
        """n independent rows by rejection: exact draws of p'(x).

        Raises:
            ValueError: n < 1, or fewer than one row in 100,000 is kept.
        """
        base, kept, rows = integer(seed, "selected"), 0, []
        if n < 1:
            raise ValueError(f"n = {n} rows: ask for at least 1")
        for batch in range(10_000_000):
            frame = self.scm.sample(16_384, seed=integer(base, "rows", batch), hidden=True)
            coin = np.random.default_rng(integer(base, "coin", batch)).random(len(frame))
            rows.append(frame[coin < self.weigh(frame)])
            kept += len(rows[-1])
            if kept >= n:
                break
            if batch >= 8 and kept < 1e-5 * 16_384 * batch:
                raise ValueError(f"the selection kept {kept} of {16_384 * (batch + 1):,} rows: weaken it")
        frame = pd.concat(rows, ignore_index=True).iloc[:n]
        return frame if hidden else frame[list(self.scm.observed)]

    def weights(self, frame: pd.DataFrame) -> np.ndarray:
        """The density ratio p'(x) / p(x) = w(x) / Z [n], the importance weights from the SCM to the selected rows."""
        return self.weigh(frame) / self.mass

    def log_prob(self, frame: pd.DataFrame) -> np.ndarray:
        """log p'(x) [n], nats: exact but for Z, see `mass`."""
        with np.errstate(divide="ignore"):
            return self.scm.log_prob(frame) + np.log(self.weights(frame))

    def weigh(self, frame: pd.DataFrame) -> np.ndarray:
        """w(x) [n], the chance of each row to be kept.

        Raises:
            ValueError: The weight is not one number within [0, 1] a row.
        """
        weight = np.asarray(self.weight(frame), dtype=np.float64)
        if weight.shape != (len(frame),) or not ((weight >= 0) & (weight <= 1)).all():
            raise ValueError("a selection weight must give one number within [0, 1] a row: divide it by its maximum")
        return weight

    def do(self, values: Mapping[str, float]) -> SCM:
        """Raises ValueError: a selected population is no SCM."""
        raise self._refusal("do")

    def abduct(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Raises ValueError: a selected population is no SCM."""
        raise self._refusal("abduct")

    def counterfactual(self, frame: pd.DataFrame, do: Mapping[str, float], *, seed: Seed | None = None) -> pd.DataFrame:
        """Raises ValueError: a selected population is no SCM."""
        raise self._refusal("counterfactual")

    def _refusal(self, verb: str) -> ValueError:
        return ValueError(
            f"{verb}: selection makes the noises dependent, so this is no SCM: "
            f"call .scm.{verb}(...) for the model before selection"
        )
