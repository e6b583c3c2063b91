"""causalkit: teach and experiment with causality in machine learning, from data to counterfactuals.

The verbs, in the order in which a study uses them: SCM, sample, do, counterfactual; shifts; sample_environments;
discover, compare; fit, evaluate; fit_scm. The catalogues METHODS, SHIFTS, OBJECTIVES, MECHANISMS and ENCODERS are
plain dicts, name -> function, to which a user adds an entry in one line.

Modules are loaded when they are first used, so that `causalkit doctor` can speak where something is missing.
"""

import importlib

__version__ = "0.1.0"

# module -> the names that stand at the top; the modules themselves stand there too
_TOP = {
    "bench": [],
    "checks": ["check_counterfactuals"],
    "coloured": [],
    "course": [],
    "datasets": ["load_sachs", "teaching_scm", "triangle"],
    "divergence": ["kl"],
    "do_rules": [],
    "discovery": [
        "METHODS",
        "DiscoveryTimeout",
        "Knowledge",
        "bootstrap",
        "calibration",
        "consensus",
        "discover",
        "methods",
    ],
    "encoder": ["ENCODERS"],
    "environments": ["Environment", "Task", "sample_environments"],
    "estimation": ["ExtrapolationWarning", "diagnose", "effect_errors", "fit_ensemble", "fit_scm"],
    "exact": ["EXACT"],
    "graphs": ["consistent_dags"],
    "identification": ["NotIdentifiable", "identify"],
    "mechanisms": ["MECHANISMS", "NotInvertible", "additive", "linear", "logistic", "mlp"],
    "metrics": ["compare", "sortability", "standardise"],
    "model": [],
    "networks": ["load_network"],
    "objectives": ["OBJECTIVES"],
    "observation": ["kept", "measured", "selected"],
    "questions": [],
    "plotting": ["plot_comparison"],
    "random_models": ["random_scm"],
    "reweighting": ["WEIGHTS"],
    "runs": [],
    "scm": ["SCM"],
    "seeds": [],
    "selection": ["Selected"],
    "shifts": ["SHIFTS"],
    "training": ["evaluate", "fit", "sweep"],
    "two_bit": [],
    "unit_tests": [],
    "widgets": [],
}
_HOME = {name: module for module, names in _TOP.items() for name in names}
__all__ = sorted([*_TOP, *_HOME])


def __getattr__(name: str) -> object:
    """The module of this name, or the public name from the module that it lives in."""
    if name in _TOP:
        return importlib.import_module(f"causalkit.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"causalkit.{_HOME[name]}"), name)
    raise AttributeError(f"module 'causalkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
