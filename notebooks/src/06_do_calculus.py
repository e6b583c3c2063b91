# %% [markdown]
# # What if we acted, and can the data tell?
#
# $P(y \mid x)$ says what goes with $x$ in rows that were **seen**; $P(y \mid do(x))$ what $y$ would be if $x$ were
# **set**. The first comes from counting. The second needs a causal graph, and with it either a formula over what was
# seen (the effect is *identified*), or a proof that there is none. Three rules, the *do-calculus*, find every
# formula.
#
# **You will be able to** say when a regression slope is an effect, and which control ruins it; use the three rules on
# a drawn graph; ask for an effect and read its derivation; estimate it with an interval; say what a wrong graph, a
# missing part of the population and a hidden cause do to the answer, and which of these anything notices.
#
# **Time:** reading and playing, 60 minutes; running from top to bottom on one core, 35 seconds (`fast`) or 105
# (`full`).

# %% tags=["parameters"]
data = "synthetic"  # "synthetic": a known SCM, so errors can be measured; "sachs": protein levels in single cells
mechanism = "additive"  # of the learned SCMs: "linear", "mlp" or "additive"
confounding = 1.0  # how strongly the hidden cause drives x and y, in "synthetic"; 0 is not at all
budget = "fast"  # "fast": 2,000 rows; "full": 10,000, and more resamples; "tiny": to see that it runs
seed = 0  # of data, resampling and questions

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from scipy.stats import pearsonr

import causalkit as ck
from causalkit.identification import (
    PositivityError,
    Probability,
    Source,
    adjustment_sets,
    evaluate,
    front_door_sets,
    instruments,
    interventional,
    optimal_adjustment,
    random_discrete,
    two_stage_least_squares,
)
from causalkit.identification.verify import gap
from causalkit.seeds import integer, stream

n, draws, bootstrap, repeats = {
    "tiny": (250, 2_000, 20, 1),
    "fast": (2_000, 50_000, 200, 5),
    "full": (10_000, 200_000, 500, 5),
}[budget]
seeds = {k: integer(seed, k) for k in ("train", "draws", "model", "bootstrap", "trial", "small", "tables", "lab")}

# %% [markdown]
# ## 1. Seeing is not doing, and a control can make it worse
#
# Six small linear worlds; every arrow has weight 1, every noise variance 1. In each, the effect of $x$ on $y$ is
# known. We regress $y$ on $x$ alone, and on $x$ with one more variable "to control for it".
#
# *Predict:* in which worlds does the control help, and in which does it do harm?
#
# > **Assumptions** of reading a slope as an effect: the controls are a valid *adjustment set* (they shut every
# > back-door path from $x$ to $y$, open none, and are no effects of $x$), and the relations are linear.


# %%
def linear_scm(graph, **weights):
    """The SCM with this graph whose arrows have weight 1, or the one given by name: x_y=0.5."""
    parts = {v: {p: weights.get(f"{p}_{v}", 1.0) for p in graph.predecessors(v)} for v in nx.topological_sort(graph)}
    hidden = [v for v, is_hidden in graph.nodes(data="hidden") if is_hidden]
    return ck.SCM({v: ck.linear(part) for v, part in parts.items()}, hidden=hidden)


def slope(frame, x, y, controls=()):
    """Least squares: the slope of y on x beside the controls, and its standard error."""
    design = np.column_stack([np.ones(len(frame)), frame[[x, *controls]]])
    inverse = np.linalg.inv(design.T @ design)
    weights = inverse @ design.T @ frame[y].to_numpy()
    residual = frame[y].to_numpy() - design @ weights
    return weights[1], float(np.sqrt(residual @ residual / (len(frame) - design.shape[1]) * inverse[1, 1]))


controls = {"confounder": "z", "mediator": "m", "m_bias": "z", "butterfly_bias": "z", "selection_bias": "z"}
controls |= {"case_control": "z"}
lines = {}
for name, control in controls.items():
    world = linear_scm(ck.graphs.textbook(name))
    frame = world.sample(n, seed=integer(seeds["small"], name))
    set_to = [world.do({"x": value}).sample(10, seed=0)["y"].mean() for value in (0.0, 1.0)]
    sets = adjustment_sets(world.graph, "x", "y")
    lines[name] = {
        "graph": ck.graphs.TEXTBOOK[name],
        "effect": set_to[1] - set_to[0],
        **dict(zip(("alone", "se alone"), slope(frame, "x", "y"))),
        **dict(zip(("with control", "se with control"), slope(frame, "x", "y", [control]))),
        "adjust for": " or ".join("{" + ", ".join(s) + "}" for s in sets) or "no set will do",
    }
bad_controls = pd.DataFrame(lines).T.rename_axis("world")
bad_controls.infer_objects().round(2)

# %%
figure, ax = plt.subplots(figsize=(9, 3.4))
spots = np.arange(len(bad_controls))
ax.plot(spots, bad_controls["effect"], "_", color="#000000", ms=34, mew=2.5, label="true effect")
for move, (column, marker, colour) in zip((-0.12, 0.12), (("alone", "o", "#0072B2"), ("with control", "s", "#D55E00"))):
    heights, widths = bad_controls[column].astype(float), 2 * bad_controls[f"se {column}"].astype(float)
    ax.errorbar(spots + move, heights, widths, fmt=marker, color=colour, mfc="none", mew=1.8, label=f"slope, {column}")
