"""Servers that refuse, fail, stall or answer with something else: one clear line, no traceback."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from bilevel.errors import EndpointError, EndpointRefused
from tests.llm.support import KEY, KEY_ENV, MESSAGES, SCHEMA, body, client, reply

PATH = "/v1/chat/completions"


def _status(status: int, message: str = "nope", **rest: Any) -> dict[str, Any]:
    return {"response_json": {"error": {"message": message, **rest}}, "status": status}


def _server(httpserver: HTTPServer, *answers: dict[str, Any]) -> str:
    """Answers each given once, in order, then a good reply for ever."""
    for answer in answers:
        httpserver.expect_ordered_request(PATH).respond_with_json(**answer)
    httpserver.expect_ordered_request(PATH).respond_with_json(body(reply(x=1)))
    return httpserver.url_for("/v1")


def test_rate_limits_and_server_errors_are_waited_out(httpserver: HTTPServer) -> None:
    limited = {**_status(429), "headers": {"retry-after": "7"}}
    forever = {**_status(429), "headers": {"retry-after": "86400"}}
    url = _server(httpserver, limited, _status(429), _status(503), forever)
    sleeps: list[float] = []
    with client(sleeps=sleeps, base_url=url) as asked:
        completion = asked.complete(MESSAGES, schema=SCHEMA)
    assert completion.clock["attempts"] == 5
    assert sleeps[0] == 7
    assert 2 <= sleeps[1] <= 3
    assert 4 <= sleeps[2] <= 6
    assert sleeps[3] == 60
    assert completion.clock["waited_s"] == sum(sleeps)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_that_keeps_failing(httpserver: HTTPServer, code: int) -> None:
    httpserver.expect_request(PATH).respond_with_json(**_status(code, "over\nloaded"))
    asked = client(base_url=httpserver.url_for("/v1"), max_attempts=3)
    with asked, pytest.raises(EndpointError) as error:
        asked.complete(MESSAGES, schema=SCHEMA)
    assert "after 3 attempts" in str(error.value)
    assert "over loaded" in str(error.value)
    assert "llm=scripted" in str(error.value)
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, EndpointRefused)


@pytest.mark.parametrize(
    ("code", "named"),
    [(401, KEY_ENV), (403, KEY_ENV), (404, "llm.model=m"), (402, "credit"), (418, "base_url")],
)
def test_refusals_are_not_repeated(httpserver: HTTPServer, code: int, named: str) -> None:
    told = f"Incorrect API key provided: {KEY}"
    httpserver.expect_request(PATH).respond_with_json(**_status(code, told))
    asked = client(base_url=httpserver.url_for("/v1"))
    with asked, pytest.raises(EndpointRefused, match=named) as error:
        asked.complete(MESSAGES, schema=SCHEMA)
    assert KEY not in str(error.value)
    assert len(httpserver.log) == 1


def test_an_exhausted_account_is_not_a_rate_limit(httpserver: HTTPServer) -> None:
    answer = _status(429, "You exceeded your quota", code="insufficient_quota")
    httpserver.expect_request(PATH).respond_with_json(**answer)
    asked = client(base_url=httpserver.url_for("/v1"))
    with asked, pytest.raises(EndpointRefused, match="credit"):
        asked.complete(MESSAGES, schema=SCHEMA)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:pass@127.0.0.1:{taken.getsockname()[1]}/v1"
        asked = client(base_url=url, max_attempts=2)
        with asked, pytest.raises(EndpointError, match="no connection to http://127") as error:
            asked.complete(MESSAGES, schema=SCHEMA)
    assert "pass" not in str(error.value)


def _raw_server(talk: Callable[[socket.socket], None]) -> tuple[str, threading.Thread]:
    """A server that takes one connection and treats it as `talk` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)  # a client may have given up before it came

    def run() -> None:
        with listener, contextlib.suppress(TimeoutError), listener.accept()[0] as connection:
            connection.settimeout(5)
            connection.recv(65536)
            talk(connection)

    thread = threading.Thread(target=run)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1", thread


