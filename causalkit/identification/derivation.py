"""Derivations in do-calculus: from P(y | do(x), z) to a formula without do(), every step an equality with its reason.

`derive` writes one for every effect that is identifiable. The argument is that of c-components: with the other
variables set by do(), the effect falls into factors P(c | do(parents of c)), a c-component c each; a factor is got from
the c-component around it in the whole graph by summing out and by conditioning, and the latter is P(v_j | v_before) by
rules 1 to 3. `back_door` and `front_door` write the textbooks' derivations.

A derivation ends with its own formula. `complete.formula`, the library's, may write the same effect in other words;
tests hold both against the truth. Sources: Tian and Pearl (2002), A general identification condition for causal
effects; Huang and Valtorta (2006), Pearl's calculus of intervention is complete; Shpitser and Pearl (2006b), for z.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from causalkit.identification.admg import admg
from causalkit.identification.estimand import Step
from causalkit.identification.expressions import Expression, Probability, Ratio
from causalkit.identification.proof import Proof, rule_holds
from causalkit.identification.simplify import product, simplify, total

__all__ = ["Derivation", "NoDerivation", "back_door", "derive", "front_door"]

Derivation = tuple[Expression, tuple[Step, ...]]
"""A formula and the steps to it."""


class NoDerivation(ValueError):
    """There is no formula: the c-component `larger` has to be taken apart to get `smaller`, and cannot be."""

    def __init__(self, larger: Iterable[str], smaller: Iterable[str]) -> None:
        self.larger, self.smaller = tuple(larger), tuple(smaller)
        super().__init__(f"{{{', '.join(self.smaller)}}} cannot be got from {{{', '.join(self.larger)}}}")


@dataclass(frozen=True)
class _Known:
    """P(ancestral | do(do)) is known, as a margin of a formula over `names`; without a formula, it is observed."""

    ancestral: frozenset[str]
    do: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    formula: Expression | None = None


def derive(graph: nx.DiGraph, question: Probability) -> Derivation:
    """The formula of an effect and its derivation.

    Args:
        graph: A DAG with hidden nodes marked.
        question: P(outcome | do(x), given).

    Raises:
        NoDerivation: The effect is not identifiable.

    Example:
        >>> from causalkit.graphs import textbook
        >>> formula, steps = derive(textbook("front_door"), Probability(("y",), do=("x",)))
        >>> for step in steps:
        ...     print(step)
        1. P(y | do(x)) = sum_{m} P(m, y | do(x))   [total probability]
        2. P(m, y | do(x)) = P(m | do(x)) P(y | do(x), m)   [chain rule]
        3. P(m | do(x)) = P(m | x)   [rule 2: (m ⟂ x) in G_{under{x}}]
        4. P(y | do(x), m) = P(y | do(x, m))   [rule 2: (y ⟂ m | x) in G_{over{x}, under{m}}]
        5. P(y | do(x, m)) = P(y | do(m))   [rule 3: (y ⟂ x | m) in G_{over{m, x}}]
        6. P(y | do(m)) = sum_{x} P(x, y | do(m))   [total probability]
        7. P(x, y | do(m)) = P(x | do(m)) P(y | do(m), x)   [chain rule]
        8. P(x | do(m)) = P(x)   [rule 3: (x ⟂ m) in G_{over{m}}]
        9. P(y | do(m), x) = P(y | x, m)   [rule 2: (y ⟂ m | x) in G_{under{m}}]
        10. P(y | do(x)) = sum_{m} P(m | x) sum_{x'} P(x') P(y | x', m)   [substitution]
    """
    writer = _Writer(graph)
    lean = writer.reduced(question)
    if not lean.do:
        answer: Expression = lean
    elif not lean.given:
        answer = writer.joint(lean)
    else:
        both = writer.p((*lean.of, *lean.given), (), lean.do)
        writer.proof.law(lean, Ratio(both, total(lean.of, both)), "conditional probability")
        top = writer.joint(both)
        answer = simplify(Ratio(top, total(lean.of, top)))
    if answer != writer.proof.steps[-1].expression or writer.proof.steps[-1].left != question:
        writer.proof.law(question, answer, "substitution")
    return answer, tuple(writer.proof.steps)


class _Writer:
    """Writes the steps of one derivation; a method proves one kind of equality and gives its right side."""

    def __init__(self, graph: nx.DiGraph) -> None:
        self.proof, self.mixed = Proof(graph), admg(graph)
        self.order = self.mixed.in_order(self.mixed.directed)

    def sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        names = set(names)
        return tuple(n for n in self.order if n in names)

    def p(self, of: Iterable[str], given: Iterable[str] = (), do: Iterable[str] = ()) -> Probability:
        return Probability(self.sorted(of), self.sorted(given), self.sorted(do))

    def reduced(self, question: Probability) -> Probability:
        """The question with as little as do-calculus leaves: needless do and given dropped, given turned to do."""
        term = self.p(question.of, question.given, question.do)
        while term.do:
            shorter = self._shorter(term)
            if shorter is None:
                break
            term = self.proof.rule(term, shorter)
        return term

    def _shorter(self, term: Probability) -> Probability | None:
        """The first that a rule allows: no useless do, or all do turned to given; one given less, or turned to do."""
        y, z, x = set(term.of), set(term.given), set(term.do)
        acting = self.mixed.directed.copy()
        acting.remove_edges_from(list(acting.in_edges(x)))
        useful = (y | z).union(*(nx.ancestors(acting, n) for n in y | z))
        options = [self.p(y, z, x & useful)] if x - useful else [self.p(y, z | x)]
        options += [self.p(y, z - {v}, x) for v in self.sorted(z)]
        options += [self.p(y, z - {v}, x | {v}) for v in self.sorted(z)]
        return next((o for o in options if rule_holds(self.proof.graph, term, o)), None)

    def joint(self, left: Probability) -> Expression:
        """P(y | do(x)): the sum over y's other ancestors of a product of factors, a c-component each."""
        nodes = self.mixed.ancestors(left.of, set(self.order) - set(left.do))
        everything = self.p(nodes, (), left.do)
        rest = self.sorted(nodes - set(left.of))
        self.proof.law(left, total(rest, everything), "total probability")
        factors = self._chain(everything)
        known = _Known(frozenset(self.mixed.ancestors(left.of)))
        parts: list[Expression] = []
        for component in self.mixed.districts(nodes):
            mine = [f for f in factors if f.of[0] in component]
            if component == self.mixed.district(mine[0].of[0], known.ancestral):
                parts += [self._observed(f, known) for f in mine]
                continue
            outside = self.mixed.parents(component)
            for f in mine:
                self._isolated(f, component, outside)
            goal = self.p(component, (), outside)
            self.proof.law(product(self._links(goal)), goal, "chain rule")
            parts.append(self._component(goal, known))
        return simplify(total(rest, product(parts)))

    def _links(self, term: Probability) -> list[Probability]:
        """The factors of the chain rule, P(a_j | a_before, do)."""
        return [self.p([n], term.of[:i], term.do) for i, n in enumerate(term.of)]

    def _chain(self, term: Probability) -> list[Probability]:
        links = self._links(term)
        self.proof.law(term, product(links), "chain rule")
        return links

    def _isolated(self, factor: Probability, component: set[str], outside: set[str]) -> Probability:
        """P(c_j | before, do(x)) = P(c_j | the component's own before, do(the component's parents))."""
        own = set(factor.given) & component
        acted = set(factor.do) | (set(factor.given) - component)
        term = self.proof.rule(factor, self.p(factor.of, own, acted))
        term = self.proof.rule(term, self.p(factor.of, own, acted & outside))
        return self.proof.rule(term, self.p(factor.of, own, outside))

    def _observed(self, factor: Probability, known: _Known) -> Probability:
        """P(t_j | before, do(...)) = P(t_j | what it listens to, do(known.do)): the do's turned to what is seen."""
        name = factor.of[0]
        before = {n for n in self.order[: self.order.index(name) + 1] if n in known.ancestral}
        family = self.mixed.district(name, before)
        heard = (family | self.mixed.parents(family)) & known.ancestral - {name}
        term = self.proof.rule(factor, self.p([name], set(factor.given) & heard, factor.do))
        term = self.proof.rule(term, self.p([name], term.given, set(term.do) & (heard | known.do)))
        term = self.proof.rule(term, self.p([name], term.given, set(term.do) | known.do))
        return self.proof.rule(term, self.p([name], heard, known.do))

    def _component(self, goal: Probability, known: _Known) -> Expression:
        """P(c | do(parents of c)) for a c-component c of `known.ancestral`'s graph, or of a part of it."""
        wanted = set(goal.of)
        whole = self.mixed.district(goal.of[0], known.ancestral)
        outside, ancestral = self.mixed.parents(whole), self.mixed.ancestors(wanted, whole)
        term = self.p(whole, (), outside)
        if wanted == whole:
            return self._district(term, known)
        if ancestral == whole:
            raise NoDerivation(self.sorted(whole), goal.of)
        if ancestral == wanted:
            rest = self.sorted(whole - wanted)
            wider = self.proof.rule(goal, self.p(goal.of, (), outside))
            self.proof.law(wider, total(rest, term), "total probability")
            return simplify(total(rest, self._district(term, known)))
        formula = self._district(term, known)
        return self._component(goal, _Known(frozenset(ancestral), frozenset(outside), frozenset(whole), formula))

    def _district(self, term: Probability, known: _Known) -> Expression:
        """P(t | do(parents of t)) for a c-component t of the graph of `known.ancestral`."""
        if set(term.of) == known.ancestral:
            term = self.proof.rule(term, self.p(term.of, (), known.do))
            return self._read(term, known)
        links = [self._observed(f, known) for f in self._chain(term)]
        merged = simplify(product(links))
        if known.formula is None:
            return merged
        self.proof.law(product(links), merged, "chain rule")
        terms = merged.terms if not isinstance(merged, Probability) else (merged,)  # type: ignore[union-attr]
        return simplify(product([self._read(t, known) for t in terms]))  # type: ignore[arg-type]

    def _read(self, term: Probability, known: _Known) -> Expression:
        """P(of | given, do(known.do)), a margin or conditional of what is known."""
        if known.formula is None:
            return term
        margin = total(self.sorted(known.names - {*term.of, *term.given}), known.formula)
        if not term.given:
            return self.proof.law(term, simplify(margin), "total probability")
        below = total(self.sorted(known.names - set(term.given)), known.formula)
        return self.proof.law(term, simplify(Ratio(simplify(margin), simplify(below))), "conditional probability")


def back_door(graph: nx.DiGraph, question: Probability, adjust: Iterable[str]) -> Derivation:
    """Adjustment: P(y | do(x), g) = sum_z P(y | x, z, g) P(z | g), by rules 2 and 3 (Pearl 2009, theorem 3.3.2).

    Raises:
        RuleDoesNotApply: The set z is none that these two rules justify.

    Example:
        >>> from causalkit.graphs import textbook
        >>> formula, steps = back_door(textbook("confounder"), Probability(("y",), do=("x",)), ["z"])
        >>> for step in steps:
        ...     print(step)
        1. P(y | do(x)) = sum_{z} P(y | do(x), z) P(z | do(x))   [total probability]
        2. P(z | do(x)) = P(z)   [rule 3: (z ⟂ x) in G_{over{x}}]
        3. P(y | do(x), z) = P(y | x, z)   [rule 2: (y ⟂ x | z) in G_{under{x}}]
        4. P(y | do(x)) = sum_{z} P(y | x, z) P(z)   [substitution]
    """
    writer = _Writer(graph)
    y, g, x, z = (writer.sorted(names) for names in (question.of, question.given, question.do, adjust))
    seen = Probability(y, (*x, *z, *g))
    if not z:
        return writer.proof.rule(question, seen), tuple(writer.proof.steps)
    effect, mix = Probability(y, (*z, *g), x), Probability(z, g, x)
    writer.proof.law(question, total(z, product([effect, mix])), "total probability")
    mix = writer.proof.rule(mix, Probability(z, g))
    answer = total(z, product([writer.proof.rule(effect, seen), mix]))
    return writer.proof.law(question, answer, "substitution"), tuple(writer.proof.steps)


def front_door(graph: nx.DiGraph, question: Probability, mediators: Iterable[str]) -> Derivation:
    """The front door: P(y | do(x)) = sum_m P(m | x) sum_x' P(y | m, x') P(x') (Pearl 2009, section 3.4.3).

    Raises:
        RuleDoesNotApply: The mediators are none that the rules justify.

    Example:
        >>> from causalkit.graphs import textbook
        >>> formula, steps = front_door(textbook("front_door"), Probability(("y",), do=("x",)), ["m"])
        >>> print(formula, len(steps))
        sum_{m} P(m | x) sum_{x'} P(y | m, x') P(x') 8
    """
    writer = _Writer(graph)
    y, x, m = (writer.sorted(names) for names in (question.of, question.do, mediators))
    rule, law = writer.proof.rule, writer.proof.law
    first, second = Probability(m, (), x), Probability(y, m, x)
    law(question, total(m, product([first, second])), "total probability")
    first = rule(first, Probability(m, x))
    done = rule(rule(second, Probability(y, (), (*x, *m))), Probability(y, (), m))
    effect, mix = Probability(y, x, m), Probability(x, (), m)
    law(done, total(x, product([effect, mix])), "total probability")
    mix = rule(mix, Probability(x))
    inside = total(x, product([rule(effect, Probability(y, (*m, *x))), mix]))
    return law(question, total(m, product([first, inside])), "substitution"), tuple(writer.proof.steps)
