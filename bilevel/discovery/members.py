"""The tasks of a suite: a training half that is searched, and a held-out half that is not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bilevel.config.files import CONF
from bilevel.config.overrides import unresolved
from bilevel.errors import ConfigError
from bilevel.randomness import confirmation_seed
from bilevel.space import Config
from bilevel.tasks.base import Task
from bilevel.trace import Proposal

TRAINING, HELD_OUT = "training", "held_out"
HALVES = (TRAINING, HELD_OUT)
_MEASURED = 3  # fresh seeds, where a task does not know its value without noise
_FOLDER = Path(__file__).with_name("suites")


@dataclass(frozen=True)
class Member:
    """One task of a suite: its settings, and the best value known of it (none: the task's own)."""

    settings: Mapping[str, Any]
    best_known: float | None = None

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    def task(self) -> Task:
        """The task, made once a process."""
        return _made(json.dumps(self.settings, sort_keys=True))

    def gain(self, config: Config, seed: int) -> float:
        """The share of the way from the baseline to the best known value that this configuration
        goes, between -1 and 1. Values are without noise where the task knows them, else means over
        fresh seeds. Raises ConfigError where no best value is known, or no gain is possible."""
        task = self.task()
        best = self.best_known if self.best_known is not None else task.best_known
        if best is None:
            raise ConfigError(f"suite: {self.name} has no best_known, so its gain has no scale")
        start = self._value(task, task.space.baseline, seed)
        reachable = task.objective.gain(start, best)
        if reachable <= 0:
            raise ConfigError(
                f"suite: best_known={best} of {self.name} is not better than its baseline, {start}"
            )
        share = task.objective.gain(start, self._value(task, config, seed)) / reachable
        return max(-1.0, min(1.0, share))

    def _value(self, task: Task, config: Config, seed: int) -> float:
        exact = task.exact(config)
        if exact is not None:
            return exact
        start = task.space.baseline
        changes = {name: value for name, value in config.items() if value != start[name]}
        outcomes = [
            task.evaluate(None, Proposal(changes, origin="suite"), confirmation_seed(seed, r))
            for r in range(_MEASURED)
        ]
        values = [outcome.value for outcome in outcomes if outcome.value is not None]
        if not values:
            raise ConfigError(f"suite: {self.name} failed at every fresh seed with {dict(config)}")
        return fmean(values)

    def to_json(self) -> dict[str, Any]:
        return {"settings": dict(self.settings), "best_known": self.best_known}


_MADE: dict[str, Task] = {}
"""The tasks that this process has made, by their settings."""


def _made(settings: str) -> Task:
    if settings not in _MADE:
        task: Task = instantiate(json.loads(settings), _convert_="all")
        task.ready()
        _MADE[settings] = task
    return _MADE[settings]


def close_tasks() -> None:
    """Closes every task that this process has made; one that is needed again is made anew."""
    while _MADE:
        _, task = _MADE.popitem()
        task.close()


_Members = Mapping[str, Sequence[Member]]
"""By half."""


def written(members: _Members) -> str:
    return json.dumps({half: [m.to_json() for m in found] for half, found in members.items()})


def read(text: str) -> _Members:
    """What `written` wrote."""
    return {half: [Member(**one) for one in found] for half, found in json.loads(text).items()}


def members(suite: str) -> _Members:
    """The tasks of a suite: one that is shipped, by its name, or a YAML file of that form, by path.

    Both halves are lists of entries `{task: NAME, setting: value, ...}` where NAME is a file of
    conf/task; a setting `{from: 0, count: 20}` makes twenty tasks of one entry, `best_known` is the
    best value known where the task does not know it. Raises ConfigError.
    """
    known = sorted(path.stem for path in _FOLDER.glob("*.yaml"))
    path = _FOLDER / f"{suite}.yaml" if suite in known else Path(suite).expanduser()
    if not path.is_file():
        valid = ", ".join(known)
        raise ConfigError(f"suite={suite}: expected a file of such a list, or one of {valid}")
    said = yaml.safe_load(path.read_text())
    if not isinstance(said, dict) or set(said) != set(HALVES) or not all(said.values()):
        raise ConfigError(f"{path}: expected the lists {' and '.join(HALVES)}, none of them empty")
    found = {half: [m for entry in said[half] for m in _expanded(path, entry)] for half in HALVES}
    names = [member.name for half in HALVES for member in found[half]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: {', '.join(twice)}: each task needs a name of its own")
    return found


def _expanded(path: Path, entry: Any) -> Iterator[Member]:
    if not isinstance(entry, dict) or not isinstance(entry.get("task"), str):
        raise ConfigError(f"{path}: {entry!r}: expected {{task: NAME, setting: value, ...}}")
    given = {name: value for name, value in entry.items() if name not in ("task", "best_known")}
    ranges = {name: value for name, value in given.items() if isinstance(value, dict)}
    if len(ranges) > 1 or any(set(value) != {"from", "count"} for value in ranges.values()):
        raise ConfigError(f"{path}: {entry!r}: expected one setting as {{from: 0, count: 20}}")
    config = unresolved(CONF, ["arm=random", f"task={entry['task']}"])
    config.task.update({name: value for name, value in given.items() if name not in ranges})
    for varied in _values(ranges):
        config.task.update(varied)
        settings: Any = OmegaConf.to_container(config.task, resolve=True)
        yield Member(settings, entry.get("best_known"))


def _values(ranges: Mapping[str, Any]) -> Iterator[dict[str, int]]:
    """Returns what the one setting that is a range is for each task; nothing for a single task."""
    for name, over in ranges.items():
        yield from ({name: number} for number in range(over["from"], over["from"] + over["count"]))
    if not ranges:
        yield {}
