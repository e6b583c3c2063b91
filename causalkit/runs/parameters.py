"""A notebook's parameters: read from its one cell tagged `parameters`, checked before anything runs.

The cell's literals fix each parameter's type, so a text from the command line is never guessed at: "007" stays
text where the default is text.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from causalkit.errors import unknown

__all__ = ["check_each", "check_parameters", "find_notebook", "notebook_parameters", "read_notebook"]

Given = Mapping[str, object] | Sequence[str]
KINDS = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


class Declared(NamedTuple):
    """A parameter as its cell declares it; kind is None where the cell does not tell the type."""

    default: Any
    kind: type | None
    nullable: bool


def find_notebook(notebook: str | Path) -> Path:
    """The path of a notebook, given as a path or as the name of a shipped one ("02_discovery", "experiments/shift").

    Raises:
        ValueError: There is no such notebook.
    """
    path = Path(notebook).expanduser()
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    if path.suffix == ".ipynb" or path.is_absolute():
        raise ValueError(
            f"there is no notebook {str(notebook)!r}: give the path of an .ipynb file, or a shipped notebook's name"
        )
    folders = dict.fromkeys([Path(__file__).resolve().parents[2] / "notebooks", Path.cwd() / "notebooks"])
    for folder in folders:
        found = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
        shipped = {p.relative_to(folder).with_suffix("").as_posix(): p for p in found}
        if str(notebook) in shipped:
            return shipped[str(notebook)].resolve()
        if shipped:
            raise unknown("notebook", notebook, shipped)
    raise ValueError(
        f"notebook {str(notebook)!r} was not found: there are no notebooks in {' or '.join(map(str, folders))}; "
        "start from the project's folder, or give the path of an .ipynb file"
    )


def read_notebook(path: Path) -> Any:
    """The notebook at a path, brought to the newest format.

    Raises:
        ValueError: It cannot be read, or is not a notebook.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is not a readable notebook ({reason}): open it in JupyterLab and save it again"
        ) from error


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """A notebook's parameters, name -> default value.

    Raises:
        ValueError: No cell, or more than one, is tagged `parameters`; the cell holds more than literals.
    """
    return {name: declared.default for name, declared in _declared(find_notebook(notebook)).items()}


def check_parameters(notebook: str | Path, given: Given) -> dict[str, Any]:
    """The given parameters with the types of the notebook's defaults.

    Args:
        notebook: A path or a shipped notebook's name.
        given: Values by name, or texts "name=value" as from a command line, read as the default's type.

    Returns:
        The given parameters alone; the notebook's defaults stand for the others.

    Raises:
        ValueError: An unknown name, a value of the wrong type, a text that cannot be read as that type.
    """
    return next(check_each(notebook, [given]))


def check_each(notebook: str | Path, every: Iterable[Given]) -> Iterator[dict[str, Any]]:
    """As `check_parameters`, for many runs of one notebook, which is read once."""
    declared = _declared(find_notebook(notebook))
    for given in every:
        yield {name: _read_text(name, value, declared[name]) if is_text else _check(name, value, declared[name])
               for name, value, is_text in _pairs(given, declared)}  # fmt: skip


def _pairs(given: Given, declared: Mapping[str, Declared]) -> list[tuple[str, Any, bool]]:
    if isinstance(given, str):
        raise ValueError(f"parameters {given!r} are one text: give a dict, or a list of texts such as ['seed=3']")
    if isinstance(given, Mapping):
        pairs = [(name, value, False) for name, value in given.items()]
    else:
        for text in given:
            if "=" not in text:
                raise ValueError(f"parameter {text!r} has no '=': write name=value, for example seed=3")
        pairs = [(name, value, True) for name, _, value in (text.partition("=") for text in given)]
    names = [name for name, _, _ in pairs]
    for name in names:
        if name not in declared:
            raise unknown("parameter", name, declared)
        if names.count(name) > 1:
            raise ValueError(f"parameter {name!r} is given {names.count(name)} times: give it once")
    return pairs


def _declared(path: Path) -> dict[str, Declared]:
    cells = [c for c in read_notebook(path).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise ValueError(
            f"{path.name} has {len(cells)} cells tagged 'parameters': expected exactly one code cell; set the tag in "
            "JupyterLab's property inspector"
        )
    try:
        body = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise ValueError(
            f"the parameters cell of {path.name} is not Python (line {error.lineno}: {error.msg}): mend it"
        ) from error
    declared: dict[str, Declared] = {}
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if len(targets) != 1 or not isinstance(targets[0], ast.Name) or targets[0].id in declared:
            raise _not_literal(path, node)
        try:
            default = ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except (ValueError, TypeError, SyntaxError):
            raise _not_literal(path, node) from None
        if not _plain(default):
            raise _not_literal(path, node)
        note = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        named = [KINDS[word] for word in re.findall(r"\w+", note) if word in KINDS]
        kind = type(default) if default is not None else named[0] if named else None
        declared[targets[0].id] = Declared(default, kind, default is None or "None" in note)
    return declared


def _not_literal(path: Path, node: ast.AST) -> ValueError:
    line = ast.unparse(node).splitlines()[0]
    return ValueError(
        f"the parameters cell of {path.name} holds {line!r}: expected only lines such as seed = 0, each name once, "
        "with a text, number, bool, None, list or dict written out; move everything else to a later cell"
    )


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_plain, value.values()))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _check(name: str, value: Any, declared: Declared) -> Any:
    """The value, once it has the default's type; an int will do for a float."""
    kind = declared.kind
    if value is None and declared.nullable:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (kind is not None and type(value) is not kind) or not _plain(value):
        raise _wrong(name, value, declared)
    inner = {type(item) for item in declared.default} if kind is list and declared.default else set()
    if len(inner) == 1 and value is not None and not {type(item) for item in value} <= inner:
        if inner == {float} and {type(item) for item in value} <= {int, float}:
            return [float(item) for item in value]
        raise _wrong(name, value, declared)
    return value


def _read_text(name: str, text: str, declared: Declared) -> Any:
    kind = declared.kind
    if text == "None" and declared.nullable:
        return None
    if kind is str:
        return text
    if kind is int and re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in (list, dict, None) or (kind is float and re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", text)):
        try:
            return _check(name, float(text) if kind is float else ast.literal_eval(text), declared)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise _wrong(name, text, declared) from None
    raise _wrong(name, text, declared)


def _wrong(name: str, value: object, declared: Declared) -> ValueError:
    hints: dict[type | None, str] = {
        int: "a whole number such as 3",
        float: "a finite number such as 0.5",
        bool: "true or false",
        str: "a text",
        list: "a list with items like the default's, quotes included, such as ['a', 'b']",
        dict: "a dict such as {'a': 1}",
        None: "None, or a Python literal such as 3 or 'text', quotes included",
    }
    return ValueError(
        f"parameter {name!r} got {value!r}: expected {hints[declared.kind]} (default {declared.default!r})"
    )
