# %% [markdown]
# # Does a training method, or a graph, help in a condition of Sachs' cells that it has never seen?
#
# Eleven proteins and lipids in 7,466 cells under nine conditions (Sachs et al. 2005), the natural log of the
# fluorescence. Each condition is left out in turn: an objective is trained on the eight others, as environments, and
# predicts `target` in the ninth from the ten other variables. What the conditions did is known in part (a stimulus, an
# inhibitor), how much of the target's own mechanism it moved is not, so no certificate promises anything here; and the
# consensus graph is the biologists' best knowledge rather than a certain truth.
#
# Three kinds of graph knowledge: **none**, the network sees all ten; the target's **parents** in the consensus; its
# Markov **blanket** there. An objective that is made of an SCM or a graph gets the linear SCM fitted along the
# consensus on the training rows (or the graph, with the target's first effect as the treatment); its network sees what
# the graph knowledge says, and nothing is made without a graph. All of them, for all nine conditions, are trained as
# one program, on `rows` cells drawn from each condition; the test is on all cells of the one left out.
#
# Beside them stand two that know more or less: the mean of the training rows, and least squares fitted *inside* the
# left-out condition (ten-fold), which shows what there is to know.

# %% tags=["parameters"]
objective = "erm"  # a key of ck.OBJECTIVES, with the kit's own weights
target = "Erk"  # "Erk", "Akt" or another variable
backbone = "linear"  # "linear" or "mlp"
rows = 700  # drawn from each condition; the smallest has 707
batch = 16  # rows of an environment at a step, for objectives that compare all pairs of rows (mmd, hsic); others: all
steps = 400
seed = 0  # draws the rows and the initial weights

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import t as student

import causalkit as ck
from causalkit.graphs import children_of, markov_blanket, parents_of
from causalkit.seeds import integer, stream
from causalkit.training import fit_many

conditions, graph = ck.load_sachs()
names = list(graph.nodes)
smallest = min(len(condition.frame) for condition in conditions)
for kind, value, known in (("objective", objective, ck.OBJECTIVES), ("target", target, names)):
    if value not in known:
        raise ck.errors.unknown(kind, value, known)
if not 20 <= rows <= smallest:
    raise ValueError(f"rows {rows}: the smallest condition has {smallest}, give 20 to {smallest}")
seeds = {key: integer(seed, key) for key in ("rows", "model", "folds")}
task = ck.Task(features=tuple(v for v in names if v != target), target=target)
seen = {"none": task.features, "parents": parents_of(graph, target), "blanket": markov_blanket(graph, target)}
print("; ".join(f"{name}: {', '.join(kept) or 'nothing'}" for name, kept in seen.items()))

# %%
drawn = [c.frame.sample(rows, random_state=integer(seeds["rows"], c.name)) for c in conditions]
folds = [
    [ck.Environment(f"condition {k}", frame) for k, frame in enumerate(drawn[:out] + drawn[out + 1 :])]
    for out in range(len(conditions))
]


# %%
def goal(train):
    """The objective, made of the consensus and this fold's rows where it is made of a graph."""
    make = ck.OBJECTIVES[objective]
    given = {"treatment": next(iter(children_of(graph, target)), None)} if "treatment" in needs else {}
    if "form" in needs:  # conditions move what they move, the target's causes too: given the target
        return make(form="anti_causal")
    if "scm" in needs:
        frame = pd.concat([e.frame for e in train], ignore_index=True)
        return make(ck.fit_scm(graph, frame, mechanism="linear", seed=seeds["model"]), **given)
    return make(graph, **given) if given else make()


def trained(trains, sets, goal):
    """A model for each training set and set of features, side by side, all of them trained together."""
    return fit_many(
        trains, task, objective=goal, graphs=[ck.graphs.dag([(v, target) for v in kept], names) for kept in sets],
        encoder="parents", backbone=backbone, steps=steps, batch=batch if objective in ("mmd", "hsic") else None,
        seeds=[seeds["model"]] * len(trains),
    )  # fmt: skip


needs = inspect.signature(ck.OBJECTIVES[objective]).parameters
made_of_graph = "scm" in needs or "treatment" in needs
wanted = {name: kept for name, kept in seen.items() if kept and not (made_of_graph and name == "none")}
models, refused = {}, ""
try:
    if made_of_graph:  # one SCM a fold: fold by fold
        for fold, train in enumerate(folds):
            found = trained([train] * len(wanted), wanted.values(), goal(train))
            models |= {(name, fold): model for name, model in zip(wanted, found)}
    else:
        places = [(name, fold) for name in wanted for fold in range(len(folds))]
        found = trained([folds[fold] for _, fold in places], [wanted[name] for name, _ in places], goal(None))
        models = dict(zip(places, found))
