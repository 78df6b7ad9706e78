"""Frames between a host and its worker: a length, then JSON of bounded size and depth."""

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

from bilevel.sandbox.failures import BadFrame, TimeLimit, WorkerDied
from bilevel.strict_json import decoder

_MAX_BYTES = 8 << 20  # that a worker may send
_MAX_TOLD_BYTES = 64 << 20  # that it may be sent: a whole trace, where it has to begin again
_MAX_DEPTH = 48
_SOON_S = 0.0002  # most answers are there by then; whoever sleeps for them wakes up late
_ENDED = "the worker ended without an answer"
_HEAD = struct.Struct(">I")
_Left = Callable[[], float]  # how long to wait before asking again; raises TimeLimit


def _encode(message: object, most: int = _MAX_BYTES) -> bytes:
    """Return a message as a frame. Raises BadFrame for what is not JSON, NaN and infinities
    included."""
    try:
        body = _ENCODER.encode(message).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadFrame(f"cannot be written as JSON: {error}") from None
    if len(body) > most:
        raise BadFrame(f"a frame of {len(body)} bytes; at most {most} are allowed")
    return _HEAD.pack(len(body)) + body


def _decode(body: bytes) -> Any:
    """Return the message in a frame. Raises BadFrame for anything but strict JSON with finite
    numbers and valid characters."""
    try:
        message = _DECODER.decode(body.decode("utf-8"))
        if body.count(b"[") + body.count(b"{") > _MAX_DEPTH:
            _shallow(message)
        if b"\\ud" in body.lower():
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, UnicodeError) as error:
        raise BadFrame(f"not a frame of JSON: {type(error).__name__}: {str(error)[:200]}") from None
    return message


def _shallow(message: object) -> None:
    level = [message]
    for _ in range(_MAX_DEPTH):
        deeper: list[object] = []
        for value in level:
            if isinstance(value, dict):
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
        level = deeper
        if not level:
            return
    raise ValueError(f"nested more than {_MAX_DEPTH} deep")


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DECODER = decoder()


def until(deadline: float) -> _Left:
    """Return a function for the seconds left until a time of `time.monotonic()`, which raises
    TimeLimit after it."""

    def left() -> float:
        found = deadline - time.monotonic()
        if found <= 0:
            raise TimeLimit("no answer within the limit")
        return found

    return left


class Channel:
    """A channel of frames over two pipes. Every wait takes its end: a time of
    `time.monotonic()`, a function for the seconds left, or None for no limit."""

    def __init__(self, reads: int, writes: int, *, patient: bool) -> None:
        """`patient` makes blocking calls without a limit: a worker's end, which may receive
        longer frames than it may send."""
        self._reads, self._writes, self._patient = reads, writes, patient
        most = _MAX_BYTES, _MAX_TOLD_BYTES
        self._most_said, self._most_heard = most if patient else most[::-1]
        self._buffer = bytearray()
        if not patient:
            os.set_blocking(reads, False)
            os.set_blocking(writes, False)

    def send(self, message: object, end: float | _Left | None = None) -> None:
        self._write(_encode(message, self._most_said), end)

    def _write(self, raw: bytes, end: float | _Left | None) -> None:
        left = memoryview(raw)
        while left:
            try:
                left = left[os.write(self._writes, left) :]
            except BlockingIOError:
                self._wait([], [self._writes], end)
            except OSError:
                raise WorkerDied(_ENDED) from None

    def receive(self, end: float | _Left | None = None) -> Any:
        """Return the message of a frame. Raises TimeLimit, WorkerDied, BadFrame. A worker trusts
        the host and decodes without the host's stricter checks."""
        return json.loads(self.frame(end)) if self._patient else _decode(self.frame(end))

    def frame(self, end: float | _Left | None = None) -> bytes:
        """Return a frame's bytes, unchecked. Raises TimeLimit, WorkerDied, and BadFrame for one
        that is too long."""
        size = _HEAD.unpack(self._take(_HEAD.size, end))[0]
        if size > self._most_heard:
            raise BadFrame(f"a frame of {size} bytes; at most {self._most_heard} are allowed")
        return self._take(size, end)

    def silent(self) -> bool:
        """Return whether nothing unrequested was received."""
        if self._buffer:
            return False
        try:
            self._buffer += os.read(self._reads, 65536)
        except BlockingIOError:
            return True
        return not self._buffer  # the end of the pipe is noticed by the next receive

    def _take(self, size: int, end: float | _Left | None) -> bytes:
        while len(self._buffer) < size:
            try:
                chunk = os.read(self._reads, 1 << 16)
            except BlockingIOError:
                self._wait([self._reads], [], end)
                continue
            if not chunk:
                raise WorkerDied(_ENDED)
            self._buffer += chunk
            if len(self._buffer) < size:
                _left(end)  # whoever sends byte by byte has no more time than others
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait(self, reads: list[int], writes: list[int], end: float | _Left | None) -> None:
        poll = select.poll()  # `select` itself fails above 1024 descriptors
        for one in reads:
            poll.register(one, select.POLLIN)
        for one in writes:
            poll.register(one, select.POLLOUT)
        soon = time.perf_counter() + _SOON_S
        while time.perf_counter() < soon:
            if poll.poll(0):
                return
            os.sched_yield()  # on one processor it is the other side's turn
        left = _left(end)
        while not poll.poll(None if left is None else left * 1000):
            left = _left(end)


def _left(end: float | _Left | None) -> float | None:
    """Return the seconds left, None without a limit. Raises TimeLimit."""
    return until(end)() if isinstance(end, float) else end and end()
