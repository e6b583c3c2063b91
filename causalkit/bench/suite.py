"""Suites: which notebook is run with which parameters and seeds, read from a TOML file and checked as a whole.

A suite holds experiments. An experiment is a notebook, fixed parameters, axes to sweep (product: every combination;
zip: side by side; cases: one by one) and seeds. Its runs are product x zip rows x cases x seeds, in this order.
"""

from __future__ import annotations

import glob
import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalkit.bench.references import check_references
from causalkit.errors import unknown
from causalkit.runs.parameters import check_each, find_notebook, notebook_parameters

__all__ = ["BUDGETS", "Experiment", "Suite", "list_suites", "load_suite"]

BUDGETS = ("fast", "full")
TIMEOUT = 600.0  # seconds a run, where the suite says nothing
NUMBER = (int, float)
#: What may stand in a suite file, and of which type.
TOP = {"title": str, "about": str, "include": list, "experiment": list}
KEYS: dict[str, Any] = {
    "name": str, "question": str, "notebook": str, "seeds": (int, list), "timeout": NUMBER, "memory": NUMBER,
    "parameters": dict, "product": dict, "zip": dict, "cases": list, "metrics": dict, "baseline": dict,
    "plot": list, "effects": list, "source": str, "protocol": str, "figures": list,
}  # fmt: skip
NEEDED = ("name", "question", "notebook", "seeds", "metrics")


@dataclass(frozen=True)
class Experiment:
    """One notebook swept over axes; `runs` are the parameters of every run, the seed included, in order.

    timeout is in seconds a run, memory in GiB a run (None: no limit). `axes` are the swept parameters without the
    seed; metrics map a name to {"better": "lower" | "higher" | None, "tolerance": relative deviation accepted on
    another machine}. The rest says what the report compares and plots.
    """

    name: str
    question: str
    notebook: Path
    seeds: tuple[int, ...]
    timeout: float
    memory: float | None
    runs: tuple[dict[str, Any], ...]
    axes: tuple[str, ...]
    metrics: dict[str, dict[str, Any]]
    baseline: dict[str, Any]
    plot: tuple[dict[str, Any], ...]
    effects: tuple[str, ...]
    source: str
    protocol: str
    figures: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Suite:
    """Experiments under one title, at one budget; `part` has the options by which some were chosen (`part_of`)."""

    name: str
    path: Path
    title: str
    about: str
    budget: str
    experiments: tuple[Experiment, ...]
    part: tuple[str, ...] = ()


def list_suites() -> dict[str, Path]:
    """The shipped suites, name -> file: benchmarks/suites beside the package, or in the current directory."""
    folders = (Path(__file__).resolve().parents[2], Path.cwd())
    found = [sorted((folder / "benchmarks" / "suites").glob("*.toml")) for folder in folders]
    return {path.stem: path for path in next(filter(None, found), [])}


def load_suite(suite: str | Path, budget: str = "fast") -> Suite:
    """Read a suite, and check all of it: every key, notebook, parameter and name, before anything runs.

    Args:
        suite: A shipped suite's name, or the path of a .toml file.
        budget: "fast" or "full"; a table with exactly these two keys is replaced by the entry of the budget.

    Raises:
        ValueError: No such suite or budget; a syntax error (with its line); an unknown key, parameter, axis or
            metric (with the closest known name); a wrong type; a name set twice; anything else that cannot run.
    """
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    path = _find(suite)
    tables, top = _tables(path)
    experiments = []
    for file, table in tables:
        where = f"{file.name}, experiment {table.get('name', '?')!r}"
        try:
            experiments.append(_experiment(file, table, budget))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    names = [experiment.name for experiment in experiments]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path.name} has {names.count(name)} experiments called {name!r}: give each its own name")
    about = " ".join(top.get("about", "").split())
    return Suite(path.stem, path, top.get("title", path.stem), about, budget, tuple(experiments))


def _find(suite: str | Path) -> Path:
    path = Path(suite).expanduser()
    if path.suffix == ".toml" and path.is_file():
        return path.resolve()
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise ValueError(f"there is no suite file {str(suite)!r}: give the path of a .toml file, or a shipped name")
    shipped = list_suites()
    if str(suite) not in shipped:
        raise unknown("suite", suite, shipped)
    return shipped[str(suite)]


