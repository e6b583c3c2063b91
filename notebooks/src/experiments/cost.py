# %% [markdown]
# # What does a step of the study cost?
#
# One `step` of the five lessons at a number of `variables` and `rows`, on a random linear SCM of degree 2: the median wall
# clock of up to three repetitions (fewer once 20 seconds are spent). What the step needs (data, graph, models) is made
# before the clock starts. Training has two environments of `rows` / 2 each, 400 full-batch steps of Adam and an MLP.
#
# Beside it stands plain ERM on the same rows, timed in the same run and in turn with the repetitions: `erm_ratio` is the
# step's seconds in units of that (for the step `train_erm` it shows the clock's noise). Peak memory is in the record.

# %% tags=["parameters"]
step = "train_erm"  # a key of `steps` below
variables = 20
rows = 1_000
repetitions = 3  # at most
seed = 0  # SCM, data and model streams are derived from it

# %%
import statistics
import time

import causalkit as ck
from causalkit.graphs import cpdag
from causalkit.seeds import integer

seeds = {key: integer(seed, key) for key in ("graph", "data", "model")}
for attempt in range(1_000 if variables >= 3 else 0):  # until some variable has both causes and effects
    scm = ck.random_scm(variables, degree=2.0, mechanism="linear", seed=integer(seeds["graph"], attempt))
    target = max(scm.variables, key=lambda v: min(scm.graph.in_degree(v), scm.graph.out_degree(v)))
    if scm.graph.in_degree(target) and scm.graph.out_degree(target):
        break
else:
    raise ValueError(f"no SCM of {variables} variables has one with causes and effects: give variables=3 or more")
task = ck.Task(features=tuple(v for v in scm.observed if v != target), target=target)
pair = {name: ck.shifts.spurious(target, strength=0.3, direction=d) for name, d in (("stronger", 1), ("weaker", -1))}
frame = scm.sample(rows, seed=seeds["data"])
train = ck.sample_environments(scm, pair, max(rows // 2, 2), seed=seeds["data"])


# %%
def fit(objective="erm", graph=None, steps=400):
    return ck.fit(train, task, objective=objective, graph=graph, steps=steps, seed=seeds["model"])


def ablation():
    """Two encoders, two objectives, two seeds: a small factorial, stacked where it can be."""
    for objective in ("erm", "irm"):
        for encoder in ("parents", "markov_blanket"):
            ck.training.fit_many(
                [train] * 2, task, objective=objective, graphs=[scm.graph] * 2, encoder=encoder, seeds=range(2)
            )


def certificate():
    shift = ck.shifts.spurious(target, strength=1.5, direction=-1)
    shift(scm).sample(rows, seed=seeds["data"])
    return shift.certificate(scm)


steps = {
    "simulate": lambda: scm.sample(rows, seed=seeds["data"]),
    "shift": certificate,
    "discover_flop": lambda: ck.discover(frame, "flop"),
    "discover_pc": lambda: ck.discover(frame, "pc"),
    "discover_ges": lambda: ck.discover(frame, "ges"),
    "bootstrap": lambda: ck.bootstrap(frame, n=10, seed=seeds["model"]),
    "compare": lambda: ck.compare(cpdag(scm.graph), scm.graph),
    "train_erm": fit,
    "train_irm": lambda: fit("irm"),
    "train_vrex": lambda: fit("vrex"),
    "train_group_dro": lambda: fit("group_dro"),
    "train_masked": lambda: fit(graph=scm.graph),
    "ablation": ablation,
    "fit_scm": lambda: ck.fit_scm(scm.graph, frame, seed=seeds["model"]),
    "counterfactual": lambda: learned.counterfactual(frame, {target: 1.0}),
    "evaluate": lambda: ck.evaluate(model, train, task),
}
if step not in steps:
    raise ck.errors.unknown("step", step, steps)
learned = ck.fit_scm(scm.graph, frame, seed=seeds["model"]) if step == "counterfactual" else None
model = fit(steps=1)  # for "evaluate"; and the first call pays for torch's start
if step.startswith(("discover", "bootstrap")):
    ck.discover(frame.iloc[:, :2], step.removeprefix("discover_") if step != "bootstrap" else "flop")  # and for imports


# %%
def timed(function):
    clock = time.perf_counter()
    function()
    return time.perf_counter() - clock


taken, plain = [], []
while len(taken) < repetitions and sum(taken) < 20:
    taken.append(timed(steps[step]))
    plain.append(timed(fit))
seconds, erm = statistics.median(taken), statistics.median(plain)
ratio = statistics.median(a / b for a, b in zip(taken, plain))  # of neighbours in time: drift of the clock cancels
print(f"{step}, {variables} variables, {rows} rows: {seconds:.4g} s, {ratio:.2f} times plain ERM ({erm:.3g} s).")

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "seconds": metric(seconds, "of the step, wall clock", unit="seconds", better="lower", repeats=False),
        "erm_seconds": metric(erm, "of plain ERM on the same rows", unit="seconds", repeats=False),
        "erm_ratio": metric(ratio, "the step in units of plain ERM", unit="times", better="lower", repeats=False),
        "repetitions": metric(len(taken), "that the median is over", unit="repetitions", repeats=False),
    },
    seeds=seeds,
)
