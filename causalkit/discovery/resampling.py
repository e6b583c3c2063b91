"""How sure a learned graph is: how often its edges come back when the rows are drawn anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import combinations
from typing import Any

import networkx as nx
import pandas as pd
import torch

from causalkit.discovery.frames import check
from causalkit.discovery.learn import learn, method_named
from causalkit.seeds import Seed, generator, integer

__all__ = ["bootstrap"]


def bootstrap(
    frame: pd.DataFrame, method: str = "flop", n: int = 100, *,
    seed: Seed = 0, n_jobs: int = 1, progress: bool = False, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """How often each edge comes back when the rows are drawn anew, with replacement: a measure of confidence.

    A resample repeats rows, so weak edges come a little more often than with fresh data.
    Source: Friedman, Goldszmidt and Wyner (1999), section 3.

    Args:
        frame: The data [rows, d].
        method: A key of `ck.METHODS`.
        n: Number of resamples.
        seed: Of the resamples.
        n_jobs: Processes; 1 runs in this one. The result does not depend on it.
        progress: Show a progress bar.
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
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    if n < 1:
        raise ValueError(f"n = {n} resamples: ask for at least 1")
    function, base = method_named(method, options), integer(seed, "bootstrap")
    check(frame)

    def one(i: int) -> nx.DiGraph:
        rows = torch.randint(len(frame), (len(frame),), generator=generator(base, "rows", i)).numpy()
        return learn(frame.iloc[rows], function, integer(base, "method", i), options)

    runs = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(one)(i) for i in range(n))
    graphs = list(tqdm(runs, total=n, desc=f"bootstrap {method}", disable=not progress))
    return pd.DataFrame([_frequencies(graphs, a, b) for a, b in combinations(frame.columns, 2)])


def _frequencies(graphs: list[nx.DiGraph], a: Hashable, b: Hashable) -> dict[str, Any]:
    """One row of `bootstrap`."""
    ways = Counter((g.has_edge(a, b), g.has_edge(b, a)) for g in graphs)
    names = {"forward": (True, False), "backward": (False, True), "undirected": (True, True)}
    present = 1 - ways[False, False] / len(graphs)
    return {"a": a, "b": b, "present": present, **{name: ways[way] / len(graphs) for name, way in names.items()}}
