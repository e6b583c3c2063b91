"""Objectives on variances, quantiles, gradients, representations, residuals: laws, closed forms, plain definitions."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import gaussian_kde, norm
from sklearn.linear_model import LogisticRegression

from causalkit import graphs
from causalkit.environments import Environment, Task
from causalkit.model import Network, initialise
from causalkit.objectives import (
    LOSSES,
    OBJECTIVES,
    Batch,
    Objective,
    and_mask,
    coral,
    dann,
    eqrm,
    erm,
    fishr,
    hsic,
    ib,
    ib_erm,
    ib_irm,
    iga,
    irm,
    mmd,
    squared_error,
)
from causalkit.objectives.alignment import discriminator, thinned
from causalkit.objectives.gradients import agreed
from causalkit.objectives.independence import dependence
from causalkit.objectives.quantile import quantile
from causalkit.training import fit, fit_many
from causalkit.training.optimisers import adam
from causalkit.training.stacked import Stacked

WEIGHTED = {o.__name__: o for o in (ib, ib_erm, fishr, iga, coral, mmd, dann, hsic)}
NAMES = sorted([*WEIGHTED, "ib_irm", "eqrm", "and_mask"])
TASKS = {kind: Task(("x", "z"), "y", kind) for kind in LOSSES}
seeds = st.integers(0, 10_000)


def data(kind: str, seed: int = 0, n: int = 40, classes: int = 3) -> list[Environment]:
    """x -> y -> z; the weight of z is what shifts."""
    rng = np.random.default_rng(seed)
    found = []
    for e, weight in enumerate((2.0, 1.0, 0.2)):
        x = rng.normal(size=n + e)
        y = x + rng.normal(size=n + e)
        z = weight * y + rng.normal(size=n + e)
        codes = np.digitize(y, np.linspace(-1, 1, classes - 1)) if kind == "classification" else y
        found.append(Environment(f"e{e}", pd.DataFrame({"x": x, "z": z, "y": codes})))
    return found


def batch_of(kind: str, backbone: str = "mlp", seed: int = 0, sizes: tuple[int, ...] = (7, 5, 9)) -> Batch:
    """What `fit` would hand over for random rows and a random network, with a discriminator beside it."""
    draw, outputs = torch.Generator().manual_seed(seed), 3 if kind == "classification" else None
    network = Network(torch.tensor([1.0, 1.0, 0.0]), outputs, backbone, seed=seed).double()
    torch.nn.init.normal_(network.head.weight, generator=draw)
    d = discriminator(network.head.in_features if backbone == "mlp" else outputs or 1, 3, len(sizes)).double()
    initialise(d, draw)
    stacked = Stacked([network], [{"discriminator": d}], LOSSES[kind], [f"e{e}" for e in range(len(sizes))])
    n = sum(sizes)
    targets = torch.randn(n, generator=draw).double() if outputs is None else torch.randint(3, (n,), generator=draw)
    rows = {"inputs": torch.randn(n, 3, generator=draw).double(), "targets": targets}
    return stacked.batch(stacked.flat[0], stacked.buffer(0), rows, list(sizes))


def penalty(objective: Objective, batch: Batch) -> torch.Tensor:
    return objective.penalties[0].function(batch)


def kinds(name: str) -> list[str]:
    return ["regression"] if name == "hsic" else list(LOSSES)


CASES = [(name, kind) for name in NAMES for kind in kinds(name)]


# Laws.


@settings(max_examples=10, deadline=None)
@given(seeds, st.permutations(range(3)), st.sampled_from([c for c in CASES if c[0] != "dann"]))
def test_the_order_of_environments_does_not_matter(seed: int, order: list[int], case: tuple[str, str]) -> None:
    """But to dann's discriminator, whose outputs have an order."""
    name, kind = case
    batch = batch_of(kind, seed=seed)
    fields = ("losses", "predictions", "targets", "features", "inputs")
    moved = replace(batch, **{f: tuple(getattr(batch, f)[i] for i in order) for f in fields})
    moved = replace(moved, gradients=lambda: batch.gradients()[list(order)])
    objective = OBJECTIVES[name]()
    torch.testing.assert_close(objective(batch), objective(moved))
    if objective.rule:
        state = objective.start(3)
        torch.testing.assert_close(objective.rule.terms(batch, state), objective.rule.terms(moved, state))


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([c for c in CASES if c[0] in WEIGHTED]), st.sampled_from(["mlp", "linear"]))
def test_penalties_are_not_negative_and_weight_0_is_erm(seed: int, case: tuple[str, str], backbone: str) -> None:
    name, kind = case
    batch = batch_of(kind, backbone, seed)
    assert penalty(WEIGHTED[name](1.0), batch) >= -1e-12
    assert WEIGHTED[name](0.0)(batch) == erm()(batch)


