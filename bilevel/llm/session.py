"""One search's conversation with its model: journalled, charged, capped and validated."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bilevel.closable import Closable
from bilevel.errors import QuestionRefused
from bilevel.journal import VOLATILE, Data, Journal
from bilevel.llm import prompts
from bilevel.llm.completion import MAX_REPLY_CHARS, TOO_LARGE, Completion
from bilevel.llm.endpoint import Endpoint
from bilevel.llm.ledger import Call, CallLedger, Message
from bilevel.llm.reply import ReplyError, checked, plain_schema
from bilevel.llm.request import REPLY, request_of
from bilevel.llm.unusable import Unusable
from bilevel.mechanism import HOOKS
from bilevel.randomness import digest
from bilevel.view import Answer, Ask

_MAX_PROMPT_CHARS = 400_000
_SHOWN_AGAIN = 4_000  # characters of an unusable reply that the repair round quotes
_REFUSED = "refused"  # how a reply finished that a server would not give
_UNKNOWN_WORDS: Message = {
    "role": "system",
    "content": "(Asked by another version in words of its own, which are not kept.)",
}
Check = Callable[[Any], Any] | None


class Client(Protocol):
    """The protocol of a language model's client: a server's, the stand-in's, or a recording's."""

    @property
    def endpoint(self) -> Endpoint: ...

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        temperature: float | None = None,
        seed: int = 0,
    ) -> Completion:
        """Return one reply. Raises EndpointError, ConfigError."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Question:
    """A prompt to be sent, with its key in the journal."""

    key: str
    level: float
    trial: int
    purpose: str
    schema: Mapping[str, Any]
    temperature: float | None


class Session(Closable):
    """The conversation of one search with its model, at every level: journalled, charged against
    the caps, and validated. Replies that cannot be used are told on the console where it is
    `aloud`."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        ledger: CallLedger,
        seed: int,
        title: str = "",
        *,
        aloud: bool = True,
    ) -> None:
        self.client = client
        self.ledger = ledger
        self._unusable = Unusable(client.endpoint.max_unusable, title, aloud)
        self._journal = journal
        self._seed = seed
        self._asked: dict[str, int] = {}

    def asker(self, level: float, trial: int, purpose: str) -> Ask:
        """Return the `Ask` for a level, trial and purpose: what `Loop(asker=session.asker)`
        takes."""
        place = f"L{level}/T{trial}/{purpose}"

        def ask(
            prompt: str,
            schema: Mapping[str, Any],
            *,
            check: Check = None,
            system: str = "",
            temperature: float | None = None,
        ) -> Answer:
            count = self._asked.get(place, 0)
            warmth = self.client.endpoint.temperature if temperature is None else temperature
            try:
                plain = plain_schema(schema)
                _check_question(prompt + system, warmth)
            except ReplyError as error:
                return Answer(None, str(error))
            self._asked[place] = count + 1
            question = _Question(f"{place}/{count}", level, trial, purpose, plain, warmth)
            return self._answer(question, _messages(prompt, plain, system), check)

        return ask

    def close(self) -> None:
        self.client.close()

    def _answer(self, question: _Question, messages: tuple[Message, ...], check: Check) -> Answer:
        """Return the answer from the first reply, or from a second one after the model was told
        what was wrong."""
        asked = prompts.digest(*(message["content"] for message in messages))
        spent = self.ledger.total.tokens
        value, call = self._reply(question, question.key, messages, check)
        texts: tuple[str, ...] = (call.text,)
        if call.problem:
            self._tell(call, again=True)
            text = call.text
            quoted = text if len(text) <= _SHOWN_AGAIN else text[:_SHOWN_AGAIN] + " [cut here]"
            again = (
                *messages,
                {"role": "assistant", "content": quoted or "(an empty reply)"},
                {"role": "user", "content": prompts.render("repair", problem=call.problem)},
            )
            value, call = self._reply(question, f"{question.key}/repair", again, check)
            texts = (*texts, call.text)
        self._settle(call)
        return Answer(value, call.problem, asked, texts, self.ledger.total.tokens - spent)

    def _tell(self, call: Call, *, again: bool) -> None:
        if not call.replayed:
            self._unusable.tell(call.level, call.trial, call.purpose, call.problem, again)

    def _settle(self, call: Call) -> None:
        """Counts the last reply to a question. Raises BudgetExhausted after too many unusable
        ones in a row."""
        if not call.problem:
            self._unusable.usable(call.level, call.purpose)
        elif not call.replayed:
            self._tell(call, again=False)
            self._unusable.lost(call.level, call.trial, call.purpose, call.problem)

    def _reply(
        self, question: _Question, key: str, messages: tuple[Message, ...], check: Check
    ) -> tuple[Any, Call]:
        """Return one reply's value and its call, which is recorded before anything depends on
        it."""
        self.ledger.admit()
        request = request_of(
            self.client.endpoint.model,
            messages,
            question.schema,
            question.temperature,
            digest(self._seed, key) % 2**31,
        )
        replayed = self._journal.holds(REPLY, key, request)
        data = self._journal.once(
            REPLY,
            key,
            lambda: self._ask(request, question.purpose),
            request=request,
            durable=True,
            rewordable=True,
        )
        if key in self._journal.reworded:
            messages = (_UNKNOWN_WORDS,)
        problem = "the check of it failed"
        try:
            text: str = data["text"]
            value, problem = _judged(text, data["finish_reason"], question.schema, check)
        finally:  # a reply is charged whatever a mechanism's check does
            call = self._call(question, key, messages, data, replayed, problem)
            self.ledger.add(call)
        return value, call

    def _ask(self, request: Data, purpose: str) -> Data:
        """Makes the live call; returns its data for the journal. A mechanism's question that a
        server refuses becomes that mechanism's error."""
        try:
            completion = self.client.complete(
                request["messages"],
                schema=request["schema"],
                temperature=request["temperature"],
                seed=request["seed"],
            )
        except QuestionRefused:
            if not _of_a_hook(purpose):
                raise  # no search goes on without its proposer
            completion = Completion("", 0, 0, _REFUSED, {"seconds": 0.0, "attempts": 1})
        return {
            "text": completion.text,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "estimated": completion.estimated,
            "finish_reason": completion.finish_reason,
            VOLATILE: dict(completion.clock),
        }

    def _call(
        self,
        question: _Question,
        key: str,
        messages: tuple[Message, ...],
        data: Data,
        replayed: bool,
        problem: str,
    ) -> Call:
        asked, replied = data["prompt_tokens"], data["completion_tokens"]
        return Call(
            key=key,
            level=question.level,
            trial=question.trial,
            purpose=question.purpose,
            messages=messages,
            text=data["text"],
            prompt_tokens=asked,
            completion_tokens=replied,
            estimated=data["estimated"],
            seconds=data[VOLATILE]["seconds"],
            attempts=int(data[VOLATILE]["attempts"]),
            usd=self.client.endpoint.price(asked, replied),
            replayed=replayed,
            problem=problem,
        )


