"""The host's end of a confined worker: starts, calls, ends it, and counts how it failed."""

import contextlib
import functools
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from bilevel.closable import Closable
from bilevel.errors import ConfigError
from bilevel.sandbox import replies, syscalls
from bilevel.sandbox.confined_process import (
    ENVIRONMENT,
    INSIDE,
    WORDS,
    ConfinedProcess,
    Confinement,
    first_frame,
)
from bilevel.sandbox.failures import (
    BadFrame,
    MechanismRaised,
    MemoryLimit,
    Restless,
    SandboxUnavailable,
    WorkerDied,
)
from bilevel.sandbox.frames import Channel
from bilevel.sandbox.processor import REST_S, Allowance, clocks, spent_s
from bilevel.settings import FREE, Count, Seconds, Whole, one_of
from bilevel.workers.job import without_addresses
from bilevel.workers.stopping import await_own_signal, told_to_end

MODULES = ("", "sandbox", *WORDS, "toolkit", *(f"sandbox.{name}" for name in INSIDE))
CONFINING = ("sandlock", "bwrap")
LAYERS = ("confined", *CONFINING, "unsafe")
Layer = Annotated[str, *one_of(LAYERS)]
_LANDLOCK_ABI = 6
_LONG = re.compile(r"(?<![\d.])\d{9,}")  # a number that is an address, or a time


@dataclass(frozen=True)
class Limits:
    """The resources of a worker and the layer that confines it: `confined` takes the first
    available.

    `call_s` and `start_s` are seconds of its processor time, whatever else the machine is doing.
    """

    layer: Annotated[Layer, FREE] = "confined"
    call_s: Annotated[Seconds, FREE] = 2.0
    start_s: Annotated[Seconds, FREE] = 20.0
    memory_mib: Annotated[Count, FREE] = 1024
    asks: Whole = 2

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise ConfigError(f"sandbox.layer={self.layer!r}; valid: {', '.join(LAYERS)}")


@dataclass(frozen=True)
class Surroundings:
    """Surroundings of a worker that no mechanism may depend on: the seed of global generators,
    the hash seed (order of sets), and how far its clocks are ahead."""

    chance: str = ""
    hash_seed: int = 0
    clock_ahead_s: float = 0.0


HERE = Surroundings()
ELSEWHERE = Surroundings("another", 1, 3_479_921.5)  # forty days, and some hours and minutes


@functools.cache
def missing(layer: str) -> str:
    """Return why a layer cannot be used on this machine; empty where it can."""
    if layer in CONFINING and (reason := syscalls.missing()):
        return f"{layer} is not enough: {reason}"
    if layer == "sandlock":
        try:
            import sandlock
        except (ImportError, OSError) as error:
            return f"sandlock cannot be imported ({error}); pip install sandlock"
        abi = sandlock.landlock_abi_version()
        return "" if abi >= _LANDLOCK_ABI else f"sandlock needs Landlock 6 (Linux 6.12), not {abi}"
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
    """Return the layer to use. Raises SandboxUnavailable with a remedy."""
    wanted = CONFINING if layer == "confined" else (layer,)
    reasons = [missing(one) for one in wanted]
    for one, reason in zip(wanted, reasons, strict=True):
        if not reason:
            return one
    raise SandboxUnavailable(
        f"generated code cannot be confined here: {'; '.join(reasons)}. "
        "Or trust the code with all your files and keys: sandbox=unsafe"
    )


def _without_process_details(said: str) -> str:
    """Return the text without addresses and long numbers, so that it is the same in every
    process."""
    return _LONG.sub("...", without_addresses(said))


class _HostServices(Protocol):
    """The protocol of what answers a worker's requests during a call."""

    def granted(self, wish: replies.Reply, hosted: "WorkerHandle") -> Mapping[str, Any]:
        """Return the answer to a request. Raises BadFrame for one that is not allowed."""


