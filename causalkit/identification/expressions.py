"""Formulas made of probabilities: what they say, which values they leave open, and what they are worth on a joint.

A formula is one of four frozen values, and they nest: `Probability` P(of | do(do), given), `Sum` over the levels of
variables, `Product` (the empty one is 1) and `Ratio`. A name stands for a value of the variable: free, unless a `Sum`
around it binds it. A sum may bind a name that is also free outside, as x in the front-door formula; in print the
bound one gets a prime.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from causalkit.do_rules.paths import tex

__all__ = [
    "Expression",
    "Joint",
    "Law",
    "Probability",
    "Product",
    "Ratio",
    "Sum",
    "evaluate",
    "free",
    "latex",
    "latex_name",
    "mentioned",
]


class _Formula:
    def __str__(self) -> str:
        return _render(self, _PLAIN)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Probability(_Formula):
    """P(of | do(do), given), of one population where there are several.

    Example:
        >>> print(Probability(("y",), given=("z",), do=("x",)))
        P(y | do(x), z)
    """

    of: tuple[str, ...]
    given: tuple[str, ...] = ()
    do: tuple[str, ...] = ()
    population: str = ""


@dataclass(frozen=True)
class Sum(_Formula):
    """The sum of a term over all levels of some variables, which it binds."""

    over: tuple[str, ...]
    term: Expression


@dataclass(frozen=True)
class Product(_Formula):
    """The product of the terms; 1 where there is none."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Ratio(_Formula):
    """top / bottom."""

    top: Expression
    bottom: Expression


Expression = Probability | Sum | Product | Ratio


