"""How far a learned SCM is from the true one: its counterfactuals, and its density."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

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

    Example:
        >>> import causalkit as ck
        >>> truth = ck.triangle("lin")
        >>> learned = ck.fit_scm(truth.graph, truth.sample(20_000, seed=1), mechanism="linear", seed=0)
        >>> counterfactual_error(learned, truth, seed=1) < 0.03
        True
    """
    answer = learned.counterfactual if isinstance(learned, SCM) else learned
    many, rows = (truth.sample(size, seed=integer(seed, what)) for size, what in ((10_000, "quantiles"), (n, "rows")))
    unit = many.std() if scaled else 1.0
    named = list(causes) if causes is not None else [v for v in truth.variables if list(truth.graph.successors(v))]
    errors = []
    for cause in named:
        for share in quantiles:
            do = {cause: float(many[cause].quantile(share))}
            gap = (answer(rows, do)[list(truth.variables)] - truth.counterfactual(rows, do)) / unit
            errors.append(float(np.sqrt((gap**2).sum(axis=1)).mean()))
    return float(np.mean(errors))


def divergence_from(learned: SCM, truth: SCM, *, n: int = 20_000, seed: Seed) -> tuple[float, float]:
    """KL(truth || learned) in nats, by the mean of log p - log q over new rows, and the standard error of that mean.

    Example:
        >>> import causalkit as ck
        >>> truth = ck.teaching_scm()
        >>> kl, error = divergence_from(truth, truth, seed=0)
        >>> kl, error
        (0.0, 0.0)
    """
    rows = truth.sample(n, seed=seed, hidden=True)
    gaps = truth.log_prob(rows) - learned.log_prob(rows)
    return float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(n))
