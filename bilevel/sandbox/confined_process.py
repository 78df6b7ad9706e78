"""A confined process and its keeper: started without secrets, ended with the search."""

import base64
import functools
import importlib.util
import json
import marshal
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bilevel.sandbox.failures import SandboxError
from bilevel.sandbox.places import inside, libraries, linked, links, readable, real
from bilevel.sandbox.processor import below
from bilevel.workers.job import scrubbed_environment

WORDS = (
    *("errors", "frozen", "randomness", "parameters", "space", "trace", "credit"),
    *("view", "mechanism", "invention", "strict_json"),
)
INSIDE = (
    *("failures", "frames", "wire", "worker_views", "clocks", "syscalls", "warming", "worker"),
)
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
    **{f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "NUMEXPR")},
}
GRACE_S = 10.0
_PIPE_BYTES = 256 << 10  # holds a first frame, so that nobody waits until it is read
_PYTHON = (sys.executable, "-S", "-s", "-P")  # no site: nothing that an installed .pth would run
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Confinement:
    """The layer, environment and extra files of a confined process, beside the interpreter and
    its libraries. `hidden` places make each opening of a file slower."""

    layer: str
    environment: Mapping[str, str]
    readable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


class ConfinedProcess:
    """A confined process and its keeper. Whoever holds this owns its standard streams."""

    def __init__(self, confinement: Confinement) -> None:
        control, self._control = os.pipe()
        self._namespaces = confinement.layer == "sandlock" and namespaces()
        order = {
            "layer": confinement.layer,
            "namespaces": self._namespaces,
            "control": control,
            **around(confinement.readable, confinement.devices, confinement.hidden),
            "devices": confinement.devices,
            "environment": dict(confinement.environment),
            "libraries": libraries(),
            "command": [*_PYTHON, "-B", "-c", (_HERE / "boot.py").read_text()],
        }
        try:
            self._keeper = subprocess.Popen(
                [*_PYTHON, str(_HERE / "keeper.py"), json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=scrubbed_environment(),
                pass_fds=[control],
                cwd="/",
                start_new_session=True,
                pipesize=_PIPE_BYTES,
            )
        finally:
            os.close(control)
        self._ended = False

    @property
    def outer_pid(self) -> int:
        """The keeper's process id, or that of the process waiting outside its namespaces."""
        return self._keeper.pid

    def confined(self) -> tuple[int, ...]:
        """Return the ids of the processes that the keeper started."""
        found = below(self.outer_pid)
        return found[1:] if self._namespaces else found

    @property
    def alive(self) -> bool:
        return self._keeper.poll() is None

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        """Its input, output and errors."""
        streams = self._keeper.stdin, self._keeper.stdout, self._keeper.stderr
        return streams  # type: ignore[return-value]  # all three are pipes

    def end(self) -> int:
        """Ends the process; returns its exit code (128 + signal for a killed one)."""
        if not self._ended:
            self._ended = True
            os.close(self._control)
            try:
                self._keeper.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
        code = self._keeper.returncode
        return code if code >= 0 else 128 - code

    def release(self) -> None:
        """Closes the streams that are still open."""
        for stream in self.streams:
            try:
                stream.close()
            except OSError:
                continue  # what was not read is lost with the process


@functools.cache
def namespaces() -> bool:
    """Return whether the kernel allows a keeper and its worker a user, process, network, IPC and
    mount namespace. (bwrap makes its own.)"""
    command = [*_PYTHON, str(_HERE / "keeper.py"), '{"layer": "none", "namespaces": true}']
    tried = subprocess.run(
        command,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=scrubbed_environment(),
        cwd="/",
    )
    return tried.returncode == 0


@functools.cache
def around(
    more: tuple[str, ...], devices: tuple[str, ...], hidden: tuple[str, ...]
) -> dict[str, Any]:
    """Return the places that a process may read, as real paths, and the links that lead to them."""
    named = [*readable(), *more, *devices]
    unseen = [*hidden, *real(hidden)]
    packages = [place for name, place in linked().items() if not inside(name, unseen)]
    places = real([*named, *packages])
    return {"readable": places, "links": links(named, places), "hidden": real(hidden)}


def first_frame(names: tuple[str, ...], start: str, **arguments: Any) -> dict[str, Any]:
    """Return a process's first message: the platform's modules of these names, and the one whose
    `serve` is called with the arguments."""
    return {
        "modules": {f"bilevel.{name}" if name else "bilevel": _compiled(name) for name in names},
        "libraries": libraries(),
        "start": f"bilevel.{start}",
        "arguments": arguments,
    }


@functools.cache
def _compiled(name: str) -> str:
    """Return a module's compiled code as text, for a process that can read no file of the
    project."""
    full = f"bilevel.{name}".rstrip(".")
    spec = importlib.util.find_spec(full)
    if spec is None or spec.origin is None:
        raise SandboxError(f"{full} has no source file to send")
    package = spec.submodule_search_locations is not None
    text = "" if package else Path(spec.origin).read_text()
    code = compile(text, f"<{full}>", "exec", dont_inherit=True)
    return base64.b64encode(zlib.compress(marshal.dumps(code))).decode()
