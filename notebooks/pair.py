"""Writes notebooks/*.ipynb anew from notebooks/src/*.py (py:percent); with --check, says which differ in content.

The sources are what people edit and review; the notebooks are what people open. Notebooks carry no outputs.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def notebook_of(source: Path) -> nbformat.NotebookNode:
    """The notebook of a py:percent source, with cell ids that depend on the cells' place alone."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:02d}"
        cell["metadata"] = nbformat.from_dict({k: v for k, v in cell["metadata"].items() if k == "tags"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def pairs() -> list[tuple[Path, Path]]:
    """(source, notebook) for each source, exercises included."""
    sources = sorted((HERE / "src").rglob("*.py"))
    return [(source, (HERE / source.relative_to(HERE / "src")).with_suffix(".ipynb")) for source in sources]


def content(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    """What must agree: each cell's kind, text and tags."""
    return [(c.cell_type, c.source.rstrip(), sorted(c.metadata.get("tags", []))) for c in notebook.cells]


def main() -> int:
    """Writes or checks; the exit status is 1 if a check fails."""
    paired = pairs()
    stray = {p for p in HERE.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts} - {target for _, target in paired}
    wrong = [f"{p.relative_to(HERE)} has no source in src/" for p in stray]
    for source, target in paired:
        made = notebook_of(source)
        if "--check" not in sys.argv:
            target.parent.mkdir(exist_ok=True)
            nbformat.write(made, target)
            continue
        if not target.exists() or content(nbformat.read(target, as_version=4)) != content(made):
            wrong.append(
                f"{target.relative_to(HERE)} differs from src/{source.relative_to(HERE / 'src')}: make notebooks"
            )
    print("\n".join(wrong) or f"{len(paired)} notebooks agree with their sources")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
