"""The client: what it sends, what it makes of replies, and what it never shows."""

import gzip
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from bilevel.errors import ConfigError, EndpointRefused
from bilevel.llm.client import ChatClient
from bilevel.llm.completion import MAX_REPLY_CHARS, TOO_LARGE
from bilevel.llm.scripted import scripted_client
from bilevel.llm.scripted.server import listen
from tests.llm.support import KEY, KEY_ENV, MESSAGES, SCHEMA, Canned, body, client, reply

PATH = "/v1/chat/completions"
PROMPT = [
    {
        "role": "user",
        "content": '## Reply format\n\n```json\n{"type":"object","properties":{"x":'
        '{"type":"number"}},"required":["x"]}\n```\n',
    }
]


@pytest.fixture
def scripted_url() -> Iterator[str]:
    server, url = listen(0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["scripted", "scripted over HTTP", "openai style"])
def any_client(request: pytest.FixtureRequest) -> Iterator[ChatClient]:
    """Every way in which a search can reach a model."""
    if request.param == "scripted":
        made = scripted_client(name="scripted", model="scripted")
    elif request.param == "scripted over HTTP":
        url = request.getfixturevalue("scripted_url")
        made = scripted_client(name="scripted", model="scripted", base_url=url)
    else:
        server = request.getfixturevalue("httpserver")
        server.expect_request(PATH).respond_with_json(body(reply(x=0)))
        made = client(base_url=server.url_for("/v1"))
    with made:
        yield made


def test_contract(any_client: ChatClient) -> None:
    any_client.endpoint.check()
    completion = any_client.complete(PROMPT, schema=SCHEMA, temperature=0.5, seed=3)
    assert completion.text.replace(" ", "") in {'{"x":0}', '{"x":0.0}'}
    assert completion.prompt_tokens > 0
    assert completion.completion_tokens > 0
    assert not completion.estimated
    assert completion.finish_reason == "stop"
    assert completion.clock["attempts"] == 1
    assert completion.clock["seconds"] >= 0
    again = any_client.complete(PROMPT, schema=SCHEMA, temperature=0.5, seed=3)
    assert again.text == completion.text
    any_client.close()
    any_client.close()


def test_what_is_sent() -> None:
    app = Canned(reply(x=1))
    with client(app, max_tokens=99) as asked:
        asked.complete(MESSAGES, schema=SCHEMA, temperature=0.25, seed=7)
    sent = app.requests[0]
    assert sent["model"] == "m"
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.25, 7, 99)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert sent["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        (12, "12"),
        ("half \ud800 pair", "half \\ud800 pair"),
    ],
)
def test_unusual_contents(content: object, expected: str) -> None:
    with client(Canned(body(content))) as asked:
        assert asked.complete(MESSAGES, schema=SCHEMA).text == expected


def test_token_counts_are_estimated_and_marked_where_the_server_is_silent() -> None:
    usages: list[dict[str, Any]] = [
        {},
        {"usage": None},
        {"usage": {"prompt_tokens": "many"}},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 2}},
    ]
    for usage in usages:
        with client(Canned({**body("x" * 40, usage=False), **usage})) as asked:
            completion = asked.complete(MESSAGES, schema=SCHEMA)
        assert completion.estimated
        assert completion.completion_tokens == 10
        assert completion.prompt_tokens > 0


@pytest.mark.parametrize("size", [MAX_REPLY_CHARS + 1, 3_000_000])
def test_huge_replies_are_cut(httpserver: HTTPServer, size: int) -> None:
    httpserver.expect_request(PATH).respond_with_json(body("x" * size))
    with client(base_url=httpserver.url_for("/v1")) as asked:
        completion = asked.complete(MESSAGES, schema=SCHEMA)
    assert completion.finish_reason == TOO_LARGE
    assert len(completion.text) <= MAX_REPLY_CHARS


def test_a_compressed_bomb_is_cut(httpserver: HTTPServer) -> None:
    bomb = gzip.compress(b" " * 50_000_000, compresslevel=1)
    answer = Response(bomb, headers={"content-encoding": "gzip"})
    httpserver.expect_request(PATH).respond_with_response(answer)
    with client(base_url=httpserver.url_for("/v1")) as asked:
        assert asked.complete(MESSAGES, schema=SCHEMA).finish_reason == TOO_LARGE


