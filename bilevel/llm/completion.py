"""What a server's answer holds: read defensively, since compatible servers differ in everything."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilevel.llm import faults
from bilevel.llm.faults import Fault, Place
from bilevel.llm.tokens import message_tokens, text_tokens

MAX_REPLY_CHARS = 200_000
MAX_BODY_BYTES = 2_000_000
TOO_LARGE = "too_large"


@dataclass(frozen=True)
class Completion:
    """One reply of a server. `estimated` marks token counts that the server did not report;
    `clock` holds what differs between two runs of the same call; `finish_reason` is 'too_large'
    when cut."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    clock: Mapping[str, float]
    estimated: bool = False


def parsed(raw: bytes, place: Place) -> dict[str, Any] | Fault:
    """Return an answer's body that has at least one choice, or the Fault in it.

    Of a body that is too large, the part received becomes the reply's text.
    """
    if len(raw) > MAX_BODY_BYTES:
        received = {"content": raw.decode("utf-8", "replace")}
        return {"choices": [{"finish_reason": TOO_LARGE, "message": received}]}
    beginning = raw[:80].decode("utf-8", "replace")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return faults.not_a_completion(_kind(beginning.strip()), beginning, place)
    return _chosen(data, place) or faults.not_a_completion("other JSON", beginning, place)


def _chosen(data: Any, place: Place) -> dict[str, Any] | Fault | None:
    """Return the data of a completion, or the Fault it reports instead; None if it is neither."""
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    chosen = choices[0] if isinstance(choices, list) and choices else None
    error = data.get("error") or (isinstance(chosen, dict) and chosen.get("error"))
    if error:
        return _error_inside(error, place)
    if isinstance(chosen, dict) and isinstance(chosen.get("message"), dict):
        return data
    return faults.no_choices(place) if "choices" in data else None


def is_object(raw: bytes) -> bool:
    """Return whether a body is a JSON object, as every server's own errors are."""
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False


def _kind(beginning: str) -> str:
    """Return in words what an unreadable body is."""
    if not beginning:
        return "an empty body"
    if beginning.startswith("<"):
        return "HTML"
    return "broken JSON" if beginning[0] in "{[" else "text that is not JSON"


def _error_inside(error: Any, place: Place) -> Fault:
    """Return the Fault of an error within an answer of status 200: some routers put the error of
    the server behind them in the body or the choice; some write its code as text."""
    code = str(error.get("code") if isinstance(error, Mapping) else "")
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else 502
    return faults.from_status(status, server_message(error, "no reason given"), code, "", {}, place)


def server_message(body: object, otherwise: str) -> str:
    """Return a server's error message on one line; of an HTML page, its words."""
    if isinstance(body, Mapping):
        inner = body.get("message") or body.get("error") or body.get("detail") or otherwise
        text = str(inner.get("message", inner)) if isinstance(inner, Mapping) else str(inner)
    else:
        text = re.sub(r"<[^>]*>", " ", body) if isinstance(body, str) else otherwise
    line = " ".join(text.split())
    line = line or otherwise
    return line if len(line) <= 300 else line[:297] + "..."


def content(choice: Mapping[str, Any]) -> str:
    """Return the reply's text; a list of parts is joined, a refusal's text is used as it is."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return ""
    found = message.get("content") or message.get("refusal") or ""
    if isinstance(found, list):
        found = "".join(str(p.get("text", "")) for p in found if isinstance(p, Mapping))
    return str(found)


def completion(
    data: Mapping[str, Any],
    text: str,
    messages: Sequence[Mapping[str, str]],
    clock: Mapping[str, float],
) -> Completion:
    """Return the record of a reply whose text is `text`; tokens of a part that was cut off are
    charged too."""
    finish = str(data["choices"][0].get("finish_reason") or "stop")
    estimates = message_tokens(messages), text_tokens(text)
    if len(text) > MAX_REPLY_CHARS:
        text, finish = text[:MAX_REPLY_CHARS], TOO_LARGE
    usage = data.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    asked, replied = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if type(asked) is int and type(replied) is int and min(asked, replied) >= 0:
        return Completion(text, asked, replied, finish, clock)
    return Completion(text, *estimates, finish, clock, estimated=True)
