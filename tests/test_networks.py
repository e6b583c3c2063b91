"""The bnlearn networks as SCMs: against pgmpy's models, its exact inference, and the linear-Gaussian closed form."""

import gzip
import itertools
from importlib.resources import files

import networkx as nx
import numpy as np
import pytest

import causalkit as ck
from causalkit.networks import GAUSSIAN, NETWORKS


def theirs(name):
    from pgmpy.readwrite import BIFReader

    path = files("pgmpy") / "utils" / "example_models" / f"{name}.bif.gz"
    return BIFReader(string=gzip.decompress(path.read_bytes()).decode()).get_model()


@pytest.mark.parametrize("name", ["asia", "cancer", "child", "alarm"])
def test_tables_are_pgmpys_entry_by_entry(name):
    scm, model = ck.load_network(name), theirs(name)
    assert set(scm.graph.edges) == set(model.edges) and set(scm.variables) == set(model.nodes)
    for variable, mechanism in scm.mechanisms.items():
        cpd, names = model.get_cpds(variable), [*mechanism.parents, variable]
        assert scm.levels[variable] == tuple(cpd.state_names[variable])
        for codes in itertools.product(*(range(len(scm.levels[v])) for v in names)):
            entry = cpd.get_value(**{v: scm.levels[v][k] for v, k in zip(names, codes, strict=True)})
            assert float(mechanism.log_table[codes].exp()) == pytest.approx(entry, abs=2e-7)  # rows are normalised


@pytest.mark.parametrize("name", ["asia", "cancer", "child"])
def test_marginals_before_and_after_do_are_those_of_exact_inference(name):
    from pgmpy.inference import VariableElimination

    scm, model = ck.load_network(name), theirs(name)
    # a variable in the middle: the effects of setting it are not those of seeing it
    cause = max(scm.variables, key=lambda v: min(scm.graph.in_degree(v), scm.graph.out_degree(v)))
    n = 100_000
    frames = {None: scm.sample(n, seed=0), cause: scm.do({cause: 0}).sample(n, seed=1)}
    for acted, frame in frames.items():
        exact = VariableElimination(model if acted is None else model.do([acted]))
        for variable in set(scm.variables) - {acted}:
            evidence = {} if acted is None else {acted: scm.levels[acted][0]}
            table = exact.query([variable], evidence=evidence, show_progress=False)
            p = np.array([table.get_value(**{variable: state}) for state in scm.levels[variable]])
            share = np.bincount(frame[variable], minlength=len(p)) / n
            assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-9).all(), variable


@pytest.mark.parametrize("name", ["ecoli70", "magic-niab"])
def test_linear_gaussian_networks_have_the_mean_and_covariance_of_pgmpy(name):
    from pgmpy.models import LinearGaussianBayesianNetwork

    model = LinearGaussianBayesianNetwork.load(str(files("pgmpy") / "utils" / "example_models" / f"{name}.json"))
    mean, covariance = model.to_joint_gaussian()  # in the order of its topological sort
    order = list(nx.topological_sort(model))
    scm = ck.load_network(name)
    frame = scm.sample(100_000, seed=0)[order]
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((frame.mean() - mean) / sd, 0, atol=0.02)
    np.testing.assert_allclose((frame.cov() - covariance) / np.outer(sd, sd), 0, atol=0.03)
    assert scm.counterfactual(frame[:100], {order[0]: 0.0}).shape == (100, len(order))  # determined: no seed


@pytest.mark.parametrize(
    "name", ["survey", "sachs", "insurance", "hailfinder", "hepar2", "win95pts", "andes", "arth150"]
)
def test_a_network_samples_intervenes_and_answers_counterfactuals(name):
    scm = ck.load_network(name)
    assert len(scm.variables) == NETWORKS[name]
    root = scm.order[0]
    frame = scm.sample(50, seed=0)
    assert np.isfinite(scm.log_prob(frame)).all()
    assert (scm.do({root: 1}).sample(50, seed=0)[root] == 1).all()
    imagined = scm.counterfactual(frame, {root: 1}, seed=0)
    untouched = [v for v in scm.variables if v != root and v not in nx.descendants(scm.graph, root)]
    np.testing.assert_allclose(imagined[untouched], frame[untouched], atol=1e-9)


def test_names_with_odd_characters_are_names():
    scm = ck.load_network("magic-niab")
    assert "YR.GLASS" in scm.variables
    assert (scm.do({"YR.GLASS": 0.0}).sample(5, seed=0)["YR.GLASS"] == 0).all()
    assert ck.load_network("child").levels["LowerBodyO2"] == ("<5", "5-12", "12+")


@pytest.mark.parametrize(
    ("name", "message"),
    [("asya", "did you mean 'asia'"), ("mehra", "hybrid.*ck.networks.NETWORKS"), ("sangiovese", "hybrid")],
)
def test_an_unknown_network_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        ck.load_network(name)


def test_a_state_is_set_by_its_code():
    scm = ck.load_network("asia")
    with pytest.raises(ValueError, match=r"do\(smoke = .*value 2.*codes 0 \(yes\), 1 \(no\)"):
        scm.do({"smoke": 2})
    with pytest.raises(ValueError, match=r"do\(smoke = 'no'\): give one of the codes 0 \(yes\), 1 \(no\)"):
        scm.do({"smoke": "no"})
    assert set(GAUSSIAN) < set(NETWORKS)
