"""The contenders of counterfactuals.py: each learns an SCM from a table for a known DAG and answers counterfactuals.

A contender takes the rows [n, d], the variables' names, the DAG's edges and a seed, and returns answer(rows, cause,
value) -> rows, and log_prob(rows) or None. It imports its library itself, so this file runs in any environment that has
NumPy. `python counterfactual_models.py NAME TABLE.npz OUT.npz` does one job: learn, then answer every question.
"""

import functools
import json
import sys
import time
from collections.abc import Callable

import numpy as np

Verbs = tuple[Callable[[np.ndarray, int, float], np.ndarray], Callable[[np.ndarray], np.ndarray] | None]


def causalkit(mechanism: str, rows: np.ndarray, names: list[str], edges: list[tuple[str, str]], seed: int) -> Verbs:
    """fit_scm as it comes."""
    import pandas as pd

    import causalkit as ck

    frame = functools.partial(pd.DataFrame, columns=names)
    learned = ck.fit_scm(ck.graphs.dag(edges, names), frame(rows), mechanism=mechanism, seed=seed)
    return (
        lambda x, cause, value: learned.counterfactual(frame(x), {names[cause]: value}).to_numpy(),
        lambda x: learned.log_prob(frame(x)),
    )


def dowhy(rows: np.ndarray, names: list[str], edges: list[tuple[str, str]], seed: int) -> Verbs:
    """dowhy.gcm: additive noise, the regression a node chosen by its auto assignment (quality GOOD)."""
    import networkx as nx
    import pandas as pd
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    gcm.util.general.set_random_seed(seed)
    frame = functools.partial(pd.DataFrame, columns=names)
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(names)
    model = gcm.InvertibleStructuralCausalModel(graph)
    gcm.auto.assign_causal_mechanisms(model, frame(rows), quality=gcm.auto.AssignmentQuality.GOOD)
    gcm.fit(model, frame(rows))

    def answer(x: np.ndarray, cause: int, value: float) -> np.ndarray:
        do = {names[cause]: lambda old: value}
        return gcm.counterfactual_samples(model, do, observed_data=frame(x))[names].to_numpy()

    return answer, None


def causalflows(rows: np.ndarray, names: list[str], edges: list[tuple[str, str]], seed: int) -> Verbs:
    """A causal flow as published: one affine masked layer of 32 x 3, Adam at 0.001, batches of 1,024, 1,000 epochs."""
    import torch
    from causalflows.flows import CausalMAF

    torch.manual_seed(seed)
    mean, sd = rows.mean(0), rows.std(0)
    adjacency = torch.eye(len(names), dtype=torch.bool)
    for a, b in edges:
        adjacency[names.index(b), names.index(a)] = True
    flow = CausalMAF(len(names), adjacency=adjacency, hidden_features=(32, 32, 32))
    data = torch.from_numpy((rows - mean) / sd).float()
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
    for _ in range(1000):
        for batch in data[torch.randperm(len(data))].split(1024):
            optimiser.zero_grad()
            (-flow().log_prob(batch).mean()).backward()
            optimiser.step()

    def answer(x: np.ndarray, cause: int, value: float) -> np.ndarray:
        with torch.no_grad():
            level = (value - mean[cause]) / sd[cause]
            found = flow().compute_counterfactual(torch.from_numpy((x - mean) / sd).float(), cause, float(level))
        return found.double().numpy() * sd + mean

    def log_prob(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return flow().log_prob(torch.from_numpy((x - mean) / sd).float()).double().numpy() - np.log(sd).sum()

    return answer, log_prob


KIT = ("linear", "additive", "location_scale", "flow", "vae", "auto")
CONTENDERS = {name: functools.partial(causalkit, name) for name in KIT} | {"dowhy": dowhy, "causalflows": causalflows}

if __name__ == "__main__":
    name, table, out = sys.argv[1:]
    job = np.load(table)
    names, edges = json.loads(str(job["names"])), [tuple(e) for e in json.loads(str(job["edges"]))]
    start, cpu = time.perf_counter(), time.process_time()
    answer, log_prob = CONTENDERS[name](job["train"], names, edges, int(job["seed"]))
    fit = (time.perf_counter() - start, time.process_time() - cpu)
    start = time.perf_counter()
    answers = np.stack(
        [answer(job["rows"], int(c), float(v)) for c, v in zip(*(job[k] for k in ("causes", "values")), strict=True)]
    )
    each = 1e6 * (time.perf_counter() - start) / answers[..., 0].size
    density = log_prob(job["fresh"]) if log_prob else np.full(len(job["fresh"]), np.nan)
    np.savez(out, answers=answers, density=density, seconds=fit[0], cpu=fit[1], microseconds=each)
