"""How a confined worker fails.

SandboxError
├── SandboxUnavailable   this machine has no layer to confine with (also a BadInput: exit code 2)
├── TimeLimit            no answer within the limit of one call, in its processor's time
├── MemoryLimit          more memory than the worker may have
├── WorkerDied           the process ended, or could not be started
├── BadFrame             what it sent is no frame that was asked for
├── Restless             it used the processor while nobody had asked it for anything
└── MechanismRaised      the mechanism's own code raised: its type, message and line
"""

from bilevel.errors import BadInput, BilevelError


class SandboxError(BilevelError):
    """A confined worker did not answer usefully."""


class SandboxUnavailable(SandboxError, BadInput):
    """Nothing on this machine can confine a process."""


class TimeLimit(SandboxError):
    """A call took too much of the processor; the worker was killed."""


class MemoryLimit(SandboxError):
    """A call wanted more memory than there is; the worker was killed."""


class WorkerDied(SandboxError):
    """The worker ended without an answer."""


class BadFrame(SandboxError):
    """A frame that is too large, too deep, not JSON, or not what was asked for."""


class Restless(SandboxError):
    """It computed between two calls, or while the host answered a question; it was killed."""


class MechanismRaised(SandboxError):
    """An exception of the confined code; `kind` is the name of its type."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind


STOPS: dict[str, type[SandboxError]] = {
    kind.__name__: kind for kind in (TimeLimit, MemoryLimit, WorkerDied, BadFrame, Restless)
}
"""The failures after which a worker is gone; how fast a machine is may decide them."""
