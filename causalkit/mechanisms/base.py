"""What a mechanism is: the verbs push, abduct and log_prob, and the form that all families here share.

The form is an `Equation`, x_j = (g(x_pa, u_j) - centre) / spread with g strictly monotone in u_j, so it can be turned
round: given x_j and its parents, one noise value made it (abduction). `centre` and `spread` are 0 and 1 unless
`random_scm(..., standardise="internal")` set them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor

from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed

__all__ = ["Additive", "Constant", "Equation", "Function", "Mechanism", "NotInvertible", "additive", "names"]

Function = Callable[[Tensor], Tensor]


class NotInvertible(ValueError):
    """A counterfactual was asked of a mechanism whose noise cannot be recovered from its value."""


@dataclass(frozen=True, eq=False)
class Mechanism:
    """x_j := f(x_pa, u_j): the parents' names, the noise, and the three verbs push, abduct and log_prob.

    A subclass that cannot be turned round leaves `abduct` out; one that no shift can turn leaves out `with_gain`,
    `moved` and `scaled`.
    """

    parents: tuple[str, ...]
    noise: Noise

    @property
    def levels(self) -> int | None:
        """K where x_j is discrete with codes 0 ... K - 1, None where it is a real number."""
        return None

    @property
    def level_names(self) -> tuple[str, ...] | None:
        """What the codes 0 ... K - 1 stand for; None where they are numbers and nothing else."""
        return None

    @property
    def parent_levels(self) -> Mapping[str, int]:
        """The parents that have to be discrete, and their numbers of levels."""
        return MappingProxyType({})

    def noise_names(self, name: str) -> tuple[str, ...]:
        """The columns that u_j has in a frame of noise, where x_j is called `name`: one, unless u_j is a vector."""
        return (name,)

    def sample_noise(self, n: int, *, seed: Seed) -> Tensor:
        """n independent draws of u_j: [n], or [n, K] where it is a vector."""
        return self.noise.sample(n, seed=seed)

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        """The value x_j [n] from the parents' values [n, p] and the noise u_j [n]."""
        raise NotImplementedError

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        """The noise u_j [n] that made the values x_j [n] from the parents' values [n, p]."""
        raise NotInvertible(f"{type(self).__name__} has no inverse: give a mechanism that has `abduct`")

    def sample_posterior(self, parents: Tensor, x: Tensor, *, seed: Seed) -> Tensor:
        """A draw of u_j given x_j [n] and its parents [n, p]; where they determine it (`abduct`), nothing is drawn."""
        return self.abduct(parents, x)

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        """log p(x_j | x_pa) [n], nats."""
        raise NotImplementedError

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Mechanism:
        """The mechanism that hears the named parents' deviations from `around` (0 if unnamed) times these factors."""
        raise ValueError(f"a {type(self).__name__} mechanism does not listen to its parents: shift another variable")

    def moved(self, by: float) -> Mechanism:
        """The mechanism whose noise has its mean moved by `by` standard deviations of the noise."""
        raise ValueError(f"a {type(self).__name__} mechanism has no noise to move: shift another variable")

    def scaled(self, factor: float) -> Mechanism:
        """The mechanism whose noise has its standard deviation multiplied by this factor, about the same mean."""
        raise ValueError(f"a {type(self).__name__} mechanism has no noise to scale: shift another variable")


@dataclass(frozen=True, eq=False)
class Equation(Mechanism):
    """x_j := (g(x_pa, u_j) - centre) / spread; a subclass says what g is, by `make`, `unmake` and `log_slope`.

    Attributes:
        function: What g hears of its parents, from their values [n, p] to [n]; float64.
        centre: Subtracted constant, in the units of g.
        spread: Divisor, in the units of g; positive.
        gain: What multiplies the parents' deviations from `around` before g sees them, a number a parent; shifts
            turn it. None: g sees the parents as they are.
        around: The parents' values that a gain leaves where they are, a number a parent.
    """

    function: Callable[..., Tensor]
    centre: float = 0.0
    spread: float = 1.0
    gain: tuple[float, ...] | None = None
    around: tuple[float, ...] | None = None

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        """g [n] of the parents as heard [n, p] and the noise u [n]."""
        raise NotImplementedError

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        """The noise u [n] for which g(parents, u) is this value [n]."""
        raise NotImplementedError

    def log_slope(self, parents: Tensor, value: Tensor) -> Tensor | float:
        """log |du / dg| [n] at this value [n] of g, what a density gains by the change of variables from u to g."""
        raise NotImplementedError

    def heard(self, parents: Tensor) -> Tensor:
        """What g sees of the parents' values: around + gain * (x_pa - around), [n, p] -> [n, p]."""
        if self.gain is None:
            return parents
        around = torch.as_tensor(self.around, dtype=parents.dtype)
        return around + (parents - around) * torch.as_tensor(self.gain, dtype=parents.dtype)

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        value = self.make(self.heard(parents), u)
        # most mechanisms are not standardised, and rows are many
        return value if self.centre == 0.0 and self.spread == 1.0 else (value - self.centre) / self.spread

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        return self.unmake(self.heard(parents), self.spread * x + self.centre)

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        # change of variables: u -> g, then g -> x with dx/dg = 1 / spread
        slope = self.log_slope(self.heard(parents), self.spread * x + self.centre)
        density = self.noise.log_prob(self.abduct(parents, x)) + slope
        return density + torch.as_tensor(self.spread, dtype=x.dtype).log()

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Self:
        # a second gain works on what the first one lets through, so the factors multiply and the first centre stays
        gain, old = self.gain or (1.0,) * len(self.parents), self.around or (None,) * len(self.parents)
        return replace(
            self,
            gain=tuple(g * factors.get(p, 1.0) for p, g in zip(self.parents, gain, strict=True)),
            around=tuple(float(around.get(p, 0.0)) if c is None else c for p, c in zip(self.parents, old, strict=True)),
        )

    def moved(self, by: float) -> Self:
        return replace(self, noise=replace(self.noise, location=self.noise.location + by * self.noise.scale))

    def scaled(self, factor: float) -> Self:
        return replace(self, noise=replace(self.noise, scale=self.noise.scale * factor))

    def affine(self, parents: Tensor) -> tuple[Tensor, Tensor] | None:
        """l [n] and s [n] where x_j is an increasing function, always the same, of l(x_pa) + s(x_pa) u_j; else None.

        Two mechanisms of one such function diverge as l + s u do.
        """
        return None


