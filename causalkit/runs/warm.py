"""Kernels forked from a process that has imported torch, pgmpy and their kin already, since a fresh one takes seconds.

`warm_parent` starts that process, `forkserver` is what it runs; `run_notebook(..., warm=parent)` has its kernel forked.
For plain papermill there is `engine`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

__all__ = ["Child", "Warm", "fork", "kernel_manager", "thread_caps", "warm_parent"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Child:
    """A forked process, to its owner what a subprocess.Popen is; it ends with the socket to the warm process."""

    stdout = stderr = None

    def __init__(self, connection: socket.socket, stdin: IO[bytes] | None = None):
        self._connection, self.stdin = connection, stdin
        self._status: int | None = None
        first = self._line()
        if not first.isdigit():
            raise ChildProcessError(f"no process could be forked: {first.removeprefix('! ') or 'the warm one is gone'}")
        self.pid = int(first)

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        if self._status is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status."""
        if self._status is not None:
            return self._status
        if not select.select([self._connection], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        line = self._line()
        self._connection.close()
        if not line:  # the warm process is gone, and with it whoever could tell
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._status = status = int(line) if line else -signal.SIGKILL
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _line(self) -> str:
        text = b""
        with contextlib.suppress(OSError):
            while not text.endswith(b"\n"):
                part = self._connection.recv(1)
                if not part:
                    break
                text += part
        return text.decode().strip()


def fork(address: str, job: str, arguments: list[str], files: list[int], **place: Any) -> Child:
    """Ask the warm process at a socket for a child.

    Args:
        address: The socket's path.
        job: "run" or "kernel".
        arguments: For that function of `forkserver`.
        files: Descriptors of its standard input, output and error.
        **place: `cwd`, `env`, and `stdin`, the other end of its standard input where its owner holds that.

    Raises:
        OSError: The warm process is gone, or has no room for another one.
    """
    stdin = place.pop("stdin", None)
    request = json.dumps({"job": job, "arguments": arguments, **place}).encode()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], files)
        connection.sendall(request)
        return Child(connection, stdin)
    except OSError:
        connection.close()
        raise


class Warm:
    """A warm process, up to `close`; it may be asked from several threads at once.

    Args:
        threads: Cap on the threads of numerical libraries, for all runs that are forked from it.
    """

    def __init__(self, threads: int = 1):
        self.threads = threads
        long = len(tempfile.gettempdir()) > 70  # a socket's path has room for about 100 characters
        self._folder = tempfile.TemporaryDirectory(prefix="causalkit-warm-", dir="/tmp" if long else None)
        self.address = str(Path(self._folder.name, "socket"))
        command = [sys.executable, "-m", "causalkit.runs.forkserver", self.address]
        environment = {k: v for k, v in thread_caps(threads).items() if k != "MPLBACKEND"}
        environment["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # pandas may load pyarrow, which starts one
        self._process = subprocess.Popen(
            command, cwd=self._folder.name, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until everything is imported.

        Raises:
            ChildProcessError: The warm process has ended.
        """
        with self._lock:
            while not os.path.exists(self.address):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.02)
                    raise ChildProcessError(f"the warm process ended with status {self._process.returncode}")

    def fork(self, job: str, arguments: list[str], files: list[int], **place: Any) -> Child:
        """A child, once everything is imported; see `fork`."""
        self.wait()
        return fork(self.address, job, arguments, files, **place)

    def close(self) -> None:
        """End it; kernels that were forked from it end too."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # while it still imports, it does not listen
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


@contextlib.contextmanager
def warm_parent(threads: int = 1) -> Iterator[Warm | None]:
    """A warm process for the time of a `with` block.

    Args:
        threads: Cap on the threads of numerical libraries.

    Yields:
        It, or None where forking is not available or not safe (macOS, Windows): runs then start fresh kernels.

    Example:
        >>> with warm_parent() as warm:
        ...     run = run_notebook("experiments/shift", "runs/shift", warm=warm)  # doctest: +SKIP
    """
    if not hasattr(os, "fork") or sys.platform == "darwin":
        yield None
        return
    warm = Warm(threads)
    try:
        yield warm
    finally:
        warm.close()


def thread_caps(threads: int) -> dict[str, str]:
    """This process's environment with a cap on the threads of numerical libraries, and hashes that repeat."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONHASHSEED": "0"}


def kernel_manager(base: type, address: str) -> type:
    """A jupyter_client kernel manager whose kernels are forked from the warm process at a socket.

    Args:
        base: The class to build on, AsyncKernelManager or one of its heirs.
        address: The socket's path.
    """
    from jupyter_client.provisioning import LocalProvisioner

    class Forked(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
            place = {"cwd": options.get("cwd") or os.getcwd(), "env": dict(options.get("env") or os.environ)}
            arguments = cmd[cmd.index("-f") :]  # after `python -m ipykernel_launcher`
            with open(os.devnull, "rb") as nothing:
                kernel: Any = fork(address, "kernel", arguments, [nothing.fileno(), 1, 2], **place)
            self.process, self.pid, self.pgid = kernel, kernel.pid, kernel.pid
            return self.connection_info

    class Manager(base):  # type: ignore[misc, valid-type]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.provisioner = Forked(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)

    return Manager
