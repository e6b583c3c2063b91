"""diagnose: does a model's noise look like noise? The checks that rows can make on an SCM without knowing the truth.

If an SCM made the rows, the noise abducted from them has the distribution that the SCM says, is independent of the
parents of its variable, and of the noise of every other variable. Each is tested, a variable at a time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causalkit.errors import check_frame
from causalkit.estimation.independence import Kernel, independent, least, scores
from causalkit.mechanisms import Categorical, Constant, Mechanism
from causalkit.scm import SCM
from causalkit.seeds import Seed, generator, integer

__all__ = ["diagnose"]

FEWEST_ROWS = 20
"""Below this the p-values of the independence tests are not to be trusted."""


def diagnose(scm: SCM, frame: pd.DataFrame, *, rows: int = 500, seed: Seed) -> pd.DataFrame:
    """Whether these rows could have come from this SCM: the noise that it abducts from them, tested for each variable.

    - `log_likelihood`: the mean of log p(x_j | x_pa) over all rows, nats.
    - `hsic_p`: p-value of "the noise u_j is independent of the parents of x_j". A small one: the form of the mechanism
      is wrong (a curve fitted by a line, a spread that varies), or an arrow is.
    - `pit_p`: p-value of "the probability integral transform F(u_j) is uniform", F the distribution function of the
      mechanism's noise (Kolmogorov-Smirnov). A small one: the noise has another distribution.
    - `dependence_p`: p-value of "u_j is independent of every other variable's noise", from the least of its d - 1
      pairwise p-values (Sidak 1967). A small one: a hidden common cause, or an edge that is missing.

    Independence is tested by HSIC (Gretton et al. 2008) on normal scores of the ranks, so that heavy tails and units do
    not matter, with Gaussian kernels of median width: `causalkit.estimation.independence`.

    A discrete variable has no one noise that made it. Its residual is the randomised PIT, F(x - 1 | x_pa) +
    w P(x | x_pa) with w uniform (Smith 1985; Dunn and Smyth 1996), which is uniform whatever the parents are if, and
    only if, the probabilities are right.

    The p-values are uniform if the SCM made the rows; those it was fitted to are explained too well, so take others. Of
    d variables come up to 3 d p-values, among which one below .05 is no surprise. And not rejecting is no proof:
    Markov equivalent linear-Gaussian models pass alike, and so do SCMs of one distribution under every do() whose
    counterfactuals differ.

    Args:
        scm: Any SCM, true or learned.
        frame: Rows that the SCM was not fitted to, at least 20; columns that are none of its variables are ignored.
        rows: How many of them, drawn at random, the three tests look at: with very many, each model is rejected.
        seed: Of that draw, of the randomised PIT, and of noise that is drawn from its posterior.

    Returns:
        A row a variable (the index, `variable`): log_likelihood, hsic_p (NaN for a root), pit_p, dependence_p, and
        `note`, which says why something is NaN: the mechanism cannot be turned round, a parent is hidden.

    Raises:
        ValueError: Not an SCM, columns that are missing or not finite, codes that are none of a variable's levels,
            fewer than 20 rows.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda x: x[:, 0] ** 2)})
        >>> line = scm.replace({"y": ck.linear({"x": 0.0}, intercept=1.0, scale=3**0.5)})
        >>> rows = scm.sample(1000, seed=0)
        >>> [bool(diagnose(model, rows, seed=0).loc["y", "hsic_p"] < 0.01) for model in (scm, line)]
        [False, True]
    """
    values = _columns(scm, frame, rows)
    base = integer(seed, "diagnose")
    chosen = torch.randperm(len(frame), generator=generator(base, "rows"))[:rows]
    columns = ["log_likelihood", "hsic_p", "pit_p", "dependence_p"]
    table = pd.DataFrame(np.nan, pd.Index(scm.variables, name="variable"), columns).assign(note="")
    kernels: dict[str, Kernel] = {}
    for name, mechanism in scm.mechanisms.items():
        try:
            parents, x = _inputs(name, mechanism, values)
            table.loc[name, "log_likelihood"] = float(mechanism.log_prob(parents, x).mean())
            noise, pit = _residual(mechanism, parents[chosen], x[chosen], integer(base, name))
        except ValueError as error:  # NotInvertible is one: the mechanism says what it cannot do with these rows
            table.loc[name, "note"] = str(error)
            continue
        table.loc[name, "pit_p"] = _uniform(pit)
        kernels[name] = Kernel.of(scores(noise))
        if mechanism.parents:
            causes = np.concatenate([_encoded(scm.mechanisms[p], values[p][chosen]) for p in mechanism.parents], 1)
            table.loc[name, "hsic_p"] = independent([kernels[name]], [Kernel.of(causes)])[0, 0]
    if len(kernels) > 1:
        table.loc[list(kernels), "dependence_p"] = _mutual(list(kernels.values()))
    return table


def _columns(scm: SCM, frame: pd.DataFrame, rows: int) -> dict[str, Tensor]:
    """Variable -> its column [n], float64, of all that are observed and of those hidden ones that the frame has."""
    if not isinstance(scm, SCM):
        raise ValueError(f"diagnose needs an SCM, got {type(scm).__name__}: fit one, ck.fit_scm(graph, frame, seed=0)")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < FEWEST_ROWS:
        raise ValueError(f"rows = {rows!r}: give the number of rows to test on, at least {FEWEST_ROWS}")
    shown = [v for v in scm.variables if v not in scm.hidden or v in getattr(frame, "columns", ())]
    frame = check_frame(frame, shown, min_rows=FEWEST_ROWS)
    for name in shown:
        levels = scm.mechanisms[name].levels
        if levels is None:
            continue
        odd = frame.loc[~frame[name].isin(range(levels)), name]
        if len(odd):
            raise ValueError(
                f"column {name!r} has the value {odd.iloc[0]:g}, none of the codes 0 ... {levels - 1} that this SCM "
                f"knows: leave such rows out, or fit to rows that have them"
            )
    return {v: torch.from_numpy(frame[v].to_numpy(dtype=np.float64, copy=True)) for v in shown}


def _inputs(name: str, mechanism: Mechanism, values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The parents' values [n, p] and the variable's own [n], where there are any and there is noise to look at."""
    lacking = [v for v in (name, *mechanism.parents) if v not in values]
    if lacking:
        raise ValueError(f"{lacking[0]!r} is hidden, and the frame has no column of it")
    if isinstance(mechanism, Constant):
        raise ValueError("it was set by do(), which leaves it no noise")
    x = values[name]
    return torch.stack([values[p] for p in mechanism.parents], 1) if mechanism.parents else x.new_empty(len(x), 0), x


