# %% [markdown]
# # How right are the counterfactuals of a learned SCM?
#
# The DAG is given, the mechanisms are learned from rows, and new rows are asked what they would have been. The truth is
# known, so the answers can be marked:
#
# - **cf**: mean over rows of the Euclidean norm, over all variables in their own units, of the counterfactual error, under
#   do() at the quartiles and the median of each variable that has effects. The paper of causal flows (Javaloy, Sanchez-
#   Martin and Valera 2023) calls this figure RMSE. **cf_sd** is the same in standard deviations, and **share** is that
#   over the same error of answers whose noise is drawn anew ("no abduction"): 0 is the truth, 1 no counterfactual at all.
# - **kl**: KL(truth || learned) of the joint, nats, over 20,000 new rows.
# - **axiom**: the largest violation of composition (1 and 10 cycles, joint), effectiveness (single, joint, nested) and
#   reversibility, sd; **moved**, the same of the variables that an intervention cannot move.
#
# `nlin`, `lin` and `vaca` are the triangles of the literature (`ck.triangle`); the others are random SCMs that no setting
# was chosen on, of up to nine variables: noise that is not Gaussian, effects that bend, mechanisms that do not add their
# noise but increase in it. Where a mechanism does not increase in its noise, counterfactuals are not identified, and no
# figure here is about those.

# %% tags=["parameters"]
scm = "nlin"  # "nlin", "lin", "vaca"; or a family of random SCMs: "linear", "mlp", "gp", "location_scale", "post_nonlinear"
variables = 5  # of a random SCM
noise = "gaussian"  # of a random SCM: a key of ck.mechanisms.NOISES
world = 0  # which random SCM
mechanism = "auto"  # what is learned: "linear", "additive", "location_scale", "flow", "vae" or "auto"
rows = 2000  # to learn from
seed = 0  # of the rows and of what is learned

# %%
import time
import warnings

import causalkit as ck
from causalkit.checks import counterfactual_error, divergence_from
from causalkit.seeds import generator, integer

seeds = {name: integer(seed, name) for name in ("train", "model", "error", "density", "checks")}
TRIANGLES = ("nlin", "lin", "vaca")
if scm in TRIANGLES:
    truth = ck.triangle(scm)
else:
    truth = ck.random_scm(variables, degree=2.0, mechanism=scm, noise=noise, seed=integer(world, "world"))
frame = truth.sample(rows, seed=seeds["train"])
print(truth)

# %%
start = time.process_time()
learned = ck.fit_scm(truth.graph, frame, mechanism=mechanism, seed=seeds["model"])
seconds = time.process_time() - start
asked, cause = (
    truth.sample(10_000, seed=seeds["error"]),
    next(v for v in truth.order if list(truth.graph.successors(v))),
)
start = time.process_time()
learned.counterfactual(asked, {cause: float(frame[cause].median())})
microseconds = (time.process_time() - start) * 1e6 / len(asked)
learned.report.round(3)

# %%
fresh = generator(seed, "fresh noise")


def no_abduction(some, do):
    return truth.do(do).sample(len(some), seed=fresh)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ck.estimation.ExtrapolationWarning)  # the checks go beyond the data on purpose
    cf = counterfactual_error(learned, truth, seed=seeds["error"])
    cf_sd = counterfactual_error(learned, truth, scaled=True, seed=seeds["error"])
    share = cf_sd / counterfactual_error(no_abduction, truth, scaled=True, seed=seeds["error"])
    kl, error = divergence_from(learned, truth, seed=seeds["density"])
    checks = ck.check_counterfactuals(learned, truth, n=500, references={}, seed=seeds["checks"])
print(
    f"Counterfactual error {cf:.3f}; {cf_sd:.4f} in sds, {share:.1%} of no abduction. KL {kl:.4f} +- {error:.4f} nats. "
    f"{seconds:.1f} CPU seconds to learn."
)
checks

# %%
checks.plot()

# %%
axioms = checks.table[checks.table["check"] == "axiom"].set_index("what")["value"]
untouched = axioms.index.str.startswith("non-descendants")
noises = checks.table[checks.table["unit"] == "correlation"]["value"]
metric = ck.runs.metric
ck.runs.record(
    {
        "cf": metric(
            cf,
            "counterfactual error, Euclidean norm over variables in their own units",
            unit="own units",
            better="lower",
            truth=0,
        ),
        "cf_sd": metric(cf_sd, "the same in standard deviations", unit="sd", better="lower", truth=0),
        "share": metric(
            share, "of the error that answers without abduction have", unit="share", better="lower", truth=0
        ),
        "kl": metric(kl, "KL(truth || learned) of the joint", unit="nats", better="lower", truth=0),
        "axiom": metric(axioms[~untouched].max(), "largest violation of an axiom", unit="sd", better="lower", truth=0),
        "moved": metric(
            axioms[untouched].max(),
            "largest change of what an intervention cannot move",
            unit="sd",
            better="lower",
            truth=0,
        ),
        "noise": metric(
            noises.min() if len(noises) else 1.0,
            "least correlation of abducted with true noise, after the best monotone map",
            unit="correlation",
            better="higher",
            truth=1,
        ),
        "microseconds": metric(microseconds, "CPU time of a row's counterfactual", unit="us", better="lower"),
        "seconds": metric(seconds, "CPU seconds to learn", unit="s", better="lower"),
    }
)
