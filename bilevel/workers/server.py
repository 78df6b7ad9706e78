"""The warm server: imports what is slow to import once, then forks a worker for every job.

It speaks JSON lines: a job or a kill on standard input, a start or an end on standard output. It
runs one thread, so that forking is safe, and it ends with every worker when its input closes.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bilevel.workers.job import flooded
from bilevel.workers.stopping import ENDING

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.01
_PATIENT = tuple(ENDING)  # the client decides what is to end, and closes the pipe


def _resolve(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when its parent ends; exits at once if it has ended
    already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _adopt_orphans() -> None:
    """Makes this process the parent of orphaned descendants, whatever process group they chose,
    so that none escapes."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _children() -> list[int]:
    me = os.getpid()
    listed = Path(f"/proc/{me}/task/{me}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


def _work(job: dict[str, Any], log: int, server: int) -> None:
    """Runs a job in a forked worker; never returns."""
    code = 1
    try:
        os.setsid()
        for number in _PATIENT:
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(server)
        _adopt_orphans()
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, copy in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, copy)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        code = int(_resolve(job["target"])(job["argv"]))
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def execute(argv: list[str]) -> int:
    """Replaces the worker by another program (a job's default target); its process group stays
    the same."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"cannot start {argv[0]!r}: {error}", file=sys.stderr)
        return 127


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def end(child: int) -> None:
    """Kills a child that was not reaped yet, and its process group, which may not exist yet."""
    _end_group(child)
    os.kill(child, signal.SIGKILL)


class Server:
    """The server's loop: forks workers and reaps them by process id."""

    def __init__(self, wishes: int, news: int) -> None:
        self._wishes = wishes
        self._news = news
        self._workers: dict[int, int] = {}  # pid -> job id
        self._jobs: dict[int, dict[str, Any]] = {}  # those whose end was not told yet
        self._logs: dict[int, int] = {}  # job id -> a descriptor of what it prints into
        self._buffer = b""

    def serve(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # the client went while it was being told
            self._say({"ready": os.getpid()})
            while self._listen():
                self._reap()
                self._stop_floods()
        for pid in self._workers:
            end(pid)
            os.waitpid(pid, 0)  # only then are its orphans children of this process
        self._workers.clear()
        self._end_adopted()
        self._remove_folders()

    def _listen(self) -> bool:
        """Waits for input and ended workers; returns whether the client still exists."""
        waiting = _POLL_S if self._workers else None
        return not select.select([self._wishes], [], [], waiting)[0] or self._read()

    def _read(self) -> bool:
        chunk = os.read(self._wishes, 65536)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            wish = json.loads(line)
            if "kill" in wish:
                for pid, job in self._workers.items():
                    if job == wish["kill"]:
                        end(pid)
            else:
                self._fork(wish)
        return bool(chunk)

    def _fork(self, job: dict[str, Any]) -> None:
        server = os.getpid()
        log = self._logs[job["id"]] = os.open(job["log"], os.O_WRONLY)
        pid = os.fork()
        if pid == 0:
            os.close(self._wishes)
            os.close(self._news)
            for other in self._logs.values():
                if other != log:
                    os.close(other)
            _work(job, log, server)
        self._workers[pid] = job["id"]
        self._jobs[job["id"]] = job
        self._say({"started": job["id"], "pid": pid})

    def _reap(self) -> None:
        for pid in list(self._workers):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done == 0:
                continue
            job = self._workers.pop(pid)
            _end_group(pid)  # whatever the worker itself left running
            self._end_adopted()
            ended = {
                "id": job,
                "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                "peak_mib": usage.ru_maxrss / 1024,
                "at": time.monotonic(),
            }
            self._say(ended)
            os.close(self._logs.pop(job))
            del self._jobs[job]

    def _stop_floods(self) -> None:
        for pid, job in self._workers.items():
            if flooded(self._logs[job]):
                end(pid)

    def _remove_folders(self) -> None:
        """Deletes logs and temporary folders of unfinished jobs after the client has gone."""
        for job in self._jobs.values():
            Path(job["log"]).unlink(missing_ok=True)
            if job["temporary"]:
                shutil.rmtree(job["folder"], ignore_errors=True)

    def _end_adopted(self) -> None:
        """Kills the descendants that an ended worker left in other process groups and that this
        server has adopted."""
        while stray := [pid for pid in _children() if pid not in self._workers]:
            for pid in stray:
                end(pid)
                os.waitpid(pid, 0)

    def _say(self, message: dict[str, Any]) -> None:
        os.write(self._news, json.dumps(message).encode() + b"\n")


def main(preloads: list[str]) -> None:
    """Serves with the pipes kept private: what a preload prints goes to standard error."""
    wishes, news = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    for number in _PATIENT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PATIENT)  # it was started with them held back
    _adopt_orphans()
    for preload in preloads:
        _resolve(preload)()
    Server(wishes, news).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
