"""The host's end of a confined worker: starts, calls, ends it, and counts how it failed."""

import base64
import contextlib
import functools
import importlib.util
import json
import marshal
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.closing import Closing
from bilevel.errors import ConfigError
from bilevel.sandbox.failures import (
    BadFrame,
    MechanismRaised,
    MemoryLimit,
    SandboxError,
    SandboxUnavailable,
    WorkerDied,
)
from bilevel.sandbox.frames import Channel
from bilevel.stopping import await_own_signal, told_to_end
from bilevel.workers.job import scrubbed_environment

WORDS = ("errors", "randomness", "parameters", "space", "trace", "view", "mechanism")
INSIDE = ("failures", "frames", "wire", "picture", "worker")
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
    **{f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "NUMEXPR")},
}
CONFINING = ("sandlock", "bwrap")
LAYERS = ("confined", *CONFINING, "unsafe")
LANDLOCK_ABI = 6
GRACE_S = 10.0
PYTHON = (sys.executable, "-S", "-s", "-P")  # no site: nothing that an installed .pth would run


@dataclass(frozen=True)
class Limits:
    """What a worker may use, and what holds it: `confined` takes the first layer there is."""

    layer: str = "confined"
    call_s: float = 2.0
    start_s: float = 20.0
    memory_mib: int = 1024
    asks: int = 2

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise ConfigError(f"sandbox.layer={self.layer!r}; valid: {', '.join(LAYERS)}")


@functools.cache
def missing(layer: str) -> str:
    """Why a layer cannot be used on this machine; empty where it can."""
    if layer == "sandlock":
        try:
            import sandlock
        except (ImportError, OSError) as error:
            return f"sandlock cannot be imported ({error}); pip install sandlock"
        abi = sandlock.landlock_abi_version()
        return "" if abi >= LANDLOCK_ABI else f"sandlock needs Landlock 6 (Linux 6.12), not {abi}"
    if layer == "bwrap":
        if shutil.which("bwrap") is None:
            return "bwrap is not installed; apt-get install bubblewrap"
        tried = subprocess.run(
            ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--", sys.executable, "-c", ""],
            check=False,
            capture_output=True,
            text=True,
        )
        said = tried.stderr.strip()
        return "" if tried.returncode == 0 else f"bwrap makes no namespaces here ({said})"
    return ""


def chosen(layer: str) -> str:
    """The layer to use. Raises SandboxUnavailable with what would help."""
    wanted = CONFINING if layer == "confined" else (layer,)
    reasons = [missing(one) for one in wanted]
    for one, reason in zip(wanted, reasons, strict=True):
        if not reason:
            return one
    raise SandboxUnavailable(
        f"generated code cannot be confined here: {'; '.join(reasons)}. "
        "Or trust the code with all your files and keys: sandbox=unsafe"
    )


