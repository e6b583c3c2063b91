"""How a running sweep looks: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table

from causalkit.cli.console import err

if TYPE_CHECKING:
    from causalkit.bench.sweep import Status

__all__ = ["clock", "watched"]

EVERY = 10.0  # seconds between lines where there is no terminal


@contextmanager
def watched() -> Iterator[Callable[[Status], None]]:
    """A live table on a terminal; elsewhere a line now and then, and one at the end."""
    latest: dict[str, Status] = {}

    def keep(status: Status) -> None:
        latest["status"] = status

    if err.is_terminal:
        with Live(get_renderable=lambda: _live(latest.get("status")), console=err, refresh_per_second=4):
            yield keep
        return
    over = threading.Event()

    def lines() -> None:
        ended = False
        while not ended:
            ended = over.wait(EVERY)
            if "status" in latest:
                err.print(_line(latest["status"]), soft_wrap=True, markup=False)

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield keep
    finally:
        over.set()
        thread.join()


def _live(status: Status | None) -> Group | str:
    if status is None:
        return "checking what is done"
    table = Table("experiment", box=SIMPLE_HEAD)
    for column in ("planned", "done", "running", "failed"):
        table.add_column(column, justify="right")
    for name, count in [*status.counts.items(), ("together", status.total)]:
        failed = f"[red]{count.failed}[/]" if count.failed else "0"
        style = "bold" if name == "together" else "dim" if count.done == count.planned else ""
        table.add_row(name, str(count.planned), str(count.done), str(count.running), failed, style=style)
    return Group(table, _speed(status))


def _line(status: Status) -> str:
    total = status.total
    return (
        f"{total.done} of {total.planned} runs done, {total.running} running, {total.failed} failed; {_speed(status)}"
    )


def _speed(status: Status) -> str:
    """Runs a minute since this sweep began, and the time left at that speed."""
    seconds = time.monotonic() - status.start
    left = status.total.planned - status.total.done
    if not status.fresh or not left:
        return f"{clock(seconds)} so far" + (f", {status.fresh * 60 / seconds:.1f} runs/min" if status.fresh else "")
    return f"{status.fresh * 60 / seconds:.1f} runs/min, about {clock(left * seconds / status.fresh)} left"


def clock(seconds: float) -> str:
    """Seconds as 0:02:05."""
    return str(timedelta(seconds=round(seconds)))
