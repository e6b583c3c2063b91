"""Graphs of the textbooks, by name: what each of them teaches is d-separation, or its failure.

In all of them x is the treatment (or first variable) and y the outcome; `<->` is a hidden common cause.

Sources: Pearl (2009), Causality; Cinelli, Forney and Pearl (2022), A Crash Course in Good and Bad Controls; others
beside the graph.
"""

from __future__ import annotations

import networkx as nx

from causalkit.errors import unknown
from causalkit.graphs.basics import parse

__all__ = ["TEXTBOOK", "textbook"]

TEXTBOOK: dict[str, str] = {
    # the three ways in which a middle variable joins two others (Pearl 2009)
    "chain": "x -> z -> y",
    "fork": "x <- z -> y",
    "collider": "x -> z <- y",
    # a good control: z opens a back door of x -> y, and adjusting for z shuts it
    "confounder": "z -> x -> y; z -> y",
    # the same with names: the weaker treatment is given to the milder cases, and looks better (Pearl 2009)
    "simpson": "severity -> treatment -> recovery; severity -> recovery",
    # {x3, x4} and {x4, x5} shut the back doors of x -> m -> y, but {x4} opens one (Pearl 2009)
    "back_door": "x1 -> x3 -> x; x1 -> x4 <- x2; x2 -> x5 -> y; x4 -> x, y; x -> m -> y",
    # a bad control: to adjust for the mediator takes away the part of the effect that flows through it
    "mediator": "x -> m -> y; x -> y",
    # bad controls: z is a collider; x and y are independent until z is known (Greenland, Pearl and Robins 1999)
    "m_bias": "x <-> z; z <-> y",
    # z is a collider and a confounder, so neither to adjust nor to leave it will do (Ding and Miratrix 2015)
    "butterfly_bias": "x <-> z; z <-> y; z -> x; z -> y; x -> y",
    # two diseases, independent in the town, are dependent in its hospital (Berkson 1946)
    "berkson": "x -> hospital <- y",
    # bad controls: an effect of the treatment that shares a cause with the outcome, or an effect of the outcome
    "selection_bias": "x -> y; x -> z; z <-> y",
    "case_control": "x -> y -> z",
    # a hidden confounder: the effect is identified by m (Pearl 2009), in linear models by z,
    # and not at all
    "front_door": "x -> m -> y; x <-> y",
    "instrument": "z -> x -> y; x <-> y",
    "bow": "x -> y; x <-> y",
    # identified, though neither by back door nor by front door (Pearl and Mackenzie 2018; the complete
    # algorithm that finds it: Shpitser and Pearl 2006)
    "napkin": "w -> z -> x -> y; w <-> x; w <-> y",
    # wet and slippery pavement (Pearl 2009)
    "sprinkler": "season -> sprinkler, rain; sprinkler, rain -> wet -> slippery",
}
"""Graphs of the textbooks: name -> text for `parse`."""


def textbook(name: str) -> nx.DiGraph:
    """The graph of this name in `TEXTBOOK`, as a DAG; hidden common causes are nodes with hidden=True.

    Raises:
        ValueError: An unknown name (with the closest known one).

    Example:
        >>> from causalkit.graphs import d_separated
        >>> graph = textbook("m_bias")
        >>> d_separated(graph, "x", "y"), d_separated(graph, "x", "y", ["z"])
        (True, False)
    """
    if name not in TEXTBOOK:
        raise unknown("textbook graph", name, TEXTBOOK)
    return parse(TEXTBOOK[name])
