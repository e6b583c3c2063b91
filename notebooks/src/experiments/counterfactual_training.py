# %% [markdown]
# # What does counterfactual reasoning in training buy under each kind of shift, and what does it cost?
#
# $x_1 \to x_2$; $y = x_1 + .8\tanh(1.5 x_2) + .4 x_1 x_2 + .7 u$; $x_3 = \gamma_e y + .5 u$, an effect of the target
# whose strength $\gamma$ is 1.3 in one training environment and .7 in the other; $x_4 = .7 x_1 + \delta_e + .5 u$, a
# proxy. A network sees all four. Five tests, root mean squared errors: **iid**, rows like the training's; **covariate**,
# $x_1 \sim N(1.5, 1.5^2)$; **label**, rows resampled to $y \approx 3$; **spurious**, $\gamma = -1$, the effect turned
# round; **concept**, the causal mechanism itself moves: the slope of $x_1$ goes from 1 to -.5. Nobody can be below .7 with
# the causes alone, and the effect has more to tell as long as it stands.
#
# `method` says how the network is trained. Those made of an SCM set what is no cause of the target ($x_3$, $x_4$), or all
# features, and learn from the SCM's answers; `knows` says which SCM that is: the **true** one (both training
# environments differ from it in what they do to $x_3$ and $x_4$, which no answer here depends on), one **learned** from
# the training rows along the true graph, or one learned along a **wrong** graph, in which $x_3$ is a cause of $y$.
# Weights are round numbers or the kit's own; nothing was tuned.

# %% tags=["parameters"]
method = "counterfactual_consistency"  # a key of METHODS below
knows = "true"  # the SCM that a method is made of: "true", "learned" or "wrong"
mechanism = "mlp"  # of a learned SCM, see ck.fit_scm
rows = 1_000  # a training environment
test_rows = 2_000  # a test and environment
steps = 400
seed = 0  # data and model seeds are derived from it

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import torch

import causalkit as ck
from causalkit.seeds import integer

goals, causes, features = ck.objectives, ["x1", "x2"], ["x1", "x2", "x3", "x4"]
METHODS = {
    "erm": None,
    "parents": None,  # erm on a network that sees the true causes alone
    "counterfactual_augmentation": lambda scm, idle: goals.counterfactual_augmentation(scm, 1.0, do=idle),
    "counterfactual_consistency": lambda scm, idle: goals.counterfactual_consistency(scm, 5.0, do=idle),
    "consistency_everywhere": lambda scm, idle: goals.counterfactual_consistency(scm, 5.0),
    "do_calculus": lambda scm, idle: (
        goals.do_calculus(scm, idle) + goals.do_calculus(scm, [v for v in features if v not in idle])
    ),
    "invariance_anti_causal": lambda scm, idle: goals.counterfactual_invariance(form="anti_causal", weight=10.0),
    "invariance_causal": lambda scm, idle: goals.counterfactual_invariance(form="causal", weight=10.0),
    "irm": lambda scm, idle: goals.irm(100.0),
    "vrex": lambda scm, idle: goals.vrex(100.0),
    "coral": lambda scm, idle: goals.coral(1.0),
    "anchor": lambda scm, idle: goals.anchor(20.0),
    "castle": lambda scm, idle: goals.castle(),
    "hsic": lambda scm, idle: goals.hsic(),  # beside the risk
    "hsic_alone": lambda scm, idle: goals.hsic(alone=True),  # in place of it
}
for kind, value, known in (("method", method, METHODS), ("knows", knows, ("true", "learned", "wrong"))):
    if value not in known:
        raise ck.errors.unknown(kind, value, known)
seeds = {key: integer(seed, key) for key in ("data", "test", "scm", "model")}


# %%
def mean_of_y(x, slope):
    return slope * x[:, 0] + 0.8 * torch.tanh(1.5 * x[:, 1]) + 0.4 * x[:, 0] * x[:, 1]


def world(gamma=1.0, delta=0.0, slope=1.0, centre=0.0, spread=1.0):
    y = ck.mechanisms.function(
        lambda x, u: mean_of_y(x, slope) + u, causes, inverse=lambda x, y: y - mean_of_y(x, slope), scale=0.7
    )
    return ck.SCM(
        {
            "x1": ck.linear(intercept=centre, scale=spread),
            "x2": ck.linear({"x1": 0.8}, scale=0.6),
            "y": y,
            "x3": ck.linear({"y": gamma}, scale=0.5),
            "x4": ck.linear({"x1": 0.7}, intercept=delta, scale=0.5),
        }
    )