@pytest.mark.parametrize(("name", "kind"), [c for c in CASES if c[0] not in ("iga", "and_mask", "dann")])
def test_a_row_of_weight_2_is_two_rows(name: str, kind: str) -> None:
    batch, objective = batch_of(kind), OBJECTIVES[name]()
    times = [torch.arange(len(t)) % 3 + 1 for t in batch.targets]
    fields = ("losses", "predictions", "targets", "features", "inputs")
    many = {f: tuple(v.repeat_interleave(k, 0) for v, k in zip(getattr(batch, f), times, strict=True)) for f in fields}
    loads = tuple(k.double() / k.double().mean() for k in times)
    torch.testing.assert_close(objective(replace(batch, weights=loads)), objective(replace(batch, **many)))


@pytest.mark.parametrize("rows", [None, 16])
@pytest.mark.parametrize("backbone", ["mlp", "linear"])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_name_trains(name: str, kind: str, backbone: str, rows: int | None) -> None:
    """And replicates stacked are replicates alone."""
    train, task = data(kind), TASKS[kind]
    given = {"objective": name, "backbone": backbone, "steps": 12, "batch": rows, "dtype": torch.float64}
    models = fit_many([train] * 2, task, seeds=[0, 1], **given)
    assert all(np.isfinite(model.history["objective"]).all() and not model.diverged for model in models)
    alone = fit(train, task, seed=1, **given)
    for p, q in zip(models[1].network.parameters(), alone.network.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-8)


MAKERS: list[Callable[[float], Objective]] = [
    *WEIGHTED.values(),
    lambda v: eqrm(0.3 + 0.1 * v),
    lambda v: and_mask(0.3 * v, normalise=v > 1),
    lambda v: ib_irm(v, v),
]


@pytest.mark.parametrize("make", MAKERS, ids=[*WEIGHTED, "eqrm", "and_mask", "ib_irm"])
def test_dials_may_differ_between_replicates(make: Callable[[float], Objective]) -> None:
    train, task = data("regression"), TASKS["regression"]
    given = {"steps": 12, "dtype": torch.float64}
    models = fit_many([train] * 3, task, objective=[make(v) for v in (0.5, 1.0, 3.0)], seeds=[0] * 3, **given)
    for v, model in zip((0.5, 1.0, 3.0), models, strict=True):
        alone = fit(train, task, objective=make(v), seed=0, **given)
        np.testing.assert_allclose(model.predict(train[0].frame), alone.predict(train[0].frame), rtol=1e-6)
    first, last = (m.predict(train[0].frame) for m in (models[0], models[2]))
    assert not np.allclose(first, last, rtol=1e-3)


@pytest.mark.parametrize("name", ["ib", "ib_erm", "ib_irm", "iga", "coral", "eqrm", "and_mask"])
def test_means_and_covariances_are_enough_where_an_objective_says_so(name: str) -> None:
    train, task, objective = data("regression"), TASKS["regression"], OBJECTIVES[name]()
    assert objective.moments and all(p.moments for p in objective.penalties)
    given = {"backbone": "linear", "steps": 30, "dtype": torch.float64, "seed": 0}
    few = fit(train, task, objective=objective, **given)
    full = fit(train, task, objective=replace(objective, moments=False), **given)
    np.testing.assert_allclose(few.predict(train[0].frame), full.predict(train[0].frame), rtol=1e-6)


