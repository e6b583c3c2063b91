"""Encoders: which features a graph lets through, and that what is masked has no influence at all."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import causalkit as ck
from causalkit import graphs
from causalkit.encoder import ENCODERS, StructureEncoder, encode, gates, keep
from causalkit.environments import Task
from causalkit.model import BACKBONES, Network


def kept(graph: nx.DiGraph | None, task: Task, encoder: str | None) -> set[str]:
    mask = encode(graph, task, encoder)
    assert mask.shape == (len(task.features),)
    assert set(mask.tolist()) <= {0.0, 1.0}
    return {feature for feature, keep in zip(task.features, mask, strict=True) if keep}


@st.composite
def graph_and_task(draw) -> tuple[nx.DiGraph, Task]:
    graph = graphs.erdos_renyi(6, degree=2.5, seed=draw(st.integers(0, 10_000)))
    inner = [node for node in graph if graph.in_degree(node)]
    if not inner:
        graph, inner = graphs.parse("x1 -> x2"), ["x2"]
    target = draw(st.sampled_from(inner))
    return graph, Task(tuple(draw(st.permutations([node for node in graph if node != target]))), target)


@given(graph_and_task())
def test_encoders_nest(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    cpdag = graphs.cpdag(graph)
    parents = kept(graph, task, "parents")
    assert parents == set(graph.predecessors(task.target)) == kept(graph, task, "possible_parents")
    assert parents <= kept(cpdag, task, "possible_parents") <= kept(cpdag, task, "markov_blanket")
    assert kept(graph, task, "markov_blanket") <= kept(graph, task, "none") == set(task.features)


@given(graph_and_task())
def test_the_blanket_is_the_same_for_the_whole_class(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    blanket = kept(graph, task, "markov_blanket")
    assert blanket == kept(graphs.cpdag(graph), task, "markov_blanket")
    rest = set(task.features) - blanket
    assert all(graphs.d_separated(graph, task.target, other, blanket) for other in rest)


@given(graph_and_task())
def test_parents_of_a_cpdag_are_right_or_refused(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    cpdag = graphs.cpdag(graph)
    if any(task.target in edge for edge in graphs.undirected_edges(cpdag)):
        with pytest.raises(ValueError, match="undirected"):
            encode(cpdag, task, "parents")
    else:
        assert kept(cpdag, task, "parents") == set(graph.predecessors(task.target))


def test_parents_of_a_chain_cannot_be_told_from_its_cpdag() -> None:
    """x -> y -> z has the same CPDAG as its reversals, so a parents mask would be a guess."""
    cpdag, task = graphs.cpdag(graphs.parse("x -> y -> z")), Task(("x", "z"), "y")
    with pytest.raises(ValueError, match=r"x - y, y - z undirected.*possible_parents.*expert knowledge"):
        encode(cpdag, task)
    assert kept(cpdag, task, "possible_parents") == {"x", "z"}


def test_the_default_is_parents_with_a_graph_and_none_without() -> None:
    task = Task(("z", "x"), "y")
    assert encode(None, task).tolist() == [1.0, 1.0]
    assert encode(graphs.parse("x -> y -> z"), task).tolist() == [0.0, 1.0]
    assert encode(graphs.parse("x -> y -> z"), task, "none").tolist() == [1.0, 1.0]


def test_hidden_parents_and_parents_outside_the_task_are_left_out() -> None:
    graph = graphs.parse("x, w -> y; x <-> y")
    assert kept(graph, Task(("x",), "y"), "parents") == {"x"}


@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - {"none"}))
def test_graphs_that_are_refused(encoder: str) -> None:
    task = Task(("x", "z"), "y")
    pag = nx.DiGraph([("x", "y"), ("y", "z")], kind="pag")
    with pytest.raises(ValueError, match="PAG"):
        encode(pag, task, encoder)
    with pytest.raises(ValueError, match="'z'"):
        encode(graphs.parse("x -> y"), task, encoder)
    with pytest.raises(ValueError, match=r"unknown variable.*'y'"):
        encode(graphs.parse("x -> z"), task, encoder)
    alone = graphs.dag([("x", "z")], ["x", "y", "z"])
    alone.graph["changed"] = ["z"]
    with pytest.raises(ValueError, match="leaves no feature"):
        encode(alone, task, encoder)
    with pytest.raises(ValueError, match="DiGraph"):
        encode(nx.Graph([("x", "y")]), task, encoder)
    with pytest.raises(ValueError, match="reads a graph"):
        encode(None, task, encoder)


def test_a_root_target_has_no_parents_and_is_told_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"'parents' leaves no feature.*markov_blanket"):
        encode(graphs.parse("y -> z"), Task(("z",), "y"), "parents")
    with pytest.raises(ValueError, match="w are not features"):
        encode(graphs.parse("w -> y -> z"), Task(("z",), "y"), "parents")


def test_an_unknown_encoder_is_told_the_closest() -> None:
    with pytest.raises(ValueError, match="did you mean 'parents'"):
        encode(graphs.parse("x -> y"), Task(("x",), "y"), "parent")


def test_a_user_adds_an_encoder_in_one_line(monkeypatch) -> None:
    monkeypatch.setitem(ENCODERS, "first", lambda graph, task: torch.eye(len(task.features))[0])
    assert encode(graphs.parse("x -> y"), Task(("z", "x"), "y"), "first").tolist() == [1.0, 0.0]


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@given(st.integers(0, 1000), st.lists(st.booleans(), min_size=4, max_size=4))
def test_what_is_masked_has_no_gradient_and_no_influence(backbone: str, seed: int, keep: list[bool]) -> None:
    mask = torch.tensor(keep, dtype=torch.float32)
    network = Network(mask, None, backbone, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(network.head.weight, generator=draw)
    inputs = torch.randn(8, 4, generator=draw, requires_grad=True)
    predictions, _ = network(inputs)
    predictions.sum().backward()
    assert (inputs.grad[:, mask == 0] == 0).all()
    changed = inputs.detach() + 1e6 * (1 - mask)
    assert torch.equal(network(changed)[0], predictions)
    if backbone == "linear":
        assert (inputs.grad[:, mask == 1] != 0).all()


def test_the_mask_is_a_buffer_and_is_not_trained() -> None:
    encoder = StructureEncoder(torch.tensor([1.0, 0.0]))
    assert not list(encoder.parameters())
    assert list(encoder.state_dict()) == ["mask"]


@given(graph_and_task())
def test_dag_layers_let_parents_and_their_parents_through_and_nothing_else(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    near = set(graph.predecessors(task.target)).union(*map(graph.predecessors, graph.predecessors(task.target)))
    network = Network(encode(graph, task, "dag_layers"), None, "mlp", seed=0)
    draw = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(network.head.weight, generator=draw)
    inputs = torch.randn(64, len(task.features), generator=draw, requires_grad=True)
    gradient = torch.autograd.grad(network(inputs)[0].sum(), inputs)[0].abs().sum(0)
    assert {v for v, g in zip(task.features, gradient, strict=True) if g != 0} == near
    assert {v for v, on in zip(task.features, network.encoder.mask, strict=True) if on} == near


@given(graph_and_task())
def test_a_unit_of_a_feature_hears_that_feature_and_its_parents(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    network = Network(encode(graph, task, "dag_layers"), None, "mlp", seed=0)
    first = network.backbone[0]
    jacobian = torch.func.jacrev(first)(torch.zeros(len(task.features)))  # [units, features]
    each = len(jacobian) // len(task.features)
    for row, name in enumerate(task.features):
        heard = (jacobian[row * each : (row + 1) * each] != 0).all(0)
        hears = {v for v, on in zip(task.features, heard, strict=True) if on}
        assert hears == {name, *graph.predecessors(name)} - {task.target}
        assert (jacobian[row * each : (row + 1) * each] != 0).any(0).equal(heard)


@given(graph_and_task())
def test_a_unit_of_the_target_hears_the_units_of_its_parents(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    network = Network(encode(graph, task, "dag_layers"), None, "mlp", seed=0)
    second = network.backbone[2]
    jacobian = torch.func.jacrev(second)(torch.zeros(second.in_features))  # [target's units, features' units]
    heard = (jacobian != 0).unflatten(1, (len(task.features), -1))
    for name, units in zip(task.features, heard.unbind(1), strict=True):
        assert units.all() if graph.has_edge(name, task.target) else not units.any()


def test_dag_layers_read_undirected_edges_both_ways() -> None:
    task, cpdag = Task(("w", "x", "z"), "y"), graphs.cpdag(graphs.parse("w -> x -> y -> z"))
    assert encode(cpdag, task, "dag_layers").tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]


def test_dag_layers_want_a_backbone_with_layers() -> None:
    with pytest.raises(ValueError, match=r"'linear' has no hidden layers.*'mlp'.*'parents'"):
        Network(encode(graphs.parse("x -> y"), Task(("x",), "y"), "dag_layers"), None, "linear", seed=0)


def environments(n: int = 60) -> list[ck.Environment]:
    shift = ck.shifts.spurious("y", strength=1.0)
    return ck.sample_environments(ck.teaching_scm(), {"a": None, "b": shift}, n, seed=0)


TASK = Task(("x1", "x2", "x3", "x4", "x5"), "y")


@pytest.mark.parametrize("encoder", ["parents", "dag_layers"])
def test_replicates_with_graphs_of_their_own_stay_masked_through_training(encoder: str) -> None:
    texts = "x1, x2 -> y -> x3; x4, x5 -> x1", "x3 -> y -> x1; x2, x4, x5", "x5 -> x4 -> y; x1, x2, x3"
    maps = [graphs.parse(text) for text in texts]
    options = {"graphs": maps, "encoder": encoder, "steps": 15, "weight_decay": 1e-3, "seeds": range(3)}
    for graph, model in zip(maps, ck.training.fit_many([environments()] * 3, TASK, **options), strict=True):
        near = set(graph.predecessors("y"))
        if encoder == "dag_layers":
            near = near.union(*map(graph.predecessors, near))
        inputs = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
        gradient = torch.autograd.grad(model.network(inputs)[0].sum(), inputs)[0]
        assert {v for v, g in zip(TASK.features, gradient.abs().sum(0), strict=True) if g != 0} == near
        changed = environments()[0].frame.copy()
        changed[[v for v in TASK.features if v not in near]] += 1e3
        assert np.array_equal(model.predict(changed), model.predict(environments()[0].frame))


def test_stacked_layers_are_those_trained_alone() -> None:
    maps = [graphs.parse("x1, x2 -> y; x3, x4, x5"), graphs.parse("x4 -> x1 -> y; x2, x3, x5")]
    options = {"encoder": "dag_layers", "steps": 15, "dtype": torch.float64}
    stacked = ck.training.fit_many([environments()] * 2, TASK, graphs=maps, seeds=[0, 1], **options)
    for seed, graph in enumerate(maps):
        alone = ck.fit(environments(), TASK, graph=graph, seed=seed, **options)
        frame = environments()[0].frame
        np.testing.assert_allclose(stacked[seed].predict(frame), alone.predict(frame), rtol=1e-9)


@st.composite
def shifted_graph_and_task(draw) -> tuple[nx.DiGraph, Task]:
    graph, task = draw(graph_and_task())
    graph.graph["changed"] = draw(st.lists(st.sampled_from(task.features), unique=True, max_size=3))
    return graph, task


@given(shifted_graph_and_task())
def test_the_stable_set_is_stable_and_tells_as_much_as_any(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    stable = kept(graph, task, "stable_set")
    everything = [set(s) for s in graphs.invariant_sets(graph, task.target, graph.graph["changed"], task.features)]
    assert stable in everything
    for other in everything:  # given the stable set, no other one adds anything
        assert all(graphs.d_separated(graph, task.target, v, stable) for v in other - stable)
    for v in stable:  # and nothing in it is idle
        assert not graphs.d_separated(graph, task.target, v, stable - {v})
    if not graph.graph["changed"]:
        assert stable == kept(graph, task, "markov_blanket")


@given(shifted_graph_and_task())
def test_the_stable_set_of_a_class_is_that_of_its_members(pair: tuple[nx.DiGraph, Task]) -> None:
    graph, task = pair
    arrows = [("E", v) for v in graph.graph["changed"]]
    wide = nx.DiGraph([*graph.edges, *arrows], kind="dag")
    wide.add_nodes_from([*graph, "E"])
    known = graphs.orient(graphs.cpdag(wide), arrows)  # the class that the environment narrows down
    if arrows:
        assert kept(known, task, "stable_set") == kept(graph, task, "stable_set")
    known.remove_node("E")
    known.graph["changed"] = graph.graph["changed"]
    assert kept(known, task, "stable_set") == kept(graph, task, "stable_set")


SHIFTS = {
    "spurious": ck.shifts.spurious("y", strength=0.5),
    "covariate": ck.shifts.covariate("y", strength=0.5),
    "only x5": ck.shifts.soft("x5", strength=0.5),
    "selection": ck.shifts.selection("y", strength=0.5, on=["x4"]),
}


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_the_stable_set_is_the_certificates(name: str) -> None:
    certificate = SHIFTS[name].certificate(ck.teaching_scm(), TASK)
    assert certificate.chosen == "d-separation"
    assert kept(certificate.graph, TASK, "stable_set") == set(certificate.stable)
    assert kept(None, TASK, keep(certificate.stable)) == set(certificate.stable)


def test_a_selection_must_be_separated_from_the_target() -> None:
    task = Task(("x1", "x2", "x5"), "y")  # x3, on which the selection depends, is not to be seen
    certificate = ck.shifts.selection("y", strength=0.5, on=["x3"]).certificate(ck.teaching_scm(), task)
    assert certificate.stable is None
    with pytest.raises(ValueError, match="no set of features"):
        encode(certificate.graph, task, "stable_set")


def test_many_features_are_no_matter_where_nothing_is_hidden() -> None:
    names = [f"v{i}" for i in range(40)]
    chain = graphs.dag(itertools.pairwise([*names[:20], "y", *names[20:]]))
    chain.graph["changed"] = ["v20"]
    assert kept(chain, Task(tuple(names), "y"), "stable_set") == {"v19"}
    chain.graph["changed"] = ["v0", "v22"]
    assert kept(chain, Task(tuple(names), "y"), "stable_set") == {"v19", "v20"}
    chain.add_edges_from([("h", "y"), ("h", "v10")])
    chain.graph["changed"] = ["v30"]
    assert kept(chain, Task(tuple(names), "y"), "stable_set") == {"v9", "v10", "v19", "v20"}
    chain.graph["changed"] = ["y"]
    with pytest.raises(ValueError, match="no set of features"):
        encode(chain, Task(tuple(names), "y"), "stable_set")
    chain.graph["changed"] = ["v10"]  # with h hidden, all 2^40 sets would have to be looked at
    with pytest.raises(ValueError, match=r"40 features make 2\^40 sets.*keep\("):
        encode(chain, Task(tuple(names), "y"), "stable_set")


@given(st.integers(0, 10_000))
def test_the_stable_set_is_the_certificates_with_hidden_variables_too(seed: int) -> None:
    graph = graphs.erdos_renyi(7, degree=3.0, seed=seed)
    hidden, target, *features = graph
    mechanisms = {v: ck.linear(dict.fromkeys(graph.predecessors(v), 1.0)) for v in graph}
    scm, task = ck.SCM(mechanisms, hidden=[hidden]), Task(tuple(features), target)
    certificate = ck.shifts.soft(features[seed % 5], strength=0.5).certificate(scm, task)
    if certificate.chosen == "d-separation" and certificate.stable:
        assert kept(certificate.graph, task, "stable_set") == set(certificate.stable)
    elif certificate.chosen == "d-separation":
        with pytest.raises(ValueError, match="leaves no feature" if certificate.stable == () else "no set of features"):
            encode(certificate.graph, task, "stable_set")
    else:
        with pytest.raises(ValueError, match=r"which stable set tells most.*keep\("):
            encode(certificate.graph, task, "stable_set")


def test_the_graph_alone_may_leave_several_stable_sets() -> None:
    """b tells of y once c is known, e does so alone; all three together open E -> c <- u -> e <- y."""
    graph = graphs.parse("y -> b, e; u -> c, e; c -> b")
    graph.graph["changed"] = ["c"]
    with pytest.raises(ValueError, match=r"tells most about 'y', \{b, c\} or \{e\}: choose with .*keep\("):
        encode(graph, Task(("b", "c", "e"), "y"), "stable_set")


def test_what_moves_must_be_said() -> None:
    task, graph = Task(("x", "z"), "y"), graphs.parse("x -> y -> z")
    with pytest.raises(ValueError, match=r"certificate\(scm, task\)\.graph.*'pooled'.*graph\.graph\['changed'\]"):
        encode(graph, task, "stable_set")
    with pytest.raises(ValueError, match="'w'"):
        encode(nx.DiGraph(graph.edges, changed=["w"]), task, "stable_set")
    with pytest.raises(ValueError, match=r"no set of features S keeps P\(y \| S\)"):
        encode(nx.DiGraph(graph.edges, changed=["y"]), task, "stable_set")
    assert kept(nx.DiGraph([*graph.edges, ("E", "z")]), task, "stable_set") == {"x"}
    # a feature of that name is no environment
    with pytest.raises(ValueError, match="the graph does not say it"):
        encode(graphs.parse("E -> y"), Task(("E",), "y"), "stable_set")
    graph = nx.DiGraph([("E", "y"), ("y", "z"), ("E*", "z")])
    assert kept(graph, Task(("E", "z"), "y"), "stable_set") == {"E"}


def test_the_graph_of_pooled_discovery_says_what_moves() -> None:
    graph = ck.discover(environments(500), "pooled")
    assert graph.graph["changed"] == ["x3"]
    assert kept(graph, TASK, "stable_set") == {"x1", "x2"}


@given(st.lists(st.sampled_from(["forward", "backward", "undirected", "none"]), min_size=1, max_size=20))
def test_gates_and_no_edge_sum_to_one(runs: list[str]) -> None:
    share = {name: runs.count(name) / len(runs) for name in ("forward", "backward", "undirected")}
    graph = gates(pd.DataFrame([{"a": "x", "b": "y", "present": sum(share.values()), **share}]))
    gate = {(a, b): p for a, b, p in graph.edges(data="probability")}
    assert all(0 < p <= 1 for p in gate.values())  # an edge that never came back is not there
    assert sum(gate.values()) + runs.count("none") / len(runs) == pytest.approx(1.0)
    assert gate.get(("x", "y"), 0) - gate.get(("y", "x"), 0) == pytest.approx(share["forward"] - share["backward"])


def test_gates_of_a_bootstrap_are_its_shares() -> None:
    table = ck.bootstrap(ck.teaching_scm().sample(80, seed=0), n=10)
    graph, pair = gates(table), table.set_index(["a", "b"])
    mask = encode(graph, TASK, "soft_gates")
    for name, gate in zip(TASK.features, mask.tolist(), strict=True):
        forth = (name, "y") in pair.index
        row = pair.loc[(name, "y") if forth else ("y", name)]
        assert gate == pytest.approx(row["forward" if forth else "backward"] + row["undirected"] / 2)
    with pytest.raises(ValueError, match=r"shares of resamples.*soft_gates.*consensus"):
        encode(graph, TASK, "parents")


def test_a_gate_is_a_ridge_penalty_and_a_shut_one_is_shut() -> None:
    """With L2 weight w, a gate g costs slope b: w (b / g)^2 / 2, so the fit is a ridge regression in closed form."""
    train, gate, decay = environments(), np.array([0.9, 0.5, 0.1, 0.3]), 0.5
    graph = nx.DiGraph([("y", "x5")], kind="shares")
    graph.add_weighted_edges_from(zip(TASK.features, "yyyy", gate, strict=False), weight="probability")
    model = ck.fit(
        train, TASK, graph=graph, encoder="soft_gates", backbone="linear", weight_decay=decay, steps=800,
        dtype=torch.float64, seed=0,
    )  # fmt: skip
    frame = pd.concat([e.frame for e in train])
    z = ((frame - frame.mean()) / frame.std(ddof=0)).to_numpy()
    x, y = z[:, [frame.columns.get_loc(v) for v in TASK.features[:4]]], z[:, frame.columns.get_loc("y")]
    exact = np.linalg.solve(2 * x.T @ x / len(x) + decay * np.diag(gate**-2.0), 2 * x.T @ y / len(x))
    slopes = (model.network.head.weight * model.network.encoder.mask)[0].numpy()
    np.testing.assert_allclose(slopes, [*exact, 0.0], atol=1e-3)
    assert slopes[4] == 0.0


def test_probabilities_are_there_and_within_bounds() -> None:
    task = Task(("x",), "y")
    with pytest.raises(ValueError, match=r"x -> y has no probability.*gates\(ck\.bootstrap"):
        encode(graphs.parse("x -> y"), task, "soft_gates")
    for wrong in (-0.1, 1.5, float("nan")):
        graph = nx.DiGraph()
        graph.add_edge("x", "y", probability=wrong)
        with pytest.raises(ValueError, match=rf"x -> y has probability {wrong}.*\[0, 1\]"):
            encode(graph, task, "soft_gates")
        row = {"a": "x", "b": "y", "present": 1.0, "forward": wrong, "backward": 0.0, "undirected": 0.0}
        with pytest.raises(ValueError, match="x -> y has probability"):
            gates(pd.DataFrame([row]))
    with pytest.raises(ValueError, match=r"table of ck\.bootstrap"):
        gates(pd.DataFrame({"a": ["x"]}))
    shut = nx.DiGraph()
    shut.add_edge("x", "y", probability=0.0)
    with pytest.raises(ValueError, match="leaves no feature"):
        encode(shut, task, "soft_gates")


def test_keep_wants_features_of_the_task() -> None:
    for nothing in ((), None):
        with pytest.raises(ValueError, match="names no feature to keep"):
            keep(nothing)
    with pytest.raises(ValueError, match=r"unknown feature of the task 'x11'; did you mean 'x1'"):
        encode(None, TASK, keep(["x11"]))
    assert kept(None, TASK, keep("x2")) == {"x2"}


def test_an_encoder_of_ones_own_is_checked() -> None:
    task = Task(("x", "z"), "y")
    for wrong in (torch.ones(3), torch.ones(2, 2), [1.0, 1.0]):
        with pytest.raises(ValueError, match=r"encoder 'mine' gave .*shape \[2\]"):

            def mine(graph: nx.DiGraph | None, task: Task, wrong=wrong) -> torch.Tensor:
                return wrong

            encode(None, task, mine)
    for number in (-1.0, 2.0, float("nan")):
        with pytest.raises(ValueError, match=r"a number in \[0, 1\]"):
            encode(None, task, lambda graph, task, number=number: torch.tensor([1.0, number]))


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_fit_takes_every_encoder_by_name_and_what_it_hides_has_no_influence(encoder: str) -> None:
    scm, train = ck.teaching_scm(), environments()
    graph = scm.graph
    if encoder == "stable_set":
        graph = ck.shifts.spurious("y", strength=1.0).certificate(scm, TASK).graph
    if encoder == "soft_gates":
        graph = nx.DiGraph(scm.graph)
        nx.set_edge_attributes(graph, 0.8, "probability")
    model = ck.fit(train, TASK, graph=graph, encoder=encoder, steps=10, seed=0)
    hidden = {
        "none": [],
        "parents": ["x3", "x4", "x5"],
        "possible_parents": ["x3", "x4", "x5"],
        "markov_blanket": ["x4", "x5"],
        "stable_set": ["x3", "x4", "x5"],
        "soft_gates": ["x3", "x4", "x5"],
        "dag_layers": ["x3", "x4", "x5"],
    }[encoder]
    before, changed = model.predict(train[0].frame), train[0].frame.copy()
    changed[hidden] += 1e3
    assert np.array_equal(model.predict(changed), before)
    for name in set(TASK.features) - set(hidden):
        moved = train[0].frame.assign(**{name: train[0].frame[name] + 1.0})
        assert not np.array_equal(model.predict(moved), before)


def test_fit_takes_a_function_for_an_encoder() -> None:
    model = ck.fit(environments(), TASK, encoder=keep(["x1", "x2"]), steps=5, seed=0)
    assert model.network.encoder.mask.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
