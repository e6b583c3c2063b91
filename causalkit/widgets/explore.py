"""Controls beside a figure, with ipywidgets alone."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

__all__ = ["choice", "explore", "slider"]


def slider(label: str, options: Sequence[Any], value: Any) -> ipywidgets.SelectionSlider:
    """A slider over a few values; it acts when it is let go, and by the arrow keys.

    Args:
        label: What it changes, with the unit.
        options: The values, in order.
        value: Where it stands at first.

    Raises:
        ValueError: The value is not among the options.

    Example:
        >>> slider("Shift strength", [0.0, 1.0, 2.0], 1.0).value
        1.0
    """
    import ipywidgets

    _check_value(label, options, value)
    return ipywidgets.SelectionSlider(options=list(options), value=value, continuous_update=False, **_looks(label))


def choice(label: str, options: Sequence[str], value: str) -> ipywidgets.Dropdown:
    """A menu of a few names.

    Raises:
        ValueError: The value is not among the options.

    Example:
        >>> choice("Edge to cut", ["none", "x -> y"], "none").value
        'none'
    """
    import ipywidgets

    _check_value(label, options, value)
    return ipywidgets.Dropdown(options=list(options), value=value, **_looks(label))


def explore(draw: Callable[..., tuple[Figure | bytes | None, str]], **controls: Any) -> ipywidgets.VBox:
    """The controls above the figure that they change, and below it the sentence that says the same in words.

    An error in `draw` is raised, not swallowed as ipywidgets' `interact` does.

    Args:
        draw: From the controls' values, by name, to a figure and a sentence. The figure is one of matplotlib's, a PNG
            image as bytes, or None where there is nothing to draw and the sentence says why.
        **controls: Argument of `draw` -> a control made by `slider` or `choice`.

    Raises:
        ValueError: No controls.

    Example:
        >>> from matplotlib.figure import Figure
        >>> box = explore(lambda x: (Figure(), f"x is {x}"), x=slider("x", [1, 2], 1))
        >>> box.children[0].children[0].value = 2
        >>> box.children[2].value
        '<p role="status">x is 2</p>'
    """
    import ipywidgets

    if not controls:
        raise ValueError("explore needs at least one control: explore(draw, strength=slider('Strength', [0, 1], 0))")
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", align_self="flex-start"))
    words = ipywidgets.HTML()

    def show(_change: object = None) -> None:
        figure, sentence = draw(**{name: control.value for name, control in controls.items()})
        picture.value = figure if isinstance(figure, bytes) else b"" if figure is None else _png(figure)
        picture.layout.display = "none" if figure is None else None
        words.value = f'<p role="status">{html.escape(sentence)}</p>'

    for control in controls.values():
        control.observe(show, names="value")
    show()
    row = ipywidgets.HBox(list(controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
    return ipywidgets.VBox([row, picture, words])


def _png(figure: Figure) -> bytes:
    import matplotlib.pyplot as plt

    png = io.BytesIO()
    figure.savefig(png, format="png", bbox_inches="tight")
    plt.close(figure)  # otherwise the inline backend would show it a second time
    return png.getvalue()


def _check_value(label: str, options: Sequence[Any], value: Any) -> None:
    if value not in list(options):
        raise ValueError(f"{label!r} starts at {value!r}, which is not among its options {list(options)}")


def _looks(label: str) -> dict[str, Any]:
    return {
        "description": label,
        "tooltip": label,
        "style": {"description_width": "initial"},
        "layout": {"width": "28em"},
    }
