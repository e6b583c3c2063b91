"""The complete algorithm ID, by the library causaleffect, and IDC on top: the one place that knows its classes.

`identify` takes from here whether there is a formula, and the hedge if there is none; the formula that it returns is
that of `derivation`. The library's own (0.1.0) is wrong on rare graphs, in which a c-component has to be taken apart
twice: it may then sum over a variable that is set. Sources: Shpitser and Pearl (2006a), Identification of joint
interventional distributions (ID; the hedge); Shpitser and Pearl (2006b), Identification of conditional interventional
distributions (IDC).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from causalkit.do_rules import applies
from causalkit.identification.admg import ADMG, canonical
from causalkit.identification.expressions import Expression, Probability, Product, Ratio, Sum, free
from causalkit.identification.simplify import simplify, total

__all__ = ["Hedge", "formula"]


@dataclass(frozen=True)
class Hedge:
    """Why an effect is not identifiable: two sets of variables, each held together by hidden common causes.

    Both are C-forests with the same roots; the larger one meets the do variables, the smaller one, within it, does not.
    Two SCMs then agree on all that is observed and disagree on the effect. Source: Shpitser and Pearl (2006a),
    definition 6 and theorem 4.
    """

    larger: tuple[str, ...]
    smaller: tuple[str, ...]


def formula(mixed: ADMG, outcome: Iterable[str], do: Iterable[str], given: Iterable[str] = ()) -> Expression | Hedge:
    """P(outcome | do(do), given) over what is observed, by ID or IDC, or the hedge that forbids it.

    A name that is free in the formula but not in the question stands for any value: the formula does not depend on it.

    Example:
        >>> from causalkit.graphs import textbook
        >>> from causalkit.identification.admg import admg
        >>> print(formula(admg(textbook("front_door")), ["y"], ["x"]))
        sum_{m} P(m | x) sum_{x'} P(x') P(y | x', m)
        >>> formula(admg(textbook("bow")), ["y"], ["x"])
        Hedge(larger=('x', 'y'), smaller=('y',))
    """
    y, x, z = set(outcome), set(do), set(given)
    graph = canonical(mixed)
    while z:  # IDC: what is known is set instead, wherever rule 2 allows it
        moved = next((v for v in mixed.in_order(z) if applies(graph, 2, y, x, v, z - {v})), None)
        if moved is None:
            break
        x, z = x | {moved}, z - {moved}
    found = _joint(mixed, y | z, x)
    return found if isinstance(found, Hedge) or not z else simplify(Ratio(found, total(mixed.in_order(y), found)))


def _joint(mixed: ADMG, outcome: set[str], do: set[str]) -> Expression | Hedge:
    """P(outcome | do(do)) by ID.

    The library's own IDC is not used: where ID's formula is a ratio, it writes its denominator over ID's (0.1.0).
    """
    import igraph
    from causaleffect import ID

    names = mixed.in_order(mixed.directed)
    place = {name: i for i, name in enumerate(names)}
    edges = [(place[a], place[b]) for a, b in mixed.directed.edges]
    confounding = [0] * len(edges)
    for a, b in sorted(sorted(place[n] for n in pair) for pair in mixed.pairs):
        edges += [(a, b), (b, a)]
        confounding += [1, -1]
    safe = {name: f"v{i}" for i, name in enumerate(names)}
    graph = igraph.Graph(n=len(names), edges=edges, directed=True, vertex_attrs={"name": list(safe.values())})
    graph.es["confounding"] = confounding
    found = ID({safe[n] for n in outcome}, {safe[n] for n in do}, graph)
    back = {s: name for name, s in safe.items()}
    if found.hedge is not None:
        return Hedge(*(mixed.in_order(back[s] for s in forest.vs["name"]) for forest in found.hedge))
    return simplify(_converted(found, back, mixed))


def _converted(tree: Any, names: dict[str, str], mixed: ADMG) -> Expression:
    """The library's expression tree, whose fields are private, as ours."""

    def several(found: set[str]) -> tuple[str, ...]:
        return mixed.in_order(names[s] for s in found)

    term: Expression
    if tree._recursive:
        term = Product(tuple(sorted((_converted(c, names, mixed) for c in tree._children), key=str)))
    else:
        term = Probability(several(tree._var), several(tree._cond)) if tree._var else Product(())
    # the library's numerator is summed over what the fraction's top lacks; names that it does not have sum to nothing
    over = tuple(n for n in several(tree._sumset) if n in free(term))
    term = Sum(over, term) if over else term
    return Ratio(term, _converted(tree._divisor, names, mixed)) if tree._fraction else term
