# %% [markdown]
# # Do learned SCMs foretell what inhibitors did to Sachs' cells?
#
# Seven thousand cells, eleven proteins and lipids, nine conditions (Sachs et al. 2005), the natural log of the
# fluorescence. An SCM is learned along a graph from cells that the drug never touched, and asked what the drug does;
# the cells that were given it are the answer. All changes are of means, from the condition without a drug (`cd3cd28`),
# in that condition's standard deviations.
#
# **A level.** Psitect binds PIP2: $do(\text{PIP2} = \text{its mean under psitect})$, taken literally. Beside the model
# stand "nothing changes", which ignores the drug, and "as seen": the regression of each variable on PIP2 in the same
# cells, which takes a correlation for an effect.
#
# **An activity.** G0076 inhibits PKC and U0126 inhibits Mek: what these proteins *do* is blocked, their measured amount
# need not move (PMA and b2cAMP activate PKC and PKA, but lack the stimulus of `cd3cd28`, so more differs than the
# drug). Three answers:
#
# - $do(\text{level})$: set the protein to its mean in the condition. Where the drug raised that level, this asks for an
#   activation.
# - *told*: the mechanisms of the protein's children change. They hear it at its 5 % quantile, inhibited, or at its 95 %
#   quantile, activated. Nothing of the condition is used.
# - *fitted*: they hear it at one level for all, that which makes **one** child's values in the condition likeliest.
#   That child is then left out of the score; every child takes its turn.
#
# Scored is the direction of change of the protein's effects (in the graph) which moved by more than 0.1 sd and two
# standard errors. An answer below 0.02 sd is *silent*. What moved and is no effect is counted apart: no answer along
# that graph could have told. `graph`: `"consensus"` (17 edges); `"expected"`, with the three arrows that the biologists
# expected and the paper's own inference missed (PIP2 -> PKC, Plcg -> PKC, PIP3 -> Akt); `"discovered"`, FLOP on
# resampled cells. In the consensus PIP2 has no effect at all, so $do(\text{PIP2})$ moves nothing there.

# %% tags=["parameters"]
mechanism = "linear"  # "linear", "mlp", "additive", "location_scale", "flow" or "auto"
graph = "consensus"  # "consensus", "expected" or "discovered"
learn = "observational"  # from the condition without a drug alone; "others": from all conditions but the one asked for
members = 5  # SCMs, each from resampled cells; of "discovered" each with its own graph
draws = 4000  # from each, for its means
rows = 1000  # cells to learn from, at most; drawn again for each member
level = 0.9  # of intervals
seed = 0

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import torch

import causalkit as ck
from causalkit.estimation import FITS
from causalkit.graphs import children_of
from causalkit.seeds import integer

for kind, value, known in (
    ("mechanism", mechanism, FITS), ("graph", graph, ("consensus", "expected", "discovered")),
    ("learn", learn, ("observational", "others")),
):  # fmt: skip
    if value not in known:
        raise ck.errors.unknown(kind, value, known)
seeds = {key: integer(seed, key) for key in ("rows", "model", "draws")}
conditions, consensus = ck.load_sachs()
names = list(consensus)
cells, did = {c.name: c.frame[names] for c in conditions}, ck.datasets.SACHS_EXPERIMENTS
base = cells["cd3cd28"]
mean, sd = base.mean(), base.std()
changes = pd.DataFrame({name: (frame.mean() - mean) / sd for name, frame in cells.items()}).T
error = pd.DataFrame(
    {name: np.sqrt(frame.var() / len(frame) + base.var() / len(base)) / sd for name, frame in cells.items()}
).T
moved = (changes.abs() > 0.1) & (changes.abs() > 2 * error)


# %%
def graphs(known):
    """The DAGs to learn along, one or (discovered) one a member."""
    if graph == "discovered":
        drawn = [known.sample(frac=1.0, replace=True, random_state=seeds["rows"] + k) for k in range(members)]
        return [ck.graphs.member(ck.discover(frame, "flop", seeds["model"])) for frame in drawn]
    extra = [("PIP2", "PKC"), ("Plcg", "PKC"), ("PIP3", "Akt")] if graph == "expected" else []
    return ck.graphs.dag([*consensus.edges, *extra], names)


def learned(condition):
    """An ensemble that has seen no cell of this condition."""
    kept = ["cd3cd28"] if learn == "observational" else [name for name in cells if name != condition]
    known = pd.concat([cells[name] for name in kept], ignore_index=True)
    known = known.sample(min(rows, len(known)), random_state=seeds["rows"])
    each = 2 if graph == "discovered" else members
    return ck.fit_ensemble(graphs(known), known, mechanism=mechanism, members=each, seed=seeds["model"])


