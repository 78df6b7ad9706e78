"""The stand-in over loopback HTTP, so that any OpenAI client can talk to it."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bilevel.errors import ConfigError
from bilevel.llm.scripted.app import MODEL, respond

HOST = "127.0.0.1"
_MAX_REQUEST_BYTES = 8_000_000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            self._refuse(404, f"no such page: {self.path}; try /v1/models")

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MAX_REQUEST_BYTES:
            self.close_connection = True
            self._refuse(413, f"expected a body of at most {_MAX_REQUEST_BYTES} bytes")
            return
        body = self.rfile.read(int(length))
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._refuse(404, f"no such page: {self.path}; try /v1/chat/completions")
            return
        try:
            request = json.loads(body)
            if not isinstance(request, dict):
                raise ValueError("expected a JSON object")
            answer = respond(request)
        except (ValueError, RecursionError) as error:
            self._refuse(400, str(error))
            return
        self._send(200, answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the caller has a ledger of its own."""

    def _refuse(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "invalid_request_error"}})

    def _send(self, status: int, data: dict[str, Any]) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def listen(port: int) -> tuple[ThreadingHTTPServer, str]:
    """A server bound to loopback and its base URL; port 0 takes any free one.

    Raises ConfigError where the port cannot be had.
    """
    try:
        server = _Server((HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"port {port} of {HOST} cannot be used ({error}); choose another, or 0 for a free one"
        ) from None
    return server, f"http://{HOST}:{server.server_address[1]}/v1"
