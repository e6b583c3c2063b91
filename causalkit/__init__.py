"""causalkit: teach and experiment with causality in machine learning, from data to counterfactuals."""

from causalkit import course, graphs, shifts
from causalkit.environments import Environment, Task, sample_environments
from causalkit.estimation import fit_scm
from causalkit.mechanisms import MECHANISMS, NotInvertible, additive, linear, mlp
from causalkit.scm import SCM, random_scm
from causalkit.shifts import SHIFTS

__version__ = "0.1.0"
