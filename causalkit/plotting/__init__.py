"""Figures: graphs, learned over true, data by environment, curves, effects. Each has its meaning in words beside it.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; line style or marker says the same again.
Every function draws into the axes it is given (or new ones) and returns them; none shows or changes global settings.
"""

from causalkit.plotting.charts import plot_curves, plot_edge_frequencies, plot_effects, plot_environments
from causalkit.plotting.graphs import VERDICTS, describe, draw_graph, layout, plot_comparison
from causalkit.plotting.style import COLOURS, LINES, MARKERS

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "VERDICTS",
    "describe",
    "draw_graph",
    "layout",
    "plot_comparison",
    "plot_curves",
    "plot_edge_frequencies",
    "plot_effects",
    "plot_environments",
]
