"""Objectives: laws, closed forms of the penalties, and the two-bit environments' published minimisers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from causalkit.objectives import OBJECTIVES, Batch, Objective, cross_entropy, erm, group_dro, irm, squared_error, vrex


def regression(seed: int, sizes: tuple[int, ...] = (7, 5, 9)) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    f, y = (tuple(torch.randn(n, generator=draw, dtype=torch.float64) for n in sizes) for _ in range(2))
    return Batch(tuple(map(squared_error, f, y)), f, y, f, f)


def reordered(batch: Batch, order: list[int]) -> Batch:
    fields = (batch.losses, batch.predictions, batch.targets, batch.features, batch.inputs)
    return Batch(*(tuple(field[i] for i in order) for field in fields), batch.loss)


seeds = st.integers(0, 10_000)
weights = st.floats(0.0, 1e4)
# what only fit can feed: with an SCM or a graph, with networks of their own, or with gradients
NEEDS_MORE = {
    "castle",
    "counterfactual_augmentation",
    "counterfactual_consistency",
    "counterfactual_invariance",
    "dann",
    "do_calculus",
    "iga",
    "interventional",
}


@given(seeds, weights, weights)
def test_a_sum_counts_the_risk_once(seed: int, a: float, b: float) -> None:
    batch = regression(seed)
    penalties = (irm(a)(batch) - erm()(batch)) + (vrex(b)(batch) - erm()(batch))
    torch.testing.assert_close((irm(a) + vrex(b))(batch), erm()(batch) + penalties)
    torch.testing.assert_close((vrex(b) + erm() + irm(a))(batch), erm()(batch) + penalties)


@given(seeds, st.permutations(range(3)), st.sampled_from(sorted(OBJECTIVES.keys() - NEEDS_MORE - {"drig"})))
def test_the_order_of_environments_does_not_matter(seed: int, order: list[int], name: str) -> None:
    batch, objective = regression(seed), OBJECTIVES[name]()
    other = reordered(batch, order)
    torch.testing.assert_close(objective(batch), objective(other))
    state, moved = objective.update(batch, objective.start(3)), objective.update(other, objective.start(3))
    torch.testing.assert_close(state["weights"][order], moved["weights"])


@given(seeds, weights)
def test_penalties_are_never_negative(seed: int, weight: float) -> None:
    batch = regression(seed)
    assert irm(weight)(batch) >= erm()(batch) - 1e-12
    assert vrex(weight)(batch) >= erm()(batch) - 1e-12


@given(st.floats(0.0, 100.0), st.integers(1, 5), weights)
def test_vrex_is_erm_where_risks_are_equal(risk: float, environments: int, weight: float) -> None:
    batch = Batch(losses=tuple(torch.full((n + 1,), risk, dtype=torch.float64) for n in range(environments)))
    torch.testing.assert_close(vrex(weight)(batch), torch.tensor(risk, dtype=torch.float64), atol=1e-9, rtol=1e-9)


def test_erm_is_the_mean_over_environments_not_rows() -> None:
    batch = Batch(losses=(torch.zeros(1), torch.ones(9)))
    assert erm()(batch) == 0.5


def test_vrex_penalty_is_the_variance_with_ddof_0() -> None:
    batch = regression(1)
    risks = np.array([((y - f) ** 2).mean() for f, y in zip(batch.predictions, batch.targets, strict=True)])
    assert vrex(3.0)(batch).item() == pytest.approx(risks.mean() + 3.0 * risks.var())


@given(seeds)
def test_irm_penalty_of_a_regression_in_closed_form(seed: int) -> None:
    # d/dw mean (y - w f)^2 = mean -2 f (y - f) at w = 1
    batch = regression(seed)
    slopes = [(-2 * f * (y - f)).mean() for f, y in zip(batch.predictions, batch.targets, strict=True)]
    penalty = irm(1.0)(batch) - erm()(batch)
    torch.testing.assert_close(penalty, torch.stack(slopes).square().mean())


@given(seeds)
def test_irm_penalty_of_two_classes_in_closed_form(seed: int) -> None:
    # logistic loss of f = logit_1 - logit_0: d/dw at w = 1 is mean (sigmoid(f) - y) f
    draw = torch.Generator().manual_seed(seed)
    logits = tuple(torch.randn(n, 2, generator=draw, dtype=torch.float64) for n in (6, 8))
    y = tuple(torch.randint(2, (n,), generator=draw) for n in (6, 8))
    batch = Batch(tuple(map(cross_entropy, logits, y)), logits, y, loss=cross_entropy)
    f = [z[:, 1] - z[:, 0] for z in logits]
    slopes = torch.stack([((torch.sigmoid(g) - t) * g).mean() for g, t in zip(f, y, strict=True)])
    torch.testing.assert_close(irm(1.0)(batch) - erm()(batch), slopes.square().mean())


def test_cross_entropy_is_torchs() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, y = torch.randn(50, 4, generator=draw), torch.randint(4, (50,), generator=draw)
    torch.testing.assert_close(cross_entropy(logits, y), torch.nn.functional.cross_entropy(logits, y, reduction="none"))


@pytest.mark.parametrize("name", sorted(OBJECTIVES.keys() - NEEDS_MORE))
def test_objectives_map_over_replicates_with_their_gradients(name: str) -> None:
    objective = OBJECTIVES[name]()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def value(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        f = (w * x).split(3)
        return objective(Batch(tuple(map(squared_error, f, y.split(3))), f, y.split(3), f, x.split(3)))

    w = torch.linspace(-1, 1, 4, dtype=torch.float64)
    stacked = torch.func.vmap(torch.func.grad(value))(w, x, y)
    alone = torch.stack([torch.func.grad(value)(w[r], x[r], y[r]) for r in range(4)])
    torch.testing.assert_close(stacked, alone)


@given(seeds, st.floats(0.0, 10.0))
def test_group_dro_weights_stay_on_the_simplex_and_move_to_the_worst(seed: int, eta: float) -> None:
    batch, objective = regression(seed), group_dro(eta)
    state = objective.start(3)
    for _ in range(3):
        new = objective.update(batch, state)
        assert (new["weights"] >= 0).all()
        assert float(new["weights"].sum()) == pytest.approx(1.0)
        worst = int(batch.risks.argmax())
        assert new["weights"][worst] >= state["weights"][worst] - 1e-6
        state = new
    assert objective(batch, state) >= erm()(batch) - 1e-6
    assert objective(batch, state) <= batch.risks.max() + 1e-6


def test_group_dro_recovers_an_environment_whose_weight_vanished() -> None:
    objective = group_dro(1.0)
    state = objective.update(Batch(losses=(torch.zeros(1), torch.full((1,), 1e4))), objective.start(2))
    state = objective.update(Batch(losses=(torch.full((1,), 1e4), torch.zeros(1))), state)
    assert state["weights"][0] == 1.0


def test_an_objective_keeps_no_state() -> None:
    batch, objective = regression(0), group_dro(1.0)
    before = objective(batch)
    objective.update(batch, objective.start(3))
    assert objective(batch) == before == erm()(batch)


def two_bit(f: torch.Tensor, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and targets of 1000 rows with y = 1 in exact proportions; f = (f(1, 1), f(1, -1)) is odd.

    x1 = y flipped with probability 0.1, x2 = y flipped with probability beta.
    """
    shares = [0.9 * (1 - beta), 0.9 * beta, 0.1 * (1 - beta), 0.1 * beta]
    counts = [round(1000 * share) for share in shares]
    assert counts == pytest.approx([1000 * share for share in shares])
    values = [f[0], f[1], -f[1], -f[0]]  # (x1, x2) = (1, 1), (1, -1), (-1, 1), (-1, -1)
    return torch.cat([v.expand(c) for v, c in zip(values, counts, strict=True)]), torch.ones(1000, dtype=f.dtype)