ax.set_xticks(spots, [f"{name}\n(control: {controls[name]})" for name in bad_controls.index], fontsize=8)
ax.set(ylabel="y per unit of x", title="Slopes with 2 standard errors")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()
miss = {
    c: (bad_controls[c] - bad_controls["effect"]).abs() > 3 * bad_controls[f"se {c}"] for c in ("alone", "with control")
}
helped = bad_controls.index[miss["alone"] & ~miss["with control"]]
ruined = bad_controls.index[~miss["alone"] & miss["with control"]]
neither = bad_controls.index[miss["alone"] & miss["with control"]]
print(f"The control mends the slope in: {', '.join(helped) or 'none'}; ruins it in: {', '.join(ruined) or 'none'};")
print(f"and neither slope is within 3 standard errors of the effect in: {', '.join(neither) or 'none'}.")

# %% [markdown]
# The same regression, the same columns: only the graph tells a good control from a bad one. A mediator takes the
# effect away that flows through it; a collider (`m_bias`) opens a path that was shut; an effect of $x$ or of $y$
# selects on the outcome. More rows do not help: the intervals shrink around the wrong number.
#
# ## 2. Three rules
#
# `ck.do_rules.applies(graph, rule, y, x, z, w)` decides each by *d*-separation in a graph with arrows removed:
# $G_{\overline{x}}$ lacks the arrows into $x$ (it is set, and listens to nobody), $G_{\underline{z}}$ those out of
# $z$; $z(w)$ are those of $z$ that are no causes of $w$ in $G_{\overline{x}}$.
#
# | rule | says | if, in this graph, | then |
# |---|---|---|---|
# | 1 | an **observation** may be dropped | $G_{\overline{x}}$: $y \perp z \mid x, w$ | $P(y \mid do(x), z, w) = P(y \mid do(x), w)$ |
# | 2 | **doing** is seeing | $G_{\overline{x}\underline{z}}$: $y \perp z \mid x, w$ | $P(y \mid do(x), do(z), w) = P(y \mid do(x), z, w)$ |
# | 3 | an **action** may be dropped | $G_{\overline{x}\,\overline{z(w)}}$: $y \perp z \mid x, w$ | $P(y \mid do(x), do(z), w) = P(y \mid do(x), w)$ |
#
# Our graph has an observed common cause $z$, a hidden one (dashed), and an effect that flows through $m$ alone. Each
# rule is tried where it applies (top) and where it does not (bottom). Beside the verdict stands the largest
# difference of the two sides in five SCMs of the graph with random tables, by exact enumeration: a rule that applies
# must give 0 in *every* SCM; where one does not apply, almost any SCM shows it.
#
# *Predict:* which path is open in each of the three lower graphs?


# %%
diagram = ck.graphs.parse("z -> x, y; x -> m -> y; x <-> y")
examples = [random_discrete(diagram, seed=integer(seeds["tables"], i)) for i in range(5)]


def sides_apart(rule):
    """The largest difference of a rule's two sides in five SCMs with random tables, over all values."""
    without, seen = (rule.y, rule.w, rule.x), (rule.y, (*rule.z, *rule.w), rule.x)
    done = rule.y, rule.w, (*rule.x, *rule.z)
    left, right = {1: (seen, without), 2: (done, seen), 3: (done, without)}[rule.rule]
    laws = [lambda do, _, scm=scm: interventional(scm, do) for scm in examples]
    return max(gap(evaluate(Probability(*left), law), evaluate(Probability(*right), law)) for law in laws)


tried = {
    (1, True): {"y": "m", "x": "x", "z": "z"},
    (2, True): {"y": "m", "z": "x"},
    (3, True): {"y": "y", "x": "m", "z": "x"},
    (1, False): {"y": "y", "x": "x", "z": "z"},
    (2, False): {"y": "y", "z": "x"},
    (3, False): {"y": "y", "z": "x"},
}
figure, axes = plt.subplots(2, 3, figsize=(12.5, 6.4), layout="constrained")
lines = []
for ax, ((number, _), question) in zip(axes.flat, tried.items()):
    rule = ck.do_rules.applies(diagram, number, **question)
    rule.draw(ax)
    ax.set_title(f"Rule {number} {'applies' if rule else 'does not apply'}\n{rule.equation}", fontsize=10)
    lines.append({"rule": number, "equation": rule.equation, "applies": bool(rule), "sides apart": sides_apart(rule)})
plt.show()
rules = pd.DataFrame(lines)
print(
    f"Where a rule applies, its sides differ by at most {rules.loc[rules['applies'], 'sides apart'].max():.0e}; "
    f"where none does, by {rules.loc[~rules['applies'], 'sides apart'].min():.3f} or more."
)
rules.round(4)

# %% [markdown]
# Read rule 2 at the top: $x$ has a back door, $x \leftarrow z \rightarrow y \leftarrow m$, but $y$ is a collider on
# it, so $P(m \mid do(x)) = P(m \mid x)$ although $x$ is confounded with $y$. At the bottom the same rule fails, for
# the paths through $z$ and the hidden cause are open to $y$. Try others; a variable may have one part only.


# %%
def draw_rule(number, outcome, moved, given_do):
    """A rule on the diagram, drawn, and what it says, with the two sides compared."""
    try:
        rule = ck.do_rules.applies(diagram, number, y=outcome, z=moved, x=() if given_do == "nothing" else given_do)
    except ValueError as error:
        return None, str(error)
    figure, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
    rule.draw(ax)
    return (
        figure,
        f"{rule.equation}? {rule.why} In five SCMs with random tables the sides differ by up to {sides_apart(rule):.3f}.",
    )


ck.widgets.explore(
    draw_rule,
    number=ck.widgets.slider("Rule", [1, 2, 3], 2),
    outcome=ck.widgets.choice("y, the outcome", ["y", "m", "z"], "y"),
    moved=ck.widgets.choice("z, dropped or exchanged", ["x", "m", "z"], "x"),
    given_do=ck.widgets.choice("x, set throughout", ["nothing", "x", "m", "z"], "nothing"),
)

