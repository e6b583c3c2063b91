"""Formulas of any form on real-valued data: their factors are fitted, and drawn from one after the other.

A sum over products of conditional probabilities is a recipe: draw w from P(w), then x from P(x | z, w), and so on. A
ratio that is a conditional distribution (its bottom is its top summed) is a recipe for the top, and a regression on
what that made.
Real variables are drawn as a smooth mean plus a residual of any row (so the spread does not depend on the conditions),
discrete ones from smooth probabilities.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalkit.identification.adjusting import Estimator
from causalkit.identification.expressions import (
    Expression,
    Joint,
    Probability,
    Product,
    Ratio,
    Sum,
    evaluate,
    free,
    mentioned,
)
from causalkit.identification.smooth import Smooth, is_discrete, smooth
from causalkit.seeds import Seed, stream

__all__ = ["Factor", "recipe", "simulated"]

PRIME = "′"
"""Behind a name that a sum binds anew."""
DRAWS = 4000
"""How many rows are drawn, at least; the outcome itself is not drawn but its fitted mean taken."""


@dataclass(frozen=True)
class Factor:
    """P(of | given) of the data, or of what another recipe makes.

    Attributes:
        of: Names as used in the recipe; a name that a sum binds anew has primes.
        given: Likewise.
        inner: The recipe of a ratio's top; None for the data's own distribution.
    """

    of: tuple[str, ...]
    given: tuple[str, ...]
    inner: tuple[Factor, ...] | None = None


def recipe(expression: Expression) -> tuple[Factor, ...]:
    """The factors in an order in which they can be drawn.

    Raises:
        ValueError: The formula is no product of conditional distributions, each of variables of its own.

    Example:
        >>> term = Product((Probability(("y",), ("x", "m")), Probability(("x",))))
        >>> front_door = Sum(("m",), Product((Probability(("m",), ("x",)), Sum(("x",), term))))
        >>> [(f.of, f.given) for f in recipe(front_door)]
        [(('m',), ('x',)), (('x′',), ()), (('y',), ('x′', 'm'))]
    """
    factors = list(_factors(expression, {n: n for n in free(expression)}, itertools.count()))
    made = [n for f in factors for n in f.of]
    if len(set(made)) < len(made):
        raise ValueError(f"the formula {expression} is no chain of conditional distributions. {_OUT}")
    ordered: list[Factor] = []
    while factors:
        later = {n for f in factors for n in f.of}
        ready = [f for f in factors if not set(f.given) & later]
        if not ready:
            raise ValueError(f"the factors of {expression} condition on each other in a circle. {_OUT}")
        ordered.append(ready[0])
        factors.remove(ready[0])
    return tuple(ordered)


_OUT = "Cut the columns into levels (pd.qcut) for the plug-in, or ask a learned SCM (ck.fit_scm)"


def _factors(expression: Expression, scope: Mapping[str, str], fresh: Iterator[int]) -> Iterator[Factor]:
    if isinstance(expression, Probability):
        yield Factor(tuple(scope[n] for n in expression.of), tuple(scope[n] for n in expression.given))
    elif isinstance(expression, Sum):
        again = {n: n + PRIME * (next(fresh) + 1) if n in scope else n for n in expression.over}
        yield from _factors(expression.term, {**scope, **again}, fresh)
    elif isinstance(expression, Product):
        # two sums side by side may bind the same name: the second one's is written with primes
        for term in expression.terms:
            found = list(_factors(term, scope, fresh))
            scope = {**{n.rstrip(PRIME): n for f in found for n in f.of if n.rstrip(PRIME) not in scope}, **scope}
            yield from found
    else:
        rest = tuple(sorted(free(expression.top) & free(expression.bottom)))
        of = tuple(sorted(free(expression.top) - set(rest)))
        if not of or not _is_conditional(expression, of):
            raise ValueError(f"the ratio {expression} is no conditional distribution. {_OUT}")
        yield Factor(tuple(scope[n] for n in of), tuple(scope[n] for n in rest), recipe(expression.top))


def _is_conditional(ratio: Ratio, of: tuple[str, ...]) -> bool:
    """Whether the ratio sums to 1 over these variables, on a random joint of binary variables."""
    names = tuple(mentioned(ratio))
    p = np.random.Generator(np.random.PCG64(0)).uniform(0.1, 1.0, [2] * len(names))
    return bool(np.allclose(evaluate(Sum(of, ratio), Joint(names, p / p.sum())).array, 1.0))


def simulated(
    expression: Expression,
    data: pd.DataFrame,
    outcome: tuple[str, ...],
    targets: np.ndarray,
    at: Mapping[str, float],
    *,
    seed: Seed,
) -> Estimator:
    """E[targets] under the formula, its free names at these values; a free name without a value is drawn from the data.

    Raises:
        ValueError: As `recipe`; an outcome on which other factors condition.
    """
    factors = recipe(expression)
    last = [f for f in factors if set(f.of) & set(outcome)]
    if len(last) != 1 or any(set(outcome) & set(f.given) for f in factors):
        raise ValueError(f"the formula {expression} does not end in the outcome. {_OUT}")
    count = max(DRAWS, len(data))
    uniform = stream(seed, "simulation").random((64, count))
    cache: dict = {}

    def estimator(weights: np.ndarray) -> np.ndarray:
        rows = iter(uniform)
        loose = [n for n in free(expression) if n not in at and n not in outcome]
        drawn = _marginal(data, weights, loose, next(rows)).assign(**at)
        for factor in (f for f in factors if f is not last[0]):
            drawn = _draw(factor, data, weights, drawn, rows, cache)
        source, mass = (data, weights) if last[0].inner is None else _made(last[0], data, weights, rows, cache, count)
        values = targets if source is data else _targets_of(source, data, outcome, targets)
        names = [n.rstrip(PRIME) for n in last[0].given]
        if not names:
            return mass @ values / mass.sum()
        surface = _surface(source, names, values[:, -1], ("outcome", last[0]), cache)
        coefficients = surface.fit(_design(surface, source, data, cache), values, mass)
        return (surface.design(drawn[list(last[0].given)].set_axis(names, axis=1)) @ coefficients).mean(0)

    return estimator


def _draw(
    factor: Factor,
    data: pd.DataFrame,
    weights: np.ndarray,
    drawn: pd.DataFrame,
    rows: Iterator[np.ndarray],
    cache: dict,
) -> pd.DataFrame:
    """The rows drawn so far with the factor's variables beside them, one after the other by the chain rule."""
    source, mass = (data, weights) if factor.inner is None else _made(factor, data, weights, rows, cache, len(drawn))
    for i, name in enumerate(factor.of):
        conditions, own = [*factor.given, *factor.of[:i]], name.rstrip(PRIME)
        names, u = [n.rstrip(PRIME) for n in conditions], next(rows)
        column = source[own].to_numpy(np.float64)
        if not names:
            drawn = drawn.assign(**{name: _inverse(column, mass, u)})
            continue
        surface = _surface(source, names, column, (own, i, factor), cache)
        design = _design(surface, source, data, cache)
        there = surface.design(drawn[conditions].set_axis(names, axis=1))
        if is_discrete(source[own]):
            levels = np.unique(column)
            p = np.clip(there @ surface.fit(design, (column[:, None] == levels).astype(float), mass), 1e-6, None)
            chosen = (u[:, None] > (p / p.sum(1, keepdims=True)).cumsum(1)).sum(1).clip(max=len(levels) - 1)
            drawn = drawn.assign(**{name: levels[chosen].astype(np.int64)})
        else:
            coefficients = surface.fit(design, column[:, None], mass)
            residual = column - (design @ coefficients)[:, 0]
            drawn = drawn.assign(**{name: (there @ coefficients)[:, 0] + _inverse(residual, mass, u)})
    return drawn


