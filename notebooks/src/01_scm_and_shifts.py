# %% [markdown]
# # What does a causal model know that a data set does not?
#
# A *structural causal model* (SCM) is a list of assignments, $x_j := f_j(x_{\mathrm{pa}(j)}, u_j)$: each variable is
# made from its causes and its own noise. From one such list come three kinds of answers: what we would **see**, what
# would happen if we **did** something, and what **would have been** for a row that we have seen. It also says what a
# **shift** of the distribution changes, by how much, and what it must leave alone.
#
# **You will be able to** read an SCM and its graph; tell $P(y \mid x)$ from $P(y \mid do(x))$; compute a
# counterfactual in three steps; name six ways in which a distribution can shift, with what each leaves alone; say how
# large a shift is in nats; and find the point from which on fewer features predict better.
#
# **Time:** reading and playing, 60 minutes; running from top to bottom on one core, 15
# seconds with the fast budget, 30 with the full one.

# %% tags=["parameters"]
data = "synthetic"  # "synthetic": a known SCM; "sachs": an SCM learned on protein levels in single cells
graph = "teaching"  # or "random", a name in ck.graphs.TEXTBOOK, or text such as "x -> y -> z; x <-> y"; synthetic only
target = ""  # the variable to predict; empty: "y", or for "sachs" the protein "Mek"
mechanism = "linear"  # "linear" or "mlp": the f_j
noise = "gaussian"  # "gaussian", "laplace", "uniform", ...; read for "synthetic" only
shift = "spurious"  # where the laboratory starts: a key of ck.SHIFTS
direction = -1  # of all shifts: +1 or -1
nats = 0.5  # how far they go
budget = "fast"  # rows a sample: "tiny" 500, "fast" 2,000, "full" 20,000
seed = 0  # of the samples, and of the mechanisms of all graphs but "teaching"

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
from IPython.display import Image

import causalkit as ck
from causalkit.graphs import children_of, parents_of

target = target or {"synthetic": "y", "sachs": "Mek"}[data]
n = {"tiny": 500, "fast": 2_000, "full": 20_000}[budget]
conditions, consensus = ck.load_sachs()


def system(name):
    """The SCM of this name: "sachs", "teaching", "random", a textbook graph, or a graph in words."""
    if name == "sachs":
        return ck.fit_scm(consensus, conditions[0].frame, mechanism=mechanism, seed=seed)
    if name == "teaching":
        return ck.teaching_scm(mechanism=mechanism, noise=noise)
    if name == "random":  # its busiest variable takes the target's name
        dag = ck.graphs.erdos_renyi(6, 2.5, seed=seed)
        dag = nx.relabel_nodes(dag, {max(dag, key=lambda v: min(dag.in_degree(v), dag.out_degree(v))): target})
    else:
        dag = ck.graphs.textbook(name) if name in ck.graphs.TEXTBOOK else ck.graphs.parse(name)
    return ck.random_scm(graph=dag, mechanism=mechanism, noise=noise, seed=seed)


graph = "sachs" if data == "sachs" else graph
scm = system(graph)
scm

# %% [markdown]
# The teaching SCM and the random ones are the truth, because they make the data. With `data = "sachs"` the SCM was
# fitted to 853 cells under general stimulation along the consensus graph (Sachs et al. 2005; log fluorescence), so it
# is a *hypothesis*; the last section holds it against experiments.
#
# ## 1. The graph is read off the assignments
#
# *Predict:* which variables should change when the target is set by force? Then look which ones its arrows reach.

# %%
figure, ax = plt.subplots(figsize=(7.5, 4.2))
ck.plotting.draw_graph(scm.graph, ax=ax, highlight=[target])
ax.set_title(f"The causal graph; the target is {target}")
plt.show()
print(
    f"Causes of {target}: {', '.join(parents_of(scm.graph, target)) or 'none'}. "
    f"Effects: {', '.join(children_of(scm.graph, target)) or 'none'}."
)
if data == "synthetic":  # simulated data may give the order away
    paths = ck.sortability(scm.sample(n, seed=seed), scm.graph)
    print(
        f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, "
        f"{paths['relatives']:.0%} in the number of relatives: near 50% sorting by it tells nothing of the causal order, "
        "near 0 or 100% all of it."
    )

# %% [markdown]
# ## 2. Seeing is not doing
#
# `scm.sample` draws rows; `scm.do({...})` returns a **new** SCM in which one assignment is replaced by a number. The same
# seed gives the same noise $u$ to both, so every difference below is an effect and not luck.
#
# *Predict:* rows in which the **effect** happens to be high have a high target. If we *push* the effect up, does the
# target rise?

