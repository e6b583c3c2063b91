"""Mechanisms: x_j := f(x_pa, u_j), one line of a structural causal model.

A mechanism here adds its noise, x_j = (f(x_pa) + u_j - centre) / spread, so it can be turned round: given x_j and
its parents, u_j = spread * x_j + centre - f(x_pa) is the one noise value that made it (abduction). `centre` and
`spread` are 0 and 1 unless `random_scm(..., standardise="internal")` set them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from causalkit.errors import unknown
from causalkit.seeds import Seed, generator

__all__ = [
    "MECHANISMS",
    "NOISES",
    "Additive",
    "Constant",
    "Linear",
    "Mechanism",
    "Noise",
    "NotInvertible",
    "Perceptron",
    "additive",
    "linear",
    "mlp",
]

Function = Callable[[Tensor], Tensor]

NOISES: Mapping[str, Callable[[Tensor], torch.distributions.Distribution]] = MappingProxyType(
    {
        "gaussian": lambda scale: torch.distributions.Normal(torch.zeros_like(scale), scale),
        "laplace": lambda scale: torch.distributions.Laplace(torch.zeros_like(scale), scale / 2**0.5),
        "uniform": lambda scale: torch.distributions.Uniform(-scale * 3**0.5, scale * 3**0.5, validate_args=False),
    }
)
"""Noise families: name -> torch distribution of mean 0 whose standard deviation is the given scale."""


@dataclass(frozen=True)
class Noise:
    """Noise u of a family, with standard deviation `scale` and mean `location`.

    Example:
        >>> noise = Noise("laplace", scale=2.0)
        >>> noise.sample(3, seed=0).shape
        torch.Size([3])
    """

    family: str = "gaussian"
    scale: float = 1.0
    location: float = 0.0

    def __post_init__(self) -> None:
        if self.family not in NOISES:
            raise unknown("noise", self.family, NOISES)
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"noise scale {self.scale} is not a positive number: give a standard deviation > 0")

    def sample(self, n: int, *, seed: Seed) -> Tensor:
        """n independent values [n], float64. The same seed gives the same standard draw, then scaled and moved."""
        draw = generator(seed)
        if self.family == "gaussian":
            standard = torch.randn(n, generator=draw, dtype=torch.float64)
        else:
            # the open unit interval, so that the inverse distribution function stays finite
            unit = torch.rand(n, generator=draw, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
            standard = NOISES[self.family](torch.ones((), dtype=torch.float64)).icdf(unit)
        return self.location + self.scale * standard

    def log_prob(self, u: Tensor) -> Tensor:
        """Log-density [n] in nats of the values u [n]; -inf outside the support."""
        scale = torch.as_tensor(self.scale, dtype=u.dtype)
        return NOISES[self.family](scale).log_prob(u - self.location)


class NotInvertible(ValueError):
    """A counterfactual was asked of a mechanism whose noise cannot be recovered from its value."""


@dataclass(frozen=True, eq=False)
class Mechanism:
    """x_j := f(x_pa, u_j): the parents' names, the noise, and the three verbs push, abduct and log_prob.

    A subclass that cannot be turned round leaves `abduct` out; one that no shift can turn leaves out `with_gain`
    and `moved`.
    """

    parents: tuple[str, ...]
    noise: Noise

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        """The value x_j [n] from the parents' values [n, p] and the noise u_j [n]."""
        raise NotImplementedError

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        """The noise u_j [n] that made the values x_j [n] from the parents' values [n, p]."""
        raise NotInvertible(f"{type(self).__name__} has no inverse: give a mechanism that has `abduct`")

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        """log p(x_j | x_pa) [n], nats."""
        raise NotImplementedError

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Mechanism:
        """The mechanism that hears the named parents' deviations from `around` (0 if unnamed) times these factors."""
        raise ValueError(f"a {type(self).__name__} mechanism does not listen to its parents: shift another variable")

    def moved(self, by: float) -> Mechanism:
        """The mechanism whose noise has its mean moved by `by` standard deviations of the noise."""
        raise ValueError(f"a {type(self).__name__} mechanism has no noise to move: shift another variable")