# Bottleneck.


def test_ib_is_the_variance_of_the_predictions() -> None:
    batch = batch_of("regression")
    f = [each.detach().numpy() for each in batch.predictions]
    assert penalty(ib(), batch).item() == pytest.approx(np.mean([each.var() for each in f]))
    mixed = np.average(np.concatenate(f) ** 2, weights=np.concatenate([np.full(len(a), 1 / len(a)) for a in f]))
    assert penalty(ib_erm(), batch).item() == pytest.approx(mixed - np.mean([each.mean() for each in f]) ** 2)


def test_ib_of_classes_is_the_variance_of_log_odds_over_pairs() -> None:
    batch = batch_of("classification")
    pairs = [(0, 1), (0, 2), (1, 2)]
    odds = [[(z[:, k] - z[:, j]).var(correction=0) for j, k in pairs] for z in batch.predictions]
    assert penalty(ib(), batch).item() == pytest.approx(torch.tensor(odds).mean().item())


def test_ib_irm_counts_the_risk_once() -> None:
    batch = batch_of("classification")
    torch.testing.assert_close(ib_irm(10.0, 0.5)(batch), (irm(10.0) + ib(0.5))(batch))


# Quantile.

some_risks = st.lists(st.floats(0.01, 10.0), min_size=2, max_size=8, unique=True).map(
    lambda r: torch.tensor(r).double()
)


@given(some_risks, st.floats(0.001, 0.999))
def test_quantile_is_scipys(risks: torch.Tensor, alpha: float) -> None:
    if risks.std() < 1e-3 * risks.mean():
        return
    kde = gaussian_kde(risks.numpy(), bw_method=1.06 * len(risks) ** -0.2)
    wide = 20 * risks.std().item()

    def off(q: float) -> float:
        return kde.integrate_box_1d(-np.inf, q) - alpha

    expected = brentq(off, risks.min().item() - wide, risks.max().item() + wide, xtol=1e-12)
    assert quantile(risks, alpha).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(some_risks, st.floats(0.01, 0.98))
def test_quantile_grows_with_alpha_and_is_the_mean_of_symmetric_risks(risks: torch.Tensor, alpha: float) -> None:
    assert quantile(risks, alpha) < quantile(risks, alpha + 0.01)
    both = torch.cat([risks, 20.0 - risks])
    assert quantile(both, 0.5).item() == pytest.approx(10.0)


def test_quantile_has_both_derivatives() -> None:
    risks = torch.tensor([1.0, 2.5, 3.0], dtype=torch.float64, requires_grad=True)
    for alpha in (0.1, 0.5, 0.75, 0.999):
        assert torch.autograd.gradcheck(lambda r, a=alpha: quantile(r, a), risks)
        assert torch.autograd.gradgradcheck(lambda r, a=alpha: quantile(r, a), risks)


def test_quantile_of_equal_risks_is_their_mean_with_its_gradient() -> None:
    value, gradient = torch.func.grad_and_value(lambda r: quantile(r, 0.9))(torch.full((3,), 0.7))[::-1]
    assert value.item() == pytest.approx(0.7, rel=1e-3)
    torch.testing.assert_close(gradient, torch.full((3,), 1 / 3), rtol=1e-3, atol=1e-3)


def test_eqrm_near_1_is_the_mean_and_a_multiple_of_the_spread() -> None:
    risks = torch.tensor([1.0, 2.0], dtype=torch.float64)  # two kernels: the upper one alone has a tail left
    h = 1.06 * risks.std() * 2**-0.2
    expected = 2.0 + h * norm.isf(2 * 1e-9)
    assert quantile(risks, 1 - 1e-9).item() == pytest.approx(float(expected), rel=1e-6)


# Gradients.


