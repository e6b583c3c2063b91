"""Structural causal models: a mechanism for every variable, and the verbs do, sample, abduct, push.

The three rungs of Pearl's ladder are three lines:

    scm.sample(n, seed=0)                    # seeing:    P(x)
    scm.do({"x": 1.0}).sample(n, seed=0)     # doing:     P(x | do(x = 1)); the same noise, another mechanism
    scm.counterfactual(frame, {"x": 1.0})    # imagining: abduct the noise, act, predict
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.errors import check_frame, unknown
from causalkit.graphs import check_dag
from causalkit.mechanisms import Additive, Constant, Mechanism, NotInvertible
from causalkit.seeds import Seed, integer

__all__ = ["SCM"]


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
            for parent, levels in mechanism.parent_levels.items():
                found = mechanisms[parent].levels
                if found != levels:
                    raise ValueError(
                        f"the table of {name!r} is for {levels} levels of {parent!r}, which "
                        f"{'is not discrete' if found is None else f'has {found}'}: make the two agree"
                    )
        for name in self.hidden:
            if name not in mechanisms:
                raise unknown("hidden variable", name, mechanisms)
        columns = [u for name, mechanism in mechanisms.items() for u in mechanism.noise_names(name)]
        if len(set(columns)) < len(columns):
            twice = next(u for u in columns if columns.count(u) > 1)
            raise ValueError(f"{twice!r} names a level's noise of one variable and another variable: rename the latter")
        object.__setattr__(self, "mechanisms", MappingProxyType(mechanisms))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        check_dag(self.graph)

    def __repr__(self) -> str:
        return "SCM(" + "; ".join(map(self._line, self.variables)) + ")"

    def _line(self, name: str) -> str:
        mechanism = self.mechanisms[name]
        if isinstance(mechanism, Constant):
            return f"{name} := {mechanism.value.item():g}" if mechanism.value.ndim == 0 else f"{name} := given values"
        if mechanism.levels is not None:
            return f"{name} := categorical({', '.join(mechanism.parents)})"
        if not isinstance(mechanism, Additive):
            return f"{name} := f({', '.join([*mechanism.parents, 'u'])})"
        return f"{name} := f({', '.join(mechanism.parents)}) + u" if mechanism.parents else f"{name} := u"

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables, hidden ones included, in the order of the mapping."""
        return tuple(self.mechanisms)

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Discrete variable -> what its codes 0, 1, ... stand for (the codes themselves, where no names were given)."""
        discrete = {v: (m.level_names, m.levels) for v, m in self.mechanisms.items() if m.levels is not None}
        return {v: known or tuple(map(str, range(count))) for v, (known, count) in discrete.items()}

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

    def marginal(self, names: Iterable[str]) -> SCM:
        """The SCM of these variables and their ancestors alone: the others' marginal is not touched by what it leaves.

        The same seed gives the same values here as in the whole.

        Raises:
            ValueError: An unknown variable.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).marginal(["x"])
            SCM(x := u)
        """
        wanted = set(names)
        for name in wanted:
            if name not in self.mechanisms:
                raise unknown("variable", name, self.variables)
        kept = wanted.union(*(nx.ancestors(self.graph, name) for name in wanted))
        mechanisms = {v: m for v, m in self.mechanisms.items() if v in kept}
        return SCM(mechanisms, hidden=[v for v in self.hidden if v in kept])

    def do(self, values: Mapping[str, float | np.ndarray | pd.Series]) -> SCM:
        """The SCM under do(x = value): the mechanisms of these variables are cut away and their values set.

        Args:
            values: Variable -> a number, or an array [n] with one value a row (then n rows are all it can make).

        Raises:
            ValueError: An unknown variable, a value that is not finite or none of a discrete variable's levels, or
                values that are no mapping.

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
            cut = self.mechanisms[name]
            try:
                tensor = torch.as_tensor(np.array(value, dtype=np.float64))
            except (TypeError, ValueError) as error:
                codes = "a finite number" if cut.levels is None else f"one of the codes {_codes(cut)}"
                raise ValueError(f"do({name} = {value!r}): give {codes}, or one a row") from error
            if tensor.ndim > 1 or not torch.isfinite(tensor).all():
                raise ValueError(f"do({name} = {value!r}): give a finite number, or one a row")
            _check_levels(f"do({name} = ...)", tensor.reshape(-1), cut)
            # a second do replaces the first one's value: what was cut away stays the mechanism itself
            cut = cut.replaced or cut if isinstance(cut, Constant) else cut
            constants[name] = Constant((), cut.noise, tensor, cut)
        return self.replace(constants)

    def sample_noise(self, n: int, *, seed: Seed) -> pd.DataFrame:
        """The noise u [n, d], a column a variable, each from its own stream keyed by (seed, variable).

        A discrete variable x has a column a level: x[0], x[1], ...
        """
        if n < 1:
            raise ValueError(f"n = {n} rows: ask for at least 1")
        base = integer(seed, "noise")
        return self._noise_frame({v: m.sample_noise(n, seed=integer(base, v)) for v, m in self.mechanisms.items()})

    def sample(self, n: int, *, seed: Seed, hidden: bool = False) -> pd.DataFrame:
        """n independent rows, a column an observed variable (hidden ones too where `hidden` is set).

        The same seed gives the same noise to this SCM and to any that do() or a shift makes of it. Discrete variables
        are integer codes 0 ... K - 1.

        Raises:
            ValueError: n < 1, or a seed that is not a non-negative int or torch.Generator.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).sample(100, seed=0).shape
            (100, 2)
        """
        if n < 1:
            raise ValueError(f"n = {n} rows: ask for at least 1")
        base = integer(seed, "noise")
        # as push(sample_noise(n, seed=seed)), but a variable's noise is drawn where it is used, and then let go
        values = self._values(lambda v: self.mechanisms[v].sample_noise(n, seed=integer(base, v)), n)
        frame = self._frame(values, pd.RangeIndex(n))
        return frame if hidden or not self.hidden else frame[list(self.observed)]

    def push(self, noise: pd.DataFrame) -> pd.DataFrame:
        """The values [n, d] that the noise u [n, d] makes: every mechanism in causal order.

        Example:
            >>> import causalkit as ck
            >>> ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})}).push(pd.DataFrame({"x": [1.0], "y": [0.5]}))
                 x    y
            0  1.0  1.5
        """
        names = {v: m.noise_names(v) for v, m in self.mechanisms.items()}
        columns = _read(noise, "noise", [u for several in names.values() for u in several])
        u = {v: columns[us[0]] if us == (v,) else torch.stack([columns[c] for c in us], 1) for v, us in names.items()}
        return self._frame(self._values(u.__getitem__, len(noise)), noise.index)

    def abduct(self, frame: pd.DataFrame, *, seed: Seed | None = None) -> pd.DataFrame:
        """The noise u [n, d] that made these rows: abduct(push(u)) = u. A variable under do() has noise 0.

        A discrete value does not determine its noise. With a seed, the noise of such a variable is drawn from its
        posterior, from a stream keyed by (seed, variable), and push(abduct(x)) = x holds all the same.

        Args:
            frame: The rows [n, d], columns in any order.
            seed: For variables whose noise is drawn from its posterior; what is invertible does not use it.

        Raises:
            NotInvertible: A mechanism that cannot be turned round, named; a discrete variable, and no seed.
            ValueError: A missing column (hidden variables are needed too) or one too many, values that are not finite,
                that are none of a discrete variable's levels, or that have probability 0.
        """
        x, base = self._columns(frame, "data"), None if seed is None else integer(seed, "abduct")
        return self._noise_frame({v: self._recovered(v, x, base) for v in self.mechanisms}, frame.index)

    def _recovered(self, name: str, x: Mapping[str, Tensor], base: int | None) -> Tensor:
        """The noise of one variable, [n] or [n, K], that made its values among x."""
        mechanism = self.mechanisms[name]
        parents = self._stack(x, mechanism.parents, len(x[name]))
        try:
            if base is None:
                return mechanism.abduct(parents, x[name])
            return mechanism.sample_posterior(parents, x[name], seed=integer(base, name))
        except NotInvertible as error:
            raise NotInvertible(f"the noise of {name!r} cannot be recovered: {error}") from error
        except ValueError as error:
            raise ValueError(f"the noise of {name!r}: {error}") from error

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
            seed: For discrete variables, whose noise is drawn from its posterior, so that an answer is one draw of what
                would have been; an invertible mechanism does not use it. Answers of discrete variables are those of the
                Gumbel-max construction, which conditional probabilities alone do not identify: see
                `ck.mechanisms.Categorical`.

        Example:
            Joe's homework (Pearl, Glymour and Jewell 2016, section 4.2.3):

            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear(), "h": ck.linear({"x": 0.5}), "y": ck.linear({"x": 0.7, "h": 0.4})})
            >>> joe = pd.DataFrame({"x": [0.5], "h": [1.0], "y": [1.5]})
            >>> round(float(scm.counterfactual(joe, {"h": 2.0}).y[0]), 9)
            1.9
        """
        changed, x = self.do(do), self._columns(frame, "data")
        base = None if seed is None else integer(seed, "abduct")

        def noise(name: str) -> Tensor:
            u = self._recovered(name, x, base)
            if not np.isfinite(u.numpy()).all():
                raise ValueError(f"the noise of {name!r} is NaN or infinite in some rows: are its values out of range?")
            return u

        # as do(do).push(abduct(frame)), but a variable's noise is recovered where it is used, and then let go
        return changed._frame(changed._values(noise, len(frame)), frame.index)

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
        total = torch.zeros(len(frame), dtype=torch.float64)
        for name, mechanism in self.mechanisms.items():
            try:
                total += mechanism.log_prob(self._stack(x, mechanism.parents, len(frame)), x[name])
            except NotInvertible as error:
                raise NotInvertible(f"the density of {name!r} is not known: {error}") from error
        return total.numpy()

    def log_density_ratio(self, shifted: Any, frame: pd.DataFrame, *, only: Iterable[str] | None = None) -> np.ndarray:
        """log p'(x) - log p(x) [n], nats: how much likelier each row is after the shift; exp of it weighs rows exactly.

        Mechanisms that are the very same in both cancel, so they need no density, nor inverse.

        Args:
            shifted: What a shift, `replace` or `do` made of this SCM: an SCM, or a `Selected`.
            frame: Rows [n, d]; hidden columns are needed too.
            only: The variables whose mechanisms are compared; all if None.

        Raises:
            NotInvertible: A changed mechanism whose density is not known, named.
            ValueError: A variable under do(): it has no density; other variables; bad frames.

        Example:
            >>> import causalkit as ck
            >>> scm = ck.SCM({"x": ck.linear()})
            >>> moved = ck.shifts.soft("x", strength=1.0)(scm)
            >>> scm.log_density_ratio(moved, pd.DataFrame({"x": [0.5, 1.5]})).tolist()
            [0.0, 1.0]
        """
        if not isinstance(shifted, SCM) and not hasattr(shifted, "weights"):
            raise ValueError(
                f"{shifted!r} is no SCM: if it is a shift, call it, scm.log_density_ratio(shift(scm), frame)"
            )
        if not isinstance(shifted, SCM):  # a selected population: its weights come on top
            with np.errstate(divide="ignore"):
                return self.log_density_ratio(shifted.scm, frame, only=only) + np.log(shifted.weights(frame))
        if set(shifted.variables) != set(self.variables):
            odd = sorted(set(shifted.variables) ^ set(self.variables))
            raise ValueError(f"the two SCMs are over different variables: {', '.join(odd)} is in one of them alone")
        x = self._columns(frame, "data")
        ratio = torch.zeros(len(frame), dtype=torch.float64)
        for name in self.variables if only is None else only:
            new, old = shifted.mechanisms[name], self.mechanisms[name]
            if new is old:
                continue
            if isinstance(new, Constant) or isinstance(old, Constant):
                raise ValueError(
                    f"{name!r} is under do(), so it has no density to compare: use a soft intervention, ck.shifts.soft"
                )
            try:
                after = new.log_prob(self._stack(x, new.parents, len(frame)), x[name])
                before = old.log_prob(self._stack(x, old.parents, len(frame)), x[name])
            except NotInvertible as error:
                raise NotInvertible(f"the density of {name!r} is not known: {error}") from error
            ratio = ratio + after - before
        return ratio.numpy()

    def _values(self, noise: Callable[[str], Tensor], n: int) -> Tensor:
        """The values [d, n], each variable's in one piece, that each variable's noise makes, in causal order."""
        # NumPy asks for huge pages, torch does not: a sixth of the time to touch a large block first
        values = torch.from_numpy(np.empty((len(self.variables), n)))
        rows = dict(zip(self.variables, values, strict=True))
        for name in self.order:
            mechanism = self.mechanisms[name]
            rows[name].copy_(mechanism.push(self._stack(rows, mechanism.parents, n), noise(name)))
        return values

    def _columns(self, frame: pd.DataFrame, what: str) -> dict[str, Tensor]:
        missing = [v for v in self.hidden if isinstance(frame, pd.DataFrame) and v not in frame.columns]
        if missing:
            raise ValueError(f"the {what} lacks the hidden variable {missing[0]!r}: sample(..., hidden=True) shows it")
        values = _read(frame, what, self.variables)
        for name, mechanism in self.mechanisms.items():
            _check_levels(f"column {name!r}", values[name], mechanism)
        return values

    def _stack(self, values: Mapping[str, Tensor], parents: Sequence[str], n: int) -> Tensor:
        together = torch.empty(n, len(parents), dtype=torch.float64)
        for k, name in enumerate(parents):  # at many rows half the time of torch.stack(..., 1)
            together[:, k] = values[name]
        return together

    def _frame(self, values: Tensor, index: pd.Index) -> pd.DataFrame:
        """A frame of the values [d, n]; where all variables are of one kind, it is their very memory."""
        discrete = [m.levels is not None for m in self.mechanisms.values()]
        if any(discrete) and not all(discrete):
            rows = zip(self.variables, values, discrete, strict=True)
            columns = {v: (row.long() if whole else row).numpy() for v, row, whole in rows}
            return pd.DataFrame(columns, index=index, copy=False)
        block = values.long() if all(discrete) else values
        return pd.DataFrame(block.numpy().T, index=index, columns=list(self.variables), copy=False)

    def _noise_frame(self, noise: Mapping[str, Tensor], index: pd.Index | None = None) -> pd.DataFrame:
        columns: dict[str, np.ndarray] = {}
        for name, mechanism in self.mechanisms.items():
            u = noise[name]
            parts = [u] if u.ndim == 1 else u.unbind(1)
            columns |= {c: part.numpy() for c, part in zip(mechanism.noise_names(name), parts, strict=True)}
        return pd.DataFrame(columns, index=index, copy=False)


def _read(frame: pd.DataFrame, what: str, names: Sequence[str]) -> dict[str, Tensor]:
    """These columns, which have to be all that there are, as float64 tensors [n] of their own memory."""
    wanted = check_frame(frame, names)
    if len(frame.columns) > len(names):
        extra = [str(c) for c in frame.columns if c not in set(names)]
        raise ValueError(
            f"the {what} has columns that are no variables of this SCM: {', '.join(extra)}. Leave them out: "
            f"frame[list(scm.{'variables' if what == 'data' else 'sample_noise(1, seed=0)'})]"
        )
    rows = torch.from_numpy(np.array(wanted.to_numpy(dtype=np.float64).T, order="C"))
    return dict(zip(names, rows, strict=True))


def _check_levels(what: str, values: Tensor, mechanism: Mechanism) -> None:
    """Raises where a discrete variable has a value [n] that is none of its codes."""
    if mechanism.levels is None:
        return
    wrong = ((values != values.floor()) | (values < 0) | (values >= mechanism.levels)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{what} has the value {float(values[row]):g}{f' in row {row}' if len(values) > 1 else ''}, which is none "
            f"of the levels of this discrete variable: give one of the codes {_codes(mechanism)}"
        )


def _codes(mechanism: Mechanism) -> str:
    names = mechanism.level_names or [""] * (mechanism.levels or 0)
    return ", ".join(f"{k} ({name})" if name else f"{k}" for k, name in enumerate(names))