# %% [markdown]
# ## 3. Ask for an effect, read the steps
#
# `ck.identify(graph, outcome, do)` looks for a formula: adjustment first (*back door*), then the *front door*, then
# the complete algorithms ID and IDC, which find a formula if and only if there is one. The steps name the rule, the
# independence it used and the graph it used it in. Before a formula is returned it is checked on two random SCMs.
#
# > **Assumptions** of every answer: the graph is right, and what it leaves out is absent. A missing arrow and a
# > missing $\leftrightarrow$ are the strong claims; an arrow too many costs precision or an answer, never
# > correctness.
#
# *Predict:* in which of these four graphs can the effect be computed from what is observed (solid circles)?

# %%
asked = {name: ck.graphs.textbook(name) for name in ("confounder", "front_door", "napkin", "bow")}
figure, axes = plt.subplots(1, len(asked), figsize=(13, 2.9), layout="constrained")
for ax, (name, graph) in zip(axes, asked.items()):
    ck.plotting.draw_graph(graph, ax, highlight=["y"])
    ax.set_title(f"{name}: {ck.graphs.TEXTBOOK[name]}", fontsize=9)
plt.show()
for name, graph in asked.items():
    try:
        display(Markdown(f"**{name}**"), ck.identify(graph, "y", "x"))
    except ck.NotIdentifiable as error:
        print(f"{name}: {error}.\nHedge: {error.hedge}; to measure: {', '.join(error.measure)}.")

# %% [markdown]
# The front door uses rules 2 and 3, and total probability twice. In the napkin no set of variables is an adjustment
# set, and still there is a formula: a ratio, in which $z$ may take any value. For the bow there is none. The
# **hedge** is the proof: two nested sets, each held together by hidden common causes. Now choose a
# graph, or type your own, and ask.

# %%
ck.widgets.ask("napkin")

# %%
lines = {}
for name, text in ck.graphs.TEXTBOOK.items():
    graph = ck.graphs.textbook(name)
    if not {"x", "y"} <= set(graph):
        continue
    try:
        found = ck.identify(graph, "y", "x")
        formula, how = str(found.expression), found.reason
    except ck.NotIdentifiable:
        formula, how = "none", "a hedge"
    lines[name] = {
        "graph": text,
        "P(y | do(x))": formula,
        "by": how,
        "adjustment sets": ", ".join("{" + ", ".join(s) + "}" for s in adjustment_sets(graph, "x", "y")) or "none",
        "least variance": str(optimal_adjustment(graph, "x", "y") or ""),
        "front doors": ", ".join("{" + ", ".join(s) + "}" for s in front_door_sets(graph, "x", "y")),
        "instruments": ", ".join(z + (f" given {', '.join(s)}" if s else "") for z, s in instruments(graph, "x", "y")),
    }
catalogue = pd.DataFrame(lines).T.rename_axis("graph's name")
print(
    f"Of {len(catalogue)} graphs, {int((catalogue['by'] == 'a hedge').sum())} give no formula without further assumptions."
)
catalogue

# %% [markdown]
# ## 4. The same question on data, three ways
#
# Now with rows. The question is $E[y \mid do(x = a)]$ at five values of $a$. We answer it
#
# 1. by the **identified estimand**, estimated from the rows (`estimand.estimate(frame, do={...})`; the band is a 95 %
#    bootstrap interval over rows);
# 2. by a **learned SCM**: `ck.fit_scm` along the graph's arrows, then `.do(...)` (the bars reach from the least to
#    the greatest answer over refits, each to 80 % of the rows). It knows no hidden cause: where the graph has one, it
#    is left out;
# 3. by the **true SCM** for `data = "synthetic"`; for `"sachs"` there is none, but one of the experiments sets $x$.
#
# Beside them stands what is merely *seen*, $E[y \mid x = a]$. All that for three graphs, not all of which are right.
#
# > **Assumptions.** (1) the graph, hidden causes included, and positivity: $x$ near $a$ occurs in every part of the
# > population. (2) the graph *without* hidden causes, and the family of the mechanisms.
#
# *Predict:* in which of the three graphs will the first two answers agree, and does agreement make them right?

# %%
if data == "synthetic":
    x, y, step = "x", "y", lambda p: 1.5 * torch.tanh(p[:, 0])
    truth = ck.SCM(
        {
            "u": ck.linear(),
            "z": ck.linear(),
            "x": ck.linear({"z": 0.5, "u": 0.7 * confounding}),
            "m": ck.additive(["x"], step, scale=0.8),
            "y": ck.linear({"m": 1.0, "z": -1.0, "u": -1.5 * confounding}, scale=0.5),
        },
        hidden=["u"],
    )
    frame = truth.sample(n, seed=seeds["train"], hidden=True)  # u is there, for the graph in which it is measured
    texts = {
        "hidden cause measured": "u -> x, y; z -> x, y; x -> m -> y",
        "hidden cause admitted": "z -> x, y; x -> m -> y; x <-> y",
        "hidden cause denied": "z -> x, y; x -> m -> y",
    }
    experiment, name_of_it = None, "the true SCM"
