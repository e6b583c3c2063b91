"""Speed of what the package promises to be fast, each beside what it is measured against: ratios, not seconds.

Run: python benchmarks/speed.py [rounds]
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

import causalkit as ck
from causalkit.training import fit_many

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(title: str, ours: Callable[[], object], other: Callable[[], object]) -> None:
    """Times both in turn, after one warm-up of each, and prints the ratio ours / other."""
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(ROUNDS)]
    ratios = sorted(a / b for a, b in pairs)
    a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{title:<62} {statistics.median(ratios):6.2f}  [{ratios[0]:.2f}, {ratios[-1]:.2f}]  {a:7.3f} / {b:7.3f} s")


def python(code: str) -> Callable[[], object]:
    """A fresh interpreter that runs this code."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    print(f"{'ours / against':<62} {'ratio':>6}  [range over {ROUNDS} rounds]  median seconds, each")
    compare("import causalkit / import torch", python("import causalkit as ck; ck.fit; ck.SCM"), python("import torch"))
    scm = ck.teaching_scm()
    shifts = {"a": ck.shifts.spurious("y", strength=0.3), "b": ck.shifts.spurious("y", strength=0.3, direction=-1)}
    train, task = ck.sample_environments(scm, shifts, 1000, seed=0), ck.Task(("x1", "x2", "x3", "x4", "x5"), "y")
    for name in ("erm", "irm"):
        compare(
            f"10 replicates of {name}, stacked / one after the other",
            lambda name=name: fit_many([train] * 10, task, objective=name, seeds=range(10)),
            lambda name=name: [ck.fit(train, task, objective=name, seed=s) for s in range(10)],
        )
    frame = scm.sample(100_000, seed=0)
    compare("counterfactual of 100,000 rows / sampling them", lambda: scm.counterfactual(frame, {"x1": 0.0}),
            lambda: scm.sample(100_000, seed=0))  # fmt: skip
    few = scm.sample(1000, seed=0)
    compare("discover by flop / by pc, 6 variables, 1,000 rows", lambda: ck.discover(few, "flop"),
            lambda: ck.discover(few, "pc"))  # fmt: skip


if __name__ == "__main__":
    main()
