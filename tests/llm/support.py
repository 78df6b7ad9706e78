"""Servers and sessions for tests: canned replies in this process, and time that does not pass."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bilevel.journal import Journal
from bilevel.llm.client import ChatClient
from bilevel.llm.endpoint import Endpoint
from bilevel.llm.ledger import CallLedger
from bilevel.llm.session import Session

KEY = "sk-super-secret-0123456789"
KEY_ENV = "TEST_LLM_KEY"
MESSAGES = [{"role": "user", "content": "Answer in JSON."}]
SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "number"}},
    "required": ["x"],
    "additionalProperties": False,
}


def body(text: object, *, usage: bool = True, finish: str = "stop") -> dict[str, Any]:
    """A chat completion with this text."""
    message = {"role": "assistant", "content": text}
    made: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    if usage:
        made["usage"] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return made


class Canned:
    """An application that gives its replies in order, the last one for ever."""

    def __init__(self, *replies: object) -> None:
        self.requests: list[dict[str, Any]] = []
        self._replies = replies

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(request)
        return reply if isinstance(reply, dict) else body(reply)


def endpoint(base_url: str | None = "http://127.0.0.1:9/v1", **config: Any) -> Endpoint:
    defaults: dict[str, Any] = {
        "name": "test",
        "model": "m",
        "timeout_s": 5,
        "api_key_env": KEY_ENV,
        "environ": {KEY_ENV: KEY},
    }
    return Endpoint(base_url=base_url, **{**defaults, **config})


def client(
    app: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    sleeps: list[float] | None = None,
    **config: Any,
) -> ChatClient:
    """A client that notes its pauses instead of sleeping."""
    slept = [] if sleeps is None else sleeps
    return ChatClient(endpoint(**config), app=app, sleep=slept.append)


def session(
    app: Callable[[dict[str, Any]], dict[str, Any]],
    journal: Journal | None = None,
    seed: int = 1,
    **config: Any,
) -> Session:
    made = client(app, **config)
    return Session(made, journal or Journal(None), CallLedger(made.endpoint.caps), seed)


def reply(**fields: Any) -> str:
    return json.dumps(fields)


def contents(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that was sent, as text."""
    return [message["content"] for request in requests for message in request["messages"]]
