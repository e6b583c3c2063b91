"""Regularized Optimization: one training loop, and how a trained model is judged.

`fit_many` trains replicates (seeds, hyper-parameters, graphs, data sets of one shape) as one program: the parameters
of each are a row of one matrix, the objective is mapped over the rows, and the optimiser, which works element by
element, moves them all. Replicates never touch each other; `fit` is the case of one.
"""

from __future__ import annotations

from causalkit.model import Diverged
from causalkit.training.fit import fit, fit_many
from causalkit.training.optimisers import OPTIMISERS
from causalkit.training.scores import evaluate
from causalkit.training.sweep import RULES, choose, sweep, trials

__all__ = ["OPTIMISERS", "RULES", "Diverged", "choose", "evaluate", "fit", "fit_many", "sweep", "trials"]
