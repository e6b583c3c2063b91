"""The rules of do-calculus: right in both directions on random SCMs, paths that are shortest, and bad input named."""

import itertools

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.do_rules import applies, describe_path, mutilated, open_path
from causalkit.do_rules.paths import tex
from causalkit.graphs import confounded, erdos_renyi, parse, textbook


def admg(random, most=5):
    """A random DAG of 3 or more observed variables with up to two hidden common causes."""
    size = int(random.integers(3, most + 1))
    seed = int(random.integers(2**31))
    graph = erdos_renyi(size, float(random.uniform(0.5, size - 1)), seed=seed)
    return confounded(graph, int(random.integers(0, 3)), seed=seed)


def observed(graph):
    return [v for v, hidden in graph.nodes(data="hidden") if not hidden]


def logits(graph, random, levels=2):
    """Node -> random logits [levels of its parents ..., own levels]; hidden variables have `levels`, others two."""
    count = {v: levels if hidden else 2 for v, hidden in graph.nodes(data="hidden")}
    return {
        v: torch.tensor(random.normal(size=[*(count[p] for p in graph.predecessors(v)), count[v]])) for v in graph.nodes
    }


def law(graph, given_logits, do=()):
    """P(v | do) of the observed v, an axis a variable; along that of a do variable, the value that it is set to."""
    axis = {v: i for i, v in enumerate(graph.nodes)}
    factors = []
    for v, table in given_logits.items():
        if v not in do:
            factors += [torch.softmax(table, -1), [axis[p] for p in graph.predecessors(v)] + [axis[v]]]
    for v in do:
        factors += [torch.ones(2, dtype=torch.float64), [axis[v]]]
    return torch.einsum(*factors, [axis[v] for v in observed(graph)])


def conditional(graph, joint, of, do=(), given=()):
    """P(of | do, given) from `law` under the same do, with an axis a variable; of size 1 where it does not matter."""
    names = observed(graph)
    rest = [i for i, v in enumerate(names) if v not in {*of, *do, *given}]
    joint = joint.sum(rest, keepdim=True) if rest else joint
    return joint / joint.sum([names.index(v) for v in of], keepdim=True)


def differ(graph, rule, random, draws=2):
    """The largest difference of a rule's two sides over some SCMs."""
    z_done, z_seen = {1: ((), rule.z), 2: (rule.z, ()), 3: (rule.z, ())}[rule.rule]
    after_seen = rule.z if rule.rule == 2 else ()
    found = []
    for _ in range(draws):
        tables = logits(graph, random)
        left, right = (
            conditional(graph, law(graph, tables, (*rule.x, *done)), rule.y, (*rule.x, *done), (*seen, *rule.w))
            for done, seen in ((z_done, z_seen), ((), after_seen))
        )
        found.append(float((left - right).abs().max()))
    return max(found)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_rule_applies_exactly_where_its_sides_are_equal(number):
    random, counts = np.random.default_rng(number), {True: 0, False: 0}
    for _ in range(250):
        graph = admg(random)
        names = random.permutation(observed(graph)).tolist()
        sizes = random.multinomial(len(names) - 2, [0.15, 0.25, 0.3, 0.3]) + np.array([1, 1, 0, 0])
        y, z, x, w = (names[a:b] for a, b in itertools.pairwise([0, *np.cumsum(sizes)]))
        rule = applies(graph, number, y, x, z, w)
        gap = differ(graph, rule, random)
        assert gap < 1e-12 if rule else gap > 1e-7, (rule.equation, list(graph.edges), gap)
        counts[bool(rule)] += 1
    assert min(counts.values()) > 40, counts


def is_open(graph, path, given):
    """By the definition (Pearl 2009, 1.2.3)."""
    for a, v, b in zip(path, path[1:], path[2:], strict=False):
        collider = graph.has_edge(a, v) and graph.has_edge(b, v)
        if collider != bool({v, *nx.descendants(graph, v)} & set(given)) if collider else v in given:
            return False
    return True


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_the_open_path_is_a_shortest_one_and_there_is_none_where_networkx_separates(number):
    random = np.random.default_rng(number)
    graph = admg(random)
    x, y, *rest = random.permutation(list(graph))
    given = rest[: int(random.integers(0, len(rest) + 1))]
    path = open_path(graph, x, y, given)
    assert bool(path) != nx.is_d_separator(graph, {x}, {y}, set(given))
    lengths = [len(p) for p in nx.all_simple_paths(graph.to_undirected(), x, y) if is_open(graph, p, given)]
    if path:
        assert (path[0], path[-1]) == (x, y) and len(path) == min(lengths) == len(set(path))
        assert list(path) in list(nx.all_simple_paths(graph.to_undirected(), x, y)) and is_open(graph, path, given)
    else:
        assert not lengths


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([1, 2, 3]))
def test_rules_do_not_mind_the_order_of_names_or_a_variable_that_touches_nothing(number, rule):
    random = np.random.default_rng(number)
    graph = admg(random)
    y, z, *w = random.permutation(observed(graph))
    one, other = applies(graph, rule, y, z=z, w=w), applies(graph, rule, [y], [], (z,), w[::-1])
    graph.add_node("aside")
    assert bool(one) == bool(other) == bool(applies(graph, rule, y, x="aside", z=z, w=w))
    assert applies(graph, 3, y, z="aside", w=w) and applies(graph, 1, y, z="aside", w=w)


