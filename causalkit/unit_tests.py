"""The linear unit tests for invariance: small data sets on which a method for invariant prediction should not fail.

Ten features, five of which keep their relation to the target in every environment; the other five do not. In the test
environments the latter are shuffled among the rows, so that only the former help.

1: cause and effect of a target whose noise differs between environments (regression).
2: cows and camels: a tiny feature that says everything, a large one that says almost everything (classes).
3: a small invariant margin beside a large one that points elsewhere in each environment (classes).
1s, 2s, 3s: the same in rotated coordinates, so that no single feature is invariant.

Source: Aubin, Slowik, Arjovsky, Bottou and Lopez-Paz (2021), "Linear unit-tests for invariance discovery", section 3,
with the constants of the authors' program (in Example 1 the numbers .1, 1.5 and 2 are standard deviations).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalkit.environments import Environment, Task
from causalkit.errors import unknown
from causalkit.seeds import Seed, integer, stream

__all__ = ["EXAMPLES", "UnitTest", "environments"]

KEPT = 5  # features of either sort
Rows = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]
"""From a stream, the environment's number and the rows wanted: features [n, 10], invariant ones first, and y [n]."""


@dataclass(frozen=True, eq=False)
class UnitTest:
    """One draw of an example.

    Attributes:
        task: Features x0 ... x9, target y.
        train, valid: Rows from the training distribution, environments E0, E1, ...
        test: The same environments, the features that are not invariant shuffled among the rows.
        oracle: Training rows that are shuffled in this way too: least squares, or converged logistic regression, on
            them is what the field calls the oracle.
        floor: The smallest risk that any linear model has on `test` in expectation, mean over environments: squared
            error in a regression, share of wrong labels otherwise.

    Example:
        >>> round(environments("1", seed=0, rows=100).floor, 3)
        10.433
    """

    task: Task
    train: list[Environment]
    valid: list[Environment]
    test: list[Environment]
    oracle: list[Environment]
    floor: float


def environments(example: str, environments: int = 3, rows: int = 10_000, *, seed: Seed) -> UnitTest:
    """Draws an example: its weights, its environments and their rows.

    Args:
        example: A name in EXAMPLES: "1", "2", "3", "1s", "2s" or "3s".
        environments: How many, at least 2. The first three of examples 1 and 2 are always the same, more are drawn.
        rows: Per environment and split; even.
        seed: Of everything that is drawn. "1" and "1s" at one seed are the same rows in other coordinates.

    Raises:
        ValueError: An unknown example, fewer than 2 environments, rows that are odd or fewer than 20.

    Example:
        >>> cows = environments("2", environments=2, rows=20, seed=0)
        >>> cows.test
        [Environment('E0': 20 rows of x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, y), \
Environment('E1': 20 rows of x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, y)]
    """
    if example not in EXAMPLES:
        raise unknown("unit test", example, EXAMPLES)
    if environments < 2 or rows < 20 or rows % 2:
        raise ValueError(
            f"{environments} environments of {rows} rows: give at least 2 environments, an even number of rows >= 20"
        )
    base = integer(seed, "unit test", example[0])
    draw, floor = EXAMPLES[example](stream(base, "environments"), environments)
    kind = "regression" if example[0] == "1" else "classification"
    task = Task(tuple(f"x{i}" for i in range(2 * KEPT)), "y", kind)  # type: ignore[arg-type]
    turn = np.eye(2 * KEPT)
    if example.endswith("s"):
        turn = np.linalg.qr(stream(base, "scramble").standard_normal((2 * KEPT, 2 * KEPT)))[0]

    def split(name: str, shuffled: bool) -> list[Environment]:
        return [
            Environment(f"E{e}", _frame(task, draw, e, rows, turn, shuffled, stream(base, name, e)))
            for e in range(environments)
        ]

    return UnitTest(
        task, split("train", False), split("valid", False), split("test", True), split("train", True), floor
    )


def _frame(
    task: Task, draw: Rows, e: int, rows: int, turn: np.ndarray, shuffled: bool, random: np.random.Generator
) -> pd.DataFrame:
    features, target = draw(random, e, rows)
    if shuffled:
        features[:, KEPT:] = features[random.permutation(rows), KEPT:]
    frame = pd.DataFrame(features @ turn, columns=list(task.features))
    return frame.assign(y=target)


def _cause_and_effect(random: np.random.Generator, count: int) -> tuple[Rows, float]:
    """x ~ N(0, s^2), w = x W + N(0, s^2), z = w V + N(0, 1); features (x, z), target sum(w); s is the environment."""
    deviations = [0.1, 1.5, 2.0, *10 ** random.uniform(-2, 1, max(count - 3, 0))][:count]
    there, back = (random.standard_normal((KEPT, KEPT)) / KEPT for _ in range(2))

    def rows(random: np.random.Generator, e: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = random.standard_normal((n, KEPT)) * deviations[e]
        w = x @ there + random.standard_normal((n, KEPT)) * deviations[e]
        z = w @ back + random.standard_normal((n, KEPT))
        return np.hstack([x, z]), w.sum(1)

    return rows, KEPT * float(np.mean(np.square(deviations)))


def _cows_and_camels(random: np.random.Generator, count: int) -> tuple[Rows, float]:
    """A cow with probability s, on its usual ground with probability p; a hundredth of the animal's size is seen."""
    usual = [0.95, 0.97, 0.99, *random.uniform(0.9, 1.0, max(count - 3, 0))][:count]
    cows = [0.3, 0.5, 0.7, *random.uniform(0.3, 0.7, max(count - 3, 0))][:count]

    def rows(random: np.random.Generator, e: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        animal = np.where(random.random(n) < cows[e], 1.0, -1.0)
        ground = animal * np.where(random.random(n) < usual[e], 1.0, -1.0)
        noise = random.standard_normal((n, 2 * KEPT)) * 0.1**0.5
        seen = noise + np.repeat(np.column_stack([animal, ground]), KEPT, axis=1)
        seen[:, :KEPT] *= 0.01
        return seen, (seen[:, :KEPT].sum(1) > 0).astype(int)

    return rows, 0.0


def _small_margin(random: np.random.Generator, count: int) -> tuple[Rows, float]:
    """Class 0 at (+.1, +m_e), class 1 at (-.1, -m_e), deviation .1 in each coordinate; m_e ~ N(0, 1)."""
    centres = random.standard_normal((count, KEPT))

    def rows(random: np.random.Generator, e: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat([0, 1], n // 2)
        centre = np.concatenate([np.full(KEPT, 0.1), centres[e]])
        return (1 - 2 * labels)[:, None] * centre + 0.1 * random.standard_normal((n, 2 * KEPT)), labels

    return rows, 0.5 * math.erfc(math.sqrt(KEPT) / math.sqrt(2))


EXAMPLES: dict[str, Callable[[np.random.Generator, int], tuple[Rows, float]]] = {
    "1": _cause_and_effect,
    "2": _cows_and_camels,
    "3": _small_margin,
    "1s": _cause_and_effect,
    "2s": _cows_and_camels,
    "3s": _small_margin,
}
"""The examples: name -> function(stream, environments) -> (rows of an environment, floor); "s" is for scrambled."""