@dataclass(frozen=True, eq=False)
class Additive(Mechanism):
    """x_j := (f(x_pa) + u_j - centre) / spread.

    Attributes:
        function: f, from the parents' values [n, p] to [n]; float64.
        centre: Subtracted constant, in the units of f.
        spread: Divisor, in the units of f; positive.
        gain: What multiplies the parents' deviations from `around` before f sees them, a number a parent; shifts
            turn it. None: f sees the parents as they are.
        around: The parents' values that a gain leaves where they are, a number a parent.

    Example:
        >>> mechanism = linear({"x": 2.0}, scale=0.5)
        >>> x, u = torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0.1, -0.1]).double()
        >>> mechanism.push(x, u)
        tensor([2.1000, 5.9000], dtype=torch.float64)
        >>> mechanism.abduct(x, mechanism.push(x, u)).allclose(u)
        True
    """

    function: Function
    centre: float = 0.0
    spread: float = 1.0
    gain: tuple[float, ...] | None = None
    around: tuple[float, ...] | None = None

    def signal(self, parents: Tensor) -> Tensor:
        """f(around + gain * (x_pa - around)) [n] for the parents' values [n, p]."""
        if self.gain is not None:
            around = torch.as_tensor(self.around, dtype=parents.dtype)
            parents = around + (parents - around) * torch.as_tensor(self.gain, dtype=parents.dtype)
        return self.function(parents)

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        return (self.signal(parents) + u - self.centre) / self.spread

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        return self.spread * x + self.centre - self.signal(parents)

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        # change of variables: dx/du = 1 / spread
        return self.noise.log_prob(self.abduct(parents, x)) + torch.as_tensor(self.spread, dtype=x.dtype).log()

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Additive:
        # a second gain works on what the first one lets through, so the factors multiply and the first centre stays
        gain, old = self.gain or (1.0,) * len(self.parents), self.around or (None,) * len(self.parents)
        return replace(
            self,
            gain=tuple(g * factors.get(p, 1.0) for p, g in zip(self.parents, gain, strict=True)),
            around=tuple(float(around.get(p, 0.0)) if c is None else c for p, c in zip(self.parents, old, strict=True)),
        )

    def moved(self, by: float) -> Additive:
        return replace(self, noise=replace(self.noise, location=self.noise.location + by * self.noise.scale))


@dataclass(frozen=True, eq=False)
class Constant(Mechanism):
    """x_j := value, what do(x_j = value) leaves of a mechanism; the value is a number [] or one a row [n]."""

    value: Tensor

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        if self.value.ndim and len(self.value) != len(u):
            raise ValueError(
                f"do() was given {len(self.value)} values for {len(u)} rows: give one number, or one a row"
            )
        return self.value.to(u.dtype).expand(len(u)).clone()

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(x)  # no noise is used; whatever was seen, the mechanism says the value

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        return torch.where(x == self.value.to(x.dtype), 0.0, -torch.inf)


@dataclass(frozen=True, eq=False)
class Linear:
    """f(x_pa) = x_pa w + intercept, [n, p] -> [n]; w [p]."""

    weights: tuple[float, ...]
    intercept: float = 0.0

    def __call__(self, parents: Tensor) -> Tensor:
        return parents @ torch.as_tensor(self.weights, dtype=parents.dtype) + self.intercept


@dataclass(frozen=True, eq=False)
class Perceptron:
    """f(x_pa) = tanh(x_pa W1 + b1) w2 + b2, [n, p] -> [n]; W1 [p, h], b1 [h], w2 [h], b2 a number."""

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: float = 0.0

    def __call__(self, parents: Tensor) -> Tensor:
        return torch.tanh(parents @ self.first + self.first_bias) @ self.second + self.second_bias