# %%
# the ladder needs a target with a cause and an effect, and nothing hidden; where the graph lacks them, the teaching SCM
fit = not scm.hidden and parents_of(scm.graph, target) and children_of(scm.graph, target)
ladder, node = (scm, target) if fit else (system("teaching"), "y")
cause, effect = parents_of(ladder.graph, node)[0], children_of(ladder.graph, node)[0]
seen = ladder.sample(n, seed=seed)
high = float(seen[effect].mean() + seen[effect].std())
near = seen[(seen[effect] - high).abs() < 0.25 * seen[effect].std()]
done_effect = ladder.do({effect: high}).sample(n, seed=seed)
high_cause = float(seen[cause].mean() + seen[cause].std())
done_cause = ladder.do({cause: high_cause}).sample(n, seed=seed)

pd.DataFrame(
    {
        f"mean of {node}": [
            seen[node].mean(),
            near[node].mean(),
            done_effect[node].mean(),
            done_cause[node].mean(),
        ],
        "rows": [len(seen), len(near), len(done_effect), len(done_cause)],
    },
    index=[
        "all rows",
        f"seen: {effect} near {high:.2f}",
        f"do({effect} = {high:.2f})",
        f"do({cause} = {high_cause:.2f})",
    ],
).round(3)

# %% [markdown]
# Seeing a high effect is good news about the target; making it high does nothing to the target. A prediction may use
# the news; a decision must not.


