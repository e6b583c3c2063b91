"""The convergence report: is this the objective's minimum, or where the steps ran out?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from causalkit.objectives import Objective
from causalkit.training.loop import Outcome
from causalkit.training.stacked import Rows, Stacked

__all__ = ["left_to_gain", "report"]

MOST_PARAMETERS = 200  # beyond that a Hessian costs more than training


def left_to_gain(stacked: Stacked, objectives: list[Objective], rows: Rows, decay: torch.Tensor) -> np.ndarray:
    """By how much one Newton step would still lower the objective, g' |H|^-1 g / 2 [replicates].

    Unlike the norm of the gradient g, it does not depend on the units of the parameters: a flat direction counts for
    what there is at its end. |H| has the eigenvalues of the Hessian without their signs. Weight decay counts with the
    objective. NaN where there are more than 200 parameters, or where the objective makes its steps by a rule, in
    phases, in a game, or by weights that move.

    Source: the Newton decrement, Boyd and Vandenberghe (2004), section 9.5.1.
    """
    (count, parameters), goal = stacked.flat.shape, objectives[0]
    moving = goal.rule or goal.phases or goal.reweigh or any(penalty.game for penalty in goal.penalties)
    if parameters > MOST_PARAMETERS or moving:
        return np.full(count, np.nan)
    starts = [each.start(len(stacked.names)) for each in objectives]
    state = {key: torch.stack([start[key] for start in starts]).to(stacked.flat.device) for key in starts[0]}
    state["step"] = torch.full_like(state["step"], 1e12)  # past all annealing

    def value(flat: torch.Tensor, buffers: dict, tensors: dict, state: dict) -> torch.Tensor:  # type: ignore[type-arg]
        return goal(stacked.batch(flat, buffers, tensors, rows.sizes), state)

    axes = (0, 0, None if rows.shared else 0, 0)
    chunk = max(1, 20_000_000 // (sum(rows.sizes) * parameters))
    given = (stacked.flat, stacked.buffers, dict(rows.tensors), state)
    gradient = torch.func.vmap(torch.func.grad(value), axes, chunk_size=chunk)(*given).double().cpu()
    hessian = torch.func.vmap(torch.func.hessian(value), axes, chunk_size=chunk)(*given).double().cpu()
    decay = decay.double().cpu()
    gradient = gradient + decay * stacked.flat.double().cpu()
    hessian = hessian + decay[:, :, None] * torch.eye(parameters, dtype=torch.float64)
    found = np.full(count, np.nan)
    fine = (torch.isfinite(hessian).all(2) & torch.isfinite(gradient)).all(1)
    values, vectors = torch.linalg.eigh(hessian[fine])
    size = values.abs()
    along = (vectors.mT @ gradient[fine][:, :, None])[:, :, 0]
    known = size > 1e-10 * size.amax(1, keepdim=True)
    found[fine.numpy()] = torch.where(known, along**2 / size.clamp_min(1e-300), 0.0).sum(1) / 2
    return found


def report(outcome: Outcome, left: float) -> pd.Series:
    """Gradient, what is left to gain, when the objective settled, and the verdict in words.

    Returns:
        All of the last phase, where there are several. gradient: Norm at the end. left: See `left_to_gain`. settled:
        The first recorded step within 0.1 % of the lowest objective. steps: How many were taken. verdict: "converged";
        "under-trained: ..." where a Newton step would lower the objective by more than 0.1 % of what it was at the
        start, or, where there is no Hessian, where the last tenth of the steps did so; "settled: ..." where there is
        none and they did not; "stopped early ..."; "diverged ...".
    """
    history = outcome.history[outcome.history["step"] >= outcome.begin]
    if not len(history):
        return pd.Series({"gradient": np.nan, "left": left, "settled": 0, "steps": 0, "verdict": outcome.diverged})
    objective, steps = history["objective"], int(history["step"].iloc[-1])
    lowest, begin = objective.min(), abs(objective.iloc[0])
    close = objective <= lowest + 1e-3 * abs(lowest)
    found = {
        "gradient": float(history["gradient"].iloc[-1]),
        "left": left,
        "settled": int(history["step"][close.idxmax()]),
        "steps": steps,
    }
    lately = history["step"] >= steps - 0.1 * (steps - outcome.begin)
    fell = float(objective[lately].iloc[0] - objective.iloc[-1])
    if outcome.diverged:
        verdict = outcome.diverged
    elif outcome.stopped is not None:
        verdict = f"stopped early: the held-out risk was lowest at step {outcome.stopped}"
    elif left > 1e-3 * begin:
        verdict = (
            f"under-trained: one Newton step would lower the objective by {left:.3g}, {left / begin:.1%} of its start: "
            "give more steps, a larger learning_rate, or optimiser='lbfgs'"
        )
    elif np.isnan(left) and fell > 1e-3 * begin:
        verdict = (
            f"under-trained: the last tenth of the steps lowered the objective by {fell:.3g}, {fell / begin:.1%} of "
            "its start: give more steps or a larger learning_rate"
        )
    elif np.isnan(left):
        verdict = "settled: the last tenth of the steps changed little, and there is no Hessian to tell a minimum by"
    else:
        verdict = "converged"
    return pd.Series({**found, "verdict": verdict})
