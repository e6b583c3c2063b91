"""A question with its options and its marking, and several as a sheet to read without a kernel."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx

from causalkit.do_rules import Application
from causalkit.errors import unknown
from causalkit.graphs import project

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Marked", "Question", "Sheet", "sheet"]


@dataclass(frozen=True)
class Marked:
    """An answer marked: whether it was right, and why the right answer is right. True where it was.

    Example:
        >>> bool(Marked(True, "rule 1 applies"))
        True
    """

    correct: bool
    why: str

    def __bool__(self) -> bool:
        return self.correct


@dataclass(frozen=True, eq=False)
class Question:
    """A question on a graph with a few options, one of which is right. Made by `draw`.

    Attributes:
        kind: A key of `KINDS`.
        text: The question.
        graph: The graph that it is about.
        options: What may be answered.
        parts: Letter -> the variables that carry it in the figure.
        answer: The right option; not shown by repr.
        whys: What is to be said of each option; not shown by repr.
        solution: The rule that the question is about, if it is about one; not shown by repr.

    Example:
        >>> import causalkit as ck
        >>> question = ck.questions.draw("identifiable", seed=0, graph=ck.graphs.textbook("front_door"))
        >>> print(question.text)
        Can P(y | do(x)) be computed from the distribution of the observed variables, in every SCM with this graph?
        >>> question.mark("no").correct, question.mark("yes").correct
        (False, True)
    """

    kind: str
    text: str
    graph: nx.DiGraph
    options: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    answer: str = field(repr=False)
    whys: tuple[str, ...] = field(repr=False)
    solution: Application | None = field(default=None, repr=False)

    def mark(self, answer: str) -> Marked:
        """Whether this option is right, and why or why not.

        Raises:
            ValueError: The answer is none of the options.
        """
        if answer not in self.options:
            raise unknown("answer", answer, self.options)
        why = self.whys[self.options.index(answer)]
        if answer == self.answer:
            return Marked(True, why)
        right = self.whys[self.options.index(self.answer)]
        return Marked(False, right if why in right else f"{why} {right}")

    @property
    def arrows(self) -> str:
        """The graph in words: its arrows, hidden common causes as <->."""
        arrows, pairs = project(self.graph)
        place = list(self.graph)
        both = sorted((sorted(pair, key=place.index) for pair in pairs), key=lambda pair: [*map(place.index, pair)])
        told = [*(f"{a} -> {b}" for a, b in arrows.edges), *(f"{a} <-> {b}" for a, b in both)]
        return ", ".join(told) or "no arrows"

    def draw(self, ax: Axes | None = None, *, solved: bool = False) -> Axes:
        """The graph, with a letter beside each variable that the question names.

        Args:
            ax: Where to draw; new axes if None.
            solved: Draw what the answer shows instead, where the question is about a rule: the mutilated graph.
        """
        from causalkit.do_rules.drawing import draw_parts

        if solved and self.solution is not None:
            return self.solution.draw(ax)
        return draw_parts(self.graph, self.parts, ax)

    def png(self, *, solved: bool = False) -> bytes:
        """The figure of `draw`, as a PNG image."""
        from matplotlib.figure import Figure

        figure, file = Figure(figsize=(4.8, 2.9), layout="constrained"), io.BytesIO()
        self.draw(figure.subplots(), solved=solved)
        figure.savefig(file, format="png", dpi=90)
        return file.getvalue()

    def _repr_markdown_(self) -> str:
        return f"{self.text}\n\nGraph: {self.arrows}.\n\n" + "\n".join(f"- {option}" for option in self.options)


class Sheet(str):
    """Markdown, which notebooks show as such."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def sheet(questions: Iterable[Question], *, figures: bool = True) -> Sheet:
    """The questions as Markdown, each with its answer folded away: what a page without a kernel, or paper, shows.

    Args:
        questions: In this order.
        figures: Embed a picture of each graph; its arrows stand in words beside it in any case.

    Raises:
        ValueError: No questions.

    Example:
        >>> from causalkit.questions import draw
        >>> page = sheet([draw("rule", seed=0)], figures=False)
        >>> page.splitlines()[0].startswith("**1.** Does rule"), "<details><summary>Answer</summary>" in page
        (True, True)
    """
    parts = []
    for number, question in enumerate(questions, 1):
        # letters by hand: a Markdown list would swallow the folded answer into its last entry
        options = "<br>".join(f"{'abcdefgh'[i]}) {html.escape(text)}" for i, text in enumerate(question.options))
        arrows = f"Arrows: {html.escape(question.arrows)}."
        image = base64.b64encode(question.png()).decode() if figures else ""
        picture = f'<img alt="{arrows}" src="data:image/png;base64,{image}">\n\n' if figures else ""
        right = question.mark(question.answer).why
        why = html.escape(" ".join([right, *(w for w in dict.fromkeys(question.whys) if w not in right)]))
        answer = html.escape(question.answer)
        folded = f"<details><summary>Answer</summary>\n\n**{answer}.** {why}\n\n</details>"
        parts.append(f"**{number}.** {html.escape(question.text)}\n\n{picture}{arrows}\n\n{options}\n\n{folded}")
    if not parts:
        raise ValueError("a sheet needs at least one question: sheet([ck.questions.draw('rule', seed=0)])")
    return Sheet("\n\n".join(parts))
