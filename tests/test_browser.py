"""JupyterLab in a real browser: lessons' controls are moved by the keyboard, and figure and sentence follow.

Skipped where there is no Chromium; nothing is downloaded.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
TOP = Path(__file__).parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def lab(tmp_path, request):
    """The address of a JupyterLab on a small copy of the project: one lesson, and its source, which is older."""
    lesson = Path(request.param)
    notebooks = tmp_path / "notebooks"
    (notebooks / "src").mkdir(parents=True)
    source = shutil.copy(TOP / "notebooks" / "src" / lesson.with_suffix(".py"), notebooks / "src")
    os.utime(source, (time.time() - 1000,) * 2)  # a clone gives files any order in time, and Lab must not mind
    shutil.copy(TOP / "notebooks" / lesson, notebooks)
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = {name: str(tmp_path / name.lower()) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=test"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={tmp_path}"],
        env={**os.environ, **home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/lab/tree/notebooks/{lesson}?token=test"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(address.replace(f"lab/tree/notebooks/{lesson}", "api"), timeout=5)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab did not start"
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def executed(address):
    """The page of a lesson in which all cells have been told to run; no error on the page, in the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        yield page
        assert not errors, errors
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["01_scm_and_shifts.ipynb"], indirect=True)
def test_a_control_moves_by_the_keyboard_and_the_figure_follows(lab, tmp_path):
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Dial, nats")  # the shift laboratory
        words, picture = box.locator("p[role=status]"), box.locator(".widget-image")
        words.wait_for(timeout=120_000)
        shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
        handle = box.get_by_role("slider")
        handle.scroll_into_view_if_needed()
        box.get_by_text("direction -1: 0.5 nats").wait_for(timeout=30_000)
        before, shown = words.inner_text(), picture.get_attribute("src")
        box.screenshot(path=str(shots / "lab_before.png"))
        handle.focus()
        page.keyboard.press("ArrowRight")
        box.get_by_text("direction -1: 1 nats").wait_for(timeout=30_000)
        assert words.inner_text() != before and picture.get_attribute("src") != shown
        box.screenshot(path=str(shots / "lab.png"))
        kinds = box.get_by_role("combobox").nth(2)  # after graph and target
        kinds.select_option("covariate")
        box.get_by_text("Covariate shift of y, direction -1: 1 nats").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "lab_covariate.png"))
        kinds.select_option("confounding")  # which this graph does not have: a sentence, and no figure
        box.get_by_text("shares no hidden cause").wait_for(timeout=30_000)
        assert not picture.is_visible()
        box.screenshot(path=str(shots / "lab_refused.png"))
        kinds.select_option("spurious")
        box.get_by_text("Spurious shift of y, direction -1: 1 nats").wait_for(timeout=30_000)
        assert picture.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["02_discovery.ipynb"], indirect=True)
