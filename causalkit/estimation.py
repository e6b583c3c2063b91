"""Learned SCMs: a mechanism for each variable of a known or discovered DAG, fitted to data; effects by adjustment.

What comes back is an SCM like any other, so it samples, intervenes and answers counterfactuals. Its answers are
right as far as graph, additive noise and the absence of hidden common causes are: see `tests/test_estimation.py`
for what happens where one of them fails.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame, unknown
from causalkit.graphs import check_dag, parents_of, undirected_edges
from causalkit.mechanisms import Additive, Function, Linear, Noise, Perceptron
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["REGRESSIONS", "effect_errors", "fit_scm"]


def fit_scm(
    graph: nx.DiGraph, frame: pd.DataFrame, *, mechanism: str = "linear", noise: str | None = None, seed: Seed
) -> SCM:
    """An SCM with additive noise, x_j := f_j(x_pa(j)) + u_j, fitted to data for a given DAG.

    Each f_j is a regression of x_j on its parents; u_j has the family under which the residuals are likelier
    (Gaussian or Laplace), their standard deviation, and mean 0. Assumes that the graph is right and that no hidden
    variable drives two of the observed ones (Pearl 2009, section 1.4; additive noise: Hoyer et al. 2009). Discrete
    variables have no additive noise: columns of integers, as samples of discrete SCMs have them, are refused.

    Args:
        graph: A DAG over columns of the frame; further columns are ignored.
        frame: The data [n, columns]; at least 3 rows more than a variable has parents, or 10.
        mechanism: "linear" (least squares) or "mlp" (one hidden layer of 16 tanh units, L-BFGS, small ridge).
        noise: A family for all variables, a key of `ck.mechanisms.NOISES`; None chooses a variable.
        seed: Of the networks' initial weights; "linear" does not use it.

    Raises:
        ValueError: The graph is a CPDAG or PAG that leaves edges undirected (named), has a cycle, hidden nodes, or
            nodes that are no columns; an unknown mechanism or noise; a frame with text, NaN, integer
            codes or too few rows; a variable that is constant, or is an exact function of its parents.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> learned = fit_scm(scm.graph, scm.sample(2000, seed=0), seed=0)
        >>> float(learned.do({"x": 1.0}).sample(5000, seed=1)["y"].mean().round(1))
        2.0
    """
    _check_graph(graph)
    if mechanism not in REGRESSIONS:
        raise unknown("mechanism to fit", mechanism, REGRESSIONS)
    frame = check_frame(frame, graph.nodes, min_rows=max(10, 3 + max(d for _, d in graph.in_degree)))
    codes = [str(v) for v in frame.columns if not pd.api.types.is_float_dtype(frame[v])]
    if codes:
        raise ValueError(
            f"column {codes[0]!r} holds integers, which fit_scm reads as the codes of a discrete variable, and it fits "
            f"real ones: leave it out of the graph, or call it a real number, frame.astype({{{codes[0]!r}: float}})"
        )
    base = integer(seed, "fit_scm")
    mechanisms = {}
    for name in graph.nodes:
        parents = list(graph.predecessors(name))
        x, y = frame[parents].to_numpy(np.float64, copy=True), frame[name].to_numpy(np.float64, copy=True)
        if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
            raise ValueError(f"column {name!r} is constant: there is no noise to learn, leave it out of the graph")
        function = REGRESSIONS[mechanism](x, y, integer(base, name)) if parents else Linear((), float(y.mean()))
        residual = torch.from_numpy(y) - function(torch.from_numpy(x))
        scale = float(residual.std(correction=0))
        if scale <= 1e-9 * float(np.std(y)):
            raise ValueError(f"{name!r} is an exact function of its parents {parents}: leave one of them out")
        mechanisms[name] = Additive(tuple(parents), _noise(residual, scale, noise), function)
    return SCM(mechanisms)


def _check_graph(graph: nx.DiGraph) -> None:
    kind = graph.graph.get("kind", "dag") if isinstance(graph, nx.DiGraph) else "dag"
    if kind == "pag":
        raise ValueError("fit_scm needs a DAG, not a PAG: decide on the hidden variables and the edges first")
    if kind != "dag" and undirected_edges(graph):
        pairs = ", ".join(f"{a} - {b}" for a, b in undirected_edges(graph))
        raise ValueError(
            f"fit_scm needs a DAG, but this CPDAG leaves edges undirected: {pairs}. Orient them by what you know "
            f"(remove one direction of each), or by environments that differ; the data alone cannot"
        )
    check_dag(graph)
    hidden = [v for v, is_hidden in graph.nodes(data="hidden") if is_hidden]
    if hidden:
        raise ValueError(f"the graph has the hidden variable {hidden[0]!r}: fit_scm can fit what was observed only")


def _noise(residual: torch.Tensor, scale: float, family: str | None) -> Noise:
    if family is not None:
        return Noise(family, scale)
    return max(
        (Noise(f, scale) for f in ("gaussian", "laplace")), key=lambda noise: float(noise.log_prob(residual).sum())
    )


def _least_squares(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) = x w + b by ordinary least squares; x [n, p], y [n]."""
    design = np.column_stack([x, np.ones(len(x))])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    return Linear(tuple(weights[:-1].tolist()), float(weights[-1]))


