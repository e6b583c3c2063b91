"""Random SCMs: a random DAG, random mechanisms of one family or several, standardised as they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import networkx as nx
import torch
from torch import Tensor

from causalkit.errors import unknown
from causalkit.graphs import GRAPHS, check_dag
from causalkit.mechanisms import MECHANISMS, Equation, Mechanism
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["random_scm"]


def random_scm(
    nodes: int | None = None,
    *,
    degree: float = 2.0,
    graph: str | nx.DiGraph = "erdos_renyi",
    mechanism: str | Mapping[str, str] | Sequence[str] = "mlp",
    noise: str = "gaussian",
    standardise: str | None = "internal",
    hidden: Sequence[str] = (),
    seed: Seed,
) -> SCM:
    """A random SCM: a random DAG, random mechanisms, noise of unit scale.

    Args:
        nodes: Number of variables; they are called x1, x2, ... Not read where `graph` is a DiGraph.
        degree: Expected number of neighbours of a node, in + out.
        graph: A key of `ck.graphs.GRAPHS`, or a DAG of your own.
        mechanism: A key of `ck.MECHANISMS`; several, of which each variable draws one; or a mapping that says which
            variable has which.
        noise: A key of `ck.mechanisms.NOISES`; discrete variables do not use it.
        standardise: "internal": each variable is brought to mean 0 and variance 1 as it is made, before its effects
            see it, so that scale does not give the causal order away (iSCM, Ormaniec et al. 2025, algorithm 1); the
            constants come from 20,000 draws and stay part of the mechanisms. Discrete variables keep their codes.
            None: as drawn.
        hidden: Variables that are sampled but not shown, beside those that the graph marks as hidden.
        seed: Of graph and mechanisms (not of the data).

    Raises:
        ValueError: An unknown graph, mechanism, noise, hidden variable or way to standardise; a mapping that leaves a
            variable out.

    Example:
        >>> scm = random_scm(10, degree=2.0, mechanism="mlp", seed=0)
        >>> bool((scm.sample(5000, seed=1).std() - 1).abs().max() < 0.1)
        True
    """
    base = integer(seed, "random_scm")
    if isinstance(graph, str):
        if graph not in GRAPHS:
            raise unknown("graph", graph, GRAPHS)
        if nodes is None:
            raise ValueError("random_scm needs a number of variables, random_scm(10, ...), or a DAG: graph=dag")
        graph = GRAPHS[graph](nodes, degree, seed=base)
    if standardise not in ("internal", None):
        raise ValueError(f"standardise {standardise!r}: give 'internal' or None")
    check_dag(graph)
    families = _families(mechanism, list(graph.nodes), base)
    mechanisms = {
        node: MECHANISMS[families[node]](list(graph.predecessors(node)), noise=noise, seed=integer(base, node))
        for node in graph.nodes
    }
    marked = [v for v, is_hidden in graph.nodes(data="hidden") if is_hidden]
    scm = SCM(mechanisms, hidden=[*marked, *(v for v in hidden if v not in marked)])
    return _standardised(scm, base) if standardise == "internal" else scm


def _families(mechanism: str | Mapping[str, str] | Sequence[str], nodes: Sequence[str], seed: int) -> dict[str, str]:
    """Which family each node has: the one named, its own in the mapping, or one drawn from the sequence."""
    if isinstance(mechanism, Mapping):
        for node in [*mechanism, *nodes]:
            if node not in nodes:
                raise unknown("variable in `mechanism`", node, nodes)
            if node not in mechanism:
                raise ValueError(
                    f"`mechanism` says nothing of {node!r}: give every variable a family, {{{node!r}: 'mlp'}}"
                )
        families = {node: mechanism[node] for node in nodes}
    elif isinstance(mechanism, str):
        families = dict.fromkeys(nodes, mechanism)
    else:
        choice = list(mechanism)
        if not choice:
            raise ValueError("`mechanism` is an empty sequence: give at least one key of ck.MECHANISMS")
        families = {node: choice[integer(seed, "family", node) % len(choice)] for node in nodes}
    for family in mechanism if not isinstance(mechanism, str | Mapping) else families.values():
        if family not in MECHANISMS:
            raise unknown("mechanism", family, MECHANISMS)
    return families


def _standardised(scm: SCM, seed: int) -> SCM:
    """Each mechanism followed by (x - mean) / sd, the constants taken from the values its standardised parents make."""
    base = integer(integer(seed, "standardise"), "noise")
    values: dict[str, Tensor] = {}
    mechanisms: dict[str, Mechanism] = {}
    for name in scm.order:
        mechanism = scm.mechanisms[name]
        u = mechanism.sample_noise(20_000, seed=integer(base, name))
        seen = [values[p] for p in mechanism.parents]
        parents = torch.stack(seen, 1) if seen else torch.zeros(len(u), 0, dtype=torch.float64)
        raw = mechanism.push(parents, u)
        if isinstance(mechanism, Equation):
            mechanism = replace(mechanism, centre=float(raw.mean()), spread=float(raw.std(correction=0)))
        mechanisms[name] = mechanism
        values[name] = mechanism.push(parents, u)
    return scm.replace(mechanisms)
