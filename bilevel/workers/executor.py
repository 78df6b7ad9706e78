"""How the evaluations of one round are run: one after another, or several at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bilevel.settings import Count
from bilevel.trace import Outcome, Proposal, Trial


@dataclass(frozen=True)
class Request:
    """One evaluation to run: parent trial, proposal and training seed."""

    parent: Trial | None
    proposal: Proposal
    seed: int


class Evaluator(Protocol):
    """The protocol of a task as executors see it; one that leaves the process is copied by
    pickling."""

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome: ...


class Executor(Protocol):
    """The protocol of what runs the evaluations of a round."""

    def outcomes(self, task: Evaluator, requests: Sequence[Request]) -> Iterator[Outcome]:
        """Yields outcomes in the order of the requests, each as soon as it and those before it
        are done. Raises whatever the task raises."""

    def close(self) -> None:
        """Ends whatever the executor started."""


class Serial:
    """An executor that evaluates one request at a time, in this thread."""

    def outcomes(self, task: Evaluator, requests: Sequence[Request]) -> Iterator[Outcome]:
        return (task.evaluate(r.parent, r.proposal, r.seed) for r in requests)

    def close(self) -> None:
        return


class Local(Serial):
    """An executor with up to `workers` evaluations at a time on this machine; tasks evaluate in
    processes of their own, so threads suffice."""

    def __init__(self, workers: Count = 1) -> None:
        if workers < 1:
            raise ValueError(f"executor.workers={workers}: expected at least 1")
        self.workers = workers

    def outcomes(self, task: Evaluator, requests: Sequence[Request]) -> Iterator[Outcome]:
        if self.workers == 1:
            yield from super().outcomes(task, requests)
            return
        pool = ThreadPoolExecutor(self.workers)
        try:
            yield from pool.map(lambda r: task.evaluate(r.parent, r.proposal, r.seed), requests)
        finally:  # nobody waits for what is running when a search is stopped: its task ends that
            pool.shutdown(wait=False, cancel_futures=True)
