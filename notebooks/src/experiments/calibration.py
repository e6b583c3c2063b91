# %% [markdown]
# # How sure is an edge?
#
# `ck.bootstrap` says how often an edge comes back when the rows are drawn anew. Is that a probability? Several random
# SCMs, a sample of each, a bootstrap of each; then all claims are pooled, and of those made with a share of, say, 0.7 to
# 0.8 it is counted how many are true. Two kinds of claims: that two variables are joined (*edge*), and that one causes
# the other (*arrow*, once for each direction). A line of a CPDAG claims an edge and no arrow.
#
# - **Expected calibration error**: |share - share that is true|, mean over the ten bins, weighted by their claims. Most
#   pairs are never joined and are easy; so the **excess** stands beside it: over the claims with a share of at least
#   one half, mean share minus share that is true. Above 0, the bootstrap promises too much.
# - **Brier score**: mean of (share - truth)$^2$: calibration and sharpness in one (Brier 1950). It is given for the
#   shares, for their consensus graph (`ck.consensus`), and for the one graph of the data themselves, whose claims are
#   all 0 or 1.

# %% tags=["parameters"]
method = "flop"  # a key of ck.METHODS that reads one frame of numbers
variables = 10
degree = 2.0  # expected neighbours of a variable
mechanism = "linear"  # a key of ck.MECHANISMS, such as "linear", "gp" or "mlp"
noise = "gaussian"  # a key of ck.mechanisms.NOISES
rows = 500  # of each sample
resamples = 50  # of each sample
systems = 5  # random SCMs, each with one sample
seed = 0  # graphs, data and resamples have streams derived from it

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.seeds import integer

seeds = {key: integer(seed, key) for key in ("graph", "data", "resamples")}
draw = np.random.default_rng(seeds["data"])
truths, tables, graphs = [], [], []
for i in range(systems):
    scm = ck.random_scm(
        variables, degree=degree, mechanism=mechanism, noise=noise, seed=integer(seeds["graph"], str(i))
    )
    frame = scm.sample(rows, seed=integer(seeds["data"], str(i)))
    frame = frame[draw.permutation(frame.columns)]  # the order of columns must not help
    own = integer(seeds["resamples"], str(i))
    truths.append(scm.graph)
    graphs.append(ck.discover(frame, method, own))
    tables.append(ck.bootstrap(frame, method, n=resamples, seed=own, n_jobs=1))


# %%
def as_table(graph, pairs):
    """A graph as a bootstrap of one resample: each of its shares is 0 or 1."""
    rows = []
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        forth, back = graph.has_edge(a, b), graph.has_edge(b, a)
        rows.append((a, b, forth or back, forth and not back, back and not forth, forth and back))
    return pd.DataFrame(rows, columns=pairs.columns).astype(dict.fromkeys(pairs.columns[2:], float))


def claims(table, truth):
    """Share and truth of each claim: kind -> array [claims, 2]."""
    forth = np.array([truth.has_edge(a, b) for a, b in zip(table["a"], table["b"], strict=True)], dtype=float)
    back = np.array([truth.has_edge(b, a) for a, b in zip(table["a"], table["b"], strict=True)], dtype=float)
    arrows = np.vstack([np.column_stack([table["forward"], forth]), np.column_stack([table["backward"], back])])
    return {"edge": np.column_stack([table["present"], forth + back]), "arrow": arrows}


agreed = [as_table(ck.consensus(table), table) for table in tables]
single = [as_table(graph, table) for graph, table in zip(graphs, tables, strict=True)]
scores = {}
for way, shares in (("bootstrap", tables), ("consensus", agreed), ("single", single)):
    bins = ck.calibration(shares, truths)
    for kind in ("edge", "arrow"):
        each = bins[bins["claim"] == kind]
        made = np.vstack([claims(table, truth)[kind] for table, truth in zip(shares, truths, strict=True)])
        sure = made[made[:, 0] >= 0.5]
        scores[way, kind] = {
            "calibration error": np.average((each["claimed"] - each["true"]).abs(), weights=each["n"]),
            "excess": np.diff(sure.mean(0)[::-1])[0] if len(sure) else None,
            "brier": np.mean((made[:, 0] - made[:, 1]) ** 2),
            "sure claims": len(sure),
        }
pd.DataFrame(scores).T.round(3)

# %%
ax = ck.plotting.plot_calibration(ck.calibration(tables, truths), ax=plt.figure(figsize=(5, 4)).gca())
ax.set_title(f"{method}: {systems} systems, {resamples} resamples each")
plt.show()
for kind in ("edge", "arrow"):
    score = scores["bootstrap", kind]
    if score["excess"] is not None:
        word = "more" if score["excess"] > 0 else "less"
        print(
            f"{kind}: {score['sure claims']} claims with a share of one half or more; they promise "
            f"{abs(score['excess']):.1%} {word} than is true."
        )

# %%
means = {
    "calibration error": ("ece", "mean |share - share that is true| over ten bins", "lower"),
    "excess": ("excess", "mean share minus share that is true, of claims of one half or more", None),
    "brier": ("brier", "mean squared difference of share and truth", "lower"),
}
ck.runs.record(
    {
        f"{short}_{kind}{'' if way == 'bootstrap' else '_' + way}": ck.runs.metric(
            score[word], f"{way}, {kind}s: {meaning}", unit="share", better=better,
            truth=0 if short == "excess" else None, repeats=not (method == "flop" and variables >= 50),
        )
        for (way, kind), score in scores.items()
        for word, (short, meaning, better) in means.items()
    },
    seeds=seeds,
)  # fmt: skip
