"""Evaluations on a Ray cluster, or on a Ray of one's own: the same outcomes as on this machine."""

import contextlib
import importlib.util
import math
import os
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from bilevel.errors import ConfigError, TaskError
from bilevel.settings import Amount, Count, Seconds, Text
from bilevel.trace import FailureKind, Outcome
from bilevel.workers.executor import Evaluator, Request
from bilevel.workers.job import scrubbed_environment
from bilevel.workers.stopping import await_own_signal

_LOCAL = "local"
_TRIES = 2  # an evaluation whose worker died is given to another one, once
_OBJECTS_BYTES = 80 * 2**20  # what is exchanged is a task and outcomes: Ray's least is plenty
_SOCKETS = "/tmp"  # the path of a socket may not be long, as TMPDIR may be
_PROBE_S = 10.0
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to third parties
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Ray:
    """An executor on Ray: `workers` actors, each with a copy of the task and with `cpus` and `gpus`
    reserved for it.

    `address=local` starts a Ray on this machine, whose processes hold no secret and end with this
    one; any other is Ray's own: `auto`, `HOST:PORT`, `ray://HOST:PORT`. Nothing is started before
    the first evaluation. A worker that did not start within `start_s` ends the search.
    """

    def __init__(
        self,
        workers: Count,
        address: Text = _LOCAL,
        cpus: Amount = 1,
        gpus: Amount = 0,
        start_s: Seconds = 300,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("executor=ray needs Ray: .venv/bin/pip install -e '.[ray]'")
        self._workers = workers
        self._address = address
        self._needs = {"num_cpus": cpus, "num_gpus": gpus}
        self._start_s = start_s
        self._stack = contextlib.ExitStack()
        self._ray: Any = None
        self._task: Evaluator | None = None
        self._copy: Any = None
        self._idle: deque[Any] = deque()
        self._crew: list[Any] = []

    def outcomes(self, task: Evaluator, requests: Sequence[Request]) -> Iterator[Outcome]:
        if not requests:
            return
        self._staff(task, min(self._workers, len(requests)))
        waiting = deque((index, 1) for index in range(len(requests)))
        running: dict[Any, tuple[int, int, Any]] = {}
        done: dict[int, Outcome] = {}
        for index in range(len(requests)):
            while index not in done:
                while waiting and self._idle:
                    number, nth = waiting.popleft()
                    worker = self._idle.popleft()
                    running[worker.evaluate.remote(requests[number])] = (number, nth, worker)
                [ended], _ = self._ray.wait(list(running))
                number, nth, worker = running.pop(ended)
                outcome = self._outcome(ended, worker)
                if outcome is not None:
                    done[number] = outcome
                elif nth < _TRIES:
                    waiting.appendleft((number, nth + 1))
                else:
                    said = f"the Ray worker that ran it died {_TRIES} times"
                    done[number] = Outcome.failed(FailureKind.CRASH, said)
            yield done.pop(index)

    def close(self) -> None:
        self._dismiss()
        self._stack.close()
        self._ray = None

    def _outcome(self, ended: Any, worker: Any) -> Outcome | None:
        """Return the outcome of an evaluation; None if its worker died, which is then replaced.
        Raises what the task raised."""
        errors = self._ray.exceptions
        try:
            told = self._ray.get(ended)
        except errors.RayTaskError as error:
            self._idle.append(worker)
            raise error.cause from None
        except errors.RayError:
            await_own_signal()
            self._crew.remove(worker)
            self._hire(1)
            return None
        self._idle.append(worker)
        return Outcome.from_json(told)

    def _staff(self, task: Evaluator, workers: int) -> None:
        """Makes as many workers as there is work for, all idle, each with a copy of this task."""
        if self._ray is None:
            self._ray = _connected(self._address, self._workers, self._needs, self._stack)
        if self._task is not task:
            self._dismiss()
            self._task, self._copy = task, self._ray.put(task)
        self._idle = deque(self._crew)  # what a round that was left is still running comes first
        self._hire(workers - len(self._crew))

    def _hire(self, workers: int) -> None:
        kind = self._ray.remote(**self._needs, max_restarts=0)(_Worker)
        hired = [kind.remote(self._copy) for _ in range(workers)]
        self._crew += hired
        try:
            self._ray.get([one.ready.remote() for one in hired], timeout=self._start_s)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise TaskError(
                f"no Ray worker started within executor.start_s={self._start_s:g} s: {reason}; "
                f"it asks for {self._needs}, and needs bilevel and its packages where it runs"
            ) from error
        self._idle.extend(hired)

    def _dismiss(self) -> None:
        for worker in self._crew:
            self._ray.kill(worker)
        self._crew, self._task, self._copy = [], None, None
        self._idle.clear()


class _Worker:
    """The actor that evaluates in Ray's processes."""

    def __init__(self, task: Evaluator) -> None:
        self._task = task

    def ready(self) -> bool:
        return True

    def evaluate(self, request: Request) -> dict[str, Any]:
        return self._task.evaluate(request.parent, request.proposal, request.seed).to_json()


def _connected(
    address: str, workers: int, needs: dict[str, float], stack: contextlib.ExitStack
) -> Any:
    """Return the module `ray`, connected; closing the stack disconnects and ends a Ray that was
    started here."""
    with _without_secrets():
        import ray

        own: dict[str, Any] = {}
        if address == _LOCAL:
            own = {
                "num_cpus": max(1, math.ceil(workers * needs["num_cpus"])),
                "include_dashboard": False,
                "object_store_memory": _OBJECTS_BYTES,
                "_temp_dir": stack.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="ray-", dir=_SOCKETS, ignore_cleanup_errors=True
                    )
                ),
            }
        try:
            _reach(address)
            with _own_signals():
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TaskError(f"executor.address={address}: no Ray there ({reason})") from error
        stack.callback(ray.shutdown)
    return ray


def _reach(address: str) -> None:
    """Checks that the address answers. Raises OSError or ValueError at once where nobody
    listens; Ray would keep trying."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PROBE_S).close()


@contextlib.contextmanager
def _without_secrets() -> Iterator[None]:
    """Reduces the environment inside the block to the few variables of a worker, so that
    processes started there inherit no key."""
    whole = dict(os.environ)
    kept = {name: value for name, value in whole.items() if name.startswith("RAY_")}
    scrubbed = scrubbed_environment({**_QUIET, **kept})
    os.environ.clear()
    os.environ.update(scrubbed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(whole)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restores this process's SIGTERM handler, which Ray's driver replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
