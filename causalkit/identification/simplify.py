"""Formulas made shorter by the laws of probability alone: nothing here knows of a graph, so nothing here can be wrong.

Each law is an equality of functions of the joint; a simplified formula may be defined where the long one was 0 / 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from causalkit.identification.expressions import Expression, Probability, Product, Ratio, Sum, free

__all__ = ["product", "simplify", "total"]


def product(terms: Iterable[Expression]) -> Expression:
    """The product, flat; a single term as it is."""
    flat: list[Expression] = []
    for term in terms:
        flat += term.terms if isinstance(term, Product) else [term]
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def total(over: Iterable[str], term: Expression) -> Expression:
    """The sum over these names; the term as it is where there are none."""
    over = tuple(over)
    return Sum(over, term) if over else term


def simplify(expression: Expression) -> Expression:
    """The formula after: chain rule, total probability, factors pulled out of sums, fractions turned to conditionals.

    Example:
        >>> y, x, w = Probability(("y",), ("x", "z", "w")), Probability(("x",), ("z", "w")), Probability(("w",))
        >>> print(simplify(Ratio(Sum(("w",), Product((w, x, y))), Sum(("w", "y"), Product((w, x, y))))))
        [sum_{w} P(w) P(y, x | z, w)] / [sum_{w} P(w) P(x | z, w)]
    """
    while True:
        shorter = _once(expression)
        if shorter == expression:
            return expression
        expression = shorter


def _once(expression: Expression) -> Expression:
    if isinstance(expression, Probability):
        return expression
    if isinstance(expression, Product):
        return _merged(product([_once(term) for term in expression.terms]))
    if isinstance(expression, Sum):
        return _summed(expression.over, _once(expression.term))
    return _ratio(_once(expression.top), _once(expression.bottom))


def _merged(expression: Expression) -> Expression:
    """P(a | b, c) P(b | c) = P(a, b | c), the chain rule backwards, for the first pair that it fits."""
    if not isinstance(expression, Product):
        return expression
    terms = expression.terms
    for i, a in enumerate(terms):
        for k, b in enumerate(terms):
            if i != k and isinstance(a, Probability) and isinstance(b, Probability) and _follows(a, b):
                joint = Probability((*a.of, *b.of), b.given, a.do, a.population)
                first = min(i, k)
                rest = [joint if j == first else t for j, t in enumerate(terms) if j == first or j not in (i, k)]
                return product(rest)
    return expression


def _follows(a: Probability, b: Probability) -> bool:
    same = set(a.do) == set(b.do) and a.population == b.population
    return same and set(a.given) == {*b.of, *b.given} and not set(a.of) & {*b.of, *b.given}


def _summed(over: tuple[str, ...], term: Expression) -> Expression:
    if isinstance(term, Sum) and not set(term.over) & set(over):
        over, term = (*over, *term.over), term.term
    if isinstance(term, Probability):
        # the levels of what is not conditioned on add up: to a marginal, or to 1
        gone = {n for n in over if n in term.of and n not in (*term.given, *term.do)}
        left = tuple(n for n in term.of if n not in gone)
        shorter = Probability(left, term.given, term.do, term.population) if left else Product(())
        return total((n for n in over if n not in gone), shorter)
    if isinstance(term, Product):
        outside = [t for t in term.terms if not free(t) & set(over)]
        inside = [t for t in term.terms if free(t) & set(over)]
        if outside and inside:
            return product([*outside, total(over, product(inside))])
        # a variable in one factor alone, and there not conditioned on, is summed there
        for i, t in enumerate(inside):
            others = frozenset().union(*(free(o) for o in inside[:i] + inside[i + 1 :]))
            alone = tuple(n for n in over if isinstance(t, Probability) and n in t.of and n not in others)
            if alone:
                terms = [_summed(alone, t) if j == i else o for j, o in enumerate(inside)]
                return total((n for n in over if n not in alone), product(terms))
    return total(over, term)


def _ratio(top: Expression, bottom: Expression) -> Expression:
    above: list[Expression] = list(top.terms) if isinstance(top, Product) else [top]
    below: list[Expression] = list(bottom.terms) if isinstance(bottom, Product) else [bottom]
    for term in list(above):
        if term in below:
            above.remove(term)
            below.remove(term)
    if not below:
        return product(above)
    for i, a in enumerate(above):
        for b in below:
            if isinstance(a, Probability) and isinstance(b, Probability) and _contains(a, b):
                rest = [n for n in a.of if n not in b.of]
                above[i] = Probability(tuple(rest), (*b.of, *a.given), a.do, a.population)
                below.remove(b)
                return _ratio(product(above), product(below)) if below else product(above)
    return Ratio(product(above), product(below))


def _contains(a: Probability, b: Probability) -> bool:
    """Whether P(a) / P(b) is a conditional probability: the same conditions, and b is a margin of a."""
    same = set(a.do) == set(b.do) and set(a.given) == set(b.given) and a.population == b.population
    return same and set(b.of) < set(a.of)
