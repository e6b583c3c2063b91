"""The user's own mechanism: x_j := f(x_pa, u_j), with or without an inverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalkit.mechanisms.base import Equation, NotInvertible, names
from causalkit.mechanisms.noises import Noise

__all__ = ["Custom", "function"]


@dataclass(frozen=True, eq=False)
class Custom(Equation):
    """x_j := (f(x_pa, u_j) - centre) / spread with the user's f as `function`.

    Attributes:
        inverse: From the parents' values [n, p] and the values of f [n] to the noise [n]; None: there is none.

    Example:
        >>> Custom(("x",), Noise(), lambda x, u: x[:, 0] * u).push(torch.ones(1, 1), torch.ones(1))
        tensor([1.])
    """

    inverse: Callable[[Tensor, Tensor], Tensor] | None = None

    def make(self, parents: Tensor, u: Tensor) -> Tensor:
        return _shaped(self.function(parents, u), len(u), "f(parents, u)")

    def unmake(self, parents: Tensor, value: Tensor) -> Tensor:
        u = self._noise(parents, value)
        wrong = (~self._makes(parents, u, value)).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(
                f"inverse(parents, x) does not undo f(parents, u) in {len(wrong)} of {len(u)} rows, first in row "
                f"{row} (x = {float(value[row]):g}): correct the inverse, or hand over values that f can make"
            )
        return u

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        heard, value = self.heard(parents), self.spread * x + self.centre
        with torch.enable_grad():
            moving = value.detach().requires_grad_()
            u = self._noise(heard, moving)
            if not u.requires_grad:
                raise ValueError("log_prob needs the slope of the inverse: write it in torch operations on x")
            # row i of u depends on row i of x alone, so the gradient of the sum is the slope of every row
            (slope,) = torch.autograd.grad(u.sum(), moving)
        made = self._makes(heard, u.detach(), value)
        # what f cannot make has density 0, whatever the inverse says of it (NaN, often)
        density = self.noise.log_prob(torch.where(made, u.detach(), self.noise.location)) + slope.abs().log()
        return torch.where(made, density + torch.as_tensor(self.spread, dtype=x.dtype).log(), -torch.inf)

    def _noise(self, parents: Tensor, value: Tensor) -> Tensor:
        if self.inverse is None:
            raise NotInvertible("it was made without an inverse: give function(f, parents, inverse=...)")
        return _shaped(self.inverse(parents, value), len(value), "inverse(parents, x)")

    def _makes(self, parents: Tensor, u: Tensor, value: Tensor) -> Tensor:
        return torch.isclose(self.make(parents, u), value, rtol=1e-6, atol=1e-8)


def function(
    f: Callable[[Tensor, Tensor], Tensor],
    parents: Sequence[str] = (),
    *,
    inverse: Callable[[Tensor, Tensor], Tensor] | None = None,
    noise: str = "gaussian",
    scale: float = 1.0,
) -> Custom:
    """A mechanism x_j := f(x_pa, u_j) with the user's own f, which need not add its noise.

    Args:
        f: From the parents' values [n, p] and the noise [n] to the values [n], row by row; torch, float64.
        parents: The causes' names, in the order of f's columns; none makes a root.
        inverse: From the parents' values [n, p] and the values x [n] to the one noise [n] that made them. With it,
            `abduct` and `log_prob` work (the latter takes the inverse's slope by automatic differentiation); without
            it, both raise `NotInvertible`.
        noise: Family of u_j, a key of `NOISES`.
        scale: Standard deviation of u_j.

    Raises:
        ValueError: An unknown noise, a scale that is not positive, an f or inverse that is no function. Later, when
            a function returns another shape than [n], or the inverse does not undo f.

    Example:
        >>> import causalkit as ck
        >>> times = function(lambda x, u: x[:, 0].exp() * u, ["x"], inverse=lambda x, v: v * (-x[:, 0]).exp())
        >>> scm = ck.SCM({"x": ck.linear(), "y": times})
        >>> scm.counterfactual(scm.sample(3, seed=0), {"x": 0.0}).shape
        (3, 2)
    """
    for name, value in {"f": f, "inverse": inverse}.items():
        if not callable(value) and not (name == "inverse" and value is None):
            raise ValueError(f"{name} = {value!r} is no function: give function(lambda x, u: x[:, 0] + u, ['x'])")
    return Custom(names(parents), Noise(noise, float(scale)), f, inverse=inverse)


def _shaped(values: Tensor, n: int, what: str) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != (n,):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"{what} returned {got}, expected a tensor ({n},): one value a row; a column is x[:, 0]")
    return values
