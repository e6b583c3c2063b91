"""Exact methods: linear rules in closed form, by a search that ends, or converged, beside those that are trained.

Each takes environments and a task, and returns a `Model`, which predicts and is evaluated like any other.
"""

from collections.abc import Callable

from causalkit.exact.build import check, linear_model
from causalkit.exact.direction import one_direction
from causalkit.exact.invariant import invariant
from causalkit.exact.isr import isr_mean, moving
from causalkit.exact.linear import anchor, drig, least_squares, logistic
from causalkit.exact.moments import Moments, contrasts, invariance, moments
from causalkit.exact.subsets import eills, icp, icp_nonlinear
from causalkit.model import Model

__all__ = [
    "EXACT",
    "Moments",
    "anchor",
    "check",
    "contrasts",
    "drig",
    "eills",
    "icp",
    "icp_nonlinear",
    "invariance",
    "invariant",
    "isr_mean",
    "least_squares",
    "linear_model",
    "logistic",
    "moments",
    "moving",
    "one_direction",
]

EXACT: dict[str, Callable[..., Model]] = {
    "least_squares": least_squares,
    "logistic": logistic,
    "anchor": anchor,
    "drig": drig,
    "eills": eills,
    "icp": icp,
    "icp_nonlinear": icp_nonlinear,
    "isr_mean": isr_mean,
    "invariant": invariant,
}
"""Exact methods: name -> function(train, task, **options) -> Model. Add your own with `EXACT["mine"] = function`."""
