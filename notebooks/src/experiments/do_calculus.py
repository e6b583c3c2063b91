# %% [markdown]
# # Are identification and the rules of do-calculus ever wrong?
#
# Random causal graphs with hidden common causes, and random questions about each, of one kind: an `effect`
# P(y | do(x)), a `conditional` effect P(y | do(x), w), or one of the three `rules`. Each answer is held against exact
# enumeration of random SCMs of that graph, in which observed variables have two levels and hidden ones four; it uses
# none of the kit's graph algorithms.
#
# - **Yes** (a formula; a rule that applies) is wrong if the two sides differ by more than 1e-9 in one of three SCMs.
# - **No** (not identifiable) is wrong if the effect is a function of what is observed all the same. At a random SCM,
#   the gradient of the effect in the SCM's parameters is compared with those of P(observed): an effect that can move
#   while P(observed) stands still has a part outside their span. `free` is that part's share, and has to exceed 1e-6.
#   It is held against every yes, too: there it has to be 0, up to rounding.
# - **No** (a rule that does not apply) is wrong if the two sides agree, to 1e-9, in all three SCMs.
#
# Sources: Shpitser and Pearl (2006) and Huang and Valtorta (2006), by whom the algorithms are complete; Pearl (2009),
# theorem 3.4.1.

# %% tags=["parameters"]
question = "effect"  # "effect", "conditional" or "rules"
graphs = 30  # how many are drawn
variables = 6  # observed ones, at most; at least 4
seed = 0

# %%
import itertools

import numpy as np
import pandas as pd
import torch

import causalkit as ck
from causalkit.identification import Joint, NotIdentifiable, evaluate, identify
from causalkit.identification.verify import gap
from causalkit.seeds import integer, stream

QUESTIONS = ("effect", "conditional", "rules")
if question not in QUESTIONS:
    raise ck.errors.unknown("question", question, QUESTIONS)
if variables < 4:
    raise ValueError(f"variables={variables}: questions with x, y, z and w want variables=4 or more")
seeds = {"graphs": integer(seed, "graphs"), "tables": integer(seed, "tables")}
random, tables = (stream(value) for value in seeds.values())


# %%
def draw_logits(graph, levels=4):
    """Variable -> the logits of P(variable | its causes), an axis a cause and then its own."""
    count = {v: levels if hidden else 2 for v, hidden in graph.nodes(data="hidden")}
    return {v: torch.tensor(tables.normal(size=[*(count[p] for p in graph.predecessors(v)), count[v]])) for v in graph}


def law(graph, logits, do=()):
    """P(observed | do) with an axis a variable: along that of a `do` variable, the value that it is set to."""
    axis = {v: i for i, v in enumerate(graph)}
    factors = []
    for v in graph:
        causes = [axis[p] for p in graph.predecessors(v)]
        factors += (
            [torch.ones(2, dtype=torch.float64), [axis[v]]]
            if v in do
            else [torch.softmax(logits[v], -1), [*causes, axis[v]]]
        )
    return torch.einsum(*factors, [axis[v] for v, hidden in graph.nodes(data="hidden") if not hidden])


def conditional(names, joint, of, do=(), given=()):
    """P(of | do, given) from the law under the same do; axes of other variables have size 1."""
    rest = [i for i, v in enumerate(names) if v not in (*of, *do, *given)]
    joint = joint.sum(rest, keepdim=True) if rest else joint
    return joint / joint.sum([names.index(v) for v in of], keepdim=True)


def free(graph, names, of, do, given=()):
    """The share of the effect's gradient that is outside the span of the gradients of P(observed), at a random SCM."""
    logits = draw_logits(graph)
    told = lambda *parts: torch.cat(  # noqa: E731
        [
            law(graph, dict(zip(logits, parts))).flatten(),
            conditional(names, law(graph, dict(zip(logits, parts)), do), of, do, given).flatten(),
        ]
    )
    parts = torch.autograd.functional.jacobian(told, tuple(logits.values()), vectorize=True)
    gradients = torch.cat([part.flatten(1) for part in parts], 1)  # a row a number that is told
    seen, effect = gradients[: 2 ** len(names)], gradients[2 ** len(names) :]
    basis, size, _ = torch.linalg.svd(seen.T, full_matrices=False)
    basis = basis[:, size > 1e-9 * size[0]]
    size = effect.norm()
    return float((effect.T - basis @ (basis.T @ effect.T)).norm() / size) if size > 1e-12 else 0.0


# %% [markdown]
# ## The questions
#
# A graph has four observed variables or more, any density, and up to five hidden common causes. The sets y, x, w and z
# are drawn, with one variable or more each; for a rule, x and w are left empty two times in five each.


