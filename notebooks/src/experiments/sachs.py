# %% [markdown]
# # What does a discovery method find in Sachs' cells, and does it help to use the interventions?
#
# 7,466 cells, eleven proteins and lipids, nine conditions (Sachs et al. 2005): one observational (853 cells), the others
# stimulated or inhibited. The graph is held against the consensus of 17 edges, the biologists' best knowledge rather
# than a certain truth: an **empty graph has SHD 17**, so few edges score well. Beside each method stands the mean SHD
# of 20 random DAGs with as many edges as it found. The consensus has no v-structure: from independences alone **none of
# its arrows can be told**, and its class (CPDAG) is all undirected. What orients one relies on more than these.
#
# `use` says what the method is given:
#
# - `"observational"`: the one condition.
# - `"pooled"`: all cells as if nobody had done anything. Every mechanism's *level* moves between conditions, and all
#   that moves together looks joined.
# - `"centred"`: all cells, after each condition's own means are taken away: no levels, only what varies within.
# - `"environments"`: the conditions as environments, without a word of what was done. For `"pooled"`, which lets
#   mechanisms move, and for `"icp"`, which looks for causes of each variable that predict alike everywhere.
# - `"interventions"`: and told which mechanisms the chemistry should have changed (`ck.datasets.SACHS_EXPERIMENTS`).
#   `"pooled"` then lets these alone move; `"icp"` drops the conditions that changed its target.

# %% tags=["parameters"]
method = "cam"  # a key of ck.METHODS; for environments and interventions "pooled", "icp" or "icp_nonlinear"
use = "observational"  # "observational", "pooled", "centred", "environments" or "interventions"
scale = "log"  # "log" of the fluorescence; "raw"; or "standardised", after the logarithm
penalty = 1.0  # times the method's own price of an edge; a level alpha is divided by it
limit = 60.0  # seconds for the method
seed = 0  # of methods that draw, the order of columns and the random graphs

# %%
import inspect
import time

import networkx as nx
import numpy as np
import pandas as pd

import causalkit as ck
from causalkit.discovery.baselines import random_dag
from causalkit.seeds import integer

USES = ("observational", "pooled", "centred", "environments", "interventions")
for name, value, known in (
    ("use", use, USES), ("scale", scale, ("log", "raw", "standardised")), ("method", method, ck.METHODS),
):  # fmt: skip
    if value not in known:
        raise ck.errors.unknown(name, value, known)
seeds = {key: integer(seed, key) for key in ("method", "columns", "random")}
environments, truth = ck.load_sachs(log=scale != "raw")
names = list(truth.nodes)
draw = np.random.default_rng(seeds["columns"])
shuffled = draw.permutation(names)  # the order of columns must not help
environments = [ck.Environment(e.name, e.frame[shuffled]) for e in environments]
changes = {name: list(done.changes) for name, done in ck.datasets.SACHS_EXPERIMENTS.items() if done.changes}

frames = [environment.frame for environment in environments]
if use == "observational":
    frames = frames[:1]
elif use == "centred":
    frames = [frame - frame.mean() for frame in frames]
data = pd.concat(frames, ignore_index=True)
data = ck.standardise(data) if scale == "standardised" else data
print(f"{len(data)} cells, {use}, {scale}.")


# %%
def priced():
    """The method's price of an edge, if another than its own is asked for."""
    if penalty == 1.0:
        return {}
    known = inspect.signature(ck.METHODS[method]).parameters
    price = next((name for name in ("lambda_bic", "lambda_l1", "alpha") if name in known), None)
    if price is None:
        raise ValueError(f"method {method!r} has no price of an edge: leave penalty at 1")
    return {price: known[price].default * (1 / penalty if price == "alpha" else penalty)}


def learn(**options):
    """The graph from what `use` says, and for how many variables no set of causes is invariant (ICP alone)."""
    if use in USES[:3]:
        return ck.discover(data, method, seeds["method"], **options), None
    told = use == "interventions"
    if method not in ("icp", "icp_nonlinear"):
        more = {"changes": changes} if told else {}
        return ck.discover(environments, method, seeds["method"], **more, **options), None
    graph, rejected = nx.DiGraph(kind="cpdag"), 0
    graph.add_nodes_from(names)
    for target in names:
        fit = [e for e in environments if not (told and target in changes.get(e.name, ()))]
        found = ck.discover(fit, method, seeds["method"], target=target, **options)
        graph.add_edges_from(found.edges)
        rejected += not found.graph["valid"]
    return graph, rejected


