"""PAIR: risk, IRMv1 and V-REx as three objectives of one problem, weighed anew at every step.

No weight of a sum has to be guessed: a linear programme finds the weights that bring the terms into the proportions
asked for (balance), and then those under which all of them fall (descent). Chen et al. (2023) call the optimiser
PAIR-o, here `pair`, and the score for choosing between models PAIR-s, here `pair_score`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch

from causalkit.objectives.base import Batch, Objective, Phase, Rule, State, check_number, check_steps
from causalkit.objectives.invariance import squared_slope, variance_of_risks
from causalkit.objectives.risks import erm

__all__ = ["epo_weights", "pair", "pair_score"]

TERMS = ("erm", "irm", "vrex")


def pair(
    preference: Sequence[float] = (1.0, 1e10, 1e12),
    *,
    descent: int = 150,
    eps: float = 0.1,
    learning_rate: float = 0.1,
) -> Objective:
    """Pareto invariant risk minimisation (PAIR-o): `descent` steps of erm, then steps along the terms' EPO weights.

    The terms are L = (mean_e R_e, mean_e slope_e^2, mean_e (R_e - mean R)^2): the risk and the penalties of `irm` and
    `vrex`. A preference r asks for r_1 L_1 = r_2 L_2 = r_3 L_3: the default wants penalties that are tiny beside the
    risk. Each step goes along sum_i alpha_i grad L_i, with the weights alpha of `epo_weights`, which see the gradients
    by the head's parameters alone (the paper's PAIR-o_w), with momentum 0.9 and a learning rate of its own. Weight
    decay acts in the steps of erm only, as published. After those the history's objective is sum_i r_i L_i, where r
    has the sum 1.

    With few parameters it can stall where gradients cancel before the proportions are reached: in the two-bit
    environments, with two weights, the default preference ends at (0.91, 0.57), where (0.8, 0.8) is invariant, and
    (1, 1e4, 1e4) near (0.82, 0.78); `irmx` gets there. (See the tests of this module.)

    Source: Chen et al. (2023), algorithm 1 and IRMX. Its code takes the variance with ddof 1: a preference r_3 there
    is r_3 E / (E - 1) here, for E environments. It hands the programme to a commercial solver; here SciPy's HiGHS
    solves it, after rows and target are brought to the size 1, which moves no solution but lets small gradients count.

    Args:
        preference: r, for the risk, the slopes and the variance; positive, only ratios matter.
        descent: Steps of erm at the beginning, with fit's optimiser and learning rate; 0 for none.
        eps: How far from the preferred proportions is near enough, see `epo_weights`.
        learning_rate: Of the steps after these. Published: 0.1, and 0.01 where the label noise was 0.1.

    Raises:
        ValueError: A number that is negative or not finite, or a preference that is not three positive numbers; in
            `fit`, fewer than 2 environments, no more steps than `descent`.

    Example:
        >>> [(phase.objective.name, phase.steps, phase.optimiser) for phase in pair().phases]
        [('erm', 150, None), ('balance', None, 'momentum')]
    """
    shares = _check_preference("pair", preference)
    check_steps("pair", "descent", descent)
    check_number("pair", "eps", eps)
    check_number("pair", "learning_rate", learning_rate)
    dials = dict(zip(TERMS, shares, strict=True))
    balance = Objective("balance", risk=_weighed, rule=_rule(shares, float(eps)), dials=dials, moments=False)
    second = Phase(balance, optimiser="momentum", learning_rate=learning_rate, weight_decay=0.0)
    return Objective(
        f"pair(preference=({', '.join(f'{r:g}' for r in preference)}))",
        risk=_weighed,
        phases=(Phase(erm(), steps=descent), second) if descent else (second,),
        dials=dials,
        min_environments=2,
        moments=False,
    )


def pair_score(batch: Batch, preference: Sequence[float] = (1e-6, 1e-2, 1.0)) -> torch.Tensor:
    """PAIR-s, by which to choose between models, the lower the better: sum_i r_i L_i, with `pair`'s terms L.

    It looks at training environments alone, like the risk, but at their penalties too.

    Source: Chen et al. (2023), section 4.3; the preference is its code's, as it stands (not brought to a sum of 1).

    Raises:
        ValueError: The preference is not three positive numbers.

    Example:
        >>> batch = Batch((torch.zeros(1), torch.ones(1)), (torch.ones(1),) * 2, (torch.ones(1), torch.zeros(1)))
        >>> pair_score(batch, (1.0, 1.0, 1.0))  # risks 0 and 1, slopes 0 and 2: 0.5 + 2 + 0.25
        tensor(2.7500)
    """
    _check_preference("pair_score", preference)
    terms = _terms(batch, {})
    return (terms.new_tensor(preference) * terms).sum()


def epo_weights(
    gradients: np.ndarray, values: np.ndarray, preference: np.ndarray, eps: float = 0.1
) -> np.ndarray:  # fmt: skip
    """The weights alpha of m terms for the next step of an exact Pareto optimal (EPO) search.

    With l_i = r_i L_i / sum_j r_j L_j, the distance from the preferred proportions is mu = sum_i l_i log(m l_i), the
    divergence of l from uniform; its gradient makes a_i = r_i (log(m l_i) - mu). C = G G', and alpha is on the simplex:

    - balance, mu > eps: max alpha' C a, while (C alpha)_j >= 0 for the largest r_j L_j, and (C alpha)_j >= (C a)_j for
      each j with (C a)_j <= 0. The terms move towards the proportions, and the worst one does not grow.
    - descent, mu <= eps: max sum_j (C alpha)_j, while C alpha >= 0 and alpha' C a >= min(0, max_j (C a)_j). No term
      grows, to first order. Where that cannot be, the second condition is dropped; the first one always can.

    Where no alpha keeps the conditions of balance, or all gradients are 0, the weights are the preference, as in the
    code of PAIR.

    Source: Mahapatra and Rajan (2020), Exact Pareto Optimal search, as the code of Chen et al. (2023) has it.

    Args:
        gradients: G, a row a term [m, parameters].
        values: L, at least 0 [m].
        preference: r, positive; only its ratios matter [m].
        eps: The distance mu above which the proportions come first.

    Returns:
        alpha [m], at least 0, with sum 1.

    Raises:
        ValueError: Shapes that do not match, a negative or infinite value, a preference that is not positive.

    Example:
        >>> G = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> epo_weights(G, np.array([1.0, 9.0]), np.array([1.0, 1.0]))  # the second is too large: it alone
        array([0., 1.])
        >>> epo_weights(G, np.array([2.0, 2.0]), np.array([1.0, 1.0])).sum().round(6)  # in proportion: down with both
        np.float64(1.0)
    """
    gradients, values = np.asarray(gradients, dtype=np.float64), np.asarray(values, dtype=np.float64)
    shares = np.asarray(preference, dtype=np.float64)
    m = len(values) if values.ndim == 1 else -1
    if gradients.ndim != 2 or len(gradients) != m or shares.shape != (m,):
        raise ValueError(
            f"gradients {gradients.shape}, values {values.shape} and preference {shares.shape} do not match: give "
            "[m, parameters], [m] and [m]"
        )
    if not np.isfinite(gradients).all() or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f"gradients and values must be finite, and values at least 0: got values {values}")
    if not np.isfinite(shares).all() or (shares <= 0).any():
        raise ValueError(f"preference {shares} is not made of positive numbers: give (1.0, 1e10, 1e12), say")
    shares = shares / shares.sum()
    size, most = np.abs(gradients).max(), values.max()
    if size == 0 or most == 0:
        return shares
    # alpha depends neither on the gradients' common size nor on the values': what is huge must not overflow
    products, weighed = (gradients / size) @ (gradients / size).T, shares * (values / most)
    part = np.maximum(weighed / weighed.sum(), np.finfo(np.float64).tiny)
    mu = (part * np.log(m * part)).sum()
    adjust = shares * (np.log(m * part) - mu)
    towards = products @ adjust
    if mu > eps:
        least = np.where(towards > 0, -np.inf, towards)
        least[weighed == weighed.max()] = 0.0
        alpha = _programme(towards, products, least)
    else:
        rows, least = np.vstack([products, towards]), np.append(np.zeros(m), min(0.0, towards.max()))
        alpha = _programme(products.sum(0), rows, least)
        alpha = _programme(products.sum(0), products, np.zeros(m)) if alpha is None else alpha
    return shares if alpha is None else alpha


def _programme(target: np.ndarray, rows: np.ndarray, least: np.ndarray) -> np.ndarray | None:
    """max target' x for x on the simplex with rows x >= least [rows]; None where there is no such x."""
    from scipy.optimize import linprog

    kept = np.isfinite(least)
    rows, least = rows[kept], least[kept]
    sizes = np.maximum(np.abs(rows).max(1, initial=0.0), np.abs(least))  # the solver's tolerance is absolute
    sizes = np.where(sizes > 0, sizes, 1.0)
    top = np.abs(target).max()
    found = linprog(
        -target / (top if top > 0 else 1.0),
        A_ub=-rows / sizes[:, None],
        b_ub=-least / sizes,
        A_eq=np.ones((1, len(target))),
        b_eq=[1.0],
        bounds=(0.0, 1.0),
        method="highs",
    )
    return np.clip(found.x, 0.0, 1.0) if found.success else None


