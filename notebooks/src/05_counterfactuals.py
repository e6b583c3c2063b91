# %% [markdown]
# # Would it have been different, and how would you know?
#
# A **counterfactual** is about one row that has happened: *this* $y$ was seen; what would it have been, had $x$ been
# something else? No data set holds the answer, because the other world was not seen. An SCM gives one all the same,
# and a learned SCM gives one that may be wrong. This notebook asks what can be checked, and what each check misses.
#
# **You will be able to** compute a counterfactual by hand and from a learned SCM; measure its error where the truth is
# known, and name the checks that are left where it is not, with what each of them cannot see; give an answer with an
# interval, and say which part of it is the graph's; tell a prediction from a plan; and hold a learned SCM against
# experiments, even where $do$ is the wrong word for them.
#
# **Time:** reading and playing, 60 minutes; running from top to bottom on one core, 40 seconds (`fast`) or 75 (`full`).

# %% tags=["parameters"]
data = "synthetic"  # "synthetic": a known SCM, so errors can be measured; "sachs": protein levels in single cells
target = ""  # a variable with a cause and an effect; empty: "y", or "Mek" for "sachs"
mechanism = "mlp"  # "linear" or "mlp": the true f_j; read for "synthetic" only
noise = "scaled"  # of the true y: "scaled", larger where x1 is high, or "added"; read for "synthetic" only
unit = 0  # the row that section 2 starts with
budget = "fast"  # "fast": 600 rows to learn from; "full": 5,000 and longer training; "tiny": to see that it runs
seed = 0  # of the data; models have their own, derived from it

# %%
import warnings

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import torch
from IPython.display import Image

import causalkit as ck
from causalkit.checks import caught, joe, negative_controls, two_worlds
from causalkit.graphs import children_of, parents_of, undirected_edges
from causalkit.mechanisms import LocationScale
from causalkit.seeds import generator, integer

if noise not in ("scaled", "added"):
    raise ck.errors.unknown("noise", noise, ["scaled", "added"])
target = target or {"synthetic": "y", "sachs": "Mek"}[data]
n, asked, repeats, draws, steps = {
    "tiny": (200, 60, 1, 1_000, 30),
    "fast": (600, 300, 2, 10_000, 300),
    "full": (5_000, 1_000, 5, 100_000, 600),
}[budget]
stream = {name: integer(seed, name) for name in ("train", "rows", "experiments", "model", "draws", "checks")}
if data == "synthetic":
    truth = ck.teaching_scm(mechanism=mechanism)
    if noise == "scaled":
        y = truth.mechanisms["y"]
        bent = LocationScale(y.parents, y.noise, y.function, log_scale=lambda x: 0.8 * torch.tanh(x[:, 0]))
        truth = truth.replace({"y": bent})
    graph = truth.graph
    train, rows = truth.sample(n, seed=stream["train"]), truth.sample(asked, seed=stream["rows"])
else:
    truth = None
    conditions, graph = ck.load_sachs()
    cells = {e.name: e.frame[list(graph)] for e in conditions}
    mixed = cells["cd3cd28"].sample(frac=1.0, random_state=stream["rows"], ignore_index=True)
    train, rows = mixed.iloc[: min(n, 600)], mixed.iloc[600:].head(asked).reset_index(drop=True)
sd = train.std()  # every difference below is in this unit, a variable

# %%
if not (parents_of(graph, target) and children_of(graph, target)):
    raise ValueError(f"{target} needs a cause and an effect in the graph: choose another target")
# a cause whose arrow is its only way to the target, so that turning the arrow round makes no cycle
cause = next(c for c in parents_of(graph, target) if len(list(nx.all_simple_paths(graph, c, target))) == 1)
turned = nx.DiGraph(graph)
turned.remove_edge(cause, target)
turned.add_edge(target, cause)
moved_by_it = [v for v in nx.topological_sort(graph) if v in nx.descendants(graph, cause)]
print(
    f"{len(train)} rows to learn from, {len(rows)} others to ask about. We change {cause}; in the graph that can move "
    f"{', '.join(moved_by_it)}, and nothing else."
)
if data == "synthetic":  # simulated data may give the order away
    paths = ck.sortability(train, graph)
    print(
        f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, {paths['relatives']:.0%} "
        "in relatives: near 50 % sorting by it tells nothing of the causal order, near 0 or 100 % all of it."
    )

# %% [markdown]
# ## 1. Joe
#
# Joe had some encouragement, $x = 0.5$, did $h = 1$ of homework and scored $y = 1.5$ (all in standard deviations). The
# school knows the SCM: $h := 0.5x + u_h$ and $y := 0.7x + 0.4h + u_y$. Three steps (Pearl): **abduct**, find the noise
# $u$ that made Joe; **act**, replace the assignment of $h$ by $h := 2$; **predict**, run the others again with *his*
# noise.
#
# *Predict:* what would Joe have scored with twice the homework? And what does $E[y \mid do(h = 2)]$ say?