def test_a_connection_reset_in_the_middle_of_the_answer() -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")

    url, thread = _raw_server(cut)
    asked = client(base_url=url, max_attempts=1)
    with asked, pytest.raises(EndpointError, match="no connection"):
        asked.complete(MESSAGES, schema=SCHEMA)
    thread.join()


@pytest.mark.parametrize("drip", [b"", b" "])
def test_a_server_that_is_silent_or_drips(drip: bytes) -> None:
    done = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not done.wait(0.02):
            connection.sendall(drip)

    url, thread = _raw_server(wait)
    started = time.monotonic()
    asked = client(base_url=url, max_attempts=1, timeout_s=0.15)
    with asked, pytest.raises(EndpointError, match=r"longer than 0.15 s.*llm.timeout_s"):
        asked.complete(MESSAGES, schema=SCHEMA)
    assert time.monotonic() - started < 30  # and not for as long as the server goes on
    done.set()
    thread.join()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html><body>Welcome</body></html>", "HTML"),
        (b"ok", "not JSON"),
        (b"[1, 2]", "other JSON"),
        (b"[" * 100_000, "broken JSON"),
        (b"", "an empty body"),
        (b'{"choices": []}', "without any choices"),
        (b'{"choices": null}', "without any choices"),
        (b'{"choices": ["x"]}', "without any choices"),
        (b"{}", "other JSON"),
        (b'{"choices": [{"index": 0}]}', "without any choices"),
        (b'{"error": {"message": "upstream down", "code": 502}}', "upstream down"),
    ],
)
def test_answers_that_are_no_completion(httpserver: HTTPServer, answer: bytes, said: str) -> None:
    httpserver.expect_request(PATH).respond_with_data(answer, content_type="text/html")
    asked = client(base_url=httpserver.url_for("/v1"), max_attempts=2)
    with asked, pytest.raises(EndpointError, match=said) as error:
        asked.complete(MESSAGES, schema=SCHEMA)
    assert len(str(error.value)) < 600


PAGE = "<html><body>Welcome to nginx!</body></html>"


def test_what_is_no_answer_and_comes_first_is_a_wrong_address(httpserver: HTTPServer) -> None:
    """Once more, since a gateway may be waking up, and then the remedy."""
    httpserver.expect_request(PATH).respond_with_data(PAGE, content_type="text/html")
    sleeps: list[float] = []
    asked = client(sleeps=sleeps, base_url=httpserver.url_for("/v1"), max_attempts=5)
    with asked, pytest.raises(EndpointError, match=r"after 2 attempts; check llm\.base_url"):
        asked.complete(MESSAGES, schema=SCHEMA)
    assert (len(httpserver.log), len(sleeps)) == (2, 1)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 405, 413])
def test_after_an_answer_it_is_a_gateway_s_and_retried_like_any_failure(
    httpserver: HTTPServer, status: int
) -> None:
    well = httpserver.expect_ordered_request(PATH)
    well.respond_with_json(body(reply(x=1)))
    for _ in range(4):
        page = httpserver.expect_ordered_request(PATH)
        page.respond_with_data(PAGE, status, content_type="text/html")
    httpserver.expect_ordered_request(PATH).respond_with_json(body(reply(x=2)))
    httpserver.expect_ordered_request(PATH).respond_with_data(PAGE, status)
    sleeps: list[float] = []
    with client(sleeps=sleeps, base_url=httpserver.url_for("/v1"), max_attempts=5) as asked:
        asked.complete(MESSAGES, schema=SCHEMA)
        found = asked.complete(MESSAGES, schema=SCHEMA)
    assert (found.text, found.clock["attempts"]) == (reply(x=2), 5)
    assert [int(slept) for slept in sleeps] == [1, 2, 4, 8] or sum(sleeps) <= 22.5


def test_a_completion_is_one_whatever_it_is_called(httpserver: HTTPServer) -> None:
    said = b"\n\n" + json.dumps(body(reply(x=1))).encode()
    httpserver.expect_request(PATH).respond_with_data(said, content_type="text/html")
    with client(base_url=httpserver.url_for("/v1")) as asked:
        assert asked.complete(MESSAGES, schema=SCHEMA).text == reply(x=1)