def _libraries() -> list[str]:
    return list(dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib")))


def readable() -> list[str]:
    """The interpreter's files and its libraries'."""
    paths = sysconfig.get_paths()
    base = sys.base_prefix
    wanted = [
        *(f"{sys.prefix}/pyvenv.cfg", f"{sys.prefix}/bin", f"{base}/lib", f"{base}/bin"),
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"),
    ]
    return list(dict.fromkeys(path for path in wanted if Path(path).exists()))


@functools.cache
def _words() -> dict[str, str]:
    """The platform's words, compiled; sent to a worker, which can read no file of the project."""
    texts = {"bilevel": "", "bilevel.sandbox": ""}
    for name in (*WORDS, *(f"sandbox.{inside}" for inside in INSIDE)):
        spec = importlib.util.find_spec(f"bilevel.{name}")
        if spec is None or spec.origin is None:
            raise SandboxError(f"bilevel.{name} has no source file to send")
        texts[f"bilevel.{name}"] = Path(spec.origin).read_text()
    return {name: _compiled(name, text) for name, text in texts.items()}


def _compiled(name: str, text: str) -> str:
    code = compile(text, f"<{name}>", "exec", dont_inherit=True)
    return base64.b64encode(zlib.compress(marshal.dumps(code))).decode()


class Hosted(Closing):
    """One worker process and its keeper; after a failure it is gone for good."""

    def __init__(self, limits: Limits) -> None:
        """Raises SandboxUnavailable, WorkerDied."""
        here = Path(__file__).parent
        self._limits = limits
        control, self._control = os.pipe()
        order = {
            "layer": chosen(limits.layer),
            "control": control,
            "readable": readable(),
            "environment": ENVIRONMENT,
            "libraries": _libraries(),
            "command": [*PYTHON, "-B", "-c", (here / "boot.py").read_text()],
        }
        try:
            self._keeper = subprocess.Popen(
                [*PYTHON, str(here / "keeper.py"), json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=scrubbed_environment(),
                pass_fds=[control],
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(control)
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._channel = Channel(
            self._keeper.stdout.fileno(), self._keeper.stdin.fileno(), patient=False
        )
        self._open = True
        self._number, self._left_s = "", 0.0
        self.said = ""
        first = {"modules": _words(), "libraries": _libraries()}
        self._begin({**first, "memory_mib": limits.memory_mib})

    @property
    def pid(self) -> int:
        """The keeper's."""
        return self._keeper.pid

    def _begin(self, first: Mapping[str, Any]) -> None:
        with self._ended_by_failure():
            self._channel.send(first, time.monotonic() + self._limits.start_s)

    def call(
        self,
        request: Mapping[str, Any],
        wishes: Mapping[str, Callable[[Any, "Hosted"], dict[str, Any]]] | None = None,
        limit_s: float | None = None,
    ) -> dict[str, Any]:
        """The answer to one request; what the worker asks for meanwhile, `wishes` answer.

        Time that the host takes for a wish is not the worker's. Raises SandboxError; after any
        but MechanismRaised the worker is gone.
        """
        with self._ended_by_failure():
            if not self._channel.silent():
                raise BadFrame("it sent what nobody had asked for")
            self._number = secrets.token_hex(8)
            self._left_s = limit_s or self._limits.call_s
            message: Mapping[str, Any] = request
            while True:
                reply = self.exchange(message)
                wish = next(iter(reply), "")
                if wish not in (wishes or {}):
                    return self._answered(reply)
                message = (wishes or {})[wish](reply[wish], self)

    def exchange(self, message: Mapping[str, Any], *expected: str) -> dict[str, Any]:
        """One frame there and one back, within what is left of the call's time."""
        since = time.monotonic()
        self._channel.send({**message, "id": self._number}, since + self._left_s)
        reply = self._channel.receive(since + self._left_s)
        self._left_s -= time.monotonic() - since
        if not isinstance(reply, dict) or reply.pop("id", None) != self._number:
            raise BadFrame("an answer to another question")
        if expected and next(iter(reply), None) not in expected:
            self._answered(reply)
            raise BadFrame("an answer where a check was asked for")
        return reply

    def _answered(self, reply: dict[str, Any]) -> dict[str, Any]:
        if reply == {"memory": True}:
            raise MemoryLimit(f"it wanted more than memory_mib={self._limits.memory_mib}")
        if set(reply) == {"raised"} and isinstance(reply["raised"], list):
            kind, message = (str(part) for part in [*reply["raised"], "", ""][:2])
            raise MechanismRaised(kind, message)
        if set(reply) != {"answer", "state", "lost"} or not isinstance(reply["state"], dict):
            raise BadFrame(f"an answer of the wrong form: {str(list(reply))[:200]}")
        return reply

    @contextlib.contextmanager
    def _ended_by_failure(self) -> Any:
        try:
            yield
        except MechanismRaised:
            raise
        except WorkerDied as error:
            code, said = self.close(), self.said
            if told_to_end(code):
                await_own_signal()
            raise WorkerDied(f"{error}; exit code {code}; it said: {said[-500:]!r}") from None
        except BaseException:
            self.close()
            raise

    @property
    def open(self) -> bool:
        return self._open

    @property
    def alive(self) -> bool:
        return self._open and self._keeper.poll() is None

    def close(self) -> int:  # type: ignore[override]
        """Ends the worker, and says how it ended (128 + signal for a killed one)."""
        if self._open:
            self._open = False
            os.close(self._control)
            try:
                self._keeper.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
            self.said = self._last_words()
            for pipe in (self._keeper.stdin, self._keeper.stdout, self._keeper.stderr):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        return self._keeper.returncode

    def _last_words(self) -> str:
        """What is in the error pipe; a worker that fills it waits there until its time is up."""
        assert self._keeper.stderr is not None
        os.set_blocking(self._keeper.stderr.fileno(), False)
        return (self._keeper.stderr.read(1 << 16) or b"").decode("utf-8", errors="replace").strip()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()