def _messages(prompt: str, schema: Mapping[str, Any], system: str) -> tuple[Message, ...]:
    """Return the messages to send; lone surrogates, which servers refuse, are replaced."""
    described = json.dumps(schema, separators=(",", ":"))
    user = prompts.render("reply", prompt=prompt.strip(), schema=prompts.fenced(described, "json"))
    asked: Message = {"role": "user", "content": _sendable(user)}
    if not system.strip():
        return (asked,)
    return ({"role": "system", "content": _sendable(system.strip())}, asked)


def _check_question(text: str, temperature: float | None) -> None:
    """Raises ReplyError for a prompt or temperature that servers refuse; mechanisms write their
    own prompts."""
    if len(text) > _MAX_PROMPT_CHARS:
        raise ReplyError(f"the prompt is longer than {_MAX_PROMPT_CHARS} characters")
    if temperature is not None and not 0 <= temperature <= 2:
        raise ReplyError(f"temperature={temperature!r} is outside [0, 2]")


def _of_a_hook(purpose: str) -> bool:
    """Return whether a mechanism asks: its purposes begin with its name and the hook's."""
    return any(hook in HOOKS for hook in purpose.split("/")[1:2])


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _judged(
    text: str, finish_reason: str, schema: Mapping[str, Any], check: Check
) -> tuple[Any, str]:
    """Return (value, "") or (None, what is wrong with the reply), which mentions a cut if there
    was one."""
    if finish_reason == _REFUSED:
        return None, "the server refuses the question; it may be too long for the model"
    if finish_reason == TOO_LARGE:
        return None, f"the reply is longer than {MAX_REPLY_CHARS} characters"
    value, problem = checked(text, schema, check)
    if problem and finish_reason == "length":
        problem += " (the reply was cut off at llm.max_tokens; answer more briefly)"
    return value, problem
