"""The robust regressions as objectives: anchor, drig. They promise something about shifts of a bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from causalkit.errors import check_frame
from causalkit.objectives.base import Batch, Objective, Penalty, State, check_number

if TYPE_CHECKING:
    from causalkit.environments import Environment, Task

__all__ = ["anchor", "drig"]


def anchor(gamma: float = 5.0, anchors: str | Sequence[str] | None = None) -> Objective:
    """Anchor regression: mean_e E_e[(r - P r)^2] + gamma * mean_e E_e[(P r)^2], with the residual r = y - f.

    P projects on the anchors, centred: what of the residual they explain. With environments as anchors P r is the
    environment's mean residual less the mean of these. gamma = 1 is erm, 0 partials the anchors out, a large gamma
    wants residuals without any trace of them, as instrumental variables do. A linear f is then right for shifts of
    means along the anchors up to sqrt(gamma) times those seen; other shifts are not covered.

    Source: Rothenhaeusler, Meinshausen, Buehlmann and Peters (2021), equation 9, where every row counts the same; here
    every environment does, which is the same where they have as many rows. `ck.exact.anchor` is its closed form for
    linear f; a network in its place is this kit's, without the promise.

    Args:
        gamma: At least 0.
        anchors: Columns of the environments that are causes of the system and no features; None for the environments
            themselves. In minibatches P is estimated from the batch: take whole batches where they fit.

    Raises:
        ValueError: A gamma that is negative or not finite; in `fit`, a classification, fewer than 2 environments
            without anchors, an anchor that is not a column, is constant, or is the target or a feature.

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.zeros(2), torch.zeros(2)), (torch.zeros(2), torch.tensor([1.0, 3.0]))
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> anchor(gamma=1.0)(batch), anchor(gamma=3.0)(batch)  # mean residuals 0 and 2: P r is -1 and 1
        (tensor(2.5000), tensor(4.5000))
    """
    check_number("anchor", "gamma", gamma)
    name = f"anchor(gamma={gamma:g})"
    if anchors is None:
        penalty = Penalty(gamma, _means_alone, kind="regression", moments=True)
        return Objective(name, (penalty,), risk=_without_means, min_environments=2)
    names = (anchors,) if isinstance(anchors, str) else tuple(anchors)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"anchor: anchors={anchors!r} should name columns, each once; None takes the environments")
    penalty = Penalty(gamma, _explained, kind="regression", prepare=Anchors(names))
    return Objective(name, (penalty,), risk=_unexplained, moments=False)


def _residuals(batch: Batch) -> list[torch.Tensor]:
    return [y - f for y, f in zip(batch.targets, batch.predictions, strict=True)]


def _squares(batch: Batch, values: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([batch.mean(each.square(), e) for e, each in enumerate(values)]).mean()


def _by_environment(batch: Batch) -> torch.Tensor:
    """P r of each environment [environments]."""
    means = torch.stack([batch.mean(r, e) for e, r in enumerate(_residuals(batch))])
    return means - means.mean()


def _means_alone(batch: Batch) -> torch.Tensor:
    return _by_environment(batch).square().mean()


def _without_means(batch: Batch, state: State) -> torch.Tensor:
    return _squares(batch, [r - p for r, p in zip(_residuals(batch), _by_environment(batch), strict=True)])


def _projected(batch: Batch) -> list[torch.Tensor]:
    """P r of each row, by anchors a_k with mean_e E_e[a_k a_l] = 1 where k = l, else 0: sum_k a_k mean_e E_e[a_k r]."""
    if "anchor 0" not in batch.companions:
        raise ValueError("the batch has no anchors: train with ck.fit, which makes them of the columns")
    residuals, found = _residuals(batch), [torch.zeros_like(r) for r in batch.targets]
    for k in range(sum(name.startswith("anchor ") for name in batch.companions)):
        values = batch.companions[f"anchor {k}"]
        along = torch.stack([batch.mean(a * r, e) for e, (a, r) in enumerate(zip(values, residuals, strict=True))])
        found = [p + a * along.mean() for p, a in zip(found, values, strict=True)]
    return found


def _explained(batch: Batch) -> torch.Tensor:
    return _squares(batch, _projected(batch))


def _unexplained(batch: Batch, state: State) -> torch.Tensor:
    return _squares(batch, [r - p for r, p in zip(_residuals(batch), _projected(batch), strict=True)])


@dataclass(frozen=True)
class Anchors:
    """Turns columns into anchors "anchor 0", "anchor 1", ... with mean 0, variance 1 and no correlation.

    Means are over environments, each counting the same. A column that the others explain adds none.

    Example:
        >>> from causalkit.environments import Environment, Task
        >>> train = [Environment("e", pd.DataFrame({"a": [1.0, 3.0], "x": [0.0, 1.0], "y": [0.0, 0.0]}))]
        >>> Anchors(("a",))(train, Task(("x",), "y"), 0)["anchor 0"][0].abs().round(6).tolist()
        [1.0, 1.0]
    """

    columns: tuple[str, ...]

    def __call__(self, train: Sequence[Environment], task: Task, seed: int) -> dict[str, list[pd.Series]]:
        """Name -> the anchor of each environment, row by row."""
        for name in self.columns:
            if name in (task.target, *task.features):
                raise ValueError(
                    f"anchor {name!r} is the target or a feature: leave it out of the task, or the anchors"
                )
        parts = []
        for environment in train:
            try:
                parts.append(check_frame(environment.frame, self.columns).to_numpy(np.float64))
            except ValueError as error:
                raise ValueError(f"anchor: environment {environment.name!r}: {error}") from error
        sizes = [len(part) for part in parts]
        share = np.concatenate([np.full(n, 1.0 / n / len(sizes)) for n in sizes])[:, None]
        values = np.concatenate(parts)
        values = values - (share * values).sum(0)
        spread = np.sqrt((share * values**2).sum(0))
        if (spread == 0.0).any():
            constant = self.columns[int((spread == 0.0).argmax())]
            raise ValueError(f"anchor {constant!r} is constant over the training rows: leave it out")
        basis, strengths = np.linalg.svd(values / spread * np.sqrt(share), full_matrices=False)[:2]
        basis = (basis / np.sqrt(share))[:, strengths > 1e-9 * strengths[0]]
        ends = np.cumsum(sizes)[:-1]
        return {f"anchor {k}": [pd.Series(part) for part in np.split(a, ends)] for k, a in enumerate(basis.T)}


def drig(gamma: float = 5.0) -> Objective:
    """Distributionally robust invariant gradient regression: R_0 + gamma * mean_e (E_e[r^2] - E_0[r^2]).

    R_0 is the risk of the first environment, the reference: the one of least variation, without interventions. In the
    second term the residual r = y - f has its mean in the reference subtracted, in all environments; the mean is over
    all of them, the reference included. gamma = 0 is least squares on the reference, 1 over all (up to the intercept).
    A linear f is right for additive interventions on means and variances up to gamma times those seen.

    Above gamma = 1 the objective may have no minimum, where another environment varies less than the reference in some
    direction: `fit` then diverges, or reports that it is under-trained; `ck.exact.drig` says so at once. Above
    gamma = E/(E - 1), for E environments, rows of the reference count negatively, and a network that can single them
    out gains without end by being wrong there: so f has to be linear.

    Source: Shen, Buehlmann and Taeb (2023), equations 6 and 7, with equal weights. `ck.exact.drig` is its closed form.

    Args:
        gamma: At least 0.

    Raises:
        ValueError: A gamma that is negative or not finite; in `fit`, a classification, fewer than 2 environments, or
            another backbone than "linear".

    Example:
        >>> from causalkit.objectives import Batch, squared_error
        >>> f, y = (torch.zeros(2), torch.zeros(2)), (torch.tensor([-1.0, 1.0]), torch.tensor([-3.0, 3.0]))
        >>> batch = Batch(losses=tuple(map(squared_error, f, y)), predictions=f, targets=y)
        >>> drig(gamma=0.0)(batch), drig(gamma=1.0)(batch), drig(gamma=2.0)(batch)  # risks 1 and 9
        (tensor(1.), tensor(5.), tensor(9.))
    """
    check_number("drig", "gamma", gamma)
    penalty = Penalty(gamma, _more_than_the_reference, kind="regression", moments=True)
    return Objective(f"drig(gamma={gamma:g})", (penalty,), risk=_of_the_reference, min_environments=2)


def _of_the_reference(batch: Batch, state: State) -> torch.Tensor:
    return batch.mean(batch.losses[0], 0)


def _more_than_the_reference(batch: Batch) -> torch.Tensor:
    if any(name.startswith("backbone.") for name in batch.parameters):
        raise ValueError("drig has no minimum for a network with hidden layers: use backbone='linear', or anchor()")
    residuals = _residuals(batch)
    centre = batch.mean(residuals[0], 0)
    centred = [r - centre for r in residuals]
    return _squares(batch, centred) - batch.mean(centred[0].square(), 0)
