# %% [markdown]
# # How much of a known graph does a discovery method find?
#
# A random SCM, a sample, and one method of `ck.METHODS`; the learned graph is held against the true one. Graph,
# mechanisms, rows and the order of the columns hang on the seed alone, so every method sees the same data.
#
# - **Edges**: pairs that differ between the two classes (`shd_cpdag`), the F1 of joined pairs and of the arrows that
#   data can orient, and what a mask of possible parents, built on the learned graph, hides and shows.
# - **Effects**: the share of causal effects got wrong, or left open, by adjusting for the learned graph's parents or
#   its optimal set (Henckel et al. 2024). A perfect CPDAG leaves some open: 0 is out of reach for data alone.
# - **Floors**: `"empty"`, `"random_order"`, `"var_sort"`, `"r2_sort"` are methods of the kit; `"random"` is a random DAG
#   with as many edges as the true one. Beside every method stands `shd_random`, the mean SHD of 20 random DAGs with as
#   many edges as it *found* (Petersen 2025): a sparse guess scores well, whatever it is a guess of.
# - **Whose error is it?** `bic_gap` below 0 says that the sample itself prefers the learned graph to the true one.
# - **Does the scale tell?** Sortability of the data (Reisach et al. 2021, 2023): near 0.5 sorting tells nothing.
#
# A method that does not end within `limit` seconds has *timed out*: its best graph until then is scored, where it
# reports one. A method that says no (too few rows, a library that is not installed) has *refused*, with its reason.

# %% tags=["parameters"]
method = "flop"  # a key of ck.METHODS that reads one frame of numbers, or "random"
graph = "erdos_renyi"  # or "scale_free"
variables = 10
degree = 2.0  # expected neighbours of a variable
mechanism = "linear"  # "linear", "mlp", "gp" or "polynomial" (quadratic)
noise = "gaussian"  # "gaussian", "laplace" or "uniform"
standardise = "internal"  # "raw"; "standardised", after sampling; "internal", as each variable is made
rows = 1_000
penalty = 1.0  # times the method's own price of an edge; a level alpha is divided by it
limit = 60.0  # seconds for the method
seed = 0  # graph, data and columns have streams derived from it

# %%
import inspect
import resource
import time

import networkx as nx
import numpy as np

import causalkit as ck
from causalkit.discovery.baselines import random_dag
from causalkit.discovery.linear import bic
from causalkit.graphs import adjacency, cpdag
from causalkit.seeds import integer

seeds = {key: integer(seed, key) for key in ("graph", "data", "method")}
scales = {"raw": None, "standardised": None, "internal": "internal"}
if standardise not in scales:
    raise ck.errors.unknown("standardise", standardise, scales)
scm = ck.random_scm(
    variables, degree=degree, graph=graph, mechanism=mechanism, noise=noise, standardise=scales[standardise],
    seed=seeds["graph"],
)  # fmt: skip
sample = scm.sample(rows, seed=seeds["data"])
sample = ck.standardise(sample) if standardise == "standardised" else sample
names, truth = list(scm.variables), scm.graph
draw = np.random.default_rng(seeds["method"])
frame = sample[draw.permutation(names)]  # the order of columns must not help

# %% [markdown]
# The call, with its clock. The limit runs it in a process of its own, whose memory (the libraries are in it) is read
# once it has ended. A first call on two columns pays for imports, and is not timed.


# %%
def used():
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)


options = {}
if penalty != 1.0:
    known = inspect.signature(ck.METHODS[method]).parameters if method in ck.METHODS else {}
    price = next((name for name in ("lambda_bic", "lambda_l1", "alpha") if name in known), None)
    if price is None:
        raise ValueError(f"method {method!r} has no price of an edge: leave penalty at 1")
    options = {price: known[price].default * (1 / penalty if price == "alpha" else penalty)}

learned, timed_out, refused = None, False, ""
if method != "random" and method not in ck.METHODS:
    raise ck.errors.unknown("method", method, [*ck.METHODS, "random"])
clock, before = time.perf_counter(), used()
try:
    if method == "random":
        learned = random_dag(names, truth.number_of_edges(), draw)
    else:
        ck.discover(frame.iloc[:, :2], method, **options)
        clock, before = time.perf_counter(), used()
        learned = ck.discover(frame, method, limit=limit, **options)
except ck.discovery.DiscoveryTimeout as late:
    learned, timed_out = late.best, True
except (ValueError, MemoryError) as why:
    refused = str(why)
seconds, processor = time.perf_counter() - clock, used() - before
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 if method != "random" else None

