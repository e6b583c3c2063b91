"""The benchmark engine: suites of notebook runs, swept, skipped where done, tabulated, reported and reproduced.

A suite is a TOML file; `load_suite` checks it, `plan_suite` gives every run its address, `run_suite` runs what is not
done yet, on this machine or on a Dask cluster; results are read, reported and reproduced from the sweep's directory.
"""

import importlib

_HOME = {
    "list_suites": "suite",
    "load_suite": "suite",
    "part_of": "part",
    "plan_suite": "plan",
    "read_results": "results",
    "read_tables": "results",
    "reproduce_run": "reproduce",
    "reproduce_suite": "reproduce",
    "results_table": "results",
    "run_suite": "sweep",
    "write_results": "results",
    "write_suite_report": "report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """The public name, from the module that it lives in."""
    if name in _HOME:
        return getattr(importlib.import_module(f"causalkit.bench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'causalkit.bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