# %%
def draw_do(value):
    """The target's distribution as seen, and after do(cause = value) and do(effect = value), in sds from the mean."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    lines = []
    for ax, variable in zip(axes, (cause, effect)):
        level = float(seen[variable].mean() + value * seen[variable].std())
        done = ladder.do({variable: level}).sample(n, seed=seed)
        bins = np.linspace(seen[node].quantile(0.001), seen[node].quantile(0.999), 40)
        ax.hist(seen[node], bins, density=True, color="0.8", label="seen")
        ax.hist(done[node], bins, density=True, histtype="step", lw=2, color="#0072B2", label=f"do({variable})")
        ax.set(xlabel=node, title=f"do({variable} = {level:.2f})")
        ax.legend()
        lines.append(
            f"do({variable} = {level:.2f}) moves the mean of {node} by {done[node].mean() - seen[node].mean():+.2f}"
        )
    axes[0].set_ylabel("density")
    return figure, "; ".join(lines) + "."


figure, sentence = draw_do(value=1.0)
plt.show()
print(sentence)

# %% [markdown]
# Move the value yourself: only one of the two panels follows.

# %%
ck.widgets.explore(draw_do, value=ck.widgets.slider("Value, sd from the mean", [-2.0, -1.0, 0.0, 1.0, 2.0], 1.0))

# %% [markdown]
# ## 3. What would have been: abduct, act, predict
#
# A counterfactual is about **one row**. (1) *Abduct*: find the noise $u$ that made this row. (2) *Act*: replace an
# assignment. (3) *Predict*: run the assignments again with the same noise.
#
# *Predict:* is the answer for one row the same as the average under $do$?

# %%
row = seen.iloc[[0]]
noise_of_row = ladder.abduct(row)
counterfactual = ladder.do({cause: high_cause}).push(noise_of_row)  # = ladder.counterfactual(row, {cause: ...})
table = pd.concat(
    [row, noise_of_row, counterfactual], keys=["factual row", "its noise u", f"had {cause} been {high_cause:.2f}"]
)
table.droplevel(1).round(3)

# %%
for_this_row, on_average = float(counterfactual[node].iloc[0]), float(done_cause[node].mean())
print(
    f"{node} for this row, had {cause} been {high_cause:.2f}: {for_this_row:.3f}; "
    f"on average under do({cause} = {high_cause:.2f}): {on_average:.3f}. The difference is this row's own noise."
)

# %% [markdown]
# > **Assumptions.** Counterfactuals need more than the graph: here, noise that is *added* (so that it can be recovered),
# > no hidden common causes, and the right mechanisms. Two SCMs can agree on every experiment and still disagree here.
#
# The next cell breaks one: $y = x + u$ and $y = x - \mathrm{sign}(x)\,u$ give the same data and the same experiments
# (for symmetric $u$), and opposite counterfactuals.

# %%
x = np.random.default_rng(seed).normal(size=n)
u = np.random.default_rng(seed + 1).normal(size=n)
y_a, y_b = x + u, x - np.sign(x) * u
u_a, u_b = y_a - x, -np.sign(x) * (y_a - x)  # what each model abducts from the same rows (x, y_a)
moved = -x  # had x been -x
cf_a, cf_b = moved + u_a, moved - np.sign(moved) * u_b
agreement = float(np.corrcoef(cf_a - moved, cf_b - moved)[0, 1])
print(
    f"sd of y: {y_a.std():.2f} and {y_b.std():.2f}; correlation of the noise in the two counterfactuals: {agreement:+.2f}."
)

# %% [markdown]
# ## 4. Six shifts, each with a certificate
#
# A **shift** is a function from an SCM to an SCM: it changes some mechanisms. Which ones decides what a predictor of
# the target may rely on. The certificate lists what changed, what stands, and for which feature sets $S$ the law
# $P(y \mid S)$ is proved to stand: those that *d*-separate the target $y$ from a node $E$ that points at what changed.
#
# | shift | what moves | what stands |
# |---|---|---|
# | covariate | the root causes | the mechanisms of $y$ and of its effects |
# | label | $P(y)$: rows are kept with a chance that depends on $y$ | $P(x \mid y)$ |
# | concept | what $y$ hears of its causes | all other mechanisms |
# | spurious | what the effects hear of $y$ | all others, $y$'s own among them |
# | confounding | what $y$ and others hear of a hidden common cause | all others |
# | selection | rows are kept with a chance that depends on $y$ and its causes | every mechanism, before selection |
#
# > **Assumptions.** The graph is right. The certificate is a proof about the graph; a dependence that is there without
# > an arrow makes it worthless.
#
# *Predict:* for which shifts does no feature set help at all?

# %%
certificates, refused = {}, {}
for kind in ck.SHIFTS:
    try:
        certificates[kind] = ck.SHIFTS[kind](target, nats=nats, direction=direction).certificate(scm)
    except ValueError as error:  # the graph has no such shift, or the dial does not go so far
        refused[kind] = str(error)
shown = next(iter(certificates)) if shift in refused else shift
print(certificates[shown], end="\n\n")
print("\n".join(f"No {kind} shift here: {why}." for kind, why in refused.items()))
pd.DataFrame(
    {
        kind: {
            "strength": f"{c.strength:.3g}",
            "changed (nats)": ", ".join(f"{v} {x:.2g}" for v, x in c.nats["nats"].items()),
            "stable sets": len(c.invariant_sets),
            "most informative": "none" if c.stable is None else f"{{{', '.join(c.stable)}}}",
            "causes suffice": "yes" if c.parents_suffice else "no",
        }
        for kind, c in certificates.items()
    }
).T

# %%
other = system(f"c -> {target} -> e; c <-> {target}")  # one with a hidden common cause
panels = dict(certificates)
if "confounding" in refused:
    panels["confounding, another graph"] = ck.shifts.confounding(target, strength=0.5).certificate(other)
figure, axes = plt.subplots(3, 2, figsize=(10, 10))
for ax in axes.flat:
    ax.set_axis_off()
for ax, (kind, certificate) in zip(axes.flat, panels.items()):
    ck.plotting.draw_selection_diagram(certificate, ax=ax)
    ax.set_title(kind, fontsize=10)
figure.tight_layout()
plt.show()
for kind, certificate in panels.items():
    print(f"{kind}: {ck.plotting.describe_selection_diagram(certificate).partition('. ')[2]}")

# %% [markdown]
# ## 5. How far is far? A dial in nats
#
# "1.5 standard deviations" of one kind cannot be compared with "half the weight" of another. The Kullback-Leibler
# divergence can, and the causal factorisation $p(x) = \prod_j p(x_j \mid x_{\mathrm{pa}(j)})$ splits it into one
# number for each mechanism that changed ($p$ before the shift, $p'$ after it):
#
# $$\mathrm{KL}(p' \,\|\, p) = \sum_{j \text{ changed}} E_{p'}\big[\mathrm{KL}\big(p'(x_j \mid x_{\mathrm{pa}(j)}) \,\|\, p(x_j \mid x_{\mathrm{pa}(j)})\big)\big]$$
#
# It is also the mean of $\log p'(x) - \log p(x)$ over rows after the shift: the evidence that one row gives. Evidence
# adds up, so $\log 20 \approx 3$ nats, a likelihood ratio of 20 : 1, are together after about 3 / nats rows.
#
# *Predict:* how many rows does it take to notice a shift of 0.01, 0.1 and 1 nat?

# %%
rows = []
for far in (0.01, 0.1, 1.0):
    shifted = ck.SHIFTS[shown](target, nats=far, direction=direction)(scm)
    runs, length = n // 20, int(15 / far)
    after = shifted.sample(runs * length, seed=seed, hidden=True)
    evidence = scm.log_density_ratio(shifted, after).reshape(runs, length)
    enough = evidence.cumsum(1) >= np.log(20)
    noticed = np.where(enough.any(1), enough.argmax(1) + 1, length)
    rows.append((far, evidence.mean(), evidence.std() / np.sqrt(evidence.size), noticed.mean(), np.log(20) / far))
columns = ["nats asked for", "mean log ratio", "se", "rows until 20 : 1, mean", "log(20) / nats"]
noticing = pd.DataFrame(rows, columns=columns).round(4)
noticing.round({"log(20) / nats": 0})

# %% [markdown]
# So 0.01 nats are a drift that hundreds of rows show, 0.1 nats a change that a few dozen show, and at 1 nat a handful
# of rows do. The mean log ratio is the number that was asked for, up to its standard error.
#
# ## 6. The laboratory
#
# Two regressions are fitted before the shift, one on all features (empirical risk minimisation) and one on the most
# informative stable set, and tested after it, on the same draws at every position of the dial.
#
# *Predict:* where is the point from which on the stable set predicts better?

# %%
dial = sorted({*ck.widgets.DIAL, nats})
systems = {
    name: system(name) for name in dict.fromkeys([graph, "teaching", "random", "case_control", "front_door", "bow"])
}
targets = dict.fromkeys(v for s in systems.values() for v in s.observed)


def draw_lab(graph, target, kind, direction, nats):
    """The shift laboratory at one setting; where there is no such shift, the reason."""
    try:
        lab = ck.widgets.shift_lab(systems[graph], target, kind, int(direction), n=n, seed=seed, dial=dial)
        return lab.draw(nats)
    except ValueError as error:
        return None, f"{graph}: {error}."


png, sentence = draw_lab(graph, target, shown, direction, nats)
print(sentence)
Image(png)

# %% [markdown]
# Turn the dial, then the kind, the direction, the graph. Try to find: a stable set that never wins; a kind under which
# the two regressions cannot be told apart; a graph on which the lines cross earlier than here.

# %%
ck.widgets.explore(
    draw_lab,
    graph=ck.widgets.choice("Graph", list(systems), graph),
    target=ck.widgets.choice("Target", list(targets), target),
    kind=ck.widgets.choice("Shift", list(ck.SHIFTS), shown),
    direction=ck.widgets.choice("Direction", ["+1", "-1"], f"{direction:+d}"),
    nats=ck.widgets.slider("Dial, nats", dial, nats),
)

# %%
rows = []
for kind in certificates:
    for way in (1, -1):
        try:
            lab = ck.widgets.shift_lab(scm, target, kind, way, n=n, seed=seed, dial=dial)
        except ValueError:  # this direction has no such dial
            continue
        start, end = lab.curve.iloc[0], lab.curve.iloc[-1]
        second = [*lab.predictors][1:]  # empty where the stable set is all features
        rows.append(
            {
                "shift": f"{kind} {way:+d}",
                "against": second[0] if second else "nothing else to compare with",
                "all, before": start["all features"],
                "other, before": start[second[0]] if second else np.nan,
                "up to nats": end["nats"],
                "all, there": end["all features"],
                "other, there": end[second[0]] if second else np.nan,
                "cross at nats": np.nan if lab.crossing is None else lab.crossing,
            }
        )
crossings = pd.DataFrame(rows).set_index("shift").round(3)
crossings

# %% [markdown]
# RMSE of the target, $n$ rows each. A stable set promises the *same* error, not a small one: below the crossing all
# features are better, although nothing vouches for them. Where no set is stable ("not promised"), the causes are no
# refuge: under a concept shift they lose most. (On the cells, Erk hears so little of Mek under general stimulation that
# a spurious shift has to multiply it by dozens, and both regressions are the same.)
#
# ## 7. Weights that undo a shift
#
# If both densities are known, rows from before the shift can stand in for rows after it: weigh each by
# $w(x) = p'(x) / p(x)$, `np.exp(scm.log_density_ratio(shifted, frame))`, and $E_p[w\,\ell] = E_{p'}[\ell]$ for every
# loss $\ell$. The effective sample size $(\sum w)^2 / \sum w^2$ says how many rows that is worth.
#
# > **Assumptions.** Both densities are known, hidden variables included, and $p$ is positive wherever $p'$ is.
#
# *Predict:* at 0.1 nats, do the weights hit the risk after the shift? And at 3 nats?


# %%
def weighing(kind, far):
    """Squared error of least squares on all features after a shift: by rows from there, and by weighted rows from here."""
    model, many = (other if kind == "confounding" and kind in refused else scm), 5 * n
    shifted = ck.SHIFTS[kind](target, nats=far, direction=direction)(model)
    columns = [v for v in model.observed if v != target]
    fitted, here, there = (m.sample(many, seed=seed + i, hidden=True) for i, m in enumerate((model, model, shifted)))
    beta = np.linalg.lstsq(np.column_stack([fitted[columns], np.ones(many)]), fitted[target], rcond=None)[0]
    loss, aim = ((np.column_stack([f[columns], np.ones(many)]) @ beta - f[target]) ** 2 for f in (here, there))
    weights = np.exp(model.log_density_ratio(shifted, here))
    se = np.hypot((weights * loss).std(), aim.std()) / np.sqrt(many)
    return {
        "after the shift": aim.mean(),
        "before": loss.mean(),
        "before, weighted": (weights * loss).mean(),
        "off by, se": ((weights * loss).mean() - aim.mean()) / se,
        "effective rows": weights.sum() ** 2 / (weights**2).sum(),
    }


weighed, beyond = {}, {}
for far in (0.1, 3.0):
    for kind in ck.SHIFTS:
        try:
            weighed[f"{far:g} nats", kind] = weighing(kind, far)
        except ValueError as error:
            beyond[kind] = str(error)
print("\n".join(f"No weights for {kind}: {why}." for kind, why in beyond.items()))
weighed = pd.DataFrame(weighed).T.round({"off by, se": 1, "effective rows": 0})
weighed.round(3)

# %%
for far, part in weighed.groupby(level=0):
    least, most, worst = part["effective rows"].min(), part["effective rows"].max(), part["off by, se"].abs().max()
    print(
        f"At {far} the weighted risk is within {worst:.1f} standard errors of the risk after the shift, whatever the kind; "
        f"{least:,.0f} to {most:,.0f} of {5 * n:,} rows count."
    )

# %% [markdown]
# At 3 nats the weights are still right, and the *average* of them is not to be trusted, nor is its standard error: the
# rows that are typical after the shift hardly occur before it. When a Gaussian mean moves, $E_p[w^2] = e^{2\,\mathrm{nats}}$,
# so 3 nats leave one row in 400. When a Gaussian mechanism changes its weight (concept, spurious, confounding), the
# variance of $w$ is infinite from 1/4 nat on: then no number of rows gives a standard error. A selection that keeps
# rows by a bounded chance is the mildest.
#
# ## 8. Model against experiment
#
# With a known SCM there is nothing to check: truth and model are one. On real cells, the SCM learned without any
# inhibitor must say what the inhibitors do. Psitect lowers PIP2 itself, a literal $do$; u0126 blocks what Mek *does*,
# not its level: `do(Mek)` is the wrong question there, a change of Erk's mechanism the right one.

# %%
if data == "sachs":
    observed = {e.name: e.frame for e in conditions}
    base, rows = observed["cd3cd28"], []
    for condition, protein in (("cd3cd28+psitect", "PIP2"), ("cd3cd28+u0126", "Mek")):
        cells = observed[condition]
        predicted = scm.do({protein: float(cells[protein].mean())}).sample(n, seed=seed)
        for v in scm.observed:
            rows.append((condition, v, predicted[v].mean() - base[v].mean(), cells[v].mean() - base[v].mean()))
    against = pd.DataFrame(rows, columns=["condition", "protein", "model, do(level)", "experiment"]).round(2)
    against = against.pivot(index="protein", columns="condition")
    print(
        "Change of the mean log level. Under u0126 the model predicts that Erk follows Mek up; in the cells it falls."
    )
else:
    again = ladder.do({cause: high_cause}).sample(n, seed=seed).mean() - seen.mean()
    against = pd.DataFrame({"model": done_cause.mean() - seen.mean(), "the same SCM again": again}).round(3)
    print(f"Change of the mean under do({cause} = {high_cause:.2f}): the SCM made the data, so it agrees with itself.")
against

# %% [markdown]
# ## To take away
#
# | question | verb | needs |
# |---|---|---|
# | what will I see? | `scm.sample(n, seed=0)` | data |
# | what if I do x? | `scm.do({"x": 1.0}).sample(n, seed=0)` | the graph, and mechanisms |
# | what would have been for this row? | `scm.counterfactual(row, {"x": 1.0})` | the full SCM |
# | what may I rely on when things move? | `ck.shifts.spurious("y", nats=0.5).certificate(scm)` | the graph |
# | from which shift on do fewer features win? | `ck.widgets.shift_lab(scm, "y", "spurious", ...).crossing` | the graph, and mechanisms |
# | what is the risk after a known shift? | `np.exp(scm.log_density_ratio(shifted, frame))` | both densities, and an overlap |
#
# ## Exercises
#
# 1. Set `noise = "uniform"` and run again. Which shifts does the dial refuse, and why not the others?
# 2. Find a feature set with a variable outside the causes that keeps $P(y \mid S)$ under the spurious shift.
# 3. Set `graph = "x1, x2 -> y -> x3; x2 <-> y"`. Under the spurious shift nothing vouches for $y$'s causes any more, and
#    $\{x_1, x_2\}$ is stable all the same. Why? Which kind of shift has become possible?
#
# <details><summary>Solutions</summary>
#
# 1. Covariate, concept and spurious: each makes values that the bounded noise could not make before, and that is
#    infinitely surprising at any strength. Label shift and selection only weigh rows that are there already.
# 2. Any set without the effect that moved and without what follows from it, say $\{x_1, x_2, x_4\}$ or $\{x_4\}$:
#    `certificates["spurious"].table()` lists 8 of 32.
# 3. One of the causes is hidden, so $P(y \mid \text{its causes})$ is not about features. But $E$ points at $x_3$ alone, and
#    its only way to $y$ is through $x_3$, a collider that $\{x_1, x_2\}$ leaves shut. The confounding shift, which moves
#    $x_2$ and $y$; no set survives it.
#
# </details>
#
# **Read on:** Pearl, Glymour and Jewell (2016), *Causal Inference in Statistics: A Primer*, chapters 3 and 4; Peters,
# Janzing and Schölkopf (2017), *Elements of Causal Inference*, chapter 6; Pearl and Bareinboim (2014), *Statistical
# Science* 29, 579-595, on selection diagrams; Pfister et al. (2021), *Annals of Applied Statistics* 15, 1220-1246, on stable
# sets; Sachs et al. (2005), *Science* 308, 523-529.

# %%
metric, unit = ck.runs.metric, f"units of {target}"
dial_off = float(((noticing["mean log ratio"] - noticing["nats asked for"]) / noticing["se"]).abs().max())
weighting_off = float(weighed.loc["0.1 nats", "off by, se"].abs().max())
lab = ck.widgets.shift_lab(scm, target, shown, direction, n=n, seed=seed, dial=dial)
at = lab.curve.loc[lab.curve["nats"] == nats].iloc[0]
ck.runs.record(
    metrics={
        "seen_minus_done": metric(
            float(near[node].mean() - done_effect[node].mean()),
            f"mean of {node}: rows where {effect} is high, minus do({effect}) at that level",
            unit=f"units of {node}",
        ),
        "effect_of_do": metric(
            float(done_cause[node].mean() - seen[node].mean()),
            f"change of the mean of {node} under do({cause}) one sd up",
            unit=f"units of {node}",
        ),
        "counterfactual": metric(
            for_this_row, f"{node} of the first row, had {cause} been one sd up", unit=f"units of {node}"
        ),
        "sign_flip_agreement": metric(
            agreement, "correlation of two valid counterfactuals, mechanism not monotone", unit="1", truth=-1.0
        ),
        "crossing": metric(
            lab.crossing, f"nats of a {shown} shift from which on fewer features are better", unit="nats"
        ),
        **{
            f"rmse_{short}": metric(
                float(at[name]), f"RMSE after {nats:g} nats of a {shown} shift, {name}", unit=unit, better="lower"
            )
            for short, name in zip(("all", "other"), lab.predictors)
        },
        "dial_off": metric(dial_off, "largest distance of measured nats from those asked for", unit="se"),
        "weighting_off": metric(weighting_off, "worst weighted risk at 0.1 nats", unit="se"),
    },
    tables={
        "crossings": crossings.reset_index(),
        "weighed": weighed.reset_index(names=["shift", "kind"]),
        "against": against.reset_index().astype(str),
    },
)
