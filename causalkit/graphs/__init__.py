"""Causal graphs: drawn by hand, at random or out of a textbook, their equivalence classes, and what d-separation says.

A graph is a `networkx.DiGraph` over variable names; `graph.graph["kind"]` says what its edges mean:

- "dag" (also where nothing is said): i -> j, i is a direct cause of j.
- "cpdag": i -> j and j -> i together are one undirected edge i - j, which the data cannot orient.
- "pag": edges carry end marks; nothing here reads one.

A hidden variable is a node with the attribute `hidden=True`. In matrices, A[i, j] != 0 is i -> j.
"""

from causalkit.graphs.basics import (
    adjacency,
    check_dag,
    children_of,
    dag,
    markov_blanket,
    parents_of,
    parse,
    possible_parents,
    undirected_edges,
)
from causalkit.graphs.classes import cpdag, member, orient
from causalkit.graphs.families import GRAPHS, complete, erdos_renyi, layered, scale_free
from causalkit.graphs.latent import confounded
from causalkit.graphs.members import consistent_dags
from causalkit.graphs.named import TEXTBOOK, textbook
from causalkit.graphs.separation import d_separated, invariant_sets, project, separating_sets

__all__ = [
    "GRAPHS",
    "TEXTBOOK",
    "adjacency",
    "check_dag",
    "children_of",
    "complete",
    "confounded",
    "consistent_dags",
    "cpdag",
    "d_separated",
    "dag",
    "erdos_renyi",
    "invariant_sets",
    "layered",
    "markov_blanket",
    "member",
    "orient",
    "parents_of",
    "parse",
    "possible_parents",
    "project",
    "scale_free",
    "separating_sets",
    "textbook",
    "undirected_edges",
]
