"""Execute one notebook with papermill, in a process of its own: `python worker.py SCRATCH OUTPUT`, or a fork.

The run that started it decides the verdict: papermill's own metadata says "completed" of cells that never ran
once a kernel dies, so this file only reports what happened, as JSON lines in the events file. It imports nothing
of causalkit unless its kernel is forked, so that starting it is cheap.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(scratch: Path, output: str, warm: str = "") -> None:
    """Run source.ipynb with parameters.json, both in the scratch directory; report kernel, cells and ending there.

    Args:
        scratch: Where events.jsonl goes too.
        output: The executed notebook, relative to the working directory (in a path, papermill fills in braces).
        warm: The socket of the warm process that forks the kernel; empty for a fresh kernel.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    started: list[Any] = []

    def tell(event: str, **more: object) -> None:
        with open(scratch / "events.jsonl", "a", encoding="utf-8") as events:
            events.write(json.dumps({"event": event, "time": time.time(), **more}) + "\n")

    def kernel_is_up(**_: object) -> None:
        started.append(started[0].provisioner.process)
        tell("kernel", pid=started[1].pid)

    threading.Thread(target=_die_with_parent, args=(started, scratch), daemon=True).start()
    ending: dict[str, object] = {"reason": "finished"}
    try:
        execute_notebook(
            str(scratch / "source.ipynb"),
            output,
            parameters=json.loads((scratch / "parameters.json").read_text(encoding="utf-8")),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=_kernel_class(scratch, started, warm),
            on_notebook_start=kernel_is_up,
            on_cell_execute=lambda cell, cell_index: tell("start", cell=cell_index),
            on_cell_executed=lambda cell, cell_index, execute_reply: tell("end", cell=cell_index),
        )
    except PapermillExecutionError:
        pass  # the executed notebook holds the error
    except DeadKernelError:
        ending = {"reason": "dead", "status": started[1].poll()}
    except Exception as error:
        ending = {
            "reason": "error",
            "ename": type(error).__name__,
            "evalue": str(error),
            "errno": getattr(error, "errno", None),
        }
    tell("ended", **ending)


def _kernel_class(scratch: Path, started: list[Any], warm: str) -> type:
    """A kernel manager for this very interpreter, never a kernel called python3 from elsewhere."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    client = _client_class()
    # Sockets in files cannot clash as ports do; a socket's path has room for about 100 characters.
    sockets = sys.platform != "win32" and len(str(scratch)) < 80

    class Kernel(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.client_factory = client
            self.transport = "ipc" if sockets else "tcp"
            self.connection_file = str(scratch / "kernel.json")
            started.append(self)

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    if not warm:
        return Kernel
    from causalkit.runs.warm import kernel_manager

    return kernel_manager(Kernel, warm)


def _client_class() -> type:
    """A kernel client that cannot miss the reply to a cell that shows a widget.

    nbclient sends such widgets their state while it waits for the cell's reply, through the same socket. ZeroMQ
    signals a new message once; if the reply comes in just then, the send takes the signal, and the wait never ends
    (nbclient's issue 312). Asking for the socket's events afterwards puts a message that is there back on the list.
    """
    import zmq
    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.channels import AsyncZMQSocketChannel
    from traitlets import Type

    class Shell(AsyncZMQSocketChannel):
        def send(self, msg: dict[str, Any]) -> None:
            super().send(msg)
            self.socket.get(zmq.EVENTS)

    class Client(AsyncKernelClient):
        shell_channel_class = Type(Shell)

    return Client


def _die_with_parent(started: list[Any], scratch: Path) -> None:
    """Wait until the parent's end of stdin closes, which only its death does; then leave nothing behind."""
    os.read(0, 1)
    if len(started) > 1:
        os.killpg(started[1].pid, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
