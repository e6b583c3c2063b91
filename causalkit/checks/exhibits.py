"""Two exhibits: what no data can tell, and what do() does not answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from causalkit.checks.population import mmd_limit
from causalkit.mechanisms import function, linear
from causalkit.scm import SCM
from causalkit.seeds import Seed, integer

__all__ = ["Exhibit", "joe", "two_worlds"]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """SCMs to look at, a small table, and what it says in a sentence."""

    worlds: dict[str, SCM]
    table: pd.DataFrame
    says: str

    def __repr__(self) -> str:
        return f"{self.says}\n{self.table.round(3).to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.says}</p>{self.table.round(3).to_html()}"


def two_worlds(*, n: int = 10_000, seed: Seed) -> Exhibit:
    """y := x + u and y := x + u sgn(-x): the same seen and done, opposite imagined.

    u is as likely as -u, so P(x, y) and P(y | do(x)) are the same in both worlds, and no data, from experiments
    neither, tells them apart. Of a unit with x < 0, had x been 1, they say 1 + (y - x) and 1 - (y - x). What decides is
    an assumption: that y is monotone in u the same way round at every x. World A keeps it, and B breaks it.

    Args:
        n: Units.
        seed: Of the units.

    Example:
        >>> shown = two_worlds(seed=0)
        >>> round(shown.table.loc["imagined: correlation of the answers", "A and B"], 6)
        -1.0
        >>> bool(shown.table.loc[["seen: MMD² of (x, y)", "done: MMD² of y, do(x = 1)"], "within the limit"].all())
        True
    """

    def turn(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, 0] > 0, -1.0, 1.0).double()

    other = function(lambda x, u: x[:, 0] + turn(x) * u, ["x"], inverse=lambda x, v: turn(x) * (v - x[:, 0]))
    worlds = {"A: y = x + u": SCM({"x": linear(), "y": linear({"x": 1.0})}),
              "B: y = x + u sgn(-x)": SCM({"x": linear(), "y": other})}  # fmt: skip
    a, b = worlds.values()
    rows: dict[str, tuple[object, ...]] = {}
    base = integer(seed, "two worlds")
    rungs = {"seen: MMD² of (x, y)": ({}, ["x", "y"]), "done: MMD² of y, do(x = 1)": ({"x": 1.0}, ["y"])}
    for what, (do, names) in rungs.items():
        one, two = (w.do(do).sample(500, seed=integer(base, k))[names].to_numpy() for k, w in enumerate((a, b)))
        found, limit = mmd_limit(one, two, 0.01, seed=base)
        rows[what] = (found, limit, found <= limit)
    facts = a.sample(n, seed=integer(base, "units"))
    facts = facts[facts["x"] < 0]
    one, two = (w.counterfactual(facts, {"x": 1.0})["y"].to_numpy() for w in (a, b))
    rows["imagined: correlation of the answers"] = (float(np.corrcoef(one, two)[0, 1]), np.nan, np.nan)
    rows["imagined: root mean square difference"] = (float(np.sqrt(((one - two) ** 2).mean())), np.nan, np.nan)
    table = pd.DataFrame(rows, index=["A and B", "limit", "within the limit"]).T
    says = "Two SCMs that agree on every observation and every experiment, and give each unit the opposite answer."
    return Exhibit(worlds, table, says)


def joe() -> Exhibit:
    """Joe's homework: his score, had he done 2 hours; and the average score of those made to do 2 hours.

    x is encouragement, h homework and y the exam score, in standard deviations: h := .5 x + u_h, y := .7 x + .4 h +
    u_y. Joe has x = .5, h = 1, y = 1.5. Source: Pearl, Glymour and Jewell (2016), section 4.2.3.

    Example:
        >>> print(joe())
        Joe would have scored 1.90 with h = 2; do(h = 2) says 0.80, which is about everybody, and not about Joe.
                                      x     h     y
        Joe, as he is               0.5  1.00  1.50
        abduct: his noise           0.5  0.75  0.75
        predict: Joe, had h been 2  0.5  2.00  1.90
        mean of all, do(h = 2)      0.0  2.00  0.80
    """
    scm = SCM({"x": linear(), "h": linear({"x": 0.5}), "y": linear({"x": 0.7, "h": 0.4})})
    him, do = pd.DataFrame({"x": [0.5], "h": [1.0], "y": [1.5]}), {"h": 2.0}
    mean = scm.do(do).push(him * 0.0)  # a linear SCM with noise of mean 0: the mean is what no noise makes
    steps = {
        "Joe, as he is": him,
        "abduct: his noise": scm.abduct(him),
        "predict: Joe, had h been 2": scm.counterfactual(him, do),
        "mean of all, do(h = 2)": mean,
    }
    table = pd.DataFrame({name: frame.iloc[0] for name, frame in steps.items()}).T
    answer, average = (float(table["y"].iloc[k]) for k in (2, 3))
    says = f"Joe would have scored {answer:.2f} with h = 2; do(h = 2) says {average:.2f}, which is about everybody"
    return Exhibit({"Joe's class": scm}, table, says + ", and not about Joe.")
