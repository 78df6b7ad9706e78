"""The stand-in as a server, and its answers to questions it does not know."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import jsonschema
import pytest

from bilevel.llm.scripted import respond, scripted_client, scripted_digest
from bilevel.llm.scripted.__main__ import main
from bilevel.llm.scripted.minimal import instance
from bilevel.randomness import keyed
from tests.llm.support import session


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 20}}},
        {
            "type": "object",
            "properties": {
                "a": {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2},
                "b": {"anyOf": [{"type": "integer", "minimum": 3.5}, {"type": "null"}]},
                "c": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
                "d": {"type": "number", "maximum": -2},
                "e": {"type": ["boolean", "null"]},
                "f": {"const": "x"},
                "g": {"type": "integer", "exclusiveMinimum": 2},
                "h": {"type": "string", "maxLength": 3},
            },
            "required": ["a", "b", "c", "d", "e", "f", "g", "h"],
        },
    ],
)
def test_other_questions_get_a_minimal_instance(schema: dict[str, Any]) -> None:
    jsonschema.validate(instance(schema, keyed(1)), schema)
    ask = session(respond, api_key_env=None).asker(1, 1, "mechanism")
    answer = ask("Which of these?", schema)
    assert not answer.problem
    jsonschema.validate(answer.value, schema)


def test_the_schema_is_also_read_from_the_request() -> None:
    described = {"type": "json_schema", "json_schema": {"schema": {"enum": ["a"]}}}
    asked = {"messages": [{"role": "user", "content": "?"}], "response_format": described}
    assert respond(asked)["choices"][0]["message"]["content"] == '"a"'
    text = respond({"messages": asked["messages"]})["choices"][0]["message"]["content"]
    assert "stand-in" in text


@pytest.mark.parametrize("request_", [{}, {"messages": []}, {"messages": [1]}])
def test_a_request_without_messages_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="messages"):
        respond(request_)


def test_the_digest_is_over_the_source() -> None:
    assert len(scripted_digest()) == 64
    assert scripted_digest() == scripted_digest()


def test_served_over_http() -> None:
    command = [sys.executable, "-m", "bilevel.llm.scripted", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}/models", timeout=10) as answer:
                assert json.load(answer)["data"][0]["id"] == "scripted"
            with scripted_client(name="scripted", model="scripted", base_url=url) as made:
                schema = {"type": "object", "properties": {}}
                asked = [{"role": "user", "content": "?"}]
                assert made.complete(asked, schema=schema).text == "{}"
            for path, data, status in (
                ("/nothing", None, 404),
                ("/nothing", b"{}", 404),
                ("/chat/completions", b"[]", 400),
                ("/chat/completions", b"[" * 5000, 400),
                ("/chat/completions", b"{}", 400),
            ):
                with pytest.raises(urllib.error.HTTPError) as error:
                    urllib.request.urlopen(url + path, data=data, timeout=10)
                assert error.value.code == status
                error.value.close()
        finally:
            process.terminate()


def test_a_taken_port_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"port {port}" in said
