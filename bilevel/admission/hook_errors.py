"""Words a failed hook call: what failed, how, and at which line of the source."""

import re

from bilevel.admission.refusal import Refused, quoted
from bilevel.sandbox.failures import MechanismRaised

_LINE = re.compile(r" ?\(line (\d+)\)$")
KINDS = {
    "TimeLimit": "gave no answer in time",
    "MemoryLimit": "used too much memory",
    "WorkerDied": "ended its worker process",
    "BadFrame": "answered with what cannot be sent",
    "Restless": "went on computing when it had answered",
}
REMEDIES = {
    "TimeLimit": "do less in a call, for instance look at the latest trials only (a verdict of "
    "this machine: a faster one may give another)",
    "MemoryLimit": "keep less (a verdict of this machine)",
    "WorkerDied": "a mechanism computes from its view, and ends no process",
    "BadFrame": "answer with finite numbers, texts, lists and proposals of reasonable size",
    "Restless": "compute in the call and answer then, with no thread or timer that goes on",
}


def failure_text(hook: str, error: str, source: str) -> str:
    """Returns the failure in words; `error` is the ledger's: the kind of the exception and its
    message."""
    kind, _, message = error.partition(": ")
    if kind == "MechanismRaised":
        return f"{hook} raised {_located(message, source)}"
    if kind in KINDS:
        return f"{hook} {KINDS[kind]} ({error}); {REMEDIES[kind]}"
    return f"{hook} answered with what the loop cannot use: {error}"


def blamed(error: str, source: str) -> str:
    """Returns the kind of an error and its line of the source, without the exception's own text,
    which may hold anything: the same wherever it is raised again."""
    kind, _, message = error.partition(": ")
    if kind in KINDS:
        return KINDS[kind]
    if kind != "MechanismRaised":
        return f"answered with what the loop cannot use ({kind})"
    return f"raised {message.partition(':')[0].partition(' ')[0]}{_line(message, source)}"


def _located(message: str, source: str) -> str:
    """Returns an exception's text with the line of the source that it names."""
    line = _line(message, source)
    return f"{_LINE.sub('', message)}{line}" if line else message


def _line(message: str, source: str) -> str:
    found = _LINE.search(message)
    lines = source.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return ""
    return f" at line {found[1]}: `{quoted(lines[int(found[1]) - 1])}`"


def unmade(error: Exception, source: str) -> Refused:
    """Returns the refusal of a source that cannot be loaded and made into a mechanism."""
    what = "reading the module or __init__"
    kind = type(error).__name__
    core = f"{what} {blamed(f'{kind}: {error}', source)}"
    if isinstance(error, MechanismRaised):
        return Refused(f"{what} raised {_located(str(error), source)}", core)
    how = KINDS.get(kind, "made something else than its text says")
    return Refused(f"{what} {how} ({kind}: {error})", core)
