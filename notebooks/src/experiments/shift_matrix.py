# %% [markdown]
# # One objective under every shift: what does it lose, and what does a graph buy it?
#
# The training environments are the SCM as it is and twice with its effects heard otherwise (a spurious shift of
# `train_strength`, both ways); they do not depend on the test, so one training serves all of it: every kind of shift,
# each at every size in `nats`, $\mathrm{KL}$(shifted $\Vert$ original) of the joint. Concept and spurious shifts weaken
# what is heard. Mechanisms are linear and noise is Gaussian, so that the best predictor of the test is least squares
# there with all features; it is fitted on 20,000 other rows of the test distribution, which no method may see. The
# **excess** is the mean squared error above that of this oracle, on the same 4,000 rows.
#
# `objective` is a key of `ck.OBJECTIVES`, with the kit's own weights. It is trained five times, together, with
# different knowledge of the graph: **none**, the network sees all features; the **true** graph's parents of the target;
# the possible parents in the one **discovered** (FLOP in `discovery_rows` rows); the parents in the true graph with an
# edge of the target **reversed**; and in a **random** DAG with as many edges. A graph without a parent of the target
# costs what it costs: the training mean is predicted. An objective that is made of an SCM or a graph gets the linear
# SCM fitted along it (or the graph, with the target's first effect as the treatment), its network sees all features,
# and without a graph there is nothing to make it of. Counterfactual invariance is to the environment, which moves the
# target's effects: the anti-causal form.

# %% tags=["parameters"]
objective = "erm"  # a key of ck.OBJECTIVES
backbone = "linear"  # "linear" or "mlp"
nats = [0.1, 0.5, 1.0, 2.0]  # sizes of the test shifts
shown = 1.0  # the size of those whose excess is recorded number by number; the table has all
train_strength = 0.3  # of the spurious shift between the training environments
variables = 0  # 0: the teaching SCM; otherwise a random linear SCM with so many
rows = 400  # an environment
discovery_rows = 15
steps = 400
seed = 0  # data and model seeds are derived from it

# %%
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.discovery.baselines import one_reversed, random_dag
from causalkit.graphs import children_of, member, possible_parents, undirected_edges
from causalkit.seeds import integer
from causalkit.training import fit_many

SHIFTS, GRAPHS = ("covariate", "label", "concept", "spurious"), ("none", "true", "discovered", "reversed", "random")
if objective not in ck.OBJECTIVES:
    raise ck.errors.unknown("objective", objective, ck.OBJECTIVES)
if shown not in nats:
    raise ValueError(f"shown {shown} is none of the sizes {nats}: name one of them")
seeds = {key: integer(seed, key) for key in ("graph", "data", "test", "oracle", "model")}

# %%
scm, target = ck.teaching_scm(), "y"
for attempt in range(1_000 if variables else 0):  # until some variable has both causes and effects
    scm = ck.random_scm(variables, mechanism="linear", seed=integer(seeds["graph"], attempt))
    target = max(scm.variables, key=lambda v: min(scm.graph.in_degree(v), scm.graph.out_degree(v)))
    if scm.graph.in_degree(target) and scm.graph.out_degree(target):
        break
pair = {"as it is": None} | {
    f"effects {heard}": ck.shifts.spurious(target, strength=train_strength, direction=way)
    for heard, way in (("stronger", 1), ("weaker", -1))
}
train = ck.sample_environments(scm, pair, rows, seed=seeds["data"])
task = ck.Task(features=tuple(v for v in scm.observed if v != target), target=target)
cells = {
    (kind, size): ck.SHIFTS[kind](target, nats=size, direction=-1 if kind in ("concept", "spurious") else 1)
    for kind in SHIFTS
    for size in nats
}
tests, owns = (
    [
        e.frame
        for e in ck.sample_environments(scm, {f"{k} {n}": s for (k, n), s in cells.items()}, count, seed=seeds[by])
    ]
    for count, by in ((4_000, "test"), (20_000, "oracle"))
)


# %%
draw = np.random.default_rng(seeds["graph"])
told = {
    "none": None,
    "true": scm.graph,
    "discovered": ck.discover(train[0].frame[:discovery_rows], method="flop"),
    "reversed": one_reversed(scm.graph, target, draw),
    "random": random_dag(list(scm.variables), scm.graph.number_of_edges(), draw),
}
needs = inspect.signature(ck.OBJECTIVES[objective]).parameters
by_objective = "scm" in needs or "treatment" in needs  # it is told the graph; the network sees all
seen = {
    name: task.features if graph is None or by_objective else tuple(possible_parents(graph, target))
    for name, graph in told.items()
}
print("; ".join(f"{name}: {', '.join(kept) or 'nothing'}" for name, kept in seen.items()))


# %%
def goal(graph):
    """The objective with the kit's own weights; what is made of an SCM or a graph gets it from this graph."""
    if not by_objective:
        return ck.OBJECTIVES[objective](**({"form": "anti_causal"} if "form" in needs else {}))
    if graph is None:
        raise ValueError(f"{objective} is made of a graph, and none is told")
    dag = member(graph) if undirected_edges(graph) else graph
    given = {"treatment": next(iter(children_of(dag, target)), None)} if "treatment" in needs else {}
    if "scm" not in needs:
        return ck.OBJECTIVES[objective](dag, **given)
    frame = pd.concat([e.frame for e in train], ignore_index=True)
    return ck.OBJECTIVES[objective](ck.fit_scm(dag, frame, mechanism="linear", seed=seeds["model"]), **given)


