"""Ask for an effect: a graph from the textbooks or typed in, a question about it, and the answer with its steps."""

from __future__ import annotations

import html
import io
from typing import TYPE_CHECKING, Any

import networkx as nx

from causalkit.graphs import TEXTBOOK, parse, project
from causalkit.identification import Estimand, NotIdentifiable, identify

if TYPE_CHECKING:
    import ipywidgets

__all__ = ["ask"]

OWN, NOTHING = "(typed below)", "(nothing)"


def ask(graph: str | nx.DiGraph = "front_door", outcome: str = "y", do: str = "x") -> ipywidgets.VBox:
    """A graph, P(outcome | do(do), given) to choose, and below them the formula with its steps, or why there is none.

    Graphs are chosen by name or typed in as for `ck.graphs.parse`, where `<->` is a hidden common cause; what is typed
    acts at Enter. What is wrong with it is said in words. Without a kernel, and in print, `display(ck.identify(graph,
    outcome, do))` shows the same formula and steps.

    Args:
        graph: A name in `ck.graphs.TEXTBOOK`, a text for `ck.graphs.parse`, or a DAG.
        outcome: What is asked for at first.
        do: What is set at first.

    Raises:
        ValueError: A text that is no graph; an outcome or treatment that is no observed variable of it.

    Example:
        >>> box = ask("bow")
        >>> "not identifiable" in box.children[3].value
        True
        >>> box.children[0].children[0].value = "confounder"
        >>> "Adjustment for z" in box.children[3].value
        True
    """
    text = graph if isinstance(graph, str) else _written(graph)
    named = text if text in TEXTBOOK else OWN
    dag = parse(TEXTBOOK.get(text, text))
    for role, name in (("outcome", outcome), ("do", do)):
        if name not in _observed(dag):
            raise ValueError(f"{role}={name!r} is no observed variable of the graph: {', '.join(_observed(dag))}")
    return _Ask(named, TEXTBOOK.get(text, text), outcome, do).box


def _observed(graph: nx.DiGraph) -> list[str]:
    return [v for v, hidden in graph.nodes(data="hidden") if not hidden]


def _written(graph: nx.DiGraph) -> str:
    """The graph as text for `parse`, hidden variables projected out."""
    arrows, pairs = project(graph)
    alone = [v for v in arrows if not any(v in edge for edge in (*arrows.edges, *pairs))]
    told = [*(f"{a} -> {b}" for a, b in arrows.edges), *(" <-> ".join(sorted(pair)) for pair in pairs), *alone]
    return "; ".join(told)


class _Ask:
    """The widgets, and the graph that they speak of."""

    def __init__(self, named: str, text: str, outcome: str, do: str) -> None:
        import ipywidgets

        looks: dict[str, Any] = {"style": {"description_width": "initial"}}
        self.named = ipywidgets.Dropdown(options=[OWN, *TEXTBOOK], value=named, description="Graph", **looks)
        self.text = ipywidgets.Text(
            text, continuous_update=False, description="Arrows", layout={"width": "95%"}, **looks
        )
        menus = {"outcome": "Outcome", "do": "Set, do(.)", "given": "Known"}
        self.menus = {k: ipywidgets.Dropdown(description=name, **looks) for k, name in menus.items()}
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.words = ipywidgets.HTMLMath()
        row = ipywidgets.HBox([self.named, *self.menus.values()], layout={"flex_flow": "row wrap"})
        self.box = ipywidgets.VBox([row, self.text, self.picture, self.words])
        self.busy = False
        self._offer({"outcome": outcome, "do": do, "given": NOTHING})
        self.named.observe(self._choose, names="value")
        self.text.observe(self._type, names="value")
        for menu in self.menus.values():
            menu.observe(self._show, names="value")
        self._show()

    def _choose(self, change: Any) -> None:
        if change["new"] != OWN:
            self.text.value = TEXTBOOK[change["new"]]

    def _type(self, _change: Any) -> None:
        """A new text: the menus offer its variables, and keep what they had where it is still there."""
        if TEXTBOOK.get(self.named.value) != self.text.value:
            self.named.value = OWN
        try:
            self._offer({key: menu.value for key, menu in self.menus.items()})
        except ValueError as error:
            self._say(str(error))
            return
        self._show()

    def _offer(self, wanted: dict[str, str]) -> None:
        names = _observed(parse(self.text.value))
        if len(names) < 2:
            raise ValueError(f"a question needs two variables, and the graph has {len(names)}: write x -> y")
        fallback = {"outcome": names[-1], "do": names[0], "given": NOTHING}
        self.busy = True  # the menus change one by one, and are read together at the end
        for key, menu in self.menus.items():
            offered = [NOTHING, *names] if key == "given" else names
            menu.options = offered
            menu.value = wanted[key] if wanted[key] in offered else fallback[key]
        self.busy = False

    def _show(self, _change: object = None) -> None:
        if self.busy:
            return
        outcome, do, given = (menu.value for menu in self.menus.values())
        asked = {"Y": [outcome], "X": [do], "W": [] if given == NOTHING else [given]}
        try:
            graph = parse(self.text.value)
            answer = identify(graph, outcome, do, asked["W"] or None)
        except NotIdentifiable as error:
            self._say(str(error), _png(graph, asked))
        except ValueError as error:
            self._say(str(error))
        else:
            self._say("", _png(graph, asked))
            self.words.value = f'<div role="status">{_answer(answer)}</div>'

    def _say(self, words: str, png: bytes = b"") -> None:
        self.picture.value, self.picture.layout.display = png, None if png else "none"
        self.words.value = f'<p role="status">{html.escape(words)}</p>'


def _answer(answer: Estimand) -> str:
    """The estimand's Markdown as HTML."""
    formula, reason, steps, notes = answer._repr_markdown_().split("\n\n")
    lines = [reason, *steps.splitlines(), notes]
    return "".join(f"<p>{html.escape(line)}</p>" for line in (formula.replace("$$", "$"), *lines))


def _png(graph: nx.DiGraph, parts: dict[str, list[str]]) -> bytes:
    from matplotlib.figure import Figure

    from causalkit.do_rules.drawing import draw_parts

    figure, file = Figure(figsize=(4.8, 2.9), layout="constrained"), io.BytesIO()
    draw_parts(graph, parts, figure.subplots())
    figure.savefig(file, format="png", dpi=90)
    return file.getvalue()
