"""The networks of the bnlearn repository as SCMs: discrete ones from 5 to 1,041 nodes, and linear-Gaussian ones.

They are read from the copies that pgmpy ships, so nothing is downloaded. A discrete network becomes an SCM of `table`
mechanisms: what it says of seeing and doing is the network's own; **its counterfactuals are those of the Gumbel-max
construction, one choice among many, since conditional probability tables alone do not identify counterfactuals** (see
`ck.mechanisms.Categorical`). A linear-Gaussian network determines its counterfactuals, given its graph and additive
noise. Most of these networks were built by experts or learned from data: their arrows are as causal as their makers
meant them.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from types import MappingProxyType

import numpy as np

from causalkit.errors import unknown
from causalkit.mechanisms import Mechanism, linear, table
from causalkit.scm import SCM

__all__ = ["GAUSSIAN", "NETWORKS", "load_network"]

GAUSSIAN: Mapping[str, int] = MappingProxyType({"magic-niab": 44, "ecoli70": 46, "magic-irri": 64, "arth150": 107})
"""Linear-Gaussian networks: name -> number of nodes."""

NETWORKS: Mapping[str, int] = MappingProxyType(
    {
        "cancer": 5, "earthquake": 5, "survey": 6, "asia": 8, "sachs": 11, "child": 20, "insurance": 27, "water": 32,
        "mildew": 35, "alarm": 37, "barley": 48, "hailfinder": 56, "hepar2": 70, "win95pts": 76, "pathfinder": 109,
        "munin1": 186, "andes": 223, "diabetes": 413, "pigs": 441, "link": 724, "munin2": 1003, "munin4": 1038,
        "munin": 1041, "munin3": 1041,
        **GAUSSIAN,
    }
)  # fmt: skip
"""All networks: name -> number of nodes; those that are not in `GAUSSIAN` are discrete."""


def load_network(name: str) -> SCM:
    """A network of the bnlearn repository (Scutari 2010, Journal of Statistical Software 35) as an SCM.

    Discrete variables are integer codes; `scm.levels` says which code is which state. Rows of tables that do not sum to
    1 in the file are divided by their sum; they are off by 3e-7 at most (barley, pathfinder), most by rounding alone.
    Loads in a second; the largest files (diabetes, mildew, munin) take several.

    Args:
        name: A key of `NETWORKS`.

    Raises:
        ValueError: An unknown network, or one that pgmpy does not ship (the hybrid ones, sangiovese and mehra).

    Example:
        >>> import causalkit as ck
        >>> asia = ck.load_network("asia")
        >>> asia.levels["smoke"]
        ('yes', 'no')
        >>> frame = asia.sample(1000, seed=0)
        >>> asia.do({"smoke": 1}).sample(1000, seed=0)["lung"].mean() > frame["lung"].mean()  # 1 is "no"
        np.True_
        >>> asia.counterfactual(frame, {"smoke": 1}, seed=0).shape
        (1000, 8)
    """
    if name in ("sangiovese", "mehra"):
        raise ValueError(f"{name!r} is hybrid, and pgmpy ships no copy of it: choose one of ck.networks.NETWORKS")
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return _gaussian(name) if name in GAUSSIAN else _discrete(name)


def _discrete(name: str) -> SCM:
    from pgmpy.readwrite import BIFReader

    reader = BIFReader(string=gzip.decompress(_file(f"{name}.bif.gz").read_bytes()).decode())
    states, parents_of = reader.variable_states, reader.variable_parents
    mechanisms = {}
    for variable in reader.variable_names:
        parents = {p: len(states[p]) for p in parents_of[variable]}
        # pgmpy keeps a row a state of the variable and a column a configuration of the parents, the last one fastest
        probabilities = reader.variable_cpds[variable].reshape(-1, *parents.values())
        mechanisms[variable] = table(parents, np.moveaxis(probabilities, 0, -1), level_names=states[variable])
    return SCM(mechanisms)


def _gaussian(name: str) -> SCM:
    from pgmpy.models import LinearGaussianBayesianNetwork

    with as_file(_file(f"{name}.json")) as path:
        network = LinearGaussianBayesianNetwork.load(str(path))
    mechanisms: dict[str, Mechanism] = {}
    for variable in network.nodes:
        cpd = network.get_cpds(variable)
        intercept, *weights = (float(b) for b in cpd.beta)
        mechanisms[variable] = linear(
            dict(zip(cpd.evidence, weights, strict=True)), intercept=intercept, scale=float(cpd.std)
        )
    return SCM(mechanisms)


def _file(name: str) -> Traversable:
    path = files("pgmpy") / "utils" / "example_models" / name
    if not path.is_file():
        raise ValueError(f"this version of pgmpy does not ship {name}: install pgmpy>=1.1.2,<1.3")
    return path