@dataclass(frozen=True, eq=False)
class Additive(Equation):
    """x_j := (f(x_pa) + u_j - centre) / spread; the attributes are those of `Equation`, f its `function`.

    Example:
        >>> from causalkit.mechanisms import linear
        >>> mechanism = linear({"x": 2.0}, scale=0.5)
        >>> x, u = torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0.1, -0.1]).double()
        >>> mechanism.push(x, u)
        tensor([2.1000, 5.9000], dtype=torch.float64)
        >>> mechanism.abduct(x, mechanism.push(x, u)).allclose(u)
        True
    """

    def signal(self, parents: Tensor) -> Tensor:
        """f(around + gain * (x_pa - around)) [n] for the parents' values [n, p]."""
        return self.function(self.heard(parents))

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        return self.function(parents) + u

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        return value - self.function(parents)

    def log_slope(self, parents: Tensor, value: Tensor) -> float:
        return 0.0

    def affine(self, parents: Tensor) -> tuple[Tensor, Tensor]:
        signal = self.signal(parents)
        return signal, torch.ones_like(signal)


@dataclass(frozen=True, eq=False)
class Constant(Mechanism):
    """x_j := value, what do(x_j = value) leaves of a mechanism; the value is a number [] or one a row [n].

    Attributes:
        value: The number, or one a row.
        replaced: The mechanism that was cut away. x_j keeps its levels, and its place in frames of noise, so that noise
            abducted before the intervention can be pushed through after it.
    """

    value: Tensor
    replaced: Mechanism | None = None

    @property
    def levels(self) -> int | None:
        return None if self.replaced is None else self.replaced.levels

    @property
    def level_names(self) -> tuple[str, ...] | None:
        return None if self.replaced is None else self.replaced.level_names

    def noise_names(self, name: str) -> tuple[str, ...]:
        return (name,) if self.replaced is None else self.replaced.noise_names(name)

    def sample_noise(self, n: int, *, seed: Seed) -> Tensor:
        return super().sample_noise(n, seed=seed) if self.replaced is None else self.replaced.sample_noise(n, seed=seed)

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        if self.value.ndim and len(self.value) != len(u):
            raise ValueError(
                f"do() was given {len(self.value)} values for {len(u)} rows: give one number, or one a row"
            )
        return self.value.to(u.dtype).expand(len(u)).clone()

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        # no noise is used; whatever was seen, the mechanism says the value
        width = len(self.noise_names(""))
        return torch.zeros_like(x) if width == 1 else x.new_zeros(len(x), width)

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        return torch.where(x == self.value.to(x.dtype), 0.0, -torch.inf)


def additive(parents: Sequence[str], function: Function, *, noise: str = "gaussian", scale: float = 1.0) -> Additive:
    """A mechanism x_j := f(x_pa) + u_j with the user's own f, from the parents' values [n, p] to [n].

    Example:
        >>> square = additive(["x"], lambda x: x[:, 0] ** 2)
        >>> square.push(torch.tensor([[3.0]]).double(), torch.zeros(1).double()).tolist()
        [9.0]
    """
    return Additive(names(parents), Noise(noise, float(scale)), function)


def names(parents: Sequence[str]) -> tuple[str, ...]:
    """The parents' names as a tuple; a lone string is one name."""
    return (parents,) if isinstance(parents, str) else tuple(parents)