# %%
joe()

# %% [markdown]
# $0.8$ is true of the whole class made to do 2 hours, and wrong of Joe, who keeps his own $x$ and the $u_y = 0.75$ that
# his score shows. $do$ is about a population, a counterfactual about a unit, and the difference is abduction.
#
# ## 2. One unit, and SCMs that were learned
#
# Nobody hands us the assignments. `ck.fit_scm(graph, frame)` learns them from rows, one a variable, along a graph. Its
# mechanisms differ in how noise may come in:
#
# | `mechanism=` | $x_j :=$ | |
# |---|---|---|
# | `linear` | $x_{\mathrm{pa}} w + b + u$ | |
# | `additive` | $f(x_{\mathrm{pa}}) + u$ | the best of a few regressions |
# | `location_scale` | $f(x_{\mathrm{pa}}) + s(x_{\mathrm{pa}})\, u$ | noise may grow |
# | `flow` | $f(u; x_{\mathrm{pa}})$, increasing in $u$ | noise of any shape |
# | `vae` | a decoder, and an encoder that abducts | two networks that need not be each other's inverse |
# | `auto` | of all but the vae, the simplest that held-out rows do not speak clearly against, a variable at a time | |
#
# > **Assumptions.** A learned counterfactual is right as far as (a) the graph is right, (b) no hidden variable drives
# > two of those seen, (c) the true assignment *increases in its noise* and has the form that is learned, (d) there were
# > such values in the data. No amount of data or experiments shows (c): section 5.
#
# One SCM is learned with every mechanism `additive`, one `linear`. Then the *target's* mechanism alone is learned in the
# other ways and put into the additive SCM: what differs between answers is one assignment. `turned arrow` is broken on
# purpose: additive, along a graph whose arrow from the cause to the target points the other way.

# %%
slow = [] if budget == "tiny" else ["location_scale", "flow", "vae", "auto"]  # a network each
family = nx.DiGraph([(p, target) for p in parents_of(graph, target)])
models = {name: ck.fit_scm(graph, train, mechanism=name, seed=stream["model"]) for name in ("linear", "additive")}
likelihood = {name: model.fitted.table.loc[target, "log_likelihood"] for name, model in models.items()}
for name in slow:
    kinds = dict.fromkeys(family, "linear") | {target: name}
    alone = ck.fit_scm(family, train, mechanism=kinds, seed=stream["model"])
    models[name] = models["additive"].replace({target: alone.mechanisms[target]})
    likelihood[name] = alone.fitted.table.loc[target, "log_likelihood"]
    took = alone.fitted.table.loc[target, "mechanism"]
form = "linear" if budget == "tiny" else "additive"
models["turned arrow"] = ck.fit_scm(turned, train, mechanism=form, seed=stream["model"])
best = max(
    (k for k in models if k not in ("vae", "auto", "turned arrow")), key=lambda k: models[k].log_prob(rows).mean()
)
# the standard that answers are held against: the truth where it is known, one of the learned SCMs where it is not
standard, named = (models[best], f"the {best} SCM") if truth is None else (truth, "the true SCM")
others = {name: model for name, model in models.items() if model is not standard}
what = "disagreement" if truth is None else "error"
print(
    f"Log-likelihood of {target} given its causes, held-out rows, nats: "
    + ", ".join(f"{name} {value:.3f}" for name, value in likelihood.items())
    + f". Best: {max(likelihood, key=likelihood.get)}."
    + (f" auto took {took}." if slow else "")
)

# %% [markdown]
# With `data = "synthetic"` answers are held against the **true** SCM, whose $y$ gets noise that grows with x1 (unless you
# changed `noise`): differences are errors. With `data = "sachs"` there is no true SCM. Answers are then held against
# that SCM on the consensus graph (Sachs et al. 2005; log fluorescence of cells under general stimulation) which gives
# new cells the highest density, vae and auto apart, and differences are **disagreements**: if two SCMs disagree by $d$,
# at least one of them is wrong by $d/2$ or more, but nothing says which.
#
# `auto` prefers the simpler mechanism unless the gain of the better one is larger than its standard error. One odd cell
# can make that error large, so that it stays with a line: read the likelihoods beside what it took.
#
# *Predict:* this unit's target is not quite what its causes suggest. Had its cause been higher, would its target have
# been that of the average unit under $do$?

# %%
view = ck.widgets.unit({named: standard, **others}, rows, target, rows=range(unit, unit + 8), seed=stream["draws"])
png, sentence = view.draw(variable=cause)
print(sentence)
Image(png)

