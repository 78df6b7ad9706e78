"""A study read back whole, for whoever reports on it: few queries, however many searches."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bilevel.tracking.location import shown
from bilevel.tracking.records import Run
from bilevel.tracking.store import Store

_Curves = Mapping[str, Mapping[int, float]]  # metric -> value by trial
_CURVES = ("tokens", "modelled_s")
_TAGS = frozenset((
    "kind", "superseded", "arm", "seed", "llm", "task", "stand_in", "metric", "direction", "ended",
    "level", "trial", "decision", "moves", "retest_of", "origin", "acted", "label",
    "mechanism", "carrier", "state", "domain", "domain_in_prompt", "admitted", "attempts",
    "problem", "mlflow.parentRunId", "fingerprint", "model", "task_settings", "dependent_seeds",
    "prompts", "stand_in_version", "noise_told", "role", "failure", "hypothesis", "parent_trial",
))  # fmt: skip
_METRICS = (
    "value", "val_bpb", "trials", "tokens", "llm_calls", "usd", "modelled_s", "wall_s",
    "first_trial",
    "confirmed_delta", "confirmed_sd", "confirmed_n", "seed_reaches", "hook/", "credit/",
    "confirmed/", "held_out_delta", "held_out/",
    "gain/", "gain_se", "taken", "cells", "stopped_early", "hook_errors", "failed_trials",
    "over_hook_limit", "clock/hook_s", "candidates", "screening/",
)  # fmt: skip
_KINDS = ("trial", "outer", "mechanism")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracked:
    """A search that was not superseded, with its child runs in the order of their start."""

    run: Run
    children: Mapping[str, Sequence[Run]]
    curves: _Curves

    def of(self, kind: str) -> Sequence[Run]:
        return self.children.get(kind, ())


def read_study(store: Store, experiment: str) -> list[Tracked]:
    """Return all searches of a study: straight from the tables where their form is known, else
    run by run."""
    runs, curves = _picture(store, experiment)
    children: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        kind = run.tags.get("kind", "")
        if kind in _KINDS and (kind != "trial" or run.status == "FINISHED"):
            children[run.tags["mlflow.parentRunId"]][kind].append(run)
    return [
        Tracked(
            run,
            children[run.run_id],
            {name: curves.get((run.run_id, name), {}) for name in _CURVES},
        )
        for run in runs
        if run.tags.get("kind") == "search" and run.tags.get("superseded") == "false"
    ]


def _named(run: Run) -> Run:
    """Return the run with only the tags and metrics that a report reads, as `tables.py` gives
    it."""
    exact, begins = set(_METRICS), tuple(name for name in _METRICS if name.endswith("/"))
    tags = {name: text for name, text in run.tags.items() if name in _TAGS}
    metrics = {n: v for n, v in run.metrics.items() if n in exact or n.startswith(begins)}
    return replace(run, tags=tags, metrics=metrics)


def _picture(
    store: Store, experiment: str
) -> tuple[list[Run], Mapping[tuple[str, str], Mapping[int, float]]]:
    """Return every active run, and values by step for each (search, metric)."""
    from bilevel.tracking.tables import Tables

    with store.guard("reading the study"):
        try:
            tables = Tables(store.uri, experiment)
        except LookupError as reason:
            _log.warning("tracking: %s: read run by run, since %s", shown(store.uri), reason)
        else:
            return tables.runs(_TAGS, _METRICS), tables.curves(_CURVES)
    runs = [_named(run) for run in store.runs(experiment, "")]
    searches = [run.run_id for run in runs if run.tags.get("kind") == "search"]
    return runs, {(one, name): store.curve(one, name) for one in searches for name in _CURVES}
