"""How fast training is: stacked replicates beside PyTorch written the usual way, one run at a time; what a part costs.

    OMP_NUM_THREADS=1 python benchmarks/peers/training.py cell       # a published cell of the linear unit tests, IRMv1
    OMP_NUM_THREADS=1 python benchmarks/peers/training.py networks   # small networks on minibatches
    OMP_NUM_THREADS=1 python benchmarks/peers/training.py steps      # a step of each objective over a step of erm
    OMP_NUM_THREADS=1 python benchmarks/peers/training.py growth     # with replicates, environments, features

CPU seconds, each contender in a process of its own, data and imports not counted. `cell` is 50 data seeds x 20 draws of
hyper-parameters x 10,000 whole-batch steps on Example 1 with 3 environments of 10,000 rows. The usual way is timed on
--sample of these runs, with all their steps, and their mean is multiplied; the weights of these runs are compared.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

import causalkit as ck
from causalkit.objectives import OBJECTIVES, Objective, Penalty
from causalkit.objectives.invariance import squared_slope
from causalkit.training import fit_many
from causalkit.training.optimisers import adam

TORCHS_ADAM = functools.partial(adam, betas=(0.9, 0.999))


def dials(draws: int) -> list[dict[str, float]]:
    """Hyper-parameters as the linear unit tests draw them, the first their defaults; weight is of the mean penalty."""
    random, found = np.random.default_rng(0), []
    for k in range(draws):
        rate, decay, share = (
            10 ** random.uniform(-4, -2),
            10 ** random.uniform(-6, -2),
            1 - 10 ** random.uniform(-3, -0.3),
        )
        found.append(
            {"rate": rate, "decay": decay, "weight": 3 * share / (1 - share)}
            if k
            else {"rate": 1e-3, "decay": 0.0, "weight": 27.0}
        )
    return found


def stacked(seeds: int, draws: int, rows: int, steps: int, one_by_one: int = 0) -> dict:
    """All runs as one program; or the first few of them one by one, on statistics too."""
    trains = [ck.unit_tests.environments("1", rows=rows, seed=s).train for s in range(seeds)]
    task = ck.unit_tests.environments("1", rows=20, seed=0).task
    cells = [(s, dial) for s in range(seeds) for dial in dials(draws)]
    groups = [[cell] for cell in cells[:: max(1, len(cells) // one_by_one)][:one_by_one]] if one_by_one else [cells]
    start, weights = time.process_time(), []
    for group in groups:
        models = fit_many(
            [trains[s] for s, _ in group], task, objective=[ck.objectives.irm(dial["weight"]) for _, dial in group],
            learning_rate=[dial["rate"] for _, dial in group], weight_decay=[dial["decay"] for _, dial in group],
            backbone="linear", steps=steps, standardise=False, schedule="constant", optimiser=TORCHS_ADAM,
            seeds=range(len(group)),
        )  # fmt: skip
        weights += [torch.cat([p.flatten() for p in model.network.head.parameters()]).tolist() for model in models]
    return {"seconds": (time.process_time() - start) / len(weights), "weights": weights}


def usual(seeds: int, draws: int, rows: int, steps: int, sample: int) -> dict:
    """One run after the other, as one writes it: a layer, torch.optim.Adam, a loop over environments, two backwards."""
    cells = [(s, dial) for s in range(seeds) for dial in dials(draws)]
    cells = cells[:: max(1, len(cells) // sample)][:sample]
    seconds, weights = 0.0, []
    for s, dial in cells:
        train = ck.unit_tests.environments("1", rows=rows, seed=s).train
        pairs = [
            (
                torch.tensor(e.frame.drop(columns="y").to_numpy(), dtype=torch.float32),
                torch.tensor(e.frame["y"].to_numpy(), dtype=torch.float32),
            )
            for e in train
        ]
        start = time.process_time()
        layer = torch.nn.Linear(10, 1)
        torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
        optimiser = torch.optim.Adam(layer.parameters(), lr=dial["rate"], weight_decay=dial["decay"])
        for _ in range(steps):
            risks, penalties = [], []
            for x, y in pairs:
                w = torch.ones((), requires_grad=True)
                risk = ((w * layer(x)[:, 0] - y) ** 2).mean()
                slope = torch.autograd.grad(risk, w, create_graph=True)[0]
                risks.append(risk)
                penalties.append(slope**2)
            loss = torch.stack(risks).mean() + dial["weight"] * torch.stack(penalties).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        seconds += time.process_time() - start
        weights.append(torch.cat([p.flatten() for p in layer.parameters()]).tolist())
    return {"seconds": seconds / len(cells), "weights": weights}


def chain(environments: int, rows: int, features: int) -> tuple[list[ck.Environment], ck.Task]:
    """Causes and effects of a target, half and half; the effects' weight moves."""
    scms = [chain_scm(e, environments, features) for e in range(environments)]
    found = [ck.Environment(f"e{e}", scm.sample(rows, seed=e)) for e, scm in enumerate(scms)]
    return found, ck.Task(tuple(f"x{i}" for i in range(features)), "y")