def test_the_front_door_steps_of_the_textbook():
    graph = textbook("front_door")
    steps = [
        (2, {"y": "m", "z": "x"}, "P(m | do(x)) = P(m | x)"),
        (3, {"y": "x", "z": "m"}, "P(x | do(m)) = P(x)"),
        (2, {"y": "y", "z": "m", "w": "x"}, "P(y | do(m), x) = P(y | m, x)"),
        (2, {"y": "y", "x": "x", "z": "m"}, "P(y | do(x, m)) = P(y | do(x), m)"),
        (3, {"y": "y", "x": "m", "z": "x"}, "P(y | do(m, x)) = P(y | do(m))"),
    ]
    for rule, sets, equation in steps:
        found = applies(graph, rule, **sets)
        assert found and found.equation == equation and found.open_path == ()
    assert not applies(graph, 2, "y", z="x") and not applies(graph, 3, "y", z="x")
    assert not applies(graph, 2, "y", z="m")  # the back door through x is open until x is seen


def test_rule_3_keeps_the_arrows_into_causes_of_what_is_seen():
    graph = parse("z -> w; z <-> y")
    rule = applies(graph, 3, "y", z="z", w="w")
    assert not rule and rule.into == () and rule.open_path == ("z", "u_z_y", "y")
    assert "The arrows into z stay" in rule.why and rule.independence == "y ⊥ z | w in the graph as it is"
    assert applies(graph, 3, "y", z="z").into == ("z",)
    chain = parse("z -> x -> w; z <-> y")  # what is done to x cuts z off from w
    assert applies(chain, 3, "y", x="x", z="z", w="w") and not applies(chain, 3, "y", z="z", w="w")


def test_arrows_of_hidden_variables_are_cut_like_others():
    graph = parse("x -> h -> y; x <-> y")
    graph.nodes["h"]["hidden"] = True
    assert set(mutilated(graph, into=["x"]).edges) == {("x", "h"), ("h", "y"), ("u_x_y", "y")}
    assert set(mutilated(graph, out_of=["x"]).edges) == {("h", "y"), ("u_x_y", "x"), ("u_x_y", "y")}
    assert applies(graph, 3, "y", z="x").open_path == ("x", "h", "y")
    scm = ck.random_scm(graph=graph, mechanism="linear", seed=0)
    assert applies(scm, 2, "y", z="x").open_path == ("x", "u_x_y", "y")


def test_what_a_rule_says_in_words_and_in_latex():
    rule = applies(textbook("back_door"), 2, "y", z="x", w=["x4"])
    assert rule.sides == ("P(y | do(x), x4)", "P(y | x, x4)")
    assert rule.equation_latex == r"P(y \mid \operatorname{do}(x), x_{4}) = P(y \mid x, x_{4})"
    assert rule.independence_latex == r"(y \perp\!\!\!\perp x \mid x_{4})_{G_{\underline{x}}}"
    assert rule.why.endswith(
        "given x4: x <- x3 <- x1 -> x4 <- x2 -> x5 -> y (open at x4, where two arrows meet, since it is given)."
    )
    assert rule.independence_latex in rule._repr_markdown_() and rule.why in rule._repr_markdown_()
    assert applies(textbook("back_door"), 2, "y", z="x", w=["x3", "x4"]).why == (
        "Rule 2 (exchange of action and observation) applies. The graph without the arrows out of x joins x and y by "
        "no open path given x3, x4."
    )
    sprinkler = applies(textbook("sprinkler"), 1, "rain", x="season", z="sprinkler")
    assert sprinkler.independence_latex == (
        r"(\mathrm{rain} \perp\!\!\!\perp \mathrm{sprinkler} \mid \mathrm{season})_{G_{\overline{\mathrm{season}}}}"
    )
    path = ["sprinkler", "wet", "rain"]
    assert describe_path(textbook("sprinkler"), path, ["slippery"]).endswith("since its effect slippery is given)")