# %% [markdown]
# Left what was seen, in the middle what $do$ makes of everybody, on the right what *this* unit would have been. Move the
# cause; then the unit: the middle is about the same for every unit set to one value, the right is not. At a change of 0
# the unit has to come back as it was. Whose does not?

# %%
ck.widgets.explore(view.draw, **view.controls)

# %% [markdown]
# ## 3. How wrong?
#
# One unit is an anecdote. For every row that was not used to learn, we set the cause to each of its quartiles, and to
# a value outside the data, and take the root mean square of the differences. Two references: 0 (the standard itself),
# and **no abduction**, the noise drawn anew, which is what one gets by sampling under $do$ and calling it a
# counterfactual.
#
# *Predict:* which is worse, the wrong mechanism or the wrong graph? And outside the data?

# %%
levels = {f"{share:.0%}": float(train[cause].quantile(share)) for share in (0.25, 0.5, 0.75)}
levels["mean + 4 sd"] = float(train[cause].mean() + 4 * sd[cause])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    models["additive"].do({cause: levels["mean + 4 sd"]})
print("A learned SCM says so itself:", *(w.message for w in said))
warnings.simplefilter("ignore", ck.ExtrapolationWarning)  # from here on we go there on purpose

fresh = generator(seed, "fresh noise")
answers = {name: model.counterfactual for name, model in others.items()}
answers["no abduction"] = lambda frame, do: standard.do(do).sample(len(frame), seed=fresh)
errors = {}
for name, answer in answers.items():
    for at, level in levels.items():
        gap = answer(rows, {cause: level}) - standard.counterfactual(rows, {cause: level})
        errors[name, at] = (gap**2).mean() ** 0.5 / sd
errors = pd.DataFrame(errors).T.rename_axis(["learned SCM", f"{cause} set to"])[list(graph)]
inside = errors.drop("mean + 4 sd", level=1).groupby(level=0, sort=False).mean()
far = errors.xs("mean + 4 sd", level=1)[target]
summary = inside[moved_by_it].assign(**{f"{target}, outside the data": far})
summary.columns.name = f"{what}, sd"
summary.round(3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=[len(moved_by_it) + 1, 2.5], layout="constrained")
marks, colours = "so^vDPXx*", ("#E69F00", "#009E73", "#0072B2", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "0.4")
shifts = np.linspace(-0.3, 0.3, len(answers))
for k, name in enumerate(answers):
    style = {"marker": marks[k], "color": colours[k % 8], "ms": 7, "mfc": "none", "mew": 1.8, "ls": ""}
    axes[0].plot(np.arange(len(moved_by_it)) + shifts[k], inside.loc[name, moved_by_it], label=name, **style)
    axes[1].plot([shifts[k]], far[[name]], **style)
axes[0].set_xticks(range(len(moved_by_it)), moved_by_it)
axes[0].set(ylabel=f"{what} (rms over rows), sd", title=f"{cause} at its quartiles (mean)")
axes[0].set_ylim(0, 1.1 * inside[moved_by_it].max(axis=None))
axes[1].set_xticks([0], [target])
axes[1].set(title=f"{cause} = mean + 4 sd", ylim=(0, 1.1 * far.max()), xlim=(-0.6, 0.6))
figure.legend(loc="outside lower center", ncols=len(answers), fontsize=8)
plt.show()
print(f"{what.capitalize()} for {target}, mean over the quartiles, then outside the data (sd):")
print("; ".join(f"{name} {inside.loc[name, target]:.2f}, {far[name]:.2f}" for name in answers) + ".")

# %% [markdown]
# ## 4. What can be checked without the truth?
#
# `ck.check_counterfactuals(learned, frame=rows)` does what rows allow:
#
# | check | in words | source of doubt |
# |---|---|---|
# | composition | what changes nothing changes nothing: $do(x = \text{its own value})$, once and ten times | is it an SCM at all? |
# | effectiveness | a variable that is set has that value: alone, jointly, one after the other | the same |
# | reversibility | there and back again | the same |
# | population | counterfactuals of all rows together are distributed as $do$ says (MMD) | the rows' noise |
# | effects | $do$-means are those of the estimand that `ck.identify` finds | the mechanisms between |
# | noise and parents | abducted $\hat u_j$ is independent of the parents of $j$ (HSIC) | form of the mechanism |
# | noise and noise | $\hat u_j$ is independent of every other $\hat u_k$ | hidden causes, missing arrows |
# | shape | $\hat u_j$ has the distribution that the SCM says (PIT) | family of the noise |
#
# The first three are axioms (Galles and Pearl 1998): every SCM keeps them, right or wrong. All p-values of one SCM share
# one false alarm in a hundred, so a single small one is no failure yet.
#
# *Predict:* which of our SCMs fail an axiom? Does the turned arrow?

