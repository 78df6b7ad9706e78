"""Recorded replies in a language model's place: found by what was asked, without an endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from bilevel.closable import Closable
from bilevel.errors import ConfigError, EndpointRefused, Unrecorded
from bilevel.journal import VOLATILE, Data, read, request_digest
from bilevel.llm.client import Messages
from bilevel.llm.completion import Completion
from bilevel.llm.endpoint import Endpoint
from bilevel.llm.request import REPLY, request_of
from bilevel.settings import FREE

_PRICES = ("price_per_mtok_in", "price_per_mtok_out")
_NOWHERE = "http://recorded.invalid/v1"


class RecordedClient(Closable):
    """A client that answers from the journal of an earlier search, with the model's name recorded
    there.

    Raises EndpointRefused for a question that was not asked then: the search has diverged from the
    recorded one.
    """

    def __init__(self, journal: Path, **config: Any) -> None:
        self._journal = journal
        self._config = config
        self._entries: list[Data] | None = None
        self._replies: dict[str, Data] = {}

    @property
    def endpoint(self) -> Endpoint:
        """The recorded endpoint. Raises ConfigError where there is no journal, or none of a
        search with a model."""
        deciding = self._read()[0]["data"].get("deciding", {})
        name, model = deciding.get("llm.name"), deciding.get("llm.model")
        if not name or not model:
            raise ConfigError(
                f"{self._journal} is not of a search that asked a language model; name another "
                "study with llm.study=..."
            )
        return Endpoint(**{**self._config, "name": name, "model": model, "base_url": _NOWHERE})

    @property
    def stand_in(self) -> str:
        """The version of the stand-in that gave the recorded answers; empty if none did or the
        journal has no version."""
        told = [e["data"] for e in self._read() if (e["kind"], e["key"]) == ("search", "versions")]
        return str(told[0].get("stand_in", "")) if told else ""

    def complete(
        self,
        messages: Messages,
        *,
        schema: Mapping[str, Any],
        temperature: float | None = None,
        seed: int = 0,
    ) -> Completion:
        model = self.endpoint.model
        asked = request_digest(request_of(model, messages, schema, temperature, seed))
        data = self._replies.get(asked)
        if data is None:
            raise EndpointRefused(
                f"{self._journal} holds no answer to this question: another prompt, temperature "
                "(llm.temperature), seed or code than was recorded; choose a model with llm=..."
            )
        return Completion(
            text=data["text"],
            prompt_tokens=data["prompt_tokens"],
            completion_tokens=data["completion_tokens"],
            finish_reason=data["finish_reason"],
            clock={**data[VOLATILE], "seconds": 0.0},
            estimated=data["estimated"],
        )

    def close(self) -> None:
        return

    def _read(self) -> list[Data]:
        if self._entries is None:
            if not self._journal.exists():
                raise ConfigError(
                    f"llm=replay: there is no journal {self._journal}; name the study whose "
                    "answers are wanted with llm.study=..., or a file with llm.journal=..."
                )
            self._entries = read(self._journal)
            if not self._entries:
                raise ConfigError(f"llm=replay: the journal {self._journal} is empty")
            replies = [entry for entry in self._entries if entry["kind"] == REPLY]
            self._replies = {entry["request"]: entry["data"] for entry in replies}
        return self._entries


@dataclass(frozen=True)
class Silent:
    """A client for a search whose sealed journal answers every question."""

    endpoint: Endpoint

    @classmethod
    def like(cls, prices: Mapping[str, Any], whose: Mapping[str, Any]) -> "Silent":
        """Return one with these prices and with the name, model and temperature that the journal
        has."""
        named = {name: prices.get(name, 0.0) for name in _PRICES}
        return cls(Endpoint(base_url=None, **named, **whose))

    def complete(
        self,
        messages: Messages,
        *,
        schema: Mapping[str, Any],
        temperature: float | None = None,
        seed: int = 0,
    ) -> Completion:
        raise Unrecorded("a replay may ask nobody")

    def close(self) -> None:
        return


def recorded_client(*, journal: Annotated[str, FREE], study: str, **config: Any) -> RecordedClient:
    """Return a client made from the keys of conf/llm/replay.yaml; `study` is part of the
    journal's path."""
    return RecordedClient(Path(journal), **config)
