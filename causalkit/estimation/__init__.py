"""Learned SCMs: a mechanism for each variable of a known or discovered DAG, fitted to data; effects by adjustment.

What comes back is an SCM like any other, so it samples, intervenes and answers counterfactuals. Its answers are
right as far as the graph, the form of the noise and the absence of hidden common causes are.
"""

from causalkit.estimation.effects import effect_errors
from causalkit.estimation.fit import REGRESSIONS, fit_scm

__all__ = ["REGRESSIONS", "effect_errors", "fit_scm"]
