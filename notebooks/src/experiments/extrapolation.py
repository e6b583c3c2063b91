# %% [markdown]
# # Is a curve recovered outside of where it was seen?
#
# Two training environments show $y = \sin(2 x_1) + 1$, without noise, in two clouds; $x_2$ says which cloud a point is
# from and nothing else. A model that has recovered the causal invariance does not move with $x_2$, and follows the curve
# beyond the clouds. Chen et al. (2023), figure 4, show that PAIR recovers it and ERM, IRMv1 and V-REx do not.
#
# > **What can be hoped for.** The invariant function fits both environments without error, so risk, slopes and variance
# > are all 0 at it; but so they are at any network that fits both clouds, whatever it says elsewhere. No penalty tells
# > these apart. Which one is found is up to the network and the optimiser, and so to the seed: look at the spread.
#
# **The protocol** is their notebook's: 2 x 2,500 points, a network of 2 x 128 units, Adam with learning rate 0.001,
# batches of 256 an environment, raw data; IRMv1 with weight 0.01, V-REx 0.1 (of a variance with ddof 1: 0.2 here), PAIR
# after 1,500 steps with preference $(10^{-12}, 1, 10^{-8})$. They train for 100,000 steps, one seed; `steps` says how many
# here. Two differences: PAIR's weights see the head's gradients here and all there; IRMv1 and V-REx have their final
# weights from the first step, there after 1,500 steps. Their mean squared errors over $[-4, 4]^2$ are 0.802 (ERM), 1.014
# (IRMv1), **0.645** (V-REx), 0.684 (PAIR), or 1.596 with PAIR's other preference: by that measure V-REx came first, and
# what PAIR recovers is seen in a picture, near the clouds. Guessing the training mean has 0.50.
#
# **Time:** on one core, imports included, 12 seconds for ERM and 18 for PAIR.

# %% tags=["parameters"]
method = "erm"  # "erm", "irm", "vrex" or "pair"
steps = 3_000  # published: 100,000
preference = [1e-12, 1.0, 1e-8]  # of PAIR, for the risk, the slopes and the variance; its other one: [1e-8, 0.5, 0.5]
seed = 0  # data and model seeds are derived from it

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.seeds import integer

objectives = ck.objectives
pair = objectives.pair(preference, descent=min(1_500, steps // 2))
balance = replace(pair.phases[-1], optimiser=None, learning_rate=None)  # Adam, as in the steps of ERM
METHODS = {
    "erm": objectives.erm(),
    "irm": objectives.irm(0.01),
    "vrex": objectives.vrex(0.2),
    "pair": replace(pair, phases=(*pair.phases[:-1], balance)),
}
if method not in METHODS:
    raise ck.errors.unknown("method", method, METHODS)
seeds = {key: integer(seed, key) for key in ("data", "model")}
train, test = ck.coloured.extrapolation(seed=seeds["data"])

# %%
ck.model.BACKBONES["extrapolation"] = lambda inputs: ck.model.mlp(inputs, hidden=128)
task = ck.Task(("x1", "x2"), "y")
model = ck.fit(
    train, task, objective=METHODS[method], backbone="extrapolation", steps=steps, learning_rate=0.001, batch=256,
    schedule="constant", standardise=False, seed=seeds["model"],
)  # fmt: skip

# %% [markdown]
# The truth, what the model says, and where it errs. The curve goes from 0 to 2: guessing its mean everywhere costs its
# variance over the square.

# %%
line = np.linspace(-4, 4, 101)
grid = pd.DataFrame({"x1": np.tile(line, 101), "x2": np.repeat(line, 101)})
truth = np.sin(2 * grid["x1"]).to_numpy().reshape(101, 101) + 1
said = model.predict(grid).reshape(101, 101)  # a row an x2, a column an x1
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), sharey=True, layout="constrained")
for ax, values, title, colours, limits in zip(
    axes,
    (truth, said, np.abs(said - truth)),
    ("truth", f"{method} says", "error"),
    ("cividis", "cividis", "Greys"),
    ((0, 2), (0, 2), (0, 2)),
):
    image = ax.imshow(values, origin="lower", extent=(-4, 4, -4, 4), cmap=colours, vmin=limits[0], vmax=limits[1])
    for environment, marker in zip(train, "ox"):
        few = environment.frame.head(60)
        ax.scatter(few["x1"], few["x2"], s=12, marker=marker, color="#D55E00", linewidths=0.8, label=environment.name)
    ax.set(title=title, xlabel="$x_1$", xlim=(-4, 4), ylim=(-4, 4))
    figure.colorbar(image, ax=ax, shrink=0.8)
axes[0].set_ylabel("$x_2$")
axes[0].legend(loc="upper left", fontsize=8)
plt.show()

# %%
error, near = (said - truth) ** 2, np.abs(line) <= 2
inside = float(error[np.ix_(near, near)].mean())
uniform = test.frame
outside = float(np.mean((uniform["y"] - model.predict(uniform)) ** 2))
fitted = float(np.mean([np.mean((e.frame["y"] - model.predict(e.frame)) ** 2) for e in train]))
moves = float(said[np.ix_(near, near)].var(axis=0).mean() / said[np.ix_(near, near)].var())
mean = float(np.mean((uniform["y"] - np.mean([e.frame["y"].mean() for e in train])) ** 2))
print(
    f"{method}: mean squared error {fitted:.4f} in training, {inside:.2f} over [-2, 2]^2, {outside:.2f} over [-4, 4]^2, "
    f"where guessing the training mean has {mean:.2f}."
)
print(f"Over [-2, 2]^2, {moves:.0%} of the variance of what it says is along x2, with which y does not move.")

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "mse_uniform": metric(outside, "mean squared error over [-4, 4]^2", unit="y squared", better="lower"),
        "mse_near": metric(inside, "mean squared error over [-2, 2]^2", unit="y squared", better="lower"),
        "mse_train": metric(fitted, "mean over the training environments", unit="y squared", better="lower"),
        "mse_mean": metric(mean, "of the training mean, over [-4, 4]^2", unit="y squared"),
        "along_x2": metric(
            moves,
            "share of the prediction's variance that is along x2, over [-2, 2]^2",
            unit="share",
            better="lower",
            truth=0,
        ),
    },
    seeds=seeds,
)
