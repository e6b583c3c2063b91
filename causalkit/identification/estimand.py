"""The answer of `identify`: a formula over what is observed, and the numbered derivation that leads to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import pandas as pd

from causalkit.identification.expressions import Expression, Probability, evaluate, free, latex, latex_name, mentioned
from causalkit.identification.verify import gap, law
from causalkit.scm import SCM
from causalkit.seeds import Seed

if TYPE_CHECKING:
    from causalkit.identification.estimate import Estimate

__all__ = ["Estimand", "Step"]


@dataclass(frozen=True)
class Step:
    r"""One equality of a derivation: `left` = `expression`, by `rule`.

    Attributes:
        number: From 1.
        expression: The right-hand side.
        rule: "rule 1", "rule 2" or "rule 3" of do-calculus, or a law of probability: "chain rule", "total probability",
            "conditional probability", "substitution".
        independence: For a rule of do-calculus, the d-separation it used: "y ⟂ z | x, w".
        graph: The mutilated graph in which it holds, in LaTeX: "G_{\overline{x}, \underline{z}}".
        left: The left-hand side; the step before's right-hand side if None.
    """

    number: int
    expression: Expression
    rule: str
    independence: str = ""
    graph: str = ""
    left: Expression | None = None

    def __str__(self) -> str:
        plain = {r"\overline": "over", r"\underline": "under"} | {latex_name(name): name for name in self._names()}
        why = f": ({self.independence}) in {_replaced(self.graph, plain)}" if self.independence else ""
        left = "" if self.left is None else f"{self.left} "
        return f"{self.number}. {left}= {self.expression}   [{self.rule}{why}]"

    def markdown(self) -> str:
        """The step as one line of Markdown, its formulas in LaTeX."""
        signs = {" ⟂ ": r" \perp ", " | ": r" \mid "} | {name: latex_name(name) for name in self._names()}
        why = f": $({_replaced(self.independence, signs)})$ in ${self.graph}$" if self.independence else ""
        left = "" if self.left is None else latex(self.left)
        return f"{self.number}. ${left} = {latex(self.expression)}$ ({self.rule}{why})"

    def _names(self) -> list[str]:
        """The variables that the step speaks of."""
        return [*mentioned(self.expression), *(mentioned(self.left) if self.left is not None else ())]


def _replaced(text: str, words: Mapping[str, str]) -> str:
    """The text with each word replaced, the longest one where several fit."""
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.sub(pattern, lambda found: words[found[0]], text)


@dataclass(frozen=True, eq=False, repr=False)
class Estimand:
    """P(outcome | do(do), given) as a formula over observed probabilities, with its derivation.

    Attributes:
        graph: The causal graph, hidden nodes included.
        outcome: What is asked for.
        do: What is set.
        given: What is known beside.
        expression: The formula. A name in it that is none of the question's stands for any value of that variable:
            the formula does not depend on it.
        strategy: "no effect", "back-door", "front-door", "id", "idc", "transport".
        steps: The derivation; the last step is the formula.
        using: The adjustment set of a back-door formula, the mediators of a front-door one.
        verified: The largest error of the formula on two random discrete SCMs of the graph, by exact enumeration;
            None where the graph is too large for it.
    """

    graph: nx.DiGraph
    outcome: tuple[str, ...]
    do: tuple[str, ...]
    given: tuple[str, ...]
    expression: Expression
    strategy: str
    steps: tuple[Step, ...] = ()
    using: tuple[str, ...] = ()
    verified: float | None = None

    @property
    def question(self) -> Probability:
        """P(outcome | do(do), given)."""
        return Probability(self.outcome, self.given, self.do)

    @property
    def arbitrary(self) -> tuple[str, ...]:
        """The names in the formula that may take any value, the same wherever they stand free."""
        return tuple(sorted(free(self.expression) - free(self.question)))

    @property
    def latex(self) -> str:
        """question = formula, in LaTeX."""
        return f"{latex(self.question)} = {latex(self.expression)}"

    @property
    def reason(self) -> str:
        """The strategy in words: "adjustment for z"."""
        using = ", ".join(self.using)
        words = {
            "no effect": f"no effect of {', '.join(self.do)}",
            "back-door": f"adjustment for {using}" if using else "no adjustment needed",
            "front-door": f"the front door through {using}",
            "id": "the complete algorithm ID",
            "idc": "the complete algorithm IDC",
        }
        return words.get(self.strategy, self.strategy)

    def _notes(self) -> list[str]:
        notes = []
        if self.arbitrary:
            names = ", ".join(self.arbitrary)
            notes.append(f"{names} may take any value with positive probability: the formula does not depend on it.")
        if self.verified is None:
            notes.append("Not verified by enumeration: too many joint states.")
        else:
            notes.append(f"Verified by exact enumeration on random discrete SCMs: largest error {self.verified:.0e}.")
        return notes

    def __repr__(self) -> str:
        lines = [
            f"{self.question} = {self.expression}   [{self.strategy}: {self.reason}]",
            *map(str, self.steps),
            *self._notes(),
        ]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        steps = "\n".join(step.markdown() for step in self.steps)
        return f"$${self.latex}$$\n\n{self.reason[0].upper()}{self.reason[1:]}:\n\n{steps}\n\n" + " ".join(
            self._notes()
        )

    def verify(self, scm: SCM) -> float:
        """The largest absolute error of the formula over all values of all variables, by exact enumeration.

        The truth is P(outcome | do(do), given) of the SCM under do, hidden variables summed out; the formula sees only
        the SCM's joint distribution of the observed variables.

        Args:
            scm: A discrete SCM with this graph's variables (and with this graph, else an error may well show).

        Raises:
            TooLarge: Too many joint states.
            ValueError: A variable that is not discrete, or that the SCM lacks.
        """
        source = law(scm)
        return gap(evaluate(self.expression, source((), "")), evaluate(self.question, source))

    def estimate(
        self,
        frame: pd.DataFrame,
        do: Mapping[str, float],
        given: Mapping[str, float] | None = None,
        *,
        method: str = "auto",
        bootstrap: int = 200,
        seed: Seed,
        **options: Any,
    ) -> Estimate:
        """The effect from data, with a bootstrap interval: see `causalkit.identification.estimate.estimate`."""
        from causalkit.identification.estimate import estimate

        return estimate(self, frame, do, given, method=method, bootstrap=bootstrap, seed=seed, **options)
