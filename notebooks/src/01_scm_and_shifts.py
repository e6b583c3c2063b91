# %% [markdown]
# # What does a causal model know that a data set does not?
#
# A *structural causal model* (SCM) is a list of assignments, $x_j := f_j(x_{\mathrm{pa}(j)}, u_j)$: each variable is
# made from its causes and its own noise. From one such list come three kinds of answers: what we would **see**, what
# would happen if we **did** something, and what **would have been** for a row that we have seen.
#
# **You will be able to** read an SCM and its graph; tell $P(y \mid x)$ from $P(y \mid do(x))$; compute a
# counterfactual in three steps; and name four ways in which a distribution can shift, with what each leaves alone.
#
# **Time:** reading and playing, 40 minutes; running from top to bottom on one core, 10 seconds with either budget.

# %% tags=["parameters"]
data = "synthetic"  # "synthetic": a known SCM; "sachs": an SCM learned on protein levels in single cells
target = ""  # the variable to predict; empty: "y", or for "sachs" the protein "Mek"
mechanism = "linear"  # "linear" or "mlp": the f_j
noise = "gaussian"  # "gaussian", "laplace" or "uniform"; read for "synthetic" only
strength = 1.5  # of the shifts, in the unit of each kind
budget = "fast"  # rows a sample: "tiny" 500, "fast" 2,000, "full" 20,000
seed = 0  # of the samples; the model has its own

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.graphs import children_of, parents_of

target = target or {"synthetic": "y", "sachs": "Mek"}[data]
n = {"tiny": 500, "fast": 2_000, "full": 20_000}[budget]
if data == "synthetic":
    scm = ck.teaching_scm(mechanism=mechanism, noise=noise)
else:
    conditions, consensus = ck.load_sachs()
    scm = ck.fit_scm(consensus, conditions[0].frame, mechanism=mechanism, seed=seed)
cause, effect = parents_of(scm.graph, target)[0], children_of(scm.graph, target)[0]
scm

# %% [markdown]
# With `data = "synthetic"` this SCM is the truth, because it makes the data. With `data = "sachs"` it was fitted to 853
# cells under general stimulation along the consensus graph (Sachs et al. 2005; log fluorescence), so it is a
# *hypothesis*; the last section holds it against experiments.
#
# ## 1. The graph is read off the assignments
#
# *Predict:* which variables should change when `target` is set by force? Then look which ones its arrows reach.

