"""Negative controls: models broken on purpose. A check that has never fired has shown nothing by holding.

Each control breaks one assumption, the same checks are run on the broken and on the healthy model, and what fails in
the broken one alone has *fired*. What no check without the truth can catch is reported as such.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import networkx as nx
import pandas as pd
import torch
from torch import Tensor

from causalkit.checks.report import check_counterfactuals
from causalkit.errors import unknown
from causalkit.estimation import fit_scm
from causalkit.mechanisms import Custom, Mechanism, Noise, NotInvertible, function
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["caught", "negative_controls"]

MORE, TIMES = 0.1, 2.0  # sd by which, and times as large as the healthy model's, that an error counts as fired


@dataclasses.dataclass(frozen=True)
class Control:
    """What is broken, the SCM that makes the data then, and the model that is learned from them."""

    broken: str
    truth: SCM
    learn: Callable[[pd.DataFrame], SCM]


def negative_controls(
    scm: SCM, controls: Iterable[str] | None = None, *, n: int = 2000, mechanism: str = "mlp", seed: Seed
) -> pd.DataFrame:
    """Models broken on purpose, and which checks notice: without the truth, and with it.

    - reversed edge: the model is learned along a graph with one arrow turned.
    - missing confounder: a variable that acts on two others is left out of frame and graph.
    - not monotone: the truth folds one variable at its median (x := |x - median|), so that two noises make one value.
    - two worlds: in the truth, one variable's noise changes its sign with its parent, which changes nothing that can
      be seen or done (where noise is symmetric about 0): no check without the truth can fire.
    - variational autoencoder: each mechanism a VAE, whose abduction and prediction are not each other's inverse.

    An error has no limit; it counts as fired where the worst one inside the data is over twice the healthy model's,
    and more by 0.1 sd. All else fires where its verdict is "fails", and the healthy model's is not.

    Args:
        scm: The truth; real variables, at least one edge.
        controls: Which of these; None: all that the graph allows (a confounder takes a variable with two effects).
        n: Rows to learn from; as many others are asked about.
        mechanism: How models are learned, a name that `ck.fit_scm` knows.
        seed: Of rows, models and checks.

    Returns:
        A row a control and finding: control, broken (what was done), check, what, value (the broken model's worst),
        healthy (the healthy model's), limit, unit, needs_truth, fires. `caught` sums it up.

    Raises:
        ValueError: No edge, a discrete variable, an unknown mechanism or control.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: x[:, 0] ** 2 + x[:, 0])})
        >>> table = negative_controls(scm, ["reversed edge", "two worlds"], n=500, seed=0)
        >>> caught(table)[["without the truth", "with the truth"]]
                      without the truth with the truth
        reversed edge              True           True
        two worlds                False           True
    """
    if not scm.graph.edges or scm.levels:
        raise ValueError("negative controls need an SCM of real variables with at least one edge: give another one")
    base, tables = integer(seed, "negative controls"), []
    known = _controls(scm, mechanism, base)
    chosen = list(known) if controls is None else list(controls)
    for name in chosen:
        if name not in known:
            raise unknown("negative control (of this graph)", name, known)
    healthy = _found(Control("", scm, lambda rows: _fit(scm.graph, rows, mechanism, base)), n, base)
    for name in chosen:
        table = _found(known[name], n, base).join(healthy[["value", "verdict"]].add_suffix("_healthy"))
        fires = (table["verdict"] == "fails") & (table["verdict_healthy"] != "fails")
        error = table.index.get_level_values("check") == "error"
        worse = table["value"] > (TIMES * table["value_healthy"]).clip(lower=table["value_healthy"] + MORE)
        table = table.rename(columns={"value_healthy": "healthy"}).assign(fires=fires.where(~error, worse))
        tables.append(table.reset_index().assign(control=name, broken=known[name].broken))
    columns = ["control", "broken", "check", "what", "value", "healthy", "limit", "unit", "needs_truth", "fires"]
    return pd.concat(tables, ignore_index=True)[columns]


def caught(table: pd.DataFrame) -> pd.DataFrame:
    """Of `negative_controls`, a row a control: whether anything fires without the truth, with it, and what.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 2.0})})
        >>> caught(negative_controls(scm, ["reversed edge"], n=500, mechanism="linear", seed=0)).iloc[0].tolist()[:3]
        ['y -> x in place of x -> y', False, True]
    """
    rows = {}
    for name, some in table.groupby("control", sort=False):
        fired = some[some["fires"]]
        blind = fired[~fired["needs_truth"]]
        by = ", ".join(dict.fromkeys(blind["what"])) or "nothing"
        seeing = ", ".join(dict.fromkeys(fired.loc[fired["needs_truth"], "what"])) or "nothing"
        rows[name] = (some["broken"].iloc[0], len(blind) > 0, len(fired) > 0, f"{by}; with the truth {seeing}")
    return pd.DataFrame(rows, index=["broken", "without the truth", "with the truth", "by"]).T


def _found(control: Control, n: int, seed: int) -> pd.DataFrame:
    """The worst finding of each check of this control: by (check, what), with value, limit, unit, verdict."""
    rows = control.truth.sample(n, seed=integer(seed, "train"), hidden=True)
    learned = control.learn(rows)
    checks = check_counterfactuals(learned, control.truth, n=n, references={}, seed=integer(seed, "asked"))
    table = checks.summary()
    table = table[table["unit"].isin(["sd", "MMD²", "p", "values"]) & ~table["what"].str.startswith("mean of")]
    table["needs_truth"] = (table["check"] == "error") | table["what"].str.contains("true|^effect of")
    table["what"] = table["what"].where(table["check"] != "error", "error of a counterfactual")
    table = table.sort_values("worst", ascending=False, kind="stable").drop_duplicates(["check", "what"]).sort_index()
    return table.rename(columns={"worst": "value"}).set_index(["check", "what"])[
        ["value", "limit", "unit", "verdict", "needs_truth"]
    ]


def _fit(graph: nx.DiGraph, rows: pd.DataFrame, mechanism: str, seed: int) -> SCM:
    plain = nx.DiGraph(graph.edges, kind="dag")  # no hidden nodes: what is in the graph is fitted
    plain.add_nodes_from(graph.nodes)
    return fit_scm(plain, rows[list(plain)], mechanism=mechanism, seed=integer(seed, "fit"))


def _controls(scm: SCM, mechanism: str, seed: int) -> dict[str, Control]:
    """The broken models that this graph allows, name -> control."""
    graph, made = scm.graph, {}

    def along(graph: nx.DiGraph, mechanism: str = mechanism) -> Callable[[pd.DataFrame], SCM]:
        return lambda rows: _fit(graph, rows, mechanism, seed)

    for cause, effect in graph.edges:
        turned = nx.DiGraph(graph)
        turned.remove_edge(cause, effect)
        turned.add_edge(effect, cause)
        if nx.is_directed_acyclic_graph(turned):
            made["reversed edge"] = Control(f"{effect} -> {cause} in place of {cause} -> {effect}", scm, along(turned))
            break
    hubs = [v for v in graph if graph.out_degree(v) > 1]
    if hubs:
        # one whose effects act on each other biases most: what seems to come from one comes from both
        left = max(hubs, key=lambda v: (graph.subgraph(graph.successors(v)).number_of_edges(), graph.out_degree(v)))
        without = graph.subgraph(set(graph) - {left})
        made["missing confounder"] = Control(f"{left} left out", scm, along(nx.DiGraph(without)))
    child = next(v for v in scm.order if graph.in_degree(v))
    rows = scm.sample(1000, seed=integer(seed, "medians"), hidden=True)
    folded = _folded(scm.mechanisms[child], float(rows[child].median()))
    made["not monotone"] = Control(f"{child} folded at its median", scm.replace({child: folded}), along(graph))
    parent = scm.mechanisms[child].parents[0]
    turned_noise = _turned(scm.mechanisms[child], float(rows[parent].median()))
    broken = f"the noise of {child} turns its sign where {parent} is high"
    made["two worlds"] = Control(broken, scm.replace({child: turned_noise}), along(graph))
    made["variational autoencoder"] = Control("each mechanism a VAE", scm, along(graph, "vae"))
    return made


def _folded(mechanism: Mechanism, at: float) -> Custom:
    """x := |the mechanism's value - at|, which has no inverse."""

    def fold(parents: Tensor, u: Tensor) -> Tensor:
        return (mechanism.push(parents, u) - at).abs()

    return dataclasses.replace(function(fold, mechanism.parents), noise=_noise(mechanism))


def _turned(mechanism: Mechanism, at: float) -> Custom:
    """The mechanism whose noise is -u where its first parent is above `at`."""

    def sign(parents: Tensor) -> Tensor:
        return torch.where(parents[:, 0] > at, -1.0, 1.0).to(parents.dtype)

    def make(parents: Tensor, u: Tensor) -> Tensor:
        return mechanism.push(parents, sign(parents) * u)

    def unmake(parents: Tensor, x: Tensor) -> Tensor:
        return sign(parents) * mechanism.abduct(parents, x)

    return dataclasses.replace(function(make, mechanism.parents, inverse=unmake), noise=_noise(mechanism))


def _noise(mechanism: Mechanism) -> Noise:
    if mechanism.levels is not None:
        raise NotInvertible("a discrete mechanism has no one noise to turn: give real variables")
    return mechanism.noise
