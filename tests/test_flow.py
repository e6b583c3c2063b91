"""Causal flows, location-scale models and autoencoders: axioms, densities, what each variable hears."""

import pickle

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalkit as ck
from causalkit.estimation.encoding import Encoding, side_by_side
from causalkit.estimation.flow import fit_flow
from causalkit.estimation.flow_mechanism import Flow, log_density, width
from causalkit.estimation.stacked import Network, Stack
from causalkit.estimation.vae import fit_vae
from causalkit.mechanisms import Noise, location_scale, table

QUICK = {"steps": 150, "hidden": (16, 16)}


def flow(scm, frame, *, seed=0, **options):
    return ck.SCM(fit_flow(scm.graph, frame, list(scm.variables), seed=seed, **(QUICK | options)))


def random_flow(seed, wild):
    """A flow mechanism with random weights: wilder than any that training finds."""
    draw = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(a, b, generator=draw).double() * wild / a**0.5 for a, b in ((2, 8), (8, width(True)))]
    biases = tuple(torch.randn(w.shape[1], generator=draw).double() for w in numbers)
    encoding = Encoding(torch.zeros(2).double(), torch.ones(2).double(), (None, None))
    low = torch.full((2,), -4.0).double()
    network = Network(encoding, torch.randn(2, generator=draw).double(), low, -low, tuple(numbers), biases)
    return Flow(("a", "b"), Noise(), network, centre=0.5, spread=2.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 5.0), st.floats(-2.0, 2.0))
def test_abduction_undoes_the_push_in_float64(seed, wild, gain):
    mechanism = random_flow(seed, wild).with_gain({"a": gain}, {"a": 1.0}).moved(0.5).scaled(1.5)
    parents = 2 * torch.randn(200, 2, generator=torch.Generator().manual_seed(seed + 1)).double()
    u = mechanism.noise.sample(200, seed=seed)
    x = mechanism.push(parents, u)
    again = mechanism.push(parents, mechanism.abduct(parents, x))
    assert float((again - x).abs().max() / x.std()) < 1e-9
    assert float((mechanism.abduct(parents, x) - u).abs().max()) < 1e-7
    more = mechanism.push(parents, u + 1e-3)
    assert bool((more > x).all())  # monotone in the noise


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["mlp", "location_scale", "post_nonlinear"]), st.booleans())
def test_axioms_of_learned_scms(seed, family, spline):
    scm = ck.random_scm(5, degree=2.0, mechanism=family, noise="laplace", seed=seed)
    frame = scm.sample(300, seed=seed)
    learned, sd = flow(scm, frame, spline=spline), frame.std()
    assert ((learned.counterfactual(frame, {}) - frame).abs() / sd).to_numpy().max() < 1e-9
    a, b = learned.order[0], learned.order[2]
    for do in ({a: 1.0}, {a: 1.0, b: -1.0}):
        changed = learned.do(do).counterfactual(learned.do(do).push(learned.abduct(frame)), do)
        once = learned.counterfactual(frame, do)
        assert all((once[v] == value).all() for v, value in do.items())
        assert ((changed - once).abs() / sd).to_numpy().max() < 1e-9
        touched = set(do).union(*(nx.descendants(learned.graph, v) for v in do))
        null = learned.push(learned.abduct(frame))
        assert all((once[v] == null[v]).all() for v in set(learned.variables) - touched)  # bit for bit


@pytest.mark.parametrize("spline", [True, False])
def test_densities_integrate_to_one(spline):
    scm = ck.SCM({"x": ck.linear(), "y": location_scale(["x"], noise="exponential", seed=1)})
    learned = flow(scm, scm.sample(1000, seed=0), spline=spline).mechanisms["y"]
    y = torch.linspace(-60, 60, 200_001).double()
    for x in (-2.0, 0.0, 2.5):
        density = learned.log_prob(torch.full((len(y), 1), x).double(), y).exp()
        assert float(torch.trapezoid(density, y)) == pytest.approx(1.0, abs=1e-4)


def test_the_density_is_the_change_of_variables():
    mechanism = random_flow(3, 1.0)
    parents, u = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double(), Noise().sample(50, seed=0)
    x = mechanism.push(parents, u).requires_grad_(True)
    (slope,) = torch.autograd.grad(mechanism.abduct(parents, x).sum(), x)
    expected = mechanism.noise.log_prob(u) + slope.log()
    assert torch.allclose(mechanism.log_prob(parents, x.detach()), expected, atol=1e-8)
    numbers = mechanism.function(parents)
    loss = log_density(numbers, mechanism.spread * x.detach() + mechanism.centre)
    assert torch.allclose(loss + np.log(2.0), expected, atol=1e-8)  # what training maximises is the same density


