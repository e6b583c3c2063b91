"""The linear unit tests for invariance by exact methods, beside the best published figure of any method.

    python benchmarks/exact_unit_tests.py [data seeds [environments ...]]      (default: 10 seeds, 3 6 10 environments)

10,000 rows an environment and split, as published. A line has the test error, mean over environments, as mean and
standard deviation over data seeds: squared error for examples 1 and 1s, share of wrong labels otherwise. "noted" counts
the seeds on which `invariant` says that its result may not be identified. Published: Aubin and others (2021), and
Ahuja and others (2021) for 2 and 2s; means over 50 data seeds. From 4 environments on the noise of example 1 is drawn
anew with each seed, and no two papers' means can be compared: there only the ratio to the oracle's can.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import causalkit as ck

# environments -> the best published mean of any method, and the published oracle's
BEST: dict[str, dict[int, tuple[float, float]]] = {
    "1": {
        2: (5.73, 5.63), 3: (10.594, 10.419), 4: (14.83, 14.61), 5: (15.44, 15.12), 6: (22.63, 22.21),
        7: (22.66, 22.19), 8: (26.21, 25.65), 9: (24.78, 24.21), 10: (26.46, 25.91),
    },
    "1s": {3: (11.066, 10.451), 6: (22.92, 22.13), 10: (27.78, 25.84)},
    "2": {
        2: (0.0, 0.0), 3: (0.0, 0.0), 4: (0.273, 0.0), 5: (0.127, 0.0), 6: (0.02, 0.0), 7: (0.059, 0.0),
        8: (0.039, 0.0), 9: (0.031, 0.0), 10: (0.014, 0.0),
    },
    "2s": {3: (0.0, 0.0), 6: (0.02, 0.0), 10: (0.469, 0.0)},
    "3": {
        2: (0.468, 0.013), 3: (0.344, 0.013), 4: (0.243, 0.013), 5: (0.161, 0.013), 6: (0.096, 0.013),
        7: (0.032, 0.013), 8: (0.031, 0.013), 9: (0.018, 0.013), 10: (0.013, 0.013),
    },
    "3s": {
        2: (0.5, 0.013), 3: (0.473, 0.013), 4: (0.447, 0.013), 5: (0.327, 0.013), 6: (0.144, 0.013),
        7: (0.045, 0.013), 8: (0.029, 0.013), 9: (0.014, 0.013), 10: (0.014, 0.013),
    },
}  # fmt: skip


def error(model, draw) -> float:
    """The test error, mean over environments."""
    table = ck.evaluate(model, draw.test, draw.task)
    return float((table["rmse"] ** 2).mean() if "rmse" in table else 1 - table["accuracy"].mean())


def cell(example: str, environments: int, seeds: int) -> str:
    """A line of the table."""
    risk, rival = ("least_squares", "eills") if example[0] == "1" else ("logistic", "isr_mean")
    found, noted, used = [], 0, 0.0
    for seed in range(seeds):
        draw = ck.unit_tests.environments(example, environments, seed=seed)
        begin = time.process_time()
        model = ck.exact.invariant(draw.train, draw.task, valid=draw.valid)
        used += time.process_time() - begin
        noted += bool(model.report["note"])
        others = [ck.EXACT[risk](draw.oracle, draw.task)]
        others += [ck.EXACT[name](draw.train, draw.task) for name in (risk, rival)]
        found.append([error(each, draw) for each in (model, *others)])
    means, spreads = np.mean(found, 0), np.std(found, 0, ddof=1)
    columns = [f"{mean:8.4f} +-{spread:8.4f}" for mean, spread in zip(means, spreads, strict=True)]
    best, oracle = BEST[example].get(environments, (np.nan, np.nan))
    ratios = [f"{a / b:6.3f}" if b > 0 else "     -" for a, b in ((means[0], means[1]), (best, oracle))]
    return "  ".join([f"{example:2}", f"{environments:3}", *columns, f"{best:7.3f}", *ratios, f"{noted:5}/{seeds}"]) + (
        f"  {used / seeds:5.1f} s"
    )


def main(seeds: int, counts: list[int]) -> None:
    """Print the table."""
    names = "invariant, oracle, converged ERM, and EILLS (example 1) or ISR-mean (2 and 3)"
    print(f"{seeds} data seeds; mean +- sd of {names}; best published; invariant / oracle, published / oracle; noted")
    for example in BEST:
        for environments in counts:
            print(cell(example, environments, seeds), flush=True)


if __name__ == "__main__":
    seeds, *counts = [int(text) for text in sys.argv[1:]] or [10]
    main(seeds, counts or [3, 6, 10])
