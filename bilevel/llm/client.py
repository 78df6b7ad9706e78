"""The one module that talks to a language model's server, through the openai SDK."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bilevel.closable import Closable
from bilevel.errors import EndpointError, EndpointRefused, QuestionRefused
from bilevel.llm import faults
from bilevel.llm.completion import (
    MAX_BODY_BYTES,
    Completion,
    completion,
    content,
    is_object,
    parsed,
    server_message,
)
from bilevel.llm.deadline import Deadline
from bilevel.llm.dialect import Dialect
from bilevel.llm.endpoint import Endpoint
from bilevel.llm.faults import Fault, Remedy
from bilevel.randomness import digest

if TYPE_CHECKING:
    import httpx2
    import openai

_App = Callable[[dict[str, Any]], dict[str, Any]]
Messages = Sequence[Mapping[str, str]]
_Answered = dict[str, Any]
_IN_PROCESS = "http://in-process.invalid/v1"
_MAX_WAIT_S = 60.0
_FIRST_ATTEMPTS = 2


class ChatClient(Closable):
    """Chat completions from any server that speaks the OpenAI protocol.

    `app` answers in this process instead of a server, through the same SDK. Making a client never
    fails and never connects: `endpoint.check()` says what is wrong before the first call.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        app: _App | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint if app is None else replace(endpoint, base_url=_IN_PROCESS)
        self._app = app
        self._sleep = sleep
        self._clock = clock
        self._dialect = Dialect(structured=endpoint.structured)
        self._sdk: openai.OpenAI | None = None
        self._answered = False

    def __repr__(self) -> str:
        place = self.endpoint.place
        return f"ChatClient(name={self.endpoint.name!r}, model={place.model!r}, url={place.url!r})"

    def complete(
        self,
        messages: Messages,
        *,
        schema: Mapping[str, Any],
        temperature: float | None = None,
        seed: int = 0,
    ) -> Completion:
        """Return one reply, after retries where needed. Raises EndpointError, ConfigError."""
        self.endpoint.check()
        limit = self.endpoint.max_tokens
        started, waited, attempts = self._clock(), 0.0, 0
        dialect = self._dialect
        while True:
            body = dialect.request(
                messages, schema, temperature=temperature, seed=seed, max_tokens=limit
            )
            attempts += 1
            answer = self._attempt(body)
            if not isinstance(answer, Fault):
                break
            if answer.remedy is Remedy.ASK_DIFFERENTLY:
                other = dialect.without(answer.option)
                if other is not None:
                    dialect = other
                    continue
            if attempts >= self._worth(answer):
                raise self._given_up(answer, attempts)
            pause = _pause(attempts, answer.wait_s, seed)
            waited += pause
            self._sleep(pause)
        self._remember(dialect)
        self._answered = True
        clock = {"seconds": self._clock() - started, "attempts": attempts, "waited_s": waited}
        text = content(answer["choices"][0]).encode("utf-8", "backslashreplace").decode()
        return completion(answer, self.endpoint.without_key(text), messages, clock)

    def close(self) -> None:
        if self._sdk is not None:
            self._sdk.close()
            self._sdk = None

    def _remember(self, dialect: Dialect) -> None:
        """Keeps the dialect, so that what a server refused once is not sent to it again."""
        if dialect != self._dialect:
            dialect.announce(self._dialect, self.endpoint.name)
            self._dialect = dialect

    def _worth(self, fault: Fault) -> int:
        """Return how many attempts a fault allows; a foreign one (no model's server answered)
        before any answer fewer."""
        most = self.endpoint.max_attempts
        if fault.remedy is Remedy.FOREIGN:
            return most if self._answered else min(most, _FIRST_ATTEMPTS)
        return most if fault.remedy is Remedy.RETRY else 1

    def _given_up(self, fault: Fault, attempts: int) -> EndpointError:
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        advice = fault.advice or f"llm.model={self.endpoint.model} does not take this request"
        if fault.remedy is Remedy.FOREIGN and self._answered:
            advice = faults.well_before(self.endpoint.place)
        clean = self.endpoint.without_key(fault.message)
        line = " ".join(f"{clean}{tried}; {advice}".split())
        if fault.remedy is Remedy.ASK_DIFFERENTLY:
            return QuestionRefused(line)
        return EndpointRefused(line) if fault.remedy is Remedy.REFUSED else EndpointError(line)

    def _attempt(self, body: Mapping[str, Any]) -> _Answered | Fault:
        """Makes one call; returns every way in which it can fail as a Fault."""
        import httpx2
        import openai

        place = self.endpoint.place
        deadline = Deadline(self.endpoint.timeout_s, self.close)
        try:
            with deadline:
                return self._call(body)
        except openai.APIStatusError as error:
            message = server_message(error.body, error.message)
            code, param = str(error.code or ""), str(error.param or "")
            headers = error.response.headers
            foreign = error.body is not None and not is_object(error.response.content)
            return faults.from_status(
                error.status_code, message, code, param, headers, place, foreign=foreign
            )
        except Exception as error:
            slow = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException)
            if slow or deadline.passed:
                return faults.too_slow(self.endpoint.timeout_s, place)
            if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
                return faults.not_reached(type(error.__cause__ or error).__name__, place)
            raise

    def _call(self, body: Mapping[str, Any]) -> _Answered | Fault:
        create = self._connected().chat.completions.with_streaming_response.create
        raw = bytearray()
        with create(model=self.endpoint.model, **body) as response:
            for chunk in response.iter_bytes():
                raw += chunk
                if len(raw) > MAX_BODY_BYTES:
                    break
        return parsed(bytes(raw), self.endpoint.place)

    def _connected(self) -> "openai.OpenAI":
        if self._sdk is None:
            import httpx2
            import openai

            endpoint = self.endpoint
            transport = None if self._app is None else httpx2.MockTransport(_handler(self._app))
            http = httpx2.Client(
                transport=transport,
                timeout=endpoint.timeout_s,
                trust_env=transport is None and not endpoint.on_this_machine,
            )
            self._sdk = openai.OpenAI(
                api_key=endpoint.key(),
                base_url=endpoint.base_url,
                max_retries=0,
                http_client=http,
            )
        return self._sdk


def chat_client(**config: Any) -> ChatClient:
    """Return a client made from the keys of a preset in conf/llm."""
    return ChatClient(Endpoint(**config))


def _handler(app: _App) -> "Callable[[httpx2.Request], httpx2.Response]":
    """Return an application as an HTTP handler in this process: the far end of a connection
    without a network."""
    import httpx2

    def handle(request: httpx2.Request) -> httpx2.Response:
        try:
            status, answer = 200, app(json.loads(request.content))
        except ValueError as error:
            status, answer = 400, {"error": {"message": str(error)}}
        headers = {"content-type": "application/json"}
        return httpx2.Response(status, content=json.dumps(answer).encode(), headers=headers)

    return handle


def _pause(attempt: int, asked: float | None, seed: int) -> float:
    """Return the seconds before the next attempt: doubling, with jitter from the seed so that
    searches differ."""
    if asked is not None:
        return min(asked, _MAX_WAIT_S)
    return min(2.0 ** (attempt - 1) * (1 + digest(seed, attempt) % 1000 / 2000), _MAX_WAIT_S)