def trained(graphs, names):
    """A model a set of features in `names`, all of them trained together."""
    stars = [ck.graphs.dag([(v, target) for v in kept], scm.variables) for kept in names]  # what the encoder reads
    return fit_many(
        [train] * len(stars), task, objective=goal(graphs), graphs=stars, encoder="parents", backbone=backbone,
        steps=steps, seeds=[seeds["model"]] * len(stars),
    )  # fmt: skip


# %% [markdown]
# Graphs that name the same features share a model.

# %%
clock, models, refused = time.perf_counter(), {}, {}
if by_objective:
    for name, graph in told.items():
        try:
            models[name] = trained(graph, [task.features])[0]
        except ValueError as why:
            refused[name] = str(why)
else:
    sets = list(dict.fromkeys(kept for kept in seen.values() if kept))
    try:
        one_each = dict(zip(sets, trained(None, sets)))
        models = {name: one_each[kept] for name, kept in seen.items() if kept}
    except ValueError as why:
        refused = dict.fromkeys(told, str(why))
refused |= {name: model.diverged for name, model in models.items() if model.diverged}
seconds = time.perf_counter() - clock
for name in told:
    print(f"{name}:", refused.get(name) or (models[name].report["verdict"] if name in models else "the training mean"))


# %%
def design(frame, features):
    return np.column_stack([frame[list(features)], np.ones(len(frame))])


def squares(test, own, features):
    """The squared errors of least squares with these features, fitted on other rows of the test distribution."""
    weights = np.linalg.lstsq(design(own, features), own[target].to_numpy(), rcond=None)[0]
    return (test[target].to_numpy() - design(test, features) @ weights) ** 2


def se(values):
    return values.std(ddof=1) / np.sqrt(len(values))


mean = np.concatenate([e.frame[target] for e in train]).mean()
lines = []
for (kind, size), test, own in zip(cells, tests, owns):
    best = squares(test, own, task.features)
    for name in told:
        line = {"graph": name, "shift": kind, "nats": size, "seen": ", ".join(seen[name]), "oracle": best.mean()}
        if name not in refused:
            predicted = models[name].predict(test) if name in models else mean
            error = (test[target].to_numpy() - predicted) ** 2
            above = error - squares(test, own, seen[name])
            line |= {"risk": error.mean(), "excess": (error - best).mean(), "excess_se": se(error - best)}
            line |= {"same": above.mean(), "same_se": se(above)}
        lines.append(line)
columns = ["graph", "shift", "nats", "seen", "oracle", "risk", "excess", "excess_se", "same", "same_se"]
table = pd.DataFrame(lines, columns=columns)
table.pivot_table("excess", ["shift", "nats"], "graph", sort=False).round(3)

# %%
if models:
    figure, axes = plt.subplots(1, len(SHIFTS), figsize=(11, 3), sharey=True, constrained_layout=True)
    for axis, kind in zip(axes, SHIFTS):
        for name, style, colour in zip(told, ("o-", "s--", "^-.", "v:", "x-"), ck.plotting.COLOURS):
            part = table[(table["graph"] == name) & (table["shift"] == kind)]
            axis.plot(part["nats"], part["excess"].clip(lower=1e-4), style, label=name, color=colour)
        axis.set(title=kind, xlabel="nats", xscale="log", yscale="log")
    axes[0].set_ylabel("excess risk")
    figure.legend(*axes[0].get_legend_handles_labels(), title="graph", fontsize="small", loc="outside right upper")
    plt.show()
for kind in SHIFTS if models else ():
    last = table[(table["shift"] == kind) & (table["nats"] == max(nats))].set_index("graph")["excess"]
    print(
        f"{kind}, {max(nats):g} nats: least above the oracle is {last.idxmin()}, by {last.min():.3f}; "
        f"none by {last['none']:.3f}."
    )

# %%
metric = ck.runs.metric
at = table[table["nats"] == shown].set_index(["shift", "graph"])["excess"]
recorded = {
    f"{kind}_{name}": metric(
        None if np.isnan(at[kind, name]) else at[kind, name],
        f"risk above the oracle's under a {kind} shift of {shown:g} nats, graph: {name}",
        unit="of the target, squared", better="lower",
    )
    for kind in SHIFTS
    for name in told
}  # fmt: skip
settled = [model.report["verdict"].startswith(("converged", "settled")) for model in models.values()]
recorded |= {
    "converged": metric(np.mean(settled) if settled else None, "models whose training converged", unit="share"),
    "refused": metric(
        len(refused) / len(told),
        "kinds of graph knowledge with which it said no or diverged",
        unit="share",
        better="lower",
    ),
    "seconds": metric(seconds, "of training, all graphs, wall clock", unit="seconds", repeats=False),
}
ck.runs.record(recorded, tables={"cells": table}, seeds=seeds)
