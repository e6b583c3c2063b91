"""Conditional probability tables: P(x_j = k | x_pa) is the entry [x_pa, k] of an array, all parents discrete."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from causalkit.mechanisms.categorical import Categorical

__all__ = ["FLOOR", "Table", "table"]

FLOOR = 1e-6
"""What a probability of 0 counts as in the mean logits that a gain works around."""


@dataclass(frozen=True, eq=False)
class Table(Categorical):
    """P(x_j = k | x_pa) = exp(log_table[x_pa, k]): a table with an axis a parent, in their order, then the level's.

    Attributes:
        log_table: log P [..., K], normalised over the last axis; -inf where the probability is 0.

    Example:
        >>> Table((), torch.tensor([0.25, 0.75]).double().log()).log_probs(torch.zeros(1, 0)).exp()
        tensor([[0.2500, 0.7500]], dtype=torch.float64)
    """

    log_table: Tensor

    @property
    def levels(self) -> int:
        return self.log_table.shape[-1]

    @property
    def parent_levels(self) -> Mapping[str, int]:
        return MappingProxyType(dict(zip(self.parents, self.log_table.shape[:-1], strict=True)))

    def log_probs(self, parents: Tensor) -> Tensor:
        row = torch.zeros(len(parents), dtype=torch.long)
        for i, (name, count) in enumerate(self.parent_levels.items()):
            code = parents[:, i].long()
            wrong = ((code != parents[:, i]) | (code < 0) | (code >= count)).nonzero()
            if len(wrong):
                value = float(parents[int(wrong[0]), i])
                raise ValueError(f"parent {name!r} = {value:g} is none of its levels 0, ..., {count - 1}")
            row = row * count + code
        return self.log_table.reshape(-1, self.levels)[row]

    def with_gain(self, factors: Mapping[str, float], around: Mapping[str, float] = MappingProxyType({})) -> Table:
        """The table whose logits' deviations from their mean along each named parent's axis are multiplied.

        L' = M + g (L - M) with L = log P and M its mean over the parent's levels (a 0 counts as `FLOOR` in M), rows
        normalised again. Entries that are 0 stay 0. Gain 1 is the identity; gain 0 makes x_j deaf to the parent, but
        for the pattern of zeros. `around` is not used: a table has no slope in a parent's code.
        """
        turned = {i: factors[p] for i, p in enumerate(self.parents) if factors.get(p, 1.0) != 1.0}
        if not turned:
            return self
        zero = self.log_table.isneginf()
        logits = self.log_table.masked_fill(zero, math.log(FLOOR))
        for axis, gain in turned.items():
            mean = logits.mean(axis, keepdim=True)
            logits = mean + gain * (logits - mean)
        return replace(self, log_table=torch.log_softmax(logits.masked_fill(zero, -torch.inf), -1))

    def moved(self, by: float) -> Table:
        tilt = by * torch.arange(self.levels, dtype=torch.float64)
        return replace(self, log_table=torch.log_softmax(self.log_table + tilt, -1))


def table(
    parents: Mapping[str, int], probabilities: np.ndarray | Sequence, *, level_names: Sequence[str] | None = None
) -> Table:
    """A discrete mechanism from its conditional probability table, made by Gumbel-max.

    Its counterfactuals are those of Gumbel-max, one choice among many: a table alone does not identify them.

    Args:
        parents: Parent -> its number of levels, in the order of the array's axes; empty for a root.
        probabilities: P(x_j = k | x_pa) as an array (or nested lists) [levels of the parents ..., K]. Rows, over the
            last axis, sum to 1 within 1e-6 and are divided by their sum.
        level_names: What the codes 0 ... K - 1 stand for.

    Raises:
        ValueError: A shape that does not fit, fewer than 2 levels, an entry that is negative or not finite, a row that
            does not sum to 1 (with the parents' values it belongs to), more or fewer names than levels.

    Example:
        >>> import causalkit as ck
        >>> rain = ck.mechanisms.table({}, [0.8, 0.2])
        >>> wet = ck.mechanisms.table({"rain": 2}, [[0.9, 0.1], [0.05, 0.95]])
        >>> ck.SCM({"rain": rain, "wet": wet}).sample(10_000, seed=0)["wet"].mean().round(1)
        np.float64(0.3)
    """
    if not isinstance(parents, Mapping):
        raise ValueError(
            f"parents are a mapping from parent to number of levels, got {parents!r}: table({{'x': 2}}, ...)"
        )
    p = np.array(probabilities, dtype=np.float64)
    shape = tuple(parents.values())
    if p.ndim != len(shape) + 1 or p.shape[:-1] != shape or p.shape[-1] < 2:
        wanted = ", ".join([*(f"{count} ({name})" for name, count in parents.items()), "levels of the variable (>= 2)"])
        raise ValueError(f"probabilities have shape {p.shape}, expected [{wanted}]: an axis a parent, in their order")
    total = p.sum(-1)
    wrong = ~np.isfinite(p).all(-1) | (p < 0).any(-1) | ~(np.abs(total - 1) <= 1e-6)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f" for {', '.join(f'{v} = {k}' for v, k in zip(parents, place, strict=True))}" if place else ""
        raise ValueError(
            f"the probabilities{where} are {p[place].tolist()}, sum {total[place]:.6g}: give numbers >= 0 that sum to 1"
        )
    if level_names is not None and len(level_names) != p.shape[-1]:
        raise ValueError(f"level_names {list(level_names)} for {p.shape[-1]} levels: give one a level")
    known = None if level_names is None else tuple(map(str, level_names))
    with np.errstate(divide="ignore"):
        return Table(tuple(parents), torch.from_numpy(np.log(p / total[..., None])), level_names=known)
