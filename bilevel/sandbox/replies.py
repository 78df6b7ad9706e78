"""What may come out of a worker: typed records of limited size, decoded before anything else.

Frames are strict JSON; whatever is not one of these forms is a BadFrame, and an answer that is not
what its hook has to give is a TypeError or a ValueError. Nothing here can say who proposed what:
the fields for that do not exist.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from bilevel.frozen import frozen
from bilevel.sandbox.failures import BadFrame
from bilevel.trace import Proposal

MAX_ANSWER_BYTES = 1 << 20
MAX_STATE_BYTES = 256 << 10
MAX_CHECKED_BYTES = 256 << 10
MAX_ERROR_CHARS = 2_000
MAX_PROMPT_CHARS = 100_000
MAX_SYSTEM_CHARS = 20_000
MAX_SCHEMA_BYTES = 40_000  # the schema itself is held to fewer characters, by name
T = TypeVar("T")
_Number = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
_Name = Annotated[str, msgspec.Meta(max_length=400)]


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="says"):
    """The base of all frames of a worker; `id` is that of the request which it answers."""

    id: Annotated[str, msgspec.Meta(max_length=40)]


class Answered(_Said, frozen=True, tag="answer"):
    """A hook's answer, with the mechanism's state for a restart, which is stored undecoded."""

    answer: msgspec.Raw
    state: msgspec.Raw
    lost: Annotated[list[_Name], msgspec.Meta(max_length=1_000)]


class Raised(_Said, frozen=True, tag="raised"):
    kind: _Name
    message: str


class OutOfMemory(_Said, frozen=True, tag="memory"):
    pass


class Asking(_Said, frozen=True, tag="ask"):
    """A question to the search's model; `checked` has the worker check the reply."""

    depth: _Number
    purpose: _Name
    prompt: str
    schema: msgspec.Raw
    system: str
    temperature: float | None
    checked: bool


class Rendering(_Said, frozen=True, tag="render"):
    depth: _Number
    config: msgspec.Raw


class Checked(_Said, frozen=True, tag="checked"):
    value: msgspec.Raw


class Problem(_Said, frozen=True, tag="problem"):
    problem: str


Reply = Answered | Raised | OutOfMemory | Asking | Rendering | Checked | Problem


class _Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate; `origin`, `prompt` and `problem` identify the given candidate it was made
    from, if any."""

    changes: dict[str, Any]
    hypothesis: str
    rejected: str
    origin: str
    prompt: str
    problem: str


class _Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A brief: the numbers of the trials that are shown, and the text."""

    trials: list[_Number]
    text: str


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name, carrier and hooks of a created mechanism."""

    name: str
    carrier: str
    hooks: list[Literal["parent", "brief", "propose", "review", "accept", "observe"]]


_ANSWERS: Mapping[str, Any] = {
    "parent": int | None,
    "brief": _Shown,
    "propose": list[_Candidate],
    "review": list[_Candidate],
    "accept": bool | None,
    "observe": None,
}
_REPLIES = msgspec.json.Decoder(Reply)
_DECODERS = {hook: msgspec.json.Decoder(kind) for hook, kind in _ANSWERS.items()}
_PLAIN = msgspec.json.Decoder(dict[str, Any])
_DESCRIBED = msgspec.json.Decoder(Described)


def reply(frame: bytes) -> Reply:
    """Return the decoded frame. Raises BadFrame."""
    said: Reply = _decoded(_REPLIES, frame)
    return said


def description(answer: msgspec.Raw) -> Described:
    """Return the decoded description of a mechanism. Raises BadFrame."""
    found: Described = _decoded(_DESCRIBED, answer)
    return found


def answer(hook: str, given: msgspec.Raw, most: int = MAX_ANSWER_BYTES) -> Any:
    """Return a hook's answer as the type it has to have; its candidates have no author yet.

    Raises TypeError, and ValueError for one that is too large.
    """
    _limited(hook, given, most)
    try:
        made = _DECODERS[hook].decode(given)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise TypeError(f"{hook} answered with what it may not: {_shortened(error)}") from None
    return [_proposal(one) for one in made] if hook in {"propose", "review"} else made


def plain(what: str, given: msgspec.Raw, most: int) -> dict[str, Any]:
    """Return an object of plain values. Raises ValueError."""
    _limited(what, given, most)
    try:
        found: dict[str, Any] = _PLAIN.decode(given)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{what}: {_shortened(error)}") from None
    return found


def _limited(what: str, given: msgspec.Raw, most: int) -> None:
    size = memoryview(given).nbytes
    if size > most:
        raise ValueError(f"{what} has {size:,} bytes; at most {most:,} are taken")


def _proposal(one: _Candidate) -> Proposal:
    return Proposal(
        frozen(one.changes),
        one.hypothesis,
        one.origin,
        one.prompt,
        one.problem,
        one.rejected,
    )


def _decoded(decoder: Any, frame: bytes | msgspec.Raw) -> Any:
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"not a frame that was asked for: {_shortened(error)}") from None


def _shortened(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
