"""Small networks side by side: one for each variable, over its own parents alone, trained as one program.

The networks share nothing, so each variable's fit is what it would be without the others. Side by side, a layer of all
of them is one batched product: the cost is that of the networks, where one masked network over all variables would
have to grow as their number squared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu

from causalkit.estimation.encoding import Encoding
from causalkit.seeds import generator

__all__ = ["Network", "Stack", "train"]


@dataclass(frozen=True, eq=False)
class Network:
    """A network with SiLU units, beside a linear term, from the parents' values [n, p] to numbers [n, out]; float64.

    Attributes:
        encoding: What it sees of the parents.
        slopes: Of the linear term [q], which adds to the first of the numbers.
        low: The least value of each column [q] in training, less a tenth of its range; below, only the linear term
            goes on: a network's own way on may make a scale of 0 or thousands.
        high: The greatest value, and a tenth of the range.
        weights: Of each layer, [in, out].
        biases: Of each layer, [out].
    """

    encoding: Encoding
    slopes: Tensor
    low: Tensor
    high: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __call__(self, parents: Tensor, further: Tensor | None = None) -> Tensor:
        """The numbers [n, out] for the parents' values [n, p], and a further column [n] if there is one.

        Where it sees nothing at all, one row [1, out] stands for all n.
        """
        columns = self.encoding(parents if parents.shape[1] or further is not None else parents[:1])
        if further is not None:
            columns = torch.cat([columns, further.unsqueeze(1)], 1)
        hidden = columns.clamp(self.low, self.high)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = (silu(hidden) if layer else hidden) @ weight + bias
        hidden[:, 0] += columns @ self.slopes
        return hidden


@dataclass(frozen=True, eq=False)
class Stack:
    """k networks of one shape side by side; network j sees the columns of its mask alone.

    Attributes:
        mask: mask[j, c] is 1 where network j sees column c, [k, q].
        weights: Of each layer, [k, in, out].
        biases: Of each layer, [k, 1, out].
    """

    mask: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def start(
        cls, mask: Tensor, hidden: Sequence[int], outputs: int, names: Sequence[str], *, last: float = 0.0, seed: int
    ) -> Stack:
        """Random first weights, those of a network keyed by (seed, its name); the last layer's times `last`."""
        weights = [torch.zeros(*mask.shape, hidden[0])]
        biases = [torch.stack([torch.randn(1, hidden[0], generator=generator(seed, v, "bias")) for v in names])]
        for first, sees, name in zip(weights[0], mask > 0, names, strict=True):
            # drawn for the columns that the network sees, so that it is the same in any company
            seen = max(1, int(sees.sum()))
            first[sees] = torch.randn(int(sees.sum()), hidden[0], generator=generator(seed, name, 0)) / seen**0.5
        for layer, (n_in, n_out) in enumerate(itertools.pairwise([*hidden, outputs]), 1):
            draws = torch.stack([torch.randn(n_in, n_out, generator=generator(seed, v, layer)) for v in names])
            weights.append(draws * (2 / n_in) ** 0.5 * (last if layer == len(hidden) else 1.0))
            biases.append(torch.zeros(len(names), 1, n_out))
        return cls(mask, tuple(weights), tuple(biases))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All weights and biases, the network first [k, ...]."""
        return (*self.weights, *self.biases)

    def having(self, parameters: Sequence[Tensor]) -> Stack:
        """The stack with these weights and biases."""
        half = len(self.weights)
        return Stack(self.mask, tuple(parameters[:half]), tuple(parameters[half:]))

    def __call__(self, x: Tensor) -> Tensor:
        """The networks' outputs [k, n, out] for the encoded columns [n, q], or [k, n, q] where they differ."""
        hidden = torch.matmul(x, self.weights[0] * self.mask.unsqueeze(2)) + self.biases[0]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = torch.baddbmm(bias, silu(hidden), weight)
        return hidden

    def cut(self, j: int, encoding: Encoding, slopes: Tensor, seen: Tensor) -> Network:
        """The j-th network alone, in float64, beside a linear term, for the columns `seen` [n, q] in training."""
        first, *rest = (w[j].detach().double() for w in self.weights)
        biases = tuple(b[j, 0].detach().double().clone() for b in self.biases)
        weights = (first[self.mask[j] > 0].clone(), *(w.clone() for w in rest))
        low, high = seen.amin(0), seen.amax(0)
        margin = 0.1 * (high - low)
        return Network(encoding, slopes, low - margin, high + margin, weights, biases)


def train(
    stacks: Sequence[Stack], loss: Callable[..., Tensor], n: int, *, steps: int, rate: float = 5e-3, seed: int
) -> list[Stack]:
    """The stacks after training, each network as it was when its loss on held-out rows was least.

    AdamW with weight decay 0.1 and a one-cycle schedule; batches of up to 1,024 rows; each network's gradient is cut to
    norm 5; the networks that are looked at are moving averages over the latest 100 steps. A fifth of the rows is held
    out, 2,000 at most. Few rows are learned by heart within some hundred steps: there the choice of the moment is what
    keeps a network from it.

    Args:
        stacks: The networks at their start; a variable may have one in each stack. They are trained in place.
        loss: From the numbers of rows [b] and the stacks to the mean loss [k] of each variable over these rows.
        n: Number of rows.
        steps: Steps of Adam.
        rate: Highest learning rate.
        seed: Of the batches and of which rows are held out.
    """
    draw = generator(seed, "batches")
    held, kept = torch.randperm(n, generator=draw).tensor_split([min(max(1, n // 5), 2000)])
    size, place = min(1024, len(kept)), len(kept)
    parameters = [p.requires_grad_(True) for stack in stacks for p in stack.parameters]
    average = [p.detach().clone() for p in parameters]
    best, least = [p.clone() for p in average], torch.full((len(stacks[0].mask),), torch.inf)
    adam = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.1, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=steps)
    for step in range(1, steps + 1):
        if place + size > len(kept):
            kept, place = kept[torch.randperm(len(kept), generator=draw)], 0
        adam.zero_grad()
        loss(kept[place : place + size], *stacks).sum().backward()
        place += size
        _clip(parameters, 5.0)
        adam.step()
        cycle.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, min(1.0, 1 / step + 0.01))
            if step % max(5, steps // 200) == 0 or step == steps:
                now = loss(held, *_stacks(stacks, average))
                better = now < least
                least = torch.where(better, now, least)
                for kept_one, new in zip(best, average, strict=True):
                    kept_one[better] = new[better]
    return _stacks(stacks, best)


def _stacks(stacks: Sequence[Stack], parameters: Sequence[Tensor]) -> list[Stack]:
    """The stacks with these parameters, the first stack's first."""
    cuts = [len(stack.parameters) for stack in stacks]
    starts = [sum(cuts[:i]) for i in range(len(cuts))]
    return [s.having(parameters[a : a + c]) for s, a, c in zip(stacks, starts, cuts, strict=True)]


def _clip(parameters: Sequence[Tensor], limit: float) -> None:
    """Cuts the gradient of each network to this norm."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([g.square().sum((1, 2)) for g in gradients]).sum(0).sqrt()
    factor = (limit / norms).clamp_max(1.0)[:, None, None]
    for g in gradients:
        g.mul_(factor)