else:
    x, y, truth = "PIP2", "PIP3", None
    conditions, consensus = ck.load_sachs()
    cells = {e.name: e.frame for e in conditions}
    mixed = cells["cd3cd28"].sample(frac=1.0, random_state=seeds["train"], ignore_index=True)
    frame, experiment, name_of_it = mixed.iloc[:n], cells["cd3cd28+psitect"], "the cells whose PIP2 was taken away"
    texts = {
        "consensus: PIP3 -> PIP2": "Plcg -> PIP3, PIP2; PIP3 -> PIP2",
        "arrow turned": "Plcg -> PIP3, PIP2; PIP2 -> PIP3",
        "turned, and a hidden cause": "Plcg -> PIP3, PIP2; PIP2 -> PIP3; PIP2 <-> PIP3",
    }
cases = {name: ck.graphs.parse(text) for name, text in texts.items()}
levels = [float(frame[x].quantile(share)) for share in (0.2, 0.35, 0.5, 0.65, 0.8)]
figure, axes = plt.subplots(1, 3, figsize=(12, 2.9), layout="constrained")
for ax, (name, graph) in zip(axes, cases.items()):
    ck.plotting.draw_graph(graph, ax, highlight=[y])
    ax.set_title(name, fontsize=10)
plt.show()
print(f"{len(frame)} rows. E[{y} | do({x} = a)] for a = {', '.join(f'{a:.2f}' for a in levels)}.")

# %%
estimands, answers, learned = {}, {}, {}
just_seen = ck.identify(ck.graphs.parse(f"{x} -> {y}"), y, x)  # with no other variable, P(y | do(x)) = P(y | x)
# no row twice, as in a bootstrap: fit_scm holds rows out to choose a mechanism, and copies would tell it the answer
parts = [frame.sample(frac=0.8, random_state=integer(seeds["model"], "rows", i)) for i in range(repeats)]
for name, graph in cases.items():
    arrows, _ = ck.graphs.project(graph)  # a learned SCM has the arrows, and no hidden cause
    key = tuple(sorted(arrows.edges))
    if key not in learned:
        learned[key] = [ck.fit_scm(arrows, rows, mechanism=mechanism, seed=seeds["model"]) for rows in parts]
    try:
        estimands[name] = ck.identify(graph, y, x)
        print(f"{name}: {estimands[name].expression} ({estimands[name].reason})")
    except ck.NotIdentifiable as error:
        print(f"{name}: not identifiable, hedge {error.hedge}; measuring {' or '.join(error.measure)} would do")
    for a in levels:
        means = [scm.do({x: a}).sample(draws, seed=seeds["draws"])[y].mean() for scm in learned[key]]
        line = {"learned": np.mean(means), "learned low": min(means), "learned high": max(means), "note": ""}
        for label, estimand in (("identified", estimands.get(name)), ("seen", just_seen)):
            try:
                found = estimand and estimand.estimate(frame, {x: a}, bootstrap=bootstrap, seed=seeds["bootstrap"])
            except PositivityError as error:
                found, line["note"] = None, str(error)
            for part in ("value", "low", "high"):
                line[f"{label} {part}".replace(" value", "")] = getattr(found, part) if found else np.nan
        line["true"] = truth.do({x: a}).sample(draws, seed=seeds["draws"])[y].mean() if truth else np.nan
        answers[name, a] = line
answers = pd.DataFrame(answers).T.rename_axis(["graph", f"do({x})"])
answers = answers.astype({c: float for c in answers.columns if c != "note"})
answers[["seen", "identified", "identified low", "identified high", "learned", "true"]].round(2)


# %%
def draw_answers(ax, name):
    """One graph's answers over the values of do, and the sentence that says how they compare."""
    here = answers.loc[name]
    ax.fill_between(here.index, here["identified low"], here["identified high"], color="#0072B2", alpha=0.2, lw=0)
    ax.plot(here.index, here["identified"], "o-", color="#0072B2", mfc="none", mew=1.8, label="identified estimand")
    ends = [here["learned"] - here["learned low"], here["learned high"] - here["learned"]]
    ax.errorbar(here.index, here["learned"], ends, fmt="s--", color="#D55E00", mfc="none", mew=1.8, label="learned SCM")
    ax.plot(here.index, here["seen"], "x:", color="0.45", label=f"seen, E[{y} | {x}]")
    if truth is not None:
        ax.plot(here.index, here["true"], "-", color="#000000", lw=2, zorder=1, label="true SCM")
    else:
        place, height = experiment[x].mean(), experiment[y].mean()
        ax.errorbar(
            place, height, 2 * experiment[y].sem(), experiment[x].std(), fmt="D", color="#000000", label="experiment"
        )
    ax.set(title=name, xlabel=f"{x} set to a", ylabel=f"mean of {y}")
    apart = (here["identified"] - here["learned"]).abs().max()
    words = f"{name}: identified and learned differ by up to {apart:.2f}"
    words = words if here["identified"].notna().any() else f"{name}: no estimand"
    if truth is None:
        return f"{words}; the experiment has {height:.2f} at {place:.2f}"
    off = {k: (here[k] - here["true"]).abs().max() for k in ("identified", "learned", "seen")}
    return f"{words}; off the truth by up to: {', '.join(f'{k} {v:.2f}' for k, v in off.items())}"


figure, axes = plt.subplots(1, len(cases), figsize=(13, 3.9), sharey=True, layout="constrained")
sentences = [draw_answers(ax, name) for ax, name in zip(axes, cases)]
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()
print(".\n".join(sentences) + ".")
silent = answers.loc[answers["note"] != "", "note"]
print(f"{len(silent)} of {len(answers)} questions had no answer for want of positivity.")

