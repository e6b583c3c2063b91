"""What stands between the variables and the data: measurement error, and selection of rows.

Both are ordinary nodes of the SCM, so that the truth stays known: shifts, interventions and counterfactuals act on it
as before, and what they do to the data follows. Sources: Hernan and Robins (2020), Causal Inference: What If, chapters
8 (selection) and 9 (measurement); Bareinboim and Pearl (2012), Controlling selection bias in causal inference, for the
selection node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from causalkit.errors import unknown
from causalkit.mechanisms import Categorical, Mechanism, linear
from causalkit.scm import SCM
from causalkit.selection import Selected

__all__ = ["kept", "measured", "selected"]


def measured(scm: SCM, name: str, *, scale: float, noise: str = "gaussian", called: str | None = None) -> SCM:
    """The SCM in which a variable is seen through measurement error: m := x + e, and x is hidden.

    The error e is independent of all else (classical measurement error). Effects of x still listen to x itself. All
    other variables keep their noise, bit for bit. Where x alone causes y, the slope of y on m is that of y on x times
    var(x) / (var(x) + scale^2), the reliability of m (regression dilution, Spearman 1904).

    Args:
        scm: The SCM of the true variables.
        name: The variable to measure, x. One that is hidden already may be measured too, and more than once.
        scale: Standard deviation of e, in the units of x.
        noise: Family of e, a key of `ck.mechanisms.NOISES`.
        called: Name of the measurement, "<name>_measured" if None. It is the last variable of the SCM.

    Raises:
        ValueError: An unknown variable or noise, a scale that is not positive, a name that is taken, a discrete
            variable (it is misread rather than blurred), no SCM.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> blurred = measured(scm, "x", scale=1.0)
        >>> blurred
        SCM(x := u; y := f(x) + u; x_measured := f(x) + u)
        >>> blurred.observed
        ('y', 'x_measured')
    """
    called = f"{name}_measured" if called is None else called
    _check_free(scm, called)
    if name not in scm.mechanisms:
        raise unknown("variable", name, scm.variables)
    if scm.mechanisms[name].levels is not None:
        raise ValueError(
            f"{name!r} is discrete, so an error would make values between its levels: give the chance of each "
            "reading, ck.mechanisms.table({...}, rows), as a mechanism of its own"
        )
    error = linear({name: 1.0}, noise=noise, scale=scale)
    return SCM({**scm.mechanisms, called: error}, hidden=tuple(dict.fromkeys((*scm.hidden, name))))


def selected(scm: SCM, mechanism: Mechanism, *, called: str = "selected") -> SCM:
    """The SCM with a selection node: a variable that is 1 in the rows which reach the data, and 0 in the others.

    It is an ordinary variable, made by an ordinary mechanism of its causes, and this SCM still makes all rows; `kept`
    keeps those that reach the data.

    Args:
        scm: The SCM of the population.
        mechanism: Makes 0 or 1: `ck.logistic({"y": 2.0})`, say, or a `ck.mechanisms.function` of your own.
        called: Name of the node. It is the last variable of the SCM.

    Raises:
        ValueError: A parent that is not there, a name that is taken, a mechanism that makes other values than 0 and 1
            (seen in 1,000 rows), no SCM.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear({"x": 1.0})})
        >>> wider = selected(scm, ck.logistic({"y": 2.0}))
        >>> wider.graph.edges
        OutEdgeView([('x', 'y'), ('y', 'selected')])
    """
    _check_free(scm, called)
    wider = SCM({**scm.mechanisms, called: mechanism}, hidden=scm.hidden)
    _check_binary(wider, called)
    return wider


def kept(scm: SCM, called: str = "selected") -> Selected:
    """The rows in which a selection node is 1: what reaches the data.

    The node is summed out where its mechanism states chances and nothing listens to it: rows of the other variables
    are weighted by P(node = 1 | its causes). Then `weights` are P(node = 1 | causes) / P(node = 1) for any row, whose
    inverses bring the population's means back (inverse probability weighting, Horvitz and Thompson 1952). Otherwise
    (your own function without stated chances) the node stays, hidden, and rows are kept by its value.

    Args:
        scm: An SCM with a node that is 0 or 1, as `selected` adds it.
        called: The node.

    Raises:
        ValueError: An unknown variable, values other than 0 and 1, no SCM. Later, where hardly any row is kept.

    Example:
        Two independent causes of a selection become dependent (Berkson 1946):

        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.linear()})
        >>> wider = selected(scm, ck.logistic({"x": 3.0, "y": 3.0}))
        >>> seen = kept(wider).sample(2000, seed=0)
        >>> list(seen.columns), bool(seen.corr().loc["x", "y"] < -0.2)
        (['x', 'y'], True)
    """
    _check_scm(scm)
    if called not in scm.mechanisms:
        raise unknown("selection node", called, scm.variables)
    _check_binary(scm, called)
    mechanism = scm.mechanisms[called]
    if isinstance(mechanism, Categorical) and not list(scm.graph.successors(called)):
        others = {v: m for v, m in scm.mechanisms.items() if v != called}
        rest = SCM(others, hidden=[v for v in scm.hidden if v != called])
        return Selected(rest, _Chance(mechanism), on=mechanism.parents or None)
    whole = SCM(scm.mechanisms, hidden=tuple(dict.fromkeys((*scm.hidden, called))))
    return Selected(whole, _Value(called), on=(called,))


@dataclass(frozen=True, eq=False)
class _Chance:
    """P(node = 1 | its causes) [n] in a frame that has the causes."""

    mechanism: Categorical

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        parents = torch.from_numpy(frame[list(self.mechanism.parents)].to_numpy(dtype=np.float64, copy=True))
        return self.mechanism.log_prob(parents, torch.ones(len(frame), dtype=torch.float64)).exp().numpy()


@dataclass(frozen=True, eq=False)
class _Value:
    """The node's own value [n]."""

    name: str

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        return frame[self.name].to_numpy(dtype=np.float64)


def _check_scm(scm: SCM) -> None:
    if not isinstance(scm, SCM):
        raise ValueError(f"expected an SCM, got {type(scm).__name__}: add nodes before rows are selected")


def _check_free(scm: SCM, called: str) -> None:
    _check_scm(scm)
    if called in scm.mechanisms:
        raise ValueError(f"the SCM has a variable {called!r} already: give the new one a name of its own, called='...'")


def _check_binary(scm: SCM, called: str) -> None:
    values = scm.marginal([called]).sample(1_000, seed=0, hidden=True)[called]
    levels = scm.mechanisms[called].levels
    other = values[~values.isin((0, 1))]
    if len(other) or levels not in (None, 2):
        made = f"{levels} levels" if levels else f"values such as {other.iloc[0]:g}"
        raise ValueError(
            f"{called!r} has {made} where a selection node is 0 or 1: give ck.logistic({{...}}), or a "
            "ck.mechanisms.function that returns 0.0 and 1.0"
        )