def mean_change(scm, acted):
    """The change of the means from one SCM to another, by the same noise, in sds."""
    before, after = (one.sample(draws, seed=seeds["draws"]) for one in (scm, acted))
    return (after.mean() - before.mean())[names] / sd


# %% [markdown]
# ## A level: psitect and PIP2

# %%
drug, node = "cd3cd28+psitect", "PIP2"
value = float(cells[drug][node].mean())
ensemble = learned(drug)
said = ensemble.effect({node: value}, against={}, n=draws, level=level, seed=seeds["draws"])
unit = sd[said.index]
slope = pd.Series({v: np.polyfit(base[node], base[v], 1)[0] for v in said.index})
psitect = pd.DataFrame(
    {
        "measured": changes.loc[drug, said.index],
        "2 se": 2 * error.loc[drug, said.index],
        "model": said["mean"] / unit,
        "low": said["low"] / unit,
        "high": said["high"] / unit,
        "as seen": slope * (value - mean[node]) / unit,
    }
)
gap = {name: float(np.sqrt(((psitect["measured"] - psitect[name]) ** 2).mean())) for name in ("model", "as seen")}
gap["nothing"] = float(np.sqrt((psitect["measured"] ** 2).mean()))
inside = (psitect["measured"] + psitect["2 se"] >= psitect["low"]) & (
    psitect["measured"] - psitect["2 se"] <= psitect["high"]
)
below = float((base[node] < value).mean())
print(
    f"{node} under {drug}: {value:.2f}, {(value - mean[node]) / sd[node]:+.2f} sd; {below:.0%} of the cells without the "
    f"drug lie below. Root mean square distance from the measured changes of the ten others: model {gap['model']:.3f} sd, "
    f"nothing changes {gap['nothing']:.3f}, as seen {gap['as seen']:.3f}. {int(inside.sum())} of 10 measured changes "
    f"(with their 2 se) meet the model's {level:.0%} interval."
)
psitect.round(2)

# %% [markdown]
# ## An activity: inhibitors and activators

# %%
trials = {name: done for name, done in did.items() if done.kind == "activity" and done.node}
inhibited = {name: not name.startswith(("pma", "b2camp")) for name in trials}


def hearing(scm, node, heard):
    """The SCM in which the children of the node hear it at one level, whatever its own."""
    children = children_of(scm.graph, node)
    return scm.replace({v: scm.mechanisms[v].with_gain({node: 0.0}, {node: heard}) for v in children})


def likeliest(scm, node, child, frame):
    """The level of the node at which this child's values in the frame are likeliest."""
    m = scm.mechanisms[child]
    x, y = (torch.tensor(frame[columns].to_numpy()) for columns in (list(m.parents), child))
    grid = np.quantile(base[node], np.linspace(0.005, 0.995, 100))
    return max(grid, key=lambda h: float(m.with_gain({node: 0.0}, {node: float(h)}).log_prob(x, y).sum()))


# %%
answers, reached = {}, {}  # (condition, answer, left out) -> the members' mean change; condition -> effects
for name, done in trials.items():
    scms, node, frame = learned(name).members, done.node, cells[name]
    heard = float(base[node].quantile(0.05 if inhibited[name] else 0.95))
    found = {("level", ""): [mean_change(s, s.do({node: float(frame[node].mean())})) for s in scms]}
    found["told", ""] = [mean_change(s, hearing(s, node, heard)) for s in scms]
    for child in [v for v in names if any(s.graph.has_edge(node, v) for s in scms)]:
        fits = [(s, likeliest(s, node, child, frame)) for s in scms if s.graph.has_edge(node, child)]
        found["fitted", child] = [mean_change(s, hearing(s, node, float(h))) for s, h in fits]
    reached[name] = set().union(*(nx.descendants(s.graph, node) for s in scms))
    answers |= {(name, *key): pd.concat(each, axis=1).mean(axis=1) for key, each in found.items()}
lines = []
for (name, answer, left), change in answers.items():
    for v in names:
        if v not in (trials[name].node, left) and moved.loc[name, v] and v in reached[name]:
            right = "silent" if abs(change[v]) < 0.02 else "right" if change[v] * changes.loc[name, v] > 0 else "wrong"
            lines.append((name, trials[name].node, answer, left, v, changes.loc[name, v], change[v], right))
told = pd.DataFrame(lines, columns=["condition", "node", "answer", "left out", "variable", "measured", "said", "is"])