# %% [markdown]
# For `"synthetic"`: with the hidden cause measured, all agree with the truth. With it **admitted** (the bidirected
# edge) the estimand still finds the truth, through the front door $m$, while the learned SCM, which has no such edge,
# does not: a formula can do without a variable that a simulator needs. With it **denied**, both are wrong.
#
# For `"sachs"`: by the consensus graph PIP2 has no effect on PIP3, whatever is seen. The experiment takes PIP2 away
# (a literal $do$, to about 3 sd below its mean; the diamond has 2 standard errors up and down, and 1 sd of PIP2
# across), and PIP3 falls. A graph with the arrow turned foretells a fall; with a hidden cause besides there is no
# formula, and the learned SCM's number, which looks just as solid, has no right.
#
# ## 5. Does anything notice?
#
# **A wrong graph.** What is missing in a graph can be tested: two variables that neither an arrow nor a hidden cause
# joins must be independent given some others. (Linear here: a partial correlation.)
#
# *Predict:* which of the three graphs do the data reject?

# %%
lines = []
for name, graph in cases.items():
    arrows, confounded = ck.graphs.project(graph)
    for i, a in enumerate(arrows):
        for b in list(arrows)[i + 1 :]:
            rest = [v for v in arrows if v not in (a, b)]
            sets = ck.graphs.separating_sets(graph, a, [b], rest)
            if not sets:
                continue
            given = min(sets, key=len)
            design = np.column_stack([np.ones(len(frame)), frame[list(given)]])
            left, right = (frame[v] - design @ np.linalg.lstsq(design, frame[v], rcond=None)[0] for v in (a, b))
            r, p = pearsonr(left, right)
            claim = f"{a} ⊥ {b}" + (f" | {', '.join(given)}" if given else "")
            lines.append({"graph": name, "claim": claim, "partial correlation": r, "p": p})
claims = pd.DataFrame(lines, columns=["graph", "claim", "partial correlation", "p"]).set_index("graph")
rejected = list(dict.fromkeys(claims.index[claims["p"] < 0.001]))
mute = [name for name in cases if name not in claims.index]
print(f"Rejected by the data (p < 0.001): {', '.join(rejected) or 'none'}; claim nothing that can be tested: ", end="")
print(f"{', '.join(mute) or 'none'}.")
claims.round(4)

# %% [markdown]
# In the synthetic world, whoever denies the hidden cause claims $y \perp x \mid m, z$, and the data say no. So does
# the figure: two correct uses of a *right* graph agree, and there the two answers differ. In the cells every pair is
# joined, nothing is claimed, and turning the arrow changes nothing that can be seen: only an experiment can tell.
#
# **Positivity.** We remove the rows in which $x$ is high *and* a covariate is high, as when nobody of one kind is
# ever treated, and ask about a high $x$. And we ask about a value beyond all data.
#
# *Predict:* would a regression refuse?

# %%
which = next(name for name, found in estimands.items() if found.strategy == "back-door")
covariate, high = estimands[which].using[-1], levels[-1]
thin = frame[~((frame[x] > high - 0.8 * frame[x].std()) & (frame[covariate] > frame[covariate].median()))]
far = float(frame[x].max() + frame[x].std())
for rows, a, method in ((thin, high, "auto"), (thin, high, "linear"), (frame, far, "auto"), (frame, far, "linear")):
    what = "rows removed" if rows is thin else "all rows"
    true = f"; true: {truth.do({x: a}).sample(draws, seed=seeds['draws'])[y].mean():.2f}" if truth else ""
    try:
        found = estimands[which].estimate(rows, {x: a}, method=method, bootstrap=bootstrap, seed=seeds["bootstrap"])
        print(f"{what}, do({x} = {a:.2f}), {method}: {found}{true}.")
    except PositivityError as error:
        print(f"{what}, do({x} = {a:.2f}), {method}: PositivityError: {error}.")

# %% [markdown]
# The kit refuses and says **where**. `method="linear"` answers all the same, by a straight line drawn into the void:
# with a narrow interval, for the interval knows of resampling and nothing of the missing part.
#
# ## 6. No formula: the bow, and an instrument
#
# Why *can* there be no formula for the bow, $x \rightarrow y$ with $x \leftrightarrow y$? Three linear SCMs: their
# effects of $x$ on $y$ are 0, 1 and 1.5; the hidden cause and the noise make up the rest.
#
# *Predict:* how many rows would tell them apart?

# %%
twins = {}
for effect, hidden, variance in ((0.0, 2.0, 2.0), (1.0, 0.0, 4.0), (1.5, -1.0, 3.5)):
    twin = ck.SCM(
        {
            "u": ck.linear(),
            "x": ck.linear({"u": 1.0}),
            "y": ck.linear({"x": effect, "u": hidden}, scale=variance**0.5),
        },
        hidden=["u"],
    )
    seen = twin.sample(draws, seed=seeds["small"])
    twins[f"effect {effect:g}"] = {
        "var x": seen["x"].var(),
        "cov x, y": seen["x"].cov(seen["y"]),
        "var y": seen["y"].var(),
        "E[y | do(x = 1)]": twin.do({"x": 1.0}).sample(draws, seed=seeds["small"])["y"].mean(),
    }
twins = pd.DataFrame(twins).T.rename_axis("SCM")
print(
    "By arithmetic all three have var x = 2, cov = 2, var y = 6, mean 0, and are Gaussian: one distribution, three effects."
)
twins.round(2)

# %% [markdown]
# No number of rows: they have the *same* distribution. Something must be added. An **instrument** $z$ moves $x$, has
# no other way to $y$ and no common cause with it; then, **if the SCM is linear**, the effect is $\mathrm{cov}(z, y) /
# \mathrm{cov}(z, x)$.
#
# > **Assumptions** of an instrument: those in the graph (no $z \rightarrow y$, no $z \leftrightarrow y$), which data
# > cannot show; relevance ($z$ moves $x$: the first-stage $F$), which they can; and linearity.
#
# *Predict:* four worlds keep them all or break one each. Which failure does the interval show?