@pytest.mark.parametrize("kind", list(LOSSES))
def test_fishr_is_the_variance_of_the_rows_gradients(kind: str) -> None:
    batch = batch_of(kind)
    head = {k: v.detach() for k, v in batch.parameters.items() if k.startswith("head.")}
    found = []
    for h, y in zip(batch.features, batch.targets, strict=True):

        def loss(head: dict[str, torch.Tensor], h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            f = (h @ head["head.weight"].mT + head["head.bias"])[None]
            return batch.loss(f[:, 0] if kind == "regression" else f, y[None])[0]

        rows = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(head, h.detach(), y)
        found.append(torch.cat([rows[k].flatten(1).var(0, correction=0) for k in head]))
    expected = torch.stack(found)
    expected = (expected - expected.mean(0)).square().sum(1).mean()
    torch.testing.assert_close(penalty(fishr(), batch), expected)


@pytest.mark.parametrize("backbone", ["mlp", "linear"])
@pytest.mark.parametrize("kind", list(LOSSES))
def test_iga_is_the_distance_of_the_gradients_from_their_mean(kind: str, backbone: str) -> None:
    draw = torch.Generator().manual_seed(0)
    network = Network(torch.ones(2), None if kind == "regression" else 2, backbone, seed=0).double()
    torch.nn.init.normal_(network.head.weight, generator=draw)
    parameters = list(network.parameters())
    x = [torch.randn(n, 2, generator=draw).double() for n in (5, 8)]
    y = [each[:, 0] if kind == "regression" else (each[:, 0] > 0).long() for each in x]
    stacked = Stacked([network], [{}], LOSSES[kind], ["a", "b"])
    flat = stacked.flat[0].requires_grad_()
    rows = {"inputs": torch.cat(x), "targets": torch.cat(y)}
    found = penalty(iga(), stacked.batch(flat, stacked.buffer(0), rows, [5, 8]))

    def gradient(e: int) -> torch.Tensor:
        risk = LOSSES[kind](network(x[e])[0], y[e]).mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(risk, parameters, create_graph=True)])

    expected = (gradient(0) - gradient(1)).square().sum() / 4  # each is half the difference away from the mean
    torch.testing.assert_close(found, expected)
    second = torch.cat([g.flatten() for g in torch.autograd.grad(expected, parameters)])
    torch.testing.assert_close(torch.autograd.grad(found, flat)[0], second)


@given(st.integers(1, 6), st.floats(0.0, 1.0), seeds)
def test_and_mask_is_the_plain_definition(environments: int, tau: float, seed: int) -> None:
    gradients = np.random.default_rng(seed).normal(size=(environments, 5))
    agree = np.abs(np.sign(gradients).sum(0)) >= tau * environments
    np.testing.assert_allclose(agreed(torch.tensor(gradients), tau), agree * gradients.mean(0))


def test_and_mask_with_tau_0_is_erm() -> None:
    train, task = data("regression"), TASKS["regression"]
    one, two = (fit(train, task, objective=o, steps=20, dtype=torch.float64, seed=0) for o in (and_mask(0.0), erm()))
    np.testing.assert_allclose(one.predict(train[0].frame), two.predict(train[0].frame), rtol=1e-6)


@pytest.mark.parametrize("normalise", [False, True])
def test_and_mask_takes_the_published_steps(normalise: bool) -> None:
    """Plain descent, three steps by hand: masked mean of gradients, the weights' ones normalised, decay unmasked."""
    train, task = data("regression"), TASKS["regression"]
    rate, decay, w, b = 0.1, 0.01, np.zeros(2), 0.0
    for _ in range(3):
        slopes = []
        for environment in train:
            x, y = environment.frame[["x", "z"]].to_numpy(), environment.frame["y"].to_numpy()
            r = x @ w + b - y
            slopes.append(np.append(2 * x.T @ r / len(y), 2 * r.mean()))
        g = np.array(slopes)
        if normalise:
            g[:, :2] /= np.linalg.norm(g[:, :2], axis=1, keepdims=True)
        step = g.mean(0) * (np.abs(np.sign(g).sum(0)) > 0.9 * 3)
        w, b = w - rate * (step[:2] + decay * w), b - rate * (step[2] + decay * b)
    model = fit(
        train, task, objective=and_mask(0.9, normalise=normalise), backbone="linear", steps=3, learning_rate=rate,
        weight_decay=decay, optimiser="sgd", schedule="constant", standardise=False, dtype=torch.float64, seed=0,
    )  # fmt: skip
    np.testing.assert_allclose(model.network.head.weight.detach()[0], w, rtol=1e-8)
    assert model.network.head.bias.item() == pytest.approx(b, rel=1e-8)


