"""Builds a search from its configuration: nested loops, folder, journal and summary of results."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from bilevel.config.arms import roles
from bilevel.errors import ConfigError
from bilevel.journal import JOURNAL, Journal, Recording, locked, mend, salvaged
from bilevel.levels.segment import Segment
from bilevel.loop.loop import Loop, Observer
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rules import Rules
from bilevel.parameters import Text, Value
from bilevel.sandbox.worker_handle import chosen
from bilevel.search.identity import Identity, identify
from bilevel.space import Config
from bilevel.tasks.base import Task
from bilevel.view import About, Asker, Proposer
from bilevel.workers.executor import Executor

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """The results of a search, the last entry of its journal; `finished_before` is true where an
    earlier command had finished it."""

    search: str
    trials: int
    baseline: float | None
    best: float | None
    changed: Config
    finished_before: bool = False

    def __str__(self) -> str:
        if self.finished_before:
            return (
                f"{self.search} is finished already ({self.trials} trials, {self._result}); "
                "give another study name, or fresh=true to start over"
            )
        changes = ", ".join(_shown(n, v) for n, v in self.changed.items()) or "the baseline"
        return f"{self.search}: {self.trials} trials, {self._result} with {changes}"

    def to_json(self) -> dict[str, Any]:
        return {
            "search": self.search,
            "trials": self.trials,
            "baseline": self.baseline,
            "best": self.best,
            "changed": dict(self.changed),
        }

    @property
    def _result(self) -> str:
        if self.best is None or self.baseline is None:
            return "no result"
        return f"best {self.best:.6f}, delta {self.best - self.baseline:+.6f}"


def _shown(name: str, value: Value) -> str:
    """Returns `name=value` for the console; a text of several lines (a script) is named, not
    printed."""
    edited = isinstance(value, str) and "\n" in value
    return f"an edited {name}" if edited else f"{name}={value!r}"


def summarise(identity: Identity, loop: Loop) -> Summary:
    best = loop.best
    start = loop.task.space.baseline
    changed = {} if best is None else {n: v for n, v in best.config.items() if v != start[n]}
    return Summary(
        identity.search,
        max(0, len(loop.trace) - 1),
        loop.trace[0].value if loop.trace else None,
        None if best is None else best.value,
        changed,
    )


def levels(
    config: Mapping[str, Any],
    task: Task,
    *,
    journal: Journal,
    asker: Asker,
    observers: Sequence[Observer],
    executor: Executor | None = None,
    about: About | None = None,
) -> list[Loop]:
    """The nested loops that a configuration describes, innermost first; run the last one. The
    executor is the innermost one's: a segment runs alone. Raises SandboxUnavailable where what a
    model would write could not be confined."""
    shared: dict[str, Any] = {
        "seed": config["seed"],
        "journal": journal,
        "asker": asker,
        "observers": observers,
    }
    loops = [_innermost(config, task, executor, {**shared, "about": about})]
    outer, limits = config["outer"]["levels"].values(), instantiate(config["sandbox"])
    if not journal.sealed and any("attaching" in spec for spec in outer):
        chosen(limits.layer)  # now, and not after ten trials
    for spec in outer:
        attaching = spec.get("attaching") and instantiate(spec["attaching"])(limits)
        proposer = instantiate(spec["proposer"])
        if attaching:
            proposer = proposer(limits=limits)
        if spec.get("screening"):
            proposer = instantiate(spec["screening"])(proposer, limits=limits)
            if not journal.sealed:
                proposer.ready()
        loops.append(
            Loop(
                level=spec["level"],
                task=Segment(loops[-1], spec["every"], attaching),
                proposer=proposer,
                pipeline=Pipeline(
                    probation=config["inner"]["probation"], rules=Rules(**config["rules"])
                ),
                acceptance=instantiate(spec["acceptance"]),
                **shared,
            )
        )
    return loops


def _innermost(
    config: Mapping[str, Any], task: Task, executor: Executor | None, shared: Mapping[str, Any]
) -> Loop:
    """Returns the loop of level 1."""
    inner = config["inner"]
    mechanisms = [instantiate(spec) for spec in (config["mechanisms"] or {}).values()]
    return Loop(
        level=1,
        task=task,
        proposer=_proposer(config, task),
        acceptance=instantiate(inner["acceptance"]),
        trials=config["search"]["trials"],
        batch=inner["batch"],
        pipeline=Pipeline(
            mechanisms,
            probation=inner["probation"],
            left_out=config["without"],
            journal=shared["journal"],
            rules=Rules(**config["rules"]),
        ),
        executor=executor,
        **shared,
    )


def _proposer(config: Mapping[str, Any], task: Task) -> Proposer:
    """Returns the proposer of level 1. Raises ConfigError where it proposes parameters and the task
    has a text to edit."""
    proposer: Proposer = instantiate(config["inner"]["proposer"])(task.space)
    texts = [p.name for p in task.space.active if isinstance(p, Text)]
    if texts and not getattr(proposer, "edits_texts", False):
        able = [True, *texts]
        editors = [f"arm={arm}" for arm, role in roles().items() if role.edits_texts in able]
        raise ConfigError(
            f"arm={config['arm']} proposes values of parameters, and task={task.name} is searched "
            f"by editing {', '.join(texts)}: choose {' or '.join(editors)}, or a task with "
            "parameters"
        )
    return proposer


def begin(config: Mapping[str, Any]) -> tuple[Identity, Path]:
    """Returns the identity and the folder of a search; with `fresh` an old folder is moved
    aside."""
    identity = identify(config)
    folder = identity.folder(Path(config["results"]))
    if config["fresh"]:
        move_aside(folder)
    return identity, folder


def move_aside(folder: Path) -> None:
    """Renames a folder that holds a journal. Raises SearchRunning while a process holds that
    journal."""
    if not folder.exists():
        return
    with locked(folder / JOURNAL):
        number = 1
        while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
            number += 1
        folder.rename(aside)


@contextlib.contextmanager
def opened(
    identity: Identity, folder: Path, recording: Recording | None = None, *, mended: bool = False
) -> Iterator[Journal]:
    """Opens and locks the journal of a search, and checks its header or writes one.

    While a journal holds no outcome, another configuration may replace its header. With `mended`, a
    damaged journal is set aside first, and its intact entries are used where they still fit. Raises
    StudyMismatch, SearchRunning and JournalError.
    """

    def header() -> dict[str, Any]:
        return journal.once("search", "header", lambda: {"deciding": dict(identity.deciding)})

    path = folder / JOURNAL
    if mended:
        _mend(path)
    with Journal(path, recording=recording or salvaged(path)) as journal:
        if not journal.has("outcome") and header()["deciding"] != _plain_json(identity.deciding):
            journal.clear()
        identity.check(header()["deciding"])
        yield journal


def _mend(path: Path) -> None:
    with locked(path):
        aside = mend(path)
    if aside is not None:
        _log.warning("%s was damaged: it is kept as %s, and used where it fits", path, aside.name)


def _plain_json(data: Mapping[str, Any]) -> Any:
    """Returns the data as a journal gives it back: tuples as lists, keys as texts."""
    return json.loads(json.dumps(dict(data)))