# %%
wanted = [{cause: level} for level in list(levels.values())[:3]]
checks = {
    name: ck.check_counterfactuals(model, frame=rows, do=wanted, seed=stream["checks"])
    for name, model in models.items()
}
found = {name: check.table[check.table["verdict"] != "no verdict"] for name, check in checks.items()}
parts = {
    "composition, sd": "^composition",
    "effectiveness, sd": "^effectiveness|^nested",
    "reversibility, sd": "^reversibility",
    "counterfactuals against do, MMD²": "^MMD to own",
    "do against the identified effect, sd": "^effect of",
    "noise and parents, least p": "HSIC",
    "noise and noise, least p": "other variables' noise",
    "shape of the noise, least p": "uniform",
}
failing, lines = {}, {}
for name, findings in found.items():
    rows_of = {part: findings[findings["what"].str.contains(words)] for part, words in parts.items()}
    lines[name] = {k: some["value"].min() if "least p" in k else some["value"].max() for k, some in rows_of.items()}
    failing[name] = [k.rsplit(", ", 1)[0] for k, some in rows_of.items() if (some["verdict"] == "fails").any()]
    print(f"{name} fails: {', '.join(failing[name]) or 'nothing'}")
table = pd.DataFrame(lines)
table.loc[f"{what} for {target}, sd"] = inside[target]
table.map(lambda value: "" if np.isnan(value) else f"{value:.1g}" if value < 0.001 else f"{value:.3f}")

# %%
shown = "vae" if "vae" in models else "additive"
figure = checks[shown].plot()
figure.suptitle(f"{shown}: checked without the truth")
plt.show()
clean = [name for name in models if not failing[name] and name in inside.index]
broken = [name for name in models if "composition" in failing[name]]
print(f"Composition is broken by: {', '.join(broken) or 'none'}.")
if clean:
    worst = max(clean, key=lambda name: inside.loc[name, target])
    print(f"Nothing at all fails for {', '.join(clean)}; {what} up to {inside.loc[worst, target]:.2f} sd ({worst}).")

# %% [markdown]
# The vae fails: its encoder is not the inverse of its decoder, so a unit that nothing is done to does not come back. All
# others *are* SCMs, the turned arrow too, and keep every axiom; whatever else is wrong with them must show in the noise,
# or not at all. Necessary, not sufficient. In the cells the noise of most proteins depends on that of others, whatever
# the mechanism: the consensus graph lacks arrows, or something unseen moves several of them.
#
# **A check that has never fired has shown nothing by holding.** So we break a world on purpose, in four ways, and
# look which checks notice. The world is the lessons' SCM, with `data = "sachs"` too: what is broken has to be known.
#
# *Predict:* which break goes by without any check noticing that does not know the truth?

# %%
ways = ["reversed edge", "missing confounder", "not monotone", "two worlds"]
ways, learner = (ways[:1], "linear") if budget == "tiny" else (ways, "mlp")
world = ck.teaching_scm(mechanism=mechanism)  # with the cells too: what is broken must be known
controls = negative_controls(world, ways, n=asked, mechanism=learner, seed=stream["checks"])
fired = caught(controls)
blind = fired.index[~fired["without the truth"].astype(bool)]
print(
    f"Noticed without the truth: {int(fired['without the truth'].sum())} of {len(fired)}. Not: {', '.join(blind) or 'none'}."
)
fired

# %% [markdown]
# ## 5. Two worlds that no data tell apart
#
# *Predict:* with unlimited data, and every experiment, is the answer for each unit settled?

# %%
exhibit = two_worlds(n=2_000, seed=stream["checks"])
exhibit

# %%
figure, ax = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
facts = next(iter(exhibit.worlds.values())).sample(200, seed=stream["draws"])
facts = facts[facts["x"] < 0]
for (name, scm), marker, colour in zip(exhibit.worlds.items(), "so", ("#0072B2", "#D55E00")):
    ax.plot(
        facts["y"] - facts["x"],
        scm.counterfactual(facts, {"x": 1.0})["y"],
        marker,
        color=colour,
        mfc="none",
        label=name,
    )
ax.set(xlabel="y - x, as seen (units with x < 0)", ylabel="y, had x been 1")
ax.legend(fontsize=9)
plt.show()
print(f"{exhibit.says} Correlation of the two answers: {exhibit.table.iloc[2, 0]:.2f}.")

