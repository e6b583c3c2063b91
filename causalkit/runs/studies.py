"""The six lesson notebooks in order, on simulated and on real data: one study each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from causalkit.errors import unknown
from causalkit.runs.execute import Progress, new_directory, run_notebook
from causalkit.runs.parameters import Given, check_parameters, find_notebook
from causalkit.runs.results import OutputError
from causalkit.runs.run import Run
from causalkit.runs.warm import Warm

__all__ = ["STUDIES", "plan_study", "run_study"]

NOTEBOOKS = (
    "01_scm_and_shifts",
    "02_discovery",
    "03_causal_training",
    "04_ablations",
    "05_counterfactuals",
    "06_do_calculus",
)

#: Study -> notebook (a shipped one's name, or a path) -> parameters.
STUDIES: dict[str, dict[str, dict[str, object]]] = {
    "synthetic": {notebook: {"data": "synthetic"} for notebook in NOTEBOOKS},
    "sachs": {notebook: {"data": "sachs"} for notebook in NOTEBOOKS},
}


def plan_study(name: str, parameters: Given | None = None) -> dict[str, dict[str, Any]]:
    """What a study will run: notebook -> parameters, checked against every notebook.

    Args:
        name: A name in STUDIES.
        parameters: Further ones for all notebooks: values by name, or texts "name=value".

    Raises:
        ValueError: An unknown study or notebook; a parameter that one of the notebooks does not know, or that the
            study itself sets.
    """
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    plan = {}
    for notebook, own in STUDIES[name].items():
        path = find_notebook(notebook)
        try:
            fixed, given = check_parameters(path, own), check_parameters(path, parameters or {})
        except ValueError as error:
            raise ValueError(f"notebook {path.stem}: {error}") from error
        for key in given:
            if key in fixed:
                raise ValueError(f"parameter {key!r} is set by the study {name!r}, to {fixed[key]!r}: leave it out")
        plan[notebook] = {**fixed, **given}
    return plan


def run_study(
    name: str,
    output: str | Path,
    parameters: Given | None = None,
    *,
    timeout: float | None = None,
    threads: int = 1,
    warm: Warm | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Run a study's notebooks in order, up to the first that fails.

    Args:
        name: "synthetic" or "sachs", or a name that you added to STUDIES.
        output: Directory for the runs, one a notebook; it must not exist yet.
        parameters: Further ones for all notebooks: values by name, or texts "name=value".
        timeout: Seconds for each notebook; None for no limit.
        threads: Cap on the threads of numerical libraries.
        warm: The process to fork kernels from (see `warm_parent`); None for fresh kernels.
        progress: Called with (notebook, code cells done, code cells in all).

    Returns:
        The runs; only the last of them may have failed.

    Raises:
        ValueError: Something is wrong with the study, a parameter or the directory; nothing has run.
        KeyboardInterrupt: Ctrl-C; finished runs stay, the interrupted one leaves nothing.
    """
    plan = plan_study(name, parameters)
    output = new_directory(output)
    try:
        output.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{output} cannot be made ({error.strerror}): choose another --output") from error
    runs: list[Run] = []
    try:
        for notebook, given in plan.items():
            directory = output / Path(notebook).stem
            options: dict[str, Any] = {"timeout": timeout, "threads": threads, "warm": warm, "progress": progress}
            runs.append(run_notebook(notebook, directory, given, study=name, **options))
            if not runs[-1].ok:
                break
    finally:
        if not any(output.iterdir()):
            output.rmdir()
    return runs
