"""The Causal Regularization Layer: what a network is asked to minimise over several environments.

An objective is a small function, `objective(batch) -> scalar`: the mean risk over environments plus weighted
penalties. `irm(100.0) + vrex(1.0)` joins the penalties and counts the risk once; `irm(1e4).anneal(start=100)` lets
them wait. A penalty is a function of the batch alone; whoever has another one writes
`Objective("mine", penalties=((weight, function),))`. Two other kinds: a rule that makes one step out of several
gradients, and a schedule of phases.
"""

from __future__ import annotations

from collections.abc import Callable

from causalkit.objectives.base import (
    LOSSES,
    Batch,
    Companion,
    Objective,
    Penalty,
    Phase,
    Rule,
    cross_entropy,
    squared_error,
)
from causalkit.objectives.invariance import irm, irm_pairs, irmx, vrex
from causalkit.objectives.risks import erm, group_dro

__all__ = [
    "LOSSES",
    "OBJECTIVES",
    "Batch",
    "Companion",
    "Objective",
    "Penalty",
    "Phase",
    "Rule",
    "cross_entropy",
    "erm",
    "group_dro",
    "irm",
    "irm_pairs",
    "irmx",
    "squared_error",
    "vrex",
]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "erm": erm,
    "irm": irm,
    "irm_pairs": irm_pairs,
    "vrex": vrex,
    "irmx": irmx,
    "group_dro": group_dro,
}
"""Objectives: name -> function that returns one. Add your own with `OBJECTIVES["mine"] = function`."""