class WorkerHandle(Closable):
    """One worker process and its keeper; a failure ends it for good."""

    def __init__(self, limits: Limits, surroundings: Surroundings = HERE) -> None:
        """Raises SandboxUnavailable, WorkerDied."""
        self._limits = limits
        environment = {**ENVIRONMENT, "PYTHONHASHSEED": str(surroundings.hash_seed)}
        layer = chosen(limits.layer)
        self._kept = ConfinedProcess(Confinement(layer, environment))
        given, told, _ = self._kept.streams
        self._channel = Channel(told.fileno(), given.fileno(), patient=False)
        self._open = True
        self._number = ""
        self._clocks, self._spent_s = tuple[int, ...](), 0.0  # when it answered last
        self._allowance = Allowance(limits.start_s, self._kept.confined, 0.0)
        self.stderr_text = ""
        self.once_answered: Callable[[], None] = lambda: None
        told_first = {
            "memory_mib": limits.memory_mib,
            "walled": layer in CONFINING,
            "clock_ahead_s": surroundings.clock_ahead_s,
        }
        self._begin(first_frame(MODULES, "sandbox.worker", **told_first))

    @property
    def pid(self) -> int:
        """The keeper's process id, or that of the process waiting outside its namespaces."""
        return self._kept.outer_pid

    def processes(self) -> tuple[int, ...]:
        """Return the ids of the confined processes."""
        return self._kept.confined()

    def _begin(self, first: Mapping[str, Any]) -> None:
        with self._ended_by_failure():
            self._channel.send(first, self._allowance.left)

    def call(
        self,
        request: Mapping[str, Any],
        wishes: "_HostServices | None" = None,
        limit_s: float | None = None,
    ) -> replies.Answered:
        """Return the answer to one request; `wishes` answers what the worker asks for meanwhile.

        Time that the model takes for a question does not count for the worker, which has to be idle
        meanwhile; what the host computes for it does. Raises SandboxError; after any but
        MechanismRaised the worker is gone.
        """
        with self._ended_by_failure():
            if not self._channel.silent():
                raise BadFrame("it sent what nobody had asked for")
            self._number = secrets.token_hex(8)
            limit_s = limit_s or self._limits.call_s
            self._allowance = Allowance(limit_s, self._kept.confined, self._spent_s)
            message: Mapping[str, Any] = request
            while True:
                reply = self.exchange(message)
                if isinstance(reply, replies.Answered):
                    return reply
                if wishes is None:
                    raise BadFrame("a question where none may be asked")
                message = wishes.granted(reply, self)

    def exchange(self, message: Mapping[str, Any]) -> replies.Reply:
        """Sends one frame and returns the reply, within the call's remaining time."""
        if spent_s(self._clocks) - self._spent_s > REST_S:
            raise Restless("it used the processor when nobody had asked it for anything")
        self._allowance.resume()
        self._channel.send({**message, "id": self._number}, self._allowance.left)
        reply = replies.reply(self._channel.frame(self._allowance.left))
        self._allowance.pause()
        if not self._clocks:
            self._clocks = clocks(self._kept.confined())
            self.once_answered()
        self._spent_s = spent_s(self._clocks)
        if reply.id != self._number:
            raise BadFrame("an answer to another question")
        if isinstance(reply, replies.OutOfMemory):
            raise MemoryLimit(f"it wanted more than memory_mib={self._limits.memory_mib}")
        if isinstance(reply, replies.Raised):
            said = reply.message[: replies.MAX_ERROR_CHARS]
            raise MechanismRaised(
                _without_process_details(reply.kind), _without_process_details(said)
            )
        return reply

    def computed(self, seconds: float) -> None:
        """Charges seconds that the host computed for the worker to its call."""
        self._allowance.spend(seconds)

    @contextlib.contextmanager
    def _ended_by_failure(self) -> Any:
        try:
            yield
        except MechanismRaised:
            raise
        except WorkerDied as error:
            code, said = self.close(), self.stderr_text
            if told_to_end(code):
                await_own_signal()
            said = without_addresses(said[-500:])
            raise WorkerDied(f"{error}; exit code {code}; it said: {said!r}") from None
        except BaseException:
            self.close()
            raise

    @property
    def open(self) -> bool:
        return self._open

    @property
    def alive(self) -> bool:
        return self._open and self._kept.alive

    def close(self) -> int:  # type: ignore[override]
        """Ends the worker; returns its exit code (128 + signal for a killed one)."""
        if self._open:
            self._open = False
            self._kept.end()
            self.stderr_text = self._last_words()
            self._kept.release()
        return self._kept.end()

    def _last_words(self) -> str:
        """Return what is in the error pipe; a worker that fills it blocks until its time limit."""
        errors = self._kept.streams[2]
        os.set_blocking(errors.fileno(), False)
        return (errors.read(1 << 16) or b"").decode("utf-8", errors="replace").strip()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()
