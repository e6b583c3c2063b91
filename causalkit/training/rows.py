"""The rows of all replicates as tensors: what the objective prepares beside them, what is held out, statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from causalkit.environments import Environment, Task
from causalkit.model import TrainingData
from causalkit.objectives import Objective
from causalkit.seeds import Seed, generator, integer
from causalkit.training.condense import condense
from causalkit.training.stacked import Rows

__all__ = ["gather"]


def gather(
    trains: list[Sequence[Environment]], data: list[TrainingData], loads: Sequence[Sequence[np.ndarray] | None],
    task: Task, goal: Objective, seeds: list[Seed], hold_out: float, masks: torch.Tensor | None,
) -> tuple[Rows, Rows | None]:  # fmt: skip
    """The rows to train on and those held out; what the objective prepares stands beside them.

    Given the encoders' masks [replicates, features], the rows to train on are condensed.
    """
    sizes = [len(environment.frame) for environment in trains[0]]
    kept = [max(1, n - round(hold_out * n)) for n in sizes]
    own = any(penalty.prepare for penalty in goal.penalties) or any(load is not None for load in loads)
    shared = all(train is trains[0] for train in trains) and not hold_out and not own
    if masks is not None:
        shared = shared and bool(((masks == 0) == (masks[0] == 0)).all())
    used = range(1 if shared else len(trains))
    found, out = [], []
    known: dict[tuple[object, ...], dict[str, torch.Tensor]] = {}  # replicates on one data set share its statistics
    for r in used:
        hidden = () if masks is None else tuple((masks[r] == 0).tolist())
        key = (id(trains[r]), hidden) if masks is not None and not own and not hold_out else (r,)
        if key in known:
            found.append(known[key])
            continue
        tensors = _tensors(trains[r], data[r], loads[r], task, goal, seeds[r])
        if hold_out:
            draw = generator(seeds[r], "hold_out")
            orders = [torch.randperm(n, generator=draw) + sum(sizes[:e]) for e, n in enumerate(sizes)]
            first = torch.cat([order[:k] for order, k in zip(orders, kept, strict=True)])
            rest = torch.cat([order[k:] for order, k in zip(orders, kept, strict=True)])
            out.append(_taken(tensors, rest, [n - k for n, k in zip(sizes, kept, strict=True)]))
            tensors = _taken(tensors, first, kept)
        known[key] = tensors if masks is None else _condensed(tensors, kept, masks[r])
        found.append(known[key])
    after = [len(task.features) + 2] * len(kept) if masks is not None else kept

    def stack(each: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        return {key: each[0][key] if shared else torch.stack([one[key] for one in each]) for key in each[0]}

    held = Rows(stack(out), [n - k for n, k in zip(sizes, kept, strict=True)]) if hold_out else None
    return Rows(stack(found), after, shared), held


def _taken(tensors: dict[str, torch.Tensor], rows: torch.Tensor, sizes: list[int]) -> dict[str, torch.Tensor]:
    """Some of the rows, their weights with mean 1 in each environment again."""
    taken = {key: value[rows] for key, value in tensors.items()}
    if "weights" in taken:
        # 1e-30: an environment whose rows here all weigh nothing has no risk, and no NaN
        taken["weights"] = torch.cat([w / w.mean().clamp_min(1e-30) for w in taken["weights"].split(sizes)])
    return taken


def _tensors(
    train: Sequence[Environment], data: TrainingData, load: Sequence[np.ndarray] | None, task: Task, goal: Objective,
    seed: Seed,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """One replicate's rows by name, as `Rows` has them."""
    tensors = {"inputs": data.inputs, "targets": data.targets}
    if load is not None:
        tensors["weights"] = torch.cat([torch.as_tensor(w / np.mean(w)) for w in load]).to(data.inputs)
    for penalty in goal.penalties:
        if penalty.prepare is None:
            continue
        for name, frames in penalty.prepare(train, task, integer(seed, "prepare")).items():
            if any(key.startswith(f"{name}/") for key in tensors):
                raise ValueError(
                    f"objective {goal.name} prepares {name!r} twice: add each objective that is made of an SCM once"
                )
            both = pd.concat(frames, ignore_index=True)
            if isinstance(both, pd.Series):
                tensors[f"{name}/numbers"] = torch.tensor(both.to_numpy(np.float64)).to(data.inputs)
            else:
                tensors[f"{name}/inputs"], tensors[f"{name}/targets"] = data.tensors(both, task)
    return tensors


def _condensed(tensors: dict[str, torch.Tensor], sizes: list[int], mask: torch.Tensor) -> dict[str, torch.Tensor]:
    seen = torch.where(mask == 0, 0.0, tensors["inputs"])  # what is hidden leaves no trace, not even in rounding
    whole = torch.cat([seen, tensors["targets"][:, None]], 1).double()
    loads = tensors["weights"].double().split(sizes) if "weights" in tensors else [None] * len(sizes)
    few = torch.cat([condense(part, load) for part, load in zip(whole.split(sizes), loads, strict=True)])
    few = few.to(tensors["inputs"])
    return {"inputs": few[:, :-1], "targets": few[:, -1]}
