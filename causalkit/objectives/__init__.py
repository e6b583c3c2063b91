"""The Causal Regularization Layer: what a network is asked to minimise over several environments.

An objective is a small function, `objective(batch) -> scalar`: the mean risk over environments plus weighted
penalties. `irm(100.0) + vrex(1.0)` joins the penalties and counts the risk once; `irm(1e4).anneal(start=100)` lets
them wait. A penalty is a function of the batch alone; whoever has another one writes
`Objective("mine", penalties=((weight, function),))`. Two other kinds: a rule that makes one step out of several
gradients, and a schedule of phases.
"""

from __future__ import annotations

from collections.abc import Callable

from causalkit.objectives.alignment import coral, dann, mmd
from causalkit.objectives.anchored import anchor, drig
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
from causalkit.objectives.bottleneck import ib, ib_erm, ib_irm
from causalkit.objectives.castle import castle
from causalkit.objectives.counterfactual import counterfactual_augmentation, counterfactual_consistency
from causalkit.objectives.counterfactual_invariance import counterfactual_invariance
from causalkit.objectives.do_calculus import do_calculus
from causalkit.objectives.feature_augmented import feat
from causalkit.objectives.gradients import and_mask, fishr, iga
from causalkit.objectives.independence import hsic
from causalkit.objectives.interventional import interventional
from causalkit.objectives.invariance import irm, irm_pairs, irmx, vrex
from causalkit.objectives.pareto import pair
from causalkit.objectives.quantile import eqrm
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
    "anchor",
    "and_mask",
    "castle",
    "coral",
    "counterfactual_augmentation",
    "counterfactual_consistency",
    "counterfactual_invariance",
    "cross_entropy",
    "dann",
    "do_calculus",
    "drig",
    "eqrm",
    "erm",
    "feat",
    "fishr",
    "group_dro",
    "hsic",
    "ib",
    "ib_erm",
    "ib_irm",
    "iga",
    "interventional",
    "irm",
    "irm_pairs",
    "irmx",
    "mmd",
    "pair",
    "squared_error",
    "vrex",
]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "erm": erm,
    "irm": irm,
    "irm_pairs": irm_pairs,
    "vrex": vrex,
    "irmx": irmx,
    "pair": pair,
    "feat": feat,
    "group_dro": group_dro,
    "eqrm": eqrm,
    "ib": ib,
    "ib_erm": ib_erm,
    "ib_irm": ib_irm,
    "fishr": fishr,
    "iga": iga,
    "and_mask": and_mask,
    "coral": coral,
    "mmd": mmd,
    "dann": dann,
    "hsic": hsic,
    "anchor": anchor,
    "drig": drig,
    "castle": castle,
    "counterfactual_consistency": counterfactual_consistency,
    "counterfactual_augmentation": counterfactual_augmentation,
    "counterfactual_invariance": counterfactual_invariance,
    "do_calculus": do_calculus,
    "interventional": interventional,
}
"""Objectives: name -> function that returns one. Add your own with `OBJECTIVES["mine"] = function`."""