@dataclass(frozen=True)
class Joint:
    """A function of discrete variables: `array` has an axis a variable, of its levels, in the order of `names`.

    Example:
        >>> Joint(("x", "y"), np.array([[0.1, 0.2], [0.3, 0.4]])).over("y").array.round(3)
        array([0.4, 0.6])
    """

    names: tuple[str, ...]
    array: np.ndarray

    def __post_init__(self) -> None:
        if self.array.ndim != len(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(f"an array with {self.array.ndim} axes for variables {self.names}: give one a variable")

    @property
    def levels(self) -> dict[str, int]:
        """Variable -> its number of levels."""
        return dict(zip(self.names, self.array.shape, strict=True))

    def over(self, *names: str) -> Joint:
        """The function of these variables alone, in this order: the others are summed out."""
        kept = [n for n in self.names if n in names]
        summed = self.array.sum(tuple(i for i, n in enumerate(self.names) if n not in names))
        return Joint(tuple(names), summed.transpose([kept.index(n) for n in names]))


Law = Joint | Mapping[str, Joint] | Callable[[tuple[str, ...], str], Joint]
"""What a formula is evaluated on: the joint of the observed variables; one a population; or a function of the do
variables and the population that gives the joint under do, in which a do variable's axis is the value it is set to."""


def free(expression: Expression) -> frozenset[str]:
    """The names whose values the formula leaves open.

    Example:
        >>> term = Product((Probability(("y",), ("x", "z")), Probability(("z",))))
        >>> sorted(free(Sum(("z",), term)))
        ['x', 'y']
    """
    if isinstance(expression, Probability):
        return frozenset((*expression.of, *expression.given, *expression.do))
    inside: frozenset[str] = frozenset().union(*map(free, _parts(expression)))
    return inside.difference(expression.over) if isinstance(expression, Sum) else inside


def evaluate(expression: Expression, source: Law) -> Joint:
    """The formula's values, an axis a free variable, in the order of the joint's variables.

    A conditional probability given what has probability 0 is nan; a product with a factor 0 is 0 all the same, so a
    stratum that never occurs does no harm, and one where only the treatment never occurs makes nan.

    Args:
        expression: A formula; where it has do(), the source has to be a function.
        source: A joint, a mapping population -> joint (all over the same variables), or a function (do, population)
            -> joint; see `Law`.

    Raises:
        ValueError: A variable or population that the source lacks, or a do() where only a joint is given.

    Example:
        Adjustment for z, where x and y are both copies of z: x does nothing.

        >>> p = np.zeros((2, 2, 2))
        >>> p[0, 0, 0], p[1, 1, 1], p[0, 1, 0], p[1, 0, 1] = 0.25, 0.25, 0.25, 0.25
        >>> term = Product((Probability(("y",), ("x", "z")), Probability(("z",))))
        >>> evaluate(Sum(("z",), term), Joint(("z", "x", "y"), p)).array
        array([[0.5, 0.5],
               [0.5, 0.5]])
    """
    law = functools.cache(_law(source))
    joint = law((), _populations(expression)[0])
    open_names = free(expression)
    for name in mentioned(expression):
        if name not in joint.names:
            raise ValueError(f"the formula {expression} has {name!r}, but the joint is over {', '.join(joint.names)}")
    shape = [count if name in open_names else 1 for name, count in joint.levels.items()]
    array = np.broadcast_to(_array(expression, joint, law), shape)
    kept = tuple(n for n in joint.names if n in open_names)
    return Joint(kept, array.reshape([joint.levels[n] for n in kept]))


def _law(source: Law) -> Callable[[tuple[str, ...], str], Joint]:
    """The source as a function (do, population) -> joint."""
    if callable(source):
        return source

    def law(do: tuple[str, ...], population: str) -> Joint:
        if do:
            raise ValueError(f"a joint of what is seen does not say what do({', '.join(do)}) does: identify it first")
        if isinstance(source, Joint):
            return source
        if population not in source:
            raise ValueError(f"no joint of population {population!r}; there are: {', '.join(map(repr, source))}")
        return source[population]

    return law


def _array(expression: Expression, joint: Joint, law: Callable[[tuple[str, ...], str], Joint]) -> np.ndarray:
    """The values with an axis for each variable of the joint, of length 1 where nothing depends on it."""
    if isinstance(expression, Probability):
        term = law(expression.do, expression.population)
        p = term.array.transpose([term.names.index(n) for n in joint.names])
        axes = {n: i for i, n in enumerate(joint.names)}
        seen = {*expression.of, *expression.given, *expression.do}
        top = p.sum(tuple(i for n, i in axes.items() if n not in seen), keepdims=True)
        bottom = top.sum(tuple(axes[n] for n in expression.of), keepdims=True)
        return _divided(top, bottom)
    if isinstance(expression, Sum):
        inner = _array(expression.term, joint, law)
        for name in expression.over:
            axis = joint.names.index(name)
            # what does not depend on the variable is added up once a level all the same
            constant = joint.array.shape[axis] if inner.shape[axis] == 1 else 1
            inner = inner.sum(axis, keepdims=True) * constant
        return inner
    if isinstance(expression, Product):
        result = np.ones([1] * len(joint.names))
        for factor in (_array(term, joint, law) for term in expression.terms):
            result = np.where((result == 0) | (factor == 0), 0.0, result * factor)
        return result
    return _divided(_array(expression.top, joint, law), _array(expression.bottom, joint, law))


def _divided(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom == 0, np.nan, top / bottom)


def _parts(expression: Expression) -> tuple[Expression, ...]:
    if isinstance(expression, Sum):
        return (expression.term,)
    if isinstance(expression, Product):
        return expression.terms
    return (expression.top, expression.bottom) if isinstance(expression, Ratio) else ()


def mentioned(expression: Expression) -> list[str]:
    """All names, bound ones included."""
    own = free(expression) if isinstance(expression, Probability) else getattr(expression, "over", ())
    return sorted({*own}.union(*map(mentioned, _parts(expression))))


def _populations(expression: Expression) -> list[str]:
    if isinstance(expression, Probability):
        return [expression.population]
    return [p for part in _parts(expression) for p in _populations(part)] or [""]


@dataclass(frozen=True)
class _Style:
    """How names, sums, ratios and conditioning are written."""

    name: Callable[[str], str]
    do: str
    bar: str
    total: str
    ratio: str
    big: tuple[str, str]
    population: str
    times: str


def latex_name(name: str) -> str:
    """x1 as x_{1}, longer names upright; the primes of bound names stay outside."""
    bare = name.rstrip("'")
    return tex([bare]) + name[len(bare) :]


_PLAIN = _Style(str, "do({})", " | ", "sum_{{{}}} {}", "[{}] / [{}]", ("(", ")"), "P_{}", " ")
_BIG = (r"\Big(", r"\Big)")
_LATEX = _Style(
    latex_name, r"\mathrm{{do}}({})", r" \mid ", r"\sum_{{{}}} {}", r"\frac{{{}}}{{{}}}", _BIG, "P^{{{}}}", r" \, "
)


def latex(expression: Expression) -> str:
    r"""The formula in LaTeX.

    Example:
        >>> print(latex(Sum(("z",), Product((Probability(("y",), ("x", "z")), Probability(("z",)))))))
        \sum_{z} P(y \mid x, z) \, P(z)
    """
    return _render(expression, _LATEX)


def _render(expression: Expression, style: _Style, shown: Mapping[str, str] | None = None) -> str:
    """The formula as text; `shown` is how the names in scope are written, with primes where a name is bound anew."""
    shown = {name: name for name in free(expression)} if shown is None else shown
    if isinstance(expression, Probability):
        return _rendered_probability(expression, style, shown)
    if isinstance(expression, Sum):
        inside = dict(shown)
        for name in expression.over:
            again = shown[name] + "'" if name in shown else name
            while again in inside.values():  # a variable may be called x'
                again += "'"
            inside[name] = again
        names = ", ".join(style.name(inside[name]) for name in expression.over)
        return style.total.format(names, _render(expression.term, style, inside))
    if isinstance(expression, Ratio):
        return style.ratio.format(*(_render(part, style, shown) for part in (expression.top, expression.bottom)))
    if not expression.terms:
        return "1"
    parts = [_render(term, style, shown) for term in expression.terms]
    for i, term in enumerate(expression.terms):
        if isinstance(term, Product) or (isinstance(term, Sum) and i < len(parts) - 1):
            parts[i] = parts[i].join(style.big)  # a sum reaches to the end, so one that is not last needs brackets
    return style.times.join(parts)


def _rendered_probability(term: Probability, style: _Style, shown: Mapping[str, str]) -> str:
    def several(names: Iterable[str]) -> str:
        return ", ".join(style.name(shown.get(name, name)) for name in names)

    population = style.population.format(style.name(term.population)) if term.population else "P"
    behind = ([style.do.format(several(term.do))] if term.do else []) + ([several(term.given)] if term.given else [])
    return f"{population}({several(term.of)}{style.bar if behind else ''}{', '.join(behind)})"
