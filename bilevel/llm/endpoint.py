"""Which server and model to ask, at what price and within which caps: the `llm` config group."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from bilevel.errors import ConfigError
from bilevel.llm.dialect import FORMATS
from bilevel.llm.faults import Place
from bilevel.llm.ledger import Caps
from bilevel.settings import (
    FREE,
    SECRET,
    Amount,
    Cap,
    Count,
    CountCap,
    Seconds,
    Variable,
    Warmth,
    WholeOrNone,
)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HIDDEN = "[the key]"
_NO_KEY = "none"


@dataclass(frozen=True)
class Endpoint:
    """A language model's server and model, as a preset in conf/llm describes them. `api_key_env`
    names the variable that holds the key; the key itself is read when it is needed and is in no
    record. Prices are US dollars per million tokens. Making one never fails: `check` raises for
    what is wrong."""

    name: str
    model: str
    base_url: Annotated[str | None, FREE]
    timeout_s: Annotated[Seconds, FREE] = 120.0
    api_key_env: Annotated[Variable, FREE, SECRET] = None
    max_attempts: Annotated[Count, FREE] = 5
    temperature: Warmth = None
    structured: str = "json_schema"
    max_tokens: int | None = None
    price_per_mtok_in: Annotated[Amount, FREE] = 0.0
    price_per_mtok_out: Annotated[Amount, FREE] = 0.0
    max_calls: Annotated[CountCap, FREE] = None
    max_total_tokens: Annotated[CountCap, FREE] = None
    max_usd: Annotated[Cap, FREE] = None
    max_unusable: Annotated[WholeOrNone, FREE] = 8
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def described(self) -> str:
        """Return the name of the model and its temperature."""
        return self.model + ("" if self.temperature is None else f" at {self.temperature:g}")

    @property
    def caps(self) -> Caps:
        return Caps(self.max_calls, self.max_total_tokens, self.max_usd)

    @property
    def place(self) -> Place:
        """Return where calls go, without a user name or password."""
        scheme, mark, rest = (self.base_url or "").partition("://")
        host, slash, path = rest.partition("/")
        shown = scheme + mark + host.rpartition("@")[2] + slash + path.partition("?")[0]
        return Place(shown, self.model, self.api_key_env)

    @property
    def on_this_machine(self) -> bool:
        """Return whether the server is reached over loopback, where no proxy is used."""
        return urlsplit(self.base_url or "").hostname in _LOOPBACK

    def check(self) -> None:
        """Raises ConfigError naming the key to change; makes no call."""
        self.caps.check()
        _check_url(self.base_url, self.place.url)
        _check_positive("timeout_s", self.timeout_s)
        _check_positive("max_attempts", self.max_attempts)
        if self.max_tokens is not None:
            _check_positive("max_tokens", self.max_tokens)
        if self.max_unusable:
            _check_positive("max_unusable", self.max_unusable)
        if self.structured not in FORMATS:
            valid = ", ".join(FORMATS)
            raise ConfigError(f"llm.structured={self.structured!r} is unknown; valid: {valid}")
        if self.max_usd is not None and not (self.price_per_mtok_in or self.price_per_mtok_out):
            raise ConfigError(
                "llm.max_usd is set but both prices are 0, so it would never be reached; set "
                "llm.price_per_mtok_in and llm.price_per_mtok_out"
            )
        self.key()

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for this many tokens."""
        asked = prompt_tokens * self.price_per_mtok_in
        return (asked + completion_tokens * self.price_per_mtok_out) / 1e6

    def key(self) -> str:
        """Return the API key. Raises ConfigError where the variable is not set or holds no key."""
        if self.api_key_env is None:
            return _NO_KEY
        key = self.environ.get(self.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"llm={self.name} needs a key: set the environment variable {self.api_key_env}, "
                "or run without one: llm=scripted"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigError(f"the environment variable {self.api_key_env} does not hold a key")
        return key

    def without_key(self, text: str) -> str:
        """Return the text with the key removed, in case a server echoes it."""
        return text if self.api_key_env is None else text.replace(self.key(), _HIDDEN)


def _check_url(url: str | None, shown: str) -> None:
    try:
        parts = urlsplit(url or "")
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(
            f"llm.base_url={shown!r} is not a server's address; expected something like "
            "http://127.0.0.1:8080/v1"
        )


def _check_positive(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):  # type: ignore[operator]
        raise ConfigError(f"llm.{name}={value!r}: expected a positive number")
