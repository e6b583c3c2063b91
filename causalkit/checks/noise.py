"""The noise that a model abducts: does it look like noise, and where there is a truth, is it the true one?"""

from __future__ import annotations

import math

import numpy as np

from causalkit import estimation
from causalkit.checks.units import Line, Units
from causalkit.seeds import integer

__all__ = ["monotone_correlation", "noises"]

TESTS = {
    "hsic_p": "noise independent of the parents (HSIC)",
    "pit_p": "noise uniform after its own distribution function (PIT)",
    "dependence_p": "noise independent of the other variables' noise",
}


def monotone_correlation(found: np.ndarray, true: np.ndarray) -> float:
    """The correlation of true noise with the best monotone map of the noise found, rising or falling.

    Noise is identified up to a monotone map alone: another distribution of u and another f make the same variable.

    Example:
        >>> u = np.linspace(-1, 1, 50)
        >>> round(monotone_correlation(-u**3, u), 6), round(monotone_correlation(u**2, u), 2) < 0.9
        (1.0, True)
    """
    from sklearn.isotonic import IsotonicRegression

    best = 0.0
    for rising in (True, False):
        fitted = IsotonicRegression(increasing=rising).fit_transform(found, true)
        if np.ptp(fitted) > 0:
            best = max(best, float(np.corrcoef(fitted, true)[0, 1]))
    return best


def noises(units: Units, level: float) -> list[Line]:
    """p-values of `ck.diagnose` against level / number of tests; with a truth, how near noise is to the true one."""
    table = estimation.diagnose(units.learned, units.frame, seed=integer(units.seed, "diagnose"))
    number = max(1, int(table[list(TESTS)].notna().to_numpy().sum()))
    lines = []
    for name in units.learned.variables:
        for test in TESTS:
            p = float(table.loc[name, test])
            if math.isnan(p):
                if units.learned.mechanisms[name].parents or test != "hsic_p":  # a root has no parents to test against
                    lines.append(Line.unknown("noise", TESTS[test], str(table.loc[name, "note"]), name, "p"))
                continue
            verdict = "holds" if p >= level / number else "fails"
            lines.append(Line("noise", TESTS[test], name, p, "p", limit=level / number, verdict=verdict,
                              why=f"at least {level:g} / {number} tests"))  # fmt: skip
        lines.append(_nearness(units, name))
    return lines


def _nearness(units: Units, name: str) -> Line:
    what = "correlation with the true noise"
    if units.noise is None:
        return Line.unknown("noise", what, "it takes the true noise (truth=)", name)
    if name in units.discrete:
        return Line.unknown("noise", what, "a level does not determine its noise: it is drawn from the posterior", name)
    value = monotone_correlation(units.abducted[name].to_numpy(), units.noise[name].to_numpy())
    return Line("noise", what, name, value, "correlation", "the very noise", 1.0, why="after the best monotone map")
