"""The quiz: every button marks, the first answer counts, words say what the picture shows; and in a real browser."""

import os
from pathlib import Path

import nbformat
import pytest

import causalkit as ck
from causalkit.questions import KINDS, draw
from causalkit.widgets import quiz
from tests import test_browser
from tests.test_browser import executed, lab  # noqa: F401  (a fixture)


def parts(box):
    text, picture, options, words, following = box.children
    return text, picture, options.children, words, following


def press(box, option):
    next(button for button in parts(box)[2] if button.description == option).click()


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_marked_as_the_question_marks_it(kind):
    question = draw(kind, seed=0)
    for option in question.options:
        box = quiz([question])
        text, picture, buttons, words, following = parts(box)
        assert [button.description for button in buttons] == list(question.options)
        before = bytes(picture.value)
        assert before.startswith(b"\x89PNG") and following.disabled and words.value == '<p role="status"></p>'
        assert ck.questions.Question is type(question) and "Arrows: " in text.value
        press(box, option)
        mark, said = question.mark(option), words.value.replace("&gt;", ">").replace("&lt;", "<")
        assert said.startswith('<p role="status">Right.' if mark else '<p role="status">Not right')
        assert mark.why in said and f"{int(mark.correct)} of 1 right" in said and "last question" in said
        assert (bytes(picture.value) != before) == (question.solution is not None)
        icons = {button.description: button.icon for button in buttons if button.icon}
        assert icons == {question.answer: "check"} | ({} if mark else {option: "times"})
        assert all(button.disabled for button in buttons) and following.disabled


def test_the_first_answer_counts_and_the_count_goes_on():
    questions = [draw(kind, seed=seed) for kind in KINDS for seed in range(2)]
    box = quiz(questions)
    for number, question in enumerate(questions):
        text, _, buttons, words, following = parts(box)
        assert f"Question {number + 1} of 6." in text.value and question.arrows.split(",")[0][0] in text.value
        wrong = next(o for o in question.options if o != question.answer)
        press(box, wrong if number == 1 else question.answer)
        right = number + 1 - (number >= 1)
        assert f"{right} of {number + 1} right so far." in words.value
        assert following.disabled == (number == 5)
        if number < 5:
            following.click()
            assert words.value == '<p role="status"></p>' and following.disabled
            assert buttons != parts(box)[2]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least one question"):
        quiz([])
    with pytest.raises(ValueError, match="'rule' is no question"):
        quiz(["rule"])


@pytest.fixture
def small_project(tmp_path, monkeypatch):
    """A project of one notebook that shows a quiz, where the browser test's fixture looks for lessons."""
    source = "import causalkit as ck\nck.widgets.quiz([ck.questions.draw('rule', seed=s) for s in (0, 2)])"
    top = tmp_path / "project"
    (top / "notebooks" / "src").mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(notebook, top / "notebooks" / "quiz.ipynb")
    (top / "notebooks" / "src" / "quiz.py").write_text(f"# %%\n{source}\n")
    (top / "pyproject.toml").write_text((test_browser.TOP / "pyproject.toml").read_text())
    monkeypatch.setattr(test_browser, "TOP", top)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(test_browser.CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.usefixtures("small_project")
@pytest.mark.parametrize("lab", ["quiz.ipynb"], indirect=True)
def test_a_quiz_is_answered_by_the_keyboard(lab, tmp_path):  # noqa: F811
    first, second = (draw("rule", seed=seed) for seed in (0, 2))
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Question 1 of 2.")
        box.get_by_text("Question 1 of 2.").wait_for(timeout=120_000)
        picture = box.locator(".widget-image")
        before = picture.get_attribute("src")
        box.screenshot(path=str(shots / "quiz.png"))
        answer = box.get_by_role("button", name=first.answer, exact=True)
        answer.focus()
        page.keyboard.press("Enter")
        box.get_by_text("1 of 1 right so far.").wait_for(timeout=30_000)
        assert picture.get_attribute("src") != before  # the mutilated graph
        box.screenshot(path=str(shots / "quiz_right.png"))
        page.wait_for_function("document.activeElement.innerText.includes('Next question')", timeout=30_000)
        page.keyboard.press("Enter")  # the focus is there already
        box = page.locator(".widget-vbox", has_text="Question 2 of 2.")
        box.get_by_text("Question 2 of 2.").wait_for(timeout=30_000)
        wrong = next(option for option in second.options if option != second.answer)
        box.get_by_role("button", name=wrong, exact=True).focus()
        page.keyboard.press("Space")
        box.get_by_text("1 of 2 right so far.").wait_for(timeout=30_000)
        box.get_by_text("Not right: the answer is").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "quiz_wrong.png"))
