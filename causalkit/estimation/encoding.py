"""What a network sees of a variable's parents: real ones standardised, discrete ones with a column a level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

__all__ = ["Encoding", "in_order", "side_by_side"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """The parents' values [n, p] as columns [n, q]: (x - centre) / scale for a real one, one-hot for a discrete one.

    A code that a shift's gain has moved between two levels k and k + 1 is read as a mixture of the two; codes beyond
    the first and last level count as that level.

    Attributes:
        centre: Mean of each parent [p]; 0 for a discrete one.
        scale: Standard deviation of each parent [p]; 1 for a discrete one, or a constant.
        levels: Number of levels of each parent, None for a real one.

    Example:
        >>> frame = pd.DataFrame({"x": [0.0, 2.0, 4.0], "k": [0, 1, 2]})
        >>> encoding = Encoding.fit(frame, ["x", "k"])
        >>> encoding(torch.tensor([[2.0, 1.0]]).double())
        tensor([[0., 0., 1., 0.]], dtype=torch.float64)
    """

    centre: Tensor
    scale: Tensor
    levels: tuple[int | None, ...]

    @classmethod
    def fit(cls, frame: pd.DataFrame, parents: Sequence[str]) -> Encoding:
        """The encoding of these columns; integer columns are discrete, with levels 0 ... their largest code."""
        discrete = [not pd.api.types.is_float_dtype(frame[p]) for p in parents]
        values = [frame[p].to_numpy(np.float64) for p in parents]
        levels = tuple(int(v.max()) + 1 if d else None for v, d in zip(values, discrete, strict=True))
        centre = [0.0 if d else float(v.mean()) for v, d in zip(values, discrete, strict=True)]
        scale = [1.0 if d else float(v.std()) or 1.0 for v, d in zip(values, discrete, strict=True)]
        return cls(torch.tensor(centre, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64), levels)

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of columns that each parent takes."""
        return tuple(1 if k is None else k for k in self.levels)

    def __call__(self, parents: Tensor) -> Tensor:
        """The columns [n, q] of the parents' values [n, p]."""
        columns = (parents - self.centre) / self.scale
        if not any(self.levels):
            return columns
        parts = [columns[:, i : i + 1] if k is None else _hot(columns[:, i], k) for i, k in enumerate(self.levels)]
        return torch.cat(parts, 1)


def _hot(codes: Tensor, levels: int) -> Tensor:
    """A column a level [n, K]: 1 at the code, falling to 0 at its neighbours."""
    places = torch.arange(levels, dtype=codes.dtype)
    return (1 - (codes.clamp(0, levels - 1).unsqueeze(1) - places).abs()).clamp_min(0)


def in_order(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """These names in the order of the frame's columns.

    Example:
        >>> in_order(pd.DataFrame({"a": [0.0], "b": [0.0], "c": [0.0]}), ["c", "a"])
        ['a', 'c']
    """
    wanted = set(names)
    return [v for v in frame.columns if v in wanted]


def side_by_side(frame: pd.DataFrame, parents: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
    """All these parents' columns [n, q], and which of them each variable sees [k, q]; float32, for training.

    Columns come in the order of the frame, so each variable's parents have to be in that order too: see `in_order`.

    Example:
        >>> frame = pd.DataFrame({"x": [0.0, 2.0], "k": [0, 1]})
        >>> side_by_side(frame, [["x"], ["x", "k"]])[1]
        tensor([[1., 0., 0.],
                [1., 1., 1.]])
    """
    every = in_order(frame, set().union(*parents))
    encoding = Encoding.fit(frame, every)
    owners = [v for v, width in zip(every, encoding.widths, strict=True) for _ in range(width)]
    mask = torch.tensor([[float(v in heard) for v in owners] for heard in parents]).reshape(len(parents), len(owners))
    return encoding(torch.from_numpy(frame[every].to_numpy(np.float64, copy=True))).float(), mask
