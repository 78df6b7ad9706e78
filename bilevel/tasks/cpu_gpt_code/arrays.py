"""Frames that carry raw arrays behind their JSON: nothing that is received is ever executed."""

from collections.abc import Mapping
from typing import Any

from bilevel.sandbox.failures import BadFrame
from bilevel.sandbox.frames import Channel

MAX_ROWS = 65_536  # sequences in one batch


class ArrayChannel(Channel):
    """Every message says how many raw bytes follow it."""

    def give(
        self, message: Mapping[str, Any], raw: bytes = b"", deadline: float | None = None
    ) -> None:
        self.send({**message, "raw": len(raw)}, deadline)
        self._write(raw, deadline)

    def take(self, most: int, deadline: float | None = None) -> tuple[dict[str, Any], bytes]:
        """A message and at most this many raw bytes. Raises TimeLimit, WorkerDied, BadFrame."""
        message = self.receive(deadline)
        size = message.pop("raw", None) if isinstance(message, dict) else None
        if type(size) is not int or not 0 <= size <= most:
            raise BadFrame(f"a message with {size!r} raw bytes; at most {most} are allowed")
        return message, self._take(size, deadline)
