"""A papermill engine with forked kernels, for those who call papermill themselves.

`papermill.execute_notebook(source, output, engine_name="causalkit")`: the first notebook of a process waits for the
imports, the others start at once. The kernel is this very Python, whatever kernel the notebook names. Where forking is
not available, it is papermill's own engine.
"""

from __future__ import annotations

import atexit
import contextlib
from functools import lru_cache
from typing import Any

from causalkit.runs.warm import Warm, kernel_manager, warm_parent

__all__ = ["WarmEngine"]  # noqa: F822  (made below)


def __getattr__(name: str) -> object:
    """WarmEngine, made when papermill asks for it: papermill, while it is imported itself, looks in here."""
    if name == "WarmEngine":
        return _engine()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache
def _engine() -> type:
    from papermill.engines import NBClientEngine

    class WarmEngine(NBClientEngine):  # type: ignore[misc]
        """Papermill's engine, with kernels that are forked from a warm process."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            from jupyter_client.manager import AsyncKernelManager

            warm = _shared()
            if warm is not None:
                warm.wait()
                options.setdefault("kernel_manager_class", kernel_manager(AsyncKernelManager, warm.address))
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    return WarmEngine


@lru_cache
def _shared() -> Warm | None:
    """One warm process for all notebooks of this process, for as long as it lives."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(warm_parent())
