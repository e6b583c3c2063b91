"""What every check works on: the units asked about, the interventions, the answers, and a line of the table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
import pandas as pd

from causalkit.errors import check_frame, unknown
from causalkit.estimation.learned import ExtrapolationWarning
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["Case", "Do", "Line", "Units", "cases", "drawn", "gaps", "make_units"]

Do = Mapping[str, float | np.ndarray | pd.Series]
QUANTILES = (0.25, 0.50, 0.75)
OUTSIDE = 4.0  # standard deviations from the mean


@dataclass(frozen=True)
class Line:
    """A line of the table of checks.

    Attributes:
        check: "error", "axiom", "population" or "noise".
        what: Of it: a variable, or which axiom.
        intervention: Under which do(), in words.
        value: What was found; NaN where it cannot be known.
        unit: Of value, reference and limit.
        against: What the reference is.
        reference: A number to read the value by; no limit.
        limit: What the value may be at most (of p-values, at least); NaN where there is none.
        verdict: "holds", "fails" or "no verdict".
        why: The verdict's reason.
    """

    check: str
    what: str
    intervention: str
    value: float
    unit: str
    against: str = ""
    reference: float = float("nan")
    limit: float = float("nan")
    verdict: str = "no verdict"
    why: str = ""

    @staticmethod
    def judged(check: str, what: str, intervention: str, value: float, limit: float, unit: str, **more: object) -> Line:
        """A line whose value may be at most the limit."""
        verdict = "holds" if value <= limit else "fails"  # NaN fails
        return Line(check, what, intervention, value, unit, limit=limit, verdict=verdict, **more)  # type: ignore[arg-type]

    @staticmethod
    def unknown(check: str, what: str, why: str, intervention: str = "", unit: str = "") -> Line:
        """A line that says what cannot be known, and why."""
        return Line(check, what, intervention, float("nan"), unit, why=why)


@dataclass(frozen=True)
class Units:
    """The units that are asked about: their factual rows, and where there is a truth, the noise that made them.

    Attributes:
        learned: The SCM whose answers are checked.
        frame: Factual rows [n, variables of the learned SCM].
        seed: For discrete variables, whose noise is drawn from its posterior.
        truth: The SCM that made the rows, or None.
        noise: Its noise in these rows [n, ...]; None without a truth.
    """

    learned: SCM
    frame: pd.DataFrame
    seed: int
    truth: SCM | None = None
    noise: pd.DataFrame | None = None

    @cached_property
    def discrete(self) -> frozenset[str]:
        """The variables that either SCM takes for discrete."""
        return frozenset(self.learned.levels) | frozenset(self.truth.levels if self.truth else ())

    @cached_property
    def sd(self) -> pd.Series:
        """The unit of each variable: its standard deviation in the rows; 1 for a discrete (or constant) one."""
        spread = self.frame.std(ddof=0)
        return spread.where(spread > 0, 1.0).mask(spread.index.isin(list(self.discrete)), 1.0)

    @cached_property
    def abducted(self) -> pd.DataFrame:
        """The noise that the learned SCM finds behind the rows."""
        return self.learned.abduct(self.frame, seed=self.seed)

    def pushed(self, *do: Do) -> pd.DataFrame:
        """What the abducted noise makes under these interventions, one after the other (nested)."""
        scm = self.learned
        with warnings.catch_warnings():  # values outside the data's range are asked for on purpose
            warnings.simplefilter("ignore", ExtrapolationWarning)
            for one in do:
                scm = scm.do(one)
        return scm.push(self.abducted)

    def imagined(self, do: Do, frame: pd.DataFrame | None = None) -> pd.DataFrame:
        """The learned SCM's counterfactuals of the rows, or of others."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            return self.learned.counterfactual(self.frame if frame is None else frame, do, seed=self.seed)

    def descendants(self, names: Sequence[str], *, truly: bool = False) -> set[str]:
        """What do() on these names can move, in the learned SCM's graph or the true one's."""
        graph = self.truth.graph if truly and self.truth is not None else self.learned.graph
        return set().union(*(nx.descendants(graph, v) for v in names if v in graph)) - set(names)


@dataclass(frozen=True)
class Case:
    """One intervention: in words, as values, whether all values lie inside the data, and what both SCMs answer."""

    label: str
    do: Mapping[str, float]
    inside: bool
    imagined: pd.DataFrame
    true: pd.DataFrame | None