# Representations.


def features_only(*h: torch.Tensor) -> Batch:
    return Batch(losses=tuple(torch.zeros(len(each)) for each in h), features=h)


def test_coral_of_given_moments() -> None:
    """m and C are what was put in: m_a - m_b = (1, 2), C_a - C_b = diag(3, 0); 5 / 2 + 9 / 4."""
    rows = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    white = torch.linalg.qr(rows - rows.mean(0)).Q * 50**0.5
    a, b = white * torch.tensor([2.0, 1.0]) + torch.tensor([1.0, 2.0]), white
    assert penalty(coral(), features_only(a, b)).item() == pytest.approx(2.5 + 2.25)
    three = penalty(coral(), features_only(a, b, b)).item()
    assert three == pytest.approx(2 / 3 * 4.75)  # two pairs of three differ


def test_mmd_is_the_plain_definition() -> None:
    h = [torch.randn(n, 2, generator=torch.Generator().manual_seed(n)).double() for n in (5, 8, 6)]

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        apart = ((a.numpy()[:, None] - b.numpy()[None]) ** 2).sum(2)
        return sum(np.exp(-(10.0**power) * apart).mean() for power in range(-3, 4))

    pairs = [k(h[i], h[i]) + k(h[j], h[j]) - 2 * k(h[i], h[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert penalty(mmd(), features_only(*h)).item() == pytest.approx(np.mean(pairs))


def test_mmd_sees_what_coral_does_not() -> None:
    """Two points and a normal distribution of the same mean and variance."""
    normal = torch.tensor(norm.ppf((np.arange(100) + 0.5) / 100))[:, None]
    normal = normal / normal.std(correction=0)
    points = torch.tensor([-1.0, 1.0]).double().repeat(50)[:, None]
    assert penalty(coral(), features_only(normal, points)).item() == pytest.approx(0.0, abs=1e-12)
    assert penalty(mmd(), features_only(normal, points)).item() > 0.1
    assert penalty(mmd(), features_only(normal, normal)).item() == pytest.approx(0.0, abs=1e-12)


def test_thinned_rows_are_spread_over_all() -> None:
    for n in (1, 4, 5, 9, 100):
        kept = thinned(torch.arange(n), 4)
        assert len(kept) <= 4 and kept[0] == 0 and kept[-1] >= n // 2


ADAM = functools.partial(adam, betas=(0.0, 0.95))


def moved(use: float) -> list[Environment]:
    """z has another mean in each environment; it is of some use for y, or of none."""
    rng, found = np.random.default_rng(0), []
    for name, middle in {"a": -1.5, "b": 1.5}.items():
        x, z = rng.normal(size=200), rng.normal(middle, size=200)
        y = x + use * z + 0.3 * rng.normal(size=200)
        found.append(Environment(name, pd.DataFrame({"x": x, "z": z, "y": y})))
    return found


def accuracy(train: list[Environment], objective: Objective, backbone: str) -> float:
    """How often a logistic regression on the representation names the environment right."""
    task = TASKS["regression"]
    model = fit(train, task, objective=objective, backbone=backbone, steps=300, optimiser=ADAM, seed=0)
    seen = []
    for environment in train:
        x = (environment.frame[["x", "z"]] - model.location[["x", "z"]]) / model.scale[["x", "z"]]
        f, h = model.network(torch.tensor(x.to_numpy(), dtype=torch.float32))
        seen.append((h if backbone == "mlp" else f[:, None]).numpy())
    labels, rows = np.repeat([0, 1], 200), np.concatenate(seen)
    rows = rows / (rows.std(0) + 1e-6)
    return LogisticRegression(max_iter=1000).fit(rows, labels).score(rows, labels)


@pytest.mark.parametrize("objective", [coral(30.0), mmd(3.0), dann(1.0)], ids=["coral", "mmd", "dann"])
def test_an_aligned_hidden_layer_does_not_tell_the_environment(objective: Objective) -> None:
    train = moved(0.0)
    assert accuracy(train, erm(), "mlp") > 0.9
    assert accuracy(train, objective, "mlp") < 0.7


@pytest.mark.parametrize("objective", [coral(30.0), mmd(30.0), dann(30.0)], ids=["coral", "mmd", "dann"])
def test_aligned_predictions_of_a_linear_network_do_not_tell_the_environment(objective: Objective) -> None:
    train = moved(1.0)
    assert accuracy(train, erm(), "linear") > 0.8
    assert accuracy(train, objective, "linear") < 0.65


def test_the_discriminator_learns_environments_that_differ_and_none_that_do_not() -> None:
    """A weight of 1e-3 leaves the representation alone; what is recorded beyond the risk is the discriminator's."""
    train, task = moved(0.0), TASKS["regression"]
    same = [Environment(name, train[0].frame) for name in ("a", "b")]
    for environments, least, most in ((train, 0.0, 0.67), (same, np.log(2) - 0.01, np.log(2) + 0.01)):
        last = fit(environments, task, objective=dann(1e-3), steps=300, seed=0).history.iloc[-1]
        assert least <= (last["objective"] - last["risk"]) / 1e-3 <= most


def test_dann_turns_the_gradient_of_the_representation_and_no_other() -> None:
    batch = batch_of("regression")
    h = [each.detach().requires_grad_() for each in batch.features]
    found = []
    for e, each in enumerate(h):
        logits = batch.modules["discriminator"](each)
        losses = torch.nn.functional.cross_entropy(logits, torch.full((len(each),), e), reduction="none")
        slopes = torch.autograd.grad(losses.sum(), each, create_graph=True)[0]
        found.append(losses.mean() + slopes.square().sum(1).mean())
    plain = torch.stack(found).mean()
    turned = penalty(dann(), replace(batch, features=tuple(h)))
    torch.testing.assert_close(turned, plain)
    for g, k in zip(torch.autograd.grad(turned, h), torch.autograd.grad(plain, h), strict=True):
        torch.testing.assert_close(g, -k)


# Residuals.


def plain_hsic(x: np.ndarray, r: np.ndarray) -> float:
    k = np.exp(-((x[:, None] - x[None]) ** 2).sum(2) / 2)
    l = np.exp(-((r[:, None] - r[None]) ** 2) / (2 * r.var()))  # noqa: E741
    h = np.eye(len(r)) - 1 / len(r)
    return np.trace(k @ h @ l @ h) / len(r) ** 2


@given(seeds, st.integers(3, 40), st.floats(0.01, 100.0))
def test_dependence_is_the_plain_definition_in_any_units(seed: int, n: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    x, r = rng.normal(size=(n, 2)), rng.normal(size=n)
    found = dependence(torch.tensor(x), torch.tensor(unit * r + unit), torch.full((n,), 1 / n).double()).item()
    assert found == pytest.approx(plain_hsic(x, r), rel=1e-4, abs=1e-9)
    assert found >= 0


def test_dependence_is_small_for_independent_and_large_for_uncorrelated_dependent() -> None:
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=300), torch.full((300,), 1 / 300).double()
    free = dependence(torch.tensor(x)[:, None], torch.tensor(rng.normal(size=300)), share)
    bent = dependence(torch.tensor(x)[:, None], torch.tensor(x**2), share)
    assert free < 0.003 < 0.02 < bent


def test_hsic_looks_at_what_the_encoder_lets_through() -> None:
    batch = batch_of("regression")  # its mask hides the last of 3 inputs
    hidden = tuple(torch.cat([x[:, :2], 100 * x[:, 2:]], 1) for x in batch.inputs)
    torch.testing.assert_close(penalty(hsic(), replace(batch, inputs=hidden)), penalty(hsic(), batch))
    seen = replace(batch, mask=None)
    assert not torch.isclose(penalty(hsic(), seen), penalty(hsic(), batch))


def test_hsic_is_blind_to_offsets_and_finds_the_slope_within_environments() -> None:
    """Simpson's paradox: y = x + offset_e + noise, with the offset high where x is low."""
    rng = np.random.default_rng(0)

    def env(name: str, middle: float) -> Environment:
        x = rng.normal(middle, size=200)
        return Environment(name, pd.DataFrame({"x": x, "y": x - 1.5 * middle + rng.uniform(-1, 1, size=200)}))

    train, task = [env("a", -1.0), env("b", 1.0)], Task(("x",), "y")
    slopes = {}
    for name, objective in {"erm": erm(), "hsic": hsic(1000.0)}.items():
        model = fit(train, task, objective=objective, backbone="linear", steps=200, seed=0)
        slopes[name] = float(np.diff(model.predict(pd.DataFrame({"x": [0.0, 1.0]})))[0])
    assert slopes["erm"] < 0.4
    assert slopes["hsic"] == pytest.approx(1.0, abs=0.1)


def test_hsic_behind_a_graph_keeps_the_parents() -> None:
    train, graph = data("regression", n=200), graphs.parse("x -> y -> z")
    model = fit(train, TASKS["regression"], objective=hsic(10.0), graph=graph, backbone="linear", steps=300, seed=0)
    slope = model.network.head.weight[0, 0] * model.scale["y"] / model.scale["x"]
    assert float(slope) == pytest.approx(1.0, abs=0.15)
    assert model.predict(train[0].frame.assign(z=0.0)) == pytest.approx(model.predict(train[0].frame))


# Bad input.


@pytest.mark.parametrize("make", [*WEIGHTED.values(), lambda w: ib_irm(w, 1.0), lambda w: ib_irm(1.0, w)])
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "3", True, None])
def test_weights_that_are_refused(make: Callable[[float], Objective], weight: object) -> None:
    with pytest.raises(ValueError, match="finite number of at least 0"):
        make(weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 0, -0.1, 1.1, float("nan"), "a"])
