# %% [markdown]
# # Exercise: what does x do to y?
#
# Your data come from your own id, so your numbers are yours alone. Answer three questions; each cell marks itself as
# often as you like. **Time:** 20 minutes; the notebook itself runs in a few seconds.

# %% tags=["parameters"]
student_id = "student-0"  # your id, as text
rows = 2000  # how much data you get
answer_adjust_for = None  # question 1: a list of names, such as ["z"]
answer_effect = None  # question 2: a number
answer_counterfactual = None  # question 3: a number

# %%
import matplotlib.pyplot as plt

import causalkit as ck

exercise = ck.course.adjustment_exercise(student_id, n=rows)
exercise.frame.head().round(2)

# %% [markdown]
# The data were made by a linear SCM with this graph. You know the graph, and not the weights.

# %%
graph = ck.graphs.parse("z -> x -> m -> y; z -> y; y -> s")
figure, ax = plt.subplots(figsize=(6, 2.2))
ck.plotting.draw_graph(graph, ax=ax, highlight=["x", "y"])
plt.show()
print("z drives x and y; x drives m, m drives y, and y drives s.")
paths = ck.sortability(exercise.frame, graph)
print(
    f"Of the causal paths, {paths['var']:.0%} ascend in variance, {paths['r2']:.0%} in R2, {paths['relatives']:.0%} in the number of "
    "relatives: near 50 % sorting by it tells nothing of the causal order, near 0 or 100 % all of it."
)

# %% [markdown]
# Look before you answer: how do x and y go together in rows with about the same z?


# %%
def draw(z_share):
    """x against y, the rows whose z lies in one fifth of its range in colour."""
    frame = exercise.frame
    low, high = frame["z"].quantile([z_share - 0.1, z_share + 0.1])
    inside = frame["z"].between(low, high)
    figure, ax = plt.subplots(figsize=(6, 3.5))
    ax.plot(frame["x"], frame["y"], ".", color="0.85", label="all rows")
    ax.plot(frame["x"][inside], frame["y"][inside], ".", color="#0072B2", label=f"z between {low:.1f} and {high:.1f}")
    ax.set(xlabel="x", ylabel="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    a, b = (float(f["x"].corr(f["y"])) for f in (frame, frame[inside]))
    return figure, f"Correlation of x and y: {a:.2f} over all rows, {b:.2f} among rows of similar z."


figure, sentence = draw(z_share=0.5)
plt.show()
print(sentence)

# %%
ck.widgets.explore(draw, z_share=ck.widgets.slider("Quantile of z", [0.1, 0.3, 0.5, 0.7, 0.9], 0.5))

# %% [markdown]
# ## Question 1
# Which variables must a regression of y on x adjust for, to give the effect of x on y? Put a list of names into
# `answer_adjust_for` in the first code cell, or here, and run the cell.

# %%
print(exercise.mark("adjust for", answer_adjust_for))

# %% [markdown]
# ## Question 2
# By how much does the mean of y change under do(x = 1) against do(x = 0)? Compute it from `exercise.frame`.

# %%
print(exercise.mark("effect", answer_effect))

# %% [markdown]
# ## Question 3
# What would y have been in the **first row** of your data, had x been 0?
# (Abduct that row's noise, act, predict: everything that you need is in the row and in regressions.)

# %%
print(exercise.mark("counterfactual", answer_counterfactual))

# %%
answers = {"adjust for": answer_adjust_for, "effect": answer_effect, "counterfactual": answer_counterfactual}
points = sum(exercise.mark(question, answer).points for question, answer in answers.items())
ck.runs.record(
    metrics={"points": ck.runs.metric(points, "questions answered right, of three", unit="points", better="higher")}
)
