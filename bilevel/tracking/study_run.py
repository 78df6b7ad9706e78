"""Keeps what was found out about a whole study with it in MLflow, as one run `kind=study`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bilevel.tracking.content import finite
from bilevel.tracking.store import Store

_KIND = "study"


def keep(
    store: Store,
    experiment: str,
    study: str,
    files: Sequence[Path],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> str:
    """Creates or updates the one `kind=study` run of a study; returns its id."""
    found = store.runs(experiment, f"tags.kind = '{_KIND}'")
    name = f"report of {study}"
    run_id = found[-1].run_id if found else store.create(experiment, name, {"kind": _KIND})
    store.status(run_id, "RUNNING")
    store.log(run_id, metrics=finite(metrics), tags={"study": study, **tags})
    for path in files:
        store.file(run_id, path)
    store.status(run_id, "FINISHED")
    return run_id
