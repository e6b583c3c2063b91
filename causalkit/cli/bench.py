"""The commands of the benchmark engine: `causalkit bench` and `causalkit reproduce`.

Exit codes: 0 every run is ok, 1 some failed or did not come out the same, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from causalkit.cli.console import err, out, plain_errors, table_of
from causalkit.cli.live import clock, watched

if TYPE_CHECKING:
    from causalkit.bench.plan import Plan
    from causalkit.bench.sweep import Status

__all__ = ["app", "find_sweep", "write_tables_and_report"]

app = typer.Typer()
SHOWN = 12  # rows of an experiment's headline, and failures, on the screen; the report has all


@app.command()
def bench(
    suite: Annotated[str, typer.Argument(help="A shipped suite's name, the path of a .toml file, or: list.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; default: one a CPU.")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers are to run.")] = None,
    budget: Annotated[str | None, typer.Option(help="fast (the default) or full.")] = None,
    only: Annotated[str | None, typer.Option(help="Experiments to run, by name: NAME,NAME; default: all.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Only so many seeds of each, the first; default: all.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only runs with these: PARAMETER=VALUE,VALUE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep as it was begun.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: results/SUITE.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run; write nothing.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for numerical libraries, a run.")] = None,
    again_failed: Annotated[bool, typer.Option("--again-failed", help="Run failed runs once more.")] = False,
) -> None:
    """Run a suite, or a part of it: what is done is skipped, what changed is run again."""
    from causalkit.bench.part import part_of
    from causalkit.bench.plan import plan_suite
    from causalkit.bench.suite import load_suite
    from causalkit.bench.sweep import run_suite

    with plain_errors():
        if suite == "list":
            _list()
            return
        given = {"workers": workers, "threads": threads, "dask": dask}
        if resume:
            if only is not None or seeds is not None or where:
                raise ValueError(
                    "--resume goes on with what was begun: leave out --only, --seeds and --where, or --resume"
                )
            chosen, options = _resumed(suite, output, budget, given)
        else:
            names = [name.strip() for name in only.split(",")] if only is not None else []
            chosen, options = part_of(load_suite(suite, budget or "fast"), names, seeds, _where(where or [])), given
        options = {"threads": 1, **{key: value for key, value in options.items() if value is not None}}
        options.setdefault("workers", _cpus() // options["threads"] or 1)
        if dry_run:
            _show_plan(plan_suite(chosen, output, threads=options["threads"]), options["workers"], again_failed)
            return
        # Dask logs whole tracebacks where a connection breaks; what matters of it is in our own message.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            with watched() as progress:
                status = run_suite(chosen, output, again_failed=again_failed, progress=progress, **options)
        except KeyboardInterrupt as stop:
            err.print("[bold]interrupted.[/]", escape(str(stop)), soft_wrap=True)
            raise typer.Exit(130) from None
        _show_end(status)
    if not status.ok:
        raise typer.Exit(1)


@app.command()
def reproduce(
    target: Annotated[Path, typer.Argument(help="The directory of a run or a sweep, or a swept suite's name.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; default: one a CPU.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many of a sweep's runs; default: all.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds a run; default: the suite's.")] = None,
) -> None:
    """Run a run or a sweep again, and say which number moved, by how much, and what is different here."""
    from causalkit.bench.reproduce import reproduce_run, reproduce_suite
    from causalkit.bench.sweep import stoppable

    stop = threading.Event()
    with plain_errors():
        swept = find_sweep(target)
        try:
            with err.status("running again") as shown, stoppable(stop):
                if swept is None:
                    result = reproduce_run(target, timeout=timeout, stop=stop)
                else:
                    result = reproduce_suite(
                        swept, workers=workers or _cpus(), sample=sample, timeout=timeout, stop=stop,
                        progress=lambda done, total: shown.update(f"running again: {done} of {total} done"),
                    )  # fmt: skip
        except KeyboardInterrupt:
            err.print("[bold]interrupted:[/] nothing was kept")
            raise typer.Exit(130) from None
    out.print(result.summary(), soft_wrap=True, markup=False)
    if not result.ok:
        raise typer.Exit(1)


def _where(options: list[str]) -> dict[str, list[str]]:
    """PARAMETER=VALUE,VALUE options, by parameter."""
    chosen: dict[str, list[str]] = {}
    for option in options:
        name, equals, values = option.partition("=")
        if not equals or not name.strip() or not values.strip():
            raise ValueError(f"--where {option} is not PARAMETER=VALUE,VALUE: give variables=20, say")
        chosen.setdefault(name.strip(), []).extend(value.strip() for value in values.split(","))
    return chosen


def find_sweep(directory: Path) -> Path | None:
    """The sweep that a directory holds, or results/NAME for the name of a suite; None if it is something else."""
    found = (place for place in (directory, Path("results", directory)) if (place / "sweep.json").is_file())
    return next(found, None)


def write_tables_and_report(directory: Path) -> None:
    """Write a sweep's tables and report again, and say where they are."""
    from causalkit.bench.report import write_suite_report
    from causalkit.bench.results import write_results

    for path in [*write_results(directory), write_suite_report(directory)]:
        out.print(str(path), soft_wrap=True, markup=False)