@functools.cache
def _rule(shares: tuple[float, ...], eps: float) -> Rule:
    """The step of `pair`; one object for one preference, so that replicates with the same one train together."""

    def combine(gradients: torch.Tensor, values: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        seen, known = gradients[:, :, head].double().cpu().numpy(), values.double().cpu().numpy()
        weights = [
            # a replicate that has left the finite numbers: its step, NaN, tells the loop
            epo_weights(g, v, np.array(shares), eps) if np.isfinite(g).all() and np.isfinite(v).all() else shares
            for g, v in zip(seen, known, strict=True)
        ]
        return torch.einsum("rt,rtp->rp", torch.tensor(np.array(weights)).to(gradients), gradients)

    return Rule(_terms, combine)


def _terms(batch: Batch, state: State) -> torch.Tensor:
    return torch.stack([batch.risks.mean(), squared_slope(batch), variance_of_risks(batch)])


def _weighed(batch: Batch, state: State) -> torch.Tensor:
    """sum_i r_i L_i: what the history shows of a step that minimises no one function."""
    terms = _terms(batch, state)
    return (torch.stack([state[name] for name in TERMS]).to(terms) * terms).sum()


def _check_preference(owner: str, preference: Sequence[float]) -> tuple[float, ...]:
    """The preference with a sum of 1."""
    if not isinstance(preference, Sequence) or len(preference) != len(TERMS):
        raise ValueError(
            f"{owner}: preference {preference!r} is not three numbers: for the risk, the slopes and the variance of "
            "risks, (1.0, 1e10, 1e12) say"
        )
    for name, number in zip(TERMS, preference, strict=True):
        check_number(owner, f"preference of {name}", number)
        if number == 0:
            raise ValueError(f"{owner}: the preference of {name} is 0: give a positive number, however small")
    total = float(sum(preference))
    return tuple(float(number) / total for number in preference)