# %%
iv = ck.graphs.textbook("instrument")
direct = ck.graphs.parse("z -> x -> y; x <-> y; z -> y")
hidden = "u_x_y"
square = ck.additive(["x", hidden], lambda p: p[:, 0] ** 2 + 2 * p[:, 1])
worlds = {
    "all hold": linear_scm(iv, u_x_y_y=2.0),
    "weak: z hardly moves x": linear_scm(iv, u_x_y_y=2.0, z_x=0.02),
    "not valid: z -> y": linear_scm(direct, u_x_y_y=2.0, z_y=0.5),
    "not linear: y = x^2": linear_scm(iv).replace({"y": square}),
}
lines = {}
for name, world in worlds.items():
    rows = world.sample(n, seed=integer(seeds["small"], name))
    found = two_stage_least_squares(
        iv, rows, {"x": 1.0}, "y", versus={"x": 0.0}, bootstrap=bootstrap, seed=seeds["bootstrap"]
    )
    set_to = [world.do({"x": a}).sample(draws, seed=seeds["draws"])["y"].mean() for a in (0.0, 1.0)]
    lines[name] = {
        "effect, do(1) - do(0)": set_to[1] - set_to[0],
        "slope": slope(rows, "x", "y")[0],
        "instrument": found.value,
        "low": found.low,
        "high": found.high,
        "first-stage F": slope(rows, "z", "x")[0] ** 2 / slope(rows, "z", "x")[1] ** 2,
    }
by_instrument = pd.DataFrame(lines).T.rename_axis("world")
inside = by_instrument["effect, do(1) - do(0)"].between(by_instrument["low"], by_instrument["high"])
print(f"Instruments by the graph with z -> y: {instruments(direct, 'x', 'y') or 'none'}.")
print(f"The 95 % interval holds the effect in: {', '.join(inside.index[inside]) or 'none'}; not in: ", end="")
print(f"{', '.join(inside.index[~inside]) or 'none'}.")
by_instrument.round(2)

# %% [markdown]
# A weak instrument shows, in a small $F$ and a wide interval. The other two failures are silent: a strong $F$, a
# narrow interval, and a wrong number.
#
# ## 7. Effects among those who ...
#
# $P(y \mid do(x), w)$ is the effect among rows with $w$. If $w$ comes before $x$ it is harmless; if it comes after
# $x$, it must be read with care: which rows have $w$ depends on what was done. `given=` asks; IDC is complete for it.
#
# *Predict:* in the front-door graph, once $m$ is known, does setting $x$ still say anything of $y$? Does seeing it?

