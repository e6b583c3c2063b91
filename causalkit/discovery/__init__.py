"""Causal discovery: a graph read off a data set. Module of the paper: Causal Discovery Module.

One verb, `discover`, over a catalogue of methods, `METHODS`; `methods()` shows what each assumes, returns and costs.
Observational data alone can show a Markov equivalence class at best; most methods therefore return a CPDAG: i -> j
where every member of the class has that arrow, i -> j and j -> i together (one undirected edge) where members differ.
Methods that assume more (noise that is not Gaussian, relations that are not linear, an order by variance) return a DAG,
and one that assumes less (hidden common causes may be there) a PAG.
"""

from causalkit.discovery.agreement import calibration, consensus
from causalkit.discovery.catalogue import ABOUT, METHODS, About, methods
from causalkit.discovery.knowledge import Knowledge
from causalkit.discovery.learn import discover
from causalkit.discovery.limits import DiscoveryTimeout
from causalkit.discovery.resampling import bootstrap

__all__ = [
    "ABOUT",
    "METHODS",
    "About",
    "DiscoveryTimeout",
    "Knowledge",
    "bootstrap",
    "calibration",
    "consensus",
    "discover",
    "methods",
]