def _perceptron(x: np.ndarray, y: np.ndarray, seed: int) -> Function:
    """f(x) by scikit-learn's MLPRegressor on standardised data, its scaling folded into the first and last layer."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    # a constant parent gets scale 1 and so weight nothing; it carries no information
    centre, scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    middle, unit = y.mean(), y.std()
    net = MLPRegressor(
        hidden_layer_sizes=(16,), activation="tanh", solver="lbfgs", alpha=1e-2, max_iter=500, random_state=seed
    )
    with warnings.catch_warnings():
        # L-BFGS may stop at max_iter within rounding of the optimum; the residual noise absorbs what is left
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit((x - centre) / scale, (y - middle) / unit)
    first = net.coefs_[0] / scale[:, None]
    bias = net.intercepts_[0] - centre @ first
    return Perceptron(
        torch.from_numpy(first),
        torch.from_numpy(bias),
        torch.from_numpy(net.coefs_[1][:, 0] * unit),
        float(net.intercepts_[1][0] * unit + middle),
    )


REGRESSIONS: dict[str, Callable[[np.ndarray, np.ndarray, int], Function]] = {
    "linear": _least_squares,
    "mlp": _perceptron,
}
"""Ways to learn f: name -> function(x [n, p], y [n], seed) -> f, from tensors [n, p] to [n]."""


def effect_errors(learned: nx.DiGraph, scm: SCM, target: str, *, n: int = 10_000, seed: Seed) -> pd.DataFrame:
    """The effects on a target that a learned graph leads to, beside the true ones: what a wrong edge costs.

    The effect of x is read off a linear regression of the target on x and x's parents in the learned graph, on n
    observed rows; it is 0 where the target is one of these parents. Where edges of x are undirected, each choice of
    parents that makes no new v-structure counts (IDA). The true effect is that of setting x one standard deviation
    above its mean against one below, halved. Both are in standard deviations of the target.

    Even the true graph leaves an error: of the sample, about 1/sqrt(n); where relations are not linear, of the line.

    Source: Maathuis, Kalisch and Buehlmann (2009), algorithm 3; Pearl (2009), theorem 3.2.2 (adjusting for parents).

    Args:
        learned: A DAG or CPDAG over the observed variables of the SCM.
        scm: The truth.
        target: The variable on which effects are looked at.
        n: Rows, for the estimate and for the truth.
        seed: Of the rows.

    Returns:
        A row for each other variable: cause; true; low, high, the least and greatest estimate; error, the mean
        distance of the estimates from the truth. `.error.mean()` is one number for the graph.

    Raises:
        ValueError: Other variables than the SCM's observed ones, an unknown target, discrete variables, a PAG.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0})})
        >>> effect_errors(ck.graphs.parse("x -> y <- z"), scm, "y", seed=0).round(1)
          cause  true  low  high  error
        0     x   0.7  0.7   0.7    0.0
        1     z   0.0  0.8   0.8    0.8
    """
    if learned.graph.get("kind") == "pag":
        raise ValueError("a PAG names no parents to adjust for: give a DAG or CPDAG")
    odd = sorted(map(str, set(learned) ^ set(scm.observed)))
    if odd:
        raise ValueError(f"graph and observed variables of the SCM differ: {', '.join(odd)} only in one of them")
    if target not in learned:
        raise unknown("target", target, map(str, learned.nodes))
    frame = scm.sample(n, seed=seed)[list(scm.observed)]
    codes = [str(v) for v in frame.columns if not pd.api.types.is_float_dtype(frame[v])]
    if codes:
        raise ValueError(f"variable {codes[0]!r} is discrete: effects are looked at between real variables only")
    unit, rows = float(frame[target].std(ddof=0)), []
    for cause in (v for v in scm.observed if v != target):
        centre, spread = float(frame[cause].mean()), float(frame[cause].std(ddof=0))
        high, low = (scm.do({cause: centre + s * spread}).sample(n, seed=seed)[target].mean() for s in (1, -1))
        true = float(high - low) / 2 / unit
        found = [_adjusted(frame, cause, target, parents) * spread / unit for parents in _parent_sets(learned, cause)]
        error = float(np.mean([abs(effect - true) for effect in found]))
        rows.append((cause, true, min(found), max(found), error))
    return pd.DataFrame(rows, columns=["cause", "true", "low", "high", "error"])


def _parent_sets(graph: nx.DiGraph, node: str) -> Iterator[list[str]]:
    """The parents of the node in the members of the class: undirected neighbours come in where no v-structure does."""
    parents = parents_of(graph, node)
    open_ones = [v for v in graph.predecessors(node) if v not in parents]
    sizes = range(len(open_ones) + 1)
    for chosen in itertools.chain.from_iterable(itertools.combinations(open_ones, k) for k in sizes):
        pairs = [(v, w) for v in chosen for w in [*parents, *chosen] if v != w]
        if all(graph.has_edge(v, w) or graph.has_edge(w, v) for v, w in pairs):
            yield [*parents, *chosen]


def _adjusted(frame: pd.DataFrame, cause: str, target: str, parents: list[str]) -> float:
    """The slope of the target on the cause beside these parents; 0 if the target is one of them."""
    if target in parents:
        return 0.0
    x, y = frame[[cause, *parents]].to_numpy(np.float64), frame[target].to_numpy(np.float64)
    return float(np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0][0])
