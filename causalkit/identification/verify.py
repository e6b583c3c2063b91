"""Exact distributions of discrete SCMs, seen and done, by enumeration: the truth that a formula is held against."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import torch

from causalkit.errors import unknown
from causalkit.graphs import check_dag
from causalkit.identification.expressions import Joint
from causalkit.mechanisms import Constant, table
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer, stream

__all__ = ["LARGEST", "TooLarge", "gap", "interventional", "law", "observational", "random_discrete"]

LARGEST = 2**20
"""The most joint states that are enumerated."""


class TooLarge(ValueError):
    """A discrete SCM with too many joint states to enumerate."""


def observational(scm: SCM) -> Joint:
    """P(v) of the observed variables v of a discrete SCM, exactly; hidden ones are summed out.

    Raises:
        TooLarge: More than `LARGEST` joint states.
        ValueError: A variable that is not discrete.

    Example:
        >>> import causalkit as ck
        >>> coin, copy = ck.mechanisms.table({}, [0.3, 0.7]), ck.mechanisms.table({"x": 2}, [[1, 0], [0, 1]])
        >>> observational(ck.SCM({"x": coin, "y": copy})).array.round(3).tolist()
        [[0.3, 0.0], [0.0, 0.7]]
    """
    return interventional(scm, ())


def interventional(scm: SCM, do: Iterable[str]) -> Joint:
    """P(v | do(x)) of a discrete SCM, for all values x at once: the axis of a do variable is the value it is set to.

    The truncated factorisation (Pearl 2009, equation 1.37). For each value of x the array sums to 1.

    Raises:
        TooLarge: More than `LARGEST` joint states.
        ValueError: A variable that is not discrete, or one in do that is unknown or hidden.

    Example:
        >>> import causalkit as ck
        >>> coin, copy = ck.mechanisms.table({}, [0.3, 0.7]), ck.mechanisms.table({"x": 2}, [[1, 0], [0, 1]])
        >>> interventional(ck.SCM({"x": coin, "y": copy}), ["x"]).array.round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    do = set(do)
    for name in do - set(scm.observed):
        raise unknown("observed variable in do", name, scm.observed)
    factors = [_Factor((*m.parents, v), _probabilities(scm, v)) for v, m in scm.mechanisms.items() if v not in do]
    factors += [_Factor((v,), np.ones(_levels(scm, v))) for v in do]
    for name in scm.hidden:  # summed out one by one, so that their number counts for little
        around = [f for f in factors if name in f.names]
        names = tuple(dict.fromkeys(n for f in around for n in f.names))
        summed = _multiplied(around, names).sum(names.index(name))
        factors = [f for f in factors if name not in f.names]
        factors.append(_Factor(tuple(n for n in names if n != name), summed))
    return Joint(scm.observed, _multiplied(factors, scm.observed))


@dataclass(frozen=True)
class _Factor:
    """An array with an axis for each of these variables."""

    names: tuple[str, ...]
    array: np.ndarray


def _multiplied(factors: Sequence[_Factor], names: Sequence[str]) -> np.ndarray:
    """The product of the factors, an axis a name."""
    levels = {n: k for f in factors for n, k in zip(f.names, f.array.shape, strict=True)}
    shape = [levels[n] for n in names]
    if math.prod(shape) > LARGEST:
        raise TooLarge(f"{math.prod(shape)} joint states of {', '.join(names)}: at most {LARGEST} are enumerated")
    product = np.ones(shape)
    for f in factors:
        axes = [names.index(n) for n in f.names]
        product *= np.expand_dims(f.array.transpose(np.argsort(axes)), [i for i in range(len(names)) if i not in axes])
    return product


def _levels(scm: SCM, name: str) -> int:
    count = scm.mechanisms[name].levels
    if count is None:
        raise ValueError(f"{name!r} is not discrete: exact enumeration wants levels, ck.mechanisms.table, for all")
    return count


def _probabilities(scm: SCM, name: str) -> np.ndarray:
    """P(x_j | x_pa) of a discrete mechanism, an axis a parent, then its own."""
    mechanism, count = scm.mechanisms[name], _levels(scm, name)
    if isinstance(mechanism, Constant):
        if mechanism.value.ndim:
            raise ValueError(f"{name!r} is under do() with one value a row: set it to one number")
        return np.eye(count)[int(mechanism.value)]
    shape = [_levels(scm, p) for p in mechanism.parents]
    grid = torch.from_numpy(np.indices(shape, dtype=np.float64).reshape(len(shape), math.prod(shape)).T.copy())
    return mechanism.log_probs(grid).exp().numpy().reshape(*shape, count)  # type: ignore[attr-defined]


def law(scm: SCM) -> Callable[[tuple[str, ...], str], Joint]:
    """The SCM as the `Law` of `evaluate`, which may have do(): (do, population) -> joint; every joint is made once.

    Example:
        >>> from causalkit.graphs import parse
        >>> from causalkit.identification.expressions import Probability, evaluate
        >>> source = law(random_discrete(parse("x -> y"), seed=0))
        >>> done, seen = evaluate(Probability(("y",), do=("x",)), source), evaluate(Probability(("y",), ("x",)), source)
        >>> gap(done, seen) < 1e-12
        True
    """
    known = functools.cache(lambda do: interventional(scm, do))
    return lambda do, population: known(frozenset(do))


def gap(left: Joint, right: Joint) -> float:
    """The largest absolute difference over all values of all variables of either; inf where right alone is defined.

    A variable that one of the two lacks is one on which it does not depend.
    """
    names = tuple(dict.fromkeys([*left.names, *right.names]))

    def widened(joint: Joint) -> np.ndarray:
        kept = [n for n in names if n in joint.names]
        array = joint.array.transpose([joint.names.index(n) for n in kept])
        return np.expand_dims(array, [i for i, n in enumerate(names) if n not in joint.names])

    a, b = np.broadcast_arrays(widened(left), widened(right))
    known = np.isfinite(b)
    if not known.any():
        return 0.0
    return float(np.nan_to_num(np.abs(a - b)[known], nan=np.inf).max())


def random_discrete(graph: nx.DiGraph, *, levels: int | Mapping[str, int] = 2, seed: Seed) -> SCM:
    """A discrete SCM of this DAG with random tables, all of whose entries are positive; hidden nodes stay hidden.

    Each row of a table is uniform draws from [0.1, 1], divided by their sum; a table has a stream of its own.

    Args:
        graph: A DAG; nodes with hidden=True become hidden variables.
        levels: Levels of every variable, or variable -> levels (2 where unnamed).
        seed: Of the tables.

    Raises:
        ValueError: Not a DAG, or fewer than 2 levels.

    Example:
        >>> from causalkit.graphs import parse
        >>> random_discrete(parse("x -> y; x <-> y"), seed=0).hidden
        ('u_x_y',)
    """
    base, mechanisms = integer(seed, "random_discrete"), {}
    counts = {n: levels.get(n, 2) if isinstance(levels, Mapping) else levels for n in check_dag(graph)}
    for name in graph:
        parents = {p: counts[p] for p in graph.predecessors(name)}
        p = stream(base, name).uniform(0.1, 1.0, (*parents.values(), counts[name]))
        mechanisms[name] = table(parents, p / p.sum(-1, keepdims=True))
    return SCM(mechanisms, hidden=[n for n, hidden in graph.nodes(data="hidden") if hidden])