# %%
figure, ax = plt.subplots(figsize=(7.5, 4.2))
ck.plotting.draw_graph(scm.graph, ax=ax, highlight=[target])
ax.set_title(f"The causal graph; the target is {target}")
plt.show()
print(
    f"Causes of {target}: {', '.join(parents_of(scm.graph, target))}. "
    f"Effects: {', '.join(children_of(scm.graph, target))}."
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
seen = scm.sample(n, seed=seed)
high = float(seen[effect].mean() + seen[effect].std())
near = seen[(seen[effect] - high).abs() < 0.25 * seen[effect].std()]
done_effect = scm.do({effect: high}).sample(n, seed=seed)
high_cause = float(seen[cause].mean() + seen[cause].std())
done_cause = scm.do({cause: high_cause}).sample(n, seed=seed)

pd.DataFrame(
    {
        f"mean of {target}": [
            seen[target].mean(),
            near[target].mean(),
            done_effect[target].mean(),
            done_cause[target].mean(),
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
        done = scm.do({variable: level}).sample(n, seed=seed)
        bins = np.linspace(seen[target].quantile(0.001), seen[target].quantile(0.999), 40)
        ax.hist(seen[target], bins, density=True, color="0.8", label="seen")
        ax.hist(done[target], bins, density=True, histtype="step", lw=2, color="#0072B2", label=f"do({variable})")
        ax.set(xlabel=target, title=f"do({variable} = {level:.2f})")
        ax.legend()
        lines.append(
            f"do({variable} = {level:.2f}) moves the mean of {target} by {done[target].mean() - seen[target].mean():+.2f}"
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
noise_of_row = scm.abduct(row)
counterfactual = scm.do({cause: high_cause}).push(noise_of_row)  # the same as scm.counterfactual(row, {cause: ...})
table = pd.concat(
    [row, noise_of_row, counterfactual], keys=["factual row", "its noise u", f"had {cause} been {high_cause:.2f}"]
)
table.droplevel(1).round(3)

# %%
for_this_row, on_average = float(counterfactual[target].iloc[0]), float(done_cause[target].mean())
print(
    f"{target} for this row, had {cause} been {high_cause:.2f}: {for_this_row:.3f}; "
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
# ## 4. Four shifts, each with a certificate
#
# A **shift** is a function from an SCM to an SCM: it changes some mechanisms. Which ones decides what a predictor of
# the target may rely on. The certificate lists what changed, what stands, and for which feature sets $S$ the law
# $P(\text{target} \mid S)$ is proved to stand: those that *d*-separate the target from a node $E$ that points at what changed.
#
# | shift | what moves | in this kit |
# |---|---|---|
# | covariate | the causes | the noise mean of the root causes moves by `strength` sd |
# | label | $P(y)$, with $P(x \mid y)$ intact | rows are kept with a probability that depends on $y$ |
# | concept | the target's own mechanism | what it hears of its causes is multiplied by 1 - `strength` |
# | spurious | the mechanisms of the target's effects | what they hear of it is multiplied by 1 - `strength` |
#
# *Predict:* for which shift does no feature set help at all?

# %%
shifts = {
    "covariate": ck.shifts.covariate(target, strength=strength),
    "label": ck.shifts.label(target, strength=strength),
    "concept": ck.shifts.concept(target, strength=strength, direction=-1),
    "spurious": ck.shifts.spurious(target, strength=strength, direction=-1),
}
certificates = {name: shift.certificate(scm) for name, shift in shifts.items()}
for certificate in certificates.values():
    print(certificate, end="\n\n")

# %%
figure, axes = plt.subplots(2, 2, figsize=(11, 7.5))
for ax, (name, certificate) in zip(axes.flat, certificates.items()):
    ck.plotting.draw_graph(certificate.graph, ax=ax, highlight=[target])
    ax.set_title(f"{name}: E points at {', '.join(certificate.changed) or 'the selection'}")
figure.tight_layout()
plt.show()

# %% [markdown]
# In words: under a covariate shift $E$ points at the root causes, under a concept shift at the target itself, under a
# spurious shift at its effects; under the label shift it points at the selection of rows, which the target drives.
#
# ## 5. What a shift does to a regression
#
# *Predict:* a regression of the target on its causes, and one on all variables: which one keeps its error under which shift?

# %%
everything = [v for v in scm.observed if v != target]
features = {"causes": parents_of(scm.graph, target), "all variables": everything}


def rmse_after(shift):
    """RMSE of least squares fitted before the shift and tested after it, for each feature set."""
    test = (shift(scm) if shift else scm).sample(n, seed=seed + 1)
    errors = {}
    for name, columns in features.items():
        weights, *_ = np.linalg.lstsq(np.column_stack([seen[columns], np.ones(n)]), seen[target], rcond=None)
        errors[name] = float(
            np.sqrt(np.mean((np.column_stack([test[columns], np.ones(n)]) @ weights - test[target]) ** 2))
        )
    return errors


errors = pd.DataFrame({name: rmse_after(shift) for name, shift in {"no shift": None, **shifts}.items()}).T
errors.index.name = "tested under"
errors.round(3)


# %%
def draw_shift(strength):
    """RMSE of both regressions under each shift at this strength."""
    figure, ax = plt.subplots(figsize=(8, 3.4))
    kinds = ["covariate", "label", "concept", "spurious"]
    directions = {"covariate": 1, "label": 1, "concept": -1, "spurious": -1}
    rows = [rmse_after(ck.SHIFTS[k](target, strength=strength, direction=directions[k])) for k in kinds]
    place = np.arange(len(kinds))
    for offset, (name, colour, hatch) in zip(
        (-0.2, 0.2), (("causes", "#0072B2", ""), ("all variables", "#E69F00", "//"))
    ):
        ax.bar(
            place + offset, [row[name] for row in rows], 0.38, color=colour, hatch=hatch, edgecolor="white", label=name
        )
    ax.set(ylabel=f"RMSE of {target}", title=f"Tested under a shift of strength {strength:g}")
    ax.set_xticks(place, kinds)
    ax.legend(title="regression on", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    worse = [k for k, row in zip(kinds, rows) if row["all variables"] > 1.02 * row["causes"]]
    better = [k for k, row in zip(kinds, rows) if row["causes"] > 1.02 * row["all variables"]]
    return figure, (
        f"At strength {strength:g} the causes predict better (by over 2%) under: {', '.join(worse) or 'no shift'}; "
        f"all variables under: {', '.join(better) or 'no shift'}."
    )


figure, sentence = draw_shift(strength=strength)
plt.show()
print(sentence)

# %%
ck.widgets.explore(
    draw_shift, strength=ck.widgets.slider("Shift strength", sorted({0.0, 0.5, 1.0, 1.5, 2.0, strength}), strength)
)

# %% [markdown]
# In the synthetic SCM all variables predict best as long as the effects stand; when the *effects* move, the causes
# alone keep their error; when the target's own mechanism moves, they lose most. No set wins everywhere: it depends on
# what shifts. (On the cells, Mek says so little of Erk under general stimulation that both regressions are the same.)
#
# ## 6. Model against experiment
#
# With a known SCM there is nothing to check: truth and model are one. On real cells, the SCM learned without any
# inhibitor must say what the inhibitors do. Psitect lowers PIP2 itself, a literal $do$; u0126 blocks what Mek *does*,
# not its level: `do(Mek)` is the wrong question there, a change of Erk's mechanism the right one.

# %%
if data == "sachs":
    observed = {e.name: e.frame for e in conditions}
    base = observed["cd3cd28"]
    rows = []
    for condition, node in (("cd3cd28+psitect", "PIP2"), ("cd3cd28+u0126", "Mek")):
        level = float(observed[condition][node].mean())
        predicted = scm.do({node: level}).sample(n, seed=seed)
        for v in sorted(scm.observed, key=scm.observed.index):
            rows.append(
                (
                    condition,
                    v,
                    float(predicted[v].mean() - base[v].mean()),
                    float(observed[condition][v].mean() - base[v].mean()),
                )
            )
    against = pd.DataFrame(rows, columns=["condition", "protein", "model, do(level)", "experiment"]).round(2)
    against = against.pivot(index="protein", columns="condition")
    print(
        "Change of the mean log level. Under u0126 the model predicts that Erk follows Mek up; in the cells it falls."
    )
else:
    against = pd.DataFrame(
        {
            "model": done_cause.mean() - seen.mean(),
            "the same SCM again": scm.do({cause: high_cause}).sample(n, seed=seed).mean() - seen.mean(),
        }
    ).round(3)
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
# | what may I rely on when things move? | `shift.certificate(scm)` | the graph |
#
# ## Exercises
#
# 1. Set `noise = "uniform"` and run again. Which table changes most, and why hardly any?
# 2. Find a feature set outside the causes that keeps $P(y \mid S)$ under the spurious shift. Check it in the certificate.
# 3. Make the SCM `x -> y -> z` by hand and give it a hidden common cause of x and z. Which certificate changes?
#
# <details><summary>Solutions</summary>
#
# 1. The means under $do$ hardly move: with linear mechanisms they depend on weights and noise means alone.
# 2. Any set that holds all causes and no descendant of what moved, say the causes and a proxy of one of them.
# 3. `ck.SCM({"h": ck.linear(), "x": ck.linear({"h": 1.0}), "y": ck.linear({"x": 1.0}), "z": ck.linear({"y": 1.0, "h": 1.0})}, hidden=["h"])`.
#    The covariate shift's: y's only root cause is hidden now, so it raises until `on=` names what moves.
#
# </details>
#
# **Read on:** Pearl, Glymour and Jewell (2016), *Causal Inference in Statistics: A Primer*, chapters 3 and 4; Peters,
# Janzing and Schölkopf (2017), *Elements of Causal Inference*, chapter 6; Sachs et al. (2005), *Science* 308, 523-529.

# %%
metric = ck.runs.metric
ck.runs.record(
    metrics={
        "seen_minus_done": metric(
            float(near[target].mean() - done_effect[target].mean()),
            f"mean of {target}: rows where {effect} is high, minus do({effect}) at that level",
            unit=f"units of {target}",
        ),
        "effect_of_do": metric(
            float(done_cause[target].mean() - seen[target].mean()),
            f"change of the mean of {target} under do({cause}) one sd up",
            unit=f"units of {target}",
        ),
        "counterfactual": metric(
            for_this_row, f"{target} of the first row, had {cause} been one sd up", unit=f"units of {target}"
        ),
        "sign_flip_agreement": metric(
            agreement, "correlation of two valid counterfactuals, mechanism not monotone", unit="1", truth=-1.0
        ),
        **{
            f"rmse_{kind}_{name.split()[0]}": metric(
                float(errors.loc[kind, name]),
                f"RMSE under a {kind} shift, regression on {name}",
                unit=f"units of {target}",
                better="lower",
            )
            for kind in shifts
            for name in features
        },
    },
    tables={"rmse": errors.reset_index(), "against": against.reset_index().astype(str)},
)
