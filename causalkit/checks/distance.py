"""How far a learned SCM is from the true one: its counterfactuals, and its density."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from causalkit.errors import unknown
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["counterfactual_error", "divergence_from"]

Answer = Callable[[pd.DataFrame, dict[str, float]], pd.DataFrame]


def counterfactual_error(
    learned: SCM | Answer,
    truth: SCM,
    *,
    causes: Iterable[str] | None = None,
    quantiles: Iterable[float] = (0.25, 0.5, 0.75),
    n: int = 2000,
    scaled: bool = False,
    seed: Seed,
) -> float:
    """The mean over rows of || x_cf learned - x_cf true ||, the Euclidean norm over all variables of a row.

    Averaged over do(x = its quantile), for each of the causes and quantiles. It is the figure that the paper of causal
    flows calls RMSE: in the variables' own units, so one of large variance weighs most; `scaled` divides each
    variable by its standard deviation.

    Source: Javaloy, Sanchez-Martin and Valera (2023), Causal normalizing flows, section 6.

    Args:
        learned: An SCM, or a function (rows, {cause: value}) -> rows, such as another library's.
        truth: The SCM that made the data; it has no hidden variables.
        causes: The variables that are set; all that have effects if None.
        quantiles: Of the truth's observational distribution, from 10,000 rows.
        n: Rows whose counterfactuals are compared; new ones, drawn from the truth.
        scaled: Whether errors are in standard deviations.
        seed: Of the rows.

    Raises:
        ValueError: An unknown cause, no cause, no quantile.

    Example:
        >>> import causalkit as ck
        >>> truth = ck.triangle("lin")
        >>> learned = ck.fit_scm(truth.graph, truth.sample(20_000, seed=1), mechanism="linear", seed=0)
        >>> counterfactual_error(learned, truth, seed=1) < 0.03
        True
    """
    answer, quantiles = learned.counterfactual if isinstance(learned, SCM) else learned, list(quantiles)
    many, rows = (truth.sample(size, seed=integer(seed, what)) for size, what in ((10_000, "quantiles"), (n, "rows")))
    unit = many[list(truth.variables)].std().to_numpy() if scaled else 1.0
    named = list(causes) if causes is not None else [v for v in truth.variables if list(truth.graph.successors(v))]
    if not named or not quantiles:
        raise ValueError(f"no {'quantile' if named else 'cause'} to set: name some, causes=['x'], quantiles=[0.5]")
    for cause in named:
        if cause not in truth.variables:
            raise unknown("cause", cause, truth.variables)
    errors = []
    for cause in named:
        for share in quantiles:
            do = {cause: float(many[cause].quantile(share))}
            # as arrays: another index must not move rows, and NaN must not be left out
            found, true = (
                f[list(truth.variables)].to_numpy() for f in (answer(rows, do), truth.counterfactual(rows, do))
            )
            errors.append(float(np.sqrt((((found - true) / unit) ** 2).sum(axis=1)).mean()))
    return float(np.mean(errors))


def divergence_from(learned: SCM, truth: SCM, *, n: int = 20_000, seed: Seed) -> tuple[float, float]:
    """KL(truth || learned) in nats, by the mean of log p - log q over new rows, and the standard error of that mean.

    The rows are others than those of `truth.sample(n, seed=seed)`.

    Raises:
        ValueError: The two are over different variables (hidden ones count), so that they have no densities to compare.

    Example:
        >>> import causalkit as ck
        >>> truth = ck.teaching_scm()
        >>> kl, error = divergence_from(truth, truth, seed=0)
        >>> kl, error
        (0.0, 0.0)
    """
    odd = [v for v in (*truth.variables, *learned.variables) if v not in truth.variables or v not in learned.variables]
    if odd:
        raise ValueError(
            f"the two SCMs are over different variables: {odd[0]} is in one of them alone. Compare those that they "
            f"share: where these have no hidden cause, scm.marginal([...]) leaves the others out"
        )
    rows = truth.sample(n, seed=integer(seed, "divergence"), hidden=True)
    gaps = truth.log_prob(rows) - learned.log_prob(rows)
    return float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(n))
