"""Mechanisms: x_j := f(x_pa, u_j), one line of a structural causal model.

| family           | x_j :=                       | file               |
|------------------|------------------------------|--------------------|
| `linear`         | intercept + x_pa w + u       | affine.py          |
| `mlp`            | network(x_pa) + u            | perceptron.py      |
| `polynomial`     | sum_i p_i(x_i) + u           | polynomials.py     |
| `sigmoidal`      | sum_i s_i(x_i) + u           | sigmoids.py        |
| `gp`             | (a Gaussian process) + u     | gaussian_process.py|
| `location_scale` | f(x_pa) + s(x_pa) u          | heteroscedastic.py |
| `post_nonlinear` | h(f(x_pa) + u)               | distorted.py       |
| `additive`       | f(x_pa) + u, f yours         | base.py            |
| `function`       | f(x_pa, u), f yours          | custom.py          |
| `logistic`       | 0 or 1, odds from x_pa       | softmax.py         |
| `softmax`        | 0 ... K - 1, odds from x_pa  | softmax.py         |
| `table`          | 0 ... K - 1, a table's row   | tables.py          |

The noises u are in noises.py and empirical.py, the verbs push, abduct and log_prob in base.py, and what discrete
families share in categorical.py.
"""

from __future__ import annotations

from collections.abc import Callable

from causalkit.mechanisms.affine import Linear, linear, random_linear, uniform_weights
from causalkit.mechanisms.base import Additive, Constant, Equation, Function, Mechanism, NotInvertible, additive
from causalkit.mechanisms.categorical import Categorical
from causalkit.mechanisms.custom import Custom, function
from causalkit.mechanisms.distorted import DISTORTIONS, Distortion, PostNonlinear, post_nonlinear
from causalkit.mechanisms.empirical import Empirical
from causalkit.mechanisms.gaussian_process import FourierFeatures, gp
from causalkit.mechanisms.heteroscedastic import LocationScale, location_scale
from causalkit.mechanisms.noises import NOISES, Noise
from causalkit.mechanisms.perceptron import Perceptron, mlp
from causalkit.mechanisms.polynomials import Polynomial, polynomial
from causalkit.mechanisms.sigmoids import Sigmoids, sigmoidal
from causalkit.mechanisms.softmax import Softmax, logistic, random_categorical, random_logistic, softmax
from causalkit.mechanisms.tables import Table, table

__all__ = [
    "DISTORTIONS",
    "MECHANISMS",
    "NOISES",
    "Additive",
    "Categorical",
    "Constant",
    "Custom",
    "Distortion",
    "Empirical",
    "Equation",
    "FourierFeatures",
    "Function",
    "Linear",
    "LocationScale",
    "Mechanism",
    "Noise",
    "NotInvertible",
    "Perceptron",
    "Polynomial",
    "PostNonlinear",
    "Sigmoids",
    "Softmax",
    "Table",
    "additive",
    "function",
    "gp",
    "linear",
    "location_scale",
    "logistic",
    "mlp",
    "polynomial",
    "post_nonlinear",
    "sigmoidal",
    "softmax",
    "table",
    "uniform_weights",
]

MECHANISMS: dict[str, Callable[..., Mechanism]] = {
    "linear": random_linear,
    "mlp": mlp,
    "polynomial": polynomial,
    "sigmoidal": sigmoidal,
    "gp": gp,
    "location_scale": location_scale,
    "post_nonlinear": post_nonlinear,
    "logistic": random_logistic,
    "categorical": random_categorical,
}
"""Families for `random_scm`: name -> function(parents, noise=, scale=, seed=) -> mechanism."""