def test_what_is_no_parent_has_exactly_no_gradient():
    mask = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 0]])
    stack = Stack.start(mask, (8, 8), 4, ["a", "b", "c"], last=1.0, seed=0)
    x = torch.randn(3, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(lambda x: stack(x.unsqueeze(0))[:, 0], x).abs().sum(1)
    assert ((jacobian > 0) == (mask > 0)).all()


def test_a_cut_network_is_that_of_the_stack():
    frame = ck.random_scm(4, degree=3.0, seed=0).sample(50, seed=0)
    parents = [["x1"], ["x1", "x3"], []]
    x, mask = side_by_side(frame, parents)
    stack = Stack.start(mask, (8, 8), 3, ["a", "b", "c"], last=1.0, seed=0)
    for j, heard in enumerate(parents):
        encoding, values = Encoding.fit(frame, heard), torch.from_numpy(frame[heard].to_numpy(copy=True))
        alone = stack.cut(j, encoding, torch.zeros(len(heard)).double(), encoding(values))
        numbers = alone(values).expand(50, -1)
        assert torch.allclose(numbers.float(), stack(x)[j], atol=1e-5)


@pytest.mark.parametrize("fit", [fit_flow, fit_vae])
def test_parents_are_heard_in_whatever_order_the_graph_names_them(fit):
    scm = ck.SCM({"a": ck.linear(), "b": ck.linear(), "y": ck.additive(["b", "a"], lambda p: p[:, 1] ** 2 + p[:, 0])})
    frame, options = scm.sample(400, seed=0), {"steps": 60, "hidden": (8, 8), "seed": 0}
    other = ck.graphs.parse("a -> y; b -> y")
    assert list(scm.graph.predecessors("y")) != list(other.predecessors("y"))
    one, two = (fit(graph, frame, ["y"], **options)["y"] for graph in (scm.graph, other))
    y = torch.from_numpy(frame["y"].to_numpy(copy=True))
    parts = [m.log_prob(torch.from_numpy(frame[list(m.parents)].to_numpy(copy=True)), y) for m in (one, two)]
    assert torch.equal(*parts)
    # a curve is learned at all only if each weight meets its own column
    if fit is fit_flow:
        better = fit_flow(scm.graph, frame, ["y"], steps=300, seed=0)["y"]
        line = ck.fit_scm(scm.graph, frame, seed=0).mechanisms["y"]
        gain = better.log_prob(torch.from_numpy(frame[list(better.parents)].to_numpy(copy=True)), y) - line.log_prob(
            torch.from_numpy(frame[list(line.parents)].to_numpy(copy=True)), y
        )
        assert gain.mean() > 0.2


def test_a_variable_learns_the_same_alone_and_in_company():
    scm = ck.random_scm(5, degree=2.0, seed=1)
    frame, options = scm.sample(400, seed=0), {"steps": 40, "hidden": (8, 8), "seed": 0}
    names = [v for v in scm.variables if scm.mechanisms[v].parents]
    together, alone = (fit_flow(scm.graph, frame, some, **options) for some in (names, names[:1]))
    x = torch.from_numpy(frame[list(together[names[0]].parents)].to_numpy(copy=True))
    y = torch.from_numpy(frame[names[0]].to_numpy(copy=True))
    assert torch.allclose(together[names[0]].log_prob(x, y), alone[names[0]].log_prob(x, y), atol=1e-3)


def test_same_seed_same_scm_and_the_global_state_is_left_alone():
    scm = ck.random_scm(3, degree=2.0, seed=0)
    frame, before = scm.sample(200, seed=0), torch.get_rng_state()
    for fit in (fit_flow, fit_vae):
        one, two, three = (
            ck.SCM(fit(scm.graph, frame, list(scm.variables), steps=30, hidden=(8, 8), seed=s)).log_prob(frame)
            for s in (4, 4, 5)
        )
        assert (one == two).all() and (one != three).any()
    assert (torch.get_rng_state() == before).all()


def test_discrete_parents_get_a_level_each():
    curve = ck.additive(["k", "x"], lambda p: torch.tensor([0.0, 3.0, 1.0]).double()[p[:, 0].long()] + p[:, 1])
    scm = ck.SCM({"k": table({}, [0.3, 0.4, 0.3]), "x": ck.linear(), "y": curve})
    frame = scm.sample(2000, seed=0)
    learned = scm.replace(fit_flow(scm.graph, frame, ["x", "y"], steps=300, seed=0))
    for k, mean in enumerate((0.0, 3.0, 1.0)):
        assert learned.do({"k": k}).sample(4000, seed=1)["y"].mean() == pytest.approx(mean, abs=0.15)
    half = learned.replace({"y": learned.mechanisms["y"].with_gain({"k": 0.5})})  # code 1 is heard as 0.5: a mixture
    assert np.isfinite(half.sample(100, seed=0)["y"]).all()


def test_encoding_of_mixed_parents():
    frame = ck.SCM({"k": table({}, [0.5, 0.2, 0.3]), "x": ck.linear(scale=3.0)}).sample(500, seed=0)
    encoding = Encoding.fit(frame, ["x", "k"])
    columns = encoding(torch.from_numpy(frame[["x", "k"]].to_numpy(float, copy=True)))
    assert columns.shape == (500, 4) and encoding.widths == (1, 3)
    assert float(columns[:, 0].mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(columns[:, 0].std(correction=0)) == pytest.approx(1.0)
    assert (columns[:, 1:].argmax(1).numpy() == frame["k"]).all() and (columns[:, 1:].sum(1) == 1).all()
    beyond = encoding(torch.tensor([[0.0, 9.0], [0.0, -1.0], [0.0, 1.25]]).double())[:, 1:]
    assert beyond.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0.75, 0.25]]


