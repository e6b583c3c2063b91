"""causalkit: teach and experiment with causality in machine learning, from data to counterfactuals.

The verbs, in the order in which a study uses them: SCM, sample, do, counterfactual; shifts; sample_environments;
discover, compare; fit, evaluate; fit_scm. The catalogues METHODS, SHIFTS, OBJECTIVES, MECHANISMS and ENCODERS are
plain dicts, name -> function, to which a user adds an entry in one line.
"""

from causalkit import course, datasets, graphs, metrics, objectives, plotting, runs, shifts, training, widgets
from causalkit.datasets import load_sachs, teaching_scm
from causalkit.discovery import METHODS, bootstrap, discover
from causalkit.encoder import ENCODERS
from causalkit.environments import Environment, Task, sample_environments
from causalkit.estimation import fit_scm
from causalkit.mechanisms import MECHANISMS, NotInvertible, additive, linear, mlp
from causalkit.metrics import compare
from causalkit.objectives import OBJECTIVES
from causalkit.scm import SCM, random_scm
from causalkit.shifts import SHIFTS
from causalkit.training import evaluate, fit

__all__ = [
    "ENCODERS",
    "MECHANISMS",
    "METHODS",
    "OBJECTIVES",
    "SCM",
    "SHIFTS",
    "Environment",
    "NotInvertible",
    "Task",
    "additive",
    "bootstrap",
    "compare",
    "course",
    "datasets",
    "discover",
    "evaluate",
    "fit",
    "fit_scm",
    "graphs",
    "linear",
    "load_sachs",
    "metrics",
    "mlp",
    "objectives",
    "plotting",
    "random_scm",
    "runs",
    "sample_environments",
    "shifts",
    "teaching_scm",
    "training",
    "widgets",
]

__version__ = "0.1.0"
