"""An OpenAI chat-completions application with the stand-in model behind it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from bilevel.llm.client import ChatClient
from bilevel.llm.endpoint import Endpoint
from bilevel.llm.scripted import discovering, research, scientist
from bilevel.llm.scripted.editing import edit
from bilevel.llm.scripted.minimal import instance
from bilevel.llm.scripted.proposing import propose
from bilevel.llm.scripted.reading import Reading, read
from bilevel.llm.scripted.rewriting import rewrite
from bilevel.llm.scripted.slips import RATE, slipped
from bilevel.llm.scripted.tuning import tune
from bilevel.llm.tokens import message_tokens, text_tokens
from bilevel.randomness import digest, keyed

MODEL = "scripted"
_PROPOSAL = {"hypothesis", "changes"}
_REWRITE = {"plan", "configuration"}
_PATCH = {"hypothesis", "edits", "script"}
_TUNING = {"analysis", "freeze", "unfreeze", "strategy", "guidance"}
_ANSWERS = {**research.ANSWERS, **scientist.ANSWERS, **discovering.ANSWERS}


def respond(request: Mapping[str, Any]) -> dict[str, Any]:
    """The response to a chat-completions request, the same for the same seed, temperature, round
    and what it reads of the prompt. Raises ValueError for a request that has no messages."""
    messages = _messages(request)
    temperature = request.get("temperature")
    warmth = float(temperature) if isinstance(temperature, int | float) else 1.0
    question = next((m["content"] for m in messages if m["role"] == "user"), "")
    reading = read(question)
    identity = digest(reading.heard if reading.schema else question, len(messages), warmth)
    rng = keyed(int(request.get("seed") or 0), MODEL, identity)
    text = _reply(reading, messages, request, rng, warmth)
    usage = {"prompt_tokens": message_tokens(messages), "completion_tokens": text_tokens(text)}
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{identity:016x}",
        "object": "chat.completion",
        "created": 0,
        "model": str(request.get("model") or MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {**usage, "total_tokens": sum(usage.values())},
    }


def scripted_client(*, base_url: str | None = None, **config: Any) -> ChatClient:
    """A client of the stand-in: in this process, or at `base_url` where one is served."""
    endpoint = Endpoint(base_url=base_url, **config)
    return ChatClient(endpoint, app=respond if base_url is None else None)


def scripted_digest() -> str:
    """Identifies the stand-in's behaviour: a digest over its source files."""
    found = hashlib.sha256()
    here = Path(__file__).parent
    for path in [*sorted(here.glob("*.py")), *sorted(here.glob("sources/*.txt"))]:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _messages(request: Mapping[str, Any]) -> list[dict[str, str]]:
    listed = request.get("messages")
    if not isinstance(listed, list) or not listed:
        raise ValueError("messages: expected a list with at least one message")
    if not all(isinstance(m, Mapping) and isinstance(m.get("content"), str) for m in listed):
        raise ValueError("messages: expected objects with a role and a text as content")
    return [{"role": str(m.get("role")), "content": m["content"]} for m in listed]


def _reply(
    reading: Reading,
    messages: list[dict[str, str]],
    request: Mapping[str, Any],
    rng: Random,
    warmth: float,
) -> str:
    """The text of the reply to the first question; a second round is answered without slips."""
    schema = reading.schema or _asked_schema(request)
    names = frozenset(schema.get("properties", {}))
    answer = _answering(reading, names)
    if names == _PROPOSAL and reading.knobs:
        reply = propose(reading, rng, warmth)
    elif names == _REWRITE and reading.knobs:
        reply = rewrite(reading, rng, warmth)
    elif names == _TUNING and reading.statistics:
        reply = tune(reading, rng)
    elif names == _PATCH and "The script" in reading.fenced:
        reply = edit(reading, rng)
    elif answer:
        reply = answer(reading, rng)
    elif schema:
        reply = instance(schema, rng)
    else:
        return "I am a scripted stand-in and answer only questions with a JSON schema."
    first_round = all(message["role"] != "assistant" for message in messages)
    if first_round and isinstance(reply, dict) and rng.random() < RATE:
        return slipped(reply, rng)
    return json.dumps(reply)


def _answering(reading: Reading, properties: frozenset[str]) -> research.Answer | None:
    """Who answers a question with these properties, if the prompt has what that needs."""
    answer, headings = _ANSWERS.get(properties, (None, frozenset[str]()))
    return answer if headings & {*reading.sections, *reading.fenced} else None


def _asked_schema(request: Mapping[str, Any]) -> dict[str, Any]:
    asked = request.get("response_format")
    described = asked.get("json_schema") if isinstance(asked, Mapping) else None
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return schema if isinstance(schema, dict) else {}