def _tables(path: Path) -> tuple[list[tuple[Path, dict[str, Any]]], dict[str, Any]]:
    """Every experiment's table with the file that it stands in, included files last; and the suite's top level."""
    top = _read(path)
    tables = [(path, table) for table in top.get("experiment", [])]
    for pattern in top.get("include", []):
        files = sorted(glob.glob(str(Path(glob.escape(str(path.parent)), pattern))))
        if not files:
            raise ValueError(f"{path.name}: include {pattern!r} matches no file beside it: mend it or leave it out")
        for file in map(Path, files):
            more = _read(file)
            if "include" in more:
                raise ValueError(f"{file.name} is included by {path.name} and includes further files: list them there")
            tables += [(file, table) for table in more.get("experiment", [])]
    if not tables:
        raise ValueError(f"{path.name} holds no [[experiment]]: write at least one")
    return tables, top


def _read(path: Path) -> dict[str, Any]:
    try:
        top = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected a TOML file in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error  # the error names line and column
    try:
        _check_keys("suite file", top, TOP)
        _check_items("include", top.get("include", []), str)
        _check_items("experiment", top.get("experiment", []), dict)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return top


def _experiment(file: Path, raw: dict[str, Any], budget: str) -> Experiment:
    _check_keys("experiment", raw, KEYS)
    table = _resolved(raw, budget)
    for key in NEEDED:
        if key not in table:
            raise ValueError(f"{key!r} is missing: every experiment has {', '.join(NEEDED)}")
    _check_types(table)
    notebook = _notebook(file, table["notebook"])
    axes = tuple(dict.fromkeys([*table.get("product", {}), *table.get("zip", {}), *_case_names(table)]))
    experiment = Experiment(
        name=table["name"],
        question=table["question"],
        notebook=notebook,
        seeds=_seeds(table["seeds"]),
        timeout=float(table.get("timeout", TIMEOUT)),
        memory=None if "memory" not in table else float(table["memory"]),
        runs=_runs(notebook, table, budget),
        axes=axes,
        metrics={name: _metric(name, entry) for name, entry in table["metrics"].items()},
        baseline=table.get("baseline", {}),
        plot=tuple(table.get("plot", [])),
        effects=tuple(table.get("effects", [])),
        source=table.get("source", ""),
        protocol=table.get("protocol", ""),
        figures=tuple(table.get("figures", [])),
    )
    defaults = notebook_parameters(notebook)
    rows = [{**defaults, **run} for run in experiment.runs]
    others = [_runs(notebook, _resolved(raw, other), other) for other in BUDGETS if other != budget]
    check_references(experiment, rows, [*rows, *({**defaults, **run} for runs in others for run in runs)])
    return experiment


