"""How a run ended, judged from what it left behind and not from papermill's metadata."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from causalkit.runs.run import Verdict

__all__ = ["Evidence", "first_line", "judge"]

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
EXPECTED = "raises-exception"  # the tag of a cell that is meant to fail


@dataclass(frozen=True)
class Evidence:
    """What a run left: the executed notebook, the worker's events, the recorded result, times in seconds (epoch).

    `broken` is the limit that the run broke, if one: ("timeout", seconds) or ("memory", GiB). `peak` is the most
    memory that its kernel was seen to hold, in MiB; None if it was gone before anybody looked. `warm`: it was forked.
    """

    notebook: Any
    events: list[dict[str, Any]]
    recorded: dict[str, Any] | None
    broken: tuple[str, float] | None
    began: float
    ended: float
    log: str
    peak: float | None = None
    warm: bool = False

    @property
    def ending(self) -> dict[str, Any]:
        """The worker's last word; empty if it was killed before it."""
        return next((event for event in self.events if event["event"] == "ended"), {})

    def kernel_start(self) -> float | None:
        """Seconds from the start to a kernel that answers."""
        return next((event["time"] - self.began for event in self.events if event["event"] == "kernel"), None)

    def cell_seconds(self) -> dict[int, float]:
        """Position in the executed notebook -> seconds, up to the run's end for a cell that did not finish."""
        starts = {event["cell"]: event["time"] for event in self.events if event["event"] == "start"}
        ends = {event["cell"]: event["time"] for event in self.events if event["event"] == "end"}
        last = self.ending.get("time", self.ended)
        return {at: ends.get(at, last) - start for at, start in starts.items()}

    def placed(self) -> Iterator[tuple[int, tuple[int, Any]]]:
        """Each code cell of the source as (position in the executed notebook, (position in the source, cell))."""
        injected = 0
        for at, cell in enumerate(self.notebook.cells):
            if "injected-parameters" in cell.metadata.get("tags", []):
                injected += 1
            elif cell.cell_type == "code":
                yield at, (at - injected, cell)


def first_line(cell: Any) -> str:
    """A cell's first line that is not blank."""
    return next((line.strip() for line in cell.source.splitlines() if line.strip()), "")


def judge(evidence: Evidence) -> tuple[Verdict, dict[str, Any] | None]:
    """The verdict, and for a failure where and why: {"cell", "line", "ename", "evalue"}."""
    running = _running(evidence)
    limit, most = evidence.broken or ("", 0.0)
    if limit == "timeout":
        return "timeout", _failure(running, "Timeout", f"the whole run was not done in {most:g} s")
    if limit == "memory":
        held = (evidence.peak or 0.0) / 1024
        return "memory", _failure(running, "Memory", f"the kernel held {held:.2f} GiB, and {most:g} GiB are allowed")
    for _, (i, cell) in evidence.placed():
        for output in cell.get("outputs", []):
            if output.output_type == "error" and EXPECTED not in cell.metadata.get("tags", []):
                kinds: dict[str, Verdict] = {"SystemExit": "exited", "KeyboardInterrupt": "interrupted"}
                return kinds.get(output.ename, "failed"), _failure((i, cell), output.ename, output.evalue)
    ending = evidence.ending
    if ending.get("reason") == "dead" and ending["status"] == 0:
        return "exited", _failure(running, "Exit", "the notebook ended its own kernel (quit, exit or os._exit)")
    if ending.get("reason") == "dead":
        return "died", _failure(running, "DeadKernel", f"the kernel died ({_status(ending['status'])})")
    if ending.get("reason") == "error":
        return "died", _failure(running, ending["ename"], ending["evalue"] or evidence.log)
    if not ending:
        last = evidence.log.strip().splitlines()[-1:] or ["it left no message"]
        return "died", _failure(running, "DeadProcess", f"the process that ran the notebook was killed: {last[0]}")
    broken = _widget_error(evidence)
    if broken is not None:
        return "widget_error", broken
    if evidence.recorded is None:
        return "exited", _failure(
            None, "NoResult", "the notebook ended without ck.runs.record(...): call it in the last cell"
        )
    return "ok", None


def _failure(place: tuple[int, Any] | None, ename: str, evalue: str) -> dict[str, Any]:
    cell, line = (None, "") if place is None else (place[0], first_line(place[1]))
    return {"cell": cell, "line": line, "ename": ename, "evalue": evalue}


def _running(evidence: Evidence) -> tuple[int, Any] | None:
    """The cell that had begun and not ended."""
    ends = {event["cell"] for event in evidence.events if event["event"] == "end"}
    open_ = {event["cell"] for event in evidence.events if event["event"] == "start"} - ends
    return next((place for at, place in evidence.placed() if at in open_), None)


def _status(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name
    return f"{name}, often too little memory" if name == "SIGKILL" else name


def _widget_error(evidence: Evidence) -> dict[str, Any] | None:
    """`interact` and `with Output():` swallow exceptions; their outputs are in the widgets' state."""
    states = evidence.notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for key, model in states.items():
        for output in model.get("state", {}).get("outputs", []):
            if isinstance(output, dict) and output.get("output_type") == "error":
                place = next((place for _, place in evidence.placed() if key in _shown(place[1], states)), None)
                return _failure(place, output.get("ename", "Error"), output.get("evalue", ""))
    return None


def _shown(cell: Any, states: dict[str, Any]) -> set[str]:
    """The ids of the widgets that a cell shows, with the widgets inside them."""
    todo = [o["data"][WIDGET_VIEW]["model_id"] for o in cell.get("outputs", []) if WIDGET_VIEW in o.get("data", {})]
    seen: set[str] = set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            children = states.get(key, {}).get("state", {}).get("children", [])
            todo += [child.removeprefix("IPY_MODEL_") for child in children if isinstance(child, str)]
    return seen
