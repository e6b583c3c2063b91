"""Published numbers beside ours: match, no match, or not run."""

from __future__ import annotations

import math

import pandas as pd

from causalkit.bench.results import Results, axis_column, metric_column
from causalkit.bench.statistics import summarise

__all__ = ["check_published"]

COLUMNS = (
    "experiment", "label", "source", "published", "sd", "n", "ours", "our_sd", "our_n", "difference", "tolerance",
    "verdict", "reason",
)  # fmt: skip


def check_published(results: Results) -> pd.DataFrame:
    """Every published figure of a sweep's suite, with our mean over seeds of the runs that it speaks of.

    It matches where |ours - published| <= tolerance. The tolerance is the suite's where it gives one, and otherwise
    3 sd sqrt(1 / n_published + 1 / n_ours), with n_published = 1 where the source does not tell it.

    Returns:
        A row a figure: experiment, label, source, published, sd, n, ours, our_sd, our_n, difference (ours -
        published), tolerance, verdict ("match", "no match", "not run"), reason (the suite's, where it knows one).
    """
    rows = []
    for experiment in results.suite["experiments"]:
        if not experiment["figures"]:
            continue
        table = results.frame(experiment["name"])
        for figure in experiment["figures"]:
            metric = metric_column(table, figure["metric"])
            runs = table
            for name, level in figure.get("where", {}).items():
                runs = runs[runs[axis_column(name)] == level]
            ours = our_sd = math.nan
            our_n = 0
            if metric in runs.columns and len(runs):
                found = summarise(runs, [], metric).iloc[0]
                ours, our_sd, our_n = float(found["mean"]), float(found["sd"]), int(found["n"])
            source = figure.get("source") or experiment.get("source") or ""
            known = (figure["value"], figure.get("sd"), figure.get("n"))
            allowed = _tolerance(figure.get("tolerance"), figure.get("sd"), figure.get("n"), our_n)
            difference = ours - figure["value"]
            verdict = "match" if abs(difference) <= allowed * (1 + 1e-9) else "no match"  # a digit lost in rounding
            verdict = verdict if our_n else "not run"
            named = (experiment["name"], figure["label"], source, *known)
            reason = figure.get("reason") or ""
            rows.append((*named, ours, our_sd, our_n, difference, allowed, verdict, reason))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _tolerance(given: float | None, sd: float | None, n: int | None, ours: int) -> float:
    if given is not None:
        return float(given)
    return 3.0 * (sd or 0.0) * math.sqrt(1 / (n or 1) + (1 / ours if ours else 0.0))
