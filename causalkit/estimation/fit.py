"""fit_scm: a mechanism for each variable of a known or discovered DAG, fitted to data."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame, unknown
from causalkit.graphs import check_dag, undirected_edges
from causalkit.mechanisms import Additive, Function, Linear, Noise, Perceptron
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["REGRESSIONS", "fit_scm"]


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
