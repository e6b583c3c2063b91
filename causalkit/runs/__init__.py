"""Headless runs of notebooks: checked parameters, a verdict that can be trusted, recorded results, a report.

In a notebook, the last cell calls `record`; outside, `run_notebook` and `run_study` execute notebooks, each in a
process of its own, and `write_report` makes one page of them. With `warm_parent`, kernels start in no time.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the table below does when a name is used
    from causalkit.runs.execute import run_notebook as run_notebook
    from causalkit.runs.parameters import notebook_parameters as notebook_parameters
    from causalkit.runs.report import write_report as write_report
    from causalkit.runs.results import OutputError as OutputError
    from causalkit.runs.results import metric as metric
    from causalkit.runs.results import record as record
    from causalkit.runs.run import Run as Run
    from causalkit.runs.run import compare_runs as compare_runs
    from causalkit.runs.run import load_run as load_run
    from causalkit.runs.studies import STUDIES as STUDIES
    from causalkit.runs.studies import run_study as run_study
    from causalkit.runs.warm import warm_parent as warm_parent

_HOME = {
    "STUDIES": "studies",
    "OutputError": "results",
    "Run": "run",
    "compare_runs": "run",
    "load_run": "run",
    "metric": "results",
    "notebook_parameters": "parameters",
    "record": "results",
    "run_notebook": "execute",
    "run_study": "studies",
    "warm_parent": "warm",
    "write_report": "report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """The public name, from the module that it lives in: papermill loads our engine without the rest."""
    if name in _HOME:
        return getattr(importlib.import_module(f"causalkit.runs.{_HOME[name]}"), name)
    raise AttributeError(f"module 'causalkit.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
