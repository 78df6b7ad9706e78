"""What a server's refusal means: try again, ask differently, or give up with one clear line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Remedy(StrEnum):
    """What can be done about a failed attempt. FOREIGN faults did not come from a model's
    server: a gateway's momentary error if the server has answered before, else more likely a
    wrong address."""

    RETRY = "retry"
    ASK_DIFFERENTLY = "ask differently"
    REFUSED = "refused"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Fault:
    """A failed attempt. `wait_s` is how long the server asked to wait, in seconds."""

    remedy: Remedy
    message: str
    advice: str = ""
    wait_s: float | None = None
    option: str = ""


@dataclass(frozen=True)
class Place:
    """The address of a server as messages show it: without credentials."""

    url: str
    model: str
    key_env: str | None

    @property
    def key(self) -> str:
        return f"the environment variable {self.key_env}" if self.key_env else "llm.api_key_env"


_SCRIPTED = "or run without a server: llm=scripted"
_OPTIONS = ("response_format", "temperature", "max_tokens", "seed")
_FORMAT = re.compile(r"json_schema|json_object|json mode|structured|grammar|guided", re.IGNORECASE)


def from_status(
    status: int,
    message: str,
    code: str,
    param: str,
    headers: Mapping[str, str],
    place: Place,
    *,
    foreign: bool = False,
) -> Fault:
    """Return the Fault of an HTTP error, classified by its status and the server's message;
    `foreign` where the message is a web page or a gateway's."""
    said = f"{place.url} answered {status}: {message}"
    refused = Remedy.FOREIGN if foreign else Remedy.REFUSED
    if status in {401, 403}:
        return Fault(refused, said, f"check the key in {place.key}, {_SCRIPTED}")
    if status == 404:
        advice = f"check llm.model={place.model} and llm.base_url (it usually ends in /v1)"
        return Fault(refused, said, advice)
    if status == 402 or code == "insufficient_quota":
        return Fault(
            Remedy.REFUSED, said, f"the account has no credit left; top it up, {_SCRIPTED}"
        )
    if status in {400, 422}:
        option = _named_option(message, param)
        if option or not foreign:
            return Fault(Remedy.ASK_DIFFERENTLY, said, option=option)
    if status in {408, 409, 425, 429} or status >= 500:
        advice = "try again later"
        if status == 429:
            advice += ", run fewer searches at a time"
        return Fault(Remedy.RETRY, said, f"{advice}, {_SCRIPTED}", _retry_after(headers))
    return Fault(refused, said, "check llm.base_url")


def _named_option(message: str, param: str) -> str:
    """Return the optional request field that a refusal names; empty if it names none."""
    root = param.split(".", maxsplit=1)[0]
    if root in _OPTIONS:
        return root
    for option in _OPTIONS:
        if re.search(rf"\b{option}\b", message):
            return option
    return "response_format" if _FORMAT.search(message) else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header; dates are relative to the response's own date."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
        return float(value)
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def not_reached(why: str, place: Place) -> Fault:
    advice = f"check that the server is running and llm.base_url is right, {_SCRIPTED}"
    return Fault(Remedy.RETRY, f"no connection to {place.url} ({why})", advice)


def too_slow(seconds: float, place: Place) -> Fault:
    said = f"{place.url} took longer than {seconds:g} s"
    return Fault(Remedy.RETRY, said, "raise llm.timeout_s or choose a faster model")


def not_a_completion(kind: str, beginning: str, place: Place) -> Fault:
    said = f"{place.url} answered with {kind} instead of a chat completion: {beginning!r}"
    return Fault(Remedy.FOREIGN, said, "check llm.base_url (it usually ends in /v1)")


def well_before(place: Place) -> str:
    """Return the advice for a server that stopped answering after it had answered."""
    return (
        f"it has answered before: look at {place.url} and what stands in front of it, {_SCRIPTED}"
    )


def no_choices(place: Place) -> Fault:
    said = f"{place.url} answered without any choices"
    return Fault(Remedy.RETRY, said, f"check the server's log and llm.model={place.model}")
