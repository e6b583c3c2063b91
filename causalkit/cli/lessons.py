"""The commands for notebooks: `causalkit run`, `study`, `compare`, `report`, `doctor`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from causalkit.cli.bench import find_sweep, write_tables_and_report
from causalkit.cli.console import err, out, plain_errors, table_of

if TYPE_CHECKING:
    from causalkit.runs import Run

__all__ = ["app"]

app = typer.Typer()

Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; repeatable.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="New directory for the results; default: under runs/.")
]
Timeout = Annotated[float | None, typer.Option(help="Seconds for each whole notebook; default: no limit.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads for numerical libraries.")]


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="A path, or a shipped notebook's name such as 02_discovery.")],
    parameters: Parameters = None,
    output: Output = None,
    timeout: Timeout = None,
    memory: Annotated[float | None, typer.Option(help="GiB that the notebook may hold; default: no limit.")] = None,
    threads: Threads = 1,
) -> None:
    """Run one notebook."""
    from causalkit.runs import run_notebook

    with plain_errors():
        directory = output or _default_output(Path(notebook).stem)
        with _bar() as bar, _terminable():
            task = bar.add_task(Path(notebook).stem)
            try:
                result = run_notebook(
                    notebook, directory, parameters or [], timeout=timeout, memory=memory, threads=threads,
                    progress=lambda _, done, total: bar.update(task, completed=done, total=total),
                )  # fmt: skip
            except KeyboardInterrupt:
                err.print("[bold]interrupted:[/] nothing was kept")
                raise typer.Exit(130) from None
        _finish([result], result.directory)


@app.command()
def study(
    name: Annotated[str | None, typer.Argument(help="synthetic or sachs; both if left out.")] = None,
    parameters: Parameters = None,
    output: Output = None,
    timeout: Timeout = None,
    threads: Threads = 1,
) -> None:
    """Run all lesson notebooks in order, and write one report."""
    from causalkit.runs import STUDIES, run_study, warm_parent
    from causalkit.runs.execute import new_directory
    from causalkit.runs.studies import plan_study

    with plain_errors():
        names = [name] if name else list(STUDIES)
        plans = {each: plan_study(each, parameters or []) for each in names}
        root = new_directory(output or _default_output(name or "study"))
        places = {each: root if name else root / each for each in names}
        runs: list[Run] = []
        with _bar() as bar, _terminable(), warm_parent(threads) as warm:
            for each in names:
                order = [Path(notebook).stem for notebook in plans[each]]
                task = bar.add_task(each, total=len(order))

                def show(
                    stem: str, done: int, total: int, each: str = each, order: list[str] = order, task: Any = task
                ) -> None:
                    bar.update(task, completed=order.index(stem) + done / max(total, 1), description=f"{each}: {stem}")

                try:
                    options: dict[str, Any] = {"timeout": timeout, "threads": threads, "warm": warm, "progress": show}
                    runs += run_study(each, places[each], parameters or [], **options)
                except KeyboardInterrupt:
                    bar.stop()
                    _interrupted(plans, places, root, threads, timeout)
                    raise typer.Exit(130) from None
                if not runs[-1].ok:
                    break
                bar.update(task, completed=len(order), description=each)
        _finish(runs, root, report=True)


@app.command()
def compare(first: Annotated[Path, typer.Argument()], second: Annotated[Path, typer.Argument()]) -> None:
    """Compare two runs: what was set otherwise, and the metrics side by side."""
    from causalkit.runs import compare_runs

    with plain_errors():
        settings, metrics = compare_runs(first, second)
    if settings.empty:
        out.print("Same notebook, parameters and versions.")
    else:
        out.print(table_of("Settings that differ", settings.columns, settings.to_numpy()))
    out.print(
        table_of("Metrics", metrics.columns, metrics.astype(object).to_numpy()) if len(metrics) else "No metrics."
    )


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="A run's, a study's or a sweep's, or a swept suite's name.")],
) -> None:
    """Write the report of a run, a study or a sweep again."""
    from causalkit.runs import write_report

    with plain_errors():
        swept = find_sweep(directory)
        if swept is not None:
            write_tables_and_report(swept)
        else:
            out.print(str(write_report(directory)), soft_wrap=True)


@app.command()
def doctor(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where runs are to be written.")] = Path("runs"),
) -> None:
    """Check this installation: versions, threads, output directory, kernel."""
    from causalkit.runs.environment import diagnose

    with plain_errors(), out.status("checking, and starting a kernel"):
        checks = diagnose(output)
    table = Table("", "", "found", "wanted")
    for check in checks:
        table.add_row(
            "[red]broken[/]" if check.mend else "ok", escape(check.name), escape(check.found), escape(check.wanted)
        )
    out.print(table)
    broken = [check for check in checks if check.mend]
    for check in broken:
        out.print(f"[bold red]{escape(check.name)}:[/] {escape(check.mend)}", soft_wrap=True)
    if broken:
        raise typer.Exit(1)
    out.print("All is well.")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that no kernel is left."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err, transient=True)


def _default_output(name: str) -> Path:
    stem = f"{datetime.now():%Y-%m-%d-%H-%M-%S}-{name}"
    known = (Path("runs", stem + suffix) for suffix in ("", *(f"-{i}" for i in range(2, 1000))))
    return next(path for path in known if not path.exists())


def _finish(runs: list[Run], root: Path, report: bool = False) -> None:
    """Tables of results and times, where things are, and the exit code."""
    from causalkit.runs.report import TIMES, studies, time_rows, write_report

    for notebook in dict.fromkeys(run.notebook for run in runs):
        _print_metrics(notebook, [run for run in runs if run.notebook == notebook and run.ok])
    for name, group in studies(runs):
        out.print(table_of(f"Times in seconds{': ' if name else ''}{name}", TIMES, time_rows(group)))
    out.print(f"{'runs' if report else 'run'}: {root}", soft_wrap=True, markup=False)
    if report:
        out.print(f"report: {write_report(root)}", soft_wrap=True, markup=False)
    if not runs[-1].ok:
        last = runs[-1]
        err.print(f"[bold red]{last.verdict}:[/] {escape(last.title)}, {escape(last.why)}", soft_wrap=True)
        raise typer.Exit(1)


def _print_metrics(notebook: str, runs: list[Run]) -> None:
    """One table of a notebook's metrics, a column of values a run: studies stand side by side."""
    if not runs:
        return
    entries = [run.record["metrics"] for run in runs]
    rows = []
    for name in dict.fromkeys(name for metrics in entries for name in metrics):
        known = [metrics.get(name, {}) for metrics in entries]
        unit, meaning = (" / ".join(dict.fromkeys(e[key] for e in known if e)) for key in ("unit", "meaning"))
        rows.append(
            [name, *(e.get("value") for e in known), next((e["truth"] for e in known if e), None), unit, meaning]
        )
    columns = ["metric", *(run.record["study"] or "value" for run in runs), "truth", "unit", "meaning"]
    shown = len(columns) if out.width >= 120 and len(runs) == 1 else -1  # the report has the meanings
    out.print(table_of(notebook, columns[:shown], [row[:shown] for row in rows]))


def _interrupted(
    plans: dict[str, dict[str, Any]], places: dict[str, Path], root: Path, threads: int, timeout: float | None
) -> None:
    """Say what is done, and the commands for the rest."""
    from causalkit.runs.manifest import command_line

    done, rest = [], []
    for name, plan in plans.items():
        for notebook, parameters in plan.items():
            place = places[name] / Path(notebook).stem
            if (place / "record.json").is_file():
                done.append(str(place))
            else:
                rest.append(command_line(notebook, parameters, output=place, timeout=timeout, threads=threads))
    err.print("[bold]interrupted.[/] Finished:", *(done or ["nothing"]), sep="\n  ", soft_wrap=True)
    err.print("The rest can be run with:", *rest, f"causalkit report {root}", sep="\n  ", soft_wrap=True, markup=False)