def test_alphas_that_are_refused(alpha: object) -> None:
    with pytest.raises(ValueError, match="eqrm"):
        eqrm(alpha)  # type: ignore[arg-type]


def test_and_mask_that_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        and_mask(1.5)
    with pytest.raises(ValueError, match="neither True nor False"):
        and_mask(0.9, normalise="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rule"):
        and_mask() + irm(1.0)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("ib", "ib_erm", "hsic")])
def test_one_environment_is_not_compared(name: str) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        fit(data("regression")[:1], TASKS["regression"], objective=name, steps=1, seed=0)


def test_hsic_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="defined for a regression"):
        fit(data("classification"), TASKS["classification"], objective="hsic", steps=1, seed=0)


def test_a_game_has_no_minimum_to_find() -> None:
    train, task = data("regression"), TASKS["regression"]
    with pytest.raises(ValueError, match="lbfgs"):
        fit(train, task, objective="dann", optimiser="lbfgs", seed=0)
    assert np.isnan(fit(train, task, objective="dann", backbone="linear", steps=5, seed=0).report["left"])


def test_gradients_are_wanted() -> None:
    f = (torch.zeros(2),)
    with pytest.raises(ValueError, match="iga reads the batch's gradients"):
        iga()(Batch(losses=tuple(map(squared_error, f, f)), predictions=f, targets=f))