def _list() -> None:
    """The shipped suites: name, runs at either budget, title; what is wrong with one stands in its line."""
    from causalkit.bench.suite import BUDGETS, list_suites, load_suite

    rows: list[list[Any]] = []
    for name, path in list_suites().items():
        try:
            suites = [load_suite(path, budget) for budget in BUDGETS]
        except ValueError as error:
            rows.append([name, None, None, f"broken: {error}"])
        else:
            counts = [sum(len(experiment.runs) for experiment in suite.experiments) for suite in suites]
            rows.append([name, *counts, suites[0].title])
    out.print(table_of("Suites", ["suite", "runs, fast", "runs, full", "title"], rows) if rows else "No suites here.")


def _resumed(suite: str, output: Path | None, budget: str | None, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recorded suite and options; workers and dask may be given anew, what results hang on may not."""
    from causalkit.bench.directory import recorded_suite

    name = Path(suite).stem if suite.endswith(".toml") else suite
    directory = output or Path("results", name)
    chosen, options = recorded_suite(directory)
    if chosen.name != name:
        raise ValueError(f"{directory} holds the sweep of suite {chosen.name!r}, not of {name!r}")
    for key, wanted, recorded in (
        ("budget", budget, chosen.budget),
        ("threads", given["threads"], options["threads"]),
    ):
        if wanted not in (None, recorded):
            raise ValueError(f"the sweep in {directory} has --{key} {recorded}: leave out --{key}, or --resume")
    return chosen, {**options, **{key: value for key, value in given.items() if value is not None}}


def _cpus() -> int:
    from causalkit.runs.environment import machine

    return int(machine(1)["cpus"])


def _show_plan(plan: Plan, workers: int, again_failed: bool) -> None:
    from causalkit.bench.directory import check_directory
    from causalkit.bench.plan import estimate

    check_directory(plan)
    earlier = plan.earlier()
    done = {key: run for key, run in plan.done(earlier).items() if run.ok or not again_failed}
    for experiment in plan.suite.experiments:
        runs = [run for run in plan.runs if run.experiment == experiment.name]
        ready = sum(run.address in done for run in runs)
        out.print(f"[bold]{experiment.name}[/]: {len(runs)} runs, {ready} done. {escape(experiment.question)}")
        axes = [*experiment.axes, "seed"]
        for run in runs[:3]:
            text = ", ".join(f"{axis} = {run.parameters.get(axis)!r}" for axis in axes)
            out.print(f"  {run.address}  {escape(text)}{'  (done)' if run.address in done else ''}", soft_wrap=True)
        if len(runs) > 3:
            out.print(f"  ... and {len(runs) - 3} more")
    left = [each for each in plan.addresses if each not in done]
    time_ = estimate(plan, left, earlier.values(), workers)
    out.print(f"{len(plan.addresses)} runs in {plan.directory}, {len(done)} done, {len(left)} to run", soft_wrap=True)
    if left:
        text = "unknown" if time_.unknown == len(left) else f"about {clock(time_.seconds)} with {workers} workers"
        text += f"; {time_.guessed} guessed from other parameters" if time_.guessed else ""
        text += (
            f"; without {time_.unknown} runs of notebooks that never ran here"
            if time_.unknown < len(left) and (time_.unknown)
            else ""
        )
        out.print(f"time: {text}")


def _show_end(status: Status) -> None:
    """The headline, what failed and why, and where everything is."""
    from causalkit.bench.directory import resume_command

    plan = status.plan
    experiments = {run.address: run.experiment for run in plan.runs}
    failed = [(key, run) for key, run in status.runs.items() if not run.ok]
    for key, run in failed[:SHOWN]:
        err.print(f"[bold red]{run.verdict}:[/] {experiments[key]}, {key}: {escape(run.why)}", soft_wrap=True)
    if len(failed) > SHOWN:
        err.print(f"... and {len(failed) - SHOWN} more that failed: see the report")
    for name, why in status.damaged.items():
        err.print(f"[bold]set aside:[/] damaged/{escape(name)}: {escape(why)}", soft_wrap=True)
    for key, why in status.lost.items():
        err.print(f"[bold red]not done:[/] {experiments[key]}, {key}: {escape(why)}", soft_wrap=True)
    if status.lost:
        err.print(f"go on with: {resume_command(plan)}", soft_wrap=True, markup=False)
    _print_headline(plan.directory)
    total = status.total
    out.print(
        f"{total.done - total.failed} of {total.planned} runs ok, {total.failed} failed; {status.fresh} were run now"
    )
    out.print(f"report: {plan.directory / 'report.html'}", soft_wrap=True, markup=False)


def _print_headline(directory: Path) -> None:
    """Each experiment's means over seeds, with their 95 % intervals where the screen has room; published figures."""
    from causalkit.bench.published import check_published
    from causalkit.bench.results import axis_column, metric_column, read_results
    from causalkit.bench.statistics import summarise

    results = read_results(directory)
    for experiment in results.suite["experiments"]:
        table, axes = results.frame(experiment["name"]), [axis_column(axis) for axis in experiment["axes"]]
        metrics = [name for name in experiment["metrics"] if metric_column(table, name) in table.columns]
        found = [summarise(table, axes, metric_column(table, name)) for name in metrics]
        settings = list(found[0].index) if found else []
        names = [(each if isinstance(each, tuple) else (each,))[: len(axes)] for each in settings]
        for show, said in ((_interval, "Mean over seeds [95 % interval]"), (_mean, "Mean over seeds")):
            rows = [[*name, *(show(f.loc[at]) for f in found)] for at, name in zip(settings, names, strict=True)]
            shown = table_of(f"{experiment['question']} {said}", [*experiment["axes"], *metrics], rows)
            if (
                0 < len(rows) <= SHOWN
                and out.measure(shown, options=out.options.update(width=1000)).maximum <= out.width
            ):
                out.print(shown)
                break
        else:
            out.print(f"{experiment['name']}: {len(settings)} settings, see the report")
    figures = check_published(results)
    if len(figures):
        counts = figures["verdict"].value_counts()
        out.print(f"published figures: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}")
    for _, row in figures[figures["verdict"] == "no match"].iterrows():
        text = f"no match: {row['label']}: published {row['published']:.4g}, ours {row['ours']:.4g}. {row['reason']}"
        out.print(text, soft_wrap=True, markup=False)


def _mean(row: Any) -> str:
    lost = f", {row['lost']:.0f} lost" if row["lost"] else ""
    return f"{row['mean']:.4g}{lost}" if row["n"] else "no result"


def _interval(row: Any) -> str:
    return _mean(row) + (f" [{row['low']:.4g}, {row['high']:.4g}]" if row["n"] > 1 else "")
