"""A laboratory for one shift: its diagram, what it does to densities, and to predictors that were fitted before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import unknown
from causalkit.graphs import parents_of
from causalkit.plotting import describe_densities
from causalkit.scm import SCM
from causalkit.shifts import SHIFTS, Certificate, Shift, Unreachable
from causalkit.shifts.dial import solve
from causalkit.widgets.stage import Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DIAL", "ShiftLab", "shift_lab"]

DIAL = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Positions of the dial, nats."""
EQUAL = 0.01
"""Errors within so large a share of each other are called equal."""


@dataclass(frozen=True, eq=False)
class ShiftLab:
    """One kind of shift of one SCM, with everything that does not change as its dial turns. Made by `shift_lab`.

    Attributes:
        scm: What is shifted.
        certificate: Of the shift at the dial's first position above 0; the diagram is the same at all of them.
        direction: +1 or -1.
        predictors: Name -> features of the least-squares regressions: all features, and the certificate's stable set
            (where there is none, the target's observed causes).
        strengths: Position of the dial that can be reached -> strength.
        curve: A row a number of nats: "nats", and the RMSE of every predictor, fitted to n rows before the shift and
            tested on n rows after it.
        frames: Position -> the n rows that the predictors were tested on.
        limit: Why the dial does not reach its last position; None where it does.
    """

    scm: SCM
    certificate: Certificate
    direction: int
    predictors: dict[str, tuple[str, ...]]
    strengths: dict[float, float]
    curve: pd.DataFrame
    frames: dict[float, pd.DataFrame]
    limit: Unreachable | None

    @property
    def crossing(self) -> float | None:
        """Nats from which on the second predictor beats the one on all features; None where that does not happen.

        All features must be better without a shift, and worse somewhere later, by more than 1% each time; between two
        positions, the difference of the squared errors is interpolated.
        """
        if len(self.predictors) < 2:
            return None
        nats = self.curve["nats"].to_numpy()
        gap = self.curve[[*self.predictors]].pow(2).to_numpy() @ [1.0, -1.0]
        share = self._gap()
        later = np.flatnonzero(share > EQUAL)
        if share[0] > -EQUAL or not len(later):
            return None
        k = int(np.flatnonzero(gap[: later[0] + 1] <= 0)[-1])
        return float(nats[k] + (nats[k + 1] - nats[k]) * gap[k] / (gap[k] - gap[k + 1]))

    def _gap(self) -> np.ndarray:
        """By which share the error on all features is the larger one [positions]."""
        one, two = (self.curve[name].to_numpy() for name in self.predictors)
        return one / two - 1

    def frame(self, nats: float) -> pd.DataFrame:
        """The n test rows [n, columns] at this position of the dial.

        Raises:
            Unreachable: The dial does not go there.
            ValueError: It is no position of the dial.
        """
        if nats not in self.frames:
            if self.limit is not None:
                raise self.limit
            raise ValueError(f"{nats:g} nats is no position of the dial: {', '.join(f'{x:g}' for x in self.frames)}")
        return self.frames[nats]

    def draw(self, nats: float) -> tuple[bytes, str]:
        """The figure as a PNG image, and its meaning in words.

        What stays as the dial turns is painted once: every further call takes some hundredths of a second.

        Raises:
            Unreachable, ValueError: As `frame`.
        """
        self.frame(nats)
        return self._stage.png(nats), self.words(nats)

    def figure(self, nats: float) -> Figure:
        """The selection diagram, the errors over the dial, and densities before and after, as a figure of their own.

        Raises:
            Unreachable, ValueError: As `frame`.
        """
        self.frame(nats)
        stage = Stage(self)
        stage.turn(nats)
        return stage.figure

    @cached_property
    def _stage(self) -> Stage:
        return Stage(self)

    @property
    def columns(self) -> list[str]:
        """The target, what the shift acts on, and what that reaches: at most four columns."""
        moved = [*self.certificate.changed, *self.certificate.drivers]
        reached = [v for v in self.scm.order if any(v in nx.descendants(self.scm.graph, m) for m in moved)]
        found = dict.fromkeys([self.certificate.target, *moved, *reached])
        return [v for v in found if v in self.scm.observed][:4]

    def words(self, nats: float) -> str:
        """What the figure shows: the shift, the errors, where they cross, means and sds of the first two columns."""
        kind, y = self.certificate.kind, self.certificate.target
        row = self.curve.loc[self.curve["nats"] == nats].iloc[0]
        errors = ", ".join(f"{row[name]:.2f} on {name}" for name in self.predictors)
        said = f"{kind.capitalize()} shift of {y}, direction {self.direction:+d}: {nats:g} nats"
        said += f" (strength {self.strengths[nats]:.3g}). RMSE of {y}: {errors}. {self._verdict()} "
        return said + describe_densities(self.frames[0.0], self.frames[nats], self.columns[:2])

    def _verdict(self) -> str:
        """Whether and where the two predictors cross, in words."""
        if len(self.predictors) < 2:
            stable = self.certificate.stable is not None
            return "All features are the stable set." if stable else "There is no second predictor to compare with."
        if self.crossing is not None:
            return f"The two cross at {self.crossing:.2g} nats."
        far = f"up to {self.curve['nats'].iloc[-1]:.3g} nats"
        if np.abs(self._gap()).max() <= EQUAL:
            return f"The two stay within 1% of each other {far}."
        return f"The two do not cross {far}."


