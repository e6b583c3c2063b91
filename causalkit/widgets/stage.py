"""The picture of a laboratory: painted once, then turned to another position of its dial in no time.

Only the marks on the errors and the densities after the shift change with the dial. They are painted over a copy of
all the rest ("blitting").
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.plotting import draw_densities, draw_errors, draw_selection_diagram, mark_errors, turn_densities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from causalkit.widgets.laboratory import ShiftLab

__all__ = ["Paper", "Stage"]


class Stage:
    """The figure of a laboratory; `turn` moves it to a position of the dial, `png` paints it there.

    Attributes:
        figure: A matplotlib figure.
    """

    def __init__(self, lab: ShiftLab) -> None:
        from matplotlib.figure import Figure

        self.lab, columns, frames = lab, lab.columns, list(lab.frames.values())
        self.figure = Figure(figsize=(10.5, 6.2))
        grid = self.figure.add_gridspec(2, 1, height_ratios=[1.75, 1], hspace=0.32)
        grid.update(left=0.03, right=0.98, top=0.95, bottom=0.09)
        upper = grid[0].subgridspec(1, 2, width_ratios=[1.15, 1], wspace=0.16)
        lower = grid[1].subgridspec(1, len(columns), wspace=0.12)
        draw_selection_diagram(lab.certificate, ax=self.figure.add_subplot(upper[0]))
        self.errors = draw_errors(lab.curve, crossing=lab.crossing, ax=self.figure.add_subplot(upper[1]))
        self.errors.set_title(f"RMSE of {lab.certificate.target}, fitted before the shift", fontsize=10)
        self.densities = [self.figure.add_subplot(lower[i]) for i in range(len(columns))]
        # one span for all positions: axes that stand still show best what moves
        ends = np.array([frame[columns].quantile([0.001, 0.999]).to_numpy() for frame in frames])
        spans = {c: (float(ends[:, 0, i].min()), float(ends[:, 1, i].max())) for i, c in enumerate(columns)}
        draw_densities(frames[0], frames[0], columns, self.densities, lab.scm.levels, spans)
        self.densities[0].set_ylabel("density")
        for frame in frames:  # for room
            turn_densities(self.densities, frame)
        self.marks: list[Any] = []
        self.paper: Paper | None = None

    def turn(self, nats: float) -> list[Any]:
        """Move the dial; what changed comes back."""
        for mark in self.marks:
            mark.remove()
        self.marks = mark_errors(self.errors, self.lab.curve, nats)
        return [*self.marks, *turn_densities(self.densities, self.lab.frame(nats))]

    def png(self, nats: float) -> bytes:
        """The figure at this position, as a PNG image."""
        moving = self.turn(nats)
        if self.paper is None:
            self.paper = Paper(self.figure, moving)
        return self.paper.png(moving)


class Paper:
    """What of a figure stands still, painted once; `png` paints the rest over a copy of it.

    Args:
        figure: The figure, with everything in it.
        moving: What will move, and is left out of the copy.
    """

    def __init__(self, figure: Figure, moving: list[Any]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.canvas = FigureCanvasAgg(figure)
        for artist in moving:
            artist.set_visible(False)
        self.canvas.draw()
        for artist in moving:
            artist.set_visible(True)
        self.rest = self.canvas.copy_from_bbox(figure.bbox)

    def png(self, moving: list[Any]) -> bytes:
        """The figure with these artists, as a PNG image."""
        from matplotlib.image import imsave

        self.canvas.restore_region(self.rest)
        for artist in moving:
            artist.axes.draw_artist(artist)
        file, dpi = io.BytesIO(), self.canvas.figure.dpi
        imsave(file, np.asarray(self.canvas.buffer_rgba()), format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
        return file.getvalue()
