# %% [markdown]
# # Does the scale of simulated data give the causal order away?
#
# In most simulated DAGs variance grows along the causal order, and so does the share of a variable's variance that all
# others explain ($R^2$). A benchmark on such data can be won by sorting. *Sortability* is the share of directed paths
# $i \to \dots \to j$ for which the sorting score of $j$ exceeds that of $i$ (ties count half): 1/2 is no information, 1
# is the whole order. Variances within 1e-9 of each other count as ties, as in the authors' first implementation. Measured here by the authors' own library, CausalDisco, on their generator: $k d$ edges placed
# uniformly (ER-$k$), weights $\pm U(0.5, 2)$, Gaussian noise whose scale is uniform on `[noise_low, noise_high]`.
#
# `scale` says what is done to the data: `"raw"`; `"standardised"` afterwards, which $R^2$ does not notice; `"internal"`,
# each variable as it is made (iSCM). `graph = "chain"` is the library's example, for which the answer is known in
# closed form: ten variables, unit weights, $\mathrm{Var}(x_k) = k$, so variance sorts every path; $R^2_k = 1 - 1/(2k)$
# but for the last, where it is $1 - 1/10$, less than that of its four forerunners and equal to that of $x_5$: 40.5 of 45.
#
# Sources: Reisach, Seiler and Weichwald (2021), section 3.1, generator from their `VarsortabilityExperimentSuite`;
# Reisach et al. (2023), equation 3; iSCM: Ormaniec et al. (2025), algorithm 1.

# %% tags=["parameters"]
graph = "er"  # "er", or "chain" for the closed form
variables = 20  # read for "er"
edges = 2  # expected edges a variable, k of ER-k: the mean number of neighbours is 2 k
scale = "raw"  # "raw", "standardised" or "internal"
noise_low = 0.5  # least standard deviation of the noise
noise_high = 2.0  # greatest
rows = 1_000
seed = 0  # graph and data streams are derived from it

# %%
import networkx as nx
import numpy as np
from CausalDisco.analytics import r2_sortability, relatives_sortability, var_sortability
from CausalDisco.baselines import r2_sort_regress, var_sort_regress

import causalkit as ck
from causalkit.seeds import integer

for name, value, known in (("graph", graph, ("er", "chain")), ("scale", scale, ("raw", "standardised", "internal"))):
    if value not in known:
        raise ck.errors.unknown(name, value, known)
seeds = {"graph": integer(seed, "graph"), "data": integer(seed, "data")}
draw, noise = np.random.default_rng(seeds["graph"]), np.random.default_rng(seeds["data"])
if graph == "chain":
    weights, sd = np.diag(np.ones(9), 1), np.ones(10)
else:
    pairs = nx.to_numpy_array(nx.gnm_random_graph(variables, edges * variables, seed=seeds["graph"]))
    shape = (variables, variables)
    order = draw.permutation(variables)  # so that columns do not stand in causal order
    weights = np.triu(pairs) * draw.uniform(0.5, 2, shape) * draw.choice([-1, 1], shape)
    weights, sd = weights[np.ix_(order, order)], draw.uniform(noise_low, noise_high, variables)

# %%
truth = nx.relabel_nodes(nx.from_numpy_array(weights != 0, create_using=nx.DiGraph), lambda i: f"x{i + 1}")
frame = np.zeros((rows, len(weights)))
for j in nx.topological_sort(nx.from_numpy_array(weights != 0, create_using=nx.DiGraph)):
    frame[:, j] = frame @ weights[:, j] + sd[j] * noise.standard_normal(rows)
    if scale == "internal":
        frame[:, j] = (frame[:, j] - frame[:, j].mean()) / frame[:, j].std()
if scale == "standardised":
    frame = (frame - frame.mean(0)) / frame.std(0)


# %%
def mistakes(learned):
    """Pairs of the CPDAG that differ from the truth, for a matrix of weights."""
    names = list(truth.nodes)
    found = ck.graphs.dag([(names[i], names[j]) for i, j in np.argwhere(learned != 0)], names)
    return ck.compare(found, truth)["shd_cpdag"]


var = var_sortability(frame, weights, tol=1e-9)
r2, relatives = r2_sortability(frame, weights), relatives_sortability(frame, weights)
print(f"Of all directed paths, variance sorts {var:.1%}, R2 sorts {r2:.1%}, the number of relatives {relatives:.1%}.")

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "var_sortability": metric(var, "share of paths that variance sorts", unit="share"),
        "r2_sortability": metric(r2, "share of paths that R2 sorts", unit="share"),
        "relatives_sortability": metric(
            relatives, "share of paths sorted by the number of correlated others", unit="share"
        ),
        "var_sort_shd": metric(
            mistakes(var_sort_regress(frame)),
            "wrong pairs (CPDAG), variance sorted and regressed",
            unit="pairs",
            better="lower",
        ),
        "r2_sort_shd": metric(mistakes(r2_sort_regress(frame)), "the same, sorted by R2", unit="pairs", better="lower"),
        "empty_shd": metric(truth.number_of_edges(), "wrong pairs of the graph without edges", unit="pairs"),
    },
    seeds=seeds,
)
