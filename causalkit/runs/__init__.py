"""Headless runs of notebooks: checked parameters, a verdict that can be trusted, recorded results, a report.

In a notebook, the last cell calls `record`; outside, `run_notebook` and `run_study` execute notebooks, each in a
process of its own, and `write_report` makes one page of them.
"""

from causalkit.runs.execute import run_notebook
from causalkit.runs.parameters import notebook_parameters
from causalkit.runs.report import write_report
from causalkit.runs.results import OutputError, metric, record
from causalkit.runs.run import Run, compare_runs, load_run
from causalkit.runs.studies import STUDIES, run_study

__all__ = [
    "STUDIES",
    "OutputError",
    "Run",
    "compare_runs",
    "load_run",
    "metric",
    "notebook_parameters",
    "record",
    "run_notebook",
    "run_study",
    "write_report",
]
