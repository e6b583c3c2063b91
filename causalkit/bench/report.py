"""The report of a sweep: what came out, compared with what, how sure it is, what failed, and where it was run."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from causalkit.bench.figures import draw_plot
from causalkit.bench.published import check_published
from causalkit.bench.render import Block, Cell, Code, Section, Table, Words, to_html, to_markdown
from causalkit.bench.results import NOT_RUN, Results, axis_column, metric_column, read_results
from causalkit.bench.tables import Design, comparisons, effect_blocks, published_figures, result_tables
from causalkit.runs.results import OutputError, write_text

__all__ = ["write_suite_report"]

MOST = 5  # settings that a line of the failures names


def write_suite_report(directory: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a sweep: one self-contained HTML page, and the same tables in Markdown beside it.

    Args:
        directory: The sweep's directory; a sweep that is not finished can be reported too.
        path: The page; None for report.html in the directory. The Markdown has its name with .md.

    Returns:
        The path of the page.

    Raises:
        ValueError: The directory holds no sweep.
        OutputError: A file cannot be written.
    """
    results = read_results(directory)
    target = Path(directory, "report.html") if path is None else Path(path)
    sections = [_experiment(results, each) for each in results.suite["experiments"]]
    sections += [*_failures(results), *_gaps(results), _environment(results)]
    title, head = results.suite["title"], _head(results)
    try:
        write_text(target, to_html(title, head, sections))
        write_text(target.with_suffix(".md"), to_markdown(title, head, sections))
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error.strerror}): free some space, or move it") from error
    return target.absolute()


def _head(results: Results) -> list[Block]:
    counts = Counter(run.verdict for run in results.runs.values())
    planned = len({entry["address"] for entry in results.plan})
    said = [f"{n} {verdict}" for verdict, n in counts.most_common()]
    missing = planned - len(results.runs)
    said += [f"{missing} not run"] if missing else []
    blocks: list[Block] = [Words(results.suite["about"])] if results.suite.get("about") else []
    part = f", of which this is a part ({' '.join(results.sweep['part'])})" if results.sweep.get("part") else ""
    return [
        *blocks,
        Words(f"{_many(planned, 'run')} planned at budget {results.sweep['budget']}{part}: {', '.join(said)}."),
    ]


def _experiment(results: Results, experiment: dict[str, Any]) -> Section:
    design, plots = _design(results, experiment)
    table = design.table
    notebook = Path(experiment["notebook"]).stem
    about = f"Experiment {experiment['name']}, notebook {notebook}: {_many(len(table), 'run')}. {_times(table)}"
    blocks: list[Block] = [Words(about)]
    if experiment.get("protocol"):
        blocks.append(Words(f"Protocol: {experiment['protocol']}"))
    findings = []
    published = check_published(results)
    published = published[published["experiment"] == experiment["name"]]
    if len(published):
        block, finding = published_figures(published)
        blocks.append(block)
        findings.append(finding)
    blocks += result_tables(design, _over(results, experiment["name"]))
    blocks += [_picture(design, plot) for plot in plots]
    more, finding = comparisons(design)
    blocks += more
    findings.append(finding)
    factors = [axis_column(axis) for axis in experiment["effects"]]
    for metric in design.metrics if factors else ():
        more, finding = effect_blocks(design, factors, metric)
        blocks += more
        findings.append(finding)
    return Section(f"experiment-{experiment['name']}", experiment["question"], " ".join(filter(None, findings)), blocks)


def _design(results: Results, experiment: dict[str, Any]) -> tuple[Design, list[dict[str, Any]]]:
    """The experiment with the columns of its table in place of the names of axes and metrics, and its plots."""
    table = results.frame(experiment["name"])
    metrics = {metric_column(table, name): entry["better"] for name, entry in experiment["metrics"].items()}
    table = table.reindex(columns=[*table.columns, *(name for name in metrics if name not in table.columns)])
    baseline = {axis_column(axis): level for axis, level in experiment["baseline"].items()}
    plots = [{**plot, "x": axis_column(plot["x"]), "y": metric_column(table, plot["y"])} for plot in experiment["plot"]]
    plots = [{**plot, **{key: axis_column(plot[key]) for key in ("by", "facet") if key in plot}} for plot in plots]
    plots = [
        {**plot, "where": {axis_column(axis): level for axis, level in plot.get("where", {}).items()}} for plot in plots
    ]
    compared = list(baseline) or list(dict.fromkeys(plot["by"] for plot in plots if "by" in plot))
    return Design(table, [axis_column(axis) for axis in experiment["axes"]], metrics, baseline, compared), plots


def _picture(design: Design, plot: dict[str, Any]) -> Block:
    if not design.table[plot["y"]].notna().any():
        return Words(f"{plot['y']} cannot be plotted: no run has a value of it.", alarm=True)
    return draw_plot(design.table, design.axes, plot, design.metrics.get(plot["y"], "lower"))


