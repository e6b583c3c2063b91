# %% [markdown]
# # What does a training method lose when the world changes?
#
# One method, one kind of graph knowledge, one shift. Two training environments hear the target at $1 \pm$
# `train_strength` times its strength (a spurious shift, both ways; or differ by another `train_shift`); the test
# environment is shifted by `shift`, as far as `nats` says, the divergence $\mathrm{KL}$(shifted $\Vert$ original) of
# the joint, or `strength`, the kind's own unit.
# `objective` is any of `ck.OBJECTIVES`, by name: the mean risk (ERM) plus, for IRM, the squared slope
# $\lambda\,\frac1E \sum_e (\partial_w R_e(w f))^2$ at $w = 1$ (Arjovsky et al. 2019), for V-REx
# $\lambda\,\mathrm{Var}_e(R_e)$ (Krueger et al. 2021); group DRO weighs environments (Sagawa et al. 2020); and so on.
#
# `graph` is what the encoder is told: `"none"`, so it keeps every feature; the `"true"` graph; the one `"discovered"`
# (FLOP) in `discovery_rows` rows of the first environment; a `"misspecified"` one, the true graph with one cause and
# one effect of the target changing places; one with an edge of the target `"reversed"`; or a `"random"` DAG of as many
# edges as the true one. Of the graph, `encoder` keeps the `"causes"` (possible parents), the whole Markov `"blanket"`,
# or the `"stable"` set: the most informative features $S$ for which the graph proves that $P(y \mid S)$ is the same in
# all training environments and under the shift. Where there is no such set nothing is promised, and the causes are
# taken. A graph that leaves no feature costs what it costs: the training mean is predicted.
#
# An objective that is made of an SCM or a graph is told the graph by that: it gets the linear SCM fitted along the
# graph (or the graph, and the target's first effect as the treatment), and its network sees every feature. Where it
# has nothing to go by, or says no, the run has refused.
#
# Beside the error stand the *oracle*, least squares on `oracle_rows` other rows of the test distribution with all
# features (the best linear predictor there, which no method may see; mechanisms are linear), the oracle with the same
# features as the network, and the training mean.

# %% tags=["parameters"]
objective = "erm"  # a key of ck.OBJECTIVES
graph = "none"  # "none", "true", "discovered", "misspecified", "reversed" or "random"
encoder = "causes"  # "causes", "blanket" or "stable"; not read without a graph
backbone = "mlp"  # "mlp" or "linear"
shift = "spurious"  # "none" or a key of ck.SHIFTS: "covariate", "label", "concept", "spurious", "selection", ...
nats = 0.0  # size of the test shift, KL(shifted || original); 0: as `strength` says
strength = 1.5  # of the test shift in its kind's own unit; read if nats is 0
train_shift = "spurious"  # what differs between the training environments: "none" or a key of ck.SHIFTS
train_strength = 0.3  # of that shift, in its kind's own unit
penalty = 0.0  # weight of the penalty; 0: the kit's default, but for V-REx the lesson's, 10,000
variables = 0  # 0: the teaching SCM; otherwise a random linear SCM with so many
rows = 500  # an environment
discovery_rows = 100
oracle_rows = 20_000
steps = 400
optimiser = "adam"  # "adam", "sgd", "momentum" or "lbfgs"
weight_decay = 0.02
seed = 0  # data and model seeds are derived from it

# %%
import inspect

import networkx as nx
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.discovery.baselines import one_reversed, random_dag
from causalkit.graphs import children_of, member, parents_of, undirected_edges
from causalkit.seeds import integer

