# %% [markdown]
# # How much of a published network does a discovery method find?
#
# A network of the bnlearn repository (Scutari 2010), rows sampled from it, and one method; the learned graph is held
# against the published one, class against class (CPDAG). Unlike random graphs, these were built by experts or learned
# from other data: their tables are extreme, some of their variables are functions of others, and no one chose the
# weights so that they can be found. Graph and tables are fixed; the seed draws the rows and the order of the columns,
# the same for every method.
#
# **Columns that say nothing.** In a small sample a rare state may never occur, and some variables are copies of their
# parent by definition. A column that is constant, or a copy of another up to units, is left out of what the method sees,
# and comes back as a variable without edges: each true edge at it counts as missing, for every method alike.
# `left_out` is how many.
#
# `"empty"` and `"random"` (a random DAG with as many edges as the true one) need no data. `shd_random` is the mean SHD of 20
# random DAGs with as many edges as the method *found* (Petersen 2025).

# %% tags=["parameters"]
network = (
    "asia"  # a key of ck.networks.NETWORKS; those in ck.networks.GAUSSIAN are linear-Gaussian, the others discrete
)
method = "hill_climb"  # a key of ck.METHODS that reads such data, or "random"
rows = 1_000
limit = 60.0  # seconds for the method
seed = 0  # of the rows, the order of columns and the random graphs

# %%
import resource
import time

import networkx as nx
import numpy as np

import causalkit as ck
from causalkit.discovery.baselines import random_dag
from causalkit.graphs import adjacency, cpdag
from causalkit.seeds import integer

if method != "random" and method not in ck.METHODS:
    raise ck.errors.unknown("method", method, [*ck.METHODS, "random"])
seeds = {key: integer(seed, key) for key in ("data", "method", "random")}
scm = ck.load_network(network)
truth, names = scm.graph, list(scm.variables)
sample = scm.sample(rows, seed=seeds["data"])
true = truth.number_of_edges()

varying = [name for name in names if sample[name].nunique() > 1]
alike = np.abs(np.corrcoef(sample[varying].to_numpy(np.float64).T)) > 1 - 1e-10
kept = [name for j, name in enumerate(varying) if not alike[:j, j].any()]  # of copies, the first
print(f"{network}: {len(names)} variables, {true} edges. Left out: {sorted(set(names) - set(kept)) or 'none'}.")
frame = sample[np.random.default_rng(seeds["method"]).permutation(kept)]  # the order of columns must not help


# %%
def class_distance(graph):
    differ = adjacency(cpdag(graph), names) != adjacency(cpdag(truth), names)
    return np.triu(differ | differ.T).sum()


def used():
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)


# %% [markdown]
# The call, with its clock. The limit runs it in a process of its own, whose memory (the libraries are in it) is read
# once it has ended. A first call on the two columns with the fewest states pays for imports, and is not timed. A method
# that reads other data, or wants a library that is not installed, has *refused*, with its reason.

# %%
draw = np.random.default_rng(seeds["random"])
learned, timed_out, refused = None, False, ""
clock, before = time.perf_counter(), used()
try:
    if method == "random":
        learned = random_dag(names, true, draw)
    else:
        ck.discover(frame[sorted(frame, key=lambda name: frame[name].nunique())[:2]], method)
        clock, before = time.perf_counter(), used()
        learned = ck.discover(frame, method, seeds["method"], limit=limit)
except ck.discovery.DiscoveryTimeout as late:
    learned, timed_out = late.best, True
except (ValueError, MemoryError) as why:
    refused = str(why)
seconds, processor = time.perf_counter() - clock, used() - before
memory = None if method == "random" else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024

# %%
scores = {"timed_out": timed_out, "refused": bool(refused), "left_out": len(names) - len(kept)}
scores |= {} if refused else {"seconds": seconds, "cpu_seconds": processor, "memory_mib": memory}
if learned is not None:
    learned.add_nodes_from(names)  # those left out, without edges
    scores["edges_found"] = learned.to_undirected().number_of_edges()
if learned is not None and learned.graph["kind"] == "pag":  # of its marks, only what it joins compares with a DAG
    scores["skeleton_f1"] = ck.compare(nx.DiGraph(learned.to_undirected(), kind="cpdag"), truth)["skeleton_f1"]
elif learned is not None:
    scores |= dict(ck.compare(learned, truth))
    scores["shd_per_edge"] = scores["shd_cpdag"] / true
    scores["shd_random"] = np.mean([class_distance(random_dag(names, scores["edges_found"], draw)) for _ in range(20)])
    scores["arrow_f1"] = ck.compare(cpdag(learned), cpdag(truth))["arrow_f1"]
print(f"{method}:", "timed out" if timed_out else f"refused, {refused}" if refused else f"{seconds:.2f} s")
if "shd_per_edge" in scores:
    print(
        f"{true} true edges, {scores['edges_found']} found; {scores['shd_cpdag']:g} pairs differ between the classes, "
        f"{scores['shd_random']:.1f} at random."
    )

# %%
about = {
    "shd_cpdag": ("pairs that differ from the published class", "pairs", "lower"),
    "shd_per_edge": ("the same, for each published edge", "pairs / edge", "lower"),
    "shd_random": ("pairs that differ, mean of 20 random DAGs with as many edges as found", "pairs", None),
    "shd": ("pairs that differ from the published DAG", "pairs", "lower"),
    "skeleton_f1": ("F1 of joined pairs", "share", "higher"),
    "arrow_f1": ("F1 of arrows that data can orient", "share", "higher"),
    "parent_aid": ("share of effects wrong or left open, adjusting by parents", "share", "lower"),
    "edges_found": ("joined pairs in the learned graph", "pairs", None),
    "left_out": ("columns of the sample that are constant or copies", "columns", None),
    "seconds": ("of discovery, wall clock", "seconds", "lower"),
    "cpu_seconds": ("of discovery, processor time", "seconds", "lower"),
    "memory_mib": ("peak of the method's process, libraries and all", "MiB", "lower"),
    "timed_out": ("1: the method did not end within the limit", "runs", "lower"),
    "refused": ("1: the method said no", "runs", "lower"),
}
chosen = method if learned is None else learned.graph.get("chosen", method)
settled = not timed_out and not (chosen == "flop" and len(kept) >= 50)  # FLOP takes no seed, and is run once from 50 on
metrics = {}
for name, (meaning, unit, better) in about.items():
    value = scores.get(name)
    value = None if value is None or not np.isfinite(value) else float(value)
    again = name == "left_out" or (settled and name not in ("seconds", "cpu_seconds", "memory_mib", "timed_out"))
    metrics[name] = ck.runs.metric(value, meaning, unit=unit, better=better, repeats=again)
ck.runs.record(metrics, seeds=seeds)
