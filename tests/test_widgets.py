"""Controls: every option of each is tried, errors are raised, the sentence says what the figure shows."""

import pytest
from matplotlib.figure import Figure

from causalkit.widgets import choice, explore, slider


def draw(strength, edge):
    if strength == 13:
        raise RuntimeError("no thirteen")
    figure = Figure()
    figure.subplots().plot([0, strength])
    return figure, f"strength {strength}, edge {edge} & <b>"


def test_every_option_redraws():
    controls = {"strength": slider("Strength", [0, 1, 2], 1), "edge": choice("Edge", ["none", "x -> y"], "none")}
    box = explore(draw, **controls)
    _, picture, words = box.children
    seen = {bytes(picture.value)}
    for name, control in controls.items():
        for option in control.options:
            control.value = option
            assert f"{name} {option}".replace(">", "&gt;") in words.value
            seen.add(bytes(picture.value))
    assert all(png.startswith(b"\x89PNG") for png in seen) and len(seen) == 3  # one a strength
    assert "&lt;b&gt;" in words.value  # escaped


def test_an_error_is_raised_and_not_swallowed():
    control = slider("Strength", [0, 13], 0)
    explore(lambda strength: draw(strength, "none"), strength=control)
    with pytest.raises(RuntimeError, match="no thirteen"):
        control.value = 13


def test_no_figure_is_left_open():
    import matplotlib.pyplot as plt

    plt.close("all")
    control = slider("x", [0, 1], 0)
    explore(lambda x: (plt.subplots()[0], str(x)), x=control)
    control.value = 1
    assert plt.get_fignums() == []


def test_bad_input():
    with pytest.raises(ValueError, match="at least one control"):
        explore(draw)
    with pytest.raises(ValueError, match="not among its options"):
        slider("x", [0, 1], 2)
    with pytest.raises(ValueError, match="not among its options"):
        choice("x", ["a"], "b")
