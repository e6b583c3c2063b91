"""Structural causal models: a mechanism for every variable, and the verbs do, sample, abduct, push.

The three rungs of Pearl's ladder are three lines:

    scm.sample(n, seed=0)                    # seeing:    P(x)
    scm.do({"x": 1.0}).sample(n, seed=0)     # doing:     P(x | do(x = 1)); the same noise, another mechanism
    scm.counterfactual(frame, {"x": 1.0})    # imagining: abduct the noise, act, predict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.errors import check_frame, unknown
from causalkit.graphs import GRAPHS, check_dag
from causalkit.mechanisms import MECHANISMS, Additive, Constant, Equation, Mechanism, NotInvertible
from causalkit.seeds import Seed, integer

__all__ = ["SCM", "random_scm"]


@dataclass(frozen=True, eq=False, repr=False)
class SCM:
    """A structural causal model x_j := f_j(x_pa(j), u_j), the u_j independent; recursive (no cycles).

    Frozen: `do` and `replace` return a new SCM. Variables keep the order of the mapping: of columns in frames, and
    of [n, d] tensors. Noise is drawn from a stream a variable, so what changes one mechanism leaves the noise of
    all others alone, bit for bit. Source: Pearl (2009), definition 7.1.1.

    Args:
        mechanisms: Variable -> mechanism, in any order.
        hidden: Variables that are sampled but not shown.

    Raises:
        ValueError: A parent or hidden variable that is not there (with the closest name), a cycle (named).

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> scm
        SCM(x := u; y := f(x) + u)
        >>> seen, done = scm.sample(3, seed=0), scm.do({"x": 0.0}).sample(3, seed=0)
        >>> bool(np.allclose(seen.y - seen.x, done.y))
        True
    """

    mechanisms: Mapping[str, Mechanism]
    hidden: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        mechanisms = dict(self.mechanisms)
        if not mechanisms:
            raise ValueError("an SCM needs at least one variable: SCM({'x': ck.linear()})")
        for name, mechanism in mechanisms.items():
            if not isinstance(mechanism, Mechanism):
                raise ValueError(
                    f"the mechanism of {name!r} is {mechanism!r}: give ck.linear(...) or another mechanism"
                )
            for parent in mechanism.parents:
                if parent not in mechanisms:
                    raise unknown(f"parent of {name!r}", parent, mechanisms)
        for name in self.hidden:
            if name not in mechanisms:
                raise unknown("hidden variable", name, mechanisms)
        object.__setattr__(self, "mechanisms", MappingProxyType(mechanisms))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        check_dag(self.graph)

    def __repr__(self) -> str:
        return "SCM(" + "; ".join(map(self._line, self.variables)) + ")"

    def _line(self, name: str) -> str:
        mechanism = self.mechanisms[name]
        if isinstance(mechanism, Constant):
            return f"{name} := {mechanism.value.item():g}" if mechanism.value.ndim == 0 else f"{name} := given values"
        if not isinstance(mechanism, Additive):
            return f"{name} := f({', '.join([*mechanism.parents, 'u'])})"
        return f"{name} := f({', '.join(mechanism.parents)}) + u" if mechanism.parents else f"{name} := u"

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables, hidden ones included, in the order of the mapping."""
        return tuple(self.mechanisms)

    @property
    def observed(self) -> tuple[str, ...]:
        """The variables that samples show."""
        return tuple(v for v in self.mechanisms if v not in self.hidden)

    @cached_property
    def graph(self) -> nx.DiGraph:
        """The causal graph, read off the mechanisms; hidden variables carry hidden=True. A frozen networkx.DiGraph."""
        graph = nx.DiGraph(kind="dag")
        for name in self.mechanisms:
            graph.add_node(name, **({"hidden": True} if name in self.hidden else {}))
        graph.add_edges_from((p, name) for name, mechanism in self.mechanisms.items() for p in mechanism.parents)
        return nx.freeze(graph)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The variables, causes before effects."""
        return tuple(nx.topological_sort(self.graph))

    def replace(self, mechanisms: Mapping[str, Mechanism]) -> SCM:
        """The SCM with some mechanisms exchanged: a soft intervention.

        Raises:
            ValueError: An unknown variable, or a mechanism that would make a cycle.

        Example:
            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
            >>> scm.replace({"y": ck.linear({"x": -1.0})}).graph.edges
            OutEdgeView([('x', 'y')])
        """
        for name in mechanisms:
            if name not in self.mechanisms:
                raise unknown("variable", name, self.variables)
        return replace(self, mechanisms={**self.mechanisms, **mechanisms})

    def do(self, values: Mapping[str, float | np.ndarray | pd.Series]) -> SCM:
        """The SCM under do(x = value): the mechanisms of these variables are cut away and their values set.

        Args:
            values: Variable -> a number, or an array [n] with one value a row (then n rows are all it can make).

        Raises:
            ValueError: An unknown variable, a value that is not finite, or values that are no mapping.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})}).do({"y": 0.0})
            SCM(x := u; y := 0)
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"do takes a mapping from variable to value, got {values!r}: write do({{'x': 0.0}})")
        constants = {}
        for name, value in values.items():
            if name not in self.mechanisms:
                raise unknown("variable", name, self.variables)
            tensor = torch.as_tensor(np.asarray(value, dtype=np.float64).copy())
            if tensor.ndim > 1 or not torch.isfinite(tensor).all():
                raise ValueError(f"do({name} = {value!r}): give a finite number, or one a row")
            constants[name] = Constant((), self.mechanisms[name].noise, tensor)
        return self.replace(constants)

    def sample_noise(self, n: int, *, seed: Seed) -> pd.DataFrame:
        """The noise u [n, d], a column a variable, each from its own stream keyed by (seed, variable)."""
        if n < 1:
            raise ValueError(f"n = {n} rows: ask for at least 1")
        base = integer(seed, "noise")
        return pd.DataFrame(
            {v: m.noise.sample(n, seed=integer(base, v)).numpy() for v, m in self.mechanisms.items()},
            copy=False,
        )

    def sample(self, n: int, *, seed: Seed, hidden: bool = False) -> pd.DataFrame:
        """n independent rows, a column an observed variable (hidden ones too where `hidden` is set).

        The same seed gives the same noise to this SCM and to any that do() or a shift makes of it.

        Raises:
            ValueError: n < 1, or a seed that is not a non-negative int or torch.Generator.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(100, seed=0).shape
            (100, 2)
        """
        frame = self.push(self.sample_noise(n, seed=seed))
        return frame if hidden or not self.hidden else frame[list(self.observed)]

    def push(self, noise: pd.DataFrame) -> pd.DataFrame:
        """The values [n, d] that the noise u [n, d] makes: every mechanism in causal order.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).push(pd.DataFrame({"x": [1.0], "y": [0.5]}))
                 x    y
            0  1.0  1.5
        """
        u = self._columns(noise, "noise")
        values: dict[str, Tensor] = {}
        for name in self.order:
            mechanism = self.mechanisms[name]
            values[name] = mechanism.push(self._stack(values, mechanism.parents, len(noise)), u[name])
        return self._frame(values, noise.index)

    def abduct(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The noise u [n, d] that made these rows: abduct(push(u)) = u. A variable under do() has noise 0.

        Raises:
            NotInvertible: A mechanism that cannot be turned round, named.
            ValueError: A missing column (hidden variables are needed too), values that are not finite.
        """
        x = self._columns(frame, "data")
        noise = {}
        for name, mechanism in self.mechanisms.items():
            try:
                noise[name] = mechanism.abduct(self._stack(x, mechanism.parents, len(frame)), x[name])
            except NotInvertible as error:
                raise NotInvertible(f"the noise of {name!r} cannot be recovered: {error}") from error
        return self._frame(noise, frame.index)

    def counterfactual(
        self,
        frame: pd.DataFrame,
        do: Mapping[str, float | np.ndarray | pd.Series],
        *,
        seed: Seed | None = None,
    ) -> pd.DataFrame:
        """What these rows would have been under do: abduct their noise, act, predict (Pearl 2009, theorem 7.1.7).

        Args:
            frame: The factual rows [n, d].
            do: Variable -> value, or one value a row.
            seed: For mechanisms whose noise is drawn from its posterior; one that is invertible does not use it.

        Example:
            Joe's homework (Pearl, Glymour and Jewell 2016, section 4.2.3):

            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "h": ck.linear({"x": 0.5}), "y": ck.linear({"x": 0.7, "h": 0.4})})
            >>> joe = pd.DataFrame({"x": [0.5], "h": [1.0], "y": [1.5]})
            >>> round(float(scm.counterfactual(joe, {"h": 2.0}).y[0]), 9)
            1.9
        """
        return self.do(do).push(self.abduct(frame))

    def log_prob(self, frame: pd.DataFrame) -> np.ndarray:
        """log p(x) [n] in nats, the sum over variables of log p(x_j | x_pa); hidden columns are needed too.

        Raises:
            NotInvertible: A mechanism of the user's own without an inverse, named: its density is not known.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear()}).log_prob(pd.DataFrame({"x": [0.0]})).round(4).tolist()
            [-0.9189]
        """
        x = self._columns(frame, "data")
        terms = []
        for name, mechanism in self.mechanisms.items():
            try:
                terms.append(mechanism.log_prob(self._stack(x, mechanism.parents, len(frame)), x[name]))
            except NotInvertible as error:
                raise NotInvertible(f"the density of {name!r} is not known: {error}") from error
        return torch.stack(terms).sum(0).numpy()

    def _columns(self, frame: pd.DataFrame, what: str) -> dict[str, Tensor]:
        missing = [v for v in self.hidden if isinstance(frame, pd.DataFrame) and v not in frame.columns]
        if missing:
            raise ValueError(f"the {what} lacks the hidden variable {missing[0]!r}: sample(..., hidden=True) shows it")
        frame = check_frame(frame, self.variables)
        return {v: torch.from_numpy(frame[v].to_numpy(dtype=np.float64, copy=True)) for v in self.variables}

    def _stack(self, values: Mapping[str, Tensor], parents: Sequence[str], n: int) -> Tensor:
        return torch.stack([values[p] for p in parents], 1) if parents else torch.zeros(n, 0, dtype=torch.float64)

    def _frame(self, values: Mapping[str, Tensor], index: pd.Index) -> pd.DataFrame:
        return pd.DataFrame({v: values[v].numpy() for v in self.variables}, index=index, copy=False)


def random_scm(
    nodes: int,
    *,
    degree: float = 2.0,
    graph: str | nx.DiGraph = "erdos_renyi",
    mechanism: str = "mlp",
    noise: str = "gaussian",
    standardise: str | None = "internal",
    seed: Seed,
) -> SCM:
    """A random SCM: a random DAG, random mechanisms, noise of unit scale.

    Args:
        nodes: Number of variables; they are called x1, x2, ... Ignored where `graph` is a DiGraph.
        degree: Expected number of neighbours of a node, in + out.
        graph: A key of `ck.graphs.GRAPHS`, or a DAG of your own.
        mechanism: A key of `ck.MECHANISMS`.
        noise: A key of `ck.mechanisms.NOISES`.
        standardise: "internal": each variable is brought to mean 0 and variance 1 as it is made, before its effects
            see it, so that scale does not give the causal order away (iSCM, Ormaniec et al. 2025, algorithm 1); the
            constants come from 20,000 draws and stay part of the mechanisms. None: as drawn.
        seed: Of graph and mechanisms (not of the data).

    Raises:
        ValueError: An unknown graph, mechanism, noise or way to standardise.

    Example:
        >>> scm = random_scm(10, degree=2.0, mechanism="mlp", seed=0)
        >>> bool((scm.sample(5000, seed=1).std() - 1).abs().max() < 0.1)
        True
    """
    base = integer(seed, "random_scm")
    if isinstance(graph, str):
        if graph not in GRAPHS:
            raise unknown("graph", graph, GRAPHS)
        graph = GRAPHS[graph](nodes, degree, seed=base)
    if mechanism not in MECHANISMS:
        raise unknown("mechanism", mechanism, MECHANISMS)
    if standardise not in ("internal", None):
        raise ValueError(f"standardise {standardise!r}: give 'internal' or None")
    check_dag(graph)
    mechanisms = {
        node: MECHANISMS[mechanism](list(graph.predecessors(node)), noise=noise, seed=integer(base, node))
        for node in graph.nodes
    }
    scm = SCM(mechanisms, hidden=[v for v, hidden in graph.nodes(data="hidden") if hidden])
    return _standardised(scm, base) if standardise == "internal" else scm


def _standardised(scm: SCM, seed: int) -> SCM:
    """Each mechanism followed by (x - mean) / sd, the constants taken from the values its standardised parents make."""
    noise = scm.sample_noise(20_000, seed=integer(seed, "standardise"))
    values: dict[str, Tensor] = {}
    mechanisms: dict[str, Mechanism] = {}
    for name in scm.order:
        mechanism = scm.mechanisms[name]
        u = torch.from_numpy(noise[name].to_numpy(copy=True))
        raw = mechanism.push(scm._stack(values, mechanism.parents, len(u)), u)
        if isinstance(mechanism, Equation):
            mechanism = replace(mechanism, centre=float(raw.mean()), spread=float(raw.std(correction=0)))
        mechanisms[name] = mechanism
        values[name] = mechanism.push(scm._stack(values, mechanism.parents, len(u)), u)
    return scm.replace(mechanisms)
