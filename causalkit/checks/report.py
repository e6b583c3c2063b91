"""check_counterfactuals: every check that would convince an expert, as one table and one figure."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from causalkit.checks.axioms import axioms
from causalkit.checks.error import additive_reference, errors
from causalkit.checks.identified import identified
from causalkit.checks.noise import noises
from causalkit.checks.population import populations
from causalkit.checks.units import Line, cases, make_units
from causalkit.estimation.spread import check_level
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Checks", "check_counterfactuals"]


@dataclass(frozen=True, eq=False)
class Checks:
    """What the checks found.

    Attributes:
        table: A row a finding: check ("error", "axiom", "population", "noise"), what, intervention, value, unit,
            against and reference (a number to read the value by, and what it is), limit, verdict ("holds", "fails" or
            "no verdict") and why.
    """

    table: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether no check fails; those without a verdict do not count."""
        return not (self.table["verdict"] == "fails").any()

    @property
    def failures(self) -> pd.DataFrame:
        """The rows that fail."""
        return self.table[self.table["verdict"] == "fails"]

    def counts(self) -> pd.DataFrame:
        """How many findings hold, fail or have no verdict, a row a check."""
        verdicts = ["holds", "fails", "no verdict"]
        return pd.crosstab(self.table["check"], self.table["verdict"]).reindex(columns=verdicts, fill_value=0)

    def summary(self) -> pd.DataFrame:
        """The worst finding of each check, a row a (check, what, reference): the greatest value, or the least p."""
        rows = []
        for _, some in self.table.groupby(["check", "what", "against"], sort=False):
            inside = some[~some["why"].str.contains("outside the data")]
            some = inside if len(inside) else some
            ascending = some["unit"].iloc[0] in ("p", "correlation")
            worst = some.sort_values("value", ascending=ascending, kind="stable").iloc[0]
            verdicts = set(some["verdict"])
            verdict = next(v for v in ("fails", "holds", "no verdict") if v in verdicts)
            rows.append({**worst, "verdict": verdict, "findings": len(some)})
        return pd.DataFrame(rows).rename(columns={"value": "worst"})

    def plot(self) -> Figure:
        """Errors between their references, axioms, populations and noise, each against its limit: one figure."""
        from causalkit.checks.figure import draw

        return draw(self.table)

    def __repr__(self) -> str:
        words = ", ".join(f"{n} {v}" for v, n in self.counts().sum().items())
        return f"Checks({words}{'' if self.passed else ': ' + '; '.join(_named(self.failures))})"

    def _repr_html_(self) -> str:
        head = f"<p>{html.escape(repr(self))}</p>{_styled(self.summary())}"
        return f"{head}<details><summary>all {len(self.table)} findings</summary>{_styled(self.table)}</details>"


def _styled(table: pd.DataFrame) -> str:
    numbers = {c: "{:.3g}" for c in ("value", "worst", "reference", "limit") if c in table.columns}
    looks = {"holds": "", "fails": "font-weight: bold; color: #D55E00", "no verdict": "color: #666"}
    styled = table.style.hide(axis="index").format(numbers, na_rep="", escape="html")
    return styled.map(looks.__getitem__, subset=["verdict"]).to_html()


def _named(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(f"{check}, {what}" for check, what in zip(rows["check"], rows["what"], strict=True)))


def check_counterfactuals(
    learned: SCM,
    truth: SCM | None = None,
    frame: pd.DataFrame | None = None,
    *,
    do: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
    n: int = 2000,
    references: Mapping[str, SCM] | None = None,
    level: float = 0.01,
    seed: Seed,
) -> Checks:
    """Everything that can be checked of an SCM's counterfactuals, with the truth or without.

    1. error: each descendant's root mean square distance from the true counterfactual, between references: zero, no
       abduction (new noise), an additive-noise regression. No limit: a number to read by.
    2. axiom: composition (1 and 10 cycles, joint), effectiveness (single, joint, nested), reversibility, untouched
       non-descendants. Limit 1e-6 sd. Every SCM keeps them, right or wrong; what imitates an SCM may not.
    3. population: the units' counterfactuals against draws under do(), MMD with the floor beside it; effects against
       the identified estimand's (`ck.identify`).
    4. noise: independent of parents and of each other, PIT uniform; correlation with the true noise.

    Without a truth it does what rows allow and says of the rest that it cannot be known. What passes every check that
    needs no truth can be wrong nonetheless: `two_worlds` shows why.

    Args:
        learned: The SCM to check.
        truth: The SCM that makes the data, over the same variables or more.
        frame: Rows to ask about [n, d], best not those that the SCM learned from; None draws n of the truth.
        do: An intervention, or several; None: each variable with an effect at its quartiles and at its mean +- 4 sd.
        n: Rows to draw, where none are given; also those that the additive reference learns from.
        references: Other SCMs for the errors, name -> SCM; None fits the additive-noise regression.
        level: Chance of a false alarm in each family of tests (all populations, all noises), shared by its members.
        seed: Of rows, draws, tests and the posterior noise of discrete variables.

    Raises:
        ValueError: Neither truth nor rows, or no SCM; variables that do not agree; an unknown variable in do, or no one
            number; a level that is not between 0 and 1.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> learned = ck.fit_scm(scm.graph, scm.sample(5000, seed=0), seed=0)
        >>> checks = check_counterfactuals(learned, scm, n=500, seed=1)
        >>> checks.passed
        True
        >>> errors = checks.table[checks.table["against"] == "no abduction"]
        >>> bool((errors["value"] < 0.1 * errors["reference"]).all())
        True
    """
    check_level(level)
    base = integer(seed, "check_counterfactuals")
    units = make_units(learned, truth, frame, n, base)
    asked = cases(units, do)
    known = additive_reference(units, n, base) if references is None else dict(references)
    lines: list[Line] = [*errors(units, asked, known), *axioms(units, asked)]
    lines += [*populations(units, asked, level), *identified(units, asked, level), *noises(units, level)]
    return Checks(pd.DataFrame([dataclasses.asdict(line) for line in lines]))
