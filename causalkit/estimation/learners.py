"""Ways to learn mechanisms, each for all the variables that want it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.estimation.doors import is_discrete
from causalkit.estimation.encoding import Encoding
from causalkit.estimation.regressions import REGRESSIONS, law_of
from causalkit.estimation.tables import fit_logits, fit_table
from causalkit.mechanisms import Additive, Function, Linear, Mechanism
from causalkit.seeds import integer

__all__ = ["LEARNERS", "Encoded", "values"]


def values(frame: pd.DataFrame, parents: Sequence[str], name: str) -> tuple[Tensor, Tensor]:
    """The parents' values [n, p] and the variable's [n], float64."""
    x, y = frame[list(parents)].to_numpy(np.float64, copy=True), frame[name].to_numpy(np.float64, copy=True)
    return torch.from_numpy(x), torch.from_numpy(y)


@dataclass(frozen=True, eq=False)
class Encoded:
    """f of the parents' columns: discrete ones one-hot, real ones standardised; [n, p] -> [n]."""

    encoding: Encoding
    function: Function

    def __call__(self, parents: Tensor) -> Tensor:
        return self.function(self.encoding(parents))


def _additive(
    regression: str, graph: nx.DiGraph, frame: pd.DataFrame, names: Sequence[str], *, noise: str | None, seed: int
) -> dict[str, Mechanism]:
    """x_j := f(x_pa) + u_j, f by one of `REGRESSIONS`."""
    found: dict[str, Mechanism] = {}
    for name in names:
        parents = list(graph.predecessors(name))
        x, y = values(frame, parents, name)
        encoding = Encoding.fit(frame, parents) if any(is_discrete(frame[p]) for p in parents) else None
        columns = x if encoding is None else encoding(x)
        if parents:
            function = REGRESSIONS[regression](columns.numpy(), y.numpy(), integer(seed, name))
        else:
            function = Linear((), float(y.mean()))
        law = law_of(y - function(columns), noise, seed=integer(seed, name))
        found[name] = Additive(tuple(parents), law, function if encoding is None else Encoded(encoding, function))
    return found


def _location_scale(
    graph: nx.DiGraph, frame: pd.DataFrame, names: Sequence[str], *, noise: str | None, seed: int
) -> dict[str, Mechanism]:
    """x_j := f(x_pa) + s(x_pa) u_j with two networks, and the noise that they leave over."""
    from causalkit.estimation.flow import fit_flow

    found = fit_flow(graph, frame, names, spline=False, seed=seed)
    laws = {v: law_of(m.abduct(*values(frame, m.parents, v)), noise, seed=integer(seed, v)) for v, m in found.items()}
    return {v: replace(m, noise=laws[v]) for v, m in found.items()}


def _flow(
    graph: nx.DiGraph, frame: pd.DataFrame, names: Sequence[str], *, noise: str | None, seed: int
) -> dict[str, Mechanism]:
    from causalkit.estimation.flow import fit_flow

    return fit_flow(graph, frame, names, spline=True, seed=seed)


def _vae(
    graph: nx.DiGraph, frame: pd.DataFrame, names: Sequence[str], *, noise: str | None, seed: int
) -> dict[str, Mechanism]:
    from causalkit.estimation.vae import fit_vae

    return fit_vae(graph, frame, names, seed=seed)


LEARNERS: dict[str, Callable[..., dict[str, Mechanism]]] = {
    **{name: partial(_additive, name) for name in REGRESSIONS},
    "location_scale": _location_scale,
    "flow": _flow,
    "vae": _vae,
    "table": fit_table,
    "softmax": fit_logits,
    "network": partial(fit_logits, hidden=16),
}
"""Ways to learn mechanisms: name -> function(graph, frame, names, noise=, seed=) -> {variable: mechanism}."""
