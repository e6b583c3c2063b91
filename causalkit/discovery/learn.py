"""The verb: a graph read off a data set by a method of the catalogue."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import networkx as nx
import pandas as pd

from causalkit.discovery.catalogue import ABOUT, METHODS, About
from causalkit.discovery.frames import check, quiet
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.limits import DiscoveryTimeout, check_limit, within
from causalkit.errors import unknown
from causalkit.seeds import Seed, integer

__all__ = ["discover", "doors", "learn", "method_named"]

OWN = ("seed", "knowledge", "report", "progress")
"""Parameters of a method that `discover` fills in: no options of the user's."""


def discover(
    data: pd.DataFrame | Sequence[Any],
    method: str = "auto",
    seed: Seed = 0,
    *,
    knowledge: Knowledge | None = None,
    limit: float | None = None,
    force: bool = False,
    progress: bool = False,
    **options: Any,
) -> nx.DiGraph:
    """The graph that a method reads off a data set; the order of the columns does not matter.

    Nor do their units, save for the methods that live on them ("var_sort", "notears", "dagma").

    Args:
        data: The frame [n, d], numeric; all columns take part. Or a list of `ck.Environment`, for methods that use
            what changes between them.
        method: A key of `ck.METHODS`; `ck.methods()` shows them all, with what they assume and cost. "auto" looks at
            the data, chooses, and says what and why in `graph.graph["chosen"]` and `graph.graph["why"]`.
        seed: For methods that draw.
        knowledge: What is known of the edges before the data are seen.
        limit: Wall-clock seconds after which the method is stopped, whatever it does; it then runs in a process of its
            own. None: no limit.
        force: Run a method without a limit on far more variables than it can do in a minute.
        progress: Show a bar, where the method has one: the order searches (and so mostly "auto"), "pc", "fci",
            "hill_climb".
        **options: Of the method, such as alpha=0.05 for "pc".

    Returns:
        A graph over all columns, in their order (isolated ones too); its kind is "cpdag", "dag" or "pag".

    Raises:
        ValueError: An unknown method or option; data of a kind that the method does not read; fewer than 2 columns, too
            few rows, values that are not finite numbers, a constant column, collinear columns (named); too many
            columns; knowledge that the method cannot use; a library that is not installed.
        DiscoveryTimeout: The limit was reached; `.best` is the best graph until then, where the method reports one.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0, "z": 1.0}), "z": ck.linear()})
        >>> sorted(discover(scm.sample(1000, seed=1)).edges)
        [('x', 'y'), ('z', 'y')]
    """
    doors(data, method, options, knowledge=knowledge, limit=limit, force=force)
    about = ABOUT.get(method, About())
    return learn(
        data, METHODS[method], integer(seed, "discover"), options,
        about=about, knowledge=knowledge, limit=limit, progress=progress,
    )  # fmt: skip


def doors(
    data: Any, method: str, options: Iterable[str], *, knowledge: Knowledge | None, limit: float | None, force: bool
) -> None:
    """Nothing, once the method is known to take these options, this data, so many columns, and this knowledge."""
    method_named(method, options)
    about = ABOUT.get(method, About())
    frames = _frames(data, method, about)
    check(frames[0] if len(frames) == 1 else pd.concat(frames), about.data, about.few_rows)
    if limit is not None:
        check_limit(limit)
    elif not force:
        _check_size(frames[0].shape[1], method, about)
    if knowledge is not None:
        knowledge.check(frames[0].columns)
        if about.knowledge == "refused":
            raise ValueError(f"method {method!r} cannot use background knowledge: choose another, see ck.methods()")


def method_named(name: str, options: Iterable[str]) -> Callable[..., nx.DiGraph]:
    """The catalogue's function, once it is known to take these options."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    parameters = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    known = [p.name for p in parameters if p.name not in OWN and p.kind is not p.VAR_KEYWORD]
    for option in options:
        if option in OWN or (option not in known and not any(p.kind is p.VAR_KEYWORD for p in parameters)):
            raise unknown(f"option of method {name!r}", option, known)
    return METHODS[name]


def learn(
    data: pd.DataFrame | Sequence[Any],
    function: Callable[..., nx.DiGraph],
    seed: int,
    options: dict,
    *,
    about: About,
    knowledge: Knowledge | None = None,
    limit: float | None = None,
    progress: bool = False,
) -> nx.DiGraph:
    """Run a method on columns in sorted order (so that theirs cannot matter), hold the knowledge, name all nodes."""
    columns = (data if isinstance(data, pd.DataFrame) else data[0].frame).columns
    takes = inspect.signature(function).parameters
    given = {**options, "seed": seed}
    if knowledge is not None and "knowledge" in takes:
        given["knowledge"] = knowledge
    if progress and "progress" in takes:
        given["progress"] = True

    def finished(found: nx.DiGraph) -> nx.DiGraph:
        graph = nx.DiGraph(**{"kind": about.returns, **found.graph})
        graph.add_nodes_from(columns)
        graph.add_edges_from(found.edges(data=True))
        return graph if knowledge is None else knowledge.apply(graph)

    data = _sorted(data)
    if limit is None:
        return finished(function(data, **given))
    # before the fork, so that each child need not; what is not installed, the method itself says
    with contextlib.suppress(ImportError), quiet(0):
        importlib.import_module(about.module or "causalkit")
    try:
        return finished(within(limit, function, data, reports="report" in takes, **given))
    except DiscoveryTimeout as late:
        late.best = None if late.best is None else finished(late.best)
        raise


def _sorted(data: pd.DataFrame | Sequence[Any]) -> Any:
    if isinstance(data, pd.DataFrame):
        return data[sorted(data.columns, key=str)]
    return [type(one)(one.name, _sorted(one.frame)) for one in data]


def _frames(data: Any, method: str, about: About) -> list[pd.DataFrame]:
    """The frames of one data set or several, once they are known to be what the method reads."""
    if isinstance(data, pd.DataFrame) or not isinstance(data, list | tuple):
        if about.environments:
            raise ValueError(f"method {method!r} compares environments: give a list of ck.Environment, not one frame")
        return [data]
    if not about.environments:
        able = [name for name in METHODS if ABOUT.get(name, About()).environments]
        raise ValueError(
            f"method {method!r} reads one frame, and here is a list: give one environment's .frame, or choose a method "
            f"that compares environments ({', '.join(able) or 'none here'})"
        )
    if len(data) < 2:
        raise ValueError(f"{len(data)} environments cannot be compared: give at least 2")
    for one in data:
        lacking = set(data[0].frame.columns) ^ set(one.frame.columns)
        if lacking:
            raise ValueError(
                f"column {min(lacking, key=str)!r} is not in every environment ({one.name!r} differs from "
                f"{data[0].name!r}): give all the same columns"
            )
    return [one.frame for one in data]


def _check_size(d: int, method: str, about: About) -> None:
    """Refuses far more variables than a minute allows; time is taken to grow with their cube, most often too little."""
    if about.wall is None or d <= 2 * about.wall:
        return
    seconds = 60 * (d / about.wall) ** 3
    shown = next((f"{seconds / s:.0f} {unit}" for s, unit in _UNITS if seconds >= 2 * s), "")
    raise ValueError(
        f"method {method!r} does {about.wall} variables in a minute, and {d} take about {shown} or more: choose a "
        "faster one (ck.methods() shows the walls), give a limit in seconds, or force=True"
    )


_UNITS = ((365 * 86400, "years"), (86400, "days"), (3600, "hours"), (60, "minutes"))
