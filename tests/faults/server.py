"""A chat completions server on loopback that misbehaves on purpose."""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bilevel.closable import Closable
from tests.llm.support import body

TRIALS = 4
Act = Callable[["Handler"], None]
Script = Callable[["Asked"], Act]


@dataclass(frozen=True)
class Asked:
    """A request: for which trial, and whether it is a repair round. Trial 0 asks a tuner."""

    model: str
    trial: int
    repair: bool
    prompt: str

    @classmethod
    def read(cls, request: dict[str, Any]) -> "Asked":
        texts = [message["content"] for message in request["messages"]]
        left = re.search(r"Experiments left: (\d+)", "\n".join(texts))
        trial = 0 if left is None else TRIALS + 1 - int(left[1])
        return cls(request["model"], trial, len(texts) > 2, texts[-1])


class Handler(BaseHTTPRequestHandler):
    """One connection: every request is answered by the act that the script gives."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Listener"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked.read(request)
        self.server.owner.asked.append(asked)
        self.server.owner.script(asked)(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: "Server"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up in the middle are what these tests are about."""


class Server(Closable):
    """Listens until it is closed; `come_back` listens again on the same port."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.ending = threading.Event()
        self._port = 0
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def come_back(self) -> None:
        self._listener = _Listener(("127.0.0.1", self._port), Handler)
        self._listener.owner = self
        self._port = self._listener.server_address[1]
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def leave(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def close(self) -> None:
        self.ending.set()
        self.leave()


def answers(
    content: bytes, status: int = 200, kind: str = "application/json", **headers: str
) -> Act:
    def act(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return act


def says(text: object, *, usage: bool = True, finish: str = "stop") -> Act:
    return answers(json.dumps(body(text, usage=usage, finish=finish)).encode())


def refuses(status: int, message: str, **headers: str) -> Act:
    return answers(json.dumps({"error": {"message": message}}).encode(), status, **headers)


def resets(handler: Handler) -> None:
    """Half an answer, then a reset instead of an end."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"choices"')
    hard = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
    handler.close_connection = True
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()


def drops(beginning: bytes, length: int | None = None) -> Act:
    """A part of an answer, and the end of the connection: short of its length or, without one,
    within its chunks."""

    def act(handler: Handler) -> None:
        handler.close_connection = True
        framed = f"content-length: {length}" if length else "transfer-encoding: chunked"
        part = beginning if length else b"%x\r\n%s\r\n" % (len(beginning), beginning)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framed}\r\n\r\n"
        handler.wfile.write(head.encode() + part)

    return act


def hangs_up(handler: Handler) -> None:
    """Nothing at all, and the end of the connection."""
    handler.close_connection = True


def drips(beginning: bytes, drop: bytes) -> Act:
    """A beginning, and then a drop now and then for ever; an empty drop is silence."""

    def act(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(beginning)
        while not handler.server.owner.ending.wait(0.02):
            handler.wfile.write(drop)

    return act


def leaves(handler: Handler) -> None:
    """The server goes away: this connection ends and nobody listens any more."""
    handler.close_connection = True
    handler.server.owner.leave()
