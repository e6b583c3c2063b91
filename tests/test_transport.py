"""Transport: S-admissible sets and TRSO against exact enumeration, and estimates from frames of two populations."""

import importlib.util

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.graphs import parse
from causalkit.identification.expressions import Probability
from causalkit.identification.transport import (
    NotTransportable,
    Source,
    TransportError,
    selection_diagram,
    transport,
    verify_transport,
)
from causalkit.identification.verify import random_discrete

needs_y0 = pytest.mark.skipif(
    importlib.util.find_spec("y0") is None, reason="y0, the extra transport, is not installed"
)
TWISTED = parse("z -> x, y; x -> y; x <-> y")


def _effect(y="y", x="x", given=()):
    return Probability((y,), tuple(given), (x,))


def _pair(graph, changed, seed):
    """Two discrete SCMs that differ in these mechanisms alone."""
    target, other = random_discrete(graph, seed=seed), random_discrete(graph, seed=seed + 1000)
    return {"target": target, "lab": target.replace({v: other.mechanisms[v] for v in changed})}


@st.composite
def problems(draw):
    """A DAG with hidden causes, what differs in one or two sources, and the experiments done there."""
    n, seed = draw(st.integers(3, 5)), draw(st.integers(0, 10_000))
    graph = ck.graphs.erdos_renyi(n, draw(st.floats(1.5, min(n - 1.0, 3.0))), seed=seed)
    graph = ck.graphs.confounded(graph, draw(st.integers(0, min(2, n * (n - 1) // 2))), seed=seed)
    order = [v for v in nx.topological_sort(graph) if not graph.nodes[v].get("hidden")]
    x, y = order[draw(st.integers(0, n - 2))], order[-1]
    some = st.lists(st.sampled_from(order), max_size=2, unique=True)
    sources = {
        f"lab{k}": Source(draw(some), experiments=[v for v in {x, *draw(some)} if v != y])
        for k in range(draw(st.integers(1, 2)))
    }
    return graph, x, y, sources


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(2, 50))
def test_what_is_transported_is_right_on_scms_that_it_was_not_checked_on(problem, seed):
    graph, x, y, sources = problem
    try:
        found = transport(graph, _effect(y, x), sources)
    except (NotTransportable, TransportError):
        return
    except ValueError as error:
        assert "y0" in str(error)  # the law holds for what needs no y0
        return
    target, populations = random_discrete(graph, seed=seed), {}
    for k, (name, source) in enumerate(sources.items()):
        other = random_discrete(graph, seed=1000 + seed + k)
        populations[name] = target.replace({v: other.mechanisms[v] for v in source.changed})
    assert verify_transport(found, {"target": target, **populations}) < 1e-9
    assert found.strategy == "transport" and found.verified < 1e-9


def test_the_steps_of_an_admissible_set():
    found = ck.identify(TWISTED, "y", "x", sources={"lab": Source("z", experiments="x")})
    assert str(found.expression) == "sum_{z} P_lab(y | do(x), z) P_target(z)"
    assert [s.rule for s in found.steps] == ["total probability", "rule 3", "S-admissibility"]
    assert found.steps[-1].independence == "S ⟂ y | z, x" and found.using == ("z",)
    diagram, node = selection_diagram(TWISTED, ["z"])
    diagram.remove_edges_from(list(diagram.in_edges("x")))
    assert nx.is_d_separator(diagram, {node}, {"y"}, {"x", "z"})


def test_an_experiment_where_nothing_that_matters_differs_is_taken_over():
    found = transport(TWISTED, _effect(), {"lab": Source("x", experiments="x")})
    assert str(found.expression) == "P_lab(y | do(x))" and len(found.steps) == 1


def test_without_use_of_the_sources_the_target_alone_may_do():
    graph = parse("x -> m -> y; x <-> y")
    found = transport(graph, _effect(), {"lab": Source(["m", "y"], experiments="x")})
    assert "lab" not in str(found.expression) and "P_target(m | x)" in str(found.expression)


def test_a_wrong_diagram_is_refuted_by_enumeration():
    """Negative control: the lab differs in y's mechanism too, and the formula for the smaller difference is wrong."""
    found = transport(TWISTED, _effect(), {"lab": Source("z", experiments="x")})
    assert verify_transport(found, _pair(TWISTED, ["z"], 3)) < 1e-12
    assert verify_transport(found, _pair(TWISTED, ["z", "y"], 3)) > 0.01


def test_a_shifts_certificate_makes_the_source():
    scm = random_discrete(TWISTED, seed=0)
    shift = ck.shifts.covariate("y", strength=1.0)
    certificate = shift.certificate(scm)
    source = Source(certificate, experiments="x")
    assert source.changed == certificate.changed == ("z",)
    found = ck.identify(scm, "y", "x", sources={"lab": source})
    assert verify_transport(found, {"target": scm, "lab": shift(scm)}) < 1e-12


def test_conditions_and_hidden_differences():
    found = transport(parse("w -> z; z -> x, y; x -> y; x <-> y"), _effect(given=["w"]), {"lab": Source("z", "x")})
    assert verify_transport(found, _pair(found.graph, ["z"], 5)) < 1e-12
    with pytest.raises(ValueError, match=r"y0|not determined"):
        transport(TWISTED, _effect(), {"lab": Source("u_x_y", experiments="x")})


def _experiment(scm, n, seed, x="x"):
    """Rows of an experiment: x set to 0 or 1 by a coin."""
    values = np.random.default_rng(seed).integers(0, 2, n)
    return scm.do({x: values}).sample(n, seed=seed)


def test_discrete_estimates_from_an_experiment_elsewhere():
    scm = random_discrete(TWISTED, seed=7)
    share = {"target": [0.9, 0.1], "lab": [0.1, 0.9]}
    populations = {name: scm.replace({"z": ck.mechanisms.table({}, p)}) for name, p in share.items()}
    found = ck.identify(TWISTED, "y", "x", sources={"lab": Source("z", experiments="x")})
    frames = {"target": populations["target"].sample(20_000, seed=0), "lab": _experiment(populations["lab"], 20_000, 1)}
    truth = populations["target"].do({"x": 1}).sample(100_000, seed=2)["y"].mean()
    there = populations["lab"].do({"x": 1}).sample(100_000, seed=2)["y"].mean()
    estimate = found.estimate(frames, {"x": 1}, bootstrap=20, seed=3)
    assert abs(estimate.value - truth) < 0.02 and estimate.n == 40_000 and estimate.method == "plug-in"
    assert abs(there - truth) > 0.02  # else the test could not fail
    also = found.estimate(
        {"target": frames["target"][["z"]], "lab do(x)": frames["lab"]}, {"x": 1}, bootstrap=20, seed=3
    )
    assert also.value == estimate.value


def test_real_estimates_from_an_experiment_elsewhere():
    def scm(mean):
        z = ck.linear(intercept=mean)
        u, x = ck.linear(), ck.linear({"z": 1.0, "u": 1.0})
        return ck.SCM({"z": z, "u": u, "x": x, "y": ck.linear({"x": 1.0, "z": 2.0, "u": -2.0})}, hidden=["u"])

    n = 3000
    frames = {
        "target": scm(1.0).sample(n, seed=0),
        "lab": scm(0.0).do({"x": np.random.default_rng(1).normal(size=n)}).sample(n, seed=1),
    }
    found = ck.identify(scm(1.0), "y", "x", sources={"lab": Source("z", experiments="x")})
    for method in ("auto", "linear"):
        estimate = found.estimate(frames, {"x": 1.0}, method=method, bootstrap=20, seed=2)
        assert abs(estimate.value - 3.0) < 0.25 and estimate.low < estimate.high


@needs_y0
def test_trso_combines_experiments_of_two_sources():
    """Tikka and Karvanen (2019), figure 8, with names of our own: each source lends its part."""
    graph = parse("x1 -> y1; x2 -> y2; w -> x1, y1; w -> x2, y2; x1 <-> y1; x2 <-> y2")
    sources = {"first": Source(["y2"], experiments="x1"), "second": Source(["y1"], experiments="x2")}
    found = transport(graph, Probability(("y1", "y2"), (), ("x1", "x2")), sources)
    assert "P_first" in str(found.expression) and "P_second" in str(found.expression)
    assert found.verified < 1e-9


@needs_y0
def test_what_differs_in_the_outcome_itself_cannot_be_transported():
    with pytest.raises(NotTransportable, match="in the target is not determined"):
        transport(TWISTED, _effect(), {"lab": Source("y", experiments="x")})


@pytest.mark.skipif(importlib.util.find_spec("y0") is not None, reason="y0 is installed")
def test_without_y0_the_error_names_the_extra():
    with pytest.raises(ValueError, match=r"causalkit-lab\[transport\]"):
        transport(TWISTED, _effect(), {"lab": Source("y", experiments="x")})


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="unknown variable of source 'lab' 'q'"):
        transport(TWISTED, _effect(), {"lab": Source("q", experiments="x")})
    with pytest.raises(ValueError, match="give Source"):
        transport(TWISTED, _effect(), {"lab": "z"})
    with pytest.raises(ValueError, match="mapping from name to Source"):
        transport(TWISTED, _effect(), {})
    with pytest.raises(ValueError, match="rename the source"):
        transport(TWISTED, _effect(), {"target": Source("z", experiments="x")})
    with pytest.raises(ValueError, match="which is hidden"):
        transport(TWISTED, _effect(), {"lab": Source("z", experiments="u_x_y")})
    found = transport(TWISTED, _effect(), {"lab": Source("z", experiments="x")})
    frame = random_discrete(TWISTED, seed=0).sample(100, seed=0)
    with pytest.raises(ValueError, match=r"a mapping with lab do\(x\), target"):
        found.estimate(frame, {"x": 1}, seed=0)
    with pytest.raises(ValueError, match="needs one called"):
        found.estimate({"target": frame}, {"x": 1}, seed=0)
    selected = ck.shifts.label("y", strength=1.0).certificate(ck.teaching_scm())
    with pytest.raises(ValueError, match="selection of rows"):
        Source(selected, experiments="x1")


def test_names_in_the_steps_are_written_for_latex():
    graph = parse("z_0 -> x_a, y; x_a -> y; x_a <-> y")
    found = ck.identify(graph, "y", "x_a", sources={"lab": Source("z_0", experiments="x_a")})
    assert found.steps[1].graph == r"G_{\overline{\mathrm{x\_a}}}"
    assert str(found.steps[2]).endswith("[S-admissibility: (S ⟂ y | z_0, x_a) in G_{over{x_a}}]")