# %% [markdown]
# ICP is asked for each variable in turn; the limit holds for each. A method that says no (a library of the extra
# `peers` that is not installed, one frame where environments are compared) has *refused*, with its reason.

# %%
learned, rejected, timed_out, refused = None, None, False, ""
options = priced()
if method not in ("icp", "icp_nonlinear") and use in USES[:3]:
    try:
        ck.discover(data.iloc[:, :2], method)  # the first call pays for imports; not timed
    except ValueError as why:
        refused = str(why)
clock = time.perf_counter()
try:
    learned, rejected = learn(limit=limit, **options) if not refused else (None, None)
except ck.discovery.DiscoveryTimeout as late:
    learned, timed_out = late.best, True
except (ValueError, MemoryError) as why:
    refused = str(why)
seconds = time.perf_counter() - clock


# %%
draws = np.random.default_rng(seeds["random"])
scores = {"timed_out": timed_out, "refused": bool(refused), "rejected_targets": rejected}
scores |= {} if refused else {"seconds": seconds}
if learned is not None and learned.graph["kind"] == "pag":  # of its marks, only what it joins compares with a DAG
    scores["skeleton_f1"] = ck.compare(nx.DiGraph(learned.to_undirected(), kind="cpdag"), truth)["skeleton_f1"]
elif learned is not None:
    scores |= dict(ck.compare(learned, truth))
    scores["sid"] = scores.get("sid_mistakes")
    scores["correct"] = sum(edge in truth.edges and edge[::-1] not in learned.edges for edge in learned.edges)
if learned is not None:
    scores["edges_found"] = learned.to_undirected().number_of_edges()
    guesses = [random_dag(names, scores["edges_found"], draws) for _ in range(20)]
    scores["shd_random"] = np.mean([ck.compare(guess, truth)["shd_cpdag"] for guess in guesses])
print(f"{method}:", "timed out" if timed_out else f"refused, {refused}" if refused else f"{seconds:.2f} s")
if "shd_cpdag" in scores:
    print(
        f"{scores['edges_found']} edges, {scores['correct']} of them with the consensus' arrow; {scores['shd_cpdag']:g} "
        f"pairs differ between the classes, {scores['shd_random']:.1f} at random, 17 for the empty graph."
    )
if rejected:
    print(f"For {rejected} of 11 variables no set of others, not even the true causes, predicts alike everywhere.")

# %%
about = {
    "shd_cpdag": ("pairs that differ from the consensus' class", "pairs", "lower"),
    "shd": ("pairs that differ from the consensus DAG; undirected against directed counts", "pairs", "lower"),
    "shd_random": ("pairs (CPDAG) that differ, mean of 20 random DAGs with as many edges as found", "pairs", None),
    "edges_found": ("joined pairs in the learned graph", "pairs", None),
    "correct": ("directed edges of the learned graph that the consensus has", "edges", "higher"),
    "missing": ("pairs that the consensus joins and the learned graph does not", "pairs", "lower"),
    "extra": ("pairs that the learned graph joins and the consensus does not", "pairs", "lower"),
    "reversed": ("arrows that point the other way", "pairs", "lower"),
    "skeleton_f1": ("F1 of joined pairs", "share", "higher"),
    "arrow_f1": ("F1 of arrows, against the consensus DAG", "share", "higher"),
    "parent_aid": ("share of effects wrong or left open, adjusting by parents", "share", "lower"),
    "sid": ("effects of 110 got wrong, where a DAG was learned", "effects", "lower"),
    "rejected_targets": ("variables of 11 for which ICP rejects every set of causes", "variables", None),
    "seconds": ("of discovery, wall clock", "seconds", "lower"),
    "timed_out": ("1: the method did not end within the limit", "runs", "lower"),
    "refused": ("1: the method said no", "runs", "lower"),
}
metrics = {}
for name, (meaning, unit, better) in about.items():
    value = scores.get(name)
    value = None if value is None or not np.isfinite(value) else float(value)
    again = not timed_out and name != "seconds"
    metrics[name] = ck.runs.metric(value, meaning, unit=unit, better=better, repeats=again)
ck.runs.record(metrics, seeds=seeds)