# %%
asked = {
    "a cause": ("z -> x -> y; z -> y", "z"),
    "the mediator": ("x -> m -> y; x <-> y", "m"),
    "an effect of y": ("x -> m -> y; x <-> y; y -> w", "w"),
    "an effect of x, confounded with it": ("x -> y; x -> z; x <-> z; z <-> y", "z"),
}
lines = {}
for name, (text, w) in asked.items():
    graph = ck.graphs.parse(text)
    world = random_discrete(graph, seed=seeds["tables"])
    rows, lines[name] = world.sample(4 * n, seed=seeds["train"]), {"graph": text, "question": f"P(y | do(x), {w})"}
    chosen = rows[rows[w] == 1]
    lines[name] |= {f"seen, x = {a}": chosen.loc[chosen["x"] == a, "y"].mean() for a in (0, 1)}
    exact = evaluate(Probability(("y",), (w,), ("x",)), lambda do, _, scm=world: interventional(scm, do))
    values = [exact.array[tuple({"y": 1, w: 1, "x": a}[v] for v in exact.names)] for a in (0, 1)]
    lines[name] |= {f"done, x = {a}": values[a] for a in (0, 1)}
    try:
        found = ck.identify(graph, "y", "x", given=w)
        lines[name] |= {"formula": str(found.expression), "by": found.strategy, "largest error": found.verified}
        for a in (0, 1):
            value = found.estimate(rows, {"x": a}, {w: 1}, bootstrap=bootstrap, seed=seeds["bootstrap"])
            lines[name] |= {f"estimate, x = {a}": f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"}
    except ck.NotIdentifiable as error:
        lines[name] |= {"formula": f"none: hedge {error.hedge}"}
conditional = pd.DataFrame(lines).T.rename_axis("w is").fillna("")
print(
    "P(y = 1 | ..., w = 1) in SCMs with random tables: seen, done (exactly, from the true SCM), and estimated from the same rows."
)
conditional.T

# %% [markdown]
# Given the mediator, $x$ may be set to anything: the formula has the free $x$ no more (rules 2 and 3: $do(x)$ and $m$
# become $do(m)$). *Seen*, $x$ still tells something, of the hidden cause.
#
# ## 8. Carry an effect to another place
#
# An experiment in a **lab** sets $x$ at random; but the lab's population differs from the **target's**. What differs
# is a shift, and its *certificate* lists the changed mechanisms: a node $S$ points at them. If $x$ does not affect $z$,
# and $S$ is *d*-separated from $y$ given $z$ once $x$ is set, then $P(y \mid do(x)) = \sum_z P_\mathrm{lab}(y \mid do(x), z)\,
# P_\mathrm{target}(z)$.
#
# > **Assumptions:** nothing differs but what the certificate lists; the lab has rows where the target has
# > (positivity).
#
# *Predict:* the lab's $z$ is higher, and $x$ works better where $z$ is high. Is the lab's effect too large for the
# target?

# %%
home = ck.SCM(
    {
        "u": ck.linear(),
        "z": ck.linear(),
        "x": ck.linear({"z": 1.0, "u": 1.0}),
        "y": ck.additive(["x", "z", "u"], lambda p: p[:, 0] * (1 + p[:, 1]) + p[:, 2], scale=0.5),
    },
    hidden=["u"],
)
moved = {"z differs": ck.shifts.covariate("y", on="z", strength=0.8), "y differs": ck.shifts.concept("y", strength=1.0)}
at_home = home.sample(4 * n, seed=seeds["train"])
set_at_random = stream(seeds["lab"], "x").normal(size=4 * n)
carried = {}
for name, shift in moved.items():
    certificate = shift.certificate(home)
    lab = shift(home).do({"x": set_at_random}).sample(4 * n, seed=seeds["lab"])
    carried[name] = {"changed": ", ".join(certificate.changed), "lab's own": slope(lab, "x", "y")[0]}
    carried[name] |= {"slope seen at home": slope(at_home, "x", "y")[0]}
    try:
        found = ck.identify(home, "y", "x", sources={"lab": Source(certificate, experiments="x")})
        print(f"{name}: {found}")
        both, ask = {"lab": lab, "target": at_home}, {"bootstrap": bootstrap, "seed": seeds["bootstrap"]}
        effect = found.estimate(both, {"x": 1.0}, versus={"x": 0.0}, **ask)
        carried[name] |= {"transported": effect.value, "low": effect.low, "high": effect.high}
    except ValueError as error:  # not transportable, or only the optional library for the complete algorithm can say
        print(f"{name}: {error}")
    ends = [home.do({"x": a}).sample(draws, seed=seeds["draws"])["y"].mean() for a in (0.0, 1.0)]
    carried[name] |= {"true at home": ends[1] - ends[0]}
carried = pd.DataFrame(carried).T.rename_axis("the lab's")
carried

# %% [markdown]
# Where $y$'s own mechanism differs, no set of covariates mends it. (For several sources and partial experiments the
# complete algorithm is needed; the kit takes it from an optional library, and says so where that is missing.)
#
# ## 9. Against an experiment
#
# The strictest test sets a variable and looks at all the others. For `"synthetic"` the true SCM is the laboratory:
# $x$ is set to 2 sd below its mean. For `"sachs"` it is the condition in which PIP2 was taken away. Predictions are
# straight lines (the level lies at the edge of the data), one by seeing and one by each of two graphs.
#
# *Predict:* is the effect by the graph closer to the experiment than what is merely seen?

# %%
if truth is not None:
    level = float(frame[x].mean() - 2 * frame[x].std())
    trial = truth.do({x: level}).sample(1_000, seed=seeds["trial"])
    whole = {name: cases[name] for name in ("hidden cause admitted", "hidden cause denied")}
else:
    trial, level = experiment, float(experiment[x].mean())
    turned = nx.DiGraph(consensus)
    turned.remove_edge(y, x)
    turned.add_edge(x, y)
    whole = {"consensus: PIP3 -> PIP2": consensus, "arrow turned": turned}
others, sd = [v for v in trial if v != x], frame.std()
lines = {}
for v in others:
    base = frame[v].mean()
    lines[v] = {"experiment": trial[v].mean() - base, "seen": slope(frame, x, v)[0] * (level - frame[x].mean())}
    lines[v]["2 se"] = 2 * np.hypot(trial[v].sem(), frame[v].sem())
    for name, graph in whole.items():
        found = ck.identify(graph, v, x).estimate(frame, {x: level}, method="linear", bootstrap=0, seed=seed)
        lines[v][name] = found.value - base
changes = pd.DataFrame(lines).T.div(sd[others], axis=0).rename_axis("variable")
changes.columns.name = f"change, sd, do({x} = {level:.2f})"
figure, ax = plt.subplots(figsize=(10, 3.6))
spots, looks = np.arange(len(others)), (("x", "0.45"), ("o", "#0072B2"), ("s", "#D55E00"))
ax.errorbar(spots, changes["experiment"], changes["2 se"], fmt="D", color="#000000", mfc="none", label="experiment")
for move, name, (marker, colour) in zip((-0.2, 0.2, 0.35), ("seen", *whole), looks):
    ax.plot(spots + move, changes[name], marker, color=colour, ms=7, mfc="none", mew=1.8, label=name)
ax.axhline(0, color="0.8", lw=1, zorder=0)
ax.set_xticks(spots, others)
ax.set(ylabel="change of the mean, sd", title=f"{x} set to {level:.2f}: what else moves?")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()
distance = changes[["seen", *whole]].sub(changes["experiment"], axis=0).abs()
print(f"Mean distance from the experiment (sd): {', '.join(f'{k} {v:.2f}' for k, v in distance.mean().items())};")
print(f"for {y}: {', '.join(f'{k} {v:.2f}' for k, v in distance.loc[y].items())}.")
changes.round(2)

# %% [markdown]
# In the synthetic world the front door beats seeing; what is left is the straight line, for $m$ flattens out at the
# ends.
#
# In the cells the consensus graph says that nothing else moves, and that is wrong for PIP3, Plcg, Akt and others.
# With the arrow turned, PIP3's fall is foretold, and by seeing just as well: in that graph doing is nearly seeing.
# The falls and rises of the others are foretold by nobody. A cycle among the lipids, an effect of the drug besides,
# or another batch of cells could each do that. Identification carries the graph into the answer, with all that is
# wrong in it; the three rules check the steps and never the graph.
#
# ## 10. Quick checks
#
# Two questions of each kind, drawn from the seed; each was decided by the same code that answers above. Folded below,
# for paper, are the answers.

# %%
kinds = ("rule", "adjustment", "identifiable")
questions = [ck.questions.draw(kind, seed=integer(seed, "question", kind, i)) for i in range(2) for kind in kinds]
ck.widgets.quiz(questions)

# %%
ck.questions.sheet(questions)

# %% [markdown]
# ## To take away
#
# | question | tool | rests on | when it fails |
# |---|---|---|---|
# | may I control for it? | `adjustment_sets`, `optimal_adjustment` | the graph | silently |
# | is the effect identified? | `ck.identify` | the graph, hidden causes included | `NotIdentifiable`, with hedge and remedy |
# | how large is it? | `estimand.estimate` | besides: positivity | `PositivityError`, with the place |
# | the same by simulation | `ck.fit_scm(...).do` | no hidden cause; the mechanisms | silently |
# | no formula, all linear | `two_stage_least_squares` | a valid, strong instrument | weak: visibly; invalid or bent: silently |
# | elsewhere | `identify(..., sources=)` | the certificate of what differs | `NotTransportable` |
# | is the graph right? | its independences; two estimates that should agree; an experiment | data | complete graphs claim nothing |
#
# The answers of section 4, for a report:

# %%
closing = answers.groupby(level=0, sort=False).agg(
    seen=("seen", np.ptp), identified=("identified", np.ptp), learned=("learned", np.ptp), true=("true", np.ptp)
)
closing.insert(0, "formula", [str(estimands[k].expression) if k in estimands else "none" for k in closing.index])
closing.columns.name = f"range of E[{y}] over the five values"
closing.round(2)

# %% [markdown]
# ## Exercises
#
# 1. Which hidden cause of the napkin would you measure, so that plain adjustment will do, and for what? In the widget
#    above, write `a -> w, x` in place of `w <-> x`, or `b -> w, y` in place of `w <-> y`.
# 2. By hand: derive $P(y \mid do(x))$ for $z \rightarrow x \rightarrow y$, $z \rightarrow y$ in two steps, naming
#    rule and graph. Then compare with `ck.identify(ck.graphs.textbook("confounder"), "y", "x")`.
# 3. Run with `confounding = 0`. Which of the three graphs is now right, which answers agree, and what did admitting a
#    hidden cause that is not there cost?
#
# <details><summary>Solutions</summary>
#
# 1. $b$, then adjust for $\{b\}$: each back door of $x$ comes to $y$ through $b$. With $a$ it takes a second
#    variable, $\{a, w\}$ or $\{a, z\}$: $w$ (or $z$) shuts $x \leftarrow z \leftarrow w \leftrightarrow y$, and opens
#    the collider $w$ on $x \leftarrow a \rightarrow w \leftrightarrow y$, which $a$ shuts.
# 2. Total probability: $\sum_z P(y \mid do(x), z) P(z \mid do(x))$. Rule 3 in $G_{\overline{x}}$: $P(z \mid do(x)) =
#    P(z)$. Rule 2 in $G_{\underline{x}}$ ($y \perp x \mid z$ there): $P(y \mid do(x), z) = P(y \mid x, z)$.
# 3. All three are (an edge too many claims nothing false). All answers agree with the truth; the front door's
#    interval is a little wider, since it may not compare rows directly: that is the price of the weaker assumption.
#
# </details>
#
# **Read on:** Pearl (2009), *Causality*, sections 3.3 to 3.5; Shpitser and Pearl (2006), on ID and hedges; Cinelli,
# Forney and Pearl (2022), *A crash course in good and bad controls*; Henckel, Perkovic and Maathuis (2022), on the
# adjustment set of least variance; Bareinboim and Pearl (2016), on transport; Sachs et al. (2005), *Science* 308.

# %%
metric, unit_of = ck.runs.metric, f"units of {y}"
metrics = {
    "rules_apart": metric(
        rules.loc[rules["applies"], "sides apart"].max(), "sides of a rule that applies", unit="probability", truth=0.0
    ),
    "rules_differ": metric(
        rules.loc[~rules["applies"], "sides apart"].min(), "sides of a rule that does not apply", unit="probability"
    ),
    "worst_control": metric(
        (bad_controls["with control"] - bad_controls["effect"]).abs().max(), "worst slope with control", unit="y per x"
    ),
    "instrument": metric(by_instrument.iloc[0]["instrument"], "effect by instrument", unit="y per x", truth=1.0),
    "transported": metric(carried.iloc[0]["transported"], "effect carried from lab", unit="y per x", truth=1.0),
    "experiment_seen": metric(distance["seen"].mean(), "seen: distance from experiment", unit="sd", better="lower"),
}
for number, name in enumerate(cases, 1):
    for label in ("identified", "learned", "seen"):
        values = answers.loc[name, label]
        values = values if truth is None else (values - answers.loc[name, "true"]).abs()
        value = np.ptp(values) if truth is None else values.max()
        if np.isfinite(value):
            what = "range over the values of do" if truth is None else "largest error over the values of do"
            metrics[f"graph_{number}_{label}"] = metric(value, f"{name}: {label}, {what}", unit=unit_of)
metrics |= {
    f"experiment_graph_{i}": metric(distance[name].mean(), f"{name}: distance from experiment", unit="sd")
    for i, name in enumerate(whole, 1)
}
tables = {"bad_controls": bad_controls, "rules": rules, "catalogue": catalogue, "answers": answers, "claims": claims}
tables |= {"twins": twins, "instrument": by_instrument, "conditional": conditional, "carried": carried}
ck.runs.record(metrics=metrics, tables=tables | {"changes": changes, "closing": closing})