def linear(
    weights: Mapping[str, float] = MappingProxyType({}),
    *,
    intercept: float = 0.0,
    noise: str = "gaussian",
    scale: float = 1.0,
) -> Additive:
    """A linear mechanism x_j := intercept + sum_i w_i x_i + u_j.

    Args:
        weights: Parent -> weight w_i (units of x_j per unit of x_i). Empty: a root.
        intercept: In the units of x_j.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.

    Raises:
        ValueError: An unknown noise, a scale that is not positive, a weight that is not a finite number.

    Example:
        >>> linear({"x": 1.0}).parents
        ('x',)
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights are a mapping from parent to number, got {weights!r}: write linear({{'x': 1.0}})")
    values = torch.tensor([float(w) for w in weights.values()] + [float(intercept)])
    if not torch.isfinite(values).all():
        raise ValueError(f"weights {dict(weights)} and intercept {intercept} must be finite numbers")
    function = Linear(tuple(float(w) for w in weights.values()), float(intercept))
    return Additive(tuple(weights), Noise(noise, float(scale)), function)


def mlp(
    parents: Sequence[str] = (), *, hidden: int = 8, noise: str = "gaussian", scale: float = 1.0, seed: Seed
) -> Additive:
    """A mechanism x_j := f(x_pa) + u_j with a random network f of one hidden layer, tanh.

    f(x) = tanh(x W1 + b1) w2, with W1 and w2 drawn uniformly from +-[0.5, 2] (w2 divided by sqrt(hidden)) and b1
    from a standard normal, so that f bends within the range of unit-scale parents.

    Args:
        parents: The causes' names; none makes a root, which is noise alone.
        hidden: Width of the hidden layer.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.
        seed: Of the network's weights.

    Raises:
        ValueError: An unknown noise, a scale or width that is not positive.

    Example:
        >>> mlp(["x"], seed=0).function(torch.zeros(2, 1).double()).shape
        torch.Size([2])
    """
    if hidden < 1:
        raise ValueError(f"hidden width {hidden}: give at least 1")
    parents = (parents,) if isinstance(parents, str) else tuple(parents)
    if not parents:
        return linear(noise=noise, scale=scale)
    draw = generator(seed, "mlp")
    first = uniform_weights((len(parents), hidden), draw)
    second = uniform_weights((hidden,), draw) / hidden**0.5
    bias = torch.randn(hidden, generator=draw, dtype=torch.float64)
    return Additive(parents, Noise(noise, float(scale)), Perceptron(first, bias, second))


def additive(parents: Sequence[str], function: Function, *, noise: str = "gaussian", scale: float = 1.0) -> Additive:
    """A mechanism x_j := f(x_pa) + u_j with the user's own f, from the parents' values [n, p] to [n].

    Example:
        >>> square = additive(["x"], lambda x: x[:, 0] ** 2)
        >>> square.push(torch.tensor([[3.0]]).double(), torch.zeros(1).double()).tolist()
        [9.0]
    """
    return Additive((parents,) if isinstance(parents, str) else tuple(parents), Noise(noise, float(scale)), function)


def uniform_weights(shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Weights uniform in +-[0.5, 2], float64: bounded away from 0, so that no edge is there in name only."""
    size = 0.5 + 1.5 * torch.rand(shape, generator=draw, dtype=torch.float64)
    return size * (2.0 * torch.randint(2, shape, generator=draw) - 1.0)


def _random_linear(parents: Sequence[str], *, noise: str = "gaussian", scale: float = 1.0, seed: Seed) -> Additive:
    weights = uniform_weights((len(parents),), generator(seed, "linear")).tolist()
    return linear(dict(zip(parents, weights, strict=True)), noise=noise, scale=scale)


MECHANISMS: dict[str, Callable[..., Additive]] = {"linear": _random_linear, "mlp": mlp}
"""Families for `random_scm`: name -> function(parents, noise=, scale=, seed=) -> mechanism."""
