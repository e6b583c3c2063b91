"""Objectives that weigh the environments' risks and add nothing to them: erm, group_dro."""

from __future__ import annotations

import torch

from causalkit.objectives.base import Objective, State, check_number

__all__ = ["erm", "group_dro"]


def erm() -> Objective:
    """Empirical risk minimisation: mean_e R_e.

    With environments of one size, the mean over all rows. Source: Vapnik (1992).

    Example:
        >>> from causalkit.objectives import Batch
        >>> erm()(Batch(losses=(torch.zeros(1), torch.ones(1))))
        tensor(0.5000)
    """
    return Objective("erm")


def group_dro(eta: float = 0.1) -> Objective:
    """Distributionally robust optimisation over environments: min_f max_q sum_e q_e R_e, q on the simplex.

    Before every step q_e is multiplied by exp(eta R_e) and q normalised, so that it moves to the worst environment.
    It guards against any mixture of the training environments, and against nothing beyond them.

    Source: Sagawa, Koh, Hashimoto and Liang (2020), algorithm 1, whose code has eta 0.01 for thousands of
    minibatches; the steps here are hundreds.

    Args:
        eta: Step size of q, at least 0; 0 is erm.

    Raises:
        ValueError: An eta that is negative or not finite; in `fit`, fewer than 2 environments.

    Example:
        >>> from causalkit.objectives import Batch
        >>> batch = Batch(losses=(torch.zeros(1), torch.ones(1)))
        >>> objective = group_dro(eta=1.0)
        >>> objective.update(batch, objective.start(2))["weights"]
        tensor([0.2689, 0.7311], dtype=torch.float64)
    """
    check_number("group_dro", "eta", eta)
    return Objective(f"group_dro(eta={eta:g})", reweigh=_to_the_worst, dials={"eta": eta}, min_environments=2)


def _to_the_worst(state: State, risks: torch.Tensor) -> torch.Tensor:
    # 1e-30: no environment is lost for good
    return torch.softmax(state["weights"].clamp_min(1e-30).log() + state["eta"] * risks, 0)
