"""Identification: from a causal question and a graph to a formula over what is observed, with its derivation.

`identify` answers a question; the `Estimand` that it returns is printed, estimated from data and verified on an SCM.
The parts: `expressions` (formulas), `admg` (graphs with hidden causes), `complete` (ID and IDC), `derivation` (the
steps), `adjustment`, `front_door` and `instruments` (sets of variables), `verify` (exact enumeration), `estimate`
(numbers from data), `transport` (other populations).
"""

from causalkit.identification.adjustment import adjustment_sets, is_adjustment_set, optimal_adjustment
from causalkit.identification.admg import ADMG, admg, canonical
from causalkit.identification.complete import Hedge
from causalkit.identification.estimand import Estimand, Step
from causalkit.identification.expressions import (
    Expression,
    Joint,
    Probability,
    Product,
    Ratio,
    Sum,
    evaluate,
    free,
    latex,
)
from causalkit.identification.front_door import front_door_sets
from causalkit.identification.identify import NotIdentifiable, WrongFormula, identify
from causalkit.identification.instruments import instruments, two_stage_least_squares
from causalkit.identification.results import Estimate, PositivityError
from causalkit.identification.simplify import simplify
from causalkit.identification.transport import NotTransportable, Source, TransportError, selection_diagram
from causalkit.identification.verify import TooLarge, interventional, observational, random_discrete

__all__ = [
    "ADMG",
    "Estimand",
    "Estimate",
    "Expression",
    "Hedge",
    "Joint",
    "NotIdentifiable",
    "NotTransportable",
    "PositivityError",
    "Probability",
    "Product",
    "Ratio",
    "Source",
    "Step",
    "Sum",
    "TooLarge",
    "TransportError",
    "WrongFormula",
    "adjustment_sets",
    "admg",
    "canonical",
    "evaluate",
    "free",
    "front_door_sets",
    "identify",
    "instruments",
    "interventional",
    "is_adjustment_set",
    "latex",
    "observational",
    "optimal_adjustment",
    "random_discrete",
    "selection_diagram",
    "simplify",
    "two_stage_least_squares",
]
