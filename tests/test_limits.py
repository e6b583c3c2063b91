"""Time limits: results, errors and warnings come through; at the limit the process is gone, whatever it was doing."""

import multiprocessing
import os
import select
import signal
import threading
import warnings
from functools import partial

import networkx as nx
import pytest
import torch

import causalkit as ck
from causalkit.datasets import teaching_scm
from causalkit.discovery import METHODS, DiscoveryTimeout, bootstrap, discover
from causalkit.discovery.limits import within
from causalkit.graphs import member

FRAME = teaching_scm().sample(300, seed=0)


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def fail(error):
    raise error


def hold_the_lock(report):
    """One instruction of the interpreter that takes minutes: no signal handler or other thread gets a turn."""
    report(os.getpid())
    return 3 ** (10**9)


@pytest.mark.parametrize("method", ["flop", "boss", "pc", "hill_climb", "random_order"])
def test_a_limit_does_not_change_the_result(method):
    frame = ck.load_network("asia").sample(500, seed=0) if method == "hill_climb" else FRAME
    free, limited = discover(frame, method, seed=2), discover(frame, method, seed=2, limit=100.0)
    assert nx.utils.graphs_equal(free, limited)


def test_what_holds_the_interpreters_lock_is_killed():
    with pytest.raises(DiscoveryTimeout, match=r"within 0\.5 seconds") as late:
        within(0.5, hold_the_lock, reports=True)
    assert gone(late.value.best)


def test_flop_is_stopped_and_its_best_graph_comes_with_the_error():
    """The library's own time limit never returns."""
    with pytest.raises(DiscoveryTimeout, match=r"\.best") as late:
        discover(FRAME, "flop", restarts=10**7, limit=2.0)
    best = late.value.best  # of the first run, without restarts: a graph, though not yet the best one
    assert list(best.nodes) == list(FRAME.columns) and set(member(best).nodes) == set(best.nodes)
    assert isinstance(late.value, ValueError) and isinstance(late.value, TimeoutError)


def test_a_method_without_reports_has_no_best_graph(monkeypatch):
    monkeypatch.setitem(METHODS, "endless", lambda frame, *, seed: threading.Event().wait())
    with pytest.raises(DiscoveryTimeout) as late:
        discover(FRAME, "endless", limit=0.3)
    assert late.value.best is None


def test_reports_pass_through_knowledge(monkeypatch):
    from causalkit.discovery.knowledge import Knowledge

    def endless(frame, *, seed, report):
        report(nx.DiGraph([("x1", "y"), ("y", "x3")], kind="dag"))
        threading.Event().wait()

    monkeypatch.setitem(METHODS, "endless", endless)
    with pytest.raises(DiscoveryTimeout) as late:
        discover(FRAME, "endless", limit=1.0, knowledge=Knowledge(forbidden=[("x1", "y"), ("y", "x1")]))
    assert list(late.value.best.edges) == [("y", "x3")] and len(late.value.best) == 6


@pytest.mark.parametrize("error", [KeyError("in"), MemoryError("full"), ck.mechanisms.NotInvertible("x")])
def test_errors_come_through_with_their_type(error):
    with pytest.raises(type(error)) as raised:
        within(60.0, fail, error)
    assert raised.value.args == error.args


def test_warnings_come_through():
    def warn():
        warnings.warn("mind the gap", RuntimeWarning, stacklevel=1)
        return 1

    with pytest.warns(RuntimeWarning, match="mind the gap"):
        assert within(60.0, warn) == 1


def test_a_process_that_is_killed_from_outside_is_an_error():
    with pytest.raises(MemoryError, match=r"exit code -9.*fewer variables"):
        within(60.0, lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_result_that_cannot_be_sent_is_an_error():
    with pytest.raises(RuntimeError, match="function cannot be sent"):
        within(60.0, lambda: lambda: 1)


def test_what_the_process_starts_ends_with_it():
    reading, writing = os.pipe()  # which ends when the last process that may write into it has ended

    def start():
        child = multiprocessing.get_context("fork").Process(target=threading.Event().wait)
        child.start()
        child.join()

    with pytest.raises(DiscoveryTimeout):
        within(0.5, start)
    os.close(writing)
    assert select.select([reading], [], [], 60.0)[0] == [reading] and os.read(reading, 1) == b""
    os.close(reading)


def test_an_interrupt_kills_the_process():
    # a shell that starts its jobs in the background makes them deaf to interrupts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(report):
        report(os.getpid())
        os.kill(os.getppid(), signal.SIGINT)
        threading.Event().wait()

    try:
        with pytest.raises(KeyboardInterrupt):
            within(60.0, interrupted, reports=True)
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_thread_within_and_as_many_as_before_outside():
    before = torch.get_num_threads()
    assert within(60.0, torch.get_num_threads) == 1 and torch.get_num_threads() == before


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(limit):
    for call in (partial(discover, FRAME), partial(bootstrap, FRAME)):
        with pytest.raises(ValueError, match=f"limit {limit}"):
            call(limit=limit)
    with pytest.raises(ValueError, match=f"limit {limit}"):
        within(limit, int)


def test_bootstrap_under_a_limit():
    assert bootstrap(FRAME, n=3, limit=100.0, n_jobs=1).equals(bootstrap(FRAME, n=3, n_jobs=1))
    with pytest.raises(DiscoveryTimeout, match=r"0 of 3 resamples were done within 0\.5 seconds") as late:
        bootstrap(FRAME, n=3, limit=0.5, restarts=10**7, n_jobs=1)
    assert late.value.best is None
    with pytest.raises(DiscoveryTimeout, match="resamples were done within 2 seconds") as late:
        bootstrap(FRAME, n=10**4, limit=2.0, n_jobs=1)
    assert len(late.value.best) == 15 and late.value.best["present"].between(0, 1).all()