# %% [markdown]
# A unit that was above the others stays above them in one world and falls below in the other. What decides is an
# *assumption*, that $y$ increases in its noise; say it beside every counterfactual.
#
# ## 6. How sure?
#
# `ck.fit_ensemble` learns several SCMs, each from rows drawn with replacement, and along *each* graph that is given. A
# counterfactual then comes with an interval, and with the share of its variance that lies between the graphs. Here the
# graph is discovered in the same rows; `ck.consistent_dags` lists all DAGs that data like these cannot tell apart.
#
# > **Assumptions.** FLOP reads the class off data that it takes to be linear and Gaussian, without hidden causes. All
# > DAGs of a class count alike. The interval covers rows and these graphs; not a wrong class, not a mechanism of
# > another form, not section 5.
#
# *Predict:* does the interval cover the truth for as many units as it says?

# %%
discovered = ck.discover(train, method="flop")
members = {"tiny": 2, "fast": 4, "full": 8}[budget]
dags = ck.consistent_dags(discovered, limit=10_000)
some = [dags[k] for k in np.unique(np.linspace(0, len(dags) - 1, 4).astype(int))]  # 4 of them, if there are more
value = levels["75%"]
bent = "linear" if budget == "tiny" else "location_scale"  # of the target; all others are lines
along = {
    "line, given graph": (graph, "linear"),
    f"{bent}, given graph": (graph, bent),
    f"{bent}, class": (some, bent),
}
ensembles = {}
for name, (graphs, kind) in along.items():
    kinds = dict.fromkeys(graph, "linear") | {target: kind}
    ensembles[name] = ck.fit_ensemble(graphs, train, mechanism=kinds, members=members, seed=stream["model"])
intervals, shares = {}, {}
for name, ensemble in ensembles.items():
    answer = ensemble.counterfactual(rows, {cause: value}, level=0.9)
    intervals[name] = answer[answer["variable"] == target].set_index("row")
    shares[name] = answer.groupby("variable")["graph_share"].mean().drop(cause)
real = standard.counterfactual(rows, {cause: value})[target]
spread = pd.DataFrame(
    {
        name: {
            "graphs": len(ensembles[name].graphs),
            "width of the interval, sd": ((line["high"] - line["low"]) / sd[target]).mean(),
            f"share of the graph, {target}": shares[name][target],
            "share of the graph, most": shares[name].max(),
            f"units whose interval has the answer of {named}": ((line["low"] <= real) & (real <= line["high"])).mean(),
        }
        for name, line in intervals.items()
    }
).T
left_open = ", ".join(f"{a} - {b}" for a, b in undirected_edges(discovered)) or "none"
print(f"Edges left open: {left_open}; {len(dags)} DAGs in the class, {len(some)} of them learned along.")
spread.round(2)

# %%
figure, ax = plt.subplots(figsize=(9.5, 3.4), layout="constrained")
places = np.arange(12)
ax.plot(places, rows[target][:12], "o", color="0.6", ms=9, mfc="none", mew=1.8, label="seen")
ax.plot(places, real[:12], "D", color="#000000", ms=6, mfc="none", mew=1.8, label=named)
for (name, line), shift, colour in zip(intervals.items(), (-0.2, 0.0, 0.2), ("#0072B2", "#009E73", "#D55E00")):
    ends = np.abs(line[["low", "high"]].sub(line["mean"], axis=0))[:12].T.to_numpy()
    ax.errorbar(places + shift, line["mean"][:12], ends, fmt="s", ms=4, color=colour, label=f"90 %, {name}")
ax.set_xticks(places)
ax.set(xlabel="unit (row)", ylabel=target, title=f"Had {cause} been {value:.2f}")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()
share, kept, most = spread["share of the graph, most"], spread.iloc[:, -1], shares[f"{bent}, class"].idxmax()
print(
    f"Along the class the graph makes {shares[f'{bent}, class'][target]:.0%} of the variance of {target}, "
    f"{'the largest share' if most == target else f'and of {most}, the most, {share.iloc[-1]:.0%}'}. "
    f"A 90 % interval has the answer of {named} for "
    + ", ".join(f"{value:.0%} of the units ({name})" for name, value in kept.items())
    + "."
)

# %% [markdown]
# An interval that holds for far fewer units than it says is no bad luck: it tells what *resampling* would change, and
# the form of the mechanism is no part of that. In the synthetic data a line through noise that grows is sure of itself,
# and wrong. And an arrow that data leave open matters where it lies on the way: do on a cause moves what is an effect in
# one DAG of the class and none in another. A share from a few members is itself rough: where the cause's way to the target
# is the same in all DAGs, as it is in the synthetic data, the share for the target is chance, and more members shrink it.
#
# ## 7. A prediction is not a plan
#
# A network that predicts well is often asked *what if*: change one feature in the row, keep the others, read the new
# prediction. What would really happen to the target is a counterfactual.
#
# > **Assumptions.** `erm` on all features learns $E[\text{target} \mid \text{all}]$, right for rows from the same
# > source. The `parents` mask lets the target's causes through: right about interventions on them one by one (with the
# > others kept) if the graph is right and no cause of target and features is hidden; it is not meant to predict best.
#
# *Predict:* which feature moves the ERM network most, and what does setting it do to the target?

