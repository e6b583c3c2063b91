# %% [markdown]
# # Which part of the pipeline earns its keep?
#
# One cell of a full factorial: what the encoder reads off the graph, the objective, how good the graph is, and how many
# rows there are. Everything else stays the same, seed by seed, so that a suite can tell what each part adds by itself
# and what only together with another.
#
# | part | levels |
# |---|---|
# | `encoder` | `none` keeps every feature; `possible_parents`, `markov_blanket`; `stable_set` (what survives the shift, if the graph is right); `soft_gates` (causes count 0.9, other features 0.1, undirected ones 0.5); `dag_layers` (the causes and theirs) |
# | `objective` | any of `ck.OBJECTIVES` that asks for nothing but its weight, with the kit's default |
# | `graph` | the `true` one; `discovered` by FLOP in the very rows that are trained on; `reversed`, one edge of the target turned round; `random`, as many edges, anywhere |
# | `rows` | of each of the two training environments |
#
# The worlds are random linear SCMs, `draws` of them a run: graph, weights, rows and initial network are all drawn anew,
# and trained as one stacked program. The target, of all variables the one with the most causes and effects at once, is
# called $y$. The training environments hear the target at $1 \pm$ `train_strength` of its strength, the test
# environment is shifted by `shift`: `"spurious"` turns round what the effects hear, and leaves $P(y \mid$ causes$)$
# alone; `"concept"` turns round what $y$ hears of its causes, which no part can know.
#
# `stable_set` is told which variables the shift moves; that, too, is knowledge. Where a graph leaves no feature, the
# network sees nothing and predicts a constant.

# %% tags=["parameters"]
encoder = "possible_parents"  # a key of ck.ENCODERS, but "parents", which refuses undirected edges
objective = "erm"  # a key of ck.OBJECTIVES
graph = "true"  # "true", "discovered", "reversed" or "random"
rows = 200  # an environment
shift = "spurious"  # of the test: "spurious" or "concept"
strength = 1.5  # of that shift: 1 silences, 2 turns round at full strength
train_strength = 0.3  # of the spurious shifts between the two training environments
variables = 8  # the target among them
draws = 4  # worlds a run, over which metrics are means
steps = 300
weight_decay = 0.02
seed = 0  # everything that is drawn hangs on it and on the number of the draw

# %%
import networkx as nx
import numpy as np
import pandas as pd
import torch

import causalkit as ck
from causalkit.discovery.baselines import random_dag
from causalkit.graphs import parents_of, possible_parents
from causalkit.seeds import integer

GRAPHS, SHIFTS = ("true", "discovered", "reversed", "random"), ("spurious", "concept")
for name, value, known in (
    ("encoder", encoder, [name for name in ck.ENCODERS if name != "parents"]),
    ("objective", objective, ck.OBJECTIVES),
    ("graph", graph, GRAPHS),
    ("shift", shift, SHIFTS),
):
    if value not in known:
        raise ck.errors.unknown(name, value, known)
if variables < 4 or draws < 1:
    raise ValueError(f"{variables} variables and {draws} draws: give at least 4 and 1")
seeds = {key: integer(seed, key) for key in ("world", "graph", "data", "test", "model")}
pair = {"stronger": (train_strength, 1), "weaker": (train_strength, -1)}  # the effects of y


# %%
def world(draw):
    """A random SCM and the variable that has the most causes and effects at once, which has both."""
    for attempt in range(1_000):
        scm = ck.random_scm(variables, degree=3.0, mechanism="linear", seed=integer(seeds["world"], draw, attempt))
        most = max(scm.variables, key=lambda v: min(scm.graph.in_degree(v), scm.graph.out_degree(v)))
        if scm.graph.in_degree(most) and scm.graph.out_degree(most):
            return scm, most
    raise ValueError(f"no SCM of {variables} variables has one with causes and effects: give more variables")