GRAPHS = ("none", "true", "discovered", "misspecified", "reversed", "random")
ENCODERS = {"causes": ck.graphs.possible_parents, "blanket": ck.graphs.markov_blanket, "stable": None}
for name, value, known in (
    ("graph", graph, GRAPHS),
    ("encoder", encoder, ENCODERS),
    ("objective", objective, ck.OBJECTIVES),
    ("shift", shift, ("none", *ck.SHIFTS)),
    ("train_shift", train_shift, ("none", *ck.SHIFTS)),
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
words = ("effects stronger", "effects weaker") if train_shift == "spurious" else ("one way", "the other")
pair = {
    word: None if train_shift == "none" else ck.SHIFTS[train_shift](target, strength=train_strength, direction=way)
    for word, way in zip(words, (1, -1))
}
train = ck.sample_environments(scm, pair, rows, seed=seeds["data"])
inside = ck.sample_environments(scm, pair, 2_000, seed=seeds["test"])
outside = ck.sample_environments(scm, {"shifted": moved}, 4_000, seed=seeds["test"])
own = ck.sample_environments(scm, {"own": moved}, oracle_rows, seed=seeds["oracle"])[0].frame
task = ck.Task(features=tuple(v for v in scm.observed if v != target), target=target)


# %%
swap, draw = {causes[0]: effects[0], effects[0]: causes[0]}, np.random.default_rng(seeds["graph"])
told = {
    "none": lambda: None,
    "true": lambda: scm.graph,
    "discovered": lambda: ck.discover(train[0].frame[:discovery_rows], method="flop"),
    "misspecified": lambda: nx.relabel_nodes(scm.graph, swap),
    "reversed": lambda: one_reversed(scm.graph, target, draw),
    "random": lambda: random_dag(list(scm.variables), scm.graph.number_of_edges(), draw),
}[graph]()
dag = member(told) if told is not None and undirected_edges(told) else told


# %% [markdown]
# What the environments move, in training or in the test, is known here; what it means for $P(y \mid S)$ is read off the
# graph that is told, in which a node E points at what moves (and the selection of rows hangs on what drives it).


# %%
def stable():
    """The most informative set S that keeps P(y | S), by the graph that is told; None if there is none."""
    shifts, diagram = [s for s in (*pair.values(), moved) if s is not None], nx.DiGraph(dag)
    diagram.add_node("E")
    diagram.add_edges_from(("E", v) for s in shifts for v in s.changed(scm))
    if any(s.selects(scm) for s in shifts):
        diagram.add_edges_from((v, "selected") for s in shifts if s.selects(scm) for v in s.drivers(scm))
        diagram.add_edge("E", "selected")
    try:
        return [v for v, on in zip(task.features, ck.encoder.stable_set(diagram, task)) if on]
    except ValueError as none:
        print(f"Nothing is promised: {none}.")


needs = inspect.signature(ck.OBJECTIVES[objective]).parameters
by_objective = "scm" in needs or "treatment" in needs  # it is told the graph; the network sees all
found = stable() if encoder == "stable" and told is not None and not by_objective else None
read = ENCODERS[encoder] or ck.graphs.possible_parents
seen = task.features if told is None or by_objective else read(told, target) if found is None else found
kept = [v for v in task.features if v in seen]
print(
    f"{target} has the causes {', '.join(causes)} and the effects {', '.join(effects)}; "
    f"seen: {', '.join(kept) or 'nothing'}."
)
paths = ck.sortability(scm.sample(1_000, seed=seeds["data"]), scm.graph)
print(
    f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, {paths['relatives']:.0%} in "
    "the number of relatives: near 50 % sorting by it tells nothing of the causal order, near 0 or 100 % all of it."
)


# %%
def rmse(predictions, frame):
    return float(np.sqrt(np.mean((frame[target] - predictions) ** 2)))


def goal():
    """The objective, with its penalty's weight; what is made of a graph gets the one that is told."""
    weight = penalty or {"vrex": 10_000.0}.get(objective)
    more = {} if weight is None else {"weight": weight}
    if more and "weight" not in needs:
        raise ValueError(f"{objective} has no one weight: leave penalty at 0")
    if by_objective and told is None:
        raise ValueError(f"{objective} is made of a graph, and none is told")
    more |= {"treatment": next(iter(children_of(dag, target)), None)} if "treatment" in needs else {}
    more |= {"form": "anti_causal"} if "form" in needs else {}
    if "scm" in needs:
        both = np.concatenate([e.frame[list(scm.observed)] for e in train])
        frame = pd.DataFrame(both, columns=scm.observed)
        return ck.OBJECTIVES[objective](ck.fit_scm(dag, frame, mechanism="linear", seed=seeds["model"]), **more)
    if "treatment" in needs:
        return ck.OBJECTIVES[objective](dag, **more)
    return ck.OBJECTIVES[objective](**more)


# %%
shifted, mean = outside[0].frame, np.concatenate([e.frame[target] for e in train]).mean()
model, refused = None, ""
try:
    if kept:
        model = ck.fit(
            train, task, objective=goal(), encoder=ck.encoder.keep(kept), backbone=backbone, steps=steps,
            optimiser=optimiser, weight_decay=weight_decay, seed=seeds["model"],
        )  # fmt: skip
        print(f"Training: {model.report['verdict']}.")
except ValueError as why:
    refused = str(why)
    print(f"{objective} refused: {refused}.")


# %% [markdown]
# A shift of finite nats leaves the test inside the support of the original law; how much of it lies where training
# *had rows* is told by `reach`: the share of test rows that are no farther from the training rows' mean, in their own
# covariance (Mahalanobis), than the farthest training row is.


# %%
def reach(known, new):
    """The share of new rows [m, d] that are no farther from the known rows' mean than the farthest of these."""
    if not known.shape[1]:
        return 1.0
    root = np.linalg.cholesky(np.linalg.inv(np.atleast_2d(np.cov(known.T))))
    far = [(((rows_ - known.mean(0)) @ root) ** 2).sum(1) for rows_ in (known, new)]
    return float(np.mean(far[1] <= far[0].max()))


def best(features):
    """The predictions under the shift of least squares on other rows from there."""
    new, known = (np.column_stack([frame[list(features)], np.ones(len(frame))]) for frame in (shifted, own))
    return new @ np.linalg.lstsq(known, own[target].to_numpy(), rcond=None)[0]


oracle, trivial = rmse(best(task.features), shifted), rmse(mean, shifted)
same = (shifted[target] - best(kept)).to_numpy() ** 2
error, error_in, extra = None, None, np.full(len(shifted), np.nan)
if not refused:
    predictions = [model.predict(e.frame) if kept else np.full(len(e.frame), mean) for e in [*outside, *inside]]
    error = rmse(predictions[0], shifted)
    error_in = float(np.mean([rmse(p, e.frame) for p, e in zip(predictions[1:], inside)]))
    extra = (shifted[target] - predictions[0]).to_numpy() ** 2 - same
    print(
        f"RMSE {error_in:.3f} where it was trained, {error:.3f} under the shift; oracle {oracle:.3f}, "
        f"mean {trivial:.3f}."
    )
overlap = reach(*(np.concatenate([e.frame[kept] for e in several]) for several in (train, outside)))
extra_se = float(extra.std(ddof=1) / np.sqrt(len(extra)))
print(
    f"Mean squared error above the same features' oracle: {extra.mean():.4f} +- {extra_se:.4f}, of {same.mean():.3f}; "
    f"{overlap:.1%} of the test lies within reach of training."
)

# %%
metric = ck.runs.metric
told_of = "of the target"
recorded = {
    "rmse_shifted": metric(error, "RMSE under the shift", unit=told_of, better="lower"),
    "rmse_in": metric(error_in, "RMSE on unseen rows of the training environments", unit=told_of, better="lower"),
    "excess": metric(
        None if error is None else error - oracle, "RMSE under the shift, above the oracle's", unit=told_of,
        better="lower",
    ),
    "excess_risk": metric(
        None if refused else extra.mean(),
        "mean squared error under the shift, above that of least squares with the same features trained there",
        unit="of the target, squared", better="lower",
    ),
    "excess_risk_se": metric(
        None if refused else extra_se, "its standard error over the test rows", unit="of the target, squared"
    ),
    "risk_same": metric(
        same.mean(), "mean squared error of least squares with the same features trained under the shift",
        unit="of the target, squared",
    ),
    "promised": metric(
        float(found is not None), "1: the graph proves that P(y | features) is the same in training and test",
        unit="runs",
    ),
    "overlap": metric(overlap, "test rows within reach of the training rows, by the features seen", unit="share"),
    "refused": metric(float(bool(refused)), "1: the objective said no, or diverged", unit="runs", better="lower"),
    "rmse_oracle": metric(oracle, "RMSE of least squares trained under the shift", unit=told_of),
    "rmse_mean": metric(trivial, "RMSE of the training mean under the shift", unit=told_of),
    "features_kept": metric(len(kept), "features that the network sees", unit="features"),
    "mask_errors": metric(
        len(set(kept) ^ set(causes)), "features seen that are no causes, and causes not seen", unit="features",
        better="lower",
    ),
}  # fmt: skip
ck.runs.record(recorded, seeds=seeds)