def test_the_figure_shows_what_was_cut_and_what_is_open():
    for rule, shown in [
        (applies(textbook("napkin"), 2, "y", x="z", z="x"), ["removed", "given", "Y, outcome"]),
        (applies(textbook("front_door"), 2, "y", z="x"), ["removed", "open path", "Y, outcome"]),
        (applies(textbook("m_bias"), 1, "y", z="x", w="z"), ["open path", "given", "Y, outcome"]),
    ]:
        ax = rule.draw()
        assert [t.get_text() for t in ax.get_legend().get_texts()] == shown
        widths = [patch.get_linewidth() for patch in ax.patches]
        cut = rule.whole.number_of_edges() - rule.graph.number_of_edges()
        assert widths.count(1.3) == cut and widths.count(3.0) == max(len(rule.open_path) - 1, 0)
        badges = sorted(t.get_text() for t in ax.texts if t.get_text() in "XYZW")
        assert badges == sorted("Y" + "Z" + "X" * len(rule.x) + "W" * len(rule.w))
        plt.close(ax.figure)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"rule": 4}, "rule 4: do-calculus has rules 1, 2 and 3"),
        ({"rule": True}, "rule True"),
        ({"z": ()}, "z is empty: name the variable to delete or exchange"),
        ({"y": []}, "y is empty: name the outcome"),
        ({"y": "yy"}, "unknown variable in y 'yy'; did you mean 'y'"),
        ({"x": "m", "w": ["m"]}, "'m' is in x and in w: leave it in one of them"),
        ({"z": "y"}, "'y' is in y and in z"),
        ({"w": "u_x_y"}, "'u_x_y' in w is hidden"),
        ({"graph": nx.DiGraph([("x", "y"), ("y", "x")])}, "has a cycle"),
        ({"graph": ck.graphs.cpdag(parse("x -> y"))}, "leaves edges undirected"),
        ({"graph": "x -> y"}, "expected a networkx.DiGraph, got str"),
    ],
)
def test_bad_input_is_named(given, words):
    arguments = {"graph": textbook("front_door"), "rule": 2, "y": "y", "z": "x"} | given
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        applies(**arguments)


def test_the_fuzz_finds_a_rule_that_is_wrong_and_a_formula_that_is_wrong(monkeypatch):
    """The experiment that counts wrong answers counts them, in both directions."""
    from causalkit import identification
    from tests.test_suites_shipped import metrics

    sound = metrics("do_calculus", question="rules", graphs=8)
    assert (sound["wrong"], sound["raised"], sound["asked"]) == (0, 0, 24) and sound["yes"] and sound["no"]
    monkeypatch.setattr(ck.do_rules, "applies", lambda *sets: not applies(*sets))
    turned = metrics("do_calculus", question="rules", graphs=8, seed=0)
    assert (turned["wrong_yes"], turned["wrong_no"]) == (sound["no"], sound["yes"])

    right = identification.identify
    no = identification.NotIdentifiable("no", identification.Probability(("y",)))

    def refuse(graph, *question):
        raise no

    def overlook(graph, *question):
        return right(graph.subgraph([v for v in graph if not v.startswith("u_")]), *question)

    for found, graphs, direction in ((refuse, 5, "wrong_no"), (overlook, 15, "wrong_yes")):
        monkeypatch.setattr(identification, "identify", found)
        counts = metrics("do_calculus", question="effect", graphs=graphs)
        assert counts[direction] == counts["wrong"] > 0 == counts["raised"], counts


def test_an_application_says_in_words_what_it_found():
    graph = textbook("front_door")
    assert repr(applies(graph, 2, y="m", z="x")).startswith("P(m | do(x)) = P(m | x). Rule 2")
    assert repr(applies(graph, 2, y="y", z="x")).startswith("P(y | do(x)) and P(y | x) may differ. Rule 2")


def test_a_graph_with_double_edges_is_read_as_one_without_and_a_pag_refused():
    edges = [("z", "x"), ("z", "y"), ("x", "y"), ("x", "y")]
    assert applies(nx.MultiDiGraph(edges), 2, "y", z="x", w="z")
    with pytest.raises(ValueError, match="this is a PAG"):
        applies(nx.DiGraph(edges, kind="pag"), 2, "y", z="x", w="z")


def test_names_are_written_for_latex():
    names = ["50%", "a{b", "a_b", "c$", "i j", "p^q", "r\\s", "x1", "x_2", "y_"]
    assert tex(names).split(", ") == [
        r"\mathrm{50\%}", r"\mathrm{a\{b}", r"\mathrm{a\_b}", r"\mathrm{c\$}", r"\mathrm{i\ j}",
        r"\mathrm{p{\wedge}q}", r"\mathrm{r{\backslash}s}", "x_{1}", "x_{2}", r"\mathrm{y\_}",
    ]  # fmt: skip
