"""What a report needs of a study, read from MLflow in a few queries, however large the study is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bilevel.errors import BadInput, TrackingError
from bilevel.trace import Objective
from bilevel.tracking.content import FORMERLY, VALUE
from bilevel.tracking.location import local_path, resolve, shown
from bilevel.tracking.records import Run
from bilevel.tracking.screenings import gains

if TYPE_CHECKING:
    from bilevel.tracking.store import Store
    from bilevel.tracking.studied import Tracked

_Moves = frozenset[tuple[str, str]]
_NOTHING: Mapping[int, float] = {}


@dataclass(frozen=True)
class Act:
    """A hook call that changed a decision or a prompt of one trial."""

    mechanism: str
    hook: str
    effect: str


@dataclass(frozen=True)
class Tried:
    """One level-1 trial as it was tracked; `value` is None if it failed. `mechanism` is the one
    that it tried, where mechanisms are what is searched, and `problem` why no gate let it in."""

    number: int
    value: float | None
    decision: str
    moves: _Moves
    retest_of: int | None = None
    origin: str = ""
    acts: tuple[Act, ...] = ()
    run_id: str = ""
    parent: int | None = None
    hypothesis: str = ""
    mechanism: str = ""
    problem: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionRow:
    """One level-2 session and its result; its texts are an artifact of its run. Its mechanism
    acts from `first_trial` on; `gains` are those of its candidates, by label, where it screened
    several."""

    run_id: str
    number: int
    mechanism: str
    domain: str
    domain_in_prompt: bool
    admitted: bool
    attempts: int
    problem: str
    first_trial: int | None
    candidates: int = 1
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Attached:
    """A mechanism and its state by the activation ledger: live, prompted, on probation or dead."""

    name: str
    state: str
    run_id: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    credit: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """One search that was not superseded; `ended` is empty while it runs or after it was cut
    off. What an older version did not track is empty too."""

    arm: str
    seed: int
    llm: str
    task: str
    ended: str
    stand_in: bool
    objective: Objective
    trials: tuple[Tried, ...]
    totals: Mapping[str, float]
    attached: tuple[Attached, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    fingerprint: str = ""
    model: str = ""
    task_settings: str = ""
    dependent_seeds: str = ""
    prompts: str = ""
    stand_in_version: str = ""
    noise_told: str = ""
    role: str = ""
    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def curve(self, metric: str) -> Mapping[int, float]:
        """Return cumulative tokens or modelled_s by trial."""
        return self.curves.get(metric, _NOTHING)


@dataclass(frozen=True)
class Study:
    """A study as it was tracked, by arm and seed."""

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

    @property
    def arms(self) -> dict[str, list[Search]]:
        """Return each arm's searches, by seed."""
        found: dict[str, list[Search]] = {}
        for search in self.searches:
            found.setdefault(search.arm, []).append(search)
        return found


def read(name: str, uri: str) -> Study:
    """Return the study. Raises BadInput, naming the existing studies, if there is none of this
    name."""
    uri = resolve(uri)
    path = local_path(uri)
    if path is not None and not path.exists():
        raise BadInput(f"study={name}: nothing was ever tracked in {path}; run a search first")
    from bilevel.tracking.studied import read_study

    store = opened(uri)
    studies = store.studies()
    if name not in studies:
        known = ", ".join(sorted(studies)) or "none yet"
        raise BadInput(f"study={name} is not in {shown(uri)}; studies there: {known}")
    found = read_study(store, studies[name])
    if not found:
        raise BadInput(f"study={name} holds no search (or only superseded ones) in {shown(uri)}")
    searches = sorted(map(_search, found), key=lambda search: (search.arm, search.seed))
    return Study(name, uri, studies[name], tuple(searches))


def opened(uri: str) -> "Store":
    """Return the store, opened for reading; importing mlflow takes seconds."""
    from bilevel.tracking.store import Store

    return Store(uri, write=False)


def _search(tracked: "Tracked") -> Search:
    run, tags = tracked.run, tracked.run.tags
    trials = {tried.number: tried for tried in map(_tried, tracked.of("trial"))}
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
        attached=tuple(map(_attached, tracked.of("mechanism"))),
        sessions=tuple(_sessions(tracked.of("outer"))),
        fingerprint=tags.get("fingerprint", ""),
        model=tags.get("model", ""),
        task_settings=tags.get("task_settings", ""),
        dependent_seeds=tags.get("dependent_seeds", ""),
        prompts=tags.get("prompts", ""),
        stand_in_version=tags.get("stand_in_version", ""),
        noise_told=tags.get("noise_told", ""),
        role=tags.get("role", ""),
        curves=tracked.curves,
    )


def _tried(run: Run) -> Tried:
    tags = run.tags
    try:
        return Tried(
            int(tags["trial"]),
            None if "failure" in tags else run.metrics.get(VALUE, run.metrics.get(FORMERLY)),
            tags["decision"],
            frozenset((name, way) for name, way in json.loads(tags["moves"])),
            int(tags["retest_of"]) if "retest_of" in tags else None,
            tags.get("origin", ""),
            tuple(Act(*row) for row in json.loads(tags.get("acted", "[]"))),
            run.run_id,
            int(tags["parent_trial"]) if "parent_trial" in tags else None,
            tags.get("hypothesis", ""),
            tags.get("mechanism", ""),
            tags.get("problem", "") or tags.get("failure", ""),
            run.metrics,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise TrackingError(
            f"run {run.run_id} ({run.name}) is not a trial as this version writes it ({error!r}); "
            "delete the run, or report with the version that wrote it"
        ) from None


def _attached(run: Run) -> Attached:
    counts = {n.removeprefix("hook/"): int(v) for n, v in run.metrics.items() if "hook/" in n}
    credit = {n.removeprefix("credit/"): v for n, v in run.metrics.items() if "credit/" in n}
    return Attached(run.tags["mechanism"], run.tags["state"], run.run_id, counts, credit)


def _sessions(runs: Sequence[Run]) -> list[SessionRow]:
    return [
        SessionRow(
            run_id=run.run_id,
            number=int(run.tags["trial"]),
            mechanism=run.tags.get("mechanism", ""),
            domain=run.tags.get("domain", ""),
            domain_in_prompt=run.tags.get("domain_in_prompt") == "true",
            admitted=run.tags.get("admitted") == "true",
            attempts=int(run.tags.get("attempts", 0)),
            problem=run.tags.get("problem", ""),
            first_trial=_whole(run.metrics.get("first_trial")),
            candidates=int(run.metrics.get("candidates", 1)),
            gains=gains(run.metrics),
        )
        for run in runs
        if {"mechanism", "admitted"} & run.tags.keys()  # one that made nothing has no name
    ]


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
