"""Checks of counterfactuals: errors between references, axioms, populations, noise; controls that must fire; exhibits.

`check_counterfactuals(learned, truth, seed=0)` knows the truth; `check_counterfactuals(learned, frame=rows, seed=0)`
does what rows allow, and says of the rest that it cannot be known. Each finding is a row of `.table`; `.summary()`,
`.passed` and `.plot()` read it.
"""

from causalkit.checks.controls import caught, negative_controls
from causalkit.checks.distance import counterfactual_error, divergence_from
from causalkit.checks.exhibits import Exhibit, joe, two_worlds
from causalkit.checks.population import mmd
from causalkit.checks.report import Checks, check_counterfactuals

__all__ = [
    "Checks",
    "Exhibit",
    "caught",
    "check_counterfactuals",
    "counterfactual_error",
    "divergence_from",
    "joe",
    "mmd",
    "negative_controls",
    "two_worlds",
]
