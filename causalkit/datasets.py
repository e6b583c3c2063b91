"""Data sets of the lessons: an SCM whose truth is known, and real cells under nine experiments.

Nothing downloads: the cells ship with the package (`data/README.md` names source and licence).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from causalkit.environments import Environment
from causalkit.errors import unknown
from causalkit.graphs import dag
from causalkit.mechanisms import additive, function, linear, mlp
from causalkit.mechanisms.noises import bisect
from causalkit.scm import SCM

__all__ = ["SACHS_EXPERIMENTS", "Experiment", "load_sachs", "teaching_scm", "triangle"]


@dataclass(frozen=True)
class Experiment:
    """What was done to the cells of one condition.

    Attributes:
        did: In words.
        kind: "observational"; "level" (the amount of a molecule is set: its own mechanism changes, a literal do);
            "activity" (what a molecule does is blocked or forced, its measured amount need not move: the mechanisms
            of its effects change); "stimulus" (the cells are stimulated from outside the graph).
        node: The measured variable that is acted on; None where there is none.
        changes: The variables whose mechanisms should differ from the observational condition's, by the consensus
            graph; an expectation from the chemistry, which the data may contradict.
    """

    did: str
    kind: Literal["observational", "level", "activity", "stimulus"]
    node: str | None
    changes: tuple[str, ...]


SACHS_EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "cd3cd28": Experiment("T cells stimulated through CD3 and CD28", "observational", None, ()),
        "cd3cd28+icam2": Experiment("the same, and through ICAM-2: its targets are not known", "stimulus", None, ()),
        "cd3cd28+aktinhib": Experiment("Akt inhibited; it has no effect in the graph", "activity", "Akt", ()),
        "cd3cd28+g0076": Experiment("PKC inhibited", "activity", "PKC", ("Raf", "Mek", "PKA", "P38", "Jnk")),
        "cd3cd28+psitect": Experiment("PIP2 bound and taken away: its level is set", "level", "PIP2", ("PIP2",)),
        "cd3cd28+u0126": Experiment("Mek inhibited: it no longer drives Erk", "activity", "Mek", ("Erk",)),
        "cd3cd28+ly": Experiment("PI3K, which is not measured and drives Akt, inhibited", "activity", None, ("Akt",)),
        "pma": Experiment(
            "PKC activated, without CD3 and CD28", "activity", "PKC", ("Raf", "Mek", "PKA", "P38", "Jnk")
        ),
        "b2camp": Experiment(
            "PKA activated, without CD3 and CD28", "activity", "PKA", ("Raf", "Mek", "Erk", "Akt", "P38", "Jnk")
        ),
    }
)
"""Condition -> what the experiment did (Sachs et al. 2005, table 1), in the published order. Read-only."""

SACHS_EDGES = (
    "Erk Akt, Mek Erk, PIP3 PIP2, PKA Akt, PKA Erk, PKA Jnk, PKA Mek, PKA P38, PKA Raf, PKC Jnk, PKC Mek, PKC P38, "
    "PKC PKA, PKC Raf, Plcg PIP2, Plcg PIP3, Raf Mek"
)


def load_sachs(log: bool = True) -> tuple[list[Environment], nx.DiGraph]:
    """Protein signalling in single cells under nine experiments, and the consensus graph.

    7,466 cells and 11 variables, float64: the natural log of the fluorescence in arbitrary units, or with log=False
    the fluorescence itself. One environment a condition, in the order of `SACHS_EXPERIMENTS`; the first is the usual
    observational set.

    The graph is the consensus DAG of 17 edges that the bnlearn repository distributes; other papers' versions differ
    in up to seven pairs, and it is the biologists' best knowledge rather than a certain truth.

    Source: Sachs, Perez, Pe'er, Lauffenburger and Nolan (2005), Science 308, 523-529.

    Example:
        >>> environments, graph = load_sachs()
        >>> len(environments), sum(len(e.frame) for e in environments), graph.number_of_edges()
        (9, 7466, 17)
        >>> environments[0]
        Environment('cd3cd28': 853 rows of Raf, Mek, Plcg, PIP2, PIP3, Erk, Akt, PKA, PKC, P38, Jnk)
    """
    with files("causalkit").joinpath("data", "sachs.csv.gz").open("rb") as file:
        table = pd.read_csv(file, compression="gzip")
    condition, values = table["condition"], table.drop(columns="condition").astype(np.float64)
    values = np.log(values) if log else values
    environments = [Environment(c, values[condition == c].reset_index(drop=True)) for c in SACHS_EXPERIMENTS]
    edges = [(cause, effect) for cause, effect in (edge.split() for edge in SACHS_EDGES.split(", "))]
    return environments, dag(edges, values.columns)


def teaching_scm(mechanism: str = "linear", noise: str = "gaussian") -> SCM:
    """The SCM of the lessons: x1 -> y <- x2, y -> x3 -> x5, x1 -> x4.

    The target is y. x1 and x2 are its causes, x3 is its effect (a feature that predicts well until a spurious shift
    turns it), x5 an effect of that effect, x4 a proxy of a cause. The collider at y makes its parents and children
    identifiable from the equivalence class; x1 - x4 stays undirected.

    Args:
        mechanism: "linear", or "mlp" (fixed random networks, the same at every call).
        noise: A key of `ck.mechanisms.NOISES`.

    Raises:
        ValueError: Another mechanism, or an unknown noise.

    Example:
        >>> teaching_scm()
        SCM(x1 := u; x2 := u; y := f(x1, x2) + u; x3 := f(y) + u; x4 := f(x1) + u; x5 := f(x3) + u)
    """
    roots = {name: linear(noise=noise) for name in ("x1", "x2")}
    if mechanism == "linear":
        return SCM(
            roots
            | {
                "y": linear({"x1": 1.0, "x2": 1.0}, noise=noise, scale=0.7),
                "x3": linear({"y": 1.0}, noise=noise, scale=0.5),
                "x4": linear({"x1": 0.8}, noise=noise, scale=0.6),
                "x5": linear({"x3": 0.8}, noise=noise, scale=0.6),
            }
        )
    if mechanism == "mlp":
        return SCM(
            roots
            | {
                "y": mlp(["x1", "x2"], noise=noise, scale=0.7, seed=9),
                "x3": mlp(["y"], noise=noise, scale=0.5, seed=34),
                "x4": mlp(["x1"], noise=noise, scale=0.6, seed=27),
                "x5": mlp(["x3"], noise=noise, scale=0.6, seed=26),
            }
        )
    raise unknown("mechanism", mechanism, ["linear", "mlp"])


def triangle(name: str = "nlin") -> SCM:
    """The SCMs x1 -> x2 -> x3 <- x1 on which counterfactual estimators are compared; all noise is N(0, 1).

    | name | x1 | x2 | x3 |
    |------|----|----|----|
    | "nlin" | u1 | 2 x1^2 + u2 | 20 / (1 + exp(x1 - x2^2)) + u3 |
    | "lin" | 1 + u1 | 10 x1 - u2 | x1 + x2 / 2 + u3 |
    | "vaca" | half N(-2, 1.5), half N(1.5, 1) (variances) | -x1 + u2 | x1 + x2 / 4 + u3 |

    In "vaca", x1 is the increasing function of u1 that has this distribution, and E[x3 | do(x2 = a)] = (a - 1) / 4.

    Source: Javaloy, Sanchez-Martin and Valera (2023), Causal normalizing flows, appendix D ("nlin", "lin");
    Sanchez-Martin, Rateike and Valera (2022), VACA, appendix C ("vaca").

    Raises:
        ValueError: Another name.

    Example:
        >>> round(float(triangle("vaca").do({"x2": 3.0}).sample(100_000, seed=0).x3.mean()), 1)
        0.5
    """
    if name == "nlin":
        return SCM(
            {
                "x1": linear(),
                "x2": additive(["x1"], lambda x: 2 * x[:, 0] ** 2),
                "x3": additive(["x1", "x2"], lambda x: 20 / (1 + (x[:, 0] - x[:, 1] ** 2).exp())),
            }
        )
    if name == "lin":
        down = function(lambda x, u: 10 * x[:, 0] - u, ["x1"], inverse=lambda x, value: 10 * x[:, 0] - value)
        return SCM({"x1": linear(intercept=1.0), "x2": down, "x3": linear({"x1": 1.0, "x2": 0.5})})
    if name == "vaca":
        root = function(lambda x, u: _two_humps(u), inverse=lambda x, value: ndtri(_share_below(value)))
        return SCM({"x1": root, "x2": linear({"x1": -1.0}), "x3": linear({"x1": 1.0, "x2": 0.25})})
    raise unknown("triangle", name, ["nlin", "lin", "vaca"])


def _share_below(x: Tensor) -> Tensor:
    """The distribution function of half N(-2, variance 1.5) and half N(1.5, variance 1)."""
    return (ndtr((x + 2) / 1.5**0.5) + ndtr(x - 1.5)) / 2


def _two_humps(u: Tensor) -> Tensor:
    """The increasing function of a standard normal u that has this distribution."""
    edge = torch.full_like(u, 40.0)
    return bisect(_share_below, ndtr(u), -edge, edge)
