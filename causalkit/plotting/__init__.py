"""Figures: graphs, learned over true, data by environment, curves, effects. Each has its meaning in words beside it.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; line style or marker says the same again.
Every function draws into the axes it is given (or new ones) and returns them; none shows or changes global settings.
"""

from causalkit.plotting.charts import (
    plot_calibration,
    plot_curves,
    plot_edge_frequencies,
    plot_effects,
    plot_environments,
)
from causalkit.plotting.densities import describe_densities, draw_densities, turn_densities
from causalkit.plotting.graphs import VERDICTS, describe, draw_graph, layout, plot_comparison
from causalkit.plotting.marks import edge_marks
from causalkit.plotting.shifts import describe_selection_diagram, draw_errors, draw_selection_diagram, mark_errors
from causalkit.plotting.style import COLOURS, LINES, MARKERS

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "VERDICTS",
    "describe",
    "describe_densities",
    "describe_selection_diagram",
    "draw_densities",
    "draw_errors",
    "draw_graph",
    "draw_selection_diagram",
    "edge_marks",
    "layout",
    "mark_errors",
    "plot_calibration",
    "plot_comparison",
    "plot_curves",
    "plot_edge_frequencies",
    "plot_effects",
    "plot_environments",
    "turn_densities",
]
