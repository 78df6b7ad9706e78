"""A failed hook call in words: what failed, how, and at which line of the source."""

import re

from bilevel.admission.verdict import quoted

_LINE = re.compile(r" ?\(line (\d+)\)$")
KINDS = {
    "TimeLimit": "gave no answer in time",
    "MemoryLimit": "used too much memory",
    "WorkerDied": "ended its worker process",
    "BadFrame": "answered with what cannot be sent",
}
NOT_FINITE = "'float' is not expected"  # as the wire says it
REMEDIES = {
    "TimeLimit": "do less in a call, for instance look at the latest trials only",
    "MemoryLimit": "keep less",
    "WorkerDied": "a mechanism computes from its view, and ends no process",
    "BadFrame": "answer with finite numbers, texts, lists and proposals of reasonable size",
}


def told(hook: str, error: str, source: str) -> str:
    """`error` is as the ledger has it: the kind of the exception and its message."""
    kind, _, message = error.partition(": ")
    if kind == "MechanismRaised":
        return f"{hook} raised {located(message, source)}"
    if kind in KINDS:
        return f"{hook} {KINDS[kind]} ({error}); {REMEDIES[kind]}"
    hint = "; every number has to be finite" if NOT_FINITE in error else ""
    return f"{hook} answered with what the loop cannot use: {error}{hint}"


def located(message: str, source: str) -> str:
    """An exception's text with the line of the source that it names."""
    found = _LINE.search(message)
    lines = source.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return message
    line = quoted(lines[int(found[1]) - 1])
    return f"{message[: found.start()]} at line {found[1]}: `{line}`"