def told(truth, train, moved, draw):
    """The graph that the encoder is told, and the variables that it is told to move."""
    random = np.random.default_rng(integer(seeds["graph"], draw))
    found = nx.DiGraph(truth)
    if graph == "discovered":
        found = ck.discover(pd.concat([e.frame for e in train], ignore_index=True), method="flop")
    elif graph == "random":
        found = random_dag(list(truth), truth.number_of_edges(), random)
    elif graph == "reversed":
        for a, b in random.permutation([*truth.in_edges("y"), *truth.out_edges("y")]):
            found = nx.DiGraph([*(edge for edge in truth.edges if edge != (a, b)), (b, a)])
            if nx.is_directed_acyclic_graph(found):
                break  # of an effect that no other effect leads to, or of a cause that leads to no other, always
        found.add_nodes_from(truth)
    found.graph["changed"] = moved
    return found


def environments(scm, target, names, draw):
    """Training environments, unseen rows of the same, and the shifted one, under the new names."""
    same = {word: ck.shifts.spurious(target, strength=s, direction=d) for word, (s, d) in pair.items()}
    other = {"shifted": ck.SHIFTS[shift](target, strength=strength, direction=-1)}
    drawn = (
        ck.sample_environments(scm, same, rows, seed=integer(seeds["data"], draw)),
        ck.sample_environments(scm, same, 2_000, seed=integer(seeds["test"], draw)),
        ck.sample_environments(scm, other, 4_000, seed=integer(seeds["test"], draw)),
    )
    return [[ck.Environment(e.name, e.frame.rename(columns=names)) for e in each] for each in drawn]


# %%
task = ck.Task(features=tuple(f"x{i}" for i in range(1, variables)), target="y")
trains, insides, outsides, graphs, causes = [], [], [], [], []
for draw in range(draws):
    scm, target = world(draw)
    names = dict(zip([v for v in scm.variables if v != target], task.features)) | {target: "y"}
    truth = nx.relabel_nodes(scm.graph, names)
    train, inside, outside = environments(scm, target, names, draw)
    moves = ck.shifts.spurious(target, strength=1.0).changed(scm)
    graphs.append(told(truth, train, [names[v] for v in moves], draw))
    for each, new in zip((trains, insides, outsides), (train, inside, outside)):
        each.append(new)
    causes.append(parents_of(truth, "y"))


# %%
def sees(known, task):
    """What the encoder lets through; nothing where the graph leaves nothing, and a constant is learned."""
    if encoder == "soft_gates":
        belief = nx.DiGraph(kind="shares")
        for feature in task.features:
            undirected = known.has_edge("y", feature)
            share = (0.5 if undirected else 0.9) if feature in possible_parents(known, "y") else 0.1
            belief.add_edge(feature, "y", probability=share)
        known = belief
    try:
        return ck.ENCODERS[encoder](known, task)
    except ValueError as why:
        if "leaves no feature" not in str(why):
            raise
        shape = (len(task.features) + 1, len(task.features)) if encoder == "dag_layers" else len(task.features)
        return torch.zeros(shape)


models = ck.training.fit_many(
    trains, task, objective=objective, graphs=graphs, encoder=sees, steps=steps, weight_decay=weight_decay,
    seeds=[integer(seeds["model"], draw) for draw in range(draws)],
)  # fmt: skip
went = [model.diverged for model in models if model.diverged]
if went:
    raise RuntimeError(f"{len(went)} of {draws} draws diverged: {went[0]}")
error = [ck.evaluate(model, outside, task)["rmse"].mean() for model, outside in zip(models, outsides)]
error_in = [ck.evaluate(model, inside, task)["rmse"].mean() for model, inside in zip(models, insides)]
wrong = [
    len(set(cause) ^ {v for v, gate in zip(task.features, model.network.encoder.mask) if gate > 0.5})
    for cause, model in zip(causes, models)
]
print(
    f"RMSE {np.mean(error_in):.3f} where it was trained, {np.mean(error):.3f} under the {shift} shift, mean of {draws}."
)

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "rmse_shifted": metric(np.mean(error), "RMSE under the shift, mean of draws", unit="of y", better="lower"),
        "rmse_in": metric(np.mean(error_in), "the same where it was trained", unit="of y", better="lower"),
        "mask_errors": metric(
            np.mean(wrong), "features let through (by more than half) that are no causes, and causes that are not",
            unit="features", better="lower",
        ),
    },
    seeds=seeds,
)  # fmt: skip
