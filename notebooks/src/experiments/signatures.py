# %% [markdown]
# # Which method fails where, and does it fail alone?
#
# Methods for invariant prediction stand on assumptions that plain least squares does not make. Here the linear unit
# tests for invariance (Aubin et al. 2021) are moved, one assumption at a time, to where a method stops working:
#
# - **Noise of the target** (`example = "1"`, a regression): five features cause the target, five are its effects. The
#   target's noise has the standard deviation $s_e^{\ell} s^{1 - \ell}$ in environment $e$, with $\ell$ = `level`: at 0
#   it is the same $s$ (their geometric mean) everywhere, at 1 it is that of the unit test, .1, 1.5 and 2. V-REx and
#   what is built like it ask for equal risks, which at 1 no good predictor has.
# - **Coordinates** (`scrambled`): features are multiplied by a random rotation. Nothing is lost, but no single
#   *feature* is invariant any more, and a method that chooses features, or steps along coordinates, has nothing to
#   choose.
# - **Environments** (`example = "3"`, two classes): five features are spurious and stand elsewhere in each
#   environment. With five environments or fewer, some direction of them has not moved yet.
#
# `method` is a key of `ck.OBJECTIVES`, trained on a linear network, or of `ck.EXACT`. In the test the spurious features
# are shuffled among the rows. The *oracle* is least squares, or converged logistic regression, on training rows that
# are shuffled in the same way.

# %% tags=["parameters"]
method = "vrex"  # a key of ck.OBJECTIVES, with the kit's default weight, or of ck.EXACT; "erm" is least squares
example = "1"  # "1", a regression, or "3", two classes
level = 1.0  # of example 1: how far the target's noise differs between environments
scrambled = False
environments = 3
rows = 1_000  # an environment
steps = 1_000  # of training at most; exact methods do not read it
seed = 0  # of weights, rotation and rows; the network starts from a stream of its own

# %%
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.seeds import integer, stream

KNOWN = {**ck.EXACT, **ck.OBJECTIVES}
for name, value, known in (("method", method, KNOWN), ("example", example, ("1", "3"))):
    if value not in known:
        raise ck.errors.unknown(name, value, known)
if not 0 <= level <= 1:
    raise ValueError(f"level {level}: give a number from 0, noise alike, to 1, that of the unit test")
seeds = {key: integer(seed, key) for key in ("data", "model")}


# %%
def cause_and_effect():
    """Example 1 with noise of the level asked for: task, training rows, test rows, and the oracle's."""
    draw = stream(seeds["data"], "world")
    spread = np.array([0.1, 1.5, 2.0, *10 ** draw.uniform(-2, 1, max(environments - 3, 0))][:environments])
    noise = spread**level * np.exp(np.log(spread).mean()) ** (1 - level)
    there, back = (draw.standard_normal((5, 5)) / 5 for _ in range(2))
    turn = np.linalg.qr(draw.standard_normal((10, 10)))[0] if scrambled else np.eye(10)
    task = ck.Task(tuple(f"x{i}" for i in range(10)), "y")

    def split(name, shuffled):
        found = []
        for e in range(environments):
            random = stream(seeds["data"], name, e)
            x = random.standard_normal((rows, 5)) * spread[e]
            w = x @ there + random.standard_normal((rows, 5)) * noise[e]
            z = w @ back + random.standard_normal((rows, 5))
            seen = np.hstack([x, z[random.permutation(rows)] if shuffled else z]) @ turn
            found.append(ck.Environment(f"E{e}", pd.DataFrame(seen, columns=list(task.features)).assign(y=w.sum(1))))
        return found

    return task, split("train", False), split("test", True), split("train", True)


if example == "1":
    task, train, test, shuffled = cause_and_effect()
else:
    drawn = ck.unit_tests.environments("3s" if scrambled else "3", environments, rows=rows, seed=seeds["data"])
    task, train, test, shuffled = drawn.task, drawn.train, drawn.test, drawn.oracle


# %%
def trained():
    """The model of the method: to the minimum where it has one smooth function to minimise."""
    if method not in ck.OBJECTIVES:
        return ck.EXACT[method](train, task)
    goal = ck.OBJECTIVES[method]()
    moving = goal.rule or goal.reweigh or goal.phases or any(penalty.game for penalty in goal.penalties)
    return ck.fit(
        train, task, objective=goal, backbone="linear", optimiser="adam" if moving else "lbfgs", steps=steps,
        seed=seeds["model"],
    )  # fmt: skip


def error(model):
    """On the test, mean over environments: squared error, or the share of wrong labels."""
    table = ck.evaluate(model, test, task)
    return float((table["rmse"] ** 2).mean() if "rmse" in table else 1 - table["accuracy"].mean())


model = trained()
own = error(model)
oracle = error(ck.EXACT["least_squares" if example == "1" else "logistic"](shuffled, task))
said = {key: model.report[key] for key in ("verdict", "chosen", "note") if model.report.get(key)}
print(f"{method}: test error {own:.4g}, oracle {oracle:.4g}." + "".join(f" {k}: {v}." for k, v in said.items()))

# %%
metric = ck.runs.metric
unit = "of the target, squared" if example == "1" else "of the rows"
ratio = own / oracle if example == "1" else None  # shares of wrong labels may be 0
ck.runs.record(
    {
        "error": metric(own, "test error, mean over environments", unit=unit, better="lower"),
        "error_oracle": metric(oracle, "that of the oracle", unit=unit),
        "ratio": metric(ratio, "test error, as a multiple of the oracle's", unit="times", better="lower"),
        "doublings": metric(
            ratio and np.log2(ratio), "the ratio's logarithm: 1 is twice the oracle's error", unit="powers of 2",
            better="lower",
        ),
    },
    seeds=seeds,
)  # fmt: skip
