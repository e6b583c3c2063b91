"""benchmarks/peers/discovery.py: runs without andrey-core, asks all of them the same, and ends what takes too long."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import causalkit as ck

PEERS = Path(__file__).parents[1] / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def peers():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("peers_discovery", PEERS / "discovery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = path
    for name in ("sampling", "samplers"):
        sys.modules.pop(name, None)
    return module


def script(*arguments):
    done = subprocess.run(
        [sys.executable, PEERS / "discovery.py", *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line]


def test_quality_without_a_peer_names_what_is_missing(tmp_path):
    absent = tmp_path / "python"
    absent.write_text("#!/bin/sh\nexit 1\n")
    absent.chmod(0o755)
    table = script("quality", "--d", "5", "--seeds", "2", "--methods", "flop,pc,xges", "--python", f"andrey={absent}")
    assert table[0] == ["noise", "d", "degree", "flop (causalkit)", "pc (causalkit)", "xges (andrey)", "pc (andrey)"]
    for row in table[2:4]:
        assert row[:2] == ["gaussian", "5"] and row[5:] == ["its interpreter ended"] * 2
        assert all(float(cell.split()[0]) >= 0 and float(cell.split("/")[1]) > 0 for cell in row[3:5])


def test_overhead_has_a_row_a_method_and_size():
    table = script("overhead", "--d", "8", "--degree", "2", "--seeds", "1", "--methods", "boss,pc")
    assert [row[:3] for row in table[2:4]] == [["boss", "8", "2"], ["pc", "8", "2"]]
    for row in table[2:4]:
        assert float(row[3]) > 0 and float(row[4]) > 0 and all(cell.endswith("%") for cell in row[5:])


@pytest.mark.parametrize("method", ["flop", "ges", "pc"])  # the others draw, and the bare call takes no seed
def test_our_adapter_and_the_bare_call_find_the_same_graph(peers, method):
    frame = ck.teaching_scm().sample(2000, seed=0)
    values = ((frame - frame.mean()) / frame.std(ddof=0)).to_numpy()
    ours, bare = peers.causalkit(values, method), peers.bare(values, method)
    assert sorted(map(tuple, ours)) == sorted(map(tuple, bare)) and ours


def test_the_distance_is_between_classes(peers):
    truth = nx.DiGraph([(0, 1), (1, 2)])
    assert peers.distance([[2, 1], [1, 0]], truth) == 0
    assert peers.distance([[0, 1], [1, 0], [1, 2], [2, 1]], truth) == 0
    assert peers.distance([[0, 1], [2, 1]], truth) == 2


def test_a_call_that_takes_too_long_is_a_time_out(peers, tmp_path):
    file = tmp_path / "data.npy"
    np.save(file, np.random.default_rng(0).standard_normal((1000, 60)))
    contender = peers.Learner("bare", sys.executable, 1)
    try:
        slow = contender.ask({"method": "ges", "file": str(file), "seconds": 0.05}, 120)
        assert slow == {"error": "time-out"} and contender.process is None
    finally:
        contender.end("done")