def chain_scm(e: int, environments: int, features: int) -> ck.SCM:
    """The SCM of the e-th environment of `chain`."""
    names = [f"x{i}" for i in range(features)]
    causes, effects = names[: features // 2], names[features // 2 :]
    mechanisms = {c: ck.linear() for c in causes} | {"y": ck.linear(dict.fromkeys(causes, 1.0))}
    return ck.SCM(mechanisms | {z: ck.linear({"y": 0.2 + e / environments}) for z in effects})


def stacked_networks(replicates: int, steps: int) -> dict:
    """Small networks on minibatches of 64 rows an environment, as one program."""
    train, task = chain(3, 1000, 10)
    start = time.process_time()
    fit_many([train] * replicates, task, objective="irm", batch=64, steps=steps, seeds=range(replicates))
    return {"seconds": (time.process_time() - start) / replicates}


def usual_networks(replicates: int, steps: int) -> dict:
    """The same networks one after the other."""
    train, task = chain(3, 1000, 10)
    pairs = [
        (
            torch.tensor(e.frame[list(task.features)].to_numpy(), dtype=torch.float32),
            torch.tensor(e.frame["y"].to_numpy(), dtype=torch.float32),
        )
        for e in train
    ]
    start = time.process_time()
    for seed in range(replicates):
        torch.manual_seed(seed)
        relu, dense = torch.nn.ReLU, torch.nn.Linear
        network = torch.nn.Sequential(dense(10, 16), relu(), dense(16, 16), relu(), dense(16, 1))
        optimiser = torch.optim.Adam(network.parameters(), lr=0.02, betas=(0.9, 0.95))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            risks, penalties = [], []
            for x, y in pairs:
                rows = torch.randint(len(y), (64,))
                w = torch.ones((), requires_grad=True)
                risk = ((w * network(x[rows])[:, 0] - y[rows]) ** 2).mean()
                penalties.append(torch.autograd.grad(risk, w, create_graph=True)[0] ** 2)
                risks.append(risk)
            loss = torch.stack(risks).mean() + 100.0 * torch.stack(penalties).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return {"seconds": (time.process_time() - start) / replicates}


WORKERS = {f.__name__: f for f in (stacked, usual, stacked_networks, usual_networks)}


def apart(name: str, **options: int) -> dict:
    """A contender in a process of its own."""
    command = [sys.executable, __file__, "worker", "--worker", json.dumps([name, options])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def cell(arguments: argparse.Namespace) -> None:
    """The published cell."""
    size = {"seeds": arguments.seeds, "draws": arguments.draws, "rows": arguments.rows, "steps": arguments.steps}
    ours, theirs = apart("stacked", **size), apart("usual", **size, sample=arguments.sample)
    alone = apart("stacked", **size, one_by_one=arguments.sample)
    runs = arguments.seeds * arguments.draws
    same = np.array(ours["weights"])[:: max(1, runs // arguments.sample)][: arguments.sample]
    apart_by = np.abs(same - np.array(theirs["weights"])).max()
    print(f"{runs} runs of {arguments.steps} steps; CPU seconds a run, for all runs, and over the stacked program")
    for title, found in (
        ("stacked, statistics", ours),
        ("one at a time, statistics", alone),
        ("one at a time, rows: the usual way", theirs),
    ):
        each = found["seconds"]
        print(f"{title:<38} {each:9.4f} {each * runs:10.0f} {each / ours['seconds']:8.1f}")
    print(f"weights of {arguments.sample} runs differ by at most {apart_by:.2g} (they reach {np.abs(same).max():.2g})")


def networks(arguments: argparse.Namespace) -> None:
    """Small networks: what stacking gives, by the number of replicates."""
    theirs = apart("usual_networks", replicates=3, steps=400)["seconds"]
    print(f"CPU seconds a run of 400 minibatch steps, irm; the usual way {theirs:.2f}")
    for replicates in (1, 5, 20, 100):
        ours = apart("stacked_networks", replicates=replicates, steps=400)["seconds"]
        print(f"{replicates:4d} replicates stacked: {ours:7.3f} a run, {theirs / ours:5.1f} times less")


def step_seconds(
    objective: object,
    train: list[ck.Environment],
    task: ck.Task,
    replicates: int = 1,
    steps: int = 60,
    **options: object,
) -> float:
    """CPU seconds a step: a long training less a short one, so that what is done once does not count."""

    def timed(count: int) -> float:
        start = time.process_time()
        fit_many([train] * replicates, task, objective=objective, steps=count, seeds=range(replicates), **options)
        return time.process_time() - start

    least = 10 + sum(phase.steps or 0 for phase in getattr(objective, "phases", ()))  # a step of the last phase
    return (timed(steps + least) - timed(least)) / steps


def all_objectives(features: int) -> dict[str, Objective]:
    """Every objective with its defaults; those made of an SCM with that of `chain`'s first environment."""
    scm = chain_scm(0, 1, features)
    made = {"counterfactual_consistency": (scm,), "counterfactual_augmentation": (scm,), "interventional": (scm, "x0"),
            "do_calculus": (scm, "x0")}  # fmt: skip
    more = {"counterfactual_invariance": {"form": "anti_causal"}}
    return {name: make(*made.get(name, ()), **more.get(name, {})) for name, make in OBJECTIVES.items()}


def steps(arguments: argparse.Namespace) -> None:
    """A step of each objective over a step of erm, same network and rows; the median of rounds, side by side."""
    train, task = chain(3, arguments.rows // 10, 10)
    classes = [ck.Environment(e.name, e.frame.assign(y=(e.frame["y"] > 0).astype(int))) for e in train]
    two = ck.Task(task.features, "y", "classification")
    print(
        f"3 environments of {arguments.rows // 10} rows, 10 features, mlp, whole batches: "
        "step over a step of erm [least, most]"
    )
    step_seconds("erm", train, task)  # the first training of a process is slow
    for name, objective in all_objectives(10).items():
        kinds = {p.kind for p in objective.penalties} | {
            p.kind for phase in objective.phases for p in phase.objective.penalties
        }
        data, what = (classes, two) if "classification" in kinds or name == "feat" else (train, task)
        backbone = "linear" if name == "drig" else "mlp"  # drig is for linear networks alone
        ratios = []
        for _ in range(arguments.rounds):
            base = step_seconds("erm", data, what, backbone=backbone)
            ratios.append(step_seconds(objective, data, what, backbone=backbone) / base)
        print(f"{name:<28} {statistics.median(ratios):6.2f}  [{min(ratios):.2f}, {max(ratios):.2f}]")


def growth(arguments: argparse.Namespace) -> None:
    """Seconds a step of irm, as one size grows and the others stay."""
    blind = Objective("irm on rows", (Penalty(100.0, squared_slope),), min_environments=2)
    base = {"environments": 3, "rows": 1000, "features": 10}
    print("milliseconds a step of irm: a linear model on statistics, a linear model on rows, an mlp on rows")
    for dial, values in {
        "environments": (2, 4, 8, 16),
        "features": (5, 10, 20, 40, 80),
        "rows": (100, 1000, 10_000),
    }.items():
        for value in values:
            train, task = chain(**(base | {dial: value}))
            times = [
                1e3 * step_seconds(objective, train, task, backbone=backbone)
                for objective, backbone in (("irm", "linear"), (blind, "linear"), ("irm", "mlp"))
            ]
            print(f"{dial:>14} {value:6d} " + " ".join(f"{t:9.2f}" for t in times))
    train, task = chain(**base)
    for replicates in (1, 10, 100, 1000):
        times = [1e3 * step_seconds("irm", train, task, replicates, backbone="linear")]
        times += [1e3 * step_seconds(blind, train, task, replicates, backbone="linear")] if replicates <= 100 else []
        times += [1e3 * step_seconds("irm", train, task, replicates)] if replicates <= 100 else []
        print(f"{'replicates':>14} {replicates:6d} " + " ".join(f"{t:9.2f}" for t in times))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cell", "networks", "steps", "growth", "worker"])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=3, help="runs that are timed the usual way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", default="")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "worker":
        name, options = json.loads(given.worker)
        print(json.dumps(WORKERS[name](**options)))
    else:
        {"cell": cell, "networks": networks, "steps": steps, "growth": growth}[given.what](given)