PLACES = {"strong": {"gamma": 1.3, "delta": 0.5}, "weak": {"gamma": 0.7, "delta": -0.5}}


def drawn(name, count, **moved):
    """As many rows of each environment, with what the test moves."""
    parts = [
        world(**place | moved).sample(count, seed=integer(seeds["test"], name, key)) for key, place in PLACES.items()
    ]
    return pd.concat(parts, ignore_index=True)


train = [ck.Environment(k, world(**p).sample(rows, seed=integer(seeds["data"], k))) for k, p in PLACES.items()]
task, pool = ck.Task(tuple(features), "y"), drawn("label", 20 * test_rows)
tests = {
    "iid": drawn("iid", test_rows),
    "covariate": drawn("covariate", test_rows, centre=1.5, spread=1.5),
    "label": pool.sample(
        2 * test_rows, weights=np.exp(-2 * (pool["y"] - 3) ** 2), replace=True, random_state=seeds["test"]
    ),
    "spurious": drawn("spurious", test_rows, gamma=-1.0),
    "concept": drawn("concept", test_rows, slope=-0.5),
}

# %% [markdown]
# Predict, before looking further: under which of the five does `method` beat plain training, and where does it lose?

# %%
told = nx.DiGraph(world().graph)
if knows == "wrong":
    told.remove_edge("y", "x3")
    told.add_edge("x3", "y")
together = pd.concat([e.frame for e in train], ignore_index=True)
scm = world() if knows == "true" else ck.fit_scm(told, together, mechanism=mechanism, seed=seeds["scm"])
idle = [v for v in features if v not in nx.ancestors(told, "y")]  # what is no cause of the target
print(f"The {knows} SCM says that setting {', '.join(idle)} does nothing to y.")


# %%
stars = [ck.graphs.dag([(v, "y") for v in seen], features) for seen in (features, causes)]  # what the network sees
plain = ck.training.fit_many(
    [train] * 2, task, graphs=stars, encoder="parents", steps=steps, seeds=[seeds["model"]] * 2
)  # both together
models = dict(zip(("erm", "parents"), plain))
if method not in models:
    models[method] = ck.fit(train, task, objective=METHODS[method](scm, idle), steps=steps, seed=seeds["model"])
table = pd.DataFrame(
    {
        name: {test: float(np.sqrt(np.mean((frame["y"] - model.predict(frame)) ** 2))) for test, frame in tests.items()}
        for name, model in models.items()
    }
)
table.round(3)

# %%
figure, axis = plt.subplots(figsize=(8, 3.2), constrained_layout=True)
for k, name in enumerate(table):
    axis.plot(range(5), table[name], "os^"[k], color=ck.plotting.COLOURS[k], label=name, markersize=8)
axis.axhline(0.7, color="grey", linestyle=":", label="noise of y given its causes")
axis.set_xticks(range(5), table.index)
axis.set(ylabel="RMSE", title=f"{method}, made of the {knows} SCM" if method not in ("erm", "parents") else method)
axis.legend(fontsize="small")
plt.show()
gain = table["erm"] - table[method]
mended = gain["spurious"] / (table["erm"] - table["parents"])["spurious"]
print(
    f"{method} against ERM: {-gain['iid']:+.3f} iid, {-gain['spurious']:+.3f} under the spurious flip "
    f"({mended:.0%} of what knowing the causes mends), {-gain['concept']:+.3f} where the causal mechanism moves."
)

# %%
metric = ck.runs.metric
recorded = {
    f"rmse_{test}": metric(table.loc[test, method], f"root mean squared error, {test}", unit="of y", better="lower")
    for test in tests
} | {
    f"less_erm_{test}": metric(
        -gain[test], f"RMSE less that of ERM on the same rows, {test}", unit="of y", better="lower"
    )
    for test in tests
}  # fmt: skip
recorded["mended"] = metric(
    mended, "of the spurious flip's harm that the parents mask takes away", unit="share", better="higher"
)
ck.runs.record(recorded, tables={"errors": table.reset_index(names="test")}, seeds=seeds)
