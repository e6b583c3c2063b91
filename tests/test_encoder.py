"""Encoders: which features a graph lets through, and that what is masked has no influence at all."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from causalkit import graphs
from causalkit.encoder import ENCODERS, StructureEncoder, encode
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
    with pytest.raises(ValueError, match="leaves no feature"):
        encode(graphs.dag([("x", "z")], ["x", "y", "z"]), task, encoder)
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
