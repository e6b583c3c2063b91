"""Causal flows and location-scale models: the mechanisms of several variables learned by maximum likelihood at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.estimation.encoding import Encoding, in_order, side_by_side
from causalkit.estimation.flow_mechanism import Flow, Location, LogScale, log_density, width
from causalkit.estimation.stacked import Network, Stack, train
from causalkit.mechanisms import LocationScale, Mechanism, Noise
from causalkit.seeds import Seed, integer

__all__ = ["fit_flow"]


def fit_flow(
    graph: nx.DiGraph,
    frame: pd.DataFrame,
    names: Sequence[str],
    *,
    spline: bool = True,
    steps: int | None = None,
    hidden: Sequence[int] = (64, 64),
    seed: Seed,
) -> dict[str, Mechanism]:
    """The mechanisms of these real variables, each a function of its parents and one standard normal noise.

    With a spline, x = l(x_pa) + s(x_pa) q(u; x_pa), q increasing: a causal flow of one layer (Javaloy et al. 2023), the
    affine part for place and size, the spline for the noise's shape. Without, x = l(x_pa) + s(x_pa) u. A network a
    variable gives l, log s and the spline from its parents' values; all of them train as one program. They start at
    least squares with Gaussian noise, and are kept as they were when rows held out were likeliest. More layers would
    make one variable's noise enter others that it does not cause, so there is one.

    Args:
        graph: A DAG over columns of the frame.
        frame: The data [n, columns]; integer columns are discrete, and may be parents alone.
        names: The variables to learn.
        spline: Whether the noise's shape is learned; else it is normal, times a scale that depends on the parents.
        steps: Steps of Adam, in batches of up to 1,024 rows; None: an eighth of the rows, from 500 to 2,500.
        hidden: Units in each hidden layer of a variable's network.
        seed: Of the networks' first weights, keyed by variable, of the batches and of the rows held out (a
            fifth, 2,000 at most).

    Returns:
        Variable -> a `Flow` with a spline, a `LocationScale` without.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0}, noise="uniform")})
        >>> learned = ck.SCM(fit_flow(scm.graph, scm.sample(500, seed=0), ["x", "y"], steps=200, seed=0))
        >>> round(float(learned.do({"x": 1.0}).sample(1000, seed=1)["y"].mean()))
        2
    """
    names, base = list(names), integer(seed, "flow")
    steps = min(max(500, len(frame) // 8), 2500) if steps is None else steps
    lines = [_Line.fit(frame, name, in_order(frame, graph.predecessors(name))) for name in names]
    x, mask = side_by_side(frame, [line.parents for line in lines])
    y = torch.stack([line.remainder for line in lines]).float()

    def loss(rows: Tensor, stack: Stack) -> Tensor:
        return -log_density(stack(x[rows]), y[:, rows]).mean(1)

    stack = Stack.start(mask, hidden, width(spline), names, seed=base)
    (stack,) = train([stack], loss, len(frame), steps=steps, seed=base)
    cuts = [stack.cut(j, line.encoding, line.slopes, line.columns) for j, line in enumerate(lines)]
    return {name: line.mechanism(cut, spline) for name, line, cut in zip(names, lines, cuts, strict=True)}


@dataclass(frozen=True, eq=False)
class _Line:
    """Least squares of a variable on its parents' columns, where its flow starts.

    The flow works in units of the standard deviation that the line leaves over: x = (g - centre) / spread, with
    g = columns @ slopes + remainder.
    """

    parents: tuple[str, ...]
    encoding: Encoding
    columns: Tensor
    slopes: Tensor
    centre: float
    spread: float
    remainder: Tensor

    @classmethod
    def fit(cls, frame: pd.DataFrame, name: str, parents: list[str]) -> _Line:
        encoding = Encoding.fit(frame, parents)
        columns = encoding(torch.from_numpy(frame[parents].to_numpy(np.float64, copy=True)))
        y = torch.from_numpy(frame[name].to_numpy(np.float64, copy=True))
        design = torch.cat([columns, torch.ones(len(y), 1, dtype=torch.float64)], 1)
        # one-hot columns add up to the intercept's: the shortest of the solutions
        weights = torch.linalg.lstsq(design, y.unsqueeze(1), driver="gelsd").solution[:, 0]
        rest = y - design @ weights
        unit = float(rest.std(correction=0))
        middle, slopes = -float(weights[-1]) / unit, weights[:-1] / unit
        return cls(tuple(parents), encoding, columns, slopes, middle, 1 / unit, rest / unit)

    def mechanism(self, network: Network, spline: bool) -> Mechanism:
        if spline:
            return Flow(self.parents, Noise(), network, centre=self.centre, spread=self.spread)
        place, size = Location(network), LogScale(network)
        return LocationScale(self.parents, Noise(), place, log_scale=size, centre=self.centre, spread=self.spread)
