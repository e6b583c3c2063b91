"""Discrete variables: a table of probabilities, or a softmax of a linear function or a network of the parents."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.estimation.encoding import Encoding
from causalkit.mechanisms import Categorical, Mechanism, Table
from causalkit.seeds import integer

__all__ = ["PSEUDO_COUNT", "Logits", "Odds", "fit_logits", "fit_table"]

PSEUDO_COUNT = 0.5
"""What every cell of a table counts before the first row: Jeffreys' prior."""


def fit_table(
    graph: nx.DiGraph, frame: pd.DataFrame, names: Sequence[str], *, noise: str | None = None, seed: int
) -> dict[str, Mechanism]:
    """Tables by counting, P(x_j = k | x_pa = i) = (N_ik + 1/2) / (N_i + K/2): Jeffreys' prior. All parents discrete.

    Example:
        >>> from causalkit.graphs import parse
        >>> frame = pd.DataFrame({"x": [0, 0, 0, 1], "y": [0, 1, 1, 1]})
        >>> fit_table(parse("x -> y"), frame, ["y"], seed=0)["y"].log_table.exp()
        tensor([[0.3750, 0.6250],
                [0.2500, 0.7500]], dtype=torch.float64)
    """
    found: dict[str, Mechanism] = {}
    for name in names:
        parents = list(graph.predecessors(name))
        columns = [frame[v].to_numpy(np.int64) for v in (*parents, name)]
        counts = np.full([int(c.max()) + 1 for c in columns], PSEUDO_COUNT)
        np.add.at(counts, tuple(columns), 1.0)
        found[name] = Table(tuple(parents), torch.from_numpy(np.log(counts / counts.sum(-1, keepdims=True))))
    return found


@dataclass(frozen=True, eq=False)
class Logits:
    """The log-odds [n, K] of the levels: a linear function of the parents' columns, or of tanh units of them.

    Attributes:
        encoding: The columns [n, q] of the parents' values [n, p].
        weights: Of each layer, [in, out].
        biases: Of each layer, [out].
    """

    encoding: Encoding
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __call__(self, parents: Tensor) -> Tensor:
        value = self.encoding(parents)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = (value.tanh() if layer else value) @ weight + bias
        return value


@dataclass(frozen=True, eq=False)
class Odds(Categorical):
    """P(x_j = k | x_pa) ~ exp(l_k(x_pa)), l any function; made by Gumbel-max.

    Attributes:
        logits: l, from the parents' values [n, p] to [n, K].
        count: K.
        known: The discrete parents' numbers of levels.
        tilt: What is added to l_k for each k before it.
        gain: What multiplies the parents' deviations from `around` before l sees them, a number a parent.
        around: The parents' values that a gain leaves where they are.
    """

    logits: Logits
    count: int
    known: Mapping[str, int] = field(default_factory=dict)
    tilt: float = 0.0
    gain: tuple[float, ...] | None = None
    around: tuple[float, ...] | None = None

    @property
    def levels(self) -> int:
        return self.count

    @property
    def parent_levels(self) -> Mapping[str, int]:
        return MappingProxyType(dict(self.known))

    def log_probs(self, parents: Tensor) -> Tensor:
        if self.gain is not None:
            around = torch.tensor(self.around, dtype=parents.dtype)
            parents = around + (parents - around) * torch.tensor(self.gain, dtype=parents.dtype)
        steps = torch.arange(self.count, dtype=torch.float64)
        return torch.log_softmax(self.logits(parents) + self.tilt * steps, 1).expand(len(parents), -1)

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Odds:
        gain, old = self.gain or (1.0,) * len(self.parents), self.around or (None,) * len(self.parents)
        return replace(
            self,
            gain=tuple(g * factors.get(p, 1.0) for p, g in zip(self.parents, gain, strict=True)),
            around=tuple(float(around.get(p, 0.0)) if c is None else c for p, c in zip(self.parents, old, strict=True)),
        )

    def moved(self, by: float) -> Odds:
        return replace(self, tilt=self.tilt + by)


def fit_logits(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    names: Sequence[str],
    *,
    hidden: int = 0,
    noise: str | None = None,
    seed: int,
) -> dict[str, Mechanism]:
    """Softmax regressions on the parents (scikit-learn), or with `hidden` tanh units between; a ridge of 1 or 0.01."""
    found: dict[str, Mechanism] = {}
    for name in names:
        parents = list(graph.predecessors(name))
        encoding = Encoding.fit(frame, parents)
        x = encoding(torch.from_numpy(frame[parents].to_numpy(np.float64, copy=True))).numpy()
        y = frame[name].to_numpy(np.int64)
        weights, biases = _classifier(x, y, hidden, integer(seed, name))
        if int(y.max()) == 1:  # scikit-learn has the log-odds of 1 alone
            weights[-1], biases[-1] = (np.concatenate([0 * last[-1], last[-1]], -1) for last in (weights, biases))
        known = {p: k for p, k in zip(parents, encoding.levels, strict=True) if k is not None}
        layers = (tuple(map(torch.from_numpy, weights)), tuple(map(torch.from_numpy, biases)))
        found[name] = Odds(tuple(parents), logits=Logits(encoding, *layers), count=int(y.max()) + 1, known=known)
    return found


def _classifier(x: np.ndarray, y: np.ndarray, hidden: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The layers' weights [in, out] and biases [out]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped within rounding of the optimum
        if not hidden:
            linear = LogisticRegression(max_iter=1000).fit(x, y)
            return [linear.coef_.T.copy()], [linear.intercept_.copy()]
        net = MLPClassifier(
            hidden_layer_sizes=(hidden,), activation="tanh", solver="lbfgs", alpha=1e-2, max_iter=300, random_state=seed
        )
        net.fit(x, y)
    return list(net.coefs_), list(net.intercepts_)
