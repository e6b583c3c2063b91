"""Distribution shifts, relative to the causal graph and a target y: functions SCM -> SCM with a certificate.

| shift       | what moves                                     | what stays                        | file       |
|-------------|------------------------------------------------|-----------------------------------|------------|
| covariate   | mechanisms of neither y nor its children       | y's mechanism, and its children's | kinds.py   |
| label       | P(y)                                           | P(x | y)                          |            |
| concept     | y's own mechanism                              | all others                        |            |
| spurious    | the mechanisms of y's observed children        | y's own, though P(y | x) moves    |            |
| confounding | what y and others hear of a hidden common cause| everything else                   |            |
| selection   | which rows are seen                            | every mechanism, before selection |            |
| soft        | the mechanisms of the variables you name       | all others                        |            |
| do, replace | the mechanisms you name, for those you give    | all others                        | compose.py |
| compose     | one after the other                            |                                   |            |

Every one has the same dial, `nats`: KL(shifted || original) of the joint (dial.py), and a certificate of what the
graph proves about it (certificate.py). `strength` sets the raw parameter instead:

| how        | what the strength does to a mechanism                                             |
|------------|-----------------------------------------------------------------------------------|
| "location" | moves the mean of its noise by direction * strength standard deviations           |
| "gain"     | multiplies the parents' deviations from their means by 1 + direction * strength   |
| "scale"    | multiplies the standard deviation of its noise by exp(direction * strength)       |

So a gain of direction -1 weakens, cuts (strength 1) and turns round (strength 2) a dependence. Strength 0 is no
shift at all. A discrete mechanism has no noise of that kind: "location" moves its log-odds, and "gain" its logits.
"""

from causalkit.selection import Selected
from causalkit.shifts.certificate import Certificate
from causalkit.shifts.compose import Composed, Replaced, compose, do, replace
from causalkit.shifts.dial import Unreachable
from causalkit.shifts.kinds import (
    SHIFTS,
    concept,
    confounding,
    covariate,
    label,
    selection,
    soft,
    spurious,
)
from causalkit.shifts.shift import Shift
from causalkit.shifts.tilt import Tilt

__all__ = [
    "SHIFTS",
    "Certificate",
    "Composed",
    "Replaced",
    "Selected",
    "Shift",
    "Tilt",
    "Unreachable",
    "compose",
    "concept",
    "confounding",
    "covariate",
    "do",
    "label",
    "replace",
    "selection",
    "soft",
    "spurious",
]
