"""The contenders of sampling.py: one small function each, from a problem to what it can do with it.

A contender takes a problem (`make_problem`) and returns its verbs: sample(n, seed), counterfactual(frame) under
do(x0 = 0), log_prob(frame). It imports its library itself, so this file runs in any environment that has NumPy.
`python samplers.py NAME` answers the questions of sampling.py, a JSON line each.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

Verbs = dict[str, Callable]
LEVELS, HIDDEN, MEMORY = 3, 8, 16 * 2**30


def make_problem(family: str, d: int, degree: float = 4.0, seed: int = 0) -> dict:
    """A random DAG of this expected degree in causal order x0, x1, ..., and mechanisms on it.

    linear: x_j = x_pa w + scale_j e, weights uniform in +-[0.5, 2], then scaled so that every variance is 1.
    mlp: x_j = tanh(x_pa W + b) v + e, 8 hidden units. table: 3 levels, rows uniform on the simplex, at most 3 parents.
    """
    rng = np.random.default_rng([seed, d])
    parents = [np.flatnonzero(rng.random(j) < degree / (d - 1)) for j in range(d)]
    problem = {"family": family, "d": d, "names": [f"x{j}" for j in range(d)], "parents": parents}
    signed = lambda *shape: rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)  # noqa: E731
    if family == "linear":
        weights, scale, covariance = np.zeros((d, d)), np.ones(d), np.zeros((d, d))
        for j, pa in enumerate(parents):
            w = signed(len(pa))
            scale[j] = 1 / math.sqrt(w @ covariance[np.ix_(pa, pa)] @ w + 1)
            weights[pa, j] = w * scale[j]
            covariance[j] = covariance[:, j] = weights[pa, j] @ covariance[pa]
            covariance[j, j] = 1
        slopes = [weights[pa, j] for j, pa in enumerate(parents)]
        return problem | {"weights": weights, "scale": scale, "slopes": slopes}
    if family == "mlp":
        nets = [(signed(len(pa), HIDDEN), rng.standard_normal(HIDDEN), signed(HIDDEN) / HIDDEN**0.5) for pa in parents]
        return problem | {"nets": nets, "scale": np.ones(d)}
    problem["parents"] = parents = [pa[:3] for pa in parents]
    return problem | {"tables": [rng.dirichlet(np.ones(LEVELS), (LEVELS,) * len(pa)) for pa in parents]}


def network(net: tuple[np.ndarray, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """The mlp mechanism's signal as a NumPy function [n, p] -> [n]."""
    return lambda x: np.tanh(x @ net[0] + net[1]) @ net[2]


