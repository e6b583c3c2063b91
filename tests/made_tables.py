"""Made data for the tests of exact methods: two causes and an effect of y, whose spread moves."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from causalkit.environments import Environment, Task
from causalkit.model import Model

TASK = Task(("a", "b", "c"), "y")
SEEDS = st.integers(0, 2**20)


def table(seed: int, n: int = 300, spread: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3)) * spread + rng.standard_normal(3)
    y = 1.0 + x @ [1.0, -0.5, 0.0] + rng.standard_normal(n)
    x[:, 2] += rng.uniform(0.5, 2.0) * y
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=y)


def tables(seed: int, count: int = 3, n: int = 300) -> list[Environment]:
    return [Environment(f"e{i}", table(97 * seed + i, n, 1.0 + i)) for i in range(count)]


def line(model: Model) -> np.ndarray:
    """Intercept and weights [features + 1] of a linear regression, from its predictions alone."""
    features = list(model.task.features)
    points = pd.DataFrame(np.vstack([np.zeros(len(features)), np.eye(len(features))]), columns=features)
    at = model.predict(points)
    return np.append(at[0], at[1:] - at[0])
