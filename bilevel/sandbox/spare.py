"""Keeps one idle worker ready, so that loading a mechanism need not wait for a process.

It is started when the one before it has answered for the first time: two that start at once take
the processor from each other.
"""

import atexit
import os

from bilevel.sandbox.worker_handle import HERE, Limits, Surroundings, WorkerHandle, chosen

_spares: dict[int, tuple[Limits, WorkerHandle]] = {}
"""By process: a fork does not talk to the worker of its parent."""


def take(limits: Limits, surroundings: Surroundings = HERE) -> WorkerHandle:
    """Return a worker that holds no mechanism yet. Raises SandboxUnavailable, WorkerDied."""
    chosen(limits.layer)
    if surroundings != HERE:
        return WorkerHandle(limits, surroundings)
    kept_for, kept = _spares.pop(os.getpid(), (None, None))
    if kept is not None and (kept_for != limits or not kept.alive):
        kept.close()
        kept = None
    taken = kept or WorkerHandle(limits)
    taken.once_answered = lambda: _prepare(limits)
    return taken


def _prepare(limits: Limits) -> None:
    """Starts the spare worker if there is none; called when the one taken has answered."""
    if os.getpid() not in _spares:
        _spares[os.getpid()] = (limits, WorkerHandle(limits))


def close() -> None:
    """Ends the spare one, if there is one."""
    _, kept = _spares.pop(os.getpid(), (None, None))
    if kept is not None:
        kept.close()


atexit.register(close)