# %%
def ask_rule(graph, names, rule, y, x, w, z):
    """Whether the rule applies, and how far its sides differ."""
    answer = ck.do_rules.applies(graph, rule, y, x, z, w)
    done, seen, after = {1: ((), z, ()), 2: (z, (), z), 3: (z, (), ())}[rule]
    gaps = []
    for _ in range(3):
        logits = draw_logits(graph)
        left = conditional(names, law(graph, logits, (*x, *done)), y, (*x, *done), (*seen, *w))
        right = conditional(names, law(graph, logits, x), y, x, (*after, *w))
        gaps.append(float((left - right).abs().max()))
    return bool(answer), max(gaps), None


def ask_effect(graph, names, y, x, w):
    """Whether the effect is identifiable, how far the formula is off, and how far the effect is free."""
    try:
        answer = identify(graph, y, x, w or None)
    except NotIdentifiable:
        return False, None, free(graph, names, y, x, w)
    gaps = []
    for _ in range(3):
        logits = draw_logits(graph)
        truth = conditional(names, law(graph, logits, x), y, x, w)
        found = evaluate(answer.expression, Joint(tuple(names), law(graph, logits).numpy()))
        gaps.append(gap(found, Joint(tuple(names), truth.numpy())))
    return True, max(gaps), free(graph, names, y, x, w)


# %%
rows = []
for number in range(graphs):
    size, key = int(random.integers(4, variables + 1)), int(random.integers(2**31))
    plain = ck.graphs.erdos_renyi(size, random.uniform(1, size - 1), seed=key)
    graph = ck.graphs.confounded(plain, int(random.integers(0, 6)), seed=key)
    names = list(plain)
    sizes = 1 + random.multinomial(min(size - 4, 2), [0.25] * 4)
    order = random.permutation(names).tolist()
    y, x, w, z = (tuple(order[a:b]) for a, b in itertools.pairwise([0, *np.cumsum(sizes)]))
    if question == "rules":
        x, w = (part if random.random() < 0.6 else () for part in (x, w))
    for rule in (1, 2, 3) if question == "rules" else (0,):
        row = {"graph": number, "rule": rule, "y": y, "x": x, "w": w, "z": z, "edges": list(graph.edges)}
        try:
            answer = (
                ask_rule(graph, names, rule, y, x, w, z)
                if rule
                else ask_effect(graph, names, y, x, w if question == "conditional" else ())
            )
            row |= dict(zip(("yes", "off", "free"), answer)) | {"raised": ""}
        except Exception as error:  # none is expected, and each is counted
            row |= {"yes": None, "off": None, "free": None, "raised": repr(error)}
        rows.append(row)
table = pd.DataFrame(rows)

# %%
known, failed = table[table["raised"] == ""], table[table["raised"] != ""]
yes, no = known[known["yes"].astype(bool)], known[~known["yes"].astype(bool)]
wrong_yes = yes[~((yes["off"].astype(float) < 1e-9) & (yes["free"].astype(float).fillna(0.0) < 1e-6))]
wrong_no = no[
    ~((no["off"] if question == "rules" else no["free"]).astype(float) > (1e-9 if question == "rules" else 1e-6))
]
evidence = no["off"] if question == "rules" else no["free"]
largest, least = float(yes["off"].max()), float(evidence.min())
told = "sides that differ by" if question == "rules" else "a share of the gradient that is free,"
print(
    f"{len(table)} questions on {graphs} graphs: {len(yes)} times yes, {len(no)} times no. Wrong: {len(wrong_yes)} yes, "
    f"{len(wrong_no)} no; raised: {len(failed)}. The largest error of a yes: {largest:.1e}. A no has {told} "
    f"at least {least:.1e}."
)
for _, row in pd.concat([wrong_yes, wrong_no, failed]).iterrows():
    print(row.to_dict())

# %%
metric = ck.runs.metric
ck.runs.record(
    {
        "wrong": metric(len(wrong_yes) + len(wrong_no), "answers", unit="answers", better="lower", truth=0.0),
        "wrong_yes": metric(
            len(wrong_yes), "formulas that are off, rules that do not hold", unit="answers", better="lower"
        ),
        "wrong_no": metric(len(wrong_no), "refused, though it can be had", unit="answers", better="lower"),
        "raised": metric(len(failed), "any other error", unit="answers", better="lower"),
        "asked": metric(len(table), "questions", unit="answers"),
        "yes": metric(len(yes), "a formula, or a rule that applies", unit="answers"),
        "no": metric(len(no), "not identifiable, or a rule that does not apply", unit="answers"),
        "largest_error": metric(largest, "of a yes, in probability", unit="probability", better="lower"),
        "least_evidence": metric(least, "for a no: difference of the sides, or free share of the gradient", unit="1"),
    },
    seeds=seeds,
)
