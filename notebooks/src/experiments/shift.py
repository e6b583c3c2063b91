# %% [markdown]
# # What does a training method lose when the world changes?
#
# One method, one kind of graph knowledge, one shift. Two training environments hear the target at $1 \pm$
# `train_strength` times its strength (a spurious shift, both ways); the test environment is shifted by `shift`, as far as
# `nats` says, the divergence $\mathrm{KL}$(shifted $\Vert$ original) of the joint, or `strength`, the kind's own unit. The objectives are the mean risk (ERM) plus, for IRM, the squared slope
# $\lambda\,\frac1E \sum_e (\partial_w R_e(w f))^2$ at $w = 1$ (Arjovsky et al. 2019), for V-REx
# $\lambda\,\mathrm{Var}_e(R_e)$ (Krueger et al. 2021); group DRO weighs environments (Sagawa et al. 2020).
#
# `graph` is what the encoder is told: `"none"`, so it keeps every feature; the `"true"` graph; the one `"discovered"`
# (FLOP) in `discovery_rows` rows of the first environment; or a `"misspecified"` one, the true graph with one cause and
# one effect of the target changing places. Of the graph, `encoder` keeps the `"causes"` (possible parents) or the whole
# Markov `"blanket"`. A graph that leaves no feature costs what it costs: the training mean is predicted.
#
# Beside the error stand the *oracle*, least squares on 20,000 other rows of the test distribution with all features
# (the best linear predictor there, which no method may see; mechanisms are linear), and the training mean.

# %% tags=["parameters"]
objective = "erm"  # "erm", "irm", "vrex" or "group_dro"
graph = "none"  # "none", "true", "discovered" or "misspecified"
encoder = "causes"  # "causes" or "blanket"; not read without a graph
backbone = "mlp"  # "mlp" or "linear"
shift = "spurious"  # "none", "covariate", "label", "concept", "spurious" or "selection"
nats = 0.0  # size of the test shift, KL(shifted || original); 0: as `strength` says
strength = 1.5  # of the test shift in its kind's own unit; read if nats is 0
train_strength = 0.3  # of the spurious shift between the training environments
penalty = 0.0  # weight of the IRM or V-REx penalty; 0: the lesson's, 100 and 10,000
variables = 0  # 0: the teaching SCM; otherwise a random linear SCM with so many
rows = 500  # an environment
discovery_rows = 100
steps = 400
seed = 0  # data and model seeds are derived from it

# %%
import networkx as nx
import numpy as np

import causalkit as ck
from causalkit.graphs import children_of, parents_of
from causalkit.seeds import integer

GRAPHS, ENCODERS = (
    ("none", "true", "discovered", "misspecified"),
    {"causes": "possible_parents", "blanket": "markov_blanket"},
)
for name, value, known in (
    ("graph", graph, GRAPHS),
    ("encoder", encoder, ENCODERS),
    ("shift", shift, ("none", *ck.SHIFTS)),
):
    if value not in known:
        raise ck.errors.unknown(name, value, known)
seeds = {key: integer(seed, key) for key in ("graph", "data", "test", "oracle", "model")}

# %%
if variables == 0:
    scm, target = ck.teaching_scm(), "y"
else:
    for attempt in range(1_000 if variables >= 3 else 0):  # until some variable has both causes and effects
        scm = ck.random_scm(variables, mechanism="linear", seed=integer(seeds["graph"], attempt))
        target = max(scm.variables, key=lambda v: min(scm.graph.in_degree(v), scm.graph.out_degree(v)))
        if scm.graph.in_degree(target) and scm.graph.out_degree(target):
            break
    else:
        raise ValueError(f"no SCM of {variables} variables has one with causes and effects: give variables=3 or more")
