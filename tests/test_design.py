"""How the house stands: imports run one way, importing is cheap, environment.yml and pyproject agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import causalkit

TOP = Path(__file__).parent.parent
PACKAGE = Path(causalkit.__file__).parent
# module -> what it may import of the package; nothing below may import widgets, runs, bench, course or cli
MAY_IMPORT = {
    "errors": set(),
    "seeds": set(),
    "graphs": {"errors", "seeds"},
    "mechanisms": {"errors", "seeds"},
    "scm": {"errors", "seeds", "graphs", "mechanisms"},
    "random_models": {"errors", "seeds", "graphs", "mechanisms", "scm"},
    "selection": {"seeds", "scm"},
    "networks": {"errors", "mechanisms", "scm"},
    "observation": {"errors", "graphs", "mechanisms", "scm", "selection"},
    "divergence": {"seeds", "mechanisms", "scm", "selection"},
    "shifts": {"errors", "seeds", "graphs", "mechanisms", "scm", "selection", "divergence", "environments"},
    "environments": {"errors", "seeds", "scm", "selection"},
    "discovery": {"errors", "seeds", "graphs"},
    "metrics": {"errors", "graphs"},
    "plotting": {"errors", "graphs", "metrics"},
    "datasets": {"errors", "graphs", "mechanisms", "scm", "environments"},
    "coloured": {"errors", "seeds", "environments"},
    "encoder": {"errors", "graphs", "environments"},
    "model": {"errors", "seeds", "encoder", "environments"},
    "objectives": {"errors", "graphs", "seeds", "scm", "environments"},  # the last two for types alone
    "training": {"errors", "seeds", "encoder", "model", "objectives", "environments"},
    "estimation": {"errors", "seeds", "graphs", "mechanisms", "scm"},
    "do_rules": {"errors", "graphs", "plotting"},
    "identification": {"errors", "seeds", "graphs", "mechanisms", "scm", "random_models", "do_rules"},
    "questions": {"errors", "seeds", "graphs", "do_rules", "identification"},
    "checks": {"errors", "seeds", "graphs", "mechanisms", "scm", "estimation", "identification", "plotting"},
    "unit_tests": {"errors", "seeds", "environments"},
    "two_bit": {"errors", "objectives"},
    "exact": {"errors", "seeds", "graphs", "discovery", "environments", "model", "training"},
    "reweighting": {"errors", "seeds", "environments", "model"},
}
ON_TOP = {"widgets", "runs", "bench", "course", "cli"}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, TYPE_CHECKING blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "causalkit":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("causalkit.")}
    return found


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_imports_run_one_way(name):
    folder = PACKAGE / name  # a module that outgrew its page is a folder, whose files may import each other
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]
    assert files and set().union(*map(imported, files)) - {name} <= MAY_IMPORT[name]


def test_every_module_has_its_place():
    modules = {p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__"}
    modules |= {p.parent.name for p in PACKAGE.glob("*/__init__.py")} - ON_TOP
    assert modules == set(MAY_IMPORT)
    assert "utils" not in modules


@pytest.mark.parametrize("folder", ["widgets", "runs", "course", "bench"])
def test_what_stands_on_top_does_not_lean_on_its_neighbours(folder):
    others = {"widgets", "course", "bench"} - {folder}  # bench stands on runs, not the other way round
    for path in (PACKAGE / folder).rglob("*.py"):
        found = imported(path)
        assert not found & others and not any(name.startswith("cli") for name in found), path


def test_using_every_public_name_loads_no_heavy_library():
    heavy = ["pgmpy", "sklearn", "matplotlib", "papermill", "ipywidgets", "statsmodels", "scipy", "nbconvert", "typer"]
    code = "import sys, causalkit as ck; [getattr(ck, name) for name in ck.__all__]; "
    code += f"print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_has_a_docstring_and_modules_list_theirs():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        names = ["__all__"] * (path.parent == PACKAGE and path.name == "__init__.py")
        names += [n.targets[0].id for n in tree.body if isinstance(n, ast.Assign) and hasattr(n.targets[0], "id")]
        assert "__all__" in names or path.name in ("worker.py", "__main__.py"), path


def _names(requirements):
    return {re.split(r"[<>=!~ \[]", r.strip(), maxsplit=1)[0].lower().replace("_", "-") for r in requirements}


def test_the_lock_is_plain_pins_of_everything_that_pyproject_asks_for():
    lines = [line for line in (TOP / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    assert "torch==2.13.0" in lines
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert _names(project["dependencies"] + project["optional-dependencies"]["dev"]) <= _names(lines)


def test_environment_yml_is_in_step_with_pyproject():
    import yaml

    environment = yaml.safe_load((TOP / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = {r.replace(" ", "") for r in project["dependencies"]}
    same_name = {r.replace("pytorch-cpu", "torch").replace(" ", "") for r in conda + pip}
    assert wanted <= same_name, wanted - same_name
    assert "python>=3.11" in conda and "-e ." in pip


def test_nothing_names_a_machine_or_a_host():
    hosts = "|".join(re.escape(a + b) for a, b in [("pypi", ".org"), ("python", "hosted.org"), ("npm", "js.org")])
    homes = re.compile(r"(?<![\w.])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "home"]) + r")/[\w.]|" + hosts)
    for path in [*TOP.glob("*.*"), *PACKAGE.rglob("*.py"), *(TOP / "notebooks").rglob("*.py")]:
        if path.is_file() and path.stat().st_size < 1 << 20:
            hit = homes.search(path.read_text(errors="ignore"))
            assert not hit, f"{path}: {hit and hit.group(0)}"
