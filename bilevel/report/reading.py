"""What a report needs of a study, read from MLflow in one query for searches and one for trials."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from bilevel.errors import BadInput, TrackingError
from bilevel.trace import Objective
from bilevel.tracking.location import local_path, resolve, shown
from bilevel.tracking.records import Run

Moves = frozenset[tuple[str, str]]
_SEARCHES = "tags.kind = 'search' AND tags.superseded = 'false'"
_MECHANISMS = "tags.kind = 'mechanism'"
_TRIALS = "tags.kind = 'trial' AND attributes.status = 'FINISHED'"


@dataclass(frozen=True)
class Tried:
    """One level-1 trial as it was tracked; `value` is None if it failed."""

    number: int
    value: float | None
    decision: str
    moves: Moves
    retest_of: int | None = None


@dataclass(frozen=True)
class Search:
    """One search that was not superseded; `ended` is empty while it runs or after it was cut."""

    arm: str
    seed: int
    llm: str
    task: str
    ended: str
    stand_in: bool
    objective: Objective
    trials: tuple[Tried, ...]
    totals: Mapping[str, float]
    mechanisms: Mapping[str, str] = field(default_factory=dict)
    """What the ledger says of each: live, prompted, on probation or dead."""


@dataclass(frozen=True)
class Study:
    """Everything there is about a study, by arm and seed."""

    name: str
    uri: str
    experiment_id: str
    searches: tuple[Search, ...]

    @property
    def stand_in(self) -> bool:
        return any(search.stand_in for search in self.searches)

    @property
    def objective(self) -> Objective:
        return self.searches[0].objective


def read(name: str, uri: str) -> Study:
    """The study. Raises BadInput, naming the studies there are, if there is none like it."""
    uri = resolve(uri)
    path = local_path(uri)
    if path is not None and not path.exists():
        raise BadInput(f"study={name}: nothing was ever tracked in {path}; run a search first")
    from bilevel.tracking.store import Store

    store = Store(uri, write=False)
    studies = store.studies()
    if name not in studies:
        known = ", ".join(sorted(studies)) or "none yet"
        raise BadInput(f"study={name} is not in {shown(uri)}; studies there: {known}")
    runs = store.runs(studies[name], _SEARCHES)
    if not runs:
        raise BadInput(f"study={name} holds no search (or only superseded ones) in {shown(uri)}")
    trials: dict[str, dict[int, Tried]] = defaultdict(dict)
    for run in store.runs(studies[name], _TRIALS):
        tried = _tried(run)
        trials[run.tags["mlflow.parentRunId"]][tried.number] = tried
    states: dict[str, dict[str, str]] = defaultdict(dict)
    for run in store.runs(studies[name], _MECHANISMS):
        states[run.tags["mlflow.parentRunId"]][run.tags["mechanism"]] = run.tags["state"]
    searches = [_search(run, trials[run.run_id], states[run.run_id]) for run in runs]
    searches.sort(key=lambda search: (search.arm, search.seed))
    return Study(name, uri, studies[name], tuple(searches))


def _tried(run: Run) -> Tried:
    try:
        moves = frozenset((name, way) for name, way in json.loads(run.tags["moves"]))
        return Tried(
            int(run.tags["trial"]),
            run.metrics.get("val_bpb"),
            run.tags["decision"],
            moves,
            int(run.tags["retest_of"]) if "retest_of" in run.tags else None,
        )
    except (KeyError, ValueError) as error:
        raise TrackingError(
            f"run {run.run_id} ({run.name}) is not a trial as this version writes it ({error!r}); "
            "delete the run, or report with the version that wrote it"
        ) from None


def _search(run: Run, trials: Mapping[int, Tried], mechanisms: Mapping[str, str]) -> Search:
    tags = run.tags
    return Search(
        arm=tags.get("arm", ""),
        seed=int(tags.get("seed", 0)),
        llm=tags.get("llm", ""),
        task=tags.get("task", ""),
        ended="" if run.status == "RUNNING" else tags.get("ended", ""),
        stand_in=tags.get("stand_in") == "true",
        objective=Objective(tags.get("metric", "val_bpb"), tags.get("direction", "minimize")),
        trials=tuple(trials[number] for number in sorted(trials)),
        totals=run.metrics,
        mechanisms=mechanisms,
    )
