"""A quiz: one question after the other, answered by pressing a button, marked at once, with the reason."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from causalkit.questions import Question

if TYPE_CHECKING:
    import ipywidgets

__all__ = ["quiz"]


def quiz(questions: Iterable[Question]) -> ipywidgets.VBox:
    """The questions one by one: graph, options as buttons, and once one is pressed, whether it was right and why.

    The first answer counts. All is done by keyboard too: Tab goes from button to button, Enter presses; after an answer
    the focus is on the next question's button. Without a kernel, and in print, `ck.questions.sheet` shows the same
    questions with folded answers.

    Args:
        questions: In this order; `ck.questions.draw` makes them.

    Raises:
        ValueError: No questions, or something else among them.

    Example:
        >>> import causalkit as ck
        >>> box = quiz([ck.questions.draw("rule", seed=seed) for seed in range(3)])
        >>> yes, no = box.children[2].children
        >>> yes.click()
        >>> yes.disabled and no.disabled
        True
    """
    questions = list(questions)
    if not questions:
        raise ValueError("a quiz needs at least one question: quiz([ck.questions.draw('rule', seed=0)])")
    for question in questions:
        if not isinstance(question, Question):
            raise ValueError(f"{question!r} is no question: make some with ck.questions.draw('rule', seed=0)")
    return _Quiz(questions).box


class _Quiz:
    """The widgets, and which question they show."""

    def __init__(self, questions: list[Question]) -> None:
        import ipywidgets

        self.questions, self.place, self.right, self.answered = questions, -1, 0, 0
        self.text, self.words = ipywidgets.HTML(), ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.options = ipywidgets.HBox(layout={"flex_flow": "row wrap"})
        self.following = ipywidgets.Button(
            description="Next question", layout={"width": "auto", "align_self": "flex-start"}
        )
        self.following.on_click(self._next)
        self.box = ipywidgets.VBox([self.text, self.picture, self.options, self.words, self.following])
        self._next()

    def _next(self, _button: object = None) -> None:
        import ipywidgets

        self.place += 1
        question = self.questions[self.place]
        title = f"<b>Question {self.place + 1} of {len(self.questions)}.</b> {html.escape(question.text)}"
        self.text.value = f"<p>{title}</p><p>Arrows: {html.escape(question.arrows)}.</p>"
        self.picture.value = question.png()
        buttons = [ipywidgets.Button(description=o, tooltip=o, layout={"width": "auto"}) for o in question.options]
        for button in buttons:
            button.on_click(self._answer)
        self.options.children = buttons
        self._say("")
        self.following.disabled = True
        if self.place:
            buttons[0].focus()

    def _answer(self, pressed: Any) -> None:
        question = self.questions[self.place]
        mark = question.mark(pressed.description)
        for button in self.options.children:
            button.disabled = True
            if button.description == question.answer:
                button.button_style, button.icon = "success", "check"
        if not mark:
            pressed.button_style, pressed.icon = "danger", "times"
        if question.solution is not None:
            self.picture.value = question.png(solved=True)
        self.right, self.answered = self.right + mark.correct, self.answered + 1
        head = "Right." if mark else f"Not right: the answer is {question.answer}."
        done = self.answered == len(self.questions)
        last = " That was the last question." if done else ""
        self._say(f"{head} {mark.why} {self.right} of {self.answered} right so far.{last}")
        self.following.disabled = done
        if not done:
            self.following.focus()

    def _say(self, words: str) -> None:
        self.words.value = f'<p role="status">{html.escape(words)}</p>'
