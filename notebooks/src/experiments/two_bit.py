# %% [markdown]
# # What do the invariance objectives choose in the two-bit environments?
#
# The smallest world in which invariant risk minimisation can go wrong: $y = \pm 1$ with equal odds, $x_1 = y$ except with
# probability $\alpha$, the same in every environment, and $x_2 = y$ except with probability $\beta_e$, which moves. The
# invariant predictor is $E[y \mid x_1] = (1 - 2\alpha)\, x_1$. A predictor that is odd in $x$ has two numbers,
# $f(1, 1)$ and $f(1, -1)$, and the loss is $\frac12 (f - y)^2$.
#
# **Exact, not sampled.** Each environment is written out as rows in which every $(x_1, x_2, y)$ stands as often as its
# probability says; $\beta$ and $\alpha$ with two decimals fit into 10,000 rows exactly. The kit's own objectives
# (`ck.objectives`) act on these rows, so what is tested is the code that trains networks. Newton steps then find the
# minimum over the two numbers, from eight random starts, while the penalty's weight is raised to `weight`.
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
weight = 1_000_000.0  # of each penalty
seed = 0  # of the starts: nothing else is drawn, and the optimum should not depend on it

# %%
from math import gcd

import numpy as np
import torch
from scipy.optimize import minimize

import causalkit as ck
from causalkit.objectives import Batch

METHODS = ("erm", "irm_s", "irmv1", "vrex", "irmx", "invariant")
if method not in METHODS:
    raise ck.errors.unknown("method", method, METHODS)


# %%
def half_square(predictions, targets):
    return (targets - predictions) ** 2 / 2  # the papers' loss


def rows(beta):
    """The environment written out for y = 1 (the other half mirrors it): signs [n] and which number of f [n]."""
    share = np.array([(1 - alpha) * (1 - beta), (1 - alpha) * beta, alpha * (1 - beta), alpha * beta]) * 10_000
    counts = np.rint(share).astype(int)
    if np.abs(share - counts).max() > 1e-6:
        raise ValueError(f"alpha {alpha} and beta {beta} do not fit into 10,000 rows: give two decimals each")
    counts = counts // gcd(*counts.tolist())
    # f(1, 1) = f1, f(1, -1) = f2, f(-1, 1) = -f2, f(-1, -1) = -f1
    return torch.tensor([1.0, 1.0, -1.0, -1.0]).double().repeat_interleave(torch.tensor(counts)), torch.tensor(
        [0, 1, 1, 0]
    ).repeat_interleave(torch.tensor(counts))


def batch(f, environments):
    predictions = tuple(sign * f[which] for sign, which in environments)
    targets = tuple(torch.ones_like(p) for p in predictions)
    losses = tuple(half_square(p, t) for p, t in zip(predictions, targets))
    return Batch(losses=losses, predictions=predictions, targets=targets, loss=half_square)


train, test = [rows(beta) for beta in betas], [rows(beta_test)]


# %%
def newton(objective, f):
    """A minimum of the objective over f from one start, and its value."""

    def value(f):
        return objective(batch(f, train))

    found = minimize(
        lambda f: value(torch.as_tensor(f)).item(),
        f,
        jac=lambda f: torch.func.grad(value)(torch.as_tensor(f)).numpy(),
        hess=lambda f: torch.func.hessian(value)(torch.as_tensor(f)).numpy(),
        method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 300},
    )
    return found.x, float(found.fun)


def optimum(make):
    """The least value of make(weight) over f, the weight raised in steps from each of eight starts."""
    ends = []
    for f in np.random.default_rng(seed).uniform(-0.5, 1.5, (8, 2)):
        for w in [*(w for w in (1.0, 1e2, 1e4) if w < weight), weight]:
            f, value = newton(make(w), f)
        ends.append((value, *f))
    return np.array(min(ends)[1:])


# %% [markdown]
# The slopes are two quadratics in $f$ for two environments: Gauss-Newton from a grid finds all their common zeros.

# %%
solutions = []
if method == "irm_s":
    s = np.array([(1 - alpha) * (1 - b) + alpha * b for b in betas])
    u, v = np.array([1 - alpha - b for b in betas]), np.array([b - alpha for b in betas])
    for f in np.stack(np.meshgrid(np.linspace(-0.5, 1.5, 9), np.linspace(-0.5, 1.5, 9)), -1).reshape(-1, 2):
        for _ in range(100):
            slopes = s * f[0] ** 2 + (1 - s) * f[1] ** 2 - u * f[0] - v * f[1]
            f = f - np.linalg.lstsq(np.stack([2 * s * f[0] - u, 2 * (1 - s) * f[1] - v], 1), slopes, rcond=None)[0]
        if np.abs(slopes).max() < 1e-12 and not any(np.allclose(f, g, atol=1e-6) for g in solutions):
            solutions.append(f)
    listed = "; ".join(f"({a:.4f}, {b:.4f})" for a, b in sorted(map(tuple, solutions)))
    print(f"f with zero slope in every environment: {listed}.")

# %%
penalty = {
    "erm": lambda w: ck.objectives.erm(),
    "irmv1": ck.objectives.irm,
    "vrex": ck.objectives.vrex,
    "irmx": lambda w: ck.objectives.irm(w) + ck.objectives.vrex(w),
}
if method == "irm_s":
    f = min(solutions, key=lambda f: batch(torch.as_tensor(f), train).risks.mean().item())
elif method == "invariant":
    f = np.array([1 - 2 * alpha, 1 - 2 * alpha])
else:
    f = optimum(penalty[method])
print(f"{method}: f(1, 1) = {f[0]:.4f}, f(1, -1) = {f[1]:.4f}; the invariant predictor has {1 - 2 * alpha:g} twice.")

# %%
risks, risk_test = (batch(torch.as_tensor(f), which).risks for which in (train, test))
metric = ck.runs.metric
ck.runs.record(
    {
        "f_same": metric(f[0], "f(1, 1), the prediction where both bits say 1", unit="y", truth=1 - 2 * alpha),
        "f_opposite": metric(f[1], "f(1, -1), where they disagree", unit="y", truth=1 - 2 * alpha),
        "risk": metric(risks.mean(), "mean risk over the training environments", unit="y squared / 2", better="lower"),
        "variance": metric(risks.var(correction=0), "of the risk over training environments", unit="y^4 / 4"),
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
    }
)