@pytest.mark.parametrize("spline", [True, False])
def test_linear_gaussian_data_give_the_gaussian_likelihood(spline):
    scm = ck.SCM({"x": ck.linear(scale=2.0), "y": ck.linear({"x": 10.0}), "z": ck.linear({"x": 1.0, "y": 0.5})})
    learned = flow(scm, scm.sample(4000, seed=0), spline=spline, steps=300)
    test = scm.sample(4000, seed=1)
    assert (scm.log_prob(test) - learned.log_prob(test)).mean() == pytest.approx(0.0, abs=0.02)


def test_the_spline_learns_the_noise_and_the_network_its_size():
    scm = ck.SCM({"x": ck.linear(noise="uniform"), "y": location_scale(["x"], noise="exponential", seed=2)})
    frame, test = scm.sample(4000, seed=0), scm.sample(4000, seed=1)
    bent, straight = (flow(scm, frame, spline=spline, steps=600) for spline in (True, False))
    lost = [float((scm.log_prob(test) - learned.log_prob(test)).mean()) for learned in (bent, straight)]
    assert lost[0] < 0.15 and lost[1] > 0.4
    error = (bent.counterfactual(test, {"x": 0.5}) - scm.counterfactual(test, {"x": 0.5}))["y"].abs().mean()
    assert error < 0.1 * test["y"].std()


def test_pickled_flows_are_the_same():
    scm = ck.random_scm(3, degree=2.0, seed=0)
    frame = scm.sample(100, seed=0)
    for spline in (True, False):
        found = fit_flow(scm.graph, frame, list(scm.variables), spline=spline, steps=10, hidden=(4,), seed=0)
        assert (ck.SCM(pickle.loads(pickle.dumps(found))).log_prob(frame) == ck.SCM(found).log_prob(frame)).all()


def test_the_autoencoder_fails_composition_and_has_a_density():
    scm = ck.SCM({"x": ck.linear(), "y": ck.additive(["x"], lambda p: 2 * p[:, 0] ** 2)})
    frame = scm.sample(3000, seed=0)
    learned = ck.SCM(fit_vae(scm.graph, frame, ["x", "y"], steps=800, hidden=(16, 16), seed=0))
    gap = ((learned.counterfactual(frame, {}) - frame).abs() / frame.std()).mean()
    assert gap.max() > 1e-3 and gap.max() < 0.5  # far above rounding, yet it has learned something
    y = torch.linspace(-30, 40, 7001).double()
    density = learned.mechanisms["y"].log_prob(torch.ones(len(y), 1).double(), y).exp()
    assert float(torch.trapezoid(density, y)) == pytest.approx(1.0, abs=1e-3)
    assert learned.do({"x": 2.0}).sample(1000, seed=0)["y"].mean() == pytest.approx(8.0, abs=2.5)
