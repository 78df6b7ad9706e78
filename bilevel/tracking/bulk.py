"""The tracker for searches that are over: what their trials have in common is written at once."""

from collections.abc import Mapping

from bilevel.tracking.location import DEFAULT_URI
from bilevel.tracking.records import SearchInfo, TrialRecord
from bilevel.tracking.tracker import MlflowTracker


class BulkTracker(MlflowTracker):
    """A tracker that writes the same as `MlflowTracker`, but when a search is left or ended: its
    curves in one request, and its traces in another."""

    def __init__(
        self, uri: str = DEFAULT_URI, artifacts: str | None = None, traces: bool = True
    ) -> None:
        super().__init__(uri, artifacts, traces)
        self._waiting: list[TrialRecord] = []

    def start(self, info: SearchInfo) -> None:
        if self._info is not None:
            self.leave_running()
        super().start(info)

    def trial(self, record: TrialRecord) -> None:
        self._waiting.append(record)

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        self.leave_running()
        super().end(status, summary)

    def leave_running(self) -> None:
        told, self._waiting = self._waiting, []
        self._unless_broken("the trials of the search", lambda: self._write(told))
