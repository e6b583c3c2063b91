# %% [markdown]
# # Does a network read the digit or its colour?
#
# The experiment of Coloured MNIST (Arjovsky et al. 2019), small: the label says whether a digit is below 5, wrong with
# probability `label_noise` everywhere; the colour agrees with the *label* but for probability `flips[e]` in training
# environment $e$, and in the tests but for 0.1, 0.5 and 0.9. Where the colour agrees more often than the digit
# (label noise 0.25) ERM reads the colour, and is wrong where it has turned round. A method holds if its *worst* test
# accuracy does, which is what papers report.
#
# > **This is not MNIST.** `"digits"` are scikit-learn's 1,797 images of 8 x 8 pixels, `"signals"` come from the
# > MNIST-1D generator (not rolled round, see `ck.coloured.signals`): both coloured by the same recipe, offline. Figures
# > published for Coloured MNIST say in which order methods should come; they need not come out.
#
# **The protocol** is that of Chen et al. (2023): full batches, Adam with learning rate 0.001 and its usual betas, L2 0.001;
# 100 steps of ERM, then penalties of weight 10,000, the *whole* loss divided by that weight; PAIR: 150 steps of ERM, then
# momentum 0.9, preference $(1, 10^{10}, 10^{12})$ with the variance's ddof 1. FeAT (Chen et al. 2023b): `rounds` of 150
# steps that look for features, then the head alone with a penalty, $10^4$ for IRMv1 and $10^6$ for V-REx. Different here:
# 64 units a layer instead of 256, the kit's initial weights, 1,000 steps of the head instead of 2,001 and 5,001. Those who
# proposed the methods chose such numbers on Coloured MNIST's *test* environments; what differs here was settled with the
# tests of seed 0 in view, so the suite runs other seeds.
#
# Coloured digits are few: 25,000 rows an environment, as in Coloured MNIST, are at most 4,792 different ones. Training
# sees each once, weighted by how often it occurs (`ck.coloured.distinct`), which changes no risk.
#
# **Time:** on one core, imports included, 12 seconds for ERM and 19 for PAIR on digits; more for signals and FeAT.

# %% tags=["parameters"]
method = (
    "erm"  # also "irm", "vrex", "irmx", "pair", "feat_irm", "feat_vrex", "group_dro", "oracle" (ERM without colour)
)
data = "digits"  # "digits" or "signals"
label_noise = 0.25  # probability that the label differs from what the digit says, everywhere
flips = [0.1, 0.2]  # probability that the colour differs from the label, one a training environment
rows = 25_000  # an environment
hidden = 64  # units in each of two hidden layers
steps = 501
penalty = 10_000.0  # weight of each penalty of irm, vrex and irmx, beside the sum of the risks
wait = 100  # steps of ERM before a penalty counts
balance_rate = 0.1  # learning rate of PAIR's second phase; published: 0.1, and 0.01 at label noise 0.1
rounds = 2  # of FeAT; published: 2, and 3 at label noise 0.1
head_steps = 1_000  # of FeAT, after its rounds, in place of `steps`
seed = 0  # data and model seeds are derived from it

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap

import causalkit as ck
from causalkit.seeds import integer
from causalkit.training.optimisers import adam

objectives, environments = ck.objectives, len(flips)
ddof = environments / (environments - 1)  # the papers' variance has ddof 1


def shrinking(batch, state):
    """The sum of the risks and the L2 norm, divided by `penalty` once the penalties count."""
    norm = sum(parameter.square().sum() for parameter in batch.parameters.values())
    return (batch.risks.sum() + 0.001 * norm) * torch.where(state["step"] < wait, 1.0, 1.0 / penalty)


METHODS = {
    "erm": objectives.erm(),
    "irm": replace(objectives.irm(1.0).anneal(start=wait), risk=shrinking),
    "vrex": replace(objectives.vrex(ddof).anneal(start=wait), risk=shrinking),
    "irmx": replace(objectives.irmx(1.0, ddof).anneal(start=wait), risk=shrinking),
    "pair": objectives.pair((1.0, 1e10, ddof * 1e12), learning_rate=balance_rate),
    "feat_irm": objectives.feat(objectives.irm(1e4 / environments), rounds=rounds),
    "feat_vrex": objectives.feat(objectives.vrex(1e6 * ddof / environments), rounds=rounds),
    "group_dro": objectives.group_dro(),
    "oracle": objectives.erm(),
}
MAKERS = {"digits": ck.coloured.digits, "signals": ck.coloured.signals}
for name, value, known in (("method", method, METHODS), ("data", data, MAKERS)):
    if value not in known:
        raise ck.errors.unknown(name, value, known)
