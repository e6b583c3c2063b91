"""The three rules: whether one applies, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from causalkit.do_rules.paths import Names, dag_of, describe_path, mutilated, names_of, open_path, probability, tex
from causalkit.errors import unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RULES", "Application", "applies"]

RULES = {
    1: "insertion or deletion of observations",
    2: "exchange of action and observation",
    3: "insertion or deletion of actions",
}
"""What each rule does."""


@dataclass(frozen=True, eq=False, repr=False)
class Application:
    """Whether a rule may be used on P(y | do(x), z or do(z), w), and why. True where it may. Made by `applies`.

    Attributes:
        rule: 1, 2 or 3.
        y: The outcomes.
        x: What is set on either side of the equation.
        z: What the rule deletes (rules 1 and 3) or exchanges (rule 2).
        w: What is observed on either side.
        whole: The causal graph.
        graph: The mutilated graph, in which y and z have to be d-separated given x and w.
        into: The variables whose incoming arrows it lacks.
        out_of: The variables whose outgoing arrows it lacks.
        open_path: A shortest path of it that joins z to y given x and w; empty where the rule applies.

    Example:
        >>> from causalkit.graphs import textbook
        >>> rule = applies(textbook("front_door"), 3, y="y", x="m", z="x")
        >>> rule.equation, rule.into, rule.open_path
        ('P(y | do(m, x)) = P(y | do(m))', ('m', 'x'), ())
    """

    rule: int
    y: tuple[str, ...]
    x: tuple[str, ...]
    z: tuple[str, ...]
    w: tuple[str, ...]
    whole: nx.DiGraph
    graph: nx.DiGraph
    into: tuple[str, ...]
    out_of: tuple[str, ...]
    open_path: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.open_path

    def __repr__(self) -> str:
        return f"{self.equation if self else ' and '.join(self.sides) + ' may differ'}. {self.why}"

    @property
    def sides(self) -> tuple[str, str]:
        """The two probabilities, as text: that with z, or do(z), and that which the rule turns it into."""
        return self._sides(latex=False)

    @property
    def equation(self) -> str:
        """What the rule says where it applies, such as "P(y | do(z)) = P(y | z)"."""
        return " = ".join(self.sides)

    @property
    def equation_latex(self) -> str:
        """The same in LaTeX, without dollar signs."""
        return " = ".join(self._sides(latex=True))

    @property
    def independence(self) -> str:
        """What it rests on, such as "y ⊥ z | x in the graph without the arrows into x"."""
        given = f" | {', '.join((*self.x, *self.w))}" if self.x or self.w else ""
        return f"{', '.join(self.y)} ⊥ {', '.join(self.z)}{given} in {self.mutilation}"

    @property
    def independence_latex(self) -> str:
        """The same in LaTeX: a bar over the variables without incoming arrows, one below those without outgoing."""
        given = rf" \mid {tex((*self.x, *self.w))}" if self.x or self.w else ""
        bars = (rf"\overline{{{tex(self.into)}}}" if self.into else "") + (
            rf"\underline{{{tex(self.out_of)}}}" if self.out_of else ""
        )
        graph = f"G_{{{bars}}}" if bars else "G"
        return rf"({tex(self.y)} \perp\!\!\!\perp {tex(self.z)}{given})_{{{graph}}}"

    @property
    def mutilation(self) -> str:
        """The mutilated graph in words: "the graph without the arrows into x and out of z"."""
        parts = [f"{way} {', '.join(names)}" for way, names in (("into", self.into), ("out of", self.out_of)) if names]
        return "the graph" + (f" without the arrows {' and '.join(parts)}" if parts else " as it is")

    @property
    def why(self) -> str:
        """Why the rule applies, or the open path for which it does not, in words."""
        head = f"Rule {self.rule} ({RULES[self.rule]})"
        given = f" given {', '.join((*self.x, *self.w))}" if self.x or self.w else ""
        place = self.mutilation[0].upper() + self.mutilation[1:]
        if self:
            ends = f"{', '.join(self.z)} and {', '.join(self.y)}"
            verdict = f"{place} joins {ends} by no open path{given}"
        else:
            verdict = f"{place} has an open path{given}: {describe_path(self.graph, self.open_path, self.x + self.w)}"
        return f"{head} {'applies' if self else 'does not apply'}. {verdict}.{self._arrows_kept()}"

    def draw(self, ax: Axes | None = None) -> Axes:
        """The mutilated graph: removed arrows faint and crossed, what is given shaded, an open path in bold orange.

        A letter beside a variable is its part in the rule: Y, X, Z or W.
        """
        from causalkit.do_rules.drawing import draw_rule

        return draw_rule(self, ax)

    def _repr_markdown_(self) -> str:
        return f"$${self.equation_latex} \\quad\\text{{if}}\\quad {self.independence_latex}$$\n\n{self.why}"

    def _sides(self, latex: bool) -> tuple[str, str]:
        without = probability(self.y, self.x, self.w, latex=latex)
        seen = probability(self.y, self.x, (*self.z, *self.w), latex=latex)
        done = probability(self.y, (*self.x, *self.z), self.w, latex=latex)
        return {1: (seen, without), 2: (done, seen), 3: (done, without)}[self.rule]

    def _arrows_kept(self) -> str:
        """Of rule 3: which z keep their incoming arrows, being causes of what is observed."""
        kept = ", ".join(v for v in self.z if v not in self.into)
        if self.rule != 3 or not kept:
            return ""
        return (
            f" The arrows into {kept} stay: rule 3 removes only those into such z as cause none of {', '.join(self.w)}."
        )


def applies(graph: Any, rule: int, y: Names, x: Names = (), z: Names = (), w: Names = ()) -> Application:
    """Whether a rule of do-calculus applies: its two sides are then equal in every SCM of this graph.

    | rule | says | where y and z are d-separated given x and w in the graph without the arrows |
    |---|---|---|
    | 1 | P(y given do(x), z, w) = P(y given do(x), w) | into x |
    | 2 | P(y given do(x, z), w) = P(y given do(x), z, w) | into x and out of z |
    | 3 | P(y given do(x, z), w) = P(y given do(x), w) | into x and into Z(w) |

    Z(w) are those of z that are no ancestors of any w in the graph without the arrows into x. Arrows from hidden common
    causes are arrows like others: those into x go with the rest.

    Args:
        graph: A DAG, hidden variables as nodes with hidden=True (`ck.graphs.parse("x <-> y")` makes them), or an SCM.
        rule: 1, 2 or 3.
        y: The outcome, or several.
        x: What is set throughout.
        z: What is deleted or exchanged.
        w: What is observed throughout.

    Raises:
        ValueError: No DAG; a rule that is not 1, 2 or 3; no y or no z; a name that is unknown, hidden, or in two of
            the sets.

    Source: Pearl (2009), theorem 3.4.1.

    Example:
        >>> from causalkit.graphs import textbook
        >>> rule = applies(textbook("front_door"), 2, y="m", z="x")
        >>> bool(rule), rule.equation, rule.independence
        (True, 'P(m | do(x)) = P(m | x)', 'm ⊥ x in the graph without the arrows out of x')
        >>> print(applies(textbook("front_door"), 2, y="y", z="x").why.replace(". ", ".\\n"))
        Rule 2 (exchange of action and observation) does not apply.
        The graph without the arrows out of x has an open path: x <- u_x_y -> y.
    """
    whole = dag_of(graph)
    if isinstance(rule, bool) or rule not in RULES:
        raise ValueError(f"rule {rule!r}: do-calculus has rules 1, 2 and 3 (see ck.do_rules.RULES)")
    sets = {name: names_of(value) for name, value in {"y": y, "x": x, "z": z, "w": w}.items()}
    _check(whole, sets)
    y, x, z, w = sets.values()
    cut = mutilated(whole, into=x)
    before = set().union(*(nx.ancestors(cut, v) for v in w))
    into = (*x, *(v for v in z if rule == 3 and v not in before))
    out_of = z if rule == 2 else ()
    cut = mutilated(whole, into=into, out_of=out_of)
    return Application(rule, y, x, z, w, whole, cut, into, out_of, open_path(cut, z, y, {*x, *w}))


def _check(graph: nx.DiGraph, sets: dict[str, tuple[str, ...]]) -> None:
    known = [v for v, hidden in graph.nodes(data="hidden") if not hidden]
    places: dict[str, str] = {}
    for place, names in sets.items():
        for name in names:
            if name in graph and name not in known:
                raise ValueError(f"{name!r} in {place} is hidden: the rules speak of observed variables, leave it out")
            if name not in graph:
                raise unknown(f"variable in {place}", name, known)
            if name in places:
                raise ValueError(f"{name!r} is in {places[name]} and in {place}: leave it in one of them")
            places[name] = place
    for place, what in (("y", "outcome"), ("z", "variable to delete or exchange")):
        if not sets[place]:
            raise ValueError(f"{place} is empty: name the {what}, {place}={known[0] if known else 'x'!r}")
