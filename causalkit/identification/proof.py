"""A derivation as it is written: every use of a rule of do-calculus is checked by d-separation when it is put down."""

from __future__ import annotations

import networkx as nx

from causalkit.do_rules import applies
from causalkit.identification.estimand import Step
from causalkit.identification.expressions import Expression, Probability, latex_name

__all__ = ["Proof", "RuleDoesNotApply", "rule_holds", "which_rule"]


class RuleDoesNotApply(ValueError):
    """A rule of do-calculus whose independence does not hold in the mutilated graph."""


def which_rule(left: Probability, right: Probability) -> tuple[int, tuple[str, ...]] | None:
    """Which rule of do-calculus may turn one side into the other, and the variables it moves; None if none does.

    Example:
        >>> which_rule(Probability(("y",), do=("x",)), Probability(("y",), given=("x",)))
        (2, ('x',))
    """
    if set(left.of) != set(right.of) or left.population != right.population:
        return None
    done, seen = set(left.do) ^ set(right.do), set(left.given) ^ set(right.given)
    if not done | seen or (done and seen and done != seen):
        return None
    moved = tuple(dict.fromkeys(n for n in (*left.do, *right.do, *left.given, *right.given) if n in done | seen))
    return (1 if not done else 2 if seen else 3), moved


def rule_holds(graph: nx.DiGraph, left: Probability, right: Probability) -> tuple[str, str, str] | None:
    r"""Which rule of do-calculus makes the two probabilities equal, or None if no single use of one does.

    Args:
        graph: A DAG with hidden nodes marked.
        left: One side; either may be the longer one.
        right: The other side, of the same variables.

    Returns:
        The rule, the independence it used and the mutilated graph in LaTeX.

    Example:
        >>> from causalkit.graphs import parse
        >>> rule_holds(parse("x -> y"), Probability(("y",), do=("x",)), Probability(("y",), given=("x",)))
        ('rule 2', 'y ⟂ x', 'G_{\\underline{x}}')
    """
    found = which_rule(left, right)
    if found is None:
        return None
    rule, z = found
    x = [n for n in left.do if n in right.do]
    w = [n for n in left.given if n in right.given]
    use = applies(graph, rule, left.of, x, z, w)
    if not use:
        return None
    given = f" | {', '.join([*x, *w])}" if x or w else ""
    bars = [rf"\{line}{{{', '.join(map(latex_name, names))}}}"
            for line, names in (("overline", use.into), ("underline", use.out_of)) if names]  # fmt: skip
    return f"rule {rule}", f"{', '.join(left.of)} ⟂ {', '.join(z)}{given}", f"G_{{{', '.join(bars)}}}" if bars else "G"


class Proof:
    """The steps so far; `law` adds one by probability alone, `rule` one by do-calculus. Both give the right side back.

    Example:
        >>> from causalkit.graphs import parse
        >>> proof = Proof(parse("x -> y"))
        >>> print(proof.rule(Probability(("y",), do=("x",)), Probability(("y",), given=("x",))))
        P(y | x)
        >>> print(proof.steps[0])
        1. P(y | do(x)) = P(y | x)   [rule 2: (y ⟂ x) in G_{under{x}}]
    """

    def __init__(self, graph: nx.DiGraph) -> None:
        self.graph = graph
        self.steps: list[Step] = []

    def law(self, left: Expression, right: Expression, why: str) -> Expression:
        """Adds left = right by a law of probability, unless the two are the same."""
        if left != right:
            self.steps.append(Step(len(self.steps) + 1, right, why, left=left))
        return right

    def rule(self, left: Probability, right: Probability) -> Probability:
        """Adds left = right by the one rule of do-calculus that says so, unless the two are the same.

        Raises:
            RuleDoesNotApply: There is none.
        """
        if left != right:
            found = rule_holds(self.graph, left, right)
            if found is None:
                raise RuleDoesNotApply(f"no rule of do-calculus gives {left} = {right} in this graph")
            self.steps.append(Step(len(self.steps) + 1, right, *found, left=left))
        return right
