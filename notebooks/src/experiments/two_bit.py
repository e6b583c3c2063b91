# %% [markdown]
# # What do the invariance objectives choose in the two-bit environments?
#
# The smallest world in which invariant risk minimisation can go wrong: $y = \pm 1$ with equal odds, $x_1 = y$ except with
# probability $\alpha$, the same in every environment, and $x_2 = y$ except with probability $\beta_e$, which moves. The
# invariant predictor is $E[y \mid x_1] = (1 - 2\alpha)\, x_1$. A predictor that is odd in $x$ has two numbers,
# $f(1, 1)$ and $f(1, -1)$, and the loss is $\frac12 (f - y)^2$.
#
# **Exact, not sampled.** The population is four rows an environment, weighted by their probabilities. The kit's own
# objectives (`ck.objectives`) act on these rows, so what is tested is the code that trains networks; each is minimised
# over the two numbers with its penalty at `weight` (`ck.two_bit.minimise`), and held beside the closed form of its
# minimum where the weight goes to infinity (`ck.two_bit.minimiser`). With `worlds` above 0, so many triples of alpha and
# two betas at least 0.05 apart are drawn, and the largest distance between the two is recorded.
#
# IRM_S is a constraint and no penalty, so it is no objective of the kit: among all $f$ for which $w = 1$ is optimal in
# every environment, $s_e f_1^2 + (1 - s_e) f_2^2 = u_e f_1 + v_e f_2$, the one of least mean risk is taken.
#
# Sources: Kamath, Tangella, Sutherland and Srebro (2021), section 4; Chen et al. (2023), arXiv 2206.07766, figure 1.

# %% tags=["parameters"]
method = "erm"  # "erm", "irm_s" (the constraint), "irmv1", "vrex", "irmx" (both penalties) or "invariant" (E[y | x1])
alpha = 0.1  # probability that x1 differs from y, in every environment
betas = [0.11, 0.4]  # probability that x2 differs from y, one a training environment
beta_test = 0.9  # the same where the predictor is tested
weight = 100_000_000.0  # of each penalty
worlds = 0  # how many other alphas and betas to draw, to compare with the closed forms
seed = 0  # of the worlds

# %%
import numpy as np

import causalkit as ck

METHODS = {
    "erm": ck.objectives.erm(),
    "irm_s": None,
    "irmv1": ck.objectives.irm(1.0),
    "vrex": ck.objectives.vrex(1.0),
    "irmx": ck.objectives.irmx(1.0, 1.0),
    "invariant": None,
}
if method not in METHODS:
    raise ck.errors.unknown("method", method, METHODS)
closed = {"irmv1": "irm"}.get(method, method)


def optimum(alpha, betas):
    if METHODS[method] is None:
        return ck.two_bit.minimiser(closed, alpha, betas)
    return ck.two_bit.minimise(METHODS[method], alpha, betas, weight)


# %%
f = optimum(alpha, betas)
print(f"{method}: f(1, 1) = {f[0]:.4f}, f(1, -1) = {f[1]:.4f}; the invariant predictor has {1 - 2 * alpha:g} twice.")
if method == "irm_s":
    listed = "; ".join(f"({a:.4f}, {b:.4f})" for a, b in ck.two_bit.invariant_solutions(alpha, betas))
    print(f"f with zero slope in every environment: {listed}.")


# %% [markdown]
# Other worlds. Of two minima that are equally good (within $10^{-5}$ in the mean risk) either may come out.


# %%
def from_closed_form(world):
    found, expected = optimum(*world), ck.two_bit.minimiser(closed, *world)[None]
    if closed in ("irm", "irm_s"):
        solutions = ck.two_bit.invariant_solutions(*world)
        risks = ck.two_bit.risks(solutions, *world).mean(1)
        expected = solutions[risks < risks.min() + 1e-5]
    return np.abs(expected - found).max(1).min()


draw, drawn = np.random.default_rng(seed), [(alpha, betas)]
while len(drawn) <= worlds:
    a, b1, b2 = draw.uniform(0.02, 0.98, 3).round(3).tolist()
    if abs(b1 - b2) >= 0.05 and abs(a - 0.5) >= 0.01:
        drawn.append((a, [b1, b2]))
gaps = np.array([from_closed_form(world) for world in drawn])
print(f"From the closed form: at most {gaps.max():.1e} over {len(drawn)} worlds, in {drawn[gaps.argmax()]}.")

# %%
risks, risk_test = (ck.two_bit.risks(f, alpha, which) for which in (betas, [beta_test]))
metric = ck.runs.metric
ck.runs.record(
    {
        "f_same": metric(f[0], "f(1, 1), the prediction where both bits say 1", unit="y", truth=1 - 2 * alpha),
        "f_opposite": metric(f[1], "f(1, -1), where they disagree", unit="y", truth=1 - 2 * alpha),
        "risk": metric(risks.mean(), "mean risk over the training environments", unit="y squared / 2", better="lower"),
        "variance": metric(risks.var(), "of the risk over training environments", unit="y^4 / 4"),
        "risk_test": metric(
            risk_test.mean(), "risk where x2 points the other way", unit="y squared / 2", better="lower"
        ),
        "distance": metric(
            np.abs(f - (1 - 2 * alpha)).max(),
            "from the invariant predictor, the larger of two",
            unit="y",
            better="lower",
            truth=0,
        ),
        "from_closed_form": metric(
            gaps.max(), "from the closed form, the largest over the worlds", unit="y", better="lower", truth=0
        ),
    }
)
