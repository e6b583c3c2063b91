"""feat: its loss by hand, what a round hands to the next, features that erm starves, and its doors."""

import numpy as np
import pandas as pd
import pytest
import torch

import causalkit as ck
from causalkit.model import Model
from causalkit.objectives import Batch, Objective, coral, cross_entropy, erm, feat, irm, pair, vrex

STRONG, WEAK = [f"s{k}" for k in range(5)], ["w0", "w1"]
TASK = ck.Task((*STRONG, *WEAK), "y", "classification")


def environment(name: str, agrees: float, seed: int, n: int = 500) -> ck.Environment:
    """Strong features agree with y as often as told, weak ones, ten times smaller, with probability 0.75."""
    draw = np.random.default_rng(seed)
    y = draw.integers(2, size=n)
    sign = 2 * y - 1
    strong = sign * np.where(draw.random(n) < agrees, 1, -1)
    weak = sign * np.where(draw.random(n) < 0.75, 1, -1)
    columns = {name: strong + 0.1 * draw.normal(size=n) for name in STRONG}
    columns |= {name: 0.1 * (weak + 0.3 * draw.normal(size=n)) for name in WEAK}
    return ck.Environment(name, pd.DataFrame(columns | {"y": y}))


@pytest.fixture(scope="module")
def train() -> list[ck.Environment]:
    return [environment("a", 0.95, 0), environment("b", 0.85, 1)]


def fitted(train: list[ck.Environment], objective: Objective, steps: int, seeds: range = range(4)) -> list[Model]:
    return ck.training.fit_many(
        [train] * len(seeds), TASK, objective=objective, steps=steps, learning_rate=0.01, schedule="constant",
        standardise=False, seeds=seeds,
    )  # fmt: skip


def moved(model: Model, frame: pd.DataFrame, columns: list[str]) -> float:
    """How far the last hidden layer moves where some columns change their sign."""
    here = frame[list(TASK.features)].copy()
    there = here.assign(**{name: -here[name] for name in columns})
    first, second = (model.network(torch.tensor(f.to_numpy(), dtype=torch.float32))[1] for f in (here, there))
    return float((first - second).square().sum(1).mean())


def test_feat_learns_the_feature_that_erm_starves(train) -> None:
    frame = train[0].frame
    rich = [moved(m, frame, WEAK) for m in fitted(train, feat(erm()), 301)]
    plain = [moved(m, frame, WEAK) for m in fitted(train, feat(erm(), rounds=1, round_steps=300), 301)]
    assert min(rich) > 2 * max(plain)


def test_an_invariant_head_on_its_features_holds_where_erm_fails(train) -> None:
    test = [environment("t", 0.1, 2)]
    held = [ck.evaluate(m, test, TASK)["accuracy"][0] for m in fitted(train, feat(irm(1e4)), 600)]
    failed = [ck.evaluate(m, test, TASK)["accuracy"][0] for m in fitted(train, erm(), 300)]
    assert np.median(held) > 0.6 and max(failed) < 0.4


def random_batch(seed: int = 0, sizes: tuple[int, ...] = (6, 10), weighed: bool = False) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    features = tuple(torch.randn(n, 3, generator=draw) for n in sizes)
    logits = tuple(torch.randn(n, 2, generator=draw) for n in sizes)
    targets = tuple(torch.randint(2, (n,), generator=draw) for n in sizes)
    weights = tuple(torch.rand(n, generator=draw) for n in sizes) if weighed else ()
    return Batch(
        tuple(map(cross_entropy, logits, targets)), logits, targets, features, features, loss=cross_entropy,
        weights=tuple(w / w.mean() for w in weights),
    )  # fmt: skip


def entered(batch: Batch, objective: Objective, number: int, state: dict, parameters: dict) -> tuple[dict, dict]:
    """What a phase's `enter` makes of the state and the parameters."""
    phase = objective.phases[number]
    start = {**state, **phase.objective.start(len(batch.losses))}
    return phase.enter(batch, start, parameters, torch.Generator().manual_seed(number))


def parameters() -> dict[str, torch.Tensor]:
    return {
        "network.backbone.0.weight": torch.ones(3, 3),
        "network.head.weight": torch.full((2, 3), 9.0),
        "network.head.bias": torch.ones(2),
    }


@pytest.mark.parametrize("weighed", [False, True])
def test_the_loss_of_the_first_round_is_erms(weighed: bool) -> None:
    batch, objective = random_batch(weighed=weighed), feat()
    state, begin = entered(batch, objective, 0, {}, parameters())
    torch.testing.assert_close(objective.phases[0].objective(batch, state), erm()(batch))
    assert (begin["network.head.weight"] != 9.0).all() and (begin["network.head.bias"] == 0).all()
    assert (begin["network.backbone.0.weight"] == 1).all()


