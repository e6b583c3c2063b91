"""The softmax family of discrete mechanisms: P(x_j = k | x_pa) ~ exp(b_k + x_pa w_k); with two levels, logistic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from causalkit.mechanisms.affine import uniform_weights
from causalkit.mechanisms.base import names
from causalkit.mechanisms.categorical import Categorical
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, generator

__all__ = ["Softmax", "logistic", "random_categorical", "random_logistic", "softmax"]


@dataclass(frozen=True, eq=False)
class Softmax(Categorical):
    """P(x_j = k | x_pa) = exp(b_k + x_pa w_k) / sum_l exp(b_l + x_pa w_l), k = 0 ... K - 1; made by Gumbel-max.

    Attributes:
        weights: w [p, K], log-odds per unit of a parent.
        intercepts: b [K], log-odds.

    Example:
        >>> Softmax((), torch.zeros(0, 4).double(), torch.zeros(4).double()).log_probs(torch.zeros(1, 0)).exp()
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]], dtype=torch.float64)
    """

    weights: Tensor
    intercepts: Tensor

    @property
    def levels(self) -> int:
        return len(self.intercepts)

    def log_probs(self, parents: Tensor) -> Tensor:
        return torch.log_softmax(parents.to(self.weights.dtype) @ self.weights + self.intercepts, 1)

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Softmax:
        # gain and centre are folded into weights and intercepts: (c + g (x - c)) w = x (g w) + (1 - g) c w
        gain = torch.tensor([factors.get(p, 1.0) for p in self.parents], dtype=torch.float64)
        centre = torch.tensor([float(around.get(p, 0.0)) for p in self.parents], dtype=torch.float64)
        moved = self.intercepts + ((1 - gain) * centre) @ self.weights
        return replace(self, weights=gain.unsqueeze(1) * self.weights, intercepts=moved)

    def moved(self, by: float) -> Softmax:
        return replace(self, intercepts=self.intercepts + by * torch.arange(self.levels, dtype=torch.float64))


def softmax(weights: Mapping[str, Sequence[float]], intercepts: Sequence[float]) -> Softmax:
    """A discrete mechanism of K levels, P(x_j = k | x_pa) ~ exp(b_k + sum_i w_ik x_i), made by Gumbel-max.

    Its counterfactuals are those of Gumbel-max, one choice among many: the probabilities alone do not identify them.

    Args:
        weights: Parent -> its K weights w_i (log-odds per unit of x_i); any numeric parent, discrete ones by code.
        intercepts: The K intercepts b (log-odds); their number is the number of levels.

    Raises:
        ValueError: Fewer than 2 levels, a parent with another number of weights, a value that is not finite.

    Example:
        >>> softmax({"x": [0.0, 1.0, 2.0]}, [0.0, 0.0, 0.0]).levels
        3
    """
    if not isinstance(weights, Mapping):
        raise ValueError(
            f"weights are a mapping from parent to numbers, got {weights!r}: softmax({{'x': [0, 1]}}, [0, 0])"
        )
    b = torch.tensor([float(v) for v in intercepts], dtype=torch.float64)
    if len(b) < 2:
        raise ValueError(f"intercepts {list(intercepts)} make {len(b)} levels: give one a level, at least 2")
    w = torch.zeros(len(weights), len(b), dtype=torch.float64)
    for i, (parent, row) in enumerate(weights.items()):
        if len(row) != len(b):
            raise ValueError(f"parent {parent!r} has {len(row)} weights for {len(b)} levels: give one a level")
        w[i] = torch.tensor([float(v) for v in row], dtype=torch.float64)
    if not (torch.isfinite(w).all() and torch.isfinite(b).all()):
        raise ValueError(f"weights {dict(weights)} and intercepts {list(intercepts)} must be finite numbers")
    return Softmax(tuple(weights), w, b)


def logistic(weights: Mapping[str, float] = MappingProxyType({}), *, intercept: float = 0.0) -> Softmax:
    """A binary mechanism, P(x_j = 1 | x_pa) = 1 / (1 + exp(-b - sum_i w_i x_i)), made by Gumbel-max.

    Its counterfactuals are those of Gumbel-max, which for two levels is x_j := 1 where a logistic noise exceeds
    -b - x_pa w. They are one choice among many: the probabilities alone do not identify them.

    Args:
        weights: Parent -> weight w_i (log-odds per unit of x_i); any numeric parent. Empty: a coin.
        intercept: b, the log-odds of 1 where all parents are 0.

    Raises:
        ValueError: A weight or intercept that is not a finite number.

    Example:
        >>> import causalkit as ck
        >>> scm = ck.SCM({"x": ck.linear(), "y": ck.logistic({"x": 2.0})})
        >>> frame = scm.sample(4, seed=0)
        >>> frame["y"].dtype, scm.counterfactual(frame, {"x": 50.0}, seed=0)["y"].tolist()
        (dtype('int64'), [1, 1, 1, 1])
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights are a mapping from parent to number, got {weights!r}: write logistic({{'x': 1.0}})")
    return softmax({parent: [0.0, w] for parent, w in weights.items()}, [0.0, intercept])


def random_logistic(parents: Sequence[str] = (), *, noise: str = "gaussian", scale: float = 1.0, seed: Seed) -> Softmax:
    """A `logistic` mechanism with weights uniform in +-[0.5, 2] and a standard normal intercept.

    `noise` and `scale` are checked and not used (the noise is Gumbel), so that one call serves mixed families.

    Example:
        >>> random_logistic(["x"], seed=0).levels
        2
    """
    Noise(noise, float(scale))
    parents, draw = names(parents), generator(seed, "logistic")
    weights = uniform_weights((len(parents),), draw).tolist()
    intercept = float(torch.randn((), generator=draw, dtype=torch.float64))
    return logistic(dict(zip(parents, weights, strict=True)), intercept=intercept)


def random_categorical(
    parents: Sequence[str] = (), *, levels: int = 3, noise: str = "gaussian", scale: float = 1.0, seed: Seed
) -> Softmax:
    """A `softmax` mechanism with weights uniform in +-[0.5, 2] and standard normal intercepts.

    `noise` and `scale` are checked and not used (the noise is Gumbel), so that one call serves mixed families.

    Example:
        >>> random_categorical(["x"], seed=0).levels
        3
    """
    Noise(noise, float(scale))
    parents, draw = names(parents), generator(seed, "categorical")
    weights = uniform_weights((len(parents), levels), draw).tolist()
    intercepts = torch.randn(levels, generator=draw, dtype=torch.float64).tolist()
    return softmax(dict(zip(parents, weights, strict=True)), intercepts)