def _residual(mechanism: Mechanism, parents: Tensor, x: Tensor, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The noise [n, k], up to a monotone map, of the values x [n] given the parents' [n, p]; and its PIT [n, k]."""
    if isinstance(mechanism, Categorical):
        share = mechanism.log_probs(parents).exp()
        code = x.long().unsqueeze(1)
        at = share.gather(1, code)[:, 0]
        below = share.cumsum(1).gather(1, code)[:, 0] - at
        pit = below + at * torch.rand(len(x), generator=generator(seed, "pit"), dtype=torch.float64)
        return pit.unsqueeze(1).numpy(), pit.unsqueeze(1).numpy()
    u = mechanism.sample_posterior(parents, x, seed=integer(seed, "noise")).reshape(len(x), -1).detach()
    if not torch.isfinite(u).all():
        count = int((~torch.isfinite(u)).any(1).sum())
        raise ValueError(f"the noise is NaN or infinite in {count} of {len(x)} rows: the mechanism cannot make them")
    return u.numpy(), torch.stack([mechanism.noise.cdf(column) for column in u.unbind(1)], 1).numpy()


def _uniform(pit: np.ndarray) -> float:
    """p-value of the columns of [n, k] being uniform on [0, 1]."""
    from scipy.stats import kstest

    return least(np.array([kstest(column, "uniform").pvalue for column in pit.T]))


def _encoded(mechanism: Mechanism, values: Tensor) -> np.ndarray:
    """A parent's values [n] as columns to measure distances in: normal scores, or an indicator a level."""
    if mechanism.levels is None:
        return scores(values.unsqueeze(1).numpy())
    return np.eye(mechanism.levels)[values.long().numpy()]


def _mutual(kernels: list[Kernel]) -> list[float]:
    """For each of d samples the p-value of its independence of the others, each by itself."""
    p_values = independent(kernels, kernels)
    np.fill_diagonal(p_values, np.nan)
    return [least(row) for row in p_values]
