"""counterfactual_invariance: predictions that carry no trace of a variable z, or none beyond what the target explains.

A predictor is counterfactually invariant to z if it would say the same had z been another. Two twins of a row are
never seen, but a distribution is, and it has a signature, which depends on how z came to go with the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx
import numpy as np
import pandas as pd
import torch

from causalkit.errors import unknown
from causalkit.graphs import check_dag, d_separated
from causalkit.objectives.alignment import GAMMAS, thinned
from causalkit.objectives.base import Batch, Objective, Penalty, check_number, check_steps
from causalkit.seeds import Seed

if TYPE_CHECKING:
    from causalkit.environments import Environment, Task

__all__ = ["Cells", "counterfactual_invariance", "implied_forms", "trace"]

Form = Literal["causal", "anti_causal"]
FORMS = ("causal", "anti_causal")
ENVIRONMENT = "environment"  # the node that stands for the environment, where that is z
LEVELS = 20  # z has at most so many values
MOST_ROWS = 256  # of all environments together, as the cost grows with their square


def counterfactual_invariance(
    graph: Any = None, weight: float = 1.0, *, z: str | None = None, form: Form | None = None, bins: int = 10
) -> Objective:
    """The signature of counterfactual invariance to z: mean_e R_e + weight * D(f, z), in one of two forms.

    - "causal": D = sum_z P(z) MMD^2(P(f | z), P(f)), for features that cause the target: f is independent of z;
    - "anti_causal": D = sum_zy P(z, y) MMD^2(P(f | z, y), P(f | y)), for features that the target causes: f is
      independent of z given y.

    f are predictions (probabilities of classes), the kernels of MMD those of `mmd`, P counts each environment the
    same. For two values of z, the causal form is P(z = 0) P(z = 1) times the squared MMD between the two. The y of a
    regression is cut into `bins` quantile bins; what z tells of y inside of a bin, the penalty takes for a trace of z.
    D is estimated by `trace` from 256 evenly spaced rows in all: with a `batch` in `fit`, from new ones at every step.

    The wrong form hurts: where z goes with y for another reason, the causal form forbids f what it should know of y. A
    graph tells which is implied (`implied_forms`); where both are, the anti-causal form is taken, which stays right if
    P(y) moves. The form is necessary for invariance and not sufficient: predictors that use an effect of z can have it,
    and among training environments that hardly differ in z's effects nearly all do.

    Source: Veitch, D'Amour, Yadlowsky and Eisenstein (2021), theorem 3.2 and section 4; there z is binary, and the
    penalties are sums of MMDs between its two values, y a class.

    Args:
        graph: A DAG in which z is a node, or an SCM, true or learned, for its graph: read where `form` is None.
        weight: At least 0; 0 is erm.
        z: A column of the environments, of at most 20 values. None: the environment itself, in the graph a node
            "environment" that points at the variables whose mechanisms differ.
        form: "causal" or "anti_causal"; None asks the graph.
        bins: Of a real target, in the anti-causal form.

    Raises:
        ValueError: Neither a form nor a graph; a graph without z, or one that implies neither form; a z of one value or
            of too many; for the anti-causal form, a z that the target determines.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"y": ck.linear(), "z": ck.logistic({"y": 1.0}), "x": ck.linear({"y": 1.0, "z": 2.0}),
        ...               "w": ck.linear({"y": 1.0})})
        >>> train, task = [ck.Environment("a", scm.sample(1000, seed=0))], ck.Task(("x", "w"), "y")
        >>> for goal in ("erm", counterfactual_invariance(scm, 30.0, z="z")):  # how much more x counts than w
        ...     said = ck.fit(train, task, objective=goal, backbone="linear", seed=0).network.head.weight[0]
        ...     print(bool(said[0] > 0.3 * said[1]))
        True
        False
    """
    name = "counterfactual_invariance"
    check_number(name, "weight", weight)
    check_steps(name, "bins", bins, 2)
    if form is not None and form not in FORMS:
        raise unknown(f"form of {name}", form, FORMS)
    if form is None:
        graph = graph if isinstance(graph, nx.DiGraph) else getattr(graph, "graph", None)
        if not isinstance(graph, nx.DiGraph):
            raise ValueError(
                f"{name} has two forms, and the wrong one hurts: say form='causal' where the features cause the "
                "target, form='anti_causal' where it causes them, or hand over a graph (or an SCM) with z as a node"
            )
        check_dag(graph)
        if (z or ENVIRONMENT) not in graph:
            hint = " Add edges from it to what differs between environments, or say the form" if z is None else ""
            raise ValueError(f"{unknown('variable of the graph', z or ENVIRONMENT, graph.nodes)}.{hint}")
    made = f"{name} {form or 'by graph'} {z or ''}".rstrip()
    penalty = Penalty(weight, _Trace(made), prepare=Cells(made, z, form, bins, None if form else graph))
    text = f"{name}({form or 'form by graph'}, weight={weight:g})"
    return Objective(text, (penalty,), min_environments=1 if z else 2)


def implied_forms(graph: nx.DiGraph, z: str, target: str, features: Sequence[str]) -> tuple[Form, ...]:
    """The forms that every predictor from these features has that is counterfactually invariant to z.

    Such a predictor depends on what the features would be had z been held at one value. So each of these twins must be
    d-separated from z: marginally for the causal form, given the target for the anti-causal one, in the twin network
    of Balke and Pearl (1994), where the world with z held shares the noise of the real one. Selection has no sign in a
    DAG: where the rows were selected by z and the target, say the form.

    Returns:
        () to ("causal", "anti_causal").

    Raises:
        ValueError: A cycle, or a name that is no node.

    Example:
        >>> from causalkit.graphs import parse
        >>> implied_forms(parse("z -> x -> y; z <-> y"), "z", "y", ["x"])  # text causes its rating
        ('causal',)
        >>> implied_forms(parse("z -> x; y -> x; z <-> y"), "z", "y", ["x"])  # the sentiment causes the text
        ('anti_causal',)
        >>> implied_forms(parse("z -> x; x <-> y; z <-> y"), "z", "y", ["x"])
        ('causal',)
        >>> implied_forms(parse("z -> x; w -> y; z <-> w; z <-> y"), "z", "y", ["x", "w"])
        ()
    """
    for node in (z, target, *features):
        if node not in graph:
            raise unknown("variable of the graph", node, graph.nodes)
    moved = nx.descendants(check_dag(graph), z)
    twins = nx.DiGraph()
    twins.add_edges_from(graph.edges)
    twins.add_nodes_from(graph)
    held = {v: f"{v}, {z} held" if v in moved else v for v in graph if v != z}
    for v in moved:
        twins.add_edges_from([(f"noise of {v}", v), (f"noise of {v}", held[v])])
        twins.add_edges_from((held[parent], held[v]) for parent in graph.predecessors(v) if parent != z)
    seen = [held[v] for v in features if v != z]
    return tuple(
        form  # type: ignore[misc]
        for form, given in zip(FORMS, ([], [target]), strict=True)
        if all(d_separated(twins, z, v, given) for v in seen)
    )


@dataclass(frozen=True)
class Cells:
    """Numbers the cells of (z, y) and of y that rows lie in; equal to another one with the same arguments.

    Attributes:
        name: Under which the batch holds the numbers.
        z, form, bins: As in `counterfactual_invariance`.
        graph: What says the form where that is None.

    Example:
        >>> import causalkit as ck
        >>> frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [0, 0, 1, 1], "y": [0.0, 9.0, 0.0, 9.0]})
        >>> found = Cells("mine", "z", "anti_causal", 2)([ck.Environment("a", frame)], ck.Task(("x",), "y"), 0)
        >>> {name: numbers[0].tolist() for name, numbers in found.items()}
        {'mine, z and y': [0, 1, 2, 3], 'mine, y': [0, 1, 0, 1]}
    """

    name: str
    z: str | None
    form: Form | None
    bins: int
    graph: nx.DiGraph | None = None

    def __call__(self, train: Sequence[Environment], task: Task, seed: Seed) -> dict[str, list[pd.Series]]:
        """The numbers of each environment's rows."""
        z, sizes = self._codes_of_z(train), [len(e.frame) for e in train]
        y = np.zeros_like(z)
        if self._form(task) == "anti_causal":
            y = _binned(np.concatenate([e.frame[task.target].to_numpy() for e in train]), self.bins)
            there = np.unique(np.stack([y, z]), axis=1)[0]
            if len(np.unique(there)) == len(there):
                raise ValueError(
                    f"counterfactual_invariance: the target determines {self._what}, so that no value of it has rows "
                    "with two: nothing to compare. Use fewer bins, or the form 'causal' if the graph implies it"
                )
        cuts = np.cumsum(sizes)[:-1]
        found = {f"{self.name}, z and y": z * (y.max() + 1) + y, f"{self.name}, y": y}
        return {name: [pd.Series(part) for part in np.split(codes, cuts)] for name, codes in found.items()}

    @property
    def _what(self) -> str:
        return "the environment" if self.z is None else f"z={self.z!r}"

    def _codes_of_z(self, train: Sequence[Environment]) -> np.ndarray:
        if self.z is None:
            return np.repeat(np.arange(len(train)), [len(e.frame) for e in train])
        for e in train:
            if self.z not in e.frame.columns:
                raise unknown(f"column of environment {e.name!r}", self.z, e.frame.columns)
        values, codes = np.unique(np.concatenate([e.frame[self.z].to_numpy() for e in train]), return_inverse=True)
        if not 2 <= len(values) <= LEVELS:
            remedy = "it tells nothing" if len(values) < 2 else f"cut it into at most {LEVELS} bins, pd.qcut say"
            raise ValueError(
                f"counterfactual_invariance: {self._what} has {len(values)} value(s) in the rows: {remedy}"
            )
        return codes

    def _form(self, task: Task) -> str:
        if self.form is not None:
            return self.form
        graph: nx.DiGraph = self.graph
        forms = implied_forms(graph, self.z or ENVIRONMENT, task.target, task.features)
        if not forms:
            raise ValueError(
                f"counterfactual_invariance: the graph implies neither form for {self._what}, since what the features "
                f"would be had it been another goes with it, given {task.target!r} or not: leave out the features that "
                "share a hidden cause with it, or use counterfactual_consistency, which needs no such form"
            )
        return forms[-1]