def _failures(results: Results) -> list[Section]:
    """What failed, alike failures in one line."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for entry in results.plan:
        run = results.runs.get(entry["address"])
        if run is not None and not run.ok:
            axes = [*results.experiment(entry["experiment"])["axes"], "seed"]
            setting = ", ".join(f"{axis}={entry['parameters'].get(axis)}" for axis in axes)
            lines.setdefault((entry["experiment"], run.verdict, run.why), []).append(f"{setting} ({entry['address']})")
    if not lines:
        return []
    rows: list[list[Cell]] = []
    for (experiment, verdict, why), runs in lines.items():
        named = "; ".join(runs[:MOST]) + (f"; {len(runs) - MOST} more" if len(runs) > MOST else "")
        rows.append([experiment, verdict, str(len(runs)), why, named])
    note = "Cells are counted from 0. Each run's notebook as it stopped: runs/ADDRESS/executed.ipynb; all: table.csv."
    columns = ["experiment", "verdict", "runs", "reason", "settings (address)"]
    table = Table("Failures, alike ones in one line", columns, rows, note, frozenset({2}))
    total = sum(map(len, lines.values()))
    return [Section("failures", "What failed", f"{_many(total, 'run')} in {_many(len(rows), 'way')}.", [table])]


def _gaps(results: Results) -> list[Section]:
    blocks: list[Block] = []
    if results.missing:
        counts = Counter(entry["experiment"] for entry in results.missing)
        rows: list[list[Cell]] = [[name, str(n)] for name, n in counts.items()]
        note = "The same command again runs them, and nothing else."
        blocks.append(Table("Planned and not run", ["experiment", "runs"], rows, note, frozenset({1})))
    if results.damaged:
        rows = [[name, why, "yes" if name in results.runs else "no"] for name, why in results.damaged.items()]
        columns = ["set aside as damaged/", "reason", "run again since"]
        blocks.append(Table("Damaged records", columns, rows))
    said = f"{len(results.missing)} not run, {len(results.damaged)} damaged."
    return [Section("gaps", "What is missing", said, blocks)] if blocks else []


def _environment(results: Results) -> Section:
    sweep, runs = results.sweep, [run.record for run in results.runs.values()]
    machines = Counter(_machine(record["machine"]) for record in runs) or Counter(
        [_machine(sweep.get("machine") or {})]
    )
    git = sweep.get("git")
    commit = (
        f"{git['commit'][:12]}{', with changes that are not committed' if git['dirty'] else ''}" if git else "no git"
    )
    seconds = sum(record["timings"]["total"] or 0.0 for record in runs)
    rows: list[list[Cell]] = [["machine", f"{name} ({_many(n, 'run')})"] for name, n in machines.items()]
    rows += [
        ["workers", f"{sweep.get('workers')}{', over Dask' if sweep.get('dask') else ''}"],
        ["threads a run", str(sweep.get("threads"))],
        ["commit", commit],
        ["code", str(sweep.get("code_sha256"))[:16]],
        ["lock", str(sweep.get("lock_sha256") or "none")[:16]],
    ]
    if runs:
        first, last = min(r["started"] for r in runs), max(r["finished"] for r in runs)
        rows.append(["time", f"{_duration(seconds)} in all runs; from {first[:19]} to {last[:19]} UTC"])
    versions: list[list[Cell]] = [[name, version] for name, version in sweep.get("versions", {}).items()]
    again = f"causalkit reproduce {shlex.quote(str(results.directory))}"
    blocks: list[Block] = [
        Code(f"{sweep.get('command')}\n{again}"),
        Table("Where and when", ["", ""], rows),
        Table("Versions", ["package", "version"], versions),
    ]
    return Section("environment", "How it was run, and how to check it", "", blocks)


def _many(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _times(table: pd.DataFrame) -> str:
    run = table[table["verdict"] != NOT_RUN]
    if run.empty:
        return ""
    said = (
        f"A run took {_duration(run['total_seconds'].median())} (median), all {_duration(run['total_seconds'].sum())}"
    )
    memory = run["peak_memory_mib"].max()
    return said + (f"; largest peak memory {memory:.0f} MiB." if memory == memory else ".")


def _over(results: Results, experiment: str) -> str:
    """What the seeds seed, as far as the runs tell."""
    ok = [e["address"] for e in results.plan if e["experiment"] == experiment and e["address"] in results.runs]
    record = next((results.runs[a].record for a in ok if results.runs[a].ok), {})
    parts = [name for name in {**record.get("seeds", {}), **record.get("derived_seeds", {})} if name != "seed"]
    return "over seeds" + (f" ({', '.join(parts)})" if parts else "")


def _machine(machine: dict[str, Any]) -> str:
    words = [machine.get("os"), machine.get("cpu"), f"{machine['cpus']} CPUs" if "cpus" in machine else None]
    return ", ".join(str(word) for word in words if word) or "unknown"
