"""Coloured digits, coloured signals, and a curve to extrapolate: small stand-ins for data of published experiments.

Coloured MNIST (Arjovsky et al. 2019) asks whether a network reads the digit, which goes with the label equally often
everywhere, or its colour, which goes with the label more often in training and less often in the test. It is made of
70,000 downloaded images. Here the same recipe colours scikit-learn's 1,797 digits of 8 x 8 pixels (`digits`) and
signals of the MNIST-1D generator (`signals`), so nothing is downloaded. **Neither is MNIST**: figures published for
Coloured MNIST say in which order methods should come, not which numbers.

The recipe, for every row: `shape` is 1 for a digit below 5; the label y is `shape`, flipped with probability
`label_noise`; the colour is y, flipped with probability `flips[environment]`. The grey values stand in the channel of
the colour, and the other channel is 0. So at best a classifier is right with probability 1 - label_noise by the digit
and 1 - flip by the colour, in each environment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd

from causalkit.environments import Environment, Task
from causalkit.errors import check_frame, unknown
from causalkit.seeds import Seed, integer, stream

__all__ = ["digits", "distinct", "extrapolation", "grey", "signals", "task"]

Part = Literal["train", "test"]


def digits(
    flips: Mapping[str, float], rows: int = 10_000, *, label_noise: float = 0.25, part: Part = "train", seed: Seed
) -> list[Environment]:
    """Scikit-learn's handwritten digits, coloured: one environment for each probability of a flipped colour.

    Every third image is a test image, whatever the seed; the other 1,198 are for training. Rows are drawn with
    replacement, each with label noise and colour of its own: an image comes back with both labels, so that a network
    cannot learn by heart which labels are noise. (In Coloured MNIST each image occurs once.)

    Args:
        flips: Environment name -> the probability that the colour differs from the label.
        rows: An environment.
        label_noise: The probability that the label differs from the shape.
        part: From which images: "train" or "test".
        seed: Of the draws; each environment has its own stream.

    Returns:
        Environments with the columns p0 ... p127, grey values from 0 to 1 [2 channels, 8 x 8 pixels, row by row], then
        y, colour, shape (1 for a digit below 5) and digit.

    Raises:
        ValueError: No environment, a probability outside [0, 1], no row, another part.

    Source: Arjovsky et al. (2019), section 5.1, for the recipe; Alpaydin and Kaynak (1998), UCI optical recognition
    of handwritten digits, for the images.

    Example:
        >>> train = digits({"a": 0.1, "b": 0.2}, 500, seed=0)
        >>> [(e.name, e.frame.shape) for e in train]
        [('a', (500, 132)), ('b', (500, 132))]
        >>> (train[0].frame["y"] != train[0].frame["colour"]).mean().round(1)
        np.float64(0.1)
    """
    _check(flips, rows, label_noise, part)
    images, numbers = _digits()
    pool = np.flatnonzero((np.arange(len(images)) % 3 == 0) == (part == "test"))

    def draw(name: str) -> tuple[np.ndarray, np.ndarray]:
        pick = stream(base, "images", part, name).choice(pool, rows)
        return images[pick], numbers[pick]

    base = integer(seed, "digits")
    return [_coloured(name, *draw(name), flip, label_noise, stream(base, part, name)) for name, flip in flips.items()]


def signals(
    flips: Mapping[str, float],
    rows: int = 10_000,
    *,
    label_noise: float = 0.25,
    part: Part = "train",
    max_translation: int = 1,
    seed: Seed,
) -> list[Environment]:
    """Signals of the MNIST-1D generator, coloured: as `digits`, but every row is a new signal, of 40 values.

    Train and test are draws of the generator from streams of their own. Its signals are moved to a mean of 1 and a
    standard deviation of 1, so that an empty channel differs from one with a signal in its mean, as with images.

    Args:
        flips, rows, label_noise, part, seed: As in `digits`.
        max_translation: Signals are rolled round by up to so many places, less one, of 72: 1 leaves them where they
            are. MNIST-1D itself has 48, which a network without convolutions hardly learns from noisy labels.

    Returns:
        Environments with the columns p0 ... p79 [2 channels, 40 values], then y, colour, shape and digit.

    Raises:
        ValueError: What `digits` raises; a translation below 1; the library mnist1d is not installed.

    Source: Greydanus and Kobak (2024), Scaling down deep learning with MNIST-1D, whose library generates; colours as
    in Arjovsky et al. (2019), section 5.1.

    Example:
        >>> signals({"a": 0.1}, 50, seed=0)[0].frame.shape
        (50, 84)
    """
    _check(flips, rows, label_noise, part)
    if isinstance(max_translation, bool) or not isinstance(max_translation, int) or max_translation < 1:
        raise ValueError(f"max_translation {max_translation!r}: give a whole number of at least 1")
    base = integer(seed, "signals")
    environments = []
    for name, flip in flips.items():
        values, numbers = _generate(rows, max_translation, integer(base, "signals", part, name))
        environments.append(_coloured(name, values, numbers, flip, label_noise, stream(base, part, name)))
    return environments


def task(environments: Sequence[Environment]) -> Task:
    """The task of such data: y, a classification, from the values p0, p1, ...; never from colour, shape or digit.

    Raises:
        ValueError: An environment without such columns.

    Example:
        >>> len(task(digits({"a": 0.1}, 10, seed=0)).features)
        128
    """
    return Task(tuple(_values(environments)), "y", "classification")


def grey(environments: Sequence[Environment]) -> list[Environment]:
    """The same rows without colour, the sum of both channels: what an oracle that cannot go wrong is trained on.

    Raises:
        ValueError: An environment without such columns.

    Example:
        >>> coloured = digits({"a": 0.1}, 10, seed=0)
        >>> len(task(grey(coloured)).features)
        64
    """
    names = _values(environments)
    half = len(names) // 2
    plain = []
    for environment in environments:
        values = environment.frame[names].to_numpy()
        rest = environment.frame.drop(columns=names)
        sums = pd.DataFrame(values[:, :half] + values[:, half:], columns=names[:half], index=rest.index)
        plain.append(Environment(environment.name, pd.concat([sums, rest], axis=1)))
    return plain


def distinct(environments: Sequence[Environment]) -> tuple[list[Environment], list[np.ndarray]]:
    """Each different row once, and how often it occurs, for `fit(..., weights=...)`: the same risks at less cost.

    25,000 coloured digits are fewer than 4,792 different rows: 1,198 images in two colours with two labels.

    Returns:
        The environments with each row once, in the order of the first occurrence, and the counts [rows] of each.

    Raises:
        ValueError: An environment without the columns of `digits` or `signals`.

    Example:
        >>> few, weights = distinct(digits({"a": 0.1}, 25_000, seed=0))
        >>> len(few[0].frame) <= 4_792, weights[0].sum()
        (True, np.int64(25000))
    """
    names = _values(environments)
    few, weights = [], []
    for environment in environments:
        rows = environment.frame[[*names, "y"]].to_numpy()
        _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
        order = first.argsort()
        few.append(Environment(environment.name, environment.frame.iloc[first[order]].reset_index(drop=True)))
        weights.append(counts[order])
    return few, weights


def extrapolation(rows: int = 2_500, *, seed: Seed) -> tuple[list[Environment], Environment]:
    """A curve, y = sin(2 x1) + 1, seen in two places: can it be continued beyond them?

    There is no noise, and y does not depend on x2; but x1 and x2 go together differently in the two training
    environments, N((-0.9, -2.2), [[0.9, 0.11], [0.11, 0.1]]) and N((1, 2), [[1, -0.3], [-0.3, 0.1]]), and x2 alone
    tells them apart. The test is 1,000 rows uniform over [-4, 4]^2.

    Args:
        rows: A training environment.
        seed: Of the draws.

    Returns:
        The two training environments, and the test environment: columns x1, x2 and y.

    Raises:
        ValueError: Fewer rows than one.

    Source: Chen et al. (2023), Pareto invariant risk minimization, figure 4; the text has y = sin(x1) + 1, the
    authors' code, which made the figure, sin(2 x1) + 1.

    Example:
        >>> train, test = extrapolation(seed=0)
        >>> [e.name for e in train], test
        (['left', 'right'], Environment('uniform': 1000 rows of x1, x2, y))
    """
    _check({"left": 0.0}, rows, 0.0, "train")
    base = integer(seed, "extrapolation")
    clouds = {
        "left": ([-0.9, -2.2], [[0.9, 0.11], [0.11, 0.1]]),
        "right": ([1.0, 2.0], [[1.0, -0.3], [-0.3, 0.1]]),
    }
    points = {name: stream(base, name).multivariate_normal(*cloud, rows) for name, cloud in clouds.items()}
    points["uniform"] = stream(base, "uniform").uniform(-4.0, 4.0, (1_000, 2))
    frames = {
        name: pd.DataFrame(x, columns=["x1", "x2"]).assign(y=np.sin(2 * x[:, 0]) + 1) for name, x in points.items()
    }
    left, right, test = (Environment(name, frame) for name, frame in frames.items())
    return [left, right], test


def _coloured(
    name: str, values: np.ndarray, numbers: np.ndarray, flip: float, label_noise: float, draw: np.random.Generator
) -> Environment:
    """The recipe on grey values [rows, n] and their digits [rows]; colour 0 fills the first channel, 1 the second."""
    shape = numbers < 5
    y = shape ^ (draw.random(len(shape)) < label_noise)
    colour = y ^ (draw.random(len(shape)) < flip)
    channels = np.hstack([values * ~colour[:, None], values * colour[:, None]])
    frame = pd.DataFrame(channels, columns=[f"p{i}" for i in range(channels.shape[1])])
    labels = pd.DataFrame({"y": y, "colour": colour, "shape": shape, "digit": numbers}).astype(np.int64)
    return Environment(name, pd.concat([frame, labels], axis=1))


def _values(environments: Sequence[Environment]) -> list[str]:
    """The columns p0, p1, ... that all environments have."""
    if not environments:
        raise ValueError("no environment: give what `digits` or `signals` returned")
    names = [name for name in environments[0].frame.columns if str(name)[0] == "p" and str(name)[1:].isdigit()]
    for environment in environments:
        if not names:
            raise ValueError(
                f"{environment.name!r} has no columns p0, p1, ...: give what `digits` or `signals` returned"
            )
        check_frame(environment.frame, [*names, "y"])
    return names


def _generate(rows: int, max_translation: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many signals of the generator [rows, 40], and which digit [rows]."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ModuleNotFoundError as missing:
        raise ValueError(f"signals need {missing.name}, which is not installed: pip install mnist1d") from missing
    settings = get_dataset_args()
    settings.num_samples, settings.train_split = 10 * -(-rows // 10), 1.0  # it makes as many of each digit
    settings.max_translation, settings.seed = max_translation, seed
    with _global_state_kept():
        made = make_dataset(settings)
    return made["x"][:rows] + 1.0, made["y"][:rows]


@contextmanager
def _global_state_kept() -> Iterator[None]:
    """The generator seeds and draws from the global streams: they are put back as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _check(flips: Mapping[str, float], rows: int, label_noise: float, part: str) -> None:
    if not isinstance(flips, Mapping) or not flips:
        raise ValueError(f"flips must map environment names to probabilities, got {flips!r}: write {{'a': 0.1}}, say")
    for name, value in {
        **{f"flips[{name!r}]": flip for name, flip in flips.items()},
        "label_noise": label_noise,
    }.items():
        if isinstance(value, bool) or not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value!r}: give a probability, 0.1 say")
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise ValueError(f"rows {rows!r}: give the number of rows an environment, at least 1")
    if part not in ("train", "test"):
        raise unknown("part", part, ("train", "test"))


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Grey values from 0 to 1 [1797, 64] and which digit [1797]."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data / 16.0, data.target