def _check_keys(kind: str, table: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if key not in keys:
            raise unknown(f"key of an {kind}" if kind[0] in "aeiou" else f"key of a {kind}", key, keys)
        if not (isinstance(value, keys[key]) and not isinstance(value, bool)) and not _is_budget(value):
            raise ValueError(f"{key!r} is {value!r}: expected {_kind(keys[key])}")


def _check_items(key: str, values: Iterable[Any], kind: type) -> None:
    for value in values:
        if not isinstance(value, kind):
            raise ValueError(f"{key!r} holds {value!r}: expected {_kind(kind)}")


def _check_types(table: dict[str, Any]) -> None:
    """The types once the budget is chosen, and what they hold."""
    _check_keys("experiment", table, KEYS)
    if not re.fullmatch("[a-z0-9_]+", table["name"]):
        raise ValueError(f"the name {table['name']!r} is no good: use small letters, digits and underscores")
    for key in ("timeout", "memory"):
        if key in table and not table[key] > 0:
            raise ValueError(f"{key!r} is {table[key]}: expected a number above 0")
    for key, kind in (("cases", dict), ("plot", dict), ("effects", str), ("figures", dict)):
        _check_items(key, table.get(key, []), kind)
    for key in ("product", "zip"):
        for name, levels in table.get(key, {}).items():
            if not isinstance(levels, list) or not levels:
                raise ValueError(f"{key} has {name} = {levels!r}: expected a list with at least one level")
    lengths = {name: len(levels) for name, levels in table.get("zip", {}).items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zip puts lists of unequal lengths side by side ({lengths}): give all the same length")
    if not table["metrics"]:
        raise ValueError("'metrics' is empty: name at least one metric that the notebook records")


def _seeds(seeds: int | list[Any]) -> tuple[int, ...]:
    numbers = list(range(seeds)) if isinstance(seeds, int) else seeds
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in numbers)
    if not numbers or not whole or len(set(numbers)) < len(numbers):
        raise ValueError(f"'seeds' is {seeds!r}: expected a number above 0, or a list of different whole numbers")
    return tuple(numbers)


def _metric(name: str, entry: object) -> dict[str, Any]:
    """{"better", "tolerance"} of a metric, given as "lower", as "higher", or as a table with these keys."""
    table = {"better": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict):
        raise ValueError(f'metric {name!r} is {entry!r}: expected "lower", "higher", or {{ better = "lower" }}')
    _check_keys(f"metric ({name})", table, {"better": str, "tolerance": NUMBER})
    if "better" in table and table["better"] not in ("lower", "higher"):
        raise unknown(f"direction of metric {name!r}:", table["better"], ["lower", "higher"])
    if not table.get("tolerance", 0.0) >= 0:
        raise ValueError(f"metric {name!r} has tolerance {table['tolerance']}: expected a number from 0 up")
    return {"better": table.get("better"), "tolerance": float(table.get("tolerance", 0.01))}


def _runs(notebook: Path, table: dict[str, Any], budget: str) -> tuple[dict[str, Any], ...]:
    """Every run's parameters, of the notebook's types: product x zip rows x cases x seeds."""
    fixed = dict(table.get("parameters", {}))
    setters = {"parameters": fixed, "product": table.get("product", {}), "zip": table.get("zip", {}),
               "cases": _case_names(table), "seeds": ["seed"]}  # fmt: skip
    for (first, names), (second, others) in itertools.combinations(setters.items(), 2):
        for name in names:
            if name in others:
                raise ValueError(f"parameter {name!r} is set by {first!r} and by {second!r}: set it once")
    if "budget" in notebook_parameters(notebook) and not any("budget" in names for names in setters.values()):
        fixed["budget"] = budget
    every = [dict(zip(setters["product"], v, strict=True)) for v in itertools.product(*setters["product"].values())]
    side = [dict(zip(setters["zip"], v, strict=True)) for v in zip(*setters["zip"].values(), strict=True)] or [{}]
    swept = itertools.product(every, side, table.get("cases") or [{}], _seeds(table["seeds"]))
    runs = tuple(check_each(notebook, ({**fixed, **a, **b, **c, "seed": seed} for a, b, c, seed in swept)))
    texts = [json.dumps(run, sort_keys=True) for run in runs]
    if len(set(texts)) < len(texts):
        same = next(run for run, text in zip(runs, texts, strict=True) if texts.count(text) > 1)
        raise ValueError(f"two runs have the same parameters, {same}: leave out the repeated level or case")
    return runs


def _case_names(table: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for case in table.get("cases", []) for name in case))


def _notebook(file: Path, name: str) -> Path:
    """A path relative to the suite's file, or a shipped notebook's name."""
    return find_notebook(file.parent / name if name.endswith(".ipynb") else name)


def _resolved(value: Any, budget: str) -> Any:
    """The value with every {fast, full} table replaced by its entry for the budget."""
    if _is_budget(value):
        return _resolved(value[budget], budget)
    if isinstance(value, dict):
        return {key: _resolved(entry, budget) for key, entry in value.items()}
    return [_resolved(entry, budget) for entry in value] if isinstance(value, list) else value


def _is_budget(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == set(BUDGETS)


def _kind(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
    return " or ".join(names[each] for each in (kind if isinstance(kind, tuple) else (kind,)))
