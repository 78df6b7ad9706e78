"""Frames between a host and its worker: a length, then JSON of bounded size and depth."""

import json
import math
import os
import select
import struct
import time
from typing import Any, NoReturn

from bilevel.sandbox.failures import BadFrame, TimeLimit, WorkerDied

MAX_BYTES = 8 << 20
MAX_DEPTH = 48
MAX_NUMERAL = 400
_HEAD = struct.Struct(">I")


def encode(message: object) -> bytes:
    """Raises BadFrame for what is no JSON: NaN and infinities among it."""
    try:
        body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadFrame(f"cannot be written as JSON: {error}") from None
    if len(body) > MAX_BYTES:
        raise BadFrame(f"a frame of {len(body)} bytes; at most {MAX_BYTES} are allowed")
    return _HEAD.pack(len(body)) + body


def decode(body: bytes) -> Any:
    """Raises BadFrame for anything but strict JSON with finite numbers and whole characters."""
    try:
        message = _DECODER.decode(body.decode("utf-8"))
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            _shallow(message)
        if b"\\ud" in body.lower():
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, UnicodeError) as error:
        raise BadFrame(f"not a frame of JSON: {type(error).__name__}: {str(error)[:200]}") from None
    return message


def _shallow(message: object) -> None:
    level = [message]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for value in level:
            if isinstance(value, dict):
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
        level = deeper
        if not level:
            return
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(numeral: str) -> float:
    number = float(numeral)
    if not math.isfinite(number):
        raise ValueError(f"{numeral[:40]} is not a finite number")
    return number


def _whole(numeral: str) -> int:
    if len(numeral) > MAX_NUMERAL:
        raise ValueError(f"a numeral of {len(numeral)} digits")
    return int(numeral)


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_finite, parse_int=_whole)


class Channel:
    """Two pipes. Every wait has a deadline (`time.monotonic()`), or none at all."""

    def __init__(self, reads: int, writes: int, *, patient: bool) -> None:
        """`patient` waits for ever, in blocking calls: what a worker does."""
        self._reads, self._writes, self._patient = reads, writes, patient
        self._buffer = bytearray()
        if not patient:
            os.set_blocking(reads, False)
            os.set_blocking(writes, False)

    def send(self, message: object, deadline: float | None = None) -> None:
        self._write(encode(message), deadline)

    def _write(self, raw: bytes, deadline: float | None) -> None:
        left = memoryview(raw)
        while left:
            try:
                left = left[os.write(self._writes, left) :]
            except BlockingIOError:
                self._wait([], [self._writes], deadline)
            except OSError:
                raise WorkerDied("the worker reads no more") from None

    def receive(self, deadline: float | None = None) -> Any:
        """Raises TimeLimit, WorkerDied, BadFrame."""
        size = _HEAD.unpack(self._take(_HEAD.size, deadline))[0]
        if size > MAX_BYTES:
            raise BadFrame(f"a frame of {size} bytes; at most {MAX_BYTES} are allowed")
        return decode(self._take(size, deadline))

    def silent(self) -> bool:
        """Whether nothing has come that was not asked for."""
        if self._buffer:
            return False
        try:
            self._buffer += os.read(self._reads, 65536)
        except BlockingIOError:
            return True
        return not self._buffer  # the end of the pipe is noticed by the next receive

    def _take(self, size: int, deadline: float | None) -> bytes:
        while len(self._buffer) < size:
            try:
                chunk = os.read(self._reads, 1 << 16)
            except BlockingIOError:
                self._wait([self._reads], [], deadline)
                continue
            if not chunk:
                raise WorkerDied("the worker ended without an answer")
            self._buffer += chunk
            if deadline is not None and time.monotonic() > deadline:
                raise TimeLimit("no complete answer within the limit")
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait(self, reads: list[int], writes: list[int], deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeLimit("no answer within the limit")
        poll = select.poll()  # `select` itself fails above 1024 descriptors
        for one in reads:
            poll.register(one, select.POLLIN)
        for one in writes:
            poll.register(one, select.POLLOUT)
        if not poll.poll(None if left is None else left * 1000):
            raise TimeLimit("no answer within the limit")