@pytest.mark.parametrize(
    ("make", "expected", "half_risk"),
    [
        (lambda weight: erm(), (0.9267, 0.5099), None),
        (irm, (0.9557, 0.2943), 0.16897),
        (vrex, (0.8, 0.8), 0.18),
        (lambda weight: irm(weight) + vrex(weight), (0.8, 0.8), 0.18),
    ],
    ids=["erm", "irm", "vrex", "irmx"],
)
def test_two_bit_environments(make, expected, half_risk) -> None:
    """Kamath et al. (2021), environments (0.1, 0.11) and (0.1, 0.4); their loss is half of ours.

    The factor moves neither erm's minimiser nor where the penalties vanish, so the limits are the same.
    """

    def batch(f: torch.Tensor) -> Batch:
        f_e, y_e = zip(*(two_bit(f, beta) for beta in (0.11, 0.4)), strict=True)
        return Batch(tuple(map(squared_error, f_e, y_e)), f_e, y_e)

    def value(f: np.ndarray, weight: float) -> tuple[float, np.ndarray]:
        point = torch.tensor(f, requires_grad=True)
        total = make(weight)(batch(point))
        total.backward()
        return total.item(), point.grad.numpy()

    solution = np.array([0.9, 0.5])
    for weight in 10.0 ** np.arange(7):  # follow the minimum from weight 1 to 1e6
        solution = minimize(value, solution, args=(weight,), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(solution, expected, atol=1e-3)
    if half_risk is not None:
        assert erm()(batch(torch.tensor(solution))).item() / 2 == pytest.approx(half_risk, abs=1e-3)


@pytest.mark.parametrize("make", [irm, vrex, group_dro])
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "3", True, None])
def test_weights_that_are_refused(make, weight) -> None:
    with pytest.raises(ValueError, match="finite number of at least 0"):
        make(weight)


def test_a_penalty_of_ones_own_has_its_weight_checked() -> None:
    with pytest.raises(ValueError, match="mine"):
        Objective("mine", penalties=((-1.0, lambda batch: batch.risks.max()),))


def test_sums_have_names_and_needs() -> None:
    total = erm() + irm(10.0) + vrex(1.0)
    assert total.name == "irm(weight=10) + vrex(weight=1)"
    assert total.min_environments == 2
    assert (erm() + erm()).name == "erm"
    assert (irm(1.0) + group_dro(0.5)).name == "irm(weight=1) + group_dro(eta=0.5)"


def test_two_risks_do_not_add() -> None:
    with pytest.raises(ValueError, match="both replace the mean risk"):
        group_dro(0.1) + group_dro(0.2)
    with pytest.raises(TypeError):
        irm(1.0) + 3.0


def test_group_dro_with_a_penalty_keeps_both() -> None:
    batch, objective = regression(3), irm(2.0) + group_dro(1.0)
    state = objective.update(batch, objective.start(3))
    alone = group_dro(1.0).update(batch, group_dro(1.0).start(3))
    torch.testing.assert_close(state["weights"], alone["weights"])
    assert state["weights"].max() > 0.34
    expected = group_dro(1.0)(batch, alone) + irm(2.0)(batch) - erm()(batch)
    torch.testing.assert_close(objective(batch, state), expected)
