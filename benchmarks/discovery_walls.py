"""How many variables does each method of discovery do within a minute? The walls that `ck.methods()` shows.

    python benchmarks/discovery_walls.py [method ...]

One data set a size: Erdos-Renyi graph of degree 2, 1,000 rows, linear Gaussian (discrete methods: tables of two or
three levels), default options, one thread. Seconds are of processor time, so that what else the machine does counts
little. Sizes go up until a method needs more than 60 seconds, or would if its time grew with the square of the size.
About 15 minutes for all on one core.
"""

from __future__ import annotations

import resource
import sys

import causalkit as ck
from causalkit.discovery import ABOUT, DiscoveryTimeout

SIZES, LIMIT, ROWS = (10, 20, 50, 100, 200, 500), 60.0, 1000


def data(d: int, discrete: bool):
    """The data set of a size."""
    mechanism = "categorical" if discrete else "linear"
    return ck.random_scm(d, degree=2.0, mechanism=mechanism, seed=0).sample(ROWS, seed=1)


def used() -> float:
    """Seconds of processor time of all processes started and ended so far: a limit runs a method in one."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


def main(names: list[str]) -> None:
    """Print a line a method: the seconds at each size, and the wall."""
    for name in names:
        seconds: dict[int, float] = {}
        for d in SIZES:
            if seconds and seconds[max(seconds)] * (d / max(seconds)) ** 2 > LIMIT:
                break
            frame, before = data(d, ABOUT[name].data == "discrete"), used()
            try:
                ck.discover(frame, name, limit=5 * LIMIT)  # of wall-clock time
            except DiscoveryTimeout:
                break
            except ValueError as refused:
                print(f"{name}: {refused}")
                break
            if used() - before > LIMIT:
                break
            seconds[d] = used() - before
        times = "  ".join(f"{d}: {s:.2f} s" for d, s in seconds.items())
        print(f"{name:14s} wall {max(seconds, default=0):4d}   {times}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name, about in ABOUT.items() if not about.environments])
