# %% [markdown]
# # What does a discovery method do with a hidden common cause?
#
# A random SCM over observed variables, and hidden common causes of some pairs that no edge joins; a sample, and one
# method of `ck.METHODS`. No arrow joins the two of such a *confounded pair*, yet they are dependent whatever is
# conditioned on. A method that assumes there are no hidden causes has no word for that; FCI, which allows them, has: an
# edge with an arrowhead at both ends.
#
# For each confounded pair it is counted how the method joins it: by an **arrow** (one causes the other: wrong), a
# **line** (of a CPDAG: one causes the other, data do not say which: wrong too; of a PAG, circles at both ends: nothing
# is claimed), **half** (a PAG's o->: the second does not cause the first), or **both-headed** (neither causes the
# other: right).
#
# > **Assumptions.** `hidden = 0` is the control. Each hidden cause has two effects and unit scale like all other
# > variables, and is as strong as they are. Graph and mechanisms hang on the seed; those of `hidden = 2` are not
# > those of `hidden = 4` less two.

# %% tags=["parameters"]
method = "fci"  # a key of ck.METHODS that reads one frame of numbers
hidden = 2  # hidden common causes, each of one pair that no edge joins
variables = 10  # observed ones
degree = 2.0  # expected observed neighbours of a variable
mechanism = "linear"  # a key of ck.MECHANISMS
noise = "gaussian"  # a key of ck.mechanisms.NOISES
rows = 1_000
seed = 0  # graph, data and method have streams derived from it

# %%
from itertools import combinations

import numpy as np

import causalkit as ck
from causalkit.graphs import project
from causalkit.seeds import integer

seeds = {key: integer(seed, key) for key in ("graph", "data", "method")}
bare = ck.random_scm(variables, degree=degree, mechanism="linear", seed=seeds["graph"]).graph
world = ck.graphs.confounded(bare, hidden, bow_free=True, seed=seeds["graph"])
scm = ck.random_scm(graph=world, mechanism=mechanism, noise=noise, seed=seeds["graph"])
frame = scm.sample(rows, seed=seeds["data"])
frame = frame[np.random.default_rng(seeds["data"]).permutation(frame.columns)]  # their order must not help
truth, confounded = project(scm.graph)
learned = ck.discover(frame, method, seeds["method"], limit=60.0)


# %%
def joined_by(a, b):
    """How the learned graph joins a pair: None, "arrow", "line", "half" or "both"."""
    forth, back = learned.get_edge_data(a, b), learned.get_edge_data(b, a)
    if forth is None and back is None:
        return None
    if forth is None or back is None:
        return "arrow"
    heads = [forth.get("mark_a"), forth.get("mark_b")].count("arrow")  # a line of a CPDAG has no marks
    return ("line", "half", "both")[heads]


true_edges = {frozenset(edge) for edge in truth.edges}
ways = {frozenset(pair): joined_by(*pair) for pair in combinations(truth, 2)}
found = [ways[pair] for pair in confounded]
others = [way for pair, way in ways.items() if pair not in confounded and pair not in true_edges]
heads = [pair for pair, way in ways.items() if way == "both"]
share = {way: found.count(way) / len(found) if found else None for way in ("arrow", "line", "half", "both")}
print(f"{method}, a {learned.graph['kind']}: {len(truth.edges)} true edges, {len(confounded)} confounded pairs.")
print("They are joined by: " + (", ".join(str(way) for way in found) or "none there") + ".")
print(f"Of {len(others)} pairs with neither edge nor hidden cause, it joins {sum(way is not None for way in others)}.")

# %% [markdown]
# The distance (SHD) takes a confounded pair for wrong whatever a DAG or CPDAG says of it, and an undirected edge for
# wrong too; for a graph with marks it is not defined. So that FCI can be held beside the rest, true edges that are
# missing and innocent pairs that are joined are counted for all.

# %%
metric, pag = ck.runs.metric, learned.graph["kind"] == "pag"
again = method != "flop" or variables < 50
ck.runs.record(
    {
        "joined": metric(
            sum(share.values()) if found else None, "share of confounded pairs that are joined", unit="share"
        ),
        "as_arrow": metric(share["arrow"], "joined by an arrow from one to the other", unit="share", better="lower"),
        "as_line": metric(share["line"], "by an undirected edge, or circles at both ends", unit="share"),
        "as_half": metric(share["half"], "by an arrowhead at one end and a circle at the other", unit="share"),
        "both_headed": metric(share["both"], "by arrowheads at both ends", unit="share", better="higher", truth=1),
        "heads_right": metric(
            np.mean([pair in confounded for pair in heads]) if heads else None,
            "of the edges with both heads, those of confounded pairs",
            unit="share",
            better="higher",
        ),
        "shd": metric(
            None if pag else ck.compare(learned, scm.graph)["shd"],
            "pairs that differ from the true graph, all confounded ones among them",
            unit="pairs",
            better="lower",
            repeats=again,
        ),
        "missing": metric(
            sum(ways[pair] is None for pair in true_edges), "true edges not joined", unit="pairs", better="lower"
        ),
        "extra": metric(
            sum(way is not None for way in others), "innocent pairs that are joined", unit="pairs", better="lower"
        ),
    },
    seeds=seeds,
)