# %%
features = tuple(v for v in graph if v != target)
task, sources = ck.Task(features, target), [[ck.Environment("train", train)]] * repeats
seeds = [integer(stream["model"], "network", r) for r in range(repeats)]
fits = {"ERM": {}, "parents": {"graphs": [graph] * repeats, "encoder": "parents"}}
plans = {}
for v in features:
    world = standard.counterfactual(rows, {v: rows[v] + sd[v]})
    plans[v] = {f"change of {target}, {named}": (world[target] - rows[target]).mean()}
for name, extra in fits.items():
    # a little weight decay: ERM on ten features and 600 cells overfits without it
    nets = ck.training.fit_many(sources, task, objective="erm", steps=steps, weight_decay=0.01, seeds=seeds, **extra)
    for v in features:
        edited = rows.assign(**{v: rows[v] + sd[v]})
        plans[v][f"{name}, feature edited"] = np.mean([net.predict(edited) - net.predict(rows) for net in nets])
plans = pd.DataFrame(plans).T / sd[target]

figure, ax = plt.subplots(figsize=(9.5, 3.4), layout="constrained")
looks = zip((0.0, -0.2, 0.2), plans.columns, "Dso", ("#000000", "#E69F00", "#0072B2"))
for shift, column, marker, colour in looks:
    ax.plot(np.arange(len(plans)) + shift, plans[column], marker, color=colour, ms=8, mfc="none", mew=1.8, label=column)
ax.axhline(0, color="0.8", lw=1, zorder=0)
causes, children = parents_of(graph, target), children_of(graph, target)
role = {v: "cause" if v in causes else "effect" if v in children else "" for v in features}
ax.set_xticks(range(len(plans)), [f"{v}\n{role[v]}" for v in features])
ax.set(ylabel=f"change of {target}, sd", title=f"One feature one sd up: {named}, and two networks")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()
off = plans.iloc[:, 1:].sub(plans.iloc[:, 0], axis=0).abs()
effects = [v for v in features if v in nx.descendants(graph, target)]
misled = off.iloc[:, 0].idxmax()
print(
    f"Setting an effect of {target} ({', '.join(effects)}) leaves it alone; the edited ERM moves by up to "
    f"{plans.loc[effects].iloc[:, 1].abs().max():.2f} sd, the parents network by {plans.loc[effects].iloc[:, 2].abs().max():.2f}. "
    f"ERM is furthest off for {misled} ({plans.loc[misled].iloc[1]:+.2f} against {plans.loc[misled].iloc[0]:+.2f}). "
    f"Mean distance over features: ERM {off.iloc[:, 0].mean():.2f}, parents {off.iloc[:, 1].mean():.2f}."
)

# %% [markdown]
# Where an effect tells much of the target (x3 in the synthetic data), ERM leans on it: it gives a cause too little, and
# moves with the effect although the target does not. A cause that works through another cause hardly shows in either
# network when one column is edited.
#
# ## 8. Against experiments
#
# The checks so far compare models with models. An experiment compares with the world. With `data = "sachs"` each
# condition is one: psitect takes PIP2 away, a literal $do(\text{level})$; U0126 inhibits what Mek *does*. With
# `data = "synthetic"` we run two experiments on the true SCM: one sets the cause low; the other blocks the target: its
# effects hear it as if it were low, with a fifth of its deviation, while its own level rises by one sd of its noise.
#
# An inhibitor of *activity* leaves a protein's level alone or even raises it. The right model changes the **children's
# mechanisms**: they hear the protein at its 5 % quantile, whatever its level (`mechanism.with_gain`). Nothing of the
# condition is used for that.
#
# *Predict:* the inhibitor raises its protein's level. What does $do(\text{level})$ say about the child?

# %%
base = pd.concat([train, rows]) if truth is not None else cells["cd3cd28"]
if data == "synthetic":
    hush, hushed = float(train[target].quantile(0.05)), children_of(graph, target)
    blocked = {v: truth.mechanisms[v].with_gain({target: 0.2}, {target: hush}) for v in hushed}
    y = truth.mechanisms[target]
    trials = {
        f"{cause} set low": (cause, truth.do({cause: float(train[cause].mean() - 2 * sd[cause])})),
        f"{target} blocked": (target, truth.replace({**blocked, target: y.moved(1.0)})),
    }
    trials = {k: (v, w.sample(1_000, seed=integer(stream["experiments"], k))) for k, (v, w) in trials.items()}
