"""The command line, `causalkit`: what it does with notebooks (lessons) and with suites (bench).

Exit codes: 0 all is well, 1 a notebook failed or something is broken or did not come out the same, 2 bad input,
130 interrupted.
"""

import typer

from causalkit.cli import bench, lessons

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Causal lessons, run headless."
)
app.add_typer(lessons.app)
app.add_typer(bench.app)
