"""What several fits on several graphs say together: a mean, an interval, and the part of it that the graph makes."""

from __future__ import annotations

import numpy as np

__all__ = ["check_level", "spread"]


def spread(answers: np.ndarray, weights: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """Mean, interval, standard deviation and the graphs' share of the variance, of answers by K graphs, M fits each.

    With x_g and s_g^2 the mean and the variance (ddof 1) of graph g's M answers, w_g its weight and x = sum_g w_g x_g,
    the law of total variance reads

        within  = sum_g w_g s_g^2
        between = sum_g w_g (x_g - x)^2 - sum_g w_g (1 - w_g) s_g^2 / M

    Both are unbiased for fits that are independent: what is taken off is what the chance of M fits alone puts between
    the x_g. `sd` is sqrt(within + between) and `graph_share` between / (within + between); a `between` below 0 counts
    as 0, so small shares come out somewhat too large.

    `low` and `high` are quantiles of the mixture over graphs, by weight, of Student's t with M - 1 degrees of freedom
    at x_g with scale s_g sqrt(1 + 1 / M). On one graph that is the exact interval for what is estimated if resampling
    moves the answer as sampling does and both are normal: the fits scatter with variance s^2 around the estimate, it
    around the truth. With two fits it is very wide.

    Args:
        answers: [K, M, m], M at least 2.
        weights: Of the graphs [K], sum 1.
        level: Share that an interval is to cover.

    Returns:
        mean, low, high, sd, graph_share, each [m]; graph_share is NaN where no answer differs from another.

    Example:
        >>> answers = np.array([[[0.9], [1.1]], [[-1.1], [-0.9]]])  # two graphs disagree, two fits of each do not
        >>> {key: value.round(2).tolist() for key, value in spread(answers, np.array([0.5, 0.5]), 0.9).items()}
        {'mean': [0.0], 'low': [-1.68], 'high': [1.68], 'sd': [1.01], 'graph_share': [0.98]}
    """
    size = answers.shape[1]
    centre, variance = answers.mean(1), answers.var(1, ddof=1)
    # equal answers have a variance of rounding errors; it is none
    variance[variance <= (1e-12 * np.abs(answers).max(1)) ** 2] = 0.0
    mean, within = weights @ centre, weights @ variance
    between = weights @ (centre - mean) ** 2 - (weights * (1 - weights)) @ variance / size
    between[between <= (1e-12 * np.abs(centre).max(0)) ** 2] = 0.0
    with np.errstate(invalid="ignore"):
        share = between / (within + between)
    scale = np.sqrt(variance * (1 + 1 / size))
    low, high = (_quantile(p, weights, centre, scale, size - 1) for p in ((1 - level) / 2, (1 + level) / 2))
    return {"mean": mean, "low": low, "high": high, "sd": np.sqrt(within + between), "graph_share": share}


def check_level(level: float) -> None:
    """Nothing, once a level is known to be a share.

    Raises:
        ValueError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(
            f"level = {level!r}: give a share between 0 and 1, of what the interval covers or of false alarms"
        )


def _quantile(p: float, weights: np.ndarray, centre: np.ndarray, scale: np.ndarray, df: int) -> np.ndarray:
    """The p-quantile [m] of the mixture of Student's t with these weights [K], centres and scales [K, m]."""
    from scipy.special import stdtr, stdtrit

    each = centre + scale * stdtrit(df, p)
    low, high = each.min(0), each.max(0)  # a mixture's quantile lies between those of its parts
    for _ in range(50 if len(weights) > 1 else 0):
        middle = (low + high) / 2
        apart = middle - centre
        with np.errstate(divide="ignore", invalid="ignore"):
            below = stdtr(df, np.where(scale > 0, apart / scale, np.where(apart >= 0, np.inf, -np.inf)))
        short = weights @ below < p
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return (low + high) / 2