@dataclass(frozen=True)
class _Trace:
    """The penalty of `counterfactual_invariance`: D(f, z) of a batch, or 0 where its estimate is below."""

    name: str

    def __call__(self, batch: Batch) -> torch.Tensor:
        names = f"{self.name}, z and y", f"{self.name}, y"
        if names[0] not in batch.companions:
            raise ValueError("the batch has no cells of counterfactual_invariance: train with ck.fit, it makes them")
        most = max(2, MOST_ROWS // len(batch.losses))
        parts = [thinned(f[:, None] if f.ndim == 1 else f.softmax(-1), most) for f in batch.predictions]
        loads = [thinned(w, most) for w in batch.weights] or [torch.ones_like(part[:, 0]) for part in parts]
        share = torch.cat([load / load.sum() / len(loads) for load in loads])
        both, y = (torch.cat([thinned(codes, most) for codes in batch.companions[name]]) for name in names)
        return trace(torch.cat(parts), share, both, y).clamp_min(0.0)


def trace(said: torch.Tensor, share: torch.Tensor, cells: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """sum over cells c of P(c) MMD^2(P(f | c), P(f | w)), w what c lies within: 0 on average where f is blind to c.

    The mean over rows of (the mean kernel to the others of the row's cell - to the others it lies within). The row
    itself is left out of both: with it, each would be as much too large as it has few rows, and a constant f alone
    would be without a trace. So the estimate can be below 0.

    Source: Gretton et al. (2012), lemma 6, the unbiased estimate of two cells.

    Args:
        said: Predictions [n, k].
        share: What each row counts [n], with sum 1.
        cells, within: Numbers of the cells [n].

    Example:
        >>> f, share, z = torch.tensor([[0.0], [0.0], [2.0], [2.0]]), torch.full((4,), 0.25), torch.tensor([0, 0, 1, 1])
        >>> trace(f, share, z, torch.zeros(4)), trace(f, share, z, z)
        (tensor(2.9030), tensor(0.))
    """
    square = said.square().sum(1)
    apart = (square[:, None] + square - 2 * said @ said.mT).clamp_min(0.0)
    kernel = sum((torch.exp(-gamma * apart) for gamma in GAMMAS), start=torch.zeros_like(apart))
    others = share * (1 - torch.eye(len(share)).to(share))
    inside = [(codes[:, None] == codes) * others for codes in (cells, within)]
    means = [(load * kernel).sum(1) / load.sum(1).clamp_min(1e-30) for load in inside]
    counts = share * (inside[0].sum(1) > 0)  # a row alone in its cell tells nothing
    return (counts * (means[0] - means[1])).sum() / counts.sum().clamp_min(1e-30)


def _binned(y: np.ndarray, bins: int) -> np.ndarray:
    """The quantile bin of each value, or the value's number where there are no more than so many."""
    values, codes = np.unique(y, return_inverse=True)
    if len(values) <= bins:
        return codes
    return np.searchsorted(np.quantile(y, np.arange(1, bins) / bins), y, side="right")
