"""What all commands share: where they print, errors as one message, tables, an end by signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["err", "out", "plain_errors", "table_of"]

out = Console()
err = Console(stderr=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input is one message and exit code 2, not a traceback."""
    try:
        yield
    except ValueError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None


def table_of(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A table for the screen, its first column never wrapped."""
    from causalkit.runs.report import shown

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for at, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=at == 0)
    for row in rows:
        table.add_row(*(escape(shown(value)) for value in row))
    return table