causes, effects = parents_of(scm.graph, target), children_of(scm.graph, target)
size = {"nats": nats} if nats else {"strength": strength}
direction = -1 if shift in ("concept", "spurious") else 1
moved = None if shift == "none" else ck.SHIFTS[shift](target, direction=direction, **size)
pair = {
    "effects stronger": ck.shifts.spurious(target, strength=train_strength),
    "effects weaker": ck.shifts.spurious(target, strength=train_strength, direction=-1),
}
train = ck.sample_environments(scm, pair, rows, seed=seeds["data"])
inside = ck.sample_environments(scm, pair, 2_000, seed=seeds["test"])
outside = ck.sample_environments(scm, {"shifted": moved}, 4_000, seed=seeds["test"])
own = ck.sample_environments(scm, {"own": moved}, 20_000, seed=seeds["oracle"])[0].frame
task = ck.Task(features=tuple(v for v in scm.observed if v != target), target=target)

# %%
swap = {causes[0]: effects[0], effects[0]: causes[0]}
told = {
    "none": lambda: None,
    "true": lambda: scm.graph,
    "discovered": lambda: ck.discover(train[0].frame[:discovery_rows], method="flop"),
    "misspecified": lambda: nx.relabel_nodes(scm.graph, swap),
}[graph]()
mask = np.ones(len(task.features)) if told is None else np.zeros(len(task.features))
if told is not None:
    read = {"causes": ck.graphs.possible_parents, "blanket": ck.graphs.markov_blanket}[encoder]
    mask = np.isin(task.features, read(told, target)).astype(float)
kept = [v for v, on in zip(task.features, mask) if on]
print(
    f"{target} has the causes {', '.join(causes)} and the effects {', '.join(effects)}; seen: {', '.join(kept) or 'nothing'}."
)
paths = ck.sortability(scm.sample(1_000, seed=seeds["data"]), scm.graph)
print(
    f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, {paths['relatives']:.0%} in the number of "
    "relatives: near 50 % sorting by it tells nothing of the causal order, near 0 or 100 % all of it."
)


# %%
def rmse(predictions, frame):
    return float(np.sqrt(np.mean((frame[target] - predictions) ** 2)))


def design(frame):
    return np.column_stack([frame[list(task.features)], np.ones(len(frame))])


# %%
weight = penalty or {"irm": 100.0, "vrex": 10_000.0}.get(objective)
goal = ck.objectives.OBJECTIVES[objective](weight) if objective in ("irm", "vrex") else objective
shifted, mean = outside[0].frame, np.concatenate([e.frame[target] for e in train]).mean()
if kept:
    model = ck.fit(
        train, task, objective=goal, graph=told, encoder=None if told is None else ENCODERS[encoder], backbone=backbone,
        steps=steps, weight_decay=0.02, seed=seeds["model"],
    )  # fmt: skip
predictions = [model.predict(e.frame) if kept else np.full(len(e.frame), mean) for e in [*outside, *inside]]
error = rmse(predictions[0], shifted)
error_in = float(np.mean([rmse(p, e.frame) for p, e in zip(predictions[1:], inside)]))
oracle = rmse(design(shifted) @ np.linalg.lstsq(design(own), own[target].to_numpy(), rcond=None)[0], shifted)
trivial = rmse(mean, shifted)
print(
    f"RMSE {error_in:.3f} where it was trained, {error:.3f} under the shift; oracle {oracle:.3f}, mean {trivial:.3f}."
)

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "rmse_shifted": metric(error, "RMSE under the shift", unit="of the target", better="lower"),
        "rmse_in": metric(
            error_in, "RMSE on unseen rows of the training environments", unit="of the target", better="lower"
        ),
        "excess": metric(
            error - oracle, "RMSE under the shift, above the oracle's", unit="of the target", better="lower"
        ),
        "rmse_oracle": metric(oracle, "RMSE of least squares trained under the shift", unit="of the target"),
        "rmse_mean": metric(trivial, "RMSE of the training mean under the shift", unit="of the target"),
        "features_kept": metric(len(kept), "features that the network sees", unit="features"),
        "mask_errors": metric(
            len(set(kept) ^ set(causes)),
            "features seen that are no causes, and causes not seen",
            unit="features",
            better="lower",
        ),
    },
    seeds=seeds,
)
