# %% [markdown]
# # What does each broken assumption cost?
#
# A causal pipeline stands on assumptions; the seed paper (Chen 2025, arXiv 2506.12226) warns of what happens where they
# fail. One `assumption` is broken here, more and more as `level` goes from 0 (intact) to 1, and everything else stays:
#
# | assumption | level 0 | level 1 |
# |---|---|---|
# | `sufficiency` | no hidden common cause | a hidden variable drives a cause of the target, the target, and a proxy |
# | `graph` | the true graph is given | one cause and one effect have changed places (at 0.5: the effect is taken for a cause as well) |
# | `selection` | rows are a random sample | rows with a high target are kept, the others almost never |
# | `dimension` | 6 variables | 24 further ones, each the effect of another; 40 rows an environment |
# | `sample` | 500 rows an environment | 10 |
# | `parsimony` | 50 rows in all, an edge costs FLOP's price | the same, an edge costs a tenth of it: the graph over-fits |
#
# The teaching SCM with target $y$ is the world, $x_1 \to y$ of effect 1. The graph is learned (FLOP) from all training
# rows, but for `graph`. Reported: pairs of the graph that are wrong, for each true edge; the error of the effect of
# $x_1$ on $y$, estimated by regressing on $x_1$ and its parents in that graph (0 if no path leads from $x_1$ to $y$
# there); and the RMSE of least squares on what the graph says may be causes, against ERM on all features, in a test
# where $x_1$ and $x_2$ are drawn at random around 1.5 and the effects of $y$ hear it at $-1/2$ of its strength.

# %% tags=["parameters"]
assumption = "sufficiency"  # "sufficiency", "graph", "selection", "dimension", "sample" or "parsimony"
level = 1.0  # 0 is intact, 1 is broken
seed = 0  # the data's and the further variables' streams are derived from it

# %%
import networkx as nx
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.graphs import cpdag, parents_of, possible_parents
from causalkit.seeds import integer

KNOWN = ("sufficiency", "graph", "selection", "dimension", "sample", "parsimony")
if assumption not in KNOWN:
    raise ck.errors.unknown("assumption", assumption, KNOWN)
if not 0 <= level <= 1:
    raise ValueError(f"level {level}: give a number from 0, intact, to 1, broken")
seeds = {key: integer(seed, key) for key in ("data", "test", "extra")}
dose = {name: level if name == assumption else 0.0 for name in KNOWN}

# %%
base = ck.teaching_scm()
mechanisms = dict(base.mechanisms)
hidden = ()
if dose["sufficiency"]:
    u = 1.5 * dose["sufficiency"]
    hidden = ("u",)
    mechanisms |= {
        "u": ck.linear(),
        "x1": ck.linear({"u": u}),
        "y": ck.linear({"x1": 1.0, "x2": 1.0, "u": u}, scale=0.7),
        "x4": ck.linear({"x1": 0.8, "u": u}, scale=0.6),
    }
draw = np.random.default_rng(seeds["extra"])
for i in range(round(24 * dose["dimension"])):
    mechanisms[f"z{i + 1}"] = ck.linear({str(draw.choice([v for v in mechanisms if v != "u"])): 0.8}, scale=0.6)
scm = ck.SCM(mechanisms, hidden=hidden)
rows = round({"sample": 500 * 0.02 ** dose["sample"], "dimension": 40, "parsimony": 25}.get(assumption, 500))


# %%
def seen(world):
    """The world as the training sample shows it: all of it, or mostly rows with a high target."""
    if not dose["selection"]:
        return world
    least = 0.02 ** dose["selection"]  # the chance of a row with a target below its mean
    return ck.Selected(world, lambda frame: np.where(frame["y"] > 0, 1.0, least))


def moved(world):
    """The test: x1 and x2 are drawn at random around 1.5, whatever drove them before, and effects turn round."""
    randomised = world.replace({"x1": ck.linear(intercept=1.5), "x2": ck.linear(intercept=1.5)})
    return ck.shifts.spurious("y", strength=1.5, direction=-1)(randomised)


pair = [ck.shifts.spurious("y", strength=0.3, direction=d) for d in (1, -1)]
shifts = {f"train {i}": lambda world, shift=shift: seen(shift(world)) for i, shift in enumerate(pair)}
train = pd.concat([e.frame for e in ck.sample_environments(scm, shifts, rows, seed=seeds["data"])], ignore_index=True)
test = ck.sample_environments(scm, {"moved": moved}, 5_000, seed=seeds["test"])[0].frame
paths = ck.sortability(scm.sample(1_000, seed=seeds["data"]), scm.graph)
print(
    f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, {paths['relatives']:.0%} in the number of "
    "relatives: near 50 % sorting by it tells nothing of the causal order, near 0 or 100 % all of it."
)

# %%
truth = cpdag(ck.graphs.dag([e for e in scm.graph.edges if "u" not in e], scm.observed))
if assumption == "graph":
    used = nx.DiGraph(base.graph)
    if level >= 0.75:
        used = nx.relabel_nodes(base.graph, {"x1": "x3", "x3": "x1"})
    elif level >= 0.25:
        used.remove_edge("y", "x3")
        used.add_edge("x3", "y")
else:
    # with fewer restarts, FLOP's answer need not repeat among so many variables
    used = ck.discover(train, method="flop", restarts=100, lambda_bic=2.0 * 0.1 ** dose["parsimony"])
wrong = ck.compare(used, truth)["shd_cpdag"] / truth.to_undirected().number_of_edges()
extra = ck.compare(used, truth)["extra"]


# %%
def least_squares(columns):
    """Weights of y on these columns and 1 in the training rows, and the RMSE in the test."""
    x, z = (np.column_stack([data[columns], np.ones(len(data))]) for data in (train, test))
    # the ridge of 1e-6 only matters where there are more columns than rows
    weights = np.linalg.solve(x.T @ x + 1e-6 * len(x) * np.eye(x.shape[1]), x.T @ train["y"])
    return weights, float(np.sqrt(np.mean((test["y"] - z @ weights) ** 2)))


adjust = [v for v in parents_of(used, "x1") if v != "y"]
effect = float(least_squares(["x1", *adjust])[0][0]) if nx.has_path(used, "x1", "y") else 0.0
features = [v for v in scm.observed if v != "y"]
causes = possible_parents(used, "y")
error = {"causal": least_squares(causes)[1], "erm": least_squares(features)[1]}
print(
    f"Graph: {wrong:.2f} wrong pairs a true edge. Effect of x1: {effect:.2f}, truth 1. Possible causes: {', '.join(causes) or 'none'}."
)
print(f"RMSE in the test: {error['causal']:.2f} from possible causes, {error['erm']:.2f} from all features (ERM).")

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "graph_error": metric(
            wrong, "wrong pairs of the graph (CPDAG), for each true edge", unit="pairs / edge", better="lower", truth=0
        ),
        "extra_edges": metric(
            extra, "pairs that the graph joins and the truth does not", unit="pairs", better="lower", truth=0
        ),
        "effect_error": metric(
            abs(effect - 1), "absolute error of the effect of x1 on y", unit="y / x1", better="lower", truth=0
        ),
        "rmse_causal": metric(
            error["causal"], "RMSE under the shift, from possible causes", unit="of y", better="lower"
        ),
        "rmse_erm": metric(error["erm"], "RMSE under the shift, from all features", unit="of y", better="lower"),
        "advantage": metric(
            error["erm"] - error["causal"],
            "what the graph saves: RMSE of ERM less that of the causes",
            unit="of y",
            better="higher",
        ),
    },
    seeds=seeds,
)
