"""Learned SCMs: a mechanism for each variable of a known or discovered DAG, fitted to data; effects by adjustment.

What comes back is an SCM like any other, so it samples, intervenes and answers counterfactuals. Its answers are
right as far as the graph, the form of the noise and the absence of hidden common causes are.
"""

from causalkit.estimation.diagnostics import diagnose
from causalkit.estimation.effects import effect_errors
from causalkit.estimation.ensemble import Ensemble, fit_ensemble
from causalkit.estimation.fit import FITS, fit_scm
from causalkit.estimation.learned import ExtrapolationWarning, LearnedSCM
from causalkit.estimation.learners import LEARNERS
from causalkit.estimation.regressions import REGRESSIONS

__all__ = [
    "FITS",
    "LEARNERS",
    "REGRESSIONS",
    "Ensemble",
    "ExtrapolationWarning",
    "LearnedSCM",
    "diagnose",
    "effect_errors",
    "fit_ensemble",
    "fit_scm",
]
