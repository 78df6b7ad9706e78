"""Runs jobs in workers forked from a warm server, which dies with this process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from bilevel.errors import TaskError
from bilevel.workers.job import Finished, WorkerJob, flooded, printed, scrubbed_environment
from bilevel.workers.stopping import ENDING, await_own_signal, told_to_end

_KILL_GRACE_S = 5.0
STARTS = 3


class ForkedRunner:
    """A runner whose jobs call their `target` in workers forked from a server that imported the
    `preloads`.

    The server starts with the first job, with a scrubbed environment. If it dies, the running job
    counts as crashed and the next one starts a new server. A copy in another process has a server
    of its own.
    """

    def __init__(
        self, preloads: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._preloads = list(preloads)
        self._environment = dict(environment or {})
        self._lock = threading.Lock()
        self._server: _ServerProcess | None = None

    def __reduce__(self) -> tuple[type["ForkedRunner"], tuple[object, ...]]:
        return ForkedRunner, (self._preloads, self._environment)

    def run(self, job: WorkerJob) -> Finished:
        with _log() as (descriptor, log):
            started = time.monotonic()
            ended, timed_out = self._call(job, log)
            wall_s = time.monotonic() - started
            output, too_much = printed(descriptor), flooded(descriptor)
        if ended is None and timed_out:
            return Finished(-1, signal.SIGKILL, True, wall_s, 0.0, output, too_much)
        if ended is None:
            await_own_signal()
            output += "\nthe worker server died while this job was running\n"
            return Finished(1, 0, False, wall_s, 0.0, output, too_much)
        code, by_signal, peak_mib = ended["code"], ended["signal"], ended["peak_mib"]
        if told_to_end(code, by_signal):
            await_own_signal()
        return Finished(code, by_signal, timed_out, wall_s, peak_mib, output, too_much)

    def close(self) -> None:
        with self._lock:
            if self._server is not None:
                self._server.close()
                self._server = None

    def _call(self, job: WorkerJob, log: Path) -> tuple[dict[str, Any] | None, bool]:
        """Sends the job to the server; if the server had died before, starts another one and
        sends it again."""
        for _ in range(STARTS):
            with contextlib.suppress(_ServerGone):
                return self._started().call(job, log)
        raise TaskError(f"the worker server died {STARTS} times before it began a job")

    def _started(self) -> "_ServerProcess":
        with self._lock:
            if self._server is None or not self._server.alive:
                if self._server is not None:
                    self._server.close()
                self._server = _ServerProcess(self._preloads, self._environment)
            return self._server


@contextlib.contextmanager
def _log() -> Iterator[tuple[int, Path]]:
    """Yields the descriptor and path of a file for a job's output. It lies outside of the job's
    folder, whose files a script may delete or overwrite."""
    descriptor, name = tempfile.mkstemp(prefix="output-")
    try:
        yield descriptor, Path(name)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


class _ServerGone(Exception):
    """Raised when the server died before it was given the job."""


class _ServerProcess:
    """A client of one server: sends jobs and returns the end of each to its caller."""

    def __init__(self, preloads: Sequence[str], environment: Mapping[str, str]) -> None:
        with _signals_blocked():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bilevel.workers.server", *preloads],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=scrubbed_environment(environment),
            )
        self._begun: dict[int, int] = {}  # job -> process group
        self._ended: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._next = 0
        try:
            ready = _pipe(self._process.stdout).readline()
        except BaseException:  # stopped while it starts: it has no workers yet
            self._process.kill()
            self.close()
            raise
        if not ready:
            self.close()
            raise TaskError(
                f"the worker server exited with code {self._process.returncode} before its first "
                "job; its own error is above"
            )
        self.alive = True
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self, job: WorkerJob, log: Path) -> tuple[dict[str, Any] | None, bool]:
        """Runs a job; returns how it ended (None: the server died) and whether it reached its time
        limit.

        Raises _ServerGone if the server died before it began the job.
        """
        with self._news:
            number = self._next
            self._next += 1
            self._send(
                {
                    "id": number,
                    "target": job.target,
                    "argv": list(job.argv),
                    "folder": str(job.folder),
                    "log": str(log),
                    "temporary": job.temporary,
                    "environment": dict(job.environment),
                }
            )
            if self._wait(number, job.limit_s):
                if number not in self._ended and number not in self._begun:
                    raise _ServerGone
                return self._end_of(number), False
            with contextlib.suppress(_ServerGone):
                self._send({"kill": number})
            self._wait(number, _KILL_GRACE_S)
            return self._end_of(number), True

    def _end_of(self, number: int) -> dict[str, Any] | None:
        """Return how a job ended; None if the server died, whose workers' children are then
        killed here."""
        group = self._begun.pop(number, None)
        if number not in self._ended and group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        return self._ended.pop(number, None)

    def close(self) -> None:
        """Ends the server by closing its input, and with it every worker."""
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_KILL_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def _wait(self, number: int, limit_s: float) -> bool:
        return self._news.wait_for(lambda: number in self._ended or not self.alive, limit_s)

    def _send(self, message: Mapping[str, Any]) -> None:
        pipe = _pipe(self._process.stdin)
        try:
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()
        except (BrokenPipeError, ValueError):
            self.alive = False
            raise _ServerGone from None

    def _listen(self) -> None:
        for line in _pipe(self._process.stdout):
            message = json.loads(line)
            with self._news:
                if "started" in message:
                    self._begun[message["started"]] = message["pid"]
                else:
                    self._ended[message["id"]] = message
                    self._news.notify_all()
        with self._news:
            self.alive = False
            self._news.notify_all()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Starts processes inside the block with signals blocked that a whole terminal or job is
    sent, until they have chosen to ignore them: this process receives them and ends the others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TaskError("the worker server was started without pipes")
    return stream
