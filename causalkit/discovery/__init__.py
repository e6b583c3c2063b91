"""Causal discovery: a graph read off one data set. Module of the paper: Causal Discovery Module.

Observational data can show a Markov equivalence class at best, so `discover` returns a CPDAG: i -> j where every
member of the class has that arrow, i -> j and j -> i together (one undirected edge) where members differ. All three
methods here assume linear relations, Gaussian noise and no hidden common cause.
"""

from causalkit.discovery.catalogue import METHODS
from causalkit.discovery.learn import discover
from causalkit.discovery.linear import flop, ges, pc
from causalkit.discovery.resampling import bootstrap

__all__ = ["METHODS", "bootstrap", "discover", "flop", "ges", "pc"]
