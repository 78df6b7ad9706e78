"""Every error the platform raises on purpose, each with the exit code a shell sees.

BilevelError                 1  the search failed; whatever was measured is kept
├── BadInput                 2  the command, a config or a file has to change
│   ├── SpaceError              a value outside the search space
│   ├── ConfigError             an override or a config that cannot be used
│   ├── StudyMismatch           the same search with another configuration, or in another world
│   └── SearchRunning           another process holds this search
├── BudgetExhausted          3  a cap was reached; results are kept
├── EndpointError               the language model's server did not answer usefully
│   └── EndpointRefused         wrong key, unknown model: repeating the call cannot help
│       └── QuestionRefused     the server does not take this question: others it may
├── JournalError                the journal cannot be read or no longer fits the code
│   └── Unrecorded              a replay asked for what was never answered
├── TaskError                   a task cannot start (corpus missing, worker gone)
└── TrackingError               the tracking store cannot be written
"""

import hashlib

SHOWN_CHARS = 120


class BilevelError(Exception):
    """Root of the tree: catch it to catch everything the platform raises on purpose."""

    exit_code = 1


class BadInput(BilevelError):
    """Something the user gave has to change before it can work."""

    exit_code = 2


class SpaceError(BadInput):
    """A value outside the search space: names the parameter, the value and the range."""


class ConfigError(BadInput):
    """An override or a config file that cannot be used."""


class StudyMismatch(BadInput):
    """(study, arm, seed) exists already with another configuration, or its world has changed."""


class SearchRunning(BadInput):
    """Another process is running this search."""


class BudgetExhausted(BilevelError):
    """A hard cap (calls, tokens, money, trials in a row without a usable reply) was reached;
    everything measured is kept."""

    exit_code = 3


class EndpointError(BilevelError):
    """The language model's server gave no usable answer after every retry."""


class EndpointRefused(EndpointError):
    """The server refused for good (wrong key, unknown model): repeating cannot help."""


class QuestionRefused(EndpointRefused):
    """The server refused this question, however it was put; it may be too long for the model."""


class JournalError(BilevelError):
    """The journal is damaged, or re-execution no longer reproduces what it holds."""


class Unrecorded(JournalError):
    """A replay, which may ask nobody, needs an answer that its journal does not hold."""


class TaskError(BilevelError):
    """A task cannot evaluate at all (as opposed to a trial that failed)."""


class TrackingError(BilevelError):
    """The tracking store cannot be reached or written."""


def short(value: object) -> str:
    """A value for an error message: as it is, or, where that is too long to read, its digest."""
    shown = repr(value)
    if len(shown) <= SHOWN_CHARS:
        return shown
    return f"{len(shown)} characters ({hashlib.sha256(shown.encode()).hexdigest()[:8]})"
