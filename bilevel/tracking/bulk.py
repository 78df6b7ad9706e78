"""The tracker for searches that are over: it writes each of them whole, in one transaction.

It needs MLflow's internals (`rows.py` says why). Where those are missing or are not the known
ones, and for a tracking server, which has no bulk interface, the ordinary tracker does the work.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bilevel.tracking.location import DEFAULT_URI, resolve, shown
from bilevel.tracking.records import SearchInfo
from bilevel.tracking.tracker import MlflowTracker

if TYPE_CHECKING:
    from bilevel.tracking.held import HeldStore

_log = logging.getLogger(__name__)


def bulk_tracker(
    uri: str = DEFAULT_URI, artifacts: str | None = None, traces: bool = True
) -> MlflowTracker:
    """The fastest tracker that there is for a store; the log says which, and why.

    Raises TrackingError if the store cannot be opened.
    """
    uri = resolve(uri)
    try:
        if uri.startswith(("http", "databricks")):
            raise ImportError("a tracking server has no bulk interface")
        tracker = BulkTracker(uri, artifacts, traces)
        _ = tracker.store
    except (ImportError, AttributeError) as reason:
        _log.warning("tracking: %s: one call at a time, since %s", shown(uri), reason)
        return MlflowTracker(uri, artifacts, traces)
    _log.info("tracking: %s: a search at a time", shown(uri))
    return tracker


class BulkTracker(MlflowTracker):
    """Says the same as `MlflowTracker`, when a search is left or ended.

    A search that is in the store already, whole or in part, is completed there run by run.
    """

    _held: "HeldStore | None" = None

    @property
    def store(self) -> "HeldStore":
        if self._held is None:
            from bilevel.tracking.held import HeldStore

            self._held = HeldStore(self.uri, self._artifacts)
        return self._held

    def start(self, info: SearchInfo) -> None:
        if self._info is not None:
            self.leave()
        self.store.drop()
        super().start(info)

    def leave(self) -> None:
        self._unless_broken("the search as a whole", self.store.write)

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        super().end(status, summary)
        self.leave()