# %%
counts = told.groupby(["condition", "node", "answer"], sort=False)["is"].value_counts().unstack(fill_value=0)
counts = counts.reindex(columns=["right", "wrong", "silent"], fill_value=0)
kinds = counts.index.get_level_values("condition").map(lambda name: "inhibitor" if inhibited[name] else "activator")
both = counts.groupby([kinds, counts.index.get_level_values("answer")]).sum()
each = pd.MultiIndex.from_product([["inhibitor", "activator"], ["level", "told", "fitted"]])
both = both.reindex(each, fill_value=0)
for (kind, answer), row in both.iterrows():
    spoken = row["right"] + row["wrong"]
    print(f"{kind}s, {answer}: {row['right']} of {spoken} directions right, {row['silent']} silent.")
unforeseen = {
    name: [v for v in names if moved.loc[name, v] and v not in {trials[name].node} | reached[name]] for name in trials
}
print(
    "Moved, and no effects of it in the graph:",
    "; ".join(f"{name}: {', '.join(vs)}" for name, vs in unforeseen.items()),
)
counts

# %% [markdown]
# The protein itself: an inhibitor of activity need not lower its level.

# %%
own = pd.Series({f"{done.node}, {name}": changes.loc[name, done.node] for name, done in trials.items()}, name="sd")
print("; ".join(f"{where}: {by:+.2f} sd" for where, by in own.items()))
erk = {answer: float(answers["cd3cd28+u0126", answer, ""]["Erk"]) for answer in ("level", "told")}
erk["measured"] = float(changes.loc["cd3cd28+u0126", "Erk"])
print("Erk, when Mek is inhibited, sd:", ", ".join(f"{name} {by:+.2f}" for name, by in erk.items()))
wanted = ["cd3cd28+g0076", "cd3cd28+u0126"]
figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
spots = np.arange(len(psitect))
axes[0].errorbar(spots, psitect["measured"], psitect["2 se"], fmt="D", color="#000000", ms=5, label="measured, 2 se")
ends = np.abs(psitect[["low", "high"]].sub(psitect["model"], axis=0)).T.to_numpy()
axes[0].errorbar(spots + 0.2, psitect["model"], ends, fmt="o", color="#0072B2", ms=5, label=f"model, {level:.0%}")
axes[0].plot(spots - 0.2, psitect["as seen"], "s", color="#D55E00", mfc="none", ms=5, label="as seen")
axes[0].set_xticks(spots, psitect.index, rotation=60)
axes[0].set(title=f"psitect: do(PIP2 = {value:.2f})", ylabel="change of the mean, sd")
for ax, name in zip(axes[1:], wanted):
    shown = [v for v in names if v != trials[name].node]
    spots = np.arange(len(shown))
    ends = 2 * error.loc[name, shown]
    ax.errorbar(spots, changes.loc[name, shown], ends, fmt="D", color="#000000", ms=5, label="measured, 2 se")
    ax.plot(spots - 0.2, answers[name, "level", ""][shown], "s", color="#D55E00", mfc="none", ms=6, label="do(level)")
    ax.plot(spots + 0.2, answers[name, "told", ""][shown], "o", color="#009E73", ms=5, label="activity, told")
    ax.set_xticks(spots, shown, rotation=60)
    ax.set(title=f"{name.split('+')[1]}: {trials[name].node} inhibited")
for ax in axes:
    ax.axhline(0, color="0.8", lw=1, zorder=0)
    ax.legend(fontsize=8)
plt.show()

# %%
metric = ck.runs.metric
metrics = {
    "psitect_model": metric(gap["model"], "distance of do(PIP2) from the measured changes", unit="sd", better="lower"),
    "psitect_nothing": metric(gap["nothing"], "the same of: nothing changes", unit="sd"),
    "psitect_as_seen": metric(gap["as seen"], "the same of regressions on PIP2", unit="sd"),
    "psitect_covered": metric(int(inside.sum()), "changes of 10 that meet the model's interval", unit="variables", better="higher"),
    "psitect_level": metric((value - mean["PIP2"]) / sd["PIP2"], "PIP2 under psitect", unit="sd"),
}  # fmt: skip
for (kind, answer), row in both.iterrows():
    for word, better in (("right", "higher"), ("wrong", "lower"), ("silent", None)):
        about = f"directions {word}, {kind}s, {answer}"
        metrics[f"{kind}_{answer}_{word}"] = metric(int(row[word]), about, unit="variables", better=better)
for answer, by in erk.items():
    metrics[f"erk_{answer}"] = metric(by, f"change of Erk when Mek is inhibited, {answer}", unit="sd")
no_effects = sum(len(vs) for name, vs in unforeseen.items() if inhibited[name])
metrics["inhibitor_unforeseen"] = metric(
    no_effects, "moved under an inhibitor, no effect in the graph", unit="variables"
)
ck.runs.record(metrics, seeds=seeds)