seeds = {key: integer(seed, key) for key in ("data", "model")}

# %%
make = MAKERS[data]
train = make({f"flip {flip}": flip for flip in flips}, rows, label_noise=label_noise, seed=seeds["data"])
test = make(
    {f"flip {flip}": flip for flip in (0.1, 0.5, 0.9)}, 5_000, label_noise=label_noise, part="test", seed=seeds["data"]
)

# %% [markdown]
# Eight training rows: the label is above, the colour is the channel in which the values stand.

# %%
figure, axes = plt.subplots(1, 8, figsize=(10, 2), layout="constrained")
for ax, (_, row) in zip(axes, train[0].frame.head(8).iterrows()):
    colour = ("#D55E00", "#0072B2")[int(row["colour"])]
    both = row.filter(regex=r"^p\d+$").to_numpy(float).reshape(2, -1)
    if data == "digits":
        ax.imshow(both.sum(0).reshape(8, 8), cmap=LinearSegmentedColormap.from_list("one", ["white", colour]))
    else:
        for channel, line in zip(both, ("-", "--")):
            ax.plot(channel, line, color=colour)
    ax.set(
        xticks=[],
        yticks=[],
        title=f"{'below 5' if row['y'] else '5 or more'}\n{('first', 'second')[int(row['colour'])]}",
    )
plt.show()
agree = float(np.mean(train[0].frame["colour"] == train[0].frame["y"]))
print(
    f"In {train[0].name} the colour (orange: the first channel) agrees with the label in {agree:.0%} of the rows, "
    f"the digit in {np.mean(train[0].frame['shape'] == train[0].frame['y']):.0%}."
)

# %%
if method == "oracle":
    train, test = ck.coloured.grey(train), ck.coloured.grey(test)
task = ck.coloured.task(train)
few, counts = ck.coloured.distinct(train)
ck.model.BACKBONES["coloured"] = lambda inputs: ck.model.mlp(inputs, hidden=hidden)
goal = METHODS[method]
model = ck.fit(
    few, task, objective=goal, weights=counts, backbone="coloured", optimiser=partial(adam, betas=(0.9, 0.999)),
    steps=rounds * 150 + head_steps if method.startswith("feat") else steps, learning_rate=0.001, schedule="constant",
    weight_decay=0.0 if goal.risk is shrinking else 0.002, standardise=False, seed=seeds["model"],
)  # fmt: skip

# %%
inside, outside = ck.evaluate(model, train, task), ck.evaluate(model, test, task)
middle = test[1].frame  # where the colour says nothing of the label
said = model.predict(middle)
follows = {name: float(np.mean(said == middle[name])) for name in ("shape", "colour")}
same, useless, turned = outside["accuracy"]
print(
    f"{method}: {inside['accuracy'].mean():.1%} right in training; with the colour flipped in 10, 50 and 90 % of the "
    f"rows {same:.1%}, {useless:.1%} and {turned:.1%}. At best, by the digit alone: {1 - label_noise:.0%}."
)
print(
    f"Where colour and label are independent, it says what the digit says in {follows['shape']:.0%} of the rows, what "
    f"the colour says in {follows['colour']:.0%}; 50 % is chance."
)
outside.round(3)

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "accuracy_worst": metric(
            min(same, useless, turned),
            "lowest accuracy of the three tests",
            unit="share",
            better="higher",
            truth=1 - label_noise,
        ),
        "accuracy_same": metric(same, "colour flipped in 10 % of the rows", unit="share", better="higher"),
        "accuracy_useless": metric(useless, "colour flipped in 50 % of the rows", unit="share", better="higher"),
        "accuracy_turned": metric(turned, "colour flipped in 90 % of the rows", unit="share", better="higher"),
        "accuracy_train": metric(inside["accuracy"].mean(), "mean over the training environments", unit="share"),
        "follows_shape": metric(
            follows["shape"],
            "predictions that agree with the digit where colour says nothing",
            unit="share",
            better="higher",
        ),
        "follows_colour": metric(
            follows["colour"], "predictions that agree with the colour where it says nothing", unit="share", truth=0.5
        ),
    },
    seeds=seeds,
)
