"""A limit on a whole call: timeouts count from one byte to the next, so dripping never ends."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Deadline:
    """A context manager that calls `end` from another thread if the block takes longer than
    `seconds`.

    `passed` is then true: why the block's own calls failed.
    """

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self.passed = False
        self._end = end
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def _pass(self) -> None:
        self.passed = True
        self._end()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()  # what `end` closes must not be the next call's