def shift_lab(
    scm: SCM, target: str, kind: str, direction: int = 1, *, n: int, seed: int, dial: Sequence[float] = DIAL
) -> ShiftLab:
    """The laboratory of a shift. The last 16 are kept, so that the same arguments give the same one at once.

    Args:
        scm: What is shifted.
        target: The variable to predict, by least squares.
        kind: A key of `ck.SHIFTS`.
        direction: +1 or -1.
        n: Rows to fit on, and to test on.
        seed: Of the rows to fit on; those to test on have seed + 1 at every position, so that differences are effects.
        dial: Positions in nats, from 0 on; the strengths hold to about 2%.

    Raises:
        Unreachable: The dial does not reach its first position above 0.
        ValueError: What the shift raises: the graph does not allow it, no such target; a discrete target of more than
            two levels, for which least squares means nothing; a dial that does not begin at 0 and rise.

    Example:
        >>> import causalkit as ck
        >>> lab = shift_lab(ck.teaching_scm(), "y", "spurious", -1, n=2000, seed=0)
        >>> lab.predictors
        {'all features': ('x1', 'x2', 'x3', 'x4', 'x5'), 'the stable set {x1, x2}': ('x1', 'x2')}
        >>> bool(0.3 < lab.crossing < 3)
        True
        >>> png, sentence = lab.draw(1.0)
    """
    return _lab(scm, target, kind, direction, n, seed, tuple(map(float, dial)))


@lru_cache(maxsize=16)
def _lab(scm: SCM, target: str, kind: str, direction: int, n: int, seed: int, dial: tuple[float, ...]) -> ShiftLab:
    if len(dial) < 2 or dial[0] != 0 or list(dial) != sorted(set(dial)):
        raise ValueError(f"the dial {dial} must begin at 0 and rise: give positions in nats, (0, 0.1, 1), say")
    shift = _shift(kind, target, direction)
    shift.changed(scm)
    if len(scm.levels.get(target, ())) > 2:
        raise ValueError(
            f"{target!r} is discrete with {len(scm.levels[target])} levels: least squares cannot predict it"
        )
    strengths, limit = _strengths(kind, target, direction, scm, dial)
    certificate = _shift(kind, target, direction, strength=strengths[dial[1]]).certificate(scm)
    predictors = {"all features": certificate.features}
    second = certificate.stable
    name = f"the stable set {{{', '.join(second or ())}}}"
    if second is None:
        second = tuple(v for v in parents_of(scm.graph, target) if v in certificate.features)
        name = f"the causes {{{', '.join(second)}}}, not promised"
    if set(second) < set(certificate.features) and (second or certificate.stable is not None):
        predictors[name] = second
    fitted, rows = scm.sample(n, seed=seed), []
    weights = {name: _least_squares(fitted, columns, target) for name, columns in predictors.items()}
    frames = {}
    for nats, strength in _between(strengths).items():
        test = shift.by(scm, strength).sample(n, seed=seed + 1)
        if nats in strengths:
            frames[nats] = test
        rows.append([nats, *(_rmse(test, columns, target, weights[name]) for name, columns in predictors.items())])
    curve = pd.DataFrame(rows, columns=["nats", *predictors])
    return ShiftLab(scm, certificate, direction, predictors, strengths, curve, frames, limit)


def _shift(kind: str, target: str, direction: int, **dial: float) -> Shift:
    if kind not in SHIFTS:
        raise unknown("shift", kind, SHIFTS)
    return SHIFTS[kind](target, direction=direction, **(dial or {"strength": 0.0}))


def _strengths(
    kind: str, target: str, direction: int, scm: SCM, dial: Sequence[float]
) -> tuple[dict[float, float], Unreachable | None]:
    """Position -> strength as far as the dial goes, and why it goes no further."""
    found = {0.0: 0.0}
    for nats in dial[1:]:
        try:
            found[nats] = solve(_shift(kind, target, direction, nats=nats), scm, precision=0.02)
        except Unreachable as error:
            if len(found) == 1:
                raise
            return found, error
    return found, None


def _between(strengths: dict[float, float]) -> dict[float, float]:
    """The same with positions in between, where the logarithms of nats and strength are on a straight line."""
    nats, values = (np.log(list(v)[1:]) for v in (strengths, strengths.values()))
    # below the first position, the strength goes with the root of the nats
    nats, values = np.append(nats[0] - 2.0, nats), np.append(values[0] - 1.0, values)
    finer = np.unique(np.concatenate([np.linspace(a, b, 4) for a, b in pairwise(nats)]))
    added = dict(zip(np.exp(finer).tolist(), np.exp(np.interp(finer, nats, values)).tolist(), strict=True))
    near = {x: s for x, s in added.items() if min(abs(x / p - 1) for p in strengths if p) > 1e-6}
    return dict(sorted({**near, **strengths}.items()))


def _least_squares(frame: pd.DataFrame, features: Sequence[str], target: str) -> np.ndarray:
    return np.linalg.lstsq(_design(frame, features), frame[target].to_numpy(np.float64), rcond=None)[0]


def _rmse(frame: pd.DataFrame, features: Sequence[str], target: str, weights: np.ndarray) -> float:
    return float(np.sqrt(np.mean((_design(frame, features) @ weights - frame[target].to_numpy(np.float64)) ** 2)))


def _design(frame: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    return np.column_stack([frame[list(features)].to_numpy(np.float64), np.ones(len(frame))])