def test_the_loss_of_the_second_round_by_hand() -> None:
    batch, objective = random_batch(sizes=(8, 8)), feat(retain=0.3, floor=0.0)
    state, begin = entered(batch, objective, 0, {}, parameters())
    begin["network.head.weight"] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # as if trained
    state, _ = entered(batch, objective, 1, state, begin)
    features, targets, losses = (torch.cat(each) for each in (batch.features, batch.targets, batch.losses))
    old = features[:, :2]
    right = old.argmax(1) == targets
    assert 0 < right.sum() < 16 and (state["feat/retained"] == right).all()
    expected = max(losses.mean(), losses[~right].mean()) + 0.3 * cross_entropy(old, targets)[right].mean()
    torch.testing.assert_close(objective.phases[1].objective(batch, state), expected)


def test_the_loss_counts_environments_the_same_whatever_their_sizes() -> None:
    few, objective = random_batch(sizes=(6, 10)), feat()
    fields = (few.losses, few.predictions, few.targets, few.features, few.inputs)
    many = Batch(*((field[0], torch.cat([field[1]] * 3)) for field in fields), loss=cross_entropy)
    values = []
    for batch in (few, many):
        state, begin = entered(batch, objective, 0, {}, parameters())
        state, _ = entered(batch, objective, 1, state, begin)
        values.append(objective.phases[1].objective(batch, state))
    torch.testing.assert_close(*values)


def test_heads_are_averaged() -> None:
    batch, objective = random_batch(), feat(rounds=3, floor=0.0, head="mean")
    state, begin = {}, parameters()
    for number in range(4):
        state, begin = entered(batch, objective, number, state, begin)
        if number < 3:
            begin |= {"network.head.weight": torch.full((2, 3), 10.0**number), "network.head.bias": torch.zeros(2)}
    torch.testing.assert_close(begin["network.head.weight"], torch.full((2, 3), 37.0))
    assert not any(key.startswith("feat/") for key in state)


def test_a_costly_round_is_undone_and_those_after_it() -> None:
    batch, objective = random_batch(), feat(rounds=3, floor=2.0, head="mean")
    state, begin = entered(batch, objective, 0, {}, parameters())
    heads = []
    for number in range(1, 4):  # each round moves the features and the head
        begin = {key: value + number for key, value in begin.items()}
        heads.append(begin["network.head.weight"])
        state, begin = entered(batch, objective, number, state, begin)
    # the first round is kept, since it had nothing to lose; the second and the third leave nothing
    assert (begin["network.backbone.0.weight"] == 2).all()
    torch.testing.assert_close(begin["network.head.weight"], heads[0])


def test_the_features_are_frozen_in_the_end(train) -> None:
    short, long = (fitted(train, feat(irm(1e4), round_steps=20), steps, range(1))[0] for steps in (41, 90))
    ends = [dict(m.network.named_parameters()) for m in (short, long)]
    for name in ends[0]:
        assert (ends[0][name] == ends[1][name]).all() == name.startswith("backbone"), name


def test_replicates_together_are_replicates_alone(train) -> None:
    together = fitted(train, feat(vrex(10.0), round_steps=20), 60, range(3))
    for seed, model in enumerate(together):
        (alone,) = fitted(train, feat(vrex(10.0), round_steps=20), 60, range(seed, seed + 1))
        np.testing.assert_allclose(model.predict_proba(train[0].frame), alone.predict_proba(train[0].frame), atol=1e-4)


def test_every_seed_and_round_draws_its_own_head(train) -> None:
    heads = [
        m.network.head.weight
        for rounds in (1, 2)
        for m in fitted(train, feat(erm(), rounds=rounds, round_steps=1, head="fresh"), rounds + 1, range(2))
    ]
    assert len({tuple(head.flatten().tolist()) for head in heads}) == 4


@pytest.mark.parametrize("then", [pair(descent=5), coral(1.0), vrex(10.0).anneal(5)], ids=lambda then: then.name)
def test_whatever_may_follow(train, then) -> None:
    for model in fitted(train, feat(then, round_steps=5), 30, range(2)):
        assert np.isfinite(model.predict_proba(train[0].frame)).all()
        assert model.history["step"].iloc[-1] == 30


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"then": feat()}, "not an objective for a head"),
        ({"then": "irm"}, "not an objective for a head"),
        ({"rounds": 0}, "number of steps"),
        ({"round_steps": -3}, "number of steps"),
        ({"retain": -1.0}, "retain"),
        ({"retain": float("nan")}, "retain"),
        ({"floor": 3.0}, "from 0 to 2"),
        ({"head": "old"}, "unknown head 'old'"),
    ],
)
def test_feat_refused(options, match) -> None:
    with pytest.raises(ValueError, match=match):
        feat(**options)


def test_feat_in_fit_refused(train) -> None:
    with pytest.raises(ValueError, match="remembers something of every row: leave batch out"):
        ck.fit(train, TASK, objective=feat(), batch=10, seed=0)
    with pytest.raises(ValueError, match="defined for a classification"):
        ck.fit(train, ck.Task(TASK.features, "y"), objective=feat(), seed=0)
    with pytest.raises(ValueError, match="at least 2"):
        ck.fit(train[:1], TASK, objective=feat(), seed=0)
    with pytest.raises(ValueError, match="300 steps before its last phase"):
        ck.fit(train, TASK, objective=feat(), steps=300, seed=0)