def test_the_workbench_moves_by_the_keyboard_and_shows_who_only_sorted(lab, tmp_path):
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Price of an edge")
        words, picture = box.locator("p[role=status]"), box.locator(".widget-image")
        words.wait_for(timeout=180_000)
        shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
        rows, price = box.get_by_role("slider").nth(0), box.get_by_role("slider").nth(1)
        price.scroll_into_view_if_needed()
        box.get_by_text("1000 rows, linear, gaussian noise, raw; flop, 2 log n an edge").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "bench_before.png"))

        def moved(change, expected):
            before, shown = words.inner_text(), picture.get_attribute("src")
            change()
            box.get_by_text(expected).wait_for(timeout=30_000)
            assert words.inner_text() != before and picture.get_attribute("src") != shown

        price.focus()
        moved(lambda: page.keyboard.press("ArrowRight"), "flop, 4 log n an edge")
        rows.focus()
        moved(lambda: page.keyboard.press("ArrowRight"), "3000 rows, linear")
        scale, method = box.get_by_role("combobox").nth(2), box.get_by_role("combobox").nth(3)
        moved(lambda: method.select_option("var_sort"), "raw; var_sort")
        on_raw = float(words.inner_text().split("var_sort ")[-1].split(";")[0])
        box.screenshot(path=str(shots / "bench_sorted.png"))
        moved(lambda: scale.select_option("standardised"), "standardised; var_sort")
        assert float(words.inner_text().split("var_sort ")[-1].split(";")[0]) > on_raw
        box.screenshot(path=str(shots / "bench_standardised.png"))
        known = box.get_by_role("combobox").nth(4)
        moved(lambda: known.select_option("two tiers"), "before the rest")


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["03_causal_training.ipynb"], indirect=True)
def test_the_shift_is_dragged_until_erm_and_the_causes_cross(lab, tmp_path):
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Shift at test")
        words, picture = box.locator("p[role=status]"), box.locator(".widget-image")
        words.wait_for(timeout=240_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=300_000)  # a busy kernel follows no drag
        shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
        drag = box.get_by_role("slider")
        drag.scroll_into_view_if_needed()
        box.get_by_text("Spurious shift 0: x3 hears y times 1.").wait_for(timeout=30_000)
        box.get_by_text("erm is ahead").wait_for(timeout=30_000)  # the words are empty for a moment as they change
        box.screenshot(path=str(shots / "crossing_before.png"))
        shown, place = picture.get_attribute("src"), drag.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 25, y, steps=5)
        box.get_by_text("Spurious shift -").wait_for(timeout=120_000)  # the mouse is still down: it follows the drag
        page.mouse.move(x - 90, y, steps=10)
        box.get_by_text("the causes are ahead").wait_for(timeout=30_000)
        page.mouse.up()
        box.get_by_text("They cross at -").wait_for(timeout=30_000)
        assert picture.get_attribute("src") != shown
        box.screenshot(path=str(shots / "crossing.png"))
        box.get_by_role("combobox").select_option("concept")
        box.get_by_text("may move, and the causes with it").wait_for(timeout=30_000)
        box.get_by_text("erm is ahead").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "crossing_concept.png"))


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["05_counterfactuals.ipynb"], indirect=True)
def test_one_unit_moves_while_the_intervention_is_dragged(lab, tmp_path):
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Change, sd")
        words, picture = box.locator("p[role=status]"), box.locator(".widget-image")
        words.wait_for(timeout=300_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=400_000)  # a busy kernel follows no drag
        shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
        drag = box.get_by_role("slider").nth(0)
        drag.scroll_into_view_if_needed()
        box.get_by_text("(+1 sd), its y would have been").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "unit_before.png"))
        shown = picture.get_attribute("src")
        drag.focus()
        page.keyboard.press("ArrowLeft")
        box.get_by_text("(+0.5 sd), its y would have been").wait_for(timeout=30_000)
        page.keyboard.press("ArrowLeft")
        box.get_by_text("nothing changes, and y has to come back").wait_for(timeout=30_000)
        assert picture.get_attribute("src") != shown
        model = box.get_by_role("combobox").nth(1)
        model.select_option("vae")  # whose unit does not come back
        box.get_by_text("by vae").first.wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "unit_vae.png"))
        place = drag.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=8)
        box.get_by_text("Had x1 been").wait_for(timeout=30_000)  # the mouse is still down: it follows the drag
        page.mouse.up()
        box.get_by_role("slider").nth(1).focus()
        page.keyboard.press("ArrowRight")
        box.get_by_text("Row 1 has").wait_for(timeout=30_000)
        box.get_by_role("combobox").nth(0).select_option("x3")
        box.get_by_text("y is no effect of x3, and has to stay").wait_for(timeout=30_000)
        box.screenshot(path=str(shots / "unit.png"))


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["06_do_calculus.ipynb"], indirect=True)
def test_an_effect_is_asked_for_on_a_typed_graph_and_the_steps_are_set_as_formulas(lab, tmp_path):
    with executed(lab) as page:
        box = page.locator(".widget-vbox", has_text="Set, do(.)")
        words, picture = box.locator("[role=status]"), box.locator(".widget-image")
        words.wait_for(timeout=240_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=300_000)
        shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
        box.scroll_into_view_if_needed()
        box.get_by_role("combobox").nth(0).select_option("front_door")
        box.get_by_text("front door through m").wait_for(timeout=30_000)
        box.locator("mjx-container").nth(8).wait_for(timeout=30_000)  # the formula, and eight steps
        box.screenshot(path=str(shots / "ask.png"))
        field = box.get_by_role("textbox")
        field.fill("x -> y; x <-> y")
        field.press("Enter")
        box.get_by_text("is not identifiable").wait_for(timeout=30_000)
        assert picture.is_visible()
        field.fill("x -> y -> x")
        field.press("Enter")
        box.get_by_text("the graph has a cycle").wait_for(timeout=30_000)
        assert not picture.is_visible()
        box.screenshot(path=str(shots / "ask_refused.png"))
        quiz = page.locator(".widget-vbox", has_text="Question 1 of 6")
        quiz.get_by_role("button").nth(0).press("Enter")
        quiz.get_by_text("1 right so far").wait_for(timeout=30_000)
        quiz.screenshot(path=str(shots / "quiz.png"))
