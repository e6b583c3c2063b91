"""The methods of discovery, by name."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from causalkit.discovery.linear import flop, ges, pc

__all__ = ["METHODS"]

METHODS: dict[str, Callable[..., nx.DiGraph]] = {"flop": flop, "ges": ges, "pc": pc}
"""Name -> function(frame, *, seed, **options) -> graph. A user adds one in a line."""