def _made(
    factor: Factor, data: pd.DataFrame, weights: np.ndarray, rows: Iterator[np.ndarray], cache: dict, count: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a ratio's top, with weight 1 each; what its recipe leaves open comes from the data's own rows."""
    recipe_of_top = factor.inner or ()
    made = {n for f in recipe_of_top for n in f.of}
    loose = [n for n in dict.fromkeys(n for f in recipe_of_top for n in f.given) if n not in made]
    drawn = _marginal(data, weights, loose, next(rows))
    for inner in recipe_of_top:
        drawn = _draw(inner, data, weights, drawn, rows, cache)
    return drawn, np.ones(count)


def _surface(source: pd.DataFrame, names: list[str], column: np.ndarray, key: tuple, cache: dict) -> Smooth:
    """Features and penalty, chosen at the first fit and kept for the resamples."""
    if key not in cache:
        cache[key] = smooth(source, names, column)
    return cache[key]


def _design(surface: Smooth, source: pd.DataFrame, data: pd.DataFrame, cache: dict) -> np.ndarray:
    """The features of the rows; those of the data are made once."""
    if source is not data:
        return surface.design(source)
    if surface not in cache:
        cache[surface] = surface.design(data)
    return cache[surface]


def _marginal(data: pd.DataFrame, weights: np.ndarray, names: list[str], u: np.ndarray) -> pd.DataFrame:
    """Whole rows of the data, so that these columns keep their joint distribution."""
    chosen = np.searchsorted(np.cumsum(weights), u * weights.sum()).clip(max=len(data) - 1)
    return data[names].iloc[chosen].reset_index(drop=True)


def _inverse(values: np.ndarray, weights: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Draws from the weighted values by the inverse of their distribution function."""
    order = values.argsort()
    place = np.searchsorted(np.cumsum(weights[order]), u * weights.sum())
    return values[order][place.clip(max=len(values) - 1)]


def _targets_of(source: pd.DataFrame, data: pd.DataFrame, outcome: tuple[str, ...], targets: np.ndarray) -> np.ndarray:
    """The targets of drawn rows: the values, then the indicators of the levels that the data have."""
    values = source[list(outcome)].to_numpy(np.float64)
    if targets.shape[1] == 1:
        return values
    levels = pd.unique(pd.Series(list(map(tuple, data[list(outcome)].to_numpy()))))
    combinations = sorted(levels)
    indicators = np.column_stack([(values == c).all(1) for c in combinations])
    return np.column_stack([values[:, 0] if len(outcome) == 1 else np.full(len(values), np.nan), indicators])