else:
    trials = {"cd3cd28+psitect": ("PIP2", cells["cd3cd28+psitect"]), "cd3cd28+u0126": ("Mek", cells["cd3cd28+u0126"])}
model = models["additive"]
before = model.sample(draws, seed=stream["draws"]).mean()
lines = {}
for number, (name, (node, measured)) in enumerate(trials.items()):
    acted = {"do(level)": model.do({node: float(measured[node].mean())})}
    if number == 1:
        heard = {node: float(base[node].quantile(0.05))}
        deaf = {v: model.mechanisms[v].with_gain({node: 0.0}, heard) for v in children_of(graph, node)}
        acted["told: activity"] = model.replace(deaf)
    lines[name, "measured"] = (measured.mean() - base.mean()) / sd
    lines[name, "2 se"] = 2 * np.sqrt(measured.var() / len(measured) + base.var() / len(base)) / sd
    for answer, scm in acted.items():
        lines[name, answer] = ((scm.sample(draws, seed=stream["draws"]).mean() - before) / sd).drop(node)
against = pd.DataFrame(lines).T[list(graph)].rename_axis(["experiment", "change of the mean, sd"])
against.map(lambda value: "" if np.isnan(value) else f"{value:+.2f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
looks = {"do(level)": ("s", "#D55E00", -0.2), "told: activity": ("o", "#009E73", 0.2)}
for ax, (name, (node, _)) in zip(axes, trials.items()):
    lines = against.loc[name]
    spots = np.arange(len(graph))
    ax.errorbar(spots, lines.loc["measured"], lines.loc["2 se"], fmt="D", color="#000000", ms=5, label="measured, 2 se")
    for answer in lines.index.intersection(list(looks)):
        marker, colour, shift = looks[answer]
        ax.plot(spots + shift, lines.loc[answer], marker, color=colour, ms=7, mfc="none", mew=1.8, label=answer)
    below = nx.descendants(graph, node)
    ax.set_xticks(spots, [f"{v}*" if v in below else v for v in graph], rotation=0 if len(graph) < 8 else 60)
    ax.axhline(0, color="0.8", lw=1, zorder=0)
    ax.set_title(f"{name} (* effects of {node})", fontsize=10)
    ax.legend(fontsize=8)
axes[0].set_ylabel("change of the mean, sd")
plt.show()
literal, inhibitor = trials
node, child = trials[literal][0], children_of(graph, trials[inhibitor][0])[0]
real, told = against.loc[literal, "measured"].drop(node), against.loc[literal, "do(level)"].drop(node)
error_model, error_none = (real - told).abs().mean(), real.abs().mean()
still = [f"{v} ({real[v]:+.2f})" for v in real.index if v not in nx.descendants(graph, node) and abs(real[v]) > 0.3]
print(
    f"{literal}: mean distance of do({node}) from the measured changes {error_model:.2f} sd; of 'nothing changes' "
    f"{error_none:.2f}. No effects of {node} in the graph, and moved by over 0.3 sd: {', '.join(still) or 'none'}."
)
by = {answer: against.loc[(inhibitor, answer), child] for answer in ("measured", "do(level)", "told: activity")}
own = against.loc[(inhibitor, "measured"), trials[inhibitor][0]]
print(
    f"{inhibitor}: {trials[inhibitor][0]} itself moves by {own:+.2f} sd, {child} by {by['measured']:+.2f}; do(level) "
    f"says {by['do(level)']:+.2f}, told of the activity {by['told: activity']:+.2f}."
)

# %% [markdown]
# > **Assumptions.** Comparing $do$ with a condition takes the condition to change this one variable and nothing else
# > (no other target, no other batch of cells or day), and the level to lie where the model has seen data.
#
# In the cells, what lies *above* PIP2 in the graph moves when PIP2 is taken away, and so do some proteins elsewhere: no
# DAG with PIP2 as a sink can produce that. The lipids may run in a cycle, the drug may do more than its label says, the
# batch may differ. One condition cannot tell which; it does tell that "nothing else moves" was wrong. U0126 raises Mek
# by far, and Erk falls: $do(\text{level})$ has the wrong sign. Told of the activity, an SCM learned under stimulation
# alone is next to silent, since Mek and Erk are nearly unrelated there. Every condition, with several graphs and
# intervals: the notebook `experiments/sachs_counterfactuals`.
#
# ## To take away
#
# | check | needs | notices | does not notice |
# |---|---|---|---|
# | error against the true SCM | the truth: a simulation | everything | nothing; but it is about that simulation |
# | axioms | the model | answers that no SCM gives (vae, no abduction) | a wrong SCM: graph, mechanism, hidden causes |
# | population: counterfactuals against $do$ | the model, new rows | rows' noise unlike the noise drawn | a wrong $do$ |
# | noise independent, of the right shape | new rows | a wrong form; some wrong arrows, some hidden causes | arrows turned within the class; two worlds |
# | held-out likelihood | the same | a poor regression | the same; it ranks fits, not causes |
# | interval | resampled rows, several graphs | what rows and class leave open | a wrong form, a wrong class, two worlds |
# | experiment | an experiment on the right thing | a wrong $do$ | wrong counterfactuals that agree on every $do$ |
#
# ## Exercises
#
# 1. Ann has Joe's $x$ and $h$, and scored $y = 0.4$. What would she have scored with $h = 2$? By hand, then by
#    `joe().worlds["Joe's class"].counterfactual`. Why is her gain the same as Joe's, and in which SCM would it not be?
# 2. Run with `noise = "added"`. Which mechanism has the smallest error now, and would held-out likelihood have told you?
# 3. Turn an arrow that discovery left open (`ck.consistent_dags`), `ck.fit_scm` along both DAGs, and compare errors and
#    held-out density. Which of the two numbers tells the members apart?
#
# <details><summary>Solutions</summary>
#
# 1. $u_y = 0.4 - 0.35 - 0.4 = -0.35$, so $y = 0.35 + 0.8 - 0.35 = 0.80$: 0.4 more, as for Joe ($1.90 - 1.50$). With added
#    noise and a line, $h$ does the same to everyone. Let $s$ in $y := f + s(h)\,u$ grow with $h$, and it does not.
# 2. `additive`: 0.08 sd, then location_scale 0.14, flow about 0.2, vae 0.34, linear 0.35 (`fast`, one seed). The flow could
#    be as good, and has more to learn from the same 600 rows. Held-out likelihood ranks them the same, which is what
#    `auto` goes by.
# 3. The errors do. With linear Gaussian relations members have the same density up to sampling, since they
#    describe the same distributions; with bent ones the density can tell them apart.
#
# </details>
#
# **Read on:** Pearl (2009), *Causality*, sections 1.4 and 7.1 to 7.3; Pearl, Glymour and Jewell (2016), chapter 4; Galles
# and Pearl (1998), *Foundations of Science* 3, 151-182; Pawlowski, Castro and Glocker (2020), *Deep structural causal
# models*; Javaloy, Sanchez-Martin and Valera (2023), *Causal normalizing flows*; Sachs et al. (2005), *Science* 308.

# %%
metric, unit_of = ck.runs.metric, f"sd of {target}"
metrics = {
    f"counterfactual_{name.replace(' ', '_')}": metric(
        inside.loc[name, target], f"{what} of counterfactuals, from {named}: {name}", unit=unit_of, better="lower"
    )
    for name in answers
}
composition = table.loc["composition, sd"]
metrics |= {
    "composition_scms": metric(
        composition.drop("vae", errors="ignore").max(),
        "largest violation of composition, vae apart",
        unit="sd",
        truth=0.0,
    ),
    "controls_noticed": metric(
        int(fired["without the truth"].sum()),
        f"of {len(fired)} broken worlds, noticed without the truth",
        unit="worlds",
    ),
    "interval_given": metric(kept.iloc[1], "90 % intervals that hold, given graph", unit="share of units"),
    "interval_class": metric(kept.iloc[2], "90 % intervals that hold, discovered class", unit="share of units"),
    "graph_share": metric(share.iloc[2], "of the variance lies between the graphs, where most does", unit="share"),
    "plan_erm": metric(
        off.iloc[:, 0].mean(), "what-if by ERM: distance from the target's change", unit=unit_of, better="lower"
    ),
    "plan_parents": metric(off.iloc[:, 1].mean(), "the same by the network on parents", unit=unit_of, better="lower"),
    "literal_do": metric(
        error_model, f"changes of means under {literal}: model from experiment", unit="sd", better="lower"
    ),
    "literal_do_nothing": metric(error_none, "the same, saying that nothing changes", unit="sd", better="lower"),
    "inhibitor_do_level": metric(by["do(level)"], f"change of {child} under {inhibitor}, do(level)", unit="sd"),
    "inhibitor_told": metric(by["told: activity"], f"the same, its parent heard as low: {child}", unit="sd"),
    "inhibitor_measured": metric(by["measured"], f"change of {child}, measured", unit="sd"),
}
if "vae" in models:
    metrics["composition_vae"] = metric(composition["vae"], "largest violation of composition by the vae", unit="sd")
tables = {"errors": errors, "checks": table, "controls": fired, "intervals": spread, "plans": plans, "against": against}
ck.runs.record(metrics=metrics, tables=tables)