# %%
scores = {} if refused else {"seconds": seconds, "cpu_seconds": processor, "memory_mib": memory}
scores |= {"timed_out": timed_out, "refused": bool(refused)}
true, moments = adjacency(truth, names) != 0, np.cov(sample[names].T, bias=True)


def class_distance(graph):
    differ = adjacency(cpdag(graph), names) != adjacency(cpdag(truth), names)
    return np.triu(differ | differ.T).sum()


def price_of(graph):
    place = {name: i for i, name in enumerate(names)}
    return bic([(place[a], place[b]) for a, b in cpdag(graph).edges], moments, rows, 2.0)


if learned is not None:
    scores["edges_found"] = joined = learned.to_undirected().number_of_edges()
if learned is not None and learned.graph["kind"] == "pag":  # of its marks, only what it joins compares with a DAG
    skeleton = nx.DiGraph(learned.to_undirected(), kind="cpdag")
    scores["skeleton_f1"] = ck.compare(skeleton, truth)["skeleton_f1"]
elif learned is not None:
    found = adjacency(learned, names) != 0
    scores |= dict(ck.compare(learned, truth))
    scores |= {"mask_missing": (true & ~found).sum() / variables, "mask_extra": (found & ~true).sum() / variables}
    scores["shd_per_edge"] = scores["shd_cpdag"] / max(true.sum(), 1)
    scores["shd_random"] = np.mean([class_distance(random_dag(names, joined, draw)) for _ in range(20)])
    scores["arrow_f1"] = ck.compare(cpdag(learned), cpdag(truth))["arrow_f1"]
    if mechanism == "linear" and learned.graph.get("valid", True):
        scores["bic_gap"] = price_of(learned) - price_of(truth)
try:
    scores |= {f"{name}_sortability": value for name, value in ck.sortability(sample, truth).items()}
except ValueError as why:
    print("No sortability:", why)

print(f"{method}:", "timed out" if timed_out else f"refused, {refused}" if refused else f"{seconds:.2f} s")
print(f"{true.sum()} true edges, {scores.get('edges_found', 'none')} found.")
if "shd_per_edge" in scores:
    print(f"{scores['shd_cpdag']:g} pairs differ between the classes; {scores['shd_random']:.1f} at random.")

# %%
chosen = method if learned is None else learned.graph.get("chosen", method)
again = not timed_out and not (chosen == "flop" and variables >= 50)  # FLOP takes no seed, and is run once from 50 on
about = {
    "shd_cpdag": ("pairs that differ from the true class", "pairs", "lower"),
    "shd_per_edge": ("the same, for each true edge", "pairs / edge", "lower"),
    "shd_random": ("pairs that differ, mean of 20 random DAGs with as many edges as found", "pairs", None),
    "shd": ("pairs that differ from the true DAG", "pairs", "lower"),
    "reversed": ("arrows that point the wrong way", "pairs", "lower"),
    "skeleton_f1": ("F1 of joined pairs", "share", "higher"),
    "arrow_f1": ("F1 of arrows that data can orient", "share", "higher"),
    "parent_aid": ("share of effects wrong or left open, adjusting by parents", "share", "lower"),
    "oset_aid": ("share of effects wrong or left open, adjusting by the optimal set", "share", "lower"),
    "sid": ("share of effects wrong, where a DAG was learned", "share", "lower"),
    "mask_missing": ("true causes that a mask of possible parents hides, a variable", "causes", "lower"),
    "mask_extra": ("others that such a mask shows, a variable", "variables", "lower"),
    "edges_found": ("joined pairs in the learned graph", "pairs", None),
    "bic_gap": ("BIC of the learned graph minus that of the true one", "BIC", None),
    "var_sortability": ("of the data: share of paths that variance sorts", "share", None),
    "r2_sortability": ("of the data: share of paths that R2 sorts", "share", None),
    "relatives_sortability": ("of the data: share of paths that the number of relatives sorts", "share", None),
    "seconds": ("of discovery, wall clock", "seconds", "lower"),
    "cpu_seconds": ("of discovery, processor time", "seconds", "lower"),
    "memory_mib": ("peak of the method's process, libraries and all", "MiB", "lower"),
    "timed_out": ("1: the method did not end within the limit", "runs", "lower"),
    "refused": ("1: the method said no", "runs", "lower"),
}
metrics = {}
for name, (meaning, unit, better) in about.items():
    value = scores.get(name)
    value = None if value is None or not np.isfinite(value) else float(value)
    repeats = "sortability" in name or (again and name not in ("seconds", "cpu_seconds", "memory_mib", "timed_out"))
    target = true.sum() if name == "edges_found" else None
    metrics[name] = ck.runs.metric(value, meaning, unit=unit, better=better, truth=target, repeats=repeats)
ck.runs.record(metrics, seeds=seeds)
