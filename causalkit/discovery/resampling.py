"""How sure a learned graph is: how often its edges come back when the rows are drawn anew."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any

import networkx as nx
import pandas as pd
import torch

from causalkit.discovery.catalogue import ABOUT, METHODS, About
from causalkit.discovery.frames import check, discrete_columns
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.learn import doors, learn
from causalkit.discovery.limits import DiscoveryTimeout
from causalkit.seeds import Seed, generator, integer

__all__ = ["bootstrap"]


def bootstrap(
    data: pd.DataFrame | Sequence[Any], method: str = "orders", n: int = 100, *,
    seed: Seed = 0, n_jobs: int | None = None, progress: bool = False,
    knowledge: Knowledge | None = None, limit: float | None = None, force: bool = False, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """How often each edge comes back when the rows are drawn anew, with replacement: a measure of confidence.

    A resample repeats rows, so weak edges come a little more often than with fresh data.
    Source: Friedman, Goldszmidt and Wyner (1999), section 3.

    Args:
        data: The frame [rows, d], or a list of `ck.Environment`, each of which is resampled by itself.
        method: A key of `ck.METHODS`.
        n: Number of resamples.
        seed: Of the resamples.
        n_jobs: Processes; 1 runs in this one, -1 is one a core. None: one a core if the resamples would take more than
            ten seconds here, else 1. The result does not depend on it.
        progress: Show a progress bar.
        knowledge: As for `discover`.
        limit: Wall-clock seconds for all resamples together, after which `DiscoveryTimeout` is raised.
        force: As for `discover`.
        **options: Of the method.

    Returns:
        A row per unordered pair in column order: a, b, and the share of resamples in [0, 1] with any edge
        (`present`), with a -> b (`forward`), b -> a (`backward`) and a - b (`undirected`).

    Raises:
        ValueError: n < 1, or what `discover` raises.

    Example:
        >>> import causalkit as ck
        >>> frame = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(200, seed=0)
        >>> bootstrap(frame, n=5)
           a  b  present  forward  backward  undirected
        0  x  y      1.0      0.0       0.0         1.0
    """
    from tqdm.auto import tqdm

    if n < 1:
        raise ValueError(f"n = {n} resamples: ask for at least 1")
    doors(data, method, options, knowledge=knowledge, limit=limit, force=force)
    function, about, base = METHODS[method], ABOUT.get(method, About()), integer(seed, "bootstrap")
    end = None if limit is None else time.time() + limit

    def one(i: int) -> nx.DiGraph:
        drawn, left = _drawn(data, base, i), None if end is None else max(end - time.time(), 0.001)
        if isinstance(drawn, pd.DataFrame) and not discrete_columns(drawn):
            check(drawn, few_rows=about.few_rows)  # rows that repeat can leave a correlation without an inverse
        own = integer(base, "method", i)
        return learn(drawn, function, own, options, about=about, knowledge=knowledge, limit=left)

    runs = _runs(one, n, n_jobs, end)
    graphs: list[nx.DiGraph] = []
    try:
        graphs.extend(tqdm(runs, total=n, desc=f"bootstrap {method}", disable=not progress))
    except (DiscoveryTimeout, multiprocessing.TimeoutError):
        late = DiscoveryTimeout(
            f"{len(graphs)} of {n} resamples were done within {limit:g} seconds (.best has their shares): raise it"
        )
        late.best = _shares(graphs) if graphs else None
        raise late from None
    return _shares(graphs)


def _drawn(data: Any, base: int, *key: str | int) -> Any:
    """As many rows as there are, with replacement; for environments from streams of their own."""
    if not isinstance(data, pd.DataFrame):
        return [type(one)(one.name, _drawn(one.frame, base, *key, one.name)) for one in data]
    rows = torch.randint(len(data), (len(data),), generator=generator(base, "rows", *key)).numpy()
    return data.iloc[rows]


def _runs(one: Callable[[int], nx.DiGraph], n: int, n_jobs: int | None, end: float | None) -> Iterator[nx.DiGraph]:
    """The graphs of the resamples in turn, from as many processes as are asked for or are worth their start.

    Each process ends its resample when the time is up; joblib's own limit is for processes that do not start in time.
    """
    from joblib import Parallel, delayed

    done = 0
    if n_jobs is None:
        n_jobs = 1
        while done < min(n, 2):  # the second is timed: the first may import a library
            start = time.perf_counter()
            graph = one(done)
            n_jobs = -1 if (time.perf_counter() - start) * n > 10 else 1
            done += 1
            yield graph
    left = None if end is None or n_jobs == 1 else max(end - time.time(), 0.0)
    yield from Parallel(n_jobs=n_jobs, return_as="generator", timeout=left)(delayed(one)(i) for i in range(done, n))


def _shares(graphs: list[nx.DiGraph]) -> pd.DataFrame:
    """A row per unordered pair of variables, in the order of the columns."""
    return pd.DataFrame([_frequencies(graphs, a, b) for a, b in combinations(graphs[0].nodes, 2)])


def _frequencies(graphs: list[nx.DiGraph], a: Hashable, b: Hashable) -> dict[str, Any]:
    """One row of `bootstrap`."""
    ways = Counter((g.has_edge(a, b), g.has_edge(b, a)) for g in graphs)
    names = {"forward": (True, False), "backward": (False, True), "undirected": (True, True)}
    present = 1 - ways[False, False] / len(graphs)
    return {"a": a, "b": b, "present": present, **{name: ways[way] / len(graphs) for name, way in names.items()}}