except ValueError as why:
    models, refused = {}, str(why)
    print(f"{objective} refused: {refused}.")
diverged = [place for place, model in models.items() if model.diverged]
for name, fold in diverged:
    print(f"{name}, {conditions[fold].name}: {models[name, fold].diverged}.")
settled = [model.report["verdict"].startswith(("converged", "settled")) for model in models.values()]
if settled:
    print(f"{sum(settled)} of {len(settled)} trainings converged.")


# %%
def inside(frame):
    """The squared errors of least squares fitted inside the condition, ten-fold."""
    x, y = np.column_stack([frame[list(task.features)], np.ones(len(frame))]), frame[target].to_numpy()
    fold = stream(seeds["folds"]).permutation(len(y)) % 10
    found = np.empty(len(y))
    for k in range(10):
        weights = np.linalg.lstsq(x[fold != k], y[fold != k], rcond=None)[0]
        found[fold == k] = (y[fold == k] - x[fold == k] @ weights) ** 2
    return found


lines = []
for out, condition in enumerate(conditions):
    truth = condition.frame[target].to_numpy()
    mean = np.mean([e.frame[target].mean() for e in folds[out]])
    errors = {"mean": (truth - mean) ** 2, "inside": inside(condition.frame)}
    for name in wanted:
        if (name, out) in models and (name, out) not in diverged:
            errors[name] = (truth - models[name, out].predict(condition.frame)) ** 2
    for name, squares in errors.items():
        rmse = np.sqrt(squares.mean())
        se = squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * rmse)  # delta method, over the cells
        lines.append({"graph": name, "left_out": condition.name, "n": len(truth), "rmse": rmse, "se": se})
table = pd.DataFrame(lines)
wide = table.pivot_table("rmse", "left_out", "graph", sort=False)
wide.round(3)

# %% [markdown]
# The spread between conditions is what counts for the next, unseen one: the interval is Student's over the nine
# left-out conditions (8 degrees of freedom), not over cells, of which there are many. Nine conditions that share
# their training data are no independent sample, so that it is a guide rather than a guarantee.


# %%
def interval(values):
    """Mean and half the width of its 95 % interval over conditions."""
    return values.mean(), student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))


for name in wide:
    middle, half = interval(wide[name].dropna().to_numpy())
    better = int((wide[name] < wide["mean"]).sum())
    print(f"{name}: RMSE {middle:.3f} +- {half:.3f} over conditions; better than the mean in {better} of {len(wide)}.")

# %%
figure, axis = plt.subplots(figsize=(8, 3.5), constrained_layout=True)
for k, name in enumerate(wide):
    axis.plot(range(len(wide)), wide[name], "os^Dv"[k], color=ck.plotting.COLOURS[k], label=name)
axis.set_xticks(range(len(wide)), wide.index, rotation=30, ha="right")
axis.set(ylabel=f"RMSE of log {target}", title=f"{objective}, each condition left out")
axis.legend(fontsize="small")
plt.show()

# %%
metric = ck.runs.metric
unit = "log fluorescence"
meanings = {name: f"RMSE in the left-out condition, mean of nine, features: {name}" for name in seen} | {
    "mean": "RMSE of the mean of the training rows, mean of nine conditions",
    "inside": "RMSE of ten-fold least squares inside the left-out condition, mean of nine",
}
recorded = {}
for name, meaning in meanings.items():
    there = name in wide and wide[name].notna().all()
    better = "lower" if name in seen else None
    recorded[f"rmse_{name}"] = metric(wide[name].mean() if there else None, meaning, unit=unit, better=better)
    if name in seen:
        recorded[f"worst_{name}"] = metric(
            wide[name].max() if there else None, f"the worst of the nine, features: {name}", unit=unit, better="lower"
        )
recorded["converged"] = metric(np.mean(settled) if settled else None, "trainings that converged", unit="share")
recorded["refused"] = metric(float(bool(refused)), "1: the objective said no", unit="runs", better="lower")
recorded["diverged"] = metric(len(diverged), "trainings that diverged, of 27", unit="trainings", better="lower")
ck.runs.record(recorded, tables={"conditions": table}, seeds=seeds)
