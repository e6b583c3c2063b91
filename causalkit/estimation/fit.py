"""fit_scm: a mechanism for each variable of a known or discovered DAG, fitted to data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.errors import unknown
from causalkit.estimation.doors import check_columns, check_graph, is_discrete, mechanism_names
from causalkit.estimation.encoding import Encoding
from causalkit.estimation.learned import Fitted, LearnedSCM
from causalkit.estimation.regressions import REGRESSIONS, law_of, simplest
from causalkit.estimation.tables import fit_logits, fit_table
from causalkit.mechanisms import NOISES, Additive, Function, Linear, Mechanism
from causalkit.seeds import Seed, integer, stream

__all__ = ["FITS", "LEARNERS", "fit_scm"]

_BENT = tuple(name for name in REGRESSIONS if name != "linear")
FITS: dict[str, tuple[tuple[str, ...], ...]] = {
    "linear": (("linear",),),
    "mlp": (("mlp",),),
    "additive": (("linear",), _BENT),
    "location_scale": (("location_scale",),),
    "flow": (("flow",),),
    "categorical": (("table",), ("softmax",), ("network",)),
    "vae": (("vae",),),
    "auto": (("linear",), _BENT, ("location_scale",), ("flow",)),
}
"""What `fit_scm` takes as a mechanism: name -> the learners of which held-out likelihood takes one, simplest first."""

_OWN_NOISE = ("flow", "vae", "auto")
ROWS_A_CELL = 10
"""A discrete variable with discrete parents gets a table where the frame has this many rows for each of its cells."""
# learned by steps of a gradient, over many rows, with a held-out part of their own: not again on all rows
_ONCE = ("location_scale", "flow", "vae")


def fit_scm(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    *,
    mechanism: str | Mapping[str, str] = "linear",
    noise: str | None = None,
    seed: Seed,
) -> LearnedSCM:
    """An SCM fitted to data for a given DAG: samples, interventions and counterfactuals of a graph that is believed.

    | mechanism        | x_j :=                                                                              |
    |------------------|-------------------------------------------------------------------------------------|
    | `linear`         | x_pa w + b + u, by least squares                                                    |
    | `mlp`            | f(x_pa) + u, f a network of 16 tanh units                                           |
    | `additive`       | f(x_pa) + u, f one of `REGRESSIONS`                                                 |
    | `location_scale` | f(x_pa) + s(x_pa) u, two networks                                                   |
    | `flow`           | any function that increases in u: affine, then a spline, their numbers by a network |
    | `vae`            | a conditional autoencoder; its counterfactuals break an axiom, see `estimation.vae` |
    | `categorical`    | a level: a table, or a softmax of the parents, made by Gumbel-max                   |
    | `auto`           | a variable at a time, one of linear, additive, location_scale, flow; or categorical |

    Where there is a choice, each candidate is fitted to four fifths of the rows (all but 2,000 of more than 10,000) and
    scored by its log-likelihood on the others; the simplest is taken that the best one beats by no more than the
    standard error of the gain. Regressions and tables are then fitted again to all rows. Columns of integers are
    discrete variables with codes 0 ... K - 1, and always get a discrete mechanism.

    Assumes that the graph is right and that no hidden variable drives two of the observed ones (Pearl 2009, section
    1.4). The counterfactuals of all but the discrete mechanisms are right only if the true mechanisms increase in
    their noise (additive noise: Hoyer et al. 2009), which data cannot show.

    Args:
        graph: A DAG over columns of the frame; further columns are ignored.
        frame: The data [n, columns]; at least 10 rows, and 2 more than a linear mechanism has parameters.
        mechanism: A key of `FITS` for all variables, or a mapping from each variable to one.
        noise: A family for all noise, a key of `ck.mechanisms.NOISES`; None: the likeliest of a few, or the shape of
            the residuals (`ck.mechanisms.Empirical`) where that is likelier.
        seed: Of the networks' first weights and of which rows are held out.

    Returns:
        An SCM with a `report` and the `ranges` of its data; do() outside of them warns (`ExtrapolationWarning`).

    Raises:
        ValueError: The graph is a CPDAG or PAG that leaves edges undirected (named), has a cycle, hidden nodes, or
            nodes that are no columns; an unknown mechanism or noise; a mechanism that does not fit the column's
            kind; a frame with text, NaN, codes with gaps, more than 20 levels, or too few rows; a variable that is
            constant, or is an exact function of its parents.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> learned = fit_scm(scm.graph, scm.sample(2000, seed=0), seed=0)
        >>> float(learned.do({"x": 1.0}).sample(5000, seed=1)["y"].mean().round(1))
        2.0
    """
    check_graph(graph)
    frame = check_columns(graph, frame)
    names = mechanism_names(graph, frame, mechanism, FITS)
    _check_noise(noise, names)
    base = integer(seed, "fit_scm")
    wanted = {v: _candidates(graph, frame, v, kind) for v, kind in names.items()}
    train, held = _split(frame, base)
    learn = partial(_learn, graph, noise=noise, seed=base)
    tried = learn(train, wanted) if len(held) else {}
    scores = {v: {k: _score(m, held, v) for k, m in of.items()} for v, of in tried.items()}
    chosen = {v: simplest(scores[v], wanted[v]) if len(held) else wanted[v][0][0] for v in names}
    once = {v: tried[v][k] for v, k in chosen.items() if k in _ONCE and len(held)}
    again = learn(frame, {v: ((k,),) for v, k in chosen.items() if v not in once})
    mechanisms = {v: once[v] if v in once else again[v][k] for v, k in chosen.items()}
    table = pd.DataFrame(
        {
            "mechanism": chosen,
            "noise": {v: m.noise.family for v, m in mechanisms.items()},
            "log_likelihood": {v: float(scores[v][k].mean()) if len(held) else np.nan for v, k in chosen.items()},
        },
        index=list(names),
    )
    ranges = {v: (float(frame[v].min()), float(frame[v].max())) for v in names}
    rows = (held if len(held) >= 200 else frame).head(2000)
    fitted = Fitted(table, mechanisms, rows, ranges, integer(base, "report"))
    return LearnedSCM(mechanisms, fitted=fitted)


def _check_noise(noise: str | None, names: Mapping[str, str]) -> None:
    if noise is None:
        return
    if noise not in NOISES:
        raise unknown("noise", noise, NOISES)
    for name, kind in names.items():
        if kind in _OWN_NOISE:
            raise ValueError(f"noise={noise!r}, but {kind!r} (of {name!r}) learns the noise too: leave noise= out")


def _candidates(graph: nx.DiGraph, frame: pd.DataFrame, name: str, kind: str) -> tuple[tuple[str, ...], ...]:
    """The learners to try for a variable, simplest first, those that are equally simple together."""
    parents = list(graph.predecessors(name))
    if kind == "categorical":
        if any(not is_discrete(frame[p]) for p in parents):
            return FITS[kind][1:]
        cells = int(np.prod([int(frame[v].max()) + 1 for v in (*parents, name)], dtype=np.float64))
        return FITS[kind][:1] if not parents or cells <= len(frame) / ROWS_A_CELL else FITS[kind][1:]
    return FITS[kind] if parents or kind in ("flow", "vae") else FITS["linear"]  # a root is a constant plus its noise


def _split(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn from, every level of the discrete variables among them, and at most 2,000 others to score on.

    Below 50 rows none are held out.
    """
    count = min(len(frame) // 5, 2000) if len(frame) >= 50 else 0
    order = stream(seed, "held out").permutation(len(frame))
    needed = np.zeros(len(frame), bool)
    for name in frame.columns:
        if is_discrete(frame[name]):
            needed[np.unique(frame[name].to_numpy(), return_index=True)[1]] = True
    held = np.sort(order[~needed[order]][:count])
    kept = np.ones(len(frame), bool)
    kept[held] = False
    return frame[kept], frame.iloc[held]


def _learn(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    wanted: Mapping[str, Sequence[Sequence[str]]],
    *,
    noise: str | None,
    seed: int,
) -> dict[str, dict[str, Mechanism]]:
    """Variable -> learner -> mechanism; a learner gets all variables that want it at once."""
    found: dict[str, dict[str, Mechanism]] = {v: {} for v in wanted}
    for kind, learner in LEARNERS.items():
        names = [v for v, steps in wanted.items() if any(kind in step for step in steps)]
        for v, mechanism in (learner(graph, frame, names, noise=noise, seed=seed) if names else {}).items():
            found[v][kind] = mechanism
    return found


def _score(mechanism: Mechanism, frame: pd.DataFrame, name: str) -> Tensor:
    """log p(x_j | x_pa) [n] of these rows, nats."""
    return mechanism.log_prob(*_values(frame, mechanism.parents, name))


def _values(frame: pd.DataFrame, parents: Sequence[str], name: str) -> tuple[Tensor, Tensor]:
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
        x, y = _values(frame, parents, name)
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
    laws = {v: law_of(m.abduct(*_values(frame, m.parents, v)), noise, seed=integer(seed, v)) for v, m in found.items()}
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
