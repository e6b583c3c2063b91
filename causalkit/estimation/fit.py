"""fit_scm: a mechanism for each variable of a known or discovered DAG, fitted to data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import networkx as nx
import numpy as np
import pandas as pd
from torch import Tensor

from causalkit.errors import unknown
from causalkit.estimation.doors import check_columns, check_graph, check_networks, is_discrete, mechanism_names
from causalkit.estimation.independence import Kernel, independent, least, scores
from causalkit.estimation.learned import Fitted, LearnedSCM
from causalkit.estimation.learners import LEARNERS, values
from causalkit.estimation.regressions import REGRESSIONS, held_out, simplest
from causalkit.mechanisms import NOISES, Mechanism
from causalkit.seeds import Seed, integer, stream

__all__ = ["FITS", "fit_scm"]

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
    **{name: ((name,),) for name in _BENT if name != "mlp"},
}
"""What `fit_scm` takes as a mechanism: name -> the learners of which held-out likelihood takes one, simplest first."""

_OWN_NOISE = ("flow", "vae", "auto")
ROWS_A_CELL = 10
"""A discrete variable with discrete parents gets a table where the frame has this many rows for each of its cells."""
# learned by steps of a gradient, with a held-out part of their own: not again on all rows, and last where all are tried
_SLOW = ("location_scale", "flow", "vae")


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
    | `additive`       | f(x_pa) + u, f one of `REGRESSIONS`; its name alone asks for that one               |
    | `location_scale` | f(x_pa) + s(x_pa) u, two networks                                                   |
    | `flow`           | any function that increases in u: affine, then a spline, their numbers by a network |
    | `vae`            | a conditional autoencoder; its counterfactuals break an axiom, see `estimation.vae` |
    | `categorical`    | a level: a table, or a softmax of the parents, made by Gumbel-max                   |
    | `auto`           | a variable at a time, one of linear, additive, location_scale, flow; or categorical |

    Where there is a choice, each candidate is fitted to four fifths of the rows (all but 2,000 of more than 10,000) and
    scored by its log-likelihood on the others; the simplest is taken that the best one beats by no more than two
    standard errors of the gain. Regressions and tables are then fitted again to all rows. Below 50 rows nothing is
    scored: the simplest is taken, and networks are refused. `auto` tries the two that are slow only where additive
    noise leaves a dependence on a parent (HSIC on up to 1,000 rows, p < 0.2). Columns of integers are discrete
    variables with codes 0 ... K - 1, and always get a discrete mechanism.

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
            kind; a frame with text, NaN, codes with gaps, more than 20 levels, or too few rows (networks: below 50);
            a variable that is constant, or is an exact function of its parents.

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
    check_networks(graph, frame, names)
    _check_noise(noise, names)
    base = integer(seed, "fit_scm")
    wanted = {v: _candidates(graph, frame, v, kind) for v, kind in names.items()}
    train, held = _split(frame, base)
    learn = partial(_learn, graph, noise=noise, seed=base)
    tried = _tried(learn, wanted, train, held) if len(held) else {}
    likely = {v: {k: _score(m, held, v) for k, m in of.items()} for v, of in tried.items()}
    chosen = {v: simplest(likely[v], wanted[v]) if len(held) else wanted[v][0][0] for v in names}
    once = {v: tried[v][k] for v, k in chosen.items() if k in _SLOW and len(held)}
    again = learn(frame, {v: ((k,),) for v, k in chosen.items() if v not in once})
    mechanisms = {v: once[v] if v in once else again[v][k] for v, k in chosen.items()}
    table = pd.DataFrame(
        {
            "mechanism": chosen,
            "noise": {v: m.noise.family for v, m in mechanisms.items()},
            "log_likelihood": {v: float(likely[v][k].mean()) if len(held) else np.nan for v, k in chosen.items()},
        },
        index=list(names),
    )
    ranges = {v: (float(frame[v].min()), float(frame[v].max())) for v in names}
    if len(held) >= 200:  # tested as they were before they saw the rows that they are tested on
        tested, rows = {v: tried[v][k] for v, k in chosen.items()}, held
    else:
        tested, rows = mechanisms, frame.head(2000)
    fitted = Fitted(table, tested, rows, ranges, integer(base, "report"))
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

    Below 50 rows none are held out. Copies of a row are on one side: `held_out`.
    """
    if len(frame) < 50:
        return frame, frame.iloc[:0]
    needed = np.zeros(len(frame), bool)
    for name in frame.columns:
        if is_discrete(frame[name]):
            needed[np.unique(frame[name].to_numpy(), return_index=True)[1]] = True
    rows, count = frame.to_numpy(np.float64), min(len(frame) // 5, 2000)
    out = held_out(rows, count, stream(seed, "held out"), needed=needed)
    return frame[~out], frame[out]


def _tried(
    learn: Callable[..., dict[str, dict[str, Mechanism]]],
    wanted: Mapping[str, Sequence[Sequence[str]]],
    train: pd.DataFrame,
    held: pd.DataFrame,
) -> dict[str, dict[str, Mechanism]]:
    """Variable -> learner -> mechanism: what is quick, and what is slow where nothing else is wanted or will do."""
    quick = {v: [[k for k in step if k not in _SLOW] for step in steps] for v, steps in wanted.items()}
    found = learn(train, quick)
    slow = {v: [[k for k in step if k in _SLOW] for step in steps] for v, steps in wanted.items()}
    some = pd.concat([held, train.head(1000)]).head(1000)
    for v in [v for v, steps in slow.items() if any(steps) and found[v]]:
        if not _leaves_dependence(list(found[v].values()), some, v):
            del slow[v]
    for v, more in learn(train, slow).items():
        found[v] |= more
    return found


def _leaves_dependence(found: Sequence[Mechanism], rows: pd.DataFrame, name: str) -> bool:
    """Whether the likeliest of these additive mechanisms leaves noise that depends on a parent (HSIC, p < 0.2)."""
    best = max(found, key=lambda m: float(_score(m, rows, name).mean()))
    if not best.parents or best.levels is not None:
        return False
    x, y = values(rows, best.parents, name)
    noise = [Kernel.of(scores(best.abduct(x, y)[:, None].numpy()))]
    return least(independent(noise, [Kernel.of(scores(column[:, None])) for column in x.T.numpy()])) < 0.2


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
    return mechanism.log_prob(*values(frame, mechanism.parents, name))
