"""The methods of discovery by name, and what there is to know of each: `ck.methods()` prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import networkx as nx
import pandas as pd

from causalkit.discovery.auto import auto
from causalkit.discovery.baselines import empty, r2_sort, random_order, var_sort
from causalkit.discovery.cam import cam
from causalkit.discovery.causallearn import boss, direct_lingam, ges, grasp
from causalkit.discovery.constraints import fci, pc
from causalkit.discovery.continuous import dagma, notears
from causalkit.discovery.discrete import ges_discrete, hill_climb
from causalkit.discovery.environments import icp, icp_nonlinear
from causalkit.discovery.linear import flop, orders
from causalkit.discovery.pooled import pooled
from causalkit.discovery.tables import orders_discrete

__all__ = ["ABOUT", "METHODS", "About", "methods"]


@dataclass(frozen=True)
class About:
    """What there is to know of a method before it is called.

    Args:
        data: What it reads. "any": it looks for itself.
        assumes: In a few words, beside "the data are independent rows"; the method's docstring says more.
        returns: "dag", "cpdag" or "pag".
        wall: The most variables of 10, 20, 50, 100, 200, 500 that it does within 60 seconds at 1,000 rows, on random
            models of degree 2, one thread (benchmarks/discovery_walls.py); None: not measured.
        knowledge: "native": the search holds it; "afterwards": `discover` applies it to the graph found; "refused".
        library: Whose implementation.
        module: What it imports when it is called.
        extra: Of this package, that installs the library; None: it is there anyway.
        few_rows: It can do with fewer rows than variables.
        environments: It reads a list of `ck.Environment`, not one frame.
    """

    data: Literal["continuous", "discrete", "any"] = "any"
    assumes: str = ""
    returns: Literal["dag", "cpdag", "pag"] = "cpdag"
    wall: int | None = None
    knowledge: Literal["native", "afterwards", "refused"] = "afterwards"
    library: str = ""
    module: str = ""
    extra: str | None = None
    few_rows: bool = False
    environments: bool = False


METHODS: dict[str, Callable[..., nx.DiGraph]] = {
    "auto": auto, "cam": cam, "orders": orders,
    "flop": flop, "boss": boss, "grasp": grasp, "ges": ges, "pc": pc, "fci": fci, "direct_lingam": direct_lingam,
    "orders_discrete": orders_discrete, "hill_climb": hill_climb, "ges_discrete": ges_discrete,
    "notears": notears, "dagma": dagma,
    "icp": icp, "icp_nonlinear": icp_nonlinear, "pooled": pooled,
    "empty": empty, "random_order": random_order, "var_sort": var_sort, "r2_sort": r2_sort,
}  # fmt: skip
"""Name -> function(frame, *, seed, knowledge=None, **options) -> graph. A user adds one in a line."""

_LINEAR = About(data="continuous", assumes="linear, Gaussian, no hidden causes", library="causal-learn")
_TABLES = About(data="discrete", assumes="no hidden causes", library="pgmpy", module="pgmpy.causal_discovery")
_EQUAL = About(data="continuous", assumes="linear, equal noise variance, raw units", returns="dag", extra="peers")
_SORTED = About(data="continuous", returns="dag", library="CausalDisco", module="CausalDisco.baselines")
_SEARCH = "causallearn.search"

ABOUT: dict[str, About] = {
    "auto": About(assumes="what the method it chooses assumes", wall=500, library="causalkit", knowledge="native"),
    "cam": About(
        assumes="additive effects and noise, no hidden causes", returns="dag", wall=500, knowledge="native",
        library="causalkit",
    ),
    "orders": replace(_LINEAR, wall=500, knowledge="native", library="causalkit"),
    "flop": replace(_LINEAR, wall=500, library="flopsearch", module="flopsearch"),
    "boss": replace(_LINEAR, wall=200, module=f"{_SEARCH}.PermutationBased.BOSS"),
    "grasp": replace(_LINEAR, wall=100, module=f"{_SEARCH}.PermutationBased.GRaSP"),
    "ges": replace(_LINEAR, wall=100, module=f"{_SEARCH}.ScoreBased.GES"),
    "pc": About(
        assumes="faithful, no hidden causes, and its test's", wall=200, library="causal-learn",
        module=f"{_SEARCH}.ConstraintBased.PC", few_rows=True,
    ),
    "fci": About(
        assumes="faithful, and its test's", returns="pag", wall=500, knowledge="refused", library="causal-learn",
        module=f"{_SEARCH}.ConstraintBased.FCI",
    ),
    "direct_lingam": replace(
        _LINEAR, assumes="linear, noise not Gaussian, no hidden causes", returns="dag", wall=100,
        module=f"{_SEARCH}.FCMBased.lingam",
    ),
    "orders_discrete": replace(_TABLES, wall=500, knowledge="native", library="causalkit", module=""),
    "hill_climb": replace(_TABLES, wall=200, knowledge="native"),
    "ges_discrete": replace(_TABLES, wall=20),
    "notears": replace(_EQUAL, wall=100, library="gcastle", module="castle.algorithms"),
    "dagma": replace(_EQUAL, wall=200, library="dagma", module="dagma.linear"),
    "icp": replace(
        _LINEAR, assumes="linear, the target's mechanism stays, no hidden causes of it", returns="dag", wall=500,
        knowledge="native", library="causalkit", environments=True,
    ),
    "icp_nonlinear": replace(
        _LINEAR, assumes="additive noise, the target's mechanism stays, no hidden causes of it", returns="dag",
        wall=500, knowledge="native", library="causalkit", environments=True,
    ),
    "pooled": replace(_LINEAR, wall=50, knowledge="native", library="causalkit", environments=True),
    "empty": About(assumes="nothing causes anything", returns="dag", library="causalkit", few_rows=True),
    "random_order": replace(_SORTED, assumes="nothing: a guess", wall=500),
    "var_sort": replace(_SORTED, assumes="variance grows along the order", wall=500),
    "r2_sort": replace(_SORTED, assumes="R^2 grows along the order", wall=500),
}  # fmt: skip
"""Name -> what there is to know. A method without an entry is taken for `About()`: any data, no wall."""


def methods() -> pd.DataFrame:
    """The catalogue as a table: a row a method, with its data, assumptions, result, wall, use of knowledge, library.

    Example:
        >>> methods().loc["flop", ["data", "returns", "library"]].tolist()
        ['continuous', 'cpdag', 'flopsearch']
    """
    shown = [field.name for field in fields(About)][:6]
    rows = [{name: getattr(ABOUT.get(method, About()), name) for name in shown} for method in METHODS]
    return pd.DataFrame(rows, index=pd.Index(list(METHODS), name="name")).astype({"wall": "Int64"})
