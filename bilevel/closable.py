"""A base class for resources that `with` closes."""

from abc import abstractmethod
from types import TracebackType
from typing import Self


class Closable:
    """A context manager that closes itself at the end of the `with` block."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
