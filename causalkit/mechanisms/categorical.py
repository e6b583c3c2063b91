"""Discrete mechanisms: x_j is a level 0 ... K - 1, chosen by the Gumbel-max construction.

x_j := argmax_k (log p_k(x_pa) + g_k) with g_1 ... g_K independent standard Gumbel has P(x_j = k | x_pa) = p_k(x_pa), so
any conditional distribution over levels becomes a structural equation. Seeing and doing depend on the p_k alone.
**Counterfactuals do not: they are not identified by the conditional probabilities**, for other equations with the
same p_k give other answers. Gumbel-max is one choice among them. It satisfies counterfactual stability: a level that
was seen can turn into another one only if the intervention raised the other's odds against it.

The noise of a variable is the vector g [n, K]; a level does not determine it, so abduction draws it from its posterior,
exactly, and wants a seed. Sources: Maddison, Tarlow and Minka (2014), A* sampling (the construction and its top-down
posterior); Oberst and Sontag (2019), Counterfactual off-policy evaluation with Gumbel-max SCMs (theorem 2, stability).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from causalkit.mechanisms.base import Mechanism, NotInvertible
from causalkit.mechanisms.noises import Noise
from causalkit.seeds import Seed, stream

__all__ = ["STANDARD_GUMBEL", "Categorical"]

# `Noise` centres its families; with this mean (Euler's constant) and sd the density is exp(-g - exp(-g))
STANDARD_GUMBEL = Noise("gumbel", scale=1.2825498301618641, location=0.5772156649015329)


@dataclass(frozen=True, eq=False)
class Categorical(Mechanism):
    """x_j := argmax_k (log p_k(x_pa) + g_k), k = 0 ... K - 1; a subclass says what p is, by `log_probs` and `levels`.

    Attributes:
        noise: Of each g_k: the standard Gumbel distribution.
        level_names: What the codes stand for, code 0 first; None where they are numbers and nothing else.

    Example:
        >>> from causalkit.mechanisms import logistic
        >>> coin = logistic({"x": 2.0})
        >>> coin.log_probs(torch.zeros(1, 1).double()).exp()
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """

    noise: Noise = field(default=STANDARD_GUMBEL, kw_only=True)
    level_names: tuple[str, ...] | None = field(default=None, kw_only=True)

    @property
    def levels(self) -> int:
        raise NotImplementedError

    def log_probs(self, parents: Tensor) -> Tensor:
        """log p_k(x_pa) [n, K], nats, normalised; -inf for a level of probability 0. The parents' values are [n, p]."""
        raise NotImplementedError

    def noise_names(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}[{k}]" for k in range(self.levels))

    def sample_noise(self, n: int, *, seed: Seed) -> Tensor:
        # minus the log of a standard exponential is standard Gumbel; a column a level lies in one piece
        return -_exponential(n, self.levels, seed).log()

    def push(self, parents: Tensor, u: Tensor) -> Tensor:
        """The level x_j [n], as float64, from the parents' values [n, p] and the noise g [n, K]."""
        return (self.log_probs(parents) + u).argmax(1).to(u.dtype)

    def abduct(self, parents: Tensor, x: Tensor) -> Tensor:
        raise NotInvertible(
            "its value does not determine its noise: give a seed, abduct(frame, seed=0) or "
            "counterfactual(frame, do, seed=0), to draw the noise from its posterior"
        )

    def sample_posterior(self, parents: Tensor, x: Tensor, *, seed: Seed) -> Tensor:
        """A draw of g [n, K] given that x_j [n] came out: exact, top-down (Maddison et al. 2014, section 3).

        The largest of log p_k + g_k is standard Gumbel and independent of which level it is, T = -log e_x; the others
        are Gumbel, cut off at T. With e_k independent standard exponentials that is g_x = -log(p_x e_x) and
        g_k = -log(e_k + p_k e_x): a level of probability 0 keeps its prior.

        Raises:
            ValueError: A level of probability 0 was seen; no noise makes it.
        """
        p, seen = self.log_probs(parents).exp(), x.long().unsqueeze(1)
        impossible = (p.gather(1, seen)[:, 0] == 0).nonzero()
        if len(impossible):
            row = int(impossible[0])
            raise ValueError(
                f"the value {int(x[row])} in row {row} has probability 0 given its parents' values "
                f"{dict(zip(self.parents, parents[row].tolist(), strict=True))}: leave such rows out"
            )
        e = _exponential(len(x), self.levels, seed)
        top = e.gather(1, seen)
        return -(e + p * top).scatter(1, seen, p.gather(1, seen) * top).log()

    def log_prob(self, parents: Tensor, x: Tensor) -> Tensor:
        """log p(x_j | x_pa) [n], nats; -inf where x_j is none of the levels."""
        code = x.long().clamp(0, self.levels - 1)
        return torch.where(code == x, self.log_probs(parents).gather(1, code.unsqueeze(1))[:, 0], -torch.inf)

    def moved(self, by: float) -> Self:
        """The mechanism with `by` * k added to the log-odds of each level k; probability 0 stays 0."""
        raise NotImplementedError

    def scaled(self, factor: float) -> Self:
        raise ValueError(
            "a discrete mechanism has no noise scale (its noise is standard Gumbel): move its odds (`moved`), or "
            "change what it hears of its parents (`with_gain`)"
        )


def _exponential(n: int, levels: int, seed: Seed) -> Tensor:
    """Standard exponentials [n, K], away from 0, so that their logs are finite; a column lies in one piece."""
    return torch.from_numpy(stream(seed).standard_exponential((levels, n))).clamp_min_(1e-300).T
