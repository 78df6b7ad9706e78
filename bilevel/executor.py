"""How the evaluations of one round are run: one after another, or several at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Executor(Protocol):
    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Results in the order of the items, each as soon as it and those before it are done."""


class Serial:
    """One at a time, in this thread."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        return map(function, items)


class Local:
    """Up to `workers` at a time; tasks evaluate in processes of their own, so threads suffice."""

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"executor.workers={workers}: expected at least 1")
        self.workers = workers

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        if self.workers == 1:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(function, items)