def make_units(learned: SCM, truth: SCM | None, frame: pd.DataFrame | None, n: int, seed: Seed) -> Units:
    """The rows to ask about: those given, or n fresh ones of the truth, of which the very noise is known.

    Raises:
        ValueError: Neither truth nor rows; variables of the learned SCM that the truth or the rows lack.
    """
    base = integer(seed, "checks")
    for role, scm in (("learned", learned), ("truth", truth)):
        if not isinstance(scm, SCM) and (role == "learned" or scm is not None):
            raise ValueError(
                f"the {role} to check counterfactuals with has to be an SCM, got {type(scm).__name__}: fit one, "
                f"ck.fit_scm(graph, frame, seed=0), or make one, ck.SCM(...)"
            )
    if truth is not None:
        for name in learned.variables:
            if name not in truth.variables:
                raise unknown("variable of the learned SCM (in the true one)", name, truth.variables)
    noise = None
    if frame is None:
        if truth is None:
            raise ValueError("there is nothing to ask about: give rows, frame=..., or the SCM that makes them, truth=")
        noise = truth.sample_noise(n, seed=integer(base, "rows"))
        frame = truth.push(noise)
    elif truth is not None:
        noise = truth.abduct(check_frame(frame, truth.variables), seed=integer(base, "abduct"))
    rows = check_frame(frame, learned.variables, min_rows=20)
    return Units(learned, rows, integer(base, "posterior"), truth, noise)


def cases(units: Units, do: Mapping[str, float] | Sequence[Mapping[str, float]] | None) -> list[Case]:
    """The interventions that are asked about, and both SCMs' answers.

    By default every variable that has an effect in either graph is set, in turn, to its quartiles and to its mean
    plus and minus 4 sd; a discrete one to each of its levels.
    """
    wanted = _usual(units) if do is None else _given(units, [do] if isinstance(do, Mapping) else do)
    made = []
    for label, values, inside in wanted:
        true = None if units.truth is None else units.truth.do(values).push(units.noise)
        made.append(Case(label, values, inside, units.imagined(values), true))
    return made


def _usual(units: Units) -> list[tuple[str, dict[str, float], bool]]:
    wanted = []
    for name in units.learned.variables:
        if not units.descendants([name]) | units.descendants([name], truly=True):
            continue
        column = units.frame[name]
        if name in units.discrete:
            levels = units.learned.levels.get(name) or sorted(set(column))
            wanted += [(f"{name} = {k}", {name: float(k)}, True) for k in range(len(levels))]
            continue
        middle, spread = float(column.mean()), float(column.std(ddof=0))
        for q in QUANTILES:
            value = float(column.quantile(q))
            wanted.append((f"{name} = {value:.3g} ({q:.0%})", {name: value}, True))
        for sign in (-1, 1):
            value = middle + sign * OUTSIDE * spread
            wanted.append((f"{name} = {value:.3g} ({sign * OUTSIDE:+g} sd)", {name: value}, False))
    return wanted


def _given(units: Units, several: Sequence[Mapping[str, float]]) -> list[tuple[str, dict[str, float], bool]]:
    wanted, low, high = [], units.frame.min(), units.frame.max()
    for do in several:
        if not isinstance(do, Mapping) or not do:
            raise ValueError(f"do = {do!r}: give a mapping from variable to value, do={{'x': 0.0}}, or a list of them")
        for name in do:
            if name not in units.learned.variables:
                raise unknown("variable", name, units.learned.variables)
            if np.ndim(do[name]) or not np.isfinite(do[name]):
                raise ValueError(f"do({name} = {do[name]}): give one number, finite, the same for all units")
        values = {name: float(value) for name, value in do.items()}
        inside = all(low[v] <= value <= high[v] for v, value in values.items())
        wanted.append((", ".join(f"{v} = {value:.3g}" for v, value in values.items()), values, inside))
    return wanted


def drawn(scm: SCM, do: Do, n: int, *, seed: int) -> pd.DataFrame:
    """n draws of an SCM under do(), hidden variables included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return scm.do(do).sample(n, seed=seed, hidden=True)


def gaps(one: pd.DataFrame, other: pd.DataFrame, sd: pd.Series, names: Sequence[str] | None = None) -> pd.DataFrame:
    """|one - other| in sds [n, names]."""
    columns = list(one.columns if names is None else names)
    distance = np.abs(one[columns].to_numpy(np.float64) - other[columns].to_numpy(np.float64))
    return pd.DataFrame(distance / sd[columns].to_numpy(), columns=columns)
