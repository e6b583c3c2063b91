"""Positivity: where in the population the treatment that is asked about never happens.

An effect at x = a is an average over all of the population; where no row has x = a (or near a), the data are silent,
and a number would be the regression's invention.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from causalkit.identification.results import PositivityError, varies
from causalkit.identification.smooth import is_discrete

__all__ = ["at_level", "check_mediators", "check_overlap", "check_seen", "check_shared"]

CHANCE = 1e-6
"""Parts of the population without the treatment count if chance would leave them empty less often than this."""
FEWEST = 20
"""The least number of rows near a real value for which the rest of the population can be asked about."""
TOLERATED = {"levels": 0.08, "values": 0.2}
"""The share of rows without overlap above which there is no estimate; below it is said in the note. Of a real
treatment it is larger, as half a standard deviation is an arbitrary neighbourhood, and a curve bridges some of it."""


def check_seen(frame: pd.DataFrame, values: Mapping[str, float], what: str = "do") -> None:
    """Nothing, once every treatment varies and each value is one that the data show (or lies in their range).

    Raises:
        PositivityError: A constant treatment, a level that no row has, a real value outside of the data's range.
    """
    varies(frame, values)
    for name, value in values.items():
        column = frame[name]
        if is_discrete(column):
            if not (column == value).any():
                seen = ", ".join(f"{v:g}" for v in sorted(column.unique())[:10])
                raise PositivityError(f"{what}({name} = {value:g}): no row has that value; the data show {seen}")
        elif not column.min() <= value <= column.max():
            raise PositivityError(
                f"{what}({name} = {value:g}) lies outside of the data, {column.min():.3g} to {column.max():.3g}: ask "
                "for a value inside, or say with method='linear' that a line may be drawn on"
            )


def at_level(frame: pd.DataFrame, values: Mapping[str, float]) -> np.ndarray:
    """Which rows [n] have these values; of a real variable, those within half a standard deviation."""
    near = np.ones(len(frame), dtype=bool)
    for name, value in values.items():
        column = frame[name].to_numpy(np.float64)
        near &= column == value if is_discrete(frame[name]) else np.abs(column - value) <= column.std() / 2
    return near


def check_overlap(
    frame: pd.DataFrame, values: Mapping[str, float], covariates: list[str], *, what: str = "", real: bool | None = None
) -> str:
    """A note on overlap: empty where every part of the population has rows with (or near) these values.

    A small decision tree parts the rows by whether they have the values; a leaf without any such row is a part of the
    population about which the data are silent.

    Raises:
        PositivityError: Such parts hold more than 8% of the rows (20% if a value is real); the largest is described.
            Fewer than 20 rows are near a real value.
    """
    from sklearn.tree import DecisionTreeClassifier

    near = at_level(frame, values)
    wanted = what or ", ".join(f"{n} {'=' if is_discrete(frame[n]) else 'near'} {v:g}" for n, v in values.items())
    real = real or not all(is_discrete(frame[n]) for n in values)
    if not near.any():
        raise PositivityError(f"no row has {wanted}: ask for values that occur together in the data")
    if near.all() or not covariates:
        return ""
    if real and near.sum() < FEWEST:
        raise PositivityError(
            f"only {near.sum()} of {len(near)} rows have {wanted}: too few to see who is among them. Ask about a value "
            "that occurs more often, or assume a straight line with method='linear'"
        )
    x = frame[covariates].to_numpy(np.float64)
    tree = DecisionTreeClassifier(min_samples_leaf=max(20, len(x) // 20), random_state=0)
    leaf = tree.fit(x, near).apply(x)
    empty = [(int((leaf == k).sum()), k) for k in np.unique(leaf) if not near[leaf == k].any()]
    if sum(count for count, _ in empty) * np.log1p(-near.mean()) >= np.log(CHANCE):
        return ""
    share, (count, largest) = sum(c for c, _ in empty) / len(x), max(empty)
    where = _path(tree.tree_, largest, covariates)
    if share > TOLERATED["values" if real else "levels"]:
        raise PositivityError(
            f"no row has {wanted} where {where} ({count / len(x):.0%} of the rows; {share:.0%} with other such places):"
            " the data are silent there. Ask about values that occur everywhere, leave these rows out and say so, or "
            "assume a straight line with method='linear'"
        )
    return f"no row has {wanted} where {where}: {share:.1%} of the rows are extrapolated to"


def check_shared(here: pd.DataFrame, there: pd.DataFrame, columns: list[str], what: str, *, real: bool = False) -> str:
    """A note on whether rows like those of `there` occur in `here`, in these columns; `what` names `here`'s rows.

    Raises:
        PositivityError: More than 8% of the rows lie where `here` has none (20% where `real`).
    """
    if not columns or not len(there):
        return ""
    side = "here" if "here" not in columns else "here "
    both = pd.concat([here[columns].assign(**{side: 1}), there[columns].assign(**{side: 0})], ignore_index=True)
    return check_overlap(both, {side: 1}, columns, what=what, real=real)


def check_mediators(frame: pd.DataFrame, do: Mapping[str, float], mediators: list[str]) -> str:
    """A note on the front door's overlap: the mediators' values at do have to occur with the treatment's other values.

    A real treatment's other values are its lower and its upper half.

    Raises:
        PositivityError: As `check_shared`.
    """
    near, notes = frame[at_level(frame, do)], []
    for name in do:
        column = frame[name]
        parts = [(f"{name} = {v:g}", column == v) for v in np.unique(column)] if is_discrete(column) else []
        parts = parts or [("a low " + name, column <= column.median()), ("a high " + name, column > column.median())]
        notes += [check_shared(frame[c], near, mediators, what, real=not is_discrete(column)) for what, c in parts]
    return "; ".join(note for note in notes if note)


def _path(tree: object, leaf: int, names: list[str]) -> str:
    """The conditions on the way to a leaf, the tightest of each kind: z > 1.3 and w <= 0."""
    conditions: dict[tuple[str, str], float] = {}
    node = 0
    left, right, feature, threshold = (
        getattr(tree, f) for f in ("children_left", "children_right", "feature", "threshold")
    )
    below = {k: _below(left, right, k) for k in range(len(left))}
    while left[node] != -1:
        goes_left = leaf in below[left[node]]
        conditions[names[feature[node]], "<=" if goes_left else ">"] = float(threshold[node])
        node = left[node] if goes_left else right[node]
    return " and ".join(f"{name} {sign} {value:.3g}" for (name, sign), value in conditions.items()) or "anywhere"


def _below(left: np.ndarray, right: np.ndarray, node: int) -> set[int]:
    if left[node] == -1:
        return {node}
    return {node} | _below(left, right, left[node]) | _below(left, right, right[node])