class Picky:
    """A server that refuses the named parts of a request."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.requests: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        kind = request.get("response_format", {}).get("type", "text")
        for part in (*request, kind):
            if part in self.refused:
                raise ValueError(f"Unsupported: {part} is not available")
        return body(reply(x=1))


@pytest.mark.parametrize(
    ("refused", "kinds"),
    [
        (("json_schema",), ["json_schema", "json_object"]),
        (("response_format",), ["json_schema", "json_object", None]),
    ],
)
def test_the_reply_format_steps_down_once(
    refused: tuple[str, ...], kinds: list[str | None], caplog: pytest.LogCaptureFixture
) -> None:
    app = Picky(*refused)
    with client(app) as asked, caplog.at_level(logging.WARNING):
        first = asked.complete(MESSAGES, schema=SCHEMA)
        asked.complete(MESSAGES, schema=SCHEMA)
    sent = [request.get("response_format", {}).get("type") for request in app.requests]
    assert sent == [*kinds, kinds[-1]]
    assert first.clock["attempts"] == len(kinds)
    ours = [r for r in caplog.records if r.name.startswith("bilevel")]
    assert len(ours) == 1
    assert f"structured={kinds[-1] or 'text'}" in ours[0].getMessage()


def test_other_refused_parts_are_left_out() -> None:
    app = Picky("temperature", "seed", "max_tokens")
    with client(app, max_tokens=5) as asked:
        asked.complete(MESSAGES, schema=SCHEMA, temperature=0.3)
    last = app.requests[-1]
    assert not {"temperature", "seed", "max_tokens"} & set(last)
    assert last["max_completion_tokens"] == 5
    assert last["response_format"]["type"] == "json_schema"


def test_a_request_that_is_refused_in_every_form() -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("this prompt is longer than the context")

    with client(refuse) as asked:
        with pytest.raises(EndpointRefused, match="longer than the context"):
            asked.complete(MESSAGES, schema=SCHEMA)
        with pytest.raises(EndpointRefused):
            asked.complete(MESSAGES, schema=SCHEMA)


def test_an_open_schema_is_not_sent_as_strict() -> None:
    app = Canned(reply(x=1))
    with client(app) as asked:
        asked.complete(MESSAGES, schema={"type": "object", "properties": {"x": {}}})
    assert app.requests[0]["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"environ": {}}, rf"{KEY_ENV}.*llm=scripted"),
        ({"environ": {KEY_ENV: "  "}}, KEY_ENV),
        ({"environ": {KEY_ENV: "schlüssel"}}, KEY_ENV),
        ({"base_url": "localhost:8080"}, "llm.base_url"),
        ({"base_url": None}, "llm.base_url"),
        ({"base_url": "http://h:99999/v1"}, "llm.base_url"),
        ({"timeout_s": 0}, "llm.timeout_s"),
        ({"timeout_s": "soon"}, "llm.timeout_s"),
        ({"max_attempts": 0}, "llm.max_attempts"),
        ({"max_tokens": -1}, "llm.max_tokens"),
        ({"structured": "xml"}, "json_schema, json_object, text"),
        ({"max_calls": 0}, "llm.max_calls"),
        ({"max_usd": 1.0}, "price_per_mtok_in"),
    ],
)
def test_what_cannot_work_is_said_before_any_call(config: dict[str, Any], named: str) -> None:
    app_free = client(**config)
    with pytest.raises(ConfigError, match=named):
        app_free.endpoint.check()
    with pytest.raises(ConfigError, match=named):
        app_free.complete(MESSAGES, schema=SCHEMA)


def test_the_key_is_sent_and_shown_nowhere(
    httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[str] = []

    def echo(request: Request) -> Response:
        sent.append(request.headers["authorization"])
        return Response(f'{{"choices": [{{"message": {{"content": "got {KEY}"}}}}]}}')

    httpserver.expect_request(PATH).respond_with_handler(echo)
    with caplog.at_level(logging.DEBUG), client(base_url=httpserver.url_for("/v1")) as asked:
        completion = asked.complete(MESSAGES, schema=SCHEMA)
        shown = [repr(asked), repr(asked.endpoint), str(asked.endpoint), repr(completion)]
    assert sent == [f"Bearer {KEY}"]
    assert completion.text == "got [the key]"
    assert not any(KEY in text for text in (*shown, caplog.text))


def test_the_sdk_is_imported_only_when_a_call_is_made() -> None:
    code = (
        "import sys, bilevel.proposers.llm, bilevel.levels.tuner, bilevel.llm.session;"
        "import bilevel.llm.scripted as s; s.scripted_client(name='s', model='s');"
        "assert not {'openai', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