def floor(problem: dict, normal: Callable[[int, int], Callable[[int], np.ndarray]] | None = None) -> Verbs:
    """One NumPy loop over the variables, hand-written, ending in a DataFrame; no checks, one stream for all noise."""
    import pandas as pd

    family, parents, d = problem["family"], problem["parents"], problem["d"]
    if family == "table":
        return {"sample": lambda n, seed: gumbel_max(problem, n, seed)}
    if family == "linear":
        slopes = problem["slopes"]

        def signal(x: np.ndarray, j: int) -> np.ndarray | float:
            return sum(w * x[k] for w, k in zip(slopes[j], parents[j], strict=True))
    else:
        nets = [network(net) for net in problem["nets"]]

        def signal(x: np.ndarray, j: int) -> np.ndarray | float:
            return nets[j](x[parents[j]].T) if len(parents[j]) else 0.0

    def frame(x: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(x.T, columns=problem["names"], copy=False)

    def sample(n: int, seed: int) -> pd.DataFrame:
        draw = normal(n, seed) if normal else lambda j: rng.standard_normal(n)
        rng, x = np.random.default_rng(seed), np.empty((d, n))
        for j in range(d):
            x[j] = signal(x, j) + problem["scale"][j] * draw(j)
        return frame(x)

    def counterfactual(data: pd.DataFrame) -> pd.DataFrame:
        seen, x = data.to_numpy().T, np.empty((d, len(data)))
        x[0] = 0.0
        for j in range(1, d):
            x[j] = signal(x, j) + (seen[j] - signal(seen, j))
        return frame(x)

    def log_prob(data: pd.DataFrame) -> np.ndarray:
        x, total = data.to_numpy().T, np.zeros(len(data))
        for j, scale in enumerate(problem["scale"]):
            total -= 0.5 * ((x[j] - signal(x, j)) / scale) ** 2 + math.log(scale * math.sqrt(2 * math.pi))
        return total

    return {"sample": sample, "counterfactual": counterfactual, "log_prob": log_prob}


def gumbel_max(problem: dict, n: int, seed: int) -> object:
    """The floor of the table family: argmax_k (log p_k + g_k), g = -log of a standard exponential."""
    import pandas as pd

    rng, x = np.random.default_rng(seed), np.empty((problem["d"], n), dtype=np.int64)
    for j, (pa, table) in enumerate(zip(problem["parents"], problem["tables"], strict=True)):
        noise = np.log(rng.standard_exponential((n, LEVELS)))
        x[j] = (np.log(table)[tuple(x[pa])] - noise).argmax(1)
    return pd.DataFrame(x.T, columns=problem["names"], copy=False)


def floor_torch(problem: dict) -> Verbs:
    """The floor with torch's normal numbers, a generator a variable."""
    import torch

    def normal(n: int, seed: int) -> Callable[[int], np.ndarray]:
        def draw(j: int) -> np.ndarray:
            generator = torch.Generator().manual_seed(seed * problem["d"] + j)
            return torch.randn(n, generator=generator, dtype=torch.float64).numpy()

        return draw

    return floor(problem, normal)


def causalkit(problem: dict) -> Verbs:
    """What this is about."""
    import torch

    import causalkit as ck
    from causalkit.mechanisms.perceptron import Perceptron

    names, mechanisms = problem["names"], {}
    for j, pa in enumerate(problem["parents"]):
        causes = [names[k] for k in pa]
        if problem["family"] == "table":
            mechanisms[names[j]] = ck.mechanisms.table(dict.fromkeys(causes, LEVELS), problem["tables"][j])
        elif problem["family"] == "linear" or not causes:
            slopes = problem["slopes"][j].tolist() if causes else []
            mechanisms[names[j]] = ck.linear(dict(zip(causes, slopes, strict=True)), scale=problem["scale"][j])
        else:
            mechanisms[names[j]] = ck.additive(causes, Perceptron(*map(torch.from_numpy, problem["nets"][j])))
    scm = ck.SCM(mechanisms)
    return {
        "sample": lambda n, seed: scm.sample(n, seed=seed),
        "counterfactual": lambda data: scm.counterfactual(data, {"x0": 0.0}),
        "log_prob": scm.log_prob,
    }


def sempler(problem: dict) -> Verbs:
    """sempler.LGANM: draws from the joint normal distribution, the one that weights and variances imply."""
    import sempler as library

    d = problem["d"]
    model = library.LGANM(problem["weights"], means=np.zeros(d), variances=problem["scale"] ** 2)
    return {"sample": lambda n, seed: model.sample(n, random_state=seed)}


def sempler_anm(problem: dict) -> Verbs:
    """sempler.ANM: any functions, one variable after the other."""
    import sempler as library
    import sempler.noise

    d, parents, adjacency = problem["d"], problem["parents"], np.zeros((problem["d"], problem["d"]))
    for j, pa in enumerate(parents):
        adjacency[pa, j] = 1
    if problem["family"] == "linear":
        functions = [lambda x, w=w: x @ w for w in problem["slopes"]]
    else:
        functions = [network(net) for net in problem["nets"]]
    functions = [function if len(pa) else None for function, pa in zip(functions, parents, strict=True)]
    noise = [library.noise.normal(0, scale**2) for scale in problem["scale"]]
    model = library.ANM(adjacency, functions, noise)
    assert d == model.p
    return {"sample": lambda n, seed: model.sample(n, random_state=seed)}


def causally(problem: dict) -> Verbs:
    """causally.LinearModel on the same graph; it draws weights of its own, anew in every call."""
    from causally.graph.random_graph import CustomGraph
    from causally.scm.noise import Normal
    from causally.scm.scm import LinearModel

    adjacency, models = np.zeros((problem["d"], problem["d"])), {}
    for j, pa in enumerate(problem["parents"]):
        adjacency[pa, j] = 1

    def sample(n: int, seed: int) -> np.ndarray:
        np.random.seed(seed)
        return models[n].sample()[0]

    def prepare(n: int) -> None:
        models[n] = LinearModel(n, CustomGraph(adjacency), Normal(), min_abs_weight=0.0)

    return {"sample": sample, "prepare": prepare}


def dowhy(problem: dict) -> Verbs:
    """dowhy.gcm with additive noise models, whose functions are bare NumPy: the fastest that it can be given."""
    import networkx as nx
    from dowhy import gcm
    from dowhy.gcm.causal_mechanisms import AdditiveNoiseModel
    from dowhy.gcm.causal_models import PARENTS_DURING_FIT
    from dowhy.gcm.ml.prediction_model import PredictionModel
    from scipy import stats

    class Bare(PredictionModel):
        def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
            self.function = function

        def fit(self, X: np.ndarray, Y: np.ndarray) -> None: ...

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.function(X)[:, None]

        def clone(self) -> "Bare":
            return self

    names, graph = problem["names"], nx.DiGraph()
    graph.add_nodes_from(names)
    # its parents are sorted by name, so the mechanisms' inputs have to be
    order = [sorted(range(len(pa)), key=lambda i, pa=pa: names[pa[i]]) for pa in problem["parents"]]
    graph.add_edges_from((names[k], names[j]) for j, pa in enumerate(problem["parents"]) for k in pa)
    model = gcm.InvertibleStructuralCausalModel(graph)
    for j, pa in enumerate(problem["parents"]):
        noise = gcm.ScipyDistribution(stats.norm, loc=0, scale=problem["scale"][j])
        if problem["family"] == "linear":
            function = lambda x, w=problem["slopes"][j][order[j]]: x @ w  # noqa: E731
        else:
            first, bias, second = problem["nets"][j]
            function = network((first[order[j]], bias, second))
        model.set_causal_mechanism(names[j], AdditiveNoiseModel(Bare(function), noise) if len(pa) else noise)
        graph.nodes[names[j]][PARENTS_DURING_FIT] = [names[pa[i]] for i in order[j]]

    def sample(n: int, seed: int) -> object:
        np.random.seed(seed)
        return gcm.draw_samples(model, n)

    return {
        "sample": sample,
        "counterfactual": lambda data: gcm.counterfactual_samples(model, {"x0": lambda _: 0.0}, observed_data=data),
    }


def pgmpy(problem: dict) -> Verbs:
    """pgmpy: LinearGaussianBayesianNetwork draws from the joint normal, DiscreteBayesianNetwork forwards, by tables."""
    from pgmpy.factors.continuous import LinearGaussianCPD
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork

    names, linear = problem["names"], problem["family"] == "linear"
    model = (LinearGaussianBayesianNetwork if linear else DiscreteBayesianNetwork)()
    model.add_nodes_from(names)
    for j, pa in enumerate(problem["parents"]):
        causes = [names[k] for k in pa]
        model.add_edges_from((cause, names[j]) for cause in causes)
        if linear:
            cpd = LinearGaussianCPD(names[j], [0.0, *problem["slopes"][j]], problem["scale"][j], causes)
        else:
            columns = problem["tables"][j].reshape(-1, LEVELS).T
            cpd = TabularCPD(names[j], LEVELS, columns, causes or None, [LEVELS] * len(pa) or None)
        model.add_cpds(cpd)
    if linear:
        return {"sample": lambda n, seed: model.simulate(n, seed=seed), "log_prob": model.log_likelihood}
    return {"sample": lambda n, seed: model.simulate(n, seed=seed, show_progress=False)}


def profiler(problem: dict) -> Verbs:
    """causal-profiler: linear with additive Gaussian noise on the same graph; weights of its own, standard normal."""
    from causal_profiler import SCM, MechanismFamily, NoiseDistribution, NoiseMode, Variable

    variables = [Variable(name) for name in problem["names"]]
    model = SCM(variables, NoiseDistribution.GAUSSIAN, NoiseMode.ADDITIVE, [0.0, 1.0])
    for j, pa in enumerate(problem["parents"]):
        model.add_edges([(variables[k], variables[j]) for k in pa])
    for variable in variables:
        model.set_function(variable, MechanismFamily.LINEAR)

    def sample(n: int, seed: int) -> dict[str, np.ndarray]:
        np.random.seed(seed)
        return model.sample_data(n, batch_size=n)

    return {"sample": sample}


CONTENDERS = {f.__name__: f for f in
              (causalkit, floor, floor_torch, sempler, sempler_anm, causally, dowhy, pgmpy, profiler)}  # fmt: skip
PACKAGES = {"causalkit": "causalkit-lab", "floor": "numpy", "floor_torch": "torch", "sempler_anm": "sempler",
            "profiler": "causal-profiler"}  # fmt: skip
OWN_WEIGHTS = {("causally", "linear"), ("profiler", "linear")}


def law(values: object, names: list[str]) -> dict:
    """Mean [d] and covariance [d, d] of samples of whatever type."""
    if isinstance(values, dict):
        values = np.column_stack([values[name] for name in names])
    x = np.asarray(values[names] if hasattr(values, "columns") else values, dtype=float)
    return {"n": len(x), "mean": x.mean(0).tolist(), "covariance": np.cov(x.T).tolist()}


def answer(name: str, question: dict, built: dict) -> dict:
    """What sampling.py wants to know; models are built once a family and d, and kept."""
    family, d, n, verb = (question[key] for key in ("family", "d", "n", "verb"))
    if (family, d) not in built:
        problem = make_problem(family, d)
        built[family, d] = problem, CONTENDERS[name](problem)
    problem, verbs = built[family, d]
    if "prepare" in verbs:
        verbs["prepare"](n)
    if verb == "build":
        return {}
    if verb == "law":
        values = verbs["sample"](n, question["seed"])
        return law(values, problem["names"]) | {"version": version(PACKAGES.get(name, name))}
    if verb == "sample":
        arguments = (n, question["seed"])
    else:
        if built.get("data", [None])[0] != (family, d, n):
            built["data"] = (family, d, n), floor(problem)["sample"](n, 0)
        arguments = (built["data"][1],)
    # of one thread, the processor's time: the same as the clock's where nobody else wants the core
    clock = time.process_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter
    calls, start = 0, clock()
    while calls == 0 or clock() - start < question["seconds"]:
        verbs[verb](*arguments)
        calls += 1
    return {"seconds": (clock() - start) / calls}


def main() -> None:
    """Answers a question a line until there are no more."""
    replies, built = os.fdopen(os.dup(1), "w"), {}
    os.dup2(2, 1)  # what a library prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if "torch" in sys.modules or sys.argv[1] in ("causalkit", "floor_torch", "causally", "profiler", "pgmpy"):
        try:
            import torch

            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        except ImportError:
            pass
    for line in sys.stdin:
        try:
            reply = answer(sys.argv[1], json.loads(line), built)
        except MemoryError:
            reply = {"error": f"> {MEMORY / 2**30:.0f} GiB"}
        except Exception as error:  # whatever a peer raises is its result in that cell
            reply = {"error": f"{type(error).__name__}: {str(error)[:80]}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
